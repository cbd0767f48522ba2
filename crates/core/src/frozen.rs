//! Large files as bytes that nobody can take away: a mapped file that another program cuts short
//! ends the process that maps it (SIGBUS), so nothing is mapped that has a name.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use memmap2::{Mmap, MmapMut};

/// Largest file that is read into memory; larger ones are copied to a file without a name, whose
/// pages the system can take back.
const IN_MEMORY: u64 = 1 << 30;

/// The bytes of a file as it is now, at the start of a page.
///
/// # Errors
/// The file cannot be read, or gets shorter meanwhile.
pub fn read(path: &Path) -> io::Result<Mmap> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    if length > IN_MEMORY {
        return copied(&mut file, length);
    }
    let length = usize::try_from(length).map_err(io::Error::other)?;
    let mut bytes = MmapMut::map_anon(length)?;
    file.read_exact(&mut bytes)
        .map_err(|error| explain(error, length as u64))?;
    bytes.make_read_only()
}

fn copied(file: &mut File, length: u64) -> io::Result<Mmap> {
    let mut copy = tempfile::tempfile()?;
    let copied = io::copy(&mut file.take(length), &mut copy)?;
    if copied < length {
        return Err(explain(io::ErrorKind::UnexpectedEof.into(), length));
    }
    // SAFETY: the file has no name, and only this process has it open, which writes to it no more.
    unsafe { Mmap::map(&copy) }
}

fn explain(error: io::Error, length: u64) -> io::Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            let message = format!("another program cuts it short: it had {length} bytes");
            io::Error::new(io::ErrorKind::UnexpectedEof, message)
        }
        _ => error,
    }
}

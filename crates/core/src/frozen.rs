//! Stable read-only bytes of large files. If another program truncates a mapped file, the process
//! that maps it is killed (SIGBUS). Only files without a name are therefore mapped.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use memmap2::{Mmap, MmapMut};

/// Largest file that is read into memory. Larger ones are copied to an unlinked file, whose pages
/// the system can reclaim.
const IN_MEMORY: u64 = 1 << 30;

/// The current bytes of a file, page-aligned.
///
/// # Errors
///
/// The file cannot be read, or it shrinks during the read.
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
    // SAFETY: the file has no name, only this process has it open, and it is not written again.
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

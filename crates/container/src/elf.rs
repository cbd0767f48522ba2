//! What a Linux program needs to start, read from its ELF header, and the part of it that is loaded.

use std::{
    ops::Range,
    path::{Path, PathBuf},
};

use crate::ContainerError;

/// A program of 64 bits, little-endian.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ElfProgram {
    /// The processor as OCI names it.
    pub architecture: &'static str,
    /// The dynamic loader; `None` for a static program.
    pub loader: Option<PathBuf>,
    /// Names of shared libraries, such as `libc.so.6`.
    pub needed: Vec<String>,
    /// The end of what is loaded.
    loaded: usize,
}

const HEADER: usize = 64;
const ENTRY: usize = 56;
const LOAD: u32 = 1;
const DYNAMIC: u32 = 2;
const INTERPRETER: u32 = 3;
const NEEDED: u64 = 1;
const STRING_TABLE: u64 = 5;

/// Machine numbers, and the names that OCI has for them.
const MACHINES: &[(u16, &str)] = &[(62, "amd64"), (183, "arm64")];

struct ProgramHeader {
    kind: u32,
    offset: usize,
    address: u64,
    size: usize,
}

struct ElfBytes<'a>(&'a [u8]);

impl<'a> ElfBytes<'a> {
    fn slice(&self, range: Range<usize>) -> Option<&'a [u8]> {
        self.0.get(range)
    }

    fn at<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        let bytes = self.slice(offset..offset.checked_add(N)?)?;
        bytes.try_into().ok()
    }

    fn half(&self, offset: usize) -> Option<u16> {
        self.at(offset).map(u16::from_le_bytes)
    }

    fn word(&self, offset: usize) -> Option<u32> {
        self.at(offset).map(u32::from_le_bytes)
    }

    fn long(&self, offset: usize) -> Option<u64> {
        self.at(offset).map(u64::from_le_bytes)
    }

    fn size(&self, offset: usize) -> Option<usize> {
        self.long(offset)?.try_into().ok()
    }

    fn text(&self, offset: usize) -> Option<String> {
        let bytes = self.0.get(offset..)?;
        let end = bytes.iter().position(|byte| *byte == 0)?;
        String::from_utf8(bytes[..end].to_vec()).ok()
    }

    fn program_headers(&self) -> Option<Vec<ProgramHeader>> {
        let (start, count) = (self.size(32)?, usize::from(self.half(56)?));
        let entry = |index: usize| {
            let at = start.checked_add(index * ENTRY)?;
            Some(ProgramHeader {
                kind: self.word(at)?,
                offset: self.size(at + 8)?,
                address: self.long(at + 16)?,
                size: self.size(at + 32)?,
            })
        };
        (0..count).map(entry).collect()
    }

    fn parse(&self) -> Option<ElfProgram> {
        let is_elf = self.slice(0..6)? == b"\x7fELF\x02\x01";
        let machine = self.half(18)?;
        let known = MACHINES.iter().find(|(number, _)| *number == machine);
        let (_, architecture) = known.filter(|_| is_elf)?;
        let headers = self.program_headers()?;
        let of_kind = |kind| headers.iter().filter(move |it| it.kind == kind);
        let loader = of_kind(INTERPRETER).next();
        let loader = match loader {
            Some(header) => Some(PathBuf::from(self.text(header.offset)?)),
            None => None,
        };
        let dynamic = of_kind(DYNAMIC).next();
        let needed = match dynamic {
            Some(header) => self.needed(header, &headers)?,
            None => Vec::new(),
        };
        let ends = of_kind(LOAD).map(|it| it.offset.checked_add(it.size));
        let loaded = ends.collect::<Option<Vec<_>>>()?.into_iter().max()?;
        (loaded <= self.0.len()).then_some(ElfProgram {
            architecture,
            loader,
            needed,
            loaded,
        })
    }

    /// The libraries that a dynamic section names.
    fn needed(&self, dynamic: &ProgramHeader, headers: &[ProgramHeader]) -> Option<Vec<String>> {
        let entries = (0..dynamic.size / 16).map(|index| {
            let at = dynamic.offset.checked_add(index * 16)?;
            Some((self.long(at)?, self.long(at + 8)?))
        });
        let entries: Vec<(u64, u64)> = entries.collect::<Option<_>>()?;
        let used = || entries.iter().take_while(|(tag, _)| *tag != 0);
        let Some((_, table)) = used().find(|(tag, _)| *tag == STRING_TABLE) else {
            return Some(Vec::new());
        };
        let loaded = headers.iter().filter(|it| it.kind == LOAD);
        let mut places = loaded.filter_map(|it| {
            let below = usize::try_from(table.checked_sub(it.address)?).ok()?;
            (below < it.size).then(|| it.offset.checked_add(below))?
        });
        let table = places.next()?;
        let names = used().filter(|(tag, _)| *tag == NEEDED);
        names
            .map(|(_, offset)| self.text(table.checked_add(usize::try_from(*offset).ok()?)?))
            .collect()
    }
}

/// Reads a program's headers.
///
/// # Errors
///
/// It is no program for Linux on a processor that images are made for.
pub fn read(path: &Path, bytes: &[u8]) -> Result<ElfProgram, ContainerError> {
    ElfBytes(bytes)
        .parse()
        .ok_or_else(|| ContainerError::Program {
            path: path.to_owned(),
            reason: "expected a Linux program (ELF, 64 bits, x86-64 or arm64)".to_owned(),
        })
}

/// The bytes of a program without what is not loaded: symbols, debugging data and the table of
/// sections, which is at the end and which the header then no longer names.
pub fn loaded_part(program: &ElfProgram, bytes: &[u8]) -> Vec<u8> {
    let mut part = bytes[..program.loaded.max(HEADER).min(bytes.len())].to_vec();
    // The offset of the table of sections, then the size, the number and the names of its entries.
    for range in [40..48, 58..64] {
        if let Some(bytes) = part.get_mut(range) {
            bytes.fill(0);
        }
    }
    part
}

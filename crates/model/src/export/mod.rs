//! Adapters in the forms that other programs load: PEFT's folder, a base with the adapter added, an
//! adapter file of llama.cpp, and the file of diffusers for adapters that make pictures.
//!
//! Each form computes what the adapter computes over its base, or is refused with the reason. Nothing
//! that exists is replaced.

mod diffusers;
mod error;
mod gguf;
mod merged;

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

pub use self::{
    diffusers::{DIFFUSERS_FILE, write_diffusers},
    error::AdapterExportError,
    gguf::{GgufAdapterNames, gguf_adapter, write_gguf},
    merged::{MergeProgress, write_merged},
};
use crate::adapter::{CONFIG_FILE, LoraAdapter, WEIGHTS_FILE};
use openlora_core::atomic::{self, FolderDraft};

/// Texts that are copied from the folder of an adapter if it has them.
const TEXTS: &[&str] = &["LICENSE", "README.md"];

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenExport {
    pub path: PathBuf,
    /// Names of the files, sorted; for a single file, its own.
    pub files: Vec<String>,
    /// Size of all of them.
    pub bytes: u64,
}

/// Writes the two files of PEFT to the new folder `out`, byte for byte as they were read, and the
/// adapter's model card and licence.
///
/// # Errors
///
/// `out` exists and is not an empty folder, or the disk.
pub fn write_peft(adapter: &LoraAdapter, out: &Path) -> Result<WrittenExport, AdapterExportError> {
    let draft = new_folder(out)?;
    for name in [CONFIG_FILE, WEIGHTS_FILE] {
        copy(&adapter.dir, name, &draft, out)?;
    }
    for name in TEXTS {
        if adapter.dir.join(name).is_file() {
            copy(&adapter.dir, name, &draft, out)?;
        }
    }
    finish_folder(draft, out)
}

fn copy(
    from: &Path,
    name: &str,
    draft: &FolderDraft,
    out: &Path,
) -> Result<(), AdapterExportError> {
    let path = from.join(name);
    let bytes = fs::read(&path).map_err(AdapterExportError::io("read", &path))?;
    let written = draft.write(name, &bytes);
    written.map_err(AdapterExportError::io("write", &out.join(name)))
}

/// A draft for `out`, beside it.
fn new_folder(out: &Path) -> Result<FolderDraft, AdapterExportError> {
    let mut entries = match fs::read_dir(out) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return draft_beside(out),
        Err(error) if error.kind() == ErrorKind::NotADirectory => {
            let path = out.to_owned();
            return Err(AdapterExportError::Exists { path });
        }
        Err(error) => return Err(AdapterExportError::io("read", out)(error)),
    };
    match entries.next() {
        None => draft_beside(out),
        Some(_) => Err(AdapterExportError::Exists {
            path: out.to_owned(),
        }),
    }
}

fn draft_beside(out: &Path) -> Result<FolderDraft, AdapterExportError> {
    let parent = atomic::parent(out);
    FolderDraft::in_folder(parent).map_err(AdapterExportError::io("write in", parent))
}

fn finish_folder(draft: FolderDraft, out: &Path) -> Result<WrittenExport, AdapterExportError> {
    let fail = AdapterExportError::io("write", out);
    let listed = fs::read_dir(draft.path()).and_then(|entries| {
        let mut files = Vec::new();
        let mut bytes = 0;
        for entry in entries {
            let entry = entry?;
            bytes += entry.metadata()?.len();
            files.push(entry.file_name().to_string_lossy().into_owned());
        }
        files.sort();
        Ok((files, bytes))
    });
    let moved = listed.and_then(|listed| {
        draft.open_to_everyone()?;
        draft.replace(out)?;
        Ok(listed)
    });
    let (files, bytes) = moved.map_err(fail)?;
    Ok(WrittenExport {
        path: out.to_owned(),
        files,
        bytes,
    })
}

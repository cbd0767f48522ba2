//! GGUF files as bases: a file of llama.cpp, Ollama or LM Studio becomes a folder in the Hugging Face
//! layout, which everything else reads.
//!
//! The folder is in the cache of models, named by the file's SHA-256, and is made once. Its files are
//! listed with their digests, so that a damaged folder is noticed and made again. Folders that were not
//! used for longest are removed when others are made. The identity of the base is the SHA-256 of the GGUF file itself, whatever its name is and wherever the folder.

mod blocks;
mod cache;
mod convert;
mod header;
mod layout;
mod metadata;
mod pretokenizer;
mod vocabulary;

use std::{
    collections::BTreeMap,
    fs::{File, TryLockError},
    io::{self, Read, Seek},
    path::{Path, PathBuf},
    time::SystemTime,
};

use rayon::prelude::*;
use sha2::{Digest, Sha256};

pub(crate) use self::layout::{architecture_in_gguf, interleave_heads, tensor_in_gguf};
pub use self::{
    blocks::BlockType,
    cache::{ConversionLease, MOST_CONVERSIONS, MOST_CONVERTED_BYTES},
};
use self::{
    convert::SafetensorsPlan,
    header::{GgufHeader, HeaderError, has_magic},
    layout::{GgufLayout, read_layout},
    metadata::GgufMetadata,
    vocabulary::read_vocabulary,
};
use super::{
    error::{GgufProblem, ModelError},
    text::{ModelTextError, TextCodec},
    weight_files::SINGLE,
};
use openlora_core::{
    atomic::{self, FolderDraft},
    disk,
    private::files,
};

/// The folder of conversions in the cache of models.
pub const GGUF_FOLDER: &str = "gguf";
/// Changes when the same file would give another folder.
const FORMAT: &str = "1";
/// The list of a folder's files, as `sha256sum` writes it.
const LIST: &str = "SHA256SUMS";
/// Left free on the disk.
const RESERVE: u64 = 64 << 20;
const MEGABYTE: u64 = 1_000_000;

/// The GGUF file that a base comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GgufSource {
    pub path: PathBuf,
    /// SHA-256 of the file.
    pub sha256: [u8; 32],
    /// Size of the file in bytes.
    pub size: u64,
    /// The type of most of its weights.
    pub kind: BlockType,
}

/// Progress of a conversion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConversionProgress {
    /// Another process converts the same file.
    Waiting {
        file: String,
    },
    Started {
        file: String,
        kind: BlockType,
        /// Size of the result.
        bytes: u64,
    },
    /// Bytes that were written since the last report.
    Advanced {
        bytes: u64,
    },
    Finished,
}

/// A converted file.
#[derive(Clone, Debug)]
pub struct ConvertedModel {
    /// The folder in Hugging Face layout.
    pub dir: PathBuf,
    pub source: GgufSource,
    /// Keeps the folder; absent where the cache cannot be written, and so not tidied either.
    pub lease: Option<ConversionLease>,
}

/// Whether a file is to be opened as GGUF: by its first bytes or its name.
pub fn is_gguf(path: &Path) -> Result<bool, ModelError> {
    let found = File::open(path).and_then(|file| has_magic(&file));
    Ok(found.map_err(ModelError::io("read", path))? || is_named_gguf(path))
}

/// Whether a file's name ends in `.gguf`.
pub fn is_named_gguf(path: &Path) -> bool {
    let extension = path.extension();
    extension.is_some_and(|it| it.eq_ignore_ascii_case("gguf"))
}

/// What a folder without `config.json` is, if it is one in which a program keeps GGUF files.
pub fn refuse_store(dir: &Path) -> Option<ModelError> {
    if is_ollama_store(dir) {
        let dir = dir.to_owned();
        return Some(ModelError::OllamaStore { dir });
    }
    let file = find_model(dir, DEEPEST)?;
    let dir = dir.to_owned();
    Some(ModelError::GgufFolder { dir, file })
}

/// Levels of folders below the one that is named: LM Studio has publisher and model.
const DEEPEST: usize = 2;

/// The first GGUF file of a folder or those below it, in the order of names. Projectors of
/// multimodal models are left out.
fn find_model(dir: &Path, depth: usize) -> Option<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    let is_model = |path: &&PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        is_named_gguf(path) && !name.contains("mmproj") && path.is_file()
    };
    let inside = || {
        let folders = paths.iter().filter(|path| path.is_dir());
        (depth > 0).then(|| {
            folders
                .into_iter()
                .find_map(|path| find_model(path, depth - 1))
        })
    };
    paths.iter().find(is_model).cloned().or_else(|| inside()?)
}

/// Whether a folder is one of Ollama, whose files are named by digests.
fn is_ollama_store(dir: &Path) -> bool {
    let has_both = |dir: &Path| dir.join("manifests").is_dir() && dir.join("blobs").is_dir();
    has_both(dir) || has_both(&dir.join("models")) || dir.parent().is_some_and(has_both)
}

/// The folder of a GGUF file below `models_dir`, which is made if it is missing or damaged.
pub fn convert(
    path: &Path,
    models_dir: &Path,
    report: &mut dyn FnMut(ConversionProgress),
) -> Result<ConvertedModel, ModelError> {
    GgufFile::open(path)?.converted(models_dir, report)
}

/// The number of weights in a file, from its header.
pub fn count_parameters(path: &Path) -> Result<u64, ModelError> {
    let file = GgufFile::open(path)?;
    let weights = |tensor: &header::GgufTensor| tensor.shape.iter().product::<u64>();
    Ok(file.header.tensors.values().map(weights).sum())
}

/// An open file whose header was read and found usable.
struct GgufFile<'a> {
    path: &'a Path,
    file: File,
    /// Size and time of the last change when it was opened.
    state: (u64, SystemTime),
    header: GgufHeader,
    layout: GgufLayout,
}

impl<'a> GgufFile<'a> {
    fn open(path: &'a Path) -> Result<Self, ModelError> {
        let file = File::open(path).map_err(ModelError::io("read", path))?;
        let state = state(&file).map_err(ModelError::io("read", path))?;
        let header = GgufHeader::read(&file, state.0).map_err(|error| match error {
            HeaderError::Problem(problem) => ModelError::gguf(path)(problem),
            HeaderError::Io(error) => ModelError::io("read", path)(error),
        })?;
        let floats =
            |tensor: &_| convert::read_floats(&file, tensor).map_err(ModelError::io("read", path));
        let layout = read_layout(&header, path, floats)?;
        Ok(Self {
            path,
            file,
            state,
            header,
            layout,
        })
    }

    fn converted(
        &self,
        models_dir: &Path,
        report: &mut dyn FnMut(ConversionProgress),
    ) -> Result<ConvertedModel, ModelError> {
        let source = GgufSource {
            path: self.path.to_owned(),
            sha256: self.sha256().map_err(ModelError::io("read", self.path))?,
            size: self.state.0,
            kind: self.kind(),
        };
        // Its own folder: what a crash left there can be removed by whoever holds the lock.
        let home = models_dir
            .join(GGUF_FOLDER)
            .join(hex::encode(source.sha256));
        let dir = home.join(FORMAT);
        let mut lease = match home.is_dir() {
            true => ConversionLease::take(&home).ok(),
            false => None,
        };
        if !is_whole(&dir) {
            files::new_folder(&home).map_err(ModelError::io("create", &home))?;
            if lease.is_none() {
                let taken = ConversionLease::take(&home);
                lease = Some(taken.map_err(ModelError::io("lock", &home))?);
                // Whoever removed it before the lease was taken removed the folder too.
                files::new_folder(&home).map_err(ModelError::io("create", &home))?;
            }
            let lock = self.lock(&home, report)?;
            if !is_whole(&dir) {
                self.make(&home, &dir, report)?;
            }
            drop(lock);
        }
        if let Some(lease) = &lease {
            // Without a note, it counts as used when it was the last time.
            let _ = lease.note(self.path);
        }
        Ok(ConvertedModel { dir, source, lease })
    }

    fn sha256(&self) -> io::Result<[u8; 32]> {
        let mut file = &self.file;
        file.rewind()?;
        sha256_of(&mut file)
    }

    /// The type of most of the weights.
    fn kind(&self) -> BlockType {
        let mut weights: BTreeMap<BlockType, u64> = BTreeMap::new();
        for tensor in self.header.tensors.values() {
            *weights.entry(tensor.kind).or_default() += tensor.shape.iter().product::<u64>();
        }
        let most = weights.into_iter().max_by_key(|(_, count)| *count);
        most.map_or(BlockType::F32, |(kind, _)| kind)
    }

    fn name(&self) -> String {
        let name = self.path.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    /// Waits until no other process makes the same folder.
    fn lock(
        &self,
        home: &Path,
        report: &mut dyn FnMut(ConversionProgress),
    ) -> Result<File, ModelError> {
        let path = home.join("lock");
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false);
        let file = files::open(&mut options, &path).map_err(ModelError::io("open", &path))?;
        let locked = match file.try_lock() {
            Ok(()) => Ok(()),
            Err(TryLockError::WouldBlock) => {
                report(ConversionProgress::Waiting { file: self.name() });
                file.lock()
            }
            Err(TryLockError::Error(error)) => Err(error),
        };
        locked.map_err(ModelError::io("lock", &path))?;
        Ok(file)
    }

    /// Makes the folder, while the lock is held.
    fn make(
        &self,
        home: &Path,
        dir: &Path,
        report: &mut dyn FnMut(ConversionProgress),
    ) -> Result<(), ModelError> {
        let gguf = ModelError::gguf(self.path);
        let metadata = GgufMetadata::new(&self.header.metadata).map_err(&gguf)?;
        let text = read_vocabulary(metadata, self.layout.vocabulary).map_err(&gguf)?;
        let plan = SafetensorsPlan::new(&self.layout.tensors);
        atomic::recover_folders(home).map_err(ModelError::io("tidy", home))?;
        cache::make_room(atomic::parent(home), home, plan.size);
        self.require_space(home, plan.size)?;
        let draft = FolderDraft::in_folder(home).map_err(ModelError::io("create", home))?;
        let small = [
            ("config.json", &self.layout.config),
            ("generation_config.json", &text.generation),
            ("tokenizer.json", &text.tokenizer),
            ("tokenizer_config.json", &text.settings),
        ];
        let mut list = String::new();
        for (name, value) in small {
            let bytes = value.to_string().into_bytes();
            let written = draft.write(name, &bytes);
            written.map_err(ModelError::io("write", draft.path().join(name)))?;
            list += &line(&hex::encode(Sha256::digest(&bytes)), name);
        }
        TextCodec::open(draft.path()).map_err(|error| {
            let reason = tokenizer_reason(error);
            gguf(GgufProblem::Tokenizer { reason })
        })?;
        list += &line(&self.write_weights(&draft, &plan, report)?, SINGLE);
        let written = draft.write(LIST, list.as_bytes());
        written.map_err(ModelError::io("write", draft.path().join(LIST)))?;
        if state(&self.file).ok() != Some(self.state) {
            return Err(gguf(GgufProblem::Changed));
        }
        draft.replace(dir).map_err(ModelError::io("write", dir))
    }

    fn write_weights(
        &self,
        draft: &FolderDraft,
        plan: &SafetensorsPlan<'_>,
        report: &mut dyn FnMut(ConversionProgress),
    ) -> Result<String, ModelError> {
        report(ConversionProgress::Started {
            file: self.name(),
            kind: self.kind(),
            bytes: plan.size,
        });
        let path = draft.path().join(SINGLE);
        let written = draft.new_file(SINGLE).and_then(|mut target| {
            let mut advance = |bytes| report(ConversionProgress::Advanced { bytes });
            plan.write(&self.file, &mut target, &mut advance)
        });
        let written = written.map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => ModelError::gguf(self.path)(GgufProblem::Changed),
            _ => ModelError::io("write", &path)(error),
        })?;
        report(ConversionProgress::Finished);
        Ok(written.sha256)
    }

    fn require_space(&self, home: &Path, size: u64) -> Result<(), ModelError> {
        let free = disk::free_space(home).map_err(ModelError::io("measure", home))?;
        let needed = size.saturating_add(RESERVE);
        if free >= needed {
            return Ok(());
        }
        Err(ModelError::gguf(self.path)(GgufProblem::Space {
            needed: needed.div_ceil(MEGABYTE),
            free: free / MEGABYTE,
            folder: home.display().to_string(),
        }))
    }
}

fn state(file: &File) -> io::Result<(u64, SystemTime)> {
    let found = file.metadata()?;
    Ok((found.len(), found.modified()?))
}

fn line(sha256: &str, name: &str) -> String {
    format!("{sha256}  {name}\n")
}

/// Whether a folder has every file that its list names, unchanged.
fn is_whole(dir: &Path) -> bool {
    let Ok(list) = std::fs::read_to_string(dir.join(LIST)) else {
        return false;
    };
    let lines: Vec<&str> = list.lines().collect();
    let is_right = |entry: &&str| {
        let Some((expected, name)) = entry.split_once("  ") else {
            return false;
        };
        let found = File::open(dir.join(name)).and_then(|mut file| sha256_of(&mut file));
        found.is_ok_and(|found| hex::encode(found) == expected)
    };
    !lines.is_empty() && lines.par_iter().all(is_right)
}

/// SHA-256 of what is left to read.
pub(super) fn sha256_of(source: &mut impl Read) -> io::Result<[u8; 32]> {
    let mut hasher = Sha256::new();
    io::copy(source, &mut hasher)?;
    Ok(hasher.finalize().into())
}

/// Why a tokenizer that was made here is refused, without the place in its temporary file.
fn tokenizer_reason(error: ModelTextError) -> String {
    match error {
        ModelTextError::NotTokenizer { reason, .. } => {
            let place = reason.rfind(" at line ");
            reason[..place.unwrap_or(reason.len())].to_owned()
        }
        ModelTextError::BadTemplate { reason, .. } => {
            format!("its chat template is not valid: {reason}")
        }
        other => other.to_string(),
    }
}

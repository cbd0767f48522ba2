//! The base model of a run: a folder with config, tokenizer and weights, and its digest. A GGUF file
//! is converted to such a folder first. A base is one of text or one of pictures.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::{
    config::ModelConfig,
    error::ModelError,
    gguf::{self, ConversionLease, ConversionProgress, GgufSource},
    hub::{self, DownloadProgress, HubRequest},
    nano::{NANO, PICO, unpack_nano, unpack_pico},
    picture_base::{DenoiserFolder, PictureBase, find_denoiser},
    shapes::parameters,
    weight_files::weight_files,
};

const CONFIG: &str = "config.json";

/// The requested base, and where bases are stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseRequest {
    /// `nano`, `pico`, a folder, a GGUF file, or a Hub id such as `Qwen/Qwen3-0.6B`.
    pub id: String,
    /// Hub branch, tag or commit.
    pub revision: String,
    /// Hub address.
    pub endpoint: String,
    /// Cache for downloaded and converted models.
    pub models_dir: PathBuf,
    /// The embedded bases are unpacked below this folder.
    pub nano_dir: PathBuf,
    /// Access token for gated models.
    pub token: Option<HubToken>,
    /// Never use the network.
    pub offline: bool,
}

/// An access token of the Hub; never displayed.
#[derive(Clone, PartialEq, Eq)]
pub struct HubToken(pub String);

impl fmt::Debug for HubToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HubToken(hidden)")
    }
}

/// An open base.
#[derive(Clone, Debug)]
pub struct BaseModel {
    pub id: String,
    /// The commit, for a base from the Hub.
    pub revision: Option<String>,
    pub dir: PathBuf,
    pub config: ModelConfig,
    /// SHA-256, hex, binding config, weights and tokenizer: for a GGUF file, that of the file.
    pub digest: String,
    /// The file that the folder was made from, for a base in GGUF.
    pub gguf: Option<GgufSource>,
    /// Keeps that folder in the cache, for a base in GGUF.
    pub lease: Option<ConversionLease>,
}

/// An open base of either kind.
#[derive(Clone, Debug)]
pub enum SelectedBase {
    Text(Box<BaseModel>),
    Pictures(Box<PictureBase>),
}

/// Progress of opening a base.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BaseProgress {
    Download(DownloadProgress),
    Conversion(ConversionProgress),
}

impl BaseModel {
    /// Opens a folder in HF layout.
    pub fn open_dir(id: &str, dir: &Path) -> Result<Self, ModelError> {
        let config = ModelConfig::read(&dir.join(CONFIG))?;
        let digest = digest(dir)?;
        Ok(Self {
            id: id.to_owned(),
            revision: None,
            dir: dir.to_owned(),
            config,
            digest,
            gguf: None,
            lease: None,
        })
    }

    /// The safetensors files that hold the weights, sorted.
    pub fn weight_files(&self) -> Result<Vec<PathBuf>, ModelError> {
        weight_files(&self.dir)
    }
}

/// SHA-256 over one line `<sha256 of the file>  <name>` for each file that defines the base, sorted
/// by name.
fn digest(dir: &Path) -> Result<String, ModelError> {
    let mut files = weight_files(dir)?;
    let others = [
        CONFIG,
        "tokenizer.json",
        "tokenizer_config.json",
        "chat_template.jinja",
    ];
    files.extend(
        others
            .iter()
            .map(|name| dir.join(name))
            .filter(|path| path.exists()),
    );
    files.sort();
    let lines: Vec<String> = files
        .par_iter()
        .map(|path| digest_line(path))
        .collect::<Result<_, _>>()?;
    Ok(hex::encode(Sha256::digest(lines.concat())))
}

fn digest_line(path: &Path) -> Result<String, ModelError> {
    let sha256 = std::fs::File::open(path).and_then(|mut file| gguf::sha256_of(&mut file));
    let sha256 = sha256.map_err(ModelError::io("read", path))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Ok(format!("{}  {name}\n", hex::encode(sha256)))
}

/// Opens the base for text that `request` names: the embedded one, a folder, a GGUF file, which is
/// converted first, or a Hub repository, which is downloaded first. Safe to call on any thread;
/// `report` receives the progress of downloads and conversions.
///
/// # Errors
///
/// There is no such base, or it is one for pictures.
pub fn open_base(
    request: &BaseRequest,
    report: &mut dyn FnMut(BaseProgress),
) -> Result<BaseModel, ModelError> {
    match select_base(request, report)? {
        SelectedBase::Text(base) => Ok(*base),
        SelectedBase::Pictures(base) => Err(ModelError::MakesPictures { id: base.id }),
    }
}

/// Opens the base for pictures that `request` names, like [`open_base`].
///
/// # Errors
///
/// There is no such base, or it is one for text.
pub fn open_picture_base(
    request: &BaseRequest,
    report: &mut dyn FnMut(BaseProgress),
) -> Result<PictureBase, ModelError> {
    match select_base(request, report)? {
        SelectedBase::Pictures(base) => Ok(*base),
        SelectedBase::Text(base) => Err(ModelError::MakesText { id: base.id }),
    }
}

/// Opens the base of either kind that `request` names, like [`open_base`].
///
/// # Errors
///
/// There is no such base.
pub fn select_base(
    request: &BaseRequest,
    report: &mut dyn FnMut(BaseProgress),
) -> Result<SelectedBase, ModelError> {
    let text = |base| Ok(SelectedBase::Text(Box::new(base)));
    if request.id == NANO {
        return text(BaseModel::open_dir(NANO, &unpack_nano(&request.nano_dir)?)?);
    }
    if request.id == PICO {
        let dir = unpack_pico(&request.nano_dir)?;
        let found = find_denoiser(&dir)?.ok_or(ModelError::NotBase { dir })?;
        return pictures(request, found, report);
    }
    let path = Path::new(&request.id);
    if path.is_dir() {
        return match find_denoiser(path)? {
            Some(found) => pictures(request, found, report),
            None => text(open_folder(&request.id, path)?),
        };
    }
    if path.exists() {
        return text(open_file(request, path, report)?);
    }
    if gguf::is_named_gguf(path) {
        return Err(ModelError::NoFile {
            path: path.to_owned(),
        });
    }
    if !is_hub_id(&request.id) {
        return Err(ModelError::BaseId {
            found: request.id.clone(),
        });
    }
    let mut downloads = |progress| report(BaseProgress::Download(progress));
    let snapshot = hub::fetch(&request.hub(), &mut downloads)?;
    let revision = Some(snapshot.commit);
    if let Some(found) = find_denoiser(&snapshot.dir)? {
        let base = open_pictures(request, found, report)?;
        let base = PictureBase { revision, ..base };
        return Ok(SelectedBase::Pictures(Box::new(base)));
    }
    let base = BaseModel::open_dir(&request.id, &snapshot.dir)?;
    text(BaseModel { revision, ..base })
}

fn pictures(
    request: &BaseRequest,
    found: DenoiserFolder,
    report: &mut dyn FnMut(BaseProgress),
) -> Result<SelectedBase, ModelError> {
    let base = open_pictures(request, found, report)?;
    Ok(SelectedBase::Pictures(Box::new(base)))
}

/// With the model that reads captions: the one beside it, `nano`, or one of the Hub.
fn open_pictures(
    request: &BaseRequest,
    found: DenoiserFolder,
    report: &mut dyn FnMut(BaseProgress),
) -> Result<PictureBase, ModelError> {
    if let Some(dir) = found.text_dir() {
        return found.open(&request.id, dir);
    }
    let text_id = found.text_id()?;
    if text_id == NANO {
        let dir = unpack_nano(&request.nano_dir)?;
        return found.open(&request.id, dir);
    }
    if !is_hub_id(text_id) {
        return Err(ModelError::BaseId {
            found: text_id.to_owned(),
        });
    }
    let reader = HubRequest {
        id: text_id.to_owned(),
        revision: "main".to_owned(),
        ..request.hub()
    };
    let mut downloads = |progress| report(BaseProgress::Download(progress));
    let snapshot = hub::fetch(&reader, &mut downloads)?;
    found.open(&request.id, snapshot.dir)
}

/// The number of weights of a base for text, without opening it: counted for a folder or a GGUF file, and read
/// from the name of a Hub id, such as 135 million for `SmolLM2-135M`. `None` if the name does not say
/// it.
///
/// # Errors
///
/// `id` is no base for text: neither `nano`, a folder, a GGUF file nor a Hub id.
pub fn base_size(id: &str) -> Result<Option<u64>, ModelError> {
    let path = Path::new(id);
    if id == PICO || path.is_dir() && find_denoiser(path)?.is_some() {
        return Err(ModelError::MakesPictures { id: id.to_owned() });
    }
    if path.is_dir() && path.join(CONFIG).exists() {
        let config = ModelConfig::read(&path.join(CONFIG))?;
        return Ok(Some(parameters(&config)));
    }
    if path.is_file() && gguf::is_gguf(path)? {
        return gguf::count_parameters(path).map(Some);
    }
    if path.exists() || gguf::is_named_gguf(path) {
        let path = path.to_owned();
        return Err(match (path.is_dir(), path.exists()) {
            (true, _) => ModelError::NotBase { dir: path },
            (false, true) => ModelError::NotFolder { path },
            (false, false) => ModelError::NoFile { path },
        });
    }
    if id != NANO && !is_hub_id(id) {
        return Err(ModelError::BaseId {
            found: id.to_owned(),
        });
    }
    Ok(size_in_name(id))
}

/// The first part of a name that is a number of millions or billions, such as `135M` or `0.6B`.
fn size_in_name(name: &str) -> Option<u64> {
    let size = |part: &str| {
        let (digits, unit) = part.split_at_checked(part.len().checked_sub(1)?)?;
        let scale = match unit {
            "M" | "m" => 1e6,
            "B" | "b" => 1e9,
            _ => return None,
        };
        let number = digits.parse::<f64>().ok().filter(|it| *it > 0.0)?;
        Some((number * scale) as u64)
    };
    name.split(['/', '-', '_']).find_map(size)
}

fn open_folder(id: &str, dir: &Path) -> Result<BaseModel, ModelError> {
    if dir.join(CONFIG).exists() {
        return BaseModel::open_dir(id, dir);
    }
    Err(
        gguf::refuse_store(dir).unwrap_or_else(|| ModelError::NotBase {
            dir: dir.to_owned(),
        }),
    )
}

fn open_file(
    request: &BaseRequest,
    path: &Path,
    report: &mut dyn FnMut(BaseProgress),
) -> Result<BaseModel, ModelError> {
    if !gguf::is_gguf(path)? {
        return Err(ModelError::NotFolder {
            path: path.to_owned(),
        });
    }
    let mut conversions = |progress| report(BaseProgress::Conversion(progress));
    let converted = gguf::convert(path, &request.models_dir, &mut conversions)?;
    Ok(BaseModel {
        id: request.id.clone(),
        revision: None,
        config: ModelConfig::read(&converted.dir.join("config.json"))?,
        dir: converted.dir,
        digest: hex::encode(converted.source.sha256),
        gguf: Some(converted.source),
        lease: converted.lease,
    })
}

impl BaseRequest {
    fn hub(&self) -> HubRequest {
        HubRequest {
            id: self.id.clone(),
            revision: self.revision.clone(),
            endpoint: self.endpoint.clone(),
            cache_dir: self.models_dir.clone(),
            token: self.token.as_ref().map(|token| token.0.clone()),
            offline: self.offline,
        }
    }
}

/// `owner/name`, of the characters that the Hub allows.
fn is_hub_id(id: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
    };
    id.split_once('/')
        .is_some_and(|(owner, name)| part(owner) && part(name))
}

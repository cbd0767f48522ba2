//! The base model of a run: a folder with config, tokenizer and weights, and its digest.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::{
    config::ModelConfig,
    error::ModelError,
    hub::{self, DownloadProgress, HubRequest},
    nano::{NANO, unpack_nano},
    weight_files::weight_files,
};

const CONFIG: &str = "config.json";

/// The requested base, and where bases are stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseRequest {
    /// `nano`, a folder, or a Hub id such as `Qwen/Qwen3-0.6B`.
    pub id: String,
    /// Hub branch, tag or commit.
    pub revision: String,
    /// Hub address.
    pub endpoint: String,
    /// Cache for downloaded models.
    pub models_dir: PathBuf,
    /// The embedded base is unpacked below this folder.
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
    /// SHA-256, hex, binding config, weights and tokenizer.
    pub digest: String,
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
        })
    }
}

impl BaseModel {
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
    let mut file = std::fs::File::open(path).map_err(ModelError::io("read", path))?;
    let mut hasher = Sha256::new();
    std::io::copy(&mut file, &mut hasher).map_err(ModelError::io("read", path))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Ok(format!("{}  {name}\n", hex::encode(hasher.finalize())))
}

/// Opens the base that `request` names: the embedded one, a folder, or a Hub repository, which is
/// downloaded first. Safe to call on any thread; `report` receives the progress of downloads.
pub fn open_base(
    request: &BaseRequest,
    report: &mut dyn FnMut(DownloadProgress),
) -> Result<BaseModel, ModelError> {
    if request.id == NANO {
        return BaseModel::open_dir(NANO, &unpack_nano(&request.nano_dir)?);
    }
    let path = Path::new(&request.id);
    if path.is_dir() {
        return match path.join(CONFIG).exists() {
            true => BaseModel::open_dir(&request.id, path),
            false => Err(ModelError::NotBase {
                dir: path.to_owned(),
            }),
        };
    }
    if path.exists() {
        return Err(ModelError::NotFolder {
            path: path.to_owned(),
        });
    }
    if !is_hub_id(&request.id) {
        return Err(ModelError::BaseId {
            found: request.id.clone(),
        });
    }
    let snapshot = hub::fetch(&request.hub(), report)?;
    let base = BaseModel::open_dir(&request.id, &snapshot.dir)?;
    Ok(BaseModel {
        revision: Some(snapshot.commit),
        ..base
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

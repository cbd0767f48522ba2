//! A base that makes pictures: a folder with the denoiser's config and weights, and the folder of the
//! language model that reads captions for it.
//!
//! Three layouts are read: `config.json` and weights in one folder, as the embedded base `pico` has
//! them; the folder `transformer` of diffusers; and the Hub's MiniT2I, which has a folder for each
//! size. What the denoiser computes is not known here.

use std::path::{Path, PathBuf};

use openlora_core::error::describe_decoding;
use rayon::prelude::*;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::{
    error::ModelError,
    gguf,
    shapes::ModuleShape,
    weight_files::{PICTURE_INDEX, PICTURE_SINGLE, weight_files, weight_files_named},
    weights::WeightFiles,
};

/// What manifests call the architecture of such a base.
pub const PICTURE_ARCHITECTURE: &str = "minit2i";
/// The class of the denoiser in a config of diffusers.
const DENOISER_CLASS: &str = "MiniT2IMMJiTModel";
/// Where the denoiser is in a folder, in the order in which they are tried.
pub(super) const DENOISER_FOLDERS: [&str; 3] = ["", "transformer", "minit2i-b-16/transformer"];
/// Where the model that reads captions is beside the denoiser.
pub(super) const TEXT_FOLDER: &str = "text_encoder";
const CONFIG: &str = "config.json";
/// Files of the model that reads captions, besides its weights.
const TEXT_FILES: [&str; 3] = [CONFIG, "tokenizer.json", "tokenizer_config.json"];

/// An open base for pictures.
#[derive(Clone, Debug, PartialEq)]
pub struct PictureBase {
    pub id: String,
    /// The commit, for a base from the Hub.
    pub revision: Option<String>,
    /// The denoiser: `config.json` and weights.
    pub dir: PathBuf,
    /// The model that reads captions: config, tokenizer and weights.
    pub text_dir: PathBuf,
    /// `config.json` of the denoiser.
    pub config: Map<String, Value>,
    /// The linear layers that an adapter may adapt, sorted by path.
    pub modules: Vec<ModuleShape>,
    /// Number of weights of the denoiser.
    pub parameters: u64,
    /// SHA-256, hex, binding config and weights of the denoiser and of the model that reads captions.
    pub digest: String,
}

/// The denoiser's folder in `root`, and its config; `None` if `root` has no base for pictures.
///
/// # Errors
///
/// A `config.json` that cannot be read or is no JSON object.
pub(super) fn find_denoiser(root: &Path) -> Result<Option<DenoiserFolder>, ModelError> {
    for folder in DENOISER_FOLDERS {
        let dir = match folder {
            "" => root.to_owned(),
            folder => root.join(folder),
        };
        let path = dir.join(CONFIG);
        if !path.is_file() {
            continue;
        }
        let config = read_object(&path)?;
        if is_denoiser(&config) {
            let root = root.to_owned();
            return Ok(Some(DenoiserFolder { root, dir, config }));
        }
    }
    Ok(None)
}

fn read_object(path: &Path) -> Result<Map<String, Value>, ModelError> {
    let text = std::fs::read_to_string(path).map_err(ModelError::io("read", path))?;
    serde_json::from_str(&text).map_err(|error| ModelError::Json {
        path: path.to_owned(),
        reason: describe_decoding(&error),
    })
}

fn is_denoiser(config: &Map<String, Value>) -> bool {
    let is = |key: &str, value: &str| config.get(key).is_some_and(|found| found == value);
    is("_class_name", DENOISER_CLASS) || is("model_type", PICTURE_ARCHITECTURE)
}

/// A denoiser on the disk.
pub(super) struct DenoiserFolder {
    root: PathBuf,
    dir: PathBuf,
    config: Map<String, Value>,
}

impl DenoiserFolder {
    /// The folder of the model that reads captions, if it is beside the denoiser.
    pub fn text_dir(&self) -> Option<PathBuf> {
        let places = [&self.root, &self.dir].map(|place| place.join(TEXT_FOLDER));
        places.into_iter().find(|dir| dir.join(CONFIG).is_file())
    }

    /// The base whose hidden states the denoiser reads: `nano`, a folder or a Hub id.
    ///
    /// # Errors
    ///
    /// The config names none.
    pub fn text_id(&self) -> Result<&str, ModelError> {
        let named = self.config.get("llm").and_then(Value::as_str);
        named
            .filter(|id| !id.is_empty())
            .ok_or_else(|| ModelError::Config {
                path: self.dir.join(CONFIG),
                key: "llm".to_owned(),
                expected: "the base that reads captions".to_owned(),
                found: "not there".to_owned(),
            })
    }

    /// Opens the base, with the model that reads captions in `text_dir`.
    ///
    /// # Errors
    ///
    /// Missing or damaged files.
    pub fn open(self, id: &str, text_dir: PathBuf) -> Result<PictureBase, ModelError> {
        let weights = WeightFiles::open_files(&self.dir, picture_weight_files(&self.dir)?)?;
        let digest = digest(&self.dir, &text_dir)?;
        Ok(PictureBase {
            id: id.to_owned(),
            revision: None,
            modules: weights.matrices(),
            parameters: weights.elements(),
            dir: self.dir,
            text_dir,
            config: self.config,
            digest,
        })
    }
}

impl PictureBase {
    /// The files that hold the denoiser's weights, sorted.
    ///
    /// # Errors
    ///
    /// There are none.
    pub fn weight_files(&self) -> Result<Vec<PathBuf>, ModelError> {
        picture_weight_files(&self.dir)
    }

    /// Every file that determines what the base computes, by its name in manifests and sorted by it:
    /// the denoiser's own names, and those of the model that reads captions below `text_encoder/`.
    ///
    /// # Errors
    ///
    /// Weights are missing.
    pub fn files(&self) -> Result<Vec<PictureBaseFile>, ModelError> {
        files(&self.dir, &self.text_dir)
    }
}

/// A file of a base for pictures.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PictureBaseFile {
    pub name: String,
    pub path: PathBuf,
    pub is_weights: bool,
}

fn files(dir: &Path, text_dir: &Path) -> Result<Vec<PictureBaseFile>, ModelError> {
    let named = |prefix: &str, path: PathBuf, is_weights| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        PictureBaseFile {
            name: format!("{prefix}{name}"),
            path,
            is_weights,
        }
    };
    let below = format!("{TEXT_FOLDER}/");
    let mut all = vec![named("", dir.join(CONFIG), false)];
    let weights = picture_weight_files(dir)?.into_iter();
    all.extend(weights.map(|path| named("", path, true)));
    let texts = TEXT_FILES.iter().map(|name| text_dir.join(name));
    let texts = texts.filter(|path| path.is_file());
    all.extend(texts.map(|path| named(&below, path, false)));
    let weights = weight_files(text_dir)?.into_iter();
    all.extend(weights.map(|path| named(&below, path, true)));
    all.sort();
    Ok(all)
}

/// The weights as diffusers names them, or as transformers does.
pub(super) fn picture_weight_files(dir: &Path) -> Result<Vec<PathBuf>, ModelError> {
    match dir.join(PICTURE_SINGLE).exists() || dir.join(PICTURE_INDEX).exists() {
        true => weight_files_named(dir, PICTURE_SINGLE, PICTURE_INDEX),
        false => weight_files(dir),
    }
}

/// SHA-256 over one line `<sha256 of the file>  <name>` for each of [`files`], in their order.
fn digest(dir: &Path, text_dir: &Path) -> Result<String, ModelError> {
    let line = |file: &PictureBaseFile| {
        let sha256 =
            std::fs::File::open(&file.path).and_then(|mut file| gguf::sha256_of(&mut file));
        let sha256 = sha256.map_err(ModelError::io("read", &file.path))?;
        Ok(format!("{}  {}\n", hex::encode(sha256), file.name))
    };
    let lines: Vec<String> = files(dir, text_dir)?
        .par_iter()
        .map(line)
        .collect::<Result<_, ModelError>>()?;
    Ok(hex::encode(Sha256::digest(lines.concat())))
}

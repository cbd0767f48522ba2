//! The facts that a manifest states, from a run and from the files of a base and an adapter.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{
    error::PackageError,
    manifest::{
        AdapterFacts, Digest, ManifestBase, ModuleFacts, Training, WeightsFile, WeightsOrigin,
    },
    roots,
    rules::check_license,
    whole::WholeNumber,
};
use openlora_model::{
    BaseModel, ModuleShape, PICTURE_ARCHITECTURE, PictureBase, SelectedBase,
    adapter::{FactorDtype, LoraAdapter},
    dataset::LockedSource,
    gguf::GgufSource,
    modules,
};

/// Files of a tokenizer; a base may lack some of them.
const TOKENIZER: &[&str] = &[
    "chat_template.jinja",
    "tokenizer.json",
    "tokenizer_config.json",
];

/// What a GGUF file is called in a manifest, whatever its name is.
const GGUF_FILE: &str = "model.gguf";

/// A base described by its files.
#[derive(Clone, Debug, PartialEq)]
pub struct BaseFacts {
    pub model: ManifestBase,
    /// Equal to [`BaseModel::digest`], which runs and task cards name.
    pub digest: String,
    /// The linear layers that an adapter can adapt.
    pub modules: Vec<ModuleShape>,
}

impl BaseFacts {
    /// Hashes the files of an open base. One in GGUF has a single file, whose name is left out.
    pub fn from_base(base: &BaseModel) -> Result<Self, PackageError> {
        let model = match &base.gguf {
            Some(source) => from_gguf(base, source),
            None => from_folder(base)?,
        };
        Ok(Self {
            model,
            digest: base.digest.clone(),
            modules: modules(&base.config),
        })
    }

    /// Hashes the files of an open base of either kind.
    ///
    /// # Errors
    ///
    /// A file cannot be read.
    pub fn from_selected(base: &SelectedBase) -> Result<Self, PackageError> {
        match base {
            SelectedBase::Text(base) => Self::from_base(base),
            SelectedBase::Pictures(base) => Self::from_picture_base(base),
        }
    }

    /// Hashes the files of a base for pictures. The weights of the model that reads captions count as
    /// its own, and its other files as a tokenizer.
    ///
    /// # Errors
    ///
    /// A file cannot be read.
    pub fn from_picture_base(base: &PictureBase) -> Result<Self, PackageError> {
        let (config_sha256, _) = hash(&base.dir.join("config.json"))?;
        let (mut weights, mut tokenizer) = (Vec::new(), Vec::new());
        for file in base.files()? {
            let (sha256, size) = hash(&file.path)?;
            match (file.is_weights, file.name.contains('/')) {
                (true, _) => weights.push(WeightsFile {
                    path: file.name,
                    size: WholeNumber(size),
                    sha256,
                }),
                (false, true) => tokenizer.push((file.name, sha256)),
                // The denoiser's config has a field of its own.
                (false, false) => {}
            }
        }
        let card = base_card(&base.dir);
        let tokenizer = tokenizer
            .iter()
            .map(|(name, sha256)| (name.as_str(), *sha256));
        Ok(Self {
            model: ManifestBase {
                id: public_id(&base.id),
                revision: base.revision.clone(),
                config_sha256,
                weights,
                tokenizer_sha256: Digest(roots::root(tokenizer).0),
                architecture: Some(PICTURE_ARCHITECTURE.to_owned()),
                format: None,
                license: card.license,
                gated: card.gated,
            },
            digest: base.digest.clone(),
            modules: base.modules.clone(),
        })
    }
}

fn from_folder(base: &BaseModel) -> Result<ManifestBase, PackageError> {
    let config = base.dir.join("config.json");
    let (config_sha256, _) = hash(&config)?;
    let mut weights = Vec::new();
    for path in base.weight_files()? {
        let (sha256, size) = hash(&path)?;
        weights.push(WeightsFile {
            path: file_name(&path),
            size: WholeNumber(size),
            sha256,
        });
    }
    weights.sort_by(|a, b| a.path.cmp(&b.path));
    let mut tokenizer = Vec::new();
    for name in TOKENIZER {
        let path = base.dir.join(name);
        if path.is_file() {
            tokenizer.push((*name, hash(&path)?.0));
        }
    }
    let card = base_card(&base.dir);
    Ok(ManifestBase {
        id: public_id(&base.id),
        revision: base.revision.clone(),
        config_sha256,
        weights,
        tokenizer_sha256: Digest(roots::root(tokenizer.into_iter()).0),
        architecture: architecture(&config),
        format: None,
        license: card.license,
        gated: card.gated,
    })
}

/// What the front matter of a base's model card states.
#[derive(Default)]
struct BaseCard {
    license: Option<String>,
    /// True if the card asks for something before the download. A card cannot state the contrary.
    gated: Option<bool>,
}

/// Largest model card that is read, in bytes.
const LARGEST_CARD: u64 = 1 << 20;

/// The card beside a base's files, as the Hub names it; nothing without one.
fn base_card(dir: &Path) -> BaseCard {
    let mut bytes = Vec::new();
    let opened = fs::File::open(dir.join("README.md"));
    let read = opened.and_then(|file| file.take(LARGEST_CARD).read_to_end(&mut bytes));
    let text = String::from_utf8_lossy(&bytes);
    let mut lines = text.lines();
    if read.is_err() || lines.next().map(str::trim_end) != Some("---") {
        return BaseCard::default();
    }
    let mut card = BaseCard::default();
    let mut own_name = None;
    for line in lines.take_while(|line| line.trim_end() != "---") {
        let Some((key, value)) = line.split_once(':') else {
            continue;
        };
        let value = value.trim().trim_matches(['"', '\'']);
        if key == "license" && check_license(value).is_ok() {
            card.license = Some(value.to_owned());
        } else if key == "license_name" && check_license(value).is_ok() {
            own_name = Some(value.to_owned());
        } else if key.starts_with("extra_gated_") {
            card.gated = Some(true);
        }
    }
    // A licence that the Hub has no name for.
    if card.license.as_deref() == Some("other") && own_name.is_some() {
        card.license = own_name;
    }
    card
}

/// The configuration and the tokenizer are in the file as well. Their digests are taken from it and
/// not from what it was converted to, so that they are the same for every version of this program.
fn from_gguf(base: &BaseModel, source: &GgufSource) -> ManifestBase {
    let sha256 = Digest(source.sha256);
    ManifestBase {
        id: public_id(&base.id),
        revision: None,
        config_sha256: sha256,
        weights: vec![WeightsFile {
            path: GGUF_FILE.to_owned(),
            size: WholeNumber(source.size),
            sha256,
        }],
        tokenizer_sha256: Digest(roots::root([(GGUF_FILE, sha256)].into_iter()).0),
        architecture: architecture(&base.dir.join("config.json")),
        format: Some(format!("GGUF {}", source.kind.name())),
        license: None,
        gated: None,
    }
}

/// A base's id without local paths.
fn public_id(id: &str) -> String {
    let path = Path::new(id);
    if path.is_absolute() || path.exists() {
        file_name(path)
    } else {
        id.to_owned()
    }
}

fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

fn architecture(config: &Path) -> Option<String> {
    let value: Value = serde_json::from_slice(&fs::read(config).ok()?).ok()?;
    let name = value.pointer("/architectures/0")?.as_str()?;
    Some(name.to_owned())
}

/// Digest and size of a file.
pub fn hash(path: &Path) -> Result<(Digest, u64), PackageError> {
    let open = || {
        let mut file = fs::File::open(path)?;
        let (mut hasher, mut size) = (Sha256::new(), 0);
        let mut buffer = vec![0; 1 << 16];
        loop {
            let read = file.read(&mut buffer)?;
            if read == 0 {
                return Ok((Digest(hasher.finalize().into()), size));
            }
            hasher.update(&buffer[..read]);
            size += read as u64;
        }
    };
    open().map_err(PackageError::io("read", path))
}

/// The facts of a finished run.
#[derive(Clone, Debug)]
pub struct RunFacts {
    /// The run's name.
    pub id: String,
    /// Digest of the base that it was trained on.
    pub base_digest: String,
    pub sources: Vec<LockedSource>,
    pub training: Training,
}

/// Only the mode is known of an adapter of another program.
pub(super) fn imported() -> Training {
    Training {
        mode: WeightsOrigin::Imported,
        tool: None,
        tool_version: None,
        seed: None,
        hyperparameters: None,
        steps: None,
        tokens: None,
        final_loss: None,
        eval_metrics: Vec::new(),
        started_at: None,
        ended_at: None,
        log_sha256: None,
    }
}

/// The facts in an adapter's tensors.
pub(super) fn adapter_facts(adapter: &LoraAdapter) -> AdapterFacts {
    let config = &adapter.config;
    let module = |module: &openlora_model::adapter::AdapterModule| ModuleFacts {
        path: module.path.clone(),
        r: WholeNumber(module.rank as u64),
        in_dim: WholeNumber(module.in_dim as u64),
        out_dim: WholeNumber(module.out_dim as u64),
    };
    let parameters: usize = adapter
        .tensors
        .values()
        .map(|tensor| tensor.shape.iter().product::<usize>())
        .sum();
    let rank_pattern = config.rank_pattern.iter();
    AdapterFacts {
        kind: if config.use_dora { "dora" } else { "lora" }.to_owned(),
        r: WholeNumber(config.r as u64),
        alpha: config.lora_alpha,
        rslora: config.use_rslora,
        rank_pattern: rank_pattern
            .map(|(pattern, rank)| (pattern.clone(), WholeNumber(*rank as u64)))
            .collect(),
        alpha_pattern: config.alpha_pattern.iter().cloned().collect(),
        dtype: dtype(adapter).to_owned(),
        tensor_count: WholeNumber(adapter.tensors.len() as u64),
        parameter_count: WholeNumber(parameters as u64),
        modules: adapter.modules.iter().map(module).collect(),
    }
}

fn dtype(adapter: &LoraAdapter) -> &'static str {
    let mut found: Vec<&str> = adapter
        .tensors
        .values()
        .map(|tensor| match tensor.dtype {
            FactorDtype::F32 => "F32",
            FactorDtype::F16 => "F16",
            FactorDtype::Bf16 => "BF16",
        })
        .collect();
    found.sort_unstable();
    found.dedup();
    match found.as_slice() {
        [one] => one,
        _ => "mixed",
    }
}

/// The modification time of the newest weights in a folder, for adapters that do not state it.
pub fn written_at(adapter: &LoraAdapter) -> Option<u64> {
    let weights: PathBuf = adapter.dir.join(openlora_model::adapter::WEIGHTS_FILE);
    let time = fs::metadata(weights).ok()?.modified().ok()?;
    let since = time.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(since.as_secs())
}

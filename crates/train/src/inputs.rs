//! The inputs of a run before the first step: base, data and settings, opened and checked.

use std::path::{Path, PathBuf};

use super::{
    config::TrainConfig,
    dataset_role::DatasetRole,
    error::TrainError,
    rows::TrainRows,
    run::lock::{LockedBase, LockedDigests, RunLock},
};
use openlora_decoder::{Decoder, compute_device};
use openlora_model::{
    BaseModel,
    dataset::{
        DataSource, Dataset, LockedSource, Task, duplicates,
        split::{DataSplitOptions, split},
    },
    text::TextCodec,
};

/// Everything that determines the result of a run.
pub struct TrainInputs {
    /// Name of the adapter.
    pub name: String,
    pub base: BaseModel,
    pub codec: TextCodec,
    pub task: Task,
    pub dataset: Dataset,
    /// Validation rows from a file of their own.
    pub validation: Option<Dataset>,
    pub config: TrainConfig,
    /// Settings given as flags, for the lock file.
    pub flags: Vec<String>,
    /// The project's folder: the lock file names data relative to it.
    pub root: PathBuf,
    /// A second output folder for the adapter.
    pub out: Option<PathBuf>,
}

/// Where validation rows come from.
#[derive(Clone, Debug, PartialEq)]
pub enum ValidationOptions {
    None,
    Fraction(f64),
    File(String),
}

impl ValidationOptions {
    /// Parses `train.val`.
    pub fn parse(text: Option<&str>) -> Result<Self, TrainError> {
        let Some(text) = text else {
            return Ok(Self::None);
        };
        match text.parse::<f64>() {
            Ok(0.0) => Ok(Self::None),
            Ok(fraction) if fraction > 0.0 && fraction < 1.0 => Ok(Self::Fraction(fraction)),
            Ok(_) => Err(TrainError::Validation {
                found: text.to_owned(),
            }),
            Err(_) => Ok(Self::File(text.to_owned())),
        }
    }
}

impl TrainInputs {
    /// Training and validation rows, encoded.
    pub fn rows(&self) -> Result<(TrainRows, TrainRows), TrainError> {
        let options = self.config.encode_options();
        let encode = |dataset: &Dataset, role| {
            let rows = TrainRows::encode(&self.codec, &self.task, dataset, &options, role)?;
            rows.check_lengths(dataset, self.base.config.max_positions)?;
            Ok::<_, TrainError>(rows)
        };
        let rows = encode(&self.dataset, DatasetRole::Training)?;
        if rows.is_empty() {
            return Err(TrainError::NoRows);
        }
        if let Some(validation) = &self.validation {
            return Ok((rows, encode(validation, DatasetRole::Validation)?));
        }
        let ValidationOptions::Fraction(valid) =
            ValidationOptions::parse(self.config.val.as_deref())?
        else {
            return Ok((rows, TrainRows::default()));
        };
        let wish = DataSplitOptions {
            valid,
            test: 0.0,
            seed: self.config.seed,
        };
        let split = split(&self.dataset, &wish)?;
        let validation = rows.select(&split.valid);
        if validation.is_empty() {
            return Err(TrainError::ValidationShare {
                fraction: valid,
                rows: rows.len(),
            });
        }
        let train = TrainRows {
            long: rows.long,
            ..rows.select(&split.train)
        };
        Ok((train, validation))
    }

    /// How often each source is drawn in an epoch.
    pub fn weights(&self) -> Vec<f64> {
        self.dataset
            .sources
            .iter()
            .map(|source| source.weight)
            .collect()
    }

    /// The base with a new adapter.
    pub fn decoder(&self) -> Result<Decoder, TrainError> {
        let mut decoder = Decoder::load(&self.base, self.config.precision)?;
        decoder.use_device(&compute_device()?)?;
        decoder.attach_lora(&self.config.lora()?, self.config.seed)?;
        decoder.set_checkpointing(self.config.checkpoint_activations);
        Ok(decoder)
    }

    /// The lock file's content.
    pub fn lock(&self) -> RunLock {
        let distinct = duplicates::distinct(&self.dataset);
        let sources = self.dataset.sources.iter().zip(distinct).enumerate();
        let data = sources
            .map(|(index, (source, distinct))| self.locked_source(index, source, distinct))
            .collect();
        RunLock {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            name: self.name.clone(),
            flags: self.flags.clone(),
            base: LockedBase {
                id: self.base.id.clone(),
                revision: self.base.revision.clone(),
            },
            digests: LockedDigests {
                base: self.base.digest.clone(),
                data: self.dataset.digest.clone(),
                validation: self
                    .validation
                    .as_ref()
                    .map(|dataset| dataset.digest.clone()),
            },
            task: self.task.clone(),
            train: self.config.clone(),
            data,
        }
    }

    fn locked_source(&self, index: usize, source: &DataSource, distinct: usize) -> LockedSource {
        LockedSource {
            path: relative(&source.path, &self.root),
            contributor: source.contributor.clone(),
            address: source.address.clone(),
            license: source.license.clone(),
            weight: source.weight,
            rows: self
                .dataset
                .rows
                .iter()
                .filter(|row| row.source == index)
                .count(),
            distinct: Some(distinct),
            sha256: self.dataset.source_digests[index].clone(),
            bytes: Some(self.dataset.source_size(index)),
        }
    }
}

fn relative(path: &Path, root: &Path) -> String {
    path.strip_prefix(root)
        .unwrap_or(path)
        .display()
        .to_string()
}

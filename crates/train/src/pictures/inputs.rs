//! The inputs of a training on pictures: base, folders and settings, opened and checked.

use std::path::PathBuf;

use openlora_model::{PictureBase, dataset::Task};

use super::{
    super::{
        config::TrainConfig,
        error::TrainError,
        inputs::ValidationOptions,
        run::lock::{LockedBase, LockedDigests, RunLock},
    },
    data::PictureDataset,
    model::PictureModel,
};

/// Everything that determines the result of a run on pictures.
pub struct PictureTrainInputs {
    /// Name of the adapter.
    pub name: String,
    pub base: PictureBase,
    pub model: PictureModel,
    pub dataset: PictureDataset,
    /// Validation pictures from a folder of their own.
    pub validation: Option<PictureDataset>,
    pub config: TrainConfig,
    /// Settings given as flags, for the lock file.
    pub flags: Vec<String>,
    /// The project's folder: the lock file names data relative to it.
    pub root: PathBuf,
    /// A second output folder for the adapter.
    pub out: Option<PathBuf>,
}

impl PictureTrainInputs {
    /// Training and validation pictures.
    ///
    /// # Errors
    ///
    /// There are none to train on, or the fraction for validation leaves none of one part.
    pub fn parts(&self) -> Result<(PictureDataset, PictureDataset), TrainError> {
        if self.dataset.is_empty() {
            return Err(TrainError::NoRows);
        }
        if let Some(validation) = &self.validation {
            return Ok((self.dataset.clone(), validation.clone()));
        }
        let wanted = ValidationOptions::parse(self.config.val.as_deref())?;
        let ValidationOptions::Fraction(fraction) = wanted else {
            return Ok((self.dataset.clone(), PictureDataset::default()));
        };
        let split = self.dataset.split(fraction, self.config.seed);
        if split.valid.is_empty() || split.train.is_empty() {
            return Err(TrainError::ValidationShare {
                fraction,
                rows: self.dataset.len(),
            });
        }
        let part = |picks: &[usize]| self.dataset.select(picks);
        Ok((part(&split.train), part(&split.valid)))
    }

    /// How often each source is drawn in an epoch.
    pub fn weights(&self) -> Vec<f64> {
        let sources = self.dataset.sources.iter();
        sources.map(|source| source.weight).collect()
    }

    /// The lock file's content.
    pub fn lock(&self) -> RunLock {
        let validation = self.validation.as_ref();
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
                validation: validation.map(|dataset| dataset.digest.clone()),
            },
            task: Task::Image,
            train: self.config.clone(),
            data: self.dataset.locked_sources(&self.root),
        }
    }
}

//! The published log as a folder: files named by the roots anchored on the chain, written before
//! the root is submitted, and a catalogue of the roots that were anchored.

use std::path::{Path, PathBuf};

use serde::{Serialize, de::DeserializeOwned};

use openlora_core::{
    Word,
    atomic::{self, FileAccess},
    error::{ExitClass, Failure},
    private::files,
};
use openlora_ledger::{
    ReceiverKey,
    publication::{
        AnchoredBatch, CATALOGUE, LogCatalogue, PoolContributions, batch_file, contributions_file,
        earlier_contributions_file,
    },
};
use openlora_ports::PublishedLog;

/// A folder of published files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFolder {
    dir: PathBuf,
}

impl LogFolder {
    pub fn at(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
        }
    }

    pub fn keep_batch(&self, batch: &AnchoredBatch) -> Result<(), Failure> {
        self.keep(&batch_file(batch.root), batch)
    }

    pub fn keep_contributions(&self, contributions: &PoolContributions) -> Result<(), Failure> {
        let name = contributions_file(contributions.root, contributions.pool);
        self.keep(&name, contributions)
    }

    pub fn keep_catalogue(&self, catalogue: &LogCatalogue) -> Result<(), Failure> {
        self.keep(CATALOGUE, catalogue)
    }

    pub fn catalogue(&self) -> LogCatalogue {
        self.find(CATALOGUE).unwrap_or_default()
    }

    /// The content of a file of the folder, by name.
    pub fn read(&self, name: &str) -> Option<Vec<u8>> {
        std::fs::read(self.dir.join(name)).ok()
    }

    fn keep<T: Serialize>(&self, name: &str, value: &T) -> Result<(), Failure> {
        files::folder(&self.dir)
            .map_err(|error| Failure::io("make the folder", &self.dir, &error))?;
        let path = self.dir.join(name);
        let bytes = serde_json::to_vec(value).map_err(|error| {
            let message = format!("cannot write {}: {error}", path.display());
            Failure::new(ExitClass::Internal, message)
        })?;
        atomic::replace_file(&path, &bytes, FileAccess::Owner)
            .map_err(|error| Failure::io("write", &path, &error))
    }

    fn find<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        serde_json::from_slice(&self.read(name)?).ok()
    }
}

impl PublishedLog for LogFolder {
    fn batch(&self, root: Word) -> Option<AnchoredBatch> {
        self.find(&batch_file(root))
    }

    fn contributions(&self, root: Word, pool: ReceiverKey) -> Option<PoolContributions> {
        let earlier = || self.find(&earlier_contributions_file(root));
        self.find(&contributions_file(root, pool))
            .or_else(earlier)
            .filter(|found: &PoolContributions| found.pool == pool)
    }
}

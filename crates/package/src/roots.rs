//! The roots that a release signature covers.
//!
//! A root is the SHA-256 of lines `<sha256, 64 lowercase hexadecimal digits>  <name>\n`, with two
//! spaces, one line for each leaf, sorted bytewise by name. That is what
//! `sha256sum FILES | LC_ALL=C sort -k 2 | sha256sum` prints, so coreutils are sufficient
//! to check one. Names are unique and contain no line end, so a root identifies one set of leaves;
//! the root of no leaf is the SHA-256 of nothing.
//!
//! | root | leaves |
//! | --- | --- |
//! | files | every file of the manifest: its digest and path |
//! | base | `config.json`; every weights file by path; `tokenizer`, itself a root over the tokenizer's files |
//! | datasets | every dataset: the digest of its normalised rows and its id |

use sha2::{Digest as _, Sha256};

use super::{
    manifest::{Digest, Manifest, ManifestBase, ManifestDataset, PackageFile},
    release::ReleaseMessage,
};
use openlora_core::Word;

impl Manifest {
    /// What is signed, for a manifest whose bytes have this digest.
    pub fn release(&self, manifest_sha256: Digest) -> ReleaseMessage {
        let key = self.trainer.signing_key_sha256.unwrap_or_default();
        ReleaseMessage {
            name: self.name.clone(),
            version: self.version.clone(),
            manifest_sha256: Word(manifest_sha256.0),
            files_root: files_root(&self.files),
            base_root: base_root(&self.base),
            datasets_root: datasets_root(&self.datasets),
            oms_key_sha256: Word(key.0),
            created_at: self.created_at,
        }
    }
}

/// The root over leaves of a name and a digest, in any order.
pub fn root<'a>(leaves: impl Iterator<Item = (&'a str, Digest)>) -> Word {
    let mut leaves: Vec<(&str, Digest)> = leaves.collect();
    leaves.sort_unstable_by(|a, b| a.0.as_bytes().cmp(b.0.as_bytes()));
    let mut hasher = Sha256::new();
    for (name, digest) in leaves {
        hasher.update(format!("{digest}  {name}\n"));
    }
    Word(hasher.finalize().into())
}

pub fn files_root(files: &[PackageFile]) -> Word {
    root(files.iter().map(|file| (file.path.as_str(), file.sha256)))
}

pub fn base_root(base: &ManifestBase) -> Word {
    let weights = base.weights.iter();
    let named = [
        ("config.json", base.config_sha256),
        ("tokenizer", base.tokenizer_sha256),
    ];
    root(
        weights
            .map(|file| (file.path.as_str(), file.sha256))
            .chain(named),
    )
}

pub fn datasets_root(datasets: &[ManifestDataset]) -> Word {
    root(datasets.iter().map(|data| (data.id.as_str(), data.sha256)))
}

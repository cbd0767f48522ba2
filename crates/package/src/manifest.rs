//! `openlora.json`, version 1: its fields, its canonical form, and the invariants between fields.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use super::digest::Digest;
use super::{
    error::ManifestProblem,
    paths::check_paths,
    rules::{check_license, check_name, field, has_control, is_semver, sorted},
    whole::WholeNumber,
};
use openlora_core::{Address, error::describe_decoding, exact_percent};
use openlora_ledger::{RevenueShare, SplitProblem, check_split};
use openlora_model::PICTURE_ARCHITECTURE;

/// The role whose share is divided among the contributors.
pub const CONTRIBUTORS: &str = "contributors";
/// The role of the publisher.
pub const CREATOR: &str = "creator";

/// Largest manifest that is read, in bytes.
pub const LARGEST: u64 = 16 << 20;

macro_rules! record {
    ($(#[$about:meta])* $name:ident { $($(#[$field_about:meta])* $field:ident: $type:ty,)+ }) => {
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, rename_all = "camelCase")]
        pub struct $name { $($(#[$field_about])* pub $field: $type,)+ }
    };
}

record! {
    /// The manifest. Fields of later features are null or empty until then.
    Manifest {
        schema_version: u64,
        name: String,
        /// Semantic version.
        version: String,
        /// Unix time in seconds.
        created_at: WholeNumber,
        trainer: Trainer,
        base: ManifestBase,
        adapter: AdapterFacts,
        /// Every file but the manifest and its signatures, sorted bytewise by path.
        files: Vec<PackageFile>,
        /// Sorted bytewise by id.
        datasets: Vec<ManifestDataset>,
        /// In the order in which the run names them.
        contributors: Vec<ManifestContributor>,
        split: Vec<SplitShare>,
        training: Training,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        attribution: Option<Attribution>,
        /// Manifests of the releases that this one is based on.
        parents: Vec<Digest>,
        compat: Option<BTreeMap<String, Compat>>,
        /// SPDX identifier; NOASSERTION if the publisher names none.
        license: String,
        usage_log: Option<UsageLog>,
    }
}

record! {
    Trainer {
        #[serde(skip_serializing_if = "Option::is_none", default)]
        name: Option<String>,
        /// Null in an unsigned package.
        evm_address: Option<Address>,
        /// SHA-256 of the PEM of the key that signs the directory, as `model.sig` names it.
        signing_key_sha256: Option<Digest>,
    }
}

record! {
    /// The base, identified by its digests.
    ManifestBase {
        id: String,
        revision: Option<String>,
        config_sha256: Digest,
        weights: Vec<WeightsFile>,
        /// A root over the tokenizer's files, see [`roots`](crate::roots).
        tokenizer_sha256: Digest,
        architecture: Option<String>,
        /// Such as `GGUF Q4_1`, with the type of most weights; absent for safetensors.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        format: Option<String>,
        license: Option<String>,
        gated: Option<bool>,
    }
}

record! {
    WeightsFile {
        path: String,
        size: WholeNumber,
        sha256: Digest,
    }
}

record! {
    /// The properties of the tensors, independent of the configuration.
    AdapterFacts {
        kind: String,
        r: WholeNumber,
        alpha: f64,
        rslora: bool,
        rank_pattern: BTreeMap<String, WholeNumber>,
        alpha_pattern: BTreeMap<String, f64>,
        dtype: String,
        tensor_count: WholeNumber,
        parameter_count: WholeNumber,
        modules: Vec<ModuleFacts>,
    }
}

record! {
    ModuleFacts {
        path: String,
        r: WholeNumber,
        in_dim: WholeNumber,
        out_dim: WholeNumber,
    }
}

record! {
    PackageFile {
        path: String,
        size: WholeNumber,
        sha256: Digest,
        media_type: String,
        role: String,
    }
}

record! {
    ManifestDataset {
        id: String,
        contributor: String,
        owner: Option<Address>,
        /// Over the normalised rows.
        sha256: Digest,
        /// Bytes of the normalised rows.
        size: Option<WholeNumber>,
        records: WholeNumber,
        /// Of these, records without an exact or near duplicate in an earlier dataset of the run;
        /// static shares count these. Packages of older versions do not state it, and count all
        /// records.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        distinct_records: Option<WholeNumber>,
        license: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        uri: Option<String>,
        /// `private` if the package does not state where to get it.
        access: String,
    }
}

record! {
    ManifestContributor {
        name: String,
        address: Option<Address>,
        /// Share among contributors if calls are not attributed.
        static_ppm: u64,
    }
}

record! {
    /// A null address stands for a contract that is deployed with the release.
    SplitShare {
        role: String,
        address: Option<Address>,
        ppm: u64,
    }
}

record! {
    /// All but mode and the lists are null for an imported adapter.
    Training {
        mode: WeightsOrigin,
        tool: Option<String>,
        tool_version: Option<String>,
        seed: Option<WholeNumber>,
        hyperparameters: Option<BTreeMap<String, serde_json::Value>>,
        steps: Option<WholeNumber>,
        tokens: Option<WholeNumber>,
        final_loss: Option<f64>,
        eval_metrics: Vec<EvalMetric>,
        /// Unix time in seconds.
        started_at: Option<WholeNumber>,
        ended_at: Option<WholeNumber>,
        /// Digest of the run's step log.
        log_sha256: Option<Digest>,
    }
}

/// The origin of the weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WeightsOrigin {
    Trained,
    Imported,
}

record! {
    /// One metric over held-out rows, with that of the base if it was measured.
    EvalMetric {
        name: String,
        value: f64,
        rows: WholeNumber,
        base: Option<f64>,
    }
}

record! {
    Attribution {
        method: String,
        parameters: BTreeMap<String, serde_json::Value>,
        index_sha256: Digest,
    }
}

record! {
    Compat {
        ok: bool,
        reasons: Vec<String>,
    }
}

record! {
    UsageLog {
        origin: String,
        vkey: String,
    }
}

impl Eq for UsageLog {}

/// The canonical form of a value (RFC 8785).
pub(super) fn canonical<T: Serialize>(value: &T) -> Result<Vec<u8>, ManifestProblem> {
    serde_json_canonicalizer::to_vec(value)
        .map_err(|error| ManifestProblem::Json(error.to_string()))
}

/// Parses a value that must be in canonical form. This also refuses duplicate keys, which most
/// readers would not notice.
pub(super) fn parse_canonical<'a, T: Serialize + Deserialize<'a>>(
    bytes: &'a [u8],
) -> Result<T, ManifestProblem> {
    if bytes.len() as u64 > LARGEST {
        return Err(ManifestProblem::TooLarge {
            found: bytes.len() as u64,
            limit: LARGEST,
        });
    }
    let value: T = serde_json::from_slice(bytes)
        .map_err(|error| ManifestProblem::Json(describe_decoding(&error)))?;
    let expected = canonical(&value)?;
    let differ = expected.iter().zip(bytes).position(|(a, b)| a != b);
    match differ {
        None if expected.len() == bytes.len() => Ok(value),
        at => Err(ManifestProblem::NotCanonical {
            at: at.unwrap_or(expected.len().min(bytes.len())),
        }),
    }
}

impl ManifestBase {
    /// Whether the base makes pictures, and not text.
    pub fn makes_pictures(&self) -> bool {
        self.architecture.as_deref() == Some(PICTURE_ARCHITECTURE)
    }
}

impl Manifest {
    /// Parses the bytes of `openlora.json`.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestProblem> {
        let manifest: Self = parse_canonical(bytes)?;
        manifest.check()?;
        Ok(manifest)
    }

    /// The bytes of `openlora.json`, checked like on reading.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ManifestProblem> {
        self.check()?;
        canonical(self)
    }

    /// The split as shares for a splitter.
    pub fn shares(&self) -> Vec<RevenueShare> {
        let share = |split: &SplitShare| RevenueShare {
            role: split.role.clone(),
            address: split.address,
            ppm: split.ppm,
        };
        self.split.iter().map(share).collect()
    }

    /// Checks the invariants between the fields.
    pub fn check(&self) -> Result<(), ManifestProblem> {
        if self.schema_version != 1 {
            return Err(field("schemaVersion", "1", self.schema_version));
        }
        check_name(&self.name)?;
        if !is_semver(&self.version) {
            let expected = "a semantic version such as 1.2.0";
            return Err(field("version", expected, &self.version));
        }
        check_license(&self.license)?;
        check_paths(self.files.iter().map(|file| file.path.as_str()))?;
        sorted("files", self.files.iter().map(|file| file.path.as_str()))?;
        let weights = || self.base.weights.iter().map(|file| file.path.as_str());
        check_paths(weights())?;
        sorted("base.weights", weights())?;
        sorted(
            "datasets",
            self.datasets.iter().map(|data| data.id.as_str()),
        )?;
        if let Some(data) = self.datasets.iter().find(|data| has_control(&data.id)) {
            let expected = "a name without control characters";
            return Err(field("datasets.id", expected, format!("{:?}", data.id)));
        }
        let too_many = |data: &&ManifestDataset| data.distinct_records > Some(data.records);
        if let Some(data) = self.datasets.iter().find(too_many) {
            let expected = "at most the dataset's records";
            let found = data.distinct_records.unwrap_or_default().0;
            return Err(field("datasets.distinctRecords", expected, found));
        }
        self.check_contributors()?;
        Ok(check_split(&self.shares())?)
    }

    fn check_contributors(&self) -> Result<(), ManifestProblem> {
        if self.contributors.is_empty() {
            return Ok(());
        }
        if let Some(copier) = self.copiers().find(|it| it.static_ppm > 0) {
            let expected = "0 for a contributor all of whose records are copies";
            let part = exact_percent(copier.static_ppm);
            let found = format!("{} ({part}) for {}", copier.static_ppm, copier.name);
            return Err(field("contributors.staticPpm", expected, found));
        }
        let share = |contributor: &ManifestContributor| RevenueShare {
            role: contributor.name.clone(),
            address: contributor.address,
            ppm: contributor.static_ppm,
        };
        let shares: Vec<RevenueShare> = self.contributors.iter().map(share).collect();
        match check_split(&shares) {
            // A contributor with very few rows among very many may round down to zero.
            Err(SplitProblem::Nothing { .. }) => {
                let owed: Vec<RevenueShare> = shares.into_iter().filter(|s| s.ppm > 0).collect();
                check_split(&owed)
            }
            checked => checked,
        }
        .map_err(ManifestProblem::Contributors)
    }

    /// Contributors whose records all repeat earlier ones, so that they have no static share.
    pub fn copiers(&self) -> impl Iterator<Item = &ManifestContributor> {
        self.contributors.iter().filter(|contributor| {
            let mut theirs = self
                .datasets
                .iter()
                .filter(|data| data.contributor == contributor.name)
                .peekable();
            theirs.peek().is_some()
                && theirs.all(|data| data.distinct_records == Some(WholeNumber(0)))
        })
    }

    /// Whether the static shares count copies, as in older versions.
    pub fn counts_copies(&self) -> bool {
        let mut datasets = self.datasets.iter();
        datasets.any(|data| data.distinct_records.is_none())
    }
}

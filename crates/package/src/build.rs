//! Builds a package in memory: the manifest and the files.

use std::{collections::BTreeMap, path::Path};

use super::{
    card, compat,
    derived::{BOM_FILE, PROVENANCE_FILE, derived_documents},
    error::{ManifestProblem, PackageError},
    facts::{BaseFacts, RunFacts, adapter_facts, imported},
    manifest::{
        CONTRIBUTORS, CREATOR, Digest, Manifest, ManifestContributor, ManifestDataset, PackageFile,
        SplitShare, Trainer, UsageLog,
    },
    whole::WholeNumber,
};
use openlora_core::Address;
use openlora_ledger::{WHOLE_PPM, apportion};
use openlora_model::{
    adapter::{
        CONFIG_FILE, LoraAdapter, SAMPLES_FILE, TASK_FILE, WEIGHTS_FILE, check_against, verify_base,
    },
    dataset::LockedSource,
};

/// The contributors' share if settings name none and every contributor can be paid.
const CONTRIBUTORS_PPM: u64 = 400_000;

/// The inputs of a package.
#[derive(Clone, Copy, Debug)]
pub struct PackageParts<'a> {
    pub about: &'a PackageMetadata,
    pub adapter: &'a LoraAdapter,
    pub base: &'a BaseFacts,
    /// `None` for an adapter of another program.
    pub run: Option<&'a RunFacts>,
}

/// The publisher's statements.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PackageMetadata {
    pub name: String,
    pub version: String,
    /// Name of the publisher.
    pub creator: Option<String>,
    /// Account of the publisher; `None` for an unsigned package.
    pub publisher: Option<Address>,
    /// Digest of the key for `model.sig`; `None` for a package without one.
    pub signing_key: Option<Digest>,
    /// SPDX identifier.
    pub license: Option<String>,
    /// The licence text, if the project has one.
    pub license_text: Option<Vec<u8>>,
    pub split: RevenueSplitOptions,
    /// The transparency log in which the release will be.
    pub usage_log: Option<UsageLog>,
    /// Unix time in seconds.
    pub created_at: u64,
}

/// The split according to settings, in ppm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RevenueSplitOptions {
    pub creator: Option<u64>,
    pub creator_address: Option<Address>,
    pub contributors: Option<u64>,
}

/// A package in memory.
#[derive(Clone, Debug, PartialEq)]
pub struct PackageDraft {
    pub manifest: Manifest,
    /// Every file but the manifest and its signature, by path.
    pub files: BTreeMap<String, Vec<u8>>,
}

/// Paths, media types and roles of the files that a package may have.
const FILES: &[(&str, &str, &str)] = &[
    (CONFIG_FILE, "application/json", "config"),
    (WEIGHTS_FILE, "application/octet-stream", "weights"),
    (TASK_FILE, "application/json", "task"),
    (SAMPLES_FILE, "image/png", "samples"),
    ("README.md", "text/markdown", "card"),
    ("LICENSE", "text/plain", "license"),
    (BOM_FILE, "application/vnd.cyclonedx+json", "bom"),
    (
        PROVENANCE_FILE,
        "application/vnd.in-toto+json",
        "provenance",
    ),
];

/// Assembles a package.
pub fn draft(parts: &PackageParts<'_>) -> Result<PackageDraft, PackageError> {
    require_base(parts)?;
    let about = parts.about;
    let sources: &[LockedSource] = parts.run.map_or(&[], |run| &run.sources);
    let contributors = contributors(sources)?;
    let mut manifest = Manifest {
        schema_version: 1,
        name: about.name.clone(),
        version: about.version.clone(),
        created_at: WholeNumber(about.created_at),
        trainer: Trainer {
            name: about.creator.clone(),
            evm_address: about.publisher,
            signing_key_sha256: about.signing_key,
        },
        base: parts.base.model.clone(),
        adapter: adapter_facts(parts.adapter),
        files: Vec::new(),
        datasets: datasets(sources)?,
        split: split(about, &contributors)?,
        contributors,
        training: parts.run.map_or_else(imported, |run| run.training.clone()),
        attribution: None,
        parents: Vec::new(),
        compat: Some(compat::compat(
            parts.adapter,
            parts.base.model.architecture.as_deref(),
        )),
        license: about
            .license
            .clone()
            .unwrap_or_else(|| card::NO_LICENSE.to_owned()),
        usage_log: about.usage_log.clone(),
    };
    let files = contents(parts, &manifest)?;
    manifest.files = described_files(&files);
    manifest.check().map_err(stated_problem)?;
    let mut draft = PackageDraft { manifest, files };
    draft.derive_documents()?;
    Ok(draft)
}

impl PackageDraft {
    /// Derives the documents that restate the manifest, and lists the files. Call this after a change
    /// of the manifest.
    ///
    /// # Errors
    ///
    /// A document cannot state what the manifest says.
    pub fn derive_documents(&mut self) -> Result<(), PackageError> {
        for name in [BOM_FILE, PROVENANCE_FILE] {
            self.files.remove(name);
        }
        self.manifest.files = described_files(&self.files);
        let documents = derived_documents(&self.manifest).map_err(stated_problem)?;
        self.files.extend(documents);
        self.manifest.files = described_files(&self.files);
        Ok(())
    }
}

fn stated_problem(problem: ManifestProblem) -> PackageError {
    match problem {
        ManifestProblem::Split(problem) => PackageError::Split(problem),
        ManifestProblem::Contributors(problem) => PackageError::Contributors(problem),
        problem => PackageError::Manifest {
            path: super::MANIFEST_FILE.into(),
            problem,
        },
    }
}

fn described_files(files: &BTreeMap<String, Vec<u8>>) -> Vec<PackageFile> {
    let described = |(path, bytes): (&String, &Vec<u8>)| described(path, bytes);
    files.iter().map(described).collect()
}

/// A run states the base it was trained on, and so does the task card of an adapter trained here. The
/// modules of any adapter must be the base's.
fn require_base(parts: &PackageParts<'_>) -> Result<(), PackageError> {
    let found = &parts.base.digest;
    verify_base(parts.adapter, found)?;
    check_against(parts.adapter, &parts.base.modules)?;
    match parts.run {
        Some(run) if run.base_digest != *found => Err(PackageError::OtherBase {
            run: run.id.clone(),
            expected: run.base_digest.clone(),
            found: found.clone(),
        }),
        _ => Ok(()),
    }
}

fn contents(
    parts: &PackageParts<'_>,
    manifest: &Manifest,
) -> Result<BTreeMap<String, Vec<u8>>, PackageError> {
    let mut files = BTreeMap::new();
    for name in [CONFIG_FILE, WEIGHTS_FILE, TASK_FILE, SAMPLES_FILE] {
        let path = parts.adapter.dir.join(name);
        match std::fs::read(&path) {
            Ok(bytes) => {
                files.insert(name.to_owned(), bytes);
            }
            // An adapter of another program has no task card, and one for text no pictures.
            Err(error) if is_optional(name) && error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(PackageError::io("read", path)(error)),
        }
    }
    let card = card::readme(manifest, parts.adapter);
    files.insert("README.md".to_owned(), card.into_bytes());
    let license = match &parts.about.license_text {
        Some(text) => text.clone(),
        None => card::license(manifest).into_bytes(),
    };
    files.insert("LICENSE".to_owned(), license);
    Ok(files)
}

fn is_optional(name: &str) -> bool {
    [TASK_FILE, SAMPLES_FILE].contains(&name)
}

fn described(path: &str, bytes: &[u8]) -> PackageFile {
    let row = FILES.iter().find(|row| row.0 == path);
    let (media_type, role) =
        row.map_or(("application/octet-stream", "other"), |row| (row.1, row.2));
    PackageFile {
        path: path.to_owned(),
        size: WholeNumber(bytes.len() as u64),
        sha256: Digest::hash_bytes(bytes),
        media_type: media_type.to_owned(),
        role: role.to_owned(),
    }
}

fn owner(source: &LockedSource) -> Result<Option<Address>, PackageError> {
    let parsed = source.address.as_deref().map(str::parse).transpose();
    parsed.map_err(|problem| PackageError::ContributorAddress {
        contributor: source.contributor.clone(),
        problem,
    })
}

fn datasets(sources: &[LockedSource]) -> Result<Vec<ManifestDataset>, PackageError> {
    let mut datasets: Vec<ManifestDataset> = Vec::new();
    for source in sources {
        let name = dataset_id(&source.path);
        let same = |id: &str| datasets.iter().any(|data| data.id == id);
        let id = (1..)
            .map(|n| {
                if n == 1 {
                    name.clone()
                } else {
                    format!("{name}#{n}")
                }
            })
            .find(|id| !same(id));
        datasets.push(ManifestDataset {
            id: id.unwrap_or_default(),
            contributor: source.contributor.clone(),
            owner: owner(source)?,
            sha256: Digest::of_hex(&source.sha256).unwrap_or_default(),
            size: source.bytes.map(WholeNumber),
            records: WholeNumber(source.rows as u64),
            distinct_records: source.distinct.map(|rows| WholeNumber(rows as u64)),
            license: source.license.clone(),
            uri: None,
            access: "private".to_owned(),
        });
    }
    datasets.sort_by(|a, b| a.id.as_bytes().cmp(b.id.as_bytes()));
    Ok(datasets)
}

/// All contributors, with shares by distinct rows × weight. A contributor whose rows only repeat an
/// earlier source gets no share.
pub fn contributors(sources: &[LockedSource]) -> Result<Vec<ManifestContributor>, PackageError> {
    let mut found: Vec<(ManifestContributor, u128)> = Vec::new();
    for source in sources {
        let address = owner(source)?;
        let weight = source.counted() as u128 * micro(source.weight);
        let known = found
            .iter_mut()
            .find(|(known, _)| known.name == source.contributor);
        let Some((known, sum)) = known else {
            let contributor = ManifestContributor {
                name: source.contributor.clone(),
                address,
                static_ppm: 0,
            };
            found.push((contributor, weight));
            continue;
        };
        *sum += weight;
        match (known.address, address) {
            (Some(first), Some(second)) if first != second => {
                return Err(PackageError::TwoAddresses {
                    name: known.name.clone(),
                    first: first.to_string(),
                    second: second.to_string(),
                });
            }
            (None, Some(_)) => known.address = address,
            _ => {}
        }
    }
    let weights: Vec<u128> = found.iter().map(|(_, weight)| *weight).collect();
    let parts = apportion(WHOLE_PPM, &weights);
    let paid = |((contributor, _), static_ppm)| ManifestContributor {
        static_ppm,
        ..contributor
    };
    Ok(found.into_iter().zip(parts).map(paid).collect())
}

/// A weight in millionths, so that the division is integer arithmetic. The limit keeps rows ×
/// weight × 1 000 000 within 128 bits.
fn micro(weight: f64) -> u128 {
    (weight * 1e6).round().clamp(1.0, 1e15) as u128
}

fn split(
    about: &PackageMetadata,
    contributors: &[ManifestContributor],
) -> Result<Vec<SplitShare>, PackageError> {
    let options = about.split;
    let unpaid = contributors
        .iter()
        .find(|contributor| contributor.static_ppm > 0 && contributor.address.is_none());
    let given = match (options.contributors, options.creator) {
        (Some(given), _) => given,
        (None, Some(creator)) => WHOLE_PPM.saturating_sub(creator),
        (None, None) if contributors.is_empty() || unpaid.is_some() => 0,
        (None, None) => CONTRIBUTORS_PPM,
    };
    if given > 0 {
        if contributors.is_empty() {
            return Err(PackageError::NoContributors { ppm: given });
        }
        if let Some(unpaid) = unpaid {
            let share = apportion(given, &static_weights(contributors));
            let index = contributors.iter().position(|c| c == unpaid);
            return Err(PackageError::Unpayable {
                contributor: unpaid.name.clone(),
                ppm: index.map_or(0, |index| share[index]),
            });
        }
    }
    let creator = options
        .creator
        .unwrap_or_else(|| WHOLE_PPM.saturating_sub(given));
    let address = options.creator_address.or(about.publisher);
    let share = |role: &str, address, ppm| SplitShare {
        role: role.to_owned(),
        address,
        ppm,
    };
    let all = [
        share(CREATOR, address, creator),
        share(CONTRIBUTORS, None, given),
    ];
    Ok(all.into_iter().filter(|share| share.ppm > 0).collect())
}

fn static_weights(contributors: &[ManifestContributor]) -> Vec<u128> {
    let weight = |contributor: &ManifestContributor| u128::from(contributor.static_ppm);
    contributors.iter().map(weight).collect()
}

/// A path inside the project, or only the name of a file elsewhere: a package must not reveal local
/// paths.
pub fn dataset_id(path: &str) -> String {
    let as_path = Path::new(path);
    if as_path.is_absolute() || path.split('/').any(|part| part == "..") {
        let name = as_path.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    } else {
        path.to_owned()
    }
}

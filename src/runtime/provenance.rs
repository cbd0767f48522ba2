//! The contributors of a served adapter: from its package or its run, with the static shares of its
//! pool on the chain.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_json::Value;

use super::notice::{NoticeListener, RuntimeNotice};
use openlora_attribution::{
    Provenance,
    shares::{Contributor, ShareFallback},
};
use openlora_core::error::Failure;
use openlora_influence::{
    AttributionDir, AttributionError, ContributorIndex, GradientSketcher, IndexError, IndexFile,
    PictureSketcher, SketchBases,
};
use openlora_ledger::event::SplitRead;
use openlora_model::{
    BaseModel, PictureBase,
    adapter::LoraAdapter,
    dataset::{
        self, DataSource,
        encode::{EncodeOptions, LossOn},
    },
};
use openlora_package as package;
use openlora_package::{
    MANIFEST_FILE,
    build::contributors,
    manifest::{Manifest, ManifestContributor},
};
use openlora_train::{
    pictures::{PictureDataset, PictureModel},
    run::lock::RunLock,
};

/// SPDX identifiers of licences that permit copying and showing a text.
const OPEN: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "CC-BY-4.0",
    "CC-BY-SA-4.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "ODC-By-1.0",
    "ODbL-1.0",
    "PDDL-1.0",
    "Unlicense",
];

const RUN_LOCK: &str = "config.lock.toml";

/// The contributors of an adapter, and the index over their data. If there is a pool, its static
/// shares are used, so that the result matches what the chain pays. If the index cannot be used, the
/// listener is notified and every call gets the static shares. `sources` are the project's data files;
/// `bases` has the weights of `base` for all adapters on it.
pub fn read_provenance(
    base: &BaseModel,
    bases: &SketchBases,
    adapter: &LoraAdapter,
    split: Option<&SplitRead>,
    sources: &[DataSource],
    listener: &NoticeListener,
) -> Result<Provenance, Failure> {
    let mut provenance = static_provenance(adapter, split)?;
    let places = attribution_of(adapter);
    if !places.index().is_file() {
        return Ok(provenance);
    }
    match open(&places, base, bases, &adapter.digest) {
        Ok((index, sketcher)) => {
            let witness =
                ContributorIndex::new(index, Some(sketcher), &mut provenance.contributors);
            provenance.index = Ok(Arc::new(witness));
            provenance.texts = Arc::new(texts(sources));
        }
        Err(error) => provenance.index = Err(unusable(&error, listener)),
    }
    Ok(provenance)
}

/// Like [`read_provenance`], for an adapter that makes pictures; `model` is the base's.
///
/// # Errors
///
/// The contributors cannot be read.
pub fn read_picture_provenance(
    base: &PictureBase,
    model: &PictureModel,
    adapter: &LoraAdapter,
    split: Option<&SplitRead>,
    sources: &[DataSource],
    listener: &NoticeListener,
) -> Result<Provenance, Failure> {
    let mut provenance = static_provenance(adapter, split)?;
    let places = attribution_of(adapter);
    if !places.index().is_file() {
        return Ok(provenance);
    }
    let open = || {
        let index = IndexFile::open(&places.index())?;
        index.binding().require(&base.digest, &adapter.digest)?;
        let sketcher =
            PictureSketcher::from_binding(index.binding(), &places, &base.digest, model)?;
        Ok::<_, AttributionError>((index, sketcher))
    };
    match open() {
        Ok((index, sketcher)) => {
            let parties = &mut provenance.contributors;
            let witness = ContributorIndex::of_pictures(index, Some(sketcher), parties);
            provenance.index = Ok(Arc::new(witness));
            provenance.texts = Arc::new(captions(sources, model.side()));
        }
        Err(error) => provenance.index = Err(unusable(&error, listener)),
    }
    Ok(provenance)
}

/// The contributors of an adapter with their static shares, and no index.
fn static_provenance(
    adapter: &LoraAdapter,
    split: Option<&SplitRead>,
) -> Result<Provenance, Failure> {
    let mut contributors = adapter_contributors(&adapter.dir)?;
    if let Some(split) = split {
        take_static_shares(&mut contributors, split);
    }
    Ok(Provenance {
        contributors,
        ..Provenance::default()
    })
}

fn attribution_of(adapter: &LoraAdapter) -> AttributionDir {
    AttributionDir::of_run(adapter.dir.parent().unwrap_or(&adapter.dir))
}

/// Reports an index that cannot be used.
fn unusable(error: &AttributionError, listener: &NoticeListener) -> ShareFallback {
    listener(RuntimeNotice::StaticShares { reason: error });
    match error {
        AttributionError::Index(IndexError::Stale { .. }) => ShareFallback::StaleIndex,
        _ => ShareFallback::MissingIndex,
    }
}

/// Captions and file names of the project's pictures by SHA-256, like [`texts`].
fn captions(sources: &[DataSource], side: u32) -> BTreeMap<String, String> {
    let open: Vec<DataSource> = sources.iter().filter(|it| is_open(it)).cloned().collect();
    let read = PictureDataset::inspect(&open, side, 1)
        .dataset
        .rows
        .into_iter();
    let named = read.map(|row| {
        let file = row.path.file_name().unwrap_or_default().to_string_lossy();
        let text = format!("{} ({file})", row.caption);
        (hex::encode(row.content_hash), text)
    });
    named.collect()
}

fn is_open(source: &DataSource) -> bool {
    let license = source.license.as_deref();
    license.is_some_and(|license| OPEN.contains(&license))
}

/// Texts of the project's examples by SHA-256, of sources with a permissive licence only. Empty if
/// the data is missing.
fn texts(sources: &[DataSource]) -> BTreeMap<String, String> {
    let Ok(dataset) = dataset::load(sources) else {
        return BTreeMap::new();
    };
    let open = |row: &&dataset::DataRow| is_open(&dataset.sources[row.source]);
    let rows = dataset.rows.iter().filter(open);
    // An index names examples as the loss of its training distinguishes them.
    let named = |row: &dataset::DataRow| {
        let text = row.example.to_json_line();
        [LossOn::All, LossOn::Completion].map(|loss| {
            let example = row.example.clone().for_loss(loss);
            (hex::encode(example.content_hash()), text.clone())
        })
    };
    rows.flat_map(named).collect()
}

fn open(
    places: &AttributionDir,
    base: &BaseModel,
    bases: &SketchBases,
    adapter_digest: &str,
) -> Result<(IndexFile, GradientSketcher), AttributionError> {
    let index = IndexFile::open(&places.index())?;
    index.binding().require(&base.digest, adapter_digest)?;
    let sketcher = GradientSketcher::from_binding(index.binding(), places, base, bases)?;
    Ok((index, sketcher))
}

/// Adds an index, given as a folder or a file, for scoring.
pub fn with_index(mut provenance: Provenance, path: &Path) -> Result<Provenance, Failure> {
    let path = match path.is_dir() {
        true => AttributionDir::new(path).index(),
        false => path.to_owned(),
    };
    let index = IndexFile::open(&path)?;
    let witness = ContributorIndex::new(index, None, &mut provenance.contributors);
    provenance.index = Ok(Arc::new(witness));
    Ok(provenance)
}

/// Replaces the static shares by those of a pool.
pub fn take_static_shares(contributors: &mut Vec<Contributor>, split: &SplitRead) {
    let members = split.parts.iter().flat_map(|part| &part.members);
    let members: Vec<_> = members.collect();
    if !members.is_empty() {
        contributors
            .iter_mut()
            .for_each(|contributor| contributor.static_ppm = 0);
    }
    for member in members {
        let account = Some(member.account);
        match contributors
            .iter_mut()
            .find(|contributor| contributor.address == account)
        {
            Some(contributor) => contributor.static_ppm = u64::from(member.ppm),
            None => contributors.push(Contributor {
                name: member.account.to_string(),
                address: account,
                owner: None,
                static_ppm: u64::from(member.ppm),
            }),
        }
    }
}

/// The contributors of an adapter as stated in its package or its run.
pub fn adapter_contributors(dir: &Path) -> Result<Vec<Contributor>, Failure> {
    if dir.join(MANIFEST_FILE).is_file() {
        return Ok(of_manifest(&package::read(dir)?.manifest));
    }
    match run_lock(dir) {
        Some(lock) => {
            let lock = RunLock::read(&lock)?;
            Ok(contributors(&lock.data)?.iter().map(party).collect())
        }
        None => Ok(Vec::new()),
    }
}

/// How the training rows of an adapter were encoded: as its card says, or the package or the run that
/// it lies in. `None` if nothing states it.
pub fn trained_row_options(
    dir: &Path,
    adapter: &LoraAdapter,
) -> Result<Option<EncodeOptions>, Failure> {
    if let Some(rows) = adapter.task.as_ref().and_then(|card| card.rows) {
        return Ok(Some(rows));
    }
    if dir.join(MANIFEST_FILE).is_file() {
        let stated = package::read(dir)?.manifest.training.hyperparameters;
        return Ok(stated.and_then(|stated| stated_row_options(&stated)));
    }
    match run_lock(dir) {
        Some(lock) => Ok(Some(RunLock::read(&lock)?.train.encode_options())),
        None => Ok(None),
    }
}

/// The options among the hyperparameters of a package.
fn stated_row_options(stated: &BTreeMap<String, Value>) -> Option<EncodeOptions> {
    let keys = ["max_len", "loss", "on_long"];
    let pairs = keys.map(|key| Some((key.to_owned(), stated.get(key)?.clone())));
    serde_json::from_value(Value::Object(pairs.into_iter().flatten().collect())).ok()
}

/// The lock file of the run that an adapter's folder lies in.
fn run_lock(dir: &Path) -> Option<PathBuf> {
    let lock = dir.parent()?.join(RUN_LOCK);
    lock.is_file().then_some(lock)
}

/// The contributors as stated in a package.
pub fn of_manifest(manifest: &Manifest) -> Vec<Contributor> {
    let owned = |contributor: &ManifestContributor| {
        let mut theirs = manifest.datasets.iter();
        let dataset = theirs.find(|it| it.contributor == contributor.name && it.owner.is_some());
        Contributor {
            owner: dataset.and_then(|it| it.owner),
            ..party(contributor)
        }
    };
    manifest.contributors.iter().map(owned).collect()
}

fn party(contributor: &ManifestContributor) -> Contributor {
    Contributor {
        name: contributor.name.clone(),
        address: contributor.address,
        owner: None,
        static_ppm: contributor.static_ppm,
    }
}

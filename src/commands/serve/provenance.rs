//! Whose data a served adapter was trained on: from its package or its run, with the static shares
//! that its pool has on the chain.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use crate::{
    commands::{Context, project},
    error::Failure,
    runtime::{
        adapter::Adapter,
        attribution::{
            Provenance,
            shares::{Fallback, Party},
        },
        dataset,
        event::SplitRead,
        influence::{AttributionError, Index, IndexError, Indexed, Places, Sketcher},
        model::Base,
        package::{
            self, MANIFEST_FILE,
            build::contributors,
            manifest::{Contributor, Manifest},
        },
        train::run::lock::Lock,
    },
};

/// Name of the folder with the tokens that wait, below the data directory.
pub const VAULT: &str = "attribution-waiting";
/// Licences that let anybody copy and show a text, by their SPDX identifiers.
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

/// Everybody who contributed to an adapter, and the index over what they gave. Static shares are
/// those of the pool where there is one, so that what is computed here is what the chain would pay.
/// An index that cannot be used is told, and every call then has the static shares.
pub fn of(
    context: &Context,
    (base, adapter): (&Base, &Adapter),
    split: Option<&SplitRead>,
) -> Result<Provenance, Failure> {
    let mut parties = parties(&adapter.dir)?;
    if let Some(split) = split {
        take_static_shares(&mut parties, split);
    }
    let mut provenance = Provenance {
        parties,
        ..Provenance::default()
    };
    let run = adapter.dir.parent().unwrap_or(&adapter.dir);
    let places = Places::of_run(run);
    if !places.index().is_file() {
        return Ok(provenance);
    }
    let opened = open(&places, base, &adapter.digest);
    match opened {
        Ok((index, sketcher)) => {
            let witness = Indexed::new(index, Some(sketcher), &mut provenance.parties);
            provenance.witness = Ok(Arc::new(witness));
            provenance.texts = Arc::new(texts(context));
        }
        Err(error) => {
            provenance.witness = Err(match error {
                AttributionError::Index(IndexError::Stale { .. }) => Fallback::StaleIndex,
                _ => Fallback::MissingIndex,
            });
            context
                .printer
                .warn(format!("calls have the static shares: {error}"));
        }
    }
    Ok(provenance)
}

/// Texts of the project's examples by SHA-256, of the sources whose licence lets everybody have
/// them. Where the data is gone there are none.
fn texts(context: &Context) -> BTreeMap<String, String> {
    let sources = project::sources(context, &[]);
    let Ok(dataset) = dataset::load(&sources) else {
        return BTreeMap::new();
    };
    let open = |row: &&dataset::Row| {
        let license = dataset.sources[row.source].license.as_deref();
        license.is_some_and(|license| OPEN.contains(&license))
    };
    let rows = dataset.rows.iter().filter(open);
    rows.map(|row| {
        let hash = hex::encode(row.example.content_hash());
        (hash, row.example.to_json_line())
    })
    .collect()
}

fn open(
    places: &Places,
    base: &Base,
    adapter_digest: &str,
) -> Result<(Index, Sketcher), AttributionError> {
    let index = Index::open(&places.index())?;
    index.binding().require(&base.digest, adapter_digest)?;
    let sketcher = Sketcher::of(index.binding(), places, base)?;
    Ok((index, sketcher))
}

/// Adds an index, by its folder or its file, to be scored against.
pub fn with_index(mut provenance: Provenance, path: &Path) -> Result<Provenance, Failure> {
    let path = match path.is_dir() {
        true => Places::new(path).index(),
        false => path.to_owned(),
    };
    let index = Index::open(&path)?;
    let witness = Indexed::new(index, None, &mut provenance.parties);
    provenance.witness = Ok(Arc::new(witness));
    Ok(provenance)
}

/// Static shares as a pool has them.
pub fn take_static_shares(parties: &mut Vec<Party>, split: &SplitRead) {
    let members = split.parts.iter().flat_map(|part| &part.members);
    let members: Vec<_> = members.collect();
    if !members.is_empty() {
        parties.iter_mut().for_each(|party| party.static_ppm = 0);
    }
    for member in members {
        let account = Some(member.account);
        match parties.iter_mut().find(|party| party.address == account) {
            Some(party) => party.static_ppm = u64::from(member.ppm),
            None => parties.push(Party {
                name: member.account.to_string(),
                address: account,
                owner: None,
                static_ppm: u64::from(member.ppm),
            }),
        }
    }
}

/// The contributors of an adapter, as its package or its run states them.
pub(super) fn parties(dir: &Path) -> Result<Vec<Party>, Failure> {
    if dir.join(MANIFEST_FILE).is_file() {
        return Ok(of_manifest(&package::read(dir)?.manifest));
    }
    let lock = dir.parent().map(|run| run.join(RUN_LOCK));
    match lock.filter(|lock| lock.is_file()) {
        Some(lock) => {
            let lock = Lock::read(&lock)?;
            Ok(contributors(&lock.data)?.iter().map(party).collect())
        }
        None => Ok(Vec::new()),
    }
}

/// The contributors as a package states them.
pub fn of_manifest(manifest: &Manifest) -> Vec<Party> {
    let owned = |contributor: &Contributor| {
        let mut theirs = manifest.datasets.iter();
        let dataset = theirs.find(|it| it.contributor == contributor.name && it.owner.is_some());
        Party {
            owner: dataset.and_then(|it| it.owner),
            ..party(contributor)
        }
    };
    manifest.contributors.iter().map(owned).collect()
}

fn party(contributor: &Contributor) -> Party {
    Party {
        name: contributor.name.clone(),
        address: contributor.address,
        owner: None,
        static_ppm: contributor.static_ppm,
    }
}

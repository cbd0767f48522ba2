//! Recomputes the amounts owed to contributors from the published calls.

use std::collections::BTreeMap;

use super::{
    LogAudit, LogAuditor,
    collected::{AdapterCalls, hold_collected},
};
use openlora_core::{Amount, Word, error::Failure};
use openlora_ledger::{
    AttributedCall, PoolAllotment, ReceiverKey, StatedContributions,
    publication::{
        ContributionsSource, ContributorOwed, LogCatalogue, PoolContributions, PublishedCall,
    },
};
use openlora_payments::rewards::{contributions_tree, entries, pool_of, proposed_on};

/// Checks that every published sum follows from the calls and their collected amounts, gives its
/// root, and is on the chain.
pub(super) async fn check_sums(
    auditor: &LogAuditor,
    catalogue: &LogCatalogue,
    calls: &[PublishedCall],
    pools: &[ReceiverKey],
    audited: &mut LogAudit,
) -> Result<(), Failure> {
    let mut files = Vec::new();
    for (at, root) in catalogue.contributions.iter().enumerate() {
        let pool = catalogue.pools.get(at).copied();
        match auditor.source.contributions(*root, pool).await? {
            Some(file) if pools.contains(&file.pool) => files.push(file),
            Some(_) => {}
            None => {
                let what = format!("the log has no contributions {root}");
                audited.differences.push(what);
            }
        }
    }
    for pool in pools {
        let theirs: Vec<&PoolContributions> = files.iter().filter(|it| it.pool == *pool).collect();
        let last = recompute(&theirs, AdapterCalls::from_calls(calls), audited);
        let on_chain = pool.chain_id == auditor.chain.network.chain_id;
        if on_chain {
            hold_proposals(auditor, *pool, &theirs, audited).await?;
            let held = hold_collected(
                &auditor.chain,
                *pool,
                &last,
                AdapterCalls::from_calls(calls),
            )
            .await?;
            audited.differences.extend(held.differences);
            audited.unstated = audited.unstated.saturating_add(held.unstated);
        }
        let collected = last.collected.values().copied().sum();
        audited.collected = audited.collected.saturating_add(collected);
    }
    Ok(())
}

/// Checks a pool's files in order, and returns the last statement.
fn recompute(
    files: &[&PoolContributions],
    sheet: AdapterCalls<'_>,
    audited: &mut LogAudit,
) -> StatedContributions {
    let mut known: BTreeMap<Word, StatedContributions> = BTreeMap::new();
    let mut last = StatedContributions::default();
    for file in files {
        audited.contributions += 1;
        let mut differences = Vec::new();
        let root = contributions_tree(file).map(|tree| Word(tree.root().0));
        if root != Some(file.root) {
            differences.push(format!("make another root: {root:?}"));
        }
        let mut stated = StatedContributions::default();
        match &file.source {
            Some(source) => {
                if let Some(previous) = source.previous {
                    match known.get(&previous) {
                        Some(found) => stated.clone_from(found),
                        None => differences.push(format!("follow {previous}, which is not there")),
                    }
                }
                differences.extend(sheet.differences(file, source, &stated));
                differences.extend(sums_differ(file, source, &stated, sheet));
            }
            None => {
                audited.contributions_by_charge += 1;
                differences.extend(charges_differ(file, sheet));
            }
        }
        stated.follow(file);
        known.insert(file.root, stated.clone());
        last = stated;
        let told = differences
            .into_iter()
            .map(|what| format!("the contributions {} {what}", file.root));
        audited.differences.extend(told);
    }
    last
}

/// Recomputes the sums from the collected amounts that the file states.
fn sums_differ(
    file: &PoolContributions,
    source: &ContributionsSource,
    stated: &StatedContributions,
    sheet: AdapterCalls<'_>,
) -> Option<String> {
    let mut now = stated.clone();
    now.follow(file);
    let mut allotment = PoolAllotment::new(file.pool);
    for call in sheet.calls_through(file.through) {
        let collected = now.collected.get(&call.event_id).copied();
        allotment.add(&attributed(call), collected.unwrap_or_default());
    }
    let (owed, _) = allotment.state(stated, source.received);
    owed_differ(file, &owed)
}

/// The sums of an earlier version, which treated every charge as collected.
fn charges_differ(file: &PoolContributions, sheet: AdapterCalls<'_>) -> Option<String> {
    let mut allotment = PoolAllotment::new(file.pool);
    for call in sheet.calls_through(file.through) {
        allotment.add(&attributed(call), call.charge.amount);
    }
    let (owed, _) = allotment.state(&StatedContributions::default(), Amount(u128::MAX));
    owed_differ(file, &owed)
}

fn attributed(call: &PublishedCall) -> AttributedCall<'_> {
    AttributedCall {
        event_id: call.event_id,
        sequence: call.sequence,
        charge: &call.charge,
        amounts: &call.amounts,
    }
}

fn owed_differ(file: &PoolContributions, owed: &[ContributorOwed]) -> Option<String> {
    let total: Amount = owed.iter().map(|it| it.cumulative).sum();
    let same = (total, owed) == (file.total, file.owed.as_slice());
    (!same).then(|| {
        format!(
            "are stated as {:?} and come out as {:?}",
            (file.total, &file.owed),
            (total, owed)
        )
    })
}

/// Checks that the chain has exactly these proposals, and that the pool received what they state.
async fn hold_proposals(
    auditor: &LogAuditor,
    pool: ReceiverKey,
    files: &[&PoolContributions],
    audited: &mut LogAudit,
) -> Result<(), Failure> {
    let stated: Vec<Word> = files.iter().map(|file| file.root).collect();
    let proposed = proposed_on(&auditor.chain, pool).await?;
    let found: Vec<Word> = proposed.iter().map(|it| it.root).collect();
    if stated != found {
        audited.differences.push(format!(
            "contributions of the pool {} are published as {stated:?} and proposed as {found:?}",
            pool.receiver
        ));
    }
    // If a file has no proposal, or the other way round, they cannot be compared.
    let pairs = files.iter().zip(&proposed);
    for (file, proposed) in pairs.filter(|(file, it)| file.root == it.root) {
        let expected = entries(file, &proposed.had, proposed.allotted);
        if expected != proposed.entries {
            audited.differences.push(format!(
                "the proposal of {} gives {:?} and comes out as {expected:?}",
                file.root, proposed.entries
            ));
        }
    }
    let received = pool_of(&auditor.chain, pool).await?.received;
    for file in files {
        let said = file.source.as_ref().map(|source| source.received);
        if said.is_some_and(|said| said > received) {
            audited.differences.push(format!(
                "the contributions {} say that {} had arrived at the pool {}, where {received} \
                 ever arrived",
                file.root,
                said.unwrap_or_default(),
                pool.receiver
            ));
        }
    }
    Ok(())
}

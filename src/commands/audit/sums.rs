//! What contributors are owed, computed again from the published calls.

use super::{Audited, Desk};
use crate::{
    error::Failure,
    runtime::ledger::{
        Allotment, Amount, ReceiverKey, Word,
        publication::{Contributions, PublishedCall},
    },
    wallet::rewards::{allot, contributions_tree, entries, proposed_on},
};

/// Every published sum comes out of the calls, makes its root, and stands on the chain.
pub(super) async fn hold(
    desk: &Desk,
    roots: &[Word],
    (calls, pools): (&[PublishedCall], &[ReceiverKey]),
    audited: &mut Audited,
) -> Result<(), Failure> {
    let mut files = Vec::new();
    for root in roots {
        match desk.source.contributions(*root).await? {
            Some(file) if pools.contains(&file.pool) => files.push(file),
            Some(_) => {}
            None => {
                let what = format!("the log has no contributions {root}");
                audited.differences.push(what);
            }
        }
    }
    for file in &files {
        audited.contributions += 1;
        audited.differences.extend(differs(file, calls));
    }
    for pool in pools {
        if pool.chain_id != desk.chain.network.chain_id {
            continue;
        }
        let theirs = files.iter().filter(|file| file.pool == *pool);
        let theirs: Vec<&Contributions> = theirs.collect();
        let proposed = proposed_on(&desk.chain, *pool).await?;
        let stated: Vec<Word> = theirs.iter().map(|file| file.root).collect();
        let found: Vec<Word> = proposed.iter().map(|it| it.root).collect();
        if stated != found {
            audited.differences.push(format!(
                "contributions of the pool {} are published as {stated:?} and proposed as {found:?}",
                pool.receiver
            ));
            continue;
        }
        for (file, proposed) in theirs.into_iter().zip(&proposed) {
            let expected = entries(file, &proposed.had, proposed.allotted);
            if expected != proposed.entries {
                audited.differences.push(format!(
                    "the proposal of {} gives {:?} and comes out as {expected:?}",
                    file.root, proposed.entries
                ));
            }
        }
    }
    Ok(())
}

fn differs(file: &Contributions, calls: &[PublishedCall]) -> Vec<String> {
    let mut differences = Vec::new();
    let root = contributions_tree(file).map(|tree| Word(tree.root().0));
    if root != Some(file.root) {
        differences.push(format!(
            "the contributions {} make another root: {root:?}",
            file.root
        ));
    }
    let mut allotment = Allotment::new(file.pool, Amount(u128::MAX));
    for call in calls.iter().filter(|call| call.sequence <= file.through) {
        allotment.add(call.sequence, &call.amounts);
    }
    let found = allot(&allotment);
    let owed = found.as_ref().map(|it| (it.total, &it.owed));
    if owed != Some((file.total, &file.owed)) {
        differences.push(format!(
            "the contributions {} are stated as {:?} and come out as {owed:?}",
            file.root,
            (file.total, &file.owed)
        ));
    }
    differences
}

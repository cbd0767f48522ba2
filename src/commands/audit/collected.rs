//! What a log says was collected of its calls: against the calls themselves, and against what the
//! chain has of their channels, their transfers and their receivers.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    error::Failure,
    runtime::ledger::{
        Address, Amount, ExactKey, ReceiverKey, Scheme, Stated, Word, collected_of,
        publication::{CollectedCall, Contributions, ContributionsSource, PublishedCall},
    },
    wallet::{
        provider::Chain,
        rewards::{authorizations_on, claimed_on, settled_on, transfers_of},
    },
};

/// The published calls of one adapter.
#[derive(Clone, Copy)]
pub(super) struct Sheet<'a> {
    calls: &'a [PublishedCall],
}

/// A call of which something was collected.
type Collection<'a> = (&'a PublishedCall, Amount);

impl<'a> Sheet<'a> {
    pub fn of(calls: &'a [PublishedCall]) -> Self {
        Self { calls }
    }

    /// The calls up to a record of the journal.
    pub fn until(self, through: u64) -> impl Iterator<Item = &'a PublishedCall> {
        self.calls.iter().filter(move |it| it.sequence <= through)
    }

    /// What of a file's calls cannot be.
    pub fn differences(
        self,
        file: &Contributions,
        source: &ContributionsSource,
        before: &Stated,
    ) -> Vec<String> {
        let known: BTreeMap<Word, &PublishedCall> = self
            .until(file.through)
            .map(|call| (call.event_id, call))
            .collect();
        let mut differences = Vec::new();
        let mut told = BTreeSet::new();
        for call in &source.calls {
            let id = call.event_id;
            if !told.insert(id) {
                differences.push(format!("name the call {id} twice"));
            }
            let Some(published) = known.get(&id) else {
                differences.push(format!("name the call {id}, which is not published"));
                continue;
            };
            let stands = CollectedCall::of(id, &published.charge, call.collected);
            if stands != *call {
                differences.push(format!(
                    "state {call:?}, and the call is published as {stands:?}"
                ));
            }
            let earlier = before.collected.get(&id).copied().unwrap_or_default();
            if call.collected > published.charge.amount || call.collected <= earlier {
                differences.push(format!(
                    "say that {} was collected of the call {id}, of which {} was charged and \
                     {earlier} collected before",
                    call.collected, published.charge.amount
                ));
            }
        }
        let mut now = before.clone();
        now.follow(file);
        let until: Vec<&PublishedCall> = self.until(file.through).collect();
        differences.extend(out_of_order(&until, &now, file.pool));
        differences
    }
}

/// The calls of a state of which something was collected.
fn collections<'a>(sheet: Sheet<'a>, stated: &Stated) -> Vec<Collection<'a>> {
    let each = sheet.calls.iter().filter_map(|call| {
        let collected = stated.collected.get(&call.event_id)?;
        Some((call, *collected))
    });
    each.collect()
}

/// How much was claimed from a channel at least, for so much of a call to be collected.
fn reach(call: &PublishedCall, collected: Amount) -> Amount {
    call.charge.before().saturating_add(collected)
}

/// A channel's money pays its calls in their order: what pays a later call has paid the earlier
/// ones whole.
fn out_of_order(calls: &[&PublishedCall], now: &Stated, pool: ReceiverKey) -> Vec<String> {
    let stated = |call: &PublishedCall| {
        let collected = now.collected.get(&call.event_id).copied();
        collected.unwrap_or_default()
    };
    let of_channels = || {
        let paid = |call: &&&PublishedCall| {
            let mut amounts = call.amounts.iter();
            call.charge.scheme == Scheme::BatchSettlement
                && amounts.any(|it| it.pool == Some(pool) && it.address.is_some())
        };
        calls.iter().filter(paid).copied()
    };
    let mut claimed: BTreeMap<Word, Amount> = BTreeMap::new();
    for call in of_channels().filter(|call| !stated(call).is_zero()) {
        let most = claimed.entry(call.charge.id).or_default();
        *most = reach(call, stated(call)).max(*most);
    }
    let differs = of_channels().filter_map(|call| {
        let claimed = claimed.get(&call.charge.id).copied().unwrap_or_default();
        let expected = collected_of(&call.charge, claimed);
        let found = stated(call);
        (found != expected).then(|| {
            format!(
                "say that {found} was collected of the call {}, and {claimed} claimed from its \
                 channel {} collect {expected}",
                call.event_id, call.charge.id
            )
        })
    });
    differs.collect()
}

/// Holds what a pool's last file says was collected against the chain.
pub(super) async fn hold_collected(
    chain: &Chain,
    last: &Stated,
    sheet: Sheet<'_>,
) -> Result<Vec<String>, Failure> {
    let here = chain.network.chain_id;
    let (channels, transfers): (Vec<Collection<'_>>, Vec<Collection<'_>>) =
        collections(sheet, last)
            .into_iter()
            .filter(|(call, _)| call.charge.chain_id == here)
            .partition(|(call, _)| call.charge.scheme == Scheme::BatchSettlement);
    let mut differences = hold_claims(chain, &channels).await?;
    differences.extend(hold_settled(chain, &channels).await?);
    differences.extend(hold_transfers(chain, &transfers).await?);
    Ok(differences)
}

async fn hold_claims(chain: &Chain, calls: &[Collection<'_>]) -> Result<Vec<String>, Failure> {
    let mut stated: BTreeMap<Word, Amount> = BTreeMap::new();
    for (call, collected) in calls {
        let most = stated.entry(call.charge.id).or_default();
        *most = reach(call, *collected).max(*most);
    }
    let ids: Vec<Word> = stated.keys().copied().collect();
    let claimed = claimed_on(chain, &ids).await?;
    let claimed: BTreeMap<Word, Amount> = ids.into_iter().zip(claimed).collect();
    let short = |(call, collected): &&Collection<'_>| {
        let on_chain = claimed.get(&call.charge.id).copied().unwrap_or_default();
        reach(call, *collected) > on_chain
    };
    let told = calls.iter().filter(short).map(|(call, collected)| {
        let on_chain = claimed.get(&call.charge.id).copied().unwrap_or_default();
        format!(
            "call {}: {collected} is stated as collected from {} on, and only {on_chain} was \
             claimed from its channel {}",
            call.event_id,
            call.charge.before(),
            call.charge.id
        )
    });
    Ok(told.collect())
}

/// Channels pay whoever they were opened for: together they brought no more than was settled.
async fn hold_settled(chain: &Chain, calls: &[Collection<'_>]) -> Result<Vec<String>, Failure> {
    let mut sums: BTreeMap<ReceiverKey, Amount> = BTreeMap::new();
    for (call, collected) in calls {
        let sum = sums.entry(call.charge.receiver_key()).or_default();
        *sum = sum.saturating_add(*collected);
    }
    let mut differences = Vec::new();
    for (receiver, sum) in sums {
        let settled = settled_on(chain, receiver).await?;
        if sum > settled {
            differences.push(format!(
                "{sum} is stated as collected from channels for {}, and the escrow sent it \
                 {settled}",
                receiver.receiver
            ));
        }
    }
    Ok(differences)
}

/// What a transaction moved from a payer to a receiver pays the calls that name it, once.
async fn hold_transfers(chain: &Chain, calls: &[Collection<'_>]) -> Result<Vec<String>, Failure> {
    let tokens: BTreeSet<Address> = calls.iter().map(|(call, _)| call.charge.token).collect();
    let mut differences = Vec::new();
    for token in tokens {
        let of_token = || calls.iter().filter(|(call, _)| call.charge.token == token);
        let keys: Vec<ExactKey> = of_token()
            .map(|(call, _)| call.charge.exact_key())
            .collect();
        let used = authorizations_on(chain, token, &keys).await?;
        let mut shared: BTreeMap<(Word, Address, Address), Vec<&Collection<'_>>> = BTreeMap::new();
        for entry in of_token() {
            let charge = &entry.0.charge;
            match used.get(&charge.exact_key()) {
                Some(tx) => {
                    let way = (*tx, charge.payer, charge.receiver);
                    shared.entry(way).or_default().push(entry);
                }
                None => differences.push(format!(
                    "call {}: {} is stated as collected, and nobody used its authorization {}",
                    entry.0.event_id, entry.1, charge.id
                )),
            }
        }
        for ((tx, from, to), entries) in shared {
            let moved = transfers_of(chain, token, tx).await?;
            let fits = moved.iter().filter(|it| (it.from, it.to) == (from, to));
            let moved: Amount = fits.map(|it| it.amount).sum();
            let sum: Amount = entries.iter().map(|(_, collected)| *collected).sum();
            if sum > moved {
                let ids: Vec<String> = entries
                    .iter()
                    .map(|(call, _)| call.event_id.to_string())
                    .collect();
                differences.push(format!(
                    "calls {}: {sum} is stated as collected together, and transaction {tx} moved \
                     {moved} from {from} to {to}",
                    ids.join(", ")
                ));
            }
        }
    }
    Ok(differences)
}

//! Checks the collected amounts that a log states: against the calls themselves, and against the
//! on-chain state of their channels, transfers and receivers.

use std::collections::{BTreeMap, BTreeSet};

use openlora_chain::provider::Chain;
use openlora_core::{Address, Amount, Word, error::Failure};
use openlora_ledger::{
    ExactKey, PaymentScheme, ReceiverKey, StatedContributions, collected_of,
    publication::{CollectedCall, ContributionsSource, PoolContributions, PublishedCall},
};
use openlora_payments::rewards::{authorizations_on, claimed_on, settled_on, transfers_of};

/// The published calls of one adapter.
#[derive(Clone, Copy)]
pub(super) struct AdapterCalls<'a> {
    calls: &'a [PublishedCall],
}

/// A call, and its stated collected amount.
type CallCollection<'a> = (&'a PublishedCall, Amount);

/// The result of comparing a pool's calls with the chain.
#[derive(Debug, Default)]
pub(super) struct CollectionCheck {
    pub differences: Vec<String>,
    /// The part of the charges that is collected on the chain and not stated yet.
    pub unstated: Amount,
}

impl CollectionCheck {
    fn note_unstated(&mut self, collected: Amount, stated: Amount) {
        let more = collected.saturating_sub(stated);
        self.unstated = self.unstated.saturating_add(more);
    }
}

impl<'a> AdapterCalls<'a> {
    pub fn from_calls(calls: &'a [PublishedCall]) -> Self {
        Self { calls }
    }

    /// The calls up to a record of the journal.
    pub fn calls_through(self, through: u64) -> impl Iterator<Item = &'a PublishedCall> {
        self.calls.iter().filter(move |it| it.sequence <= through)
    }

    /// Inconsistencies among the calls of a file.
    pub fn differences(
        self,
        file: &PoolContributions,
        source: &ContributionsSource,
        before: &StatedContributions,
    ) -> Vec<String> {
        let known: BTreeMap<Word, &PublishedCall> = self
            .calls_through(file.through)
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
            let stands = CollectedCall::from_charge(id, &published.charge, call.collected);
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
        let until: Vec<&PublishedCall> = self.calls_through(file.through).collect();
        differences.extend(out_of_order(&until, &now, file.pool));
        differences
    }

    /// The calls that pay into a pool, with their stated collected amounts.
    fn of_pool(self, pool: ReceiverKey, stated: &StatedContributions) -> Vec<CallCollection<'a>> {
        let of_pool = self.calls.iter().filter(|call| gives(call, pool));
        let each = of_pool.map(|call| {
            let collected = stated.collected.get(&call.event_id).copied();
            (call, collected.unwrap_or_default())
        });
        each.collect()
    }
}

/// Whether a call pays a contributor of a pool.
fn gives(call: &PublishedCall, pool: ReceiverKey) -> bool {
    let mut amounts = call.amounts.iter();
    amounts.any(|it| it.pool == Some(pool) && it.address.is_some())
}

/// The minimum claimed total of a channel for this much of a call to be collected.
fn reach(call: &PublishedCall, collected: Amount) -> Amount {
    call.charge.before().saturating_add(collected)
}

/// Claims cover the calls of a channel in order: a call is collected only after all earlier ones
/// are collected in full.
fn out_of_order(
    calls: &[&PublishedCall],
    now: &StatedContributions,
    pool: ReceiverKey,
) -> Vec<String> {
    let stated = |call: &PublishedCall| {
        let collected = now.collected.get(&call.event_id).copied();
        collected.unwrap_or_default()
    };
    let of_channels = || {
        let paid = |call: &&&PublishedCall| {
            call.charge.scheme == PaymentScheme::BatchSettlement && gives(call, pool)
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

/// Compares the collected amounts in a pool's last file with the chain.
pub(super) async fn hold_collected(
    chain: &Chain,
    pool: ReceiverKey,
    last: &StatedContributions,
    sheet: AdapterCalls<'_>,
) -> Result<CollectionCheck, Failure> {
    let (channels, transfers): (Vec<CallCollection<'_>>, Vec<CallCollection<'_>>) = sheet
        .of_pool(pool, last)
        .into_iter()
        .partition(|(call, _)| call.charge.scheme == PaymentScheme::BatchSettlement);
    let mut held = CollectionCheck::default();
    hold_claims(chain, &channels, &mut held).await?;
    hold_settled(chain, &channels, &mut held).await?;
    hold_transfers(chain, &transfers, &mut held).await?;
    Ok(held)
}

async fn hold_claims(
    chain: &Chain,
    calls: &[CallCollection<'_>],
    held: &mut CollectionCheck,
) -> Result<(), Failure> {
    let ids: BTreeSet<Word> = calls.iter().map(|(call, _)| call.charge.id).collect();
    let ids: Vec<Word> = ids.into_iter().collect();
    let claimed = claimed_on(chain, &ids).await?;
    let claimed: BTreeMap<Word, Amount> = ids.into_iter().zip(claimed).collect();
    for (call, stated) in calls {
        let on_chain = claimed.get(&call.charge.id).copied().unwrap_or_default();
        held.note_unstated(collected_of(&call.charge, on_chain), *stated);
        if !stated.is_zero() && reach(call, *stated) > on_chain {
            held.differences.push(format!(
                "call {}: {stated} is stated as collected from {} on, and only {on_chain} was \
                 claimed from its channel {}",
                call.event_id,
                call.charge.before(),
                call.charge.id
            ));
        }
    }
    Ok(())
}

/// All channels of a receiver together cannot have collected more than was settled.
async fn hold_settled(
    chain: &Chain,
    calls: &[CallCollection<'_>],
    held: &mut CollectionCheck,
) -> Result<(), Failure> {
    let mut sums: BTreeMap<ReceiverKey, Amount> = BTreeMap::new();
    for (call, stated) in calls {
        let sum = sums.entry(call.charge.receiver_key()).or_default();
        *sum = sum.saturating_add(*stated);
    }
    for (receiver, sum) in sums {
        let settled = settled_on(chain, receiver).await?;
        if sum > settled {
            held.differences.push(format!(
                "{sum} is stated as collected from channels for {}, and the escrow sent it \
                 {settled}",
                receiver.receiver
            ));
        }
    }
    Ok(())
}

/// A transfer from a payer to a receiver pays the calls that name it, once.
async fn hold_transfers(
    chain: &Chain,
    calls: &[CallCollection<'_>],
    held: &mut CollectionCheck,
) -> Result<(), Failure> {
    let tokens: BTreeSet<Address> = calls.iter().map(|(call, _)| call.charge.token).collect();
    for token in tokens {
        let of_token = || calls.iter().filter(|(call, _)| call.charge.token == token);
        let keys: Vec<ExactKey> = of_token()
            .map(|(call, _)| call.charge.exact_key())
            .collect();
        let used = authorizations_on(chain, token, &keys).await?;
        let mut shared: BTreeMap<(Word, Address, Address), Vec<&CallCollection<'_>>> =
            BTreeMap::new();
        for entry in of_token() {
            let (call, stated) = entry;
            let charge = &call.charge;
            if let Some(tx) = used.get(&charge.exact_key()) {
                let way = (*tx, charge.payer, charge.receiver);
                shared.entry(way).or_default().push(entry);
            } else if !stated.is_zero() {
                held.differences.push(format!(
                    "call {}: {stated} is stated as collected, and nobody used its authorization \
                     {}",
                    call.event_id, charge.id
                ));
            }
        }
        for ((tx, from, to), entries) in shared {
            let moved = transfers_of(chain, token, tx).await?;
            let fits = moved.iter().filter(|it| (it.from, it.to) == (from, to));
            let moved: Amount = fits.map(|it| it.amount).sum();
            let sum: Amount = entries.iter().map(|(_, stated)| *stated).sum();
            let charged: Amount = entries.iter().map(|(call, _)| call.charge.amount).sum();
            held.note_unstated(moved.min(charged), sum);
            if sum > moved {
                let ids: Vec<String> = entries
                    .iter()
                    .map(|(call, _)| call.event_id.to_string())
                    .collect();
                held.differences.push(format!(
                    "calls {}: {sum} is stated as collected together, and transaction {tx} moved \
                     {moved} from {from} to {to}",
                    ids.join(", ")
                ));
            }
        }
    }
    Ok(())
}

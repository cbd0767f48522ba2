//! The ledger beside the chain, receiver by receiver: every sum by itself, and every relation
//! that must hold between them.

use std::collections::BTreeMap;

use alloy::{
    primitives::{B256, U256},
    rpc::types::{Filter, Log},
    sol_types::SolEvent,
};

use super::{settle::receivers_of, view};
use crate::{
    runtime::ledger::{Amount, Book, Channel, ChannelKey, ReceiverKey, ReceiverView},
    wallet::{
        WalletError,
        contracts::ESCROW,
        provider::{Chain, Head},
        registry::Token,
    },
};

/// What two sums must be to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    Equal,
    AtLeast,
}

/// One relation, with its numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Such as "charged ≥ claimed".
    pub name: &'static str,
    pub left: Amount,
    pub relation: Relation,
    pub right: Amount,
}

impl Check {
    pub fn holds(&self) -> bool {
        match self.relation {
            Relation::Equal => self.left == self.right,
            Relation::AtLeast => self.left >= self.right,
        }
    }
}

/// All sums of one receiver.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Signed for and charged, over the ledger's channels.
    pub signed: Amount,
    pub charged: Amount,
    /// Of these channels, as the chain has it.
    pub claimed: Amount,
    /// Of the receiver, whoever claimed.
    pub claimed_by_all: Amount,
    pub settled: Amount,
    pub released: Amount,
    pub held: Amount,
    /// Every transfer to the receiver, and where it came from.
    pub received: Amount,
    pub from_escrow: Amount,
    pub from_exact: Amount,
    pub from_others: Amount,
    /// Payments of the `exact` scheme that the ledger has, and what calls cost of them.
    pub exact: Amount,
    pub exact_charged: Amount,
}

/// One receiver's audit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    pub receiver: ReceiverKey,
    /// The block at which the chain was asked.
    pub block: u64,
    pub figures: Figures,
    pub checks: Vec<Check>,
}

impl Audit {
    pub fn holds(&self) -> bool {
        self.checks.iter().all(Check::holds)
    }
}

/// Audits every receiver that the ledger knows on a chain. Transfers are read from `from_block`
/// on, which must not be later than the receivers' first.
pub async fn audit(chain: &Chain, book: &Book, from_block: u64) -> Result<Vec<Audit>, WalletError> {
    let head = chain.head().await?;
    let mut audits = Vec::new();
    for receiver in receivers_of(book, chain.network.chain_id) {
        audits.push(of(chain, book, (from_block, &head), receiver).await?);
    }
    Ok(audits)
}

async fn of(
    chain: &Chain,
    book: &Book,
    (from_block, head): (u64, &Head),
    receiver: ReceiverKey,
) -> Result<Audit, WalletError> {
    let mut figures = signed_and_charged(book, receiver);
    figures.claimed = claimed(chain, book, head, receiver).await?;
    let seen = view::receiver(chain, head, receiver).await?;
    let ReceiverView {
        claimed,
        settled,
        released,
        held,
        ..
    } = seen;
    figures.claimed_by_all = claimed;
    (figures.settled, figures.released, figures.held) = (settled, released, held);
    transfers(chain, book, (from_block, head), receiver, &mut figures).await?;
    let checks = checks(&figures);
    Ok(Audit {
        receiver,
        block: head.number,
        figures,
        checks,
    })
}

fn of_receiver(
    book: &Book,
    receiver: ReceiverKey,
) -> impl Iterator<Item = (&ChannelKey, &Channel)> {
    book.channels.iter().filter(move |(key, channel)| {
        key.chain_id == receiver.chain_id
            && channel.config.receiver == receiver.receiver
            && channel.config.token == receiver.token
    })
}

fn signed_and_charged(book: &Book, receiver: ReceiverKey) -> Figures {
    let of = || of_receiver(book, receiver);
    let charged = of().map(|(_, channel)| channel.charged.amount()).sum();
    Figures {
        // A channel of which only the chain's memory is left has no voucher here.
        signed: of()
            .map(|(_, channel)| channel.authorised.amount().max(lost(channel)))
            .sum(),
        charged,
        exact_charged: book
            .receivers
            .get(&receiver)
            .map_or(Amount::ZERO, |it| it.exact),
        ..Figures::default()
    }
}

/// What the chain paid of a channel before this ledger began.
fn lost(channel: &Channel) -> Amount {
    match channel.signature.is_empty() {
        true => channel.charged.amount(),
        false => Amount::ZERO,
    }
}

async fn claimed(
    chain: &Chain,
    book: &Book,
    head: &Head,
    receiver: ReceiverKey,
) -> Result<Amount, WalletError> {
    let ids: Vec<_> = of_receiver(book, receiver)
        .map(|(key, _)| key.channel)
        .collect();
    let views = view::channels(chain, head, 0, &ids).await?;
    Ok(views.iter().map(|view| view.claimed).sum())
}

/// Sorts every transfer to the receiver by where it came from.
async fn transfers(
    chain: &Chain,
    book: &Book,
    (from_block, head): (u64, &Head),
    receiver: ReceiverKey,
    figures: &mut Figures,
) -> Result<(), WalletError> {
    let filter = Filter::new()
        .address(alloy::primitives::Address::from(receiver.token))
        .event_signature(Token::Transfer::SIGNATURE_HASH)
        .topic2(B256::left_padding_from(&receiver.receiver.0));
    let logs = chain.logs_in(&filter, from_block..=head.number).await?;
    // The ledger's payments by transaction; each transfer pays for one of them.
    let mut exact: BTreeMap<String, Vec<Amount>> = BTreeMap::new();
    for (key, paid) in &book.exact {
        if key.chain_id == receiver.chain_id && key.token == receiver.token {
            exact.entry(paid.tx.clone()).or_default().push(paid.amount);
        }
    }
    for log in &logs {
        let Some((from, amount, tx)) = transfer(log) else {
            continue;
        };
        let sum = if from == ESCROW {
            &mut figures.from_escrow
        } else if let Some(paid) = exact.get_mut(&tx).and_then(Vec::pop) {
            figures.exact = figures.exact.saturating_add(paid);
            &mut figures.from_exact
        } else {
            &mut figures.from_others
        };
        *sum = sum.saturating_add(amount);
        figures.received = figures.received.saturating_add(amount);
    }
    Ok(())
}

fn transfer(log: &Log) -> Option<(alloy::primitives::Address, Amount, String)> {
    let event = Token::Transfer::decode_log(&log.inner).ok()?;
    let amount = u128::try_from(event.value.min(U256::from(u128::MAX))).ok()?;
    Some((
        event.from,
        Amount(amount),
        log.transaction_hash?.to_string(),
    ))
}

fn checks(it: &Figures) -> Vec<Check> {
    let check = |name, left, relation, right| Check {
        name,
        left,
        relation,
        right,
    };
    use Relation::{AtLeast, Equal};
    let accounted = it.held.saturating_add(it.released);
    vec![
        check("signed ≥ charged", it.signed, AtLeast, it.charged),
        check("charged ≥ claimed", it.charged, AtLeast, it.claimed),
        check(
            "claimed by all ≥ claimed",
            it.claimed_by_all,
            AtLeast,
            it.claimed,
        ),
        check("claimed ≥ settled", it.claimed_by_all, AtLeast, it.settled),
        check(
            "from the escrow = settled",
            it.from_escrow,
            Equal,
            it.settled,
        ),
        check("by exact = the ledger's", it.from_exact, Equal, it.exact),
        check("exact ≥ charged of it", it.exact, AtLeast, it.exact_charged),
        check("received = held + released", it.received, Equal, accounted),
    ]
}

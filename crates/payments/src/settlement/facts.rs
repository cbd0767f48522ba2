//! Reads the facts of a mined transaction from its logs alone. The same receipt always gives the
//! same facts.

use alloy::{
    primitives::Address as RawAddress,
    rpc::types::{Log, TransactionReceipt},
    sol_types::SolEvent,
};

use openlora_chain::registry::{BatchSettlementEscrow as Escrow, RevenueSplitter, Token};
use openlora_contracts::ESCROW;
use openlora_core::{Amount, Word};
use openlora_ledger::{
    ChannelKey, ExactKey, Ledger, ReceiverKey,
    event::{
        ChannelRefunded, ChannelsClaimed, ClaimedRow, Event, PaymentReceived, ReceiverSettled,
        ShareReleased,
    },
};

/// The location of a receipt on its chain.
struct ReceiptLocation {
    chain_id: u64,
    tx: String,
    block: u64,
    block_hash: Word,
}

impl ReceiptLocation {
    fn from_receipt(chain_id: u64, receipt: &TransactionReceipt) -> Self {
        Self {
            chain_id,
            tx: receipt.transaction_hash.to_string(),
            block: receipt.block_number.unwrap_or_default(),
            block_hash: Word(receipt.block_hash.unwrap_or_default().0),
        }
    }

    fn receiver(&self, receiver: RawAddress, token: RawAddress) -> ReceiverKey {
        ReceiverKey {
            chain_id: self.chain_id,
            receiver: receiver.into(),
            token: token.into(),
        }
    }

    fn channel(&self, channel: Word) -> ChannelKey {
        ChannelKey {
            chain_id: self.chain_id,
            channel,
        }
    }
}

/// The facts of a receipt, claims first.
pub fn told_by(receipt: &TransactionReceipt, chain_id: u64, ledger: &Ledger) -> Vec<Event> {
    let place = ReceiptLocation::from_receipt(chain_id, receipt);
    let mut facts = claims(receipt, &place, ledger);
    facts.extend(receipt.logs().iter().filter_map(|log| {
        settled(log, &place)
            .or_else(|| refunded(log, &place))
            .or_else(|| released(log, &place))
            .or_else(|| paid(log, receipt, &place))
    }));
    facts
}

/// One fact per receiver. Rows name no receiver, so only channels in the ledger are included.
fn claims(receipt: &TransactionReceipt, place: &ReceiptLocation, ledger: &Ledger) -> Vec<Event> {
    let mut facts: Vec<ChannelsClaimed> = Vec::new();
    for log in of_escrow(receipt) {
        let Ok(event) = Escrow::Claimed::decode_log(&log.inner) else {
            continue;
        };
        let row = ClaimedRow {
            channel: Word(event.channelId.0),
            amount: Amount(event.claimAmount),
            total: Amount(event.newTotalClaimed),
        };
        let Some(channel) = ledger.channels.get(&place.channel(row.channel)) else {
            continue;
        };
        let config = &channel.config;
        let receiver = place.receiver(config.receiver.into(), config.token.into());
        match facts.iter_mut().find(|fact| fact.receiver == receiver) {
            Some(fact) => fact.rows.push(row),
            None => facts.push(ChannelsClaimed {
                tx: place.tx.clone(),
                receiver,
                rows: vec![row],
                block: place.block,
                block_hash: place.block_hash,
            }),
        }
    }
    let event = |fact| Event::Claimed(Box::new(fact));
    facts.into_iter().map(event).collect()
}

fn of_escrow(receipt: &TransactionReceipt) -> impl Iterator<Item = &Log> {
    receipt.logs().iter().filter(|log| log.address() == ESCROW)
}

fn settled(log: &Log, place: &ReceiptLocation) -> Option<Event> {
    let event = Escrow::Settled::decode_log(&log.inner).ok()?;
    (log.address() == ESCROW).then(|| {
        Event::Settled(Box::new(ReceiverSettled {
            tx: place.tx.clone(),
            receiver: place.receiver(event.receiver, event.token),
            amount: Amount(event.amount),
            block: place.block,
            block_hash: place.block_hash,
        }))
    })
}

fn refunded(log: &Log, place: &ReceiptLocation) -> Option<Event> {
    let event = Escrow::Refunded::decode_log(&log.inner).ok()?;
    (log.address() == ESCROW).then(|| {
        Event::Refunded(Box::new(ChannelRefunded {
            tx: place.tx.clone(),
            key: place.channel(Word(event.channelId.0)),
            amount: Amount(event.amount),
            block: place.block,
            block_hash: place.block_hash,
        }))
    })
}

fn released(log: &Log, place: &ReceiptLocation) -> Option<Event> {
    let event = RevenueSplitter::Released::decode_log(&log.inner).ok()?;
    Some(Event::Released(Box::new(ShareReleased {
        tx: place.tx.clone(),
        receiver: place.receiver(log.address(), event.token),
        recipient: event.recipient.into(),
        to: event.to.into(),
        amount: Amount(u128::try_from(event.amount).ok()?),
        block: place.block,
        block_hash: place.block_hash,
    })))
}

/// A transfer by authorization, if it is the only action of its transaction. A deposit also uses
/// one, but transfers to the escrow.
fn paid(log: &Log, receipt: &TransactionReceipt, place: &ReceiptLocation) -> Option<Event> {
    let used = Token::AuthorizationUsed::decode_log(&log.inner).ok()?;
    if receipt.to != Some(log.address()) {
        return None;
    }
    let transfer = receipt.logs().iter().find_map(|other| {
        let transfer = Token::Transfer::decode_log(&other.inner).ok()?;
        let same = other.address() == log.address() && transfer.from == used.authorizer;
        same.then_some(transfer)
    })?;
    Some(Event::PaymentReceived(Box::new(PaymentReceived {
        key: ExactKey {
            chain_id: place.chain_id,
            token: log.address().into(),
            payer: used.authorizer.into(),
            nonce: Word(used.nonce.0),
        },
        receiver: transfer.to.into(),
        amount: Amount(u128::try_from(transfer.value).ok()?),
        tx: place.tx.clone(),
        block: place.block,
        block_hash: place.block_hash,
    })))
}

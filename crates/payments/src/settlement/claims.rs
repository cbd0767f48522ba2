//! Selects the rows to claim, from the ledger and the chain's totals, and finds those that would
//! succeed.
//!
//! A row that the chain would refuse is left out and reported, so that it never blocks the others.

use std::collections::{BTreeMap, BTreeSet};

use alloy::{hex, primitives::Bytes, sol_types::SolCall};

use super::{
    claim_worth::{AMONG, ClaimWorth},
    purpose::TxPurpose,
};
use openlora_chain::{
    WalletError,
    network::Network,
    provider::Chain,
    registry::{BatchSettlementEscrow as Escrow, ChannelVoucher, VoucherClaim},
};
use openlora_contracts::ESCROW;
use openlora_core::{Address, Amount, Word};
use openlora_ledger::{
    ChannelKey, ChannelTerms, ChannelView, Ledger, LedgerChannel, ReceiverKey, TxKey,
    event::{DeferredClaim, PublishedVoucher},
    state::LedgerState,
};

/// Maximum number of rows in one transaction.
pub const ROWS: usize = 100;
/// Gas of a row that is claimed alone, including the transaction's base cost and a cold receiver.
pub(super) const ALONE: u64 = 160_000;

/// One row of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimRow {
    pub channel: Word,
    pub receiver: ReceiverKey,
    /// The account that may claim it.
    pub(super) claimer: Address,
    /// Charged and not yet claimed.
    pub amount: Amount,
    /// The channel's total after the claim.
    pub total: Amount,
    claim: VoucherClaim,
    /// The payer's contract decides whether the voucher is valid, and may change its decision.
    pub(super) by_contract: bool,
}

impl ClaimRow {
    /// Its amount, and whether a contract checks its voucher.
    pub(super) fn worth_of(&self) -> (Amount, bool) {
        (self.amount, self.by_contract)
    }
}

/// A channel with money that cannot be claimed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    pub channel: Word,
    pub amount: Amount,
    pub reason: String,
    /// The account that could claim it, where only its key is missing.
    pub claimer: Option<Address>,
}

/// The rows that `accounts` can claim, for channels with the state in `views`.
pub fn select(
    ledger: &Ledger,
    chain_id: u64,
    accounts: &[Address],
    views: &BTreeMap<Word, ChannelView>,
) -> (Vec<ClaimRow>, Vec<LeftOut>) {
    let (mut rows, mut left_out) = (Vec::new(), Vec::new());
    for (key, channel) in here(ledger, chain_id) {
        let Some(view) = views.get(&key.channel) else {
            continue;
        };
        match row(key, channel, accounts, view) {
            Ok(Some(row)) => rows.push(row),
            Ok(None) => {}
            Err(out) => left_out.push(out),
        }
        left_out.extend(lost(key, channel, view));
    }
    // Rows are sorted by amount, so that a block that ends early costs least.
    rows.sort_by(|a, b| (a.by_contract, b.amount).cmp(&(b.by_contract, a.amount)));
    (rows, left_out)
}

fn here(ledger: &Ledger, chain_id: u64) -> impl Iterator<Item = (&ChannelKey, &LedgerChannel)> {
    let channels = ledger.channels.iter();
    channels.filter(move |(key, _)| key.chain_id == chain_id)
}

/// Channels of a chain whose charges exceed what the chain is known to have paid, and what is
/// written off.
pub fn owed_channels(ledger: &Ledger, chain_id: u64) -> Vec<Word> {
    let owed = here(ledger, chain_id).filter(|(_, channel)| !channel.outstanding().is_zero());
    owed.map(|(key, _)| key.channel).collect()
}

/// The number of channels of a chain that owe money, hold it, and are worth a claim by `account` at
/// this price of gas.
pub fn due_channels(
    ledger: &Ledger,
    chain_id: u64,
    account: Address,
    worth: &ClaimWorth,
    price: u128,
) -> usize {
    let own = here(ledger, chain_id);
    let own = own.filter(|(_, channel)| channel.config.receiver_authorizer == account);
    let due = own.filter(|(_, channel)| {
        let amount = match &channel.view {
            None => channel.unclaimed(),
            Some(view) => {
                let total = channel.charged.amount().min(view.balance);
                total.saturating_sub(view.claimed)
            }
        };
        worth.has_row(amount, channel.config.payer_authorizer.is_zero(), price)
    });
    due.count()
}

/// The maximum gas to claim from so many channels.
pub fn claiming_gas(rows: usize) -> u64 {
    let transactions = rows.div_ceil(ROWS);
    ALONE * transactions as u64 + AMONG * rows as u64
}

/// The charged amount that the channel does not hold, whether or not the rest can be claimed. What
/// was not worth a claim is written off and not counted.
fn lost(key: &ChannelKey, channel: &LedgerChannel, view: &ChannelView) -> Option<LeftOut> {
    let reach = view.balance.max(view.claimed).max(channel.deferred);
    let lost = channel.charged.amount().saturating_sub(reach);
    (!lost.is_zero()).then(|| LeftOut {
        channel: key.channel,
        amount: lost,
        reason: format!("the channel holds {}", view.balance),
        claimer: None,
    })
}

fn row(
    key: &ChannelKey,
    channel: &LedgerChannel,
    accounts: &[Address],
    view: &ChannelView,
) -> Result<Option<ClaimRow>, LeftOut> {
    // Money that the payer has withdrawn since then can no longer be claimed.
    let total = channel.charged.amount().min(view.balance);
    let config = &channel.config;
    if total <= view.claimed {
        return Ok(None);
    }
    let amount = total.saturating_sub(view.claimed);
    let claimer = config.receiver_authorizer;
    if !accounts.contains(&claimer) {
        return Err(LeftOut {
            channel: key.channel,
            amount,
            reason: format!("only {claimer} may claim it"),
            claimer: Some(claimer),
        });
    }
    let signature = hex::decode(&channel.signature).unwrap_or_default();
    let claim = VoucherClaim {
        voucher: ChannelVoucher {
            channel: config.into(),
            maxClaimableAmount: channel.authorised.amount().0,
        },
        signature: signature.into(),
        totalClaimed: total.0,
    };
    Ok(Some(ClaimRow {
        channel: key.channel,
        receiver: ReceiverKey {
            chain_id: key.chain_id,
            receiver: config.receiver,
            token: config.token,
        },
        claimer,
        amount,
        total,
        claim,
        by_contract: config.payer_authorizer.is_zero(),
    }))
}

/// Rows that one transaction can claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimBatch {
    /// The account that sends it.
    pub claimer: Address,
    pub rows: Vec<ClaimRow>,
}

/// Groups rows that are claimed together: those of each account, with rows that contracts decide
/// apart.
pub fn batches(rows: Vec<ClaimRow>) -> Vec<ClaimBatch> {
    let mut groups: BTreeMap<(bool, Address), Vec<ClaimRow>> = BTreeMap::new();
    for row in rows {
        let group = groups.entry((row.by_contract, row.claimer));
        group.or_default().push(row);
    }
    let batches = groups.into_iter().flat_map(|((_, claimer), rows)| {
        let parts: Vec<Vec<ClaimRow>> = rows.chunks(ROWS).map(<[ClaimRow]>::to_vec).collect();
        let batch = move |rows| ClaimBatch { claimer, rows };
        parts.into_iter().map(batch)
    });
    batches.collect()
}

/// The call that claims these rows.
pub fn data(rows: &[ClaimRow]) -> Bytes {
    let call = Escrow::claimCall {
        voucherClaims: rows.iter().map(|row| row.claim.clone()).collect(),
    };
    call.abi_encode().into()
}

/// The purpose of a claim. The rows may be in several tokens.
pub fn claim_purpose(network: &Network, rows: &[ClaimRow]) -> TxPurpose {
    let mut sums: BTreeMap<Address, Amount> = BTreeMap::new();
    for row in rows {
        let sum = sums.entry(row.receiver.token).or_default();
        *sum = sum.saturating_add(row.amount);
    }
    let sums = sums
        .iter()
        .map(|(token, sum)| network.token_amount(token, *sum));
    let sum = sums.collect::<Vec<_>>().join(" and ");
    let label = match rows {
        [row] => format!("a claim of {sum} from channel {}", row.channel),
        rows => format!("a claim of {sum} from {} channels", rows.len()),
    };
    let totals = rows.iter().map(|row| (row.channel, row.total)).collect();
    let key = TxKey::Claim { totals };
    TxPurpose { key, label }
}

/// Simulates the rows together, and each alone if that fails. Returns the batch of those that pass,
/// and the others.
pub async fn filter_rows(
    chain: &Chain,
    batch: ClaimBatch,
) -> Result<(ClaimBatch, Vec<LeftOut>), WalletError> {
    let ClaimBatch { claimer, rows } = batch;
    let most = ALONE + AMONG * rows.len() as u64;
    if refusal(chain, claimer, &rows, most).await?.is_none() {
        return Ok((ClaimBatch { claimer, rows }, Vec::new()));
    }
    let (mut good, mut left_out) = (Vec::new(), Vec::new());
    for row in rows {
        let alone = std::slice::from_ref(&row);
        match refusal(chain, claimer, alone, ALONE).await? {
            None => good.push(row),
            Some(reason) => left_out.push(row.left_out(reason)),
        }
    }
    let rows = good;
    Ok((ClaimBatch { claimer, rows }, left_out))
}

impl ClaimBatch {
    /// Whether a transaction that claims these rows brings more than its gas costs.
    pub(super) fn is_worth(&self, worth: ClaimWorth, price: u128) -> bool {
        worth.has_claim(self.rows.iter().map(ClaimRow::worth_of), price)
    }
}

impl ClaimRow {
    /// The voucher that its claim makes public.
    pub fn published(&self) -> PublishedVoucher {
        PublishedVoucher {
            channel: self.channel,
            maximum: Amount(self.claim.voucher.maxClaimableAmount),
        }
    }

    /// The row, as charges that are not claimed for now.
    pub fn deferred(&self) -> DeferredClaim {
        DeferredClaim {
            channel: self.channel,
            amount: self.amount,
            total: self.total,
        }
    }

    pub fn has_voucher(&self) -> bool {
        !self.claim.signature.is_empty()
    }

    pub fn left_out(self, reason: String) -> LeftOut {
        LeftOut {
            channel: self.channel,
            amount: self.amount,
            reason,
            claimer: None,
        }
    }
}

/// The reason for which the chain would refuse a claim of these rows now.
async fn refusal(
    chain: &Chain,
    account: Address,
    rows: &[ClaimRow],
    most: u64,
) -> Result<Option<String>, WalletError> {
    let data = data(rows);
    let estimate = chain.estimate(account, ESCROW.into(), &data, "the claim");
    match estimate.await {
        Ok(gas) if gas <= most => Ok(None),
        Ok(gas) => Ok(Some(format!("it takes {gas} gas, more than {most}"))),
        Err(WalletError::Reverted { reason, .. }) => Ok(Some(reason)),
        Err(error) => Err(error),
    }
}

/// Receivers in a ledger on a chain.
pub fn receivers_of(ledger: &Ledger, chain_id: u64) -> BTreeSet<ReceiverKey> {
    let of_channel = |config: &ChannelTerms| ReceiverKey {
        chain_id,
        receiver: config.receiver,
        token: config.token,
    };
    let channels = ledger.channels.iter();
    let channels = channels.filter(|(key, _)| key.chain_id == chain_id);
    let of_channels = channels.map(|(_, channel)| of_channel(&channel.config));
    let known = ledger.receivers.keys().copied();
    known
        .filter(|key| key.chain_id == chain_id)
        .chain(of_channels)
        .collect()
}

/// The same with the splitters of releases that were registered from here: other servers pay them too.
pub fn paid_receivers(state: &LedgerState, network: &Network) -> BTreeSet<ReceiverKey> {
    let chain_id = network.chain_id;
    let mut receivers = receivers_of(&state.ledger, chain_id);
    if let Some(token) = &network.token {
        let here = state.deployments.iter();
        let here = here.filter(|it| it.chain_id == chain_id);
        let splitters = here.filter_map(|it| it.splitter.parse().ok());
        receivers.extend(splitters.map(|receiver| ReceiverKey {
            chain_id,
            receiver,
            token: token.address,
        }));
    }
    receivers
}

//! Earnings: sums per day, adapter, payer and recipient, folded from records.
//!
//! Days are UTC days since 1970. Amounts of different tokens are never added; each sum belongs to
//! one receiver of one token on one chain. Only charges of this journal's calls are income: other
//! servers may use the same receiver, and transactions sent for other sellers concern their income.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{
    CallCharge, ChainFacts, ChannelKey, ChannelView, DAY_MS, DayRange, PaymentScheme, ReceiverKey,
    WHOLE_PPM, pairs,
};
use crate::event::{Event, EventRecord, RefundCharged, SplitPart};
use openlora_core::{Address, Amount};

/// The adapter and payer of a sum.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CallsKey {
    pub day: u64,
    pub receiver: ReceiverKey,
    pub adapter: String,
    pub payer: Address,
}

/// Number and charges of calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChargedCalls {
    pub calls: u64,
    pub charged: Amount,
}

/// The charges of a channel, and its latest on-chain state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct ChannelEarnings {
    receiver: ReceiverKey,
    charged: Amount,
}

/// All income according to the journal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Earnings {
    #[serde(with = "pairs")]
    calls: BTreeMap<CallsKey, ChargedCalls>,
    /// What moved on the chains.
    pub facts: ChainFacts,
    lines: BTreeMap<ChannelKey, ChannelEarnings>,
    views: BTreeMap<ChannelKey, ChannelView>,
    /// Wei paid for gas, by day and chain.
    #[serde(with = "pairs")]
    gas: BTreeMap<(u64, u64), Amount>,
    /// The highest charged total of each channel of which a part was not worth claiming.
    #[serde(default)]
    deferred: BTreeMap<ChannelKey, Amount>,
    /// Fees that payers were charged for refunds, by day.
    #[serde(default, with = "pairs")]
    refund_fees: BTreeMap<(u64, ReceiverKey), Amount>,
    /// The chain of each intended transaction.
    chains: BTreeMap<String, u64>,
    /// Amounts attributed to the contributors of each pool, by day, in millionths of a base unit.
    #[serde(with = "pairs")]
    attributed: BTreeMap<(u64, ReceiverKey), BTreeMap<Address, u128>>,
}

/// Sums of one receiver over some days.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EarningsSums {
    pub calls: u64,
    /// Charges of calls.
    pub charged: Amount,
    /// Refund fees.
    pub refund_fees: Amount,
    pub claimed: Amount,
    pub settled: Amount,
    pub released: Amount,
    /// Charged, but withdrawn or refunded to payers before it was claimed; over all time.
    pub uncollectable: Amount,
    /// Charged, not worth the gas of its claim, and withdrawn by payers; over all time.
    pub written_off: Amount,
    /// The pending part that is not worth the gas of its claim yet; over all time.
    pub deferred: Amount,
    pending: Amount,
    withdrawable: Amount,
}

impl EarningsSums {
    /// Charged and not yet at the receiver, as far as it can still be collected. Over several
    /// receivers it is the sum of each receiver's amount: a surplus of one does not reduce
    /// another's.
    pub fn pending(&self) -> Amount {
        self.pending
    }

    /// At the receiver and not yet released. It is never negative, even if a splitter also released
    /// money of other servers; `withdraw --dry-run` asks the chain.
    pub fn withdrawable(&self) -> Amount {
        self.withdrawable
    }

    pub fn plus(self, other: Self) -> Self {
        Self {
            calls: self.calls.saturating_add(other.calls),
            charged: self.charged.saturating_add(other.charged),
            refund_fees: self.refund_fees.saturating_add(other.refund_fees),
            claimed: self.claimed.saturating_add(other.claimed),
            settled: self.settled.saturating_add(other.settled),
            released: self.released.saturating_add(other.released),
            uncollectable: self.uncollectable.saturating_add(other.uncollectable),
            written_off: self.written_off.saturating_add(other.written_off),
            deferred: self.deferred.saturating_add(other.deferred),
            pending: self.pending.saturating_add(other.pending),
            withdrawable: self.withdrawable.saturating_add(other.withdrawable),
        }
    }

    /// All charges to payers.
    pub fn income(&self) -> Amount {
        self.charged.saturating_add(self.refund_fees)
    }

    /// Completes the sums of one receiver.
    fn closed(self) -> Self {
        let lost = self.uncollectable.saturating_add(self.written_off);
        let arrived = self.settled.saturating_add(lost);
        Self {
            pending: self.income().saturating_sub(arrived),
            withdrawable: self.settled.saturating_sub(self.released),
            ..self
        }
    }
}

/// The amounts of one recipient of a split.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecipientAccrual {
    /// Its share of the charges, rounded down.
    pub charged: Amount,
    /// Its share of the settled amount, rounded down; for a pool, its allotment from collected
    /// calls.
    pub settled: Amount,
    pub released: Amount,
}

impl Earnings {
    pub fn apply(&mut self, record: &EventRecord) {
        self.facts.apply(record);
        let day = record.time_ms / DAY_MS;
        match &record.event {
            Event::CallMetered {
                adapter,
                charge: Some(charge),
                ..
            } => self.charge(day, adapter, charge),
            Event::RefundCharged(fee) => self.charge_refund(day, fee),
            Event::ClaimsDeferred(it) => {
                for claim in &it.channels {
                    let key = ChannelKey {
                        chain_id: it.chain_id,
                        channel: claim.channel,
                    };
                    let total = self.deferred.entry(key).or_default();
                    *total = claim.total.max(*total);
                }
            }
            Event::ChannelObserved(it) => {
                self.views.insert(it.key, it.view.clone());
            }
            Event::ChainEnded { chain_id } => self.end(*chain_id),
            Event::Attributed(attributed) => {
                for amount in attributed.amounts.iter().flatten() {
                    if let (Some(pool), Some(account)) = (amount.pool, amount.address) {
                        let sums = self.attributed.entry((day, pool)).or_default();
                        *sums.entry(account).or_default() += amount.micro.0;
                    }
                }
            }
            Event::TransactionIntended(intent) => {
                self.chains.insert(intent.tx.clone(), intent.chain_id);
            }
            Event::TransactionConfirmed {
                tx, fee: Some(fee), ..
            } => {
                if let Some(chain) = self.chains.remove(tx) {
                    let spent = self.gas.entry((day, chain)).or_default();
                    *spent = spent.saturating_add(*fee);
                }
            }
            _ => {}
        }
    }

    /// Income on a chain that was reset no longer counts.
    fn end(&mut self, chain_id: u64) {
        self.calls
            .retain(|key, _| key.receiver.chain_id != chain_id);
        self.attributed
            .retain(|(_, pool), _| pool.chain_id != chain_id);
        self.lines.retain(|key, _| key.chain_id != chain_id);
        self.views.retain(|key, _| key.chain_id != chain_id);
        self.gas.retain(|(_, chain), _| *chain != chain_id);
        self.deferred.retain(|key, _| key.chain_id != chain_id);
        self.refund_fees
            .retain(|(_, receiver), _| receiver.chain_id != chain_id);
    }

    fn charge(&mut self, day: u64, adapter: &str, charge: &CallCharge) {
        let key = CallsKey {
            day,
            receiver: charge.receiver_key(),
            adapter: adapter.to_owned(),
            payer: charge.payer,
        };
        let calls = self.calls.entry(key).or_default();
        calls.calls = calls.calls.saturating_add(1);
        calls.charged = calls.charged.saturating_add(charge.amount);
        if charge.amount.is_zero() || charge.scheme == PaymentScheme::Exact {
            return;
        }
        let line = self
            .lines
            .entry(charge.channel_key())
            .or_insert(ChannelEarnings {
                receiver: charge.receiver_key(),
                charged: Amount::ZERO,
            });
        line.charged = charge.cumulative;
    }

    fn charge_refund(&mut self, day: u64, fee: &RefundCharged) {
        let fees = self.refund_fees.entry((day, fee.receiver)).or_default();
        *fees = fees.saturating_add(fee.amount);
        let line = self.lines.entry(fee.key).or_insert(ChannelEarnings {
            receiver: fee.receiver,
            charged: Amount::ZERO,
        });
        line.charged = fee.cumulative;
    }

    /// Every receiver of this journal's calls and of its own server. Transactions sent for other
    /// sellers are no income.
    pub fn receivers(&self) -> BTreeSet<ReceiverKey> {
        let called = self.calls.keys().map(|key| key.receiver);
        let moved = self.facts.receivers().into_iter();
        let own = moved.filter(|key| self.facts.splits().contains_key(key));
        called.chain(own).collect()
    }

    pub fn sums(&self, receiver: ReceiverKey, days: DayRange) -> EarningsSums {
        let charged = self.sums_where(|key| key.receiver == receiver && days.has(key.day));
        let moved = EarningsSums {
            refund_fees: self.refund_fees(receiver, days),
            ..self.moved(receiver, days)
        };
        charged.plus(moved).plus(self.unclaimed(receiver)).closed()
    }

    fn refund_fees(&self, receiver: ReceiverKey, days: DayRange) -> Amount {
        let fits = |(day, key): &(u64, ReceiverKey)| *key == receiver && days.has(*day);
        let fees = self.refund_fees.iter().filter(|(key, _)| fits(key));
        fees.map(|(_, fee)| *fee).sum()
    }

    /// The charges of a receiver's calls that are lost, or not worth claiming yet.
    fn unclaimed(&self, receiver: ReceiverKey) -> EarningsSums {
        let lines = self.lines.iter().filter(|(_, it)| it.receiver == receiver);
        let sums = lines.filter_map(|(key, line)| {
            let view = self.views.get(key)?;
            let reach = view.balance.max(view.claimed);
            let deferred = self.deferred.get(key).copied().unwrap_or_default();
            let deferred = deferred.min(line.charged);
            Some(EarningsSums {
                uncollectable: line.charged.saturating_sub(reach.max(deferred)),
                written_off: deferred.saturating_sub(reach),
                deferred: deferred.min(reach).saturating_sub(view.claimed),
                ..EarningsSums::default()
            })
        });
        sums.fold(EarningsSums::default(), EarningsSums::plus)
    }

    /// Number and charges of the calls that match.
    pub fn sums_where(&self, fits: impl Fn(&CallsKey) -> bool) -> EarningsSums {
        let mut sums = EarningsSums::default();
        for (_, calls) in self.calls.iter().filter(|(key, _)| fits(key)) {
            sums.calls = sums.calls.saturating_add(calls.calls);
            sums.charged = sums.charged.saturating_add(calls.charged);
        }
        sums
    }

    fn moved(&self, receiver: ReceiverKey, days: DayRange) -> EarningsSums {
        let mut sums = EarningsSums::default();
        let movements = self.facts.movements(receiver).into_iter();
        for moved in movements.filter(|it| days.has(it.day)) {
            sums.claimed = sums.claimed.saturating_add(moved.claimed);
            sums.settled = sums.settled.saturating_add(moved.settled);
            sums.released = sums.released.saturating_add(moved.released);
        }
        sums
    }

    /// Gas cost of the transactions on a chain, in wei.
    pub fn gas(&self, chain_id: u64, days: DayRange) -> Amount {
        let fits = |(day, chain): &(u64, u64)| *chain == chain_id && days.has(*day);
        let spent = self.gas.iter().filter(|(key, _)| fits(key));
        spent.map(|(_, wei)| *wei).sum()
    }

    /// The keys under which calls were charged, for tables by day, adapter or payer.
    pub fn calls(&self) -> impl Iterator<Item = (&CallsKey, &ChargedCalls)> {
        self.calls.iter()
    }

    /// The accrued amount of each account that a receiver pays. Pools are divided by the attribution
    /// of calls, and by static shares for the rest. Empty if the split was never read. Of the settled
    /// amount, contributors have their allotments from collected calls: `allotted`, by pool and
    /// account.
    pub fn accruals(
        &self,
        receiver: ReceiverKey,
        days: DayRange,
        allotted: &BTreeMap<(ReceiverKey, Address), Amount>,
    ) -> BTreeMap<Address, RecipientAccrual> {
        let Some(split) = self.facts.splits().get(&receiver) else {
            return BTreeMap::new();
        };
        let sums = self.sums(receiver, days);
        let mut accruals: BTreeMap<Address, RecipientAccrual> = BTreeMap::new();
        for part in &split.parts {
            // Pools are paid for calls only; a recipient paid directly by the splitter also shares
            // in refund fees.
            let charged = match part.members.is_empty() {
                true => part_of(sums.income(), part.ppm),
                false => part_of(sums.charged, part.ppm),
            };
            let settled = part_of(sums.settled, part.ppm);
            let mut add = |account: Address, charged: Amount, settled: Amount| {
                let accrual = accruals.entry(account).or_default();
                accrual.charged = accrual.charged.saturating_add(charged);
                accrual.settled = accrual.settled.saturating_add(settled);
            };
            if part.members.is_empty() {
                add(part.recipient, charged, settled);
            }
            let pool = ReceiverKey {
                receiver: part.recipient,
                ..receiver
            };
            for (account, amount) in self.pooled(pool, days, charged, part) {
                let arrived = allotted.get(&(pool, account)).copied();
                add(account, amount, arrived.unwrap_or_default());
            }
        }
        self.add_releases(receiver, days, &mut accruals);
        accruals
    }

    /// Divides a pool's share among its contributors.
    fn pooled(
        &self,
        pool: ReceiverKey,
        days: DayRange,
        charged: Amount,
        part: &SplitPart,
    ) -> BTreeMap<Address, Amount> {
        let mut micro: BTreeMap<Address, u128> = BTreeMap::new();
        let of_pool = self.attributed.iter();
        for (_, sums) in of_pool.filter(|((day, key), _)| *key == pool && days.has(*day)) {
            for (account, sum) in sums {
                *micro.entry(*account).or_default() += sum;
            }
        }
        let attributed = Amount(micro.values().sum::<u128>() / u128::from(WHOLE_PPM));
        let rest = charged.saturating_sub(attributed);
        let whole = |sum: u128| Amount(sum / u128::from(WHOLE_PPM));
        let mut amounts: BTreeMap<Address, Amount> = micro
            .into_iter()
            .map(|(who, sum)| (who, whole(sum)))
            .collect();
        for member in &part.members {
            let amount = amounts.entry(member.account).or_default();
            *amount = amount.saturating_add(part_of(rest, member.ppm));
        }
        amounts
    }

    fn add_releases(
        &self,
        receiver: ReceiverKey,
        days: DayRange,
        accruals: &mut BTreeMap<Address, RecipientAccrual>,
    ) {
        let movements = self.facts.movements(receiver).into_iter();
        for moved in movements.filter(|it| days.has(it.day)) {
            if let Some(accrual) = moved.recipient.and_then(|it| accruals.get_mut(&it)) {
                accrual.released = accrual.released.saturating_add(moved.released);
            }
        }
    }
}

/// A share in ppm, rounded down like in the splitter contract.
fn part_of(amount: Amount, ppm: u32) -> Amount {
    let (whole, rest) = (
        amount.0 / u128::from(WHOLE_PPM),
        amount.0 % u128::from(WHOLE_PPM),
    );
    let ppm = u128::from(ppm);
    Amount(whole.saturating_mul(ppm) + rest * ppm / u128::from(WHOLE_PPM))
}

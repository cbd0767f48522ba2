//! Transactions that a server pays for at the request of other parties: deposits and transfers that
//! it submits, refunds that it sends, and payments that it clears for other sellers. Their daily
//! cost is folded from the journal, so neither a restart nor a crash resets it.
//!
//! From the moment it is recorded, a transaction counts with its maximum cost. Once it is mined, it
//! counts with its actual cost, whether or not it reverted. Claims are not included, because they
//! earn money.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::sponsorship::{Sponsored, SponsoredDeed};
use crate::event::{Event, TxIntent, TxOutcome};
use openlora_core::{Address, Amount, Word, in_units};

/// Decimals of a chain's coin.
pub const COIN_DECIMALS: u8 = 18;

/// Daily limits (UTC) for sponsored transactions on one chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SponsorAllowance {
    /// Wei over all payers; unlimited if absent.
    pub gas_budget: Option<Amount>,
    /// Wei that stay in the account for our own transactions, or more where the claims that are due
    /// cost more.
    pub min_gas: Amount,
    /// Whether money of accounts with code is left alone: their code runs at our cost.
    pub refuses_contracts: bool,
    /// For one payer.
    pub deposits_daily: u32,
    /// Per payer, over all receivers. Includes claims before a call.
    pub transfers_daily: u32,
    /// Per payer. Signed and unsigned refunds are counted separately, so that other parties cannot
    /// use up the payer's signed refunds.
    pub refunds_daily: u32,
    /// Per channel.
    pub unsigned_refunds_daily: u32,
}

impl SponsorAllowance {
    pub const UNLIMITED: Self = Self {
        gas_budget: None,
        min_gas: Amount::ZERO,
        refuses_contracts: false,
        deposits_daily: u32::MAX,
        transfers_daily: u32::MAX,
        refunds_daily: u32::MAX,
        unsigned_refunds_daily: u32::MAX,
    };
}

/// The limit that a transaction would exceed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SponsorLimit {
    #[error(
        "{} ETH are spent or on their way, and {} more would break the daily gas budget of {}",
        in_units(spent, COIN_DECIMALS),
        in_units(reserve, COIN_DECIMALS),
        in_units(budget, COIN_DECIMALS)
    )]
    GasBudget {
        /// Includes pending transactions.
        spent: Amount,
        reserve: Amount,
        budget: Amount,
        day: u64,
    },
    #[error(
        "the account has {} ETH beside what is on its way, and {} of them stay for its own claims: \
         {} more are too much",
        in_units(left, COIN_DECIMALS),
        in_units(floor, COIN_DECIMALS),
        in_units(reserve, COIN_DECIMALS)
    )]
    Floor {
        left: Amount,
        reserve: Amount,
        floor: Amount,
    },
    #[error("the payer is an account with code, which would run at our cost")]
    Contract,
    #[error("the payer has had its deposits of the day")]
    Deposits,
    #[error("the payer has had its transfers of the day")]
    Transfers,
    #[error("the payer has had its refunds of the day")]
    Refunds,
    #[error("the channel has had its unsigned refunds of the day")]
    ChannelRefunds,
}

/// Sponsored transactions of one payer on the latest day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct PartyCounts {
    deposits: u32,
    #[serde(default)]
    transfers: u32,
    signed_refunds: u32,
    unsigned_refunds: u32,
}

/// A transaction with an unknown outcome, and its possible replacements.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct OpenSponsored {
    /// At most one of these is mined.
    txs: Vec<String>,
    sponsored: Sponsored,
}

/// The latest day of one chain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct SponsoredDay {
    day: u64,
    /// Wei spent on mined transactions.
    spent: Amount,
    parties: BTreeMap<Address, PartyCounts>,
    /// Unsigned refunds by channel.
    channels: BTreeMap<Word, u32>,
    /// Of this day and earlier days.
    open: Vec<OpenSponsored>,
    /// The last day on which the budget was exhausted.
    alarmed: Option<u64>,
}

/// Sponsored gas on a chain in a day, in wei.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SponsoredGas {
    /// Spent on mined transactions.
    pub spent: Amount,
    /// The maximum cost of pending transactions.
    pub in_flight: Amount,
    /// Whether a request was refused because the budget was spent.
    pub is_exhausted: bool,
}

/// Sponsored transactions by chain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SponsoredBook(BTreeMap<u64, SponsoredDay>);

impl SponsoredBook {
    pub fn apply(&mut self, event: &Event) {
        match event {
            Event::TransactionIntended(intent) => {
                if let Some(sponsored) = &intent.sponsored {
                    let day = self.0.entry(intent.chain_id).or_default();
                    day.intend(intent, sponsored);
                }
            }
            Event::TransactionConfirmed {
                tx, status, fee, ..
            } => {
                for day in self.0.values_mut() {
                    day.finish(tx, *status, *fee);
                }
            }
            Event::GasBudgetSpent { chain_id, day, .. } => {
                self.0.entry(*chain_id).or_default().alarmed = Some(*day);
            }
            Event::ChainEnded { chain_id } => {
                self.0.remove(chain_id);
            }
            _ => {}
        }
    }

    /// The gas sponsored on `day`, which must be the latest recorded day or a later one.
    pub fn gas(&self, chain_id: u64, day: u64) -> SponsoredGas {
        let Some(latest) = self.0.get(&chain_id) else {
            return SponsoredGas::default();
        };
        let open = latest.open.iter().map(|it| it.sponsored.reserve);
        SponsoredGas {
            spent: match latest.day == day {
                true => latest.spent,
                false => Amount::ZERO,
            },
            in_flight: open.fold(Amount::ZERO, Amount::saturating_add),
            is_exhausted: latest.alarmed == Some(day),
        }
    }

    /// Whether a transaction is within the limits.
    ///
    /// # Errors
    ///
    /// The limit that it would exceed.
    pub fn check(
        &self,
        chain_id: u64,
        asked: &Sponsored,
        allowance: &SponsorAllowance,
    ) -> Result<(), SponsorLimit> {
        let today = self.0.get(&chain_id).filter(|it| it.day >= asked.day);
        let nothing = SponsoredDay::default();
        today.unwrap_or(&nothing).check_counts(asked, allowance)?;
        let gas = self.gas(chain_id, asked.day);
        let (spent, reserve) = (gas.spent.saturating_add(gas.in_flight), asked.reserve);
        match allowance.gas_budget {
            Some(budget) if spent.saturating_add(reserve) > budget => {
                Err(SponsorLimit::GasBudget {
                    spent,
                    reserve,
                    budget,
                    day: asked.day,
                })
            }
            _ => Ok(()),
        }
    }
}

impl SponsoredDay {
    fn intend(&mut self, intent: &TxIntent, sponsored: &Sponsored) {
        if sponsored.day > self.day {
            self.day = sponsored.day;
            self.spent = Amount::ZERO;
            self.parties.clear();
            self.channels.clear();
        }
        let replaced = intent.replaces.as_ref();
        let earlier = replaced.and_then(|tx| self.open.iter_mut().find(|it| it.txs.contains(tx)));
        if let Some(earlier) = earlier {
            earlier.txs.push(intent.tx.clone());
            let reserve = &mut earlier.sponsored.reserve;
            *reserve = sponsored.reserve.max(*reserve);
            return;
        }
        if sponsored.day == self.day {
            self.count(sponsored, |count| count.saturating_add(1));
        }
        self.open.push(OpenSponsored {
            txs: vec![intent.tx.clone()],
            sponsored: sponsored.clone(),
        });
    }

    fn finish(&mut self, tx: &str, status: TxOutcome, fee: Option<Amount>) {
        let mut open = self.open.iter();
        let Some(at) = open.position(|it| it.txs.iter().any(|other| other == tx)) else {
            return;
        };
        match status {
            TxOutcome::Succeeded | TxOutcome::Reverted => {
                let ended = self.open.swap_remove(at).sponsored;
                if ended.day == self.day {
                    let cost = fee.unwrap_or(ended.reserve);
                    self.spent = self.spent.saturating_add(cost);
                }
            }
            TxOutcome::Replaced | TxOutcome::Refused => {
                self.open[at].txs.retain(|other| other != tx);
                if self.open[at].txs.is_empty() {
                    let ended = self.open.swap_remove(at).sponsored;
                    // The transaction had no effect for the requesting party.
                    if ended.day == self.day {
                        self.count(&ended, |count| count.saturating_sub(1));
                    }
                }
            }
        }
    }

    fn count(&mut self, sponsored: &Sponsored, change: impl Fn(u32) -> u32) {
        if let Some(party) = sponsored.party {
            let counts = self.parties.entry(party).or_default();
            let count = counts.count_of(sponsored.deed);
            *count = change(*count);
        }
        if let (SponsoredDeed::UnsignedRefund, Some(channel)) = (sponsored.deed, sponsored.channel)
        {
            let count = self.channels.entry(channel).or_default();
            *count = change(*count);
        }
    }

    fn check_counts(
        &self,
        asked: &Sponsored,
        allowance: &SponsorAllowance,
    ) -> Result<(), SponsorLimit> {
        let of_party = asked.party.and_then(|it| self.parties.get(&it).copied());
        let count = of_party.map_or(0, |mut it| *it.count_of(asked.deed));
        let of_channel = asked.channel.and_then(|it| self.channels.get(&it).copied());
        match asked.deed {
            SponsoredDeed::Deposit if count >= allowance.deposits_daily => {
                Err(SponsorLimit::Deposits)
            }
            SponsoredDeed::Transfer | SponsoredDeed::PrepaidClaim | SponsoredDeed::Clearing
                if count >= allowance.transfers_daily =>
            {
                Err(SponsorLimit::Transfers)
            }
            SponsoredDeed::SignedRefund | SponsoredDeed::UnsignedRefund
                if count >= allowance.refunds_daily =>
            {
                Err(SponsorLimit::Refunds)
            }
            SponsoredDeed::UnsignedRefund
                if of_channel.unwrap_or_default() >= allowance.unsigned_refunds_daily =>
            {
                Err(SponsorLimit::ChannelRefunds)
            }
            _ => Ok(()),
        }
    }
}

impl PartyCounts {
    fn count_of(&mut self, deed: SponsoredDeed) -> &mut u32 {
        match deed {
            SponsoredDeed::Deposit => &mut self.deposits,
            SponsoredDeed::SignedRefund => &mut self.signed_refunds,
            SponsoredDeed::UnsignedRefund => &mut self.unsigned_refunds,
            SponsoredDeed::Transfer | SponsoredDeed::PrepaidClaim | SponsoredDeed::Clearing => {
                &mut self.transfers
            }
        }
    }
}

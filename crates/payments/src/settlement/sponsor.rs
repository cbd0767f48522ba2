//! Limits for sponsored transactions. Everything that a settlement client's account pays for other
//! parties is checked here right before it is signed, so that two transactions never use an
//! allowance that has room for one.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use super::{
    claim_worth::{AMONG, ClaimWorth},
    claims,
    ledger_view::{LedgerView, ask},
};
use openlora_core::{Address, Amount, Word};
use openlora_ledger::{
    SponsorAllowance, SponsorLimit, Sponsored, SponsoredDeed, SponsoredGas, event::Event,
};

const DAY_SECONDS: u64 = 86_400;

/// Keeps a chain's account within its limits for sponsored transactions.
pub(super) struct SponsorGate {
    pub chain_id: u64,
    pub account: Address,
    pub books: Arc<dyn LedgerView>,
    pub allowance: SponsorAllowance,
    pub worth: ClaimWorth,
}

/// Days since 1970 (UTC), and the seconds left in the current day.
fn today() -> (u64, u64) {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let seconds = since.map_or(0, |since| since.as_secs());
    (
        seconds / DAY_SECONDS,
        DAY_SECONDS.saturating_sub(seconds % DAY_SECONDS),
    )
}

/// Seconds until the daily limits are reset.
pub fn until_tomorrow() -> u64 {
    today().1
}

/// A sponsored transaction that is requested now. Its maximum cost is known when it is to be
/// signed.
pub(super) fn sponsored(
    label: SponsoredDeed,
    party: Option<Address>,
    channel: Option<Word>,
) -> Sponsored {
    Sponsored {
        deed: label,
        party,
        channel,
        day: today().0,
        reserve: Amount::ZERO,
    }
}

/// The gas limit of a transaction of this kind: three times the gas that accounts without code
/// need. This bounds how much gas another party's contract can burn at our cost, and it leaves room
/// for chains that count gas differently.
pub(super) const fn most_gas(deed: SponsoredDeed) -> u64 {
    match deed {
        SponsoredDeed::Transfer | SponsoredDeed::Clearing => 3 * 85_000,
        SponsoredDeed::Deposit => 3 * 140_000,
        SponsoredDeed::SignedRefund
        | SponsoredDeed::UnsignedRefund
        | SponsoredDeed::PrepaidClaim => 3 * claims::ALONE,
    }
}

/// As [`most_gas`], for calls to the escrow that other sellers have signed: by the size of their
/// rows.
pub(super) fn most_gas_of_calls(data: &[u8]) -> u64 {
    /// Bytes of a claim's row with the shortest signature.
    const ROW: usize = 512;
    let rows = (data.len() / ROW).min(claims::ROWS);
    most_gas(SponsoredDeed::UnsignedRefund) + AMONG * rows as u64
}

impl SponsorGate {
    /// The cost in wei of claiming from every channel of the account that is due at this gas price,
    /// and from `more` channels.
    pub fn claims(&self, more: usize, price: u128) -> Amount {
        let due = ask(&*self.books, |ledger| {
            claims::due_channels(ledger, self.chain_id, self.account, &self.worth, price)
        });
        let gas = claims::claiming_gas(due.saturating_add(more));
        Amount(u128::from(gas).saturating_mul(price))
    }

    /// The balance in wei that is kept at this gas price, so that all charges can be claimed from
    /// however many channels.
    pub fn floor(&self, price: u128) -> Amount {
        self.claims(0, price).max(self.allowance.min_gas)
    }

    /// Checks whether a transaction may be sent. If not, returns the limit and the event to record.
    pub fn check(&self, asked: &Sponsored) -> Result<(), (SponsorLimit, Option<Box<Event>>)> {
        ask(&*self.books, |ledger| {
            let checked = ledger
                .sponsored
                .check(self.chain_id, asked, &self.allowance);
            let told = ledger.sponsored.gas(self.chain_id, asked.day).is_exhausted;
            let alarm = |limit| self.alarm(limit).filter(|_| !told).map(Box::new);
            Some(checked.map_err(|limit| (limit, alarm(limit))))
        })
        .unwrap_or(Ok(()))
    }

    /// Recorded once per day.
    fn alarm(&self, limit: SponsorLimit) -> Option<Event> {
        let (chain_id, account) = (self.chain_id, self.account);
        match limit {
            SponsorLimit::GasBudget {
                spent, budget, day, ..
            } => Some(Event::GasBudgetSpent {
                chain_id,
                account,
                day,
                spent,
                budget,
            }),
            _ => None,
        }
    }

    pub fn gas(&self) -> SponsoredGas {
        let (day, _) = today();
        ask(&*self.books, |ledger| {
            ledger.sponsored.gas(self.chain_id, day)
        })
    }
}

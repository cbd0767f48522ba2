//! What was earned: sums per day, adapter, payer and recipient, folded from records.
//!
//! Days are days of UTC, counted from 1970. Money of different tokens is never added up here;
//! every sum belongs to one receiver of one token on one chain.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Address, Amount, Charge, ReceiverKey, WHOLE_PPM, pairs};
use crate::runtime::event::{Event, Record, SplitPart, SplitRead};

pub const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// Whose calls a sum is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CallsKey {
    pub day: u64,
    pub receiver: ReceiverKey,
    pub adapter: String,
    pub payer: Address,
}

/// Calls that were charged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calls {
    pub calls: u64,
    pub charged: Amount,
}

/// Money that moved on a chain, by day and receiver.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    pub claimed: Amount,
    /// Arrived at the receiver: from the escrow, or by `exact` transfers.
    pub settled: Amount,
    pub released: Amount,
}

/// One movement, kept so that a reorganisation can take it back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Movement {
    day: u64,
    receiver: ReceiverKey,
    moved: Moved,
    /// Who was paid, of a release.
    recipient: Option<Address>,
}

impl Movement {
    fn new(day: u64, receiver: ReceiverKey, moved: Moved) -> Self {
        Self {
            day,
            receiver,
            moved,
            recipient: None,
        }
    }

    /// Whether it is the same but for the day on which it was noted.
    fn is_same(&self, other: &Self) -> bool {
        (self.receiver, self.moved, self.recipient)
            == (other.receiver, other.moved, other.recipient)
    }
}

/// Everything that the journal says about income.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Earnings {
    #[serde(with = "pairs")]
    calls: BTreeMap<CallsKey, Calls>,
    /// By transaction.
    movements: BTreeMap<String, Vec<Movement>>,
    /// Wei paid for gas, by day and chain.
    #[serde(with = "pairs")]
    gas: BTreeMap<(u64, u64), Amount>,
    /// Chain of each transaction that was intended.
    chains: BTreeMap<String, u64>,
    /// The latest reading.
    splits: BTreeMap<ReceiverKey, SplitRead>,
    /// What attributed calls gave the contributors of each pool, by day, in millionths of a unit.
    #[serde(with = "pairs")]
    attributed: BTreeMap<(u64, ReceiverKey), BTreeMap<Address, u128>>,
}

/// Days from 1970 on, first and last included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Days {
    pub first: u64,
    pub last: u64,
}

impl Days {
    pub const ALL: Self = Self {
        first: 0,
        last: u64::MAX,
    };

    /// The `count` days that end with the one in which `now_ms` lies.
    pub fn until(now_ms: u64, count: u64) -> Self {
        let last = now_ms / DAY_MS;
        Self {
            first: last.saturating_sub(count.saturating_sub(1)),
            last,
        }
    }

    pub fn has(self, day: u64) -> bool {
        (self.first..=self.last).contains(&day)
    }
}

/// Sums of one receiver over some days.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    pub calls: u64,
    pub charged: Amount,
    pub claimed: Amount,
    pub settled: Amount,
    pub released: Amount,
}

impl Sums {
    /// Charged and not yet at the receiver.
    pub fn pending(&self) -> Amount {
        self.charged.saturating_sub(self.settled)
    }

    /// At the receiver and not yet paid out.
    pub fn withdrawable(&self) -> Amount {
        self.settled.saturating_sub(self.released)
    }

    pub fn plus(self, other: Self) -> Self {
        Self {
            calls: self.calls.saturating_add(other.calls),
            charged: self.charged.saturating_add(other.charged),
            claimed: self.claimed.saturating_add(other.claimed),
            settled: self.settled.saturating_add(other.settled),
            released: self.released.saturating_add(other.released),
        }
    }
}

/// What one recipient of a split has coming.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accrual {
    /// Its part of what was charged, rounded down.
    pub charged: Amount,
    /// Its part of what arrived, rounded down; of a pool, what collected calls gave it.
    pub settled: Amount,
    pub released: Amount,
}

impl Earnings {
    pub fn apply(&mut self, record: &Record) {
        let day = record.time_ms / DAY_MS;
        match &record.event {
            Event::CallMetered {
                adapter,
                charge: Some(charge),
                ..
            } => self.charge(day, adapter, charge),
            Event::PaymentReceived(paid) => {
                let receiver = ReceiverKey {
                    chain_id: paid.key.chain_id,
                    receiver: paid.receiver,
                    token: paid.key.token,
                };
                let moved = Moved {
                    claimed: paid.amount,
                    settled: paid.amount,
                    ..Moved::default()
                };
                self.note(&paid.tx, Movement::new(day, receiver, moved));
            }
            Event::Claimed(it) => {
                let moved = Moved {
                    claimed: it.rows.iter().map(|row| row.amount).sum(),
                    ..Moved::default()
                };
                self.note(&it.tx, Movement::new(day, it.receiver, moved));
            }
            Event::Settled(it) => {
                let moved = Moved {
                    settled: it.amount,
                    ..Moved::default()
                };
                self.note(&it.tx, Movement::new(day, it.receiver, moved));
            }
            Event::Released(it) => {
                let moved = Moved {
                    released: it.amount,
                    ..Moved::default()
                };
                let mut movement = Movement::new(day, it.receiver, moved);
                movement.recipient = Some(it.recipient);
                self.note(&it.tx, movement);
            }
            Event::Reorganised { txs, .. } => {
                for tx in txs {
                    self.movements.remove(tx);
                }
            }
            Event::Attributed(attributed) => {
                for amount in attributed.amounts.iter().flatten() {
                    if let (Some(pool), Some(account)) = (amount.pool, amount.address) {
                        let sums = self.attributed.entry((day, pool)).or_default();
                        *sums.entry(account).or_default() += amount.micro.0;
                    }
                }
            }
            Event::SplitRead(split) => {
                self.splits.insert(split.receiver, SplitRead::clone(split));
            }
            Event::TransactionIntended(intent) => {
                self.chains.insert(intent.tx.clone(), intent.chain_id);
            }
            Event::TransactionSettled {
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

    fn charge(&mut self, day: u64, adapter: &str, charge: &Charge) {
        let key = CallsKey {
            day,
            receiver: charge.receiver_key(),
            adapter: adapter.to_owned(),
            payer: charge.payer,
        };
        let calls = self.calls.entry(key).or_default();
        calls.calls = calls.calls.saturating_add(1);
        calls.charged = calls.charged.saturating_add(charge.amount);
    }

    /// A process that was killed may have noted a movement twice; its transaction tells.
    fn note(&mut self, tx: &str, movement: Movement) {
        let known = self.movements.entry(tx.to_owned()).or_default();
        if !known.iter().any(|it| it.is_same(&movement)) {
            known.push(movement);
        }
    }

    /// Every receiver that money is known of.
    pub fn receivers(&self) -> BTreeSet<ReceiverKey> {
        let called = self.calls.keys().map(|key| key.receiver);
        let moved = self.movements.values().flatten().map(|it| it.receiver);
        called.chain(moved).collect()
    }

    pub fn sums(&self, receiver: ReceiverKey, days: Days) -> Sums {
        self.sums_where(|key| key.receiver == receiver && days.has(key.day))
            .plus(self.moved(receiver, days))
    }

    /// Calls and charges of those that fit.
    pub fn sums_where(&self, fits: impl Fn(&CallsKey) -> bool) -> Sums {
        let mut sums = Sums::default();
        for (_, calls) in self.calls.iter().filter(|(key, _)| fits(key)) {
            sums.calls = sums.calls.saturating_add(calls.calls);
            sums.charged = sums.charged.saturating_add(calls.charged);
        }
        sums
    }

    fn moved(&self, receiver: ReceiverKey, days: Days) -> Sums {
        let fits = |it: &&Movement| it.receiver == receiver && days.has(it.day);
        let mut sums = Sums::default();
        for Movement { moved, .. } in self.movements.values().flatten().filter(fits) {
            sums.claimed = sums.claimed.saturating_add(moved.claimed);
            sums.settled = sums.settled.saturating_add(moved.settled);
            sums.released = sums.released.saturating_add(moved.released);
        }
        sums
    }

    /// Wei that transactions on a chain cost.
    pub fn gas(&self, chain_id: u64, days: Days) -> Amount {
        let fits = |(day, chain): &(u64, u64)| *chain == chain_id && days.has(*day);
        let spent = self.gas.iter().filter(|(key, _)| fits(key));
        spent.map(|(_, wei)| *wei).sum()
    }

    /// The keys under which calls were charged, for tables by day, adapter or payer.
    pub fn calls(&self) -> impl Iterator<Item = (&CallsKey, &Calls)> {
        self.calls.iter()
    }

    /// What each account that a receiver pays has coming, pools divided as calls were attributed and
    /// by their static shares for the rest; empty where the split was never read. Of what arrived,
    /// contributors have what calls that were collected gave them: `allotted` per pool and account.
    pub fn accruals(
        &self,
        receiver: ReceiverKey,
        days: Days,
        allotted: &BTreeMap<(ReceiverKey, Address), Amount>,
    ) -> BTreeMap<Address, Accrual> {
        let Some(split) = self.splits.get(&receiver) else {
            return BTreeMap::new();
        };
        let sums = self.sums(receiver, days);
        let mut accruals: BTreeMap<Address, Accrual> = BTreeMap::new();
        for part in &split.parts {
            let (charged, settled) = (of(sums.charged, part.ppm), of(sums.settled, part.ppm));
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
            for (account, amount) in self.pooled(pool, days, (charged, part)) {
                let arrived = allotted.get(&(pool, account)).copied();
                add(account, amount, arrived.unwrap_or_default());
            }
        }
        self.add_releases(receiver, days, &mut accruals);
        accruals
    }

    /// A pool's part among its contributors.
    fn pooled(
        &self,
        pool: ReceiverKey,
        days: Days,
        (charged, part): (Amount, &SplitPart),
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
            *amount = amount.saturating_add(of(rest, member.ppm));
        }
        amounts
    }

    fn add_releases(
        &self,
        receiver: ReceiverKey,
        days: Days,
        accruals: &mut BTreeMap<Address, Accrual>,
    ) {
        let fits = |it: &&Movement| it.receiver == receiver && days.has(it.day);
        for movement in self.movements.values().flatten().filter(fits) {
            if let Some(accrual) = movement.recipient.and_then(|it| accruals.get_mut(&it)) {
                accrual.released = accrual.released.saturating_add(movement.moved.released);
            }
        }
    }
}

/// A part in ppm, rounded down as the splitter does.
fn of(amount: Amount, ppm: u32) -> Amount {
    let (whole, rest) = (
        amount.0 / u128::from(WHOLE_PPM),
        amount.0 % u128::from(WHOLE_PPM),
    );
    let ppm = u128::from(ppm);
    Amount(whole.saturating_mul(ppm) + rest * ppm / u128::from(WHOLE_PPM))
}

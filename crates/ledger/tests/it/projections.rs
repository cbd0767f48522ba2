//! Any history of calls, facts and reorganisations: every view of the state agrees with the facts
//! that stand and with the other views, and the state resumes from any stored point.

use std::collections::{BTreeMap, BTreeSet};

use openlora_core::{Address, Amount, Word};
use openlora_ledger::{
    CallCharge, ChainFact, ChainFacts, ChannelKey, DayRange, Earnings, EventLocation, ExactKey,
    PaymentScheme, ReceiverKey, ReceiverView,
    event::{
        CallKind, ChannelRefunded, ChannelsClaimed, ClaimedRow, ContributionClaimed,
        ContributionsProposed, Event, EventRecord, FinishReason, PaymentReceived, ReceiverObserved,
        ReceiverSettled, RootAnchored, ShareReleased, SplitPart, SplitRead, TokenUsage,
    },
    state::{ApplyOutcome, LedgerState},
    trail::AuditTrail,
};
use proptest::prelude::*;

const CHANNELS: u8 = 4;
const ADAPTER: &str = "0x01";
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

fn address(last: u8) -> Address {
    Address([last; 20])
}

/// Two receivers on one chain, and one of them on another.
fn receivers() -> [ReceiverKey; 3] {
    let on = |chain_id, receiver| ReceiverKey {
        chain_id,
        receiver: address(receiver),
        token: address(9),
    };
    [on(1, 1), on(1, 2), on(2, 1)]
}

fn receiver_of(channel: u8) -> ReceiverKey {
    receivers()[usize::from(channel) % 3]
}

fn channel_key(channel: u8) -> ChannelKey {
    ChannelKey {
        chain_id: receiver_of(channel).chain_id,
        channel: Word([channel; 32]),
    }
}

fn exact_key(nonce: u8) -> ExactKey {
    ExactKey {
        chain_id: receiver_of(nonce).chain_id,
        token: address(9),
        payer: address(7),
        nonce: Word([nonce; 32]),
    }
}

#[derive(Clone, Debug)]
enum Step {
    Call(u8, u128),
    Pay(u8, u128),
    ExactCall(u8, u128),
    Claim(u8),
    ClaimBoth(u8, u8),
    Settle(usize),
    Observe(usize, bool),
    Release(usize, u8, u128),
    Refund(u8, u128),
    Anchor,
    Propose(usize),
    ClaimContribution(usize, u128),
    /// A killed process records the last fact again.
    Repeat,
    /// The latest transactions never happened.
    Reorganise(usize),
    EndChain(u64),
    NextDay,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (channel, amount, at) = (0..CHANNELS, 1..60_u128, 0..3_usize);
    let step = prop_oneof![
        12 => (channel.clone(), amount.clone()).prop_map(|(c, a)| Step::Call(c, a)),
        4 => (0..6_u8, amount.clone()).prop_map(|(n, a)| Step::Pay(n, a)),
        4 => (0..6_u8, amount.clone()).prop_map(|(n, a)| Step::ExactCall(n, a)),
        5 => channel.clone().prop_map(Step::Claim),
        2 => (channel.clone(), channel.clone()).prop_map(|(a, b)| Step::ClaimBoth(a, b)),
        5 => at.clone().prop_map(Step::Settle),
        2 => (at.clone(), any::<bool>()).prop_map(|(r, even)| Step::Observe(r, even)),
        2 => (at.clone(), 3..5_u8, amount.clone()).prop_map(|(r, w, a)| Step::Release(r, w, a)),
        1 => (channel, amount.clone()).prop_map(|(c, a)| Step::Refund(c, a)),
        1 => Just(Step::Anchor),
        1 => at.clone().prop_map(Step::Propose),
        1 => (at, amount).prop_map(|(r, a)| Step::ClaimContribution(r, a)),
        3 => Just(Step::Repeat),
        3 => (1..4_usize).prop_map(Step::Reorganise),
        1 => (1..3_u64).prop_map(Step::EndChain),
        2 => Just(Step::NextDay),
    ];
    proptest::collection::vec(step, 1..80)
}

/// What the contracts have; it goes back when blocks are replaced.
#[derive(Clone, Debug, Default)]
struct Contracts {
    claimed: BTreeMap<u8, u128>,
    claimed_for: BTreeMap<ReceiverKey, u128>,
    settled_for: BTreeMap<ReceiverKey, u128>,
    paid: BTreeSet<ExactKey>,
}

/// A mined transaction, its event, and the contracts before it.
struct SentTx {
    chain_id: u64,
    tx: String,
    event: Event,
    before: Contracts,
}

#[derive(Default)]
struct World {
    records: Vec<EventRecord>,
    charges: Vec<CallCharge>,
    charged: BTreeMap<u8, u128>,
    contracts: Contracts,
    sent: Vec<SentTx>,
    /// Transactions that never happened, and records of facts that were there already.
    undone: BTreeSet<String>,
    repeats: Vec<u64>,
    /// Payments on chains that ended.
    retired: BTreeSet<ExactKey>,
    block: u64,
    day: u64,
}

impl World {
    fn played(steps: &[Step]) -> Self {
        let mut world = Self::default();
        for receiver in receivers() {
            world.keep(Event::SplitRead(Box::new(SplitRead {
                receiver,
                adapter: "tone".into(),
                version: 1,
                parts: vec![
                    SplitPart {
                        recipient: address(3),
                        ppm: 600_000,
                        members: Vec::new(),
                    },
                    SplitPart {
                        recipient: address(4),
                        ppm: 400_000,
                        members: Vec::new(),
                    },
                ],
            })));
        }
        steps.iter().for_each(|step| world.step(step));
        world
    }

    fn keep(&mut self, event: Event) {
        self.records.push(EventRecord {
            sequence: self.records.len() as u64 + 1,
            time_ms: self.day * DAY_MS,
            event,
            hash: String::new(),
        });
    }

    fn send(&mut self, chain_id: u64, before: Contracts, event: impl FnOnce(String, u64) -> Event) {
        self.block += 1;
        let tx = format!("0x{}", self.records.len());
        let event = event(tx.clone(), self.block);
        self.sent.push(SentTx {
            chain_id,
            tx,
            event: event.clone(),
            before,
        });
        self.keep(event);
    }

    fn meter(&mut self, charge: CallCharge) {
        self.charges.push(charge.clone());
        self.keep(Event::CallMetered {
            request_id: format!("call-{}", self.records.len()),
            adapter: "tone".into(),
            adapter_digest: "00".into(),
            kind: CallKind::Chat,
            usage: TokenUsage::default(),
            finish: FinishReason::Stop,
            milliseconds: 1,
            first_token_milliseconds: None,
            request_hash: "00".into(),
            response_hash: "00".into(),
            charge: Some(Box::new(charge)),
            computation: None,
        });
    }

    fn claim(&mut self, channels: &[u8]) {
        let before = self.contracts.clone();
        let receiver = receiver_of(channels[0]);
        let mut rows = Vec::new();
        for channel in channels.iter().filter(|it| receiver_of(**it) == receiver) {
            let charged = self.charged.get(channel).copied().unwrap_or_default();
            let claimed = self.contracts.claimed.entry(*channel).or_default();
            if charged > *claimed {
                let amount = Amount(charged - *claimed);
                *self.contracts.claimed_for.entry(receiver).or_default() += amount.0;
                *claimed = charged;
                rows.push(ClaimedRow {
                    channel: channel_key(*channel).channel,
                    amount,
                    total: Amount(charged),
                });
            }
        }
        if !rows.is_empty() {
            self.send(receiver.chain_id, before, |tx, block| {
                Event::Claimed(Box::new(ChannelsClaimed {
                    tx,
                    receiver,
                    rows,
                    block,
                    block_hash: Word::default(),
                }))
            });
        }
    }

    fn call(&mut self, scheme: PaymentScheme, at: u8, amount: u128) {
        let receiver = receiver_of(at);
        let (id, cumulative) = match scheme {
            // A server answers a call after its payment.
            PaymentScheme::Exact if !self.contracts.paid.contains(&exact_key(at)) => return,
            PaymentScheme::Exact => (exact_key(at).nonce, amount),
            PaymentScheme::BatchSettlement => {
                let charged = self.charged.entry(at).or_default();
                *charged += amount;
                (channel_key(at).channel, *charged)
            }
        };
        self.meter(CallCharge {
            scheme,
            chain_id: receiver.chain_id,
            token: receiver.token,
            receiver: receiver.receiver,
            payer: address(7),
            id,
            amount: Amount(amount),
            cumulative: Amount(cumulative),
        });
    }

    fn pay(&mut self, nonce: u8, amount: u128) {
        let (receiver, key) = (receiver_of(nonce), exact_key(nonce));
        let before = self.contracts.clone();
        if !self.retired.contains(&key) && self.contracts.paid.insert(key) {
            self.send(key.chain_id, before, |tx, block| {
                Event::PaymentReceived(Box::new(PaymentReceived {
                    key,
                    receiver: receiver.receiver,
                    amount: Amount(amount),
                    tx,
                    block,
                    block_hash: Word::default(),
                }))
            });
        }
    }

    fn settle(&mut self, receiver: ReceiverKey) {
        let before = self.contracts.clone();
        let claimed = self.contracts.claimed_for.get(&receiver).copied();
        let claimed = claimed.unwrap_or_default();
        let settled = self.contracts.settled_for.entry(receiver).or_default();
        let amount = Amount(claimed - std::mem::replace(settled, claimed));
        if !amount.is_zero() {
            self.send(receiver.chain_id, before, |tx, block| {
                Event::Settled(Box::new(ReceiverSettled {
                    tx,
                    receiver,
                    amount,
                    block,
                    block_hash: Word::default(),
                }))
            });
        }
    }

    /// Sees a receiver, perhaps after somebody else settled for it.
    fn observe(&mut self, key: ReceiverKey, even: bool) {
        let claimed = self.contracts.claimed_for.get(&key).copied();
        let claimed = claimed.unwrap_or_default();
        let settled = self.contracts.settled_for.entry(key).or_default();
        if even {
            *settled = claimed;
            self.sent.clear();
        }
        let view = ReceiverView {
            claimed: Amount(claimed),
            settled: Amount(*settled),
            block: self.block,
            ..ReceiverView::default()
        };
        self.keep(Event::ReceiverObserved(Box::new(ReceiverObserved {
            key,
            view,
        })));
    }

    fn release(&mut self, receiver: ReceiverKey, who: u8, amount: u128) {
        let before = self.contracts.clone();
        self.send(receiver.chain_id, before, |tx, block| {
            Event::Released(Box::new(ShareReleased {
                tx,
                receiver,
                recipient: address(who),
                to: address(who),
                amount: Amount(amount),
                block,
                block_hash: Word::default(),
            }))
        });
    }

    fn refund(&mut self, key: ChannelKey, amount: u128) {
        let before = self.contracts.clone();
        self.send(key.chain_id, before, |tx, block| {
            Event::Refunded(Box::new(ChannelRefunded {
                tx,
                key,
                amount: Amount(amount),
                block,
                block_hash: Word::default(),
            }))
        });
    }

    fn anchor(&mut self) {
        let before = self.contracts.clone();
        self.send(1, before, |tx, block| {
            Event::Anchored(Box::new(RootAnchored {
                tx,
                chain_id: 1,
                adapter_id: ADAPTER.into(),
                server: address(1),
                root: Word([block as u8; 32]),
                previous: Word::default(),
                sequence: block,
                count: 2,
                charged: Amount(5),
                through: block,
                block,
                block_hash: Word::default(),
            }))
        });
    }

    fn propose(&mut self, pool: ReceiverKey) {
        let before = self.contracts.clone();
        self.send(pool.chain_id, before, |tx, block| {
            Event::ContributionsProposed(Box::new(ContributionsProposed {
                tx,
                pool,
                root: Word([block as u8; 32]),
                total: Amount(5),
                activates_at: 0,
                through: block,
                block,
                block_hash: Word::default(),
            }))
        });
    }

    fn claim_contribution(&mut self, pool: ReceiverKey, amount: u128) {
        let before = self.contracts.clone();
        self.send(pool.chain_id, before, |tx, block| {
            Event::ContributionClaimed(Box::new(ContributionClaimed {
                tx,
                pool,
                contributor: address(3),
                amount: Amount(amount),
                cumulative: Amount(amount),
                block,
                block_hash: Word::default(),
            }))
        });
    }

    fn reorganise(&mut self, count: usize) {
        let kept = self.sent.len().saturating_sub(count);
        let gone = self.sent.split_off(kept);
        if let Some(first) = gone.first() {
            self.contracts = first.before.clone();
        }
        for chain_id in [1, 2] {
            let gone = gone.iter().filter(|it| it.chain_id == chain_id);
            let txs: Vec<String> = gone.map(|it| it.tx.clone()).collect();
            if !txs.is_empty() {
                self.undone.extend(txs.iter().cloned());
                self.keep(Event::Reorganised { chain_id, txs });
            }
        }
    }

    fn end_chain(&mut self, chain_id: u64) {
        let on = |key: &ReceiverKey| key.chain_id == chain_id;
        self.sent.clear();
        self.contracts
            .claimed
            .retain(|it, _| !on(&receiver_of(*it)));
        self.contracts.claimed_for.retain(|it, _| !on(it));
        self.contracts.settled_for.retain(|it, _| !on(it));
        self.contracts.paid.retain(|it| it.chain_id != chain_id);
        let called = (0..6).map(exact_key).filter(|it| it.chain_id == chain_id);
        self.retired.extend(called);
        self.charged.retain(|it, _| !on(&receiver_of(*it)));
        self.charges.retain(|it| it.chain_id != chain_id);
        self.keep(Event::ChainEnded { chain_id });
    }

    fn step(&mut self, step: &Step) {
        let at = |place: usize| receivers()[place];
        match *step {
            Step::NextDay => self.day += 1,
            Step::Call(channel, amount) => {
                self.call(PaymentScheme::BatchSettlement, channel, amount);
            }
            Step::ExactCall(nonce, amount) => self.call(PaymentScheme::Exact, nonce, amount),
            Step::Pay(nonce, amount) => self.pay(nonce, amount),
            Step::Claim(channel) => self.claim(&[channel]),
            Step::ClaimBoth(one, two) if one != two => self.claim(&[one, two]),
            Step::ClaimBoth(one, _) => self.claim(&[one]),
            Step::Settle(place) => self.settle(at(place)),
            Step::Observe(place, even) => self.observe(at(place), even),
            Step::Release(place, who, amount) => self.release(at(place), who, amount),
            Step::Refund(channel, amount) => self.refund(channel_key(channel), amount),
            Step::Anchor => self.anchor(),
            Step::Propose(place) => self.propose(at(place)),
            Step::ClaimContribution(place, amount) => self.claim_contribution(at(place), amount),
            Step::Repeat => {
                if let Some(last) = self.sent.last() {
                    self.repeats.push(self.records.len() as u64 + 1);
                    self.keep(last.event.clone());
                }
            }
            Step::Reorganise(count) => self.reorganise(count),
            Step::EndChain(chain_id) => self.end_chain(chain_id),
        }
    }
}

fn trail(records: &[EventRecord]) -> AuditTrail {
    let mut trail = AuditTrail::default();
    records.iter().for_each(|record| trail.apply(record));
    trail
}

fn earnings(records: &[EventRecord]) -> Earnings {
    let mut earnings = Earnings::default();
    records.iter().for_each(|record| earnings.apply(record));
    earnings
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_024))]

    /// Folding after a restart gives what folding without one gives.
    #[test]
    fn a_state_resumes_from_any_point(steps in steps(), cut in any::<prop::sample::Index>()) {
        let world = World::played(&steps);
        let (early, late) = world.records.split_at(cut.index(world.records.len() + 1));
        let stored = serde_json::to_string(&trail(early).state).unwrap();
        let mut state: LedgerState = serde_json::from_str(&stored).unwrap();
        let stored = serde_json::to_string(&earnings(early)).unwrap();
        let mut resumed: Earnings = serde_json::from_str(&stored).unwrap();
        for record in late {
            prop_assert_eq!(state.apply(record), ApplyOutcome::Folded);
            resumed.apply(record);
        }
        prop_assert_eq!(&state, &trail(&world.records).state);
        prop_assert_eq!(&resumed.facts, &state.facts);
        prop_assert_eq!(&resumed, &earnings(&world.records));
    }

    /// Facts that were recorded twice or never happened leave nothing behind.
    #[test]
    fn only_facts_that_stand_count(steps in steps()) {
        let world = World::played(&steps);
        let facts = trail(&world.records).state.facts;
        let mut plain = ChainFacts::default();
        for record in &world.records {
            let tx = EventLocation::from_event(&record.event).map(|it| it.tx);
            let is_undone = tx.is_some_and(|tx| world.undone.contains(&tx));
            let is_reorganisation = matches!(record.event, Event::Reorganised { .. });
            if !is_undone && !is_reorganisation && !world.repeats.contains(&record.sequence) {
                plain.apply(record);
            }
        }
        // An observation may have seen a settlement that never happened.
        let mined = |(_, fact): &(u64, &ChainFact)| EventLocation::from_event(&fact.event).is_some();
        prop_assert!(facts.iter().filter(mined).eq(plain.iter().filter(mined)));
        let (collected, expected) = (facts.collected(), plain.collected());
        for charge in &world.charges {
            prop_assert_eq!(collected.amount_of(charge), expected.amount_of(charge));
        }
        for tx in &world.undone {
            prop_assert!(facts.is_undone(tx));
        }
        for chain_id in [1, 2] {
            prop_assert_eq!(facts.locations(chain_id), plain.locations(chain_id));
        }
    }

    /// Income, collected amounts and the audit's records are views of the same facts.
    #[test]
    fn every_view_agrees_with_the_others(steps in steps()) {
        let world = World::played(&steps);
        let (trail, earnings) = (trail(&world.records), earnings(&world.records));
        let facts = &trail.state.facts;
        let collected = facts.collected();
        for receiver in receivers() {
            let sums = earnings.sums(receiver, DayRange::ALL);
            let channels = (0..CHANNELS).filter(|it| receiver_of(*it) == receiver);
            let claims = channels.flat_map(|it| trail.claims(channel_key(it)).collect::<Vec<_>>());
            let claimed: Amount = claims.map(|it| it.amount).sum();
            let moved = facts.movements(receiver);
            let of_channels = facts.iter().filter_map(|(_, fact)| match &fact.event {
                Event::Claimed(it) if it.receiver == receiver => Some(&it.rows),
                _ => None,
            });
            let of_channels: Amount = of_channels.flatten().map(|row| row.amount).sum();
            prop_assert_eq!(claimed, of_channels);
            let paid: Amount = moved.iter().map(|it| it.claimed).sum();
            prop_assert_eq!(sums.claimed, paid);
            prop_assert!(claimed <= sums.claimed && sums.settled <= sums.claimed);
            let released: Amount = trail.releases(receiver).map(|it| it.amount).sum();
            prop_assert_eq!(sums.released, released);
            let settlements = trail.settlements(receiver);
            let settled = settlements.iter().flat_map(|it| &it.of).map(|it| it.amount);
            prop_assert!(settled.sum::<Amount>() <= claimed);
            let here = world.charges.iter().filter(|it| it.receiver_key() == receiver);
            let vouchers = here.filter(|it| it.scheme == PaymentScheme::BatchSettlement);
            let arrived: Amount = vouchers.map(|it| collected.amount_of(it)).sum();
            prop_assert!(arrived <= claimed);
        }
        for (key, income) in &facts.payments {
            let stands = income.standing().is_some();
            prop_assert_eq!(stands, world.contracts.paid.contains(key));
        }
        for channel in 0..CHANNELS {
            let key = channel_key(channel);
            let claimed = trail.claims(key).last().map_or(Amount::ZERO, |it| it.of.total);
            let expected = world.contracts.claimed.get(&channel).copied();
            prop_assert_eq!(claimed.0, expected.unwrap_or_default());
        }
        let last = facts.anchored().last();
        prop_assert_eq!(facts.last_anchor(1, ADAPTER, address(1)), last);
        let through = last.map_or(0, |it| it.through);
        prop_assert_eq!(facts.anchored_through(1, ADAPTER), through);
        prop_assert_eq!(facts.anchored_through(1, "0x02"), 0);
    }
}

/// An earlier chain's call does not make a transfer income that another chain with the same id has.
#[test]
fn a_call_on_a_chain_that_ended_earns_nothing_on_the_next() {
    let world = World::played(&[Step::Pay(3, 5), Step::ExactCall(3, 5), Step::EndChain(1)]);
    let mut records = world.records;
    let again = EventRecord {
        sequence: records.len() as u64 + 1,
        ..records[3].clone()
    };
    records.push(again);
    let earnings = earnings(&records);
    assert!(earnings.facts.payments[&exact_key(3)].standing().is_some());
    let sums = earnings.sums(receiver_of(3), DayRange::ALL);
    assert_eq!((sums.charged, sums.settled), (Amount::ZERO, Amount::ZERO));
}

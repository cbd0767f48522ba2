//! What contributors are allotted: from what was collected of a call alone, whatever the order of
//! calls, and never more than a payer brought.

use std::collections::BTreeMap;

use openlora_core::{Address, Amount, Word};
use openlora_ledger::{
    AttributedCall, CallCharge, ChainFacts, ChannelKey, CollectedSums, ExactKey, PaymentScheme,
    PoolAllotment, ReceiverKey, ReceiverView, StatedContributions, apportion, divide,
    event::{
        AttributedAmount, AttributionMethod, CallAttributed, CallKind, ChannelRefunded,
        ChannelsClaimed, ClaimedRow, ContributorShare, Event, EventRecord, FinishReason,
        PaymentReceived, ReceiverObserved, ReceiverSettled, SplitMember, SplitPart, SplitRead,
        TokenUsage,
    },
    publication::{ContributorOwed, PoolContributions, event_id},
};
use openlora_payments::rewards::{allot, contributions_tree};
use proptest::prelude::*;

const CHAIN: u64 = 31_337;
const POOL_PPM: u32 = 333_333;
const HONEST: Address = Address([0xa1; 20]);
const ATTACKER: Address = Address([0xa2; 20]);

fn address(number: u8) -> Address {
    Address([number; 20])
}

fn receiver() -> ReceiverKey {
    ReceiverKey {
        chain_id: CHAIN,
        receiver: address(2),
        token: address(1),
    }
}

fn pool() -> ReceiverKey {
    ReceiverKey {
        receiver: address(9),
        ..receiver()
    }
}

fn split() -> SplitRead {
    let part = |recipient, ppm, members| SplitPart {
        recipient,
        ppm,
        members,
    };
    let member = SplitMember {
        account: HONEST,
        ppm: 1_000_000,
    };
    SplitRead {
        receiver: receiver(),
        adapter: "tone".into(),
        version: 1,
        parts: vec![
            part(address(8), 1_000_000 - POOL_PPM, Vec::new()),
            part(pool().receiver, POOL_PPM, vec![member]),
        ],
    }
}

/// A call and whose data shaped it, by weights of the two contributors.
#[derive(Clone, Debug)]
struct Served {
    id: String,
    charge: CallCharge,
    weights: [u64; 2],
}

impl Served {
    fn shares(&self) -> Vec<ContributorShare> {
        let parts = apportion(1_000_000, &self.weights.map(u128::from));
        let whose = [HONEST, ATTACKER].into_iter().zip(parts);
        whose
            .map(|(address, ppm)| ContributorShare {
                contributor: address.to_string(),
                address: Some(address),
                ppm: ppm as u32,
            })
            .collect()
    }

    fn event_id(&self) -> [u8; 32] {
        event_id("digest", &self.id)
    }

    fn amounts(&self) -> Vec<AttributedAmount> {
        divide(
            &self.charge,
            Some(&split()),
            &self.shares(),
            &self.event_id(),
        )
    }

    fn events(&self) -> [Event; 2] {
        let metered = Event::CallMetered {
            request_id: self.id.clone(),
            adapter: "tone".into(),
            adapter_digest: "digest".into(),
            kind: CallKind::Chat,
            usage: TokenUsage::default(),
            finish: FinishReason::Stop,
            milliseconds: 1,
            first_token_milliseconds: None,
            request_hash: String::new(),
            response_hash: String::new(),
            charge: Some(Box::new(self.charge.clone())),
            computation: None,
        };
        let attributed = CallAttributed {
            request_id: self.id.clone(),
            adapter: "tone".into(),
            adapter_digest: "digest".into(),
            index: None,
            method: AttributionMethod::Static,
            fallback: None,
            confidence_ppm: 0,
            evidence_ppm: 0,
            trace_ppm: 0,
            answer_tokens: 0,
            sketch: None,
            examples: Vec::new(),
            shares: self.shares(),
            amounts: Some(self.amounts()),
            lag_milliseconds: 0,
        };
        [metered, Event::Attributed(Box::new(attributed))]
    }
}

fn charge(scheme: PaymentScheme, payer: u8, id: u8, (before, amount): (u128, u128)) -> CallCharge {
    CallCharge {
        scheme,
        chain_id: CHAIN,
        token: receiver().token,
        receiver: receiver().receiver,
        payer: address(payer),
        id: Word([id; 32]),
        amount: Amount(amount),
        cumulative: Amount(before + amount),
    }
}

fn voucher_call(id: &str, channel: u8, before: u128, amount: u128, weights: [u64; 2]) -> Served {
    Served {
        id: id.into(),
        charge: charge(
            PaymentScheme::BatchSettlement,
            channel,
            channel,
            (before, amount),
        ),
        weights,
    }
}

fn exact_call(id: &str, nonce: u8, amount: u128, weights: [u64; 2]) -> Served {
    Served {
        id: id.into(),
        charge: charge(PaymentScheme::Exact, 77, nonce, (0, amount)),
        weights,
    }
}

fn claimed(tx: &str, block: u64, channel: u8, total: u128) -> Event {
    Event::Claimed(Box::new(ChannelsClaimed {
        tx: tx.into(),
        receiver: receiver(),
        rows: vec![ClaimedRow {
            channel: Word([channel; 32]),
            amount: Amount(total),
            total: Amount(total),
        }],
        block,
        block_hash: Word::default(),
    }))
}

fn settled(tx: &str, block: u64) -> Event {
    Event::Settled(Box::new(ReceiverSettled {
        tx: tx.into(),
        receiver: receiver(),
        amount: Amount(1),
        block,
        block_hash: Word::default(),
    }))
}

fn paid(tx: &str, nonce: u8, to: Address, amount: u128) -> Event {
    Event::PaymentReceived(Box::new(PaymentReceived {
        key: ExactKey {
            chain_id: CHAIN,
            token: receiver().token,
            payer: address(77),
            nonce: Word([nonce; 32]),
        },
        receiver: to,
        amount: Amount(amount),
        tx: tx.into(),
        block: 1,
        block_hash: Word::default(),
    }))
}

fn gone(txs: &[&str]) -> Event {
    Event::Reorganised {
        chain_id: CHAIN,
        txs: txs.iter().map(|tx| (*tx).to_owned()).collect(),
    }
}

fn records(events: impl IntoIterator<Item = Event>) -> Vec<EventRecord> {
    let record = |(event, sequence)| EventRecord {
        sequence,
        time_ms: 0,
        event,
        hash: String::new(),
    };
    events.into_iter().zip(1_u64..).map(record).collect()
}

fn collected(records: &[EventRecord]) -> CollectedSums {
    let mut facts = ChainFacts::default();
    records.iter().for_each(|it| facts.apply(it));
    facts.collected()
}

fn allotment(records: &[EventRecord]) -> PoolAllotment {
    let collected = collected(records);
    let mut allotment = PoolAllotment::new(pool());
    records
        .iter()
        .for_each(|it| allotment.apply(it, &collected));
    allotment
}

fn owed(allotment: &PoolAllotment) -> BTreeMap<Address, u128> {
    let leaves = allotment.whole_units().into_iter();
    leaves.map(|(who, amount)| (who, amount.0)).collect()
}

fn pooled(amount: u128) -> u128 {
    amount * u128::from(POOL_PPM) / 1_000_000
}

/// Events of some calls, then the chain's.
fn history(calls: &[Served], chain: impl IntoIterator<Item = Event>) -> Vec<EventRecord> {
    let served = calls.iter().flat_map(Served::events);
    records(served.chain(chain))
}

#[test]
fn calls_that_nobody_paid_for_take_nothing_from_those_that_were() {
    // The attacker's calls come first and are attributed to its data; nothing is ever claimed.
    let mut calls: Vec<Served> = (0..100_u32)
        .map(|at| voucher_call(&format!("a{at}"), 5, u128::from(at) * 1_000, 1_000, [0, 1]))
        .collect();
    calls.push(voucher_call("h", 6, 0, 90_000, [1, 0]));
    let chain = [claimed("0x1", 3, 6, 90_000), settled("0x2", 4)];
    let found = owed(&allotment(&history(&calls, chain)));
    assert_eq!(found, BTreeMap::from([(HONEST, pooled(90_000))]));
}

#[test]
fn one_transfer_that_is_named_by_many_calls_pays_none_of_them() {
    // A hundred authorizations in one transaction, of which one moved money: what the journals of
    // earlier versions say of it.
    let calls: Vec<Served> = (1..=100)
        .map(|nonce| exact_call(&format!("a{nonce}"), nonce, 500, [0, 1]))
        .chain([exact_call("h", 200, 500, [1, 0])])
        .collect();
    let one_tx = (1..=100).map(|nonce| paid("0x1", nonce, receiver().receiver, 500));
    let chain = one_tx.chain([paid("0x2", 200, receiver().receiver, 500)]);
    let found = owed(&allotment(&history(&calls, chain)));
    assert_eq!(found, BTreeMap::from([(HONEST, pooled(500))]));
    // One authorization that is named by two calls.
    let twice = [
        exact_call("x", 1, 500, [0, 1]),
        exact_call("y", 1, 500, [0, 1]),
    ];
    let chain = [paid("0x1", 1, receiver().receiver, 500)];
    assert_eq!(allotment(&history(&twice, chain)).whole_units(), []);
}

#[test]
fn a_transfer_pays_its_own_call_up_to_the_charge_and_only_at_the_receiver() {
    let calls = [exact_call("x", 1, 900_000, [1, 0])];
    for (to, amount, expected) in [
        (receiver().receiver, 900_000, pooled(900_000)),
        (receiver().receiver, 5_000_000, pooled(900_000)),
        (receiver().receiver, 300_000, pooled(300_000)),
        (address(66), 900_000, 0),
    ] {
        let found = allotment(&history(&calls, [paid("0x1", 1, to, amount)]));
        assert_eq!(found.total(), Amount(expected), "{to} {amount}");
    }
    let undone = [paid("0x1", 1, receiver().receiver, 900_000), gone(&["0x1"])];
    assert_eq!(allotment(&history(&calls, undone)).total(), Amount::ZERO);
}

#[test]
fn a_channels_money_pays_its_calls_in_their_order() {
    let calls = [
        voucher_call("one", 5, 0, 600_000, [1, 0]),
        voucher_call("two", 5, 600_000, 400_000, [0, 1]),
    ];
    let of = |total: u128| {
        let chain = [claimed("0x1", 3, 5, total), settled("0x2", 3)];
        let found = allotment(&history(&calls, chain));
        let of = |who| owed(&found).get(&who).copied().unwrap_or_default();
        [of(HONEST), of(ATTACKER)]
    };
    assert_eq!(of(0), [0, 0]);
    assert_eq!(of(300_000), [pooled(300_000), 0]);
    assert_eq!(of(600_000), [pooled(600_000), 0]);
    assert_eq!(of(700_000), [pooled(600_000), pooled(100_000)]);
    assert_eq!(of(1_000_000), [pooled(600_000), pooled(400_000)]);
    // A claim beyond what this server charged is another's income.
    assert_eq!(of(9_000_000), [pooled(600_000), pooled(400_000)]);
}

#[test]
fn claimed_money_counts_once_it_has_arrived_and_only_while_its_blocks_stand() {
    let calls = [voucher_call("one", 5, 0, 600_000, [1, 0])];
    let even = |claimed: u128, settled: u128, block: u64| {
        Event::ReceiverObserved(Box::new(ReceiverObserved {
            key: receiver(),
            view: ReceiverView {
                claimed: Amount(claimed),
                settled: Amount(settled),
                block,
                ..ReceiverView::default()
            },
        }))
    };
    let refund = Event::Refunded(Box::new(ChannelRefunded {
        tx: "0x9".into(),
        key: ChannelKey {
            chain_id: CHAIN,
            channel: Word([5; 32]),
        },
        amount: Amount(1_000_000),
        block: 9,
        block_hash: Word::default(),
    }));
    let claim = || claimed("0x1", 7, 5, 600_000);
    let whole = pooled(600_000);
    for (chain, expected) in [
        (vec![claim()], 0),
        // Settled before it was claimed.
        (vec![settled("0x2", 6), claim()], 0),
        (vec![claim(), settled("0x2", 8)], whole),
        // Somebody else had the escrow send it.
        (vec![claim(), even(600_000, 600_000, 8)], whole),
        (vec![claim(), even(600_000, 1, 8)], 0),
        (vec![claim(), even(600_000, 600_000, 6)], 0),
        (vec![claim(), settled("0x2", 8), gone(&["0x1"])], 0),
        (vec![claim(), settled("0x2", 8), gone(&["0x2"])], 0),
        (vec![claim(), settled("0x2", 8), gone(&["0x3"])], whole),
        // What a payer takes back was never claimed.
        (vec![refund.clone(), claim(), settled("0x2", 8)], whole),
        (vec![refund], 0),
    ] {
        let found = allotment(&history(&calls, chain.clone()));
        assert_eq!(found.total(), Amount(expected), "{chain:?}");
    }
}

#[test]
fn what_was_stated_never_falls_and_later_money_fills_it_first() {
    // An earlier version stated the attacker's uncollected calls.
    let mut stated = StatedContributions {
        root: Some(Word([1; 32])),
        owed: vec![
            ContributorOwed {
                contributor: ATTACKER,
                cumulative: Amount(500),
            },
            ContributorOwed {
                contributor: HONEST,
                cumulative: Amount(100),
            },
        ],
        collected: BTreeMap::new(),
    };
    let calls = [
        voucher_call("one", 5, 0, 3_000, [0, 1]),
        voucher_call("two", 6, 0, 3_000, [1, 0]),
    ];
    let settle = |events: Vec<Event>| {
        let events = events.into_iter().chain([settled("0x9", 9)]);
        allotment(&history(&calls, events))
    };
    let only_two = settle(vec![claimed("0x2", 2, 6, 3_000)]);
    assert_eq!(only_two.total(), Amount(999));
    let of = |contributions: &PoolContributions, who: Address| {
        let mut owed = contributions.owed.iter();
        owed.find(|it| it.contributor == who).unwrap().cumulative.0
    };
    // 1 000 arrived in all, 600 of it are stated.
    let next = allot(&only_two, &stated, Amount(1_000)).unwrap();
    assert_eq!((of(&next, ATTACKER), of(&next, HONEST)), (500, 500));
    assert_eq!(next.total, Amount(1_000));
    let source = next.source.clone().unwrap();
    assert_eq!(source.previous, Some(Word([1; 32])));
    assert_eq!(source.calls.len(), 1);
    stated.follow(&next);
    let both = settle(vec![
        claimed("0x1", 1, 5, 3_000),
        claimed("0x2", 2, 6, 3_000),
    ]);
    let last = allot(&both, &stated, Amount(2_000)).unwrap();
    assert_eq!((of(&last, ATTACKER), of(&last, HONEST)), (999, 999));
    // Only the call that is new.
    assert_eq!(last.source.unwrap().calls.len(), 1);
}

/// What happens to one channel or transfer of a history.
#[derive(Clone, Debug)]
enum Story {
    /// Charges, and how much of their sum is claimed, settled, and undone again.
    Channel {
        charges: Vec<(u128, [u64; 2])>,
        claimed_permille: u128,
        is_settled: bool,
        is_undone: bool,
    },
    /// A charge, and what its own transfer brought, if it stands.
    Transfer {
        charge: u128,
        weights: [u64; 2],
        brought: Option<u128>,
    },
}

fn weights() -> impl Strategy<Value = [u64; 2]> {
    prop_oneof![
        Just([1, 0]),
        Just([0, 1]),
        (1_u64..9, 1_u64..9).prop_map(|(one, other)| [one, other])
    ]
}

fn story() -> impl Strategy<Value = Story> {
    let channel = (
        prop::collection::vec((1_u128..20_000, weights()), 1..8),
        prop_oneof![Just(0_u128), Just(1_000), 0_u128..1_400],
        prop::bool::weighted(0.8),
        prop::bool::weighted(0.15),
    );
    let transfer = (
        1_u128..20_000,
        weights(),
        prop::option::of(prop_oneof![Just(20_000_u128), 0_u128..20_000]),
    );
    prop_oneof![
        2 => channel.prop_map(|(charges, claimed_permille, is_settled, is_undone)| {
            Story::Channel { charges, claimed_permille, is_settled, is_undone }
        }),
        1 => transfer.prop_map(|(charge, weights, brought)| {
            Story::Transfer { charge, weights, brought }
        }),
    ]
}

/// A history as it happened: the calls, what the chain says, and what each story's payer brought.
struct Played {
    calls: Vec<(usize, Served)>,
    chain: Vec<Event>,
    brought: Vec<u128>,
}

fn play(stories: &[Story]) -> Played {
    let mut played = Played {
        calls: Vec::new(),
        chain: Vec::new(),
        brought: Vec::new(),
    };
    let mut settle_at = Vec::new();
    for (at, story) in stories.iter().enumerate() {
        let id = at as u8 + 10;
        let (tx, block) = (format!("0x{at}"), 2 * at as u64 + 1);
        match story {
            Story::Channel {
                charges,
                claimed_permille,
                is_settled,
                is_undone,
            } => {
                let mut total = 0;
                for (number, (amount, weights)) in charges.iter().enumerate() {
                    let name = format!("c{at}-{number}");
                    let call = voucher_call(&name, id, total, *amount, *weights);
                    played.calls.push((at, call));
                    total += amount;
                }
                let claim = total * claimed_permille / 1_000;
                played.chain.push(claimed(&tx, block, id, claim));
                if *is_settled {
                    settle_at.push(block);
                }
                if *is_undone {
                    played.chain.push(gone(&[&tx]));
                }
                played.brought.push(if *is_undone { 0 } else { claim });
            }
            Story::Transfer {
                charge,
                weights,
                brought,
            } => {
                let call = exact_call(&format!("t{at}"), id, *charge, *weights);
                played.calls.push((at, call));
                if let Some(brought) = brought {
                    let event = paid(&tx, id, receiver().receiver, *brought);
                    played.chain.push(event);
                }
                played.brought.push(brought.unwrap_or_default());
            }
        }
    }
    // The escrow sends everything that was claimed by then.
    let through = settle_at.into_iter().max();
    if let Some(through) = through {
        played.chain.push(settled("0xff", through));
    }
    for (at, story) in stories.iter().enumerate() {
        let block = 2 * at as u64 + 1;
        if matches!(story, Story::Channel { .. }) && through.is_none_or(|last| block > last) {
            played.brought[at] = 0;
        }
    }
    played
}

/// An order of `count` things, drawn from a seed.
fn order(count: usize, seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by_key(|at| {
        (*at as u64 + 1)
            .wrapping_mul(seed | 1)
            .rotate_left(*at as u32 % 64)
    });
    order
}

fn micro(calls: &[Served], who: Address) -> u128 {
    let amounts = calls.iter().flat_map(Served::amounts);
    let theirs = amounts.filter(|it| it.pool.is_some() && it.address == Some(who));
    theirs.map(|it| it.micro.0).sum()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_024))]

    #[test]
    fn contributors_share_what_was_collected_and_nothing_else(
        stories in prop::collection::vec(story(), 1..12), seed in any::<u64>(),
    ) {
        let Played { calls, chain, brought } = play(&stories);
        let served: Vec<Served> = calls.iter().map(|(_, call)| call.clone()).collect();
        let records = history(&served, chain.clone());
        let found = allotment(&records);
        let leaves = owed(&found);

        // Never above the pool's part of what was collected, and not below it by more than a unit
        // of each contributor.
        let collected = collected(&records);
        let collected_sum: u128 = served.iter().map(|call| collected.amount_of(&call.charge).0).sum();
        prop_assert!(collected_sum <= brought.iter().sum::<u128>());
        let total = found.total().0;
        prop_assert!(total <= pooled(collected_sum));
        let lost = served.len() as u128 * 2 / 1_000_000 + 3;
        prop_assert!(pooled(collected_sum) <= total + lost);

        // Whoever pays for calls, a contributor under another name too, brings back at most what it
        // brought.
        for (at, brought) in brought.iter().enumerate() {
            let of_payer: Vec<Served> = calls.iter()
                .filter(|(story, _)| *story == at).map(|(_, call)| call.clone()).collect();
            let alone = allotment(&history(&of_payer, chain.clone()));
            prop_assert!(alone.total().0 <= pooled(*brought));
        }

        // The order of calls, of facts, and of both among each other changes nothing.
        let moved: Vec<Served> = order(served.len(), seed).iter().map(|at| served[*at].clone()).collect();
        prop_assert_eq!(&owed(&allotment(&history(&moved, chain.clone()))), &leaves);
        let after = chain.iter().cloned().chain(moved.iter().flat_map(Served::events));
        prop_assert_eq!(&owed(&allotment(&crate::allotment::records(after))), &leaves);

        // Calls of which nothing was collected might as well not have been.
        let paid_for: Vec<Served> = served.iter()
            .filter(|call| !collected.amount_of(&call.charge).is_zero()).cloned().collect();
        prop_assert_eq!(&owed(&allotment(&history(&paid_for, chain.clone()))), &leaves);

        // Nobody who is honest gets less than the calls that were paid in full give.
        let in_full: Vec<Served> = served.iter()
            .filter(|call| collected.amount_of(&call.charge) == call.charge.amount).cloned().collect();
        for who in [HONEST, ATTACKER] {
            let least = micro(&in_full, who) / 1_000_000;
            prop_assert!(leaves.get(&who).copied().unwrap_or_default() >= least);
        }

        // Per call it says the same as in sum.
        let mut again = PoolAllotment::new(pool());
        for call in found.calls() {
            let position = served.iter().position(|it| Word(it.event_id()) == call.event_id).unwrap();
            let it = &served[position];
            let amounts = it.amounts();
            prop_assert_eq!(call.collected, collected.amount_of(&it.charge));
            prop_assert!(call.collected <= call.charged && call.before.0 + call.charged.0 == call.after.0);
            again.add(&AttributedCall {
                event_id: call.event_id, sequence: 1, charge: &it.charge, amounts: &amounts,
            }, call.collected);
        }
        prop_assert_eq!(&owed(&again), &leaves);
    }

    #[test]
    fn statements_follow_each_other_within_what_the_pool_has(
        stories in prop::collection::vec(story(), 1..10),
        received in prop::collection::vec(0_u128..60_000, 1..6),
    ) {
        let mut stated = StatedContributions::default();
        let mut arrived = 0;
        for (at, more) in received.iter().enumerate() {
            let so_far = (at + 1) * stories.len() / received.len();
            let Played { calls, chain, .. } = play(&stories[..so_far.max(1)]);
            let served: Vec<Served> = calls.into_iter().map(|(_, call)| call).collect();
            let found = allotment(&history(&served, chain));
            arrived += more;
            let before: BTreeMap<Address, Amount> =
                stated.owed.iter().map(|it| (it.contributor, it.cumulative)).collect();
            let Some(next) = allot(&found, &stated, Amount(arrived)) else {
                prop_assert!(arrived == 0 || found.total().is_zero() || arrived < 3);
                continue;
            };
            prop_assert_eq!(next.root, Word(contributions_tree(&next).unwrap().root().0));
            prop_assert_eq!(next.total, next.owed.iter().map(|it| it.cumulative).sum());
            prop_assert!(next.total.0 <= arrived);
            for (who, sum) in &before {
                let now = next.owed.iter().find(|it| it.contributor == *who);
                prop_assert!(now.unwrap().cumulative >= *sum);
            }
            let all_there = found.total().0 <= arrived && stated.owed.is_empty();
            if all_there {
                prop_assert_eq!(next.total, found.total());
            }
            stated.follow(&next);
        }
    }
}

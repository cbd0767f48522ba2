//! What calls cost, and what the journal says was earned.

use std::collections::BTreeMap;

use openlora_core::{Address, Amount, Word};
use openlora_ledger::{
    CallCharge, CallWork, ChannelKey, ChannelView, CheckedPayment, DayRange, Earnings, ExactKey,
    PaymentScheme, PriceList, ReceiverKey,
    event::{
        AttributedAmount, AttributionMethod, CallAttributed, CallKind, ChannelObserved,
        ChannelsClaimed, ClaimedRow, ClaimsDeferred, DeferredClaim, Event, EventRecord,
        FinishReason, PaymentReceived, ReceiverSettled, ShareReleased, SplitMember, SplitPart,
        SplitRead, TokenUsage, TxIntent, TxOutcome,
    },
};

const DAY_MS: u64 = 86_400_000;
/// 2026-01-31.
const DAY: u64 = 20_484;

const PAYER: Address = Address([1; 20]);
const CREATOR: Address = Address([2; 20]);
const POOL: Address = Address([3; 20]);
const GIVER: Address = Address([4; 20]);
const TAKER: Address = Address([5; 20]);

fn prices() -> PriceList {
    PriceList {
        prompt: Amount(200),
        completion: Amount(1_000),
        classification: Amount(100),
        image: Amount(10_000),
        minimum: Amount(10),
    }
}

#[test]
fn a_call_costs_its_work_and_never_less_than_the_minimum() {
    let tokens = |prompt, completion| prices().price_of(CallWork::Tokens { prompt, completion });
    assert_eq!(tokens(0, 0), Amount(10));
    // 0.2 * 40 + 1 * 8 is 16.
    assert_eq!(tokens(40, 8), Amount(16));
    // 0.2 * 41 + 1 * 8 is 16.2: a begun unit counts.
    assert_eq!(tokens(41, 8), Amount(17));
    assert_eq!(
        prices().price_of(CallWork::Classifications { texts: 3 }),
        Amount(300)
    );
    assert_eq!(
        prices().price_of(CallWork::Images { pictures: 2 }),
        Amount(20_000)
    );
    let dear = PriceList {
        prompt: Amount(u128::MAX),
        ..prices()
    };
    let most = dear.price_of(CallWork::Tokens {
        prompt: u64::MAX,
        completion: u64::MAX,
    });
    assert_eq!(most, Amount(u128::MAX.div_ceil(1_000)));
}

fn payment(scheme: PaymentScheme, work: CallWork) -> CheckedPayment {
    CheckedPayment {
        scheme,
        chain_id: 31_337,
        token: Address([9; 20]),
        receiver: Address([8; 20]),
        payer: PAYER,
        id: Word([7; 32]),
        before: Amount(1_000),
        quote: prices().price_of(work),
        signature: "0x".into(),
        prices: prices(),
        work,
        collected: false,
        party: None,
    }
}

#[test]
fn what_is_claimed_before_a_call_is_charged_whole() {
    let classified = CallWork::Classifications { texts: 2 };
    let payment = CheckedPayment {
        collected: true,
        ..payment(PaymentScheme::BatchSettlement, classified)
    };
    for finish in [
        FinishReason::Stop,
        FinishReason::Failed,
        FinishReason::Recovered,
    ] {
        let charge = payment.charge(TokenUsage::default(), finish);
        assert_eq!(charge.amount, payment.quote, "{finish:?}");
    }
}

#[test]
fn a_unit_that_a_payer_was_led_by_is_not_charged() {
    let usage = TokenUsage {
        prompt_tokens: 40,
        completion_tokens: 1,
    };
    let work = CallWork::Classifications { texts: 1 };
    let mut payment = payment(PaymentScheme::BatchSettlement, work);
    let price = payment.quote;
    payment.quote = price.saturating_add(Amount(3));
    assert_eq!(payment.charge(usage, FinishReason::Stop).amount, price);
}

#[test]
fn a_charge_is_for_what_was_delivered_and_within_the_quote() {
    let usage = |prompt_tokens, completion_tokens| TokenUsage {
        prompt_tokens,
        completion_tokens,
    };
    let chat = CallWork::Tokens {
        prompt: 40,
        completion: 100,
    };
    let classified = CallWork::Classifications { texts: 1 };
    let (channel, exact) = (PaymentScheme::BatchSettlement, PaymentScheme::Exact);
    for (scheme, work, used, finish, amount) in [
        (channel, chat, usage(40, 100), FinishReason::Length, 108),
        (channel, chat, usage(40, 8), FinishReason::Stop, 16),
        (channel, chat, usage(40, 8), FinishReason::Disconnected, 16),
        (channel, chat, usage(40, 8), FinishReason::Recovered, 16),
        // More than was asked for is not the payer's to pay.
        (channel, chat, usage(40, 500), FinishReason::Length, 108),
        (channel, chat, usage(0, 0), FinishReason::Failed, 0),
        (channel, chat, usage(40, 0), FinishReason::Recovered, 0),
        (channel, chat, usage(40, 0), FinishReason::Disconnected, 10),
        (channel, classified, usage(40, 1), FinishReason::Stop, 100),
        (
            channel,
            classified,
            usage(40, 0),
            FinishReason::Disconnected,
            0,
        ),
        // A transfer was for the whole quote, or owes a call.
        (exact, chat, usage(40, 8), FinishReason::Stop, 108),
        (exact, chat, usage(40, 0), FinishReason::Failed, 0),
        (exact, chat, usage(40, 8), FinishReason::Disconnected, 108),
        (exact, chat, usage(40, 8), FinishReason::Failed, 0),
        (exact, chat, usage(40, 8), FinishReason::Recovered, 0),
    ] {
        let payment = payment(scheme, work);
        let charge = payment.charge(used, finish);
        assert_eq!(
            charge.amount,
            Amount(amount),
            "{work:?} {used:?} {finish:?}"
        );
        assert_eq!(charge.cumulative, Amount(1_000 + amount));
    }
}

fn receiver() -> ReceiverKey {
    ReceiverKey {
        chain_id: 31_337,
        receiver: Address([8; 20]),
        token: Address([9; 20]),
    }
}

fn call(amount: u128, payer: Address) -> Event {
    Event::CallMetered {
        request_id: format!("{payer}{amount}"),
        adapter: "mood".into(),
        adapter_digest: "ad".into(),
        kind: CallKind::Chat,
        usage: TokenUsage::default(),
        finish: FinishReason::Stop,
        milliseconds: 1,
        first_token_milliseconds: None,
        request_hash: "rh".into(),
        response_hash: "sh".into(),
        charge: Some(Box::new(CallCharge {
            scheme: PaymentScheme::BatchSettlement,
            chain_id: 31_337,
            token: receiver().token,
            receiver: receiver().receiver,
            payer,
            id: Word([7; 32]),
            amount: Amount(amount),
            cumulative: Amount(amount),
        })),
        computation: None,
    }
}

fn claimed(tx: &str, amount: u128) -> Event {
    Event::Claimed(Box::new(ChannelsClaimed {
        tx: tx.into(),
        receiver: receiver(),
        rows: vec![ClaimedRow {
            channel: Word([7; 32]),
            amount: Amount(amount),
            total: Amount(amount),
        }],
        block: 1,
        block_hash: Word::default(),
    }))
}

fn settled(tx: &str, amount: u128) -> Event {
    Event::Settled(Box::new(ReceiverSettled {
        tx: tx.into(),
        receiver: receiver(),
        amount: Amount(amount),
        block: 1,
        block_hash: Word::default(),
    }))
}

fn released(tx: &str, recipient: Address, amount: u128) -> Event {
    Event::Released(Box::new(ShareReleased {
        tx: tx.into(),
        receiver: receiver(),
        recipient,
        to: recipient,
        amount: Amount(amount),
        block: 1,
        block_hash: Word::default(),
    }))
}

fn fold(events: impl IntoIterator<Item = (u64, Event)>) -> Earnings {
    let mut earnings = Earnings::default();
    for (sequence, (day, event)) in (1..).zip(events) {
        earnings.apply(&EventRecord {
            sequence,
            time_ms: day * DAY_MS + 5,
            event,
            hash: String::new(),
        });
    }
    earnings
}

#[test]
fn sums_are_by_day_and_know_what_is_on_its_way() {
    let earnings = fold([
        (DAY - 40, call(100, PAYER)),
        (DAY - 6, call(20, PAYER)),
        (DAY, call(3, TAKER)),
        (DAY, claimed("0x1", 120)),
        // Noted again by a process that was killed in between.
        (DAY, claimed("0x1", 120)),
        (DAY, settled("0x2", 120)),
        (DAY, released("0x3", CREATOR, 72)),
    ]);
    let now = DAY * DAY_MS + 7;
    let charged = |days| {
        earnings
            .sums(receiver(), DayRange::until(now, days))
            .charged
    };
    assert_eq!(charged(1), Amount(3));
    assert_eq!(charged(7), Amount(23));
    assert_eq!(charged(30), Amount(23));
    let all = earnings.sums(receiver(), DayRange::ALL);
    assert_eq!((all.calls, all.charged), (3, Amount(123)));
    assert_eq!((all.claimed, all.settled), (Amount(120), Amount(120)));
    assert_eq!((all.pending(), all.withdrawable()), (Amount(3), Amount(48)));
    let of_taker = earnings.sums_where(|key| key.payer == TAKER);
    assert_eq!((of_taker.calls, of_taker.charged), (1, Amount(3)));
}

#[test]
fn a_reorganisation_takes_back_what_did_not_happen() {
    let earnings = fold([
        (DAY, call(100, PAYER)),
        (DAY, claimed("0x1", 100)),
        (DAY, settled("0x2", 100)),
        (
            DAY,
            Event::Reorganised {
                chain_id: 31_337,
                txs: vec!["0x2".into()],
            },
        ),
    ]);
    let all = earnings.sums(receiver(), DayRange::ALL);
    assert_eq!((all.claimed, all.settled), (Amount(100), Amount::ZERO));
    assert_eq!(all.pending(), Amount(100));
}

/// Another seller, whose payments this server clears as a facilitator.
const ELSEWHERE: Address = Address([6; 20]);

fn exact_key() -> ExactKey {
    ExactKey {
        chain_id: 31_337,
        token: receiver().token,
        payer: PAYER,
        nonce: Word([5; 32]),
    }
}

fn paid(tx: &str, to: Address, amount: u128) -> Event {
    Event::PaymentReceived(Box::new(PaymentReceived {
        key: exact_key(),
        receiver: to,
        amount: Amount(amount),
        tx: tx.into(),
        block: 1,
        block_hash: Word::default(),
    }))
}

fn exact_call(amount: u128) -> Event {
    let Event::CallMetered {
        request_id,
        adapter,
        adapter_digest,
        kind,
        usage,
        finish,
        milliseconds,
        first_token_milliseconds,
        request_hash,
        response_hash,
        charge,
        computation,
    } = call(amount, PAYER)
    else {
        panic!("a call is metered");
    };
    let charge = charge.map(|it| {
        Box::new(CallCharge {
            scheme: PaymentScheme::Exact,
            id: exact_key().nonce,
            ..*it
        })
    });
    Event::CallMetered {
        request_id,
        adapter,
        adapter_digest,
        kind,
        usage,
        finish,
        milliseconds,
        first_token_milliseconds,
        request_hash,
        response_hash,
        charge,
        computation,
    }
}

fn undone(tx: &str) -> Event {
    Event::Reorganised {
        chain_id: 31_337,
        txs: vec![tx.into()],
    }
}

fn observed(balance: u128, claimed: u128) -> Event {
    Event::ChannelObserved(Box::new(ChannelObserved {
        key: ChannelKey {
            chain_id: 31_337,
            channel: Word([7; 32]),
        },
        view: ChannelView {
            balance: Amount(balance),
            claimed: Amount(claimed),
            ..ChannelView::default()
        },
    }))
}

#[test]
fn a_settlement_is_income_as_far_as_our_calls_were_claimed() {
    let earnings = fold([
        (DAY, call(100, PAYER)),
        (DAY, claimed("0x1", 100)),
        // The receiver's, 900 of which other servers had claimed.
        (DAY, settled("0x2", 1_000)),
        (DAY, settled("0x3", 50)),
    ]);
    let all = earnings.sums(receiver(), DayRange::ALL);
    assert_eq!((all.claimed, all.settled), (Amount(100), Amount(100)));
    assert_eq!(all.pending(), Amount::ZERO);
    // Undone and done again, it is the same.
    let again = fold([
        (DAY, call(100, PAYER)),
        (DAY, claimed("0x1", 100)),
        (DAY, settled("0x2", 1_000)),
        (DAY, undone("0x2")),
        (DAY, settled("0x4", 1_000)),
    ]);
    assert_eq!(again.sums(receiver(), DayRange::ALL).settled, Amount(100));
}

#[test]
fn receipts_for_other_sellers_are_no_income() {
    let theirs = ReceiverKey {
        receiver: ELSEWHERE,
        ..receiver()
    };
    let earnings = fold([
        (DAY, call(100, PAYER)),
        (DAY, paid("0x1", ELSEWHERE, 5_000)),
        (
            DAY,
            Event::Settled(Box::new(ReceiverSettled {
                tx: "0x2".into(),
                receiver: theirs,
                amount: Amount(7_000),
                block: 1,
                block_hash: Word::default(),
            })),
        ),
    ]);
    assert_eq!(earnings.receivers(), [receiver()].into());
    assert_eq!(earnings.sums(theirs, DayRange::ALL).settled, Amount::ZERO);
}

#[test]
fn an_exact_payment_is_income_once_a_call_is_charged_for_it() {
    let splitter = receiver().receiver;
    let settled = |events: Vec<Event>| {
        let earnings = fold(events.into_iter().map(|it| (DAY, it)));
        let all = earnings.sums(receiver(), DayRange::ALL);
        (
            all.settled.0,
            all.pending().0,
            earnings.facts.is_payment_undone(exact_key()),
        )
    };
    let (arrives, charged) = (|| paid("0x1", splitter, 70), || exact_call(70));
    assert_eq!(settled(vec![arrives()]), (0, 0, false));
    assert_eq!(settled(vec![arrives(), charged()]), (70, 0, false));
    // Noted twice, or called for twice, it is one payment.
    assert_eq!(
        settled(vec![arrives(), charged(), arrives()]),
        (70, 0, false)
    );
    assert_eq!(
        settled(vec![arrives(), charged(), charged()]),
        (70, 70, false)
    );
    assert_eq!(settled(vec![charged()]), (0, 70, false));
    // A reorganisation takes it back until it is received again.
    let gone = vec![arrives(), charged(), undone("0x1")];
    assert_eq!(settled(gone.clone()), (0, 70, true));
    let back = [gone, vec![paid("0x9", splitter, 70)]].concat();
    assert_eq!(settled(back), (70, 0, false));
}

#[test]
fn what_payers_took_back_is_not_on_its_way() {
    let earnings = fold([
        (DAY, call(100, PAYER)),
        (DAY, observed(500, 0)),
        (DAY, claimed("0x1", 20)),
        (DAY, observed(60, 20)),
    ]);
    let all = earnings.sums(receiver(), DayRange::ALL);
    assert_eq!((all.uncollectable, all.pending()), (Amount(40), Amount(60)));
    // What one receiver got is not taken from what another has coming.
    let other = ReceiverKey {
        chain_id: 31_338,
        ..receiver()
    };
    let both = earnings.sums_of(&[receiver(), other], DayRange::ALL);
    assert_eq!(
        (both.uncollectable, both.pending()),
        (Amount(40), Amount(60))
    );
}

#[test]
fn what_was_not_worth_a_claim_waits_and_is_then_written_off() {
    let deferred = |total| {
        let deferred = DeferredClaim {
            channel: Word([7; 32]),
            amount: Amount(total),
            total: Amount(total),
        };
        Event::ClaimsDeferred(Box::new(ClaimsDeferred {
            chain_id: 31_337,
            channels: vec![deferred],
        }))
    };
    let sums = |events: Vec<Event>| {
        let dated = events.into_iter().map(|event| (DAY, event));
        let all = fold(dated).sums(receiver(), DayRange::ALL);
        let sums = [
            all.pending(),
            all.deferred,
            all.written_off,
            all.uncollectable,
        ];
        sums.map(|it| it.0)
    };
    let mut events = vec![call(100, PAYER), observed(500, 0), deferred(100)];
    assert_eq!(sums(events.clone()), [100, 100, 0, 0]);
    // A later call is not deferred yet.
    let mut later = call(50, PAYER);
    if let Event::CallMetered {
        charge: Some(charge),
        ..
    } = &mut later
    {
        charge.cumulative = Amount(150);
    }
    events.push(later);
    assert_eq!(sums(events.clone()), [150, 100, 0, 0]);
    // The payer leaves 30 in the channel: of the rest, 70 were not worth it and 50 are a loss.
    let left = [events.clone(), vec![observed(30, 0)]].concat();
    assert_eq!(sums(left), [30, 30, 70, 50]);
    // If all of it is claimed after all, nothing is written off.
    let claims = [events, vec![claimed("0x1", 150), observed(500, 150)]].concat();
    assert_eq!(sums(claims), [150, 0, 0, 0]);
}

#[test]
fn contributors_accrue_their_part_of_the_pools_part() {
    let split = SplitRead {
        receiver: receiver(),
        adapter: "mood".into(),
        version: 1,
        parts: vec![
            SplitPart {
                recipient: CREATOR,
                ppm: 600_000,
                members: Vec::new(),
            },
            SplitPart {
                recipient: POOL,
                ppm: 400_000,
                members: [(GIVER, 750_000), (TAKER, 250_000)]
                    .map(|(account, ppm)| SplitMember { account, ppm })
                    .to_vec(),
            },
        ],
    };
    let earnings = fold([
        (DAY, Event::SplitRead(Box::new(split))),
        (DAY, call(1_001, PAYER)),
        (DAY, claimed("0x1", 1_001)),
        (DAY, settled("0x2", 1_001)),
        (DAY, released("0x3", CREATOR, 600)),
    ]);
    let accruals = earnings.accruals(receiver(), DayRange::ALL, &BTreeMap::new());
    let of = |account: Address| accruals[&account];
    // Rounded down as the splitter and the pool do: 600.6, 400.4, and of these 300 and 100.
    assert_eq!(
        (of(CREATOR).charged, of(CREATOR).released),
        (Amount(600), Amount(600))
    );
    assert_eq!(
        (of(GIVER).charged, of(TAKER).charged),
        (Amount(300), Amount(100))
    );
    // Nobody's calls are collected yet, as far as they are attributed.
    assert_eq!(
        (of(GIVER).settled, of(TAKER).settled),
        (Amount::ZERO, Amount::ZERO)
    );
    assert!(!accruals.contains_key(&POOL));
}

#[test]
fn contributors_accrue_what_calls_were_attributed_to_them() {
    let split = SplitRead {
        receiver: receiver(),
        adapter: "mood".into(),
        version: 1,
        parts: vec![SplitPart {
            recipient: POOL,
            ppm: 1_000_000,
            members: [(GIVER, 750_000), (TAKER, 250_000)]
                .map(|(account, ppm)| SplitMember { account, ppm })
                .to_vec(),
        }],
    };
    let part = |account: Address, micro: u128| AttributedAmount {
        recipient: account.to_string(),
        address: Some(account),
        pool: Some(ReceiverKey {
            receiver: POOL,
            ..receiver()
        }),
        micro: Amount(micro),
    };
    let attributed = CallAttributed {
        request_id: "one".into(),
        adapter: "mood".into(),
        adapter_digest: "00".into(),
        index: None,
        method: AttributionMethod::Influence,
        fallback: None,
        confidence_ppm: 0,
        evidence_ppm: 0,
        trace_ppm: 0,
        answer_tokens: 1,
        sketch: None,
        examples: Vec::new(),
        shares: Vec::new(),
        amounts: Some(vec![part(GIVER, 100_500_000), part(TAKER, 899_500_000)]),
        lag_milliseconds: 0,
    };
    let earnings = fold([
        (DAY, Event::SplitRead(Box::new(split))),
        (DAY, call(1_000, PAYER)),
        (DAY, Event::Attributed(Box::new(attributed))),
        (DAY, call(400, PAYER)),
        (DAY, claimed("0x1", 700)),
        (DAY, settled("0x2", 700)),
    ]);
    let pool = ReceiverKey {
        receiver: POOL,
        ..receiver()
    };
    let allotted = BTreeMap::from([((pool, GIVER), Amount(7))]);
    let accruals = earnings.accruals(receiver(), DayRange::ALL, &allotted);
    // One call as it was attributed, the other by the static shares; what arrived is whose calls
    // were collected.
    let of = |account: Address| (accruals[&account].charged.0, accruals[&account].settled.0);
    assert_eq!((of(GIVER), of(TAKER)), ((400, 7), (999, 0)));
}

#[test]
fn gas_counts_on_the_chain_of_its_transaction() {
    let intent = TxIntent {
        tx: "0x9".into(),
        chain_id: 31_338,
        genesis: None,
        from: String::new(),
        to: String::new(),
        nonce: 0,
        purpose: "a test".into(),
        key: None,
        raw: String::new(),
        replaces: None,
        sponsored: None,
    };
    let earnings = fold([
        (DAY, Event::TransactionIntended(Box::new(intent))),
        (
            DAY,
            Event::TransactionConfirmed {
                tx: "0x9".into(),
                status: TxOutcome::Succeeded,
                gas_used: Some(21_000),
                block: Some(1),
                fee: Some(Amount(42_000)),
            },
        ),
    ]);
    assert_eq!(earnings.gas(31_338, DayRange::ALL), Amount(42_000));
    assert_eq!(earnings.gas(31_337, DayRange::ALL), Amount::ZERO);
}

//! Any history of calls, claims, payments, losses and strangers: an audit finds exactly what went
//! wrong, to the unit and by call, and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use openlora_core::{Address, Amount, Word};
use openlora_ledger::{
    CallCharge, CallWork, ChannelKey, ChannelTerms, ChannelView, CheckedPayment, DayRange,
    Earnings, ExactKey, PaymentScheme, PriceList, ReceiverKey, ReceiverView,
    event::{
        CallKind, ChannelOpened, ChannelRefunded, ChannelsClaimed, ClaimedRow, ClaimsDeferred,
        DeferredClaim, Event, EventRecord, FinishReason, PaymentReceived, ReceiverSettled,
        ShareReleased, TokenUsage,
    },
    findings::{AuditFinding, FindingKind, LossCause, Severity},
    reconcile::{
        ChainEvidence, ChannelEvidence, LoggedAuthorization, LoggedRelease, LoggedSum,
        LoggedTransfer, PaidBack, reconcile,
    },
    trail::AuditTrail,
};
use proptest::prelude::*;

const CHAIN: u64 = 31_337;
const CHANNELS: u8 = 3;
const DEPOSITED: u128 = 400;

fn address(last: u8) -> Address {
    let mut bytes = [0; 20];
    bytes[19] = last;
    Address(bytes)
}

fn word(number: u64) -> Word {
    let mut bytes = [0; 32];
    bytes[24..].copy_from_slice(&number.to_be_bytes());
    Word(bytes)
}

const PAYER: u8 = 1;
const SPLITTER: u8 = 2;
const TOKEN: u8 = 4;
const GIVER: u8 = 6;
const ESCROW: u8 = 7;

fn receiver() -> ReceiverKey {
    ReceiverKey {
        chain_id: CHAIN,
        receiver: address(SPLITTER),
        token: address(TOKEN),
    }
}

fn key(channel: u8) -> ChannelKey {
    ChannelKey {
        chain_id: CHAIN,
        channel: word(channel.into()),
    }
}

#[derive(Clone, Debug)]
enum Step {
    Call(u8, u128),
    Claim(u8),
    Settle,
    Release(u128),
    Exact(u128),
    /// By another server of the same receiver.
    Foreign(u128),
    Gift(u128),
    /// Somebody else settles.
    SettleByOther,
    /// What is charged is not worth a claim for now.
    Defer(u8),
    /// The payer takes unclaimed money back, and our server did not claim in time.
    Withdraw(u8, u128),
    /// We give unclaimed money back without claiming first.
    Refund(u8, u128),
    /// A claim that the journal does not learn of.
    ClaimInSecret(u8),
    /// Facts that the chain does not have.
    PhantomClaim(u8),
    PhantomSettlement(u128),
    PhantomRelease(u128),
    /// An exact call whose transfer is not on the chain.
    ExactUnpaid(u128),
    /// A call that the journal lost.
    LostCall(u8, u128),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (channel, amount) = (0..CHANNELS, 1..60_u128);
    let pair = || (channel.clone(), amount.clone());
    let step = prop_oneof![
        12 => pair().prop_map(|(c, a)| Step::Call(c, a)),
        4 => channel.clone().prop_map(Step::Claim),
        4 => Just(Step::Settle),
        2 => amount.clone().prop_map(Step::Release),
        3 => amount.clone().prop_map(Step::Exact),
        2 => amount.clone().prop_map(Step::Foreign),
        1 => amount.clone().prop_map(Step::Gift),
        1 => Just(Step::SettleByOther),
        2 => channel.clone().prop_map(Step::Defer),
        1 => pair().prop_map(|(c, a)| Step::Withdraw(c, a)),
        1 => pair().prop_map(|(c, a)| Step::Refund(c, a)),
        1 => channel.clone().prop_map(Step::ClaimInSecret),
        1 => channel.clone().prop_map(Step::PhantomClaim),
        1 => amount.clone().prop_map(Step::PhantomSettlement),
        1 => amount.clone().prop_map(Step::PhantomRelease),
        1 => amount.clone().prop_map(Step::ExactUnpaid),
        1 => pair().prop_map(|(c, a)| Step::LostCall(c, a)),
    ];
    proptest::collection::vec(step, 1..60)
}

/// What the contracts and their logs have, one channel.
#[derive(Clone, Debug, Default)]
struct Line {
    balance: u128,
    claimed: u128,
    claims: Vec<LoggedSum>,
    paid_back: Vec<PaidBack>,
    /// How many charged units were ever deferred.
    deferred: usize,
    /// Whose call each charged unit is, none where the journal lost it.
    units: Vec<Option<String>>,
}

struct World {
    trail: AuditTrail,
    earnings: Earnings,
    sequence: u64,
    place: u64,
    lines: BTreeMap<u8, Line>,
    claimed_by_all: u128,
    settled: u128,
    held: u128,
    released: u128,
    evidence: ChainEvidence,
    /// Differences that were put in: kind and sum.
    planted: Vec<(FindingKind, u128)>,
    /// Calls whose exact payment is missing.
    unpaid: BTreeMap<String, u128>,
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            trail: AuditTrail::default(),
            earnings: Earnings::default(),
            sequence: 0,
            place: 0,
            lines: BTreeMap::new(),
            claimed_by_all: 0,
            settled: 0,
            held: 0,
            released: 0,
            evidence: ChainEvidence {
                receiver: receiver(),
                escrow: address(ESCROW),
                view: ReceiverView::default(),
                is_splitter: true,
                channels: BTreeMap::new(),
                settlements: Vec::new(),
                incoming: Vec::new(),
                spent: Amount::ZERO,
                releases: Vec::new(),
                authorizations: Vec::new(),
            },
            planted: Vec::new(),
            unpaid: BTreeMap::new(),
        };
        for channel in 0..CHANNELS {
            let config = ChannelTerms {
                payer: address(PAYER),
                payer_authorizer: address(PAYER),
                receiver: address(SPLITTER),
                receiver_authorizer: address(3),
                token: address(TOKEN),
                withdraw_delay: 900,
                salt: word(channel.into()),
            };
            let key = key(channel);
            world.keep(Event::ChannelOpened(Box::new(ChannelOpened {
                key,
                config,
            })));
            let line = Line {
                balance: DEPOSITED,
                ..Line::default()
            };
            world.lines.insert(channel, line);
        }
        world
    }

    fn keep(&mut self, event: Event) {
        self.sequence += 1;
        let record = EventRecord {
            sequence: self.sequence,
            time_ms: 0,
            event,
            hash: String::new(),
        };
        self.trail.apply(&record);
        self.earnings.apply(&record);
    }

    /// A log of a transaction of its own.
    fn log(&mut self, amount: u128) -> LoggedSum {
        self.place += 1;
        LoggedSum {
            tx: format!("tx-{}", self.place),
            amount: Amount(amount),
            place: (self.place, 0),
        }
    }

    fn line(&mut self, channel: u8) -> &mut Line {
        self.lines.get_mut(&channel).unwrap()
    }

    fn call(&mut self, channel: u8, amount: u128, is_lost: bool) {
        let id = format!("call-{}", self.sequence);
        let line = self.line(channel);
        let before = line.units.len() as u128;
        if before + amount > line.balance {
            return;
        }
        let owner = (!is_lost).then(|| id.clone());
        line.units.extend(vec![owner; amount as usize]);
        if is_lost {
            return;
        }
        let payment = CheckedPayment {
            scheme: PaymentScheme::BatchSettlement,
            chain_id: CHAIN,
            token: address(TOKEN),
            receiver: address(SPLITTER),
            payer: address(PAYER),
            id: word(channel.into()),
            before: Amount(before),
            quote: Amount(amount),
            collected: false,
            party: None,
            signature: "0x01".into(),
            prices: PriceList {
                completion: Amount(amount),
                ..PriceList::default()
            },
            work: CallWork::Tokens {
                prompt: 0,
                completion: 1_000,
            },
        };
        let usage = TokenUsage {
            prompt_tokens: 0,
            completion_tokens: 1_000,
        };
        let charge = payment.charge(usage, FinishReason::Stop);
        self.keep(Event::CallReserved {
            request_id: id.clone(),
            session: "one".into(),
            adapter: "tone".into(),
            adapter_digest: "00".into(),
            kind: CallKind::Chat,
            prompt_tokens: 0,
            request_hash: "00".into(),
            payment: Some(Box::new(payment)),
        });
        self.meter(id, charge);
    }

    fn meter(&mut self, request_id: String, charge: CallCharge) {
        self.keep(Event::CallMetered {
            request_id,
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

    fn claim(&mut self, channel: u8, is_noted: bool) {
        let line = self.line(channel);
        let total = line.balance.min(line.units.len() as u128);
        let amount = total.saturating_sub(line.claimed);
        if amount == 0 {
            return;
        }
        let log = self.log(amount);
        let line = self.line(channel);
        line.claimed = total;
        line.claims.push(log.clone());
        self.claimed_by_all += amount;
        match is_noted {
            true => self.note_claim(channel, &log, total),
            false => self.planted.push((FindingKind::ClaimUnrecorded, amount)),
        }
    }

    fn note_claim(&mut self, channel: u8, log: &LoggedSum, total: u128) {
        self.keep(Event::Claimed(Box::new(ChannelsClaimed {
            tx: log.tx.clone(),
            receiver: receiver(),
            rows: vec![ClaimedRow {
                channel: word(channel.into()),
                amount: log.amount,
                total: Amount(total),
            }],
            block: log.place.0,
            block_hash: Word::default(),
        })));
    }

    fn settle(&mut self, is_ours: bool) {
        let amount = self.claimed_by_all - self.settled;
        if amount == 0 {
            return;
        }
        let log = self.log(amount);
        self.settled += amount;
        self.arrive(ESCROW, &log);
        self.evidence.settlements.push(log.clone());
        if is_ours {
            self.note_settlement(&log);
        }
    }

    fn note_settlement(&mut self, log: &LoggedSum) {
        self.keep(Event::Settled(Box::new(ReceiverSettled {
            tx: log.tx.clone(),
            receiver: receiver(),
            amount: log.amount,
            block: log.place.0,
            block_hash: Word::default(),
        })));
    }

    fn arrive(&mut self, from: u8, log: &LoggedSum) {
        self.held += log.amount.0;
        self.evidence.incoming.push(LoggedTransfer {
            from: address(from),
            logged: log.clone(),
        });
    }

    fn release(&mut self, amount: u128, is_real: bool) {
        let amount = if is_real {
            amount.min(self.held)
        } else {
            amount
        };
        if amount == 0 {
            return;
        }
        let log = self.log(amount);
        if is_real {
            self.held -= amount;
            self.released += amount;
            self.evidence.spent = Amount(self.released);
            self.evidence.releases.push(LoggedRelease {
                recipient: address(8),
                logged: log.clone(),
            });
        } else {
            self.planted.push((FindingKind::ReleaseMissing, amount));
        }
        self.keep(Event::Released(Box::new(ShareReleased {
            tx: log.tx,
            receiver: receiver(),
            recipient: address(8),
            to: address(8),
            amount: Amount(amount),
            block: log.place.0,
            block_hash: Word::default(),
        })));
    }

    fn exact(&mut self, amount: u128, is_paid: bool) {
        let log = self.log(amount);
        let key = ExactKey {
            chain_id: CHAIN,
            token: address(TOKEN),
            payer: address(PAYER),
            nonce: word(log.place.0),
        };
        self.keep(Event::PaymentReceived(Box::new(PaymentReceived {
            key,
            receiver: address(SPLITTER),
            amount: Amount(amount),
            tx: log.tx.clone(),
            block: log.place.0,
            block_hash: Word::default(),
        })));
        let id = format!("exact-{}", self.sequence);
        if is_paid {
            self.arrive(PAYER, &log);
            self.evidence.authorizations.push(LoggedAuthorization {
                payer: key.payer,
                nonce: key.nonce,
                tx: log.tx,
            });
        } else {
            self.unpaid.insert(id.clone(), amount);
        }
        let charge = CallCharge {
            scheme: PaymentScheme::Exact,
            chain_id: CHAIN,
            token: address(TOKEN),
            receiver: address(SPLITTER),
            payer: address(PAYER),
            id: key.nonce,
            amount: Amount(amount),
            cumulative: Amount(amount),
        };
        self.meter(id, charge);
    }

    fn defer(&mut self, channel: u8) {
        let line = self.line(channel);
        let known = line.units.iter().rposition(Option::is_some);
        let total = known.map_or(0, |last| last + 1);
        line.deferred = line.deferred.max(total);
        let deferred = DeferredClaim {
            channel: word(channel.into()),
            amount: Amount((total as u128).saturating_sub(line.claimed)),
            total: Amount(total as u128),
        };
        self.keep(Event::ClaimsDeferred(Box::new(ClaimsDeferred {
            chain_id: CHAIN,
            channels: vec![deferred],
        })));
    }

    fn pay_back(&mut self, channel: u8, amount: u128, is_refund: bool) {
        let line = self.line(channel);
        let amount = amount.min(line.balance - line.claimed);
        if amount == 0 {
            return;
        }
        line.balance -= amount;
        let logged = self.log(amount);
        let back = PaidBack {
            logged: logged.clone(),
            is_refund,
        };
        self.line(channel).paid_back.push(back);
        if is_refund {
            self.keep(Event::Refunded(Box::new(ChannelRefunded {
                tx: logged.tx,
                key: key(channel),
                amount: Amount(amount),
                block: logged.place.0,
                block_hash: Word::default(),
            })));
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Call(channel, amount) => self.call(channel, amount, false),
            Step::LostCall(channel, amount) => self.call(channel, amount, true),
            Step::Claim(channel) => self.claim(channel, true),
            Step::ClaimInSecret(channel) => self.claim(channel, false),
            Step::Settle => self.settle(true),
            Step::SettleByOther => self.settle(false),
            Step::Release(amount) => self.release(amount, true),
            Step::PhantomRelease(amount) => self.release(amount, false),
            Step::Exact(amount) => self.exact(amount, true),
            Step::ExactUnpaid(amount) => self.exact(amount, false),
            Step::Foreign(amount) => self.claimed_by_all += amount,
            Step::Gift(amount) => {
                let log = self.log(amount);
                self.arrive(GIVER, &log);
            }
            Step::Defer(channel) => self.defer(channel),
            Step::Withdraw(channel, amount) => self.pay_back(channel, amount, false),
            Step::Refund(channel, amount) => self.pay_back(channel, amount, true),
            Step::PhantomClaim(channel) => {
                let total = self.line(channel).units.len() as u128;
                if total > 0 {
                    let log = self.log(1);
                    self.note_claim(channel, &log, total);
                    self.planted.push((FindingKind::ClaimMissing, 1));
                }
            }
            Step::PhantomSettlement(amount) => {
                let log = self.log(amount);
                self.note_settlement(&log);
                self.planted.push((FindingKind::SettlementMissing, amount));
            }
        }
    }

    fn seen(&mut self) -> &ChainEvidence {
        self.evidence.view = ReceiverView {
            claimed: Amount(self.claimed_by_all),
            settled: Amount(self.settled),
            released: Amount(self.released),
            held: Amount(self.held),
            block: self.place,
            block_hash: Word::default(),
        };
        for (channel, line) in &self.lines {
            let seen = ChannelEvidence {
                view: ChannelView {
                    balance: Amount(line.balance),
                    claimed: Amount(line.claimed),
                    ..ChannelView::default()
                },
                claims: line.claims.clone(),
                paid_back: line.paid_back.clone(),
                refused: None,
            };
            self.evidence.channels.insert(word((*channel).into()), seen);
        }
        &self.evidence
    }

    /// What is lost of each call: unit by unit, and not as the audit counts.
    fn lost(&self) -> BTreeMap<String, u128> {
        let mut lost = self.unpaid.clone();
        for line in self.lines.values() {
            let reach = line.claimed.max(line.balance) as usize;
            let reach = reach.max(line.deferred);
            for owner in line.units.iter().skip(reach).flatten() {
                *lost.entry(owner.clone()).or_default() += 1;
            }
        }
        lost
    }

    /// What of each call was deferred and then taken back, unit by unit.
    fn written_off(&self) -> BTreeMap<String, u128> {
        let mut written_off = BTreeMap::new();
        for line in self.lines.values() {
            let reach = line.claimed.max(line.balance) as usize;
            for owner in line.units[..line.deferred].iter().skip(reach).flatten() {
                *written_off.entry(owner.clone()).or_default() += 1;
            }
        }
        written_off
    }

    /// Gaps of calls that the journal lost, each before the call that shows it, and claims of units
    /// after the last call that it has.
    fn add_gaps(&mut self) {
        for line in self.lines.values() {
            let (mut gap, mut known) = (0, 0);
            for (at, owner) in line.units.iter().enumerate() {
                match owner {
                    None => gap += 1,
                    Some(_) => {
                        if gap > 0 {
                            self.planted.push((FindingKind::ChargeGap, gap));
                        }
                        (gap, known) = (0, at + 1);
                    }
                }
            }
            if line.claimed > known as u128 {
                let more = line.claimed - known as u128;
                self.planted.push((FindingKind::ClaimedAboveCharged, more));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, ..ProptestConfig::default() })]

    #[test]
    fn an_audit_finds_exactly_what_went_wrong(steps in steps()) {
        let mut world = World::new();
        for step in steps {
            world.step(step);
        }
        world.add_gaps();
        let lost = world.lost();
        let trail = world.trail.clone();
        let audit = reconcile(&trail, world.seen());

        let sums = |counts: fn(&AuditFinding) -> bool| {
            let mut found: BTreeMap<String, u128> = BTreeMap::new();
            let losses = audit.findings.iter().filter(|it| counts(it));
            for call in losses.flat_map(|it| &it.calls) {
                *found.entry(call.request_id.clone()).or_default() += call.amount.0;
            }
            found
        };
        prop_assert_eq!(&sums(|it| it.severity() == Severity::Loss), &lost);
        let written_off = world.written_off();
        prop_assert_eq!(&sums(|it| it.kind == FindingKind::WrittenOff), &written_off);
        for finding in &audit.findings {
            if finding.kind == FindingKind::Uncollectable {
                let fits = matches!(finding.cause, Some(LossCause::Withdrawn | LossCause::Refunded));
                prop_assert!(fits, "{:?}", finding);
            }
        }
        let differing = audit.findings.iter().filter(|it| it.severity() == Severity::Difference);
        let mut differing: Vec<_> = differing
            .map(|it| (it.kind, it.expected.0.abs_diff(it.found.0)))
            .collect();
        differing.sort_unstable();
        world.planted.sort_unstable();
        prop_assert_eq!(&differing, &world.planted);
        prop_assert_eq!(audit.holds(), lost.is_empty() && world.planted.is_empty(), "{:#?}", audit);

        // Sums of the chain are explained to the unit, whatever the journal says.
        let it = &audit.figures;
        if world.planted.is_empty() {
            prop_assert_eq!(it.written_off.0, written_off.values().sum::<u128>());
        }
        prop_assert_eq!(it.received.0, world.held + world.released);
        prop_assert_eq!(
            it.received.0,
            it.settled.0 + it.from_exact.0 + it.from_others.0
        );
        prop_assert_eq!(
            it.claimed_by_all.0,
            it.claimed.0 + it.claimed_by_others().0
        );
        let broken: BTreeSet<&str> = audit.checks.iter().filter(|it| !it.holds()).map(|it| it.name).collect();
        for name in ["settled = from the escrow", "received = held + released", "received = settled + exact + others"] {
            prop_assert!(!broken.contains(name), "{}", name);
        }
    }

    /// Income is never more than what calls cost, whoever else is paid at the same receiver.
    #[test]
    fn others_money_is_never_income(steps in steps()) {
        let mut world = World::new();
        let honest = |step: &Step| {
            !matches!(
                step,
                Step::PhantomClaim(_) | Step::PhantomSettlement(_) | Step::LostCall(..)
            )
        };
        for step in steps.into_iter().filter(honest) {
            world.step(step);
            let sums = world.earnings.sums(receiver(), DayRange::ALL);
            prop_assert!(sums.settled <= sums.claimed, "{:?}", sums);
            prop_assert!(sums.claimed <= sums.charged, "{:?}", sums);
        }
    }
}

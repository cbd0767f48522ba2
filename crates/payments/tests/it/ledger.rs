//! Any order of deposits, charges, claims, settlements, releases, refunds, withdrawals and
//! restarts: no unit appears and none is lost, by the ledger beside a model of the chain.

use std::collections::BTreeMap;

use openlora_core::{Address, Amount, Word};
use openlora_ledger::{
    CallCharge, CallWork, ChannelKey, ChannelTerms, ChannelView, CheckedPayment, Ledger,
    PaymentScheme, PriceList, ReceiverKey, ReceiverView,
    event::{
        CallKind, ChannelObserved, ChannelOpened, Event, FinishReason, ReceiverObserved, TokenUsage,
    },
};
use openlora_payments::settlement::select;
use proptest::prelude::*;

const CHAIN: u64 = 31_337;
const PURSE: u128 = 1_000_000;
const CHANNELS: u8 = 3;
/// Parts per million of the two recipients.
const SHARES: [u128; 2] = [700_000, 300_000];

fn address(last: u8) -> Address {
    let mut bytes = [0; 20];
    bytes[19] = last;
    Address(bytes)
}

fn config(channel: u8) -> ChannelTerms {
    ChannelTerms {
        payer: address(1),
        payer_authorizer: address(1),
        receiver: address(2),
        receiver_authorizer: address(3),
        token: address(4),
        withdraw_delay: 900,
        salt: word(channel),
    }
}

fn word(number: u8) -> Word {
    Word([number; 32])
}

fn key(channel: u8) -> ChannelKey {
    ChannelKey {
        chain_id: CHAIN,
        channel: word(channel),
    }
}

fn receiver() -> ReceiverKey {
    ReceiverKey {
        chain_id: CHAIN,
        receiver: address(2),
        token: address(4),
    }
}

/// What the contracts hold.
#[derive(Clone, Debug, Default)]
struct Contracts {
    payer: u128,
    /// Balance and claimed.
    channels: BTreeMap<u8, (u128, u128)>,
    claimed: u128,
    settled: u128,
    held: u128,
    released: [u128; 2],
}

impl Contracts {
    fn all(&self) -> u128 {
        let in_channels: u128 = self.channels.values().map(|(b, c)| b - c).sum();
        let in_escrow = in_channels + (self.claimed - self.settled);
        self.payer + in_escrow + self.held + self.released.iter().sum::<u128>()
    }

    fn pending(&self, share: usize) -> u128 {
        let received = self.held + self.released.iter().sum::<u128>();
        received * SHARES[share] / 1_000_000 - self.released[share]
    }
}

/// The seller, the chain, and every fact so far.
struct World {
    book: Ledger,
    facts: Vec<Event>,
    chain: Contracts,
    calls: u64,
    /// The chain before each block, for reorganisations.
    past: Vec<Contracts>,
}

#[derive(Clone, Debug)]
enum Step {
    Deposit(u8, u128),
    Charge(u8, u128),
    /// A call that was allowed for and not paid: the server died before the end.
    Reserve(u8, u128),
    Claim,
    Settle,
    Release(usize),
    Refund(u8, u128),
    /// By the payer, of what is unclaimed, without our doing.
    Withdraw(u8, u128),
    Reorganise(usize),
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (channel, amount) = (0..CHANNELS, 1..5_000_u128);
    let step = prop_oneof![
        3 => (channel.clone(), amount.clone()).prop_map(|(c, a)| Step::Deposit(c, a)),
        8 => (channel.clone(), amount.clone()).prop_map(|(c, a)| Step::Charge(c, a)),
        1 => (channel.clone(), amount.clone()).prop_map(|(c, a)| Step::Reserve(c, a)),
        3 => Just(Step::Claim),
        3 => Just(Step::Settle),
        3 => (0..2_usize).prop_map(Step::Release),
        1 => (channel.clone(), amount.clone()).prop_map(|(c, a)| Step::Refund(c, a)),
        1 => (channel, amount).prop_map(|(c, a)| Step::Withdraw(c, a)),
        1 => (1..4_usize).prop_map(Step::Reorganise),
        1 => Just(Step::Restart),
    ];
    proptest::collection::vec(step, 1..120)
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            book: Ledger::default(),
            facts: Vec::new(),
            chain: Contracts {
                payer: PURSE,
                ..Contracts::default()
            },
            calls: 0,
            past: Vec::new(),
        };
        for channel in 0..CHANNELS {
            world.chain.channels.insert(channel, (0, 0));
            let opened = ChannelOpened {
                key: key(channel),
                config: config(channel),
            };
            world.keep(Event::ChannelOpened(Box::new(opened)));
        }
        world
    }

    fn keep(&mut self, event: Event) {
        self.book.apply(&event);
        self.facts.push(event);
    }

    fn change(&mut self, change: impl FnOnce(&mut Contracts)) {
        self.past.push(self.chain.clone());
        change(&mut self.chain);
        self.observe();
    }

    fn observe(&mut self) {
        for (channel, (balance, claimed)) in self.chain.channels.clone() {
            let view = ChannelView {
                balance: Amount(balance),
                claimed: Amount(claimed),
                ..ChannelView::default()
            };
            let key = key(channel);
            self.keep(Event::ChannelObserved(Box::new(ChannelObserved {
                key,
                view,
            })));
        }
        let view = ReceiverView {
            claimed: Amount(self.chain.claimed),
            settled: Amount(self.chain.settled),
            released: Amount(self.chain.released.iter().sum()),
            held: Amount(self.chain.held),
            ..ReceiverView::default()
        };
        let key = receiver();
        self.keep(Event::ReceiverObserved(Box::new(ReceiverObserved {
            key,
            view,
        })));
    }

    fn charged(&self, channel: u8) -> u128 {
        self.book.channels[&key(channel)].charged.amount().0
    }

    /// A call as the till allows it: never beyond what the chain holds.
    fn call(&mut self, channel: u8, amount: u128, ends: bool) {
        let before = self.charged(channel);
        if before + amount > self.chain.channels[&channel].0 {
            return;
        }
        self.calls += 1;
        let request_id = format!("call-{}", self.calls);
        let prices = PriceList {
            completion: Amount(amount),
            ..PriceList::default()
        };
        let payment = CheckedPayment {
            scheme: PaymentScheme::BatchSettlement,
            chain_id: CHAIN,
            token: address(4),
            receiver: address(2),
            payer: address(1),
            id: word(channel),
            before: Amount(before),
            quote: Amount(amount),
            signature: "0x01".into(),
            prices,
            work: CallWork::Tokens {
                prompt: 0,
                completion: 1_000,
            },
            collected: false,
            party: None,
        };
        let usage = TokenUsage {
            prompt_tokens: 0,
            completion_tokens: if ends { 1_000 } else { 0 },
        };
        let finish = if ends {
            FinishReason::Stop
        } else {
            FinishReason::Recovered
        };
        let charge: CallCharge = payment.charge(usage, finish);
        let (name, digest) = ("tone".to_owned(), "00".to_owned());
        self.keep(Event::CallReserved {
            request_id: request_id.clone(),
            session: "one".into(),
            adapter: name.clone(),
            adapter_digest: digest.clone(),
            kind: CallKind::Chat,
            prompt_tokens: 0,
            request_hash: digest.clone(),
            payment: Some(Box::new(payment)),
        });
        self.keep(Event::CallMetered {
            request_id,
            adapter: name,
            adapter_digest: digest.clone(),
            kind: CallKind::Chat,
            usage,
            finish,
            milliseconds: 1,
            first_token_milliseconds: None,
            request_hash: digest.clone(),
            response_hash: digest,
            charge: Some(Box::new(charge)),
            computation: None,
        });
    }

    /// Exactly what the treasurer would claim.
    fn claim(&mut self) {
        let views = self.book.channels.iter();
        let views = views.filter_map(|(key, it)| Some((key.channel, it.view.clone()?)));
        let (rows, _) = select(&self.book, CHAIN, &[address(3)], &views.collect());
        self.change(|chain| {
            for row in rows {
                let channel = row.channel.0[0];
                let (balance, claimed) = chain.channels[&channel];
                let total = row.total.0;
                assert!(total <= balance && total > claimed && row.amount.0 == total - claimed);
                chain.channels.insert(channel, (balance, total));
                chain.claimed += total - claimed;
            }
        });
    }

    fn settle(&mut self) {
        self.change(|chain| {
            chain.held += chain.claimed - chain.settled;
            chain.settled = chain.claimed;
        });
    }

    fn release(&mut self, share: usize) {
        self.change(|chain| {
            let due = chain.pending(share);
            chain.held -= due;
            chain.released[share] += due;
        });
    }

    /// Unclaimed money of a channel, back to its payer.
    fn pay_back(&mut self, channel: u8, amount: u128) {
        self.change(|chain| {
            let (balance, claimed) = chain.channels[&channel];
            let amount = amount.min(balance - claimed);
            chain.channels.insert(channel, (balance - amount, claimed));
            chain.payer += amount;
        });
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Deposit(channel, amount) => self.change(|chain| {
                let amount = amount.min(chain.payer);
                chain.payer -= amount;
                chain
                    .channels
                    .entry(channel)
                    .and_modify(|it| it.0 += amount);
            }),
            Step::Charge(channel, amount) => self.call(channel, amount, true),
            Step::Reserve(channel, amount) => self.call(channel, amount, false),
            Step::Claim => self.claim(),
            Step::Settle => self.settle(),
            Step::Release(share) => self.release(share),
            // Everything charged is claimed in the same transaction.
            Step::Refund(channel, amount) => {
                self.claim();
                self.pay_back(channel, amount);
            }
            // At once when one starts, everything is claimed; then the delay passes.
            Step::Withdraw(channel, amount) => {
                self.claim();
                self.pay_back(channel, amount);
            }
            Step::Reorganise(blocks) => {
                let kept = self.past.len().saturating_sub(blocks);
                if let Some(then) = self.past.get(kept).cloned() {
                    self.past.truncate(kept);
                    self.chain = then;
                    self.observe();
                }
            }
            Step::Restart => {
                // From the journal's own bytes, event by event.
                let mut book = Ledger::default();
                for fact in &self.facts {
                    let text = serde_json::to_string(fact).unwrap();
                    book.apply(&serde_json::from_str(&text).unwrap());
                }
                assert_eq!(book, self.book);
                let stored = serde_json::to_string(&book).unwrap();
                self.book = serde_json::from_str(&stored).unwrap();
            }
        }
    }

    fn check(&self) {
        assert_eq!(self.chain.all(), PURSE, "units appeared or were lost");
        assert_eq!(self.book.breaches, Vec::<String>::new());
        for channel in self.book.channels.values() {
            let view = channel.view.as_ref();
            let claimed = view.map_or(Amount::ZERO, |view| view.claimed);
            assert!(channel.authorised.amount() >= channel.charged.amount());
            assert!(channel.charged.amount() >= claimed);
        }
        assert!(self.chain.claimed >= self.chain.settled);
        let paid: u128 = self.chain.released.iter().sum();
        assert_eq!(self.chain.settled, self.chain.held + paid);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn any_interleaving_conserves_every_unit(steps in steps()) {
        let mut world = World::new();
        for step in steps {
            world.step(step);
            world.check();
        }
        // In the end the recipients have what calls cost, as far as the chain still holds it.
        world.claim();
        world.settle();
        let owed: u128 = (0..CHANNELS)
            .map(|channel| {
                let (_, claimed) = world.chain.channels[&channel];
                assert!(claimed <= world.charged(channel));
                claimed
            })
            .sum();
        prop_assert_eq!(world.chain.settled, owed);
        world.release(0);
        world.release(1);
        // What rounding leaves stays in the splitter: less than a unit for each recipient.
        prop_assert!(world.chain.held < 2);
        world.check();
    }

    /// Without reorganisations nothing that was charged is ever beyond reach.
    #[test]
    fn everything_charged_arrives(steps in steps()) {
        let mut world = World::new();
        let undone = |step: &Step| matches!(step, Step::Reorganise(_));
        for step in steps.into_iter().filter(|step| !undone(step)) {
            world.step(step);
        }
        world.claim();
        world.settle();
        let charged: u128 = (0..CHANNELS).map(|channel| world.charged(channel)).sum();
        prop_assert_eq!(world.chain.settled, charged);
    }
}

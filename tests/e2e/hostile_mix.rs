//! Random mixes of honest and hostile payers, servers and contributors, and of crashes, against
//! tills, desks and journals on a chain. Whatever happens, every unit is where the rules put it:
//! payers have paid for their own calls alone, strangers got nothing, the seller has everything,
//! contributors are allotted no more than was collected, and audits are exact.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use alloy::{
    primitives::{Bytes, U256, hex, keccak256},
    sol_types::{SolCall, SolValue},
};
use openlora_chain::registry::BatchSettlementEscrow as Escrow;
use openlora_contracts::{COLLECTOR, ESCROW};
use openlora_core::{Address, Amount};
use openlora_journal::Journal;
use openlora_ledger::{
    CallCharge, ChainFacts, ChannelTerms, ChannelView, PaymentScheme, PoolAllotment, ReceiverKey,
    StatedContributions, divide,
    event::{
        AttributionMethod, CallAttributed, ContributorShare, Event, EventRecord, FinishReason,
        RefundCharged, SplitMember, SplitPart, SplitRead, TokenUsage,
    },
    findings::{FindingKind, LedgerAudit, Severity},
    publication::event_id,
    reconcile::{ChainEvidence, reconcile},
};
use openlora_payments::{
    rewards::allot,
    settlement::{ChainSettlement, ChainSettler, TransferPermit, audit, receivers_of},
    x402::{
        ContractPayers, Reason, SponsorRules,
        digest::deposit_nonce,
        wire::{TransferAuthorization, VoucherAction},
    },
};
use openlora_ports::{OfferedCall, PaymentDemand, PaymentGateway, PaymentGuard};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use serde_json::{Value, json};

use crate::{
    keys::{OWN, OWN_KEY, account},
    memory_journal::memory_journal,
    settlement_support::{
        Buyer, CHAIN_ID, Market, OWN_PPM, channel_id, channel_key, send, send_from,
    },
    x402_cashier::{asked, extended, fee_of},
    x402_support::{
        OTHER_DIGEST, RULES, Stand, batch, deposit_deed, exact, number, refusal, sale, signed,
        submission, token_domain,
    },
};

/// Chains, side by side: a run waits for its chain most of the time.
const LANES: u32 = 4;
const RUNS: u32 = 1_000;
/// How often each kind of deed happens at least, over all runs.
const OFTEN: u32 = 20;

/// The account of a second server of the same adapter.
const OTHER_KEY: &str = "0x2222222222222222222222222222222222222222222222222222222222222222";
const FUNDS: u128 = 10_000_000;
const REFUND_FEE: u128 = 40;
/// Two who are honest, a contributor who pays for calls of its own data, and a contract.
const PARTIES: usize = 4;
const WASHER: usize = 2;
const CONTRACT: usize = 3;
const HONEST_DATA: Address = Address([0xa1; 20]);
const HOSTILE_DATA: Address = Address([0xa2; 20]);

/// How far a call gets that is begun and left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Opened,
    Secured,
    /// In the journal alone: nobody waits for the rest.
    Written,
    Reserved,
}

/// What a stranger makes of a payment that is public.
#[derive(Clone, Copy, Debug)]
enum Theft {
    /// For another request that costs what is left of it.
    Rest,
    /// For another request of the same price.
    Same,
    Forged,
    OtherAdapter,
    OtherServer,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    /// A call from the payer's channel, with a deposit where that is needed.
    Call {
        who: usize,
        quote: u128,
        tokens: u64,
    },
    Exact {
        who: usize,
        quote: u128,
        tokens: u64,
    },
    Begin {
        who: usize,
        quote: u128,
        exact: bool,
        stage: Stage,
    },
    /// A stream is hung up on right after its reservation, before it begins.
    HangUp {
        who: usize,
        quote: u128,
        exact: bool,
    },
    End {
        pick: usize,
        tokens: u64,
    },
    /// The same request once more, with the same payment.
    Again {
        pick: usize,
        tokens: u64,
    },
    Steal {
        pick: usize,
        theft: Theft,
    },
    /// One authorization at both servers.
    Twice {
        who: usize,
        quote: u128,
        ours_first: bool,
    },
    /// A stranger submits an authorization before the server does.
    Overtake {
        who: usize,
        quote: u128,
        late: bool,
    },
    /// The payer's refund, of everything or a part, and the same once more by a stranger. `cut`:
    /// the server dies between writing its fee down and making it, and is asked again.
    Refund {
        who: usize,
        part: Option<u128>,
        cut: bool,
    },
    /// A stranger has a channel refunded by a voucher that paid.
    Expel {
        who: usize,
    },
    /// A withdrawal begins, or what began ends.
    Leave {
        who: usize,
        tokens: u64,
    },
    /// The server dies, having delivered so much of the calls that run.
    Crash {
        tokens: u64,
    },
    Round,
    /// A stranger has the escrow send what is claimed.
    Settle,
    /// Attributions of calls that nobody paid, all for hostile data.
    Invent,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let who = || 0..PARTIES;
    let quote = || 10..900_u128;
    let tokens = || prop_oneof![1 => Just(0_u64), 2 => Just(1_000), 3 => 100..1_000_u64];
    let pick = || 0..1_000_usize;
    let stage = prop_oneof![
        1 => Just(Stage::Opened), 1 => Just(Stage::Secured), 3 => Just(Stage::Reserved)
    ];
    let theft = prop_oneof![
        4 => Just(Theft::Rest), 2 => Just(Theft::Same), 1 => Just(Theft::Forged),
        1 => Just(Theft::OtherAdapter), 1 => Just(Theft::OtherServer)
    ];
    let step = prop_oneof![
        6 => (who(), quote(), tokens())
            .prop_map(|(who, quote, tokens)| Step::Call { who, quote, tokens }),
        2 => (who(), quote(), tokens())
            .prop_map(|(who, quote, tokens)| Step::Exact { who, quote, tokens }),
        3 => (who(), quote(), prop::bool::weighted(0.3), stage)
            .prop_map(|(who, quote, exact, stage)| Step::Begin { who, quote, exact, stage }),
        2 => (who(), quote(), prop::bool::weighted(0.3))
            .prop_map(|(who, quote, exact)| Step::HangUp { who, quote, exact }),
        2 => (pick(), tokens()).prop_map(|(pick, tokens)| Step::End { pick, tokens }),
        2 => (pick(), tokens()).prop_map(|(pick, tokens)| Step::Again { pick, tokens }),
        5 => (pick(), theft).prop_map(|(pick, theft)| Step::Steal { pick, theft }),
        1 => (who(), quote(), any::<bool>())
            .prop_map(|(who, quote, ours_first)| Step::Twice { who, quote, ours_first }),
        1 => (who(), quote(), any::<bool>())
            .prop_map(|(who, quote, late)| Step::Overtake { who, quote, late }),
        2 => (who(), prop::option::of(1..2_000_u128), prop::bool::weighted(0.4))
            .prop_map(|(who, part, cut)| Step::Refund { who, part, cut }),
        2 => who().prop_map(|who| Step::Expel { who }),
        3 => (who(), tokens()).prop_map(|(who, tokens)| Step::Leave { who, tokens }),
        1 => tokens().prop_map(|tokens| Step::Crash { tokens }),
        1 => Just(Step::Round),
        1 => Just(Step::Settle),
        1 => Just(Step::Invent),
    ];
    prop::collection::vec(step, 8..24)
}

/// A payer, and the channel that it uses.
struct Party {
    buyer: Buyer,
    config: ChannelTerms,
}

impl Party {
    fn account(&self) -> Address {
        self.config.payer
    }
}

/// A chain with everybody's money, to which each run returns.
struct Scene {
    market: Arc<Market>,
    parties: Vec<Party>,
    stranger: Buyer,
    snapshot: Mutex<Value>,
    happened: Mutex<BTreeMap<&'static str, u32>>,
}

impl Scene {
    fn new() -> Self {
        let market = Arc::new(Market::embedded());
        let other = account(OTHER_KEY).address().to_string();
        let rich = json!([other, "0x8ac7230489e80000"]);
        market.rpc.ok("anvil_setBalance", rich);
        let party = |index: usize| {
            let is_contract = index == CONTRACT;
            let buyer = market.buyer(index as u64, if is_contract { 0 } else { FUNDS });
            let config = buyer.config(1);
            let config = match is_contract {
                false => config,
                true => ChannelTerms {
                    payer: wallet(&market, &buyer),
                    payer_authorizer: Address::ZERO,
                    ..config
                },
            };
            let payer = config.payer.to_string();
            let rich = json!([payer, "0x8ac7230489e80000"]);
            market.rpc.ok("anvil_setBalance", rich);
            market.rpc.ok("anvil_impersonateAccount", json!([payer]));
            Party { buyer, config }
        };
        let parties = (0..PARTIES).map(party).collect();
        let stranger = market.buyer(99, 0);
        let snapshot = Mutex::new(market.rpc.ok("evm_snapshot", json!([])));
        Self {
            market,
            parties,
            stranger,
            snapshot,
            happened: Mutex::default(),
        }
    }

    fn returns(&self) {
        let rpc = &self.market.rpc;
        let mut snapshot = self.snapshot.lock().unwrap();
        assert_eq!(rpc.ok("evm_revert", json!([*snapshot])), true);
        *snapshot = rpc.ok("evm_snapshot", json!([]));
    }

    fn happens(&self, what: &'static str) {
        *self.happened.lock().unwrap().entry(what).or_default() += 1;
    }
}

/// A contract with money, which its owner signs for.
fn wallet(market: &Market, owner: &Buyer) -> Address {
    let arguments = owner.signer.address().abi_encode();
    let wallet = Stand::create(&market.rpc, "Wallet", &arguments);
    let to: alloy::primitives::Address = wallet.into();
    let mint = keccak256("mint(address,uint256)")[..4].to_vec();
    let data = [mint, (to, U256::from(FUNDS)).abi_encode_params()].concat();
    send(&market.rpc, market.token, &data.into());
    wallet
}

/// A payer's own request, and what became of it.
struct Asked {
    who: usize,
    sale: OfferedCall,
    payload: Value,
    transfer: Option<TransferPermit>,
    /// The total of its voucher, and that of the channel before.
    max: u128,
    before: u128,
    /// Whether anybody but payer and server can know the payment.
    public: bool,
    /// Paid, and not answered.
    owed: bool,
    charges: Vec<u128>,
    attempts: u32,
}

impl Asked {
    fn charged(&self) -> u128 {
        self.charges.iter().sum()
    }
}

struct Running {
    at: usize,
    sale: OfferedCall,
    tab: Box<dyn PaymentGuard>,
}

/// One run.
struct Play<'a> {
    scene: &'a Scene,
    journal: Journal,
    one: Stand,
    two: Stand,
    asked: Vec<Asked>,
    running: Vec<Running>,
    /// By the payers' own count: charged from channels, of it for refunds, and moved by own
    /// authorizations.
    charged: [u128; PARTIES],
    refund_fees: [u128; PARTIES],
    /// Whose channel paid a fee, and its total after it.
    fee_totals: Vec<(usize, u128)>,
    /// The refund that a fee was last taken for.
    paid_nonce: [Option<u64>; PARTIES],
    moved: [u128; PARTIES],
    /// Totals that a request has had.
    used: [BTreeSet<u128>; PARTIES],
    leaving: [bool; PARTIES],
    /// Calls that got as far as to run.
    reserved: usize,
    count: u64,
}

fn rules() -> SponsorRules {
    SponsorRules {
        contract_payers: ContractPayers::Settle,
        ..RULES
    }
}

/// A server over what its journal has.
fn stand(market: &Arc<Market>, owner: (&str, Journal)) -> Stand {
    Stand::over(market, owner, rules()).charging_by(rules(), Amount(REFUND_FEE))
}

impl<'a> Play<'a> {
    fn new(scene: &'a Scene) -> Self {
        let journal = memory_journal();
        let others = memory_journal();
        Self {
            one: stand(&scene.market, (OWN_KEY, journal.clone())),
            two: stand(&scene.market, (OTHER_KEY, others)),
            scene,
            journal,
            asked: Vec::new(),
            running: Vec::new(),
            charged: [0; PARTIES],
            refund_fees: [0; PARTIES],
            fee_totals: Vec::new(),
            paid_nonce: [None; PARTIES],
            moved: [0; PARTIES],
            used: Default::default(),
            leaving: [false; PARTIES],
            reserved: 0,
            count: 0,
        }
    }

    fn party(&self, who: usize) -> &'a Party {
        &self.scene.parties[who]
    }

    fn next(&mut self) -> u64 {
        self.count += 1;
        self.count
    }

    fn is_busy(&self, who: usize) -> bool {
        self.running.iter().any(|it| {
            let asked = &self.asked[it.at];
            asked.who == who && asked.transfer.is_none()
        })
    }

    fn view(&self, who: usize) -> ChannelView {
        let channel = channel_id(&self.party(who).config);
        self.one
            .wait(self.one.seller.desk.channel(channel))
            .unwrap()
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Call { who, quote, tokens } => {
                if let Some(at) = self.asks(who, quote, false) {
                    self.runs(at, tokens);
                }
            }
            Step::Exact { who, quote, tokens } => {
                if let Some(at) = self.asks(who, quote, true) {
                    self.runs(at, tokens);
                }
            }
            Step::Begin {
                who,
                quote,
                exact,
                stage,
            } => {
                if let Some(at) = self.asks(who, quote, exact) {
                    self.begins(at, stage);
                }
            }
            Step::HangUp { who, quote, exact } => {
                if let Some(at) = self.asks(who, quote, exact) {
                    self.hangs_up(at);
                }
            }
            Step::End { pick, tokens } => {
                if !self.running.is_empty() {
                    let running = self.running.swap_remove(pick % self.running.len());
                    self.ends(running, tokens);
                }
            }
            Step::Again { pick, tokens } => self.again(pick, tokens),
            Step::Steal { pick, theft } => self.steal(pick, theft),
            Step::Twice {
                who,
                quote,
                ours_first,
            } => self.twice(who, quote, ours_first),
            Step::Overtake { who, quote, late } => self.overtake(who, quote, late),
            Step::Refund { who, part, cut } => self.refund(who, part, cut),
            Step::Expel { who } => self.expel(who),
            Step::Leave { who, tokens } => self.leave(who, tokens),
            Step::Crash { tokens } => self.crash(tokens),
            Step::Round => self.round(),
            Step::Settle => self.settle(),
            Step::Invent => self.invent(),
        }
    }

    /// A new request of a payer that pays as its client would; nothing where that cannot be now.
    fn asks(&mut self, who: usize, quote: u128, by_transfer: bool) -> Option<usize> {
        let party = self.party(who);
        let sale = sale(quote);
        let mut asked = Asked {
            who,
            sale,
            payload: Value::Null,
            transfer: None,
            max: quote,
            before: 0,
            public: false,
            owed: false,
            charges: Vec::new(),
            attempts: 0,
        };
        if by_transfer {
            if who == CONTRACT {
                return None;
            }
            let transfer = party.buyer.transfer(quote, self.next());
            asked.payload = exact(&transfer);
            asked.transfer = Some(transfer);
        } else {
            if self.is_busy(who) {
                return None;
            }
            asked.before = self.charged[who];
            let totals = asked.before + quote..;
            asked.max = totals.take(17).find(|it| !self.used[who].contains(it))?;
            asked.payload = self.vouches(who, asked.max, quote);
        }
        self.asked.push(asked);
        Some(self.asked.len() - 1)
    }

    /// A voucher, with a deposit where the channel does not cover it.
    fn vouches(&mut self, who: usize, max: u128, quote: u128) -> Value {
        let party = self.party(who);
        let (buyer, config) = (&party.buyer, &party.config);
        let signature = buyer.voucher(config, max);
        let held = self.view(who).balance.0;
        if held >= max {
            return batch(config, max, signature, VoucherAction::Voucher);
        }
        self.scene.happens("deposit");
        let amount = (max - held).max(quote).max(1_000) + 1_500;
        let salt = self.next();
        let mut deposit = buyer.deposit(config, amount, salt);
        if who == CONTRACT {
            let said = TransferAuthorization {
                from: config.payer,
                to: COLLECTOR.into(),
                value: Amount(amount),
                valid_after: deposit.valid_after,
                valid_before: deposit.valid_before,
                nonce: deposit_nonce(channel_id(config), number(salt)),
            };
            let domain = token_domain(self.scene.market.token);
            deposit.signature = signed(buyer, domain.receive(&said));
        }
        batch(config, max, signature, deposit_deed(deposit))
    }

    /// Another attempt at a request, as far as to `stage`.
    fn opens(&mut self, at: usize, stage: Stage) -> Result<Running, PaymentDemand> {
        let asked = &mut self.asked[at];
        asked.attempts += 1;
        let sale = OfferedCall {
            request_id: format!("{}-{}", asked.sale.request_id, asked.attempts),
            ..asked.sale.clone()
        };
        let header = self.one.header(&asked.sale, &asked.payload);
        let (stand, asked) = (&self.one, &mut self.asked[at]);
        let opening = async {
            let mut tab = stand.till.open(&sale, &header).await?;
            if stage != Stage::Opened {
                tab.commit().await?;
            }
            if matches!(stage, Stage::Written | Stage::Reserved) {
                stand.reserve(&sale, &*tab).await;
            }
            // What a contract pays is claimed whoever waits.
            if stage == Stage::Reserved || stage == Stage::Written && tab.payment().collected {
                tab.reserved().await?;
            }
            Ok::<_, PaymentDemand>(tab)
        };
        let tab = stand.wait(opening)?;
        let who = asked.who;
        if asked.transfer.is_none() {
            asked.before = self.charged[who];
        }
        if stage != Stage::Opened && asked.transfer.is_some() && !asked.owed {
            (asked.owed, asked.public) = (true, true);
            self.moved[who] += asked.max;
        }
        if matches!(stage, Stage::Written | Stage::Reserved) {
            self.reserved += 1;
            asked.public = true;
            if asked.transfer.is_none() {
                self.used[who].insert(asked.max);
            }
        }
        Ok(Running { at, sale, tab })
    }

    /// What an honest payer asks for is served, unless the payer is about to leave.
    fn begins(&mut self, at: usize, stage: Stage) {
        let asked = &self.asked[at];
        let is_refused = asked.transfer.is_none() && self.leaving[asked.who];
        match self.opens(at, stage) {
            Ok(running) => {
                assert!(!is_refused, "a payer who leaves is served");
                match stage {
                    // The server that had it forgets it.
                    Stage::Opened | Stage::Secured => {
                        self.scene.happens("cut off");
                        drop(running);
                    }
                    Stage::Written | Stage::Reserved => {
                        self.scene.happens("left running");
                        self.running.push(running);
                    }
                }
            }
            Err(unpaid) => self.leaves_out(is_refused, unpaid),
        }
    }

    /// Nothing is computed and nothing charged, in the journal as in the ledger.
    fn hangs_up(&mut self, at: usize) {
        let asked = &self.asked[at];
        let is_refused = asked.transfer.is_none() && self.leaving[asked.who];
        match self.opens(at, Stage::Written) {
            Ok(running) => {
                assert!(!is_refused, "a payer who leaves is served");
                self.scene.happens("hung up on");
                self.ends(running, 0);
            }
            Err(unpaid) => self.leaves_out(is_refused, unpaid),
        }
        self.total_is_one(self.asked[at].who);
    }

    /// What a payer is told of its channel is what the ledger has, and what it counts itself.
    fn total_is_one(&self, who: usize) {
        let key = channel_key(channel_id(&self.party(who).config));
        let ledger = self.one.seller.ledger.ledger();
        let charged = ledger.channels.get(&key).map(|it| it.charged.amount().0);
        assert_eq!(charged.unwrap_or_default(), self.charged[who]);
    }

    fn leaves_out(&self, is_refused: bool, unpaid: PaymentDemand) {
        assert!(is_refused, "an honest payer is refused: {unpaid:?}");
        assert_eq!(refusal(unpaid)["code"], Reason::Withdrawal.code());
        self.scene.happens("refused while leaving");
    }

    fn runs(&mut self, at: usize, tokens: u64) {
        let asked = &self.asked[at];
        let is_refused = asked.transfer.is_none() && self.leaving[asked.who];
        let kind = match (asked.transfer.is_some(), asked.who) {
            (true, _) => "exact call",
            (false, CONTRACT) => "contract call",
            (false, WASHER) => "wash call",
            (false, _) => "voucher call",
        };
        match self.opens(at, Stage::Reserved) {
            Ok(running) => {
                assert!(!is_refused, "a payer who leaves is served");
                self.scene.happens(kind);
                self.ends(running, tokens);
            }
            Err(unpaid) => self.leaves_out(is_refused, unpaid),
        }
    }

    fn ends(&mut self, running: Running, tokens: u64) {
        let Running { at, sale, tab } = running;
        let charge = charge_of(&*tab, tokens);
        let told = self.one.wait(self.one.close(&sale, tab, tokens));
        assert_eq!(told["extra"]["chargedAmount"], json!(charge.amount));
        self.costs(at, &sale.request_id, &charge, tokens > 0);
    }

    /// A call is charged for: to the request that pays it, and within what was signed for it.
    fn costs(&mut self, at: usize, request_id: &str, charge: &CallCharge, answered: bool) {
        let asked = &mut self.asked[at];
        let amount = charge.amount.0;
        assert!(amount <= asked.max.saturating_sub(asked.before));
        asked.charges.push(amount);
        let times = asked.charges.iter().filter(|it| **it > 0).count();
        assert!(times <= 1, "charged twice: {:?}", asked.charges);
        let (who, is_transfer) = (asked.who, asked.transfer.is_some());
        // Paid in full and not answered.
        let whole = amount > 0 && asked.before + amount == asked.max;
        asked.owed = !answered && (is_transfer || whole || asked.owed);
        if !is_transfer {
            self.charged[who] += amount;
        }
        let weight = match who {
            WASHER => 0,
            _ => amount as u32 % 5 * 250_000,
        };
        self.attributes(request_id, charge, weight);
    }

    /// Says whose data shaped an answer, in ppm of honest data.
    fn attributes(&self, request_id: &str, charge: &CallCharge, honest: u32) {
        let share = |address: Address, ppm| ContributorShare {
            contributor: address.to_string(),
            address: Some(address),
            ppm,
        };
        let all = [
            share(HONEST_DATA, honest),
            share(HOSTILE_DATA, 1_000_000 - honest),
        ];
        let shares: Vec<_> = all.into_iter().filter(|it| it.ppm > 0).collect();
        let event = event_id("digest", request_id);
        let amounts = divide(charge, Some(&self.split()), &shares, &event);
        let attributed = CallAttributed {
            request_id: request_id.to_owned(),
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
            shares,
            amounts: Some(amounts),
            lag_milliseconds: 0,
        };
        let event = Event::Attributed(Box::new(attributed));
        self.one.wait(self.one.seller.ledger.keep(event)).unwrap();
    }

    fn split(&self) -> SplitRead {
        let market = &self.scene.market;
        let part = |recipient, ppm, members| SplitPart {
            recipient,
            ppm,
            members,
        };
        let member = SplitMember {
            account: HONEST_DATA,
            ppm: 1_000_000,
        };
        SplitRead {
            receiver: market.receiver(),
            adapter: "tone".into(),
            version: 1,
            parts: vec![
                part(OWN.parse().unwrap(), OWN_PPM, Vec::new()),
                part(market.pool, 1_000_000 - OWN_PPM, vec![member]),
            ],
        }
    }

    /// What is paid and not answered is served; what is answered costs nothing again.
    fn again(&mut self, pick: usize, tokens: u64) {
        if self.asked.is_empty() {
            return;
        }
        let at = pick % self.asked.len();
        let asked = &self.asked[at];
        let (who, is_transfer) = (asked.who, asked.transfer.is_some());
        let runs = self.running.iter().any(|it| it.at == at);
        if runs || !is_transfer && (self.is_busy(who) || self.leaving[who]) {
            return;
        }
        let (owed, charged) = (asked.owed, asked.charged());
        match self.opens(at, Stage::Reserved) {
            Ok(running) => {
                let may = owed || charged == 0;
                assert!(may, "an answered request runs again: {charged}");
                self.scene.happens("repeated and served");
                self.ends(running, tokens);
            }
            Err(unpaid) => {
                assert!(!owed, "a paid call is refused: {unpaid:?}");
                self.scene.happens("repeated and refused");
            }
        }
    }

    /// A stranger with somebody's payment gets nothing.
    fn steal(&mut self, pick: usize, theft: Theft) {
        let is_free = |(at, it): &(usize, &Asked)| match it.transfer {
            Some(_) => !self.running.iter().any(|run| run.at == *at),
            None => !self.is_busy(it.who),
        };
        let public = self.asked.iter().enumerate().filter(|(_, it)| it.public);
        let public: Vec<&Asked> = public.filter(is_free).map(|(_, it)| it).collect();
        let Some(asked) = public.get(pick % public.len().max(1)) else {
            return;
        };
        let left = asked.max.saturating_sub(self.charged[asked.who]);
        let quote = match (theft, &asked.transfer) {
            (Theft::Rest, None) if left > 0 => left,
            _ => asked.sale.quote.0,
        };
        let mut wanted = sale(quote);
        let mut payload = asked.payload.clone();
        let mut stand = &self.one;
        match theft {
            Theft::Rest | Theft::Same => {}
            Theft::Forged => {
                let bad: Bytes = vec![0x1b; 65].into();
                let place = match asked.transfer {
                    Some(_) => "/signature",
                    None => "/voucher/signature",
                };
                *payload.pointer_mut(place).unwrap() = json!(bad);
            }
            Theft::OtherAdapter => wanted.adapter_digest = OTHER_DIGEST.into(),
            Theft::OtherServer => stand = &self.two,
        }
        let opened = stand.open(&wanted, &payload);
        assert!(opened.is_err(), "{theft:?} of {payload}");
        self.scene.happens(match theft {
            Theft::Rest => "theft of a rest",
            Theft::Same => "theft of a payment",
            Theft::Forged => "forgery",
            Theft::OtherAdapter => "theft for another adapter",
            Theft::OtherServer => "theft at another server",
        });
    }

    fn twice(&mut self, who: usize, quote: u128, ours_first: bool) {
        let Some(at) = self.asks(who, quote, true) else {
            return;
        };
        let asked = &self.asked[at];
        let (sale, payload) = (asked.sale.clone(), asked.payload.clone());
        if ours_first {
            self.runs(at, 1_000);
            assert_eq!(
                self.two.refused(&sale, &payload)["code"],
                Reason::ExactUsed.code()
            );
        } else {
            self.two.call(&sale, &payload, 1_000).unwrap();
            self.moved[who] += quote;
            assert_eq!(
                self.one.refused(&sale, &payload)["code"],
                Reason::ExactUsed.code()
            );
            let asked = &mut self.asked[at];
            asked.charges.push(quote);
            asked.public = true;
        }
        self.scene.happens("shown to two servers");
    }

    /// The money arrives by a stranger's hand: it is the receiver's, and pays nobody's call.
    fn overtake(&mut self, who: usize, quote: u128, late: bool) {
        let Some(at) = self.asks(who, quote, true) else {
            return;
        };
        let market = &self.scene.market;
        let asked = &self.asked[at];
        let data = submission(asked.transfer.as_ref().unwrap());
        let refused = if late {
            let mut tab = self.one.open(&asked.sale, &asked.payload).ok().unwrap();
            send(&market.rpc, market.token, &data);
            refusal(self.one.wait(tab.commit()).unwrap_err())
        } else {
            send(&market.rpc, market.token, &data);
            self.one.refused(&asked.sale, &asked.payload)
        };
        assert_eq!(refused["code"], Reason::ExactUsed.code());
        self.moved[who] += quote;
        let asked = &mut self.asked[at];
        asked.charges.push(quote);
        asked.public = true;
        self.scene.happens("overtaken");
    }

    fn refund(&mut self, who: usize, part: Option<u128>, cut: bool) {
        if self.is_busy(who) || self.leaving[who] || self.view(who).balance.is_zero() {
            return;
        }
        let party = self.party(who);
        let by = (&party.buyer, &party.config);
        let probe = sale(1);
        let shown = self.charged[who];
        // A contract signs for no fee: it stays in the channel.
        let signs = who != CONTRACT;
        // Most parts are all but a rest that is below the next refund's fee.
        let view = self.view(who);
        let paid = self.paid_nonce[who] == Some(view.refund_nonce) && signs;
        let free = (view.balance.0 - shown).saturating_sub(if paid { 0 } else { REFUND_FEE });
        let part = part.map(|part| match part {
            0..1_500 => free.saturating_sub(part % REFUND_FEE).max(1),
            part => part,
        });
        let fee = signs.then(|| fee_of(by, shown, REFUND_FEE));
        let request = asked(&self.one, by, |it| {
            it.amount = part.map(Amount);
            it.fee.clone_from(&fee);
        });
        let signature = party.buyer.voucher(&party.config, shown);
        let deed = VoucherAction::Refund { amount: None };
        let payload = batch(&party.config, shown, signature, deed);
        let header = extended(&self.one.header(&probe, &payload), &request);
        let before = self.scene.market.balance(party.account());
        let rest = view.balance.0 - shown;
        let due = if paid { 0 } else { REFUND_FEE };
        let refused = match rest {
            0 => Some(Reason::RefundEmpty),
            _ if rest <= due => Some(Reason::RefundFee),
            _ => None,
        };
        if let Some(reason) = refused {
            let asked = self.one.wait(self.one.till.refund(&probe, &header));
            assert_eq!(refusal(asked.unwrap_err())["code"], reason.code());
            if reason == Reason::RefundFee {
                self.scene.happens("refund below its fee");
            }
            return;
        }
        if cut && let Some(fee) = fee.as_ref().filter(|_| !paid) {
            // As the server writes it, right before it sends anything.
            let charged = Event::RefundCharged(Box::new(RefundCharged {
                key: channel_key(channel_id(&party.config)),
                receiver: self.scene.market.receiver(),
                refund_nonce: view.refund_nonce,
                amount: fee.amount,
                cumulative: fee.max_claimable_amount,
                signature: hex::encode_prefixed(&fee.signature),
            }));
            self.one.wait(self.one.seller.ledger.keep(charged)).unwrap();
            self.pays_fee(who, view.refund_nonce);
            self.crash(1_000);
            self.scene.happens("refund cut off");
            return;
        }
        let ask = |stand: &Stand| stand.wait(stand.till.refund(&probe, &header));
        ask(&self.one).unwrap();
        if signs && !paid {
            self.pays_fee(who, view.refund_nonce);
        }
        let given = part.unwrap_or(rest).min(rest - due);
        let after = self.scene.market.balance(party.account());
        assert_eq!(after, before + given);
        self.scene.happens("refund");
        assert_eq!(
            refusal(ask(&self.one).unwrap_err())["code"],
            Reason::RefundRequest.code()
        );
        self.scene.happens("refund replayed");
        let left = self.view(who).balance.0 - self.charged[who];
        if (1..=REFUND_FEE).contains(&left) {
            self.refund(who, None, false);
        }
    }

    fn pays_fee(&mut self, who: usize, nonce: u64) {
        self.charged[who] += REFUND_FEE;
        self.refund_fees[who] += REFUND_FEE;
        self.fee_totals.push((who, self.charged[who]));
        self.paid_nonce[who] = Some(nonce);
    }

    /// By a voucher that is for all that is charged the money goes home, to whomever it belongs; by
    /// one that a claim has put on the chain it stays.
    fn expel(&mut self, who: usize) {
        if self.is_busy(who) || self.leaving[who] {
            return;
        }
        let party = self.party(who);
        let of_channel = self
            .asked
            .iter()
            .filter(|it| it.public && it.who == who && it.transfer.is_none());
        let known: Vec<u128> = of_channel.map(|it| it.max).collect();
        let Some(max) = known.iter().max() else {
            return;
        };
        let spent = self.charged[who];
        let max = if known.contains(&spent) { spent } else { *max };
        let signature = party.buyer.voucher(&party.config, max);
        let payload = batch(
            &party.config,
            max,
            signature,
            VoucherAction::Refund { amount: None },
        );
        let (stand, probe) = (&self.one, sale(1));
        let header = stand.header(&probe, &payload);
        let before = self.scene.market.balance(party.account());
        let view = self.view(who);
        let rest = view.balance.0 - spent;
        let known = self.published(who).max(view.claimed.0);
        let is_claimed = known > 0 && max <= known;
        let refunded = stand.wait(stand.till.refund(&probe, &header));
        let after = self.scene.market.balance(party.account());
        let may = max == spent && rest > REFUND_FEE && !is_claimed;
        assert_eq!(refunded.is_ok(), may, "{refunded:?}");
        // The fee stays in the channel.
        assert_eq!(after - before, if may { rest - REFUND_FEE } else { 0 });
        self.scene.happens(match may {
            true => "refund by a stranger",
            false => "refund refused to a stranger",
        });
    }

    /// The highest voucher of a payer's channel that the calldata of claims has told everybody.
    fn published(&self, who: usize) -> u128 {
        let rpc = &self.scene.market.rpc;
        let payer = self.party(who).account();
        let number = |value: &Value| {
            let text = value.as_str().unwrap().trim_start_matches("0x");
            u64::from_str_radix(text, 16).unwrap()
        };
        let mut highest = 0;
        for block in 0..=number(&rpc.ok("eth_blockNumber", json!([]))) {
            let block = rpc.ok(
                "eth_getBlockByNumber",
                json!([format!("0x{block:x}"), true]),
            );
            for tx in block["transactions"].as_array().unwrap() {
                let data = hex::decode(tx["input"].as_str().unwrap()).unwrap();
                let parts = match Escrow::multicallCall::abi_decode(&data) {
                    Ok(all) => all.data,
                    Err(_) => vec![data.into()],
                };
                let claims = parts
                    .iter()
                    .filter_map(|it| Escrow::claimCall::abi_decode(it).ok());
                for claim in claims.flat_map(|it| it.voucherClaims) {
                    if Address::from(claim.voucher.channel.payer) == payer {
                        highest = highest.max(claim.voucher.maxClaimableAmount);
                    }
                }
            }
        }
        highest
    }

    /// The payer withdraws by itself, and the seller claims before the delay is over.
    fn leave(&mut self, who: usize, tokens: u64) {
        let (market, party) = (&self.scene.market, self.party(who));
        let payer = party.account().to_string();
        let view = self.view(who);
        if !self.leaving[who] {
            let free = view.balance.saturating_sub(view.claimed);
            if free.is_zero() {
                return;
            }
            let call = Escrow::initiateWithdrawCall {
                config: (&party.config).into(),
                amount: free.0,
            };
            send_from(
                &market.rpc,
                &payer,
                ESCROW.into(),
                &call.abi_encode().into(),
            );
            self.leaving[who] = true;
            self.scene.happens("withdrawal begun");
            return;
        }
        let of_channel = |it: &Running| {
            let asked = &self.asked[it.at];
            asked.who == who && asked.transfer.is_none()
        };
        if let Some(at) = self.running.iter().position(of_channel) {
            let running = self.running.swap_remove(at);
            self.ends(running, tokens);
        }
        self.round();
        market.rpc.ok("evm_increaseTime", json!([901]));
        market.rpc.ok("evm_mine", json!([]));
        let call = Escrow::finalizeWithdrawCall {
            config: (&party.config).into(),
        };
        send_from(
            &market.rpc,
            &payer,
            ESCROW.into(),
            &call.abi_encode().into(),
        );
        self.leaving[who] = false;
        let view = self.view(who);
        assert_eq!(
            view.claimed.0, self.charged[who],
            "claimed before the payer left"
        );
        self.scene.happens("withdrawal ended");
    }

    /// Everything but the journal is lost; the last that it knows of a call is charged.
    fn crash(&mut self, tokens: u64) {
        let running = std::mem::take(&mut self.running);
        let mut expected = BTreeMap::new();
        for Running { at, sale, tab } in running {
            let mut done = 0;
            if tokens > 0 {
                done = tokens;
                let checkpoint = Event::CallCheckpointed {
                    request_id: sale.request_id.clone(),
                    completion_tokens: done,
                };
                self.one
                    .wait(self.one.seller.ledger.keep(checkpoint))
                    .unwrap();
            }
            let payment = tab.payment().clone();
            let amount = match (payment.scheme, payment.collected) {
                (_, true) => payment.quote.0,
                (PaymentScheme::Exact, _) => 0,
                _ => payment.prices.completion.0 * u128::from(done),
            };
            let amount = match payment.collected {
                true => amount,
                false => amount.div_ceil(1_000).min(payment.quote.0),
            };
            expected.insert(sale.request_id.clone(), (at, amount));
            drop(tab);
        }
        let recovered = self.one.wait(self.journal.recover("two")).unwrap();
        let owner = (OWN_KEY, self.journal.clone());
        self.one = stand(&self.scene.market, owner);
        self.scene.happens("crash");
        for record in recovered {
            let Event::CallMetered {
                request_id,
                charge: Some(charge),
                ..
            } = record.event
            else {
                panic!("something else is recovered");
            };
            let (at, amount) = expected.remove(&request_id).unwrap();
            assert_eq!(charge.amount.0, amount);
            self.costs(at, &request_id, &charge, false);
            self.scene.happens("call ended by a crash");
        }
        assert_eq!(expected.len(), 0, "calls are lost");
    }

    fn round(&self) {
        let treasurer = ChainSettler::new(Arc::clone(&self.one.seller.desk));
        let settled = self.one.wait(treasurer.settle_now()).unwrap();
        assert_eq!(settled.left_out, []);
        self.one.wait(treasurer.withdraw(None)).unwrap();
        self.scene.happens("round");
    }

    fn settle(&self) {
        let market = &self.scene.market;
        let waiting = self
            .one
            .seller
            .desk
            .unsettled(market.splitter, market.token);
        if self.one.wait(waiting).unwrap().is_zero() {
            return;
        }
        let call = Escrow::settleCall {
            receiver: market.splitter.into(),
            token: market.token.into(),
        };
        send(&market.rpc, ESCROW.into(), &call.abi_encode().into());
        self.scene.happens("settled by a stranger");
    }

    /// Calls that never were.
    fn invent(&mut self) {
        let buyer = &self.scene.stranger;
        let number = self.next();
        let id = format!("ghost-{number}");
        let payment = buyer.payment(&buyer.config(number), 0, 1_000_000);
        let usage = TokenUsage {
            prompt_tokens: 0,
            completion_tokens: 1_000,
        };
        let charge = payment.charge(usage, FinishReason::Stop);
        self.attributes(&id, &charge, 0);
        self.scene.happens("invented");
    }

    /// Everything that still runs ends, and everybody gets what there is.
    fn concludes(&mut self) {
        for running in std::mem::take(&mut self.running) {
            self.ends(running, 500);
        }
        self.allotments_are_covered();
        self.round();
        self.payers_have_paid_for_their_calls_alone();
        self.the_seller_has_it_all();
        self.contributors_are_allotted_what_was_collected();
        self.audits_are_exact();
    }

    fn payers_have_paid_for_their_calls_alone(&self) {
        for who in 0..PARTIES {
            let view = self.view(who);
            let own = self.asked.iter().filter(|it| it.who == who);
            let calls: u128 = own
                .filter(|it| it.transfer.is_none())
                .map(Asked::charged)
                .sum();
            let charged = calls + self.refund_fees[who];
            assert_eq!(charged, self.charged[who]);
            assert_eq!(view.claimed.0, charged, "claimed of {who}");
            let has = self.scene.market.balance(self.party(who).account());
            let rest = view.balance.0 - view.claimed.0;
            assert_eq!(
                FUNDS - has - rest,
                charged + self.moved[who],
                "paid by {who}"
            );
        }
        let stranger = self.scene.stranger.address();
        assert_eq!(self.scene.market.balance(stranger), 0);
        // No call has run but those of payers.
        let calls = self.one.seller.events("call_reserved");
        assert_eq!(calls.len(), self.reserved);
        let book = self.one.seller.ledger.ledger();
        assert_eq!(book.breaches, Vec::<String>::new());
    }

    fn paid(&self) -> u128 {
        self.charged.iter().sum::<u128>() + self.moved.iter().sum::<u128>()
    }

    fn the_seller_has_it_all(&self) {
        let market = &self.scene.market;
        let own = market.balance(OWN.parse().unwrap());
        let (pool, held) = (market.balance(market.pool), market.balance(market.splitter));
        assert_eq!(own + pool + held, self.paid());
        let parts = [own, pool].map(|it| it * 1_000_000);
        let of = |ppm: u32| self.paid() * u128::from(ppm);
        assert!(parts[0] <= of(OWN_PPM) && parts[1] <= of(1_000_000 - OWN_PPM));
        // A server that never had a call has nobody paid out: what others sent waits for it.
        let known = receivers_of(&self.one.seller.ledger.ledger(), CHAIN_ID);
        assert!(held <= 2 || known.is_empty(), "{held}");
    }

    /// What is owed to contributors by the journal, of such records.
    fn allotment(&self, wanted: impl Fn(&EventRecord) -> bool) -> PoolAllotment {
        let market = &self.scene.market;
        let records = self.one.seller.records();
        let mut facts = ChainFacts::default();
        records.iter().for_each(|it| facts.apply(it));
        let collected = facts.collected();
        let mut allotment = PoolAllotment::new(ReceiverKey {
            receiver: market.pool,
            ..market.receiver()
        });
        let records = records.iter().filter(|it| wanted(it));
        records.for_each(|it| allotment.apply(it, &collected));
        allotment
    }

    /// At any time: nobody is allotted what has not arrived, and who pays for calls of its own data
    /// gets back a part of what it brought.
    fn allotments_are_covered(&self) {
        let market = &self.scene.market;
        let holders = [OWN.parse().unwrap(), market.pool, market.splitter];
        let arrived: u128 = holders.iter().map(|it| market.balance(*it)).sum();
        let all = self.allotment(|_| true);
        assert!(all.calls().iter().all(|it| it.collected <= it.charged));
        assert!(
            all.total().0 <= pooled(arrived),
            "{} of {arrived}",
            all.total()
        );
        let washer = self.party(WASHER).account();
        let washed = self.allotment(|it| match &it.event {
            Event::CallMetered {
                charge: Some(it), ..
            } => it.payer == washer,
            _ => true,
        });
        // Fees of refunds bring nobody anything back.
        let claimed = self.view(WASHER).claimed.0;
        let fees = self.fee_totals.iter().filter(|(who, _)| *who == WASHER);
        let claimed_of_fee = |total: u128| claimed.min(total).saturating_sub(total - REFUND_FEE);
        let calls = claimed - fees.map(|(_, total)| claimed_of_fee(*total)).sum::<u128>();
        let brought = calls + self.moved[WASHER];
        assert!(
            washed.total().0 <= pooled(brought),
            "{} of {brought}",
            washed.total()
        );
    }

    /// In the end everything is collected, so nobody is allotted less either.
    fn contributors_are_allotted_what_was_collected(&self) {
        self.allotments_are_covered();
        let all = self.allotment(|_| true);
        let collected: u128 = all.calls().iter().map(|it| it.collected.0).sum();
        let ours = self.one.seller.records().into_iter();
        let charged = ours.map(|it| match it.event {
            Event::CallMetered {
                charge: Some(it), ..
            } => it.amount.0,
            _ => 0,
        });
        assert_eq!(collected, charged.sum::<u128>());
        assert!(all.total().0 <= pooled(collected) && pooled(collected) <= all.total().0 + 3);
        let received = self.scene.market.balance(self.scene.market.pool);
        assert!(all.total().0 <= received);
        let stated = allot(&all, &StatedContributions::default(), Amount(received));
        assert_eq!(stated.map_or(0, |it| it.total.0), all.total().0);
    }

    fn audits_are_exact(&self) {
        for stand in [&self.one, &self.two] {
            for audit in stand.seller.audits() {
                assert!(audit.holds(), "{audit:#?}");
                let it = &audit.figures;
                assert_eq!(it.charged.0 + it.refund_fees.0, it.claimed.0);
            }
        }
        let fees = self.one.seller.audits();
        let fees: u128 = fees.iter().map(|it| it.figures.refund_fees.0).sum();
        assert_eq!(fees, self.refund_fees.iter().sum::<u128>());
        let trail = self.one.seller.trail();
        let chain = self.one.seller.desk.chain();
        let evidence = self.one.wait(audit::gather(chain, &trail, 0)).unwrap();
        for evidence in evidence {
            self.a_lost_transfer_is_named(&evidence);
            self.a_lost_claim_is_named(&evidence);
        }
    }

    fn a_lost_transfer_is_named(&self, evidence: &ChainEvidence) {
        let trail = self.one.seller.trail();
        let Some((key, calls)) = trail.exact_calls.iter().next() else {
            return;
        };
        let call = calls.first().unwrap();
        let mut evidence = evidence.clone();
        let income = &trail.state.facts.payments[key];
        let lost = income.transfer.as_ref().unwrap().tx.clone();
        evidence.incoming.retain(|it| it.logged.tx != lost);
        evidence.authorizations.retain(|it| it.tx != lost);
        let audit = reconcile(&trail, &evidence);
        assert!(!audit.holds());
        let named = losses(&audit);
        let expected = (
            FindingKind::PaymentMissing,
            call.request_id.clone(),
            call.amount.0,
        );
        assert_eq!(named, [expected]);
        self.scene.happens("lost transfer named");
    }

    /// A claim that is undone, after which the money is gone.
    fn a_lost_claim_is_named(&self, evidence: &ChainEvidence) {
        let trail = self.one.seller.trail();
        let mut evidence = evidence.clone();
        let mut channels = evidence.channels.iter_mut();
        let Some((channel, seen)) = channels.find(|(_, seen)| !seen.claims.is_empty()) else {
            return;
        };
        let channel = *channel;
        let lost = seen.claims.pop().unwrap().amount;
        seen.view.claimed = seen.view.claimed.saturating_sub(lost);
        seen.view.balance = seen.view.claimed;
        let audit = reconcile(&trail, &evidence);
        assert!(!audit.holds());
        let named = losses(&audit);
        let sum: u128 = named.iter().map(|it| it.2).sum();
        assert_eq!(sum, lost.0);
        let calls = &trail.calls[&channel_key(channel)];
        let mut last = calls.iter().rev().filter(|it| !it.amount.is_zero());
        let last = &last.next().unwrap().request_id;
        let is_last = |it: &(FindingKind, String, u128)| it.1 == *last;
        assert!(named.iter().any(is_last), "{named:?}");
        assert!(named.iter().all(|it| it.0 == FindingKind::Uncollectable));
        self.scene.happens("lost claim named");
    }
}

/// The contributors' part.
fn pooled(amount: u128) -> u128 {
    amount * u128::from(1_000_000 - OWN_PPM) / 1_000_000
}

fn charge_of(tab: &dyn PaymentGuard, tokens: u64) -> CallCharge {
    let usage = TokenUsage {
        prompt_tokens: 0,
        completion_tokens: tokens,
    };
    let finish = match tokens {
        0 => FinishReason::Failed,
        _ => FinishReason::Stop,
    };
    tab.payment().charge(usage, finish)
}

/// Calls that an audit says are lost, and how much of each.
fn losses(audit: &LedgerAudit) -> Vec<(FindingKind, String, u128)> {
    let losses = audit
        .findings
        .iter()
        .filter(|it| it.severity() == Severity::Loss);
    let calls = losses.flat_map(|it| it.calls.iter().map(|call| (it.kind, call)));
    calls
        .map(|(kind, call)| (kind, call.request_id.clone(), call.amount.0))
        .collect()
}

/// Plays runs on a chain of its own; returns what happened how often.
fn lane() -> BTreeMap<&'static str, u32> {
    let scene = Scene::new();
    let config = Config {
        cases: RUNS / LANES,
        failure_persistence: None,
        max_shrink_iters: 200,
        ..Config::default()
    };
    let play = |steps: Vec<Step>| {
        scene.returns();
        let mut play = Play::new(&scene);
        for step in steps {
            play.step(step);
        }
        play.concludes();
        scene.happens("run");
        Ok(())
    };
    TestRunner::new(config).run(&steps(), play).unwrap();
    scene.happened.into_inner().unwrap()
}

#[test]
fn nobody_gains_or_loses_by_anybodys_tricks() {
    let mut happened: BTreeMap<&'static str, u32> = BTreeMap::new();
    std::thread::scope(|scope| {
        let lanes: Vec<_> = (0..LANES).map(|_| scope.spawn(lane)).collect();
        for lane in lanes {
            for (what, count) in lane.join().unwrap() {
                *happened.entry(what).or_default() += count;
            }
        }
    });
    assert!(happened["run"] >= RUNS, "{happened:?}");
    assert_eq!(happened.len(), KINDS, "{happened:?}");
    assert!(happened.values().all(|it| *it >= OFTEN), "{happened:?}");
}

/// How many kinds of deeds there are.
const KINDS: usize = 34;

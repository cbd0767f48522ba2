//! The server of these tests, and payers who speak HTTP to it.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use alloy::{
    primitives::{B256, Bytes, U256},
    sol_types::SolCall,
};
use axum::Router;
use openlora_chain::{
    network::Network, provider::Chain, registry::DevelopmentToken, transaction::TxLimits,
};
use openlora_contracts::{COLLECTOR, ESCROW};
use openlora_core::{Address, Amount, Word, error::Failure};
use openlora_engine::Engine;
use openlora_journal::{Journal, JournalStore, SqliteStore};
use openlora_ledger::{
    ChannelKey, ChannelTerms, Ledger, PriceList, SponsorAllowance,
    event::{Event, EventRecord},
    findings::{AuditFigures, LedgerAudit},
    reconcile::reconcile,
    state::CurrentState,
    trail::AuditTrail,
};
use openlora_payments::{
    settlement::{
        ChainSettlement, ChainSettler, ClaimWorth, DepositPermit, SettlementClient,
        SettlementOptions, SettlementRecords, audit::gather, identify,
    },
    x402::{
        ChainOffer, FacilitatorService, SellerConfig as Stalls, SponsorRules, X402Seller,
        binding::{BindingDomain, RefundFee, RefundRequest, RequestBinding, request_hash},
        digest::{EscrowDomain, TokenDomain, deposit_nonce},
        signature,
        wire::{
            BatchPayload, DepositAuthorization, DepositPart, Erc3009, ExactPayload, SchemePayload,
            TransferAuthorization, Voucher, VoucherAction,
        },
    },
};
use openlora_ports::{PaymentGateway, Settler};
use openlora_serve::{
    AddressAllowances, BoundSocket, ServeInputs, ServeLimits, Server, StopHandle,
    access::AccessRules,
    attribution::AttributionConfig,
    payment::{Currency, SalesConfig},
    prompt_filter::PromptFilter,
};
use openlora_wallet::WalletAccount;
use serde_json::{Value, json};
use tokio::{runtime::Runtime, sync::Semaphore, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    deploy_support::contract,
    devnet_support::Rpc,
    keys::{OWN, OWN_KEY, account},
    serve_support::{Reply, TestServer, access, adapters, chat, with},
    settlement_support::{Market, send},
    waiting,
    x402_cashier::extended,
    x402_support::{MIN_DEPOSIT, RULES, TOKEN_NAME, decoded, header},
};

pub const CHAIN: u64 = 31_337;
pub const CHAT: &str = "/v1/chat/completions";
pub const PRICES: PriceList = PriceList {
    prompt: Amount(10_000),
    completion: Amount(100_000),
    classification: Amount(500),
    image: Amount(2_000),
    minimum: Amount::ZERO,
};
pub const LIMITS: ServeLimits = ServeLimits {
    max_concurrent: 8,
    parallel: 8,
    queue: 1024,
    max_body: 8192,
    max_tokens: 5,
};
/// What [`Call::usual`] is offered for: 5 tokens in, at most 3 out; and what it costs, as it ends
/// after 2.
pub const QUOTE: u128 = 350;
pub const COST: u128 = 250;
const FOREVER: u64 = 4_000_000_000;

pub type AroundCashier = Box<dyn Fn(Arc<dyn PaymentGateway>) -> Arc<dyn PaymentGateway>>;
pub type AroundEngine = Box<dyn Fn(Arc<dyn Engine>) -> Arc<dyn Engine>>;

/// What a server is made of.
pub struct Setup {
    pub store: Box<dyn JournalStore>,
    pub networks: Vec<Network>,
    /// Who is paid, by the adapter's name.
    pub stalls: Vec<(&'static str, Address)>,
    pub limits: ServeLimits,
    /// Whose account serves.
    pub key: &'static str,
    /// Whose accounts served before, and are at hand.
    pub earlier: Vec<&'static str>,
    pub rules: SponsorRules,
    pub refund_fee: Amount,
    pub min_exact: Amount,
    pub allowance: SponsorAllowance,
    pub worth: ClaimWorth,
    pub cashier: AroundCashier,
    pub engine: AroundEngine,
    pub prompt_filter: Option<PromptFilter>,
    pub access: AccessRules,
    /// What each address may do without paying.
    pub unpaid: AddressAllowances,
}

impl Setup {
    /// A server on one chain, with its journal at `path`.
    pub fn at(path: &Path, network: Network, splitter: Address) -> Self {
        Self::over(
            Box::new(SqliteStore::open(path).unwrap()),
            network,
            splitter,
        )
    }

    pub fn over(store: Box<dyn JournalStore>, network: Network, splitter: Address) -> Self {
        Self {
            store,
            networks: vec![network],
            stalls: vec![("persona", splitter), ("filter", splitter)],
            limits: LIMITS,
            key: OWN_KEY,
            earlier: Vec::new(),
            rules: RULES,
            refund_fee: Amount::ZERO,
            min_exact: Amount::ZERO,
            allowance: SponsorAllowance::UNLIMITED,
            worth: ClaimWorth::default(),
            cashier: Box::new(|cashier| cashier),
            engine: Box::new(|engine| engine),
            prompt_filter: None,
            access: access(),
            unpaid: AddressAllowances::default(),
        }
    }

    pub fn of(market: &Market) -> Self {
        let path = market.dir.path().join("shop.sqlite");
        Self::at(&path, market.network(market.chain.url()), market.splitter)
    }
}

/// Settles only where a test says so.
struct Idle;

#[async_trait::async_trait]
impl Settler for Idle {
    async fn settle_all(&self) -> Result<Value, Failure> {
        Ok(json!([]))
    }

    async fn withdraw(&self) -> Result<Value, Failure> {
        Ok(json!([]))
    }
}

/// A running server with its desks.
pub struct Shop {
    pub server: TestServer,
    /// The server's routes without its sockets.
    pub router: Router,
    pub desks: Vec<Arc<SettlementClient>>,
    state: Arc<CurrentState>,
    watched: CancellationToken,
    watchers: JoinSet<()>,
    runtime: Arc<Runtime>,
}

impl Shop {
    pub fn of(market: &Market) -> Self {
        Self::open(&market.runtime, Setup::of(market))
    }

    pub fn open(runtime: &Arc<Runtime>, setup: Setup) -> Self {
        let own = Arc::clone(runtime);
        runtime.block_on(Self::opened(own, setup))
    }

    async fn opened(runtime: Arc<Runtime>, setup: Setup) -> Self {
        let journal = Journal::start(setup.store, Box::new(now_ms)).unwrap();
        journal.recover("none").await.unwrap();
        for network in &setup.networks {
            let chain = Chain::connect(network).await.unwrap();
            let state = journal.state().await.unwrap();
            identify(&chain, &*state, &journal).await.unwrap();
        }
        let state = journal.state().await.unwrap();
        let mut desks = Vec::new();
        for network in &setup.networks {
            let owner = (network, setup.key);
            let limits = (setup.allowance, setup.worth);
            let desk = desk(owner, limits, &journal, &state).await;
            desk.recover().await.unwrap();
            desks.push(desk);
        }
        let counters: Vec<ChainOffer> = desks
            .iter()
            .map(|it| counter(it, &setup.earlier, (setup.refund_fee, setup.min_exact)))
            .collect();
        let own = account(setup.key).address();
        let digest = |name: &str| format!("{name}0digest");
        let stalls = setup.stalls.iter().map(|(name, to)| (digest(name), *to));
        let stalls = Stalls {
            pay_to: stalls.collect(),
            offers: counters.clone(),
            account: own,
            facts: Arc::new(journal.clone()),
            ledger: Arc::clone(&state) as _,
            rules: setup.rules,
        };
        let sales = SalesConfig {
            gateway: (setup.cashier)(Arc::new(X402Seller::new(stalls))),
            facilitator: Arc::new(FacilitatorService::new(counters, own)),
            settler: Arc::new(Idle),
            currency: Currency {
                symbol: "dUSD".into(),
                decimals: 6,
            },
        };
        let watched = CancellationToken::new();
        let mut watchers = JoinSet::new();
        for desk in &desks {
            let (desk, stop) = (Arc::clone(desk), watched.clone());
            watchers.spawn(async move { desk.watch(stop).await });
        }
        let (server, router) = serve(
            journal,
            sales,
            setup.limits,
            setup.prompt_filter,
            setup.access,
            setup.unpaid,
            &setup.engine,
        )
        .await;
        Self {
            server,
            router,
            desks,
            state,
            watched,
            watchers,
            runtime,
        }
    }

    pub fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        let work = waiting::within_longest("the shop's work", work);
        self.runtime.block_on(work)
    }

    /// Ends the server, and lets go of its files.
    pub fn close(mut self) {
        let runtime = Arc::clone(&self.runtime);
        runtime.block_on(async move {
            self.watched.cancel();
            while self.watchers.join_next().await.is_some() {}
            self.server.drain().await;
        });
    }

    pub fn book(&self) -> Ledger {
        self.state.read().ledger.clone()
    }

    pub fn records(&self) -> Vec<EventRecord> {
        let mut records = Vec::new();
        let keep = |record: &EventRecord| records.push(record.clone());
        self.server.journal.replay(1, keep).unwrap();
        records
    }

    /// Times that the model was asked.
    pub fn begun(&self) -> usize {
        self.server.begun.load(Ordering::SeqCst)
    }

    pub fn send(&self, call: &Call, payment: Option<&str>) -> Reply {
        self.wait(self.ask(call, payment)).unwrap()
    }

    pub async fn ask(&self, call: &Call, payment: Option<&str>) -> Option<Reply> {
        call.ask(&self.server.client, &self.server.url(""), payment)
            .await
    }

    /// What a caller without payment is told.
    pub fn required(&self, call: &Call) -> Value {
        required(&self.send(call, None))
    }

    /// The payment for a call, by the offer of now that fits.
    pub fn payment(&self, call: &Call, payload: &Value) -> String {
        self.payment_on(CHAIN, call, payload)
    }

    pub fn payment_on(&self, chain_id: u64, call: &Call, payload: &Value) -> String {
        let offers = self.required(call)["accepts"].clone();
        header(offer(&offers, chain_id, payload), payload)
    }

    /// A call that is paid and answered.
    #[track_caller]
    pub fn buys(&self, call: &Call, payload: &Value) -> Reply {
        let payment = self.payment(call, payload);
        let reply = self.send(call, Some(&payment));
        assert_eq!(reply.status, 200, "{reply:?}");
        reply
    }

    /// What the ledger has charged to a channel.
    pub fn charged(&self, channel: Word) -> u128 {
        self.charged_on(CHAIN, channel)
    }

    pub fn charged_on(&self, chain_id: u64, channel: Word) -> u128 {
        let book = self.book();
        let known = book.channels.get(&ChannelKey { chain_id, channel });
        known.map_or(0, |it| it.charged.amount().0)
    }

    /// The audit of every chain, in their order, each with one receiver; every check holds.
    #[track_caller]
    pub fn audited(&self) -> Vec<AuditFigures> {
        let mut trail = AuditTrail::default();
        self.server
            .journal
            .replay(1, |record| trail.apply(record))
            .unwrap();
        assert_eq!(trail.state.ledger.breaches, Vec::<String>::new());
        let figures = |desk: &Arc<SettlementClient>| {
            let evidence = self.wait(gather(desk.chain(), &trail, 0)).unwrap();
            let audits = evidence.iter().map(|it| reconcile(&trail, it));
            let mut audits: Vec<LedgerAudit> = audits.collect();
            assert!(audits.iter().all(|it| it.holds()), "{audits:#?}");
            assert_eq!(audits.len(), 1, "{audits:#?}");
            audits.remove(0).figures
        };
        self.desks.iter().map(figures).collect()
    }

    /// Claims and settles everything on every chain; then ledger and chain are equal.
    #[track_caller]
    pub fn settled(&self) -> Vec<AuditFigures> {
        for desk in &self.desks {
            let treasurer = ChainSettler::new(Arc::clone(desk));
            let done = self.wait(treasurer.settle_now()).unwrap();
            assert_eq!(done.left_out, []);
        }
        let all = self.audited();
        for it in &all {
            assert_eq!((it.claimed, it.claimed_by_all), (it.charged, it.charged));
            assert_eq!((it.settled, it.from_escrow), (it.charged, it.charged));
            assert_eq!(it.from_others, Amount::ZERO);
        }
        all
    }
}

fn now_ms() -> u64 {
    let now = std::time::SystemTime::now();
    let past = now.duration_since(std::time::UNIX_EPOCH).unwrap();
    past.as_millis() as u64
}

async fn desk(
    (network, key): (&Network, &str),
    (allowance, worth): (SponsorAllowance, ClaimWorth),
    journal: &Journal,
    state: &Arc<CurrentState>,
) -> Arc<SettlementClient> {
    let records = SettlementRecords {
        facts: Arc::new(journal.clone()),
        ledger: Arc::clone(state) as _,
    };
    let limits = TxLimits {
        max_fee: None,
        patience: Duration::from_secs(5),
    };
    let chain = Chain::connect(network).await.unwrap();
    let options = SettlementOptions {
        allowance,
        worth,
        ..SettlementOptions::for_network(network, limits)
    };
    Arc::new(SettlementClient::new(chain, account(key), records, options))
}

fn by_account(desk: Arc<SettlementClient>) -> (Address, Arc<dyn ChainSettlement>) {
    (desk.account(), desk)
}

fn counter(
    desk: &Arc<SettlementClient>,
    earlier: &[&str],
    (refund_fee, min_exact): (Amount, Amount),
) -> ChainOffer {
    let earlier = earlier
        .iter()
        .map(|key| Arc::new(desk.of_account(account(key))));
    ChainOffer {
        settlement: Arc::clone(desk) as _,
        others: earlier.map(by_account).collect(),
        token: token(),
        token_symbol: "dUSD".into(),
        token_decimals: 6,
        token_name: TOKEN_NAME.into(),
        token_version: "1".into(),
        withdraw_delay: 900,
        min_deposit: Amount(MIN_DEPOSIT),
        refund_fee,
        min_exact,
    }
}

async fn serve(
    journal: Journal,
    sales: SalesConfig,
    limits: ServeLimits,
    prompt_filter: Option<PromptFilter>,
    access: AccessRules,
    unpaid: AddressAllowances,
    layer: &AroundEngine,
) -> (TestServer, Router) {
    let (steps, begun) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut adapters = adapters(&steps, &begun);
    for adapter in &mut adapters {
        adapter.prices = PRICES;
        adapter.engine = layer(Arc::clone(&adapter.engine));
    }
    let goods = ServeInputs {
        adapters,
        sales: Some(sales),
        attribution: AttributionConfig::default(),
        access,
        transparency: None,
        loader: None,
        standings: None,
        on_demand: None,
        prompt_filter,
    };
    let bound = BoundSocket::new("127.0.0.1", 0).await.unwrap();
    let stop = StopHandle::default();
    let server = Server::new(bound, goods, journal.clone(), limits, stop.clone());
    let server = server.await.unwrap().with_allowances(unpaid);
    let router = server.router();
    let server = TestServer {
        address: server.address(),
        journal,
        stop,
        steps,
        begun,
        running: tokio::spawn(server.run()),
        client: client(),
    };
    (server, router)
}

pub fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

pub fn token() -> Address {
    contract("DevelopmentToken").parse().unwrap()
}

/// The terms of a 402.
#[track_caller]
pub fn required(reply: &Reply) -> Value {
    assert_eq!(reply.status, 402, "{reply:?}");
    decoded(reply.header("payment-required").unwrap())
}

/// What a payer is told of its payment: in the header, or in a stream's last event.
pub fn told(reply: &Reply) -> Value {
    match reply.header("payment-response") {
        Some(header) => decoded(header),
        None => {
            let (_, event) = reply
                .text
                .rsplit_once("event: payment-response\ndata: ")
                .unwrap();
            serde_json::from_str(event.trim()).unwrap()
        }
    }
}

/// What a payer is told that its call has cost.
pub fn cost(reply: &Reply) -> u128 {
    let amount = told(reply)["extra"]["chargedAmount"].clone();
    amount.as_str().unwrap().parse().unwrap()
}

/// The offer that a payload is for.
pub fn offer<'a>(offers: &'a Value, chain_id: u64, payload: &Value) -> &'a Value {
    let scheme = match payload.get("authorization") {
        Some(_) => "exact",
        None => "batch-settlement",
    };
    let network = format!("eip155:{chain_id}");
    let mut offers = offers.as_array().unwrap().iter();
    let fits = |it: &&Value| it["scheme"] == scheme && it["network"] == network.as_str();
    offers.find(fits).unwrap()
}

/// A request, again and again the same.
#[derive(Clone, Debug)]
pub struct Call {
    pub path: &'static str,
    pub body: Value,
    pub id: Option<String>,
}

impl Call {
    /// For [`QUOTE`], and costs [`COST`].
    pub fn usual() -> Self {
        Self::chat("a b !end=2")
    }

    /// Of at most 3 tokens.
    pub fn chat(content: &str) -> Self {
        Self {
            path: CHAT,
            body: with(chat("persona", content), json!({ "max_tokens": 3 })),
            id: None,
        }
    }

    pub fn with(mut self, more: Value) -> Self {
        self.body = with(self.body, more);
        self
    }

    pub fn named(mut self, id: &str) -> Self {
        self.id = Some(id.to_owned());
        self
    }

    pub fn request(
        &self,
        client: &reqwest::Client,
        base: &str,
        payment: Option<&str>,
    ) -> reqwest::RequestBuilder {
        let mut request = client.post(format!("{base}{}", self.path)).json(&self.body);
        if let Some(id) = &self.id {
            request = request.header("idempotency-key", id);
        }
        match payment {
            Some(payment) => request.header("payment-signature", payment),
            None => request,
        }
    }

    /// The whole answer; nothing where the connection broke before its end.
    pub async fn ask(
        &self,
        client: &reqwest::Client,
        base: &str,
        payment: Option<&str>,
    ) -> Option<Reply> {
        let response = self.request(client, base, payment).send().await.ok()?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Some(Reply {
            status,
            headers,
            text: response.text().await.ok()?,
        })
    }
}

/// Somebody who pays, with one channel on every chain.
pub struct Payer {
    account: WalletAccount,
    pub config: ChannelTerms,
}

impl Payer {
    /// One with so much money on the market's chain.
    pub fn new(market: &Market, index: u64, funds: u128) -> Self {
        let payer = Self::to(market.splitter, index);
        payer.funded(&market.rpc, funds);
        payer
    }

    pub fn to(receiver: Address, index: u64) -> Self {
        let account = account(&format!("0x{:064x}", 0xfa17_0000_u64 + index));
        let config = ChannelTerms {
            payer: account.address(),
            payer_authorizer: account.address(),
            receiver,
            receiver_authorizer: OWN.parse().unwrap(),
            token: token(),
            withdraw_delay: 900,
            salt: number(index),
        };
        Self { account, config }
    }

    pub fn funded(&self, rpc: &Rpc, funds: u128) {
        let mint = DevelopmentToken::mintCall {
            to: self.config.payer.into(),
            amount: U256::from(funds),
        };
        send(rpc, token(), &mint.abi_encode().into());
    }

    pub fn address(&self) -> Address {
        self.config.payer
    }

    pub fn channel(&self) -> Word {
        EscrowDomain::for_chain(CHAIN).channel_id(&self.config)
    }

    fn sign(&self, digest: Word) -> Bytes {
        signature::sign(&self.account, digest)
            .unwrap()
            .to_vec()
            .into()
    }

    pub fn voucher_signature(&self, max: u128) -> Bytes {
        let domain = EscrowDomain::for_chain(CHAIN);
        self.sign(domain.voucher(self.channel(), Amount(max)))
    }

    fn batch(&self, chain_id: u64, max: u128, deed: VoucherAction) -> Value {
        let domain = EscrowDomain::for_chain(chain_id);
        let channel_id = domain.channel_id(&self.config);
        let batch = BatchPayload {
            config: self.config.clone().into(),
            voucher: Voucher {
                channel_id,
                max_claimable_amount: Amount(max),
                signature: self.sign(domain.voucher(channel_id, Amount(max))),
            },
            action: deed,
        };
        serde_json::to_value(SchemePayload::Batch(Box::new(batch))).unwrap()
    }

    pub fn voucher(&self, max: u128) -> Value {
        self.voucher_on(CHAIN, max)
    }

    pub fn voucher_on(&self, chain_id: u64, max: u128) -> Value {
        self.batch(chain_id, max, VoucherAction::Voucher)
    }

    pub fn refund(&self, charged: u128) -> Value {
        self.batch(CHAIN, charged, VoucherAction::Refund { amount: None })
    }

    /// A request of now for the refund of this number, which pays a fee.
    pub fn refund_request(&self, refund_nonce: u64, charged: u128, fee: u128) -> RefundRequest {
        let total = charged + fee;
        let mut request = RefundRequest {
            amount: None,
            refund_nonce,
            valid_before: now_ms() / 1_000 + 300,
            fee: Some(RefundFee {
                amount: Amount(fee),
                max_claimable_amount: Amount(total),
                signature: self.voucher_signature(total),
            }),
            signature: Bytes::new(),
        };
        let domain = BindingDomain::for_contract(CHAIN, ESCROW.into());
        request.signature = self.sign(request.digest(domain, self.channel()));
        request
    }

    pub fn deposit(&self, max: u128, amount: u128) -> Value {
        self.deposit_on(CHAIN, max, amount)
    }

    pub fn deposit_on(&self, chain_id: u64, max: u128, amount: u128) -> Value {
        let channel = EscrowDomain::for_chain(chain_id).channel_id(&self.config);
        let salt = number(7);
        let said = self.authorization(COLLECTOR.into(), amount, deposit_nonce(channel, salt));
        let deed = VoucherAction::Deposit(DepositPart {
            amount: Amount(amount),
            authorization: DepositAuthorization {
                erc3009: Some(Erc3009 {
                    valid_after: said.valid_after,
                    valid_before: said.valid_before,
                    salt,
                    signature: self.sign(domain(chain_id).receive(&said)),
                }),
            },
        });
        self.batch(chain_id, max, deed)
    }

    pub fn exact(&self, value: u128, nonce: u64) -> Value {
        self.exact_on(CHAIN, value, nonce)
    }

    pub fn exact_on(&self, chain_id: u64, value: u128, nonce: u64) -> Value {
        let authorization = self.authorization(self.config.receiver, value, number(nonce));
        let exact = ExactPayload {
            signature: self.sign(domain(chain_id).transfer(&authorization)),
            authorization,
        };
        serde_json::to_value(SchemePayload::Exact(exact)).unwrap()
    }

    /// A payment by `exact` that names its call, as its payer's word for it.
    pub fn exact_for(&self, shop: &Shop, call: &Call, (value, nonce): (u128, u64)) -> String {
        let payment = shop.payment(call, &self.exact(value, nonce));
        let request = request_hash("POST", call.path, call.body.to_string().as_bytes());
        let digest = BindingDomain::for_contract(CHAIN, token()).request(
            number(nonce),
            Amount(value),
            request,
        );
        let binding = RequestBinding {
            request_hash: request,
            signature: self.sign(digest),
        };
        extended(&payment, &binding)
    }

    /// Puts money into the channel without the shop.
    pub fn fills(&self, market: &Market, amount: u128) {
        self.fills_for(market, &self.config, amount);
    }

    /// The same for a channel that has this payer, whoever signs its vouchers.
    pub fn fills_for(&self, market: &Market, config: &ChannelTerms, amount: u128) {
        let channel = EscrowDomain::for_chain(CHAIN).channel_id(config);
        let salt = number(8);
        let nonce = deposit_nonce(channel, salt);
        let said = self.authorization(COLLECTOR.into(), amount, nonce);
        let deposit = DepositPermit {
            channel,
            config: config.clone(),
            amount: said.value,
            valid_after: said.valid_after,
            valid_before: said.valid_before,
            salt,
            signature: self.sign(domain(CHAIN).receive(&said)),
        };
        let seller = market.seller();
        seller.wait(seller.desk.deposit(&deposit)).unwrap();
    }

    fn authorization(&self, to: Address, value: u128, nonce: Word) -> TransferAuthorization {
        TransferAuthorization {
            from: self.address(),
            to,
            value: Amount(value),
            valid_after: U256::ZERO,
            valid_before: U256::from(FOREVER),
            nonce,
        }
    }
}

fn domain(chain_id: u64) -> TokenDomain {
    TokenDomain::for_token(TOKEN_NAME, "1", chain_id, token())
}

fn number(value: u64) -> Word {
    Word(B256::from(U256::from(value)).0)
}

/// What was charged for every voucher and authorization, by what it is of and the sum signed for.
pub fn charges(records: &[EventRecord]) -> Vec<(Word, u128, Vec<u128>)> {
    let mut open = std::collections::BTreeMap::new();
    let mut found: std::collections::BTreeMap<(Word, u128), Vec<u128>> = Default::default();
    for record in records {
        match &record.event {
            Event::CallReserved {
                request_id,
                payment: Some(payment),
                ..
            } => {
                let key = (payment.id, payment.authorised().0);
                found.entry(key).or_default();
                assert_eq!(open.insert(request_id.clone(), key), None);
            }
            Event::CallMetered {
                request_id,
                charge: Some(charge),
                ..
            } => {
                let key = open[request_id];
                found.get_mut(&key).unwrap().push(charge.amount.0);
            }
            _ => {}
        }
    }
    let row = |((id, max), charges)| (id, max, charges);
    found.into_iter().map(row).collect()
}

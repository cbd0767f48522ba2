//! A seller and its buyers for tests of settlement: a chain with a splitter on it, a desk with a
//! journal of its own, buyers who sign, and calls that cost.

use std::{path::Path, sync::Arc, time::Duration};

use alloy::{
    primitives::{B256, Bytes, U256, keccak256},
    signers::{SignerSync, local::PrivateKeySigner},
    sol,
    sol_types::{Eip712Domain, SolCall, SolStruct, eip712_domain},
};
use openlora_chain::{
    network::{Network, NetworkOptions},
    provider::Chain as Connected,
    registry::{ContributorPoolFactory, Origin, RevenueSplitterFactory, Share},
    transaction::TxLimits,
};
use openlora_contracts::{COLLECTOR, DEPLOYER, ESCROW, SALT, deployments, runtime_code};
use openlora_core::{Address, Amount, Word, error::Failure};
use openlora_journal::Journal;
use openlora_ledger::{
    CallWork, ChannelKey, ChannelTerms, CheckedPayment, Ledger, PaymentScheme, PriceList,
    ReceiverKey,
    event::{CallKind, ChannelOpened, Event, EventRecord, FinishReason, TokenUsage},
    findings::LedgerAudit,
    reconcile::reconcile,
    state::CurrentState,
    trail::AuditTrail,
};
use openlora_payments::settlement::{
    ChainSettlement, DepositPermit, SettlementClient, SettlementOptions, SettlementRecords,
    TransferPermit, audit,
};
use openlora_ports::FactLog;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::{
    deploy_support::{Chain, contract},
    devnet_support::{FIRST, Rpc, number},
    keys::{OWN, OWN_KEY, account},
    waiting,
};

sol! {
    struct Voucher {
        bytes32 channelId;
        uint128 maxClaimableAmount;
    }
    struct ReceiveWithAuthorization {
        address from;
        address to;
        uint256 value;
        uint256 validAfter;
        uint256 validBefore;
        bytes32 nonce;
    }
    struct TransferWithAuthorization {
        address from;
        address to;
        uint256 value;
        uint256 validAfter;
        uint256 validBefore;
        bytes32 nonce;
    }
    interface Minted {
        function mint(address to, uint256 amount) external;
        function balanceOf(address account) external view returns (uint256);
    }
    interface Factories {
        struct NewOrigin { uint256 homeChainId; address registry; uint256 id; uint32 version; }
        struct NewShare { address recipient; uint32 ppm; }
        function create(NewOrigin origin, NewShare[] shares) external returns (address splitter);
    }
}

/// What the seller itself gets of its revenue; the rest is the contributors'.
pub const OWN_PPM: u32 = 700_000;
pub const CHAIN_ID: u64 = 31_337;
/// Until when authorizations are good.
const FOREVER: u64 = 4_000_000_000;

/// A chain with money, a splitter, and a seller who can pay for gas.
pub struct Market {
    pub chain: Chain,
    pub rpc: Rpc,
    pub runtime: Arc<Runtime>,
    pub dir: tempfile::TempDir,
    pub token: Address,
    pub splitter: Address,
    pub pool: Address,
}

/// What a development chain of ours has from the beginning.
pub fn put_contracts(rpc: &Rpc) {
    for deployment in deployments().unwrap() {
        let data = [SALT.as_slice(), &deployment.init_code].concat();
        send(rpc, DEPLOYER.into(), &data.into());
    }
    for (name, at) in [
        ("BatchSettlementEscrow", ESCROW),
        ("ERC3009DepositCollector", COLLECTOR),
    ] {
        let code = runtime_code(name).unwrap();
        rpc.ok("anvil_setCode", json!([at, code]));
    }
}

impl Market {
    pub fn embedded() -> Self {
        Self::on(Chain::embedded())
    }

    pub fn anvil() -> Self {
        let chain = Chain::anvil();
        put_contracts(&chain.rpc());
        Self::on(chain)
    }

    /// One on a chain that can be reset.
    pub fn kept() -> Self {
        Self::on(Chain::kept())
    }

    /// The same market after its chain began anew.
    pub fn again(&self) {
        self.chain.reset();
        self.rpc
            .ok("anvil_setBalance", json!([OWN, "0x8ac7230489e80000"]));
        let (pool, splitter) = put_up(&self.rpc);
        assert_eq!((pool, splitter), (self.pool, self.splitter));
    }

    fn on(chain: Chain) -> Self {
        let rpc = chain.rpc();
        rpc.ok("anvil_setBalance", json!([OWN, "0x8ac7230489e80000"]));
        let (pool, splitter) = put_up(&rpc);
        Self {
            chain,
            rpc,
            runtime: Arc::new(Runtime::new().unwrap()),
            dir: tempfile::tempdir().unwrap(),
            token: contract("DevelopmentToken").parse().unwrap(),
            splitter,
            pool,
        }
    }

    pub fn network(&self, url: &str) -> Network {
        let wish = NetworkOptions {
            rpc: Some(url.to_owned()),
            token: Some(self.token.to_string()),
            ..NetworkOptions::default()
        };
        Network::resolve("local", &wish).unwrap()
    }

    pub fn seller(&self) -> Seller {
        self.seller_through(self.chain.url(), |_| {})
    }

    /// A seller whose journal is in the market's folder; the same one again after it is dropped.
    pub fn seller_through(&self, url: &str, adjust: impl FnOnce(&mut SettlementOptions)) -> Seller {
        let network = self.network(url);
        let path = self.dir.path().join("journal.sqlite");
        self.runtime
            .block_on(Seller::open(&network, &path, adjust))
            .on(&self.runtime)
    }

    pub fn receiver(&self) -> ReceiverKey {
        ReceiverKey {
            chain_id: CHAIN_ID,
            receiver: self.splitter,
            token: self.token,
        }
    }

    /// A buyer with so much money.
    pub fn buyer(&self, index: u64, funds: u128) -> Buyer {
        let key = B256::from(U256::from(0xb0b0_0000_u64 + index));
        let buyer = Buyer {
            signer: PrivateKeySigner::from_bytes(&key).unwrap(),
            token: self.token,
            splitter: self.splitter,
        };
        let mint = Minted::mintCall {
            to: buyer.signer.address(),
            amount: U256::from(funds),
        };
        send(&self.rpc, self.token, &mint.abi_encode().into());
        buyer
    }

    pub fn balance(&self, of: Address) -> u128 {
        let call = Minted::balanceOfCall { account: of.into() };
        let data = alloy::hex::encode_prefixed(call.abi_encode());
        let call = json!([{ "to": self.token.to_string(), "data": data }, "latest"]);
        number(&self.rpc.ok("eth_call", call))
    }

    /// Transactions of the seller that are mined.
    pub fn sent(&self) -> u128 {
        number(
            &self
                .rpc
                .ok("eth_getTransactionCount", json!([OWN, "latest"])),
        )
    }

    pub fn height(&self) -> u64 {
        number(&self.rpc.ok("eth_blockNumber", json!([]))) as u64
    }
}

/// Sends from the first development account; returns the receipt.
pub fn send(rpc: &Rpc, to: Address, data: &Bytes) -> Value {
    send_from(rpc, FIRST, to, data)
}

pub fn send_from(rpc: &Rpc, from: &str, to: Address, data: &Bytes) -> Value {
    let fields = json!({ "from": from, "to": to.to_string(), "data": data, "gas": "0x989680" });
    let hash = rpc.ok("eth_sendTransaction", json!([fields]));
    // Anvil answers before it mines.
    let receipt = waiting::wait_for(&format!("the receipt of {hash}"), || {
        let receipt = rpc.ok("eth_getTransactionReceipt", json!([hash]));
        (!receipt.is_null()).then_some(receipt)
    });
    assert_eq!(receipt["status"], "0x1", "{receipt}");
    receipt
}

/// A pool with one contributor, and a splitter between the seller and the pool.
fn put_up(rpc: &Rpc) -> (Address, Address) {
    let ask = |to: Address, data: Vec<u8>| -> Address {
        let data = alloy::hex::encode_prefixed(data);
        let call = json!([{ "to": to.to_string(), "data": data }, "latest"]);
        let answer: B256 = rpc.ok("eth_call", call).as_str().unwrap().parse().unwrap();
        alloy::primitives::Address::from_word(answer).into()
    };
    let own: Address = OWN.parse().unwrap();
    let pools: Address = contract("ContributorPoolFactory").parse().unwrap();
    let shares = vec![Share {
        recipient: own.into(),
        ppm: 1_000_000,
    }];
    let create = ContributorPoolFactory::createCall {
        operator: own.into(),
        delay: 7 * 24 * 3600,
        quorum: 500_001,
        shares: shares.clone(),
        salt: B256::ZERO,
    };
    let pool = ask(pools, create.abi_encode());
    send(rpc, pools, &create.abi_encode().into());
    let splitters: Address = contract("RevenueSplitterFactory").parse().unwrap();
    let mut shares = [(own, OWN_PPM), (pool, 1_000_000 - OWN_PPM)];
    shares.sort();
    let origin = Origin {
        homeChainId: U256::from(CHAIN_ID),
        registry: alloy::primitives::Address::ZERO,
        id: U256::from(1),
        version: 1,
    };
    let made = |(recipient, ppm): &(Address, u32)| Share {
        recipient: (*recipient).into(),
        ppm: *ppm,
    };
    let predict = RevenueSplitterFactory::predictCall {
        origin,
        shares: shares.iter().map(made).collect(),
    };
    let splitter = ask(splitters, predict.abi_encode());
    let new = |(recipient, ppm): &(Address, u32)| Factories::NewShare {
        recipient: (*recipient).into(),
        ppm: *ppm,
    };
    let create = Factories::createCall {
        origin: Factories::NewOrigin {
            homeChainId: U256::from(CHAIN_ID),
            registry: alloy::primitives::Address::ZERO,
            id: U256::from(1),
            version: 1,
        },
        shares: shares.iter().map(new).collect(),
    };
    send(rpc, splitters, &create.abi_encode().into());
    (pool, splitter)
}

/// A desk and its journal.
pub struct Seller {
    pub desk: Arc<SettlementClient>,
    pub ledger: Arc<SellerLedger>,
    pub journal: Journal,
    runtime: Option<Arc<Runtime>>,
}

/// A seller's journal and its state.
pub struct SellerLedger {
    journal: Journal,
    pub state: Arc<CurrentState>,
}

impl SellerLedger {
    pub fn ledger(&self) -> Ledger {
        self.state.read().ledger.clone()
    }

    pub async fn keep(&self, event: Event) -> Result<(), Failure> {
        self.journal.keep(event).await
    }
}

impl Seller {
    pub async fn open(
        network: &Network,
        path: &Path,
        adjust: impl FnOnce(&mut SettlementOptions),
    ) -> Self {
        let journal = Journal::open(path).unwrap();
        Self::over(network, (OWN_KEY, journal), adjust).await
    }

    /// With an account of its own, over what a journal has so far.
    pub async fn over(
        network: &Network,
        (key, journal): (&str, Journal),
        adjust: impl FnOnce(&mut SettlementOptions),
    ) -> Self {
        let ledger = Arc::new(SellerLedger {
            journal: journal.clone(),
            state: journal.state().await.unwrap(),
        });
        let limits = TxLimits {
            max_fee: None,
            patience: Duration::from_secs(5),
        };
        let mut options = SettlementOptions::for_network(network, limits);
        adjust(&mut options);
        let records = SettlementRecords {
            facts: Arc::new(journal.clone()),
            ledger: Arc::clone(&ledger.state) as _,
        };
        let chain = Connected::connect(network).await.unwrap();
        let desk = SettlementClient::new(chain, account(key), records, options);
        Self {
            desk: Arc::new(desk),
            ledger,
            journal,
            runtime: None,
        }
    }

    pub fn on(mut self, runtime: &Arc<Runtime>) -> Self {
        self.runtime = Some(Arc::clone(runtime));
        self
    }

    pub fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        let work = waiting::within_longest("the seller's work", work);
        self.runtime.as_ref().unwrap().block_on(work)
    }

    pub fn records(&self) -> Vec<EventRecord> {
        let mut records = Vec::new();
        self.journal
            .replay(1, |record| records.push(record.clone()))
            .unwrap();
        records
    }

    /// What an audit reads of the journal.
    pub fn trail(&self) -> AuditTrail {
        let mut trail = AuditTrail::default();
        self.journal
            .replay(1, |record| trail.apply(record))
            .unwrap();
        trail
    }

    /// The journal against the chain, one receiver after the other.
    pub fn audits(&self) -> Vec<LedgerAudit> {
        self.audits_of(&self.trail())
    }

    pub fn audits_of(&self, trail: &AuditTrail) -> Vec<LedgerAudit> {
        let evidence = self.wait(audit::gather(self.desk.chain(), trail, 0));
        let evidence = evidence.unwrap();
        evidence.iter().map(|it| reconcile(trail, it)).collect()
    }

    /// Events of a type, without their places.
    pub fn events(&self, kind: &str) -> Vec<Value> {
        let records = self.records().into_iter();
        let events = records.map(|record| serde_json::to_value(record.event).unwrap());
        events.filter(|event| event["type"] == kind).collect()
    }

    /// The buyer's deposit on the chain, and the channel in the journal.
    pub fn opens(&self, buyer: &Buyer, config: &ChannelTerms, amount: u128) -> Word {
        let deposit = buyer.deposit(config, amount, 1);
        self.wait(self.desk.deposit(&deposit)).unwrap();
        self.wait(self.opened(config));
        self.wait(self.desk.channel(deposit.channel)).unwrap();
        deposit.channel
    }

    pub async fn opened(&self, config: &ChannelTerms) {
        let opened = ChannelOpened {
            key: channel_key(channel_id(config)),
            config: config.clone(),
        };
        let event = Event::ChannelOpened(Box::new(opened));
        self.ledger.keep(event).await.unwrap();
    }

    /// A call that costs so much.
    pub fn charges(&self, buyer: &Buyer, config: &ChannelTerms, amount: u128) {
        let key = channel_key(channel_id(config));
        let book = self.ledger.ledger();
        let channel = &book.channels[&key];
        let before = channel.charged.amount();
        let payment = buyer.payment(config, before.0, amount);
        self.wait(self.keep_call(&format!("{key}:{}", channel.calls), payment));
    }

    pub async fn keep_call(&self, request_id: &str, payment: CheckedPayment) {
        let usage = TokenUsage {
            prompt_tokens: 0,
            completion_tokens: 1_000,
        };
        let charge = payment.charge(usage, FinishReason::Stop);
        let reserved = Event::CallReserved {
            request_id: request_id.into(),
            session: "one".into(),
            adapter: "tone".into(),
            adapter_digest: "00".into(),
            kind: CallKind::Chat,
            prompt_tokens: 0,
            request_hash: "00".into(),
            payment: Some(Box::new(payment)),
        };
        self.ledger.keep(reserved).await.unwrap();
        let metered = Event::CallMetered {
            request_id: request_id.into(),
            adapter: "tone".into(),
            adapter_digest: "00".into(),
            kind: CallKind::Chat,
            usage,
            finish: FinishReason::Stop,
            milliseconds: 1,
            first_token_milliseconds: None,
            request_hash: "00".into(),
            response_hash: "00".into(),
            charge: Some(Box::new(charge)),
            computation: None,
        };
        self.ledger.keep(metered).await.unwrap();
    }
}

pub fn channel_key(channel: Word) -> ChannelKey {
    ChannelKey {
        chain_id: CHAIN_ID,
        channel,
    }
}

fn escrow_domain() -> Eip712Domain {
    eip712_domain! {
        name: "x402 Batch Settlement",
        version: "1",
        chain_id: CHAIN_ID,
        verifying_contract: ESCROW,
    }
}

pub fn channel_id(config: &ChannelTerms) -> Word {
    let config = openlora_chain::registry::ChannelConfig::from(config);
    Word(config.eip712_signing_hash(&escrow_domain()).0)
}

/// Somebody with a key and money.
#[derive(Clone)]
pub struct Buyer {
    pub signer: PrivateKeySigner,
    token: Address,
    splitter: Address,
}

impl Buyer {
    /// The same one where somebody else is paid.
    pub fn paying(&self, splitter: Address) -> Self {
        Self {
            splitter,
            ..self.clone()
        }
    }

    pub fn address(&self) -> Address {
        self.signer.address().into()
    }

    pub fn config(&self, salt: u64) -> ChannelTerms {
        ChannelTerms {
            payer: self.address(),
            payer_authorizer: self.address(),
            receiver: self.splitter,
            receiver_authorizer: OWN.parse().unwrap(),
            token: self.token,
            withdraw_delay: 900,
            salt: Word(B256::from(U256::from(salt)).0),
        }
    }

    fn sign(&self, hash: B256) -> Bytes {
        let signature = self.signer.sign_hash_sync(&hash).unwrap();
        signature.as_bytes().to_vec().into()
    }

    fn token_domain(&self) -> Eip712Domain {
        let token: alloy::primitives::Address = self.token.into();
        eip712_domain! {
            name: "OpenLoRA Development USD",
            version: "1",
            chain_id: CHAIN_ID,
            verifying_contract: token,
        }
    }

    pub fn voucher(&self, config: &ChannelTerms, max: u128) -> Bytes {
        let voucher = Voucher {
            channelId: channel_id(config).0.into(),
            maxClaimableAmount: max,
        };
        self.sign(voucher.eip712_signing_hash(&escrow_domain()))
    }

    pub fn deposit(&self, config: &ChannelTerms, amount: u128, salt: u64) -> DepositPermit {
        self.deposit_until(config, amount, salt, FOREVER)
    }

    pub fn deposit_until(
        &self,
        config: &ChannelTerms,
        amount: u128,
        salt: u64,
        until: u64,
    ) -> DepositPermit {
        let channel = channel_id(config);
        let salt = Word(B256::from(U256::from(salt)).0);
        let authorization = ReceiveWithAuthorization {
            from: self.signer.address(),
            to: COLLECTOR,
            value: U256::from(amount),
            validAfter: U256::ZERO,
            validBefore: U256::from(until),
            nonce: keccak256([channel.0, salt.0].concat()),
        };
        let signature = self.sign(authorization.eip712_signing_hash(&self.token_domain()));
        DepositPermit {
            channel,
            config: config.clone(),
            amount: Amount(amount),
            valid_after: U256::ZERO,
            valid_before: U256::from(until),
            salt,
            signature,
        }
    }

    pub fn transfer(&self, value: u128, nonce: u64) -> TransferPermit {
        let nonce = B256::from(U256::from(nonce));
        let authorization = TransferWithAuthorization {
            from: self.signer.address(),
            to: self.splitter.into(),
            value: U256::from(value),
            validAfter: U256::ZERO,
            validBefore: U256::from(FOREVER),
            nonce,
        };
        let signature = self.sign(authorization.eip712_signing_hash(&self.token_domain()));
        TransferPermit {
            token: self.token,
            from: self.address(),
            to: self.splitter,
            value: Amount(value),
            valid_after: U256::ZERO,
            valid_before: U256::from(FOREVER),
            nonce: Word(nonce.0),
            signature,
        }
    }

    /// What the buyer allows for a call that costs `amount`.
    pub fn payment(&self, config: &ChannelTerms, before: u128, amount: u128) -> CheckedPayment {
        let prices = PriceList {
            completion: Amount(amount),
            ..PriceList::default()
        };
        CheckedPayment {
            scheme: PaymentScheme::BatchSettlement,
            chain_id: CHAIN_ID,
            token: config.token,
            receiver: config.receiver,
            payer: self.address(),
            id: channel_id(config),
            before: Amount(before),
            quote: Amount(amount),
            signature: self.voucher(config, before + amount).to_string(),
            prices,
            work: CallWork::Tokens {
                prompt: 0,
                completion: 1_000,
            },
            collected: false,
            party: None,
        }
    }
}

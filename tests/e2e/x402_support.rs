//! A till on an embedded chain, a server's part in a call, and headers of buyers, also such as no
//! honest client would send.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use alloy::{
    primitives::{B256, Bytes, U256, hex},
    signers::SignerSync,
    sol,
    sol_types::{SolCall, SolStruct, eip712_domain},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use openlora_contracts::ESCROW;
use openlora_core::{Address, Amount, Word};
use openlora_journal::Journal;
use openlora_ledger::{
    CallCharge, CallWork, ChannelTerms, Ledger, PriceList,
    event::{CallKind, Event, FinishReason, TokenUsage},
    state::{CurrentState, LedgerState},
};
use openlora_payments::{
    settlement::{DepositPermit, LedgerView, SettlementOptions, TransferPermit},
    x402::{
        ChainOffer, ContractPayers, Reason, SellerConfig, SponsorRules, X402Seller,
        binding::request_hash,
        wire::{
            BatchPayload, DepositAuthorization, DepositPart, Erc3009, ExactPayload, SchemePayload,
            TransferAuthorization, Voucher, VoucherAction,
        },
    },
};
use openlora_ports::{
    CallListing, OfferedCall, PaymentDemand, PaymentGateway, PaymentGuard, Presenter,
};
use serde_json::{Value, json};

use crate::{
    devnet_support::{FIRST, Rpc},
    paths::repository,
    settlement_support::{Buyer, Market, Seller, channel_id, send},
};

sol! {
    interface Cancels {
        function cancelAuthorization(address authorizer, bytes32 nonce, bytes signature) external;
        function transfer(address to, uint256 value) external returns (bool);
        function transferWithAuthorization(address from, address to, uint256 value, uint256 validAfter, uint256 validBefore, bytes32 nonce, bytes signature) external;
    }
}

// What other programs sign for the escrow and for a token.
sol! {
    struct Refund {
        bytes32 channelId;
        uint256 nonce;
        uint128 amount;
    }
    struct ClaimEntry {
        bytes32 channelId;
        uint128 maxClaimableAmount;
        uint128 totalClaimed;
    }
    struct ClaimBatch {
        ClaimEntry[] claims;
    }
    struct CancelAuthorization {
        address authorizer;
        bytes32 nonce;
    }
}

/// The digest of a struct that the escrow of a chain checks.
pub fn escrow_digest(chain_id: u64, signed: &impl SolStruct) -> Word {
    let domain = eip712_domain! {
        name: "x402 Batch Settlement",
        version: "1",
        chain_id: chain_id,
        verifying_contract: ESCROW,
    };
    signed.eip712_signing_hash(&domain).into()
}

pub const DIGEST: &str = "aa";
/// Of another adapter, which pays somebody else.
pub const OTHER_DIGEST: &str = "bb";
pub const OTHER_SPLITTER: Address = Address([0x77; 20]);
pub const TOKEN_NAME: &str = "OpenLoRA Development USD";
pub const MIN_DEPOSIT: u128 = 1_000;
/// Nothing is waited for.
pub const RULES: SponsorRules = SponsorRules {
    contract_payers: ContractPayers::Refuse,
    refund_pause: Duration::ZERO,
};

/// A seller with a till.
pub struct Stand {
    pub market: Arc<Market>,
    pub seller: Seller,
    pub till: Arc<X402Seller>,
}

impl Stand {
    pub fn new() -> Self {
        Self::on(Market::embedded(), |_| {})
    }

    pub fn on(market: impl Into<Arc<Market>>, adjust: impl FnOnce(&mut SettlementOptions)) -> Self {
        let market = market.into();
        let url = market.chain.url().to_owned();
        Self::through(market, &url, adjust)
    }

    /// One with an account of its own, over what a journal has so far; every payment sees the chain
    /// as it is then.
    pub fn over(market: &Arc<Market>, owner: (&str, Journal), rules: SponsorRules) -> Self {
        let network = market.network(market.chain.url());
        let opening = Seller::over(&network, owner, |options| options.fresh = Duration::ZERO);
        let seller = market.runtime.block_on(opening).on(&market.runtime);
        Self {
            till: till(market, &seller, rules),
            market: Arc::clone(market),
            seller,
        }
    }

    pub fn through(
        market: impl Into<Arc<Market>>,
        url: &str,
        adjust: impl FnOnce(&mut SettlementOptions),
    ) -> Self {
        let market = market.into();
        let seller = market.seller_through(url, adjust);
        let till = till(&market, &seller, RULES);
        Self {
            till,
            market,
            seller,
        }
    }

    /// The same seller after a restart.
    pub fn again(self) -> Self {
        let Self {
            market,
            seller,
            till,
        } = self;
        drop((till, seller));
        Self::on(market, |_| {})
    }

    /// One that remembers nothing.
    pub fn forgetful(&self) -> Arc<X402Seller> {
        self.with(Ledger::default())
    }

    /// One that remembers this.
    pub fn with(&self, book: Ledger) -> Arc<X402Seller> {
        let remembered = Arc::new(CurrentState::new(LedgerState {
            ledger: book,
            ..LedgerState::default()
        }));
        let counters = self.counters();
        till_at(counters, &self.market, (&self.seller, remembered), RULES)
    }

    /// With a till that takes `fee` for refunds.
    pub fn charging(self, fee: Amount) -> Self {
        self.charging_by(RULES, fee)
    }

    pub fn charging_by(mut self, rules: SponsorRules, fee: Amount) -> Self {
        let mut counters = counters(&self.market, &self.seller);
        for counter in &mut counters {
            counter.refund_fee = fee;
        }
        let ledger = Arc::clone(&self.seller.ledger.state) as _;
        self.till = till_at(counters, &self.market, (&self.seller, ledger), rules);
        self
    }

    /// With a till that keeps other rules.
    pub fn ruled(mut self, rules: SponsorRules) -> Self {
        self.till = till(&self.market, &self.seller, rules);
        self
    }

    pub fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.seller.wait(work)
    }

    pub fn counters(&self) -> Vec<ChainOffer> {
        counters(&self.market, &self.seller)
    }

    /// The offers as a buyer reads them: from channels, and exact.
    pub fn offers(&self, sale: &OfferedCall) -> [Value; 2] {
        let terms = refusal(self.till.terms(sale));
        let accepts = terms["terms"]["accepts"].as_array().unwrap().clone();
        accepts.try_into().unwrap()
    }

    /// Pays for a call by `payload`, as the current offer has it.
    pub fn open(
        &self,
        sale: &OfferedCall,
        payload: &Value,
    ) -> Result<Box<dyn PaymentGuard>, PaymentDemand> {
        let header = self.header(sale, payload);
        self.wait(self.till.open(sale, &header))
    }

    pub fn header(&self, sale: &OfferedCall, payload: &Value) -> String {
        let [batch, exact] = self.offers(sale);
        let accepted = match payload.get("authorization") {
            Some(_) => exact,
            None => batch,
        };
        header(&accepted, payload)
    }

    /// What a buyer is told whose payment is not taken.
    #[track_caller]
    pub fn refused(&self, sale: &OfferedCall, payload: &Value) -> Value {
        match self.open(sale, payload) {
            Err(unpaid) => refusal(unpaid),
            Ok(tab) => panic!("it is taken: {:?}", tab.payment()),
        }
    }

    /// The whole answer for a reason, without anything about a channel.
    pub fn because(&self, sale: &OfferedCall, reason: Reason) -> Value {
        self.required(sale, reason, reason.message())
    }

    pub fn required(&self, sale: &OfferedCall, reason: Reason, message: &str) -> Value {
        json!({
            "code": reason.code(),
            "message": message,
            "terms": {
                "x402Version": 2,
                "error": reason.code(),
                "resource": {
                    "url": sale.resource,
                    "description": "A call of the adapter tone",
                    "mimeType": "application/json",
                },
                "accepts": self.offers(sale),
            },
        })
    }

    /// The answer to a payer whose channel we have otherwise.
    pub fn corrected(
        &self,
        sale: &OfferedCall,
        reason: Reason,
        state: &Value,
        voucher: &Value,
    ) -> Value {
        let mut answer = self.because(sale, reason);
        let extra = &mut answer["terms"]["accepts"][0]["extra"];
        extra["channelState"] = state.clone();
        if !voucher.is_null() {
            extra["voucherState"] = voucher.clone();
        }
        answer
    }

    /// A whole call of so many of its 1000 tokens; returns what the payer is told.
    pub fn call(
        &self,
        sale: &OfferedCall,
        payload: &Value,
        tokens: u64,
    ) -> Result<Value, PaymentDemand> {
        let header = self.header(sale, payload);
        self.wait(self.serve(&self.till, sale, &header, tokens))
    }

    pub async fn serve(
        &self,
        till: &X402Seller,
        sale: &OfferedCall,
        header: &str,
        tokens: u64,
    ) -> Result<Value, PaymentDemand> {
        let mut tab = till.open(sale, header).await?;
        tab.commit().await?;
        self.reserve(sale, &*tab).await;
        tab.reserved().await?;
        Ok(self.close(sale, tab, tokens).await)
    }

    pub async fn reserve(&self, sale: &OfferedCall, tab: &dyn PaymentGuard) {
        let reserved = Event::CallReserved {
            request_id: sale.request_id.clone(),
            session: "one".into(),
            adapter: sale.adapter.clone(),
            adapter_digest: sale.adapter_digest.clone(),
            kind: CallKind::Chat,
            prompt_tokens: 0,
            request_hash: sale.request_hash.clone(),
            payment: Some(Box::new(tab.payment().clone())),
        };
        self.seller.ledger.keep(reserved).await.unwrap();
    }

    pub async fn close(
        &self,
        sale: &OfferedCall,
        tab: Box<dyn PaymentGuard>,
        tokens: u64,
    ) -> Value {
        let usage = TokenUsage {
            prompt_tokens: 0,
            completion_tokens: tokens,
        };
        let finish = match tokens {
            0 => FinishReason::Failed,
            _ => FinishReason::Stop,
        };
        let charge: CallCharge = tab.payment().charge(usage, finish);
        let metered = Event::CallMetered {
            request_id: sale.request_id.clone(),
            adapter: sale.adapter.clone(),
            adapter_digest: sale.adapter_digest.clone(),
            kind: CallKind::Chat,
            usage,
            finish,
            milliseconds: 1,
            first_token_milliseconds: None,
            request_hash: sale.request_hash.clone(),
            response_hash: "00".into(),
            charge: Some(Box::new(charge.clone())),
            computation: None,
        };
        assert_eq!(tab.check_charge(&charge), Ok(()));
        let response = decoded(&tab.response(&charge));
        self.seller.ledger.keep(metered).await.unwrap();
        drop(tab);
        response
    }

    /// Creates a contract of the test data; returns its address.
    pub fn create(rpc: &Rpc, name: &str, arguments: &[u8]) -> Address {
        let path = repository().join(format!("tests/data/tokens/{name}.hex"));
        let code = std::fs::read_to_string(path).unwrap();
        let code = [hex::decode(code.trim()).unwrap(), arguments.to_vec()].concat();
        let fields =
            json!({ "from": FIRST, "data": hex::encode_prefixed(code), "gas": "0x989680" });
        let hash = rpc.ok("eth_sendTransaction", json!([fields]));
        let receipt = rpc.ok("eth_getTransactionReceipt", json!([hash]));
        assert_eq!(receipt["status"], "0x1", "{receipt}");
        receipt["contractAddress"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap()
    }

    /// Makes an authorization of the buyer's void.
    pub fn cancel(&self, buyer: &Buyer, nonce: Word) {
        let cancelled = CancelAuthorization {
            authorizer: buyer.signer.address(),
            nonce: nonce.into(),
        };
        let domain = eip712_domain! {
            name: TOKEN_NAME,
            version: "1",
            chain_id: 31_337,
            verifying_contract: self.market.token.into(),
        };
        let digest = cancelled.eip712_signing_hash(&domain);
        let call = Cancels::cancelAuthorizationCall {
            authorizer: cancelled.authorizer,
            nonce: cancelled.nonce,
            signature: signed(buyer, digest.into()),
        };
        send(
            &self.market.rpc,
            self.market.token,
            &call.abi_encode().into(),
        );
    }
}

/// Submits a transfer, as anybody may.
pub fn submission(transfer: &TransferPermit) -> Bytes {
    let call = Cancels::transferWithAuthorizationCall {
        from: transfer.from.into(),
        to: transfer.to.into(),
        value: U256::from(transfer.value.0),
        validAfter: transfer.valid_after,
        validBefore: transfer.valid_before,
        nonce: transfer.nonce.0.into(),
        signature: transfer.signature.clone(),
    };
    call.abi_encode().into()
}

/// Money from one account to another, whosever they are.
pub fn moved(rpc: &Rpc, token: Address, (from, to): (Address, Address), amount: u128) {
    let from = from.to_string();
    rpc.ok("anvil_setBalance", json!([from, "0x8ac7230489e80000"]));
    rpc.ok("anvil_impersonateAccount", json!([from]));
    let call = Cancels::transferCall {
        to: to.into(),
        value: U256::from(amount),
    };
    let data = call.abi_encode().into();
    crate::settlement_support::send_from(rpc, &from, token, &data);
}

pub fn token_domain(token: Address) -> openlora_payments::x402::digest::TokenDomain {
    openlora_payments::x402::digest::TokenDomain::for_token(TOKEN_NAME, "1", 31_337, token)
}

pub fn signed(buyer: &Buyer, digest: Word) -> Bytes {
    let signature = buyer.signer.sign_hash_sync(&B256::from(digest.0)).unwrap();
    signature.as_bytes().to_vec().into()
}

fn counters(market: &Market, seller: &Seller) -> Vec<ChainOffer> {
    vec![ChainOffer {
        settlement: Arc::clone(&seller.desk) as _,
        others: BTreeMap::new(),
        token: market.token,
        token_symbol: "dUSD".into(),
        token_decimals: 6,
        token_name: TOKEN_NAME.into(),
        token_version: "1".into(),
        withdraw_delay: 900,
        min_deposit: Amount(MIN_DEPOSIT),
        refund_fee: Amount::ZERO,
        min_exact: Amount::ZERO,
    }]
}

fn till(market: &Market, seller: &Seller, rules: SponsorRules) -> Arc<X402Seller> {
    let ledger = Arc::clone(&seller.ledger.state) as _;
    till_at(counters(market, seller), market, (seller, ledger), rules)
}

fn till_at(
    counters: Vec<ChainOffer>,
    market: &Market,
    (seller, ledger): (&Seller, Arc<dyn LedgerView>),
    rules: SponsorRules,
) -> Arc<X402Seller> {
    let stalls = [(DIGEST, market.splitter), (OTHER_DIGEST, OTHER_SPLITTER)];
    let stalls: BTreeMap<String, Address> = stalls.map(|(it, to)| (it.to_owned(), to)).into();
    let shop = SellerConfig {
        pay_to: stalls,
        offers: counters,
        account: seller.desk.account(),
        facts: Arc::new(seller.journal.clone()),
        ledger,
        rules,
    };
    Arc::new(X402Seller::new(shop))
}

/// A call that costs `quote` when all of its 1000 tokens come.
pub fn sale(quote: u128) -> OfferedCall {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    OfferedCall {
        adapter: "tone".into(),
        adapter_digest: DIGEST.into(),
        resource: "http://localhost/v1/chat/completions".into(),
        media_type: "application/json",
        listing: CallListing::default(),
        request_id: format!("request-{number}"),
        request_hash: format!("hash-{number}"),
        request: request_hash("POST", "/v1/chat/completions", &number.to_le_bytes()),
        presenter: Presenter {
            request_id: format!("shown-{number}"),
            ..Presenter::default()
        },
        work: CallWork::Tokens {
            prompt: 0,
            completion: 1_000,
        },
        prices: PriceList {
            completion: Amount(quote),
            ..PriceList::default()
        },
        quote: Amount(quote),
    }
}

pub fn header(accepted: &Value, payload: &Value) -> String {
    let payment = json!({ "x402Version": 2, "accepted": accepted, "payload": payload });
    STANDARD.encode(payment.to_string())
}

pub fn decoded(header: &str) -> Value {
    serde_json::from_slice(&STANDARD.decode(header).unwrap()).unwrap()
}

/// An answer as one value.
pub fn refusal(unpaid: PaymentDemand) -> Value {
    match unpaid {
        PaymentDemand::Malformed { message } => json!({ "malformed": message }),
        PaymentDemand::Required {
            code,
            message,
            amounts,
            terms,
            ..
        } => {
            let mut told = json!({ "code": code, "message": message, "terms": decoded(&terms) });
            if !amounts.is_empty() {
                told["amounts"] = json!(amounts);
            }
            told
        }
        PaymentDemand::Used {
            request_id,
            request_hash,
            named_by: None,
            otherwise,
        } => json!({ "used": [request_id, request_hash], "otherwise": refusal(*otherwise) }),
        PaymentDemand::Used {
            request_id,
            request_hash,
            named_by: Some(payer),
            otherwise,
        } => json!({
            "used": [request_id, request_hash],
            "namedBy": payer.to_string(),
            "otherwise": refusal(*otherwise),
        }),
        PaymentDemand::Unavailable {
            message,
            retry_after,
        } => json!({ "unavailable": message, "retryAfter": retry_after }),
        PaymentDemand::Stopped {
            code,
            message,
            retry_after,
        } => json!({ "stopped": code, "message": message, "retryAfter": retry_after }),
    }
}

/// A payload from parts, whoever signed them.
pub fn batch(config: &ChannelTerms, max: u128, signature: Bytes, deed: VoucherAction) -> Value {
    let batch = BatchPayload {
        config: config.clone().into(),
        voucher: Voucher {
            channel_id: channel_id(config),
            max_claimable_amount: Amount(max),
            signature,
        },
        action: deed,
    };
    serde_json::to_value(SchemePayload::Batch(Box::new(batch))).unwrap()
}

pub fn voucher(buyer: &Buyer, config: &ChannelTerms, max: u128) -> Value {
    batch(
        config,
        max,
        buyer.voucher(config, max),
        VoucherAction::Voucher,
    )
}

/// A voucher with a deposit whose authorization has the nonce of `salt`.
pub fn deposit(
    buyer: &Buyer,
    config: &ChannelTerms,
    max: u128,
    (amount, salt): (u128, u64),
) -> Value {
    let deed = deposit_deed(buyer.deposit(config, amount, salt));
    batch(config, max, buyer.voucher(config, max), deed)
}

pub fn deposit_deed(deposit: DepositPermit) -> VoucherAction {
    VoucherAction::Deposit(DepositPart {
        amount: deposit.amount,
        authorization: DepositAuthorization {
            erc3009: Some(Erc3009 {
                valid_after: deposit.valid_after,
                valid_before: deposit.valid_before,
                salt: deposit.salt,
                signature: deposit.signature,
            }),
        },
    })
}

pub fn refund(buyer: &Buyer, config: &ChannelTerms, charged: u128, amount: Option<u128>) -> Value {
    let amount = amount.map(Amount);
    batch(
        config,
        charged,
        buyer.voucher(config, charged),
        VoucherAction::Refund { amount },
    )
}

pub fn exact(transfer: &TransferPermit) -> Value {
    let exact = ExactPayload {
        signature: transfer.signature.clone(),
        authorization: TransferAuthorization {
            from: transfer.from,
            to: transfer.to,
            value: transfer.value,
            valid_after: transfer.valid_after,
            valid_before: transfer.valid_before,
            nonce: transfer.nonce,
        },
    };
    serde_json::to_value(SchemePayload::Exact(exact)).unwrap()
}

/// The channel as payers are told of it.
pub fn state(channel: Word, balance: u128, claimed: u128, charged: u128) -> Value {
    json!({
        "channelId": channel,
        "balance": Amount(balance),
        "totalClaimed": Amount(claimed),
        "withdrawRequestedAt": 0,
        "refundNonce": "0",
        "chargedCumulativeAmount": Amount(charged),
    })
}

pub fn number(value: u64) -> Word {
    Word(B256::from(U256::from(value)).0)
}

//! A facilitator: checks payments for other sellers, and submits them to chains at our gas cost.
//!
//! It holds no key of other sellers. Claims and refunds need the signature of the seller's receiver
//! authorizer, so none is offered for delegation. Only the tokens of our own offers are moved.
//! Answers have the format that stock sellers read.
//!
//! A payment is confirmed once. `/settle` answers `success` to the first request with an unused
//! authorization, and `invalid_exact_evm_nonce_already_used` to every request after that, including
//! the same request. Until then the same request, byte for byte, may be repeated. The first answer
//! of success ends this, whether or not it arrives.

mod actions;

use std::sync::Arc;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{
    catalogue::{BAZAAR, ResourceCatalogue},
    channel_session::{covers, state},
    checks::{check_terms, check_voucher},
    exact::check_offer,
    lane::{ChainOffer, PaymentMethod},
    reason::Reason,
    refusal::PaymentRefusal,
    wire::{
        BATCH_SETTLEMENT, BatchPayload, ClearingRequest, EXACT, ExactPayload, PaymentRequirements,
        SchemePayload, SettleResponse, SignedAction, VERSION, VoucherAction, WireProblem, chain_id,
        network,
    },
};
use crate::settlement::{ChainFailure, DepositPermit, ForeignPayment, TransferPermit};
use openlora_core::{Address, Amount, Word};
use openlora_ledger::ChannelTerms;
use openlora_ports::{Facilitator, FacilitatorError, ListedResource};

/// When to ask again if the outcome on the chain is not known, in seconds.
const RETRY_SECONDS: u64 = 5;

/// Clears payments for other sellers.
pub struct FacilitatorService {
    methods: Vec<Arc<PaymentMethod>>,
    /// The account that pays for gas.
    account: Address,
    /// Absent if resources of other sellers are not listed.
    catalogue: Option<ResourceCatalogue>,
}

/// A request for one of our payment methods.
struct FacilitatorRequest {
    method: Arc<PaymentMethod>,
    offer: PaymentRequirements,
    payload: SchemePayload,
    /// SHA-256 of the whole request. A payment that is cleared for one request is not cleared for
    /// another.
    request: Word,
}

/// A valid payment, and the action that it requires.
struct VerifiedPayment {
    payer: Address,
    extra: Value,
    action: ClearingAction,
}

enum ClearingAction {
    Transfer(TransferPermit),
    Deposit(DepositPermit),
    /// The seller claims a voucher later.
    Nothing,
}

/// The reason for a rejection, and the payer if it is known.
struct RejectedPayment(Option<Address>, PaymentRefusal);

impl From<PaymentRefusal> for RejectedPayment {
    fn from(refused: PaymentRefusal) -> Self {
        Self(None, refused)
    }
}

impl From<WireProblem> for RejectedPayment {
    fn from(problem: WireProblem) -> Self {
        Self(None, problem.into())
    }
}

impl FacilitatorService {
    pub fn new(counters: Vec<ChainOffer>, account: Address) -> Self {
        let method = |chain_offer| Arc::new(PaymentMethod::new(chain_offer));
        Self {
            methods: counters.into_iter().map(method).collect(),
            account,
            catalogue: None,
        }
    }

    /// Lists the resources whose payments are settled.
    pub fn with_catalogue(mut self, catalogue: ResourceCatalogue) -> Self {
        self.catalogue = Some(catalogue);
        self
    }

    /// Settles a payer's payment, and lists what it was for.
    async fn settled(
        &self,
        request: ClearingRequest,
        digest: Word,
    ) -> Result<SettleResponse, RejectedPayment> {
        let asked = self.asked(request.clone(), digest)?;
        let cleared = self.cleared(&asked).await?;
        if let Some(catalogue) = &self.catalogue {
            catalogue.observe(&request);
        }
        Ok(cleared)
    }

    /// The payment method of a seller's offer that the payer took.
    fn lane(&self, request: &ClearingRequest) -> Result<Arc<PaymentMethod>, PaymentRefusal> {
        let (accepted, wanted) = (request.payment.accepted()?, &request.requirements);
        let (scheme, elsewhere) = match wanted.scheme.as_str() {
            EXACT => (Reason::ExactScheme, Reason::ExactNetwork),
            BATCH_SETTLEMENT => (Reason::BatchScheme, Reason::BatchNetwork),
            _ => return Err(Reason::UnsupportedScheme.into()),
        };
        if accepted.scheme != wanted.scheme {
            return Err(scheme.into());
        }
        let chain = chain_id(&wanted.network).filter(|_| accepted.network == wanted.network);
        let mut methods = self.methods.iter();
        let method = methods.find(|method| Some(method.chain_id) == chain);
        let method = method.ok_or(elsewhere)?;
        if wanted.asset != method.chain_offer.token {
            return Err(Reason::Token.into());
        }
        Ok(Arc::clone(method))
    }

    fn asked(
        &self,
        request: ClearingRequest,
        digest: Word,
    ) -> Result<FacilitatorRequest, PaymentRefusal> {
        let method = self.lane(&request)?;
        let offer = request.requirements;
        let payload = SchemePayload::parse(&offer.scheme, &request.payment.payload)?;
        let payload = payload.ok_or(Reason::UnsupportedScheme)?;
        Ok(FacilitatorRequest {
            method,
            offer,
            payload,
            request: digest,
        })
    }

    /// Submits the action of a payment.
    async fn cleared(&self, asked: &FacilitatorRequest) -> Result<SettleResponse, RejectedPayment> {
        let good = asked.checked().await?;
        let owner = |refused| RejectedPayment(Some(good.payer), refused);
        let settlement = asked.method.settlement();
        let (done, amount, channel) = match &good.action {
            ClearingAction::Nothing => return Err(owner(Reason::PayloadType.into())),
            ClearingAction::Transfer(transfer) => {
                let done = settlement.clear(ForeignPayment::Transfer(transfer), asked.request);
                let done = done.await;
                let done = done
                    .map_err(|it| owner(PaymentRefusal::from_failure(Reason::ExactFailed)(it)))?;
                (done, transfer.value, None)
            }
            ClearingAction::Deposit(deposit) => {
                let done = settlement.clear(ForeignPayment::Deposit(deposit), asked.request);
                let done = done.await;
                let done = done
                    .map_err(|it| owner(PaymentRefusal::from_failure(Reason::DepositFailed)(it)))?;
                (done, deposit.amount, Some(deposit.channel))
            }
        };
        let view = channel.zip(done.view.as_ref());
        Ok(SettleResponse {
            success: true,
            payer: Some(good.payer.to_string()),
            transaction: done.tx,
            network: network(asked.method.chain_id),
            amount: Some(amount.to_string()),
            extra: view.map(|(channel, view)| actions::channel_extra(channel, view)),
            ..SettleResponse::default()
        })
    }
}

impl FacilitatorRequest {
    /// Makes every check that is possible before a payment is sent.
    async fn checked(&self) -> Result<VerifiedPayment, RejectedPayment> {
        let (payer, checked) = match &self.payload {
            SchemePayload::Exact(exact) => (exact.authorization.from, self.exact(exact).await),
            SchemePayload::Batch(batch) => (batch.config.payer, self.batch(batch).await),
        };
        let (extra, action) = checked.map_err(|refused| RejectedPayment(Some(payer), refused))?;
        Ok(VerifiedPayment {
            payer,
            extra,
            action,
        })
    }

    async fn exact(&self, exact: &ExactPayload) -> Result<(Value, ClearingAction), PaymentRefusal> {
        check_offer(&exact.authorization, &self.offer)?;
        self.check_domain()?;
        self.method.check_signature(exact).await?;
        let transfer = self.method.transfer(exact);
        if !self.has_begun(ForeignPayment::Transfer(&transfer)).await? {
            self.method.check_transfer(&transfer).await?;
        }
        Ok((Value::Null, ClearingAction::Transfer(transfer)))
    }

    /// Whether this request began to clear the payment and has not been answered with the outcome.
    /// A request is refused if its authorization is used or belongs to another request.
    async fn has_begun(&self, payment: ForeignPayment<'_>) -> Result<bool, PaymentRefusal> {
        let asked = self.method.settlement().clearable(payment, self.request);
        asked
            .await
            .map_err(PaymentRefusal::from_failure(Reason::ExactUsed))
    }

    /// The seller's offer names the token's own signing domain.
    fn check_domain(&self) -> Result<(), Reason> {
        let (extra, chain_offer) = (&self.offer.extra, &self.method.chain_offer);
        let named = extra.name.as_ref() == Some(&chain_offer.token_name)
            && extra.version.as_ref() == Some(&chain_offer.token_version);
        match named {
            true => Ok(()),
            false => Err(Reason::TokenName),
        }
    }

    async fn batch(&self, batch: &BatchPayload) -> Result<(Value, ClearingAction), PaymentRefusal> {
        let (method, voucher) = (&self.method, &batch.voucher);
        let config = ChannelTerms::from(batch.config.clone());
        check_terms(&method.escrow, &config, voucher.channel_id, &self.offer)?;
        let settlement = method.settlement();
        check_voucher(settlement, &method.escrow, &config, voucher).await?;
        let view = settlement.channel(voucher.channel_id).await?;
        let (arriving, action) = match &batch.action {
            VoucherAction::Deposit(part) => {
                let channel = voucher.channel_id;
                let deposit = method.deposit(channel, &config, part, Amount(1)).await?;
                if !self.has_begun(ForeignPayment::Deposit(&deposit)).await? {
                    let checked = settlement.check_deposit(&deposit).await;
                    checked.map_err(PaymentRefusal::from_failure(Reason::DepositRefused))?;
                }
                (deposit.amount, ClearingAction::Deposit(deposit))
            }
            VoucherAction::Voucher | VoucherAction::Refund { .. } => {
                (Amount::ZERO, ClearingAction::Nothing)
            }
        };
        let max = voucher.max_claimable_amount;
        match covers(&view, arriving, max) {
            // A refund pays for nothing: everything may already be claimed.
            Err(Reason::BelowClaimed)
                if matches!(batch.action, VoucherAction::Refund { .. }) && max == view.claimed => {}
            covered => covered?,
        }
        let extra = serde_json::to_value(state(voucher.channel_id, &view));
        Ok((extra.unwrap_or_default(), action))
    }
}

/// The hash that distinguishes a request from others.
fn digest(body: &Value) -> Word {
    Word(Sha256::digest(body.to_string()).into())
}

/// An answer, or the reason why there is none.
fn said<T>(
    answer: Result<T, RejectedPayment>,
    good: impl FnOnce(T) -> Value,
    bad: impl FnOnce(Option<Address>, Reason, String) -> Value,
) -> Result<Value, FacilitatorError> {
    let RejectedPayment(payer, refused) = match answer {
        Ok(answer) => return Ok(good(answer)),
        Err(bad) => bad,
    };
    match refused {
        PaymentRefusal::Because(reason) | PaymentRefusal::Stale(reason, _) => {
            Ok(bad(payer, reason, String::new()))
        }
        PaymentRefusal::Trouble(ChainFailure::Unknown { tx }) => {
            Ok(bad(payer, Reason::Pending, tx))
        }
        PaymentRefusal::Malformed(problem) => Err(FacilitatorError::Malformed {
            message: format!("Invalid request: {problem}."),
        }),
        other => {
            tracing::warn!(?other, "a facilitator's request waits for its chain");
            Err(FacilitatorError::Unavailable {
                message: Reason::RpcReadFailed.message().to_owned(),
                retry_after: RETRY_SECONDS,
            })
        }
    }
}

fn verified(good: VerifiedPayment) -> Value {
    let mut answer = json!({ "isValid": true, "payer": good.payer });
    if !good.extra.is_null() {
        answer["extra"] = good.extra;
    }
    answer
}

fn invalid(payer: Option<Address>, reason: Reason, _: String) -> Value {
    let mut answer = json!({
        "isValid": false,
        "invalidReason": reason.code(),
        "invalidMessage": reason.message(),
    });
    if let Some(payer) = payer {
        answer["payer"] = json!(payer);
    }
    answer
}

#[async_trait::async_trait]
impl Facilitator for FacilitatorService {
    fn supported(&self) -> Value {
        let kinds: Vec<Value> = [BATCH_SETTLEMENT, EXACT]
            .iter()
            .flat_map(|scheme| {
                self.methods.iter().map(move |method| {
                    let network = network(method.chain_id);
                    json!({ "x402Version": VERSION, "scheme": scheme, "network": network })
                })
            })
            .collect();
        let extensions: &[&str] = match &self.catalogue {
            Some(_) => &[BAZAAR],
            None => &[],
        };
        json!({
            "kinds": kinds,
            "extensions": extensions,
            "signers": { "eip155:*": [self.account] },
        })
    }

    fn catalogued(&self) -> Vec<ListedResource> {
        let listed = self.catalogue.as_ref().map(ResourceCatalogue::listed);
        listed.unwrap_or_default()
    }

    async fn verify(&self, body: Value) -> Result<Value, FacilitatorError> {
        let digest = digest(&body);
        let checked = async {
            let asked = self.asked(ClearingRequest::from_value(body)?, digest)?;
            asked.checked().await
        };
        said(checked.await, verified, invalid)
    }

    async fn settle_payment(&self, body: Value) -> Result<Value, FacilitatorError> {
        let wanted = body["paymentRequirements"]["network"].clone();
        let digest = digest(&body);
        let settled = async {
            let request = ClearingRequest::from_value(body)?;
            match SignedAction::parse(&request.payment.payload)? {
                Some(signed) if request.requirements.scheme == BATCH_SETTLEMENT => {
                    let method = self.lane(&request)?;
                    Ok(actions::passed_on(&method, &signed).await?)
                }
                _ => self.settled(request, digest).await,
            }
        };
        let good = |response| serde_json::to_value::<SettleResponse>(response).unwrap_or_default();
        said(settled.await, good, |payer, reason, tx| {
            let mut answer = json!({
                "success": false,
                "errorReason": reason.code(),
                "errorMessage": reason.message(),
                "transaction": tx,
                "network": wanted,
            });
            if let Some(payer) = payer {
                answer["payer"] = json!(payer);
            }
            answer
        })
    }
}

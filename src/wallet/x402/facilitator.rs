//! A facilitator: checks payments for other sellers, and puts them on chains at our cost of gas.
//!
//! It holds no key of theirs: claims and refunds need the signature of the seller's receiver
//! authorizer, so none is offered to be delegated to. Only the tokens of our own counters are
//! moved. Answers have the forms that stock sellers read.
//!
//! A payment is confirmed once: `/settle` says `success` to the first request with an
//! authorization that nobody has used, and `invalid_exact_evm_nonce_already_used` to every request
//! after that, this one included. Until then the same request, byte for byte, may be repeated: the
//! first answer of success ends it, whether or not it arrives.

mod deeds;

use std::sync::Arc;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{
    checks::{check_terms, check_voucher},
    exact::check_offer,
    lane::{Counter, Lane},
    line::{covers, state},
    reason::Reason,
    refused::Refused,
    wire::{
        BATCH_SETTLEMENT, Batch, ClearingRequest, Deed, EXACT, Exact, Payload, Requirements,
        SettleResponse, Signed, VERSION, WireProblem, chain_id, network,
    },
};
use crate::{
    runtime::{
        ledger::{Address, Amount, ChannelConfig, Word},
        ports::{Facilitator, Unserved},
    },
    wallet::settlement::{Deposit, Foreign, Transfer, Trouble},
};

/// When to ask again for what the chain does not say now, in seconds.
const RETRY_SECONDS: u64 = 5;

/// Clears payments for others.
pub struct Clearing {
    lanes: Vec<Arc<Lane>>,
    /// Who pays for gas.
    account: Address,
}

/// A request for one of our lanes.
struct Asked {
    lane: Arc<Lane>,
    offer: Requirements,
    payload: Payload,
    /// SHA-256 of the whole request: what is cleared for one is not cleared for another.
    request: Word,
}

/// A payment that is good, and what is to be done for it.
struct Good {
    payer: Address,
    extra: Value,
    deed: Clear,
}

enum Clear {
    Transfer(Transfer),
    Deposit(Deposit),
    /// A voucher is claimed by its seller later.
    Nothing,
}

/// What is not good, and whose it is as far as that is known.
struct Bad(Option<Address>, Refused);

impl From<Refused> for Bad {
    fn from(refused: Refused) -> Self {
        Self(None, refused)
    }
}

impl From<WireProblem> for Bad {
    fn from(problem: WireProblem) -> Self {
        Self(None, problem.into())
    }
}

impl Clearing {
    pub fn new(counters: Vec<Counter>, account: Address) -> Self {
        let lane = |counter| Arc::new(Lane::new(counter));
        Self {
            lanes: counters.into_iter().map(lane).collect(),
            account,
        }
    }

    /// The lane of a seller's offer, which the payer took.
    fn lane(&self, request: &ClearingRequest) -> Result<Arc<Lane>, Refused> {
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
        let mut lanes = self.lanes.iter();
        let lane = lanes.find(|lane| Some(lane.chain_id) == chain);
        let lane = lane.ok_or(elsewhere)?;
        if wanted.asset != lane.counter.token {
            return Err(Reason::Token.into());
        }
        Ok(Arc::clone(lane))
    }

    fn asked(&self, request: ClearingRequest, digest: Word) -> Result<Asked, Refused> {
        let lane = self.lane(&request)?;
        let offer = request.requirements;
        let payload = Payload::of(&offer.scheme, &request.payment.payload)?;
        let payload = payload.ok_or(Reason::UnsupportedScheme)?;
        Ok(Asked {
            lane,
            offer,
            payload,
            request: digest,
        })
    }

    /// Sends what a payment asks for.
    async fn cleared(&self, asked: &Asked) -> Result<SettleResponse, Bad> {
        let good = asked.checked().await?;
        let owner = |refused| Bad(Some(good.payer), refused);
        let settlement = asked.lane.settlement();
        let funded = asked.lane.funded().await;
        funded.map_err(|(refused, _)| owner(refused))?;
        let (done, amount, channel) = match &good.deed {
            Clear::Nothing => return Err(owner(Reason::PayloadType.into())),
            Clear::Transfer(transfer) => {
                let done = settlement.clear(Foreign::Transfer(transfer), asked.request);
                let done = done.await;
                let done = done.map_err(|it| owner(Refused::of(Reason::ExactFailed)(it)))?;
                (done, transfer.value, None)
            }
            Clear::Deposit(deposit) => {
                let done = settlement.clear(Foreign::Deposit(deposit), asked.request);
                let done = done.await;
                let done = done.map_err(|it| owner(Refused::of(Reason::DepositFailed)(it)))?;
                (done, deposit.amount, Some(deposit.channel))
            }
        };
        let view = channel.zip(done.view.as_ref());
        Ok(SettleResponse {
            success: true,
            payer: Some(good.payer.to_string()),
            transaction: done.tx,
            network: network(asked.lane.chain_id),
            amount: Some(amount.to_string()),
            extra: view.map(|(channel, view)| deeds::after(channel, view)),
            ..SettleResponse::default()
        })
    }
}

impl Asked {
    /// Everything that can be known of a payment before it is sent.
    async fn checked(&self) -> Result<Good, Bad> {
        let (payer, checked) = match &self.payload {
            Payload::Exact(exact) => (exact.authorization.from, self.exact(exact).await),
            Payload::Batch(batch) => (batch.config.payer, self.batch(batch).await),
        };
        let (extra, deed) = checked.map_err(|refused| Bad(Some(payer), refused))?;
        Ok(Good { payer, extra, deed })
    }

    async fn exact(&self, exact: &Exact) -> Result<(Value, Clear), Refused> {
        check_offer(&exact.authorization, &self.offer)?;
        self.check_domain()?;
        self.lane.check_signature(exact).await?;
        let transfer = self.lane.transfer(exact);
        if !self.has_begun(Foreign::Transfer(&transfer)).await? {
            self.lane.check_transfer(&transfer).await?;
        }
        Ok((Value::Null, Clear::Transfer(transfer)))
    }

    /// Whether this very request was not told yet what became of the payment. One whose
    /// authorization is used, or belongs to another request, is refused.
    async fn has_begun(&self, payment: Foreign<'_>) -> Result<bool, Refused> {
        let asked = self.lane.settlement().clearable(payment, self.request);
        asked.await.map_err(Refused::of(Reason::ExactUsed))
    }

    /// The seller's offer names the token's own signing domain.
    fn check_domain(&self) -> Result<(), Reason> {
        let (extra, counter) = (&self.offer.extra, &self.lane.counter);
        let named = extra.name.as_ref() == Some(&counter.token_name)
            && extra.version.as_ref() == Some(&counter.token_version);
        match named {
            true => Ok(()),
            false => Err(Reason::TokenName),
        }
    }

    async fn batch(&self, batch: &Batch) -> Result<(Value, Clear), Refused> {
        let (lane, voucher) = (&self.lane, &batch.voucher);
        let config = ChannelConfig::from(batch.config.clone());
        check_terms(&lane.escrow, &config, voucher.channel_id, &self.offer)?;
        let settlement = lane.settlement();
        check_voucher(settlement, &lane.escrow, &config, voucher).await?;
        let view = settlement.channel(voucher.channel_id).await?;
        let (arriving, deed) = match &batch.deed {
            Deed::Deposit(part) => {
                let channel = voucher.channel_id;
                let deposit = lane.deposit(channel, &config, part, Amount(1)).await?;
                if !self.has_begun(Foreign::Deposit(&deposit)).await? {
                    let checked = settlement.check_deposit(&deposit).await;
                    checked.map_err(Refused::of(Reason::DepositRefused))?;
                }
                (deposit.amount, Clear::Deposit(deposit))
            }
            Deed::Voucher | Deed::Refund { .. } => (Amount::ZERO, Clear::Nothing),
        };
        let max = voucher.max_claimable_amount;
        match covers(&view, arriving, max) {
            // A refund pays nothing: all may be claimed already.
            Err(Reason::BelowClaimed)
                if matches!(batch.deed, Deed::Refund { .. }) && max == view.claimed => {}
            covered => covered?,
        }
        let extra = serde_json::to_value(state(voucher.channel_id, &view));
        Ok((extra.unwrap_or_default(), deed))
    }
}

/// What tells a request from others.
fn digest(body: &Value) -> Word {
    Word(Sha256::digest(body.to_string()).into())
}

/// An answer, or the reason that there is none.
fn said<T>(
    answer: Result<T, Bad>,
    good: impl FnOnce(T) -> Value,
    bad: impl FnOnce(Option<Address>, Reason, String) -> Value,
) -> Result<Value, Unserved> {
    let Bad(payer, refused) = match answer {
        Ok(answer) => return Ok(good(answer)),
        Err(bad) => bad,
    };
    match refused {
        Refused::Because(reason) | Refused::Stale(reason, _) => {
            Ok(bad(payer, reason, String::new()))
        }
        Refused::Trouble(Trouble::Unknown { tx }) => Ok(bad(payer, Reason::Pending, tx)),
        Refused::Malformed(problem) => Err(Unserved::Malformed {
            message: format!("Invalid request: {problem}."),
        }),
        other => {
            tracing::warn!(?other, "a facilitator's request waits for its chain");
            Err(Unserved::Unavailable {
                message: Reason::RpcReadFailed.message().to_owned(),
                retry_after: RETRY_SECONDS,
            })
        }
    }
}

fn verified(good: Good) -> Value {
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
impl Facilitator for Clearing {
    fn supported(&self) -> Value {
        let kinds: Vec<Value> = [BATCH_SETTLEMENT, EXACT]
            .iter()
            .flat_map(|scheme| {
                self.lanes.iter().map(move |lane| {
                    let network = network(lane.chain_id);
                    json!({ "x402Version": VERSION, "scheme": scheme, "network": network })
                })
            })
            .collect();
        json!({ "kinds": kinds, "extensions": [], "signers": { "eip155:*": [self.account] } })
    }

    async fn verify(&self, body: Value) -> Result<Value, Unserved> {
        let digest = digest(&body);
        let checked = async {
            let asked = self.asked(ClearingRequest::from_value(body)?, digest)?;
            asked.checked().await
        };
        said(checked.await, verified, invalid)
    }

    async fn settle(&self, body: Value) -> Result<Value, Unserved> {
        let wanted = body["paymentRequirements"]["network"].clone();
        let digest = digest(&body);
        let settled = async {
            let request = ClearingRequest::from_value(body)?;
            match Signed::of(&request.payment.payload)? {
                Some(signed) if request.requirements.scheme == BATCH_SETTLEMENT => {
                    let lane = self.lane(&request)?;
                    lane.funded().await.map_err(|(refused, _)| refused)?;
                    Ok(deeds::passed_on(&lane, &signed).await?)
                }
                _ => self.cleared(&self.asked(request, digest)?).await,
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

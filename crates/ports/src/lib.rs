//! Traits between the modules that know no chain and those that do, in both directions.
//!
//! A [`FactLog`] is the write-ahead log of on-chain transactions. A [`PublishedLog`] holds the
//! files that a server published. A [`PaymentGateway`] takes payment for calls on the chains it
//! supports, a [`Facilitator`] verifies and settles payments for other sellers, and a [`Settler`]
//! collects what was paid.
//!
//! ```no_run
//! use openlora_ports::{OfferedCall, PaymentDemand, PaymentGateway};
//!
//! async fn sell(
//!     gateway: &dyn PaymentGateway,
//!     call: &OfferedCall,
//!     payment: &str,
//! ) -> Result<String, PaymentDemand> {
//!     let mut guard = gateway.open(call, payment).await?;
//!     guard.commit().await?;
//!     guard.reserved().await?;
//!     // Here the engine answers the call.
//!     let charge = guard.payment().charge_of(call.quote);
//!     Ok(guard.response(&charge))
//! }
//! ```

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use openlora_core::error::Failure;
use openlora_core::{Address, Amount, Word};
use openlora_ledger::{
    CallCharge, CallWork, CheckedPayment, PriceList, ReceiverKey, SponsoredGas,
    event::Event,
    publication::{AnchoredBatch, PoolContributions},
};

/// A durable log of facts: an event is on disk when `keep` returns.
#[async_trait::async_trait]
pub trait FactLog: Send + Sync {
    async fn keep(&self, event: Event) -> Result<(), Failure>;
}

/// What a request reveals about its sender, besides the payment. Salted, so that the journal may
/// store it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Presenter {
    /// Hash of the request's id.
    pub request_id: String,
    /// Hash of the client's address; none if many clients may share the address.
    pub address: Option<String>,
    /// Whether so many payments from its address were refused that the chain is not asked about
    /// another one.
    pub is_limited: bool,
}

/// A call as it is offered for sale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfferedCall {
    /// Name and digest of the adapter that will answer.
    pub adapter: String,
    pub adapter_digest: String,
    /// The URL that was called, as the client wrote it.
    pub resource: String,
    /// The media type of the answer.
    pub media_type: &'static str,
    /// How the called route is described to buyers.
    pub listing: CallListing,
    pub request_id: String,
    /// Salted hash that identifies the request in the journal.
    pub request_hash: String,
    /// The request binding that a payment contains.
    pub request: Word,
    pub presenter: Presenter,
    /// The most work that the call may do, and its price.
    pub work: CallWork,
    pub prices: PriceList,
    pub quote: Amount,
}

/// A paid route as directories of paid resources list it. It goes into the answer to an unpaid call,
/// and clients repeat it in their payments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallListing {
    pub description: Option<String>,
    pub service_name: Option<String>,
    pub tags: Vec<String>,
    pub icon_url: Option<String>,
    /// The extensions of the payment terms, by their names.
    pub extensions: Option<serde_json::Value>,
}

/// Why a call is not paid.
#[derive(Clone, Debug, PartialEq)]
pub enum PaymentDemand {
    /// The payment is malformed: 400.
    Malformed { message: String },
    /// Payment required: 402 with the accepted terms.
    Required {
        /// The error code for clients; `payment_required` if no payment was sent.
        code: String,
        message: String,
        /// The amounts in the message by their names, in base units.
        amounts: BTreeMap<&'static str, Amount>,
        /// The value of `PAYMENT-REQUIRED`.
        terms: String,
        /// Whether the chain may have been asked about the refused payment.
        asked_chain: bool,
    },
    /// The voucher or authorization was already used, for this call or another.
    Used {
        request_id: String,
        request_hash: String,
        /// Set if the payment may have been copied from its chain: the stored answer is then
        /// returned only to a client that names the call by an id this payer chose or received.
        named_by: Option<Address>,
        /// The response if it was used for another call.
        otherwise: Box<PaymentDemand>,
    },
    /// The chain cannot be reached, or the outcome of a transaction is unknown: 503. The client may
    /// repeat the same request.
    Unavailable { message: String, retry_after: u64 },
    /// A limit of the seller is reached that ends at a known time: 503 with its own code.
    Stopped {
        code: &'static str,
        message: String,
        retry_after: u64,
    },
}

/// Gas that is paid on a chain for transactions requested by others, in wei.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sponsorship {
    pub chain_id: u64,
    /// Today (UTC).
    pub gas: SponsoredGas,
    /// The daily limit, if there is one.
    pub budget: Option<Amount>,
    /// Whether the account's balance is too low.
    pub is_low: bool,
}

/// A refund that a payer received without a call.
#[derive(Clone, Debug, PartialEq)]
pub struct RefundAnswer {
    /// The value of `PAYMENT-RESPONSE`.
    pub response: String,
    pub body: serde_json::Value,
}

/// Takes payment for calls.
#[async_trait::async_trait]
pub trait PaymentGateway: Send + Sync {
    /// The demand for a caller that sent no payment.
    fn terms(&self, sale: &OfferedCall) -> PaymentDemand;

    /// The offers for a call, as the terms have them; empty if no payment can be taken for it now.
    fn offers(&self, _sale: &OfferedCall) -> Vec<serde_json::Value> {
        Vec::new()
    }

    /// Checks the value of `PAYMENT-SIGNATURE` against the seller's terms and the payer's channel.
    /// The channel is reserved for this call until the tab is closed or dropped. No transaction is
    /// sent.
    async fn open(
        &self,
        sale: &OfferedCall,
        payment: &str,
    ) -> Result<Box<dyn PaymentGuard>, PaymentDemand>;

    /// Whether a payment could be accepted now; otherwise the reason.
    fn ready(&self) -> Result<(), String> {
        Ok(())
    }

    /// Returns to a payer the unspent balance of its channel.
    async fn refund(
        &self,
        sale: &OfferedCall,
        payment: &str,
    ) -> Result<RefundAnswer, PaymentDemand>;

    /// Warnings for the operator of the server, as sentences.
    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }

    /// Gas that is paid for transactions requested by others, by chain.
    fn sponsorships(&self) -> Vec<Sponsorship> {
        Vec::new()
    }
}

/// A payment that is checked and not yet charged, with its channel's lock. What is charged is what
/// the journal says: the guard is dropped once the charge is durable, and the next call of the
/// channel reads the ledger. Dropped before, it charges nothing.
#[async_trait::async_trait]
pub trait PaymentGuard: Send + Sync {
    /// Sets the id under which the call is metered.
    fn name(&mut self, request_id: &str);

    /// Secures the funds: deposits and `exact` transfers are mined when this returns.
    async fn commit(&mut self) -> Result<(), PaymentDemand>;

    fn payment(&self) -> &CheckedPayment;

    /// The reservation is durable, and the ledger has it. What can be relied on only once it is
    /// claimed is claimed when this returns.
    async fn reserved(&mut self) -> Result<(), PaymentDemand>;

    /// The value of `PAYMENT-RESPONSE` for a charge.
    fn response(&self, charge: &CallCharge) -> String;

    /// The longest that the call may run so that its charge can still be collected.
    fn time_limit(&self) -> Option<std::time::Duration> {
        None
    }

    /// Whether the ledger has the reservation and would take the charge: no call is answered whose
    /// charge it would not.
    ///
    /// # Errors
    /// What contradicts it, and the charge of nothing that fits.
    fn check_charge(&self, charge: &CallCharge) -> Result<(), (String, Box<CallCharge>)>;
}

/// Why a facilitator cannot answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FacilitatorError {
    /// The request is malformed: 400.
    Malformed { message: String },
    /// The chain cannot be reached: 503. The client may repeat the same request.
    Unavailable { message: String, retry_after: u64 },
}

/// Verifies and settles payments for other sellers (the facilitator of x402). An invalid payment is
/// reported in the regular response.
#[async_trait::async_trait]
pub trait Facilitator: Send + Sync {
    /// The body of `GET /supported`.
    fn supported(&self) -> serde_json::Value;

    /// The answer to `POST /verify`.
    async fn verify(&self, body: serde_json::Value) -> Result<serde_json::Value, FacilitatorError>;

    /// The answer to `POST /settle`.
    async fn settle_payment(
        &self,
        body: serde_json::Value,
    ) -> Result<serde_json::Value, FacilitatorError>;

    /// Resources of other sellers whose payments were settled here, newest first.
    fn catalogued(&self) -> Vec<ListedResource> {
        Vec::new()
    }
}

/// A paid resource as `GET /discovery/resources` lists it (x402's extension `bazaar`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListedResource {
    /// Its URL.
    pub resource: String,
    /// `http` or `mcp`.
    pub r#type: String,
    pub x402_version: u64,
    /// The offers, as its server wrote them.
    pub accepts: Vec<serde_json::Value>,
    /// When it was seen last, in the form of RFC 3339.
    pub last_updated: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mime_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_name: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icon_url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extensions: Option<serde_json::Value>,
}

/// The files that a server published for the roots of its attributed calls.
pub trait PublishedLog: Send + Sync {
    /// None if there is no readable file for this root.
    fn batch(&self, root: Word) -> Option<AnchoredBatch>;

    /// The contributions of a pool under a root.
    fn contributions(&self, root: Word, pool: ReceiverKey) -> Option<PoolContributions>;
}

/// Settles and withdraws on request of the operator; results are per chain.
#[async_trait::async_trait]
pub trait Settler: Send + Sync {
    /// Claims all charges and has the escrow transfer them to the receivers.
    async fn settle_all(&self) -> Result<serde_json::Value, Failure>;

    /// Withdraws the account's share and the contributor pools' shares from the receivers.
    async fn withdraw(&self) -> Result<serde_json::Value, Failure>;
}

//! Traits by which rooms that know no chain reach those that do, and the other way round.
//!
//! A [`FactLog`] is where deeds on a chain are written down before they are done; a
//! [`PublishedLog`] has the files that a server published. A [`PaymentGateway`] takes payment for calls, on
//! whatever chains it knows; a [`Facilitator`] does so for others, and a [`Settler`] collects it.

use openlora_core::error::Failure;
use openlora_core::{Address, Amount, Word};
use openlora_ledger::{
    CallCharge, CallWork, CheckedPayment, PriceList, SponsoredGas,
    event::Event,
    publication::{AnchoredBatch, PoolContributions},
};

/// Where facts are kept for good: durable when `keep` returns.
#[async_trait::async_trait]
pub trait FactLog: Send + Sync {
    async fn keep(&self, event: Event) -> Result<(), Failure>;
}

/// What a request shows of whoever sends it, beside its payment. Salted, so that the journal may
/// keep it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Presenter {
    /// Of the request's id.
    pub request_id: String,
    /// Of the address; none where it may be many clients'.
    pub address: Option<String>,
}

/// One call as it is offered for sale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfferedCall {
    /// Name and digest of the adapter that will answer.
    pub adapter: String,
    pub adapter_digest: String,
    /// The address that was called, as the caller wrote it.
    pub resource: String,
    /// What the answer will be, as a media type.
    pub media_type: &'static str,
    pub request_id: String,
    /// Salted: what tells the request from others in the journal.
    pub request_hash: String,
    /// What a payment names that is bound to its request.
    pub request: Word,
    pub presenter: Presenter,
    /// The most that is done, and what that costs.
    pub work: CallWork,
    pub prices: PriceList,
    pub quote: Amount,
}

/// Why a call is not paid.
#[derive(Clone, Debug, PartialEq)]
pub enum PaymentDemand {
    /// What came is no payment in any form: 400.
    Malformed { message: String },
    /// 402 with what would be accepted.
    Required {
        /// The code by which clients know the reason; `payment_required` when nothing came.
        code: String,
        message: String,
        /// The value of `PAYMENT-REQUIRED`.
        terms: String,
    },
    /// The voucher or authorization was used before, for this call or another.
    Used {
        request_id: String,
        request_hash: String,
        /// Set where the payment may be a copy from its chain: then the answer is for whoever
        /// names the call by the id that this payer gave it, or was given.
        named_by: Option<Address>,
        /// What to answer where it was another call.
        otherwise: Box<PaymentDemand>,
    },
    /// The chain cannot be asked, or it is not known what became of a transaction: 503, and the
    /// same request may be repeated.
    Unavailable { message: String, retry_after: u64 },
    /// A limit of the seller's is reached that ends at a known time: 503 with its own code.
    Stopped {
        code: &'static str,
        message: String,
        retry_after: u64,
    },
}

/// What is paid on a chain for gas at strangers' request, in wei.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sponsorship {
    pub chain_id: u64,
    /// Of today (UTC).
    pub gas: SponsoredGas,
    /// The most in a day; no limit where none is given.
    pub budget: Option<Amount>,
    /// Whether the account has too little left.
    pub is_low: bool,
}

/// What a payer asked for and got without a call: a refund.
#[derive(Clone, Debug, PartialEq)]
pub struct RefundAnswer {
    /// The value of `PAYMENT-RESPONSE`.
    pub response: String,
    pub body: serde_json::Value,
}

/// Takes payment for calls.
#[async_trait::async_trait]
pub trait PaymentGateway: Send + Sync {
    /// What a caller without payment is told.
    fn terms(&self, sale: &OfferedCall) -> PaymentDemand;

    /// Checks the value of `PAYMENT-SIGNATURE` against our own terms and the payer's channel,
    /// which nobody else can use until the tab is closed or dropped. No chain is changed.
    async fn open(
        &self,
        sale: &OfferedCall,
        payment: &str,
    ) -> Result<Box<dyn PaymentGuard>, PaymentDemand>;

    /// Whether a payment could be taken now; the reason where it could not.
    fn ready(&self) -> Result<(), String> {
        Ok(())
    }

    /// Returns to a payer what its channel holds and calls have not cost.
    async fn refund(
        &self,
        sale: &OfferedCall,
        payment: &str,
    ) -> Result<RefundAnswer, PaymentDemand>;

    /// What whoever runs the server should see to, in sentences.
    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }

    /// What is paid for gas at strangers' request, by chain.
    fn sponsorships(&self) -> Vec<Sponsorship> {
        Vec::new()
    }
}

/// A payment that is checked and not yet charged, with its channel's lock. What is charged is what
/// the journal says: the guard is dropped once the charge is durable, and the next call of the
/// channel reads the ledger. Dropped before, it charges nothing.
#[async_trait::async_trait]
pub trait PaymentGuard: Send + Sync {
    /// The call is counted under this id.
    fn name(&mut self, request_id: &str);

    /// Makes sure of the money: deposits and `exact` transfers are mined when this returns.
    async fn commit(&mut self) -> Result<(), PaymentDemand>;

    fn payment(&self) -> &CheckedPayment;

    /// The reservation is durable, and the ledger has it. What can be relied on only once it is
    /// claimed is claimed when this returns.
    async fn reserved(&mut self) -> Result<(), PaymentDemand>;

    /// The value of `PAYMENT-RESPONSE` for a charge.
    fn response(&self, charge: &CallCharge) -> String;

    /// The longest that the call may run, so that what it costs can still be collected.
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

/// Why a facilitator has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FacilitatorError {
    /// What came is no request in any form: 400.
    Malformed { message: String },
    /// The chain cannot be asked: 503, and the same request may be repeated.
    Unavailable { message: String, retry_after: u64 },
}

/// Checks payments and puts them on chains for other sellers (x402's facilitator). A payment that
/// is not good is an answer too, of the same form.
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
}

/// The files that a server published for the roots of its attributed calls.
pub trait PublishedLog: Send + Sync {
    /// Nothing where there is no file of this root that can be read.
    fn batch(&self, root: Word) -> Option<AnchoredBatch>;

    fn contributions(&self, root: Word) -> Option<PoolContributions>;
}

/// Settles and pays out when whoever runs the server asks for it; answers are per chain.
#[async_trait::async_trait]
pub trait Settler: Send + Sync {
    /// Claims what is charged, and has the escrow send it to its receivers.
    async fn settle_all(&self) -> Result<serde_json::Value, Failure>;

    /// Pays the account's share and the contributor pools' out of the receivers.
    async fn withdraw(&self) -> Result<serde_json::Value, Failure>;
}

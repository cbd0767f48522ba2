//! Payments by x402 version 2 over HTTP: headers, signed content, signature checks, and the seller
//! that takes payments for calls.
//!
//! Chains are known here only through [`crate::settlement`]. HTTP is unknown: headers are passed as
//! texts. The caller decides what calls cost and when they run.

mod batch;
pub mod binding;
mod catalogue;
mod channel_session;
mod checks;
pub mod digest;
mod exact;
mod facilitator;
mod keyed_locks;
mod lane;
mod payment_guard;
mod reason;
mod refund;
mod refusal;
mod repeat_proof;
mod seller;
pub mod signature;
mod sponsor;
mod terms;
pub mod wire;

pub use catalogue::{ResourceCall, ResourceCatalogue, ResourceProbe, schema};
pub use facilitator::FacilitatorService;
pub use lane::ChainOffer;
pub use reason::Reason;
pub use repeat_proof::TIMEOUT_SECONDS;
pub use seller::X402Seller;
pub use sponsor::{ContractPayers, SponsorRules};
pub use terms::SellerConfig;

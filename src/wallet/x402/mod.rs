//! Payments as x402 version 2 has them over HTTP: headers, what is signed, who signed it, and the
//! till that takes them for calls.
//!
//! Chains are known here through [`super::settlement`] alone, HTTP not at all: headers come and go
//! as texts. What calls cost and when they run is the caller's matter.

mod batch;
pub mod binding;
mod checks;
pub mod digest;
mod exact;
mod facilitator;
mod keyed_locks;
mod lane;
mod line;
mod payment_guard;
mod reason;
mod refund;
mod refusal;
mod retry;
mod seller;
pub mod signature;
mod sponsor;
mod terms;
pub mod wire;

pub use facilitator::FacilitatorService;
pub use lane::ChainOffer;
pub use reason::Reason;
pub use retry::TIMEOUT_SECONDS;
pub use seller::X402Seller;
pub use sponsor::{ContractPayers, SponsorRules};
pub use terms::SellerConfig;

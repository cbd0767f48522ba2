//! Payments as x402 version 2 has them over HTTP: headers, what is signed, who signed it, and the
//! till that takes them for calls.
//!
//! Chains are known here through [`super::settlement`] alone, HTTP not at all: headers come and go
//! as texts. What calls cost and when they run is the caller's matter.

mod batch;
pub mod binding;
mod cashier;
mod checks;
pub mod digest;
mod exact;
mod facilitator;
mod lane;
mod line;
mod reason;
mod refund;
mod refused;
mod retry;
mod shelf;
pub mod signature;
mod sponsor;
mod tab;
mod terms;
pub mod wire;

pub use cashier::Till;
pub use facilitator::Clearing;
pub use lane::Counter;
pub use reason::Reason;
pub use retry::TIMEOUT_SECONDS;
pub use sponsor::{ContractPayers, Rules};
pub use terms::Shop;

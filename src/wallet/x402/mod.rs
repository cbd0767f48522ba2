//! Payments as x402 version 2 has them over HTTP: headers, what is signed, and who signed it.
//!
//! Chains are known here through [`super::settlement`] alone, HTTP not at all: headers come and go
//! as texts. What calls cost and when they run is the caller's matter.

pub mod digest;
pub mod signature;
pub mod wire;

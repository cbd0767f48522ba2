//! Payments for calls by x402: the payer's side, the seller's side, settlement on the chain, and the
//! rewards that are paid from it.

pub mod payer;
pub mod rewards;
pub mod settlement;
pub mod x402;

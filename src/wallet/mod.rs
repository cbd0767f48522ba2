//! Everything that knows a chain: keys and signatures, contracts, providers, settlement, and the
//! embedded development chain. No other room names alloy or revm.

pub mod contracts;
pub mod devchain;

//! What the product does, without terminal, command line or chain.

pub mod finished;

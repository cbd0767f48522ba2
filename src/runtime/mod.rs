//! Product logic without terminal, command line or chain.

pub mod finished;

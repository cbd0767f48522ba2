//! What the product does, without terminal, command line or chain.

pub mod adapter;
pub mod attribution;
pub mod calendar;
pub mod dataset;
pub mod decoder;
pub mod disclosure;
pub mod engine;
pub mod finished;
pub mod frozen;
pub mod influence;
pub mod journal;
pub mod ledger;
pub mod mistral;
pub mod model;
pub mod package;
pub mod ports;
pub mod serve;
pub mod state;
pub mod train;

pub use ledger::event;

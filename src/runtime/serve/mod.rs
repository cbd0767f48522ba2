//! Serving: the HTTP surface, metering and the engines behind it.

pub mod engine;
pub mod error;

pub use error::ServeError;

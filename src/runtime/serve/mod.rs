//! Serving: the OpenAI-compatible HTTP surface and metering.
//!
//! A request passes its connection (its head), the edge (headers, audience, request id), the intake
//! (body, adapter), the cashier, the gate (turns) and the meter (exactly one count per request id)
//! before an engine sees it. Engines and payments are known by their ports only; the terminal, the
//! command line and chains are unknown.

pub mod access;
mod admission;
pub mod answer;
mod app;
pub mod attribution;
mod body;
pub mod calls;
mod client;
pub mod connections;
mod descriptors;
pub mod error;
pub mod gate;
mod generate;
mod head;
pub mod hosted;
mod imprint;
mod intake;
pub mod meter;
pub mod metrics;
pub mod payment;
pub mod proxies;
mod quotes;
mod receipt;
pub mod refusal;
pub mod request_id;
mod routes;
mod server;
mod stall;
mod unread;
pub mod wire;

pub use access::Audience;
pub use app::{ServeLimits, Stop};
pub use client::Client;
pub use connections::ConnectionLimits;
pub use error::ServeError;
pub use hosted::{Hosted, Shelf};
pub use receipt::{JournalPlace, PublishedReceipt, PublishedUsage};
pub use routes::{CHALLENGE, ROUTES, Route};
pub use server::{Bound, Goods, Server};

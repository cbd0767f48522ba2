//! Serving: the OpenAI-compatible HTTP surface and metering.
//!
//! A request passes its connection (its head), the edge (headers, audience, request id), the intake
//! (body, adapter), the payment, the gate (engine turns) and the meter (exactly one count per
//! request id) before an engine gets it. Engines and payments are known only by their ports. The
//! terminal, the command line and chains are unknown.
//!
//! ```no_run
//! use openlora_journal::Journal;
//! use openlora_serve::{
//!     BoundSocket, ServeInputs, ServeLimits, Server, StopHandle, access::AccessRules,
//!     adapter_registry::ServedAdapter, attribution::AttributionConfig,
//! };
//!
//! # async fn example(
//! #     adapter: ServedAdapter,
//! #     access: AccessRules,
//! #     limits: ServeLimits,
//! # ) -> Result<(), Box<dyn std::error::Error>> {
//! let socket = BoundSocket::new("127.0.0.1", 8080).await?;
//! let inputs = ServeInputs {
//!     adapters: vec![adapter],
//!     sales: None,
//!     attribution: AttributionConfig::default(),
//!     access,
//!     transparency: None,
//!     loader: None,
//!     standings: None,
//!     on_demand: None,
//!     prompt_filter: None,
//! };
//! let journal = Journal::open("journal.sqlite".as_ref())?;
//! let stop = StopHandle::default();
//! let server = Server::new(socket, inputs, journal, limits, stop).await?;
//! println!("listening on {}", server.address());
//! server.run().await?;
//! # Ok(())
//! # }
//! ```

mod abandoned;
pub mod access;
mod adapter_changes;
pub mod adapter_loader;
pub mod adapter_profile;
pub mod adapter_registry;
mod adapter_summary;
mod admission;
pub mod allowances;
pub mod answer;
pub mod api_error;
mod app;
pub mod attribution;
mod audience;
mod body;
pub mod calls;
mod client;
pub mod connections;
mod descriptors;
mod discovery;
pub mod error;
mod fingerprint;
pub mod gate;
mod generate;
mod guarded_stream;
mod head;
mod intake;
mod listing;
pub mod meter;
pub mod metrics;
pub mod on_demand;
mod on_demand_loading;
pub mod origins;
mod page;
pub mod payment;
pub mod picture_files;
pub mod prompt_filter;
pub mod proxies;
mod quotes;
mod receipt;
mod refused_payments;
mod registration_file;
pub mod request_id;
pub mod response_hash;
mod routes;
mod sent_bytes;
mod server;
pub mod similar;
pub mod standings;
mod tools;
mod transport;
mod unread;
pub mod wire;

pub use adapter_loader::{AdapterLoader, LoadOutcome};
pub use adapter_profile::AdapterProfile;
pub use adapter_registry::{AdapterRegistry, ServedAdapter};
pub use allowances::AddressAllowances;
pub use app::{ServeLimits, StopHandle};
pub use audience::RouteAudience;
pub use client::RequestClient;
pub use connections::ConnectionLimits;
pub use error::ServeError;
pub use receipt::{JournalPlace, LoggedReceipt, PublishedReceipt, PublishedUsage, Receipt};
pub use routes::{ApiRoute, CHALLENGE, ROUTES};
pub use server::{BoundSocket, ServeInputs, Server};
pub use standings::StandingsSource;

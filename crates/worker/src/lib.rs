//! An inference engine in a process of its own, such as a jail: what it and its server say to each
//! other over a socket.
//!
//! The worker holds the weights and answers; it is not trusted. The server renders and counts prompts
//! itself, and takes no more tokens, text and labels from a worker than it has asked for. Each
//! operation has a connection, and ending the connection ends the operation. How a worker is started and
//! confined is unknown here.
//!
//! ```
//! use openlora_worker::WorkerLink;
//!
//! // A worker that is not running takes no calls.
//! let link = WorkerLink::new("tone");
//! assert!(!link.isolation().is_running);
//! ```

mod link;
mod remote;
mod server;
mod wire;

pub use link::{Connector, WorkerLink};
pub use remote::WorkerEngine;
pub use server::serve_worker;
pub use wire::WorkerFacts;

//! What the pages say of the server.

use serde::Serialize;

/// What the pages say of the server.
#[derive(Clone, Debug, Serialize)]
pub struct ServerFacts {
    /// Its address for clients, without a path.
    pub url: String,
    /// The same without the scheme.
    pub host: String,
    pub is_free: bool,
    pub version: &'static str,
}

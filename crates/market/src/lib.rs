//! How adapters are found and bought: the servers of a registered adapter, search, the proxy that pays
//! for programs that know no payments, and adapters as tools of agents.
//!
//! The registry says which accounts may serve an adapter and which splitter is paid, and the
//! directory says where those accounts are reached. Whatever else a server states is checked against
//! that before anything is paid. The terminal, the command line and settings are unknown here.
//!
//! ```
//! use openlora_market::AdapterReference;
//!
//! let named = AdapterReference::parse("tone@0x5FbDB2315678afecb367f032d93F642f64180aa3");
//! assert!(matches!(named, AdapterReference::Registered { .. }));
//! assert_eq!(AdapterReference::parse("tone"), AdapterReference::Plain("tone".to_owned()));
//! ```

mod catalog;
mod discovery;
mod error;
mod http;
mod probe;
mod proxy;
mod purchase;
mod reference;
mod repeat_payers;
mod retries;
mod search;

pub use catalog::{AdapterRoute, Catalog, RegisteredPayee, SurveyedAdapter, SurveyedServer};
pub use discovery::{DiscoveredResource, discovered};
pub use error::MarketError;
pub use http::{MarketHttp, ServerAddress};
pub use probe::{ProbedModel, ProbedServer};
pub use proxy::{
    CallerKey, CallerKeys, PROXY_ROUTES, ProxyInputs, ProxyListener, ProxyRoute,
    serve_tools_on_stdio,
};
pub use purchase::{
    BoughtAnswer, Buyer, ChargeStatement, DemandedCall, PurchaseError, PurchaseLimits,
    UnsettledCall,
};
pub use reference::AdapterReference;
pub use retries::{RetryPlan, RetryStep};
pub use search::{SearchQuery, SearchReport, SearchRow, SearchServer, search};

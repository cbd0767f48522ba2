//! Registration of a package: observe the registry, plan the steps (pure), quote them, and execute
//! them.
//!
//! Everything is planned from the on-chain state, so running it again does only what is left.

mod announce;
mod contracts;
mod error;
mod execute;
mod observe;
mod payee;
mod plan;
mod release_params;

pub use announce::{LONGEST_SERVER_URL, announcement};
pub use contracts::{
    DeployedContract, FUNDS, already_there, deploy_contracts, funding, missing_contracts,
};

pub use error::DeployError;
pub use execute::{FeeQuote, append_release, carry_out, find_release, quote};
pub use observe::{DeployOptions, adapter, observe, require, splitter};
pub use payee::{ReleasePayee, payee};
pub use plan::{
    CallValue, DeployContext, DeployPlan, DeployStep, POOL_DELAY, POOL_QUORUM, PlannedPool,
    RegistryAction, RegistryState, RevenuePayout, SeenAdapter, id_of, payout, plan, registration,
};
pub use release_params::{ReleaseParams, priced_work};

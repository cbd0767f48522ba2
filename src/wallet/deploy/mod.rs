//! Bringing a package into a registry: what is there, what is to be done about it (pure), what
//! that costs, and doing it.
//!
//! Everything is planned from what the chain says, so running it again does only what is left.

mod contracts;
mod error;
mod execute;
mod observe;
mod payee;
mod plan;
mod release_params;

pub use contracts::{
    DeployedContract, FUNDS, already_there, deploy_contracts, funding, missing_contracts,
};

pub use error::DeployError;
pub use execute::{FeeQuote, append_release, carry_out, find_release, quote};
pub use observe::{DeployOptions, adapter, observe, require, splitter};
pub use payee::{ReleasePayee, payee};
pub use plan::{
    DeployContext, DeployPlan, DeployStep, POOL_DELAY, POOL_QUORUM, PlannedPool, RegistryAction,
    RegistryState, RevenuePayout, SeenAdapter, id_of, payout, plan, registration,
};
pub use release_params::ReleaseParams;

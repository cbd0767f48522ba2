//! Bringing a package into a registry: what is there, what is to be done about it (pure), what
//! that costs, and doing it.
//!
//! Everything is planned from what the chain says, so running it again does only what is left.

mod contracts;
mod error;
mod execute;
mod goods;
mod observe;
mod payee;
mod plan;

pub use contracts::{FUNDS, Placed, already_there, deploy_contracts, funding, missing_contracts};

pub use error::DeployError;
pub use execute::{Quote, carry_out, found, keep, quote};
pub use goods::Goods;
pub use observe::{Wish, adapter, observe, require, splitter};
pub use payee::{Payee, payee};
pub use plan::{
    Action, POOL_DELAY, POOL_QUORUM, Payout, Place, Plan, Pool, Seen, SeenAdapter, Step, id_of,
    payout, plan, registration,
};

//! What is known of an adapter besides its files: its calls, what was paid for them and to whom, and
//! where it is registered.
//!
//! The server shows these sums and does not compute them. They are folds of the journal, and the
//! code that knows chains implements the trait.

use openlora_core::{Address, Amount};

use super::payment::Currency;

/// Tells what is known of served adapters.
pub trait StandingsSource: Send + Sync {
    /// Reads files: it is called where blocking is allowed.
    fn standing(&self, adapter: &str, weights_sha256: Option<&str>) -> AdapterStanding;
}

/// The calls and the money of one adapter over all time, and its registrations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AdapterStanding {
    pub calls: u64,
    /// Accounts that paid for at least one call; of these, those that paid for several.
    pub payers: u64,
    pub returning: u64,
    pub incomes: Vec<AdapterIncome>,
    pub registered: Option<RegisteredRelease>,
    pub agents: Vec<AgentIdentity>,
}

/// The income of an adapter in one token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdapterIncome {
    pub network: String,
    pub currency: Currency,
    pub charged: Amount,
    pub recipients: Vec<RecipientIncome>,
}

/// An account that the income is divided among.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecipientIncome {
    pub account: Address,
    /// Its share of what calls have cost.
    pub earned: Amount,
    /// The part of it that was paid out, as far as the journal has it.
    pub paid: Amount,
}

/// The release of the served weights in the chain's registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisteredRelease {
    pub network: String,
    pub chain_id: u64,
    pub registry: String,
    pub adapter_id: String,
    pub version: u32,
    pub splitter: String,
}

/// An identity by ERC-8004.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentIdentity {
    pub chain_id: u64,
    /// The address of the identity registry.
    pub registry: String,
    pub agent_id: String,
}

impl AgentIdentity {
    /// The registry as the ERC names it.
    pub fn registry_name(&self) -> String {
        format!("eip155:{}:{}", self.chain_id, self.registry)
    }
}

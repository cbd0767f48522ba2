//! An adapter's identity in a registry of agents (ERC-8004): one token per adapter, whose URI leads to
//! the adapter's registration file.
//!
//! The registry would take a second registration of the same adapter. So the token carries the
//! adapter's id as metadata, and a plan starts with the tokens that the account has registered since
//! the adapter exists: whatever an interrupted run did, the next one finds it.

use alloy::{
    primitives::{B256, Bytes, U256},
    rpc::types::{Filter, Log},
    sol_types::{SolCall, SolEvent},
};

use super::deploy::{CallValue, DeployError, DeployStep, FeeQuote, adapter};
use openlora_chain::{
    WalletError,
    provider::Chain,
    registry::{AdapterId, IdentityRegistry, MetadataEntry, shown_id},
    transaction::{TransactionError, TxSender},
};
use openlora_core::Address;
use openlora_ledger::{
    TxKey,
    event::{AgentRegistration, Event, ReleaseDeployment},
};
use openlora_ports::FactLog;

/// The metadata of a token that has the id of its adapter in openlora's registry.
pub const ADAPTER_KEY: &str = "openlora.adapter";

/// What an identity is registered for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentWish {
    pub account: Address,
    pub name: String,
    pub adapter: AdapterId,
    /// Where the registration file is.
    pub uri: String,
}

/// What is left to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AgentAction {
    Nothing,
    Register,
    /// The registration file has another address.
    Move,
}

/// The identity as it is on the chain, and the step that it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentPlan {
    pub action: AgentAction,
    pub registry: Address,
    pub wish: AgentWish,
    pub steps: Vec<DeployStep>,
    /// The registered identity, and the transaction that made it.
    known: Option<(U256, B256)>,
}

/// Plans an identity.
///
/// # Errors
///
/// The network has no registry of agents, or the chain cannot be read.
pub async fn plan_agent(chain: &Chain, wish: AgentWish) -> Result<AgentPlan, DeployError> {
    let network = &chain.network;
    let registry = network.contracts.identity_registry;
    let registry = registry.ok_or_else(|| DeployError::NoAgentRegistry {
        network: network.name.clone(),
    })?;
    if !chain.has_code(registry).await? {
        return Err(DeployError::NoAgentContract {
            network: network.name.clone(),
            address: registry,
        });
    }
    let known = find_agent(chain, registry, &wish).await?;
    let plan = |action, steps| AgentPlan {
        action,
        registry,
        steps,
        known,
        wish: wish.clone(),
    };
    let Some((agent, _)) = known else {
        return Ok(plan(AgentAction::Register, vec![register(registry, &wish)]));
    };
    let call = IdentityRegistry::tokenURICall { tokenId: agent };
    let uri = chain.read("URI of the agent", registry, &call).await?;
    Ok(match uri == wish.uri {
        true => plan(AgentAction::Nothing, Vec::new()),
        false => plan(AgentAction::Move, vec![moved(registry, agent, &wish)]),
    })
}

/// The newest identity of this adapter that the account registered and still owns.
async fn find_agent(
    chain: &Chain,
    registry: Address,
    wish: &AgentWish,
) -> Result<Option<(U256, B256)>, DeployError> {
    let filter = Filter::new()
        .address(alloy::primitives::Address::from(registry))
        .event_signature(IdentityRegistry::Registered::SIGNATURE_HASH)
        .topic2(alloy::primitives::Address::from(wish.account));
    let Some(since) = registered_at(chain, wish).await? else {
        return Ok(None);
    };
    let logs = chain.logs(&filter, since).await?;
    for log in logs.iter().rev() {
        let Some(agent) = registered(log).map(|event| event.agentId) else {
            continue;
        };
        let owner = IdentityRegistry::ownerOfCall { tokenId: agent };
        let owner = chain.read("owner of the agent", registry, &owner).await;
        // A token that was burned has no owner, and the call reverts.
        let Some(owner) = unless_reverted(owner)? else {
            continue;
        };
        let metadata = IdentityRegistry::getMetadataCall {
            agentId: agent,
            metadataKey: ADAPTER_KEY.to_owned(),
        };
        let stated = chain.read("metadata of the agent", registry, &metadata);
        let stated = unless_reverted(stated.await)?;
        let is_it = stated.is_some_and(|it| it == id_bytes(wish.adapter));
        if is_it && Address::from(owner) == wish.account {
            let tx = log.transaction_hash.unwrap_or_default();
            return Ok(Some((agent, tx)));
        }
    }
    Ok(None)
}

/// What a view function returns; `None` if the contract refuses the call.
fn unless_reverted<T>(read: Result<T, WalletError>) -> Result<Option<T>, WalletError> {
    match read {
        Err(WalletError::Reverted { .. }) => Ok(None),
        read => read.map(Some),
    }
}

/// The block since which openlora's registry has the adapter: no identity of it is older.
async fn registered_at(chain: &Chain, wish: &AgentWish) -> Result<Option<u64>, DeployError> {
    let registry = chain.network.contracts.registry.unwrap_or_default();
    match adapter(chain, registry, wish.adapter).await? {
        Some(found) => Ok(Some(chain.block_at(found.registeredAt.to::<u64>()).await?)),
        None => Ok(None),
    }
}

fn registered(log: &Log) -> Option<IdentityRegistry::Registered> {
    let decoded = IdentityRegistry::Registered::decode_log(&log.inner).ok();
    decoded.map(|event| event.data)
}

fn id_bytes(adapter: AdapterId) -> Bytes {
    adapter.to_be_bytes::<32>().into()
}

fn register(registry: Address, wish: &AgentWish) -> DeployStep {
    let id = shown_id(wish.adapter);
    let call = IdentityRegistry::registerCall {
        agentURI: wish.uri.clone(),
        metadata: vec![MetadataEntry {
            metadataKey: ADAPTER_KEY.to_owned(),
            metadataValue: id_bytes(wish.adapter),
        }],
    };
    DeployStep {
        to: registry,
        contract: "IdentityRegistry",
        data: call.abi_encode().into(),
        key: TxKey::RegisterAgent {
            registry,
            adapter: id.clone(),
            uri: wish.uri.clone(),
        },
        deed: format!("registering {} as an agent", wish.name),
        call: "register".to_owned(),
        arguments: vec![
            ("agentURI", CallValue::Text(wish.uri.clone())),
            (ADAPTER_KEY, CallValue::Text(id)),
        ],
    }
}

fn moved(registry: Address, agent: U256, wish: &AgentWish) -> DeployStep {
    let call = IdentityRegistry::setAgentURICall {
        agentId: agent,
        newURI: wish.uri.clone(),
    };
    DeployStep {
        to: registry,
        contract: "IdentityRegistry",
        data: call.abi_encode().into(),
        key: TxKey::MoveAgent {
            registry,
            agent_id: agent.to_string(),
            uri: wish.uri.clone(),
        },
        deed: format!("moving the registration file of {}", wish.name),
        call: "setAgentURI".to_owned(),
        arguments: vec![
            ("agentId", CallValue::Text(agent.to_string())),
            ("newURI", CallValue::Text(wish.uri.clone())),
        ],
    }
}

/// Sends what the plan needs, and records the identity.
///
/// # Errors
///
/// The transaction fails, or the identity cannot be recorded.
pub async fn carry_out_agent(
    sender: &TxSender<'_>,
    plan: &AgentPlan,
    release: &ReleaseDeployment,
    quote: &FeeQuote,
) -> Result<AgentRegistration, DeployError> {
    let mut made = plan.known;
    for submission in &quote.submissions {
        let receipt = sender.send(submission).await?.receipt;
        let tx = receipt.transaction_hash;
        let agent = receipt.logs().iter().find_map(registered);
        made = match (agent, made) {
            (Some(event), _) => Some((event.agentId, tx)),
            (None, Some((agent, _))) => Some((agent, tx)),
            (None, None) => {
                return Err(DeployError::NoAgent {
                    tx: tx.to_string(),
                    owner: plan.wish.account,
                });
            }
        };
    }
    let (agent, tx) = made.unwrap_or_default();
    let registration = describe(sender.chain, plan, release, agent, tx).await?;
    append_agent(sender.facts, &registration).await?;
    Ok(registration)
}

/// The identity of a plan that needs no step.
///
/// # Errors
///
/// The chain cannot be read.
pub async fn known_agent(
    chain: &Chain,
    plan: &AgentPlan,
    release: &ReleaseDeployment,
) -> Result<AgentRegistration, DeployError> {
    let (agent, tx) = plan.known.unwrap_or_default();
    describe(chain, plan, release, agent, tx).await
}

async fn describe(
    chain: &Chain,
    plan: &AgentPlan,
    release: &ReleaseDeployment,
    agent: U256,
    tx: B256,
) -> Result<AgentRegistration, DeployError> {
    let receipt = chain.receipt(tx).await?;
    Ok(AgentRegistration {
        name: release.name.clone(),
        network: chain.network.name.clone(),
        chain_id: chain.network.chain_id,
        registry: plan.registry.to_string(),
        agent_id: agent.to_string(),
        agent_uri: plan.wish.uri.clone(),
        owner: plan.wish.account.to_string(),
        adapter_id: shown_id(plan.wish.adapter),
        weights_sha256: release.weights_sha256.clone(),
        tx: tx.to_string(),
        gas_used: receipt.as_ref().map_or(0, |it| it.gas_used),
        block: receipt.and_then(|it| it.block_number).unwrap_or_default(),
    })
}

/// Records an identity in the journal.
///
/// # Errors
///
/// The journal cannot be written.
pub async fn append_agent(
    facts: &dyn FactLog,
    agent: &AgentRegistration,
) -> Result<(), TransactionError> {
    let kept = facts
        .keep(Event::AgentRegistered(Box::new(agent.clone())))
        .await;
    kept.map_err(TransactionError::Unrecorded)
}

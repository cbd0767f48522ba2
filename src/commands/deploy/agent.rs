//! `deploy --agent`: registers the adapter's identity in the chain's registry of agents (ERC-8004).

use serde::{Deserialize, Serialize};

use super::{TxContext, print_steps};
use crate::commands::{CommandContext, serve::as_model_id, server_access::public_url};
use openlora_chain::registry::{AdapterId, parse_id};
use openlora_core::error::{ExitClass, Failure};
use openlora_ledger::event::{AgentRegistration, ReleaseDeployment};
use openlora_release::{
    agent::{
        AgentAction, AgentPlan, AgentWish, append_agent, carry_out_agent, known_agent, plan_agent,
    },
    deploy::{DeployError, quote},
};

/// The identity in the report of `deploy --agent`.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct AgentReport {
    /// The registry of agents.
    pub registry: String,
    pub agent_id: String,
    /// The address of the registration file.
    pub uri: String,
    /// The transaction that registered it, or moved its file.
    pub tx: String,
    /// What this run did: registered, moved or nothing.
    pub done: String,
}

/// What the identity of a release is registered for.
pub(super) fn wish(
    context: &CommandContext,
    tx_context: &TxContext,
    name: &str,
    adapter: AdapterId,
) -> Result<AgentWish, Failure> {
    let root = address(context, tx_context)?;
    Ok(AgentWish {
        account: tx_context.account,
        name: name.to_owned(),
        adapter,
        uri: format!(
            "{root}/.well-known/agent-registration.json?adapter={}",
            as_model_id(name)
        ),
    })
}

/// Where the server is for others. On a development chain everybody is on this machine.
fn address(context: &CommandContext, tx_context: &TxContext) -> Result<String, Failure> {
    if let Some(url) = public_url(context)? {
        return Ok(url);
    }
    if tx_context.chain.network.is_local() {
        let port = context.settings.serve.port;
        let server = tx_context.journal.server();
        return Ok(server.map_or_else(
            || format!("http://127.0.0.1:{port}"),
            |server| server.url().trim_end_matches('/').to_owned(),
        ));
    }
    let message = "the registration file of an agent is at its server, and nothing says where others \
                   reach that";
    Err(Failure::new(ExitClass::Usage, message)
        .with_hint("openlora config set serve.public_url https://HOST"))
}

/// Registers the identity of a release, or moves its file, or does nothing.
pub(super) async fn register(
    context: &CommandContext,
    tx_context: &mut TxContext,
    release: &ReleaseDeployment,
) -> Result<AgentReport, Failure> {
    let adapter = parse_id(&release.adapter_id).unwrap_or_default();
    let wish = wish(context, tx_context, &release.name, adapter)?;
    let plan = plan_agent(&tx_context.chain, wish).await?;
    let agent = match plan.action {
        AgentAction::Nothing => known(tx_context, &plan, release).await?,
        AgentAction::Register | AgentAction::Move => {
            send(context, tx_context, &plan, release).await?
        }
    };
    let done = match plan.action {
        AgentAction::Nothing => "nothing",
        AgentAction::Register => "registered",
        AgentAction::Move => "moved",
    };
    Ok(AgentReport {
        registry: agent.registry,
        agent_id: agent.agent_id,
        uri: agent.agent_uri,
        tx: agent.tx,
        done: done.to_owned(),
    })
}

/// A process that was killed after its transaction was mined could not record the identity.
async fn known(
    tx_context: &TxContext,
    plan: &AgentPlan,
    release: &ReleaseDeployment,
) -> Result<AgentRegistration, Failure> {
    let agent = known_agent(&tx_context.chain, plan, release).await?;
    let is_it = |it: &AgentRegistration| {
        (&it.registry, &it.agent_id, &it.agent_uri)
            == (&agent.registry, &agent.agent_id, &agent.agent_uri)
    };
    let is_recorded = tx_context.state.read().agents.iter().any(is_it);
    if !is_recorded {
        append_agent(&tx_context.journal, &agent)
            .await
            .map_err(DeployError::from)?;
    }
    Ok(agent)
}

async fn send(
    context: &CommandContext,
    tx_context: &mut TxContext,
    plan: &AgentPlan,
    release: &ReleaseDeployment,
) -> Result<AgentRegistration, Failure> {
    let quote = quote(
        &tx_context.chain,
        tx_context.account,
        &plan.steps,
        &tx_context.limits,
    )
    .await?;
    print_steps(context, tx_context, &plan.steps, &quote)?;
    tx_context.confirm(&release.name, "registering this agent")?;
    tx_context.fund().await?;
    let held = tx_context.chain.balance(tx_context.account).await?;
    let deed = format!("registering {} as an agent", release.name);
    quote.afford(&tx_context.chain, tx_context.account, held, &deed)?;
    let account = tx_context.unlock()?;
    let sender = tx_context.sender(&account);
    Ok(carry_out_agent(&sender, plan, release, &quote).await?)
}

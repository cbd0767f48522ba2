//! `deploy --contracts`: deploys the contracts that every openlora network needs.

use serde::Serialize;

use super::{DeployRequest, TxContext, print_steps, propose};
use crate::commands::CommandContext;
use openlora_core::error::{ExitStatus, Failure};
use openlora_release::deploy::{deploy_contracts, missing_contracts, quote};

/// What `--contracts --json` prints.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct ContractsReport {
    network: String,
    chain_id: u64,
    /// In the order of deployment.
    contracts: Vec<ContractAddress>,
}

#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct ContractAddress {
    name: &'static str,
    address: String,
    /// The deployment transaction; null if the contract already existed.
    tx: Option<String>,
}

pub async fn run(context: &CommandContext, request: &DeployRequest) -> Result<ExitStatus, Failure> {
    let mut tx_context = TxContext::open(context, request.password_file.clone()).await?;
    if !request.dry_run {
        tx_context.recover().await?;
    }
    let (set, steps) = missing_contracts(&tx_context.chain).await?;
    let quote = quote(
        &tx_context.chain,
        tx_context.account,
        &steps,
        &tx_context.limits,
    )
    .await?;
    if request.dry_run {
        propose(context, &tx_context, &steps, &quote)?;
        return Ok(ExitStatus::Success);
    }
    if !steps.is_empty() {
        print_steps(context, &tx_context, &steps, &quote)?;
        tx_context.confirm("contracts", "deploying the contracts")?;
        tx_context.fund().await?;
        let held = tx_context.chain.balance(tx_context.account).await?;
        quote.afford(
            &tx_context.chain,
            tx_context.account,
            held,
            "deploying the contracts",
        )?;
    }
    let placed = if steps.is_empty() {
        openlora_release::deploy::already_there(&set)
    } else {
        let account = tx_context.unlock()?;
        deploy_contracts(&tx_context.sender(&account), &set, &quote).await?
    };
    let network = &tx_context.chain.network;
    let printer = &context.printer;
    if printer.is_json() {
        let contracts = placed.into_iter().map(|it| ContractAddress {
            name: it.name,
            address: it.address.to_string(),
            tx: it.tx,
        });
        printer.json(&ContractsReport {
            network: network.name.clone(),
            chain_id: network.chain_id,
            contracts: contracts.collect(),
        });
        return Ok(ExitStatus::Success);
    }
    for it in placed {
        let how = it.tx.as_deref().unwrap_or("was there");
        printer.line(format!("{:<24} {} {how}", it.name, it.address));
    }
    Ok(ExitStatus::Success)
}

//! `deploy --contracts`: the set that every openlora network needs.

use serde::Serialize;

use super::{DeployRequest, Desk, propose, show};
use crate::{
    commands::Context,
    error::{ExitStatus, Failure},
    wallet::deploy::{deploy_contracts, missing_contracts, quote},
};

/// What `--contracts --json` prints.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct Contracts {
    network: String,
    chain_id: u64,
    /// In the order of deployment.
    contracts: Vec<Placed>,
}

#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct Placed {
    name: &'static str,
    address: String,
    /// The transaction that put it there; null when it was there before.
    tx: Option<String>,
}

pub async fn run(context: &Context, request: &DeployRequest) -> Result<ExitStatus, Failure> {
    let mut desk = Desk::open(context, request.password_file.clone()).await?;
    if !request.dry_run {
        desk.recover().await?;
    }
    let (set, steps) = missing_contracts(&desk.chain).await?;
    let quote = quote(&desk.chain, desk.account, &steps, &desk.limits).await?;
    if request.dry_run {
        propose(context, &desk, &steps, &quote);
        return Ok(ExitStatus::Success);
    }
    if !steps.is_empty() {
        show(context, &desk, &steps, &quote);
        desk.confirm("contracts", "deploying the contracts")?;
        desk.fund().await?;
        let held = desk.chain.balance(desk.account).await?;
        quote.afford(&desk.chain, desk.account, held, "deploying the contracts")?;
    }
    let placed = if steps.is_empty() {
        crate::wallet::deploy::already_there(&set)
    } else {
        let account = desk.unlock()?;
        deploy_contracts(&desk.sender(&account), &set, &quote).await?
    };
    let network = &desk.chain.network;
    let printer = &context.printer;
    if printer.is_json() {
        let contracts = placed.into_iter().map(|it| Placed {
            name: it.name,
            address: it.address.to_string(),
            tx: it.tx,
        });
        printer.json(&Contracts {
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

//! Quotes a plan, executes it, and reads its result from the chain.

use alloy::{
    primitives::{B256, U256},
    rpc::types::{Filter, Log, TransactionReceipt},
    sol_types::SolEvent,
};

use super::{
    error::DeployError,
    plan::{DeployPlan, DeployStep},
    release_params::ReleaseParams,
};
use openlora_chain::{
    provider::{Chain, GasFees},
    registry::{OpenLoraRegistry as Registry, shown_id},
    transaction::{TransactionError, TxLimits, TxSender, TxSubmission},
};
use openlora_core::Address;
use openlora_ledger::event::{Event, ReleaseDeployment};
use openlora_ports::FactLog;

/// The cost limits of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeeQuote {
    pub submissions: Vec<TxSubmission>,
    pub fees: GasFees,
    /// Maximum wei per unit of gas.
    pub cap: u128,
}

impl FeeQuote {
    pub fn gas(&self) -> u64 {
        self.submissions.iter().map(|it| it.gas).sum()
    }

    /// Maximum total cost in wei.
    pub fn most(&self) -> U256 {
        U256::from(self.gas()) * U256::from(self.cap)
    }

    /// The maximum fee as an amount of wei.
    pub fn cap_as_amount(&self) -> U256 {
        U256::from(self.cap)
    }

    /// Checks that the account's balance covers the first fee offers.
    pub fn afford(
        &self,
        chain: &Chain,
        account: Address,
        held: U256,
        deed: &str,
    ) -> Result<(), TransactionError> {
        let needed = U256::from(self.gas()) * U256::from(self.fees.max_fee);
        if held >= needed {
            return Ok(());
        }
        Err(TransactionError::Funds {
            account,
            network: chain.network.name.clone(),
            deed: deed.to_owned(),
            held,
            needed,
        })
    }
}

/// Estimates every step. If a step would revert, returns the reason; nothing was spent.
pub async fn quote(
    chain: &Chain,
    account: Address,
    steps: &[DeployStep],
    limits: &TxLimits,
) -> Result<FeeQuote, DeployError> {
    let (fees, cap) = limits.offer(chain).await?;
    let mut submissions = Vec::with_capacity(steps.len());
    for step in steps {
        let estimate = chain
            .estimate(account, step.to, &step.data, &step.deed)
            .await?;
        submissions.push(TxSubmission {
            to: step.to,
            data: step.data.clone(),
            value: U256::ZERO,
            key: step.key.clone(),
            label: step.deed.clone(),
            // The state of the chain may change until then; unused gas is not paid.
            gas: estimate + estimate / 5,
            sponsored: None,
        });
    }
    Ok(FeeQuote {
        submissions,
        fees,
        cap,
    })
}

/// Sends every step and records the release.
pub async fn carry_out(
    sender: &TxSender<'_>,
    params: &ReleaseParams,
    plan: &DeployPlan,
    quote: &FeeQuote,
) -> Result<ReleaseDeployment, DeployError> {
    let mut release = None;
    for submission in &quote.submissions {
        let mined = sender.send(submission).await?;
        release = publication(&mined.receipt, plan).or(release);
    }
    match release {
        Some(found) => {
            let deployment = describe(sender.chain, params, &found);
            let paid = Address::from(found.event.splitter);
            if let Some(expected) = plan.splitter.filter(|expected| *expected != paid) {
                return Err(DeployError::Elsewhere {
                    what: "the splitter",
                    found: paid,
                    expected,
                });
            }
            append_release(sender.facts, &deployment).await?;
            Ok(deployment)
        }
        // Only the server authorisation was missing.
        None => find_release(sender.chain, params, plan).await,
    }
}

/// Records a release in the journal.
pub async fn append_release(
    facts: &dyn FactLog,
    deployment: &ReleaseDeployment,
) -> Result<(), TransactionError> {
    let kept = facts
        .keep(Event::Deployed(Box::new(deployment.clone())))
        .await;
    kept.map_err(TransactionError::Unrecorded)
}

/// A `ReleasePublished` event and its transaction.
struct ReleaseEvent {
    event: Registry::ReleasePublished,
    tx: B256,
    gas_used: u64,
    block: u64,
}

fn publication(receipt: &TransactionReceipt, plan: &DeployPlan) -> Option<ReleaseEvent> {
    let event = |log: &Log| Registry::ReleasePublished::decode_log(&log.inner).ok();
    let event = receipt.logs().iter().find_map(event)?.data;
    (event.id == plan.adapter_id).then(|| ReleaseEvent {
        event,
        tx: receipt.transaction_hash,
        gas_used: receipt.gas_used,
        block: receipt.block_number.unwrap_or_default(),
    })
}

/// An already registered release, found by its event.
pub async fn find_release(
    chain: &Chain,
    params: &ReleaseParams,
    plan: &DeployPlan,
) -> Result<ReleaseDeployment, DeployError> {
    let registry = chain.network.contracts.registry.unwrap_or_default();
    let (id, version) = (plan.adapter_id, plan.version);
    let record = Registry::releaseCall { id, version };
    let record = chain
        .read("release of the registry", registry, &record)
        .await?;
    let from = chain.block_at(record.publishedAt.to::<u64>()).await?;
    let filter = Filter::new()
        .address(alloy::primitives::Address::from(registry))
        .event_signature(Registry::ReleasePublished::SIGNATURE_HASH)
        .topic1(id)
        .topic2(U256::from(version));
    let logs = chain.logs(&filter, from).await?;
    let missing = || DeployError::NoRelease { tx: shown_id(id) };
    let tx = logs
        .first()
        .and_then(|log| log.transaction_hash)
        .ok_or_else(missing)?;
    let receipt = chain.receipt(tx).await?.ok_or_else(missing)?;
    let found = publication(&receipt, plan).ok_or_else(missing)?;
    Ok(describe(chain, params, &found))
}

fn describe(chain: &Chain, params: &ReleaseParams, found: &ReleaseEvent) -> ReleaseDeployment {
    let network = &chain.network;
    ReleaseDeployment {
        name: params.name.clone(),
        release: params.release.clone(),
        network: network.name.clone(),
        chain_id: network.chain_id,
        registry: network.contracts.registry.unwrap_or_default().to_string(),
        adapter_id: shown_id(found.event.id),
        version: found.event.version,
        publisher: params.publisher.to_string(),
        manifest_sha256: alloy::hex::encode(params.manifest_sha256),
        weights_sha256: alloy::hex::encode(params.weights_sha256),
        splitter: Address::from(found.event.splitter).to_string(),
        tx: found.tx.to_string(),
        gas_used: found.gas_used,
        block: found.block,
    }
}

//! A server's chain of roots in the anchor.

use std::collections::BTreeSet;

use alloy::{
    primitives::U256,
    rpc::types::Filter,
    sol_types::{SolCall, SolEvent},
};

use crate::settlement::{SettleError, SettlementClient, TxPurpose};
use openlora_chain::{
    WalletError,
    provider::Chain,
    registry::{AttributionAnchor, Head, OpenLoraRegistry as Registry},
    transaction::MinedTx,
};
use openlora_core::{Address, Amount, Word};
use openlora_ledger::{TxKey, publication::AnchoredBatch};

/// The state of a server's chain of roots for an adapter.
pub async fn head(chain: &Chain, adapter: U256, server: Address) -> Result<Head, WalletError> {
    let anchor = chain.network.contracts.anchor.unwrap_or_default();
    let call = AttributionAnchor::headOfCall {
        id: adapter,
        server: server.into(),
    };
    chain.read("headOf of the anchor", anchor, &call).await
}

/// Those of some accounts that may anchor calls of an adapter, in the same order.
pub async fn servers_among(
    chain: &Chain,
    adapter: U256,
    accounts: &[Address],
) -> Result<Vec<Address>, WalletError> {
    let registry = chain.network.contracts.registry.unwrap_or_default();
    let mut servers = Vec::new();
    for account in accounts {
        let call = Registry::isServerCall {
            id: adapter,
            server: (*account).into(),
        };
        if chain
            .read("isServer of the registry", registry, &call)
            .await?
        {
            servers.push(*account);
        }
    }
    Ok(servers)
}

/// Anchors a batch whose file is published. The chain refuses it unless the previous root of the
/// batch is the last one on the chain.
pub async fn publish_root(
    desk: &SettlementClient,
    adapter: U256,
    batch: &AnchoredBatch,
    uri: &str,
) -> Result<MinedTx, SettleError> {
    let anchor = desk.chain().network.contracts.anchor.unwrap_or_default();
    let call = AttributionAnchor::anchorCall {
        id: adapter,
        root: batch.root.into(),
        prevRoot: batch.previous.into(),
        count: batch.calls.len() as u64,
        charged: batch.charged().0,
        uri: uri.to_owned(),
    };
    let purpose = TxPurpose {
        key: TxKey::Anchor {
            adapter: batch.adapter_id.clone(),
            root: batch.root,
        },
        label: format!("anchoring {} calls as {}", batch.calls.len(), batch.root),
    };
    desk.carry_out(anchor, call.abi_encode().into(), purpose)
        .await
}

/// A root as recorded on the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnChain {
    pub root: Word,
    pub sequence: u64,
    pub count: u64,
    pub charged: Amount,
}

/// Every root of a server's chain of roots for an adapter, oldest first.
pub async fn anchored_on(
    chain: &Chain,
    adapter: U256,
    server: Address,
) -> Result<Vec<OnChain>, WalletError> {
    let anchor = chain.network.contracts.anchor.unwrap_or_default();
    let raw: alloy::primitives::Address = server.into();
    let filter = Filter::new()
        .address(alloy::primitives::Address::from(anchor))
        .event_signature(AttributionAnchor::Anchored::SIGNATURE_HASH)
        .topic1(adapter)
        .topic2(raw.into_word());
    let logs = chain.logs(&filter, 0).await?;
    let told = logs.iter().filter_map(|log| {
        let event = AttributionAnchor::Anchored::decode_log(&log.inner).ok()?;
        Some(OnChain {
            root: event.root.into(),
            sequence: event.sequence,
            count: event.count,
            charged: Amount(event.charged),
        })
    });
    Ok(told.collect())
}

/// Every server that has anchored calls of an adapter.
///
/// # Errors
/// The chain cannot be read.
pub async fn anchoring_servers(
    chain: &Chain,
    adapter: U256,
) -> Result<BTreeSet<Address>, WalletError> {
    let anchor = chain.network.contracts.anchor.unwrap_or_default();
    let filter = Filter::new()
        .address(alloy::primitives::Address::from(anchor))
        .event_signature(AttributionAnchor::Anchored::SIGNATURE_HASH)
        .topic1(adapter);
    let logs = chain.logs(&filter, 0).await?;
    let told = logs.iter().filter_map(|log| {
        let event = AttributionAnchor::Anchored::decode_log(&log.inner).ok()?;
        Some(Address::from(event.server))
    });
    Ok(told.collect())
}

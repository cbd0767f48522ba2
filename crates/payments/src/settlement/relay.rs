//! Submits calls to the escrow that other parties have signed. Any account may submit them.

use alloy::{primitives::Bytes, sol_types::SolCall};

use super::{ChainFailure, MinedResult, client::SettlementClient, purpose::TxPurpose};
use openlora_chain::registry::BatchSettlementEscrow as Escrow;
use openlora_contracts::ESCROW;
use openlora_core::{Address, Amount};
use openlora_ledger::{Sponsored, TxKey, event::Event};

/// Several calls as one.
pub(super) fn joined(mut calls: Vec<Bytes>) -> Bytes {
    match calls.len() {
        1 => calls.remove(0),
        _ => Escrow::multicallCall { data: calls }.abi_encode().into(),
    }
}

impl SettlementClient {
    pub(super) async fn pass_on(
        &self,
        name: &'static str,
        key: TxKey,
        data: Bytes,
        asked: Sponsored,
        first: Vec<Event>,
    ) -> Result<MinedResult, ChainFailure> {
        let label = format!("{name} for others");
        let purpose = TxPurpose { key, label };
        let call = self.prepared_for(name, asked, ESCROW.into(), data, purpose);
        let call = call.await?;
        let tx = self.done(name, call, first).await?.tx.to_string();
        // Its effects on watched channels are read before the next query.
        match self.advance(&[]).await {
            Ok(_) => Ok(MinedResult { tx, view: None }),
            Err(_) => Err(ChainFailure::Unknown { tx }),
        }
    }

    pub(super) async fn unsettled_of(
        &self,
        receiver: Address,
        token: Address,
    ) -> Result<Amount, ChainFailure> {
        let call = Escrow::receiversCall {
            receiver: receiver.into(),
            token: token.into(),
        };
        let asked = self
            .chain
            .read("receivers of the escrow", ESCROW.into(), &call);
        let totals = asked.await.map_err(ChainFailure::unreachable)?;
        Ok(Amount(
            totals.totalClaimed.saturating_sub(totals.totalSettled),
        ))
    }
}

//! How many payers of an adapter have come back, by a server's published log of attributed calls.
//! The log is the server's own word, which `audit` compares with the chain.

use std::collections::BTreeMap;

use crate::http::{MarketHttp, ServerAddress, json};
use openlora_core::{Address, Word};
use openlora_ledger::publication::{AnchoredBatch, batch_file};

/// The newest batches that are read.
const MOST_BATCHES: usize = 4;
/// The largest file that is read, in bytes.
const LARGEST_FILE: usize = 8 << 20;

/// Payers of an adapter, and those with more than one call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PayerCounts {
    pub payers: u64,
    pub repeated: u64,
}

impl PayerCounts {
    /// The share of payers that came back, in parts per million.
    pub fn share_ppm(self) -> Option<u32> {
        let share = (self.repeated * 1_000_000).checked_div(self.payers)?;
        u32::try_from(share).ok()
    }
}

/// Counts the payers of an adapter in the newest batches of a server's log, beginning with the root
/// that the chain has; `None` if no batch can be read.
pub(crate) async fn count_payers(
    http: &MarketHttp,
    server: &ServerAddress,
    newest: Word,
) -> Option<PayerCounts> {
    let mut calls: BTreeMap<Address, u64> = BTreeMap::new();
    let mut root = newest;
    for _ in 0..MOST_BATCHES {
        if root == Word::default() {
            break;
        }
        let batch: AnchoredBatch = file(http, server, &batch_file(root)).await?;
        for call in batch.calls {
            *calls.entry(call.charge.payer).or_default() += 1;
        }
        root = batch.previous;
    }
    let payers = u64::try_from(calls.len()).ok()?;
    let repeated = calls.values().filter(|count| **count > 1).count();
    Some(PayerCounts {
        payers,
        repeated: u64::try_from(repeated).ok()?,
    })
}

async fn file<T: serde::de::DeserializeOwned>(
    http: &MarketHttp,
    server: &ServerAddress,
    name: &str,
) -> Option<T> {
    let path = format!("/attribution-log/{name}");
    let asked = http.client(server).ok()?.get(server.url(&path));
    let response = asked.send().await.ok()?;
    if !response.status().is_success() {
        return None;
    }
    let value = json(response, LARGEST_FILE).await.ok()?;
    serde_json::from_value(value).ok()
}

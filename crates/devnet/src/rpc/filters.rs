//! Polled filters. A filter stores only the next block to read, so abandoned filters cost almost
//! nothing; they expire five minutes after the last poll.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use alloy::{primitives::B256, rpc::types::Filter};
use serde_json::json;

use super::{RpcError, RpcParams, RpcResult, RpcState, read::to_json};

const LIFETIME: Duration = Duration::from_secs(300);
/// Maximum number of installed filters.
const MOST: usize = 10_000;

#[derive(Clone, Debug)]
enum FilterKind {
    Logs(Box<Filter>),
    Blocks,
    Transactions,
}

#[derive(Clone, Debug)]
struct InstalledFilter {
    kind: FilterKind,
    /// The next block to read.
    next: u64,
    asked: Instant,
}

/// The installed filters.
#[derive(Debug, Default)]
pub(in super::super) struct FilterTable {
    installed: BTreeMap<u64, InstalledFilter>,
    last_id: u64,
}

impl FilterTable {
    fn install(&mut self, kind: FilterKind, next: u64) -> Result<u64, RpcError> {
        self.installed
            .retain(|_, installed| installed.asked.elapsed() < LIFETIME);
        if self.installed.len() >= MOST {
            return Err(RpcError::server(format!(
                "there are {MOST} filters already; uninstall some"
            )));
        }
        self.last_id += 1;
        let asked = Instant::now();
        self.installed
            .insert(self.last_id, InstalledFilter { kind, next, asked });
        Ok(self.last_id)
    }

    /// Rewinds filters after blocks beyond `block` were replaced.
    pub(super) fn back_to(&mut self, block: u64) {
        for installed in self.installed.values_mut() {
            installed.next = installed.next.min(block + 1);
        }
    }

    fn ask(&mut self, id: u64) -> Result<&mut InstalledFilter, RpcError> {
        let found = self.installed.get_mut(&id);
        let found = found.ok_or_else(|| RpcError::server("filter not found"))?;
        found.asked = Instant::now();
        Ok(found)
    }
}

fn install(rpc_state: &mut RpcState, kind: FilterKind) -> RpcResult {
    let next = rpc_state.chain.head().0 + 1;
    let id = rpc_state.filters.install(kind, next)?;
    Ok(json!(format!("{id:#x}")))
}

pub(super) fn new_logs(rpc_state: &mut RpcState, params: &RpcParams<'_>) -> RpcResult {
    let filter: Filter = params.get(0, "filter")?;
    install(rpc_state, FilterKind::Logs(Box::new(filter)))
}

pub(super) fn new_blocks(rpc_state: &mut RpcState, _: &RpcParams<'_>) -> RpcResult {
    install(rpc_state, FilterKind::Blocks)
}

pub(super) fn new_transactions(rpc_state: &mut RpcState, _: &RpcParams<'_>) -> RpcResult {
    install(rpc_state, FilterKind::Transactions)
}

/// Other nodes may use larger ids; such a filter is not found.
fn id(params: &RpcParams<'_>) -> Result<u64, RpcError> {
    let id = params.number(0, "filter")?;
    Ok(id.try_into().unwrap_or_default())
}

pub(super) fn changes(rpc_state: &mut RpcState, params: &RpcParams<'_>) -> RpcResult {
    let newest = rpc_state.chain.head().0;
    let installed = rpc_state.filters.ask(id(params)?)?;
    let from = installed.next;
    installed.next = newest + 1;
    let kind = installed.kind.clone();
    match kind {
        FilterKind::Logs(filter) => {
            let (first, last) = filter.extract_block_range();
            let from = from.max(first.unwrap_or_default());
            let to = newest.min(last.unwrap_or(newest));
            to_json(&rpc_state.chain.logs_in(from..=to, &filter)?)
        }
        FilterKind::Blocks => {
            let found = rpc_state.chain.hashes_in(from..=newest)?;
            to_json(
                &found
                    .into_iter()
                    .map(|(block, _)| block)
                    .collect::<Vec<B256>>(),
            )
        }
        FilterKind::Transactions => {
            let found = rpc_state.chain.hashes_in(from..=newest)?;
            let hashes = found.into_iter().flat_map(|(_, transactions)| transactions);
            to_json(&hashes.collect::<Vec<B256>>())
        }
    }
}

pub(super) fn all_logs(rpc_state: &mut RpcState, params: &RpcParams<'_>) -> RpcResult {
    let installed = rpc_state.filters.ask(id(params)?)?;
    match installed.kind.clone() {
        FilterKind::Logs(filter) => to_json(&rpc_state.chain.logs(&filter)?),
        FilterKind::Blocks | FilterKind::Transactions => Err(RpcError::server("filter not found")),
    }
}

pub(super) fn uninstall(rpc_state: &mut RpcState, params: &RpcParams<'_>) -> RpcResult {
    let removed = rpc_state.filters.installed.remove(&id(params)?);
    Ok(json!(removed.is_some()))
}

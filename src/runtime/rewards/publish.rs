//! Collects from the journal what is published.

use std::collections::{BTreeMap, BTreeSet};

use openlora_core::{Address, Word, error::Failure};
use openlora_journal::Journal;
use openlora_ledger::{
    AnchorFacts, CallCharge, CollectedSums, ReceiverKey,
    event::{CallAttributed, CallTraced, Event, EventRecord, ReleaseDeployment, SplitRead},
    publication::{PublishedCall, event_id},
};

/// Maximum calls under one root.
pub const LARGEST: usize = 8192;

/// The known roots, releases and pools.
#[derive(Default)]
pub struct RewardState {
    chain_id: u64,
    pub anchors: AnchorFacts,
    /// The collected amounts of the calls' charges.
    pub collected: CollectedSums,
    /// By splitter.
    releases: BTreeMap<Address, ReleaseDeployment>,
    splits: BTreeMap<ReceiverKey, SplitRead>,
}

/// A call that is metered but not attributed yet.
#[derive(Default)]
struct PartialCall {
    charge: Option<CallCharge>,
    request_hash: String,
    response_hash: String,
    traced: Option<CallTraced>,
}

impl RewardState {
    pub fn read_journal(journal: &Journal, chain_id: u64) -> Result<Self, Failure> {
        let mut reading = Self {
            chain_id,
            ..Self::default()
        };
        journal.replay(1, |record| reading.apply(&record.event))?;
        Ok(reading)
    }

    fn apply(&mut self, event: &Event) {
        self.anchors.apply(event);
        self.collected.apply(event);
        match event {
            // Splitters have the same address on every chain.
            Event::Deployed(release) => {
                if let Ok(splitter) = release.splitter.parse() {
                    self.releases
                        .insert(splitter, ReleaseDeployment::clone(release));
                }
            }
            Event::SplitRead(split) => {
                self.splits.insert(split.receiver, SplitRead::clone(split));
            }
            Event::ChainEnded { chain_id } => {
                self.releases.retain(|_, it| it.chain_id != *chain_id);
                self.splits.retain(|it, _| it.chain_id != *chain_id);
            }
            _ => {}
        }
    }

    /// Ids of the adapters released from here.
    pub fn adapters(&self) -> BTreeSet<String> {
        let here = self.releases.values();
        let here = here.filter(|it| it.chain_id == self.chain_id);
        here.map(|it| it.adapter_id.clone()).collect()
    }

    /// The last record whose calls are published for a pool.
    pub fn published_through(&self, pool: ReceiverKey, server: Address) -> u64 {
        let pays = |split: &&SplitRead| {
            let mut parts = split.parts.iter();
            parts.any(|part| part.recipient == pool.receiver)
        };
        let mut splits = self.splits.values();
        let release = splits
            .find(pays)
            .and_then(|it| self.releases.get(&it.receiver.receiver));
        let last = release.and_then(|it| self.anchors.last(it.chain_id, &it.adapter_id, server));
        last.map_or(0, |it| it.through)
    }

    /// The contributor pools on this chain.
    pub fn pools(&self) -> BTreeSet<ReceiverKey> {
        let here = self
            .splits
            .values()
            .filter(|it| it.receiver.chain_id == self.chain_id);
        here.flat_map(SplitRead::pools).collect()
    }

    /// An adapter's paid and attributed calls after a record, in order.
    pub fn calls(
        &self,
        journal: &Journal,
        adapter_id: &str,
        after: u64,
    ) -> Result<Vec<PublishedCall>, Failure> {
        let mut halves: BTreeMap<String, PartialCall> = BTreeMap::new();
        let mut calls = Vec::new();
        journal.replay(1, |record| match &record.event {
            Event::CallMetered {
                request_id,
                request_hash,
                response_hash,
                charge: Some(charge),
                ..
            } => {
                let half = halves.entry(request_id.clone()).or_default();
                half.charge = Some(CallCharge::clone(charge));
                half.request_hash.clone_from(request_hash);
                half.response_hash.clone_from(response_hash);
            }
            Event::Traced(traced) => {
                let half = halves.entry(traced.request_id.clone()).or_default();
                half.traced = Some(CallTraced::clone(traced));
            }
            Event::Attributed(attributed) => {
                let half = halves.remove(&attributed.request_id).unwrap_or_default();
                if record.sequence > after {
                    calls.extend(self.call(record, attributed, half));
                }
            }
            // Payments on a chain that was reset do not belong to the new chain with the same id.
            Event::ChainEnded { chain_id } => {
                let is_gone = |charge: &CallCharge| charge.chain_id == *chain_id;
                halves.retain(|_, half| !half.charge.as_ref().is_some_and(is_gone));
                calls.retain(|call: &PublishedCall| !is_gone(&call.charge));
            }
            _ => {}
        })?;
        calls.retain(|call| call.adapter_id == adapter_id);
        Ok(calls)
    }

    fn call(
        &self,
        record: &EventRecord,
        attributed: &CallAttributed,
        half: PartialCall,
    ) -> Option<PublishedCall> {
        let charge = half.charge?;
        let release = self.releases.get(&charge.receiver)?;
        let event = event_id(&attributed.adapter_digest, &attributed.request_id);
        Some(PublishedCall {
            event_id: Word(event),
            sequence: record.sequence,
            time_ms: record.time_ms,
            adapter_digest: attributed.adapter_digest.clone(),
            adapter_id: release.adapter_id.clone(),
            version: release.version,
            charge,
            request_hash: half.request_hash,
            response_hash: half.response_hash,
            index: attributed.index.clone(),
            method: attributed.method,
            fallback: attributed.fallback.clone(),
            confidence_ppm: attributed.confidence_ppm,
            evidence_ppm: attributed.evidence_ppm,
            trace_ppm: attributed.trace_ppm,
            answer_tokens: attributed.answer_tokens,
            spans: half.traced.map_or_else(Vec::new, |it| it.spans),
            sketch: attributed.sketch.clone(),
            examples: attributed.examples.clone(),
            shares: attributed.shares.clone(),
            amounts: attributed.amounts.clone().unwrap_or_default(),
        })
    }
}

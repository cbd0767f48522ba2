//! What is published of the journal.

use std::collections::BTreeSet;

use super::WaitingReward;
use openlora_core::{Address, Word, error::Failure};
use openlora_journal::{Journal, UniqueKey};
use openlora_ledger::{
    ChainFacts, ReceiverKey,
    event::{CallAttributed, Event, EventRecord, ReleaseDeployment, SplitRead},
    publication::{PublishedCall, event_id},
    state::LedgerState,
};

/// Maximum calls under one root.
pub const LARGEST: usize = 8192;

/// The calls of a stranger's adapter that make a root worth its gas.
const STRANGERS_CALLS: usize = 64;

/// How long fewer of them wait, in milliseconds.
const STRANGERS_WAIT: u64 = 24 * 60 * 60 * 1000;

/// How many records are read at a time.
const PAGE: usize = 1024;

/// The known roots, releases and pools.
pub struct RewardState {
    chain_id: u64,
    pub facts: ChainFacts,
    releases: Vec<ReleaseDeployment>,
    /// Releases of others that are served here.
    served: Vec<ReleaseDeployment>,
}

impl RewardState {
    pub fn from_state(state: &LedgerState, chain_id: u64) -> Self {
        Self {
            chain_id,
            facts: state.facts.clone(),
            releases: state.deployments.clone(),
            served: state.served_releases.clone(),
        }
    }

    /// The latest release with a splitter, which has the same address on every chain.
    fn release(&self, splitter: Address) -> Option<&ReleaseDeployment> {
        let mut releases = self.releases.iter().rev().chain(self.served.iter().rev());
        releases.find(|it| it.splitter.parse() == Ok(splitter))
    }

    /// Whether this home registered a release.
    pub fn is_own(&self, release: &ReleaseDeployment) -> bool {
        self.releases.contains(release)
    }

    /// Whether an adapter's calls are to wait for more of them before a root covers them. A stranger
    /// can register an adapter that is served here and pay himself for its calls, so that few small
    /// ones do not make this server pay for a transaction.
    pub fn gathers(&self, adapter_id: &str, calls: &[PublishedCall], now_ms: u64) -> bool {
        let is_own = self.releases.iter().any(|it| it.adapter_id == adapter_id);
        let oldest = calls.iter().map(|it| it.time_ms).min();
        let is_young = oldest.is_none_or(|oldest| now_ms.saturating_sub(oldest) < STRANGERS_WAIT);
        !is_own && calls.len() < STRANGERS_CALLS && is_young
    }

    /// Ids of the adapters released from here, and after them of those served here: strangers' calls
    /// do not use up the gas of the own ones.
    pub fn adapters(&self) -> Vec<String> {
        let ids = |releases: &[ReleaseDeployment]| -> BTreeSet<String> {
            let here = releases.iter().filter(|it| it.chain_id == self.chain_id);
            here.map(|it| it.adapter_id.clone()).collect()
        };
        let own = ids(&self.releases);
        let served: Vec<String> = ids(&self.served).difference(&own).cloned().collect();
        own.into_iter().chain(served).collect()
    }

    /// The release whose splitter pays a pool.
    pub fn release_of(&self, pool: ReceiverKey) -> Option<&ReleaseDeployment> {
        let pays = |split: &&SplitRead| {
            let mut parts = split.parts.iter();
            parts.any(|part| part.recipient == pool.receiver)
        };
        let split = self.facts.splits().values().find(pays)?;
        self.release(split.receiver.receiver)
    }

    /// The last record whose calls are published for a pool.
    pub fn published_through(&self, pool: ReceiverKey) -> u64 {
        self.release_of(pool).map_or(0, |it| {
            self.facts.anchored_through(it.chain_id, &it.adapter_id)
        })
    }

    /// The accounts that registered versions of an adapter from here, the latest first.
    pub fn publishers(&self, adapter_id: &str) -> Vec<Address> {
        let releases = self.releases.iter().rev();
        let of_adapter = releases.filter(|it| it.adapter_id == adapter_id);
        let publishers = of_adapter.filter_map(|it| it.publisher.parse().ok());
        publishers.collect()
    }

    /// Something to do for an adapter that waits for an account.
    pub fn waiting(
        &self,
        adapter_id: &str,
        action: String,
        account: Option<Address>,
    ) -> WaitingReward {
        let mut releases = self.releases.iter();
        let release = releases.rfind(|it| it.adapter_id == adapter_id);
        WaitingReward {
            adapter_id: adapter_id.to_owned(),
            name: release.map(|it| it.name.clone()).unwrap_or_default(),
            action,
            account: account.map(|it| it.to_string()),
        }
    }

    /// The contributor pools on this chain.
    pub fn pools(&self) -> BTreeSet<ReceiverKey> {
        let splits = self.facts.splits().values();
        let here = splits.filter(|it| it.receiver.chain_id == self.chain_id);
        here.flat_map(SplitRead::pools).collect()
    }

    /// An adapter's paid and attributed calls after a record, in order.
    pub async fn calls(
        &self,
        journal: &Journal,
        adapter_id: &str,
        after: u64,
    ) -> Result<Vec<PublishedCall>, Failure> {
        let (mut calls, mut next) = (Vec::new(), after + 1);
        loop {
            let page = journal.read(next, PAGE).await?;
            let Some(last) = page.last() else {
                return Ok(calls);
            };
            next = last.sequence + 1;
            for record in &page {
                if let Event::Attributed(attributed) = &record.event {
                    let call = self.call(journal, record, attributed).await?;
                    calls.extend(call.filter(|it| it.adapter_id == adapter_id));
                }
            }
        }
    }

    async fn call(
        &self,
        journal: &Journal,
        record: &EventRecord,
        attributed: &CallAttributed,
    ) -> Result<Option<PublishedCall>, Failure> {
        let id = &attributed.request_id;
        let Some(metered) = journal.metered(id).await? else {
            return Ok(None);
        };
        let Event::CallMetered {
            request_hash,
            response_hash,
            charge: Some(charge),
            ..
        } = metered.event
        else {
            return Ok(None);
        };
        // Payments on a chain that was reset do not belong to the new chain with the same id.
        let is_gone = metered.sequence < self.facts.began(charge.chain_id);
        let release = self.release(charge.receiver).filter(|_| !is_gone);
        let Some(release) = release else {
            return Ok(None);
        };
        let traced = journal.unique(UniqueKey::TRACED, id).await?;
        let spans = match traced.map(|it| it.event) {
            Some(Event::Traced(traced)) => traced.spans,
            _ => Vec::new(),
        };
        let event = event_id(&attributed.adapter_digest, &attributed.request_id);
        Ok(Some(PublishedCall {
            event_id: Word(event),
            sequence: record.sequence,
            time_ms: record.time_ms,
            adapter_digest: attributed.adapter_digest.clone(),
            adapter_id: release.adapter_id.clone(),
            version: release.version,
            charge: *charge,
            request_hash,
            response_hash,
            index: attributed.index.clone(),
            method: attributed.method,
            fallback: attributed.fallback.clone(),
            confidence_ppm: attributed.confidence_ppm,
            evidence_ppm: attributed.evidence_ppm,
            trace_ppm: attributed.trace_ppm,
            answer_tokens: attributed.answer_tokens,
            spans,
            sketch: attributed.sketch.clone(),
            examples: attributed.examples.clone(),
            shares: attributed.shares.clone(),
            amounts: attributed.amounts.clone().unwrap_or_default(),
        }))
    }
}

//! `audit`: recomputes everything that a server published about an adapter's calls (shares, roots,
//! sums) from the package and the index, and compares it with the chain.

mod collected;
mod sums;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::{
    CommandContext, explore, money::format_network_sum, named_paths, network, printer::Printer,
};
use openlora_attribution::{
    Provenance,
    recompute::{RecomputeContext, channels},
};
use openlora_chain::{
    network::Network,
    provider::Chain,
    registry::{AdapterId, shown_id},
};
use openlora_core::{
    Address, Amount, Word,
    error::{ExitClass, ExitStatus, Failure},
};
use openlora_influence::AttributionDir;
use openlora_ledger::{
    ReceiverKey,
    event::SplitRead,
    fallback_reason,
    publication::{AnchoredBatch, PublishedCall},
};
use openlora_package as package;
use openlora_payments::rewards::{anchored_on, anchoring_servers, batch_tree, split_of};
use openlora_release::explore::against_releases;
use openlora_runtime::{provenance, published_log::LogSource};

/// The request of `audit`.
#[derive(Clone, Debug, Default)]
pub struct AuditRequest {
    /// The adapter's id, or its name if it was deployed from here.
    pub adapter: String,
    /// A server's URL, or a copy of its log folder.
    pub log: String,
    pub package: PathBuf,
    /// The index folder; without it, calls with a sketch are skipped.
    pub index: Option<PathBuf>,
}

/// What `--json` prints.
#[derive(Debug, Default, Serialize, schemars::JsonSchema)]
pub struct LogAudit {
    /// Nothing differs.
    pub ok: bool,
    pub adapter_id: String,
    pub batches: u64,
    pub calls: u64,
    /// Total charge in base units.
    pub charged: Amount,
    /// Calls whose shares were recomputed from their sketches.
    pub by_evidence: u64,
    /// Calls with static shares and without a sketch, by the reason that the server states.
    pub by_fallback: BTreeMap<String, u64>,
    /// Recomputed roots of contributions.
    pub contributions: u64,
    /// Calls were published, and nothing was skipped.
    pub complete: bool,
    /// What was not recomputed, and why; neither passed nor failed.
    pub skipped: Vec<SkippedCheck>,
    /// Of these, roots of earlier versions, which do not state the collected amounts: every charge
    /// counts there, and the chain is not asked.
    pub contributions_by_charge: u64,
    /// The collected part of the charges in the last stated contributions, in base units.
    pub collected: Amount,
    /// The part of the charges collected on the chain since then. This is no error if it is stated
    /// soon.
    pub unstated: Amount,
    pub differences: Vec<String>,
}

/// A check that was skipped for some calls.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct SkippedCheck {
    /// For example "shares".
    pub check: String,
    /// Event ids of the calls.
    pub calls: Vec<String>,
    pub reason: String,
    /// Where the attribution index is, or is expected.
    pub index: String,
}

/// The inputs of the audit.
struct LogAuditor {
    chain: Chain,
    source: LogSource,
    adapter: AdapterId,
    adapter_id: String,
    provenance: Provenance,
    /// The attribution folder of the package's run.
    index: PathBuf,
}

pub async fn run(context: &CommandContext, request: AuditRequest) -> Result<ExitStatus, Failure> {
    let dir = named_paths::folder(context, &request.package, "a package")?;
    context.check_log_place(&request.log)?;
    let adapter = number(context, &request.adapter)?;
    let source = context.open_log(&request.log)?;
    let package = package::read(&dir)?;
    let mut provenance = Provenance {
        contributors: provenance::of_manifest(&package.manifest),
        ..Provenance::default()
    };
    if let Some(index) = &request.index {
        let index = named_paths::existing(context, index, "a run's attribution folder")?;
        provenance = provenance::with_index(provenance, &index)?;
    }
    let network = network::reached(context).await?;
    let chain = Chain::connect(&network).await?;
    let of_package = against_releases(&chain, adapter, &package).await?;
    let of_package = of_package.ok_or_else(|| unregistered(&network, adapter))?;
    let auditor = LogAuditor {
        chain,
        source,
        adapter,
        adapter_id: shown_id(adapter),
        provenance,
        index: AttributionDir::of_run(dir.parent().unwrap_or(&dir)).index(),
    };
    let audited = auditor.audit(of_package).await?;
    let printer = &context.printer;
    match printer.is_json() {
        true => printer.json(&audited),
        false => print_audit(printer, &network, &audited),
    }
    Ok(match audited.ok {
        true => ExitStatus::Success,
        false => ExitStatus::Verdict(ExitClass::Verification),
    })
}

fn unregistered(network: &Network, adapter: AdapterId) -> Failure {
    let registry = network.contracts.registry.unwrap_or_default();
    let message = format!(
        "the registry {registry} on `{}` has no adapter {}",
        network.name,
        shown_id(adapter)
    );
    Failure::new(ExitClass::Usage, message)
        .with_hint("list the adapters that it has: openlora explore")
}

/// An adapter id, or the name of an adapter that was deployed from here, or the beginning of its id.
fn number(context: &CommandContext, text: &str) -> Result<AdapterId, Failure> {
    explore::known_id(context, text)?.ok_or_else(|| {
        let message = format!("no adapter `{text}` was deployed from here");
        Failure::new(ExitClass::Usage, message).with_hint("name it by its id: 0x and 64 digits")
    })
}

impl LogAudit {
    fn skip(&mut self, checks: &[&str], call: &PublishedCall, index: &Path) {
        for check in checks {
            let id = call.event_id.to_string();
            if let Some(known) = self.skipped.iter_mut().find(|it| it.check == *check) {
                known.calls.push(id);
                continue;
            }
            let found = match index.is_file() {
                true => "it lies there",
                false => "it is expected there, and nothing is there",
            };
            self.skipped.push(SkippedCheck {
                check: (*check).to_owned(),
                calls: vec![id],
                reason: format!("no attribution index is given; {found}"),
                index: index.display().to_string(),
            });
        }
    }
}

impl LogAuditor {
    /// Runs all checks, in addition to the known differences.
    async fn audit(mut self, differences: Vec<String>) -> Result<LogAudit, Failure> {
        let mut audited = LogAudit {
            adapter_id: self.adapter_id.clone(),
            differences,
            ..LogAudit::default()
        };
        let catalogue = self.source.catalogue().await?;
        let batches = self.batches(&catalogue.batches, &mut audited).await?;
        let calls: Vec<PublishedCall> = batches.iter().flat_map(|it| it.calls.clone()).collect();
        let splits = self.splits(&calls).await?;
        self.take_static_shares(&splits);
        self.hold_roots(&batches, &mut audited).await?;
        let bench = RecomputeContext {
            provenance: &self.provenance,
            splits: &splits,
        };
        for call in &calls {
            let recomputed = bench.recompute(call);
            audited.differences.extend(recomputed.differences);
            match recomputed.unproven {
                Some(why) => *audited.by_fallback.entry(why).or_default() += 1,
                None if recomputed.skipped.is_empty() => audited.by_evidence += 1,
                None => audited.skip(recomputed.skipped, call, &self.index),
            }
        }
        audited.differences.extend(channels(&calls));
        audited.calls = calls.len() as u64;
        audited.charged = calls.iter().map(|call| call.charge.amount).sum();
        let pools = pools(&splits);
        sums::check_sums(&self, &catalogue, &calls, &pools, &mut audited).await?;
        audited.ok = audited.differences.is_empty();
        audited.complete = audited.calls > 0 && audited.skipped.is_empty();
        Ok(audited)
    }

    async fn batches(
        &self,
        roots: &[Word],
        audited: &mut LogAudit,
    ) -> Result<Vec<AnchoredBatch>, Failure> {
        let mut batches: Vec<AnchoredBatch> = Vec::new();
        for root in roots {
            match self.source.batch(*root).await? {
                Some(batch) if batch.adapter_id == self.adapter_id => batches.push(batch),
                Some(_) => {}
                None => audited
                    .differences
                    .push(format!("the log has no batch {root}")),
            }
        }
        audited.batches = batches.len() as u64;
        Ok(batches)
    }

    /// The recipients of the splitter of each version that was called.
    async fn splits(
        &self,
        calls: &[PublishedCall],
    ) -> Result<BTreeMap<ReceiverKey, SplitRead>, Failure> {
        let mut splits = BTreeMap::new();
        for call in calls {
            let key = call.charge.receiver_key();
            if splits.contains_key(&key) {
                continue;
            }
            let (splitter, parts) = split_of(&self.chain, self.adapter, call.version).await?;
            // The splitter has the same address on every chain.
            let receiver = ReceiverKey {
                receiver: splitter,
                ..key
            };
            let split = SplitRead {
                receiver,
                adapter: self.adapter_id.clone(),
                version: call.version,
                parts,
            };
            splits.insert(receiver, split);
        }
        Ok(splits)
    }

    fn take_static_shares(&mut self, splits: &BTreeMap<ReceiverKey, SplitRead>) {
        if let Some(split) = splits.values().next() {
            provenance::take_static_shares(&mut self.provenance.contributors, split);
        }
    }

    /// Checks that each batch gives its root, the roots form a chain, and the anchored roots are
    /// exactly these.
    async fn hold_roots(
        &self,
        batches: &[AnchoredBatch],
        audited: &mut LogAudit,
    ) -> Result<(), Failure> {
        let mut tell = |what: String| audited.differences.push(what);
        let mut by_server: BTreeMap<Address, Vec<&AnchoredBatch>> = BTreeMap::new();
        for batch in batches {
            let tree = batch_tree(batch).map(|tree| Word(tree.root().0));
            if tree != Some(batch.root) {
                tell(format!(
                    "the batch {} makes another root: {tree:?}",
                    batch.root
                ));
            }
            if batch
                .calls
                .iter()
                .any(|it| it.adapter_id != self.adapter_id)
            {
                tell(format!(
                    "the batch {} has calls of another adapter",
                    batch.root
                ));
            }
            by_server.entry(batch.server).or_default().push(batch);
        }
        for (server, batches) in by_server {
            let mut previous = Word::default();
            let mut through = 0;
            for batch in &batches {
                if batch.previous != previous {
                    tell(format!(
                        "the batch {} follows {} and states {}",
                        batch.root, previous, batch.previous
                    ));
                }
                let mut places = batch.calls.iter().map(|call| call.sequence);
                let in_order = places.try_fold(through, |last, at| (at > last).then_some(at));
                if in_order.is_none_or(|last| last > batch.through) {
                    tell(format!(
                        "the calls of the batch {} are out of order",
                        batch.root
                    ));
                }
                (previous, through) = (batch.root, batch.through);
            }
            let stated: Vec<_> = batches
                .iter()
                .map(|it| (it.root, it.calls.len() as u64, it.charged()))
                .collect();
            let anchored = anchored_on(&self.chain, self.adapter, server).await?;
            let anchored: Vec<_> = anchored
                .iter()
                .map(|it| (it.root, it.count, it.charged))
                .collect();
            if stated != anchored {
                tell(format!(
                    "roots, calls and charges of {server} are published as {stated:?} and \
                     anchored as {anchored:?}"
                ));
            }
        }
        // A log without any batch contains nothing that could differ.
        if batches.is_empty() {
            for server in anchoring_servers(&self.chain, self.adapter).await? {
                tell(format!(
                    "the log has no batch of the adapter, and {server} has anchored calls of it"
                ));
            }
        }
        Ok(())
    }
}

fn pools(splits: &BTreeMap<ReceiverKey, SplitRead>) -> Vec<ReceiverKey> {
    splits.values().flat_map(SplitRead::pools).collect()
}

fn print_audit(printer: &Printer, network: &Network, audited: &LogAudit) {
    let money = |amount: Amount| format_network_sum(network, amount);
    printer.line(format!(
        "{} calls in {} batches, {} charged, as the server states",
        audited.calls,
        audited.batches,
        money(audited.charged)
    ));
    printer.line(format!(
        "{} calls computed again from their sketches, {} roots of contributions",
        audited.by_evidence, audited.contributions
    ));
    for (why, calls) in &audited.by_fallback {
        let (noun, why) = (
            if *calls == 1 { "call" } else { "calls" },
            fallback_reason(why),
        );
        printer.line(format!("{calls} {noun} by static shares, because {why}"));
    }
    for skipped in &audited.skipped {
        printer.line(format!(
            "skipped  {} of {} calls: {}, {}",
            skipped.check,
            skipped.calls.len(),
            skipped.reason,
            skipped.index
        ));
    }
    printer.line(format!(
        "{} were collected for calls and allotted to contributors, {} more are collected and not \
         allotted yet",
        money(audited.collected),
        money(audited.unstated)
    ));
    if audited.contributions_by_charge > 0 {
        printer.line(format!(
            "{} roots of contributions do not say what was collected: held against the charges only",
            audited.contributions_by_charge
        ));
    }
    for difference in &audited.differences {
        printer.line(format!("DIFFERS  {difference}"));
    }
    match (audited.ok, audited.skipped.first()) {
        (true, None) if audited.calls == 0 => printer.line(format!(
            "nothing to audit: the log has no call of the adapter {}",
            audited.adapter_id
        )),
        (true, None) => printer.line("the log, the package and the chain agree to the unit"),
        (true, Some(skipped)) => {
            printer.line("what was compared agrees; what was skipped may be wrong");
            printer.hint(format!("give the index: --index {}", skipped.index));
        }
        (false, _) => {}
    }
}

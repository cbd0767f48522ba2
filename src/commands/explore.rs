//! `explore`: shows registry entries, and verifies a package against them.

use std::path::PathBuf;

use super::{CommandContext, network, verify};
use crate::commands::printer::Printer;
use openlora_chain::{
    balance::shown_amount,
    network::Network,
    provider::Chain,
    registry::{AdapterId, parse_id},
};
use openlora_core::error::{ExitClass, ExitStatus, Failure};
use openlora_journal::Journal;
use openlora_package::read;
use openlora_release::explore::{
    AdapterView, ExploreQuery, RegistryReport, ReleaseView, ShareView, compare, explore,
};

/// The request of `explore`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExploreRequest {
    /// An id, or a name that this journal knows.
    pub adapter: Option<String>,
    /// A package to compare with.
    pub verify: Option<PathBuf>,
    pub from_block: u64,
}

pub async fn run(context: &CommandContext, request: ExploreRequest) -> Result<ExitStatus, Failure> {
    let network = network::reached(context).await?;
    let adapter = match request.adapter.as_deref() {
        None => None,
        Some(text) => Some(id(context, &network, text)?),
    };
    let package = match &request.verify {
        None => None,
        Some(dir) => Some(read(&context.settings.working_dir.join(dir))?),
    };
    let chain = Chain::connect(&network).await?;
    let query = ExploreQuery {
        adapter,
        from_block: request.from_block,
    };
    let mut explored = explore(&chain, &query).await?;
    explored.verified = package.map(|package| compare(&explored, &package));
    let ok = explored.verified.as_ref().is_none_or(|report| report.ok);
    if context.printer.is_json() {
        context.printer.json(&explored);
    } else {
        print_adapters(context, &explored);
    }
    Ok(if ok {
        ExitStatus::Success
    } else {
        ExitStatus::Verdict(ExitClass::Verification)
    })
}

/// The given id, or that of the latest deployment of a name.
fn id(context: &CommandContext, network: &Network, text: &str) -> Result<AdapterId, Failure> {
    if let Some(id) = parse_id(text) {
        return Ok(id);
    }
    let state = Journal::state_at(&context.dirs.journal())?;
    let known = state.deployments.iter().rev().find(|it| {
        it.name == text && it.chain_id == network.chain_id && it.network == network.name
    });
    known.and_then(|it| parse_id(&it.adapter_id)).ok_or_else(|| {
        let message = format!(
            "`{text}` is no adapter of `{}`: expected 0x and 64 hexadecimal digits, or the name \
             of one that was deployed from here",
            network.name
        );
        Failure::new(ExitClass::Usage, message).with_hint("`openlora explore` lists all of them")
    })
}

fn print_adapters(context: &CommandContext, explored: &RegistryReport) {
    let printer = &context.printer;
    printer.line(format!(
        "registry      {} on {} ({}), block {}",
        explored.registry, explored.network, explored.chain_id, explored.block
    ));
    if explored.adapters.is_empty() {
        printer.note("it has no adapter");
        printer.hint("register one: openlora deploy");
    }
    for adapter in &explored.adapters {
        show_adapter(printer, adapter);
    }
    if let Some(report) = &explored.verified {
        verify::print_report(context, report);
    }
}

fn show_adapter(printer: &Printer, adapter: &AdapterView) {
    printer.line("");
    let paused = if adapter.paused { ", paused" } else { "" };
    printer.line(format!("adapter       {}{paused}", adapter.adapter_id));
    printer.line(format!("publisher     {}", adapter.publisher));
    if adapter.owner != adapter.publisher {
        printer.line(format!("owner         {}", adapter.owner));
    }
    for server in &adapter.servers {
        printer.line(format!("server        {server}"));
    }
    for release in &adapter.releases {
        show_release(printer, release);
    }
    // The anchor contract checks the order of roots, not their content.
    for anchored in &adapter.anchored {
        printer.line(format!(
            "anchored      {} anchors by {}, which states {} calls and {} charged",
            anchored.anchors,
            anchored.server,
            anchored.calls,
            shown_amount(&anchored.charged, 6)
        ));
    }
}

fn show_release(printer: &Printer, release: &ReleaseView) {
    printer.line(format!(
        "version {:<5} manifest sha256 {}",
        release.version, release.manifest_sha256
    ));
    printer.line(format!(
        "  price       {} for 1000 generated tokens",
        shown_amount(&release.price, 6)
    ));
    printer.line(format!("  splitter    {}", release.splitter));
    for share in &release.shares {
        show_share(printer, share, "  ");
    }
    if let Some(revenue) = &release.revenue {
        let amount = |text| shown_amount(text, revenue.decimals);
        printer.line(format!(
            "  revenue     {} {} received, {} released, {} pending",
            amount(&revenue.received),
            revenue.symbol,
            amount(&revenue.released),
            amount(&revenue.pending)
        ));
    }
}

fn show_share(printer: &Printer, share: &ShareView, indent: &str) {
    let kind = if share.pool.is_some() {
        " (contributors' pool)"
    } else {
        ""
    };
    printer.line(format!(
        "{indent}share       {} {} ppm{kind}",
        share.recipient, share.ppm
    ));
    for inner in share.pool.iter().flat_map(|pool| &pool.shares) {
        show_share(printer, inner, "    ");
    }
}

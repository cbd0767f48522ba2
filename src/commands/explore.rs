//! `explore`: shows registry entries, and verifies a package against them.

use std::{collections::BTreeSet, path::PathBuf};

use super::{CommandContext, money::percent, named_paths, network, project, verify};
use crate::commands::printer::Printer;
use openlora_chain::{
    balance::shown_amount,
    network::Network,
    provider::Chain,
    registry::{AdapterId, parse_id},
};
use openlora_core::{
    calendar::moment,
    error::{ExitClass, ExitStatus, Failure},
    private::foreign_text::clean_line,
};
use openlora_journal::Journal;
use openlora_ledger::event::ReleaseDeployment;
use openlora_model::adapter::{self, WEIGHTS_FILE};
use openlora_package::read;
use openlora_release::deploy::priced_work;
use openlora_release::explore::{
    AdapterRevenue, AdapterView, ExploreQuery, RegistryReport, ReleaseView, ShareView, compare,
    explore,
};

/// The request of `explore`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExploreRequest {
    /// An id, the beginning of one, or a name that this journal knows.
    pub adapter: Option<String>,
    /// A package to compare with.
    pub verify: Option<PathBuf>,
    pub from_block: u64,
}

pub async fn run(context: &CommandContext, request: ExploreRequest) -> Result<ExitStatus, Failure> {
    let package = match &request.verify {
        None => None,
        Some(dir) => Some(read(&named_paths::folder(context, dir, "a package")?)?),
    };
    let network = network::reached(context).await?;
    let wanted = request.adapter.as_deref();
    let prefix = wanted.filter(|text| is_id_prefix(text));
    let adapter = match wanted {
        None => None,
        Some(text) if prefix == Some(text) => None,
        Some(text) => Some(id(context, &network, text)?),
    };
    let chain = Chain::connect(&network).await?;
    let query = ExploreQuery {
        adapter,
        from_block: request.from_block,
    };
    let mut explored = explore(&chain, &query).await?;
    if let Some(prefix) = prefix {
        keep_only(&mut explored, prefix)?;
    }
    add_names(context, &mut explored)?;
    explored.verified = package.map(|package| compare(&explored, &package));
    let ok = explored.verified.as_ref().is_none_or(|report| report.ok);
    if context.printer.is_json() {
        context.printer.json(&explored);
    } else {
        print_adapters(context, &network, &explored);
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
    let deployments = deployments(context)?;
    let known = deployments.iter().rev().find(|it| {
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

/// Whether a text is 0x and the first digits of an id.
fn is_id_prefix(text: &str) -> bool {
    let digits = text.strip_prefix("0x").unwrap_or_default();
    parse_id(text).is_none()
        && !digits.is_empty()
        && digits.bytes().all(|it| it.is_ascii_hexdigit())
}

/// Keeps the one adapter whose id begins with `prefix`.
fn keep_only(explored: &mut RegistryReport, prefix: &str) -> Result<(), Failure> {
    let prefix = prefix.to_ascii_lowercase();
    let adapters = &mut explored.adapters;
    adapters.retain(|it| it.adapter_id.to_ascii_lowercase().starts_with(&prefix));
    if adapters.len() == 1 {
        return Ok(());
    }
    let message = format!(
        "{} adapters of `{}` have an id that begins with `{prefix}`: expected one",
        adapters.len(),
        explored.network
    );
    Err(Failure::new(ExitClass::Usage, message).with_hint("`openlora explore` lists all of them"))
}

/// Every deployment from this home, oldest first.
fn deployments(context: &CommandContext) -> Result<Vec<ReleaseDeployment>, Failure> {
    Ok(Journal::state_at(&context.dirs.journal())?.deployments)
}

/// An adapter by its id; of those that were deployed from here also by its name, the newest, or by
/// the beginning of its id.
pub(super) fn known_id(context: &CommandContext, text: &str) -> Result<Option<AdapterId>, Failure> {
    if let Some(id) = parse_id(text) {
        return Ok(Some(id));
    }
    let deployments = deployments(context)?;
    let newest_first = deployments.iter().rev();
    if let Some(named) = newest_first.clone().find(|it| it.name == text) {
        return Ok(parse_id(&named.adapter_id));
    }
    let text = text.to_ascii_lowercase();
    let begins = |id: &&str| is_id_prefix(&text) && id.to_ascii_lowercase().starts_with(&text);
    let ids: BTreeSet<&str> = newest_first
        .map(|it| it.adapter_id.as_str())
        .filter(begins)
        .collect();
    Ok(match ids.len() {
        1 => ids.first().and_then(|id| parse_id(id)),
        _ => None,
    })
}

/// Adds the names and tasks of adapters that were deployed or packaged from here.
fn add_names(context: &CommandContext, explored: &mut RegistryReport) -> Result<(), Failure> {
    let deployments = deployments(context)?;
    let packages = packages(context);
    for adapter in &mut explored.adapters {
        let is_it = |it: &&ReleaseDeployment| {
            it.adapter_id == adapter.adapter_id && it.registry == explored.registry
        };
        let deployed = deployments.iter().rev().find(is_it);
        let released = |it: &&LocalPackage| {
            let mut releases = adapter.releases.iter();
            releases.any(|release| release.manifest_sha256 == it.manifest_sha256)
        };
        // A run's package is replaced when another account signs it; the weights stay.
        let has_weights = |it: &&LocalPackage| {
            let deployed = deployed.map(|deployed| &deployed.weights_sha256);
            let mut known = deployed.into_iter().chain([&adapter.weights_sha256]);
            known.any(|weights| *weights == it.weights_sha256)
        };
        let mut found = packages.iter();
        let package = found
            .clone()
            .find(released)
            .or_else(|| found.find(has_weights));
        adapter.name = deployed
            .map(|it| it.name.clone())
            .or(package.map(|it| it.name.clone()));
        adapter.task = package.and_then(|it| it.task.clone());
    }
    Ok(())
}

/// A package of the project's runs.
struct LocalPackage {
    manifest_sha256: String,
    weights_sha256: String,
    name: String,
    task: Option<String>,
}

/// The readable packages of the project's runs.
fn packages(context: &CommandContext) -> Vec<LocalPackage> {
    let runs = std::fs::read_dir(project::runs(context))
        .into_iter()
        .flatten();
    let packages = runs.flatten().filter_map(|run| {
        let dir = run.path().join("package");
        let package = read(&dir).ok()?;
        let card = adapter::read(&dir).ok().and_then(|it| it.task);
        let mut files = package.manifest.files.iter();
        let weights = files.find(|file| file.path == WEIGHTS_FILE)?;
        Some(LocalPackage {
            manifest_sha256: package.manifest_sha256.to_string(),
            weights_sha256: weights.sha256.to_string(),
            name: package.manifest.name,
            task: card.map(|card| card.task.name().to_owned()),
        })
    });
    packages.collect()
}

fn print_adapters(context: &CommandContext, network: &Network, explored: &RegistryReport) {
    let printer = &context.printer;
    printer.line(format!(
        "registry      {} on {} ({}), block {}",
        explored.registry, explored.network, explored.chain_id, explored.block
    ));
    // The registry counts prices in millionths of the network's token.
    let price_symbol = network.payment_symbol();
    if explored.adapters.is_empty() {
        printer.note("it has no adapter");
        printer.hint("register one: openlora deploy");
    }
    for adapter in &explored.adapters {
        show_adapter(printer, adapter, price_symbol);
    }
    if let Some(report) = &explored.verified {
        verify::print_report(context, report);
    }
}

fn show_adapter(printer: &Printer, adapter: &AdapterView, symbol: &str) {
    printer.line("");
    let paused = if adapter.paused { ", paused" } else { "" };
    printer.line(format!("adapter       {}{paused}", adapter.adapter_id));
    if let Some(name) = &adapter.name {
        printer.line(format!("name          {name}"));
    }
    if let Some(task) = &adapter.task {
        printer.line(format!("task          {task}"));
    }
    printer.line(format!("registered    {}", moment(adapter.registered_at)));
    printer.line(format!("publisher     {}", adapter.publisher));
    if adapter.owner != adapter.publisher {
        printer.line(format!("owner         {}", adapter.owner));
    }
    for server in &adapter.servers {
        let mut urls = adapter.server_urls.iter();
        // The account states it, so it may be any text.
        let at = urls.find(|it| it.server == *server).map(|it| {
            let url = clean_line(&it.url);
            format!(" at {url}")
        });
        printer.line(format!("server        {server}{}", at.unwrap_or_default()));
    }
    for place in places(adapter) {
        printer.line(format!("served at     {place}"));
    }
    for release in &adapter.releases {
        show_release(printer, release, adapter.task.as_deref(), symbol);
    }
    // The anchor contract checks the order of roots, not their content.
    for anchored in &adapter.anchored {
        printer.line(format!(
            "anchored      {} anchors by {}, which states {} calls and {} {symbol} charged",
            anchored.anchors,
            anchored.server,
            anchored.calls,
            shown_amount(&anchored.charged, 6)
        ));
    }
}

/// The addresses that authorised servers state with their anchors.
fn places(adapter: &AdapterView) -> Vec<&str> {
    let stated = adapter.anchored.iter().filter(|it| !it.uri.is_empty());
    let active = stated.filter(|it| adapter.servers.contains(&it.server));
    let mut places: Vec<&str> = active.map(|it| it.uri.as_str()).collect();
    places.sort_unstable();
    places.dedup();
    places
}

fn show_release(printer: &Printer, release: &ReleaseView, task: Option<&str>, symbol: &str) {
    printer.line(format!(
        "version {:<5} {}, manifest sha256 {}",
        release.version,
        moment(release.published_at),
        release.manifest_sha256
    ));
    printer.line(format!(
        "  price       {} {symbol} for {}",
        shown_amount(&release.price, 6),
        priced_work(task == Some("image"))
    ));
    printer.line(format!("  splitter    {}", release.splitter));
    for share in &release.shares {
        show_share(printer, share, release.revenue.as_ref(), "  ");
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

fn show_share(
    printer: &Printer,
    share: &ShareView,
    revenue: Option<&AdapterRevenue>,
    indent: &str,
) {
    let pending = share.pending.as_ref().zip(revenue);
    let pending = pending.map_or(String::new(), |(amount, revenue)| {
        let amount = shown_amount(amount, revenue.decimals);
        format!(", {amount} {} pending", revenue.symbol)
    });
    let kind = if share.pool.is_some() {
        " (contributors' pool)"
    } else {
        ""
    };
    printer.line(format!(
        "{indent}share       {} {}{kind}{pending}",
        share.recipient,
        percent(share.ppm)
    ));
    for inner in share.pool.iter().flat_map(|pool| &pool.shares) {
        show_share(printer, inner, None, "    ");
    }
}

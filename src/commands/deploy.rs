//! `deploy`: publishes a package in the chain's registry, or deploys the contracts.

mod agent;
mod contracts;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{
    CommandContext, distribution, explore,
    money::{format_gas_cost, prices, token},
    named_paths,
    package::{self, PackageRequest},
    printer::Printer,
    project,
    serve::{as_model_id, handover::outcome_note},
    tx_context::TxContext,
    verify::{self, ExpectedRelease},
};
pub use agent::AgentReport;
pub use contracts::ContractsReport;
use openlora_chain::{
    WalletError,
    balance::{from_units, in_units},
    development::check_payee,
    network::PaymentToken,
    provider::Chain,
    registry::{Token as Contract, parse_id, shown_id},
};
use openlora_core::{
    Address, Amount,
    error::{ExitClass, ExitStatus, Failure},
};
use openlora_distribution::{DistributionError, PackageLocation};
use openlora_ledger::event::ReleaseDeployment;
use openlora_package::{Manifest, Package, release::SigningDomain};
use openlora_release::agent::plan_agent;
use openlora_release::deploy::{
    CallValue, DeployContext, DeployError, DeployOptions, DeployPlan, DeployStep, FeeQuote,
    RegistryAction, ReleaseParams, append_release, carry_out, find_release, observe, payout, plan,
    quote, splitter,
};
use openlora_runtime::running_server::RunningServer;
use openlora_wallet::WalletAccount;

/// The command-line request besides settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeployRequest {
    /// Defaults to the latest run's package.
    pub package: Option<PathBuf>,
    pub dry_run: bool,
    pub server: Option<String>,
    pub adapter: Option<String>,
    /// Where the package can be pulled; where it was pushed by default.
    pub uri: Option<String>,
    /// Deploy the contracts and no package.
    pub contracts: bool,
    /// Also register the adapter in the chain's registry of agents.
    pub agent: bool,
    pub password_file: Option<PathBuf>,
}

/// What `--json` prints.
#[derive(Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct DeployReport {
    pub adapter_id: String,
    /// The registry's version number, from 1.
    pub version: u32,
    pub network: String,
    /// The transaction that registered this version.
    pub tx: String,
    pub splitter: String,
    pub gas_used: u64,
    /// SHA-256 of `openlora.json`, hex.
    pub manifest_sha256: String,
    pub chain_id: u64,
    pub registry: String,
    pub publisher: String,
    /// What this run did: registered, published, authorised or nothing.
    pub done: String,
    /// The identity in the registry of agents, with `--agent`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentReport>,
}

/// What `--dry-run --json` prints.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct DeployProposal {
    network: String,
    chain_id: u64,
    from: String,
    transactions: Vec<PlannedTransaction>,
    /// Maximum total cost in wei.
    most_wei: String,
}

/// One transaction to be sent.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct PlannedTransaction {
    deed: String,
    to: String,
    contract: &'static str,
    call: String,
    arguments: Vec<CallArgument>,
    /// Gas limit; unused gas is not paid.
    gas: u64,
    /// Maximum wei per unit of gas.
    max_fee_wei: String,
}

#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct CallArgument {
    name: &'static str,
    value: String,
}

pub async fn run(context: &CommandContext, request: DeployRequest) -> Result<ExitStatus, Failure> {
    let wish = wish(context, &request)?;
    if request.contracts {
        return contracts::run(context, &request).await;
    }
    let package = folder(context, &request).await?;
    let password_file = request.password_file.clone();
    let mut tx_context = match package.account {
        Some(account) => TxContext::open_for(context, account.into(), password_file).await?,
        None => TxContext::open(context, password_file).await?,
    };
    let package = checked(context, &tx_context, package.dir).await?;
    let params = ReleaseParams::from_package(&package)?;
    if params.publisher != tx_context.account {
        return Err(DeployError::OtherPublisher {
            publisher: params.publisher,
            account: tx_context.account,
        }
        .into());
    }
    package::tell_static_shares(&context.printer, &package.manifest);
    package::check_payees(&tx_context.chain.network, &package.manifest)?;
    for (who, address) in [
        ("--account", Some(tx_context.account)),
        ("--server", wish.server),
    ] {
        if let Some(address) = address {
            check_payee(&tx_context.chain.network, who, address)?;
        }
    }
    if !request.dry_run {
        tx_context.recover().await?;
    }
    let options = DeployOptions {
        remembered: remembered(&tx_context, &params),
        price: price(context, &tx_context.chain, &package.manifest).await?,
        ..wish
    };
    let options = DeployOptions {
        uri: place_of_download(context, &request, &package).await?,
        ..options
    };
    let plan = planned(&tx_context, &params, &options).await?;
    if request.dry_run {
        let mut steps = plan.steps.clone();
        if request.agent {
            steps.extend(agent_steps(context, &tx_context, &params, &plan).await?);
        }
        let quote = quoted(&tx_context, &steps).await?;
        propose(context, &tx_context, &steps, &quote)?;
        return Ok(ExitStatus::Success);
    }
    let quote = quoted(&tx_context, &plan.steps).await?;
    let deployment = deploy(context, &mut tx_context, &params, &plan, &quote).await?;
    let agent = match request.agent {
        true => Some(agent::register(context, &mut tx_context, &deployment).await?),
        false => None,
    };
    report(context, &plan, &deployment, agent);
    if let Some(server) = tx_context.journal.server() {
        serve_release(&context.printer, server, &params.name, &package.dir).await;
    }
    Ok(ExitStatus::Success)
}

async fn quoted(tx_context: &TxContext, steps: &[DeployStep]) -> Result<FeeQuote, Failure> {
    let (chain, account) = (&tx_context.chain, tx_context.account);
    Ok(quote(chain, account, steps, &tx_context.limits).await?)
}

/// The steps of an identity of a release that may not be registered yet.
async fn agent_steps(
    context: &CommandContext,
    tx_context: &TxContext,
    params: &ReleaseParams,
    plan: &DeployPlan,
) -> Result<Vec<DeployStep>, Failure> {
    let wish = agent::wish(context, tx_context, &params.name, plan.adapter_id)?;
    Ok(plan_agent(&tx_context.chain, wish).await?.steps)
}

/// Has the running server serve a release. One that it cannot serve is deployed all the same.
async fn serve_release(printer: &Printer, server: &RunningServer, name: &str, dir: &Path) {
    let name = as_model_id(name);
    match server.load_adapter(&name, dir).await {
        Ok(loaded) => printer.note(outcome_note(server, &name, loaded.outcome)),
        Err(failure) => {
            printer.warn(format!(
                "{name} is deployed and not served: {}",
                failure.message
            ));
            failure.hint.iter().for_each(|hint| printer.hint(hint));
        }
    }
}

fn wish(context: &CommandContext, request: &DeployRequest) -> Result<DeployOptions, Failure> {
    let usage = |message: String| Failure::new(ExitClass::Usage, message);
    let server = request.server.as_deref().map(str::parse::<Address>);
    let server = server
        .transpose()
        .map_err(|problem| usage(format!("--server is wrong: {problem}")))?;
    if server.is_some_and(|server| server.is_zero()) {
        return Err(usage(
            "--server is the zero address, which cannot serve".to_owned(),
        ));
    }
    let id = |text: &str| {
        explore::known_id(context, text)?.ok_or_else(|| {
            usage(format!(
                "--adapter is wrong: expected 0x and 64 hexadecimal digits, found `{text}`"
            ))
        })
    };
    Ok(DeployOptions {
        server,
        adapter: request.adapter.as_deref().map(id).transpose()?,
        remembered: Vec::new(),
        price: 0,
        uri: String::new(),
    })
}

/// Where the release says that its package is: the named place, which must hold exactly this package,
/// or the one that it was pushed to; empty if neither.
async fn place_of_download(
    context: &CommandContext,
    request: &DeployRequest,
    package: &Package,
) -> Result<String, Failure> {
    let store = distribution::store(context)?;
    let Some(uri) = &request.uri else {
        let pushed = store.pushed_to(package.manifest_sha256)?;
        return Ok(pushed.unwrap_or_default());
    };
    let location: PackageLocation = uri.parse().map_err(DistributionError::from)?;
    if !location.is_remote() {
        let message = format!("--uri {uri}: other machines cannot read this place");
        return Err(Failure::new(ExitClass::Usage, message)
            .with_hint("push it first: openlora push PKG oci://HOST/REPOSITORY"));
    }
    let fetcher = distribution::fetcher(context)?;
    let expected = Some(package.manifest_sha256);
    let limits = distribution::limits(context);
    let found = fetcher.find_manifest(&store, &location, expected, limits);
    found.await?;
    Ok(location.to_string())
}

/// The price of 1 000 generated tokens, or of a picture, for the registry. It is zero only if the settings say zero:
/// a missing token or a differing number of decimals must not make the calls free.
async fn price(
    context: &CommandContext,
    chain: &Chain,
    manifest: &Manifest,
) -> Result<u128, Failure> {
    /// Decimals of the registry's price.
    const DECIMALS: u8 = 6;
    let network = &chain.network;
    let pricing = &context.settings.pricing;
    let makes_pictures = manifest.base.makes_pictures();
    let setting = match makes_pictures {
        true => &pricing.image,
        false => &pricing.completion,
    };
    let is_free = from_units(&setting.value, u8::MAX) == Some(0);
    if network.token.is_none() && is_free {
        return Ok(0);
    }
    let token = token(network).map_err(|failure| {
        let message = format!("{}, so its calls would cost nothing", failure.message);
        Failure { message, ..failure }
    })?;
    check_decimals(chain, token).await?;
    let all = prices(context, token)?;
    let Amount(price) = match makes_pictures {
        true => all.image,
        false => all.completion,
    };
    let times = 10u128.checked_pow(u32::from(token.decimals.abs_diff(DECIMALS)));
    let stated = times.and_then(|times| match token.decimals < DECIMALS {
        true => price.checked_mul(times),
        false => (price % times == 0).then(|| price / times),
    });
    stated.ok_or_else(|| {
        let (key, found) = (setting.key, &setting.value);
        let message = format!(
            "`{key}` is wrong: the registry counts prices in millionths of {}, expected at most \
             {DECIMALS} decimals, found `{found}`",
            token.symbol
        );
        Failure::new(ExitClass::BadInput, message)
            .with_hint(format!("set it: openlora config set {key} 0.001"))
    })
}

/// Checks that the configured decimals match those of the token.
async fn check_decimals(chain: &Chain, token: &PaymentToken) -> Result<(), Failure> {
    if !chain.has_code(token.address).await? {
        return Ok(());
    }
    let call = Contract::decimalsCall {};
    let asked = chain.read("decimals of the token", token.address, &call);
    let found = match asked.await {
        Ok(found) => found,
        // ERC-20 does not require this function.
        Err(WalletError::Reverted { .. }) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    if found == token.decimals {
        return Ok(());
    }
    let network = &chain.network.name;
    let message = format!(
        "`network.{network}.token_decimals` is wrong: expected {found}, as the token {} says, \
         found {}",
        token.address, token.decimals
    );
    Err(
        Failure::new(ExitClass::BadInput, message).with_hint(format!(
            "set it: openlora config set network.{network}.token_decimals {found}"
        )),
    )
}

/// What is deployed.
struct PackageFolder {
    dir: PathBuf,
    /// The account that has just signed it: it is not chosen and unlocked a second time.
    account: Option<WalletAccount>,
}

impl PackageFolder {
    fn existing(dir: PathBuf) -> Self {
        Self { dir, account: None }
    }
}

/// The named package, or the latest run's, which is built if missing.
async fn folder(
    context: &CommandContext,
    request: &DeployRequest,
) -> Result<PackageFolder, Failure> {
    if let Some(named) = &request.package {
        return named_paths::folder(context, named, "a package").map(PackageFolder::existing);
    }
    let run = project::finished_run(context, None, "the package's folder")?;
    let dir = run.path().join("package");
    if dir.is_dir() {
        return Ok(PackageFolder::existing(dir));
    }
    let made = package::make(
        context,
        PackageRequest {
            run: Some(run.id().into()),
            password_file: request.password_file.clone(),
            ..PackageRequest::default()
        },
    );
    let made = made.await?;
    let dir = made.written.dir;
    context
        .printer
        .note(format!("packaged as {}", dir.display()));
    Ok(PackageFolder {
        dir,
        account: made.account,
    })
}

/// The package, after all checks that this machine can make.
async fn checked(
    context: &CommandContext,
    tx_context: &TxContext,
    dir: PathBuf,
) -> Result<Package, Failure> {
    let network = &tx_context.chain.network;
    let domain = SigningDomain::for_registry(network.chain_id, network.contracts.registry);
    let (context, shown) = (context.clone(), dir.clone());
    let expected = ExpectedRelease {
        domain: Some(domain),
        ..ExpectedRelease::default()
    };
    let work = move || verify::checked(&context, &dir, None, &expected);
    let checked = tokio::task::spawn_blocking(work).await;
    let (report, package) = checked.map_err(|error| {
        Failure::new(ExitClass::Internal, format!("the check stopped: {error}"))
    })??;
    match package {
        Some(package) if report.ok => Ok(package),
        _ => Err(verify::refused(&shown, &report)
            .with_hint("make it again: openlora package, for the network that it is deployed on")),
    }
}

/// The adapters of this name that this home has registered there, newest first.
fn remembered(
    tx_context: &TxContext,
    params: &ReleaseParams,
) -> Vec<openlora_chain::registry::AdapterId> {
    let network = &tx_context.chain.network;
    let registry = network.contracts.registry.unwrap_or_default().to_string();
    let publisher = params.publisher.to_string();
    let same = |it: &&ReleaseDeployment| {
        it.name == params.name
            && it.chain_id == network.chain_id
            && it.registry == registry
            && it.publisher == publisher
    };
    let state = tx_context.state.read();
    let known = state.deployments.iter().rev().filter(same);
    known.filter_map(|it| parse_id(&it.adapter_id)).collect()
}

async fn planned(
    tx_context: &TxContext,
    params: &ReleaseParams,
    options: &DeployOptions,
) -> Result<DeployPlan, DeployError> {
    let payout = payout(params)?;
    let place = DeployContext::observe(
        &tx_context.chain,
        tx_context.account,
        options,
        payout.pool.is_some(),
    )
    .await?;
    let seen = observe(&tx_context.chain, params, &payout, &place, options).await?;
    let plan = plan(params, &payout, &seen, &place)?;
    if !plan.is_new() {
        return Ok(plan);
    }
    let paid_at = splitter(&tx_context.chain, place.registry, &plan).await?;
    Ok(plan.paid_at(paid_at))
}

async fn deploy(
    context: &CommandContext,
    tx_context: &mut TxContext,
    params: &ReleaseParams,
    plan: &DeployPlan,
    quote: &FeeQuote,
) -> Result<ReleaseDeployment, Failure> {
    if plan.action == RegistryAction::Nothing {
        let deployment = find_release(&tx_context.chain, params, plan).await?;
        let id = shown_id(plan.adapter_id);
        let is_it = |it: &ReleaseDeployment| it.adapter_id == id && it.tx == deployment.tx;
        let is_known = tx_context.state.read().deployments.iter().any(is_it);
        // A process that was killed after its transaction was mined could not record it.
        if !is_known {
            tx_context.note(&deployment).await?;
        }
        return Ok(deployment);
    }
    print_steps(context, tx_context, &plan.steps, quote)?;
    tx_context.confirm(&params.name, "sending this")?;
    tx_context.fund().await?;
    let deed = format!("deploying {} {}", params.name, params.release);
    let held = tx_context.chain.balance(tx_context.account).await?;
    quote.afford(&tx_context.chain, tx_context.account, held, &deed)?;
    let account = tx_context.unlock()?;
    let sender = tx_context.sender(&account);
    Ok(carry_out(&sender, params, plan, quote).await?)
}

impl TxContext {
    async fn note(&self, deployment: &ReleaseDeployment) -> Result<(), Failure> {
        Ok(append_release(&self.journal, deployment).await?)
    }
}

/// Prints what is about to be signed.
fn print_steps(
    context: &CommandContext,
    tx_context: &TxContext,
    steps: &[DeployStep],
    quote: &FeeQuote,
) -> Result<(), Failure> {
    let printer = &context.printer;
    let network = &tx_context.chain.network;
    let symbol = network.payment_symbol();
    printer.note(format!(
        "chain         {} ({}) through {}",
        network.name,
        network.chain_id,
        network.rpc_shown()
    ));
    printer.note(format!("from          {}", tx_context.account));
    for (step, submission) in steps.iter().zip(&quote.submissions) {
        printer.note(format!("contract      {} {}", step.contract, step.to));
        printer.note(format!("call          {}", step.call));
        for (name, value) in &step.arguments {
            printer.note(format!("  {name:<16} {}", value.shown(symbol)));
        }
        printer.note(format!("gas           at most {}", submission.gas));
    }
    let most = Amount(quote.most().saturating_to());
    printer.note(format!(
        "maximum fee   {}: {} gas at up to {} gwei",
        format_gas_cost(context, network, most)?,
        quote.gas(),
        in_units(quote.cap_as_amount(), 9)
    ));
    Ok(())
}

fn propose(
    context: &CommandContext,
    tx_context: &TxContext,
    steps: &[DeployStep],
    quote: &FeeQuote,
) -> Result<(), Failure> {
    if !context.printer.is_json() {
        if steps.is_empty() {
            context.printer.note("there is nothing to do");
        } else {
            print_steps(context, tx_context, steps, quote)?;
        }
        context
            .printer
            .line(format!("{} transactions, none sent", steps.len()));
        return Ok(());
    }
    let network = &tx_context.chain.network;
    let transaction =
        |(step, submission): (&DeployStep, &openlora_chain::transaction::TxSubmission)| {
            let argument = |(name, value): &(&'static str, CallValue)| CallArgument {
                name,
                value: value.raw(),
            };
            PlannedTransaction {
                deed: step.deed.clone(),
                to: step.to.to_string(),
                contract: step.contract,
                call: step.call.clone(),
                arguments: step.arguments.iter().map(argument).collect(),
                gas: submission.gas,
                max_fee_wei: quote.cap.to_string(),
            }
        };
    context.printer.json(&DeployProposal {
        network: network.name.clone(),
        chain_id: network.chain_id,
        from: tx_context.account.to_string(),
        transactions: steps
            .iter()
            .zip(&quote.submissions)
            .map(transaction)
            .collect(),
        most_wei: quote.most().to_string(),
    });
    Ok(())
}

fn report(
    context: &CommandContext,
    plan: &DeployPlan,
    it: &ReleaseDeployment,
    agent: Option<AgentReport>,
) {
    let printer = &context.printer;
    let done = match plan.action {
        RegistryAction::Nothing => "nothing",
        RegistryAction::Register => "registered",
        RegistryAction::Publish => "published",
        RegistryAction::Authorise => "authorised",
    };
    if printer.is_json() {
        return printer.json(&DeployReport {
            adapter_id: it.adapter_id.clone(),
            version: it.version,
            network: it.network.clone(),
            tx: it.tx.clone(),
            splitter: it.splitter.clone(),
            gas_used: it.gas_used,
            manifest_sha256: it.manifest_sha256.clone(),
            chain_id: it.chain_id,
            registry: it.registry.clone(),
            publisher: it.publisher.clone(),
            done: done.to_owned(),
            agent,
        });
    }
    if plan.action == RegistryAction::Nothing {
        printer.note("the registry has this release already; nothing was sent");
    }
    printer.line(format!("adapter       {}", it.adapter_id));
    printer.line(format!(
        "version       {} ({} {})",
        it.version, it.name, it.release
    ));
    printer.line(format!("network       {} ({})", it.network, it.chain_id));
    printer.line(format!("transaction   {}", it.tx));
    printer.line(format!("gas used      {}", it.gas_used));
    printer.line(format!("splitter      {}", it.splitter));
    printer.line(format!("manifest      sha256 {}", it.manifest_sha256));
    if let Some(agent) = agent {
        if agent.done == "nothing" {
            printer.note("the registry of agents has this identity already; nothing was sent");
        }
        printer.line(format!(
            "agent         {} of {}",
            agent.agent_id, agent.registry
        ));
        printer.line(format!("agent file    {}", agent.uri));
        printer.line(format!("agent tx      {}", agent.tx));
    }
    printer.hint(format!(
        "look at it with `openlora explore {}`",
        it.adapter_id
    ));
}

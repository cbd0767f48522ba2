//! `deploy`: a package into the chain's registry, or the contracts onto the chain.

mod contracts;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{
    Context,
    desk::Desk,
    money::{prices, token},
    package::{self, PackageRequest},
    project, verify,
};
use crate::{
    error::{ExitClass, ExitStatus, Failure},
    runtime::{
        event::Deployment,
        ledger::{Address, Amount},
        package::{
            Package,
            release::Domain,
            verify::{Report, Status},
        },
        train::RunDir,
    },
    wallet::{
        WalletError,
        balance::{from_units, in_units},
        deploy::{
            Action, DeployError, Goods, Place, Plan, Quote, Step, Wish, carry_out, found, keep,
            observe, payout, plan, quote, splitter,
        },
        development::check_payee,
        network::Token,
        provider::Chain,
        registry::{Token as Contract, parse_id, shown_id},
    },
};
pub use contracts::Contracts;

/// What the command line says besides settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeployRequest {
    /// The latest run's when `None`.
    pub package: Option<PathBuf>,
    pub dry_run: bool,
    pub server: Option<String>,
    pub adapter: Option<String>,
    /// Deploy the contracts and no package.
    pub contracts: bool,
    pub password_file: Option<PathBuf>,
}

/// What `--json` prints.
#[derive(Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Deployed {
    pub adapter_id: String,
    /// As the registry counts, from 1.
    pub version: u32,
    pub network: String,
    /// The transaction that put this version there.
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
}

/// What `--dry-run --json` prints.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct Proposal {
    network: String,
    chain_id: u64,
    from: String,
    transactions: Vec<Proposed>,
    /// Most wei that all of them can cost.
    most_wei: String,
}

/// One transaction that would be sent.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct Proposed {
    deed: String,
    to: String,
    contract: &'static str,
    call: String,
    arguments: Vec<Argument>,
    /// Limit; what is not used is not paid.
    gas: u64,
    /// Most wei per unit of gas.
    max_fee_wei: String,
}

#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct Argument {
    name: &'static str,
    value: String,
}

pub async fn run(context: &Context, request: DeployRequest) -> Result<ExitStatus, Failure> {
    let wish = wish(&request)?;
    if request.contracts {
        return contracts::run(context, &request).await;
    }
    let dir = folder(context, &request).await?;
    let mut desk = Desk::open(context, request.password_file.clone()).await?;
    let package = checked(context, &desk, dir).await?;
    let goods = Goods::of(&package)?;
    if goods.publisher != desk.account {
        return Err(DeployError::OtherPublisher {
            publisher: goods.publisher,
            account: desk.account,
        }
        .into());
    }
    package::tell_static_shares(&context.printer, &package.manifest);
    package::check_payees(&desk.chain.network, &package.manifest)?;
    for (who, address) in [("--account", Some(desk.account)), ("--server", wish.server)] {
        if let Some(address) = address {
            check_payee(&desk.chain.network, who, address)?;
        }
    }
    if !request.dry_run {
        desk.recover().await?;
    }
    let wish = Wish {
        remembered: remembered(&desk, &goods),
        price: price(context, &desk.chain).await?,
        ..wish
    };
    let plan = planned(&desk, &goods, &wish).await?;
    let quote = quote(&desk.chain, desk.account, &plan.steps, &desk.limits).await?;
    if request.dry_run {
        propose(context, &desk, &plan.steps, &quote);
        return Ok(ExitStatus::Success);
    }
    let deployment = deploy(context, &mut desk, &goods, &plan, &quote).await?;
    report(context, &plan, &deployment);
    Ok(ExitStatus::Success)
}

fn wish(request: &DeployRequest) -> Result<Wish, Failure> {
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
        parse_id(text).ok_or_else(|| {
            usage(format!(
                "--adapter is wrong: expected 0x and 64 hexadecimal digits, found `{text}`"
            ))
        })
    };
    Ok(Wish {
        server,
        adapter: request.adapter.as_deref().map(id).transpose()?,
        remembered: Vec::new(),
        price: 0,
    })
}

/// What the registry is told that 1 000 generated tokens cost. Zero only where the settings say
/// zero: a token that is missing or counts otherwise must not make the calls free.
async fn price(context: &Context, chain: &Chain) -> Result<u128, Failure> {
    /// Of the token that the registry counts in.
    const DECIMALS: u8 = 6;
    let network = &chain.network;
    let setting = &context.settings.pricing.completion;
    let is_free = from_units(&setting.value, u8::MAX) == Some(0);
    if network.token.is_none() && is_free {
        return Ok(0);
    }
    let token = token(network).map_err(|failure| {
        let message = format!("{}, so its calls would cost nothing", failure.message);
        Failure { message, ..failure }
    })?;
    check_decimals(chain, token).await?;
    let Amount(price) = prices(context, token)?.completion;
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

/// The settings say how a token counts, and so does the token.
async fn check_decimals(chain: &Chain, token: &Token) -> Result<(), Failure> {
    if !chain.has_code(token.address).await? {
        return Ok(());
    }
    let call = Contract::decimalsCall {};
    let asked = chain.read("decimals of the token", token.address, &call);
    let found = match asked.await {
        Ok(found) => found,
        // ERC-20 does not ask for it.
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

/// The package that is named, or the latest run's, which is made now when it has none.
async fn folder(context: &Context, request: &DeployRequest) -> Result<PathBuf, Failure> {
    if let Some(named) = &request.package {
        return Ok(context.settings.working_dir.join(named));
    }
    let run = RunDir::find(&project::runs(context), None)?;
    let dir = run.path().join("package");
    if dir.is_dir() {
        return Ok(dir);
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
    let note = format!("packaged as {}", made.dir().display());
    context.printer.note(note);
    Ok(made.dir().to_owned())
}

/// The package, every check of which this machine can do has passed.
async fn checked(context: &Context, desk: &Desk, dir: PathBuf) -> Result<Package, Failure> {
    let network = &desk.chain.network;
    let domain = Domain::of(network.chain_id, network.contracts.registry);
    let (context, shown) = (context.clone(), dir.clone());
    let work = move || verify::checked(&context, &dir, None, Some(domain));
    let checked = tokio::task::spawn_blocking(work).await;
    let (report, package) = checked.map_err(|error| {
        Failure::new(ExitClass::Internal, format!("the check stopped: {error}"))
    })??;
    match package {
        Some(package) if report.ok => Ok(package),
        _ => Err(unverified(&shown, &report)),
    }
}

fn unverified(dir: &Path, report: &Report) -> Failure {
    let failed = report.checks.iter().filter(|it| it.status == Status::Fail);
    let said = failed.map(|check| {
        let reason = check.reason.as_deref().unwrap_or_default();
        format!("{}: {reason}", check.name)
    });
    let said = said.collect::<Vec<_>>().join("; ");
    let message = format!("{} does not verify: {said}", dir.display());
    Failure::new(ExitClass::Verification, message)
        .with_hint("make it again: openlora package, for the network that it is deployed on")
}

/// The adapters of this name that this home has registered there, newest first.
fn remembered(desk: &Desk, goods: &Goods) -> Vec<crate::wallet::registry::Id> {
    let network = &desk.chain.network;
    let registry = network.contracts.registry.unwrap_or_default().to_string();
    let publisher = goods.publisher.to_string();
    let same = |it: &&Deployment| {
        it.name == goods.name
            && it.chain_id == network.chain_id
            && it.registry == registry
            && it.publisher == publisher
    };
    let known = desk.snapshot.deployments.iter().rev().filter(same);
    known.filter_map(|it| parse_id(&it.adapter_id)).collect()
}

async fn planned(desk: &Desk, goods: &Goods, wish: &Wish) -> Result<Plan, DeployError> {
    let payout = payout(goods)?;
    let place = Place::of(&desk.chain, desk.account, wish, payout.pool.is_some()).await?;
    let seen = observe(&desk.chain, goods, &payout, &place, wish).await?;
    let plan = plan(goods, &payout, &seen, &place)?;
    if !plan.is_new() {
        return Ok(plan);
    }
    let paid_at = splitter(&desk.chain, place.registry, &plan).await?;
    Ok(plan.paid_at(paid_at))
}

async fn deploy(
    context: &Context,
    desk: &mut Desk,
    goods: &Goods,
    plan: &Plan,
    quote: &Quote,
) -> Result<Deployment, Failure> {
    if plan.action == Action::Nothing {
        let deployment = found(&desk.chain, goods, plan).await?;
        let id = shown_id(plan.adapter_id);
        let mut known = desk.snapshot.deployments.iter();
        // A process that was killed after its transaction was mined did not get to say so.
        if !known.any(|it| it.adapter_id == id && it.tx == deployment.tx) {
            desk.note(&deployment).await?;
        }
        return Ok(deployment);
    }
    show(context, desk, &plan.steps, quote);
    desk.confirm(&goods.name, "sending this")?;
    desk.fund().await?;
    let deed = format!("deploying {} {}", goods.name, goods.release);
    let held = desk.chain.balance(desk.account).await?;
    quote.afford(&desk.chain, desk.account, held, &deed)?;
    let account = desk.unlock()?;
    let sender = desk.sender(&account);
    Ok(carry_out(&sender, goods, plan, quote).await?)
}

impl Desk {
    async fn note(&self, deployment: &Deployment) -> Result<(), Failure> {
        Ok(keep(&self.journal, deployment).await?)
    }
}

/// What is about to be signed, for a person.
fn show(context: &Context, desk: &Desk, steps: &[Step], quote: &Quote) {
    let printer = &context.printer;
    let network = &desk.chain.network;
    printer.note(format!(
        "chain         {} ({}) through {}",
        network.name,
        network.chain_id,
        network.rpc_shown()
    ));
    printer.note(format!("from          {}", desk.account));
    for (step, submission) in steps.iter().zip(&quote.submissions) {
        printer.note(format!("contract      {} {}", step.contract, step.to));
        printer.note(format!("call          {}", step.call));
        for (name, value) in &step.arguments {
            printer.note(format!("  {name:<16} {value}"));
        }
        printer.note(format!("gas           at most {}", submission.gas));
    }
    printer.note(format!(
        "maximum fee   {} ETH: {} gas at up to {} gwei",
        in_units(quote.most(), 18),
        quote.gas(),
        in_units(quote.cap_as_amount(), 9)
    ));
}

fn propose(context: &Context, desk: &Desk, steps: &[Step], quote: &Quote) {
    if !context.printer.is_json() {
        if steps.is_empty() {
            context.printer.note("there is nothing to do");
        } else {
            show(context, desk, steps, quote);
        }
        context
            .printer
            .line(format!("{} transactions, none sent", steps.len()));
        return;
    }
    let network = &desk.chain.network;
    let transaction = |(step, submission): (&Step, &crate::wallet::transaction::Submission)| {
        let argument = |(name, value): &(&'static str, String)| Argument {
            name,
            value: value.clone(),
        };
        Proposed {
            deed: step.deed.clone(),
            to: step.to.to_string(),
            contract: step.contract,
            call: step.call.clone(),
            arguments: step.arguments.iter().map(argument).collect(),
            gas: submission.gas,
            max_fee_wei: quote.cap.to_string(),
        }
    };
    context.printer.json(&Proposal {
        network: network.name.clone(),
        chain_id: network.chain_id,
        from: desk.account.to_string(),
        transactions: steps
            .iter()
            .zip(&quote.submissions)
            .map(transaction)
            .collect(),
        most_wei: quote.most().to_string(),
    });
}

fn report(context: &Context, plan: &Plan, it: &Deployment) {
    let printer = &context.printer;
    let done = match plan.action {
        Action::Nothing => "nothing",
        Action::Register => "registered",
        Action::Publish => "published",
        Action::Authorise => "authorised",
    };
    if printer.is_json() {
        return printer.json(&Deployed {
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
        });
    }
    if plan.action == Action::Nothing {
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
    printer.hint(format!(
        "look at it with `openlora explore {}`",
        it.adapter_id
    ));
}

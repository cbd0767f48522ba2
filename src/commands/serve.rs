//! `serve`: serves adapters on their base over HTTP until it is stopped.

mod bases;
pub mod engine_choice;
mod fetched;
pub mod folder;
mod from_registry;
pub mod handover;
mod hosting;
#[cfg(target_os = "linux")]
mod isolation;
pub mod log;
mod sales;
#[cfg(target_os = "linux")]
pub mod worker;

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
};

use schemars::JsonSchema;
use serde::Serialize;

use tokio_util::sync::CancellationToken;

use self::{
    bases::{CallsAtOnce, ServerDemand},
    engine_choice::ChosenEngine,
    fetched::FetchedReleases,
    folder::{NamedFolder, named_folders},
    from_registry::{RegistryFinder, RegistryServing},
    handover::hand_over,
    hosting::AdapterHost,
    sales::SellingPlace,
};
use super::{
    CommandContext, money, named_paths, network, project, server_access, settings::IsolationScope,
    verify,
};
use openlora_attribution::queue::PendingTokenStore;
use openlora_chain::network::Network;
use openlora_core::{
    allocator,
    error::{ExitClass, ExitStatus, Failure},
};
use openlora_model::{adapter, dataset::Task};
use openlora_package::MANIFEST_FILE;
use openlora_runtime::{
    board, journal,
    paid_serving::{ChosenAdapter, PaidServing, UnclaimedCharge},
    registry_packages::model_id,
    running_server::{PidFile, RunningServer},
    standings::JournalStandings,
    transparency_log::{HomeTransparencyLog, origin_of},
};
use openlora_serve::{
    BoundSocket, ConnectionLimits, ROUTES, RouteAudience, ServeError, ServeInputs, ServeLimits,
    ServedAdapter, Server, StopHandle, attribution::AttributionConfig, on_demand::OnDemandAdapters,
    prompt_filter::PromptFilter,
};

pub(in crate::commands) use bases::{PictureShelf, ServedBases, TextBase, makes_pictures};

/// The request of `serve` besides settings.
#[derive(Clone, Debug, Default)]
pub struct ServeRequest {
    pub local: bool,
    pub free: bool,
    /// Allow listening on an address that other machines can reach.
    pub expose: bool,
    /// Generate new tokens for the operator and for sellers.
    pub rotate_tokens: bool,
    /// `NAME=PATH` as typed.
    pub adapters: Vec<String>,
    /// A folder of adapters. Without it and named adapters, the newest run's adapter is served.
    pub folder: Option<PathBuf>,
    /// A socket in the file system to listen on, instead of an address.
    pub socket: Option<PathBuf>,
    /// Password of the serving account.
    pub password_file: Option<PathBuf>,
}

impl ServeRequest {
    fn names_no_adapter(&self) -> bool {
        self.adapters.is_empty() && self.folder.is_none()
    }
}

/// The first line of `serve --json`, printed once calls are answered.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ServerReady<'a> {
    pub url: &'a str,
    /// Names to use as `model`.
    pub adapters: &'a [String],
    /// The chain on which calls are paid.
    pub network: &'a str,
}

/// The sums that pages show, in the tokens that calls are paid in.
fn standings(context: &CommandContext, selling: Option<&PaidServing>) -> JournalStandings {
    let tokens = selling.map_or_else(Vec::new, PaidServing::tokens);
    JournalStandings::new(context.dirs.journal(), tokens)
}

/// The adapters that are there from the start; none if they are only fetched on demand.
fn chosen_adapters(
    context: &CommandContext,
    request: &ServeRequest,
    from_registry: bool,
) -> Result<Vec<ChosenAdapter>, Failure> {
    match from_registry && request.names_no_adapter() {
        true => Ok(Vec::new()),
        false => choose(context, &request.adapters, request.folder.as_deref()),
    }
}

/// The filter of prompts for pictures, if the settings name one.
fn prompt_filter(context: &CommandContext) -> Option<PromptFilter> {
    let settings = &context.settings.serve;
    let adapter = settings.prompt_filter.clone()?;
    let labels = settings.prompt_filter_labels.clone();
    Some(PromptFilter { adapter, labels })
}

fn url_of_socket(bound: &BoundSocket) -> String {
    match &bound.path {
        Some(path) => format!("unix:{}", path.display()),
        None => url_of(bound.address),
    }
}

/// Where adapters come from that are fetched when they are first called.
async fn adapters_on_demand(
    context: &CommandContext,
    host: &Arc<AdapterHost>,
    selling: Option<&PaidServing>,
    fetched: FetchedReleases,
) -> Result<OnDemandAdapters, Failure> {
    let chain = match selling {
        Some(selling) => selling.home_chain().clone(),
        None => from_registry::free_chain(context).await?,
    };
    let serving = RegistryServing {
        chain,
        fetched,
        host: Arc::clone(host),
        account: selling.map(PaidServing::account),
    };
    RegistryFinder::open(context, serving)
}

/// The bases with an engine for text that puts adapters of the settings' scope into processes of
/// their own.
///
/// # Errors
///
/// The system has no such processes, or there are adapters for pictures, which run in this one.
fn isolated(context: &CommandContext, bases: ServedBases) -> Result<ServedBases, Failure> {
    if context.settings.serve.isolate == IsolationScope::Off {
        return Ok(bases);
    }
    if bases.pictures.is_some() {
        let message = "`serve.isolate` confines adapters for text, and one of these makes pictures";
        return Err(Failure::new(ExitClass::Usage, message)
            .with_hint("serve adapters for pictures from a server without `serve.isolate`"));
    }
    let TextBase { base, engine } = match bases.text {
        Some(text) => text,
        None => return Ok(bases),
    };
    let text = Some(TextBase {
        base,
        engine: isolated_engine(context, engine)?,
    });
    Ok(ServedBases {
        text,
        pictures: None,
    })
}

#[cfg(not(target_os = "linux"))]
fn isolated_engine(_: &CommandContext, _: ChosenEngine) -> Result<ChosenEngine, Failure> {
    let message = format!(
        "`serve.isolate` needs Linux, and this system is {}",
        std::env::consts::OS
    );
    Err(Failure::new(ExitClass::Environment, message))
}

#[cfg(target_os = "linux")]
fn isolated_engine(
    context: &CommandContext,
    engine: ChosenEngine,
) -> Result<ChosenEngine, Failure> {
    let calls = isolation::WorkerCalls {
        kind: engine.kind,
        concurrent: engine.concurrent,
        parallel: engine.parallel,
    };
    let inner = Arc::clone(&engine.loader);
    let loader = isolation::IsolatedLoader::new(context, inner, calls)?;
    Ok(ChosenEngine {
        loader: Arc::new(loader),
        ..engine
    })
}

/// Serves until SIGINT or SIGTERM, then drains.
pub async fn run(context: &CommandContext, request: ServeRequest) -> Result<ExitStatus, Failure> {
    allocator::share_heaps();
    let networks = networks(context, &request)?;
    if networks.is_some() {
        sales::settle_every(context)?;
    }
    if let Some(server) = RunningServer::find(&context.dirs).await? {
        return hand_over(context, &request, networks.as_deref(), &server).await;
    }
    let bound = bind(context, &request).await?;
    let url = url_of_socket(&bound);
    let journal = journal::open(&context.dirs.journal())?;
    // After the journal: of two servers of one home, only one may create tokens.
    let access = server_access::open(context, request.rotate_tokens)?;
    let transparency = open_log(context).await?;
    let view = transparency.view(&context.dirs)?;
    let from_registry = from_registry::is_wanted(context)?;
    let chosen = chosen_adapters(context, &request, from_registry)?;
    let selling = match networks {
        None => None,
        Some(networks) => {
            let password_file = request.password_file.as_deref();
            let place = SellingPlace {
                url: &url,
                transparency: &view,
            };
            let opened = sales::open(context, &journal, &chosen, networks, password_file, &place);
            Some(Arc::new(opened.await?))
        }
    };
    let demand = ServerDemand {
        from_registry,
        local: request.local,
    };
    let bases = ServedBases::open(context, &chosen, demand)?;
    if from_registry {
        bases.text()?.engine.require_shared_base()?;
    }
    let bases = isolated(context, bases)?;
    let limits = limits(context, bases.calls_at_once(context));
    let fetched = FetchedReleases::default();
    let host = AdapterHost::new(context, bases, selling.clone());
    let host = Arc::new(host.with_fetched(fetched.clone())?);
    let on_demand = match from_registry {
        false => None,
        true => Some(adapters_on_demand(context, &host, selling.as_deref(), fetched).await?),
    };
    let hosted = host.host_all(chosen).await?;
    let names: Vec<String> = hosted.iter().map(|adapter| adapter.name.clone()).collect();
    let first = hosted.first().and_then(|adapter| adapter.task.as_ref());
    let makes_pictures = first == Some(&Task::Image);
    let stop = StopHandle::default();
    let inputs = ServeInputs {
        adapters: hosted,
        sales: selling.as_ref().map(|selling| selling.sales.clone()),
        attribution: keeping(context)?,
        access,
        transparency: Some(view),
        loader: Some(host),
        standings: Some(Arc::new(standings(context, selling.as_deref()))),
        on_demand,
        prompt_filter: prompt_filter(context),
    };
    if context.printer.is_watched() {
        let currency = selling.as_ref().map(|it| it.sales.currency.clone());
        log::follow(&context.printer, &journal, currency).await?;
    }
    let logging = CancellationToken::new();
    let logged = transparency.follow(&journal, logging.clone());
    let server = Server::new(bound, inputs, journal.clone(), limits, stop.clone()).await?;
    let server = server.with_connections(connections(context));
    let signals = tokio::spawn(obey(StopSignals::install()?, stop, context.clone()));
    // Settling ends with a final round after the last call is charged.
    let closing = CancellationToken::new();
    let settling = selling.as_ref().map(|selling| selling.start(&closing));
    let chains = selling.as_ref().map(|selling| selling.chains());
    let chains = chains.unwrap_or_default();
    // Other commands of this home find a server by its address only.
    let sign = match request.socket {
        None => Some(PidFile::put_up(&context.dirs, &url, chains)?),
        Some(_) => None,
    };
    // Keeps the dashboard's start fast, however long the journal becomes.
    let boarding = board::keep_ready(context.dirs.journal());
    announce(context, &url, &names, makes_pictures, selling.as_deref());
    server.run().await?;
    boarding.abort();
    drop(sign);
    context.printer.note("drained: every call is counted");
    closing.cancel();
    if let (Some(settling), Some(selling)) = (settling, &selling) {
        let went_well = settling.join_all().await.into_iter().all(|it| it);
        tell_settled(context, selling, went_well);
    }
    // After the last settlement, so that its records are in the log too.
    logging.cancel();
    let _ = logged.await;
    // Its readers close first, see `Journal`.
    drop(journal);
    signals.abort();
    Ok(ExitStatus::Success)
}

/// The adapter that `wanted` names, or the newest run's, on an engine in this process.
///
/// # Errors
///
/// There is no such adapter, or its base cannot be loaded.
pub(super) async fn load_one(
    context: &CommandContext,
    wanted: &[String],
) -> Result<ServedAdapter, Failure> {
    let chosen = choose(context, wanted, None)?;
    let demand = ServerDemand {
        from_registry: false,
        local: true,
    };
    let bases = ServedBases::open(context, &chosen, demand)?;
    let loaded = load_free(context, bases, chosen).await?;
    let none = || Failure::new(ExitClass::Internal, "no adapter was loaded");
    loaded.into_iter().next().ok_or_else(none)
}

/// Adapters on their bases, without prices.
///
/// # Errors
///
/// One is of another base, or the engine cannot load it.
pub(super) async fn load_free(
    context: &CommandContext,
    bases: ServedBases,
    chosen: Vec<ChosenAdapter>,
) -> Result<Vec<ServedAdapter>, Failure> {
    AdapterHost::new(context, bases, None)
        .host_all(chosen)
        .await
}

/// The transparency log of this home's journal, up to date.
async fn open_log(context: &CommandContext) -> Result<HomeTransparencyLog, Failure> {
    let public = server_access::public_url(context)?;
    let origin = public.as_deref().and_then(origin_of);
    HomeTransparencyLog::open(&context.dirs, origin).await
}

/// A home has one journal and one account, and so one server.
fn one_server(server: &RunningServer, what: &str) -> Failure {
    let message = format!(
        "this home has a server at {} already, which {what}",
        server.url()
    );
    Failure::new(ExitClass::Environment, message).with_hint(
        "stop that server with Ctrl-C first; or serve free of charge from a home of its own: \
         `OPENLORA_HOME=DIR openlora serve --local --free --port 0`",
    )
}

fn tell_settled(context: &CommandContext, selling: &PaidServing, went_well: bool) {
    let printer = &context.printer;
    if went_well {
        return printer.note("settled: every charge that could be claimed is");
    }
    let left = selling.unclaimed();
    let sum = |charge: &UnclaimedCharge| {
        let sum = charge.network.token_amount(charge.token, charge.amount);
        format!("{sum} on `{}`", charge.network.name)
    };
    let left: Vec<String> = left.iter().map(sum).collect();
    match left.is_empty() {
        true => printer.warn("the last settlement failed: money may still be in the escrow"),
        false => printer.warn(format!("not settled: {} left unclaimed", left.join(", "))),
    }
    printer.hint("claim it once the chain answers: openlora settle");
}

fn keeping(context: &CommandContext) -> Result<AttributionConfig, Failure> {
    let folder = context.dirs.pending_tokens();
    let token_store = PendingTokenStore::open(&folder);
    let token_store =
        token_store.map_err(|error| Failure::io("make the folder", &folder, &error))?;
    Ok(AttributionConfig {
        token_store: Some(token_store),
        log: Some(context.dirs.attribution_log()),
        most: context.settings.serve.attribution_queue,
    })
}

/// The chains on which calls are paid; none if calls are free.
fn networks(
    context: &CommandContext,
    request: &ServeRequest,
) -> Result<Option<Vec<Network>>, Failure> {
    if request.free {
        return Ok(None);
    }
    let networks = network::paid_on(context)?;
    let foreign = networks.iter().find(|network| !network.is_local());
    match foreign.filter(|_| request.local) {
        None => {
            // The first one is the project's own.
            for home in networks.iter().take(1) {
                money::refuse_free(&money::prices(context, money::token(home)?)?)?;
            }
            Ok(Some(networks))
        }
        Some(network) => {
            let message = format!(
                "--local serves on development chains, not on `{}`",
                network.name
            );
            Err(Failure::new(ExitClass::Usage, message)
                .with_hint("leave --local out to serve there, or add `--network local`"))
        }
    }
}

/// The socket that the request or the settings name.
async fn bind(context: &CommandContext, request: &ServeRequest) -> Result<BoundSocket, Failure> {
    if let Some(socket) = &request.socket {
        return Ok(BoundSocket::local(&named_paths::absolute(context, socket))?);
    }
    let host = host(context)?;
    check_exposure(context, host, request.free, request.expose)?;
    Ok(BoundSocket::new(&host.to_string(), context.settings.serve.port).await?)
}

fn host(context: &CommandContext) -> Result<IpAddr, Failure> {
    let text = &context.settings.serve.host;
    if text.eq_ignore_ascii_case("localhost") {
        return Ok(Ipv4Addr::LOCALHOST.into());
    }
    let host: IpAddr = text.parse().map_err(|_| {
        let message = format!("serve.host must be an IP address or localhost, found `{text}`");
        Failure::new(ExitClass::Usage, message).with_hint("use --host 127.0.0.1 for this machine")
    })?;
    if host.is_loopback() || context.settings.is_own("serve.host") {
        return Ok(host);
    }
    let file = context.settings.project_file.clone().unwrap_or_default();
    let message = format!(
        "{}: `serve.host` of a project file opens the server to other machines: expected an \
         address of this one, found {host}",
        file.display()
    );
    Err(
        Failure::new(ExitClass::BadInput, message).with_hint(format!(
            "if you mean it, add --host {host} --expose; or once for all: openlora config set \
             --user serve.host {host}"
        )),
    )
}

fn check_exposure(
    context: &CommandContext,
    host: IpAddr,
    free: bool,
    expose: bool,
) -> Result<(), Failure> {
    if host.is_loopback() {
        return Ok(());
    }
    if !expose {
        let free = if free {
            ", and calls there would be free"
        } else {
            ""
        };
        let message = format!("other machines can reach {host}{free}");
        return Err(Failure::new(ExitClass::Usage, message)
            .with_hint("add --expose if that is meant, or leave --host out"));
    }
    let paths = |audience: RouteAudience| {
        let of = ROUTES.iter().filter(|route| route.audience == audience);
        of.map(|route| route.path).collect::<Vec<_>>().join(", ")
    };
    context.printer.warn(format!(
        "whoever reaches {host} can call the adapters {}: {}; \
         the rest needs a token of {} ({}, {})",
        if free {
            "without payment or password"
        } else {
            "for payment"
        },
        paths(RouteAudience::Anyone),
        context.dirs.data.display(),
        paths(RouteAudience::Operator),
        paths(RouteAudience::Sellers)
    ));
    Ok(())
}

/// The named adapters and those in a folder; the newest run's without either.
pub(super) fn choose(
    context: &CommandContext,
    wanted: &[String],
    folder: Option<&Path>,
) -> Result<Vec<ChosenAdapter>, Failure> {
    let folder = folder.map(|dir| named_folders(&context.settings.working_dir.join(dir)));
    let found = folder.transpose()?.unwrap_or_default();
    let named = wanted.iter().map(|text| named(text));
    let named = named.collect::<Result<Vec<NamedFolder>, Failure>>()?;
    let all: Vec<NamedFolder> = named.into_iter().chain(found).collect();
    if all.is_empty() {
        return Ok(vec![newest(context)?]);
    }
    let mut names = BTreeSet::new();
    if let Some(twice) = all.iter().find(|one| !names.insert(&one.name)) {
        let name = twice.name.clone();
        return Err(ServeError::DuplicateAdapter { name }.into());
    }
    let all = all.into_iter();
    all.map(|one| adapter_in(context, one)).collect()
}

/// The newest run's adapter under the project's name.
fn newest(context: &CommandContext) -> Result<ChosenAdapter, Failure> {
    let run = project::finished_run(context, None, "one with --adapter NAME=PATH")?;
    let folder = context.settings.project_dir().file_name();
    let name = match &context.settings.project.name {
        Some(name) => name.clone(),
        None => folder.map_or("adapter".to_owned(), |name| {
            name.to_string_lossy().into_owned()
        }),
    };
    let adapter = adapter::read(&run.adapter())?;
    Ok(ChosenAdapter {
        name: as_model_id(&name),
        version: run.id(),
        adapter,
    })
}

/// Model ids consist of letters, digits and `-_.`; any other character of a project's name becomes
/// `-`.
pub(in crate::commands) fn as_model_id(name: &str) -> String {
    model_id(name)
}

fn named(text: &str) -> Result<NamedFolder, Failure> {
    let refuse = |expected: &str| {
        Failure::new(
            ExitClass::Usage,
            format!("--adapter {text}: expected {expected}"),
        )
        .with_hint("name the model and its folder: --adapter sentiment=runs/…/adapter")
    };
    let (name, path) = text.split_once('=').ok_or_else(|| refuse("NAME=PATH"))?;
    if path.is_empty() {
        return Err(refuse("NAME=PATH"));
    }
    if name.is_empty() || as_model_id(name) != name {
        return Err(refuse(
            "a name of letters, digits and any of - _ . before the =",
        ));
    }
    Ok(NamedFolder {
        name: name.to_owned(),
        path: PathBuf::from(path),
    })
}

/// The adapter in a folder, a package or a run. A package is served only if none of its checks
/// fails.
///
/// # Errors
///
/// The folder holds no adapter, or a changed package.
pub(super) fn adapter_in(
    context: &CommandContext,
    folder: NamedFolder,
) -> Result<ChosenAdapter, Failure> {
    let NamedFolder { name, path } = folder;
    let path = project::adapter_folder(context, &path)?;
    if path.join(MANIFEST_FILE).is_file() {
        verify::require_loadable(&path)?;
    }
    let adapter = adapter::read(&path)?;
    let version = adapter.digest.chars().take(12).collect();
    Ok(ChosenAdapter {
        name,
        version,
        adapter,
    })
}

/// If no base is configured, the one that all adapter cards name.
pub(super) fn base_id<'a>(
    context: &CommandContext,
    chosen: &'a [ChosenAdapter],
) -> Option<&'a str> {
    let mut cards = chosen
        .iter()
        .map(|one| one.adapter.task.as_ref().map(|card| card.base_id.as_str()));
    let first = cards.next()??;
    (context.settings.base.id.is_default() && cards.all(|other| other == Some(first)))
        .then_some(first)
}

fn limits(context: &CommandContext, calls: CallsAtOnce) -> ServeLimits {
    let settings = &context.settings.serve;
    ServeLimits {
        max_concurrent: calls.all,
        parallel: calls.of_adapter,
        queue: settings.queue,
        max_body: settings.max_body,
        max_tokens: settings.max_tokens,
    }
}

fn connections(context: &CommandContext) -> ConnectionLimits {
    let settings = &context.settings.serve;
    ConnectionLimits {
        total: settings.max_connections,
        per_address: settings.max_connections_per_address,
    }
}

/// The server's address as seen by a client on this machine.
pub(super) fn url_of(address: SocketAddr) -> String {
    let ip = if address.ip().is_unspecified() {
        Ipv4Addr::LOCALHOST.into()
    } else {
        address.ip()
    };
    format!("http://{}", SocketAddr::new(ip, address.port()))
}

/// `makes_pictures`: whether the first adapter does.
fn announce(
    context: &CommandContext,
    url: &str,
    names: &[String],
    makes_pictures: bool,
    selling: Option<&PaidServing>,
) {
    let network = selling.map_or("local".to_owned(), |it| it.networks.join(","));
    let printer = &context.printer;
    let first = names.first().map_or("NAME", String::as_str);
    let mut served = names.to_vec();
    if context.settings.serve.from_registry.is_some() {
        served.push("what the registry registers".to_owned());
    }
    printer.note(format!(
        "serving {} at {url}, {}; Ctrl-C drains",
        served.join(", "),
        selling.map_or("free of charge".to_owned(), |_| format!(
            "paid on {network}"
        ))
    ));
    if let Ok(Some(public)) = server_access::public_url(context) {
        printer.note(format!("others reach it at {public}"));
    }
    let (prompt, out) = match makes_pictures {
        true => ("a red star on blue", " -o picture.png"),
        false => ("hello", ""),
    };
    let call = format!("  openlora call \"{prompt}\" --adapter {first} --url {url}{out}");
    let (route, body) = match makes_pictures {
        true => ("images/generations", format!("\"prompt\":\"{prompt}\"")),
        false => (
            "chat/completions",
            format!("\"messages\":[{{\"role\":\"user\",\"content\":\"{prompt}\"}}]"),
        ),
    };
    match selling {
        None => {
            printer.note(call);
            printer.note(format!(
                "  curl {url}/v1/{route} -H 'content-type: application/json' \
                 -d '{{\"model\":\"{first}\",{body}}}'"
            ));
        }
        Some(selling) => {
            // The buyer's own settings name another chain by default.
            let home = selling.networks.first().filter(|name| *name != "local");
            let chain = home.map_or(String::new(), |name| format!(" --network {name}"));
            printer.note(format!("{call}{chain}"));
            printer.note(format!(
                "  other programs pay as https://www.x402.org describes; prices: {url}/v1/models"
            ));
        }
    }
    // Last, because a reader of this line may stop the server immediately.
    if printer.is_json() {
        printer.json(&ServerReady {
            url,
            adapters: names,
            network: network.as_str(),
        });
    }
}

/// The signals that stop a server.
pub(super) struct StopSignals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl StopSignals {
    /// # Errors
    ///
    /// The system refuses.
    pub fn install() -> Result<Self, Failure> {
        use tokio::signal::unix::{SignalKind, signal};
        let installed = |kind: SignalKind| {
            signal(kind).map_err(|error| {
                Failure::new(
                    ExitClass::Environment,
                    format!("cannot listen for signals: {error}"),
                )
            })
        };
        Ok(Self {
            interrupt: installed(SignalKind::interrupt())?,
            terminate: installed(SignalKind::terminate())?,
        })
    }

    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// The first signal drains, the second aborts running calls.
async fn obey(mut signals: StopSignals, stop: StopHandle, context: CommandContext) {
    signals.next().await;
    context
        .printer
        .note("draining: running calls finish, new ones are refused; again to hurry");
    stop.draining.cancel();
    signals.next().await;
    context.printer.note("hurrying: running calls end now");
    stop.force_stop.cancel();
}

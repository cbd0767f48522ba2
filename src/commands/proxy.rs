//! `proxy`: a local endpoint in OpenAI's form that pays for calls within a budget.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use schemars::JsonSchema;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::{
    CommandContext, market, money, network, payer, payer::PayerRequest, serve::StopSignals,
};
use openlora_chain::network::PaymentToken;
use openlora_core::{
    Amount,
    error::{ExitClass, ExitStatus, Failure},
    private::foreign_text::clean_line,
};
use openlora_market::{
    Buyer, CallerKey, CallerKeys, ProxyInputs, ProxyListener, PurchaseLimits, ServerAddress,
};
use openlora_payments::payer::Payer;

/// Bytes of a new caller's key.
const KEY_BYTES: usize = 24;

/// The request of `proxy` besides settings.
#[derive(Clone, Debug, Default)]
pub struct ProxyRequest {
    /// Allow listening on an address that other machines can reach.
    pub expose: bool,
    /// Make a key for a caller of this name, and stop.
    pub new_key: Option<String>,
    pub payer: PayerRequest,
}

/// The first line of `proxy --json`, printed once requests are answered.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ProxyReady {
    /// What `OPENAI_BASE_URL` is set to.
    pub base_url: String,
    /// The chain on which calls are paid.
    pub network: String,
    /// The paying account.
    pub payer: String,
    /// In base units of the network's token.
    pub budget: Amount,
}

/// What `proxy --new-key --json` prints.
#[derive(Serialize, JsonSchema)]
pub struct NewCallerKey {
    pub name: String,
    /// The key, which is stored nowhere.
    pub key: String,
    /// The entry of `proxy.keys` that admits it.
    pub setting: String,
}

/// Answers until SIGINT or SIGTERM; then running calls finish.
pub async fn run(context: &CommandContext, request: ProxyRequest) -> Result<ExitStatus, Failure> {
    if let Some(name) = &request.new_key {
        return new_key(context, name);
    }
    let address = listen_address(context)?;
    let network = network::chosen(context)?;
    let keys = caller_keys(context, money::token(&network)?)?;
    check_exposure(context, address.ip(), &request, &keys)?;
    let opened = open(context, &request.payer, keys).await?;
    let payer = opened.buyer.payer();
    let listener = ProxyListener::bind(address.ip(), address.port()).await?;
    let ready = ProxyReady {
        base_url: format!("http://{}/v1", shown(listener.address)),
        network: network.name.clone(),
        payer: payer.account.address().to_string(),
        budget: payer.budget,
    };
    let budget = payer.money(payer.budget);
    let stop = stopped_by_signals()?;
    let printer = &context.printer;
    printer.note(format!(
        "paying for calls from {} on `{}`, at most {budget} a day; Ctrl-C stops",
        ready.payer, ready.network
    ));
    printer.note(format!("  OPENAI_BASE_URL={}", ready.base_url));
    if printer.is_json() {
        printer.json(&ready);
    }
    listener.run(opened, stop).await?;
    Ok(ExitStatus::Success)
}

/// What buys calls with this home's money.
pub(super) async fn open(
    context: &CommandContext,
    request: &PayerRequest,
    keys: CallerKeys,
) -> Result<ProxyInputs, Failure> {
    let server = default_server(context)?;
    let access = market::open(context).await?;
    let payer = payer::open(context, request).await?;
    fill(context, &payer).await?;
    let limits = limits(context, &payer)?;
    Ok(ProxyInputs {
        buyer: Buyer::new(payer, limits, access.http.clone(), server.clone()),
        catalog: access.catalog,
        http: access.http,
        server,
        keys,
    })
}

/// Cancelled by SIGINT and SIGTERM.
pub(super) fn stopped_by_signals() -> Result<CancellationToken, Failure> {
    let stop = CancellationToken::new();
    let stopper = stop.clone();
    let mut signals = StopSignals::install()?;
    tokio::spawn(async move {
        signals.next().await;
        stopper.cancel();
    });
    Ok(stop)
}

/// On a development chain, missing funds are minted.
async fn fill(context: &CommandContext, payer: &Payer) -> Result<(), Failure> {
    if payer.chain.network.is_local() && payer.funds().await? < payer.budget {
        let desk = payer::PayerTxContext::new(context, payer)?;
        desk.mint(payer.budget).await?;
    }
    Ok(())
}

fn limits(context: &CommandContext, payer: &Payer) -> Result<PurchaseLimits, Failure> {
    let settings = &context.settings;
    let ask_above = money::amount(&settings.call.ask_above, &payer.token)?;
    let max_price = match &settings.proxy.max_price {
        Some(stated) => money::amount(stated, &payer.token)?,
        None => ask_above,
    };
    let standing = match &settings.call.max_deposit {
        Some(stated) => money::amount(stated, &payer.token)?,
        None => ask_above,
    };
    Ok(PurchaseLimits {
        max_price,
        max_deposit: standing.max(max_price),
        max_delay: settings.call.max_delay.as_secs(),
        longest: settings.call.timeout,
    })
}

fn listen_address(context: &CommandContext) -> Result<SocketAddr, Failure> {
    let text = &context.settings.proxy.listen;
    let numeric = match text.strip_prefix("localhost:") {
        Some(port) => format!("{}:{port}", Ipv4Addr::LOCALHOST),
        None => text.clone(),
    };
    let address: SocketAddr = numeric.parse().map_err(|_| {
        let message = format!(
            "`proxy.listen` must be an IP address and a port, found `{}`",
            clean_line(text)
        );
        Failure::new(ExitClass::Usage, message)
            .with_hint("use --listen 127.0.0.1:8402 for this machine")
    })?;
    if address.ip().is_loopback() {
        return Ok(address);
    }
    own_only(context, "proxy.listen", "opens the proxy to other machines")?;
    Ok(address)
}

/// A setting that only the user's own files may have.
fn own_only(context: &CommandContext, key: &str, what: &str) -> Result<(), Failure> {
    if context.settings.is_own(key) {
        return Ok(());
    }
    let file = context.settings.project_file.clone().unwrap_or_default();
    let message = format!("{}: `{key}` of a project file {what}", file.display());
    Err(
        Failure::new(ExitClass::BadInput, message).with_hint(format!(
            "if you mean it, set it yourself: openlora config set --user {key} VALUE"
        )),
    )
}

/// The server of plain names. A project file does not choose who is paid.
fn default_server(context: &CommandContext) -> Result<Option<ServerAddress>, Failure> {
    let Some(text) = &context.settings.proxy.server else {
        return Ok(None);
    };
    own_only(context, "proxy.server", "chooses the server that is paid")?;
    Ok(Some(ServerAddress::by_user(text)?))
}

fn check_exposure(
    context: &CommandContext,
    host: IpAddr,
    request: &ProxyRequest,
    keys: &CallerKeys,
) -> Result<(), Failure> {
    if host.is_loopback() {
        return Ok(());
    }
    if !request.expose {
        let message = format!("other machines can reach {host}, and calls there spend your money");
        return Err(Failure::new(ExitClass::Usage, message)
            .with_hint("add --expose if that is meant, or listen on 127.0.0.1"));
    }
    if keys.is_empty() {
        let message = format!("other machines can reach {host}, and no caller has a key");
        return Err(Failure::new(ExitClass::Usage, message)
            .with_hint("make a key first: openlora proxy --new-key NAME"));
    }
    context.printer.warn(format!(
        "whoever reaches {host} with a key spends your money, and keys and texts cross the network \
         unencrypted unless a proxy with TLS stands before it"
    ));
    Ok(())
}

fn caller_keys(context: &CommandContext, token: &PaymentToken) -> Result<CallerKeys, Failure> {
    let settings = &context.settings.proxy;
    own_only(context, "proxy.keys", "says who may spend your money")?;
    let keys = settings.keys.iter().map(|text| caller_key(text, token));
    let keys: Vec<CallerKey> = keys.collect::<Result<_, Failure>>()?;
    for (index, key) in keys.iter().enumerate() {
        if keys[..index].iter().any(|other| other.name == key.name) {
            let message = format!("`proxy.keys` has two entries for `{}`", key.name);
            return Err(Failure::new(ExitClass::BadInput, message));
        }
    }
    let per_key = settings.per_key.as_ref();
    let per_key = per_key.map(|stated| money::amount(stated, token));
    Ok(CallerKeys {
        keys,
        per_key: per_key.transpose()?,
    })
}

/// An entry of `proxy.keys`: `NAME=SHA256`, or `NAME=SHA256:AMOUNT`.
fn caller_key(text: &str, token: &PaymentToken) -> Result<CallerKey, Failure> {
    let refuse = || {
        let message = format!(
            "`proxy.keys`: expected NAME=SHA256 or NAME=SHA256:AMOUNT, found `{}`",
            clean_line(text)
        );
        Failure::new(ExitClass::BadInput, message)
            .with_hint("`openlora proxy --new-key NAME` prints an entry")
    };
    let (name, rest) = text.split_once('=').ok_or_else(refuse)?;
    let (digest, amount) = match rest.split_once(':') {
        Some((digest, amount)) => (digest, Some(amount)),
        None => (rest, None),
    };
    check_name(name).map_err(|_| refuse())?;
    let bytes = hex::decode(digest).ok();
    let daily = amount.map(|amount| money::flag("proxy.keys", amount, token));
    Ok(CallerKey {
        name: name.to_owned(),
        digest: bytes.and_then(|it| it.try_into().ok()).ok_or_else(refuse)?,
        daily: daily.transpose()?,
    })
}

fn check_name(name: &str) -> Result<(), Failure> {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    if (1..=64).contains(&name.len()) && name.chars().all(fits) {
        return Ok(());
    }
    let message = format!(
        "the name of a key has 1 to 64 letters, digits and any of - _ . , found `{}`",
        clean_line(name)
    );
    Err(Failure::new(ExitClass::Usage, message))
}

/// Prints a new key and the setting that admits it. Only its hash is ever stored.
fn new_key(context: &CommandContext, name: &str) -> Result<ExitStatus, Failure> {
    check_name(name)?;
    let key = format!("olk-{}", hex::encode(rand::random::<[u8; KEY_BYTES]>()));
    let setting = format!("{name}={}", CallerKey::digest_of(&key));
    let printer = &context.printer;
    if printer.is_json() {
        printer.json(&NewCallerKey {
            name: name.to_owned(),
            key,
            setting,
        });
        return Ok(ExitStatus::Success);
    }
    printer.line(&key);
    let mut all = context.settings.proxy.keys.clone();
    all.push(setting);
    let quoted: Vec<String> = all.iter().map(|it| format!("\"{it}\"")).collect();
    printer.hint(format!(
        "it is stored nowhere; admit it: openlora config set --user proxy.keys '[{}]'",
        quoted.join(", ")
    ));
    Ok(ExitStatus::Success)
}

/// The address as a program on this machine reaches it.
fn shown(address: SocketAddr) -> SocketAddr {
    match address.ip().is_unspecified() {
        true => SocketAddr::new(Ipv4Addr::LOCALHOST.into(), address.port()),
        false => address,
    }
}

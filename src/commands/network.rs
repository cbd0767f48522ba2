//! Resolves the network from the settings, and starts the development chain if needed.

use super::CommandContext;
use crate::commands::settings::{SettingValue, closest};
use openlora_chain::network::{Network, NetworkContracts, NetworkOptions, PRESETS, PaymentToken};
use openlora_contracts as contracts;
use openlora_contracts::deployments;
use openlora_core::{
    Address,
    error::{ExitClass, Failure},
};
use openlora_devnet::supervisor;

/// The network of `project.network`.
pub fn chosen(context: &CommandContext) -> Result<Network, Failure> {
    named(context, &context.settings.project.network.value)
}

/// A network by name: a preset, a table of the settings, or both.
pub fn named(context: &CommandContext, name: &str) -> Result<Network, Failure> {
    let settings = &context.settings;
    let tables: Vec<_> = settings
        .networks
        .iter()
        .filter(|entry| entry.name == name)
        .collect();
    let preset = PRESETS.iter().any(|preset| preset.name == name);
    if tables.is_empty() && !preset {
        return Err(unknown(context, name));
    }
    let mut options = NetworkOptions::default();
    for entry in tables {
        for it in entry.accepted() {
            wish_for(&mut options, it.field, &it.value);
        }
    }
    let mut network = Network::resolve(name, &options)?;
    with_known_contracts(&mut network)?;
    with_development_token(&mut network)?;
    with_development_agents(&mut network)?;
    Ok(network)
}

/// Development chains have their own token.
fn with_development_token(network: &mut Network) -> Result<(), contracts::ArtifactError> {
    if network.is_local() && network.token.is_none() {
        let set = deployments()?;
        let token = set.iter().find(|it| it.name == "DevelopmentToken");
        network.token = token.map(|token| PaymentToken {
            address: token.address.into(),
            symbol: "dUSD".to_owned(),
            decimals: 6,
            name: "OpenLoRA Development USD".to_owned(),
            version: "1".to_owned(),
        });
    }
    Ok(())
}

/// Development chains have their own registry of agents.
fn with_development_agents(network: &mut Network) -> Result<(), contracts::ArtifactError> {
    if network.is_local() && network.contracts.identity_registry.is_none() {
        let registry = contracts::identity_registry()?;
        network.contracts.identity_registry = Some(registry.address.into());
    }
    Ok(())
}

/// The project's contracts have the same address on every chain; code that uses one checks that it
/// is deployed.
fn with_known_contracts(network: &mut Network) -> Result<(), contracts::ArtifactError> {
    let set = deployments()?;
    let at = |name: &str| {
        let found = set.iter().find(|it| it.name == name);
        found.map(|it| it.address.into())
    };
    let named = &network.contracts;
    network.contracts = NetworkContracts {
        registry: named.registry.or(at("OpenLoraRegistry")),
        splitter_factory: named.splitter_factory.or(at("RevenueSplitterFactory")),
        pool_factory: named.pool_factory.or(at("ContributorPoolFactory")),
        anchor: named.anchor.or(at("AttributionAnchor")),
        identity_registry: named.identity_registry,
        directory: named.directory.or(at("ServerDirectory")),
    };
    Ok(())
}

/// Every network on which calls are paid, the project's own first.
pub fn paid_on(context: &CommandContext) -> Result<Vec<Network>, Failure> {
    let home = chosen(context)?;
    let listed = &context.settings.serve.networks;
    let others = listed.iter().filter(|name| **name != home.name);
    let others: Vec<Network> = others
        .map(|name| named(context, name))
        .collect::<Result<_, _>>()?;
    Ok(std::iter::once(home).chain(others).collect())
}

/// Every network that the settings or the presets describe, the project's own first. Faulty
/// descriptions are left out: they are reported by the commands that use them.
pub fn described(context: &CommandContext) -> Vec<Network> {
    let own = &context.settings.project.network.value;
    let tables = context.settings.networks.iter();
    let names = std::iter::once(own.as_str())
        .chain(tables.map(|entry| entry.name.as_str()))
        .chain(PRESETS.iter().map(|preset| preset.name));
    let mut known: Vec<Network> = Vec::new();
    for name in names {
        if known.iter().all(|it| it.name != name) {
            known.extend(named(context, name).ok());
        }
    }
    known
}

/// The project's network, reachable.
pub async fn reached(context: &CommandContext) -> Result<Network, Failure> {
    reach(context, chosen(context)?).await
}

/// A reachable network: a development chain is started if a local network is chosen and no other
/// RPC is configured.
pub async fn reach(context: &CommandContext, mut network: Network) -> Result<Network, Failure> {
    if context.offline && !network.is_loopback() {
        let message = format!("{} is not on this machine", network.rpc_shown());
        return Err(Failure::new(ExitClass::Network, message).with_hint("leave --offline out"));
    }
    let tables = context.settings.networks.iter();
    let mut named = tables.filter(|entry| entry.name == network.name);
    let has_rpc = named.any(|entry| entry.values.iter().any(|it| it.field == "rpc"));
    if !network.is_local() || has_rpc {
        return Ok(network);
    }
    let port = needed_port(context, network.chain_id);
    let home = &context.dirs.data;
    let endpoint = supervisor::ensure_running(home, network.chain_id, port).await?;
    if endpoint.started {
        context.printer.note(format!(
            "development chain {} started at {}; stop it with `openlora devnet stop`",
            endpoint.chain_id, endpoint.url
        ));
    }
    network.rpc = endpoint.url;
    Ok(network)
}

/// The configured port of development chains, or the default for the chain id.
pub fn port(context: &CommandContext, chain_id: u64) -> u16 {
    let port = context.settings.devnet.port;
    port.unwrap_or_else(|| supervisor::usual_port(chain_id))
}

/// The port for a chain that is started automatically: if none is configured and the default is
/// taken, a free one.
fn needed_port(context: &CommandContext, chain_id: u64) -> u16 {
    let usual = port(context, chain_id);
    let is_set = context.settings.devnet.port.is_some();
    let is_free = || std::net::TcpListener::bind(("127.0.0.1", usual)).is_ok();
    if is_set || is_free() { usual } else { 0 }
}

fn wish_for(options: &mut NetworkOptions, field: &str, value: &SettingValue) {
    let text = match value {
        SettingValue::Text(text) => Some(text.clone()),
        _ => None,
    };
    let number = match value {
        SettingValue::Integer(number) => u64::try_from(*number).ok(),
        _ => None,
    };
    match field {
        "chain_id" => options.chain_id = number,
        "rpc" => options.rpc = text,
        "mainnet" => options.mainnet = Some(*value == SettingValue::Boolean(true)),
        "token" => options.token = text,
        "token_symbol" => options.token_symbol = text,
        "token_decimals" => {
            options.token_decimals = number.and_then(|number| u8::try_from(number).ok());
        }
        "token_name" => options.token_name = text,
        "token_version" => options.token_version = text,
        "confirmations" => options.confirmations = number,
        "registry" => options.registry = text,
        "splitter_factory" => options.splitter_factory = text,
        "pool_factory" => options.pool_factory = text,
        "anchor" => options.anchor = text,
        "identity_registry" => options.identity_registry = text,
        "directory" => options.directory = text,
        // Reading the settings has refused every other field.
        _ => {}
    }
}

/// The value of a field of a `[network.NAME]` table that a network has; an RPC without its access
/// key.
pub fn field_value(network: &Network, field: &str) -> Option<SettingValue> {
    let text = |text: &String| SettingValue::Text(text.clone());
    let address = |address: Option<Address>| Some(SettingValue::Text(address?.to_string()));
    let number = |number: u64| i64::try_from(number).ok().map(SettingValue::Integer);
    let (token, contracts) = (network.token.as_ref(), &network.contracts);
    match field {
        "chain_id" => number(network.chain_id),
        "rpc" => Some(SettingValue::Text(network.rpc_shown())),
        "mainnet" => Some(SettingValue::Boolean(network.mainnet)),
        "token" => address(token.map(|token| token.address)),
        "token_symbol" => token.map(|token| text(&token.symbol)),
        "token_decimals" => token.and_then(|token| number(token.decimals.into())),
        "token_name" => token.map(|token| text(&token.name)),
        "token_version" => token.map(|token| text(&token.version)),
        "confirmations" => number(network.confirmations),
        "registry" => address(contracts.registry),
        "splitter_factory" => address(contracts.splitter_factory),
        "pool_factory" => address(contracts.pool_factory),
        "anchor" => address(contracts.anchor),
        "identity_registry" => address(contracts.identity_registry),
        "directory" => address(contracts.directory),
        _ => None,
    }
}

fn unknown(context: &CommandContext, name: &str) -> Failure {
    let tables = context.settings.networks.iter();
    let mut known: Vec<&str> = PRESETS.iter().map(|preset| preset.name).collect();
    let own = tables.map(|entry| entry.name.as_str());
    known.extend(own.filter(|name| PRESETS.iter().all(|preset| preset.name != *name)));
    known.dedup();
    let message = format!(
        "there is no network `{name}`, expected one of {}",
        known.join(", ")
    );
    let hint = match closest(name, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("add a table `[network.{name}]` with `chain_id` and `rpc`"),
    };
    Failure::new(ExitClass::BadInput, message).with_hint(hint)
}

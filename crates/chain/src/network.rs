//! Networks as data: presets with public facts, and overrides from settings.
//!
//! Chain ids are those of <https://chainid.network>; tokens are the issuer's own deployments of
//! USDC, and the registries of agents that ERC-8004's authors deployed. Contract addresses of openlora
//! are never preset: they come from settings.

use std::fmt::Display;

use crate::WalletError;
use openlora_core::{Address, Amount, in_units};

/// Chain ids of the local development chains.
pub const LOCAL_CHAINS: [u64; 2] = [31_337, 31_338];

/// Confirmations that a payment needs on public chains.
const CONFIRMATIONS: u64 = 2;

/// A chain and how to reach it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    pub name: String,
    pub chain_id: u64,
    pub rpc: String,
    /// Real money: transactions need explicit confirmation.
    pub mainnet: bool,
    pub token: Option<PaymentToken>,
    pub contracts: NetworkContracts,
    /// Confirmations that a payment needs.
    pub confirmations: u64,
}

/// The token in which calls are paid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentToken {
    pub address: Address,
    pub symbol: String,
    pub decimals: u8,
    /// Name and version of its signing domain (EIP-712).
    pub name: String,
    pub version: String,
}

/// Addresses of openlora's contracts, as far as they are deployed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkContracts {
    pub registry: Option<Address>,
    pub splitter_factory: Option<Address>,
    pub pool_factory: Option<Address>,
    pub anchor: Option<Address>,
    /// The registry of agents (ERC-8004), which is not openlora's.
    pub identity_registry: Option<Address>,
    pub directory: Option<Address>,
}

/// A preset: the public facts of a network.
#[derive(Clone, Copy, Debug)]
pub struct NetworkPreset {
    pub name: &'static str,
    pub chain_id: u64,
    pub rpc: &'static str,
    pub mainnet: bool,
    /// The USDC of the chain, six decimals.
    pub usdc: Option<&'static str>,
    /// The registry of agents (ERC-8004).
    pub identity_registry: Option<&'static str>,
}

/// Where the registry of agents is on mainnets and on test networks, by
/// <https://github.com/erc-8004/erc-8004-contracts>.
const MAINNET_AGENTS: Option<&str> = Some("0x8004A169FB4a3325136EB29fA0ceB6D2e539a432");
const TESTNET_AGENTS: Option<&str> = Some("0x8004A818BFB912233c491871b3d84c89A494BD9e");

/// Every preset; `local` is the default network.
pub const PRESETS: &[NetworkPreset] = &[
    NetworkPreset {
        name: "local",
        chain_id: LOCAL_CHAINS[0],
        rpc: "http://127.0.0.1:8545",
        mainnet: false,
        usdc: None,
        identity_registry: None,
    },
    NetworkPreset {
        name: "local-2",
        chain_id: LOCAL_CHAINS[1],
        rpc: "http://127.0.0.1:8546",
        mainnet: false,
        usdc: None,
        identity_registry: None,
    },
    NetworkPreset {
        name: "base",
        chain_id: 8453,
        rpc: "https://mainnet.base.org",
        mainnet: true,
        usdc: Some("0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913"),
        identity_registry: MAINNET_AGENTS,
    },
    NetworkPreset {
        name: "base-sepolia",
        chain_id: 84_532,
        rpc: "https://sepolia.base.org",
        mainnet: false,
        usdc: Some("0x036CbD53842c5426634e7929541eC2318f3dCF7e"),
        identity_registry: TESTNET_AGENTS,
    },
    NetworkPreset {
        name: "optimism",
        chain_id: 10,
        rpc: "https://mainnet.optimism.io",
        mainnet: true,
        usdc: Some("0x0b2C639c533813f4Aa9D7837CAf62653d097Ff85"),
        identity_registry: MAINNET_AGENTS,
    },
    NetworkPreset {
        name: "optimism-sepolia",
        chain_id: 11_155_420,
        rpc: "https://sepolia.optimism.io",
        mainnet: false,
        usdc: Some("0x5fd84259d66Cd46123540766Be93DFE6D43130D7"),
        identity_registry: TESTNET_AGENTS,
    },
    NetworkPreset {
        name: "arbitrum",
        chain_id: 42_161,
        rpc: "https://arb1.arbitrum.io/rpc",
        mainnet: true,
        usdc: Some("0xaf88d065e77c8cC2239327C5EDb3A432268e5831"),
        identity_registry: MAINNET_AGENTS,
    },
    NetworkPreset {
        name: "arbitrum-sepolia",
        chain_id: 421_614,
        rpc: "https://sepolia-rollup.arbitrum.io/rpc",
        mainnet: false,
        usdc: Some("0x75faf114eafb1BDbe2F0316DF893fd58CE46AA4d"),
        identity_registry: TESTNET_AGENTS,
    },
];

/// Overrides of a network from settings; unset fields come from the preset of that name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkOptions {
    pub chain_id: Option<u64>,
    pub rpc: Option<String>,
    pub mainnet: Option<bool>,
    pub token: Option<String>,
    pub token_symbol: Option<String>,
    pub token_decimals: Option<u8>,
    pub token_name: Option<String>,
    pub token_version: Option<String>,
    pub confirmations: Option<u64>,
    pub registry: Option<String>,
    pub splitter_factory: Option<String>,
    pub pool_factory: Option<String>,
    pub anchor: Option<String>,
    pub identity_registry: Option<String>,
    pub directory: Option<String>,
}

/// An RPC's URL without a possible access key: scheme, host and port.
pub fn shown_rpc(rpc: &str) -> String {
    match reqwest::Url::parse(rpc) {
        Ok(url) if url.has_host() => url.origin().ascii_serialization(),
        _ => "an address that cannot be read".to_owned(),
    }
}

/// The URL of a network's RPC.
///
/// # Errors
///
/// It is no address by HTTP.
pub fn rpc_url(network: &str, rpc: &str) -> Result<reqwest::Url, WalletError> {
    reqwest::Url::parse(rpc)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https"))
        .ok_or_else(|| WalletError::RpcAddress {
            network: network.to_owned(),
            found: shown_rpc(rpc),
        })
}

/// The name in the EIP-712 domain of the issuer's USDC, which differs on two test networks.
fn usdc_name(network: &str) -> String {
    match network {
        "base-sepolia" | "optimism-sepolia" => "USDC".to_owned(),
        _ => "USD Coin".to_owned(),
    }
}

/// Whether a preset says that this chain is a mainnet.
fn holds_real_money(chain_id: u64) -> bool {
    let mut presets = PRESETS.iter();
    presets.any(|preset| preset.mainnet && preset.chain_id == chain_id)
}

impl Network {
    /// The network `name`: its preset with the overrides of `options`.
    pub fn resolve(name: &str, options: &NetworkOptions) -> Result<Self, WalletError> {
        let preset = PRESETS.iter().find(|preset| preset.name == name);
        let missing = |field| WalletError::NetworkField {
            network: name.to_owned(),
            field,
        };
        let address = |field, text: Option<&str>| {
            text.map(str::parse::<Address>)
                .transpose()
                .map_err(|problem| WalletError::NetworkAddress {
                    network: name.to_owned(),
                    field,
                    problem,
                })
        };
        let usdc = preset.and_then(|preset| preset.usdc);
        let agents = preset.and_then(|preset| preset.identity_registry);
        let token = address("token", options.token.as_deref().or(usdc))?;
        let token = token.map(|address| PaymentToken {
            address,
            symbol: options
                .token_symbol
                .clone()
                .unwrap_or_else(|| "USDC".into()),
            decimals: options.token_decimals.unwrap_or(6),
            name: options
                .token_name
                .clone()
                .unwrap_or_else(|| usdc_name(name)),
            version: options.token_version.clone().unwrap_or_else(|| "2".into()),
        });
        let chain_id = options
            .chain_id
            .or(preset.map(|preset| preset.chain_id))
            .ok_or_else(|| missing("chain_id"))?;
        let mut network = Self {
            name: name.to_owned(),
            chain_id,
            rpc: options
                .rpc
                .clone()
                .or(preset.map(|preset| preset.rpc.to_owned()))
                .ok_or_else(|| missing("rpc"))?,
            mainnet: options.mainnet.unwrap_or(
                preset.is_some_and(|preset| preset.mainnet) || holds_real_money(chain_id),
            ),
            token,
            confirmations: CONFIRMATIONS,
            contracts: NetworkContracts {
                registry: address("registry", options.registry.as_deref())?,
                splitter_factory: address("splitter_factory", options.splitter_factory.as_deref())?,
                pool_factory: address("pool_factory", options.pool_factory.as_deref())?,
                anchor: address("anchor", options.anchor.as_deref())?,
                identity_registry: address(
                    "identity_registry",
                    options.identity_registry.as_deref().or(agents),
                )?,
                directory: address("directory", options.directory.as_deref())?,
            },
        };
        let usual = if network.is_local() { 0 } else { CONFIRMATIONS };
        network.confirmations = options.confirmations.unwrap_or(usual);
        Ok(network)
    }

    /// An amount of a token for people: in whole units where the network describes the token. The
    /// decimals of any other token are unknown. `token` is an address or its text.
    pub fn token_amount(&self, token: impl Display, amount: Amount) -> String {
        let token = token.to_string();
        let known = self.token.as_ref();
        match known.filter(|known| known.address.to_string() == token) {
            Some(known) => format!("{} {}", in_units(amount.0, known.decimals), known.symbol),
            None => format!("{amount} base units of {token}"),
        }
    }

    /// Whether this is a development chain on this machine: its id, its address and its network
    /// name must all agree.
    pub fn is_local(&self) -> bool {
        !self.mainnet && LOCAL_CHAINS.contains(&self.chain_id) && self.is_loopback()
    }

    /// The RPC without a possible access key: scheme, host and port.
    pub fn rpc_shown(&self) -> String {
        shown_rpc(&self.rpc)
    }

    /// Replaces the RPC's URL, which may contain an access key, in an error text of a library.
    pub fn hide_rpc(&self, text: &str) -> String {
        let spelt = reqwest::Url::parse(&self.rpc).map_or_else(|_| String::new(), String::from);
        let mut text = text.to_owned();
        for secret in [spelt.as_str(), self.rpc.as_str()] {
            if !secret.is_empty() {
                text = text.replace(secret, &self.rpc_shown());
            }
        }
        text
    }

    /// The symbol of the token in which calls are paid, or what is said without one.
    pub fn payment_symbol(&self) -> &str {
        let token = self.token.as_ref();
        token.map_or("tokens of payment", |token| &token.symbol)
    }

    /// Whether the RPC is on this machine.
    pub fn is_loopback(&self) -> bool {
        let Ok(url) = reqwest::Url::parse(&self.rpc) else {
            return false;
        };
        let host = url.host_str().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost"
            || host
                .parse::<std::net::IpAddr>()
                .is_ok_and(|ip| ip.is_loopback())
    }
}

//! Why an adapter is not found, or cannot be bought where it was found.

use openlora_core::{
    error::{ExitClass, Explain},
    private::foreign_text::clean_line,
};
use openlora_release::deploy::DeployError;

/// The most problems that a message names.
const SHOWN: usize = 8;

/// Every reason for which no server of an adapter is found.
#[derive(Debug, thiserror::Error)]
pub enum MarketError {
    #[error(transparent)]
    Registry(#[from] DeployError),
    #[error(
        "{what}: expected an address such as https://host:8080, found {}",
        clean_line(found)
    )]
    ServerUrl { what: &'static str, found: String },
    #[error("the registry {registry} has no adapter {}", clean_line(wanted))]
    UnknownAdapter { wanted: String, registry: String },
    #[error("the adapter {} is paused by its owner", clean_line(wanted))]
    Paused { wanted: String },
    #[error("no server of {} states where it is reached", clean_line(wanted))]
    NoServer { wanted: String },
    #[error(
        "no server of {} answers: {}",
        clean_line(wanted),
        clean_line(&some_of(problems))
    )]
    ServersDown {
        wanted: String,
        problems: Vec<String>,
    },
    #[error("{}", unknown_name(name, registry, *asked))]
    UnknownName {
        name: String,
        registry: String,
        asked: usize,
    },
    #[error(
        "{count} adapters of the registry {registry} are named {}: {}",
        clean_line(name), namesakes.join("; ")
    )]
    AmbiguousName {
        name: String,
        registry: String,
        count: usize,
        /// The first of them, each with its id, its publisher and its age; oldest first.
        namesakes: Vec<String>,
    },
    #[error(
        "{server} offers {} and wants {} paid, which is no splitter of a registered release: \
         expected {expected}",
        clean_line(model), found.join(", ")
    )]
    ForeignSplitter {
        server: String,
        model: String,
        found: Vec<String>,
        expected: String,
    },
    #[error("{place} is an address of the own network")]
    OwnNetwork { place: String },
    #[error("cannot make an HTTP client: {0}")]
    Client(String),
    #[error("{endpoint} does not list resources: {}", clean_line(problem))]
    Discovery { endpoint: String, problem: String },
    #[error(
        "the agent on standard input does not speak MCP: {}",
        clean_line(problem)
    )]
    Agent { problem: String },
    #[error("cannot listen on {address}: {problem}")]
    Listen { address: String, problem: String },
}

fn unknown_name(name: &str, registry: &str, asked: usize) -> String {
    let name = clean_line(name);
    match asked {
        0 => format!(
            "no server in the registry {registry} states where it is reached, so none sells an \
             adapter named {name}"
        ),
        _ => format!(
            "none of {asked} servers in the registry {registry} sells an adapter named {name}"
        ),
    }
}

/// The first of the problems: there may be as many as servers, in words of strangers.
fn some_of(problems: &[String]) -> String {
    let first = problems.iter().take(SHOWN).cloned();
    let first: Vec<String> = first.collect();
    match problems.len().saturating_sub(SHOWN) {
        0 => first.join("; "),
        more => format!("{}; and {more} more", first.join("; ")),
    }
}

impl Explain for MarketError {
    fn class(&self) -> ExitClass {
        match self {
            Self::Registry(error) => error.class(),
            Self::ServerUrl { .. }
            | Self::UnknownAdapter { .. }
            | Self::UnknownName { .. }
            | Self::AmbiguousName { .. } => ExitClass::Usage,
            Self::Paused { .. } | Self::Agent { .. } => ExitClass::BadInput,
            Self::NoServer { .. } | Self::ServersDown { .. } | Self::Discovery { .. } => {
                ExitClass::Network
            }
            Self::ForeignSplitter { .. } | Self::OwnNetwork { .. } => ExitClass::Verification,
            Self::Client(_) => ExitClass::Internal,
            Self::Listen { .. } => ExitClass::Environment,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NoServer { .. } | Self::UnknownName { asked: 0, .. } => {
                "a server states it when its operator has set `serve.public_url`; if you know the \
                 address, name it with --url"
            }
            Self::Registry(DeployError::NoAdapter { .. })
            | Self::UnknownAdapter { .. }
            | Self::UnknownName { .. } => "`openlora search` lists what can be bought",
            Self::Registry(error) => return error.hint(),
            Self::AmbiguousName { name, .. } => {
                let name = clean_line(name);
                return Some(format!(
                    "none of them is preferred, as anyone can register any name; name the one that \
                     you mean by its publisher, --adapter 0xPUBLISHER/{name}, or by its id"
                ));
            }
            Self::ServersDown { .. } => "try again later, or name another server with --url",
            Self::ForeignSplitter { .. } => {
                "nothing was paid; a call there would pay somebody else than the release says"
            }
            Self::OwnNetwork { .. } => {
                "strangers do not lead there; if you know the server, name it with --url"
            }
            Self::Agent { .. } => "an agent starts it by itself: see `openlora mcp --help`",
            Self::Listen { .. } => "choose another port with --listen 127.0.0.1:0",
            Self::ServerUrl { .. } | Self::Paused { .. } | Self::Client(_) => return None,
            Self::Discovery { .. } => "leave it out of `search.discovery`, or try again later",
        };
        Some(hint.to_owned())
    }
}

//! How people name an adapter: a server's own name, a name in a registry, a publisher's name, or an
//! adapter id.

use openlora_chain::registry::{AdapterId, parse_id};
use openlora_core::Address;

/// A text that names an adapter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdapterReference {
    /// `NAME`: what one server calls it.
    Plain(String),
    /// `NAME@0xREGISTRY`: what servers of a registered adapter call it.
    Registered { name: String, registry: Address },
    /// `0xPUBLISHER/NAME`, also with a registry: the adapter of that name that an account registered.
    Published {
        name: String,
        publisher: Address,
        registry: Option<Address>,
    },
    /// An adapter id, of the network's registry or of a named one.
    Id {
        id: AdapterId,
        registry: Option<Address>,
    },
}

impl AdapterReference {
    /// Reads a name. A text of no other form is a plain name.
    pub fn parse(text: &str) -> Self {
        if let Some((name, registry)) = text.rsplit_once('@')
            && let Some(registry) = account(registry)
            && !name.is_empty()
        {
            return match (long_id(name), published(name)) {
                (Some(id), _) => Self::Id {
                    id,
                    registry: Some(registry),
                },
                (None, Some((publisher, name))) => Self::Published {
                    name: name.to_owned(),
                    publisher,
                    registry: Some(registry),
                },
                (None, None) => Self::Registered {
                    name: name.to_owned(),
                    registry,
                },
            };
        }
        match (long_id(text), published(text)) {
            (Some(id), _) => Self::Id { id, registry: None },
            (None, Some((publisher, name))) => Self::Published {
                name: name.to_owned(),
                publisher,
                registry: None,
            },
            (None, None) => Self::Plain(text.to_owned()),
        }
    }

    /// What stands for the registry in `NAME@0x…` and is no address.
    pub fn wrong_registry(text: &str) -> Option<&str> {
        let (_, registry) = text.rsplit_once('@')?;
        let is_wrong = registry.starts_with("0x") && registry.parse::<Address>().is_err();
        is_wrong.then_some(registry)
    }

    /// Whether the servers are looked up in a registry.
    pub fn is_registered(&self) -> bool {
        !matches!(self, Self::Plain(_))
    }

    /// The registry that it names.
    pub fn registry(&self) -> Option<Address> {
        match self {
            Self::Plain(_) => None,
            Self::Registered { registry, .. } => Some(*registry),
            Self::Id { registry, .. } | Self::Published { registry, .. } => *registry,
        }
    }
}

fn account(text: &str) -> Option<Address> {
    text.starts_with("0x").then(|| text.parse().ok()).flatten()
}

/// A publisher and a name.
fn published(text: &str) -> Option<(Address, &str)> {
    let (publisher, name) = text.split_once('/')?;
    Some((account(publisher)?, name)).filter(|_| !name.is_empty())
}

/// An id of 64 digits. A decimal number may be a name.
fn long_id(text: &str) -> Option<AdapterId> {
    text.starts_with("0x").then(|| parse_id(text)).flatten()
}

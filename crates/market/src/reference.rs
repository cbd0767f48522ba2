//! How people name an adapter: a server's own name, a name in a registry, or an adapter id.

use openlora_chain::registry::{AdapterId, parse_id};
use openlora_core::Address;

/// A text that names an adapter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdapterReference {
    /// `NAME`: what one server calls it.
    Plain(String),
    /// `NAME@0xREGISTRY`: what servers of a registered adapter call it.
    Registered { name: String, registry: Address },
    /// An adapter id, of the network's registry or of a named one.
    Id {
        id: AdapterId,
        registry: Option<Address>,
    },
}

impl AdapterReference {
    /// Reads a name. A text of no other form is a plain name.
    pub fn parse(text: &str) -> Self {
        let place = |text: &str| text.starts_with("0x").then(|| text.parse().ok()).flatten();
        if let Some((name, registry)) = text.rsplit_once('@')
            && let Some(registry) = place(registry)
            && !name.is_empty()
        {
            let registry: Address = registry;
            return match long_id(name) {
                Some(id) => Self::Id {
                    id,
                    registry: Some(registry),
                },
                None => Self::Registered {
                    name: name.to_owned(),
                    registry,
                },
            };
        }
        match long_id(text) {
            Some(id) => Self::Id { id, registry: None },
            None => Self::Plain(text.to_owned()),
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
            Self::Id { registry, .. } => *registry,
        }
    }
}

/// An id of 64 digits. A decimal number may be a name.
fn long_id(text: &str) -> Option<AdapterId> {
    text.starts_with("0x").then(|| parse_id(text)).flatten()
}

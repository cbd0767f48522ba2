//! Whose call it is, as far as calls compete for an engine.

use std::{fmt, sync::Arc};

/// Who a call is counted for when an engine shares its time: an opaque name, such as a payer's
/// account or a client's address. It changes no answer. The default key is for calls
/// without a payer.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FairShareKey(Arc<str>);

impl From<String> for FairShareKey {
    fn from(name: String) -> Self {
        Self(name.into())
    }
}

impl From<&str> for FairShareKey {
    fn from(name: &str) -> Self {
        Self(name.into())
    }
}

impl fmt::Debug for FairShareKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FairShareKey({})", self.0)
    }
}

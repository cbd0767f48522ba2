//! What a dataset is used for.

use std::fmt;

/// What the rows of a dataset are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatasetRole {
    Training,
    Validation,
    HeldOut,
}

impl fmt::Display for DatasetRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Training => "training",
            Self::Validation => "validation",
            Self::HeldOut => "held-out",
        })
    }
}

//! What can go wrong while serving, as a caller and an operator read it.

use crate::error::{ExitClass, Explain};

#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The request can never succeed; answered with 400.
    #[error("{message}")]
    Invalid { message: String, parameter: Option<&'static str> },
    /// The engine failed; answered with 500 without its text.
    #[error("the engine failed: {0}")]
    Engine(String),
}

impl Explain for ServeError {
    fn class(&self) -> ExitClass {
        match self {
            Self::Invalid { .. } => ExitClass::BadInput,
            Self::Engine(_) => ExitClass::Internal,
        }
    }
}

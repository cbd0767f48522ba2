//! Errors of an engine, with messages for callers and operators.

use openlora_core::error::{ExitClass, Explain};

#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The request can never succeed; answered with 400.
    #[error("{message}")]
    Invalid {
        message: String,
        parameter: Option<&'static str>,
    },
    /// A base, adapter or setting that this engine cannot run.
    #[error("cannot serve {name}: {reason}")]
    Unsupported {
        name: String,
        reason: String,
        hint: Option<String>,
    },
    /// An adapter that does not change the base's output.
    #[error(
        "adapter {name} changes nothing: on {prompts} test prompts its logits differ from the \
         base's by at most {difference:e}"
    )]
    DeadAdapter {
        name: String,
        prompts: usize,
        difference: f32,
    },
    /// Loading failed because of this machine or the engine.
    #[error("cannot load {name}: {reason}")]
    Load { name: String, reason: String },
    /// The engine cannot take the call now; the same call may succeed later.
    #[error("{name} takes no further call now: {reason}")]
    Busy { name: String, reason: String },
    /// The engine failed; answered with 500 without its text.
    #[error("the engine failed: {0}")]
    Failed(String),
}

impl Explain for EngineError {
    fn class(&self) -> ExitClass {
        match self {
            Self::Invalid { .. } | Self::Unsupported { .. } | Self::DeadAdapter { .. } => {
                ExitClass::BadInput
            }
            Self::Load { .. } | Self::Busy { .. } => ExitClass::Environment,
            Self::Failed(_) => ExitClass::Internal,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Unsupported { hint, .. } => hint.clone(),
            Self::DeadAdapter { .. } => Some(
                "check that the adapter was saved after training: its lora_B factors are zero \
                 or too small for the chosen weights"
                    .to_owned(),
            ),
            Self::Busy { .. } => Some("try again when other calls have been answered".to_owned()),
            Self::Invalid { .. } | Self::Load { .. } | Self::Failed(_) => None,
        }
    }
}

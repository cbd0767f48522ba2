//! PEFT adapter directories: strict reading, checking against a base, normalising and writing.
//!
//! An adapter that silently has no effect, or another effect than intended, is the worst outcome.
//! Reading therefore refuses everything that cannot be represented exactly. This module knows
//! files, names, shapes and factors, but neither model computation nor serving.

mod card;
mod check;
mod config;
pub(crate) mod dora;
mod error;
mod factors;
mod normalise;
mod read;
mod tensors;
mod write;

pub use card::{SAMPLES_FILE, TASK_FILE, TaskCard};
pub use check::{check_against, require_plain, verify_base};
pub use config::{PeftConfig, TargetModules};
pub use dora::dora_factors;
pub use error::{AdapterError, BaseProblem, ConfigProblem, FactorProblem, WeightsProblem};
pub use factors::AdapterModule;
pub use normalise::{NormalisedAdapter, normalise};
pub use read::{CONFIG_FILE, LoraAdapter, WEIGHTS_FILE, read};
pub use tensors::{FactorDtype, HostTensor, parse_safetensors};
pub use write::{WriteRequest, WrittenAdapter, check_place, write};

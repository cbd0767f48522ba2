//! Adapters as PEFT keeps them in a directory: strict reading, checking against a base,
//! normalising and writing.
//!
//! An adapter that loads and does nothing, or loads as something else, is the worst outcome, so
//! reading refuses whatever cannot be represented exactly. This room knows files, names, shapes
//! and factors; it knows neither how a model computes nor who serves it.

mod card;
mod check;
mod config;
mod error;
mod factors;
mod normalise;
mod read;
mod tensors;
mod write;

pub use card::{TASK_FILE, TaskCard};
pub use check::{check_against, verify_base};
pub use config::{PeftConfig, TargetModules};
pub use error::{AdapterError, BaseProblem, ConfigProblem, FactorProblem, WeightsProblem};
pub use factors::AdapterModule;
pub use normalise::{NormalisedAdapter, normalise};
pub use read::{CONFIG_FILE, LoraAdapter, WEIGHTS_FILE, read};
pub use tensors::{FactorDtype, HostTensor, parse_safetensors};
pub use write::{WriteRequest, WrittenAdapter, write};

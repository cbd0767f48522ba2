//! Training and evaluation of adapters.
//!
//! Owns the optimizer, the loop, the run directory and the evaluation on held-out rows. The decoder
//! crate computes the model, and the model crate defines the files of an adapter. Progress is
//! reported as [`TrainEvent`] values; nothing here prints.
//!
//! ```no_run
//! use openlora_train::{RunStart, TrainEvent, TrainFlow, TrainInputs, train};
//!
//! # fn example(inputs: &TrainInputs) -> Result<(), openlora_train::TrainError> {
//! let start = RunStart::Fresh {
//!     runs: "runs".into(),
//! };
//! let mut listener = |event| {
//!     if let TrainEvent::Step(step) = event {
//!         println!("{step:?}");
//!     }
//!     TrainFlow::Continue
//! };
//! let (outcome, _decoder) = train(inputs, &start, &mut listener)?;
//! println!("the adapter is in {}", outcome.adapter.display());
//! # Ok(())
//! # }
//! ```

pub mod adamw;
pub mod chart;
pub mod config;
mod dataset_role;
mod error;
pub mod estimate;
pub mod evaluate;
mod event;
mod export;
pub mod gradients;
pub mod inputs;
pub mod machine;
mod memory;
pub mod order;
pub mod pictures;
pub mod plan;
mod rows;
pub mod run;
pub mod schedule;
mod session;
pub mod step;
pub mod watchdog;

pub use config::{TEXT_ONLY, TrainConfig};
pub use dataset_role::DatasetRole;
pub use error::TrainError;
pub use event::{RunStarted, TrainEvent, TrainFlow, TrainStep, ValidationPass};
pub use export::load_with_adapter;
pub use inputs::{TrainInputs, ValidationOptions};
pub use rows::{TrainRows, ragged};
pub use run::{NewestRun, RunDir};
pub use schedule::{RateCurve, RateSchedule};
pub use session::{RunOutcome, RunStart, TrainListener, train};

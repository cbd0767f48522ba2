//! Training and evaluation of adapters that make pictures.
//!
//! The run directory, its checkpoints, events and chart are those of text. The diffusion crate computes
//! the model and its steps; nothing here prints.

mod captions;
mod data;
mod estimate;
mod evaluate;
mod export;
mod heldout;
mod inputs;
mod model;
mod session;
mod text;

pub use captions::CaptionCache;
pub use data::{PictureDataset, PictureInspection, PictureRow, PictureSplit, RepeatedPicture};
pub use estimate::{PictureRunEstimate, estimate_on_pictures};
pub use evaluate::{PictureEvalReport, PictureFigures, SampledPictures};
pub use heldout::HeldOutPictures;
pub use inputs::PictureTrainInputs;
pub use model::PictureModel;
pub use session::{train_on_pictures, trainer_options};

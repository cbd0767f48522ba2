//! Influence of training examples on an answer.
//!
//! After a training, every example's gradient at some checkpoints becomes a row of an index. For a
//! call, the answer's own gradient (its sketch) is multiplied with all rows. Method: gradients at
//! early checkpoints, preconditioned with Adam's second moments on both sides, projected, and
//! multiplied with a damped inverse of their Fisher matrix (related: TracIn, arXiv:2002.08484;
//! TRAK, arXiv:2303.14186; LESS, arXiv:2402.04333). Verbatim overlaps of an answer with the
//! training text are found in a suffix array. Scores are integers; the attribution crate weighs
//! them. This crate does not know HTTP, chains or the terminal.
//!
//! ```no_run
//! use openlora_influence::{IndexFile, adapter_digest};
//!
//! # fn example(base_digest: &str) -> Result<(), Box<dyn std::error::Error>> {
//! let index = IndexFile::open("adapter/attribution.index".as_ref())?;
//! let adapter = adapter_digest("adapter".as_ref())?;
//! index.binding().require(base_digest, &adapter)?;
//! let trace = index.trace(&[1, 7], &[5, 9, 2, 30]);
//! println!(
//!     "{} examples; {} of {} answer tokens occur in them",
//!     index.examples().len(),
//!     trace.covered,
//!     trace.answer
//! );
//! # Ok(())
//! # }
//! ```

pub mod audit;
mod build;
mod datainf;
mod draft;
mod error;
mod fisher;
mod format;
mod gradients;
mod index;
pub mod indexed;
mod material;
mod matrix;
mod pairs;
mod pictures;
mod places;
mod projection;
mod scan;
mod sketch;
mod sketcher;
mod suffixes;
mod trace;

pub use build::{BuiltIndex, DAMPING, IndexJob, WIDTH, build, influence_rows};
pub use draft::{IndexDraft, QuantisedRows};
pub use error::{AttributionError, IndexError};
pub use fisher::{Curvature, LEVERAGE, limit, precondition};
pub use gradients::{GradientPass, gradient_rows};
pub use index::{
    CheckpointFacts, IndexBinding, IndexContributor, IndexFile, IndexMethod, IndexParameters,
    IndexedExample, PICTURES_VERSION, PictureOutput, PictureParameters, adapter_digest,
};
pub use indexed::ContributorIndex;
pub use material::{GradientCheckpoint, GradientInputs};
pub use pairs::PairOverlap;
pub use pictures::{
    PICTURE_TIMES, PictureExample, PictureIndexJob, PictureIndexOptions, PicturePass,
    PictureSketcher, PictureSource, build_of_picture_run, build_pictures, picture_rows,
    picture_rows_at,
};
pub use places::AttributionDir;
pub use projection::Projector;
pub use scan::{DotKernel, kernels};
pub use sketch::GradientSketch;
pub use sketcher::{GradientSketcher, SketchBases};
pub use suffixes::SuffixArray;
pub use trace::AnswerTrace;

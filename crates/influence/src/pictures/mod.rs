//! The index of an adapter for pictures: rows of the training pictures, and the sketch of a picture
//! that was made.
//!
//! A picture's gradient is that of an output of the model, summed over fixed pairs of a time and a
//! noise, which are the same for training pictures and for those that calls make. Preconditioner,
//! projection, curvature, file and scores are those of texts. A picture repeats no text, so such an
//! index has no spans and no shared pairs.

mod build;
mod gradients;
mod run;
mod sketcher;

pub use build::{PictureIndexJob, PictureSource, build_pictures, picture_rows_at};
pub use gradients::{PictureExample, PicturePass, picture_rows};
pub use run::{PICTURE_TIMES, PictureIndexOptions, build_of_picture_run};
pub use sketcher::PictureSketcher;

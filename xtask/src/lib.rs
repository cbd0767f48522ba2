//! Tools of this workspace that are no part of the product.
//!
//! [`base`] trains a small base model from text, with the tokenizer of [`bpe`]. The base that the
//! binary embeds is built with it; so are the bases of tests. [`pico`] trains the embedded image model,
//! and [`figures`] measures it.
//!
//! ```no_run
//! use xtask::base::{BaseBuild, train_base};
//!
//! let build = BaseBuild::nano("corpus".into(), "target/nano".into());
//! let built = train_base(&build, &mut |_| {})?;
//! assert_eq!(built.parameters, 3_803_392);
//! # Ok::<(), openlora_train::TrainError>(())
//! ```

pub mod base;
pub mod bpe;
pub mod figures;
pub mod pico;

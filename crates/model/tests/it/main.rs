//! The tests of this crate; each module is a suite.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

mod adapter;
mod dataset;
mod dataset_columns;
mod dataset_encode;
mod dataset_long;
mod dataset_parquet;
mod dataset_split;
mod dataset_warnings;
mod gguf;
mod model_hub;
mod picture_base;
mod text;

#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../../../../xtask/src/bpe.rs"]
mod bpe;

#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../../../../tests/support/codec.rs"]
mod codec;

#[path = "../../../../tests/support/gguf.rs"]
mod gguf_files;

#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../../../../tests/support/golden.rs"]
mod golden;

#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../../../../tests/support/paths.rs"]
mod paths;

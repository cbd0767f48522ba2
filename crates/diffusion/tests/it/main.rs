//! Tests of the image model.

mod adapter_files;
mod golden;
mod same_bits;
mod texts;

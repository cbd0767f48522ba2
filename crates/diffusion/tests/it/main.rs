//! Tests of the image model.

mod golden;
mod same_bits;

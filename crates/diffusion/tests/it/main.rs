//! Tests of the image model.

mod golden;

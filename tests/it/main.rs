//! The one integration-test binary.

mod adapter;
mod golden;
mod model_golden;
mod text;

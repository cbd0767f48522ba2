//! Recorded journals that the dashboard is shown.

use std::path::PathBuf;

use crate::paths::repository;

/// The money of the scenarios.
pub const TOKEN: &str = "0x2903312562984717340103501615418775552954";

/// Columns and lines of the kept screens.
pub const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (200, 60)];

/// Where the scenarios are; `make.py` there writes them.
pub fn folder() -> PathBuf {
    repository().join("tests/data/dash")
}

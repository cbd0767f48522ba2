//! Where the repository is, whichever crate's tests are running.

use std::path::{Path, PathBuf};

/// The folder of the workspace, which alone has a lock file.
pub fn repository() -> PathBuf {
    let member = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = member
        .ancestors()
        .find(|it| it.join("Cargo.lock").is_file());
    root.unwrap().to_owned()
}

//! How much a pull may bring.

use openlora_package::{Manifest, manifest::LARGEST};

use super::error::DistributionError;

/// Largest OCI manifest or index in bytes, as registries bound it.
pub const LARGEST_OCI: u64 = 4 << 20;

/// Files beside those of the manifest: the manifest and the two signatures.
const OWN_FILES: u64 = 3;

/// The bounds of one pull.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PullLimits {
    /// Largest file in bytes.
    pub file: u64,
    /// Largest package in bytes.
    pub total: u64,
}

impl Default for PullLimits {
    fn default() -> Self {
        Self {
            file: 8 << 30,
            total: 16 << 30,
        }
    }
}

impl PullLimits {
    /// Checks what a manifest announces before any of it is fetched.
    ///
    /// # Errors
    ///
    /// A file or all files together are larger than allowed.
    pub fn check(&self, manifest: &Manifest) -> Result<u64, DistributionError> {
        let too_large = |what: String, found: u64, limit: u64| DistributionError::TooLarge {
            what,
            found,
            limit,
        };
        let mut total: u64 = 0;
        for file in &manifest.files {
            let size = file.size.0;
            if size > self.file {
                return Err(too_large(file.path.clone(), size, self.file));
            }
            total = total.saturating_add(size);
        }
        if total > self.total {
            return Err(too_large("the package".to_owned(), total, self.total));
        }
        Ok(total)
    }

    /// The most bytes that an unpacked archive may have.
    pub fn unpacked(&self) -> u64 {
        self.total.saturating_add(OWN_FILES * LARGEST)
    }
}

//! How many bytes calls have had fetched in a day. It is on disk, so that a restart does not begin a new
//! day, and what a fetch may take is reserved before it begins, so that several at once do not take more
//! than is left.

use std::{
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};

use openlora_core::{
    atomic::{self, FileAccess},
    error::{ExitClass, Failure},
};

/// Bytes that calls may have fetched in a day (UTC).
pub struct DailyBytes {
    file: PathBuf,
    most: u64,
    /// Held while the file is read and written: a home has one server.
    turn: Mutex<()>,
}

/// The content of the file.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SpentBytes {
    /// Days since 1970.
    day: u64,
    /// Fetched or reserved.
    bytes: u64,
}

/// A part of a day's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReservedBytes {
    day: u64,
    /// At most what was wanted.
    pub bytes: u64,
}

impl DailyBytes {
    /// The account of a home in a file, of at most so many bytes a day.
    pub fn open(file: PathBuf, most: u64) -> Self {
        Self {
            file,
            most,
            turn: Mutex::default(),
        }
    }

    /// Reserves `wanted` bytes, or what is left where that is less.
    ///
    /// # Errors
    ///
    /// Nothing is left, or the file cannot be written.
    pub fn reserve(&self, day: u64, wanted: u64) -> Result<ReservedBytes, Failure> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut spent = self.read(day)?;
        let left = self.most.saturating_sub(spent.bytes);
        if left == 0 {
            let message = format!(
                "{} bytes were fetched for calls today, and `serve.registry_daily` allows {}",
                spent.bytes, self.most
            );
            return Err(Failure::new(ExitClass::Network, message));
        }
        let bytes = wanted.min(left);
        spent.bytes = spent.bytes.saturating_add(bytes);
        self.write(spent)?;
        Ok(ReservedBytes { day, bytes })
    }

    /// Replaces a reservation by what was fetched. What a crash leaves reserved counts as fetched.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn record(&self, reserved: ReservedBytes, fetched: u64) -> Result<(), Failure> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut spent = self.read(reserved.day)?;
        if spent.day != reserved.day {
            // Of yesterday.
            return Ok(());
        }
        spent.bytes = spent.bytes.saturating_sub(reserved.bytes);
        spent.bytes = spent.bytes.saturating_add(fetched);
        self.write(spent)
    }

    /// What was spent on a day, or on a later one.
    fn read(&self, day: u64) -> Result<SpentBytes, Failure> {
        let bytes = match std::fs::read(&self.file) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            bytes => bytes.map_err(|error| Failure::io("read", &self.file, &error))?,
        };
        // A file that cannot be read would stop the server; the day begins anew then.
        let spent: SpentBytes = serde_json::from_slice(&bytes).unwrap_or_default();
        match spent.day >= day {
            true => Ok(spent),
            false => Ok(SpentBytes { day, bytes: 0 }),
        }
    }

    fn write(&self, spent: SpentBytes) -> Result<(), Failure> {
        let bytes = serde_json::to_vec(&spent)
            .map_err(|error| Failure::new(ExitClass::Internal, error.to_string()))?;
        atomic::replace_file(&self.file, &bytes, FileAccess::Owner)
            .map_err(|error| Failure::io("write", &self.file, &error))
    }
}

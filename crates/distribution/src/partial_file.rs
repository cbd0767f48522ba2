//! A file of a package that is on the way: what is here of it, and the rest from its place.

use std::{
    fs::{self, File, OpenOptions},
    io::{Read, Write},
    path::Path,
};

use sha2::{Digest as _, Sha256};

use openlora_core::private::files;
use openlora_package::manifest::{Digest, PackageFile};

use super::{blocking::blocking, error::DistributionError, source::PackageSource};

/// Bytes that are written and hashed at once.
const BATCH: usize = 1 << 20;

/// A file of which a beginning is here.
pub(crate) struct PartialFile<'a> {
    path: &'a Path,
    file: &'a PackageFile,
    place: &'a str,
    hasher: Sha256,
    pub length: u64,
    /// Whether the place sent the file from its beginning, although a part was here.
    pub restarted: bool,
}

impl<'a> PartialFile<'a> {
    /// Reads what is here.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    pub async fn open(
        path: &'a Path,
        file: &'a PackageFile,
        place: &'a str,
    ) -> Result<Self, DistributionError> {
        let here = path.to_owned();
        let (hasher, length) = blocking(move || hash_beginning(&here)).await?;
        Ok(Self {
            path,
            file,
            place,
            hasher,
            length,
            restarted: false,
        })
    }

    /// Removes what is here.
    ///
    /// # Errors
    ///
    /// It cannot be removed.
    pub fn remove(&self) -> Result<(), DistributionError> {
        fs::remove_file(self.path).map_err(DistributionError::io("remove", self.path))
    }

    fn wrong_size(&self, found: u64) -> DistributionError {
        DistributionError::Size {
            place: self.place.to_owned(),
            what: self.file.path.clone(),
            expected: self.file.size.0,
            found,
        }
    }

    /// Fetches the rest, and compares the whole with the manifest.
    ///
    /// # Errors
    ///
    /// It breaks off, or is not the file of the manifest.
    pub async fn complete(
        &mut self,
        source: &PackageSource,
        tell: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<(), DistributionError> {
        let size = self.file.size.0;
        let write = || DistributionError::io("write", self.path);
        if self.length > size {
            return Err(self.wrong_size(self.length));
        }
        let mut options = OpenOptions::new();
        let opened = files::open(options.create(true).append(true), self.path);
        let mut target = opened.map_err(write())?;
        if self.length < size {
            let opened = source.open(self.file, self.length).await;
            let mut rest = opened.map_err(|error| match error {
                DistributionError::Status { status: 416, .. } => self.wrong_size(self.length),
                error => error,
            })?;
            if rest.from != self.length {
                target.set_len(0).map_err(write())?;
                (self.hasher, self.length) = (Sha256::new(), 0);
                self.restarted = true;
            }
            let mut batch = Vec::new();
            let ended = loop {
                let bytes = match rest.next().await {
                    Ok(Some(bytes)) => bytes,
                    Ok(None) => break Ok(()),
                    Err(error) => break Err(error),
                };
                let length = self.length + (batch.len() + bytes.len()) as u64;
                if length > size {
                    return Err(self.wrong_size(length));
                }
                batch.extend_from_slice(&bytes);
                tell(length);
                if batch.len() >= BATCH {
                    target = self.append(target, std::mem::take(&mut batch)).await?;
                }
            };
            // What has come is there for the next attempt.
            target = self.append(target, batch).await?;
            ended?;
            if self.length < size {
                return Err(DistributionError::Unreachable {
                    place: self.place.to_owned(),
                    reason: format!(
                        "{} ended after {} of {size} bytes",
                        self.file.path, self.length
                    ),
                });
            }
        }
        let synced = blocking(move || target.sync_all()).await;
        synced.map_err(DistributionError::io("write", self.path))?;
        let found = Digest(self.hasher.clone().finalize().into());
        match found == self.file.sha256 {
            true => Ok(()),
            false => Err(DistributionError::Content {
                place: self.place.to_owned(),
                what: self.file.path.clone(),
                expected: self.file.sha256,
                found,
            }),
        }
    }

    /// Writes and counts a piece.
    async fn append(&mut self, mut to: File, bytes: Vec<u8>) -> Result<File, DistributionError> {
        self.length += bytes.len() as u64;
        let mut hasher = std::mem::take(&mut self.hasher);
        let written = blocking(move || {
            hasher.update(&bytes);
            (to.write_all(&bytes).map(|()| to), hasher)
        });
        let (written, hasher) = written.await;
        self.hasher = hasher;
        written.map_err(DistributionError::io("write", self.path))
    }
}

/// The hash and the length of what is here of a file.
fn hash_beginning(path: &Path) -> Result<(Sha256, u64), DistributionError> {
    let (mut hasher, mut length) = (Sha256::new(), 0);
    let mut there = match File::open(path) {
        Ok(there) => there,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok((hasher, length)),
        Err(error) => return Err(DistributionError::io("read", path)(error)),
    };
    let mut bytes = vec![0; BATCH];
    loop {
        let read = there.read(&mut bytes);
        match read.map_err(DistributionError::io("read", path))? {
            0 => return Ok((hasher, length)),
            read => {
                hasher.update(&bytes[..read]);
                length += read as u64;
            }
        }
    }
}

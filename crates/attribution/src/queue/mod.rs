//! The queue of answered calls that wait for attribution: one file per call in a private folder,
//! readable by its owner only. It is written before the call is metered, and erased once the
//! attribution is in the journal.
//!
//! The journal determines what is pending: every metered call without a final attribution. Without
//! its file, a call can only get the static shares. A crash between any two steps therefore loses
//! and repeats nothing. This module does not know scores, shares or money.

use std::{
    collections::HashSet,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use openlora_core::{atomic, private::files};

/// The prompt and the answer of a call, as token ids.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallTokens {
    pub prompt: Vec<u32>,
    pub answer: Vec<u32>,
}

/// A picture that a call made, and the caption that it was made for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallPicture {
    pub caption: String,
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// Row by row, 3 bytes per pixel; hex in the file.
    #[serde(with = "pixels")]
    pub rgb: Vec<u8>,
}

mod pixels {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(rgb: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(rgb))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        hex::decode(text).map_err(D::Error::custom)
    }
}

/// The data of a call that its attribution needs and the journal must not contain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingTokens {
    pub request_id: String,
    /// Several if one call classified several texts.
    pub exchanges: Vec<CallTokens>,
    /// Of a call for pictures, which has no exchanges.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pictures: Vec<CallPicture>,
    /// The payer asked for static shares, so neither tokens nor pictures are kept.
    #[serde(default)]
    pub static_shares: bool,
}

impl PendingTokens {
    /// Whether the call gave neither a token nor a picture.
    pub fn is_empty(&self) -> bool {
        self.pictures.is_empty() && self.exchanges.iter().all(|it| it.answer.is_empty())
    }
}

/// The folder.
#[derive(Clone, Debug)]
pub struct PendingTokenStore {
    dir: PathBuf,
}

impl PendingTokenStore {
    /// Opens or creates the folder.
    pub fn open(dir: &Path) -> io::Result<Self> {
        files::folder(dir)?;
        Ok(Self {
            dir: dir.to_owned(),
        })
    }

    /// Stores a call; it is on disk when this returns.
    pub fn store_call(&self, kept: &PendingTokens) -> io::Result<()> {
        let bytes = serde_json::to_vec(kept)?;
        let path = self.path(&kept.request_id);
        atomic::replace_file(&path, &bytes, atomic::FileAccess::Owner)
    }

    /// The stored call. An unreadable file counts as absent.
    pub fn find(&self, request_id: &str) -> io::Result<Option<PendingTokens>> {
        match fs::read(self.path(request_id)) {
            Ok(bytes) => {
                let kept: Option<PendingTokens> = serde_json::from_slice(&bytes).ok();
                Ok(kept.filter(|kept| kept.request_id == request_id))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Overwrites and removes a call's file; a missing file is not an error.
    pub fn erase(&self, request_id: &str) -> io::Result<()> {
        erase(&self.path(request_id))
    }

    /// Erases files of calls that are not pending, and unfinished drafts.
    pub fn retain<'a>(&self, waiting: impl Iterator<Item = &'a str>) -> io::Result<()> {
        let kept: HashSet<PathBuf> = waiting.map(|id| self.path(id)).collect();
        for entry in fs::read_dir(&self.dir)? {
            let path = entry?.path();
            if !kept.contains(&path) && path.is_file() {
                erase(&path)?;
            }
        }
        Ok(())
    }

    fn path(&self, request_id: &str) -> PathBuf {
        let name = hex::encode(Sha256::digest(request_id.as_bytes()));
        self.dir.join(format!("{name}.json"))
    }
}

fn erase(path: &Path) -> io::Result<()> {
    let file = OpenOptions::new().write(true).open(path);
    match file {
        Ok(file) => {
            blank(file)?;
            fs::remove_file(path)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

fn blank(mut file: File) -> io::Result<()> {
    let length = usize::try_from(file.metadata()?.len()).unwrap_or(0);
    file.write_all(&vec![0; length])?;
    file.sync_all()
}

//! Checkpoints: a log's size and root as a signed note, the key that signs them, and the public key
//! that checks them.

use std::{fmt, io::ErrorKind, path::Path};

use base64::{Engine, engine::general_purpose::STANDARD};
use ed25519_dalek::SigningKey;
use sha2::{Digest, Sha256};
use signed_note::{Note, StandardSigner, StandardVerifier, VerifierList};
use tlog_tiles::{Checkpoint, Hash};
use zeroize::Zeroizing;

use super::error::TlogError;
use openlora_core::atomic;

/// Larger trees are refused: their arithmetic would not fit into 64 bits.
pub const LARGEST_TREE: u64 = 1 << 48;

/// Largest note that is read, in bytes.
pub const LARGEST_NOTE: usize = 16 << 10;

/// The type of Ed25519 keys in signed notes.
const ED25519: u8 = 1;

/// The name of logs that have no address of their own. The top-level domain is reserved for names
/// that never resolve (RFC 2606).
const NAMELESS: &str = "openlora.invalid";

/// The key that signs a log's checkpoints. Its name is the log's origin.
pub struct CheckpointKey {
    origin: String,
    vkey: String,
    signer: StandardSigner,
}

impl fmt::Debug for CheckpointKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CheckpointKey")
            .field("vkey", &self.vkey)
            .finish_non_exhaustive()
    }
}

impl CheckpointKey {
    /// Makes a key and keeps it in a file that only its owner can read. Without an origin, the log is
    /// named after its key.
    ///
    /// # Errors
    ///
    /// There is such a file, it cannot be written, or the origin is no name.
    pub fn create(path: &Path, origin: Option<&str>) -> Result<Self, TlogError> {
        let seed = Zeroizing::new(rand::random::<[u8; 32]>());
        let public = SigningKey::from_bytes(&seed).verifying_key();
        let origin = match origin {
            Some(origin) => origin.to_owned(),
            None => {
                let digest = hex::encode(Sha256::digest(public.as_bytes()));
                format!("{NAMELESS}/{}", &digest[..16])
            }
        };
        if !signed_note::is_key_name_valid(&origin) {
            let detail = "expected a name without spaces and plus signs";
            return Err(TlogError::malformed("the log's origin", detail));
        }
        let typed = |key: &[u8; 32]| [&[ED25519], key.as_slice()].concat();
        let id = signed_note::key_id(&origin, &typed(public.as_bytes()));
        let secret = Zeroizing::new(STANDARD.encode(Zeroizing::new(typed(&seed))));
        let text = Zeroizing::new(format!(
            "PRIVATE+KEY+{origin}+{id:08x}+{}\n",
            secret.as_str()
        ));
        let key = Self::parse(&text)?;
        atomic::create_file(path, text.as_bytes())
            .map_err(|error| TlogError::io("create the log key", path, &error))?;
        Ok(key)
    }

    /// The key in a file, which is made if there is none. Of two processes that make it at the same
    /// time, both get the one that is kept.
    ///
    /// # Errors
    ///
    /// It cannot be read or created, or the file holds no key.
    pub fn open_or_create(path: &Path, origin: Option<&str>) -> Result<Self, TlogError> {
        match Self::open(path) {
            Err(TlogError::NoKey { .. }) => {}
            found => return found,
        }
        match Self::create(path, origin) {
            Err(TlogError::Io { .. }) if path.exists() => Self::open(path),
            made => made,
        }
    }

    /// The key in a file.
    ///
    /// # Errors
    ///
    /// There is none, it cannot be read, or it is no key.
    pub fn open(path: &Path) -> Result<Self, TlogError> {
        let text = std::fs::read_to_string(path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => TlogError::NoKey {
                path: path.to_owned(),
            },
            _ => TlogError::io("read the log key", path, &error),
        })?;
        Self::parse(&Zeroizing::new(text))
    }

    fn parse(text: &str) -> Result<Self, TlogError> {
        let text = text.trim_end();
        let wrong = || TlogError::malformed("the log key", "expected PRIVATE+KEY+NAME+ID+KEY");
        let signer = StandardSigner::new(text).map_err(|_| wrong())?;
        // Base64 may contain the separator, the other parts do not.
        let parts: Vec<&str> = text.splitn(5, '+').collect();
        let &[_, _, origin, _, encoded] = parts.as_slice() else {
            return Err(wrong());
        };
        let decoded = Zeroizing::new(STANDARD.decode(encoded).map_err(|_| wrong())?);
        let seed: &[u8; 32] = decoded
            .get(1..)
            .and_then(|seed| seed.try_into().ok())
            .ok_or_else(wrong)?;
        let public = SigningKey::from_bytes(seed).verifying_key();
        Ok(Self {
            vkey: signed_note::new_ed25519_verifier_key(origin, &public),
            origin: origin.to_owned(),
            signer,
        })
    }

    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The public key in the form of signed notes.
    pub fn vkey(&self) -> &str {
        &self.vkey
    }

    /// # Errors
    ///
    /// None for a key that was read.
    pub fn verifier(&self) -> Result<CheckpointVerifier, TlogError> {
        CheckpointVerifier::parse(&self.vkey)
    }

    /// Signs the statement that the log has these entries.
    pub(crate) fn sign(&self, size: u64, root: Hash) -> Result<SignedCheckpoint, TlogError> {
        let wrong = || TlogError::malformed("the checkpoint", "it cannot be signed");
        let checkpoint = Checkpoint::new(&self.origin, size, root, "").map_err(|_| wrong())?;
        let mut note = Note::new(&checkpoint.to_bytes(), &[]).map_err(|_| wrong())?;
        note.add_sigs(&[&self.signer]).map_err(|_| wrong())?;
        Ok(SignedCheckpoint {
            origin: self.origin.clone(),
            size,
            root,
            note: String::from_utf8(note.to_bytes()).map_err(|_| wrong())?,
        })
    }
}

/// The public key of a log.
#[derive(Clone)]
pub struct CheckpointVerifier {
    vkey: String,
    origin: String,
    key: StandardVerifier,
}

impl fmt::Debug for CheckpointVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CheckpointVerifier")
            .field(&self.vkey)
            .finish()
    }
}

impl CheckpointVerifier {
    /// # Errors
    ///
    /// The text is no public key of a signed note.
    pub fn parse(vkey: &str) -> Result<Self, TlogError> {
        let vkey = vkey.trim();
        let wrong = |detail: &str| TlogError::malformed("the log's public key", detail);
        let key = StandardVerifier::new(vkey)
            .map_err(|error| wrong(&format!("{error}; expected NAME+ID+KEY with Ed25519")))?;
        let origin = vkey.split('+').next().unwrap_or_default().to_owned();
        Ok(Self {
            vkey: vkey.to_owned(),
            origin,
            key,
        })
    }

    pub fn vkey(&self) -> &str {
        &self.vkey
    }

    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Reads a checkpoint that this key signed.
    ///
    /// # Errors
    ///
    /// It is malformed, of another log, or not signed by this key.
    pub fn open(&self, note: &[u8]) -> Result<SignedCheckpoint, TlogError> {
        let wrong = |detail: &str| TlogError::malformed("the checkpoint", detail);
        if note.len() > LARGEST_NOTE {
            return Err(wrong("it is larger than a checkpoint can be"));
        }
        let parsed = Note::from_bytes(note).map_err(|_| wrong("expected a signed note"))?;
        let checkpoint = Checkpoint::from_bytes(parsed.text())
            .map_err(|_| wrong("expected an origin, a size and a root"))?;
        if checkpoint.origin() != self.origin {
            return Err(TlogError::OtherLog {
                expected: self.origin.clone(),
                found: checkpoint.origin().to_owned(),
            });
        }
        let known = VerifierList::new(vec![Box::new(self.key.clone())]);
        parsed.verify(&known).map_err(|_| TlogError::BadSignature {
            origin: self.origin.clone(),
        })?;
        if checkpoint.size() > LARGEST_TREE {
            return Err(wrong("it states more entries than a log can have"));
        }
        Ok(SignedCheckpoint {
            origin: self.origin.clone(),
            size: checkpoint.size(),
            root: *checkpoint.hash(),
            note: String::from_utf8_lossy(note).into_owned(),
        })
    }
}

/// A checkpoint whose signature was checked, or that was signed here.
#[derive(Clone, Debug, PartialEq)]
pub struct SignedCheckpoint {
    pub origin: String,
    /// The number of entries.
    pub size: u64,
    /// RFC 6962 root of the tree over them.
    pub root: Hash,
    /// The note, byte for byte.
    pub note: String,
}

/// A tree's size and root.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TreeHead {
    pub size: u64,
    pub root: Hash,
}

impl TreeHead {
    pub fn root_hex(&self) -> String {
        hex::encode(self.root.0)
    }
}

impl SignedCheckpoint {
    pub fn head(&self) -> TreeHead {
        TreeHead {
            size: self.size,
            root: self.root,
        }
    }

    pub fn root_hex(&self) -> String {
        hex::encode(self.root.0)
    }
}

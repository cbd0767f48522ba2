//! The PNG file of a picture, and what stands in it besides the pixels.
//!
//! A file depends on the adapter, the prompt and the settings alone: the same seed gives the same
//! bytes. What differs from call to call, such as the id of the receipt, is not in it. That id is a
//! secret of the payer, who may publish the picture.

use openlora_engine::GeneratedImage;
use openlora_ledger::PictureRecord;
use openlora_pictures::{Picture, PictureError, PngText, encode_png};
use sha2::{Digest, Sha256};

use super::adapter_registry::ServedAdapter;

/// The keyword of the adapter's digest in a file.
pub const PNG_ADAPTER: &str = "openlora:adapter";
/// The keyword of the base's digest.
pub const PNG_BASE: &str = "openlora:base";
/// The keyword of the digest of the adapter's manifest.
pub const PNG_MANIFEST: &str = "openlora:manifest";
/// The keyword of the settings that a picture was made with.
pub const PNG_SETTINGS: &str = "openlora:settings";

/// What the files of a call state of their origin.
#[derive(Clone, Debug, PartialEq)]
pub struct PictureStamp {
    texts: Vec<PngText>,
    settings: String,
}

impl PictureStamp {
    /// The stamp of pictures that an adapter makes with these settings.
    pub fn new(adapter: &ServedAdapter, record: &PictureRecord) -> Self {
        let digests = [
            (PNG_ADAPTER, Some(&adapter.digest)),
            (PNG_BASE, Some(&adapter.base_digest)),
            (PNG_MANIFEST, adapter.profile.manifest_sha256.as_ref()),
        ];
        let texts = digests.into_iter().filter_map(|(keyword, digest)| {
            Some(PngText {
                keyword: keyword.to_owned(),
                text: digest?.clone(),
            })
        });
        Self {
            texts: texts.collect(),
            settings: format!(
                "size={}x{} steps={} guidance={} sampler={}",
                record.width, record.height, record.steps, record.guidance, record.sampler
            ),
        }
    }
}

/// A picture as it is sent.
#[derive(Clone, Debug, PartialEq)]
pub struct PictureFile {
    pub picture: Picture,
    pub png: Vec<u8>,
    /// SHA-256 of the file, hex.
    pub sha256: String,
    pub seed: u64,
    /// Evaluations of the model for it.
    pub evaluations: u64,
}

impl PictureFile {
    /// # Errors
    ///
    /// The engine gave another number of pixels than width and height say.
    pub fn encode(
        made: GeneratedImage,
        seed: u64,
        stamp: &PictureStamp,
    ) -> Result<Self, PictureError> {
        let mut texts = stamp.texts.clone();
        texts.push(PngText {
            keyword: PNG_SETTINGS.to_owned(),
            text: format!("seed={seed} {}", stamp.settings),
        });
        let png = encode_png(&made.picture, &texts)?;
        Ok(Self {
            sha256: hex::encode(Sha256::digest(&png)),
            picture: made.picture,
            png,
            seed,
            evaluations: made.evaluations,
        })
    }
}

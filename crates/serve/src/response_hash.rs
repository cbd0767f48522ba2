//! The hash by which a receipt commits to the text of an answer, or to its pictures.
//!
//! Each call has a key of its own, derived from the journal's salt. Hashes are published with the
//! log of attributed calls; without the key they tell nothing about even a short answer. A payer
//! gets the key of its call with the receipt, and can show which text the hash stands for.

use hmac::{Hmac, Mac, digest::KeyInit};
use sha2::{Digest, Sha256};

use super::request_id::RequestId;

/// Bytes of a key.
const KEY: usize = 32;

/// The key of a call, hex.
pub(crate) fn key(salt: &[u8], id: &RequestId) -> String {
    hex::encode(derive(salt, id))
}

/// Takes the delivered text of a call, piece by piece.
pub(crate) fn hasher(salt: &[u8], id: &RequestId) -> Sha256 {
    Sha256::new().chain_update(derive(salt, id))
}

/// The hash of a receipt with this key for this text, or for the files of pictures one after the other,
/// hex; none if the key is malformed.
pub fn response_hash(key: &str, text: impl AsRef<[u8]>) -> Option<String> {
    let key = hex::decode(key).ok().filter(|key| key.len() == KEY)?;
    let hash = Sha256::new().chain_update(key).chain_update(text);
    Some(hex::encode(hash.finalize()))
}

fn derive(salt: &[u8], id: &RequestId) -> [u8; KEY] {
    let mut block = hmac::digest::Key::<Hmac<Sha256>>::default();
    block[..KEY].copy_from_slice(&Sha256::digest(salt));
    let mac = <Hmac<Sha256> as KeyInit>::new(&block);
    let mac = mac.chain_update(b"response").chain_update(id.as_str());
    mac.finalize().into_bytes().into()
}

//! Decides whether a repeated id is the same call, and keeps its answer secret from other clients.
//!
//! An answer outlives the process, so that the client that paid for it gets it after a crash too.
//! It is sealed under a key that can be derived only from the request. The disk holds neither the
//! request nor the key, so a reader of the disk learns an answer only by guessing the whole
//! request.

use aes::{
    Aes256,
    cipher::{KeyIvInit, StreamCipher},
};
use ctr::Ctr128BE;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

use super::{answer::FinishedAnswer, request_id::RequestId};

/// Bytes of the seal at the start of a stored answer.
const SEAL: usize = 32;
/// Stands for a missing value instead of a length.
const ABSENT: u32 = u32::MAX;

/// A request's salted digest and its secret.
#[derive(Clone)]
pub struct RequestFingerprint {
    /// Salted SHA-256 of route and body, hex.
    pub hash: String,
    secret: [u8; 32],
}

impl RequestFingerprint {
    /// The fingerprint of a request's parts; `salt` belongs to the call's journal.
    pub fn new(salt: &[u8], parts: &[&[u8]]) -> Self {
        let digest = |purpose: &[u8]| {
            let mut hasher = Sha256::new().chain_update(salt).chain_update(purpose);
            for part in parts {
                hasher.update((part.len() as u64).to_le_bytes());
                hasher.update(part);
            }
            hasher.finalize()
        };
        Self {
            hash: hex::encode(digest(b"")),
            secret: digest(b"answer").into(),
        }
    }

    /// Seals the answer, so that only this request under this id can open it.
    pub fn seal(&self, id: &RequestId, answer: &FinishedAnswer) -> Vec<u8> {
        let mut text = encode(answer);
        let (mut cipher, mac) = self.keys(id);
        cipher.apply_keystream(&mut text);
        let mut sealed = mac.chain_update(&text).finalize().into_bytes().to_vec();
        sealed.extend_from_slice(&text);
        sealed
    }

    /// Opens a sealed answer; `None` if it was for another request or is damaged.
    pub fn unseal(&self, id: &RequestId, sealed: &[u8]) -> Option<FinishedAnswer> {
        let (seal, text) = sealed.split_at_checked(SEAL)?;
        let (mut cipher, mac) = self.keys(id);
        mac.chain_update(text).verify_slice(seal).ok()?;
        let mut text = text.to_vec();
        cipher.apply_keystream(&mut text);
        decode(&text)
    }

    /// Both keys belong to one id alone, so the counter may begin at zero.
    fn keys(&self, id: &RequestId) -> (Ctr128BE<Aes256>, Hmac<Sha256>) {
        let key = |purpose: &[u8]| {
            Sha256::new()
                .chain_update(self.secret)
                .chain_update(purpose)
                .chain_update(id.as_str())
                .finalize()
        };
        let cipher = Ctr128BE::<Aes256>::new(&key(b"encrypt"), &[0; 16].into());
        // HMAC takes keys of any length; the two traits that know it share a method's name.
        let mac = <Hmac<Sha256> as hmac::digest::KeyInit>::new(&{
            let mut block = hmac::digest::Key::<Hmac<Sha256>>::default();
            block[..32].copy_from_slice(&key(b"authenticate"));
            block
        });
        (cipher, mac)
    }
}

/// Kind, payment with its length, body.
fn encode(answer: &FinishedAnswer) -> Vec<u8> {
    let payment = answer.payment.as_deref();
    let length = payment.map_or(ABSENT, |it| u32::try_from(it.len()).unwrap_or(ABSENT));
    let mut text = vec![u8::from(answer.content_type == FinishedAnswer::EVENTS)];
    text.extend_from_slice(&length.to_le_bytes());
    text.extend_from_slice(payment.unwrap_or_default().as_bytes());
    text.extend_from_slice(&answer.body);
    text
}

fn decode(text: &[u8]) -> Option<FinishedAnswer> {
    let (kind, rest) = text.split_first()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (payment, body) = match u32::from_le_bytes(*length) {
        ABSENT => (None, rest),
        length => {
            let (payment, body) = rest.split_at_checked(length as usize)?;
            (Some(String::from_utf8(payment.to_vec()).ok()?), body)
        }
    };
    Some(FinishedAnswer {
        content_type: if *kind == 1 {
            FinishedAnswer::EVENTS
        } else {
            FinishedAnswer::JSON
        },
        body: body.to_vec().into(),
        payment,
    })
}

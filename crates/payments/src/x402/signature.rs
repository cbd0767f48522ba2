//! Recovers the signer of a digest by the rules of the escrow: 65 bytes, v of 27 or 28, the low s.
//!
//! Uses libsecp256k1 for curve arithmetic. It is several times faster than the alternatives, and
//! every paid call waits for it.

use alloy::primitives::keccak256;
use secp256k1::{
    Message, SECP256K1,
    ecdsa::{RecoverableSignature, RecoveryId},
};

use openlora_chain::WalletError;
use openlora_core::{Address, Word};
use openlora_wallet::WalletAccount;

/// Half of the curve's order. Two equal signatures can be derived from each other; the one with the
/// larger s is refused.
const HALF_ORDER: [u8; 32] = [
    0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0x5d, 0x57, 0x6e, 0x73, 0x57, 0xa4, 0x50, 0x1d, 0xdf, 0xe9, 0x2f, 0x46, 0x68, 0x1b, 0x20, 0xa0,
];

/// Why no signer can be recovered from a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureFault {
    #[error("the signature has {found} bytes, expected 65")]
    Length { found: usize },
    #[error("the signature's last byte is {found}, expected 27 or 28")]
    Parity { found: u8 },
    #[error("the signature has the high s")]
    HighS,
    #[error("no key makes this signature")]
    NoKey,
}

/// The account that made a signature.
///
/// # Errors
/// The escrow would refuse the signature too.
pub fn recover(digest: Word, signature: &[u8]) -> Result<Address, SignatureFault> {
    let found = signature.len();
    let parts: &[u8; 65] = signature
        .try_into()
        .map_err(|_| SignatureFault::Length { found })?;
    let parity = match parts[64] {
        27 => RecoveryId::Zero,
        28 => RecoveryId::One,
        found => return Err(SignatureFault::Parity { found }),
    };
    if parts[32..64] > HALF_ORDER[..] {
        return Err(SignatureFault::HighS);
    }
    let signature = RecoverableSignature::from_compact(&parts[..64], parity);
    let signature = signature.map_err(|_| SignatureFault::NoKey)?;
    let key = SECP256K1.recover_ecdsa(Message::from_digest(digest.0), &signature);
    let key = key
        .map_err(|_| SignatureFault::NoKey)?
        .serialize_uncompressed();
    let mut address = [0; 20];
    address.copy_from_slice(&keccak256(&key[1..])[12..]);
    Ok(Address(address))
}

/// An account's signature: r, s and v; the same digest gives the same bytes.
pub fn sign(account: &WalletAccount, digest: Word) -> Result<[u8; 65], WalletError> {
    let signed = account.sign_digest(&digest.0.into());
    let signature = signed.map_err(|error| WalletError::CannotSign {
        address: account.address(),
        reason: error.to_string(),
    })?;
    Ok(signature.normalized_s().as_bytes())
}

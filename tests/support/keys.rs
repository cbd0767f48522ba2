//! Keys that tests sign with, and their accounts.

use alloy::primitives::U256;
use openlora_wallet::{ImportedSecret, Password, WalletAccount, parse_secret};

/// The first account of every development chain.
pub const KEY: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
pub const ADDRESS: &str = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";

/// A key that no development chain gives money to.
pub const OWN_KEY: &str = "0x1111111111111111111111111111111111111111111111111111111111111111";
pub const OWN: &str = "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A";

pub fn password(text: &str) -> Password {
    Password::new(text.to_owned())
}

pub fn account(key: &str) -> WalletAccount {
    match parse_secret(key, None).unwrap() {
        ImportedSecret::Key(key) => WalletAccount::new("own", key),
        ImportedSecret::Keystore(_) => panic!("a key is no keystore"),
    }
}

/// The equal signature with the other s.
pub fn twin(signature: &[u8; 65]) -> [u8; 65] {
    let order = "0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
    let order: U256 = order.parse().unwrap();
    let s = order - U256::from_be_slice(&signature[32..64]);
    let mut twin = *signature;
    twin[32..64].copy_from_slice(&s.to_be_bytes::<32>());
    twin[64] = 55 - signature[64];
    twin
}

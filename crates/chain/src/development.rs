//! The well-known accounts of development chains, and addresses without an owner. The keys of the
//! former are public, so they are used on a local network only; the latter have no known key.
//! Outside development chains neither kind is ever paid.

use std::{collections::BTreeSet, sync::LazyLock};

use super::{WalletError, network::Network};
use openlora_core::Address;
pub use openlora_wallet::DEVELOPMENT_MNEMONIC as MNEMONIC;
use openlora_wallet::{WalletAccount, import_mnemonic};

/// The development account at `index`, as a source of test funds.
///
/// # Errors
///
/// The network is not local.
pub fn account(network: &Network, index: u32) -> Result<WalletAccount, WalletError> {
    if !network.is_local() {
        return Err(WalletError::NotLocal {
            network: network.name.clone(),
            chain_id: network.chain_id,
            rpc: network.rpc_shown(),
        });
    }
    let key = import_mnemonic(MNEMONIC, &path(index))?;
    Ok(WalletAccount::new(format!("development-{index}"), key))
}

fn path(index: u32) -> String {
    format!("m/44'/60'/0'/0/{index}")
}

/// Mnemonics published by development nodes, and how many of their accounts the nodes list:
/// Hardhat, Anvil and this program; Ganache; Truffle.
pub const PUBLISHED: [(&str, u32); 3] = [
    (MNEMONIC, 20),
    (
        "myth like bonus scare over problem client lizard pioneer submit female collect",
        10,
    ),
    (
        "candy maple cake sugar pudding cream honey rich smooth crumble sweet treat",
        10,
    ),
];

/// Accounts whose keys are public.
static EVERYBODYS: LazyLock<BTreeSet<Address>> = LazyLock::new(|| {
    let accounts = PUBLISHED.iter().flat_map(|(words, count)| {
        // The mnemonics are constants that a test derives, so none fails.
        let key = |index| import_mnemonic(words, &path(index)).ok();
        (0..*count).filter_map(key)
    });
    accounts
        .map(|key| WalletAccount::new(String::new(), key).address())
        .collect()
});

/// Why money should not be sent to an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnownedAddress {
    /// A placeholder number in place of an address.
    Placeholder,
    /// The key is published.
    Everybodys,
}

/// Whether an address is a placeholder or has a published key.
pub fn unowned(address: Address) -> Option<UnownedAddress> {
    if is_placeholder(&address.0) {
        return Some(UnownedAddress::Placeholder);
    }
    EVERYBODYS
        .contains(&address)
        .then_some(UnownedAddress::Everybodys)
}

/// A repeated pattern of a few bytes, one or two digits at either end of zeros, or consecutive
/// digits. The address of a real key does not look like this by chance.
fn is_placeholder(bytes: &[u8; 20]) -> bool {
    let repeats = |unit: usize| {
        bytes
            .iter()
            .zip(&bytes[unit..])
            .all(|(one, next)| one == next)
    };
    let digits: Vec<u8> = bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .collect();
    let counts = |base: u8| digits.windows(2).all(|two| (two[0] + 1) % base == two[1]);
    [1, 2, 4, 5, 10].into_iter().any(repeats)
        || bytes[..18].iter().all(|byte| *byte == 0)
        || bytes[2..].iter().all(|byte| *byte == 0)
        || counts(10)
        || counts(16)
}

/// Refuses a payee address that is a placeholder or has a published key, except on a development
/// chain.
///
/// # Errors
///
/// The network is no development chain and the address has no single owner.
pub fn check_payee(network: &Network, who: &str, address: Address) -> Result<(), WalletError> {
    match unowned(address).filter(|_| !network.is_local()) {
        None => Ok(()),
        Some(why) => Err(WalletError::Unowned {
            who: who.to_owned(),
            address,
            network: network.name.clone(),
            why: match why {
                UnownedAddress::Placeholder => "which is a placeholder that nobody can spend from",
                UnownedAddress::Everybodys => {
                    "a development account whose key is published, so that anybody can spend from it"
                }
            },
        }),
    }
}

//! The releases that a server has fetched, and what their calls cost.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use openlora_core::Amount;
use openlora_ledger::{PriceList, event::ReleaseDeployment};

/// Decimals of the registry's prices.
const PRICE_DECIMALS: u32 = 6;

/// A fetched release: who is paid, and what its publisher asks.
#[derive(Clone, Debug)]
pub(super) struct FetchedRelease {
    pub deployment: ReleaseDeployment,
    /// Per 1 000 generated tokens, or per picture, in base units of a token with six decimals.
    pub price: u128,
}

/// The releases that were fetched, by the folders of their packages. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct FetchedReleases(Arc<Mutex<BTreeMap<PathBuf, FetchedRelease>>>);

impl FetchedReleases {
    pub fn get(&self, dir: &Path) -> Option<FetchedRelease> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(dir).cloned()
    }

    pub fn put(&self, dir: PathBuf, release: FetchedRelease) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(dir, release);
    }
}

/// The server's prices, of which generated tokens, or pictures, cost at least what the publisher asks.
pub(super) fn priced(
    prices: PriceList,
    asked: u128,
    decimals: u8,
    makes_pictures: bool,
) -> PriceList {
    let decimals = u32::from(decimals);
    let scale = 10u128.saturating_pow(decimals.abs_diff(PRICE_DECIMALS));
    let asked = match decimals < PRICE_DECIMALS {
        true => asked.div_ceil(scale),
        false => asked.saturating_mul(scale),
    };
    match makes_pictures {
        true => PriceList {
            image: prices.image.max(Amount(asked)),
            ..prices
        },
        false => PriceList {
            completion: prices.completion.max(Amount(asked)),
            ..prices
        },
    }
}

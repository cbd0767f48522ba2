//! Streams whose reader disconnects before their first token. They cost nothing, so that a payer
//! whose connection breaks can repeat the request. The model may have read their prompts by then, so
//! each payer has a limited number of them; the prompts of further ones are charged.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use openlora_core::Address;

/// How many abandoned streams of a payer cost nothing in one burst.
const BURST: u32 = 8;

/// How long it takes until one more costs nothing.
const RENEWAL: Duration = Duration::from_secs(600);

/// How many payers are counted separately. Above that, the payer with the fewest is removed.
const MOST_PAYERS: usize = 16_384;

/// The abandoned streams of each payer.
#[derive(Debug, Default)]
pub struct AbandonedStreams {
    payers: Mutex<HashMap<Address, AbandonedCount>>,
}

#[derive(Clone, Copy, Debug)]
struct AbandonedCount {
    /// Those that are not renewed yet.
    count: u32,
    since: Instant,
}

impl AbandonedStreams {
    /// Counts an abandoned stream; whether it costs nothing.
    pub fn waive(&self, payer: Address) -> bool {
        let mut payers = self.payers.lock().unwrap_or_else(PoisonError::into_inner);
        if payers.len() >= MOST_PAYERS && !payers.contains_key(&payer) {
            payers.retain(|_, it| it.renewed().count > 0);
            let fewest = payers.iter().min_by_key(|(_, it)| it.count);
            if let Some(fewest) = fewest.map(|(payer, _)| *payer)
                && payers.len() >= MOST_PAYERS
            {
                payers.remove(&fewest);
            }
        }
        let fresh = AbandonedCount {
            count: 0,
            since: Instant::now(),
        };
        let own = payers.entry(payer).or_insert(fresh);
        *own = own.renewed();
        let free = own.count < BURST;
        own.count += u32::from(free);
        free
    }
}

impl AbandonedCount {
    fn renewed(self) -> Self {
        let passed = self.since.elapsed().as_secs() / RENEWAL.as_secs();
        let renewed = u32::try_from(passed).unwrap_or(u32::MAX).min(self.count);
        match self.count - renewed {
            0 => Self {
                count: 0,
                since: Instant::now(),
            },
            count => Self {
                count,
                since: self.since + RENEWAL * renewed,
            },
        }
    }
}

//! Animation of payments: one particle per payment, from the payer to the model or from it to a
//! contributor.

use std::collections::VecDeque;

use openlora_core::Address;
use openlora_ledger::{
    event::{Event, EventRecord},
    state::board::MICRO,
};

/// Maximum number of particles; further payments appear only in the sums.
const MOST: usize = 256;

/// Payments older than this do not start a particle.
const LATE_MS: u64 = 5_000;

/// Travel times of the largest and the smallest payment.
const FASTEST_MS: u64 = 1_000;
const SLOWEST_MS: u64 = 2_600;

/// The section of the path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FlowLeg {
    In(Address),
    Out {
        name: String,
        address: Option<Address>,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowParticle {
    pub leg: FlowLeg,
    /// In millionths of base units.
    pub micro: u128,
    born_ms: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MoneyFlow {
    particles: VecDeque<FlowParticle>,
    /// The largest payment so far, relative to which speed and width are computed.
    largest: u128,
}

impl MoneyFlow {
    /// Starts particles for a record that is a payment.
    pub fn note(&mut self, record: &EventRecord, now_ms: u64) {
        if record.time_ms + LATE_MS < now_ms {
            return;
        }
        match &record.event {
            Event::CallMetered {
                charge: Some(charge),
                ..
            } => {
                let micro = charge.amount.0.saturating_mul(MICRO);
                self.start(FlowLeg::In(charge.payer), micro, now_ms);
            }
            Event::Attributed(attributed) => {
                for part in attributed.amounts.iter().flatten() {
                    let leg = FlowLeg::Out {
                        name: part.recipient.clone(),
                        address: part.address,
                    };
                    self.start(leg, part.micro.0, now_ms);
                }
            }
            _ => {}
        }
    }

    fn start(&mut self, leg: FlowLeg, micro: u128, born_ms: u64) {
        if micro == 0 {
            return;
        }
        if self.particles.len() >= MOST {
            self.particles.pop_front();
        }
        self.largest = self.largest.max(micro);
        self.particles.push_back(FlowParticle {
            leg,
            micro,
            born_ms,
        });
    }

    /// Removes particles that have arrived.
    pub fn advance(&mut self, now_ms: u64) {
        let largest = self.largest;
        self.particles
            .retain(|it| now_ms < it.born_ms + travel_ms(it.micro, largest));
    }

    pub fn is_still(&self) -> bool {
        self.particles.is_empty()
    }

    pub fn clear(&mut self) {
        self.particles.clear();
    }

    /// Every particle, its progress in thousandths, and its width from 0 to 3.
    pub fn dots(&self, now_ms: u64) -> impl Iterator<Item = (&FlowParticle, u64, usize)> {
        self.particles.iter().map(move |it| {
            let whole = travel_ms(it.micro, self.largest);
            let gone = now_ms.saturating_sub(it.born_ms).min(whole);
            (it, gone * 1_000 / whole, width(it.micro, self.largest))
        })
    }
}

/// From 0 for a millionth of the largest or less to 20 for the largest, in steps of a factor of
/// two.
fn size(micro: u128, largest: u128) -> u64 {
    let (bits, most) = (128 - micro.leading_zeros(), 128 - largest.leading_zeros());
    u64::from(20u32.saturating_sub(most - bits))
}

/// A larger payment travels faster.
fn travel_ms(micro: u128, largest: u128) -> u64 {
    SLOWEST_MS - (SLOWEST_MS - FASTEST_MS) * size(micro, largest.max(micro)) / 20
}

/// A larger payment is wider.
fn width(micro: u128, largest: u128) -> usize {
    match size(micro, largest.max(micro)) {
        0..14 => 0,
        14..17 => 1,
        17..20 => 2,
        _ => 3,
    }
}

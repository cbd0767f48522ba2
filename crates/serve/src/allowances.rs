//! What an address may send without paying, and how often its payments may be refused, in one burst
//! and over time.

/// The allowances of each address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressAllowances {
    /// Bytes of requests without payment, in one burst.
    pub unpaid_bytes: u32,
    pub unpaid_bytes_per_second: u32,
    /// Refusals of payments about which the chain may have been asked, in one burst.
    pub refusals: u32,
    pub refusals_per_second: u32,
}

impl Default for AddressAllowances {
    fn default() -> Self {
        Self {
            unpaid_bytes: 8 << 20,
            unpaid_bytes_per_second: 1 << 20,
            refusals: 256,
            refusals_per_second: 8,
        }
    }
}

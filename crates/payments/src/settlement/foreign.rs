//! Another seller's payment, and its authorization.

use super::{DepositPermit, TransferPermit};
use openlora_core::{Address, Word};

/// A payment to another seller.
#[derive(Clone, Copy, Debug)]
pub enum ForeignPayment<'a> {
    Transfer(&'a TransferPermit),
    Deposit(&'a DepositPermit),
}

impl ForeignPayment<'_> {
    pub(super) fn authorization(&self) -> (Address, Address, Word) {
        match self {
            Self::Transfer(it) => (it.token, it.from, it.nonce),
            Self::Deposit(it) => (it.config.token, it.config.payer, it.nonce()),
        }
    }
}

//! What another seller is paid with, and the authorization in it.

use super::{DepositPermit, TransferPermit};
use crate::runtime::ledger::{Address, Word};

/// What another seller is paid with.
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

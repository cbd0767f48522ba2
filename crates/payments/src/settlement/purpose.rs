//! What a transaction is for.

use openlora_ledger::TxKey;

/// What a transaction is for: for recovery, and for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TxPurpose {
    pub key: TxKey,
    pub label: String,
}

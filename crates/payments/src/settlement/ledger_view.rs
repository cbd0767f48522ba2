//! The part of the journal that settlement reads: its current state. Where the journal is stored is
//! unknown here.

use openlora_ledger::{
    Ledger,
    state::{CurrentState, LedgerState},
};

/// A state that is folded from the journal as the journal grows.
pub trait LedgerView: Send + Sync {
    /// Passes the state with every fact that is durable by now.
    fn look(&self, look: &mut dyn FnMut(&LedgerState));
}

/// Reads one value from the ledger.
pub(crate) fn ask<T: Default>(ledger: &dyn LedgerView, question: impl FnOnce(&Ledger) -> T) -> T {
    ask_state(ledger, |state| question(&state.ledger))
}

/// Reads one value from the state.
pub(crate) fn ask_state<T: Default>(
    ledger: &dyn LedgerView,
    question: impl FnOnce(&LedgerState) -> T,
) -> T {
    let (mut question, mut answer) = (Some(question), T::default());
    ledger.look(&mut |state| {
        if let Some(question) = question.take() {
            answer = question(state);
        }
    });
    answer
}

impl LedgerView for CurrentState {
    fn look(&self, look: &mut dyn FnMut(&LedgerState)) {
        look(&self.read());
    }
}

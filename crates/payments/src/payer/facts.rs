//! Transactions that a payer sends itself, recorded in the form that the journal uses. They are not
//! in a server's journal, because it has one writer and a payer may be another process on the same
//! machine.

use rusqlite::params;

use super::{PayerError, store::PayerStore};
use openlora_core::error::Failure;
use openlora_ledger::event::{Event, TxIntent};
use openlora_ports::FactLog;

#[async_trait::async_trait]
impl FactLog for PayerStore {
    async fn keep(&self, event: Event) -> Result<(), Failure> {
        let kept = self.write(|transaction| {
            let body = serde_json::to_string(&event)?;
            transaction.execute("INSERT INTO facts (body) VALUES (?1)", params![body])?;
            Ok(())
        });
        Ok(kept?)
    }
}

impl PayerStore {
    /// Transactions whose outcome is not known yet.
    pub fn unsettled(&self) -> Result<Vec<TxIntent>, PayerError> {
        let all: Vec<Event> = self.read(|connection| {
            let mut all = connection.prepare_cached("SELECT body FROM facts ORDER BY number")?;
            let rows = all.query_map([], |row| row.get::<_, String>(0))?;
            rows.map(|body| Ok(serde_json::from_str(&body?)?)).collect()
        })?;
        let mut open: Vec<TxIntent> = Vec::new();
        for event in all {
            match event {
                Event::TransactionIntended(intent) => open.push(*intent),
                Event::TransactionConfirmed { tx, .. } => open.retain(|intent| intent.tx != tx),
                _ => {}
            }
        }
        Ok(open)
    }
}

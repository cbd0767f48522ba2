//! Which chain a purse's channels are on: a development chain that begins anew has the id of the
//! one that is gone, and nothing of its money.

use rusqlite::{Connection, OptionalExtension, params};

use super::{
    PayerError, attempt, chain,
    channel::{PayerChannel, PayerChannelState, put},
    deposit, payment_record,
    store::{PayerStore, StoreFault},
};
use crate::{
    runtime::ledger::Word,
    wallet::{WalletError, provider::Chain},
};

/// Channels that are looked for where nobody wrote down which chain they are on.
const WITNESSES: usize = 16;

impl PayerStore {
    /// Holds a chain against what is known of its id. What was on a development chain that is gone
    /// has ended: it is neither paid from nor counted.
    ///
    /// # Errors
    /// It is another chain than the one with the purse's money.
    pub async fn identify(&self, chain: &Chain) -> Result<(), PayerError> {
        let chain_id = chain.network.chain_id;
        let found = chain.genesis().await?;
        let known = self.read(|connection| known(connection, chain_id))?;
        if known == Some(found) {
            return Ok(());
        }
        let is_other = match known {
            Some(_) => true,
            None => self.is_gone(chain).await?,
        };
        if let Some(expected) = known.filter(|_| !chain.network.is_local()) {
            return Err(PayerError::Wallet(WalletError::OtherGenesis {
                network: chain.network.name.clone(),
                rpc: chain.network.rpc_shown(),
                expected,
                found,
            }));
        }
        self.write(|transaction| {
            if is_other {
                end(transaction, chain_id)?;
            }
            let insert = "INSERT OR REPLACE INTO chains (chain_id, genesis) VALUES (?1, ?2)";
            let row = params![chain_id.cast_signed(), found.to_string()];
            transaction.execute(insert, row)?;
            Ok(())
        })
    }

    /// Whether a development chain has nothing in any channel that the purse put money into.
    async fn is_gone(&self, chain: &Chain) -> Result<bool, PayerError> {
        let mut filled = self.channels()?;
        filled.retain(|it| {
            it.chain_id == chain.network.chain_id
                && it.state == PayerChannelState::Open
                && !it.balance.is_zero()
        });
        if filled.is_empty() || !chain.network.is_local() {
            return Ok(false);
        }
        for channel in filled.iter().take(WITNESSES) {
            if !chain::channel_balance(chain, channel.id)
                .await?
                .balance
                .is_zero()
            {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn known(connection: &Connection, chain_id: u64) -> Result<Option<Word>, StoreFault> {
    let query = "SELECT genesis FROM chains WHERE chain_id = ?1";
    let found: Option<String> = connection
        .query_row(query, params![chain_id.cast_signed()], |row| row.get(0))
        .optional()?;
    Ok(found.and_then(|text| text.parse().ok()))
}

fn end(connection: &Connection, chain_id: u64) -> Result<(), StoreFault> {
    let mut all = connection.prepare_cached("SELECT body FROM channels WHERE chain_id = ?1")?;
    let rows = all.query_map(params![chain_id.cast_signed()], |row| {
        row.get::<_, String>(0)
    })?;
    let bodies: Vec<String> = rows.collect::<Result<_, _>>()?;
    for body in bodies {
        let channel: PayerChannel = serde_json::from_str(&body)?;
        let ended = PayerChannel {
            state: PayerChannelState::Ended,
            pending: None,
            ..channel
        };
        put(connection, &ended)?;
    }
    attempt::end(connection, chain_id)?;
    payment_record::end(connection, chain_id)?;
    deposit::end(connection, chain_id)
}

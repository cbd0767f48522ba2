//! Checks which chain the channels of a payer store are on. A restarted development chain has the
//! chain id of its predecessor but none of its balances.

use rusqlite::{Connection, OptionalExtension, params};

use super::{
    PayerError, attempt, chain,
    channel::{PayerChannel, PayerChannelState, put},
    deposit, payment_record,
    store::{PayerStore, StoreFault},
};
use openlora_chain::{WalletError, provider::Chain};
use openlora_core::Word;

/// How many channels to look up if the store has no genesis hash for their chain.
const WITNESSES: usize = 16;

impl PayerStore {
    /// Compares a chain with the genesis hash that the store has for its id. If a development chain
    /// was replaced, its channels are ended: they are neither paid from nor counted.
    ///
    /// # Errors
    /// It is not the chain that holds the store's channels.
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

    /// Whether a development chain has no balance in any channel that this store has funded.
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

//! Recovery of the transactions that an earlier process left open, before anything new is signed.

use alloy::{consensus::TxEnvelope, eips::eip2718::Decodable2718, hex, primitives::B256};

use super::{
    error::TransactionError,
    sender::{MinedTx, TxAttempt, TxEvent, TxRecord, TxSender, is_final},
};
use crate::WalletError;
use openlora_core::Amount;
use openlora_ledger::event::{TxIntent, TxOutcome};

/// Resolves every open intent of the sender's account on its chain. Mined transactions are
/// recorded; unknown ones are submitted again byte for byte and awaited. If it is not known what a
/// transaction is for, only its outcome is looked up, and it is not submitted again.
pub async fn recover(
    sender: &TxSender<'_>,
    open: &[TxIntent],
) -> Result<Vec<MinedTx>, TransactionError> {
    let (chain, account) = (sender.chain.network.chain_id, sender.account.address());
    let mut mine: Vec<&TxIntent> = open
        .iter()
        .filter(|intent| intent.chain_id == chain && intent.from == account.to_string())
        .collect();
    drop_foreign(sender, &mut mine).await?;
    // Attempts with the same nonce keep their order.
    mine.sort_by_key(|intent| intent.nonce);
    let mut mined = Vec::new();
    for same_nonce in mine.chunk_by(|a, b| a.nonce == b.nonce) {
        mined.extend(recover_nonce(sender, same_nonce).await?);
    }
    Ok(mined)
}

/// Skips transactions of another chain with the same id: sent here they would have another effect.
///
/// # Errors
///
/// The transactions were signed for another chain, and it is no development chain that was reset.
async fn drop_foreign(
    sender: &TxSender<'_>,
    mine: &mut Vec<&TxIntent>,
) -> Result<(), TransactionError> {
    if mine.iter().all(|intent| intent.genesis.is_none()) {
        return Ok(());
    }
    let (chain, found) = (sender.chain, sender.chain.genesis().await?);
    for intent in mine.iter() {
        let Some(expected) = intent.genesis.filter(|it| *it != found) else {
            continue;
        };
        if !chain.network.is_local() {
            return Err(TransactionError::Wallet(WalletError::OtherGenesis {
                network: chain.network.name.clone(),
                rpc: chain.network.rpc_shown(),
                expected,
                found,
            }));
        }
        let tx = intent.tx.parse().map_err(|_| unreadable(intent))?;
        sender.record_outcome(tx, TxOutcome::Refused, None).await?;
    }
    mine.retain(|intent| intent.genesis.is_none_or(|it| it == found));
    Ok(())
}

async fn recover_nonce(
    sender: &TxSender<'_>,
    intents: &[&TxIntent],
) -> Result<Option<MinedTx>, TransactionError> {
    let Some(last) = intents.last() else {
        return Ok(None);
    };
    let read = intents.iter().map(|intent| attempt(intent));
    let attempts = read.collect::<Result<Vec<_>, _>>()?;
    for attempt in &attempts {
        if let Some(receipt) = sender.chain.receipt(attempt.hash).await? {
            let ended = sender
                .mined(attempt, &attempts, receipt, &last.purpose)
                .await;
            return match ended {
                // The transaction is known and final; the caller plans again.
                Err(TransactionError::Reverted { .. }) => Ok(None),
                ended => ended.map(Some),
            };
        }
    }
    let account = sender.account.address();
    let next = sender.chain.nonce(account, false).await?;
    if next > last.nonce {
        for attempt in &attempts {
            sender
                .record_outcome(attempt.hash, TxOutcome::Replaced, None)
                .await?;
        }
        return Ok(None);
    }
    let waiting = sender.chain.nonce(account, true).await?;
    // A local chain that was reset has lost the transactions before this one.
    if waiting < last.nonce && sender.chain.network.is_local() {
        for attempt in &attempts {
            sender
                .record_outcome(attempt.hash, TxOutcome::Refused, None)
                .await?;
        }
        return Ok(None);
    }
    if let Some(unknown) = intents.iter().find_map(|it| it.read_key().err()) {
        return Err(TransactionError::UnknownLabel {
            unknown,
            network: sender.chain.network.name.clone(),
            account,
            nonce: last.nonce,
        });
    }
    let tx = attempts.last().map_or(B256::ZERO, |attempt| attempt.hash);
    (sender.progress)(TxEvent::Resumed {
        tx,
        deed: last.purpose.clone(),
    });
    send_again(sender, last, attempts).await
}

async fn send_again(
    sender: &TxSender<'_>,
    last: &TxIntent,
    attempts: Vec<TxAttempt>,
) -> Result<Option<MinedTx>, TransactionError> {
    if let Err(reason) = sender.chain.submit(&bytes(last)?).await?
        && is_final(&reason)
        && attempts.len() == 1
    {
        let unmined = sender.chain.receipt(attempts[0].hash).await?.is_none();
        if unmined {
            let tx = attempts[0].hash;
            sender.record_outcome(tx, TxOutcome::Refused, None).await?;
            return Ok(None);
        }
    }
    // The fee limit that was confirmed then, unless this command line sets another.
    let offered = attempts.iter().map(|it| it.transaction.max_fee_per_gas);
    let cap = sender.limits.max_fee.or(offered.max()).unwrap_or_default();
    let ended = sender.wait(attempts, &last.purpose, cap).await;
    match ended {
        Err(TransactionError::Reverted { .. }) => Ok(None),
        ended => ended.map(Some),
    }
}

/// The most that a transaction may take from its account, in wei; nothing where it cannot be read.
pub fn greatest_cost(intent: &TxIntent) -> Amount {
    let Ok(attempt) = attempt(intent) else {
        return Amount::ZERO;
    };
    let (gas, price) = (
        attempt.transaction.gas_limit,
        attempt.transaction.max_fee_per_gas,
    );
    let value = u128::try_from(attempt.transaction.value).unwrap_or(u128::MAX);
    Amount(u128::from(gas).saturating_mul(price).saturating_add(value))
}

fn bytes(intent: &TxIntent) -> Result<Vec<u8>, TransactionError> {
    hex::decode(&intent.raw).map_err(|_| unreadable(intent))
}

fn attempt(intent: &TxIntent) -> Result<TxAttempt, TransactionError> {
    let bytes = bytes(intent)?;
    let envelope = TxEnvelope::decode_2718(&mut bytes.as_slice());
    match envelope {
        Ok(TxEnvelope::Eip1559(signed)) if signed.hash().to_string() == intent.tx => {
            Ok(TxAttempt {
                hash: *signed.hash(),
                transaction: signed.tx().clone(),
                record: TxRecord {
                    label: intent.purpose.clone(),
                    key: intent.key.clone(),
                    sponsored: intent.sponsored.clone(),
                },
            })
        }
        _ => Err(unreadable(intent)),
    }
}

fn unreadable(intent: &TxIntent) -> TransactionError {
    TransactionError::Unreadable {
        tx: intent.tx.clone(),
    }
}

//! The chain's record of collected calls: claims from channels, settled sums, and transfers by
//! authorization. A published log is not trusted here.

use std::collections::BTreeMap;

use alloy::{primitives::B256, rpc::types::Filter, sol_types::SolEvent};

use crate::settlement::{channel_views, receiver_view};
use openlora_chain::{WalletError, provider::Chain, registry::Token};
use openlora_core::{Address, Amount, Word};
use openlora_ledger::{ExactKey, ReceiverKey};

/// How many authorizations one request for logs names.
const AT_ONCE: usize = 256;

/// A transfer of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenTransfer {
    pub from: Address,
    pub to: Address,
    pub amount: Amount,
}

/// The totals claimed from channels so far, in the requested order.
pub async fn claimed_on(chain: &Chain, channels: &[Word]) -> Result<Vec<Amount>, WalletError> {
    let head = chain.head().await?;
    let views = channel_views(chain, &head, 0, channels).await?;
    Ok(views.into_iter().map(|view| view.claimed).collect())
}

/// What the escrow has sent a receiver so far.
pub async fn settled_on(chain: &Chain, receiver: ReceiverKey) -> Result<Amount, WalletError> {
    let head = chain.head().await?;
    Ok(receiver_view(chain, &head, receiver).await?.settled)
}

/// The transactions that used authorizations of a token. Unused authorizations are left out.
pub async fn authorizations_on(
    chain: &Chain,
    token: Address,
    payments: &[ExactKey],
) -> Result<BTreeMap<ExactKey, Word>, WalletError> {
    let mut used = BTreeMap::new();
    for some in payments.chunks(AT_ONCE) {
        let nonces: Vec<B256> = some.iter().map(|key| key.nonce.into()).collect();
        let filter = Filter::new()
            .address(alloy::primitives::Address::from(token))
            .event_signature(Token::AuthorizationUsed::SIGNATURE_HASH)
            .topic2(nonces);
        for log in chain.logs(&filter, 0).await? {
            let event = Token::AuthorizationUsed::decode_log(&log.inner);
            if let (Ok(event), Some(tx)) = (event, log.transaction_hash) {
                let key = ExactKey {
                    chain_id: chain.network.chain_id,
                    token,
                    payer: event.authorizer.into(),
                    nonce: event.nonce.into(),
                };
                used.insert(key, Word::from(tx));
            }
        }
    }
    Ok(used)
}

/// The transfers of a token in a transaction.
pub async fn transfers_of(
    chain: &Chain,
    token: Address,
    tx: Word,
) -> Result<Vec<TokenTransfer>, WalletError> {
    let receipt = chain.receipt(tx.0.into()).await?;
    let logs = receipt.iter().flat_map(|receipt| receipt.logs());
    let moved = logs.filter_map(|log| {
        let event = Token::Transfer::decode_log(&log.inner).ok()?;
        (Address::from(log.address()) == token).then(|| TokenTransfer {
            from: event.from.into(),
            to: event.to.into(),
            amount: Amount(u128::try_from(event.value).unwrap_or(u128::MAX)),
        })
    });
    Ok(moved.collect())
}

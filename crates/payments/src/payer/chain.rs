//! A payer's queries to the chain, and its own contract calls for deposits and withdrawals.

use alloy::{
    primitives::{B256, Bytes, U256, hex},
    rpc::types::Filter,
    sol_types::{SolCall, SolEvent, SolValue},
};

use super::channel::{PayerChannel, PendingDeposit};
use crate::x402::digest::deposit_nonce;
use openlora_chain::{
    WalletError,
    provider::Chain,
    registry::{BatchSettlementEscrow as Escrow, DevelopmentToken, Token},
    transaction::TxSubmission,
};
use openlora_contracts::{COLLECTOR, ESCROW};
use openlora_core::{Address, Amount, Word};
use openlora_ledger::TxKey;

/// The escrow's state of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelBalance {
    pub balance: Amount,
    pub claimed: Amount,
}

/// A withdrawal that waits for its delay to pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitingWithdrawal {
    pub amount: Amount,
    /// Unix seconds.
    pub since: u64,
}

pub async fn channel_balance(chain: &Chain, channel: Word) -> Result<ChannelBalance, WalletError> {
    let asked = Escrow::channelsCall {
        channelId: channel.into(),
    };
    let found = chain.read("channels of the escrow", ESCROW.into(), &asked);
    let found = found.await?;
    Ok(ChannelBalance {
        balance: Amount(found.balance),
        claimed: Amount(found.totalClaimed),
    })
}

pub async fn waiting(
    chain: &Chain,
    channel: Word,
) -> Result<Option<WaitingWithdrawal>, WalletError> {
    let asked = Escrow::pendingWithdrawalsCall {
        channelId: channel.into(),
    };
    let found = chain.read("pendingWithdrawals of the escrow", ESCROW.into(), &asked);
    let found = found.await?;
    let since: u64 = found.initiatedAt.to();
    Ok((since != 0).then_some(WaitingWithdrawal {
        amount: Amount(found.amount),
        since,
    }))
}

/// The nonce of the channel's next refund. Every refund increments it.
pub async fn refund_nonce(chain: &Chain, channel: Word) -> Result<u64, WalletError> {
    let asked = Escrow::refundNonceCall {
        channelId: channel.into(),
    };
    let found: U256 = chain
        .read("refundNonce of the escrow", ESCROW.into(), &asked)
        .await?;
    Ok(found.saturating_to())
}

/// An account's balance of a token.
pub async fn funds(chain: &Chain, token: Address, account: Address) -> Result<Amount, WalletError> {
    let asked = Token::balanceOfCall {
        account: account.into(),
    };
    let found: U256 = chain.read("balanceOf of the token", token, &asked).await?;
    Ok(Amount(found.saturating_to()))
}

/// Whether an authorization was used or cancelled.
pub async fn is_used(
    chain: &Chain,
    token: Address,
    payer: Address,
    nonce: Word,
) -> Result<bool, WalletError> {
    let asked = Token::authorizationStateCall {
        authorizer: payer.into(),
        nonce: nonce.into(),
    };
    chain
        .read("authorizationState of the token", token, &asked)
        .await
}

/// The receivers and amounts of the transaction that used an authorization, mined since `since`
/// (Unix seconds). Empty if the authorization was only cancelled.
pub async fn transfers_by(
    chain: &Chain,
    token: Address,
    payer: Address,
    nonce: Word,
    since: u64,
) -> Result<Vec<(Address, Amount)>, WalletError> {
    let contract = alloy::primitives::Address::from(token);
    let filter = Filter::new()
        .address(contract)
        .event_signature(Token::AuthorizationUsed::SIGNATURE_HASH)
        .topic1(B256::left_padding_from(&payer.0))
        .topic2(B256::from(nonce));
    let from = chain.block_at(since).await?;
    let used = chain.logs(&filter, from).await?;
    let Some(tx) = used.first().and_then(|log| log.transaction_hash) else {
        return Ok(Vec::new());
    };
    let receipt = chain.receipt(tx).await?;
    let logs = receipt.iter().flat_map(|it| it.logs().iter());
    let moved = logs.filter_map(|log| {
        let event = Token::Transfer::decode_log(&log.inner).ok()?;
        let amount = u128::try_from(event.value).ok()?;
        let fits = log.address() == contract && Address::from(event.from) == payer;
        fits.then_some((event.to.into(), Amount(amount)))
    });
    Ok(moved.collect())
}

/// A contract call that has not been sent yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContractCall {
    to: Address,
    data: Bytes,
    key: TxKey,
}

fn of_escrow(call: &impl SolCall, key: TxKey) -> ContractCall {
    ContractCall {
        key,
        to: ESCROW.into(),
        data: call.abi_encode().into(),
    }
}

/// A signed deposit. The account that submits it to the chain pays the gas.
pub fn deposit(channel: &PayerChannel, pending: &PendingDeposit) -> ContractCall {
    // This program wrote the stored signature, so it is valid hexadecimal.
    let signature = hex::decode(&pending.signature).unwrap_or_default();
    let data = (
        U256::ZERO,
        U256::from(pending.valid_before),
        U256::from_be_bytes(pending.salt.0),
        Bytes::from(signature),
    );
    let call = Escrow::depositCall {
        config: (&channel.config).into(),
        amount: pending.amount.0,
        collector: COLLECTOR,
        collectorData: data.abi_encode_params().into(),
    };
    let key = TxKey::Deposit {
        channel: channel.id,
        amount: pending.amount,
        nonce: deposit_nonce(channel.id, pending.salt),
        request: None,
    };
    of_escrow(&call, key)
}

/// Starts the withdrawal of everything that is not claimed.
pub fn initiate_withdraw(channel: &PayerChannel, amount: Amount) -> ContractCall {
    let call = Escrow::initiateWithdrawCall {
        config: (&channel.config).into(),
        amount: amount.0,
    };
    let channel = channel.id;
    of_escrow(&call, TxKey::StartWithdrawal { channel, amount })
}

/// Finishes the withdrawal that was started at this time, after the channel's delay.
pub fn finalize_withdraw(channel: &PayerChannel, started: u64) -> ContractCall {
    let call = Escrow::finalizeWithdrawCall {
        config: (&channel.config).into(),
    };
    let channel = channel.id;
    of_escrow(&call, TxKey::FinishWithdrawal { channel, started })
}

/// Development money, which any account may mint.
pub fn mint(token: Address, to: Address, amount: Amount) -> ContractCall {
    let call = DevelopmentToken::mintCall {
        to: to.into(),
        amount: U256::from(amount.0),
    };
    ContractCall {
        to: token,
        data: call.abi_encode().into(),
        key: TxKey::Mint { token, to, amount },
    }
}

/// A call that would succeed now, with its gas estimate plus a fifth.
pub async fn submission(
    chain: &Chain,
    from: Address,
    ContractCall { to, data, key }: ContractCall,
    deed: &str,
) -> Result<TxSubmission, WalletError> {
    let gas = chain.estimate(from, to, &data, deed).await?;
    Ok(TxSubmission {
        to,
        data,
        value: U256::ZERO,
        key,
        label: deed.to_owned(),
        gas: gas.saturating_add(gas / 5),
        sponsored: None,
    })
}

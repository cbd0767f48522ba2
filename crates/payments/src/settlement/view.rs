//! Reads the state of channels and receivers at one block.

use alloy::{
    eips::{BlockId, BlockNumberOrTag},
    primitives::{Bytes, U256},
    sol_types::SolCall,
};

use openlora_chain::{
    WalletError,
    provider::{BlockHead, Chain},
    registry::{BatchSettlementEscrow as Escrow, RevenueSplitter, Token},
};
use openlora_contracts::ESCROW;
use openlora_core::{Address, Amount, Word};
use openlora_ledger::{ChannelView, PayerWithdrawal, ReceiverKey, ReceiverView};

/// How many channels are read in one batch. Each takes three reads.
const AT_ONCE: usize = 64;

/// The state of channels at a block, in the requested order. Of the balance, only the part that was
/// already there `depth` blocks earlier is counted.
pub async fn channels(
    chain: &Chain,
    head: &BlockHead,
    depth: u64,
    ids: &[Word],
) -> Result<Vec<ChannelView>, WalletError> {
    let mut views = Vec::with_capacity(ids.len());
    for ids in ids.chunks(AT_ONCE) {
        let mut found = some_channels(chain, head, BlockId::hash(head.hash), ids).await?;
        if depth > 0 {
            let deep = BlockNumberOrTag::Number(head.number.saturating_sub(depth));
            let deep = some_channels(chain, head, deep.into(), ids).await?;
            for (view, deep) in found.iter_mut().zip(deep) {
                view.balance = view.balance.min(deep.balance);
            }
        }
        views.append(&mut found);
    }
    Ok(views)
}

async fn some_channels(
    chain: &Chain,
    head: &BlockHead,
    at: BlockId,
    ids: &[Word],
) -> Result<Vec<ChannelView>, WalletError> {
    let calls = |id: &Word| {
        let id = id.0.into();
        let calls = [
            Escrow::channelsCall { channelId: id }.abi_encode(),
            Escrow::pendingWithdrawalsCall { channelId: id }.abi_encode(),
            Escrow::refundNonceCall { channelId: id }.abi_encode(),
        ];
        calls.map(Bytes::from)
    };
    let data = ids.iter().flat_map(calls).collect();
    let call = Escrow::multicallCall { data };
    let what = "channels of the escrow";
    let answers = chain.read_at(what, ESCROW.into(), &call, at).await?;
    let views = answers.chunks(3).map(|three| decoded(three, head));
    let views: Option<Vec<ChannelView>> = views.collect();
    let views = views.filter(|views| views.len() == ids.len());
    views.ok_or_else(|| WalletError::Rpc {
        rpc: chain.network.rpc_shown(),
        method: what,
        reason: format!(
            "{} answers do not fit {} channels",
            answers.len(),
            ids.len()
        ),
    })
}

fn decoded(three: &[Bytes], head: &BlockHead) -> Option<ChannelView> {
    let [channel, withdrawal, nonce] = three else {
        return None;
    };
    let channel = Escrow::channelsCall::abi_decode_returns(channel).ok()?;
    let withdrawal = Escrow::pendingWithdrawalsCall::abi_decode_returns(withdrawal).ok()?;
    let nonce = Escrow::refundNonceCall::abi_decode_returns(nonce).ok()?;
    let started = withdrawal.initiatedAt.to::<u64>();
    Some(ChannelView {
        balance: Amount(channel.balance),
        claimed: Amount(channel.totalClaimed),
        withdrawal: (started != 0).then_some(PayerWithdrawal {
            amount: Amount(withdrawal.amount),
            started,
        }),
        refund_nonce: u64::try_from(nonce).unwrap_or(u64::MAX),
        block: head.number,
        block_hash: Word(head.hash.0),
    })
}

/// The amounts that a receiver of one token has claimed, received, paid out and holds at a block.
pub async fn receiver(
    chain: &Chain,
    head: &BlockHead,
    key: ReceiverKey,
) -> Result<ReceiverView, WalletError> {
    let at = BlockId::hash(head.hash);
    let (receiver, token) = (key.receiver.into(), key.token.into());
    let call = Escrow::receiversCall { receiver, token };
    let totals = chain.read_at("receivers of the escrow", ESCROW.into(), &call, at);
    let totals = totals.await?;
    let call = Token::balanceOfCall { account: receiver };
    let asked = chain.read_at("balanceOf of the token", key.token, &call, at);
    let held = if_deployed(chain, key.token, asked.await).await?;
    let call = RevenueSplitter::totalReleasedCall { token };
    let asked = chain.read_at("totalReleased of the splitter", key.receiver, &call, at);
    let released = if_deployed(chain, key.receiver, asked.await).await?;
    Ok(ReceiverView {
        claimed: Amount(totals.totalClaimed),
        settled: Amount(totals.totalSettled),
        released: Amount(u128::try_from(released).unwrap_or(u128::MAX)),
        held: Amount(u128::try_from(held).unwrap_or(u128::MAX)),
        block: head.number,
        block_hash: Word(head.hash.0),
    })
}

/// `None` if there is no such contract: another kind of receiver, or a chain that was replaced.
async fn if_deployed(
    chain: &Chain,
    contract: Address,
    asked: Result<U256, WalletError>,
) -> Result<U256, WalletError> {
    match asked {
        Err(WalletError::Reverted { .. }) => Ok(U256::ZERO),
        Err(error) => match chain.has_code(contract).await? {
            true => Err(error),
            false => Ok(U256::ZERO),
        },
        answered => answered,
    }
}

//! The balances that a splitter holds for its members, and what could be claimed, settled and paid
//! out now by the accounts whose keys are at hand. Read from the chain, with nothing sent.

use std::collections::BTreeMap;

use super::{
    claim_worth::ClaimWorth,
    claims::{self, ClaimRow, LeftOut, receivers_of},
    view,
};
use openlora_chain::{
    WalletError,
    provider::Chain,
    registry::{ContributorPool, RevenueSplitter},
};
use openlora_core::{Address, Amount};
use openlora_ledger::{Ledger, ReceiverKey, event::DeferredClaim};

/// One recipient of a splitter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SplitterShare {
    pub receiver: ReceiverKey,
    pub recipient: Address,
    pub ppm: u32,
    /// Whether it is one of these accounts.
    pub own: bool,
    /// Whether it is a contributor pool. Any account may have a pool collect its share.
    pub pool: bool,
    /// The amount paid out so far, and the amount that could be paid out now.
    pub released: Amount,
    pub pending: Amount,
}

/// What some accounts can collect on a chain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountDue {
    /// Amount and channels per receiver.
    pub claims: BTreeMap<ReceiverKey, (Amount, usize)>,
    /// Claimed and not yet settled.
    pub settles: BTreeMap<ReceiverKey, Amount>,
    pub left_out: Vec<LeftOut>,
    /// Not claimed for now: that would cost more gas than it brings.
    pub deferred: Vec<DeferredClaim>,
}

/// The amounts to claim and to settle, as far as they are worth the gas.
pub async fn due(
    chain: &Chain,
    accounts: &[Address],
    ledger: &Ledger,
    worth: ClaimWorth,
) -> Result<AccountDue, WalletError> {
    let chain_id = chain.network.chain_id;
    let head = chain.head().await?;
    let owed = claims::owed_channels(ledger, chain_id);
    let views = view::channels(chain, &head, 0, &owed).await?;
    let views = owed.into_iter().zip(views).collect();
    let (rows, left_out) = claims::select(ledger, chain_id, accounts, &views);
    let price = match worth.coin {
        Some(_) => chain.fees().await?.max_fee,
        None => 0,
    };
    let has_row = |row: &ClaimRow| worth.has_row(row.amount, row.by_contract, price);
    let (rows, dust): (Vec<_>, Vec<_>) = rows.into_iter().partition(has_row);
    let mut due = AccountDue {
        left_out,
        deferred: dust.iter().map(ClaimRow::deferred).collect(),
        ..AccountDue::default()
    };
    for batch in claims::batches(rows) {
        let (batch, left_out) = claims::filter_rows(chain, batch).await?;
        due.left_out.extend(left_out);
        if !batch.is_worth(worth, price) {
            due.deferred
                .extend(batch.rows.iter().map(ClaimRow::deferred));
            continue;
        }
        for row in batch.rows {
            let (sum, channels) = due.claims.entry(row.receiver).or_default();
            (*sum, *channels) = (sum.saturating_add(row.amount), *channels + 1);
        }
    }
    for receiver in receivers_of(ledger, chain_id) {
        let view = view::receiver(chain, &head, receiver).await?;
        let unsettled = view.claimed.saturating_sub(view.settled);
        if worth.has_settlement(unsettled, price) {
            due.settles.insert(receiver, unsettled);
        }
    }
    Ok(due)
}

/// Every recipient of a splitter, in the splitter's order.
pub async fn shares(
    chain: &Chain,
    accounts: &[Address],
    receiver: ReceiverKey,
) -> Result<Vec<SplitterShare>, WalletError> {
    let splitter = receiver.receiver;
    // That of a chain that was reset.
    if !chain.has_code(splitter).await? {
        return Ok(Vec::new());
    }
    let listed = chain.read(
        "shares of the splitter",
        splitter,
        &RevenueSplitter::sharesCall {},
    );
    let mut shares = Vec::new();
    for listed in listed.await? {
        let recipient = Address::from(listed.recipient);
        let token = receiver.token.into();
        let call = RevenueSplitter::pendingCall {
            token,
            recipient: recipient.into(),
        };
        let pending = chain
            .read("pending of the splitter", splitter, &call)
            .await?;
        let call = RevenueSplitter::releasedCall {
            token,
            recipient: recipient.into(),
        };
        let released = chain
            .read("released of the splitter", splitter, &call)
            .await?;
        let own = accounts.contains(&recipient);
        shares.push(SplitterShare {
            receiver,
            recipient,
            ppm: listed.ppm,
            own,
            pool: !own && is_pool(chain, recipient).await?,
            released: Amount(u128::try_from(released).unwrap_or(u128::MAX)),
            pending: Amount(u128::try_from(pending).unwrap_or(u128::MAX)),
        });
    }
    Ok(shares)
}

async fn is_pool(chain: &Chain, recipient: Address) -> Result<bool, WalletError> {
    if !chain.has_code(recipient).await? {
        return Ok(false);
    }
    let terms = chain.read(
        "terms of the pool",
        recipient,
        &ContributorPool::termsCall {},
    );
    match terms.await {
        Ok(_) => Ok(true),
        // An unknown contract returns nothing, or other data.
        Err(WalletError::Reverted { .. }) => Ok(false),
        Err(error) => chain.height().await.map(|_| false).map_err(|_| error),
    }
}

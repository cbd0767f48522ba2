//! What identifies a transaction that moves money or registers something.
//!
//! A key stands in the journal beside the label that people read. After a crash, a transaction is
//! recognised by its key alone, so labels may change.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use openlora_core::{Address, Amount, Word};

/// One transaction of an account on a chain. Two transactions with different effects have different
/// keys.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum TxKey {
    /// A deposit into a channel by its payer's authorization.
    Deposit {
        channel: Word,
        amount: Amount,
        /// Nonce of the authorization.
        nonce: Word,
        /// The facilitator request that it is cleared for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        request: Option<Word>,
    },
    /// A transfer by its payer's authorization.
    Transfer {
        token: Address,
        from: Address,
        to: Address,
        amount: Amount,
        /// Nonce of the authorization.
        nonce: Word,
        /// The facilitator request that it is cleared for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        request: Option<Word>,
    },
    /// A refund of a channel's rest.
    Refund {
        channel: Word,
        amount: Amount,
        /// The escrow's number of the refund; absent from journals of earlier versions.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        refund_nonce: Option<u64>,
    },
    /// A claim: each channel's total after it.
    Claim { totals: BTreeMap<Word, Amount> },
    /// A claim of one voucher before the call that it pays for.
    PrepaidClaim { channel: Word, maximum: Amount },
    /// Calls to the escrow that other parties have signed.
    Relay {
        /// Keccak-256 of the calldata.
        calls: Word,
    },
    /// The transfer of claimed money to its receiver.
    Settle {
        receiver: Address,
        token: Address,
        /// The total that is claimed for the receiver.
        claimed: Amount,
    },
    /// The release of a recipient's share by a splitter.
    Release {
        splitter: Address,
        token: Address,
        recipient: Address,
        /// The total that was released to the recipient before.
        released: Amount,
    },
    /// The root of a batch of attributed calls.
    Anchor { adapter: String, root: Word },
    /// An action on a contributor pool.
    Pool {
        pool: Address,
        token: Address,
        /// The pool's latest proposal at the time.
        round: u32,
        #[serde(flatten)]
        action: PoolTxAction,
    },
    /// The creation of a contract at an address.
    Create { contract: Address },
    /// The registration of a new adapter.
    Register { registry: Address, manifest: Word },
    /// The registration of another version of an adapter.
    Publish { registry: Address, manifest: Word },
    /// The authorisation of an adapter's server.
    Authorise {
        registry: Address,
        adapter: String,
        server: Address,
    },
    /// The registration of an adapter's identity in a registry of agents (ERC-8004).
    RegisterAgent {
        registry: Address,
        adapter: String,
        /// Where the registration file is.
        uri: String,
    },
    /// Another address of the registration file of an identity.
    MoveAgent {
        registry: Address,
        agent_id: String,
        uri: String,
    },
    /// The statement of a server's URL.
    Announce { directory: Address, url: String },
    /// The start of a payer's withdrawal.
    StartWithdrawal { channel: Word, amount: Amount },
    /// The end of a payer's withdrawal.
    FinishWithdrawal {
        channel: Word,
        /// When it was started, Unix seconds.
        started: u64,
    },
    /// Development money.
    Mint {
        token: Address,
        to: Address,
        amount: Amount,
    },
    /// Gas for an empty account of a development chain.
    Fund { account: Address },
}

/// An action on a contributor pool.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum PoolTxAction {
    /// A contributor's payment, after the pool had paid so much in total.
    Fetch {
        contributor: Address,
        paid: Amount,
    },
    Activate,
    Propose {
        root: Word,
    },
    Contest,
    Demand,
    Divide,
}

/// A transaction without a key, whose label has no form that an earlier version has written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the journal does not say in a known way what transaction {tx} is for: `{label}`")]
pub struct UnknownTxLabel {
    pub tx: String,
    pub label: String,
}

impl TxKey {
    /// Whether a recorded key may be that of the same transaction: refunds that an earlier version
    /// recorded lack their number.
    pub fn may_be(&self, asked: &Self) -> bool {
        match (self, asked) {
            (
                Self::Refund {
                    channel,
                    refund_nonce: None,
                    ..
                },
                Self::Refund { channel: other, .. },
            ) => channel == other,
            _ => self == asked,
        }
    }
}

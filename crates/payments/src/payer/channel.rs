//! Channels in the payer store. Only one call uses a channel at a time. A channel that is being
//! refunded is never used again.

use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};

use super::{
    PayerError,
    lease::ChannelLease,
    store::{PayerStore, StoreFault, now_ms},
};
use crate::x402::{binding::marked, digest::EscrowDomain};
use openlora_core::{Address, Amount, Word};
use openlora_ledger::ChannelTerms;

/// Whether a channel may be paid from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PayerChannelState {
    Open,
    /// The server was asked to give back the rest, and has not answered yet.
    Refunding,
    /// The payer takes back the rest on the chain, which takes its delay.
    Withdrawing,
    /// The rest was given back.
    Refunded,
    /// The development chain that it was on is gone.
    Ended,
}

impl PayerChannelState {
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Refunding => "refunding",
            Self::Withdrawing => "withdrawing",
            Self::Refunded => "refunded",
            Self::Ended => "ended",
        }
    }
}

/// The highest voucher that was ever signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedVoucher {
    pub max: Amount,
    /// 0x and hex digits.
    pub signature: String,
}

/// A signed deposit that the chain has not shown yet. Sent again it is the same one: its nonce
/// is good once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingDeposit {
    pub amount: Amount,
    /// Unix seconds.
    pub valid_before: u64,
    pub salt: Word,
    pub signature: String,
    /// The channel's balance once it is mined.
    pub balance_after: Amount,
}

/// How a token names itself in what is signed (EIP-712).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenName {
    pub name: String,
    pub version: String,
}

/// Where a channel's receiver is reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SellerRoute {
    /// The address of the server, as it was called.
    pub server: String,
    /// What was bought there last.
    pub adapter: String,
    /// The address that sells it.
    pub route: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayerChannel {
    pub chain_id: u64,
    pub id: Word,
    pub config: ChannelTerms,
    pub token: TokenName,
    pub seller: SellerRoute,
    pub state: PayerChannelState,
    /// What the chain said last.
    pub balance: Amount,
    pub claimed: Amount,
    /// What calls have cost, as the server says and our signatures allow.
    pub charged: Amount,
    pub signed: Option<SignedVoucher>,
    pub pending: Option<PendingDeposit>,
    /// Unix milliseconds.
    pub opened_ms: u64,
    pub used_ms: u64,
}

impl PayerChannel {
    /// What is not charged yet.
    pub fn left(&self) -> Amount {
        self.balance.saturating_sub(self.charged)
    }

    fn covers(&self, quote: Amount) -> bool {
        self.left() >= quote
    }
}

/// Terms that a channel must have to pay an offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelRequirements {
    pub chain_id: u64,
    pub payer: Address,
    pub receiver: Address,
    pub receiver_authorizer: Address,
    pub token: Address,
    pub withdraw_delay: u64,
    pub domain: TokenName,
    pub seller: SellerRoute,
}

impl ChannelRequirements {
    /// Payers sign their own vouchers.
    fn config(&self, salt: Word) -> ChannelTerms {
        ChannelTerms {
            payer: self.payer,
            payer_authorizer: self.payer,
            receiver: self.receiver,
            receiver_authorizer: self.receiver_authorizer,
            token: self.token,
            withdraw_delay: self.withdraw_delay,
            salt,
        }
    }

    fn fits(&self, channel: &PayerChannel) -> bool {
        channel.state == PayerChannelState::Open
            && channel.chain_id == self.chain_id
            && channel.config == self.config(channel.config.salt)
    }

    fn fresh(&self) -> PayerChannel {
        let salt = marked();
        let config = self.config(salt);
        let now = now_ms();
        PayerChannel {
            chain_id: self.chain_id,
            id: EscrowDomain::for_chain(self.chain_id).channel_id(&config),
            config,
            token: self.domain.clone(),
            seller: self.seller.clone(),
            state: PayerChannelState::Open,
            balance: Amount::ZERO,
            claimed: Amount::ZERO,
            charged: Amount::ZERO,
            signed: None,
            pending: None,
            opened_ms: now,
            used_ms: now,
        }
    }
}

/// A channel leased for exclusive use.
#[derive(Debug)]
pub struct LeasedChannel {
    pub channel: PayerChannel,
    /// Nothing was signed for it yet, so it is neither in the store nor on the chain.
    pub(super) is_new: bool,
    _lease: ChannelLease,
}

impl PayerStore {
    /// Leases a channel for a call that may cost `quote`: one with enough money in it, else any
    /// free one, else a new, empty one. `but` is not used.
    pub fn lease_for(
        &self,
        wanted: &ChannelRequirements,
        quote: Amount,
        but: Option<Word>,
    ) -> Result<LeasedChannel, PayerError> {
        let mut fitting = self.channels()?;
        fitting.retain(|channel| wanted.fits(channel) && Some(channel.id) != but);
        fitting.sort_by_key(|channel| {
            let last = std::cmp::Reverse(channel.used_ms);
            (!channel.covers(quote), last)
        });
        for channel in fitting {
            match self.lease(channel.chain_id, channel.id) {
                Ok(leased) if wanted.fits(&leased.channel) => return Ok(leased),
                Ok(_) | Err(PayerError::Busy { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        self.lease_new(wanted)
    }

    /// Leases a new, empty channel. The store keeps it with the first signature for it.
    pub fn lease_new(&self, wanted: &ChannelRequirements) -> Result<LeasedChannel, PayerError> {
        let channel = wanted.fresh();
        let lease = self.try_lease(&name(&channel))?;
        let _lease = lease.ok_or(PayerError::Busy {
            channel: channel.id,
        })?;
        Ok(LeasedChannel {
            channel,
            is_new: true,
            _lease,
        })
    }

    /// Leases a known channel and reads its state under the lease. Fails if another call uses it.
    pub fn lease(&self, chain_id: u64, id: Word) -> Result<LeasedChannel, PayerError> {
        let lease = self.try_lease(&format!("{chain_id}-{id}"))?;
        let _lease = lease.ok_or(PayerError::Busy { channel: id })?;
        let channel = self.read(|connection| find(connection, chain_id, id))?;
        let channel = channel.ok_or_else(|| PayerError::NoChannel {
            wanted: id.to_string(),
            known: Vec::new(),
        })?;
        Ok(LeasedChannel {
            channel,
            is_new: false,
            _lease,
        })
    }

    /// Every channel, most recently used first.
    pub fn channels(&self) -> Result<Vec<PayerChannel>, PayerError> {
        self.read(|connection| {
            let mut all =
                connection.prepare_cached("SELECT body FROM channels ORDER BY used_ms DESC, id")?;
            let rows = all.query_map([], |row| row.get::<_, String>(0))?;
            rows.map(|body| Ok(serde_json::from_str(&body?)?)).collect()
        })
    }

    /// The channel that a text identifies: an id or a prefix of it.
    pub fn channel_named(&self, text: &str) -> Result<PayerChannel, PayerError> {
        let all = self.channels()?;
        let mut meant = all.iter().filter(|it| it.id.to_string().starts_with(text));
        match (meant.next(), meant.next()) {
            (Some(channel), None) => Ok(channel.clone()),
            _ => Err(PayerError::NoChannel {
                wanted: text.to_owned(),
                known: all.iter().map(|it| it.id.to_string()).collect(),
            }),
        }
    }

    pub fn keep_channel(&self, channel: &PayerChannel) -> Result<(), PayerError> {
        self.write(|transaction| put(transaction, channel))
    }
}

fn name(channel: &PayerChannel) -> String {
    format!("{}-{}", channel.chain_id, channel.id)
}

fn find(
    connection: &Connection,
    chain_id: u64,
    id: Word,
) -> Result<Option<PayerChannel>, StoreFault> {
    let query = "SELECT body FROM channels WHERE chain_id = ?1 AND id = ?2";
    let key = params![chain_id.cast_signed(), id.to_string()];
    let body: Option<String> = connection
        .query_row(query, key, |row| row.get(0))
        .optional()?;
    Ok(body.map(|body| serde_json::from_str(&body)).transpose()?)
}

pub(super) fn put(connection: &Connection, channel: &PayerChannel) -> Result<(), StoreFault> {
    let insert = "INSERT OR REPLACE INTO channels (chain_id, id, state, used_ms, body) \
                  VALUES (?1, ?2, ?3, ?4, ?5)";
    connection.execute(
        insert,
        params![
            channel.chain_id.cast_signed(),
            channel.id.to_string(),
            channel.state.name(),
            channel.used_ms.cast_signed(),
            serde_json::to_string(channel)?
        ],
    )?;
    Ok(())
}

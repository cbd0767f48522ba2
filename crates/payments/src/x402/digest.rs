//! The EIP-712 digests that payers and receivers sign: terms of channels, vouchers, refunds and
//! claims of the escrow, and authorizations of ERC-3009 tokens.
//!
//! The layout is written out, one word after another, because a voucher is checked before every
//! call. Tests compare every digest with those of the escrow and of the stock packages.

use std::sync::LazyLock;

use alloy::primitives::{B256, U256, keccak256};

use super::wire::TransferAuthorization;
use openlora_contracts as contracts;
use openlora_core::{Address, Amount, Word};
use openlora_ledger::ChannelTerms;

static DOMAIN: LazyLock<B256> = LazyLock::new(|| {
    keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")
});
static CONFIG: LazyLock<B256> = LazyLock::new(|| {
    keccak256(
        "ChannelConfig(address payer,address payerAuthorizer,address receiver,\
         address receiverAuthorizer,address token,uint40 withdrawDelay,bytes32 salt)",
    )
});
static VOUCHER: LazyLock<B256> =
    LazyLock::new(|| keccak256("Voucher(bytes32 channelId,uint128 maxClaimableAmount)"));
static REFUND: LazyLock<B256> =
    LazyLock::new(|| keccak256("Refund(bytes32 channelId,uint256 nonce,uint128 amount)"));
static ENTRY: LazyLock<B256> = LazyLock::new(|| {
    keccak256("ClaimEntry(bytes32 channelId,uint128 maxClaimableAmount,uint128 totalClaimed)")
});
static CLAIM_BATCH: LazyLock<B256> = LazyLock::new(|| {
    keccak256(
        "ClaimBatch(ClaimEntry[] claims)\
         ClaimEntry(bytes32 channelId,uint128 maxClaimableAmount,uint128 totalClaimed)",
    )
});
static RECEIVE: LazyLock<B256> = LazyLock::new(|| authorization_type("Receive"));
static TRANSFER: LazyLock<B256> = LazyLock::new(|| authorization_type("Transfer"));
static CANCEL: LazyLock<B256> =
    LazyLock::new(|| keccak256("CancelAuthorization(address authorizer,bytes32 nonce)"));

fn authorization_type(deed: &str) -> B256 {
    keccak256(format!(
        "{deed}WithAuthorization(address from,address to,uint256 value,uint256 validAfter,\
         uint256 validBefore,bytes32 nonce)"
    ))
}

/// The types that fit into one word of an encoding.
pub(super) enum EncodedWord {
    Word([u8; 32]),
    Number(U256),
    Account(Address),
}

impl From<B256> for EncodedWord {
    fn from(word: B256) -> Self {
        Self::Word(word.0)
    }
}

impl From<Word> for EncodedWord {
    fn from(word: Word) -> Self {
        Self::Word(word.0)
    }
}

impl From<Amount> for EncodedWord {
    fn from(amount: Amount) -> Self {
        Self::Number(U256::from(amount.0))
    }
}

impl From<u64> for EncodedWord {
    fn from(number: u64) -> Self {
        Self::Number(U256::from(number))
    }
}

impl From<Address> for EncodedWord {
    fn from(address: Address) -> Self {
        Self::Account(address)
    }
}

impl EncodedWord {
    fn bytes(self) -> [u8; 32] {
        match self {
            Self::Word(word) => word,
            Self::Number(number) => number.to_be_bytes(),
            Self::Account(address) => alloy::primitives::Address::from(address).into_word().0,
        }
    }
}

/// keccak256(abi.encode(parts)) for parts of one word each.
pub(super) fn hash<const N: usize>(parts: [EncodedWord; N]) -> B256 {
    keccak256(parts.map(EncodedWord::bytes).as_flattened())
}

pub(super) fn separator(name: &str, version: &str, chain_id: u64, contract: Address) -> B256 {
    hash([
        (*DOMAIN).into(),
        keccak256(name).into(),
        keccak256(version).into(),
        chain_id.into(),
        contract.into(),
    ])
}

pub(super) fn typed(separator: B256, structure: B256) -> Word {
    let mut bytes = [0; 66];
    bytes[..2].copy_from_slice(&[0x19, 0x01]);
    bytes[2..34].copy_from_slice(separator.as_slice());
    bytes[34..].copy_from_slice(structure.as_slice());
    Word(keccak256(bytes).0)
}

/// One channel of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClaimEntry {
    pub channel: Word,
    /// The total that the payer's voucher allows.
    pub max: Amount,
    /// The channel's total after the claim.
    pub claimed: Amount,
}

/// The signing domain of the escrow on one chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EscrowDomain(B256);

impl EscrowDomain {
    /// The domain of the canonical escrow.
    pub fn for_chain(chain_id: u64) -> Self {
        let escrow = contracts::ESCROW.into();
        Self(separator("x402 Batch Settlement", "1", chain_id, escrow))
    }

    /// A channel's id: the digest of its terms, not their struct hash.
    pub fn channel_id(&self, config: &ChannelTerms) -> Word {
        let terms = hash([
            (*CONFIG).into(),
            config.payer.into(),
            config.payer_authorizer.into(),
            config.receiver.into(),
            config.receiver_authorizer.into(),
            config.token.into(),
            config.withdraw_delay.into(),
            config.salt.into(),
        ]);
        typed(self.0, terms)
    }

    pub fn voucher(&self, channel: Word, max: Amount) -> Word {
        typed(
            self.0,
            hash([(*VOUCHER).into(), channel.into(), max.into()]),
        )
    }

    pub fn refund(&self, channel: Word, nonce: u64, amount: Amount) -> Word {
        let parts = [
            (*REFUND).into(),
            channel.into(),
            nonce.into(),
            amount.into(),
        ];
        typed(self.0, hash(parts))
    }

    pub fn claim_batch(&self, entries: &[ClaimEntry]) -> Word {
        let rows: Vec<u8> = entries
            .iter()
            .flat_map(|entry| {
                hash([
                    (*ENTRY).into(),
                    entry.channel.into(),
                    entry.max.into(),
                    entry.claimed.into(),
                ])
                .0
            })
            .collect();
        typed(
            self.0,
            hash([(*CLAIM_BATCH).into(), keccak256(rows).into()]),
        )
    }
}

/// The signing domain of a token with ERC-3009.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenDomain(B256);

impl TokenDomain {
    pub fn for_token(name: &str, version: &str, chain_id: u64, token: Address) -> Self {
        Self(separator(name, version, chain_id, token))
    }

    /// The digest whose signature lets only `to` itself collect the money.
    pub fn receive(&self, authorization: &TransferAuthorization) -> Word {
        self.authorization(*RECEIVE, authorization)
    }

    /// The digest whose signature lets any account move the money to `to`.
    pub fn transfer(&self, authorization: &TransferAuthorization) -> Word {
        self.authorization(*TRANSFER, authorization)
    }

    /// The digest whose signature cancels an authorization.
    pub fn cancel(&self, authorizer: Address, nonce: Word) -> Word {
        let parts = [(*CANCEL).into(), authorizer.into(), nonce.into()];
        typed(self.0, hash(parts))
    }

    fn authorization(&self, kind: B256, authorization: &TransferAuthorization) -> Word {
        let parts = [
            kind.into(),
            authorization.from.into(),
            authorization.to.into(),
            authorization.value.into(),
            EncodedWord::Number(authorization.valid_after),
            EncodedWord::Number(authorization.valid_before),
            authorization.nonce.into(),
        ];
        typed(self.0, hash(parts))
    }
}

/// The nonce of the authorization for a deposit into a channel.
pub fn deposit_nonce(channel: Word, salt: Word) -> Word {
    Word(hash([channel.into(), salt.into()]).0)
}

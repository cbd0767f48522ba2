//! The EIP-712 digests that payers sign: terms of channels and vouchers of the escrow, and
//! authorizations of ERC-3009 tokens.
//!
//! Tests compare them with those of the escrow and of the stock packages.

use alloy::{
    primitives::{B256, U256, keccak256},
    sol_types::{Eip712Domain, SolStruct},
};

use super::wire::TransferAuthorization;
pub use crate::settlement::deposit_nonce;
use openlora_chain::registry::ChannelConfig;
use openlora_contracts as contracts;
use openlora_core::{Address, Amount, Word};
use openlora_ledger::ChannelTerms;

/// The structs as the contracts declare them.
mod declared {
    alloy::sol! {
        struct Voucher {
            bytes32 channelId;
            uint128 maxClaimableAmount;
        }

        struct ReceiveWithAuthorization {
            address from;
            address to;
            uint256 value;
            uint256 validAfter;
            uint256 validBefore;
            bytes32 nonce;
        }

        struct TransferWithAuthorization {
            address from;
            address to;
            uint256 value;
            uint256 validAfter;
            uint256 validBefore;
            bytes32 nonce;
        }
    }
}

/// The separator of a domain. It is kept, because a voucher is checked before every call.
pub(super) fn separator(name: &str, version: &str, chain_id: u64, contract: Address) -> B256 {
    let domain = Eip712Domain::new(
        Some(name.to_owned().into()),
        Some(version.to_owned().into()),
        Some(U256::from(chain_id)),
        Some(contract.into()),
        None,
    );
    domain.separator()
}

/// The digest of a struct in a domain.
pub(super) fn signing_digest(separator: B256, value: &impl SolStruct) -> Word {
    let content = value.eip712_hash_struct();
    keccak256([&[0x19, 0x01], &separator[..], &content[..]].concat()).into()
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
        signing_digest(self.0, &ChannelConfig::from(config))
    }

    pub fn voucher(&self, channel: Word, max: Amount) -> Word {
        let voucher = declared::Voucher {
            channelId: channel.into(),
            maxClaimableAmount: max.0,
        };
        signing_digest(self.0, &voucher)
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
        let receive = declared::ReceiveWithAuthorization {
            from: authorization.from.into(),
            to: authorization.to.into(),
            value: U256::from(authorization.value.0),
            validAfter: authorization.valid_after,
            validBefore: authorization.valid_before,
            nonce: authorization.nonce.into(),
        };
        signing_digest(self.0, &receive)
    }

    /// The digest whose signature lets any account move the money to `to`.
    pub fn transfer(&self, authorization: &TransferAuthorization) -> Word {
        let transfer = declared::TransferWithAuthorization {
            from: authorization.from.into(),
            to: authorization.to.into(),
            value: U256::from(authorization.value.0),
            validAfter: authorization.valid_after,
            validBefore: authorization.valid_before,
            nonce: authorization.nonce.into(),
        };
        signing_digest(self.0, &transfer)
    }
}

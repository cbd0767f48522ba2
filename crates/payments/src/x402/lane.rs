//! One way to be paid: the offer on a chain, and the values derived from it.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    binding::BindingDomain,
    digest::{EscrowDomain, TokenDomain},
};
use crate::settlement::ChainSettlement;
use openlora_contracts::ESCROW;
use openlora_core::{Address, Amount, units::in_units};

/// The token that is accepted on one chain, with its fees and minimums.
#[derive(Clone)]
pub struct ChainOffer {
    pub settlement: Arc<dyn ChainSettlement>,
    /// The same chain through other accounts whose keys are at hand: they refund the channels that
    /// name them.
    pub others: BTreeMap<Address, Arc<dyn ChainSettlement>>,
    pub token: Address,
    /// How amounts are written for people.
    pub token_symbol: String,
    pub token_decimals: u8,
    /// The token's signing domain (EIP-712).
    pub token_name: String,
    pub token_version: String,
    /// Seconds between start and end of a payer's withdrawal.
    pub withdraw_delay: u64,
    /// The smallest deposit, because deposits cost us gas.
    pub min_deposit: Amount,
    /// Refunds cost us gas too. A signed refund request pays this fee. For an unsigned request, the
    /// same amount stays in the channel.
    pub refund_fee: Amount,
    /// The lowest price for which an `exact` transfer is offered, because each costs us gas.
    pub min_exact: Amount,
}

/// A chain's offer with the values derived from it.
pub(super) struct PaymentMethod {
    pub chain_offer: ChainOffer,
    pub chain_id: u64,
    pub escrow: EscrowDomain,
    pub token: TokenDomain,
    /// The signing domain of request bindings for channel payments.
    pub binding: BindingDomain,
}

impl PaymentMethod {
    pub fn new(chain_offer: ChainOffer) -> Self {
        let chain_id = chain_offer.settlement.network().chain_id;
        let (name, version) = (&chain_offer.token_name, &chain_offer.token_version);
        Self {
            chain_id,
            escrow: EscrowDomain::for_chain(chain_id),
            binding: BindingDomain::for_contract(chain_id, ESCROW.into()),
            token: TokenDomain::for_token(name, version, chain_id, chain_offer.token),
            chain_offer,
        }
    }

    /// An amount of the token for people.
    pub fn shown(&self, amount: Amount) -> String {
        let ChainOffer {
            token_symbol,
            token_decimals,
            ..
        } = &self.chain_offer;
        format!("{} {token_symbol}", in_units(amount, *token_decimals))
    }

    pub fn settlement(&self) -> &dyn ChainSettlement {
        &*self.chain_offer.settlement
    }

    /// The chain through the account that refunds a channel.
    pub fn settlement_of(&self, authorizer: Address) -> &dyn ChainSettlement {
        let other = self.chain_offer.others.get(&authorizer);
        &**other.unwrap_or(&self.chain_offer.settlement)
    }
}

//! Paying for a call: sign, write down, and only then hand out; then read what came of it.

use alloy::primitives::{Bytes, U256, hex};

use super::{
    Money, PurseError, chain,
    channel::{Channel, Leased, Pending, Seller, Signed},
    offer::Offer,
    spending::{Budget, Fate, Number, Spending},
    store::{Purse, now_ms},
};
use crate::{
    runtime::ledger::{Amount, Scheme, Word},
    wallet::{
        contracts::COLLECTOR,
        keystore::Account,
        network::Token,
        provider::Chain,
        x402::{
            digest::{EscrowDomain, TokenDomain, deposit_nonce},
            signature,
            wire::{
                Authorization, Batch, Deed, DepositAuthorization, DepositPart, Erc3009, Exact,
                Payload, PaymentPayload, PaymentRequired, Voucher,
            },
        },
    },
};

/// How many calls at the quoted price a deposit is for.
const CALLS: u128 = 5;
/// The longest that an authorization is good for, in seconds, whatever a server asks.
const LONGEST: u64 = 3_600;
/// A signed deposit that ends sooner than this is not sent again, in seconds.
const MARGIN: u64 = 30;

/// Who pays, from what, on which chain.
pub struct Payer {
    pub purse: Purse,
    pub chain: Chain,
    pub token: Token,
    pub account: Account,
    /// The most that may be spent in a day.
    pub budget: Amount,
}

/// What is bought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    pub request_id: String,
    pub seller: Seller,
}

/// A payment that is written down and may leave the process.
#[derive(Debug)]
#[must_use = "it counts as spent until it is settled"]
pub struct Sent {
    /// The value of `PAYMENT-SIGNATURE`.
    pub header: String,
    pub(super) offer: Offer,
    pub(super) order: Order,
    pub(super) number: Number,
    pub(super) spending: Spending,
    pub(super) leased: Option<Leased>,
}

/// A payment whose end is known.
#[derive(Clone, Debug, PartialEq)]
pub struct Paid {
    pub number: Number,
    pub spending: Spending,
}

impl Sent {
    /// What goes into a channel with it.
    pub fn deposit(&self) -> Amount {
        self.spending.deposit
    }

    pub fn spending(&self) -> &Spending {
        &self.spending
    }
}

impl Purse {
    /// Reads what the chain has of a channel that nobody else uses, and keeps it.
    pub async fn observe(&self, chain: &Chain, channel: &mut Channel) -> Result<(), PurseError> {
        let held = chain::held(chain, channel.id).await?;
        channel.balance = held.balance;
        channel.claimed = held.claimed;
        // Only our own signature can have let so much be claimed.
        channel.charged = channel.charged.max(held.claimed);
        let arrived = |pending: &Pending| held.balance >= pending.balance_after;
        if channel.pending.as_ref().is_some_and(arrived) {
            channel.pending = None;
            return self.deposit_seen(channel);
        }
        self.keep_channel(channel)
    }
}

impl Payer {
    pub fn money(&self, amount: Amount) -> Money {
        Money::of(amount, &self.token)
    }

    /// Unix seconds.
    pub fn now(&self) -> u64 {
        now_ms() / 1_000
    }

    pub(super) fn chain_id(&self) -> u64 {
        self.chain.network.chain_id
    }

    /// Signs for a call, and for a deposit where the channel does not cover it.
    pub async fn pay(
        &self,
        required: &PaymentRequired,
        offer: Offer,
        order: Order,
    ) -> Result<Sent, PurseError> {
        self.settle_expired().await?;
        match offer.scheme {
            Scheme::Exact => self.pay_once(required, offer, order).await,
            Scheme::BatchSettlement => {
                let wanted = offer.wanted(self.chain_id(), self.account.address(), &order.seller);
                let leased = self.purse.lease_for(&wanted, offer.terms.amount, None)?;
                self.pay_from(leased, required, offer, order).await
            }
        }
    }

    /// Finds out by the chain what became of authorizations that have ended since.
    async fn settle_expired(&self) -> Result<(), PurseError> {
        let now = self.now();
        for (number, mut spending) in self.purse.expired(self.chain_id(), now)? {
            let asked = chain::is_used(&self.chain, spending.token, spending.payer, spending.word);
            spending.fate = match asked.await? {
                true => Fate::Charged {
                    amount: spending.quote,
                },
                false => Fate::Void,
            };
            self.purse.settle(number, &spending, None)?;
        }
        Ok(())
    }

    async fn pay_once(
        &self,
        required: &PaymentRequired,
        offer: Offer,
        order: Order,
    ) -> Result<Sent, PurseError> {
        let quote = offer.terms.amount;
        let held = self.funds().await?;
        if held < quote {
            return Err(self.poor(held, quote));
        }
        let valid_before = until(&offer);
        let authorization = Authorization {
            from: self.account.address(),
            to: offer.terms.pay_to,
            value: quote,
            valid_after: U256::ZERO,
            valid_before: U256::from(valid_before),
            nonce: Word(rand::random()),
        };
        let digest = self.token_domain(&offer.token, offer.terms.asset);
        let signature = self.sign(digest.transfer(&authorization))?;
        let mut spending = self.spending(&offer, &order, authorization.nonce);
        spending.signature = hex::encode_prefixed(&signature);
        spending.valid_before = valid_before;
        let payload = Payload::Exact(Exact {
            signature,
            authorization,
        });
        let header = header(required, &offer, &payload)?;
        let number = self.purse.record(&spending, None, self.day())?;
        Ok(Sent {
            header,
            offer,
            order,
            number,
            spending,
            leased: None,
        })
    }

    pub(super) async fn pay_from(
        &self,
        mut leased: Leased,
        required: &PaymentRequired,
        offer: Offer,
        order: Order,
    ) -> Result<Sent, PurseError> {
        let channel = &mut leased.channel;
        let quote = offer.terms.amount;
        if channel.pending.is_some() || channel.left() < quote {
            self.observe(channel).await?;
        }
        let max = channel.charged.saturating_add(quote);
        let missing = max.saturating_sub(channel.balance);
        let deposit = match missing.is_zero() {
            true => None,
            false => Some(self.sign_deposit(channel, &offer, missing).await?),
        };
        let domain = EscrowDomain::of(channel.chain_id);
        let signature = self.sign(domain.voucher(channel.id, max))?;
        let mut spending = self.spending(&offer, &order, channel.id);
        spending.before = channel.charged;
        spending.signature = hex::encode_prefixed(&signature);
        spending.deposit = deposit.as_ref().map_or(Amount::ZERO, |it| it.amount);
        let payload = Payload::Batch(Box::new(Batch {
            config: channel.config.clone().into(),
            voucher: Voucher {
                channel_id: channel.id,
                max_claimable_amount: max,
                signature,
            },
            deed: deposit.map_or(Deed::Voucher, Deed::Deposit),
        }));
        let header = header(required, &offer, &payload)?;
        if channel
            .signed
            .as_ref()
            .is_none_or(|signed| signed.max < max)
        {
            channel.signed = Some(Signed {
                max,
                signature: spending.signature.clone(),
            });
        }
        channel.used_ms = spending.time_ms;
        channel.seller = order.seller.clone();
        let number = self.purse.record(&spending, Some(channel), self.day())?;
        Ok(Sent {
            header,
            offer,
            order,
            number,
            spending,
            leased: Some(leased),
        })
    }

    /// The deposit that an earlier call signed and the chain does not show, as long as it is good;
    /// else a new one.
    async fn sign_deposit(
        &self,
        channel: &mut Channel,
        offer: &Offer,
        missing: Amount,
    ) -> Result<DepositPart, PurseError> {
        let good_until = self.now() + MARGIN;
        let earlier = channel
            .pending
            .take()
            .filter(|it| it.valid_before > good_until && it.amount >= least(offer, missing));
        let pending = match earlier {
            Some(pending) => pending,
            None => {
                let amount = self.size(offer, missing).await?;
                self.authorize_deposit(channel, amount, until(offer))?
            }
        };
        let part = part(&pending);
        channel.pending = Some(pending);
        Ok(part)
    }

    /// Signs that the collector may fetch an amount for a channel.
    pub fn authorize_deposit(
        &self,
        channel: &Channel,
        amount: Amount,
        valid_before: u64,
    ) -> Result<Pending, PurseError> {
        let salt = Word(rand::random());
        let authorization = Authorization {
            from: channel.config.payer,
            to: COLLECTOR.into(),
            value: amount,
            valid_after: U256::ZERO,
            valid_before: U256::from(valid_before),
            nonce: deposit_nonce(channel.id, salt),
        };
        let domain = self.token_domain(&channel.token, channel.config.token);
        let signature = self.sign(domain.receive(&authorization))?;
        Ok(Pending {
            amount,
            valid_before,
            salt,
            signature: hex::encode_prefixed(&signature),
            balance_after: channel.balance.saturating_add(amount),
        })
    }

    /// Enough for some calls, within the day's budget and what the account has.
    async fn size(&self, offer: &Offer, missing: Amount) -> Result<Amount, PurseError> {
        let quote = offer.terms.amount;
        let least = least(offer, missing);
        let several = Amount(quote.0.saturating_mul(CALLS));
        let spent = self
            .purse
            .spent(self.chain_id(), self.token.address, now_ms())?;
        let held = self.funds().await?;
        let within = self.budget.saturating_sub(spent).min(held);
        let amount = least.max(several.min(within));
        if amount > held {
            return Err(self.poor(held, amount));
        }
        Ok(amount)
    }

    /// Reads what the chain has of a channel, and keeps it.
    pub async fn observe(&self, channel: &mut Channel) -> Result<(), PurseError> {
        self.purse.observe(&self.chain, channel).await
    }

    pub async fn funds(&self) -> Result<Amount, PurseError> {
        let account = self.account.address();
        Ok(chain::funds(&self.chain, self.token.address, account).await?)
    }

    pub fn poor(&self, held: Amount, needed: Amount) -> PurseError {
        PurseError::Funds {
            account: self.account.address(),
            network: self.chain.network.name.clone(),
            held: self.money(held),
            needed: self.money(needed),
        }
    }

    fn day(&self) -> Budget<'_> {
        Budget {
            limit: self.budget,
            token: &self.token,
        }
    }

    fn token_domain(
        &self,
        token: &super::channel::TokenName,
        asset: crate::runtime::ledger::Address,
    ) -> TokenDomain {
        TokenDomain::of(&token.name, &token.version, self.chain_id(), asset)
    }

    pub(super) fn sign(&self, digest: Word) -> Result<Bytes, PurseError> {
        Ok(signature::sign(&self.account, digest)?.to_vec().into())
    }

    fn spending(&self, offer: &Offer, order: &Order, word: Word) -> Spending {
        Spending {
            request_id: order.request_id.clone(),
            time_ms: now_ms(),
            server: order.seller.server.clone(),
            adapter: order.seller.adapter.clone(),
            scheme: offer.scheme,
            chain_id: self.chain_id(),
            token: offer.terms.asset,
            receiver: offer.terms.pay_to,
            payer: self.account.address(),
            word,
            before: Amount::ZERO,
            quote: offer.terms.amount,
            deposit: Amount::ZERO,
            signature: String::new(),
            valid_before: 0,
            fate: Fate::Open,
            receipt: None,
        }
    }
}

/// The smallest deposit that a server takes and that covers what is missing. A minimum below the
/// price is none.
fn least(offer: &Offer, missing: Amount) -> Amount {
    let asked = offer.terms.extra.min_deposit;
    let asked = asked.filter(|asked| *asked >= offer.terms.amount);
    missing.max(asked.unwrap_or_default())
}

fn until(offer: &Offer) -> u64 {
    now_ms() / 1_000 + offer.terms.max_timeout_seconds.min(LONGEST)
}

fn part(pending: &Pending) -> DepositPart {
    // What is in the purse was written by us.
    let signature = hex::decode(&pending.signature).unwrap_or_default();
    DepositPart {
        amount: pending.amount,
        authorization: DepositAuthorization {
            erc3009: Some(Erc3009 {
                valid_after: U256::ZERO,
                valid_before: U256::from(pending.valid_before),
                salt: pending.salt,
                signature: signature.into(),
            }),
        },
    }
}

pub(super) fn header(
    required: &PaymentRequired,
    offer: &Offer,
    payload: &Payload,
) -> Result<String, PurseError> {
    PaymentPayload::answering(required, offer.raw.clone(), payload)
        .and_then(|payment| payment.encode())
        .map_err(|problem| PurseError::Wire {
            server: offer.server.clone(),
            problem,
        })
}

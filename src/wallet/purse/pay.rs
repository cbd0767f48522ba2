//! Paying for a call: sign, write down, and only then hand out; then read what came of it.

use alloy::primitives::{Bytes, U256, hex};

use super::{
    Deposit, Money, PurseError, Stage,
    attempt::{Attempt, Order},
    budget::{self, Budget},
    chain,
    channel::{Channel, Leased, Pending, Signed},
    offer::Offer,
    spending::{Fate, Record, Spending},
    store::{Number, Purse, now_ms},
};
use crate::{
    runtime::ledger::{Address, Amount, Scheme, Word},
    wallet::{
        contracts::{COLLECTOR, ESCROW},
        keystore::Account,
        network::Token,
        provider::Chain,
        x402::{
            binding::{BindingDomain, Extension, RequestBinding, extended, marked, request_hash},
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
/// How much later than ours a chain's clock may be, in seconds: what ended sooner may still be used.
pub(super) const SKEW: u64 = 120;

/// Who pays, from what, on which chain.
pub struct Payer {
    pub purse: Purse,
    pub chain: Chain,
    pub token: Token,
    pub account: Account,
    /// The most that may be spent in a day.
    pub budget: Amount,
    /// The most that may be in channels at the same time.
    pub max_locked: Amount,
    /// The most that a refund may cost.
    pub max_refund_fee: Amount,
}

/// A payment that is thought out: nothing of it is signed yet, and dropping it costs nothing.
#[derive(Debug)]
#[must_use = "nothing is paid until it is signed"]
pub struct Prepared {
    pub(super) offer: Offer,
    pub(super) order: Order,
    leased: Option<Leased>,
    top: Top,
    /// The highest total that was signed for the channel before this call.
    prior: Amount,
}

/// What goes into the channel with a payment.
#[derive(Debug)]
enum Top {
    Nothing,
    /// The deposit that an earlier payment signed, as long as it is good.
    Again(Pending),
    New(Amount),
}

impl Prepared {
    pub fn offer(&self) -> &Offer {
        &self.offer
    }

    /// What was signed during the same call does not count as signed before it.
    pub(super) fn keep_prior(&mut self, prior: Amount) {
        self.prior = self.prior.min(prior);
    }

    /// Money that leaves the account for a channel by this payment and by none before it.
    pub fn deposit(&self) -> Amount {
        match self.top {
            Top::New(amount) => amount,
            Top::Nothing | Top::Again(_) => Amount::ZERO,
        }
    }
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
    pub(super) prior: Amount,
    pub(super) fresh: Amount,
    pub(super) repeated: bool,
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

    /// The part of it that no earlier payment signed.
    pub fn fresh(&self) -> Amount {
        self.fresh
    }

    pub fn spending(&self) -> &Spending {
        &self.spending
    }

    pub fn offer(&self) -> &Offer {
        &self.offer
    }

    pub fn order(&self) -> &Order {
        &self.order
    }

    pub fn is_repeated(&self) -> bool {
        self.repeated
    }

    /// The server may have had it before: from now on a refusal proves nothing.
    pub fn repeat(&mut self) {
        self.repeated = true;
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
        match channel.pending.take_if(|pending| arrived(pending)) {
            Some(pending) => self.deposit_seen(channel, &pending),
            None => self.keep_channel(channel),
        }
    }
}

impl Payer {
    pub fn locked(&self) -> Result<Amount, PurseError> {
        self.purse.locked(self.chain_id(), self.token.address)
    }

    /// Whether so much more may go into channels, before anything is signed.
    ///
    /// # Errors
    /// It would be more than `call.max_locked`.
    pub fn check_locked(&self, deposit: Amount) -> Result<(), PurseError> {
        let before = self.locked()?;
        budget::check_locked(self.day(), (before, before.saturating_add(deposit)))
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

    /// Thinks a payment out: from which channel, and what would go into it. Of its own accord it
    /// puts in no more than `free`; what the server and the price demand may be more.
    pub async fn prepare(
        &self,
        offer: Offer,
        order: Order,
        free: Amount,
    ) -> Result<Prepared, PurseError> {
        self.settle_expired().await?;
        match offer.scheme {
            Scheme::Exact => {
                let (held, quote) = (self.funds().await?, offer.terms.amount);
                if held < quote {
                    return Err(self.poor(held, quote));
                }
                Ok(Prepared {
                    offer,
                    order,
                    leased: None,
                    top: Top::Nothing,
                    prior: Amount::ZERO,
                })
            }
            Scheme::BatchSettlement => {
                let wanted = offer.wanted(self.chain_id(), self.account.address(), &order.seller);
                let leased = self.purse.lease_for(&wanted, offer.terms.amount, None)?;
                self.prepare_from(leased, (offer, order), free).await
            }
        }
    }

    pub(super) async fn prepare_from(
        &self,
        mut leased: Leased,
        (offer, order): (Offer, Order),
        free: Amount,
    ) -> Result<Prepared, PurseError> {
        let is_new = leased.is_new;
        let channel = &mut leased.channel;
        let quote = offer.terms.amount;
        if !is_new && (channel.pending.is_some() || channel.left() < quote) {
            self.observe(channel).await?;
        }
        let max = channel.charged.saturating_add(quote);
        let missing = max.saturating_sub(channel.balance);
        let good_until = self.now() + MARGIN;
        let earlier = channel.pending.clone();
        let good =
            |it: &Pending| it.valid_before > good_until && it.amount >= least(&offer, missing);
        let top = match earlier.filter(good) {
            _ if missing.is_zero() => Top::Nothing,
            Some(pending) => Top::Again(pending),
            None => Top::New(self.size(&offer, missing, free).await?),
        };
        let prior = channel.signed.as_ref().map_or(Amount::ZERO, |it| it.max);
        Ok(Prepared {
            offer,
            order,
            leased: Some(leased),
            top,
            prior,
        })
    }

    /// Signs a payment and writes it down.
    pub fn sign_payment(
        &self,
        prepared: Prepared,
        required: &PaymentRequired,
    ) -> Result<Sent, PurseError> {
        let Prepared {
            offer,
            order,
            leased,
            top,
            prior,
        } = prepared;
        match leased {
            None => self.pay_once(required, offer, order),
            Some(leased) => self.pay_from((leased, top, prior), required, (offer, order)),
        }
    }

    /// The payment of an earlier process, to be sent once more.
    pub fn resume(&self, attempt: Attempt) -> Result<Sent, PurseError> {
        let number = self.purse.payment_of(&attempt)?;
        let spending = self.purse.numbered(number)?;
        if spending.chain_id != self.chain_id() || spending.payer != self.account.address() {
            return Err(PurseError::OtherPayer {
                account: spending.payer,
                chain_id: spending.chain_id,
            });
        }
        let leased = match spending.scheme {
            Scheme::Exact => None,
            Scheme::BatchSettlement => Some(self.purse.lease(spending.chain_id, spending.word)?),
        };
        Ok(Sent {
            header: attempt.header,
            offer: attempt.offer,
            order: attempt.order,
            number,
            prior: spending.before,
            fresh: Amount::ZERO,
            spending,
            leased,
            repeated: true,
        })
    }

    /// Finds out by the chain what became of authorizations that have ended since.
    async fn settle_expired(&self) -> Result<(), PurseError> {
        let ended = self.now().saturating_sub(SKEW);
        for (number, mut spending) in self.purse.expired(self.chain_id(), ended)? {
            let asked = chain::is_used(&self.chain, spending.token, spending.payer, spending.word);
            spending.fate = match asked.await? {
                true => Fate::Charged {
                    amount: spending.quote,
                },
                false => Fate::Void,
            };
            self.purse.settle(number, &spending, None)?;
        }
        for (number, mut deposit) in self.purse.expired_deposits(self.chain_id(), ended)? {
            let asked = chain::is_used(&self.chain, deposit.token, deposit.payer, deposit.nonce);
            deposit.stage = match asked.await? {
                true => Stage::Made,
                false => Stage::Void,
            };
            self.purse.settle_deposit(number, &deposit)?;
        }
        Ok(())
    }

    fn pay_once(
        &self,
        required: &PaymentRequired,
        offer: Offer,
        order: Order,
    ) -> Result<Sent, PurseError> {
        let quote = offer.terms.amount;
        let valid_before = until(&offer);
        let authorization = Authorization {
            from: self.account.address(),
            to: offer.terms.pay_to,
            value: quote,
            valid_after: U256::ZERO,
            valid_before: U256::from(valid_before),
            nonce: marked(),
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
        let binding = self.binding(&order, offer.terms.asset, (spending.word, quote))?;
        let header = header(required, &offer, &payload, &binding)?;
        let attempt = self.attempt(&offer, &order, &header);
        let record = Record {
            spending: &spending,
            channel: None,
            deposit: None,
            attempt: &attempt,
        };
        let number = self.purse.record(&record, self.day())?;
        Ok(Sent {
            header,
            offer,
            order,
            number,
            spending,
            leased: None,
            prior: Amount::ZERO,
            fresh: Amount::ZERO,
            repeated: false,
        })
    }

    fn pay_from(
        &self,
        (mut leased, top, prior): (Leased, Top, Amount),
        required: &PaymentRequired,
        (offer, order): (Offer, Order),
    ) -> Result<Sent, PurseError> {
        let channel = &mut leased.channel;
        let (pending, deposit) = match top {
            Top::Nothing => (None, None),
            Top::Again(pending) => (Some(pending), None),
            Top::New(amount) => {
                let pending = self.authorize_deposit(channel, amount, until(&offer))?;
                let deposit = Deposit::of(channel, &pending);
                channel.pending = Some(pending.clone());
                (Some(pending), Some(deposit))
            }
        };
        let max = channel.charged.saturating_add(offer.terms.amount);
        let domain = EscrowDomain::of(channel.chain_id);
        let signature = self.sign(domain.voucher(channel.id, max))?;
        let mut spending = self.spending(&offer, &order, channel.id);
        spending.before = channel.charged;
        spending.signature = hex::encode_prefixed(&signature);
        spending.deposit = pending.as_ref().map_or(Amount::ZERO, |it| it.amount);
        let payload = Payload::Batch(Box::new(Batch {
            config: channel.config.clone().into(),
            voucher: Voucher {
                channel_id: channel.id,
                max_claimable_amount: max,
                signature,
            },
            deed: pending.map_or(Deed::Voucher, |it| Deed::Deposit(part(&it))),
        }));
        let binding = self.binding(&order, ESCROW.into(), (channel.id, max))?;
        let header = header(required, &offer, &payload, &binding)?;
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
        let attempt = self.attempt(&offer, &order, &header);
        let record = Record {
            spending: &spending,
            channel: Some(channel),
            deposit: deposit.as_ref(),
            attempt: &attempt,
        };
        let number = self.purse.record(&record, self.day())?;
        Ok(Sent {
            header,
            offer,
            order,
            number,
            spending,
            leased: Some(leased),
            prior,
            fresh: deposit.map_or(Amount::ZERO, |it| it.amount),
            repeated: false,
        })
    }

    /// Binds a payment to the one request that it is for.
    fn binding(
        &self,
        order: &Order,
        contract: Address,
        (id, maximum): (Word, Amount),
    ) -> Result<RequestBinding, PurseError> {
        let request_hash = request_hash("POST", &order.path, order.body.as_bytes());
        let domain = BindingDomain::of(self.chain_id(), contract);
        let signature = self.sign(domain.request(id, maximum, request_hash))?;
        Ok(RequestBinding {
            request_hash,
            signature,
        })
    }

    fn attempt(&self, offer: &Offer, order: &Order, header: &str) -> Attempt {
        Attempt {
            time_ms: now_ms(),
            order: order.clone(),
            offer: offer.clone(),
            header: header.to_owned(),
            chain_id: self.chain_id(),
            quote: offer.terms.amount,
        }
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

    /// Enough for some calls, within what may be put in, the day's budget and what the account has.
    async fn size(
        &self,
        offer: &Offer,
        missing: Amount,
        free: Amount,
    ) -> Result<Amount, PurseError> {
        let quote = offer.terms.amount;
        let least = least(offer, missing);
        let several = Amount(quote.0.saturating_mul(CALLS));
        let spent = self
            .purse
            .spent(self.chain_id(), self.token.address, now_ms())?;
        let held = self.funds().await?;
        let room = self.max_locked.saturating_sub(self.locked()?);
        let within = self
            .budget
            .saturating_sub(spent)
            .min(held)
            .min(free)
            .min(room);
        let amount = least.max(several.min(within));
        if amount > held {
            return Err(self.poor(held, amount));
        }
        self.check_locked(amount)?;
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

    pub fn day(&self) -> Budget<'_> {
        Budget {
            limit: self.budget,
            locked: self.max_locked,
            token: &self.token,
        }
    }

    fn token_domain(&self, token: &super::channel::TokenName, asset: Address) -> TokenDomain {
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

/// The value of `PAYMENT-SIGNATURE`, with an entry of ours in its extensions.
pub(super) fn header<E: Extension>(
    required: &PaymentRequired,
    offer: &Offer,
    payload: &Payload,
    entry: &E,
) -> Result<String, PurseError> {
    let made = PaymentPayload::answering(required, offer.raw.clone(), payload);
    made.and_then(|mut payment| {
        payment.extensions = extended(payment.extensions.take(), entry)?;
        payment.encode()
    })
    .map_err(|problem| PurseError::Wire {
        server: offer.server.clone(),
        problem,
    })
}

//! Pays for a call: signs a payment, records it, and only then sends it. Then reads the outcome.

use alloy::primitives::{Bytes, U256, hex};

use super::{
    DepositRecord, DepositStage, PayerError, TokenAmount,
    attempt::{CallOrder, PaymentAttempt},
    budget::{self, DailyBudget},
    chain,
    channel::{LeasedChannel, PayerChannel, PendingDeposit, SignedVoucher},
    offer::PaymentOffer,
    payment_record::{PaymentEntry, PaymentRecord, PaymentStatus},
    store::{PayerStore, PaymentNumber, now_ms},
};
use crate::x402::{
    binding::{BindingDomain, OfferExtension, RequestBinding, extended, marked, request_hash},
    digest::{EscrowDomain, TokenDomain, deposit_nonce},
    signature,
    wire::{
        BatchPayload, DepositAuthorization, DepositPart, Erc3009, ExactPayload, PaymentPayload,
        PaymentRequired, SchemePayload, TransferAuthorization, Voucher, VoucherAction,
    },
};
use openlora_chain::{network::PaymentToken, provider::Chain};
use openlora_contracts::{COLLECTOR, ESCROW};
use openlora_core::{Address, Amount, Word};
use openlora_ledger::PaymentScheme;
use openlora_wallet::WalletAccount;

/// The number of calls at the quoted price that a deposit covers.
const CALLS: u128 = 5;
/// The longest validity of an authorization, in seconds, whatever a server requests.
const LONGEST: u64 = 3_600;
/// A signed deposit that expires sooner than this is not sent again, in seconds.
const MARGIN: u64 = 30;
/// How far a chain's clock may be behind ours, in seconds. An authorization that expired more
/// recently may still be used.
pub(super) const SKEW: u64 = 120;

/// The paying account, its store and its chain.
pub struct Payer {
    pub store: PayerStore,
    pub chain: Chain,
    pub token: PaymentToken,
    pub account: WalletAccount,
    /// The most that may be spent in a day.
    pub budget: Amount,
    /// The most that may be in channels at the same time.
    pub max_locked: Amount,
    /// The most that a refund may cost.
    pub max_refund_fee: Amount,
    /// Seconds that the chain's clock is ahead: somebody can move that of a development chain.
    pub clock_lead: u64,
}

/// A planned payment. Nothing of it is signed yet, and dropping it costs nothing.
#[derive(Debug)]
#[must_use = "nothing is paid until it is signed"]
pub struct PreparedPayment {
    pub(super) offer: PaymentOffer,
    pub(super) order: CallOrder,
    /// `None` for a payment by transfer.
    funding: Option<ChannelFunding>,
}

/// The channel that a payment comes from.
#[derive(Debug)]
struct ChannelFunding {
    leased: LeasedChannel,
    top: ChannelTopUp,
    /// The highest total signed for the channel before this call.
    prior: Amount,
}

/// The deposit that comes with a payment.
#[derive(Debug)]
enum ChannelTopUp {
    Nothing,
    /// The deposit that an earlier payment signed, while it is valid.
    Again(PendingDeposit),
    New(Amount),
}

impl PreparedPayment {
    pub fn offer(&self) -> &PaymentOffer {
        &self.offer
    }

    /// A total signed during the same call does not count as signed before it.
    pub(super) fn keep_prior(&mut self, prior: Amount) {
        if let Some(funding) = &mut self.funding {
            funding.prior = funding.prior.min(prior);
        }
    }

    /// The money that this payment is the first to move from the account into a channel.
    pub fn deposit(&self) -> Amount {
        match self.funding.as_ref().map(|it| &it.top) {
            Some(ChannelTopUp::New(amount)) => *amount,
            Some(ChannelTopUp::Nothing | ChannelTopUp::Again(_)) | None => Amount::ZERO,
        }
    }
}

/// A payment that is recorded and may be sent.
#[derive(Debug)]
#[must_use = "it counts as spent until it is settled"]
pub struct SentPayment {
    /// The value of `PAYMENT-SIGNATURE`.
    pub header: String,
    pub(super) offer: PaymentOffer,
    pub(super) order: CallOrder,
    pub(super) number: PaymentNumber,
    pub(super) record: PaymentRecord,
    pub(super) leased: Option<LeasedChannel>,
    pub(super) prior: Amount,
    pub(super) repeated: bool,
}

/// A payment whose outcome is known.
#[derive(Clone, Debug, PartialEq)]
pub struct FinishedPayment {
    pub number: PaymentNumber,
    pub record: PaymentRecord,
}

impl SentPayment {
    /// The deposit that comes with it.
    pub fn deposit(&self) -> Amount {
        self.record.deposit
    }

    pub fn payment_record(&self) -> &PaymentRecord {
        &self.record
    }

    pub fn number(&self) -> PaymentNumber {
        self.number
    }

    pub fn offer(&self) -> &PaymentOffer {
        &self.offer
    }

    pub fn order(&self) -> &CallOrder {
        &self.order
    }

    pub fn is_repeated(&self) -> bool {
        self.repeated
    }

    /// The server may have received it before, so from now on a refusal proves nothing.
    pub fn repeat(&mut self) {
        self.repeated = true;
    }
}

impl PayerStore {
    /// Reads the chain's state of a leased channel and stores it.
    pub async fn observe(
        &self,
        chain: &Chain,
        channel: &mut PayerChannel,
    ) -> Result<(), PayerError> {
        let held = chain::channel_balance(chain, channel.id).await?;
        channel.balance = held.balance;
        channel.claimed = held.claimed;
        // Only our own signature can have allowed a claim of this amount.
        channel.charged = channel.charged.max(held.claimed);
        let arrived = |pending: &PendingDeposit| held.balance >= pending.balance_after;
        match channel.pending.take_if(|pending| arrived(pending)) {
            Some(pending) => self.deposit_seen(channel, &pending),
            None => self.keep_channel(channel),
        }
    }
}

impl Payer {
    pub fn locked(&self) -> Result<Amount, PayerError> {
        self.store.locked(self.chain_id(), self.token.address)
    }

    /// Whether this amount may be added to channels, before anything is signed.
    ///
    /// # Errors
    /// It would be more than `call.max_locked`.
    pub fn check_locked(&self, deposit: Amount) -> Result<(), PayerError> {
        let before = self.locked()?;
        budget::check_locked(self.day(), before, before.saturating_add(deposit))
    }
}

impl Payer {
    pub fn money(&self, amount: Amount) -> TokenAmount {
        TokenAmount::from_base_units(amount, &self.token)
    }

    /// Unix seconds.
    pub fn now(&self) -> u64 {
        now_ms() / 1_000
    }

    /// The time by which the chain judges authorizations.
    pub fn chain_now(&self) -> u64 {
        self.now().saturating_add(self.clock_lead)
    }

    /// The end of an authorization for an offer.
    fn until(&self, offer: &PaymentOffer) -> u64 {
        self.chain_now() + offer.terms.max_timeout_seconds.min(LONGEST)
    }

    pub(super) fn chain_id(&self) -> u64 {
        self.chain.network.chain_id
    }

    /// Plans a payment: the channel, and the deposit into it. By its own choice it deposits at most
    /// `free`. The server and the price may require more.
    pub async fn prepare(
        &self,
        offer: PaymentOffer,
        order: CallOrder,
        free: Amount,
    ) -> Result<PreparedPayment, PayerError> {
        self.settle_expired().await?;
        match offer.scheme {
            PaymentScheme::Exact => {
                let (held, quote) = (self.funds().await?, offer.terms.amount);
                if held < quote {
                    return Err(self.insufficient_balance(held, quote));
                }
                Ok(PreparedPayment {
                    offer,
                    order,
                    funding: None,
                })
            }
            PaymentScheme::BatchSettlement => {
                let wanted = offer.channel_requirements(
                    self.chain_id(),
                    self.account.address(),
                    &order.seller,
                );
                let leased = self.store.lease_for(&wanted, offer.terms.amount, None)?;
                self.prepare_from(leased, offer, order, free).await
            }
        }
    }

    pub(super) async fn prepare_from(
        &self,
        mut leased: LeasedChannel,
        offer: PaymentOffer,
        order: CallOrder,
        free: Amount,
    ) -> Result<PreparedPayment, PayerError> {
        let is_new = leased.is_new;
        let channel = &mut leased.channel;
        let quote = offer.terms.amount;
        if !is_new && (channel.pending.is_some() || channel.left() < quote) {
            self.observe(channel).await?;
        }
        let max = channel.charged.saturating_add(quote);
        let missing = max.saturating_sub(channel.balance);
        let good_until = self.chain_now() + MARGIN;
        let earlier = channel.pending.clone();
        let good = |it: &PendingDeposit| {
            it.valid_before > good_until && it.amount >= least(&offer, missing)
        };
        let top = match earlier.filter(good) {
            _ if missing.is_zero() => ChannelTopUp::Nothing,
            Some(pending) => ChannelTopUp::Again(pending),
            None => ChannelTopUp::New(self.size(&offer, missing, free).await?),
        };
        let prior = channel.signed.as_ref().map_or(Amount::ZERO, |it| it.max);
        Ok(PreparedPayment {
            offer,
            order,
            funding: Some(ChannelFunding { leased, top, prior }),
        })
    }

    /// Signs a payment and records it.
    pub fn sign_payment(
        &self,
        prepared: PreparedPayment,
        required: &PaymentRequired,
    ) -> Result<SentPayment, PayerError> {
        let PreparedPayment {
            offer,
            order,
            funding,
        } = prepared;
        match funding {
            None => self.pay_once(required, offer, order),
            Some(funding) => self.pay_from(funding, required, offer, order),
        }
    }

    /// The payment of an earlier process, to be sent again.
    pub fn resume(&self, attempt: PaymentAttempt) -> Result<SentPayment, PayerError> {
        let number = self.store.payment_of(&attempt)?;
        let mut record = self.store.numbered(number)?;
        if record.chain_id != self.chain_id() || record.payer != self.account.address() {
            return Err(PayerError::OtherPayer {
                account: record.payer,
                chain_id: record.chain_id,
            });
        }
        let leased = match record.scheme {
            PaymentScheme::Exact => None,
            PaymentScheme::BatchSettlement => {
                let leased = self.store.lease(record.chain_id, record.word)?;
                // Whoever held the channel until now may have decided this payment.
                record = self.store.numbered(number)?;
                Some(leased)
            }
        };
        Ok(SentPayment {
            header: attempt.header,
            offer: attempt.offer,
            order: attempt.order,
            number,
            prior: record.before,
            record,
            leased,
            repeated: true,
        })
    }

    /// Reads from the chain the outcome of authorizations that have expired.
    async fn settle_expired(&self) -> Result<(), PayerError> {
        let ended = self.chain_now().saturating_sub(SKEW);
        for (number, mut record) in self.store.expired(self.chain_id(), ended)? {
            let asked = chain::is_used(&self.chain, record.token, record.payer, record.word);
            record.status = match asked.await? {
                true => PaymentStatus::Charged {
                    amount: record.quote,
                },
                false => PaymentStatus::Void,
            };
            self.store.finish_payment(number, &record, None)?;
        }
        for (number, mut deposit) in self.store.expired_deposits(self.chain_id(), ended)? {
            let asked = chain::is_used(&self.chain, deposit.token, deposit.payer, deposit.nonce);
            deposit.stage = match asked.await? {
                true => DepositStage::Made,
                false => DepositStage::Void,
            };
            self.store.settle_deposit(number, &deposit)?;
        }
        Ok(())
    }

    fn pay_once(
        &self,
        required: &PaymentRequired,
        offer: PaymentOffer,
        order: CallOrder,
    ) -> Result<SentPayment, PayerError> {
        let quote = offer.terms.amount;
        let valid_before = self.until(&offer);
        let authorization = TransferAuthorization {
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
        let payload = SchemePayload::Exact(ExactPayload {
            signature,
            authorization,
        });
        let binding = self.binding(&order, offer.terms.asset, spending.word, quote)?;
        let header = header(required, &offer, &payload, &binding)?;
        let attempt = self.attempt(&offer, &order, &header);
        let record = PaymentEntry {
            payment: &spending,
            channel: None,
            deposit: None,
            attempt: &attempt,
        };
        let number = self.store.record(&record, self.day())?;
        Ok(SentPayment {
            header,
            offer,
            order,
            number,
            record: spending,
            leased: None,
            prior: Amount::ZERO,
            repeated: false,
        })
    }

    fn pay_from(
        &self,
        funding: ChannelFunding,
        required: &PaymentRequired,
        offer: PaymentOffer,
        order: CallOrder,
    ) -> Result<SentPayment, PayerError> {
        let ChannelFunding {
            mut leased,
            top,
            prior,
        } = funding;
        let channel = &mut leased.channel;
        let (pending, deposit) = match top {
            ChannelTopUp::Nothing => (None, None),
            ChannelTopUp::Again(pending) => (Some(pending), None),
            ChannelTopUp::New(amount) => {
                let pending = self.authorize_deposit(channel, amount, self.until(&offer))?;
                let deposit = DepositRecord::from_pending(channel, &pending);
                channel.pending = Some(pending.clone());
                (Some(pending), Some(deposit))
            }
        };
        let max = channel.charged.saturating_add(offer.terms.amount);
        let domain = EscrowDomain::for_chain(channel.chain_id);
        let signature = self.sign(domain.voucher(channel.id, max))?;
        let mut spending = self.spending(&offer, &order, channel.id);
        spending.before = channel.charged;
        spending.signature = hex::encode_prefixed(&signature);
        spending.deposit = pending.as_ref().map_or(Amount::ZERO, |it| it.amount);
        let payload = SchemePayload::Batch(Box::new(BatchPayload {
            config: channel.config.clone().into(),
            voucher: Voucher {
                channel_id: channel.id,
                max_claimable_amount: max,
                signature,
            },
            action: pending.map_or(VoucherAction::Voucher, |it| {
                VoucherAction::Deposit(part(&it))
            }),
        }));
        let binding = self.binding(&order, ESCROW.into(), channel.id, max)?;
        let header = header(required, &offer, &payload, &binding)?;
        if channel
            .signed
            .as_ref()
            .is_none_or(|signed| signed.max < max)
        {
            channel.signed = Some(SignedVoucher {
                max,
                signature: spending.signature.clone(),
            });
        }
        channel.used_ms = spending.time_ms;
        channel.seller = order.seller.clone();
        let attempt = self.attempt(&offer, &order, &header);
        let record = PaymentEntry {
            payment: &spending,
            channel: Some(channel),
            deposit: deposit.as_ref(),
            attempt: &attempt,
        };
        let number = self.store.record(&record, self.day())?;
        Ok(SentPayment {
            header,
            offer,
            order,
            number,
            record: spending,
            leased: Some(leased),
            prior,
            repeated: false,
        })
    }

    /// Binds a payment to its request.
    fn binding(
        &self,
        order: &CallOrder,
        contract: Address,
        id: Word,
        maximum: Amount,
    ) -> Result<RequestBinding, PayerError> {
        let request_hash = request_hash("POST", &order.path, order.body.as_bytes());
        let domain = BindingDomain::for_contract(self.chain_id(), contract);
        let signature = self.sign(domain.request(id, maximum, request_hash))?;
        Ok(RequestBinding {
            request_hash,
            signature,
        })
    }

    fn attempt(&self, offer: &PaymentOffer, order: &CallOrder, header: &str) -> PaymentAttempt {
        PaymentAttempt {
            time_ms: now_ms(),
            order: order.clone(),
            offer: offer.clone(),
            header: header.to_owned(),
            chain_id: self.chain_id(),
            quote: offer.terms.amount,
        }
    }

    /// Signs an authorization for the collector to move an amount into a channel.
    pub fn authorize_deposit(
        &self,
        channel: &PayerChannel,
        amount: Amount,
        valid_before: u64,
    ) -> Result<PendingDeposit, PayerError> {
        let salt = Word(rand::random());
        let authorization = TransferAuthorization {
            from: channel.config.payer,
            to: COLLECTOR.into(),
            value: amount,
            valid_after: U256::ZERO,
            valid_before: U256::from(valid_before),
            nonce: deposit_nonce(channel.id, salt),
        };
        let domain = self.token_domain(&channel.token, channel.config.token);
        let signature = self.sign(domain.receive(&authorization))?;
        Ok(PendingDeposit {
            amount,
            valid_before,
            salt,
            signature: hex::encode_prefixed(&signature),
            balance_after: channel.balance.saturating_add(amount),
        })
    }

    /// A deposit for several calls, within the limit on channels, the day's budget and the
    /// account's balance.
    async fn size(
        &self,
        offer: &PaymentOffer,
        missing: Amount,
        free: Amount,
    ) -> Result<Amount, PayerError> {
        let quote = offer.terms.amount;
        let least = least(offer, missing);
        let several = Amount(quote.0.saturating_mul(CALLS));
        let spent = self
            .store
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
            return Err(self.insufficient_balance(held, amount));
        }
        self.check_locked(amount)?;
        Ok(amount)
    }

    /// Reads the chain's state of a channel and stores it.
    pub async fn observe(&self, channel: &mut PayerChannel) -> Result<(), PayerError> {
        self.store.observe(&self.chain, channel).await
    }

    pub async fn funds(&self) -> Result<Amount, PayerError> {
        let account = self.account.address();
        Ok(chain::funds(&self.chain, self.token.address, account).await?)
    }

    pub fn insufficient_balance(&self, held: Amount, needed: Amount) -> PayerError {
        PayerError::Funds {
            account: self.account.address(),
            network: self.chain.network.name.clone(),
            held: self.money(held),
            needed: self.money(needed),
        }
    }

    pub fn day(&self) -> DailyBudget<'_> {
        DailyBudget {
            limit: self.budget,
            locked: self.max_locked,
            token: &self.token,
        }
    }

    fn token_domain(&self, token: &super::channel::TokenName, asset: Address) -> TokenDomain {
        TokenDomain::for_token(&token.name, &token.version, self.chain_id(), asset)
    }

    pub(super) fn sign(&self, digest: Word) -> Result<Bytes, PayerError> {
        Ok(signature::sign(&self.account, digest)?.to_vec().into())
    }

    fn spending(&self, offer: &PaymentOffer, order: &CallOrder, word: Word) -> PaymentRecord {
        PaymentRecord {
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
            status: PaymentStatus::Open,
            inferred: false,
            receipt: None,
            disputed: None,
            caller: order.caller.as_ref().map(|it| it.caller.clone()),
        }
    }
}

/// The smallest deposit that a server accepts and that covers the missing amount. A minimum below
/// the price has no effect.
fn least(offer: &PaymentOffer, missing: Amount) -> Amount {
    let asked = offer.terms.extra.min_deposit;
    let asked = asked.filter(|asked| *asked >= offer.terms.amount);
    missing.max(asked.unwrap_or_default())
}

fn part(pending: &PendingDeposit) -> DepositPart {
    // This program wrote the stored signature, so it is valid hexadecimal.
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

/// The value of `PAYMENT-SIGNATURE`, with an extension of ours.
pub(super) fn header<E: OfferExtension>(
    required: &PaymentRequired,
    offer: &PaymentOffer,
    payload: &SchemePayload,
    entry: &E,
) -> Result<String, PayerError> {
    let made = PaymentPayload::answering(required, offer.raw.clone(), payload);
    made.and_then(|mut payment| {
        payment.extensions = extended(payment.extensions.take(), entry)?;
        payment.encode()
    })
    .map_err(|problem| PayerError::Wire {
        server: offer.server.clone(),
        problem,
    })
}

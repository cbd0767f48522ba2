//! The ledger: authorised, charged, claimed, settled and released amounts, folded from events.
//!
//! An on-chain reading replaces the previous one, so a reorganisation is one more event and no
//! correction of sums.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::view::{ChannelView, ReceiverView};
use super::{
    AuthorisedStage, CallCharge, ChannelKey, ChannelTerms, ChargedStage, CheckedPayment,
    ClaimedStage, ExactKey, PaymentScheme, ReceiverKey, RetryProof, SponsoredBook, StageTotal,
    TotalBreach,
};
use crate::event::{
    ChannelsClaimed, ClaimsDeferred, ClearingStage, Event, PaymentBound, PaymentClearing,
    RefundCharged, VouchersPublished,
};
use openlora_core::{Amount, Word};

/// How many vouchers per channel are remembered for repeated requests.
pub const RECENT_VOUCHERS: usize = 16;

/// A voucher that came with a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsedVoucher {
    /// The total that it authorises.
    pub max: Amount,
    pub request_id: String,
    pub request_hash: String,
}

/// The use of a voucher's total. A total belongs to one request permanently: once claimed, a
/// voucher is public, and anyone could present it for the part that its call did not cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoucherUse {
    /// Empty if no request may use the total.
    pub request_hash: String,
    /// The call had a cost.
    pub spent: bool,
}

/// The refund for which a channel last paid a fee.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaidRefund {
    /// The escrow's number of the refund.
    pub nonce: u64,
    pub fee: Amount,
}

/// A channel as known to this server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerChannel {
    pub config: ChannelTerms,
    /// The highest voucher and its signature.
    pub authorised: StageTotal<AuthorisedStage>,
    pub signature: String,
    pub charged: StageTotal<ChargedStage>,
    /// Reserved and not yet charged, by request id.
    pub open: BTreeMap<String, Amount>,
    pub calls: u64,
    pub view: Option<ChannelView>,
    /// The latest vouchers, oldest first.
    pub recent: VecDeque<UsedVoucher>,
    /// The totals of all vouchers that came with calls. Those below the charged total can pay for
    /// nothing more and are forgotten.
    #[serde(default)]
    pub used: BTreeMap<Amount, VoucherUse>,
    /// Totals that are paid in full for a request that was not answered; the request may be
    /// repeated.
    #[serde(default)]
    pub owed: BTreeMap<Amount, String>,
    /// The part of the charges that is refund fees.
    #[serde(default)]
    pub refund_fees: Amount,
    #[serde(default)]
    pub paid_refund: Option<PaidRefund>,
    /// The highest maximum of a voucher that stood in the calldata of a claim, mined or not.
    #[serde(default)]
    pub highest_published: Amount,
    /// The highest charged total of which a part was not worth claiming.
    #[serde(default)]
    pub deferred: Amount,
    /// Whether vouchers are written down before they are published; earlier versions did not.
    #[serde(default)]
    pub announces_vouchers: bool,
}

impl LedgerChannel {
    pub fn new(config: ChannelTerms) -> Self {
        Self {
            config,
            authorised: StageTotal::ZERO,
            signature: String::new(),
            charged: StageTotal::ZERO,
            open: BTreeMap::new(),
            calls: 0,
            view: None,
            recent: VecDeque::new(),
            used: BTreeMap::new(),
            owed: BTreeMap::new(),
            refund_fees: Amount::ZERO,
            paid_refund: None,
            highest_published: Amount::ZERO,
            deferred: Amount::ZERO,
            announces_vouchers: false,
        }
    }

    /// The maximum up to which others may have a voucher: all that was claimed, and the highest
    /// voucher that a claim was made with.
    pub fn published(&self) -> Amount {
        let claimed = self.view.as_ref().map_or(Amount::ZERO, |view| view.claimed);
        claimed.max(self.highest_published)
    }

    /// The deferred part of the charges that the channel no longer holds.
    pub fn written_off(&self) -> Amount {
        let held = self
            .view
            .as_ref()
            .map(|view| view.balance.max(view.claimed));
        let deferred = self.deferred.min(self.charged.amount());
        held.map_or(Amount::ZERO, |held| deferred.saturating_sub(held))
    }

    /// Whether it is written down that others may have a voucher over so much.
    pub fn has_announced(&self, maximum: Amount) -> bool {
        self.announces_vouchers && maximum <= self.highest_published
    }

    fn publish(&mut self, maximum: Amount) {
        self.highest_published = self.highest_published.max(maximum);
    }

    /// A claim is mined. Its calldata had the highest voucher of then; a journal of an earlier
    /// version does not say which, so it is the highest of now.
    fn claim(&mut self) {
        if !self.announces_vouchers {
            self.publish(self.authorised.amount());
        }
    }

    /// Whether a charge continues the channel's total, within what its payer signed for, and its
    /// call is reserved.
    ///
    /// # Errors
    /// The rule that it would break.
    pub fn check_charge(&self, request_id: &str, charge: &CallCharge) -> Result<(), TotalBreach> {
        let begins = charge.cumulative.saturating_sub(charge.amount);
        let charged = self.charged.amount();
        if begins != charged {
            return Err(TotalBreach::BeginsElsewhere { begins, charged });
        }
        if !self.open.contains_key(request_id) {
            return Err(TotalBreach::NotReserved);
        }
        self.charged.charge(charge.amount, self.authorised)?;
        Ok(())
    }

    /// Whether the refund of this number is paid for.
    pub fn has_paid_refund(&self, nonce: u64) -> bool {
        self.paid_refund.is_some_and(|it| it.nonce == nonce)
    }

    /// Charges the fee of a refund; a second fee for the same refund changes nothing.
    ///
    /// # Errors
    ///
    /// The payer has not signed for this much, or the total does not match the charges.
    pub fn charge_refund(&mut self, fee: &RefundCharged) -> Result<(), TotalBreach> {
        if self.has_paid_refund(fee.refund_nonce) {
            return Ok(());
        }
        if fee.cumulative > self.authorised.amount() || self.signature.is_empty() {
            self.authorised = StageTotal::signed(fee.cumulative);
            self.signature.clone_from(&fee.signature);
        }
        let ceiling = StageTotal::signed(fee.cumulative);
        self.charged = self.charged.charge(fee.amount, ceiling)?;
        self.refund_fees = self.refund_fees.saturating_add(fee.amount);
        self.paid_refund = Some(PaidRefund {
            nonce: fee.refund_nonce,
            fee: fee.amount,
        });
        // No call has this total, and none may use it.
        self.give_away();
        self.forget();
        Ok(())
    }

    /// Reserves a call: its voucher's total belongs to this request permanently.
    pub fn reserve(&mut self, request_id: &str, request_hash: &str, payment: &CheckedPayment) {
        self.authorise(payment);
        self.open.insert(request_id.to_owned(), payment.quote);
        let max = payment.authorised();
        // A voucher that allows nothing more has no value for others.
        if !payment.quote.is_zero() {
            self.used.entry(max).or_insert_with(|| VoucherUse {
                request_hash: request_hash.to_owned(),
                spent: false,
            });
        }
        self.remember(UsedVoucher {
            max,
            request_id: request_id.to_owned(),
            request_hash: request_hash.to_owned(),
        });
    }

    /// The charge of a reserved call. `answered` states whether the call was ended by the payer or
    /// the model.
    ///
    /// # Errors
    ///
    /// The payer has not signed for this much.
    pub fn charge(
        &mut self,
        request_id: &str,
        charge: &CallCharge,
        answered: bool,
    ) -> Result<(), TotalBreach> {
        self.calls = self.calls.saturating_add(1);
        if let Some(quote) = self.open.remove(request_id) {
            let before = charge.cumulative.saturating_sub(charge.amount);
            let max = before.saturating_add(quote);
            self.spend(max, charge.amount, quote, answered);
            if quote.is_zero() && answered {
                self.paid_back(request_id);
            }
        }
        self.charged = self.charged.charge(charge.amount, self.authorised)?;
        self.forget();
        Ok(())
    }

    fn spend(&mut self, max: Amount, amount: Amount, quote: Amount, answered: bool) {
        let spending = self.used.get_mut(&max).filter(|_| !amount.is_zero());
        if let Some(spending) = spending {
            spending.spent = true;
            if amount == quote && !answered {
                self.owed.insert(max, spending.request_hash.clone());
            }
        }
    }

    /// A request that was paid in full earlier has now been answered.
    fn paid_back(&mut self, request_id: &str) {
        let call = self.recent.iter().rfind(|it| it.request_id == request_id);
        if let Some(call) = call {
            self.owed.retain(|_, hash| *hash != call.request_hash);
        }
    }

    /// The total now charged may have come with a refund, so it no longer authenticates a request.
    pub fn give_away(&mut self) {
        let charged = self.charged.amount();
        self.used.entry(charged).or_insert_with(|| VoucherUse {
            request_hash: String::new(),
            spent: true,
        });
    }

    fn forget(&mut self) {
        let charged = self.charged.amount();
        self.used = self.used.split_off(&charged);
    }

    /// Charged and not yet claimed.
    pub fn unclaimed(&self) -> Amount {
        let claimed = self.view.as_ref().map_or(Amount::ZERO, |view| view.claimed);
        self.charged.amount().saturating_sub(claimed)
    }

    /// Charged and not yet claimed, without what is written off.
    pub fn outstanding(&self) -> Amount {
        self.unclaimed().saturating_sub(self.written_off())
    }

    fn authorise(&mut self, payment: &CheckedPayment) {
        if payment.authorised() > self.authorised.amount() || self.signature.is_empty() {
            self.authorised = StageTotal::signed(payment.authorised());
            self.signature.clone_from(&payment.signature);
        }
    }

    fn remember(&mut self, used: UsedVoucher) {
        if self.recent.len() >= RECENT_VOUCHERS {
            self.recent.pop_front();
        }
        self.recent.push_back(used);
    }

    /// Takes over the on-chain state. If it shows more than is charged and running calls may cost,
    /// the journal is incomplete.
    pub fn observe(&mut self, view: ChannelView) {
        let running: Amount = self.open.values().copied().sum();
        if view.claimed > self.charged.amount().saturating_add(running) {
            self.charged = StageTotal::lost(StageTotal::<ClaimedStage>::observed(view.claimed));
            self.forget();
            self.give_away();
        }
        self.view = Some(view);
    }
}

/// The sums of one receiver.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiverTotals {
    /// Over channels and `exact` payments.
    pub charged: Amount,
    /// The part paid by `exact` transfers, which need no claim.
    pub exact: Amount,
    pub calls: u64,
    pub view: Option<ReceiverView>,
}

/// An `exact` payment that is on the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExactPayment {
    pub amount: Amount,
    pub tx: String,
    /// The call that it paid; none while its payer is entitled to one.
    pub request_id: Option<String>,
    /// The request that it is bound to. Its signature is public, so it is valid for no other
    /// request.
    pub request_hash: Option<String>,
}

/// A payment of another seller that is or was being cleared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClearedPayment {
    /// SHA-256 of the request it belongs to.
    pub request: Word,
    /// The request received the confirmation of the payment.
    pub confirmed: bool,
}

/// The journal's sums of a chain that was reset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FormerChain {
    pub chain_id: u64,
    /// Absent if the genesis hash was never read.
    pub genesis: Option<Word>,
    pub channels: u64,
    /// The charges on that chain, `exact` payments included.
    pub charged: Amount,
}

/// The money state of the journal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    pub channels: BTreeMap<ChannelKey, LedgerChannel>,
    pub receivers: BTreeMap<ReceiverKey, ReceiverTotals>,
    pub exact: BTreeMap<ExactKey, ExactPayment>,
    /// Payments cleared for other sellers, by authorization.
    #[serde(default)]
    pub clearings: BTreeMap<ExactKey, ClearedPayment>,
    /// Genesis hash of the chain behind each id, where it was read.
    #[serde(default)]
    pub genesis: BTreeMap<u64, Word>,
    /// Chains that were reset; nothing else here concerns them.
    #[serde(default)]
    pub former: Vec<FormerChain>,
    /// The request for which an authorization was submitted, until its payment is mined.
    #[serde(default)]
    pub bound: BTreeMap<ExactKey, String>,
    /// The authentication of repeats of `exact` payments that do not name their request.
    #[serde(default)]
    pub retries: BTreeMap<ExactKey, RetryProof>,
    /// Sponsored transactions.
    #[serde(default)]
    pub sponsored: SponsoredBook,
    /// Events that violate the order of totals; empty unless there is a serious error.
    pub breaches: Vec<String>,
}

impl Ledger {
    /// Applies an event; unrelated events change nothing.
    pub fn apply(&mut self, event: &Event) {
        self.sponsored.apply(event);
        match event {
            Event::ChannelOpened(opened) => {
                let channel = LedgerChannel::new(opened.config.clone());
                self.channels.entry(opened.key).or_insert(channel);
            }
            Event::ChannelObserved(observed) => {
                if let Some(channel) = self.channels.get_mut(&observed.key) {
                    channel.observe(observed.view.clone());
                }
            }
            Event::ReceiverObserved(observed) => {
                self.receivers.entry(observed.key).or_default().view = Some(observed.view.clone());
            }
            Event::PaymentReceived(received) => {
                let payment = ExactPayment {
                    amount: received.amount,
                    tx: received.tx.clone(),
                    request_id: None,
                    request_hash: self.bound.remove(&received.key),
                };
                // After a reorganisation the same payment may be mined again in another
                // transaction.
                let known = self.exact.entry(received.key).or_insert(payment);
                known.tx.clone_from(&received.tx);
            }
            Event::Clearing(clearing) => self.clear(clearing),
            Event::ChainIdentified { chain_id, genesis } => {
                self.genesis.insert(*chain_id, *genesis);
            }
            Event::ChainEnded { chain_id } => self.end(*chain_id),
            Event::PaymentBound(bound) => self.bind(bound),
            Event::RefundCharged(fee) => self.charge_refund(fee),
            Event::VouchersPublished(published) => self.publish(published),
            Event::ClaimsDeferred(deferred) => self.defer(deferred),
            Event::Claimed(claimed) => self.claim(claimed),
            Event::Refunded(refunded) => {
                if let Some(channel) = self.channels.get_mut(&refunded.key) {
                    channel.give_away();
                }
            }
            Event::CallReserved {
                request_id,
                request_hash,
                payment: Some(payment),
                ..
            } => self.reserve(request_id, request_hash, payment),
            Event::CallMetered {
                request_id,
                finish,
                charge: Some(charge),
                ..
            } => self.charge(request_id, charge, finish.is_answer()),
            Event::Reorganised { chain_id, txs } => self.undo(*chain_id, txs),
            _ => {}
        }
    }

    /// Payments that never happened and paid for nothing yet. Their signatures were public, so
    /// each still belongs to its request.
    fn undo(&mut self, chain_id: u64, txs: &[String]) {
        let bound = &mut self.bound;
        self.exact.retain(|key, paid| {
            let undone = key.chain_id == chain_id && txs.contains(&paid.tx);
            let kept = !undone || paid.request_id.is_some();
            if let (false, Some(hash)) = (kept, &paid.request_hash) {
                bound.insert(*key, hash.clone());
            }
            kept
        });
    }

    fn publish(&mut self, published: &VouchersPublished) {
        for voucher in &published.vouchers {
            let key = ChannelKey {
                chain_id: published.chain_id,
                channel: voucher.channel,
            };
            if let Some(channel) = self.channels.get_mut(&key) {
                channel.announces_vouchers = true;
                channel.publish(voucher.maximum);
            }
        }
    }

    fn defer(&mut self, deferred: &ClaimsDeferred) {
        for claim in &deferred.channels {
            let key = ChannelKey {
                chain_id: deferred.chain_id,
                channel: claim.channel,
            };
            if let Some(channel) = self.channels.get_mut(&key) {
                channel.deferred = channel.deferred.max(claim.total);
            }
        }
    }

    fn claim(&mut self, claimed: &ChannelsClaimed) {
        for row in &claimed.rows {
            let key = ChannelKey {
                chain_id: claimed.receiver.chain_id,
                channel: row.channel,
            };
            if let Some(channel) = self.channels.get_mut(&key) {
                channel.claim();
            }
        }
    }

    fn bind(&mut self, bound: &PaymentBound) {
        match &bound.retry {
            Some(retry) => self.retries.insert(bound.key, retry.clone()),
            None => self.retries.remove(&bound.key),
        };
        match self.exact.get_mut(&bound.key) {
            Some(paid) => paid.request_hash = Some(bound.request_hash.clone()),
            None => {
                self.bound.insert(bound.key, bound.request_hash.clone());
            }
        }
    }

    fn clear(&mut self, clearing: &PaymentClearing) {
        let confirmed = match clearing.stage {
            ClearingStage::Started => false,
            ClearingStage::Confirmed => true,
            ClearingStage::Dropped => {
                self.clearings.remove(&clearing.key);
                return;
            }
        };
        let cleared = ClearedPayment {
            request: clearing.request,
            confirmed,
        };
        self.clearings.insert(clearing.key, cleared);
    }

    /// Archives everything known of a chain that was reset.
    fn end(&mut self, chain_id: u64) {
        let mut gone = FormerChain {
            chain_id,
            genesis: self.genesis.remove(&chain_id),
            ..FormerChain::default()
        };
        let known = self.channels.len();
        self.channels.retain(|key, _| key.chain_id != chain_id);
        gone.channels = (known - self.channels.len()) as u64;
        let receivers = std::mem::take(&mut self.receivers);
        let (ended, others) = receivers
            .into_iter()
            .partition(|(key, _)| key.chain_id == chain_id);
        self.receivers = others;
        let ended: BTreeMap<ReceiverKey, ReceiverTotals> = ended;
        gone.charged = ended.values().map(|it| it.charged).sum();
        self.exact.retain(|key, _| key.chain_id != chain_id);
        self.clearings.retain(|key, _| key.chain_id != chain_id);
        self.bound.retain(|key, _| key.chain_id != chain_id);
        self.retries.retain(|key, _| key.chain_id != chain_id);
        if gone.genesis.is_some() || gone.channels > 0 || !ended.is_empty() {
            self.former.push(gone);
        }
    }

    fn reserve(&mut self, request_id: &str, request_hash: &str, payment: &CheckedPayment) {
        if payment.scheme == PaymentScheme::Exact {
            let key = payment.exact_key();
            if let Some(paid) = self.exact.get_mut(&key) {
                paid.request_id = Some(request_id.to_owned());
                paid.request_hash = Some(request_hash.to_owned());
            }
            return;
        }
        let key = payment.channel_key();
        let Some(channel) = self.channels.get_mut(&key) else {
            let breach = format!("call {request_id} is paid from the unknown channel {key}");
            return self.breaches.push(breach);
        };
        channel.reserve(request_id, request_hash, payment);
    }

    fn charge(&mut self, request_id: &str, charge: &CallCharge, answered: bool) {
        let receiver = self.receivers.entry(charge.receiver_key()).or_default();
        receiver.charged = receiver.charged.saturating_add(charge.amount);
        receiver.calls = receiver.calls.saturating_add(1);
        match charge.scheme {
            PaymentScheme::Exact => {
                receiver.exact = receiver.exact.saturating_add(charge.amount);
                self.charge_exact(charge);
            }
            PaymentScheme::BatchSettlement => self.charge_channel(request_id, charge, answered),
        }
    }

    fn charge_refund(&mut self, fee: &RefundCharged) {
        let charged = match self.channels.get_mut(&fee.key) {
            None => Err("it is unknown".to_owned()),
            Some(channel) => {
                let charged = channel.charge_refund(fee);
                charged.map_err(|breach| breach.to_string())
            }
        };
        if let Err(breach) = charged {
            let key = fee.key;
            self.breaches
                .push(format!("a refund's fee to channel {key}: {breach}"));
        }
    }

    /// A payment without a charge still entitles its payer to the call that it was for.
    fn charge_exact(&mut self, charge: &CallCharge) {
        let key = charge.exact_key();
        if let Some(paid) = self.exact.get_mut(&key)
            && charge.amount.is_zero()
        {
            paid.request_id = None;
        }
    }

    fn charge_channel(&mut self, request_id: &str, charge: &CallCharge, answered: bool) {
        let key = charge.channel_key();
        let charged = match self.channels.get_mut(&key) {
            None => Err(format!("a charge to the unknown channel {key}")),
            Some(channel) => {
                let charged = channel.charge(request_id, charge, answered);
                charged.map_err(|breach| format!("channel {key}: {breach}"))
            }
        };
        if let Err(breach) = charged {
            self.breaches.push(breach);
        }
    }
}

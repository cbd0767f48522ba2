//! The current offers: one way to pay per chain and scheme, and whether a payer took a current
//! offer.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use serde_json::{Value, json};

use super::{
    checks::now_ms,
    keyed_locks::KeyedLocks,
    lane::{ChainOffer, PaymentMethod},
    reason::Reason,
    refusal::{ChannelCorrection, PaymentRefusal, UnpaidRefund},
    repeat_proof::{TIMEOUT_SECONDS, is_shown},
    sponsor::{GasSponsor, SponsorRules},
    wire::{
        BATCH_SETTLEMENT, EXACT, PaidResource, PaymentRequired, PaymentRequirements, SchemeExtra,
        VERSION, WireProblem, chain_id, network,
    },
};
use crate::settlement::{ChainFailure, LedgerView, ask, until_tomorrow};
use openlora_core::{Address, Amount, units::in_units};
use openlora_ledger::{COIN_DECIMALS, ChannelKey, ExactKey, ExactPayment, LedgerChannel};
use openlora_ports::{FactLog, OfferedCall, PaymentDemand, Presenter, Sponsorship};

/// How many units above its price a call's total may be, if other requests have used the lower
/// totals.
pub(super) const LARGEST_STEP: u128 = 16;

/// When to retry after a chain failure, in seconds.
const RETRY_SECONDS: u64 = 5;
/// When to retry if the account's balance is too low, in seconds.
const GAS_SECONDS: u64 = 60;

/// The configuration of a seller.
pub struct SellerConfig {
    /// The splitter that receives the payments for an adapter, by the adapter's digest. It is the
    /// same on every chain.
    pub pay_to: BTreeMap<String, Address>,
    /// In the order of the offers.
    pub offers: Vec<ChainOffer>,
    /// The account that claims and refunds.
    pub account: Address,
    pub facts: Arc<dyn FactLog>,
    /// Includes every fact as soon as `facts` has stored it. It is the only copy of the state of
    /// channels and payments.
    pub ledger: Arc<dyn LedgerView>,
    pub rules: SponsorRules,
}

/// The shared state of a seller.
pub(super) struct SellerState {
    pay_to: RwLock<BTreeMap<String, Address>>,
    methods: Vec<Arc<PaymentMethod>>,
    account: Address,
    pub facts: Arc<dyn FactLog>,
    ledger: Arc<dyn LedgerView>,
    pub channels: KeyedLocks<ChannelKey>,
    pub exact: KeyedLocks<ExactKey>,
    pub sponsor: GasSponsor,
}

/// A current offer that a payer took.
pub(super) struct TakenOffer {
    pub method: Arc<PaymentMethod>,
    pub offer: PaymentRequirements,
}

impl SellerState {
    pub fn new(seller: SellerConfig) -> Self {
        let method = |chain_offer| Arc::new(PaymentMethod::new(chain_offer));
        Self {
            pay_to: RwLock::new(seller.pay_to),
            methods: seller.offers.into_iter().map(method).collect(),
            account: seller.account,
            facts: seller.facts,
            ledger: seller.ledger,
            channels: KeyedLocks::new(),
            exact: KeyedLocks::new(),
            sponsor: GasSponsor::new(seller.rules),
        }
    }

    /// Offers calls of an adapter from now on, paid to this splitter.
    pub fn offer_adapter(&self, adapter_digest: &str, splitter: Address) {
        let mut pay_to = self.pay_to.write().unwrap_or_else(PoisonError::into_inner);
        pay_to.insert(adapter_digest.to_owned(), splitter);
    }

    /// Whom calls of an adapter pay.
    pub fn splitter_of(&self, adapter_digest: &str) -> Option<Address> {
        let pay_to = self.pay_to.read().unwrap_or_else(PoisonError::into_inner);
        pay_to.get(adapter_digest).copied()
    }

    /// Whether any chain could take a payment now.
    pub fn is_fresh(&self) -> bool {
        let mut methods = self.methods.iter();
        methods.any(|method| method.chain_offer.settlement.is_fresh())
    }

    /// Whether this seller can send what a channel's authorizer sends.
    pub fn signs_for(&self, method: &PaymentMethod, authorizer: Address) -> bool {
        authorizer == self.account || method.chain_offer.others.contains_key(&authorizer)
    }

    /// The ledger's current record of a channel.
    pub fn channel(&self, key: &ChannelKey) -> Option<LedgerChannel> {
        ask(&*self.ledger, |ledger| ledger.channels.get(key).cloned())
    }

    /// A mined payment by `exact`.
    pub fn paid(&self, key: &ExactKey) -> Option<ExactPayment> {
        ask(&*self.ledger, |ledger| ledger.exact.get(key).cloned())
    }

    /// The request that an authorization is bound to, if it was sent or mined.
    pub fn bound(&self, key: &ExactKey) -> Option<String> {
        ask(&*self.ledger, |ledger| match ledger.exact.get(key) {
            Some(paid) => paid.request_hash.clone(),
            None => ledger.bound.get(key).cloned(),
        })
    }

    /// Whether the client that repeats a public authorization is its original sender.
    pub fn is_own_retry(&self, key: &ExactKey, presenter: &Presenter) -> bool {
        let retry = ask(&*self.ledger, |ledger| ledger.retries.get(key).cloned());
        retry.is_some_and(|retry| is_shown(&retry, presenter, now_ms()))
    }

    /// The answer to a call whose reservation the ledger contradicts: it must not run.
    pub fn unrecorded(&self, key: &impl std::fmt::Display, breach: &str) -> PaymentDemand {
        tracing::error!(payment = %key, breach, "a call was refused because its charge would not fit");
        unavailable("The payment's record changed meanwhile.")
    }

    /// Conditions that the operator should correct.
    pub fn warnings(&self) -> Vec<String> {
        let (account, mut warnings) = (self.account, Vec::new());
        for method in &self.methods {
            let chain = method.chain_id;
            if method.settlement().is_gas_low() {
                let settlement = method.settlement();
                let refused = match (
                    settlement.affords_claim(false),
                    settlement.affords_claim(true),
                ) {
                    (true, _) => "",
                    (false, true) => "; calls from new channels are refused",
                    (false, false) => "; calls from channels are refused",
                };
                warnings.push(format!("Account {account} has too little left for gas on chain {chain}: deposits, refunds and transfers of payers are not sent{refused}."));
            }
            let (gas, budget) = method.settlement().sponsored_gas();
            if let Some(budget) = budget.filter(|_| gas.is_exhausted) {
                let spent = in_units(gas.spent.saturating_add(gas.in_flight), COIN_DECIMALS);
                let budget = in_units(budget, COIN_DECIMALS);
                warnings.push(format!("Account {account} has paid {spent} of {budget} ETH a day for gas at payers' request on chain {chain}: deposits, refunds and transfers are not sent until tomorrow (UTC)."));
            }
        }
        warnings
    }

    /// The gas that was paid for sponsored transactions, by chain.
    pub fn sponsorships(&self) -> Vec<Sponsorship> {
        let each = self.methods.iter().map(|method| {
            let (gas, budget) = method.settlement().sponsored_gas();
            Sponsorship {
                chain_id: method.chain_id,
                gas,
                budget,
                is_low: method.settlement().is_gas_low(),
            }
        });
        each.collect()
    }

    /// The offers for a sale, channels first; empty if the adapter has no address to pay to.
    fn offers(
        &self,
        sale: &OfferedCall,
    ) -> impl Iterator<Item = (&Arc<PaymentMethod>, PaymentRequirements)> {
        let receiver = self.pay_to.read().unwrap_or_else(PoisonError::into_inner);
        let receiver = receiver.get(&sale.adapter_digest).copied();
        let schemes = [BATCH_SETTLEMENT, EXACT];
        let pairs = schemes
            .into_iter()
            .flat_map(|scheme| self.methods.iter().map(move |method| (scheme, method)));
        // A transfer must be worth its gas.
        let pairs = pairs.filter(|(scheme, method)| {
            *scheme != EXACT || sale.quote >= method.chain_offer.min_exact
        });
        pairs.filter_map(move |(scheme, method)| {
            Some((method, self.offer(scheme, method, sale.quote, receiver?)))
        })
    }

    /// The offers for a sale as the terms have them.
    pub fn listed_offers(&self, sale: &OfferedCall) -> Vec<Value> {
        let offers = self.offers(sale);
        offers
            .filter_map(|(_, offer)| serde_json::to_value(offer).ok())
            .collect()
    }

    fn is_below_exact(&self, sale: &OfferedCall, accepted: &PaymentRequirements) -> bool {
        let asked = chain_id(&accepted.network);
        let mut methods = self.methods.iter();
        methods.any(|method| {
            Some(method.chain_id) == asked && sale.quote < method.chain_offer.min_exact
        })
    }

    fn offer(
        &self,
        scheme: &str,
        method: &PaymentMethod,
        amount: Amount,
        pay_to: Address,
    ) -> PaymentRequirements {
        let chain_offer = &method.chain_offer;
        let mut extra = SchemeExtra {
            name: Some(chain_offer.token_name.clone()),
            version: Some(chain_offer.token_version.clone()),
            ..SchemeExtra::default()
        };
        if scheme == BATCH_SETTLEMENT {
            extra.receiver_authorizer = Some(self.account);
            extra.withdraw_delay = Some(chain_offer.withdraw_delay);
            extra.min_deposit = Some(chain_offer.min_deposit.max(amount));
            extra.refund_fee = Some(chain_offer.refund_fee).filter(|fee| !fee.is_zero());
        }
        PaymentRequirements {
            scheme: scheme.to_owned(),
            network: network(method.chain_id),
            amount,
            asset: chain_offer.token,
            pay_to,
            max_timeout_seconds: TIMEOUT_SECONDS,
            extra,
        }
    }

    /// Our current offer that equals a payer's copy. For a refund, the amount is not compared.
    pub fn match_offer(
        &self,
        sale: &OfferedCall,
        accepted: PaymentRequirements,
        priced: bool,
    ) -> Result<TakenOffer, PaymentRefusal> {
        let accepted = accepted.terms();
        let mut offers = self.offers(sale);
        let found = offers.find(|(method, offer)| {
            offer.scheme == accepted.scheme && chain_id(&accepted.network) == Some(method.chain_id)
        });
        let Some((method, mut offer)) = found else {
            return Err(PaymentRefusal::Because(match accepted.scheme.as_str() {
                BATCH_SETTLEMENT => Reason::BatchNetwork,
                EXACT if self.is_below_exact(sale, &accepted) => Reason::ExactTooSmall,
                EXACT => Reason::ExactNetwork,
                _ => Reason::UnsupportedScheme,
            }));
        };
        if !priced {
            offer.amount = accepted.amount;
            offer.extra.min_deposit = accepted.extra.min_deposit;
        } else if offer.scheme == BATCH_SETTLEMENT {
            // The channel decides later whether the payer was directed to this amount.
            let most = sale.quote.saturating_add(Amount(LARGEST_STEP));
            let amount = accepted.amount.min(most).max(sale.quote);
            offer = self.offer(BATCH_SETTLEMENT, method, amount, offer.pay_to);
        }
        match difference(&offer, &accepted) {
            Some(field) => Err(PaymentRefusal::Differs(field)),
            None => Ok(TakenOffer {
                method: Arc::clone(method),
                offer,
            }),
        }
    }

    /// The answer to a payer whose payment is refused.
    pub fn unpaid(&self, sale: &OfferedCall, refused: PaymentRefusal) -> PaymentDemand {
        match refused {
            PaymentRefusal::Malformed(problem) => PaymentDemand::Malformed {
                message: format!("Invalid payment: {problem}."),
            },
            PaymentRefusal::Because(reason) => self.required_for(sale, reason, None),
            PaymentRefusal::Differs(field) => {
                let reason = Reason::OtherTerms;
                let message = format!("{} It differs in `{field}`.", reason.message());
                self.required(sale, reason, message, None)
            }
            PaymentRefusal::Stale(reason, found) => self.required_for(sale, reason, Some(*found)),
            PaymentRefusal::UsedByName(used, payer) => PaymentDemand::Used {
                request_id: used.request_id,
                request_hash: used.request_hash,
                named_by: Some(payer),
                otherwise: Box::new(self.unpaid(sale, Reason::ExactUsed.into())),
            },
            PaymentRefusal::Used(used, otherwise) => PaymentDemand::Used {
                request_id: used.request_id,
                request_hash: used.request_hash,
                named_by: None,
                otherwise: Box::new(self.unpaid(sale, *otherwise)),
            },
            PaymentRefusal::Trouble(trouble) => troubled(&trouble),
            PaymentRefusal::Busy => unavailable("Another call uses this channel."),
            PaymentRefusal::GasLow => unavailable("Transactions of payers are not sent now."),
            PaymentRefusal::GasShort => PaymentDemand::Stopped {
                code: "gas_account_low",
                message: "The server's account cannot pay for claiming what this call would cost. Nothing was charged; the payment stays valid."
                    .to_owned(),
                retry_after: GAS_SECONDS,
            },
            PaymentRefusal::Limited => PaymentDemand::Stopped {
                code: "refused_limit",
                message: "Too many payments from this address were refused: only channels in use can pay from it for now."
                    .to_owned(),
                retry_after: RETRY_SECONDS,
            },
            PaymentRefusal::GasSpent => PaymentDemand::Stopped {
                code: "gas_budget_spent",
                message: "So much gas was paid for payers today that deposits, refunds and transfers are not sent until tomorrow (UTC)."
                    .to_owned(),
                retry_after: until_tomorrow(),
            },
            PaymentRefusal::RefundFee(unpaid) => self.refund_unpaid(sale, &unpaid),
            PaymentRefusal::Unwritable(failure) => {
                tracing::error!(%failure, "a payment was refused because the journal takes nothing");
                unavailable("Payments cannot be written down now.")
            }
        }
    }

    /// A refund whose fee the request does not pay, or the channel cannot.
    fn refund_unpaid(&self, sale: &OfferedCall, unpaid: &UnpaidRefund) -> PaymentDemand {
        let UnpaidRefund {
            chain_id,
            fee,
            rest,
            total,
        } = *unpaid;
        let method = self.methods.iter().find(|it| it.chain_id == chain_id);
        let shown = |sum: Amount| method.map_or_else(|| sum.to_string(), |it| it.shown(sum));
        let (costs, left) = (shown(fee), shown(rest));
        let mut stated = vec![("fee", fee), ("left", rest)];
        let message = if rest > fee {
            stated.push(("voucher", total));
            format!(
                "A refund costs {costs}, and the request does not pay it: sign a voucher over {} in it. {left} is left in the channel.",
                shown(total)
            )
        } else {
            format!(
                "A refund costs {costs}, and {left} is left in the channel: withdraw from the escrow."
            )
        };
        let mut demand = self.required(sale, Reason::RefundFee, message, None);
        if let PaymentDemand::Required { amounts, .. } = &mut demand {
            amounts.extend(stated);
        }
        demand
    }

    /// With the usual message of the reason.
    fn required_for(
        &self,
        sale: &OfferedCall,
        reason: Reason,
        correction: Option<ChannelCorrection>,
    ) -> PaymentDemand {
        self.required(sale, reason, reason.message().to_owned(), correction)
    }

    fn required(
        &self,
        sale: &OfferedCall,
        reason: Reason,
        message: String,
        correction: Option<ChannelCorrection>,
    ) -> PaymentDemand {
        match self.header(sale, reason, correction) {
            Ok(Some(terms)) => PaymentDemand::Required {
                code: reason.code().to_owned(),
                message,
                amounts: BTreeMap::new(),
                terms,
                asked_chain: reason.may_ask_chain(),
            },
            Ok(None) => unavailable("Nobody can be paid for this adapter now."),
            Err(problem) => {
                tracing::error!(%problem, "an offer cannot be written");
                unavailable("There is no offer for this call now.")
            }
        }
    }

    fn header(
        &self,
        sale: &OfferedCall,
        reason: Reason,
        correction: Option<ChannelCorrection>,
    ) -> Result<Option<String>, WireProblem> {
        let mut offers: Vec<PaymentRequirements> =
            self.offers(sale).map(|(_, offer)| offer).collect();
        if offers.is_empty() {
            return Ok(None);
        }
        if let Some(found) = correction {
            correct(&mut offers, found);
        }
        let required = PaymentRequired {
            x402_version: VERSION,
            error: Some(reason.code().to_owned()),
            resource: described(sale),
            accepts: offers
                .iter()
                .filter_map(|offer| serde_json::to_value(offer).ok())
                .collect(),
            extensions: sale.listing.extensions.clone(),
        };
        required.encode().map(Some)
    }
}

/// What is sold, as directories list it.
fn described(sale: &OfferedCall) -> PaidResource {
    let listing = &sale.listing;
    let usual = || format!("A call of the adapter {}", sale.adapter);
    let tags = Some(&listing.tags).filter(|tags| !tags.is_empty());
    let others = [
        (
            "serviceName",
            listing.service_name.as_ref().map(|it| json!(it)),
        ),
        ("tags", tags.map(|it| json!(it))),
        ("iconUrl", listing.icon_url.as_ref().map(|it| json!(it))),
    ];
    let stated = others.into_iter();
    PaidResource {
        url: sale.resource.clone(),
        description: Some(listing.description.clone().unwrap_or_else(usual)),
        mime_type: Some(sale.media_type.to_owned()),
        others: stated
            .filter_map(|(name, value)| Some((name.to_owned(), value?)))
            .collect(),
    }
}

/// Writes our state of a channel into its chain's offer, and moves that offer to the front. Stock
/// clients read the first offer of the scheme.
fn correct(offers: &mut [PaymentRequirements], found: ChannelCorrection) {
    let network = network(found.chain_id);
    let at = offers
        .iter()
        .position(|offer| offer.scheme == BATCH_SETTLEMENT && offer.network == network);
    let Some(at) = at else { return };
    let offer = &mut offers[at];
    offer.amount = offer.amount.saturating_add(found.step);
    let least = offer.extra.min_deposit;
    offer.extra.min_deposit = least.map(|least| least.max(offer.amount));
    offers[at].extra.channel_state = Some(found.channel);
    offers[at].extra.voucher_state = found.voucher;
    offers[..=at].rotate_right(1);
}

/// The first field in which a payer's copy differs.
fn difference(ours: &PaymentRequirements, theirs: &PaymentRequirements) -> Option<&'static str> {
    let (our, their) = (&ours.extra, &theirs.extra);
    let fields = [
        ("network", ours.network == theirs.network),
        ("amount", ours.amount == theirs.amount),
        ("asset", ours.asset == theirs.asset),
        ("payTo", ours.pay_to == theirs.pay_to),
        (
            "maxTimeoutSeconds",
            ours.max_timeout_seconds == theirs.max_timeout_seconds,
        ),
        ("extra.name", our.name == their.name),
        ("extra.version", our.version == their.version),
        (
            "extra.receiverAuthorizer",
            our.receiver_authorizer == their.receiver_authorizer,
        ),
        (
            "extra.withdrawDelay",
            our.withdraw_delay == their.withdraw_delay,
        ),
        ("extra.minDeposit", our.min_deposit == their.min_deposit),
        ("extra.refundFee", our.refund_fee == their.refund_fee),
        ("extra", our == their),
    ];
    let different = fields.into_iter().find(|(_, equal)| !equal);
    different.map(|(field, _)| field)
}

fn troubled(trouble: &ChainFailure) -> PaymentDemand {
    tracing::warn!(%trouble, "a payment waits for its chain");
    unavailable(match trouble {
        ChainFailure::Unknown { .. } => "It is not known yet what became of the payment.",
        _ => "The payment's chain cannot be asked now.",
    })
}

fn unavailable(message: &str) -> PaymentDemand {
    PaymentDemand::Unavailable {
        message: message.to_owned(),
        retry_after: RETRY_SECONDS,
    }
}

//! What is offered: one way to pay per chain and scheme, and whether a payer took the offer that
//! is made now.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{
    binding::BindingDomain,
    digest::{EscrowDomain, TokenDomain},
    reason::Reason,
    refused::{Correction, Refused},
    shelf::Shelf,
    sponsor::{Purse, Rules, Sponsor},
    wire::{
        BATCH_SETTLEMENT, EXACT, Extra, PaymentRequired, Requirements, Resource, VERSION,
        WireProblem, chain_id, network,
    },
};
use crate::{
    runtime::{
        event::Event,
        ledger::{Address, Amount, Book, Channel, ChannelKey, ExactKey, ExactPayment},
        ports::{FactLog, Sale, Unpaid},
    },
    wallet::{
        contracts::ESCROW,
        settlement::{Settlement, Trouble},
    },
};

/// How long a payer's authorization shall be good, in seconds.
pub const TIMEOUT_SECONDS: u64 = 300;

/// How many units above its price a call's total may be, where others have the totals below.
pub(super) const LARGEST_STEP: u128 = 16;

/// When to come back after trouble with a chain, in seconds.
const RETRY_SECONDS: u64 = 5;

/// The money that is taken on one chain.
#[derive(Clone)]
pub struct Counter {
    pub settlement: Arc<dyn Settlement>,
    pub token: Address,
    /// The token's signing domain (EIP-712).
    pub token_name: String,
    pub token_version: String,
    /// Seconds between start and end of a payer's withdrawal.
    pub withdraw_delay: u64,
    /// Deposits cost us gas.
    pub min_deposit: Amount,
    /// And so do refunds: so much stays in the channel, to be paid with or withdrawn.
    pub refund_fee: Amount,
    /// Wei below which our account pays for nobody's transactions.
    pub min_gas: Amount,
}

/// Who sells what, and for which money.
pub struct Shop {
    /// The splitter that is paid for an adapter, by the adapter's digest: the same on every chain.
    pub stalls: BTreeMap<String, Address>,
    /// In the order in which they are offered.
    pub counters: Vec<Counter>,
    /// Whose key claims and refunds.
    pub account: Address,
    pub facts: Arc<dyn FactLog>,
    pub rules: Rules,
}

/// A counter with what follows from it.
pub(super) struct Lane {
    pub counter: Counter,
    pub chain_id: u64,
    pub escrow: EscrowDomain,
    pub token: TokenDomain,
    /// Of what binds payments from channels to their requests.
    pub binding: BindingDomain,
    pub purse: Purse,
}

/// Everything behind the till.
pub(super) struct Back {
    stalls: BTreeMap<String, Address>,
    lanes: Vec<Arc<Lane>>,
    account: Address,
    pub facts: Arc<dyn FactLog>,
    pub channels: Shelf<ChannelKey, Channel>,
    pub exact: Shelf<ExactKey, ExactPayment>,
    /// For which request an authorization was sent to its chain, until its payment is there.
    bound: Mutex<BTreeMap<ExactKey, String>>,
    pub sponsor: Sponsor,
}

/// An offer that a payer took: the one that is made now.
pub(super) struct Taken {
    pub lane: Arc<Lane>,
    pub offer: Requirements,
}

impl Lane {
    pub fn new(counter: Counter) -> Self {
        let chain_id = counter.settlement.network().chain_id;
        let (name, version) = (&counter.token_name, &counter.token_version);
        Self {
            chain_id,
            escrow: EscrowDomain::of(chain_id),
            binding: BindingDomain::of(chain_id, ESCROW.into()),
            purse: Purse::default(),
            token: TokenDomain::of(name, version, chain_id, counter.token),
            counter,
        }
    }

    pub fn settlement(&self) -> &dyn Settlement {
        &*self.counter.settlement
    }

    /// Whether our account can pay for others' transactions; else what is left, where that is
    /// news.
    pub async fn funded(&self) -> Result<(), (Refused, Option<Amount>)> {
        let least = self.counter.min_gas;
        self.purse.funded(self.settlement(), least).await
    }
}

impl Back {
    pub fn new(shop: Shop, book: Book) -> Self {
        let lane = |counter| Arc::new(Lane::new(counter));
        Self {
            stalls: shop.stalls,
            lanes: shop.counters.into_iter().map(lane).collect(),
            account: shop.account,
            facts: shop.facts,
            channels: Shelf::new(book.channels),
            exact: Shelf::new(book.exact),
            bound: Mutex::new(book.bound),
            sponsor: Sponsor::new(shop.rules),
        }
    }

    /// Whether any chain could take a payment now.
    pub fn is_fresh(&self) -> bool {
        let mut lanes = self.lanes.iter();
        lanes.any(|lane| lane.counter.settlement.is_fresh())
    }

    /// The request that an authorization is for, as far as it was sent or mined.
    pub fn bound(&self, key: &ExactKey, paid: Option<&ExactPayment>) -> Option<String> {
        match paid {
            Some(paid) => paid.request_hash.clone(),
            None => self.lock_bound().get(key).cloned(),
        }
    }

    pub fn bind(&self, key: ExactKey, request_hash: String) {
        self.lock_bound().insert(key, request_hash);
    }

    pub fn release(&self, key: &ExactKey) {
        self.lock_bound().remove(key);
    }

    fn lock_bound(&self) -> MutexGuard<'_, BTreeMap<ExactKey, String>> {
        self.bound.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether our account can pay for others' transactions; when it first cannot, that is told.
    pub async fn funded(&self, lane: &Lane) -> Result<(), Refused> {
        let Err((refused, news)) = lane.funded().await else {
            return Ok(());
        };
        if let Some(left) = news {
            let (chain_id, account) = (lane.chain_id, self.account);
            tracing::error!(chain_id, %account, %left, "too little is left for gas: deposits, refunds and transfers of payers are not sent");
            let low = Event::GasLow {
                chain_id,
                account,
                left,
            };
            self.keep(low).await?;
        }
        Err(refused)
    }

    /// What whoever runs the server should see to.
    pub fn warnings(&self) -> Vec<String> {
        let low = self.lanes.iter().filter(|lane| lane.purse.is_low());
        low.map(|lane| {
            format!(
                "Account {} has too little left for gas on chain {}: deposits, refunds and transfers of payers are not sent.",
                self.account, lane.chain_id
            )
        })
        .collect()
    }

    /// The offers for a sale, channels first; none when nobody is paid for the adapter.
    fn offers(&self, sale: &Sale) -> impl Iterator<Item = (&Arc<Lane>, Requirements)> {
        let receiver = self.stalls.get(&sale.adapter_digest).copied();
        let schemes = [BATCH_SETTLEMENT, EXACT];
        let pairs = schemes
            .into_iter()
            .flat_map(|scheme| self.lanes.iter().map(move |lane| (scheme, lane)));
        pairs.filter_map(move |(scheme, lane)| {
            Some((lane, self.offer(scheme, lane, sale.quote, receiver?)))
        })
    }

    fn offer(&self, scheme: &str, lane: &Lane, amount: Amount, pay_to: Address) -> Requirements {
        let counter = &lane.counter;
        let mut extra = Extra {
            name: Some(counter.token_name.clone()),
            version: Some(counter.token_version.clone()),
            ..Extra::default()
        };
        if scheme == BATCH_SETTLEMENT {
            extra.receiver_authorizer = Some(self.account);
            extra.withdraw_delay = Some(counter.withdraw_delay);
            extra.min_deposit = Some(counter.min_deposit.max(amount));
            extra.refund_fee = Some(counter.refund_fee).filter(|fee| !fee.is_zero());
        }
        Requirements {
            scheme: scheme.to_owned(),
            network: network(lane.chain_id),
            amount,
            asset: counter.token,
            pay_to,
            max_timeout_seconds: TIMEOUT_SECONDS,
            extra,
        }
    }

    /// Our own offer of now that a payer's copy is equal to. For a refund the amount says nothing.
    pub fn taken(
        &self,
        sale: &Sale,
        accepted: Requirements,
        priced: bool,
    ) -> Result<Taken, Refused> {
        let accepted = accepted.terms();
        let mut offers = self.offers(sale);
        let found = offers.find(|(lane, offer)| {
            offer.scheme == accepted.scheme && chain_id(&accepted.network) == Some(lane.chain_id)
        });
        let Some((lane, mut offer)) = found else {
            return Err(Refused::Because(match accepted.scheme.as_str() {
                BATCH_SETTLEMENT => Reason::BatchNetwork,
                EXACT => Reason::ExactNetwork,
                _ => Reason::UnsupportedScheme,
            }));
        };
        if !priced {
            offer.amount = accepted.amount;
            offer.extra.min_deposit = accepted.extra.min_deposit;
        } else if offer.scheme == BATCH_SETTLEMENT {
            // The channel knows whether the payer was led so far.
            let most = sale.quote.saturating_add(Amount(LARGEST_STEP));
            let amount = accepted.amount.min(most).max(sale.quote);
            offer = self.offer(BATCH_SETTLEMENT, lane, amount, offer.pay_to);
        }
        match difference(&offer, &accepted) {
            Some(field) => Err(Refused::Differs(field)),
            None => Ok(Taken {
                lane: Arc::clone(lane),
                offer,
            }),
        }
    }

    /// What a payer is told whose payment is not taken.
    pub fn unpaid(&self, sale: &Sale, refused: Refused) -> Unpaid {
        match refused {
            Refused::Malformed(problem) => Unpaid::Malformed {
                message: format!("Invalid payment: {problem}."),
            },
            Refused::Because(reason) => self.required(sale, reason, None, None),
            Refused::Differs(field) => self.required(sale, Reason::OtherTerms, Some(field), None),
            Refused::Stale(reason, found) => self.required(sale, reason, None, Some(*found)),
            Refused::Used(used, otherwise) => Unpaid::Used {
                request_id: used.request_id,
                request_hash: used.request_hash,
                otherwise: Box::new(self.unpaid(sale, *otherwise)),
            },
            Refused::Trouble(trouble) => troubled(&trouble),
            Refused::Busy => unavailable("Another call uses this channel."),
            Refused::GasLow => unavailable("Transactions of payers are not sent now."),
            Refused::Unwritable(failure) => {
                tracing::error!(%failure, "a payment was refused because the journal takes nothing");
                unavailable("Payments cannot be written down now.")
            }
        }
    }

    fn required(
        &self,
        sale: &Sale,
        reason: Reason,
        field: Option<&str>,
        correction: Option<Correction>,
    ) -> Unpaid {
        let message = match field {
            None => reason.message().to_owned(),
            Some(field) => format!("{} It differs in `{field}`.", reason.message()),
        };
        match self.header(sale, reason, correction) {
            Ok(Some(terms)) => Unpaid::Required {
                code: reason.code().to_owned(),
                message,
                terms,
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
        sale: &Sale,
        reason: Reason,
        correction: Option<Correction>,
    ) -> Result<Option<String>, WireProblem> {
        let mut offers: Vec<Requirements> = self.offers(sale).map(|(_, offer)| offer).collect();
        if offers.is_empty() {
            return Ok(None);
        }
        if let Some(found) = correction {
            correct(&mut offers, found);
        }
        let required = PaymentRequired {
            x402_version: VERSION,
            error: Some(reason.code().to_owned()),
            resource: Resource {
                url: sale.resource.clone(),
                description: Some(format!("A call of the adapter {}", sale.adapter)),
                mime_type: Some(sale.media_type.to_owned()),
            },
            accepts: offers
                .iter()
                .filter_map(|offer| serde_json::to_value(offer).ok())
                .collect(),
            extensions: None,
        };
        required.encode().map(Some)
    }
}

/// Puts what we have of a channel into its chain's offer, and that offer first: stock clients look
/// for it in the first offer of the scheme.
fn correct(offers: &mut [Requirements], found: Correction) {
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
fn difference(ours: &Requirements, theirs: &Requirements) -> Option<&'static str> {
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

fn troubled(trouble: &Trouble) -> Unpaid {
    tracing::warn!(%trouble, "a payment waits for its chain");
    unavailable(match trouble {
        Trouble::Unknown { .. } => "It is not known yet what became of the payment.",
        _ => "The payment's chain cannot be asked now.",
    })
}

fn unavailable(message: &str) -> Unpaid {
    Unpaid::Unavailable {
        message: message.to_owned(),
        retry_after: RETRY_SECONDS,
    }
}

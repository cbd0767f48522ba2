//! Selects one of a server's offers: one on our own network, in our own token, under terms that we
//! accept.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    PayerError,
    channel::{ChannelRequirements, SellerRoute, TokenName},
};
use crate::x402::wire::{self, PaymentRequired, PaymentRequirements};
use openlora_chain::network::{Network, PaymentToken};
use openlora_core::Address;
use openlora_ledger::{PaymentScheme, WITHDRAW_DELAY};

/// The delay of an offer that states none, as in stock clients.
const USUAL_DELAY: u64 = 900;

/// The payment scheme that the user selects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SchemeChoice {
    /// A channel, if one is offered.
    #[default]
    Auto,
    Only(PaymentScheme),
}

/// An offer that can be paid.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PaymentOffer {
    pub server: String,
    pub scheme: PaymentScheme,
    pub terms: PaymentRequirements,
    pub token: TokenName,
    /// As the server wrote it.
    pub raw: Value,
}

/// Selects the best offer.
///
/// # Errors
/// No offer fits, or the terms of a fitting offer must not be signed.
pub fn choose(
    required: &PaymentRequired,
    server: &str,
    network: &Network,
    token: &PaymentToken,
    choice: SchemeChoice,
) -> Result<PaymentOffer, PayerError> {
    let here = wire::network(network.chain_id);
    let fits = |terms: &PaymentRequirements| {
        let method = terms.extra.asset_transfer_method.as_deref();
        terms.network == here
            && terms.asset == token.address
            && matches!(method, None | Some("eip3009"))
    };
    let mut best: Option<(PaymentScheme, &Value, PaymentRequirements)> = None;
    for (raw, terms) in required.offers().filter(|(_, terms)| fits(terms)) {
        let Some(scheme) = scheme(&terms.scheme) else {
            continue;
        };
        let better = best.as_ref().is_none_or(|(other, ..)| scheme > *other);
        if (choice == SchemeChoice::Auto || choice == SchemeChoice::Only(scheme)) && better {
            best = Some((scheme, raw, terms));
        }
    }
    match best {
        Some((scheme, raw, terms)) => check(server, scheme, token, raw, terms),
        None => Err(PayerError::NoOffer {
            server: server.to_owned(),
            expected: format!(
                "{} on {here} in {} {}",
                shown(choice),
                token.symbol,
                token.address
            ),
            found: describe_offers(required),
        }),
    }
}

fn scheme(name: &str) -> Option<PaymentScheme> {
    match name {
        wire::EXACT => Some(PaymentScheme::Exact),
        wire::BATCH_SETTLEMENT => Some(PaymentScheme::BatchSettlement),
        _ => None,
    }
}

fn shown(choice: SchemeChoice) -> &'static str {
    match choice {
        SchemeChoice::Auto => "batch-settlement or exact",
        SchemeChoice::Only(PaymentScheme::Exact) => wire::EXACT,
        SchemeChoice::Only(PaymentScheme::BatchSettlement) => wire::BATCH_SETTLEMENT,
    }
}

fn describe_offers(required: &PaymentRequired) -> String {
    let word = |offer: &Value, name: &str| offer[name].as_str().unwrap_or("?").to_owned();
    let all: Vec<String> = required
        .accepts
        .iter()
        .map(|offer| {
            let (scheme, network) = (word(offer, "scheme"), word(offer, "network"));
            format!("{scheme} on {network} in {}", word(offer, "asset"))
        })
        .collect();
    match all.is_empty() {
        true => "no offer".to_owned(),
        false => all.join(", "),
    }
}

fn check(
    server: &str,
    scheme: PaymentScheme,
    token: &PaymentToken,
    raw: &Value,
    terms: PaymentRequirements,
) -> Result<PaymentOffer, PayerError> {
    let refuse = |field, expected: &str, found: String| PayerError::Terms {
        server: server.to_owned(),
        field,
        expected: expected.to_owned(),
        found,
    };
    let (Some(name), Some(version)) = (terms.extra.name.clone(), terms.extra.version.clone())
    else {
        return Err(refuse(
            "extra.name",
            "the token's name and version",
            "none".to_owned(),
        ));
    };
    // A signature under another domain name is invalid, and its purpose cannot be determined.
    for (field, found, known) in [
        ("extra.name", &name, &token.name),
        ("extra.version", &version, &token.version),
    ] {
        if found != known {
            return Err(refuse(field, &format!("`{known}`"), format!("`{found}`")));
        }
    }
    if terms.pay_to.is_zero() {
        return Err(refuse("payTo", "an account", terms.pay_to.to_string()));
    }
    if scheme == PaymentScheme::BatchSettlement {
        if terms
            .extra
            .receiver_authorizer
            .is_none_or(|it| it.is_zero())
        {
            let found = "none".to_owned();
            return Err(refuse("extra.receiverAuthorizer", "an account", found));
        }
        let delay = terms.extra.withdraw_delay.unwrap_or(USUAL_DELAY);
        if !WITHDRAW_DELAY.contains(&delay) {
            let expected = "900 to 2592000 seconds";
            return Err(refuse("extra.withdrawDelay", expected, delay.to_string()));
        }
    }
    Ok(PaymentOffer {
        server: server.to_owned(),
        scheme,
        terms: terms.terms(),
        token: TokenName { name, version },
        raw: without_states(raw),
    })
}

/// The channel state that a server reports is not part of its offer.
fn without_states(raw: &Value) -> Value {
    let mut raw = raw.clone();
    if let Some(extra) = raw.get_mut("extra").and_then(Value::as_object_mut) {
        extra.remove("channelState");
        extra.remove("voucherState");
    }
    raw
}

impl PaymentOffer {
    /// The same offer from a later answer. Only the price and the minimum deposit may differ.
    /// `None` if the answer has no such offer.
    pub fn renewed(&self, required: &PaymentRequired) -> Option<Self> {
        let alike = |terms: &PaymentRequirements| {
            let mut same = terms.clone().terms();
            same.amount = self.terms.amount;
            same.extra.min_deposit = self.terms.extra.min_deposit;
            same.max_timeout_seconds = self.terms.max_timeout_seconds;
            same == self.terms
        };
        let (raw, terms) = required.offers().find(|(_, terms)| alike(terms))?;
        Some(Self {
            terms: terms.terms(),
            raw: without_states(raw),
            ..self.clone()
        })
    }

    /// Seconds between starting a withdrawal of a deposit and getting it back.
    pub fn delay(&self) -> u64 {
        self.terms.extra.withdraw_delay.unwrap_or(USUAL_DELAY)
    }

    /// The requirements for a channel that pays it.
    pub fn channel_requirements(
        &self,
        chain_id: u64,
        payer: Address,
        seller: &SellerRoute,
    ) -> ChannelRequirements {
        let extra = &self.terms.extra;
        ChannelRequirements {
            chain_id,
            payer,
            receiver: self.terms.pay_to,
            receiver_authorizer: extra.receiver_authorizer.unwrap_or_default(),
            token: self.terms.asset,
            withdraw_delay: self.delay(),
            domain: self.token.clone(),
            seller: seller.clone(),
        }
    }
}

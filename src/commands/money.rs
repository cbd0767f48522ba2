//! Conversion of amounts and prices from the token units of settings and flags to base units.

use super::{CommandContext, network};
use crate::commands::settings::StatedSetting;
use openlora_chain::network::{Network, PaymentToken};
use openlora_core::{
    Address, Amount,
    error::{ExitClass, Failure},
    from_units, in_units,
};
use openlora_ledger::{CallWork, PriceList, gas_in_token};

/// The token in which calls are paid on a network.
pub fn token(network: &Network) -> Result<&PaymentToken, Failure> {
    network.token.as_ref().ok_or_else(|| {
        let message = format!("the network `{}` has no token to be paid in", network.name);
        Failure::new(ExitClass::BadInput, message).with_hint(format!(
            "name one: openlora config set network.{}.token 0x…",
            network.name
        ))
    })
}

/// A setting in token units as an amount.
pub fn amount(stated: &StatedSetting<String>, token: &PaymentToken) -> Result<Amount, Failure> {
    let (key, text) = (stated.key, &stated.value);
    parse(text, token).ok_or_else(|| {
        let message = format!(
            "`{key}` is wrong: expected {} with at most {} decimals, such as \"0.001\", \
             found `{text}`",
            token.symbol, token.decimals
        );
        Failure::new(ExitClass::BadInput, message)
    })
}

/// A flag in token units as an amount.
pub fn flag(name: &str, text: &str, token: &PaymentToken) -> Result<Amount, Failure> {
    parse(text, token).ok_or_else(|| {
        let message = format!(
            "{name} {text}: expected an amount of {} with at most {} decimals, such as 0.01",
            token.symbol, token.decimals
        );
        Failure::new(ExitClass::Usage, message)
    })
}

fn parse(text: &str, token: &PaymentToken) -> Option<Amount> {
    from_units(text, token.decimals).map(Amount)
}

/// The configured prices.
pub fn prices(context: &CommandContext, token: &PaymentToken) -> Result<PriceList, Failure> {
    let settings = &context.settings.pricing;
    Ok(PriceList {
        prompt: amount(&settings.prompt, token)?,
        completion: amount(&settings.completion, token)?,
        classification: amount(&settings.classification, token)?,
        image: amount(&settings.image, token)?,
        minimum: amount(&settings.minimum, token)?,
    })
}

/// Refuses prices at which a call could cost nothing: free calls must be requested explicitly.
pub fn refuse_free(prices: &PriceList) -> Result<(), Failure> {
    let least = [
        (
            "pricing.completion",
            CallWork::Tokens {
                prompt: 1,
                completion: 1,
            },
        ),
        (
            "pricing.classification",
            CallWork::Classifications { texts: 1 },
        ),
        ("pricing.image", CallWork::Images { pictures: 1 }),
    ];
    let mut free = least
        .iter()
        .filter(|(_, work)| prices.price_of(*work).is_zero());
    let Some((key, _)) = free.next() else {
        return Ok(());
    };
    let message = format!(
        "`{key}` and `pricing.minimum` are 0, so calls would cost nothing: expected one of them \
         above 0"
    );
    Err(Failure::new(ExitClass::BadInput, message).with_hint(
        "set a price: openlora config set pricing.minimum 0.00001; or serve without payment: \
         openlora serve --local --free",
    ))
}

/// A gas cost in the chain's coin, and in the network's token if `pricing.coin` says what a coin is
/// worth.
pub fn format_gas_cost(
    context: &CommandContext,
    network: &Network,
    wei: Amount,
) -> Result<String, Failure> {
    let coins = format!("{} ETH", in_units(wei.0, 18));
    let Some(token) = &network.token else {
        return Ok(coins);
    };
    let cost = coin(context, token.decimals)?.and_then(|price| gas_in_token(wei, price));
    Ok(match cost {
        Some(cost) => format!("{coins} ({})", format_sum(token, cost)),
        None => coins,
    })
}

/// The price of one native coin in base units of a token, if `pricing.coin` is set.
pub fn coin(context: &CommandContext, decimals: u8) -> Result<Option<u128>, Failure> {
    let read = |stated: &StatedSetting<String>| {
        from_units(&stated.value, decimals).ok_or_else(|| {
            let message = format!(
                "`{}` is wrong: expected token units such as 2500 or 0.5, found `{}`",
                stated.key, stated.value
            );
            Failure::new(ExitClass::BadInput, message)
        })
    };
    context.settings.pricing.coin.as_ref().map(read).transpose()
}

/// A sum of the token in which calls are paid on a network.
pub fn format_network_sum(network: &Network, amount: Amount) -> String {
    match &network.token {
        Some(token) => format_sum(token, amount),
        None => format!("{amount} base units"),
    }
}

fn format_sum(token: &PaymentToken, amount: Amount) -> String {
    format!("{} {}", in_units(amount.0, token.decimals), token.symbol)
}

fn format_unknown(token: &str, amount: Amount) -> String {
    format!("{amount} base units of {token}")
}

/// The tokens of every network that the settings describe, by chain.
pub struct KnownTokens(Vec<(u64, PaymentToken)>);

impl KnownTokens {
    pub fn read(context: &CommandContext) -> Self {
        let networks = network::described(context).into_iter();
        let tokens = networks.filter_map(|it| Some((it.chain_id, it.token?)));
        Self(tokens.collect())
    }

    pub fn find(&self, chain_id: u64, token: Address) -> Option<&PaymentToken> {
        let is =
            |(chain, known): &&(u64, PaymentToken)| *chain == chain_id && known.address == token;
        self.0.iter().find(is).map(|(_, token)| token)
    }

    /// A sum in whole units with the token's symbol.
    pub fn format(&self, chain_id: u64, token: Address, amount: Amount) -> String {
        match self.find(chain_id, token) {
            Some(token) => format_sum(token, amount),
            None => format_unknown(&token.to_string(), amount),
        }
    }

    /// A sum of millionths of a base unit.
    pub fn format_micro(&self, chain_id: u64, token: Address, micro: Amount) -> String {
        match self.find(chain_id, token) {
            Some(token) => {
                let units = in_units(micro.0, token.decimals.saturating_add(6));
                format!("{units} {}", token.symbol)
            }
            None => format!("{} base units of {token}", in_units(micro.0, 6)),
        }
    }
}

/// Parts per million as a percentage with two decimals, rounded down.
pub fn percent(ppm: impl Into<u64>) -> String {
    let ppm = ppm.into();
    format!("{}.{:02} %", ppm / 10_000, ppm % 10_000 / 100)
}

//! The filter language: terms that must all match, such as `payer:0xab status:failed >0.01`.
//!
//! `field:text` searches a field, `ms>200` and `>0.01` compare (a bare comparison applies to the
//! amount in token units), `-` before a term negates it, and any other term is searched in ids,
//! names and accounts.

use openlora_ledger::{
    event::{CallKind, FinishReason},
    state::board::{BoardCall, PaymentStanding},
};

/// A parsed filter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallFilter {
    terms: Vec<FilterTerm>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct FilterTerm {
    holds: bool,
    test: FilterTest,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum FilterTest {
    Anywhere(String),
    Text(FilterField, String),
    Standing(PaymentStanding),
    Compare(FilterNumber, FilterRelation, u128),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FilterField {
    Id,
    Payer,
    Adapter,
    Kind,
    Finish,
    Contributor,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FilterNumber {
    /// In 10⁻¹⁸ of a token unit.
    Amount,
    Milliseconds,
    Tokens,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FilterRelation {
    Less,
    AtMost,
    Equal,
    AtLeast,
    More,
}

const FIELDS: &[(&str, FilterField)] = &[
    ("id", FilterField::Id),
    ("payer", FilterField::Payer),
    ("adapter", FilterField::Adapter),
    ("kind", FilterField::Kind),
    ("finish", FilterField::Finish),
    ("contributor", FilterField::Contributor),
];

/// Payment states, by their displayed names.
pub const STANDINGS: &[(&str, PaymentStanding)] = &[
    ("free", PaymentStanding::Free),
    ("pending", PaymentStanding::Pending),
    ("claimed", PaymentStanding::Claimed),
    ("settled", PaymentStanding::Settled),
    ("refunded", PaymentStanding::Refunded),
    ("failed", PaymentStanding::Failed),
];

const NUMBERS: &[(&str, FilterNumber)] = &[
    ("", FilterNumber::Amount),
    ("amount", FilterNumber::Amount),
    ("ms", FilterNumber::Milliseconds),
    ("tokens", FilterNumber::Tokens),
];

/// Longer operators first.
const RELATIONS: &[(&str, FilterRelation)] = &[
    (">=", FilterRelation::AtLeast),
    ("<=", FilterRelation::AtMost),
    (">", FilterRelation::More),
    ("<", FilterRelation::Less),
    ("=", FilterRelation::Equal),
];

/// Decimals used to compare amounts.
const DECIMALS: u8 = 18;

impl CallFilter {
    /// # Errors
    ///
    /// The first invalid term.
    pub fn parse(text: &str) -> Result<Self, String> {
        let terms = text
            .split_whitespace()
            .map(term)
            .collect::<Result<_, _>>()?;
        Ok(Self { terms })
    }

    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// Whether a call matches, for a token with this number of decimals.
    pub fn passes(&self, call: &BoardCall, standing: PaymentStanding, decimals: u8) -> bool {
        let mut terms = self.terms.iter();
        terms.all(|term| term.test.holds(call, standing, decimals) == term.holds)
    }
}

fn term(word: &str) -> Result<FilterTerm, String> {
    let (holds, rest) = match word.strip_prefix('-') {
        Some(rest) if !rest.is_empty() => (false, rest),
        _ => (true, word),
    };
    let test = comparison(rest)
        .or_else(|| field(rest))
        .unwrap_or_else(|| Ok(FilterTest::Anywhere(rest.to_lowercase())))?;
    Ok(FilterTerm { holds, test })
}

fn comparison(word: &str) -> Option<Result<FilterTest, String>> {
    let at = word.find(['<', '>', '='])?;
    let (name, rest) = word.split_at(at);
    let (sign, relation) = RELATIONS.iter().find(|(sign, _)| rest.starts_with(sign))?;
    let value = &rest[sign.len()..];
    let Some((_, number)) = NUMBERS.iter().find(|(it, _)| *it == name) else {
        let known = "amount, ms, tokens";
        return Some(Err(format!(
            "`{name}` cannot be compared, expected {known}"
        )));
    };
    let (parsed, example) = match number {
        FilterNumber::Amount => (openlora_core::from_units(value, DECIMALS), "0.01"),
        _ => (value.parse().ok(), "200"),
    };
    Some(match parsed {
        Some(value) => Ok(FilterTest::Compare(*number, *relation, value)),
        None => Err(format!(
            "`{word}`: expected a number such as {example}, found `{value}`"
        )),
    })
}

fn field(word: &str) -> Option<Result<FilterTest, String>> {
    let (name, value) = word.split_once(':')?;
    if name == "status" {
        let found = STANDINGS.iter().find(|(it, _)| *it == value);
        let known: Vec<&str> = STANDINGS.iter().map(|(name, _)| *name).collect();
        return Some(
            found
                .map(|(_, it)| FilterTest::Standing(*it))
                .ok_or_else(|| {
                    format!(
                        "`{word}`: expected one of {}, found `{value}`",
                        known.join(", ")
                    )
                }),
        );
    }
    let Some((_, field)) = FIELDS.iter().find(|(it, _)| *it == name) else {
        let known: Vec<&str> = FIELDS.iter().map(|(name, _)| *name).collect();
        let known = known.join(", ");
        return Some(Err(format!(
            "unknown field `{name}`, expected status, {known}"
        )));
    };
    if value.is_empty() {
        return Some(Err(format!("`{word}`: expected a text after the colon")));
    }
    Some(Ok(FilterTest::Text(*field, value.to_lowercase())))
}

impl FilterTest {
    fn holds(&self, call: &BoardCall, standing: PaymentStanding, decimals: u8) -> bool {
        match self {
            Self::Anywhere(wanted) => {
                let fields = [
                    FilterField::Id,
                    FilterField::Payer,
                    FilterField::Adapter,
                    FilterField::Contributor,
                ];
                fields.iter().any(|field| field.has(call, wanted))
            }
            Self::Text(field, wanted) => field.has(call, wanted),
            Self::Standing(wanted) => *wanted == standing,
            Self::Compare(number, relation, value) => {
                relation.holds(number.value_of(call, decimals), *value)
            }
        }
    }
}

impl FilterField {
    fn has(self, call: &BoardCall, wanted: &str) -> bool {
        let has = |text: &str| text.to_lowercase().contains(wanted);
        match self {
            Self::Id => has(&call.request_id),
            Self::Payer => call
                .charge
                .as_ref()
                .is_some_and(|charge| has(&charge.payer.to_string())),
            Self::Adapter => has(&call.adapter),
            Self::Kind => has(kind_name(call.kind)),
            Self::Finish => has(finish_name(call.finish)),
            Self::Contributor => {
                let attribution = call.attribution.iter();
                let mut shares = attribution.flat_map(|it| &it.shares);
                shares.any(|share| has(&share.contributor))
            }
        }
    }
}

impl FilterNumber {
    fn value_of(self, call: &BoardCall, decimals: u8) -> u128 {
        match self {
            Self::Amount => {
                let amount = call.charge.as_ref().map_or(0, |charge| charge.amount.0);
                match decimals <= DECIMALS {
                    true => amount.saturating_mul(10u128.pow(u32::from(DECIMALS - decimals))),
                    false => amount / 10u128.saturating_pow(u32::from(decimals - DECIMALS)),
                }
            }
            Self::Milliseconds => call.milliseconds.into(),
            Self::Tokens => {
                u128::from(call.usage.prompt_tokens) + u128::from(call.usage.completion_tokens)
            }
        }
    }
}

impl FilterRelation {
    fn holds(self, left: u128, right: u128) -> bool {
        match self {
            Self::Less => left < right,
            Self::AtMost => left <= right,
            Self::Equal => left == right,
            Self::AtLeast => left >= right,
            Self::More => left > right,
        }
    }
}

pub fn kind_name(kind: CallKind) -> &'static str {
    match kind {
        CallKind::Chat => "chat",
        CallKind::Completion => "completion",
        CallKind::Classify => "classify",
        CallKind::Moderation => "moderation",
        CallKind::Embedding => "embedding",
        CallKind::Image => "image",
    }
}

pub fn finish_name(finish: FinishReason) -> &'static str {
    match finish {
        FinishReason::Stop => "stop",
        FinishReason::Length => "length",
        FinishReason::Disconnected => "disconnected",
        FinishReason::Recovered => "recovered",
        FinishReason::Failed => "failed",
    }
}

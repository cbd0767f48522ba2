//! The filter language: words that all must hold, such as `payer:0xab status:failed >0.01`.
//!
//! `field:text` looks into a field, `ms>200` and `>0.01` compare (a bare comparison means the
//! amount in token units), `-` before a word turns it round, and anything else is looked for in
//! ids, names and accounts.

use crate::runtime::{
    event::{CallKind, Finish},
    state::board::{BoardCall, Standing},
};

/// A filter that can be applied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    terms: Vec<Term>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Term {
    holds: bool,
    test: Test,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Test {
    Anywhere(String),
    Text(Field, String),
    Standing(Standing),
    Compare(Number, Relation, u128),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Id,
    Payer,
    Adapter,
    Kind,
    Finish,
    Contributor,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Number {
    /// In 18 decimals of the token's unit.
    Amount,
    Milliseconds,
    Tokens,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relation {
    Less,
    AtMost,
    Equal,
    AtLeast,
    More,
}

const FIELDS: &[(&str, Field)] = &[
    ("id", Field::Id),
    ("payer", Field::Payer),
    ("adapter", Field::Adapter),
    ("kind", Field::Kind),
    ("finish", Field::Finish),
    ("contributor", Field::Contributor),
];

/// What becomes of payments, in the words of the screen.
pub const STANDINGS: &[(&str, Standing)] = &[
    ("free", Standing::Free),
    ("pending", Standing::Pending),
    ("claimed", Standing::Claimed),
    ("settled", Standing::Settled),
    ("refunded", Standing::Refunded),
    ("failed", Standing::Failed),
];

const NUMBERS: &[(&str, Number)] = &[
    ("", Number::Amount),
    ("amount", Number::Amount),
    ("ms", Number::Milliseconds),
    ("tokens", Number::Tokens),
];

/// The longer ones first.
const RELATIONS: &[(&str, Relation)] = &[
    (">=", Relation::AtLeast),
    ("<=", Relation::AtMost),
    (">", Relation::More),
    ("<", Relation::Less),
    ("=", Relation::Equal),
];

/// Decimals that filters compare amounts with.
const DECIMALS: u8 = 18;

impl Filter {
    /// # Errors
    /// What is wrong with the first word that is.
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

    /// Whether a call of a money with so many decimals passes.
    pub fn passes(&self, call: &BoardCall, standing: Standing, decimals: u8) -> bool {
        let mut terms = self.terms.iter();
        terms.all(|term| term.test.holds(call, standing, decimals) == term.holds)
    }
}

fn term(word: &str) -> Result<Term, String> {
    let (holds, rest) = match word.strip_prefix('-') {
        Some(rest) if !rest.is_empty() => (false, rest),
        _ => (true, word),
    };
    let test = comparison(rest)
        .or_else(|| field(rest))
        .unwrap_or_else(|| Ok(Test::Anywhere(rest.to_lowercase())))?;
    Ok(Term { holds, test })
}

fn comparison(word: &str) -> Option<Result<Test, String>> {
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
        Number::Amount => (crate::runtime::ledger::from_units(value, DECIMALS), "0.01"),
        _ => (value.parse().ok(), "200"),
    };
    Some(match parsed {
        Some(value) => Ok(Test::Compare(*number, *relation, value)),
        None => Err(format!(
            "`{word}`: expected a number such as {example}, found `{value}`"
        )),
    })
}

fn field(word: &str) -> Option<Result<Test, String>> {
    let (name, value) = word.split_once(':')?;
    if name == "status" {
        let found = STANDINGS.iter().find(|(it, _)| *it == value);
        let known: Vec<&str> = STANDINGS.iter().map(|(name, _)| *name).collect();
        return Some(found.map(|(_, it)| Test::Standing(*it)).ok_or_else(|| {
            format!(
                "`{word}`: expected one of {}, found `{value}`",
                known.join(", ")
            )
        }));
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
    Some(Ok(Test::Text(*field, value.to_lowercase())))
}

impl Test {
    fn holds(&self, call: &BoardCall, standing: Standing, decimals: u8) -> bool {
        match self {
            Self::Anywhere(wanted) => {
                let fields = [Field::Id, Field::Payer, Field::Adapter, Field::Contributor];
                fields.iter().any(|field| field.has(call, wanted))
            }
            Self::Text(field, wanted) => field.has(call, wanted),
            Self::Standing(wanted) => *wanted == standing,
            Self::Compare(number, relation, value) => {
                relation.holds(number.of(call, decimals), *value)
            }
        }
    }
}

impl Field {
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

impl Number {
    fn of(self, call: &BoardCall, decimals: u8) -> u128 {
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

impl Relation {
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
    }
}

pub fn finish_name(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop => "stop",
        Finish::Length => "length",
        Finish::Disconnected => "disconnected",
        Finish::Recovered => "recovered",
        Finish::Failed => "failed",
    }
}

//! From an index's integers to shares: clip per cluster of near-duplicates, blend with the traced
//! spans, shrink towards the static shares, group by beneficial owner, round.
//!
//! Pure integer arithmetic without files, clock, randomness or floats: the same index rows and
//! sketch give the same shares to the millionth on any machine. This module does not know names,
//! prompts or money; see [`openlora_ledger`] for the money.

mod credit;
mod divide;
mod trace;

pub use credit::{CLIP, credits, noise};
pub use trace::{LEAST_SPAN, TRACE_CEILING};

use openlora_core::Address;

/// Shares are counted in millionths.
pub const WHOLE: u64 = 1_000_000;

/// How many of the most influential examples are named.
const NAMED: usize = 8;

/// The part of the scores' absolute sum that must survive clipping for the evidence alone to
/// decide.
pub const FULL_STRENGTH_PPM: u64 = 50_000;

/// A contributor of training data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contributor {
    pub name: String,
    /// Its payout address.
    pub address: Option<Address>,
    /// The beneficial owner, if it is not the payout address.
    pub owner: Option<Address>,
    /// Its share when calls are not attributed; in any unit.
    pub static_ppm: u64,
}

/// One example of the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClusterExample {
    /// Index into the contributors.
    pub contributor: u32,
    /// Near-duplicates have the same cluster; the first example of a cluster is the original.
    pub cluster: u32,
}

/// A run of tokens that the answer shares with the training text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedSpan {
    /// Its first token in the answer.
    pub start: u32,
    pub tokens: u32,
    /// Distinct documents among the first 1024 occurrences.
    pub documents: u32,
    /// The first of those in training set order, at most 64, as indices into the examples.
    pub examples: Vec<u32>,
}

/// The evidence of an index about one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShareEvidence<'a> {
    pub examples: &'a [ClusterExample],
    /// One per example; positive is helpful.
    pub scores: &'a [i128],
    pub spans: &'a [SharedSpan],
    pub answer_tokens: u32,
}

/// Why the static shares are used instead of evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ShareFallback {
    /// The adapter has no index.
    MissingIndex,
    /// The index belongs to other weights.
    StaleIndex,
    /// The answer is empty.
    EmptyAnswer,
    /// The server died before the answer's tokens were stored.
    Interrupted,
    /// This engine does not provide the answer's tokens.
    NoTokens,
    /// The payer asked for static shares, so that nothing about the texts is published.
    PayerChoice,
    /// A gradient was no number.
    NotANumber,
    /// The gradient of the answer could not be computed.
    SketchFailed,
    /// A score is out of range.
    OutOfRange,
    /// The number of scores differs from the number of examples.
    Mismatch,
    /// No example exceeds the noise.
    NoSurvivingScore,
    /// All evidence belongs to the payer of the call.
    SelfDealing,
}

impl ShareFallback {
    /// The name in events and logs.
    pub fn word(self) -> &'static str {
        match self {
            Self::MissingIndex => "missing_index",
            Self::StaleIndex => "stale_index",
            Self::EmptyAnswer => "empty_answer",
            Self::Interrupted => "interrupted",
            Self::NoTokens => "no_tokens",
            Self::PayerChoice => "payer_choice",
            Self::NotANumber => "not_a_number",
            Self::SketchFailed => "sketch_failed",
            Self::OutOfRange => "out_of_range",
            Self::Mismatch => "mismatch",
            Self::NoSurvivingScore => "no_surviving_score",
            Self::SelfDealing => "self_dealing",
        }
    }
}

/// The contributors that may share in a call.
#[derive(Clone, Copy, Debug)]
pub struct ShareTable<'a> {
    /// Identifies the call; breaks ties.
    pub event: [u8; 32],
    pub contributors: &'a [Contributor],
    /// The payer of the call; its own data then earns nothing.
    pub payer: Option<Address>,
}

/// The share of an owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnerShare {
    /// The owner's first contributor.
    pub contributor: usize,
    pub ppm: u32,
}

/// The result of dividing a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShareOutcome {
    /// In the order of the contributors; the shares sum to a million, or there are none.
    pub shares: Vec<OwnerShare>,
    pub fallback: Option<ShareFallback>,
    /// How clearly one owner stands out: the largest sum of scores divided by the sum of all
    /// absolute scores.
    pub confidence_ppm: u32,
    /// The weight of the evidence in the shares.
    pub evidence_ppm: u32,
    /// The weight of the spans in the evidence.
    pub trace_ppm: u32,
    /// The most influential examples and their part of the total credit.
    pub examples: Vec<(usize, u32)>,
}

/// Divides a call. The payer is excluded as long as another eligible owner exists, and so are, in a
/// paid call, owners that cannot be paid. A payer can therefore never recover its payment through
/// the contributors' share, however the call was composed.
pub fn divide_call(
    table: &ShareTable<'_>,
    evidence: Result<&ShareEvidence<'_>, ShareFallback>,
) -> ShareOutcome {
    let owners = divide::OwnerGroups::from_table(table);
    let evidence = evidence.map_err(|fallback| (fallback, ShareOutcome::default()));
    let weighed = evidence.and_then(|evidence| weigh(&owners, evidence));
    let (weights, mut settled) = match weighed {
        Ok((found, settled)) => {
            let e = u128::from(settled.evidence_ppm);
            (owners.shrunk(&found, e), settled)
        }
        Err((fallback, settled)) => (
            owners.static_parts(),
            ShareOutcome {
                fallback: Some(fallback),
                ..settled
            },
        ),
    };
    settled.shares = owners.rounded(&weights, &table.event);
    settled
}

type FallbackOutcome = (ShareFallback, ShareOutcome);

/// The owners' shares by evidence alone, in units of [`divide::ONE`], and its weight.
fn weigh(
    owners: &divide::OwnerGroups<'_>,
    evidence: &ShareEvidence<'_>,
) -> Result<(Vec<u128>, ShareOutcome), FallbackOutcome> {
    let refuse = |fallback| (fallback, ShareOutcome::default());
    let credits = credits(evidence.examples, evidence.scores).map_err(refuse)?;
    let fits =
        |example: &ClusterExample| (example.contributor as usize) < owners.contributor_count();
    if !evidence.examples.iter().all(fits) {
        return Err(refuse(ShareFallback::Mismatch));
    }
    let mut settled = ShareOutcome {
        confidence_ppm: owners.confidence(&credits),
        ..ShareOutcome::default()
    };
    if credits.total() == 0 {
        return Err((ShareFallback::NoSurvivingScore, settled));
    }
    settled.examples = credits.largest(NAMED);
    let influence = owners.of_credits(&credits);
    if influence.iter().all(|part| *part == 0) {
        return Err((ShareFallback::SelfDealing, settled));
    }
    let traced = trace::weigh_spans(owners, evidence, &credits);
    settled.trace_ppm = traced.ppm;
    settled.evidence_ppm = evidence_ppm(credits.strength_ppm());
    let found = divide::blend(&traced.parts, &influence, u128::from(traced.ppm));
    Ok((found, settled))
}

/// A smooth step from zero to one: 3x² − 2x³.
fn evidence_ppm(strength_ppm: u64) -> u32 {
    let whole = u128::from(WHOLE);
    let x = (u128::from(strength_ppm) * whole / u128::from(FULL_STRENGTH_PPM)).min(whole);
    let step = x * x * (3 * whole - 2 * x) / (whole * whole);
    u32::try_from(step).unwrap_or(WHOLE as u32)
}

/// The shares before any score is known: by the spans as far as they cover the answer, and static
/// for the rest. Also returns the covered part in millionths.
pub fn provisional(
    table: &ShareTable<'_>,
    examples: &[ClusterExample],
    spans: &[SharedSpan],
    answer_tokens: u32,
) -> (Vec<OwnerShare>, u32) {
    let owners = divide::OwnerGroups::from_table(table);
    let known =
        |example: &ClusterExample| (example.contributor as usize) < owners.contributor_count();
    let rest = || owners.rounded(&owners.static_parts(), &table.event);
    if !examples.iter().all(known) {
        return (rest(), 0);
    }
    let evidence = ShareEvidence {
        examples,
        scores: &[],
        spans,
        answer_tokens,
    };
    let traced = trace::weigh_spans(&owners, &evidence, &credit::ClusterCredits::equal(examples));
    let covered = u64::from(traced.ppm) * WHOLE / TRACE_CEILING;
    if traced.parts.iter().all(|part| *part == 0) {
        return (rest(), 0);
    }
    let weights = owners.shrunk(&traced.parts, u128::from(covered));
    let covered = u32::try_from(covered).unwrap_or(0);
    (owners.rounded(&weights, &table.event), covered)
}

//! Recomputation of a published call, bit for bit, and the differences found.

use std::collections::BTreeMap;

use super::{
    AttributionIndex, Provenance,
    call_shares::{ShareInputs, by_sketch, shaping, shares_to_event},
    shares::{ShareFallback, ShareOutcome},
};
use openlora_core::{Amount, Word, exact_percent, in_units};
use openlora_ledger::{
    PaymentScheme, ReceiverKey, divide,
    event::{AttributionMethod, ContributorShare, SplitRead},
    publication::PublishedCall,
};

/// The data against which a published call is checked.
pub struct RecomputeContext<'a> {
    pub provenance: &'a Provenance,
    /// The recipients of each splitter.
    pub splits: &'a BTreeMap<ReceiverKey, SplitRead>,
}

/// The result of recomputing a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecomputedCall {
    /// Descriptions; empty if everything is equal.
    pub differences: Vec<String>,
    /// Why the server used the static shares, where nothing else can be recomputed.
    pub unproven: Option<String>,
    /// What was not recomputed because the index is not available.
    pub skipped: &'static [&'static str],
}

/// What depends on a sketch together with the index.
const BY_INDEX: &[&str] = &[
    "index",
    "method",
    "fallback",
    "confidence",
    "evidence",
    "trace",
    "shares",
    "examples",
];

impl RecomputeContext<'_> {
    /// Recomputes a call's shares and amounts.
    pub fn recompute(&self, call: &PublishedCall) -> RecomputedCall {
        let mut found = CallDifferences {
            id: call.event_id,
            differences: Vec::new(),
        };
        let settled = self.recompute_shares(call, &mut found);
        let unproven = match &call.sketch {
            None => call.fallback.clone(),
            Some(_) => None,
        };
        let Some(settled) = settled else {
            let skipped = match &call.sketch {
                Some(_) => BY_INDEX,
                None => &[],
            };
            // The stated shares must still give the stated amounts.
            if call.sketch.is_some() {
                self.hold_amounts(call, &call.shares, &mut found);
            }
            return RecomputedCall {
                differences: found.differences,
                unproven,
                skipped,
            };
        };
        let contributors = &self.provenance.contributors;
        let shares = shares_to_event(contributors, &settled.shares);
        let method = match (&self.provenance.index, settled.fallback) {
            (Ok(index), None) => index.method(),
            _ => AttributionMethod::Static,
        };
        let examples = match (&self.provenance.index, &call.sketch) {
            (Ok(index), Some(_)) => shaping(contributors, &**index, &settled),
            _ => Vec::new(),
        };
        let fallback = settled.fallback.map(|why| why.word().to_owned());
        let name = |method: &AttributionMethod| format!("{method:?}").to_lowercase();
        found.hold("method", &call.method, &method, name);
        found.hold("fallback", &call.fallback, &fallback, |why| {
            why.clone().unwrap_or_else(|| "none".to_owned())
        });
        for (what, stated, expected) in [
            ("confidence", call.confidence_ppm, settled.confidence_ppm),
            ("evidence", call.evidence_ppm, settled.evidence_ppm),
            ("trace", call.trace_ppm, settled.trace_ppm),
        ] {
            found.hold(what, &stated, &expected, |ppm| exact_percent(*ppm));
        }
        found.hold("shares", &call.shares, &shares, |shares| {
            list(shares, |it| {
                format!("{} {}", it.contributor, exact_percent(it.ppm))
            })
        });
        found.hold("examples", &call.examples, &examples, |examples| {
            list(examples, |it| {
                format!(
                    "{} of {} {}",
                    it.example,
                    it.contributor,
                    exact_percent(it.ppm)
                )
            })
        });
        self.hold_amounts(call, &shares, &mut found);
        RecomputedCall {
            differences: found.differences,
            unproven,
            skipped: &[],
        }
    }

    fn hold_amounts(
        &self,
        call: &PublishedCall,
        shares: &[ContributorShare],
        found: &mut CallDifferences,
    ) {
        let split = self.splits.get(&call.charge.receiver_key());
        let amounts = divide(&call.charge, split, shares, &call.event_id.0);
        found.hold("amounts", &call.amounts, &amounts, |amounts| {
            list(amounts, |it| {
                format!("{} {} base units", it.recipient, in_units(it.micro, 6))
            })
        });
    }

    fn recompute_shares(
        &self,
        call: &PublishedCall,
        found: &mut CallDifferences,
    ) -> Option<ShareOutcome> {
        let paid = !call.charge.amount.is_zero();
        let known = ShareInputs {
            event: call.event_id.0,
            payer: paid.then_some(call.charge.payer),
            spans: &call.spans,
            answer_tokens: call.answer_tokens,
        };
        let contributors = &self.provenance.contributors;
        let Some(sketch) = &call.sketch else {
            let why = call
                .fallback
                .as_deref()
                .and_then(ShareFallback::without_sketch);
            if why.is_none() {
                found.add_difference(format!(
                    "the call has no sketch, and {} explains none",
                    call.fallback.as_deref().unwrap_or("nothing")
                ));
            }
            return Some(by_sketch(contributors, known, Err(why?)));
        };
        match &self.provenance.index {
            Ok(witness) => {
                let witness: &dyn AttributionIndex = &**witness;
                let index = call.index.clone().unwrap_or_default();
                found.hold(
                    "index",
                    &index.as_str(),
                    &witness.index(),
                    ToString::to_string,
                );
                Some(by_sketch(contributors, known, Ok((witness, sketch))))
            }
            Err(_) => None,
        }
    }
}

impl ShareFallback {
    /// The reason why a call has no sketch, by its name.
    pub fn without_sketch(word: &str) -> Option<Self> {
        let all = [
            Self::MissingIndex,
            Self::StaleIndex,
            Self::EmptyAnswer,
            Self::Interrupted,
            Self::NoTokens,
            Self::PayerChoice,
            Self::NotANumber,
            Self::SketchFailed,
        ];
        all.into_iter().find(|why| why.word() == word)
    }
}

struct CallDifferences {
    id: Word,
    differences: Vec<String>,
}

impl CallDifferences {
    fn add_difference(&mut self, what: String) {
        self.differences.push(format!("call {}: {what}", self.id));
    }

    /// Adds a difference between two values, as `tell` describes them.
    fn hold<T: PartialEq>(
        &mut self,
        what: &str,
        stated: &T,
        found: &T,
        tell: impl Fn(&T) -> String,
    ) {
        if stated != found {
            let (stated, found) = (tell(stated), tell(found));
            self.add_difference(format!(
                "{what} is stated as {stated} and comes out as {found}"
            ));
        }
    }
}

/// Items of a list as one text; `none` if there are none.
fn list<T>(items: &[T], tell: impl Fn(&T) -> String) -> String {
    match items {
        [] => "none".to_owned(),
        items => items.iter().map(tell).collect::<Vec<_>>().join(", "),
    }
}

/// Checks that the calls of each channel follow each other without a gap, each charge added to the
/// previous total.
pub fn channels(calls: &[PublishedCall]) -> Vec<String> {
    let mut last: BTreeMap<(u64, Word), Amount> = BTreeMap::new();
    let mut differences = Vec::new();
    let vouchers = calls
        .iter()
        .filter(|call| call.charge.scheme == PaymentScheme::BatchSettlement);
    for call in vouchers {
        let charge = &call.charge;
        let before = charge.cumulative.saturating_sub(charge.amount);
        let key = (charge.chain_id, charge.id);
        if let Some(known) = last.insert(key, charge.cumulative)
            && known != before
        {
            differences.push(format!(
                "call {}: the channel {} stood at {known} and the call begins at {before}",
                call.event_id, charge.id
            ));
        }
    }
    differences
}

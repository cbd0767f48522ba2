//! Computing a published call again, bit for bit, and what differs.

use std::collections::BTreeMap;

use super::{
    Provenance, Witness,
    settle::{Known, by_sketch, shaping, told},
    shares::{Fallback, Settled},
};
use crate::runtime::{
    event::{AttributionMethod, ContributorShare, SplitRead},
    ledger::{Amount, ReceiverKey, Scheme, Word, divide, publication::PublishedCall},
};

/// Against what a published call is held.
pub struct Bench<'a> {
    pub provenance: &'a Provenance,
    /// Who is paid by each splitter.
    pub splits: &'a BTreeMap<ReceiverKey, SplitRead>,
}

/// How a call was computed again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recomputed {
    /// In words; none when everything is the same.
    pub differences: Vec<String>,
    /// Why the server had only the static shares, where nothing else can be computed again.
    pub unproven: Option<String>,
    /// What was not computed again because the index is not at hand.
    pub skipped: &'static [&'static str],
}

/// What a sketch decides together with the index.
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

impl Bench<'_> {
    /// Computes a call's shares and amounts again.
    pub fn recompute(&self, call: &PublishedCall) -> Recomputed {
        let mut found = Found {
            id: call.event_id,
            differences: Vec::new(),
        };
        let settled = self.settle(call, &mut found);
        let unproven = match &call.sketch {
            None => call.fallback.clone(),
            Some(_) => None,
        };
        let Some(settled) = settled else {
            let skipped = match &call.sketch {
                Some(_) => BY_INDEX,
                None => &[],
            };
            // The stated shares must still come to the stated amounts.
            if call.sketch.is_some() {
                self.hold_amounts(call, &call.shares, &mut found);
            }
            return Recomputed {
                differences: found.differences,
                unproven,
                skipped,
            };
        };
        let parties = &self.provenance.parties;
        let shares = told(parties, &settled.shares);
        let method = match (&self.provenance.witness, settled.fallback) {
            (Ok(witness), None) => witness.method(),
            _ => AttributionMethod::Static,
        };
        let examples = match (&self.provenance.witness, &call.sketch) {
            (Ok(witness), Some(_)) => shaping(parties, &**witness, &settled),
            _ => Vec::new(),
        };
        let fallback = settled.fallback.map(|why| why.word().to_owned());
        found.hold("method", &call.method, &method);
        found.hold("fallback", &call.fallback, &fallback);
        found.hold("confidence", &call.confidence_ppm, &settled.confidence_ppm);
        found.hold("evidence", &call.evidence_ppm, &settled.evidence_ppm);
        found.hold("trace", &call.trace_ppm, &settled.trace_ppm);
        found.hold("shares", &call.shares, &shares);
        found.hold("examples", &call.examples, &examples);
        self.hold_amounts(call, &shares, &mut found);
        Recomputed {
            differences: found.differences,
            unproven,
            skipped: &[],
        }
    }

    fn hold_amounts(&self, call: &PublishedCall, shares: &[ContributorShare], found: &mut Found) {
        let split = self.splits.get(&call.charge.receiver_key());
        let amounts = divide(&call.charge, split, shares, &call.event_id.0);
        found.hold("amounts", &call.amounts, &amounts);
    }

    fn settle(&self, call: &PublishedCall, found: &mut Found) -> Option<Settled> {
        let paid = !call.charge.amount.is_zero();
        let known = Known {
            event: call.event_id.0,
            payer: paid.then_some(call.charge.payer),
            spans: &call.spans,
            answer_tokens: call.answer_tokens,
        };
        let parties = &self.provenance.parties;
        let Some(sketch) = &call.sketch else {
            let why = call.fallback.as_deref().and_then(Fallback::without_sketch);
            if why.is_none() {
                found.tell(format!(
                    "the call has no sketch, and {} explains none",
                    call.fallback.as_deref().unwrap_or("nothing")
                ));
            }
            return Some(by_sketch(parties, known, Err(why?)));
        };
        match &self.provenance.witness {
            Ok(witness) => {
                let witness: &dyn Witness = &**witness;
                let index = call.index.clone().unwrap_or_default();
                found.hold("index", &index.as_str(), &witness.index());
                Some(by_sketch(parties, known, Ok((witness, sketch))))
            }
            Err(_) => None,
        }
    }
}

impl Fallback {
    /// The reasons for which a call has no sketch, by their words.
    pub fn without_sketch(word: &str) -> Option<Self> {
        let all = [
            Self::MissingIndex,
            Self::StaleIndex,
            Self::EmptyAnswer,
            Self::Interrupted,
            Self::NoTokens,
            Self::NotANumber,
            Self::SketchFailed,
        ];
        all.into_iter().find(|why| why.word() == word)
    }
}

struct Found {
    id: Word,
    differences: Vec<String>,
}

impl Found {
    fn tell(&mut self, what: String) {
        self.differences.push(format!("call {}: {what}", self.id));
    }

    fn hold<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, stated: &T, found: &T) {
        if stated != found {
            self.tell(format!(
                "{what} is stated as {stated:?} and comes out as {found:?}"
            ));
        }
    }
}

/// Calls of one channel must follow each other without a gap, each charge on the one before.
pub fn channels(calls: &[PublishedCall]) -> Vec<String> {
    let mut last: BTreeMap<(u64, Word), Amount> = BTreeMap::new();
    let mut differences = Vec::new();
    let vouchers = calls
        .iter()
        .filter(|call| call.charge.scheme == Scheme::BatchSettlement);
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

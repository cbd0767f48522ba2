//! The published explanation of an attribution.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::AttributionService;
use openlora_core::{Address, Amount};
use openlora_journal::{Journal, JournalError, UniqueKey};
use openlora_ledger::event::{
    AttributionMethod, CallAttributed, CallTraced, ContributorShare, Event, ShapingExample,
    TracedSpan,
};

/// How far a call's attribution is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AttributionStage {
    /// It waits: only the spans are known.
    Provisional,
    Final,
}

/// A contributor's part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PublishedShare {
    pub contributor: String,
    #[schemars(with = "Option<String>")]
    pub address: Option<Address>,
    /// In millionths.
    pub ppm: u32,
}

/// What a recipient gets of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PublishedAmount {
    pub recipient: String,
    #[schemars(with = "Option<String>")]
    pub address: Option<Address>,
    /// In millionths of the token's base unit.
    pub micro: Amount,
}

/// The spans of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PublishedTrace {
    /// How much of the answer they cover, in millionths.
    pub covered_ppm: u32,
    pub spans: Vec<TracedSpan>,
    /// Whose they are, before any influence was computed.
    pub shares: Vec<PublishedShare>,
}

/// An example that shaped an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PublishedExample {
    /// SHA-256 of the example, hex.
    pub example: String,
    pub contributor: String,
    #[schemars(with = "Option<String>")]
    pub owner: Option<Address>,
    /// Its part of all that was credited for the call, in millionths.
    pub ppm: u32,
    /// Only where its licence allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// Why a call paid whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PublishedAttribution {
    /// The call's request id.
    pub id: String,
    /// Always `attribution`.
    pub object: String,
    pub stage: AttributionStage,
    pub adapter: Option<String>,
    pub adapter_digest: Option<String>,
    /// SHA-256 of the index, hex; null where there is none.
    pub index: Option<String>,
    pub method: Option<AttributionMethod>,
    /// Why the static shares were taken instead of evidence.
    pub fallback: Option<String>,
    /// How far one contributor stands out, in millionths.
    pub confidence_ppm: Option<u32>,
    /// How much of the shares the evidence decides; the static shares decide the rest.
    pub evidence_ppm: Option<u32>,
    /// How much of the evidence the spans decide; the scores decide the rest.
    pub trace_ppm: Option<u32>,
    pub trace: Option<PublishedTrace>,
    /// The examples that counted most.
    pub examples: Vec<PublishedExample>,
    pub shares: Vec<PublishedShare>,
    /// Null while it waits and where calls are free.
    pub amounts: Option<Vec<PublishedAmount>>,
    /// From the call's end to its final attribution.
    pub lag_milliseconds: Option<u64>,
}

/// What a receipt says of a call's attribution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PublishedShares {
    pub stage: AttributionStage,
    pub shares: Vec<PublishedShare>,
}

/// Both attributions of a call, as the journal has them.
#[derive(Clone, Debug, Default)]
pub struct JournalAttribution {
    pub traced: Option<CallTraced>,
    pub attributed: Option<CallAttributed>,
}

impl JournalAttribution {
    pub async fn read_journal(journal: &Journal, request_id: &str) -> Result<Self, JournalError> {
        let mut found = Self::default();
        for kind in [UniqueKey::TRACED, UniqueKey::ATTRIBUTED] {
            match journal.unique(kind, request_id).await?.map(|it| it.event) {
                Some(Event::Traced(traced)) => found.traced = Some(*traced),
                Some(Event::Attributed(attributed)) => found.attributed = Some(*attributed),
                _ => {}
            }
        }
        Ok(found)
    }

    /// For a receipt; the final shares where there are any.
    pub fn shares(&self) -> Option<PublishedShares> {
        let (stage, found) = match (&self.attributed, &self.traced) {
            (Some(attributed), _) => (AttributionStage::Final, &attributed.shares),
            (None, Some(traced)) => (AttributionStage::Provisional, &traced.shares),
            (None, None) => return None,
        };
        Some(PublishedShares {
            stage,
            shares: published(found),
        })
    }

    /// The whole explanation.
    pub fn published(self, id: &str, attributions: &AttributionService) -> PublishedAttribution {
        let known = self.shares();
        let trace = self.traced.as_ref().map(|traced| PublishedTrace {
            covered_ppm: traced.covered_ppm,
            spans: traced.spans.clone(),
            shares: published(&traced.shares),
        });
        let of = self.attributed.as_ref();
        let digest = of.map(|it| &it.adapter_digest);
        let digest = digest.or(self.traced.as_ref().map(|it| &it.adapter_digest));
        let index = of.and_then(|it| it.index.clone());
        let example = |it: &ShapingExample| example(it, digest, attributions);
        let amounts = of.and_then(|it| it.amounts.as_ref());
        PublishedAttribution {
            id: id.to_owned(),
            object: "attribution".to_owned(),
            stage: known
                .as_ref()
                .map_or(AttributionStage::Provisional, |it| it.stage),
            adapter: of.map(|it| it.adapter.clone()),
            adapter_digest: digest.cloned(),
            index: index.or(self.traced.as_ref().map(|it| it.index.clone())),
            method: of.map(|it| it.method),
            fallback: of.and_then(|it| it.fallback.clone()),
            confidence_ppm: of.map(|it| it.confidence_ppm),
            evidence_ppm: of.map(|it| it.evidence_ppm),
            trace_ppm: of.map(|it| it.trace_ppm),
            trace,
            examples: of.map_or_else(Vec::new, |it| it.examples.iter().map(example).collect()),
            shares: known.map_or_else(Vec::new, |it| it.shares),
            amounts: amounts.map(|all| all.iter().map(amount).collect()),
            lag_milliseconds: of.map(|it| it.lag_milliseconds),
        }
    }
}

fn published(shares: &[ContributorShare]) -> Vec<PublishedShare> {
    let share = |it: &ContributorShare| PublishedShare {
        contributor: it.contributor.clone(),
        address: it.address,
        ppm: it.ppm,
    };
    shares.iter().map(share).collect()
}

fn amount(it: &openlora_ledger::event::AttributedAmount) -> PublishedAmount {
    PublishedAmount {
        recipient: it.recipient.clone(),
        address: it.address,
        micro: it.micro,
    }
}

fn example(
    it: &ShapingExample,
    digest: Option<&String>,
    attributions: &AttributionService,
) -> PublishedExample {
    let provenance = digest.and_then(|digest| attributions.provenance(digest));
    let contributors = provenance.as_deref().map(|it| it.contributors.iter());
    let mut contributors = contributors.into_iter().flatten();
    let party = contributors.find(|party| party.name == it.contributor);
    PublishedExample {
        example: it.example.clone(),
        contributor: it.contributor.clone(),
        owner: party.and_then(|party| party.owner.or(party.address)),
        ppm: it.ppm,
        text: provenance.and_then(|known| known.texts.get(&it.example).cloned()),
    }
}

//! What buyers may read of an adapter: the facts that its package states, in plain types.
//!
//! They come from a manifest that somebody else wrote. Nothing here is markup, and nothing is looked
//! up: what shows a text escapes it.

use openlora_core::Address;

/// The stated facts of an adapter; empty for one without a package.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AdapterProfile {
    /// The publisher's name for it.
    pub title: Option<String>,
    /// The publisher's version.
    pub release: Option<String>,
    pub maker: Option<String>,
    /// The account whose signature over the manifest was checked.
    pub signer: Option<Address>,
    /// SHA-256 of the weights' file, hex, by which releases name them.
    pub weights_sha256: Option<String>,
    /// SHA-256 of the manifest, hex.
    pub manifest_sha256: Option<String>,
    /// SPDX identifier.
    pub license: Option<String>,
    pub datasets: Vec<DatasetProfile>,
    pub contributors: Vec<PartyShare>,
    pub split: Vec<PartyShare>,
    pub evaluations: Vec<EvaluationProfile>,
}

/// One dataset that it was trained on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatasetProfile {
    pub id: String,
    pub contributor: String,
    pub records: u64,
    pub license: Option<String>,
}

/// A party and its share in millionths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartyShare {
    pub name: String,
    pub address: Option<Address>,
    pub ppm: u64,
}

/// One metric over held-out rows.
#[derive(Clone, Debug, PartialEq)]
pub struct EvaluationProfile {
    pub metric: String,
    pub value: f64,
    /// The same of the base alone.
    pub base: Option<f64>,
    pub rows: u64,
}

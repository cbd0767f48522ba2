//! What the pages show, as texts. The same facts are the JSON form of an adapter's page.

use serde::Serialize;

use super::{
    calling::{self, Snippet},
    encoded, path_of,
    server_facts::ServerFacts,
};
use crate::{
    adapter_profile::{EvaluationProfile, PartyShare},
    adapter_registry::ServedAdapter,
    payment::Currency,
    standings::{AdapterIncome, AdapterStanding},
};
use openlora_core::{
    Address,
    units::{exact_percent, in_units},
};
use openlora_ledger::TOKENS;

/// What the pages say of an adapter.
#[derive(Clone, Debug, Serialize)]
pub struct AdapterPageFacts {
    pub name: String,
    /// The path of its page.
    pub page: String,
    /// The path of its registration file (ERC-8004).
    pub registration_file: String,
    pub summary: String,
    pub task: &'static str,
    pub labels: Vec<String>,
    pub title: Option<String>,
    pub release: Option<String>,
    pub base: String,
    pub context_tokens: usize,
    pub engine: String,
    pub weights: String,
    pub digest: String,
    pub base_digest: String,
    pub manifest_sha256: Option<String>,
    pub license: Option<String>,
    pub maker: Option<String>,
    /// The account whose signature over the manifest was checked.
    pub signer: Option<Address>,
    pub is_free: bool,
    pub prices: Vec<PriceLine>,
    pub contributors: Vec<ShareLine>,
    pub split: Vec<ShareLine>,
    pub datasets: Vec<DatasetLine>,
    pub evaluations: Vec<EvaluationLine>,
    pub calls: Option<u64>,
    pub payers: u64,
    pub returning: u64,
    pub incomes: Vec<IncomeLine>,
    pub registered: Option<ReleaseLine>,
    pub agents: Vec<AgentLine>,
    /// How it is called from each language.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub snippets: Vec<Snippet>,
    /// Where the page's form sends its text.
    pub path: &'static str,
}

/// A price and what it is for.
#[derive(Clone, Debug, Serialize)]
pub struct PriceLine {
    pub work: String,
    pub price: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct ShareLine {
    pub name: String,
    pub address: Option<Address>,
    pub share: String,
    pub ppm: u64,
    /// The bar's width in thousandths.
    pub width: u64,
}

#[derive(Clone, Debug, Serialize)]
pub struct DatasetLine {
    pub id: String,
    pub contributor: String,
    pub records: u64,
    pub license: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct EvaluationLine {
    pub metric: String,
    pub value: String,
    pub base: Option<String>,
    pub rows: u64,
}

/// The income in one token.
#[derive(Clone, Debug, Serialize)]
pub struct IncomeLine {
    pub network: String,
    pub charged: String,
    pub recipients: Vec<RecipientLine>,
}

#[derive(Clone, Debug, Serialize)]
pub struct RecipientLine {
    /// What the manifest calls the account.
    pub name: Option<String>,
    pub account: Address,
    pub earned: String,
    pub paid: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct ReleaseLine {
    pub network: String,
    pub chain_id: u64,
    pub registry: String,
    pub adapter_id: String,
    pub version: u32,
    pub splitter: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct AgentLine {
    pub registry: String,
    pub agent_id: String,
}

impl AdapterPageFacts {
    /// The facts of an adapter; without its standing, what needs the journal is left out.
    pub fn new(
        server: &ServerFacts,
        adapter: &ServedAdapter,
        currency: Option<&Currency>,
        standing: Option<&AdapterStanding>,
    ) -> Self {
        let profile = &adapter.profile;
        let contributors = adapter.contributors();
        let known: Vec<&PartyShare> = profile.split.iter().chain(&contributors).collect();
        let incomes = standing.map_or(&[][..], |it| &it.incomes);
        let encoded_name = encoded(&adapter.name);
        Self {
            name: adapter.name.clone(),
            page: path_of(&adapter.name),
            registration_file: format!(
                "/.well-known/agent-registration.json?adapter={encoded_name}"
            ),
            summary: adapter.summary(),
            task: adapter.task_name(),
            labels: adapter.labels().to_vec(),
            title: profile.title.clone(),
            release: profile.release.clone(),
            base: public_base(&adapter.base_id).to_owned(),
            context_tokens: adapter.engine.limits().context_tokens,
            engine: adapter.identity.engine.clone(),
            weights: adapter.identity.weights.clone(),
            digest: adapter.digest.clone(),
            base_digest: adapter.base_digest.clone(),
            manifest_sha256: profile.manifest_sha256.clone(),
            license: profile.license.clone(),
            maker: profile.maker.clone(),
            signer: profile.signer,
            is_free: currency.is_none(),
            prices: currency.map_or_else(Vec::new, |it| prices(adapter, it)),
            split: share_lines(&profile.split),
            incomes: incomes.iter().map(|it| income_line(it, &known)).collect(),
            contributors: share_lines(&contributors),
            datasets: profile.datasets.iter().map(dataset_line).collect(),
            evaluations: profile.evaluations.iter().map(evaluation_line).collect(),
            calls: standing.map(|it| it.calls),
            payers: standing.map_or(0, |it| it.payers),
            returning: standing.map_or(0, |it| it.returning),
            registered: standing.and_then(release_line),
            agents: standing.map_or_else(Vec::new, agent_lines),
            snippets: calling::snippets(server, adapter),
            path: adapter.usual_path(),
        }
    }
}

/// The name of a base for strangers: of a folder of this machine, only its last part.
fn public_base(id: &str) -> &str {
    let is_path = id.starts_with(['/', '.', '~']);
    let last = id.trim_end_matches('/').rsplit('/').next();
    last.filter(|_| is_path).unwrap_or(id)
}

/// Prices that are zero are not named, besides where all are.
fn prices(adapter: &ServedAdapter, currency: &Currency) -> Vec<PriceLine> {
    let prices = &adapter.prices;
    let is_classifier = !adapter.labels().is_empty();
    let makes_pictures = adapter.engine.images().is_some();
    let lines = [
        (makes_pictures, "a picture".to_owned(), prices.image),
        (
            is_classifier,
            "a classified text".to_owned(),
            prices.classification,
        ),
        (
            !makes_pictures,
            format!("{TOKENS} tokens of a prompt"),
            prices.prompt,
        ),
        (
            !makes_pictures,
            format!("{TOKENS} tokens of an answer"),
            prices.completion,
        ),
        (true, "a call, at least".to_owned(), prices.minimum),
    ];
    let stated = lines
        .into_iter()
        .filter(|(fits, _, price)| *fits && !price.is_zero());
    stated
        .map(|(_, work, price)| PriceLine {
            work,
            price: format!("{} {}", in_units(price, currency.decimals), currency.symbol),
        })
        .collect()
}

fn share_lines(parties: &[PartyShare]) -> Vec<ShareLine> {
    let whole: u64 = parties.iter().map(|it| it.ppm).sum();
    let line = |party: &PartyShare| ShareLine {
        name: party.name.clone(),
        address: party.address,
        share: exact_percent(party.ppm),
        ppm: party.ppm,
        width: party.ppm.saturating_mul(1000) / whole.max(1),
    };
    parties.iter().map(line).collect()
}

fn dataset_line(data: &crate::adapter_profile::DatasetProfile) -> DatasetLine {
    DatasetLine {
        id: data.id.clone(),
        contributor: data.contributor.clone(),
        records: data.records,
        license: data.license.clone(),
    }
}

fn evaluation_line(metric: &EvaluationProfile) -> EvaluationLine {
    let shown = |value: f64| format!("{value:.4}");
    EvaluationLine {
        metric: metric.metric.replace('_', " "),
        value: shown(metric.value),
        base: metric.base.map(shown),
        rows: metric.rows,
    }
}

fn income_line(income: &AdapterIncome, known: &[&PartyShare]) -> IncomeLine {
    let shown = |amount| {
        let currency = &income.currency;
        format!(
            "{} {}",
            in_units(amount, currency.decimals),
            currency.symbol
        )
    };
    let name_of = |account: Address| {
        let mut parties = known.iter();
        let found = parties.find(|party| party.address == Some(account));
        found.map(|party| party.name.clone())
    };
    let recipients = income.recipients.iter().map(|it| RecipientLine {
        name: name_of(it.account),
        account: it.account,
        earned: shown(it.earned),
        paid: shown(it.paid),
    });
    IncomeLine {
        network: income.network.clone(),
        charged: shown(income.charged),
        recipients: recipients.collect(),
    }
}

fn release_line(standing: &AdapterStanding) -> Option<ReleaseLine> {
    let release = standing.registered.as_ref()?;
    Some(ReleaseLine {
        network: release.network.clone(),
        chain_id: release.chain_id,
        registry: release.registry.clone(),
        adapter_id: release.adapter_id.clone(),
        version: release.version,
        splitter: release.splitter.clone(),
    })
}

fn agent_lines(standing: &AdapterStanding) -> Vec<AgentLine> {
    let agents = standing.agents.iter().map(|it| AgentLine {
        registry: it.registry_name(),
        agent_id: it.agent_id.clone(),
    });
    agents.collect()
}

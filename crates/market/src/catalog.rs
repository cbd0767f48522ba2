//! The adapters of a registry with the servers that sell them: who may serve an adapter and which
//! splitters are paid comes from the chain, where the servers are reached from their own accounts,
//! and the servers' names and prices from their offers. An offer counts for an adapter only if it pays
//! a splitter of one of its releases.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures::{StreamExt, stream};

use crate::{
    error::MarketError,
    http::{MarketHttp, ServerAddress},
    probe::{ModelFilter, ProbedModel, ProbedServer, probe},
    reference::AdapterReference,
};
use openlora_chain::{
    provider::Chain,
    registry::{AdapterId, parse_id, shown_id},
};
use openlora_core::{Address, Amount, calendar::moment};
use openlora_release::{
    deploy::DeployError,
    explore::{AdapterView, ExploreQuery, RegistryReport, registered_adapters},
    lookup::registered_at,
};

/// The most servers that are asked, in all and of one adapter.
const MOST_SERVERS: usize = 256;
const MOST_OF_ADAPTER: usize = 16;
/// Servers that are asked at the same time.
const AT_ONCE: usize = 16;
/// Adapters of one name that a refusal describes.
const NAMESAKES: usize = 8;
/// How long a server may take for all its answers. A slower one delays no one.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long all servers together may take. Those of older adapters are asked first.
const LONGEST_SURVEY: Duration = Duration::from_secs(60);

/// Whom calls of a registered adapter must pay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisteredPayee {
    pub adapter_id: String,
    /// The splitters of its releases.
    pub splitters: Vec<Address>,
}

impl RegisteredPayee {
    /// Checks whom an offer pays.
    ///
    /// # Errors
    ///
    /// It is no splitter of the adapter's releases.
    pub fn check(&self, server: &str, model: &str, pay_to: Address) -> Result<(), MarketError> {
        if self.splitters.contains(&pay_to) {
            return Ok(());
        }
        Err(MarketError::ForeignSplitter {
            server: server.to_owned(),
            model: model.to_owned(),
            found: vec![pay_to.to_string()],
            expected: self.expected(),
        })
    }

    fn expected(&self) -> String {
        let splitters: Vec<String> = self.splitters.iter().map(Address::to_string).collect();
        format!("{} of adapter {}", splitters.join(" or "), self.adapter_id)
    }
}

/// A server of an adapter, and what the adapter is called there.
#[derive(Clone, Debug, PartialEq)]
pub struct AdapterRoute {
    pub server: ServerAddress,
    pub model: String,
    /// `None` where the user names the server and so trusts it.
    pub payee: Option<RegisteredPayee>,
}

/// A server of an adapter and its answers.
#[derive(Clone, Debug, PartialEq)]
pub struct SurveyedServer {
    pub account: String,
    pub address: ServerAddress,
    pub latency_ms: u64,
    pub model: ProbedModel,
}

/// A registered adapter with the servers that sell it.
#[derive(Clone, Debug, PartialEq)]
pub struct SurveyedAdapter {
    pub view: AdapterView,
    pub payee: RegisteredPayee,
    /// Fastest first.
    pub servers: Vec<SurveyedServer>,
    /// Servers that state an address and do not answer, or not as expected.
    pub problems: Vec<String>,
}

impl SurveyedAdapter {
    /// What its servers call it; `None` if none answers.
    pub fn name(&self) -> Option<&str> {
        self.servers.first().map(|it| it.model.name.as_str())
    }

    /// The least that its smallest call costs, in base units.
    pub fn cheapest(&self) -> Option<Amount> {
        self.servers.iter().filter_map(|it| it.model.smallest).min()
    }

    fn routes(&self) -> Vec<AdapterRoute> {
        let servers = self.servers.iter();
        let route = |it: &SurveyedServer| AdapterRoute {
            server: it.address.clone(),
            model: it.model.name.clone(),
            payee: Some(self.payee.clone()),
        };
        servers.map(route).collect()
    }
}

/// Looks adapters and their servers up. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Catalog {
    chain: Chain,
    http: MarketHttp,
}

impl Catalog {
    pub fn new(chain: Chain, http: MarketHttp) -> Self {
        Self { chain, http }
    }

    /// The same of another registry on the chain.
    fn of_registry(&self, registry: Option<Address>) -> Self {
        let mut other = self.clone();
        if registry.is_some() {
            other.chain.network.contracts.registry = registry;
        }
        other
    }

    /// The servers of the adapter that a text names in a registry, the fastest first. A plain name
    /// is looked up in the network's registry.
    ///
    /// # Errors
    ///
    /// The chain does not answer, the name stands for none or several adapters, no server answers,
    /// or every offer pays somebody else.
    pub async fn routes(
        &self,
        reference: &AdapterReference,
    ) -> Result<Vec<AdapterRoute>, MarketError> {
        let registry = self.of_registry(reference.registry());
        match reference {
            AdapterReference::Id { id, .. } => registry.routes_by_id(*id).await,
            AdapterReference::Plain(name) | AdapterReference::Registered { name, .. } => {
                registry.routes_by_name(name, None).await
            }
            AdapterReference::Published {
                name, publisher, ..
            } => registry.routes_by_name(name, Some(*publisher)).await,
        }
    }

    async fn routes_by_id(&self, id: AdapterId) -> Result<Vec<AdapterRoute>, MarketError> {
        let query = ExploreQuery {
            adapter: Some(id),
            from_block: 0,
        };
        let wanted = shown_id(id);
        let report = registered_adapters(&self.chain, &query).await?;
        let Some(view) = report.adapters.first() else {
            return Err(MarketError::UnknownAdapter {
                wanted,
                registry: report.registry,
            });
        };
        if view.paused {
            return Err(MarketError::Paused { wanted });
        }
        if view.server_urls.is_empty() {
            return Err(MarketError::NoServer { wanted });
        }
        let found = self.survey_of(&report, ModelFilter::All).await;
        let adapters = found.adapters;
        let routes: Vec<AdapterRoute> = adapters.iter().flat_map(|it| it.routes()).collect();
        if !routes.is_empty() {
            return Ok(routes);
        }
        // A server that answers sells this adapter under no name that pays its splitter.
        match found.strangers.into_iter().next() {
            Some(stranger) => Err(stranger.refusal(&adapters)),
            None => Err(MarketError::ServersDown {
                wanted,
                problems: adapters.into_iter().flat_map(|it| it.problems).collect(),
            }),
        }
    }

    async fn routes_by_name(
        &self,
        name: &str,
        publisher: Option<Address>,
    ) -> Result<Vec<AdapterRoute>, MarketError> {
        let mut report = registered_adapters(&self.chain, &ExploreQuery::default()).await?;
        if let Some(publisher) = publisher {
            let publishers = |it: &AdapterView| it.publisher.parse() == Ok(publisher);
            report.adapters.retain(publishers);
        }
        let found = self.survey_of(&report, ModelFilter::Named(name)).await;
        let sold = |it: &&SurveyedAdapter| !it.servers.is_empty() && !it.view.paused;
        let sellers: Vec<&SurveyedAdapter> = found.adapters.iter().filter(sold).collect();
        match sellers.as_slice() {
            [only] => Ok(only.routes()),
            [] => Err(found.no_seller(name, report.registry)),
            several => Err(MarketError::AmbiguousName {
                name: name.to_owned(),
                registry: report.registry,
                count: several.len(),
                namesakes: self.namesakes(several).await?,
            }),
        }
    }

    /// What tells adapters of one name apart, the one that was registered first at the beginning.
    async fn namesakes(&self, several: &[&SurveyedAdapter]) -> Result<Vec<String>, MarketError> {
        let mut shown = Vec::with_capacity(several.len());
        for view in several.iter().take(NAMESAKES).map(|it| &it.view) {
            let since = moment(self.registered_at(view).await?);
            let (id, publisher) = (&view.adapter_id, &view.publisher);
            shown.push(format!("{id} of {publisher}, registered {since}"));
        }
        let more = several.len().saturating_sub(NAMESAKES);
        if more > 0 {
            shown.push(format!("and {more} more"));
        }
        Ok(shown)
    }

    /// When an adapter was registered: Unix time in seconds.
    ///
    /// # Errors
    ///
    /// The chain does not answer.
    pub async fn registered_at(&self, view: &AdapterView) -> Result<u64, MarketError> {
        let id = parse_id(&view.adapter_id).unwrap_or_default();
        let found = registered_at(&self.chain, id).await;
        Ok(found.map_err(DeployError::from)?)
    }

    /// Every adapter of the registry that is not paused, with its servers.
    ///
    /// # Errors
    ///
    /// The chain does not answer, or has no registry.
    pub async fn survey(&self) -> Result<(RegistryReport, Vec<SurveyedAdapter>), MarketError> {
        let report = registered_adapters(&self.chain, &ExploreQuery::default()).await?;
        let mut found = self.survey_of(&report, ModelFilter::All).await.adapters;
        found.retain(|it| !it.view.paused);
        Ok((report, found))
    }

    async fn survey_of(&self, report: &RegistryReport, filter: ModelFilter<'_>) -> MarketSurvey {
        // Of each adapter few, and those of older adapters first: nobody crowds the others out.
        let adapters = report.adapters.iter();
        let stated = adapters.flat_map(|it| it.server_urls.iter().take(MOST_OF_ADAPTER));
        let mut known = BTreeSet::new();
        let urls = stated.map(|it| it.url.as_str());
        let urls = urls.filter(|url| known.insert(*url)).take(MOST_SERVERS);
        let questions: Vec<_> = urls.map(|url| self.ask(url, filter)).collect();
        let answers: BTreeMap<String, ServerAnswer> = stream::iter(questions)
            .buffer_unordered(AT_ONCE)
            .take_until(tokio::time::sleep(LONGEST_SURVEY))
            .collect()
            .await;
        let adapters = report.adapters.iter();
        let adapters: Vec<SurveyedAdapter> = adapters.map(|it| surveyed(it, &answers)).collect();
        MarketSurvey {
            strangers: strangers(&adapters, &answers),
            asked: answers.len(),
            adapters,
        }
    }

    async fn ask(&self, url: &str, filter: ModelFilter<'_>) -> (String, ServerAnswer) {
        let asked = async {
            let address = ServerAddress::stated(url).map_err(|error| error.to_string())?;
            let chain_id = self.chain.network.chain_id;
            let found = probe(&self.http, &address, chain_id, filter);
            let found = tokio::time::timeout(PATIENCE, found).await;
            let found = found.unwrap_or_else(|_| Err("takes too long to answer".to_owned()));
            let found = found.map_err(|problem| format!("{} {problem}", address.place()))?;
            Ok((address, found))
        };
        (url.to_owned(), asked.await)
    }
}

/// A server's address and answers, or what is wrong with them.
type ServerAnswer = Result<(ServerAddress, ProbedServer), String>;

/// The registered adapters with their servers.
struct MarketSurvey {
    adapters: Vec<SurveyedAdapter>,
    /// Offers of asked-for models that pay no registered splitter.
    strangers: Vec<StrangeOffer>,
    asked: usize,
}

/// An offer that pays no splitter of the registry.
struct StrangeOffer {
    server: String,
    model: String,
    pay_to: Vec<Address>,
    /// The adapters that the server may serve.
    adapters: Vec<usize>,
}

impl StrangeOffer {
    fn refusal(self, adapters: &[SurveyedAdapter]) -> MarketError {
        let expected = self
            .adapters
            .iter()
            .filter_map(|index| adapters.get(*index));
        let expected: Vec<String> = expected.map(|it| it.payee.expected()).collect();
        MarketError::ForeignSplitter {
            server: self.server,
            model: self.model,
            found: self.pay_to.iter().map(Address::to_string).collect(),
            expected: expected.join(", "),
        }
    }
}

impl MarketSurvey {
    /// Why no server sells an adapter of this name.
    fn no_seller(self, name: &str, registry: String) -> MarketError {
        if let Some(stranger) = self.strangers.into_iter().next() {
            return stranger.refusal(&self.adapters);
        }
        let paused = |it: &SurveyedAdapter| it.view.paused && !it.servers.is_empty();
        if self.adapters.iter().any(paused) {
            let wanted = name.to_owned();
            return MarketError::Paused { wanted };
        }
        let problems: BTreeSet<String> = self
            .adapters
            .into_iter()
            .flat_map(|it| it.problems)
            .collect();
        if problems.is_empty() {
            return MarketError::UnknownName {
                name: name.to_owned(),
                registry,
                asked: self.asked,
            };
        }
        MarketError::ServersDown {
            wanted: name.to_owned(),
            problems: problems.into_iter().collect(),
        }
    }
}

fn surveyed(view: &AdapterView, answers: &BTreeMap<String, ServerAnswer>) -> SurveyedAdapter {
    let releases = view.releases.iter();
    let payee = RegisteredPayee {
        adapter_id: view.adapter_id.clone(),
        splitters: releases.filter_map(|it| it.splitter.parse().ok()).collect(),
    };
    let (mut servers, mut problems) = (Vec::new(), Vec::new());
    for stated in &view.server_urls {
        match answers.get(&stated.url) {
            None => problems.push(format!("{} was not asked", stated.url)),
            Some(Err(problem)) => problems.push(problem.clone()),
            Some(Ok((address, found))) => {
                let pays =
                    |it: &&ProbedModel| it.pay_to.iter().any(|to| payee.splitters.contains(to));
                servers.extend(found.models.iter().find(pays).map(|model| SurveyedServer {
                    account: stated.server.clone(),
                    address: address.clone(),
                    latency_ms: found.latency_ms,
                    model: model.clone(),
                }));
            }
        }
    }
    servers.sort_by_key(|it| it.latency_ms);
    SurveyedAdapter {
        view: view.clone(),
        payee,
        servers,
        problems,
    }
}

fn strangers(
    adapters: &[SurveyedAdapter],
    answers: &BTreeMap<String, ServerAnswer>,
) -> Vec<StrangeOffer> {
    let known: BTreeSet<Address> = adapters
        .iter()
        .flat_map(|it| it.payee.splitters.iter().copied())
        .collect();
    let mut strangers = Vec::new();
    for (url, answer) in answers {
        let Ok((address, found)) = answer else {
            continue;
        };
        let serves = |it: &SurveyedAdapter| it.view.server_urls.iter().any(|it| it.url == *url);
        let may = adapters.iter().enumerate().filter(|(_, it)| serves(it));
        let may: Vec<usize> = may.map(|(index, _)| index).collect();
        let pays_others = |it: &&ProbedModel| {
            !it.pay_to.is_empty() && !it.pay_to.iter().any(|to| known.contains(to))
        };
        strangers.extend(
            found
                .models
                .iter()
                .filter(pays_others)
                .map(|model| StrangeOffer {
                    server: address.place(),
                    model: model.name.clone(),
                    pay_to: model.pay_to.clone(),
                    adapters: may.clone(),
                }),
        );
    }
    strangers
}

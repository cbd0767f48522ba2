//! Paid serving: the payees of each adapter, the chains and the account, and settling while the
//! server runs.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{
    announcing::ServerAnnouncement,
    faucet::DevFaucet,
    notice::{NoticeListener, transaction_listener},
    provenance,
    resource_probe::{HttpResourceProbe, ProbeReach},
    rewards::{RewardSchedule, RewardSource},
    standings::PaidToken,
    treasury::{ChainOperator, SigningAccounts},
};
use openlora_chain::{
    development::check_payee,
    network::{Network, PaymentToken},
    provider::Chain,
    registry::shown_id,
    transaction::{TxLimits, TxSender, no_facts, recover},
};
use openlora_core::{
    Address, Amount,
    error::{ExitClass, Failure},
};
use openlora_journal::Journal;
use openlora_ledger::{
    PriceList, SponsorAllowance,
    event::{Event, ReleaseDeployment, SplitRead},
    state::LedgerState,
};
use openlora_model::adapter::{LoraAdapter, WEIGHTS_FILE};
use openlora_package::{MANIFEST_FILE, hash, manifest::Digest};
use openlora_payments::{
    settlement::{
        ChainSettlement, ClaimWorth, LedgerView, SettleError, SettleTriggers, SettlementAccounts,
        SettlementClient, SettlementOptions, SettlementRecords, TxPurpose,
    },
    x402::{
        ChainOffer, FacilitatorService, ResourceCatalogue, SellerConfig, SponsorRules, X402Seller,
    },
};
use openlora_ports::Settler;
use openlora_release::{
    deploy::{ReleasePayee, payee, quote},
    lookup::ChainRelease,
};
use openlora_serve::payment::{Currency, SalesConfig};
use openlora_wallet::WalletAccount;

/// A chosen adapter that was read but not loaded yet.
pub struct ChosenAdapter {
    pub name: String,
    pub version: String,
    pub adapter: LoraAdapter,
}

/// A chain on which calls are paid.
pub struct PaidChain {
    pub chain: Chain,
    pub terms: ChainTerms,
    /// Accounts besides the serving one that settle and withdraw what is theirs.
    pub others: Vec<WalletAccount>,
}

/// The terms of payments on a chain.
pub struct ChainTerms {
    pub token: PaymentToken,
    pub min_deposit: Amount,
    pub refund_fee: Amount,
    /// Smallest payment of the `exact` scheme.
    pub min_exact: Amount,
    /// Daily budget for sponsored gas, in wei.
    pub gas_budget: Option<Amount>,
    /// The claims that are worth their gas.
    pub worth: ClaimWorth,
}

/// The terms of sale that are the same on every chain.
pub struct SaleTerms {
    pub limits: TxLimits,
    pub prices: PriceList,
    pub withdraw_delay: Duration,
    /// What is done for each payer in a day; the gas budget is each chain's own.
    pub allowance: SponsorAllowance,
    pub rules: SponsorRules,
    pub triggers: SettleTriggers,
    pub rounds: RewardSchedule,
}

/// The inputs of paid serving: the journal, the account and the chains, the home chain first.
pub struct ServingPlan {
    pub journal: Journal,
    pub account: WalletAccount,
    pub chains: Vec<PaidChain>,
    /// The release of each chosen adapter; none if it is not registered on the home chain.
    pub releases: Vec<Option<ReleaseDeployment>>,
    pub terms: SaleTerms,
    pub rewards: RewardSource,
    /// Where the catalogue of other sellers' resources is kept.
    pub catalogue: PathBuf,
    /// Where others reach the server, if it is to state that on the home chain.
    pub public_url: Option<String>,
    pub listener: NoticeListener,
}

/// Everything that a server with paid calls needs.
pub struct PaidServing {
    pub sales: SalesConfig,
    /// Names of the chains, the home chain first.
    pub networks: Vec<String>,
    /// The recipients on the home chain, by the adapter's digest.
    pub splits: BTreeMap<String, SplitRead>,
    plan: ServingPlan,
    seller: Arc<X402Seller>,
    operators: Vec<ChainOperator>,
    /// The address that could not be stated on the home chain yet.
    announcement: Option<ServerAnnouncement>,
}

/// A charged sum that could be claimed and is not.
pub struct UnclaimedCharge {
    pub network: Network,
    pub token: Address,
    pub amount: Amount,
}

/// The digest under which a release is sold before it is fetched. Anyone can register the digest of the
/// weights of others as a manifest, so it is never the digest of a file.
pub fn announcement_key(release: &ChainRelease) -> String {
    let ChainRelease {
        adapter_id,
        version,
        manifest_sha256,
        ..
    } = release;
    let id = shown_id(*adapter_id);
    let text = format!("announced {id} {version} {manifest_sha256}");
    Digest::hash_bytes(text.as_bytes()).to_string()
}

/// The newest release of exactly these weights on the home chain, if the journal has one: registered
/// from here, or served here before with exactly this manifest. Anyone can register the weights of
/// others under a manifest of their own, and so does not become their payee.
///
/// # Errors
///
/// The weights cannot be read.
pub fn release_of_weights(
    state: &LedgerState,
    home: &Network,
    one: &ChosenAdapter,
) -> Result<Option<ReleaseDeployment>, Failure> {
    let (weights, _) = hash(&one.adapter.dir.join(WEIGHTS_FILE))?;
    let weights = weights.to_string();
    let registry = home.contracts.registry.unwrap_or_default().to_string();
    let fits = |it: &&ReleaseDeployment| {
        it.weights_sha256 == weights && it.chain_id == home.chain_id && it.registry == registry
    };
    let manifest = std::fs::read(one.adapter.dir.join(MANIFEST_FILE)).ok();
    let manifest = manifest.map(|bytes| Digest::hash_bytes(&bytes).to_string());
    let is_it = |it: &&ReleaseDeployment| manifest.as_ref() == Some(&it.manifest_sha256);
    let known = state.deployments.iter().rev();
    let mut known = known.chain(state.served_releases.iter().rev().filter(is_it));
    Ok(known.find(fits).cloned())
}

impl ServingPlan {
    /// Prepares paid serving of the chosen adapters.
    ///
    /// # Errors
    ///
    /// An adapter is not registered or is served by another account, or a chain cannot be reached.
    pub async fn open(self, chosen: &[ChosenAdapter]) -> Result<PaidServing, Failure> {
        let payees = self.payees(chosen, &self.releases).await?;
        self.check_payees(chosen, &payees)?;
        self.prepare(&payees).await?;
        let mut serving = self.sell(&payees).await?;
        serving.announce().await;
        Ok(serving)
    }

    fn home(&self) -> &Chain {
        &self.chains[0].chain
    }

    /// The payees of each adapter, by the adapter's digest.
    async fn payees(
        &self,
        chosen: &[ChosenAdapter],
        releases: &[Option<ReleaseDeployment>],
    ) -> Result<BTreeMap<String, ReleasePayee>, Failure> {
        let mut payees = BTreeMap::new();
        for (one, release) in chosen.iter().zip(releases) {
            let deployment = release.as_ref().ok_or_else(|| self.unregistered(one))?;
            let payee = payee(self.home(), deployment, self.account.address()).await?;
            payees.insert(one.adapter.digest.clone(), payee);
        }
        Ok(payees)
    }

    /// Outside development chains, refuses payees and serving accounts whose address is a
    /// placeholder or has a published key.
    fn check_payees(
        &self,
        chosen: &[ChosenAdapter],
        payees: &BTreeMap<String, ReleasePayee>,
    ) -> Result<(), Failure> {
        for network in self.chains.iter().map(|it| &it.chain.network) {
            check_payee(network, "the server's account", self.account.address())?;
            for payee in payees.values() {
                for (recipient, members) in payee.recipients() {
                    let who = format!("a recipient of {}", payee.deployment.name);
                    check_payee(network, &who, recipient)?;
                    for member in members {
                        let who = format!("a contributor of {}", payee.deployment.name);
                        check_payee(network, &who, member)?;
                    }
                }
            }
            for one in chosen {
                for party in provenance::adapter_contributors(&one.adapter.dir)? {
                    let who = format!("the contributor {}", party.name);
                    for address in [party.address, party.owner].into_iter().flatten() {
                        check_payee(network, &who, address)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn unregistered(&self, one: &ChosenAdapter) -> Failure {
        let message = format!(
            "{} is not registered on `{}`, so nobody could be paid for its calls",
            one.name,
            self.home().network.name
        );
        Failure::new(ExitClass::BadInput, message).with_hint(
            "register it: openlora deploy; or serve without payment: openlora serve --local --free",
        )
    }

    /// Recovers open transactions, creates missing splitters on other chains, and records the
    /// recipients.
    async fn prepare(&self, payees: &BTreeMap<String, ReleasePayee>) -> Result<(), Failure> {
        let limits = self.terms.limits;
        let progress = transaction_listener(&self.listener);
        for PaidChain {
            chain,
            terms,
            others,
        } in &self.chains
        {
            let faucet = DevFaucet {
                chain,
                facts: &self.journal,
                limits,
                listener: &self.listener,
            };
            for account in std::iter::once(&self.account).chain(others) {
                faucet.fund(account.address()).await?;
            }
            let sender = TxSender {
                chain,
                account: &self.account,
                facts: &self.journal,
                limits,
                progress: &*progress,
                harvest: &no_facts,
            };
            for payee in payees.values() {
                if let Some(step) = payee.missing_on(chain).await? {
                    let open = self.rewards.state.read().unsettled.clone();
                    recover(&sender, &open).await?;
                    let steps = [step];
                    let quote = quote(chain, self.account.address(), &steps, &limits).await?;
                    for submission in &quote.submissions {
                        sender.send(submission).await?;
                    }
                }
                self.record_split(payee, chain, terms).await?;
            }
        }
        Ok(())
    }

    /// Records who is paid for an adapter's calls on a chain.
    async fn record_split(
        &self,
        payee: &ReleasePayee,
        chain: &Chain,
        terms: &ChainTerms,
    ) -> Result<(), Failure> {
        let split = payee.split(chain.network.chain_id, terms.token.address);
        self.journal
            .append(Event::SplitRead(Box::new(split)))
            .await?;
        Ok(())
    }

    /// The recipients on the home chain.
    fn home_split(&self, payee: &ReleasePayee) -> SplitRead {
        let token = &self.chains[0].terms.token;
        payee.split(self.home().network.chain_id, token.address)
    }

    async fn sell(self, payees: &BTreeMap<String, ReleasePayee>) -> Result<PaidServing, Failure> {
        let operators = self.chain_operators();
        for ChainOperator { client, .. } in &operators {
            client.recover().await?;
        }
        let offers = operators.iter().zip(&self.chains);
        let offers: Vec<ChainOffer> = offers
            .map(|(it, chain)| self.chain_offer(&it.accounts, &chain.terms))
            .collect();
        for ChainOperator { client, .. } in &operators {
            client.refresh().await.map_err(SettleError::from)?;
        }
        let facilitator = FacilitatorService::new(offers.clone(), self.account.address())
            .with_catalogue(self.catalogue());
        let seller = SellerConfig {
            pay_to: payees
                .iter()
                .map(|(digest, payee)| (digest.clone(), payee.splitter))
                .collect(),
            offers,
            account: self.account.address(),
            facts: Arc::new(self.journal.clone()),
            ledger: self.ledger(),
            rules: self.terms.rules,
        };
        let seller = Arc::new(X402Seller::new(seller));
        let token = &self.chains[0].terms.token;
        let splits = payees.iter();
        let splits = splits.map(|(key, it)| (key.clone(), self.home_split(it)));
        Ok(PaidServing {
            splits: splits.collect(),
            sales: SalesConfig {
                gateway: Arc::clone(&seller) as _,
                facilitator: Arc::new(facilitator),
                settler: Arc::new(ChainOperators(operators.clone())),
                currency: Currency {
                    symbol: token.symbol.clone(),
                    decimals: token.decimals,
                },
            },
            networks: self
                .chains
                .iter()
                .map(|it| it.chain.network.name.clone())
                .collect(),
            operators,
            seller,
            announcement: None,
            plan: self,
        })
    }

    fn catalogue(&self) -> ResourceCatalogue {
        let are_local = self.chains.iter().all(|it| it.chain.network.is_local());
        let probe = HttpResourceProbe {
            reach: match are_local {
                true => ProbeReach::ThisMachine,
                false => ProbeReach::Internet,
            },
        };
        ResourceCatalogue::open(Some(self.catalogue.clone()), Arc::new(probe))
    }

    fn ledger(&self) -> Arc<dyn LedgerView> {
        Arc::clone(&self.rewards.state) as _
    }

    fn chain_operators(&self) -> Vec<ChainOperator> {
        let open = |(place, paid): (usize, &PaidChain)| {
            let (chain, terms) = (&paid.chain, &paid.terms);
            let options = SettlementOptions {
                progress: transaction_listener(&self.listener),
                allowance: SponsorAllowance {
                    gas_budget: terms.gas_budget,
                    ..self.terms.allowance
                },
                worth: terms.worth,
                ..SettlementOptions::for_network(&chain.network, self.terms.limits)
            };
            let records = SettlementRecords {
                facts: Arc::new(self.journal.clone()),
                ledger: self.ledger(),
            };
            let accounts = SigningAccounts {
                main: self.account.clone(),
                others: paid.others.clone(),
            };
            let (chain, rewards) = (chain.clone(), self.rewards.clone());
            ChainOperator::new(chain, accounts, records, options, rewards, place == 0)
        };
        self.chains.iter().enumerate().map(open).collect()
    }

    fn chain_offer(&self, accounts: &SettlementAccounts, terms: &ChainTerms) -> ChainOffer {
        let settlement =
            |client: &Arc<SettlementClient>| Arc::clone(client) as Arc<dyn ChainSettlement>;
        let others = accounts.all().skip(1);
        ChainOffer {
            settlement: settlement(accounts.main()),
            others: others.map(|it| (it.account(), settlement(it))).collect(),
            token: terms.token.address,
            token_symbol: terms.token.symbol.clone(),
            token_decimals: terms.token.decimals,
            token_name: terms.token.name.clone(),
            token_version: terms.token.version.clone(),
            withdraw_delay: self.terms.withdraw_delay.as_secs(),
            min_deposit: terms.min_deposit,
            refund_fee: terms.refund_fee,
            min_exact: terms.min_exact,
        }
    }
}

/// The settlers of all chains, for settlement requests.
struct ChainOperators(Vec<ChainOperator>);

#[async_trait::async_trait]
impl Settler for ChainOperators {
    async fn settle_all(&self) -> Result<serde_json::Value, Failure> {
        let mut settled = Vec::with_capacity(self.0.len());
        for operator in &self.0 {
            settled.push(operator.settle_and_reward().await?);
        }
        Ok(serde_json::json!(settled))
    }

    async fn withdraw(&self) -> Result<serde_json::Value, Failure> {
        let mut paid = Vec::with_capacity(self.0.len());
        for operator in &self.0 {
            paid.push(operator.withdraw_and_reward(None).await?);
        }
        Ok(serde_json::json!(paid))
    }
}

impl PaidServing {
    pub fn prices(&self) -> PriceList {
        self.plan.terms.prices
    }

    /// Offers calls of one more adapter; returns its recipients on the home chain. `registered` is its
    /// release if somebody else registered it; otherwise it must be known to the journal. Where another
    /// chain has no splitter of it yet, the server creates it, in the order of its other transactions.
    ///
    /// # Errors
    ///
    /// The adapter is not registered or is served by another account, a chain cannot be reached, or
    /// the splitter cannot be created there.
    pub async fn offer(
        &self,
        one: &ChosenAdapter,
        registered: Option<ReleaseDeployment>,
    ) -> Result<SplitRead, Failure> {
        let chosen = std::slice::from_ref(one);
        let is_strangers = registered.is_some();
        let release = match registered {
            Some(release) => Some(release),
            None => {
                let state = self.plan.rewards.state.read();
                release_of_weights(&state, &self.plan.home().network, one)?
            }
        };
        let served = release.clone().filter(|_| is_strangers);
        let payees = self.plan.payees(chosen, &[release]).await?;
        self.plan.check_payees(chosen, &payees)?;
        let payee = payees.get(&one.adapter.digest);
        let none = || Failure::new(ExitClass::Internal, "an adapter has no payee");
        let payee = payee.ok_or_else(none)?;
        if is_strangers {
            self.check_strangers(one, payee).await?;
        }
        if let Some(served) = served {
            self.record_served(&served).await?;
        }
        for ChainOperator { client, .. } in &self.operators {
            if let Some(step) = payee.missing_on(client.chain()).await? {
                let purpose = TxPurpose {
                    key: step.key,
                    label: step.deed,
                };
                client.carry_out(step.to, step.data, purpose).await?;
            }
        }
        for PaidChain { chain, terms, .. } in &self.plan.chains {
            self.plan.record_split(payee, chain, terms).await?;
        }
        self.seller
            .offer_adapter(&one.adapter.digest, payee.splitter);
        Ok(self.plan.home_split(payee))
    }

    /// What a stranger has registered takes no calls from the payee of the same weights, and spends none
    /// of this server's gas.
    async fn check_strangers(
        &self,
        one: &ChosenAdapter,
        payee: &ReleasePayee,
    ) -> Result<(), Failure> {
        let known = self.seller.splitter_of(&one.adapter.digest);
        if let Some(known) = known.filter(|known| *known != payee.splitter) {
            let message = format!(
                "its weights are served already, and their calls pay {known} and not {}",
                payee.splitter
            );
            return Err(Failure::new(ExitClass::Verification, message));
        }
        for ChainOperator { client, .. } in &self.operators {
            let chain = client.chain();
            if payee.missing_on(chain).await?.is_some() {
                let network = &chain.network.name;
                let message = format!("its splitter {} is not on `{network}`", payee.splitter);
                return Err(Failure::new(ExitClass::BadInput, message)
                    .with_hint("whoever registered it can create it there"));
            }
        }
        Ok(())
    }

    /// The account that serves.
    pub fn account(&self) -> Address {
        self.plan.account.address()
    }

    /// Takes payments for an adapter that is not here yet, by the key of its release.
    pub fn announce_adapter(&self, release: &ChainRelease) {
        self.seller
            .offer_adapter(&announcement_key(release), release.splitter);
    }

    /// The tokens that calls are paid in.
    pub fn tokens(&self) -> Vec<PaidToken> {
        let chains = self.plan.chains.iter();
        let tokens = chains.map(|paid| PaidToken {
            network: paid.chain.network.name.clone(),
            chain_id: paid.chain.network.chain_id,
            token: paid.terms.token.clone(),
        });
        tokens.collect()
    }

    /// Records a release of somebody else, once.
    async fn record_served(&self, release: &ReleaseDeployment) -> Result<(), Failure> {
        let is_known = {
            let state = self.plan.rewards.state.read();
            state.deployments.contains(release) || state.served_releases.contains(release)
        };
        if !is_known {
            let served = Event::ReleaseServed(Box::new(release.clone()));
            self.plan.journal.append(served).await?;
        }
        Ok(())
    }

    /// States on the home chain where others reach the server.
    async fn announce(&mut self) {
        let url = self.plan.public_url.clone();
        let client = self.operators.first().map(|it| Arc::clone(&it.client));
        if let (Some(url), Some(client)) = (url, client) {
            let listener = Arc::clone(&self.plan.listener);
            let announcement = ServerAnnouncement {
                url,
                client,
                listener,
            };
            if !announcement.begin().await {
                self.announcement = Some(announcement);
            }
        }
    }

    /// The home chain.
    pub fn home_chain(&self) -> &Chain {
        self.plan.home()
    }

    /// Ids of the chains on which calls are paid.
    pub fn chains(&self) -> Vec<u64> {
        let id = |operator: &ChainOperator| operator.client.chain().network.chain_id;
        self.operators.iter().map(id).collect()
    }

    /// Watches the chains and settles earnings until `stop`, then once more. Each task returns
    /// whether it completed everything.
    pub fn start(&self, stop: &CancellationToken) -> JoinSet<bool> {
        let mut tasks = JoinSet::new();
        if let Some(announcement) = self.announcement.clone() {
            let stop = stop.clone();
            tasks.spawn(async move {
                announcement.keep_trying(stop).await;
                true
            });
        }
        for operator in &self.operators {
            let ChainOperator {
                client,
                settler,
                rewarder,
                ..
            } = operator;
            let SaleTerms {
                rounds, triggers, ..
            } = self.plan.terms;
            let (rewarder, ended) = (Arc::clone(rewarder), stop.clone());
            let filler = Arc::clone(settler);
            tasks.spawn(async move {
                rewarder.run(rounds, filler, ended).await;
                true
            });
            let (client, watched) = (Arc::clone(client), stop.clone());
            tasks.spawn(async move {
                client.watch(watched).await;
                true
            });
            let (settler, stop) = (Arc::clone(settler), stop.clone());
            tasks.spawn(async move { settler.run(triggers, stop).await });
        }
        tasks
    }

    /// Charged amounts that could be claimed and are not.
    pub fn unclaimed(&self) -> Vec<UnclaimedCharge> {
        let of_chain = |operator: &ChainOperator| {
            let network = &operator.client.chain().network;
            let sums = operator.settler.unclaimed().into_iter();
            let charge = |(token, amount)| UnclaimedCharge {
                network: network.clone(),
                token,
                amount,
            };
            sums.map(charge).collect::<Vec<_>>()
        };
        self.operators.iter().flat_map(of_chain).collect()
    }
}

//! Paid serving: the payees of each adapter, the chains and the account, and settling while the
//! server runs.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, RwLock},
    time::Duration,
};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{ChosenAdapter, provenance};
use crate::commands::{
    CommandContext,
    journal::check_chain,
    money::{amount, format_token_sum, prices, token},
    network,
    published::LOG,
    rewards::{RewardPublisher, RewardSchedule},
    server_access::public_url,
    settings::{ContractPayerPolicy, StatedSetting},
    settle::SettleReport,
    signer::LockedSigner,
    treasury::claim_worth,
    tx_context::{DevFaucet, limits, print_event},
    withdraw::WithdrawReport,
};
use openlora_attribution::LogFolder;
use openlora_chain::{
    balance::from_units,
    development::check_payee,
    network::Network,
    provider::Chain,
    transaction::{TxSender, no_facts, recover},
};
use openlora_core::{
    Address, Amount,
    error::{ExitClass, Failure},
};
use openlora_journal::Journal;
use openlora_ledger::{
    Ledger, PriceList, SponsorAllowance, WITHDRAW_SHARE,
    event::{Event, ReleaseDeployment, SplitRead},
    state::JournalSnapshot,
};
use openlora_model::adapter::WEIGHTS_FILE;
use openlora_package::hash;
use openlora_payments::{
    rewards::server_facts,
    settlement::{
        ChainSettler, ClaimWorth, LedgerView, SettleError, SettleTriggers, SettlementClient,
        SettlementOptions, SettlementRecords, TxHistory,
    },
    x402::{
        ChainOffer, ContractPayers, FacilitatorService, SellerConfig, SponsorRules, X402Seller,
    },
};
use openlora_ports::Settler;
use openlora_release::deploy::{ReleasePayee, payee, quote};
use openlora_serve::payment::{Currency, SalesConfig};
use openlora_wallet::WalletAccount;

/// Everything that a server with paid calls needs.
pub struct PaidServing {
    pub sales: SalesConfig,
    pub prices: PriceList,
    /// Names of the chains, the home chain first.
    pub networks: Vec<String>,
    /// The recipients on the home chain, by the adapter's digest.
    pub splits: BTreeMap<String, SplitRead>,
    treasurers: Vec<ChainOperator>,
    triggers: SettleTriggers,
    rounds: RewardSchedule,
}

/// The settlement client, the settler and the reward publisher of a chain.
#[derive(Clone)]
struct ChainOperator {
    client: Arc<SettlementClient>,
    settler: Arc<ChainSettler>,
    rewarder: Arc<RewardPublisher>,
}

/// The inputs that need no chain access.
struct ServingPlan<'a> {
    context: &'a CommandContext,
    journal: &'a Journal,
    account: WalletAccount,
    chains: Vec<Chain>,
    snapshot: JournalSnapshot,
    /// The public URL of this server.
    url: String,
}

/// Prepares paid serving of the chosen adapters.
///
/// # Errors
///
/// An adapter is not registered or is served by another account, a chain cannot be reached, or the
/// account cannot be unlocked.
pub(super) async fn open(
    context: &CommandContext,
    journal: &Journal,
    chosen: &[ChosenAdapter],
    networks: Vec<Network>,
    password_file: Option<&Path>,
    url: &str,
) -> Result<PaidServing, Failure> {
    let mut chains = Vec::with_capacity(networks.len());
    for network in networks {
        let network = network::reach(context, network).await?;
        chains.push(Chain::connect(&network).await?);
    }
    let home = &chains[0].network;
    let signer = LockedSigner::choose(context, home)?;
    // Calls that a killed server left open are charged before the ledger is read.
    journal.recover("none").await?;
    for chain in &chains {
        check_chain(journal, chain, &context.printer).await?;
    }
    let plan = ServingPlan {
        context,
        journal,
        account: signer.unlock(context, password_file)?,
        snapshot: journal.snapshot()?,
        url: url.to_owned(),
        chains,
    };
    let payees = plan.payees(chosen).await?;
    plan.check_payees(chosen, &payees)?;
    plan.prepare(&payees).await?;
    plan.sell(&payees).await
}

impl ServingPlan<'_> {
    /// The payees of each adapter, by the adapter's digest.
    async fn payees(
        &self,
        chosen: &[ChosenAdapter],
    ) -> Result<BTreeMap<String, ReleasePayee>, Failure> {
        let mut payees = BTreeMap::new();
        for one in chosen {
            let deployment = self.deployment(one)?;
            let payee = payee(&self.chains[0], &deployment, self.account.address()).await?;
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
        for network in self.chains.iter().map(|chain| &chain.network) {
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

    /// The newest release of exactly these weights on the home chain.
    fn deployment(&self, one: &ChosenAdapter) -> Result<ReleaseDeployment, Failure> {
        let (weights, _) = hash(&one.adapter.dir.join(WEIGHTS_FILE))?;
        let weights = weights.to_string();
        let home = &self.chains[0].network;
        let registry = home.contracts.registry.unwrap_or_default().to_string();
        let fits = |it: &&ReleaseDeployment| {
            it.weights_sha256 == weights && it.chain_id == home.chain_id && it.registry == registry
        };
        let found = self.snapshot.deployments.iter().rev().find(fits);
        found.cloned().ok_or_else(|| {
            let message = format!(
                "{} is not registered on `{}`, so nobody could be paid for its calls",
                one.name, home.name
            );
            Failure::new(ExitClass::BadInput, message).with_hint(
                "register it: openlora deploy; or serve without payment: openlora serve --local --free",
            )
        })
    }

    /// Recovers open transactions, creates missing splitters on other chains, and records the
    /// recipients.
    async fn prepare(&self, payees: &BTreeMap<String, ReleasePayee>) -> Result<(), Failure> {
        let limits = limits(self.context)?;
        let printer = self.context.printer.clone();
        for chain in &self.chains {
            let faucet = DevFaucet {
                printer: &self.context.printer,
                chain,
                facts: self.journal,
                limits,
            };
            faucet.fund(self.account.address()).await?;
            let printer = printer.clone();
            let sender = TxSender {
                chain,
                account: &self.account,
                facts: self.journal,
                limits,
                progress: &move |news| print_event(&printer, news),
                harvest: &no_facts,
            };
            for payee in payees.values() {
                if let Some(step) = payee.missing_on(chain).await? {
                    recover(&sender, &self.snapshot.unsettled).await?;
                    let steps = [step];
                    let quote = quote(chain, self.account.address(), &steps, &limits).await?;
                    for submission in &quote.submissions {
                        sender.send(submission).await?;
                    }
                }
                let split = payee.split(chain.network.chain_id, token(&chain.network)?.address);
                let event = Event::SplitRead(Box::new(split));
                self.journal.append(event).await?;
            }
        }
        Ok(())
    }

    async fn sell(self, payees: &BTreeMap<String, ReleasePayee>) -> Result<PaidServing, Failure> {
        let money = token(&self.chains[0].network)?.clone();
        let prices = prices(self.context, &money)?;
        let ledger = Arc::new(RwLock::new(Ledger::default()));
        let folded = Arc::clone(&ledger);
        let follower = move |record: &openlora_ledger::event::EventRecord| {
            let mut ledger = folded
                .write()
                .unwrap_or_else(|poisoned| poisoned.into_inner());
            ledger.apply(&record.event);
        };
        self.journal.follow(Box::new(follower)).await?;
        let mut history = TxHistory::default();
        self.journal
            .replay(1, |record| history.apply(&record.event))?;
        let operators = self.chain_operators(&ledger, &history)?;
        for ChainOperator {
            client, rewarder, ..
        } in &operators
        {
            client.recover().await?;
            rewarder.watch().await?;
        }
        let offers = operators.iter().map(|it| self.chain_offer(&it.client));
        let offers: Vec<ChainOffer> = offers.collect::<Result<_, _>>()?;
        for ChainOperator { client, .. } in &operators {
            client.refresh().await.map_err(SettleError::from)?;
        }
        let facilitator = FacilitatorService::new(offers.clone(), self.account.address());
        let seller = SellerConfig {
            pay_to: payees
                .iter()
                .map(|(digest, payee)| (digest.clone(), payee.splitter))
                .collect(),
            offers,
            account: self.account.address(),
            facts: Arc::new(self.journal.clone()),
            ledger: Arc::clone(&ledger) as Arc<dyn LedgerView>,
            rules: rules(self.context),
        };
        let triggers = SettleTriggers {
            threshold: amount(&self.context.settings.serve.settle_at, &money)?,
            interval: settle_every(self.context)?,
        };
        let home = &self.chains[0].network;
        let split = |payee: &ReleasePayee| payee.split(home.chain_id, money.address);
        let splits = payees.iter().map(|(key, it)| (key.clone(), split(it)));
        Ok(PaidServing {
            splits: splits.collect(),
            sales: SalesConfig {
                gateway: Arc::new(X402Seller::new(seller)),
                facilitator: Arc::new(facilitator),
                settler: Arc::new(ChainOperators(operators.clone())),
                currency: Currency {
                    symbol: money.symbol,
                    decimals: money.decimals,
                },
            },
            prices,
            networks: self
                .chains
                .iter()
                .map(|chain| chain.network.name.clone())
                .collect(),
            treasurers: operators,
            triggers,
            rounds: RewardSchedule {
                calls: self.context.settings.serve.anchor_at,
                interval: self.context.settings.serve.anchor_every,
            },
        })
    }

    fn chain_operators(
        &self,
        ledger: &Arc<RwLock<Ledger>>,
        history: &TxHistory,
    ) -> Result<Vec<ChainOperator>, Failure> {
        let limits = limits(self.context)?;
        let log = LogFolder::at(&self.context.dirs.data.join(LOG));
        let address = public_url(self.context)?.unwrap_or_else(|| self.url.clone());
        let allowance = allowance(self.context)?;
        let networks = self.chains.iter().map(|chain| &chain.network);
        let gas_budgets: Vec<Option<Amount>> = networks
            .map(|network| gas_budget(self.context, network))
            .collect::<Result<_, _>>()?;
        let networks = self.chains.iter().map(|chain| &chain.network);
        let worth: Vec<ClaimWorth> = networks
            .map(|network| claim_worth(self.context, network))
            .collect::<Result<_, _>>()?;
        let open = |(place, chain): (usize, &Chain)| {
            let printer = self.context.printer.clone();
            let options = SettlementOptions {
                progress: Arc::new(move |news| print_event(&printer, news)),
                allowance: SponsorAllowance {
                    gas_budget: gas_budgets[place],
                    ..allowance
                },
                worth: worth[place],
                reader: Some(server_facts(chain.network.chain_id, Arc::new(log.clone()))),
                ..SettlementOptions::for_network(&chain.network, limits)
            };
            let records = SettlementRecords {
                facts: Arc::new(self.journal.clone()),
                ledger: Arc::clone(ledger) as Arc<dyn LedgerView>,
                history: history.clone(),
            };
            let client =
                SettlementClient::new(chain.clone(), self.account.clone(), records, options);
            let client = Arc::new(client);
            let settler = Arc::new(ChainSettler::new(Arc::clone(&client)));
            let rewarder = RewardPublisher::new(
                self.journal.clone(),
                Arc::clone(&client),
                log.clone(),
                address.clone(),
                place == 0,
            );
            ChainOperator {
                client,
                settler,
                rewarder: Arc::new(rewarder),
            }
        };
        Ok(self.chains.iter().enumerate().map(open).collect())
    }

    fn chain_offer(&self, client: &Arc<SettlementClient>) -> Result<ChainOffer, Failure> {
        let token = token(&client.chain().network)?;
        let settings = &self.context.settings.serve;
        Ok(ChainOffer {
            settlement: Arc::clone(client)
                as Arc<dyn openlora_payments::settlement::ChainSettlement>,
            token: token.address,
            token_name: token.name.clone(),
            token_version: token.version.clone(),
            withdraw_delay: settings.withdraw_delay.as_secs(),
            min_deposit: amount(&settings.min_deposit, token)?,
            refund_fee: amount(&settings.refund_fee, token)?,
            min_exact: amount(&settings.min_exact, token)?,
        })
    }
}

fn rules(context: &CommandContext) -> SponsorRules {
    let settings = &context.settings.serve;
    SponsorRules {
        contract_payers: match settings.contract_payers {
            ContractPayerPolicy::Settle => ContractPayers::Settle,
            ContractPayerPolicy::Refuse => ContractPayers::Refuse,
        },
        refund_pause: settings.refund_pause,
    }
}

/// What is done for each payer in a day.
fn allowance(context: &CommandContext) -> Result<SponsorAllowance, Failure> {
    let settings = &context.settings.serve;
    Ok(SponsorAllowance {
        gas_budget: None,
        min_gas: min_gas(context)?,
        refuses_contracts: settings.contract_payers == ContractPayerPolicy::Refuse,
        deposits_daily: settings.deposits_daily,
        transfers_daily: settings.transfers_daily,
        refunds_daily: settings.refunds_daily,
        unsigned_refunds_daily: 1,
    })
}

/// Daily budget for sponsored gas, in wei. Coins of a development chain have no value.
fn gas_budget(context: &CommandContext, network: &Network) -> Result<Option<Amount>, Failure> {
    /// The default of `serve.min_gas`, for lower settings.
    const LEAST: Amount = Amount(1_000_000_000_000_000);
    const TIMES: u128 = 10;
    if let Some(stated) = &context.settings.serve.gas_budget {
        return ether(stated).map(Some);
    }
    if network.is_local() {
        return Ok(None);
    }
    let least = min_gas(context)?.max(LEAST);
    Ok(Some(Amount(least.0.saturating_mul(TIMES))))
}

/// The gas reserve that the account keeps for itself, in wei.
fn min_gas(context: &CommandContext) -> Result<Amount, Failure> {
    ether(&context.settings.serve.min_gas)
}

fn ether(stated: &StatedSetting<String>) -> Result<Amount, Failure> {
    let (key, text) = (stated.key, &stated.value);
    from_units(text, 18).map(Amount).ok_or_else(|| {
        let message = format!("`{key}` is wrong: expected ETH such as 0.001, found `{text}`");
        Failure::new(ExitClass::BadInput, message)
    })
}

/// The settlers of all chains, for settlement requests.
struct ChainOperators(Vec<ChainOperator>);

#[async_trait::async_trait]
impl Settler for ChainOperators {
    async fn settle_all(&self) -> Result<serde_json::Value, Failure> {
        let mut settled = Vec::with_capacity(self.0.len());
        for operator in &self.0 {
            let round = operator.settler.settle_now().await?;
            let rewards = operator.rewarder.round().await;
            let network = &operator.client.chain().network;
            settled.push(SettleReport::from_round(network, &round, rewards));
        }
        Ok(serde_json::json!(settled))
    }

    async fn withdraw(&self) -> Result<serde_json::Value, Failure> {
        let mut paid = Vec::with_capacity(self.0.len());
        for operator in &self.0 {
            let moved = operator.settler.withdraw(None).await?;
            let rewards = operator.rewarder.round().await;
            let network = &operator.client.chain().network;
            paid.push(WithdrawReport::from_moved(network, &moved, rewards));
        }
        Ok(serde_json::json!(paid))
    }
}

/// The interval between two rounds. It is well below the delay of a payer's withdrawal, because
/// charges must be claimed before a withdrawal completes.
pub(super) fn settle_every(context: &CommandContext) -> Result<Duration, Failure> {
    let settings = &context.settings.serve;
    let delay = settings.withdraw_delay;
    let longest = delay / WITHDRAW_SHARE;
    let Some(every) = settings.settle_every else {
        return Ok(longest);
    };
    if every <= longest {
        return Ok(every);
    }
    let (every, delay, longest) = (every.as_secs(), delay.as_secs(), longest.as_secs());
    let message = format!(
        "`serve.settle_every` is {every} s and `serve.withdraw_delay` {delay} s: payers could take \
         back what calls have cost before it is claimed; expected at most a quarter of the delay, \
         {longest} s"
    );
    let least = every.saturating_mul(u64::from(WITHDRAW_SHARE));
    Err(
        Failure::new(ExitClass::BadInput, message).with_hint(format!(
            "lower `serve.settle_every` to {longest}, or raise `serve.withdraw_delay` to {least}"
        )),
    )
}

impl PaidServing {
    /// Ids of the chains on which calls are paid.
    pub fn chains(&self) -> Vec<u64> {
        let id = |operator: &ChainOperator| operator.client.chain().network.chain_id;
        self.treasurers.iter().map(id).collect()
    }

    /// Watches the chains and settles earnings until `stop`, then once more. Each task returns
    /// whether it completed everything.
    pub fn start(&self, stop: &CancellationToken) -> JoinSet<bool> {
        let mut tasks = JoinSet::new();
        for operator in &self.treasurers {
            let ChainOperator {
                client,
                settler,
                rewarder,
            } = operator;
            let (rewarder, rounds, ended) = (Arc::clone(rewarder), self.rounds, stop.clone());
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
            let (settler, stop, triggers) = (Arc::clone(settler), stop.clone(), self.triggers);
            tasks.spawn(async move { settler.run(triggers, stop).await });
        }
        tasks
    }

    /// Charged amounts that could be claimed and are not, each with its chain.
    pub fn unclaimed(&self) -> Vec<String> {
        let of_office = |operator: &ChainOperator| {
            let network = &operator.client.chain().network;
            let sums = operator.settler.unclaimed();
            let line = |(token, sum): (&Address, &Amount)| {
                let sum = format_token_sum(network, &token.to_string(), *sum);
                format!("{sum} on `{}`", network.name)
            };
            sums.iter().map(line).collect::<Vec<_>>()
        };
        self.treasurers.iter().flat_map(of_office).collect()
    }
}

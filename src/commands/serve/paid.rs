//! Selling calls: who is paid for each adapter, on which chains, by which account; and settling
//! what was earned while the server runs.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, RwLock},
    time::Duration,
};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Chosen, provenance};
use crate::{
    commands::{
        Context,
        desk::{Gifts, limits, tell},
        journal::check_chain,
        money::{amount, prices, shown, token},
        network,
        published::LOG,
        rewards::{Rewarder, Rounds},
        server_access::public_url,
        settle::Settlement,
        signer::Signer,
        withdraw::Withdrawal,
    },
    error::{ExitClass, Failure},
    runtime::{
        adapter::WEIGHTS_FILE,
        attribution::LogFolder,
        event::{Deployment, Event, SplitRead},
        journal::Journal,
        ledger::{Address, Amount, Book, Prices, SponsorAllowance, WITHDRAW_SHARE},
        package::hash,
        ports::Treasury,
        serve::payment::{Currency, Sales},
        state::Snapshot,
    },
    settings::{ContractPayerPolicy, StatedSetting},
    wallet::{
        balance::from_units,
        deploy::{Payee, payee, quote},
        development::check_payee,
        keystore::Account,
        network::Network,
        provider::Chain,
        rewards::server_facts,
        settlement::{Books, Desk, History, Options, Records, SettleError, Treasurer, Triggers},
        transaction::{Sender, no_facts, recover},
        x402::{Clearing, ContractPayers, Counter, Rules, Shop, Till},
    },
};

/// Everything that a server which sells its calls needs.
pub struct Selling {
    pub sales: Sales,
    pub prices: Prices,
    /// Names of the chains, the home chain first.
    pub networks: Vec<String>,
    /// Who is paid on the home chain, by the adapter's digest.
    pub splits: BTreeMap<String, SplitRead>,
    treasurers: Vec<Office>,
    triggers: Triggers,
    rounds: Rounds,
}

/// A chain's desk, who settles there and who sees to rewards there.
#[derive(Clone)]
struct Office {
    desk: Arc<Desk>,
    treasurer: Arc<Treasurer>,
    rewarder: Arc<Rewarder>,
}

/// What is known before anything is asked of a chain.
struct Plan<'a> {
    context: &'a Context,
    journal: &'a Journal,
    account: Account,
    chains: Vec<Chain>,
    snapshot: Snapshot,
    /// Under which others reach this server.
    url: String,
}

/// Gets ready to sell the chosen adapters' calls.
///
/// # Errors
/// An adapter is not registered or is served by somebody else, a chain cannot be reached, or the
/// account cannot be unlocked.
pub(super) async fn open(
    context: &Context,
    journal: &Journal,
    chosen: &[Chosen],
    (networks, password_file): (Vec<Network>, Option<&Path>),
    url: &str,
) -> Result<Selling, Failure> {
    let mut chains = Vec::with_capacity(networks.len());
    for network in networks {
        let network = network::reach(context, network).await?;
        chains.push(Chain::connect(&network).await?);
    }
    let home = &chains[0].network;
    let signer = Signer::choose(context, home)?;
    // What a killed server left open is charged before anybody reads the ledger.
    journal.recover("none").await?;
    for chain in &chains {
        check_chain(journal, chain, &context.printer).await?;
    }
    let plan = Plan {
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

impl Plan<'_> {
    /// Who is paid for each adapter, by the adapter's digest.
    async fn payees(&self, chosen: &[Chosen]) -> Result<BTreeMap<String, Payee>, Failure> {
        let mut payees = BTreeMap::new();
        for one in chosen {
            let deployment = self.deployment(one)?;
            let payee = payee(&self.chains[0], &deployment, self.account.address()).await?;
            payees.insert(one.adapter.digest.clone(), payee);
        }
        Ok(payees)
    }

    /// Off a development chain nobody is paid whose address is a placeholder or has a key that
    /// everybody knows, nor does such an account serve.
    fn check_payees(
        &self,
        chosen: &[Chosen],
        payees: &BTreeMap<String, Payee>,
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
                for party in provenance::parties(&one.adapter.dir)? {
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
    fn deployment(&self, one: &Chosen) -> Result<Deployment, Failure> {
        let (weights, _) = hash(&one.adapter.dir.join(WEIGHTS_FILE))?;
        let weights = weights.to_string();
        let home = &self.chains[0].network;
        let registry = home.contracts.registry.unwrap_or_default().to_string();
        let fits = |it: &&Deployment| {
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

    /// Creates splitters that are missing on other chains, after what an earlier process left
    /// open, and writes down who is paid.
    async fn prepare(&self, payees: &BTreeMap<String, Payee>) -> Result<(), Failure> {
        let limits = limits(self.context)?;
        let printer = self.context.printer.clone();
        for chain in &self.chains {
            let gifts = Gifts {
                printer: &self.context.printer,
                chain,
                facts: self.journal,
                limits,
            };
            gifts.fund(self.account.address()).await?;
            let printer = printer.clone();
            let sender = Sender {
                chain,
                account: &self.account,
                facts: self.journal,
                limits,
                tell: &move |news| tell(&printer, news),
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

    async fn sell(self, payees: &BTreeMap<String, Payee>) -> Result<Selling, Failure> {
        let money = token(&self.chains[0].network)?.clone();
        let prices = prices(self.context, &money)?;
        let book = Arc::new(RwLock::new(Book::default()));
        let folded = Arc::clone(&book);
        let follower = move |record: &crate::runtime::event::Record| {
            let mut book = folded
                .write()
                .unwrap_or_else(|poisoned| poisoned.into_inner());
            book.apply(&record.event);
        };
        self.journal.follow(Box::new(follower)).await?;
        let mut history = History::default();
        self.journal
            .replay(1, |record| history.apply(&record.event))?;
        let treasurers = self.treasurers(&book, &history)?;
        for Office { desk, rewarder, .. } in &treasurers {
            desk.recover().await?;
            rewarder.watch().await?;
        }
        let counters = treasurers.iter().map(|it| self.counter(&it.desk));
        let counters: Vec<Counter> = counters.collect::<Result<_, _>>()?;
        for Office { desk, .. } in &treasurers {
            desk.refresh().await.map_err(SettleError::from)?;
        }
        let facilitator = Clearing::new(counters.clone(), self.account.address());
        let shop = Shop {
            stalls: payees
                .iter()
                .map(|(digest, payee)| (digest.clone(), payee.splitter))
                .collect(),
            counters,
            account: self.account.address(),
            facts: Arc::new(self.journal.clone()),
            rules: rules(self.context),
        };
        let known = book
            .read()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .clone();
        let triggers = Triggers {
            threshold: amount(&self.context.settings.serve.settle_at, &money)?,
            interval: settle_every(self.context)?,
        };
        let home = &self.chains[0].network;
        let split = |payee: &Payee| payee.split(home.chain_id, money.address);
        let splits = payees.iter().map(|(key, it)| (key.clone(), split(it)));
        Ok(Selling {
            splits: splits.collect(),
            sales: Sales {
                cashier: Arc::new(Till::new(shop, known)),
                facilitator: Arc::new(facilitator),
                treasury: Arc::new(Offices(treasurers.clone())),
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
            treasurers,
            triggers,
            rounds: Rounds {
                calls: self.context.settings.serve.anchor_at,
                interval: self.context.settings.serve.anchor_every,
            },
        })
    }

    fn treasurers(
        &self,
        book: &Arc<RwLock<Book>>,
        history: &History,
    ) -> Result<Vec<Office>, Failure> {
        let limits = limits(self.context)?;
        let log = LogFolder::at(&self.context.dirs.data.join(LOG));
        let address = public_url(self.context)?.unwrap_or_else(|| self.url.clone());
        let allowance = allowance(self.context);
        let networks = self.chains.iter().map(|chain| &chain.network);
        let gas_budgets: Vec<Option<Amount>> = networks
            .map(|network| gas_budget(self.context, network))
            .collect::<Result<_, _>>()?;
        let open = |(place, chain): (usize, &Chain)| {
            let printer = self.context.printer.clone();
            let options = Options {
                tell: Arc::new(move |news| tell(&printer, news)),
                allowance: SponsorAllowance {
                    gas_budget: gas_budgets[place],
                    ..allowance
                },
                reader: Some(server_facts(chain.network.chain_id, Arc::new(log.clone()))),
                ..Options::of(&chain.network, limits)
            };
            let records = Records {
                facts: Arc::new(self.journal.clone()),
                books: Arc::clone(book) as Arc<dyn Books>,
                history: history.clone(),
            };
            let desk = Desk::new(chain.clone(), self.account.clone(), records, options);
            let desk = Arc::new(desk);
            let treasurer = Arc::new(Treasurer::new(Arc::clone(&desk)));
            let published = (log.clone(), address.clone());
            let journal = self.journal.clone();
            let rewarder = Rewarder::new(journal, Arc::clone(&desk), published, place == 0);
            Office {
                desk,
                treasurer,
                rewarder: Arc::new(rewarder),
            }
        };
        Ok(self.chains.iter().enumerate().map(open).collect())
    }

    fn counter(&self, desk: &Arc<Desk>) -> Result<Counter, Failure> {
        let token = token(&desk.chain().network)?;
        let settings = &self.context.settings.serve;
        Ok(Counter {
            settlement: Arc::clone(desk) as Arc<dyn crate::wallet::settlement::Settlement>,
            token: token.address,
            token_name: token.name.clone(),
            token_version: token.version.clone(),
            withdraw_delay: settings.withdraw_delay.as_secs(),
            min_deposit: amount(&settings.min_deposit, token)?,
            refund_fee: amount(&settings.refund_fee, token)?,
            min_gas: min_gas(self.context)?,
        })
    }
}

fn rules(context: &Context) -> Rules {
    let settings = &context.settings.serve;
    Rules {
        contract_payers: match settings.contract_payers {
            ContractPayerPolicy::Settle => ContractPayers::Settle,
            ContractPayerPolicy::Refuse => ContractPayers::Refuse,
        },
        refund_pause: settings.refund_pause,
    }
}

/// What is done for each payer in a day.
fn allowance(context: &Context) -> SponsorAllowance {
    let settings = &context.settings.serve;
    SponsorAllowance {
        gas_budget: None,
        deposits_daily: settings.deposits_daily,
        refunds_daily: settings.refunds_daily,
        unsigned_refunds_daily: 1,
    }
}

/// What may be paid for gas at payers' request in a day, in wei. Coins of a development chain are
/// worth nothing.
fn gas_budget(context: &Context, network: &Network) -> Result<Option<Amount>, Failure> {
    /// What `serve.min_gas` is by default, for those who set it lower.
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

/// What the account keeps for its own gas, in wei.
fn min_gas(context: &Context) -> Result<Amount, Failure> {
    ether(&context.settings.serve.min_gas)
}

fn ether(stated: &StatedSetting<String>) -> Result<Amount, Failure> {
    let (key, text) = (stated.key, &stated.value);
    from_units(text, 18).map(Amount).ok_or_else(|| {
        let message = format!("`{key}` is wrong: expected ETH such as 0.001, found `{text}`");
        Failure::new(ExitClass::BadInput, message)
    })
}

/// The settling of every chain, for whoever asks.
struct Offices(Vec<Office>);

#[async_trait::async_trait]
impl Treasury for Offices {
    async fn settle(&self) -> Result<serde_json::Value, Failure> {
        let mut settled = Vec::with_capacity(self.0.len());
        for office in &self.0 {
            let round = office.treasurer.settle_now().await?;
            let rewards = office.rewarder.round().await;
            let network = &office.desk.chain().network;
            settled.push(Settlement::of(network, &round, rewards));
        }
        Ok(serde_json::json!(settled))
    }

    async fn withdraw(&self) -> Result<serde_json::Value, Failure> {
        let mut paid = Vec::with_capacity(self.0.len());
        for office in &self.0 {
            let moved = office.treasurer.withdraw(None).await?;
            let rewards = office.rewarder.round().await;
            let network = &office.desk.chain().network;
            paid.push(Withdrawal::of(network, &moved, rewards));
        }
        Ok(serde_json::json!(paid))
    }
}

/// Time between two rounds, well within the delay of a payer's withdrawal: what is charged in
/// between has to be claimed before the payer has it back.
pub(super) fn settle_every(context: &Context) -> Result<Duration, Failure> {
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

impl Selling {
    /// Ids of the chains on which calls are paid.
    pub fn chains(&self) -> Vec<u64> {
        let id = |office: &Office| office.desk.chain().network.chain_id;
        self.treasurers.iter().map(id).collect()
    }

    /// Watches the chains and settles what is earned until `stop`, then once more: each task says
    /// whether it left nothing undone.
    pub fn start(&self, stop: &CancellationToken) -> JoinSet<bool> {
        let mut tasks = JoinSet::new();
        for office in &self.treasurers {
            let Office {
                desk,
                treasurer,
                rewarder,
            } = office;
            let (rewarder, rounds, ended) = (Arc::clone(rewarder), self.rounds, stop.clone());
            let filler = Arc::clone(treasurer);
            tasks.spawn(async move {
                rewarder.run(rounds, filler, ended).await;
                true
            });
            let (desk, watched) = (Arc::clone(desk), stop.clone());
            tasks.spawn(async move {
                desk.watch(watched).await;
                true
            });
            let (treasurer, stop, triggers) = (Arc::clone(treasurer), stop.clone(), self.triggers);
            tasks.spawn(async move { treasurer.run(triggers, stop).await });
        }
        tasks
    }

    /// Sums that are charged, could be claimed and are not, each with its chain.
    pub fn unclaimed(&self) -> Vec<String> {
        let of_office = |office: &Office| {
            let network = &office.desk.chain().network;
            let sums = office.treasurer.unclaimed();
            let line = |(token, sum): (&Address, &Amount)| {
                let sum = shown(network, &token.to_string(), *sum);
                format!("{sum} on `{}`", network.name)
            };
            sums.iter().map(line).collect::<Vec<_>>()
        };
        self.treasurers.iter().flat_map(of_office).collect()
    }
}

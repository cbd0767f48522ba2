//! The demo's attribution: explains the shares of one call, sums up all calls, and has contributors
//! claim what they are owed.

use std::{collections::BTreeMap, path::Path};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{program::DemoBinary, script::DemoScript, steps::RunningChain};
use crate::commands::{call::CallResult, deploy::DeployReport};
use openlora_chain::balance::shown_amount;
use openlora_core::{
    Address, Amount,
    error::{ExitClass, Failure},
};
use openlora_journal::Journal;
use openlora_ledger::{
    ChainFacts,
    event::{Event, EventRecord},
    fallback_reason,
};
use openlora_release::deploy::POOL_DELAY;
use openlora_serve::attribution::published::{AttributionStage, PublishedAttribution};

/// The demo's token has six decimals.
const DECIMALS: u8 = 6;
/// Millionths per base unit.
const MICRO: u128 = 1_000_000;

/// The attribution of the demo's calls and its payouts.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CreditReport {
    pub calls: u64,
    /// Of those, attributed by influence; the others have static shares.
    pub by_influence: u64,
    pub contributors: Vec<ContributorCredit>,
    /// Calls under anchored roots.
    pub anchored: u64,
    /// Claimed by contributors, in base units of the token.
    pub claimed: Amount,
}

/// One contributor's share of all calls.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ContributorCredit {
    pub name: String,
    /// Share of all contributors' earnings, in millionths.
    pub ppm: u64,
    /// Whole base units of the token.
    pub amount: Amount,
    #[schemars(with = "Option<String>")]
    pub address: Option<Address>,
}

/// What is read of the result of `claim`.
#[derive(Deserialize)]
struct ClaimedPools {
    pools: Vec<ClaimedPool>,
}

#[derive(Deserialize)]
struct ClaimedPool {
    payments: Vec<ClaimedPayment>,
}

#[derive(Deserialize)]
struct ClaimedPayment {
    amount: Amount,
}

/// The attribution-related events of the journal.
#[derive(Default)]
struct CreditFacts {
    calls: u64,
    by_influence: u64,
    /// Millionths and account by name.
    earned: BTreeMap<String, (u128, Option<Address>)>,
    chain: ChainFacts,
}

impl CreditFacts {
    fn read(journal: &Path) -> Result<Self, Failure> {
        let mut facts = Self::default();
        Journal::open_read_only(journal)?.replay(1, |record| facts.apply(record))?;
        Ok(facts)
    }

    fn apply(&mut self, record: &EventRecord) {
        self.chain.apply(record);
        let Event::Attributed(it) = &record.event else {
            return;
        };
        self.calls += 1;
        self.by_influence += u64::from(it.fallback.is_none());
        for amount in it.amounts.iter().flatten().filter(|it| it.pool.is_some()) {
            let earned = self.earned.entry(amount.recipient.clone()).or_default();
            *earned = (earned.0 + amount.micro.0, amount.address);
        }
    }

    fn credited(&self) -> Vec<ContributorCredit> {
        let all: u128 = self.earned.values().map(|(micro, _)| micro).sum();
        let each = self.earned.iter();
        each.map(|(name, (micro, address))| ContributorCredit {
            name: name.clone(),
            ppm: u64::try_from(micro * MICRO / all.max(1)).unwrap_or(0),
            amount: Amount(micro / MICRO),
            address: *address,
        })
        .collect()
    }
}

impl DemoScript<'_> {
    /// Explains the shares of one of the buyer's calls.
    pub(super) async fn tell_why(
        &self,
        buyer: &DemoBinary,
        dir: &Path,
        answer: &CallResult,
    ) -> Result<(), Failure> {
        let id = answer.id.as_str();
        self.print_command_of(buyer, &["receipts", "show", id, "--why"]);
        let why = self.final_attribution(buyer, dir, id).await?;
        for share in &why.shares {
            self.print_line(&format!(
                "  {:>5.1} % to {}",
                f64::from(share.ppm) / 10_000.0,
                share.contributor
            ));
        }
        match why.fallback {
            Some(why) => self.print_line(&format!(
                "  static shares, because {}",
                fallback_reason(&why)
            )),
            None => self.print_line(&format!(
                "  by influence on the answer, which decides {:.0} % of it",
                f64::from(why.evidence_ppm.unwrap_or(0)) / 10_000.0
            )),
        }
        for example in why.examples.iter().take(2) {
            self.print_line(&format!(
                "  most of all example {:.12}… by {}",
                example.example, example.contributor
            ));
        }
        Ok(())
    }

    /// The server attributes calls after it has answered them.
    async fn final_attribution(
        &self,
        buyer: &DemoBinary,
        dir: &Path,
        id: &str,
    ) -> Result<PublishedAttribution, Failure> {
        const PATIENCE: u32 = 50;
        for _ in 0..PATIENCE {
            let args = ["receipts", "show", id, "--why"];
            let why: PublishedAttribution = buyer.read(dir, &args).await?;
            if why.stage == AttributionStage::Final {
                return Ok(why);
            }
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
        let message = format!("the call {id} was not attributed in time");
        Err(Failure::new(ExitClass::Verification, message))
    }

    /// Advances the chain past the challenge period, has each contributor claim, and recomputes
    /// everything from the published log.
    pub(super) async fn tell_claimed(
        &self,
        project: &Path,
        deployed: &DeployReport,
        package: &Path,
    ) -> Result<CreditReport, Failure> {
        let facts = CreditFacts::read(&self.program.journal())?;
        let credited = facts.credited();
        for one in &credited {
            self.print_line(&format!(
                "  {:<12} {:>5.1} % of the contributors' part: {} dUSD",
                one.name,
                one.ppm as f64 / 10_000.0,
                shown_amount(&one.amount.to_string(), DECIMALS)
            ));
        }
        self.pass_time(project).await?;
        let log = self.program.log();
        let log = log.to_string_lossy();
        let contributor = self.program.with_home("contributor");
        let chain = self.chain(project).await?;
        contributor.use_chain(&chain.url)?;
        let account = ["wallet", "new", "contributor", "--light-kdf"];
        self.print_command_of(&contributor, &account);
        contributor.run(project, &account).await?;
        let addresses = credited.iter().filter_map(|it| it.address);
        let addresses: Vec<String> = addresses.map(|it| it.to_string()).collect();
        let mut args = vec!["claim", "--log", &log];
        for address in &addresses {
            args.extend(["--contributor", address]);
        }
        self.print_command_of(&contributor, &args);
        let paid: ClaimedPools = contributor.read(project, &args).await?;
        let payments = paid.pools.iter().flat_map(|pool| &pool.payments);
        let claimed: Amount = payments.map(|it| it.amount).sum();
        self.print_line(&format!(
            "  fetched from the pool: {} dUSD",
            shown_amount(&claimed.to_string(), DECIMALS)
        ));
        self.audit(&contributor, project, deployed, package).await?;
        Ok(CreditReport {
            calls: facts.calls,
            by_influence: facts.by_influence,
            contributors: credited,
            anchored: facts.chain.anchored().map(|it| it.count).sum(),
            claimed,
        })
    }

    async fn audit(
        &self,
        auditor: &DemoBinary,
        project: &Path,
        deployed: &DeployReport,
        package: &Path,
    ) -> Result<(), Failure> {
        let log = self.program.log();
        let index = package.parent().map(|run| run.join("attribution"));
        let (log, package) = (log.to_string_lossy(), package.to_string_lossy());
        let mut args = vec![
            "audit",
            &deployed.adapter_id,
            "--log",
            &log,
            "--package",
            &package,
        ];
        let index = index.filter(|index| index.is_dir());
        let index = index.as_ref().map(|it| it.to_string_lossy());
        if let Some(index) = &index {
            args.extend(["--index", index]);
        }
        self.print_command_of(auditor, &args);
        auditor.run(project, &args).await?;
        self.print_line("  shares, roots and sums come out the same from what is published");
        Ok(())
    }

    /// The chain that the creator's commands started.
    pub(super) async fn chain(&self, project: &Path) -> Result<RunningChain, Failure> {
        self.program.read(project, &["devnet", "status"]).await
    }

    /// A proposal takes effect after a day. The clock of this chain can be advanced.
    async fn pass_time(&self, project: &Path) -> Result<(), Failure> {
        let url = self.chain(project).await?.url;
        let client = reqwest::Client::builder().no_proxy().build();
        let broken = |error: reqwest::Error| {
            Failure::new(
                ExitClass::Network,
                format!("the demo's chain broke off: {error}"),
            )
        };
        let client = client.map_err(broken)?;
        for (method, params) in [
            ("evm_increaseTime", json!([POOL_DELAY])),
            ("evm_mine", json!([])),
        ] {
            let call = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
            client.post(&url).json(&call).send().await.map_err(broken)?;
        }
        self.print_line("  a day passes on the demo's chain, in which contributors could contest");
        Ok(())
    }
}

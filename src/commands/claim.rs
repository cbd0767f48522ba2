//! `claim`: the contributor's side of pools: show what is owed, claim, contest and demand. It needs
//! only an RPC and the pool's address; a server's published log merely names pools.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{
    CommandContext,
    money::{percent, token},
    treasury::TreasuryRequest,
    tx_context::TxContext,
};
use openlora_chain::transaction::{FactReader, TxSender, recover};
use openlora_core::{
    Address, Amount,
    calendar::moment,
    error::{ExitClass, ExitStatus, Failure},
};
use openlora_ledger::ReceiverKey;
use openlora_payments::rewards::{
    PoolCall, PoolState, WaitingProposal, claim_facts, owed, pool_of, proposal_of,
};
use openlora_runtime::published_log::LogSource;
use openlora_wallet::WalletAccount;

/// The operation on the pools.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PoolAction {
    #[default]
    Fetch,
    Contest,
    Demand,
    Divide,
}

/// The request of `claim`.
#[derive(Clone, Debug, Default)]
pub struct ClaimRequest {
    /// A server's URL, or a copy of its log folder.
    pub log: Option<String>,
    /// One pool; by default all pools of the log.
    pub pool: Option<String>,
    /// The contributors' addresses; the account's own if empty.
    pub contributors: Vec<String>,
    pub action: PoolAction,
    pub treasury: TreasuryRequest,
}

/// What `--json` prints.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct ClaimReport {
    network: String,
    chain_id: u64,
    pools: Vec<PoolReport>,
}

/// A pool after the command, and the transactions sent.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct PoolReport {
    pool: String,
    /// ERC-20 contract of the token.
    token: String,
    operator: String,
    /// Total received by the pool, in base units.
    received: Amount,
    /// Allotted to contributors so far.
    allotted: Amount,
    /// The part of it that was divided by static shares.
    divided: Amount,
    /// Not proposed yet, or proposed and not in effect.
    unallotted: Amount,
    /// The pending proposal; null if there is none.
    pending: Option<PendingProposal>,
    /// The deadline by which the operator must answer a demand, in Unix seconds; null if there is
    /// none.
    answer_by: Option<u64>,
    payments: Vec<FetchedPayment>,
    /// All other transactions that were sent.
    sent: Vec<SentTransaction>,
}

#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct PendingProposal {
    round: u32,
    /// The root of the published sums it is based on.
    root: String,
    total: Amount,
    /// When it takes effect, in Unix seconds.
    activates_at: u64,
    /// The static shares that contested it, and the threshold for rejection.
    against_ppm: u32,
    quorum_ppm: u32,
    /// The recipients and amounts, as on the chain.
    entries: Vec<ProposedPayment>,
}

#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct ProposedPayment {
    contributor: String,
    amount: Amount,
}

/// An amount that was claimed, or would be with `--dry-run`.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct FetchedPayment {
    contributor: String,
    amount: Amount,
    /// Null with `--dry-run`.
    tx: Option<String>,
    gas_used: Option<u64>,
}

/// A transaction other than a payment.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct SentTransaction {
    /// `activate`, `contest`, `demand` or `divide`.
    deed: &'static str,
    tx: String,
    gas_used: u64,
}

/// The data that the subcommands need.
struct PoolClaimer {
    tx_context: TxContext,
    account: WalletAccount,
    contributors: Vec<Address>,
    request: ClaimRequest,
    harvest: FactReader,
}

pub async fn run(context: &CommandContext, request: ClaimRequest) -> Result<ExitStatus, Failure> {
    let named = named_pool(&request)?;
    let logged = match (&named, &request.log) {
        (None, Some(log)) => pools_of(&context.open_log(log)?).await?,
        _ => BTreeSet::new(),
    };
    let mut tx_context = TxContext::open(context, request.treasury.password_file.clone()).await?;
    let asked = request.contributors.iter();
    let mut contributors: Vec<Address> = asked
        .map(|text| parse("--contributor", text))
        .collect::<Result<_, _>>()?;
    if contributors.is_empty() {
        contributors.push(tx_context.account);
    }
    let network = &tx_context.chain.network;
    let pools: Vec<ReceiverKey> = match named {
        Some(receiver) => vec![ReceiverKey {
            chain_id: network.chain_id,
            receiver,
            token: token(network)?.address,
        }],
        None => logged
            .into_iter()
            .filter(|key| key.chain_id == network.chain_id)
            .collect(),
    };
    if pools.is_empty() {
        let message = format!("the log names no pool on `{}`", network.name);
        return Err(Failure::new(ExitClass::BadInput, message)
            .with_hint("name one: --pool ADDRESS; `openlora explore` shows them"));
    }
    let account = tx_context.unlock()?;
    let counter = PoolClaimer {
        harvest: claim_facts(tx_context.chain.network.chain_id),
        tx_context,
        account,
        contributors,
        request,
    };
    let claimed = counter.claim(&pools).await?;
    let printer = &context.printer;
    match printer.is_json() {
        true => printer.json(&claimed),
        false => counter.print_claims(context, &claimed),
    }
    if claimed.is_idle() && !counter.request.treasury.dry_run {
        printer.warn("nothing was sent: nothing waits for these contributors");
        return Ok(ExitStatus::Verdict(ExitClass::BadInput));
    }
    Ok(ExitStatus::Success)
}

fn named_pool(request: &ClaimRequest) -> Result<Option<Address>, Failure> {
    let named = request.pool.as_deref();
    named.map(|text| parse("--pool", text)).transpose()
}

fn parse(flag: &str, text: &str) -> Result<Address, Failure> {
    text.parse()
        .map_err(|problem| Failure::new(ExitClass::Usage, format!("{flag} is wrong: {problem}")))
}

/// The pools named in a log. Nothing else in the log is trusted here.
async fn pools_of(source: &LogSource) -> Result<BTreeSet<ReceiverKey>, Failure> {
    let without = |failure: Failure| {
        let hint = "the chain alone is enough: name the pool with --pool ADDRESS";
        failure.with_hint(hint)
    };
    let catalogue = source.catalogue().await.map_err(without)?;
    let mut pools: BTreeSet<ReceiverKey> = catalogue.pools.into_iter().collect();
    if !pools.is_empty() {
        return Ok(pools);
    }
    for root in catalogue.contributions {
        let file = source.contributions(root, None).await.map_err(without)?;
        pools.extend(file.map(|it| it.pool));
    }
    Ok(pools)
}

impl ClaimReport {
    fn is_idle(&self) -> bool {
        let mut pools = self.pools.iter();
        pools.all(|pool| pool.payments.is_empty() && pool.sent.is_empty())
    }
}

impl PoolClaimer {
    async fn claim(&self, pools: &[ReceiverKey]) -> Result<ClaimReport, Failure> {
        let network = &self.tx_context.chain.network;
        let open = self.tx_context.left_open();
        recover(&self.sender(), &open).await?;
        let mut reports = Vec::new();
        for key in pools {
            reports.push(self.visit(*key).await?);
        }
        Ok(ClaimReport {
            network: network.name.clone(),
            chain_id: network.chain_id,
            pools: reports,
        })
    }

    async fn visit(&self, key: ReceiverKey) -> Result<PoolReport, Failure> {
        let chain = &self.tx_context.chain;
        let pool = pool_of(chain, key).await?;
        let (mut payments, mut sent) = (Vec::new(), Vec::new());
        let dry_run = self.request.treasury.dry_run;
        match self.request.action {
            PoolAction::Fetch => {
                let due = match pool.is_due() {
                    true => proposal_of(chain, &pool).await?,
                    false => None,
                };
                if let (Some(due), false) = (&due, dry_run) {
                    let deed = PoolCall::Activate(due);
                    sent.push(self.sent("activate", &pool, deed).await?);
                }
                let due = due.filter(|_| dry_run);
                for contributor in &self.contributors {
                    payments.extend(self.pay(&pool, due.as_ref(), *contributor).await?);
                }
            }
            _ if dry_run => {}
            PoolAction::Contest => sent.push(self.sent("contest", &pool, PoolCall::Contest).await?),
            PoolAction::Demand => sent.push(self.sent("demand", &pool, PoolCall::Demand).await?),
            PoolAction::Divide => sent.push(self.sent("divide", &pool, PoolCall::Divide).await?),
        }
        let pool = pool_of(chain, key).await?;
        Ok(PoolReport {
            pool: key.receiver.to_string(),
            token: key.token.to_string(),
            operator: pool.operator.to_string(),
            received: pool.received,
            allotted: Amount(pool.account.allotted),
            divided: Amount(pool.account.divided),
            unallotted: pool.unallotted(),
            pending: proposal_of(chain, &pool)
                .await?
                .map(|it| PendingProposal::from_proposal(&pool, &it)),
            answer_by: pool.answer_by(),
            payments,
            sent,
        })
    }

    /// Claims what is owed to a contributor; `due` is what it would receive in addition.
    async fn pay(
        &self,
        pool: &PoolState,
        due: Option<&WaitingProposal>,
        contributor: Address,
    ) -> Result<Option<FetchedPayment>, Failure> {
        let entries = due.iter().flat_map(|it| &it.entries);
        let theirs = entries.filter(|entry| Address::from(entry.contributor) == contributor);
        let besides: Amount = theirs.map(|entry| Amount(entry.amount)).sum();
        let amount = owed(&self.tx_context.chain, pool, contributor).await?;
        let amount = amount.saturating_add(besides);
        if amount.is_zero() {
            return Ok(None);
        }
        let (tx, gas_used) = match self.request.treasury.dry_run {
            true => (None, None),
            false => {
                let (tx, gas) = self
                    .send(pool, PoolCall::Fetch(contributor, amount))
                    .await?;
                (Some(tx), Some(gas))
            }
        };
        Ok(Some(FetchedPayment {
            contributor: contributor.to_string(),
            amount,
            tx,
            gas_used,
        }))
    }

    async fn sent(
        &self,
        name: &'static str,
        pool: &PoolState,
        deed: PoolCall<'_>,
    ) -> Result<SentTransaction, Failure> {
        let (tx, gas_used) = self.send(pool, deed).await?;
        Ok(SentTransaction {
            deed: name,
            tx,
            gas_used,
        })
    }

    async fn send(&self, pool: &PoolState, deed: PoolCall<'_>) -> Result<(String, u64), Failure> {
        let chain = &self.tx_context.chain;
        let words = match deed {
            PoolCall::Contest => "contesting",
            PoolCall::Demand => "demanding",
            PoolCall::Divide => "dividing",
            _ => "fetching",
        };
        self.tx_context.confirm(&chain.network.name, words)?;
        self.tx_context.fund().await?;
        let submission = deed.submission(chain, self.account.address(), pool);
        let mined = self.sender().send(&submission.await?).await?;
        Ok((mined.tx.to_string(), mined.receipt.gas_used))
    }

    fn sender(&self) -> TxSender<'_> {
        TxSender {
            harvest: &*self.harvest,
            ..self.tx_context.sender(&self.account)
        }
    }

    fn print_claims(&self, context: &CommandContext, claimed: &ClaimReport) {
        let (printer, network) = (&context.printer, &self.tx_context.chain.network);
        for pool in &claimed.pools {
            let money = |amount: Amount| network.token_amount(&pool.token, amount);
            printer.line(format!(
                "pool {}: {} received, {} allotted, {} unallotted",
                pool.pool,
                money(pool.received),
                money(pool.allotted),
                money(pool.unallotted)
            ));
            for payment in &pool.payments {
                let (sum, who) = (money(payment.amount), &payment.contributor);
                printer.line(match &payment.tx {
                    None => format!("{sum} for {who} could be fetched"),
                    Some(tx) => format!("{sum} for {who} fetched in {tx}"),
                });
            }
            for sent in &pool.sent {
                printer.line(format!("{} in {}", sent.deed, sent.tx));
            }
            if let Some(pending) = &pool.pending {
                printer.line(format!(
                    "proposal {} of {} takes effect on {}; {} of the shares contest it, {} refuse it",
                    pending.round,
                    money(pending.total),
                    moment(pending.activates_at),
                    percent(pending.against_ppm),
                    percent(pending.quorum_ppm)
                ));
                for given in &pending.entries {
                    let sum = money(given.amount);
                    printer.line(format!("  {sum} for {}", given.contributor));
                }
            }
            if let Some(time) = pool.answer_by {
                printer.line(format!(
                    "the operator must answer a demand by {}",
                    moment(time)
                ));
            }
        }
    }
}

impl PendingProposal {
    fn from_proposal(pool: &PoolState, proposal: &WaitingProposal) -> Self {
        let given = proposal.entries.iter().map(|entry| ProposedPayment {
            contributor: Address::from(entry.contributor).to_string(),
            amount: Amount(entry.amount),
        });
        Self {
            round: proposal.round,
            root: proposal.root.to_string(),
            total: proposal.total,
            activates_at: proposal.due,
            against_ppm: pool.account.against,
            quorum_ppm: pool.quorum,
            entries: given.collect(),
        }
    }
}

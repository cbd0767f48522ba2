//! `claim`: a contributor's own payout, with nothing but an address, the published log and an RPC.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    Context,
    deploy::desk::Desk,
    published::Source,
    treasury::{TreasuryRequest, shown},
};
use crate::{
    error::{ExitClass, ExitStatus, Failure},
    runtime::ledger::{Address, Amount, ReceiverKey, Word, publication::Contributions},
    wallet::{
        keystore::Account,
        rewards::{
            Claimable, Deed, Due, Harvester, Pool, claim_facts, contributions_tree, due, pool_of,
            submission,
        },
        transaction::{Sender, recover},
    },
};

/// What `claim` is asked for.
#[derive(Clone, Debug, Default)]
pub struct ClaimRequest {
    /// A server's address, or a copy of its log's folder.
    pub log: String,
    /// One pool; all of the log's when absent.
    pub pool: Option<String>,
    /// Whose sums; the account's own when empty.
    pub contributors: Vec<String>,
    /// Refuse what is proposed instead.
    pub contest: bool,
    pub treasury: TreasuryRequest,
}

/// What `--json` prints.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct Claimed {
    network: String,
    chain_id: u64,
    /// One per pool of the log.
    pools: Vec<PoolReport>,
}

/// A pool, and what was done there.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct PoolReport {
    pool: String,
    /// ERC-20 contract of the money.
    token: String,
    /// The root in force; null before the first.
    root: Option<String>,
    /// A root that waits, and when it takes force, in Unix seconds.
    pending: Option<Pending>,
    /// Whether everything not yet allotted is paid by the static shares.
    contested: bool,
    payments: Vec<Payment>,
    /// The transaction that contested the waiting root.
    contest: Option<String>,
}

#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct Pending {
    root: String,
    activates_at: u64,
}

/// A sum that was fetched, or with `--dry-run` would be.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct Payment {
    contributor: String,
    amount: Amount,
    /// `allotment` or `static`.
    by: &'static str,
    /// Null with `--dry-run`.
    tx: Option<String>,
    gas_used: Option<u64>,
}

/// Everything at hand.
struct Counter {
    desk: Desk,
    account: Account,
    contributors: Vec<Address>,
    request: ClaimRequest,
    harvest: Harvester,
}

pub async fn run(context: &Context, request: ClaimRequest) -> Result<ExitStatus, Failure> {
    let source = Source::open(context, &request.log)?;
    let files = contributions(&source, request.contest).await?;
    let mut desk = Desk::open(context, request.treasury.password_file.clone()).await?;
    let named = request.contributors.iter();
    let mut contributors: Vec<Address> = named
        .map(|text| parse("--contributor", text))
        .collect::<Result<_, _>>()?;
    if contributors.is_empty() {
        contributors.push(desk.account);
    }
    let account = desk.unlock()?;
    let counter = Counter {
        harvest: claim_facts(desk.chain.network.chain_id),
        desk,
        account,
        contributors,
        request,
    };
    let claimed = counter.claim(files).await?;
    let printer = &context.printer;
    match printer.is_json() {
        true => printer.json(&claimed),
        false => counter.show(context, &claimed),
    }
    Ok(ExitStatus::Success)
}

fn parse(flag: &str, text: &str) -> Result<Address, Failure> {
    text.parse()
        .map_err(|problem| Failure::new(ExitClass::Usage, format!("{flag} is wrong: {problem}")))
}

/// The log's files by pool; a file whose sums do not make its own root is refused.
/// It is as good as any other where all that is wanted is to contest it.
async fn contributions(
    source: &Source,
    contest: bool,
) -> Result<BTreeMap<ReceiverKey, BTreeMap<Word, Contributions>>, Failure> {
    let mut files: BTreeMap<ReceiverKey, BTreeMap<Word, Contributions>> = BTreeMap::new();
    for root in source.catalogue().await?.contributions {
        let Some(file) = source.contributions(root).await? else {
            continue;
        };
        let tree = contributions_tree(&file).map(|tree| Word(tree.root().0));
        if (tree != Some(root) || file.root != root) && !contest {
            let message = format!("the sums published for the root {root} do not make that root");
            return Err(Failure::new(ExitClass::Verification, message)
                .with_hint("contest it: openlora claim --contest"));
        }
        files.entry(file.pool).or_default().insert(root, file);
    }
    Ok(files)
}

impl Payment {
    fn of(contributor: Address, claimable: &Claimable, sent: Option<(String, u64)>) -> Self {
        let (tx, gas_used) = sent.unzip();
        Self {
            contributor: contributor.to_string(),
            amount: claimable.amount,
            by: match claimable.due {
                Due::Allotted { .. } => "allotment",
                Due::Static => "static",
            },
            tx,
            gas_used,
        }
    }
}

impl Counter {
    async fn claim(
        &self,
        files: BTreeMap<ReceiverKey, BTreeMap<Word, Contributions>>,
    ) -> Result<Claimed, Failure> {
        let network = &self.desk.chain.network;
        self.recover().await?;
        let wanted = self.request.pool.as_deref();
        let wanted = wanted.map(|text| parse("--pool", text)).transpose()?;
        let mut here: BTreeMap<ReceiverKey, BTreeMap<Word, Contributions>> = files
            .into_iter()
            .filter(|(key, _)| {
                key.chain_id == network.chain_id && wanted.is_none_or(|it| it == key.receiver)
            })
            .collect();
        // A pool of which nothing is published pays by static shares, and can be contested.
        if let (Some(receiver), Some(token), true) = (wanted, &network.token, here.is_empty()) {
            let key = ReceiverKey {
                chain_id: network.chain_id,
                receiver,
                token: token.address,
            };
            here.insert(key, BTreeMap::new());
        }
        let mut pools = Vec::new();
        for (key, files) in here {
            pools.push(self.visit(key, &files).await?);
        }
        if let (Some(wanted), true) = (wanted, pools.is_empty()) {
            let message = format!(
                "the log has nothing of the pool {wanted} on `{}`",
                network.name
            );
            return Err(Failure::new(ExitClass::BadInput, message));
        }
        Ok(Claimed {
            network: network.name.clone(),
            chain_id: network.chain_id,
            pools,
        })
    }

    async fn visit(
        &self,
        key: ReceiverKey,
        files: &BTreeMap<Word, Contributions>,
    ) -> Result<PoolReport, Failure> {
        let chain = &self.desk.chain;
        let dry_run = self.request.treasury.dry_run;
        let mut pool = pool_of(chain, key).await?;
        let mut contest = None;
        if self.request.contest && !dry_run {
            contest = Some(self.send(&pool, Deed::Contest).await?.0);
            pool = pool_of(chain, key).await?;
        }
        let file = pool.root().and_then(|root| files.get(&root));
        let mut payments = Vec::new();
        if !self.request.contest {
            for contributor in &self.contributors {
                payments.extend(self.pay(&pool, file, *contributor).await?);
            }
        }
        Ok(PoolReport {
            pool: key.receiver.to_string(),
            token: key.token.to_string(),
            root: pool.root().map(|root| root.to_string()),
            pending: pool.pending().map(|(root, activates_at)| Pending {
                root: root.to_string(),
                activates_at,
            }),
            contested: pool.account.contested,
            payments,
            contest,
        })
    }

    async fn pay(
        &self,
        pool: &Pool,
        file: Option<&Contributions>,
        contributor: Address,
    ) -> Result<Vec<Payment>, Failure> {
        let mut payments = Vec::new();
        for claimable in due(&self.desk.chain, pool, file, contributor).await? {
            let deed = Deed::Fetch(contributor, &claimable);
            let sent = match self.request.treasury.dry_run {
                true => None,
                false => Some(self.send(pool, deed).await?),
            };
            payments.push(Payment::of(contributor, &claimable, sent));
        }
        Ok(payments)
    }

    async fn send(&self, pool: &Pool, deed: Deed<'_>) -> Result<(String, u64), Failure> {
        let chain = &self.desk.chain;
        let words = match deed {
            Deed::Contest => "contesting",
            Deed::Fetch(..) => "fetching",
        };
        self.desk.confirm(&chain.network.name, words)?;
        self.desk.fund().await?;
        let submission = submission(chain, self.account.address(), pool, deed).await?;
        let mined = self.sender().send(&submission).await?;
        Ok((mined.tx.to_string(), mined.receipt.gas_used))
    }

    fn sender(&self) -> Sender<'_> {
        Sender {
            harvest: &*self.harvest,
            ..self.desk.sender(&self.account)
        }
    }

    async fn recover(&self) -> Result<(), Failure> {
        recover(&self.sender(), &self.desk.snapshot.unsettled).await?;
        Ok(())
    }

    fn show(&self, context: &Context, claimed: &Claimed) {
        let (printer, network) = (&context.printer, &self.desk.chain.network);
        for pool in &claimed.pools {
            for payment in &pool.payments {
                let sum = shown(network, &pool.token, payment.amount);
                let how = match (&payment.tx, payment.by) {
                    (None, by) => format!("could be fetched by {by}"),
                    (Some(tx), by) => format!("fetched by {by} in {tx}"),
                };
                printer.line(format!(
                    "{sum} for {} {how} from the pool {}",
                    payment.contributor, pool.pool
                ));
            }
            if let Some(tx) = &pool.contest {
                printer.line(format!(
                    "contested in {tx}: the static shares pay what is not yet allotted"
                ));
            }
            if let Some(pending) = &pool.pending {
                printer.line(format!(
                    "the root {} of the pool {} takes force at {} (Unix seconds)",
                    pending.root, pool.pool, pending.activates_at
                ));
            }
        }
        if claimed.pools.iter().all(|pool| pool.payments.is_empty()) && !self.request.contest {
            printer.line("nothing waits");
        }
    }
}

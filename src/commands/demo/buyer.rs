//! The demo's payments: a buyer with its own account pays for calls, the server settles the
//! charges, and the creator withdraws. The reported amounts come from the journal and the chain.

use std::{collections::BTreeSet, path::Path, time::Duration};

use futures::{StreamExt, TryStreamExt, stream};
use schemars::JsonSchema;
use serde::{Serialize, de::IgnoredAny};
use tokio::time::{Instant, sleep_until};

use super::{
    program::{CreatedAccount, DemoBinary, DemoServer},
    script::DemoScript,
};
use crate::commands::call::CallResult;
use openlora_chain::balance::shown_amount;
use openlora_core::{
    Address, Amount,
    error::{ExitClass, Failure},
};
use openlora_journal::Journal;
use openlora_ledger::{TxKey, event::Event};

/// Name of the buyer's home.
pub const BUYER: &str = "buyer";
/// How many calls the buyer makes.
const CALLS: usize = 50;
/// How many calls to the first adapter run at once, and the maximum number of channels for them.
const TOGETHER: usize = 5;
/// The demo's token has six decimals.
const DECIMALS: u8 = 6;

/// The buyer's payments.
#[derive(Debug, Serialize, JsonSchema)]
pub struct BuyerPayments {
    pub calls: u64,
    /// In base units of the token.
    pub charged: Amount,
    /// Channels that the calls were paid from.
    pub channels: u64,
    /// Calls whose answers were streamed.
    pub streamed: u64,
}

/// Where the settled amount went.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SettlementFigures {
    /// In base units of the token.
    pub amount: Amount,
    /// Gas of claims, settlement and releases.
    pub gas_used: u64,
    pub gas_per_call: f64,
    /// One-time gas of opening the channels.
    pub deposit_gas: u64,
    /// Gas that one transfer per call would have needed.
    pub gas_one_by_one: u64,
    pub recipients: Vec<PaidRecipient>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct PaidRecipient {
    /// `creator` or `contributors`.
    pub role: &'static str,
    #[schemars(with = "String")]
    pub address: Address,
    /// In base units of the token.
    pub amount: Amount,
}

/// The buyer, in a home of its own.
pub struct DemoBuyer {
    pub program: DemoBinary,
}

/// The results of the buyer's calls.
#[derive(Default)]
pub struct CallLog {
    pub answers: Vec<CallResult>,
    pub streamed: u64,
}

impl DemoBuyer {
    /// Creates the buyer's account on the chain that the creator's commands started.
    pub async fn new(script: &DemoScript<'_>, dir: &Path) -> Result<Self, Failure> {
        let program = script.program.with_home(BUYER);
        program.use_chain(&script.chain(dir).await?.url)?;
        let account = ["wallet", "new", "buyer", "--light-kdf"];
        script.print_command_of(&program, &account);
        let made: CreatedAccount = program.read(dir, &account).await?;
        script.print_line(&format!("  the buyer is {}", made.address));
        Ok(Self { program })
    }

    /// Makes the remaining calls, one every `pace` but no more than a few at a time, some of them
    /// streamed.
    pub async fn call_often(
        &self,
        dir: &Path,
        url: &str,
        adapter: &str,
        posts: &[&str],
        log: &mut CallLog,
        pace: Duration,
    ) -> Result<(), Failure> {
        let (first, began) = (log.answers.len(), Instant::now());
        let calls = (first..CALLS).map(|number| {
            let post = posts[number % posts.len()];
            let mut args = vec!["call", post, "--adapter", adapter, "--url", url];
            // Every fifth call is a chat whose answer is streamed.
            let streams = number % TOGETHER == 0;
            if streams {
                args.extend(["--kind", "chat", "--max-tokens", "8", "--stream"]);
            }
            async move {
                sleep_until(began + pace * (number - first) as u32).await;
                let answer = self.program.read(dir, &args).await?;
                Ok::<_, Failure>((answer, streams))
            }
        });
        let mut answered = stream::iter(calls).buffered(TOGETHER);
        while let Some((answer, streams)) = answered.try_next().await? {
            log.answers.push(answer);
            log.streamed += u64::from(streams);
        }
        Ok(())
    }

    /// How many channels the buyer has.
    async fn channels(&self, dir: &Path) -> Result<u64, Failure> {
        let listed: Vec<IgnoredAny> = self.program.read(dir, &["channel", "list"]).await?;
        Ok(listed.len() as u64)
    }

    /// Sums up the answers.
    pub async fn paid(&self, dir: &Path, log: &CallLog) -> Result<BuyerPayments, Failure> {
        Ok(BuyerPayments {
            calls: log.answers.len() as u64,
            charged: log.answers.iter().map(|it| it.paid).sum(),
            channels: self.channels(dir).await?,
            streamed: log.streamed,
        })
    }
}

/// The settlement of the money according to the journal.
pub fn settled(journal: &Path, calls: u64) -> Result<SettlementFigures, Failure> {
    let mut facts = TradeFacts::default();
    Journal::open_read_only(journal)?.replay(1, |record| facts.apply(&record.event))?;
    let gas_used = facts.gas(&facts.moving);
    let single = facts.gas(&facts.exact);
    let payments = (facts.exact.len() as u64).max(1);
    Ok(SettlementFigures {
        amount: facts.settled,
        gas_used,
        gas_per_call: gas_used as f64 / calls.max(1) as f64,
        deposit_gas: facts.gas(&facts.deposits),
        gas_one_by_one: single / payments * calls,
        recipients: facts.recipients,
    })
}

/// The payment-related events of the journal.
#[derive(Default)]
struct TradeFacts {
    settled: Amount,
    recipients: Vec<PaidRecipient>,
    /// The contributor pools of every splitter.
    pools: BTreeSet<Address>,
    /// Transactions of claims, settlement and releases; of `exact` payments; of deposits.
    moving: Vec<String>,
    exact: Vec<String>,
    deposits: Vec<String>,
    gas: Vec<(String, u64)>,
}

impl TradeFacts {
    fn apply(&mut self, event: &Event) {
        match event {
            Event::SplitRead(split) => {
                let pools = split.parts.iter().filter(|part| !part.members.is_empty());
                self.pools.extend(pools.map(|part| part.recipient));
            }
            Event::Claimed(it) => self.moving.push(it.tx.clone()),
            Event::Settled(it) => {
                self.settled = self.settled.saturating_add(it.amount);
                self.moving.push(it.tx.clone());
            }
            Event::PaymentReceived(it) => {
                self.settled = self.settled.saturating_add(it.amount);
                self.exact.push(it.tx.clone());
            }
            Event::Released(it) => {
                self.moving.push(it.tx.clone());
                let role = match self.pools.contains(&it.recipient) {
                    true => "contributors",
                    false => "creator",
                };
                self.recipients.push(PaidRecipient {
                    role,
                    address: it.recipient,
                    amount: it.amount,
                });
            }
            Event::TransactionIntended(intent)
                if matches!(intent.read_key(), Ok(Some(TxKey::Deposit { .. }))) =>
            {
                self.deposits.push(intent.tx.clone());
            }
            Event::TransactionConfirmed {
                tx,
                gas_used: Some(gas),
                ..
            } => self.gas.push((tx.clone(), *gas)),
            _ => {}
        }
    }

    /// Several claims may name the same transaction, once per receiver.
    fn gas(&self, txs: &[String]) -> u64 {
        let used = self.gas.iter().filter(|(tx, _)| txs.contains(tx));
        used.map(|(_, gas)| gas).sum()
    }
}

impl DemoScript<'_> {
    /// Settles, stops the server, withdraws, and compares the ledger with the chain.
    pub(super) async fn tell_settled(
        &self,
        project: &Path,
        server: DemoServer,
        paid: &BuyerPayments,
    ) -> Result<SettlementFigures, Failure> {
        self.print_command(&["settle"]);
        self.program.run(project, &["settle"]).await?;
        server.stop().await?;
        self.print_command(&["withdraw"]);
        self.program.run(project, &["withdraw"]).await?;
        let settled = settled(&self.program.journal(), paid.calls)?;
        if settled.amount != paid.charged {
            let message = format!(
                "{} was charged and {} was settled",
                paid.charged, settled.amount
            );
            return Err(Failure::new(ExitClass::Verification, message));
        }
        for recipient in &settled.recipients {
            self.print_line(&format!(
                "  {:<12} {} dUSD to {}",
                recipient.role,
                shown_amount(&recipient.amount.to_string(), DECIMALS),
                recipient.address
            ));
        }
        self.print_line(&format!(
            "  {:.0} gas per call to claim, settle and release {} calls, and {:.0} more for opening \
             the channels; one transfer per call would have taken {:.0}",
            settled.gas_per_call,
            paid.calls,
            settled.deposit_gas as f64 / paid.calls.max(1) as f64,
            settled.gas_one_by_one as f64 / paid.calls.max(1) as f64,
        ));
        self.print_command(&["earnings", "--audit"]);
        self.program.run(project, &["earnings", "--audit"]).await?;
        self.print_line("  the ledger and the chain agree to the unit");
        Ok(settled)
    }
}

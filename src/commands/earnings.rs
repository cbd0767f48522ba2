//! `earnings`: shows what was earned, what is pending, and what each recipient is owed.

mod audit;
mod recipients;
mod report;
mod table;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{SystemTime, UNIX_EPOCH},
};

use super::{CommandContext, network};
pub use audit::{AuditRelation, relation_line};
use openlora_chain::network::Network;
use openlora_core::{
    Address, Amount,
    error::{ExitClass, ExitStatus, Failure},
};
use openlora_journal::Journal;
use openlora_ledger::{DayRange, Earnings, PoolAllotment, ReceiverKey, event::SplitRead};
use recipients::RecipientFacts;
pub use report::EarningsReport;

/// The subject of the table's rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EarningsGrouping {
    Day,
    Adapter,
    Payer,
    Contributor,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EarningsRequest {
    pub by: Option<EarningsGrouping>,
    pub csv: bool,
    /// Compare the ledger with the chains.
    pub audit: bool,
}

/// The journal's income and the data needed to display it.
struct IncomeLedger {
    earnings: Earnings,
    /// Allotments of collected calls to the contributors of each pool.
    allotted: BTreeMap<(ReceiverKey, Address), Amount>,
    recipients: RecipientFacts,
    networks: Vec<Network>,
    now_ms: u64,
}

pub async fn run(
    context: &CommandContext,
    request: EarningsRequest,
) -> Result<ExitStatus, Failure> {
    let income = IncomeLedger::read(context)?;
    let printer = &context.printer;
    let rows = request.by.map(|by| table::rows(&income, by));
    if request.csv {
        let rows = rows.unwrap_or_else(|| table::rows(&income, EarningsGrouping::Day));
        printer.piece(&table::csv(&rows)?);
        return Ok(ExitStatus::Success);
    }
    let mut report = report::build_report(context, &income, rows)?;
    let audits = match request.audit {
        true => Some(audit::all(context).await?),
        false => None,
    };
    let holds = audits.as_ref().is_none_or(audit::AuditResults::holds);
    if let Some(audits) = audits {
        report.audit = Some(audits.audited);
        report.audit_problems = Some(audits.problems);
    }
    if printer.is_json() {
        printer.json(&report);
    } else {
        report::print_report(printer, &report);
    }
    Ok(match holds {
        true => ExitStatus::Success,
        false => ExitStatus::Verdict(ExitClass::Verification),
    })
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

impl IncomeLedger {
    fn read(context: &CommandContext) -> Result<Self, Failure> {
        let networks = network::paid_on(context)?;
        let mut income = Self {
            earnings: Earnings::default(),
            allotted: BTreeMap::new(),
            recipients: RecipientFacts::known(context, &networks[0])?,
            networks,
            now_ms: now_ms(),
        };
        let Some(mut journal) = Journal::open_existing(&context.dirs.journal())? else {
            return Ok(income);
        };
        journal.replay(1, |record| {
            income.earnings.apply(record);
            income.recipients.apply(&record.event);
        })?;
        let facts = &income.earnings.facts;
        let pools: BTreeSet<ReceiverKey> =
            facts.splits().values().flat_map(SplitRead::pools).collect();
        if pools.is_empty() {
            return Ok(income);
        }
        let collected = facts.collected();
        let mut allotments: Vec<PoolAllotment> =
            pools.into_iter().map(PoolAllotment::new).collect();
        journal.replay(1, |record| {
            for allotment in &mut allotments {
                allotment.apply(record, &collected);
            }
        })?;
        let each = allotments.iter().flat_map(|allotment| {
            let whole = allotment.whole_units().into_iter();
            whole.map(|(who, sum)| ((allotment.pool, who), sum))
        });
        income.allotted = each.collect();
        Ok(income)
    }

    /// The network of a receiver, if it is configured.
    fn network(&self, receiver: &ReceiverKey) -> Option<&Network> {
        let on = |network: &&Network| network.chain_id == receiver.chain_id;
        self.networks.iter().find(on)
    }

    /// Symbol and decimals of the receiver's token; base units if the token is unknown.
    fn token(&self, receiver: &ReceiverKey) -> (String, u8) {
        let token = self.network(receiver).and_then(|it| it.token.as_ref());
        match token.filter(|token| token.address == receiver.token) {
            Some(token) => (token.symbol.clone(), token.decimals),
            None => (format!("base units of {}", receiver.token), 0),
        }
    }

    fn days(&self, count: u64) -> DayRange {
        DayRange::until(self.now_ms, count)
    }
}

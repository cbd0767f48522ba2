//! Who is paid out of the earnings: the share of this home's accounts, and what the others are owed.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;

use super::IncomeLedger;
use crate::commands::{CommandContext, signer::HomeAccounts};
use openlora_chain::network::Network;
use openlora_core::{Address, Amount, error::Failure};
use openlora_ledger::{
    ChainFacts, DayRange, ReceiverKey,
    event::{Event, SplitPart, SplitRead},
};

/// One account that is paid out of the earnings. Amounts are in base units, over all time.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct RecipientReport {
    #[schemars(with = "String")]
    pub account: Address,
    /// The contributor's name, the role in the split, or the wallet account; null if unknown.
    pub name: Option<String>,
    /// Whether the account is this home's: in its wallet, or the development account that signs or
    /// signed for it.
    pub own: bool,
    /// The contributor pool that pays it, at least in part: `claim` fetches that part. Null if the
    /// splitter pays all of it.
    #[schemars(with = "Option<String>")]
    pub pool: Option<Address>,
    /// Its share of the charges.
    pub earned: Amount,
    /// The part of it that has been collected: at the splitter, or allotted to a contributor.
    pub collected: Amount,
    /// The part of that which was paid out, as far as this journal has it: a contributor may fetch
    /// its part from the pool without this server.
    pub fetched: Amount,
    /// The part of the collected amount that is not paid out yet, as far as this journal has it.
    pub fetchable: Amount,
    /// The command line with which one of this home's accounts fetches its part from the splitters.
    #[serde(skip)]
    pub fetched_by: Option<String>,
}

/// What the journal says of the recipients, besides the sums.
#[derive(Debug, Default)]
pub(super) struct RecipientFacts {
    names: BTreeMap<Address, String>,
    own: HomeAccounts,
}

impl RecipientFacts {
    /// The accounts of this home, and the names in the project file and the wallet.
    pub(super) fn known(context: &CommandContext, home: &Network) -> Result<Self, Failure> {
        let mut facts = Self {
            names: BTreeMap::new(),
            own: HomeAccounts::read(context, home)?,
        };
        for source in &context.settings.sources {
            let account = source.address.as_deref().and_then(|it| it.parse().ok());
            if let Some(account) = account {
                facts.names.insert(account, source.contributor.clone());
            }
        }
        for (account, name) in facts.own.named() {
            let name = || name.to_owned();
            facts.names.entry(account).or_insert_with(name);
        }
        Ok(facts)
    }

    pub(super) fn apply(&mut self, event: &Event) {
        let Event::Attributed(call) = event else {
            return;
        };
        for amount in call.amounts.iter().flatten() {
            if let Some(account) = amount.address {
                let name = || amount.recipient.clone();
                self.names.entry(account).or_insert_with(name);
            }
        }
    }

    pub(super) fn name(&self, account: Address) -> Option<String> {
        self.names.get(&account).cloned()
    }
}

/// The contributor pool of a receiver of which an account is a member.
fn pool_of(facts: &ChainFacts, receiver: ReceiverKey, account: Address) -> Option<Address> {
    let is_member = |part: &&SplitPart| part.members.iter().any(|it| it.account == account);
    let parts = &facts.splits().get(&receiver)?.parts;
    parts.iter().find(is_member).map(|part| part.recipient)
}

/// What a contributor has fetched from the pools of a receiver.
fn claimed(facts: &ChainFacts, receiver: ReceiverKey, account: Address) -> Amount {
    let split = facts.splits().get(&receiver);
    let pools: BTreeSet<ReceiverKey> = split.into_iter().flat_map(SplitRead::pools).collect();
    let claims = facts.contributions_claimed();
    let theirs = claims.filter(|it| it.contributor == account && pools.contains(&it.pool));
    theirs.map(|it| it.amount).sum()
}

/// Everyone who is paid from these receivers of one token: this home's accounts first, then by
/// amount.
pub(super) fn recipients(income: &IncomeLedger, receivers: &[ReceiverKey]) -> Vec<RecipientReport> {
    let mut reports: BTreeMap<Address, RecipientReport> = BTreeMap::new();
    let facts = &income.recipients;
    for receiver in receivers {
        let accruals = income
            .earnings
            .accruals(*receiver, DayRange::ALL, &income.allotted);
        for (account, accrual) in accruals {
            let report = reports.entry(account).or_insert_with(|| RecipientReport {
                account,
                name: facts.name(account),
                own: facts.own.contains(account),
                pool: None,
                earned: Amount::ZERO,
                collected: Amount::ZERO,
                fetched: Amount::ZERO,
                fetchable: Amount::ZERO,
                fetched_by: facts.own.command("withdraw", account),
            });
            let pool = pool_of(&income.earnings.facts, *receiver, account);
            report.pool = pool.or(report.pool);
            let claimed = claimed(&income.earnings.facts, *receiver, account);
            let fetched = accrual.released.saturating_add(claimed);
            report.earned = report.earned.saturating_add(accrual.charged);
            report.collected = report.collected.saturating_add(accrual.settled);
            report.fetched = report.fetched.saturating_add(fetched);
            let fetchable = accrual.settled.saturating_sub(fetched);
            report.fetchable = report.fetchable.saturating_add(fetchable);
        }
    }
    let mut reports: Vec<RecipientReport> = reports.into_values().collect();
    reports.sort_by_key(|it| (!it.own, std::cmp::Reverse(it.earned), it.account));
    reports
}

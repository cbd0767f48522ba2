//! Compares the journal with the chains: every relation between sums, and every difference with its
//! calls.

use schemars::JsonSchema;
use serde::Serialize;

use crate::commands::{CommandContext, money::format_network_sum, network, printer::Printer};
use openlora_chain::{balance::shown_amount, network::Network, provider::Chain};
use openlora_core::{Address, Amount, error::Failure};
use openlora_journal::Journal;
use openlora_ledger::{
    FormerChain,
    findings::{
        AuditFinding, FindingKind, FoundCall, LedgerAudit, LossCause, Severity, SumCheck,
        SumRelation,
    },
    reconcile::reconcile,
    trail::AuditTrail,
};
use openlora_payments::settlement::{audit::gather, check_genesis};

/// How many calls of a finding are printed; `--json` has all of them.
const LISTED: usize = 8;

/// One receiver on one chain.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ReceiverAudit {
    pub network: String,
    pub chain_id: u64,
    #[schemars(with = "String")]
    pub receiver: Address,
    #[schemars(with = "String")]
    pub token: Address,
    pub decimals: u8,
    /// The block at which the chain was read.
    pub block: u64,
    pub checks: Vec<AuditRelation>,
    /// Every loss, difference and note.
    pub findings: Vec<AuditEntry>,
    /// Every check holds, and no finding is a loss or a difference.
    pub ok: bool,
}

/// One relation; sums in base units.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AuditRelation {
    /// For example "received = held + released".
    pub name: String,
    pub left: Amount,
    /// `=` or `≥`.
    pub relation: &'static str,
    pub right: Amount,
    pub ok: bool,
}

/// One loss, difference or note; sums in base units.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AuditEntry {
    pub kind: FindingKind,
    pub severity: Severity,
    /// Why the calls cannot be collected.
    pub cause: Option<LossCause>,
    /// 0x and 64 digits.
    pub channel: Option<String>,
    /// Hash of the transaction concerned.
    pub tx: Option<String>,
    /// The calls that cause it, each with its part.
    pub calls: Vec<FoundCall>,
    pub expected: Amount,
    pub found: Amount,
    /// The same as text.
    pub text: String,
}

/// The audited receivers, and what could not be audited.
#[derive(Debug, Default)]
pub(super) struct AuditResults {
    pub audited: Vec<ReceiverAudit>,
    /// Contradictions within the journal, and chains that are not configured.
    pub problems: Vec<String>,
}

impl AuditResults {
    pub fn holds(&self) -> bool {
        self.problems.is_empty() && self.audited.iter().all(|one| one.ok)
    }
}

/// Reads every chain on which calls are paid.
pub(super) async fn all(context: &CommandContext) -> Result<AuditResults, Failure> {
    let Some(mut journal) = Journal::open_existing(&context.dirs.journal())? else {
        return Ok(AuditResults::default());
    };
    let mut trail = AuditTrail::default();
    journal.replay(1, |record| trail.apply(record))?;
    // A running server may write meanwhile; later records are recognised by this mark.
    trail.begin_reading_the_chain();
    let mut gathered = Vec::new();
    let mut missing = trail.chains();
    for network in network::paid_on(context)? {
        if !missing.remove(&network.chain_id) {
            continue;
        }
        let network = network::reach(context, network).await?;
        let chain = Chain::connect(&network).await?;
        check_genesis(&chain, &trail.state.ledger).await?;
        gathered.push((gather(&chain, &trail, 0).await?, network));
    }
    journal.replay(trail.state.sequence + 1, |record| trail.apply(record))?;
    for gone in &trail.state.ledger.former {
        context.printer.note(former(context, gone));
    }
    let audited = gathered.iter().flat_map(|(evidence, network)| {
        let audits = evidence.iter().map(|it| reconcile(&trail, it));
        audits.map(|audit| audit_report(network, &audit))
    });
    let unaudited = missing.iter().map(|chain| {
        format!(
            "calls were paid on chain {chain}, and neither `project.network` nor `serve.networks` \
             names a network with this chain id: they are not audited"
        )
    });
    Ok(AuditResults {
        audited: audited.collect(),
        problems: trail
            .state
            .ledger
            .breaches
            .iter()
            .cloned()
            .chain(unaudited)
            .collect(),
    })
}

/// A chain that was reset cannot be compared.
fn former(context: &CommandContext, gone: &FormerChain) -> String {
    let genesis = gone
        .genesis
        .map_or_else(String::new, |it| format!(" ({it})"));
    let described = network::described(context);
    let network = described.iter().find(|it| it.chain_id == gone.chain_id);
    let charged = match network {
        Some(network) => format_network_sum(network, gone.charged),
        None => format!("{} base units", gone.charged),
    };
    format!(
        "an earlier chain with id {}{genesis} is gone, with {} channels and {charged} charged",
        gone.chain_id, gone.channels
    )
}

fn audit_report(network: &Network, audit: &LedgerAudit) -> ReceiverAudit {
    let token = network.token.as_ref();
    let known = token.filter(|token| token.address == audit.receiver.token);
    let decimals = known.map_or(0, |token| token.decimals);
    ReceiverAudit {
        network: network.name.clone(),
        chain_id: network.chain_id,
        receiver: audit.receiver.receiver,
        token: audit.receiver.token,
        decimals,
        block: audit.block,
        checks: audit.checks.iter().map(checked).collect(),
        findings: audit
            .findings
            .iter()
            .map(|it| finding_entry(it, decimals))
            .collect(),
        ok: audit.holds(),
    }
}

fn checked(check: &SumCheck) -> AuditRelation {
    AuditRelation {
        name: check.name.to_owned(),
        left: check.left,
        relation: match check.relation {
            SumRelation::Equal => "=",
            SumRelation::AtLeast => "≥",
        },
        right: check.right,
        ok: check.holds(),
    }
}

fn finding_entry(finding: &AuditFinding, decimals: u8) -> AuditEntry {
    AuditEntry {
        kind: finding.kind,
        severity: finding.severity(),
        cause: finding.cause,
        channel: finding.channel.map(|it| it.to_string()),
        tx: finding.tx.clone(),
        calls: finding.calls.clone(),
        expected: finding.expected,
        found: finding.found,
        text: text(finding, decimals),
    }
}

/// A finding as text, with both sums and its place.
fn text(finding: &AuditFinding, decimals: u8) -> String {
    let amount = |amount: Amount| shown_amount(&amount.to_string(), decimals);
    let (expected, sum) = (amount(finding.expected), amount(finding.found));
    let what = match finding.kind {
        FindingKind::Uncollectable => {
            let lost = finding.expected.0.abs_diff(finding.found.0);
            let lost = amount(Amount(lost));
            let why = match finding.cause {
                Some(LossCause::Withdrawn) => "the payer withdrew it before it was claimed",
                Some(LossCause::Refunded) => "it was refunded before it was claimed",
                Some(LossCause::MissingVoucher) => "the journal has no voucher over it",
                Some(LossCause::Refused) => "the escrow refuses the voucher",
                Some(LossCause::AboveBalance) | None => "the channel does not hold it",
            };
            format!("{lost} of {expected} charged cannot be collected: {why}")
        }
        FindingKind::WrittenOff => {
            let lost = amount(Amount(finding.expected.0.abs_diff(finding.found.0)));
            format!("{lost} was not worth the gas of a claim before the payer withdrew it")
        }
        FindingKind::PaymentMissing => {
            format!("an exact payment of {expected} is not on the chain, found {sum}")
        }
        FindingKind::PaymentReused => {
            format!("calls of {expected} were answered for one exact payment of {sum}")
        }
        FindingKind::PaymentDiffers => {
            format!("an exact payment of {expected} is on the chain as {sum} or elsewhere")
        }
        FindingKind::PaymentUnrecorded => {
            format!("an exact call of {expected} was paid {sum}, which the journal does not have")
        }
        FindingKind::ClaimedAboveCharged => {
            format!("{sum} are claimed, and the journal's calls cost {expected}")
        }
        FindingKind::ChargeGap => {
            format!("calls cost {expected} before this one, which begins at {sum}")
        }
        FindingKind::ClaimMissing => format!("a claim of {expected} is not on the chain"),
        FindingKind::ClaimUnrecorded => format!("a claim of {sum} is not in the journal"),
        FindingKind::SettlementMissing => {
            format!("a settlement of {expected} is not on the chain")
        }
        FindingKind::ReleaseMissing => format!("a payout of {expected} is not on the chain"),
        FindingKind::RefundMissing => format!("a refund of {expected} is not on the chain"),
        FindingKind::RefundUnrecorded => format!("a refund of {sum} is not in the journal"),
        FindingKind::PaymentOwed => {
            format!("an exact payment of {expected} was received and no call was charged for it")
        }
        FindingKind::WithdrawalPending => {
            format!("the payer withdraws {sum}, and {expected} are not claimed yet")
        }
        FindingKind::ClaimedByOthers => {
            format!("{sum} were claimed from channels that are not in the journal")
        }
        FindingKind::SettledByOthers => format!("somebody else settled {sum}"),
        FindingKind::ReceivedFromOthers => {
            format!("{sum} arrived that the journal does not explain")
        }
    };
    let detail = match finding.detail.as_str() {
        "" => String::new(),
        detail => format!(" ({detail})"),
    };
    let channel = finding
        .channel
        .map_or(String::new(), |it| format!(", channel {it}"));
    let tx = finding
        .tx
        .as_ref()
        .map_or(String::new(), |it| format!(", transaction {it}"));
    format!("{what}{detail}{channel}{tx}")
}

pub(super) fn print_audits(printer: &Printer, audits: &[ReceiverAudit], problems: &[String]) {
    for one in audits {
        printer.line(format!(
            "audit of {} on {} ({}), block {}",
            one.receiver, one.network, one.chain_id, one.block
        ));
        for check in &one.checks {
            printer.line(relation_line(check, one.decimals));
        }
        for found in &one.findings {
            show_found(printer, found, one.decimals);
        }
    }
    for problem in problems {
        printer.line(format!("  BAD {problem}"));
    }
    if audits.is_empty() && problems.is_empty() {
        printer.line("there is nothing to audit: no call was charged");
    }
}

/// A relation with both sums. A long name pushes the sums to the right.
pub fn relation_line(check: &AuditRelation, decimals: u8) -> String {
    let amount = |amount: Amount| shown_amount(&amount.to_string(), decimals);
    format!(
        "  {:<4}{:<45}  {} {} {}",
        if check.ok { "ok" } else { "BAD" },
        check.name,
        amount(check.left),
        check.relation,
        amount(check.right)
    )
}

fn show_found(printer: &Printer, found: &AuditEntry, decimals: u8) {
    let severity = match found.severity {
        Severity::Loss => "LOSS",
        Severity::Difference => "DIFFERS",
        Severity::Note => "note",
    };
    printer.line(format!("  {severity:<9}{}", found.text));
    for call in found.calls.iter().take(LISTED) {
        let amount = shown_amount(&call.amount.to_string(), decimals);
        printer.line(format!("           call {}  {amount}", call.request_id));
    }
    if let Some(more) = found
        .calls
        .len()
        .checked_sub(LISTED)
        .filter(|more| *more > 0)
    {
        printer.line(format!(
            "           and {more} more calls, listed by --json"
        ));
    }
}

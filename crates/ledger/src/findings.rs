//! The results of an audit: sums, relations between them, and every difference with its calls.

use schemars::JsonSchema;
use serde::Serialize;

use super::ReceiverKey;
use openlora_core::{Amount, Word};

/// The expected relation of two sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SumRelation {
    Equal,
    AtLeast,
}

/// One relation and its two sums.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SumCheck {
    /// For example "received = held + released".
    pub name: &'static str,
    pub left: Amount,
    pub relation: SumRelation,
    pub right: Amount,
}

impl SumCheck {
    pub fn holds(&self) -> bool {
        match self.relation {
            SumRelation::Equal => self.left == self.right,
            SumRelation::AtLeast => self.left >= self.right,
        }
    }
}

/// All sums of one receiver; those of the journal concern its own calls only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFigures {
    /// Signed for and charged for calls, over the journal's channels.
    pub signed: Amount,
    pub charged: Amount,
    /// Charged for refunds.
    pub refund_fees: Amount,
    /// Claimed from these channels according to the chain.
    pub claimed: Amount,
    /// The same according to the journal.
    pub claimed_in_journal: Amount,
    /// Charged and not claimed: covered by vouchers and balances, uncollectable, and written off.
    pub claimable: Amount,
    pub uncollectable: Amount,
    /// Charged, not worth the gas of its claim, and withdrawn by payers.
    pub written_off: Amount,
    /// Claimed for the receiver by all servers.
    pub claimed_by_all: Amount,
    pub settled: Amount,
    /// The settled part that was claimed from the journal's channels.
    pub settled_of_ours: Amount,
    pub released: Amount,
    pub held: Amount,
    /// Every transfer from the receiver.
    pub spent: Amount,
    /// Every transfer to the receiver, by origin.
    pub received: Amount,
    pub from_escrow: Amount,
    pub from_exact: Amount,
    pub from_others: Amount,
    /// Payments of the `exact` scheme in the journal, and the charges of their calls.
    pub exact: Amount,
    pub exact_charged: Amount,
}

impl AuditFigures {
    /// Claimed by other servers of the same receiver.
    pub fn claimed_by_others(&self) -> Amount {
        self.claimed_by_all.saturating_sub(self.claimed)
    }

    /// The settled part of their claims.
    pub fn settled_of_others(&self) -> Amount {
        self.settled.saturating_sub(self.settled_of_ours)
    }
}

/// The kind of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// Charged calls that can never be claimed.
    Uncollectable,
    /// Charged calls that were not worth the gas of their claim before the payer withdrew.
    WrittenOff,
    /// Charged calls whose `exact` transfer is missing on the chain.
    PaymentMissing,
    /// One `exact` payment that was used for several calls.
    PaymentReused,
    /// An `exact` payment with another amount or transaction.
    PaymentDiffers,
    /// An `exact` call whose payment is on the chain but not in the journal.
    PaymentUnrecorded,
    /// More was claimed on the chain than the journal's calls cost.
    ClaimedAboveCharged,
    /// A gap between the calls of a channel: some are not in the journal.
    ChargeGap,
    /// A claim of the journal that is missing on the chain.
    ClaimMissing,
    /// A claim on the chain that is not in the journal.
    ClaimUnrecorded,
    /// A settlement of the journal that is missing on the chain.
    SettlementMissing,
    /// A release of the journal that is missing on the chain.
    ReleaseMissing,
    /// A refund of the journal that is missing on the chain.
    RefundMissing,
    /// A refund on the chain that is not in the journal.
    RefundUnrecorded,
    /// An `exact` payment whose payer has not received a call.
    PaymentOwed,
    /// A payer's withdrawal has started: unclaimed calls are lost when it ends.
    WithdrawalPending,
    /// Claimed for the same receiver from channels that are not in the journal.
    ClaimedByOthers,
    /// A settlement sent by another account.
    SettledByOthers,
    /// Transfers to the receiver that are neither settlements nor payments of the journal.
    ReceivedFromOthers,
}

/// The severity of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Earned money that will not arrive.
    Loss,
    /// The journal and the chain contradict each other.
    Difference,
    /// Explained, and nothing is missing.
    Note,
}

impl FindingKind {
    pub fn severity(self) -> Severity {
        match self {
            Self::Uncollectable | Self::PaymentMissing | Self::PaymentReused => Severity::Loss,
            Self::PaymentDiffers
            | Self::PaymentUnrecorded
            | Self::ClaimedAboveCharged
            | Self::ChargeGap
            | Self::ClaimMissing
            | Self::ClaimUnrecorded
            | Self::SettlementMissing
            | Self::ReleaseMissing
            | Self::RefundMissing
            | Self::RefundUnrecorded => Severity::Difference,
            Self::WrittenOff
            | Self::PaymentOwed
            | Self::WithdrawalPending
            | Self::ClaimedByOthers
            | Self::SettledByOthers
            | Self::ReceivedFromOthers => Severity::Note,
        }
    }
}

/// Why charged calls cannot be claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LossCause {
    /// The payer withdrew the money first.
    Withdrawn,
    /// The money was refunded to the payer first.
    Refunded,
    /// The channel never held this much on this chain.
    AboveBalance,
    /// The journal has no voucher for it.
    MissingVoucher,
    /// The escrow rejects the voucher.
    Refused,
}

/// A call that causes a difference, and its part of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct FoundCall {
    pub request_id: String,
    /// Base units.
    pub amount: Amount,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditFinding {
    pub kind: FindingKind,
    pub cause: Option<LossCause>,
    pub channel: Option<Word>,
    /// The transaction concerned.
    pub tx: Option<String>,
    pub calls: Vec<FoundCall>,
    pub expected: Amount,
    pub found: Amount,
    /// Further details from the chain or the journal; may be empty.
    pub detail: String,
}

impl AuditFinding {
    pub fn new(kind: FindingKind, expected: Amount, found: Amount) -> Self {
        Self {
            kind,
            cause: None,
            channel: None,
            tx: None,
            calls: Vec::new(),
            expected,
            found,
            detail: String::new(),
        }
    }

    pub fn severity(&self) -> Severity {
        self.kind.severity()
    }
}

/// One receiver's audit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerAudit {
    pub receiver: ReceiverKey,
    /// The block at which the chain was read.
    pub block: u64,
    pub figures: AuditFigures,
    pub checks: Vec<SumCheck>,
    pub findings: Vec<AuditFinding>,
}

impl LedgerAudit {
    /// Whether every relation holds, nothing is lost and nothing differs.
    pub fn holds(&self) -> bool {
        let note = |it: &AuditFinding| it.severity() == Severity::Note;
        self.checks.iter().all(SumCheck::holds) && self.findings.iter().all(note)
    }
}

//! What an audit found: sums, relations between them, and every difference with its calls.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Amount, ReceiverKey, Word};

/// What two sums must be to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SumRelation {
    Equal,
    AtLeast,
}

/// One relation, with its numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SumCheck {
    /// Such as "received = held + released".
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

/// All sums of one receiver; those of the journal are about its own calls only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFigures {
    /// Signed for, and charged for calls, over the journal's channels.
    pub signed: Amount,
    pub charged: Amount,
    /// Charged for refunds.
    pub refund_fees: Amount,
    /// Of these channels, as the chain has it.
    pub claimed: Amount,
    /// The same by the journal's facts.
    pub claimed_in_journal: Amount,
    /// Charged and not claimed: covered by vouchers and balances, and beyond reach.
    pub claimable: Amount,
    pub uncollectable: Amount,
    /// Of the receiver, whoever claimed.
    pub claimed_by_all: Amount,
    pub settled: Amount,
    /// Of what was settled, claimed from the journal's channels.
    pub settled_of_ours: Amount,
    pub released: Amount,
    pub held: Amount,
    /// Every transfer from the receiver.
    pub spent: Amount,
    /// Every transfer to the receiver, and where it came from.
    pub received: Amount,
    pub from_escrow: Amount,
    pub from_exact: Amount,
    pub from_others: Amount,
    /// Payments of the `exact` scheme that the journal has, and what its calls cost of them.
    pub exact: Amount,
    pub exact_charged: Amount,
}

impl AuditFigures {
    /// Claimed by other servers of the same receiver.
    pub fn claimed_by_others(&self) -> Amount {
        self.claimed_by_all.saturating_sub(self.claimed)
    }

    /// Settled of what they claimed.
    pub fn settled_of_others(&self) -> Amount {
        self.settled.saturating_sub(self.settled_of_ours)
    }
}

/// What is the matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// Charged calls that can never be claimed.
    Uncollectable,
    /// Charged calls whose `exact` transfer the chain does not have.
    PaymentMissing,
    /// One `exact` payment that several calls were answered for.
    PaymentReused,
    /// An `exact` payment that moved another sum, or in another transaction.
    PaymentDiffers,
    /// An `exact` call whose payment is on the chain and not in the journal.
    PaymentUnrecorded,
    /// The chain has claimed more than the journal's calls cost.
    ClaimedAboveCharged,
    /// Calls of a channel that do not follow each other: some are not in the journal.
    ChargeGap,
    /// A claim of the journal that the chain does not have.
    ClaimMissing,
    /// A claim on the chain that is not in the journal.
    ClaimUnrecorded,
    /// A settlement of the journal that the chain does not have.
    SettlementMissing,
    /// A payout of the splitter by the journal that the chain does not have.
    ReleaseMissing,
    /// A refund of the journal that the chain does not have.
    RefundMissing,
    /// A refund on the chain that is not in the journal.
    RefundUnrecorded,
    /// An `exact` payment that owes its payer a call.
    PaymentOwed,
    /// A payer's withdrawal has begun: unclaimed calls are lost when it ends.
    WithdrawalPending,
    /// Claimed for the same receiver from channels that the journal does not have.
    ClaimedByOthers,
    /// A settlement that somebody else sent.
    SettledByOthers,
    /// Transfers to the receiver that are neither settlements nor payments of the journal.
    ReceivedFromOthers,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Money that was earned and will not arrive.
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
            Self::PaymentOwed
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
    /// The money was given back to the payer first.
    Refunded,
    /// The channel never held so much on this chain.
    AboveBalance,
    /// The journal has no voucher over it.
    MissingVoucher,
    /// The escrow refuses the voucher.
    Refused,
}

/// A call behind a difference, and its part of it.
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
    /// The transaction that it is about.
    pub tx: Option<String>,
    pub calls: Vec<FoundCall>,
    pub expected: Amount,
    pub found: Amount,
    /// What the chain, or the journal, says besides; may be empty.
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
    /// The block at which the chain was asked.
    pub block: u64,
    pub figures: AuditFigures,
    pub checks: Vec<SumCheck>,
    pub findings: Vec<AuditFinding>,
}

impl LedgerAudit {
    /// Every relation holds, nothing is lost, and nothing differs.
    pub fn holds(&self) -> bool {
        let note = |it: &AuditFinding| it.severity() == Severity::Note;
        self.checks.iter().all(SumCheck::holds) && self.findings.iter().all(note)
    }
}

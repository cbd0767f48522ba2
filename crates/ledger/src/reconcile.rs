//! Reconciles the journal with the chain to the base unit. Both are passed in as read; every
//! difference is reported with its calls.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    ChannelKey, ChannelView, ExactKey, ReceiverKey, ReceiverView,
    chain_facts::ExactTransfer,
    findings::{
        AuditFigures, AuditFinding, FindingKind, FoundCall, LedgerAudit, LossCause, SumCheck,
        SumRelation,
    },
    key::channel_on,
    trail::{AuditTrail, ChargedCall, FactPlace},
};
use openlora_core::{Address, Amount, Word};

/// Block and log index, which order the logs.
pub type LogPlace = (u64, u64);

/// A sum in a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedSum {
    pub tx: String,
    pub amount: Amount,
    pub place: LogPlace,
}

/// Money of a channel that was returned to its payer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaidBack {
    pub logged: LoggedSum,
    /// Refunded by the receiver; otherwise withdrawn by the payer.
    pub is_refund: bool,
}

/// A transfer to the receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedTransfer {
    pub from: Address,
    pub logged: LoggedSum,
}

/// A release of a splitter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedRelease {
    pub recipient: Address,
    pub logged: LoggedSum,
}

/// The use of an ERC-3009 authorization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedAuthorization {
    pub payer: Address,
    pub nonce: Word,
    pub tx: String,
}

/// The on-chain history of one channel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChannelEvidence {
    pub view: ChannelView,
    pub claims: Vec<LoggedSum>,
    pub paid_back: Vec<PaidBack>,
    /// Why the escrow would reject a claim of the unclaimed amount.
    pub refused: Option<String>,
}

/// The on-chain history of one receiver at one block, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainEvidence {
    pub receiver: ReceiverKey,
    pub escrow: Address,
    pub view: ReceiverView,
    /// Whether the receiver is a splitter that reports its releases.
    pub is_splitter: bool,
    /// The journal's channels.
    pub channels: BTreeMap<Word, ChannelEvidence>,
    pub settlements: Vec<LoggedSum>,
    pub incoming: Vec<LoggedTransfer>,
    /// Every transfer from the receiver.
    pub spent: Amount,
    pub releases: Vec<LoggedRelease>,
    /// Authorizations used by the payers of the journal's `exact` payments.
    pub authorizations: Vec<LoggedAuthorization>,
}

/// Compares the journal's records of a receiver with the chain's.
pub fn reconcile(trail: &AuditTrail, evidence: &ChainEvidence) -> LedgerAudit {
    let mut bench = Reconciler {
        trail,
        evidence,
        figures: AuditFigures::default(),
        findings: Vec::new(),
        spoken_for: vec![false; evidence.incoming.len()],
    };
    bench.totals();
    for (channel, seen) in &evidence.channels {
        bench.channel(*channel, seen);
    }
    bench.settlements();
    bench.exact();
    bench.others();
    bench.payouts();
    LedgerAudit {
        receiver: evidence.receiver,
        block: evidence.view.block,
        checks: checks(&bench.figures, evidence.is_splitter),
        figures: bench.figures,
        findings: bench.findings,
    }
}

/// The transactions named for one payment of the `exact` scheme.
#[derive(Clone, Copy)]
struct PaymentTransactions<'a> {
    /// In the journal, as the one that settled the payment.
    stated: Option<&'a str>,
    /// On the chain, as the one that used the authorization.
    used: Option<&'a str>,
}

struct Reconciler<'a> {
    trail: &'a AuditTrail,
    evidence: &'a ChainEvidence,
    figures: AuditFigures,
    findings: Vec<AuditFinding>,
    /// Which incoming transfers are already explained.
    spoken_for: Vec<bool>,
}

impl Reconciler<'_> {
    fn totals(&mut self) {
        let (view, figures) = (&self.evidence.view, &mut self.figures);
        figures.claimed_by_all = view.claimed;
        figures.settled = view.settled;
        figures.held = view.held;
        figures.spent = self.evidence.spent;
        figures.released = match self.evidence.is_splitter {
            true => view.released,
            false => self.evidence.spent,
        };
        let incoming = self.evidence.incoming.iter();
        figures.received = incoming.map(|it| it.logged.amount).sum();
    }

    /// Whether an event is newer than the on-chain data that was read.
    fn is_ahead(&self, place: FactPlace) -> bool {
        place.is_late && place.block > self.evidence.view.block
    }

    fn channel(&mut self, channel: Word, seen: &ChannelEvidence) {
        let key = channel_on(self.evidence.receiver, channel);
        let Some(known) = self.trail.state.ledger.channels.get(&key) else {
            return;
        };
        let calls = self.trail.calls.get(&key).map_or(&[][..], Vec::as_slice);
        let charged = self.follow(channel, calls);
        let signed = match known.signature.is_empty() {
            true => Amount::ZERO,
            false => known.authorised.amount(),
        };
        let claimed = seen.view.claimed;
        if claimed > charged {
            self.findings.push(AuditFinding {
                channel: Some(channel),
                ..AuditFinding::new(FindingKind::ClaimedAboveCharged, charged, claimed)
            });
        }
        let deferred = known.deferred;
        let (written_off, lost) = self.lost(channel, calls, signed, deferred, seen);
        let unclaimed = charged.saturating_sub(claimed);
        let claimable = unclaimed.saturating_sub(written_off.saturating_add(lost));
        self.warn_of_withdrawal(channel, claimable, seen);
        self.claims(key, calls, seen);
        self.refunds(key, seen);
        let add = |sum: &mut Amount, more: Amount| *sum = sum.saturating_add(more);
        let figures = &mut self.figures;
        let fees = calls.iter().filter(|it| it.is_refund_fee);
        let fees: Amount = fees.map(|it| it.amount).sum();
        add(&mut figures.charged, charged.saturating_sub(fees));
        add(&mut figures.refund_fees, fees);
        // An amount claimed without a voucher in this journal was signed nevertheless.
        add(&mut figures.signed, signed.max(claimed.min(charged)));
        add(&mut figures.claimed, claimed);
        add(&mut figures.claimable, claimable);
        add(&mut figures.uncollectable, lost);
        add(&mut figures.written_off, written_off);
    }

    /// The total of consecutive calls, each charge added to the previous total.
    fn follow(&mut self, channel: Word, calls: &[ChargedCall]) -> Amount {
        let mut total = Amount::ZERO;
        for call in calls {
            let before = call.cumulative.saturating_sub(call.amount);
            if before != total {
                self.findings.push(AuditFinding {
                    channel: Some(channel),
                    calls: vec![found_call(call, call.amount)],
                    ..AuditFinding::new(FindingKind::ChargeGap, total, before)
                });
            }
            total = call.cumulative;
        }
        total
    }

    /// The charges of calls and refunds that are not covered by a voucher or by the balance: those
    /// that were not worth a claim before the payer withdrew, and the others.
    fn lost(
        &mut self,
        channel: Word,
        calls: &[ChargedCall],
        signed: Amount,
        deferred: Amount,
        seen: &ChannelEvidence,
    ) -> (Amount, Amount) {
        let view = &seen.view;
        let judged = calls.iter().filter(|it| !it.is_late);
        let charged = judged.map(|it| it.cumulative).max().unwrap_or_default();
        let reach = match seen.refused {
            Some(_) => view.claimed,
            None => view.claimed.max(view.balance.min(signed)),
        };
        if charged <= reach {
            return (Amount::ZERO, Amount::ZERO);
        }
        let (cause, last) = cause(charged, signed, seen);
        let mut covered = reach;
        let is_paid_back = matches!(cause, LossCause::Withdrawn | LossCause::Refunded);
        if is_paid_back && deferred > reach {
            covered = deferred.min(charged);
            self.findings.push(AuditFinding {
                channel: Some(channel),
                tx: last.clone(),
                calls: between(calls, reach, covered),
                ..AuditFinding::new(FindingKind::WrittenOff, covered, reach)
            });
        }
        let (written_off, lost) = (
            covered.saturating_sub(reach),
            charged.saturating_sub(covered),
        );
        if lost.is_zero() {
            return (written_off, lost);
        }
        let detail = match (cause, &seen.refused) {
            (LossCause::Refused, Some(reason)) => reason.clone(),
            _ => String::new(),
        };
        self.findings.push(AuditFinding {
            cause: Some(cause),
            channel: Some(channel),
            tx: last,
            calls: between(calls, covered, charged),
            detail,
            ..AuditFinding::new(FindingKind::Uncollectable, charged, covered)
        });
        (written_off, lost)
    }

    fn warn_of_withdrawal(&mut self, channel: Word, claimable: Amount, seen: &ChannelEvidence) {
        let Some(withdrawal) = seen.view.withdrawal.filter(|_| !claimable.is_zero()) else {
            return;
        };
        self.findings.push(AuditFinding {
            channel: Some(channel),
            detail: format!("begun at {} by the chain's clock", withdrawal.started),
            ..AuditFinding::new(FindingKind::WithdrawalPending, claimable, withdrawal.amount)
        });
    }

    /// Matches claims of the journal and of the chain one to one.
    fn claims(&mut self, key: ChannelKey, calls: &[ChargedCall], seen: &ChannelEvidence) {
        let trail = self.trail;
        let mut logged: Vec<&LoggedSum> = seen.claims.iter().collect();
        for fact in trail.claims(key) {
            let same = |it: &&LoggedSum| it.tx == fact.tx && it.amount == fact.amount;
            let ahead = self.is_ahead(fact.place);
            if let Some(at) = logged.iter().position(same) {
                logged.remove(at);
            } else if ahead {
                continue;
            } else {
                let total = fact.of.total;
                let before = total.saturating_sub(fact.amount);
                self.findings.push(AuditFinding {
                    channel: Some(key.channel),
                    tx: Some(fact.tx.to_owned()),
                    calls: between(calls, before, total),
                    ..AuditFinding::new(FindingKind::ClaimMissing, fact.amount, Amount::ZERO)
                });
            }
            self.figures.claimed_in_journal =
                self.figures.claimed_in_journal.saturating_add(fact.amount);
        }
        for log in logged {
            if self.trail.is_in_flight(&log.tx) {
                let sum = &mut self.figures.claimed_in_journal;
                *sum = sum.saturating_add(log.amount);
                continue;
            }
            self.findings.push(AuditFinding {
                channel: Some(key.channel),
                tx: Some(log.tx.clone()),
                ..AuditFinding::new(FindingKind::ClaimUnrecorded, Amount::ZERO, log.amount)
            });
        }
    }

    fn refunds(&mut self, key: ChannelKey, seen: &ChannelEvidence) {
        let refunds = seen.paid_back.iter().filter(|it| it.is_refund);
        let mut logged: Vec<&LoggedSum> = refunds.map(|it| &it.logged).collect();
        let trail = self.trail;
        for fact in trail.refunds(key) {
            let same = |it: &&LoggedSum| it.tx == fact.tx && it.amount == fact.amount;
            match logged.iter().position(same) {
                Some(at) => {
                    logged.remove(at);
                }
                None if self.is_ahead(fact.place) => {}
                None => self.findings.push(AuditFinding {
                    channel: Some(key.channel),
                    tx: Some(fact.tx.to_owned()),
                    ..AuditFinding::new(FindingKind::RefundMissing, fact.amount, Amount::ZERO)
                }),
            }
        }
        for log in logged {
            if !self.trail.is_in_flight(&log.tx) {
                self.findings.push(AuditFinding {
                    channel: Some(key.channel),
                    tx: Some(log.tx.clone()),
                    ..AuditFinding::new(FindingKind::RefundUnrecorded, Amount::ZERO, log.amount)
                });
            }
        }
    }

    /// Matches settlements of the journal and of the chain, and computes this journal's part of
    /// them.
    fn settlements(&mut self) {
        let (trail, evidence) = (self.trail, self.evidence);
        let mut logged: Vec<&LoggedSum> = evidence.settlements.iter().collect();
        for fact in trail.settlements(evidence.receiver) {
            let same = |it: &&LoggedSum| it.tx == fact.tx && it.amount == fact.amount;
            if let Some(at) = logged.iter().position(same) {
                logged.remove(at);
            } else if !self.is_ahead(fact.place) {
                let calls = fact.of.iter().flat_map(|claim| {
                    let calls = trail.calls.get(&claim.channel);
                    let calls = calls.map_or(&[][..], Vec::as_slice);
                    between(calls, claim.total.saturating_sub(claim.amount), claim.total)
                });
                self.findings.push(AuditFinding {
                    tx: Some(fact.tx.to_owned()),
                    calls: calls.collect(),
                    ..AuditFinding::new(FindingKind::SettlementMissing, fact.amount, Amount::ZERO)
                });
            }
        }
        for log in logged {
            if !trail.is_in_flight(&log.tx) {
                self.findings.push(AuditFinding {
                    tx: Some(log.tx.clone()),
                    ..AuditFinding::new(FindingKind::SettledByOthers, Amount::ZERO, log.amount)
                });
            }
        }
        let last = evidence.settlements.iter().map(|it| it.place).max();
        let claims = evidence.channels.values().flat_map(|it| &it.claims);
        let sent = claims.filter(|it| last.is_some_and(|last| it.place < last));
        self.figures.settled_of_ours = sent.map(|it| it.amount).sum();
        for log in &evidence.settlements {
            let found = self.transfer(&log.tx, evidence.escrow, Some(log.amount));
            let sum = &mut self.figures.from_escrow;
            *sum = sum.saturating_add(found.unwrap_or_default());
        }
    }

    /// Takes a transfer that is not explained yet.
    fn transfer(&mut self, tx: &str, from: Address, amount: Option<Amount>) -> Option<Amount> {
        let mut incoming = self.evidence.incoming.iter().enumerate();
        let (at, transfer) = incoming.find(|(at, it)| {
            let fits = it.logged.tx == tx && it.from == from;
            !self.spoken_for[*at] && fits && amount.is_none_or(|sum| it.logged.amount == sum)
        })?;
        self.spoken_for[at] = true;
        Some(transfer.logged.amount)
    }

    /// Checks that every `exact` payment has its own transfer and every `exact` call its own
    /// payment.
    fn exact(&mut self) {
        let (trail, receiver) = (self.trail, self.evidence.receiver);
        let mut keys: BTreeSet<ExactKey> = BTreeSet::new();
        let paid = trail.state.facts.payments.iter().filter(|(_, it)| {
            let transfer = it.transfer.as_ref();
            transfer.is_some_and(|it| it.receiver == receiver)
        });
        keys.extend(paid.map(|(key, _)| *key));
        let called = trail.exact_calls.iter();
        keys.extend(
            called
                .filter(|(_, calls)| calls.iter().any(|it| it.receiver == receiver))
                .map(|(key, _)| *key),
        );
        let authorizations = self.evidence.authorizations.iter();
        let used: BTreeMap<(Address, Word), &str> = authorizations
            .map(|it| ((it.payer, it.nonce), it.tx.as_str()))
            .collect();
        for key in keys {
            let used = used.get(&(key.payer, key.nonce)).copied();
            self.payment(key, used);
        }
    }

    fn payment(&mut self, key: ExactKey, used: Option<&str>) {
        let trail = self.trail;
        let calls = trail.exact_calls.get(&key).map_or(&[][..], Vec::as_slice);
        let income = trail.state.facts.payments.get(&key);
        let payment = income.and_then(|it| it.transfer.as_ref());
        let charged: Amount = calls.iter().map(|it| it.amount).sum();
        self.figures.exact_charged = self.figures.exact_charged.saturating_add(charged);
        let named: Vec<FoundCall> = calls.iter().map(|it| found_call(it, it.amount)).collect();
        let standing = payment.filter(|it| !it.is_undone);
        if let Some(payment) = standing
            && self.is_ahead(trail.place(payment.sequence, payment.block))
        {
            // Taken from the journal; the next audit reads its block.
            for sum in [&mut self.figures.exact, &mut self.figures.from_exact] {
                *sum = sum.saturating_add(payment.amount);
            }
            self.figures.received = self.figures.received.saturating_add(payment.amount);
            self.figures.held = self.figures.held.saturating_add(payment.amount);
            return;
        }
        if standing.is_none() && calls.is_empty() {
            // Reverted by a reorganisation before a call was answered for it.
            return;
        }
        let mut finding = |kind, expected, found, tx: Option<&str>| {
            self.findings.push(AuditFinding {
                tx: tx.map(str::to_owned),
                calls: named.clone(),
                detail: format!("authorization {} of {}", key.nonce, key.payer),
                ..AuditFinding::new(kind, expected, found)
            });
        };
        if calls.len() > 1 {
            let amount = payment.map_or(Amount::ZERO, |it| it.amount);
            finding(FindingKind::PaymentReused, charged, amount, used);
        }
        if calls.is_empty() {
            let amount = payment.map_or(Amount::ZERO, |it| it.amount);
            finding(FindingKind::PaymentOwed, amount, Amount::ZERO, used);
        }
        let expected = payment.map_or(charged, |it| it.amount);
        let stated = standing.map(|it| it.tx.as_str());
        let transactions = PaymentTransactions { stated, used };
        self.moved(key, expected, transactions, &named, payment);
    }

    /// Looks for the transfer of one payment.
    fn moved(
        &mut self,
        key: ExactKey,
        expected: Amount,
        PaymentTransactions { stated, used }: PaymentTransactions<'_>,
        calls: &[FoundCall],
        payment: Option<&ExactTransfer>,
    ) {
        self.figures.exact = self.figures.exact.saturating_add(expected);
        let exactly = used.and_then(|tx| self.transfer(tx, key.payer, Some(expected)));
        let moved = exactly.or_else(|| used.and_then(|tx| self.transfer(tx, key.payer, None)));
        let amount = moved.unwrap_or_default();
        self.figures.from_exact = self.figures.from_exact.saturating_add(amount);
        let kind = match (moved, payment) {
            (None, _) => FindingKind::PaymentMissing,
            (Some(_), None) => FindingKind::PaymentUnrecorded,
            (Some(sum), Some(_)) if sum != expected => FindingKind::PaymentDiffers,
            // If it was mined again in another transaction after a reorganisation, it counts.
            (Some(_), Some(_)) if stated.is_none_or(|tx| Some(tx) == used) => return,
            (Some(_), Some(_)) => FindingKind::PaymentDiffers,
        };
        let elsewhere = match used {
            Some(tx) if stated.is_some_and(|stated| stated != tx) => {
                format!(", used in transaction {tx}")
            }
            Some(_) => String::new(),
            None => ", which the chain has not seen used".to_owned(),
        };
        self.findings.push(AuditFinding {
            tx: stated.or(used).map(str::to_owned),
            calls: calls.to_vec(),
            detail: format!("authorization {} of {}{elsewhere}", key.nonce, key.payer),
            ..AuditFinding::new(kind, expected, amount)
        });
    }

    /// Reports amounts of other servers of the same receiver, or of unknown origin; they are no
    /// income.
    fn others(&mut self) {
        let claimed = self.figures.claimed_by_others();
        if !claimed.is_zero() {
            let settled = self.figures.settled_of_others();
            self.findings.push(AuditFinding {
                detail: format!("{settled} of it is settled"),
                ..AuditFinding::new(FindingKind::ClaimedByOthers, Amount::ZERO, claimed)
            });
        }
        let mut senders: BTreeMap<Address, (Amount, usize, &str)> = BTreeMap::new();
        let incoming = self.evidence.incoming.iter().zip(&self.spoken_for);
        for (transfer, _) in incoming.filter(|(_, spoken_for)| !**spoken_for) {
            let logged = &transfer.logged;
            let sum = senders.entry(transfer.from).or_default();
            *sum = (sum.0.saturating_add(logged.amount), sum.1 + 1, &logged.tx);
        }
        for (from, (amount, count, tx)) in senders {
            self.figures.from_others = self.figures.from_others.saturating_add(amount);
            self.findings.push(AuditFinding {
                tx: Some(tx.to_owned()),
                detail: format!("{count} transfers from {from}, the last in this transaction"),
                ..AuditFinding::new(FindingKind::ReceivedFromOthers, Amount::ZERO, amount)
            });
        }
    }

    fn payouts(&mut self) {
        let (trail, evidence) = (self.trail, self.evidence);
        let mut logged: Vec<&LoggedRelease> = evidence.releases.iter().collect();
        for fact in trail.releases(evidence.receiver) {
            let same = |it: &&LoggedRelease| {
                (it.logged.tx.as_str(), it.recipient, it.logged.amount)
                    == (fact.tx, fact.of, fact.amount)
            };
            match logged.iter().position(same) {
                // Recipients may release their own shares, so the rest is no difference.
                Some(at) => {
                    logged.remove(at);
                }
                None if self.is_ahead(fact.place) => {}
                None => self.findings.push(AuditFinding {
                    tx: Some(fact.tx.to_owned()),
                    detail: format!("to {}", fact.of),
                    ..AuditFinding::new(FindingKind::ReleaseMissing, fact.amount, Amount::ZERO)
                }),
            }
        }
    }
}

fn found_call(call: &ChargedCall, amount: Amount) -> FoundCall {
    FoundCall {
        request_id: call.request_id.clone(),
        amount,
    }
}

/// The calls that raise the channel's total from `low` to `high`, and the part of each.
fn between(calls: &[ChargedCall], low: Amount, high: Amount) -> Vec<FoundCall> {
    let part = |call: &ChargedCall| {
        let before = call.cumulative.saturating_sub(call.amount);
        let part = call.cumulative.min(high).checked_sub(before.max(low))?;
        (!part.is_zero()).then(|| found_call(call, part))
    };
    calls.iter().filter_map(part).collect()
}

/// Why money is uncollectable, and the transaction that moved it.
fn cause(charged: Amount, signed: Amount, seen: &ChannelEvidence) -> (LossCause, Option<String>) {
    if signed < charged.min(seen.view.balance) {
        return (LossCause::MissingVoucher, None);
    }
    if seen.refused.is_some() {
        return (LossCause::Refused, None);
    }
    match seen.paid_back.iter().max_by_key(|it| it.logged.place) {
        Some(last) if last.is_refund => (LossCause::Refunded, Some(last.logged.tx.clone())),
        Some(last) => (LossCause::Withdrawn, Some(last.logged.tx.clone())),
        None => (LossCause::AboveBalance, None),
    }
}

fn checks(it: &AuditFigures, is_splitter: bool) -> Vec<SumCheck> {
    use SumRelation::{AtLeast, Equal};
    let check = |name, left, relation, right| SumCheck {
        name,
        left,
        relation,
        right,
    };
    let sum = |parts: &[Amount]| parts.iter().copied().sum::<Amount>();
    let charged = sum(&[it.charged, it.refund_fees]);
    let covered = sum(&[it.claimed, it.claimable, it.written_off, it.uncollectable]);
    let received = sum(&[it.settled, it.from_exact, it.from_others]);
    let mut checks = vec![
        check(
            "signed ≥ charged + refund fees",
            it.signed,
            AtLeast,
            charged,
        ),
        check(
            "charged + refund fees = claimed + claimable + written off + uncollectable",
            charged,
            Equal,
            covered,
        ),
        check("uncollectable = 0", it.uncollectable, Equal, Amount::ZERO),
        check(
            "claimed on chain = claimed in the journal",
            it.claimed,
            Equal,
            it.claimed_in_journal,
        ),
        check(
            "claimed by all ≥ claimed",
            it.claimed_by_all,
            AtLeast,
            it.claimed,
        ),
        check(
            "claimed by all ≥ settled",
            it.claimed_by_all,
            AtLeast,
            it.settled,
        ),
        check(
            "settled ≥ settled of our claims",
            it.settled,
            AtLeast,
            it.settled_of_ours,
        ),
        check(
            "claimed by others ≥ settled of theirs",
            it.claimed_by_others(),
            AtLeast,
            it.settled_of_others(),
        ),
        check(
            "settled = from the escrow",
            it.settled,
            Equal,
            it.from_escrow,
        ),
        check(
            "exact on chain = exact in the journal",
            it.from_exact,
            Equal,
            it.exact,
        ),
        check(
            "exact on chain ≥ charged of it",
            it.from_exact,
            AtLeast,
            it.exact_charged,
        ),
        check(
            "received = settled + exact + others",
            it.received,
            Equal,
            received,
        ),
        check(
            "received = held + released",
            it.received,
            Equal,
            sum(&[it.held, it.released]),
        ),
    ];
    if is_splitter {
        checks.push(check(
            "released = transfers from the splitter",
            it.released,
            Equal,
            it.spent,
        ));
    }
    checks
}

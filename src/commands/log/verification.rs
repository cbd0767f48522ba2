//! The checks of a proof, which need no network.

use serde::Serialize;

use crate::commands::CommandContext;
use openlora_package::verify::CheckStatus;
use openlora_transparency::{
    CheckpointVerifier, OpenedEntry, SignedCheckpoint, TlogError, TlogProof, verify_consistency,
};

/// The check of a proof.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct LogVerification {
    /// No check failed.
    pub ok: bool,
    pub origin: String,
    pub index: Option<u64>,
    /// The number of entries of the checkpoint's tree.
    pub size: Option<u64>,
    /// What the entry states to everyone.
    pub entry: Option<serde_json::Value>,
    /// The record that the entry commits to, if the proof shows it.
    pub record: Option<serde_json::Value>,
    pub checks: Vec<LogCheck>,
}

/// One check of a proof.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct LogCheck {
    pub name: &'static str,
    pub status: CheckStatus,
    /// Why it failed or was skipped.
    pub reason: Option<String>,
}

pub(super) fn opened(proof: &TlogProof) -> Result<OpenedEntry, TlogError> {
    let extra = proof.extra.as_deref().unwrap_or_default();
    OpenedEntry::from_extra(extra, proof.index)
}

/// The entry of a proof that verifies, and the checkpoint.
pub(in crate::commands) fn proven(
    proof: &TlogProof,
    verifier: &CheckpointVerifier,
) -> Result<ProvenEntry, TlogError> {
    let entry = opened(proof)?;
    let checkpoint = proof.verify(verifier, &entry.bytes)?;
    Ok(ProvenEntry { entry, checkpoint })
}

/// An entry whose proof was checked.
pub(in crate::commands) struct ProvenEntry {
    pub entry: OpenedEntry,
    pub checkpoint: SignedCheckpoint,
}

/// All checks of a proof; those after a failed one are skipped.
pub(super) fn verification(
    text: &str,
    verifier: &CheckpointVerifier,
    kept: Option<&SignedCheckpoint>,
) -> LogVerification {
    let mut report = LogVerification {
        ok: true,
        origin: verifier.origin().to_owned(),
        index: None,
        size: None,
        entry: None,
        record: None,
        checks: Vec::new(),
    };
    let proof = TlogProof::parse(text);
    let Some(proof) = report.note("format", proof) else {
        return report.skip(&["signature", "inclusion", "record", "checkpoint"]);
    };
    report.index = Some(proof.index);
    let checkpoint = verifier.open(proof.checkpoint.as_bytes());
    let Some(checkpoint) = report.note("signature", checkpoint) else {
        return report.skip(&["inclusion", "record", "checkpoint"]);
    };
    report.size = Some(checkpoint.size);
    let found = opened(&proof).and_then(|entry| {
        proof.verify_in(&checkpoint, &entry.bytes)?;
        Ok(entry)
    });
    let Some(entry) = report.note("inclusion", found) else {
        return report.skip(&["record", "checkpoint"]);
    };
    report.entry = serde_json::to_value(&entry.public).ok();
    report.record = entry.record.and_then(|it| serde_json::to_value(it).ok());
    let (status, reason) = match report.record {
        Some(_) => (CheckStatus::Pass, None),
        None => {
            let reason = "the proof shows only what everyone may read";
            (CheckStatus::Skipped, Some(reason.to_owned()))
        }
    };
    report.push("record", status, reason);
    report.compare_kept(&checkpoint, kept);
    report
}

impl LogVerification {
    fn push(&mut self, name: &'static str, status: CheckStatus, reason: Option<String>) {
        self.ok &= status != CheckStatus::Fail;
        self.checks.push(LogCheck {
            name,
            status,
            reason,
        });
    }

    fn note<T>(&mut self, name: &'static str, found: Result<T, TlogError>) -> Option<T> {
        match found {
            Ok(found) => {
                self.push(name, CheckStatus::Pass, None);
                Some(found)
            }
            Err(error) => {
                self.push(name, CheckStatus::Fail, Some(error.to_string()));
                None
            }
        }
    }

    fn skip(mut self, names: &[&'static str]) -> Self {
        for name in names {
            let reason = "an earlier check failed".to_owned();
            self.push(name, CheckStatus::Skipped, Some(reason));
        }
        self
    }

    /// Only trees of the same size can be compared without the log's tiles.
    fn compare_kept(&mut self, found: &SignedCheckpoint, kept: Option<&SignedCheckpoint>) {
        let (status, reason) = match kept {
            None => (
                CheckStatus::Skipped,
                Some("no kept checkpoint was named with --checkpoint".to_owned()),
            ),
            Some(kept) if kept.size != found.size => {
                let reason = format!(
                    "the kept one has {} entries and the proof's {}: `openlora log consistency \
                     FROM TO` compares them",
                    kept.size, found.size
                );
                (CheckStatus::Skipped, Some(reason))
            }
            Some(kept) => match verify_consistency(kept.head(), found.head(), &[]) {
                Ok(()) => (CheckStatus::Pass, None),
                Err(error) => (CheckStatus::Fail, Some(error.to_string())),
            },
        };
        self.push("checkpoint", status, reason);
    }
}

pub(super) fn print_verification(context: &CommandContext, report: &LogVerification) {
    let printer = &context.printer;
    for check in &report.checks {
        let status = match check.status {
            CheckStatus::Pass => "pass",
            CheckStatus::Fail => "FAIL",
            CheckStatus::Skipped => "skipped",
        };
        let reason = check.reason.as_deref().unwrap_or_default();
        printer.line(format!("{status:<8} {:<11} {reason}", check.name).trim_end());
    }
    printer.line(match (report.ok, report.index) {
        (true, Some(index)) => format!("entry {index} is in the log {}", report.origin),
        _ => "this proves nothing".to_owned(),
    });
}

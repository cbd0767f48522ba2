//! A receipt and its server's transparency log: whether the log has exactly this receipt, and whether
//! it still contains what was seen of it before.

use std::{path::Path, time::Duration};

use super::super::{
    CommandContext,
    call::client::ServerClient,
    log::{ProvenEntry, proven},
};
use openlora_core::{
    atomic::{self, FileAccess},
    error::{ExitClass, Failure},
};
use openlora_payments::payer::audit::{ComparisonLine, ComparisonResult};
use openlora_runtime::tile_source::TileSource;
use openlora_serve::{LoggedReceipt, PublishedReceipt, Receipt};
use openlora_transparency::{
    CheckpointVerifier, ProofPlan, SeenCheckpoints, SignedCheckpoint, TlogError, TlogProof,
    verify_consistency,
};

/// How long a log may take to cover a call that was just made.
const LOOKS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(250);

/// The comparisons with the log; none if the server has none.
pub(super) async fn against_log(
    context: &CommandContext,
    receipt: &PublishedReceipt,
    server: Option<&str>,
) -> Vec<ComparisonLine> {
    let stated = match (&receipt.log, server) {
        (Some(logged), _) => Ok(Some(logged.clone())),
        (None, Some(server)) => proof_of(context, server, &receipt.id).await,
        (None, None) => Ok(None),
    };
    let logged = match stated {
        Ok(Some(logged)) => logged,
        Ok(None) => return Vec::new(),
        Err(failure) => {
            let reason = format!("its server cannot be asked for the proof: {failure}");
            return vec![("log", ComparisonResult::Unknown(reason))];
        }
    };
    let found = match included(receipt, &logged) {
        Ok(found) => found,
        Err(reason) => return vec![("log", ComparisonResult::Differs(reason))],
    };
    vec![
        ("log", ComparisonResult::Fits),
        ("checkpoint", history(context, &found, server).await),
    ]
}

/// Writes the proof of a call to a file, if the server's log has exactly the receipt that the server
/// shows.
pub(super) async fn keep_proof(
    context: &CommandContext,
    id: &str,
    server: &str,
    file: &Path,
) -> Result<(), Failure> {
    let none = || {
        let message = format!("{server} has no proof of the call {id}");
        Failure::new(ExitClass::Network, message)
    };
    let logged = proof_of(context, server, id).await?.ok_or_else(none)?;
    let client = ServerClient::new(context, Some(server))?;
    let receipt = client.receipt(id).await?.ok_or_else(none)?;
    let found = included(&receipt, &logged);
    let found = found.map_err(|reason| Failure::new(ExitClass::Verification, reason))?;
    contains(context, &found, server).await?;
    let path = context.settings.working_dir.join(file);
    atomic::replace_file(&path, logged.proof.as_bytes(), FileAccess::Owner)
        .map_err(|error| Failure::io("write", &path, &error))
}

/// The server's proof; it waits for the checkpoint that covers the call. None if the server has no
/// log.
async fn proof_of(
    context: &CommandContext,
    server: &str,
    id: &str,
) -> Result<Option<LoggedReceipt>, Failure> {
    let client = ServerClient::new(context, Some(server))?;
    let source = TileSource::server(server, context.offline)?;
    for _ in 0..LOOKS {
        let Some(receipt) = client.receipt(id).await? else {
            return Ok(None);
        };
        if receipt.log.is_some() {
            return Ok(receipt.log);
        }
        if source.checkpoint_note().await.is_err() {
            return Ok(None);
        }
        tokio::time::sleep(PAUSE).await;
    }
    let message = "no checkpoint of its log covers the call yet";
    Err(Failure::new(ExitClass::Network, message))
}

/// What a proof of a receipt was checked to be.
struct LoggedEntry {
    verifier: CheckpointVerifier,
    checkpoint: SignedCheckpoint,
}

/// Checks that the log has exactly this receipt.
fn included(receipt: &PublishedReceipt, logged: &LoggedReceipt) -> Result<LoggedEntry, String> {
    let said = |error: TlogError| error.to_string();
    let verifier = CheckpointVerifier::parse(&logged.vkey).map_err(said)?;
    let proof = TlogProof::parse(&logged.proof).map_err(said)?;
    let ProvenEntry { entry, checkpoint } = proven(&proof, &verifier).map_err(said)?;
    let record = entry.record.ok_or("the proof shows no record")?;
    let found = Receipt::from_record(&record).ok_or("the proof is of no call")?;
    // These three are added to what was recorded when the receipt is read.
    let stated = PublishedReceipt {
        response_key: receipt.response_key.clone(),
        attribution: receipt.attribution.clone(),
        log: receipt.log.clone(),
        ..found.published()
    };
    match stated == *receipt {
        true => Ok(LoggedEntry {
            verifier,
            checkpoint,
        }),
        false => Err("the log has another receipt of this call".to_owned()),
    }
}

/// Whether the log that the server shows now contains the proof's tree and what was seen before.
async fn history(
    context: &CommandContext,
    found: &LoggedEntry,
    server: Option<&str>,
) -> ComparisonResult {
    let Some(server) = server else {
        let reason = "no server is known here whose log could be compared: name it with --url URL";
        return ComparisonResult::Unknown(reason.to_owned());
    };
    match contains(context, found, server).await {
        Ok(()) => ComparisonResult::Fits,
        Err(failure) if failure.class == ExitClass::Verification => {
            ComparisonResult::Differs(failure.message)
        }
        Err(failure) => ComparisonResult::Unknown(format!("the log cannot be read now: {failure}")),
    }
}

async fn contains(
    context: &CommandContext,
    found: &LoggedEntry,
    server: &str,
) -> Result<(), Failure> {
    let source = TileSource::server(server, context.offline)?;
    let seen = SeenCheckpoints::at(&context.dirs.seen_checkpoints());
    let now = source.checkpoint(&found.verifier).await?;
    // Only a key that the server's log is signed with: a receipt could name any.
    seen.pin(server.trim_end_matches('/'), &found.verifier)?;
    source.accept(&seen, &found.verifier, &now).await?;
    let plan = ProofPlan::Consistency {
        from: found.checkpoint.size,
        size: now.size,
    };
    let hashes = match found.checkpoint.size < now.size {
        true => source.prove(plan, now.size).await?,
        false => Vec::new(),
    };
    Ok(verify_consistency(
        found.checkpoint.head(),
        now.head(),
        &hashes,
    )?)
}

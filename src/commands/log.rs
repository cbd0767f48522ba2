//! `log`: the transparency log of this home or of a server: its head, proofs, and their checks.

mod verification;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::{CommandContext, call::client::ServerClient, named_paths, server_access};
use openlora_core::{
    atomic::{self, FileAccess},
    error::{ExitClass, ExitStatus, Failure},
};
use openlora_journal::{SqliteReader, StoreReader, StoredRow, UniqueKey};
use openlora_runtime::{
    running_server::RunningServer,
    tile_source::TileSource,
    transparency_log::{HomeTransparencyLog, existing_key, existing_view, origin_of},
};
use openlora_transparency::{
    CheckpointVerifier, ProofPlan, SealedEntry, SeenCheckpoints, SignedCheckpoint, TlogError,
    TlogProof, TreeHash, TreeHead, verify_consistency,
};

pub use verification::{LogCheck, LogVerification};
pub(super) use verification::{ProvenEntry, proven};
use verification::{opened, print_verification, verification};

/// Which log is meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogSourceRequest {
    /// A server's address or a folder; this home's own log when absent.
    pub place: Option<String>,
    /// The log's public key, or a file with it.
    pub vkey: Option<String>,
}

/// A log's size and root as signed.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct LogHead {
    /// The log's name.
    pub origin: String,
    /// The public key of its checkpoints, in the form of signed notes.
    pub vkey: String,
    /// The number of entries.
    pub size: u64,
    /// RFC 6962 root, hex.
    pub root: String,
    /// The signed note.
    pub checkpoint: String,
    /// Where the checkpoint was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
}

/// A proof of an entry.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct LogProof {
    pub origin: String,
    pub vkey: String,
    /// From 0.
    pub index: u64,
    /// The number of entries of the checkpoint's tree.
    pub size: u64,
    /// Content of the `.tlog-proof` file.
    pub proof: String,
    /// Where it was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
}

/// A tree's size and root.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct LogTree {
    pub size: u64,
    /// RFC 6962 root, hex.
    pub root: String,
}

/// A proof that one tree is the beginning of another.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct LogConsistency {
    pub origin: String,
    pub from: LogTree,
    pub to: LogTree,
    /// Hashes of the RFC 6962 proof, hex.
    pub proof: Vec<String>,
}

/// The entries of a log.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct LogCount {
    pub origin: String,
    pub entries: u64,
    /// RFC 6962 root, hex; all entries were compared with it.
    pub root: String,
    /// Entries by the kind of their event, as far as it is public.
    pub kinds: BTreeMap<String, u64>,
}

/// A log that was opened, and a checkpoint of it whose signature was checked.
struct OpenLog {
    source: TileSource,
    verifier: CheckpointVerifier,
    checkpoint: SignedCheckpoint,
}

impl OpenLog {
    async fn open(context: &CommandContext, wanted: &LogSourceRequest) -> Result<Self, Failure> {
        match &wanted.place {
            None => Self::own(context).await,
            Some(place) => {
                let verifier = verifier(context, wanted.vkey.as_deref())?;
                Self::other(context, place, verifier).await
            }
        }
    }

    /// This home's log. A running server keeps it up to date; otherwise it is done here.
    async fn own(context: &CommandContext) -> Result<Self, Failure> {
        let dirs = &context.dirs;
        let view = match RunningServer::find(dirs).await? {
            Some(_) => existing_view(dirs)?,
            None => {
                let public = server_access::public_url(context)?;
                let origin = public.as_deref().and_then(origin_of);
                let log = HomeTransparencyLog::open(dirs, origin).await?;
                Some(log.view(dirs)?)
            }
        };
        let path = dirs.transparency_log();
        let view = view.ok_or(TlogError::Missing { path })?;
        Ok(Self {
            checkpoint: view.checkpoint()?,
            source: TileSource::Folder(view.folder),
            verifier: view.verifier,
        })
    }

    /// Another's log, which must still contain what was seen of it before.
    async fn other(
        context: &CommandContext,
        place: &str,
        verifier: CheckpointVerifier,
    ) -> Result<Self, Failure> {
        let source = source(context, place)?;
        let checkpoint = source.checkpoint(&verifier).await?;
        let seen = SeenCheckpoints::at(&context.dirs.seen_checkpoints());
        source.accept(&seen, &verifier, &checkpoint).await?;
        Ok(Self {
            source,
            verifier,
            checkpoint,
        })
    }
}

/// The log at a server's address or in a folder.
pub(super) fn source(context: &CommandContext, place: &str) -> Result<TileSource, Failure> {
    if place.starts_with("http://") || place.starts_with("https://") {
        return TileSource::server(place, context.offline);
    }
    let dir = named_paths::folder(context, Path::new(place), "a transparency log")?;
    Ok(TileSource::folder(&dir))
}

/// The public key that is named, or this home's own.
fn verifier(context: &CommandContext, named: Option<&str>) -> Result<CheckpointVerifier, Failure> {
    let Some(named) = named else {
        let key = existing_key(&context.dirs)?;
        let path = context.dirs.transparency_key();
        let key = key.ok_or(TlogError::NoKey { path })?;
        return Ok(key.verifier()?);
    };
    let path = context.settings.working_dir.join(named);
    let text = match path.is_file() {
        true => std::fs::read_to_string(&path).map_err(|e| Failure::io("read", &path, &e))?,
        false => named.to_owned(),
    };
    CheckpointVerifier::parse(&text).map_err(|error| {
        Failure::from(error).with_hint(
            "receipts state the key as log.vkey and packages as usageLog.vkey: \
             example.com/log+1a2b3c4d+…",
        )
    })
}

/// Shows a log's size and root, and keeps the signed checkpoint in a file.
pub async fn print_head(
    context: &CommandContext,
    wanted: &LogSourceRequest,
    out: Option<&Path>,
) -> Result<ExitStatus, Failure> {
    let log = OpenLog::open(context, wanted).await?;
    let checkpoint = &log.checkpoint;
    let file = write_out(context, out, &checkpoint.note)?;
    let head = LogHead {
        origin: checkpoint.origin.clone(),
        vkey: log.verifier.vkey().to_owned(),
        size: checkpoint.size,
        root: checkpoint.root_hex(),
        checkpoint: checkpoint.note.clone(),
        file,
    };
    let printer = &context.printer;
    if printer.is_json() {
        printer.json(&head);
        return Ok(ExitStatus::Success);
    }
    printer.line(format!("log      {}", head.origin));
    printer.line(format!("entries  {}", head.size));
    printer.line(format!("root     {}", head.root));
    printer.line(format!("key      {}", head.vkey));
    Ok(ExitStatus::Success)
}

fn write_out(
    context: &CommandContext,
    out: Option<&Path>,
    text: &str,
) -> Result<Option<PathBuf>, Failure> {
    let Some(out) = out else { return Ok(None) };
    let path = context.settings.working_dir.join(out);
    // A proof may show what only the parties of a call know.
    atomic::replace_file(&path, text.as_bytes(), FileAccess::Owner)
        .map_err(|error| Failure::io("write", &path, &error))?;
    Ok(Some(path))
}

/// What a proof is asked for.
enum LoggedId {
    /// The number of a record, from 1.
    Record(u64),
    /// SHA-256 of a release's manifest, hex.
    Release(String),
    Call(String),
}

impl LoggedId {
    fn parse(text: &str) -> Self {
        let is_digest = text.len() == 64 && text.chars().all(|it| it.is_ascii_hexdigit());
        match text.parse() {
            Ok(number) => Self::Record(number),
            Err(_) if is_digest => Self::Release(text.to_ascii_lowercase()),
            Err(_) => Self::Call(text.to_owned()),
        }
    }
}

/// Proves that an entry is in a log.
pub async fn prove(
    context: &CommandContext,
    id: &str,
    wanted: &LogSourceRequest,
    sealed: bool,
    out: Option<&Path>,
) -> Result<ExitStatus, Failure> {
    let log = OpenLog::open(context, wanted).await?;
    let proof = match (LoggedId::parse(id), &wanted.place) {
        (LoggedId::Call(id), Some(place)) => proof_of_receipt(context, &log, place, &id).await?,
        (LoggedId::Call(id), None) => own_proof(context, &log, &stored_call(context, &id)?)?,
        (LoggedId::Record(number), Some(_)) => {
            let index = number.checked_sub(1).ok_or_else(|| none_logged(id))?;
            log.source.prove_entry(&log.checkpoint, index).await?
        }
        (LoggedId::Record(number), None) => own_proof(context, &log, &stored(context, number)?)?,
        (LoggedId::Release(digest), _) => {
            let index = log.source.release_index(&log.checkpoint, &digest).await?;
            let index = index.ok_or_else(|| none_logged(id))?;
            log.source.prove_entry(&log.checkpoint, index).await?
        }
    };
    let proof = match sealed {
        true => sealed_proof(proof)?,
        false => proof,
    };
    let text = proof.to_text();
    let file = write_out(context, out, &text)?;
    let printer = &context.printer;
    if printer.is_json() {
        let size = log.verifier.open(proof.checkpoint.as_bytes())?.size;
        printer.json(&LogProof {
            origin: log.verifier.origin().to_owned(),
            vkey: log.verifier.vkey().to_owned(),
            index: proof.index,
            size,
            proof: text,
            file,
        });
    } else if let Some(out) = out {
        printer.line(out.display().to_string());
    } else {
        printer.text(text.trim_end());
    }
    Ok(ExitStatus::Success)
}

/// The proof that a server's receipt carries.
async fn proof_of_receipt(
    context: &CommandContext,
    log: &OpenLog,
    place: &str,
    id: &str,
) -> Result<TlogProof, Failure> {
    if matches!(log.source, TileSource::Folder(_)) {
        let message = format!("the id {id} is in no entry: a folder of tiles does not have it");
        return Err(Failure::new(ExitClass::Usage, message)
            .with_hint("name the call's server with --log URL, or the number of the record"));
    }
    let client = ServerClient::new(context, Some(place))?;
    let receipt = client.receipt(id).await?.ok_or_else(|| none_logged(id))?;
    let logged = receipt.log.ok_or_else(|| {
        let message = format!("no checkpoint covers the call {id} yet");
        Failure::new(ExitClass::Network, message).with_hint("ask again in a second")
    })?;
    let proof = TlogProof::parse(&logged.proof)?;
    let tree = proven(&proof, &log.verifier)?.checkpoint.head();
    // The log may have grown since it was opened; what it shows now must contain the proof's tree.
    let now = OpenLog::other(context, place, log.verifier.clone()).await?;
    consistent(&now, tree, now.checkpoint.head()).await?;
    Ok(proof)
}

/// A proof of a record of this home's journal, with its opening.
fn own_proof(
    context: &CommandContext,
    log: &OpenLog,
    row: &StoredRow,
) -> Result<TlogProof, Failure> {
    let TileSource::Folder(folder) = &log.source else {
        return Err(none_logged(&row.sequence.to_string()));
    };
    let reader = SqliteReader::open(&context.dirs.journal())?;
    let sealed = SealedEntry::from_row(row, reader.salt())?;
    let index = row.sequence.saturating_sub(1);
    Ok(folder.prove_entry(&log.checkpoint, index, Some(sealed.to_extra()))?)
}

fn stored(context: &CommandContext, number: u64) -> Result<StoredRow, Failure> {
    let mut reader = SqliteReader::open(&context.dirs.journal())?;
    let rows = reader.read(number, 1)?;
    let row = rows.into_iter().find(|row| row.sequence == number);
    row.ok_or_else(|| none_logged(&number.to_string()))
}

fn stored_call(context: &CommandContext, id: &str) -> Result<StoredRow, Failure> {
    let mut reader = SqliteReader::open(&context.dirs.journal())?;
    let row = reader.unique(&UniqueKey::new(UniqueKey::METERED, id))?;
    row.ok_or_else(|| none_logged(id))
}

fn none_logged(id: &str) -> Failure {
    Failure::new(ExitClass::Usage, format!("the log has no entry of {id}")).with_hint(
        "name a request id, the number of a record, or the SHA-256 of a release's manifest",
    )
}

/// Leaves out the opening.
fn sealed_proof(proof: TlogProof) -> Result<TlogProof, Failure> {
    let entry = opened(&proof)?.bytes;
    Ok(TlogProof {
        extra: Some(openlora_transparency::entry::sealed_extra(&entry)),
        ..proof
    })
}

/// Proves that a log only grew between two checkpoints.
pub async fn consistency(
    context: &CommandContext,
    from: &str,
    to: &str,
    wanted: &LogSourceRequest,
) -> Result<ExitStatus, Failure> {
    let log = OpenLog::open(context, wanted).await?;
    let head = log.checkpoint.head();
    let from = tree_head(context, &log, from).await?;
    let to = tree_head(context, &log, to).await?;
    if from.size > to.size {
        let message = format!("{} entries are more than {}", from.size, to.size);
        return Err(
            Failure::new(ExitClass::Usage, message).with_hint("name the earlier checkpoint first")
        );
    }
    // What the log signs now must contain the later one, or the tiles at hand prove nothing.
    consistent(&log, to, head).await?;
    let proof = consistent(&log, from, to).await?;
    let tree = |head: TreeHead| LogTree {
        size: head.size,
        root: head.root_hex(),
    };
    let report = LogConsistency {
        origin: log.checkpoint.origin.clone(),
        from: tree(from),
        to: tree(to),
        proof,
    };
    let printer = &context.printer;
    if printer.is_json() {
        printer.json(&report);
        return Ok(ExitStatus::Success);
    }
    printer.line(format!(
        "consistent: the tree of {} entries is the beginning of that of {}",
        from.size, to.size
    ));
    Ok(ExitStatus::Success)
}

async fn consistent(log: &OpenLog, from: TreeHead, to: TreeHead) -> Result<Vec<String>, Failure> {
    let plan = ProofPlan::Consistency {
        from: from.size,
        size: to.size,
    };
    if to.size > log.checkpoint.size {
        return Err(TlogError::RolledBack {
            expected: to.size,
            found: log.checkpoint.size,
        }
        .into());
    }
    let hashes = log.source.prove(plan, log.checkpoint.size).await?;
    verify_consistency(from, to, &hashes)?;
    Ok(hashes.iter().map(|hash| hex::encode(hash.0)).collect())
}

/// The tree of a checkpoint in a file, or of a number of entries.
async fn tree_head(
    context: &CommandContext,
    log: &OpenLog,
    text: &str,
) -> Result<TreeHead, Failure> {
    if let Some(head) = anchored_head(text) {
        return Ok(head);
    }
    let Ok(size) = text.parse() else {
        return Ok(kept_checkpoint(context, Path::new(text), &log.verifier)?.head());
    };
    let root = log
        .source
        .prove(ProofPlan::Root { size }, log.checkpoint.size)
        .await?;
    let root = root.first().copied();
    let root = root.ok_or(TlogError::OutOfRange {
        index: size,
        size: log.checkpoint.size,
    })?;
    Ok(TreeHead { size, root })
}

/// `SIZE:ROOT`, as anchors state it.
fn anchored_head(text: &str) -> Option<TreeHead> {
    let (size, root) = text.split_once(':')?;
    let root: [u8; 32] = hex::decode(root).ok()?.try_into().ok()?;
    Some(TreeHead {
        size: size.parse().ok()?,
        root: TreeHash(root),
    })
}

fn kept_checkpoint(
    context: &CommandContext,
    file: &Path,
    verifier: &CheckpointVerifier,
) -> Result<SignedCheckpoint, Failure> {
    let path = named_paths::file(context, file, "a signed checkpoint")?;
    let note = std::fs::read(&path).map_err(|error| Failure::io("read", &path, &error))?;
    Ok(verifier.open(&note)?)
}

/// Checks a proof without a network.
pub fn verify(
    context: &CommandContext,
    proof: &Path,
    vkey: Option<&str>,
    checkpoint: Option<&Path>,
) -> Result<ExitStatus, Failure> {
    let verifier = verifier(context, vkey)?;
    let path = named_paths::file(context, proof, "a .tlog-proof file")?;
    let bytes = std::fs::read(&path).map_err(|error| Failure::io("read", &path, &error))?;
    let kept = match checkpoint {
        Some(file) => Some(kept_checkpoint(context, file, &verifier)?),
        None => None,
    };
    let report = verification(&String::from_utf8_lossy(&bytes), &verifier, kept.as_ref());
    let printer = &context.printer;
    if printer.is_json() {
        printer.json(&report);
    } else {
        print_verification(context, &report);
    }
    Ok(match report.ok {
        true => ExitStatus::Success,
        false => ExitStatus::Verdict(ExitClass::Verification),
    })
}

/// Reads all entries, compares them with the signed root and counts them.
pub async fn count(
    context: &CommandContext,
    wanted: &LogSourceRequest,
) -> Result<ExitStatus, Failure> {
    let log = OpenLog::open(context, wanted).await?;
    let mut kinds: BTreeMap<String, u64> = BTreeMap::new();
    log.source
        .walk(&log.checkpoint, |_, entry| {
            *kinds.entry(entry.kind.clone()).or_default() += 1;
        })
        .await?;
    let count = LogCount {
        origin: log.checkpoint.origin.clone(),
        entries: log.checkpoint.size,
        root: log.checkpoint.root_hex(),
        kinds,
    };
    let printer = &context.printer;
    if printer.is_json() {
        printer.json(&count);
        return Ok(ExitStatus::Success);
    }
    printer.line(format!(
        "{:>10}  entries in {}",
        count.entries, count.origin
    ));
    for (kind, entries) in &count.kinds {
        printer.line(format!("{entries:>10}  {kind}"));
    }
    Ok(ExitStatus::Success)
}

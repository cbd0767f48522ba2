//! Reads a transparency log: a server's, or a copy of its folder. Nothing that it says is believed:
//! every answer is compared with a signed checkpoint.

use std::{path::Path, time::Duration};

use super::published_log::{fetch_file, server_root};
use openlora_core::{
    error::{ExitClass, Failure},
    private::redact,
};
use openlora_transparency::{
    CheckpointVerifier, OpenedEntry, ProofPlan, PublicEntry, SeenCheckpoints, SignedCheckpoint,
    TileFolder, TileHashes, TilePath, TlogError, TlogProof, TreeHash, bundle_of, entries_of_bundle,
    entry, record_hash,
};

/// Timeouts for connecting, for the next chunk, and for a whole file.
const CONNECT: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_secs(15);
const PATIENCE: Duration = Duration::from_secs(120);

/// Largest file of a log, in bytes: a bundle of the largest entries.
const LARGEST: usize = 17 << 20;

/// Largest answer about the place of a release.
const LARGEST_PLACE: usize = 64;

/// Entries of a full bundle.
const BUNDLE: u64 = 256;

/// The location of a transparency log.
pub enum TileSource {
    Folder(TileFolder),
    Server {
        url: String,
        client: reqwest::Client,
    },
}

impl TileSource {
    pub fn folder(dir: &Path) -> Self {
        Self::Folder(TileFolder::at(dir))
    }

    /// The log of the server at an address.
    ///
    /// # Errors
    ///
    /// The text is no address, or `offline` forbids to reach it.
    pub fn server(address: &str, offline: bool) -> Result<Self, Failure> {
        let url = reqwest::Url::parse(address).ok();
        let url = url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let url = url.ok_or_else(|| {
            let message = format!("{} is no http address", redact::address(address));
            Failure::new(ExitClass::Usage, message)
        })?;
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let ip: Option<std::net::IpAddr> = host.parse().ok();
        let local = host == "localhost" || ip.is_some_and(|ip| ip.is_loopback());
        if offline && !local {
            let message = format!("{} is not on this machine", redact::address(address));
            return Err(Failure::new(ExitClass::Network, message).with_hint("leave --offline out"));
        }
        let mut client = reqwest::Client::builder()
            .connect_timeout(CONNECT)
            .read_timeout(PAUSE)
            .timeout(PATIENCE);
        if local {
            client = client.no_proxy();
        }
        let client = client.build().map_err(|error| {
            let message = format!("cannot make an HTTP client: {error}");
            Failure::new(ExitClass::Internal, message)
        })?;
        let root = server_root(url);
        Ok(Self::Server {
            url: root.as_str().trim_end_matches('/').to_owned(),
            client,
        })
    }

    /// The log's checkpoint, signed by this key.
    ///
    /// # Errors
    ///
    /// There is none, or it is not signed by the key.
    pub async fn checkpoint(
        &self,
        verifier: &CheckpointVerifier,
    ) -> Result<SignedCheckpoint, Failure> {
        Ok(verifier.open(&self.checkpoint_note().await?)?)
    }

    /// The bytes of the checkpoint, unchecked.
    ///
    /// # Errors
    ///
    /// There is none.
    pub async fn checkpoint_note(&self) -> Result<Vec<u8>, Failure> {
        let note = match self {
            Self::Folder(folder) => folder.checkpoint_note()?,
            Self::Server { url, client } => {
                fetch_file(client, &format!("{url}/log/checkpoint"), LARGEST).await?
            }
        };
        note.ok_or_else(|| self.missing("has no transparency log"))
    }

    fn missing(&self, problem: &str) -> Failure {
        let (place, class) = match self {
            Self::Folder(folder) => (folder.dir().display().to_string(), ExitClass::BadInput),
            Self::Server { url, .. } => (redact::address(url), ExitClass::Network),
        };
        Failure::new(class, format!("{place} {problem}"))
    }

    async fn tile(&self, path: TilePath) -> Result<Vec<u8>, Failure> {
        let found = match self {
            Self::Folder(folder) => folder.tile(path)?,
            Self::Server { url, client } => {
                fetch_file(client, &format!("{url}/log/{path}"), LARGEST).await?
            }
        };
        found.ok_or_else(|| self.missing(&format!("has no {path}")))
    }

    /// The index of the entry by which a release was logged, if the tree has one; `manifest` is the
    /// SHA-256 of its manifest in hex. Where the log says where it is, only that entry is read and
    /// proven; otherwise all are.
    ///
    /// # Errors
    ///
    /// The log cannot be read, or its entries are not those of the root.
    pub async fn release_index(
        &self,
        checkpoint: &SignedCheckpoint,
        manifest: &str,
    ) -> Result<Option<u64>, Failure> {
        let is_release = |entry: &PublicEntry| {
            let stated = entry.facts.get("manifest_sha256");
            stated.and_then(|it| it.as_str()) == Some(manifest)
        };
        let hint = self.release_place(manifest).await?;
        if let Some(index) = hint.filter(|index| *index < checkpoint.size) {
            let proof = self.prove_entry(checkpoint, index).await?;
            let extra = proof.extra.unwrap_or_default();
            if is_release(&OpenedEntry::from_extra(&extra, index)?.public) {
                return Ok(Some(index));
            }
        }
        let mut found = None;
        let visit = |index, entry: &PublicEntry| {
            if found.is_none() && is_release(entry) {
                found = Some(index);
            }
        };
        self.walk(checkpoint, visit).await?;
        Ok(found)
    }

    /// Where the log says that it has a release, unchecked.
    async fn release_place(&self, manifest: &str) -> Result<Option<u64>, Failure> {
        match self {
            Self::Folder(folder) => Ok(folder.release_place(manifest)?),
            Self::Server { url, client } => {
                let file = format!("{url}/log/release/{manifest}");
                // Servers of earlier versions do not say it.
                let bytes = fetch_file(client, &file, LARGEST_PLACE).await?;
                let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
                Ok(text.and_then(|text| text.parse().ok()))
            }
        }
    }

    /// The hashes of a proof, unchecked.
    ///
    /// # Errors
    ///
    /// The tree has no such entry or beginning, or a tile cannot be read.
    pub async fn prove(&self, plan: ProofPlan, tree: u64) -> Result<Vec<TreeHash>, Failure> {
        let mut tiles = TileHashes {
            size: tree,
            ..TileHashes::default()
        };
        for path in plan.tiles(tree)? {
            let bytes = self.tile(path).await?;
            tiles.tiles.insert(path, bytes);
        }
        Ok(plan.prove(&tiles)?)
    }

    /// Accepts a log's checkpoint if it contains the last one that was seen of that log.
    ///
    /// # Errors
    ///
    /// The log shows another history than before, or cannot be read.
    pub async fn accept(
        &self,
        seen: &SeenCheckpoints,
        verifier: &CheckpointVerifier,
        checkpoint: &SignedCheckpoint,
    ) -> Result<(), Failure> {
        let last = seen.last(verifier)?;
        let from = last.map_or(0, |last| last.size);
        let size = checkpoint.size;
        let hashes = match from > 0 && from < size {
            true => {
                self.prove(ProofPlan::Consistency { from, size }, size)
                    .await?
            }
            false => Vec::new(),
        };
        Ok(seen.accept(verifier, checkpoint, &hashes)?)
    }

    /// Proves an entry of a checkpoint's tree, and checks the proof.
    ///
    /// # Errors
    ///
    /// The tree has no such entry, or the log's tiles do not lead to the root that was signed.
    pub async fn prove_entry(
        &self,
        checkpoint: &SignedCheckpoint,
        index: u64,
    ) -> Result<TlogProof, Failure> {
        let size = checkpoint.size;
        if index >= size {
            return Err(TlogError::OutOfRange { index, size }.into());
        }
        let path = bundle_of(index, size);
        let mut entries = entries_of_bundle(path, &self.tile(path).await?)?;
        let bytes = entries.swap_remove((index % BUNDLE) as usize);
        let proof = TlogProof {
            extra: Some(entry::sealed_extra(&bytes)),
            index,
            hashes: self
                .prove(ProofPlan::Inclusion { index, size }, size)
                .await?,
            checkpoint: checkpoint.note.clone(),
        };
        proof.verify_in(checkpoint, &bytes)?;
        Ok(proof)
    }

    /// Passes every entry of a checkpoint's tree to `visit`, and then compares all of them with the
    /// root.
    ///
    /// # Errors
    ///
    /// The log cannot be read, or its entries are not those of the root.
    pub async fn walk(
        &self,
        checkpoint: &SignedCheckpoint,
        mut visit: impl FnMut(u64, &PublicEntry),
    ) -> Result<(), Failure> {
        let size = checkpoint.size;
        let mut root = RootFold::default();
        let mut index = 0;
        while index < size {
            let path = bundle_of(index, size);
            for bytes in entries_of_bundle(path, &self.tile(path).await?)? {
                root.push(record_hash(&bytes));
                visit(index, &PublicEntry::parse(&bytes)?);
                index += 1;
            }
        }
        match root.finish() == checkpoint.root {
            true => Ok(()),
            false => Err(TlogError::DamagedTile {
                name: "an entry".to_owned(),
                detail: "the entries do not lead to the root that was signed".to_owned(),
            }
            .into()),
        }
    }
}

/// The root of a tree from its leaves, one after the other.
#[derive(Default)]
struct RootFold {
    /// Perfect subtrees with the number of their leaves, largest first.
    subtrees: Vec<FoldedSubtree>,
}

struct FoldedSubtree {
    leaves: u64,
    hash: TreeHash,
}

impl RootFold {
    fn push(&mut self, leaf: TreeHash) {
        let mut last = FoldedSubtree {
            leaves: 1,
            hash: leaf,
        };
        while let Some(left) = self.subtrees.pop_if(|left| left.leaves == last.leaves) {
            last = FoldedSubtree {
                leaves: 2 * last.leaves,
                hash: openlora_transparency::node_hash(left.hash, last.hash),
            };
        }
        self.subtrees.push(last);
    }

    fn finish(self) -> TreeHash {
        let mut from_right = self.subtrees.into_iter().rev().map(|it| it.hash);
        let last = from_right
            .next()
            .unwrap_or(openlora_transparency::EMPTY_HASH);
        from_right.fold(last, |right, left| {
            openlora_transparency::node_hash(left, right)
        })
    }
}

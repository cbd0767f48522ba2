//! Reads a published log: a server's, or a copy of its folder. Its content is not trusted: code
//! that uses a file compares its root with the chain's.

use std::{path::Path, time::Duration};

use serde::de::DeserializeOwned;

use openlora_attribution::LogFolder;
use openlora_core::{
    Word,
    error::{ExitClass, Failure, describe_decoding},
    private::redact,
};
use openlora_ledger::{
    ReceiverKey,
    publication::{
        AnchoredBatch, CATALOGUE, FORMAT, LogCatalogue, PoolContributions, batch_file,
        contributions_file, earlier_contributions_file,
    },
};

/// Timeouts for connecting, for the next chunk, and for a whole file.
const CONNECT: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_secs(15);
const PATIENCE: Duration = Duration::from_secs(120);

/// Largest file of a log, in bytes.
const LARGEST: usize = 256 << 20;

/// The location of a log.
pub enum LogSource {
    Folder(LogFolder),
    Server {
        url: String,
        client: reqwest::Client,
    },
}

impl LogSource {
    /// Whether a text is a server's URL, and not a folder.
    pub fn is_address(text: &str) -> bool {
        text.starts_with("http://") || text.starts_with("https://")
    }

    /// A server's URL or a folder below `working_dir`. With `offline`, a server must be on this
    /// machine.
    pub fn open(text: &str, working_dir: &Path, offline: bool) -> Result<Self, Failure> {
        if !Self::is_address(text) {
            let dir = working_dir.join(text);
            if !dir.join(CATALOGUE).is_file() {
                let message = format!("{} has no {CATALOGUE}", dir.display());
                return Err(Failure::new(ExitClass::BadInput, message)
                    .with_hint("name a server's address, or a copy of its log's folder"));
            }
            return Ok(Self::Folder(LogFolder::at(&dir)));
        }
        let local = reqwest::Url::parse(text).ok().is_some_and(|url| {
            let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
            host == "localhost"
                || host
                    .parse()
                    .is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
        });
        if offline && !local {
            let message = format!("{text} is not on this machine");
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
        let root = text.trim_end_matches('/');
        Ok(Self::Server {
            url: root.strip_suffix("/v1").unwrap_or(root).to_owned(),
            client,
        })
    }

    pub async fn catalogue(&self) -> Result<LogCatalogue, Failure> {
        Ok(self.read(CATALOGUE).await?.unwrap_or_default())
    }

    pub async fn batch(&self, root: Word) -> Result<Option<AnchoredBatch>, Failure> {
        let name = batch_file(root);
        let found: Option<AnchoredBatch> = self.read(&name).await?;
        check(found.as_ref().map(|it| it.format), &name)?;
        Ok(found)
    }

    /// The contributions of a pool under a root; of whichever pool, in logs of earlier versions,
    /// which do not name the pools.
    pub async fn contributions(
        &self,
        root: Word,
        pool: Option<ReceiverKey>,
    ) -> Result<Option<PoolContributions>, Failure> {
        let named = pool.map(|pool| contributions_file(root, pool));
        for name in named.into_iter().chain([earlier_contributions_file(root)]) {
            let found: Option<PoolContributions> = self.read(&name).await?;
            check(found.as_ref().map(|it| it.format), &name)?;
            let found = found.filter(|found| pool.is_none_or(|pool| found.pool == pool));
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// None if the log has no such file.
    async fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Failure> {
        let bytes = match self {
            Self::Folder(folder) => folder.read(name),
            Self::Server { url, client } => {
                fetch_file(client, &format!("{url}/attribution-log/{name}"), LARGEST).await?
            }
        };
        let Some(bytes) = bytes else { return Ok(None) };
        let read = serde_json::from_slice(&bytes);
        read.map(Some).map_err(|error| {
            let message = format!(
                "{name} of the log cannot be read: {}",
                describe_decoding(&error)
            );
            Failure::new(ExitClass::BadInput, message)
        })
    }
}

/// A file of a server's log, of at most `largest` bytes; none if the server has no such file.
pub(super) async fn fetch_file(
    client: &reqwest::Client,
    url: &str,
    largest: usize,
) -> Result<Option<Vec<u8>>, Failure> {
    let shown = redact::address(url);
    let broken = |error: reqwest::Error| {
        let error = error.without_url();
        Failure::new(ExitClass::Network, format!("{shown} broke off: {error}"))
            .with_hint("is the server up? a copy of its log's folder does as well")
    };
    let mut answer = client.get(url).send().await.map_err(broken)?;
    if answer.status() == reqwest::StatusCode::NOT_FOUND {
        return Ok(None);
    }
    if !answer.status().is_success() {
        let message = format!("{shown} answers {}", answer.status());
        return Err(Failure::new(ExitClass::Network, message));
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(broken)? {
        if bytes.len() + chunk.len() > largest {
            let message = format!("{shown} is larger than {largest} bytes");
            return Err(Failure::new(ExitClass::BadInput, message));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Some(bytes))
}

fn check(format: Option<u32>, name: &str) -> Result<(), Failure> {
    match format.filter(|format| *format != FORMAT) {
        None => Ok(()),
        Some(found) => {
            let message = format!("{name} of the log has format {found}, expected {FORMAT}");
            Err(Failure::new(ExitClass::BadInput, message))
        }
    }
}

/// The server's address in the address of its API, which is what OpenAI clients call the base URL.
pub fn server_root(mut url: reqwest::Url) -> reqwest::Url {
    let path = format!("{}/", url.path().trim_end_matches('/'));
    if let Some((root, _)) = path.split_once("/v1/") {
        url.set_path(root);
    }
    url
}

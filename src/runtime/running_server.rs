//! The server that runs in a home, found by its announcement and asked to settle: only it writes the
//! journal and holds the account.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use reqwest::{Client, header::AUTHORIZATION, redirect::Policy};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{access_tokens::read_token, home::AppDirs};
use openlora_chain::network::Network;
use openlora_core::{
    atomic::{self, FileAccess},
    error::{ExitClass, Failure, describe_decoding},
};
use openlora_journal::writer_of;
use openlora_ledger::event::Event;
use openlora_ports::FactLog;
use openlora_serve::{CHALLENGE, LoadOutcome, access::AccessToken};

/// What is said of a request that got no answer.
pub const SILENT: &str = "no answer in time";

/// Timeout of a health check.
const ALIVE: Duration = Duration::from_secs(2);

/// A running server of this home.
pub struct RunningServer {
    url: String,
    chains: Option<Vec<u64>>,
    client: Client,
    token: AccessToken,
}

/// An HTTP client that sends a token. It uses no proxy and follows no redirect, so that the token
/// reaches only the given address.
pub fn operator_client() -> Result<Client, Failure> {
    let builder = Client::builder().no_proxy().redirect(Policy::none());
    builder.connect_timeout(ALIVE).build().map_err(|error| {
        let message = format!("cannot make an HTTP client: {error}");
        Failure::new(ExitClass::Internal, message)
    })
}

/// The party that answers at an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AddressHolder {
    /// No openlora server; what was found instead.
    Nobody(String),
    /// The server that has the token.
    Server,
    /// Another program, which must not receive the token.
    Stranger,
}

/// The origin of the token that a server must prove to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenOwner {
    /// This home's token: its server is on this machine and is reached directly.
    Own,
    /// A token given together with its server, which may be behind a tunnel or a proxy.
    Named,
}

/// Asks the server at `url` to prove that it has the token.
pub async fn holder(
    client: &Client,
    url: &str,
    token: &AccessToken,
    whose: TokenOwner,
) -> AddressHolder {
    let challenge = hex::encode(rand::random::<[u8; 32]>());
    let asked = client.get(format!("{url}/health"));
    let asked = asked.header(CHALLENGE, &challenge).timeout(ALIVE);
    let answer = match asked.send().await {
        Ok(answer) if answer.status().is_success() => answer,
        Ok(answer) => return AddressHolder::Nobody(answer.status().to_string()),
        Err(error) => return AddressHolder::Nobody(cause_of(&error)),
    };
    let there = answer.remote_addr();
    let health: Value = answer.json().await.unwrap_or_default();
    if health["status"] != "alive" {
        return AddressHolder::Nobody("the answer of another program".to_owned());
    }
    let proof = |name: &str| health[name].as_str().unwrap_or_default();
    let proven = match (whose, there) {
        (TokenOwner::Named, _) => token.proves(&challenge, proof("proof")),
        (TokenOwner::Own, Some(there)) => token.proves_at(&challenge, there, proof("proof_here")),
        (TokenOwner::Own, None) => false,
    };
    match proven {
        true => AddressHolder::Server,
        false => AddressHolder::Stranger,
    }
}

/// Why a request got no answer, without its address.
pub fn cause_of(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return SILENT.to_owned();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// The error for a server of this home that cannot be authenticated.
fn tokenless(url: &str, file: &Path, found: &str) -> Failure {
    let message = format!(
        "the server at {url} does not have this operator token: {} {found}",
        file.display()
    );
    Failure::new(ExitClass::Environment, message).with_hint(
        "restart the server: it takes the token in the file, or makes a new one where the file was \
         removed",
    )
}

/// What a server answers that was asked to serve an adapter.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct LoadAnswer {
    pub digest: String,
    pub outcome: LoadOutcome,
}

/// The file that announces a running server.
pub struct PidFile(PathBuf);

#[derive(Serialize, Deserialize)]
struct PidRecord {
    url: String,
    /// Chains on which calls are paid; absent from files of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    chains: Option<Vec<u64>>,
    /// The server's process id; absent from files of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pid: Option<u32>,
}

impl PidRecord {
    /// Whether the file certainly belongs to a running server: its process is alive and was the
    /// last to open the journal.
    fn is_live(&self, dirs: &AppDirs) -> bool {
        self.pid
            .is_some_and(|pid| writer_of(&dirs.journal()) == Some(pid) && runs(pid))
    }
}

impl PidFile {
    pub fn put_up(dirs: &AppDirs, url: &str, chains: Vec<u64>) -> Result<Self, Failure> {
        let path = dirs.server_announcement();
        let place = PidRecord {
            url: url.to_owned(),
            chains: Some(chains),
            pid: Some(std::process::id()),
        };
        let text = json!(place).to_string();
        atomic::replace_file(&path, text.as_bytes(), FileAccess::Owner)
            .map_err(|error| Failure::io("write", &path, &error))?;
        Ok(Self(path))
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        // A file that cannot be removed is recognised as stale.
        let _ = std::fs::remove_file(&self.0);
    }
}

impl RunningServer {
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The server that answers at the announced address. A stale file is ignored, whichever program
    /// uses its port now.
    ///
    /// # Errors
    ///
    /// The server is running, but the token at hand is not its own.
    pub async fn find(dirs: &AppDirs) -> Result<Option<Self>, Failure> {
        let path = dirs.server_announcement();
        let Ok(text) = std::fs::read_to_string(&path) else {
            return Ok(None);
        };
        let Ok(place) = serde_json::from_str::<PidRecord>(&text) else {
            return Ok(None);
        };
        let client = operator_client()?;
        let file = dirs.operator_token();
        if !file.exists() {
            // A server that cannot prove itself is not asked. A running server of an earlier
            // version holds the journal, and the caller receives an error.
            return match place.is_live(dirs) {
                true => Err(tokenless(&place.url, &file, "is not there")),
                false => Ok(None),
            };
        }
        let token = read_token(&file)?;
        match holder(&client, &place.url, &token, TokenOwner::Own).await {
            AddressHolder::Server => Ok(Some(Self {
                url: place.url,
                chains: place.chains,
                client,
                token,
            })),
            AddressHolder::Stranger if place.is_live(dirs) => {
                Err(tokenless(&place.url, &file, "is another"))
            }
            AddressHolder::Stranger | AddressHolder::Nobody(_) => Ok(None),
        }
    }

    /// Whether the server accepts payments on a chain; a server of an earlier version may.
    pub fn is_on(&self, chain_id: u64) -> bool {
        let chains = self.chains.as_ref();
        chains.is_none_or(|chains| chains.contains(&chain_id))
    }

    /// Whether calls are free there; those of a server of an earlier version may be.
    pub fn is_free(&self) -> bool {
        self.chains.as_ref().is_some_and(Vec::is_empty)
    }

    /// Has the server serve an adapter of this machine under a name.
    ///
    /// # Errors
    ///
    /// The server cannot be reached, or cannot serve the adapter; then it goes on as before.
    pub async fn load_adapter(&self, name: &str, path: &Path) -> Result<LoadAnswer, Failure> {
        // Both processes may be in different folders.
        let path = std::path::absolute(path)
            .map_err(|error| Failure::io("find the folder of", path, &error))?;
        let body = json!({ "lora_name": name, "lora_path": path });
        self.post("/v1/load_lora_adapter", &body).await
    }

    /// Asks the server to do something.
    pub async fn ask<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.post(path, &json!({})).await
    }

    async fn post<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T, Failure> {
        let asked = self.client.post(format!("{}{path}", self.url));
        let broken = |error: reqwest::Error| {
            let message = format!("the server at {} broke off: {error}", self.url);
            Failure::new(ExitClass::Network, message)
        };
        let asked = asked.header(AUTHORIZATION, self.token.bearer());
        let answer = asked.json(body).send().await.map_err(broken)?;
        let status = answer.status();
        let body: Value = answer.json().await.map_err(broken)?;
        if !status.is_success() {
            let said = |name: &str| body.pointer(name).and_then(Value::as_str);
            let why = said("/error/message").unwrap_or("it does not say why");
            let message = format!("the server at {} could not do it: {why}", self.url);
            let class = match status.as_u16() {
                400 => ExitClass::BadInput,
                _ => ExitClass::Network,
            };
            let hint = said("/error/hint").unwrap_or("look at the server's own messages");
            return Err(Failure::new(class, message).with_hint(hint));
        }
        serde_json::from_value(body).map_err(|error| {
            let message = format!(
                "the server at {} answered something else: {}",
                self.url,
                describe_decoding(&error)
            );
            Failure::new(ExitClass::Internal, message)
        })
    }

    /// The error for an operation that a running server does not offer.
    pub fn busy(what: &str, server: &Self) -> Failure {
        let message = format!(
            "{what} needs the journal, which the server at {} is writing",
            server.url
        );
        Failure::new(ExitClass::Environment, message)
            .with_hint(format!("stop the server first, or leave {what} out"))
    }

    /// The error for a network on which the server accepts no payments.
    pub fn network_mismatch(network: &Network) -> Failure {
        let message = format!("the running server takes no payment on `{}`", network.name);
        Failure::new(ExitClass::BadInput, message)
            .with_hint("choose one of its networks with --network")
    }
}

/// Facts go into the journal through the server, which alone writes it.
#[async_trait::async_trait]
impl FactLog for RunningServer {
    async fn keep(&self, event: Event) -> Result<(), Failure> {
        let body = json!({ "event": event });
        let recorded: Result<Value, Failure> = self.post("/operator/facts", &body).await;
        recorded.map(|_| ())
    }
}

/// Whether a process is running and not a zombie.
///
/// Reads this one file directly: `sysinfo` scans all processes to find one, which would be most of
/// an idle dashboard's work.
#[cfg(target_os = "linux")]
pub fn runs(pid: u32) -> bool {
    let said = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name before the state is in parentheses and may contain any character.
    let state = said
        .rsplit_once(") ")
        .and_then(|(_, rest)| rest.chars().next());
    state.is_some_and(|state| !matches!(state, 'Z' | 'X'))
}

#[cfg(not(target_os = "linux"))]
pub fn runs(pid: u32) -> bool {
    let pid = sysinfo::Pid::from_u32(pid);
    let mut system = sysinfo::System::new();
    let what = sysinfo::ProcessRefreshKind::nothing();
    let only = sysinfo::ProcessesToUpdate::Some(&[pid]);
    system.refresh_processes_specifics(only, true, what);
    let process = system.process(pid);
    process.is_some_and(|it| it.status() != sysinfo::ProcessStatus::Zombie)
}

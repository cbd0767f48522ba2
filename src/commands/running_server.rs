//! Finding the server that runs in this home, for commands whose work it has to do: it alone
//! writes the journal and holds the account.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use reqwest::{Client, header::AUTHORIZATION, redirect::Policy};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{
    CommandContext,
    server_access::{operator_token, read_token},
};
use crate::commands::settings::SettingOrigin;
use openlora_chain::network::Network;
use openlora_core::{
    atomic::{self, FileAccess},
    error::{ExitClass, Failure},
};
use openlora_journal::writer_of;
use openlora_serve::{CHALLENGE, access::AccessToken};

/// Where a server says that it runs, below the data directory.
const FILE: &str = "serve.json";

/// Longest wait for a sign of life.
const ALIVE: Duration = Duration::from_secs(2);

/// A server of this home.
pub struct RunningServer {
    url: String,
    chains: Option<Vec<u64>>,
    client: Client,
    token: AccessToken,
}

/// A client that shows a token: it goes where it was told, and follows nobody elsewhere.
pub fn operator_client() -> Result<Client, Failure> {
    let builder = Client::builder().no_proxy().redirect(Policy::none());
    builder.connect_timeout(ALIVE).build().map_err(|error| {
        let message = format!("cannot make an HTTP client: {error}");
        Failure::new(ExitClass::Internal, message)
    })
}

/// Who answers at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressHolder {
    Nobody,
    /// The server that has the token.
    Server,
    /// Anybody else, who must not be shown it.
    Stranger,
}

/// Whose token it is that a server has to prove to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenOwner {
    /// This home's: its server is on this machine, and is reached without anybody in between.
    Own,
    /// One that was named with its server, which may be behind a tunnel or a proxy.
    Named,
}

/// Asks whoever answers at `url` to prove that it has the token.
pub async fn holder(
    client: &Client,
    url: &str,
    token: &AccessToken,
    whose: TokenOwner,
) -> AddressHolder {
    let challenge = hex::encode(rand::random::<[u8; 32]>());
    let asked = client.get(format!("{url}/health"));
    let asked = asked.header(CHALLENGE, &challenge).timeout(ALIVE);
    let Ok(answer) = asked.send().await else {
        return AddressHolder::Nobody;
    };
    if !answer.status().is_success() {
        return AddressHolder::Nobody;
    }
    let there = answer.remote_addr();
    let health: Value = answer.json().await.unwrap_or_default();
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

/// A server of this home that nobody can ask.
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

/// Says where the server is while it lives.
pub struct PidFile(PathBuf);

#[derive(Serialize, Deserialize)]
struct PidRecord {
    url: String,
    /// Chains on which calls are paid; absent from signs of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    chains: Option<Vec<u64>>,
    /// The server's process; absent from signs of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pid: Option<u32>,
}

impl PidRecord {
    /// Whether it is surely the sign of a server that lives: its process runs, and opened the
    /// journal last.
    fn is_live(&self, context: &CommandContext) -> bool {
        self.pid
            .is_some_and(|pid| writer_of(&context.dirs.journal()) == Some(pid) && runs(pid))
    }
}

impl PidFile {
    pub fn put_up(context: &CommandContext, url: &str, chains: Vec<u64>) -> Result<Self, Failure> {
        let path = context.dirs.data.join(FILE);
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
        // A sign that stays is found to be a dead server's.
        let _ = std::fs::remove_file(&self.0);
    }
}

impl RunningServer {
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The server that answers where the sign says; a sign of a dead one says nothing, whoever has
    /// taken its port since.
    ///
    /// # Errors
    /// The server lives, and the token at hand is not its own.
    pub async fn find(context: &CommandContext) -> Result<Option<Self>, Failure> {
        let path = context.dirs.data.join(FILE);
        let Ok(text) = std::fs::read_to_string(&path) else {
            return Ok(None);
        };
        let Ok(place) = serde_json::from_str::<PidRecord>(&text) else {
            return Ok(None);
        };
        let client = operator_client()?;
        let file = operator_token(context);
        if !file.exists() {
            // What cannot prove itself is not asked; a live server of an earlier version has the
            // journal, and whoever needs that is told.
            return match place.is_live(context) {
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
            AddressHolder::Stranger if place.is_live(context) => {
                Err(tokenless(&place.url, &file, "is another"))
            }
            AddressHolder::Stranger | AddressHolder::Nobody => Ok(None),
        }
    }

    /// Whether the server takes money on a chain; an earlier version may.
    pub fn is_on(&self, chain_id: u64) -> bool {
        let chains = self.chains.as_ref();
        chains.is_none_or(|chains| chains.contains(&chain_id))
    }

    /// Has the server do something.
    pub async fn ask<T: DeserializeOwned>(&self, path: &str, dry_run: bool) -> Result<T, Failure> {
        if dry_run {
            return Err(Self::busy("--dry-run", self));
        }
        let asked = self.client.post(format!("{}{path}", self.url));
        let broken = |error: reqwest::Error| {
            let message = format!("the server at {} broke off: {error}", self.url);
            Failure::new(ExitClass::Network, message)
        };
        let asked = asked.header(AUTHORIZATION, self.token.bearer());
        let answer = asked.json(&json!({})).send().await.map_err(broken)?;
        let fine = answer.status().is_success();
        let body: Value = answer.json().await.map_err(broken)?;
        if !fine {
            let why = body.pointer("/error/message").and_then(Value::as_str);
            let message = format!(
                "the server at {} could not do it: {}",
                self.url,
                why.unwrap_or("it does not say why")
            );
            return Err(Failure::new(ExitClass::Network, message)
                .with_hint("look at the server's own messages"));
        }
        serde_json::from_value(body).map_err(|error| {
            let message = format!(
                "the server at {} answered something else: {error}",
                self.url
            );
            Failure::new(ExitClass::Internal, message)
        })
    }

    /// Refuses flags for what the server does with its own account and limits.
    pub fn refuse_flags(&self, context: &CommandContext, settings: &[&str]) -> Result<(), Failure> {
        for name in settings {
            if let Some((_, SettingOrigin::Flag { flag })) = context.settings.get(name) {
                return Err(Self::busy(flag, self));
            }
        }
        Ok(())
    }

    /// Something that a running server is not asked for.
    pub fn busy(what: &str, server: &Self) -> Failure {
        let message = format!(
            "{what} needs the journal, which the server at {} is writing",
            server.url
        );
        Failure::new(ExitClass::Environment, message)
            .with_hint(format!("stop the server first, or leave {what} out"))
    }

    /// The server takes no money on the network that is meant.
    pub fn network_mismatch(network: &Network) -> Failure {
        let message = format!("the running server takes no payment on `{}`", network.name);
        Failure::new(ExitClass::BadInput, message)
            .with_hint("choose one of its networks with --network")
    }
}

/// Whether a process runs: it is there, and is more than what its parent has yet to bury.
///
/// This one file, because `sysinfo` walks through all processes to find one, and that would be
/// most of what an idle dashboard does.
#[cfg(target_os = "linux")]
pub fn runs(pid: u32) -> bool {
    let said = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name before the state stands in parentheses and may hold any character.
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

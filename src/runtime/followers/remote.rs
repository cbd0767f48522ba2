//! Follows a running server's `/events` across restarts. Missed records are requested, known ones
//! are not counted again, and a different journal behind the same address starts over.

use std::time::Duration;

use reqwest::{Client, Response, StatusCode, header::AUTHORIZATION};
use tokio::{sync::mpsc, time::timeout};

use super::{now_ms, recording::Recorder};
use crate::running_server::{AddressHolder, SILENT, TokenOwner, cause_of, holder, operator_client};
use openlora_core::{
    error::{ExitClass, Failure, describe_decoding},
    private::redact,
};
use openlora_ledger::event::EventRecord;
use openlora_serve::access::AccessToken;
use openlora_tui::{model::FeedLink, run::DashFeed};

/// Silence after which the server's health is checked.
const SILENCE: Duration = Duration::from_secs(1);
/// Timeout of the health check.
const PATIENCE: Duration = Duration::from_millis(900);
const RETRY: Duration = Duration::from_millis(500);
/// Records per message to the screen.
const PAGE: usize = 1024;

/// A server to follow, and its token.
pub struct RemoteServer {
    pub url: reqwest::Url,
    pub token: AccessToken,
    pub token_owner: TokenOwner,
}

/// A server whose events are being received.
pub struct ServerEvents {
    source: EventSource,
    response: Response,
}

impl ServerEvents {
    /// Connects to a server. Later, a lost connection is made again; this first one is not.
    ///
    /// # Errors
    ///
    /// No openlora server answers at the address, it does not have the token, or it refuses it.
    pub async fn connect(server: RemoteServer) -> Result<Self, Failure> {
        let source = EventSource {
            client: operator_client()?,
            base: server.url.as_str().trim_end_matches('/').to_owned(),
            token: server.token,
            token_owner: server.token_owner,
        };
        match source.request(0).await {
            Ok(response) => Ok(Self { source, response }),
            Err(RequestEnd::Unreachable(failure) | RequestEnd::Refused(failure)) => Err(failure),
        }
    }

    /// Follows in the background, until the receiver is closed.
    pub fn follow(self, recorder: Option<Recorder>, sender: mpsc::Sender<DashFeed>) {
        let mut follower = RemoteFollower {
            source: self.source,
            recorder,
            sender,
            last: None,
            heard_ms: now_ms(),
        };
        tokio::spawn(async move {
            if let Err(RemoteStop::Failed(failure)) = follower.follow(self.response).await {
                let _ = follower.sender.send(DashFeed::Failed(failure)).await;
            }
        });
    }
}

/// The event stream of a server, and what a request for it needs.
struct EventSource {
    client: Client,
    base: String,
    token: AccessToken,
    token_owner: TokenOwner,
}

/// Why a request brought no events.
enum RequestEnd {
    /// No openlora server answers. After a loss it is asked again.
    Unreachable(Failure),
    /// A server answers and will not send its events.
    Refused(Failure),
}

impl EventSource {
    /// Requests the events after a sequence, from the server that proves to have the token.
    async fn request(&self, after: u64) -> Result<Response, RequestEnd> {
        let asked = holder(&self.client, &self.base, &self.token, self.token_owner);
        let asked = timeout(PATIENCE * 2, asked).await;
        match asked.unwrap_or_else(|_| AddressHolder::Nobody(SILENT.to_owned())) {
            AddressHolder::Nobody(found) => return Err(self.unreachable("/health", &found)),
            AddressHolder::Stranger => return Err(RequestEnd::Refused(self.stranger())),
            AddressHolder::Server => {}
        }
        let path = "/events";
        let request = self.client.get(format!("{}{path}", self.base));
        let request = request.header("Last-Event-ID", after.to_string());
        let request = request.header(AUTHORIZATION, self.token.bearer());
        let response = match timeout(PATIENCE * 2, request.send()).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(self.unreachable(path, &cause_of(&error))),
            Err(_) => return Err(self.unreachable(path, SILENT)),
        };
        match response.status() {
            StatusCode::FORBIDDEN => Err(RequestEnd::Refused(self.refused(response).await)),
            status if status.is_success() => Ok(response),
            status => Err(self.unreachable(path, &status.to_string())),
        }
    }

    fn unreachable(&self, path: &str, found: &str) -> RequestEnd {
        let place = redact::address(&self.base);
        let message = format!("no openlora server answers at {place}: GET {path}: {found}");
        let failure = Failure::new(ExitClass::Network, message).with_hint(
            "start one with `openlora serve --local`, or name with --attach the address that it \
             printed",
        );
        RequestEnd::Unreachable(failure)
    }

    fn stranger(&self) -> Failure {
        let place = redact::address(&self.base);
        let message = format!("the server at {place} does not have this operator token");
        Failure::new(ExitClass::Network, message)
            .with_hint("name the file with its token: --token-file FILE")
    }

    /// The server has the token and still refuses: report its own reason.
    async fn refused(&self, response: Response) -> Failure {
        let place = redact::address(&self.base);
        let body: serde_json::Value = response.json().await.unwrap_or_default();
        let why = body.pointer("/error/message").and_then(|it| it.as_str());
        let why = why.unwrap_or("it does not say why");
        Failure::new(
            ExitClass::Network,
            format!("the server at {place} refuses: {why}"),
        )
    }

    async fn is_alive(&self) -> bool {
        let asked = self.client.get(format!("{}/health", self.base)).send();
        let answer = timeout(PATIENCE, asked).await;
        answer.is_ok_and(|it| it.is_ok_and(|it| it.status().is_success()))
    }
}

struct RemoteFollower {
    source: EventSource,
    recorder: Option<Recorder>,
    sender: mpsc::Sender<DashFeed>,
    /// Sequence and hash of the last forwarded record.
    last: Option<(u64, String)>,
    heard_ms: u64,
}

enum RemoteStop {
    Closed,
    Failed(Failure),
}

/// The outcome of one connection.
enum ConnectionEnd {
    Lost,
    /// The address now serves the journal of another home.
    OtherJournal,
}

impl RemoteFollower {
    async fn send(&self, feed: DashFeed) -> Result<(), RemoteStop> {
        self.sender.send(feed).await.map_err(|_| RemoteStop::Closed)
    }

    async fn follow(&mut self, first: Response) -> Result<(), RemoteStop> {
        let mut connected = Some(first);
        loop {
            let ended = match connected {
                Some(response) => self.read(response).await?,
                None => ConnectionEnd::Lost,
            };
            match ended {
                ConnectionEnd::OtherJournal => self.start_over().await?,
                ConnectionEnd::Lost => {
                    let since_ms = self.heard_ms;
                    self.send(DashFeed::Link(FeedLink::Reconnecting { since_ms }))
                        .await?;
                    tokio::time::sleep(RETRY).await;
                }
            }
            connected = self.reconnect().await?;
        }
    }

    async fn start_over(&mut self) -> Result<(), RemoteStop> {
        self.last = None;
        self.send(DashFeed::Board(Box::default())).await?;
        let told = "another journal; reading it anew".to_owned();
        self.send(DashFeed::Told(told)).await
    }

    /// Also requests the last known record, to check that it is the same.
    async fn reconnect(&self) -> Result<Option<Response>, RemoteStop> {
        let known = self.last.as_ref().map_or(0, |(sequence, _)| *sequence);
        match self.source.request(known.saturating_sub(1)).await {
            Ok(response) => Ok(Some(response)),
            Err(RequestEnd::Unreachable(_)) => Ok(None),
            Err(RequestEnd::Refused(failure)) => Err(RemoteStop::Failed(failure)),
        }
    }

    async fn read(&mut self, mut response: Response) -> Result<ConnectionEnd, RemoteStop> {
        let mut lines = StreamLines::default();
        let mut stale = false;
        self.send(DashFeed::Link(FeedLink::Live)).await?;
        loop {
            match timeout(SILENCE, response.chunk()).await {
                Ok(Ok(Some(bytes))) => {
                    self.heard_ms = now_ms();
                    let records = lines.feed(&bytes).map_err(RemoteStop::Failed)?;
                    if let Some(ended) = self.pass_on(records).await? {
                        return Ok(ended);
                    }
                }
                Ok(Ok(None) | Err(_)) => return Ok(ConnectionEnd::Lost),
                // Either there is no news or no server.
                Err(_) if self.source.is_alive().await => self.heard_ms = now_ms(),
                Err(_) => {
                    stale = true;
                    let since_ms = self.heard_ms;
                    self.send(DashFeed::Link(FeedLink::Stale { since_ms }))
                        .await?;
                    continue;
                }
            }
            if std::mem::take(&mut stale) {
                self.send(DashFeed::Link(FeedLink::Live)).await?;
            }
            if self.sender.is_closed() {
                return Err(RemoteStop::Closed);
            }
        }
    }

    /// Forwards new records, in pages.
    async fn pass_on(
        &mut self,
        records: Vec<EventRecord>,
    ) -> Result<Option<ConnectionEnd>, RemoteStop> {
        let mut fresh = Vec::with_capacity(records.len());
        for record in records {
            match &self.last {
                Some((known, hash)) if record.sequence == *known => {
                    if record.hash != *hash {
                        return Ok(Some(ConnectionEnd::OtherJournal));
                    }
                    continue;
                }
                Some((known, _)) if record.sequence < *known => continue,
                Some((known, _)) if record.sequence > *known + 1 => {
                    return Ok(Some(ConnectionEnd::Lost));
                }
                _ => {}
            }
            self.last = Some((record.sequence, record.hash.clone()));
            fresh.push(record);
        }
        if let Some(recorder) = &mut self.recorder {
            recorder.write(&fresh).map_err(RemoteStop::Failed)?;
        }
        while !fresh.is_empty() {
            let rest = fresh.split_off(fresh.len().min(PAGE));
            self.send(DashFeed::Records(fresh)).await?;
            fresh = rest;
        }
        Ok(None)
    }
}

/// Incomplete lines of an event stream.
#[derive(Default)]
struct StreamLines {
    rest: Vec<u8>,
}

impl StreamLines {
    /// The records of all complete lines; ids and event names repeat what the records contain.
    fn feed(&mut self, bytes: &[u8]) -> Result<Vec<EventRecord>, Failure> {
        self.rest.extend_from_slice(bytes);
        let Some(end) = self.rest.iter().rposition(|byte| *byte == b'\n') else {
            return Ok(Vec::new());
        };
        let rest = self.rest.split_off(end + 1);
        let whole = std::mem::replace(&mut self.rest, rest);
        let lines = whole.split(|byte| *byte == b'\n');
        let data = lines.filter_map(|line| line.strip_prefix(b"data: "));
        let records = data.map(|json| {
            serde_json::from_slice(json).map_err(|error| {
                let message = format!(
                    "the server's events cannot be read: {}",
                    describe_decoding(&error)
                );
                Failure::new(ExitClass::Network, message)
                    .with_hint("use the version of openlora that the server has")
            })
        });
        records.collect()
    }
}

//! `GET /events`: the journal as server-sent events (WHATWG HTML, section 9.2).
//!
//! The event id is the record's sequence. A client that reconnects with `Last-Event-ID` gets what
//! it missed; a new one gets the whole journal first, so that a fold over the stream is the state. What
//! could be spent is withheld, see [`disclosure`].

use std::{convert::Infallible, time::Duration};

use axum::{
    body::{Body, Bytes},
    extract::{Request, State},
    http::HeaderMap,
    response::Response,
};
use futures::Stream;

use super::AppState;
use crate::{api_error::ApiError, connections::Connection, generate, wire::fields::wrong_value};
use openlora_ledger::{disclosure, event::EventRecord};

const LAST_EVENT_ID: &str = "last-event-id";

/// Records read at a time.
const PAGE: usize = 256;

/// A comment is sent after this much silence, so that a disconnected client is noticed.
const HEARTBEAT: Duration = Duration::from_secs(15);

pub async fn follow(State(app): State<AppState>, request: Request) -> Result<Response, ApiError> {
    let after = resume_after(request.headers())?;
    if let Some(connection) = request.extensions().get::<Connection>() {
        connection.keep_open();
    }
    Ok(generate::events(Body::from_stream(records(app, after))))
}

/// The sequence after which the client continues; 0 is the beginning.
fn resume_after(headers: &HeaderMap) -> Result<u64, ApiError> {
    let Some(value) = headers.get(LAST_EVENT_ID) else {
        return Ok(0);
    };
    let text = value.to_str().unwrap_or_default();
    text.parse()
        .map_err(|_| wrong_value("Last-Event-ID", "a sequence number", &format!("'{text}'")))
}

fn records(app: AppState, mut after: u64) -> impl Stream<Item = Result<Bytes, Infallible>> {
    async_stream::stream! {
        let mut news = app.journal.subscribe();
        yield Ok(Bytes::from_static(b"retry: 1000\n\n"));
        loop {
            let page = match app.journal.read(after + 1, PAGE).await {
                Ok(page) => page,
                Err(error) => {
                    tracing::error!(%error, "the journal cannot be read");
                    return;
                }
            };
            for record in &page {
                after = record.sequence;
                yield Ok(write(record));
            }
            if !page.is_empty() {
                continue;
            }
            tokio::select! {
                // New events and missed events both mean that the journal must be read again.
                _ = news.recv() => {}
                () = tokio::time::sleep(HEARTBEAT) => yield Ok(Bytes::from_static(b":\n\n")),
                () = app.stop.draining.cancelled() => return,
            }
        }
    }
}

fn write(record: &EventRecord) -> Bytes {
    let data = disclosure::public_record(record);
    let name = data
        .pointer("/event/type")
        .and_then(|name| name.as_str())
        .unwrap_or("message");
    format!("id: {}\nevent: {name}\ndata: {data}\n\n", record.sequence).into()
}

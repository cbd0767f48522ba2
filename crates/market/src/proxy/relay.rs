//! Passes a bought answer on: whole, or as it is streamed. A caller that goes away ends the call at
//! the server, and its payment is settled all the same.

use std::time::Duration;

use axum::{
    body::{Body, Bytes},
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use futures::stream;
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::{answer_error::ProxyError, event_lines::EventLines};
use crate::{
    http::{LARGEST, bounded, broken},
    purchase::{BoughtAnswer, ChargeStatement, UnsettledCall},
};

/// Pieces of a stream that wait for a caller who reads slowly.
const WAITING: usize = 8;
/// How long a caller may take nothing until it counts as gone.
const STALLED: Duration = Duration::from_secs(300);

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");

/// The answer for the caller, whose turn lasts as long as it is passed on.
///
/// # Errors
///
/// The server's answer is not of OpenAI's form, or was lost.
pub async fn pass_on(
    bought: BoughtAnswer,
    turn: OwnedSemaphorePermit,
) -> Result<Response, ProxyError> {
    let kind = bought.response.headers().get(header::CONTENT_TYPE);
    let kind = kind.map(|kind| kind.as_bytes().to_ascii_lowercase());
    if kind.is_some_and(|kind| kind.starts_with(b"text/event-stream")) {
        return streamed(bought, turn).await;
    }
    whole(bought).await
}

async fn whole(bought: BoughtAnswer) -> Result<Response, ProxyError> {
    let BoughtAnswer {
        mut response,
        mut payment,
    } = bought;
    loop {
        let stated = ChargeStatement::in_header(&response);
        let problem = match bounded(response, LARGEST).await {
            Ok(text) => return finish_whole(text, payment, stated).await,
            Err(problem) => problem,
        };
        let Some(open) = payment else {
            return Err(ProxyError::upstream(&problem));
        };
        let (again, open) = open.ask_again(&problem).await?;
        (response, payment) = (again, Some(open));
    }
}

async fn finish_whole(
    text: Vec<u8>,
    payment: Option<UnsettledCall>,
    stated: Option<ChargeStatement>,
) -> Result<Response, ProxyError> {
    let answer: Option<Value> = serde_json::from_slice(&text).ok().filter(Value::is_object);
    let id = answer.as_ref().and_then(|it| it["id"].as_str());
    if let Some(open) = payment {
        close(open, stated, id.map(str::to_owned)).await;
    }
    match answer {
        Some(_) => Ok(([(header::CONTENT_TYPE, JSON)], text).into_response()),
        None => Err(ProxyError::upstream("it is no JSON object")),
    }
}

/// Records the charge now, and the receipt soon. The caller has its answer, so it is not asked for
/// again.
async fn close(open: UnsettledCall, stated: Option<ChargeStatement>, id: Option<String>) {
    let (buyer, server) = (open.buyer(), open.server().clone());
    let request_id = open.request_id().to_owned();
    let paid = open.settle_charge(stated).await;
    if let Err(error) = buyer.payer().store.forget_attempt(&request_id) {
        tracing::warn!(%error, "an answered call is still listed as unanswered");
    }
    if let (Some(paid), Some(id)) = (paid, id) {
        tokio::spawn(async move { buyer.keep_receipt(&server, paid.number, &id).await });
    }
}

/// Waits for the first event, so that an answer of another form is an error of HTTP.
async fn streamed(
    bought: BoughtAnswer,
    turn: OwnedSemaphorePermit,
) -> Result<Response, ProxyError> {
    let BoughtAnswer {
        mut response,
        payment,
    } = bought;
    let mut lines = EventLines::default();
    let first = loop {
        let piece = response.chunk().await.map_err(|error| broken(&error));
        let read = match piece {
            Ok(Some(bytes)) => lines.feed(&bytes),
            Ok(None) => Err("the stream has no event".to_owned()),
            Err(problem) => Err(problem),
        };
        match read {
            Ok(passed) if passed.is_empty() => {}
            Ok(passed) => break passed,
            Err(problem) => {
                drop(response);
                if let Some(open) = payment {
                    tokio::spawn(end(open, lines, false));
                }
                return Err(ProxyError::upstream(&problem));
            }
        }
    };
    let (sender, receiver) = mpsc::channel(WAITING);
    tokio::spawn(async move {
        pump(response, lines, first, payment, sender).await;
        drop(turn);
    });
    let body = stream::unfold(receiver, |mut receiver| async move {
        let piece: Bytes = receiver.recv().await?;
        Some((Ok::<_, std::convert::Infallible>(piece), receiver))
    });
    let no_cache = HeaderValue::from_static("no-cache");
    let headers = [
        (header::CONTENT_TYPE, EVENTS),
        (header::CACHE_CONTROL, no_cache),
    ];
    Ok((headers, Body::from_stream(body)).into_response())
}

/// How a stream ended.
enum StreamEnd {
    Whole,
    CallerGone,
    Broken(String),
}

async fn pump(
    response: reqwest::Response,
    mut lines: EventLines,
    first: Vec<u8>,
    payment: Option<UnsettledCall>,
    sender: mpsc::Sender<Bytes>,
) {
    let ended = match is_sent(&sender, first.into()).await {
        true => forward(response, &mut lines, &sender).await,
        false => StreamEnd::CallerGone,
    };
    if let StreamEnd::Broken(problem) = &ended {
        let envelope = ProxyError::upstream(problem).envelope();
        let event = format!("data: {envelope}\n\n");
        is_sent(&sender, event.into()).await;
    }
    let Some(open) = payment else { return };
    let is_whole = matches!(ended, StreamEnd::Whole);
    // The charge of a whole answer is recorded before the caller sees the stream's end. Otherwise the
    // receipt may take a while.
    let whole = is_whole.then_some(sender);
    end(open, lines, is_whole).await;
    drop(whole);
}

/// Whether the caller is there for another piece.
async fn is_sent(sender: &mpsc::Sender<Bytes>, piece: Bytes) -> bool {
    let sent = tokio::time::timeout(STALLED, sender.send(piece)).await;
    matches!(sent, Ok(Ok(())))
}

/// Forwards the events until the stream ends or the caller is gone, which drops the connection to
/// the server and so ends the call there.
async fn forward(
    mut response: reqwest::Response,
    lines: &mut EventLines,
    sender: &mpsc::Sender<Bytes>,
) -> StreamEnd {
    loop {
        let piece = tokio::select! {
            biased;
            () = sender.closed() => return StreamEnd::CallerGone,
            piece = response.chunk() => piece,
        };
        let passed = match piece {
            Ok(Some(bytes)) => lines.feed(&bytes),
            Ok(None) if lines.done => return StreamEnd::Whole,
            Ok(None) => return StreamEnd::Broken("the stream broke off before its end".to_owned()),
            Err(error) => Err(broken(&error)),
        };
        match passed {
            Err(problem) => return StreamEnd::Broken(problem),
            Ok(passed) if passed.is_empty() => {}
            Ok(passed) => {
                if !is_sent(sender, passed.into()).await {
                    return StreamEnd::CallerGone;
                }
            }
        }
    }
}

/// Settles the payment of a stream that ended, by its last event or by the receipt.
async fn end(open: UnsettledCall, lines: EventLines, is_whole: bool) {
    let EventLines { id, payment, .. } = lines;
    match (payment, id) {
        (Some(event), id) => close(open, Some(ChargeStatement::Event(event)), id).await,
        (None, id) if is_whole => close(open, None, id).await,
        (None, Some(id)) => open.settle_by_receipt(&id).await,
        // Its payment is sent once more later, which tells what it has cost.
        (None, None) => {}
    }
}

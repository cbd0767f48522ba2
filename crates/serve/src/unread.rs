//! Answers that were generated and are not read yet.
//!
//! A slow reader costs the memory of its own answer for a bounded time, and no turn on an engine.
//! The total size of unread answers is bounded: above the bound, the largest of them is cut off. A
//! client whose answer is cut off gets it by repeating the request, as long as answers are kept.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use axum::body::{Body, Bytes};
use futures::Stream;
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{connections::Connection, sent_bytes::SentBytes};

/// Longest time for an answer to be read after it was generated.
const LONGEST_READ: Duration = Duration::from_secs(600);

/// An answer no larger than this goes straight to its connection.
const SMALL: usize = 64 * 1024;

/// All answers that are not fully read.
#[derive(Debug)]
pub struct UnreadAnswers {
    /// In bytes.
    bound: usize,
    table: Mutex<UnreadTable>,
}

#[derive(Debug, Default)]
struct UnreadTable {
    next: u64,
    total: usize,
    answers: BTreeMap<u64, UnreadAnswer>,
}

#[derive(Debug)]
struct UnreadAnswer {
    bytes: usize,
    connection: Option<Connection>,
}

/// The writing end of an answer; never waits.
#[derive(Debug)]
pub struct AnswerWriter {
    id: u64,
    unread: Arc<UnreadAnswers>,
    sender: mpsc::UnboundedSender<Bytes>,
    connection: Option<Connection>,
    gone: CancellationToken,
    progress: AnswerProgress,
}

/// How much of one answer its connection has passed on.
#[derive(Clone, Debug)]
struct AnswerProgress {
    bytes: Arc<SentBytes>,
    /// What the connection had taken of earlier answers; unset before it takes from this one.
    before: Arc<OnceLock<u64>>,
    /// Nothing stands between the answer and its reader.
    is_direct: bool,
}

/// The reading end of an answer.
#[derive(Debug)]
struct AnswerReader {
    id: u64,
    unread: Arc<UnreadAnswers>,
    receiver: mpsc::UnboundedReceiver<Bytes>,
    progress: AnswerProgress,
    _gone: DropGuard,
}

impl AnswerProgress {
    fn new(connection: Option<&Connection>) -> Self {
        Self {
            bytes: connection.map_or_else(Arc::default, |it| Arc::clone(it.sent())),
            before: Arc::default(),
            is_direct: connection.is_none(),
        }
    }

    fn take(&self, count: usize) {
        let taken = self.bytes.take(count as u64);
        self.before.get_or_init(|| taken);
        if self.is_direct {
            self.bytes.flush();
        }
    }

    fn sent(&self) -> u64 {
        let before = self.before.get();
        before.map_or(0, |before| self.bytes.sent().saturating_sub(*before))
    }
}

impl UnreadAnswers {
    pub fn new(bound: usize) -> Self {
        Self {
            bound,
            table: Mutex::default(),
        }
    }

    /// An answer that is written in pieces, and its body.
    pub fn answer(self: &Arc<Self>, connection: Option<Connection>) -> (AnswerWriter, Body) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let gone = CancellationToken::new();
        let mut table = self.lock();
        table.next += 1;
        let id = table.next;
        let answer = UnreadAnswer {
            bytes: 0,
            connection: connection.clone(),
        };
        table.answers.insert(id, answer);
        drop(table);
        let progress = AnswerProgress::new(connection.as_ref());
        let reader = AnswerReader {
            id,
            unread: Arc::clone(self),
            receiver,
            progress: progress.clone(),
            _gone: gone.clone().drop_guard(),
        };
        let writer = AnswerWriter {
            id,
            unread: Arc::clone(self),
            sender,
            connection,
            gone,
            progress,
        };
        (writer, Body::from_stream(reader))
    }

    /// An answer that is complete.
    pub fn complete_body(self: &Arc<Self>, bytes: Bytes, connection: Option<Connection>) -> Body {
        if bytes.len() <= SMALL {
            return Body::from(bytes);
        }
        let (writer, body) = self.answer(connection);
        let mut rest = bytes;
        while !rest.is_empty() {
            writer.write(rest.split_to(SMALL.min(rest.len())));
        }
        tokio::spawn(writer.finish());
        body
    }

    /// Bytes that wait for their readers.
    pub fn bytes(&self) -> usize {
        self.lock().total
    }

    fn lock(&self) -> MutexGuard<'_, UnreadTable> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, id: u64, count: usize) {
        let mut table = self.lock();
        let Some(answer) = table.answers.get_mut(&id) else {
            return;
        };
        answer.bytes += count;
        table.total += count;
        while table.total > self.bound && table.cut_largest() {}
    }

    fn take(&self, id: u64, count: usize) {
        let mut table = self.lock();
        if let Some(answer) = table.answers.get_mut(&id) {
            answer.bytes -= count;
            table.total -= count;
        }
    }
}

impl UnreadTable {
    fn remove(&mut self, id: u64) -> Option<UnreadAnswer> {
        let answer = self.answers.remove(&id)?;
        self.total -= answer.bytes;
        Some(answer)
    }

    fn cut_largest(&mut self) -> bool {
        let largest = self.answers.iter().max_by_key(|(_, answer)| answer.bytes);
        let cut = largest.map(|(id, _)| *id).and_then(|id| self.remove(id));
        match cut {
            Some(answer) => {
                if let Some(connection) = answer.connection {
                    connection.close();
                }
                true
            }
            None => false,
        }
    }
}

impl AnswerWriter {
    pub fn write(&self, bytes: Bytes) {
        // Counted first: the reader may take them at once. If it is gone, so is its count.
        self.unread.add(self.id, bytes.len());
        let _ = self.sender.send(bytes);
    }

    /// How many bytes of the answer will reach the client even if the process dies.
    pub fn sent(&self) -> u64 {
        self.progress.sent()
    }

    /// Waits until more than `known` bytes of the answer are sent.
    pub async fn sent_more(&self, known: u64) {
        loop {
            let all = self.progress.bytes.sent();
            if self.sent() > known {
                return;
            }
            self.progress.bytes.sent_more(all).await;
        }
    }

    /// Waits until the reader stops reading.
    pub async fn reader_closed(&self) {
        self.gone.cancelled().await;
    }

    /// Ends the answer and gives its reader a bounded time.
    pub async fn finish(self) {
        let Self {
            sender,
            connection,
            gone,
            ..
        } = self;
        drop(sender);
        let read = tokio::time::timeout(LONGEST_READ, gone.cancelled()).await;
        if let (Err(_), Some(connection)) = (read, connection) {
            connection.close();
        }
    }
}

impl Stream for AnswerReader {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = std::task::ready!(self.receiver.poll_recv(cx));
        Poll::Ready(next.map(|bytes| {
            self.unread.take(self.id, bytes.len());
            self.progress.take(bytes.len());
            Ok(bytes)
        }))
    }
}

impl Drop for AnswerReader {
    fn drop(&mut self) {
        self.unread.lock().remove(self.id);
    }
}

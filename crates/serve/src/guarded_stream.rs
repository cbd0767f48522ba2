//! A socket that drops a client that does not read, and passes on only requests whose head was
//! checked.
//!
//! A refused head is replaced by a plain request, so that its refusal follows the answers to
//! earlier requests. The end of a body is found by its length. A chunked body is the last one of
//! its connection.

use std::{
    io,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep},
};

use super::{
    api_error::ApiError,
    head::{self, BodyFraming},
    sent_bytes::SentBytes,
    transport::ClientStream,
};

/// Longest time for a head to arrive after its first byte.
const LONGEST_HEAD: Duration = Duration::from_secs(10);

/// How many bytes are read from the socket at a time.
const PIECE: usize = 8 * 1024;

/// The fewest bytes that a client must read while writes to it may be blocked.
const LEAST_READ: u64 = 32 * 1024;

/// The request that replaces a refused head.
const SUBSTITUTE: &[u8] = b"GET / HTTP/1.1\r\nhost: refused\r\nconnection: close\r\n\r\n";

/// How much after a refused head is discarded, and for how long, so that the client can read the
/// answer instead of getting a broken connection.
const DISCARDED: usize = 4 << 20;
const LINGER: Duration = Duration::from_secs(2);

/// Tells the service which request is the last one, and why.
#[derive(Clone, Debug, Default)]
pub struct LastRequest(Arc<OnceLock<(u64, Option<ApiError>)>>);

impl LastRequest {
    /// Whether the request of that number (from 1) is the last, and its refusal if it has one.
    pub fn refusal_for(&self, number: u64) -> Option<Option<ApiError>> {
        let (last, refusal) = self.0.get()?;
        (*last == number).then(|| refusal.clone())
    }
}

/// A connection between a client and HTTP.
pub struct GuardedStream {
    stream: ClientStream,
    last: LastRequest,
    reading: ReadState,
    writing: WriteState,
    sent: Arc<SentBytes>,
}

/// Bytes that were read and not passed on.
struct ReadState {
    bytes: Vec<u8>,
    /// How many of `bytes` may be passed on.
    cleared: usize,
    place: ReadPlace,
    /// How many of `bytes` were searched for the end of a head.
    searched: usize,
    heads: u64,
    /// Runs while a head is incomplete.
    deadline: Option<Pin<Box<Sleep>>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ReadPlace {
    Head,
    Body(u64),
    /// All further bytes belong to the last request.
    Rest,
    /// Nothing more is passed on; this many bytes were discarded.
    Refused(usize),
}

/// How long writes were blocked since the client last had read enough.
struct WriteState {
    patience: Duration,
    blocked: Duration,
    written: u64,
    since: Option<Instant>,
    deadline: Option<Pin<Box<Sleep>>>,
    linger: Option<Pin<Box<Sleep>>>,
}

impl GuardedStream {
    /// `patience` is how long writes may be blocked while the client reads next to nothing. `sent`
    /// counts the bytes of every flush.
    pub fn new(
        stream: ClientStream,
        patience: Duration,
        last: LastRequest,
        sent: Arc<SentBytes>,
    ) -> Self {
        Self {
            stream,
            last,
            reading: ReadState {
                bytes: Vec::new(),
                cleared: 0,
                place: ReadPlace::Head,
                searched: 0,
                heads: 0,
                deadline: None,
            },
            writing: WriteState {
                patience,
                blocked: Duration::ZERO,
                written: 0,
                since: None,
                deadline: None,
                linger: None,
            },
            sent,
        }
    }
}

impl ReadState {
    /// Determines how many bytes may be passed on; `false` if more must be read first.
    fn advance(&mut self, last: &LastRequest) -> bool {
        match self.place {
            _ if self.bytes.is_empty() => false,
            ReadPlace::Body(left) => {
                let here = self.bytes.len() as u64;
                self.cleared = usize::try_from(left.min(here)).unwrap_or(self.bytes.len());
                self.place = match left.saturating_sub(here) {
                    0 => ReadPlace::Head,
                    more => ReadPlace::Body(more),
                };
                true
            }
            ReadPlace::Rest => {
                self.cleared = self.bytes.len();
                true
            }
            ReadPlace::Refused(discarded) => {
                self.place = ReadPlace::Refused(discarded + self.bytes.len());
                self.bytes.clear();
                false
            }
            ReadPlace::Head => self.head(last),
        }
    }

    fn head(&mut self, last: &LastRequest) -> bool {
        // Empty lines before a request are skipped, as RFC 9112 (2.2) asks.
        let blank = self.bytes.chunks(2).take_while(|it| it == b"\r\n").count();
        if blank > 0 {
            self.bytes.drain(..2 * blank);
            self.searched = 0;
        }
        let end = head::end_of(&self.bytes, self.searched);
        self.searched = self.bytes.len();
        let first = &self.bytes[..end.unwrap_or(self.bytes.len())];
        let checked = match (head::check_size(first), end) {
            (Err(refusal), _) => Err(refusal),
            (Ok(()), None) => return false,
            (Ok(()), Some(_)) => head::check(first),
        };
        self.heads += 1;
        (self.searched, self.deadline) = (0, None);
        match (checked, end) {
            (Ok(framing), Some(end)) => {
                self.cleared = end;
                self.place = match framing {
                    BodyFraming::Length(0) => ReadPlace::Head,
                    BodyFraming::Length(length) => ReadPlace::Body(length),
                    BodyFraming::Chunked => {
                        // Set once: this is the last head.
                        let _ = last.0.set((self.heads, None));
                        ReadPlace::Rest
                    }
                };
            }
            (Ok(_), None) => return false,
            (Err(refusal), _) => self.refuse(last, refusal),
        }
        true
    }

    fn refuse(&mut self, last: &LastRequest, refusal: ApiError) {
        let _ = last.0.set((self.heads, Some(refusal)));
        self.bytes = SUBSTITUTE.to_vec();
        self.cleared = self.bytes.len();
        self.place = ReadPlace::Refused(0);
    }

    /// Refuses a head that takes too long.
    fn judge(&mut self, cx: &mut Context<'_>, last: &LastRequest) -> bool {
        if self.place != ReadPlace::Head || self.bytes.is_empty() {
            return false;
        }
        let deadline = self
            .deadline
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(LONGEST_HEAD)));
        if deadline.as_mut().poll(cx).is_pending() {
            return false;
        }
        let message = format!(
            "The request's head did not arrive within {} s.",
            LONGEST_HEAD.as_secs()
        );
        let status = axum::http::StatusCode::REQUEST_TIMEOUT;
        self.heads += 1;
        self.refuse(last, ApiError::new(status, "request_timeout", message));
        true
    }
}

impl WriteState {
    fn judge(
        &mut self,
        cx: &mut Context<'_>,
        progress: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        let Poll::Ready(progress) = progress else {
            let left = self.patience.saturating_sub(self.blocked);
            self.since.get_or_insert_with(Instant::now);
            let deadline = self
                .deadline
                .get_or_insert_with(|| Box::pin(tokio::time::sleep(left)));
            return match deadline.as_mut().poll(cx) {
                Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
                Poll::Pending => Poll::Pending,
            };
        };
        if let Some(since) = self.since.take() {
            self.blocked += since.elapsed();
        }
        self.deadline = None;
        if let Ok(count) = &progress {
            self.written += *count as u64;
            if self.written >= LEAST_READ {
                (self.written, self.blocked) = (0, Duration::ZERO);
            }
        }
        Poll::Ready(progress)
    }
}

impl AsyncRead for GuardedStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let reading = &mut this.reading;
        loop {
            if reading.cleared > 0 {
                let count = reading.cleared.min(buffer.remaining());
                buffer.put_slice(&reading.bytes[..count]);
                reading.bytes.drain(..count);
                reading.cleared -= count;
                return Poll::Ready(Ok(()));
            }
            if reading.advance(&this.last) || reading.judge(cx, &this.last) {
                continue;
            }
            if matches!(reading.place, ReadPlace::Refused(discarded) if discarded > DISCARDED) {
                return Poll::Ready(Ok(()));
            }
            let mut piece = [0; PIECE];
            let mut piece = ReadBuf::new(&mut piece);
            std::task::ready!(Pin::new(&mut this.stream).poll_read(cx, &mut piece))?;
            if piece.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            reading.bytes.extend_from_slice(piece.filled());
        }
    }
}

impl AsyncWrite for GuardedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let progress = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.writing.judge(cx, progress)
    }

    /// HTTP flushes once it has written all that it took of an answer.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        std::task::ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        self.sent.flush();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        std::task::ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
        if !matches!(self.reading.place, ReadPlace::Refused(_)) {
            return Poll::Ready(Ok(()));
        }
        let linger = self
            .writing
            .linger
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(LINGER)));
        if linger.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        let mut rest = [0; PIECE];
        let mut rest = ReadBuf::new(&mut rest);
        // Nothing is passed on from here, so this ends with the connection or its deadline.
        while let Poll::Ready(read) = self.as_mut().poll_read(cx, &mut rest) {
            read?;
            if rest.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            rest.clear();
        }
        Poll::Pending
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let progress = Pin::new(&mut self.stream).poll_write_vectored(cx, buffers);
        self.writing.judge(cx, progress)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

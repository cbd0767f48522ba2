//! Follows the journal of this machine while another process writes it.

use std::{
    path::PathBuf,
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    time::{Duration, Instant},
};

use tokio::sync::mpsc;

use super::{now_ms, recording::Recorder};
use crate::{board, running_server::runs};
use openlora_core::error::{ExitClass, Failure};
use openlora_journal::{Journal, JournalError, ReadOnlyJournal, writer_of};
use openlora_ledger::{event::EventRecord, state::board::Board};
use openlora_tui::{model::FeedLink, run::DashFeed};

/// How often the journal is polled for changes, which costs one read of shared memory.
const POLL: Duration = Duration::from_millis(50);
/// How often the presence of a writer is checked.
const PULSE: Duration = Duration::from_millis(500);
/// Records per message.
const PAGE: usize = 1024;
/// Records between two progress messages.
const STRIDE: u64 = 20_000;

/// Follows in a separate thread, until the receiver is closed.
pub fn follow_journal(
    path: PathBuf,
    recorder: Option<Recorder>,
    sender: mpsc::Sender<DashFeed>,
) -> Result<(), Failure> {
    let mut follower = LocalFollower {
        path,
        recorder,
        sender,
        next: 1,
    };
    let started = std::thread::Builder::new()
        .name("dash-journal".into())
        .spawn(move || {
            if let Err(LocalStop::Failed(failure)) = follower.follow() {
                let _ = follower.sender.blocking_send(DashFeed::Failed(failure));
            }
        });
    started.map(drop).map_err(|error| {
        Failure::new(
            ExitClass::Environment,
            format!("cannot start a thread: {error}"),
        )
    })
}

struct LocalFollower {
    path: PathBuf,
    recorder: Option<Recorder>,
    sender: mpsc::Sender<DashFeed>,
    /// The first record that was not sent yet.
    next: u64,
}

/// Why following ended.
enum LocalStop {
    /// The receiver was closed.
    Closed,
    Failed(Failure),
}

impl From<JournalError> for LocalStop {
    fn from(error: JournalError) -> Self {
        Self::Failed(error.into())
    }
}

impl LocalFollower {
    fn send(&self, feed: DashFeed) -> Result<(), LocalStop> {
        self.sender
            .blocking_send(feed)
            .map_err(|_| LocalStop::Closed)
    }

    fn follow(&mut self) -> Result<(), LocalStop> {
        // No message is ever sent on this channel: receiving from it waits for the timeout.
        let (_held, time) = channel();
        let mut journal = self.wait_for_journal(&time)?;
        self.catch_up(&mut journal)?;
        let mut pulse = WriterHeartbeat::new(self.path.clone());
        loop {
            if journal.changed()? {
                self.send_news(&mut journal)?;
            }
            if let Some(link) = pulse.changed() {
                self.send(DashFeed::Link(link))?;
            }
            if self.sender.is_closed() {
                return Ok(());
            }
            pause(&time, POLL);
        }
    }

    /// A home in which nothing was served has no journal yet.
    fn wait_for_journal(&self, time: &Receiver<()>) -> Result<ReadOnlyJournal, LocalStop> {
        let since_ms = now_ms();
        loop {
            if let Some(journal) = Journal::open_existing(&self.path)? {
                return Ok(journal);
            }
            self.send(DashFeed::Link(FeedLink::Stale { since_ms }))?;
            pause(time, PULSE);
        }
    }

    /// Folds the existing records: from the projection if one belongs to this journal, or from the
    /// first record if all of them are recorded.
    fn catch_up(&mut self, journal: &mut ReadOnlyJournal) -> Result<(), LocalStop> {
        let total = journal.head()?.sequence;
        let mut board = match self.recorder {
            Some(_) => Board::default(),
            None => board::stored(&self.path, journal)?,
        };
        let mut failed = None;
        let (recorder, sender) = (&mut self.recorder, &self.sender);
        board::catch_up(&self.path, journal, &mut board, |record| {
            if let Some(recorder) = recorder.as_mut()
                && let Err(error) = recorder.write(std::slice::from_ref(record))
            {
                failed.get_or_insert(error);
            }
            if record.sequence % STRIDE == 0 {
                let done = record.sequence;
                // A closed receiver needs no progress.
                let _ = sender.blocking_send(DashFeed::Link(FeedLink::Reading { done, total }));
            }
        })?;
        if let Some(error) = failed {
            return Err(LocalStop::Failed(error));
        }
        self.next = board.sequence + 1;
        self.send(DashFeed::Board(Box::new(board)))
    }

    fn send_news(&mut self, journal: &mut ReadOnlyJournal) -> Result<(), LocalStop> {
        loop {
            let records: Vec<EventRecord> = journal.read(self.next, PAGE)?;
            let Some(last) = records.last() else {
                return Ok(());
            };
            self.next = last.sequence + 1;
            if let Some(recorder) = &mut self.recorder {
                recorder.write(&records).map_err(LocalStop::Failed)?;
            }
            self.send(DashFeed::Records(records))?;
        }
    }
}

fn pause(time: &Receiver<()>, how_long: Duration) {
    // The sender is kept alive, so only the timeout ends this.
    let (Ok(()) | Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected)) =
        time.recv_timeout(how_long);
}

/// Whether the journal's writer is alive.
struct WriterHeartbeat {
    path: PathBuf,
    told: Option<FeedLink>,
    seen_ms: u64,
    next: Instant,
}

impl WriterHeartbeat {
    fn new(path: PathBuf) -> Self {
        Self {
            path,
            told: None,
            seen_ms: now_ms(),
            next: Instant::now(),
        }
    }

    /// The state of the link if it changed since the last call.
    fn changed(&mut self) -> Option<FeedLink> {
        if Instant::now() < self.next {
            return None;
        }
        self.next = Instant::now() + PULSE;
        let link = match self.writer_lives() {
            true => {
                self.seen_ms = now_ms();
                FeedLink::Live
            }
            false => FeedLink::Stale {
                since_ms: self.seen_ms,
            },
        };
        (self.told.replace(link) != Some(link)).then_some(link)
    }

    fn writer_lives(&self) -> bool {
        writer_of(&self.path).is_some_and(runs)
    }
}

//! The journal of this machine, followed beside whoever writes it.

use std::{
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    time::{Duration, Instant},
};

use tokio::sync::mpsc;

use super::{FORM, WORTH, now_ms, recording::Recorder, store};
use crate::{
    commands::running_server::runs,
    error::{ExitClass, Failure},
    runtime::{
        event::EventRecord,
        journal::{Journal, JournalError, ReadOnlyJournal, projection, writer_of},
        state::board::Board,
    },
    tui::{model::FeedLink, run::DashFeed},
};

/// How often the journal is asked whether it changed, which costs one read of shared memory.
const POLL: Duration = Duration::from_millis(50);
/// How often it is asked whether anybody writes.
const PULSE: Duration = Duration::from_millis(500);
/// Records sent at once.
const PAGE: usize = 1024;
/// Records between two words on how far reading is.
const STRIDE: u64 = 20_000;

/// Follows in a thread of its own, until nobody listens.
pub(super) fn follow(
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
            if let Err(LocalStop::Failed(error)) = follower.follow() {
                let _ = follower
                    .sender
                    .blocking_send(DashFeed::Failed(error.to_string()));
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
    /// Nobody listens any more.
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
        // Never sent to: waiting on it is waiting for time to pass.
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

    /// A home in which nothing was ever served has no journal yet.
    fn wait_for_journal(&self, time: &Receiver<()>) -> Result<ReadOnlyJournal, LocalStop> {
        let since_ms = now_ms();
        loop {
            match Journal::open_read_only(&self.path) {
                Ok(journal) => return Ok(journal),
                // It is being made at this very moment.
                Err(JournalError::Missing { .. } | JournalError::NotAJournal { .. })
                    if !self.path.exists() || is_new(&self.path) =>
                {
                    self.send(DashFeed::Link(FeedLink::Stale { since_ms }))?;
                }
                Err(error) => return Err(error.into()),
            }
            pause(time, PULSE);
        }
    }

    /// Folds what there is: from the projection where one belongs to this journal, and from the
    /// first record where all of them are to be recorded.
    fn catch_up(&mut self, journal: &mut ReadOnlyJournal) -> Result<(), LocalStop> {
        let total = journal.head()?.sequence;
        let kept = projection::path_of(&self.path, "board");
        let known = match self.recorder {
            Some(_) => None,
            None => projection::load::<Board>(&kept, journal, FORM)?,
        };
        let mut board = known.map_or_else(Board::default, |(_, board)| board);
        let first = board.sequence;
        let path = self.path.clone();
        let mut failed = None;
        let (recorder, sender) = (&mut self.recorder, &self.sender);
        journal.replay(first + 1, |record| {
            // The journal has no gaps.
            let _ = board.apply(record);
            if let Some(recorder) = recorder.as_mut()
                && let Err(error) = recorder.write(std::slice::from_ref(record))
            {
                failed.get_or_insert(error);
            }
            if record.sequence % super::STRIDE == 0 {
                store(&path, &board);
            }
            if record.sequence % STRIDE == 0 {
                let done = record.sequence;
                // Who does not listen learns nothing.
                let _ = sender.blocking_send(DashFeed::Link(FeedLink::Reading { done, total }));
            }
        })?;
        if let Some(error) = failed {
            return Err(LocalStop::Failed(error));
        }
        self.next = board.sequence + 1;
        if board.sequence - first >= WORTH {
            store(&path, &board);
        }
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

fn is_new(path: &Path) -> bool {
    path.metadata().is_ok_and(|file| file.len() == 0)
}

fn pause(time: &Receiver<()>, how_long: Duration) {
    // Its sender is kept, so only time ends this.
    let (Ok(()) | Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected)) =
        time.recv_timeout(how_long);
}

/// Whether the journal's writer lives.
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

    /// The state of the link when it is another one than the last time.
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

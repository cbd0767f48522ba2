//! Recordings: one JSON record per line, written while following and replayed at their original
//! pace.

use std::{
    fs::File,
    io::{BufRead, BufReader, BufWriter, Read, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{sync::mpsc, time::Instant};

use openlora_core::{
    error::{ExitClass, Failure, describe_decoding},
    private::files,
};
use openlora_ledger::{disclosure, event::EventRecord};
use openlora_tui::{
    model::FeedLink,
    run::{DashClock, DashFeed},
};

/// A recording of the demo, with every record as its server wrote it.
const DEMO: &[u8] = include_bytes!("../../../assets/dash/demo.jsonl");

/// Longer pauses are shortened to this on replay.
const LONGEST: Duration = Duration::from_secs(2);

pub struct Recorder {
    file: BufWriter<File>,
    path: PathBuf,
}

impl Recorder {
    /// # Errors
    ///
    /// The file exists or cannot be written.
    pub fn create(path: &Path) -> Result<Self, Failure> {
        let file = files::open(File::options().write(true).create_new(true), path)
            .map_err(|error| Failure::io("create", path, &error))?;
        Ok(Self {
            file: BufWriter::new(file),
            path: path.to_owned(),
        })
    }

    pub fn write(&mut self, records: &[EventRecord]) -> Result<(), Failure> {
        let mut write = || {
            for record in records {
                serde_json::to_writer(&mut self.file, &disclosure::public_record(record))?;
                self.file.write_all(b"\n")?;
            }
            self.file.flush()
        };
        write().map_err(|error| Failure::io("write", &self.path, &error))
    }
}

pub fn read(path: &Path) -> Result<Vec<EventRecord>, Failure> {
    let file = File::open(path).map_err(|error| Failure::io("read", path, &error))?;
    parse(file, &path.display().to_string())
}

pub fn demo() -> Result<Vec<EventRecord>, Failure> {
    parse(DEMO, "the compiled-in recording")
}

fn parse(from: impl Read, name: &str) -> Result<Vec<EventRecord>, Failure> {
    let mut records = Vec::new();
    for (line, at) in BufReader::new(from).lines().zip(1..) {
        let bad = |found: &dyn std::fmt::Display| {
            let message =
                format!("{name}:{at}: expected a record as `--record` writes it: {found}");
            Failure::new(ExitClass::BadInput, message)
        };
        let line = line.map_err(|error| bad(&error))?;
        let record: EventRecord =
            serde_json::from_str(&line).map_err(|error| bad(&describe_decoding(&error)))?;
        let expected = u64::try_from(records.len()).unwrap_or(u64::MAX) + 1;
        if record.sequence != expected {
            return Err(bad(&format!(
                "expected record {expected}, found {}",
                record.sequence
            )));
        }
        records.push(record);
    }
    Ok(records)
}

/// The recording's clock. It advances between two records, but never past the next one.
#[derive(Clone, Copy)]
struct PlaybackClock {
    from_ms: u64,
    until_ms: u64,
    set: Instant,
    speed: u32,
}

impl PlaybackClock {
    fn now_ms(&self) -> u64 {
        let passed = self.set.elapsed().as_millis() as u64 * u64::from(self.speed);
        (self.from_ms + passed).min(self.until_ms)
    }
}

/// Plays in the background; the returned clock is that of the recording.
pub fn play(records: Vec<EventRecord>, speed: u32, sender: mpsc::Sender<DashFeed>) -> DashClock {
    let first = records.first().map_or(0, |record| record.time_ms);
    let last = records.last().map_or(0, |record| record.time_ms);
    let start = if speed == 0 { last } else { first };
    let hand = Arc::new(Mutex::new(PlaybackClock {
        from_ms: start,
        until_ms: start,
        set: Instant::now(),
        speed,
    }));
    let shown = Arc::clone(&hand);
    tokio::spawn(async move {
        // A closed screen needs no further records.
        let _ = step_by_step(records, speed, hand, sender).await;
    });
    Box::new(move || {
        shown
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .now_ms()
    })
}

async fn step_by_step(
    records: Vec<EventRecord>,
    speed: u32,
    hand: Arc<Mutex<PlaybackClock>>,
    sender: mpsc::Sender<DashFeed>,
) -> Result<(), mpsc::error::SendError<DashFeed>> {
    sender.send(DashFeed::Link(FeedLink::Replay)).await?;
    if speed == 0 {
        sender.send(DashFeed::Records(records)).await?;
        return sender.send(DashFeed::Link(FeedLink::Ended)).await;
    }
    let mut before: Option<u64> = None;
    for record in records {
        let now = record.time_ms;
        let gap = before.map_or(0, |before| now.saturating_sub(before));
        let wait = Duration::from_millis(gap) / speed;
        let from_ms = now.saturating_sub(LONGEST.as_millis() as u64 * u64::from(speed));
        *hand.lock().unwrap_or_else(PoisonError::into_inner) = PlaybackClock {
            from_ms: before.unwrap_or(now).max(from_ms),
            until_ms: now,
            set: Instant::now(),
            speed,
        };
        tokio::time::sleep(wait.min(LONGEST)).await;
        before = Some(now);
        sender.send(DashFeed::Records(vec![record])).await?;
    }
    sender.send(DashFeed::Link(FeedLink::Ended)).await
}

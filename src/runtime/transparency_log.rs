//! This home's transparency log: made from the journal, and kept up with it while a server runs.

use std::time::Duration;

use tokio::{sync::broadcast::Receiver, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::home::AppDirs;
use openlora_core::error::{ExitClass, Failure};
use openlora_journal::Journal;
use openlora_transparency::{
    CheckpointKey, JournalEntries, TileFolder, TileLogWriter, TlogError, TransparencyView, catch_up,
};

/// Records that follow one another within this time share a checkpoint.
const LINGER: Duration = Duration::from_millis(250);

/// How long after a failure the log is tried again without news.
const RETRY: Duration = Duration::from_secs(5);

/// How long to wait for another process that is bringing the log up to date.
const TURN: Duration = Duration::from_secs(10);
const TURN_STEP: Duration = Duration::from_millis(100);

/// The log of a home, open for writing.
pub struct HomeTransparencyLog {
    writer: TileLogWriter,
    source: JournalEntries,
}

/// The key of a home's log; none if there is no log yet.
///
/// # Errors
///
/// Its file cannot be read or is no key.
pub fn existing_key(dirs: &AppDirs) -> Result<Option<CheckpointKey>, TlogError> {
    match CheckpointKey::open(&dirs.transparency_key()) {
        Err(TlogError::NoKey { .. }) => Ok(None),
        found => found.map(Some),
    }
}

/// A home's log as it is; none if there is no log yet.
///
/// # Errors
///
/// Its key cannot be read.
pub fn existing_view(dirs: &AppDirs) -> Result<Option<TransparencyView>, TlogError> {
    let Some(key) = existing_key(dirs)? else {
        return Ok(None);
    };
    let view = TransparencyView::new(&dirs.transparency_log(), key.verifier()?);
    Ok(view.folder.is_there().then_some(view))
}

/// The name of a log at a server's public URL: the URL of the log without its scheme.
pub fn origin_of(public_url: &str) -> Option<String> {
    let (_, rest) = public_url.split_once("://")?;
    let name = format!("{}/log", rest.trim_end_matches('/'));
    let plain = |letter: char| letter.is_ascii_graphic() && letter != '+';
    name.chars().all(plain).then_some(name)
}

impl HomeTransparencyLog {
    /// Opens the log and brings it up to date with the journal. The first time, a key is made; the
    /// log then keeps the name that it gets here.
    ///
    /// # Errors
    ///
    /// There is no journal, another process writes the log, or the journal is not the one that was
    /// logged.
    pub async fn open(dirs: &AppDirs, origin: Option<String>) -> Result<Self, Failure> {
        let deadline = tokio::time::Instant::now() + TURN;
        loop {
            let (dirs, origin) = (dirs.clone(), origin.clone());
            let opened = blocking(move || Self::open_now(&dirs, origin.as_deref())).await?;
            match opened {
                Err(TlogError::InUse { .. }) if tokio::time::Instant::now() < deadline => {
                    tokio::time::sleep(TURN_STEP).await;
                }
                opened => return Ok(opened?),
            }
        }
    }

    fn open_now(dirs: &AppDirs, origin: Option<&str>) -> Result<Self, TlogError> {
        let mut source = JournalEntries::open(&dirs.journal())?;
        let log = dirs.transparency_log();
        let key = match existing_key(dirs)? {
            Some(key) => key,
            None => Self::first_key(dirs, origin)?,
        };
        let mut writer = TileLogWriter::open(&log, key, &mut source)?;
        catch_up(&mut writer, &mut source)?;
        Ok(Self { writer, source })
    }

    /// The key of a log that begins, here or in another process at the same time.
    fn first_key(dirs: &AppDirs, origin: Option<&str>) -> Result<CheckpointKey, TlogError> {
        let (path, log) = (dirs.transparency_key(), dirs.transparency_log());
        if TileFolder::at(&log).is_there() {
            // Since the key was looked for, another process may have begun the log.
            return existing_key(dirs)?.ok_or(TlogError::LostKey { log, path });
        }
        CheckpointKey::open_or_create(&path, origin)
    }

    /// The log as others read it.
    ///
    /// # Errors
    ///
    /// None for a key that was read.
    pub fn view(&self, dirs: &AppDirs) -> Result<TransparencyView, TlogError> {
        let verifier = self.writer.verifier()?;
        Ok(TransparencyView::new(&dirs.transparency_log(), verifier))
    }

    /// Follows the journal until stopped; what is there then is still logged.
    pub fn follow(self, journal: &Journal, stop: CancellationToken) -> JoinHandle<()> {
        let news = journal.subscribe();
        tokio::spawn(self.run(news, stop))
    }

    async fn run(mut self, mut news: Receiver<u64>, stop: CancellationToken) {
        let mut failed = false;
        loop {
            let patience = async {
                match failed {
                    true => tokio::time::sleep(RETRY).await,
                    false => std::future::pending().await,
                }
            };
            // Missed news and new ones both mean that the journal must be read.
            tokio::select! {
                () = stop.cancelled() => {}
                _ = news.recv() => {}
                () = patience => {}
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(LINGER) => {}
            }
            news = news.resubscribe();
            let is_last = stop.is_cancelled();
            let done = blocking(move || {
                let caught_up = catch_up(&mut self.writer, &mut self.source);
                (self, caught_up)
            });
            let Ok((log, caught_up)) = done.await else {
                return;
            };
            self = log;
            failed = caught_up.is_err();
            if let Err(error) = caught_up {
                tracing::error!(%error, "the transparency log falls behind the journal");
            }
            if is_last {
                return;
            }
        }
    }
}

/// Disk work runs outside the async threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        let message = format!("the transparency log stopped: {error}");
        Failure::new(ExitClass::Internal, message)
    })
}

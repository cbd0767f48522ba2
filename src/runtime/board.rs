//! The stored board of a journal: a projection next to it, so that a dashboard starts fast however
//! long the journal is.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use openlora_core::error::Failure;
use openlora_journal::{Journal, JournalError, ReadOnlyJournal, projection};
use openlora_ledger::state::board::Board;

/// Format of the projection; any change of the format changes the number.
const FORM: &str = "openlora-board-4";

/// How often a server updates the stored board of its journal, and after how many records.
const KEEPING: Duration = Duration::from_secs(60);
pub const WORTH: u64 = 20_000;

/// Keeps the stored board of a growing journal up to date, until the task is aborted.
pub fn keep_ready(path: PathBuf) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(KEEPING);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let path = path.clone();
            let kept = tokio::task::spawn_blocking(move || bring_up_to_date(&path)).await;
            // Without it, the next dashboard start takes longer; serving is not affected.
            if let Ok(Err(error)) = kept {
                tracing::debug!(%error, "the board was not kept");
            }
        }
    })
}

fn bring_up_to_date(path: &Path) -> Result<(), Failure> {
    let (mut journal, mut board) = reopened(path)?;
    let first = board.sequence;
    if journal.head()?.sequence < first + WORTH {
        return Ok(());
    }
    journal.replay(first + 1, |record| {
        // The journal has no gaps.
        let _ = board.apply(record);
        if board.sequence % STRIDE == 0 {
            store(path, &board);
        }
    })?;
    store(path, &board);
    Ok(())
}

/// A board that is being folded is stored each time after this many records.
pub const STRIDE: u64 = 250_000;

/// Stores a board. A failure only costs time at the next start.
pub fn store(journal: &Path, board: &Board) {
    let path = projection::path_of(journal, "board");
    let stored = projection::store(&path, board.sequence, &board.hash, FORM, board);
    if let Err(error) = stored {
        tracing::debug!(%error, path = %path.display(), "the board was not kept");
    }
}

/// A journal, and its board as far as it was stored.
fn reopened(path: &Path) -> Result<(ReadOnlyJournal, Board), Failure> {
    let mut journal = Journal::open_read_only(path)?;
    let board = stored(path, &mut journal)?;
    Ok((journal, board))
}

/// The stored board if it belongs to this journal, or an empty one.
pub fn stored(path: &Path, journal: &mut ReadOnlyJournal) -> Result<Board, JournalError> {
    let kept = projection::path_of(path, "board");
    let known = projection::load::<Board>(&kept, journal, FORM)?;
    Ok(known.map_or_else(Board::default, |(_, board)| board))
}

/// The board of a journal, from its projection where there is one.
pub fn opened(path: &Path) -> Result<Board, Failure> {
    let (mut journal, mut board) = reopened(path)?;
    journal.replay(board.sequence + 1, |record| {
        // The journal has no gaps.
        let _ = board.apply(record);
    })?;
    Ok(board)
}

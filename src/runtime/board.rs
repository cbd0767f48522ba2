//! The stored board of a journal: a projection next to it, so that a dashboard starts fast however
//! long the journal is.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use openlora_journal::{Journal, JournalError, ReadOnlyJournal, projection};
use openlora_ledger::{event::EventRecord, state::board::Board};

/// Format of the projection; any change of the format changes the number.
const FORM: &str = "openlora-board-5";

/// How often a server updates the stored board of its journal, and after how many records.
const KEEPING: Duration = Duration::from_secs(60);
const WORTH: u64 = 20_000;
/// A board that is being folded is stored each time after this many records.
const STRIDE: u64 = 250_000;

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

fn bring_up_to_date(path: &Path) -> Result<(), JournalError> {
    let Some((mut journal, mut board)) = reopened(path)? else {
        return Ok(());
    };
    if journal.head()?.sequence < board.sequence + WORTH {
        return Ok(());
    }
    catch_up(path, &mut journal, &mut board, |_| {})
}

/// Applies to a board the records of the journal that it lacks, and hands each to `seen`. The board
/// is stored on the way, and at the end if that saves the next start a long read.
///
/// # Errors
///
/// The journal cannot be read.
pub fn catch_up(
    path: &Path,
    journal: &mut ReadOnlyJournal,
    board: &mut Board,
    mut seen: impl FnMut(&EventRecord),
) -> Result<(), JournalError> {
    let first = board.sequence;
    journal.replay(first + 1, |record| {
        // The journal has no gaps.
        let _ = board.apply(record);
        seen(record);
        if record.sequence % STRIDE == 0 {
            store(path, board);
        }
    })?;
    if board.sequence - first >= WORTH {
        store(path, board);
    }
    Ok(())
}

/// Stores a board. A failure only costs time at the next start.
pub fn store(journal: &Path, board: &Board) {
    let path = projection::path_of(journal, "board");
    let stored = projection::store(&path, board.sequence, &board.hash, FORM, board);
    if let Err(error) = stored {
        tracing::debug!(%error, path = %path.display(), "the board was not kept");
    }
}

/// A journal, and its board as far as it was stored; none if there is no journal yet.
fn reopened(path: &Path) -> Result<Option<(ReadOnlyJournal, Board)>, JournalError> {
    let Some(mut journal) = Journal::open_existing(path)? else {
        return Ok(None);
    };
    let board = stored(path, &mut journal)?;
    Ok(Some((journal, board)))
}

/// The stored board if it belongs to this journal, or an empty one.
pub fn stored(path: &Path, journal: &mut ReadOnlyJournal) -> Result<Board, JournalError> {
    let kept = projection::path_of(path, "board");
    let known = projection::load::<Board>(&kept, journal, FORM)?;
    Ok(known.map_or_else(Board::default, |(_, board)| board))
}

/// The board of a journal, from its projection where there is one; empty if there is no journal yet.
pub fn opened(path: &Path) -> Result<Board, JournalError> {
    let Some((mut journal, mut board)) = reopened(path)? else {
        return Ok(Board::default());
    };
    catch_up(path, &mut journal, &mut board, |_| {})?;
    Ok(board)
}

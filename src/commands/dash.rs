//! `dash`: shows the journal of this home, of a running server, or a recording, on the terminal.

mod attach;
mod lines;
mod local;
mod recording;
mod report;

use std::{
    io::IsTerminal,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::sync::mpsc;

use super::{CommandContext, earnings, network};
use openlora_core::error::{ExitClass, ExitStatus, Failure};
use openlora_journal::{Journal, ReadOnlyJournal, projection};
use openlora_ledger::state::board::Board;
use openlora_tui::{
    model::{ChartWindow, DashModel, DashOptions},
    money::ChainToken,
    run::{self, DashClock, DashFeed, DashSession},
    theme::{ColourDepth, Theme},
};
pub use report::DashReport;

/// Batches of records queued for the screen before the source blocks.
const WAITING: usize = 4;

/// Format of the projection next to the journal; any change of the format changes the number.
const FORM: &str = "openlora-board-2";

/// The request of `dash`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DashRequest {
    pub origin: RecordSource,
    /// File to which every record is written.
    pub record: Option<PathBuf>,
    /// Operator token of the followed server; defaults to this home's own.
    pub token_file: Option<PathBuf>,
}

/// The source of records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RecordSource {
    /// The journal of this home.
    #[default]
    Home,
    /// A server's `/events`.
    Attach(String),
    /// A recording, played at a multiple of its speed; all at once if 0.
    Replay(PathBuf, u32),
    /// The embedded recording.
    Demo,
}

pub async fn run(context: &CommandContext, request: DashRequest) -> Result<ExitStatus, Failure> {
    if context.printer.is_json() {
        report::print(context, &request)?;
        return Ok(ExitStatus::Success);
    }
    let accessible = context.printer.is_accessible();
    if !accessible {
        needs_terminal()?;
    }
    let options = options(context, &request)?;
    let (sender, feed) = mpsc::channel(WAITING);
    let clock = source(context, &request, sender)?;
    if accessible {
        return lines::run(&context.printer, options, feed, clock).await;
    }
    let folder = std::env::current_dir()
        .map_err(|error| Failure::io("read the working directory", ".".as_ref(), &error))?;
    let board = run_screen(options, feed, clock, folder).await?;
    if request.origin == RecordSource::Home && request.record.is_none() {
        keep(context, &board);
    }
    Ok(ExitStatus::Success)
}

/// Runs the screen until the user quits.
pub(super) async fn run_screen(
    options: DashOptions,
    feed: mpsc::Receiver<DashFeed>,
    clock: DashClock,
    folder: PathBuf,
) -> Result<Board, Failure> {
    let size = terminal_columns_and_lines();
    let model = DashModel::new(options, size, clock());
    let session = DashSession {
        model,
        feed,
        clock,
        folder,
        suspend,
    };
    run::run(session).await.map_err(|error| {
        let message = format!("the terminal went away: {error}");
        Failure::new(ExitClass::Environment, message)
    })
}

/// Columns and lines at the start; the loop receives later changes.
fn terminal_columns_and_lines() -> (u16, u16) {
    let size = terminal_size::terminal_size();
    size.map_or((80, 24), |(width, height)| (width.0, height.0))
}

/// Starts the source of records, and returns its clock.
fn source(
    context: &CommandContext,
    request: &DashRequest,
    sender: mpsc::Sender<DashFeed>,
) -> Result<DashClock, Failure> {
    let recorder = request.record.as_deref().map(recording::Recorder::create);
    let recorder = recorder.transpose()?;
    match &request.origin {
        RecordSource::Home => local::follow(context.dirs.journal(), recorder, sender)?,
        RecordSource::Attach(url) => {
            let token_file = request.token_file.as_deref();
            attach::follow(context, url, token_file, recorder, sender)?;
        }
        RecordSource::Replay(path, speed) => {
            let records = recording::read(path)?;
            return Ok(recording::play(records, *speed, sender));
        }
        RecordSource::Demo => return Ok(recording::play(recording::demo()?, 1, sender)),
    }
    Ok(Box::new(now_ms))
}

/// Stores the board for the next start. A failure only costs time then.
fn keep(context: &CommandContext, board: &Board) {
    if board.sequence > 0 {
        store(&context.dirs.journal(), board);
    }
}

/// # Errors
///
/// There is no terminal, or it cannot position text.
pub(super) fn needs_terminal() -> Result<(), Failure> {
    let refused = |found: &str| {
        let message = format!("the dashboard needs a terminal, and {found}");
        Failure::new(ExitClass::Unconfirmed, message).with_hint(
            "plain lines go anywhere: openlora dash --accessible; sums once: openlora --json dash",
        )
    };
    if !std::io::stdout().is_terminal() {
        return Err(refused("standard output is none"));
    }
    if !std::io::stdin().is_terminal() {
        return Err(refused("standard input is none"));
    }
    match std::env::var("TERM") {
        Ok(term) if term == "dumb" => Err(refused("TERM is `dumb`")),
        _ => Ok(()),
    }
}

fn options(context: &CommandContext, request: &DashRequest) -> Result<DashOptions, Failure> {
    let settings = &context.settings.dash;
    let demo = request.origin == RecordSource::Demo;
    Ok(DashOptions {
        tokens: tokens(context)?,
        depth: depth(context),
        theme: Theme::named(&settings.theme).unwrap_or_default(),
        animation: settings.animation,
        mouse: settings.mouse,
        watermark: demo.then(|| "DEMO: a recording, no money of yours".to_owned()),
        window: match demo {
            true => ChartWindow::Minute,
            false => ChartWindow::default(),
        },
    })
}

/// Options for the demo's screen.
pub(super) fn demo_options(context: &CommandContext) -> Result<DashOptions, Failure> {
    let mut options = options(context, &DashRequest::default())?;
    options.watermark = Some("DEMO: no real money".to_owned());
    // The demo's calls take half a minute.
    options.window = ChartWindow::Minute;
    Ok(options)
}

/// A note for the screen.
pub(super) fn remark_feed(text: String) -> DashFeed {
    DashFeed::Told(text)
}

/// The journal at `path`, live.
pub(super) fn follow(path: PathBuf, sender: mpsc::Sender<DashFeed>) -> Result<DashClock, Failure> {
    local::follow(path, None, sender)?;
    Ok(Box::new(now_ms))
}

/// Every configured chain on which calls are paid, with its token.
fn tokens(context: &CommandContext) -> Result<Vec<ChainToken>, Failure> {
    let networks = network::paid_on(context)?;
    let each = networks.into_iter().map(|network| {
        let decimals = network.token.as_ref().map_or(0, |token| token.decimals);
        Ok(ChainToken {
            chain_id: network.chain_id,
            coin: earnings::coin(context, decimals)?,
            token: network.token.map(|it| (it.address, it.symbol, it.decimals)),
            network: network.name,
        })
    });
    each.collect()
}

/// The colours that the terminal supports.
fn depth(context: &CommandContext) -> ColourDepth {
    if !context.printer.paints() {
        return ColourDepth::None;
    }
    let says = |name: &str| std::env::var(name).unwrap_or_default();
    let (colours, term) = (says("COLORTERM"), says("TERM"));
    if colours == "truecolor" || colours == "24bit" {
        ColourDepth::True
    } else if term.contains("256color") || term.contains("kitty") || term.contains("alacritty") {
        ColourDepth::Indexed
    } else {
        ColourDepth::Sixteen
    }
}

fn now_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

/// Suspends this process as Ctrl-Z would, because the terminal is in raw mode.
fn suspend() {
    let pid = sysinfo::Pid::from_u32(std::process::id());
    let mut system = sysinfo::System::new();
    system.refresh_processes(sysinfo::ProcessesToUpdate::Some(&[pid]), true);
    if let Some(process) = system.process(pid) {
        process.kill_with(sysinfo::Signal::TSTP);
    }
}

/// How often a server updates the stored board of its journal, and after how many records.
const KEEPING: Duration = Duration::from_secs(60);
const WORTH: u64 = 20_000;

/// Keeps the stored board of a growing journal up to date, until the task is aborted.
pub(super) fn keep_ready(path: PathBuf) -> tokio::task::JoinHandle<()> {
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
const STRIDE: u64 = 250_000;

fn store(journal: &Path, board: &Board) {
    let path = projection::path_of(journal, "board");
    let stored = projection::store(&path, board.sequence, &board.hash, FORM, board);
    if let Err(error) = stored {
        tracing::debug!(%error, path = %path.display(), "the board was not kept");
    }
}

/// A journal, and its board as far as it was stored.
fn reopened(path: &Path) -> Result<(ReadOnlyJournal, Board), Failure> {
    let mut journal = Journal::open_read_only(path)?;
    let kept = projection::path_of(path, "board");
    let known = projection::load::<Board>(&kept, &mut journal, FORM)?;
    Ok((journal, known.map_or_else(Board::default, |(_, it)| it)))
}

/// The board of a journal, from its projection where there is one.
fn opened(path: &Path) -> Result<Board, Failure> {
    let (mut journal, mut board) = reopened(path)?;
    journal.replay(board.sequence + 1, |record| {
        // The journal has no gaps.
        let _ = board.apply(record);
    })?;
    Ok(board)
}

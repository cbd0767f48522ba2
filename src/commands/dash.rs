//! `dash`: the journal of this home, of a running server, or a recording, on the terminal.

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
    model::{DashModel, DashOptions},
    money::ChainToken,
    run::{self, DashClock, DashFeed, DashSession},
    theme::{ColourDepth, Theme},
};
pub use report::DashReport;

/// Batches of records that wait for the screen; the source waits then.
const WAITING: usize = 4;

/// The form of the projection beside the journal; another number is another form.
const FORM: &str = "openlora-board-2";

/// What `dash` is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DashRequest {
    pub origin: RecordSource,
    /// File that every record is written to.
    pub record: Option<PathBuf>,
    /// Of the server that is followed; this home's own when there is none.
    pub token_file: Option<PathBuf>,
}

/// Where records come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RecordSource {
    /// The journal of this home.
    #[default]
    Home,
    /// A server's `/events`.
    Attach(String),
    /// A recording, so many times as fast as it was made; all of it at once when 0.
    Replay(PathBuf, u32),
    /// The recording that is compiled in.
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

/// Opens the screen until somebody quits.
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

/// Columns and lines; the loop learns of every change.
fn terminal_columns_and_lines() -> (u16, u16) {
    let size = terminal_size::terminal_size();
    size.map_or((80, 24), |(width, height)| (width.0, height.0))
}

/// Starts what records come from, and says what time it is there.
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

/// Reading starts here the next time; that it cannot be kept only costs time then.
fn keep(context: &CommandContext, board: &Board) {
    if board.sequence > 0 {
        store(&context.dirs.journal(), board);
    }
}

/// # Errors
/// What is there is no terminal, or none that can place letters.
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
    })
}

/// The same for the demonstration's own screen.
pub(super) fn demo_options(context: &CommandContext) -> Result<DashOptions, Failure> {
    let mut options = options(context, &DashRequest::default())?;
    options.watermark = Some("DEMO: no real money".to_owned());
    Ok(options)
}

/// A remark for the screen.
pub(super) fn remark_feed(text: String) -> DashFeed {
    DashFeed::Told(text)
}

/// The journal at `path`, live.
pub(super) fn follow(path: PathBuf, sender: mpsc::Sender<DashFeed>) -> Result<DashClock, Failure> {
    local::follow(path, None, sender)?;
    Ok(Box::new(now_ms))
}

/// Every chain of the settings that calls are paid on, with its money.
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

/// What the terminal says it can show.
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

/// Stops this process as Ctrl-Z would, had the keyboard not been taken over.
fn suspend() {
    let pid = sysinfo::Pid::from_u32(std::process::id());
    let mut system = sysinfo::System::new();
    system.refresh_processes(sysinfo::ProcessesToUpdate::Some(&[pid]), true);
    if let Some(process) = system.process(pid) {
        process.kill_with(sysinfo::Signal::TSTP);
    }
}

/// How often a server brings the board beside its journal up to date, and after how many records.
const KEEPING: Duration = Duration::from_secs(60);
const WORTH: u64 = 20_000;

/// Keeps the board of a journal that is being written, until it is aborted.
pub(super) fn keep_ready(path: PathBuf) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(KEEPING);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let path = path.clone();
            let kept = tokio::task::spawn_blocking(move || bring_up_to_date(&path)).await;
            // Without it the next dashboard reads longer; calls are served all the same.
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

/// Records after which a board that is being made is kept as far as it is.
const STRIDE: u64 = 250_000;

fn store(journal: &Path, board: &Board) {
    let path = projection::path_of(journal, "board");
    let stored = projection::store(&path, board.sequence, &board.hash, FORM, board);
    if let Err(error) = stored {
        tracing::debug!(%error, path = %path.display(), "the board was not kept");
    }
}

/// A journal, and its board as far as it was kept.
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

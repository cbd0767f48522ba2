//! `dash`: shows the journal of this home, of a running server, or a recording, on the terminal.

mod lines;
mod report;

use std::{
    io::IsTerminal,
    path::{Path, PathBuf},
};

use tokio::sync::mpsc;

use super::{CommandContext, money, named_paths, network};
use openlora_core::{
    error::{ExitClass, ExitStatus, Failure},
    private::redact,
};
use openlora_ledger::state::board::Board;
use openlora_runtime::{
    access_tokens::read_token,
    board,
    followers::{RemoteServer, ServerEvents, follow_journal, now_ms, recording},
    published_log::server_root,
    running_server::TokenOwner,
};
use openlora_serve::access::AccessToken;
use openlora_tui::{
    model::{ChartWindow, DashModel, DashOptions},
    money::ChainToken,
    run::{self, DashClock, DashFeed, DashSession},
    theme::{ColourDepth, Theme},
};
pub use report::DashReport;

/// Batches of records queued for the screen before the source blocks.
const WAITING: usize = 4;

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
        needs_terminal(
            "plain lines go anywhere: openlora dash --accessible; sums once: openlora --json dash",
        )?;
    }
    let options = options(context, &request)?;
    let (sender, feed) = mpsc::channel(WAITING);
    let clock = source(context, &request, sender).await?;
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

/// Starts the source of records, and returns its clock. A server has answered before the screen
/// opens.
async fn source(
    context: &CommandContext,
    request: &DashRequest,
    sender: mpsc::Sender<DashFeed>,
) -> Result<DashClock, Failure> {
    let recorder = || {
        let file = request.record.as_deref();
        file.map(recording::Recorder::create).transpose()
    };
    match &request.origin {
        RecordSource::Home => follow_journal(context.dirs.journal(), recorder()?, sender)?,
        RecordSource::Attach(url) => {
            let server = remote_server(context, url, request.token_file.as_deref())?;
            let events = ServerEvents::connect(server).await?;
            events.follow(recorder()?, sender);
        }
        RecordSource::Replay(path, speed) => {
            let path = named_paths::file(context, path, "a recording")?;
            let records = recording::read(&named_paths::shown(&context.settings, &path))?;
            return Ok(recording::play(records, *speed, sender));
        }
        RecordSource::Demo => return Ok(recording::play(recording::demo()?, 1, sender)),
    }
    Ok(Box::new(now_ms))
}

/// The server named by `--attach`, and the token for it: the named one, or this home's own.
fn remote_server(
    context: &CommandContext,
    url: &str,
    token_file: Option<&Path>,
) -> Result<RemoteServer, Failure> {
    let shown = redact::address(url);
    let base = reqwest::Url::parse(url).ok().filter(|it| it.has_host());
    let base = base.map(server_root);
    let Some(base) = base else {
        let message =
            format!("--attach {shown}: expected an address such as http://127.0.0.1:8080");
        return Err(Failure::new(ExitClass::Usage, message));
    };
    let local = matches!(base.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
    if context.offline && !local {
        let message = format!("{shown} is not on this machine");
        return Err(Failure::new(ExitClass::Network, message).with_hint("leave --offline out"));
    }
    let (token, token_owner) = match token_file {
        Some(file) => {
            let file = named_paths::file(context, file, "an operator token")?;
            let shown = named_paths::shown(&context.settings, &file);
            (read_token(&shown)?, TokenOwner::Named)
        }
        None => (own_token(context)?, TokenOwner::Own),
    };
    Ok(RemoteServer {
        url: base,
        token,
        token_owner,
    })
}

/// The operator token of this home's server.
fn own_token(context: &CommandContext) -> Result<AccessToken, Failure> {
    let file = context.dirs.operator_token();
    if file.exists() {
        return read_token(&file);
    }
    let message = "--attach needs the operator token of the server, and this home has none";
    Err(Failure::new(ExitClass::Usage, message).with_hint(
        "copy operator.token from the data folder of the server's home, and name the copy with \
         --token-file",
    ))
}

/// Stores the board for the next start. A failure only costs time then.
fn keep(context: &CommandContext, board: &Board) {
    if board.sequence > 0 {
        board::store(&context.dirs.journal(), board);
    }
}

/// # Errors
///
/// There is no terminal, or it cannot position text. The hint says what does without one.
pub(super) fn needs_terminal(hint: &str) -> Result<(), Failure> {
    let refused = |found: &str| {
        let message = format!("the dashboard needs a terminal, and {found}");
        Failure::new(ExitClass::Environment, message).with_hint(hint)
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
    follow_journal(path, None, sender)?;
    Ok(Box::new(now_ms))
}

/// Every configured chain on which calls are paid, with its token.
fn tokens(context: &CommandContext) -> Result<Vec<ChainToken>, Failure> {
    let networks = network::paid_on(context)?;
    let each = networks.into_iter().map(|network| {
        let decimals = network.token.as_ref().map_or(0, |token| token.decimals);
        Ok(ChainToken {
            chain_id: network.chain_id,
            coin: money::coin(context, decimals)?,
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

/// Suspends this process as Ctrl-Z would, because the terminal is in raw mode.
fn suspend() {
    let pid = sysinfo::Pid::from_u32(std::process::id());
    let mut system = sysinfo::System::new();
    system.refresh_processes(sysinfo::ProcessesToUpdate::Some(&[pid]), true);
    if let Some(process) = system.process(pid) {
        process.kill_with(sysinfo::Signal::TSTP);
    }
}

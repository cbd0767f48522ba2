//! The main loop: keys, records and timer ticks in, frames and effects out. The only part of the
//! dashboard that accesses the terminal.

use std::{
    io::{self, BufWriter, Stdout, Write},
    path::PathBuf,
    time::Duration,
};

use crossterm::event::{
    Event as Input, EventStream, KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseButton,
    MouseEvent, MouseEventKind,
};
use futures::StreamExt;
use ratatui::{Terminal, backend::CrosstermBackend, layout::Rect};
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};

use super::{
    effect::DashEffect,
    guard::TerminalGuard,
    key::KeyPress,
    model::{DashModel, FeedLink},
    text::clipboard_sequence,
    training::TrainingProgress,
    update::{DashMessage, update},
    view,
};
use openlora_core::{atomic, error::Failure};
use openlora_ledger::{event::EventRecord, state::board::Board};

/// Minimum interval between two frames.
const FRAME: Duration = Duration::from_millis(100);
const HEARTBEAT: Duration = Duration::from_secs(1);

/// A message from the source of records.
#[derive(Clone, Debug)]
pub enum DashFeed {
    Board(Box<Board>),
    Records(Vec<EventRecord>),
    Link(FeedLink),
    Told(String),
    /// A training run progresses, or is over.
    Training(Option<TrainingProgress>),
    /// The source has failed.
    Failed(Failure),
}

impl From<DashFeed> for DashMessage {
    fn from(feed: DashFeed) -> Self {
        match feed {
            DashFeed::Board(board) => Self::Board(board),
            DashFeed::Records(records) => Self::Records(records),
            DashFeed::Link(link) => Self::Link(link),
            DashFeed::Told(text) => Self::Story(text),
            DashFeed::Training(progress) => Self::Training(progress),
            DashFeed::Failed(Failure { message, hint, .. }) => Self::Failed(match hint {
                Some(hint) => format!("{message}; {hint}"),
                None => message,
            }),
        }
    }
}

/// The time in Unix milliseconds: of the system, or of a recording.
pub type DashClock = Box<dyn Fn() -> u64 + Send>;

/// The inputs of the dashboard.
pub struct DashSession {
    pub model: DashModel,
    pub feed: mpsc::Receiver<DashFeed>,
    pub clock: DashClock,
    /// Folder for exports.
    pub folder: PathBuf,
    /// Suspends this process until it is continued.
    pub suspend: fn(),
}

/// Why the loop ended.
enum LoopFlow {
    On,
    Over,
}

type DashScreen = Terminal<CrosstermBackend<BufWriter<Stdout>>>;

struct RunningDash {
    session: DashSession,
    guard: Option<TerminalGuard>,
    screen: DashScreen,
    /// When the next frame is due, if anything changed.
    due: Option<Instant>,
    drawn: Instant,
    /// The terminal was resized, so its content may be invalid.
    resized: bool,
}

/// Runs until the user quits; returns the final board.
///
/// # Errors
///
/// The terminal refuses or is closed.
pub async fn run(session: DashSession) -> io::Result<Board> {
    let guard = TerminalGuard::take(session.model.options.mouse)?;
    let out = BufWriter::with_capacity(1 << 16, io::stdout());
    let screen = Terminal::new(CrosstermBackend::new(out))?;
    let now = Instant::now();
    let mut running = RunningDash {
        session,
        guard: Some(guard),
        screen,
        due: Some(now),
        drawn: now - FRAME,
        resized: false,
    };
    running.go().await?;
    Ok(running.session.model.board)
}

impl RunningDash {
    async fn go(&mut self) -> io::Result<()> {
        let mut input = EventStream::new();
        let mut heartbeat = interval(HEARTBEAT);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut ended = std::pin::pin!(ended());
        let mut fed = true;
        loop {
            let due = self.due;
            let flow = tokio::select! {
                event = input.next() => match event {
                    Some(event) => self.input(event?)?,
                    None => LoopFlow::Over,
                },
                feed = self.session.feed.recv(), if fed => match feed {
                    Some(feed) => self.take(feed.into())?,
                    None => {
                        fed = false;
                        LoopFlow::On
                    }
                },
                _ = heartbeat.tick() => {
                    let now_ms = (self.session.clock)();
                    self.take(DashMessage::Tick(now_ms))?
                }
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    self.draw()?;
                    LoopFlow::On
                }
                () = &mut ended => LoopFlow::Over,
            };
            if let LoopFlow::Over = flow {
                return Ok(());
            }
        }
    }

    /// Updates the model and executes the effects. A frame is then due, delayed if one was drawn
    /// recently.
    fn take(&mut self, message: DashMessage) -> io::Result<LoopFlow> {
        self.due.get_or_insert(self.drawn + FRAME);
        for effect in update(&mut self.session.model, message) {
            if let LoopFlow::Over = self.perform(effect)? {
                return Ok(LoopFlow::Over);
            }
        }
        Ok(LoopFlow::On)
    }

    fn draw(&mut self) -> io::Result<()> {
        self.drawn = Instant::now();
        let now_ms = (self.session.clock)();
        if std::mem::take(&mut self.resized) {
            self.wipe()?;
        }
        let size = self.screen.size()?;
        let model = &mut self.session.model;
        if model.size != (size.width, size.height) {
            update(model, DashMessage::Resize(size.width, size.height));
        }
        update(model, DashMessage::Frame(now_ms));
        self.screen.draw(|frame| view::draw(frame, model))?;
        self.due = model.is_moving().then(|| self.drawn + FRAME);
        Ok(())
    }

    /// Clears the terminal, so that the next frame writes every cell. It avoids `clear` after a
    /// resize, which would query the terminal: the key reader would consume the response.
    fn wipe(&mut self) -> io::Result<()> {
        let size = self.screen.size()?;
        self.screen.resize(Rect::new(0, 0, size.width, size.height))
    }

    fn input(&mut self, event: Input) -> io::Result<LoopFlow> {
        self.resized |= matches!(event, Input::Resize(..));
        match message(event) {
            Some(message) => self.take(message),
            None => Ok(LoopFlow::On),
        }
    }

    fn perform(&mut self, effect: DashEffect) -> io::Result<LoopFlow> {
        match effect {
            DashEffect::Quit => return Ok(LoopFlow::Over),
            DashEffect::Write { name, contents } => {
                let told = self.write(&name, &contents);
                return self.take(DashMessage::Told(told));
            }
            DashEffect::Copy(text) => {
                let mut out = io::stdout();
                write!(out, "{}", clipboard_sequence(&text))?;
                out.flush()?;
                return self.take(DashMessage::Told(format!("copied {text}")));
            }
            DashEffect::Mouse(on) => {
                if let Some(guard) = &self.guard {
                    guard.mouse(on)?;
                }
            }
            DashEffect::Redraw => self.wipe()?,
            DashEffect::Suspend => {
                self.guard = None;
                (self.session.suspend)();
                self.guard = Some(TerminalGuard::take(self.session.model.options.mouse)?);
                self.wipe()?;
            }
        }
        Ok(LoopFlow::On)
    }

    /// Never overwrites an existing file.
    fn write(&self, name: &str, contents: &str) -> String {
        let path = self.session.folder.join(name);
        match atomic::create_file(&path, contents.as_bytes()) {
            Ok(()) => format!("written: {}", path.display()),
            Err(error) => format!("cannot write {}: {error}", path.display()),
        }
    }
}

/// Converts a terminal event to a message of the state machine.
fn message(event: Input) -> Option<DashMessage> {
    match event {
        Input::Key(key) if key.kind != KeyEventKind::Release => key_of(key).map(DashMessage::Key),
        Input::Mouse(mouse) => mouse_of(mouse),
        Input::Paste(text) => Some(DashMessage::Paste(text)),
        Input::Resize(width, height) => Some(DashMessage::Resize(width, height)),
        _ => None,
    }
}

fn key_of(key: KeyEvent) -> Option<KeyPress> {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    Some(match key.code {
        KeyCode::Char(letter) if control => KeyPress::Ctrl(letter.to_ascii_lowercase()),
        KeyCode::Char(letter) => KeyPress::Char(letter),
        KeyCode::Enter => KeyPress::Enter,
        KeyCode::Esc => KeyPress::Esc,
        KeyCode::Tab => KeyPress::Tab,
        KeyCode::BackTab => KeyPress::BackTab,
        KeyCode::Backspace => KeyPress::Backspace,
        KeyCode::Up => KeyPress::Up,
        KeyCode::Down => KeyPress::Down,
        KeyCode::Left => KeyPress::Left,
        KeyCode::Right => KeyPress::Right,
        KeyCode::Home => KeyPress::Home,
        KeyCode::End => KeyPress::End,
        KeyCode::PageUp => KeyPress::PageUp,
        KeyCode::PageDown => KeyPress::PageDown,
        _ => return None,
    })
}

fn mouse_of(mouse: MouseEvent) -> Option<DashMessage> {
    let (x, y) = (mouse.column, mouse.row);
    match mouse.kind {
        MouseEventKind::Down(MouseButton::Left) => Some(DashMessage::Click { x, y }),
        MouseEventKind::ScrollDown => Some(DashMessage::Scroll { x, y, down: true }),
        MouseEventKind::ScrollUp => Some(DashMessage::Scroll { x, y, down: false }),
        _ => None,
    }
}

/// Waits for a termination signal.
#[cfg(unix)]
async fn ended() {
    use tokio::signal::unix::{SignalKind, signal};
    let each = [
        SignalKind::terminate(),
        SignalKind::interrupt(),
        SignalKind::hangup(),
    ];
    let waiting = each.into_iter().filter_map(|kind| signal(kind).ok());
    let waiting = waiting.map(|mut signal| Box::pin(async move { signal.recv().await }));
    let waiting: Vec<_> = waiting.collect();
    if waiting.is_empty() {
        return std::future::pending().await;
    }
    futures::future::select_all(waiting).await;
}

#[cfg(not(unix))]
async fn ended() {
    // If listening for Ctrl-C fails, a key still quits.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending().await
    }
}

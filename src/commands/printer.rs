//! The only writer to stdout and stderr.
//!
//! Results go to stdout, everything else to stderr. `--json` changes the form of a result, never
//! its stream. Credentials of URLs are always redacted. Progress bars are used only on a terminal;
//! elsewhere they become plain lines.

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    fmt,
    io::{IsTerminal, Write},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use anstyle::{AnsiColor, Style};
use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use serde::Serialize;

use openlora_core::{
    error::Failure,
    private::{
        foreign_text::{clean_line, clean_painted, clean_record, clean_text, escape_json},
        redact,
    },
};

/// When output is coloured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ColorChoice {
    #[default]
    Auto,
    Always,
    Never,
}

/// Verbosity of stderr.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    Quiet,
    Normal,
    Verbose,
}

/// Output configuration of a command.
#[derive(Clone, Debug)]
pub struct Printer {
    json: bool,
    verbosity: Verbosity,
    stdout_color: bool,
    stderr_color: bool,
    animated: bool,
    accessible: bool,
    /// The bar on the terminal, which makes way for every other line.
    bar: Arc<Mutex<Option<ProgressBar>>>,
}

/// An error as `--json` writes it to stderr.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct ErrorEnvelope<'a> {
    /// Name of the exit class.
    pub code: &'a str,
    pub message: &'a str,
    /// What the user can do next.
    pub hint: Option<&'a str>,
}

const ERROR: Style = AnsiColor::Red.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();

/// Minimum interval between two plain progress lines.
const PLAIN_INTERVAL: Duration = Duration::from_secs(5);

impl Printer {
    pub fn new(json: bool, verbosity: Verbosity, color: ColorChoice, accessible: bool) -> Self {
        let plain_terminal = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let allowed = |terminal: bool| match color {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => terminal && !plain_terminal && !no_color,
        };
        Self {
            json,
            verbosity,
            stdout_color: allowed(std::io::stdout().is_terminal()),
            stderr_color: allowed(std::io::stderr().is_terminal()),
            animated: std::io::stderr().is_terminal() && !plain_terminal && !accessible,
            accessible,
            bar: Arc::default(),
        }
    }

    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Whether plain lines were requested instead of moving output.
    pub fn is_accessible(&self) -> bool {
        self.accessible
    }

    /// Whether a person reads the notes as they come: they go to a terminal.
    pub fn is_watched(&self) -> bool {
        !self.json && self.verbosity >= Verbosity::Normal && std::io::stderr().is_terminal()
    }

    /// Whether results may be coloured; callers that style part of a line check this first.
    pub fn paints(&self) -> bool {
        self.stdout_color
    }

    /// Paints text for stdout when colour is on.
    pub fn paint(&self, style: Style, text: &str) -> String {
        painted(self.stdout_color, style, &clean_text(text))
    }

    /// One line of the result.
    pub fn line(&self, text: impl AsRef<str>) {
        self.write_stdout(&format!("{}\n", clean_line(text.as_ref())));
    }

    /// A part of the result with painted pieces. The caller cleans text from other parties before
    /// it composes this part.
    pub fn painted(&self, text: &str) {
        self.write_stdout(&format!("{}\n", clean_painted(text)));
    }

    /// The part of the result that has several lines by nature, such as an answer.
    pub fn text(&self, text: &str) {
        self.write_stdout(&format!("{}\n", clean_text(text)));
    }

    /// A picture for the terminal: escape sequences that this program has composed from pixels.
    pub fn picture(&self, drawn: &[u8]) {
        exit_on_broken_pipe(self.beside_bar(|| {
            let mut out = std::io::stdout().lock();
            out.write_all(drawn).and_then(|()| out.flush())
        }));
    }

    /// A piece of such a text without a line end, shown at once (streamed answers).
    pub fn piece(&self, text: &str) {
        self.write_stdout(&clean_text(text));
    }

    /// The result as one JSON value on one line.
    pub fn json<T: Serialize>(&self, value: &T) {
        match serde_json::to_string(value) {
            Ok(text) => self.write_stdout(&format!("{}\n", escape_json(&text))),
            Err(error) => self.warn(format!("the result cannot be written as JSON: {error}")),
        }
    }

    /// A note for the user.
    pub fn note(&self, text: impl AsRef<str>) {
        if self.verbosity >= Verbosity::Normal {
            self.write_stderr(&format!("{}\n", remark(text.as_ref())));
        }
    }

    /// A question, which the answer follows on the same line.
    pub fn question(&self, text: &str) {
        self.write_stderr(&clean_line(text));
    }

    /// A note that is shown only with `-v`.
    pub fn detail(&self, text: impl AsRef<str>) {
        if self.verbosity >= Verbosity::Verbose {
            self.write_stderr(&format!("{}\n", remark(text.as_ref())));
        }
    }

    pub fn warn(&self, text: impl AsRef<str>) {
        let label = painted(self.stderr_color, WARNING, "warning:");
        self.write_stderr(&format!("{label} {}\n", remark(text.as_ref())));
    }

    pub fn hint(&self, text: impl AsRef<str>) {
        if self.verbosity >= Verbosity::Normal {
            let label = painted(self.stderr_color, HINT, "hint:");
            self.write_stderr(&format!("{label} {}\n", remark(text.as_ref())));
        }
    }

    /// An error after which a person is asked again.
    pub fn refused(&self, failure: &Failure) {
        self.warn(&failure.message);
        if let Some(hint) = &failure.hint {
            self.hint(hint);
        }
    }

    /// Prints the error that ends the process: the JSON envelope with `--json`, otherwise error and
    /// hint.
    pub fn failure(&self, failure: &Failure) {
        if self.json {
            let envelope = ErrorEnvelope {
                code: failure.class.name(),
                message: &failure.message,
                hint: failure.hint.as_deref(),
            };
            if let Ok(text) = serde_json::to_string(&envelope) {
                self.write_stderr(&format!("{}\n", escape_json(&text)));
            }
            return;
        }
        let label = painted(self.stderr_color, ERROR, "error:");
        let mut text = format!("{label} {}\n", remark(&failure.message));
        if let Some(hint) = &failure.hint {
            let label = painted(self.stderr_color, HINT, "hint:");
            text += &format!("{label} {}\n", remark(hint));
        }
        // One write: no log record comes between an error and its hint.
        self.write_stderr(&text);
    }

    /// Progress of work with a known number of steps.
    pub fn progress(&self, what: &str, total: u64) -> ProgressReport {
        let bar = if self.animated && self.verbosity >= Verbosity::Normal {
            let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
            bar.set_style(bar_style());
            bar.set_prefix(clean_line(what).into_owned());
            *self.shown_bar() = Some(bar.clone());
            Some(bar)
        } else {
            None
        };
        ProgressReport {
            bar,
            printer: self.clone(),
            what: what.to_owned(),
            total,
            started: Instant::now(),
            last_line: None,
        }
    }

    fn write_stdout(&self, text: &str) {
        let text = redact::scrub(text);
        let written = self.beside_bar(|| {
            let mut out = std::io::stdout().lock();
            out.write_all(text.as_bytes()).and_then(|()| out.flush())
        });
        exit_on_broken_pipe(written);
    }

    fn write_stderr(&self, text: &str) {
        let text = redact::scrub(text);
        // If stderr itself is closed, there is no way to report it.
        let _ = self.beside_bar(|| {
            let mut out = std::io::stderr().lock();
            out.write_all(text.as_bytes()).and_then(|()| out.flush())
        });
    }

    /// Takes the bar off the terminal while something is written.
    fn beside_bar<T>(&self, write: impl FnOnce() -> T) -> T {
        match &*self.shown_bar() {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    fn shown_bar(&self) -> MutexGuard<'_, Option<ProgressBar>> {
        self.bar.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Prints a command-line parse error, which quotes arguments.
    pub fn print_usage_error(&self, text: &str) {
        self.write_stderr(&clean_text(text));
    }
}

/// Makes panic messages safe for a terminal: they quote what could not be handled.
pub fn clean_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let mut text = panic_report(&panic.to_string());
        let trace = Backtrace::capture();
        if trace.status() == BacktraceStatus::Captured {
            text += &format!("{trace}\n");
        }
        // If stderr itself is closed, there is no way to report it.
        let _ = std::io::stderr().write_all(redact::scrub(&text).as_bytes());
    }));
}

/// What stderr shows of a panic.
pub fn panic_report(text: &str) -> String {
    let thread = std::thread::current();
    let thread = thread.name().unwrap_or("without a name");
    format!("{}\n", remark(&format!("thread {thread} {text}")))
}

/// The log writer: to stderr, in whole lines, with redacted URLs.
#[derive(Debug, Default)]
pub struct LogWriter;

impl Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        // One write is one record.
        let record = clean_record(&String::from_utf8_lossy(bytes));
        std::io::stderr().write_all(redact::scrub(&record).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stderr().flush()
    }
}

/// A closed pipe, as with `head`, is no error: the reader does not want the rest.
fn exit_on_broken_pipe(written: std::io::Result<()>) {
    if written.is_err_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe) {
        std::process::exit(0);
    }
}

/// A remark for stderr: lines after the first are indented, so that no quoted text looks like a
/// line of this program.
fn remark(text: &str) -> String {
    clean_text(text).replace('\n', "\n  ")
}

fn painted(on: bool, style: Style, text: &str) -> String {
    if on {
        format!("{style}{text}{style:#}")
    } else {
        text.to_owned()
    }
}

fn bar_style() -> ProgressStyle {
    // Before the first step there is no pace to estimate from.
    let left = |state: &ProgressState, text: &mut dyn fmt::Write| {
        if state.pos() > 0 {
            // A text in memory can always be written.
            let _ = write!(text, " ETA {:#}", HumanDuration(state.eta()));
        }
    };
    ProgressStyle::with_template("{prefix} {bar:24} {pos}/{len} {msg}{left}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .with_key("left", left)
}

/// A running progress report: a bar on a terminal, a line every few seconds elsewhere.
pub struct ProgressReport {
    bar: Option<ProgressBar>,
    printer: Printer,
    what: String,
    total: u64,
    started: Instant,
    last_line: Option<Instant>,
}

impl ProgressReport {
    /// Moves to `position` and shows `message` (rate, loss and so on).
    pub fn update(&mut self, position: u64, message: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(clean_line(message).into_owned());
            bar.set_position(position);
            return;
        }
        let due = self.last_line.unwrap_or(self.started).elapsed() >= PLAIN_INTERVAL;
        if due || (position == self.total && self.last_line.is_some()) {
            self.last_line = Some(Instant::now());
            let remaining = self.remaining(position);
            self.printer.note(format!(
                "{} {position}/{} {message}{remaining}",
                self.what, self.total
            ));
        }
    }

    fn remaining(&self, position: u64) -> String {
        if position == 0 || position >= self.total {
            return String::new();
        }
        let per_step = self.started.elapsed().as_secs_f64() / position as f64;
        format!(" ETA {:.0}s", per_step * (self.total - position) as f64)
    }

    /// Removes the bar; the command prints its own closing line.
    pub fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            *self.printer.shown_bar() = None;
            bar.finish_and_clear();
        }
    }
}

impl Drop for ProgressReport {
    fn drop(&mut self) {
        self.finish();
    }
}

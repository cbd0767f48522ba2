//! A terminal emulator around the real binary: bytes out of a pty into cells that tests can read.

use std::{
    io::{BufRead, BufReader, Read, Write},
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    sync::{Arc, Condvar, Mutex},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::paths::repository;
use crate::support::{binary, openlora};
use crate::waiting::{self, PATIENCE};

/// A running program and its screen.
pub struct Screen {
    child: Child,
    keys: Option<ChildStdin>,
    cells: Arc<(Mutex<Seen>, Condvar)>,
    reader: Option<JoinHandle<()>>,
    answers: BufReader<std::process::ChildStderr>,
}

struct Seen {
    parser: vt100::Parser,
    /// Everything that was written.
    bytes: Vec<u8>,
}

fn parser(columns: u16, lines: u16) -> vt100::Parser {
    vt100::Parser::new(lines.try_into().unwrap(), columns.try_into().unwrap(), 0)
}

/// `openlora` with these arguments in `dir`, on a terminal of its own.
pub fn on_terminal(dir: &Path, (columns, lines): (u16, u16), args: &[&str]) -> Screen {
    with_environment(dir, (columns, lines), args, &[("COLORTERM", "truecolor")])
}

/// The same with variables set.
pub fn with_environment(
    dir: &Path,
    (columns, lines): (u16, u16),
    args: &[&str],
    environment: &[(&str, &str)],
) -> Screen {
    let mut wish = openlora(dir).env("TERM", "xterm-256color");
    for (name, value) in environment {
        wish = wish.env(name, value);
    }
    let environment = wish.into_command();
    let script = repository().join("tests/data/dash/terminal.py");
    let mut command = Command::new("python3");
    command.current_dir(dir).env_clear();
    for (name, value) in environment.get_envs() {
        command.env(name, value.unwrap());
    }
    command
        .arg(script)
        .arg(format!("{columns}x{lines}"))
        .arg(binary())
        .args(args);
    start(command, (columns, lines))
}

fn start(mut command: Command, (columns, lines): (u16, u16)) -> Screen {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("python3 runs the pty; install Python 3.10 or later");
    let mut out = child.stdout.take().unwrap();
    let seen = Seen {
        parser: parser(columns, lines),
        bytes: Vec::new(),
    };
    let cells = Arc::new((Mutex::new(seen), Condvar::new()));
    let shared = Arc::clone(&cells);
    let reader = std::thread::spawn(move || {
        let mut buffer = [0; 1 << 16];
        while let Ok(read @ 1..) = out.read(&mut buffer) {
            let mut seen = shared.0.lock().unwrap();
            seen.parser.process(&buffer[..read]);
            seen.bytes.extend_from_slice(&buffer[..read]);
            shared.1.notify_all();
        }
        shared.1.notify_all();
    });
    Screen {
        keys: child.stdin.take(),
        answers: BufReader::new(child.stderr.take().unwrap()),
        child,
        cells,
        reader: Some(reader),
    }
}

impl Screen {
    fn wish(&mut self, wish: &Value) {
        let keys = self.keys.as_mut().unwrap();
        writeln!(keys, "{wish}").unwrap();
        keys.flush().unwrap();
    }

    pub fn press(&mut self, keys: &str) {
        self.wish(&json!({ "keys": keys }));
    }

    pub fn signal(&mut self, number: i32) {
        self.wish(&json!({ "signal": number }));
    }

    pub fn resize(&mut self, (columns, lines): (u16, u16)) {
        let (lines_, columns_) = (lines.try_into().unwrap(), columns.try_into().unwrap());
        let mut seen = self.cells.0.lock().unwrap();
        seen.parser.screen_mut().set_size(lines_, columns_);
        drop(seen);
        self.wish(&json!({ "size": [columns, lines] }));
    }

    /// What the program has used so far: `seconds` of processor time, memory in kilobytes.
    #[allow(dead_code, reason = "only the benches ask")]
    pub fn usage(&mut self) -> Value {
        self.wish(&json!({ "usage": true }));
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    pub fn text(&self) -> String {
        self.cells.0.lock().unwrap().parser.screen().contents()
    }

    /// Everything that was written so far.
    pub fn bytes(&self) -> Vec<u8> {
        self.cells.0.lock().unwrap().bytes.clone()
    }

    /// Waits until the screen's text is as wanted, and returns it.
    #[track_caller]
    pub fn until(&self, what: &str, fits: impl Fn(&str) -> bool) -> String {
        self.until_within(PATIENCE, what, fits)
    }

    /// The same for what takes the program a while.
    #[track_caller]
    pub fn until_within(
        &self,
        patience: Duration,
        what: &str,
        fits: impl Fn(&str) -> bool,
    ) -> String {
        let deadline = Instant::now() + patience;
        let mut seen = self.cells.0.lock().unwrap();
        loop {
            let text = seen.parser.screen().contents();
            if fits(&text) {
                return text;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "the screen never showed {what}:\n{text}");
            seen = self.cells.1.wait_timeout(seen, left).unwrap().0;
        }
    }

    #[track_caller]
    pub fn shows(&self, wanted: &str) -> String {
        self.until(wanted, |text| text.contains(wanted))
    }

    #[track_caller]
    pub fn loses(&self, unwanted: &str) -> String {
        self.until(&format!("no {unwanted}"), |text| !text.contains(unwanted))
    }

    /// Waits for the program's end: its exit status, whether the terminal's modes are as they
    /// were, and what is left on the screen.
    #[track_caller]
    pub fn end(mut self) -> (i64, bool, String) {
        let mut last = String::new();
        self.answers.read_line(&mut last).unwrap();
        let last: Value = serde_json::from_str(&last).unwrap_or_else(|_| {
            let mut rest = String::new();
            self.answers.read_to_string(&mut rest).unwrap();
            panic!("the pty broke: {last}{rest}")
        });
        drop(self.keys.take());
        waiting::ended("the pty's program", &mut self.child);
        self.reader.take().unwrap().join().unwrap();
        let restored = last["restored"] == true;
        (last["status"].as_i64().unwrap(), restored, self.text())
    }
}

impl Screen {
    /// The same with every byte that was written.
    #[track_caller]
    pub fn end_with_bytes(self) -> (i64, bool, Vec<u8>) {
        let cells = Arc::clone(&self.cells);
        let (status, restored, _) = self.end();
        let bytes = cells.0.lock().unwrap().bytes.clone();
        (status, restored, bytes)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // Its program gets a hang-up.
        drop(self.keys.take());
        waiting::end(&mut self.child);
    }
}

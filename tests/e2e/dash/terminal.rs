//! The real binary on a pty: it opens, filters, expands, exports, quits, and leaves the terminal as
//! it was, however it ends.

use std::{fs, process::Command, time::Duration};

use super::plain::{home, path_of};
use crate::{
    dash_terminal::{Screen, on_terminal, with_environment},
    scenarios::{SIZES, folder},
    support::binary,
    waiting,
};

const LEAVES: &[u8] = b"\x1b[?1049l";

fn replay(size: (u16, u16)) -> (tempfile::TempDir, Screen) {
    let home = home();
    let path = path_of("busy");
    let screen = on_terminal(
        home.path(),
        size,
        &["dash", "--replay", &path, "--speed", "0"],
    );
    (home, screen)
}

fn has(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|part| part == wanted)
}

/// The letters of a kept screen.
fn kept(name: &str) -> String {
    let text = fs::read_to_string(folder().join("screens").join(name)).unwrap();
    text.split("-- styles")
        .next()
        .unwrap()
        .trim_end()
        .to_owned()
}

fn trimmed(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    lines.join("\n").trim_end().to_owned()
}

#[test]
fn a_replay_shows_the_kept_screen_at_every_size() {
    for (columns, lines) in SIZES {
        let (_home, mut screen) = replay((columns, lines));
        let wanted = kept(&format!("all-{columns}x{lines}.txt"));
        screen.until("the kept screen", |text| trimmed(text) == wanted);
        screen.press("q");
        assert_eq!(screen.end().0, 0);
    }
}

#[test]
fn keys_filter_expand_and_export_and_the_terminal_is_as_before() {
    let (home, mut screen) = replay((120, 40));
    screen.shows("replay ended");
    screen.press("/status:refunded");
    screen.shows("/status:refunded");
    screen.press("\r");
    screen.shows("filter: status:refunded");
    screen.press("e");
    screen.loses("4 Attribution");
    screen.press("x");
    screen.shows("written:");
    screen.press("\r");
    screen.shows("Who shaped the answer");
    screen.press("y");
    screen.shows("copied ");
    assert!(has(&screen.bytes(), b"\x1b]52;c;"));
    screen.press("\u{1b}");
    screen.loses("Who shaped the answer");
    screen.press("?");
    screen.shows("show and search the keys");
    screen.press("\u{1b}");
    screen.loses("show and search the keys");
    screen.press("q");
    let bytes = screen.bytes();
    let (status, restored, _) = screen.end();
    assert_eq!((status, restored), (0, true));
    assert!(has(&bytes, b"\x1b[?1049h"));
    let written: Vec<_> = fs::read_dir(home.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == "csv"))
        .collect();
    assert_eq!(written.len(), 1);
    let text = fs::read_to_string(&written[0]).unwrap();
    assert!(text.lines().skip(1).all(|line| line.ends_with(",refunded")));
}

fn header(text: &str) -> &str {
    text.lines().next().unwrap()
}

/// How many columns of the inflow chart hold a bar.
fn columns_with_ink(text: &str) -> usize {
    let lines: Vec<Vec<char>> = text.lines().map(|line| line.chars().collect()).collect();
    let top = text
        .lines()
        .position(|line| line.contains(" 1 Inflow "))
        .unwrap();
    let axis = (top + 1..lines.len())
        .find(|at| lines[*at].first() == Some(&'╰'))
        .unwrap()
        - 1;
    let right = lines[top].iter().position(|sign| *sign == '╮').unwrap();
    let inked = |column: &usize| {
        lines[top + 2..axis].iter().any(|line| {
            line.get(*column)
                .is_some_and(|sign| "▁▂▃▄▅▆▇█".contains(*sign))
        })
    };
    (1..right).filter(inked).count()
}

/// The steps of the demonstration: training, half a minute of calls, and an end that says so.
#[test]
fn the_demo_shows_its_training_its_calls_and_its_end() {
    let home = home();
    let mut screen = on_terminal(home.path(), (120, 30), &["demo", "--dash"]);
    let training = screen.shows("─ Training ─");
    assert!(training.contains("DEMO: no real money"), "{training}");
    assert!(header(&training).contains("▶ training "), "{training}");
    screen.until("its loss", |text| {
        text.contains("  loss ") && text.contains(" left ─")
    });
    // Training, evaluation, packaging and deployment take what the machine needs for them.
    let long = Duration::from_secs(600);
    let step = |number: &str| screen.until_within(long, number, |text| text.contains(number));
    let calls = step("8. A buyer calls them");
    assert!(!calls.contains("─ Training ─"), "{calls}");
    let last = step("10. Many payments become");
    // Half a minute of calls, in a chart of one minute.
    assert!(columns_with_ink(&last) >= 20, "{last}");
    let end = step("■ finished");
    assert!(end.contains("finished after "), "{end}");
    for escape in ["\u{1b}", "[1m", "[2m", "[0m"] {
        assert!(!end.contains(escape), "{end}");
    }
    // A notice is there for seconds, in which the clock stands still.
    screen.press("T");
    let at_once = screen.shows("theme light");
    let later = screen.loses("theme light");
    assert!(header(&later).contains("■ finished "), "{later}");
    assert_eq!(header(&later), header(&at_once));
    screen.press("q");
    let (status, restored, text) = screen.end();
    assert_eq!((status, restored), (0, true), "{text}");
    assert!(text.contains("The demonstration took "), "{text}");
}

#[test]
fn signals_give_the_terminal_back_too() {
    for signal in [1, 2, 15] {
        let (_home, mut screen) = replay((80, 24));
        screen.shows("replay ended");
        screen.signal(signal);
        let cells = screen.end_with_bytes();
        assert_eq!((cells.0, cells.1), (0, true), "signal {signal}");
        assert!(has(&cells.2, LEAVES), "signal {signal}");
        assert!(has(&cells.2, b"\x1b[?25h"), "signal {signal}");
    }
}

#[test]
fn a_storm_of_sizes_ends_with_the_kept_screen() {
    let (_home, mut screen) = replay((120, 40));
    screen.shows("replay ended");
    for step in 0..60u16 {
        screen.resize((20 + step * 37 % 200, 5 + step * 23 % 60));
    }
    screen.resize((120, 40));
    let wanted = kept("all-120x40.txt");
    screen.until("the kept screen", |text| trimmed(text) == wanted);
    screen.press("q");
    assert_eq!(screen.end().0, 0);
}

/// Whether a byte stream chooses a colour: 3x, 4x, 9x, 10x of SGR, 39 and 49 left out.
fn has_colour(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let colour = regex::Regex::new(r"\x1b\[(?:\d+;)*(?:3[0-8]|4[0-8]|9\d|10\d)(?:;\d+)*m").unwrap();
    colour.is_match(&text)
}

#[test]
fn no_color_means_no_colour() {
    let path = path_of("busy");
    let args = ["dash", "--replay", path.as_str(), "--speed", "0"];
    for (environment, coloured) in [
        (&[("NO_COLOR", "1"), ("COLORTERM", "truecolor")][..], false),
        (&[("COLORTERM", "truecolor")][..], true),
        (&[][..], true),
    ] {
        let home = home();
        let mut screen = with_environment(home.path(), (120, 40), &args, environment);
        screen.shows("replay ended");
        screen.press("q");
        let bytes = screen.end_with_bytes().2;
        assert_eq!(has_colour(&bytes), coloured, "{environment:?}");
    }
}

#[test]
fn a_terminal_that_cannot_place_letters_is_refused() {
    let home = home();
    let screen = with_environment(home.path(), (80, 24), &["dash"], &[("TERM", "dumb")]);
    let (status, restored, text) = screen.end();
    assert_eq!((status, restored), (4, true));
    assert!(
        text.starts_with("error: the dashboard needs a terminal, and TERM is `dumb`"),
        "{text}"
    );
}

/// A second terminal that people use: tmux.
#[test]
fn tmux_opens_filters_expands_exports_and_is_as_before() {
    let home = home();
    let socket = home.path().join("tmux.sock");
    let tmux = |args: &[&str]| {
        let mut command = Command::new("tmux");
        command
            .env("OPENLORA_HOME", home.path().join("home"))
            .current_dir(home.path());
        command
            .arg("-S")
            .arg(&socket)
            .args(["-f", "/dev/null"])
            .args(args);
        let out = waiting::output(&mut command);
        assert!(
            out.status.success(),
            "{args:?}: {}",
            String::from_utf8_lossy(&out.stderr)
        );
        String::from_utf8(out.stdout).unwrap()
    };
    // The shell stays, to see what the dashboard leaves behind.
    tmux(&[
        "new-session",
        "-d",
        "-x",
        "120",
        "-y",
        "40",
        "-s",
        "dash",
        "env",
        "PS1=ready$ ",
        "sh",
    ]);
    let until = |wanted: &str| {
        waiting::wait_for(&format!("tmux to show {wanted}"), || {
            let text = tmux(&["capture-pane", "-p", "-t", "dash"]);
            text.contains(wanted).then_some(text)
        })
    };
    until("ready$");
    tmux(&["send-keys", "-t", "dash", "echo before", "Enter"]);
    until("\nbefore");
    let line = format!(
        "{} dash --replay {} --speed 0",
        binary().display(),
        path_of("busy")
    );
    tmux(&["send-keys", "-t", "dash", &line, "Enter"]);
    until("replay ended");
    tmux(&["send-keys", "-t", "dash", "/kind:chat", "Enter"]);
    until("filter: kind:chat");
    tmux(&["send-keys", "-t", "dash", "e"]);
    tmux(&["send-keys", "-t", "dash", "x"]);
    until("written:");
    tmux(&["send-keys", "-t", "dash", "q"]);
    let after = until("before\n");
    assert!(!after.contains("EARNED"), "{after}");
    // Typed earlier, the answer would stand behind the prompt.
    waiting::wait_for("the shell to ask for the next command", || {
        let text = tmux(&["capture-pane", "-p", "-t", "dash"]);
        text.trim_end().ends_with("ready$").then_some(())
    });
    tmux(&["send-keys", "-t", "dash", "echo after", "Enter"]);
    until("\nafter");
    tmux(&["kill-server"]);
}

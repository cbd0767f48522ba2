//! Waiting for something that another thread, task or process brings about: on a condition, with a
//! deadline, saying what did not happen.

use std::{
    process::{Child, Command, ExitStatus, Output, Stdio},
    time::{Duration, Instant},
};

/// Long enough for the slowest machine; a test that passes waits only as long as it must.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// For whole programs, trainings and installations among them.
pub const LONGEST: Duration = Duration::from_secs(900);

/// How long to rest between looks: most things happen at once, and what does not is not rushed.
fn pause(looks: u32) -> Duration {
    match looks {
        0..20 => Duration::ZERO,
        20..100 => Duration::from_millis(1),
        _ => Duration::from_millis(10),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place where a test rests between two looks at its condition"
)]
fn rest(looks: u32) {
    match pause(looks) {
        Duration::ZERO => std::thread::yield_now(),
        pause => std::thread::sleep(pause),
    }
}

/// Blocks until `find` finds something, and returns it.
#[track_caller]
pub fn wait_for<T>(what: &str, mut find: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    for looks in 0.. {
        if let Some(found) = find() {
            return found;
        }
        assert!(
            Instant::now() < deadline,
            "waited {PATIENCE:?} in vain for {what}"
        );
        rest(looks);
    }
    unreachable!("the deadline passes before looks run out")
}

/// Blocks until `is` holds.
#[track_caller]
pub fn wait_until(what: &str, mut is: impl FnMut() -> bool) {
    wait_for(what, || is().then_some(()));
}

/// Waits for a future, but not for ever.
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(PATIENCE, future).await;
    done.unwrap_or_else(|_| panic!("waited {PATIENCE:?} in vain for {what}"))
}

/// The same for all that a test does at once.
pub async fn within_longest<T>(what: &str, future: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(LONGEST, future).await;
    done.unwrap_or_else(|_| panic!("waited {LONGEST:?} in vain for {what}"))
}

/// Waits until `find` finds something, and returns it.
pub async fn found<T>(what: &str, mut find: impl AsyncFnMut() -> Option<T>) -> T {
    within(what, async {
        let mut looks = 0;
        loop {
            if let Some(found) = find().await {
                return found;
            }
            match pause(looks) {
                Duration::ZERO => tokio::task::yield_now().await,
                pause => tokio::time::sleep(pause).await,
            }
            looks = looks.saturating_add(1);
        }
    })
    .await
}

/// Waits until `is` holds.
pub async fn until(what: &str, mut is: impl AsyncFnMut() -> bool) {
    found(what, async || is().await.then_some(())).await;
}

/// Waits for the end of a process; one that does not end is killed, and the test fails.
#[track_caller]
pub fn ended(what: &str, child: &mut Child) -> ExitStatus {
    end_within(PATIENCE, child)
        .unwrap_or_else(|| panic!("{what} had to be killed: it had not ended after {PATIENCE:?}"))
}

/// Waits for a process to end by itself and kills it otherwise, for clean-ups.
pub fn end(child: &mut Child) {
    let _ = end_within(PATIENCE, child);
}

fn end_within(patience: Duration, child: &mut Child) -> Option<ExitStatus> {
    let deadline = Instant::now() + patience;
    for looks in 0.. {
        match child.try_wait() {
            Ok(None) if Instant::now() < deadline => {}
            Ok(status @ Some(_)) => return status,
            _ => break,
        }
        rest(looks);
    }
    let _ = child.kill();
    let _ = child.wait();
    None
}

/// Runs a program without input to its end; one that does not end is killed, and the test fails.
///
/// # Panics
/// Also when it is not installed, saying what to install.
#[track_caller]
pub fn output(command: &mut Command) -> Output {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let child = command.spawn().unwrap_or_else(|error| {
        let program = command.get_program().to_string_lossy().into_owned();
        panic!("cannot run {program}: {error}; {}", remedy(&program))
    });
    finished(child)
}

/// Waits for the end of a program and reads all that it says; one that does not end is killed, and the
/// test fails.
#[track_caller]
pub fn finished(child: Child) -> Output {
    let id = child.id().to_string();
    let (told, heard) = std::sync::mpsc::channel();
    std::thread::spawn(move || told.send(child.wait_with_output()));
    match heard.recv_timeout(LONGEST) {
        Ok(output) => output.unwrap(),
        Err(_) => {
            let _ = Command::new("kill").args(["-KILL", &id]).status();
            panic!("a program had to be killed: it had not ended after {LONGEST:?}")
        }
    }
}

/// What to install where a program is missing.
fn remedy(program: &str) -> &'static str {
    match program {
        "dpkg-deb" => "install dpkg",
        "node" | "npm" => "install Node.js 20 or later, with npm",
        "python3" => "install Python 3.10 or later, with venv",
        "tmux" => "install tmux 3 or later",
        "unshare" => "install util-linux",
        _ => "install it, or look at what this test's module says",
    }
}

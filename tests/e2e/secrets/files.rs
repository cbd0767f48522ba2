//! Whatever a home holds is its owner's alone, whatever the umask was and whatever an earlier
//! version left.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use openlora_core::private::files;
use openlora_journal::Journal;
use openlora_ledger::event::Event;

use crate::{
    live::{serve_args, write_adapters},
    support::{Run, binary, openlora},
    waiting,
};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Everything below a folder and the folder, with what is wrong with its mode.
fn open_to_others(path: &Path) -> Vec<(PathBuf, u32)> {
    let mut found = Vec::new();
    let mut pending = vec![path.to_owned()];
    while let Some(path) = pending.pop() {
        let is_dir = path.is_dir();
        let expected = if is_dir { 0o700 } else { 0o600 };
        if mode(&path) != expected {
            found.push((path.clone(), mode(&path)));
        }
        if is_dir {
            pending.extend(fs::read_dir(&path).unwrap().map(|it| it.unwrap().path()));
        }
    }
    found
}

/// Runs the binary under a umask that takes nothing from anybody.
fn unmasked(dir: &Path, args: &[&str]) -> Run {
    let output = Command::new("sh")
        .args(["-c", "umask 0; exec \"$0\" \"$@\""])
        .arg(binary())
        .args(args)
        .current_dir(dir)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", dir)
        .env("OPENLORA_HOME", dir.join("home"))
        // Of several tests at once, each has a chain of its own.
        .env("OPENLORA_DEVNET_PORT", "0")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    Run {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A development chain in the background, which ends with the test.
struct Chain<'a>(&'a Path);

impl<'a> Chain<'a> {
    fn start(dir: &'a Path) -> Self {
        unmasked(dir, &["devnet", "start"]).succeeds();
        Self(dir)
    }
}

impl Drop for Chain<'_> {
    fn drop(&mut self) {
        unmasked(self.0, &["devnet", "stop"]);
    }
}

#[test]
fn no_command_leaves_anything_in_its_home_that_others_can_read() {
    let dir = tempfile::tempdir().unwrap();
    write_adapters(dir.path());
    fs::write(dir.path().join("password"), "a long enough password\n").unwrap();
    let password = ["--password-file", "password"];
    unmasked(
        dir.path(),
        &[&["wallet", "new", "me", "--light-kdf"], &password[..]].concat(),
    )
    .succeeds();
    unmasked(dir.path(), &["config", "set", "--user", "train.rank", "4"]).succeeds();
    unmasked(dir.path(), &["doctor"]).succeeds();
    let chain = Chain::start(dir.path());
    unmasked(dir.path(), &["wallet", "balance", "me"]).succeeds();
    // A purse and a channel's lock, without a seller.
    assert_ne!(unmasked(dir.path(), &["channel", "refund", "0x00"]).code, 0);
    serve_once(dir.path());
    unmasked(dir.path(), &["--json", "dash"]).succeeds();
    drop(chain);
    let home = dir.path().join("home");
    for name in ["config", "data"] {
        assert_eq!(open_to_others(&home.join(name)), Vec::new());
    }
    assert_eq!(mode(&home.join("cache")), 0o700);
    let data = |name: &str| home.join("data").join(name);
    for name in [
        "journal.sqlite",
        "journal.sqlite.lock",
        "operator.token",
        "facilitator.token",
        "keystores/me.json",
        "attribution-waiting",
        "transparency-log.key",
        "transparency-log/checkpoint",
        "devnet/31337/chain.sqlite",
        "devnet/31337/log",
    ] {
        assert!(data(name).exists(), "{name}");
    }
}

/// A server that answers a call and, while it runs, has its write-ahead log open.
fn serve_once(dir: &Path) {
    let args = serve_args(0);
    let mut child = Command::new("sh")
        .args(["-c", "umask 0; exec \"$0\" \"$@\""])
        .arg(binary())
        .args(&args)
        .current_dir(dir)
        .env("OPENLORA_HOME", dir.join("home"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdout = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut stdout, &mut line).unwrap();
    let ready: serde_json::Value = serde_json::from_str(&line).unwrap();
    let call = [
        "call",
        "hello",
        "--adapter",
        "filter",
        "--url",
        ready["url"].as_str().unwrap(),
    ];
    unmasked(dir, &call).succeeds();
    for name in ["journal.sqlite-wal", "journal.sqlite-shm", "serve.json"] {
        assert_eq!(mode(&dir.join("home/data").join(name)), 0o600, "{name}");
    }
    let id = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &id])
            .status()
            .unwrap()
            .success()
    );
    assert!(waiting::ended("the server", &mut child).success());
}

#[test]
fn what_an_earlier_version_left_open_is_closed_with_a_notice() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("home/data");
    fs::create_dir_all(data.join("keystores")).unwrap();
    let path = data.join("journal.sqlite");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let journal = Journal::open(&path).unwrap();
    let event = Event::ServerStopped {
        session: "s".to_owned(),
    };
    runtime.block_on(journal.append(event)).unwrap();
    fs::write(data.join("keystores/old.json"), "{}").unwrap();
    fs::write(data.join("journal.sqlite.board"), "").unwrap();
    drop(journal);
    for name in [
        "journal.sqlite",
        "journal.sqlite.lock",
        "journal.sqlite.board",
        "keystores/old.json",
    ] {
        chmod(&data.join(name), 0o644);
    }
    chmod(&data.join("keystores"), 0o755);
    chmod(&data, 0o755);
    // Its owner may have pointed at something elsewhere, which is not ours.
    let elsewhere = dir.path().join("elsewhere");
    fs::write(&elsewhere, "").unwrap();
    chmod(&elsewhere, 0o644);
    std::os::unix::fs::symlink(&elsewhere, data.join("link")).unwrap();
    let run = openlora(dir.path())
        .args(["--json", "dash"])
        .run()
        .succeeds();
    let expected = format!(
        "{} was open to other users of this machine: 6 files and folders there are its owner's \
         alone now\n",
        data.display()
    );
    assert_eq!(run.stderr, expected);
    fs::remove_file(data.join("link")).unwrap();
    assert_eq!(open_to_others(&data), Vec::new());
    assert_eq!(mode(&elsewhere), 0o644);
    let again = openlora(dir.path())
        .args(["--json", "dash"])
        .run()
        .succeeds();
    assert_eq!(again.stderr, "");
}

#[test]
fn opening_a_file_of_ours_tightens_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.sqlite");
    drop(Journal::open(&path).unwrap());
    chmod(&path, 0o664);
    drop(Journal::open(&path).unwrap());
    assert_eq!(mode(&path), 0o600);
    let file = dir.path().join("file");
    files::file(&file).unwrap();
    assert_eq!(mode(&file), 0o600);
    for (before, after) in [(0o644, 0o600), (0o755, 0o700), (0o440, 0o400)] {
        chmod(&file, before);
        files::tighten_tree(dir.path()).unwrap();
        assert_eq!(mode(&file), after);
    }
    chmod(&file, 0o664);
    files::file(&file).unwrap();
    assert_eq!(mode(&file), 0o600);
    let folder = dir.path().join("a/b");
    files::folder(&folder).unwrap();
    assert_eq!((mode(&folder), mode(&dir.path().join("a"))), (0o700, 0o700));
    // A folder that somebody else made for a journal stays as it is.
    let shared = dir.path().join("shared");
    fs::create_dir(&shared).unwrap();
    chmod(&shared, 0o755);
    drop(Journal::open(&shared.join("journal.sqlite")).unwrap());
    assert_eq!(
        (mode(&shared), mode(&shared.join("journal.sqlite"))),
        (0o755, 0o600)
    );
}

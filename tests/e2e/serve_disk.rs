//! `serve` on disks that are really full or really read-only.
#![cfg(target_os = "linux")]

use serde_json::Value;

use crate::{
    live::{serve_args, write_adapters},
    support::{Run, with_own_mounts},
};

/// Runs `script` in an empty home with two adapters, after giving it `serve` and `call`.
fn served(script: &str) -> Run {
    let dir = tempfile::tempdir().unwrap();
    write_adapters(dir.path());
    let serve = serve_args(0).join("' '");
    let script = format!(
        "set -u\n\
         ask() {{ \"$0\" call hello --adapter persona --max-tokens 2 --temperature 0 --json --url \"$url\"; }}\n\
         begin() {{ mkfifo ready; \"$0\" '{serve}' > ready 2> server.log & server=$!\n\
           read -r line < ready; url=$(echo \"$line\" | sed 's/.*\"url\":\"\\([^\"]*\\)\".*/\\1/'); }}\n\
         mkdir home; {script}"
    );
    let run = with_own_mounts(dir.path(), &script);
    Run {
        stderr: run.stderr.replace(&dir.path().display().to_string(), "DIR"),
        ..run
    }
}

#[test]
fn a_disk_that_fills_up_refuses_calls_and_goes_on_when_there_is_room() {
    // A few calls may still fit into blocks that the journal has; then no byte more does.
    let run = served(
        "mount -t tmpfs -o size=4m tmpfs home; begin; ask || exit 90\n\
         dd if=/dev/zero of=home/fill bs=4096 2> /dev/null\n\
         for i in 1 2 3 4 5 6 7 8 9; do ask > /dev/null 2> refused; code=$?; [ $code = 0 ] || break; done\n\
         cat refused >&2; echo \"refused $code\"\n\
         rm home/fill; ask || exit 91\n\
         kill -TERM $server; wait $server; echo \"ended $?\"",
    );
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert_eq!(lines.len(), 4, "{run:?}");
    assert_eq!((run.code, lines[1], lines[3]), (0, "refused 5", "ended 0"));
    let of = |line: &str| serde_json::from_str::<Value>(line).unwrap();
    let (before, after) = (of(lines[0]), of(lines[2]));
    assert_eq!(before["usage"], after["usage"]);
    assert_eq!(
        run.stderr,
        "{\"code\":\"network\",\"message\":\"the server refused: Calls cannot be counted now, so none is \
         answered.\",\"hint\":null}\n"
    );
}

#[test]
fn a_read_only_home_is_named_before_anything_is_loaded() {
    let run = served(
        "mount -t tmpfs tmpfs home; mount -o remount,ro home; begin; wait $server; code=$?\n\
         cat server.log >&2; exit $code",
    );
    run.fails(
        4,
        "{\"code\":\"environment\",\"message\":\"cannot create the folder DIR/home/data: read-only file \
         system\",\"hint\":\"choose a writable folder, or set OPENLORA_HOME to one\"}\n",
    );
}

#[test]
fn a_journal_that_became_read_only_is_named() {
    let run = served(
        "mount -t tmpfs tmpfs home; begin; ask > /dev/null || exit 90\n\
         kill -TERM $server; wait $server; rm ready; mount -o remount,ro home; begin; wait $server; code=$?\n\
         tail -n 1 server.log >&2; exit $code",
    );
    run.fails(
        4,
        "{\"code\":\"environment\",\"message\":\"the journal DIR/home/data/journal.sqlite cannot be \
         written: read-only file system\",\"hint\":\"make that folder writable, or set OPENLORA_HOME to \
         one that is\"}\n",
    );
}

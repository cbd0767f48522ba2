//! `--accessible`, `--json`, and what is said where there is no terminal.

use openlora_core::private::files;
use serde_json::Value;

use crate::{
    dash_terminal::on_terminal,
    scenarios::{TOKEN, folder},
    support::openlora,
};

/// A home whose settings know the scenarios' money.
pub fn home() -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    let settings = format!(
        "[network.local]\ntoken = \"{TOKEN}\"\ntoken_symbol = \"dUSD\"\ntoken_decimals = 6\n\
         token_name = \"Test\"\ntoken_version = \"1\"\n"
    );
    std::fs::write(home.path().join("openlora.toml"), settings).unwrap();
    home
}

pub fn path_of(scenario: &str) -> String {
    folder()
        .join(format!("{scenario}.jsonl"))
        .display()
        .to_string()
}

#[test]
fn accessible_output_is_plain_lines_as_kept() {
    for name in ["free", "busy"] {
        let home = home();
        let path = path_of(name);
        let args = [
            "--accessible",
            "dash",
            "--replay",
            path.as_str(),
            "--speed",
            "0",
        ];
        let run = openlora(home.path()).args(args).run().succeeds();
        assert_eq!(run.stderr, "");
        let kept = folder().join(format!("screens/{name}-plain.txt"));
        if std::env::var_os("REGENERATE").is_some() {
            std::fs::write(&kept, &run.stdout).unwrap();
        }
        assert_eq!(
            run.stdout,
            std::fs::read_to_string(kept).unwrap_or_default()
        );
        assert!(!run.stdout.contains('\u{1b}'));
    }
}

#[test]
fn without_a_terminal_it_is_exit_4_with_a_hint() {
    let home = home();
    openlora(home.path()).args(["dash"]).run().fails(
        4,
        "error: the dashboard needs a terminal, and standard output is none\n\
         hint: plain lines go anywhere: openlora dash --accessible; sums once: openlora --json dash\n",
    );
    openlora(home.path()).args(["demo", "--dash"]).run().fails(
        4,
        "error: the dashboard needs a terminal, and standard output is none\n\
         hint: leave --dash out: the steps are printed as plain lines\n",
    );
}

/// A failure of the source keeps its exit code and its hint.
#[test]
fn a_journal_that_is_none_is_refused_with_lines_and_on_the_screen() {
    let home = home();
    let journal = home.path().join("home/data/journal.sqlite");
    std::fs::create_dir_all(journal.parent().unwrap()).unwrap();
    std::fs::write(&journal, "my shopping list\n".repeat(100)).unwrap();
    // Otherwise the program does it, and says so.
    files::tighten_tree(&home.path().join("home")).unwrap();
    let as_json = openlora(home.path()).args(["--json", "dash"]).run();
    let error: Value = serde_json::from_str(&as_json.stderr).unwrap();
    let said = |name: &str| error[name].as_str().unwrap().to_owned();
    let (message, hint) = (said("message"), said("hint"));
    assert_eq!((as_json.code, said("code").as_str()), (4, "environment"));
    assert!(
        message.contains(" is not an openlora journal: "),
        "{message}"
    );
    let expected = format!("error: {message}\nhint: {hint}\n");
    let plain = openlora(home.path()).args(["--accessible", "dash"]).run();
    plain.fails(4, &expected);
    let mut screen = on_terminal(home.path(), (200, 24), &["dash"]);
    // As much of it as certainly fits into the last line.
    let said: String = format!(" {message}; {hint}").chars().take(100).collect();
    screen.until("the failure", |text| {
        let last = text.lines().last().unwrap_or_default();
        text.contains("✗ failed ") && last.starts_with(&said)
    });
    screen.press("q");
    assert_eq!(screen.end().0, 0);
}

#[test]
fn a_recording_that_is_none_is_refused_by_its_line() {
    let home = home();
    std::fs::write(home.path().join("bad.jsonl"), "{\"sequence\":1}\n").unwrap();
    let args = ["--json", "dash", "--replay", "bad.jsonl"];
    let run = openlora(home.path()).args(args).run();
    let error: Value = serde_json::from_str(&run.stderr).unwrap();
    assert_eq!((run.code, &error["code"]), (3, &Value::from("bad_input")));
    assert_eq!(
        error["message"],
        "bad.jsonl:1: expected a record as `--record` writes it: missing field `time_ms` at line 1 column 14"
    );
}

#[test]
fn json_says_the_figures_of_the_screen() {
    let home = home();
    let path = path_of("busy");
    let args = ["--json", "dash", "--replay", path.as_str()];
    let run = openlora(home.path()).args(args).run().succeeds();
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    let token = &report["tokens"][0];
    assert_eq!(
        (&token["symbol"], &token["decimals"]),
        (&"dUSD".into(), &6.into())
    );
    let number = |value: &Value| value.as_str().unwrap().parse::<u128>().unwrap();
    let charged = number(&token["all"]["charged"]);
    assert!(charged > 0);
    for list in ["by_adapter", "by_payer", "by_contributor"] {
        let rows = token[list].as_array().unwrap();
        let sum: u128 = rows.iter().map(|row| number(&row["micro"])).sum();
        assert_eq!(sum, charged * 1_000_000, "{list}");
    }
    assert_eq!(report["calls"], 180);
}

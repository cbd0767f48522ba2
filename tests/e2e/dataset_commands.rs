//! `data check`, `preview` and `split`, through the binary.

use std::{fs, path::Path};

use openlora_core::private::foreign_text::is_steering;
use serde_json::{Value, json};

use crate::paths::repository;
use crate::{
    codec::train_codec,
    support::{Run, openlora},
};

/// A project with a base of its own in `dir/base`: a tokenizer and an empty set of weights.
fn project(dir: &Path, settings: &str, files: &[(&str, &str)]) {
    let base = dir.join("base");
    fs::create_dir_all(&base).unwrap();
    train_codec(&base);
    let golden = repository().join("tests/data/golden/llama");
    for file in ["config.json", "model.safetensors"] {
        fs::copy(golden.join(file), base.join(file)).unwrap();
    }
    fs::write(
        dir.join("openlora.toml"),
        format!("[base]\nid = \"./base\"\n{settings}"),
    )
    .unwrap();
    for (name, content) in files {
        fs::write(dir.join(name), content).unwrap();
    }
}

fn data(dir: &Path, args: &[&str]) -> Run {
    openlora(dir)
        .args(["data"].into_iter().chain(args.iter().copied()))
        .run()
}

const SETTINGS: &str = r#"
[project]
instruction = "Up?"
[[data]]
path = "ann.jsonl"
contributor = "Ann"
license = "MIT"
[[data]]
path = "bob.csv"
contributor = "Bob"
[train]
val = "valid.jsonl"
[eval]
data = ["test.jsonl"]
"#;

const FILES: &[(&str, &str)] = &[
    (
        "ann.jsonl",
        "{\"text\": \"bitcoin is going up today\", \"label\": \"up\"}\n\
         {\"text\": \"the token looks weak again\", \"label\": \"down\"}\n\
         {\"text\": \"solana hit a new high\", \"label\": \"up\"}\n",
    ),
    ("bob.csv", "text,label\nether looks weak,down\n"),
    (
        "valid.jsonl",
        "{\"text\": \"ether trades sideways\", \"label\": \"up\"}\n",
    ),
    (
        "test.jsonl",
        "{\"text\": \"Solana hit a new high\", \"label\": \"down\"}\n",
    ),
];

#[test]
fn a_sound_project_is_told_in_figures() {
    let dir = tempfile::tempdir().unwrap();
    project(dir.path(), SETTINGS, FILES);
    let run = data(dir.path(), &["check"]).succeeds();
    assert_eq!(
        run.stdout,
        "part   rows  kind      contributor  licence  file\n\
         train     3  labelled  Ann          MIT      ann.jsonl\n\
         train     1  labelled  Bob          -        bob.csv\n\
         valid     1  labelled  unnamed      -        valid.jsonl\n\
         test      1  labelled  unnamed      -        test.jsonl\n\
         \n\
         part   label  rows    share\n\
         train  down      2   50.0 %\n\
         train  up        2   50.0 %\n\
         valid  up        1  100.0 %\n\
         test   down      1  100.0 %\n\
         \n\
         part   min  median  p95  p99  max  tokens  learned\n\
         train   37      38   41   41   41     154       14\n\
         valid   35      35   35   35   35      35        2\n\
         test    41      41   41   41   41      41        5\n\
         \n\
         duplicates: 1, across parts: 1, with another label: 1\n\
         \x20 test.jsonl:1 (test) repeats ann.jsonl:3 (train), labelled down and up\n\
         \n\
         warnings: 2\n\
         \x20 fewer than 10 training rows with a label: `down` (2), `up` (2)\n\
         \x20   hint: add rows with these labels, or join labels\n\
         \x20 4 training rows only\n\
         \x20   hint: a few hundred rows or more are usual\n\
         \n\
         no errors\n"
    );
    assert_eq!(run.stderr, "");
}

#[test]
fn the_report_is_one_json_value() {
    let dir = tempfile::tempdir().unwrap();
    project(dir.path(), SETTINGS, FILES);
    let run = data(dir.path(), &["check", "bob.csv", "ann.jsonl", "--json"]).succeeds();
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(report["ok"], json!(true));
    let task = json!({ "kind": "classify", "labels": ["down", "up"], "instruction": "Up?" });
    assert_eq!(report["task"], task);
    let [part] = report["parts"].as_array().unwrap().as_slice() else {
        panic!("{report}")
    };
    assert_eq!((&part["name"], &part["rows"]), (&json!("train"), &json!(4)));
    let names: Vec<&Value> = part["sources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|source| &source["contributor"])
        .collect();
    assert_eq!(
        names,
        ["Bob", "Ann"],
        "files keep the contributor that the project names"
    );
    assert_eq!(part["labels"], json!({ "down": 2, "up": 2 }));
}

#[test]
fn all_faults_are_listed_and_the_exit_code_is_3() {
    let dir = tempfile::tempdir().unwrap();
    let rows =
        "{\"text\": \"a\", \"label\": \"up\"}\n{\"text\": 1}\n{\"text\n\n{\"text\": \"b\"}\n";
    project(dir.path(), "", &[("rows", rows)]);
    let run = data(dir.path(), &["check", "rows", "none"]);
    assert_eq!((run.code, run.stderr.as_str()), (3, ""));
    let (_, errors) = run.stdout.split_once("errors: ").unwrap();
    assert_eq!(
        errors,
        "4\n\
         \x20 rows:2: a row of the text format, expected text/label as on line 1\n\
         \x20   hint: put rows of different formats into files of their own\n\
         \x20 rows:3: broken JSON at column 6: EOF while parsing a string\n\
         \x20   hint: each row must be one complete JSON object\n\
         \x20 rows:5: a row of the text format, expected text/label as on line 1\n\
         \x20   hint: put rows of different formats into files of their own\n\
         \x20 none: no such file\n\
         \x20   hint: paths are relative to openlora.toml, or to the current folder\n"
    );
}

#[test]
fn over_long_rows_are_counted_and_share_a_hint() {
    let dir = tempfile::tempdir().unwrap();
    let rows = "{\"text\": \"the trader said the trader said\"}\n".repeat(23);
    project(dir.path(), "[train]\nmax_len = 8\n", &[("rows", &rows)]);
    let run = data(dir.path(), &["check", "rows"]);
    assert_eq!((run.code, run.stderr.as_str()), (3, ""));
    let (_, errors) = run.stdout.split_once("errors: ").unwrap();
    let each = |line| format!("  rows:{line}: 9 tokens, expected at most 8\n");
    let listed: String = (1..=20).map(each).collect();
    assert_eq!(
        errors,
        format!(
            "23\n{listed}    hint: shorten the row, or raise the limit: `openlora config set \
             train.max_len N`, outside of a project with --user; data check shows the longest row, \
             and what train.on_long does about long ones\n  and 3 more\n"
        )
    );
}

#[test]
fn what_each_choice_does_about_long_rows_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let row = |text: &str| format!("{{\"text\": \"{text}\"}}\n");
    let rows = row("the trader said the trader said") + &row("the trader said");
    project(dir.path(), "[train]\nmax_len = 8\n", &[("rows", &rows)]);
    let table = "rows of more than 8 tokens (train.max_len), and what train.on_long makes of them:\n\
                 part   on_long   long  of  tokens  become  with  refused\n\
                 train  error        1   2       9       0     0        1\n\
                 train  truncate     1   2       9       1     8        0\n\
                 train  drop         1   2       9       0     0        0\n\
                 train  split        1   2       9       2    10        0\n\n";
    let run = data(dir.path(), &["check", "rows"]);
    assert_eq!(run.code, 3);
    assert!(run.stdout.contains(table), "{}", run.stdout);
    // What is decided is no error.
    for on_long in ["truncate", "drop", "split"] {
        let settings = format!("[train]\nmax_len = 8\non_long = \"{on_long}\"\n");
        project(dir.path(), &settings, &[]);
        let run = data(dir.path(), &["check", "rows"]).succeeds();
        assert!(run.stdout.contains(table), "{}", run.stdout);
        let shown = data(dir.path(), &["preview", "rows", "--row", "1"]).succeeds();
        let (first, _) = shown.stdout.split_once('\n').unwrap();
        assert_eq!(
            first,
            format!("row 1  rows:1  unnamed  9 tokens, 8 learned, too long: {on_long}")
        );
    }
}

#[test]
fn a_project_without_data_says_how_to_name_some() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().canonicalize().unwrap();
    for verb in ["check", "preview"] {
        data(&dir, &[verb]).fails(
            3,
            &format!(
                "error: no project here: neither {} nor a folder above it has an openlora.toml\n\
                 hint: make one with `openlora init` and go into its folder, or name the data \
                 files\n",
                dir.display()
            ),
        );
    }
}

/// Rows, labels and names of others, on the terminal of whoever looks at them.
#[test]
fn a_contributors_rows_do_not_steer_the_terminal() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let posing = "hello \u{1b}]52;c;eA==\u{7}\u{1b}[2J\u{202e}\r\u{9b}31m\u{8}";
    let rows = |label: &str| {
        let row = json!({ "text": posing, "label": label });
        format!("{row}\n{}\n", json!({ "text": "plain", "label": "down" }))
    };
    let settings = format!(
        "[project]\ntask = \"classify\"\nlabels = [\"up\", \"down\"]\n\
         [[data]]\npath = \"ann.jsonl\"\ncontributor = {}\n",
        json!("A\u{202e}nn")
    );
    project(dir, &settings, &[("ann.jsonl", &rows("up"))]);
    let steers = |text: &str| {
        let letters = text.chars();
        let steering = letters.filter(|it| is_steering(*it) && *it != '\n');
        steering.collect::<String>()
    };
    for colour in ["never", "auto"] {
        for args in [&["data", "preview"][..], &["data", "check"]] {
            let all = ["--color", colour].into_iter().chain(args.iter().copied());
            let run = openlora(dir).args(all).run();
            assert_eq!(steers(&(run.stdout + &run.stderr)), "", "{args:?}");
        }
    }
    // Of what is coloured only the colour is left.
    let painted = openlora(dir)
        .args(["--color", "always", "data", "preview"])
        .run();
    let painted = painted.succeeds().stdout;
    let plain = painted
        .replace("\u{1b}[1m\u{1b}[32m", "")
        .replace("\u{1b}[0m", "");
    assert_eq!(steers(&plain), "", "{painted:?}");
    assert!(plain.contains("hello \u{fffd}]52;c;eA=="), "{plain:?}");
    fs::write(
        dir.join("ann.jsonl"),
        rows("\u{1b}[2J\u{1b}[1;1Hall is fine"),
    )
    .unwrap();
    let run = data(dir, &["check"]);
    assert_ne!(run.code, 0);
    assert_eq!(steers(&(run.stdout + &run.stderr)), "");
}

/// Where what is learned is coloured, a row adds no colours, and hides nothing.
#[test]
fn a_learned_text_does_not_paint() {
    let dir = tempfile::tempdir().unwrap();
    let row = |label: &str| json!({ "text": "a", "label": label });
    let rows = format!("{}\n{}\n", row("b\u{1b}[8m\nc"), row("d"));
    project(
        dir.path(),
        "[project]\ninstruction = \"Up?\"\n",
        &[("rows", &rows)],
    );
    let run = data(
        dir.path(),
        &["preview", "rows", "--row", "1", "--color", "always"],
    );
    let (_, said) = run.succeeds().stdout.split_once("assistant\n").map_or_else(
        || panic!("no answer"),
        |(before, after)| (before.to_owned(), after.to_owned()),
    );
    let learned = "\x1b[1m\x1b[32mb\u{fffd}[8m\nc<|im_end|>\x1b[0m\n";
    assert_eq!(said, learned);
    // A line end in a label begins no line of the report.
    let run = data(dir.path(), &["check", "rows"]).succeeds();
    let labels: Vec<&str> = run.stdout.lines().skip(3).take(3).collect();
    assert_eq!(
        labels,
        [
            "part   label    rows   share",
            "train  b\u{fffd}[8m\u{fffd}c     1  50.0 %",
            "train  d           1  50.0 %"
        ]
    );
}

#[test]
fn columns_that_are_not_read_are_named_once() {
    let dir = tempfile::tempdir().unwrap();
    let table = "id,text,label\n1,up and away,good\n2,down it goes,bad\n";
    project(dir.path(), "", &[("rows.csv", table)]);
    let warning = "warning: rows.csv: a column that is not read: `id`\n";
    let run = data(dir.path(), &["preview", "rows.csv"]).succeeds();
    assert_eq!(run.stderr, warning);
    let split = ["split", "rows.csv", "--out", "parts"];
    assert_eq!(data(dir.path(), &split).succeeds().stderr, warning);
    let run = openlora(dir.path())
        .args(["train", "--data", "rows.csv", "--max-steps", "1"])
        .run();
    let (first, rest) = run.stderr.split_at(warning.len());
    assert_eq!(first, warning);
    assert!(!rest.contains("not read"), "{rest}");
    let run = data(dir.path(), &["check", "rows.csv"]).succeeds();
    assert_eq!(run.stderr, "");
    let (_, findings) = run.stdout.split_once("no duplicates\n\n").unwrap();
    assert_eq!(
        findings,
        "warnings: 4\n\
         \x20 rows.csv: a column that is not read: `id`\n\
         \x20   hint: nothing is learned from it: take it out, or give it the name of a column that \
         is read\n\
         \x20 fewer than 10 training rows with a label: `bad` (1), `good` (1)\n\
         \x20   hint: add rows with these labels, or join labels\n\
         \x20 2 training rows only\n\
         \x20   hint: a few hundred rows or more are usual\n\
         \x20 no rows are held out, so nothing measures what was learned\n\
         \x20   hint: keep some apart with `openlora data split --out DIR`, and name them with train.val and \
         eval.data in openlora.toml\n\
         \n\
         no errors\n"
    );
}

#[test]
fn answers_that_marks_leave_out_are_told_once() {
    let dir = tempfile::tempdir().unwrap();
    let turn = |role: &str, text: &str, mark: &str| {
        format!(r#"{{"role": "{role}", "content": "{text}"{mark}}}"#)
    };
    let row = |mark: &str| {
        let turns = [
            turn("user", "bitcoin", ""),
            turn("assistant", "up", mark),
            turn("user", "ether", ""),
            turn("assistant", "down", ""),
        ];
        format!("{{\"messages\": [{}]}}\n", turns.join(", "))
    };
    let rows = [row(r#", "weight": 0"#), row("")].concat();
    project(dir.path(), "", &[("rows.jsonl", &rows)]);
    let told = "rows.jsonl: 1 of 4 answers, in 1 row, is marked as not learned (`weight`)";
    let warning = format!("warning: {told}\n");
    let preview = data(dir.path(), &["preview", "rows.jsonl"]).succeeds();
    assert_eq!(preview.stderr, warning);
    let split = ["split", "rows.jsonl", "--out", "parts", "--test", "0"];
    assert_eq!(data(dir.path(), &split).succeeds().stderr, warning);
    let run = openlora(dir.path())
        .args(["train", "--data", "rows.jsonl", "--max-steps", "1"])
        .run();
    let (first, rest) = run.stderr.split_at(warning.len());
    assert_eq!(first, warning);
    assert!(!rest.contains("not learned"), "{rest}");
    let check = data(dir.path(), &["check", "rows.jsonl"]).succeeds();
    assert_eq!(check.stderr, "");
    let (_, findings) = check.stdout.split_once("warnings: ").unwrap();
    let first: Vec<&str> = findings.lines().take(3).collect();
    let hint = "    hint: they are context for later answers; take the marks out to learn them too";
    assert_eq!(first[1..], [format!("  {told}"), hint.to_owned()]);
}

#[test]
fn columns_with_other_names_are_read_by_every_data_command() {
    let dir = tempfile::tempdir().unwrap();
    let table = "review,sentiment\nup and away,good\ndown it goes,bad\nfar up,good\n";
    project(dir.path(), "", &[("rows.csv", table)]);
    let columns = "text=review,label=sentiment";
    let refused = data(dir.path(), &["preview", "rows.csv"]);
    refused.fails(
        3,
        "error: rows.csv:1: no row format has the keys `review`, `sentiment`; expected messages, \
         conversations, instruction and output, prompt and completion, text and label, or text\n\
         hint: read them with --columns text=review,label=sentiment, or rename the columns\n",
    );
    let check = ["check", "rows.csv", "--columns", columns, "--json"];
    let report: Value = serde_json::from_str(&data(dir.path(), &check).succeeds().stdout).unwrap();
    assert_eq!(
        (&report["ok"], &report["parts"][0]["labels"]),
        (&json!(true), &json!({ "bad": 1, "good": 2 }))
    );
    // What is split has the names of the format.
    let split = [
        "split", "rows.csv", "--out", "parts", "--test", "0", "--valid", "0",
    ];
    data(dir.path(), &[&split[..], &["--columns", columns]].concat()).succeeds();
    let written = fs::read_to_string(dir.path().join("parts/train.jsonl")).unwrap();
    let rows: Vec<Value> = written
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(rows[0], json!({ "text": "up and away", "label": "good" }));
    assert_eq!(rows.len(), 3);
    // The setting is for the project's own data; files that are named may have either names.
    let own = "[[data]]\npath = \"rows.csv\"\ncontributor = \"Ann\"\n[train]\n\
               columns = [\"text=review\", \"label=sentiment\"]\n[eval]\n\
               data = [\"parts/train.jsonl\"]\n";
    project(dir.path(), own, &[]);
    data(dir.path(), &["check"]).succeeds();
    data(dir.path(), &["check", "parts/train.jsonl"]).succeeds();
    data(dir.path(), &["preview", "rows.csv"]).succeeds();
    data(dir.path(), &["preview", "--columns", "text=reveiw"]).fails(
        3,
        "error: rows.csv: no column `reveiw` to read as `text`; columns: `review`, `sentiment`\n\
         hint: did you mean `review`?\n",
    );
    data(dir.path(), &["preview", "--columns", "txt=review"]).fails(
        2,
        "error: columns: no row format has a `txt`, expected one of `completion`, \
         `conversations`, `input`, `instruction`, `label`, `messages`, `output`, `prompt`, \
         `system`, `system_prompt`, `text`\n\
         hint: did you mean `text`?\n",
    );
}

#[test]
fn a_preview_marks_what_is_learned() {
    let dir = tempfile::tempdir().unwrap();
    project(dir.path(), SETTINGS, FILES);
    let text = "<|im_start|>system\nUp?<|im_end|>\n<|im_start|>user\nether looks weak<|im_end|>\n\
                <|im_start|>assistant\n";
    let run = data(dir.path(), &["preview", "--row", "4"]).succeeds();
    let head = "row 4  bob.csv:2  Bob  38 tokens, 5 learned\n";
    assert_eq!(run.stdout, format!("{head}{text}[[down<|im_end|>]]\n"));
    let run = data(dir.path(), &["preview", "--row", "4", "--color", "always"]).succeeds();
    assert_eq!(
        run.stdout,
        format!("{head}{text}\x1b[1m\x1b[32mdown<|im_end|>\x1b[0m\n")
    );
    let run = data(dir.path(), &["preview", "--rows", "2", "--json"]).succeeds();
    let rows: Vec<Value> = serde_json::from_str(&run.stdout).unwrap();
    let places: Vec<&Value> = rows.iter().map(|row| &row["place"]).collect();
    assert_eq!(places, ["ann.jsonl:1", "ann.jsonl:2"]);
    assert_eq!(
        rows[1]["segments"][1],
        json!({ "text": "down<|im_end|>", "learned": true })
    );
    data(dir.path(), &["preview", "--row", "5"]).fails(
        2,
        "error: there is no row 5: the data has 4\nhint: give --row a number from 1 to 4\n",
    );
}

#[test]
fn a_split_is_written_once_and_the_same_every_time() {
    let dir = tempfile::tempdir().unwrap();
    let rows: String = (0..40)
        .map(|n| format!("{{\"text\": \"row {n}\", \"label\": \"l{}\"}}\n", n % 2))
        .collect();
    project(dir.path(), "", &[("rows", &rows)]);
    let run = data(
        dir.path(),
        &["split", "rows", "--out", "parts", "--test", "0.2"],
    )
    .succeeds();
    assert_eq!(
        run.stdout,
        "      8  parts/test.jsonl\n     28  parts/train.jsonl\n      4  parts/valid.jsonl\n"
    );
    let read = |name: &str| fs::read_to_string(dir.path().join("parts").join(name)).unwrap();
    let names = ["train.jsonl", "valid.jsonl", "test.jsonl"];
    let first = names.map(read);
    let sorted = |text: &str| {
        let mut lines: Vec<String> = text
            .lines()
            .map(|line| line.replace("\": \"", "\":\""))
            .collect();
        lines = lines
            .into_iter()
            .map(|line| line.replace(", ", ","))
            .collect();
        lines.sort_unstable();
        lines
    };
    assert_eq!(sorted(&first.concat()), sorted(&rows));
    data(
        dir.path(),
        &["split", "rows", "--out", "parts", "--test", "0.2"],
    )
    .fails(
        2,
        "error: parts/test.jsonl exists already\n\
         hint: choose another folder, or overwrite with --force\n",
    );
    data(
        dir.path(),
        &[
            "split", "rows", "--out", "parts", "--test", "0.2", "--force",
        ],
    )
    .succeeds();
    assert_eq!(names.map(read), first);
    let check = data(
        dir.path(),
        &["check", "parts/train.jsonl", "parts/valid.jsonl"],
    )
    .succeeds();
    assert!(check.stdout.ends_with("no errors\n"), "{}", check.stdout);
}

#[test]
fn several_sources_keep_training_files_of_their_own() {
    let dir = tempfile::tempdir().unwrap();
    project(dir.path(), SETTINGS, FILES);
    let run = data(
        dir.path(),
        &[
            "split", "--out", "parts", "--valid", "0", "--test", "0", "--json",
        ],
    );
    let said: Value = serde_json::from_str(&run.succeeds().stdout).unwrap();
    let files = json!({ "files": [
        { "path": "parts/train-ann.jsonl", "rows": 3, "contributor": "Ann" },
        { "path": "parts/train-bob.jsonl", "rows": 1, "contributor": "Bob" },
    ] });
    assert_eq!(said, files);
    let help = data(dir.path(), &["split", "--help"]).succeeds().stdout;
    let words = help.split_whitespace().collect::<Vec<_>>().join(" ");
    let (_, out) = words.rsplit_once("--out <DIR> ").unwrap();
    let (promise, _) = out.split_once(" --").unwrap();
    assert_eq!(
        promise,
        "Folder for valid.jsonl, test.jsonl and train.jsonl, or with several files a \
         train-NAME.jsonl for each"
    );
}

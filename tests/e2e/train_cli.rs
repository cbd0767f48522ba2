//! `train` and `eval` as a person runs them: through the binary, its output and its signals.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    support::{Run, binary, openlora},
    terminal::at_a_terminal,
    tiny, waiting,
};

/// A project on a tiny base: 40 rows to train on, 16 to test on.
struct Project {
    dir: TempDir,
}

impl Project {
    fn new(train: &str) -> Self {
        let dir = TempDir::new().unwrap();
        tiny::base(dir.path());
        tiny::labelled(dir.path(), "train.jsonl", 0..40);
        tiny::labelled(dir.path(), "test.jsonl", 40..56);
        let text = format!(
            "[project]\nname = \"tiny\"\n[base]\nid = \"./base\"\n[[data]]\npath = \"train.jsonl\"\n\
             contributor = \"Ada\"\n[train]\nrank = 2\nbatch = 4\nmax_len = 128\n{train}\n"
        );
        fs::write(dir.path().join("openlora.toml"), text).unwrap();
        Self { dir }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn run(&self, line: &str) -> Run {
        openlora(self.path()).args(line.split_whitespace()).run()
    }

    /// The folder of the latest run.
    fn latest(&self) -> PathBuf {
        let runs = self.path().join("runs");
        runs.join(fs::read_to_string(runs.join("latest")).unwrap().trim())
    }

    fn weights(&self) -> Vec<u8> {
        fs::read(self.latest().join("adapter/adapter_model.safetensors")).unwrap()
    }

    /// Starts a training and waits until it has saved `step`.
    fn start(&self, line: &str, step: u64) -> (Child, BufReader<std::process::ChildStderr>) {
        let mut command = openlora(self.path())
            .args(line.split_whitespace())
            .into_command();
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut errors = BufReader::new(child.stderr.take().unwrap());
        let (mut line, mark) = (String::new(), format!("step {step}: saved "));
        while !line.starts_with(&mark) {
            line.clear();
            assert_ne!(
                errors.read_line(&mut line).unwrap(),
                0,
                "the training ended early"
            );
        }
        (child, errors)
    }
}

/// The step of a run's newest checkpoint.
fn newest(run: &Path) -> u64 {
    let entries = fs::read_dir(run.join("checkpoints")).unwrap();
    let step = |entry: std::io::Result<fs::DirEntry>| -> u64 {
        let name = entry.unwrap().file_name().into_string().unwrap();
        name.strip_prefix("step-").unwrap().parse().unwrap()
    };
    entries.map(step).max().unwrap()
}

fn json(run: &Run) -> Value {
    serde_json::from_str(&run.stdout).unwrap()
}

fn keys(value: &Value) -> Vec<&str> {
    value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

/// Long enough that a signal always finds it running.
const LONG: &str = "epochs = 200\ncheckpoint_every = 250\ndropout = 0.1";

#[test]
fn train_ends_with_one_json_object_and_eval_agrees_with_it() {
    let project = Project::new("epochs = 2\nval = \"0.2\"\n[eval]\ndata = [\"test.jsonl\"]");
    let run = project.run("train --json --out shipped").succeeds();
    let summary = json(&run);
    assert_eq!(
        keys(&summary),
        [
            "run",
            "adapter",
            "steps",
            "tokens",
            "seconds",
            "tokens_per_second",
            "peak_memory_bytes",
            "final_loss",
            "eval",
            "attribution"
        ]
    );
    assert_eq!(summary["steps"], 16);
    assert_eq!(
        keys(&summary["eval"]),
        [
            "rows",
            "accuracy",
            "macro_f1",
            "labels",
            "confusion",
            "classes",
            "base",
            "gain"
        ]
    );
    let shipped = summary["adapter"].as_str().unwrap();
    assert!(shipped.ends_with("/shipped"), "{shipped}");
    assert_eq!(
        fs::read(project.path().join("shipped/adapter_model.safetensors")).unwrap(),
        project.weights()
    );
    for adapter in ["", "shipped", "./shipped"] {
        let eval = json(
            &project
                .run(&format!("eval {adapter} --vs base --json"))
                .succeeds(),
        );
        assert_eq!(eval, summary["eval"]);
    }
    let id = project
        .latest()
        .file_name()
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned();
    let named = json(&project.run(&format!("eval {id} --json")).succeeds());
    assert_eq!(
        keys(&named),
        [
            "rows",
            "accuracy",
            "macro_f1",
            "labels",
            "confusion",
            "classes"
        ]
    );
    assert_eq!(named["confusion"], summary["eval"]["confusion"]);
}

#[test]
fn a_gate_that_fails_prints_the_figures_and_exits_10() {
    let project = Project::new("epochs = 1\n[eval]\ndata = [\"test.jsonl\"]");
    project.run("train -q").succeeds();
    let run = project.run("eval --min-gain 1.0 -q");
    assert_eq!(run.code, 10);
    assert!(
        run.stdout
            .starts_with("16 rows          adapter      base\naccuracy"),
        "{}",
        run.stdout
    );
    let gain = json(&project.run("eval --vs base --json").succeeds())["gain"]
        .as_f64()
        .unwrap();
    assert_eq!(
        run.stderr,
        format!(
            "error: accuracy gains {gain:.4} over the base, at least 1.0000 was demanded\n\
             hint: train longer, add data, or lower --min-gain\n"
        )
    );
    project.run("eval --min-gain -1 -q").succeeds();
}

#[test]
fn eval_needs_rows_and_the_right_base() {
    let project = Project::new("epochs = 1");
    project.run("train -q").succeeds();
    project.run("eval").fails(
        2,
        "error: eval needs held-out rows\n\
         hint: name test files with --data, or set eval.data in openlora.toml\n",
    );
    project.run("eval --data missing.jsonl").fails(
        3,
        &format!(
            "error: {}: no such file\n\
             hint: paths are relative to openlora.toml, or to the current folder\n",
            project.path().join("missing.jsonl").display()
        ),
    );
}

#[test]
fn a_second_folder_that_cannot_be_written_is_named_before_the_training() {
    let project = Project::new("epochs = 1");
    let dir = project.path().canonicalize().unwrap().display().to_string();
    let hint = "hint: name another folder with --out; the run keeps the adapter anyway\n";
    let places = [
        (
            "train.jsonl",
            3,
            "DIR/train.jsonl: a file, expected a folder for the adapter",
            "",
        ),
        (
            "train.jsonl/x",
            4,
            "cannot write DIR/train.jsonl/x: not a directory",
            hint,
        ),
        (
            ".",
            3,
            "DIR already holds other files (base), so no adapter is written there",
            hint,
        ),
        #[cfg(target_os = "linux")]
        (
            "/proc/1/x",
            4,
            "cannot write /proc/1/x: no such file or directory",
            hint,
        ),
    ];
    for (out, code, said, hint) in places {
        let said = said.replace("DIR", &dir);
        for line in ["train --out", "train --dry-run --out"] {
            project
                .run(&format!("{line} {out}"))
                .fails(code, &format!("error: {said}\n{hint}"));
        }
    }
    assert!(!project.path().join("runs").exists());
}

#[test]
fn a_run_whose_second_folder_failed_writes_it_when_it_is_resumed() {
    let project = Project::new("epochs = 100\ncheckpoint_every = 100");
    let (mut child, errors) = project.start("train -v --out place/shipped", 100);
    let place = project.path().join("place");
    fs::write(&place, "a file where the folder should be").unwrap();
    let rest: Vec<String> = errors.lines().map(Result::unwrap).collect();
    assert_eq!(waiting::ended("the training", &mut child).code(), Some(4));
    let latest = project.latest();
    let id = latest.file_name().unwrap().to_str().unwrap();
    assert_eq!(
        rest[rest.len() - 2..],
        [
            format!(
                "error: cannot save step 1000 of run {id}: cannot read {}: not a directory",
                place.join("shipped").display()
            ),
            format!(
                "hint: step 1000 is saved: make room or permit writing, then `openlora train \
                 --resume {id}`"
            ),
        ]
    );
    let unfinished = format!(
        "error: the run {id} has no adapter: it did not finish\n\
         hint: finish it: openlora train --resume {id}\n"
    );
    project.run("eval --data test.jsonl").fails(3, &unfinished);
    fs::remove_file(&place).unwrap();
    let resumed = project.run(&format!("train -q --resume {id}")).succeeds();
    let first = resumed.stdout.lines().next();
    assert_eq!(first, Some("adapter       place/shipped"));
    assert_eq!(
        fs::read(place.join("shipped/adapter_model.safetensors")).unwrap(),
        project.weights()
    );
    project.run("eval --data test.jsonl").succeeds();
}

#[test]
fn a_run_without_an_adapter_is_not_the_latest() {
    let project = Project::new(LONG);
    project.run("train -q --epochs 1").succeeds();
    let finished = project.latest();
    let finished = finished.file_name().unwrap().to_str().unwrap();
    let (mut child, _errors) = project.start("train -v", 250);
    child.kill().unwrap();
    waiting::ended("the killed training", &mut child);
    let latest = project.latest();
    let latest = latest.file_name().unwrap().to_str().unwrap();
    let named = project
        .run(&format!("eval {finished} --data test.jsonl"))
        .succeeds();
    let newest = project.run("eval --data test.jsonl").succeeds();
    assert_eq!(newest.stdout, named.stdout);
    assert_eq!(
        newest.stderr,
        format!(
            "the run {latest} has no adapter yet: taking the run {finished}\n{}",
            named.stderr
        )
    );
    let unfinished = format!(
        "error: the run {latest} has no adapter: it did not finish\n\
         hint: finish it: openlora train --resume {latest}\n"
    );
    for line in [
        "eval ID --data test.jsonl",
        "eval runs/ID --data test.jsonl",
        "package ID --unsigned",
        "attribution build ID",
        "chat --adapter x=ID",
        "chat --adapter x=runs/ID",
        "serve --local --free --port 0 --adapter x=runs/ID",
    ] {
        let line = line.replace("ID", latest);
        project.run(&line).fails(3, &unfinished);
    }
}

#[test]
fn a_dry_run_writes_nothing() {
    let project = Project::new("epochs = 2");
    let run = project.run("train --dry-run --json").succeeds();
    let found = json(&run);
    assert_eq!(
        keys(&found),
        [
            "rows",
            "validation_rows",
            "longest_row_tokens",
            "tokens",
            "steps",
            "trainable",
            "probed_steps",
            "tokens_per_second",
            "seconds",
            "validation_seconds",
            "memory_bytes"
        ]
    );
    assert_eq!(
        (found["rows"].as_u64(), found["steps"].as_u64()),
        (Some(40), Some(20))
    );
    assert!(!project.path().join("runs").exists());
}

/// Tokens and steps of a plan are those of the run, and its figures agree with each other.
#[test]
fn a_plan_foresees_the_run() {
    let project = Project::new("epochs = 2\nval = \"0.2\"");
    let plan = json(&project.run("train --plan --json").succeeds());
    assert!(!project.path().join("runs").exists());
    let summary = json(&project.run("train --json --no-attribution").succeeds());
    for figure in ["steps", "tokens"] {
        assert_eq!(plan[figure], summary[figure], "{figure}");
    }
    let figure = |name: &str| plan[name].as_f64().unwrap();
    let seconds = figure("tokens") / figure("tokens_per_second");
    assert!(
        (figure("seconds") - seconds).abs() <= 1e-9 * seconds,
        "{plan}"
    );
    assert!(figure("validation_seconds") > 0.0 && figure("memory_bytes") > 0.0);
    assert!((3.0..=24.0).contains(&figure("probed_steps")), "{plan}");
}

#[test]
fn long_rows_are_told_and_recorded() {
    let project = Project::new("epochs = 1\n[eval]\ndata = [\"test.jsonl\"]");
    let check = json(&project.run("data check --json").succeeds());
    let longest = check["parts"][0]["lengths"]["max"].as_u64().unwrap();
    let limit = longest - 1;
    let set = format!("config set train.max_len {limit}");
    project.run(&set).succeeds();
    let refused = project.run("data check --json");
    assert_eq!(refused.code, 3);
    let refused = json(&refused);
    let choice = |name: &str| {
        let mut choices = refused["parts"][0]["long_rows"].as_array().unwrap().iter();
        choices.find(|it| it["on_long"] == name).unwrap()
    };
    for (on_long, became) in [
        ("drop", "they were left out"),
        ("truncate", "their text was cut"),
    ] {
        let run = project.run(&format!(
            "train --on-long {on_long} --json --no-attribution"
        ));
        let run = run.succeeds();
        assert_eq!(json(&run)["long_rows"], *choice(on_long));
        let told = format!(
            "warning: {} of 40 training rows are longer than {limit} tokens (the longest has \
             {}): ",
            choice(on_long)["long"],
            choice(on_long)["longest"]
        );
        assert!(run.stderr.contains(&told), "{}", run.stderr);
        let result = fs::read_to_string(project.latest().join("result.json")).unwrap();
        let result: Value = serde_json::from_str(&result).unwrap();
        assert_eq!(result["long_rows"], *choice(on_long));
        let lock = fs::read_to_string(project.latest().join("config.lock.toml")).unwrap();
        let lock: toml::Table = lock.parse().unwrap();
        assert_eq!(lock["train"]["on_long"].as_str(), Some(on_long));
        let package = format!("package --unsigned --out {on_long} -q");
        project.run(&package).succeeds();
        let manifest = fs::read_to_string(project.path().join(on_long).join("openlora.json"));
        let manifest: Value = serde_json::from_str(&manifest.unwrap()).unwrap();
        let stated = &manifest["training"]["hyperparameters"];
        assert_eq!(stated["on_long"], on_long);
        assert_eq!(stated["long_rows"], choice(on_long)["long"]);
        let card = fs::read_to_string(project.path().join(on_long).join("README.md")).unwrap();
        let sentence = format!(
            "\n{} rows are longer than {limit} tokens: {became}.\n",
            choice(on_long)["long"]
        );
        assert!(card.contains(&sentence), "{card}");
    }
    project.run("train --on-long split").fails(
        2,
        "error: train.on_long is split, which only plain text can be, and the task is classify\n\
         hint: set it to truncate or drop: data check says what each does to these rows\n",
    );
}

#[test]
fn eval_reads_rows_as_the_training_did() {
    let project = Project::new("epochs = 1\n[eval]\ndata = [\"test.jsonl\"]");
    project.run("config set train.max_len 8").succeeds();
    let trained = project.run("train --max-len 128 --json --no-attribution --out shipped");
    let summary = json(&trained.succeeds());
    let evaluated = |adapter: &str| {
        let line = format!("eval {adapter} --vs base --json");
        json(&project.run(&line).succeeds())
    };
    for adapter in ["", "shipped"] {
        assert_eq!(evaluated(adapter), summary["eval"]);
    }
    // The card of an earlier version does not say it, and the run's lock file does.
    let card = project.latest().join("adapter/openlora_task.json");
    let mut stated: Value = serde_json::from_slice(&fs::read(&card).unwrap()).unwrap();
    assert_eq!(
        stated.as_object_mut().unwrap().remove("rows").unwrap(),
        serde_json::json!({ "max_len": 128, "loss": "completion", "on_long": "error" })
    );
    fs::write(&card, stated.to_string()).unwrap();
    assert_eq!(evaluated(""), summary["eval"]);
    let run = project.run("eval --max-len 8");
    assert_eq!(run.code, 3);
    let hint = "hint: the limit is that of the training: raise it with --max-len, or have long rows \
                cut or left out with --on-long truncate or --on-long drop\n";
    assert!(run.stderr.ends_with(hint), "{}", run.stderr);
    // The settings do not decide what becomes of long rows either.
    for (on_long, code, hint) in [
        (
            "truncate",
            3,
            "hint: instructions and answers are never cut: raise the limit, which is that of the \
             training, with --max-len, or leave such rows out with --on-long drop\n",
        ),
        (
            "split",
            2,
            "hint: long rows become what they did in the training, unless --on-long says \
             otherwise: give --on-long truncate or --on-long drop\n",
        ),
        (
            "drop",
            3,
            "hint: the limit is that of the training: raise it with --max-len, or have long rows \
             cut with --on-long truncate\n",
        ),
    ] {
        let run = project.run(&format!("eval --max-len 8 --on-long {on_long}"));
        assert_eq!(run.code, code, "{}", run.stderr);
        assert!(run.stderr.ends_with(hint), "{}", run.stderr);
    }
}

#[test]
fn columns_are_mapped_by_a_flag_that_the_run_keeps() {
    let project = Project::new("epochs = 1\n[eval]\ndata = [\"test.jsonl\"]");
    project.run("train -q").succeeds();
    let wanted = project.weights();
    let renamed = |name: &str, rows| {
        let line = |index| {
            let (text, label) = tiny::row(index);
            format!("{index},{text},{label}\n")
        };
        let lines: String = std::ops::Range::map(rows, line).collect();
        tiny::write(
            project.path(),
            name,
            &format!("id,review,sentiment\n{lines}"),
        );
    };
    renamed("train.csv", 0..40);
    renamed("test.csv", 40..56);
    let columns = "--columns text=review,label=sentiment";
    project
        .run(&format!("train -q --data train.csv {columns}"))
        .succeeds();
    // The same rows under other names give the same weights.
    assert_eq!(project.weights(), wanted);
    let lock: toml::Table = fs::read_to_string(project.latest().join("config.lock.toml"))
        .unwrap()
        .parse()
        .unwrap();
    let recorded = toml::Value::from(vec!["text=review", "label=sentiment"]);
    assert_eq!(lock["train"]["columns"], recorded);
    let kept = toml::Value::from(vec!["train.columns", "data"]);
    assert_eq!(lock["flags"], kept);
    // Commands that read the run's data again need no flag.
    project.run("attribution verify --rebuild").succeeds();
    let plain = project.run("eval --json").succeeds();
    let warning = "warning: test.csv: a column that is not read: `id`\n";
    let mapped = project.run(&format!("eval --json --data test.csv {columns}"));
    let mapped = mapped.succeeds();
    assert_eq!(json(&mapped), json(&plain));
    assert!(mapped.stderr.starts_with(warning), "{}", mapped.stderr);
    let unmapped = project.run("eval --data test.csv");
    let told = "test.csv:1: no row format has the keys `id`, `review`, `sentiment`; expected \
                messages, conversations, instruction and output, prompt and completion, text and \
                label, or text\n\
                hint: read them with --columns text=review,label=sentiment, or rename the columns\n";
    assert!(unmapped.stderr.ends_with(told), "{}", unmapped.stderr);
    assert_eq!(unmapped.code, 3);
    project.run("package --unsigned --out shipped").succeeds();
    let verified = json(&project.run("verify shipped --json").succeeds());
    let datasets = verified["checks"].as_array().unwrap();
    let datasets = datasets.iter().find(|it| it["name"] == "datasets").unwrap();
    assert_eq!(datasets["status"], "pass", "{verified}");
}

#[test]
fn killed_and_resumed_is_uninterrupted_byte_for_byte() {
    let project = Project::new(LONG);
    project.run("train -q").succeeds();
    let wanted = project.weights();
    let (mut child, _errors) = project.start("train -v", 500);
    child.kill().unwrap();
    waiting::ended("the killed training", &mut child);
    assert!(
        !project.latest().join("adapter").exists(),
        "it was too late to kill it"
    );
    project.run("train --resume -q").succeeds();
    assert_eq!(project.weights(), wanted);
}

#[test]
fn ctrl_c_saves_says_how_to_go_on_and_exits_130() {
    let project = Project::new("checkpoint_every = 250\ndropout = 0.1");
    project.run("train -q --epochs 200").succeeds();
    let wanted = project.weights();
    let (mut child, errors) = project.start("train -v --epochs 200", 250);
    let sent = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(sent.success());
    let rest: Vec<String> = errors.lines().map(Result::unwrap).collect();
    assert_eq!(waiting::ended("the training", &mut child).code(), Some(130));
    let latest = project.latest();
    let id = latest.file_name().unwrap().to_str().unwrap();
    let step = newest(&latest);
    assert_eq!(
        rest[rest.len() - 2..],
        [
            format!(
                "error: interrupted after step {step} of 2000; saved in {}",
                latest.display()
            ),
            format!("hint: continue with `openlora train --resume {id}`"),
        ]
    );
    // The flag need not be repeated, and may not be changed.
    project.run("train --resume --epochs 199").fails(
        3,
        &format!(
            "error: run {id} cannot continue: train.epochs was 200 and is now 199\n\
             hint: restore it, or start a new run with `openlora train`\n"
        ),
    );
    project.run(&format!("train -q --resume {id}")).succeeds();
    assert_eq!(project.weights(), wanted);
}

#[test]
fn a_full_disk_keeps_the_checkpoint_before_it() {
    let project = Project::new("epochs = 40\ncheckpoint_every = 100");
    // Files may not grow past a limit that the metrics reach and checkpoints do not.
    let line = format!(
        "trap '' XFSZ; ulimit -f 48; exec {} train -q",
        binary().display()
    );
    let shell = openlora(project.path()).into_command();
    let mut bounded = Command::new("bash");
    bounded
        .current_dir(project.path())
        .arg("-c")
        .arg(line)
        .env_clear();
    bounded.envs(
        shell
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    let output = bounded.output().unwrap();
    let latest = project.latest();
    let id = latest.file_name().unwrap().to_str().unwrap();
    let lines = fs::read_to_string(latest.join("metrics.jsonl")).unwrap();
    let last = lines.lines().count() as u64;
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        format!(
            "error: cannot save step {last} of run {id}: cannot write {}: file too large\n\
             hint: step {} is saved: make room or permit writing, then `openlora train --resume {id}`\n",
            latest.join("metrics.jsonl").display(),
            newest(&latest),
        )
    );
    assert_eq!(output.status.code(), Some(4));
    project.run("train --resume -q").succeeds();
    let resumed = project.weights();
    project.run("train -q").succeeds();
    assert_eq!(resumed, project.weights());
}

#[test]
fn a_runs_folder_that_cannot_be_made_is_named() {
    let project = Project::new("epochs = 1");
    fs::write(project.path().join("runs"), "a file").unwrap();
    let run = project.run("train -q");
    run.fails(
        4,
        &format!(
            "error: cannot write in {}: not a directory\n\
             hint: the run keeps its checkpoints and the adapter there: make it a folder that can \
             be written\n",
            project.path().join("runs").display()
        ),
    );
}

/// The lines that a terminal shows after bars were drawn and erased.
fn screen_lines(shown: &str) -> Vec<String> {
    let erased = |line: &str| {
        line.rsplit("\u{1b}[2K")
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    let lines = shown.lines().map(erased);
    lines
        .map(|line| line.trim_matches('\r').to_owned())
        .collect()
}

#[test]
fn a_note_at_a_terminal_leaves_no_bar_behind() {
    let project = Project::new("");
    let args = ["train", "--max-steps", "4", "--val", "test.jsonl"];
    let (code, shown) = at_a_terminal(project.path(), &args, &[]);
    assert_eq!(code, 0, "{shown}");
    assert!(shown.contains("training █"), "{shown}");
    // There is no estimate before the first step.
    assert!(!shown.contains("0/4  ETA"), "{shown}");
    let lines = screen_lines(&shown);
    let bars = lines.iter().filter(|line| line.contains(['█', '░']));
    assert_eq!(bars.count(), 0, "{lines:#?}");
    let validated = "step 4: validation loss ";
    assert!(
        lines.iter().any(|line| line.starts_with(validated)),
        "{lines:#?}"
    );
}

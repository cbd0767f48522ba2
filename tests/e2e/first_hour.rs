//! What a new user meets first: no project, a typing mistake, a base URL, commands to paste.

use std::{fs, io::ErrorKind, path::Path, process::Command};

use openlora::commands::{
    demo::StartedDemo, init::TEMPLATES, serve::log::call_line, shell::quoted,
};
use openlora_core::{
    Address, Amount, Word,
    error::{ExitClass, Failure, describe_decoding},
};
use openlora_ledger::{
    CallCharge, PaymentScheme,
    event::{CallKind, Event, EventRecord, FinishReason, TokenUsage},
};
use openlora_model::{FileError, ModelError, adapter::AdapterError, export::AdapterExportError};
use openlora_package::PackageError;
use openlora_payments::payer::PayerError;
use openlora_serve::payment::Currency;
use regex::Regex;
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    live::{Live, golden, write_adapters},
    packages::packaged,
    paths::repository,
    support::openlora,
    terminal::{at_a_terminal, line},
};

#[test]
fn training_outside_a_project_says_so() {
    let home = TempDir::new().unwrap();
    let dir = home.path().canonicalize().unwrap();
    openlora(&dir).args(["train"]).run().fails(
        3,
        &format!(
            "error: no project here: neither {} nor a folder above it has an openlora.toml\n\
             hint: make one with `openlora init` and go into its folder, or name the data files\n",
            dir.display()
        ),
    );
    let file = dir.join("openlora.toml");
    fs::write(&file, "[project]\nname = \"empty\"\n").unwrap();
    openlora(&dir).args(["train"]).run().fails(
        3,
        &format!(
            "error: {}: no `[[data]]` entry names a data file\n\
             hint: add a `[[data]]` with `path` and `contributor` for each file, or name the data \
             files\n",
            file.display()
        ),
    );
}

#[test]
fn a_typing_mistake_stops_only_verbs_that_read_the_file() {
    let home = TempDir::new().unwrap();
    let dir = home.path().canonicalize().unwrap();
    let file = dir.join("openlora.toml");
    fs::write(&file, "[train]\nrnak = 4\n").unwrap();
    let mistake = format!("{}:2: unknown key `train.rnak`", file.display());
    for verb in [
        vec!["wallet", "list"],
        vec!["devnet", "status"],
        vec!["completions", "bash"],
        vec!["man"],
        vec!["doctor"],
        vec!["init", "new", "--template", "blank"],
    ] {
        let run = openlora(&dir).args(verb.iter().copied()).run();
        let warning = format!(
            "warning: {mistake}; the project file is not used\nhint: did you mean `train.rank`?\n"
        );
        assert!(run.stderr.starts_with(&warning), "{verb:?}: {}", run.stderr);
        assert_ne!(run.code, 3, "{verb:?}: {}", run.stderr);
    }
    for verb in [
        vec!["train"],
        vec!["serve", "--local"],
        vec!["config", "show"],
        // Deletes the state of the chain that the file chooses.
        vec!["devnet", "reset"],
    ] {
        openlora(&dir).args(verb.iter().copied()).run().fails(
            3,
            &format!("error: {mistake}\nhint: did you mean `train.rank`?\n"),
        );
    }
}

const TEMPLATE: &str = "Template, by number or name (sentiment): ";

#[test]
fn init_asks_again_after_a_wrong_answer_and_takes_enter_for_the_default() {
    let home = TempDir::new().unwrap();
    let dir = home.path();
    fs::create_dir(dir.join("taken")).unwrap();
    fs::write(dir.join("taken/note"), "mine").unwrap();
    let folder = "Folder (sentiment): ";
    let answers = [
        line(TEMPLATE, "7"),
        line(TEMPLATE, "sentimant"),
        line(TEMPLATE, ""),
        line(folder, "taken"),
        line(folder, "taken/note"),
        line(folder, ""),
    ];
    let (code, shown) = at_a_terminal(dir, &["init"], &answers);
    assert_eq!(code, 0, "{shown}");
    let asked = shown.find(TEMPLATE).unwrap();
    let names = "expected one of sentiment, filter, chat, icons, blank";
    assert_eq!(
        shown[asked..],
        format!(
            "{TEMPLATE}7\nwarning: no template `7`, {names}\n\
             hint: type a name, or a number from 1 to 5\n\
             {TEMPLATE}sentimant\nwarning: no template `sentimant`, {names}\n\
             hint: did you mean `sentiment`?\n\
             {TEMPLATE}\n\
             {folder}taken\nwarning: taken is not empty\n\
             hint: name a folder that does not exist yet, or an empty one\n\
             {folder}taken/note\nwarning: taken/note is a file\n\
             hint: name a folder that does not exist yet\n\
             {folder}\n\
             sentiment: {} files of the template sentiment\n\
             next:\n  cd sentiment && openlora data check\n  openlora train\n  openlora deploy\n  \
             openlora serve --local\n",
            TEMPLATES[0].files().count()
        )
    );
    // The end of the input ends the questions.
    let (code, shown) = at_a_terminal(dir, &["init"], &[line(TEMPLATE, "\u{4}")]);
    assert_eq!(code, 7, "{shown}");
    // The terminal echoes a newline too.
    let ended = "\n\nerror: the input ended before the question was answered\n";
    assert!(shown.ends_with(ended), "{shown}");
}

/// Commands that take the newest run, and what may be named instead.
const OF_A_RUN: &[(&str, &str)] = &[
    ("deploy", "the package's folder"),
    ("eval", "the adapter's folder"),
    ("package --unsigned", "the adapter's folder"),
    ("chat", "one with --adapter NAME=PATH"),
    (
        "serve --local --free --port 0",
        "one with --adapter NAME=PATH",
    ),
    ("attribution build", "the run's folder"),
    ("attribution inspect", "the run's folder"),
    ("attribution verify", "the run's folder"),
    ("attribution audit", "the run's folder"),
    ("train --resume", "the run's folder"),
];

#[test]
fn without_a_run_the_hint_leads_to_one() {
    let home = TempDir::new().unwrap();
    let dir = home.path().canonicalize().unwrap();
    let run = |line: &str| openlora(&dir).args(line.split_whitespace()).run();
    for (line, instead) in OF_A_RUN {
        run(line).fails(
            3,
            &format!(
                "error: no project here: neither {} nor a folder above it has an openlora.toml\n\
                 hint: make one with `openlora init` and go into its folder, or name {instead}\n",
                dir.display()
            ),
        );
    }
    fs::write(dir.join("openlora.toml"), "[project]\nname = \"empty\"\n").unwrap();
    for (line, _) in OF_A_RUN {
        run(line).fails(
            2,
            &format!(
                "error: no run was found in {}\nhint: start one with `openlora train`\n",
                dir.join("runs").display()
            ),
        );
    }
}

#[test]
fn init_asks_for_the_template_and_the_folder() {
    let home = TempDir::new().unwrap();
    let dir = home.path();
    openlora(dir).args(["init", "--no-input"]).run().fails(
        2,
        "error: no template is named, expected one of sentiment, filter, chat, icons, blank\n\
         hint: name one: `openlora init --template sentiment`; `openlora init --list` says what each \
         is for\n",
    );
    let (code, shown) = at_a_terminal(
        dir,
        &["init"],
        &[line(TEMPLATE, "5"), line("Folder (blank): ", "mine")],
    );
    assert_eq!(code, 0, "{shown}");
    assert!(shown.starts_with("Templates:\n  1  sentiment "), "{shown}");
    assert!(dir.join("mine/openlora.toml").is_file());
    let (code, shown) = at_a_terminal(
        dir,
        &["init"],
        &[line(TEMPLATE, "blank"), line("Folder (blank): ", "")],
    );
    assert_eq!(code, 0, "{shown}");
    assert!(dir.join("blank/openlora.toml").is_file());
}

#[test]
fn commands_pasted_from_a_demo_say_what_became_of_it() {
    let home = TempDir::new().unwrap();
    let dir = home.path().canonicalize().unwrap();
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    drop(socket);
    let url = format!("http://127.0.0.1:{port}");
    let started = |kept| StartedDemo {
        dir: dir.join("demo"),
        kept,
        project: dir.join("demo/sentiment"),
        server_port: port,
        chain_port: 9,
    };
    let run = |home: &Path, line: &str| {
        let home = home.display().to_string();
        let run = openlora(&dir).env("OPENLORA_HOME", &home);
        run.args(line.split_whitespace()).run()
    };
    let home = dir.join("home");
    let call = format!("call hello --url {url}");
    let server = "start one with `openlora serve --local`, or name another with --url\n";
    started(true).keep(&home.join("cache"));
    run(&home, &call).fails(
        5,
        &format!(
            "error: no server answers at {url}\n\
             hint: that was of the demo in {0}/demo, which has ended: after its `export` line, in \
             {0}/demo/sentiment, `openlora devnet start --port 9` and `openlora serve --local \
             --port {port}` start its chain and its server again; {server}",
            dir.display()
        ),
    );
    started(false).keep(&home.join("cache"));
    let gone = "that was of a demo, which has ended and left nothing: keep what the next one makes \
                with `openlora demo --home DIR`";
    run(&home, &call).fails(
        5,
        &format!("error: no server answers at {url}\nhint: {gone}; {server}"),
    );
    let package = dir.join("demo/sentiment/runs/one/package");
    run(&home, &format!("verify {}", package.display())).fails(
        3,
        &format!(
            "error: {}: no such folder, expected a package\nhint: {gone}\n",
            package.display()
        ),
    );
    // Another failure has nothing to do with it.
    let nowhere = format!(
        "error: {}: no such folder, expected a package\n",
        dir.join("nowhere").display()
    );
    run(&home, "verify nowhere").fails(3, &nowhere);
    // As long as the demo runs, its password is there.
    let temporary = dir.join("openlora-demo-x");
    fs::create_dir(&temporary).unwrap();
    fs::write(temporary.join("password"), "correct horse\n").unwrap();
    run(&temporary.join("home"), "verify nowhere").fails(3, &nowhere);
    fs::remove_dir_all(&temporary).unwrap();
    run(&temporary.join("home"), "verify nowhere").fails(
        3,
        &format!(
            "{nowhere}hint: OPENLORA_HOME is of a demo that has ended and left nothing: keep what \
             the next one makes with `openlora demo --home DIR`, or unset OPENLORA_HOME\n"
        ),
    );
}

#[test]
fn the_base_url_of_an_openai_client_is_a_server_address() {
    let home = TempDir::new().unwrap();
    write_adapters(home.path());
    let server = Live::start(home.path(), 0);
    for url in ["/v1", "/v1/", "", "/v1/chat/completions"].map(|end| format!("{}{end}", server.url))
    {
        let call = ["call", "hello", "--adapter", "filter", "--url", &url];
        let run = openlora(home.path()).args(call).run().succeeds();
        assert_eq!(run.stdout.lines().count(), 3, "{url}: {}", run.stdout);
    }
    server.drain();
}

#[test]
fn a_quoted_word_is_one_word_of_a_shell() {
    let words = [
        "plain-word_1.toml",
        "two words",
        "it's",
        "$HOME \"`\\",
        "",
        "a;b",
        "ä*?",
    ];
    let line: Vec<_> = words.iter().map(|word| quoted(word)).collect();
    let script = format!("printf '%s\\n' {}", line.join(" "));
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        words.map(|word| format!("{word}\n")).concat()
    );
    assert_eq!(line[0], "plain-word_1.toml");
}

#[test]
fn a_call_is_one_line_on_the_servers_terminal() {
    let charge = CallCharge {
        scheme: PaymentScheme::Exact,
        chain_id: 31_337,
        token: Address::default(),
        receiver: Address::default(),
        payer: Address::default(),
        id: Word::default(),
        amount: Amount(1_250),
        cumulative: Amount(1_250),
    };
    let record = |charge: Option<CallCharge>| EventRecord {
        sequence: 7,
        time_ms: 1_000 * (3_600 * 14 + 60 * 2 + 11),
        event: Event::CallMetered {
            request_id: "id".to_owned(),
            adapter: "sentiment".to_owned(),
            adapter_digest: String::new(),
            kind: CallKind::Classify,
            usage: TokenUsage {
                prompt_tokens: 29,
                completion_tokens: 1,
            },
            finish: FinishReason::Stop,
            milliseconds: 41,
            first_token_milliseconds: None,
            request_hash: String::new(),
            response_hash: String::new(),
            charge: charge.map(Box::new),
            computation: None,
        },
        hash: String::new(),
    };
    let currency = Currency {
        symbol: "dUSD".to_owned(),
        decimals: 6,
    };
    assert_eq!(
        call_line(&record(Some(charge)), Some(&currency)).unwrap(),
        "14:02:11  sentiment  classify  29 + 1 tokens  41 ms  0.00125 dUSD"
    );
    assert_eq!(
        call_line(&record(None), None).unwrap(),
        "14:02:11  sentiment  classify  29 + 1 tokens  41 ms  free"
    );
}

#[test]
fn chat_says_what_the_server_says() {
    let home = TempDir::new().unwrap();
    let dir = home.path();
    write_adapters(dir);
    let server = Live::start(dir, 0);
    let greedy = ["--temperature", "0", "--max-tokens", "12"];
    let ask = |adapter: &str, more: &[&str]| {
        let call = ["call", "hello", "--url", &server.url, "--adapter", adapter];
        let run = openlora(dir).args(call).args(more.iter().copied()).run();
        run.succeeds().stdout
    };
    let (said, labels) = (ask("persona", &greedy), ask("filter", &[]));
    server.drain();
    let base = golden("llama").display().to_string();
    let chat = |adapter: &str, typed: &str| {
        let load = [
            "chat",
            "--base",
            &base,
            "--quant",
            "f32",
            "--adapter",
            adapter,
        ];
        let mut command = openlora(dir).args(load).args(greedy).into_command();
        fs::write(dir.join("typed"), typed).unwrap();
        command.stdin(fs::File::open(dir.join("typed")).unwrap());
        let output = command.output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{told}");
        String::from_utf8(output.stdout).unwrap()
    };
    // `/new` forgets the first turn, so the second answer is the same; nothing follows `/quit`.
    let lines = "hello\n/new\n\nhello\n/quit\nhello\n";
    assert_eq!(chat("persona=persona", lines), said.repeat(2));
    // The end of the input ends the conversation too.
    assert_eq!(chat("filter=filter", "hello"), labels);
    openlora(dir).args(["--json", "chat"]).run().fails(
        2,
        "{\"code\":\"usage\",\"message\":\"chat has no JSON result: it is a conversation\",\
         \"hint\":\"ask a server instead: `openlora --json call \\\"hello\\\"`\"}\n",
    );
}

/// The arguments of a conversation with the adapter that talks.
fn chat_with_persona(base: &str) -> [&str; 7] {
    [
        "chat",
        "--base",
        base,
        "--quant",
        "f32",
        "--adapter",
        "persona=persona",
    ]
}

#[test]
fn chat_lists_its_commands_and_refuses_others_by_name() {
    let home = TempDir::new().unwrap();
    let dir = home.path();
    write_adapters(dir);
    let base = golden("llama").display().to_string();
    let typed = ["/help", "/hlep", "/quit now", "/usr/bin", "", "/quit"];
    let typed = typed.map(|text| line("> ", text));
    let (code, shown) = at_a_terminal(dir, &chat_with_persona(&base), &typed);
    assert_eq!(code, 0, "{shown}");
    let asked = shown.find("\n> ").unwrap();
    let slash = "to send a message that begins with a slash, type two";
    assert_eq!(
        shown[asked + 1..],
        format!(
            "> /help\n\
             /new   begins anew: what was said is forgotten\n\
             /help  lists these commands\n\
             /quit  ends the conversation, as Ctrl-D does\n\
             /exit  the same\n\
             //     a message that begins with one slash\n\
             > /hlep\nwarning: chat has no command `/hlep`\nhint: did you mean /help?; {slash}\n\
             > /quit now\nwarning: chat has no command `/quit now`\nhint: type /quit alone; {slash}\n\
             > /usr/bin\nwarning: chat has no command `/usr/bin`\n\
             hint: there are /new, /help, /quit, /exit; {slash}\n\
             > \n\
             > /quit\n\n"
        )
    );
    // Without a terminal nobody types it again.
    let chat = |text: &str| {
        let args = chat_with_persona(&base);
        let greedy = ["-q", "--temperature", "0", "--max-tokens", "12"];
        fs::write(dir.join("typed"), text).unwrap();
        let mut command = openlora(dir).args(args).args(greedy).into_command();
        command.stdin(fs::File::open(dir.join("typed")).unwrap());
        let output = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (
            output.status.code(),
            text(output.stdout),
            text(output.stderr),
        )
    };
    let refused = format!("error: chat has no command `/nwe`\nhint: did you mean /new?; {slash}\n");
    assert_eq!(chat("/nwe\nhello\n"), (Some(2), String::new(), refused));
    // Two slashes are one slash of the message.
    let server = Live::start(dir, 0);
    let call = ["call", "/nwe", "--url", &server.url, "--adapter", "persona"];
    let greedy = ["--temperature", "0", "--max-tokens", "12"];
    let said = openlora(dir).args(call).args(greedy).run().succeeds();
    server.drain();
    assert_eq!(chat("//nwe\n"), (Some(0), said.stdout, String::new()));
}

#[test]
fn chat_at_a_terminal_ends_with_quit_and_with_ctrl_c() {
    let home = TempDir::new().unwrap();
    write_adapters(home.path());
    let base = golden("llama").display().to_string();
    let load = chat_with_persona(&base);
    for last in ["/quit", "\u{3}"] {
        let (code, shown) = at_a_terminal(home.path(), &load, &[line("> ", last)]);
        assert_eq!(code, 0, "{shown}");
        let note = "chatting with persona; Ctrl-C stops an answer, /new begins anew, /quit ends";
        assert!(shown.contains(note), "{shown}");
    }
}

/// Trains the template, which takes a minute or two.
#[test]
fn the_chat_template_answers_as_its_readme_shows() {
    let home = TempDir::new().unwrap();
    let dir = home.path();
    openlora(dir)
        .args(["init", "maren", "--template", "chat"])
        .run()
        .succeeds();
    let project = dir.join("maren");
    let in_project = |args: &[&str]| {
        let home = dir.join("home").display().to_string();
        openlora(&project)
            .env("OPENLORA_HOME", &home)
            .args(args.iter().copied())
    };
    in_project(&["train", "--no-attribution"]).run().succeeds();
    let readme = fs::read_to_string(project.join("README.md")).unwrap();
    let mut shown = readme.lines().skip_while(|line| !line.starts_with("> "));
    let question = shown.next().unwrap().trim_start_matches("> ");
    let answer = shown.next().unwrap();
    fs::write(dir.join("typed"), format!("{question}\n")).unwrap();
    let mut chat = in_project(&["chat"]).into_command();
    chat.stdin(fs::File::open(dir.join("typed")).unwrap());
    let said = chat.output().unwrap();
    assert_eq!(
        String::from_utf8(said.stdout).unwrap(),
        format!("{answer}\n")
    );
}

#[test]
fn decoding_errors_name_no_types_of_this_program() {
    #[derive(Debug, serde::Deserialize)]
    struct PaymentPayload {
        #[allow(dead_code, reason = "only its error is read")]
        amount: u64,
    }
    #[derive(Debug, serde::Deserialize)]
    #[serde(untagged)]
    enum Either {
        #[allow(dead_code, reason = "only its error is read")]
        Number(u64),
    }
    let of = |json: &str| {
        let error = serde_json::from_str::<PaymentPayload>(json).unwrap_err();
        describe_decoding(&error)
    };
    assert_eq!(
        of("[]"),
        "invalid length 0, expected an object at line 1 column 2"
    );
    assert_eq!(
        of("\"x, expected y\""),
        "invalid type: string \"x, expected y\", expected an object at line 1 column 15"
    );
    assert_eq!(
        of("{\"amount\":[]}"),
        "invalid type: list, expected a non-negative whole number at line 1 column 10"
    );
    assert_eq!(of("{}"), "missing field `amount` at line 1 column 2");
    let error = serde_json::from_str::<Either>("true").unwrap_err();
    assert_eq!(describe_decoding(&error), "none of the known forms fits");
}

/// Where JSON is decoded, serde's message passes through `describe_decoding`.
#[test]
fn no_error_shows_what_serde_says_unworded() {
    let decoded = Regex::new(r"serde_json::from_[a-z]+[^;]{0,240}").unwrap();
    let shown = Regex::new(r"\{error\}|\be(?:rror)?\.to_string\(\)").unwrap();
    let mut pending = vec![repository().join("src"), repository().join("crates")];
    let mut unworded = Vec::new();
    while let Some(folder) = pending.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                if !path.ends_with("tests") {
                    pending.push(path);
                }
                continue;
            }
            if path.extension().is_none_or(|it| it != "rs") {
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let bare = decoded
                .find_iter(&text)
                .filter(|it| shown.is_match(it.as_str()));
            unworded.extend(bare.map(|it| format!("{}: {}", path.display(), it.as_str())));
        }
    }
    assert_eq!(unworded, Vec::<String>::new());
}

#[test]
fn a_server_s_reason_code_comes_with_its_sentence() {
    let refused = |code: &str| {
        let error = PayerError::Refused {
            server: "http://shop".to_owned(),
            code: code.to_owned(),
        };
        error.to_string()
    };
    assert_eq!(
        refused("invalid_batch_settlement_evm_channel_not_found"),
        "http://shop refused the payment: the channel holds nothing; code \
         invalid_batch_settlement_evm_channel_not_found"
    );
    assert_eq!(
        refused("sold_out"),
        "http://shop refused the payment: reason code sold_out"
    );
}

#[test]
fn a_file_that_cannot_be_used_is_reported_alike_by_all_readers_and_writers() {
    let path = Path::new("/data/adapter");
    for kind in [
        ErrorKind::StorageFull,
        ErrorKind::PermissionDenied,
        ErrorKind::ReadOnlyFilesystem,
        ErrorKind::TimedOut,
    ] {
        for deed in ["read", "write"] {
            let file = || FileError::at(deed, path)(kind.into());
            let expected = Failure::io(deed, path, &kind.into());
            assert_eq!(expected.class, ExitClass::Environment);
            assert_eq!(expected.hint.is_some(), kind != ErrorKind::TimedOut);
            for found in [
                Failure::from(file()),
                PackageError::from(file()).into(),
                AdapterExportError::from(file()).into(),
                AdapterError::from(file()).into(),
                ModelError::from(file()).into(),
            ] {
                assert_eq!(found, expected);
            }
        }
    }
}

/// The size of a home's development chain, which never started if it is 0.
fn chain_bytes(dir: &Path) -> u64 {
    let status = openlora(dir).args(["--json", "devnet", "status"]).run();
    let status: Value = serde_json::from_str(&status.succeeds().stdout).unwrap();
    assert_eq!(status["running"], false);
    status["bytes"].as_u64().unwrap()
}

#[test]
fn a_home_without_business_settles_nothing_and_starts_no_chain() {
    let home = TempDir::new().unwrap();
    let dir = home.path();
    for (verb, nothing) in [
        ("settle", "there is nothing to settle\n"),
        ("withdraw", "there is nothing to withdraw\n"),
    ] {
        for more in [&[][..], &["--dry-run"]] {
            let run = openlora(dir).args([verb]).args(more.iter().copied()).run();
            let run = run.succeeds();
            assert_eq!((run.stdout.as_str(), run.stderr.as_str()), (nothing, ""));
            let json = openlora(dir).args(["--json", verb]);
            let report = json.args(more.iter().copied()).run().succeeds();
            let report: Value = serde_json::from_str(&report.stdout).unwrap();
            let lists = report.as_object().unwrap().values();
            assert!(
                lists.filter_map(Value::as_array).all(Vec::is_empty),
                "{report}"
            );
            assert_eq!(report["network"], "local");
        }
    }
    assert_eq!(chain_bytes(dir), 0);
    // What was written wrongly is refused, though it would not be used.
    let wrong = openlora(dir).args(["settle", "--account", "me"]).run();
    assert_eq!(wrong.code, 8, "{wrong:?}");
}

#[test]
fn an_adapter_that_is_unknown_here_is_wrong_usage_and_starts_no_chain() {
    let home = TempDir::new().unwrap();
    let dir = home.path().canonicalize().unwrap();
    packaged(&dir);
    fs::create_dir(dir.join("log")).unwrap();
    let audit = ["audit", "tone", "--log", "log", "--package", "package"];
    openlora(&dir).args(audit).run().fails(
        2,
        "error: no adapter `tone` was deployed from here\n\
         hint: name it by its id: 0x and 64 digits\n",
    );
    assert_eq!(chain_bytes(&dir), 0);
}

#[test]
fn a_name_in_a_registry_that_is_no_address_is_refused_before_a_chain_is_started() {
    let home = TempDir::new().unwrap();
    let dir = home.path();
    let refused = "error: `tone@0x1234` names no registry: expected 0x and 40 hexadecimal digits behind \
                   the @, found `0x1234`\n\
                   hint: `openlora explore` shows the registry\n";
    let call = ["call", "hello", "--adapter", "tone@0x1234"];
    openlora(dir).args(call).run().fails(2, refused);
    openlora(dir)
        .args(["pull", "tone@0x1234"])
        .run()
        .fails(2, refused);
    assert_eq!(chain_bytes(dir), 0);
}

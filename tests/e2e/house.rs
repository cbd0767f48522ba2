//! The command line as a whole: exit codes, output channels, settings and generated files.

use std::{ffi::OsString, fs};

use clap::{Arg, Command, CommandFactory, error::ErrorKind};
use openlora::commands::{
    cli::Cli,
    completions::{SHELLS, completion_script, manual},
    settings::{KEYS, default_of, variable_of},
};
use openlora_core::error::EXIT_CLASSES;
use tempfile::TempDir;

use crate::paths::repository;
use crate::result_schemas::SCHEMAS;
use crate::support::{Run, openlora};

#[test]
fn every_default_is_valid_for_its_kind() {
    for key in KEYS {
        assert_eq!(
            default_of(key).is_some(),
            key.default.is_some(),
            "{}",
            key.name
        );
    }
}

#[test]
fn exit_codes_are_distinct() {
    let mut codes: Vec<u8> = EXIT_CLASSES.iter().map(|row| row.1).collect();
    codes.dedup();
    assert_eq!(codes, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 130]);
}

#[test]
fn precedence_is_flag_environment_project_user_default() {
    let home = TempDir::new().unwrap();
    let project = home.path().join("openlora.toml");
    let origin = |run: Run| -> (String, String) {
        let shown: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
        let entry = &shown["settings"]["serve.port"];
        (
            entry["value"].to_string(),
            entry["origin"].as_str().unwrap().to_owned(),
        )
    };
    let show = || openlora(home.path()).args(["--json", "config", "show"]);
    assert_eq!(origin(show().run()), ("8080".into(), "default".into()));

    fs::create_dir_all(home.path().join("home/config")).unwrap();
    let user = home.path().join("home/config/config.toml");
    fs::write(&user, "[serve]\nport = 1001\n").unwrap();
    assert_eq!(
        origin(show().run()),
        ("1001".into(), format!("{}:2", user.display()))
    );

    fs::write(
        &project,
        "# mine\n[serve]\nport = 1002\n[profile.big.serve]\nport = 1003\n",
    )
    .unwrap();
    assert_eq!(
        origin(show().run()),
        ("1002".into(), format!("{}:3", project.display()))
    );
    let profile = show().args(["--profile", "big"]).run();
    assert_eq!(
        origin(profile),
        ("1003".into(), format!("{}:5", project.display()))
    );

    let variable = show().env("OPENLORA_SERVE_PORT", "1004").run();
    assert_eq!(
        origin(variable),
        ("1004".into(), "OPENLORA_SERVE_PORT".into())
    );
}

#[test]
fn every_key_has_its_own_variable() {
    let mut names: Vec<String> = KEYS.iter().map(variable_of).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), KEYS.len());
}

#[test]
fn config_set_keeps_comments_and_refuses_nonsense() {
    let home = TempDir::new().unwrap();
    let file = home.path().join("openlora.toml");
    fs::write(&file, "# keep me\n[train]\nrank = 4 # small\n").unwrap();
    openlora(home.path())
        .args(["config", "set", "train.lr", "1e-3"])
        .run()
        .succeeds();
    openlora(home.path())
        .args(["config", "set", "project.name", "tone"])
        .run()
        .succeeds();
    assert_eq!(
        fs::read_to_string(&file).unwrap(),
        "# keep me\n[train]\nrank = 4 # small\nlr = 1e-3\n\n[project]\nname = \"tone\"\n"
    );
    let before = fs::read_to_string(&file).unwrap();
    openlora(home.path())
        .args(["config", "set", "train.rank", "many"])
        .run()
        .fails(
            3,
            &format!(
                "error: {}:3: `train.rank` must be a whole number from 1 to 1024, found \"many\"\n",
                file.display()
            ),
        );
    assert_eq!(fs::read_to_string(&file).unwrap(), before);
}

#[test]
fn config_set_reaches_the_tables_of_networks() {
    let home = TempDir::new().unwrap();
    let file = home.path().join("openlora.toml");
    fs::write(&file, "[project]\nname = \"tone\"\n").unwrap();
    let set = |key: &str, value: &str| {
        openlora(home.path())
            .args(["config", "set", key, value])
            .run()
    };
    set("network.own.rpc", "http://127.0.0.1:9").succeeds();
    set("network.own.token_decimals", "6").succeeds();
    let written = "[project]\nname = \"tone\"\n\n[network.own]\nrpc = \"http://127.0.0.1:9\"\n\
                   token_decimals = 6\n";
    assert_eq!(fs::read_to_string(&file).unwrap(), written);
    set("network.own.rpc", "rpc.example").fails(
        3,
        "error: network `own`: `rpc`: \"an address that cannot be read\" is no http address\n",
    );
    let set = set("network.own.tokn", "x");
    set.fails(
        3,
        &format!(
            "error: {}:7: unknown key `network.own.tokn`\nhint: did you mean `token`?\n",
            file.display()
        ),
    );
    assert_eq!(fs::read_to_string(&file).unwrap(), written);
}

#[test]
fn config_get_prints_one_value() {
    let home = TempDir::new().unwrap();
    let file = home.path().join("openlora.toml");
    let settings = "[train]\nrank = 4\ntargets = [\"q_proj\", \"v_proj\"]\n\
                    [project]\nname = \"tone\"\n";
    fs::write(&file, settings).unwrap();
    let get = |more: &[&str]| {
        openlora(home.path())
            .args(["config", "get"])
            .args(more.iter().copied())
            .run()
    };
    for (key, value) in [
        ("train.rank", "4\n"),
        ("train.targets", "[\"q_proj\", \"v_proj\"]\n"),
        ("train.lr", "0.002\n"),
        ("project.name", "tone\n"),
    ] {
        let run = get(&[key]).succeeds();
        assert_eq!((run.stdout.as_str(), run.stderr.as_str()), (value, ""));
    }
    let unset = get(&["project.license"]).succeeds();
    assert_eq!(
        (unset.stdout.as_str(), unset.stderr.as_str()),
        (
            "",
            "project.license is unset: SPDX identifier of the adapter's licence\n"
        )
    );
    assert_eq!(
        get(&["train.rank", "--json"]).succeeds().stdout,
        format!("{{\"value\":4,\"origin\":\"{}:2\"}}\n", file.display())
    );
    assert_eq!(
        get(&["project.license", "--json"]).succeeds().stdout,
        "{\"value\":null,\"origin\":\"unset\"}\n"
    );
    get(&["train.rnak"]).fails(
        3,
        "error: config get: unknown key `train.rnak`\nhint: did you mean `train.rank`?\n",
    );
}

#[test]
fn config_get_and_show_print_the_fields_of_networks() {
    let home = TempDir::new().unwrap();
    let file = home.path().join("openlora.toml");
    let settings = "[network.own]\nchain_id = 77\nrpc = \"https://rpc.example/v2/secret\"\n\
                    [network.base]\nconfirmations = 5\nmainnet = false\n";
    fs::write(&file, settings).unwrap();
    let config = |line: &str| {
        let args = line.split(' ');
        openlora(home.path()).args(["config"]).args(args).run()
    };
    let usdc = "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913";
    for (key, value) in [
        ("network.own.chain_id", "77"),
        // Without its access key.
        ("network.own.rpc", "https://rpc.example"),
        ("network.own.confirmations", "2"),
        ("network.base.confirmations", "5"),
        // A project file does not say that real money needs no confirmation.
        ("network.base.mainnet", "true"),
        ("network.base.token", usdc),
        ("network.base.token_decimals", "6"),
        ("network.local.token_symbol", "dUSD"),
    ] {
        let run = config(&format!("get {key}")).succeeds();
        let expected = format!("{value}\n");
        assert_eq!((run.stdout, run.stderr.as_str()), (expected, ""), "{key}");
    }
    let unset = config("get network.own.token").succeeds();
    assert_eq!(
        (unset.stdout.as_str(), unset.stderr.as_str()),
        (
            "",
            "network.own.token is unset: token that calls are paid in\n"
        )
    );
    let json = |key: &str| config(&format!("get {key} --json")).succeeds().stdout;
    assert_eq!(
        json("network.base.confirmations"),
        format!("{{\"value\":5,\"origin\":\"{}:5\"}}\n", file.display())
    );
    assert_eq!(
        json("network.base.chain_id"),
        "{\"value\":8453,\"origin\":\"default\"}\n"
    );
    config("get network.own.tokn").fails(
        3,
        "error: config get: unknown key `network.own.tokn`\n\
         hint: did you mean `network.own.token`?\n",
    );
    config("get network.bse.rpc").fails(
        3,
        "error: there is no network `bse`, expected one of local, local-2, base, base-sepolia, \
         optimism, optimism-sepolia, arbitrum, arbitrum-sepolia, own\n\
         hint: did you mean `base`?\n",
    );
    let shown = config("show").succeeds().stdout;
    let networks: Vec<&str> = shown
        .lines()
        .filter(|it| it.starts_with("network."))
        .collect();
    assert_eq!(
        networks,
        [
            "network.base.confirmations = 5",
            "network.own.chain_id = 77",
            "network.own.rpc = \"https://rpc.example\"",
        ]
    );
    let shown: serde_json::Value =
        serde_json::from_str(&config("show --json").succeeds().stdout).unwrap();
    assert_eq!(
        shown["settings"]["network.own.chain_id"],
        serde_json::json!({ "value": 77, "origin": format!("{}:2", file.display()) })
    );
}

#[test]
fn a_negative_number_is_refused_by_its_range() {
    let home = TempDir::new().unwrap();
    let refused = |value: &str, flag: &str, expected: &str| {
        format!(
            "invalid value '{value}' for '{flag}': expected {expected}\n\n\
             For more information, try '--help'."
        )
    };
    let temperature = refused("-1", "--temperature <F>", "a number from 0 to 2");
    let row = refused("-1", "--row <N>", "a whole number from 0");
    for (line, said) in [
        (
            "train --lr -1",
            "--lr: `train.lr` must be a number from 0 to 10, found \"-1\"",
        ),
        (
            "train --rank -8",
            "--rank: `train.rank` must be a whole number from 1 to 1024, found \"-8\"",
        ),
        (
            "serve --port -1",
            "--port: `serve.port` must be a whole number from 0 to 65535, found \"-1\"",
        ),
        (
            "call hello --max-price -0.5",
            "--max-price -0.5: expected a decimal number such as 0.01",
        ),
        ("chat --temperature -1", temperature.as_str()),
        ("data preview --row -1", row.as_str()),
    ] {
        openlora(home.path())
            .args(line.split_whitespace())
            .run()
            .fails(2, &format!("error: {said}\n"));
    }
}

/// A command and those below it, with the words that call them.
fn commands_below(command: &Command, words: &[String], found: &mut Vec<(Vec<String>, Command)>) {
    found.push((words.to_vec(), command.clone()));
    for below in command.get_subcommands() {
        let words = [words, &[below.get_name().to_owned()]].concat();
        commands_below(below, &words, found);
    }
}

#[test]
fn every_value_may_be_a_negative_number() {
    let mut all = Vec::new();
    commands_below(&Cli::command(), &["openlora".to_owned()], &mut all);
    let (mut seen, mut unknown) = (0, Vec::new());
    for (words, command) in all {
        let takes = |arg: &&Arg| arg.get_action().takes_values();
        for arg in command.get_arguments().filter(takes) {
            let mut line: Vec<OsString> = words.iter().map(OsString::from).collect();
            line.extend(arg.get_long().map(|long| format!("--{long}").into()));
            line.push("-1".into());
            seen += 1;
            if let Err(error) = Cli::parse_line(&line)
                && error.kind() == ErrorKind::UnknownArgument
            {
                unknown.push(line);
            }
        }
    }
    assert_eq!(unknown, Vec::<Vec<OsString>>::new());
    assert!(seen > 120, "{seen} values");
}

/// Project files that are wrong, and the whole of what is said about them.
const BAD_SETTINGS: &[(&str, &str)] = &[
    (
        "[train]\nrnak = 8\n",
        "error: FILE:2: unknown key `train.rnak`\nhint: did you mean `train.rank`?\n",
    ),
    (
        "[trian]\nrank = 8\n",
        "error: FILE:1: unknown section `[trian]`\nhint: did you mean `[train]`?\n",
    ),
    (
        "[quux]\nrank = 8\n",
        "error: FILE:1: unknown section `[quux]`\nhint: `openlora config show` lists every key\n",
    ),
    (
        "[train]\nrank = 0\n",
        "error: FILE:2: `train.rank` must be a whole number from 1 to 1024, found 0\n",
    ),
    (
        "[train]\nrank = \"8\"\n",
        "error: FILE:2: `train.rank` must be a whole number from 1 to 1024, found \"8\"\n",
    ),
    (
        "[train]\nschedule = \"cosin\"\n",
        "error: FILE:2: `train.schedule` must be one of cosine, linear, constant, found \"cosin\"\n",
    ),
    (
        "[train]\nlr = nan\n",
        "error: FILE:2: `train.lr` must be a number from 0 to 10, found nan\n",
    ),
    (
        "[train]\nrslora = 1\n",
        "error: FILE:2: `train.rslora` must be true or false, found 1\n",
    ),
    (
        "[train]\ntargets = [1, 2]\n",
        "error: FILE:2: `train.targets` must be a list of texts, found [1, 2]\n",
    ),
    (
        "train = 3\n",
        "error: FILE:1: `train` must be a table, found 3\n",
    ),
    (
        "[train]\nrank = 8\nrank = 9\n",
        "error: FILE:3: duplicate key\n",
    ),
    ("[train\n", "error: FILE:1: unclosed table, expected `]`\n"),
    (
        "[[data]]\npath = \"a.csv\"\n",
        "error: FILE:1: `[[data]]` has no `contributor`\nhint: every source needs a line such as `contributor = \"…\"`\n",
    ),
    (
        "[[data]]\npath = \"a.csv\"\ncontributor = \"x\"\nlicence = \"MIT\"\n",
        "error: FILE:4: unknown key `data.licence`\nhint: did you mean `license`?\n",
    ),
    (
        "[[data]]\npath = \"a.csv\"\ncontributor = \"x\"\nweight = -1\n",
        "error: FILE:4: `data.weight` must be a number above 0, found -1\n",
    ),
    (
        "[data]\npath = \"a.csv\"\n",
        "error: FILE:1: `data` must be a list of `[[data]]` tables, found a table\n",
    ),
];

#[test]
fn bad_settings_are_told_whole() {
    for (text, expected) in BAD_SETTINGS {
        let home = TempDir::new().unwrap();
        let file = home.path().join("openlora.toml");
        fs::write(&file, text).unwrap();
        let expected = expected.replace("FILE", &file.display().to_string());
        openlora(home.path())
            .args(["config", "show"])
            .run()
            .fails(3, &expected);
    }
}

#[test]
fn bad_flags_and_variables_are_told_whole() {
    let home = TempDir::new().unwrap();
    openlora(home.path())
        .args(["train", "--rank", "many"])
        .run()
        .fails(
            2,
            "error: --rank: `train.rank` must be a whole number from 1 to 1024, found \"many\"\n",
        );
    openlora(home.path()).args(["config", "show"]).env("OPENLORA_TRAIN_RNAK", "3").run().fails(
        2,
        "error: unknown environment variable OPENLORA_TRAIN_RNAK\nhint: did you mean OPENLORA_TRAIN_RANK?\n",
    );
    openlora(home.path()).args(["config", "show"]).env("OPENLORA_SERVE_PORT", "http").run().fails(
        3,
        "error: OPENLORA_SERVE_PORT: `serve.port` must be a whole number from 0 to 65535, found \"http\"\n",
    );
    openlora(home.path())
        .args(["--config", "none.toml", "config", "show"])
        .run()
        .fails(
            3,
            &format!(
                "error: {}: no such file, expected a settings file\n",
                home.path().join("none.toml").display()
            ),
        );
    openlora(home.path()).args(["--profile", "x", "config", "show"]).run().fails(
        2,
        "error: --profile x: there is no project file\nhint: run it in a project folder, or name one with --config FILE\n",
    );
    openlora(home.path()).args(["--json", "trian"]).run().fails(
        2,
        "{\"code\":\"usage\",\"message\":\"unrecognized subcommand 'trian'\",\"hint\":\"`openlora --help` lists verbs and flags\"}\n",
    );
}

#[test]
fn generated_files_are_current() {
    let mut wanted: Vec<(String, Vec<u8>)> = SHELLS
        .iter()
        .map(|shell| (format!("openlora.{shell}"), completion_script(*shell)))
        .collect();
    wanted.push(("openlora.1".to_owned(), manual().unwrap()));
    assert_current("completions", &wanted);
}

#[test]
fn generated_schemas_are_current() {
    let wanted: Vec<(String, Vec<u8>)> = SCHEMAS
        .iter()
        .map(|(name, schema)| {
            let text = serde_json::to_string_pretty(&schema()).unwrap() + "\n";
            (format!("{name}.json"), text.into_bytes())
        })
        .collect();
    assert_current("schemas", &wanted);
}

/// Compares a folder's files with what the code makes now, or writes them when told to.
fn assert_current(folder: &str, wanted: &[(String, Vec<u8>)]) {
    let root = repository().join(folder);
    if std::env::var_os("REGENERATE").is_some() {
        fs::create_dir_all(&root).unwrap();
        for (name, text) in wanted {
            fs::write(root.join(name), text).unwrap();
        }
    }
    for (name, text) in wanted {
        let kept = fs::read(root.join(name)).unwrap_or_default();
        assert!(
            kept == *text,
            "{folder}/{name} is out of date: run REGENERATE=1 scripts/test generated"
        );
    }
}

#[test]
fn doctor_reports_an_unusable_home() {
    let home = TempDir::new().unwrap();
    let blocked = home.path().join("file");
    fs::write(&blocked, "not a folder").unwrap();
    let run = openlora(home.path())
        .args(["--json", "doctor"])
        .env("OPENLORA_HOME", blocked.to_str().unwrap())
        .run();
    assert_eq!(run.code, 4);
    let report: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(report["ok"], false);
    let bad: Vec<&str> = report["checks"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|check| check["verdict"] == "bad")
        .map(|check| check["name"].as_str().unwrap())
        .collect();
    assert_eq!(bad, ["config", "data", "cache"]);
}

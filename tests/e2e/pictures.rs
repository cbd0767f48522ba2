//! Pictures that the real program sells: to `call`, to unmodified SDKs and stock x402 clients, and what a
//! killed server leaves.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use alloy::{primitives::Bytes, sol_types::SolCall};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use openlora_chain::{balance::amount, registry::DevelopmentToken};
use openlora_diffusion::{ImageAdapter, ImageAdapterConfig, ImageModel};
use openlora_model::{
    BaseRequest, PictureBase,
    adapter::{TaskCard, WriteRequest, write},
    dataset::Task,
    nano::PICO,
    open_picture_base,
};
use openlora_pictures::{ReadLimits, read_picture, read_png_texts};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{
    deploy_support::contract,
    devnet_support::{Devnet, FIRST, Rpc},
    live::{Live, golden, write_adapters},
    sdk::{javascript, python, run, suite},
    support::{Run, openlora},
    waiting,
};

/// Few steps: what is tested is the sale.
const STEPS: &str = "2";

/// The embedded base for pictures, unpacked below `dir`.
fn base(dir: &Path) -> PictureBase {
    let request = BaseRequest {
        id: PICO.to_owned(),
        revision: "main".to_owned(),
        endpoint: "https://huggingface.co".to_owned(),
        models_dir: dir.join("models"),
        nano_dir: dir.join("unpacked"),
        token: None,
        offline: true,
    };
    open_picture_base(&request, &mut |_| {}).unwrap()
}

/// Writes an adapter of the embedded base, which changes its pictures, to `dir/NAME`.
pub fn write_painter(dir: &Path, name: &str) {
    let base = base(dir);
    let config = fs::read(base.dir.join("config.json")).unwrap();
    let weights = fs::read(&base.weight_files().unwrap()[0]).unwrap();
    let model = ImageModel::read(&config, &weights).unwrap();
    let wanted = ImageAdapterConfig {
        rank: 2,
        alpha: 2.0,
        ..ImageAdapterConfig::default()
    };
    let fresh = ImageAdapter::random(&model, &wanted, 3).unwrap();
    // Fresh factors B are zero and would change nothing.
    let moved = |(at, value): (usize, &f32)| value + ((at % 5) as f32 - 2.0) * 1e-2;
    let moved = fresh.values().iter().enumerate().map(moved).collect();
    let adapter = fresh.with_values(moved).unwrap();
    let request = WriteRequest {
        base_model: base.id.clone(),
        revision: None,
        rank: wanted.rank,
        alpha: wanted.alpha,
        dropout: 0.0,
        rslora: false,
        dora: false,
        rank_pattern: Vec::new(),
        alpha_pattern: Vec::new(),
        target_modules: adapter.target_modules(),
        tensors: adapter.peft_tensors(),
        task: Some(TaskCard {
            name: name.to_owned(),
            task: Task::Image,
            base_id: base.id,
            base_digest: base.digest,
            rows: None,
        }),
        samples: None,
    };
    write(&dir.join(name), &request).unwrap();
}

/// A free server of `painter` on the embedded base, and of `persona` on another one.
fn served() -> (tempfile::TempDir, Live) {
    let home = tempfile::tempdir().unwrap();
    write_adapters(home.path());
    write_painter(home.path(), "painter");
    let base = golden("llama").display().to_string();
    let args = [
        "serve",
        "--port",
        "0",
        "--base",
        &base,
        "--quant",
        "f32",
        "--local",
        "--free",
        "--json",
        "--adapter",
        "painter=painter",
        "--adapter",
        "persona=persona",
        "--adapter",
        "filter=filter",
    ];
    let live = Live::of(openlora(home.path()).args(args));
    (home, live)
}

fn call(dir: &Path, url: &str, args: &[&str]) -> Run {
    let call = [
        "call",
        "a red circle",
        "--adapter",
        "painter",
        "--url",
        url,
        "--steps",
        STEPS,
    ];
    openlora(dir).args(call).args(args.iter().copied()).run()
}

fn files_of(answer: &Value) -> Vec<Vec<u8>> {
    let pictures = answer["pictures"].as_array().unwrap().iter();
    let file = |it: &Value| STANDARD.decode(it["b64_json"].as_str().unwrap()).unwrap();
    pictures.map(file).collect()
}

fn json_of(run: Run) -> Value {
    serde_json::from_str(&run.succeeds().stdout).unwrap()
}

#[test]
fn call_writes_pictures_and_replay_makes_them_again() {
    let (home, server) = served();
    let (dir, url) = (home.path(), server.url.as_str());
    let said = call(dir, url, &["-o", "one.png", "--seed", "7"]).succeeds();
    assert_eq!(said.stdout, "one.png  64x64, seed 7\n");
    let id = said.stderr.trim_end().rsplit(' ').next().unwrap();
    let file = fs::read(dir.join("one.png")).unwrap();
    let picture = read_picture(&file, &ReadLimits::default()).unwrap();
    assert_eq!((picture.width, picture.height), (64, 64));
    let texts = read_png_texts(&file).unwrap();
    let text = |keyword: &str| {
        texts
            .iter()
            .find(|it| it.keyword == keyword)
            .unwrap()
            .text
            .clone()
    };
    assert_eq!(text("openlora:receipt"), id);
    let settings = "seed=7 size=64x64 steps=2 guidance=2.5 sampler=euler";
    assert_eq!(text("openlora:settings"), settings);
    // The JSON result carries the file as the server sent it.
    let answer = json_of(call(dir, url, &["--json", "-n", "2", "--seed", "6"]));
    let files = files_of(&answer);
    let sent = &answer["pictures"][1];
    assert_eq!(sent["sha256"], hex::encode(Sha256::digest(&files[1])));
    assert_eq!(
        read_picture(&files[1], &ReadLimits::default()).unwrap(),
        picture
    );
    let usage = &answer["usage"];
    assert_eq!(
        (&usage["pictures"], &usage["evaluations"]),
        (&json!(2), &json!(8))
    );
    fs::write(dir.join("answer.json"), answer.to_string()).unwrap();
    let receipt = answer["id"].as_str().unwrap();
    let replay = [
        "receipts",
        "replay",
        receipt,
        "--answer",
        "answer.json",
        "--adapter",
        "painter",
        "--json",
    ];
    let report = json_of(openlora(dir).args(replay).run());
    assert_eq!(report["ok"], true, "{report}");
    // Several files have numbers.
    let said = call(dir, url, &["-o", "many.png", "-n", "2", "--seed", "6"]).succeeds();
    assert_eq!(
        said.stdout,
        "many-1.png  64x64, seed 6\nmany-2.png  64x64, seed 7\n"
    );
    assert_eq!(server.drain().0, 0);
}

#[test]
fn wrong_orders_are_refused_before_they_are_sent() {
    let (home, server) = served();
    let (dir, url) = (home.path(), server.url.as_str());
    let at = |name: &str| dir.join(name).display().to_string();
    let wrote = |run: Run, code: i32, said: &str| run.fails(code, said);
    wrote(
        call(dir, url, &[]),
        2,
        "error: the call gives a picture, and no file is named for it\nhint: name one: -o \
         picture.png; or ask for JSON: --json\n",
    );
    fs::create_dir(dir.join("folder")).unwrap();
    wrote(
        call(dir, url, &["-o", "folder"]),
        3,
        &format!(
            "error: {}: a folder, expected a file to write\n",
            at("folder")
        ),
    );
    wrote(
        call(dir, url, &["-o", "none/a.png"]),
        3,
        &format!(
            "error: {}: its folder is not there, expected a file to write\nhint: make the folder \
             first: mkdir -p {}\n",
            at("none/a.png"),
            at("none")
        ),
    );
    wrote(
        call(dir, url, &["-o", "a.png", "--system", "be kind"]),
        2,
        "error: --system has no meaning in a picture\nhint: leave --system out, or ask for a chat \
         with --kind chat\n",
    );
    wrote(
        call(dir, url, &["-o", "a.png", "--size", "63x64"]),
        3,
        "error: the server refused: Invalid value for 'size': expected '64x64', the only size of \
         this model, found '63x64'.\n",
    );
    let persona = ["call", "hello", "--adapter", "persona", "--url", url];
    wrote(
        openlora(dir).args(persona).args(["--steps", "3"]).run(),
        2,
        "error: --steps has no meaning in a chat\nhint: leave --steps out, or ask an adapter for \
         pictures with --kind image\n",
    );
    wrote(
        openlora(dir)
            .args(persona)
            .args(["--kind", "image", "-o", "a.png"])
            .run(),
        3,
        "error: the server refused: The model 'persona' makes no pictures; use \
         /v1/chat/completions.\n",
    );
    wrote(
        call(dir, url, &["-o", "a.png", "--kind", "chat"]),
        2,
        "error: --out has no meaning in a chat\nhint: leave --out out, or ask an adapter for \
         pictures with --kind image\n",
    );
    assert!(!dir.join("a.png").exists());
    assert_eq!(server.drain().0, 0);
    let chat = ["chat", "--adapter", "painter=painter"];
    wrote(
        openlora(dir).args(chat).run(),
        3,
        "error: painter makes pictures, expected an adapter for text\nhint: serve it and ask for a \
         picture: `openlora call \"a red circle\" -o picture.png`\n",
    );
}

#[test]
fn the_python_sdk_buys_pictures_unmodified() {
    let interpreter = python("python");
    let (_home, server) = served();
    let script = suite("python").join("pictures.py");
    let said = run(Command::new(interpreter)
        .arg(script)
        .args([&server.url, "painter", "persona"]));
    let expected = [
        "models",
        "one_picture",
        "several_pictures",
        "same_seed",
        "usual_parameters",
        "errors",
        "idempotency",
    ];
    assert_eq!(said, expected.map(|name| format!("ok {name}\n")).concat());
    assert_eq!(server.drain().0, 0);
}

#[test]
fn the_javascript_sdk_buys_pictures_unmodified() {
    let folder = javascript("js");
    let (_home, server) = served();
    let script = folder.join("pictures.mjs");
    fs::copy(suite("js").join("pictures.mjs"), &script).unwrap();
    let said = run(Command::new("node")
        .arg(script)
        .args([&server.url, "painter", "persona"]));
    let expected = ["onePicture", "sameSeed", "errors", "idempotency"];
    assert_eq!(said, expected.map(|name| format!("ok {name}\n")).concat());
    assert_eq!(server.drain().0, 0);
}

/// A server that sells `painter` on a chain, with its project folder.
struct PaidPictures {
    dir: tempfile::TempDir,
    devnet: Devnet,
    server: Option<Live>,
}

/// Development accounts 4 and 8, which the stock clients buy with.
const STOCK_BUYERS: [&str; 2] = [
    "0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65",
    "0x23618e81E3f5cdF7f54C3d65f7FBc0aBf5B21E8f",
];

impl PaidPictures {
    fn open() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let devnet = Devnet::start(dir.path(), 31_337);
        let text = format!(
            "[base]\nid = \"pico\"\n\n[pricing]\nimage = \"0.003\"\n\n[network.local]\nrpc = \"{}\"\n",
            devnet.rpc.url
        );
        fs::write(dir.path().join("openlora.toml"), text).unwrap();
        for buyer in STOCK_BUYERS {
            let mint = DevelopmentToken::mintCall {
                to: buyer.parse().unwrap(),
                amount: amount(100_000_000),
            };
            let (to, data) = (contract("DevelopmentToken"), Bytes::from(mint.abi_encode()));
            let call = json!([{ "from": FIRST, "to": to, "data": data }]);
            devnet.rpc.ok("eth_sendTransaction", call);
        }
        write_painter(dir.path(), "painter");
        let package = ["package", "painter", "--out", "pkg"];
        openlora(dir.path()).args(package).run().succeeds();
        openlora(dir.path())
            .args(["deploy", "pkg"])
            .run()
            .succeeds();
        let mut market = Self {
            dir,
            devnet,
            server: None,
        };
        market.serve();
        market
    }

    fn serve(&mut self) {
        let args = [
            "serve",
            "--port",
            "0",
            "--local",
            "--json",
            "--adapter",
            "painter=pkg",
        ];
        self.server = Some(Live::of(openlora(self.dir.path()).args(args)));
    }

    fn url(&self) -> &str {
        &self.server.as_ref().unwrap().url
    }

    fn call(&self, args: &[&str]) -> Run {
        call(self.dir.path(), self.url(), args)
    }

    fn earned(&self) -> Value {
        json_of(openlora(self.dir.path()).args(["earnings", "--json"]).run())
    }
}

#[test]
fn stock_clients_pay_for_pictures() {
    let market = PaidPictures::open();
    let rpc = market.devnet.rpc.url.clone();
    let folder = javascript("x402");
    let script = folder.join("buyer-pictures.mjs");
    fs::copy(suite("x402").join("buyer.mjs"), &script).unwrap();
    let scripts = [
        ("node".into(), script),
        (python("x402"), suite("x402").join("buyer.py")),
    ];
    for (interpreter, script) in scripts {
        let mut program = Command::new(interpreter);
        program
            .arg(script)
            .args(["pictures", market.url(), "painter", &rpc])
            .env("NO_PROXY", "127.0.0.1");
        let said: Value = serde_json::from_str(&run(&mut program)).unwrap();
        assert_eq!(said["png"], json!([true, true]), "{said}");
        // Two pictures at 0.003 of a token with six decimals.
        let number = |value: &Value| match value {
            Value::String(text) => text.parse::<u64>().unwrap(),
            value => value.as_u64().unwrap(),
        };
        assert_eq!(
            (number(&said["quoted"]), number(&said["charged"])),
            (6000, 6000),
            "{said}"
        );
    }
}

#[test]
fn call_pays_for_pictures_and_keeps_their_receipt() {
    let market = PaidPictures::open();
    let answer = json_of(market.call(&["--json", "-n", "2", "--max-price", "0.01"]));
    assert_eq!(answer["paid"], "6000");
    let record = &answer["receipt"]["computation"]["pictures"];
    let sent: Vec<&Value> = answer["pictures"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["sha256"])
        .collect();
    assert_eq!(record["digests"], json!(sent));
    let id = answer["id"].as_str().unwrap();
    let dir = market.dir.path();
    fs::write(dir.join("answer.json"), answer.to_string()).unwrap();
    let replay = [
        "receipts",
        "replay",
        id,
        "--answer",
        "answer.json",
        "--adapter",
        "pkg",
        "--json",
    ];
    let report = json_of(openlora(dir).args(replay).run());
    let status: Vec<&Value> = report["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["status"])
        .collect();
    assert_eq!(status, ["pass"; 5], "{report}");
    // The receipt does not stand for a picture of another call, and that is no fault of the server.
    let other = json_of(market.call(&["--json", "--seed", "99", "--max-price", "0.01"]));
    let mut mixed = answer.clone();
    mixed["pictures"][1] = other["pictures"][0].clone();
    fs::write(dir.join("answer.json"), mixed.to_string()).unwrap();
    let run = openlora(dir).args(replay).run();
    assert_eq!(run.code, 9, "{}", run.stderr);
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    let failed: Vec<&Value> = report["checks"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|it| it["status"] == "fail")
        .map(|it| &it["name"])
        .collect();
    assert_eq!(failed, ["answer", "receipt"], "{report}");
    let verified = openlora(dir).args(["receipts", "verify", id, "--url", market.url()]);
    verified.run().succeeds();
    let said = market
        .call(&["-o", "paid.png", "--max-price", "0.01"])
        .succeeds();
    assert!(
        said.stderr
            .contains("1 picture, 4 evaluations, paid 0.003 "),
        "{}",
        said.stderr
    );
    // What is refused before the payment costs nothing.
    let before = market.earned();
    fs::create_dir(dir.join("folder")).unwrap();
    assert_eq!(market.call(&["-o", "folder"]).code, 3);
    assert_eq!(market.call(&["-o", "a.png", "-n", "1000"]).code, 3);
    for wrong in [
        ["-o", "a.jpg"],
        ["-o", "-"],
        ["--guidance", "nan"],
        ["--guidance", "inf"],
        ["--seed", "-1"],
    ] {
        assert_eq!(market.call(&wrong).code, 2, "{wrong:?}");
    }
    assert_eq!(market.earned(), before);
}

/// The proxy pays for pictures as for texts, and agents get them as image content.
#[test]
fn the_proxy_passes_pictures_on() {
    let market = PaidPictures::open();
    let dir = market.dir.path();
    let args = [
        "--json",
        "proxy",
        "--listen",
        "127.0.0.1:0",
        "--max-price",
        "1",
        "--url",
        market.url(),
    ];
    let proxy = Live::named(openlora(dir).args(args), "base_url");
    let order = json!({ "model": "painter", "prompt": "a red circle", "seed": 5, "n": 2 });
    let client = Rpc::new(proxy.url.trim_end_matches("/v1"));
    let headers = [("content-type", "application/json")];
    let (status, said) = client.http(
        "POST",
        "/v1/images/generations",
        &headers,
        &order.to_string(),
    );
    assert_eq!(status, 200, "{said}");
    let answer: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(answer["usage"]["pictures"], 2);
    let url = proxy.url.replace("/v1", "/mcp");
    let said = run(Command::new(python("mcp"))
        .arg(suite("mcp").join("pictures.py"))
        .args(["painter", &url])
        .env("NO_PROXY", "127.0.0.1"));
    assert_eq!(said, "ok listed\nok drawn\nok refused\n");
    assert_eq!(proxy.drain().0, 0);
}

/// A server that is killed during a picture has charged nothing for it, and its answer is not lost to
/// the payer: the same payment buys the picture from the next server.
#[test]
fn a_killed_server_charges_no_picture_that_it_did_not_deliver() {
    let mut market = PaidPictures::open();
    // A first call opens the channel, so that only the picture takes time in the next one.
    market
        .call(&["-o", "first.png", "--max-price", "0.01"])
        .succeeds();
    let journal = market.dir.path().join("home/data");
    let long = [
        "call",
        "a red circle",
        "--adapter",
        "painter",
        "--url",
        market.url(),
        "--steps",
        "50",
        "-n",
        "10",
        "-o",
        "long.png",
        "--max-price",
        "1",
        "--json",
    ];
    let mut buyer = openlora(market.dir.path()).args(long).into_command();
    let buyer = buyer
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let reserved = || calls(&journal, "call_reserved") == 2;
    waiting::wait_until("the reservation", reserved);
    market.server.take().unwrap().kill();
    assert_eq!(calls(&journal, "call_metered"), 1);
    let ended = waiting::finished(buyer);
    assert!(!market.dir.path().join("long-1.png").exists());
    assert_ne!(ended.status.code(), Some(0));
    market.serve();
    // The open call is counted when the next server starts, for nothing.
    waiting::wait_until("the count", || calls(&journal, "call_metered") == 2);
    // Of both calls, the first alone was charged.
    assert_eq!(market.earned()["tokens"][0]["all"]["charged"], "3000");
}

/// How many events of a type a journal has.
fn calls(data: &Path, kind: &str) -> usize {
    let path = data.join("journal.sqlite");
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let Ok(open) = rusqlite::Connection::open_with_flags(path, flags) else {
        return 0;
    };
    let query = "SELECT count(*) FROM events WHERE body ->> '$.type' = ?1";
    let found = open.query_row(query, [kind], |row| row.get::<_, i64>(0));
    found.map_or(0, |count| usize::try_from(count).unwrap())
}

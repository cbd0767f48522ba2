//! Fetching from a Hub, against a local server that speaks its API: resolution of branches, ranges,
//! large files on another host, refusals, and transfers that break.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Path as UrlPath, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use openlora_core::error::{ExitClass, Failure};
use openlora_model::{
    DownloadProgress, ModelError,
    hub::{HubRequest, HubSnapshot, fetch},
};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const CHUNK: usize = 10_000_000;

/// How a server misbehaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Fault {
    #[default]
    None,
    /// Breaks off inside the first transfer of the second chunk of the weights, once.
    BreakOnce,
    /// Breaks off inside every transfer of the weights.
    BreakAlways,
    /// Sends less than it announced.
    Short,
    /// Announces another SHA-256 than the file has.
    OtherDigest,
}

#[derive(Default)]
struct Hub {
    files: BTreeMap<String, Bytes>,
    fault: Mutex<Fault>,
    /// `file range` of every transfer, and the token that came with it.
    transfers: Mutex<Vec<(String, Option<String>)>>,
    /// Where large files are served.
    store: Mutex<Option<SocketAddr>>,
}

/// A server that lives as long as this.
struct Server {
    hub: Arc<Hub>,
    endpoint: String,
    _runtime: tokio::runtime::Runtime,
}

impl Server {
    fn start(files: BTreeMap<String, Bytes>, fault: Fault) -> Self {
        let hub = Arc::new(Hub {
            files,
            fault: Mutex::new(fault),
            ..Hub::default()
        });
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let address = runtime.block_on(listen(hub.clone()));
        *hub.store.lock().unwrap() = Some(runtime.block_on(listen(hub.clone())));
        Self {
            hub,
            endpoint: format!("http://{address}"),
            _runtime: runtime,
        }
    }

    fn request(&self, home: &Path) -> HubRequest {
        HubRequest {
            id: "owner/model".to_owned(),
            revision: "main".to_owned(),
            endpoint: self.endpoint.clone(),
            cache_dir: home.to_owned(),
            token: None,
            offline: false,
        }
    }

    fn transfers(&self) -> Vec<String> {
        let transfers = std::mem::take(&mut *self.hub.transfers.lock().unwrap());
        transfers
            .into_iter()
            .map(|(what, _)| what)
            .filter(|what| !what.ends_with(" bytes=0-0"))
            .collect()
    }

    /// The whole failure, with the server's address taken out.
    fn failure(&self, result: Result<HubSnapshot, ModelError>) -> (ExitClass, String, String) {
        let failure = Failure::from(result.unwrap_err());
        let shown = |text: String| text.replace(&self.endpoint, "HUB");
        (
            failure.class,
            shown(failure.message),
            shown(failure.hint.unwrap()),
        )
    }
}

async fn listen(hub: Arc<Hub>) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let routes = Router::new()
        .route("/api/models/{owner}/{name}/revision/{revision}", get(info))
        .route("/{owner}/{name}/resolve/{revision}/{*file}", get(resolve))
        .route("/store/{*file}", get(stored))
        .with_state(hub);
    tokio::spawn(async move { axum::serve(listener, routes).await });
    address
}

async fn info(
    State(hub): State<Arc<Hub>>,
    UrlPath((owner, name, revision)): UrlPath<(String, String, String)>,
    headers: HeaderMap,
) -> Response {
    let token = headers
        .get(header::AUTHORIZATION)
        .map(|value| value.to_str().unwrap());
    match (format!("{owner}/{name}").as_str(), revision.as_str(), token) {
        ("owner/busy", ..) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        ("owner/gated", _, None) => StatusCode::UNAUTHORIZED.into_response(),
        ("owner/gated", _, Some("Bearer weak")) => StatusCode::FORBIDDEN.into_response(),
        ("owner/model" | "owner/gated", "main" | COMMIT, _) => {
            let siblings: Vec<_> = hub
                .files
                .keys()
                .map(|name| serde_json::json!({"rfilename": name}))
                .collect();
            axum::Json(serde_json::json!({"sha": COMMIT, "siblings": siblings})).into_response()
        }
        ("owner/model", _, _) => (
            StatusCode::NOT_FOUND,
            [("x-error-code", "RevisionNotFound")],
        )
            .into_response(),
        _ => (StatusCode::NOT_FOUND, [("x-error-code", "RepoNotFound")]).into_response(),
    }
}

/// Large files are redirected to another host, as the Hub does.
async fn resolve(
    State(hub): State<Arc<Hub>>,
    UrlPath((_, _, revision, file)): UrlPath<(String, String, String, String)>,
    headers: HeaderMap,
) -> Response {
    assert_eq!(
        revision, COMMIT,
        "files are fetched at the commit, not at the branch"
    );
    let Some(bytes) = hub.files.get(&file).cloned() else {
        return (StatusCode::NOT_FOUND, [("x-error-code", "EntryNotFound")]).into_response();
    };
    if file.ends_with(".safetensors") {
        let mut digest = hex::encode(Sha256::digest(&bytes));
        if *hub.fault.lock().unwrap() == Fault::OtherDigest {
            digest = "ab".repeat(32);
        }
        let store = hub.store.lock().unwrap().unwrap();
        let headers = [
            (
                header::LOCATION.as_str(),
                format!("http://{store}/store/{file}"),
            ),
            ("x-repo-commit", COMMIT.to_owned()),
            ("x-linked-etag", format!("\"{digest}\"")),
            ("x-linked-size", bytes.len().to_string()),
        ];
        return (StatusCode::FOUND, headers).into_response();
    }
    let etag = format!("\"{}\"", &hex::encode(Sha256::digest(&bytes))[..40]);
    let mut response = part(&hub, &file, &bytes, &headers);
    response.headers_mut().insert("etag", etag.parse().unwrap());
    response
        .headers_mut()
        .insert("x-repo-commit", COMMIT.parse().unwrap());
    response
}

async fn stored(
    State(hub): State<Arc<Hub>>,
    UrlPath(file): UrlPath<String>,
    headers: HeaderMap,
) -> Response {
    part(&hub, &file, &hub.files[&file], &headers)
}

/// The range that was asked for, or as much of it as the fault allows.
fn part(hub: &Hub, file: &str, bytes: &Bytes, headers: &HeaderMap) -> Response {
    let range = headers[header::RANGE].to_str().unwrap();
    let token = headers
        .get(header::AUTHORIZATION)
        .map(|value| value.to_str().unwrap().to_owned());
    hub.transfers
        .lock()
        .unwrap()
        .push((format!("{file} {range}"), token));
    let (start, end) = range
        .strip_prefix("bytes=")
        .unwrap()
        .split_once('-')
        .unwrap();
    let start: usize = start.parse().unwrap();
    let end = (end.parse::<usize>().unwrap() + 1).min(bytes.len());
    let slice = bytes.slice(start..end);
    let span = format!("bytes {start}-{}/{}", end - 1, bytes.len());
    let probe = slice.len() == 1;
    let mut fault = hub.fault.lock().unwrap();
    let body = match *fault {
        Fault::BreakOnce if !probe && start >= CHUNK => {
            *fault = Fault::None;
            broken(&slice)
        }
        Fault::BreakAlways if !probe && file.ends_with(".safetensors") => broken(&slice),
        Fault::Short if !probe && file.ends_with(".safetensors") => {
            Body::from(slice.slice(..slice.len() - 7))
        }
        _ => Body::from(slice),
    };
    (
        StatusCode::PARTIAL_CONTENT,
        [(header::CONTENT_RANGE, span)],
        body,
    )
        .into_response()
}

/// Half of it, then a broken connection.
fn broken(slice: &Bytes) -> Body {
    let half = slice.slice(..slice.len() / 2);
    let parts = [Ok(half), Err(std::io::Error::other("the cable was pulled"))];
    Body::from_stream(futures::stream::iter(parts))
}

fn files(weights: usize) -> BTreeMap<String, Bytes> {
    let weights: Vec<u8> = (0..weights).map(|i| (i * 7 + i / 251) as u8).collect();
    [
        (
            "config.json",
            Bytes::from_static(b"{\"model_type\": \"llama\"}"),
        ),
        (
            "tokenizer.json",
            Bytes::from_static(b"{\"version\": \"1.0\"}"),
        ),
        ("chat_template.jinja", Bytes::from_static(b"{{ messages }}")),
        (
            "README.md",
            Bytes::from_static(b"---\nlicense: apache-2.0\n---\n"),
        ),
        ("notes.txt", Bytes::from_static(b"not needed")),
        ("model.safetensors", Bytes::from(weights)),
    ]
    .map(|(name, bytes)| (name.to_owned(), bytes))
    .into()
}

fn quiet(request: &HubRequest) -> Result<HubSnapshot, ModelError> {
    fetch(request, &mut |_| ())
}

fn home() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn expected(class: ExitClass, message: &str, hint: &str) -> (ExitClass, String, String) {
    (class, message.to_owned(), hint.to_owned())
}

const AGAIN: &str = "run the same command again; what arrived is kept";

#[test]
fn a_model_is_fetched_once_and_then_found() {
    let server = Server::start(files(3000), Fault::None);
    let (home, mut reports) = (home(), Vec::new());
    let request = server.request(home.path());
    let snapshot = fetch(&request, &mut |report| reports.push(report)).unwrap();
    assert_eq!(snapshot.commit, COMMIT);
    for (name, bytes) in files(3000) {
        let found = std::fs::read(snapshot.dir.join(&name)).ok();
        assert_eq!(
            found.as_deref(),
            (name != "notes.txt").then_some(bytes.as_ref()),
            "{name}"
        );
    }
    let names = [
        "config.json",
        "tokenizer.json",
        "chat_template.jinja",
        "README.md",
        "model.safetensors",
    ];
    let started: Vec<(&str, u64)> = reports
        .iter()
        .filter_map(|report| match report {
            DownloadProgress::Started { file, bytes } => Some((file.as_str(), *bytes)),
            _ => None,
        })
        .collect();
    assert_eq!(
        started,
        names.map(|name| (name, files(3000)[name].len() as u64))
    );
    let total: u64 = reports
        .iter()
        .map(|report| {
            if let DownloadProgress::Advanced { bytes } = report {
                *bytes
            } else {
                0
            }
        })
        .sum();
    assert_eq!(total, started.iter().map(|(_, bytes)| bytes).sum::<u64>());
    assert_eq!(server.transfers().len(), 5);

    assert_eq!(quiet(&request).unwrap(), snapshot);
    assert_eq!(
        server.transfers(),
        Vec::<String>::new(),
        "the second time nothing is transferred"
    );
    let offline = HubRequest {
        offline: true,
        ..request.clone()
    };
    assert_eq!(quiet(&offline).unwrap(), snapshot);
    drop(server);
    assert_eq!(
        quiet(&request).unwrap(),
        snapshot,
        "an unreachable Hub does not matter any more"
    );
}

#[test]
fn a_cache_without_the_model_card_stays_usable() {
    let server = Server::start(files(3000), Fault::None);
    let home = home();
    let request = server.request(home.path());
    let snapshot = quiet(&request).unwrap();
    let card = snapshot.dir.join("README.md");
    // As an older version left it.
    std::fs::remove_file(&card).unwrap();
    server.transfers();
    let offline = HubRequest {
        offline: true,
        ..request.clone()
    };
    assert_eq!(quiet(&offline).unwrap(), snapshot);
    assert_eq!(server.transfers(), Vec::<String>::new());
    assert!(!card.exists());
    assert_eq!(quiet(&request).unwrap(), snapshot);
    assert_eq!(server.transfers(), ["README.md bytes=0-28"]);
    assert_eq!(std::fs::read(&card).unwrap(), files(0)["README.md"]);
    std::fs::remove_file(&card).unwrap();
    drop(server);
    assert_eq!(
        quiet(&request).unwrap(),
        snapshot,
        "an unreachable Hub does not matter"
    );
}

#[test]
fn shards_are_fetched_as_the_index_says() {
    let mut files = files(500);
    let weights = files.remove("model.safetensors").unwrap();
    let index = r#"{"weight_map": {"a": "m-1.safetensors", "b": "m-2.safetensors", "c": "m-1.safetensors"}}"#;
    files.insert(
        "model.safetensors.index.json".to_owned(),
        Bytes::from(index),
    );
    files.insert("m-1.safetensors".to_owned(), weights.clone());
    let server = Server::start(files.clone(), Fault::None);
    let (first, second) = (home(), home());
    let found = server.failure(quiet(&server.request(first.path())));
    let message = "owner/model at revision main from HUB: the repository has no m-2.safetensors";
    let hint = "choose a repository with safetensors weights and a tokenizer.json";
    assert_eq!(found, expected(ExitClass::BadInput, message, hint));

    files.insert("m-2.safetensors".to_owned(), weights.slice(..100));
    let server = Server::start(files, Fault::None);
    let snapshot = quiet(&server.request(second.path())).unwrap();
    assert_eq!(
        std::fs::read(snapshot.dir.join("m-1.safetensors")).unwrap(),
        weights
    );
    assert_eq!(
        std::fs::read(snapshot.dir.join("m-2.safetensors")).unwrap(),
        weights[..100]
    );
}

#[test]
fn an_interrupted_transfer_is_resumed() {
    let server = Server::start(files(CHUNK + 40_000), Fault::BreakOnce);
    let home = home();
    let snapshot = quiet(&server.request(home.path())).unwrap();
    let weights = std::fs::read(snapshot.dir.join("model.safetensors")).unwrap();
    assert!(weights == files(CHUNK + 40_000)["model.safetensors"]);
    let weights: Vec<String> = server
        .transfers()
        .into_iter()
        .filter(|what| what.starts_with("model"))
        .collect();
    let second = format!("model.safetensors bytes={CHUNK}-{}", CHUNK + 40_000);
    let first = format!("model.safetensors bytes=0-{}", CHUNK - 1);
    assert_eq!(
        weights,
        [first, second.clone(), second],
        "the first chunk comes only once"
    );
}

#[test]
fn a_transfer_that_keeps_breaking_is_given_up() {
    let server = Server::start(files(3000), Fault::BreakAlways);
    let home = home();
    let request = server.request(home.path());
    let message = "owner/model at revision main from HUB: model.safetensors: \
                   the connection broke off";
    let found = server.failure(quiet(&request));
    assert_eq!(found, expected(ExitClass::Network, message, AGAIN));
    assert_eq!(
        server
            .transfers()
            .iter()
            .filter(|what| what.starts_with("model"))
            .count(),
        3
    );
    let offline = HubRequest {
        offline: true,
        ..request.clone()
    };
    let message = "owner/model at revision main from HUB: not in the cache, and the network is not to be used";
    let hint = "run it once without --offline, or use the base nano";
    let found = server.failure(quiet(&offline));
    assert_eq!(
        found,
        expected(ExitClass::Network, message, hint),
        "half a model is no model"
    );
    *server.hub.fault.lock().unwrap() = Fault::None;
    quiet(&request).unwrap();
}

#[test]
fn wrong_sizes_and_digests_are_refused_and_fetched_again() {
    let size = "model.safetensors: 2993 bytes arrived; expected 3000".to_owned();
    let digest = format!(
        "model.safetensors: SHA-256 is {}; expected {}",
        hex::encode(Sha256::digest(&files(3000)["model.safetensors"])),
        "ab".repeat(32)
    );
    for (fault, problem) in [(Fault::Short, size), (Fault::OtherDigest, digest)] {
        let server = Server::start(files(3000), fault);
        let home = home();
        let request = server.request(home.path());
        let message = format!("owner/model at revision main from HUB: {problem}");
        let found = server.failure(quiet(&request));
        assert_eq!(found, expected(ExitClass::Network, &message, AGAIN));
        *server.hub.fault.lock().unwrap() = Fault::None;
        let snapshot = quiet(&request).unwrap();
        let weights = std::fs::read(snapshot.dir.join("model.safetensors")).unwrap();
        assert!(weights == files(3000)["model.safetensors"], "{fault:?}");
    }
}

#[test]
fn models_that_are_not_there_or_not_for_us() {
    let server = Server::start(files(3000), Fault::None);
    let home = home();
    let request = server.request(home.path());
    let ask = |id: &str, revision: &str, token: Option<&str>| {
        let (id, revision) = (id.to_owned(), revision.to_owned());
        let token = token.map(str::to_owned);
        server.failure(quiet(&HubRequest {
            id,
            revision,
            token,
            ..request.clone()
        }))
    };
    let (bad, network) = (ExitClass::BadInput, ExitClass::Network);
    let message = "owner/absent at revision main from HUB: there is no such model";
    let hint = "look owner/absent up on HUB, and correct base.id";
    assert_eq!(
        ask("owner/absent", "main", None),
        expected(bad, message, hint)
    );
    let message = "owner/busy at revision main from HUB: the Hub answers with status 503";
    assert_eq!(
        ask("owner/busy", "main", None),
        expected(network, message, AGAIN)
    );
    for revision in ["v9", "../../etc", ""] {
        let message =
            format!("owner/model at revision {revision} from HUB: the model has no such revision");
        let hint = "choose a branch, tag or commit of HUB/owner/model";
        assert_eq!(
            ask("owner/model", revision, None),
            expected(bad, &message, hint)
        );
    }
    let message = "owner/gated at revision main from HUB: \
                   the Hub refuses with status 401; the model is gated, private or does not exist";
    let hint = "ask for access on HUB/owner/gated, then set HF_TOKEN to a token that may read it";
    assert_eq!(
        ask("owner/gated", "main", None),
        expected(network, message, hint)
    );
    let message = "owner/gated at revision main from HUB: \
                   the Hub refuses with status 403; the model is gated, private or does not exist";
    let hint = "ask for access on HUB/owner/gated; the token in HF_TOKEN may not read it";
    assert_eq!(
        ask("owner/gated", "main", Some("weak")),
        expected(network, message, hint)
    );
}

#[test]
fn the_token_is_sent_to_the_hub_and_never_shown() {
    let server = Server::start(files(3000), Fault::None);
    let home = home();
    let token = Some("secret".to_owned());
    let request = HubRequest {
        id: "owner/gated".to_owned(),
        token,
        ..server.request(home.path())
    };
    let shown = format!("{request:?}").replace(&server.endpoint, "HUB");
    assert_eq!(shown, "HubRequest(owner/gated@main from HUB)");
    quiet(&request).unwrap();
    let transfers = server.hub.transfers.lock().unwrap();
    let to_hub = transfers
        .iter()
        .filter(|(what, _)| what.starts_with("config.json"));
    let tokens: Vec<_> = to_hub.map(|(_, token)| token.as_deref()).collect();
    assert_eq!(tokens, [Some("Bearer secret"), Some("Bearer secret")]);
}

#[test]
fn an_address_without_a_server() {
    let home = home();
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let request = HubRequest {
        id: "owner/model".to_owned(),
        revision: "main".to_owned(),
        endpoint: format!("http://{free}"),
        cache_dir: home.path().to_owned(),
        token: None,
        offline: false,
    };
    let failure = Failure::from(quiet(&request).unwrap_err());
    let message = format!("owner/model at revision main from http://{free}: connection refused");
    assert_eq!(
        failure,
        Failure::new(ExitClass::Network, message).with_hint(AGAIN)
    );
}

#[test]
fn pickles_and_empty_repositories_are_refused() {
    let mut only_pickle = files(10);
    let weights = only_pickle.remove("model.safetensors").unwrap();
    let mut nothing = only_pickle.clone();
    nothing.remove("tokenizer.json");
    only_pickle.insert("pytorch_model.bin".to_owned(), weights);
    let server = Server::start(only_pickle, Fault::None);
    let home = home();
    let failure = server.failure(quiet(&server.request(home.path())));
    let message = "pytorch_model.bin: weights in pickle format are refused, because loading them can run code";
    let hint = "convert it with safetensors.torch.save_file, or choose a revision that has model.safetensors";
    assert_eq!(failure, expected(ExitClass::BadInput, message, hint));
    let server = Server::start(nothing, Fault::None);
    let failure = server.failure(quiet(&server.request(home.path())));
    let message = "owner/model at revision main from HUB: the repository has no tokenizer.json";
    let hint = "choose a repository with safetensors weights and a tokenizer.json";
    assert_eq!(failure, expected(ExitClass::BadInput, message, hint));
    let only_gguf = BTreeMap::from([("model-Q8_0.gguf".to_owned(), Bytes::from_static(b"GGUF"))]);
    let server = Server::start(only_gguf, Fault::None);
    let failure = server.failure(quiet(&server.request(home.path())));
    let message = "owner/model at revision main from HUB: the repository has its weights in GGUF \
                   only, such as model-Q8_0.gguf";
    let hint = "download one of the files from HUB/owner/model, and name it with --base";
    assert_eq!(failure, expected(ExitClass::BadInput, message, hint));
}

/// A repository as MiniT2I's: folders for the denoiser, and other sizes beside it.
fn picture_files(with_text: bool) -> BTreeMap<String, Bytes> {
    let mut names = vec![
        "README.md",
        "minit2i-b-16/transformer/config.json",
        "minit2i-b-16/transformer/diffusion_pytorch_model.safetensors",
        "minit2i-l-16/transformer/config.json",
        "minit2i-l-16/transformer/diffusion_pytorch_model.safetensors",
    ];
    if with_text {
        names.extend([
            "text_encoder/config.json",
            "text_encoder/tokenizer.json",
            "text_encoder/model.safetensors",
        ]);
    }
    let content = |name: &str| Bytes::from(format!("{name} of two bytes or more"));
    let files = names.into_iter();
    files.map(|name| (name.to_owned(), content(name))).collect()
}

#[test]
fn a_base_for_pictures_is_fetched_with_its_folders() {
    for with_text in [false, true] {
        let files = picture_files(with_text);
        let server = Server::start(files.clone(), Fault::None);
        let home = home();
        let request = server.request(home.path());
        let snapshot = quiet(&request).unwrap();
        for (name, bytes) in &files {
            let found = std::fs::read(snapshot.dir.join(name)).ok();
            // Of several sizes, the base is the first.
            let wanted = (!name.contains("l-16")).then_some(bytes.as_ref());
            assert_eq!(found.as_deref(), wanted, "{name}");
        }
        server.transfers();
        let offline = HubRequest {
            offline: true,
            ..request
        };
        assert_eq!(quiet(&offline).unwrap(), snapshot);
        assert_eq!(server.transfers(), Vec::<String>::new());
        let weights = "minit2i-b-16/transformer/diffusion_pytorch_model.safetensors";
        std::fs::remove_file(snapshot.dir.join(weights)).unwrap();
        assert!(
            quiet(&offline).is_err(),
            "without weights it is not complete"
        );
    }
}

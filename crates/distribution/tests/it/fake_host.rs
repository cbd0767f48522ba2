//! A web host that does what a test tells it to, and a home that pulls from it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Request, State},
    http::{HeaderMap, Response, StatusCode, header},
};
use futures::stream;
use openlora_core::error::{ExitClass, Explain};
use openlora_distribution::{
    CredentialSources, DistributionError, HttpFetcher, PackageFetcher, PackageLocation,
    PackageStore, PullLimits, PullRequest, PulledPackage,
};
use tempfile::TempDir;

use crate::packages;

/// What a path answers.
#[derive(Clone, Debug, Default)]
pub struct Page {
    pub bytes: Vec<u8>,
    /// So many answers break off after so many bytes.
    pub breaks: Option<Broken>,
    pub redirect: Option<String>,
    pub etag: Option<String>,
    /// Asks for this value of `Authorization` with this challenge.
    pub wants: Option<Wanted>,
    /// Answers whole files, whatever is asked for.
    pub ignores_ranges: bool,
}

#[derive(Clone, Copy, Debug)]
pub struct Broken {
    pub after: usize,
    pub times: usize,
}

#[derive(Clone, Debug)]
pub struct Wanted {
    pub authorization: String,
    pub challenge: String,
}

/// A request that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub path: String,
    pub range: Option<String>,
    pub authorization: Option<String>,
}

#[derive(Clone, Default)]
pub struct FakeHost {
    pages: Arc<Mutex<BTreeMap<String, Page>>>,
    seen: Arc<Mutex<Vec<Seen>>>,
    pub url: String,
}

impl FakeHost {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            ..Self::default()
        };
        let app = Router::new().fallback(answer).with_state(host.clone());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        host
    }

    pub fn put(&self, path: &str, page: Page) {
        self.pages.lock().unwrap().insert(path.to_owned(), page);
    }

    pub fn change(&self, path: &str, change: impl FnOnce(&mut Page)) {
        change(self.pages.lock().unwrap().get_mut(path).unwrap());
    }

    /// Publishes the files of a folder below a path.
    pub fn publish(&self, path: &str, dir: &Path) {
        for name in files(dir) {
            let bytes = fs::read(dir.join(&name)).unwrap();
            let page = Page {
                bytes,
                ..Page::default()
            };
            self.put(&format!("{path}/{name}"), page);
        }
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The ranges with which a path was asked for.
    pub fn ranges(&self, path: &str) -> Vec<Option<String>> {
        let seen = self.seen();
        let same = seen.into_iter().filter(|it| it.path == path);
        same.map(|it| it.range).collect()
    }
}

async fn answer(State(host): State<FakeHost>, request: Request) -> Response<Body> {
    let path = request.uri().path().to_owned();
    let text = |headers: &HeaderMap, name| {
        let value = headers.get(name);
        value.map(|it| it.to_str().unwrap().to_owned())
    };
    let seen = Seen {
        path: path.clone(),
        range: text(request.headers(), header::RANGE),
        authorization: text(request.headers(), header::AUTHORIZATION),
    };
    host.seen.lock().unwrap().push(seen.clone());
    let mut pages = host.pages.lock().unwrap();
    let Some(page) = pages.get_mut(&path) else {
        return plain(StatusCode::NOT_FOUND);
    };
    if let Some(wanted) = &page.wants
        && seen.authorization.as_ref() != Some(&wanted.authorization)
    {
        return Response::builder()
            .status(StatusCode::UNAUTHORIZED)
            .header(header::WWW_AUTHENTICATE, &wanted.challenge)
            .body(Body::empty())
            .unwrap();
    }
    if let Some(target) = &page.redirect {
        return Response::builder()
            .status(StatusCode::TEMPORARY_REDIRECT)
            .header(header::LOCATION, target)
            .body(Body::empty())
            .unwrap();
    }
    send(page, seen.range.as_deref())
}

fn plain(status: StatusCode) -> Response<Body> {
    Response::builder()
        .status(status)
        .body(Body::empty())
        .unwrap()
}

fn send(page: &mut Page, range: Option<&str>) -> Response<Body> {
    let start = range.and_then(|it| it.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
    let start: usize = start.filter(|_| !page.ignores_ranges).unwrap_or(0);
    let length = page.bytes.len();
    if start > 0 && start >= length {
        return plain(StatusCode::RANGE_NOT_SATISFIABLE);
    }
    let rest = Bytes::copy_from_slice(&page.bytes[start..]);
    let mut response = Response::builder().header(header::CONTENT_LENGTH, rest.len());
    if let Some(etag) = &page.etag {
        response = response.header(header::ETAG, etag);
    }
    if start > 0 {
        response = response.status(StatusCode::PARTIAL_CONTENT).header(
            header::CONTENT_RANGE,
            format!("bytes {start}-{}/{length}", length - 1),
        );
    }
    let body = match &mut page.breaks {
        Some(broken) if broken.times > 0 => {
            broken.times -= 1;
            let sent = rest.slice(..broken.after.min(rest.len()));
            Body::from_stream(stream::unfold(Some(sent), cut_line))
        }
        _ => Body::from(rest),
    };
    response.body(body).unwrap()
}

/// Sends the bytes, lets the server flush them, and breaks off.
async fn cut_line(sent: Option<Bytes>) -> Option<(std::io::Result<Bytes>, Option<Bytes>)> {
    match sent {
        Some(sent) => Some((Ok(sent), None)),
        None => {
            tokio::task::yield_now().await;
            Some((Err(std::io::Error::other("the line was cut")), None))
        }
    }
}

/// The files below a folder, by name.
pub fn files(dir: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut pending = vec![dir.to_owned()];
    while let Some(folder) = pending.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => pending.push(path),
                false => {
                    let name = path.strip_prefix(dir).unwrap();
                    found.insert(name.to_str().unwrap().to_owned());
                }
            }
        }
    }
    found
}

/// The content of the files below a folder.
pub fn contents(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let read = |name: String| (name.clone(), fs::read(dir.join(name)).unwrap());
    files(dir).into_iter().map(read).collect()
}

/// A store, what fetches into it, and a signed package.
pub struct Place {
    pub folder: TempDir,
    pub store: PackageStore,
    pub fetcher: PackageFetcher,
    pub limits: PullLimits,
}

impl Place {
    pub fn new() -> Self {
        let folder = TempDir::new().unwrap();
        Self {
            store: PackageStore::at(&folder.path().join("store")),
            fetcher: PackageFetcher {
                http: HttpFetcher::new(false).unwrap(),
                credentials: CredentialSources::default(),
                hub: "https://hub.invalid".into(),
            },
            limits: PullLimits::default(),
            folder,
        }
    }

    pub fn package(&self) -> PathBuf {
        let dir = self.folder.path().join("package");
        match dir.is_dir() {
            true => dir,
            false => packages::packaged(self.folder.path()),
        }
    }

    pub fn offline(&mut self) {
        self.fetcher.http = HttpFetcher::new(true).unwrap();
    }

    pub async fn pull_with(
        &self,
        location: &str,
        update: bool,
    ) -> Result<PulledPackage, DistributionError> {
        let location: PackageLocation = location.parse().unwrap();
        let request = PullRequest {
            location: &location,
            expected: None,
            limits: self.limits,
            update,
        };
        let check = |dir: &Path| Ok(packages::checked(dir));
        self.fetcher
            .pull(&self.store, &request, &check, &|_| {})
            .await
    }

    pub async fn pull(&self, location: &str) -> Result<PulledPackage, DistributionError> {
        self.pull_with(location, false).await
    }

    /// The refusal, its exit class, and that nothing is in the store.
    #[track_caller]
    pub fn refused(&self, pulled: Result<PulledPackage, DistributionError>) -> (String, ExitClass) {
        let error = pulled.unwrap_err();
        assert_eq!(self.stored(), Vec::<String>::new());
        (error.to_string(), error.class())
    }

    /// The names of the packages in the store.
    pub fn stored(&self) -> Vec<String> {
        let store = self.folder.path().join("store");
        let entries = fs::read_dir(store).into_iter().flatten();
        let names = entries.map(|it| it.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with("sha256-")).collect()
    }
}

//! Downloads a base from a Hugging Face Hub into a cache in the Hub's own layout.
//!
//! The branch is resolved to a commit first, and every file is fetched at that commit. Transfers
//! resume where an earlier one stopped. Sizes are verified, and SHA-256 digests where the Hub
//! states them. The token is sent but never displayed.

mod meter;
mod picture_files;

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::mpsc::{Sender, channel},
    time::Duration,
};

use hf_hub::{
    Cache, Repo, RepoType,
    api::{
        RepoInfo,
        tokio::{Api, ApiBuilder, ApiError, ApiRepo},
    },
};

use self::{
    meter::{DownloadMeter, check_digest, discard},
    picture_files::PictureFolder,
};
use super::{
    error::{HubProblem, ModelError},
    weight_files::{INDEX, SINGLE, weight_files},
};

/// Files that every base must have.
const REQUIRED: [&str; 2] = ["config.json", "tokenizer.json"];
/// Files that are fetched when the repository has them.
const OPTIONAL: [&str; 4] = [
    "tokenizer_config.json",
    "chat_template.jinja",
    "generation_config.json",
    // The model card, which states the licence.
    "README.md",
];
/// Attempts to download one file; each continues where the last one stopped.
const ATTEMPTS: usize = 3;
/// A server that is silent for this long is treated as unreachable.
const SILENCE: Duration = Duration::from_secs(60);

/// Progress of a download.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DownloadProgress {
    Started {
        file: String,
        bytes: u64,
    },
    /// Bytes that arrived since the last report.
    Advanced {
        bytes: u64,
    },
    Finished {
        file: String,
    },
}

/// The repository and files to fetch.
#[derive(Clone)]
pub struct HubRequest {
    pub id: String,
    /// Branch, tag or commit.
    pub revision: String,
    /// Such as `https://huggingface.co`.
    pub endpoint: String,
    pub cache_dir: PathBuf,
    pub token: Option<String>,
    /// Use only the cache, never the network.
    pub offline: bool,
}

impl fmt::Debug for HubRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "HubRequest({}@{} from {})",
            self.id, self.revision, self.endpoint
        )
    }
}

/// A fetched repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubSnapshot {
    pub dir: PathBuf,
    pub commit: String,
}

/// Downloads what a base needs, or finds it in the cache.
///
/// Runs on its own thread and may be called from anywhere; `report` is called on the calling
/// thread.
pub fn fetch(
    request: &HubRequest,
    report: &mut dyn FnMut(DownloadProgress),
) -> Result<HubSnapshot, ModelError> {
    if !is_revision(&request.revision) {
        return Err(request.failed(HubProblem::Revision));
    }
    if request.offline {
        return request
            .cached()
            .ok_or_else(|| request.failed(HubProblem::Offline));
    }
    let (sender, reports) = channel();
    std::thread::scope(|scope| {
        let transfer = scope.spawn(move || HubTransfer::new(request, sender).run());
        reports.into_iter().for_each(report);
        match transfer.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

impl HubRequest {
    fn failed(&self, problem: HubProblem) -> ModelError {
        ModelError::Hub {
            id: self.id.clone(),
            revision: self.revision.clone(),
            endpoint: self.endpoint.clone(),
            problem,
        }
    }

    fn repo(&self, revision: &str) -> Repo {
        Repo::with_revision(self.id.clone(), RepoType::Model, revision.to_owned())
    }

    /// The cached snapshot of the revision, if its files are complete.
    fn cached(&self) -> Option<HubSnapshot> {
        let cache = Cache::new(self.cache_dir.clone()).repo(self.repo(&self.revision));
        let text = || {
            let config = REQUIRED.map(|name| cache.get(name)).into_iter().last()??;
            let dir = config.parent()?.to_owned();
            let complete = weight_files(&dir).ok()?.iter().all(|path| path.exists());
            complete.then_some(dir)
        };
        let dir = text().or_else(|| PictureFolder::in_cache(&cache))?;
        let commit = dir.file_name()?.to_string_lossy().into_owned();
        Some(HubSnapshot { dir, commit })
    }
}

/// Whether a revision is safe to use as a path below the cache.
fn is_revision(revision: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
    !revision.is_empty()
        && revision.chars().all(allowed)
        && revision
            .split('/')
            .all(|part| !part.is_empty() && part != "." && part != "..")
}

fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// One transfer from the Hub, on its own thread.
struct HubTransfer<'a> {
    request: &'a HubRequest,
    cache: Cache,
    reports: Sender<DownloadProgress>,
}

impl<'a> HubTransfer<'a> {
    fn new(request: &'a HubRequest, reports: Sender<DownloadProgress>) -> Self {
        Self {
            request,
            cache: Cache::new(request.cache_dir.clone()),
            reports,
        }
    }

    fn run(&self) -> Result<HubSnapshot, ModelError> {
        let info = match self.info() {
            Ok(info) => info,
            Err(problem) => return self.cached_instead(problem),
        };
        if !is_commit(&info.sha) {
            let reason = format!("it names the commit \"{}\"", info.sha);
            return Err(self.request.failed(HubProblem::Transport { reason }));
        }
        let dir = match PictureFolder::in_repository(&info) {
            Some(folder) => self.pictures(&info, &folder)?,
            None => self.text(&info)?,
        };
        // The branch points to the commit only once all of its files are present.
        let branch = self.cache.repo(self.request.repo(&self.request.revision));
        branch
            .create_ref(&info.sha)
            .map_err(ModelError::io("write to", &self.request.cache_dir))?;
        Ok(HubSnapshot {
            dir,
            commit: info.sha,
        })
    }

    /// Fetches a base for text; returns its folder.
    fn text(&self, info: &RepoInfo) -> Result<PathBuf, ModelError> {
        let mut dir = PathBuf::new();
        for name in self.small_files(info)? {
            dir = self.file(&info.sha, &name)?;
            dir.pop();
        }
        for name in self.weights(info, &dir)? {
            self.file(&info.sha, &name)?;
        }
        Ok(dir)
    }

    /// Fetches a base for pictures; returns the folder of the repository.
    fn pictures(&self, info: &RepoInfo, folder: &PictureFolder) -> Result<PathBuf, ModelError> {
        for name in folder.small_files(info) {
            self.file(&info.sha, &name)?;
        }
        let config = self.file(&info.sha, &folder.config())?;
        let root = folder.root_of(&config);
        for name in folder.weights(info, &root)? {
            match has(info, &name) {
                true => self.file(&info.sha, &name)?,
                false => return Err(self.lacks(&name)),
            };
        }
        Ok(root)
    }

    /// Uses a cached base if the Hub is unreachable.
    fn cached_instead(&self, problem: HubProblem) -> Result<HubSnapshot, ModelError> {
        let unreachable = matches!(problem, HubProblem::Transport { .. });
        let cached = if unreachable {
            self.request.cached()
        } else {
            None
        };
        cached.ok_or_else(|| self.request.failed(problem))
    }

    fn repo(&self, revision: &str) -> Result<ApiRepo, HubProblem> {
        let api = ApiBuilder::from_cache(self.cache.clone())
            .with_endpoint(self.request.endpoint.trim_end_matches('/').to_owned())
            .with_token(self.request.token.clone())
            .with_user_agent("openlora", env!("CARGO_PKG_VERSION"))
            .with_progress(false)
            .build();
        let api: Api = api.map_err(|error| HubProblem::Transport {
            reason: chain(&error),
        })?;
        Ok(api.repo(self.request.repo(revision)))
    }

    fn info(&self) -> Result<RepoInfo, HubProblem> {
        let repo = self.repo(&self.request.revision)?;
        let exchange = async {
            let response = repo.info_request().send().await?;
            let code = response.headers().get("x-error-code").cloned();
            if code.is_some_and(|code| code == "RevisionNotFound") {
                return Ok(None);
            }
            Ok(Some(response.error_for_status()?.json().await?))
        };
        let exchange = async { tokio::time::timeout(SILENCE, exchange).await };
        match run_alone(exchange)? {
            Ok(Ok(Some(info))) => Ok(info),
            Ok(Ok(None)) => Err(HubProblem::Revision),
            Ok(Err(error)) => Err(self.problem(&ApiError::RequestError(error))),
            Err(_) => Err(silent()),
        }
    }

    fn problem(&self, error: &ApiError) -> HubProblem {
        match status(error) {
            Some(404) => HubProblem::Missing,
            Some(status @ (401 | 403)) => HubProblem::Refused {
                status,
                token: self.request.token.is_some(),
            },
            Some(status) => HubProblem::Transport {
                reason: format!("the Hub answers with status {status}"),
            },
            None if breaks_off(error) => HubProblem::Transport {
                reason: "the connection broke off".to_owned(),
            },
            None => HubProblem::Transport {
                reason: chain(error),
            },
        }
    }

    fn lacks(&self, file: &str) -> ModelError {
        self.request.failed(HubProblem::Lacks {
            file: file.to_owned(),
        })
    }

    /// Everything but the weights, and the index that names them.
    fn small_files(&self, info: &RepoInfo) -> Result<Vec<String>, ModelError> {
        let is_safe = has(info, SINGLE) || has(info, INDEX);
        let files = info.siblings.iter().map(|sibling| &sibling.rfilename);
        let gguf = files.into_iter().find(|file| file.ends_with(".gguf"));
        if let (false, Some(file)) = (is_safe, gguf) {
            let file = file.clone();
            return Err(self.request.failed(HubProblem::GgufOnly { file }));
        }
        if let Some(missing) = REQUIRED.iter().find(|name| !has(info, name)) {
            return Err(self.lacks(missing));
        }
        if !is_safe {
            let pickle = info
                .siblings
                .iter()
                .find(|sibling| sibling.rfilename.ends_with(".bin"));
            return Err(match pickle {
                Some(file) => ModelError::Pickle {
                    path: PathBuf::from(&file.rfilename),
                },
                None => self.lacks(SINGLE),
            });
        }
        let index = has(info, INDEX).then_some(INDEX);
        let optional = OPTIONAL.into_iter().filter(|name| has(info, name));
        Ok(REQUIRED
            .into_iter()
            .chain(optional)
            .chain(index)
            .map(str::to_owned)
            .collect())
    }

    fn weights(&self, info: &RepoInfo, dir: &Path) -> Result<Vec<String>, ModelError> {
        if !has(info, INDEX) {
            return Ok(vec![SINGLE.to_owned()]);
        }
        let names: Vec<String> = weight_files(dir)?
            .iter()
            .filter_map(|path| path.file_name())
            .map(|name| name.to_string_lossy().into_owned())
            .collect();
        match names.iter().find(|name| !has(info, name)) {
            Some(missing) => Err(self.lacks(missing)),
            None => Ok(names),
        }
    }

    /// Fetches one file unless the cache has it.
    fn file(&self, commit: &str, name: &str) -> Result<PathBuf, ModelError> {
        if let Some(path) = self.cache.repo(self.request.repo(commit)).get(name) {
            return Ok(path);
        }
        let mut attempt = 1;
        let problem = loop {
            match self.download(commit, name) {
                Ok(path) => return Ok(path),
                Err(HubProblem::Transport { .. }) if attempt < ATTEMPTS => attempt += 1,
                Err(problem) => break problem,
            }
        };
        let (file, problem) = (name.to_owned(), Box::new(problem));
        Err(self.request.failed(HubProblem::File { file, problem }))
    }

    /// One attempt; the next one continues where it stopped.
    fn download(&self, commit: &str, name: &str) -> Result<PathBuf, HubProblem> {
        let repo = self.repo(commit)?;
        let meter = DownloadMeter::new(self.reports.clone());
        let transfer = async {
            tokio::select! {
                result = repo.download_with_progress(name, meter.clone()) => result.map_err(|error| self.problem(&error)),
                () = meter.silence() => Err(silent()),
            }
        };
        let path = run_alone(transfer)??;
        if let Err(problem) = meter.check().and_then(|()| check_digest(&path)) {
            discard(&path);
            return Err(problem);
        }
        self.reports
            .send(DownloadProgress::Finished {
                file: name.to_owned(),
            })
            .ok();
        Ok(path)
    }
}

fn has(info: &RepoInfo, name: &str) -> bool {
    info.siblings
        .iter()
        .any(|sibling| sibling.rfilename == name)
}

/// Runs a future on a runtime of its own; its remaining transfers end with that runtime.
fn run_alone<T>(future: impl Future<Output = T>) -> Result<T, HubProblem> {
    match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => Ok(runtime.block_on(future)),
        Err(error) => Err(HubProblem::Transport {
            reason: error.to_string(),
        }),
    }
}

fn status(error: &ApiError) -> Option<u16> {
    match error {
        ApiError::RequestError(error) => error.status().map(|status| status.as_u16()),
        ApiError::TooManyRetries(error) => status(error),
        _ => None,
    }
}

/// Whether an established connection was lost, which the system reports in several ways.
fn breaks_off(error: &ApiError) -> bool {
    match error {
        ApiError::RequestError(error) => {
            !error.is_connect() && (error.is_body() || error.is_request() || error.is_decode())
        }
        _ => false,
    }
}

/// The innermost cause of an error; the outer ones repeat the URL.
fn chain(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    let text = innermost.to_string();
    match text.find(" (os error") {
        Some(end) => text[..end].to_lowercase(),
        None => text,
    }
}

fn silent() -> HubProblem {
    HubProblem::Silent {
        seconds: SILENCE.as_secs(),
    }
}

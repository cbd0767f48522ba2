//! A client of one repository of an OCI registry (distribution specification 1.1), with bounded
//! answers and tokens that go to the registry alone.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{PoisonError, RwLock},
};

use reqwest::{
    Method, Response, StatusCode, Url,
    header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, LOCATION, WWW_AUTHENTICATE},
};
use serde::Deserialize;

use super::{
    credentials::{CredentialSources, RegistryLogin},
    error::DistributionError,
    http::{FetchRequest, HttpFetcher, read_bounded, refusal, shown},
    limits::LARGEST_OCI,
    location::{RegistryReference, RegistryVersion},
    modelpack::{INDEX_TYPE, MANIFEST_TYPE, OciDescriptor, OciIndex, digest_name, referrers_tag},
    origin::{OriginSecret, is_loopback_host, is_same_site},
};
use openlora_package::manifest::Digest;

/// Largest answer of a token service in bytes.
const LARGEST_TOKEN: u64 = 1 << 16;

/// One repository.
#[derive(Debug)]
pub(crate) struct RegistryClient {
    fetcher: HttpFetcher,
    root: Url,
    repository: String,
    login: Option<RegistryLogin>,
    /// Whether tokens are to allow writing.
    writes: bool,
    secret: RwLock<Option<OriginSecret>>,
}

#[derive(Deserialize)]
struct TokenAnswer {
    #[serde(alias = "access_token")]
    token: String,
}

impl RegistryClient {
    pub fn new(
        fetcher: &HttpFetcher,
        reference: &RegistryReference,
        credentials: &CredentialSources,
        writes: bool,
    ) -> Result<Self, DistributionError> {
        let host = match reference.host.as_str() {
            "docker.io" => "registry-1.docker.io",
            host => host,
        };
        let url = |scheme: &str| {
            let url = format!("{scheme}://{host}/v2/{}/", reference.repository);
            Url::parse(&url).map_err(|error| DistributionError::malformed(&url, "the URL", error))
        };
        let secure = url("https")?;
        let root = match is_loopback_host(&secure) {
            true => url("http")?,
            false => secure,
        };
        Ok(Self {
            fetcher: fetcher.clone(),
            root,
            repository: reference.repository.clone(),
            login: credentials.login(&reference.host),
            writes,
            secret: RwLock::new(None),
        })
    }

    fn url(&self, path: &str) -> Result<Url, DistributionError> {
        let joined = self.root.join(path);
        joined.map_err(|error| DistributionError::malformed(shown(&self.root), "the URL", error))
    }

    fn secret(&self) -> Option<OriginSecret> {
        let secret = self.secret.read();
        secret.unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn get(
        &self,
        url: &Url,
        accept: Option<&str>,
        from: u64,
    ) -> Result<Response, DistributionError> {
        let mut asked = false;
        loop {
            let secret = self.secret();
            let request = FetchRequest {
                accept,
                from,
                state: None,
                secret: secret.as_ref(),
            };
            let answer = self.fetcher.get(url, request).await?;
            if answer.status() != StatusCode::UNAUTHORIZED || asked {
                return Ok(answer);
            }
            self.log_in(&answer).await?;
            asked = true;
        }
    }

    /// Obtains what the registry asks for in a 401.
    async fn log_in(&self, answer: &Response) -> Result<(), DistributionError> {
        let challenge = answer.headers().get(WWW_AUTHENTICATE);
        let challenge = challenge
            .and_then(|it| it.to_str().ok())
            .unwrap_or_default();
        let (scheme, rest) = challenge.split_once(' ').unwrap_or((challenge, ""));
        let parameters = parameters(rest);
        let value = if scheme.eq_ignore_ascii_case("bearer") {
            Some(self.token(&parameters).await?)
        } else if scheme.eq_ignore_ascii_case("basic") {
            self.login.as_ref().map(RegistryLogin::basic)
        } else {
            None
        };
        let secret = value.and_then(|value| OriginSecret::new(&self.root, &value));
        *self.secret.write().unwrap_or_else(PoisonError::into_inner) = secret;
        Ok(())
    }

    async fn token(
        &self,
        parameters: &BTreeMap<String, String>,
    ) -> Result<String, DistributionError> {
        let place = shown(&self.root);
        let realm = parameters.get("realm").and_then(|it| Url::parse(it).ok());
        let mut realm = realm.ok_or_else(|| {
            DistributionError::malformed(&place, "its 401", "it names no token service")
        })?;
        if is_loopback_host(&realm) && !is_loopback_host(&self.root) {
            let reason = "its token service is this machine".to_owned();
            return Err(DistributionError::Redirect { place, reason });
        }
        let actions = if self.writes { "pull,push" } else { "pull" };
        let scope = format!("repository:{}:{actions}", self.repository);
        let service = parameters.get("service").cloned();
        let query = [("service", service), ("scope", Some(scope))];
        for (name, value) in query.iter().filter_map(|(n, v)| Some((n, v.as_ref()?))) {
            realm.query_pairs_mut().append_pair(name, value);
        }
        // A registry's word does not send its login to another domain.
        let login = self
            .login
            .as_ref()
            .filter(|_| is_same_site(&self.root, &realm));
        let secret = login.and_then(|login| OriginSecret::new(&realm, &login.basic()));
        let request = FetchRequest {
            secret: secret.as_ref(),
            ..FetchRequest::default()
        };
        let answer = self.fetcher.get(&realm, request).await?;
        if !answer.status().is_success() {
            return Err(refusal(&realm, answer).await);
        }
        let bytes = read_bounded(&realm, answer, LARGEST_TOKEN).await?;
        // The text of a parse error could quote the token.
        let token: TokenAnswer = serde_json::from_slice(&bytes).map_err(|_| {
            DistributionError::malformed(shown(&realm), "its answer", "it holds no token")
        })?;
        Ok(format!("Bearer {}", token.token))
    }

    /// The bytes of a manifest and their digest, which is compared with the pinned one.
    pub async fn manifest(&self, version: &RegistryVersion) -> Result<Vec<u8>, DistributionError> {
        let name = match version {
            RegistryVersion::Tag(tag) => tag.clone(),
            RegistryVersion::Pinned(digest) => digest_name(*digest),
        };
        let url = self.url(&format!("manifests/{name}"))?;
        let bytes = self.bytes(&url, Some(MANIFEST_TYPE), LARGEST_OCI).await?;
        let bytes = bytes.ok_or_else(|| DistributionError::missing(shown(&self.root), name))?;
        match version {
            RegistryVersion::Pinned(expected) if Digest::hash_bytes(&bytes) != *expected => {
                Err(DistributionError::Content {
                    place: shown(&url),
                    what: "the OCI manifest".to_owned(),
                    expected: *expected,
                    found: Digest::hash_bytes(&bytes),
                })
            }
            _ => Ok(bytes),
        }
    }

    /// A whole small answer; none if there is no such thing.
    async fn bytes(
        &self,
        url: &Url,
        accept: Option<&str>,
        limit: u64,
    ) -> Result<Option<Vec<u8>>, DistributionError> {
        let answer = self.get(url, accept, 0).await?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        if !answer.status().is_success() {
            return Err(refusal(url, answer).await);
        }
        read_bounded(url, answer, limit).await.map(Some)
    }

    pub fn blob_url(&self, digest: Digest) -> Result<Url, DistributionError> {
        self.url(&format!("blobs/{}", digest_name(digest)))
    }

    /// A blob from a byte on; the answer may begin earlier.
    pub async fn blob(
        &self,
        digest: Digest,
        from: u64,
    ) -> Result<(Url, Response), DistributionError> {
        let url = self.blob_url(digest)?;
        let answer = self.get(&url, None, from).await?;
        Ok((url, answer))
    }

    /// What refers to a manifest: by the API, or by the tag that stands for it where there is none.
    pub async fn referrers(&self, subject: Digest) -> Result<OciIndex, DistributionError> {
        let url = self.url(&format!("referrers/{}", digest_name(subject)))?;
        let found = match self.bytes(&url, Some(INDEX_TYPE), LARGEST_OCI).await? {
            Some(bytes) => Some((url, bytes)),
            None => {
                let url = self.url(&format!("manifests/{}", referrers_tag(subject)))?;
                let bytes = self.bytes(&url, Some(INDEX_TYPE), LARGEST_OCI).await?;
                bytes.map(|bytes| (url, bytes))
            }
        };
        let Some((url, bytes)) = found else {
            return Ok(OciIndex::default());
        };
        serde_json::from_slice(&bytes)
            .map_err(|error| DistributionError::malformed(shown(&url), "the index", error))
    }

    /// Uploads a file in one piece, which every registry accepts. Nothing is sent if it is there.
    pub async fn push_file(
        &self,
        digest: Digest,
        size: u64,
        file: &Path,
    ) -> Result<bool, DistributionError> {
        if self.has_blob(digest).await? {
            return Ok(false);
        }
        let opened = tokio::fs::File::open(file).await;
        let opened = opened.map_err(DistributionError::io("read", file))?;
        self.upload(digest, size, opened.into()).await?;
        Ok(true)
    }

    /// Uploads a small blob.
    pub async fn push_bytes(&self, bytes: Vec<u8>) -> Result<(), DistributionError> {
        let digest = Digest::hash_bytes(&bytes);
        if self.has_blob(digest).await? {
            return Ok(());
        }
        self.upload(digest, bytes.len() as u64, bytes.into()).await
    }

    async fn has_blob(&self, digest: Digest) -> Result<bool, DistributionError> {
        let url = self.blob_url(digest)?;
        let answer = self.write(Method::HEAD, &url, &[], None).await?;
        match answer.status() {
            StatusCode::NOT_FOUND => Ok(false),
            // The blob may be elsewhere.
            status if status.is_success() || status.is_redirection() => Ok(true),
            _ => Err(refusal(&url, answer).await),
        }
    }

    async fn upload(
        &self,
        digest: Digest,
        size: u64,
        body: reqwest::Body,
    ) -> Result<(), DistributionError> {
        let url = self.url("blobs/uploads/")?;
        let answer = self
            .write(Method::POST, &url, &[(CONTENT_LENGTH, "0")], None)
            .await?;
        if !answer.status().is_success() {
            return Err(refusal(&url, answer).await);
        }
        let location = answer.headers().get(LOCATION);
        let location = location.and_then(|it| it.to_str().ok());
        let target = location.and_then(|it| url.join(it).ok()).ok_or_else(|| {
            DistributionError::malformed(shown(&url), "its answer", "it names no upload")
        })?;
        let mut target = target;
        if is_loopback_host(&target) && !is_loopback_host(&self.root) {
            return Err(DistributionError::Redirect {
                place: shown(&url),
                reason: "it wants the upload on this machine".to_owned(),
            });
        }
        target
            .query_pairs_mut()
            .append_pair("digest", &digest_name(digest));
        let size = size.to_string();
        let headers = [
            (CONTENT_TYPE, "application/octet-stream"),
            (CONTENT_LENGTH, size.as_str()),
        ];
        let answer = self
            .write(Method::PUT, &target, &headers, Some(body))
            .await?;
        match answer.status().is_success() {
            true => Ok(()),
            false => Err(refusal(&target, answer).await),
        }
    }

    /// Stores a manifest under a tag or its digest. Returns whether the registry registers what it
    /// refers to.
    pub async fn push_manifest(
        &self,
        name: &str,
        media_type: &str,
        bytes: &[u8],
    ) -> Result<bool, DistributionError> {
        let url = self.url(&format!("manifests/{name}"))?;
        let body = bytes.to_vec().into();
        let headers = [(CONTENT_TYPE, media_type)];
        let answer = self.write(Method::PUT, &url, &headers, Some(body)).await?;
        match answer.status().is_success() {
            true => Ok(answer.headers().contains_key("oci-subject")),
            false => Err(refusal(&url, answer).await),
        }
    }

    /// Adds a referrer where the registry does not register it itself: to the index under the tag
    /// that stands for the subject.
    pub async fn tag_referrer(
        &self,
        subject: Digest,
        referrer: OciDescriptor,
    ) -> Result<(), DistributionError> {
        let tag = referrers_tag(subject);
        let url = self.url(&format!("manifests/{tag}"))?;
        let found = self.bytes(&url, Some(INDEX_TYPE), LARGEST_OCI).await?;
        // What others refer to stays, so an index that cannot be read is not replaced.
        let mut index: OciIndex = match found {
            Some(bytes) => serde_json::from_slice(&bytes)
                .map_err(|error| DistributionError::malformed(shown(&url), "the index", error))?,
            None => OciIndex::default(),
        };
        let mut known = index.manifests.iter();
        if known.any(|it| it.digest == referrer.digest) {
            return Ok(());
        }
        index.manifests.push(referrer);
        let bytes = serde_json::to_vec(&index)
            .map_err(|error| DistributionError::malformed(shown(&url), "the index", error))?;
        self.push_manifest(&tag, INDEX_TYPE, &bytes).await.map(drop)
    }

    /// A request that is not redirected. A body is sent once: whatever writes asked for the login
    /// before, with a request that has none.
    async fn write(
        &self,
        method: Method,
        url: &Url,
        headers: &[(reqwest::header::HeaderName, &str)],
        body: Option<reqwest::Body>,
    ) -> Result<Response, DistributionError> {
        let build = || {
            let mut request = self.fetcher.request(method.clone(), url);
            for (name, value) in headers {
                request = request.header(name, *value);
            }
            let secret = self.secret().and_then(|secret| secret.for_url(url));
            match secret {
                Some(value) => request.header(AUTHORIZATION, value),
                None => request,
            }
        };
        if let Some(body) = body {
            return self.fetcher.send(url, build().body(body)).await;
        }
        let answer = self.fetcher.send(url, build()).await?;
        if answer.status() != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        self.log_in(&answer).await?;
        self.fetcher.send(url, build()).await
    }
}

/// `key="value"` pairs of a challenge (RFC 9110, 11.6.1).
fn parameters(text: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut rest = text.trim_start();
    while let Some((key, after)) = rest.split_once('=') {
        let key = key.trim_matches([' ', ',', '\t']).to_ascii_lowercase();
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => after.split_once(',').unwrap_or((after, "")),
        };
        found.insert(key, value.to_owned());
        rest = after;
    }
    found
}

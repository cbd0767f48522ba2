//! Reading a package where it is, file by file and from any byte on. Nothing that is read here is
//! trusted: code that writes it down compares the digests.

use std::{
    io::SeekFrom,
    path::{Path, PathBuf},
};

use reqwest::{Response, StatusCode, Url, header::CONTENT_RANGE};
use tokio::{
    fs::File,
    io::{AsyncReadExt, AsyncSeekExt},
};

use super::{
    error::DistributionError,
    http::{FetchRequest, HttpFetcher, read_bounded, refusal, shown, unreachable},
    layout::LayoutReader,
    location::RegistryVersion,
    modelpack::{PackageLayer, signature_layer, signature_of},
    origin::OriginSecret,
    registry::RegistryClient,
};
use openlora_package::{
    ENVELOPE_FILE, MANIFEST_FILE, MODEL_SIGNATURE_FILE, Manifest,
    manifest::{Digest, LARGEST, PackageFile},
};

/// Bytes that are read from a file at once.
const CHUNK: usize = 1 << 18;

/// An opened place.
#[derive(Debug)]
pub(crate) enum PackageSource {
    Folder(PathBuf),
    Layout(LayoutReader, ArtifactFiles),
    Registry(RegistryClient, ArtifactFiles),
    Web {
        fetcher: HttpFetcher,
        root: Url,
        secret: Option<OriginSecret>,
    },
}

/// The files that an OCI manifest names.
#[derive(Clone, Debug)]
pub(crate) struct ArtifactFiles {
    pub layers: Vec<PackageLayer>,
    /// Digest of the OCI manifest.
    pub oci: Digest,
}

impl ArtifactFiles {
    fn layer(&self, path: &str) -> Option<&PackageLayer> {
        self.layers.iter().find(|layer| layer.path == path)
    }

    /// The layers are exactly the files of the manifest, and openlora's own.
    fn check(&self, place: &str, manifest: &Manifest) -> Result<(), DistributionError> {
        let ours = [MANIFEST_FILE, ENVELOPE_FILE, MODEL_SIGNATURE_FILE];
        for file in &manifest.files {
            let layer = self
                .layer(&file.path)
                .ok_or_else(|| DistributionError::missing(place, &file.path))?;
            if layer.sha256 != file.sha256 {
                return Err(DistributionError::Content {
                    place: place.to_owned(),
                    what: file.path.clone(),
                    expected: file.sha256,
                    found: layer.sha256,
                });
            }
            if layer.size != file.size.0 {
                return Err(DistributionError::Size {
                    place: place.to_owned(),
                    what: file.path.clone(),
                    expected: file.size.0,
                    found: layer.size,
                });
            }
        }
        let is_named = |path: &str| {
            ours.contains(&path) || manifest.files.iter().any(|file| file.path == path)
        };
        match self.layers.iter().find(|layer| !is_named(&layer.path)) {
            None => Ok(()),
            Some(extra) => Err(DistributionError::malformed(
                place,
                "the OCI manifest",
                format!("the layer `{}` is not in openlora.json", extra.path),
            )),
        }
    }
}

/// The bytes of a file from some byte on.
pub(crate) struct ByteSource {
    /// Where they begin.
    pub from: u64,
    body: SourceBody,
}

enum SourceBody {
    File(File, PathBuf),
    Answer(Box<Response>, Url),
}

impl ByteSource {
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, DistributionError> {
        match &mut self.body {
            SourceBody::File(file, path) => {
                let mut bytes = vec![0; CHUNK];
                let read = file.read(&mut bytes).await;
                let read = read.map_err(DistributionError::io("read", path.as_path()))?;
                bytes.truncate(read);
                Ok((read > 0).then_some(bytes))
            }
            SourceBody::Answer(answer, url) => {
                let chunk = answer.chunk().await.map_err(|e| unreachable(url, &e))?;
                Ok(chunk.map(|chunk| chunk.to_vec()))
            }
        }
    }

    async fn of_file(path: &Path, from: u64) -> Result<Self, DistributionError> {
        let read = DistributionError::io("read", path);
        let meta = tokio::fs::symlink_metadata(path).await.map_err(read)?;
        if !meta.is_file() {
            let place = path.display();
            let reason = "expected a plain file, no link";
            return Err(DistributionError::malformed(place, "the file", reason));
        }
        let opened = File::open(path).await;
        let mut file = opened.map_err(DistributionError::io("read", path))?;
        let sought = file.seek(SeekFrom::Start(from)).await;
        sought.map_err(DistributionError::io("read", path))?;
        let body = SourceBody::File(file, path.to_owned());
        Ok(Self { from, body })
    }

    async fn of_answer(url: Url, answer: Response, from: u64) -> Result<Self, DistributionError> {
        let from = match answer.status() {
            StatusCode::OK => 0,
            StatusCode::PARTIAL_CONTENT => {
                let range = answer.headers().get(CONTENT_RANGE);
                let range = range.and_then(|it| it.to_str().ok()).unwrap_or_default();
                let start = range
                    .strip_prefix("bytes ")
                    .and_then(|it| it.split_once('-'));
                let start = start.and_then(|(start, _)| start.parse::<u64>().ok());
                match start {
                    Some(start) if start == from => from,
                    _ => {
                        let reason = format!("expected bytes from {from} on, found `{range}`");
                        let what = "its Content-Range";
                        return Err(DistributionError::malformed(shown(&url), what, reason));
                    }
                }
            }
            StatusCode::NOT_FOUND => {
                return Err(DistributionError::missing(shown(&url), "such file"));
            }
            _ => return Err(refusal(&url, answer).await),
        };
        let body = SourceBody::Answer(Box::new(answer), url);
        Ok(Self { from, body })
    }

    /// Everything, if it is at most `limit` bytes.
    pub async fn whole(mut self, what: &str, limit: u64) -> Result<Vec<u8>, DistributionError> {
        let mut bytes = Vec::new();
        while let Some(chunk) = self.next().await? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() as u64 > limit {
                return Err(DistributionError::TooLarge {
                    what: what.to_owned(),
                    found: bytes.len() as u64,
                    limit,
                });
            }
        }
        Ok(bytes)
    }
}

impl PackageSource {
    /// The bytes of `openlora.json`, of at most `limit` bytes.
    pub async fn manifest(&self, place: &str, limit: u64) -> Result<Vec<u8>, DistributionError> {
        let found = self.small(place, MANIFEST_FILE, limit).await?;
        found.ok_or_else(|| DistributionError::missing(place, MANIFEST_FILE))
    }

    /// A signature file; none if the package has none.
    pub async fn signature(
        &self,
        place: &str,
        path: &str,
    ) -> Result<Option<Vec<u8>>, DistributionError> {
        let found = self.small(place, path, LARGEST).await?;
        match (self, found) {
            (Self::Registry(client, files), None) if path == MODEL_SIGNATURE_FILE => {
                referring_signature(place, client, files).await
            }
            (Self::Layout(layout, files), None) if path == MODEL_SIGNATURE_FILE => {
                let Some(digest) = signature_of(&layout.referrers(files.oci)?) else {
                    return Ok(None);
                };
                let layer = signature_layer(place, &layout.manifest_by_digest(digest)?)?;
                self.small_layer(place, &layer, LARGEST).await.map(Some)
            }
            (_, found) => Ok(found),
        }
    }

    /// Compares the list of files that comes with a place, if it has one, with the manifest.
    pub fn check_listing(&self, place: &str, manifest: &Manifest) -> Result<(), DistributionError> {
        match self {
            Self::Layout(_, files) | Self::Registry(_, files) => files.check(place, manifest),
            Self::Folder(_) | Self::Web { .. } => Ok(()),
        }
    }

    /// The digest under which a registry knows the package.
    pub fn oci_digest(&self) -> Option<Digest> {
        match self {
            Self::Layout(_, files) | Self::Registry(_, files) => Some(files.oci),
            Self::Folder(_) | Self::Web { .. } => None,
        }
    }

    /// A file of the manifest from a byte on; what is returned may begin earlier.
    pub async fn open(
        &self,
        file: &PackageFile,
        from: u64,
    ) -> Result<ByteSource, DistributionError> {
        match self {
            Self::Folder(dir) => ByteSource::of_file(&dir.join(&file.path), from).await,
            Self::Layout(layout, _) => ByteSource::of_file(&layout.blob(file.sha256), from).await,
            Self::Registry(client, _) => {
                let (url, answer) = client.blob(file.sha256, from).await?;
                ByteSource::of_answer(url, answer, from).await
            }
            Self::Web {
                fetcher,
                root,
                secret,
            } => web_file(fetcher, root, secret.as_ref(), &file.path, from).await,
        }
    }

    async fn small(
        &self,
        place: &str,
        path: &str,
        limit: u64,
    ) -> Result<Option<Vec<u8>>, DistributionError> {
        match self {
            Self::Folder(dir) => {
                let file = dir.join(path);
                if tokio::fs::symlink_metadata(&file).await.is_err() {
                    return Ok(None);
                }
                let source = ByteSource::of_file(&file, 0).await?;
                source.whole(path, limit).await.map(Some)
            }
            Self::Layout(_, files) | Self::Registry(_, files) => {
                let Some(layer) = files.layer(path) else {
                    return Ok(None);
                };
                self.small_layer(place, layer, limit).await.map(Some)
            }
            Self::Web {
                fetcher,
                root,
                secret,
            } => match web_file(fetcher, root, secret.as_ref(), path, 0).await {
                Err(DistributionError::Missing { .. }) => Ok(None),
                source => source?.whole(path, limit).await.map(Some),
            },
        }
    }

    async fn small_layer(
        &self,
        place: &str,
        layer: &PackageLayer,
        limit: u64,
    ) -> Result<Vec<u8>, DistributionError> {
        if layer.size > limit {
            return Err(DistributionError::TooLarge {
                what: layer.path.clone(),
                found: layer.size,
                limit,
            });
        }
        let bytes = match self {
            Self::Layout(layout, _) => {
                let source = ByteSource::of_file(&layout.blob(layer.sha256), 0).await?;
                source.whole(&layer.path, layer.size).await?
            }
            Self::Registry(client, _) => {
                let (url, answer) = client.blob(layer.sha256, 0).await?;
                let source = ByteSource::of_answer(url, answer, 0).await?;
                source.whole(&layer.path, layer.size).await?
            }
            Self::Folder(_) | Self::Web { .. } => Vec::new(),
        };
        same_content(place, &layer.path, layer.sha256, bytes)
    }
}

fn same_content(
    place: &str,
    what: &str,
    expected: Digest,
    bytes: Vec<u8>,
) -> Result<Vec<u8>, DistributionError> {
    let found = Digest::hash_bytes(&bytes);
    if found == expected {
        return Ok(bytes);
    }
    Err(DistributionError::Content {
        place: place.to_owned(),
        what: what.to_owned(),
        expected,
        found,
    })
}

async fn web_file(
    fetcher: &HttpFetcher,
    root: &Url,
    secret: Option<&OriginSecret>,
    path: &str,
    from: u64,
) -> Result<ByteSource, DistributionError> {
    let text = format!("{}/{path}", root.as_str().trim_end_matches('/'));
    let url = Url::parse(&text)
        .map_err(|error| DistributionError::malformed(shown(root), "the URL", error))?;
    let request = FetchRequest {
        from,
        secret,
        ..FetchRequest::default()
    };
    let answer = fetcher.get(&url, request).await?;
    ByteSource::of_answer(url, answer, from).await
}

/// `model.sig` of a package that was pushed without it, where it refers to it.
async fn referring_signature(
    place: &str,
    client: &RegistryClient,
    files: &ArtifactFiles,
) -> Result<Option<Vec<u8>>, DistributionError> {
    let Some(digest) = signature_of(&client.referrers(files.oci).await?) else {
        return Ok(None);
    };
    let bytes = client.manifest(&RegistryVersion::Pinned(digest)).await?;
    let layer = signature_layer(place, &bytes)?;
    let (url, answer) = client.blob(layer.sha256, 0).await?;
    let bytes = read_bounded(&url, answer, layer.size.min(LARGEST)).await?;
    same_content(place, &layer.path, layer.sha256, bytes).map(Some)
}

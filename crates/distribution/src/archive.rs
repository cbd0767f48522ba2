//! Packages as `.tar.gz`: downloads one, and unpacks plain files from it within bounds.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use flate2::read::GzDecoder;
use reqwest::{StatusCode, Url, header::ETAG};
use tar::EntryType;

use openlora_core::{
    atomic::{self, FileAccess, remove_folder, replace_file},
    private::files,
};
use openlora_package::{MANIFEST_FILE, check_path};

use super::{
    blocking::blocking,
    error::DistributionError,
    http::{FetchRequest, HttpFetcher, refusal, shown, unreachable},
    limits::PullLimits,
};

/// Most entries of an archive.
const ENTRIES: usize = 10_000;

/// Bytes that are copied at once.
const CHUNK: usize = 1 << 16;

/// Bytes that are written at once.
const BATCH: usize = 1 << 20;

/// Downloads an archive to `folder` and unpacks it there; `tell` is called with the bytes that are here.
/// Returns the folder that holds the package.
pub(crate) async fn fetch_archive(
    fetcher: &HttpFetcher,
    url: &Url,
    folder: &Path,
    limits: PullLimits,
    tell: &(dyn Fn(u64) + Send + Sync),
) -> Result<PathBuf, DistributionError> {
    files::new_folder(folder).map_err(DistributionError::io("make", folder))?;
    let archive = folder.join("archive.tar.gz");
    download(fetcher, url, &archive, limits, tell).await?;
    let (place, folder) = (shown(url), folder.to_owned());
    blocking(move || unpack_anew(&place, &archive, &folder, limits)).await
}

/// Unpacks an archive in its folder, which goes if it is refused.
fn unpack_anew(
    place: &str,
    archive: &Path,
    folder: &Path,
    limits: PullLimits,
) -> Result<PathBuf, DistributionError> {
    let unpacked = folder.join("unpacked");
    remove_folder(&unpacked).map_err(DistributionError::io("remove", &unpacked))?;
    let found = unpack_archive(place, archive, &unpacked, limits);
    if found.is_err() {
        // It would be refused again.
        remove_folder(folder).map_err(DistributionError::io("remove", folder))?;
    }
    found
}

/// Downloads, or goes on where the last download of the same state ended.
async fn download(
    fetcher: &HttpFetcher,
    url: &Url,
    target: &Path,
    limits: PullLimits,
    tell: &(dyn Fn(u64) + Send + Sync),
) -> Result<(), DistributionError> {
    let state_file = target.with_extension("etag");
    let state = fs::read_to_string(&state_file).ok();
    let length = fs::metadata(target).map_or(0, |meta| meta.len());
    let request = FetchRequest {
        from: if state.is_some() { length } else { 0 },
        state: state.as_deref(),
        ..FetchRequest::default()
    };
    let mut answer = fetcher.get(url, request).await?;
    let goes_on = answer.status() == StatusCode::PARTIAL_CONTENT;
    if answer.status() == StatusCode::RANGE_NOT_SATISFIABLE {
        // It was complete.
        return Ok(());
    }
    if !goes_on && answer.status() != StatusCode::OK {
        return Err(refusal(url, answer).await);
    }
    let etag = answer.headers().get(ETAG).and_then(|it| it.to_str().ok());
    match etag.filter(|it| it.starts_with('"')) {
        Some(etag) => replace_file(&state_file, etag.as_bytes(), FileAccess::Owner)
            .map_err(DistributionError::io("write", &state_file))?,
        None => drop(fs::remove_file(&state_file)),
    }
    let write = || DistributionError::io("write", target);
    let opened = match goes_on {
        true => files::open(File::options().append(true), target),
        false => files::open(
            File::options().create(true).write(true).truncate(true),
            target,
        ),
    };
    let mut file = opened.map_err(write())?;
    let mut found = if goes_on { length } else { 0 };
    let mut batch = Vec::new();
    let ended = loop {
        let chunk = match answer.chunk().await {
            Ok(Some(chunk)) => chunk,
            Ok(None) => break Ok(()),
            Err(error) => break Err(unreachable(url, &error)),
        };
        found += chunk.len() as u64;
        fetcher.count_archived(chunk.len());
        if found > limits.unpacked() {
            break Err(DistributionError::TooLarge {
                what: shown(url),
                found,
                limit: limits.unpacked(),
            });
        }
        batch.extend_from_slice(&chunk);
        if batch.len() >= BATCH {
            file = append(file, std::mem::take(&mut batch), target).await?;
        }
        tell(found);
    };
    // What has come is there for the next attempt.
    let file = append(file, batch, target).await?;
    ended?;
    let synced = blocking(move || file.sync_all()).await;
    synced.map_err(write())
}

async fn append(mut file: File, bytes: Vec<u8>, path: &Path) -> Result<File, DistributionError> {
    let written = blocking(move || file.write_all(&bytes).map(|()| file)).await;
    written.map_err(DistributionError::io("write", path))
}

/// Unpacks plain files with plain names from a `.tar.gz` of `place`, in the folder or in one folder below
/// it. Returns the folder that holds the package.
///
/// # Errors
///
/// Damaged archives, links and special files, names that lead elsewhere, and more than the limits allow.
pub fn unpack_archive(
    place: &str,
    archive: &Path,
    target: &Path,
    limits: PullLimits,
) -> Result<PathBuf, DistributionError> {
    let wrong = |reason: String| DistributionError::malformed(place, "the archive", reason);
    let broken = |error: io::Error| wrong(error.to_string());
    let file = File::open(archive).map_err(DistributionError::io("read", archive))?;
    files::new_folder(target).map_err(DistributionError::io("make", target))?;
    let mut tar = tar::Archive::new(GzDecoder::new(file));
    let mut left = limits.unpacked();
    // Names in extended headers would be read without a bound, and no package needs them.
    for (count, entry) in tar.entries().map_err(broken)?.raw(true).enumerate() {
        let mut entry = entry.map_err(broken)?;
        if count >= ENTRIES {
            return Err(wrong(format!("expected at most {ENTRIES} entries")));
        }
        let size = entry.header().entry_size().map_err(broken)?;
        left = left.checked_sub(size).ok_or(DistributionError::TooLarge {
            what: place.to_owned(),
            found: (limits.unpacked() - left).saturating_add(size),
            limit: limits.unpacked(),
        })?;
        let kind = entry.header().entry_type();
        match kind {
            EntryType::Directory | EntryType::XHeader | EntryType::XGlobalHeader => continue,
            EntryType::Regular => {}
            other => {
                let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
                let name: String = name.chars().take(200).collect();
                return Err(wrong(format!(
                    "{name:?} is of type {other:?}; a package holds plain files only"
                )));
            }
        }
        let name = entry.path_bytes();
        let name = String::from_utf8_lossy(&name);
        let name = name.strip_prefix("./").unwrap_or(&name).to_owned();
        check_path(&name).map_err(|problem| DistributionError::Path {
            place: place.to_owned(),
            problem,
        })?;
        write_entry(&mut entry, &target.join(&name))
            .map_err(|error| wrong(format!("{name}: {error}")))?;
    }
    package_root(place, target)
}

fn write_entry(entry: &mut impl Read, path: &Path) -> io::Result<()> {
    files::new_folder(atomic::parent(path))?;
    let mut file = files::open(File::options().create_new(true).write(true), path)?;
    let mut bytes = vec![0; CHUNK];
    loop {
        match entry.read(&mut bytes)? {
            0 => return Ok(()),
            read => file.write_all(&bytes[..read])?,
        }
    }
}

fn package_root(place: &str, folder: &Path) -> Result<PathBuf, DistributionError> {
    let holds = |dir: &Path| dir.join(MANIFEST_FILE).is_file();
    if holds(folder) {
        return Ok(folder.to_owned());
    }
    let entries = fs::read_dir(folder).map_err(DistributionError::io("read", folder))?;
    let inner: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    match inner.as_slice() {
        [one] if holds(one) => Ok(one.clone()),
        _ => Err(DistributionError::missing(place, MANIFEST_FILE)),
    }
}

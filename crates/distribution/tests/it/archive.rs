//! Archives: honest ones, and those that want to leave the folder, link or burst.

use std::{fs, io::Write, path::Path};

use flate2::{Compression, write::GzEncoder};
use openlora_core::error::ExitClass;
use openlora_distribution::PullLimits;
use tar::{Builder, EntryType, Header};

use crate::fake_host::{Broken, FakeHost, Page, Place, contents};

fn header(kind: EntryType, size: u64) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_size(size);
    header
}

/// An archive whose entries `fill` adds.
fn archive(fill: impl FnOnce(&mut Builder<GzEncoder<Vec<u8>>>)) -> Vec<u8> {
    let mut builder = Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    fill(&mut builder);
    builder.into_inner().unwrap().finish().unwrap()
}

fn add_folder(builder: &mut Builder<GzEncoder<Vec<u8>>>, dir: &Path, below: &str) {
    for (name, bytes) in contents(dir) {
        let mut header = header(EntryType::Regular, bytes.len() as u64);
        let path = format!("{below}{name}");
        builder
            .append_data(&mut header, path, bytes.as_slice())
            .unwrap();
    }
}

/// Adds an entry under a name that the builder would refuse.
fn add_raw(builder: &mut Builder<GzEncoder<Vec<u8>>>, name: &str, kind: EntryType, bytes: &[u8]) {
    let mut header = header(kind, bytes.len() as u64);
    header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
    if kind == EntryType::Symlink {
        header.set_link_name("/etc/passwd").unwrap();
    }
    header.set_cksum();
    builder.append(&header, bytes).unwrap();
}

async fn host_of(bytes: Vec<u8>) -> (FakeHost, String) {
    let host = FakeHost::start().await;
    let etag = Some("\"one\"".to_owned());
    let page = Page {
        bytes,
        etag,
        ..Page::default()
    };
    host.put("/tone.tar.gz", page);
    let url = format!("{}/tone.tar.gz", host.url);
    (host, url)
}

#[tokio::test]
async fn an_archive_with_or_without_a_folder_is_a_package() {
    for below in ["", "./", "tone-1.0.0/"] {
        let place = Place::new();
        let bytes = archive(|builder| add_folder(builder, &place.package(), below));
        let half = bytes.len() / 2;
        let (host, url) = host_of(bytes).await;
        host.change("/tone.tar.gz", |page| {
            page.breaks = Some(Broken {
                after: half,
                times: 1,
            });
        });
        place.pull(&url).await.unwrap_err();
        let pulled = place.pull(&url).await.unwrap();
        assert_eq!(contents(&pulled.dir), contents(&place.package()));
        assert_eq!(
            host.ranges("/tone.tar.gz"),
            [None, Some(format!("bytes={half}-"))]
        );
        let partial = place.folder.path().join("store/partial");
        assert_eq!(fs::read_dir(partial).unwrap().count(), 0);
    }
}

#[tokio::test]
async fn entries_that_are_no_plain_files_are_refused() {
    for (name, kind, reason) in [
        (
            "../evil",
            EntryType::Regular,
            "the path \"../evil\" leads elsewhere",
        ),
        (
            "/etc/evil",
            EntryType::Regular,
            "the path \"/etc/evil\" is absolute",
        ),
        (
            "README.md",
            EntryType::Symlink,
            "the archive is not what it should be: \"README.md\" is of type Symlink; a package \
             holds plain files only",
        ),
        (
            "README.md",
            EntryType::Fifo,
            "the archive is not what it should be: \"README.md\" is of type Fifo; a package holds \
             plain files only",
        ),
    ] {
        let place = Place::new();
        let bytes = archive(|builder| {
            add_raw(builder, name, kind, b"");
            add_folder(builder, &place.package(), "");
        });
        let (_host, url) = host_of(bytes).await;
        let (message, _) = place.refused(place.pull(&url).await);
        assert_eq!(message, format!("{url}: {reason}"));
        assert!(!place.folder.path().join("store/partial/evil").exists());
    }
}

#[tokio::test]
async fn an_archive_that_bursts_is_stopped() {
    let mut place = Place::new();
    place.limits = PullLimits {
        file: 1 << 20,
        total: 1 << 20,
    };
    let most = place.limits.total + 3 * (16 << 20);
    let bytes = archive(|builder| {
        let zeros = vec![0; usize::try_from(most).unwrap() + 1];
        add_raw(builder, "zeros", EntryType::Regular, &zeros);
    });
    assert!(bytes.len() < 1 << 20);
    let (_host, url) = host_of(bytes).await;
    let (message, class) = place.refused(place.pull(&url).await);
    assert!(
        message.ends_with(&format!("expected at most {most}")),
        "{message}"
    );
    assert_eq!(class, ExitClass::BadInput);
}

#[tokio::test]
async fn what_is_no_archive_is_refused() {
    let place = Place::new();
    let mut bytes = Vec::new();
    bytes.write_all(b"<html>not here</html>").unwrap();
    let (_host, url) = host_of(bytes).await;
    let (message, class) = place.refused(place.pull(&url).await);
    assert_eq!(
        message,
        format!("{url}: the archive is not what it should be: invalid gzip header")
    );
    assert_eq!(class, ExitClass::BadInput);
}

//! Damaged and hostile layouts: nothing is unpacked outside, and the reason is said.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use flate2::{Compression, write::GzEncoder};
use openlora_container::{
    layout::{ImageConfig, ImageIndex, ImageManifest, digest_of},
    unpack::unpack,
};
use tar::{Builder, EntryType, Header};
use tempfile::TempDir;

use crate::support::image;

fn blob(layout: &Path, digest: &str) -> PathBuf {
    let hex = digest.strip_prefix("sha256:").unwrap();
    layout.join("blobs/sha256").join(hex)
}

fn index(layout: &Path) -> ImageIndex {
    serde_json::from_slice(&fs::read(layout.join("index.json")).unwrap()).unwrap()
}

fn put(layout: &Path, bytes: &[u8]) -> (String, u64) {
    let digest = digest_of(bytes);
    fs::write(blob(layout, &digest), bytes).unwrap();
    (digest, bytes.len() as u64)
}

/// Replaces the first layer, with every digest right.
fn with_layer(layout: &Path, archive: &[u8]) {
    let mut index = index(layout);
    let named = &mut index.manifests[0];
    let bytes = fs::read(blob(layout, &named.digest)).unwrap();
    let mut manifest: ImageManifest = serde_json::from_slice(&bytes).unwrap();
    let bytes = fs::read(blob(layout, &manifest.config.digest)).unwrap();
    let mut config: ImageConfig = serde_json::from_slice(&bytes).unwrap();
    let mut packed = GzEncoder::new(Vec::new(), Compression::new(1));
    packed.write_all(archive).unwrap();
    let layer = put(layout, &packed.finish().unwrap());
    (manifest.layers[0].digest, manifest.layers[0].size) = layer;
    config.rootfs.diff_ids[0] = digest_of(archive);
    let config = put(layout, &serde_json::to_vec(&config).unwrap());
    (manifest.config.digest, manifest.config.size) = config;
    let manifest = put(layout, &serde_json::to_vec(&manifest).unwrap());
    (named.digest, named.size) = manifest;
    fs::write(
        layout.join("index.json"),
        serde_json::to_vec(&index).unwrap(),
    )
    .unwrap();
}

/// A tar archive of one entry whose name is taken as it is.
fn entry(name: &str, kind: EntryType, link: &str) -> Vec<u8> {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_size(0);
    header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
    header.as_mut_bytes()[157..157 + link.len()].copy_from_slice(link.as_bytes());
    header.set_cksum();
    let mut archive = Builder::new(Vec::new());
    archive.append(&header, std::io::empty()).unwrap();
    archive.into_inner().unwrap()
}

/// What is said after the path of the blob, and whether anything was written beside the root.
#[track_caller]
fn refused(change: impl FnOnce(&Path)) -> String {
    let dir = tempfile::tempdir().unwrap();
    let layout = image(dir.path()).dir;
    change(&layout);
    let outer = TempDir::new_in(dir.path()).unwrap();
    let root = outer.path().join("root");
    fs::create_dir(&root).unwrap();
    let error = unpack(&layout, &root, 1 << 30).unwrap_err().to_string();
    let beside: Vec<_> = fs::read_dir(outer.path()).unwrap().collect();
    assert_eq!(beside.len(), 1, "{beside:?}");
    let (_, reason) = error.split_once(": ").unwrap();
    reason.to_owned()
}

#[test]
fn entries_that_lead_outside_are_refused() {
    let cases = [
        ("../escaped", "\"../escaped\" leads outside"),
        ("a/../../escaped", "\"a/../../escaped\" leads outside"),
        ("/tmp/escaped", "\"/tmp/escaped\" leads outside"),
        (".wh.package", "\".wh.package\" leads outside"),
    ];
    for (name, reason) in cases {
        let archive = entry(name, EntryType::Regular, "");
        assert_eq!(refused(|layout| with_layer(layout, &archive)), reason);
    }
}

#[test]
fn links_and_special_files_are_refused() {
    let kinds = [
        EntryType::Symlink,
        EntryType::Link,
        EntryType::Char,
        EntryType::Block,
        EntryType::Fifo,
    ];
    for kind in kinds {
        let archive = entry("package", kind, "/etc");
        assert_eq!(
            refused(|layout| with_layer(layout, &archive)),
            "\"package\" is neither a file nor a folder"
        );
    }
}

/// An entry whose path is in an entry before it, as GNU tar writes long ones.
fn long_entry(path: &[u8]) -> Vec<u8> {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::GNULongName);
    header.set_size(path.len() as u64);
    header.set_cksum();
    let mut archive = Builder::new(Vec::new());
    archive.append(&header, path).unwrap();
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o644);
    header.set_size(0);
    header.set_cksum();
    archive.append(&header, std::io::empty()).unwrap();
    archive.into_inner().unwrap()
}

#[test]
fn long_paths_are_bounded_and_stay_inside() {
    let too_long = long_entry(&vec![b'a'; 1 << 20]);
    assert_eq!(
        refused(|layout| with_layer(layout, &too_long)),
        "a path is longer than 4096 bytes"
    );
    let outside = long_entry(b"../escaped\0");
    assert_eq!(
        refused(|layout| with_layer(layout, &outside)),
        "\"../escaped\" leads outside"
    );
}

#[test]
fn an_archive_that_unpacks_to_too_much_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let layout = image(dir.path()).dir;
    let root = dir.path().join("root");
    fs::create_dir(&root).unwrap();
    let error = unpack(&layout, &root, 10_000).unwrap_err().to_string();
    let (_, reason) = error.split_once(": ").unwrap();
    assert_eq!(reason, "it unpacks to more than is allowed");
}

#[test]
fn changed_blobs_are_refused() {
    let damaged = |which: fn(&ImageManifest) -> String| {
        refused(|layout| {
            let named = index(layout).manifests[0].digest.clone();
            let bytes = fs::read(blob(layout, &named)).unwrap();
            let manifest: ImageManifest = serde_json::from_slice(&bytes).unwrap();
            let path = blob(layout, &which(&manifest));
            let mut bytes = fs::read(&path).unwrap();
            // The last bytes of a gzip stream are its length, those of JSON close it.
            let last = bytes.len() - 1;
            bytes[last] ^= 1;
            fs::write(&path, bytes).unwrap();
        })
    };
    let config = damaged(|manifest| manifest.config.digest.clone());
    assert!(config.starts_with("expected sha256:"), "{config}");
    let layer = damaged(|manifest| manifest.layers[2].digest.clone());
    assert!(
        layer.contains("corrupt") || layer.starts_with("expected sha256:"),
        "{layer}"
    );
}

#[test]
fn layouts_that_name_other_things_are_refused() {
    let edit = |change: fn(&mut ImageIndex)| {
        refused(|layout| {
            let mut index = index(layout);
            change(&mut index);
            let bytes = serde_json::to_vec(&index).unwrap();
            fs::write(layout.join("index.json"), bytes).unwrap();
        })
    };
    assert_eq!(
        edit(|index| index.manifests[0].digest = "sha256:../../x".to_owned()),
        "\"sha256:../../x\" is no SHA-256"
    );
    let own = openlora_container::unpack::own_architecture();
    assert_eq!(
        edit(|index| index.manifests.clear()),
        format!("no image for linux/{own}")
    );
    assert_eq!(
        edit(|index| index.manifests.push(index.manifests[0].clone())),
        format!("several images for linux/{own}")
    );
    let other = edit(|index| index.manifests[0].media_type = "text/plain".to_owned());
    let (_, reason) = other.split_once(": ").unwrap();
    assert_eq!(
        reason,
        "expected the type application/vnd.oci.image.manifest.v1+json, found text/plain"
    );
    assert_eq!(
        refused(|layout| {
            fs::remove_file(layout.join("oci-layout")).unwrap();
            std::os::unix::fs::symlink("/etc/passwd", layout.join("oci-layout")).unwrap();
        }),
        "expected a file"
    );
}

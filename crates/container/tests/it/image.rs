//! Images: their form, that the same parts give the same bytes, and other programs that read them.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use openlora_container::{
    elf,
    image::{ImageParts, WrittenImage, write_image},
    layout::{ImageConfig, ImageIndex, ImageManifest, digest_of},
    unpack::{own_architecture, unpack},
};

use crate::{
    paths::repository,
    support::{debian, image, image_of, package, probe},
};

const LARGEST: u64 = 1 << 30;

/// Every file below a folder with its content.
fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    let mut pending = vec![dir.to_owned()];
    while let Some(folder) = pending.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path);
            } else {
                let name = path.strip_prefix(dir).unwrap().to_owned();
                all.insert(name, fs::read(path).unwrap());
            }
        }
    }
    all
}

#[test]
fn the_layout_names_every_blob_by_its_digest_and_size() {
    let dir = tempfile::tempdir().unwrap();
    let written = image(dir.path());
    let files = files(&written.dir);
    assert_eq!(
        files[Path::new("oci-layout")],
        br#"{"imageLayoutVersion":"1.0.0"}"#
    );
    let index: ImageIndex = serde_json::from_slice(&files[Path::new("index.json")]).unwrap();
    let [named] = index.manifests.as_slice() else {
        panic!("one manifest: {index:?}");
    };
    assert_eq!(named.digest, written.digest);
    let blob = |digest: &str| {
        let hex = digest.strip_prefix("sha256:").unwrap();
        let bytes = &files[&Path::new("blobs/sha256").join(hex)];
        assert_eq!(digest_of(bytes), digest);
        bytes
    };
    let manifest: ImageManifest = serde_json::from_slice(blob(&named.digest)).unwrap();
    let config: ImageConfig = serde_json::from_slice(blob(&manifest.config.digest)).unwrap();
    let mut total = named.size + manifest.config.size;
    for layer in &manifest.layers {
        assert_eq!(layer.size, blob(&layer.digest).len() as u64);
        assert_eq!(
            layer.media_type,
            "application/vnd.oci.image.layer.v1.tar+gzip"
        );
        total += layer.size;
    }
    assert_eq!(total, written.size);
    // The layout's two files and every blob, and nothing else.
    assert_eq!(files.len(), 2 + 2 + manifest.layers.len());
    assert_eq!(
        (
            config.created.as_str(),
            config.os.as_str(),
            config.config.user.as_str()
        ),
        ("2023-11-14T22:13:20Z", "linux", "65534:65534")
    );
    assert_eq!(config.config.entrypoint, ["/usr/bin/openlora", "thread"]);
}

#[test]
fn the_same_parts_give_the_same_bytes() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (first, second) = (image(one.path()), image(other.path()));
    assert_eq!(files(&first.dir), files(&second.dir));
    // Again in place of the first one.
    assert_eq!(image(one.path()).digest, first.digest);
    assert_eq!(files(&first.dir), files(&second.dir));
}

#[test]
fn an_image_unpacks_to_the_program_and_the_package() {
    let dir = tempfile::tempdir().unwrap();
    let written = image(dir.path());
    let root = dir.path().join("root");
    fs::create_dir(&root).unwrap();
    let unpacked = unpack(&written.dir, &root, LARGEST).unwrap();
    assert_eq!(unpacked.digest, written.digest);
    assert_eq!(unpacked.config.architecture, own_architecture());
    let inside = openlora_package::read(&root.join("package")).unwrap();
    inside.check_files().unwrap();
    assert_eq!(
        files(&root.join("package")),
        files(&dir.path().join("package"))
    );
    // What is loaded of the program is there, and it runs without the rest.
    let program = root.join("usr/bin/openlora");
    let (whole, loaded) = (fs::read(probe()).unwrap(), fs::read(&program).unwrap());
    assert!(loaded.len() < whole.len());
    assert_eq!(
        elf::read(&program, &loaded).unwrap(),
        elf::read(&probe(), &whole).unwrap()
    );
    let ran = Command::new(&program).arg("thread").output().unwrap();
    assert_eq!(String::from_utf8(ran.stdout).unwrap(), "thread: done\n");
}

#[test]
fn what_is_no_program_for_linux_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let package = openlora_package::read(&package(dir.path())).unwrap();
    let script = dir.path().join("script");
    fs::write(&script, "#!/bin/sh\n").unwrap();
    let parts = |program| ImageParts {
        package: &package,
        program,
        created: 0,
        arguments: Vec::new(),
        labels: BTreeMap::new(),
    };
    let refused = write_image(&dir.path().join("image"), &parts(&script)).unwrap_err();
    assert_eq!(
        refused.to_string(),
        format!(
            "{}: expected a Linux program (ELF, 64 bits, x86-64 or arm64)",
            script.display()
        )
    );
    assert!(!dir.path().join("image").exists());
    let occupied = write_image(dir.path(), &parts(&probe())).unwrap_err();
    assert_eq!(
        occupied.to_string(),
        format!(
            "{} holds package, so no image is written there",
            dir.path().display()
        )
    );
}

#[test]
fn the_package_s_signature_refers_to_the_image() {
    let dir = tempfile::tempdir().unwrap();
    let package = package(dir.path());
    let bundle = repository().join("fuzz/corpus/model_signature/valid");
    let bundle = fs::read(bundle).unwrap();
    fs::write(package.join("model.sig"), &bundle).unwrap();
    let written = image_of(&package, dir.path());
    let files = files(&written.dir);
    let index: ImageIndex = serde_json::from_slice(&files[Path::new("index.json")]).unwrap();
    let [image, referrer, tagged] = index.manifests.as_slice() else {
        panic!("three entries: {index:?}");
    };
    let blob = |digest: &str| {
        let hex = digest.strip_prefix("sha256:").unwrap();
        &files[&Path::new("blobs/sha256").join(hex)]
    };
    assert_eq!(image.digest, written.digest);
    let manifest: ImageManifest = serde_json::from_slice(blob(&referrer.digest)).unwrap();
    let subject = manifest.subject.unwrap();
    assert_eq!((&subject.digest, subject.size), (&image.digest, image.size));
    assert_eq!(manifest.artifact_type, referrer.artifact_type);
    assert_eq!(blob(&manifest.layers[0].digest), &bundle);
    assert_eq!(blob(&manifest.config.digest), b"{}");
    let name = &tagged.annotations["org.opencontainers.image.ref.name"];
    assert_eq!(*name, image.digest.replace(':', "-"));
    let listed: ImageIndex = serde_json::from_slice(blob(&tagged.digest)).unwrap();
    assert_eq!(listed.manifests, std::slice::from_ref(referrer));
    // The image is still found.
    let root = dir.path().join("root");
    fs::create_dir(&root).unwrap();
    assert_eq!(
        unpack(&written.dir, &root, LARGEST).unwrap().digest,
        image.digest
    );
    unpacked_by_umoci(dir.path(), &written);
}

#[test]
fn umoci_unpacks_the_image_to_the_same_files() {
    let dir = tempfile::tempdir().unwrap();
    let written = image(dir.path());
    let bundle = unpacked_by_umoci(dir.path(), &written);
    let root = dir.path().join("root");
    fs::create_dir(&root).unwrap();
    unpack(&written.dir, &root, LARGEST).unwrap();
    assert_eq!(files(&bundle.join("rootfs")), files(&root));
}

/// A bundle in `dir` with what umoci unpacks.
fn unpacked_by_umoci(dir: &Path, written: &WrittenImage) -> PathBuf {
    let tools = tempfile::tempdir().unwrap();
    debian(tools.path(), &["umoci"]);
    let umoci = tools.path().join("usr/bin/umoci");
    let bundle = dir.join("bundle");
    let done = Command::new(umoci)
        .args(["unpack", "--rootless", "--image"])
        .arg(format!("{}:1.0.0", written.dir.display()))
        .arg(&bundle)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success(), "{said}");
    bundle
}

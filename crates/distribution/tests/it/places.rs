//! Folders and layouts of this machine: into the store and out of it.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use openlora_core::error::ExitClass;
use openlora_distribution::{PackageArtifact, PackageLocation, copy_package};

use crate::{
    fake_host::{Place, contents, files},
    packages,
};

async fn push(place: &Place, dir: &Path, location: &str) -> openlora_distribution::PushedPackage {
    let package = openlora_package::read(dir).unwrap();
    let location: PackageLocation = location.parse().unwrap();
    let pushed = place
        .fetcher
        .push(&place.store, &package, &location, &|_| {});
    pushed.await.unwrap()
}

#[tokio::test]
async fn a_folder_becomes_a_package_of_the_store() {
    let place = Place::new();
    let package = place.package();
    let location = format!("dir:{}", package.display());
    let pulled = place.pull(&location).await.unwrap();
    assert_eq!(contents(&pulled.dir), contents(&package));
    let name = format!("sha256-{}", pulled.manifest_sha256);
    assert_eq!(place.stored(), std::slice::from_ref(&name));
    assert_eq!(
        pulled.dir.file_name().unwrap().to_str(),
        Some(name.as_str())
    );
    for file in files(&pulled.dir) {
        let mode = fs::metadata(pulled.dir.join(file)).unwrap().permissions();
        assert_eq!(mode.mode() & 0o777, 0o400);
    }
    let total: u64 = contents(&package).values().map(|it| it.len() as u64).sum();
    assert_eq!(pulled.fetched, total);
    assert_eq!(place.pull(&location).await.unwrap().fetched, 0);
    let copy = place.folder.path().join("copy");
    copy_package(&openlora_package::read(&pulled.dir).unwrap(), &copy).unwrap();
    assert_eq!(contents(&copy), contents(&package));
}

#[tokio::test]
async fn what_others_state_in_a_layout_stays() {
    let place = Place::new();
    let layout = place.folder.path().join("layout");
    let at = |tag: &str| format!("oci-layout:{}:{tag}", layout.display());
    push(&place, &place.package(), &at("1")).await;
    let file = layout.join("index.json");
    let read = || -> serde_json::Value {
        serde_json::from_slice(&fs::read(layout.join("index.json")).unwrap()).unwrap()
    };
    let mut index = read();
    index["annotations"] = serde_json::json!({ "of": "others" });
    index["manifests"][0]["platform"] = serde_json::json!({ "os": "linux" });
    fs::write(file, serde_json::to_vec(&index).unwrap()).unwrap();
    push(&place, &place.package(), &at("2")).await;
    let after = read();
    assert_eq!(after["annotations"], index["annotations"]);
    assert_eq!(after["manifests"][0], index["manifests"][0]);
    assert_eq!(after["manifests"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_damaged_package_of_the_store_is_replaced() {
    let place = Place::new();
    let location = format!("dir:{}", place.package().display());
    let pulled = place.pull(&location).await.unwrap();
    let file = pulled.dir.join("README.md");
    fs::remove_file(&file).unwrap();
    fs::write(&file, "something else").unwrap();
    let again = place.pull(&location).await.unwrap();
    assert_eq!(contents(&again.dir), contents(&place.package()));
    assert!(again.fetched > 0);
}

#[tokio::test]
async fn what_does_not_verify_is_not_stored() {
    let place = Place::new();
    let package = place.package();
    let envelope = package.join("openlora.eip712.json");
    let text = fs::read_to_string(&envelope).unwrap();
    let at = text.find("\"signature\":\"0x").unwrap() + "\"signature\":\"0x".len() + 20;
    let digit = if &text[at..=at] == "0" { "1" } else { "0" };
    let forged = format!("{}{digit}{}", &text[..at], &text[at + 1..]);
    fs::write(&envelope, forged).unwrap();
    let pulled = place.pull(&package.display().to_string()).await;
    let (message, class) = place.refused(pulled);
    assert!(message.contains(" does not verify: "), "{message}");
    assert_eq!(class, ExitClass::Verification);
    let partial = place.folder.path().join("store/partial");
    assert_eq!(fs::read_dir(partial).unwrap().count(), 0);
}

#[tokio::test]
async fn links_are_not_followed() {
    let place = Place::new();
    let package = place.package();
    let readme = package.join("README.md");
    let elsewhere = place.folder.path().join("elsewhere.md");
    fs::rename(&readme, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &readme).unwrap();
    let pulled = place.pull(&package.display().to_string()).await;
    let (message, class) = place.refused(pulled);
    let expected = format!(
        "{}: the file is not what it should be: expected a plain file, no link",
        readme.display()
    );
    assert_eq!((message, class), (expected, ExitClass::BadInput));
}

#[tokio::test]
async fn identical_packages_give_identical_layouts_that_can_be_pulled() {
    let (one, other) = (Place::new(), Place::new());
    let layout = |place: &Place| place.folder.path().join("layout");
    let mut layouts = Vec::new();
    for place in [&one, &other] {
        let package = packages::model_signed(&place.folder.path().join("signed"));
        let location = format!("oci-layout:{}:v1", layout(place).display());
        let pushed = push(place, &package, &location).await;
        let artifact = PackageArtifact::of_package(&openlora_package::read(&package).unwrap());
        assert_eq!(pushed.oci, Some(artifact.unwrap().digest()));
        let pulled = place.pull(&location).await.unwrap();
        assert_eq!(contents(&pulled.dir), contents(&package));
        assert_eq!(pulled.oci, pushed.oci);
        layouts.push(contents(&layout(place)));
    }
    assert_eq!(layouts[0], layouts[1]);
    let absent = format!("oci-layout:{}:v2", layout(&one).display());
    assert_eq!(
        one.pull(&absent).await.unwrap_err().to_string(),
        format!("oci-layout:{} has no tag `v2`", layout(&one).display())
    );
}

/// The index of a layout, and the bytes of a blob.
fn index_of(layout: &Path) -> serde_json::Value {
    serde_json::from_slice(&fs::read(layout.join("index.json")).unwrap()).unwrap()
}

fn blob_of(layout: &Path, digest: &serde_json::Value) -> std::path::PathBuf {
    let hex = digest.as_str().unwrap().strip_prefix("sha256:").unwrap();
    layout.join("blobs/sha256").join(hex)
}

#[tokio::test]
async fn a_signature_refers_to_its_package_in_a_layout() {
    const SIGNATURE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
    let place = Place::new();
    let layout = place.folder.path().join("layout");
    let signed = packages::model_signed(&place.folder.path().join("signed"));
    let location = format!("oci-layout:{}:v1", layout.display());
    let pushed = push(&place, &signed, &location).await;
    // Again, and under another tag: what refers is listed once.
    push(&place, &signed, &location).await;
    push(&place, &signed, &location.replace(":v1", ":v2")).await;
    let index = index_of(&layout);
    let entries = index["manifests"].as_array().unwrap();
    let subject = format!("sha256:{}", pushed.oci.unwrap());
    let referrers: Vec<_> = entries
        .iter()
        .filter(|it| it["artifactType"] == SIGNATURE)
        .collect();
    let [referrer] = referrers.as_slice() else {
        panic!("one referrer: {index}");
    };
    let read = |digest: &serde_json::Value| -> serde_json::Value {
        serde_json::from_slice(&fs::read(blob_of(&layout, digest)).unwrap()).unwrap()
    };
    let manifest = read(&referrer["digest"]);
    assert_eq!(manifest["subject"]["digest"], subject);
    assert_eq!(manifest["artifactType"], SIGNATURE);
    let bundle = fs::read(blob_of(&layout, &manifest["layers"][0]["digest"])).unwrap();
    assert_eq!(bundle, fs::read(signed.join("model.sig")).unwrap());
    let name = "org.opencontainers.image.ref.name";
    let tag = subject.replace(':', "-");
    let tagged: Vec<_> = entries
        .iter()
        .filter(|it| it["annotations"][name] == tag)
        .collect();
    let [tagged] = tagged.as_slice() else {
        panic!("one index of referrers: {index}");
    };
    assert_eq!(
        read(&tagged["digest"])["manifests"],
        serde_json::json!([referrer])
    );

    // A package that others put there without its signature has it by either way.
    let mut without = read(&serde_json::json!(subject));
    let layers = without["layers"].as_array_mut().unwrap();
    layers.retain(|layer| layer["annotations"]["org.opencontainers.image.title"] != "model.sig");
    let put = |value: &serde_json::Value| {
        let bytes = value.to_string().into_bytes();
        let digest = openlora_package::manifest::Digest::hash_bytes(&bytes);
        fs::write(layout.join("blobs/sha256").join(digest.to_string()), &bytes).unwrap();
        (format!("sha256:{digest}"), bytes.len())
    };
    let (subject, size) = put(&without);
    let mut about = manifest.clone();
    about["subject"]["digest"] = subject.clone().into();
    about["subject"]["size"] = size.into();
    let (referrer, referrer_size) = put(&about);
    let kind = "application/vnd.oci.image.manifest.v1+json";
    let package = serde_json::json!({
        "mediaType": kind, "digest": subject, "size": size,
        "annotations": { name: "bare" },
    });
    let listed = serde_json::json!({
        "mediaType": kind, "digest": referrer, "size": referrer_size, "artifactType": SIGNATURE,
    });
    let indexed = serde_json::json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [listed],
    });
    let (listing, listing_size) = put(&indexed);
    let by_tag = serde_json::json!({
        "mediaType": "application/vnd.oci.image.index.v1+json", "digest": listing,
        "size": listing_size, "annotations": { name: subject.replace(':', "-") },
    });
    let bare = format!("oci-layout:{}:bare", layout.display());
    for entries in [vec![&package, &listed], vec![&package, &by_tag]] {
        let index = serde_json::json!({ "schemaVersion": 2, "manifests": entries });
        fs::write(layout.join("index.json"), index.to_string()).unwrap();
        let elsewhere = Place::new();
        let pulled = elsewhere.pull(&bare).await.unwrap();
        assert_eq!(contents(&pulled.dir), contents(&signed));
    }
    // One of another package is not taken.
    let index = serde_json::json!({ "schemaVersion": 2, "manifests": [package, tagged] });
    fs::write(layout.join("index.json"), index.to_string()).unwrap();
    let elsewhere = Place::new();
    let (message, _) = elsewhere.refused(elsewhere.pull(&bare).await);
    assert!(message.contains("has no model.sig"), "{message}");
}

#[tokio::test]
async fn a_changed_blob_of_a_layout_is_refused() {
    let place = Place::new();
    let layout = place.folder.path().join("layout");
    let location = format!("oci-layout:{}", layout.display());
    push(&place, &place.package(), &location).await;
    let package = openlora_package::read(&place.package()).unwrap();
    let readme = package.manifest.files.iter();
    let readme = readme.clone().find(|it| it.path == "README.md").unwrap();
    let blob = layout.join("blobs/sha256").join(readme.sha256.to_string());
    let mut bytes = fs::read(&blob).unwrap();
    bytes[0] ^= 1;
    fs::write(&blob, &bytes).unwrap();
    let (message, class) = place.refused(place.pull(&location).await);
    let expected = format!(
        "oci-layout:{}:latest: README.md has sha256 {}, expected {}",
        layout.display(),
        openlora_package::manifest::Digest::hash_bytes(&bytes),
        readme.sha256
    );
    assert_eq!((message, class), (expected, ExitClass::Verification));
}

#[tokio::test]
async fn nothing_is_written_over_other_files() {
    let place = Place::new();
    let dir = place.folder.path().join("mine");
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("thesis.txt"), "mine").unwrap();
    let package = openlora_package::read(&place.package()).unwrap();
    for (location, reason) in [
        ("dir:", "it is there already, and is not this package"),
        (
            "oci-layout:",
            "it holds other files, so no layout is written there",
        ),
    ] {
        let location: PackageLocation = format!("{location}{}", dir.display()).parse().unwrap();
        let pushed = place
            .fetcher
            .push(&place.store, &package, &location, &|_| {});
        assert_eq!(
            pushed.await.unwrap_err().to_string(),
            format!("{}: {reason}", dir.display())
        );
    }
    assert_eq!(files(&dir), ["thesis.txt".to_owned()].into());
}

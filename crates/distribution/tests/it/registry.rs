//! A registry that asks for a login and keeps its blobs elsewhere, and manifests that lie.

use std::fs;

use openlora_core::error::ExitClass;
use openlora_distribution::{PackageArtifact, RegistryLogin};
use openlora_package::manifest::Digest;

use crate::{
    fake_host::{FakeHost, Page, Place, Wanted, contents},
    packages,
};

/// Publishes a package as a registry does; `change` may alter the manifest.
fn publish(
    host: &FakeHost,
    place: &Place,
    page: impl Fn(String, Vec<u8>) -> Page,
    change: impl FnOnce(String) -> String,
) -> Digest {
    let package = openlora_package::read(&place.package()).unwrap();
    let artifact = PackageArtifact::of_package(&package).unwrap();
    for layer in &artifact.layers {
        let bytes = fs::read(package.dir.join(&layer.path)).unwrap();
        let path = format!("/v2/ada/tone/blobs/sha256:{}", layer.sha256);
        host.put(&path, page(path.clone(), bytes));
    }
    let manifest = change(String::from_utf8(artifact.manifest).unwrap()).into_bytes();
    let digest = Digest::hash_bytes(&manifest);
    for name in ["1.0.0".to_owned(), format!("sha256:{digest}")] {
        let path = format!("/v2/ada/tone/manifests/{name}");
        host.put(&path, page(path.clone(), manifest.clone()));
    }
    digest
}

fn plain(_: String, bytes: Vec<u8>) -> Page {
    Page {
        bytes,
        ..Page::default()
    }
}

fn address(host: &FakeHost) -> String {
    host.url.replace("http://", "oci://")
}

#[tokio::test]
async fn a_login_goes_to_the_registry_and_its_token_service_alone() {
    let mut place = Place::new();
    let (host, storage) = (FakeHost::start().await, FakeHost::start().await);
    let wanted = Wanted {
        authorization: "Bearer t0ken".into(),
        challenge: format!(
            "Bearer realm=\"{}/token\",service=\"registry\",scope=\"repository:ada/tone:pull\"",
            host.url
        ),
    };
    let login = Wanted {
        authorization: "Basic YWRhOnNlY3JldA==".into(),
        challenge: "Basic".into(),
    };
    let token = Page {
        bytes: br#"{"token":"t0ken"}"#.to_vec(),
        wants: Some(login),
        ..Page::default()
    };
    host.put("/token", token);
    let page = |path: String, bytes: Vec<u8>| {
        let is_blob = path.contains("/blobs/");
        storage.put(&path, plain(path.clone(), bytes.clone()));
        Page {
            bytes,
            redirect: is_blob.then(|| format!("{}{path}", storage.url)),
            wants: Some(wanted.clone()),
            ..Page::default()
        }
    };
    publish(&host, &place, page, |manifest| manifest);
    let docker = place.folder.path().join("config.json");
    let name = host.url.replace("http://", "");
    fs::write(
        &docker,
        format!(r#"{{"auths":{{"{name}":{{"auth":"YWRhOnNlY3JldA=="}}}}}}"#),
    )
    .unwrap();
    place.fetcher.credentials.docker = Some(docker);
    let expected = RegistryLogin {
        user: "ada".into(),
        password: "secret".into(),
    };
    assert_eq!(
        place.fetcher.credentials.login(&name),
        Some(expected.clone())
    );
    assert_eq!(place.fetcher.credentials.login("other.example"), None);
    assert_eq!(format!("{expected:?}"), "RegistryLogin(ada)");
    let location = format!("{}/ada/tone:1.0.0", address(&host));
    let pulled = place.pull(&location).await.unwrap();
    assert_eq!(contents(&pulled.dir), contents(&place.package()));
    assert!(!storage.seen().is_empty());
    assert!(storage.seen().iter().all(|it| it.authorization.is_none()));
    let tokens: Vec<_> = host
        .seen()
        .into_iter()
        .filter(|it| it.path == "/token")
        .collect();
    assert_eq!(tokens.len(), 1);
}

#[tokio::test]
async fn a_pinned_place_needs_no_network_twice() {
    let mut place = Place::new();
    let host = FakeHost::start().await;
    let digest = publish(&host, &place, plain, |manifest| manifest);
    let location = format!("{}/ada/tone@sha256:{digest}", address(&host));
    let pulled = place.pull(&location).await.unwrap();
    assert_eq!(pulled.oci, Some(digest));
    let asked = host.seen().len();
    place.offline();
    let again = place.pull(&location).await.unwrap();
    assert_eq!((again.dir, again.fetched), (pulled.dir, 0));
    assert_eq!(host.seen().len(), asked);
}

#[tokio::test]
async fn a_manifest_under_a_digest_that_is_not_its_own_is_refused() {
    let place = Place::new();
    let host = FakeHost::start().await;
    let found = publish(&host, &place, plain, |manifest| manifest);
    let pinned = Digest::hash_bytes(b"another");
    let manifest = format!("/v2/ada/tone/manifests/sha256:{found}");
    let path = format!("/v2/ada/tone/manifests/sha256:{pinned}");
    let mut bytes = Vec::new();
    host.change(&manifest, |page| bytes = page.bytes.clone());
    host.put(&path, plain(String::new(), bytes));
    let location = format!("{}/ada/tone@sha256:{pinned}", address(&host));
    let refused = place.refused(place.pull(&location).await);
    let message = format!(
        "{}{path}: the OCI manifest has sha256 {found}, expected {pinned}",
        host.url
    );
    assert_eq!(refused, (message, ExitClass::Verification));
}

#[tokio::test]
async fn manifests_that_lie_are_refused() {
    let package = Place::new();
    let package = openlora_package::read(&package.package()).unwrap();
    let readme = package.manifest.files.iter();
    let readme = readme.clone().find(|it| it.path == "README.md").unwrap();
    let other = Digest::hash_bytes(b"another");
    let digest = readme.sha256.to_string();
    let size = format!("\"size\":{},", readme.size.0);
    for (from, to, reason) in [
        (
            digest.clone(),
            other.to_string(),
            format!("README.md has sha256 {other}, expected {digest}"),
        ),
        (
            format!("{digest}\",{size}"),
            format!("{digest}\",\"size\":1,"),
            format!("README.md has 1 bytes, expected {}", readme.size.0),
        ),
        (
            "\"README.md\"".to_owned(),
            "\"../README.md\"".to_owned(),
            "the path \"../README.md\" leads elsewhere".to_owned(),
        ),
        (
            "\"README.md\"".to_owned(),
            "\"more.md\"".to_owned(),
            "has no README.md".to_owned(),
        ),
        (
            "application/vnd.cncf.model.manifest.v1+json".to_owned(),
            "application/vnd.other".to_owned(),
            "the OCI manifest is not what it should be: expected the artifact type \
             application/vnd.cncf.model.manifest.v1+json, found `application/vnd.other`"
                .to_owned(),
        ),
    ] {
        let place = Place::new();
        let host = FakeHost::start().await;
        publish(&host, &place, plain, |manifest| {
            assert!(manifest.contains(&from), "{from} {manifest}");
            manifest.replace(&from, &to)
        });
        let location = format!("{}/ada/tone:1.0.0", address(&host));
        let (message, _) = place.refused(place.pull(&location).await);
        let found = message.strip_prefix(&location).unwrap();
        assert_eq!(found.trim_start_matches([':', ' ']), reason);
    }
}

#[tokio::test]
async fn a_signature_that_only_refers_to_the_package_is_found() {
    let place = Place::new();
    let host = FakeHost::start().await;
    let signed = packages::model_signed(&place.folder.path().join("package"));
    let package = openlora_package::read(&signed).unwrap();
    let artifact = PackageArtifact::of_package(&package).unwrap();
    let subject = publish(&host, &place, plain, |manifest| {
        let mut value: serde_json::Value = serde_json::from_str(&manifest).unwrap();
        let layers = value["layers"].as_array_mut().unwrap();
        let title = "org.opencontainers.image.title";
        layers.retain(|layer| layer["annotations"][title] != "model.sig");
        value.to_string()
    });
    let referrer = artifact.referrer.unwrap();
    let digest = Digest::hash_bytes(&referrer);
    let index = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [{
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": format!("sha256:{digest}"),
            "size": referrer.len(),
            "artifactType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        }],
    });
    let bytes = index.to_string().into_bytes();
    let tag = format!("/v2/ada/tone/manifests/sha256-{subject}");
    host.put(&tag, plain(String::new(), bytes));
    let path = format!("/v2/ada/tone/manifests/sha256:{digest}");
    host.put(&path, plain(String::new(), referrer));
    let location = format!("{}/ada/tone:1.0.0", address(&host));
    let pulled = place.pull(&location).await.unwrap();
    assert_eq!(contents(&pulled.dir), contents(&signed));
}

//! Web folders and the Hub: broken lines, wrong content, redirects and the bounds.

use std::{fs, path::Path};

use openlora_core::error::ExitClass;
use openlora_distribution::PullLimits;
use openlora_package::manifest::Digest;

use crate::{
    fake_host::{Broken, FakeHost, Page, Place, Wanted, contents},
    packages,
};

const WEIGHTS: &str = "adapter_model.safetensors";

/// A host that publishes the package of a place, and its address.
async fn published(place: &Place) -> (FakeHost, String) {
    let host = FakeHost::start().await;
    host.publish("/tone", &place.package());
    let url = format!("{}/tone", host.url);
    (host, url)
}

fn size(dir: &Path, name: &str) -> usize {
    usize::try_from(fs::metadata(dir.join(name)).unwrap().len()).unwrap()
}

#[tokio::test]
async fn a_download_goes_on_where_the_line_broke() {
    let place = Place::new();
    let (host, url) = published(&place).await;
    host.change("/tone/adapter_model.safetensors", |page| {
        page.breaks = Some(Broken {
            after: 1000,
            times: 2,
        });
    });
    let pulled = place.pull(&url).await.unwrap();
    assert_eq!(contents(&pulled.dir), contents(&place.package()));
    assert_eq!(
        host.ranges("/tone/adapter_model.safetensors"),
        [None, Some("bytes=1000-".into()), Some("bytes=2000-".into())]
    );
    let bytes: usize = contents(&place.package()).values().map(Vec::len).sum();
    assert_eq!(pulled.fetched, bytes as u64);
}

#[tokio::test]
async fn the_next_pull_goes_on_where_the_last_was_given_up() {
    let place = Place::new();
    let (host, url) = published(&place).await;
    let weights = "/tone/adapter_model.safetensors";
    host.change(weights, |page| {
        page.breaks = Some(Broken {
            after: 0,
            times: usize::MAX,
        });
    });
    let (_, class) = place.refused(place.pull(&url).await);
    assert_eq!(class, ExitClass::Network);
    host.change(weights, |page| {
        page.breaks = Some(Broken {
            after: 700,
            times: 1,
        });
    });
    place.pull(&url).await.unwrap();
    let ranges = host.ranges(weights);
    assert_eq!(ranges.last().unwrap().as_deref(), Some("bytes=700-"));
}

#[tokio::test]
async fn a_host_without_ranges_sends_everything_again() {
    let place = Place::new();
    let (host, url) = published(&place).await;
    host.change("/tone/adapter_model.safetensors", |page| {
        page.ignores_ranges = true;
        page.breaks = Some(Broken {
            after: 1000,
            times: 1,
        });
    });
    let pulled = place.pull(&url).await.unwrap();
    assert_eq!(contents(&pulled.dir), contents(&place.package()));
}

#[tokio::test]
async fn other_bytes_of_the_same_size_are_refused() {
    let place = Place::new();
    let (host, url) = published(&place).await;
    let mut bytes = fs::read(place.package().join(WEIGHTS)).unwrap();
    let expected = Digest::hash_bytes(&bytes);
    *bytes.last_mut().unwrap() ^= 1;
    let found = Digest::hash_bytes(&bytes);
    host.change("/tone/adapter_model.safetensors", |page| page.bytes = bytes);
    let refused = place.refused(place.pull(&url).await);
    let message = format!("{url}: {WEIGHTS} has sha256 {found}, expected {expected}");
    assert_eq!(refused, (message, ExitClass::Verification));
}

#[tokio::test]
async fn files_of_another_size_are_refused() {
    let place = Place::new();
    let (host, url) = published(&place).await;
    let expected = size(&place.package(), WEIGHTS);
    host.change("/tone/adapter_model.safetensors", |page| page.bytes.push(0));
    let refused = place.refused(place.pull(&url).await);
    let message = format!(
        "{url}: {WEIGHTS} has {} bytes, expected {expected}",
        expected + 1
    );
    assert_eq!(refused, (message, ExitClass::Verification));
    host.change("/tone/adapter_model.safetensors", |page| {
        page.bytes.truncate(expected - 1);
    });
    let refused = place.refused(place.pull(&url).await);
    let message = format!(
        "{url}: {WEIGHTS} has {} bytes, expected {expected}",
        expected - 1
    );
    assert_eq!(refused, (message, ExitClass::Verification));
}

#[tokio::test]
async fn a_wrong_beginning_is_fetched_again() {
    let place = Place::new();
    let (_host, url) = published(&place).await;
    let package = openlora_package::read(&place.package()).unwrap();
    let key = format!("sha256-{}", package.manifest_sha256);
    let files = place
        .folder
        .path()
        .join("store/partial")
        .join(key)
        .join("files");
    fs::create_dir_all(&files).unwrap();
    fs::write(files.join(WEIGHTS), [7; 100]).unwrap();
    let pulled = place.pull(&url).await.unwrap();
    assert_eq!(contents(&pulled.dir), contents(&place.package()));
}

#[tokio::test]
async fn a_place_that_moved_is_taken_only_on_request() {
    let place = Place::new();
    let (host, url) = published(&place).await;
    let first = place.pull(&url).await.unwrap();
    let about = openlora_package::build::PackageMetadata {
        version: "2.0.0".into(),
        ..packages::about()
    };
    let next = place.folder.path().join("next");
    let domain = openlora_package::release::SigningDomain::for_registry(31_337, None);
    let account = packages::account();
    let signer = openlora_release::eip712::AccountSigner(&account);
    let draft = packages::drafted(&about).unwrap();
    let written = openlora_package::write(&next, &draft, Some((&domain, &signer))).unwrap();
    host.publish("/tone", &next);
    let moved = place.pull(&url).await.unwrap_err();
    assert_eq!(
        moved.to_string(),
        format!(
            "{url} has moved: it was the manifest sha256 {} when it was first pulled, and is {}",
            first.manifest_sha256, written.manifest_sha256
        )
    );
    let updated = place.pull_with(&url, true).await.unwrap();
    assert_eq!(updated.manifest_sha256, written.manifest_sha256);
    assert_eq!(place.pull(&url).await.unwrap().fetched, 0);
    assert_eq!(place.stored().len(), 2);
}

#[tokio::test]
async fn two_pulls_at_once_fetch_once() {
    let place = Place::new();
    let (host, url) = published(&place).await;
    let (one, other) = tokio::join!(place.pull(&url), place.pull(&url));
    let (one, other) = (one.unwrap(), other.unwrap());
    assert_eq!(one.dir, other.dir);
    assert_eq!(host.ranges("/tone/adapter_model.safetensors"), [None]);
    assert_eq!(one.fetched.min(other.fetched), 0);
}

#[tokio::test]
async fn a_token_of_the_hub_goes_to_the_hub_alone() {
    let mut place = Place::new();
    let (hub, storage) = (FakeHost::start().await, FakeHost::start().await);
    storage.publish("/blobs", &place.package());
    let wanted = Wanted {
        authorization: "Bearer hf_secret".into(),
        challenge: "Bearer".into(),
    };
    for name in contents(&place.package()).into_keys() {
        let page = Page {
            redirect: Some(format!("{}/blobs/{name}", storage.url)),
            wants: Some(wanted.clone()),
            ..Page::default()
        };
        hub.put(&format!("/ada/tone/resolve/main/{name}"), page);
    }
    place.fetcher.hub = hub.url.clone();
    place.fetcher.credentials.hub_token = Some("hf_secret".into());
    let pulled = place.pull("hf://ada/tone").await.unwrap();
    assert_eq!(contents(&pulled.dir), contents(&place.package()));
    let secret = Some("Bearer hf_secret".to_owned());
    assert!(hub.seen().iter().all(|it| it.authorization == secret));
    assert!(!storage.seen().is_empty());
    assert!(storage.seen().iter().all(|it| it.authorization.is_none()));
}

#[tokio::test]
async fn redirects_without_encryption_or_end_are_refused() {
    let place = Place::new();
    let host = FakeHost::start().await;
    let redirect = |to: &str| Page {
        redirect: Some(to.to_owned()),
        ..Page::default()
    };
    host.put("/a/openlora.json", redirect("http://example.org/x?token=1"));
    host.put("/b/openlora.json", redirect("/b/openlora.json"));
    let url = &host.url;
    for (name, reason) in [
        (
            "a",
            "it redirects to http://example.org/x, expected https://",
        ),
        ("b", "more than 5 redirects"),
    ] {
        let refused = place.refused(place.pull(&format!("{url}/{name}")).await);
        let message = format!("{url}/{name}/openlora.json: {reason}");
        assert_eq!(refused, (message, ExitClass::Verification));
    }
}

#[tokio::test]
async fn nothing_is_fetched_beyond_the_bounds() {
    let mut place = Place::new();
    let (host, url) = published(&place).await;
    let weights = size(&place.package(), WEIGHTS) as u64;
    let package = openlora_package::read(&place.package()).unwrap();
    let total: u64 = package.manifest.files.iter().map(|it| it.size.0).sum();
    place.limits = PullLimits {
        file: weights - 1,
        ..PullLimits::default()
    };
    let limit = weights - 1;
    let message = format!("{WEIGHTS} has {weights} bytes, expected at most {limit}");
    assert_eq!(
        place.refused(place.pull(&url).await),
        (message, ExitClass::BadInput)
    );
    place.limits = PullLimits {
        total: total - 1,
        ..PullLimits::default()
    };
    let message = format!(
        "the package has {total} bytes, expected at most {}",
        total - 1
    );
    assert_eq!(
        place.refused(place.pull(&url).await),
        (message, ExitClass::BadInput)
    );
    assert!(host.ranges("/tone/adapter_model.safetensors").is_empty());
    host.change("/tone/openlora.json", |page| {
        page.bytes = vec![b' '; (16 << 20) + 1];
    });
    place.limits = PullLimits::default();
    let (message, class) = place.refused(place.pull(&url).await);
    assert!(message.starts_with("openlora.json has "), "{message}");
    assert_eq!(class, ExitClass::BadInput);
}

#[tokio::test]
async fn offline_a_place_is_what_it_was() {
    let mut place = Place::new();
    let (_host, url) = published(&place).await;
    let pulled = place.pull(&url).await.unwrap();
    place.offline();
    // This machine may be asked.
    assert_eq!(place.pull(&url).await.unwrap().dir, pulled.dir);
    let away = place.pull("https://example.org/tone").await.unwrap_err();
    assert_eq!(
        away.to_string(),
        "https://example.org/tone/openlora.json is not on this machine"
    );
}

#[tokio::test]
async fn places_of_strangers_do_not_lead_into_the_own_network() {
    let mut place = Place::new();
    let (host, url) = published(&place).await;
    let open = place.fetcher.http.clone();
    place.fetcher.http = open.for_strangers("https://hub.invalid").unwrap();
    for inward in [
        url.as_str(),
        "https://localhost/tone",
        "https://10.0.0.1/tone",
        "https://169.254.169.254/tone",
        "https://[::ffff:192.168.0.1]/tone",
        "https://[fd00::1]/tone",
    ] {
        let refused = place.pull(inward).await.unwrap_err().to_string();
        assert!(
            refused.ends_with(": it is an address of the own network"),
            "{refused}"
        );
    }
    // The user's own hub is asked wherever it is.
    place.fetcher.http = open.for_strangers(&host.url).unwrap();
    let pulled = place.pull(&url).await.unwrap();
    assert_eq!(contents(&pulled.dir), contents(&place.package()));
}

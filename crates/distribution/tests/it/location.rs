//! Places of packages: what is accepted, how it is written again, and why the rest is refused.

use openlora_distribution::PackageLocation;

fn parse(text: &str) -> Result<PackageLocation, String> {
    text.parse::<PackageLocation>().map_err(|it| it.reason)
}

const HEX: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

#[test]
fn places_are_written_as_they_are_read() {
    let pinned = format!("oci://ghcr.io/ada/tone@sha256:{HEX}");
    for (text, expected, remote, movable) in [
        (
            "oci://ghcr.io/ada/tone",
            "oci://ghcr.io/ada/tone:latest",
            true,
            true,
        ),
        (
            "oci://LocalHost:5000/t:1.0",
            "oci://localhost:5000/t:1.0",
            true,
            true,
        ),
        (&pinned, &pinned, true, false),
        ("oci-layout:a/b", "oci-layout:a/b:latest", false, true),
        ("oci-layout:a/b:v1", "oci-layout:a/b:v1", false, true),
        ("hf://ada/tone", "hf://ada/tone@main", true, true),
        (
            "hf://ada/tone@0123456789012345678901234567890123456789",
            "hf://ada/tone@0123456789012345678901234567890123456789",
            true,
            false,
        ),
        (
            "https://example.org/a/openlora.json",
            "https://example.org/a",
            true,
            true,
        ),
        (
            "https://example.org/a/",
            "https://example.org/a",
            true,
            true,
        ),
        (
            "https://example.org/a.tar.gz",
            "https://example.org/a.tar.gz",
            true,
            true,
        ),
        ("http://127.0.0.1:80/a", "http://127.0.0.1/a", true, true),
        ("dir:a", "dir:a", false, true),
        ("a/b", "dir:a/b", false, true),
    ] {
        let location = parse(text).unwrap();
        assert_eq!(location.to_string(), expected);
        assert_eq!(
            (location.is_remote(), location.is_movable()),
            (remote, movable),
            "{text}"
        );
        assert_eq!(parse(expected).unwrap(), location);
    }
}

#[test]
fn what_is_no_place_is_refused_with_a_reason() {
    for (text, reason) in [
        ("", "expected 1 to 1024 bytes without control characters"),
        (
            "a\nb",
            "expected 1 to 1024 bytes without control characters",
        ),
        (
            "oci://ghcr.io",
            "expected oci://HOST/REPOSITORY[:TAG|@sha256:HEX]",
        ),
        (
            "oci://user:secret@ghcr.io/a",
            "expected a host, such as ghcr.io or localhost:5000, found `user:secret@ghcr.io`",
        ),
        (
            "oci://ghcr.io/Ada",
            "expected a repository of lowercase letters, digits and any of . _ - /, found `Ada`",
        ),
        (
            "oci://ghcr.io/a/../b",
            "expected a repository of lowercase letters, digits and any of . _ - /, found `a/../b`",
        ),
        (
            "oci://ghcr.io/a:b c",
            "expected a tag of at most 128 letters, digits and any of . _ -, found `b c`",
        ),
        (
            "oci://ghcr.io/a@sha256:12",
            "expected `@sha256:` and 64 lowercase hexadecimal digits",
        ),
        ("hf://ada", "expected hf://OWNER/NAME[@REVISION]"),
        ("hf://ada/..", "expected hf://OWNER/NAME[@REVISION]"),
        (
            "http://example.org/a",
            "http:// is for this machine only, expected https://",
        ),
        (
            "https://a:b@example.org/a",
            "expected a URL without a password in it",
        ),
        ("https://example.org/a?b", "expected a URL without ? and #"),
        (
            "ftp://example.org/a",
            "unknown scheme `ftp`, expected oci://, hf://, https://, oci-layout:, dir: or a path",
        ),
        ("dir:", "expected dir:PATH"),
    ] {
        assert_eq!(parse(text), Err(reason.to_owned()), "{text}");
    }
}

#[test]
fn a_place_on_this_machine_does_not_lead_up_again() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    std::fs::create_dir(root.join("project")).unwrap();
    std::fs::create_dir(root.join("shelf")).unwrap();
    let shown = |text: &str| {
        let location: PackageLocation = text.parse().unwrap();
        location.in_folder(&root.join("project")).to_string()
    };
    let root = root.display();
    assert_eq!(shown("dir:../shelf"), format!("dir:{root}/shelf"));
    assert_eq!(shown("../new"), format!("dir:{root}/new"));
    assert_eq!(
        shown("oci-layout:../shelf:1.0.0"),
        format!("oci-layout:{root}/shelf:1.0.0")
    );
    // What leads through a folder that is not there stays as it was written.
    assert_eq!(
        shown("dir:../none/../x"),
        format!("dir:{root}/project/../none/../x")
    );
}

//! How people name adapters.

use openlora_chain::registry::parse_id;
use openlora_market::AdapterReference;

const PUBLISHER: &str = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
const REGISTRY: &str = "0x5FbDB2315678afecb367f032d93F642f64180aa3";

#[test]
fn a_name_a_registry_and_an_id_are_told_apart() {
    let digits = "0x00000000000000000000000000000000000000000000000000000000000000ff";
    let id = parse_id(digits).unwrap();
    let registry = REGISTRY.parse().unwrap();
    let publisher = PUBLISHER.parse().unwrap();
    let plain = |text: &str| AdapterReference::Plain(text.to_owned());
    for (text, expected) in [
        ("tone".to_owned(), plain("tone")),
        // No registry, so a name with a sign in it.
        ("tone@example".to_owned(), plain("tone@example")),
        (format!("@{REGISTRY}"), plain(&format!("@{REGISTRY}"))),
        // A number may be a name.
        ("7".to_owned(), plain("7")),
        ("0x12".to_owned(), plain("0x12")),
        (
            format!("tone@{REGISTRY}"),
            AdapterReference::Registered {
                name: "tone".to_owned(),
                registry,
            },
        ),
        (
            format!("a@b@{REGISTRY}"),
            AdapterReference::Registered {
                name: "a@b".to_owned(),
                registry,
            },
        ),
        (
            format!("{PUBLISHER}/tone"),
            AdapterReference::Published {
                name: "tone".to_owned(),
                publisher,
                registry: None,
            },
        ),
        (
            format!("{PUBLISHER}/team/tone@{REGISTRY}"),
            AdapterReference::Published {
                name: "team/tone".to_owned(),
                publisher,
                registry: Some(registry),
            },
        ),
        // A name may have a stroke in it.
        ("team/tone".to_owned(), plain("team/tone")),
        (format!("{PUBLISHER}/"), plain(&format!("{PUBLISHER}/"))),
        (
            digits.to_owned(),
            AdapterReference::Id { id, registry: None },
        ),
        (
            format!("{digits}@{REGISTRY}"),
            AdapterReference::Id {
                id,
                registry: Some(registry),
            },
        ),
    ] {
        assert_eq!(AdapterReference::parse(&text), expected, "{text}");
    }
}

#[test]
fn a_registry_that_is_no_address_is_named() {
    let sound = "a@0xDd063ddA08055ee1744E4b6d8987Fc806fB84261";
    for (text, wrong) in [
        ("a", None),
        ("a@b", None),
        (sound, None),
        ("a@0x1234", Some("0x1234")),
        ("a@b@0x", Some("0x")),
    ] {
        assert_eq!(AdapterReference::wrong_registry(text), wrong, "{text}");
    }
}

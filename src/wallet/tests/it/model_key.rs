//! Keys of PEM files that sign models: those of RFC 6979, A.2.5 to A.2.7, in both forms that openssl
//! writes.

use std::fs;

use openlora_wallet::{ModelKeyFileProblem, ModelSigningKey};

use crate::paths::repository;

fn pem(name: &str) -> String {
    fs::read_to_string(repository().join("tests/data/signing").join(name)).unwrap()
}

/// DER around the two numbers that the RFC states for the message `sample`.
const SIGNATURES: &[[&str; 3]] = &[
    [
        "p256.key",
        "0460fed4ba255a9d31c961eb74c6356d68c049b8",
        "3046022100efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716022100f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8",
    ],
    [
        "p384.key",
        "04ec3a4e415b4e19a4568618029f427fa5da9a8b",
        "306602310094edbb92a5ecb8aad4736e56c691916b3f88140666ce9fa73d64c4ea95ad133c81a648152e44acf96e36dd1e80fabe4602310099ef4aeb15f178cea1fe40db2603138f130e740a19624526203b6351d0a3a94fa329c145786e679e7b82c71a38628ac8",
    ],
    [
        "p521.key",
        "0401894550d0785932e00eaa23b694f213f8c312",
        "308187024200c328fafcbd79dd77850370c46325d987cb525569fb63c5d3bc53950e6d4c5f174e25a1ee9017b5d450606add152b534931d7d4e8455cc91f9b15bf05ec36e377fa0241617cce7cf5064806c467f678d3b4080d6f1cc50af26ca209417308281b68af282623eaa63e5b5c0723d8b8c37ff0777b1a20f8ccb1dccc43997f1ee0e44da4a67a",
    ],
];

#[test]
fn each_curve_signs_as_the_rfc_says() {
    for [name, point, expected] in SIGNATURES {
        let text = format!("Key of a test\n\n{}\nthat was all\n", pem(name));
        let key = ModelSigningKey::from_pem(&text).unwrap();
        let public = hex::encode(key.public_point());
        assert!(public.starts_with(point), "{name}: {public}");
        assert_eq!(hex::encode(key.sign(b"sample")), *expected, "{name}");
        assert_ne!(hex::encode(key.sign(b"simple")), *expected, "{name}");
        assert_eq!(format!("{key:?}"), "ModelSigningKey(hidden)");
    }
}

#[test]
fn what_is_no_such_key_is_refused() {
    let refused = |text: &str| ModelSigningKey::from_pem(text).unwrap_err();
    assert_eq!(refused("key"), ModelKeyFileProblem::Pem);
    let key = pem("p256.key");
    assert_eq!(
        refused(&key.replace("PRIVATE", "PUBLIC")),
        ModelKeyFileProblem::Pem
    );
    assert_eq!(
        refused(&key.replace("PRIVATE", "ENCRYPTED PRIVATE")),
        ModelKeyFileProblem::Encrypted
    );
    // Other digits.
    let at = key.find("MIGH").unwrap();
    let other = format!("{}AAAA{}", &key[..at], &key[at + 4..]);
    assert_eq!(refused(&other), ModelKeyFileProblem::Kind);
}

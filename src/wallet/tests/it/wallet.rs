//! Keystores, keys and networks as a library.

use std::{fs, path::Path};

use openlora_chain::{
    balance::in_units,
    development,
    network::{Network, NetworkOptions, PRESETS},
};
use openlora_core::error::Explain;
use openlora_wallet::{
    DEFAULT_PATH, ImportedSecret, KdfStrength, KeystoreDir, KeystoreError, SecretKey, parse_secret,
};
use tempfile::TempDir;

use crate::{
    keys::{ADDRESS, KEY, OWN, password},
    paths::repository,
    waiting,
};

fn local() -> Network {
    Network::resolve("local", &NetworkOptions::default()).unwrap()
}

#[test]
fn a_mnemonic_has_the_accounts_that_every_wallet_shows() {
    let expected = [
        ADDRESS,
        "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
        "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC",
    ];
    for (index, address) in expected.iter().enumerate() {
        let account = development::account(&local(), index as u32).unwrap();
        assert_eq!(account.address().to_string(), *address);
    }
    let ImportedSecret::Key(key) = parse_secret(development::MNEMONIC, Some(DEFAULT_PATH)).unwrap()
    else {
        panic!("not taken for a mnemonic");
    };
    assert_eq!(key.reveal().as_str(), KEY);
}

#[test]
fn development_accounts_sign_on_local_networks_only() {
    let at = |name: &str, wish: NetworkOptions| {
        let network = Network::resolve(name, &wish).unwrap();
        development::account(&network, 0).map_err(|error| error.to_string())
    };
    assert!(at("local", NetworkOptions::default()).is_ok());
    let remote = NetworkOptions {
        rpc: Some("https://example.org/v2/secret".into()),
        ..NetworkOptions::default()
    };
    assert_eq!(
        at("local", remote).unwrap_err(),
        "the network `local` is not local: its chain id is 31337, its RPC https://example.org"
    );
    let mainnet = NetworkOptions {
        mainnet: Some(true),
        ..NetworkOptions::default()
    };
    assert!(at("local", mainnet).is_err());
    assert_eq!(
        at("base", NetworkOptions::default()).unwrap_err(),
        "the network `base` is not local: its chain id is 8453, its RPC https://mainnet.base.org"
    );
}

#[test]
fn presets_have_sound_addresses_and_no_contracts() {
    for preset in PRESETS {
        let mut network = Network::resolve(preset.name, &NetworkOptions::default()).unwrap();
        let token = network.token.map(|token| token.address.to_string());
        assert_eq!(token.as_deref(), preset.usdc);
        // The registry of agents is not openlora's.
        let agents = network.contracts.identity_registry.take();
        let agents = agents.map(|address| address.to_string());
        assert_eq!(agents.as_deref(), preset.identity_registry);
        assert_eq!(network.contracts, Default::default());
    }
}

/// Secrets that are none, and the whole of what is said; the secret itself is never repeated.
const BAD_SECRETS: &[(&str, Option<&str>, &str)] = &[
    (
        "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff",
        None,
        "the private key has 31 bytes, expected 32",
    ),
    (
        "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff8",
        None,
        "the private key has an odd number of digits, 63, expected 64",
    ),
    (
        "0xzc",
        None,
        "character 3 of the private key is no hexadecimal digit",
    ),
    ("", None, "the private key has 0 bytes, expected 32"),
    (
        "0000000000000000000000000000000000000000000000000000000000000000",
        None,
        "the private key is zero or beyond the order of the curve, so no account has it",
    ),
    (
        "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141",
        None,
        "the private key is zero or beyond the order of the curve, so no account has it",
    ),
    (
        "test test test",
        None,
        "the mnemonic has 3 words, expected 12, 15, 18, 21 or 24",
    ),
    (
        "test test test test test test test test test test test junc",
        None,
        "word 12 of the mnemonic is not in the English list of BIP-39",
    ),
    (
        "test test test test test test test test test test test test",
        None,
        "the words of the mnemonic do not fit together: the checksum in the last one differs",
    ),
    (
        "test test test test test test test test test test test junk",
        Some("m/x"),
        "`m/x` is no derivation path: expected one such as m/44'/60'/0'/0/0",
    ),
    (
        KEY,
        Some(DEFAULT_PATH),
        "a derivation path goes with a mnemonic, found a private key",
    ),
    (
        "{}",
        Some(DEFAULT_PATH),
        "a derivation path goes with a mnemonic, found a keystore",
    ),
];

#[test]
fn bad_secrets_are_told_without_repeating_them() {
    for (text, path, expected) in BAD_SECRETS {
        let error = parse_secret(text, *path).unwrap_err();
        assert_eq!(error.to_string(), *expected);
    }
}

#[test]
fn nothing_secret_shows_in_debug() {
    let key = SecretKey::from_hex(KEY).unwrap();
    let account = development::account(&local(), 0).unwrap();
    let imported = parse_secret(KEY, None).unwrap();
    let shown = format!("{key:?} {account:?} {imported:?} {:?}", password("hunter2"));
    assert_eq!(
        shown,
        format!(
            "SecretKey({ADDRESS}, hidden) Account(development-0, {ADDRESS}) \
             Key(SecretKey({ADDRESS}, hidden)) Password(hidden)"
        )
    );
}

fn store(home: &TempDir) -> KeystoreDir {
    KeystoreDir::new(home.path().join("keys"))
}

/// The file of the key above, locked with `pw`, as a cheap foreign keystore.
fn cheap() -> serde_json::Value {
    serde_json::json!({
        "crypto": {
            "cipher": "aes-128-ctr",
            "cipherparams": {"iv": "c3e812f02c04fba12a2ed1a3e2758a4b"},
            "ciphertext": "192f1738fbb3232a270487f6bc2e93be9fa01ec30aef8301e671f47dd69d7edd",
            "kdf": "scrypt",
            "kdfparams": {
                "dklen": 32, "n": 8192, "p": 1, "r": 8,
                "salt": "51e885ad163f94527b2ce1c67b8fb22486975948ed1607fb93fe91c5f5820b40",
            },
            "mac": "35ce7169b93fc314ef11673fc5ad270e2d51fb966b1e763a5c86e0f458f0a4ea",
        },
        "id": "9c4ac62a-d5c5-4ad3-80d9-b6b549c9769a",
        "version": 3,
    })
}

fn put(home: &TempDir, text: &str) -> std::path::PathBuf {
    let path = home.path().join("keys/a.json");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    path
}

#[test]
fn a_foreign_keystore_opens() {
    let home = TempDir::new().unwrap();
    put(&home, &cheap().to_string());
    let key = store(&home).open("a", &password("pw")).unwrap();
    assert_eq!(key.reveal().as_str(), KEY);
}

#[test]
fn a_wrong_password_and_a_changed_file_say_the_same() {
    let home = TempDir::new().unwrap();
    let path = put(&home, &cheap().to_string());
    let wrong = store(&home).open("a", &password("pv")).unwrap_err();
    let expected = format!("the password does not open {}", path.display());
    assert_eq!(wrong.to_string(), expected);
    for place in ["ciphertext", "mac"] {
        let mut changed = cheap();
        let text = changed["crypto"][place].as_str().unwrap().replace('1', "2");
        changed["crypto"][place] = text.into();
        put(&home, &changed.to_string());
        let error = store(&home).open("a", &password("pw")).unwrap_err();
        assert_eq!(error.to_string(), expected);
        assert_eq!(error.hint(), wrong.hint());
    }
}

type Change = fn(&mut serde_json::Value);

/// Keystores that are none, and the whole of what is said about each after its path.
const BAD_KEYSTORES: &[(Change, &str)] = &[
    (
        |file| file["version"] = 1.into(),
        "`version`: expected 3, found 1",
    ),
    (
        |file| file["crypto"]["cipher"] = "aes-256-cbc".into(),
        "`crypto.cipher`: expected aes-128-ctr, found aes-256-cbc",
    ),
    (
        |file| file["crypto"]["kdf"] = "argon2".into(),
        "`crypto.kdf`: expected scrypt or pbkdf2, found argon2",
    ),
    (
        |file| file["crypto"]["kdfparams"]["n"] = 1_000.into(),
        "`crypto.kdfparams.n`: expected a power of two, found 1000",
    ),
    (
        |file| file["crypto"]["kdfparams"]["n"] = (1u64 << 40).into(),
        "`crypto.kdfparams.r`: expected 1 or more, and 128·n·r of at most 1 GiB, found 8",
    ),
    (
        |file| file["crypto"]["kdfparams"]["p"] = 17.into(),
        "`crypto.kdfparams.p`: expected 1 to 16, found 17",
    ),
    (
        |file| file["crypto"]["kdfparams"]["dklen"] = 16.into(),
        "`crypto.kdfparams.dklen`: expected 32, found 16",
    ),
    (
        |file| file["crypto"]["cipherparams"]["iv"] = "00".into(),
        "`crypto.cipherparams.iv`: expected 16 bytes, found 1 bytes",
    ),
    (
        |file| file["crypto"]["mac"] = "xy".into(),
        "`crypto.mac`: expected hexadecimal digits, found something else",
    ),
    (
        |file| file["address"] = "12".into(),
        "`address`: expected 40 hexadecimal digits, found 12",
    ),
    (
        |file| file["crypto"] = "secret".into(),
        "a field is missing, repeated or of another type at line 1, column 18",
    ),
    (
        |file| file["address"] = "70997970c51812dc3a010c7d01b50e0d17dc79c8".into(),
        "it names the account 0x70997970C51812dc3A010C7d01b50e0d17dc79C8 and holds the key of \
         0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
    ),
];

#[test]
fn broken_keystores_are_told_whole() {
    for (change, expected) in BAD_KEYSTORES {
        let home = TempDir::new().unwrap();
        let mut file = cheap();
        change(&mut file);
        let path = put(&home, &file.to_string());
        let error = store(&home).open("a", &password("pw")).unwrap_err();
        let expected = format!("{} is no usable keystore: {expected}", path.display());
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn files_that_are_no_keystores_are_told_whole() {
    let twice = cheap().to_string().replacen('{', "{\"version\":3,", 1);
    let large = " ".repeat(70_000);
    let cases = [
        ("{", "the JSON ends early at line 1, column 1"),
        ("key", "it is not JSON at line 1, column 1"),
        (
            twice.as_str(),
            "a field is missing, repeated or of another type at line 1, column 445",
        ),
        (large.as_str(), "it has 65537 bytes, expected at most 65536"),
    ];
    for (text, expected) in cases {
        let home = TempDir::new().unwrap();
        let path = put(&home, text);
        let error = store(&home).open("a", &password("pw")).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("{} is no usable keystore: {expected}", path.display())
        );
    }
}

#[cfg(unix)]
fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[cfg(unix)]
#[test]
fn a_keystore_is_private_and_never_overwritten() {
    let home = TempDir::new().unwrap();
    let store = store(&home);
    let key = SecretKey::from_hex(KEY).unwrap();
    let entry = store
        .create("a", &key, &password("one"), KdfStrength::Standard)
        .unwrap();
    assert_eq!(
        (mode(&entry.path), mode(&home.path().join("keys"))),
        (0o600, 0o700)
    );
    let before = fs::read(&entry.path).unwrap();
    let again = store.create(
        "a",
        &SecretKey::random().unwrap(),
        &password("two"),
        KdfStrength::Light,
    );
    assert_eq!(
        again.unwrap_err().to_string(),
        format!("the account `a` exists already: {}", entry.path.display())
    );
    assert_eq!(fs::read(&entry.path).unwrap(), before);
    store
        .change_password("a", &password("one"), &password("two"))
        .unwrap();
    assert!(matches!(
        store.open("a", &password("one")),
        Err(KeystoreError::Locked { .. })
    ));
    let account = store.unlock("a", &password("two")).unwrap();
    assert_eq!(account.address().to_string(), ADDRESS);
    assert_eq!(mode(&entry.path), 0o600);
    let names: Vec<_> = fs::read_dir(home.path().join("keys")).unwrap().collect();
    assert_eq!(names.len(), 1);
}

#[test]
fn names_cannot_leave_the_folder() {
    let home = TempDir::new().unwrap();
    for name in ["", "..", "a/b", "A", "a.json", "-a", &"a".repeat(65)] {
        let error = store(&home).path(name).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "`{name}` is no account name: expected 1 to 64 lowercase letters, digits, `-` and \
                 `_`, beginning with a letter or digit"
            )
        );
    }
}

#[test]
fn amounts_are_shown_exactly() {
    let shown = |amount: u64, decimals| in_units(alloy::primitives::U256::from(amount), decimals);
    assert_eq!(shown(1_500_000, 6), "1.5");
    assert_eq!(shown(1, 6), "0.000001");
    assert_eq!(shown(0, 18), "0");
    assert_eq!(shown(42, 0), "42");
    assert_eq!(shown(1_000_000, 6), "1");
}

#[test]
fn addresses_that_are_nobodys_or_everybodys_are_known() {
    use openlora_chain::development::{UnownedAddress, unowned};
    use openlora_core::Address;
    let of = |text: &str| unowned(text.parse().unwrap());
    for placeholder in [
        "0x0000000000000000000000000000000000000000",
        "0x0000000000000000000000000000000000000001",
        "0x000000000000000000000000000000000000dead",
        "0xdead000000000000000000000000000000000000",
        "0xdeadbeefdeadbeefdeadbeefdeadbeefdeadbeef",
        "0xffffffffffffffffffffffffffffffffffffffff",
        "0x1010101010101010101010101010101010101010",
        "0x1234567890123456789012345678901234567890",
        "0x0123456789abcdef0123456789abcdef01234567",
    ] {
        assert_eq!(
            of(placeholder),
            Some(UnownedAddress::Placeholder),
            "{placeholder}"
        );
    }
    // The first and the last that Hardhat shows, the first of Ganache and of Truffle.
    for known in [
        ADDRESS,
        "0x8626f6940E2eb28930eFb4CeF49B2d1F2C9C1199",
        "0x90F8bf6A479f320ead074411a4B0e7944Ea8c9C1",
        "0x627306090abaB3A6e1400e9345bC60c78a8BEf57",
    ] {
        assert_eq!(of(known), Some(UnownedAddress::Everybodys), "{known}");
    }
    for own in [
        OWN,
        "0x4020074e9dF2ce1deE5A9C1b5c3f541D02a10003",
        "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913",
    ] {
        assert_eq!(of(own), None, "{own}");
    }
    let base = Network::resolve("base", &NetworkOptions::default()).unwrap();
    let dead: Address = "0x000000000000000000000000000000000000dead"
        .parse()
        .unwrap();
    assert!(development::check_payee(&local(), "Ada", dead).is_ok());
    let error = development::check_payee(&base, "Ada", dead).unwrap_err();
    assert_eq!(
        error.to_string(),
        "Ada has the address 0x000000000000000000000000000000000000dEaD, which is a placeholder \
         that nobody can spend from; on `base` that is refused"
    );
    assert_eq!(error.class(), openlora_core::error::ExitClass::BadInput);
    assert!(error.hint().unwrap().contains("`[[data]]`"));
}

#[test]
fn every_address_of_the_templates_is_a_placeholder() {
    use openlora_chain::development::{UnownedAddress, unowned};
    let root = repository().join("templates");
    let mut found = 0;
    for entry in fs::read_dir(root).unwrap() {
        let Ok(text) = fs::read_to_string(entry.unwrap().path().join("openlora.toml")) else {
            continue;
        };
        for line in text
            .lines()
            .filter(|line| line.starts_with("address = \"0x"))
        {
            let address = line.split('"').nth(1).unwrap().parse().unwrap();
            assert_eq!(
                unowned(address),
                Some(UnownedAddress::Placeholder),
                "{line}"
            );
            found += 1;
        }
    }
    assert!(found >= 11, "{found}");
}

#[cfg(target_os = "linux")]
#[test]
fn an_unlocked_key_leaves_the_keyring_when_its_time_is_over() {
    let home = TempDir::new().unwrap();
    let store = KeystoreDir::new(home.path());
    let key = SecretKey::from_hex(KEY).unwrap();
    let good = password("one two three");
    store
        .create("dev", &key, &good, KdfStrength::Light)
        .unwrap();
    assert!(store.unlocked("dev").unwrap().is_none());
    let time = std::time::Duration::from_secs(2);
    // Needs a kernel with keyrings, and a container that allows `add_key` and `keyctl`.
    store.keep_unlocked("dev", &key, time).unwrap();
    let account = store.unlocked("dev").unwrap().unwrap();
    assert_eq!(account.address().to_string(), ADDRESS);
    waiting::wait_until("the key is gone", || {
        store.unlocked("dev").unwrap().is_none()
    });
    assert!(!store.lock("dev").unwrap());
    // The keystore of another account in the same place does not get this key.
    store.keep_unlocked("dev", &key, time * 300).unwrap();
    fs::remove_file(home.path().join("dev.json")).unwrap();
    let other = SecretKey::random().unwrap();
    store
        .create("dev", &other, &good, KdfStrength::Light)
        .unwrap();
    assert!(store.unlocked("dev").unwrap().is_none());
    assert!(store.lock("dev").unwrap());
}

//! The JSON of Web3 secret storage, version 3, read strictly.
//!
//! Format: <https://ethereum.org/en/developers/docs/data-structures-and-encoding/web3-secret-storage/>.
//! Limits on the key derivation keep a hostile file from taking all memory or time.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::KeystoreProblem;
use openlora_core::Address;

/// Largest file that is read, in bytes; a keystore takes about 500.
pub const LARGEST: u64 = 64 * 1024;
/// Largest memory of scrypt, in bytes: four times the standard.
const SCRYPT_MEMORY: u64 = 1 << 30;
const SCRYPT_LANES: u64 = 16;
const PBKDF2_ROUNDS: u64 = 10_000_000;

/// The content of the file.
#[derive(Serialize, Deserialize)]
pub struct KeystoreFile {
    /// Hexadecimal without 0x, as geth writes it; absent in files of other programs.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub address: Option<String>,
    #[serde(alias = "Crypto")]
    pub crypto: RawCrypto,
    #[serde(default)]
    pub id: Option<String>,
    pub version: Value,
}

#[derive(Serialize, Deserialize)]
pub struct RawCrypto {
    pub cipher: String,
    pub cipherparams: CipherParams,
    pub ciphertext: String,
    pub kdf: String,
    pub kdfparams: Value,
    pub mac: String,
}

#[derive(Serialize, Deserialize)]
pub struct CipherParams {
    pub iv: String,
}

/// An encrypted key with validated parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedKey {
    pub iv: [u8; 16],
    pub ciphertext: Vec<u8>,
    pub mac: [u8; 32],
    pub kdf: Kdf,
    pub salt: Vec<u8>,
}

/// The derivation of a 32-byte key from the password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kdf {
    Scrypt { log_n: u8, r: u32, p: u32 },
    Pbkdf2 { rounds: u32 },
}

/// A keystore read from a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keystore {
    pub address: Option<Address>,
    pub sealed: SealedKey,
}

impl Keystore {
    pub fn parse(bytes: &[u8]) -> Result<Self, KeystoreProblem> {
        let file: KeystoreFile =
            serde_json::from_slice(bytes).map_err(|error| json_problem(&error))?;
        if file.version != 3 {
            return Err(field("version", "3", file.version));
        }
        let crypto = file.crypto;
        if crypto.cipher != "aes-128-ctr" {
            return Err(field("crypto.cipher", "aes-128-ctr", crypto.cipher));
        }
        let (kdf, salt) = kdf(&crypto.kdf, &crypto.kdfparams)?;
        let sealed = SealedKey {
            iv: array(
                "crypto.cipherparams.iv",
                "16 bytes",
                &crypto.cipherparams.iv,
            )?,
            ciphertext: bytes_of("crypto.ciphertext", &crypto.ciphertext)?,
            mac: array("crypto.mac", "32 bytes", &crypto.mac)?,
            kdf,
            salt,
        };
        let address = file.address.as_deref().map(address).transpose()?;
        Ok(Self { address, sealed })
    }

    /// The file's bytes, with a random id.
    pub fn to_bytes(&self) -> Vec<u8> {
        let sealed = &self.sealed;
        let salt = hex::encode(&sealed.salt);
        let (kdf, kdfparams) = match sealed.kdf {
            Kdf::Scrypt { log_n, r, p } => (
                "scrypt",
                serde_json::json!({"dklen": 32, "n": 1u64 << log_n, "p": p, "r": r, "salt": salt}),
            ),
            Kdf::Pbkdf2 { rounds } => (
                "pbkdf2",
                serde_json::json!({"c": rounds, "dklen": 32, "prf": "hmac-sha256", "salt": salt}),
            ),
        };
        let file = KeystoreFile {
            address: self.address.map(|address| hex::encode(address.0)),
            crypto: RawCrypto {
                cipher: "aes-128-ctr".to_owned(),
                cipherparams: CipherParams {
                    iv: hex::encode(sealed.iv),
                },
                ciphertext: hex::encode(&sealed.ciphertext),
                kdf: kdf.to_owned(),
                kdfparams,
                mac: hex::encode(sealed.mac),
            },
            id: Some(random_id()),
            version: 3.into(),
        };
        // The file contains only texts and numbers under text keys, so serialisation cannot fail.
        let mut bytes = serde_json::to_vec_pretty(&file).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }
}

/// Readers expect a UUID of version 4.
fn random_id() -> String {
    uuid::Builder::from_random_bytes(rand::random())
        .into_uuid()
        .to_string()
}

/// The position of a JSON error. The parser's message is left out, because it may quote the file,
/// which may contain a secret.
fn json_problem(error: &serde_json::Error) -> KeystoreProblem {
    use serde_json::error::Category;
    KeystoreProblem::Json {
        what: match error.classify() {
            Category::Data => "a field is missing, repeated or of another type",
            Category::Eof => "the JSON ends early",
            Category::Io | Category::Syntax => "it is not JSON",
        },
        line: error.line(),
        column: error.column(),
    }
}

fn field(
    field: &'static str,
    expected: &'static str,
    found: impl std::fmt::Display,
) -> KeystoreProblem {
    KeystoreProblem::Field {
        field,
        expected,
        found: found.to_string().chars().take(80).collect(),
    }
}

fn bytes_of(name: &'static str, text: &str) -> Result<Vec<u8>, KeystoreProblem> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    hex::decode(digits).map_err(|_| field(name, "hexadecimal digits", "something else"))
}

fn array<const N: usize>(
    name: &'static str,
    expected: &'static str,
    text: &str,
) -> Result<[u8; N], KeystoreProblem> {
    let bytes = bytes_of(name, text)?;
    let found = format!("{} bytes", bytes.len());
    bytes.try_into().map_err(|_| field(name, expected, found))
}

fn address(text: &str) -> Result<Address, KeystoreProblem> {
    let digits = text.strip_prefix("0x").unwrap_or(text).to_lowercase();
    format!("0x{digits}")
        .parse()
        .map_err(|_| field("address", "40 hexadecimal digits", text))
}

fn kdf(name: &str, params: &Value) -> Result<(Kdf, Vec<u8>), KeystoreProblem> {
    let number = |key: &str| params.get(key).and_then(Value::as_u64).unwrap_or(0);
    if number("dklen") != 32 {
        let found = number("dklen");
        return Err(field("crypto.kdfparams.dklen", "32", found));
    }
    let text = |key: &str| params.get(key).and_then(Value::as_str).unwrap_or_default();
    let salt = bytes_of("crypto.kdfparams.salt", text("salt"))?;
    let kdf = match name {
        "scrypt" => scrypt(number("n"), number("r"), number("p"))?,
        "pbkdf2" if text("prf") == "hmac-sha256" => pbkdf2(number("c"))?,
        "pbkdf2" => return Err(field("crypto.kdfparams.prf", "hmac-sha256", text("prf"))),
        other => return Err(field("crypto.kdf", "scrypt or pbkdf2", other)),
    };
    Ok((kdf, salt))
}

fn scrypt(n: u64, r: u64, p: u64) -> Result<Kdf, KeystoreProblem> {
    if !n.is_power_of_two() || n < 2 {
        return Err(field("crypto.kdfparams.n", "a power of two", n));
    }
    if r == 0 || n.saturating_mul(r).saturating_mul(128) > SCRYPT_MEMORY {
        let expected = "1 or more, and 128·n·r of at most 1 GiB";
        return Err(field("crypto.kdfparams.r", expected, r));
    }
    if p == 0 || p > SCRYPT_LANES {
        return Err(field("crypto.kdfparams.p", "1 to 16", p));
    }
    Ok(Kdf::Scrypt {
        log_n: n.trailing_zeros() as u8,
        // Both limits are far below 2³².
        r: r as u32,
        p: p as u32,
    })
}

fn pbkdf2(rounds: u64) -> Result<Kdf, KeystoreProblem> {
    match u32::try_from(rounds) {
        Ok(rounds) if rounds > 0 && u64::from(rounds) <= PBKDF2_ROUNDS => {
            Ok(Kdf::Pbkdf2 { rounds })
        }
        _ => Err(field("crypto.kdfparams.c", "1 to 10000000", rounds)),
    }
}

//! The release statement that a publisher signs: typed data bound to a chain and a registry.
//!
//! This module owns the structure only; implementations of [`ReleaseSigner`] and
//! [`ReleaseVerifier`] compute the EIP-712 hash. Neither needs a chain.

use serde::{Deserialize, Serialize};

use super::{certificate::Certificate, model_key::ModelPublicKey, whole::WholeNumber};
use openlora_core::{Address, Word};

/// Name and version of the domain, those of the registry contract.
pub const DOMAIN_NAME: &str = "OpenLoraRegistry";
pub const DOMAIN_VERSION: &str = "1";

/// The fields of `AdapterRelease` in order: name and Solidity type.
pub const RELEASE_FIELDS: &[(&str, &str)] = &[
    ("name", "string"),
    ("version", "string"),
    ("manifestSha256", "bytes32"),
    ("filesRoot", "bytes32"),
    ("baseRoot", "bytes32"),
    ("datasetsRoot", "bytes32"),
    ("omsKeySha256", "bytes32"),
    ("createdAt", "uint64"),
];

/// A release within its domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleaseStatement {
    pub domain: SigningDomain,
    pub release: ReleaseMessage,
}

/// The EIP-712 domain for which a signature is valid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct SigningDomain {
    pub name: String,
    pub version: String,
    pub chain_id: WholeNumber,
    /// The registry, if the network has one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub verifying_contract: Option<Address>,
}

impl SigningDomain {
    /// The domain of the registry on a chain.
    pub fn for_registry(chain_id: u64, registry: Option<Address>) -> Self {
        Self {
            name: DOMAIN_NAME.to_owned(),
            version: DOMAIN_VERSION.to_owned(),
            chain_id: WholeNumber(chain_id),
            verifying_contract: registry,
        }
    }

    /// The fields of `EIP712Domain` that this domain has: name and Solidity type.
    pub fn fields(&self) -> Vec<(&'static str, &'static str)> {
        let mut fields = vec![
            ("name", "string"),
            ("version", "string"),
            ("chainId", "uint256"),
        ];
        if self.verifying_contract.is_some() {
            fields.push(("verifyingContract", "address"));
        }
        fields
    }
}

/// The message: the digests that identify the release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ReleaseMessage {
    pub name: String,
    pub version: String,
    pub manifest_sha256: Word,
    pub files_root: Word,
    pub base_root: Word,
    pub datasets_root: Word,
    /// SHA-256 of the PEM of the key that signs the directory; zero without one.
    pub oms_key_sha256: Word,
    /// Unix time in seconds.
    pub created_at: WholeNumber,
}

/// Why a signature cannot be made or is invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureProblem {
    #[error("its s is in the upper half of the curve's order, so anyone can have changed it")]
    HighS,
    #[error("its last byte is {found}, expected 27 or 28")]
    Parity { found: u8 },
    #[error("no key fits it")]
    NoKey,
    #[error("the account cannot sign: {reason}")]
    CannotSign { reason: String },
}

/// An account that signs releases as typed data (EIP-712).
pub trait ReleaseSigner {
    fn address(&self) -> Address;

    /// The signature as r, s and v of 27 or 28; it is deterministic.
    fn sign(&self, statement: &ReleaseStatement) -> Result<[u8; 65], SignatureProblem>;

    /// The key for OpenSSF Model Signing; `None` if there is none.
    fn model_signer(&self) -> Option<Box<dyn ModelSigner + '_>>;
}

/// A key that signs the files of a package (OpenSSF Model Signing).
pub trait ModelSigner {
    fn public_key(&self) -> ModelPublicKey;

    /// The certificate of the key and those of its authorities; empty for a key that is known by
    /// itself.
    fn certificates(&self) -> &[Certificate] {
        &[]
    }

    /// An ECDSA signature in DER over `message`, hashed as the key's curve wants it; it is
    /// deterministic (RFC 6979).
    fn sign(&self, message: &[u8]) -> Vec<u8>;
}

impl<T: ModelSigner + ?Sized> ModelSigner for &T {
    fn public_key(&self) -> ModelPublicKey {
        (**self).public_key()
    }

    fn certificates(&self) -> &[Certificate] {
        (**self).certificates()
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        (**self).sign(message)
    }
}

/// Recovers the account that signed a release.
pub trait ReleaseVerifier {
    /// The account behind a signature. A signature with the high s, which anyone can derive from
    /// one with the low s, is refused.
    fn recover(
        &self,
        statement: &ReleaseStatement,
        signature: &[u8; 65],
    ) -> Result<Address, SignatureProblem>;
}

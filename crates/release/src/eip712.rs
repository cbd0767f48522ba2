//! Releases as EIP-712 typed data: hashing, signing and recovering the signer.
//!
//! The struct is that of the registry contract; tests compare the digest with the contract's and
//! with those of independent implementations.

use std::borrow::Cow;

use alloy::{
    primitives::{B256, Signature, U256},
    sol_types::{Eip712Domain, SolStruct},
};

use openlora_chain::registry::AdapterRelease;
use openlora_core::Address;
use openlora_package::{
    Certificate, CertificateProblem, ModelKeyProblem, ModelPublicKey,
    manifest::Digest,
    release::{
        ModelSigner, ReleaseMessage, ReleaseSigner, ReleaseStatement, ReleaseVerifier,
        SignatureProblem, SigningDomain,
    },
};
use openlora_wallet::{ModelSigningKey, WalletAccount};

/// A release as the registry declares it.
pub fn typed_release(release: &ReleaseMessage) -> AdapterRelease {
    AdapterRelease {
        name: release.name.clone(),
        version: release.version.clone(),
        manifestSha256: release.manifest_sha256.into(),
        filesRoot: release.files_root.into(),
        baseRoot: release.base_root.into(),
        datasetsRoot: release.datasets_root.into(),
        omsKeySha256: release.oms_key_sha256.into(),
        createdAt: release.created_at.0,
    }
}

/// The EIP-712 domain; absent fields are left out of its type.
pub fn domain(domain: &SigningDomain) -> Eip712Domain {
    Eip712Domain {
        name: Some(Cow::Owned(domain.name.clone())),
        version: Some(Cow::Owned(domain.version.clone())),
        chain_id: Some(U256::from(domain.chain_id.0)),
        verifying_contract: domain.verifying_contract.map(Into::into),
        salt: None,
    }
}

/// The signed digest.
pub fn digest(statement: &ReleaseStatement) -> B256 {
    typed_release(&statement.release).eip712_signing_hash(&domain(&statement.domain))
}

/// An unlocked account that signs releases.
#[derive(Clone, Copy, Debug)]
pub struct AccountSigner<'a>(pub &'a WalletAccount);

impl ReleaseSigner for AccountSigner<'_> {
    fn address(&self) -> Address {
        self.0.address()
    }

    fn sign(&self, statement: &ReleaseStatement) -> Result<[u8; 65], SignatureProblem> {
        let release = typed_release(&statement.release);
        let signed = self.0.sign_struct(&release, &domain(&statement.domain));
        let signature = signed.map_err(|error| SignatureProblem::CannotSign {
            reason: error.to_string(),
        })?;
        Ok(signature.normalized_s().as_bytes())
    }

    fn model_signer(&self) -> Option<Box<dyn ModelSigner + '_>> {
        let signer = AccountModelSigner::of_account(self.0)?;
        Some(Box::new(signer))
    }
}

/// An unlocked account that signs releases, and a key of a file that signs their files.
#[derive(Clone, Copy, Debug)]
pub struct TwoKeySigner<'a> {
    pub account: AccountSigner<'a>,
    pub model: &'a FileModelSigner,
}

impl ReleaseSigner for TwoKeySigner<'_> {
    fn address(&self) -> Address {
        self.account.address()
    }

    fn sign(&self, statement: &ReleaseStatement) -> Result<[u8; 65], SignatureProblem> {
        self.account.sign(statement)
    }

    fn model_signer(&self) -> Option<Box<dyn ModelSigner + '_>> {
        Some(Box::new(self.model))
    }
}

/// An account's key for OpenSSF Model Signing, with its public key.
#[derive(Debug)]
pub struct AccountModelSigner {
    key: ModelSigningKey,
    public: ModelPublicKey,
}

impl AccountModelSigner {
    /// `None` for an account on a Ledger, which has no such key.
    pub fn of_account(account: &WalletAccount) -> Option<Self> {
        let key = account.model_key()?;
        let public = ModelPublicKey::from_point(&key.public_point()).ok()?;
        Some(Self { key, public })
    }
}

impl ModelSigner for AccountModelSigner {
    fn public_key(&self) -> ModelPublicKey {
        self.public
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.key.sign(message)
    }
}

/// A key of a PEM file, alone or under a certificate.
#[derive(Debug)]
pub struct FileModelSigner {
    key: ModelSigningKey,
    public: ModelPublicKey,
    certificates: Vec<Certificate>,
}

/// Why a key cannot sign under a certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileSignerProblem {
    #[error(transparent)]
    Key(#[from] ModelKeyProblem),
    #[error("the first certificate is for another key: {0}")]
    Certificate(CertificateProblem),
    #[error("the first certificate is for the key {certified}, expected {key}")]
    OtherKey { certified: Digest, key: Digest },
}

impl FileModelSigner {
    /// `certificates` starts with that of the key, those of its authorities follow; it is empty for
    /// a key that is known by itself.
    ///
    /// # Errors
    ///
    /// A certificate for another key.
    pub fn new(
        key: ModelSigningKey,
        certificates: Vec<Certificate>,
    ) -> Result<Self, FileSignerProblem> {
        let public = ModelPublicKey::from_point(&key.public_point())?;
        if let Some(first) = certificates.first() {
            let certified = first.model_key().map_err(FileSignerProblem::Certificate)?;
            if certified != public {
                let (certified, key) = (certified.digest(), public.digest());
                return Err(FileSignerProblem::OtherKey { certified, key });
            }
        }
        Ok(Self {
            key,
            public,
            certificates,
        })
    }
}

impl ModelSigner for FileModelSigner {
    fn public_key(&self) -> ModelPublicKey {
        self.public
    }

    fn certificates(&self) -> &[Certificate] {
        &self.certificates
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.key.sign(message)
    }
}

/// Recovers the signing account without a chain.
#[derive(Clone, Copy, Debug, Default)]
pub struct SignerRecovery;

impl ReleaseVerifier for SignerRecovery {
    fn recover(
        &self,
        statement: &ReleaseStatement,
        signature: &[u8; 65],
    ) -> Result<Address, SignatureProblem> {
        let found = signature[64];
        if !matches!(found, 27 | 28) {
            return Err(SignatureProblem::Parity { found });
        }
        let parsed = Signature::from_raw_array(signature).map_err(|_| SignatureProblem::NoKey)?;
        if parsed.normalize_s().is_some() {
            return Err(SignatureProblem::HighS);
        }
        let account = parsed.recover_address_from_prehash(&digest(statement));
        Ok(account.map_err(|_| SignatureProblem::NoKey)?.into())
    }
}

//! `openlora.eip712.json`: typed data and signature in the common JSON format.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    error::ManifestProblem,
    manifest::{canonical, parse_canonical},
    release::{RELEASE_FIELDS, ReleaseMessage, ReleaseStatement, SignatureProblem, SigningDomain},
};
use crate::release::{ReleaseSigner, ReleaseVerifier};
use openlora_core::Address;

const PRIMARY_TYPE: &str = "AdapterRelease";

/// The file: the signed data, the signer and the signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ReleaseEnvelope {
    pub address: Address,
    pub domain: SigningDomain,
    pub message: ReleaseMessage,
    pub primary_type: String,
    /// 0x and 130 lowercase digits: r, s and v.
    pub signature: String,
    pub types: Eip712Types,
}

type Eip712Types = BTreeMap<String, Vec<TypeField>>;

/// A field of a type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TypeField {
    pub name: String,
    pub r#type: String,
}

fn types(domain: &SigningDomain) -> Eip712Types {
    let fields = |fields: &[(&str, &str)]| {
        let field = |(name, kind): &(&str, &str)| TypeField {
            name: (*name).to_owned(),
            r#type: (*kind).to_owned(),
        };
        fields.iter().map(field).collect::<Vec<_>>()
    };
    BTreeMap::from([
        (PRIMARY_TYPE.to_owned(), fields(RELEASE_FIELDS)),
        ("EIP712Domain".to_owned(), fields(&domain.fields())),
    ])
}

impl ReleaseEnvelope {
    /// Signs a release.
    pub fn sign(
        statement: &ReleaseStatement,
        signer: &dyn ReleaseSigner,
    ) -> Result<Self, SignatureProblem> {
        let signature = signer.sign(statement)?;
        Ok(Self {
            address: signer.address(),
            types: types(&statement.domain),
            domain: statement.domain.clone(),
            message: statement.release.clone(),
            primary_type: PRIMARY_TYPE.to_owned(),
            signature: format!("0x{}", hex::encode(signature)),
        })
    }

    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestProblem> {
        let envelope: Self = parse_canonical(bytes)?;
        let wrong = |field: &str, expected, found: String| ManifestProblem::Field {
            field: field.to_owned(),
            expected,
            found,
        };
        if envelope.primary_type != PRIMARY_TYPE {
            let found = envelope.primary_type;
            return Err(wrong("primaryType", PRIMARY_TYPE, found));
        }
        if envelope.types != types(&envelope.domain) {
            let expected = "the fields of AdapterRelease and of this domain";
            return Err(wrong("types", expected, "others".to_owned()));
        }
        if envelope.signature_bytes().is_none() {
            let expected = "0x and 130 lowercase digits";
            return Err(wrong("signature", expected, envelope.signature));
        }
        Ok(envelope)
    }

    pub fn to_bytes(&self) -> Result<Vec<u8>, ManifestProblem> {
        canonical(self)
    }

    /// The signed statement.
    pub fn statement(&self) -> ReleaseStatement {
        ReleaseStatement {
            domain: self.domain.clone(),
            release: self.message.clone(),
        }
    }

    /// Checks that the named account made the signature.
    pub fn verify(&self, verifier: &dyn ReleaseVerifier) -> Result<(), String> {
        let bytes = self.signature_bytes().unwrap_or([0; 65]);
        match verifier.recover(&self.statement(), &bytes) {
            Ok(found) if found == self.address => Ok(()),
            Ok(found) => Err(format!(
                "the signature was made by {found}, expected {}",
                self.address
            )),
            Err(problem) => Err(format!("the signature says nothing: {problem}")),
        }
    }

    fn signature_bytes(&self) -> Option<[u8; 65]> {
        let digits = self.signature.strip_prefix("0x")?;
        let bytes: [u8; 65] = hex::decode(digits).ok()?.try_into().ok()?;
        (hex::encode(bytes) == digits).then_some(bytes)
    }
}

//! Chains of X.509 certificates under which model signing keys are used (RFC 5280).
//!
//! The algorithms of signatures are those of rustls-webpki. Its path building is not used: it refuses
//! every signing certificate that may sign certificates too, and every self-signed one, and common
//! makers of signing keys write both.

use base64::{Engine, engine::general_purpose::STANDARD};

use super::model_key::ModelPublicKey;
use openlora_core::calendar::{days_from_civil, moment};

const PEM_BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const PEM_END: &str = "-----END CERTIFICATE-----";
/// Certificates of one chain or of one file of roots, and bytes of one of them.
const MOST: usize = 256;
const LARGEST: usize = 64 << 10;
/// Certificates between a signing certificate and a root, and signatures that are checked to find them.
const DEEPEST: usize = 8;
const MOST_CHECKED: u32 = 64;

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const BOOLEAN: u8 = 0x01;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const OBJECT: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERAL_TIME: u8 = 0x18;
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;

const KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x0f];
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
const NAME_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x1e];
const EXTENDED_USAGE: &[u8] = &[0x55, 0x1d, 0x25];
/// id-kp-codeSigning.
const CODE_SIGNING: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x03];

/// The first bits of a key's usage.
const DIGITAL_SIGNATURE: u8 = 0x80;
const SIGNS_CERTIFICATES: u8 = 0x04;

/// A certificate whose signature and dates are not checked yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    der: Vec<u8>,
    /// The signed part.
    signed: Vec<u8>,
    issuer: Vec<u8>,
    subject: Vec<u8>,
    /// Unix seconds.
    not_before: u64,
    not_after: u64,
    /// SubjectPublicKeyInfo.
    key: Vec<u8>,
    /// Content of the key's AlgorithmIdentifier, and the key without it.
    key_algorithm: Vec<u8>,
    key_bits: Vec<u8>,
    /// Content of the signature's AlgorithmIdentifier.
    signature_algorithm: Vec<u8>,
    signature: Vec<u8>,
    /// Whether it may issue others, and how many of those may follow each other.
    issues: Option<Option<usize>>,
    /// The first eight bits of the usage; `None` for any.
    usage: Option<u8>,
    /// Whether it is for signing code; `None` if it does not say what it is for.
    code_signing: Option<bool>,
    /// An extension that must be understood and is not, in hexadecimal digits.
    unknown: Option<String>,
}

/// Why a certificate or a chain does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateProblem {
    #[error("expected certificates in PEM, between `{PEM_BEGIN}` and `{PEM_END}`")]
    Pem,
    #[error("expected at most {MOST} certificates")]
    TooMany,
    #[error("expected an X.509 certificate of version 3 in DER")]
    Der,
    #[error("it was valid until {until}, and no trusted timestamp says when it signed")]
    Expired { until: String },
    #[error("it is valid from {from}")]
    Early { from: String },
    #[error("it is not for signatures over code or data")]
    Usage,
    #[error("its key is not one that signs models: {0}")]
    Key(super::ModelKeyProblem),
    #[error("it has the extension {0}, which is not known here and must be")]
    Unknown(String),
    #[error("no valid chain leads from it to a trusted root")]
    NoPath,
}

/// The certificates of authorities that are trusted to name signers, and the time at which chains
/// must be valid.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedRoots {
    pub certificates: Vec<Certificate>,
    /// Unix seconds.
    pub now: u64,
}

/// The certificates in a text, in order; there may be explanations between them.
///
/// # Errors
///
/// A text without any, or one with something else in such a block.
pub fn certificates_from_pem(text: &str) -> Result<Vec<Certificate>, CertificateProblem> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once(PEM_BEGIN) {
        if found.len() == MOST {
            return Err(CertificateProblem::TooMany);
        }
        let (inner, after) = after.split_once(PEM_END).ok_or(CertificateProblem::Pem)?;
        let digits: String = inner.split_ascii_whitespace().collect();
        let der = STANDARD.decode(digits);
        let der = der.map_err(|_| CertificateProblem::Pem)?;
        found.push(Certificate::from_der(&der)?);
        rest = after;
    }
    match found.is_empty() {
        true => Err(CertificateProblem::Pem),
        false => Ok(found),
    }
}

impl Certificate {
    /// # Errors
    ///
    /// Other bytes than those of one certificate of version 3 (RFC 5280).
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateProblem> {
        let read = Some(der).filter(|der| der.len() <= LARGEST);
        read.and_then(Self::read).ok_or(CertificateProblem::Der)
    }

    fn read(der: &[u8]) -> Option<Self> {
        let mut outer = DerReader(der);
        let mut whole = DerReader(outer.expect(SEQUENCE)?);
        outer.end()?;
        let signed = whole.whole(SEQUENCE)?;
        let signature_algorithm = whole.expect(SEQUENCE)?;
        let signature = whole.bits()?;
        whole.end()?;
        let mut fields = DerReader(DerReader(signed).expect(SEQUENCE)?);
        let version = DerReader(fields.expect(VERSION)?).expect(INTEGER)?;
        fields.expect(INTEGER)?;
        // The algorithm is stated twice.
        let stated_again = fields.expect(SEQUENCE)?;
        let issuer = fields.whole(SEQUENCE)?;
        let mut dates = DerReader(fields.expect(SEQUENCE)?);
        let (not_before, not_after) = (dates.time()?, dates.time()?);
        dates.end()?;
        let subject = fields.whole(SEQUENCE)?;
        let key = fields.whole(SEQUENCE)?;
        let mut key_parts = DerReader(DerReader(key).expect(SEQUENCE)?);
        let key_algorithm = key_parts.expect(SEQUENCE)?;
        let key_bits = key_parts.bits()?;
        key_parts.end()?;
        (version == [2] && stated_again == signature_algorithm).then_some(())?;
        let mut certificate = Self {
            der: der.to_owned(),
            signed: signed.to_owned(),
            issuer: issuer.to_owned(),
            subject: subject.to_owned(),
            not_before,
            not_after,
            key: key.to_owned(),
            key_algorithm: key_algorithm.to_owned(),
            key_bits: key_bits.to_owned(),
            signature_algorithm: signature_algorithm.to_owned(),
            signature: signature.to_owned(),
            issues: None,
            usage: None,
            code_signing: None,
            unknown: None,
        };
        if !fields.0.is_empty() {
            certificate.read_extensions(fields.expect(EXTENSIONS)?)?;
        }
        fields.end()?;
        Some(certificate)
    }

    fn read_extensions(&mut self, bytes: &[u8]) -> Option<()> {
        let mut outer = DerReader(bytes);
        let mut list = DerReader(outer.expect(SEQUENCE)?);
        outer.end()?;
        let mut seen = Vec::new();
        while !list.0.is_empty() {
            let mut fields = DerReader(list.expect(SEQUENCE)?);
            let name = fields.expect(OBJECT)?;
            let critical = fields.optional_bool()?;
            let value = fields.expect(OCTET_STRING)?;
            fields.end()?;
            // Two of a kind contradict each other.
            (!seen.contains(&name)).then_some(())?;
            seen.push(name);
            self.read_extension(name, critical, value)?;
        }
        Some(())
    }

    /// The bytes of the certificate.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The key, if it is one that can sign models.
    pub fn model_key(&self) -> Result<ModelPublicKey, CertificateProblem> {
        ModelPublicKey::from_der(&self.key).map_err(CertificateProblem::Key)
    }

    fn read_extension(&mut self, name: &[u8], critical: bool, value: &[u8]) -> Option<()> {
        let mut value = DerReader(value);
        match name {
            BASIC_CONSTRAINTS => {
                let mut fields = DerReader(value.expect(SEQUENCE)?);
                let issues = fields.optional_bool()?;
                let most = match fields.0.is_empty() {
                    true => None,
                    false => Some(fields.small_number()?),
                };
                fields.end()?;
                self.issues = issues.then_some(most);
            }
            KEY_USAGE => {
                let (unused, bits) = value.expect(BIT_STRING)?.split_first()?;
                (*unused < 8 && bits.len() <= 2).then_some(())?;
                self.usage = Some(*bits.first()?);
            }
            EXTENDED_USAGE => {
                let mut purposes = DerReader(value.expect(SEQUENCE)?);
                let mut found = false;
                while !purposes.0.is_empty() {
                    found |= purposes.expect(OBJECT)? == CODE_SIGNING;
                }
                self.code_signing = Some(found);
            }
            // An authority that is limited to some names must not be taken for one that is not.
            _ if critical || name == NAME_CONSTRAINTS => {
                self.unknown = Some(hex::encode(name));
                return Some(());
            }
            _ => return Some(()),
        }
        value.end()
    }

    /// Refuses a certificate that is out of date or has a rule that is not understood.
    fn check(&self, now: u64) -> Result<(), CertificateProblem> {
        if now < self.not_before {
            let from = moment(self.not_before);
            return Err(CertificateProblem::Early { from });
        }
        if now > self.not_after {
            let until = moment(self.not_after);
            return Err(CertificateProblem::Expired { until });
        }
        match &self.unknown {
            Some(extension) => Err(CertificateProblem::Unknown(extension.clone())),
            None => Ok(()),
        }
    }

    /// Whether it may issue a certificate that leads to a signing certificate over `between` others.
    fn may_issue(&self, between: usize) -> bool {
        let signs = self.usage.is_none_or(|bits| bits & SIGNS_CERTIFICATES != 0);
        match self.issues {
            Some(most) => signs && most.is_none_or(|most| between <= most),
            None => false,
        }
    }

    /// Whether it issued `other`, by name and signature.
    fn issued(&self, other: &Self) -> bool {
        let mut all = webpki::ALL_VERIFICATION_ALGS.iter();
        self.subject == other.issuer
            && all.any(|algorithm| {
                *algorithm.signature_alg_id() == *other.signature_algorithm
                    && *algorithm.public_key_alg_id() == *self.key_algorithm
                    && algorithm
                        .verify_signature(&self.key_bits, &other.signed, &other.signature)
                        .is_ok()
            })
    }
}

impl TrustedRoots {
    /// Checks that the first certificate of `chain` may sign code or data, and that the others lead
    /// from it to a root.
    ///
    /// # Errors
    ///
    /// A certificate that is out of date, is for something else or has no valid chain.
    pub fn check(&self, chain: &[Certificate]) -> Result<(), CertificateProblem> {
        let (signer, others) = chain.split_first().ok_or(CertificateProblem::NoPath)?;
        signer.check(self.now)?;
        let allowed = match (signer.usage, signer.code_signing) {
            (None, None) => false,
            (usage, purpose) => {
                usage.is_none_or(|bits| bits & DIGITAL_SIGNATURE != 0) && purpose != Some(false)
            }
        };
        if !allowed {
            return Err(CertificateProblem::Usage);
        }
        let mut search = PathSearch {
            roots: self,
            others,
            left: MOST_CHECKED,
        };
        match search.leads_to_root(signer, 0) {
            true => Ok(()),
            false => Err(CertificateProblem::NoPath),
        }
    }
}

/// The search for issuers.
struct PathSearch<'a> {
    roots: &'a TrustedRoots,
    others: &'a [Certificate],
    /// Signatures that may still be checked.
    left: u32,
}

impl PathSearch<'_> {
    /// Whether a valid chain leads from `certificate`, which `between` others separate from the
    /// signing one, to a root.
    fn leads_to_root(&mut self, certificate: &Certificate, between: usize) -> bool {
        let now = self.roots.now;
        if self.roots.certificates.contains(certificate) {
            return true;
        }
        if between > DEEPEST {
            return false;
        }
        let candidates = self.roots.certificates.iter().map(|root| (root, true));
        let candidates = candidates.chain(self.others.iter().map(|other| (other, false)));
        for (issuer, is_root) in candidates {
            let named = issuer.subject == certificate.issuer && issuer.may_issue(between);
            if !named || issuer == certificate || issuer.check(now).is_err() {
                continue;
            }
            let Some(left) = self.left.checked_sub(1) else {
                return false;
            };
            self.left = left;
            if issuer.issued(certificate) && (is_root || self.leads_to_root(issuer, between + 1)) {
                return true;
            }
        }
        false
    }
}

/// Reads the items of DER one after the other; `None` is an error.
struct DerReader<'a>(&'a [u8]);

impl<'a> DerReader<'a> {
    /// The next item: its kind, its content, and how many bytes it has as a whole.
    fn next(&self) -> Option<(u8, &'a [u8], usize)> {
        let (&[kind, first], rest) = self.0.split_first_chunk::<2>()?;
        let (head, length) = match first {
            0..=0x7f => (2, usize::from(first)),
            // One to three bytes, as few as possible.
            0x81..=0x83 => {
                let bytes = rest.get(..usize::from(first & 0x7f))?;
                let length = bytes
                    .iter()
                    .fold(0, |sum, &byte| sum << 8 | usize::from(byte));
                (*bytes.first()? != 0 && length >= 0x80).then_some(())?;
                (2 + bytes.len(), length)
            }
            _ => return None,
        };
        let content = self.0.get(head..head + length)?;
        Some((kind, content, head + length))
    }

    /// The content of the next item, which must be of this kind.
    fn expect(&mut self, kind: u8) -> Option<&'a [u8]> {
        let (found, content, length) = self.next()?;
        self.0 = self.0.get(length..)?;
        (found == kind).then_some(content)
    }

    /// The same item with its head.
    fn whole(&mut self, kind: u8) -> Option<&'a [u8]> {
        let before = self.0;
        self.expect(kind)?;
        before.get(..before.len() - self.0.len())
    }

    /// A bit string of whole bytes.
    fn bits(&mut self) -> Option<&'a [u8]> {
        self.expect(BIT_STRING)?.strip_prefix(&[0])
    }

    /// A truth value that is left out if it is false.
    fn optional_bool(&mut self) -> Option<bool> {
        if self.0.first() != Some(&BOOLEAN) {
            return Some(false);
        }
        // Written out, it is true; earlier programs write false too.
        match self.expect(BOOLEAN)? {
            [0xff] => Some(true),
            [0] => Some(false),
            _ => None,
        }
    }

    fn small_number(&mut self) -> Option<usize> {
        match self.expect(INTEGER)? {
            [byte @ 0..=0x7f] => Some(usize::from(*byte)),
            _ => None,
        }
    }

    /// Unix seconds.
    fn time(&mut self) -> Option<u64> {
        let (kind, ..) = self.next()?;
        let digits = std::str::from_utf8(self.expect(kind)?).ok()?;
        let digits = digits.strip_suffix('Z')?;
        let (year, rest) = match kind {
            UTC_TIME => {
                let (year, rest) = digits.split_at_checked(2)?;
                let year: u64 = number(year)?;
                (if year < 50 { 2000 + year } else { 1900 + year }, rest)
            }
            GENERAL_TIME => {
                let (year, rest) = digits.split_at_checked(4)?;
                (number(year)?, rest)
            }
            _ => return None,
        };
        let mut parts = [0; 5];
        let mut rest = rest;
        for part in &mut parts {
            let (digits, after) = rest.split_at_checked(2)?;
            *part = number(digits)?;
            rest = after;
        }
        rest.is_empty().then_some(())?;
        let [month, day, hour, minute, second] = parts;
        let days = days_from_civil(year, month, day)?;
        (hour < 24 && minute < 60 && second < 60).then_some(())?;
        Some(days * 86_400 + hour * 3_600 + minute * 60 + second)
    }

    fn end(&self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}

fn number(digits: &str) -> Option<u64> {
    let all = digits.bytes().all(|byte| byte.is_ascii_digit());
    all.then(|| digits.parse().ok())?
}

//! The command line of the conformance suite of OpenSSF Model Signing, over this crate's reading and
//! writing of `model.sig`: `sign-model` and `verify-model` of any folder or file, by key on P-256.
//! Other methods and curves exit with 2.

use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use openlora_package::{
    ModelPublicKey, ModelSignature, SignedFiles, compare_files, hash, release::ModelSigner,
    sign_files,
};
use p256::ecdsa::{Signature, SigningKey, signature::Signer};

/// Left out unless a bundle says otherwise, at the top of a folder.
const GIT: &[&str] = &[".git", ".gitattributes", ".github", ".gitignore"];
/// Before the number of a private key on P-256, in SEC 1 and in PKCS 8 (RFC 5915).
const PRIVATE: &[u8] = &[0x02, 0x01, 0x01, 0x04, 0x20];

struct PemSigner {
    key: SigningKey,
    public: ModelPublicKey,
}

impl PemSigner {
    fn new(number: &[u8]) -> Result<Self, String> {
        let key = SigningKey::from_slice(number).map_err(|error| error.to_string())?;
        let point = key.verifying_key().to_encoded_point(false);
        let public = ModelPublicKey::from_point(point.as_bytes());
        let public = public.map_err(|problem| problem.to_string())?;
        Ok(Self { key, public })
    }
}

impl ModelSigner for PemSigner {
    fn public_key(&self) -> ModelPublicKey {
        self.public
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let signature: Signature = self.key.sign(message);
        signature.to_der().as_bytes().to_vec()
    }
}

/// The options of one call.
#[derive(Default)]
struct Options {
    method: String,
    model: PathBuf,
    bundle: PathBuf,
    key: PathBuf,
    ignored: Vec<PathBuf>,
    ignore_unsigned: bool,
}

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let verb = args.next().unwrap_or_default();
    let options = options(args);
    let done = match (verb.as_str(), options.method.as_str()) {
        ("sign-model", "key") => sign(&options),
        ("verify-model", "key") => verify(&options),
        _ => return ExitCode::from(2),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            let _ = writeln!(std::io::stderr(), "{reason}");
            ExitCode::FAILURE
        }
    }
}

fn options(mut args: impl Iterator<Item = String>) -> Options {
    let mut options = Options::default();
    while let Some(name) = args.next() {
        if name == "--ignore-unsigned-files" {
            options.ignore_unsigned = true;
            continue;
        }
        let value = args.next().unwrap_or_default();
        match name.as_str() {
            "--method" => options.method = value,
            "--model-path" => options.model = value.into(),
            "--output-bundle" | "--bundle" => options.bundle = value.into(),
            "--private-key" | "--public-key" => options.key = value.into(),
            "--ignore-paths" => options.ignored.push(value.into()),
            _ => {}
        }
    }
    options
}

fn sign(options: &Options) -> Result<(), String> {
    let text = fs::read_to_string(&options.key).map_err(|error| error.to_string())?;
    let lines = text
        .lines()
        .skip_while(|line| !line.contains("PRIVATE KEY"));
    let lines = lines.skip(1).take_while(|line| !line.starts_with('-'));
    let der = STANDARD.decode(lines.collect::<String>());
    let der = der.map_err(|error| error.to_string())?;
    let at = der.windows(PRIVATE.len()).position(|it| it == PRIVATE);
    let number = at.and_then(|at| der.get(at + PRIVATE.len()..at + PRIVATE.len() + 32));
    let number = number.ok_or("not a private key on P-256")?;
    let signer = PemSigner::new(number)?;
    let files = held(options, &BTreeSet::new())?;
    if files.is_empty() {
        return Err("no file is left to sign".to_owned());
    }
    let name = options.model.file_name().unwrap_or_default();
    let bundle = sign_files(&name.to_string_lossy(), &files, &signer);
    let bundle = bundle.map_err(|problem| problem.to_string())?;
    fs::write(&options.bundle, bundle).map_err(|error| error.to_string())
}

fn verify(options: &Options) -> Result<(), String> {
    let pem = fs::read_to_string(&options.key).map_err(|error| error.to_string())?;
    let expected = ModelPublicKey::from_pem(&pem).map_err(|problem| problem.to_string())?;
    let bytes = fs::read(&options.bundle).map_err(|error| error.to_string())?;
    let signature = ModelSignature::parse(&bytes).map_err(|problem| problem.to_string())?;
    if signature.recover_key() != Some(expected) {
        return Err("the key did not make this signature".to_owned());
    }
    let named: Vec<String> = options
        .ignored
        .iter()
        .chain([&options.bundle])
        .flat_map(|path| spellings(&options.model, path))
        .collect();
    let named: Vec<&str> = named.iter().map(String::as_str).collect();
    let signed = signature
        .files_ignoring(&named)
        .map_err(|problem| problem.to_string())?;
    let unsigned_too = if options.ignore_unsigned {
        signed.keys().cloned().collect()
    } else {
        BTreeSet::new()
    };
    let mut found = held(options, &unsigned_too)?;
    if signed.len() == 1 && signed.contains_key(".") {
        // Earlier versions named a single file so.
        found = found.into_values().map(|it| (".".to_owned(), it)).collect();
    }
    compare_files(&signed, &found).map_err(|problem| problem.to_string())
}

/// How a bundle may name a path that it leaves out: below the model, by its name, or as its signer
/// was given it.
fn spellings(model: &Path, path: &Path) -> Vec<String> {
    let below = path.strip_prefix(model).ok();
    let name = path.file_name().map(Path::new);
    let both = below.into_iter().chain(name);
    both.map(|it| it.to_string_lossy().into_owned()).collect()
}

/// The digests of the files that are signed; of `only` if it names any.
fn held(options: &Options, only: &BTreeSet<String>) -> Result<SignedFiles, String> {
    let model = &options.model;
    let mut files = SignedFiles::new();
    if model.is_file() {
        let name = model.file_name().unwrap_or_default().to_string_lossy();
        let (digest, _) = hash(model).map_err(|error| error.to_string())?;
        files.insert(name.into_owned(), digest);
        return Ok(files);
    }
    let mut pending = vec![model.clone()];
    while let Some(folder) = pending.pop() {
        for entry in fs::read_dir(&folder).map_err(|error| error.to_string())? {
            let entry = entry.map_err(|error| error.to_string())?;
            let path = entry.path();
            let below = path.strip_prefix(model).unwrap_or(&path);
            let name = below.to_string_lossy().into_owned();
            let left_out = options.ignored.contains(&path) || path == options.bundle;
            if left_out || GIT.contains(&name.as_str()) {
                continue;
            }
            let kind = entry.file_type().map_err(|error| error.to_string())?;
            if kind.is_dir() {
                pending.push(path);
            } else if kind.is_file() {
                if only.is_empty() || only.contains(&name) {
                    let (digest, _) = hash(&path).map_err(|error| error.to_string())?;
                    files.insert(name, digest);
                }
            } else {
                return Err(format!("{name} is a link or a special file"));
            }
        }
    }
    Ok(files)
}

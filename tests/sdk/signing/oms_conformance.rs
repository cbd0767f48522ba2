//! The command line of the conformance suite of OpenSSF Model Signing, over this crate's reading and
//! writing of `model.sig`: `sign-model` and `verify-model` of any folder or file, by key and by
//! certificate. Other methods exit with 2.

use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
    time::SystemTime,
};

use openlora_package::{
    Certificate, KeyEvidence, ModelPublicKey, ModelSignature, SignedFiles, TrustedRoots,
    certificates_from_pem, compare_files, hash, sign_files_ignoring,
};
use openlora_release::eip712::FileModelSigner;
use openlora_wallet::ModelSigningKey;

/// Left out unless a bundle says otherwise, at the top of a folder.
const GIT: &[&str] = &[".git", ".gitattributes", ".github", ".gitignore"];

/// The options of one call.
#[derive(Default)]
struct Options {
    method: String,
    model: PathBuf,
    bundle: PathBuf,
    key: PathBuf,
    certificates: Vec<PathBuf>,
    ignored: Vec<PathBuf>,
    ignore_unsigned: bool,
}

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let verb = args.next().unwrap_or_default();
    let options = options(args);
    let done = match (verb.as_str(), options.method.as_str()) {
        ("sign-model", "key" | "certificate") => sign(&options),
        ("verify-model", "key" | "certificate") => verify(&options),
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
            "--signing-cert" => options.certificates.insert(0, value.into()),
            "--cert-chain" => options.certificates.push(value.into()),
            "--ignore-paths" => options.ignored.push(value.into()),
            _ => {}
        }
    }
    options
}

fn text(error: impl ToString) -> String {
    error.to_string()
}

fn certificates(files: &[PathBuf]) -> Result<Vec<Certificate>, String> {
    let mut all = Vec::new();
    for file in files {
        let bytes = fs::read(file).map_err(text)?;
        all.extend(certificates_from_pem(&String::from_utf8_lossy(&bytes)).map_err(text)?);
    }
    Ok(all)
}

fn sign(options: &Options) -> Result<(), String> {
    let pem = fs::read_to_string(&options.key).map_err(text)?;
    let key = ModelSigningKey::from_pem(&pem).map_err(text)?;
    let signer = FileModelSigner::new(key, certificates(&options.certificates)?).map_err(text)?;
    let ignored = ignored(options, &[]);
    let files = held(&options.model, &ignored, None)?;
    if files.is_empty() {
        return Err("no file is left to sign".to_owned());
    }
    let name = options.model.file_name().unwrap_or_default();
    let ignored: Vec<&str> = ignored.iter().map(String::as_str).collect();
    let bundle = sign_files_ignoring(&name.to_string_lossy(), &files, &ignored, &signer);
    fs::write(&options.bundle, bundle.map_err(text)?).map_err(text)
}

fn verify(options: &Options) -> Result<(), String> {
    let bytes = fs::read(&options.bundle).map_err(text)?;
    let signature = ModelSignature::parse(&bytes).map_err(text)?;
    let made = signature
        .recover_key()
        .ok_or("no key made this signature")?;
    match (options.method.as_str(), &signature.evidence) {
        ("key", KeyEvidence::Named) => {
            let pem = fs::read_to_string(&options.key).map_err(text)?;
            if ModelPublicKey::from_pem(&pem).map_err(text)? != made {
                return Err("another key made this signature".to_owned());
            }
        }
        ("certificate", KeyEvidence::Chain(chain)) => {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
            let roots = TrustedRoots {
                certificates: certificates(&options.certificates)?,
                now: now.unwrap_or_default().as_secs(),
            };
            roots.check(chain).map_err(text)?;
        }
        _ => return Err("it was signed by another method".to_owned()),
    }
    let signed = signature.statement().map_err(text)?;
    let only = options
        .ignore_unsigned
        .then(|| signed.files.keys().cloned().collect());
    let ignored = ignored(options, &signed.ignored);
    let mut found = held(&options.model, &ignored, only.as_ref())?;
    if signed.files.len() == 1 && signed.files.contains_key(".") {
        // Earlier versions named a single file so.
        found = found.into_values().map(|it| (".".to_owned(), it)).collect();
    }
    compare_files(&signed.files, &found).map_err(text)
}

/// The paths below the model that are left out: git's, those of the command, those of the bundle, and
/// the bundle itself.
fn ignored(options: &Options, signed: &[String]) -> BTreeSet<String> {
    let named = options.ignored.iter().chain([&options.bundle]);
    let below = named.filter_map(|path| path.strip_prefix(&options.model).ok());
    let below = below.map(|path| path.to_string_lossy().into_owned());
    let git = GIT.iter().map(|&path| path.to_owned());
    git.chain(below).chain(signed.iter().cloned()).collect()
}

/// The digests of the files of a model; of `only` those, if it is given.
fn held(
    model: &Path,
    ignored: &BTreeSet<String>,
    only: Option<&BTreeSet<String>>,
) -> Result<SignedFiles, String> {
    let mut files = SignedFiles::new();
    if model.is_file() {
        let name = model.file_name().unwrap_or_default().to_string_lossy();
        files.insert(name.into_owned(), hash(model).map_err(text)?.0);
        return Ok(files);
    }
    let mut pending = vec![model.to_owned()];
    while let Some(folder) = pending.pop() {
        for entry in fs::read_dir(&folder).map_err(text)? {
            let entry = entry.map_err(text)?;
            let path = entry.path();
            let below = path.strip_prefix(model).unwrap_or(&path);
            let name = below.to_string_lossy().into_owned();
            if ignored.contains(&name) {
                continue;
            }
            let kind = entry.file_type().map_err(text)?;
            if kind.is_dir() {
                pending.push(path);
            } else if kind.is_file() {
                if only.is_none_or(|only| only.contains(&name)) {
                    files.insert(name, hash(&path).map_err(text)?.0);
                }
            } else {
                return Err(format!("{name} is a link or a special file"));
            }
        }
    }
    Ok(files)
}

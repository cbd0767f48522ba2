//! `wallet model-key`: the public key with which an account signs the files of packages.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{CommandContext, network, signer::LockedSigner, wallet};
use openlora_core::{
    atomic::{self, FileAccess},
    error::{ExitStatus, Failure},
};
use openlora_package::release::ModelSigner;
use openlora_release::eip712::AccountModelSigner;
use openlora_wallet::KeystoreError;

/// The public key with which an account signs the files of packages.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub struct ModelKeyReport {
    name: String,
    address: String,
    /// SHA-256 of the PEM, hex, by which packages name the key.
    sha256: String,
    /// SubjectPublicKeyInfo in PEM.
    pem: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<PathBuf>,
}

/// The key is derived from the account's private key, so the account is unlocked.
pub fn print_model_key(
    context: &CommandContext,
    name: Option<&str>,
    out: Option<&Path>,
    password_file: Option<&Path>,
) -> Result<ExitStatus, Failure> {
    let account = match name {
        Some(name) => {
            let entry = wallet::choose(context, Some(name))?;
            if entry.ledger.is_some() {
                return Err(KeystoreError::KeyOnLedger { name: entry.name }.into());
            }
            wallet::unlock(context, &entry.name, password_file)?
        }
        None => {
            let network = network::chosen(context)?;
            LockedSigner::choose(context, &network)?.unlock(context, password_file)?
        }
    };
    let signer = AccountModelSigner::of_account(&account).ok_or_else(|| {
        Failure::from(KeystoreError::KeyOnLedger {
            name: account.name().to_owned(),
        })
    })?;
    let public = signer.public_key();
    let out_path = out.map(|out| context.settings.working_dir.join(out));
    if let Some(path) = &out_path {
        atomic::replace_file(path, public.to_pem().as_bytes(), FileAccess::Everyone)
            .map_err(|error| Failure::io("write", path, &error))?;
    }
    let printer = &context.printer;
    if printer.is_json() {
        printer.json(&ModelKeyReport {
            name: account.name().to_owned(),
            address: account.address().to_string(),
            sha256: public.digest().to_string(),
            pem: public.to_pem(),
            file: out.map(Path::to_owned),
        });
    } else if let Some(out) = out {
        printer.line(out.display().to_string());
    } else {
        for line in public.to_pem().lines() {
            printer.line(line);
        }
    }
    Ok(ExitStatus::Success)
}

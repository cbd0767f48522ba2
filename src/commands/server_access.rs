//! Access rules of this home's server, from its settings and the tokens in its data folder.

use std::path::{Path, PathBuf};

use super::CommandContext;
use crate::commands::settings::FacilitatorChoice;
use openlora_core::{
    error::{ExitClass, Failure},
    private::{files, redact},
};
use openlora_serve::{
    access::{AccessRules, AccessToken, FacilitatorAccess},
    proxies::TrustedProxies,
};

/// Name of the file with the operator's token, below the data directory.
const OPERATOR: &str = "operator.token";
/// Name of the token file for sellers that settle here.
const SELLERS: &str = "facilitator.token";

/// The path of the operator's token.
pub fn operator_token(context: &CommandContext) -> PathBuf {
    context.dirs.data.join(OPERATOR)
}

/// The tokens and rules of a starting server; new tokens if `rotate` is set.
pub fn open(context: &CommandContext, rotate: bool) -> Result<AccessRules, Failure> {
    let settings = &context.settings.serve;
    let proxies = settings.trusted_proxies.iter();
    let proxies = TrustedProxies::parse(proxies.map(String::as_str)).map_err(|problem| {
        Failure::new(
            ExitClass::BadInput,
            format!("serve.trusted_proxies: {problem}"),
        )
        .with_hint("name the proxy's own address, as the server sees it")
    })?;
    let facilitation = match settings.facilitator {
        FacilitatorChoice::Off => FacilitatorAccess::Off,
        FacilitatorChoice::Public => FacilitatorAccess::Public,
        FacilitatorChoice::Token => FacilitatorAccess::Token,
    };
    let public_host = public_url(context)?.and_then(|url| {
        let url = reqwest::Url::parse(&url).ok()?;
        url.host_str().map(str::to_owned)
    });
    let data = &context.dirs.data;
    files::folder(data).map_err(|error| Failure::io("create the folder", data, &error))?;
    let token = |path: &Path| {
        if rotate {
            forget(path)?;
        }
        AccessToken::at(path).map_err(|error| unusable(path, &error))
    };
    Ok(AccessRules {
        operator: token(&operator_token(context))?,
        sellers: token(&data.join(SELLERS))?,
        facilitation,
        proxies,
        public_host,
    })
}

/// Reads a token that a server generated.
pub fn read_token(path: &Path) -> Result<AccessToken, Failure> {
    AccessToken::read(path).map_err(|error| unusable(path, &error))
}

fn unusable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::io("use the token in", path, error)
        .with_hint("delete the file and start the server again: it makes a new token")
}

fn forget(path: &Path) -> Result<(), Failure> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Failure::io("delete", path, &error))
        }
        _ => Ok(()),
    }
}

/// `serve.public_url`. It is published with the log, and readers append paths to it, so it must
/// have neither credentials nor a query.
pub fn public_url(context: &CommandContext) -> Result<Option<String>, Failure> {
    let Some(stated) = &context.settings.serve.public_url else {
        return Ok(None);
    };
    let text = &stated.value;
    let url = reqwest::Url::parse(text).ok();
    let fits = url.is_some_and(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
    });
    if fits {
        return Ok(Some(text.trim_end_matches('/').to_owned()));
    }
    let message = format!(
        "serve.public_url must be an http address without user, password and query, found {}",
        redact::address(text)
    );
    Err(Failure::new(ExitClass::BadInput, message)
        .with_hint("everybody reads it: name the address as strangers may have it"))
}

//! Access rules of this home's server, from its settings and the tokens in its data folder.

use super::CommandContext;
use crate::commands::settings::FacilitatorChoice;
use openlora_core::{
    error::{ExitClass, Failure},
    private::redact,
};
use openlora_runtime::access_tokens::AccessTokens;
use openlora_serve::{
    access::{AccessRules, FacilitatorAccess},
    origins::AllowedOrigins,
    proxies::TrustedProxies,
};

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
    let origins = settings.origins.iter().map(String::as_str);
    let origins = AllowedOrigins::parse(origins).map_err(|problem| {
        Failure::new(ExitClass::BadInput, format!("serve.origins: {problem}"))
            .with_hint("an origin has a scheme and a host, and a port if it is unusual; no path")
    })?;
    // A host that is not ASCII is written as browsers do.
    let public_url = public_url(context)?
        .and_then(|url| reqwest::Url::parse(&url).ok())
        .and_then(|url| url.as_str().parse().ok());
    let AccessTokens { operator, sellers } = AccessTokens::open(&context.dirs, rotate)?;
    Ok(AccessRules {
        operator,
        sellers,
        facilitation,
        proxies,
        origins,
        public_url,
    })
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
        let root = text.trim_end_matches('/');
        return Ok(Some(root.strip_suffix("/v1").unwrap_or(root).to_owned()));
    }
    let message = format!(
        "serve.public_url must be an http address without user, password and query, found {}",
        redact::address(text)
    );
    Err(Failure::new(ExitClass::BadInput, message)
        .with_hint("everybody reads it: name the address as strangers may have it"))
}

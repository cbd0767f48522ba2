//! What a resource declares of itself, read with the rules of x402's extension `bazaar`: what breaks a
//! rule of form is dropped, and what cannot be believed is refused.

use alloy::transports::http::reqwest::Url;
use serde_json::Value;

use super::schema;
use crate::x402::wire::PaymentRequired;

/// The extension's name.
pub const BAZAAR: &str = "bazaar";

/// Longest texts.
const LONGEST_URL: usize = 2048;
const LONGEST_WORD: usize = 32;
const LONGEST_DESCRIPTION: usize = 500;
const MOST_TAGS: usize = 5;
/// Largest declaration as JSON, in bytes.
const LARGEST_DECLARATION: usize = 8 * 1024;

/// Names of this machine.
const LOOPBACK: &[&str] = &[
    "localhost",
    "localhost.localdomain",
    "ip6-localhost",
    "ip6-loopback",
];

/// A paid resource, which is asked for its terms. The payer has named it, so nothing of what its
/// declaration says is sent there besides the method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceCall {
    /// Without query and fragment.
    pub url: String,
    /// `GET` or `POST`.
    pub method: String,
}

/// The metadata of the service that hosts a resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceMetadata {
    pub description: Option<String>,
    pub mime_type: Option<String>,
    pub service_name: Option<String>,
    pub tags: Vec<String>,
    pub icon_url: Option<String>,
}

/// The call that a payment's declaration is about; `None` if the payment declares nothing.
///
/// # Errors
/// The reason why the declaration is not taken.
pub fn call_of(
    resource: Option<&Value>,
    extensions: Option<&Value>,
) -> Result<Option<ResourceCall>, String> {
    let Some(declared) = extensions.and_then(|all| all.get(BAZAAR)) else {
        return Ok(None);
    };
    let info = checked_info(declared)?;
    let url = resource.and_then(|it| it["url"].as_str());
    let url = plain_url(url.ok_or("the payment names no resource")?)?;
    let input = &info["input"];
    match input["type"].as_str() {
        Some("http") => {}
        Some("mcp") => return Err("tools of MCP servers are not listed here".to_owned()),
        _ => return Err("info.input.type: expected http".to_owned()),
    }
    let method = input["method"].as_str().unwrap_or_default();
    match method {
        "GET" => {}
        "POST" if input["bodyType"] == "json" => {}
        "POST" => return Err("info.input.bodyType: only JSON is listed here".to_owned()),
        // What changes something at a place that a payer names is not sent there.
        _ => return Err("info.input.method: only GET and POST are listed here".to_owned()),
    }
    Ok(Some(ResourceCall {
        url,
        method: method.to_owned(),
    }))
}

/// The info of a declaration that fits its own schema.
fn checked_info(declared: &Value) -> Result<&Value, String> {
    if declared.to_string().len() > LARGEST_DECLARATION {
        return Err(format!(
            "the declaration has more than {LARGEST_DECLARATION} bytes"
        ));
    }
    let (Some(info), Some(wanted)) = (declared.get("info"), declared.get("schema")) else {
        return Err("the declaration has no info or no schema".to_owned());
    };
    schema::check(info, wanted)?;
    Ok(info)
}

/// A URL of HTTP without user, query and fragment.
pub fn plain_url(text: &str) -> Result<String, String> {
    let wrong = || "the resource is no plain URL of HTTP".to_owned();
    if text.len() > LONGEST_URL || text.chars().any(char::is_control) {
        return Err(wrong());
    }
    let mut url = Url::parse(text).map_err(|_| wrong())?;
    let is_plain = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none();
    if !is_plain {
        return Err(wrong());
    }
    url.set_query(None);
    url.set_fragment(None);
    Ok(url.to_string())
}

/// The metadata in the terms that a resource's own server sent.
pub fn metadata(terms: &PaymentRequired) -> ServiceMetadata {
    let resource = &terms.resource;
    let other = |name: &str| resource.others.get(name);
    let icon = other("iconUrl").and_then(Value::as_str);
    ServiceMetadata {
        description: resource.description.as_deref().and_then(described),
        mime_type: resource.mime_type.as_deref().and_then(word_of),
        service_name: other("serviceName")
            .and_then(Value::as_str)
            .and_then(word_of),
        tags: tags(other("tags")),
        icon_url: icon.filter(|url| is_icon(url)).map(str::to_owned),
    }
}

/// A text of people, on one line.
fn described(text: &str) -> Option<String> {
    let plain: String = text
        .chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .take(LONGEST_DESCRIPTION)
        .collect();
    let plain = plain.trim().to_owned();
    (!plain.is_empty()).then_some(plain)
}

/// A short text of printable ASCII.
fn word_of(text: &str) -> Option<String> {
    let fits = !text.is_empty()
        && text.len() <= LONGEST_WORD
        && text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    fits.then(|| text.to_owned())
}

fn tags(value: Option<&Value>) -> Vec<String> {
    let mut tags: Vec<String> = Vec::new();
    let stated = value.and_then(Value::as_array).into_iter().flatten();
    for tag in stated.filter_map(Value::as_str).filter_map(word_of) {
        let is_new = !tags.iter().any(|known| known.eq_ignore_ascii_case(&tag));
        if is_new && tags.len() < MOST_TAGS {
            tags.push(tag);
        }
    }
    tags
}

/// Whether a URL may be shown as an icon: of HTTP, on a host with a public name.
fn is_icon(text: &str) -> bool {
    let Ok(url) = plain_url(text) else {
        return false;
    };
    let Ok(url) = Url::parse(&url) else {
        return false;
    };
    // The parser has undone percent-encoding, and turned every spelling of a number into an address.
    let host = url.host_str().unwrap_or_default().to_ascii_lowercase();
    let is_number = host.starts_with('[') || host.parse::<std::net::IpAddr>().is_ok();
    !is_number && !LOOPBACK.contains(&host.as_str())
}

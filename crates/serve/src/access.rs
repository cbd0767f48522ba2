//! Access to routes: bearer tokens for the operator and for sellers that settle through this
//! server, and the rules that keep web pages away from both.
//!
//! The source address of a connection proves nothing. A proxy on this machine forwards requests of
//! strangers from its own address, and programs of this machine's other users connect from it too.

use std::{
    fmt, fs, io,
    net::{IpAddr, SocketAddr},
    path::Path,
    str::FromStr,
    sync::Arc,
};

use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use hmac::{Hmac, Mac};
use rand::{TryRngCore, rngs::OsRng};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{
    api_error::ApiError, audience::RouteAudience, origins::AllowedOrigins, payment,
    proxies::TrustedProxies,
};
use openlora_core::{atomic, private::files};

/// Bytes of a token.
const BYTES: usize = 32;

/// A secret token that gives access to routes.
#[derive(Clone)]
pub struct AccessToken(Arc<Zeroizing<String>>);

impl AccessToken {
    /// A new random token.
    ///
    /// # Errors
    /// The system has no randomness.
    pub fn random() -> io::Result<Self> {
        let mut bytes = Zeroizing::new([0; BYTES]);
        let drawn = OsRng.try_fill_bytes(bytes.as_mut());
        drawn.map_err(|error| io::Error::other(error.to_string()))?;
        Ok(Self(Arc::new(Zeroizing::new(hex::encode(bytes.as_ref())))))
    }

    /// The token in a file. Creates the file if there is none.
    ///
    /// # Errors
    /// The file cannot be read or written, or holds no token.
    pub fn at(path: &Path) -> io::Result<Self> {
        match fs::symlink_metadata(path) {
            Ok(_) => {
                files::file(path)?;
                Self::read(path)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let token = Self::random()?;
                let line = Zeroizing::new(format!("{}\n", token.0.as_str()));
                atomic::replace_file(path, line.as_bytes(), atomic::FileAccess::Owner)?;
                Ok(token)
            }
            Err(error) => Err(error),
        }
    }

    /// The token in a file.
    ///
    /// # Errors
    /// The file cannot be read, or holds no token.
    pub fn read(path: &Path) -> io::Result<Self> {
        let text = Zeroizing::new(fs::read_to_string(path)?);
        text.trim().parse()
    }

    /// Whether this token was presented. Takes constant time.
    fn is(&self, presented: &str) -> bool {
        let digest = |text: &str| Sha256::digest(text.as_bytes());
        digest(&self.0).ct_eq(&digest(presented)).into()
    }

    /// The value of `Authorization` with this token.
    pub fn bearer(&self) -> HeaderValue {
        let text = Zeroizing::new(format!("Bearer {}", self.0.as_str()));
        // Hexadecimal digits are valid in a header.
        let value = HeaderValue::from_str(&text);
        let mut value = value.unwrap_or(HeaderValue::from_static(""));
        value.set_sensitive(true);
        value
    }

    /// The answer to `challenge` that only a holder of the token can compute. A client asks for it
    /// before it sends its own token, so a program that took over a dead server's port learns
    /// nothing.
    pub fn proof(&self, challenge: &str) -> String {
        hex::encode(self.mac(challenge).finalize().into_bytes())
    }

    /// The same, bound to `here`, the address at which the client reached the server. If another
    /// program relays the challenge, the proof does not fit that program's own address. No
    /// challenge has a line end.
    pub fn proof_at(&self, challenge: &str, here: SocketAddr) -> String {
        self.proof(&placed(challenge, here))
    }

    /// Whether `proof` was made with this token for a challenge that was sent to `there`.
    pub fn proves_at(&self, challenge: &str, there: SocketAddr, proof: &str) -> bool {
        self.proves(&placed(challenge, there), proof)
    }

    /// Whether `proof` was made with this token.
    pub fn proves(&self, challenge: &str, proof: &str) -> bool {
        let proof = hex::decode(proof).unwrap_or_default();
        self.mac(challenge).verify_slice(&proof).is_ok()
    }

    fn mac(&self, challenge: &str) -> Hmac<Sha256> {
        // A token has as many digits as a block of the hash has bytes.
        let mut key = Zeroizing::new([0; 2 * BYTES]);
        for (byte, digit) in key.iter_mut().zip(self.0.bytes()) {
            *byte = digit;
        }
        let mut mac = <Hmac<Sha256> as Mac>::new(&(*key).into());
        mac.update(b"openlora operator\n");
        mac.update(challenge.as_bytes());
        mac
    }
}

/// A challenge and an address, in the form that both ends of a connection use.
fn placed(challenge: &str, address: SocketAddr) -> String {
    let address = SocketAddr::new(address.ip().to_canonical(), address.port());
    format!("{challenge}\n{address}")
}

impl FromStr for AccessToken {
    type Err = io::Error;

    fn from_str(text: &str) -> io::Result<Self> {
        let fits = text.len() == 2 * BYTES && text.bytes().all(|it| it.is_ascii_hexdigit());
        if !fits {
            let message = "expected a token of 64 hexadecimal digits";
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        Ok(Self(Arc::new(Zeroizing::new(text.to_owned()))))
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(hidden)")
    }
}

/// The clients that the facilitator's routes serve.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FacilitatorAccess {
    Off,
    /// Sellers that have the token.
    #[default]
    Token,
    /// All clients. Each settlement costs this server gas.
    Public,
}

/// The rules that decide about access.
#[derive(Clone, Debug)]
pub struct AccessRules {
    /// Gives access to `/operator/*`, `/events`, `/metrics` and the facilitator's routes.
    pub operator: AccessToken,
    /// Gives access to the facilitator's routes only.
    pub sellers: AccessToken,
    pub facilitation: FacilitatorAccess,
    /// Proxies whose forwarding headers are trusted.
    pub proxies: TrustedProxies,
    /// Pages that may use the routes for anyone.
    pub origins: AllowedOrigins,
    /// The address under which clients reach the server, without a query.
    pub public_url: Option<Uri>,
}

impl AccessRules {
    /// Whether a request may use a route for `audience`.
    pub fn admit(&self, audience: RouteAudience, headers: &HeaderMap) -> Result<(), ApiError> {
        match (audience, self.facilitation) {
            (RouteAudience::Anyone, _) | (RouteAudience::Sellers, FacilitatorAccess::Public) => {
                Ok(())
            }
            (RouteAudience::Sellers, FacilitatorAccess::Off) => Err(closed()),
            (RouteAudience::Sellers, FacilitatorAccess::Token) => {
                require(headers, &[&self.sellers, &self.operator])
            }
            (RouteAudience::Operator, _) => {
                self.check_browser(headers)?;
                require(headers, &[&self.operator])
            }
        }
    }

    /// The address of a path for clients: under the public address, or as the request has it.
    pub fn resource(&self, headers: &HeaderMap, path: &str) -> String {
        match &self.public_url {
            Some(url) => format!("{}{path}", url.to_string().trim_end_matches('/')),
            None => payment::resource(headers, path),
        }
    }

    /// Refuses requests from web pages. Browsers send `Origin`. A page whose own name resolves to
    /// this machine (DNS rebinding) sends that name as `Host`.
    fn check_browser(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        let hosts: Vec<_> = headers.get_all(header::HOST).iter().collect();
        let known = hosts.iter().all(|host| {
            let host = host.to_str().unwrap_or_default();
            is_plain_host(host)
                || self
                    .public_url
                    .as_ref()
                    .and_then(Uri::host)
                    .is_some_and(|it| is_named(host, it))
        });
        if known && hosts.len() <= 1 && !headers.contains_key(header::ORIGIN) {
            return Ok(());
        }
        let message = "This route answers no web pages, and only under localhost, a numeric \
                       address or the host of serve.public_url.";
        let status = StatusCode::FORBIDDEN;
        Err(ApiError::new(status, "operator_only", message))
    }
}

fn require(headers: &HeaderMap, tokens: &[&AccessToken]) -> Result<(), ApiError> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let presented = values.next().and_then(|value| value.to_str().ok());
    let presented = presented.and_then(|text| text.split_once(' '));
    if let (Some((scheme, token)), None) = (presented, values.next())
        && scheme.eq_ignore_ascii_case("bearer")
        && tokens.iter().any(|it| it.is(token.trim()))
    {
        return Ok(());
    }
    let message = "This route needs a token: send it as 'Authorization: Bearer TOKEN'. The server \
                   keeps it in its data folder.";
    Err(ApiError::new(
        StatusCode::UNAUTHORIZED,
        "token_required",
        message,
    ))
}

fn closed() -> ApiError {
    let message = "This server clears no payments for other sellers (serve.facilitator is off).";
    ApiError::new(StatusCode::NOT_FOUND, "facilitator_off", message)
}

/// A host without its port.
fn name_of(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

fn is_named(host: &str, name: &str) -> bool {
    name_of(host).eq_ignore_ascii_case(name)
}

/// `localhost` or a numeric address, with or without a port.
fn is_plain_host(host: &str) -> bool {
    let name = name_of(host);
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok()
}

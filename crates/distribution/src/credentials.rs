//! Logins for registries and hubs: of the environment and of docker's configuration. Each belongs to
//! one host and goes to no other.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;

/// Largest configuration file in bytes.
const LARGEST: u64 = 1 << 20;

/// A user and a password or token.
#[derive(Clone, PartialEq, Eq)]
pub struct RegistryLogin {
    pub user: String,
    pub password: String,
}

impl fmt::Debug for RegistryLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RegistryLogin({})", self.user)
    }
}

impl RegistryLogin {
    /// The value of `Authorization` (RFC 7617).
    pub(crate) fn basic(&self) -> String {
        let pair = format!("{}:{}", self.user, self.password);
        format!("Basic {}", STANDARD.encode(pair))
    }

    fn from_pair(pair: &str) -> Option<Self> {
        let (user, password) = pair.split_once(':')?;
        (!user.is_empty() && !password.is_empty()).then(|| Self {
            user: user.to_owned(),
            password: password.to_owned(),
        })
    }
}

/// Where logins are looked up.
#[derive(Clone, Default)]
pub struct CredentialSources {
    /// `HOST=USER:PASSWORD`.
    pub stated: Option<String>,
    /// `config.json` of docker.
    pub docker: Option<PathBuf>,
    /// A token for the Hub, and the address that may receive it.
    pub hub_token: Option<String>,
}

impl fmt::Debug for CredentialSources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CredentialSources({:?})", self.docker)
    }
}

#[derive(Deserialize)]
struct DockerConfig {
    #[serde(default)]
    auths: std::collections::BTreeMap<String, DockerAuth>,
}

#[derive(Deserialize)]
struct DockerAuth {
    #[serde(default)]
    auth: Option<String>,
}

impl CredentialSources {
    /// The login for a registry, if there is one.
    pub fn login(&self, host: &str) -> Option<RegistryLogin> {
        self.stated_login(host)
            .or_else(|| docker_login(self.docker.as_deref()?, host))
    }

    fn stated_login(&self, host: &str) -> Option<RegistryLogin> {
        let (named, pair) = self.stated.as_deref()?.split_once('=')?;
        (named == host).then(|| RegistryLogin::from_pair(pair))?
    }
}

/// A login as `docker login` stores it without a helper.
fn docker_login(file: &Path, host: &str) -> Option<RegistryLogin> {
    let length = fs::metadata(file).ok()?.len();
    let bytes = (length <= LARGEST).then(|| fs::read(file).ok())??;
    let config: DockerConfig = serde_json::from_slice(&bytes).ok()?;
    let names = |key: &str| {
        let key = key.strip_prefix("https://").unwrap_or(key);
        let key = key.split('/').next().unwrap_or_default();
        key == host || (host == "docker.io" && key == "index.docker.io")
    };
    let found = config.auths.iter().find(|(key, _)| names(key))?;
    let pair = STANDARD.decode(found.1.auth.as_deref()?).ok()?;
    RegistryLogin::from_pair(&String::from_utf8(pair).ok()?)
}

//! The folders of a home and the names of the files in them.

use std::path::{Path, PathBuf};

/// The folders of openlora's own files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppDirs {
    pub config: PathBuf,
    pub data: PathBuf,
    pub cache: PathBuf,
}

impl AppDirs {
    /// `OPENLORA_HOME` sets all three; otherwise the platform's directories are used. None if the
    /// platform names no home.
    pub fn discover(home: Option<&Path>) -> Option<Self> {
        if let Some(home) = home {
            return Some(Self {
                config: home.join("config"),
                data: home.join("data"),
                cache: home.join("cache"),
            });
        }
        let dirs = directories::ProjectDirs::from("", "", "openlora")?;
        Some(Self {
            config: dirs.config_dir().to_owned(),
            data: dirs.data_dir().to_owned(),
            cache: dirs.cache_dir().to_owned(),
        })
    }

    pub fn user_file(&self) -> PathBuf {
        self.config.join("config.toml")
    }

    /// The journal of calls.
    pub fn journal(&self) -> PathBuf {
        self.data.join("journal.sqlite")
    }

    /// Downloaded and converted base models.
    pub fn models(&self) -> PathBuf {
        self.cache.join("models")
    }

    /// The packages that were pulled.
    pub fn packages(&self) -> PathBuf {
        self.data.join("store")
    }

    /// How many bytes calls have had fetched today.
    pub fn fetched_bytes(&self) -> PathBuf {
        self.data.join("fetched-bytes.json")
    }

    /// Encrypted keys.
    pub fn keystores(&self) -> PathBuf {
        self.data.join("keystores")
    }

    /// The unpacked embedded base.
    pub fn nano(&self) -> PathBuf {
        self.data.join("nano")
    }

    /// The catalogue of other sellers' paid resources.
    pub fn resource_catalogue(&self) -> PathBuf {
        self.data.join("resources.json")
    }

    /// The published log of attributed calls.
    pub fn attribution_log(&self) -> PathBuf {
        self.data.join("attribution-log")
    }

    /// The transparency log over the journal.
    pub fn transparency_log(&self) -> PathBuf {
        self.data.join("transparency-log")
    }

    /// The key that signs the transparency log's checkpoints.
    pub fn transparency_key(&self) -> PathBuf {
        self.data.join("transparency-log.key")
    }

    /// The last checkpoints that were seen of others' logs.
    pub fn seen_checkpoints(&self) -> PathBuf {
        self.data.join("seen-checkpoints")
    }

    /// The tokens of calls that wait for attribution.
    pub fn pending_tokens(&self) -> PathBuf {
        self.data.join("attribution-waiting")
    }

    /// The operator's token.
    pub fn operator_token(&self) -> PathBuf {
        self.data.join("operator.token")
    }

    /// The token of sellers that settle at this server.
    pub fn seller_token(&self) -> PathBuf {
        self.data.join("facilitator.token")
    }

    /// The file that announces a running server.
    pub fn server_announcement(&self) -> PathBuf {
        self.data.join("serve.json")
    }
}

//! The access tokens in a home: the operator's and the sellers'.

use std::path::Path;

use super::home::AppDirs;
use openlora_core::{error::Failure, private::files};
use openlora_serve::access::AccessToken;

/// The tokens of a server.
pub struct AccessTokens {
    pub operator: AccessToken,
    /// For sellers that settle here.
    pub sellers: AccessToken,
}

impl AccessTokens {
    /// Reads the tokens, or makes new ones if there are none or `rotate` is set.
    pub fn open(dirs: &AppDirs, rotate: bool) -> Result<Self, Failure> {
        let data = &dirs.data;
        files::folder(data).map_err(|error| Failure::io("create the folder", data, &error))?;
        let token = |path: &Path| {
            if rotate {
                forget(path)?;
            }
            AccessToken::at(path).map_err(|error| unusable(path, &error))
        };
        Ok(Self {
            operator: token(&dirs.operator_token())?,
            sellers: token(&dirs.seller_token())?,
        })
    }
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

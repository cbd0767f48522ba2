//! What is left of a demo that has ended, for commands that are pasted from it afterwards.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::program::PASSWORD_FILE;
use crate::commands::shell;
use openlora_core::{
    atomic::{self, FileAccess},
    error::{ExitClass, Failure},
    private::files,
};
use openlora_runtime::home::AppDirs;

/// How the names of temporary folders begin.
pub(super) const TEMPORARY: &str = "openlora-demo-";

const RECORD: &str = "last-demo.json";

/// The newest demo that was started from a home.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartedDemo {
    /// The demo's folder.
    pub dir: PathBuf,
    /// Whether the folder stays when the demo ends.
    pub kept: bool,
    /// The project in it.
    pub project: PathBuf,
    pub server_port: u16,
    pub chain_port: u16,
}

impl StartedDemo {
    /// Keeps it in a cache folder. If that fails, only a hint is missing later.
    pub fn keep(&self, cache: &Path) {
        let text = serde_json::to_string(self).unwrap_or_default();
        let _ = files::new_folder(cache).and_then(|()| {
            atomic::replace_file(&cache.join(RECORD), text.as_bytes(), FileAccess::Owner)
        });
    }

    fn read(cache: &Path) -> Option<Self> {
        let text = std::fs::read(cache.join(RECORD)).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// What has become of it, if a failed command meant it.
    fn explain(&self, failure: &Failure) -> Option<String> {
        let Failure { class, message, .. } = failure;
        let mut ports = [self.server_port, self.chain_port].into_iter();
        let asked = *class == ExitClass::Network && ports.any(|port| names_port(message, port));
        if self.kept {
            return asked.then(|| {
                format!(
                    "that was of the demo in {}, which has ended: after its `export` line, in {}, \
                     `openlora devnet start --port {}` and `openlora serve --local --port {}` \
                     start its chain and its server again",
                    self.dir.display(),
                    shell::quoted_path(&self.project),
                    self.chain_port,
                    self.server_port
                )
            });
        }
        let names_it = message.contains(&*self.dir.to_string_lossy()) && !self.dir.exists();
        (asked || names_it).then(|| {
            "that was of a demo, which has ended and left nothing: keep what the next one makes \
             with `openlora demo --home DIR`"
                .to_owned()
        })
    }
}

/// Whether a message has an address with this port.
fn names_port(message: &str, port: u16) -> bool {
    let port = format!(":{port}");
    message.match_indices(&port).any(|(at, found)| {
        let rest = &message[at + found.len()..];
        !rest.starts_with(|next: char| next.is_ascii_digit())
    })
}

/// Adds to a failure's hint what has become of the demo that the command line came from.
pub fn explain_ended(failure: Failure, dirs: &AppDirs) -> Failure {
    let demo = StartedDemo::read(&dirs.cache);
    let explained = match is_home_of_ended(dirs) {
        true => Some(
            "OPENLORA_HOME is of a demo that has ended and left nothing: keep what the next one \
             makes with `openlora demo --home DIR`, or unset OPENLORA_HOME"
                .to_owned(),
        ),
        false => demo.and_then(|demo| demo.explain(&failure)),
    };
    match (explained, &failure.hint) {
        (None, _) => failure,
        (Some(explained), None) => failure.with_hint(explained),
        (Some(explained), Some(own)) => {
            let both = format!("{explained}; {own}");
            failure.with_hint(both)
        }
    }
}

/// Whether the home is in the folder of a temporary demo, and has been made anew since its end. As
/// long as the demo runs, its password is there.
fn is_home_of_ended(dirs: &AppDirs) -> bool {
    let demo = dirs.data.parent().and_then(Path::parent);
    demo.is_some_and(|demo| {
        let name = demo.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(TEMPORARY) && !demo.join(PASSWORD_FILE).exists()
    })
}

//! Exit classes, and the conversion of errors into messages for users.
//!
//! Each module defines its own `thiserror` enum. Through [`Explain`] it states which exit class an
//! error belongs to and what the user can do next. Commands turn errors into a [`Failure`], which
//! `main` prints once. This module does not know the terminal.

use std::fmt;

/// Why the process stops, as the exit code that scripts rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitClass {
    Internal,
    Usage,
    BadInput,
    Environment,
    Network,
    Reverted,
    Unconfirmed,
    Wallet,
    Verification,
    Gate,
    Interrupted,
}

/// Exit code, machine-readable name and meaning of every class; docs and tests read this table.
pub const EXIT_CLASSES: &[(ExitClass, u8, &str, &str)] = &[
    (
        ExitClass::Internal,
        1,
        "internal",
        "a defect in openlora itself",
    ),
    (ExitClass::Usage, 2, "usage", "wrong flags or arguments"),
    (
        ExitClass::BadInput,
        3,
        "bad_input",
        "bad configuration, data or adapter",
    ),
    (
        ExitClass::Environment,
        4,
        "environment",
        "files, ports, memory or devices of this machine",
    ),
    (ExitClass::Network, 5, "network", "a remote service or RPC"),
    (
        ExitClass::Reverted,
        6,
        "reverted",
        "a transaction was reverted",
    ),
    (
        ExitClass::Unconfirmed,
        7,
        "unconfirmed",
        "confirmation needed or declined",
    ),
    (ExitClass::Wallet, 8, "wallet", "keystore or signature"),
    (
        ExitClass::Verification,
        9,
        "verification",
        "a verification failed",
    ),
    (
        ExitClass::Gate,
        10,
        "gate",
        "training diverged or an evaluation gate failed",
    ),
    (
        ExitClass::Interrupted,
        130,
        "interrupted",
        "interrupted, state saved",
    ),
];

impl ExitClass {
    fn row(self) -> &'static (ExitClass, u8, &'static str, &'static str) {
        EXIT_CLASSES
            .iter()
            .find(|row| row.0 == self)
            .unwrap_or(&EXIT_CLASSES[0])
    }

    /// The process exit code.
    pub fn code(self) -> u8 {
        self.row().1
    }

    /// The `code` of the JSON error envelope.
    pub fn name(self) -> &'static str {
        self.row().2
    }
}

/// What every typed error states about itself.
///
/// `Display` says what failed and where, what was expected and what was found. The hint is a
/// separate sentence that says what to do next.
pub trait Explain: std::error::Error + Send + Sync + 'static {
    fn class(&self) -> ExitClass;

    fn hint(&self) -> Option<String> {
        None
    }
}

/// An error ready to be printed: its class, its message and, separately, its hint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub class: ExitClass,
    pub message: String,
    pub hint: Option<String>,
}

impl Failure {
    pub fn new(class: ExitClass, message: impl Into<String>) -> Self {
        Self {
            class,
            message: message.into(),
            hint: None,
        }
    }

    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Wraps an I/O error with the path and the operation that failed.
    pub fn io(deed: &str, path: &std::path::Path, error: &std::io::Error) -> Self {
        let failure = Self::new(
            ExitClass::Environment,
            format!("cannot {deed} {}: {}", path.display(), describe_io(error)),
        );
        match error.kind() {
            std::io::ErrorKind::StorageFull => {
                failure.with_hint("free some space on that disk, then run the same command again")
            }
            std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
                failure.with_hint("choose a writable folder, or set OPENLORA_HOME to one")
            }
            _ => failure,
        }
    }
}

/// The system's description of an I/O error without Rust's `(os error N)` suffix.
pub fn describe_io(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(end) => text[..end].to_lowercase(),
        None => text,
    }
}

/// The reason why data could not be decoded, without the names of this program's types. Takes the
/// message of serde's decoders.
pub fn describe_decoding(error: &impl fmt::Display) -> String {
    let text = error.to_string();
    let (message, place) = match text.rfind(" at line ") {
        Some(at) => text.split_at(at),
        None => (text.as_str(), ""),
    };
    if message.starts_with("data did not match any variant of") {
        return format!("none of the known forms fits{place}");
    }
    // A quoted value may contain the separator, what is expected does not.
    let Some((found, expected)) = message.rsplit_once(", expected ") else {
        return text;
    };
    let found = match found {
        "invalid type: sequence" => "invalid type: list",
        "invalid type: map" => "invalid type: object",
        found => found,
    };
    let is_type = ["struct ", "enum ", "tagged enum ", "variant "];
    let expected = match expected {
        "u8" | "u16" | "u32" | "u64" | "u128" | "usize" => "a non-negative whole number",
        "i8" | "i16" | "i32" | "i64" | "i128" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "a sequence" | "sequence" => "a list",
        "a map" | "map" => "an object",
        "a borrowed string" | "str" => "a string",
        "unit" => "null",
        other if other.starts_with("tuple ") || other.starts_with("a tuple ") => "a list",
        other if is_type.iter().any(|word| other.contains(word)) => "an object",
        other => other,
    };
    format!("{found}, expected {expected}{place}")
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl<E: Explain> From<E> for Failure {
    fn from(error: E) -> Self {
        Self {
            class: error.class(),
            hint: error.hint(),
            message: error.to_string(),
        }
    }
}

/// The outcome of a command that completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    Success,
    /// The command completed and its verdict is negative.
    Verdict(ExitClass),
}

//! The confinement of an engine in a process of its own, as others may see it.

use serde::{Deserialize, Serialize};

/// What confines the process of an engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineIsolation {
    /// What started it, such as `runc` or `builtin`.
    pub runtime: String,
    /// False while it is being started again.
    pub is_running: bool,
    /// How often it was started again because it had ended.
    pub restarts: u64,
    /// As they were read back inside.
    pub limits: Vec<IsolationLimit>,
}

/// A limit of such a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IsolationLimit {
    /// Its name, such as `memory`.
    pub limit: String,
    /// What was read back.
    pub found: String,
    /// False if it is missing, which the operator allows.
    pub in_force: bool,
}

//! The limits that are in force, as they are read back inside of a container.

use serde::{Deserialize, Serialize};

use crate::limits::LimitName;

/// One limit: what was asked for, and what is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct LimitReading {
    pub limit: LimitName,
    pub asked: String,
    /// What was read back, in the same words if the limit is in force.
    pub found: String,
    pub in_force: bool,
    /// The mechanism that enforces it, or what would.
    pub by: String,
    /// It may be missing: the user waived it.
    pub waived: bool,
}

/// Something that must fail inside of a container, tried there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct DeniedAttempt {
    pub attempt: String,
    pub limit: LimitName,
    /// The system's error; `done` if it worked.
    pub outcome: String,
}

/// Every limit, and what was tried against them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct LimitsReport {
    pub limits: Vec<LimitReading>,
    pub attempts: Vec<DeniedAttempt>,
}

impl LimitsReport {
    /// The limits that are neither in force nor waived.
    pub fn missing(&self) -> Vec<&LimitReading> {
        let missing = |it: &&LimitReading| !it.in_force && !it.waived;
        self.limits.iter().filter(missing).collect()
    }

    pub fn reading(&self, limit: LimitName) -> Option<&LimitReading> {
        self.limits.iter().find(|it| it.limit == limit)
    }
}

/// What the inside of a container says before its program starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StartMessage {
    /// The program starts now, unless a limit is missing.
    Ready(LimitsReport),
    /// A step of the preparation failed.
    Failed {
        step: String,
        reason: String,
        /// The limit that this step is for, if any.
        limit: Option<LimitName>,
    },
}

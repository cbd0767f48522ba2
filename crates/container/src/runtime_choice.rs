//! Which runtime is to start a container, as the user asks for it.

use std::str::FromStr;

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

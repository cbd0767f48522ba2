//! What a container may use, as the user asks for it, and the names of its limits.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// The user and group inside of a container.
pub const CONTAINER_USER: u32 = 65_534;

/// A limit of a container. Each is in force, or it is waived by its name.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum LimitName {
    /// Bytes of memory.
    Memory,
    /// Processor time per time.
    Cpus,
    /// Processes and threads.
    Pids,
    /// Open file descriptors.
    OpenFiles,
    /// No core dumps.
    CoreDumps,
    /// No interface but an unused loopback, and no Internet sockets.
    Network,
    /// Nothing but temporary memory can be written.
    ReadOnlyRoot,
    /// The processes run as [`CONTAINER_USER`].
    User,
    /// No capability, in any set.
    Capabilities,
    /// No program gains privileges when it starts.
    NoNewPrivileges,
    /// Own process ids, mounts, network, host name, System V IPC.
    Namespaces,
    /// File access by path is limited by Landlock.
    Landlock,
    /// Only listed system calls.
    Seccomp,
}

/// Every limit, in the order of reports.
pub const LIMIT_NAMES: &[(LimitName, &str)] = &[
    (LimitName::Memory, "memory"),
    (LimitName::Cpus, "cpus"),
    (LimitName::Pids, "pids"),
    (LimitName::OpenFiles, "open-files"),
    (LimitName::CoreDumps, "core-dumps"),
    (LimitName::Network, "network"),
    (LimitName::ReadOnlyRoot, "read-only-root"),
    (LimitName::User, "user"),
    (LimitName::Capabilities, "capabilities"),
    (LimitName::NoNewPrivileges, "no-new-privileges"),
    (LimitName::Namespaces, "namespaces"),
    (LimitName::Landlock, "landlock"),
    (LimitName::Seccomp, "seccomp"),
];

impl LimitName {
    pub fn name(self) -> &'static str {
        LIMIT_NAMES
            .iter()
            .find(|(limit, _)| *limit == self)
            .map_or("", |(_, name)| name)
    }
}

impl fmt::Display for LimitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for LimitName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = LIMIT_NAMES.iter().find(|(_, name)| *name == text);
        found.map(|(limit, _)| *limit).ok_or_else(|| {
            let names: Vec<&str> = LIMIT_NAMES.iter().map(|(_, name)| *name).collect();
            format!("expected one of {}", names.join(", "))
        })
    }
}

/// A number of bytes, such as `1GiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct MemorySize(pub u64);

const UNITS: &[(&str, u64)] = &[
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
    ("", 1),
];

/// Less than a program needs to start.
const LEAST_MEMORY: u64 = 16 << 20;

impl FromStr for MemorySize {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "expected bytes, at least 16MiB, such as 512MiB or 2GiB";
        let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
        let unit = &text[digits.len()..];
        let unit = UNITS.iter().find(|(name, _)| *name == unit);
        let bytes = digits
            .parse::<u64>()
            .ok()
            .zip(unit)
            .and_then(|(count, (_, unit))| count.checked_mul(*unit));
        // The kernel's counters are signed, and rounded to pages.
        let fits = |bytes: &u64| (LEAST_MEMORY..=i64::MAX as u64).contains(bytes);
        bytes
            .filter(fits)
            .map(|bytes| Self(bytes & !0xfff))
            .ok_or(wrong)
    }
}

impl fmt::Display for MemorySize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let binary = UNITS[..3]
            .iter()
            .find(|(_, unit)| self.0.is_multiple_of(*unit));
        match binary {
            Some((name, unit)) => write!(f, "{}{name}", self.0 / unit),
            None => write!(f, "{}", self.0),
        }
    }
}

/// Processors, in thousandths: `0.5` is half the time of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CpuShare(pub u32);

/// More than any machine has.
const MOST_CPUS: u32 = 4096;

impl CpuShare {
    pub fn whole(count: u32) -> Self {
        Self(count.clamp(1, MOST_CPUS) * 1000)
    }

    /// The number of processors, if it is a whole one.
    pub fn processors(self) -> Option<u32> {
        self.0.is_multiple_of(1000).then_some(self.0 / 1000)
    }
}

impl FromStr for CpuShare {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong =
            "expected processors from 0.01 to 4096 with at most 3 decimals, such as 2 or 0.5";
        let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
        if !digits(whole) || !digits(part) || part.len() > 3 {
            return Err(wrong);
        }
        let thousandths = format!("{part:0<3}").parse::<u32>();
        let whole = whole.parse::<u32>().ok().filter(|it| *it <= MOST_CPUS);
        match (whole, thousandths) {
            (Some(whole), Ok(thousandths)) => {
                let all = whole * 1000 + thousandths;
                (10..=MOST_CPUS * 1000)
                    .contains(&all)
                    .then_some(Self(all))
                    .ok_or(wrong)
            }
            _ => Err(wrong),
        }
    }
}

impl fmt::Display for CpuShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{}.{:03}", self.0 / 1000, self.0 % 1000);
        f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

/// What the processes of a container may use together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceLimits {
    pub memory: MemorySize,
    pub cpus: CpuShare,
    /// Processes and threads.
    pub pids: u32,
    pub open_files: u32,
}

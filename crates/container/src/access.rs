//! Access by path inside of a container, limited by Landlock besides the mounts.

use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, LandlockStatus, PathBeneath, PathFd, Ruleset,
    RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};

/// The newest version whose rights are asked for; an older kernel enforces those that it knows.
const NEWEST: ABI = ABI::V6;

/// The oldest version with which the limit counts as in force: it knows every kind of write but
/// truncation.
const OLDEST: i32 = 2;

/// Programs and libraries.
const PROGRAMS: &[&str] = &["/usr", "/lib", "/lib64"];
/// Files that are only read. `/proc/self` leads to the folder of this process, whatever its number.
const READ: &[&str] = &[
    "/etc",
    "/package",
    "/base",
    "/proc/self",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/stat",
    "/sys/fs/cgroup",
    // Mapped shared by a program that may write to it, it is memory without a limit.
    "/dev/zero",
];
const DEVICES: &[&str] = &["/dev/null", "/dev/full", "/dev/random", "/dev/urandom"];
/// Temporary memory.
const SCRATCH: &[&str] = &["/tmp", super::HOME];

/// What of Landlock is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessLimits {
    pub enforced: bool,
    /// Such as `Landlock ABI 6`.
    pub version: String,
}

/// Limits this process and its descendants for good.
///
/// # Errors
///
/// The kernel refuses the rules.
pub fn limit_access() -> Result<AccessLimits, RulesetError> {
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let all = AccessFs::from_all(NEWEST);
    let written = all & !BitFlags::from(AccessFs::Execute);
    let mut rules = Ruleset::default()
        .handle_access(all)?
        .handle_access(AccessNet::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?
        .create()?
        .no_new_privs(true);
    rules = allow(rules, PROGRAMS, read | AccessFs::Execute)?;
    rules = allow(rules, READ, read)?;
    let devices = AccessFs::ReadFile | AccessFs::WriteFile;
    rules = allow(rules, DEVICES, devices)?;
    rules = allow(rules, SCRATCH, written)?;
    // A socket can be made and replaced there, and nothing else.
    let sockets = AccessFs::MakeSock | AccessFs::RemoveFile | AccessFs::ReadDir;
    rules = allow(rules, &[super::SOCKET_DIR], sockets)?;
    let status = rules.restrict_self()?;
    Ok(described(&status.ruleset, &status.landlock))
}

/// Rules for the paths that are there.
fn allow(
    mut rules: RulesetCreated,
    paths: &[&str],
    access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, RulesetError> {
    for path in paths {
        let Ok(place) = PathFd::new(path) else {
            continue;
        };
        let access = match Path::new(path).is_dir() {
            true => access,
            false => access & AccessFs::from_file(NEWEST),
        };
        rules = rules.add_rule(PathBeneath::new(place, access))?;
    }
    Ok(rules)
}

fn described(ruleset: &RulesetStatus, kernel: &LandlockStatus) -> AccessLimits {
    let off = |version: &str| AccessLimits {
        enforced: false,
        version: version.to_owned(),
    };
    match kernel {
        LandlockStatus::Available { effective_abi, .. } => {
            let version = (*effective_abi as i32).min(NEWEST as i32);
            AccessLimits {
                enforced: *ruleset != RulesetStatus::NotEnforced && version >= OLDEST,
                version: format!("Landlock ABI {version}"),
            }
        }
        LandlockStatus::NotEnabled => off("Landlock is off: add it to the kernel's `lsm=`"),
        LandlockStatus::NotImplemented => off("the kernel has no Landlock: Linux 5.19 has it"),
    }
}

//! Control groups: where this process may make one, and the limits that are written into it.
//!
//! Version 2 is used where its controllers can be had, else the hierarchies of version 1. A group is
//! made below the group of this process, or beside it where version 2 permits no other place.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::{
    limits::{LimitName, ResourceLimits},
    sys,
};

/// Which interface a controller has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CgroupVersion {
    V1,
    V2,
}

/// The length of an accounting period for processor time, in microseconds.
const PERIOD: u64 = 100_000;

/// A limit that a control group enforces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupedLimit {
    pub limit: LimitName,
    pub version: CgroupVersion,
    /// The folder of the group in its hierarchy.
    pub folder: PathBuf,
}

impl GroupedLimit {
    /// The file that holds the limit, as reports name it.
    pub fn file(&self) -> &'static str {
        match (self.version, self.limit) {
            (CgroupVersion::V2, LimitName::Memory) => "memory.max",
            (CgroupVersion::V1, LimitName::Memory) => "memory.limit_in_bytes",
            (CgroupVersion::V2, LimitName::Cpus) => "cpu.max",
            (CgroupVersion::V1, LimitName::Cpus) => "cpu.cfs_quota_us",
            _ => "pids.max",
        }
    }

    /// What the file holds for a limit.
    fn value(&self, limits: &ResourceLimits) -> String {
        let quota = u64::from(limits.cpus.0) * PERIOD / 1000;
        match (self.version, self.limit) {
            (_, LimitName::Memory) => limits.memory.0.to_string(),
            (CgroupVersion::V2, LimitName::Cpus) => format!("{quota} {PERIOD}"),
            (CgroupVersion::V1, LimitName::Cpus) => quota.to_string(),
            _ => limits.pids.to_string(),
        }
    }

    /// Whether the text of the file is the limit.
    pub fn is_set(&self, text: &str, limits: &ResourceLimits) -> bool {
        text.trim() == self.value(limits)
    }

    fn write(&self, limits: &ResourceLimits) -> std::io::Result<()> {
        if (self.version, self.limit) == (CgroupVersion::V1, LimitName::Cpus) {
            let period = self.folder.join("cpu.cfs_period_us");
            sys::write_setting(&period, &PERIOD.to_string())?;
        }
        let file = self.folder.join(self.file());
        sys::write_setting(&file, &self.value(limits))?;
        if self.limit == LimitName::Memory {
            self.without_swap(limits);
        }
        match self.is_set(&fs::read_to_string(&file)?, limits) {
            true => Ok(()),
            false => Err(std::io::Error::other("the kernel keeps another value")),
        }
    }

    /// Swapped memory counts too, where the kernel counts it.
    fn without_swap(&self, limits: &ResourceLimits) {
        let (file, value) = match self.version {
            CgroupVersion::V2 => ("memory.swap.max", "0".to_owned()),
            CgroupVersion::V1 => ("memory.memsw.limit_in_bytes", limits.memory.0.to_string()),
        };
        // Absent on machines that do not count swap.
        let _ = sys::write_setting(&self.folder.join(file), &value);
    }
}

/// A control group of a container; removed when it is dropped, which is after its last process.
#[derive(Debug, Default)]
pub struct ResourceGroup {
    pub limits: Vec<GroupedLimit>,
    /// Each limit without a group, and why.
    pub obstacles: Vec<(LimitName, String)>,
}

const CONTROLLED: &[(LimitName, &str)] = &[
    (LimitName::Memory, "memory"),
    (LimitName::Cpus, "cpu"),
    (LimitName::Pids, "pids"),
];

impl ResourceGroup {
    /// Makes a group with every limit that this machine enforces so.
    pub fn create(name: &str, limits: &ResourceLimits) -> Self {
        let mut group = Self {
            limits: Vec::new(),
            obstacles: Vec::new(),
        };
        let hierarchies = Hierarchies::read();
        for (limit, controller) in CONTROLLED {
            match hierarchies.place(*limit, controller, name) {
                Ok(grouped) => match grouped.write(limits) {
                    Ok(()) => group.limits.push(grouped),
                    Err(error) => {
                        let file = grouped.folder.join(grouped.file());
                        let reason = format!("{}: {error}", file.display());
                        group.obstacles.push((*limit, reason));
                        remove(&grouped.folder);
                    }
                },
                Err(reason) => group.obstacles.push((*limit, reason)),
            }
        }
        group
    }

    /// How many processes of the group the kernel killed for want of memory.
    pub fn memory_kills(&self) -> u64 {
        let memory = self.limits.iter().find(|it| it.limit == LimitName::Memory);
        let Some(memory) = memory else {
            return 0;
        };
        let file = match memory.version {
            CgroupVersion::V2 => "memory.events",
            CgroupVersion::V1 => "memory.oom_control",
        };
        let text = fs::read_to_string(memory.folder.join(file)).unwrap_or_default();
        let counts = text.lines().filter_map(|line| line.split_once(' '));
        let mut kills = counts.filter(|(name, _)| *name == "oom_kill");
        kills
            .next()
            .and_then(|(_, count)| count.trim().parse().ok())
            .unwrap_or(0)
    }

    /// The folders that a process must join.
    pub fn folders(&self) -> Vec<PathBuf> {
        let mut folders: Vec<PathBuf> = self.limits.iter().map(|it| it.folder.clone()).collect();
        folders.sort();
        folders.dedup();
        folders
    }
}

impl Drop for ResourceGroup {
    fn drop(&mut self) {
        self.folders().iter().for_each(|folder| remove(folder));
    }
}

/// Removes a group, whose last process may still be ending.
fn remove(folder: &Path) {
    for _ in 0..100 {
        match fs::remove_dir(folder) {
            Err(error) if error.kind() == std::io::ErrorKind::ResourceBusy => {
                std::thread::park_timeout(Duration::from_millis(10));
            }
            // What cannot be removed is empty, and costs nothing.
            _ => return,
        }
    }
}

/// The mounted hierarchies, and the group of this process in each.
struct Hierarchies {
    mounts: Vec<CgroupMount>,
    /// Lines of `/proc/self/cgroup`: controllers and path.
    own: Vec<(String, String)>,
}

struct CgroupMount {
    version: CgroupVersion,
    /// The part of the hierarchy that is mounted.
    root: String,
    at: PathBuf,
    /// Controllers of version 1, and other options.
    options: Vec<String>,
}

impl Hierarchies {
    fn read() -> Self {
        let text = |path| fs::read_to_string(path).unwrap_or_default();
        let own = text("/proc/self/cgroup");
        let own = own.lines().filter_map(|line| {
            let mut parts = line.splitn(3, ':').skip(1);
            Some((parts.next()?.to_owned(), parts.next()?.to_owned()))
        });
        let mounts = text("/proc/self/mountinfo");
        Self {
            own: own.collect(),
            mounts: mounts.lines().filter_map(CgroupMount::parse).collect(),
        }
    }

    /// Makes the group for a controller.
    fn place(
        &self,
        limit: LimitName,
        controller: &str,
        name: &str,
    ) -> Result<GroupedLimit, String> {
        let mut reasons = Vec::new();
        for mount in &self.mounts {
            let grouped = |folder| GroupedLimit {
                limit,
                version: mount.version,
                folder,
            };
            let Some(own) = self.own_folder(mount, controller) else {
                continue;
            };
            let made = match mount.version {
                CgroupVersion::V1 => make(&own.join(name)),
                CgroupVersion::V2 => delegated(&own, controller, name, &mount.at),
            };
            match made {
                Ok(folder) => return Ok(grouped(folder)),
                Err(reason) => reasons.push(reason),
            }
        }
        match reasons.is_empty() {
            true => Err(format!(
                "no cgroup hierarchy with the controller `{controller}` is mounted"
            )),
            false => Err(reasons.join("; ")),
        }
    }

    fn own_folder(&self, mount: &CgroupMount, controller: &str) -> Option<PathBuf> {
        let wanted = match mount.version {
            CgroupVersion::V2 => "",
            CgroupVersion::V1 => controller,
        };
        let has = |list: &str| list.split(',').any(|it| it == wanted);
        if mount.version == CgroupVersion::V1 && !mount.options.iter().any(|it| it == controller) {
            return None;
        }
        let (_, path) = self.own.iter().find(|(list, _)| has(list))?;
        let root = mount.root.trim_end_matches('/');
        let below = path.strip_prefix(root)?.trim_start_matches('/');
        Some(mount.at.join(below))
    }
}

impl CgroupMount {
    /// A line of `/proc/self/mountinfo`, if it is of a control group.
    fn parse(line: &str) -> Option<Self> {
        let (first, last) = line.split_once(" - ")?;
        let mut last = last.split(' ');
        let version = match last.next()? {
            "cgroup" => CgroupVersion::V1,
            "cgroup2" => CgroupVersion::V2,
            _ => return None,
        };
        let options = last.nth(1)?.split(',').map(str::to_owned).collect();
        let mut first = first.split(' ').skip(3);
        Some(Self {
            version,
            root: first.next()?.to_owned(),
            at: PathBuf::from(first.next()?),
            options,
        })
    }
}

fn make(folder: &Path) -> Result<PathBuf, String> {
    match fs::create_dir(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(format!("{}: {error}", folder.display()))
        }
        _ => Ok(folder.to_owned()),
    }
}

/// Version 2: a group gets a controller only if the group above it passes it on, which one with
/// processes of its own cannot. So the group beside our own is tried too.
fn delegated(own: &Path, controller: &str, name: &str, top: &Path) -> Result<PathBuf, String> {
    let beside = own.parent().filter(|_| own != top);
    let mut reason = String::new();
    for above in [Some(own), beside].into_iter().flatten() {
        let folder = above.join(name);
        let is_new = !folder.exists();
        let made = match make(&folder) {
            Ok(folder) => folder,
            Err(error) => {
                reason = error;
                continue;
            }
        };
        let limit = match controller {
            "memory" => "memory.max",
            "cpu" => "cpu.max",
            _ => "pids.max",
        };
        let has = || made.join(limit).exists();
        if !has() {
            let file = above.join("cgroup.subtree_control");
            if let Err(error) = sys::write_setting(&file, &format!("+{controller}")) {
                reason = format!("{}: {error}", file.display());
            }
        }
        if has() {
            return Ok(made);
        }
        if is_new {
            remove(&made);
        }
        if reason.is_empty() {
            reason = format!("{} has no controller `{controller}`", above.display());
        }
    }
    Err(reason)
}

//! Containers by an OCI runtime: runc, crun or youki, with the limits of the built-in jail.
//!
//! The first program inside is this one, which limits file access with Landlock, reads the limits
//! back and becomes the server. It lies in a folder of its own with its libraries, so that the report
//! does not depend on the image.

use std::{
    fs,
    path::{Path, PathBuf},
};

use openlora_core::atomic;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    ContainerError, HOME,
    cgroup::{CgroupVersion, GroupedLimit},
    elf,
    folders::open_folder,
    image,
    inside::{GroupFiles, JailedProgram, LimitPlan, own_namespaces, report_and_start, send},
    jail::{JailSpec, JailedProcess, make_mount_points},
    limits::{CONTAINER_USER, LimitName},
    runtime_container::RuntimeContainer,
    syscalls::{PermittedCall, permitted_calls},
};

/// The first argument of the program as the first one inside.
pub const INSIDE_ARGUMENT: &str = "__inside";

/// The folder of this program inside.
const LAUNCHER: &str = "/launcher";

/// What the first program inside shall do.
#[derive(Debug, Serialize, Deserialize)]
struct InsideOrder {
    plan: LimitPlan,
    /// None for a trial run.
    program: Option<JailedProgram>,
}

/// Runs the first program inside; the second argument of this process says what it shall do.
pub fn run_inside(order: &str) -> i32 {
    let mut order: InsideOrder = match serde_json::from_str(order) {
        Ok(order) => order,
        Err(_) => return 1,
    };
    order.plan.grouped = mounted_groups();
    let files = GroupFiles::open(&order.plan);
    if let Some(failed) = report_and_start(&order.plan, &files, order.program.as_ref(), false) {
        send(&failed);
        return 1;
    }
    i32::from(order.program.is_some())
}

/// The control groups of this container, as its own hierarchy has them.
fn mounted_groups() -> Vec<GroupedLimit> {
    let top = Path::new("/sys/fs/cgroup");
    let all = [
        (LimitName::Memory, "memory"),
        (LimitName::Cpus, "cpu"),
        (LimitName::Pids, "pids"),
    ];
    let found = all.into_iter().filter_map(|(limit, controller)| {
        let places = [
            (CgroupVersion::V2, top.to_owned()),
            (CgroupVersion::V1, top.join(controller)),
        ];
        let grouped = places.into_iter().map(|(version, folder)| GroupedLimit {
            limit,
            version,
            folder,
        });
        let mut there = grouped.filter(|it| it.folder.join(it.file()).is_file());
        there.next()
    });
    found.collect()
}

/// Where a runtime is installed.
pub fn installed(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let mut places = std::env::split_paths(&path).map(|folder| folder.join(name));
    places.find(|place| place.is_file())
}

/// Starts `spec` and only reads its limits back.
///
/// # Errors
///
/// The runtime cannot start it, or a limit is neither in force nor waived.
pub fn try_runtime(runtime: &Path, spec: &JailSpec, helper: &Path) -> Result<(), ContainerError> {
    let process = begin(runtime, spec, helper, true)?;
    process.wait().map(drop)
}

/// Starts a container.
///
/// # Errors
///
/// As [`try_runtime`].
pub fn start_with(
    runtime: &Path,
    spec: &JailSpec,
    helper: &Path,
) -> Result<JailedProcess, ContainerError> {
    begin(runtime, spec, helper, false)
}

fn begin(
    runtime: &Path,
    spec: &JailSpec,
    helper: &Path,
    trial: bool,
) -> Result<JailedProcess, ContainerError> {
    make_mount_points(spec)?;
    for folder in ["/sys", LAUNCHER] {
        open_folder(&spec.root, Path::new(folder)).map_err(ContainerError::io("create", folder))?;
    }
    let id = crate::jail::group_name();
    let place = spec.root.with_file_name(&id);
    fs::create_dir(&place).map_err(ContainerError::io("create", &place))?;
    let order = InsideOrder {
        plan: LimitPlan {
            limits: spec.limits,
            waived: spec.waived.clone(),
            grouped: Vec::new(),
            obstacles: Vec::new(),
            outer_namespaces: own_namespaces(),
        },
        program: (!trial).then(|| spec.program.clone()),
    };
    let order = serde_json::to_string(&order)
        .map_err(|error| ContainerError::io("encode", "the order")(error.into()))?;
    let launcher = Launcher::for_helper(helper)?;
    let config = config(spec, &launcher, &order).to_string();
    let file = place.join("config.json");
    atomic::create_file(&file, config.as_bytes()).map_err(ContainerError::io("write", &file))?;
    let container = RuntimeContainer {
        runtime: runtime.to_owned(),
        id,
    };
    let mut command = container.command();
    command.args(["run", "-b"]).arg(&place).arg(&container.id);
    JailedProcess::of_runtime(command, container, spec)
}

/// This program inside, and how it starts there.
struct Launcher {
    /// Where each file of it is here, and its name inside.
    files: Vec<(PathBuf, String)>,
    arguments: Vec<String>,
}

impl Launcher {
    fn for_helper(helper: &Path) -> Result<Self, ContainerError> {
        let bytes = fs::read(helper).map_err(ContainerError::io("read", helper))?;
        let program = elf::read(helper, &bytes)?;
        let mut files = vec![(helper.to_owned(), "openlora".to_owned())];
        let inside = |name: &str| format!("{LAUNCHER}/{name}");
        let mut arguments = Vec::new();
        if let Some(loader) = &program.loader {
            for (_, source) in image::libraries(helper, &program)? {
                let name = source.file_name().unwrap_or_default().to_string_lossy();
                files.push((source.clone(), name.into_owned()));
            }
            let loader = loader.file_name().unwrap_or_default().to_string_lossy();
            arguments.push(inside(&loader));
        }
        arguments.push(inside("openlora"));
        Ok(Self { files, arguments })
    }
}

fn config(spec: &JailSpec, launcher: &Launcher, order: &str) -> Value {
    let limits = &spec.limits;
    let mut arguments = launcher.arguments.clone();
    arguments.extend([INSIDE_ARGUMENT.to_owned(), order.to_owned()]);
    let none: [&str; 0] = [];
    let user = CONTAINER_USER;
    // Root is there while the runtime prepares the container, and nobody else.
    let mapping = json!([
        { "containerID": 0, "hostID": 0, "size": 1 },
        { "containerID": user, "hostID": user, "size": 1 },
    ]);
    let namespaces = ["pid", "network", "ipc", "uts", "mount", "cgroup", "user"];
    let namespaces: Vec<Value> = namespaces.iter().map(|it| json!({ "type": it })).collect();
    let mut config = json!({
        "ociVersion": "1.0.2",
        "process": {
            "terminal": false,
            "user": { "uid": user, "gid": user },
            "args": arguments,
            // For its loader; the server gets an environment of its own.
            "env": ["PATH=/usr/bin", format!("LD_LIBRARY_PATH={LAUNCHER}")],
            "cwd": "/",
            "capabilities": {
                "bounding": none, "effective": none, "inheritable": none,
                "permitted": none, "ambient": none,
            },
            "rlimits": [
                { "type": "RLIMIT_NOFILE", "hard": limits.open_files, "soft": limits.open_files },
                { "type": "RLIMIT_CORE", "hard": 0, "soft": 0 },
            ],
            "noNewPrivileges": true,
        },
        "root": { "path": spec.root, "readonly": true },
        "hostname": "openlora",
        "mounts": mounts(spec, launcher),
        "linux": {
            "uidMappings": mapping,
            "gidMappings": mapping,
            "namespaces": namespaces,
            "resources": {
                "devices": [{ "allow": false, "access": "rwm" }],
                "memory": { "limit": limits.memory.0 },
                "cpu": { "quota": u64::from(limits.cpus.0) * 100, "period": 100_000 },
                "pids": { "limit": limits.pids },
            },
            "maskedPaths": [
                "/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/sched_debug",
                "/proc/acpi", "/proc/scsi", "/sys/firmware",
            ],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
        },
    });
    if !spec.waived.contains(&LimitName::Seccomp) {
        config["linux"]["seccomp"] = seccomp();
    }
    config
}

fn mounts(spec: &JailSpec, launcher: &Launcher) -> Vec<Value> {
    let size = format!("size={}", spec.scratch);
    let user = format!("uid={CONTAINER_USER}");
    let group = format!("gid={CONTAINER_USER}");
    let plain = ["nosuid", "noexec", "nodev"];
    let mut all = vec![
        json!({ "destination": "/proc", "type": "proc", "source": "proc", "options": plain }),
        json!({
            "destination": "/dev", "type": "tmpfs", "source": "tmpfs",
            "options": ["nosuid", "noexec", "mode=755", "size=65536k"],
        }),
        json!({
            "destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
            "options": ["nosuid", "noexec", "nodev", "ro"],
        }),
    ];
    for folder in ["/tmp", HOME] {
        all.push(json!({
            "destination": folder, "type": "tmpfs", "source": "tmpfs",
            "options": ["nosuid", "noexec", "nodev", "mode=700", size, user, group],
        }));
    }
    for bind in &spec.binds {
        let access = if bind.writable { "rw" } else { "ro" };
        let mut options = vec!["rbind", access, "nosuid", "nodev"];
        options.extend(bind.writable.then_some("noexec"));
        all.push(json!({
            "destination": bind.target, "type": "bind", "source": bind.source, "options": options,
        }));
    }
    for (source, name) in &launcher.files {
        let source = fs::canonicalize(source).unwrap_or_else(|_| source.clone());
        all.push(json!({
            "destination": format!("{LAUNCHER}/{name}"), "type": "bind", "source": source,
            "options": ["bind", "ro", "nosuid", "nodev"],
        }));
    }
    all
}

/// The calls with which the first program inside limits itself.
const LANDLOCK: [&str; 3] = [
    "landlock_create_ruleset",
    "landlock_add_rule",
    "landlock_restrict_self",
];

fn seccomp() -> Value {
    let (plain, tested): (Vec<PermittedCall>, Vec<PermittedCall>) = permitted_calls()
        .into_iter()
        .filter(|it| it.name != "clone3")
        .partition(|it| it.rows.is_empty());
    let names: Vec<&str> = plain.iter().map(|it| it.name).chain(LANDLOCK).collect();
    let mut rules = vec![
        json!({ "names": names, "action": "SCMP_ACT_ALLOW" }),
        json!({ "names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": libc::ENOSYS }),
    ];
    for call in tested {
        for row in &call.rows {
            let tests: Vec<Value> = row
                .iter()
                .map(|test| {
                    json!({
                        "index": test.argument, "op": "SCMP_CMP_MASKED_EQ",
                        "value": test.mask, "valueTwo": test.value,
                    })
                })
                .collect();
            rules.push(json!({ "names": [call.name], "action": "SCMP_ACT_ALLOW", "args": tests }));
        }
    }
    json!({
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": libc::EPERM,
        "architectures": [match std::env::consts::ARCH {
            "aarch64" => "SCMP_ARCH_AARCH64",
            _ => "SCMP_ARCH_X86_64",
        }],
        "syscalls": rules,
    })
}

//! What the inside sees: a read-only root with bind mounts, its own `/proc`, a few devices and
//! temporary memory.

use std::path::{Path, PathBuf};

use super::BindMount;
use crate::{
    inside::FailedStep,
    limits::{CONTAINER_USER, LimitName},
    sys,
};

const DEVICES: &[&str] = &["null", "zero", "full", "random", "urandom"];

const READ_ONLY: u64 = libc::MOUNT_ATTR_RDONLY;
const PLAIN: u64 = libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV;
const DATA: u64 = PLAIN | libc::MOUNT_ATTR_NOEXEC;

/// A path of the inside as the outside sees it.
pub fn below(root: &Path, inside: &Path) -> PathBuf {
    root.join(inside.strip_prefix("/").unwrap_or(inside))
}

fn bind(source: &Path, target: &Path) -> std::io::Result<()> {
    sys::mount(source, target, "", libc::MS_BIND | libc::MS_REC, "")
}

/// Builds the view below `root` and makes it the root of this process, which is the first one of
/// its namespaces.
pub fn enter(root: &Path, binds: &[BindMount], scratch: u64) -> Result<(), FailedStep> {
    let failed = |step| {
        move |error: std::io::Error| FailedStep::for_limit(step, LimitName::ReadOnlyRoot, &error)
    };
    let everything = Path::new("/");
    sys::mount(
        Path::new("none"),
        everything,
        "",
        libc::MS_REC | libc::MS_PRIVATE,
        "",
    )
    .map_err(failed("make mounts private"))?;
    bind(root, root).map_err(failed("mount the root"))?;
    let inside = |path: &str| below(root, Path::new(path));
    sys::mount(
        Path::new("proc"),
        &inside("/proc"),
        "proc",
        libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC,
        "",
    )
    .map_err(failed("mount /proc"))?;
    devices(&inside("/dev")).map_err(failed("mount /dev"))?;
    for folder in ["/tmp", crate::HOME] {
        let options = format!("size={scratch},mode=700,uid={CONTAINER_USER},gid={CONTAINER_USER}");
        let flags = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
        sys::mount(
            Path::new("tmpfs"),
            &inside(folder),
            "tmpfs",
            flags,
            &options,
        )
        .map_err(failed("mount temporary memory"))?;
    }
    for one in binds {
        let target = below(root, &one.target);
        bind(&one.source, &target)
            .and_then(|()| {
                let attributes = match one.writable {
                    true => DATA,
                    false => PLAIN | READ_ONLY,
                };
                sys::restrict_mount(&target, attributes, true)
            })
            .map_err(failed("mount a folder"))?;
    }
    std::env::set_current_dir(root).map_err(failed("enter the root"))?;
    sys::pivot_to_working_dir().map_err(failed("change the root"))?;
    std::env::set_current_dir("/").map_err(failed("enter the root"))?;
    sys::restrict_mount(everything, PLAIN | READ_ONLY, false)
        .and_then(|()| sys::restrict_mount(Path::new("/proc"), DATA | READ_ONLY, true))
        .and_then(|()| sys::restrict_mount(Path::new("/dev"), READ_ONLY, false))
        .map_err(failed("make the root read-only"))
}

fn devices(folder: &Path) -> std::io::Result<()> {
    let flags = libc::MS_NOSUID | libc::MS_NOEXEC;
    sys::mount(
        Path::new("tmpfs"),
        folder,
        "tmpfs",
        flags,
        "size=64k,mode=755",
    )?;
    for name in DEVICES {
        let target = folder.join(name);
        sys::mount_point(&target)?;
        bind(&Path::new("/dev").join(name), &target)?;
    }
    Ok(())
}

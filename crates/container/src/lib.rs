//! Light containers of adapters: image layouts, and the jail that runs them.
//!
//! [`image`] writes an OCI image layout of the program and a package without a daemon, [`unpack`]
//! reads one and trusts nothing in it. On Linux, [`jail`] starts a program in namespaces of its own,
//! [`inside`] limits it further and reads back which limits are in force, and [`oci_runtime`] starts
//! the same with runc, crun or youki. This crate knows neither the program that it starts nor the
//! terminal.
//!
//! ```
//! use openlora_container::limits::{CpuShare, MemorySize};
//!
//! let memory: MemorySize = "512MiB".parse().unwrap();
//! let cpus: CpuShare = "0.5".parse().unwrap();
//! assert_eq!((memory.0, cpus.0), (512 << 20, 500));
//! ```

#[cfg(target_os = "linux")]
mod access;
#[cfg(target_os = "linux")]
pub mod cgroup;
pub mod elf;
mod error;
pub mod folders;
pub mod image;
#[cfg(target_os = "linux")]
pub mod inside;
#[cfg(target_os = "linux")]
pub mod jail;
pub mod layout;
pub mod limits;
#[cfg(target_os = "linux")]
pub mod oci_runtime;
pub mod report;
pub mod runtime_choice;
#[cfg(target_os = "linux")]
mod runtime_container;
#[cfg(target_os = "linux")]
pub mod started;
#[cfg(target_os = "linux")]
mod sys;
#[cfg(target_os = "linux")]
pub mod syscalls;
pub mod unpack;

pub use error::ContainerError;

/// The writable home inside of a container, in memory.
pub const HOME: &str = "/home/openlora";
/// The folder that is shared with the outside, for one socket.
pub const SOCKET_DIR: &str = "/run/openlora";
/// The socket that a server inside listens on.
pub const SOCKET: &str = "/run/openlora/server.sock";
/// The program inside.
pub const PROGRAM: &str = "/usr/bin/openlora";
/// The adapter package inside.
pub const PACKAGE: &str = "/package";
/// The base model inside, where it comes from outside.
pub const BASE: &str = "/base";

//! The tests of this crate; each module is a suite. They make user namespaces, and need dpkg-deb and
//! apt-get of Debian for other programs that read images.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

mod attacks;
mod image;
mod limits;
mod runtimes;
mod support;
mod unpack_bad;

#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../../../../tests/support/golden.rs"]
mod golden;

#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../../../../tests/support/paths.rs"]
mod paths;

//! `package`.
use super::Context;
use crate::error::{ExitStatus, Failure};
use std::path::PathBuf;
pub struct PackageRequest {
    pub run: Option<PathBuf>,
    pub out: Option<PathBuf>,
    pub unsigned: bool,
    pub password_file: Option<PathBuf>,
}
pub async fn run(_: &Context, _: PackageRequest) -> Result<ExitStatus, Failure> {
    Ok(ExitStatus::Success)
}

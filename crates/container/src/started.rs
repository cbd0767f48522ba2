//! A started container, whichever runtime started it.

use std::path::Path;

use crate::{
    ContainerError,
    jail::{self, JailSpec, JailedProcess},
    oci_runtime,
    runtime_choice::ContainerRuntime,
};

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
        let mut passed_over = Vec::new();
        let tried: &[ContainerRuntime] = match runtime {
            ContainerRuntime::Auto => &[ContainerRuntime::Runc, ContainerRuntime::Crun],
            ContainerRuntime::Builtin => &[],
            _ => &[runtime],
        };
        for one in tried {
            match with_runtime(spec, helper, one.name()) {
                Ok(process) => {
                    return Ok(Self {
                        process,
                        runtime: one.name(),
                        passed_over,
                    });
                }
                Err(error) if runtime != ContainerRuntime::Auto => return Err(error),
                Err(error) => passed_over.push(error.to_string()),
            }
        }
        Ok(Self {
            process: jail::start(spec, helper)?,
            runtime: ContainerRuntime::Builtin.name(),
            passed_over,
        })
    }
}

/// Starts with a runtime whose trial run worked.
fn with_runtime(
    spec: &JailSpec,
    helper: &Path,
    name: &str,
) -> Result<JailedProcess, ContainerError> {
    let failed = |reason: String| ContainerError::Runtime {
        runtime: name.to_owned(),
        reason,
    };
    let runtime =
        oci_runtime::installed(name).ok_or_else(|| failed("it is not installed".to_owned()))?;
    match oci_runtime::try_runtime(&runtime, spec, helper) {
        Ok(()) => oci_runtime::start_with(&runtime, spec, helper),
        Err(ContainerError::Jail { reason, .. }) => Err(failed(reason)),
        Err(error) => Err(error),
    }
}

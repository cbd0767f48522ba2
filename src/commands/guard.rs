//! Hardening before any command runs: no core dumps of this process, and no access of others to its
//! folders.

use super::CommandContext;
use openlora_core::private::{files, memory};

/// Applies what the system allows; a failure is printed as a warning, and the command continues.
pub fn raise(context: &CommandContext) {
    if let Err(error) = memory::forbid_dumps() {
        let why = openlora_core::error::describe_io(&error);
        context.printer.warn(format!(
            "a core dump of this process would have its keys: {why}"
        ));
    }
    let dirs = &context.dirs;
    // The cache holds public downloads; it is made private once and then left alone.
    for folder in [&dirs.config, &dirs.data] {
        if !folder.is_dir() || !files::is_open_to_others(folder) {
            continue;
        }
        let shown = folder.display();
        match files::tighten_tree(folder) {
            Ok(count) => context.printer.note(format!(
                "{shown} was open to other users of this machine: {count} files and folders there \
                 are its owner's alone now"
            )),
            Err(error) => context.printer.warn(format!(
                "{shown} is open to other users of this machine: {}",
                openlora_core::error::describe_io(&error)
            )),
        }
    }
}

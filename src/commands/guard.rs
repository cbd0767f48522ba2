//! Before any verb: no core dump has what this process knows, and nobody else can look into its
//! folders.

use super::CommandContext;
use crate::private::{files, memory};

/// Does what can be done; what cannot is told, and the verb goes on.
pub fn raise(context: &CommandContext) {
    if let Err(error) = memory::forbid_dumps() {
        let why = crate::error::describe_io(&error);
        context.printer.warn(format!(
            "a core dump of this process would have its keys: {why}"
        ));
    }
    let dirs = &context.dirs;
    // The cache has what everybody can download; it is made private and then left alone.
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
                crate::error::describe_io(&error)
            )),
        }
    }
}

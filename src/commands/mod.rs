//! One file per verb: settled settings in, exit status out. Wiring only; what a verb does lives
//! in the runtime.

use crate::{
    printer::Printer,
    settings::{Dirs, Settings},
};

/// What every command gets besides its own request.
#[derive(Clone, Debug)]
pub struct Context {
    pub printer: Printer,
    pub settings: Settings,
    pub dirs: Dirs,
    /// No network access besides loopback.
    pub offline: bool,
    /// Never ask; a question becomes an error.
    pub no_input: bool,
}

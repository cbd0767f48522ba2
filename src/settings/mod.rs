//! Flags, environment and files become validated settings.
//!
//! Every key is a row of [`keys::KEYS`]. A value comes from the strongest layer that sets it
//! (flag, `OPENLORA_*` variable, project file, user file, default) and remembers where that was,
//! so that `config show --origin` can prove it.

mod files;
pub mod keys;
mod resolve;
mod typed;

pub use files::{Dirs, SettingsError, closest, find_project_file, parse, read_file};
pub use keys::{KEYS, Key, Kind, ProjectSettings, Settings};
pub use resolve::{
    Layered, NetworkEntry, Origin, Override, SourceEntry, Value, default_of, variable_of,
};
pub use typed::{ContractPayerPolicy, FacilitatorAccess, IndexMethod, LossTokens, SettingValue};

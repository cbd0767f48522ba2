//! Flags, environment and files become validated settings.
//!
//! Every key is a row of [`keys::KEYS`]. A value comes from the strongest layer that sets it
//! (flag, `OPENLORA_*` variable, project file, user file, default) and remembers where that was,
//! so that `config show --origin` can prove it.

mod bounds;
mod files;
pub mod keys;
mod resolve;
mod typed;
mod value;

pub use files::{Dirs, SettingsError, closest, find_project_file, parse, read_file};
pub use keys::{KEYS, Key, ProjectSettings, Settings, variable_of};
pub use resolve::{Layered, Override, default_of};
pub use typed::{ContractPayerPolicy, FacilitatorAccess, IndexMethod, LossTokens, StatedSetting};
pub use value::{Kind, NetworkEntry, Origin, SourceEntry, Value};

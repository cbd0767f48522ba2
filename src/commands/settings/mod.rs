//! Validated settings from flags, environment and files.
//!
//! Every key is a row of [`keys::KEYS`]. A value comes from the strongest layer that sets it (flag,
//! `OPENLORA_*` variable, project file, user file, default) and keeps its origin, which `config
//! show --origin` prints.

mod bounds;
mod files;
pub mod keys;
mod resolve;
mod typed;
mod value;

pub use files::{SettingsError, closest, discover_dirs, find_project_file, parse, read_file};
pub use keys::{KEYS, ProjectSettings, SettingKey, Settings, variable_of};
pub use resolve::{SettingLayers, SettingOverride, default_of};
pub use typed::{
    ContractPayerPolicy, EnginePreference, FacilitatorChoice, IndexMethodChoice, IsolationScope,
    StatedSetting,
};
pub use value::{
    NetworkEntry, NetworkValue, SettingKind, SettingOrigin, SettingValue, SourceEntry,
};

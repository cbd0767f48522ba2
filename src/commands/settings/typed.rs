//! The Rust types of settings: the fields of [`super::Settings`].

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use super::value::{SettingKind, SettingOrigin, SettingValue, Values};

/// A setting with its key and origin, for values that are parsed later and whose errors must name
/// them: token amounts (their decimals depend on the token), paths, chains.
#[derive(Clone, Debug, PartialEq)]
pub struct StatedSetting<T> {
    pub value: T,
    pub key: &'static str,
    pub origin: SettingOrigin,
    /// Folder that a relative path in it refers to.
    folder: PathBuf,
}

impl<T> StatedSetting<T> {
    pub fn is_default(&self) -> bool {
        self.origin == SettingOrigin::Default
    }
}

impl StatedSetting<String> {
    /// The value as a path, resolved against its origin.
    pub fn path(&self) -> PathBuf {
        self.folder.join(&self.value)
    }
}

/// A value of the table, where it was set, and its key.
pub(super) struct Found<'a> {
    key: &'static str,
    value: &'a SettingValue,
    origin: &'a SettingOrigin,
    working_dir: &'a Path,
}

impl Found<'_> {
    /// Folder that relative paths refer to: that of the file with the setting, or the working
    /// folder.
    fn folder(&self) -> PathBuf {
        match self.origin {
            SettingOrigin::File { place } => {
                let file = place
                    .rsplit_once(':')
                    .map_or(place.as_str(), |(file, _)| file);
                let parent = Path::new(file).parent();
                parent.unwrap_or(Path::new(".")).to_owned()
            }
            _ => self.working_dir.to_owned(),
        }
    }
}

/// The type of a field of the settings.
pub(super) trait FromSetting: Sized {
    /// `None` if the value does not fit; [`SettingKind`] accepts no such value.
    fn from_setting(found: &Found<'_>) -> Option<Self>;

    /// The field's value if the setting is unset.
    fn unset() -> Option<Self> {
        None
    }
}

/// Reads the field for `key`; its key is the error.
pub(super) fn field<T: FromSetting>(
    key: &'static str,
    values: &Values,
    working_dir: &Path,
) -> Result<T, &'static str> {
    let read = match values.get(key) {
        None => T::unset(),
        Some((value, origin)) => T::from_setting(&Found {
            key,
            value,
            origin,
            working_dir,
        }),
    };
    read.ok_or(key)
}

impl<T: FromSetting> FromSetting for Option<T> {
    fn from_setting(found: &Found<'_>) -> Option<Self> {
        T::from_setting(found).map(Some)
    }

    fn unset() -> Option<Self> {
        Some(None)
    }
}

impl<T: FromSetting> FromSetting for StatedSetting<T> {
    fn from_setting(found: &Found<'_>) -> Option<Self> {
        Some(Self {
            value: T::from_setting(found)?,
            key: found.key,
            origin: found.origin.clone(),
            folder: found.folder(),
        })
    }
}

impl FromSetting for String {
    fn from_setting(found: &Found<'_>) -> Option<Self> {
        match found.value {
            SettingValue::Text(text) => Some(text.clone()),
            _ => None,
        }
    }
}

impl FromSetting for bool {
    fn from_setting(found: &Found<'_>) -> Option<Self> {
        match found.value {
            SettingValue::Boolean(on) => Some(*on),
            _ => None,
        }
    }
}

impl FromSetting for f64 {
    fn from_setting(found: &Found<'_>) -> Option<Self> {
        match found.value {
            SettingValue::Number(number) => Some(*number),
            _ => None,
        }
    }
}

impl FromSetting for i64 {
    fn from_setting(found: &Found<'_>) -> Option<Self> {
        match found.value {
            SettingValue::Integer(number) => Some(*number),
            _ => None,
        }
    }
}

macro_rules! whole_numbers {
    ($($type:ty),+) => {$(
        impl FromSetting for $type {
            fn from_setting(found: &Found<'_>) -> Option<Self> {
                i64::from_setting(found)?.try_into().ok()
            }
        }
    )+};
}
whole_numbers!(u16, u32, u64, usize);

/// Seconds.
impl FromSetting for Duration {
    fn from_setting(found: &Found<'_>) -> Option<Self> {
        u64::from_setting(found).map(Self::from_secs)
    }
}

impl FromSetting for Vec<String> {
    fn from_setting(found: &Found<'_>) -> Option<Self> {
        match found.value {
            SettingValue::List(texts) => Some(texts.clone()),
            _ => None,
        }
    }

    fn unset() -> Option<Self> {
        Some(Self::new())
    }
}

/// Paths, resolved against their origin.
impl FromSetting for Vec<PathBuf> {
    fn from_setting(found: &Found<'_>) -> Option<Self> {
        let (texts, folder) = (Vec::<String>::from_setting(found)?, found.folder());
        Some(texts.into_iter().map(|text| folder.join(text)).collect())
    }

    fn unset() -> Option<Self> {
        Some(Self::new())
    }
}

/// Declares a setting with a fixed set of values.
macro_rules! choice {
    ($(#[$meta:meta])* $name:ident { $($(#[$about:meta])* $variant:ident = $word:literal),+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[$about])* $variant,)+
        }

        impl $name {
            pub(super) const KIND: SettingKind = SettingKind::Choice(&[$($word),+]);
        }

        impl FromSetting for $name {
            fn from_setting(found: &Found<'_>) -> Option<Self> {
                match String::from_setting(found)?.as_str() {
                    $($word => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }
    };
}

choice! {
    /// How the index scores examples.
    IndexMethodChoice { Influence = "influence", Datainf = "datainf", Gradient = "gradient" }
}

choice! {
    /// Which engine answers.
    EnginePreference {
        /// The one that fits the base, the adapters and the calls.
        Auto = "auto",
        Mistralrs = "mistralrs",
        Native = "native"
    }
}

choice! {
    /// Who may use the facilitator routes.
    FacilitatorChoice { Off = "off", Token = "token", Public = "public" }
}

choice! {
    /// Which adapters run in processes of their own, the safest first.
    IsolationScope {
        All = "all",
        /// Those of other people: pulled packages, and what the registry registers.
        Others = "others",
        Off = "off"
    }
}

choice! {
    /// What becomes of payments that a contract's code decides about (ERC-1271).
    ContractPayerPolicy {
        Refuse = "refuse",
        /// They are claimed before the answer.
        Settle = "settle"
    }
}

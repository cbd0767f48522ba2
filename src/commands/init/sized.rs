//! Settings of a project for a base of some size.
//!
//! The templates' own settings are for `nano`. A larger base needs a lower learning rate, and smaller
//! micro-batches for their memory; a step has 16 rows for every size.

use std::{borrow::Cow, fmt};

use serde::Serialize;
use toml_edit::{DocumentMut, Item, Table, value};

use super::ProjectFile;
use crate::commands::CommandContext;
use openlora_core::error::{ExitClass, Failure};
use openlora_model::base_size;

/// Hyperparameters for bases of up to some size.
struct SizeClass {
    /// Parameters of the largest such base.
    most: u64,
    lr: f64,
    batch: i64,
    accumulate: i64,
    max_len: i64,
    /// Modules to adapt, if not all.
    targets: Option<&'static [&'static str]>,
}

const ATTENTION: &[&str] = &["q_proj", "k_proj", "v_proj", "o_proj"];

/// From small to large. The rate of the second class is the best of 5e-4, 1e-3 and 2e-3 for
/// SmolLM2-135M on real posts; those of larger bases follow the usual decline with size.
const CLASSES: &[SizeClass] = &[
    SizeClass {
        most: 50_000_000,
        lr: 2e-3,
        batch: 16,
        accumulate: 1,
        max_len: 256,
        targets: None,
    },
    SizeClass {
        most: 250_000_000,
        lr: 1e-3,
        batch: 8,
        accumulate: 2,
        max_len: 512,
        targets: None,
    },
    SizeClass {
        most: 800_000_000,
        lr: 5e-4,
        batch: 4,
        accumulate: 4,
        max_len: 512,
        targets: None,
    },
    SizeClass {
        most: 2_000_000_000,
        lr: 3e-4,
        batch: 2,
        accumulate: 8,
        max_len: 512,
        targets: Some(ATTENTION),
    },
    SizeClass {
        most: u64::MAX,
        lr: 2e-4,
        batch: 1,
        accumulate: 16,
        max_len: 512,
        targets: Some(ATTENTION),
    },
];

/// Assumed of a base whose size is not known.
const UNKNOWN: u64 = 1_000_000_000;
/// A larger base needs no more passes than this.
const MOST_EPOCHS: i64 = 3;
/// Randomness of answers.
const TEMPERATURE: f64 = 0.7;

/// A base for which the settings of a project are written.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct SizedBase {
    /// As in `base.id`.
    id: String,
    /// Null if neither its files nor its name tell.
    parameters: Option<u64>,
}

impl SizedBase {
    /// The base at a path, which the project names as an absolute one, or on the Hub.
    pub fn find(context: &CommandContext, wanted: &str) -> Result<Self, Failure> {
        let path = context.settings.working_dir.join(wanted);
        let id = match path.exists() {
            true => {
                let real = path.canonicalize();
                let real = real.map_err(|error| Failure::io("read", &path, &error))?;
                real.display().to_string()
            }
            false => wanted.to_owned(),
        };
        let parameters = base_size(&id)?;
        Ok(Self { id, parameters })
    }

    fn class(&self) -> &'static SizeClass {
        let size = self.parameters.unwrap_or(UNKNOWN);
        let class = CLASSES.iter().find(|class| size <= class.most);
        class.unwrap_or(&CLASSES[CLASSES.len() - 1])
    }

    /// A file of a template with the settings for this base.
    pub fn fit(&self, file: ProjectFile) -> Result<ProjectFile, Failure> {
        let (name, bytes) = file;
        let text = String::from_utf8_lossy(&bytes);
        let fitted = match name.as_str() {
            "openlora.toml" => self.fit_settings(&text)?,
            "README.md" => fit_readme(&text),
            _ => return Ok((name, bytes)),
        };
        Ok((name, Cow::Owned(fitted.into_bytes())))
    }

    fn fit_settings(&self, text: &str) -> Result<String, Failure> {
        let parsed = text.parse::<DocumentMut>();
        let mut settings = parsed.map_err(|error| {
            Failure::new(
                ExitClass::Internal,
                format!("a template is damaged: {error}"),
            )
        })?;
        let class = self.class();
        settings["base"]["id"] = value(&self.id);
        if let Some(train) = settings["train"].as_table_mut() {
            train["lr"] = value(class.lr);
            train["batch"] = value(class.batch);
            train["accumulate"] = value(class.accumulate);
            train["max_len"] = value(class.max_len);
            train["on_long"] = value("truncate");
            if let Some(targets) = class.targets {
                train["targets"] = value(toml_edit::Array::from_iter(targets.iter().copied()));
            }
            limit_epochs(train);
        }
        if let Some(temperature) = settings
            .get_mut("serve")
            .and_then(|serve| serve.get_mut("temperature"))
        {
            *temperature = value(TEMPERATURE);
        }
        Ok(settings.to_string())
    }
}

fn limit_epochs(train: &mut Table) {
    let epochs = train.get("epochs").and_then(Item::as_integer);
    if epochs.is_some_and(|epochs| epochs > MOST_EPOCHS) {
        train["epochs"] = value(MOST_EPOCHS);
    }
}

/// The time of a training is that of another base.
fn fit_readme(text: &str) -> String {
    let fitted = |line: &str| match line.strip_prefix("openlora train ") {
        Some(_) => "openlora train --plan          # predicts time and memory on this machine\n\
                    openlora train"
            .to_owned(),
        None => line.to_owned(),
    };
    let lines: Vec<String> = text.lines().map(fitted).collect();
    lines.join("\n") + "\n"
}

impl fmt::Display for SizedBase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SizeClass {
            lr, batch, max_len, ..
        } = self.class();
        write!(f, "base {}, ", self.id)?;
        match self.parameters {
            Some(count) => write!(f, "{:.0} million parameters", count as f64 / 1e6)?,
            None => write!(
                f,
                "its size is not known: settings for a billion parameters"
            )?,
        }
        write!(
            f,
            ": lr {lr}, batch {batch}, max_len {max_len}, long rows are cut"
        )
    }
}

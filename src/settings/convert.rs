//! Settings as the typed structs that rooms of the runtime take.

use super::resolve::Settings;

/// What the project is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProjectSettings {
    pub name: Option<String>,
    pub task: Option<String>,
    pub labels: Vec<String>,
    pub instruction: Option<String>,
}

/// The base model to open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseSettings {
    pub id: String,
    pub revision: String,
    pub endpoint: String,
}

impl Settings {
    fn owned(&self, name: &str) -> Option<String> {
        self.text(name).map(str::to_owned)
    }

    pub fn project(&self) -> ProjectSettings {
        ProjectSettings {
            name: self.owned("project.name"),
            task: self.owned("project.task"),
            labels: self.list("project.labels"),
            instruction: self.owned("project.instruction"),
        }
    }

    /// A relative folder in `base.id` refers to the file that names it.
    pub fn base(&self) -> BaseSettings {
        let id = self.owned("base.id").unwrap_or_default();
        let folder = self.resolve_path("base.id", &id);
        let is_folder = id != "nano" && (id.starts_with('.') || folder.is_dir());
        BaseSettings {
            id: if is_folder {
                folder.display().to_string()
            } else {
                id
            },
            revision: self.owned("base.revision").unwrap_or_default(),
            endpoint: self.owned("base.endpoint").unwrap_or_default(),
        }
    }
}

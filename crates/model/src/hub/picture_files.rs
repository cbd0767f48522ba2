//! The files of a repository with a base for pictures: the denoiser in a folder of its own, and maybe
//! the model that reads captions beside it.

use std::path::{Path, PathBuf};

use hf_hub::{CacheRepo, api::RepoInfo};

use super::has;
use crate::{
    error::ModelError,
    picture_base::{DENOISER_FOLDERS, TEXT_FOLDER, picture_weight_files},
    weight_files::{INDEX, PICTURE_INDEX, PICTURE_SINGLE, SINGLE, weight_files},
};

/// Files that a text encoder must have to be fetched.
const TEXT_REQUIRED: [&str; 2] = ["config.json", "tokenizer.json"];

/// The folder of the denoiser in a repository; empty for the repository itself.
pub(super) struct PictureFolder(&'static str);

impl PictureFolder {
    /// The denoiser's folder, if the repository has one with weights as diffusers names them.
    pub fn in_repository(info: &RepoInfo) -> Option<Self> {
        let folders = DENOISER_FOLDERS.into_iter().map(Self);
        folders.into_iter().find(|folder| {
            let weights = [PICTURE_SINGLE, PICTURE_INDEX].map(|name| folder.name(name));
            has(info, &folder.config()) && weights.iter().any(|name| has(info, name))
        })
    }

    /// The folder of a repository in the cache, if its files are complete.
    pub fn in_cache(cache: &CacheRepo) -> Option<PathBuf> {
        let complete = |folder: Self| {
            let config = cache.get(&folder.config())?;
            let root = folder.root_of(&config);
            let denoiser = picture_weight_files(config.parent()?).ok()?;
            let text = root.join(TEXT_FOLDER);
            let text = match text.join("config.json").is_file() {
                true => weight_files(&text).ok()?,
                false => Vec::new(),
            };
            let all = denoiser.iter().chain(&text).all(|path| path.exists());
            all.then_some(root)
        };
        DENOISER_FOLDERS.into_iter().map(Self).find_map(complete)
    }

    fn name(&self, file: &str) -> String {
        match self.0 {
            "" => file.to_owned(),
            folder => format!("{folder}/{file}"),
        }
    }

    pub fn config(&self) -> String {
        self.name("config.json")
    }

    /// The repository's folder, from the path of its [`Self::config`].
    pub fn root_of(&self, config: &Path) -> PathBuf {
        let depth = self.config().split('/').count();
        config.ancestors().nth(depth).unwrap_or(config).to_owned()
    }

    /// The files besides weights and the denoiser's config, indices included.
    pub fn small_files(&self, info: &RepoInfo) -> Vec<String> {
        let text = match has_text(info) {
            true => TEXT_REQUIRED
                .into_iter()
                .chain(["tokenizer_config.json", INDEX])
                .map(text_name)
                .collect(),
            false => Vec::new(),
        };
        let mut all = vec![self.name(PICTURE_INDEX), "README.md".to_owned()];
        all.extend(text);
        all.retain(|name| has(info, name));
        all
    }

    /// The weights, by the indices that were fetched to `root`.
    pub fn weights(&self, info: &RepoInfo, root: &Path) -> Result<Vec<String>, ModelError> {
        let mut all = match has(info, &self.name(PICTURE_INDEX)) {
            true => named(picture_weight_files(&root.join(self.0))?, |it| {
                self.name(it)
            }),
            false => vec![self.name(PICTURE_SINGLE)],
        };
        if has_text(info) {
            all.extend(match has(info, &text_name(INDEX)) {
                true => named(weight_files(&root.join(TEXT_FOLDER))?, text_name),
                false => vec![text_name(SINGLE)],
            });
        }
        Ok(all)
    }
}

fn text_name(file: &str) -> String {
    format!("{TEXT_FOLDER}/{file}")
}

fn named(paths: Vec<PathBuf>, name: impl Fn(&str) -> String) -> Vec<String> {
    let names = paths.iter().filter_map(|path| path.file_name());
    names.map(|it| name(&it.to_string_lossy())).collect()
}

/// Whether the model that reads captions is in the repository.
fn has_text(info: &RepoInfo) -> bool {
    TEXT_REQUIRED.iter().all(|name| has(info, &text_name(name)))
}

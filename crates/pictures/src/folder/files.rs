//! The files of a folder: pictures, captions, and what is neither.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use super::{
    METADATA_FILE,
    error::{FolderError, unreadable},
};

/// Folders within folders are followed this far.
const MAX_DEPTH: usize = 8;

/// Extensions of pictures, also of kinds that are not read: such a file is refused, not passed over.
const PICTURE_EXTENSIONS: &[&str] = &[
    "png", "jpg", "jpeg", "webp", "apng", "gif", "bmp", "tif", "tiff", "heic", "heif", "avif",
    "svg", "jxl", "jp2", "ico", "psd", "qoi", "jfif",
];

/// Names of files that are about a folder rather than about a picture.
const ABOUT_FOLDER: &[&str] = &[
    "readme", "license", "licence", "notice", "authors", "credits",
];

/// Paths within the folder, with `/` between parts.
#[derive(Debug, Default)]
pub(super) struct FolderFiles {
    pub(super) pictures: BTreeSet<String>,
    /// `NAME.txt` files.
    pub(super) texts: BTreeSet<String>,
    pub(super) has_metadata: bool,
    /// What is not read.
    pub(super) others: BTreeSet<String>,
}

impl FolderFiles {
    pub(super) fn list(dir: &Path) -> Result<Self, FolderError> {
        let path = dir.to_owned();
        match fs::metadata(dir) {
            Ok(found) if found.is_dir() => {}
            Ok(_) => return Err(FolderError::NotFolder { path }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(FolderError::Missing { path });
            }
            Err(error) => return Err(unreadable(dir)(error)),
        }
        let mut files = Self::default();
        files.add(dir, "", 0)?;
        Ok(files)
    }

    fn add(&mut self, dir: &Path, prefix: &str, depth: usize) -> Result<(), FolderError> {
        for entry in fs::read_dir(dir).map_err(unreadable(dir))? {
            let entry = entry.map_err(unreadable(dir))?;
            let path = entry.path();
            let Ok(name) = entry.file_name().into_string() else {
                return Err(FolderError::OddName { path });
            };
            // Hidden files are those of file managers and of Git.
            if name.starts_with('.') || matches!(name.as_str(), "Thumbs.db" | "desktop.ini") {
                continue;
            }
            let kind = entry.file_type().map_err(unreadable(&path))?;
            let relative = format!("{prefix}{name}");
            if kind.is_symlink() {
                return Err(FolderError::SymbolicLink { path });
            }
            if kind.is_dir() {
                if depth == MAX_DEPTH {
                    return Err(FolderError::TooDeep { path });
                }
                self.add(&path, &format!("{relative}/"), depth + 1)?;
            } else {
                self.add_file(path, relative)?;
            }
        }
        Ok(())
    }

    fn add_file(&mut self, path: PathBuf, relative: String) -> Result<(), FolderError> {
        let name = relative.rsplit('/').next().unwrap_or_default();
        let (stem, extension) = name.rsplit_once('.').unwrap_or((name, ""));
        let extension = extension.to_ascii_lowercase();
        let about = ABOUT_FOLDER.contains(&stem.to_ascii_lowercase().as_str());
        match (name, extension.as_str()) {
            (METADATA_FILE, _) if relative == METADATA_FILE => self.has_metadata = true,
            (METADATA_FILE, _) => return Err(FolderError::InnerMetadata { path }),
            ("metadata.csv", _) => return Err(FolderError::CsvMetadata { path }),
            ("metadata.parquet", _) => return Err(FolderError::ParquetMetadata { path }),
            (_, "txt" | "caption") if !about => {
                self.texts.insert(relative);
            }
            (_, extension) if PICTURE_EXTENSIONS.contains(&extension) => {
                self.pictures.insert(relative);
            }
            _ => {
                self.others.insert(relative);
            }
        }
        Ok(())
    }
}

//! Folders of captioned pictures.
//!
//! Captions are in `metadata.jsonl`, as the `imagefolder` of Hugging Face's `datasets` has it: one
//! JSON object a line with `file_name` and `text` or `caption`. Without such a file, `NAME.txt`
//! beside each picture holds its caption. Every picture has a caption and every caption a picture;
//! what is not read is reported. Nothing outside of the folder is opened.

mod captions;
mod error;
mod files;
mod json_lines;
mod report;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

pub use error::{CaptionFault, FolderError};
pub use report::{CaptionLength, FolderReport, FolderWarning, unfamiliar_captions};

use self::{
    captions::NamedCaption,
    error::{in_picture, unreadable},
    files::FolderFiles,
};
use crate::{
    error::PictureError,
    picture::Picture,
    reading::{ReadLimits, read_named_picture},
};

/// The file with all captions of a folder.
pub const METADATA_FILE: &str = "metadata.jsonl";

/// How a folder is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FolderOptions {
    /// Of each picture.
    pub limits: ReadLimits,
    /// Cut each picture to a square of this side as it is read, so that a folder of photographs
    /// fits into memory.
    pub fit: Option<u32>,
    /// In the whole folder.
    pub max_pictures: usize,
}

impl Default for FolderOptions {
    /// Pictures as they are, at most 100 000.
    fn default() -> Self {
        Self {
            limits: ReadLimits::default(),
            fit: None,
            max_pictures: 100_000,
        }
    }
}

/// All pictures of a folder, in the order of its captions.
#[derive(Clone, Debug)]
pub struct CaptionedFolder {
    /// As it was named.
    pub path: PathBuf,
    /// In the order of `metadata.jsonl`, or of the file names; at least one.
    pub pictures: Vec<CaptionedPicture>,
    /// What was not read, and what may be a mistake.
    pub warnings: Vec<FolderWarning>,
}

/// A picture and its caption.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaptionedPicture {
    /// The picture's file.
    pub path: PathBuf,
    /// Within the folder, with `/` between parts.
    pub name: String,
    /// The file that has the caption.
    pub caption_file: PathBuf,
    /// The line of the caption in that file, from 1.
    pub line: usize,
    /// Without space around it.
    pub caption: String,
    /// Cut and scaled, if the options say so.
    pub picture: Picture,
    /// SHA-256 of width and height as little-endian 32-bit numbers and of the pixels as they were read:
    /// the same for every format that keeps them.
    pub digest: [u8; 32],
    /// Before it was cut, upright, in pixels.
    pub original_width: u32,
    /// Before it was cut, upright, in pixels.
    pub original_height: u32,
    /// Of the file.
    pub bytes: u64,
}

impl CaptionedPicture {
    /// Where the caption is, for people: `path:line`.
    pub fn place(&self) -> String {
        format!("{}:{}", self.caption_file.display(), self.line)
    }
}

impl CaptionedFolder {
    /// Counts, sizes and lengths for people.
    pub fn report(&self) -> FolderReport {
        report::reported(&self.pictures)
    }
}

/// [`read_folder_with`] the limits that suit most folders, each picture as it is.
///
/// # Errors
/// As there.
pub fn read_folder(dir: &Path) -> Result<CaptionedFolder, FolderError> {
    read_folder_with(dir, &FolderOptions::default())
}

/// Reads a folder of captioned pictures completely.
///
/// # Errors
/// At the first picture or caption that is missing, broken, named twice or outside of the folder.
pub fn read_folder_with(
    dir: &Path,
    options: &FolderOptions,
) -> Result<CaptionedFolder, FolderError> {
    // There is an error in every list of errors.
    inspect_folder(dir, options, 1).map_err(|mut faults| faults.swap_remove(0))
}

/// Reads a folder as [`read_folder_with`] does, and finds more than the first error.
///
/// # Errors
/// Every picture and caption that is missing, broken, named twice or outside of the folder, in the
/// order of the folder; at least one, and about `most`, after which no more pictures are read.
pub fn inspect_folder(
    dir: &Path,
    options: &FolderOptions,
    most: usize,
) -> Result<CaptionedFolder, Vec<FolderError>> {
    let only = |fault| vec![fault];
    let files = FolderFiles::list(dir).map_err(only)?;
    let count = files.pictures.len();
    if count == 0 {
        return Err(only(FolderError::NoPictures {
            path: dir.to_owned(),
        }));
    }
    if count > options.max_pictures {
        return Err(only(FolderError::TooMany {
            path: dir.to_owned(),
            found: count,
            limit: options.max_pictures,
        }));
    }
    let captions = match captions::read(dir, &files) {
        Ok(captions) => captions,
        Err(mut faults) => {
            for name in &files.pictures {
                if faults.len() >= most {
                    break;
                }
                faults.extend(read_file(&dir.join(name), options).err());
            }
            return Err(faults);
        }
    };
    let (mut pictures, mut faults) = (Vec::new(), Vec::new());
    for caption in captions.captions {
        match read_row(dir, caption, options) {
            Ok(picture) => pictures.push(picture),
            Err(fault) => faults.push(fault),
        }
        if faults.len() >= most {
            break;
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    let mut warnings = captions.warnings;
    warnings.extend(report::same_pictures(&pictures));
    warnings.extend(options.fit.and_then(|_| report::cut(&pictures)));
    warnings.extend(
        options
            .fit
            .and_then(|size| report::enlarged(&pictures, size)),
    );
    warnings.extend(report::unread_files(dir, &files.others));
    Ok(CaptionedFolder {
        path: dir.to_owned(),
        pictures,
        warnings,
    })
}

/// A file's picture and its size in bytes.
fn read_file(path: &Path, options: &FolderOptions) -> Result<(Picture, u64), FolderError> {
    let size = fs::metadata(path).map_err(unreadable(path))?.len();
    // A file beyond the limit is not read into memory.
    let max_bytes = options.limits.max_bytes;
    if size > max_bytes {
        let fault = PictureError::TooManyBytes {
            bytes: size,
            limit: max_bytes,
        };
        return Err(in_picture(path)(fault));
    }
    let bytes = fs::read(path).map_err(unreadable(path))?;
    let picture = read_named_picture(path, &bytes, &options.limits).map_err(in_picture(path))?;
    Ok((picture, bytes.len() as u64))
}

fn read_row(
    dir: &Path,
    caption: NamedCaption,
    options: &FolderOptions,
) -> Result<CaptionedPicture, FolderError> {
    let path = dir.join(&caption.picture);
    let (picture, bytes) = read_file(&path, options)?;
    let (original_width, original_height) = (picture.width, picture.height);
    let digest = pixel_digest(&picture);
    Ok(CaptionedPicture {
        name: caption.picture,
        caption_file: caption.file,
        line: caption.line,
        caption: caption.text,
        picture: match options.fit {
            Some(size) => picture.fit(size),
            None => picture,
        },
        digest,
        original_width,
        original_height,
        bytes,
        path,
    })
}

fn pixel_digest(picture: &Picture) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(picture.width.to_le_bytes());
    hash.update(picture.height.to_le_bytes());
    hash.update(&picture.rgb);
    hash.finalize().into()
}

/// Names in order, with where each occurs first.
type FirstLines = BTreeMap<String, usize>;

//! Errors of folders of pictures and of their captions.

use std::path::{Path, PathBuf};

use openlora_core::error::{ExitClass, Explain, describe_io};

use crate::error::PictureError;

/// Why a folder of captioned pictures is not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FolderError {
    #[error("{}: no such folder", path.display())]
    Missing { path: PathBuf },
    #[error("{}: a file, expected a folder of pictures", path.display())]
    NotFolder { path: PathBuf },
    #[error("cannot read {}: {reason}", path.display())]
    Unreadable { path: PathBuf, reason: String },
    #[error("{}: no pictures, expected PNG, JPEG or WebP files", path.display())]
    NoPictures { path: PathBuf },
    #[error("{}: {found} pictures, expected at most {limit}", path.display())]
    TooMany {
        path: PathBuf,
        found: usize,
        limit: usize,
    },
    #[error("{}: no captions, expected metadata.jsonl, or NAME.txt beside each picture", path.display())]
    NoCaptions { path: PathBuf },
    #[error("{}: captions in both metadata.jsonl and {text}", path.display())]
    TwoSources { path: PathBuf, text: String },
    #[error("{}: no rows, expected one for each picture", path.display())]
    EmptyMetadata { path: PathBuf },
    #[error("{}: metadata.jsonl in an inner folder, expected it in the folder that is named", path.display())]
    InnerMetadata { path: PathBuf },
    #[error("{}: CSV, expected metadata.jsonl", path.display())]
    CsvMetadata { path: PathBuf },
    #[error("{}: Parquet, expected metadata.jsonl", path.display())]
    ParquetMetadata { path: PathBuf },
    #[error(
        "{}: no caption{}", path.display(),
        match others { 0 => String::new(), 1 => ", and one more picture has none".to_owned(), _ => format!(", and {others} more pictures have none") }
    )]
    Uncaptioned {
        path: PathBuf,
        others: usize,
        /// Whether captions are in files beside the pictures.
        beside: bool,
    },
    #[error("{}: {other} has the same name before the extension, so a caption cannot be told apart", path.display())]
    SameStem { path: PathBuf, other: String },
    #[error("{}: a symbolic link, expected files and folders", path.display())]
    SymbolicLink { path: PathBuf },
    #[error("{}: a name that is not UTF-8", path.display())]
    OddName { path: PathBuf },
    #[error("{}: folders within folders, more than eight deep", path.display())]
    TooDeep { path: PathBuf },
    #[error("{}: UTF-16 text, expected UTF-8", path.display())]
    Utf16 { path: PathBuf },
    #[error("{}:{line}: {fault}", path.display())]
    Row {
        path: PathBuf,
        line: usize,
        fault: CaptionFault,
    },
    #[error("{}: {fault}", path.display())]
    Picture { path: PathBuf, fault: PictureError },
}

/// An error of one caption.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CaptionFault {
    #[error("broken JSON at column {column}: {reason}")]
    Json { column: usize, reason: String },
    #[error("expected a JSON object, found {found}")]
    NotObject { found: &'static str },
    #[error("invalid UTF-8: byte 0x{byte:02x}")]
    InvalidUtf8 { byte: u8 },
    #[error("`{key}` occurs twice")]
    RepeatedKey { key: String },
    #[error("`file_name` is missing")]
    NoFileName { meant: Option<String> },
    #[error("`text` is missing")]
    NoCaption { meant: Option<String> },
    #[error("`text` and `caption` differ")]
    TwoCaptions,
    #[error("`{key}` must be a text, found {found}")]
    WrongType {
        key: &'static str,
        found: &'static str,
    },
    #[error("the caption is empty")]
    Empty,
    #[error("the caption has more than one line")]
    SeveralLines,
    #[error("the caption has the control character U+{:04X}", u32::from(*character))]
    Control { character: char },
    #[error("the caption has {characters} characters, expected at most {limit}")]
    TooLong { characters: usize, limit: usize },
    #[error("`{name}` {problem}")]
    Outside { name: String, problem: &'static str },
    #[error("there is no picture `{name}`")]
    NoPicture {
        name: String,
        /// One that differs in capitals.
        meant: Option<String>,
    },
    #[error("`{name}` is no picture, expected a PNG, JPEG or WebP file")]
    NotPicture { name: String },
    #[error("`{name}` has a caption already on line {first}")]
    Repeated { name: String, first: usize },
}

impl Explain for FolderError {
    fn class(&self) -> ExitClass {
        match self {
            Self::Unreadable { .. } => ExitClass::Environment,
            Self::Picture { fault, .. } => fault.class(),
            _ => ExitClass::BadInput,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Missing { .. } => "paths are relative to openlora.toml, or to the current folder",
            Self::NotFolder { .. } => "name the folder that has the pictures and their captions",
            Self::NoPictures { .. } => "put PNG, JPEG or WebP files with their captions there",
            Self::NoCaptions { .. } | Self::EmptyMetadata { .. } => {
                "a row of metadata.jsonl: {\"file_name\": \"0001.png\", \"text\": \"a red star\"}"
            }
            Self::TooMany { .. } => "divide it into several folders, one [[data]] entry each",
            Self::TwoSources { .. } => "keep one of them",
            Self::InnerMetadata { .. } => "name the inner folder in a [[data]] entry of its own",
            Self::CsvMetadata { .. } => {
                "convert it: python3 -c 'import csv, json; [print(json.dumps(row)) for row in \
                 csv.DictReader(open(\"metadata.csv\"))]' > metadata.jsonl"
            }
            Self::ParquetMetadata { .. } => {
                "convert it with pandas: read_parquet(\"metadata.parquet\")\
                 .to_json(\"metadata.jsonl\", orient=\"records\", lines=True)"
            }
            Self::Uncaptioned { beside: false, .. } => {
                "add a row to metadata.jsonl, or take it out"
            }
            Self::Uncaptioned { path, .. } => {
                let text = path.with_extension("txt");
                return Some(format!("write its caption into {}", text.display()));
            }
            Self::SameStem { .. } => "rename one of them, or write metadata.jsonl",
            Self::SymbolicLink { .. } => "copy the file or folder that it leads to",
            Self::OddName { .. } => "rename it",
            Self::TooDeep { .. } => "name the inner folder that has the pictures",
            Self::Utf16 { path } => {
                let path = path.display();
                return Some(format!(
                    "convert it: iconv -f UTF-16 -t UTF-8 {path} > utf8-copy"
                ));
            }
            Self::Row { fault, .. } => return fault.hint(),
            Self::Picture { fault, .. } => return fault.hint(),
            Self::Unreadable { .. } => return None,
        };
        Some(hint.to_owned())
    }
}

impl CaptionFault {
    /// What the user can change.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Json { .. } => "each line must be one complete JSON object",
            Self::NotObject { found: "a list" } => {
                "write one object per line: jq -c '.[]' metadata.jsonl > rows.jsonl"
            }
            Self::NotObject { .. } => {
                "a row: {\"file_name\": \"0001.png\", \"text\": \"a red star\"}"
            }
            Self::InvalidUtf8 { .. } => {
                "save the file as UTF-8; if it is Latin-1: iconv -f LATIN1 -t UTF-8"
            }
            Self::RepeatedKey { .. } | Self::TwoCaptions | Self::Repeated { .. } => {
                "keep one of them"
            }
            Self::NoFileName { meant: Some(key) } => {
                return Some(format!("rename `{key}` to `file_name`"));
            }
            Self::NoCaption { meant: Some(key) } => {
                return Some(format!("rename `{key}` to `text`"));
            }
            Self::NoPicture {
                meant: Some(name), ..
            } => return Some(format!("did you mean `{name}`?")),
            Self::Empty => "describe what the picture shows, or take it out",
            Self::SeveralLines => "write it on one line",
            Self::Control { .. } => "take it out",
            Self::TooLong { .. } => "say it in fewer words",
            Self::Outside { .. } => "copy the picture into the folder and name it from there",
            Self::NoPicture { .. } => "add the picture, or take the caption out",
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

pub(super) fn unreadable(path: &Path) -> impl Fn(std::io::Error) -> FolderError {
    move |error| FolderError::Unreadable {
        path: path.to_owned(),
        reason: describe_io(&error),
    }
}

pub(super) fn in_picture(path: &Path) -> impl Fn(PictureError) -> FolderError {
    move |fault| FolderError::Picture {
        path: path.to_owned(),
        fault,
    }
}

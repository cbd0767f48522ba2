//! The report on a folder: figures, and what may be a mistake.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::CaptionedPicture;

/// Figures of a folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FolderReport {
    pub pictures: usize,
    /// Of all files.
    pub bytes: u64,
    /// Distinct ones.
    pub captions: usize,
    /// In characters.
    pub longest_caption: usize,
    /// The shortest side of any picture, in pixels.
    pub smallest_side: u32,
    /// The longest side of any picture, in pixels.
    pub largest_side: u32,
    /// How many are not square.
    pub not_square: usize,
}

/// What may be a mistake, but does not hinder training.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FolderWarning {
    /// Keys of `metadata.jsonl` other than the name and the caption.
    UnreadKeys { path: PathBuf, keys: Vec<String> },
    /// Files that are no pictures and no captions.
    UnreadFiles { first: String, others: usize },
    /// The same pixels under two names.
    SamePicture {
        first: String,
        second: String,
        others: usize,
        /// Whether the captions of the first two differ.
        other_caption: bool,
    },
    /// Captions in words, a language or a script that the base model's tokenizer hardly knows.
    Unfamiliar {
        /// Of the first one.
        place: String,
        others: usize,
        /// Bytes of text for each ten tokens, over all such captions.
        bytes_of_ten_tokens: usize,
    },
    /// Pictures that lose their margins when they are cut to squares.
    Cut {
        first: String,
        others: usize,
        /// How much of the picture that loses most is lost, in percent.
        most: u32,
    },
    /// Pictures that are smaller than what the base model draws.
    Enlarged {
        first: String,
        others: usize,
        size: u32,
    },
}

impl fmt::Display for FolderWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnreadKeys { path, keys } => {
                let keys: Vec<String> = keys.iter().map(|key| format!("`{key}`")).collect();
                write!(f, "{}: {} not read", path.display(), keys.join(", "))
            }
            Self::UnreadFiles { first, others } => {
                write!(f, "{}: not read", with_others(first, *others))
            }
            Self::SamePicture {
                first,
                second,
                others,
                other_caption,
            } => {
                let captions = match other_caption {
                    true => "different captions",
                    false => "the same caption",
                };
                write!(
                    f,
                    "{first} and {second} are the same picture with {captions}"
                )?;
                match others {
                    0 => Ok(()),
                    _ => write!(f, "; {others} more are repeated"),
                }
            }
            Self::Unfamiliar {
                place,
                others,
                bytes_of_ten_tokens: bytes,
            } => {
                let shown = with_others(place, *others);
                let (whole, tenth) = (bytes / 10, bytes % 10);
                write!(
                    f,
                    "{shown}: words that the base model hardly knows: its tokenizer makes a token of \
                     each {whole}.{tenth} bytes, and of each 3 in English; write captions in English"
                )
            }
            Self::Cut {
                first,
                others,
                most,
            } => {
                let shown = with_others(first, *others);
                write!(
                    f,
                    "{shown}: not square, the margins are cut off, up to {most} %"
                )
            }
            Self::Enlarged {
                first,
                others,
                size,
            } => {
                let shown = with_others(first, *others);
                write!(f, "{shown}: smaller than {size} × {size} pixels, enlarged")
            }
        }
    }
}

fn with_others(first: &str, others: usize) -> String {
    match others {
        0 => first.to_owned(),
        _ => format!("{first} and {others} more"),
    }
}

pub(super) fn reported(rows: &[CaptionedPicture]) -> FolderReport {
    let sides = || {
        rows.iter()
            .flat_map(|row| [row.original_width, row.original_height])
    };
    let captions: BTreeSet<&str> = rows.iter().map(|row| row.caption.as_str()).collect();
    FolderReport {
        pictures: rows.len(),
        bytes: rows.iter().map(|row| row.bytes).sum(),
        captions: captions.len(),
        longest_caption: rows
            .iter()
            .map(|row| row.caption.chars().count())
            .max()
            .unwrap_or(0),
        smallest_side: sides().min().unwrap_or(0),
        largest_side: sides().max().unwrap_or(0),
        not_square: rows
            .iter()
            .filter(|row| row.original_width != row.original_height)
            .count(),
    }
}

/// A caption's length in bytes and in tokens of the base model's tokenizer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CaptionLength<'a> {
    /// `path:line`.
    pub place: &'a str,
    /// Of the caption in UTF-8.
    pub bytes: usize,
    /// Without those that the tokenizer adds at the start and the end.
    pub tokens: usize,
}

impl CaptionLength<'_> {
    /// Shorter captions say nothing of their language.
    const LEAST_BYTES: usize = 12;

    /// Fewer than 2.1 bytes a token: other languages in Latin script, or worse. English has about
    /// three, with rare names two and a half.
    fn is_unfamiliar(self) -> bool {
        self.bytes >= Self::LEAST_BYTES && self.bytes * 10 < self.tokens * 21
    }

    /// Fewer than 1.4 bytes a token: nearly each byte is a token of its own.
    fn is_foreign(self) -> bool {
        self.bytes >= Self::LEAST_BYTES && self.bytes * 10 < self.tokens * 14
    }
}

/// Warns if a fifth of the captions is in words that the tokenizer hardly knows, or any caption in a
/// script that it does not know at all.
pub fn unfamiliar_captions(captions: &[CaptionLength<'_>]) -> Option<FolderWarning> {
    let unfamiliar: Vec<&CaptionLength<'_>> = captions
        .iter()
        .filter(|caption| caption.is_unfamiliar())
        .collect();
    let any_foreign = unfamiliar.iter().any(|caption| caption.is_foreign());
    if unfamiliar.len() * 5 < captions.len() && !any_foreign {
        return None;
    }
    let bytes: usize = unfamiliar.iter().map(|caption| caption.bytes).sum();
    let tokens: usize = unfamiliar.iter().map(|caption| caption.tokens).sum();
    Some(FolderWarning::Unfamiliar {
        place: unfamiliar.first()?.place.to_owned(),
        others: unfamiliar.len() - 1,
        bytes_of_ten_tokens: (bytes * 10).checked_div(tokens)?,
    })
}

pub(super) fn unread_keys(path: &Path, keys: &[String]) -> Option<FolderWarning> {
    let keys: BTreeSet<&String> = keys.iter().collect();
    (!keys.is_empty()).then(|| FolderWarning::UnreadKeys {
        path: path.to_owned(),
        keys: keys.into_iter().cloned().collect(),
    })
}

pub(super) fn unread_files(dir: &Path, files: &BTreeSet<String>) -> Option<FolderWarning> {
    let first = dir.join(files.first()?).display().to_string();
    Some(FolderWarning::UnreadFiles {
        first,
        others: files.len() - 1,
    })
}

pub(super) fn same_pictures(rows: &[CaptionedPicture]) -> Option<FolderWarning> {
    let mut seen: BTreeMap<[u8; 32], &CaptionedPicture> = BTreeMap::new();
    let mut repeated = Vec::new();
    for row in rows {
        match seen.get(&row.digest) {
            Some(first) => repeated.push((*first, row)),
            None => {
                seen.insert(row.digest, row);
            }
        }
    }
    let (first, second) = repeated.first()?;
    Some(FolderWarning::SamePicture {
        first: first.name.clone(),
        second: second.name.clone(),
        others: repeated.len() - 1,
        other_caption: first.caption != second.caption,
    })
}

pub(super) fn cut(rows: &[CaptionedPicture]) -> Option<FolderWarning> {
    let lost = |row: &CaptionedPicture| {
        let sides = [row.original_width, row.original_height];
        let (short, long) = (sides[0].min(sides[1]), sides[0].max(sides[1]));
        (u64::from(long - short) * 100).div_ceil(u64::from(long.max(1))) as u32
    };
    let cut: Vec<&CaptionedPicture> = rows.iter().filter(|row| lost(row) > 0).collect();
    Some(FolderWarning::Cut {
        first: cut.first()?.path.display().to_string(),
        others: cut.len() - 1,
        most: cut.iter().map(|row| lost(row)).max()?,
    })
}

pub(super) fn enlarged(rows: &[CaptionedPicture], size: u32) -> Option<FolderWarning> {
    let small: Vec<&CaptionedPicture> = rows
        .iter()
        .filter(|row| row.original_width.min(row.original_height) < size)
        .collect();
    Some(FolderWarning::Enlarged {
        first: small.first()?.path.display().to_string(),
        others: small.len() - 1,
        size,
    })
}

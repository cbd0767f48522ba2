//! Captions of a folder, each with the picture that it names.

use std::{
    fs,
    path::{Component, Path, PathBuf},
};

use super::{
    FirstLines, METADATA_FILE,
    error::{CaptionFault, FolderError, unreadable},
    files::FolderFiles,
    json_lines,
    report::{FolderWarning, unread_keys},
};

/// No caption of a picture is longer than this many characters.
const MAX_CAPTION: usize = 2_000;

/// A caption and where it stands.
#[derive(Debug)]
pub(super) struct NamedCaption {
    /// Within the folder, with `/` between parts.
    pub(super) picture: String,
    pub(super) file: PathBuf,
    pub(super) line: usize,
    pub(super) text: String,
}

/// All captions of a folder.
#[derive(Debug)]
pub(super) struct FolderCaptions {
    pub(super) captions: Vec<NamedCaption>,
    pub(super) warnings: Vec<FolderWarning>,
}

/// All captions, or everything that is wrong with them; at least one error.
pub(super) fn read(dir: &Path, files: &FolderFiles) -> Result<FolderCaptions, Vec<FolderError>> {
    let found = match (files.has_metadata, files.texts.first()) {
        (true, Some(text)) => {
            return Err(vec![FolderError::TwoSources {
                path: dir.to_owned(),
                text: text.clone(),
            }]);
        }
        (true, None) => from_metadata(dir, files)?,
        (false, Some(_)) => from_texts(dir, files)?,
        (false, None) => {
            return Err(vec![FolderError::NoCaptions {
                path: dir.to_owned(),
            }]);
        }
    };
    let named: std::collections::BTreeSet<&str> = found
        .captions
        .iter()
        .map(|caption| caption.picture.as_str())
        .collect();
    let uncaptioned: Vec<&String> = files
        .pictures
        .iter()
        .filter(|picture| !named.contains(picture.as_str()))
        .collect();
    match uncaptioned.first() {
        None => Ok(found),
        Some(first) => Err(vec![FolderError::Uncaptioned {
            path: dir.join(first),
            others: uncaptioned.len() - 1,
            beside: !files.has_metadata,
        }]),
    }
}

fn from_metadata(dir: &Path, files: &FolderFiles) -> Result<FolderCaptions, Vec<FolderError>> {
    let path = dir.join(METADATA_FILE);
    let text = utf8(&path).map_err(|error| vec![error])?;
    let (mut captions, mut faults) = (Vec::new(), Vec::new());
    let mut first_lines = FirstLines::new();
    let mut unread = Vec::new();
    for (at, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let number = at + 1;
        let read = json_lines::parse(line).and_then(|said| {
            let picture = picture_of(dir, &said.file_name, files)?;
            let text = caption(&said.caption)?;
            if let Some(first) = first_lines.insert(picture.clone(), number) {
                return Err(CaptionFault::Repeated {
                    name: picture,
                    first,
                });
            }
            unread.extend(said.unread);
            Ok(NamedCaption {
                picture,
                file: path.clone(),
                line: number,
                text,
            })
        });
        match read {
            Ok(caption) => captions.push(caption),
            Err(fault) => faults.push(FolderError::Row {
                path: path.clone(),
                line: number,
                fault,
            }),
        }
    }
    if captions.is_empty() && faults.is_empty() {
        faults.push(FolderError::EmptyMetadata { path: path.clone() });
    }
    match faults.is_empty() {
        true => Ok(FolderCaptions {
            warnings: unread_keys(&path, &unread).into_iter().collect(),
            captions,
        }),
        false => Err(faults),
    }
}

/// The picture that a row names, if it is a file within the folder.
fn picture_of(dir: &Path, name: &str, files: &FolderFiles) -> Result<String, CaptionFault> {
    let outside = |problem| CaptionFault::Outside {
        name: name.to_owned(),
        problem,
    };
    if name.contains('\\') || name.contains('\0') {
        return Err(outside("has a backslash or a null character"));
    }
    let mut parts = Vec::new();
    for part in Path::new(name).components() {
        match part {
            Component::Normal(part) => parts.push(part.to_string_lossy().into_owned()),
            Component::CurDir => {}
            Component::ParentDir => return Err(outside("leads out of the folder")),
            Component::RootDir | Component::Prefix(_) => {
                return Err(outside("is absolute, expected a name within the folder"));
            }
        }
    }
    let relative = parts.join("/");
    if files.pictures.contains(&relative) {
        return Ok(relative);
    }
    let path = dir.join(&relative);
    if relative.is_empty() || !path.is_file() {
        let other_case = files
            .pictures
            .iter()
            .find(|picture| picture.eq_ignore_ascii_case(&relative));
        return Err(CaptionFault::NoPicture {
            name: name.to_owned(),
            meant: other_case.cloned(),
        });
    }
    Err(CaptionFault::NotPicture {
        name: name.to_owned(),
    })
}

fn from_texts(dir: &Path, files: &FolderFiles) -> Result<FolderCaptions, Vec<FolderError>> {
    let mut by_stem: std::collections::BTreeMap<&str, &String> = Default::default();
    let mut faults = Vec::new();
    for picture in &files.pictures {
        if let Some(other) = by_stem.insert(stem(picture), picture) {
            faults.push(FolderError::SameStem {
                path: dir.join(picture),
                other: other.clone(),
            });
        }
    }
    let mut captions: Vec<NamedCaption> = Vec::new();
    for text in &files.texts {
        match beside_picture(dir, text, &by_stem) {
            Ok(caption) => captions.push(caption),
            Err(fault) => faults.push(fault),
        }
    }
    captions.sort_by(|a, b| a.picture.cmp(&b.picture));
    for pair in captions.windows(2) {
        if pair[0].picture == pair[1].picture {
            faults.push(FolderError::Row {
                path: pair[1].file.clone(),
                line: pair[1].line,
                fault: CaptionFault::Repeated {
                    name: pair[1].picture.clone(),
                    first: pair[0].line,
                },
            });
        }
    }
    match faults.is_empty() {
        true => Ok(FolderCaptions {
            captions,
            warnings: Vec::new(),
        }),
        false => Err(faults),
    }
}

/// The caption in a text file beside its picture.
fn beside_picture(
    dir: &Path,
    text: &str,
    by_stem: &std::collections::BTreeMap<&str, &String>,
) -> Result<NamedCaption, FolderError> {
    let path = dir.join(text);
    let fault = |line| {
        let path = path.clone();
        move |fault| FolderError::Row { path, line, fault }
    };
    let content = utf8(&path)?;
    let picture = by_stem.get(stem(text)).ok_or_else(|| {
        fault(1)(CaptionFault::NoPicture {
            name: format!("{}.png", stem(text)),
            meant: None,
        })
    })?;
    let mut lines = content
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty());
    let (at, line) = lines.next().ok_or_else(|| fault(1)(CaptionFault::Empty))?;
    if let Some((second, _)) = lines.next() {
        return Err(fault(second + 1)(CaptionFault::SeveralLines));
    }
    Ok(NamedCaption {
        picture: (*picture).clone(),
        file: path.clone(),
        line: at + 1,
        text: caption(line).map_err(fault(at + 1))?,
    })
}

/// A path without the extension of its last part.
fn stem(path: &str) -> &str {
    match path.rsplit_once('.') {
        Some((stem, after)) if !after.contains('/') => stem,
        _ => path,
    }
}

/// The caption as it is learned.
fn caption(text: &str) -> Result<String, CaptionFault> {
    let text = text.trim();
    if text.is_empty() {
        return Err(CaptionFault::Empty);
    }
    if text.contains(['\n', '\r']) {
        return Err(CaptionFault::SeveralLines);
    }
    if let Some(character) = text.chars().find(|character| character.is_control()) {
        return Err(CaptionFault::Control { character });
    }
    let characters = text.chars().count();
    if characters > MAX_CAPTION {
        return Err(CaptionFault::TooLong {
            characters,
            limit: MAX_CAPTION,
        });
    }
    Ok(text.to_owned())
}

/// The text of a file without its byte order mark.
fn utf8(path: &Path) -> Result<String, FolderError> {
    let bytes = fs::read(path).map_err(unreadable(path))?;
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(FolderError::Utf16 {
            path: path.to_owned(),
        });
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.to_owned()),
        Err(error) => Err(FolderError::Row {
            path: path.to_owned(),
            line: 1 + bytes[..error.valid_up_to()]
                .iter()
                .filter(|byte| **byte == b'\n')
                .count(),
            fault: CaptionFault::InvalidUtf8 {
                byte: bytes[error.valid_up_to()],
            },
        }),
    }
}

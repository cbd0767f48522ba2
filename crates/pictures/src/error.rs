//! Errors of a picture's file.

use openlora_core::error::{ExitClass, Explain};

use crate::kind::PictureKind;

/// Why the bytes of a file are not read as a picture, or pixels not written. The file's name is
/// added by its reader.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PictureError {
    #[error("an empty file, expected a picture")]
    Empty,
    #[error("{found}, expected a PNG, JPEG or WebP picture")]
    OtherKind {
        found: &'static str,
        hint: &'static str,
    },
    #[error("no picture: the file starts with {found}, expected PNG, JPEG or WebP")]
    Unrecognised { found: String },
    #[error("{} content in a file that is named .{extension}", found.name())]
    WrongExtension {
        found: PictureKind,
        extension: String,
    },
    #[error("{bytes} bytes, expected at most {limit}")]
    TooManyBytes { bytes: u64, limit: u64 },
    #[error(
        "{width} × {height} pixels, expected at most {max_side} on a side and {max_pixels} in all"
    )]
    TooLarge {
        width: u32,
        height: u32,
        max_side: u32,
        max_pixels: u64,
    },
    #[error("{width} × {height} pixels, expected at least one")]
    NoPixels { width: u32, height: u32 },
    #[error("declares {width} × {height} pixels, which cannot be in the {bytes} bytes of its data")]
    Impossible { width: u32, height: u32, bytes: u64 },
    #[error("an animated {} picture, expected a still one", kind.name())]
    Animated { kind: PictureKind },
    #[error("the {} file is cut short: {missing} is missing", kind.name())]
    Truncated {
        kind: PictureKind,
        missing: &'static str,
    },
    #[error("a JPEG with {found}, expected {expected}")]
    UnsupportedJpeg {
        found: String,
        expected: &'static str,
        hint: &'static str,
    },
    #[error("not a readable {} file: {reason}", kind.name())]
    Broken { kind: PictureKind, reason: String },
    #[error("{found} bytes of pixels, expected {expected} for {width} × {height}")]
    WrongLength {
        width: u32,
        height: u32,
        expected: usize,
        found: usize,
    },
    #[error("the PNG keyword `{keyword}` is not 1 to 79 printable characters")]
    BadKeyword { keyword: String },
}

impl Explain for PictureError {
    fn class(&self) -> ExitClass {
        match self {
            Self::WrongLength { .. } | Self::BadKeyword { .. } => ExitClass::Internal,
            _ => ExitClass::BadInput,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::OtherKind { hint, .. } | Self::UnsupportedJpeg { hint, .. } => hint,
            Self::WrongExtension { found, .. } => {
                return Some(format!("rename it to end in .{}", found.extension()));
            }
            Self::Empty | Self::Truncated { .. } | Self::Broken { .. } => {
                "copy or download it again, or export it again from the program that made it"
            }
            Self::TooLarge { .. } | Self::TooManyBytes { .. } => "scale the picture down",
            Self::Animated { .. } => "save one frame of it as a PNG picture",
            _ => return None,
        };
        Some((*hint).to_owned())
    }
}

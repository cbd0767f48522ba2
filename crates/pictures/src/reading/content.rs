//! What kind of file some bytes are, from how they start.

use crate::{error::PictureError, kind::PictureKind};

/// The kind of a file's content.
///
/// # Errors
/// If it is empty, or of a kind that is not read.
pub(super) fn kind_of(bytes: &[u8]) -> Result<PictureKind, PictureError> {
    if bytes.is_empty() {
        return Err(PictureError::Empty);
    }
    if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        return Ok(PictureKind::Png);
    }
    if bytes.starts_with(&[0xff, 0xd8, 0xff]) {
        return Ok(PictureKind::Jpeg);
    }
    if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP".as_slice()) {
        return Ok(PictureKind::Webp);
    }
    Err(match OTHER_KINDS.iter().find(|kind| kind.is(bytes)) {
        Some(kind) => PictureError::OtherKind {
            found: kind.found,
            hint: kind.hint,
        },
        None => PictureError::Unrecognised {
            found: shown_start(bytes),
        },
    })
}

/// A kind of file that is known and not read.
struct OtherKind {
    /// Where the mark is.
    at: usize,
    mark: &'static [u8],
    found: &'static str,
    hint: &'static str,
}

impl OtherKind {
    fn is(&self, bytes: &[u8]) -> bool {
        let start = bytes.get(self.at..).unwrap_or_default();
        let start = &start[..start.len().min(self.mark.len())];
        start.eq_ignore_ascii_case(self.mark)
    }
}

const EXPORT: &str = "export it as PNG";
const DRAWING: &str =
    "pictures are pixels here: render it as PNG, at twice the base model's size or more";
const CAMERA: &str = "export it as JPEG; phones can be set to save JPEG";
const DOWNLOAD: &str = "the download failed: fetch the picture itself";

const fn other(
    at: usize,
    mark: &'static [u8],
    found: &'static str,
    hint: &'static str,
) -> OtherKind {
    OtherKind {
        at,
        mark,
        found,
        hint,
    }
}

const OTHER_KINDS: &[OtherKind] = &[
    other(0, b"GIF8", "a GIF", EXPORT),
    other(0, b"BM", "a BMP", EXPORT),
    other(0, b"II*\0", "a TIFF", EXPORT),
    other(0, b"MM\0*", "a TIFF", EXPORT),
    other(4, b"ftypavi", "an AVIF", EXPORT),
    other(4, b"ftyphei", "a HEIC", CAMERA),
    other(4, b"ftyphev", "a HEIC", CAMERA),
    other(4, b"ftypmif1", "a HEIF", CAMERA),
    other(4, b"ftypmsf1", "a HEIF", CAMERA),
    other(4, b"ftyp", "a video", "save one frame of it as PNG"),
    other(
        0,
        b"\x1a\x45\xdf\xa3",
        "a video",
        "save one frame of it as PNG",
    ),
    other(0, &[0xff, 0x0a], "a JPEG XL", EXPORT),
    other(0, b"\0\0\0\x0cJXL ", "a JPEG XL", EXPORT),
    other(0, b"\0\0\0\x0cjP  ", "a JPEG 2000", EXPORT),
    other(0, &[0xff, 0x4f, 0xff, 0x51], "a JPEG 2000", EXPORT),
    other(0, b"\0\0\x01\0", "an ICO", EXPORT),
    other(0, b"8BPS", "a Photoshop file", EXPORT),
    other(0, b"qoif", "a QOI", EXPORT),
    other(0, b"%PDF", "a PDF", DRAWING),
    other(0, b"<svg", "an SVG drawing", DRAWING),
    other(0, b"<!DOCTYPE svg", "an SVG drawing", DRAWING),
    other(0, b"<?xml", "an SVG drawing or other XML", DRAWING),
    other(0, b"<!DOCTYPE html", "a web page", DOWNLOAD),
    other(0, b"<html", "a web page", DOWNLOAD),
    other(
        0,
        b"version https://git-lfs",
        "a pointer of Git LFS",
        "fetch the files that pointers stand for: git lfs pull",
    ),
    other(0, b"PK\x03\x04", "a ZIP archive", "unpack it"),
    other(0, &[0x1f, 0x8b], "a gzip archive", "unpack it"),
    other(0, b"RIFF", "a RIFF file that is no WebP", EXPORT),
];

/// The first bytes, as text where they are text.
fn shown_start(bytes: &[u8]) -> String {
    let start = &bytes[..bytes.len().min(8)];
    match start.iter().all(|byte| (0x20..0x7f).contains(byte)) {
        true => format!("`{}`", String::from_utf8_lossy(start)),
        false => start
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<Vec<_>>()
            .join(" "),
    }
}

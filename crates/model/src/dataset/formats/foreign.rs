//! Kinds of files that are not read but have a name.

use std::path::Path;

use super::super::DataError;

/// First bytes, the name of the kind, and what to do.
const KINDS: &[(&[u8], &str, &str)] = &[
    (
        &[0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1],
        "an old Excel or Word file",
        EXPORT,
    ),
    (&[0x1f, 0x8b], "a gzip archive", "unpack it: gunzip -k FILE"),
    (
        &[0x28, 0xb5, 0x2f, 0xfd],
        "a Zstandard archive",
        "unpack it: unzstd FILE",
    ),
    (b"BZh", "a bzip2 archive", "unpack it: bunzip2 -k FILE"),
    (
        &[0xfd, b'7', b'z', b'X', b'Z', 0],
        "an xz archive",
        "unpack it: unxz -k FILE",
    ),
    (
        b"7z\xbc\xaf\x27\x1c",
        "a 7-Zip archive",
        "unpack it: 7z x FILE",
    ),
    (
        b"%PDF-",
        "a PDF document",
        "copy its text into rows: {\"text\": \"…\"}",
    ),
    (
        b"SQLite format 3\0",
        "an SQLite database",
        "export the table: sqlite3 -header -csv FILE 'SELECT text, label FROM …' > rows.csv",
    ),
    (
        b"ARROW1",
        "an Arrow file",
        "save it as Parquet, or as JSON Lines",
    ),
    (&[0x89, b'P', b'N', b'G'], "a PNG image", TEXT_ONLY),
    (&[0xff, 0xd8, 0xff], "a JPEG image", TEXT_ONLY),
    (
        &[0x80, 0x04],
        "a Python pickle",
        "save the rows as JSON Lines",
    ),
];
const EXPORT: &str = "save the sheet as \"CSV UTF-8\", with text and label in its first row";
const TEXT_ONLY: &str = "only text is learned";

/// Names inside of a ZIP archive, early in the file, that tell its kind.
const ZIP_KINDS: &[(&[u8], &str, &str)] = &[
    (b"xl/", "an Excel workbook", EXPORT),
    (
        b"opendocument.spreadsheet",
        "an OpenDocument spreadsheet",
        EXPORT,
    ),
    (
        b"word/",
        "a Word document",
        "copy its text into rows: {\"text\": \"…\"}",
    ),
];

/// The error that names a file's kind, if its bytes tell one.
pub(super) fn named(path: &Path, bytes: &[u8]) -> Option<DataError> {
    let kind = KINDS.iter().find(|(magic, ..)| bytes.starts_with(magic));
    let (name, hint) = match kind {
        Some((_, name, hint)) => (*name, *hint),
        None if bytes.starts_with(b"PK\x03\x04") => zip_kind(bytes),
        None => return None,
    };
    Some(DataError::OtherKind {
        path: path.to_path_buf(),
        kind: name,
        hint: hint.replace("FILE", &path.display().to_string()),
    })
}

fn zip_kind(bytes: &[u8]) -> (&'static str, &'static str) {
    let has = |name: &[u8]| bytes.windows(name.len()).any(|window| window == name);
    let kind = ZIP_KINDS.iter().find(|(name, ..)| has(name));
    kind.map_or(
        ("a ZIP archive", "unpack it: unzip FILE"),
        |(_, name, hint)| (*name, *hint),
    )
}

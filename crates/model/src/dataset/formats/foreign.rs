//! Kinds of files that are not read but have a name: by their first bytes, or as text by their first
//! lines.

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

/// Texts by the ends of their files' names.
const ENDINGS: &[(&[&str], TextKind)] = &[
    (&["md", "markdown"], TextKind::Markdown),
    (&["yaml", "yml"], TextKind::Yaml),
    (&["toml", "ini", "cfg", "conf"], TextKind::Toml),
    (&["html", "htm", "xml", "svg"], TextKind::Markup),
    (&["py", "js", "ts", "rs", "sh", "sql"], TextKind::Program),
];

/// A kind of text that holds no rows.
#[derive(Clone, Copy)]
enum TextKind {
    Toml,
    Yaml,
    Markdown,
    Markup,
    DrawnTable,
    FastText,
    Program,
}

impl TextKind {
    fn of_text(path: &Path, text: &str) -> Option<Self> {
        let first = text.lines().next().unwrap_or_default().trim_end();
        let second = text.lines().nth(1).unwrap_or_default().trim_end();
        let is_heading = first.trim_start_matches('#').starts_with(' ') && first.starts_with('#');
        let is_underlined = second.len() >= 3 && second.bytes().all(|byte| b"=-".contains(&byte));
        let is_key = |line: &str| is_yaml_key(line.trim_start().trim_start_matches("- "));
        let is_yaml = first == "---" || (is_key(first) && is_key(second));
        let looks = [
            (text.starts_with("#!"), Self::Program),
            (is_toml(text), Self::Toml),
            (text.starts_with('<'), Self::Markup),
            (text.starts_with("__label__"), Self::FastText),
            (is_drawn_table(text), Self::DrawnTable),
            (is_heading || is_underlined, Self::Markdown),
            (is_yaml, Self::Yaml),
        ];
        let look = looks.into_iter().find(|(is_it, _)| *is_it);
        Self::of_ending(path).or(look.map(|(_, kind)| kind))
    }

    fn of_ending(path: &Path) -> Option<Self> {
        let ending = path.extension()?.to_string_lossy().to_lowercase();
        let entry = ENDINGS
            .iter()
            .find(|(names, _)| names.contains(&ending.as_str()));
        entry.map(|(_, kind)| *kind)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Toml => "looks like TOML",
            Self::Yaml => "looks like YAML",
            Self::Markdown => "looks like Markdown",
            Self::Markup => "looks like HTML or XML",
            Self::DrawnTable => "looks like a table drawn with lines",
            Self::FastText => "looks like fastText's labelled lines",
            Self::Program => "looks like a program",
        }
    }

    fn hint(self, path: &Path) -> &'static str {
        let is_project = path.file_name().is_some_and(|name| name == "openlora.toml");
        match self {
            Self::Toml if is_project => {
                "a project file names its data as [[data]]; leave the file out to read that data"
            }
            Self::FastText => {
                "write the label after the text: {\"text\": \"…\", \"label\": \"…\"} in each line"
            }
            Self::Toml | Self::Yaml | Self::Program => {
                "name a file of rows, such as {\"text\": \"…\", \"label\": \"…\"} in each line"
            }
            Self::DrawnTable => "save the table as CSV, without the lines",
            Self::Markdown | Self::Markup => "copy its text into rows: {\"text\": \"…\"}",
        }
    }
}

/// The error for a text of a kind that holds no rows.
pub(super) fn named_text(path: &Path, text: &str) -> Option<DataError> {
    let kind = TextKind::of_text(path, text)?;
    Some(DataError::OtherKind {
        path: path.to_path_buf(),
        kind: kind.name(),
        hint: kind.hint(path).to_owned(),
    })
}

/// Whether the first or second line draws the columns of a table.
pub(super) fn is_drawn_table(text: &str) -> bool {
    let is_drawn = |line: &str| {
        let line = line.trim();
        line.len() >= 3
            && line.contains(['|', '+'])
            && line.contains(['-', '='])
            && line.chars().all(|letter| "-=|:+ ".contains(letter))
    };
    text.lines().take(2).any(is_drawn)
}

/// Whether the first line that is no comment is a table's head or an assignment.
pub(super) fn is_toml(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim);
    let first = lines.find(|line| !line.is_empty() && !line.starts_with('#'));
    let first = first.unwrap_or_default();
    let head = first.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    let head = head.map(
        |it| match it.strip_prefix('[').and_then(|it| it.strip_suffix(']')) {
            Some(inner) => inner,
            None => it,
        },
    );
    let assigned = first.split_once('=').map(|(key, _)| key.trim());
    [head, assigned].into_iter().flatten().any(is_bare_key)
}

/// A name of a TOML key, with dots; numbers and JSON's words are none.
fn is_bare_key(text: &str) -> bool {
    let is_letter = |letter: char| letter.is_ascii_alphanumeric() || "_-.".contains(letter);
    text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && text.chars().all(is_letter)
        && !matches!(text, "true" | "false" | "null")
}

/// `key:` or `key: value`.
fn is_yaml_key(line: &str) -> bool {
    let Some((key, value)) = line.split_once(':') else {
        return false;
    };
    is_bare_key(key) && (value.is_empty() || value.starts_with(' '))
}

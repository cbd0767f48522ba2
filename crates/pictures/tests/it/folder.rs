//! Folders of captioned pictures, good and bad.

use std::{fs, path::Path};

use openlora_core::error::{ExitClass, Explain};
use openlora_pictures::folder::{CaptionLength, unfamiliar_captions};
use openlora_pictures::{
    CaptionedFolder, FolderError, FolderOptions, PngText, encode_png, icons::IconScene,
    inspect_folder, read_folder, read_folder_with,
};

/// A folder that is removed at the end of a test.
struct TestFolder(tempfile::TempDir);

impl TestFolder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> &Self {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
        self
    }

    fn picture(&self, name: &str, seed: u64) -> &Self {
        let picture = IconScene::from_seed(seed).draw(32);
        self.write(name, encode_png(&picture, &[]).unwrap())
    }

    fn metadata(&self, lines: &[&str]) -> &Self {
        self.write("metadata.jsonl", lines.join("\n"))
    }

    fn read(&self) -> Result<CaptionedFolder, FolderError> {
        read_folder(self.path())
    }

    /// The message without the folder's own path, and the hint.
    fn refused(&self) -> (String, Option<String>) {
        let error = self.read().expect_err("refused");
        assert_eq!(error.class(), ExitClass::BadInput, "{error}");
        let folder = format!("{}/", self.path().display());
        let text = error.to_string().replace(&folder, "");
        let folder = self.path().display().to_string();
        let hint = error
            .hint()
            .map(|hint| hint.replace(&format!("{folder}/"), ""));
        (text.replace(&folder, "FOLDER"), hint)
    }

    fn message(&self) -> String {
        self.refused().0
    }
}

/// A folder of one picture, `a.png`.
fn one_picture() -> TestFolder {
    let folder = TestFolder::new();
    folder.picture("a.png", 1);
    folder
}

#[test]
fn metadata_and_pictures_are_read_in_the_order_of_the_lines() {
    let folder = TestFolder::new();
    folder
        .picture("b.png", 1)
        .picture("inner/c.png", 2)
        .picture("a.png", 3);
    folder.metadata(&[
        r#"{"file_name": "b.png", "text": " a red star "}"#,
        "",
        r#"{"file_name": "./inner/c.png", "caption": "zwei größere Häuser"}"#,
        r#"{"file_name": "a.png", "text": "a fish", "caption": "a fish", "license": "CC0-1.0"}"#,
    ]);
    folder.write("README.md", "about").write(".DS_Store", "x");
    let found = folder.read().unwrap();
    let rows: Vec<_> = found
        .pictures
        .iter()
        .map(|row| (row.name.as_str(), row.line, row.caption.as_str()))
        .collect();
    assert_eq!(
        rows,
        [
            ("b.png", 1, "a red star"),
            ("inner/c.png", 3, "zwei größere Häuser"),
            ("a.png", 4, "a fish"),
        ]
    );
    assert_eq!(found.pictures[1].picture, IconScene::from_seed(2).draw(32));
    let warnings: Vec<String> = found.warnings.iter().map(ToString::to_string).collect();
    let metadata = folder.path().join("metadata.jsonl");
    let unread = format!("{}: `license` not read", metadata.display());
    let readme = folder.path().join("README.md");
    assert_eq!(
        warnings,
        [unread, format!("{}: not read", readme.display())]
    );
    let report = found.report();
    assert_eq!(
        (report.pictures, report.captions, report.largest_side),
        (3, 3, 32)
    );
    assert_eq!(report.longest_caption, 19);
}

#[test]
fn captions_may_be_beside_their_pictures() {
    let folder = TestFolder::new();
    folder.picture("b.png", 1).picture("a.PNG", 2);
    folder
        .write("b.txt", "\u{feff}a red star\n")
        .write("a.txt", "a fish");
    folder.write("LICENSE.txt", "CC0");
    let found = folder.read().unwrap();
    let rows: Vec<_> = found
        .pictures
        .iter()
        .map(|row| (row.name.as_str(), row.caption.as_str()))
        .collect();
    assert_eq!(rows, [("a.PNG", "a fish"), ("b.png", "a red star")]);
    assert_eq!(found.pictures[0].caption_file, folder.path().join("a.txt"));
}

#[test]
fn digests_are_of_pixels() {
    let folder = TestFolder::new();
    folder
        .picture("a.png", 1)
        .picture("b.png", 1)
        .picture("c.png", 2);
    // The same pixels in another file.
    let text = PngText {
        keyword: "Comment".to_owned(),
        text: "again".to_owned(),
    };
    let again = encode_png(&IconScene::from_seed(1).draw(32), &[text]).unwrap();
    folder.write("b.png", again);
    folder.metadata(&[
        r#"{"file_name": "a.png", "text": "a star"}"#,
        r#"{"file_name": "b.png", "text": "a moon"}"#,
        r#"{"file_name": "c.png", "text": "a star"}"#,
    ]);
    let found = folder.read().unwrap();
    let [a, b, c] = &found.pictures[..] else {
        panic!("{found:?}")
    };
    assert_eq!(a.digest, b.digest);
    assert_ne!(a.digest, c.digest);
    let metadata = folder.path().join("metadata.jsonl");
    assert_eq!(b.place(), format!("{}:2", metadata.display()));
    let warning = "a.png and b.png are the same picture with different captions";
    assert_eq!(found.warnings[0].to_string(), warning);
}

#[test]
fn captions_in_other_languages_are_warned_of() {
    // Bytes and tokens of nano's tokenizer.
    let caption = |place, [bytes, tokens]: [usize; 2]| CaptionLength {
        place,
        bytes,
        tokens,
    };
    let english = [
        caption("m:1", [18, 5]),  // a red star on blue
        caption("m:2", [63, 24]), // draw a purple triangle below an orange diamond on a pink ground
        caption("m:3", [75, 26]), // watercolour painting of a medieval castle, misty mountains, …
        caption("m:4", [9, 9]),   // too short to tell
    ];
    assert_eq!(unfamiliar_captions(&english), None);
    let german = caption("m:5", [32, 16]); // ein roter Stern auf blauem Grund
    assert_eq!(
        unfamiliar_captions(&[&english[..], &english[..], &[german]].concat()),
        None
    );
    let warning = unfamiliar_captions(&[german, german, english[0]]).unwrap();
    let expected = "m:5 and 1 more: words that the base model hardly knows: its tokenizer makes a \
                    token of each 2.0 bytes, and of each 3 in English; write captions in English";
    assert_eq!(warning.to_string(), expected);
    let russian = caption("m:6", [52, 52]);
    let many = [&english[..], &english[..], &[russian]].concat();
    let found = unfamiliar_captions(&many).unwrap().to_string();
    assert!(found.starts_with("m:6: words"), "{found}");
    assert_eq!(unfamiliar_captions(&[]), None);
}

#[test]
fn pictures_are_fitted_and_what_that_loses_is_said() {
    let folder = TestFolder::new();
    let mut wide = IconScene::from_seed(1).draw(32);
    wide.height = 16;
    wide.rgb.truncate(32 * 16 * 3);
    folder.write("wide.png", encode_png(&wide, &[]).unwrap());
    folder.picture("square.png", 2);
    folder.metadata(&[
        r#"{"file_name": "wide.png", "text": "a star"}"#,
        r#"{"file_name": "square.png", "text": "a moon"}"#,
    ]);
    let options = FolderOptions {
        fit: Some(24),
        ..FolderOptions::default()
    };
    let found = read_folder_with(folder.path(), &options).unwrap();
    assert!(
        found
            .pictures
            .iter()
            .all(|row| (row.picture.width, row.picture.height) == (24, 24))
    );
    let warnings: Vec<String> = found.warnings.iter().map(ToString::to_string).collect();
    let wide = folder.path().join("wide.png");
    let wide = wide.display();
    assert_eq!(
        warnings,
        [
            format!("{wide}: not square, the margins are cut off, up to 50 %"),
            format!("{wide}: smaller than 24 × 24 pixels, enlarged"),
        ]
    );
    assert_eq!(found.report().not_square, 1);
}

#[test]
fn pictures_without_captions_are_refused() {
    let folder = one_picture();
    let (message, hint) = folder.refused();
    let expected = "FOLDER: no captions, expected metadata.jsonl, or NAME.txt beside each picture";
    assert_eq!(message, expected);
    assert!(hint.unwrap().contains("file_name"));
    folder.picture("b.png", 2).picture("c.png", 3);
    folder.metadata(&[r#"{"file_name": "a.png", "text": "a star"}"#]);
    assert_eq!(
        folder.message(),
        "b.png: no caption, and one more picture has none"
    );
    let folder = one_picture();
    folder.picture("b.png", 2).write("a.txt", "a star");
    let (message, hint) = folder.refused();
    assert_eq!(message, "b.png: no caption");
    assert_eq!(hint.unwrap(), "write its caption into b.txt");
}

#[test]
fn captions_without_pictures_are_refused() {
    let folder = one_picture();
    folder.metadata(&[
        r#"{"file_name": "a.png", "text": "a star"}"#,
        r#"{"file_name": "b.png", "text": "a moon"}"#,
    ]);
    assert_eq!(
        folder.message(),
        "metadata.jsonl:2: there is no picture `b.png`"
    );
    folder.metadata(&[r#"{"file_name": "A.png", "text": "a star"}"#]);
    let (message, hint) = folder.refused();
    assert_eq!(message, "metadata.jsonl:1: there is no picture `A.png`");
    assert_eq!(hint.unwrap(), "did you mean `a.png`?");
    let folder = one_picture();
    folder.write("a.txt", "a star").write("b.txt", "a moon");
    assert_eq!(folder.message(), "b.txt:1: there is no picture `b.png`");
}

#[test]
fn bad_rows_are_refused_with_their_line() {
    let good = r#"{"file_name": "a.png", "text": "a star"}"#;
    let long = format!(
        r#"{{"file_name": "b.png", "text": "{}"}}"#,
        "x".repeat(2_001)
    );
    for (row, expected) in [
        (
            r#"{"file_name": "b.png", "text": "a"#,
            "broken JSON at column 33: EOF while parsing a string",
        ),
        (
            r#"[{"file_name": "b.png"}]"#,
            "expected a JSON object, found a list",
        ),
        (
            "b.png,a star",
            "expected a JSON object, found something else",
        ),
        (r#"{"text": "a star"}"#, "`file_name` is missing"),
        (r#"{"file_name": "b.png"}"#, "`text` is missing"),
        (
            r#"{"file_name": "b.png", "text": 5}"#,
            "`text` must be a text, found a number",
        ),
        (
            r#"{"file_name": null, "text": "a"}"#,
            "`file_name` must be a text, found null",
        ),
        (
            r#"{"file_name": "b.png", "text": "a", "caption": "b"}"#,
            "`text` and `caption` differ",
        ),
        (
            r#"{"file_name": "b.png", "text": "a", "text": "b"}"#,
            "`text` occurs twice",
        ),
        (
            r#"{"file_name": "b.png", "text": " \t "}"#,
            "the caption is empty",
        ),
        (
            r#"{"file_name": "b.png", "text": "a\nb"}"#,
            "the caption has more than one line",
        ),
        (
            r#"{"file_name": "b.png", "text": "a\u0007b"}"#,
            "the caption has the control character U+0007",
        ),
        (
            &long,
            "the caption has 2001 characters, expected at most 2000",
        ),
        (good, "`a.png` has a caption already on line 1"),
        (
            r#"{"file_name": "./a.png", "text": "b"}"#,
            "`a.png` has a caption already on line 1",
        ),
        (
            r#"{"file_name": "notes.md", "text": "b"}"#,
            "`notes.md` is no picture, expected a PNG, JPEG or WebP file",
        ),
        (
            r#"{"file_name": "", "text": "b"}"#,
            "there is no picture ``",
        ),
    ] {
        let folder = one_picture();
        folder
            .picture("b.png", 2)
            .write("notes.md", "x")
            .metadata(&[good, row]);
        assert_eq!(
            folder.message(),
            format!("metadata.jsonl:2: {expected}"),
            "{row}"
        );
    }
    let folder = one_picture();
    folder.metadata(&[r#"{"image": "a.png", "prompt": "a star"}"#]);
    assert_eq!(folder.refused().1.unwrap(), "rename `image` to `file_name`");
    folder.metadata(&[r#"{"file_name": "a.png", "prompt": "a star"}"#]);
    assert_eq!(folder.refused().1.unwrap(), "rename `prompt` to `text`");
}

#[test]
fn names_that_lead_out_of_the_folder_are_refused() {
    for name in [
        "../a.png",
        "inner/../../a.png",
        "/etc/a.png",
        "..\\\\a.png",
        "C:\\\\a.png",
    ] {
        let folder = one_picture();
        folder.metadata(&[&format!(r#"{{"file_name": "{name}", "text": "a star"}}"#)]);
        let message = folder.message();
        let problem = if name.starts_with('/') {
            "is absolute, expected a name within the folder"
        } else if name.contains('\\') {
            "has a backslash or a null character"
        } else {
            "leads out of the folder"
        };
        let name = name.replace("\\\\", "\\");
        assert_eq!(message, format!("metadata.jsonl:1: `{name}` {problem}"));
    }
}

#[cfg(unix)]
#[test]
fn symbolic_links_are_refused() {
    for target in ["/etc/hostname", "a.png"] {
        let folder = one_picture();
        std::os::unix::fs::symlink(target, folder.path().join("b.png")).unwrap();
        folder.metadata(&[
            r#"{"file_name": "a.png", "text": "a star"}"#,
            r#"{"file_name": "b.png", "text": "a moon"}"#,
        ]);
        assert_eq!(
            folder.message(),
            "b.png: a symbolic link, expected files and folders"
        );
    }
    let (folder, outside) = (one_picture(), one_picture());
    std::os::unix::fs::symlink(outside.path(), folder.path().join("inner")).unwrap();
    folder.metadata(&[r#"{"file_name": "inner/a.png", "text": "a star"}"#]);
    assert_eq!(
        folder.message(),
        "inner: a symbolic link, expected files and folders"
    );
}

#[test]
fn bad_pictures_are_refused_with_their_name() {
    let row = |name: &str| format!(r#"{{"file_name": "{name}", "text": "a star"}}"#);
    let png = encode_png(&IconScene::from_seed(1).draw(32), &[]).unwrap();
    for (name, bytes, expected) in [
        (
            "b.png",
            &png[..60],
            "the PNG file is cut short: a part is missing",
        ),
        ("b.png", b"".as_slice(), "an empty file, expected a picture"),
        ("b.jpg", &png, "PNG content in a file that is named .jpg"),
        (
            "b.gif",
            b"GIF89a",
            "a GIF, expected a PNG, JPEG or WebP picture",
        ),
        (
            "b.svg",
            b"<svg>",
            "an SVG drawing, expected a PNG, JPEG or WebP picture",
        ),
        (
            "b.heic",
            b"\0\0\0\x18ftypheic",
            "a HEIC, expected a PNG, JPEG or WebP picture",
        ),
        (
            "b.png",
            b"<html>",
            "a web page, expected a PNG, JPEG or WebP picture",
        ),
    ] {
        let folder = one_picture();
        folder
            .write(name, bytes)
            .metadata(&[&row("a.png"), &row(name)]);
        assert_eq!(folder.message(), format!("{name}: {expected}"));
    }
    let folder = one_picture();
    folder.write("b.gif", "GIF89a").metadata(&[&row("a.png")]);
    assert_eq!(folder.message(), "b.gif: no caption", "not passed over");
}

#[test]
fn other_tables_and_two_sources_are_refused() {
    let folder = one_picture();
    folder.write("metadata.csv", "file_name,text\na.png,a star\n");
    let (message, hint) = folder.refused();
    assert_eq!(message, "metadata.csv: CSV, expected metadata.jsonl");
    assert!(hint.unwrap().contains("csv.DictReader"));
    let folder = one_picture();
    folder.write("metadata.parquet", "PAR1");
    assert_eq!(
        folder.message(),
        "metadata.parquet: Parquet, expected metadata.jsonl"
    );
    let folder = one_picture();
    folder.metadata(&[r#"{"file_name": "a.png", "text": "a star"}"#]);
    folder.write("a.txt", "a star");
    assert_eq!(
        folder.message(),
        "FOLDER: captions in both metadata.jsonl and a.txt"
    );
    let folder = one_picture();
    folder.write("inner/metadata.jsonl", "{}");
    let expected = "inner/metadata.jsonl: metadata.jsonl in an inner folder, expected it in the \
                    folder that is named";
    assert_eq!(folder.message(), expected);
    let folder = one_picture();
    folder.metadata(&["", " "]);
    assert_eq!(
        folder.message(),
        "metadata.jsonl: no rows, expected one for each picture"
    );
}

#[test]
fn bad_caption_files_are_refused() {
    let folder = one_picture();
    folder.write("a.txt", "a star\na moon");
    assert_eq!(
        folder.message(),
        "a.txt:2: the caption has more than one line"
    );
    folder.write("a.txt", " \n");
    assert_eq!(folder.message(), "a.txt:1: the caption is empty");
    folder.write("a.txt", b"a st\xe4r");
    assert_eq!(folder.message(), "a.txt:1: invalid UTF-8: byte 0xe4");
    folder.write("a.txt", b"\xff\xfea\0");
    assert_eq!(folder.message(), "a.txt: UTF-16 text, expected UTF-8");
    folder.write("a.txt", "a star").write("a.caption", "a moon");
    assert_eq!(
        folder.message(),
        "a.txt:1: `a.png` has a caption already on line 1"
    );
    let folder = one_picture();
    let jpeg_name = "a.jpg";
    folder.write(jpeg_name, "x").write("a.txt", "a star");
    let expected = "a.png: a.jpg has the same name before the extension, so a caption cannot be \
                    told apart";
    assert_eq!(folder.message(), expected);
}

#[test]
fn folders_that_are_none_are_refused() {
    let folder = TestFolder::new();
    assert_eq!(
        folder.message(),
        "FOLDER: no pictures, expected PNG, JPEG or WebP files"
    );
    let read = |path: &Path| read_folder(path).expect_err("refused");
    let missing = folder.path().join("missing");
    assert!(matches!(read(&missing), FolderError::Missing { .. }));
    folder.write("file", "x");
    assert!(matches!(
        read(&folder.path().join("file")),
        FolderError::NotFolder { .. }
    ));
    let folder = one_picture();
    folder.picture("b.png", 2).metadata(&["{}"]);
    let options = FolderOptions {
        max_pictures: 1,
        ..FolderOptions::default()
    };
    let found = read_folder_with(folder.path(), &options).expect_err("refused");
    assert!(matches!(
        found,
        FolderError::TooMany {
            found: 2,
            limit: 1,
            ..
        }
    ));
}

#[test]
fn an_inspection_finds_every_fault() {
    let folder = TestFolder::new();
    folder.picture("1.png", 1).picture("2.png", 2);
    folder.write("3.png", "no picture").write("4.png", "none");
    folder.metadata(&[
        r#"{"file_name": "1.png", "text": "a moon"}"#,
        r#"{"file_name": "2.png""#,
        r#"{"file_name": "3.png", "text": "a star"}"#,
        r#"{"file_name": "5.png", "text": "a sun"}"#,
    ]);
    let found = |most| {
        let faults = inspect_folder(folder.path(), &FolderOptions::default(), most);
        let faults = faults.expect_err("refused").into_iter();
        let place = |fault| match fault {
            FolderError::Row { line, .. } => format!("line {line}"),
            FolderError::Picture { path, .. } => {
                path.file_name().unwrap().to_string_lossy().into_owned()
            }
            other => panic!("{other}"),
        };
        faults.map(place).collect::<Vec<_>>()
    };
    assert_eq!(found(20), ["line 2", "line 4", "3.png", "4.png"]);
    assert_eq!(found(3), ["line 2", "line 4", "3.png"]);
    // With all captions, their pictures.
    folder.picture("5.png", 5);
    folder.metadata(&[
        r#"{"file_name": "1.png", "text": "a moon"}"#,
        r#"{"file_name": "2.png", "text": "a moon"}"#,
        r#"{"file_name": "3.png", "text": "a star"}"#,
        r#"{"file_name": "4.png", "text": "a star"}"#,
        r#"{"file_name": "5.png", "text": "a sun"}"#,
    ]);
    assert_eq!(found(20), ["3.png", "4.png"]);
}

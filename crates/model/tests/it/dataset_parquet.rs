//! Parquet files as data.

use std::{fs::File, path::Path, sync::Arc};

use openlora_model::dataset::{self, ColumnNames, DataSource, TrainingExample, UnreadColumns};
use parquet::{
    basic::{Compression, ZstdLevel},
    data_type::{ByteArray, ByteArrayType, Int64Type},
    file::{properties::WriterProperties, writer::SerializedFileWriter},
    schema::parser::parse_message_type,
};

use crate::dataset::message;

/// One column: texts, numbers, or texts with definition and repetition levels.
enum Column<'a> {
    Texts(&'a [&'a [u8]]),
    Numbers(&'a [i64]),
    Levels(&'a [&'a [u8]], &'a [i16], &'a [i16]),
}

fn write(path: &Path, schema: &str, compression: Compression, columns: &[Column<'_>]) {
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let properties = WriterProperties::builder()
        .set_compression(compression)
        .build();
    let file = File::create(path).unwrap();
    let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties)).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let bytes = |texts: &[&[u8]]| {
        texts
            .iter()
            .map(|text| ByteArray::from(*text))
            .collect::<Vec<_>>()
    };
    for column in columns {
        let mut out = group.next_column().unwrap().unwrap();
        match column {
            Column::Texts(texts) => out
                .typed::<ByteArrayType>()
                .write_batch(&bytes(texts), None, None)
                .unwrap(),
            Column::Numbers(numbers) => out
                .typed::<Int64Type>()
                .write_batch(numbers, None, None)
                .unwrap(),
            Column::Levels(texts, defined, repeated) => out
                .typed::<ByteArrayType>()
                .write_batch(&bytes(texts), Some(defined), Some(repeated))
                .unwrap(),
        };
        out.close().unwrap();
    }
    group.close().unwrap();
    writer.close().unwrap();
}

fn examples(path: &Path) -> Vec<(usize, TrainingExample)> {
    let dataset = dataset::load(&[DataSource::of_file(path)]).unwrap();
    dataset
        .rows
        .into_iter()
        .map(|row| (row.line, row.example))
        .collect()
}

fn failure(path: &Path) -> String {
    let error = dataset::load(&[DataSource::of_file(path)]).unwrap_err();
    error
        .to_string()
        .replace(&path.display().to_string(), "rows")
}

#[test]
fn labelled_rows_are_read_whatever_the_compression() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("no-extension");
    let codecs = [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(Default::default()),
        Compression::ZSTD(ZstdLevel::default()),
    ];
    for codec in codecs {
        let schema = "message m { required int64 time (TIMESTAMP(MILLIS,true)); \
                      required binary text (STRING); required binary label; }";
        let columns = [
            Column::Numbers(&[5, 6]),
            Column::Texts(&["up 🚀".as_bytes(), b"down"]),
            Column::Texts(&[b"good", b"bad"]),
        ];
        write(&path, schema, codec, &columns);
        let labelled = |text: &str, label: &str| TrainingExample::Labelled {
            text: text.to_owned(),
            label: label.to_owned(),
        };
        let expected = [(1, labelled("up 🚀", "good")), (2, labelled("down", "bad"))];
        assert_eq!(examples(&path), expected, "{codec}");
    }
}

#[test]
fn plain_texts_and_chats_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    let schema = "message m { required binary text (STRING); }";
    write(
        &path,
        schema,
        Compression::SNAPPY,
        &[Column::Texts(&[b"one", b"two"])],
    );
    let text = |text: &str| TrainingExample::Text {
        text: text.to_owned(),
    };
    assert_eq!(examples(&path), [(1, text("one")), (2, text("two"))]);

    let schema = "message m { optional group messages (LIST) { repeated group list { \
                  optional group element { optional binary role (STRING); \
                  optional binary content (STRING); } } } }";
    let roles: &[&[u8]] = &[b"user", b"assistant", b"user", b"assistant"];
    let said: &[&[u8]] = &[b"Hi", b"Ho", b"And?", b"So."];
    let (defined, repeated) = ([4; 4], [0, 1, 0, 1]);
    let columns = [
        Column::Levels(roles, &defined, &repeated),
        Column::Levels(said, &defined, &repeated),
    ];
    write(&path, schema, Compression::SNAPPY, &columns);
    let chat = |asked: &str, said: &str| {
        TrainingExample::chat(vec![message("user", asked), message("assistant", said)])
    };
    assert_eq!(
        examples(&path),
        [(1, chat("Hi", "Ho")), (2, chat("And?", "So."))]
    );
}

#[test]
fn number_labels_are_read_and_other_columns_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    let schema = "message m { required binary text (STRING); required int64 label; \
                  required int64 idx; required binary source (STRING); }";
    let columns = [
        Column::Texts(&[b"up", b"down"]),
        Column::Numbers(&[2, 0]),
        Column::Numbers(&[7, 8]),
        Column::Texts(&[b"x", b"x"]),
    ];
    write(&path, schema, Compression::SNAPPY, &columns);
    let dataset = dataset::load(&[DataSource::of_file(&path)]).unwrap();
    let labels: Vec<_> = dataset.rows.iter().map(|row| row.example.label()).collect();
    assert_eq!(labels, [Some("2"), Some("0")]);
    let unread = UnreadColumns {
        path: path.clone(),
        columns: vec!["idx".to_owned(), "source".to_owned()],
    };
    assert_eq!(dataset.unread, [unread]);
    let schema = "message m { required binary text (STRING); required binary sentiment (STRING); }";
    let columns = [Column::Texts(&[b"up"]), Column::Texts(&[b"good"])];
    write(&path, schema, Compression::SNAPPY, &columns);
    assert_eq!(
        failure(&path),
        "rows:1: `sentiment` is not read, and there is no `label`"
    );
    // The bytes of an image are refused by the column's name.
    let schema = "message m { required binary text (STRING); required binary image; }";
    let columns = [Column::Texts(&[b"up"]), Column::Texts(&[b"\xff\xd8"])];
    write(&path, schema, Compression::SNAPPY, &columns);
    assert_eq!(failure(&path), "rows:1: `image` is not supported");
}

#[test]
fn faults_name_the_record() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    let plain = Compression::UNCOMPRESSED;
    let two = "message m { required binary text (STRING); required binary label (STRING); }";
    write(
        &path,
        two,
        plain,
        &[
            Column::Texts(&[b"a", b"\xff"]),
            Column::Texts(&[b"x", b"y"]),
        ],
    );
    assert_eq!(
        failure(&path),
        "rows:2: unreadable record: a text that is not UTF-8"
    );
    write(
        &path,
        two,
        plain,
        &[Column::Texts(&[b"a", b"b"]), Column::Texts(&[b"x", b" "])],
    );
    assert_eq!(failure(&path), "rows:2: `label` is empty");
    let number = "message m { required int64 text; required int64 label; }";
    write(
        &path,
        number,
        plain,
        &[Column::Numbers(&[1]), Column::Numbers(&[1])],
    );
    assert_eq!(
        failure(&path),
        "rows:1: `text` must be a text, found a number"
    );
    let bytes = "message m { required binary text; }";
    write(&path, bytes, plain, &[Column::Texts(&[b"\xfe"])]);
    assert_eq!(
        failure(&path),
        "rows:1: unreadable record: `text` is not UTF-8"
    );
    let other = "message m { required int64 question; }";
    write(&path, other, plain, &[Column::Numbers(&[1])]);
    assert_eq!(
        failure(&path),
        "rows:1: no row format has the keys `question`; expected messages, conversations, \
         instruction and output, prompt and completion, text and label, or text"
    );
    write(&path, two, plain, &[Column::Texts(&[]), Column::Texts(&[])]);
    assert_eq!(failure(&path), "rows: no rows, expected at least one");
}

/// A file with one changed byte is read, or refused in words: the reader's panics stay inside.
#[test]
fn damaged_files_are_refused_in_words() {
    let whole = include_bytes!("../../../../templates/sentiment/data/pit_chat.parquet");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("damaged.parquet");
    let (mut read, mut refused) = (0, std::collections::BTreeSet::new());
    // Positions and changes spread over the file, the same every time.
    let mut state = 0x9e37_79b9_u64;
    for _ in 0..600 {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let mut bytes = whole.to_vec();
        let at = 4 + (state >> 33) as usize % (bytes.len() - 4);
        bytes[at] ^= 1 << (state >> 60 & 7);
        std::fs::write(&path, bytes).unwrap();
        match dataset::load(&[DataSource::of_file(&path)]) {
            Ok(_) => read += 1,
            Err(error) => drop(refused.insert(error.to_string())),
        }
    }
    assert!(read > 0, "{refused:?}");
    let place = path.display().to_string();
    assert!(
        refused.iter().all(|error| error.contains(&place)),
        "{refused:?}"
    );
    assert!(
        refused.iter().any(|error| error.ends_with("is damaged")),
        "{refused:?}"
    );
}

#[test]
fn columns_are_read_under_the_names_that_are_given() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    let schema = "message m { required binary text (STRING); required binary review (STRING); \
                  required int64 stars; }";
    let columns = [
        Column::Texts(&[b"title", b"heading"]),
        Column::Texts(&[b"up", b"down"]),
        Column::Numbers(&[5, 1]),
    ];
    write(&path, schema, Compression::SNAPPY, &columns);
    let named = |pairs: [&str; 2]| DataSource {
        columns: ColumnNames::parse(&pairs.map(str::to_owned)).unwrap(),
        ..DataSource::of_file(&path)
    };
    let dataset = dataset::load(&[named(["text=review", "label=stars"])]).unwrap();
    let examples: Vec<TrainingExample> = dataset.rows.into_iter().map(|it| it.example).collect();
    let labelled = |text: &str, label: &str| TrainingExample::Labelled {
        text: text.to_owned(),
        label: label.to_owned(),
    };
    assert_eq!(examples, [labelled("up", "5"), labelled("down", "1")]);
    let unread = UnreadColumns {
        path: path.clone(),
        columns: vec!["text".to_owned()],
    };
    assert_eq!(dataset.unread, [unread]);
    let error = dataset::load(&[named(["text=review", "label=score"])]).unwrap_err();
    assert_eq!(
        error
            .to_string()
            .replace(&path.display().to_string(), "rows"),
        "rows: no column `score` to read as `label`; columns: `review`, `stars`, `text`"
    );
}

//! Data files: formats, faults, digests and tasks.

use std::path::{Path, PathBuf};

use openlora_core::error::Explain;
use openlora_model::{
    dataset::{self, DataError, DataSource, Dataset, Task, TaskOptions, TrainingExample},
    text::ChatMessage,
};
use proptest::prelude::*;

/// Writes a file and returns it as the only source.
pub fn source(dir: &Path, name: &str, content: impl AsRef<[u8]>) -> DataSource {
    let path = dir.join(name);
    std::fs::write(&path, content).unwrap();
    DataSource::of_file(path)
}

/// The examples of one file.
fn examples(name: &str, content: impl AsRef<[u8]>) -> Vec<(usize, TrainingExample)> {
    let dir = tempfile::tempdir().unwrap();
    let dataset = dataset::load(&[source(dir.path(), name, content)]).unwrap();
    dataset
        .rows
        .into_iter()
        .map(|row| (row.line, row.example))
        .collect()
}

pub fn message(role: &str, content: &str) -> ChatMessage {
    ChatMessage {
        role: role.to_owned(),
        content: content.to_owned(),
    }
}

fn labelled(text: &str, label: &str) -> TrainingExample {
    TrainingExample::Labelled {
        text: text.to_owned(),
        label: label.to_owned(),
    }
}

fn plain(text: &str) -> TrainingExample {
    TrainingExample::Text {
        text: text.to_owned(),
    }
}

/// A dataset in memory, one row a line of `mem`.
pub fn in_memory(examples: impl IntoIterator<Item = TrainingExample>) -> Dataset {
    let rows = examples
        .into_iter()
        .enumerate()
        .map(|(at, example)| dataset::DataRow {
            example,
            source: 0,
            line: at + 1,
        });
    Dataset::new(vec![DataSource::of_file("mem")], rows.collect())
}

#[test]
fn chats_come_from_three_formats() {
    let chat = vec![
        message("system", "Be brief."),
        message("user", "Hi"),
        message("assistant", "Ho"),
    ];
    let expected = vec![(1, TrainingExample::chat(chat))];
    let messages = r#"{"id": 7, "messages": [{"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi", "name": "x"}, {"role": "assistant", "content": "Ho"}]}"#;
    assert_eq!(examples("a", messages.replace('\n', " ")), expected);
    let sharegpt = r#"{"conversations": [{"from": "system", "value": "Be brief."}, {"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Ho"}]}"#;
    assert_eq!(examples("a", sharegpt), expected);
    let alpaca = r#"{"instruction": "Hi", "input": "", "output": "Ho", "system": "Be brief."}"#;
    assert_eq!(examples("a", alpaca), expected);
}

#[test]
fn alpaca_puts_the_input_below_the_instruction() {
    let row = r#"{"instruction": "Add.", "input": "1 2", "output": "3"}"#;
    let messages = vec![message("user", "Add.\n\n1 2"), message("assistant", "3")];
    assert_eq!(examples("a", row), [(1, TrainingExample::chat(messages))]);
}

#[test]
fn json_lines_hold_pairs_texts_and_labels() {
    let pair = TrainingExample::Completion {
        prompt: "1+1=".to_owned(),
        completion: " 2".to_owned(),
    };
    assert_eq!(
        examples("a", r#"{"prompt": "1+1=", "completion": " 2"}"#),
        [(1, pair)]
    );
    assert_eq!(examples("a", r#"{"text": "Once."}"#), [(1, plain("Once."))]);
    let rows = "{\"text\":\"up\",\"label\":\" good \"}\n\n{\"label\":\"bad\",\"text\":\"down\"}\n";
    assert_eq!(
        examples("a", rows),
        [(1, labelled("up", "good")), (3, labelled("down", "bad"))]
    );
}

#[test]
fn byte_order_marks_and_windows_line_ends_are_no_part_of_a_row() {
    let rows = "\u{feff}{\"text\": \"one\\r\\ntwo\"}\r\n{\"text\": \"three\"}\r\n";
    assert_eq!(
        examples("a.csv", rows),
        [(1, plain("one\ntwo")), (2, plain("three"))]
    );
    let table = "\u{feff}text,label\r\n\"up, up\r\nand away\",good\r\ndown,bad\r\n";
    let expected = [
        (2, labelled("up, up\nand away", "good")),
        (4, labelled("down", "bad")),
    ];
    assert_eq!(examples("a.jsonl", table), expected);
}

#[test]
fn csv_columns_have_the_names_of_json_keys_in_any_order() {
    let table = "id,label,text\n1,good,\"he said \"\"up\"\"\"\n2,bad,down\n";
    let expected = [
        (2, labelled("he said \"up\"", "good")),
        (3, labelled("down", "bad")),
    ];
    assert_eq!(examples("a", table), expected);
    let pairs = "prompt,completion\n1+1=,2\n";
    let pair = TrainingExample::Completion {
        prompt: "1+1=".to_owned(),
        completion: "2".to_owned(),
    };
    assert_eq!(examples("a", pairs), [(2, pair)]);
}

/// A whole error of a file named `rows`: message with the folder left out, and hint.
fn error_of(content: &[u8]) -> (String, Option<String>) {
    let dir = tempfile::tempdir().unwrap();
    let error = dataset::load(&[source(dir.path(), "rows", content)]).unwrap_err();
    told(&error, dir.path())
}

fn told(error: &DataError, dir: &Path) -> (String, Option<String>) {
    let folder = format!("{}/", dir.display());
    let hint = error.hint().map(|hint| hint.replace(&folder, ""));
    (error.to_string().replace(&folder, ""), hint)
}

const ONE_OBJECT: Option<&str> = Some("each row must be one complete JSON object");
const TOOLS: Option<&str> =
    Some("calls of tools cannot be learned: take the column out, or write the call into the text");

/// `(file, message, hint)`.
const BAD_FILES: &[(&[u8], &str, Option<&str>)] = &[
    (b"", "rows: no rows, expected at least one", None),
    (b" \n\n", "rows: no rows, expected at least one", None),
    (b"text,label\n", "rows: no rows, expected at least one", None),
    (
        b"{\"text\": \"a\"}\n{\"text\": \"b\" \"label\": \"x\"}\n",
        "rows:2: broken JSON at column 14: expected `,` or `}`",
        ONE_OBJECT,
    ),
    (
        b"{\"text\": \"a\"}\n{\"text\": \"b",
        "rows:2: broken JSON at column 11: EOF while parsing a string",
        ONE_OBJECT,
    ),
    (
        b"{\"text\": \"a\", \"text\": \"b\"}",
        "rows:1: broken JSON at column 26: the key `text` occurs twice",
        ONE_OBJECT,
    ),
    (b"{\"text\": \"a\"}\n[1, 2]\n", "rows:2: expected a JSON object, found a list", None),
    (
        b"\nJust a letter to you.\nYours",
        "rows:2: not recognised: expected JSON objects, one a line, a JSON list, a CSV header such \
         as text,label, or Parquet; found `Just a letter to you.`",
        Some(
            "if it is a table, name its columns in the first line; a text of its own is one row: \
             {\"text\": \"…\"}",
        ),
    ),
    (
        b"{\"question\": \"a\", \"answer\": \"b\"}",
        "rows:1: no row format has the keys `question`, `answer`; expected messages, \
         conversations, instruction and output, prompt and completion, text and label, or text",
        Some(
            "read them with --columns prompt=question,completion=answer, or rename the columns",
        ),
    ),
    (b"{\"text\": \"a\", \"lable\": \"b\"}", "rows:1: unknown key `lable`", Some("did you mean `label`?")),
    (b"text,Label\na,b\n", "rows:1: unknown key `Label`", Some("did you mean `label`?")),
    (b"{\"text\": \"  \"}", "rows:1: `text` is empty", None),
    (b"text,label\nup,\n", "rows:2: `label` is empty", None),
    (b"{\"messages\": []}", "rows:1: `messages` is empty", None),
    (
        b"{\"label\": \"good\"}",
        "rows:1: `text` is missing; a row of the text/label format needs it",
        None,
    ),
    (
        b"{\"completion\": \"good\"}",
        "rows:1: `prompt` is missing; a row of the prompt/completion format needs it",
        None,
    ),
    (
        b"{\"text\": 1, \"label\": 1}",
        "rows:1: `text` must be a text, found a number",
        Some("write it in quotes"),
    ),
    (b"{\"text\": null}", "rows:1: `text` must be a text, found null", None),
    (
        b"{\"messages\": \"hi\"}",
        "rows:1: `messages` must be a list of messages, found a text",
        None,
    ),
    (
        b"{\"messages\": [\"hi\"]}",
        "rows:1: `messages[0]` must be an object, found a text",
        None,
    ),
    (
        b"{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}, {\"role\": \"bot\", \"content\": \"b\"}]}",
        "rows:1: unknown role `bot` in `messages[1].role`, expected system, user or assistant",
        None,
    ),
    (
        b"{\"conversations\": [{\"from\": \"man\", \"value\": \"a\"}]}",
        "rows:1: unknown role `man` in `conversations[0].from`, expected system, human or gpt",
        None,
    ),
    (
        b"{\"messages\": [{\"role\": \"user\", \"content\": [1]}]}",
        "rows:1: `messages[0].content[0]` must be an object with type and text, found a number",
        None,
    ),
    (
        b"{\"messages\": [{\"role\": \"assistant\", \"content\": \"a\", \"tool_calls\": [1]}]}",
        "rows:1: `messages[0].tool_calls` is not supported",
        TOOLS,
    ),
    (
        b"{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}]}",
        "rows:1: no message of the assistant, so nothing is learned",
        None,
    ),
    (
        b"{\"text\": \"a\"}\n{\"text\": \"b\", \"label\": \"c\"}\n",
        "rows:2: a row of the text/label format, expected text as on line 1",
        Some("put rows of different formats into files of their own"),
    ),
    (
        b"text,label\nup, up and away,good\n",
        "rows:2: expected 2 fields as in the header, found 3",
        Some("put quotation marks around values that contain commas"),
    ),
    (
        b"text,label\na,b\n\"up,good\ndown,bad\n",
        "rows:3: an unclosed quotation mark",
        Some("write a quotation mark inside a value twice: \"\""),
    ),
    (
        b"text,label,text\na,b,c\n",
        "rows:1: broken header: the column `text` occurs twice",
        None,
    ),
    (
        b"{\"text\": \"a\"}\n{\"text\": \"caf\xe9\"}\n",
        "rows:2: invalid UTF-8: byte 0xe9 at offset 27",
        Some("save the file as UTF-8; if it is Latin-1: iconv -f LATIN1 -t UTF-8"),
    ),
    (
        b"\xff\xfe{\0",
        "rows: UTF-16 text, expected UTF-8",
        Some("convert it: iconv -f UTF-16 -t UTF-8 rows > utf8-copy"),
    ),
    (b"PAR1", "rows: not a readable Parquet file: EOF: Parquet file too small. Size is 4 but need 8", None),
];

#[test]
fn every_bad_file_is_told_with_place_and_hint() {
    for (content, message, hint) in BAD_FILES {
        let expected = ((*message).to_owned(), hint.map(str::to_owned));
        assert_eq!(
            error_of(content),
            expected,
            "{}",
            String::from_utf8_lossy(content)
        );
    }
}

#[test]
fn paths_that_are_no_files_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let of = |path: PathBuf| {
        told(
            &dataset::load(&[DataSource::of_file(path)]).unwrap_err(),
            dir.path(),
        )
    };
    std::fs::create_dir(dir.path().join("folder")).unwrap();
    assert_eq!(
        of(dir.path().join("folder")),
        (
            "folder: a folder, expected a data file".into(),
            Some("name each file of the folder on its own; for pictures, set project.task to image and name folders of pictures alone".into())
        )
    );
    assert_eq!(
        of(dir.path().join("none.jsonl")),
        (
            "none.jsonl: no such file".into(),
            Some("paths are relative to openlora.toml, or to the current folder".into())
        )
    );
    let none = dataset::load(&[]).unwrap_err();
    assert_eq!(
        told(&none, dir.path()),
        (
            "no data: no file is named".into(),
            Some("name files with --data, or as [[data]] entries in openlora.toml".into())
        )
    );
}

#[test]
fn inspection_goes_on_after_faults_and_stops_at_its_limit() {
    let dir = tempfile::tempdir().unwrap();
    let mixed = source(
        dir.path(),
        "mixed",
        "{\"text\":\"a\"}\n{}\n{\"text\":1}\n{\"text\":\"b\"}\n",
    );
    let many = source(dir.path(), "many", "{\n".repeat(9));
    let found = dataset::inspect(&[mixed, many.clone()], 4);
    let lines: Vec<String> = found
        .errors
        .iter()
        .map(|error| told(error, dir.path()).0)
        .collect();
    let eof = |line| format!("many:{line}: broken JSON at column 1: EOF while parsing an object");
    let expected = [
        "mixed:2: no row format has the keys ; expected messages, conversations, instruction and \
         output, prompt and completion, text and label, or text"
            .to_owned(),
        "mixed:3: `text` must be a text, found a number".to_owned(),
        eof(1),
        eof(2),
        eof(3),
        eof(4),
    ];
    assert_eq!(lines, expected);
    assert_eq!(found.cut_short, [many.path]);
    let rows: Vec<_> = found.dataset.rows.iter().map(|row| row.line).collect();
    assert_eq!(rows, [1, 4]);
}

#[test]
fn digests_are_over_canonical_lines_whatever_the_format() {
    let dir = tempfile::tempdir().unwrap();
    let json = source(
        dir.path(),
        "a.jsonl",
        "{\"label\": \"good\", \"id\": 1, \"text\": \"up\"}\n",
    );
    let csv = source(dir.path(), "b.csv", "text,label\r\nup,good\r\n");
    // printf '{"kind":"labelled","text":"up","label":"good"}\n' | sha256sum
    let once = "b3da7adbae8c5dfbcf69dd39f998386b03a8ed988785efcf25b6a90e0cf6a4f8";
    let both = dataset::load(&[json.clone(), csv]).unwrap();
    assert_eq!(both.source_digests[0], both.source_digests[1]);
    let single = dataset::load(&[json]).unwrap();
    assert_eq!(single.digest, both.source_digests[0]);
    assert_ne!(single.digest, both.digest);
    assert_eq!(single.digest, once);
}

fn wish(task: Option<&str>, labels: &[&str]) -> TaskOptions {
    TaskOptions {
        task: task.map(str::to_owned),
        labels: labels.iter().map(|label| (*label).to_owned()).collect(),
        instruction: None,
    }
}

fn completion() -> TrainingExample {
    TrainingExample::Completion {
        prompt: "1+1=".to_owned(),
        completion: "2".to_owned(),
    }
}

fn chat() -> TrainingExample {
    TrainingExample::chat(vec![message("user", "Hi"), message("assistant", "Ho")])
}

#[test]
fn the_task_is_found_from_the_rows() {
    let found = |rows: Vec<TrainingExample>| {
        Task::resolve(&in_memory(rows), &TaskOptions::default()).unwrap()
    };
    assert_eq!(found(vec![plain("a")]), Task::Text);
    assert_eq!(
        found(vec![chat(), completion()]),
        Task::Chat { instruction: None }
    );
    assert_eq!(
        found(vec![labelled("a", "up"), labelled("b", "down")]),
        Task::Classify {
            labels: vec!["down".into(), "up".into()],
            instruction: "Answer with one of these labels: down, up.".into(),
        }
    );
}

#[test]
fn a_classifier_asks_with_its_instruction() {
    let rows = in_memory([labelled("a", "up"), labelled("b", "down")]);
    let wanted = TaskOptions {
        instruction: Some("Up?".into()),
        ..wish(Some("classify"), &["up", "down"])
    };
    let task = Task::resolve(&rows, &wanted).unwrap();
    assert_eq!(
        task.prompt_messages("c"),
        [message("system", "Up?"), message("user", "c")]
    );
    let Task::Classify { labels, .. } = &task else {
        panic!("{task:?}")
    };
    assert_eq!(labels, &["up", "down"]);
    let json = r#"{"kind":"classify","labels":["up","down"],"instruction":"Up?"}"#;
    assert_eq!(serde_json::to_string(&task).unwrap(), json);
    assert_eq!(serde_json::from_str::<Task>(json).unwrap(), task);
}

#[test]
fn rows_that_do_not_fit_the_task_are_told() {
    let ups = || in_memory([labelled("a", "up"), labelled("b", "down")]);
    let correct = Some("correct project.labels");
    let label = Some("label the rows, or set project.task to chat or text");
    let cases: [(Dataset, TaskOptions, &str, Option<&str>); 10] = [
        (
            ups(),
            wish(Some("classify"), &["Up", "down"]),
            "mem:1: unknown label `up`, expected Up, down",
            Some("did you mean `Up`?"),
        ),
        (
            ups(),
            wish(None, &["yes", "no"]),
            "mem:1: unknown label `up`, expected yes, no",
            Some("correct the row, or add the label to project.labels"),
        ),
        (
            in_memory([labelled("a", "postive")]),
            wish(None, &["negative", "positive"]),
            "mem:1: unknown label `postive`, expected negative, positive",
            Some("did you mean `positive`?"),
        ),
        (
            ups(),
            wish(None, &["up", "up"]),
            "the label `up` is listed twice",
            correct,
        ),
        (ups(), wish(None, &["up", " "]), "a label is empty", correct),
        (
            in_memory([labelled("a", "up")]),
            wish(None, &[]),
            "a classifier needs two labels or more, found up",
            label,
        ),
        (
            in_memory([plain("a")]),
            wish(Some("classify"), &["a", "b"]),
            "mem:1: a plain text row, expected a labelled one",
            Some(
                "a classifier learns from rows with text and label; for others set project.task to \
               chat or text",
            ),
        ),
        (
            in_memory([chat(), plain("a")]),
            wish(None, &[]),
            "mem:2: a plain text row, expected a chat, prompt/completion or labelled one",
            Some("plain text is learned with project.task = \"text\""),
        ),
        (
            in_memory([plain("a"), chat()]),
            wish(None, &[]),
            "mem:2: a chat row, expected a plain text or prompt/completion one",
            Some("chats and labels are learned with project.task = \"chat\" or \"classify\""),
        ),
        (
            ups(),
            wish(Some("translate"), &[]),
            "unknown task `translate`, expected classify, chat, text or image",
            None,
        ),
    ];
    for (dataset, wanted, message, hint) in cases {
        let error = Task::resolve(&dataset, &wanted).unwrap_err();
        let expected = (message.to_owned(), hint.map(str::to_owned));
        assert_eq!((error.to_string(), error.hint()), expected);
    }
}

fn any_example() -> impl Strategy<Value = TrainingExample> {
    let text = "[a-zA-Z é\"\\\\,\n🚀]{0,20}x";
    let said = proptest::collection::vec(text, 1..4).prop_map(|texts| TrainingExample::Chat {
        context_answers: (1..texts.len()).step_by(2).collect(),
        // A request before the answers, marked in half of the rows.
        context_messages: (0..texts.len() % 2).collect(),
        messages: std::iter::once(message("user", "Hi"))
            .chain(texts.iter().map(|text| message("assistant", text)))
            .collect(),
    });
    prop_oneof![
        text.prop_map(|text| TrainingExample::Text { text }),
        (text, text)
            .prop_map(|(prompt, completion)| TrainingExample::Completion { prompt, completion }),
        (text, "[a-z]{1,6}").prop_map(|(text, label)| TrainingExample::Labelled { text, label }),
        said,
    ]
}

proptest! {
    #[test]
    fn a_row_written_is_the_row_read(example in any_example()) {
        prop_assert_eq!(examples("rows", example.to_json_line()), [(1, example)]);
    }

    #[test]
    fn the_digest_tells_any_two_datasets_apart(
        one in proptest::collection::vec(any_example(), 0..4),
        two in proptest::collection::vec(any_example(), 0..4),
    ) {
        let same = one == two;
        prop_assert_eq!(in_memory(one).digest == in_memory(two).digest, same);
    }
}

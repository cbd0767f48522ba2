//! Columns beside those of a format, marks of the loss mask, and layouts of files.

use openlora_core::error::Explain;
use openlora_model::dataset::{
    self, ColumnNames, DataError, DataSource, Dataset, LeftOutAnswers, TrainingExample,
    encode::LossOn, warnings,
};

use crate::dataset::{message, source};

fn read(content: impl AsRef<[u8]>) -> Dataset {
    let dir = tempfile::tempdir().unwrap();
    dataset::load(&[source(dir.path(), "rows", content)]).unwrap()
}

/// The only row of a file, and the columns that were not read.
fn only(content: &str) -> (TrainingExample, Vec<String>) {
    let dataset = read(content);
    let [row] = dataset.rows.as_slice() else {
        panic!("{dataset:?}")
    };
    let unread = dataset.unread.first().map(|file| file.columns.clone());
    (row.example.clone(), unread.unwrap_or_default())
}

/// Message and hint of the first error of a file named `rows`.
fn error(content: impl AsRef<[u8]>) -> (String, String) {
    let dir = tempfile::tempdir().unwrap();
    let error = dataset::load(&[source(dir.path(), "rows", content)]).unwrap_err();
    let plain = |text: String| text.replace(&format!("{}/", dir.path().display()), "");
    (
        plain(error.to_string()),
        plain(error.hint().unwrap_or_default()),
    )
}

fn chat(turns: &[(&str, &str)], context_answers: &[usize]) -> TrainingExample {
    masked_chat(turns, context_answers, &[])
}

/// A conversation with answers, as positions among the answers, and other messages that are not
/// learned.
fn masked_chat(
    turns: &[(&str, &str)],
    context_answers: &[usize],
    context_messages: &[usize],
) -> TrainingExample {
    let messages = turns.iter().map(|(role, text)| message(role, text));
    TrainingExample::Chat {
        messages: messages.collect(),
        context_answers: context_answers.to_vec(),
        context_messages: context_messages.to_vec(),
    }
}

const LAMP: [(&str, &str); 3] = [
    ("system", "Answer like a pirate."),
    ("user", "Lamp?"),
    ("assistant", "Green."),
];

#[test]
fn a_system_message_beside_any_chat_is_read() {
    let turns =
        r#"[{"role": "user", "content": "Lamp?"}, {"role": "assistant", "content": "Green."}]"#;
    let shares = r#"[{"from": "human", "value": "Lamp?"}, {"from": "gpt", "value": "Green."}]"#;
    for key in ["system", "system_prompt"] {
        let system = format!(r#""{key}": "Answer like a pirate.""#);
        for rest in [
            format!(r#""messages": {turns}"#),
            format!(r#""conversations": {shares}"#),
            // Names of one list inside of the other.
            format!(r#""conversations": {turns}"#),
            format!(r#""messages": {shares}"#),
            r#""prompt": "Lamp?", "completion": "Green.""#.to_owned(),
            r#""instruction": "Lamp?", "output": "Green.""#.to_owned(),
        ] {
            let row = format!("{{{system}, {rest}}}");
            assert_eq!(only(&row), (chat(&LAMP, &[]), vec![]), "{row}");
            let empty = format!(r#"{{"{key}": "", {rest}}}"#);
            let expected = match rest.contains("prompt") {
                true => TrainingExample::Completion {
                    prompt: "Lamp?".to_owned(),
                    completion: "Green.".to_owned(),
                },
                false => chat(&LAMP[1..], &[]),
            };
            assert_eq!(only(&empty), (expected, vec![]), "{empty}");
        }
    }
    let table = "prompt,completion,system_prompt\nLamp?,Green.,Answer like a pirate.\n";
    assert_eq!(only(table), (chat(&LAMP, &[]), vec![]));
    let twice = r#"{"system": "Be brief.", "messages": [{"role": "system", "content": "Be brief."}, {"role": "assistant", "content": "Ho"}]}"#;
    let once = chat(&[("system", "Be brief."), ("assistant", "Ho")], &[]);
    assert_eq!(only(twice), (once, vec![]));
}

/// `(row, message, hint)`.
const REFUSED: &[(&str, &str, &str)] = &[
    (
        r#"{"system": "A", "messages": [{"role": "system", "content": "B"}, {"role": "assistant", "content": "Ho"}]}"#,
        "`system` and `messages[0]` are different system messages",
        "keep one of them",
    ),
    (
        r#"{"system": "A", "system_prompt": "B", "prompt": "Hi", "completion": "Ho"}"#,
        "`system` and `system_prompt` are different system messages",
        "keep one of them",
    ),
    (
        r#"{"instruction": "Add.", "inputs": "1 2", "output": "3"}"#,
        "unknown key `inputs`",
        "did you mean `input`?",
    ),
    (
        r#"{"instruction": "Add.", "Input": "1 2", "output": "3"}"#,
        "unknown key `Input`",
        "did you mean `input`?",
    ),
    (
        r#"{"messages": [{"role": "assistant", "content": "Ho"}], "sytem_prompt": "A"}"#,
        "unknown key `sytem_prompt`",
        "did you mean `system_prompt`?",
    ),
    (
        r#"{"prompt": "Hi", "completion": "Ho", "label": false}"#,
        "`label` says that the answer is not wanted",
        "take the row out: unwanted answers cannot be learned from",
    ),
    (
        "prompt,completion,label\nHi,Ho,False\n",
        "`label` says that the answer is not wanted",
        "take the row out: unwanted answers cannot be learned from",
    ),
    (
        r#"{"conversations": [{"from": "gpt", "value": "Ho"}], "kto_tag": 0}"#,
        "`kto_tag` says that the answer is not wanted",
        "take the row out: unwanted answers cannot be learned from",
    ),
    (
        r#"{"messages": [{"role": "assistant", "content": "Ho"}], "rejected": {"role": "assistant", "content": "Ho"}}"#,
        "`rejected` is not supported",
        "preference pairs cannot be learned: keep the chosen answer as the answer of the row, and \
         take the column out",
    ),
    (
        r#"{"prompt": "Hi", "completion": "No", "chosen": "Ho"}"#,
        "`chosen` is not supported",
        "preference pairs cannot be learned: keep the chosen answer as the answer of the row, and \
         take the column out",
    ),
    (
        r#"{"messages": [{"role": "assistant", "content": "Ho"}], "images": ["a.png"]}"#,
        "`images` is not supported",
        "only text is learned: take the column out if the text makes sense without it",
    ),
    (
        r#"{"text": "Hi", "label": "a", "image": {"path": "a.png"}}"#,
        "`image` is not supported",
        "only text is learned: take the column out if the text makes sense without it",
    ),
    (
        r#"{"messages": [{"role": "assistant", "content": "Ho"}], "functions": [{"name": "f"}]}"#,
        "`functions` is not supported",
        "calls of tools cannot be learned: take the column out, or write the call into the text",
    ),
    (
        r#"{"messages": [{"role": "assistant", "content": "Ho", "reasoning_content": "Hm"}]}"#,
        "`messages[0].reasoning_content` is not supported",
        "write it into the message's text if it is to be learned, or take it out",
    ),
    (
        r#"{"instruction": "Add.", "output": "3", "history": [["Hi", "Ho"]]}"#,
        "`history` is not supported",
        "write it into the request, or take the column out",
    ),
    (
        r#"{"prompt": "Hi", "completion": "Ho", "context": "1 2"}"#,
        "`context` is not supported",
        "write it into the request, or take the column out",
    ),
    (
        r#"{"text": "Hi", "label": "a", "text_pair": "Ho"}"#,
        "`text_pair` is not supported",
        "write it into `text`, or take the column out",
    ),
    (
        r#"{"text": "Hi", "label": "a", "system": "Judge."}"#,
        "`system` is not supported",
        "for the same instruction in every row set project.instruction; otherwise write it into \
         `text`",
    ),
    (
        r#"{"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": "a"}]}]}"#,
        "`messages[0].content[0].type` must be `text`, found `image_url`",
        "only text is learned: take the other parts out",
    ),
    (
        r#"{"chosen": "Human: Hi Assistant: Ho", "rejected": "Human: Hi Assistant: No"}"#,
        "`chosen` is not supported",
        "preference pairs cannot be learned: keep the chosen answer as the answer of the row, and \
         take the column out",
    ),
    (
        r#"{"text": "Hi", "label": ["a", "b"]}"#,
        "`label` must be a text, found a list",
        "a row has one label",
    ),
    // Other names.
    (
        r#"{"text": "Hi", "sentiment": "good"}"#,
        "`sentiment` is not read, and there is no `label`",
        "read it with --columns label=sentiment, or rename the column; to learn the texts alone, \
         take it out",
    ),
    (
        r#"{"sentence": "Hi", "label": "good"}"#,
        "`text` is missing; a row of the text/label format needs it",
        "read it with --columns text=sentence, or rename the column",
    ),
    (
        r#"{"instruction": "Add.", "input": "1 2", "response": "3"}"#,
        "`output` is missing; a row of the instruction/output format needs it",
        "read it with --columns output=response, or rename the column",
    ),
    (
        r#"{"text": {"0": "Hi", "1": "Ho"}, "label": {"0": "a", "1": "b"}}"#,
        "`text` must be a text, found an object",
        "each row has its own text; from pandas: df.to_json(path, orient=\"records\", lines=True)",
    ),
];

#[test]
fn columns_that_cannot_be_honoured_are_refused_by_name() {
    for (row, message, hint) in REFUSED {
        let line = 1 + usize::from(row.contains('\n'));
        let expected = (format!("rows:{line}: {message}"), (*hint).to_owned());
        assert_eq!(error(row), expected, "{row}");
    }
}

#[test]
fn every_other_column_is_named_once() {
    let rows = "{\"text\": \"a\", \"id\": 1, \"note\": null}\n{\"text\": \"b\", \"source\": \"x\", \"id\": 2}\n";
    let files = read(rows).unread;
    let [file] = files.as_slice() else {
        panic!("{files:?}")
    };
    assert_eq!(file.columns, ["id", "source"]);
    let (_, unread) = only("text,label,id,empty\na,b,7,\n");
    assert_eq!(unread, ["id"]);
    let row = r#"{"messages": [{"role": "user", "content": "Hi", "name": "Ann"}, {"role": "assistant", "content": "Ho", "tool_calls": []}], "tools": "[]", "prompt": "Hi", "score": 3}"#;
    let expected = chat(&[("user", "Hi"), ("assistant", "Ho")], &[]);
    let names = ["messages[].name", "prompt", "score"].map(str::to_owned);
    assert_eq!(only(row), (expected, names.to_vec()));
    // A wanted answer (KTO) is read as any other.
    let (_, unread) = only(r#"{"prompt": "Hi", "completion": "Ho", "label": true}"#);
    assert_eq!(unread, Vec::<String>::new());
}

const TRIES: [(&str, &str); 4] = [
    ("user", "Lamp?"),
    ("assistant", "WRONG"),
    ("user", "Again: lamp?"),
    ("assistant", "Green."),
];

/// Both lists of messages, with a mark in the first answer and another in the second.
fn marked_rows(first: &str, second: &str) -> [String; 2] {
    let field = |mark: &str| match mark {
        "" => String::new(),
        mark => format!(", {mark}"),
    };
    let (first, second) = (field(first), field(second));
    [
        format!(
            r#"{{"messages": [{{"role": "user", "content": "Lamp?"}}, {{"role": "assistant", "content": "WRONG"{first}}}, {{"role": "user", "content": "Again: lamp?"}}, {{"role": "assistant", "content": "Green."{second}}}]}}"#
        ),
        format!(
            r#"{{"conversations": [{{"from": "human", "value": "Lamp?"}}, {{"from": "gpt", "value": "WRONG"{first}}}, {{"from": "human", "value": "Again: lamp?"}}, {{"from": "gpt", "value": "Green."{second}}}]}}"#
        ),
    ]
}

#[test]
fn answers_marked_as_not_learned_are_context() {
    let marks = [
        r#""loss": false"#,
        r#""loss": 0"#,
        r#""train": false"#,
        r#""training": false"#,
        r#""trainable": "false""#,
        r#""masked": true"#,
        r#""loss_mask": 0"#,
        r#""loss-mask": 0"#,
        r#""lossMask": 0"#,
        r#""loss_scale": 0.0"#,
        r#""weight": 0"#,
        r#""weight": 0.0"#,
        r#""ignore": true"#,
    ];
    for mark in marks {
        for row in marked_rows(mark, r#""loss": true, "masked": false, "weight": null"#) {
            assert_eq!(only(&row), (chat(&TRIES, &[0]), vec![]), "{row}");
        }
    }
    for row in marked_rows("", r#""weight": 0"#) {
        assert_eq!(only(&row), (chat(&TRIES, &[1]), vec![]), "{row}");
    }
    for list in ["loss_mask", "train", "weights"] {
        for row in marked_rows("", "") {
            let with = |entries: &str| {
                let row = row.strip_suffix('}').unwrap();
                format!(r#"{row}, "{list}": {entries}}}"#)
            };
            let learned = only(&with("[0, false, null, 1]"));
            assert_eq!(learned, (masked_chat(&TRIES, &[0], &[0]), vec![]));
            // A system message of its own column is no message of the list.
            let row = with("[0, 0, 0, 1], \"system\": \"A\"");
            let turns = [&[("system", "A")][..], &TRIES].concat();
            let expected = masked_chat(&turns, &[0], &[1, 3]);
            assert_eq!(only(&row), (expected, vec![]));
        }
    }
    let whole =
        r#"{"messages": [{"role": "assistant", "content": "Ho"}], "train": true, "weight": 1}"#;
    assert_eq!(only(whole), (chat(&[("assistant", "Ho")], &[]), vec![]));
}

#[test]
fn a_row_written_keeps_its_context_answers() {
    let row = chat(&TRIES, &[0]);
    let line = row.to_json_line();
    assert_eq!(
        line,
        r#"{"messages":[{"role":"user","content":"Lamp?"},{"role":"assistant","content":"WRONG","weight":0},{"role":"user","content":"Again: lamp?"},{"role":"assistant","content":"Green."}]}"#
    );
    assert_eq!(only(&line), (row.clone(), vec![]));
    let all = chat(&TRIES, &[]);
    assert_ne!(row.content_hash(), all.content_hash());
}

#[test]
fn requests_marked_as_not_learned_are_kept_and_told_where_they_matter() {
    let turn = |mark: &str| {
        format!(
            r#"{{"messages": [{{"role": "user", "content": "Lamp?"{mark}}}, {{"role": "assistant", "content": "Green."}}]}}"#
        )
    };
    let turns = [("user", "Lamp?"), ("assistant", "Green.")];
    let plain = chat(&turns, &[]);
    for mark in [r#""train": false"#, r#""loss": 0"#, r#""masked": true"#] {
        let masked = only(&turn(&format!(", {mark}"))).0;
        assert_eq!(masked, masked_chat(&turns, &[], &[0]), "{mark}");
        assert_ne!(masked.content_hash(), plain.content_hash());
        let line = masked.to_json_line();
        assert_eq!(
            line,
            r#"{"messages":[{"role":"user","content":"Lamp?","weight":0},{"role":"assistant","content":"Green."}]}"#
        );
        assert_eq!(only(&line), (masked, vec![]));
    }
    // A row without marks has the canonical line that it always had, and so has one with a mark that
    // the loss does not ask for.
    let masked = masked_chat(&turns, &[], &[0]);
    assert_eq!(masked.clone().for_loss(LossOn::Completion), plain);
    assert_eq!(masked.clone().for_loss(LossOn::All), masked);
    assert_eq!(
        serde_json::to_string(&plain).unwrap(),
        r#"{"kind":"chat","messages":[{"role":"user","content":"Lamp?"},{"role":"assistant","content":"Green."}]}"#
    );
    let dir = tempfile::tempdir().unwrap();
    let rows = [
        turn(r#", "train": false"#),
        turn(""),
        turn(r#", "masked": true"#),
    ];
    let file = source(dir.path(), "rows.jsonl", rows.join("\n"));
    let dataset = dataset::load(&[file]).unwrap();
    let plain = source(
        dir.path(),
        "plain.jsonl",
        [turn(""), turn(""), turn("")].join("\n"),
    );
    let plain = dataset::load(&[plain]).unwrap();
    let by_loss = |loss| dataset.clone().for_loss(loss);
    assert_eq!(by_loss(LossOn::All), dataset);
    assert_ne!(dataset.digest, plain.digest);
    let unmarked = by_loss(LossOn::Completion);
    assert_eq!(
        (&unmarked.digest, &unmarked.source_digests, &unmarked.rows),
        (&plain.digest, &plain.source_digests, &plain.rows)
    );
    assert_eq!(unmarked.left_out_messages, dataset.left_out_messages);
    let told = |loss| -> Vec<String> {
        let told = warnings::of_reading(&dataset, loss).into_iter();
        told.map(|it| it.with_path(|_| "rows.jsonl".into()).to_string())
            .collect()
    };
    assert_eq!(told(LossOn::Completion), Vec::<String>::new());
    assert_eq!(
        told(LossOn::All),
        [
            "rows.jsonl: 2 messages that are no answers are marked as not learned, in 2 rows \
          (`masked`, `train`)"
        ]
    );
}

#[test]
fn marks_that_cannot_be_honoured_are_refused_by_name() {
    const MARK: &str = "a message is learned or not; if the column says something else, take it \
                        out or rename it; the weight of a whole file is set with weight in [[data]]";
    const REQUEST: &str =
        "only answers are learned: leave the mark out; train.loss = \"all\" learns every message";
    let answer = |mark: &str| {
        format!(r#"{{"messages": [{{"role": "assistant", "content": "Ho", {mark}}}]}}"#)
    };
    let row = |mark: &str| {
        format!(r#"{{"messages": [{{"role": "assistant", "content": "Ho"}}], {mark}}}"#)
    };
    let out = "take the row out";
    let which = "it does not say whether 1 is learned: name it loss_mask (1 is learned) or masked \
                 (true is not learned)";
    let cases = [
        (
            answer(r#""weight": 0.5"#),
            "`messages[0].weight` must be true, false, 1 or 0, found 0.5",
            MARK,
        ),
        (
            answer(r#""loss": [0, 1]"#),
            "`messages[0].loss` must be true, false, 1 or 0, found [0,1]",
            MARK,
        ),
        (
            answer(r#""train": "later""#),
            "`messages[0].train` must be true, false, 1 or 0, found \"later\"",
            MARK,
        ),
        (
            answer(r#""mask": 1"#),
            "`messages[0].mask` is not supported",
            which,
        ),
        (
            answer(r#""weight": 0"#),
            "every answer is marked as not learned",
            out,
        ),
        (
            r#"{"messages": [{"role": "user", "content": "Hi", "loss": true}, {"role": "assistant", "content": "Ho"}]}"#
                .to_owned(),
            "`messages[0].loss` says that a message is learned that is no answer",
            REQUEST,
        ),
        (
            row(r#""loss_mask": [0, 1]"#),
            "`loss_mask` has 2 entries, expected 1 as in `messages`",
            "write one entry for each message",
        ),
        (row(r#""train": false"#), "`train` says that the row is not learned", out),
        (
            row(r#""weight": 0.3"#),
            "`weight` must be true, false, 1 or 0, found 0.3",
            MARK,
        ),
        (
            r#"{"text": "a", "label": "b", "weight": 0}"#.to_owned(),
            "`weight` says that the row is not learned",
            out,
        ),
        (
            r#"{"prompt": "Hi", "completion": "Ho", "loss_mask": [1]}"#.to_owned(),
            "`loss_mask` must be true, false, 1 or 0, found [1]",
            MARK,
        ),
    ];
    for (row, message, hint) in cases {
        let expected = (format!("rows:1: {message}"), hint.to_owned());
        assert_eq!(error(&row), expected, "{row}");
    }
}

fn labelled(text: &str, label: &str) -> TrainingExample {
    TrainingExample::Labelled {
        text: text.to_owned(),
        label: label.to_owned(),
    }
}

fn lines(content: impl AsRef<[u8]>) -> Vec<(usize, TrainingExample)> {
    let rows = read(content).rows.into_iter();
    rows.map(|row| (row.line, row.example)).collect()
}

#[test]
fn labels_are_written_as_in_a_table() {
    let rows = "{\"text\":\"a\",\"label\":true}\n{\"text\":\"b\",\"label\":0}\n\
                {\"text\":\"c\",\"label\":1.5}\n{\"text\":\"d\",\"label\":\"true\"}\n";
    let expected = [
        (1, labelled("a", "true")),
        (2, labelled("b", "0")),
        (3, labelled("c", "1.5")),
        (4, labelled("d", "true")),
    ];
    assert_eq!(lines(rows), expected);
}

#[test]
fn parts_of_a_message_are_joined_as_by_the_server() {
    let row = r#"{"messages": [{"role": "developer", "content": "Be "}, {"role": "user", "content": [{"type": "text", "text": "La"}, {"type": "text", "text": "mp?"}]}, {"role": "assistant", "content": [{"type": "text", "text": "Green."}]}]}"#;
    let turns = [
        ("system", "Be "),
        ("user", "Lamp?"),
        ("assistant", "Green."),
    ];
    assert_eq!(only(row), (chat(&turns, &[]), vec![]));
}

#[test]
fn a_json_list_is_read_with_the_lines_of_its_rows() {
    let list = "\u{feff}[\n  {\n    \"text\": \"a, ]}\\\"[\",\n    \"label\": \"x\"\n  },\n  {\"text\": \"b\",\n \"label\": \"y\"}, {\"text\": \"c\", \"label\": \"z\"}\n]\n";
    let expected = [
        (2, labelled("a, ]}\"[", "x")),
        (6, labelled("b", "y")),
        (7, labelled("c", "z")),
    ];
    assert_eq!(lines(list), expected);
    assert_eq!(lines("[{\"text\": \"a\", \"label\": \"x\"},]").len(), 1);
    let cases = [
        ("[]", "rows: no rows, expected at least one", ""),
        (
            "[{\"text\": \"a\"},\n {\"text\": 1}\n]",
            "rows:2: `text` must be a text, found a number",
            "write it in quotes",
        ),
        (
            "[{\"text\": \"a\"},\n {\n\"text\" 1}\n]",
            "rows:3: broken JSON at column 8: expected `:`",
            "each row must be one complete JSON object",
        ),
        (
            "[{\"text\": \"a\"},\n {\"text\": \"b\"}\n",
            "rows:3: the JSON list is not closed",
            "the file may be cut short: it must end with ]",
        ),
        (
            "[{\"text\": \"a\"}]\n[{\"text\": \"b\"}]\n",
            "rows:2: text after the JSON list",
            "write all rows into one list, or one row per line without a list",
        ),
        (
            "[\"a\", \"b\"]",
            "rows:1: expected a JSON object, found a text",
            "",
        ),
        (
            "{\n \"data\": [\n {\"text\": \"a\"}\n ]\n}\n",
            "rows: one JSON object with the rows in `data`, expected one row per line",
            "take the rows out: jq -c '.[\"data\"][]' rows > rows.jsonl",
        ),
        (
            "{\"version\": 1, \"train\": [{\"text\": \"a\"}]}",
            "rows: one JSON object with the rows in `train`, expected one row per line",
            "take the rows out: jq -c '.[\"train\"][]' rows > rows.jsonl",
        ),
        (
            "{\n \"text\": \"a\"\n}\n{\n \"text\": \"b\"\n}\n",
            "rows: JSON objects over several lines, expected one per line",
            "write one per line: jq -c . rows > rows.jsonl",
        ),
    ];
    for (content, message, hint) in cases {
        assert_eq!(
            error(content),
            (message.to_owned(), hint.to_owned()),
            "{content}"
        );
    }
}

#[test]
fn tables_have_other_separators_too() {
    for separator in [",", ";", "\t", "|"] {
        let table = format!(
            "id{separator}text{separator}label\n7{separator}\"up{separator} up\"{separator}good\n"
        );
        let expected = (
            labelled(&format!("up{separator} up"), "good"),
            vec!["id".to_owned()],
        );
        assert_eq!(only(&table), expected, "{table}");
        let renamed = format!("review{separator}sentiment\nup{separator}good\n");
        let told = (
            "rows:1: no row format has the keys `review`, `sentiment`; expected messages, \
             conversations, instruction and output, prompt and completion, text and label, or text"
                .to_owned(),
            "read them with --columns text=review,label=sentiment, or rename the columns"
                .to_owned(),
        );
        assert_eq!(error(&renamed), told, "{renamed}");
        let half = format!("text{separator}Sentiment\nup{separator}good\n");
        let told = (
            "rows:2: `Sentiment` is not read, and there is no `label`".to_owned(),
            "read it with --columns label=Sentiment, or rename the column; to learn the texts \
             alone, take it out"
                .to_owned(),
        );
        assert_eq!(error(&half), told, "{half}");
    }
    let spam = "Category,Message\nham,\"Hi, Ann\"\n";
    assert_eq!(
        error(spam).1,
        "read them with --columns text=Message,label=Category, or rename the columns"
    );
}

#[test]
fn files_of_other_kinds_are_named() {
    let export = "save the sheet as \"CSV UTF-8\", with text and label in its first row";
    let cases: [(&[u8], &str, &str); 6] = [
        (
            b"PK\x03\x04\x14\0\0\0[Content_Types].xml PK\x03\x04 xl/workbook.xml",
            "an Excel workbook",
            export,
        ),
        (
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0\0",
            "an old Excel or Word file",
            export,
        ),
        (
            b"PK\x03\x04mimetypeapplication/vnd.oasis.opendocument.spreadsheet",
            "an OpenDocument spreadsheet",
            export,
        ),
        (
            b"PK\x03\x04rows.csv",
            "a ZIP archive",
            "unpack it: unzip rows",
        ),
        (
            b"\x1f\x8b\x08\0",
            "a gzip archive",
            "unpack it: gunzip -k rows",
        ),
        (
            b"SQLite format 3\0\x10",
            "an SQLite database",
            "export the table: sqlite3 -header -csv rows 'SELECT text, label FROM …' > rows.csv",
        ),
    ];
    for (bytes, kind, hint) in cases {
        let message = format!("rows: {kind}, expected JSON Lines, CSV or Parquet");
        assert_eq!(error(bytes), (message, hint.to_owned()));
    }
    let utf16 = |bytes: &[u8]| {
        let told = (
            "rows: UTF-16 text, expected UTF-8".to_owned(),
            "convert it: iconv -f UTF-16 -t UTF-8 rows > utf8-copy".to_owned(),
        );
        assert_eq!(error(bytes), told);
    };
    utf16(b"\xff\xfet\0e\0x\0t\0");
    utf16(b"\xfe\xff\0t\0e\0x\0t");
    utf16(b"t\0e\0x\0t\0");
    utf16(b"\0{\0\"\0t\0e");
    // Files with marks of their own, put together.
    let joined = "\u{feff}{\"text\": \"a\"}\n\u{feff}{\"text\": \"b\"}\n";
    assert_eq!(lines(joined).len(), 2);
}

/// The error of a file with this name, and its hint.
fn error_named(name: &str, content: &str) -> (String, String) {
    let dir = tempfile::tempdir().unwrap();
    let error = dataset::load(&[source(dir.path(), name, content)]).unwrap_err();
    let plain = |text: String| text.replace(&format!("{}/", dir.path().display()), "");
    (
        plain(error.to_string()),
        plain(error.hint().unwrap_or_default()),
    )
}

#[test]
fn texts_that_hold_no_rows_are_named() {
    const ROWS: &str =
        "name a file of rows, such as {\"text\": \"…\", \"label\": \"…\"} in each line";
    const COPY: &str = "copy its text into rows: {\"text\": \"…\"}";
    const LINES: &str = "save the table as CSV, without the lines";
    const PROJECT: &str =
        "a project file names its data as [[data]]; leave the file out to read that data";
    let cases = [
        (
            "openlora.toml",
            "# mine\n[project]\nname = \"a\"\n",
            "TOML",
            PROJECT,
        ),
        (
            "openlora.toml",
            "[[data]]\npath = \"rows\"\n",
            "TOML",
            PROJECT,
        ),
        ("rows", "[train]\nrank = 8\n", "TOML", ROWS),
        (
            "rows",
            "labels = [\"a\", \"b\"]\nsizes = [1, 2]\n",
            "TOML",
            ROWS,
        ),
        ("rows", "---\nname: a\n", "YAML", ROWS),
        ("rows", "- role: user\n  content: Hi\n", "YAML", ROWS),
        (
            "SOURCE.md",
            "# Source, licence\n\nMade by hand.\n",
            "Markdown",
            COPY,
        ),
        ("rows", "Title\n=====\n", "Markdown", COPY),
        ("notes.md", "Nothing but words.\n", "Markdown", COPY),
        ("rows", "<!DOCTYPE html>\n<p>Hi</p>\n", "HTML or XML", COPY),
        ("rows", "#!/bin/sh\nx=1\n", "a program", ROWS),
        (
            "rows",
            "| text | label |\n| --- | :---: |\n| up | good |\n",
            "a table drawn with lines",
            LINES,
        ),
        (
            "rows",
            "+------+\n| text |\n+------+\n",
            "a table drawn with lines",
            LINES,
        ),
        (
            "rows",
            " text | label\n------+-------\n up | good\n",
            "a table drawn with lines",
            LINES,
        ),
    ];
    for (name, content, kind, hint) in cases {
        let message = format!("{name}: looks like {kind}, expected JSON Lines, CSV or Parquet");
        assert_eq!(
            error_named(name, content),
            (message, hint.to_owned()),
            "{content}"
        );
    }
    let (message, hint) = error_named("rows", "__label__good up\n__label__bad down\n");
    assert_eq!(
        (message.as_str(), hint.as_str()),
        (
            "rows: looks like fastText's labelled lines, expected JSON Lines, CSV or Parquet",
            "write the label after the text: {\"text\": \"…\", \"label\": \"…\"} in each line"
        )
    );
    let letter = error_named("rows", "Subject: news\n\nDear all\n").0;
    assert!(letter.contains("not recognised"), "{letter}");
    // Rows are rows, whatever the file is called.
    let rows = "{\"text\": \"a\"}\n";
    let dir = tempfile::tempdir().unwrap();
    let markdown = dataset::load(&[source(dir.path(), "rows.md", rows)]).unwrap();
    assert_eq!(markdown.rows.len(), 1);
    assert_eq!(lines("text\n- one: two\n").len(), 1);
}

#[test]
fn answers_that_are_not_learned_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let marked = |first: &str, second: &str| {
        format!(
            r#"{{"messages": [{{"role": "user", "content": "Hi"}}, {{"role": "assistant", "content": "Ho"{first}}}, {{"role": "user", "content": "Lamp?"}}, {{"role": "assistant", "content": "Green."{second}}}]}}"#
        )
    };
    let rows = [
        marked(r#", "weight": 0"#, ""),
        marked("", r#", "weight": 1"#),
        marked("", r#", "train": false"#),
    ];
    let first = source(dir.path(), "first.jsonl", rows.join("\n"));
    let plain = source(dir.path(), "plain.jsonl", marked("", ""));
    let by_row = r#"{"loss_mask": [0, 0, 0, 1], "conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Ho"}, {"from": "human", "value": "Lamp?"}, {"from": "gpt", "value": "Green."}]}"#;
    let second = source(dir.path(), "second.jsonl", by_row);
    let dataset = dataset::load(&[first, plain, second]).unwrap();
    let left_out = |name: &str, left_out, answers, rows, marks: &[&str]| LeftOutAnswers {
        path: dir.path().join(name),
        left_out,
        answers,
        rows,
        marks: marks.iter().map(|mark| (*mark).to_owned()).collect(),
    };
    let expected = [
        left_out("first.jsonl", 2, 6, 2, &["train", "weight"]),
        left_out("second.jsonl", 1, 2, 1, &["loss_mask"]),
    ];
    assert_eq!(dataset.left_out, expected);
    let told: Vec<String> = warnings::of_reading(&dataset, LossOn::Completion)
        .into_iter()
        .map(|it| {
            it.with_path(|path| path.file_name().unwrap().into())
                .to_string()
        })
        .collect();
    let expected = [
        "first.jsonl: 2 of 6 answers, in 2 rows, are marked as not learned (`train`, `weight`)",
        "second.jsonl: 1 of 2 answers, in 1 row, is marked as not learned (`loss_mask`)",
    ];
    assert_eq!(told, expected);
}

fn names(pairs: &[&str]) -> Result<ColumnNames, DataError> {
    let pairs: Vec<String> = pairs.iter().map(|pair| (*pair).to_owned()).collect();
    ColumnNames::parse(&pairs)
}

/// The examples and unread columns of files, or the message and hint of their first error.
fn renamed(
    pairs: &[&str],
    files: &[(&str, &str)],
) -> Result<(Vec<TrainingExample>, Vec<String>), (String, String)> {
    let dir = tempfile::tempdir().unwrap();
    let columns = names(pairs).unwrap();
    let file = |(name, content): &(&str, &str)| DataSource {
        columns: columns.clone(),
        ..source(dir.path(), name, content)
    };
    let sources: Vec<DataSource> = files.iter().map(file).collect();
    let plain = |text: String| text.replace(&format!("{}/", dir.path().display()), "");
    let read = dataset::load(&sources).map_err(|error| {
        (
            plain(error.to_string()),
            plain(error.hint().unwrap_or_default()),
        )
    })?;
    let unread = read.unread.iter().flat_map(|file| file.columns.clone());
    let unread = unread.collect();
    Ok((
        read.rows.into_iter().map(|row| row.example).collect(),
        unread,
    ))
}

#[test]
fn columns_are_read_under_the_names_that_are_given() {
    const PAIRS: &[&str] = &["text=review", "label=sentiment"];
    let one = Ok((vec![labelled("up", "good")], vec![]));
    for content in [
        "review,sentiment\nup,good\n",
        "review;sentiment\nup;good\n",
        "{\"review\": \"up\", \"sentiment\": \"good\"}\n",
        "[{\"review\": \"up\", \"sentiment\": \"good\"}]",
    ] {
        assert_eq!(renamed(PAIRS, &[("rows", content)]), one, "{content}");
    }
    let text = |text: &str| TrainingExample::Text {
        text: text.to_owned(),
    };
    // A single column, a name with a space, and two names exchanged.
    assert_eq!(
        renamed(&["text=The review"], &[("rows", "The review\nup\n")]),
        Ok((vec![text("up")], vec![]))
    );
    assert_eq!(
        renamed(
            &["text=label", "label=text"],
            &[("rows", "text,label\ngood,up\n")]
        ),
        one
    );
    // A column whose name another has taken is not read.
    assert_eq!(
        renamed(PAIRS, &[("rows", "text,review,sentiment\ntitle,up,good\n")]),
        Ok((vec![labelled("up", "good")], vec!["text".to_owned()]))
    );
    // Not every row need have an optional field, and not every file other names.
    let rows = "{\"ask\": \"Add.\", \"output\": \"3\"}\n{\"ask\": \"Add.\", \"numbers\": \"1 2\", \"output\": \"3\"}\n";
    let turns = |ask: &str| chat(&[("user", ask), ("assistant", "3")], &[]);
    assert_eq!(
        renamed(&["instruction=ask", "input=numbers"], &[("rows", rows)]),
        Ok((vec![turns("Add."), turns("Add.\n\n1 2")], vec![]))
    );
    let files = [
        ("a.csv", "review,sentiment\nup,good\n"),
        ("b.csv", "text,label\ndown,bad\n"),
    ];
    let both = vec![labelled("up", "good"), labelled("down", "bad")];
    assert_eq!(renamed(PAIRS, &files), Ok((both, vec![])));
}

#[test]
fn names_that_no_file_has_are_refused() {
    let files = [("rows", "review,sentiment\nup,good\n")];
    let told = |message: &str, hint: &str| Err((message.to_owned(), hint.to_owned()));
    assert_eq!(
        renamed(&["text=reveiw", "label=sentiment"], &files),
        told(
            "rows: no column `reveiw` to read as `text`; columns: `review`, `sentiment`",
            "did you mean `review`?"
        )
    );
    let json = [("rows", "{\"text\": \"up\", \"label\": \"good\"}\n")];
    let plain = [("rows", "text,label\nup,good\n")];
    for files in [json, plain] {
        assert_eq!(
            renamed(&["text=body"], &files),
            told(
                "rows: no column `body` to read as `text`; columns: `label`, `text`",
                "correct --columns, or train.columns in openlora.toml"
            )
        );
        let optional = names(&["text=body"]).unwrap().optional();
        let dir = tempfile::tempdir().unwrap();
        let file = DataSource {
            columns: optional,
            ..source(dir.path(), files[0].0, files[0].1)
        };
        assert_eq!(dataset::load(&[file]).unwrap().rows.len(), 1);
    }
    let cases = [
        (
            "review",
            "columns: expected NAME=COLUMN, found `review`",
            Some(
                "name both: --columns text=review,label=sentiment, or train.columns in openlora.toml",
            ),
        ),
        (
            "txt=review",
            "columns: no row format has a `txt`, expected one of `completion`, `conversations`, \
             `input`, `instruction`, `label`, `messages`, `output`, `prompt`, `system`, \
             `system_prompt`, `text`",
            Some("did you mean `text`?"),
        ),
        ("text=review=", "", None),
    ];
    for (pair, message, hint) in cases {
        match names(&[pair]) {
            Ok(_) => assert_eq!(message, "", "{pair}"),
            Err(error) => {
                let found = (error.to_string(), error.hint());
                assert_eq!(found, (message.to_owned(), hint.map(str::to_owned)));
            }
        }
    }
    for (pairs, twice) in [(["text=a", "text=b"], "text"), (["text=a", "label=a"], "a")] {
        let message = format!("columns: `{twice}` occurs twice");
        assert_eq!(names(&pairs).unwrap_err().to_string(), message);
    }
}

#[test]
fn slips_of_json_and_roles_have_a_hint() {
    let cases = [
        (
            "{\"text\": \"a\"},\n{\"text\": \"b\"},\n",
            "rows:1: broken JSON at column 14: trailing characters",
            "each line is one JSON object and nothing else: no comma after it, and no second one",
        ),
        (
            "{'text': 'a'}\n",
            "rows:1: broken JSON at column 2: key must be a string",
            "names and texts are in double quotes in JSON; from Python: json.dumps(row)",
        ),
        (
            r#"{"messages": [{"role": "User", "content": "Hi"}]}"#,
            "rows:1: unknown role `User` in `messages[0].role`, expected system, user or assistant",
            "did you mean `user`?",
        ),
        (
            r#"{"conversations": [{"from": "humn", "value": "Hi"}]}"#,
            "rows:1: unknown role `humn` in `conversations[0].from`, expected system, human or gpt",
            "did you mean `human`?",
        ),
        (
            r#"{"messages": [{"role": "assistant", "content": "Ho"}, {"role": "user", "content": "Hi"}], "loss_mask": [1]}"#,
            "rows:1: `loss_mask` has 1 entry, expected 2 as in `messages`",
            "write one entry for each message",
        ),
        (
            r#"{"items": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Ho"}]}"#,
            "rows:1: no row format has the keys `items`; expected messages, conversations, \
             instruction and output, prompt and completion, text and label, or text",
            "read it with --columns messages=items, or rename the column",
        ),
    ];
    for (row, message, hint) in cases {
        let expected = (message.to_owned(), hint.to_owned());
        assert_eq!(error(row), expected, "{row}");
    }
    let items =
        r#"{"items": [{"from": "human", "value": "Lamp?"}, {"from": "gpt", "value": "Green."}]}"#;
    let read = renamed(&["messages=items"], &[("rows", items)]);
    assert_eq!(read, Ok((vec![chat(&LAMP[1..], &[])], vec![])));
}

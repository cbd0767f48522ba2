//! Rows longer than the limit: refused, cut, left out, divided.

use openlora_core::error::{ExitClass, Explain};
use openlora_model::{
    dataset::{
        DataRow, Dataset, Task, TrainingExample,
        encode::{EncodeOptions, EncodedRow, LossOn, encode_row},
        long::{FittedRows, LongRows, OnLong, fit_rows, shortened},
        statistics::lengths,
    },
    text::TextCodec,
};
use proptest::prelude::*;

use crate::{
    codec::train_codec,
    dataset::{in_memory, message},
};

fn options(max_len: usize, on_long: OnLong) -> EncodeOptions {
    EncodeOptions {
        max_len,
        loss: LossOn::Completion,
        on_long,
    }
}

/// A codec, and what else fitting takes.
struct Fitting {
    codec: TextCodec,
    task: Task,
    dataset: Dataset,
}

impl Fitting {
    fn new(task: Task, examples: impl IntoIterator<Item = TrainingExample>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self {
            codec: train_codec(dir.path()),
            task,
            dataset: in_memory(examples),
        }
    }

    fn fit(&self, max_len: usize, on_long: OnLong) -> FittedRows {
        let options = options(max_len, on_long);
        fit_rows(&self.codec, &self.task, &self.dataset, &options).unwrap()
    }

    fn fault(&self, max_len: usize, on_long: OnLong) -> (ExitClass, String, Option<String>) {
        let options = options(max_len, on_long);
        let error = fit_rows(&self.codec, &self.task, &self.dataset, &options).unwrap_err();
        (error.class(), error.to_string(), error.hint())
    }

    /// The row with its text cut.
    fn shortened(&self, row: usize, max_len: usize) -> TrainingExample {
        let options = options(max_len, OnLong::Truncate);
        let row = &self.dataset.rows[row];
        let cut = shortened(&self.codec, &self.task, &self.dataset, row, &options);
        cut.unwrap().example
    }

    fn encoded(&self, example: TrainingExample) -> EncodedRow {
        let whole = options(usize::MAX, OnLong::Error);
        let row = DataRow {
            example,
            source: 0,
            line: 1,
        };
        encode_row(&self.codec, &self.task, &self.dataset, &row, &whole).unwrap()
    }

    fn tokens(&self, example: TrainingExample) -> usize {
        self.encoded(example).ids.len()
    }
}

fn labelled(text: &str, label: &str) -> TrainingExample {
    TrainingExample::Labelled {
        text: text.into(),
        label: label.into(),
    }
}

fn text(text: &str) -> TrainingExample {
    TrainingExample::Text { text: text.into() }
}

fn classifier() -> Task {
    Task::Classify {
        labels: vec!["up".into(), "down and out of it".into()],
        instruction: "Up?".into(),
    }
}

const LONG: &str =
    "I think bitcoin is going up because the trader said so, and the trader said it twice";

#[test]
fn a_labelled_text_is_cut_at_its_end_for_the_longest_label() {
    let rows = [labelled("going up", "up"), labelled(LONG, "up")];
    let fitting = Fitting::new(classifier(), rows);
    let limit = 50;
    let cut = fitting.shortened(1, limit);
    // As much as fits with the longest label.
    let fits = |end: usize| {
        LONG.is_char_boundary(end)
            && fitting.tokens(labelled(&LONG[..end], "down and out of it")) <= limit
    };
    let end = (1..LONG.len()).rfind(|end| fits(*end)).unwrap();
    assert!(end < LONG.len() - 1, "the row is not too long");
    assert_eq!(cut, labelled(&LONG[..end], "up"));
    let fitted = fitting.fit(limit, OnLong::Truncate);
    let kept = fitting.encoded(cut);
    assert_eq!(fitted.encoded[1], kept);
    assert_eq!(fitted.origins, [0, 1]);
    let whole = fitting.tokens(labelled(LONG, "up"));
    assert_eq!(
        fitted.long,
        LongRows {
            on_long: OnLong::Truncate,
            max_len: limit,
            rows: 2,
            long: 1,
            longest: fitting.tokens(labelled(LONG, "down and out of it")),
            tokens: whole,
            kept_rows: 1,
            kept_tokens: kept.ids.len(),
            refused: 0,
        }
    );
}

#[test]
fn requests_are_cut_the_longest_first_and_answers_never() {
    let task = Task::Chat {
        instruction: Some("Be kind to whoever asks.".into()),
    };
    let chat = |one: &str, two: &str| {
        TrainingExample::chat(vec![
            message("user", one),
            message("assistant", LONG),
            message("user", two),
            message("assistant", "So."),
        ])
    };
    let fitting = Fitting::new(task, [chat(LONG, "I think so?")]);
    let whole = fitting.tokens(chat(LONG, "I think so?"));
    let TrainingExample::Chat { messages, .. } = fitting.shortened(0, whole - 5) else {
        panic!("another kind of row");
    };
    let cut = &messages[0].content;
    assert!(LONG.starts_with(cut.as_str()) && cut.len() < LONG.len());
    assert_eq!(chat(cut, "I think so?"), TrainingExample::chat(messages));
    // With only a token of each there is nothing more to cut.
    let least = fitting.tokens(chat("I", "I"));
    assert_eq!(fitting.shortened(0, least), chat("I", "I"));
    assert_eq!(
        fitting.fault(least - 1, OnLong::Truncate),
        (
            ExitClass::BadInput,
            format!(
                "mem:1: {whole} tokens, and {least} with its text cut, expected at most {}",
                least - 1
            ),
            Some(
                "instructions and answers are never cut: raise train.max_len, or leave such rows \
                 out with train.on_long = \"drop\""
                    .into()
            )
        )
    );
}

#[test]
fn a_prompt_that_is_continued_is_cut_at_its_beginning() {
    let pair = |prompt: &str| TrainingExample::Completion {
        prompt: prompt.into(),
        completion: " and so on".into(),
    };
    let fitting = Fitting::new(Task::Text, [pair(LONG)]);
    let limit = fitting.tokens(pair(LONG)) - 3;
    let TrainingExample::Completion { prompt, completion } = fitting.shortened(0, limit) else {
        panic!("another kind of row");
    };
    assert!(LONG.ends_with(&prompt) && prompt.len() < LONG.len());
    assert_eq!(completion, " and so on");
    // The same row of a conversation is a request.
    let task = Task::Chat { instruction: None };
    let fitting = Fitting::new(task, [pair(LONG)]);
    let limit = fitting.tokens(pair(LONG)) - 3;
    let TrainingExample::Completion { prompt, .. } = fitting.shortened(0, limit) else {
        panic!("another kind of row");
    };
    assert!(LONG.starts_with(&prompt) && prompt.len() < LONG.len());
}

#[test]
fn a_text_that_is_cut_is_not_ended() {
    let fitting = Fitting::new(Task::Text, [text(LONG), text("I think")]);
    let whole = fitting.encoded(text(LONG));
    let fitted = fitting.fit(8, OnLong::Truncate);
    let expected = EncodedRow {
        ids: whole.ids[..8].to_vec(),
        targets: whole.targets[..8].to_vec(),
    };
    assert_eq!(fitted.encoded, [expected, fitting.encoded(text("I think"))]);
    let end = fitting.codec.document_end();
    assert_eq!(fitted.encoded[1].ids.last().copied(), end);
}

/// What becomes of a text does not depend on its label, where something becomes of it.
#[test]
fn a_row_that_fits_with_its_own_label_only_is_too_long() {
    let rows = [
        labelled(LONG, "up"),
        labelled(LONG, "down and out of it"),
        labelled("up", "up"),
    ];
    let fitting = Fitting::new(classifier(), rows);
    let [own, longest] = ["up", "down and out of it"].map(|it| fitting.tokens(labelled(LONG, it)));
    assert!(own < longest);
    for limit in [own, longest - 1] {
        let dropped = fitting.fit(limit, OnLong::Drop);
        assert_eq!((dropped.long.long, dropped.origins), (2, vec![2]));
        let cut = fitting.fit(limit, OnLong::Truncate);
        assert_eq!((cut.long.long, cut.long.longest), (2, longest));
        let texts = [0, 1].map(|row| match fitting.shortened(row, limit) {
            TrainingExample::Labelled { text, .. } => text,
            _ => panic!("another kind of row"),
        });
        assert_eq!(texts[0], texts[1]);
        assert!(texts[0].len() < LONG.len());
        let (_, message, _) = fitting.fault(limit, OnLong::Error);
        let expected = format!("mem:2: {longest} tokens, expected at most {limit}");
        assert_eq!(message, expected);
    }
    assert_eq!(fitting.fit(longest, OnLong::Drop).long.long, 0);
}

#[test]
fn rows_are_left_out() {
    let rows = [labelled(LONG, "up"), labelled("going up", "up")];
    let fitting = Fitting::new(classifier(), rows);
    let limit = fitting.tokens(labelled("going up", "down and out of it"));
    let longest = fitting.tokens(labelled(LONG, "down and out of it"));
    let fitted = fitting.fit(limit, OnLong::Drop);
    assert_eq!(
        (&fitted.encoded, &fitted.origins),
        (&vec![fitting.encoded(labelled("going up", "up"))], &vec![1])
    );
    let whole = fitting.tokens(labelled(LONG, "up"));
    assert_eq!(
        fitted.long.sentence("rows").unwrap(),
        format!(
            "1 of 2 rows are longer than {limit} tokens (the longest has {longest}): left out, with \
             {whole} tokens"
        )
    );
}

#[test]
fn long_rows_are_refused_with_their_number() {
    let rows = [
        labelled("going up", "up"),
        labelled(LONG, "up"),
        labelled(&LONG[1..], "up"),
    ];
    let fitting = Fitting::new(classifier(), rows);
    let sizes = [LONG, &LONG[1..]].map(|text| fitting.tokens(labelled(text, "up")));
    let (class, message, hint) = fitting.fault(40, OnLong::Error);
    assert_eq!(class, ExitClass::BadInput);
    assert_eq!(
        message,
        format!(
            "mem:2: {} tokens, expected at most 40; 2 rows are longer, the longest has {}",
            sizes[0],
            sizes.iter().max().unwrap()
        )
    );
    assert!(
        hint.unwrap()
            .starts_with("shorten the row, or raise the limit: ")
    );
    assert_eq!(
        fitting.fault(40, OnLong::Split),
        (
            ExitClass::Usage,
            "train.on_long is split, which only plain text can be, and the task is classify".into(),
            Some("set it to truncate or drop: data check says what each does to these rows".into())
        )
    );
    let pair = TrainingExample::Completion {
        prompt: LONG.into(),
        completion: "!".into(),
    };
    let fitting = Fitting::new(Task::Text, [pair.clone()]);
    let whole = fitting.tokens(pair);
    assert_eq!(
        fitting.fault(16, OnLong::Split),
        (
            ExitClass::BadInput,
            format!(
                "mem:1: a prompt/completion row of {whole} tokens, expected plain text to split \
                 into rows of 16"
            ),
            Some("set train.on_long to truncate or drop".into())
        )
    );
}

#[test]
fn what_each_choice_does_is_foreseen() {
    let rows = [text(LONG), text("I think"), text(&LONG[9..])];
    let fitting = Fitting::new(Task::Text, rows);
    for on_long in OnLong::ALL {
        let options = options(10, on_long);
        let found = lengths(
            &fitting.codec,
            &fitting.task,
            &fitting.dataset,
            &options,
            usize::MAX,
        );
        let choice = |on_long: OnLong| {
            let mut choices = found.choices.iter();
            *choices.find(|choice| choice.on_long == on_long).unwrap()
        };
        assert_eq!(found.choices.len(), 4);
        if on_long == OnLong::Error {
            assert_eq!((choice(on_long).refused, found.errors.len()), (2, 2));
        } else {
            assert_eq!(choice(on_long), fitting.fit(10, on_long).long);
            assert_eq!(found.errors.len(), 0);
        }
    }
}

proptest! {
    /// Every token of a long text is in one part, and learned as often as in the whole.
    #[test]
    fn the_parts_of_a_text_are_the_text(words in "[a-z ]{40,200}", limit in 2_usize..40) {
        let fitting = Fitting::new(Task::Text, [text(&words)]);
        let whole = fitting.encoded(text(&words));
        let fitted = fitting.fit(limit, OnLong::Split);
        let mut joined = EncodedRow { ids: Vec::new(), targets: Vec::new() };
        for part in &fitted.encoded {
            prop_assert!(part.ids.len() <= limit.max(2));
            prop_assert!(!part.targets[0] && part.targets.contains(&true));
            let repeated = usize::from(!joined.ids.is_empty());
            if repeated == 1 {
                prop_assert_eq!(joined.ids.last(), part.ids.first());
            }
            joined.ids.extend(&part.ids[repeated..]);
            joined.targets.extend(&part.targets[repeated..]);
        }
        prop_assert_eq!(joined, whole);
        prop_assert!(fitted.origins.iter().all(|origin| *origin == 0));
    }
}

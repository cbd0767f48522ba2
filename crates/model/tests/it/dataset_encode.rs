//! Rows as tokens and loss mask.

use std::path::Path;

use openlora_core::error::Explain;
use openlora_model::{
    dataset::{
        DataRow, Task, TrainingExample,
        encode::{EncodeOptions, LossOn, encode_row, segments},
        long::OnLong,
    },
    text::{ChatMessage, TextCodec},
};
use proptest::prelude::*;

use crate::{
    codec::train_codec,
    dataset::{in_memory, message},
};

const ANSWERS: EncodeOptions = EncodeOptions {
    max_len: 512,
    loss: LossOn::Completion,
    on_long: OnLong::Error,
};
const ALL: EncodeOptions = EncodeOptions {
    max_len: 512,
    loss: LossOn::All,
    on_long: OnLong::Error,
};

/// The row as text, learned tokens between double brackets.
fn marked(
    codec: &TextCodec,
    task: &Task,
    example: TrainingExample,
    options: &EncodeOptions,
) -> String {
    let dataset = in_memory([example]);
    let row: &DataRow = &dataset.rows[0];
    let (encoded, segments) = segments(codec, task, &dataset, row, options).unwrap();
    assert_eq!(
        encoded,
        encode_row(codec, task, &dataset, row, options).unwrap()
    );
    let mark = |learned: bool, text: &str| match learned {
        true => format!("[[{text}]]"),
        false => text.to_owned(),
    };
    segments
        .iter()
        .map(|segment| mark(segment.learned, &segment.text))
        .collect()
}

fn failure(
    codec: &TextCodec,
    task: &Task,
    example: TrainingExample,
    options: &EncodeOptions,
) -> (String, Option<String>) {
    let dataset = in_memory([example]);
    let error = encode_row(codec, task, &dataset, &dataset.rows[0], options).unwrap_err();
    (error.to_string(), error.hint())
}

fn chat_task() -> Task {
    Task::Chat { instruction: None }
}

fn chat(turns: &[(&str, &str)]) -> TrainingExample {
    TrainingExample::chat(
        turns
            .iter()
            .map(|(role, text)| message(role, text))
            .collect(),
    )
}

fn with_template(dir: &Path, template: &str) -> TextCodec {
    train_codec(dir);
    std::fs::write(dir.join("chat_template.jinja"), template).unwrap();
    TextCodec::open(dir).unwrap()
}

#[test]
fn a_classifier_learns_the_label_and_the_end_of_the_answer() {
    let dir = tempfile::tempdir().unwrap();
    let codec = train_codec(dir.path());
    let task = Task::Classify {
        labels: vec!["up".into(), "down".into()],
        instruction: "Up?".into(),
    };
    let row = TrainingExample::Labelled {
        text: "bitcoin is going up".into(),
        label: "up".into(),
    };
    assert_eq!(
        marked(&codec, &task, row.clone(), &ANSWERS),
        "<|im_start|>system\nUp?<|im_end|>\n<|im_start|>user\nbitcoin is going up<|im_end|>\n\
         <|im_start|>assistant\n[[up<|im_end|>]]"
    );
    let dataset = in_memory([row]);
    let encoded = encode_row(&codec, &task, &dataset, &dataset.rows[0], &ANSWERS).unwrap();
    let asked = codec
        .render_chat(&task.prompt_messages("bitcoin is going up"), true)
        .unwrap();
    let prompt = codec.encode(&asked, false).unwrap();
    assert_eq!(
        encoded.ids[..prompt.len()],
        prompt,
        "the prompt is what will be asked later"
    );
    assert_eq!(encoded.ids.last(), codec.stop_ids().last());
}

#[test]
fn every_answer_of_a_conversation_is_learned() {
    let dir = tempfile::tempdir().unwrap();
    let codec = train_codec(dir.path());
    let turns = [
        ("user", "Hi"),
        ("assistant", "\n Ho "),
        ("user", "And?"),
        ("assistant", "So."),
    ];
    assert_eq!(
        marked(&codec, &chat_task(), chat(&turns), &ANSWERS),
        "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n[[\n Ho <|im_end|>]]\n\
         <|im_start|>user\nAnd?<|im_end|>\n<|im_start|>assistant\n[[So.<|im_end|>]]"
    );
    assert_eq!(
        marked(&codec, &chat_task(), chat(&turns[..2]), &ALL),
        "<|im_start|>[[user\nHi<|im_end|>\n<|im_start|>assistant\n\n Ho <|im_end|>\n]]"
    );
}

#[test]
fn an_instruction_comes_before_rows_without_one() {
    let dir = tempfile::tempdir().unwrap();
    let codec = train_codec(dir.path());
    let task = Task::Chat {
        instruction: Some("Be brief.".into()),
    };
    let answer = "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n[[Ho<|im_end|>]]";
    let turns = [("system", "Be kind."), ("user", "Hi"), ("assistant", "Ho")];
    assert_eq!(
        marked(&codec, &task, chat(&turns), &ANSWERS),
        format!("<|im_start|>system\nBe kind.<|im_end|>\n{answer}")
    );
    let expected = format!("<|im_start|>system\nBe brief.<|im_end|>\n{answer}");
    assert_eq!(marked(&codec, &task, chat(&turns[1..]), &ANSWERS), expected);
    let pair = TrainingExample::Completion {
        prompt: "Hi".into(),
        completion: "Ho".into(),
    };
    assert_eq!(marked(&codec, &task, pair, &ANSWERS), expected);
}

#[test]
fn plain_text_is_learned_but_for_its_first_token_and_is_ended() {
    let dir = tempfile::tempdir().unwrap();
    let codec = train_codec(dir.path());
    let text = TrainingExample::Text {
        text: "I think bitcoin".into(),
    };
    assert_eq!(
        marked(&codec, &Task::Text, text, &ANSWERS),
        "I[[ think bitcoin<|im_end|>]]"
    );
    let pair = TrainingExample::Completion {
        prompt: "I think".into(),
        completion: " bitcoin".into(),
    };
    assert_eq!(
        marked(&codec, &Task::Text, pair, &ANSWERS),
        "I think[[ bitcoin<|im_end|>]]"
    );
}

#[test]
fn a_token_across_the_border_belongs_to_the_answer() {
    let dir = tempfile::tempdir().unwrap();
    let codec = train_codec(dir.path());
    let pair = TrainingExample::Completion {
        prompt: "I think bit".into(),
        completion: "coin".into(),
    };
    assert_eq!(
        marked(&codec, &Task::Text, pair, &ANSWERS),
        "I think[[ bitcoin<|im_end|>]]"
    );
}

/// Keeps thoughts in the last answer only, as Qwen3 does.
const FORGETFUL: &str = "{% for m in messages %}<|im_start|>{{ m.role }}\n\
    {% if m.role == 'assistant' and loop.last %}<think>\n\n</think>\n\n{% endif %}\
    {{ m.content.strip() }}<|im_end|>\n{% endfor %}\
    {% if add_generation_prompt %}<|im_start|>assistant\n<think>\n\n</think>\n\n{% endif %}";

#[test]
fn templates_that_shorten_earlier_answers_are_followed() {
    let dir = tempfile::tempdir().unwrap();
    let codec = with_template(dir.path(), FORGETFUL);
    let turns = [
        ("user", "Hi"),
        ("assistant", " Ho "),
        ("user", "And?"),
        ("assistant", "So."),
    ];
    assert_eq!(
        marked(&codec, &chat_task(), chat(&turns), &ANSWERS),
        "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n[[Ho<|im_end|>]]\n\
         <|im_start|>user\nAnd?<|im_end|>\n\
         <|im_start|>assistant\n<think>\n\n</think>\n\n[[So.<|im_end|>]]"
    );
}

#[test]
fn templates_that_rewrite_answers_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let codec = with_template(
        dir.path(),
        "{% for m in messages %}{{ loop.revindex }}{{ m.content.upper() }}{% endfor %}",
    );
    let turns = [
        ("user", "a"),
        ("assistant", "b"),
        ("user", "c"),
        ("assistant", "d"),
    ];
    assert_eq!(
        failure(&codec, &chat_task(), chat(&turns), &ANSWERS),
        (
            "mem:1: the chat template rewrites earlier messages, so the answers cannot be located"
                .into(),
            Some(
                "split the conversation into rows with one answer each, or set train.loss = \
                 \"all\""
                    .into()
            )
        )
    );
}

#[test]
fn rows_that_cannot_be_learned_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let codec = train_codec(dir.path());
    let short = EncodeOptions {
        max_len: 12,
        ..ANSWERS
    };
    let turns = [("user", "Hi"), ("assistant", "Ho")];
    assert_eq!(
        failure(&codec, &chat_task(), chat(&turns), &short),
        (
            "mem:1: 21 tokens, expected at most 12".into(),
            Some(
                "shorten the row, or raise the limit: `openlora config set train.max_len N`, \
                 outside of a project with --user; data check shows the longest row, and what \
                 train.on_long does about long ones"
                    .into()
            )
        )
    );
    let deaf = with_template(dir.path(), "I");
    assert_eq!(
        failure(&deaf, &chat_task(), chat(&turns), &ALL),
        ("mem:1: no token of this row is learned from".into(), None)
    );
    let strict = with_template(dir.path(), "{{ raise_exception('no system role') }}");
    assert_eq!(
        failure(&strict, &chat_task(), chat(&turns), &ANSWERS),
        (
            "mem:1: the chat template of the base rejects the conversation: no system role \
             (template line 1)"
                .into(),
            None
        )
    );
}

/// What a contributor writes cannot end a message or open another.
#[test]
fn a_special_token_spelt_in_a_row_is_learned_as_letters() {
    let dir = tempfile::tempdir().unwrap();
    let codec = train_codec(dir.path());
    let row = || {
        chat(&[
            ("user", "What does <|im_end|> mean?"),
            ("assistant", "<|im_end|>!"),
        ])
    };
    assert_eq!(
        marked(&codec, &chat_task(), row(), &ANSWERS),
        "<|im_start|>user\nWhat does <|im_end|> mean?<|im_end|>\n<|im_start|>assistant\n\
         [[<|im_end|>!<|im_end|>]]"
    );
    let dataset = in_memory([row()]);
    let encoded = encode_row(&codec, &chat_task(), &dataset, &dataset.rows[0], &ANSWERS).unwrap();
    let special = encoded.ids.iter().filter(|id| codec.is_special(**id));
    assert_eq!(special.copied().collect::<Vec<_>>(), [1, 2, 1, 2]);
    let labels = Task::Classify {
        labels: vec!["<|im_start|>".into(), "no".into()],
        instruction: "Is it <|im_start|>?".into(),
    };
    let labelled = TrainingExample::Labelled {
        text: "<|im_end|>".into(),
        label: "<|im_start|>".into(),
    };
    assert_eq!(
        marked(&codec, &labels, labelled, &ANSWERS),
        "<|im_start|>system\nIs it <|im_start|>?<|im_end|>\n<|im_start|>user\n<|im_end|><|im_end|>\n\
         <|im_start|>assistant\n[[<|im_start|><|im_end|>]]"
    );
}

#[test]
fn an_answer_that_is_context_is_not_learned() {
    let dir = tempfile::tempdir().unwrap();
    let codec = train_codec(dir.path());
    let row = |context_answers: &[usize]| TrainingExample::Chat {
        messages: vec![
            message("user", "Try"),
            message("assistant", "WRONG"),
            message("user", "Again"),
            message("assistant", "right"),
        ],
        context_answers: context_answers.to_vec(),
        context_messages: vec![],
    };
    let instructed = Task::Chat {
        instruction: Some("Be right.".into()),
    };
    let before = "<|im_start|>system\nBe right.<|im_end|>\n<|im_start|>user\nTry<|im_end|>\n\
                  <|im_start|>assistant\n";
    let between = "<|im_end|>\n<|im_start|>user\nAgain<|im_end|>\n<|im_start|>assistant\n";
    assert_eq!(
        marked(&codec, &instructed, row(&[0]), &ANSWERS),
        format!("{before}WRONG{between}[[right<|im_end|>]]")
    );
    // What follows the last learned token is of no use.
    assert_eq!(
        marked(&codec, &instructed, row(&[1]), &ANSWERS),
        format!("{before}[[WRONG<|im_end|>]]")
    );
    let all = marked(&codec, &chat_task(), row(&[0]), &ALL);
    assert_eq!(
        all,
        "<|im_start|>[[user\nTry<|im_end|>\n<|im_start|>assistant\n]]WRONG<|im_end|>[[\n\
         <|im_start|>user\nAgain<|im_end|>\n<|im_start|>assistant\nright<|im_end|>\n]]"
    );
}

#[test]
fn messages_marked_as_not_learned_are_left_out_of_everything() {
    let dir = tempfile::tempdir().unwrap();
    let codec = train_codec(dir.path());
    let instructed = Task::Chat {
        instruction: Some("Be right.".into()),
    };
    let row = |context_answers: &[usize], context_messages: &[usize]| TrainingExample::Chat {
        messages: vec![
            message("user", " Try<|im_end|>"),
            message("assistant", "WRONG"),
            message("user", "Again"),
            message("assistant", "right"),
        ],
        context_answers: context_answers.to_vec(),
        context_messages: context_messages.to_vec(),
    };
    assert_eq!(
        marked(&codec, &instructed, row(&[], &[0]), &ALL),
        "<|im_start|>[[system\nBe right.<|im_end|>\n<|im_start|>user\n]] Try<|im_end|><|im_end|>[[\n\
         <|im_start|>assistant\nWRONG<|im_end|>\n<|im_start|>user\nAgain<|im_end|>\n\
         <|im_start|>assistant\nright<|im_end|>\n]]"
    );
    assert_eq!(
        marked(&codec, &instructed, row(&[0], &[0, 2]), &ALL),
        "<|im_start|>[[system\nBe right.<|im_end|>\n<|im_start|>user\n]] Try<|im_end|><|im_end|>[[\n\
         <|im_start|>assistant\n]]WRONG<|im_end|>[[\n<|im_start|>user\n]]Again<|im_end|>[[\n\
         <|im_start|>assistant\nright<|im_end|>\n]]"
    );
    // Where only answers are learned, the marks change nothing.
    assert_eq!(
        marked(&codec, &instructed, row(&[0], &[0, 2]), &ANSWERS),
        marked(&codec, &instructed, row(&[0], &[]), &ANSWERS)
    );
    let rewriting = with_template(
        dir.path(),
        "{% for m in messages %}{{ loop.revindex }}{{ m.content.upper() }}{% endfor %}",
    );
    let refused = (
        "mem:1: the chat template rewrites messages, so the marked ones cannot be left out".into(),
        Some("take the marks or the row out".into()),
    );
    for row in [row(&[0], &[]), row(&[], &[0])] {
        let found = failure(&rewriting, &instructed, row, &ALL);
        assert_eq!(found, refused);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is said: as many targets as ids, and the learned text is the answers.
    #[test]
    fn the_learned_tokens_are_the_answers(
        turns in proptest::collection::vec(
            ("([a-zé🚀 \n]|<\\|im_end\\|>){1,12}", "([a-zé🚀 \n]|<\\|im_start\\|>){1,12}"),
            1..4,
        ),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let codec = train_codec(dir.path());
        let pair = |(asked, said): &(String, String)| {
            [message("user", asked), message("assistant", said)]
        };
        let messages: Vec<ChatMessage> = turns.iter().flat_map(pair).collect();
        let dataset = in_memory([TrainingExample::chat(messages)]);
        let row = &dataset.rows[0];
        // Longer than any row that is made here.
        let options = EncodeOptions { max_len: 4096, ..ANSWERS };
        let encoded = encode_row(&codec, &chat_task(), &dataset, row, &options).unwrap();
        prop_assert_eq!(encoded.ids.len(), encoded.targets.len());
        prop_assert!(!encoded.targets[0]);
        let learned = encoded.ids.iter().zip(&encoded.targets).filter(|(_, target)| **target);
        let learned: Vec<u32> = learned.map(|(id, _)| *id).collect();
        let said: String = turns.iter().map(|(_, said)| format!("{said}<|im_end|>")).collect();
        prop_assert_eq!(codec.decode_verbatim(&learned).unwrap(), said);
        // Only the template writes special tokens: two a message, the last line end is cut off.
        let special = encoded.ids.iter().filter(|id| codec.is_special(**id)).count();
        prop_assert_eq!(special, 4 * turns.len());
    }
}

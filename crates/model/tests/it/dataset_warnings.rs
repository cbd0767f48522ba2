//! Warnings about data that can be read.

use openlora_model::dataset::{
    Dataset, TrainingExample, UnreadColumns,
    duplicates::{self, DatasetPart},
    encode::LossOn,
    warnings::{DataSurroundings, of_training},
};

use crate::dataset::in_memory;

/// Rows with distinct texts, so many of each label.
fn labelled(labels: &[(&str, usize)]) -> Dataset {
    let rows = labels.iter().flat_map(|(label, rows)| {
        (0..*rows).map(move |row| TrainingExample::Labelled {
            text: format!("{label} {row} {}", row * 7),
            label: (*label).to_owned(),
        })
    });
    in_memory(rows)
}

fn told(dataset: &Dataset, held_out: bool) -> Vec<String> {
    let duplicates = duplicates::find(&[DatasetPart {
        name: "train",
        dataset,
    }]);
    let around = DataSurroundings {
        part: "train",
        duplicates: &duplicates,
        held_out,
        loss: LossOn::Completion,
    };
    let warnings = of_training(dataset, &around);
    warnings.iter().map(ToString::to_string).collect()
}

#[test]
fn sound_data_has_no_warnings() {
    let rows = labelled(&[("good", 50), ("bad", 50)]);
    assert_eq!(told(&rows, true), Vec::<String>::new());
    assert_eq!(told(&in_memory([]), false), Vec::<String>::new());
}

#[test]
fn thin_and_doubtful_data_is_told() {
    let mut rows = labelled(&[("good", 60), ("bad", 30), ("Good", 5), ("unclear", 3)]);
    rows.rows.push(rows.rows[0].clone());
    rows.unread = vec![UnreadColumns {
        path: "rows.csv".into(),
        columns: ["", "id", "messages[].name"].map(str::to_owned).to_vec(),
    }];
    let expected = [
        "rows.csv: columns that are not read: one without a name, `id`, `messages[].name`",
        "the labels `Good` and `good` are nearly the same",
        "fewer than 10 training rows with a label: `Good` (5), `unclear` (3)",
        "99 training rows only",
        // The texts of `Good` are those of `good` but for a letter's case.
        "6 of 99 training rows repeat others",
        "no rows are held out, so nothing measures what was learned",
    ];
    assert_eq!(told(&rows, false), expected);
}

#[test]
fn labels_differ_by_a_slip_or_on_purpose() {
    let pairs = [
        ("positive", "Positive", true),
        ("positive", "postive", true),
        ("not spam", "not_spam", true),
        ("toxic", "toxik", true),
        ("class 1", "class 2", false),
        ("2020", "2021", false),
        ("up", "us", false),
        ("positive", "negative", false),
        ("+", "-", false),
    ];
    for (one, other, alike) in pairs {
        let warnings = told(&labelled(&[(one, 50), (other, 50)]), true);
        let (first, second) = (one.min(other), one.max(other));
        let expected = format!("the labels `{first}` and `{second}` are nearly the same");
        let found = warnings.contains(&expected);
        assert_eq!(found, alike, "{one} {other}: {warnings:?}");
    }
}

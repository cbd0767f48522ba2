//! Splits and duplicates.

use std::collections::BTreeMap;

use openlora_core::error::Explain;
use openlora_model::dataset::{
    DataRow, DataSource, Dataset, TrainingExample,
    duplicates::{self, DatasetPart},
    split::{DataSplit, DataSplitOptions, split},
};
use proptest::prelude::*;

use crate::dataset::in_memory;

fn labelled(text: &str, label: &str) -> TrainingExample {
    TrainingExample::Labelled {
        text: text.to_owned(),
        label: label.to_owned(),
    }
}

fn rows(count: usize) -> Dataset {
    in_memory((0..count).map(|n| labelled(&format!("text {n}"), ["a", "b", "b"][n % 3])))
}

fn wish(valid: f64, test: f64, seed: u64) -> DataSplitOptions {
    DataSplitOptions { valid, test, seed }
}

fn labels(dataset: &Dataset, part: &[usize]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for row in part {
        *counts
            .entry(dataset.rows[*row].example.label().unwrap().to_owned())
            .or_default() += 1;
    }
    counts
}

#[test]
fn every_label_is_split_in_the_same_proportions() {
    let dataset = rows(300);
    let DataSplit { train, valid, test } = split(&dataset, &wish(0.1, 0.2, 1)).unwrap();
    let counts = |part| labels(&dataset, part).into_values().collect::<Vec<_>>();
    assert_eq!(
        [counts(&train), counts(&valid), counts(&test)],
        [[70, 140], [10, 20], [20, 40]]
    );
}

#[test]
fn the_seed_alone_decides_and_order_does_not() {
    let texts = |dataset: &Dataset, part: &[usize]| {
        let mut texts: Vec<TrainingExample> = part
            .iter()
            .map(|row| dataset.rows[*row].example.clone())
            .collect();
        texts.sort_by_key(TrainingExample::to_json_line);
        texts
    };
    let dataset = rows(90);
    let reversed = in_memory(
        dataset
            .rows
            .iter()
            .rev()
            .map(|row: &DataRow| row.example.clone()),
    );
    let one = split(&dataset, &wish(0.1, 0.1, 7)).unwrap();
    let two = split(&reversed, &wish(0.1, 0.1, 7)).unwrap();
    assert_eq!(texts(&dataset, &one.test), texts(&reversed, &two.test));
    assert_ne!(one, split(&dataset, &wish(0.1, 0.1, 8)).unwrap());
}

#[test]
fn few_rows_move_when_rows_are_added() {
    let held = |count| {
        let dataset = rows(count);
        let test = split(&dataset, &wish(0.0, 0.1, 3)).unwrap().test;
        test.into_iter()
            .filter(|row| *row < 600)
            .collect::<std::collections::BTreeSet<_>>()
    };
    let (before, after) = (held(600), held(630));
    assert_eq!(before.len(), 60);
    assert!(
        before.intersection(&after).count() >= 54,
        "{before:?} {after:?}"
    );
}

#[test]
fn fractions_must_leave_rows_to_train_on() {
    let hint = "give fractions such as --valid 0.1 --test 0.1 that leave rows to train on";
    for (valid, test, count) in [
        (0.5, 0.5, 9),
        (-0.1, 0.1, 9),
        (0.0, f64::NAN, 9),
        (0.9, 0.0, 1),
    ] {
        let error = split(&rows(count), &wish(valid, test, 1)).unwrap_err();
        let message = format!(
            "cannot split {count} rows into fractions {valid} and {test} beside the training rows"
        );
        assert_eq!(
            (error.to_string(), error.hint()),
            (message, Some(hint.to_owned()))
        );
    }
}

proptest! {
    #[test]
    fn a_split_is_a_partition_that_keeps_equal_texts_together(
        texts in proptest::collection::vec("[ab]{1,4}", 8..60),
        valid in 0.0..0.4f64,
        test in 0.0..0.4f64,
        seed: u64,
    ) {
        let dataset = in_memory(texts.iter().map(|text| labelled(text, &text[..1])));
        let Ok(parts) = split(&dataset, &wish(valid, test, seed)) else {
            return Ok(());
        };
        let parts = [parts.train, parts.valid, parts.test];
        let mut all = parts.concat();
        all.sort_unstable();
        prop_assert_eq!(all, (0..texts.len()).collect::<Vec<_>>());
        let of = |row: usize| parts.iter().position(|part| part.contains(&row));
        for (at, text) in texts.iter().enumerate() {
            let first = texts.iter().position(|other| other == text).unwrap();
            prop_assert_eq!(of(at), of(first));
        }
    }
}

fn file(name: &str, examples: Vec<TrainingExample>) -> Dataset {
    let dataset = in_memory(examples);
    Dataset::new(vec![DataSource::of_file(name)], dataset.rows)
}

/// `second repeats first similarity leaks labels`.
fn told(parts: &[(&str, &Dataset)]) -> Vec<String> {
    let parts: Vec<DatasetPart<'_>> = parts
        .iter()
        .map(|(name, dataset)| DatasetPart { name, dataset })
        .collect();
    let line = |found: &duplicates::DuplicateRow| {
        format!(
            "{} {} = {} {} at {:.2}{}{}",
            found.second.part,
            found.second.at,
            found.first.part,
            found.first.at,
            found.similarity,
            if found.leaks { ", leaks" } else { "" },
            found
                .labels
                .as_ref()
                .map_or(String::new(), |(one, two)| format!(", {one}/{two}")),
        )
    };
    duplicates::find(&parts).iter().map(line).collect()
}

#[test]
fn duplicates_are_told_with_both_places() {
    let long = "one two three four five six seven eight nine ten eleven twelve";
    let train = file(
        "a",
        vec![
            labelled("Bitcoin is  up!", "good"),
            labelled(
                &format!("{long} alpha beta gamma delta epsilon zeta eta"),
                "good",
            ),
            labelled("bitcoin is up!", "bad"),
            labelled("ether is up!", "good"),
            labelled("🚀 🚀 🚀", "good"),
        ],
    );
    let test = file(
        "b",
        vec![
            labelled("BITCOIN is up!", "good"),
            labelled(
                &format!("{long} alpha, beta, gamma, delta, epsilon, zeta, theta"),
                "good",
            ),
            labelled(
                &format!("{long} alpha beta gamma delta epsilon other words"),
                "good",
            ),
            labelled("Bitcoin, is up", "good"),
            labelled("🚀 🚀", "good"),
        ],
    );
    assert_eq!(
        told(&[("train", &train), ("test", &test)]),
        [
            "train a:3 = train a:1 at 1.00, good/bad",
            "test b:1 = train a:1 at 1.00, leaks",
            "test b:2 = train a:2 at 0.90, leaks",
            "test b:4 = train a:1 at 1.00, leaks",
            "test b:5 = train a:5 at 1.00, leaks",
        ]
    );
}

proptest! {
    /// The filtered search finds what comparing all pairs finds.
    #[test]
    fn the_search_misses_nothing(
        rows in proptest::collection::vec(proptest::collection::btree_set(0..14u8, 8..13), 2..30),
    ) {
        let text = |set: &std::collections::BTreeSet<u8>| {
            set.iter().map(|word| format!("w{word}")).collect::<Vec<_>>().join(" ")
        };
        let dataset = in_memory(rows.iter().map(|set| TrainingExample::Text { text: text(set) }));
        let found: Vec<(String, String)> =
            duplicates::find(&[DatasetPart { name: "all", dataset: &dataset }])
                .into_iter()
                .map(|found| (found.second.at, format!("{:.4}", found.similarity)))
                .collect();
        let mut expected = Vec::new();
        for (at, set) in rows.iter().enumerate() {
            let near = |other: &&std::collections::BTreeSet<u8>| {
                let shared = set.intersection(other).count();
                10 * shared >= 9 * set.len().min(other.len())
            };
            let similarity = |other: &std::collections::BTreeSet<u8>| {
                set.intersection(other).count() as f64 / set.union(other).count() as f64
            };
            let best = rows[..at].iter().filter(near).map(similarity).fold(0.0, f64::max);
            if best > 0.0 {
                expected.push((format!("mem:{}", at + 1), format!("{best:.4}")));
            }
        }
        prop_assert_eq!(found, expected);
    }
}

#[test]
fn copies_count_for_whoever_said_it_first() {
    let long = "one two three four five six seven eight nine ten eleven twelve thirteen";
    let sources = ["first", "copier", "second", "own"].map(DataSource::of_file);
    let rows = [
        (0, long.to_owned()),
        (0, "short and sweet".to_owned()),
        // Equal, louder, wider, with what nobody sees, nearly equal, and under another label.
        (1, long.to_owned()),
        (1, long.to_uppercase()),
        (1, long.replace(' ', "\t \u{a0}")),
        (1, long.replace('e', "e\u{200b}")),
        (1, format!("{long} fourteen")),
        (1, format!("{long}!!")),
        // New words, and a copy of a copier's copy.
        (2, "something else that nobody said before".to_owned()),
        (2, format!("{long} fourteen")),
        // Twice the same of its own.
        (3, "said here and here alone".to_owned()),
        (3, "Said here and here alone.".to_owned()),
    ];
    let row = |(at, (source, text)): (usize, (usize, String))| DataRow {
        example: labelled(&text, ["a", "b"][at % 2]),
        source,
        line: at + 1,
    };
    let rows = rows.into_iter().enumerate().map(row).collect();
    let dataset = Dataset::new(sources.to_vec(), rows);
    assert_eq!(duplicates::distinct(&dataset), [2, 0, 1, 1]);
}

#[test]
fn copies_that_look_the_same_count_once() {
    let long = "one apple a day keeps every bad expert on my topic away";
    let swap = |pairs: &[(char, &str)]| {
        let swapped = long.chars().map(|letter| {
            let found = pairs.iter().find(|(from, _)| *from == letter);
            found.map_or(letter.to_string(), |(_, to)| (*to).to_owned())
        });
        swapped.collect::<String>()
    };
    let fullwidth: String = long
        .chars()
        .map(|letter| match letter {
            'a'..='z' => char::from_u32(u32::from(letter) - 0x61 + 0xff41).unwrap(),
            other => other,
        })
        .collect();
    let copies = [
        swap(&[
            ('a', "а"),
            ('e', "е"),
            ('o', "о"),
            ('p', "р"),
            ('c', "с"),
            ('x', "х"),
        ]),
        swap(&[('a', "а"), ('e', "е"), ('o', "о")]).to_uppercase(),
        swap(&[('a', "α"), ('o', "ο"), ('v', "ν")]),
        swap(&[('a', "a\u{301}"), ('e', "e\u{308}"), ('o', "o\u{327}")]),
        swap(&[('a', "á"), ('e', "ê"), ('o', "õ")]),
        fullwidth,
    ];
    let sources = ["first", "copier", "other"].map(DataSource::of_file);
    let mut texts = vec![(0, long.to_owned())];
    texts.extend(copies.into_iter().map(|copy| (1, copy)));
    texts.push((2, "съешь же ещё этих мягких французских булок".to_owned()));
    texts.push((2, "да выпей чаю".to_owned()));
    let row = |(at, (source, text)): (usize, (usize, String))| DataRow {
        example: labelled(&text, "a"),
        source,
        line: at + 1,
    };
    let rows = texts.into_iter().enumerate().map(row).collect();
    let dataset = Dataset::new(sources.to_vec(), rows);
    assert_eq!(duplicates::distinct(&dataset), [1, 0, 2]);
}

/// How a copy is changed: one row, or two.
type Disguise = fn(&str, &str) -> Vec<String>;

/// A word that nobody else uses before every `n`th word.
fn padded(text: &str, n: usize) -> String {
    let words = text.split(' ').enumerate().map(|(at, word)| {
        let filler = format!("qq{}{word} {word}", text.len() + at);
        match at % n {
            0 => filler,
            _ => word.to_owned(),
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

fn halves(text: &str) -> Vec<String> {
    let words: Vec<&str> = text.split(' ').collect();
    let (one, two) = words.split_at(words.len() / 2);
    vec![one.join(" "), two.join(" ")]
}

#[test]
fn added_split_and_joined_words_make_no_new_rows() {
    let originals = [
        "the old lighthouse keeper wrote every evening how far above high water the lamp could \
         still be seen by ships that passed along our coast",
        "nobody on this market sells better copper pans than my uncle who hammers them himself \
         behind his small shop near that dusty western gate",
        "when rain falls for three days without pause frogs climb up into kitchen windows and \
         children collect some of those in empty jam jars",
    ];
    let disguises: [(&str, Disguise); 10] = [
        ("an eighth added", |text, _| vec![padded(text, 8)]),
        ("a quarter added", |text, _| vec![padded(text, 4)]),
        ("a third added", |text, _| vec![padded(text, 3)]),
        ("as much added", |text, _| vec![padded(text, 1)]),
        ("appended", |text, _| {
            vec![format!("{text} qqa qqb qqc qqd qqe")]
        }),
        ("split in two", |text, _| halves(text)),
        ("two joined", |text, next| vec![format!("{text} {next}")]),
        ("two joined and padded", |text, next| {
            vec![padded(&format!("{text} {next}"), 8)]
        }),
        ("in another order and padded", |text, _| {
            let mut words: Vec<&str> = text.split(' ').collect();
            words.sort_unstable();
            vec![padded(&words.join(" "), 4)]
        }),
        ("words split", |text, _| vec![text.replace("er", "e r")]),
    ];
    for (name, disguise) in disguises {
        let copies: Vec<String> = originals
            .iter()
            .zip(originals.iter().cycle().skip(1))
            .flat_map(|(text, next)| disguise(text, next))
            .collect();
        for copier_first in [false, true] {
            let own = originals.iter().map(|text| (*text).to_owned());
            let mut texts: Vec<(usize, String)> = own.map(|text| (0, text)).collect();
            let theirs = copies.iter().map(|text| (1, text.clone()));
            match copier_first {
                true => texts.splice(..0, theirs).for_each(drop),
                false => texts.extend(theirs),
            }
            let sources = ["first", "copier"].map(DataSource::of_file);
            let row = |(at, (source, text)): (usize, (usize, String))| DataRow {
                example: labelled(&text, "a"),
                source,
                line: at + 1,
            };
            let rows = texts.into_iter().enumerate().map(row).collect();
            let counted = duplicates::distinct(&Dataset::new(sources.to_vec(), rows));
            match copier_first {
                // Whichever comes first counts, and never both.
                true => assert_eq!(counted[0], 0, "{name}: {counted:?}"),
                false => assert_eq!(counted, [3, 0], "{name}"),
            }
        }
    }
}

#[test]
fn rows_that_share_what_everybody_says_are_new() {
    let rows = [
        // Short rows are inside long ones by chance.
        "thank you for the help",
        "thank you for the help with my old bicycle it runs again as it did before",
        // Less than nine tenths of the words.
        "the price of one ticket to the northern islands is twelve crowns this summer",
        "the price of one ticket to the southern islands is nine crowns this autumn",
        // More than two and a half times as many words: most of it is new.
        "please send the parcel to my new address in the harbour street",
        "please send the parcel to my new address in the harbour street because since last week \
         our former house has been closed for repairs and every letter that arrived there went \
         back unopened which made several customers angry",
    ];
    let dataset = in_memory(rows.iter().map(|text| labelled(text, "a")));
    assert_eq!(duplicates::distinct(&dataset), [rows.len()]);
}

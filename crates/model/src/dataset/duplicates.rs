//! Duplicate and near-duplicate rows within and across training, validation and test data.
//!
//! Two rows are near duplicates if nine tenths of the words of the one with fewer words are in the
//! other one (containment), which has at most two and a half times as many. So words that are added
//! to a copy do not make it new, nor does splitting a row in two or joining two rows. Rows of a few
//! words occur in others by chance: they are near duplicates only if their words are the same.
//!
//! The search is exact: sets that similar must share one of the rarest words of the smaller one
//! (prefix filtering: Chaudhuri et al. 2006, Bayardo et al. 2007), so only such rows are compared.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{Dataset, TrainingExample};

/// Rows with fewer different words are compared as a whole.
const FEWEST_WORDS: usize = 8;

/// A part of the data under its name, such as `train`.
#[derive(Clone, Copy, Debug)]
pub struct DatasetPart<'a> {
    pub name: &'a str,
    pub dataset: &'a Dataset,
}

/// Where a row is.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct RowPlace {
    pub part: String,
    /// `path:line`.
    pub at: String,
}

/// A row and the most similar earlier row.
#[derive(Clone, Debug, PartialEq, serde::Serialize, schemars::JsonSchema)]
pub struct DuplicateRow {
    pub first: RowPlace,
    pub second: RowPlace,
    /// Jaccard similarity of the words; 1 for equal texts. Copies with added words have less.
    pub similarity: f64,
    /// Whether the two are in different parts, which would inflate an evaluation.
    pub leaks: bool,
    /// The labels, when they differ.
    pub labels: Option<(String, String)>,
}

/// Finds every duplicate of an earlier row, in the order of parts and rows.
pub fn find(parts: &[DatasetPart<'_>]) -> Vec<DuplicateRow> {
    let rows: Vec<RowText<'_>> = parts.iter().flat_map(entries).collect();
    let found = earlier_rows(&rows).into_iter().zip(&rows);
    found
        .filter_map(|(found, row)| {
            found.map(|(first, similarity)| duplicate(&rows[first], row, similarity))
        })
        .collect()
}

/// For each row, the first row of its cluster: the transitive closure of near duplicates. A row
/// without any is its own cluster.
pub fn clusters(dataset: &Dataset) -> Vec<usize> {
    let part = DatasetPart { name: "", dataset };
    let mut roots: Vec<usize> = Vec::with_capacity(dataset.rows.len());
    for (at, found) in earlier_rows(&entries(&part)).into_iter().enumerate() {
        roots.push(found.map_or(at, |(earlier, _)| roots[earlier]));
    }
    roots
}

/// For each row, the earlier row that it repeats, and how similar their words are.
fn earlier_rows(rows: &[RowText<'_>]) -> Vec<Option<(usize, f64)>> {
    let sets = word_sets(rows);
    let mut search = DuplicateSearch {
        sets: &sets,
        by_rarest: HashMap::new(),
        by_word: HashMap::new(),
    };
    let mut exact: HashMap<&str, usize> = HashMap::new();
    let mut unspaced: HashMap<String, usize> = HashMap::new();
    let mut found = Vec::with_capacity(rows.len());
    for (at, row) in rows.iter().enumerate() {
        let letters: String = row.text.chars().filter(|c| c.is_alphanumeric()).collect();
        let long = sets[at].len() >= FEWEST_WORDS;
        let twin = exact.get(row.text.as_str()).map(|first| (*first, 1.0));
        let split = unspaced.get(&letters).filter(|_| long);
        let split = split.map(|first| (*first, search.jaccard(at, *first)));
        found.push(twin.or(split).or_else(|| search.best(at)));
        exact.entry(&row.text).or_insert(at);
        if long {
            unspaced.entry(letters).or_insert(at);
        }
        search.add(at);
    }
    found
}

/// The number of distinct rows of each source. Copies and near duplicates, within a source or of an
/// earlier one, count for the first row only.
pub fn distinct(dataset: &Dataset) -> Vec<usize> {
    let mut counts = vec![0; dataset.sources.len()];
    for (at, root) in clusters(dataset).into_iter().enumerate() {
        if at == root {
            counts[dataset.rows[at].source] += 1;
        }
    }
    counts
}

/// The text of a row for comparison: all content except the label, in lower case, with single
/// spaces and without invisible characters.
pub(super) fn normal_text(example: &TrainingExample) -> String {
    let words = |text: &str| -> Vec<String> {
        let seen = text.replace(invisible, "");
        seen.split_whitespace().map(str::to_lowercase).collect()
    };
    let joined: Vec<String> = match example {
        TrainingExample::Text { text } | TrainingExample::Labelled { text, .. } => words(text),
        TrainingExample::Completion { prompt, completion } => {
            [words(prompt), words(completion)].concat()
        }
        TrainingExample::Chat { messages, .. } => {
            let said = messages.iter().filter(|message| message.role != "system");
            said.flat_map(|message| words(&message.content)).collect()
        }
    };
    joined.join(" ")
}

/// Soft hyphens, joiners, direction marks and the like: copies that differ only in these are
/// duplicates.
fn invisible(letter: char) -> bool {
    matches!(
        letter,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{feff}'
    ) || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || matches!(letter, '\u{fe00}'..='\u{fe0f}' | '\u{e0000}'..='\u{e01ef}')
}

/// A text in lower case as it looks: without accents, and with Cyrillic, Greek and fullwidth letters
/// as the Latin ones that they are confused with (compare the skeletons of Unicode TR39).
fn skeleton(text: &str) -> String {
    let shown = text.chars().filter(|letter| !is_accent(*letter));
    shown.map(lookalike).collect()
}

fn is_accent(letter: char) -> bool {
    matches!(letter,
        '\u{300}'..='\u{36f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}'
        | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}')
}

fn lookalike(letter: char) -> char {
    match letter {
        'à' | 'á' | 'â' | 'ã' | 'ä' | 'å' | 'ā' | 'ă' | 'ą' | 'ά' | 'α' | 'а' => 'a',
        'β' | 'в' | 'ь' => 'b',
        'ç' | 'ć' | 'ĉ' | 'ċ' | 'č' | 'с' => 'c',
        'ď' | 'đ' | 'ԁ' => 'd',
        'è' | 'é' | 'ê' | 'ë' | 'ē' | 'ĕ' | 'ė' | 'ę' | 'ě' | 'έ' | 'ε' | 'е' | 'ѐ' | 'ё' => {
            'e'
        }
        'ĝ' | 'ğ' | 'ġ' | 'ģ' => 'g',
        'ĥ' | 'ħ' | 'н' | 'һ' => 'h',
        'ì' | 'í' | 'î' | 'ï' | 'ĩ' | 'ī' | 'ĭ' | 'į' | 'ı' | 'ί' | 'ι' | 'ϊ' | 'і' | 'ї' => {
            'i'
        }
        'ĵ' | 'ј' => 'j',
        'ķ' | 'κ' | 'к' | 'ќ' => 'k',
        'ĺ' | 'ļ' | 'ľ' | 'ł' | 'ӏ' => 'l',
        'м' => 'm',
        'ñ' | 'ń' | 'ņ' | 'ň' | 'ή' | 'η' | 'п' => 'n',
        'ò' | 'ó' | 'ô' | 'õ' | 'ö' | 'ø' | 'ō' | 'ŏ' | 'ő' | 'ο' | 'ό' | 'о' => 'o',
        'ρ' | 'р' => 'p',
        'ԛ' => 'q',
        'ŕ' | 'ŗ' | 'ř' | 'г' => 'r',
        'ś' | 'ŝ' | 'ş' | 'š' | 'ѕ' => 's',
        'ţ' | 'ť' | 'τ' | 'т' => 't',
        'ù' | 'ú' | 'û' | 'ü' | 'ũ' | 'ū' | 'ŭ' | 'ů' | 'ű' | 'ų' | 'υ' | 'ύ' => 'u',
        'ν' => 'v',
        'ŵ' | 'ω' | 'ώ' | 'ԝ' => 'w',
        'χ' | 'х' => 'x',
        'ý' | 'ÿ' | 'ŷ' | 'γ' | 'у' | 'ў' => 'y',
        'ź' | 'ż' | 'ž' => 'z',
        // Fullwidth forms stand in the order of ASCII.
        '\u{ff01}'..='\u{ff5e}' => {
            char::from_u32(u32::from(letter) - 0xff01 + u32::from('!')).unwrap_or(letter)
        }
        other => other,
    }
}

struct RowText<'a> {
    part: DatasetPart<'a>,
    row: usize,
    text: String,
}

fn entries<'a>(part: &DatasetPart<'a>) -> Vec<RowText<'a>> {
    let rows = part.dataset.rows.iter().enumerate();
    rows.map(|(row, entry)| RowText {
        part: *part,
        row,
        text: skeleton(&normal_text(&entry.example)),
    })
    .collect()
}

fn duplicate(first: &RowText<'_>, second: &RowText<'_>, similarity: f64) -> DuplicateRow {
    let labels = |entry: &RowText<'_>| {
        entry.part.dataset.rows[entry.row]
            .example
            .label()
            .map(str::to_owned)
    };
    let differing = labels(first)
        .zip(labels(second))
        .filter(|(one, two)| one != two);
    DuplicateRow {
        first: place(first),
        second: place(second),
        similarity,
        leaks: first.part.name != second.part.name,
        labels: differing,
    }
}

fn place(entry: &RowText<'_>) -> RowPlace {
    let dataset = entry.part.dataset;
    RowPlace {
        part: entry.part.name.to_owned(),
        at: dataset.place(&dataset.rows[entry.row]),
    }
}

/// The words of each row as numbers, ascending from the rarest word to the most common one.
fn word_sets(rows: &[RowText<'_>]) -> Vec<Vec<u32>> {
    let sets: Vec<BTreeSet<&str>> = rows.iter().map(|row| words(&row.text)).collect();
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    for word in sets.iter().flatten() {
        *counts.entry(word).or_default() += 1;
    }
    let mut ranked: Vec<(u32, &str)> = counts.into_iter().map(|(word, n)| (n, word)).collect();
    ranked.sort_unstable();
    let numbers: HashMap<&str, u32> = ranked.into_iter().map(|(_, word)| word).zip(0..).collect();
    let numbered = |set: BTreeSet<&str>| -> Vec<u32> {
        let mut set: Vec<u32> = set.into_iter().map(|word| numbers[word]).collect();
        set.sort_unstable();
        set
    };
    sets.into_iter().map(numbered).collect()
}

/// Words without punctuation; the pieces between spaces for texts that have no letters.
fn words(text: &str) -> BTreeSet<&str> {
    let words: BTreeSet<&str> = text
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    if words.is_empty() {
        text.split(' ').collect()
    } else {
        words
    }
}

struct DuplicateSearch<'a> {
    sets: &'a [Vec<u32>],
    /// Earlier rows by each of their rarest words.
    by_rarest: HashMap<u32, Vec<usize>>,
    /// Earlier rows by each of their words.
    by_word: HashMap<u32, Vec<usize>>,
}

impl DuplicateSearch<'_> {
    /// The rarest words of a row, one of which any larger set that similar must contain.
    fn rarest(&self, at: usize) -> &[u32] {
        let set = &self.sets[at];
        let shared = (9 * set.len()).div_ceil(10);
        &set[..(set.len() - shared + 1).min(set.len())]
    }

    fn jaccard(&self, at: usize, other: usize) -> f64 {
        let (shared, all) = overlap(&self.sets[at], &self.sets[other]);
        shared as f64 / all as f64
    }

    fn is_near(&self, at: usize, other: usize) -> bool {
        let (one, two) = (&self.sets[at], &self.sets[other]);
        let (fewer, more) = (one.len().min(two.len()), one.len().max(two.len()));
        if fewer < FEWEST_WORDS {
            return one == two;
        }
        2 * more <= 5 * fewer && 10 * overlap(one, two).0 >= 9 * fewer
    }

    /// The most similar earlier row, the earliest among equals.
    fn best(&self, at: usize) -> Option<(usize, f64)> {
        // The smaller set of a pair may be the earlier or the later one.
        let smaller = self.sets[at].iter().map(|word| self.by_rarest.get(word));
        let larger = self.rarest(at).iter().map(|word| self.by_word.get(word));
        let lists = smaller.chain(larger).flatten();
        let candidates: BTreeSet<usize> = lists.flatten().copied().collect();
        let near = candidates
            .into_iter()
            .filter(|other| self.is_near(at, *other));
        near.map(|other| (other, self.jaccard(at, other)))
            .reduce(|best, next| if next.1 > best.1 { next } else { best })
    }

    fn add(&mut self, at: usize) {
        for word in self.rarest(at).to_vec() {
            self.by_rarest.entry(word).or_default().push(at);
        }
        for word in &self.sets[at] {
            self.by_word.entry(*word).or_default().push(at);
        }
    }
}

/// Sizes of the intersection and the union of two ascending lists.
fn overlap(one: &[u32], two: &[u32]) -> (usize, usize) {
    let (mut i, mut j, mut shared) = (0, 0, 0);
    while i < one.len() && j < two.len() {
        match one[i].cmp(&two[j]) {
            std::cmp::Ordering::Less => i += 1,
            std::cmp::Ordering::Greater => j += 1,
            std::cmp::Ordering::Equal => {
                (i, j, shared) = (i + 1, j + 1, shared + 1);
            }
        }
    }
    (shared, one.len() + two.len() - shared)
}

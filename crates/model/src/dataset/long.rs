//! Rows longer than the limit: refused, cut, left out or divided, as [`OnLong`] says.
//!
//! Neither instructions nor answers are ever cut. The rows of the dataset and their digests stay as
//! they are: what is encoded of a row changes, and [`LongRows`] says by how much.

use std::fmt;

use serde::{Deserialize, Serialize};

pub use super::encode::OnLong;
use super::{
    DataError, DataRow, Dataset, RowFault, Task, TrainingExample,
    encode::{EncodeOptions, EncodedRow, encode_whole},
};
use crate::text::TextCodec;

/// The rows of a dataset that are longer than the limit, and what becomes of them.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(deny_unknown_fields)]
pub struct LongRows {
    pub on_long: OnLong,
    /// Limit in tokens.
    pub max_len: usize,
    /// Rows of the dataset.
    pub rows: usize,
    /// Those that are longer than the limit.
    pub long: usize,
    /// Length of the longest row before it is cut, as it is compared with the limit.
    pub longest: usize,
    /// Tokens of the long rows, with their own labels.
    pub tokens: usize,
    /// Rows that the long ones become.
    pub kept_rows: usize,
    /// Tokens of those.
    pub kept_tokens: usize,
    /// Long rows that are an error.
    pub refused: usize,
}

impl LongRows {
    /// No rows yet.
    pub fn new(options: &EncodeOptions) -> Self {
        Self {
            on_long: options.on_long,
            max_len: options.max_len,
            ..Self::default()
        }
    }

    /// Whether a row of this length is too long.
    pub fn exceeds(&self, length: usize) -> bool {
        length > self.max_len
    }

    /// Counts a row that fits.
    pub fn count_fitting(&mut self, length: usize) {
        self.rows += 1;
        self.longest = self.longest.max(length);
    }

    /// Counts a row that is too long and has `tokens` tokens, of which rows of these sizes are left.
    pub fn count_long(
        &mut self,
        length: usize,
        tokens: usize,
        left: impl IntoIterator<Item = usize>,
    ) {
        self.count_fitting(length);
        self.long += 1;
        self.tokens += tokens;
        for size in left {
            self.kept_rows += 1;
            self.kept_tokens += size;
        }
    }

    /// Counts a row that is too long with what became of it.
    fn count_result(
        &mut self,
        length: usize,
        tokens: usize,
        became: &Result<Vec<EncodedRow>, RowFault>,
    ) {
        let rows = became.as_deref().unwrap_or_default();
        self.count_long(length, tokens, rows.iter().map(|row| row.ids.len()));
        self.refused += usize::from(became.is_err());
    }

    /// Itself, if some row is longer than the limit.
    pub fn if_any(self) -> Option<Self> {
        (self.long > 0).then_some(self)
    }
}

impl fmt::Display for LongRows {
    /// What becomes of the long rows.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            tokens,
            kept_rows,
            kept_tokens,
            ..
        } = self;
        match self.on_long {
            OnLong::Error => write!(f, "refused"),
            OnLong::Truncate => write!(f, "cut, {kept_tokens} of their {tokens} tokens stay"),
            OnLong::Drop => write!(f, "left out, with {tokens} tokens"),
            OnLong::Split => write!(f, "split into {kept_rows} rows"),
        }
    }
}

impl LongRows {
    /// One sentence about the rows of this name, such as `training rows`; `None` if none is too long.
    pub fn sentence(&self, rows: &str) -> Option<String> {
        let found = self.if_any()?;
        Some(format!(
            "{} of {} {rows} are longer than {} tokens (the longest has {}): {found}",
            found.long, found.rows, found.max_len, found.longest
        ))
    }
}

/// The encoded rows of a dataset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FittedRows {
    pub encoded: Vec<EncodedRow>,
    /// For each encoded row its position in the dataset, ascending: a dropped row has none, and the
    /// parts of a divided one have the same.
    pub origins: Vec<usize>,
    pub long: LongRows,
}

/// Encodes all rows in order, and treats those that are too long as `options.on_long` says.
///
/// # Errors
///
/// The first row that cannot be encoded or fitted, named by path:line. If rows are too long and
/// nothing is to be done about it, the error of the first one says how many there are. Only plain
/// text can be divided.
pub fn fit_rows(
    codec: &TextCodec,
    task: &Task,
    dataset: &Dataset,
    options: &EncodeOptions,
) -> Result<FittedRows, DataError> {
    check_divisible(task, options.on_long)?;
    let mut fitted = FittedRows {
        long: LongRows::new(options),
        ..FittedRows::default()
    };
    let mut refused = None;
    for (origin, row) in dataset.rows.iter().enumerate() {
        let at_row = |fault| dataset.row_error(row, fault);
        let whole = encode_whole(codec, task, &row.example, options.loss).map_err(at_row)?;
        let tokens = whole.ids.len();
        let length = limited_length(codec, task, &row.example, tokens, options).map_err(at_row)?;
        if !fitted.long.exceeds(length) {
            fitted.long.count_fitting(length);
            fitted.push(origin, [whole]);
            continue;
        }
        let became = treat(codec, task, &row.example, whole, options);
        fitted.long.count_result(length, tokens, &became);
        match became {
            Ok(rows) => fitted.push(origin, rows),
            Err(fault @ RowFault::TooLong { .. }) if refused.is_none() => {
                refused = Some((row, fault));
            }
            Err(RowFault::TooLong { .. }) => {}
            Err(fault) => return Err(at_row(fault)),
        }
    }
    match refused {
        Some((row, fault)) => Err(dataset.row_error(row, with_others(fault, &fitted.long))),
        None => Ok(fitted),
    }
}

impl FittedRows {
    fn push(&mut self, origin: usize, rows: impl IntoIterator<Item = EncodedRow>) {
        self.encoded.extend(rows);
        self.origins.resize(self.encoded.len(), origin);
    }
}

/// An error of a row that is too long, with the number of such rows if there are more.
fn with_others(fault: RowFault, long: &LongRows) -> RowFault {
    match fault {
        RowFault::TooLong { tokens, limit } if long.refused > 1 => RowFault::ManyTooLong {
            tokens,
            limit,
            rows: long.refused,
            longest: long.longest,
        },
        fault => fault,
    }
}

/// What each choice of [`OnLong`] makes of the rows, in the order of [`OnLong::ALL`]. Counts each row by
/// [`measure`](Self::measure).
#[derive(Debug)]
pub struct LongRowForecast {
    choices: Vec<LongRows>,
}

impl LongRowForecast {
    pub fn new(options: &EncodeOptions) -> Self {
        let choice = |on_long| {
            LongRows::new(&EncodeOptions {
                on_long,
                ..*options
            })
        };
        Self {
            choices: OnLong::ALL.map(choice).to_vec(),
        }
    }

    /// Counts a row that was encoded whole; returns the fault that it has with `options`, if any.
    pub fn measure(
        &mut self,
        codec: &TextCodec,
        task: &Task,
        example: &TrainingExample,
        whole: &EncodedRow,
        options: &EncodeOptions,
    ) -> Option<RowFault> {
        let tokens = whole.ids.len();
        let mut found = None;
        for choice in &mut self.choices {
            let treated = EncodeOptions {
                on_long: choice.on_long,
                ..*options
            };
            let length = match limited_length(codec, task, example, tokens, &treated) {
                Ok(length) => length,
                Err(fault) => return Some(fault),
            };
            if !choice.exceeds(length) {
                choice.count_fitting(length);
                continue;
            }
            let became = treat(codec, task, example, whole.clone(), &treated);
            choice.count_result(length, tokens, &became);
            if choice.on_long == options.on_long {
                found = became.err();
            }
        }
        found
    }

    pub fn into_choices(self) -> Vec<LongRows> {
        self.choices
    }
}

/// Checks that rows of the task can be divided if they are to be.
pub fn check_divisible(task: &Task, on_long: OnLong) -> Result<(), DataError> {
    match (on_long, task) {
        (OnLong::Split, Task::Classify { .. } | Task::Chat { .. }) => {
            Err(DataError::Indivisible { task: task.name() })
        }
        _ => Ok(()),
    }
}

/// What becomes of a row that is too long; `whole` is the row, encoded without a limit.
fn treat(
    codec: &TextCodec,
    task: &Task,
    example: &TrainingExample,
    whole: EncodedRow,
    options: &EncodeOptions,
) -> Result<Vec<EncodedRow>, RowFault> {
    let (tokens, limit) = (whole.ids.len(), options.max_len);
    let is_text = matches!(example, TrainingExample::Text { .. });
    match options.on_long {
        OnLong::Error => Err(RowFault::TooLong { tokens, limit }),
        OnLong::Drop => Ok(Vec::new()),
        OnLong::Truncate if is_text => Ok(vec![whole.part(0..limit)]),
        OnLong::Truncate => {
            let cut = shorten(codec, task, example, options)?;
            Ok(vec![encode_whole(codec, task, &cut, options.loss)?])
        }
        OnLong::Split if is_text => Ok(divide(&whole, limit)),
        OnLong::Split => Err(RowFault::Undivided {
            found: example.kind(),
            tokens,
            limit,
        }),
    }
}

/// Parts of at most `limit` tokens, at least 2. Each part but the first begins with the last token of
/// the one before, which it does not learn.
fn divide(whole: &EncodedRow, limit: usize) -> Vec<EncodedRow> {
    let (tokens, step) = (whole.ids.len(), limit.max(2) - 1);
    let starts = (0..tokens - 1).step_by(step);
    starts
        .map(|start| whole.part(start..tokens.min(start + step + 1)))
        .collect()
}

/// The row with its text cut as [`OnLong::Truncate`] says.
///
/// # Errors
///
/// The row is too long even with as little as possible of every text that may be cut.
pub fn shortened(
    codec: &TextCodec,
    task: &Task,
    dataset: &Dataset,
    row: &DataRow,
    options: &EncodeOptions,
) -> Result<DataRow, DataError> {
    let example = shorten(codec, task, &row.example, options);
    Ok(DataRow {
        example: example.map_err(|fault| dataset.row_error(row, fault))?,
        ..*row
    })
}

/// Cuts the longest text as far as needed, then the next, and keeps at least a token of each.
fn shorten(
    codec: &TextCodec,
    task: &Task,
    example: &TrainingExample,
    options: &EncodeOptions,
) -> Result<TrainingExample, RowFault> {
    let length = |example: &TrainingExample| row_length(codec, task, example, options);
    let limit = options.max_len;
    let mut cut = example.clone();
    for part in cuttable(example) {
        let text = part_of(&cut, part).to_owned();
        let left = remainders(codec, &text, task, example)?;
        if left.is_empty() {
            continue;
        }
        let with = |place: usize| with_part(&cut, part, left[place]);
        let least = with(0);
        if length(&least)? <= limit {
            let longest = last_fitting(left.len(), |place| Ok(length(&with(place))? <= limit))?;
            return Ok(with(longest));
        }
        cut = least;
    }
    Err(RowFault::Uncut {
        tokens: length(example)?,
        least: length(&cut)?,
        limit,
    })
}

/// The length of a row of `tokens` tokens that is compared with the limit: where long rows are cut or
/// left out, that with the task's longest label, so that what becomes of a text does not depend on its
/// label. The length of a row that certainly fits may be too small.
///
/// # Errors
///
/// The row cannot be encoded with another label.
pub fn limited_length(
    codec: &TextCodec,
    task: &Task,
    example: &TrainingExample,
    tokens: usize,
    options: &EncodeOptions,
) -> Result<usize, RowFault> {
    let Task::Classify { labels, .. } = task else {
        return Ok(tokens);
    };
    match options.on_long {
        OnLong::Error | OnLong::Split => return Ok(tokens),
        OnLong::Drop | OnLong::Truncate => {}
    }
    // A label takes at most a token for each byte, and a few for what is before and after it.
    let longest = labels.iter().map(String::len).max().unwrap_or(0);
    let bound = tokens.saturating_add(2 * longest + 8);
    match bound <= options.max_len {
        true => Ok(tokens),
        false => row_length(codec, task, example, options),
    }
}

/// Tokens of a row; of a labelled one with its task's longest label, so that the cut is the same for
/// every label.
fn row_length(
    codec: &TextCodec,
    task: &Task,
    example: &TrainingExample,
    options: &EncodeOptions,
) -> Result<usize, RowFault> {
    let tokens = |example: &TrainingExample| {
        encode_whole(codec, task, example, options.loss).map(|row| row.ids.len())
    };
    let (Task::Classify { labels, .. }, TrainingExample::Labelled { text, .. }) = (task, example)
    else {
        return tokens(example);
    };
    let mut longest = tokens(example)?;
    for label in labels {
        let text = text.clone();
        let label = label.clone();
        longest = longest.max(tokens(&TrainingExample::Labelled { text, label })?);
    }
    Ok(longest)
}

/// The last of `count` places that fits. The first one does, and of those after it, none fits after
/// one that does not; where a tokenizer breaks this rule, the place found fits nevertheless.
fn last_fitting(
    count: usize,
    fits: impl Fn(usize) -> Result<bool, RowFault>,
) -> Result<usize, RowFault> {
    let (mut low, mut high) = (0, count);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        match fits(middle)? {
            true => low = middle,
            false => high = middle,
        }
    }
    Ok(low)
}

/// The texts that may be cut, the longest first: positions of messages, or 0.
fn cuttable(example: &TrainingExample) -> Vec<usize> {
    match example {
        TrainingExample::Chat { messages, .. } => {
            let is_request = |at: &usize| messages[*at].role == "user";
            let mut requests: Vec<usize> = (0..messages.len()).filter(is_request).collect();
            requests.sort_by_key(|at| std::cmp::Reverse(messages[*at].content.len()));
            requests
        }
        _ => vec![0],
    }
}

fn part_of(example: &TrainingExample, part: usize) -> &str {
    match example {
        TrainingExample::Chat { messages, .. } => &messages[part].content,
        TrainingExample::Completion { prompt, .. } => prompt,
        TrainingExample::Text { text } | TrainingExample::Labelled { text, .. } => text,
    }
}

fn with_part(example: &TrainingExample, part: usize, new: &str) -> TrainingExample {
    let mut example = example.clone();
    let text = match &mut example {
        TrainingExample::Chat { messages, .. } => &mut messages[part].content,
        TrainingExample::Completion { prompt, .. } => prompt,
        TrainingExample::Text { text } | TrainingExample::Labelled { text, .. } => text,
    };
    new.clone_into(text);
    example
}

/// Without a conversation, the end of a prompt is what its completion continues.
fn is_cut_at_start(task: &Task, example: &TrainingExample) -> bool {
    *task == Task::Text && matches!(example, TrainingExample::Completion { .. })
}

/// What can be left of a text, cut between its tokens, the least first. Cut inside of a token, less text
/// could take more tokens.
fn remainders<'a>(
    codec: &TextCodec,
    text: &'a str,
    task: &Task,
    example: &TrainingExample,
) -> Result<Vec<&'a str>, RowFault> {
    let pieces = codec.encode_pieces(text, false)?;
    let spans = pieces.iter().map(|piece| &piece.span);
    let mut left: Vec<&str> = match is_cut_at_start(task, example) {
        true => spans
            .rev()
            .filter_map(|span| text.get(span.start..))
            .collect(),
        false => spans.filter_map(|span| text.get(..span.end)).collect(),
    };
    left.retain(|left| !left.is_empty());
    left.dedup();
    Ok(left)
}

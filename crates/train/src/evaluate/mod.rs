//! Evaluation of a decoder on held-out rows, with and without its adapter.
//!
//! Labelled rows are scored by constrained label likelihood (see [`LabelChoices`]), all others by
//! the mean loss on their target tokens.

pub mod scores;

use candle_core::Tensor;
use serde::Serialize;

use self::scores::LabelScores;
use super::{
    dataset_role::DatasetRole,
    error::TrainError,
    rows::{TrainRows, ragged},
};
use openlora_decoder::Decoder;
use openlora_model::{
    dataset::{
        DataRow, Dataset, RowFault, Task, TrainingExample,
        choices::{LabelChoices, LabelFork, arg_max},
        encode::{EncodeOptions, EncodedRow, encode_row},
        long::{LongRows, OnLong, check_divisible, limited_length, shortened},
    },
    text::TextCodec,
};

/// Tokens per forward pass.
pub(super) const BATCH_TOKENS: usize = 4096;

/// Metrics of one model on one set.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
#[serde(untagged)]
pub enum EvalFigures {
    Labels(LabelScores),
    Text(TextFigures),
}

/// Metrics of text generation.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct TextFigures {
    pub rows: u64,
    /// Target tokens.
    pub tokens: u64,
    /// Mean over target tokens, in nats.
    pub loss: f64,
    /// exp(loss)
    pub perplexity: f64,
}

/// An adapter's metrics and, for comparison, those of its base.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct EvalReport {
    #[serde(flatten)]
    pub adapter: EvalFigures,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base: Option<EvalFigures>,
    /// The improvement over the base: accuracy, or nats of loss.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gain: Option<f64>,
    /// The held-out rows that were longer than the limit, if any were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub long_rows: Option<LongRows>,
}

impl EvalFigures {
    /// The improvement over `base`: accuracy for labels, reduction of nats per token for text.
    pub fn gain_over(&self, base: &Self) -> Option<f64> {
        match (self, base) {
            (Self::Labels(mine), Self::Labels(theirs)) => Some(mine.accuracy - theirs.accuracy),
            (Self::Text(mine), Self::Text(theirs)) => Some(theirs.loss - mine.loss),
            _ => None,
        }
    }
}

/// A held-out set, encoded once for several models.
pub enum EvalSet {
    Labels {
        labels: Vec<String>,
        items: Vec<(usize, LabelChoices)>,
        long: LongRows,
    },
    Text(TrainRows),
}

impl EvalSet {
    /// Encodes the rows for a base that reads `base_limit` tokens; an invalid or longer one is an
    /// error naming its file and line.
    pub fn new(
        codec: &TextCodec,
        task: &Task,
        dataset: &Dataset,
        options: &EncodeOptions,
        base_limit: usize,
    ) -> Result<Self, TrainError> {
        if dataset.rows.is_empty() {
            return Err(TrainError::EvalNeeds {
                what: "at least one row",
            });
        }
        let Task::Classify { labels, .. } = task else {
            let rows = TrainRows::encode(codec, task, dataset, options, DatasetRole::HeldOut)?;
            rows.check_lengths(dataset, base_limit)?;
            return Ok(Self::Text(rows));
        };
        task.check(dataset)?;
        check_divisible(task, options.on_long)?;
        let labelling = LabelledSet {
            codec,
            task,
            dataset,
            options,
            labels,
            base_limit,
        };
        let mut long = LongRows::new(options);
        let mut items = Vec::with_capacity(dataset.rows.len());
        for row in &dataset.rows {
            items.extend(labelling.item(row, &mut long)?);
        }
        match (items.is_empty(), long.if_any()) {
            (true, Some(long)) => Err(TrainError::AllLong {
                rows: DatasetRole::HeldOut,
                long,
            }),
            _ => Ok(Self::Labels {
                labels: labels.clone(),
                items,
                long,
            }),
        }
    }

    /// The rows that were longer than the limit.
    pub fn long_rows(&self) -> LongRows {
        match self {
            Self::Labels { long, .. } => *long,
            Self::Text(rows) => rows.long,
        }
    }

    pub fn rows(&self) -> u64 {
        match self {
            Self::Labels { items, .. } => items.len() as u64,
            Self::Text(rows) => rows.len() as u64,
        }
    }

    /// Evaluates the decoder. `progress` receives the completed and the total number of rows.
    pub fn evaluate(
        &self,
        decoder: &mut Decoder,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<EvalFigures, TrainError> {
        decoder.set_training(false);
        match self {
            Self::Labels { labels, items, .. } => {
                let pairs = answers(decoder, items, progress)?;
                Ok(EvalFigures::Labels(LabelScores::from_pairs(labels, &pairs)))
            }
            Self::Text(rows) => {
                let (sum, tokens) = loss_over(decoder, rows, progress)?;
                let loss = sum / tokens as f64;
                Ok(EvalFigures::Text(TextFigures {
                    rows: rows.len() as u64,
                    tokens,
                    loss,
                    perplexity: loss.exp(),
                }))
            }
        }
    }

    /// Evaluates the decoder with its adapter and, if `with_base`, also without.
    pub fn compare(
        &self,
        decoder: &mut Decoder,
        with_base: bool,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<EvalReport, TrainError> {
        let adapter = self.evaluate(decoder, progress)?;
        if !with_base {
            return Ok(EvalReport {
                adapter,
                base: None,
                gain: None,
                long_rows: self.long_rows().if_any(),
            });
        }
        let base = self.evaluate(&mut decoder.base_alone(), progress)?;
        let gain = adapter.gain_over(&base);
        Ok(EvalReport {
            adapter,
            base: Some(base),
            gain,
            long_rows: self.long_rows().if_any(),
        })
    }
}

/// Sum of the loss over all target tokens, and their number.
pub fn loss_over(
    decoder: &mut Decoder,
    rows: &TrainRows,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(f64, u64), TrainError> {
    decoder.set_training(false);
    let (mut sum, mut targets, mut done) = (0.0, 0, 0);
    for batch in rows.batches(BATCH_TOKENS) {
        let (loss, count) = decoder.loss_sum(&batch)?;
        sum += f64::from(loss.to_scalar::<f32>()?);
        targets += count as u64;
        done += batch.offsets.len() as u64 - 1;
        progress(done, rows.len() as u64);
    }
    Ok((sum, targets))
}

/// Converts labelled rows to choices.
struct LabelledSet<'a> {
    codec: &'a TextCodec,
    task: &'a Task,
    dataset: &'a Dataset,
    options: &'a EncodeOptions,
    labels: &'a [String],
    base_limit: usize,
}

impl LabelledSet<'_> {
    /// The row's true label and its choices: the row encoded with each label. `None` if it is too long
    /// and left out.
    fn item(
        &self,
        row: &DataRow,
        long: &mut LongRows,
    ) -> Result<Option<(usize, LabelChoices)>, TrainError> {
        let (codec, task, dataset) = (self.codec, self.task, self.dataset);
        let at_row = |fault| TrainError::from(dataset.row_error(row, fault));
        // The task's check has already refused unknown labels.
        let is_true = |label: &String| row.example.label() == Some(label);
        let truth = self.labels.iter().position(is_true).unwrap_or(0);
        let mut sequences = self.sequences(row)?;
        let tokens = sequences[truth].len();
        let length = limited_length(codec, task, &row.example, tokens, self.options);
        let length = length.map_err(at_row)?;
        if long.exceeds(length) {
            let limit = self.options.max_len;
            match self.options.on_long {
                OnLong::Drop => {
                    long.count_long(length, tokens, []);
                    return Ok(None);
                }
                OnLong::Truncate => {
                    let cut = shortened(codec, task, dataset, row, self.options)?;
                    sequences = self.sequences(&cut)?;
                    long.count_long(length, tokens, [sequences[truth].len()]);
                }
                OnLong::Error | OnLong::Split => {
                    return Err(at_row(RowFault::TooLong { tokens, limit }));
                }
            }
        } else {
            long.count_fitting(length);
        }
        let (longest, limit) = (sequences.iter().map(Vec::len).max(), self.base_limit);
        match longest {
            Some(tokens) if tokens > limit => Err(at_row(RowFault::BeyondBase { tokens, limit })),
            _ => Ok(Some((truth, LabelChoices::new(&sequences, self.labels)?))),
        }
    }

    /// The tokens of the row with each label.
    fn sequences(&self, row: &DataRow) -> Result<Vec<Vec<u32>>, TrainError> {
        let TrainingExample::Labelled { text, .. } = &row.example else {
            return Err(TrainError::EvalNeeds {
                what: "rows with a text and a label",
            });
        };
        let options = EncodeOptions {
            max_len: usize::MAX,
            ..*self.options
        };
        let sequence = |label: &String| {
            let example = TrainingExample::Labelled {
                text: text.clone(),
                label: label.clone(),
            };
            let row = DataRow { example, ..*row };
            Ok(encode_row(self.codec, self.task, self.dataset, &row, &options)?.ids)
        };
        self.labels.iter().map(sequence).collect()
    }
}

/// A query for next-token logits: item, fork, tokens.
struct LogitQuery {
    item: usize,
    fork: LabelFork,
    row: EncodedRow,
}

/// (truth, answer) for every item.
fn answers(
    decoder: &Decoder,
    items: &[(usize, LabelChoices)],
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Vec<(usize, usize)>, TrainError> {
    let mut logits: Vec<Vec<Vec<f32>>> = vec![Vec::new(); items.len()];
    for group in questions(items) {
        let asked = ragged(group.iter().map(|question| &question.row));
        let last: Vec<usize> = asked.offsets[1..].iter().map(|end| end - 1).collect();
        let rows = decoder.logits_at(&asked, &last)?;
        for (index, question) in group.iter().enumerate() {
            logits[question.item].push(children(&rows, index, &question.fork)?);
        }
        let done = group.last().map_or(0, |question| question.item as u64 + 1);
        progress(done, items.len() as u64);
    }
    let answer = |((truth, choices), logits): (&(usize, LabelChoices), &Vec<Vec<f32>>)| {
        (
            *truth,
            arg_max(&choices.log_likelihoods(&choices.forks(), logits)),
        )
    };
    Ok(items.iter().zip(&logits).map(answer).collect())
}

/// All queries in order, in groups of about [`BATCH_TOKENS`].
fn questions(items: &[(usize, LabelChoices)]) -> Vec<Vec<LogitQuery>> {
    let (mut groups, mut held) = (vec![Vec::new()], 0);
    for (item, (_, choices)) in items.iter().enumerate() {
        for fork in choices.forks() {
            let ids = [choices.prefix.as_slice(), &fork.path].concat();
            if held > 0 && held + ids.len() > BATCH_TOKENS {
                groups.push(Vec::new());
                held = 0;
            }
            held += ids.len();
            let row = EncodedRow {
                targets: vec![false; ids.len()],
                ids,
            };
            if let Some(group) = groups.last_mut() {
                group.push(LogitQuery { item, fork, row });
            }
        }
    }
    groups.retain(|group| !group.is_empty());
    groups
}

fn children(rows: &Tensor, index: usize, fork: &LabelFork) -> Result<Vec<f32>, TrainError> {
    let row = rows.get(index)?;
    let wanted = Tensor::new(fork.children.as_slice(), row.device())?;
    Ok(row.index_select(&wanted, 0)?.to_vec1()?)
}

//! Trains a small base model from scratch: tokenizer, weights and the accompanying files.
//!
//! The embedded model `nano` is built this way. Documents are packed without attending to each
//! other; every weight is trained. The length of the run is given in tokens, not in time, so that
//! the same corpus gives the same files.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use candle_core::Var;
use safetensors::{Dtype, tensor::TensorView};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::bpe::train_tokenizer;
use openlora_decoder::{Decoder, TokenBatch};
use openlora_model::{
    ModelConfig,
    dataset::{
        DataSource, Dataset, Task, TrainingExample,
        encode::{EncodeOptions, LossOn, encode_row},
        load,
        long::{LongRows, OnLong},
    },
    text::TextCodec,
};
use openlora_train::{
    RateCurve, RateSchedule, TrainError, TrainRows,
    adamw::AdamWOptions,
    evaluate::loss_over,
    order::{OrderWalk, RowCursor, RowOrder},
    ragged,
    run::files,
    step::{NoiseState, TrainStepper},
};

/// The model to build, and its corpus.
#[derive(Clone, Debug, PartialEq)]
pub struct BaseBuild {
    /// A folder of data files in any format that training reads: documents or conversations.
    pub corpus: PathBuf,
    pub out: PathBuf,
    pub shape: BaseShape,
    /// Number of training tokens, repetitions included.
    pub tokens: u64,
    /// Tokens per optimizer step.
    pub batch_tokens: usize,
    pub lr: f64,
    pub weight_decay: f64,
    pub seed: u64,
}

impl BaseBuild {
    /// The embedded base: small enough for the binary, large enough to be fine-tuned.
    pub fn nano(corpus: PathBuf, out: PathBuf) -> Self {
        let shape = BaseShape {
            vocab: 4096,
            hidden: 256,
            layers: 4,
            heads: 4,
            kv_heads: 2,
            intermediate: 640,
            context: 1024,
        };
        Self {
            corpus,
            out,
            shape,
            tokens: 2_400_000,
            batch_tokens: 1024,
            lr: 3e-3,
            weight_decay: 0.1,
            seed: 1,
        }
    }
}

/// The result of the build.
#[derive(Clone, Debug, PartialEq)]
pub struct BaseBuildResult {
    pub steps: u64,
    /// Mean over the last tenth of the steps, in nats per token.
    pub loss: f64,
    /// Mean over the held-out documents, if there are any.
    pub validation_loss: Option<f64>,
    pub parameters: u64,
    /// Digest of `model.safetensors`, hex.
    pub weights_sha256: String,
}

/// Sizes of a Llama-architecture model with tied embeddings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BaseShape {
    pub vocab: usize,
    pub hidden: usize,
    pub layers: usize,
    pub heads: usize,
    pub kv_heads: usize,
    pub intermediate: usize,
    /// Longest document, and the model's context, in tokens.
    pub context: usize,
}

/// A progress event of the build.
#[derive(Clone, Debug, PartialEq)]
pub enum BaseEvent {
    Prepared {
        documents: usize,
        tokens: u64,
        vocab: usize,
        parameters: u64,
        steps: u64,
    },
    Step {
        step: u64,
        loss: f64,
        tokens_per_second: f64,
    },
}

/// Fraction of the steps used for warm-up.
const WARMUP: f64 = 0.03;
/// The final learning rate as a fraction of its peak.
const FLOOR: f64 = 0.1;

/// Builds the base.
pub fn train_base(
    build: &BaseBuild,
    listener: &mut dyn FnMut(BaseEvent),
) -> Result<BaseBuildResult, TrainError> {
    let (dataset, held_out) = corpus(&build.corpus)?;
    files::create_folder(&build.out)?;
    train_tokenizer(
        dataset.rows.iter().map(|row| plain(&row.example)),
        build.shape.vocab,
        &build.out,
    )
    .map_err(|error| TrainError::damaged(&build.out, error.to_string()))?;
    let config = write_config(build)?;
    let codec = TextCodec::open(&build.out)?;
    let documents = encode(&codec, &dataset, build.shape.context)?;
    let batches = BatchPacker::new(&documents, build);
    let steps = batches.steps();
    let options = AdamWOptions {
        beta2: 0.95,
        weight_decay: build.weight_decay,
        ..AdamWOptions::default()
    };
    let mut stepper = TrainStepper::new(Decoder::random(&config, build.seed)?, options, 1.0)?;
    listener(BaseEvent::Prepared {
        documents: documents.len(),
        tokens: documents.tokens(),
        vocab: codec.vocab_size(),
        parameters: stepper.trained_values(),
        steps,
    });
    let loss = learn(&mut stepper, batches, build, listener)?;
    let path = build.out.join("model.safetensors");
    let weights_sha256 = write_weights(&path, stepper.trainable())?;
    let validation_loss = match held_out {
        None => None,
        Some(rows) => {
            let rows = encode(&codec, &rows, build.shape.context)?;
            let (sum, tokens) = loss_over(&mut stepper.decoder, &rows, &mut |_, _| {})?;
            Some(sum / tokens as f64)
        }
    };
    Ok(BaseBuildResult {
        steps,
        loss,
        validation_loss,
        parameters: stepper.trained_values(),
        weights_sha256,
    })
}

/// Runs the training; returns the mean loss of the last tenth of the steps.
fn learn(
    stepper: &mut TrainStepper,
    mut batches: BatchPacker<'_>,
    build: &BaseBuild,
    listener: &mut dyn FnMut(BaseEvent),
) -> Result<f64, TrainError> {
    let steps = batches.steps();
    let warmup = (steps as f64 * WARMUP).ceil() as u64;
    let schedule = RateSchedule {
        floor: FLOOR,
        ..RateSchedule::new(RateCurve::Cosine, build.lr, warmup, steps)
    };
    let (mut tail, mut counted) = (0.0, 0);
    for done in 0..steps {
        let (step, lr, began) = (done + 1, schedule.at(done), Instant::now());
        let stepped = stepper.step(&[batches.next()], lr, NoiseState::default())?;
        let (loss, norm) = (stepped.loss, stepped.norm);
        if !loss.is_finite() || !norm.is_finite() {
            return Err(TrainError::NotFinite {
                step,
                loss,
                norm,
                lr,
            });
        }
        if done >= steps - steps.div_ceil(10) {
            tail += loss;
            counted += 1;
        }
        let tokens_per_second = stepped.tokens as f64 / began.elapsed().as_secs_f64().max(1e-9);
        listener(BaseEvent::Step {
            step,
            loss,
            tokens_per_second,
        });
    }
    Ok(tail / f64::from(counted.max(1)))
}

/// Groups documents into steps of about `batch_tokens` tokens.
#[derive(Clone)]
struct BatchPacker<'a> {
    documents: &'a TrainRows,
    walk: OrderWalk,
    batch_tokens: usize,
    tokens: u64,
}

impl<'a> BatchPacker<'a> {
    fn new(documents: &'a TrainRows, build: &BaseBuild) -> Self {
        let order = RowOrder::new(&vec![0; documents.len()], &[1.0], build.seed);
        let walk = OrderWalk::new(order, RowCursor::default());
        Self {
            documents,
            walk,
            batch_tokens: build.batch_tokens,
            tokens: build.tokens,
        }
    }

    fn next(&mut self) -> TokenBatch {
        let (mut picks, mut held) = (Vec::new(), 0);
        while held < self.batch_tokens {
            for pick in self.walk.take(1) {
                held += self.documents.encoded[pick].ids.len();
                picks.push(&self.documents.encoded[pick]);
            }
        }
        ragged(picks)
    }

    /// The number of steps until the requested tokens are read, computed without training.
    fn steps(&self) -> u64 {
        let mut rehearsal = self.clone();
        let (mut read, mut steps) = (0, 0);
        while read < self.tokens {
            read += rehearsal.next().ids.len() as u64;
            steps += 1;
        }
        steps
    }
}

/// The folder's data files in order of their names; those named `valid…` are held out.
fn corpus(dir: &Path) -> Result<(Dataset, Option<Dataset>), TrainError> {
    let entries = fs::read_dir(dir).map_err(|error| TrainError::io("read", dir, error))?;
    let mut paths: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "jsonl")
        })
        .collect();
    paths.sort_unstable();
    let held = |path: &PathBuf| {
        path.file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with("valid"))
    };
    let (held_out, learned): (Vec<PathBuf>, Vec<PathBuf>) = paths.into_iter().partition(held);
    let sources = |paths: Vec<PathBuf>| {
        paths
            .into_iter()
            .map(DataSource::of_file)
            .collect::<Vec<_>>()
    };
    let held_out = match held_out.is_empty() {
        true => None,
        false => Some(load(&sources(held_out))?),
    };
    Ok((load(&sources(learned))?, held_out))
}

fn encode(codec: &TextCodec, dataset: &Dataset, context: usize) -> Result<TrainRows, TrainError> {
    let options = EncodeOptions {
        max_len: context,
        loss: LossOn::All,
        on_long: OnLong::Error,
    };
    let task = |example: &TrainingExample| match example {
        TrainingExample::Chat { .. } => Task::Chat { instruction: None },
        _ => Task::Text,
    };
    let encoded = dataset
        .rows
        .iter()
        .map(|row| encode_row(codec, &task(&row.example), dataset, row, &options))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(TrainRows {
        sources: vec![0; encoded.len()],
        origins: (0..encoded.len()).collect(),
        long: LongRows::default(),
        encoded,
    })
}

/// The text of an example for training the tokenizer. Role names are included, because every
/// rendered message contains one.
fn plain(example: &TrainingExample) -> String {
    match example {
        TrainingExample::Chat { messages, .. } => messages
            .iter()
            .map(|message| format!("{}\n{}", message.role, message.content))
            .collect::<Vec<_>>()
            .join("\n"),
        TrainingExample::Completion { prompt, completion } => format!("{prompt}{completion}"),
        TrainingExample::Text { text } => text.clone(),
        TrainingExample::Labelled { text, label } => format!("{text}\n{label}"),
    }
}

fn write_config(build: &BaseBuild) -> Result<ModelConfig, TrainError> {
    let BaseShape {
        vocab,
        hidden,
        layers,
        heads,
        kv_heads,
        intermediate,
        context,
    } = build.shape;
    let config = json!({
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": vocab,
        "hidden_size": hidden,
        "intermediate_size": intermediate,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "head_dim": hidden / heads,
        "hidden_act": "silu",
        "max_position_embeddings": context,
        "initializer_range": 0.02,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10_000.0,
        "rope_scaling": null,
        "tie_word_embeddings": true,
        "attention_bias": false,
        "attention_dropout": 0.0,
        "mlp_bias": false,
        "use_cache": true,
        "bos_token_id": null,
        "eos_token_id": 2,
        "pad_token_id": 0,
        "torch_dtype": "bfloat16",
    });
    let generation = json!({ "do_sample": false, "eos_token_id": [0, 2], "pad_token_id": 0 });
    let path = build.out.join("config.json");
    files::replace(&path, format!("{config:#}\n").as_bytes())?;
    files::replace(
        &build.out.join("generation_config.json"),
        format!("{generation:#}\n").as_bytes(),
    )?;
    Ok(ModelConfig::read(&path)?)
}

/// Writes all weights in bf16, as is usual on the Hub; returns the file's SHA-256.
fn write_weights(path: &Path, weights: &[(String, Var)]) -> Result<String, TrainError> {
    let mut host = Vec::with_capacity(weights.len());
    for (name, var) in weights {
        let values = var.flatten_all()?.to_vec1::<f32>()?;
        let bytes: Vec<u8> = values
            .iter()
            .flat_map(|value| half::bf16::from_f32(*value).to_le_bytes())
            .collect();
        host.push((name, var.dims().to_vec(), bytes));
    }
    let failed = |error: safetensors::SafeTensorError| TrainError::damaged(path, error.to_string());
    let mut views = Vec::with_capacity(host.len());
    for (name, shape, bytes) in &host {
        views.push((
            name,
            TensorView::new(Dtype::BF16, shape.clone(), bytes).map_err(failed)?,
        ));
    }
    let metadata = [("format".to_owned(), "pt".to_owned())].into();
    let bytes = safetensors::serialize(views, Some(metadata)).map_err(failed)?;
    files::replace(path, &bytes)?;
    Ok(hex::encode(Sha256::digest(&bytes)))
}

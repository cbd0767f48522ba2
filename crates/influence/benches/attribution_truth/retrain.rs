//! Trainings on parts of a world: what leaving examples out really does.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering},
};

use candle_core::Tensor;
use openlora_decoder::{Decoder, TokenBatch};
use openlora_influence::{GradientCheckpoint, GradientInputs};
use openlora_model::LoraConfig;
use openlora_train::{
    RateCurve, RateSchedule, TrainRows,
    adamw::AdamWOptions,
    order::{OrderWalk, RowCursor, RowOrder, generator, shuffle},
    step::{NoiseState, TrainStepper},
};
use serde::{Deserialize, Serialize};

/// How every training of a world is done.
#[derive(Clone, Copy, Debug)]
pub struct Recipe {
    pub epochs: usize,
    pub batch: usize,
    pub lr: f64,
    pub warmup: u64,
    pub rank: usize,
}

/// Shares of the steps after which weights are kept.
pub const KEPT: [f64; 13] = [
    0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.75, 1.0,
];

pub struct Trained {
    pub decoder: Decoder,
    /// Share of the steps, and the weights after them.
    pub kept: Vec<(f64, GradientCheckpoint)>,
    pub moments: BTreeMap<String, Tensor>,
    pub lora_scale: f64,
}

impl Recipe {
    fn lora(&self) -> LoraConfig {
        LoraConfig {
            rank: self.rank,
            alpha: 2.0 * self.rank as f64,
            targets: vec!["all-linear".into()],
            dropout: 0.0,
            rslora: false,
            ..LoraConfig::default()
        }
    }

    /// Trains on the rows at `picks`.
    pub fn train(&self, base: &Decoder, rows: &TrainRows, picks: &[usize], seed: u64) -> Trained {
        let mut decoder = base.clone();
        decoder
            .attach_lora(&self.lora(), seed)
            .expect("factors fit");
        let mut stepper =
            TrainStepper::new(decoder, AdamWOptions::default(), 1.0).expect("an optimizer starts");
        let sources = vec![0; picks.len()];
        let mut walk = OrderWalk::new(RowOrder::new(&sources, &[1.0], seed), RowCursor::default());
        let steps = (self.epochs * picks.len().div_ceil(self.batch)) as u64;
        let schedule = RateSchedule::new(RateCurve::Cosine, self.lr, self.warmup, steps);
        let mut kept = Vec::new();
        for step in 0..steps {
            let taken: Vec<usize> = walk
                .take(self.batch)
                .into_iter()
                .map(|at| picks[at])
                .collect();
            let batch = rows.batch(&taken);
            stepper
                .step(&[batch], schedule.at(step), NoiseState::default())
                .expect("a step succeeds");
            for share in KEPT {
                if (steps as f64 * share).round().max(1.0) as u64 == step + 1 {
                    kept.push((share, snapshot(&stepper, step + 1, schedule.at(step))));
                }
            }
        }
        let correction = 1.0 - AdamWOptions::default().beta2.powi(steps as i32);
        let moments = stepper
            .optimizer
            .state()
            .into_iter()
            .filter_map(|(name, tensor)| {
                let name = name.strip_prefix("v.")?.to_owned();
                Some((name, (tensor / correction).expect("a tensor divides")))
            });
        Trained {
            moments: moments.collect(),
            lora_scale: self.lora().scale(),
            decoder: stepper.decoder,
            kept,
        }
    }
}

fn snapshot(stepper: &TrainStepper, step: u64, rate: f64) -> GradientCheckpoint {
    let copy = |var: &candle_core::Var| var.as_tensor().copy().expect("a tensor copies").detach();
    let weights = stepper
        .trainable()
        .iter()
        .map(|(name, var)| (name.clone(), copy(var)));
    GradientCheckpoint {
        step,
        rate,
        weights: weights.collect(),
    }
}

impl Trained {
    /// The material of attribution with the checkpoints at these shares.
    pub fn material(&self, shares: &[f64], preconditioned: bool) -> GradientInputs {
        let chosen = self.kept.iter().filter(|(share, _)| shares.contains(share));
        GradientInputs {
            checkpoints: chosen.map(|(_, checkpoint)| checkpoint.clone()).collect(),
            moments: match preconditioned {
                true => self.moments.clone(),
                false => BTreeMap::new(),
            },
            lora_scale: self.lora_scale,
            lora_scales: BTreeMap::new(),
        }
    }
}

/// A prompt and the tuned model's own answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Query {
    pub prompt: Vec<u32>,
    pub answer: Vec<u32>,
}

/// The likeliest answer, token by token, to the end token or `most` tokens.
pub fn answer(decoder: &Decoder, prompt: &[u32], end: u32, most: usize) -> Query {
    let mut ids = prompt.to_vec();
    while ids.len() < prompt.len() + most && (ids.len() == prompt.len() || ids.last() != Some(&end))
    {
        let batch = TokenBatch {
            targets: vec![false; ids.len()],
            offsets: vec![0, ids.len()],
            ids: ids.clone(),
        };
        let logits = decoder
            .logits_at(&batch, &[ids.len() - 1])
            .expect("a forward pass succeeds");
        let values: Vec<f32> = logits
            .flatten_all()
            .and_then(|all| all.to_vec1())
            .expect("logits are floats");
        let best = (0..values.len()).max_by(|a, b| values[*a].total_cmp(&values[*b]));
        ids.push(best.unwrap_or(0) as u32);
    }
    Query {
        prompt: prompt.to_vec(),
        answer: ids[prompt.len()..].to_vec(),
    }
}

/// Sum of −log p over each answer.
pub fn losses(decoder: &mut Decoder, queries: &[Query]) -> Vec<f64> {
    decoder.set_training(false);
    let loss = |query: &Query| {
        let targets = [
            vec![false; query.prompt.len()],
            vec![true; query.answer.len()],
        ]
        .concat();
        let batch = TokenBatch {
            ids: [query.prompt.as_slice(), &query.answer].concat(),
            offsets: vec![0, targets.len()],
            targets,
        };
        let (loss, _) = decoder.loss_sum(&batch).expect("a forward pass succeeds");
        f64::from(loss.to_scalar::<f32>().expect("a loss is a float"))
    };
    queries.iter().map(loss).collect()
}

/// What the retrainings came to; kept in a file, since they take most of the time.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Truth {
    pub queries: Vec<Query>,
    /// Examples of each random half.
    pub subsets: Vec<Vec<usize>>,
    /// `[seeds][subsets][queries]`
    pub halves: Vec<Vec<Vec<f64>>>,
    /// `[seeds][queries]`, on everything.
    pub whole: Vec<Vec<f64>>,
    /// `[seeds][contributors][queries]`, without one.
    pub without: Vec<Vec<Vec<f64>>>,
}

/// How much is retrained.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    pub subsets: usize,
    pub seeds: u64,
    pub contributor_seeds: u64,
    pub seed: u64,
}

impl Truth {
    pub fn find(
        recipe: &Recipe,
        base: &Decoder,
        rows: &TrainRows,
        (queries, effort): (Vec<Query>, Effort),
        tell: &mut dyn FnMut(&str),
    ) -> Self {
        let all: Vec<usize> = (0..rows.len()).collect();
        let truth = Self {
            subsets: (0..effort.subsets as u64)
                .map(|at| {
                    let mut half = all.clone();
                    shuffle(&mut half, &mut generator(effort.seed, "half", &[at]));
                    half.truncate(all.len() / 2);
                    half.sort_unstable();
                    half
                })
                .collect(),
            queries,
            ..Self::default()
        };
        let measure = |picks: &[usize], seed: u64| {
            let mut trained = recipe.train(base, rows, picks, effort.seed + 1000 + seed);
            losses(&mut trained.decoder, &truth.queries)
        };
        let contributors = rows.sources.iter().max().map_or(0, |most| most + 1);
        let rest = |left_out: usize| -> Vec<usize> {
            let kept = all.iter().copied();
            kept.filter(|at| rows.sources[*at] != left_out).collect()
        };
        let mut parts = vec![all.clone()];
        parts.extend((0..contributors).map(rest));
        let (mut whole, mut without, mut halves) = (vec![], vec![], vec![]);
        for seed in 0..effort.contributor_seeds {
            let mut found = side_by_side(&parts, &|part| measure(part, seed));
            without.push(found.split_off(1));
            whole.extend(found);
            tell(&format!("seed {}: left every contributor out", seed + 1));
        }
        for seed in 0..effort.seeds {
            halves.push(side_by_side(&truth.subsets, &|half| {
                measure(half, 100 + seed)
            }));
            let count = truth.subsets.len();
            tell(&format!("seed {}: trained on {count} halves", seed + 1));
        }
        Self {
            whole,
            without,
            halves,
            ..truth
        }
    }
}

/// `work` on every item, in order. The models are small, so each thread trains one of its own.
fn side_by_side<T: Sync, R: Send>(items: &[T], work: &(dyn Fn(&T) -> R + Sync)) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let threads = rayon::current_num_threads().min(items.len());
    let run = || {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
        pool.expect("a thread starts").install(|| {
            let places = std::iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed));
            let own = places.map_while(|at| Some((at, work(items.get(at)?))));
            own.collect::<Vec<(usize, R)>>()
        })
    };
    let mut found: Vec<(usize, R)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        let joined = workers
            .into_iter()
            .map(|it| it.join().expect("no training panics"));
        joined.flatten().collect()
    });
    found.sort_by_key(|(at, _)| *at);
    found.into_iter().map(|(_, result)| result).collect()
}

//! Trainings on parts of a world: what leaving pictures out really does to the loss of other pictures.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use openlora_diffusion::{
    CaptionEmbedding, ImageAdapter, ImageAdapterConfig, ImageExample, ImageModel,
    ImageTrainOptions, ImageTrainer, TimeNoise, example_losses, pixels_of,
};
use openlora_influence::{GradientInputs, PictureExample};
use openlora_train::{
    RateCurve, RateSchedule,
    order::{generator, shuffle},
    run::files,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// How every training of a world is done.
#[derive(Clone, Copy, Debug)]
pub struct Recipe {
    pub epochs: usize,
    pub batch: usize,
    pub lr: f64,
    pub warmup: u64,
    pub rank: usize,
}

/// Shares of the steps after which factors are kept.
pub const KEPT: [f64; 4] = [0.2, 0.35, 0.5, 1.0];

/// Step, learning rate and factors.
pub type KeptFactors = (u64, f64, ImageAdapter);

pub struct Trained {
    pub adapter: ImageAdapter,
    /// In the order of [`KEPT`].
    pub kept: Vec<KeptFactors>,
    /// Adam's second moments, bias-corrected.
    pub moments: Vec<f32>,
    /// Mean loss of the last epoch.
    pub loss: f64,
}

impl Recipe {
    /// Trains on the examples at `picks`.
    pub fn train(
        &self,
        model: &Arc<ImageModel>,
        examples: &[PictureExample],
        picks: &[usize],
        seed: u64,
    ) -> Trained {
        let config = ImageAdapterConfig {
            rank: self.rank,
            alpha: self.rank as f64,
            ..ImageAdapterConfig::default()
        };
        let adapter = ImageAdapter::random(model, &config, seed).expect("factors fit");
        let options = ImageTrainOptions {
            seed,
            ..ImageTrainOptions::default()
        };
        let mut trainer = ImageTrainer::of_adapter(Arc::clone(model), adapter, options);
        let pixels: Vec<Vec<f32>> = picks
            .iter()
            .map(|at| pixels_of(&examples[*at].picture.rgb))
            .collect();
        let each = picks.len().div_ceil(self.batch);
        let steps = (self.epochs * each) as u64;
        let schedule = RateSchedule::new(RateCurve::Cosine, self.lr, self.warmup, steps);
        let (mut kept, mut losses) = (Vec::new(), Vec::new());
        let mut order: Vec<usize> = (0..picks.len()).collect();
        for step in 0..steps {
            let (epoch, place) = (step / each as u64, step as usize % each);
            if place == 0 {
                order.sort_unstable();
                shuffle(&mut order, &mut generator(seed, "order", &[epoch]));
            }
            let taken = &order[place * self.batch..((place + 1) * self.batch).min(order.len())];
            let batch: Vec<ImageExample<'_>> = taken
                .iter()
                .map(|at| ImageExample {
                    pixels: &pixels[*at],
                    caption: &examples[picks[*at]].caption,
                })
                .collect();
            let rate = schedule.at(step);
            losses.push(trainer.step(&batch, rate).expect("a step succeeds").loss);
            for share in KEPT {
                if (steps as f64 * share).round().max(1.0) as u64 == step + 1 {
                    let adapter = trainer.adapter().expect("an adapter learns").clone();
                    kept.push((step + 1, rate, adapter));
                }
            }
        }
        let last = &losses[losses.len() - each..];
        Trained {
            adapter: trainer.adapter().expect("an adapter learns").clone(),
            moments: trainer.second_moments(),
            loss: last.iter().sum::<f64>() / each as f64,
            kept,
        }
    }
}

impl Trained {
    /// The material of attribution with the checkpoints at these shares.
    pub fn material(&self, shares: &[f64]) -> GradientInputs {
        let chosen = self.kept.iter().zip(KEPT);
        let chosen: Vec<(u64, f64, &ImageAdapter)> = chosen
            .filter(|(_, share)| shares.contains(share))
            .map(|((step, rate, adapter), _)| (*step, *rate, adapter))
            .collect();
        GradientInputs::of_picture_adapters(&chosen, &self.moments).expect("the moments fit")
    }
}

/// A caption and the tuned model's own picture.
pub struct Query {
    pub text: String,
    pub caption: CaptionEmbedding,
    /// In bytes, as it was delivered.
    pub rgb: Vec<u8>,
}

/// The mean loss of each query's picture over fixed points.
pub fn losses(model: &ImageModel, adapter: &ImageAdapter, asked: &Asked) -> Vec<f64> {
    let points = TimeNoise::stratified(model.config(), asked.seed, asked.points);
    let loss = |query: &Query| {
        let example = ImageExample {
            pixels: &pixels_of(&query.rgb),
            caption: &query.caption,
        };
        let found = example_losses(model, Some(adapter), &example, &points);
        let found = found.expect("a picture fits");
        found.iter().sum::<f64>() / found.len() as f64
    };
    asked.queries.iter().map(loss).collect()
}

/// The queries, and the points at which their losses are measured.
pub struct Asked {
    pub queries: Vec<Query>,
    pub points: usize,
    pub seed: u64,
}

/// What the retrainings came to.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Truth {
    /// Captions.
    pub queries: Vec<String>,
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

/// Keeps results as files, so that an interrupted bench goes on where it was.
pub struct Cache(pub PathBuf);

impl Cache {
    /// The value under this name, found once.
    pub fn keep<T: Serialize + DeserializeOwned>(&self, name: &str, find: impl FnOnce() -> T) -> T {
        let file = self.0.join(format!("{name}.json"));
        if let Some(found) = read(&file) {
            return found;
        }
        let found = find();
        let bytes = serde_json::to_vec(&found).expect("numbers become text");
        files::replace(&file, &bytes).expect("the cache is written");
        found
    }
}

fn read<T: DeserializeOwned>(file: &Path) -> Option<T> {
    serde_json::from_slice(&fs::read(file).ok()?).ok()
}

/// What is retrained.
pub struct Retraining<'a> {
    pub name: &'a str,
    pub recipe: Recipe,
    pub model: &'a Arc<ImageModel>,
    pub examples: &'a [PictureExample],
    pub contributors: usize,
    pub asked: &'a Asked,
    pub cache: &'a Cache,
}

/// A training to do.
struct TrainingJob {
    /// In the cache.
    part: String,
    /// Its examples.
    picks: Vec<usize>,
    seed: u64,
}

impl Retraining<'_> {
    pub fn truth(&self, effort: Effort, tell: &(dyn Fn(&str) + Sync)) -> Truth {
        let all: Vec<usize> = (0..self.examples.len()).collect();
        let half = |at: u64| {
            let mut half = all.clone();
            shuffle(&mut half, &mut generator(effort.seed, "half", &[at]));
            half.truncate(all.len() / 2);
            half.sort_unstable();
            half
        };
        let subsets: Vec<Vec<usize>> = (0..effort.subsets as u64).map(half).collect();
        let rest = |left_out: usize| -> Vec<usize> {
            let kept = all.iter().copied();
            kept.filter(|at| self.examples[*at].source != left_out)
                .collect()
        };
        let seed = |seed: u64| effort.seed + 1000 + seed;
        let mut jobs: Vec<TrainingJob> = Vec::new();
        let mut push = |part: String, picks: Vec<usize>, seed: u64| {
            jobs.push(TrainingJob { part, picks, seed });
        };
        for of in 0..effort.contributor_seeds {
            push(format!("whole-{of}"), all.clone(), seed(of));
            for left_out in 0..self.contributors {
                push(format!("without-{of}-{left_out}"), rest(left_out), seed(of));
            }
        }
        for of in 0..effort.seeds {
            for (at, half) in subsets.iter().enumerate() {
                push(format!("half-{of}-{at}"), half.clone(), seed(100 + of));
            }
        }
        let mut found = side_by_side(&jobs, &|job| self.measured(job, tell)).into_iter();
        let mut truth = Truth {
            queries: self
                .asked
                .queries
                .iter()
                .map(|it| it.text.clone())
                .collect(),
            subsets,
            ..Truth::default()
        };
        for _ in 0..effort.contributor_seeds {
            truth.whole.extend(found.next());
            truth
                .without
                .push(found.by_ref().take(self.contributors).collect());
        }
        for _ in 0..effort.seeds {
            truth
                .halves
                .push(found.by_ref().take(effort.subsets).collect());
        }
        truth
    }

    fn measured(&self, job: &TrainingJob, tell: &(dyn Fn(&str) + Sync)) -> Vec<f64> {
        let name = format!("{}-{}", self.name, job.part);
        self.cache.keep(&name, || {
            let recipe = &self.recipe;
            let trained = recipe.train(self.model, self.examples, &job.picks, job.seed);
            tell(&format!("{name}: loss {:.4}", trained.loss));
            losses(self.model, &trained.adapter, self.asked)
        })
    }
}

/// `work` on every item, in order. The models are small, so each thread trains one of its own.
pub fn side_by_side<T: Sync, R: Send>(items: &[T], work: &(dyn Fn(&T) -> R + Sync)) -> Vec<R> {
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

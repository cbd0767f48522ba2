//! Training of a model or of an adapter's factors. The state after a step depends on the examples, the
//! options and the step's number alone.

use std::{borrow::Cow, collections::BTreeMap, collections::HashMap, sync::Arc};

use rayon::prelude::*;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use crate::{
    adapter::ImageAdapter,
    backward::Learning,
    caption::CaptionEmbedding,
    error::DiffusionError,
    flow::{FlowBatch, FlowMeasure, MICRO_BATCH, TimeNoise, time_at},
    model::{ImageModel, decode_floats},
    noise::{generator, unit},
    ops::add_to,
    optimizer::{ImageAdamW, Moments, length},
    pass::Network,
};

/// How a model or an adapter is trained.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ImageTrainOptions {
    /// Of times, noise and dropped captions.
    pub seed: u64,
    pub optimizer: ImageAdamW,
    /// Probability of a dropped caption, from which guidance learns.
    pub caption_dropout: f64,
    /// Longest gradient; longer ones are shortened to it. 0 leaves all as they are.
    pub clip: f64,
    /// Decay of the mean of the values over the steps, towards which it rises from 0; 0 keeps none.
    pub mean_decay: f64,
}

impl Default for ImageTrainOptions {
    fn default() -> Self {
        Self {
            seed: 0,
            optimizer: ImageAdamW::default(),
            caption_dropout: 0.1,
            clip: 1.0,
            mean_decay: 0.0,
        }
    }
}

/// A picture with its caption.
#[derive(Clone, Copy, Debug)]
pub struct ImageExample<'e> {
    /// `[side, side, 3]` in [-1, 1].
    pub pixels: &'e [f32],
    pub caption: &'e CaptionEmbedding,
}

/// What a step reports.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ImageStep {
    /// Mean of the examples' losses before the step.
    pub loss: f64,
    /// Length of the gradient before it was shortened.
    pub gradient: f64,
}

/// What learns.
#[derive(Clone, Debug)]
enum Learner {
    Model(Box<ImageModel>),
    Adapter(Arc<ImageModel>, ImageAdapter),
}

/// Parts of a batch that are differentiated independently; their number never changes, so that sums
/// have the same order on any number of threads.
const PARTS: usize = 4;

/// A training in progress.
#[derive(Debug)]
pub struct ImageTrainer {
    learner: Learner,
    options: ImageTrainOptions,
    moments: Moments,
    /// Which values are of matrices.
    decays: Vec<bool>,
    /// Mean of the values over the steps.
    mean: Option<Vec<f32>>,
    gradients: Vec<Vec<f32>>,
}

impl ImageTrainer {
    /// Trains all parameters of a model.
    pub fn of_model(model: ImageModel, options: ImageTrainOptions) -> Self {
        let mut decays = vec![false; model.values().len()];
        for place in &model.layout().parameters {
            decays[place.range.clone()].fill(place.shape.len() > 1);
        }
        Self::new(Learner::Model(Box::new(model)), options, decays)
    }

    /// Trains factors over a frozen model.
    pub fn of_adapter(
        model: Arc<ImageModel>,
        adapter: ImageAdapter,
        options: ImageTrainOptions,
    ) -> Self {
        let decays = vec![true; adapter.values().len()];
        Self::new(Learner::Adapter(model, adapter), options, decays)
    }

    fn new(learner: Learner, options: ImageTrainOptions, decays: Vec<bool>) -> Self {
        let mut trainer = Self {
            moments: Moments::new(decays.len()),
            mean: None,
            gradients: vec![vec![0.0; decays.len()]; PARTS],
            learner,
            options,
            decays,
        };
        if options.mean_decay > 0.0 {
            trainer.mean = Some(trainer.values().to_vec());
        }
        trainer
    }

    fn values(&self) -> &[f32] {
        match &self.learner {
            Learner::Model(model) => model.values(),
            Learner::Adapter(_, adapter) => adapter.values(),
        }
    }

    fn values_mut(&mut self) -> &mut [f32] {
        match &mut self.learner {
            Learner::Model(model) => model.values_mut(),
            Learner::Adapter(_, adapter) => adapter.values_mut(),
        }
    }

    /// Steps taken so far.
    pub fn steps(&self) -> u64 {
        self.moments.steps
    }

    /// The model: the one that learns, or the frozen one.
    pub fn model(&self) -> &ImageModel {
        match &self.learner {
            Learner::Model(model) => model,
            Learner::Adapter(model, _) => model,
        }
    }

    /// The factors that learn, if the model does not.
    pub fn adapter(&self) -> Option<&ImageAdapter> {
        match &self.learner {
            Learner::Model(_) => None,
            Learner::Adapter(_, adapter) => Some(adapter),
        }
    }

    /// The model with the mean of its values over the steps, if one is kept and the model learns.
    pub fn mean_model(&self) -> Cow<'_, ImageModel> {
        match (&self.learner, &self.mean) {
            (Learner::Model(model), Some(mean)) => {
                let mut model = model.clone();
                model.values_mut().copy_from_slice(mean);
                Cow::Owned(*model)
            }
            _ => Cow::Borrowed(self.model()),
        }
    }

    /// The factors with the mean of their values over the steps, if one is kept.
    pub fn mean_adapter(&self) -> Option<ImageAdapter> {
        let adapter = self.adapter()?;
        match &self.mean {
            Some(mean) => adapter.with_values(mean.clone()).ok(),
            None => Some(adapter.clone()),
        }
    }

    /// Means of the squared gradients, bias-corrected, in the order of the values that learn.
    pub fn second_moments(&self) -> Vec<f32> {
        let power = i32::try_from(self.moments.steps).unwrap_or(i32::MAX);
        let correction = 1.0 - self.options.optimizer.beta2.powi(power);
        let factor = match correction > 0.0 {
            true => (1.0 / correction) as f32,
            false => 0.0,
        };
        self.moments
            .second
            .iter()
            .map(|value| value * factor)
            .collect()
    }

    /// One step on a batch at a learning rate.
    ///
    /// # Errors
    ///
    /// Examples that do not fit the model, and a loss that is not a number.
    pub fn step(
        &mut self,
        batch: &[ImageExample<'_>],
        rate: f64,
    ) -> Result<ImageStep, DiffusionError> {
        if batch.is_empty() {
            return Err(DiffusionError::EmptyBatch);
        }
        let loss = self.sum_gradients(batch)?;
        let gradient = length(&self.gradients[0]);
        if !loss.is_finite() || !gradient.is_finite() {
            return Err(DiffusionError::NotFinite {
                steps: self.moments.steps,
            });
        }
        let scale = match self.options.clip {
            clip if clip > 0.0 && gradient > clip => (clip / gradient) as f32,
            _ => 1.0,
        };
        self.update(rate, scale);
        Ok(ImageStep { loss, gradient })
    }

    /// The mean loss and its gradient over what learns, in its flat order, at the points that the next
    /// step draws. Takes no step.
    ///
    /// # Errors
    ///
    /// As [`Self::step`].
    pub fn gradient(
        &mut self,
        batch: &[ImageExample<'_>],
    ) -> Result<(f64, Vec<f32>), DiffusionError> {
        let loss = self.sum_gradients(batch)?;
        Ok((loss, self.gradients[0].clone()))
    }

    /// Leaves the gradient of the mean loss in the first part's buffer.
    fn sum_gradients(&mut self, batch: &[ImageExample<'_>]) -> Result<f64, DiffusionError> {
        let draws = self.draws(batch.len());
        let loss = self.differentiate(batch, &draws)?;
        let (first, rest) = self.gradients.split_at_mut(1);
        let parts = first[0].par_chunks_mut(SUM_CHUNK).enumerate();
        parts.for_each(|(at, total)| {
            for part in rest.iter() {
                add_to(total, &part[at * SUM_CHUNK..][..total.len()]);
            }
        });
        Ok(loss)
    }

    fn update(&mut self, rate: f64, scale: f32) {
        let gradients = std::mem::take(&mut self.gradients[0]);
        let mut moments = std::mem::replace(&mut self.moments, Moments::new(0));
        let decays = std::mem::take(&mut self.decays);
        let optimizer = self.options.optimizer;
        let values = self.values_mut();
        moments.step(&optimizer, rate, values, &gradients, scale, &decays);
        (self.moments, self.decays, self.gradients[0]) = (moments, decays, gradients);
        let Some(mut mean) = self.mean.take() else {
            return;
        };
        let steps = self.moments.steps as f64;
        let decay = self.options.mean_decay.min((1.0 + steps) / (10.0 + steps)) as f32;
        mean.par_chunks_mut(SUM_CHUNK)
            .zip(self.values().par_chunks(SUM_CHUNK))
            .for_each(|(mean, values)| {
                for (mean, value) in mean.iter_mut().zip(values) {
                    *mean += (1.0 - decay) * (value - *mean);
                }
            });
        self.mean = Some(mean);
    }

    /// The mean loss; leaves the gradients of each part of the batch in its buffer.
    fn differentiate(
        &mut self,
        batch: &[ImageExample<'_>],
        draws: &[StepDraw],
    ) -> Result<f64, DiffusionError> {
        let mut gradients = std::mem::take(&mut self.gradients);
        let network = Network {
            model: self.model(),
            adapter: self.adapter(),
        };
        let scale = 1.0 / batch.len() as f32;
        let each = batch.len().div_ceil(PARTS);
        let losses: Vec<Result<Vec<f64>, DiffusionError>> = gradients
            .par_iter_mut()
            .enumerate()
            .map(|(part, gradients)| {
                gradients.fill(0.0);
                let range = (part * each).min(batch.len())..((part + 1) * each).min(batch.len());
                let examples = batch[range.clone()].chunks(MICRO_BATCH);
                let mut losses = Vec::with_capacity(range.len());
                for (examples, draws) in examples.zip(draws[range].chunks(MICRO_BATCH)) {
                    let learning = match &self.learner {
                        Learner::Model(_) => Learning::Model(gradients),
                        Learner::Adapter(..) => Learning::Factors(gradients),
                    };
                    losses.extend(differentiate(&network, examples, draws, scale, learning)?);
                }
                Ok(losses)
            })
            .collect();
        self.gradients = gradients;
        let mut sum = 0.0;
        for part in losses {
            sum += part?.iter().sum::<f64>();
        }
        Ok(sum / batch.len() as f64)
    }

    /// Times are spread evenly over their distribution; captions are dropped independently.
    fn draws(&self, count: usize) -> Vec<StepDraw> {
        let step = self.moments.steps;
        let config = self.model().config();
        let mut generator = generator(self.options.seed, step << 32);
        let draws = (0..count).map(|at| {
            let quantile = (at as f64 + unit(&mut generator)) / count as f64;
            let dropped = unit(&mut generator) < self.options.caption_dropout;
            StepDraw {
                point: TimeNoise {
                    time: time_at(config, quantile.clamp(1e-9, 1.0 - 1e-9)),
                    seed: self.options.seed,
                    stream: (step << 32) + 1 + at as u64,
                },
                dropped,
            }
        });
        draws.collect()
    }

    /// Everything that a resumed training needs, as a safetensors file.
    ///
    /// # Errors
    ///
    /// None is expected: names are unique.
    pub fn state(&self) -> Result<Vec<u8>, DiffusionError> {
        let mut tensors = vec![
            ("values", self.values()),
            ("first", &self.moments.first[..]),
            ("second", &self.moments.second[..]),
        ];
        if let Some(mean) = &self.mean {
            tensors.push(("mean", mean));
        }
        let bytes: Vec<(&str, Vec<u8>)> = tensors
            .into_iter()
            .map(|(name, values)| (name, values.iter().flat_map(|x| x.to_le_bytes()).collect()))
            .collect();
        let mut views = BTreeMap::new();
        for (name, bytes) in &bytes {
            let view = TensorView::new(Dtype::F32, vec![bytes.len() / 4], bytes);
            views.insert(
                *name,
                view.map_err(|error| state_problem(error.to_string()))?,
            );
        }
        let steps = HashMap::from([("steps".to_owned(), self.moments.steps.to_string())]);
        safetensors::serialize(views, Some(steps)).map_err(|error| state_problem(error.to_string()))
    }

    /// Continues from a state of the same model, adapter and options.
    ///
    /// # Errors
    ///
    /// A file that is malformed, or of another training.
    pub fn restore(&mut self, state: &[u8]) -> Result<(), DiffusionError> {
        let problem = |error: safetensors::SafeTensorError| state_problem(error.to_string());
        let (_, metadata) = SafeTensors::read_metadata(state).map_err(problem)?;
        let steps = metadata.metadata().as_ref().and_then(|it| it.get("steps"));
        let steps = steps.and_then(|steps| steps.parse().ok());
        let steps = steps.ok_or_else(|| state_problem("the number of steps is missing"))?;
        let file = SafeTensors::deserialize(state).map_err(problem)?;
        let read = |name: &str| {
            let view = file.tensor(name).map_err(problem)?;
            let expected = self.decays.len();
            if view.shape() != [expected] || view.dtype() != Dtype::F32 {
                return Err(DiffusionError::Shape {
                    name: name.to_owned(),
                    expected: vec![expected],
                    found: view.shape().to_vec(),
                });
            }
            let mut values = vec![0.0; expected];
            decode_floats(view.dtype(), view.data(), &mut values);
            Ok(values)
        };
        let (first, second, values) = (read("first")?, read("second")?, read("values")?);
        let mean = self.mean.is_some().then(|| read("mean")).transpose()?;
        self.values_mut().copy_from_slice(&values);
        (self.moments.first, self.moments.second, self.mean) = (first, second, mean);
        self.moments.steps = steps;
        Ok(())
    }
}

/// Values per task where vectors are added.
const SUM_CHUNK: usize = 64 * 1024;

/// What a step draws for an example.
#[derive(Clone, Copy, Debug)]
struct StepDraw {
    point: TimeNoise,
    dropped: bool,
}

fn differentiate(
    network: &Network<'_>,
    examples: &[ImageExample<'_>],
    draws: &[StepDraw],
    scale: f32,
    learning: Learning<'_>,
) -> Result<Vec<f64>, DiffusionError> {
    let pixels: Vec<&[f32]> = examples.iter().map(|example| example.pixels).collect();
    let captions: Vec<Option<&CaptionEmbedding>> = examples
        .iter()
        .zip(draws)
        .map(|(example, draw)| (!draw.dropped).then_some(example.caption))
        .collect();
    let points: Vec<TimeNoise> = draws.iter().map(|draw| draw.point).collect();
    let batch = FlowBatch {
        pixels: &pixels,
        captions: &captions,
        points: &points,
    };
    batch.differentiate(network, FlowMeasure::Loss, scale, learning)
}

fn state_problem(reason: impl Into<String>) -> DiffusionError {
    DiffusionError::State {
        reason: reason.into(),
    }
}

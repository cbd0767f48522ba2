//! The straight path between noise and pictures, and the loss of training.

use crate::{
    adapter::ImageAdapter,
    backward::{BackwardPass, Learning},
    caption::CaptionEmbedding,
    config::ImageModelConfig,
    error::DiffusionError,
    model::ImageModel,
    noise::{fill_normal, generator, logistic, normal_quantile},
    numeric::sum_pairs,
    pass::{Network, PassInput},
};

/// A point of the path: t of the picture and 1 − t of the noise that a seed draws.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TimeNoise {
    /// From 0, noise, to 1, the picture.
    pub time: f32,
    pub seed: u64,
    /// Which of the seed's noises.
    pub stream: u64,
}

/// Streams from here on belong to pairs.
const PAIR_STREAM: u64 = 1 << 32;

impl TimeNoise {
    /// `count` pairs whose times are the middles of equal parts of the training's distribution, each
    /// with a noise of its own.
    pub fn stratified(config: &ImageModelConfig, seed: u64, count: usize) -> Vec<Self> {
        let pairs = (0..count).map(|at| Self {
            time: time_at(config, (at as f64 + 0.5) / count as f64),
            seed,
            stream: PAIR_STREAM + at as u64,
        });
        pairs.collect()
    }
}

/// The time below which a part `quantile` in (0, 1) of the training's times are.
pub fn time_at(config: &ImageModelConfig, quantile: f64) -> f32 {
    logistic(config.time_mean + config.time_deviation * normal_quantile(quantile)) as f32
}

/// Pixels in [-1, 1] from bytes.
pub fn pixels_of(rgb: &[u8]) -> Vec<f32> {
    rgb.iter().map(|x| f32::from(*x) / 127.5 - 1.0).collect()
}

/// Bytes from pixels in [-1, 1], as MiniT2I rounds them.
pub fn bytes_of(pixels: &[f32]) -> Vec<u8> {
    let byte = |x: &f32| (x.clamp(-1.0, 1.0) * 127.5 + 128.0).clamp(0.0, 255.0) as u8;
    pixels.iter().map(byte).collect()
}

/// A picture on the path. `pixels` are in [-1, 1], `[side, side, 3]`.
pub fn noisy(config: &ImageModelConfig, pixels: &[f32], point: &TimeNoise) -> Vec<f32> {
    let mut values = vec![0.0; pixels.len()];
    fill_normal(&mut generator(point.seed, point.stream), &mut values);
    let spread = (1.0 - point.time) * config.noise_scale as f32;
    for (value, pixel) in values.iter_mut().zip(pixels) {
        *value = point.time * pixel + spread * *value;
    }
    values
}

/// What is differentiated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowMeasure {
    /// The training's: mean squared difference of predicted and true velocities.
    Loss,
    /// D-TRAK's: mean square of the network's output, which is the predicted picture.
    SquaredOutput,
}

/// Examples on one thread.
pub struct FlowBatch<'b> {
    /// `[side, side, 3]` in [-1, 1] each.
    pub pixels: &'b [&'b [f32]],
    /// `None` is a dropped caption.
    pub captions: &'b [Option<&'b CaptionEmbedding>],
    pub points: &'b [TimeNoise],
}

impl FlowBatch<'_> {
    /// The measure of each example; adds the gradients of their sum times `scale`.
    ///
    /// # Errors
    ///
    /// Captions and pictures that do not fit the model.
    pub fn differentiate(
        &self,
        network: &Network<'_>,
        measure: FlowMeasure,
        scale: f32,
        learning: Learning<'_>,
    ) -> Result<Vec<f64>, DiffusionError> {
        let config = network.model.config();
        let mut pictures = Vec::with_capacity(config.pixels() * self.pixels.len());
        for (pixels, point) in self.pixels.iter().zip(self.points) {
            pictures.extend(noisy(config, pixels, point));
        }
        let mut trace = network.forward(&PassInput {
            pictures: &pictures,
            captions: self.captions,
        })?;
        let mut grad = pictures;
        let mut measured = Vec::with_capacity(self.pixels.len());
        let size = config.pixels();
        let rows = grad
            .chunks_exact_mut(size)
            .zip(trace.output.chunks_exact(size));
        for (((grad, output), pixels), point) in rows.zip(self.pixels).zip(self.points) {
            let mean = 1.0 / size as f32;
            let value = match measure {
                FlowMeasure::Loss => {
                    let weight = loss_weight(config, point.time) * mean;
                    for ((grad, output), pixel) in grad.iter_mut().zip(output).zip(*pixels) {
                        *grad = 2.0 * scale * weight * (output - pixel);
                    }
                    let squares = sum_pairs(output, pixels, |a, b| (a - b) * (a - b));
                    squares * weight
                }
                FlowMeasure::SquaredOutput => {
                    for (grad, output) in grad.iter_mut().zip(output) {
                        *grad = 2.0 * scale * mean * output;
                    }
                    sum_pairs(output, output, |a, b| a * b) * mean
                }
            };
            measured.push(f64::from(value));
        }
        BackwardPass::new(network, learning).run(&mut trace, &grad);
        Ok(measured)
    }
}

/// A difference of pictures squared becomes one of velocities by this factor.
pub fn loss_weight(config: &ImageModelConfig, time: f32) -> f32 {
    let left = (1.0 - time).max(config.loss_floor as f32);
    1.0 / (left * left)
}

/// The gradient of a measure over an adapter's factors, summed over the points, in the order of
/// [`ImageAdapter::values`]. `pixels` are in [-1, 1], `[side, side, 3]`.
///
/// # Errors
///
/// A caption or a picture that does not fit the model.
pub fn example_gradients(
    model: &ImageModel,
    adapter: &ImageAdapter,
    pixels: &[f32],
    caption: &CaptionEmbedding,
    points: &[TimeNoise],
    measure: FlowMeasure,
) -> Result<Vec<f32>, DiffusionError> {
    let mut gradients = vec![0.0; adapter.values().len()];
    let network = Network {
        model,
        adapter: Some(adapter),
    };
    for points in points.chunks(MICRO_BATCH) {
        let batch = FlowBatch {
            pixels: &vec![pixels; points.len()],
            captions: &vec![Some(caption); points.len()],
            points,
        };
        batch.differentiate(&network, measure, 1.0, Learning::Factors(&mut gradients))?;
    }
    Ok(gradients)
}

/// Examples of one pass: enough rows for products to be fast, few enough for the caches.
pub const MICRO_BATCH: usize = 8;

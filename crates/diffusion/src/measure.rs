//! The training's loss without its gradients, for validation and evaluation.

use rayon::prelude::*;

use crate::{
    adapter::ImageAdapter,
    error::DiffusionError,
    flow::{MICRO_BATCH, TimeNoise, loss_weight, noisy},
    model::ImageModel,
    numeric::sum_pairs,
    pass::{Network, PassInput},
    train::ImageExample,
};

/// The training's loss of an example at each of the points. The same arguments give the same values, on
/// any number of threads.
///
/// # Errors
///
/// A caption or a picture that does not fit the model.
pub fn example_losses(
    model: &ImageModel,
    adapter: Option<&ImageAdapter>,
    example: &ImageExample<'_>,
    points: &[TimeNoise],
) -> Result<Vec<f64>, DiffusionError> {
    let network = Network { model, adapter };
    let config = model.config();
    let size = config.pixels();
    if example.pixels.len() != size {
        return Err(DiffusionError::PictureSize {
            expected: size,
            found: example.pixels.len(),
        });
    }
    let parts: Vec<Result<Vec<f64>, DiffusionError>> = points
        .par_chunks(MICRO_BATCH)
        .map(|points| {
            let pictures: Vec<f32> = points
                .iter()
                .flat_map(|point| noisy(config, example.pixels, point))
                .collect();
            let captions = vec![Some(example.caption); points.len()];
            let output = network
                .forward(&PassInput {
                    pictures: &pictures,
                    captions: &captions,
                })?
                .output;
            let losses = output
                .chunks_exact(size)
                .zip(points)
                .map(|(output, point)| {
                    let squares = sum_pairs(output, example.pixels, |a, b| (a - b) * (a - b));
                    let weight = loss_weight(config, point.time) / size as f32;
                    f64::from(squares * weight)
                });
            Ok(losses.collect())
        })
        .collect();
    let parts = parts.into_iter().collect::<Result<Vec<_>, _>>()?;
    Ok(parts.concat())
}

//! Making pictures: the path from noise followed in fixed steps.

use std::sync::atomic::{AtomicBool, Ordering};

use openlora_pictures::Picture;

use crate::{
    adapter::ImageAdapter,
    caption::CaptionEmbedding,
    error::DiffusionError,
    flow::bytes_of,
    model::ImageModel,
    noise::{fill_normal, generator},
    pass::{Network, PassInput, check_caption},
};

/// How the path is followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FlowSampler {
    /// One evaluation per step.
    #[default]
    Euler,
    /// Two evaluations per step, but one in the last (Heun's method).
    Heun,
}

/// A picture to make.
#[derive(Clone, Debug, PartialEq)]
pub struct SampleRequest<'a> {
    pub caption: &'a CaptionEmbedding,
    pub seed: u64,
    pub steps: usize,
    /// Velocity = without caption + guidance × (with caption − without). At 1 only the evaluation
    /// with the caption is made, at 0 only the one without.
    pub guidance: f64,
    pub sampler: FlowSampler,
}

/// Most steps of a picture.
pub const MAX_STEPS: usize = 1000;
/// Strongest guidance.
pub const MAX_GUIDANCE: f64 = 100.0;

/// Evaluations of the network per step, for captions: one, or two with guidance.
pub fn branches(guidance: f64) -> usize {
    if guidance == 1.0 || guidance == 0.0 {
        1
    } else {
        2
    }
}

/// Evaluations of the network for a picture.
pub fn sample_cost(steps: usize, branches: usize, sampler: FlowSampler) -> usize {
    match sampler {
        FlowSampler::Euler => steps * branches,
        FlowSampler::Heun => (2 * steps).saturating_sub(1) * branches,
    }
}

/// Makes a picture. The same model, factors and request give the same bytes, on any number of threads.
///
/// # Errors
///
/// A caption that does not fit the model, steps or guidance out of range, or `cancel` was set.
pub fn sample(
    model: &ImageModel,
    adapter: Option<&ImageAdapter>,
    request: &SampleRequest<'_>,
    cancel: &AtomicBool,
) -> Result<Picture, DiffusionError> {
    let pixels = sample_pixels(model, adapter, request, cancel)?;
    let side = model.config().image_size as u32;
    Ok(Picture {
        width: side,
        height: side,
        rgb: bytes_of(&pixels),
    })
}

/// As [`sample`], before rounding: `[side, side, 3]`, in [-1, 1] but for errors of the model.
///
/// # Errors
///
/// As [`sample`].
pub fn sample_pixels(
    model: &ImageModel,
    adapter: Option<&ImageAdapter>,
    request: &SampleRequest<'_>,
    cancel: &AtomicBool,
) -> Result<Vec<f32>, DiffusionError> {
    check_caption(model, request.caption)?;
    if request.steps == 0 || request.steps > MAX_STEPS {
        return Err(DiffusionError::Steps {
            found: request.steps,
            most: MAX_STEPS,
        });
    }
    if !(0.0..=MAX_GUIDANCE).contains(&request.guidance) {
        return Err(DiffusionError::Guidance {
            found: request.guidance,
            most: MAX_GUIDANCE,
        });
    }
    let path = SamplePath {
        network: Network { model, adapter },
        request,
        cancel,
    };
    path.follow()
}

struct SamplePath<'p> {
    network: Network<'p>,
    request: &'p SampleRequest<'p>,
    cancel: &'p AtomicBool,
}

impl SamplePath<'_> {
    fn follow(&self) -> Result<Vec<f32>, DiffusionError> {
        let config = self.network.model.config();
        let mut x = vec![0.0; config.pixels()];
        fill_normal(&mut generator(self.request.seed, 0), &mut x);
        let scale = config.noise_scale as f32;
        x.iter_mut().for_each(|x| *x *= scale);
        let steps = self.request.steps;
        let time = |step: usize| (step as f64 / steps as f64) as f32;
        for step in 0..steps {
            let (now, next) = (time(step), time(step + 1));
            let length = next - now;
            let velocity = self.velocity(&x, now)?;
            if self.request.sampler == FlowSampler::Euler || step + 1 == steps {
                advance(&mut x, &velocity, length);
                continue;
            }
            let mut ahead = x.clone();
            advance(&mut ahead, &velocity, length);
            let there = self.velocity(&ahead, next)?;
            for ((x, here), there) in x.iter_mut().zip(&velocity).zip(&there) {
                *x += (0.5 * here + 0.5 * there) * length;
            }
        }
        Ok(x)
    }

    fn velocity(&self, x: &[f32], time: f32) -> Result<Vec<f32>, DiffusionError> {
        if self.cancel.load(Ordering::Relaxed) {
            return Err(DiffusionError::Cancelled);
        }
        let left = (1.0 - time).max(self.network.model.config().time_floor as f32);
        let predicted = |caption: Option<&CaptionEmbedding>| {
            let input = PassInput {
                pictures: x,
                captions: &[caption],
            };
            Ok(self.network.forward(&input)?.output)
        };
        let caption = Some(self.request.caption);
        let guidance = self.request.guidance as f32;
        let mut velocity = if self.request.guidance == 1.0 {
            predicted(caption)?
        } else if self.request.guidance == 0.0 {
            predicted(None)?
        } else {
            let (with, without): (Result<_, DiffusionError>, Result<_, DiffusionError>) =
                rayon::join(|| predicted(caption), || predicted(None));
            let mut with = with?;
            for (with, without) in with.iter_mut().zip(&without?) {
                *with = without + (*with - without) * guidance;
            }
            with
        };
        // The mix of predictions and that of velocities are the same, because x is.
        for (velocity, x) in velocity.iter_mut().zip(x) {
            *velocity = (*velocity - x) / left;
        }
        Ok(velocity)
    }
}

fn advance(x: &mut [f32], velocity: &[f32], length: f32) {
    for (x, velocity) in x.iter_mut().zip(velocity) {
        *x += velocity * length;
    }
}

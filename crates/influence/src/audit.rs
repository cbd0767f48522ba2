//! Validation of attribution by retraining without one contributor.
//!
//! The tuned model answers held-out prompts. The index scores how much each contributor's examples
//! helped each answer; a model trained without the contributor shows the actual effect. The
//! correlation over the answers is reported.

use serde::Serialize;

use super::{
    error::AttributionError,
    index::{IndexContributor, IndexFile},
    pictures::PictureSketcher,
    sketch::GradientSketch,
    sketcher::GradientSketcher,
};
use openlora_decoder::{Decoder, TokenBatch};
use openlora_diffusion::{ImageAdapter, ImageExample, TimeNoise, example_losses, pixels_of};
use openlora_pictures::Picture;
use openlora_train::pictures::PictureModel;

/// A prompt and the tuned model's answer to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditPrompt {
    pub prompt: Vec<u32>,
    pub answer: Vec<u32>,
}

/// A caption and the tuned model's picture for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditPicture {
    pub caption: String,
    pub picture: Picture,
}

/// The agreement of attribution and ground truth for one contributor.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct ContributorAgreement {
    pub contributor: IndexContributor,
    /// Answers compared.
    pub answers: usize,
    /// Spearman correlation, over the answers, of the contributor's scores with the loss increase
    /// without it; 0 if one of them is constant.
    pub agreement: f64,
    /// Nats per answer, or the mean loss of a picture, with the contributor and without.
    pub loss_with: f64,
    pub loss_without: f64,
    /// Answers that are less likely without the contributor.
    pub harmed: usize,
}

/// The greedy answer, up to `most` tokens or an end token.
pub fn answer(
    decoder: &Decoder,
    prompt: &[u32],
    ends: &dyn Fn(u32) -> bool,
    most: usize,
) -> Result<AuditPrompt, AttributionError> {
    let mut ids = prompt.to_vec();
    let room = decoder.config().max_positions.saturating_sub(prompt.len());
    for _ in 0..most.min(room) {
        let batch = TokenBatch {
            targets: vec![false; ids.len()],
            offsets: vec![0, ids.len()],
            ids: ids.clone(),
        };
        let logits = decoder.logits_at(&batch, &[ids.len() - 1])?;
        let logits = logits.flatten_all()?.to_vec1::<f32>()?;
        let best = (0..logits.len()).max_by(|a, b| logits[*a].total_cmp(&logits[*b]));
        let best = best.unwrap_or(0) as u32;
        ids.push(best);
        if ends(best) {
            break;
        }
    }
    Ok(AuditPrompt {
        answer: ids.split_off(prompt.len()),
        prompt: prompt.to_vec(),
    })
}

/// Sum of −log p over each answer.
pub fn losses(decoder: &mut Decoder, asked: &[AuditPrompt]) -> Result<Vec<f64>, AttributionError> {
    decoder.set_training(false);
    let mut losses = Vec::with_capacity(asked.len());
    for AuditPrompt { prompt, answer } in asked {
        let targets = [vec![false; prompt.len()], vec![true; answer.len()]].concat();
        let batch = TokenBatch {
            ids: [prompt.as_slice(), answer].concat(),
            offsets: vec![0, targets.len()],
            targets,
        };
        losses.push(f64::from(decoder.loss_sum(&batch)?.0.to_scalar::<f32>()?));
    }
    Ok(losses)
}

/// Sum of each contributor's scores, per answer: `[answers][contributors]`.
pub fn contributor_scores(
    index: &IndexFile,
    sketcher: &mut GradientSketcher,
    asked: &[AuditPrompt],
) -> Result<Vec<Vec<f64>>, AttributionError> {
    let mut helped = Vec::with_capacity(asked.len());
    for AuditPrompt { prompt, answer } in asked {
        let mut scores = index.scores(&sketcher.sketch(prompt, answer)?)?;
        if index.has_pairs() {
            index.weigh(&index.pairs(prompt, answer), &mut scores)?;
        }
        helped.push(summed(index, scores));
    }
    Ok(helped)
}

fn summed(index: &IndexFile, scores: Vec<i128>) -> Vec<f64> {
    let mut sums = vec![0f64; index.contributors().len()];
    for (score, example) in scores.into_iter().zip(index.examples()) {
        sums[example.contributor as usize] += score as f64;
    }
    sums
}

/// Sum of each contributor's scores, per picture: `[pictures][contributors]`.
///
/// # Errors
///
/// A caption that the model cannot read, and a gradient that is not finite.
pub fn picture_scores(
    index: &IndexFile,
    sketcher: &PictureSketcher,
    made: &[AuditPicture],
) -> Result<Vec<Vec<f64>>, AttributionError> {
    let scores = made.iter().map(|AuditPicture { caption, picture }| {
        let sketch: GradientSketch = sketcher.sketch(caption, picture)?;
        Ok(summed(index, index.scores(&sketch)?))
    });
    scores.collect()
}

/// Pairs of a time and a noise at which the losses of pictures are compared, and the seed of the noise.
const POINTS: usize = 16;
const POINT_SEED: u64 = 0x6175_6469;

/// The mean loss of each picture, at times and noise that are the same for every model.
///
/// # Errors
///
/// A caption that the model cannot read.
pub fn picture_losses(
    model: &PictureModel,
    adapter: &ImageAdapter,
    made: &[AuditPicture],
) -> Result<Vec<f64>, AttributionError> {
    let points = TimeNoise::stratified(model.denoiser.config(), POINT_SEED, POINTS);
    let losses = made.iter().map(|AuditPicture { caption, picture }| {
        let example = ImageExample {
            pixels: &pixels_of(&picture.rgb),
            caption: &model.caption(caption)?,
        };
        let found = example_losses(&model.denoiser, Some(adapter), &example, &points)?;
        Ok(found.iter().sum::<f64>() / found.len() as f64)
    });
    losses.collect()
}

/// Compares scores with losses of the two models.
pub fn compare(
    contributor: IndexContributor,
    scores: &[f64],
    with: &[f64],
    without: &[f64],
) -> ContributorAgreement {
    let harm: Vec<f64> = without
        .iter()
        .zip(with)
        .map(|(without, with)| without - with)
        .collect();
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
    ContributorAgreement {
        contributor,
        answers: scores.len(),
        agreement: spearman(scores, &harm),
        loss_with: mean(with),
        loss_without: mean(without),
        harmed: harm.iter().filter(|harm| **harm > 0.0).count(),
    }
}

/// Rank correlation; equal values share the mean of their ranks.
fn spearman(a: &[f64], b: &[f64]) -> f64 {
    let (a, b) = (ranks(a), ranks(b));
    let mean = (a.len() as f64 - 1.0) / 2.0;
    let product = |a: &[f64], b: &[f64]| -> f64 {
        a.iter().zip(b).map(|(a, b)| (a - mean) * (b - mean)).sum()
    };
    let scale = (product(&a, &a) * product(&b, &b)).sqrt();
    match scale > 0.0 {
        true => product(&a, &b) / scale,
        false => 0.0,
    }
}

fn ranks(values: &[f64]) -> Vec<f64> {
    let below = |value: &f64| values.iter().filter(|other| *other < value).count() as f64;
    let equal = |value: &f64| values.iter().filter(|other| *other == value).count() as f64;
    values
        .iter()
        .map(|value| below(value) + (equal(value) - 1.0) / 2.0)
        .collect()
}

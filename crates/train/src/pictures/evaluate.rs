//! Figures of an adapter that makes pictures, and of its base for comparison: the loss on held-out
//! pictures, and what a judge sees in pictures that are made for their captions.

use std::{collections::BTreeMap, sync::atomic::AtomicBool};

use openlora_diffusion::{FlowSampler, ImageAdapter, SampleRequest, sample};
use openlora_pictures::{
    icons::{IconScene, IconStyle},
    judge::{AttributeScore, KindScores, PictureJudge},
};
use serde::Serialize;

use super::{
    super::{error::TrainError, run::result::RunMetric},
    heldout::HeldOutPictures,
    model::PictureModel,
};

/// Pictures that are made at most, for captions that the judge knows.
const MOST_MADE: usize = 32;
/// Seed of their noise; each picture has one of its own, the same for every model.
const MADE_SEED: u64 = 1_000;

/// Figures of one model over held-out pictures.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct PictureFigures {
    /// Held-out pictures.
    pub pictures: u64,
    /// Mean loss of removing noise from them, at times and noise that are the same for every model.
    pub loss: f64,
    /// Of pictures made for held-out captions, if a judge knows what the captions ask for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub made: Option<SampledPictures>,
}

/// What a judge sees in pictures that a model made.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct SampledPictures {
    pub pictures: u64,
    /// Attributes that the captions ask for, such as shapes, colours and places.
    pub attributes: u64,
    /// The share of them that the pictures have, from 0 to 1.
    pub right: f64,
    /// The same by the kind of attribute.
    pub right_by_kind: BTreeMap<String, f64>,
    /// Captions that name a style.
    pub styled: u64,
    /// The share of their pictures in that style, if there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_style: Option<f64>,
}

/// An adapter's figures and, for comparison, those of its base.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct PictureEvalReport {
    #[serde(flatten)]
    pub adapter: PictureFigures,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base: Option<PictureFigures>,
    /// By how much the loss is lower than the base's, over the base's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gain: Option<f64>,
}

impl PictureEvalReport {
    pub fn new(adapter: PictureFigures, base: Option<PictureFigures>) -> Self {
        let gain = base.as_ref().map(|base| 1.0 - adapter.loss / base.loss);
        Self {
            adapter,
            base,
            gain,
        }
    }

    /// The figures as a run's result and its package state them.
    pub fn metrics(&self) -> Vec<RunMetric> {
        let base = self.base.as_ref();
        let loss = RunMetric {
            name: "loss".to_owned(),
            value: self.adapter.loss,
            rows: self.adapter.pictures,
            base: base.map(|base| base.loss),
        };
        let made = self.adapter.made.as_ref().map(|made| RunMetric {
            name: "attributes".to_owned(),
            value: made.right,
            rows: made.pictures,
            base: base.and_then(|base| Some(base.made.as_ref()?.right)),
        });
        let style = self.adapter.made.as_ref().and_then(|made| {
            Some(RunMetric {
                name: "style".to_owned(),
                value: made.in_style?,
                rows: made.styled,
                base: base.and_then(|base| base.made.as_ref()?.in_style),
            })
        });
        [Some(loss), made, style].into_iter().flatten().collect()
    }
}

impl HeldOutPictures {
    /// Units of progress of [`Self::evaluate`].
    pub fn work(&self, judge: Option<&PictureJudge>) -> u64 {
        let made = judge.map_or(0, |_| self.known_captions().len());
        (self.len() + made) as u64
    }

    /// The figures of the base, or of an adapter over it; with a judge also those of pictures made for
    /// the captions that it knows. `progress` receives the completed units of [`Self::work`].
    ///
    /// # Errors
    ///
    /// Pictures of another size than the model's.
    pub fn evaluate(
        &self,
        model: &PictureModel,
        adapter: Option<&ImageAdapter>,
        judge: Option<&PictureJudge>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<PictureFigures, TrainError> {
        let loss = self.loss(model, adapter, &mut |done, _| progress(done))?;
        let made = match judge {
            Some(judge) => {
                let before = self.len() as u64;
                let mut count = |done| progress(before + done);
                self.judged(model, adapter, judge, &mut count)?
            }
            None => None,
        };
        Ok(PictureFigures {
            pictures: self.len() as u64,
            loss,
            made,
        })
    }

    /// The figures of an adapter and of its base. `progress` receives the completed units of twice
    /// [`Self::work`].
    ///
    /// # Errors
    ///
    /// Pictures of another size than the model's.
    pub fn compare(
        &self,
        model: &PictureModel,
        adapter: &ImageAdapter,
        judge: Option<&PictureJudge>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<PictureEvalReport, TrainError> {
        let half = self.work(judge);
        let with = self.evaluate(model, Some(adapter), judge, progress)?;
        let base = self.evaluate(model, None, judge, &mut |done| progress(half + done))?;
        Ok(PictureEvalReport::new(with, Some(base)))
    }

    /// Positions of the captions whose scenes can be recognised by the words, as many as are made.
    fn known_captions(&self) -> Vec<(usize, IconScene)> {
        let scenes = self.captions().enumerate();
        let known = scenes.filter_map(|(at, caption)| {
            let said = IconStyle::taken_from(caption);
            IconScene::from_caption(said.caption).map(|scene| (at, scene))
        });
        known.take(MOST_MADE).collect()
    }

    fn judged(
        &self,
        model: &PictureModel,
        adapter: Option<&ImageAdapter>,
        judge: &PictureJudge,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Option<SampledPictures>, TrainError> {
        let known = self.known_captions();
        let config = model.denoiser.config();
        let mut scores = MadeScores::default();
        for (done, (at, scene)) in (1..).zip(&known) {
            let (text, caption) = self.caption(*at);
            let request = SampleRequest {
                caption,
                seed: MADE_SEED + *at as u64,
                steps: config.default_steps,
                guidance: config.default_guidance,
                sampler: FlowSampler::Euler,
            };
            let picture = sample(&model.denoiser, adapter, &request, &AtomicBool::new(false))?;
            let seen = judge.judge(&picture);
            scores.attributes.add(&seen, scene);
            let style = IconStyle::taken_from(text).style;
            if style != IconStyle::Plain {
                scores.style.add(AttributeScore {
                    right: u32::from(seen.style == style),
                    asked: 1,
                });
            }
            progress(done);
        }
        Ok((!known.is_empty()).then(|| scores.figures(known.len() as u64)))
    }
}

/// Sums over pictures.
#[derive(Default)]
struct MadeScores {
    attributes: KindScores,
    style: AttributeScore,
}

impl MadeScores {
    fn figures(&self, pictures: u64) -> SampledPictures {
        let kinds = self.attributes.kinds.iter();
        SampledPictures {
            pictures,
            attributes: u64::from(self.attributes.all.asked),
            right: self.attributes.all.share(),
            right_by_kind: kinds
                .map(|(kind, score)| ((*kind).to_owned(), score.share()))
                .collect(),
            styled: u64::from(self.style.asked),
            in_style: (self.style.asked > 0).then(|| self.style.share()),
        }
    }
}

//! Figures of an adapter that makes pictures, and of its base for comparison.

use openlora_diffusion::ImageAdapter;
use serde::Serialize;

use super::{
    super::{error::TrainError, run::result::RunMetric},
    heldout::HeldOutPictures,
    model::PictureModel,
};

/// Figures of one model over held-out pictures.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct PictureFigures {
    /// Held-out pictures.
    pub pictures: u64,
    /// Mean loss of removing noise from them, at times and noise that are the same for every model.
    pub loss: f64,
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
        vec![loss]
    }
}

impl HeldOutPictures {
    /// The figures of the base, or of an adapter over it.
    ///
    /// # Errors
    ///
    /// Pictures of another size than the model's.
    pub fn evaluate(
        &self,
        model: &PictureModel,
        adapter: Option<&ImageAdapter>,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<PictureFigures, TrainError> {
        Ok(PictureFigures {
            pictures: self.len() as u64,
            loss: self.loss(model, adapter, progress)?,
        })
    }

    /// The figures of an adapter and of its base.
    ///
    /// # Errors
    ///
    /// Pictures of another size than the model's.
    pub fn compare(
        &self,
        model: &PictureModel,
        adapter: &ImageAdapter,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<PictureEvalReport, TrainError> {
        let all = 2 * self.len() as u64;
        let with = self.evaluate(model, Some(adapter), &mut |done, _| progress(done, all))?;
        let half = self.len() as u64;
        let base = self.evaluate(model, None, &mut |done, _| progress(half + done, all))?;
        Ok(PictureEvalReport::new(with, Some(base)))
    }
}

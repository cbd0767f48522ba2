//! Projected gradients of single pictures.

use std::sync::Arc;

use openlora_diffusion::{
    CaptionEmbedding, FlowMeasure, ImageAdapter, ImageModel, TimeNoise, example_gradients,
    pixels_of,
};
use openlora_pictures::Picture;
use rayon::prelude::*;

use crate::{
    error::AttributionError,
    index::{PictureOutput, PictureParameters},
    projection::{ModuleDims, Projector},
};

/// A training picture with what the model knows of its caption.
#[derive(Clone, Debug)]
pub struct PictureExample {
    pub picture: Picture,
    pub caption: CaptionEmbedding,
    /// SHA-256 of picture and caption.
    pub hash: [u8; 32],
    /// Position in [`PictureIndexJob::sources`](super::PictureIndexJob::sources).
    pub source: usize,
    /// The first example of its near-duplicate cluster, usually itself.
    pub cluster: usize,
    /// The source whose contributor the cluster's credit belongs to: that of its first picture, even if
    /// that was held out of the training.
    pub credited: usize,
}

/// A model with the factors of a checkpoint, and the projection of its gradients.
pub struct PicturePass {
    model: Arc<ImageModel>,
    adapter: ImageAdapter,
    projector: Arc<Projector>,
    measure: FlowMeasure,
    /// The same for all pictures.
    points: Vec<TimeNoise>,
}

impl PicturePass {
    /// The projector must be over the adapter's modules.
    pub fn new(
        model: Arc<ImageModel>,
        adapter: ImageAdapter,
        projector: Arc<Projector>,
        parameters: &PictureParameters,
    ) -> Self {
        let points = TimeNoise::stratified(model.config(), parameters.noise, parameters.times);
        Self {
            model,
            adapter,
            projector,
            measure: match parameters.output {
                PictureOutput::Loss => FlowMeasure::Loss,
                PictureOutput::Square => FlowMeasure::SquaredOutput,
            },
            points,
        }
    }

    /// The projected gradient of a picture; it is cut and scaled to the model's size.
    ///
    /// # Errors
    ///
    /// The caption does not fit the model.
    pub fn project(
        &self,
        picture: &Picture,
        caption: &CaptionEmbedding,
    ) -> Result<Vec<f32>, AttributionError> {
        let size = self.model.config().image_size as u32;
        let fitted = (picture.width != size || picture.height != size).then(|| picture.fit(size));
        let picture = fitted.as_ref().unwrap_or(picture);
        let whole = example_gradients(
            &self.model,
            &self.adapter,
            &pixels_of(&picture.rgb),
            caption,
            &self.points,
            self.measure,
        )?;
        let mut row = vec![0.0; self.projector.width()];
        for (module, place) in self.adapter.places().iter().enumerate() {
            for (factor, range) in [&place.a, &place.b].into_iter().enumerate() {
                let values = &whole[range.clone()];
                self.projector.add(module, factor, values, &mut row);
            }
        }
        Ok(row)
    }
}

/// The adapted modules, as a projector has them.
pub fn adapted(adapter: &ImageAdapter) -> Vec<ModuleDims> {
    let places = adapter.places().iter();
    places
        .map(|place| {
            let dims = [place.rank, place.inputs, place.outputs];
            (place.path.clone(), dims)
        })
        .collect()
}

/// Projected gradients `[examples, width]`, in order.
///
/// # Errors
///
/// Names the first example whose gradient is not finite.
pub fn picture_rows(
    pass: &PicturePass,
    examples: &[PictureExample],
) -> Result<Vec<f32>, AttributionError> {
    let row = |(at, example): (usize, &PictureExample)| {
        let row = pass.project(&example.picture, &example.caption)?;
        match row.iter().all(|value| value.is_finite()) {
            true => Ok(row),
            false => Err(AttributionError::NotFinite {
                what: format!("example {at}"),
            }),
        }
    };
    let rows: Vec<_> = examples.par_iter().enumerate().map(row).collect();
    let rows: Result<Vec<Vec<f32>>, AttributionError> = rows.into_iter().collect();
    Ok(rows?.concat())
}

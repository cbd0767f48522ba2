//! Sketches of pictures that calls made.

use std::sync::Arc;

use openlora_diffusion::TextEncoder;
use openlora_pictures::Picture;
use openlora_train::pictures::PictureModel;

use super::gradients::{PicturePass, adapted};
use crate::{
    error::{AttributionError, IndexError},
    index::{IndexBinding, PICTURES_VERSION},
    places::{AttributionDir, PRECONDITIONER},
    projection::Projector,
    sketch::GradientSketch,
    sketcher,
};

/// The base's model with the factors of every checkpoint.
pub struct PictureSketcher {
    captions: Arc<dyn TextEncoder>,
    passes: Vec<PicturePass>,
}

impl PictureSketcher {
    /// Opens the files next to an index that is already open. `base` is the digest of the base that
    /// `model` is of.
    ///
    /// # Errors
    ///
    /// An index over texts, and base, checkpoints or preconditioner that differ from those of the index.
    pub fn from_binding(
        binding: &IndexBinding,
        places: &AttributionDir,
        base: &str,
        model: &PictureModel,
    ) -> Result<Self, AttributionError> {
        sketcher::require_base(binding, base)?;
        let malformed = |detail: String| IndexError::malformed(&places.index(), detail);
        let parameters = match &binding.parameters.pictures {
            Some(found) if found.version == PICTURES_VERSION => found,
            Some(found) => {
                let detail = format!(
                    "its gradients of pictures are of version {}; this program reads \
                     {PICTURES_VERSION}",
                    found.version
                );
                return Err(malformed(detail).into());
            }
            None => return Err(malformed("it is over texts, not over pictures".to_owned()).into()),
        };
        let material = sketcher::read(binding, places)?;
        let (width, seed) = (binding.parameters.width, sketcher::seed(binding, places)?);
        let preconditioner = material.preconditioner()?;
        let mut passes = Vec::new();
        for at in 0..material.checkpoints.len() {
            let adapter = material.place_picture(&model.denoiser, at)?;
            let projector = Projector::new(&adapted(&adapter), width, &seed, &preconditioner);
            let projector = projector.ok_or_else(|| AttributionError::Tensors {
                path: places.dir.join(PRECONDITIONER),
                name: "of a factor".to_owned(),
            })?;
            passes.push(PicturePass::new(
                Arc::clone(&model.denoiser),
                adapter,
                Arc::new(projector),
                parameters,
            ));
        }
        Ok(Self {
            captions: Arc::clone(&model.captions),
            passes,
        })
    }

    /// The projected gradient of a picture at every checkpoint.
    ///
    /// # Errors
    ///
    /// A caption that the model cannot read, and a gradient that is not finite.
    pub fn gradients(
        &self,
        caption: &str,
        picture: &Picture,
    ) -> Result<Vec<Vec<f32>>, AttributionError> {
        let caption = self.captions.encode(caption)?;
        let gradients = self.passes.iter().map(|pass| {
            let gradient = pass.project(picture, &caption)?;
            match gradient.iter().all(|value| value.is_finite()) {
                true => Ok(gradient),
                false => Err(AttributionError::NotFinite {
                    what: "the picture".to_owned(),
                }),
            }
        });
        gradients.collect()
    }

    /// The sketch of a picture that was made for a caption.
    ///
    /// # Errors
    ///
    /// Those of [`Self::gradients`].
    pub fn sketch(
        &self,
        caption: &str,
        picture: &Picture,
    ) -> Result<GradientSketch, AttributionError> {
        Ok(GradientSketch::quantise(&self.gradients(caption, picture)?))
    }
}

//! The index of a finished run on pictures.

use openlora_model::dataset::DataSource;
use openlora_train::{
    RunDir,
    pictures::{CaptionCache, PictureDataset, PictureRow, PictureTrainInputs},
    run::files,
};
use sha2::{Digest, Sha256};

use super::{
    build::{PictureIndexJob, PictureSource, build_pictures},
    gradients::PictureExample,
};
use crate::{
    build::BuiltIndex,
    error::AttributionError,
    index::{IndexContributor, PictureOutput, adapter_digest},
    material::GradientInputs,
    places::AttributionDir,
};

/// Default number of pairs of a time and a noise.
pub const PICTURE_TIMES: usize = 10;

/// The settings of an index over pictures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PictureIndexOptions {
    /// Number of values of a projected gradient.
    pub width: usize,
    /// λ divided by the mean squared norm of the gradients.
    pub damping: f64,
    pub output: PictureOutput,
    /// Number of pairs of a time and a noise.
    pub times: usize,
}

/// Builds the index of a finished run; `progress` receives the number of completed checkpoints and of
/// all.
///
/// # Errors
///
/// A run without checkpoints, files that are damaged or cannot be written.
pub fn build_of_picture_run(
    inputs: &PictureTrainInputs,
    run: &RunDir,
    options: PictureIndexOptions,
    places: &AttributionDir,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<BuiltIndex, AttributionError> {
    let denoiser = &inputs.model.denoiser;
    let material = GradientInputs::of_picture_run(run, &inputs.config, denoiser)?;
    let examples = examples(inputs)?;
    let sources: Vec<PictureSource> = inputs
        .dataset
        .sources
        .iter()
        .zip(&inputs.dataset.source_digests)
        .map(|(source, digest)| of_source(source, digest))
        .collect();
    let tokenizer = files::read(&inputs.base.text_dir.join("tokenizer.json"))?;
    let job = PictureIndexJob {
        model: denoiser,
        base: inputs.base.digest.clone(),
        tokenizer: hex::encode(Sha256::digest(tokenizer)),
        adapter: adapter_digest(&run.adapter())?,
        data: inputs.dataset.digest.clone(),
        sources: &sources,
        examples: &examples,
        material: &material,
        width: options.width,
        damping: options.damping,
        output: options.output,
        times: options.times,
    };
    let total = material.checkpoints.len();
    build_pictures(&job, places, &mut |done| progress(done, total))
}

fn of_source(source: &DataSource, digest: &str) -> PictureSource {
    PictureSource {
        contributor: IndexContributor {
            name: source.contributor.clone(),
            address: source.address.clone(),
        },
        weight: source.weight,
        digest: digest.to_owned(),
    }
}

/// The pictures that were trained on.
fn examples(inputs: &PictureTrainInputs) -> Result<Vec<PictureExample>, AttributionError> {
    let (trained, _) = inputs.parts()?;
    let (all, roots) = (&inputs.dataset, inputs.dataset.clusters());
    let mut captions = CaptionCache::new(&inputs.model);
    // The first trained picture of each cluster, by the first of all.
    let mut first: Vec<Option<usize>> = vec![None; all.rows.len()];
    let mut examples = Vec::with_capacity(trained.len());
    for (at, origin) in origins(all, &trained).into_iter().enumerate() {
        let row = &trained.rows[at];
        let cluster = *first[roots[origin]].get_or_insert(at);
        examples.push(PictureExample {
            picture: row.picture.clone(),
            caption: captions.of_row(row)?.as_ref().clone(),
            hash: row.content_hash,
            source: row.source,
            cluster,
            credited: match at == cluster {
                true => all.rows[roots[origin]].source,
                false => row.source,
            },
        });
    }
    Ok(examples)
}

/// Where the rows of a part are in the whole, which has them in the same order.
fn origins(all: &PictureDataset, part: &PictureDataset) -> Vec<usize> {
    let same = |one: &PictureRow, other: &PictureRow| {
        (one.source, &one.place, &one.path) == (other.source, &other.place, &other.path)
    };
    let mut rows = all.rows.iter().enumerate();
    let found = part.rows.iter().filter_map(|row| {
        let found = rows.find(|(_, other)| same(row, other));
        found.map(|(at, _)| at)
    });
    found.collect()
}

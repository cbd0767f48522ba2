//! Trained factors as an adapter folder in PEFT's format, with sample pictures.

use std::{path::Path, sync::atomic::AtomicBool};

use candle_core::{Device, Tensor};
use openlora_diffusion::{FlowSampler, ImageAdapter, SampleRequest, sample};
use openlora_model::{
    adapter::{TaskCard, WriteRequest, write},
    dataset::Task,
};
use openlora_pictures::{Picture, encode_png};

use super::{
    super::{error::TrainError, run::checkpoint},
    data::PictureDataset,
    inputs::PictureTrainInputs,
};

/// Pictures in a row of the sample sheet.
const SAMPLES: usize = 4;
/// Space between them, in pixels.
const GAP: usize = 4;
/// Seed of the samples' noise; each picture has one of its own.
const SAMPLE_SEED: u64 = 7;

/// The factors as a safetensors file; `path` is for errors.
///
/// # Errors
///
/// None is expected: the names are unique.
pub fn factor_file(adapter: &ImageAdapter, path: &Path) -> Result<Vec<u8>, TrainError> {
    let tensors = adapter.peft_tensors().into_iter().map(|(name, tensor)| {
        let tensor = Tensor::from_vec(tensor.to_f32(), &tensor.shape[..], &Device::Cpu)?;
        Ok((name, tensor))
    });
    let tensors = tensors.collect::<Result<Vec<_>, TrainError>>()?;
    checkpoint::encode(&tensors, path)
}

/// Writes the factors with the task card and the sample pictures beside them.
///
/// # Errors
///
/// The disk.
pub fn write_picture_adapter(
    dir: &Path,
    inputs: &PictureTrainInputs,
    adapter: &ImageAdapter,
    samples: &[u8],
) -> Result<(), TrainError> {
    let config = &inputs.config;
    let request = WriteRequest {
        base_model: inputs.base.id.clone(),
        revision: inputs.base.revision.clone(),
        rank: config.rank,
        alpha: config.alpha,
        dropout: 0.0,
        rslora: config.rslora,
        dora: false,
        rank_pattern: Vec::new(),
        alpha_pattern: Vec::new(),
        target_modules: adapter.target_modules(),
        tensors: adapter.peft_tensors(),
        task: Some(TaskCard {
            name: inputs.name.clone(),
            task: Task::Image,
            base_id: inputs.base.id.clone(),
            base_digest: inputs.base.digest.clone(),
            rows: None,
        }),
        samples: Some(samples.to_vec()),
    };
    write(dir, &request)?;
    Ok(())
}

/// A sheet of pictures as a PNG file: in a row the base alone, below it the same noise and captions
/// with the adapter. The captions are spread over the data.
///
/// # Errors
///
/// A caption that the text encoder cannot read.
pub fn sample_sheet(
    inputs: &PictureTrainInputs,
    rows: &PictureDataset,
    adapter: &ImageAdapter,
) -> Result<Vec<u8>, TrainError> {
    let model = &inputs.model;
    let rows = inputs.validation.as_ref().unwrap_or(rows);
    let count = SAMPLES.min(rows.len());
    let mut pictures = Vec::new();
    for (row, adapter) in [(0, None), (1, Some(adapter))] {
        for column in 0..count {
            let caption = &rows.rows[column * rows.len() / count].caption;
            let caption = model.caption(caption)?;
            let config = model.denoiser.config();
            let request = SampleRequest {
                caption: &caption,
                seed: SAMPLE_SEED + column as u64,
                steps: config.default_steps,
                guidance: config.default_guidance,
                sampler: FlowSampler::Euler,
            };
            let picture = sample(&model.denoiser, adapter, &request, &AtomicBool::new(false))?;
            pictures.push((row, column, picture));
        }
    }
    Ok(encode_png(
        &sheet(&pictures, count, model.side() as usize),
        &[],
    )?)
}

/// Pictures at their rows and columns, on white.
fn sheet(pictures: &[(usize, usize, Picture)], columns: usize, side: usize) -> Picture {
    let length = |count: usize| count * (side + GAP) - GAP;
    let (width, height) = (length(columns.max(1)), length(2));
    let mut sheet = Picture::filled(width as u32, height as u32, [255; 3]);
    for (row, column, picture) in pictures {
        let (top, left) = (row * (side + GAP), column * (side + GAP));
        for (y, line) in picture.rgb.chunks_exact(side * 3).enumerate() {
            let at = ((top + y) * width + left) * 3;
            sheet.rgb[at..at + line.len()].copy_from_slice(line);
        }
    }
    sheet
}

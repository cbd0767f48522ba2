//! Adapters for pictures as the one file that `load_lora_weights` of diffusers reads.
//!
//! Its keys are `transformer.<module>.lora_A.weight` and `….lora_B.weight`. Without alphas in the file,
//! diffusers scales by one: the scale of each module is multiplied into its B, and factors of lower rank
//! are filled with zeros to the largest, because alpha is the first rank of the file. Layout:
//! <https://huggingface.co/docs/diffusers/tutorials/using_peft_for_inference>.

use std::{collections::BTreeMap, path::Path};

use safetensors::{Dtype, tensor::TensorView};

use super::{AdapterExportError, TEXTS, WrittenExport, copy, finish_folder, new_folder};
use crate::{
    adapter::{AdapterError, AdapterModule, LoraAdapter, WeightsProblem},
    dataset::Task,
};

/// The name by which diffusers finds the file in a folder.
pub const DIFFUSERS_FILE: &str = "pytorch_lora_weights.safetensors";
/// The part of a pipeline that is adapted.
const PART: &str = "transformer";

/// A tensor of the file.
struct FactorTensor {
    shape: [usize; 2],
    /// f32, row-major, little-endian.
    bytes: Vec<u8>,
}

/// Writes the file to the new folder `out`, with the adapter's model card and licence.
///
/// # Errors
///
/// The adapter is one for text or a DoRA adapter, `out` exists and is not an empty folder, or the disk.
pub fn write_diffusers(
    adapter: &LoraAdapter,
    out: &Path,
) -> Result<WrittenExport, AdapterExportError> {
    let dir = || adapter.dir.clone();
    let makes_text = |task: &Task| *task != Task::Image;
    if adapter
        .task
        .as_ref()
        .is_some_and(|card| makes_text(&card.task))
    {
        let form = "the file of diffusers";
        return Err(AdapterExportError::TextOnly { dir: dir(), form });
    }
    if adapter.config.use_dora {
        return Err(AdapterExportError::DiffusersDora { dir: dir() });
    }
    let bytes = file_bytes(adapter)?;
    let draft = new_folder(out)?;
    draft
        .write(DIFFUSERS_FILE, &bytes)
        .map_err(AdapterExportError::io("write", &out.join(DIFFUSERS_FILE)))?;
    for name in TEXTS {
        if adapter.dir.join(name).is_file() {
            copy(&adapter.dir, name, &draft, out)?;
        }
    }
    finish_folder(draft, out)
}

fn file_bytes(adapter: &LoraAdapter) -> Result<Vec<u8>, AdapterExportError> {
    let rank = adapter.modules.iter().map(|module| module.rank).max();
    let rank = rank.unwrap_or_default();
    let mut tensors = BTreeMap::new();
    for module in &adapter.modules {
        let name = |factor: &str| format!("{PART}.{}.{factor}.weight", module.path);
        tensors.insert(name("lora_A"), factor_a(adapter, module, rank)?);
        tensors.insert(name("lora_B"), factor_b(adapter, module, rank)?);
    }
    let refused = |error: safetensors::SafeTensorError| AdapterError::Weights {
        path: adapter.dir.join(DIFFUSERS_FILE),
        problem: WeightsProblem::Header(error.to_string()),
    };
    let views = tensors.iter().map(|(name, tensor)| {
        let view = TensorView::new(Dtype::F32, tensor.shape.to_vec(), &tensor.bytes);
        view.map(|view| (name, view)).map_err(refused)
    });
    let views = views.collect::<Result<Vec<_>, _>>()?;
    // One entry, so the map's order cannot show in the bytes.
    let metadata = [("format".to_owned(), "pt".to_owned())].into();
    Ok(safetensors::serialize(views, Some(metadata)).map_err(refused)?)
}

/// A of `[rank, in_dim]`, with rows of zeros below its own.
fn factor_a(
    adapter: &LoraAdapter,
    module: &AdapterModule,
    rank: usize,
) -> Result<FactorTensor, AdapterExportError> {
    let mut values = values(adapter, &module.a_name())?;
    values.resize(rank * module.in_dim, 0.0);
    Ok(tensor([rank, module.in_dim], &values))
}

/// B of `[out_dim, rank]` with the module's scale, and columns of zeros after its own.
fn factor_b(
    adapter: &LoraAdapter,
    module: &AdapterModule,
    rank: usize,
) -> Result<FactorTensor, AdapterExportError> {
    let own = values(adapter, &module.b_name())?;
    let mut values = vec![0.0; module.out_dim * rank];
    for (row, own) in values
        .chunks_exact_mut(rank)
        .zip(own.chunks_exact(module.rank))
    {
        for (value, own) in row.iter_mut().zip(own) {
            *value = (f64::from(*own) * module.scale) as f32;
        }
    }
    Ok(tensor([module.out_dim, rank], &values))
}

fn values(adapter: &LoraAdapter, name: &str) -> Result<Vec<f32>, AdapterExportError> {
    let found = adapter.tensors.get(name).map(|tensor| tensor.to_f32());
    found.ok_or_else(|| {
        let problem = WeightsProblem::Header(format!("tensor {name} is missing"));
        let path = adapter.dir.clone();
        AdapterError::Weights { path, problem }.into()
    })
}

fn tensor(shape: [usize; 2], values: &[f32]) -> FactorTensor {
    let bytes = values.iter().flat_map(|value| value.to_le_bytes());
    FactorTensor {
        shape,
        bytes: bytes.collect(),
    }
}

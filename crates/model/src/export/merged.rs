//! A base with an adapter added to its weights, as a folder in the Hugging Face layout.
//!
//! The files of the weights are those of the base, with the same names, headers and types. The sum is
//! computed in f32 and rounded once to the type of the base.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Write},
    path::Path,
};

use half::{bf16, f16};
use rayon::prelude::*;
use safetensors::tensor::{Dtype, TensorInfo};

use super::{AdapterExportError, WrittenExport, copy, finish_folder, new_folder};
use crate::{
    BaseModel, WeightFiles,
    adapter::{
        AdapterModule, HostTensor, LoraAdapter, check_against,
        dora::{add_branch, scale_to},
        verify_base,
    },
    modules,
    shapes::TensorShape,
    weight_files::INDEX,
    weights::WeightShard,
};
use openlora_core::atomic::FolderDraft;

/// Files of a base besides the weights, which it may lack.
const COPIED: &[&str] = &[
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "vocab.json",
    "merges.txt",
    "tokenizer.model",
    INDEX,
];

/// Called with the number of bytes of weights that were written since the last call.
pub type MergeProgress<'a> = dyn FnMut(u64) + 'a;

/// Writes the base with the adapter added to the new folder `out`. A DoRA adapter is merged as PEFT
/// does: the sum's rows are scaled to the adapter's magnitudes.
///
/// # Errors
///
/// `out` exists and is not an empty folder, the adapter is not the base's, the weights cannot be read,
/// a sum that the base's type cannot represent, or the disk.
pub fn write_merged(
    adapter: &LoraAdapter,
    base: &BaseModel,
    out: &Path,
    report: &mut MergeProgress<'_>,
) -> Result<WrittenExport, AdapterExportError> {
    verify_base(adapter, &base.digest)?;
    check_against(adapter, &modules(&base.config))?;
    let weights = WeightFiles::open(&base.dir)?;
    let draft = new_folder(out)?;
    for name in COPIED {
        if base.dir.join(name).is_file() {
            copy(&base.dir, name, &draft, out)?;
        }
    }
    let adapted = adapter.modules.iter();
    let merge = WeightMerge {
        adapter,
        weights: &weights,
        adapted: adapted
            .map(|module| (format!("{}.weight", module.path), module))
            .collect(),
    };
    for shard in weights.shards() {
        merge.write_shard(shard, &draft, out, report)?;
    }
    finish_folder(draft, out)
}

struct WeightMerge<'a> {
    adapter: &'a LoraAdapter,
    weights: &'a WeightFiles,
    /// By the name of the weight.
    adapted: BTreeMap<String, &'a AdapterModule>,
}

impl WeightMerge<'_> {
    fn write_shard(
        &self,
        shard: &WeightShard,
        draft: &FolderDraft,
        out: &Path,
        report: &mut MergeProgress<'_>,
    ) -> Result<(), AdapterExportError> {
        let name = shard.path().file_name().unwrap_or_default();
        let name = name.to_string_lossy().into_owned();
        let target = out.join(&name);
        let io = |error: io::Error| AdapterExportError::io("write", &target)(error);
        let mut file = draft.new_file(&name).map_err(io)?;
        let mut put = |file: &mut File, bytes: &[u8]| {
            report(bytes.len() as u64);
            file.write_all(bytes).map_err(io)
        };
        put(&mut file, &shard.header()?)?;
        for (name, info) in shard.in_order() {
            let bytes = match self.adapted.get(&name) {
                None => shard.data(&name, info)?,
                Some(module) => self.merged(shard, &name, info, module)?,
            };
            put(&mut file, &bytes)?;
        }
        file.sync_all().map_err(io)
    }

    /// The bytes of an adapted weight.
    fn merged(
        &self,
        shard: &WeightShard,
        name: &str,
        info: &TensorInfo,
        module: &AdapterModule,
    ) -> Result<Vec<u8>, AdapterExportError> {
        let shape = TensorShape::new(name, &[module.out_dim, module.in_dim]);
        let mut values = self.weights.read(&shape)?;
        let factor = |name: &str| {
            let tensor = self.adapter.tensors.get(name);
            tensor.map(HostTensor::to_f32).unwrap_or_default()
        };
        let (a, b) = (factor(&module.a_name()), factor(&module.b_name()));
        let magnitudes = self.adapter.tensors.get(&module.magnitude_name());
        let magnitudes = magnitudes.map(HostTensor::to_f32);
        let scale = module.scale as f32;
        let rows = values.par_chunks_exact_mut(module.in_dim);
        let factors = b.par_chunks_exact(module.rank);
        rows.zip(factors)
            .enumerate()
            .for_each(|(at, (row, factors))| {
                add_branch(row, factors, &a, scale);
                if let Some(magnitudes) = &magnitudes {
                    let factor = scale_to(row, magnitudes[at]);
                    for value in row {
                        *value = (f64::from(*value) * factor) as f32;
                    }
                }
            });
        let (bytes, is_finite) = encoded(&values, info.dtype);
        match is_finite {
            true => Ok(bytes),
            false => Err(AdapterExportError::Overflow {
                path: shard.path().to_owned(),
                tensor: name.to_owned(),
                dtype: if info.dtype == Dtype::F16 {
                    "float16"
                } else {
                    "its type"
                },
            }),
        }
    }
}

/// The values in the type of the base, which reading has checked, and whether all are finite in it.
fn encoded(values: &[f32], dtype: Dtype) -> (Vec<u8>, bool) {
    let halves = |bits: Vec<u16>| bits.into_iter().flat_map(u16::to_le_bytes).collect();
    match dtype {
        Dtype::F16 => {
            let rounded: Vec<f16> = values.par_iter().map(|it| f16::from_f32(*it)).collect();
            let is_finite = rounded.par_iter().all(|it| it.is_finite());
            let bits = rounded.into_iter().map(f16::to_bits).collect();
            (halves(bits), is_finite)
        }
        Dtype::BF16 => {
            let rounded: Vec<bf16> = values.par_iter().map(|it| bf16::from_f32(*it)).collect();
            let is_finite = rounded.par_iter().all(|it| it.is_finite());
            let bits = rounded.into_iter().map(bf16::to_bits).collect();
            (halves(bits), is_finite)
        }
        _ => {
            let bytes = values.iter().flat_map(|value| value.to_le_bytes());
            (bytes.collect(), values.par_iter().all(|it| it.is_finite()))
        }
    }
}

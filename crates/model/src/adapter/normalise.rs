//! Folds all scales and ranks of PEFT's configuration into the tensors, for readers that know only
//! `r`, `lora_alpha` and a list of modules.

use std::collections::BTreeMap;

use super::{
    check::require_plain, error::AdapterError, factors::AdapterModule, read::LoraAdapter,
    tensors::HostTensor,
};

/// An adapter with one rank and one scale: every module adds `alpha / r · B · A` to its weight.
#[derive(Clone, Debug, PartialEq)]
pub struct NormalisedAdapter {
    pub r: usize,
    pub alpha: f64,
    /// Full paths of the adapted modules, sorted.
    pub target_modules: Vec<String>,
    /// f32 factors: `<module>.lora_A.weight` `[r, in]` and `<module>.lora_B.weight` `[out, r]`.
    pub tensors: BTreeMap<String, HostTensor>,
}

impl NormalisedAdapter {
    /// The change of the weight of `module`: shape `[out, in]` and the row-major elements; none if
    /// the adapter does not target that module.
    pub fn delta(&self, module: &str) -> Option<([usize; 2], Vec<f32>)> {
        let a = self.tensors.get(&format!("{module}.lora_A.weight"))?;
        let b = self.tensors.get(&format!("{module}.lora_B.weight"))?;
        let (columns, rows) = (*a.shape.last()?, *b.shape.first()?);
        let scale = (self.alpha / self.r as f64) as f32;
        let mut delta = product(&b.to_f32(), &a.to_f32(), self.r, columns);
        delta.iter_mut().for_each(|value| *value *= scale);
        Some(([rows, columns], delta))
    }
}

/// Row-major `b · a`, where `b` has `inner` columns and `a` has `columns`.
fn product(b: &[f32], a: &[f32], inner: usize, columns: usize) -> Vec<f32> {
    let mut out = Vec::with_capacity(b.len() / inner.max(1) * columns);
    for row in b.chunks_exact(inner) {
        let start = out.len();
        out.resize(start + columns, 0.0f32);
        for (factor, line) in row.iter().zip(a.chunks_exact(columns)) {
            let target = out[start..].iter_mut();
            target
                .zip(line)
                .for_each(|(value, element)| *value += factor * element);
        }
    }
    out
}

/// Gives every module the largest rank, padded with zeros, and one scale.
///
/// If all modules share a scale, the factors stay unchanged. Otherwise each module's scale is
/// multiplied into its B, and alpha equals r.
///
/// # Errors
///
/// A DoRA adapter; reading has refused whatever else cannot be normalised.
pub fn normalise(adapter: &LoraAdapter) -> Result<NormalisedAdapter, AdapterError> {
    require_plain(adapter)?;
    let r = adapter
        .modules
        .iter()
        .map(|module| module.rank)
        .max()
        .unwrap_or(1);
    let shared = shared_scale(&adapter.modules);
    let mut tensors = BTreeMap::new();
    for module in &adapter.modules {
        let factor = if shared.is_some() { 1.0 } else { module.scale };
        let a = adapter
            .tensors
            .get(&module.a_name())
            .map(HostTensor::to_f32)
            .unwrap_or_default();
        let b = adapter
            .tensors
            .get(&module.b_name())
            .map(HostTensor::to_f32)
            .unwrap_or_default();
        let (a, b) = (
            pad_rows(a, r * module.in_dim),
            pad_columns(&b, module.rank, r, factor as f32),
        );
        let path = &module.path;
        tensors.insert(
            format!("{path}.lora_A.weight"),
            HostTensor::from_f32(&[r, module.in_dim], &a),
        );
        tensors.insert(
            format!("{path}.lora_B.weight"),
            HostTensor::from_f32(&[module.out_dim, r], &b),
        );
    }
    Ok(NormalisedAdapter {
        r,
        alpha: shared.unwrap_or(1.0) * r as f64,
        target_modules: adapter
            .modules
            .iter()
            .map(|module| module.path.clone())
            .collect(),
        tensors,
    })
}

fn shared_scale(modules: &[AdapterModule]) -> Option<f64> {
    let first = modules.first()?.scale;
    modules
        .iter()
        .all(|module| module.scale == first)
        .then_some(first)
}

fn pad_rows(mut values: Vec<f32>, length: usize) -> Vec<f32> {
    values.resize(length, 0.0);
    values
}

fn pad_columns(values: &[f32], from: usize, to: usize, factor: f32) -> Vec<f32> {
    let row = |row: &[f32]| {
        let zeros = std::iter::repeat_n(0.0, to - row.len());
        row.iter()
            .map(|value| value * factor)
            .chain(zeros)
            .collect::<Vec<f32>>()
    };
    values.chunks_exact(from).flat_map(row).collect()
}

//! Rows of a weight with an adapter's branch added, and their norms, which DoRA (arXiv:2402.09353)
//! replaces by learned ones.

use rayon::prelude::*;

use super::{factors::AdapterModule, read::LoraAdapter, tensors::HostTensor};

/// Adds `scale · factors · A` to a row of a weight; `a` has as many columns as the row.
pub(crate) fn add_branch(row: &mut [f32], factors: &[f32], a: &[f32], scale: f32) {
    let mut delta = vec![0.0f32; row.len()];
    for (factor, line) in factors.iter().zip(a.chunks_exact(row.len())) {
        for (sum, element) in delta.iter_mut().zip(line) {
            *sum += factor * element;
        }
    }
    for (value, sum) in row.iter_mut().zip(&delta) {
        *value += scale * sum;
    }
}

/// What scales a row to a norm.
pub(crate) fn scale_to(row: &[f32], magnitude: f32) -> f64 {
    let squares = row
        .iter()
        .map(|value| f64::from(*value) * f64::from(*value));
    f64::from(magnitude) / squares.sum::<f64>().sqrt()
}

/// The factors of a module's outputs, `[out_dim]`: m / n, where m are its learned norms and n those of
/// the rows of W + scale · B · A. None if it learned no norms.
///
/// `read_row` writes a row of W, `[in_dim]`. Sums and norms are computed one after the other, so that
/// they are the same on every machine.
pub fn dora_factors(
    adapter: &LoraAdapter,
    module: &AdapterModule,
    read_row: impl Fn(usize, &mut [f32]) + Sync,
) -> Option<Vec<f32>> {
    let factor = |name: String| adapter.tensors.get(&name).map(HostTensor::to_f32);
    let magnitudes = factor(module.magnitude_name())?;
    let (a, b) = (factor(module.a_name())?, factor(module.b_name())?);
    let rows = b.par_chunks_exact(module.rank).zip(&magnitudes).enumerate();
    let factors = rows.map(|(output, (factors, magnitude))| {
        let mut row = vec![0.0; module.in_dim];
        read_row(output, &mut row);
        add_branch(&mut row, factors, &a, module.scale as f32);
        scale_to(&row, *magnitude) as f32
    });
    Some(factors.collect())
}

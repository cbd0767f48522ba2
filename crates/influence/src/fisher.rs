//! Rows u = w·(F + λI)⁻¹·g of gradients g, with F = Σ w·g·gᵀ / Σ w.
//!
//! λ is relative to the mean squared norm of the gradients. With fewer examples than values, the
//! same result is computed from the Gram matrix of the examples (the dual form), which is smaller.

use super::{
    error::AttributionError,
    matrix::{MatrixView, invert, multiply},
};

/// Examples converted to doubles at a time.
const CHUNK: usize = 4096;

/// Limit of an example's self-influence, in multiples of the median. Gradients that are manipulated
/// to be large, or that resemble no other, weigh no more than ordinary ones.
pub const LEVERAGE: f64 = 2.0;

/// The parameters of [`precondition`].
#[derive(Clone, Copy, Debug)]
pub struct Curvature<'a> {
    /// Values of a gradient.
    pub width: usize,
    /// How often each example is drawn.
    pub weights: &'a [f64],
    /// λ divided by the mean squared norm; infinity disables the curvature.
    pub damping: f64,
}

/// Replaces gradients `[n, width]` by preconditioned rows.
pub fn precondition(rows: &mut [f32], curvature: Curvature<'_>) -> Result<(), AttributionError> {
    let Curvature {
        width,
        weights,
        damping,
    } = curvature;
    let total: f64 = weights.iter().sum();
    if rows.is_empty() || total <= 0.0 {
        return Ok(());
    }
    let squares = rows
        .chunks(width)
        .zip(weights)
        .map(|(row, weight)| weight * square(row));
    let mean = squares.sum::<f64>() / total;
    let lambda = damping * mean;
    if mean == 0.0 {
        return Ok(());
    }
    let done = if !damping.is_finite() {
        let scaled = rows.chunks_mut(width).zip(weights);
        scaled.for_each(|(row, weight)| row.iter_mut().for_each(|value| *value *= *weight as f32));
        Some(())
    } else if weights.len() < width {
        dual(rows, width, weights, lambda)
    } else {
        primal(rows, width, weights, lambda)
    };
    done.ok_or(AttributionError::Singular { damping })
}

/// Scales down the rows of examples whose self-influence exceeds [`LEVERAGE`] times the median, by
/// the square root of that ratio. This bounds the score of an example with any answer
/// (Cauchy–Schwarz in the curvature's metric), however large its gradient is.
pub fn limit(rows: &mut [f32], gradients: &[f32], curvature: Curvature<'_>) {
    let Curvature { width, weights, .. } = curvature;
    let own = rows.chunks(width).zip(gradients.chunks(width)).zip(weights);
    let own: Vec<f64> = own
        .map(|((row, gradient), weight)| match weight {
            0.0 => 0.0,
            weight => dot(row, gradient) / weight,
        })
        .collect();
    let mut sorted = own.clone();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len().saturating_sub(1) / 2;
    let most = LEVERAGE * sorted.get(middle).copied().unwrap_or(0.0);
    if most <= 0.0 {
        return;
    }
    for (row, own) in rows.chunks_mut(width).zip(own) {
        if own > most {
            let factor = (most / own).sqrt();
            let scaled = row.iter_mut();
            scaled.for_each(|value| *value = (f64::from(*value) * factor) as f32);
        }
    }
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    let products = a.iter().zip(b);
    products.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

fn square(row: &[f32]) -> f64 {
    row.iter()
        .map(|value| f64::from(*value) * f64::from(*value))
        .sum()
}

/// H = √w·G / √Σw; (HᵀH + λ)⁻¹·Hᵀ = Hᵀ·(HHᵀ + λ)⁻¹, and w·u is √(w·Σw) of its column.
fn dual(rows: &mut [f32], width: usize, weights: &[f64], lambda: f64) -> Option<()> {
    let (count, total) = (weights.len(), weights.iter().sum::<f64>());
    let mut wide = widened(rows, width, |row| (weights[row] / total).sqrt());
    let mut gram = vec![0.0; count * count];
    let view = MatrixView::new(&wide, count, width);
    multiply(&mut gram, false, 1.0, view, view.t());
    damp(&mut gram, count, lambda);
    invert(&mut gram, count)?;
    let mut solved = vec![0.0; count * width];
    multiply(
        &mut solved,
        false,
        1.0,
        MatrixView::new(&gram, count, count),
        MatrixView::new(&wide, count, width),
    );
    wide.clear();
    for (row, solved) in solved.chunks(width).enumerate() {
        let scale = (weights[row] * total).sqrt();
        for (value, solved) in rows[row * width..][..width].iter_mut().zip(solved) {
            *value = (solved * scale) as f32;
        }
    }
    Some(())
}

fn primal(rows: &mut [f32], width: usize, weights: &[f64], lambda: f64) -> Option<()> {
    let total: f64 = weights.iter().sum();
    let mut fisher = vec![0.0; width * width];
    for (rows, weights) in rows.chunks(CHUNK * width).zip(weights.chunks(CHUNK)) {
        let wide = widened(rows, width, |row| (weights[row] / total).sqrt());
        let view = MatrixView::new(&wide, weights.len(), width);
        multiply(&mut fisher, true, 1.0, view.t(), view);
    }
    damp(&mut fisher, width, lambda);
    invert(&mut fisher, width)?;
    for (rows, weights) in rows.chunks_mut(CHUNK * width).zip(weights.chunks(CHUNK)) {
        let wide = widened(rows, width, |row| weights[row]);
        let mut solved = vec![0.0; wide.len()];
        multiply(
            &mut solved,
            false,
            1.0,
            MatrixView::new(&wide, weights.len(), width),
            MatrixView::new(&fisher, width, width),
        );
        for (value, solved) in rows.iter_mut().zip(&solved) {
            *value = *solved as f32;
        }
    }
    Some(())
}

fn widened(rows: &[f32], width: usize, scale: impl Fn(usize) -> f64) -> Vec<f64> {
    let scaled = |(at, row): (usize, &[f32])| {
        let scale = scale(at);
        let row = row.iter().map(move |value| f64::from(*value) * scale);
        row.collect::<Vec<f64>>()
    };
    rows.chunks(width).enumerate().flat_map(scaled).collect()
}

fn damp(matrix: &mut [f64], size: usize, lambda: f64) {
    matrix
        .iter_mut()
        .step_by(size + 1)
        .for_each(|value| *value += lambda);
}

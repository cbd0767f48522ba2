//! Rows by DataInf (arXiv:2310.00902): the inverse of a sum of curvatures is approximated by the
//! sum of their inverses, per tensor, at the last checkpoint. A baseline for comparison.

use super::{
    error::AttributionError,
    matrix::{MatrixView, multiply},
    projection::TensorRange,
};

/// The products of all pairs of examples are kept in memory; beyond this number the baseline is too
/// expensive.
const MOST_EXAMPLES: usize = 8192;
/// λ of a tensor divided by the mean square of its gradients' values.
const DAMPING: f64 = 0.1;

/// Converts gradients, separate per tensor, to rows `[n, width]`.
pub fn rows(
    gradients: &[f32],
    width: usize,
    groups: &[TensorRange],
    weights: &[f64],
) -> Result<Vec<f32>, AttributionError> {
    let count = weights.len();
    if count > MOST_EXAMPLES {
        return Err(AttributionError::TooLarge {
            what: "the method datainf",
            found: count as u64,
            limit: MOST_EXAMPLES as u64,
        });
    }
    let whole = gradients.len() / count.max(1);
    let mut sums = vec![0.0; count * width];
    for group in groups {
        let of_group = |row: &[f32]| -> Vec<f64> {
            row[group.place.clone()]
                .iter()
                .map(|value| f64::from(*value))
                .collect()
        };
        let wide: Vec<f64> = gradients.chunks(whole.max(1)).flat_map(of_group).collect();
        let solved = solve(&wide, count, group.size);
        let parts = solved.chunks(group.folded.len());
        for (row, part) in sums.chunks_mut(width).zip(parts) {
            let row = row[group.folded.clone()].iter_mut();
            row.zip(part).for_each(|(sum, value)| *sum += value);
        }
    }
    let scaled = sums.chunks(width).zip(weights);
    Ok(scaled
        .flat_map(|(row, weight)| row.iter().map(move |value| (value * weight) as f32))
        .collect())
}

/// u_k = (g_k − Σ_i (g_i·g_k) / (λ + ‖g_i‖²) g_i / n) / λ for one tensor of `size` values.
fn solve(wide: &[f64], count: usize, size: usize) -> Vec<f64> {
    let width = wide.len() / count.max(1);
    let view = MatrixView::new(wide, count, width);
    let mut products = vec![0.0; count * count];
    multiply(&mut products, false, 1.0, view, view.t());
    let norms: Vec<f64> = products.iter().step_by(count + 1).copied().collect();
    let lambda = DAMPING * norms.iter().sum::<f64>() / (count * size) as f64;
    if lambda <= 0.0 {
        return vec![0.0; wide.len()];
    }
    for line in products.chunks_mut(count) {
        for (product, norm) in line.iter_mut().zip(&norms) {
            *product /= lambda + norm;
        }
    }
    let mut solved: Vec<f64> = wide.iter().map(|value| value / lambda).collect();
    let scale = -1.0 / (lambda * count as f64);
    let products = MatrixView::new(&products, count, count);
    multiply(&mut solved, true, scale, products, view);
    solved
}

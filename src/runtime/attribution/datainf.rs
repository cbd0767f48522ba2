//! Rows of DataInf (arXiv:2310.00902): the inverse of a sum of curvatures replaced by the sum of
//! their inverses, tensor by tensor, at the last checkpoint. A baseline for comparison.

use super::{
    error::AttributionError,
    matrix::{View, multiply},
};

/// The product of all pairs of examples is kept: beyond this the baseline is not worth it.
const MOST_EXAMPLES: usize = 8192;
/// λ of a tensor over the mean square of its gradients' values.
const DAMPING: f64 = 0.1;

/// From gradients `[n, groups, width]` to rows `[n, width]`. `sizes` are the tensors' values.
pub fn rows(
    gradients: &[f32],
    width: usize,
    sizes: &[usize],
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
    let mut sums = vec![0.0; count * width];
    for (group, size) in sizes.iter().enumerate() {
        let of_group = |row: &[f32]| -> Vec<f64> {
            let part = &row[group * width..][..width];
            part.iter().map(|value| f64::from(*value)).collect()
        };
        let wide: Vec<f64> = gradients
            .chunks(sizes.len() * width)
            .flat_map(of_group)
            .collect();
        add_group(&mut sums, &wide, width, *size);
    }
    let scaled = sums.chunks(width).zip(weights);
    Ok(scaled
        .flat_map(|(row, weight)| row.iter().map(move |value| (value * weight) as f32))
        .collect())
}

/// u_k = (g_k − Σ_i (g_i·g_k) / (λ + ‖g_i‖²) g_i / n) / λ
fn add_group(sums: &mut [f64], wide: &[f64], width: usize, size: usize) {
    let count = wide.len() / width;
    let view = View::new(wide, count, width);
    let mut products = vec![0.0; count * count];
    multiply(&mut products, false, 1.0, view, view.t());
    let norms: Vec<f64> = products.iter().step_by(count + 1).copied().collect();
    let lambda = DAMPING * norms.iter().sum::<f64>() / (count * size) as f64;
    if lambda <= 0.0 {
        return;
    }
    for line in products.chunks_mut(count) {
        for (product, norm) in line.iter_mut().zip(&norms) {
            *product /= lambda + norm;
        }
    }
    sums.iter_mut()
        .zip(wide)
        .for_each(|(sum, value)| *sum += value / lambda);
    let scale = -1.0 / (lambda * count as f64);
    multiply(sums, true, scale, View::new(&products, count, count), view);
}

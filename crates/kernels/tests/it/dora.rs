//! Scaled outputs: rows of different adapters, with and without a bias, on every path.

use openlora_kernels::{ScaledRows, scale_rows};

use crate::support::{Numbers, assert_same_bits, every_cpu};

#[test]
fn rows_are_scaled_by_their_own_factors_and_biases_are_not() {
    let mut numbers = Numbers::new(41);
    for outputs in [1, 15, 16, 33, 577] {
        let (stride, rows, column) = (outputs + 9, 40, 5);
        let (x, bias) = (numbers.floats(rows * stride), numbers.floats(stride));
        let [first, second] = [numbers.floats(outputs), numbers.floats(outputs)];
        let entries = [
            ScaledRows {
                rows: 1..3,
                factors: &first,
                column,
            },
            ScaledRows {
                rows: 3..37,
                factors: &second,
                column,
            },
        ];
        for bias in [None, Some(&bias[..])] {
            let mut expected = x.clone();
            for (index, value) in expected.iter_mut().enumerate() {
                let (row, at) = (index / stride, index % stride);
                let factors = match row {
                    1..3 => &first,
                    3..37 => &second,
                    _ => continue,
                };
                let Some(factor) = at.checked_sub(column).and_then(|at| factors.get(at)) else {
                    continue;
                };
                *value = match bias {
                    Some(bias) => (*value - bias[at]) * factor + bias[at],
                    None => *value * factor,
                };
            }
            for cpu in &every_cpu() {
                let mut out = x.clone();
                scale_rows(cpu, &entries, bias, &mut out, stride);
                assert_same_bits(&out, &expected, cpu, &format!("{outputs} outputs"));
            }
        }
    }
}

//! Products with weights as they lie in memory, against the order that they state, on every path.

use openlora_kernels::{Cpu, DenseLayout, DenseProduct};

use crate::support::{Numbers, assert_same_bits, every_cpu};

/// Rows, outputs, depth and chunk around the sizes of tiles, panels and blocks.
const SHAPES: [[usize; 4]; 10] = [
    [1, 1, 1, 1],
    [3, 16, 15, 15],
    [5, 47, 16, 7],
    [6, 48, 17, 17],
    [7, 49, 33, 16],
    [8, 33, 64, 32],
    [9, 96, 40, 41],
    [13, 97, 77, 26],
    [31, 15, 130, 65],
    [70, 200, 48, 24],
];

/// Within a chunk fused sums from zero, and the chunks one by one.
fn reference(x: &[f32], weight: impl Fn(usize) -> f32, chunk: usize, before: Option<f32>) -> f32 {
    let mut sum = before;
    for start in (0..x.len()).step_by(chunk) {
        let part = start..(start + chunk).min(x.len());
        let term = part.fold(0.0, |term, at| weight(at).mul_add(x[at], term));
        sum = Some(sum.map_or(term, |sum| sum + term));
    }
    sum.unwrap_or_default()
}

fn computed(cpu: &Cpu, product: &DenseProduct<'_>, mut out: Vec<f32>, stride: usize) -> Vec<f32> {
    let parts = product.split(&mut out, stride, cpu.threads());
    cpu.run_tasks(parts, |part| product.compute(cpu, part));
    out
}

#[test]
fn products_add_in_the_stated_order_on_every_path() {
    let mut numbers = Numbers::new(71);
    for [rows, outputs, depth, chunk] in SHAPES {
        let (row_stride, stride) = (depth + 3, outputs + 2);
        let x = numbers.floats((rows - 1) * row_stride + depth);
        let weights = numbers.floats(outputs * depth);
        let before = numbers.floats((rows - 1) * stride + outputs);
        for layout in [DenseLayout::ByDepth, DenseLayout::ByOutput] {
            for adding in [false, true] {
                let product = DenseProduct {
                    rows: &x,
                    row_stride,
                    depth,
                    weights: &weights,
                    layout,
                    outputs,
                    chunk,
                    adding,
                };
                let mut expected = before.clone();
                for (row, out) in expected.chunks_mut(stride).enumerate() {
                    let x = &x[row * row_stride..][..depth];
                    for (output, out) in out.iter_mut().take(outputs).enumerate() {
                        let weight = |at: usize| match layout {
                            DenseLayout::ByDepth => weights[at * outputs + output],
                            DenseLayout::ByOutput => weights[output * depth + at],
                        };
                        *out = reference(x, weight, chunk, adding.then_some(*out));
                    }
                }
                for cpu in every_cpu() {
                    let found = computed(&cpu, &product, before.clone(), stride);
                    let what = format!("{rows} x {depth} x {outputs}, {layout:?}, {adding}");
                    assert_same_bits(&found, &expected, &cpu, &what);
                }
            }
        }
    }
}

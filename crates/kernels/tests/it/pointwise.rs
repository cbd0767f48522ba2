//! Norms, activations, softmax and rotary embeddings against the reference.

use openlora_kernels::{
    HeadColumns, RopeTable, add_bias, add_rows, log_sum_exp, rms_norm, rms_norm_heads, silu_mul,
    softmax,
};

use crate::{
    reference,
    support::{Numbers, assert_same_bits, every_cpu},
};

const WIDTHS: [usize; 9] = [1, 2, 15, 16, 17, 31, 33, 64, 577];

#[test]
fn norms_equal_the_reference() {
    let mut numbers = Numbers::new(11);
    for columns in WIDTHS {
        for rows in [1, 3, 40] {
            let (x, weight) = (numbers.floats(rows * columns), numbers.floats(columns));
            let expected: Vec<f32> = x
                .chunks(columns)
                .flat_map(|x| reference::rms_norm(x, &weight, 1e-5))
                .collect();
            for cpu in &every_cpu() {
                let mut out = vec![0.0; x.len()];
                rms_norm(cpu, &x, &weight, 1e-5, &mut out);
                assert_same_bits(&out, &expected, cpu, &format!("norm of {columns}"));
            }
        }
    }
}

#[test]
fn gated_activations_equal_the_reference() {
    let mut numbers = Numbers::new(12);
    for columns in WIDTHS {
        for rows in [1, 3, 40] {
            let gate_up: Vec<f32> = numbers
                .floats(rows * columns * 2)
                .iter()
                .map(|it| it * 30.0)
                .collect();
            let expected: Vec<f32> = gate_up
                .chunks(2 * columns)
                .flat_map(|row| {
                    let (gate, up) = row.split_at(columns);
                    gate.iter()
                        .zip(up)
                        .map(|(gate, up)| reference::silu_mul(*gate, *up))
                })
                .collect();
            for cpu in &every_cpu() {
                let mut out = vec![0.0; rows * columns];
                silu_mul(cpu, &gate_up, columns, &mut out);
                assert_same_bits(&out, &expected, cpu, &format!("SiLU of {columns}"));
            }
        }
    }
}

/// The polynomial against the library's exponential in f64, through the softmax of two logits.
#[test]
fn exponentials_are_accurate_and_end_at_zero() {
    for cpu in &every_cpu() {
        for step in 0..200_000 {
            let x = -(step as f32) * 87.3 / 200_000.0;
            let mut row = [0.0, x];
            softmax(cpu, &mut row);
            let ratio = f64::from(row[1]) / f64::from(row[0]);
            let exact = f64::from(x).exp();
            assert!((ratio / exact - 1.0).abs() < 4e-7, "exp({x}) is {ratio}");
        }
        let mut row = [0.0, -87.4, f32::NEG_INFINITY, -1e30];
        softmax(cpu, &mut row);
        assert_eq!(row, [1.0, 0.0, 0.0, 0.0]);
        let mut row = [0.0, f32::NAN];
        softmax(cpu, &mut row);
        assert!(row.iter().all(|it| it.is_nan()));
    }
}

#[test]
fn softmax_and_its_logarithm_equal_the_reference() {
    let mut numbers = Numbers::new(13);
    for columns in WIDTHS {
        let x: Vec<f32> = numbers.floats(columns).iter().map(|it| it * 50.0).collect();
        let (greatest, sum) = reference::exp_sum(&x);
        let expected: Vec<f32> = x
            .iter()
            .map(|it| reference::exp(it - greatest) / sum)
            .collect();
        let logarithm = f64::from(greatest) + libm::log(f64::from(sum));
        for cpu in &every_cpu() {
            let mut row = x.clone();
            softmax(cpu, &mut row);
            assert_same_bits(&row, &expected, cpu, &format!("softmax of {columns}"));
            assert_eq!(log_sum_exp(cpu, &x).to_bits(), logarithm.to_bits());
        }
    }
}

#[test]
fn rotations_equal_the_reference_and_turn_back() {
    let mut numbers = Numbers::new(14);
    for head_dim in [2, 6, 32, 64, 80] {
        let table = RopeTable::new(head_dim, 10_000.0, 300);
        assert_eq!(table.positions(), 300);
        let positions: Vec<usize> = (0..50).map(|it| it * 5 + it % 3).collect();
        let columns = HeadColumns { start: 3, heads: 2 };
        let stride = 3 + 2 * head_dim + 5;
        let x = numbers.floats(positions.len() * stride);
        let mut expected = x.clone();
        for (row, position) in expected.chunks_mut(stride).zip(&positions) {
            for head in row[3..3 + 2 * head_dim].chunks_mut(head_dim) {
                rotate(head, *position);
            }
        }
        for cpu in &every_cpu() {
            let mut found = x.clone();
            table.rotate(cpu, &positions, &mut found, columns);
            assert_same_bits(&found, &expected, cpu, &format!("heads of {head_dim}"));
        }
    }
}

fn rotate(head: &mut [f32], position: usize) {
    let half = head.len() / 2;
    for i in 0..half {
        let exponent = 2.0 * i as f64 / head.len() as f64;
        let frequency = (1.0 / libm::pow(10_000.0, exponent)) as f32;
        let angle = f64::from(position as f32 * frequency);
        let (sin, cos) = (libm::sin(angle) as f32, libm::cos(angle) as f32);
        let (a, b) = (head[i], head[half + i]);
        head[i] = a.mul_add(cos, b * -sin);
        head[half + i] = b.mul_add(cos, a * sin);
    }
}

#[test]
fn sums_are_value_by_value() {
    let mut numbers = Numbers::new(15);
    let (x, y) = (numbers.floats(20_001), numbers.floats(20_001));
    let expected: Vec<f32> = x.iter().zip(&y).map(|(x, y)| x + y).collect();
    for cpu in &every_cpu() {
        let mut found = x.clone();
        add_rows(cpu, &mut found, &y);
        assert_same_bits(&found, &expected, cpu, "sum");
    }
}

#[test]
fn heads_are_normed_in_place_and_biases_added_to_each_row() {
    let mut numbers = Numbers::new(16);
    let columns = HeadColumns { start: 5, heads: 3 };
    for head_dim in [1, 16, 33, 128] {
        let stride = 5 + 3 * head_dim + 2;
        let (x, weight) = (numbers.floats(70 * stride), numbers.floats(head_dim));
        let bias = numbers.floats(stride);
        let mut expected = x.clone();
        for row in expected.chunks_mut(stride) {
            for head in row[5..5 + 3 * head_dim].chunks_mut(head_dim) {
                head.copy_from_slice(&reference::rms_norm(head, &weight, 1e-6));
            }
            for (x, bias) in row.iter_mut().zip(&bias) {
                *x += bias;
            }
        }
        for cpu in &every_cpu() {
            let mut found = x.clone();
            rms_norm_heads(cpu, &mut found, stride, columns, &weight, 1e-6);
            add_bias(cpu, &mut found, &bias);
            assert_same_bits(&found, &expected, cpu, &format!("heads of {head_dim}"));
        }
    }
}

//! Matrix products against the reference, for odd shapes, every path, thread count and batch.

use half::f16;
use openlora_kernels::{
    BranchShape, Cpu, FactorPrecision, Int4Matrix, Int8Matrix, KernelError, LoraBranch,
    MatmulInput, WeightFormat, WeightMatrix, matmul, matmul_ahead,
};

use crate::{
    reference::{self, Group},
    support::{Numbers, assert_same_bits, every_cpu},
};

const FORMATS: [WeightFormat; 3] = [WeightFormat::Int8, WeightFormat::Int4, WeightFormat::F32];

/// Rows, outputs and columns around the sizes of tiles, panels and groups.
const SHAPES: [(usize, usize, usize); 14] = [
    (1, 1, 1),
    (1, 16, 32),
    (2, 17, 33),
    (3, 15, 31),
    (4, 33, 64),
    (5, 31, 95),
    (6, 48, 96),
    (7, 49, 161),
    (8, 1, 64),
    (9, 64, 40),
    (13, 80, 577),
    (31, 100, 65),
    (65, 47, 130),
    (131, 33, 70),
];

fn product(cpu: &Cpu, matrix: &WeightMatrix, x: &[f32]) -> Vec<f32> {
    let mut input = MatmulInput::default();
    input.fill(cpu, matrix.format(), x, matrix.columns());
    let mut out = vec![f32::NAN; input.rows() * matrix.outputs()];
    matmul(cpu, matrix, &input, &mut out);
    out
}

fn expected(format: WeightFormat, weights: &[f32], x: &[f32], columns: usize) -> Vec<f32> {
    let weight_groups = |row: &[f32]| match format {
        WeightFormat::Int8 => reference::int8_weights(row),
        _ => reference::int4_weights(row),
    };
    let rows = x.chunks(columns);
    match format {
        WeightFormat::F32 => rows
            .flat_map(|x| {
                weights
                    .chunks(columns)
                    .map(|row| reference::float_product(x, row))
            })
            .collect(),
        _ => {
            let weights: Vec<Vec<Group>> = weights.chunks(columns).map(weight_groups).collect();
            rows.flat_map(|x| {
                let x = reference::activations(x);
                let product = move |row: &Vec<Group>| reference::grouped_product(&x, row);
                weights.iter().map(product)
            })
            .collect()
        }
    }
}

#[test]
fn products_equal_the_reference_on_every_path() {
    let cpus = every_cpu();
    for (rows, outputs, columns) in SHAPES {
        let mut numbers = Numbers::new((rows * 1000 + outputs) as u64);
        let weights = numbers.floats(outputs * columns);
        let x = numbers.floats(rows * columns);
        for format in FORMATS {
            let matrix = WeightMatrix::from_f32(format, columns, &[&weights]).unwrap();
            let expected = expected(format, &weights, &x, columns);
            for cpu in &cpus {
                let what = format!("{format:?} {rows} × {outputs} × {columns}");
                assert_same_bits(&product(cpu, &matrix, &x), &expected, cpu, &what);
            }
        }
    }
}

/// What is asked for meanwhile, little or much, changes nothing.
#[test]
fn factors_that_are_asked_for_ahead_change_no_product() {
    let (rows, outputs, columns) = (13, 80, 97);
    let mut numbers = Numbers::new(6);
    let weights = numbers.floats(outputs * columns);
    let x = numbers.floats(rows * columns);
    let branches: Vec<LoraBranch> = [1, 8, 256]
        .into_iter()
        .map(|rank| {
            let shape = BranchShape {
                rank,
                inputs: 40,
                outputs: 70,
                scale: 1.0,
            };
            let (a, b) = (numbers.floats(rank * 40), numbers.floats(rank * 70));
            LoraBranch::new(shape, &a, &b, FactorPrecision::Bf16).unwrap()
        })
        .collect();
    for format in FORMATS {
        let matrix = WeightMatrix::from_f32(format, columns, &[&weights]).unwrap();
        for cpu in &every_cpu() {
            let expected = product(cpu, &matrix, &x);
            for count in [1, 3, 40] {
                let ahead: Vec<&LoraBranch> = branches.iter().cycle().take(count).collect();
                let mut input = MatmulInput::default();
                input.fill(cpu, format, &x, columns);
                let mut out = vec![f32::NAN; rows * outputs];
                matmul_ahead(cpu, &matrix, &input, &ahead, &mut out);
                assert_same_bits(&out, &expected, cpu, &format!("{format:?}, {count} ahead"));
            }
        }
    }
}

#[test]
fn a_row_does_not_depend_on_its_batch() {
    let (outputs, columns) = (70, 97);
    let mut numbers = Numbers::new(5);
    let weights = numbers.floats(outputs * columns);
    let x = numbers.floats(40 * columns);
    for format in FORMATS {
        let matrix = WeightMatrix::from_f32(format, columns, &[&weights]).unwrap();
        for cpu in &every_cpu() {
            let alone: Vec<f32> = x
                .chunks(columns)
                .flat_map(|x| product(cpu, &matrix, x))
                .collect();
            for rows in 1..=40 {
                let first = numbers.below(41 - rows);
                let batch = product(cpu, &matrix, &x[first * columns..][..rows * columns]);
                let alone = &alone[first * outputs..][..rows * outputs];
                assert_same_bits(&batch, alone, cpu, &format!("{format:?}, {rows} rows"));
            }
        }
    }
}

/// Every combination of extreme values keeps sums exact; Q8_0 may hold −128.
#[test]
fn extreme_weights_do_not_saturate() {
    let columns = 64;
    let patterns: [fn(usize) -> i8; 6] = [
        |_| -128,
        |_| 127,
        |column| if column % 2 == 0 { -128 } else { 127 },
        |column| if column % 4 < 2 { 127 } else { -127 },
        |_| 0,
        |column| column as i8 - 32,
    ];
    let block = |pattern: fn(usize) -> i8| {
        let mut bytes = Vec::new();
        for group in 0..columns / 32 {
            bytes.extend(f16::from_f32(0.5).to_le_bytes());
            bytes.extend((0..32).map(|it| pattern(group * 32 + it).cast_unsigned()));
        }
        bytes
    };
    let parts: Vec<Vec<u8>> = patterns.into_iter().map(block).collect();
    let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    let matrix = WeightMatrix::Int8(Int8Matrix::from_gguf(columns, &parts).unwrap());
    let x: Vec<f32> = (0..3)
        .flat_map(|row| {
            (0..columns).map(move |column| match row {
                0 => 1.0,
                1 => -1.0,
                _ => [1.0, -1.0][column % 2],
            })
        })
        .collect();
    let expected: Vec<f32> = x
        .chunks(columns)
        .flat_map(|x| {
            let x = reference::activations(x);
            patterns.map(move |pattern| {
                let group = |group: usize| Group {
                    scale: 0.5,
                    values: (0..32)
                        .map(|it| i32::from(pattern(group * 32 + it)))
                        .collect(),
                };
                reference::grouped_product(&x, &[group(0), group(1)])
            })
        })
        .collect();
    for cpu in &every_cpu() {
        assert_same_bits(
            &product(cpu, &matrix, &x),
            &expected,
            cpu,
            "extreme weights",
        );
    }
}

/// All sixteen values of Q4_0 against activations of ±127 in every place.
#[test]
fn four_bit_sums_are_exact_at_their_limits() {
    let mut bytes = Vec::new();
    for value in [0x00_u8, 0xff, 0x0f, 0xf0, 0x88] {
        bytes.extend(f16::from_f32(-0.25).to_le_bytes());
        bytes.extend([value; 16]);
    }
    let matrix = WeightMatrix::Int4(Int4Matrix::from_gguf(32, &[&bytes]).unwrap());
    for sign in [1.0, -1.0] {
        let x = vec![sign; 32];
        // Sums of all weights: 32 × −8, 32 × 7, 16 × (7 − 8) twice, and 0.
        let expected = [-256, 224, -16, -16, 0].map(|sum| {
            let sum = (sum * 127) as f32 * sign;
            (1.0_f32 / 127.0 * -0.25).mul_add(sum, 0.0)
        });
        for cpu in &every_cpu() {
            assert_same_bits(&product(cpu, &matrix, &x), &expected, cpu, "Q4_0 limits");
        }
    }
}

#[test]
fn gguf_blocks_are_taken_over_without_loss() {
    let mut numbers = Numbers::new(9);
    let (outputs, columns) = (21, 96);
    let scale = |numbers: &mut Numbers| f16::from_f32(numbers.float());
    let (mut q8, mut q4) = (Vec::new(), Vec::new());
    let (mut expected8, mut expected4) = (Vec::new(), Vec::new());
    for _ in 0..outputs * columns / 32 {
        let d = scale(&mut numbers);
        let values: Vec<u8> = (0..32).map(|_| numbers.bits() as u8).collect();
        q8.extend(d.to_le_bytes());
        q8.extend(&values);
        expected8.extend(
            values
                .iter()
                .map(|it| d.to_f32() * f32::from(it.cast_signed())),
        );
        q4.extend(d.to_le_bytes());
        q4.extend(&values[..16]);
        let nibble = |it: u8| d.to_f32() * (f32::from(it) - 8.0);
        expected4.extend(values[..16].iter().map(|it| nibble(it & 15)));
        expected4.extend(values[..16].iter().map(|it| nibble(it >> 4)));
    }
    // Two parts of one matrix.
    let (first8, second8) = q8.split_at(5 * columns / 32 * 34);
    let int8 = WeightMatrix::Int8(Int8Matrix::from_gguf(columns, &[first8, second8]).unwrap());
    let int4 = WeightMatrix::Int4(Int4Matrix::from_gguf(columns, &[&q4]).unwrap());
    for (matrix, expected) in [(int8, expected8), (int4, expected4)] {
        assert_eq!((matrix.outputs(), matrix.columns()), (outputs, columns));
        let mut row = vec![0.0; columns];
        for (output, expected) in expected.chunks(columns).enumerate() {
            matrix.read_row(output, &mut row);
            assert_eq!(row, expected, "{:?}, output {output}", matrix.format());
        }
    }
}

#[test]
fn a_matrix_reads_its_rows_back() {
    let weights = Numbers::new(3).floats(35 * 50);
    for format in FORMATS {
        let (first, second) = weights.split_at(20 * 50);
        let matrix = WeightMatrix::from_f32(format, 50, &[first, second]).unwrap();
        for (output, weights) in weights.chunks(50).enumerate() {
            let mut row = vec![0.0; 50];
            matrix.read_row(output, &mut row);
            let groups = |groups: Vec<Group>| {
                let values = groups.into_iter().flat_map(|group| {
                    let value = move |it: &i32| group.scale * *it as f32;
                    group.values.iter().map(value).collect::<Vec<_>>()
                });
                values.take(50).collect::<Vec<f32>>()
            };
            let expected = match format {
                WeightFormat::Int8 => groups(reference::int8_weights(weights)),
                WeightFormat::Int4 => groups(reference::int4_weights(weights)),
                WeightFormat::F32 => weights.to_vec(),
            };
            assert_eq!(row, expected, "{format:?}, output {output}");
        }
    }
    let int8 = WeightMatrix::from_f32(WeightFormat::Int8, 64, &[&[0.5; 64 * 32]]).unwrap();
    assert_eq!(int8.bytes(), 64 * 32 + 2 * 2 * 32);
}

/// Activations that are tiny, zero, infinite or not numbers.
#[test]
fn broken_activations_show_and_stay_in_their_row() {
    let weights = Numbers::new(1).floats(20 * 64);
    let matrix = WeightMatrix::from_f32(WeightFormat::Int8, 64, &[&weights]).unwrap();
    for value in [f32::NAN, f32::INFINITY, -f32::NAN, 1e-31, 0.0, 1e-38, 3e38] {
        let mut x = Numbers::new(2).floats(3 * 64);
        x[64..128].fill(value);
        let expected = expected(WeightFormat::Int8, &weights, &x, 64);
        assert_eq!(expected[20].is_nan(), !value.is_finite());
        for cpu in &every_cpu() {
            let found = product(cpu, &matrix, &x);
            for (found, expected) in found.iter().zip(&expected) {
                let same = found.to_bits() == expected.to_bits();
                assert!(
                    same || found.is_nan() && expected.is_nan(),
                    "{found} for {expected}"
                );
            }
        }
    }
}

#[test]
fn weights_that_do_not_fit_are_refused() {
    let message = |result: Result<WeightMatrix, KernelError>| result.unwrap_err().to_string();
    let from =
        |format, columns, part: &[f32]| message(WeightMatrix::from_f32(format, columns, &[part]));
    assert_eq!(
        from(WeightFormat::F32, 3, &[0.0; 7]),
        "a part of the weights has 7 values; expected rows of 3"
    );
    assert_eq!(
        from(WeightFormat::Int8, 40, &[1e9; 80]),
        "row 0 of the weights needs scale inf from column 0 on; expected a finite half-precision number"
    );
    let mut weights = [0.5; 80];
    weights[79] = f32::NAN;
    assert_eq!(
        from(WeightFormat::Int4, 40, &weights),
        "row 1 of the weights needs scale NaN from column 32 on; expected a finite half-precision number"
    );
    let q8 = |columns, part: &[u8]| {
        message(Int8Matrix::from_gguf(columns, &[part]).map(WeightMatrix::Int8))
    };
    assert_eq!(
        q8(40, &[0; 34]),
        "rows of 40 weights are not whole groups of 32"
    );
    assert_eq!(
        q8(64, &[0; 34]),
        "a part of the GGUF weights has 34 bytes; expected rows of 68"
    );
    let mut block = [0; 34];
    block[..2].copy_from_slice(&f16::INFINITY.to_le_bytes());
    assert_eq!(
        q8(32, &block),
        "row 0 of the weights needs scale inf from column 0 on; expected a finite half-precision number"
    );
}

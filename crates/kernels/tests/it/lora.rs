//! LoRA branches: mixed adapters in one batch, odd ranks and widths, both precisions.

use std::ops::Range;

use half::bf16;
use openlora_kernels::{BranchShape, ColumnsRef, FactorPrecision, LoraBranch, LoraRows, add_lora};

use crate::{
    reference,
    support::{Numbers, assert_same_bits, every_cpu},
};

struct Adapter {
    shape: BranchShape,
    /// As kept: rounded where the precision rounds.
    a: Vec<f32>,
    b: Vec<f32>,
    branch: LoraBranch,
}

fn adapter(numbers: &mut Numbers, shape: BranchShape, precision: FactorPrecision) -> Adapter {
    let keep = |values: Vec<f32>| match precision {
        FactorPrecision::F32 => values,
        FactorPrecision::Bf16 => values
            .iter()
            .map(|it| bf16::from_f32(*it).to_f32())
            .collect(),
    };
    let (a, b) = (
        numbers.floats(shape.rank * shape.inputs),
        numbers.floats(shape.rank * shape.outputs),
    );
    Adapter {
        shape,
        branch: LoraBranch::new(shape, &a, &b, precision).unwrap(),
        a: keep(a),
        b: keep(b),
    }
}

#[test]
fn every_row_gets_its_own_adapter() {
    let mut numbers = Numbers::new(21);
    for (inputs, outputs) in [(1, 1), (16, 48), (33, 17), (64, 70), (100, 64)] {
        let ranks = [1, 2, 3, 4, 5, 8, 16, 31, 64, 256];
        let adapters: Vec<Adapter> = ranks
            .iter()
            .enumerate()
            .map(|(index, rank)| {
                let shape = BranchShape {
                    rank: *rank,
                    inputs,
                    outputs,
                    scale: 2.0 / *rank as f32,
                };
                let precision = [FactorPrecision::F32, FactorPrecision::Bf16][index % 2];
                adapter(&mut numbers, shape, precision)
            })
            .collect();
        let (stride, column, rows) = (outputs + 7, 4, 2 * ranks.len() + 3);
        let x = numbers.floats(rows * (inputs + 2));
        let before = numbers.floats(rows * stride);
        // Rows 1 and 2 of the first adapter, and so on; the first and the last two have none.
        let range = |index: usize| 2 * index + 1..2 * index + 3;
        let mut expected = before.clone();
        for (index, adapter) in adapters.iter().enumerate() {
            for row in range(index) {
                let x = &x[row * (inputs + 2) + 1..][..inputs];
                let out = &mut expected[row * stride + column..][..outputs];
                let BranchShape { rank, scale, .. } = adapter.shape;
                reference::add_lora(x, &adapter.a, &adapter.b, rank, scale, out);
            }
        }
        let entry = |index: usize, rows: Range<usize>| LoraRows {
            rows,
            branch: &adapters[index].branch,
            column,
        };
        let together: Vec<LoraRows<'_>> = (0..ranks.len()).map(|it| entry(it, range(it))).collect();
        let alone = (0..ranks.len()).flat_map(|it| range(it).map(move |row| (it, row)));
        let alone: Vec<LoraRows<'_>> = alone.map(|(it, row)| entry(it, row..row + 1)).collect();
        let columns = ColumnsRef {
            data: &x,
            stride: inputs + 2,
            start: 1,
        };
        for cpu in &every_cpu() {
            for entries in [&together, &alone] {
                let mut out = before.clone();
                add_lora(cpu, entries, columns, &mut out, stride);
                assert_same_bits(&out, &expected, cpu, &format!("{inputs} to {outputs}"));
            }
        }
    }
}

#[test]
fn two_branches_of_a_row_are_added_in_order() {
    let mut numbers = Numbers::new(22);
    let shape = BranchShape {
        rank: 3,
        inputs: 40,
        outputs: 20,
        scale: 0.5,
    };
    let first = adapter(&mut numbers, shape, FactorPrecision::F32);
    let second = adapter(&mut numbers, shape, FactorPrecision::F32);
    let (x, before) = (numbers.floats(40), numbers.floats(50));
    let mut expected = before.clone();
    reference::add_lora(&x, &first.a, &first.b, 3, 0.5, &mut expected[..20]);
    reference::add_lora(&x, &second.a, &second.b, 3, 0.5, &mut expected[30..]);
    let entries = [(&first, 0), (&second, 30)].map(|(adapter, column)| LoraRows {
        rows: 0..1,
        branch: &adapter.branch,
        column,
    });
    for cpu in &every_cpu() {
        let mut out = before.clone();
        add_lora(cpu, &entries, ColumnsRef::all(&x, 40), &mut out, 50);
        assert_same_bits(&out, &expected, cpu, "two branches");
    }
}

/// Ties, the greatest numbers and what is no number are rounded as everywhere.
#[test]
fn factors_are_rounded_to_nearest_even() {
    let tie = |above: u32| f32::from_bits(0x3f80_0000 | above << 16 | 0x8000);
    let mut values = vec![
        tie(0),
        tie(1),
        -tie(0),
        -tie(1),
        f32::MAX,
        f32::MIN,
        0.0,
        -0.0,
    ];
    values.extend([
        f32::MIN_POSITIVE,
        f32::from_bits(0x7fff),
        f32::from_bits(0x8001),
    ]);
    values.extend([f32::INFINITY, f32::NEG_INFINITY, f32::NAN]);
    values.push(f32::from_bits(0x7f80_0001));
    values.extend(Numbers::new(23).floats(40));
    let shape = BranchShape {
        rank: 1,
        inputs: 1,
        outputs: values.len(),
        scale: 1.0,
    };
    let branch = LoraBranch::new(shape, &[1.0], &values, FactorPrecision::Bf16).unwrap();
    for cpu in &every_cpu() {
        let entry = LoraRows {
            rows: 0..1,
            branch: &branch,
            column: 0,
        };
        let mut out = vec![0.0; values.len()];
        add_lora(
            cpu,
            &[entry],
            ColumnsRef::all(&[1.0], 1),
            &mut out,
            values.len(),
        );
        for (found, value) in out.iter().zip(&values) {
            let expected = bf16::from_f32(*value).to_f32();
            let same = *found == expected || found.is_nan() && expected.is_nan();
            assert!(same, "{value:e}: {found:e} instead of {expected:e}");
        }
    }
}

#[test]
fn factors_that_do_not_fit_are_refused() {
    let shape = BranchShape {
        rank: 2,
        inputs: 3,
        outputs: 4,
        scale: 1.0,
    };
    let new = |shape, a: &[f32], b: &[f32]| {
        let result = LoraBranch::new(shape, a, b, FactorPrecision::F32);
        result
            .map(|it| (it.shape(), it.bytes()))
            .map_err(|it| it.to_string())
    };
    assert_eq!(new(shape, &[0.0; 6], &[0.0; 8]), Ok((shape, 2 * 2 * 64)));
    assert_eq!(
        new(shape, &[0.0; 5], &[0.0; 8]),
        Err("LoRA factor A has 5 values; expected 6".to_owned())
    );
    assert_eq!(
        new(shape, &[0.0; 6], &[0.0; 9]),
        Err("LoRA factor B has 9 values; expected 8".to_owned())
    );
    for rank in [0, 257] {
        let shape = BranchShape { rank, ..shape };
        assert_eq!(
            new(shape, &[], &[]),
            Err(format!("the LoRA rank is {rank}; expected 1 to 256"))
        );
    }
}

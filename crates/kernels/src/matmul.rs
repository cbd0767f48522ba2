//! Products of activations and a packed matrix.

mod float;
mod grouped;

use std::ops::Range;

use crate::{Cpu, LoraBranch, MatmulInput, WeightMatrix, cpu::TASKS_PER_THREAD, lanes::LANES};

/// `out` = `input` × `matrix`ᵀ, `[rows, outputs]`.
///
/// Quantised formats: for each group of 32 columns in order, the int8 products are summed exactly,
/// and `acc = fma(scale of the input × scale of the weights, sum, acc)` from zero; the product of
/// the scales is rounded once. F32: per group of 32 columns, `s = fma(weight, x, s)` from zero in
/// column order, then `acc = acc + s`.
///
/// # Panics
/// If `input` was filled for another format or width, or `out` is not `[rows, outputs]`.
pub fn matmul(cpu: &Cpu, matrix: &WeightMatrix, input: &MatmulInput, out: &mut [f32]) {
    matmul_ahead(cpu, matrix, input, &[], out);
}

/// As [`matmul`]. Meanwhile the caches are filled with the factors of `ahead`, which the caller adds
/// soon: [`add_lora`](crate::add_lora) waits for memory when each row has another adapter.
///
/// # Panics
/// As [`matmul`].
pub fn matmul_ahead(
    cpu: &Cpu,
    matrix: &WeightMatrix,
    input: &MatmulInput,
    ahead: &[&LoraBranch],
    out: &mut [f32],
) {
    assert_eq!(input.columns, matrix.columns(), "columns of the input");
    assert_eq!(
        input.quantised,
        !matches!(matrix, WeightMatrix::F32(_)),
        "form of the input"
    );
    assert_eq!(
        out.len(),
        input.rows * matrix.outputs(),
        "values of the output"
    );
    let parts = OutputPanels::split(out, matrix.outputs(), parts_of(cpu, matrix, input.rows));
    let each = ahead.len().div_ceil(parts.len().max(1)).max(1);
    let mut shares = ahead.chunks(each);
    let share = |out| (out, shares.next().unwrap_or_default());
    let tasks = parts.into_iter().map(share).collect();
    match matrix {
        WeightMatrix::Int8(matrix) => cpu.run_tasks(tasks, |(out, ahead)| {
            cpu.run(grouped::GroupedProduct {
                matrix,
                input,
                ahead,
                out,
            });
        }),
        WeightMatrix::Int4(matrix) => cpu.run_tasks(tasks, |(out, ahead)| {
            cpu.run(grouped::GroupedProduct {
                matrix,
                input,
                ahead,
                out,
            });
        }),
        // The weights themselves come from memory all the time.
        WeightMatrix::F32(matrix) => cpu.run_tasks(tasks, |(out, _)| {
            cpu.run(float::FloatProduct { matrix, input, out });
        }),
    }
}

/// Bytes between the weights in use and those that are asked for. Weights come from memory, in order,
/// and arithmetic alone does not keep enough of them on the way.
const PREFETCH: usize = 8192;
/// Multiplications that justify a task of their own.
const TASK: usize = 1 << 16;

fn parts_of(cpu: &Cpu, matrix: &WeightMatrix, rows: usize) -> usize {
    match cpu.threads() {
        1 => 1,
        threads => {
            let work = matrix.outputs() * matrix.columns() * rows;
            (work / TASK).clamp(1, threads * TASKS_PER_THREAD)
        }
    }
}

/// Some panels of every row of an output.
struct OutputPanels<'a> {
    panels: Range<usize>,
    /// The panels' columns of each row.
    rows: Vec<&'a mut [f32]>,
}

impl<'a> OutputPanels<'a> {
    /// Splits the columns of `out`, `[rows, outputs]`, into at most `parts` parts of whole pairs of
    /// panels.
    fn split(out: &'a mut [f32], outputs: usize, parts: usize) -> Vec<Self> {
        if outputs == 0 {
            return Vec::new();
        }
        let panels = outputs.div_ceil(LANES);
        let each = panels.div_ceil(parts).next_multiple_of(2);
        let rows = out.len() / outputs;
        let range = |part: usize| part * each..((part + 1) * each).min(panels);
        let mut split: Vec<Self> = (0..panels.div_ceil(each))
            .map(|part| Self {
                panels: range(part),
                rows: Vec::with_capacity(rows),
            })
            .collect();
        for row in out.chunks_mut(outputs) {
            for (part, columns) in split.iter_mut().zip(row.chunks_mut(each * LANES)) {
                part.rows.push(columns);
            }
        }
        split
    }
}

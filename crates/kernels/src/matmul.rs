//! Products of activations and a packed matrix.

use crate::{Cpu, F32Matrix, GROUP, Int4Matrix, Int8Matrix, MatmulInput, WeightMatrix};

/// `out` = `input` × `matrix`ᵀ, [rows, outputs].
///
/// Quantised formats: for each group of 32 columns in order, the int8 products are summed exactly,
/// and `acc = fma(scale of the input × scale of the weights, sum, acc)` from zero; the product of
/// the scales is rounded once. F32: per group of 32 columns, `s = fma(weight, x, s)` from zero in
/// column order, then `acc = acc + s`.
///
/// # Panics
/// If `input` was filled for another format or width, or `out` is not [rows, outputs].
pub fn matmul(cpu: &Cpu, matrix: &WeightMatrix, input: &MatmulInput, out: &mut [f32]) {
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
    let _ = cpu;
    for (row, out) in out.chunks_mut(matrix.outputs()).enumerate() {
        for (output, value) in out.iter_mut().enumerate() {
            *value = match matrix {
                WeightMatrix::Int8(matrix) => int8(matrix, input, row, output),
                WeightMatrix::Int4(matrix) => int4(matrix, input, row, output),
                WeightMatrix::F32(matrix) => float(matrix, input, row, output),
            };
        }
    }
}

fn int8(matrix: &Int8Matrix, input: &MatmulInput, row: usize, output: usize) -> f32 {
    let groups = matrix.shape.groups();
    let (panel, lane) = (output / 16, output % 16);
    (0..groups).fold(0.0, |acc, group| {
        let place = panel * groups + group;
        let values = &input.values[(row * groups + group) * GROUP..][..GROUP];
        let products = values.iter().enumerate().map(|(column, value)| {
            let weight = matrix.blocks[place].0[column / 4][lane * 4 + column % 4];
            i32::from(*value) * i32::from(weight)
        });
        let scale = input.scales[row * groups + group] * matrix.scales[place][lane].to_f32();
        scale.mul_add(products.sum::<i32>() as f32, acc)
    })
}

fn int4(matrix: &Int4Matrix, input: &MatmulInput, row: usize, output: usize) -> f32 {
    let groups = matrix.shape.groups();
    let (panel, lane) = (output / 16, output % 16);
    (0..groups).fold(0.0, |acc, group| {
        let place = panel * groups + group;
        let values = &input.values[(row * groups + group) * GROUP..][..GROUP];
        let products = values.iter().enumerate().map(|(column, value)| {
            let pair = column % 16;
            let byte = matrix.blocks[place].0[pair / 4][lane * 4 + pair % 4];
            let half = if column < 16 { byte & 15 } else { byte >> 4 };
            i32::from(*value) * (i32::from(half) - 8)
        });
        let scale = input.scales[row * groups + group] * matrix.scales[place][lane].to_f32();
        scale.mul_add(products.sum::<i32>() as f32, acc)
    })
}

fn float(matrix: &F32Matrix, input: &MatmulInput, row: usize, output: usize) -> f32 {
    let columns = matrix.shape.columns;
    let x = &input.floats[row * columns..][..columns];
    let lines = &matrix.lines[output / 16 * columns..][..columns];
    let groups = x.chunks(GROUP).zip(lines.chunks(GROUP));
    groups.fold(0.0, |acc, (x, lines)| {
        let products = x.iter().zip(lines);
        acc + products.fold(0.0, |sum, (x, line)| line.0[output % 16].mul_add(*x, sum))
    })
}

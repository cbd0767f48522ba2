//! Operations on each value of a row: gated SiLU, softmax, residual sums, biases.

use crate::{
    Cpu,
    exp::exp,
    lanes::{LANES, LaneKernel, Lanes},
};

/// SwiGLU's product. Rows of `gate_up` are `[gate | up]`, each `columns` wide; `out` is
/// `[rows, columns]`: `(gate / (1 + exp(−gate))) × up`.
///
/// # Panics
/// If the buffers are not as many rows.
pub fn silu_mul(cpu: &Cpu, gate_up: &[f32], columns: usize, out: &mut [f32]) {
    assert!(
        gate_up.len() == 2 * out.len() && columns > 0 && out.len().is_multiple_of(columns),
        "rows of {columns} values"
    );
    // An exponential costs as much as some values read.
    cpu.for_row_blocks(out, columns, 4 * columns, |first, out| {
        let gate_up = &gate_up[2 * first * columns..][..2 * out.len()];
        cpu.run(SiluProduct {
            gate_up,
            columns,
            out,
        });
    });
}

struct SiluProduct<'a> {
    gate_up: &'a [f32],
    columns: usize,
    out: &'a mut [f32],
}

impl LaneKernel for SiluProduct<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let rows = self.gate_up.chunks(2 * self.columns);
        for (row, out) in rows.zip(self.out.chunks_mut(self.columns)) {
            let (gate, up) = row.split_at(self.columns);
            let blocks = gate.chunks(LANES).zip(up.chunks(LANES));
            for ((gate, up), out) in blocks.zip(out.chunks_mut(LANES)) {
                let gate = L::load_part(gate, 0.0);
                let below = exp(L::zero().sub(gate)).add(L::splat(1.0));
                let product = gate.div(below).mul(L::load_part(up, 0.0));
                product.store_part(out);
            }
        }
    }
}

/// `x` = `x` + `y`, value by value.
///
/// # Panics
/// If they differ in length.
pub fn add_rows(cpu: &Cpu, x: &mut [f32], y: &[f32]) {
    assert_eq!(x.len(), y.len(), "values of both operands");
    cpu.for_row_blocks(x, 1, 1, |first, x| {
        let y = &y[first..][..x.len()];
        cpu.run(Sum { x, y });
    });
}

/// Adds `bias`, `[columns]`, to each row of `x`, `[rows, columns]`.
///
/// # Panics
/// If `x` is not whole rows.
pub fn add_bias(cpu: &Cpu, x: &mut [f32], bias: &[f32]) {
    let columns = bias.len();
    assert!(
        columns > 0 && x.len().is_multiple_of(columns),
        "rows of {columns} values"
    );
    cpu.for_row_blocks(x, columns, columns, |_, rows| {
        for x in rows.chunks_mut(columns) {
            cpu.run(Sum { x, y: bias });
        }
    });
}

struct Sum<'a> {
    x: &'a mut [f32],
    y: &'a [f32],
}

impl LaneKernel for Sum<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        for (x, y) in self.x.iter_mut().zip(self.y) {
            *x += y;
        }
    }
}

/// Replaces a row of logits by its probabilities: `exp(x − m) / sum` with `m` the greatest logit.
/// Terms are summed in 16 lanes (index modulo 16), the lanes by a tree. Runs on this thread.
pub fn softmax(cpu: &Cpu, row: &mut [f32]) {
    cpu.run(Softmax { row });
}

struct Softmax<'a> {
    row: &'a mut [f32],
}

impl LaneKernel for Softmax<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let ExpSum { greatest, sum } = exp_sum::<L>(self.row);
        for block in self.row.chunks_mut(LANES) {
            let x = L::load_part(block, f32::NEG_INFINITY);
            let term = exp(x.sub(L::splat(greatest)));
            term.div(L::splat(sum)).store_part(block);
        }
    }
}

/// ln Σ exp(x) of a row of logits; a logit minus it is the token's log-probability. The sum is the
/// one of [`softmax`]; its logarithm is taken in f64. Runs on this thread.
pub fn log_sum_exp(cpu: &Cpu, row: &[f32]) -> f64 {
    let ExpSum { greatest, sum } = cpu.run(LogSumExp { row });
    f64::from(greatest) + libm::log(f64::from(sum))
}

struct LogSumExp<'a> {
    row: &'a [f32],
}

impl LaneKernel for LogSumExp<'_> {
    type Output = ExpSum;

    #[inline(always)]
    fn run<L: Lanes>(self) -> ExpSum {
        exp_sum::<L>(self.row)
    }
}

struct ExpSum {
    greatest: f32,
    /// Sum of exp(x − greatest).
    sum: f32,
}

#[inline(always)]
fn exp_sum<L: Lanes>(row: &[f32]) -> ExpSum {
    let mut greatest = L::splat(f32::NEG_INFINITY);
    for block in row.chunks(LANES) {
        greatest = L::load_part(block, f32::NEG_INFINITY).max(greatest);
    }
    let greatest = greatest.greatest();
    let mut sum = L::zero();
    for block in row.chunks(LANES) {
        let x = L::load_part(block, f32::NEG_INFINITY);
        sum = sum.add(exp(x.sub(L::splat(greatest))));
    }
    ExpSum {
        greatest,
        sum: sum.sum(),
    }
}

//! What the fixed order of operations costs: matrix products of this crate beside kernels that may
//! add in any order, on one thread.
//!
//! For int8, the rivals are kernels of this file for AVX-512: with other tiles, with several sums of
//! an output side by side, and with unsigned weights and f32 scales as they are multiplied. The
//! fastest of them counts for each number of rows. For f32, the rival is the `gemm` crate. The
//! matrices are those of SmolLM2-135M's blocks, so that weights come from memory.
//! `cargo bench -p openlora-kernels --bench free_order`

#![allow(clippy::print_stdout, reason = "prints its table")]
#![allow(clippy::unwrap_used, reason = "stops at the first surprise")]

use openlora_kernels::{Cpu, MatmulInput, WeightFormat, WeightMatrix, matmul};

const HIDDEN: usize = 576;
const FFN: usize = 1536;
const LAYERS: usize = 30;
/// Outputs and columns of a block's matrices.
const SHAPES: [MatrixShape; 4] = [
    MatrixShape::new(960, HIDDEN),
    MatrixShape::new(HIDDEN, HIDDEN),
    MatrixShape::new(2 * FFN, HIDDEN),
    MatrixShape::new(HIDDEN, FFN),
];
const ROUNDS: usize = 15;
/// Processor time of a sample, which the system counts in steps of milliseconds.
const SAMPLE: f64 = 0.05;

#[derive(Clone, Copy)]
struct MatrixShape {
    outputs: usize,
    columns: usize,
}

impl MatrixShape {
    const fn new(outputs: usize, columns: usize) -> Self {
        Self { outputs, columns }
    }
}

/// A product that is measured: `out` = `x` times each matrix of all blocks.
struct Rival<'a> {
    name: String,
    run: Box<dyn FnMut() + 'a>,
    samples: Vec<f64>,
}

impl<'a> Rival<'a> {
    fn new(name: &str, run: impl FnMut() + 'a) -> Self {
        Self {
            name: name.to_owned(),
            run: Box::new(run),
            samples: Vec::new(),
        }
    }

    fn sample(&mut self) {
        let (start, mut runs) = (processor_seconds(), 0.0);
        while processor_seconds() - start < SAMPLE {
            (self.run)();
            runs += 1.0;
        }
        self.samples.push((processor_seconds() - start) / runs);
    }

    fn median(&self) -> f64 {
        let mut sorted = self.samples.clone();
        sorted.sort_by(f64::total_cmp);
        sorted[sorted.len() / 2]
    }
}

/// Processor time of this thread, where Linux tells.
fn processor_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e9
}

fn noise(count: usize, seed: usize) -> Vec<f32> {
    let mut state = seed as u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 24) as f32 - 0.5
    };
    (0..count).map(|_| next()).collect()
}

fn weights(shape: MatrixShape) -> Vec<f32> {
    noise(shape.outputs * shape.columns, shape.outputs + shape.columns)
}

/// Measures by turns, and prints a line: the first one is this crate's.
fn compare(format: &str, rows: usize, rivals: &mut [Rival<'_>]) {
    for rival in &mut *rivals {
        (rival.run)();
    }
    for _ in 0..ROUNDS {
        rivals.iter_mut().for_each(Rival::sample);
    }
    let (shipped, free) = rivals.split_first().unwrap();
    let fastest = free.iter().min_by(|a, b| a.median().total_cmp(&b.median()));
    let fastest = fastest.unwrap();
    let ratios = shipped.samples.iter().zip(&fastest.samples);
    let mut costs: Vec<f64> = ratios.map(|(ours, free)| ours / free - 1.0).collect();
    costs.sort_by(f64::total_cmp);
    println!(
        "| {format} | {rows} | {:.2} ms | {:.2} ms | {} | {:+.0} % |",
        shipped.median() * 1e3,
        fastest.median() * 1e3,
        fastest.name,
        costs[costs.len() / 2] * 100.0
    );
}

fn shipped(format: WeightFormat) -> Vec<WeightMatrix> {
    let matrix = |shape: &MatrixShape| {
        WeightMatrix::from_f32(format, shape.columns, &[&weights(*shape)]).unwrap()
    };
    let layers = (0..LAYERS).flat_map(|_| &SHAPES);
    layers.map(matrix).collect()
}

fn widest(rows: usize) -> Vec<f32> {
    vec![0.0; rows * 2 * FFN]
}

fn shipped_run<'a>(
    cpu: &'a Cpu,
    matrices: &'a [WeightMatrix],
    format: WeightFormat,
    rows: usize,
) -> Rival<'a> {
    let input = |columns: usize| {
        let mut input = MatmulInput::default();
        input.fill(cpu, format, &noise(rows * columns, 7), columns);
        input
    };
    let (hidden, wide) = (input(HIDDEN), input(FFN));
    let mut out = widest(rows);
    Rival::new("shipped", move || {
        for matrix in matrices {
            let input = if matrix.columns() == FFN {
                &wide
            } else {
                &hidden
            };
            matmul(cpu, matrix, input, &mut out[..rows * matrix.outputs()]);
        }
    })
}

/// Weights as `[columns, outputs]`.
fn transposed(shape: MatrixShape) -> Vec<f32> {
    let weights = weights(shape);
    let mut turned = vec![0.0; weights.len()];
    for (output, row) in weights.chunks(shape.columns).enumerate() {
        for (column, weight) in row.iter().enumerate() {
            turned[column * shape.outputs + output] = *weight;
        }
    }
    turned
}

fn gemm_run(rows: usize) -> Rival<'static> {
    let layers = (0..LAYERS).flat_map(|_| SHAPES);
    let matrices: Vec<Vec<f32>> = layers.map(transposed).collect();
    let (x, mut out) = (noise(rows * FFN, 7), widest(rows));
    Rival::new("gemm", move || {
        for (matrix, shape) in matrices.iter().zip(SHAPES.iter().cycle()) {
            let (outputs, columns) = (shape.outputs as isize, shape.columns as isize);
            // SAFETY: sizes and strides describe the three buffers.
            unsafe {
                gemm::gemm(
                    rows,
                    shape.outputs,
                    shape.columns,
                    out.as_mut_ptr(),
                    1,
                    outputs,
                    false,
                    x.as_ptr(),
                    1,
                    columns,
                    matrix.as_ptr(),
                    1,
                    outputs,
                    0.0,
                    1.0,
                    false,
                    false,
                    false,
                    gemm::Parallelism::None,
                );
            }
        }
    })
}

fn main() {
    let cpu = Cpu::new(1);
    println!("{}, one thread, processor time", cpu.path());
    println!("| weights | rows | fixed order | any order | fastest kernel | cost of the order |");
    println!("| --- | --- | --- | --- | --- | --- |");
    #[cfg(target_arch = "x86_64")]
    if cpu.path() == openlora_kernels::CpuPath::Avx512 {
        let matrices = shipped(WeightFormat::Int8);
        for rows in [1, 8, 32, 128] {
            let mut rivals = vec![shipped_run(&cpu, &matrices, WeightFormat::Int8, rows)];
            rivals.extend(free::rivals(&cpu, rows));
            compare("int8", rows, &mut rivals);
        }
    }
    let matrices = shipped(WeightFormat::F32);
    for rows in [1, 8, 32, 128] {
        let ours = shipped_run(&cpu, &matrices, WeightFormat::F32, rows);
        compare("f32", rows, &mut [ours, gemm_run(rows)]);
    }
}

/// Int8 products that add in any order.
#[cfg(target_arch = "x86_64")]
#[allow(
    clippy::needless_range_loop,
    reason = "tiles of registers are indexed by row and column"
)]
mod free {
    use std::{arch::x86_64::*, sync::Arc};

    use openlora_kernels::{Cpu, GROUP, MatmulInput, WeightFormat, WeightMatrix, matmul};

    use super::{FFN, HIDDEN, LAYERS, MatrixShape, Rival, SHAPES, noise, weights, widest};

    const PANEL: usize = 16;
    /// Bytes between the weights in use and those that are asked for.
    const PREFETCH: usize = 8192;

    /// Sixteen outputs' weights of a group plus 128: four columns of each output at a time.
    #[derive(Clone, Copy)]
    #[repr(C, align(64))]
    struct FreeBlock {
        quads: [[u8; 4 * PANEL]; GROUP / 4],
        scales: [f32; PANEL],
    }

    struct FreeMatrix {
        shape: MatrixShape,
        /// `[panels, groups]`.
        blocks: Vec<FreeBlock>,
    }

    struct FreeGroup {
        quads: [i32; GROUP / 4],
        scale: f32,
        /// Sum of the values, times −128.
        bias: i32,
    }

    /// Rounds 32 values to steps of their greatest magnitude over 127.
    fn round(values: &[f32]) -> ([i8; GROUP], f32) {
        let greatest = values.iter().fold(0_f32, |most, it| most.max(it.abs()));
        let mut rounded = [0; GROUP];
        for (to, value) in rounded.iter_mut().zip(values) {
            *to = (value * (127.0 / greatest)).round_ties_even() as i8;
        }
        (rounded, greatest / 127.0)
    }

    impl FreeMatrix {
        fn new(shape: MatrixShape) -> Self {
            let groups = shape.columns / GROUP;
            let empty = FreeBlock {
                quads: [[0; 4 * PANEL]; GROUP / 4],
                scales: [0.0; PANEL],
            };
            let mut blocks = vec![empty; shape.outputs / PANEL * groups];
            for (output, row) in weights(shape).chunks(shape.columns).enumerate() {
                for (group, values) in row.chunks(GROUP).enumerate() {
                    let block = &mut blocks[output / PANEL * groups + group];
                    let (rounded, scale) = round(values);
                    block.scales[output % PANEL] = scale;
                    for (column, value) in rounded.into_iter().enumerate() {
                        let place = output % PANEL * 4 + column % 4;
                        block.quads[column / 4][place] = value.cast_unsigned() ^ 128;
                    }
                }
            }
            Self { shape, blocks }
        }

        fn groups(&self) -> usize {
            self.shape.columns / GROUP
        }
    }

    fn quantise(x: &[f32]) -> Vec<FreeGroup> {
        let group = |values: &[f32]| {
            let (rounded, scale) = round(values);
            let quads = rounded.as_chunks::<4>().0;
            FreeGroup {
                quads: std::array::from_fn(|quad| {
                    i32::from_le_bytes(quads[quad].map(i8::cast_unsigned))
                }),
                scale,
                bias: rounded.iter().map(|it| i32::from(*it)).sum::<i32>() * -128,
            }
        };
        x.chunks(GROUP).map(group).collect()
    }

    /// `R` rows by `C` panels, whose sums over groups are `CHAINS` sums side by side.
    #[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
    fn product<const R: usize, const C: usize, const CHAINS: usize>(
        matrix: &FreeMatrix,
        x: &[FreeGroup],
        out: &mut [f32],
    ) {
        let (groups, outputs) = (matrix.groups(), matrix.shape.outputs);
        let rows = out.len() / outputs;
        for panel in (0..outputs / PANEL).step_by(C) {
            let blocks = &matrix.blocks[panel * groups..];
            for row in (0..rows).step_by(R) {
                let mut acc = [[[_mm512_setzero_ps(); C]; R]; CHAINS];
                for group in 0..groups {
                    let mut sums = [[_mm512_setzero_si512(); C]; R];
                    for r in 0..R {
                        let bias = x[(row + r) * groups + group].bias;
                        sums[r] = [_mm512_set1_epi32(bias); C];
                    }
                    for step in 0..GROUP / 4 {
                        for c in 0..C {
                            let quads = &blocks[c * groups + group].quads[step];
                            let ahead = quads.as_ptr().wrapping_add(PREFETCH);
                            // SAFETY: a prefetch may name any address; the load is of 64 bytes.
                            let weights = unsafe {
                                _mm_prefetch::<_MM_HINT_T0>(ahead.cast());
                                _mm512_loadu_si512(quads.as_ptr().cast())
                            };
                            for r in 0..R {
                                let quad = x[(row + r) * groups + group].quads[step];
                                let quad = _mm512_set1_epi32(quad);
                                sums[r][c] = _mm512_dpbusd_epi32(sums[r][c], weights, quad);
                            }
                        }
                    }
                    for c in 0..C {
                        // SAFETY: the load is of sixteen floats.
                        let scales =
                            unsafe { _mm512_loadu_ps(blocks[c * groups + group].scales.as_ptr()) };
                        for r in 0..R {
                            let scale = _mm512_set1_ps(x[(row + r) * groups + group].scale);
                            let sum = _mm512_cvtepi32_ps(sums[r][c]);
                            let chain = &mut acc[group % CHAINS][r][c];
                            *chain = _mm512_fmadd_ps(_mm512_mul_ps(scale, scales), sum, *chain);
                        }
                    }
                }
                for r in 0..R {
                    for c in 0..C {
                        let mut sum = acc[0][r][c];
                        for chain in 1..CHAINS {
                            sum = _mm512_add_ps(sum, acc[chain][r][c]);
                        }
                        let out = &mut out[(row + r) * outputs + (panel + c) * PANEL..][..PANEL];
                        // SAFETY: the store is of sixteen floats.
                        unsafe { _mm512_storeu_ps(out.as_mut_ptr(), sum) };
                    }
                }
            }
        }
    }

    type Product = unsafe fn(&FreeMatrix, &[FreeGroup], &mut [f32]);

    struct FreeKernel {
        rows: usize,
        panels: usize,
        chains: usize,
        product: Product,
    }

    macro_rules! kernels {
        ($(($rows:literal, $panels:literal, $chains:literal)),*) => {
            [$(FreeKernel {
                rows: $rows,
                panels: $panels,
                chains: $chains,
                product: product::<$rows, $panels, $chains>,
            }),*]
        };
    }

    /// Panels divide every shape's outputs.
    const KERNELS: [FreeKernel; 14] = kernels![
        (1, 1, 1),
        (1, 1, 2),
        (1, 2, 1),
        (1, 2, 2),
        (1, 4, 1),
        (1, 4, 2),
        (4, 1, 2),
        (4, 2, 1),
        (4, 2, 2),
        (4, 4, 1),
        (8, 1, 1),
        (8, 1, 2),
        (8, 2, 1),
        (16, 1, 1)
    ];

    pub fn rivals(cpu: &Cpu, rows: usize) -> Vec<Rival<'static>> {
        let layers = (0..LAYERS).flat_map(|_| SHAPES);
        let matrices: Arc<Vec<FreeMatrix>> = Arc::new(layers.map(FreeMatrix::new).collect());
        check(cpu, &matrices[2], rows);
        let fitting = KERNELS.iter().filter(|it| rows.is_multiple_of(it.rows));
        fitting
            .map(|kernel| {
                let matrices = Arc::clone(&matrices);
                let x = |columns: usize| quantise(&noise(rows * columns, 7));
                let (hidden, wide, mut out) = (x(HIDDEN), x(FFN), widest(rows));
                let name = format!(
                    "{} × {} panels, {} sums",
                    kernel.rows, kernel.panels, kernel.chains
                );
                Rival::new(&name, move || {
                    for matrix in &*matrices {
                        let shape = matrix.shape;
                        let x = if shape.columns == FFN { &wide } else { &hidden };
                        let out = &mut out[..rows * shape.outputs];
                        // SAFETY: `main` has found AVX-512 with VNNI.
                        unsafe { (kernel.product)(matrix, x, out) };
                    }
                })
            })
            .collect()
    }

    /// All kernels compute this crate's product, up to rounding.
    fn check(cpu: &Cpu, matrix: &FreeMatrix, rows: usize) {
        let MatrixShape { outputs, columns } = matrix.shape;
        let x = noise(rows * columns, 7);
        let packed = weights(matrix.shape);
        let packed = WeightMatrix::from_f32(WeightFormat::Int8, columns, &[&packed]).unwrap();
        let mut input = MatmulInput::default();
        input.fill(cpu, WeightFormat::Int8, &x, columns);
        let mut wanted = vec![0.0; rows * outputs];
        matmul(cpu, &packed, &input, &mut wanted);
        let groups = quantise(&x);
        for kernel in KERNELS.iter().filter(|it| rows.is_multiple_of(it.rows)) {
            let mut found = vec![0.0; rows * outputs];
            // SAFETY: `main` has found AVX-512 with VNNI.
            unsafe { (kernel.product)(matrix, &groups, &mut found) };
            let most = wanted.iter().fold(0_f32, |most, it| most.max(it.abs()));
            for (found, wanted) in found.iter().zip(&wanted) {
                // The scales of this crate's weights are rounded to f16.
                assert!((found - wanted).abs() < 0.01 * most, "{found} {wanted}");
            }
        }
    }
}

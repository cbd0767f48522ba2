//! Speed of the kernels at the shapes of SmolLM2-135M, beside the memory's bandwidth and an f32
//! product of the `gemm` crate in the same run. `cargo bench -p openlora-kernels -- --threads 2`.

#![allow(clippy::print_stdout, reason = "prints its table")]
#![allow(clippy::unwrap_used, reason = "stops at the first surprise")]

use std::{hint::black_box, time::Instant};

use openlora_kernels::{Cpu, CpuPath, MatmulInput, WeightFormat, WeightMatrix, matmul};

/// Outputs and columns of the products of one layer, and the head.
const LAYER: [(&str, usize, usize); 4] = [
    ("qkv", 960, 576),
    ("o", 576, 576),
    ("gate+up", 3072, 576),
    ("down", 576, 1536),
];
const HEAD: (&str, usize, usize) = ("head", 49152, 576);
const LAYERS: usize = 30;
const ROWS: [usize; 7] = [1, 2, 4, 8, 32, 128, 400];

/// Medians of one call, out of at least seven.
struct Seconds {
    wall: f64,
    /// Processor time of all threads.
    cpu: f64,
}

fn median(mut call: impl FnMut()) -> Seconds {
    call();
    let (mut wall, mut cpu) = (Vec::new(), Vec::new());
    let start = Instant::now();
    while wall.len() < 7 || start.elapsed().as_secs_f64() < 0.3 {
        let (before, used) = (Instant::now(), processor_seconds());
        call();
        wall.push(before.elapsed().as_secs_f64());
        cpu.push(processor_seconds() - used);
    }
    let middle = |mut times: Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    };
    Seconds {
        wall: middle(wall),
        cpu: middle(cpu),
    }
}

/// Processor time of this process, to the nanosecond where Linux tells.
fn processor_seconds() -> f64 {
    let Ok(threads) = std::fs::read_dir("/proc/self/task") else {
        return 0.0;
    };
    let times = threads.flatten().map(|thread| {
        let text = std::fs::read_to_string(thread.path().join("schedstat")).unwrap_or_default();
        let first = text.split(' ').next().and_then(|it| it.parse::<u64>().ok());
        first.unwrap_or(0)
    });
    times.sum::<u64>() as f64 / 1e9
}

fn noise(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 24) as f32 - 0.5
    };
    (0..count).map(|_| next()).collect()
}

fn argument(name: &str) -> Option<String> {
    let mut arguments = std::env::args().skip_while(|it| it != name);
    arguments.nth(1)
}

fn matrices(format: WeightFormat) -> Vec<Vec<WeightMatrix>> {
    let build = |(_, outputs, columns): (&str, usize, usize)| {
        let weights = noise(outputs * columns, (outputs + columns) as u32);
        WeightMatrix::from_f32(format, columns, &[&weights]).unwrap()
    };
    let mut all: Vec<Vec<WeightMatrix>> = (0..LAYERS)
        .map(|_| LAYER.into_iter().map(build).collect())
        .collect();
    all.push(vec![build(HEAD)]);
    all
}

fn bandwidth(threads: usize) -> f64 {
    let data = vec![1_u64; 32 << 20];
    let seconds = median(|| {
        std::thread::scope(|scope| {
            for part in data.chunks(data.len() / threads) {
                scope.spawn(|| black_box(part.iter().copied().fold(0, u64::wrapping_add)));
            }
        });
    });
    size_of_val(&*data) as f64 / seconds.wall / 1e9
}

fn gemm_f32(threads: usize) -> f64 {
    let (m, k, n) = (400, 576, 1536);
    let (a, b, mut c) = (noise(m * k, 1), noise(k * n, 2), vec![0.0_f32; m * n]);
    let parallelism = match threads {
        1 => gemm::Parallelism::None,
        _ => gemm::Parallelism::Rayon(threads),
    };
    let seconds = median(|| {
        #[allow(unsafe_code, reason = "the crate's interface")]
        // SAFETY: sizes and strides describe the three buffers.
        unsafe {
            gemm::gemm(
                m,
                n,
                k,
                c.as_mut_ptr(),
                1,
                n as isize,
                false,
                a.as_ptr(),
                1,
                k as isize,
                b.as_ptr(),
                1,
                n as isize,
                0.0,
                1.0,
                false,
                false,
                false,
                parallelism,
            );
        }
    });
    (2 * m * k * n) as f64 / seconds.cpu * threads as f64 / 1e9
}

fn main() {
    let threads = argument("--threads").map_or(2, |it| it.parse().unwrap());
    let wanted = argument("--path");
    println!(
        "memory read {:.1} GB/s, gemm f32 {:.0} GFLOP/s",
        bandwidth(threads),
        gemm_f32(threads)
    );
    for path in CpuPath::ALL {
        if !path.is_supported() || wanted.as_ref().is_some_and(|it| *it != path.to_string()) {
            continue;
        }
        let cpu = Cpu::with_path(path, threads).unwrap();
        let slow = path == CpuPath::Scalar;
        for format in [WeightFormat::Int8, WeightFormat::Int4, WeightFormat::F32] {
            if argument("--format").is_some_and(|it| it != format!("{format:?}")) {
                continue;
            }
            let all = matrices(format);
            let bytes: usize = all.iter().flatten().map(WeightMatrix::bytes).sum();
            println!(
                "{path} {format:?} {threads} threads, {:.0} MB",
                bytes as f64 / 1e6
            );
            let rows = ROWS.into_iter().filter(|it| !slow || *it <= 4);
            for rows in rows {
                model(&cpu, &all, format, rows);
            }
        }
    }
}

/// One pass of all products, the head for one row of a prompt and for all rows of a batch.
fn model(cpu: &Cpu, all: &[Vec<WeightMatrix>], format: WeightFormat, rows: usize) {
    let threads = cpu.threads();
    let x = noise(rows * 1536, 7);
    let mut inputs = [
        MatmulInput::default(),
        MatmulInput::default(),
        MatmulInput::default(),
    ];
    let mut out = vec![0.0; rows.min(32) * HEAD.1 + rows * 3072];
    let mut operations = 0;
    let seconds = median(|| {
        operations = 0;
        for matrix in all.iter().flatten() {
            let rows = match matrix.outputs() > 8000 && rows > 32 {
                true => 1,
                false => rows,
            };
            let input = match (matrix.columns(), matrix.outputs() > 8000) {
                (_, true) => &mut inputs[2],
                (576, _) => &mut inputs[0],
                _ => &mut inputs[1],
            };
            if input.rows() != rows {
                input.fill(cpu, format, &x[..rows * matrix.columns()], matrix.columns());
            }
            matmul(cpu, matrix, input, &mut out[..rows * matrix.outputs()]);
            operations += 2 * rows * matrix.outputs() * matrix.columns();
        }
    });
    let Seconds { wall, cpu } = seconds;
    let cpu = cpu / threads as f64;
    println!(
        "  {rows:4} rows: {:8.3} ms, {:6.1} GOP/s, {:7.1} tokens/s of products alone; {:8.3} ms, {:6.1} GOP/s of processor time",
        wall * 1e3,
        operations as f64 / wall / 1e9,
        rows as f64 / wall,
        cpu * 1e3,
        operations as f64 / cpu / 1e9,
    );
}

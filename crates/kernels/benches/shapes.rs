//! Speed of the kernels at the shapes of SmolLM2-135M: single products, and whole passes of a model
//! made of them. The memory's bandwidth and an f32 product of the `gemm` crate are measured in the
//! same run. `cargo bench -p openlora-kernels -- --threads 2 --path AVX2 --format Int8`.

#![allow(clippy::print_stdout, reason = "prints its table")]
#![allow(clippy::unwrap_used, reason = "stops at the first surprise")]

use std::{hint::black_box, ops::Range, sync::Arc, time::Instant};

use openlora_kernels::{
    AttentionRows, AttentionShape, BranchShape, ColumnsRef, Cpu, CpuPath, FactorPrecision,
    HeadColumns, KvPage, KvPrecision, KvShape, LoraBranch, LoraRows, MatmulInput, PAGE_TOKENS,
    RopeTable, WeightFormat, WeightMatrix, add_lora, add_rows, attention, matmul, rms_norm,
    silu_mul,
};

const HIDDEN: usize = 576;
const FFN: usize = 1536;
const HEADS: usize = 9;
const KV: KvShape = KvShape {
    layers: LAYERS,
    kv_heads: 3,
    head_dim: 64,
    precision: KvPrecision::F16,
};
const QKV: usize = (HEADS + 2 * KV.kv_heads) * KV.head_dim;
const VOCABULARY: usize = 49152;
const LAYERS: usize = 30;

/// Times of one call, out of at least seven.
struct Seconds {
    /// The median.
    wall: f64,
    /// Mean processor time of all threads, over their number.
    busy: f64,
}

fn measure(threads: usize, mut call: impl FnMut()) -> Seconds {
    call();
    let mut times = Vec::new();
    let (start, used) = (Instant::now(), processor_seconds());
    while times.len() < 7 || start.elapsed().as_secs_f64() < 0.5 {
        let before = Instant::now();
        call();
        times.push(before.elapsed().as_secs_f64());
    }
    let busy = (processor_seconds() - used) / (threads * times.len()) as f64;
    times.sort_by(f64::total_cmp);
    Seconds {
        wall: times[times.len() / 2],
        busy,
    }
}

/// Processor time of this process, where Linux tells.
fn processor_seconds() -> f64 {
    let Ok(threads) = std::fs::read_dir("/proc/self/task") else {
        return f64::NAN;
    };
    let times = threads.flatten().map(|thread| {
        let text = std::fs::read_to_string(thread.path().join("schedstat")).unwrap_or_default();
        let first = text.split(' ').next().and_then(|it| it.parse::<u64>().ok());
        first.unwrap_or(0)
    });
    times.sum::<u64>() as f64 / 1e9
}

fn noise(count: usize, seed: usize) -> Vec<f32> {
    let mut state = seed as u32;
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

fn bandwidth(threads: usize) -> f64 {
    let data = vec![1_u64; 32 << 20];
    let seconds = measure(threads, || {
        std::thread::scope(|scope| {
            for part in data.chunks(data.len() / threads) {
                scope.spawn(|| black_box(part.iter().copied().fold(0, u64::wrapping_add)));
            }
        });
    });
    size_of_val(&*data) as f64 / seconds.wall / 1e9
}

fn gemm_f32(threads: usize) -> f64 {
    let (m, k, n) = (400, HIDDEN, FFN);
    let (a, b, mut c) = (noise(m * k, 1), noise(k * n, 2), vec![0.0_f32; m * n]);
    let parallelism = match threads {
        1 => gemm::Parallelism::None,
        _ => gemm::Parallelism::Rayon(threads),
    };
    let seconds = measure(threads, || {
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
    (2 * m * k * n) as f64 / seconds.busy / 1e9
}

struct Layer {
    qkv: WeightMatrix,
    out: WeightMatrix,
    gate_up: WeightMatrix,
    down: WeightMatrix,
}

struct Model {
    format: WeightFormat,
    layers: Vec<Layer>,
    norm: Vec<f32>,
    head: WeightMatrix,
    rope: RopeTable,
    /// Adapters of rank 8 on q, k, v and o, by layer.
    adapters: Vec<Vec<[LoraBranch; 4]>>,
}

impl Model {
    fn new(format: WeightFormat, adapters: usize) -> Self {
        let matrix = |outputs: usize, columns: usize| {
            let weights = noise(outputs * columns, outputs + columns);
            WeightMatrix::from_f32(format, columns, &[&weights]).unwrap()
        };
        let branch = |inputs: usize, outputs: usize| {
            let shape = BranchShape {
                rank: 8,
                inputs,
                outputs,
                scale: 2.0,
            };
            let (a, b) = (noise(8 * inputs, 1), noise(8 * outputs, 2));
            LoraBranch::new(shape, &a, &b, FactorPrecision::Bf16).unwrap()
        };
        let kv = KV.kv_heads * KV.head_dim;
        let layer = || [HIDDEN, kv, kv, HIDDEN].map(|outputs| branch(HIDDEN, outputs));
        Self {
            format,
            layers: (0..LAYERS)
                .map(|_| Layer {
                    qkv: matrix(QKV, HIDDEN),
                    out: matrix(HIDDEN, HIDDEN),
                    gate_up: matrix(2 * FFN, HIDDEN),
                    down: matrix(HIDDEN, FFN),
                })
                .collect(),
            norm: noise(HIDDEN, 3),
            head: matrix(VOCABULARY, HIDDEN),
            rope: RopeTable::new(KV.head_dim, 10_000.0, 2048),
            adapters: (0..adapters)
                .map(|_| (0..LAYERS).map(|_| layer()).collect())
                .collect(),
        }
    }

    fn bytes(&self) -> usize {
        let layer = |it: &Layer| {
            [&it.qkv, &it.out, &it.gate_up, &it.down]
                .map(|it| it.bytes())
                .iter()
                .sum::<usize>()
        };
        self.layers.iter().map(layer).sum::<usize>() + self.head.bytes()
    }
}

/// Rows of a pass: each sequence's share.
struct Batch {
    sequences: Vec<(Range<usize>, usize)>,
    rows: usize,
    pages: Vec<Vec<Arc<KvPage>>>,
    /// Rows whose logits are wanted.
    logits: usize,
}

impl Batch {
    /// `streams` sequences with `context` earlier positions, each with `rows` new ones.
    fn new(streams: usize, rows: usize, context: usize) -> Self {
        let sequence = |index: usize| (index * rows..(index + 1) * rows, context);
        let pages = |_| {
            let count = (context + rows).div_ceil(PAGE_TOKENS);
            (0..count).map(|_| Arc::new(KvPage::new(KV))).collect()
        };
        Self {
            sequences: (0..streams).map(sequence).collect(),
            rows: streams * rows,
            pages: (0..streams).map(pages).collect(),
            logits: streams,
        }
    }
}

/// Buffers of a pass.
#[derive(Default)]
struct Buffers {
    hidden: Vec<f32>,
    normed: Vec<f32>,
    qkv: Vec<f32>,
    mixed: Vec<f32>,
    added: Vec<f32>,
    gate_up: Vec<f32>,
    active: Vec<f32>,
    logits: Vec<f32>,
    input: MatmulInput,
}

impl Buffers {
    fn new(rows: usize, logits: usize) -> Self {
        let zeros = |width: usize| vec![0.0; rows * width];
        Self {
            hidden: noise(rows * HIDDEN, 5),
            normed: zeros(HIDDEN),
            qkv: zeros(QKV),
            mixed: zeros(HIDDEN),
            added: zeros(HIDDEN),
            gate_up: zeros(2 * FFN),
            active: zeros(FFN),
            logits: vec![0.0; logits * VOCABULARY],
            input: MatmulInput::default(),
        }
    }
}

fn pass(cpu: &Cpu, model: &Model, batch: &mut Batch, it: &mut Buffers) {
    for (index, layer) in model.layers.iter().enumerate() {
        attend(cpu, model, layer, index, batch, it);
        rms_norm(cpu, &it.hidden, &model.norm, 1e-5, &mut it.normed);
        it.input.fill(cpu, model.format, &it.normed, HIDDEN);
        matmul(cpu, &layer.gate_up, &it.input, &mut it.gate_up);
        silu_mul(cpu, &it.gate_up, FFN, &mut it.active);
        it.input.fill(cpu, model.format, &it.active, FFN);
        matmul(cpu, &layer.down, &it.input, &mut it.added);
        add_rows(cpu, &mut it.hidden, &it.added);
    }
    let rows = batch.logits * HIDDEN;
    rms_norm(
        cpu,
        &it.hidden[..rows],
        &model.norm,
        1e-5,
        &mut it.normed[..rows],
    );
    it.input.fill(cpu, model.format, &it.normed[..rows], HIDDEN);
    matmul(cpu, &model.head, &it.input, &mut it.logits);
}

fn attend(
    cpu: &Cpu,
    model: &Model,
    layer: &Layer,
    index: usize,
    batch: &mut Batch,
    it: &mut Buffers,
) {
    let (queries, keys) = (HEADS * KV.head_dim, KV.kv_heads * KV.head_dim);
    rms_norm(cpu, &it.hidden, &model.norm, 1e-5, &mut it.normed);
    it.input.fill(cpu, model.format, &it.normed, HIDDEN);
    matmul(cpu, &layer.qkv, &it.input, &mut it.qkv);
    let adapters = |places: &[(usize, usize)]| -> Vec<LoraRows<'_>> {
        let sequences = batch.sequences.iter().zip(model.adapters.iter().cycle());
        sequences
            .flat_map(|((rows, _), adapter)| {
                places.iter().map(|(module, column)| LoraRows {
                    rows: rows.clone(),
                    branch: &adapter[index][*module],
                    column: *column,
                })
            })
            .collect()
    };
    let places = [(0, 0), (1, queries), (2, queries + keys)];
    add_lora(
        cpu,
        &adapters(&places),
        ColumnsRef::all(&it.normed, HIDDEN),
        &mut it.qkv,
        QKV,
    );
    let positions: Vec<usize> = batch
        .sequences
        .iter()
        .flat_map(|(rows, position)| *position..position + rows.len())
        .collect();
    let columns = HeadColumns {
        start: 0,
        heads: HEADS + KV.kv_heads,
    };
    model.rope.rotate(cpu, &positions, &mut it.qkv, columns);
    for ((rows, position), pages) in batch.sequences.iter().zip(&mut batch.pages) {
        for (row, position) in rows.clone().zip(*position..) {
            let page = Arc::get_mut(&mut pages[position / PAGE_TOKENS]).unwrap();
            let row = &it.qkv[row * QKV + queries..][..2 * keys];
            let (key, value) = row.split_at(keys);
            page.store(index, position % PAGE_TOKENS, key, value);
        }
    }
    let sequences = batch.sequences.iter().zip(&batch.pages);
    let sequences: Vec<AttentionRows<'_>> = sequences
        .map(|((rows, position), pages)| AttentionRows {
            rows: rows.clone(),
            position: *position,
            pages,
        })
        .collect();
    let shape = AttentionShape {
        heads: HEADS,
        scale: 0.125,
        window: None,
    };
    let queries = ColumnsRef::all(&it.qkv, QKV);
    attention(cpu, shape, index, &sequences, queries, &mut it.mixed);
    it.input.fill(cpu, model.format, &it.mixed, HIDDEN);
    matmul(cpu, &layer.out, &it.input, &mut it.added);
    add_lora(
        cpu,
        &adapters(&[(3, 0)]),
        ColumnsRef::all(&it.mixed, HIDDEN),
        &mut it.added,
        HIDDEN,
    );
    add_rows(cpu, &mut it.hidden, &it.added);
}

fn show_pass(cpu: &Cpu, model: &Model, name: &str, mut batch: Batch) {
    if argument("--only").is_some_and(|it| !name.contains(&it)) {
        return;
    }
    let mut buffers = Buffers::new(batch.rows, batch.logits);
    let seconds = measure(cpu.threads(), || pass(cpu, model, &mut batch, &mut buffers));
    let rows = batch.rows as f64;
    println!(
        "  {name:34} {:8.2} ms {:8.1} tokens/s; {:8.2} ms {:8.1} tokens/s of processor time",
        seconds.wall * 1e3,
        rows / seconds.wall,
        seconds.busy * 1e3,
        rows / seconds.busy
    );
}

fn show_product(cpu: &Cpu, model: &Model, rows: usize) {
    if argument("--only").is_some_and(|it| it != "products") {
        return;
    }
    let x = noise(rows * FFN, 7);
    let (mut hidden, mut wide) = (MatmulInput::default(), MatmulInput::default());
    hidden.fill(cpu, model.format, &x[..rows * HIDDEN], HIDDEN);
    wide.fill(cpu, model.format, &x, FFN);
    let mut out = vec![0.0; rows * 2 * FFN];
    let mut product = |matrix: &WeightMatrix, input: &MatmulInput| {
        matmul(cpu, matrix, input, &mut out[..rows * matrix.outputs()]);
        2 * rows * matrix.outputs() * matrix.columns()
    };
    let mut operations = 0;
    let seconds = measure(cpu.threads(), || {
        operations = 0;
        for layer in &model.layers {
            operations += product(&layer.qkv, &hidden);
            operations += product(&layer.out, &hidden);
            operations += product(&layer.gate_up, &hidden);
            operations += product(&layer.down, &wide);
        }
    });
    println!(
        "  products of {rows:3} rows {:8.2} ms {:7.1} GOP/s; {:8.2} ms {:7.1} GOP/s of processor time",
        seconds.wall * 1e3,
        operations as f64 / seconds.wall / 1e9,
        seconds.busy * 1e3,
        operations as f64 / seconds.busy / 1e9
    );
}

fn main() {
    let threads = argument("--threads").map_or(2, |it| it.parse().unwrap());
    let (path, format) = (argument("--path"), argument("--format"));
    println!(
        "memory read {:.1} GB/s, gemm f32 {:.0} GFLOP/s of processor time",
        bandwidth(threads),
        gemm_f32(threads)
    );
    let paths = CpuPath::ALL.into_iter().filter(|it| it.is_supported());
    for path in paths.filter(|it| path.as_ref().is_none_or(|path| *path == it.to_string())) {
        let cpu = Cpu::with_path(path, threads).unwrap();
        let formats = [WeightFormat::Int8, WeightFormat::Int4, WeightFormat::F32];
        let chosen = |it: &WeightFormat| {
            format
                .as_ref()
                .is_none_or(|name| *name == format!("{it:?}"))
        };
        for format in formats.into_iter().filter(chosen) {
            show_format(&cpu, format);
        }
    }
}

/// All branches of a step of 32 rows.
fn show_branches(cpu: &Cpu, model: &Model, name: &str) {
    if argument("--only").is_some_and(|it| it != "branches") {
        return;
    }
    let x = noise(32 * HIDDEN, 1);
    let mut out = vec![0.0; 32 * QKV];
    let (queries, keys) = (HEADS * KV.head_dim, KV.kv_heads * KV.head_dim);
    let seconds = measure(cpu.threads(), || {
        for index in 0..LAYERS {
            for places in [&[(0, 0), (1, queries), (2, queries + keys)][..], &[(3, 0)]] {
                let adapters = (0..32).zip(model.adapters.iter().cycle());
                let entries: Vec<LoraRows<'_>> = adapters
                    .flat_map(|(row, adapter)| {
                        places.iter().map(move |(module, column)| LoraRows {
                            rows: row..row + 1,
                            branch: &adapter[index][*module],
                            column: *column,
                        })
                    })
                    .collect();
                add_lora(cpu, &entries, ColumnsRef::all(&x, HIDDEN), &mut out, QKV);
            }
        }
    });
    println!(
        "  {name:34} {:8.2} ms; {:8.2} ms of processor time",
        seconds.wall * 1e3,
        seconds.busy * 1e3
    );
}

fn show_format(cpu: &Cpu, format: WeightFormat) {
    let plain = Model::new(format, 0);
    let megabytes = plain.bytes() as f64 / 1e6;
    println!(
        "{} {format:?}, {} threads, {megabytes:.0} MB",
        cpu.path(),
        cpu.threads()
    );
    let slow = cpu.path() == CpuPath::Scalar;
    for rows in [1, 2, 4, 8, 32, 128, 400] {
        if rows <= 4 || !slow {
            show_product(cpu, &plain, rows);
        }
    }
    show_pass(cpu, &plain, "decode at 200", Batch::new(1, 1, 200));
    if slow {
        return;
    }
    show_pass(cpu, &plain, "decode at 2000", Batch::new(1, 1, 2000));
    show_pass(cpu, &plain, "prompt of 400", Batch::new(1, 400, 0));
    let adapted = Model::new(format, 32);
    for streams in [1, 8, 32] {
        let name = format!("{streams} streams at 200, each adapted");
        show_pass(cpu, &adapted, &name, Batch::new(streams, 1, 200));
    }
    let one = Model::new(format, 1);
    show_branches(cpu, &adapted, "branches of 32 adapters");
    show_branches(cpu, &one, "branches of one adapter");
    show_pass(
        cpu,
        &one,
        "32 streams at 200, one adapter",
        Batch::new(32, 1, 200),
    );
    show_pass(cpu, &plain, "32 streams at 200", Batch::new(32, 1, 200));
    show_pass(
        cpu,
        &adapted,
        "prompt of 400, adapted",
        Batch::new(1, 400, 0),
    );
}

//! The golden vectors of `native/1`, made by tests/data/make.py.

use std::{collections::BTreeMap, sync::Arc};

use openlora_kernels::{
    ARITHMETIC, AttentionRows, AttentionShape, BranchShape, ColumnsRef, Cpu, FactorPrecision,
    HeadColumns, KvPage, KvPrecision, KvShape, LoraBranch, LoraRows, MatmulInput, PAGE_TOKENS,
    RopeTable, WeightFormat, WeightMatrix, add_lora, attention, matmul, rms_norm, silu_mul,
    softmax,
};

use crate::support::{Numbers, bits, every_cpu};

type Vectors = BTreeMap<String, Vec<u32>>;

fn golden() -> Vectors {
    let line = |line: &str| {
        let (name, bits) = line.split_once(' ').unwrap();
        let bits = bits
            .split(' ')
            .map(|it| u32::from_str_radix(it, 16).unwrap());
        (name.to_owned(), bits.collect())
    };
    include_str!("../data/native-1.txt")
        .lines()
        .map(line)
        .collect()
}

#[test]
fn every_path_computes_the_golden_vectors() {
    assert_eq!(ARITHMETIC, "native/1");
    for cpu in &every_cpu() {
        let mut found = Vectors::new();
        let mut show = |name: &str, values: &[f32]| {
            found.insert(name.to_owned(), bits(values));
        };
        products(cpu, &mut show);
        pointwise(cpu, &mut show);
        branches(cpu, &mut show);
        attentions(cpu, &mut show);
        assert_eq!(
            found,
            golden(),
            "{} with {} threads",
            cpu.path(),
            cpu.threads()
        );
    }
}

fn products(cpu: &Cpu, show: &mut impl FnMut(&str, &[f32])) {
    let mut numbers = Numbers::new(1);
    let (weights, x) = (numbers.floats(5 * 70), numbers.floats(3 * 70));
    let formats = [
        ("int8", WeightFormat::Int8),
        ("int4", WeightFormat::Int4),
        ("f32", WeightFormat::F32),
    ];
    for (name, format) in formats {
        let matrix = WeightMatrix::from_f32(format, 70, &[&weights]).unwrap();
        if format != WeightFormat::F32 {
            let mut row = [0.0; 70];
            matrix.read_row(4, &mut row);
            show(&format!("{name}_row"), &row);
        }
        let mut input = MatmulInput::default();
        input.fill(cpu, format, &x, 70);
        let mut out = [0.0; 15];
        matmul(cpu, &matrix, &input, &mut out);
        show(&format!("{name}_product"), &out);
    }
}

fn pointwise(cpu: &Cpu, show: &mut impl FnMut(&str, &[f32])) {
    let mut numbers = Numbers::new(2);
    let mut scaled = |count: usize, factor: f32| -> Vec<f32> {
        numbers.floats(count).iter().map(|it| it * factor).collect()
    };
    let (x, weight) = (scaled(77, 1.0), scaled(77, 1.0));
    let mut out = [0.0; 77];
    rms_norm(cpu, &x, &weight, 1e-5, &mut out);
    show("rms_norm", &out);
    silu_mul(cpu, &scaled(2 * 37, 30.0), 37, &mut out[..37]);
    show("silu_mul", &out[..37]);
    let mut logits = scaled(41, 50.0);
    softmax(cpu, &mut logits);
    show("softmax", &logits);
    let mut heads = scaled(3 * 6, 1.0);
    let table = RopeTable::new(6, 10_000.0, 300);
    let columns = HeadColumns { start: 0, heads: 1 };
    table.rotate(cpu, &[0, 1, 299], &mut heads, columns);
    show("rope", &heads);
}

fn branches(cpu: &Cpu, show: &mut impl FnMut(&str, &[f32])) {
    let mut numbers = Numbers::new(3);
    let shape = BranchShape {
        rank: 3,
        inputs: 50,
        outputs: 7,
        scale: 0.7,
    };
    let (a, b) = (numbers.floats(3 * 50), numbers.floats(7 * 3));
    let (x, mut out) = (numbers.floats(50), numbers.floats(7));
    let branch = LoraBranch::new(shape, &a, &b, FactorPrecision::Bf16).unwrap();
    let entry = LoraRows {
        rows: 0..1,
        branch: &branch,
        column: 0,
    };
    add_lora(cpu, &[entry], ColumnsRef::all(&x, 50), &mut out, 7);
    show("lora", &out);
}

fn attentions(cpu: &Cpu, show: &mut impl FnMut(&str, &[f32])) {
    let mut numbers = Numbers::new(4);
    let shape = KvShape {
        layers: 1,
        kv_heads: 1,
        head_dim: 5,
        precision: KvPrecision::F16,
    };
    let mut pages = vec![KvPage::new(shape); 300_usize.div_ceil(PAGE_TOKENS)];
    for position in 0..300 {
        let (key, value) = (numbers.floats(5), numbers.floats(5));
        pages[position / PAGE_TOKENS].store(0, position % PAGE_TOKENS, &key, &value);
    }
    let pages: Vec<Arc<KvPage>> = pages.into_iter().map(Arc::new).collect();
    let queries = numbers.floats(10);
    for (name, window) in [("attention", None), ("attention_window", Some(40))] {
        let shape = AttentionShape {
            heads: 2,
            scale: 0.7,
            window,
        };
        let rows = AttentionRows {
            rows: 0..1,
            position: 299,
            pages: &pages,
        };
        let mut out = [0.0; 10];
        attention(
            cpu,
            shape,
            0,
            &[rows],
            ColumnsRef::all(&queries, 10),
            &mut out,
        );
        show(name, &out);
    }
}

//! Attention against the reference: page and chunk borders, windows, groups of heads, and batches.

use std::{ops::Range, sync::Arc};

use half::f16;
use openlora_kernels::{
    AttentionRows, AttentionShape, ColumnsRef, Cpu, KvPage, KvPrecision, KvShape, PAGE_TOKENS,
    attention,
};

use crate::{
    reference,
    support::{Numbers, assert_same_bits, every_cpu},
};

/// A sequence whose keys and values are known.
struct Sequence {
    shape: KvShape,
    pages: Vec<Arc<KvPage>>,
    /// As kept, by position and head of keys.
    keys: Vec<Vec<Vec<f32>>>,
    values: Vec<Vec<Vec<f32>>>,
    /// [positions, heads × head_dim].
    queries: Vec<f32>,
    heads: usize,
}

const LAYER: usize = 1;

impl Sequence {
    fn new(numbers: &mut Numbers, shape: KvShape, heads: usize, positions: usize) -> Self {
        let keep = |value: f32| match shape.precision {
            KvPrecision::F32 => value,
            KvPrecision::F16 => f16::from_f32(value).to_f32(),
        };
        let width = shape.kv_heads * shape.head_dim;
        let mut pages = vec![KvPage::new(shape); positions.div_ceil(PAGE_TOKENS)];
        let (mut keys, mut values) = (Vec::new(), Vec::new());
        let by_head = |row: &[f32]| {
            let head = |it: &[f32]| it.iter().copied().map(keep).collect::<Vec<f32>>();
            row.chunks(shape.head_dim).map(head).collect::<Vec<_>>()
        };
        for position in 0..positions {
            let key: Vec<f32> = numbers.floats(width).iter().map(|it| it * 4.0).collect();
            let value = numbers.floats(width);
            // Other layers hold something else.
            for layer in 0..shape.layers {
                let page = &mut pages[position / PAGE_TOKENS];
                let other = vec![layer as f32; width];
                let (key, value) = match layer == LAYER {
                    true => (&key, &value),
                    false => (&other, &other),
                };
                page.store(layer, position % PAGE_TOKENS, key, value);
            }
            keys.push(by_head(&key));
            values.push(by_head(&value));
        }
        // What lies behind the last position must not matter.
        let nan = vec![f32::NAN; width];
        for slot in positions..pages.len() * PAGE_TOKENS {
            pages[slot / PAGE_TOKENS].store(LAYER, slot % PAGE_TOKENS, &nan, &nan);
        }
        Self {
            shape,
            pages: pages.into_iter().map(Arc::new).collect(),
            keys,
            values,
            queries: numbers.floats(positions * heads * shape.head_dim),
            heads,
        }
    }

    fn width(&self) -> usize {
        self.heads * self.shape.head_dim
    }

    fn expected(&self, position: usize, shape: AttentionShape) -> Vec<f32> {
        let query = &self.queries[position * self.width()..][..self.width()];
        let start = (position + 1).saturating_sub(shape.window.unwrap_or(usize::MAX));
        let heads = query.chunks(self.shape.head_dim).enumerate();
        heads
            .flat_map(|(head, query)| {
                let head = head / (self.heads / self.shape.kv_heads);
                let of_head = |rows: &[Vec<Vec<f32>>]| {
                    rows[..=position]
                        .iter()
                        .map(|it| it[head].clone())
                        .collect::<Vec<_>>()
                };
                let (keys, values) = (of_head(&self.keys), of_head(&self.values));
                reference::attention(query, start, &keys, &values, shape.scale)
            })
            .collect()
    }

    fn found(&self, cpu: &Cpu, positions: Range<usize>, shape: AttentionShape) -> Vec<f32> {
        let width = self.width();
        let mut out = vec![0.0; positions.len() * width];
        let rows = AttentionRows {
            rows: 0..positions.len(),
            position: positions.start,
            pages: &self.pages,
        };
        let queries = ColumnsRef::all(&self.queries[positions.start * width..], width);
        attention(cpu, shape, LAYER, &[rows], queries, &mut out);
        out
    }
}

const SHAPES: [(KvShape, usize); 6] = {
    const fn shape(kv_heads: usize, head_dim: usize, precision: KvPrecision) -> KvShape {
        KvShape {
            layers: 3,
            kv_heads,
            head_dim,
            precision,
        }
    }
    [
        (shape(1, 1, KvPrecision::F32), 1),
        (shape(3, 64, KvPrecision::F32), 9),
        (shape(3, 64, KvPrecision::F16), 9),
        (shape(2, 24, KvPrecision::F16), 14),
        (shape(1, 80, KvPrecision::F32), 20),
        (shape(2, 33, KvPrecision::F32), 2),
    ]
};

fn attention_shape(heads: usize, window: Option<usize>) -> AttentionShape {
    AttentionShape {
        heads,
        scale: 0.7,
        window,
    }
}

#[test]
fn attention_equals_the_reference_at_every_length() {
    let mut numbers = Numbers::new(31);
    let cpus = every_cpu();
    for (kv, heads) in SHAPES {
        let sequence = Sequence::new(&mut numbers, kv, heads, 530);
        for window in [None, Some(1), Some(30), Some(256), Some(300), Some(1000)] {
            let shape = attention_shape(heads, window);
            for position in [
                0, 1, 15, 16, 31, 32, 100, 254, 255, 256, 257, 287, 511, 512, 529,
            ] {
                let expected = sequence.expected(position, shape);
                for cpu in &cpus {
                    let found = sequence.found(cpu, position..position + 1, shape);
                    let what = format!("{kv:?}, window {window:?}, position {position}");
                    assert_same_bits(&found, &expected, cpu, &what);
                }
            }
        }
    }
}

#[test]
fn chunks_of_a_prompt_do_not_change_it() {
    let mut numbers = Numbers::new(32);
    for (kv, heads) in SHAPES {
        let sequence = Sequence::new(&mut numbers, kv, heads, 290);
        for window in [None, Some(40)] {
            let shape = attention_shape(heads, window);
            let expected: Vec<f32> = (0..290)
                .flat_map(|it| sequence.expected(it, shape))
                .collect();
            for cpu in &every_cpu() {
                let whole = sequence.found(cpu, 0..290, shape);
                assert_same_bits(&whole, &expected, cpu, &format!("{kv:?} whole"));
                let mut start = 0;
                let mut chunks = Vec::new();
                while start < 290 {
                    let end = (start + 1 + numbers.below(70)).min(290);
                    chunks.extend(sequence.found(cpu, start..end, shape));
                    start = end;
                }
                assert_same_bits(&chunks, &expected, cpu, &format!("{kv:?} in chunks"));
            }
        }
    }
}

#[test]
fn sequences_of_a_batch_do_not_meet() {
    let mut numbers = Numbers::new(33);
    let (kv, heads) = SHAPES[2];
    let shape = attention_shape(heads, None);
    let lengths = [1, 40, 300, 33, 270];
    let sequences: Vec<Sequence> = lengths
        .iter()
        .map(|it| Sequence::new(&mut numbers, kv, heads, *it))
        .collect();
    // The last rows of each, in a wider matrix, with a row of nobody in between.
    let (width, stride, counts) = (
        heads * kv.head_dim,
        heads * kv.head_dim + 9,
        [1, 7, 20, 1, 2],
    );
    let rows = counts.iter().sum::<usize>() + counts.len();
    let mut queries = vec![f32::NAN; rows * stride];
    let mut expected = vec![-1.0; rows * width];
    let mut batch = Vec::new();
    let mut row = 0;
    for (sequence, count) in sequences.iter().zip(counts) {
        let position = sequence.keys.len() - count;
        batch.push(AttentionRows {
            rows: row..row + count,
            position,
            pages: &sequence.pages,
        });
        for position in position..sequence.keys.len() {
            let query = &sequence.queries[position * width..][..width];
            queries[row * stride + 4..][..width].copy_from_slice(query);
            let to = &mut expected[row * width..][..width];
            to.copy_from_slice(&sequence.expected(position, shape));
            row += 1;
        }
        row += 1;
    }
    batch.rotate_left(2);
    let columns = ColumnsRef {
        data: &queries,
        stride,
        start: 4,
    };
    for cpu in &every_cpu() {
        let mut out = vec![-1.0; rows * width];
        attention(cpu, shape, LAYER, &batch, columns, &mut out);
        assert_same_bits(&out, &expected, cpu, "batch");
    }
}

#[test]
fn half_precision_pages_stay_finite_and_know_their_size() {
    let shape = KvShape {
        layers: 2,
        kv_heads: 3,
        head_dim: 20,
        precision: KvPrecision::F16,
    };
    // Values are padded to 32 numbers.
    assert_eq!(shape.page_bytes(), 2 * 3 * 32 * (20 + 32) * 2);
    let huge = KvShape {
        layers: 1 << 40,
        ..shape
    };
    assert_eq!(
        KvPage::try_new(huge).unwrap_err().to_string(),
        format!(
            "no memory for a page of {} bytes of keys and values",
            huge.page_bytes()
        )
    );
    let mut page = KvPage::try_new(shape).unwrap();
    page.store(1, 0, &[1e9; 60], &[-1e9; 60]);
    let rows = [AttentionRows {
        rows: 0..1,
        position: 0,
        pages: &[Arc::new(page)],
    }];
    for cpu in &every_cpu() {
        let mut out = [0.0; 60];
        let queries = [1.0; 60];
        let shape = attention_shape(3, None);
        attention(
            cpu,
            shape,
            1,
            &rows,
            ColumnsRef::all(&queries, 60),
            &mut out,
        );
        assert_eq!(out, [-65504.0; 60]);
    }
}

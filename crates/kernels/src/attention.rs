//! Causal attention over paged keys and values, with grouped queries.

use std::{ops::Range, sync::Arc};

use half::f16;

use crate::{
    ColumnsRef, Cpu, KvPage, KvShape, PAGE_TOKENS,
    exp::exp,
    kv::PageValues,
    lanes::{LANES, Lanes, ScalarLanes},
};

/// Keys whose softmax is computed before it is merged with that of earlier keys. Chunks begin at
/// multiples of it, counted from the sequence's first position.
const CHUNK: usize = 256;

/// What all sequences of an attention call share.
#[derive(Clone, Copy, Debug)]
pub struct AttentionShape {
    /// Query heads; a multiple of the page's `kv_heads`.
    pub heads: usize,
    /// Factor of the scores, mostly 1 / √head_dim.
    pub scale: f32,
    /// A query sees this many positions, its own included; `None` for all before it.
    pub window: Option<usize>,
}

/// Rows of a batch that are consecutive positions of one sequence.
#[derive(Clone, Debug)]
pub struct AttentionRows<'a> {
    pub rows: Range<usize>,
    /// Position of the first row.
    pub position: usize,
    /// Pages of the sequence from position 0; they hold the keys and values of these rows too.
    pub pages: &'a [Arc<KvPage>],
}

/// Attends each sequence's rows to its own positions up to and including the row's.
///
/// `queries` and `out` are rows of [heads, head_dim]; `out` is [rows, heads × head_dim] without gaps.
/// Rows of no sequence are left as they are.
///
/// A score is `scale × fma` chain over the dimensions from zero. Within a chunk of 256 keys:
/// `p = exp(score − greatest)`; the sum of p in 16 lanes (position modulo 16) and a tree; the output
/// by `fma(value, p, acc)` from zero in order of positions. Chunks are merged in order: with m the
/// greater of both maxima, `a = exp(m₁ − m)`, `b = exp(m₂ − m)`: `x = fma(x₁, a, x₂ × b)` for sum and
/// output. At the end, the output is divided by the sum.
///
/// # Panics
/// If pages, rows and buffers do not fit one another.
pub fn attention(
    cpu: &Cpu,
    shape: AttentionShape,
    layer: usize,
    sequences: &[AttentionRows<'_>],
    queries: ColumnsRef<'_>,
    out: &mut [f32],
) {
    let _ = cpu;
    for sequence in sequences {
        let Some(first) = sequence.pages.first() else {
            continue;
        };
        let kv = first.shape();
        let width = shape.heads * kv.head_dim;
        for row in sequence.rows.clone() {
            let position = sequence.position + (row - sequence.rows.start);
            let query = queries.row(row, width);
            let out = &mut out[row * width..][..width];
            for head in 0..shape.heads {
                let place = HeadPlace {
                    kv,
                    layer,
                    head: head / (shape.heads / kv.kv_heads),
                };
                let range = head * kv.head_dim..(head + 1) * kv.head_dim;
                let window = shape.window.unwrap_or(usize::MAX);
                let visible = (position + 1).saturating_sub(window)..position + 1;
                attend::<ScalarLanes>(
                    sequence.pages,
                    place,
                    shape.scale,
                    visible,
                    &query[range.clone()],
                    &mut out[range],
                );
            }
        }
    }
}

#[derive(Clone, Copy)]
struct HeadPlace {
    kv: KvShape,
    layer: usize,
    head: usize,
}

/// Softmax and output of some keys, before the division.
struct Partial {
    greatest: f32,
    sum: f32,
    out: Vec<f32>,
}

fn attend<L: Lanes>(
    pages: &[Arc<KvPage>],
    place: HeadPlace,
    scale: f32,
    visible: Range<usize>,
    query: &[f32],
    out: &mut [f32],
) {
    let mut total: Option<Partial> = None;
    let mut start = visible.start;
    while start < visible.end {
        let end = ((start / CHUNK + 1) * CHUNK).min(visible.end);
        let part = attend_chunk::<L>(pages, place, scale, start..end, query);
        total = Some(match total {
            None => part,
            Some(before) => merge::<L>(before, part),
        });
        start = end;
    }
    if let Some(total) = total {
        for (out, value) in out.iter_mut().zip(&total.out) {
            *out = value / total.sum;
        }
    }
}

fn merge<L: Lanes>(before: Partial, part: Partial) -> Partial {
    let greatest = if before.greatest > part.greatest {
        before.greatest
    } else {
        part.greatest
    };
    let factor = |it: f32| {
        let mut lanes = [0.0; LANES];
        exp(L::splat(it - greatest)).store(&mut lanes);
        lanes[0]
    };
    let (a, b) = (factor(before.greatest), factor(part.greatest));
    let pairs = before.out.iter().zip(&part.out);
    Partial {
        greatest,
        sum: before.sum.mul_add(a, part.sum * b),
        out: pairs.map(|(x, y)| x.mul_add(a, y * b)).collect(),
    }
}

fn attend_chunk<L: Lanes>(
    pages: &[Arc<KvPage>],
    place: HeadPlace,
    scale: f32,
    keys: Range<usize>,
    query: &[f32],
) -> Partial {
    let mut scores = [f32::NEG_INFINITY; CHUNK];
    let base = keys.start / CHUNK * CHUNK;
    for position in keys.clone() {
        let page = &pages[position / PAGE_TOKENS];
        let dot = query
            .iter()
            .enumerate()
            .fold(0.0, |acc: f32, (dim, query)| {
                key(page, place, dim, position % PAGE_TOKENS).mul_add(*query, acc)
            });
        scores[position - base] = dot * scale;
    }
    let blocks = scores.as_chunks_mut::<LANES>().0;
    let loaded = || L::splat(f32::NEG_INFINITY);
    let greatest = blocks
        .iter()
        .fold(loaded(), |acc, it| L::load(it).max(acc))
        .greatest();
    let mut sums = L::zero();
    for block in blocks {
        let terms = exp(L::load(block).sub(L::splat(greatest)));
        terms.store(block);
        sums = sums.add(terms);
    }
    let mut out = vec![0.0; query.len()];
    for position in keys {
        let page = &pages[position / PAGE_TOKENS];
        let term = scores[position - base];
        for (dim, out) in out.iter_mut().enumerate() {
            *out = value(page, place, dim, position % PAGE_TOKENS).mul_add(term, *out);
        }
    }
    Partial {
        greatest,
        sum: sums.sum(),
        out,
    }
}

fn key(page: &KvPage, place: HeadPlace, dim: usize, slot: usize) -> f32 {
    let index = ((place.layer * place.kv.kv_heads + place.head) * place.kv.head_dim + dim)
        * PAGE_TOKENS
        + slot;
    pick(page, |it| it.keys[index], |it| it.keys[index])
}

fn value(page: &KvPage, place: HeadPlace, dim: usize, slot: usize) -> f32 {
    let row = (place.layer * place.kv.kv_heads + place.head) * PAGE_TOKENS + slot;
    let index = row * place.kv.value_stride() + dim;
    pick(page, |it| it.values[index], |it| it.values[index])
}

fn pick(
    page: &KvPage,
    float: impl Fn(&PageValues<f32>) -> f32,
    half: impl Fn(&PageValues<f16>) -> f16,
) -> f32 {
    match (page.floats(), page.halves()) {
        (Some(data), _) => float(data),
        (_, Some(data)) => half(data).to_f32(),
        (None, None) => f32::NAN,
    }
}

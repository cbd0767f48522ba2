//! Causal attention over paged keys and values, with grouped queries.

mod block;

use std::{ops::Range, sync::Arc};

use half::f16;

use self::block::{QueryBlock, QueryRow};
use crate::{ColumnsRef, Cpu, KvPage, KvPrecision, KvShape, lanes::LANES};

/// What all sequences of an attention call share.
#[derive(Clone, Copy, Debug)]
pub struct AttentionShape {
    /// Query heads; a multiple of the pages' `kv_heads`.
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

/// Rows whose queries of one head of keys are processed together.
const BLOCK_ROWS: usize = 8;

/// Attends each sequence's rows to its own positions up to and including the row's.
///
/// Queries are columns `[heads, head_dim]`; `out` is `[rows, heads × head_dim]` without gaps. Rows
/// of no sequence are left as they are.
///
/// A score is `scale ×` the chain `s = fma(key, query, s)` over the dimensions from zero. Within a
/// chunk of 256 keys, which begins at a multiple of 256 positions: `p = exp(score − greatest)`; the
/// sum of p in 16 lanes (position modulo 16) and a tree; the output by `fma(value, p, acc)` from zero
/// in order of positions. Chunks are merged in order: with m the greater of both maxima,
/// `a = exp(m₁ − m)` and `b = exp(m₂ − m)`, `x = fma(x₁, a, x₂ × b)` for sum and output. At the end,
/// the output is divided by the sum.
///
/// # Panics
/// If pages, rows and buffers do not fit one another, or two sequences share a row.
pub fn attention(
    cpu: &Cpu,
    shape: AttentionShape,
    layer: usize,
    sequences: &[AttentionRows<'_>],
    queries: ColumnsRef<'_>,
    out: &mut [f32],
) {
    let Some(kv) = sequences.iter().find_map(|it| it.pages.first()) else {
        return;
    };
    let call = Call {
        shape,
        kv: kv.shape(),
        layer,
        queries,
    };
    let tasks = call.tasks(sequences, out);
    cpu.run_tasks(tasks, |task| match call.kv.precision {
        KvPrecision::F32 => cpu.run(QueryBlock::<f32>::new(call, task)),
        KvPrecision::F16 => cpu.run(QueryBlock::<f16>::new(call, task)),
    });
}

/// What all tasks of a call share.
#[derive(Clone, Copy)]
struct Call<'a> {
    shape: AttentionShape,
    kv: KvShape,
    layer: usize,
    queries: ColumnsRef<'a>,
}

/// Some rows' queries of one head of keys.
struct Task<'a> {
    pages: &'a [Arc<KvPage>],
    kv_head: usize,
    rows: Vec<QueryRow<'a>>,
}

impl<'a> Call<'a> {
    /// Query heads for each head of keys.
    fn group(&self) -> usize {
        self.shape.heads / self.kv.kv_heads
    }

    fn tasks(&self, sequences: &[AttentionRows<'a>], out: &'a mut [f32]) -> Vec<Task<'a>> {
        let (group, width) = (self.group(), self.shape.heads * self.kv.head_dim);
        assert_eq!(
            group * self.kv.kv_heads,
            self.shape.heads,
            "heads of queries"
        );
        let mut outs: Vec<Option<&mut [f32]>> = out.chunks_mut(width).map(Some).collect();
        let mut tasks = Vec::new();
        for sequence in sequences {
            let rows: Vec<usize> = sequence.rows.clone().collect();
            for rows in rows.chunks(BLOCK_ROWS) {
                let first = tasks.len();
                tasks.extend((0..self.kv.kv_heads).map(|kv_head| Task {
                    pages: sequence.pages,
                    kv_head,
                    rows: Vec::with_capacity(rows.len() * group),
                }));
                for row in rows {
                    let out = outs[*row].take();
                    assert!(out.is_some(), "row {row} belongs to two sequences");
                    let heads = out
                        .into_iter()
                        .flat_map(|it| it.chunks_mut(self.kv.head_dim));
                    let position = sequence.position + (row - sequence.rows.start);
                    for (head, out) in heads.enumerate() {
                        tasks[first + head / group].rows.push(QueryRow {
                            query: &self.queries.row(*row, width)[head * self.kv.head_dim..]
                                [..self.kv.head_dim],
                            visible: self.visible(position),
                            out,
                        });
                    }
                }
            }
        }
        tasks
    }

    fn visible(&self, position: usize) -> Range<usize> {
        let end = position + 1;
        end.saturating_sub(self.shape.window.unwrap_or(end))..end
    }

    /// Vectors of a head's output.
    fn lines(&self) -> usize {
        self.kv.head_dim.div_ceil(LANES)
    }
}

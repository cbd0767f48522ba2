//! Causal attention over ragged rows, with grouped queries and an optional sliding window.
//!
//! q `[tokens, heads·head_dim]`, k and v `[tokens, kv_heads·head_dim]` → `[tokens, heads·head_dim]`.
//! A block of queries sees the scores of all its keys at once, so probabilities are recomputed
//! exactly in the backward pass and no more than `QUERIES` × row length of them exist per task.

use std::{ops::Range, sync::Arc};

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::{TensorRead, matmul::*, numeric, output, tensor, values};

/// Queries in a block.
const QUERIES: usize = 64;

/// Sizes of an attention layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttentionHeads {
    pub heads: usize,
    pub kv_heads: usize,
    pub head_dim: usize,
    /// A query attends to itself and to this many minus one tokens before it.
    pub window: Option<usize>,
}

impl AttentionHeads {
    /// First key that the query at `position` attends to.
    pub fn first_key(&self, position: usize) -> usize {
        self.window
            .map_or(0, |window| (position + 1).saturating_sub(window))
    }

    pub fn scale(&self) -> f32 {
        1.0 / (self.head_dim as f32).sqrt()
    }
}

/// Arguments q, k and v.
pub struct AttentionOp {
    pub heads: AttentionHeads,
    /// Row r is tokens `offsets[r]..offsets[r + 1]`; rows do not attend to each other.
    pub offsets: Arc<Vec<usize>>,
}

impl CustomOp3 for AttentionOp {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn cpu_fwd(
        &self,
        q: &CpuStorage,
        q_layout: &Layout,
        k: &CpuStorage,
        k_layout: &Layout,
        v: &CpuStorage,
        v_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (q, k, v) = (
            values(q, q_layout)?,
            values(k, k_layout)?,
            values(v, v_layout)?,
        );
        let pass = AttentionPass {
            heads: self.heads,
            q,
            k,
            v,
        };
        let groups = self.each_group(|row, kv_head| pass.forward(row, kv_head));
        output(
            self.assemble(&groups, self.group_width()),
            q_layout.shape().clone(),
        )
    }

    fn bwd(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        _y: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (q_held, k_held, v_held) = (TensorRead::new(q), TensorRead::new(k), TensorRead::new(v));
        let grad = TensorRead::new(grad);
        let pass = AttentionPass {
            heads: self.heads,
            q: q_held.values()?,
            k: k_held.values()?,
            v: v_held.values()?,
        };
        let grad = grad.values()?;
        let groups = self.each_group(|row, kv_head| pass.backward(row, kv_head, grad));
        let mut parts = (Vec::new(), Vec::new(), Vec::new());
        for [grad_q, grad_k, grad_v] in groups {
            parts.0.push(grad_q);
            parts.1.push(grad_k);
            parts.2.push(grad_v);
        }
        let width = self.heads.head_dim;
        let grad_q = tensor(self.assemble(&parts.0, self.group_width()), q.shape())?;
        let grad_k = tensor(self.assemble(&parts.1, width), k.shape())?;
        let grad_v = tensor(self.assemble(&parts.2, width), v.shape())?;
        Ok((Some(grad_q), Some(grad_k), Some(grad_v)))
    }
}

impl AttentionOp {
    /// Width of the query heads that share a key head.
    fn group_width(&self) -> usize {
        self.heads.heads / self.heads.kv_heads * self.heads.head_dim
    }

    /// Runs `work` for every row and key head in parallel; results in (row, key head) order.
    fn each_group<T: Send>(&self, work: impl Fn(Range<usize>, usize) -> T + Sync + Send) -> Vec<T> {
        let kv_heads = self.heads.kv_heads;
        let rows = self.offsets.len().saturating_sub(1);
        (0..rows * kv_heads)
            .into_par_iter()
            .map(|task| {
                let row = task / kv_heads;
                work(self.offsets[row]..self.offsets[row + 1], task % kv_heads)
            })
            .collect()
    }

    /// Concatenates the groups' `[row length, width]` results column-wise.
    fn assemble(&self, groups: &[Vec<f32>], width: usize) -> Vec<f32> {
        let kv_heads = self.heads.kv_heads;
        let tokens = self.offsets.last().copied().unwrap_or(0);
        let mut out = Vec::with_capacity(tokens * width * kv_heads);
        for (row, groups) in self.offsets.windows(2).zip(groups.chunks(kv_heads)) {
            for token in 0..row[1] - row[0] {
                for group in groups {
                    out.extend_from_slice(&group[token * width..][..width]);
                }
            }
        }
        out
    }
}

struct AttentionPass<'a> {
    heads: AttentionHeads,
    q: &'a [f32],
    k: &'a [f32],
    v: &'a [f32],
}

/// A block of queries of one head, with all keys that any of them attends to.
struct QueryBlock {
    queries: Range<usize>,
    keys: Range<usize>,
    /// Probabilities, `[queries, keys]`.
    p: Vec<f32>,
}

impl QueryBlock {
    fn shape(&self) -> (usize, usize) {
        (self.queries.len(), self.keys.len())
    }

    fn probabilities(&self) -> StridedMatrix<'_> {
        StridedMatrix::new(&self.p, self.queries.len(), self.keys.len())
    }
}

impl<'a> AttentionPass<'a> {
    /// Tokens `range` of head `head` in a `[tokens, heads·head_dim]` matrix.
    fn part(
        &self,
        data: &'a [f32],
        heads: usize,
        head: usize,
        range: Range<usize>,
    ) -> StridedMatrix<'a> {
        let (dim, stride) = (self.heads.head_dim, heads * self.heads.head_dim);
        StridedMatrix::strided(
            &data[range.start * stride + head * dim..],
            range.len(),
            dim,
            stride,
        )
    }

    fn query(&self, head: usize, range: Range<usize>) -> StridedMatrix<'a> {
        self.part(self.q, self.heads.heads, head, range)
    }

    fn key(&self, kv_head: usize, range: Range<usize>) -> StridedMatrix<'a> {
        self.part(self.k, self.heads.kv_heads, kv_head, range)
    }

    fn value(&self, kv_head: usize, range: Range<usize>) -> StridedMatrix<'a> {
        self.part(self.v, self.heads.kv_heads, kv_head, range)
    }

    /// Probabilities of a block of queries, given by token index in the batch.
    fn block(
        &self,
        row: &Range<usize>,
        head: usize,
        kv_head: usize,
        queries: Range<usize>,
    ) -> QueryBlock {
        let keys = row.start + self.heads.first_key(queries.start - row.start)..queries.end;
        let mut p = vec![0f32; queries.len() * keys.len()];
        let target = MatmulTarget::new(&mut p, queries.len(), keys.len());
        let (q, k) = (
            self.query(head, queries.clone()),
            self.key(kv_head, keys.clone()),
        );
        multiply(target, self.heads.scale(), q, k.t(), MatmulThreads::One);
        for (query, scores) in queries.clone().zip(p.chunks_exact_mut(keys.len())) {
            let first = row.start + self.heads.first_key(query - row.start) - keys.start;
            let seen = query + 1 - keys.start;
            numeric::softmax_in_place(&mut scores[first..seen]);
            scores[..first].fill(0.0);
            scores[seen..].fill(0.0);
        }
        QueryBlock { queries, keys, p }
    }

    /// Calls `work` for every block of queries of every head that shares `kv_head`.
    fn for_blocks(
        &self,
        row: &Range<usize>,
        kv_head: usize,
        mut work: impl FnMut(usize, QueryBlock),
    ) {
        let group = self.heads.heads / self.heads.kv_heads;
        for member in 0..group {
            for start in row.clone().step_by(QUERIES) {
                let queries = start..row.end.min(start + QUERIES);
                work(
                    member,
                    self.block(row, kv_head * group + member, kv_head, queries),
                );
            }
        }
    }

    /// `[row length, group width]`
    fn forward(&self, row: Range<usize>, kv_head: usize) -> Vec<f32> {
        let dim = self.heads.head_dim;
        let width = self.heads.heads / self.heads.kv_heads * dim;
        let mut out = vec![0f32; row.len() * width];
        self.for_blocks(&row, kv_head, |member, block| {
            let at = (block.queries.start - row.start) * width + member * dim;
            let target = MatmulTarget::strided(&mut out[at..], block.queries.len(), dim, width);
            let value = self.value(kv_head, block.keys.clone());
            multiply(
                target,
                1.0,
                block.probabilities(),
                value,
                MatmulThreads::One,
            );
        });
        out
    }

    /// Gradients of q `[row length, group width]`, k and v `[row length, head_dim]`.
    ///
    /// With P the probabilities and O = P·V: gV = Pᵀ·gO, gP = gO·Vᵀ, gS = P ∘ (gP − Σⱼ P∘gP),
    /// gQ = s·gS·K, gK = s·gSᵀ·Q.
    fn backward(&self, row: Range<usize>, kv_head: usize, grad: &'a [f32]) -> [Vec<f32>; 3] {
        let AttentionHeads {
            heads,
            kv_heads,
            head_dim: dim,
            ..
        } = self.heads;
        let (group, scale) = (heads / kv_heads, self.heads.scale());
        let mut grad_q = vec![0f32; row.len() * group * dim];
        let mut grad_k = vec![0f32; row.len() * dim];
        let mut grad_v = vec![0f32; row.len() * dim];
        self.for_blocks(&row, kv_head, |member, block| {
            let head = kv_head * group + member;
            let grad = self.part(grad, heads, head, block.queries.clone());
            let key_at = (block.keys.start - row.start) * dim;
            let target = MatmulTarget::new(&mut grad_v[key_at..], block.keys.len(), dim).adding();
            multiply(
                target,
                1.0,
                block.probabilities().t(),
                grad,
                MatmulThreads::One,
            );

            let grad_s = grad_scores(&block, grad, self.value(kv_head, block.keys.clone()));
            let grad_s = StridedMatrix::new(&grad_s, block.queries.len(), block.keys.len());
            let target = MatmulTarget::new(&mut grad_k[key_at..], block.keys.len(), dim).adding();
            let query = self.query(head, block.queries.clone());
            multiply(target, scale, grad_s.t(), query, MatmulThreads::One);

            let at = (block.queries.start - row.start) * group * dim + member * dim;
            let target =
                MatmulTarget::strided(&mut grad_q[at..], block.queries.len(), dim, group * dim);
            let key = self.key(kv_head, block.keys.clone());
            multiply(target, scale, grad_s, key, MatmulThreads::One);
        });
        [grad_q, grad_k, grad_v]
    }
}

/// P ∘ (gO·Vᵀ − Σⱼ P ∘ gO·Vᵀ), `[queries, keys]`
fn grad_scores(block: &QueryBlock, grad: StridedMatrix<'_>, value: StridedMatrix<'_>) -> Vec<f32> {
    let (queries, keys) = block.shape();
    let mut out = vec![0f32; queries * keys];
    multiply(
        MatmulTarget::new(&mut out, queries, keys),
        1.0,
        grad,
        value.t(),
        MatmulThreads::One,
    );
    for (out, p) in out.chunks_exact_mut(keys).zip(block.p.chunks_exact(keys)) {
        let mean = numeric::dot(out, p);
        for (o, p) in out.iter_mut().zip(p) {
            *o = p * (*o - mean);
        }
    }
    out
}

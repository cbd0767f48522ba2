//! Causal attention over ragged rows, with grouped queries and an optional sliding window.
//!
//! Queries and keys are rotated by their positions first (see [`super::rope`]).
//! q `[queries, heads·head_dim]`, k and v `[tokens, kv_heads·head_dim]` → `[queries, heads·head_dim]`.
//! A block of queries of all heads that share a key head sees the scores of all its keys at once, so
//! probabilities are recomputed exactly in the backward pass and no more than `QUERIES` × heads of a
//! group × row length of them exist per task.

use std::{ops::Range, sync::Arc};

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::{
    TensorRead,
    matmul::*,
    numeric, output,
    rope::{RopeAngles, RopeTurn},
    tensor, values,
};

/// Queries of each head in a block.
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

    /// Query heads that share a key head.
    fn group(&self) -> usize {
        self.heads / self.kv_heads
    }
}

/// The queries and the keys of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RaggedRow {
    /// Rows of q.
    pub queries: Range<usize>,
    /// The row's own rows of k and v.
    pub keys: Range<usize>,
    /// Rows 0..prefix of k and v precede the row's own.
    pub prefix: usize,
}

/// The rows of a batch; they do not attend to each other. Their queries cover q in order, and their
/// own keys cover k and v in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RaggedRows {
    pub rows: Vec<RaggedRow>,
    /// Position of every query in its row, the prefix included; rising within a row.
    pub positions: Arc<Vec<usize>>,
}

/// Arguments q, k and v.
pub struct AttentionOp {
    pub heads: AttentionHeads,
    pub rows: Arc<RaggedRows>,
    pub angles: Arc<RopeAngles>,
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
        let mixed = self.mix(
            values(q, q_layout)?,
            values(k, k_layout)?,
            values(v, v_layout)?,
        );
        output(mixed, q_layout.shape().clone())
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
        let (q_values, k_values) = (q_held.values()?, k_held.values()?);
        let found = self.gradients(q_values, k_values, v_held.values()?, grad.values()?);
        let grad_q = tensor(found.q, q.shape())?;
        let grad_k = tensor(found.k, k.shape())?;
        let grad_v = tensor(found.v, v.shape())?;
        Ok((Some(grad_q), Some(grad_k), Some(grad_v)))
    }
}

/// The gradients of q, k and v, in their shapes.
pub struct AttentionGradients {
    pub q: Vec<f32>,
    pub k: Vec<f32>,
    pub v: Vec<f32>,
}

impl AttentionOp {
    /// The values that each query attends to.
    pub fn mix(&self, q: &[f32], k: &[f32], v: &[f32]) -> Vec<f32> {
        let pass = AttentionPass { op: self, q, k, v };
        let groups = self.each_group(|row, kv_head| pass.group(row, kv_head).forward());
        self.assemble(&groups)
    }

    /// The gradients, from that of the result.
    pub fn gradients(&self, q: &[f32], k: &[f32], v: &[f32], grad: &[f32]) -> AttentionGradients {
        let pass = AttentionPass { op: self, q, k, v };
        let groups = self.each_group(|row, kv_head| pass.group(row, kv_head).backward(grad));
        let mut parts = (Vec::new(), Vec::new(), Vec::new());
        for gradients in groups {
            parts.0.push(gradients.q);
            parts.1.push(gradients.k);
            parts.2.push(gradients.v);
        }
        AttentionGradients {
            q: self.assemble(&parts.0),
            k: self.assemble_keys(&parts.1),
            v: self.assemble_keys(&parts.2),
        }
    }

    /// Runs `work` for every row and key head in parallel; results in (row, key head) order.
    fn each_group<T: Send>(&self, work: impl Fn(&RaggedRow, usize) -> T + Sync + Send) -> Vec<T> {
        let kv_heads = self.heads.kv_heads;
        (0..self.rows.rows.len() * kv_heads)
            .into_par_iter()
            .map(|task| work(&self.rows.rows[task / kv_heads], task % kv_heads))
            .collect()
    }

    /// Concatenates the groups' `[queries, group width]` results column-wise.
    fn assemble(&self, groups: &[Vec<f32>]) -> Vec<f32> {
        let AttentionHeads {
            heads,
            kv_heads,
            head_dim,
            ..
        } = self.heads;
        let mut out = Vec::with_capacity(self.rows.positions.len() * heads * head_dim);
        for (row, groups) in self.rows.rows.iter().zip(groups.chunks(kv_heads)) {
            interleave(
                &mut out,
                groups,
                0..row.queries.len(),
                self.heads.group() * head_dim,
            );
        }
        out
    }

    /// Concatenates the groups' `[prefix + keys, head_dim]` results column-wise, and adds those of the
    /// prefix, row by row.
    fn assemble_keys(&self, groups: &[Vec<f32>]) -> Vec<f32> {
        let (kv_heads, dim) = (self.heads.kv_heads, self.heads.head_dim);
        let tokens = self.rows.rows.last().map_or(0, |row| row.keys.end);
        let mut out = Vec::with_capacity(tokens * kv_heads * dim);
        for (row, groups) in self.rows.rows.iter().zip(groups.chunks(kv_heads)) {
            interleave(
                &mut out,
                groups,
                row.prefix..row.prefix + row.keys.len(),
                dim,
            );
            for (kv_head, group) in groups.iter().enumerate() {
                for (token, part) in group.chunks_exact(dim).take(row.prefix).enumerate() {
                    let sums = &mut out[(token * kv_heads + kv_head) * dim..][..dim];
                    sums.iter_mut().zip(part).for_each(|(sum, g)| *sum += g);
                }
            }
        }
        out
    }
}

/// Appends rows `range` of matrices of equal width side by side.
fn interleave(out: &mut Vec<f32>, parts: &[Vec<f32>], range: Range<usize>, width: usize) {
    for row in range {
        for part in parts {
            out.extend_from_slice(&part[row * width..][..width]);
        }
    }
}

struct AttentionPass<'a> {
    op: &'a AttentionOp,
    q: &'a [f32],
    k: &'a [f32],
    v: &'a [f32],
}

/// One row and the heads that share one of its key heads.
struct HeadGroup<'a> {
    heads: AttentionHeads,
    angles: &'a RopeAngles,
    row: &'a RaggedRow,
    /// Position of every query of the row.
    positions: &'a [usize],
    kv_head: usize,
    q: &'a [f32],
    /// Rotated, `[prefix + keys, head_dim]`
    k: Vec<f32>,
    /// `[prefix + keys, head_dim]`
    v: Vec<f32>,
}

/// The gradients of a group.
struct GroupGradients {
    /// `[queries, group width]`
    q: Vec<f32>,
    /// `[prefix + keys, head_dim]`
    k: Vec<f32>,
    /// `[prefix + keys, head_dim]`
    v: Vec<f32>,
}

/// A block of queries of a group's heads, with all keys that any of them attends to.
struct QueryBlock {
    /// Of the row's queries.
    queries: Range<usize>,
    /// By position in the row.
    keys: Range<usize>,
    /// Rotated queries, head by head: `[group · queries, head_dim]`
    q: Vec<f32>,
    /// Probabilities, `[group · queries, keys]`.
    p: Vec<f32>,
}

impl<'a> AttentionPass<'a> {
    fn group(&self, row: &'a RaggedRow, kv_head: usize) -> HeadGroup<'a> {
        let mut k = self.keys(self.k, row, kv_head);
        self.op.angles.rotate(&mut k, 0.., RopeTurn::Forward);
        HeadGroup {
            heads: self.op.heads,
            angles: &self.op.angles,
            row,
            positions: &self.op.rows.positions[row.queries.clone()],
            kv_head,
            q: self.q,
            k,
            v: self.keys(self.v, row, kv_head),
        }
    }

    /// One head of the keys or values that a row attends to, `[prefix + keys, head_dim]`.
    fn keys(&self, data: &[f32], row: &RaggedRow, kv_head: usize) -> Vec<f32> {
        let AttentionHeads {
            kv_heads,
            head_dim: dim,
            ..
        } = self.op.heads;
        (0..row.prefix)
            .chain(row.keys.clone())
            .flat_map(|token| &data[(token * kv_heads + kv_head) * dim..][..dim])
            .copied()
            .collect()
    }
}

impl HeadGroup<'_> {
    /// The block's rows of a `[queries, heads·head_dim]` matrix, head by head.
    fn gather(&self, data: &[f32], queries: Range<usize>) -> Vec<f32> {
        let (group, dim) = (self.heads.group(), self.heads.head_dim);
        let first = self.row.queries.start;
        let mut out = Vec::with_capacity(group * queries.len() * dim);
        for head in self.kv_head * group..(self.kv_head + 1) * group {
            for query in queries.clone() {
                let at = ((first + query) * self.heads.heads + head) * dim;
                out.extend_from_slice(&data[at..][..dim]);
            }
        }
        out
    }

    /// The inverse of `gather`, into the group's `[queries, group width]` matrix.
    fn scatter(&self, out: &mut [f32], block: &[f32], queries: Range<usize>) {
        let (group, dim) = (self.heads.group(), self.heads.head_dim);
        for (member, rows) in block.chunks_exact(queries.len() * dim).enumerate() {
            for (query, row) in queries.clone().zip(rows.chunks_exact(dim)) {
                out[(query * group + member) * dim..][..dim].copy_from_slice(row);
            }
        }
    }

    fn block(&self, queries: Range<usize>) -> QueryBlock {
        let (group, dim) = (self.heads.group(), self.heads.head_dim);
        let positions = &self.positions[queries.clone()];
        let last = positions.last().map_or(0, |position| position + 1);
        let keys = positions
            .first()
            .map_or(0, |&first| self.heads.first_key(first))..last;
        let (rows, columns) = (group * queries.len(), keys.len());
        let mut q = self.gather(self.q, queries.clone());
        let turned = positions.iter().copied().cycle();
        self.angles.rotate(&mut q, turned, RopeTurn::Forward);
        let mut p = vec![0f32; rows * columns];
        multiply(
            MatmulTarget::new(&mut p, rows, columns),
            self.heads.scale(),
            StridedMatrix::new(&q, rows, dim),
            part(&self.k, &keys, dim).t(),
            MatmulThreads::One,
        );
        for (scores, &position) in p.chunks_exact_mut(columns).zip(positions.iter().cycle()) {
            let (first, seen) = (
                self.heads.first_key(position) - keys.start,
                position + 1 - keys.start,
            );
            numeric::softmax_in_place(&mut scores[first..seen]);
            scores[..first].fill(0.0);
            scores[seen..].fill(0.0);
        }
        QueryBlock {
            queries,
            keys,
            q,
            p,
        }
    }

    fn blocks(&self) -> impl Iterator<Item = QueryBlock> {
        let count = self.positions.len();
        (0..count)
            .step_by(QUERIES)
            .map(move |start| self.block(start..count.min(start + QUERIES)))
    }

    /// `[queries, group width]`
    fn forward(&self) -> Vec<f32> {
        let (group, dim) = (self.heads.group(), self.heads.head_dim);
        let mut out = vec![0f32; self.positions.len() * group * dim];
        for block in self.blocks() {
            let value = part(&self.v, &block.keys, dim);
            let mixed = product(block.probabilities(), value, 1.0);
            self.scatter(&mut out, &mixed, block.queries.clone());
        }
        out
    }

    /// With P the probabilities and O = P·V: gV = Pᵀ·gO, gP = gO·Vᵀ, gS = P ∘ (gP − Σⱼ P∘gP),
    /// gQ = s·gS·K, gK = s·gSᵀ·Q. gK and gV are sums over the group's heads.
    fn backward(&self, grad: &[f32]) -> GroupGradients {
        let (group, dim, scale) = (self.heads.group(), self.heads.head_dim, self.heads.scale());
        let mut found = GroupGradients {
            q: vec![0f32; self.positions.len() * group * dim],
            k: vec![0f32; self.k.len()],
            v: vec![0f32; self.v.len()],
        };
        for block in self.blocks() {
            let rows = group * block.queries.len();
            let grad = self.gather(grad, block.queries.clone());
            let grad = StridedMatrix::new(&grad, rows, dim);
            let at = block.keys.start * dim;
            let add = |sums: &mut [f32], scale, left: StridedMatrix<'_>, right| {
                let target = MatmulTarget::new(&mut sums[at..], block.keys.len(), dim).adding();
                multiply(target, scale, left.t(), right, MatmulThreads::One);
            };
            add(&mut found.v, 1.0, block.probabilities(), grad);
            let grad_s = block.grad_scores(grad, part(&self.v, &block.keys, dim));
            let grad_s = StridedMatrix::new(&grad_s, rows, block.keys.len());
            add(
                &mut found.k,
                scale,
                grad_s,
                StridedMatrix::new(&block.q, rows, dim),
            );
            let mut grad_q = product(grad_s, part(&self.k, &block.keys, dim), scale);
            let turned = self.positions[block.queries.clone()]
                .iter()
                .copied()
                .cycle();
            self.angles.rotate(&mut grad_q, turned, RopeTurn::Back);
            self.scatter(&mut found.q, &grad_q, block.queries.clone());
        }
        self.angles.rotate(&mut found.k, 0.., RopeTurn::Back);
        found
    }
}

impl QueryBlock {
    fn probabilities(&self) -> StridedMatrix<'_> {
        let columns = self.keys.len();
        StridedMatrix::new(&self.p, self.p.len() / columns.max(1), columns)
    }

    /// P ∘ (gO·Vᵀ − Σⱼ P ∘ gO·Vᵀ), `[group · queries, keys]`
    fn grad_scores(&self, grad: StridedMatrix<'_>, value: StridedMatrix<'_>) -> Vec<f32> {
        let keys = self.keys.len();
        let mut out = product(grad, value.t(), 1.0);
        for (out, p) in out.chunks_exact_mut(keys).zip(self.p.chunks_exact(keys)) {
            let mean = numeric::dot(out, p);
            for (o, p) in out.iter_mut().zip(p) {
                *o = p * (*o - mean);
            }
        }
        out
    }
}

/// Rows `range` of a matrix of `width` columns.
fn part<'a>(data: &'a [f32], range: &Range<usize>, width: usize) -> StridedMatrix<'a> {
    StridedMatrix::new(&data[range.start * width..], range.len(), width)
}

/// scale · a × b as a new row-major matrix, on this thread.
fn product(a: StridedMatrix<'_>, b: StridedMatrix<'_>, scale: f32) -> Vec<f32> {
    let mut out = vec![0f32; a.rows() * b.columns()];
    let target = MatmulTarget::new(&mut out, a.rows(), b.columns());
    multiply(target, scale, a, b, MatmulThreads::One);
    out
}

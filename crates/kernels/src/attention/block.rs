//! Attention of some queries to one head of keys and values, chunk by chunk.

use std::{array::from_fn, marker::PhantomData, ops::Range};

use super::{Call, Task};
use crate::{
    PAGE_TOKENS,
    exp::exp,
    kv::{HeadPage, KvValue},
    lanes::{LANES, LaneKernel, Lanes},
};

/// Keys whose softmax is computed before it is merged with that of earlier keys.
const CHUNK: usize = 256;

/// One head's query of one row.
pub(super) struct QueryRow<'a> {
    /// [head_dim].
    pub query: &'a [f32],
    /// Positions that it attends to.
    pub visible: Range<usize>,
    /// [head_dim].
    pub out: &'a mut [f32],
}

pub(super) struct QueryBlock<'a, T> {
    call: Call<'a>,
    task: Task<'a>,
    values: PhantomData<T>,
}

impl<'a, T> QueryBlock<'a, T> {
    pub(super) fn new(call: Call<'a>, task: Task<'a>) -> Self {
        Self {
            call,
            task,
            values: PhantomData,
        }
    }
}

/// Softmax and output of one query over some keys, before the division.
#[derive(Clone, Copy)]
struct Partial {
    greatest: f32,
    sum: f32,
}

impl<T: KvValue> LaneKernel for QueryBlock<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let lines = self.call.lines();
        let mut rows = self.task.rows;
        let first = rows.iter().map(|it| it.visible.start).min().unwrap_or(0);
        let end = rows.iter().map(|it| it.visible.end).max().unwrap_or(0);
        let mut chunk = ChunkBlock::<T> {
            scale: self.call.shape.scale,
            lines,
            base: 0,
            pages: Vec::with_capacity(CHUNK / PAGE_TOKENS),
            scores: vec![[0.0; CHUNK]; rows.len()],
            outs: vec![[0.0; LANES]; rows.len() * lines],
        };
        let mut totals: Vec<Option<Partial>> = vec![None; rows.len()];
        let mut total_outs = vec![[0.0; LANES]; rows.len() * lines];
        for base in (first / CHUNK * CHUNK..end).step_by(CHUNK) {
            chunk.base = base;
            chunk.pages.clear();
            let pages = self.task.pages[base / PAGE_TOKENS..end.div_ceil(PAGE_TOKENS)].iter();
            for page in pages.take(CHUNK / PAGE_TOKENS) {
                assert_eq!(page.shape(), self.call.kv, "shape of every page");
                let head = T::head(page, self.call.layer, self.task.kv_head);
                chunk.pages.extend(head);
            }
            chunk.score::<L>(&rows);
            chunk.outs.fill([0.0; LANES]);
            let partials: Vec<Partial> = (0..rows.len())
                .map(|row| chunk.normalise::<L>(row, &rows[row].visible))
                .collect();
            chunk.weigh::<L>(&rows);
            for (row, part) in partials.into_iter().enumerate() {
                if chunk.within(&rows[row].visible).is_empty() {
                    continue;
                }
                let range = row * lines..(row + 1) * lines;
                let (total, part_out) = (&mut total_outs[range.clone()], &chunk.outs[range]);
                totals[row] = Some(merge::<L>(totals[row], part, total, part_out));
            }
        }
        for ((row, total), outs) in rows.iter_mut().zip(totals).zip(total_outs.chunks(lines)) {
            let sum = L::splat(total.map_or(f32::NAN, |it| it.sum));
            for (to, out) in row.out.chunks_mut(LANES).zip(outs) {
                L::load(out).div(sum).store_part(to);
            }
        }
    }
}

#[inline(always)]
fn merge<L: Lanes>(
    total: Option<Partial>,
    part: Partial,
    out: &mut [[f32; LANES]],
    part_out: &[[f32; LANES]],
) -> Partial {
    let Some(before) = total else {
        out.copy_from_slice(part_out);
        return part;
    };
    let greatest = match before.greatest > part.greatest {
        true => before.greatest,
        false => part.greatest,
    };
    let a = exp_of::<L>(before.greatest - greatest);
    let b = exp_of::<L>(part.greatest - greatest);
    for (out, part) in out.iter_mut().zip(part_out) {
        let part = L::load(part).mul(L::splat(b));
        L::load(out).mul_add(L::splat(a), part).store(out);
    }
    Partial {
        greatest,
        sum: before.sum.mul_add(a, part.sum * b),
    }
}

#[inline(always)]
fn exp_of<L: Lanes>(x: f32) -> f32 {
    let mut lanes = [0.0; LANES];
    exp(L::splat(x)).store(&mut lanes);
    lanes[0]
}

/// A chunk of keys and what the queries make of it.
struct ChunkBlock<'a, T> {
    scale: f32,
    /// Vectors of a head's output.
    lines: usize,
    /// Position of the first key.
    base: usize,
    /// Pages of the chunk; the last chunk has fewer.
    pages: Vec<HeadPage<'a, T>>,
    /// [queries, CHUNK]: scores, then the terms of the softmax.
    scores: Vec<[f32; CHUNK]>,
    /// [queries, lines].
    outs: Vec<[f32; LANES]>,
}

impl<T: KvValue> ChunkBlock<'_, T> {
    /// The keys of this chunk that are visible, counted from its first one.
    fn within(&self, visible: &Range<usize>) -> Range<usize> {
        let place = |position: usize| position.saturating_sub(self.base).min(CHUNK);
        place(visible.start)..place(visible.end)
    }

    /// Scores of every key of the chunk's pages, visible or not.
    #[inline(always)]
    fn score<L: Lanes>(&mut self, rows: &[QueryRow<'_>]) {
        let mut first = 0;
        if L::WIDE {
            while first + 4 <= rows.len() {
                self.score_tile::<L, 4>(first, rows);
                first += 4;
            }
        }
        while first + 2 <= rows.len() {
            self.score_tile::<L, 2>(first, rows);
            first += 2;
        }
        if first < rows.len() {
            self.score_tile::<L, 1>(first, rows);
        }
    }

    #[inline(always)]
    fn score_tile<L: Lanes, const R: usize>(&mut self, first: usize, rows: &[QueryRow<'_>]) {
        let queries: [&[f32]; R] = from_fn(|row| rows[first + row].query);
        let scale = L::splat(self.scale);
        for (page, head) in self.pages.iter().enumerate() {
            let keys = &head.keys[..queries[0].len()];
            let mut sums = [[L::zero(); 2]; R];
            for (dim, lines) in keys.iter().enumerate() {
                let keys = [T::load::<L>(&lines[0]), T::load::<L>(&lines[1])];
                for row in 0..R {
                    let query = L::splat(queries[row][dim]);
                    sums[row][0] = keys[0].mul_add(query, sums[row][0]);
                    sums[row][1] = keys[1].mul_add(query, sums[row][1]);
                }
            }
            for row in 0..R {
                let scores = &mut self.scores[first + row][page * PAGE_TOKENS..];
                for (sum, scores) in sums[row].iter().zip(scores.chunks_mut(LANES)) {
                    sum.mul(scale).store_part(scores);
                }
            }
        }
    }

    /// Turns a query's scores into terms of the softmax; those of keys that it does not see become
    /// zero.
    #[inline(always)]
    fn normalise<L: Lanes>(&mut self, row: usize, visible: &Range<usize>) -> Partial {
        let within = self.within(visible);
        let blocks = within.end.div_ceil(LANES) * LANES;
        let scores = &mut self.scores[row][..blocks];
        scores[..within.start].fill(f32::NEG_INFINITY);
        scores[within.end..].fill(f32::NEG_INFINITY);
        let mut greatest = L::splat(f32::NEG_INFINITY);
        for block in scores.chunks(LANES) {
            greatest = L::load_part(block, 0.0).max(greatest);
        }
        let greatest = greatest.greatest();
        let mut sum = L::zero();
        for block in scores.chunks_mut(LANES) {
            let term = exp(L::load_part(block, 0.0).sub(L::splat(greatest)));
            term.store_part(block);
            sum = sum.add(term);
        }
        Partial {
            greatest,
            sum: sum.sum(),
        }
    }

    /// Sums the values that each query sees, weighted by its terms.
    #[inline(always)]
    fn weigh<L: Lanes>(&mut self, rows: &[QueryRow<'_>]) {
        let mut first = 0;
        if L::WIDE {
            while first + 4 <= rows.len() {
                self.weigh_tile::<L, 4>(first, rows);
                first += 4;
            }
        }
        while first + 2 <= rows.len() {
            self.weigh_tile::<L, 2>(first, rows);
            first += 2;
        }
        if first < rows.len() {
            self.weigh_tile::<L, 1>(first, rows);
        }
    }

    /// Keys that all `R` queries see are weighed together, others before and after them alone.
    #[inline(always)]
    fn weigh_tile<L: Lanes, const R: usize>(&mut self, first: usize, rows: &[QueryRow<'_>]) {
        let seen: [Range<usize>; R] = from_fn(|row| self.within(&rows[first + row].visible));
        let start = seen.iter().map(|it| it.start).max().unwrap_or(0);
        let end = seen.iter().map(|it| it.end).min().unwrap_or(0);
        if start >= end {
            for (row, seen) in seen.into_iter().enumerate() {
                self.weigh_keys::<L, 1>(first + row, seen);
            }
            return;
        }
        for (row, seen) in seen.iter().enumerate() {
            self.weigh_keys::<L, 1>(first + row, seen.start..start);
        }
        self.weigh_keys::<L, R>(first, start..end);
        for (row, seen) in seen.iter().enumerate() {
            self.weigh_keys::<L, 1>(first + row, end..seen.end);
        }
    }

    #[inline(always)]
    fn weigh_keys<L: Lanes, const R: usize>(&mut self, first: usize, keys: Range<usize>) {
        let mut line = 0;
        if L::WIDE {
            while line + 4 <= self.lines {
                self.weigh_lines::<L, R, 4>(first, keys.clone(), line);
                line += 4;
            }
        }
        while line + 2 <= self.lines {
            self.weigh_lines::<L, R, 2>(first, keys.clone(), line);
            line += 2;
        }
        if line < self.lines {
            self.weigh_lines::<L, R, 1>(first, keys, line);
        }
    }

    #[inline(always)]
    fn weigh_lines<L: Lanes, const R: usize, const C: usize>(
        &mut self,
        first: usize,
        keys: Range<usize>,
        line: usize,
    ) {
        let place = |row: usize| (first + row) * self.lines + line;
        let mut sums: [[L; C]; R] =
            from_fn(|row| from_fn(|column| L::load(&self.outs[place(row) + column])));
        let mut key = keys.start;
        while key < keys.end {
            let page = key / PAGE_TOKENS;
            let end = ((page + 1) * PAGE_TOKENS).min(keys.end);
            let terms: [&[f32]; R] = from_fn(|row| &self.scores[first + row][key..end]);
            let values = &self.pages[page].values[(key % PAGE_TOKENS) * self.lines + line..];
            for (index, values) in values.chunks(self.lines).take(end - key).enumerate() {
                let values = &values[..C];
                let values: [L; C] = from_fn(|column| T::load(&values[column]));
                for row in 0..R {
                    let term = L::splat(terms[row][index]);
                    for column in 0..C {
                        sums[row][column] = values[column].mul_add(term, sums[row][column]);
                    }
                }
            }
            key = end;
        }
        for row in 0..R {
            for column in 0..C {
                sums[row][column].store(&mut self.outs[(first + row) * self.lines + line + column]);
            }
        }
    }
}

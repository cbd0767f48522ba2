//! Attention of some queries to one head of keys and values, chunk by chunk.

#![allow(
    clippy::needless_range_loop,
    reason = "tiles of registers are indexed by row and column"
)]

use std::{marker::PhantomData, ops::Range};

use super::{Call, Task};
use crate::{
    PAGE_TOKENS,
    exp::exp,
    kv::{HeadPage, KvValue},
    lanes::{LANES, LaneKernel, Lanes, behind},
};

/// Keys whose softmax is computed before it is merged with that of earlier keys.
const CHUNK: usize = 256;

/// One head's query of one row.
pub(super) struct QueryRow<'a> {
    /// `[head_dim]`.
    pub query: &'a [f32],
    /// Positions that it attends to.
    pub visible: Range<usize>,
    /// `[head_dim]`.
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
            let mut partials = Vec::with_capacity(rows.len());
            for (row, query) in rows.iter().enumerate() {
                partials.push(chunk.normalise::<L>(row, &query.visible));
            }
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
    /// `[queries, CHUNK]`: scores, then the terms of the softmax.
    scores: Vec<[f32; CHUNK]>,
    /// `[queries, lines]`.
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
        while first < rows.len() {
            let tile = tile_rows::<L>(rows.len() - first);
            match tile {
                4 => self.score_tile::<L, 4>(first, rows),
                2 => self.score_tile::<L, 2>(first, rows),
                _ => self.score_tile::<L, 1>(first, rows),
            }
            first += tile;
        }
    }

    #[inline(always)]
    fn score_tile<L: Lanes, const R: usize>(&mut self, first: usize, rows: &[QueryRow<'_>]) {
        let dims = rows[first].query.len();
        let mut queries: [&[f32]; R] = [&[]; R];
        for row in 0..R {
            queries[row] = &rows[first + row].query[..dims];
        }
        let scale = L::splat(self.scale);
        for page in 0..self.pages.len() {
            let keys = &self.pages[page].keys[..dims];
            let mut sums = [[L::zero(); 2]; R];
            for dim in 0..dims {
                if first == 0 {
                    self.prefetch::<L>(page, dim);
                }
                let (low, high) = (T::load::<L>(&keys[dim][0]), T::load::<L>(&keys[dim][1]));
                for row in 0..R {
                    let query = L::splat(queries[row][dim]);
                    sums[row][0] = low.mul_add(query, sums[row][0]);
                    sums[row][1] = high.mul_add(query, sums[row][1]);
                }
            }
            for row in 0..R {
                let scores = &mut self.scores[first + row][page * PAGE_TOKENS..][..PAGE_TOKENS];
                let (low, high) = scores.split_at_mut(LANES);
                sums[row][0].mul(scale).store_part(low);
                sums[row][1].mul(scale).store_part(high);
            }
        }
    }

    /// Asks for a part of the next page's keys and of this page's values: pages lie anywhere.
    #[inline(always)]
    fn prefetch<L: Lanes>(&self, page: usize, dim: usize) {
        if let Some(line) = self.pages[page].values.get(2 * dim) {
            L::prefetch(behind(line, 0));
        }
        let next = self.pages.get(page + 1);
        if let Some(lines) = next.and_then(|it| it.keys.get(dim)) {
            L::prefetch(behind(lines, 0));
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

    /// Sums the values that each query sees, weighted by its terms. Keys that all queries of a tile
    /// see are weighed together, the others before and after them alone.
    #[inline(always)]
    fn weigh<L: Lanes>(&mut self, rows: &[QueryRow<'_>]) {
        let mut first = 0;
        while first < rows.len() {
            let tile = tile_rows::<L>(rows.len() - first);
            let common = self.common(&rows[first..first + tile]);
            for after in [false, true] {
                if after {
                    match tile {
                        4 => self.weigh_keys::<L, 4>(first, common.clone()),
                        2 => self.weigh_keys::<L, 2>(first, common.clone()),
                        _ => self.weigh_keys::<L, 1>(first, common.clone()),
                    }
                }
                for row in first..first + tile {
                    let seen = self.within(&rows[row].visible);
                    let keys = match after {
                        false => seen.start..common.start.min(seen.end),
                        true => common.end.max(seen.start)..seen.end,
                    };
                    self.weigh_keys::<L, 1>(row, keys);
                }
            }
            first += tile;
        }
    }

    /// The keys that all of `rows` see; if there are none, an empty range after those of each.
    #[inline(always)]
    fn common(&self, rows: &[QueryRow<'_>]) -> Range<usize> {
        let mut common = 0..CHUNK;
        for row in rows {
            let seen = self.within(&row.visible);
            common = common.start.max(seen.start)..common.end.min(seen.end);
        }
        match common.start < common.end {
            true => common,
            false => CHUNK..CHUNK,
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
        } else {
            while line + 2 <= self.lines {
                self.weigh_lines::<L, R, 2>(first, keys.clone(), line);
                line += 2;
            }
        }
        while line < self.lines {
            self.weigh_lines::<L, R, 1>(first, keys.clone(), line);
            line += 1;
        }
    }

    #[inline(always)]
    fn weigh_lines<L: Lanes, const R: usize, const C: usize>(
        &mut self,
        first: usize,
        keys: Range<usize>,
        line: usize,
    ) {
        if keys.is_empty() {
            return;
        }
        let lines = self.lines;
        let mut sums = [[L::zero(); C]; R];
        for row in 0..R {
            let outs = &self.outs[(first + row) * lines + line..][..C];
            for column in 0..C {
                sums[row][column] = L::load(&outs[column]);
            }
        }
        let mut key = keys.start;
        while key < keys.end {
            let page = key / PAGE_TOKENS;
            let count = ((page + 1) * PAGE_TOKENS).min(keys.end) - key;
            let mut terms: [&[f32]; R] = [&[]; R];
            for row in 0..R {
                terms[row] = &self.scores[first + row][key..][..count];
            }
            let mut values = &self.pages[page].values[(key % PAGE_TOKENS) * lines + line..];
            for index in 0..count {
                let mut value = [L::zero(); C];
                for column in 0..C {
                    value[column] = T::load(&values[column]);
                }
                for row in 0..R {
                    let term = L::splat(terms[row][index]);
                    for column in 0..C {
                        sums[row][column] = value[column].mul_add(term, sums[row][column]);
                    }
                }
                values = values.get(lines..).unwrap_or_default();
            }
            key += count;
        }
        for row in 0..R {
            let outs = &mut self.outs[(first + row) * lines + line..][..C];
            for column in 0..C {
                sums[row][column].store(&mut outs[column]);
            }
        }
    }
}

/// Queries whose sums run side by side in registers.
#[inline(always)]
fn tile_rows<L: Lanes>(rows: usize) -> usize {
    match rows {
        0 | 1 => 1,
        4.. if L::WIDE => 4,
        _ => 2,
    }
}

//! Pages of keys and values, laid out for the attention kernel.

use half::f16;

use crate::{
    KernelError,
    lanes::{LANES, Lanes},
};

/// Positions per page.
pub const PAGE_TOKENS: usize = 2 * LANES;

/// How keys and values are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KvPrecision {
    F32,
    /// Rounded to nearest even; magnitudes above 65 504 become 65 504.
    F16,
}

/// Keys and values of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KvShape {
    pub layers: usize,
    pub kv_heads: usize,
    pub head_dim: usize,
    pub precision: KvPrecision,
}

impl KvShape {
    /// Memory of one page.
    pub fn page_bytes(self) -> usize {
        let lines = self.page_lines();
        match self.precision {
            KvPrecision::F32 => lines * size_of::<[f32; LANES]>(),
            KvPrecision::F16 => lines * size_of::<[f16; LANES]>(),
        }
    }

    /// Lines of one position's value, of which the last one is padded with zeros.
    pub(crate) fn value_lines(self) -> usize {
        self.head_dim.div_ceil(LANES)
    }

    fn page_lines(self) -> usize {
        self.layers * self.kv_heads * self.head_lines()
    }

    /// Lines of all keys and values of one head.
    fn head_lines(self) -> usize {
        self.head_dim * 2 + PAGE_TOKENS * self.value_lines()
    }
}

/// Keys and values of [`PAGE_TOKENS`] consecutive positions in every layer.
#[derive(Clone, Debug)]
pub struct KvPage {
    shape: KvShape,
    data: PageData,
}

/// `[layers, kv_heads, head_lines]`; see [`HeadPage`].
#[derive(Clone, Debug)]
enum PageData {
    F32(Vec<[f32; LANES]>),
    F16(Vec<[f16; LANES]>),
}

/// Keys and values of one head.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeadPage<'a, T> {
    /// `[head_dim]`: two lines for each dimension, a lane for each position.
    pub keys: &'a [[[T; LANES]; 2]],
    /// `[PAGE_TOKENS, value_lines]`.
    pub values: &'a [[T; LANES]],
}

impl KvPage {
    /// A page of zeros. Ends the process if there is no memory for it, as a vector does.
    pub fn new(shape: KvShape) -> Self {
        let lines = shape.page_lines();
        let data = match shape.precision {
            KvPrecision::F32 => PageData::F32(vec![[0.0; LANES]; lines]),
            KvPrecision::F16 => PageData::F16(vec![[f16::ZERO; LANES]; lines]),
        };
        Self { shape, data }
    }

    /// A page of zeros.
    ///
    /// # Errors
    /// [`KernelError::PageMemory`] if there is no memory for it.
    pub fn try_new(shape: KvShape) -> Result<Self, KernelError> {
        let data = match shape.precision {
            KvPrecision::F32 => PageData::F32(zeros(shape, 0.0)?),
            KvPrecision::F16 => PageData::F16(zeros(shape, f16::ZERO)?),
        };
        Ok(Self { shape, data })
    }

    pub fn shape(&self) -> KvShape {
        self.shape
    }

    /// Stores one position's key and value of a layer, each `[kv_heads, head_dim]`, at `slot`, the
    /// position modulo [`PAGE_TOKENS`].
    ///
    /// # Panics
    /// If the layer or slot is beyond the page or the rows have other lengths.
    pub fn store(&mut self, layer: usize, slot: usize, key: &[f32], value: &[f32]) {
        let width = self.shape.kv_heads * self.shape.head_dim;
        assert!(
            layer < self.shape.layers && slot < PAGE_TOKENS,
            "no slot {slot} in layer {layer}"
        );
        assert!(
            key.len() == width && value.len() == width,
            "rows of {width} values"
        );
        let place = StorePlace {
            shape: self.shape,
            layer,
            slot,
        };
        match &mut self.data {
            PageData::F32(lines) => place.store(lines, [key, value], |it| it),
            PageData::F16(lines) => place.store(lines, [key, value], to_half),
        }
    }
}

fn zeros<T: Copy>(shape: KvShape, zero: T) -> Result<Vec<[T; LANES]>, KernelError> {
    let count = shape.page_lines();
    let mut lines = Vec::new();
    lines
        .try_reserve_exact(count)
        .map_err(|_| KernelError::PageMemory {
            bytes: shape.page_bytes(),
        })?;
    lines.resize(count, [zero; LANES]);
    Ok(lines)
}

struct StorePlace {
    shape: KvShape,
    layer: usize,
    slot: usize,
}

impl StorePlace {
    fn store<T>(&self, lines: &mut [[T; LANES]], rows: [&[f32]; 2], round: fn(f32) -> T) {
        let KvShape {
            kv_heads, head_dim, ..
        } = self.shape;
        let heads = lines.chunks_mut(self.shape.head_lines());
        let heads = heads.skip(self.layer * kv_heads);
        let rows = rows[0].chunks(head_dim).zip(rows[1].chunks(head_dim));
        for (lines, (key, value)) in heads.zip(rows) {
            let (keys, values) = lines.split_at_mut(2 * head_dim);
            let keys = keys.iter_mut().skip(self.slot / LANES).step_by(2);
            for (line, key) in keys.zip(key) {
                line[self.slot % LANES] = round(*key);
            }
            let values = &mut values[self.slot * self.shape.value_lines()..];
            for (line, value) in values.iter_mut().zip(value.chunks(LANES)) {
                for (to, value) in line.iter_mut().zip(value) {
                    *to = round(*value);
                }
            }
        }
    }
}

fn to_half(value: f32) -> f16 {
    let limit = f16::MAX.to_f32();
    // `clamp` keeps NaN.
    f16::from_f32(value.clamp(-limit, limit))
}

/// A number that keys and values are kept in.
pub(crate) trait KvValue: Copy {
    fn load<L: Lanes>(from: &[Self; LANES]) -> L;

    /// The lines of a page that keeps these numbers.
    fn lines(page: &KvPage) -> Option<&[[Self; LANES]]>;

    /// One head's keys and values; `None` if the page keeps other numbers.
    fn head(page: &KvPage, layer: usize, head: usize) -> Option<HeadPage<'_, Self>> {
        let shape = page.shape;
        let first = (layer * shape.kv_heads + head) * shape.head_lines();
        let lines = Self::lines(page)?.get(first..first + shape.head_lines())?;
        let (keys, values) = lines.split_at(2 * shape.head_dim);
        Some(HeadPage {
            keys: keys.as_chunks().0,
            values,
        })
    }
}

impl KvValue for f32 {
    #[inline(always)]
    fn load<L: Lanes>(from: &[Self; LANES]) -> L {
        L::load(from)
    }

    fn lines(page: &KvPage) -> Option<&[[Self; LANES]]> {
        match &page.data {
            PageData::F32(lines) => Some(lines),
            PageData::F16(_) => None,
        }
    }
}

impl KvValue for f16 {
    #[inline(always)]
    fn load<L: Lanes>(from: &[Self; LANES]) -> L {
        L::load_f16(from)
    }

    fn lines(page: &KvPage) -> Option<&[[Self; LANES]]> {
        match &page.data {
            PageData::F16(lines) => Some(lines),
            PageData::F32(_) => None,
        }
    }
}

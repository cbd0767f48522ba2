//! Pages of keys and values, laid out for the attention kernel.

use half::f16;

use crate::lanes::LANES;

/// Positions per page.
pub const PAGE_TOKENS: usize = 32;

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
        let size = match self.precision {
            KvPrecision::F32 => size_of::<f32>(),
            KvPrecision::F16 => size_of::<f16>(),
        };
        size * (self.keys() + self.values())
    }

    /// Floats from a value row to the next.
    pub(crate) fn value_stride(self) -> usize {
        self.head_dim.next_multiple_of(LANES)
    }

    fn keys(self) -> usize {
        self.layers * self.kv_heads * self.head_dim * PAGE_TOKENS
    }

    fn values(self) -> usize {
        self.layers * self.kv_heads * PAGE_TOKENS * self.value_stride()
    }
}

/// Keys and values of [`PAGE_TOKENS`] consecutive positions in every layer.
#[derive(Clone, Debug)]
pub struct KvPage {
    shape: KvShape,
    data: PageData,
}

#[derive(Clone, Debug)]
enum PageData {
    F32(PageValues<f32>),
    F16(PageValues<f16>),
}

#[derive(Clone, Debug)]
pub(crate) struct PageValues<T> {
    /// [layers, kv_heads, head_dim, PAGE_TOKENS]: a vector lane holds one position.
    pub keys: Vec<T>,
    /// [layers, kv_heads, PAGE_TOKENS, value_stride].
    pub values: Vec<T>,
}

impl<T: Copy> PageValues<T> {
    fn new(shape: KvShape, zero: T) -> Self {
        Self {
            keys: vec![zero; shape.keys()],
            values: vec![zero; shape.values()],
        }
    }

    fn store(
        &mut self,
        shape: KvShape,
        layer: usize,
        slot: usize,
        rows: [&[f32]; 2],
        round: fn(f32) -> T,
    ) {
        let [key, value] = rows;
        let keys = &mut self.keys[layer * key.len() * PAGE_TOKENS..];
        for (line, key) in keys.chunks_mut(PAGE_TOKENS).zip(key) {
            line[slot] = round(*key);
        }
        let stride = shape.value_stride();
        for (head, value) in value.chunks(shape.head_dim).enumerate() {
            let row = (layer * shape.kv_heads + head) * PAGE_TOKENS + slot;
            let row = &mut self.values[row * stride..][..shape.head_dim];
            for (to, value) in row.iter_mut().zip(value) {
                *to = round(*value);
            }
        }
    }
}

impl KvPage {
    /// A page of zeros.
    pub fn new(shape: KvShape) -> Self {
        let data = match shape.precision {
            KvPrecision::F32 => PageData::F32(PageValues::new(shape, 0.0)),
            KvPrecision::F16 => PageData::F16(PageValues::new(shape, f16::ZERO)),
        };
        Self { shape, data }
    }

    pub fn shape(&self) -> KvShape {
        self.shape
    }

    /// Stores one position's key and value of a layer, each [kv_heads, head_dim], at `slot`, the
    /// position modulo [`PAGE_TOKENS`].
    ///
    /// # Panics
    /// If the layer or slot is beyond the page or the rows have other lengths.
    pub fn store(&mut self, layer: usize, slot: usize, key: &[f32], value: &[f32]) {
        let width = self.shape.kv_heads * self.shape.head_dim;
        assert!(layer < self.shape.layers && slot < PAGE_TOKENS);
        assert!(key.len() == width && value.len() == width);
        let (shape, rows) = (self.shape, [key, value]);
        match &mut self.data {
            PageData::F32(data) => data.store(shape, layer, slot, rows, |it| it),
            PageData::F16(data) => data.store(shape, layer, slot, rows, to_half),
        }
    }

    pub(crate) fn floats(&self) -> Option<&PageValues<f32>> {
        match &self.data {
            PageData::F32(data) => Some(data),
            PageData::F16(_) => None,
        }
    }

    pub(crate) fn halves(&self) -> Option<&PageValues<f16>> {
        match &self.data {
            PageData::F16(data) => Some(data),
            PageData::F32(_) => None,
        }
    }
}

fn to_half(value: f32) -> f16 {
    let limit = f16::MAX.to_f32();
    // `clamp` keeps NaN.
    f16::from_f32(value.clamp(-limit, limit))
}

//! An index in memory, before it is written.

use super::{
    format,
    index::{IndexBinding, IndexContributor, IndexMeta, IndexedExample},
    sketch::quantise,
    suffixes::SuffixArray,
};

/// 8-bit rows of all examples, by checkpoint.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QuantisedRows {
    values: Vec<i8>,
    /// Per checkpoint and example.
    scales: Vec<f32>,
}

/// The largest scale of a row in the file.
const UNIT: f64 = (1u32 << 31) as f64;

impl QuantisedRows {
    /// Appends a checkpoint's rows of `width` values, multiplied by `rate`.
    pub fn push(&mut self, rows: &[f32], width: usize, rate: f64) {
        for row in rows.chunks(width.max(1)) {
            let (scale, values) = quantise(row);
            self.values.extend(values);
            self.scales.push((f64::from(scale) * rate) as f32);
        }
    }

    /// The scales as integers of a common unit.
    fn units(&self) -> Vec<u8> {
        let largest = self
            .scales
            .iter()
            .fold(0f32, |most, scale| most.max(*scale));
        let unit = |scale: &f32| match largest > 0.0 {
            true => (f64::from(*scale) / f64::from(largest) * UNIT).round() as u32,
            false => 0,
        };
        self.scales
            .iter()
            .map(unit)
            .flat_map(u32::to_le_bytes)
            .collect()
    }
}

/// The content of an index.
#[derive(Clone, Debug)]
pub struct IndexDraft {
    pub binding: IndexBinding,
    pub contributors: Vec<IndexContributor>,
    pub examples: Vec<IndexedExample>,
    pub rows: QuantisedRows,
    pub suffixes: SuffixArray,
}

impl IndexDraft {
    /// The file's bytes, a function of the content.
    pub fn encode(&self) -> Vec<u8> {
        let meta = IndexMeta {
            binding: self.binding.clone(),
            contributors: self.contributors.clone(),
        };
        let mut examples = Vec::new();
        self.examples
            .iter()
            .for_each(|example| example.encode(&mut examples));
        let words = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let text = &self.suffixes.text;
        format::encode(&[
            // The metadata contains only texts and numbers under text keys, so serialisation cannot
            // fail.
            serde_json::to_vec(&meta).unwrap_or_default(),
            examples,
            self.rows.units(),
            self.rows
                .values
                .iter()
                .map(|value| value.to_le_bytes()[0])
                .collect(),
            words(&self.suffixes.alphabet),
            text.iter()
                .flat_map(|number| number.to_le_bytes())
                .collect(),
            words(&self.suffixes.suffixes),
            words(&self.suffixes.firsts),
        ])
    }
}

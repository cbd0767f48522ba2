//! Strict reading of the safetensors container: every data byte belongs to one tensor, names are
//! unique, and values are finite. The format is documented at
//! <https://github.com/huggingface/safetensors>. The crate of that name silently keeps the last of
//! two equal names, so the header is parsed here.

use std::{collections::BTreeMap, fmt};

use bytes::Bytes;
use half::{bf16, f16};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

use super::error::WeightsProblem;
use openlora_core::error::describe_decoding;

/// Largest header that is read, in bytes; the limit of the reference implementation.
const HEADER_LIMIT: u64 = 100_000_000;

/// Element types that LoRA factors may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FactorDtype {
    F32,
    F16,
    Bf16,
}

impl FactorDtype {
    /// Bytes per element.
    pub fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
        }
    }

    fn parse(name: &str) -> Option<Self> {
        match name {
            "F32" => Some(Self::F32),
            "F16" => Some(Self::F16),
            "BF16" => Some(Self::Bf16),
            _ => None,
        }
    }
}

/// A tensor in main memory: row-major, little-endian bytes. A copy shares them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostTensor {
    pub dtype: FactorDtype,
    pub shape: Vec<usize>,
    /// `shape.product() * dtype.size()` bytes; of a tensor from a file, a part of the file.
    pub data: Bytes,
}

impl HostTensor {
    /// An f32 tensor; `values` holds `shape.product()` elements, row-major.
    pub fn from_f32(shape: &[usize], values: &[f32]) -> Self {
        debug_assert_eq!(shape.iter().product::<usize>(), values.len());
        let data: Vec<u8> = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        Self {
            dtype: FactorDtype::F32,
            shape: shape.to_vec(),
            data: data.into(),
        }
    }

    /// The elements, row-major; f16 and bf16 widen exactly.
    pub fn to_f32(&self) -> Vec<f32> {
        let words = self.data.as_chunks().0.iter();
        let halves = || self.data.as_chunks().0.iter().copied();
        match self.dtype {
            FactorDtype::F32 => words.map(|it| f32::from_le_bytes(*it)).collect(),
            FactorDtype::F16 => halves().map(|it| f16::from_le_bytes(it).to_f32()).collect(),
            FactorDtype::Bf16 => halves()
                .map(|it| bf16::from_le_bytes(it).to_f32())
                .collect(),
        }
    }

    /// Whether every element is zero, of either sign.
    pub fn is_zero(&self) -> bool {
        self.to_f32().iter().all(|value| *value == 0.0)
    }

    /// Whether no element is infinite or no number: then not all bits of its exponent are set.
    fn is_finite(&self) -> bool {
        let words = self.data.as_chunks().0.iter();
        let halves = || self.data.as_chunks().0.iter();
        let all_set = |bits: u16, exponent: u16| bits & exponent == exponent;
        // Without an early end, the compiler looks at many at once.
        match self.dtype {
            FactorDtype::F32 => {
                let exponent = f32::INFINITY.to_bits();
                let set = words.map(|it| u32::from_le_bytes(*it) & exponent == exponent);
                !set.fold(false, |any, it| any | it)
            }
            FactorDtype::F16 => {
                let exponent = f16::INFINITY.to_bits();
                let set = halves().map(|it| all_set(u16::from_le_bytes(*it), exponent));
                !set.fold(false, |any, it| any | it)
            }
            FactorDtype::Bf16 => {
                let exponent = bf16::INFINITY.to_bits();
                let set = halves().map(|it| all_set(u16::from_le_bytes(*it), exponent));
                !set.fold(false, |any, it| any | it)
            }
        }
    }

    fn check_finite(&self, name: &str) -> Result<(), WeightsProblem> {
        if self.is_finite() {
            return Ok(());
        }
        let values = self.to_f32();
        let Some(index) = values.iter().position(|value| !value.is_finite()) else {
            return Ok(());
        };
        let kind = if values[index].is_nan() {
            "NaN"
        } else {
            "infinity"
        };
        Err(WeightsProblem::NotFinite {
            name: name.to_owned(),
            kind,
            index,
        })
    }
}

/// One header entry as written.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct HeaderEntry {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: (u64, u64),
}

/// A JSON object that preserves the order of keys and duplicates.
struct OrderedPairs<V>(Vec<(String, V)>);

impl<'de, V: Deserialize<'de>> Deserialize<'de> for OrderedPairs<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PairsVisitor<V>(std::marker::PhantomData<V>);
        impl<'de, V: Deserialize<'de>> Visitor<'de> for PairsVisitor<V> {
            type Value = OrderedPairs<V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<OrderedPairs<V>, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(OrderedPairs(pairs))
            }
        }
        deserializer.deserialize_map(PairsVisitor(std::marker::PhantomData))
    }
}

/// Parses a JSON object; the inner error is a key that appears twice.
pub(super) fn unique_pairs<'de, V: Deserialize<'de>>(
    bytes: &'de [u8],
) -> Result<Result<Vec<(String, V)>, String>, serde_json::Error> {
    let OrderedPairs(pairs) = serde_json::from_slice(bytes)?;
    let mut names: Vec<&String> = pairs.iter().map(|(name, _)| name).collect();
    names.sort_unstable();
    let repeated = names
        .windows(2)
        .find(|two| two[0] == two[1])
        .map(|two| two[0].clone());
    Ok(match repeated {
        Some(name) => Err(name),
        None => Ok(pairs),
    })
}

/// Header values: a tensor entry, or the text map under `__metadata__`.
enum HeaderValue {
    Tensor(HeaderEntry),
    Metadata,
}

struct TensorHeader(Vec<(String, HeaderValue)>);

impl<'de> Deserialize<'de> for TensorHeader {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct HeaderVisitor;
        impl<'de> Visitor<'de> for HeaderVisitor {
            type Value = TensorHeader;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<TensorHeader, A::Error> {
                let mut entries = Vec::new();
                while let Some(name) = map.next_key::<String>()? {
                    let value = if name == "__metadata__" {
                        map.next_value::<OrderedPairs<String>>()?;
                        HeaderValue::Metadata
                    } else {
                        HeaderValue::Tensor(map.next_value()?)
                    };
                    entries.push((name, value));
                }
                Ok(TensorHeader(entries))
            }
        }
        deserializer.deserialize_map(HeaderVisitor)
    }
}

/// Reads a whole safetensors file.
///
/// Every data byte must belong to exactly one tensor, names must be unique dotted words, values
/// must be finite.
pub fn parse_safetensors(bytes: &[u8]) -> Result<BTreeMap<String, HostTensor>, WeightsProblem> {
    parse_shared(&Bytes::copy_from_slice(bytes))
}

/// As [`parse_safetensors`]; the tensors share `bytes`.
pub(super) fn parse_shared(bytes: &Bytes) -> Result<BTreeMap<String, HostTensor>, WeightsProblem> {
    let (header, data) = split(bytes)?;
    let TensorHeader(pairs) = serde_json::from_slice(header)
        .map_err(|e| WeightsProblem::Header(describe_decoding(&e)))?;
    let mut entries: BTreeMap<String, HeaderEntry> = BTreeMap::new();
    let mut metadata = false;
    for (name, value) in pairs {
        let repeated = match value {
            HeaderValue::Metadata => std::mem::replace(&mut metadata, true),
            HeaderValue::Tensor(entry) => entries.insert(name.clone(), entry).is_some(),
        };
        if repeated {
            return Err(WeightsProblem::DuplicateName(name));
        }
    }
    check_names(&entries)?;
    check_layout(
        &entries,
        (bytes.len() - data.len()) as u64,
        data.len() as u64,
    )?;
    entries
        .into_iter()
        .map(|(name, entry)| Ok((name.clone(), tensor(&name, entry, &data)?)))
        .collect()
}

/// Splits the file into its JSON header and its data.
fn split(bytes: &Bytes) -> Result<(&[u8], Bytes), WeightsProblem> {
    let found = bytes.len() as u64;
    if bytes.starts_with(b"version https://git-lfs") {
        return Err(WeightsProblem::Pointer);
    }
    let Some((length, rest)) = bytes.split_first_chunk::<8>() else {
        return Err(WeightsProblem::Truncated { expected: 8, found });
    };
    let length = u64::from_le_bytes(*length);
    if length > HEADER_LIMIT {
        return Err(WeightsProblem::HeaderTooLarge {
            found: length,
            limit: HEADER_LIMIT,
        });
    }
    match rest.split_at_checked(length as usize) {
        Some((header, data)) => Ok((header, bytes.slice_ref(data))),
        None => Err(WeightsProblem::Truncated {
            expected: 8 + length,
            found,
        }),
    }
}

fn check_names(entries: &BTreeMap<String, HeaderEntry>) -> Result<(), WeightsProblem> {
    let word = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
    };
    match entries.keys().find(|name| !name.split('.').all(word)) {
        Some(name) => Err(WeightsProblem::OddName(name.clone())),
        None => Ok(()),
    }
}

/// Offsets must tile the data exactly and agree with the shapes.
fn check_layout(
    entries: &BTreeMap<String, HeaderEntry>,
    data_start: u64,
    length: u64,
) -> Result<(), WeightsProblem> {
    let mut order: Vec<(&String, &HeaderEntry)> = entries.iter().collect();
    order.sort_by_key(|(_, entry)| entry.data_offsets);
    let mut at = 0;
    let mut previous: Option<&String> = None;
    for (name, entry) in order {
        let (start, end) = entry.data_offsets;
        if end < start {
            return Err(WeightsProblem::Backwards {
                name: name.clone(),
                start,
                end,
            });
        }
        if start > at {
            return Err(WeightsProblem::Hole {
                start: at,
                end: start,
            });
        }
        if let Some(first) = previous.filter(|_| start < at) {
            return Err(WeightsProblem::Overlap {
                first: first.clone(),
                second: name.clone(),
                at: start,
            });
        }
        if end > length {
            return Err(WeightsProblem::Truncated {
                expected: end.saturating_add(data_start),
                found: length + data_start,
            });
        }
        check_size(name, entry)?;
        (at, previous) = (end, Some(name));
    }
    if at < length {
        Err(WeightsProblem::Hole {
            start: at,
            end: length,
        })
    } else {
        Ok(())
    }
}

fn check_size(name: &str, entry: &HeaderEntry) -> Result<(), WeightsProblem> {
    let (name, shape) = (name.to_owned(), entry.shape.clone());
    let Some(dtype) = FactorDtype::parse(&entry.dtype) else {
        return Err(WeightsProblem::Dtype {
            name,
            found: entry.dtype.clone(),
        });
    };
    let bytes = shape
        .iter()
        .try_fold(dtype.size(), |product, dim| product.checked_mul(*dim))
        .and_then(|bytes| u64::try_from(bytes).ok());
    let found = entry.data_offsets.1 - entry.data_offsets.0;
    match bytes {
        None => Err(WeightsProblem::Overflow { name, shape }),
        Some(expected) if expected != found => Err(WeightsProblem::Size {
            name,
            shape,
            expected,
            found,
        }),
        Some(_) => Ok(()),
    }
}

fn tensor(name: &str, entry: HeaderEntry, data: &Bytes) -> Result<HostTensor, WeightsProblem> {
    let Some(dtype) = FactorDtype::parse(&entry.dtype) else {
        return Err(WeightsProblem::Dtype {
            name: name.to_owned(),
            found: entry.dtype,
        });
    };
    let (start, end) = (entry.data_offsets.0 as usize, entry.data_offsets.1 as usize);
    let tensor = HostTensor {
        dtype,
        shape: entry.shape,
        data: data.slice(start..end),
    };
    tensor.check_finite(name)?;
    Ok(tensor)
}

//! The header of a GGUF file: metadata, and where each tensor is.
//!
//! The file may be hostile. Every count is compared with the bytes that are left before anything is
//! allocated, and tensors must lie within the file without overlapping. Layout:
//! <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>.

use std::{
    collections::{BTreeMap, HashSet},
    fs::File,
    io::{BufReader, Read},
};

use super::blocks::BlockType;
use crate::error::GgufProblem;

/// A larger header than any vocabulary needs.
const LARGEST_HEADER: u64 = 256 << 20;
/// Arrays in arrays, which no key of ours has.
const DEEPEST: usize = 8;
/// As `GGML_MAX_DIMS`.
const MOST_DIMENSIONS: u64 = 4;
/// As `GGML_MAX_NAME`.
const LONGEST_NAME: u64 = 64;
const LONGEST_KEY: u64 = 65_535;
const DEFAULT_ALIGNMENT: u64 = 32;
const LARGEST_ALIGNMENT: u64 = 1 << 20;

/// A value of the metadata. Arrays of types that no key of ours has are skipped.
#[derive(Clone, Debug, PartialEq)]
pub enum MetadataValue {
    Integer(i128),
    Float(f64),
    Boolean(bool),
    Text(String),
    Texts(Vec<String>),
    Integers(Vec<i32>),
    Floats(Vec<f32>),
    Skipped,
}

/// A tensor of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GgufTensor {
    pub name: String,
    /// Outermost dimension first, as in a checkpoint.
    pub shape: Vec<u64>,
    pub kind: BlockType,
    /// First byte in the file.
    pub start: u64,
    /// Size in bytes.
    pub size: u64,
}

/// The parsed header.
#[derive(Clone, Debug, PartialEq)]
pub struct GgufHeader {
    pub metadata: BTreeMap<String, MetadataValue>,
    pub tensors: BTreeMap<String, GgufTensor>,
}

/// Why no header was read.
#[derive(Debug)]
pub enum HeaderError {
    Problem(GgufProblem),
    Io(std::io::Error),
}

impl From<GgufProblem> for HeaderError {
    fn from(problem: GgufProblem) -> Self {
        Self::Problem(problem)
    }
}

impl GgufHeader {
    /// Reads the header of a file of `size` bytes, from its beginning.
    pub fn read(file: &File, size: u64) -> Result<Self, HeaderError> {
        HeaderReader {
            file: BufReader::new(file),
            at: 0,
            size,
        }
        .header()
    }
}

/// Whether a file begins as a GGUF file of any byte order does.
pub fn has_magic(file: &File) -> std::io::Result<bool> {
    let mut start = Vec::new();
    file.take(4).read_to_end(&mut start)?;
    Ok(start == b"GGUF" || start == b"FUGG")
}

/// A cursor that knows how much is left.
struct HeaderReader<'a> {
    file: BufReader<&'a File>,
    at: u64,
    size: u64,
}

impl HeaderReader<'_> {
    fn header(&mut self) -> Result<GgufHeader, HeaderError> {
        self.preamble()?;
        let tensors = self.count("the number of tensors", 24)?;
        let keys = self.count("the number of metadata keys", 13)?;
        let metadata = self.metadata(keys)?;
        let mut infos = Vec::new();
        let mut names = HashSet::new();
        for _ in 0..tensors {
            let info = self.tensor()?;
            if !names.insert(info.name.clone()) {
                let (what, name) = ("tensor", info.name);
                return Err(GgufProblem::Twice { what, name }.into());
            }
            infos.push(info);
        }
        let alignment = alignment(&metadata)?;
        let start = self.at.next_multiple_of(alignment);
        let tensors = placed(infos, start, self.size, alignment)?;
        Ok(GgufHeader { metadata, tensors })
    }

    /// Magic and version.
    fn preamble(&mut self) -> Result<(), HeaderError> {
        let length = self.size.min(24) as usize;
        let mut start = vec![0; length];
        self.fill(&mut start, "its first bytes")?;
        let version = start.get(4..8).map(|bytes| {
            let mut word = [0; 4];
            word.copy_from_slice(bytes);
            u32::from_le_bytes(word)
        });
        let problem = match (start.get(..4), version) {
            (Some(b"GGUF"), Some(2 | 3)) => {
                self.at = 8;
                let rest = self.file.seek_relative(8 - length as i64);
                return rest.map_err(HeaderError::Io);
            }
            (Some(b"GGUF"), Some(version)) => match version.swap_bytes() {
                1..=3 => GgufProblem::BigEndian,
                _ => GgufProblem::Version { found: version },
            },
            (Some(b"GGUF"), None) => GgufProblem::Truncated {
                what: "the version".to_owned(),
                size: self.size,
            },
            (Some(b"FUGG"), _) => GgufProblem::BigEndian,
            (Some(b"lmgg" | b"tjgg" | b"fmgg" | b"algg"), _) => GgufProblem::Predecessor,
            _ if start.starts_with(b"version https://git-lfs") => GgufProblem::Pointer,
            _ => GgufProblem::Magic {
                found: match start.is_empty() {
                    true => "nothing; it is empty".to_owned(),
                    false => format!("\"{}\"", start[..start.len().min(8)].escape_ascii()),
                },
            },
        };
        Err(problem.into())
    }

    fn metadata(&mut self, keys: u64) -> Result<BTreeMap<String, MetadataValue>, HeaderError> {
        let mut metadata = BTreeMap::new();
        for _ in 0..keys {
            let key = self.text("a metadata key", LONGEST_KEY)?;
            let kind = self.word(&key)?;
            let value = self.value(&key, kind)?;
            if metadata.insert(key.clone(), value).is_some() {
                let what = "metadata key";
                return Err(GgufProblem::Twice { what, name: key }.into());
            }
        }
        Ok(metadata)
    }

    fn value(&mut self, key: &str, kind: u32) -> Result<MetadataValue, HeaderError> {
        use MetadataValue::{Boolean, Float, Integer, Text};
        Ok(match kind {
            0 => Integer(i128::from(u8::from_le_bytes(self.bytes(key)?))),
            1 => Integer(i128::from(i8::from_le_bytes(self.bytes(key)?))),
            2 => Integer(i128::from(u16::from_le_bytes(self.bytes(key)?))),
            3 => Integer(i128::from(i16::from_le_bytes(self.bytes(key)?))),
            4 => Integer(i128::from(self.word(key)?)),
            5 => Integer(i128::from(i32::from_le_bytes(self.bytes(key)?))),
            6 => Float(f64::from(f32::from_le_bytes(self.bytes(key)?))),
            7 => match self.bytes(key)? {
                [0] => Boolean(false),
                [1] => Boolean(true),
                [other] => return Err(wrong(key, "0 or 1", other).into()),
            },
            8 => Text(self.text(key, LARGEST_HEADER)?),
            9 => self.array(key, 0)?,
            10 => Integer(i128::from(self.long(key)?)),
            11 => Integer(i128::from(i64::from_le_bytes(self.bytes(key)?))),
            12 => Float(f64::from_le_bytes(self.bytes(key)?)),
            found => return Err(unknown_type(key, found)),
        })
    }

    fn array(&mut self, key: &str, depth: usize) -> Result<MetadataValue, HeaderError> {
        let kind = self.word(key)?;
        let width = match kind {
            0 | 1 | 7 => 1,
            2 | 3 => 2,
            4..=6 => 4,
            // A text has at least its length, an array its type and length.
            8 | 10..=12 => 8,
            9 if depth < DEEPEST => 12,
            9 => return Err(wrong(key, "arrays that are less deep", "an array").into()),
            found => return Err(unknown_type(key, found)),
        };
        let length = self.length(key, width)?;
        Ok(match kind {
            4 | 5 => {
                let mut integers = Vec::new();
                for _ in 0..length {
                    integers.push(i32::from_le_bytes(self.bytes(key)?));
                }
                MetadataValue::Integers(integers)
            }
            6 => {
                let mut floats = Vec::new();
                for _ in 0..length {
                    floats.push(f32::from_le_bytes(self.bytes(key)?));
                }
                MetadataValue::Floats(floats)
            }
            8 => {
                let mut texts = Vec::new();
                for _ in 0..length {
                    texts.push(self.text(key, LARGEST_HEADER)?);
                }
                MetadataValue::Texts(texts)
            }
            9 => {
                for _ in 0..length {
                    self.array(key, depth + 1)?;
                }
                MetadataValue::Skipped
            }
            _ => {
                // The count fits the file, so the product does.
                self.skip(length * width, key)?;
                MetadataValue::Skipped
            }
        })
    }

    /// The description of a tensor, with its place relative to the data.
    fn tensor(&mut self) -> Result<GgufTensor, HeaderError> {
        let name = self.text("a tensor's name", LONGEST_NAME)?;
        let dimensions = self.word(&name)?;
        if !(1..=MOST_DIMENSIONS).contains(&u64::from(dimensions)) {
            let reason = format!("it has {dimensions} dimensions; expected 1 to {MOST_DIMENSIONS}");
            return Err(tensor_problem(&name, reason).into());
        }
        let mut shape = Vec::new();
        for _ in 0..dimensions {
            shape.push(self.long(&name)?);
        }
        let kind = BlockType::of_id(self.word(&name)?);
        let start = self.long(&name)?;
        let kind = kind.map_err(|found| GgufProblem::TensorType {
            tensor: name.clone(),
            found,
            supported: BlockType::names(),
        })?;
        let size = size_in_bytes(&shape, kind).map_err(|reason| tensor_problem(&name, reason))?;
        shape.reverse();
        Ok(GgufTensor {
            name,
            shape,
            kind,
            start,
            size,
        })
    }

    /// A count of things that take at least `width` bytes each.
    fn count(&mut self, what: &str, width: u64) -> Result<u64, HeaderError> {
        let found = self.long(what)?;
        self.require_room(found, width, || what.to_owned())
    }

    /// The length of a list or text whose elements take at least `width` bytes each.
    fn length(&mut self, what: &str, width: u64) -> Result<u64, HeaderError> {
        let found = self.long(what)?;
        self.require_room(found, width, || format!("the length of {what}"))
    }

    fn require_room(
        &self,
        found: u64,
        width: u64,
        what: impl FnOnce() -> String,
    ) -> Result<u64, HeaderError> {
        let room = self.left() / width;
        if found > room {
            let what = what();
            return Err(GgufProblem::Room { what, found, room }.into());
        }
        Ok(found)
    }

    fn text(&mut self, what: &str, limit: u64) -> Result<String, HeaderError> {
        let found = self.length(what, 1)?;
        if found > limit {
            let what = format!("the length of {what}");
            return Err(GgufProblem::Limit { what, found, limit }.into());
        }
        let mut bytes = vec![0; found as usize];
        self.fill(&mut bytes, what)?;
        String::from_utf8(bytes).map_err(|_| {
            let what = what.to_owned();
            GgufProblem::Utf8 { what }.into()
        })
    }

    fn word(&mut self, what: &str) -> Result<u32, HeaderError> {
        Ok(u32::from_le_bytes(self.bytes(what)?))
    }

    fn long(&mut self, what: &str) -> Result<u64, HeaderError> {
        Ok(u64::from_le_bytes(self.bytes(what)?))
    }

    fn bytes<const N: usize>(&mut self, what: &str) -> Result<[u8; N], HeaderError> {
        let mut bytes = [0; N];
        self.fill(&mut bytes, what)?;
        Ok(bytes)
    }

    /// Bytes that the header may still have.
    fn left(&self) -> u64 {
        self.size.min(LARGEST_HEADER).saturating_sub(self.at)
    }

    fn fill(&mut self, bytes: &mut [u8], what: &str) -> Result<(), HeaderError> {
        self.advance(bytes.len() as u64, what)?;
        self.file.read_exact(bytes).map_err(HeaderError::Io)
    }

    fn skip(&mut self, bytes: u64, what: &str) -> Result<(), HeaderError> {
        self.advance(bytes, what)?;
        let moved = self.file.seek_relative(bytes as i64);
        moved.map_err(HeaderError::Io)
    }

    fn advance(&mut self, bytes: u64, what: &str) -> Result<(), HeaderError> {
        if bytes > self.left() {
            let what = what.to_owned();
            return Err(if self.size > LARGEST_HEADER {
                GgufProblem::Limit {
                    what: "the header's size".to_owned(),
                    found: self.at + bytes,
                    limit: LARGEST_HEADER,
                }
            } else {
                let size = self.size;
                GgufProblem::Truncated { what, size }
            }
            .into());
        }
        self.at += bytes;
        Ok(())
    }
}

pub fn wrong(key: &str, expected: &str, found: impl ToString) -> GgufProblem {
    GgufProblem::Key {
        key: key.to_owned(),
        expected: expected.to_owned(),
        found: found.to_string(),
    }
}

fn unknown_type(key: &str, found: u32) -> HeaderError {
    let key = key.to_owned();
    GgufProblem::ValueType { key, found }.into()
}

fn tensor_problem(tensor: &str, reason: String) -> GgufProblem {
    let tensor = tensor.to_owned();
    GgufProblem::Tensor { tensor, reason }
}

fn size_in_bytes(shape: &[u64], kind: BlockType) -> Result<u64, String> {
    if shape.contains(&0) {
        return Err(format!("it has shape {shape:?}, which holds nothing"));
    }
    let values = kind.values() as u64;
    if !shape[0].is_multiple_of(values) {
        return Err(format!(
            "a row has {} values; expected a multiple of {values} for {}",
            shape[0],
            kind.name()
        ));
    }
    let elements = shape
        .iter()
        .try_fold(1_u64, |all, one| all.checked_mul(*one));
    elements
        .and_then(|elements| (elements / values).checked_mul(kind.bytes() as u64))
        .ok_or_else(|| format!("it has shape {shape:?}, which is too large"))
}

fn alignment(metadata: &BTreeMap<String, MetadataValue>) -> Result<u64, GgufProblem> {
    const KEY: &str = "general.alignment";
    let expected = format!("a power of two up to {LARGEST_ALIGNMENT}");
    match metadata.get(KEY) {
        None => Ok(DEFAULT_ALIGNMENT),
        Some(MetadataValue::Integer(found)) => u64::try_from(*found)
            .ok()
            .filter(|it| it.is_power_of_two() && *it <= LARGEST_ALIGNMENT)
            .ok_or_else(|| wrong(KEY, &expected, found)),
        Some(_) => Err(wrong(KEY, &expected, "no number")),
    }
}

/// The tensors with their places in a file of `size` bytes whose data begins at `start`.
fn placed(
    mut tensors: Vec<GgufTensor>,
    start: u64,
    size: u64,
    alignment: u64,
) -> Result<BTreeMap<String, GgufTensor>, GgufProblem> {
    tensors.sort_by(|a, b| (a.start, &a.name).cmp(&(b.start, &b.name)));
    let mut free = 0;
    let mut last = String::new();
    let mut all = BTreeMap::new();
    for mut tensor in tensors {
        let (place, name) = (tensor.start, tensor.name.clone());
        if !place.is_multiple_of(alignment) {
            let reason = format!("its place {place} is not a multiple of {alignment}");
            return Err(tensor_problem(&name, reason));
        }
        if place < free {
            return Err(tensor_problem(&name, format!("it overlaps {last}")));
        }
        let end = place.checked_add(tensor.size);
        match end.and_then(|end| end.checked_add(start)) {
            Some(end) if end <= size => {}
            _ => {
                let what = format!("tensor {name}");
                return Err(GgufProblem::Truncated { what, size });
            }
        }
        // The sums were checked.
        free = place + tensor.size;
        tensor.start = start + place;
        last.clone_from(&name);
        all.insert(name, tensor);
    }
    Ok(all)
}

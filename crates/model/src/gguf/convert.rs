//! Writes the tensors of a GGUF file as `model.safetensors`.
//!
//! Floats keep their type; quantised values become f32, which represents them exactly. Tensors are
//! read and written in pieces of a few megabytes.

use std::{
    fs::File,
    io::{self, Write},
    ops::Range,
    os::unix::fs::FileExt,
};

use rayon::prelude::*;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::{blocks::BlockType, header::GgufTensor, layout::PlannedTensor};

/// Values in a piece of a tensor; a multiple of every block.
const PIECE: u64 = 1 << 20;
/// Blocks that one thread expands at a time.
const RUN: usize = 256;

/// The plan of a safetensors file.
#[derive(Debug)]
pub struct SafetensorsPlan<'a> {
    header: Vec<u8>,
    /// In the order of the file.
    tensors: Vec<&'a PlannedTensor>,
    /// Size of the file in bytes.
    pub size: u64,
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenFile {
    pub size: u64,
    pub sha256: String,
}

impl<'a> SafetensorsPlan<'a> {
    /// Wider types come first, so that every tensor is aligned.
    pub fn new(tensors: &'a [PlannedTensor]) -> Self {
        let mut ordered: Vec<&PlannedTensor> = tensors.iter().collect();
        ordered.sort_by_key(|tensor| std::cmp::Reverse(value_size(tensor.source.kind)));
        let mut header = Map::new();
        header.insert("__metadata__".to_owned(), json!({ "format": "pt" }));
        let mut end = 0;
        for tensor in &ordered {
            let start = end;
            end += values(&tensor.source) * value_size(tensor.source.kind);
            let place = json!({
                "dtype": dtype(tensor.source.kind),
                "shape": tensor.shape.shape,
                "data_offsets": [start, end],
            });
            header.insert(tensor.shape.name.clone(), place);
        }
        let mut header = Value::Object(header).to_string().into_bytes();
        header.resize(header.len().next_multiple_of(8), b' ');
        Self {
            size: 8 + header.len() as u64 + end,
            header,
            tensors: ordered,
        }
    }

    /// Writes the file; `report` receives the number of bytes after every piece.
    pub fn write(
        &self,
        source: &File,
        target: &mut File,
        report: &mut dyn FnMut(u64),
    ) -> io::Result<WrittenFile> {
        let mut hasher = Sha256::new();
        let mut write = |bytes: &[u8]| {
            hasher.update(bytes);
            report(bytes.len() as u64);
            target.write_all(bytes)
        };
        write(&(self.header.len() as u64).to_le_bytes())?;
        write(&self.header)?;
        for tensor in &self.tensors {
            for piece in pieces(tensor) {
                write(&read_piece(source, tensor, piece)?)?;
            }
        }
        target.sync_all()?;
        Ok(WrittenFile {
            size: self.size,
            sha256: hex::encode(hasher.finalize()),
        })
    }
}

/// The values of an f32 tensor.
pub fn read_floats(source: &File, tensor: &GgufTensor) -> io::Result<Vec<f32>> {
    let mut bytes = vec![0; tensor.size as usize];
    source.read_exact_at(&mut bytes, tensor.start)?;
    let words = bytes.chunks_exact(4);
    Ok(words
        .map(|word| f32::from_le_bytes([word[0], word[1], word[2], word[3]]))
        .collect())
}

fn dtype(kind: BlockType) -> &'static str {
    match kind {
        BlockType::F16 | BlockType::Bf16 => kind.name(),
        _ => "F32",
    }
}

fn value_size(kind: BlockType) -> u64 {
    match kind {
        BlockType::F16 | BlockType::Bf16 => 2,
        _ => 4,
    }
}

fn values(tensor: &GgufTensor) -> u64 {
    tensor.shape.iter().product()
}

/// Values in the innermost dimension of a matrix; a vector counts as one column.
fn row_width(tensor: &GgufTensor) -> u64 {
    tensor.shape.iter().skip(1).product()
}

/// The ranges of values that are converted one after the other. A head whose halves are to be
/// separated stays in one piece.
fn pieces(tensor: &PlannedTensor) -> impl Iterator<Item = Range<u64>> {
    let all = values(&tensor.source);
    let width = match tensor.interleaved {
        None => PIECE,
        Some(_) if tensor.source.shape.len() == 1 => all,
        Some(rows) => rows as u64 * row_width(&tensor.source),
    };
    let starts = (0..all).step_by(width as usize);
    starts.map(move |start| start..(start + width).min(all))
}

/// A piece of a tensor as little-endian values.
fn read_piece(source: &File, tensor: &PlannedTensor, piece: Range<u64>) -> io::Result<Vec<u8>> {
    let kind = tensor.source.kind;
    let bytes_of = |values: u64| values / kind.values() as u64 * kind.bytes() as u64;
    let mut stored = vec![0; bytes_of(piece.end - piece.start) as usize];
    source.read_exact_at(&mut stored, tensor.source.start + bytes_of(piece.start))?;
    let plain = if kind.is_plain() {
        stored
    } else {
        expand(kind, &stored)
    };
    Ok(match tensor.interleaved {
        Some(rows) => {
            let row = row_width(&tensor.source) * value_size(kind);
            separate_halves(&plain, rows, row as usize)
        }
        None => plain,
    })
}

fn expand(kind: BlockType, stored: &[u8]) -> Vec<u8> {
    let count = stored.len() / kind.bytes() * kind.values();
    let mut values = vec![0.0; count];
    values
        .par_chunks_mut(RUN * kind.values())
        .zip(stored.par_chunks(RUN * kind.bytes()))
        .for_each(|(values, blocks)| kind.dequantise(blocks, values));
    let mut bytes = vec![0; count * 4];
    for (word, value) in bytes.chunks_exact_mut(4).zip(&values) {
        word.copy_from_slice(&value.to_le_bytes());
    }
    bytes
}

/// Undoes the order in which GGUF stores q and k of llama: there, row `2i + s` of a head of `rows`
/// rows is row `i` of half `s`.
fn separate_halves(values: &[u8], rows: usize, row: usize) -> Vec<u8> {
    let mut out = vec![0; values.len()];
    let heads = values.chunks_exact(rows * row);
    for (head, out) in heads.zip(out.chunks_exact_mut(rows * row)) {
        for (at, stored) in head.chunks_exact(row).enumerate() {
            let place = at % 2 * (rows / 2) + at / 2;
            out[place * row..][..row].copy_from_slice(stored);
        }
    }
    out
}

//! Adapters as files of llama.cpp: `general.type` is `adapter`, and for each adapted tensor of the base
//! there are `NAME.lora_a` `[r, in]` and `NAME.lora_b` `[out, r]` in f32.
//!
//! llama.cpp adds `alpha / r · B · A`, with one alpha for the file and r of each tensor. The scale of
//! rsLoRA, alpha/√r, is expressed by the alpha `alpha · √r`. Where modules need several alphas, the
//! file has the largest one, and the rest of each module's scale is multiplied into its B. Layout:
//! <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>.

use std::{collections::BTreeMap, path::Path};

use super::{AdapterExportError, WrittenExport};
use crate::{
    BaseModel, ModelConfig,
    adapter::{AdapterModule, LoraAdapter, check_against, verify_base},
    gguf::{architecture_in_gguf, interleave_heads, tensor_in_gguf},
    modules,
};
use openlora_core::atomic::{FileAccess, replace_file};

const MAGIC: &[u8] = b"GGUF";
const VERSION: u32 = 3;
const ALIGNMENT: usize = 32;
/// Types of values in the metadata.
const UINT32: u32 = 4;
const FLOAT32: u32 = 6;
const STRING: u32 = 8;
/// `GGML_TYPE_F32`.
const F32: u32 = 0;
/// `LLAMA_FTYPE_ALL_F32`.
const ALL_F32: u32 = 0;

/// What the file calls the adapter and its base.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GgufAdapterNames {
    pub adapter: String,
    pub base: String,
}

/// A matrix of f32, row-major.
struct Matrix {
    rows: usize,
    columns: usize,
    values: Vec<f32>,
}

/// Writes the new file `out`.
///
/// # Errors
///
/// Something has that name, the adapter is not the base's or cannot be expressed, or the disk.
pub fn write_gguf(
    adapter: &LoraAdapter,
    base: &BaseModel,
    names: &GgufAdapterNames,
    out: &Path,
) -> Result<WrittenExport, AdapterExportError> {
    verify_base(adapter, &base.digest)?;
    if out.exists() {
        let path = out.to_owned();
        return Err(AdapterExportError::Exists { path });
    }
    let bytes = gguf_adapter(adapter, &base.config, names)?;
    replace_file(out, &bytes, FileAccess::Everyone)
        .map_err(AdapterExportError::io("write", out))?;
    let name = out.file_name().unwrap_or_default();
    Ok(WrittenExport {
        path: out.to_owned(),
        files: vec![name.to_string_lossy().into_owned()],
        bytes: bytes.len() as u64,
    })
}

/// The bytes of the file for a base with this configuration.
///
/// # Errors
///
/// A DoRA adapter, or one of another base.
pub fn gguf_adapter(
    adapter: &LoraAdapter,
    config: &ModelConfig,
    names: &GgufAdapterNames,
) -> Result<Vec<u8>, AdapterExportError> {
    if adapter.config.use_dora {
        let dir = adapter.dir.clone();
        return Err(AdapterExportError::GgufDora { dir });
    }
    check_against(adapter, &modules(config))?;
    let alpha = common_alpha(&adapter.modules);
    let mut tensors = BTreeMap::new();
    for module in &adapter.modules {
        let name = tensor_in_gguf(&format!("{}.weight", module.path));
        let (a, b) = factors(adapter, module, alpha, config);
        tensors.insert(format!("{name}.lora_a"), a);
        tensors.insert(format!("{name}.lora_b"), b);
    }
    let metadata = [
        ("adapter.lora.alpha", float(alpha)),
        ("adapter.type", text("lora")),
        (
            "general.architecture",
            text(architecture_in_gguf(config.family)),
        ),
        ("general.base_model.0.name", text(&names.base)),
        ("general.base_model.count", word(1)),
        ("general.file_type", word(ALL_F32)),
        ("general.name", text(&names.adapter)),
        ("general.type", text("adapter")),
    ];
    Ok(file_bytes(&metadata, &tensors))
}

/// The alpha for which llama.cpp's scale is the module's.
fn alpha_for(module: &AdapterModule) -> f32 {
    (module.scale * module.rank as f64) as f32
}

/// The largest alpha of all modules. llama.cpp takes an alpha of 0 for a scale of 1, so where all are 0,
/// it is 1, and the factors become 0.
fn common_alpha(modules: &[AdapterModule]) -> f32 {
    let alphas = modules.iter().map(alpha_for);
    let largest = alphas.fold(0.0, |largest: f32, alpha| {
        if alpha.abs() > largest.abs() {
            alpha
        } else {
            largest
        }
    });
    if largest == 0.0 { 1.0 } else { largest }
}

/// A and B of a module as the file stores them. Rows of the queries and keys of some families are in
/// another order there.
fn factors(
    adapter: &LoraAdapter,
    module: &AdapterModule,
    alpha: f32,
    config: &ModelConfig,
) -> (Matrix, Matrix) {
    let values = |name: &str| {
        let tensor = adapter.tensors.get(name);
        tensor.map(|tensor| tensor.to_f32()).unwrap_or_default()
    };
    let mut b = values(&module.b_name());
    let own = alpha_for(module);
    if own != alpha {
        let factor = own / alpha;
        b.iter_mut().for_each(|value| *value *= factor);
    }
    let b = Matrix {
        rows: module.out_dim,
        columns: module.rank,
        values: interleave_heads(config, &module.path, b),
    };
    let a = Matrix {
        rows: module.rank,
        columns: module.in_dim,
        values: values(&module.a_name()),
    };
    (a, b)
}

fn typed(kind: u32, value: &[u8]) -> Vec<u8> {
    [&kind.to_le_bytes(), value].concat()
}

fn word(value: u32) -> Vec<u8> {
    typed(UINT32, &value.to_le_bytes())
}

fn float(value: f32) -> Vec<u8> {
    typed(FLOAT32, &value.to_le_bytes())
}

fn text(value: &str) -> Vec<u8> {
    typed(STRING, &counted(value))
}

fn counted(text: &str) -> Vec<u8> {
    let length = (text.len() as u64).to_le_bytes();
    [&length, text.as_bytes()].concat()
}

fn file_bytes(metadata: &[(&str, Vec<u8>)], tensors: &BTreeMap<String, Matrix>) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend((tensors.len() as u64).to_le_bytes());
    bytes.extend((metadata.len() as u64).to_le_bytes());
    for (key, value) in metadata {
        bytes.extend(counted(key));
        bytes.extend(value);
    }
    let mut place = 0;
    for (name, matrix) in tensors {
        bytes.extend(counted(name));
        bytes.extend(2u32.to_le_bytes());
        // The innermost dimension comes first.
        for dimension in [matrix.columns, matrix.rows] {
            bytes.extend((dimension as u64).to_le_bytes());
        }
        bytes.extend(F32.to_le_bytes());
        bytes.extend((place as u64).to_le_bytes());
        place += (matrix.values.len() * 4).next_multiple_of(ALIGNMENT);
    }
    let pad = |bytes: &mut Vec<u8>| bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
    pad(&mut bytes);
    for matrix in tensors.values() {
        bytes.extend(matrix.values.iter().flat_map(|value| value.to_le_bytes()));
        pad(&mut bytes);
    }
    bytes
}

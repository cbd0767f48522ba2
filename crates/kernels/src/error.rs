//! Errors of weights and of the machine; shapes that a caller computes itself are asserted instead.

use half::f16;

use crate::CpuPath;

#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    #[error("this CPU does not run the {path} kernels")]
    UnsupportedPath { path: CpuPath },
    #[error("a part of the weights has {found} values; expected rows of {columns}")]
    PartLength { columns: usize, found: usize },
    #[error("a part of the GGUF weights has {found} bytes; expected rows of {expected}")]
    PartBytes { expected: usize, found: usize },
    #[error("rows of {columns} weights are not whole groups of 32")]
    PartialGroup { columns: usize },
    #[error(
        "row {row} of the weights needs scale {found} from column {column} on; expected a finite half-precision number"
    )]
    ScaleRange {
        row: usize,
        column: usize,
        found: f16,
    },
    #[error("LoRA factor {name} has {found} values; expected {expected}")]
    FactorLength {
        name: &'static str,
        expected: usize,
        found: usize,
    },
    #[error("no memory for a page of {bytes} bytes of keys and values")]
    PageMemory { bytes: usize },
    #[error("the LoRA rank is {found}; expected 1 to 256")]
    Rank { found: usize },
}

//! Inference kernels for CPUs: quantised matrix products, attention over paged keys and values,
//! LoRA branches, norms.
//!
//! A row's result is the same to the bit in any batch, on any number of threads and on every
//! [`CpuPath`]. [`ARITHMETIC`] names the order of operations that makes it so; each function's
//! documentation states its part. This crate does not know models, files or schedulers.
//!
//! ```
//! use openlora_kernels::{Cpu, MatmulInput, WeightFormat, WeightMatrix, matmul};
//!
//! let cpu = Cpu::new(2);
//! // Two outputs of three inputs, row by row.
//! let weights = [1.0, 2.0, 3.0, -1.0, 0.5, 0.25];
//! let matrix = WeightMatrix::from_f32(WeightFormat::F32, 3, &[&weights])?;
//! let mut input = MatmulInput::default();
//! input.fill(&cpu, matrix.format(), &[1.0, 1.0, 2.0], 3);
//! let mut out = [0.0; 2];
//! matmul(&cpu, &matrix, &input, &mut out);
//! assert_eq!(out, [9.0, 0.0]);
//! # Ok::<(), openlora_kernels::KernelError>(())
//! ```

mod activation;
mod attention;
mod columns;
mod cpu;
mod dense;
mod dora;
mod error;
mod exp;
mod input;
mod kv;
mod lanes;
mod lora;
mod matmul;
mod matrix;
mod norm;
mod path;
mod rope;
mod workers;

pub use activation::{add_bias, add_rows, log_sum_exp, silu_mul, softmax};
pub use attention::{AttentionRows, AttentionShape, attention};
pub use columns::{ColumnsRef, HeadColumns};
pub use cpu::Cpu;
pub use dense::{DenseLayout, DensePart, DenseProduct};
pub use dora::{ScaledRows, scale_rows};
pub use error::KernelError;
pub use input::MatmulInput;
pub use kv::{KvPage, KvPrecision, KvShape, PAGE_TOKENS};
pub use lora::{BranchShape, FactorPrecision, LoraBranch, LoraRows, add_lora};
pub use matmul::{matmul, matmul_ahead};
pub use matrix::{
    F32Matrix, GroupBlock, GroupedMatrix, Int4Block, Int4Matrix, Int8Block, Int8Matrix,
    WeightFormat, WeightMatrix,
};
pub use norm::{rms_norm, rms_norm_heads};
pub use path::CpuPath;
pub use rope::RopeTable;

/// Version of the weight formats and of the order of floating-point operations. Two builds with the
/// same version give the same bits; golden vectors in the tests pin it.
pub const ARITHMETIC: &str = "native/1";

/// Weights along K that share a scale, in both quantised formats and in quantised activations.
pub const GROUP: usize = 32;

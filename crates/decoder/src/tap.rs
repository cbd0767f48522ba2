//! A tap on the backward passes of LoRA factors.
//!
//! A batch's gradient is a sum over its rows. The tap exposes the terms of the sums, so that the
//! gradient of each row can be computed (per-example gradients without one pass per example). It
//! does not know the projection.

use std::{fmt, sync::Arc};

/// The backward pass of one module; matrices are row-major over the batch's tokens. In the last
/// block, the modules besides k and v have only the positions where the loss is computed, which
/// [`TokenBatch::target_offsets`](crate::TokenBatch::target_offsets) assigns to rows.
///
/// A row's gradients are sums over its tokens t: dA = Σ grad_low_t ⊗ input_t `[rank, in]` and dB =
/// scale · Σ grad_t ⊗ low_t `[out, rank]`.
pub struct ModulePass<'a> {
    /// `[tokens, in]`
    pub input: &'a [f32],
    /// `[tokens, out]`: gradient of the loss with respect to the module's output.
    pub grad: &'a [f32],
    /// `[tokens, rank]`: input · Aᵀ.
    pub low: &'a [f32],
    /// `[tokens, rank]`: scale · grad · B.
    pub grad_low: &'a [f32],
    pub scale: f32,
    pub rank: usize,
}

impl ModulePass<'_> {
    /// Number of tokens of the matrices.
    pub fn tokens(&self) -> usize {
        self.low.len() / self.rank.max(1)
    }
}

/// Receives backward passes: one call per module with factors.
pub trait GradientTap: Send + Sync {
    fn pass(&self, module: usize, passed: &ModulePass<'_>);
}

/// The number of a module at a tap.
#[derive(Clone)]
pub struct TappedModule {
    module: usize,
    tap: Arc<dyn GradientTap>,
}

impl TappedModule {
    pub fn new(module: usize, tap: Arc<dyn GradientTap>) -> Self {
        Self { module, tap }
    }

    pub fn pass(&self, passed: &ModulePass<'_>) {
        self.tap.pass(self.module, passed);
    }
}

impl fmt::Debug for TappedModule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tapped(module {})", self.module)
    }
}

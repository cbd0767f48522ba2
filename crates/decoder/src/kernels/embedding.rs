//! Look-up in a trainable embedding.

use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

use super::{TensorRead, output, tensor, values};

/// Argument: the table `[vocab, width]`; result `[tokens, width]`.
pub struct EmbeddingLookup {
    /// Each smaller than the vocabulary.
    pub ids: Arc<Vec<u32>>,
}

/// Rows `ids` of a table, concatenated.
pub fn gather(table: &[f32], width: usize, ids: &[u32]) -> Vec<f32> {
    ids.iter()
        .flat_map(|&id| &table[id as usize * width..][..width])
        .copied()
        .collect()
}

impl CustomOp1 for EmbeddingLookup {
    fn name(&self) -> &'static str {
        "embedding"
    }

    fn cpu_fwd(&self, table: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let width = layout.dims()[1];
        output(
            gather(values(table, layout)?, width, &self.ids),
            (self.ids.len(), width),
        )
    }

    /// A token may occur often, so rows are added sequentially.
    fn bwd(&self, table: &Tensor, _y: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let width = table.dims()[1];
        let grad = TensorRead::new(grad);
        let mut out = vec![0f32; table.elem_count()];
        for (&id, grad) in self.ids.iter().zip(grad.values()?.chunks_exact(width)) {
            for (o, g) in out[id as usize * width..][..width].iter_mut().zip(grad) {
                *o += g;
            }
        }
        Ok(Some(tensor(out, table.shape())?))
    }
}

//! The residual stream: h + update, in parallel, and without a gradient for an h that needs none.

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::{output, values};

/// Values per task.
const BLOCK: usize = 16_384;

/// Arguments h and update, of the same shape.
pub struct ResidualAdd;

impl CustomOp2 for ResidualAdd {
    fn name(&self) -> &'static str {
        "residual"
    }

    fn cpu_fwd(
        &self,
        h: &CpuStorage,
        h_layout: &Layout,
        update: &CpuStorage,
        update_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (h, update) = (values(h, h_layout)?, values(update, update_layout)?);
        let mut sum = vec![0f32; h.len()];
        let inputs = h.par_chunks(BLOCK).zip(update.par_chunks(BLOCK));
        sum.par_chunks_mut(BLOCK)
            .zip(inputs)
            .for_each(|(sum, (h, update))| {
                for ((s, h), u) in sum.iter_mut().zip(h).zip(update) {
                    *s = h + u;
                }
            });
        output(sum, h_layout.shape().clone())
    }

    fn bwd(
        &self,
        h: &Tensor,
        update: &Tensor,
        _y: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let wanted = |tensor: &Tensor| tensor.track_op().then(|| grad.clone());
        Ok((wanted(h), wanted(update)))
    }
}

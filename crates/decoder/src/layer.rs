//! Parameters and linear layers: which are frozen or trainable, and the operation this selects.

use std::sync::Arc;

use candle_core::{Result, Tensor, Var};
use openlora_kernels::WeightMatrix;

use super::{
    kernels::{
        dora::{DoraScale, row_norms},
        linear::{AddBias, FrozenLinear, LinearOp, LoraLinear},
        norm::{FrozenNorm, RmsNorm},
        plain,
        weight::FrozenWeight,
    },
    noise::{DropoutMask, DropoutNoise},
    tap::TappedModule,
};

/// A tensor of the model.
#[derive(Clone, Debug)]
pub enum ModelParameter {
    Frozen(Tensor),
    Learning(Var),
}

/// Whether a parameter is trained.
pub fn learns(parameter: &ModelParameter) -> bool {
    matches!(parameter, ModelParameter::Learning(_))
}

/// How one forward pass is computed.
#[derive(Clone, Copy, Debug)]
pub struct ForwardMode {
    /// Fused CPU kernels instead of plain tensor operations.
    pub fused: bool,
    /// Build the graph for a backward pass.
    pub tracked: bool,
    /// Noise for dropout; none outside training.
    pub noise: Option<DropoutNoise>,
}

/// A parameter in one pass.
pub enum PassParameter {
    Frozen(Tensor),
    Learning(Tensor),
}

impl ModelParameter {
    pub fn tensor(&self) -> &Tensor {
        match self {
            Self::Frozen(tensor) => tensor,
            Self::Learning(var) => var.as_tensor(),
        }
    }

    pub fn for_pass(&self, mode: ForwardMode) -> PassParameter {
        match self {
            Self::Learning(var) if mode.tracked => PassParameter::Learning(var.as_tensor().clone()),
            Self::Learning(var) => PassParameter::Frozen(var.as_detached_tensor()),
            Self::Frozen(tensor) => PassParameter::Frozen(tensor.clone()),
        }
    }

    fn plain(&self, mode: ForwardMode) -> Tensor {
        match self.for_pass(mode) {
            PassParameter::Frozen(tensor) | PassParameter::Learning(tensor) => tensor,
        }
    }
}

/// The weight of a linear layer, `[out, in]`.
#[derive(Clone, Debug)]
pub enum LinearWeight {
    Whole(ModelParameter),
    /// In int8 or 4 bits; it cannot learn.
    Packed(Arc<WeightMatrix>),
}

impl LinearWeight {
    /// As an operation without gradients for it takes it.
    pub fn frozen(&self) -> FrozenWeight {
        match self {
            Self::Whole(parameter) => FrozenWeight::Whole(parameter.tensor().detach()),
            Self::Packed(matrix) => FrozenWeight::Packed(matrix.clone()),
        }
    }

    pub fn parameter(&self) -> Option<&ModelParameter> {
        match self {
            Self::Whole(parameter) => Some(parameter),
            Self::Packed(_) => None,
        }
    }
}

/// Low-rank factors of a frozen weight.
#[derive(Clone, Debug)]
pub struct LoraLayer {
    /// `[rank, in]`
    pub a: Var,
    /// `[out, rank]`
    pub b: Var,
    /// The norms that DoRA gives the rows of W + s·B·A, `[out]`; none in plain LoRA.
    pub magnitude: Option<Var>,
    /// alpha / rank, or alpha / √rank.
    pub scale: f64,
    pub dropout: f32,
    /// Distinguishes this layer's dropout noise from that of the others.
    pub site: u64,
    /// The receiver of these factors' backward passes.
    pub tap: Option<TappedModule>,
}

/// A linear layer.
#[derive(Clone, Debug)]
pub struct LinearLayer {
    pub path: String,
    pub weight: LinearWeight,
    pub bias: Option<ModelParameter>,
    pub lora: Option<LoraLayer>,
}

impl LinearLayer {
    /// x `[tokens, in]` → `[tokens, out]`
    pub fn forward(&self, x: &Tensor, mode: ForwardMode) -> Result<Tensor> {
        match &self.lora {
            Some(lora) if mode.fused => self.forward_lora(x, lora, mode),
            Some(lora) => self.forward_plain(x, lora, mode),
            None => self.forward_base(x, mode),
        }
    }

    fn forward_lora(&self, x: &Tensor, lora: &LoraLayer, mode: ForwardMode) -> Result<Tensor> {
        let bias = self.bias.as_ref().map(|bias| bias.tensor().detach());
        let Some(magnitude) = &lora.magnitude else {
            return self.apply_lora(x, lora, bias, mode);
        };
        let z = self.apply_lora(x, lora, None, mode)?;
        let (a, b) = (lora.a.as_detached_tensor(), lora.b.as_detached_tensor());
        let norms = row_norms(&self.weight.frozen(), &a, &b, lora.scale as f32)?;
        let op = DoraScale { norms, bias };
        match mode.tracked {
            true => z.apply_op2(magnitude.as_tensor(), op),
            false => z.apply_op2_no_bwd(&magnitude.as_detached_tensor(), &op),
        }
    }

    fn apply_lora(
        &self,
        x: &Tensor,
        lora: &LoraLayer,
        bias: Option<Tensor>,
        mode: ForwardMode,
    ) -> Result<Tensor> {
        let op = LoraLinear {
            weight: self.weight.frozen(),
            bias,
            scale: lora.scale as f32,
            dropout: lora.noise(mode),
            tap: lora.tap.clone(),
        };
        if mode.tracked {
            return x.apply_op3(lora.a.as_tensor(), lora.b.as_tensor(), op);
        }
        x.apply_op3_no_bwd(
            &lora.a.as_detached_tensor(),
            &lora.b.as_detached_tensor(),
            &op,
        )
    }

    /// In tensor operations.
    fn forward_plain(&self, x: &Tensor, lora: &LoraLayer, mode: ForwardMode) -> Result<Tensor> {
        let Some(magnitude) = &lora.magnitude else {
            return self.forward_base(x, mode)? + lora.plain(x, mode)?;
        };
        let weight = self.weight.frozen().expanded()?.detach();
        let z = (plain::linear(x, &weight, None)? + lora.plain(x, mode)?)?;
        let magnitude = match mode.tracked {
            true => magnitude.as_tensor().clone(),
            false => magnitude.as_detached_tensor(),
        };
        let factors = (magnitude.to_device(x.device())? / lora.norms_with(&weight)?)?;
        let y = z.broadcast_mul(&factors)?;
        match &self.bias {
            Some(bias) => y.broadcast_add(&bias.tensor().detach()),
            None => Ok(y),
        }
    }

    /// The weight that the layer and its factors are together, `[out, in]`.
    pub fn merged(&self, lora: &LoraLayer) -> Result<Tensor> {
        let weight = self.weight.frozen().expanded()?;
        let sum = (&weight + lora.delta()?.to_device(weight.device())?)?;
        let Some(magnitude) = &lora.magnitude else {
            return Ok(sum.detach());
        };
        let magnitude = magnitude.as_detached_tensor().to_device(weight.device())?;
        let factors = (magnitude / lora.norms_with(&weight)?)?.unsqueeze(1)?;
        Ok(sum.broadcast_mul(&factors)?.detach())
    }

    /// The operation of a layer without factors in which nothing learns in this pass.
    pub fn frozen(&self, mode: ForwardMode) -> Option<FrozenLinear> {
        let bias = self.bias.as_ref().map(|bias| bias.for_pass(mode));
        let bias = match (self.lora.is_some(), bias) {
            (false, None) => None,
            (false, Some(PassParameter::Frozen(bias))) => Some(bias),
            _ => return None,
        };
        match &self.weight {
            LinearWeight::Whole(ModelParameter::Learning(_)) if mode.tracked => None,
            weight => Some(FrozenLinear {
                weight: weight.frozen(),
                bias,
            }),
        }
    }

    fn forward_base(&self, x: &Tensor, mode: ForwardMode) -> Result<Tensor> {
        if mode.fused
            && let Some(frozen) = self.frozen(mode)
        {
            return x.apply_op1(frozen);
        }
        let bias = self.bias.as_ref().map(|bias| bias.for_pass(mode));
        let weight = match &self.weight {
            LinearWeight::Whole(weight) => weight.for_pass(mode),
            LinearWeight::Packed(_) => PassParameter::Frozen(self.weight.frozen().expanded()?),
        };
        match (weight, bias) {
            (PassParameter::Learning(weight), None) if mode.fused => x.apply_op2(&weight, LinearOp),
            (PassParameter::Learning(weight), Some(PassParameter::Learning(bias)))
                if mode.fused =>
            {
                x.apply_op2(&weight, LinearOp)?.apply_op2(&bias, AddBias)
            }
            (weight, bias) => {
                plain::linear(x, weight.tensor(), bias.as_ref().map(PassParameter::tensor))
            }
        }
    }
}

impl PassParameter {
    fn tensor(&self) -> &Tensor {
        match self {
            Self::Frozen(tensor) | Self::Learning(tensor) => tensor,
        }
    }
}

impl LoraLayer {
    /// Dropout of this layer in a pass.
    pub fn noise(&self, mode: ForwardMode) -> Option<DropoutMask> {
        let noise = mode.noise.filter(|_| self.dropout > 0.0)?;
        Some(DropoutMask::new(noise, self.site, self.dropout))
    }

    /// s·(drop(x)·Aᵀ)·Bᵀ
    fn plain(&self, x: &Tensor, mode: ForwardMode) -> Result<Tensor> {
        let (a, b) = match mode.tracked {
            true => (self.a.as_tensor().clone(), self.b.as_tensor().clone()),
            false => (self.a.as_detached_tensor(), self.b.as_detached_tensor()),
        };
        // The factors stay in main memory, whatever computes.
        let (a, b) = (a.to_device(x.device())?, b.to_device(x.device())?);
        let input = match self.noise(mode) {
            Some(dropout) => {
                let mut mask = vec![1f32; x.elem_count()];
                dropout.apply(&mut mask);
                (x * Tensor::from_vec(mask, x.shape(), x.device())?)?
            }
            None => x.clone(),
        };
        plain::linear(&plain::linear(&input, &a, None)?, &b, None)? * self.scale
    }

    /// Norms of the rows of W + s·B·A, `[out]`, without gradients.
    fn norms_with(&self, weight: &Tensor) -> Result<Tensor> {
        let sum = (weight + self.delta()?.to_device(weight.device())?)?;
        sum.sqr()?.sum(1)?.sqrt()?.detach().contiguous()
    }

    /// s·B·A, `[out, in]`
    pub fn delta(&self) -> Result<Tensor> {
        self.b
            .as_detached_tensor()
            .matmul(&self.a.as_detached_tensor())?
            * self.scale
    }
}

/// RMS norm over the last dimension.
pub fn rms_norm(
    x: &Tensor,
    weight: &ModelParameter,
    eps: f64,
    mode: ForwardMode,
) -> Result<Tensor> {
    match weight.for_pass(mode) {
        PassParameter::Frozen(weight) if mode.fused => x.apply_op1(FrozenNorm {
            weight,
            eps: eps as f32,
        }),
        PassParameter::Learning(weight) if mode.fused => {
            x.apply_op2(&weight, RmsNorm { eps: eps as f32 })
        }
        _ => plain::rms_norm(x, &weight.plain(mode), eps),
    }
}

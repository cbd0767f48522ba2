//! AdamW over candle variables (Loshchilov & Hutter 2019), as in torch: decay is decoupled and
//! applied before the update, both moments are bias-corrected, and ε is added outside the root.
//!
//! Knows names and tensors, not models. On the CPU one pass per tensor updates in place and in
//! parallel; elements are independent, so the result does not depend on the number of threads.

use std::collections::HashMap;

use candle_core::{CpuStorage, InplaceOp2, InplaceOp3, Layout, Result, Tensor, Var, bail};
use rayon::prelude::*;

use super::{error::TrainError, gradients::ParameterGradients};

/// The hyper-parameters of the optimizer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamWOptions {
    pub beta1: f64,
    pub beta2: f64,
    pub epsilon: f64,
    pub weight_decay: f64,
    /// Learning rate of LoRA's B, and of vectors, over that of A (LoRA+, arXiv:2402.12354).
    pub loraplus_lr_ratio: f64,
}

impl Default for AdamWOptions {
    /// torch's defaults, without decay and with one learning rate.
    fn default() -> Self {
        Self {
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.0,
            loraplus_lr_ratio: 1.0,
        }
    }
}

/// One trained tensor with its moments.
#[derive(Debug)]
struct OptimizerSlot {
    name: String,
    var: Var,
    /// Mean of gradients.
    first: Tensor,
    /// Mean of squared gradients.
    second: Tensor,
    decays: bool,
    /// Its learning rate over that of the step.
    rate: f64,
}

/// The optimizer and its state.
#[derive(Debug)]
pub struct AdamW {
    slots: Vec<OptimizerSlot>,
    options: AdamWOptions,
    step: u64,
    fused: bool,
}

impl AdamW {
    /// Starts from zero moments. Decay applies to matrices only, not to norms and biases.
    pub fn new(trainable: Vec<(String, Var)>, options: AdamWOptions) -> Result<Self> {
        let slots = trainable
            .into_iter()
            .map(|(name, var)| {
                let (first, second) = (var.zeros_like()?, var.zeros_like()?);
                let decays = var.rank() > 1;
                let faster = !decays || name.ends_with(".lora_B.weight");
                Ok(OptimizerSlot {
                    rate: if faster {
                        options.loraplus_lr_ratio
                    } else {
                        1.0
                    },
                    name,
                    var,
                    first,
                    second,
                    decays,
                })
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Self {
            slots,
            options,
            step: 0,
            fused: true,
        })
    }

    /// Selects in-place passes (the default, on CPUs) or plain tensor operations.
    pub fn set_fused(&mut self, fused: bool) {
        self.fused = fused;
    }

    /// Steps taken so far.
    pub fn steps(&self) -> u64 {
        self.step
    }

    /// Updates every variable with its gradient times `scale` (the clipping factor).
    pub fn step(&mut self, gradients: &ParameterGradients, lr: f64, scale: f64) -> Result<()> {
        self.step += 1;
        let power = i32::try_from(self.step).unwrap_or(i32::MAX);
        let o = self.options;
        let moments = MomentUpdate {
            beta1: o.beta1 as f32,
            beta2: o.beta2 as f32,
            scale: scale as f32,
        };
        for (slot, gradient) in self.slots.iter_mut().zip(gradients.tensors()) {
            let Some(gradient) = gradient else { continue };
            let decay = if slot.decays { o.weight_decay } else { 0.0 };
            let lr = lr * slot.rate;
            let update = WeightUpdate {
                keep: (1.0 - lr * decay) as f32,
                rate: (lr / (1.0 - o.beta1.powi(power))) as f32,
                root: (1.0 - o.beta2.powi(power)).sqrt() as f32,
                epsilon: o.epsilon as f32,
            };
            let in_place = self.fused && slot.var.device().is_cpu();
            moments.apply(slot, gradient, in_place)?;
            update.apply(slot, in_place)?;
        }
        Ok(())
    }

    /// The moments by name: `m.<tensor>` and `v.<tensor>`, in f32.
    pub fn state(&self) -> Vec<(String, Tensor)> {
        let first = self
            .slots
            .iter()
            .map(|s| (format!("m.{}", s.name), s.first.clone()));
        let second = self
            .slots
            .iter()
            .map(|s| (format!("v.{}", s.name), s.second.clone()));
        first.chain(second).collect()
    }

    /// Restores the state returned by [`AdamW::state`].
    ///
    /// # Errors
    ///
    /// A missing tensor, or one of another shape.
    pub fn restore(
        &mut self,
        state: &HashMap<String, Tensor>,
        step: u64,
    ) -> std::result::Result<(), TrainError> {
        for slot in &mut self.slots {
            slot.first = taken(state, format!("m.{}", slot.name), &slot.var)?;
            slot.second = taken(state, format!("v.{}", slot.name), &slot.var)?;
        }
        self.step = step;
        Ok(())
    }
}

fn taken(
    state: &HashMap<String, Tensor>,
    name: String,
    like: &Var,
) -> std::result::Result<Tensor, TrainError> {
    match state.get(&name) {
        Some(tensor) if tensor.shape() == like.shape() => {
            Ok(tensor.to_device(like.device())?.force_contiguous()?)
        }
        _ => Err(TrainError::MissingTensor {
            name,
            shape: like.dims().to_vec(),
        }),
    }
}

/// Elements per task.
const CHUNK: usize = 16 * 1024;

struct MomentUpdate {
    beta1: f32,
    beta2: f32,
    scale: f32,
}

impl MomentUpdate {
    fn apply(&self, slot: &mut OptimizerSlot, gradient: &Tensor, in_place: bool) -> Result<()> {
        if in_place {
            let gradient = gradient.contiguous()?;
            slot.first.inplace_op2(
                &gradient,
                &MeanDecay {
                    beta: self.beta1,
                    scale: self.scale,
                },
            )?;
            return slot.second.inplace_op2(
                &gradient,
                &DecaySquare {
                    beta: self.beta2,
                    scale: self.scale,
                },
            );
        }
        let gradient = (gradient.detach() * f64::from(self.scale))?;
        let (beta1, beta2) = (f64::from(self.beta1), f64::from(self.beta2));
        slot.first = ((&slot.first * beta1)? + (&gradient * (1.0 - beta1))?)?;
        slot.second = ((&slot.second * beta2)? + (gradient.sqr()? * (1.0 - beta2))?)?;
        Ok(())
    }
}

struct WeightUpdate {
    keep: f32,
    rate: f32,
    root: f32,
    epsilon: f32,
}

impl WeightUpdate {
    fn apply(&self, slot: &OptimizerSlot, in_place: bool) -> Result<()> {
        if in_place {
            return slot.var.inplace_op3(&slot.first, &slot.second, self);
        }
        let denominator =
            ((slot.second.sqrt()? / f64::from(self.root))? + f64::from(self.epsilon))?;
        let change = ((&slot.first / denominator)? * f64::from(self.rate))?;
        slot.var
            .set(&((slot.var.as_detached_tensor() * f64::from(self.keep))? - change)?)
    }
}

/// mean ← β·mean + (1−β)·g
struct MeanDecay {
    beta: f32,
    scale: f32,
}

impl InplaceOp2 for MeanDecay {
    fn name(&self) -> &'static str {
        "adamw-first-moment"
    }

    fn cpu_fwd(
        &self,
        mean: &mut CpuStorage,
        mean_layout: &Layout,
        gradient: &CpuStorage,
        gradient_layout: &Layout,
    ) -> Result<()> {
        let gradient = slice(gradient, gradient_layout)?;
        let (beta, scale) = (self.beta, self.scale);
        pairs(slice_mut(mean, mean_layout)?, gradient, |mean, gradient| {
            *mean = beta * *mean + (1.0 - beta) * (gradient * scale);
        });
        Ok(())
    }
}

/// mean ← β·mean + (1−β)·g²
struct DecaySquare {
    beta: f32,
    scale: f32,
}

impl InplaceOp2 for DecaySquare {
    fn name(&self) -> &'static str {
        "adamw-second-moment"
    }

    fn cpu_fwd(
        &self,
        mean: &mut CpuStorage,
        mean_layout: &Layout,
        gradient: &CpuStorage,
        gradient_layout: &Layout,
    ) -> Result<()> {
        let gradient = slice(gradient, gradient_layout)?;
        let (beta, scale) = (self.beta, self.scale);
        pairs(slice_mut(mean, mean_layout)?, gradient, |mean, gradient| {
            let gradient = gradient * scale;
            *mean = beta * *mean + (1.0 - beta) * (gradient * gradient);
        });
        Ok(())
    }
}

impl InplaceOp3 for WeightUpdate {
    fn name(&self) -> &'static str {
        "adamw-update"
    }

    fn cpu_fwd(
        &self,
        weight: &mut CpuStorage,
        weight_layout: &Layout,
        first: &CpuStorage,
        first_layout: &Layout,
        second: &CpuStorage,
        second_layout: &Layout,
    ) -> Result<()> {
        let weight = slice_mut(weight, weight_layout)?;
        let (first, second) = (slice(first, first_layout)?, slice(second, second_layout)?);
        weight
            .par_chunks_mut(CHUNK)
            .zip(first.par_chunks(CHUNK).zip(second.par_chunks(CHUNK)))
            .for_each(|(weight, (first, second))| {
                for ((weight, first), second) in weight.iter_mut().zip(first).zip(second) {
                    let denominator = second.sqrt() / self.root + self.epsilon;
                    *weight = *weight * self.keep - self.rate * (first / denominator);
                }
            });
        Ok(())
    }
}

fn pairs(target: &mut [f32], source: &[f32], each: impl Fn(&mut f32, f32) + Sync) {
    target
        .par_chunks_mut(CHUNK)
        .zip(source.par_chunks(CHUNK))
        .for_each(|(target, source)| {
            for (target, source) in target.iter_mut().zip(source) {
                each(target, *source);
            }
        });
}

fn slice<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let Some((start, end)) = layout.contiguous_offsets() else {
        bail!("not contiguous")
    };
    Ok(&storage.as_slice::<f32>()?[start..end])
}

fn slice_mut<'a>(storage: &'a mut CpuStorage, layout: &Layout) -> Result<&'a mut [f32]> {
    let Some((start, end)) = layout.contiguous_offsets() else {
        bail!("not contiguous")
    };
    match storage {
        CpuStorage::F32(values) => Ok(&mut values[start..end]),
        _ => bail!("expected f32 storage"),
    }
}

//! The language-model head and its loss in one operation: Σ −log `softmax(h·Wᵀ)[target]` over
//! the rows of h.
//!
//! Logits exist only for a few rows at a time. The gradients are computed with them in the forward
//! pass, and the backward pass only scales them.

use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::{matmul::*, numeric, output, tensor, values, weight::for_weight_blocks};
use openlora_model::shapes::rows_at_once;

struct LossGradients {
    hidden: Vec<f32>,
    weight: Option<Vec<f32>>,
}

/// How the gradients are used.
struct WantedGradients {
    hidden: bool,
    weight: bool,
}

/// Loss with a frozen head: argument hidden `[targets, width]`, result a scalar.
pub struct FrozenHeadLoss {
    weight: Tensor,
    /// The token to predict from each row.
    tokens: Arc<Vec<u32>>,
    with_gradients: bool,
    gradients: Mutex<Option<LossGradients>>,
}

impl FrozenHeadLoss {
    /// Without gradients, the forward pass is cheaper and the backward pass is not available.
    pub fn new(weight: Tensor, tokens: Arc<Vec<u32>>, with_gradients: bool) -> Self {
        Self {
            weight,
            tokens,
            with_gradients,
            gradients: Mutex::default(),
        }
    }
}

impl CustomOp1 for FrozenHeadLoss {
    fn name(&self) -> &'static str {
        "head-loss"
    }

    fn cpu_fwd(&self, hidden: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let wanted = WantedGradients {
            hidden: self.with_gradients,
            weight: false,
        };
        let head = HeadWeight::Frozen(&self.weight);
        let (loss, gradients) = head_loss(values(hidden, layout)?, &head, &self.tokens, &wanted)?;
        store(&self.gradients, gradients);
        output(vec![loss], ())
    }

    fn bwd(&self, hidden: &Tensor, _y: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let gradients = take(&self.gradients)?;
        Ok(Some(scaled(gradients.hidden, hidden.shape(), grad)?))
    }
}

/// Loss with a trainable head: arguments hidden and weight.
pub struct HeadLoss {
    tokens: Arc<Vec<u32>>,
    gradients: Mutex<Option<LossGradients>>,
}

impl HeadLoss {
    pub fn new(tokens: Arc<Vec<u32>>) -> Self {
        Self {
            tokens,
            gradients: Mutex::default(),
        }
    }
}

impl CustomOp2 for HeadLoss {
    fn name(&self) -> &'static str {
        "head-loss"
    }

    fn cpu_fwd(
        &self,
        hidden: &CpuStorage,
        hidden_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let wanted = WantedGradients {
            hidden: true,
            weight: true,
        };
        let (vocab, width) = (weight_layout.dims()[0], weight_layout.dims()[1]);
        let head = HeadWeight::Learning {
            values: values(weight, weight_layout)?,
            vocab,
            width,
        };
        let hidden = values(hidden, hidden_layout)?;
        let (loss, gradients) = head_loss(hidden, &head, &self.tokens, &wanted)?;
        store(&self.gradients, gradients);
        output(vec![loss], ())
    }

    fn bwd(
        &self,
        hidden: &Tensor,
        weight: &Tensor,
        _y: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let gradients = take(&self.gradients)?;
        let grad_weight = gradients
            .weight
            .map(|values| scaled(values, weight.shape(), grad))
            .transpose()?;
        Ok((
            Some(scaled(gradients.hidden, hidden.shape(), grad)?),
            grad_weight,
        ))
    }
}

/// The loss of rows of hidden states with a frozen head, and the gradient of the rows.
pub fn frozen_head_loss(
    hidden: &[f32],
    weight: &Tensor,
    tokens: &[u32],
) -> Result<(f32, Vec<f32>)> {
    let wanted = WantedGradients {
        hidden: true,
        weight: false,
    };
    let (loss, gradients) = head_loss(hidden, &HeadWeight::Frozen(weight), tokens, &wanted)?;
    Ok((loss, gradients.hidden))
}

fn store(slot: &Mutex<Option<LossGradients>>, gradients: LossGradients) {
    *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(gradients);
}

fn take(slot: &Mutex<Option<LossGradients>>) -> Result<LossGradients> {
    match slot.lock().unwrap_or_else(PoisonError::into_inner).take() {
        Some(gradients) => Ok(gradients),
        None => candle_core::bail!("the loss has no gradients to give, or gave them already"),
    }
}

fn scaled(mut gradient: Vec<f32>, shape: &Shape, by: &Tensor) -> Result<Tensor> {
    let by = by.to_scalar::<f32>()?;
    if by != 1.0 {
        gradient.par_iter_mut().for_each(|g| *g *= by);
    }
    tensor(gradient, shape)
}

/// The head's weight `[vocab, width]`.
enum HeadWeight<'a> {
    Frozen(&'a Tensor),
    Learning {
        values: &'a [f32],
        vocab: usize,
        width: usize,
    },
}

impl HeadWeight<'_> {
    fn dims(&self) -> Result<(usize, usize)> {
        match self {
            Self::Frozen(weight) => weight.dims2(),
            Self::Learning { vocab, width, .. } => Ok((*vocab, *width)),
        }
    }

    /// Rows of logits in memory at once. A frozen head is read for all of them, forward and backward, so
    /// that more save time. The gradient of a learning one is a sum over parts, whose sizes are part
    /// of its arithmetic; so is that of a part of one row.
    fn rows_at_once(&self, rows: usize) -> Result<usize> {
        let least = rows_at_once(self.dims()?.0);
        Ok(match self {
            Self::Frozen(_) if rows % least != 1 => 2 * least,
            Self::Frozen(_) | Self::Learning { .. } => least,
        })
    }

    fn for_blocks(&self, mut work: impl FnMut(usize, usize, &[f32])) -> Result<()> {
        match self {
            Self::Frozen(weight) => for_weight_blocks(weight, work),
            Self::Learning { values, vocab, .. } => {
                work(0, *vocab, values);
                Ok(())
            }
        }
    }

    /// hidden·Wᵀ into `logits`.
    fn logits(&self, hidden: StridedMatrix<'_>, logits: &mut [f32]) -> Result<()> {
        let (vocab, width) = self.dims()?;
        self.for_blocks(|first, rows, block| {
            let target = MatmulTarget::strided(&mut logits[first..], hidden.rows(), rows, vocab);
            multiply(
                target,
                1.0,
                hidden,
                StridedMatrix::new(block, rows, width).t(),
                MatmulThreads::All,
            );
        })
    }

    /// logits·W into `out`.
    fn backward(&self, logits: &[f32], count: usize, out: &mut [f32]) -> Result<()> {
        let (vocab, width) = self.dims()?;
        self.for_blocks(|first, rows, block| {
            let target = MatmulTarget::new(out, count, width);
            let target = if first == 0 { target } else { target.adding() };
            let logits = StridedMatrix::strided(&logits[first..], count, rows, vocab);
            multiply(
                target,
                1.0,
                logits,
                StridedMatrix::new(block, rows, width),
                MatmulThreads::All,
            );
        })
    }
}

fn head_loss(
    hidden: &[f32],
    head: &HeadWeight<'_>,
    tokens: &[u32],
    wanted: &WantedGradients,
) -> Result<(f32, LossGradients)> {
    let (vocab, width) = head.dims()?;
    let at_once = head.rows_at_once(tokens.len())?;
    let mut grad_hidden = vec![0f32; if wanted.hidden { hidden.len() } else { 0 }];
    let mut grad_weight = wanted.weight.then(|| vec![0f32; vocab * width]);
    let mut logits = vec![0f32; at_once.min(tokens.len()) * vocab];
    let mut losses = Vec::with_capacity(tokens.len());
    for (chunk, tokens) in tokens.chunks(at_once).enumerate() {
        let (count, at) = (tokens.len(), chunk * at_once * width);
        let logits = &mut logits[..count * vocab];
        let rows = StridedMatrix::new(&hidden[at..], count, width);
        head.logits(rows, logits)?;
        losses.extend(losses_and_errors(logits, vocab, tokens));
        if let Some(grad_weight) = &mut grad_weight {
            let target = MatmulTarget::new(grad_weight, vocab, width).adding();
            let errors = StridedMatrix::new(logits, count, vocab).t();
            multiply(target, 1.0, errors, rows, MatmulThreads::All);
        }
        if wanted.hidden {
            head.backward(logits, count, &mut grad_hidden[at..])?;
        }
    }
    // Losses are added in the order of the smallest parts.
    let sums = losses
        .chunks(rows_at_once(vocab))
        .map(|part| part.iter().sum::<f64>());
    let loss = sums.fold(0f64, |loss, part| loss + part);
    Ok((
        loss as f32,
        LossGradients {
            hidden: grad_hidden,
            weight: grad_weight,
        },
    ))
}

/// Turns each row of logits into softmax − onehot(target); returns the rows' losses.
fn losses_and_errors(logits: &mut [f32], vocab: usize, tokens: &[u32]) -> Vec<f64> {
    logits
        .par_chunks_exact_mut(vocab)
        .zip(tokens)
        .map(|(row, &token)| {
            let logit = row[token as usize];
            let log_total = numeric::softmax_in_place(row);
            row[token as usize] -= 1.0;
            f64::from(log_total) - f64::from(logit)
        })
        .collect()
}

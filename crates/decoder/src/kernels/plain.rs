//! The kernels' mathematics in plain tensor operations: for devices without fused kernels, and as
//! the reference in tests.

use std::ops::Range;

use candle_core::{D, DType, Result, Tensor};

use super::{
    attention::{AttentionHeads, RaggedRows},
    rope::RopeAngles,
};

/// x·Wᵀ + b
pub fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let y = x.matmul(&weight.to_dtype(DType::F32)?.t()?)?;
    match bias {
        Some(bias) => y.broadcast_add(bias),
        None => Ok(y),
    }
}

/// w ∘ x / √(mean(x²) + ε) over the last dimension
pub fn rms_norm(x: &Tensor, weight: &Tensor, eps: f64) -> Result<Tensor> {
    let mean = x.sqr()?.mean_keepdim(D::Minus1)?;
    x.broadcast_div(&(mean + eps)?.sqrt()?)?
        .broadcast_mul(weight)
}

/// x `[tokens, heads · head_dim]`, each head rotated by its token's angles.
pub fn rope(x: &Tensor, angles: &RopeAngles, positions: &[usize]) -> Result<Tensor> {
    let (tokens, width) = x.dims2()?;
    let half = angles.half;
    let table = |values: &[f32]| {
        let rows: Vec<f32> = positions
            .iter()
            .flat_map(|&p| &values[p * half..][..half])
            .copied()
            .collect();
        Tensor::from_vec(rows, (tokens, 1, half), x.device())
    };
    let (cos, sin) = (table(&angles.cos)?, table(&angles.sin)?);
    let heads = x.reshape((tokens, width / (2 * half), 2 * half))?;
    let (a, b) = (heads.narrow(2, 0, half)?, heads.narrow(2, half, half)?);
    let turned_a = (a.broadcast_mul(&cos)? - b.broadcast_mul(&sin)?)?;
    let turned_b = (b.broadcast_mul(&cos)? + a.broadcast_mul(&sin)?)?;
    Tensor::cat(&[turned_a, turned_b], 2)?.reshape((tokens, width))
}

/// silu(gate) ∘ up
pub fn swiglu(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    gate.silu()? * up
}

/// Softmax over the last dimension.
fn softmax(x: &Tensor) -> Result<Tensor> {
    let exp = x
        .broadcast_sub(&x.max_keepdim(D::Minus1)?.detach())?
        .exp()?;
    exp.broadcast_div(&exp.sum_keepdim(D::Minus1)?)
}

/// ln softmax over the last dimension.
fn log_softmax(x: &Tensor) -> Result<Tensor> {
    let shifted = x.broadcast_sub(&x.max_keepdim(D::Minus1)?.detach())?;
    shifted.broadcast_sub(&shifted.exp()?.sum_keepdim(D::Minus1)?.log()?)
}

/// Causal attention of every row separately.
pub fn attention(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    heads: AttentionHeads,
    rows: &RaggedRows,
) -> Result<Tensor> {
    let rows = rows
        .rows
        .iter()
        .filter(|row| !row.queries.is_empty())
        .map(|row| {
            let part = |x: &Tensor, rows: &Range<usize>| x.narrow(0, rows.start, rows.len());
            let keys = |x: &Tensor| {
                let own = part(x, &row.keys)?;
                match row.prefix {
                    0 => Ok(own),
                    prefix => Tensor::cat(&[part(x, &(0..prefix))?, own], 0),
                }
            };
            let positions = &rows.positions[row.queries.clone()];
            attend(
                &part(q, &row.queries)?,
                &keys(k)?,
                &keys(v)?,
                heads,
                positions,
            )
        })
        .collect::<Result<Vec<_>>>()?;
    Tensor::cat(&rows, 0)
}

fn attend(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    heads: AttentionHeads,
    positions: &[usize],
) -> Result<Tensor> {
    let AttentionHeads {
        heads: count,
        kv_heads,
        head_dim,
        ..
    } = heads;
    let (queries, keys) = (q.dims()[0], k.dims()[0]);
    let split = |x: &Tensor, heads: usize| {
        x.reshape((x.dims()[0], heads, head_dim))?
            .transpose(0, 1)?
            .contiguous()
    };
    let spread = |x: &Tensor| {
        let shape = (kv_heads, count / kv_heads, keys, head_dim);
        split(x, kv_heads)?
            .unsqueeze(1)?
            .broadcast_as(shape)?
            .reshape((count, keys, head_dim))
    };
    let scores = (split(q, count)?.matmul(&spread(k)?.t()?)? * f64::from(heads.scale()))?;
    let mask: Vec<f32> = positions
        .iter()
        .flat_map(|&position| {
            let seen = heads.first_key(position)..position + 1;
            (0..keys).map(move |key| {
                if seen.contains(&key) {
                    0.0
                } else {
                    f32::NEG_INFINITY
                }
            })
        })
        .collect();
    let mask = Tensor::from_vec(mask, (1, queries, keys), q.device())?;
    let mixed = softmax(&scores.broadcast_add(&mask)?)?.matmul(&spread(v)?)?;
    mixed.transpose(0, 1)?.reshape((queries, count * head_dim))
}

/// Σ −log `softmax(h·Wᵀ)[token]` over the rows of h
pub fn head_loss(hidden: &Tensor, weight: &Tensor, tokens: &[u32]) -> Result<Tensor> {
    let logs = log_softmax(&linear(hidden, weight, None)?)?;
    let tokens = Tensor::new(tokens, hidden.device())?.unsqueeze(1)?;
    logs.gather(&tokens, 1)?.sum_all()?.neg()
}

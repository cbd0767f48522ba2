//! The arithmetic `native/1` written down once more, value by value, without lanes or blocks.

use half::f16;

/// The sum of lanes as a tree.
pub fn tree(lanes: &[f32]) -> f32 {
    let mut lanes = lanes.to_vec();
    while lanes.len() > 1 {
        let half = lanes.len() / 2;
        lanes = (0..half).map(|it| lanes[it] + lanes[it + half]).collect();
    }
    lanes[0]
}

pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; 32];
    for (column, (a, b)) in a.iter().zip(b).enumerate() {
        lanes[column % 32] = a.mul_add(*b, lanes[column % 32]);
    }
    tree(&lanes)
}

pub fn exp(x: f32) -> f32 {
    if x < -87.336_54 {
        return 0.0;
    }
    let x = if x > 88.37 { 88.37 } else { x };
    let magic = 12_582_912.0;
    let whole = x.mul_add(std::f32::consts::LOG2_E, magic) - magic;
    let rest = whole.mul_add(-0.693_359_4, x);
    let rest = whole.mul_add(2.121_944_4e-4, rest);
    let p = 1.987_569_1e-4_f32
        .mul_add(rest, 1.398_199_9e-3)
        .mul_add(rest, 8.333_452e-3)
        .mul_add(rest, 4.166_579_6e-2)
        .mul_add(rest, 1.666_666_5e-1)
        .mul_add(rest, 0.5)
        .mul_add(rest * rest, rest)
        + 1.0;
    p * f32::from_bits(((whole as i32 + 127) as u32) << 23)
}

/// Thirty-two columns with a scale.
#[derive(Clone)]
pub struct Group {
    pub scale: f32,
    pub values: Vec<i32>,
}

fn groups(x: &[f32], quantise: impl Fn(&[f32]) -> Group) -> Vec<Group> {
    x.chunks(32)
        .map(|part| {
            let mut part = part.to_vec();
            part.resize(32, 0.0);
            quantise(&part)
        })
        .collect()
}

fn greatest(x: &[f32]) -> f32 {
    x.iter().fold(0.0, |acc, it| acc.max(it.abs()))
}

/// Activations as int8.
pub fn activations(x: &[f32]) -> Vec<Group> {
    groups(x, |x| {
        let greatest = greatest(x);
        if x.iter().any(|it| !it.is_finite()) {
            return Group {
                scale: f32::NAN,
                values: vec![0; 32],
            };
        }
        if greatest < 1e-30 {
            return Group {
                scale: 0.0,
                values: vec![0; 32],
            };
        }
        let inverse = 127.0 / greatest;
        let value = |it: &f32| (it * inverse).round_ties_even() as i32;
        Group {
            scale: greatest / 127.0,
            values: x.iter().map(value).collect(),
        }
    })
}

pub fn int8_weights(x: &[f32]) -> Vec<Group> {
    groups(x, |x| {
        let scale = f16::from_f32(greatest(x) / 127.0).to_f32();
        scaled(x, scale, -127.0, 127.0)
    })
}

pub fn int4_weights(x: &[f32]) -> Vec<Group> {
    groups(x, |x| {
        let greatest = greatest(x);
        let first = x.iter().find(|it| it.abs() == greatest).unwrap();
        let scale = f16::from_f32(first / -8.0).to_f32();
        scaled(x, scale, -8.0, 7.0)
    })
}

fn scaled(x: &[f32], scale: f32, low: f32, high: f32) -> Group {
    let value = |it: &f32| match scale == 0.0 {
        true => 0,
        false => (it / scale).round_ties_even().clamp(low, high) as i32,
    };
    Group {
        scale,
        values: x.iter().map(value).collect(),
    }
}

/// One value of a product with quantised weights.
pub fn grouped_product(input: &[Group], weights: &[Group]) -> f32 {
    let pairs = input.iter().zip(weights);
    pairs.fold(0.0, |acc: f32, (input, weights)| {
        let products = input.values.iter().zip(&weights.values);
        let sum: i32 = products.map(|(a, b)| a * b).sum();
        (input.scale * weights.scale).mul_add(sum as f32, acc)
    })
}

/// One value of a product with f32 weights.
pub fn float_product(input: &[f32], weights: &[f32]) -> f32 {
    let groups = input.chunks(32).zip(weights.chunks(32));
    groups.fold(0.0, |acc, (input, weights)| {
        let pairs = input.iter().zip(weights);
        acc + pairs.fold(0.0, |sum, (input, weight)| weight.mul_add(*input, sum))
    })
}

pub fn rms_norm(x: &[f32], weight: &[f32], eps: f32) -> Vec<f32> {
    let inverse = 1.0 / (dot(x, x) / x.len() as f32 + eps).sqrt();
    x.iter()
        .zip(weight)
        .map(|(x, weight)| x * inverse * weight)
        .collect()
}

pub fn silu_mul(gate: f32, up: f32) -> f32 {
    gate / (exp(0.0 - gate) + 1.0) * up
}

/// The greatest logit, and the sum of exponentials below it.
pub fn exp_sum(x: &[f32]) -> (f32, f32) {
    let greatest = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut lanes = [0.0; 16];
    for (index, x) in x.iter().enumerate() {
        lanes[index % 16] += exp(x - greatest);
    }
    (greatest, tree(&lanes))
}

/// `scale × (x Aᵀ) Bᵀ` added to `out`.
pub fn add_lora(x: &[f32], a: &[f32], b: &[f32], rank: usize, scale: f32, out: &mut [f32]) {
    let inner: Vec<f32> = a.chunks(x.len()).map(|a| dot(a, x)).collect();
    for (out, b) in out.iter_mut().zip(b.chunks(rank)) {
        let pairs = b.iter().zip(&inner);
        let sum = pairs.fold(0.0, |sum, (b, inner)| b.mul_add(*inner, sum));
        *out = f32::mul_add(sum, scale, *out);
    }
}

/// Attention of a query to the keys and values of positions `start` and on, by chunks of 256
/// positions.
pub fn attention(
    query: &[f32],
    start: usize,
    keys: &[Vec<f32>],
    values: &[Vec<f32>],
    scale: f32,
) -> Vec<f32> {
    let mut total: Option<(f32, f32, Vec<f32>)> = None;
    let mut from = start;
    while from < keys.len() {
        let to = ((from / 256 + 1) * 256).min(keys.len());
        let scores: Vec<f32> = keys[from..to]
            .iter()
            .map(|key| {
                key.iter()
                    .zip(query)
                    .fold(0.0, |sum, (k, q)| k.mul_add(*q, sum))
                    * scale
            })
            .collect();
        let greatest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let terms: Vec<f32> = scores.iter().map(|it| exp(it - greatest)).collect();
        let mut lanes = [0.0; 16];
        for (index, term) in terms.iter().enumerate() {
            lanes[(from + index) % 16] += term;
        }
        let mut out = vec![0.0_f32; query.len()];
        for (term, value) in terms.iter().zip(&values[from..to]) {
            for (out, value) in out.iter_mut().zip(value) {
                *out = value.mul_add(*term, *out);
            }
        }
        let sum = tree(&lanes);
        total = Some(match total {
            None => (greatest, sum, out),
            Some((before, before_sum, before_out)) => {
                let both = before.max(greatest);
                let (a, b) = (exp(before - both), exp(greatest - both));
                let pairs = before_out.iter().zip(&out);
                let out = pairs.map(|(x, y)| x.mul_add(a, y * b)).collect();
                (both, before_sum.mul_add(a, sum * b), out)
            }
        });
        from = to;
    }
    let (_, sum, out) = total.unwrap();
    out.iter().map(|it| it / sum).collect()
}

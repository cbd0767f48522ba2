//! The sampler on rows of logits that no sane model gives.

use openlora_engine::SamplingParams;
use openlora_generation::TokenSampler;
use rand::{Rng, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;

fn greedy(logits: &[f32]) -> Option<u32> {
    let mut sampler = TokenSampler::new(SamplingParams::default(), &[]);
    sampler.choose(logits, &[]).map(|chosen| chosen.id)
}

/// The definition: the first of the highest finite logits.
fn first_of_the_highest(logits: &[f32]) -> Option<u32> {
    let mut best: Option<(usize, f32)> = None;
    for (id, logit) in logits.iter().enumerate() {
        if logit.is_finite() && best.is_none_or(|(_, highest)| *logit > highest) {
            best = Some((id, *logit));
        }
    }
    best.map(|(id, _)| id as u32)
}

#[test]
fn greedy_takes_the_first_of_the_highest_finite_logits() {
    let odd = [
        f32::NAN,
        f32::INFINITY,
        f32::NEG_INFINITY,
        0.0,
        -0.0,
        f32::MIN,
        f32::MAX,
        f32::MIN_POSITIVE,
        -1.0,
    ];
    let mut random = ChaCha8Rng::seed_from_u64(3);
    for round in 0..2000 {
        let length = random.random_range(0..700);
        let row: Vec<f32> = (0..length)
            .map(|_| match round % 3 {
                // Few values, so that many are equal.
                0 => *odd.choose(&mut random).unwrap(),
                1 => random.random_range(-3..3) as f32,
                _ => random.random_range(-30.0..30.0),
            })
            .collect();
        assert_eq!(greedy(&row), first_of_the_highest(&row), "{row:?}");
    }
    for broken in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        assert_eq!(greedy(&[broken; 300]), None);
    }
}

/// What is sampled must not depend on how the standard library selects the best candidates.
#[test]
fn draws_follow_the_seed_alone() {
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let row: Vec<f32> = (0..5000).map(|_| random.random_range(-4.0..4.0)).collect();
    let drawn = |top_k: Option<usize>, top_p: Option<f64>| -> Vec<u32> {
        let settings = SamplingParams {
            temperature: Some(1.0),
            top_k,
            top_p,
            seed: Some(9),
            ..SamplingParams::default()
        };
        let mut sampler = TokenSampler::new(settings, &[]);
        let next = |_| sampler.choose(&row, &[]).unwrap().id;
        (0..20).map(next).collect()
    };
    let mut ranked: Vec<u32> = (0..row.len() as u32).collect();
    ranked.sort_by(|a, b| row[*b as usize].total_cmp(&row[*a as usize]).then(a.cmp(b)));
    for k in [1, 2, 40, 4999] {
        let kept = drawn(Some(k), None);
        assert_eq!(kept, drawn(Some(k), Some(1.0)));
        assert!(kept.iter().all(|id| ranked[..k].contains(id)), "{k}");
    }
    assert_eq!(drawn(None, None), drawn(Some(row.len()), None));
}

/// How often each token is drawn, beside its probability: within five standard deviations.
#[test]
fn draws_have_the_probabilities_of_the_softmax() {
    const DRAWS: usize = 40_000;
    let row: Vec<f32> = (0..40).map(|id| (id as f32 * 0.7).sin() * 3.0).collect();
    let temperature = 0.7;
    let settings = SamplingParams {
        temperature: Some(temperature),
        seed: Some(1),
        ..SamplingParams::default()
    };
    let mut sampler = TokenSampler::new(settings, &[]);
    let mut counts = [0usize; 40];
    for _ in 0..DRAWS {
        counts[sampler.choose(&row, &[]).unwrap().id as usize] += 1;
    }
    let weights = row
        .iter()
        .map(|logit| (f64::from(*logit) / temperature).exp());
    let weights: Vec<f64> = weights.collect();
    let total: f64 = weights.iter().sum();
    for (count, weight) in counts.into_iter().zip(weights) {
        let p = weight / total;
        let deviation = (DRAWS as f64 * p * (1.0 - p)).sqrt();
        let expected = DRAWS as f64 * p;
        assert!(
            (count as f64 - expected).abs() < 5.0 * deviation,
            "{count} {expected}"
        );
    }
}

/// What a seed gives is part of the arithmetic's version: replays on other machines depend on it.
#[test]
fn a_seed_gives_the_same_tokens_for_good() {
    let row: Vec<f32> = (0..1000u32)
        .map(|id| (id.wrapping_mul(2_654_435_761) >> 8) as f32 / (1 << 22) as f32)
        .collect();
    let drawn = |settings: SamplingParams| -> Vec<u32> {
        let mut sampler = TokenSampler::new(settings, &[3]);
        let next = |_| sampler.choose(&row, &[]).unwrap().id;
        (0..8).map(next).collect()
    };
    let hot = SamplingParams {
        temperature: Some(0.8),
        seed: Some(42),
        ..SamplingParams::default()
    };
    let narrow = SamplingParams {
        top_k: Some(50),
        top_p: Some(0.9),
        min_p: Some(0.05),
        frequency_penalty: Some(0.5),
        presence_penalty: Some(0.1),
        repetition_penalty: Some(1.2),
        ..hot.clone()
    };
    assert_eq!(drawn(hot), [684, 953, 428, 631, 289, 150, 309, 807]);
    assert_eq!(drawn(narrow), [76, 419, 487, 309, 199, 288, 343, 652]);
}

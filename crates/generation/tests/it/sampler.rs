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

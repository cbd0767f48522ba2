//! What each choice of the method is worth: checkpoints, width, damping, shared pairs.

use openlora_influence::{Curvature, DAMPING, WIDTH, limit, precondition};
use openlora_train::run::checkpoint::MILESTONES;
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    gradients::{KeptGradients, kept},
    study::{EXACT, Lab},
};

/// A choice of the method.
#[derive(Clone, Copy, Debug, Serialize)]
struct Choice {
    checkpoints: &'static [f64],
    width: usize,
    damping: f64,
    pairs: bool,
}

const PAID: Choice = Choice {
    checkpoints: &MILESTONES,
    width: WIDTH,
    damping: DAMPING,
    pairs: true,
};

const DAMPINGS: [f64; 6] = [0.003, 0.01, 0.03, 0.1, 0.3, 1.0];
const WIDTHS: [usize; 5] = [256, 512, 2048, 4096, EXACT];
const SETS: [&[f64]; 8] = [
    &[0.05, 0.2, 0.5],
    &[0.1, 0.2, 0.35],
    &[0.2, 0.35, 0.75],
    &[0.2],
    &[1.0],
    &[0.1, 0.2, 0.3, 0.4, 0.5, 0.6],
    &[0.2, 0.25, 0.3, 0.35, 0.4, 0.5],
    &[0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0],
];

/// Each choice without shared pairs and with them.
fn choices() -> Vec<Choice> {
    let mut found = vec![PAID];
    found.extend(DAMPINGS.map(|damping| Choice { damping, ..PAID }));
    found.extend(WIDTHS.map(|width| Choice { width, ..PAID }));
    for checkpoints in SETS {
        // Six checkpoints at half the width take the same memory as three.
        for width in [WIDTH, WIDTH / 2] {
            found.push(Choice {
                checkpoints,
                width,
                ..PAID
            });
        }
    }
    let both = |choice| {
        [
            Choice {
                pairs: false,
                ..choice
            },
            choice,
        ]
    };
    found.into_iter().flat_map(both).collect()
}

/// The largest score, in integers.
const LARGEST: f64 = (1u128 << 80) as f64;

/// The figures of every choice. Shares are those of a server; gradients are not quantised.
pub fn sweep(lab: &Lab<'_>, tell: &mut dyn FnMut(&str)) -> Vec<Value> {
    let choices = choices();
    let mut scores =
        vec![vec![vec![0.0; lab.world.rows.len()]; lab.truth.queries.len()]; choices.len()];
    let widths: Vec<usize> = WIDTHS.into_iter().chain([WIDTH]).collect();
    kept(lab, &widths, &mut |width, gradients| {
        for (choice, scores) in choices.iter().zip(&mut scores) {
            if choice.width == width && choice.checkpoints.contains(&gradients.share) {
                add(choice.damping, gradients, scores);
            }
        }
    });
    let witness = lab.ours();
    let judged = choices.iter().zip(scores).map(|(choice, scores)| {
        let queries = lab.truth.queries.iter().zip(&scores);
        let weighed = queries.map(|(query, scores)| {
            let most = scores
                .iter()
                .fold(0f64, |most, score| most.max(score.abs()));
            let whole = |score: &f64| (score / most.max(f64::MIN_POSITIVE) * LARGEST) as i128;
            let mut scores: Vec<i128> = scores.iter().map(whole).collect();
            if choice.pairs {
                let pairs = witness.file.pairs(&query.prompt, &query.answer);
                witness
                    .file
                    .weigh(&pairs, &mut scores)
                    .expect("the examples are the index's");
            }
            scores
        });
        let said = lab.said(&witness, &weighed.collect::<Vec<_>>());
        let figures = lab.truth.figures(&said.scores, &said.shares);
        tell(&format!("{choice:?}: {figures:?}"));
        json!({ "choice": choice, "figures": figures })
    });
    judged.collect()
}

/// Adds a checkpoint's scores `[queries][examples]`.
fn add(damping: f64, at: &KeptGradients, scores: &mut [Vec<f64>]) {
    let weights = vec![1.0; at.examples.len() / at.width];
    let curvature = Curvature {
        width: at.width,
        weights: &weights,
        damping,
    };
    let mut rows = at.examples.clone();
    precondition(&mut rows, curvature).expect("the curvature is regular");
    limit(&mut rows, &at.examples, curvature);
    for (query, scores) in at.queries.chunks(at.width).zip(scores) {
        for (score, row) in scores.iter_mut().zip(rows.chunks(at.width)) {
            let products = row
                .iter()
                .zip(query)
                .map(|(u, q)| f64::from(*u) * f64::from(*q));
            *score += at.rate * products.sum::<f64>();
        }
    }
}

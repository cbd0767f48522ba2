//! What each choice of the method is worth: checkpoints, width, damping, shared pairs.

use openlora_influence::{Curvature, DAMPING, PairOverlap, WIDTH, limit, precondition};
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
    pairs: PairUse,
}

/// What shared pairs do to scores.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum PairUse {
    None,
    /// They weigh what exceeds the noise.
    Excess,
    /// They weigh whole scores, and so the noise too.
    Whole,
    /// They weigh whole scores, of which the shares are made. The weight of evidence in the shares is
    /// that of gradients alone.
    Division,
}

/// Which choices are tried.
#[derive(Clone, Copy, Debug)]
pub enum SweepScope {
    All,
    Pairs,
}

/// By the flags of the command line.
#[allow(dead_code, reason = "the test that includes this has no command line")]
pub const SCOPES: [(&str, SweepScope); 2] = [
    ("--sweep", SweepScope::All),
    ("--sweep-pairs", SweepScope::Pairs),
];

const PAID: Choice = Choice {
    checkpoints: &MILESTONES,
    width: WIDTH,
    damping: DAMPING,
    pairs: PairUse::Excess,
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

/// The uses of shared pairs, and each other choice without shared pairs and with them.
fn choices(scope: SweepScope) -> Vec<Choice> {
    let paid = [
        PairUse::None,
        PairUse::Excess,
        PairUse::Whole,
        PairUse::Division,
    ];
    let mut tried: Vec<Choice> = paid.map(|pairs| Choice { pairs, ..PAID }).into();
    if let SweepScope::Pairs = scope {
        return tried;
    }
    let mut found = Vec::new();
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
                pairs: PairUse::None,
                ..choice
            },
            choice,
        ]
    };
    tried.extend(found.into_iter().flat_map(both));
    tried
}

/// The largest score, in integers.
const LARGEST: f64 = (1u128 << 80) as f64;

/// The figures of every choice. Shares are those of a server; gradients are not quantised.
pub fn sweep(lab: &Lab<'_>, scope: SweepScope, tell: &mut dyn FnMut(&str)) -> Vec<Value> {
    let choices = choices(scope);
    let mut scores =
        vec![vec![vec![0.0; lab.world.rows.len()]; lab.truth.queries.len()]; choices.len()];
    let widths: Vec<usize> = match scope {
        SweepScope::All => WIDTHS.into_iter().chain([WIDTH]).collect(),
        SweepScope::Pairs => vec![WIDTH],
    };
    kept(lab, &widths, &mut |width, gradients| {
        for (choice, scores) in choices.iter().zip(&mut scores) {
            if choice.width == width && choice.checkpoints.contains(&gradients.share) {
                add(choice.damping, gradients, scores);
            }
        }
    });
    let witness = lab.ours();
    let judged = choices.iter().zip(scores).map(|(choice, scores)| {
        let gradients: Vec<Vec<i128>> = scores.iter().map(|it| whole_scores(it)).collect();
        let queries = lab.truth.queries.iter().zip(&gradients);
        let weighed: Vec<Vec<i128>> = queries
            .map(|(query, gradients)| {
                let mut scores = gradients.clone();
                let pairs = || witness.file.pairs(&query.prompt, &query.answer);
                match choice.pairs {
                    PairUse::None => {}
                    PairUse::Excess => witness
                        .file
                        .weigh(&pairs(), &mut scores)
                        .expect("the examples are the index's"),
                    PairUse::Whole | PairUse::Division => weigh_whole(&pairs(), &mut scores),
                }
                scores
            })
            .collect();
        let mut said = lab.said(&witness, &weighed);
        if let PairUse::Division = choice.pairs {
            let both = weighed.iter().zip(&gradients);
            let queries = lab.truth.queries.iter().zip(both);
            said.shares = queries
                .map(|(query, (weighed, gradients))| {
                    witness.shares_with_strength(query, weighed, gradients)
                })
                .collect();
        }
        let figures = lab.truth.figures(&said.scores, &said.shares);
        tell(&format!("{choice:?}: {figures:?}"));
        json!({ "choice": choice, "figures": figures })
    });
    judged.collect()
}

/// Scores in integers, the largest as [`LARGEST`].
fn whole_scores(scores: &[f64]) -> Vec<i128> {
    let sizes = scores.iter().map(|score| score.abs());
    let most = sizes.fold(f64::MIN_POSITIVE, f64::max);
    let whole = |score: &f64| (score / most * LARGEST) as i128;
    scores.iter().map(whole).collect()
}

/// What an example without shared pairs keeps of its score, in units of [`PairOverlap::WHOLE`], as
/// for what exceeds the noise.
const FLOOR: i128 = 3_277;

/// Multiplies every score with its factor.
fn weigh_whole(pairs: &PairOverlap, scores: &mut [i128]) {
    let mut factors = vec![FLOOR; scores.len()];
    for (example, weight) in pairs.weights() {
        factors[*example as usize] += i128::from(*weight);
    }
    let whole = FLOOR + i128::from(PairOverlap::WHOLE);
    for (score, factor) in scores.iter_mut().zip(factors) {
        *score = *score * factor / whole;
    }
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

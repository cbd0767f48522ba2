//! LDS, share error and top contributor, as the design page defines them.

use serde::Serialize;

use super::retrain::Truth;

/// One method's figures in one world.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Figures {
    pub lds: f64,
    /// Over the answers whose truth is told apart from its own noise.
    pub tv: f64,
    pub top: f64,
    /// Over all answers.
    pub all: Compared,
}

/// How far shares are from the truth.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Compared {
    pub tv: f64,
    pub top: f64,
}

/// Standard errors by which the largest effect of leaving somebody out must exceed nothing.
const TOLD_APART: f64 = 3.0;

/// Rank of each value; equal ones share the mean of theirs.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    while start < order.len() {
        let mut end = start + 1;
        while end < order.len() && values[order[end]] == values[order[start]] {
            end += 1;
        }
        let rank = (start + end - 1) as f64 / 2.0;
        order[start..end].iter().for_each(|at| ranks[*at] = rank);
        start = end;
    }
    ranks
}

/// Rank correlation; 0 where one side does not vary.
pub fn spearman(a: &[f64], b: &[f64]) -> f64 {
    let (a, b) = (ranks(a), ranks(b));
    let mean = (a.len() as f64 - 1.0) / 2.0;
    let product = |a: &[f64], b: &[f64]| -> f64 {
        a.iter().zip(b).map(|(a, b)| (a - mean) * (b - mean)).sum()
    };
    let scale = (product(&a, &a) * product(&b, &b)).sqrt();
    if scale > 0.0 {
        product(&a, &b) / scale
    } else {
        0.0
    }
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut count) = (0.0, 0.0);
    for value in values {
        sum += value;
        count += 1.0;
    }
    if count > 0.0 { sum / count } else { 0.0 }
}

impl Truth {
    /// Loss of a query on every half, averaged over seeds.
    fn on_halves(&self, query: usize) -> Vec<f64> {
        let of = |subset: usize| mean(self.halves.iter().map(|seed| seed[subset][query]));
        (0..self.subsets.len()).map(of).collect()
    }

    /// Linear datamodelling score of `scores[queries][examples]`.
    pub fn lds(&self, scores: &[Vec<f64>]) -> f64 {
        let of = |(query, scores): (usize, &Vec<f64>)| {
            let sums = self
                .subsets
                .iter()
                .map(|half| half.iter().map(|at| scores[*at]).sum());
            let losses: Vec<f64> = self.on_halves(query).iter().map(|loss| -loss).collect();
            spearman(&sums.collect::<Vec<f64>>(), &losses)
        };
        mean(scores.iter().enumerate().map(of))
    }

    /// How well two seeds agree, corrected for the mean of both (Spearman–Brown).
    pub fn ceiling(&self) -> f64 {
        let [one, two, ..] = self.halves.as_slice() else {
            return 0.0;
        };
        let of = |query: usize| {
            let column =
                |seed: &[Vec<f64>]| seed.iter().map(|row| row[query]).collect::<Vec<f64>>();
            let agreement = spearman(&column(one), &column(two));
            2.0 * agreement / (1.0 + agreement)
        };
        mean((0..self.queries.len()).map(of))
    }

    /// Each contributor's share of a query by leaving it out, over these seeds.
    fn shares(&self, query: usize, seeds: std::ops::Range<usize>) -> Vec<f64> {
        let contributors = self.without.first().map_or(0, Vec::len);
        let harm = |contributor: usize| {
            let found = seeds
                .clone()
                .map(|seed| self.without[seed][contributor][query] - self.whole[seed][query]);
            mean(found).max(0.0)
        };
        normalised((0..contributors).map(harm).collect())
    }

    /// How far the truth of one seed is from that of the next, as TV and top: what no method can
    /// be asked to beat by much.
    pub fn noise(&self) -> (f64, f64) {
        let of = |query: usize| {
            let pairs = 1..self.without.len();
            let pair = move |seed: usize| {
                let (one, two) = (
                    self.shares(query, seed - 1..seed),
                    self.shares(query, seed..seed + 1),
                );
                (
                    distance(&one, &two),
                    f64::from(u8::from(largest(&one) == largest(&two))),
                )
            };
            pairs.map(pair)
        };
        let all: Vec<(f64, f64)> = (0..self.queries.len()).flat_map(of).collect();
        (
            mean(all.iter().map(|pair| pair.0)),
            mean(all.iter().map(|pair| pair.1)),
        )
    }

    /// Whether a query's truth is more than the noise of its retrainings: an answer that nobody's
    /// data decides has none, and what is left of the noise after clipping is no share of anybody's.
    /// One seed does not tell.
    pub fn told_apart(&self) -> Vec<bool> {
        let seeds = self.without.len();
        let contributors = self.without.first().map_or(0, Vec::len);
        let of = |query: usize| {
            let effects = |contributor: usize| {
                let of = move |seed: usize| {
                    self.without[seed][contributor][query] - self.whole[seed][query]
                };
                (0..seeds).map(of)
            };
            let (mut largest, mut variance) = (0f64, 0.0);
            for contributor in 0..contributors {
                let middle = mean(effects(contributor));
                largest = largest.max(middle);
                let squares = effects(contributor).map(|it| (it - middle) * (it - middle));
                variance += squares.sum::<f64>() / (seeds as f64 - 1.0).max(1.0);
            }
            seeds < 2 || largest > TOLD_APART * (variance / seeds as f64).sqrt()
        };
        (0..self.queries.len()).map(of).collect()
    }

    /// Figures of a method with these shares `[queries][contributors]`.
    pub fn figures(&self, scores: &[Vec<f64>], shares: &[Vec<f64>]) -> Figures {
        let told_apart = self.told_apart();
        let compared = |which: &dyn Fn(usize) -> bool| {
            let chosen = (0..shares.len()).filter(|query| which(*query));
            let pairs: Vec<(&Vec<f64>, Vec<f64>)> = chosen
                .map(|query| (&shares[query], self.shares(query, 0..self.without.len())))
                .collect();
            let right =
                |(a, b): &(&Vec<f64>, Vec<f64>)| f64::from(u8::from(largest(a) == largest(b)));
            Compared {
                tv: mean(pairs.iter().map(|(a, b)| distance(a, b))),
                top: mean(pairs.iter().map(right)),
            }
        };
        let Compared { tv, top } = compared(&|query| told_apart[query]);
        Figures {
            lds: self.lds(scores),
            tv,
            top,
            all: compared(&|_| true),
        }
    }
}

/// Total variation.
fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum::<f64>() / 2.0
}

fn largest(values: &[f64]) -> Option<usize> {
    (0..values.len()).max_by(|a, b| values[*a].total_cmp(&values[*b]))
}

/// Parts that sum to 1; equal ones where nothing is positive.
pub fn normalised(values: Vec<f64>) -> Vec<f64> {
    let sum: f64 = values.iter().sum();
    let count = values.len() as f64;
    values
        .into_iter()
        .map(|value| if sum > 0.0 { value / sum } else { 1.0 / count })
        .collect()
}

/// Shares of contributors from the scores of one query: what an example scores above three times
/// the median deviation counts.
pub fn shares(scores: &[f64], contributors: &[usize], count: usize) -> Vec<f64> {
    let median = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(0.0)
    };
    let middle = median(scores.to_vec());
    let spread = median(scores.iter().map(|score| (score - middle).abs()).collect());
    let mut sums = vec![0.0; count];
    for (score, contributor) in scores.iter().zip(contributors) {
        sums[*contributor] += (score - 3.0 * spread).max(0.0);
    }
    normalised(sums)
}

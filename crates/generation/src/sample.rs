//! Sampling of the next token from logits.
//!
//! Pure arithmetic over one row of logits: barred tokens, penalties, temperature, top-k, top-p, min-p (in the
//! order of Hugging Face's warpers), then a seeded draw. It knows neither engine nor text. Probabilities
//! come from the kernels and sums have a fixed order, so that the same row gives the same token and
//! log-probability on every platform. mistral.rs' own sampler is not used: it ignores min-p without
//! top-p, cannot be seeded per request, and reports base-10 logarithms computed after filtering.

use std::{
    collections::{HashMap, HashSet},
    sync::LazyLock,
};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use openlora_engine::SamplingParams;
use openlora_kernels::{Cpu, log_sum_exp, softmax};

/// Rows are sampled side by side, each on the thread that asks for it.
static CALLERS_THREAD: LazyLock<Cpu> = LazyLock::new(|| Cpu::new(1));

/// Number of candidates sorted first when looking for the top-p nucleus; grows eightfold as needed.
const NUCLEUS: usize = 64;

/// A sampled token with its natural log-probability under the unmodified distribution, and the best
/// alternatives, best first.
#[derive(Clone, Debug, PartialEq)]
pub struct ChosenToken {
    pub id: u32,
    pub logprob: f32,
    pub top: Vec<(u32, f32)>,
}

/// The sampling state of one request.
pub struct TokenSampler {
    settings: SamplingParams,
    random: ChaCha8Rng,
    counts: HashMap<u32, u32>,
    /// Tokens of the prompt and of the answer, if repeating them is penalised.
    seen: HashSet<u32>,
}

impl TokenSampler {
    /// For an answer to the tokens `prompt`; without a seed, draws differ from call to call.
    pub fn new(settings: SamplingParams, prompt: &[u32]) -> Self {
        let random = match settings.seed {
            Some(seed) => ChaCha8Rng::seed_from_u64(seed),
            None => ChaCha8Rng::from_os_rng(),
        };
        let penalises = settings.repetition_penalty.is_some_and(|it| it != 1.0);
        let seen = prompt.iter().copied().filter(|_| penalises).collect();
        Self {
            settings,
            random,
            counts: HashMap::new(),
            seen,
        }
    }

    /// Samples from `logits` (one per token of the vocabulary), but none of the `barred` tokens;
    /// `None` if none is finite.
    pub fn choose(&mut self, logits: &[f32], barred: &[u32]) -> Option<ChosenToken> {
        let unchanged = best(logits)?;
        let penalised = self.penalised(logits, barred);
        let (row, best) = match &penalised {
            Some(row) => (row.as_slice(), best(row)?),
            None => (logits, unchanged),
        };
        let temperature = self.settings.temperature.filter(|it| *it > 1e-7);
        let id = match temperature {
            None => best,
            Some(temperature) => self.draw(row, row[best as usize], temperature)?,
        };
        *self.counts.entry(id).or_default() += 1;
        if self.settings.repetition_penalty.is_some_and(|it| it != 1.0) {
            self.seen.insert(id);
        }
        Some(self.described(logits, id))
    }

    /// The logits after all penalties, without barred tokens; `None` if nothing changes.
    fn penalised(&self, logits: &[f32], barred: &[u32]) -> Option<Vec<f32>> {
        let frequency = self.settings.frequency_penalty.unwrap_or(0.0);
        let presence = self.settings.presence_penalty.unwrap_or(0.0);
        let by_count = !self.counts.is_empty() && (frequency != 0.0 || presence != 0.0);
        if !by_count && self.seen.is_empty() && barred.is_empty() {
            return None;
        }
        let mut row = logits.to_vec();
        let repetition = self.settings.repetition_penalty.unwrap_or(1.0);
        for id in &self.seen {
            if let Some(logit) = row.get_mut(*id as usize) {
                *logit = match *logit > 0.0 {
                    true => *logit / repetition,
                    false => *logit * repetition,
                };
            }
        }
        for (id, count) in &self.counts {
            row[*id as usize] -= *count as f32 * frequency + presence;
        }
        for id in barred {
            if let Some(logit) = row.get_mut(*id as usize) {
                *logit = f32::NEG_INFINITY;
            }
        }
        Some(row)
    }

    fn draw(&mut self, row: &[f32], highest: f32, temperature: f64) -> Option<u32> {
        let share = self.random.random();
        let probabilities = probabilities(row, highest, temperature);
        let all = probabilities.iter().enumerate();
        let all = all.map(|(id, probability)| (id as u32, f64::from(*probability)));
        let settings = &self.settings;
        if settings.top_k.is_none() && settings.top_p.is_none() && settings.min_p.is_none() {
            return pick(all, share);
        }
        pick(self.candidates(all.collect()).into_iter(), share)
    }

    /// The candidates that top-k, top-p and min-p leave, with their probabilities among all tokens.
    fn candidates(&self, mut candidates: Vec<(u32, f64)>) -> Vec<(u32, f64)> {
        candidates.retain(|(_, weight)| *weight > 0.0);
        if let Some(k) = self
            .settings
            .top_k
            .filter(|k| *k > 0 && *k < candidates.len())
        {
            candidates.select_nth_unstable_by(k - 1, heavier_first);
            candidates.truncate(k);
            // Selection leaves them in no defined order, and sums depend on it.
            candidates.sort_unstable_by(heavier_first);
        }
        if let Some(mass) = self.settings.top_p.filter(|mass| *mass < 1.0) {
            keep_nucleus(&mut candidates, mass);
        }
        if let Some(floor) = self.settings.min_p {
            let weights = candidates.iter().map(|(_, weight)| *weight);
            let heaviest = weights.fold(0.0, f64::max);
            candidates.retain(|(_, weight)| *weight >= floor.min(1.0) * heaviest);
        }
        candidates
    }

    fn described(&self, logits: &[f32], id: u32) -> ChosenToken {
        let Some(alternatives) = self.settings.logprobs else {
            return ChosenToken {
                id,
                logprob: 0.0,
                top: Vec::new(),
            };
        };
        let normaliser = log_sum_exp(&CALLERS_THREAD, logits);
        let logprob = |id: u32| (f64::from(logits[id as usize]) - normaliser) as f32;
        let mut ids: Vec<(u32, f64)> = logits
            .iter()
            .enumerate()
            .map(|(id, logit)| (id as u32, f64::from(*logit)))
            .collect();
        let alternatives = alternatives.min(ids.len());
        if alternatives > 0 && alternatives < ids.len() {
            ids.select_nth_unstable_by(alternatives - 1, heavier_first);
        }
        ids.truncate(alternatives);
        ids.sort_unstable_by(heavier_first);
        let top = ids.into_iter().map(|(id, _)| (id, logprob(id))).collect();
        ChosenToken {
            id,
            logprob: logprob(id),
            top,
        }
    }
}

/// The probabilities after `temperature`; 0 for what is no finite number.
fn probabilities(row: &[f32], highest: f32, temperature: f64) -> Vec<f32> {
    let scaled = |logit: &f32| match logit.is_finite() {
        true => ((f64::from(*logit) - f64::from(highest)) / temperature) as f32,
        false => f32::NEG_INFINITY,
    };
    let mut row: Vec<f32> = row.iter().map(scaled).collect();
    softmax(&CALLERS_THREAD, &mut row);
    row
}

/// The candidate that `share`, at least 0 and less than 1, of the total weight ends in.
fn pick(candidates: impl Iterator<Item = (u32, f64)> + Clone, share: f64) -> Option<u32> {
    let total: f64 = candidates.clone().map(|(_, weight)| weight).sum();
    let (mut left, mut last) = (share * total, None);
    for (id, weight) in candidates.filter(|(_, weight)| *weight > 0.0) {
        left -= weight;
        last = Some(id);
        if left < 0.0 {
            break;
        }
    }
    last
}

/// Orders by descending weight, then by id, so that the order is deterministic.
fn heavier_first(a: &(u32, f64), b: &(u32, f64)) -> std::cmp::Ordering {
    b.1.total_cmp(&a.1).then(a.0.cmp(&b.0))
}

/// Keeps the smallest set of heaviest candidates with at least `mass` of the total weight; at least
/// one.
fn keep_nucleus(candidates: &mut Vec<(u32, f64)>, mass: f64) {
    let goal = candidates.iter().map(|(_, weight)| weight).sum::<f64>() * mass.max(0.0);
    let mut sorted = NUCLEUS;
    loop {
        sorted = sorted.min(candidates.len());
        if sorted < candidates.len() {
            candidates.select_nth_unstable_by(sorted - 1, heavier_first);
        }
        candidates[..sorted].sort_unstable_by(heavier_first);
        let mut held = 0.0;
        let reached = candidates[..sorted].iter().position(|(_, weight)| {
            held += weight;
            held >= goal
        });
        match reached {
            Some(last) => return candidates.truncate(last + 1),
            None if sorted == candidates.len() => return,
            None => sorted *= 8,
        }
    }
}

/// The id of the highest finite logit; ties go to the first (as `torch.argmax`).
fn best(logits: &[f32]) -> Option<u32> {
    // The highest of a block is found with vector instructions, its place in that block alone.
    let highest_of = |block: &[f32]| block.iter().map(|logit| order(*logit)).max();
    let mut best = (NOT_FINITE, 0);
    for (block, logits) in logits.chunks(BLOCK).enumerate() {
        let highest = highest_of(logits).unwrap_or(NOT_FINITE);
        if highest > best.0 {
            best = (highest, block);
        }
    }
    let (highest, start) = (best.0, best.1 * BLOCK);
    let at = logits
        .get(start..)?
        .iter()
        .position(|logit| order(*logit) == highest)?;
    (highest > NOT_FINITE).then_some((start + at) as u32)
}

/// Logits looked at together.
const BLOCK: usize = 256;

/// The order of what is no finite number: below every number.
const NOT_FINITE: i32 = i32::MIN;

/// An integer that is ordered like the logit; both zeros are equal.
fn order(logit: f32) -> i32 {
    let bits = (logit + 0.0).to_bits().cast_signed();
    match logit.is_finite() {
        true => bits ^ ((bits >> 31) & i32::MAX),
        false => NOT_FINITE,
    }
}

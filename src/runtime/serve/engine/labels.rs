//! Labels as a tree of tokens, and their probabilities.
//!
//! The probability of a label is the product, along its tokens, of the next-token probability
//! renormalised over the tokens that continue some label there. Only places where labels part need
//! the model: labels that differ in their first token need one look. Knows no engine.

use std::collections::BTreeMap;

use super::sample::log_sum_exp;

/// The labels' tokens, in the order asked for.
pub(super) struct Labels {
    tokens: Vec<Vec<u32>>,
    /// Tokens that end an answer: they compete where one label continues another.
    ends: Vec<u32>,
}

/// Where labels part: after these tokens, with these ways on and who takes them.
pub(super) struct Fork {
    pub prefix: Vec<u32>,
    /// Groups of labels by their next token; `None` is the end of the answer.
    ways: BTreeMap<Option<u32>, Vec<usize>>,
}

impl Labels {
    /// The error says which label cannot be told from which.
    pub(super) fn new(
        names: &[String],
        tokens: Vec<Vec<u32>>,
        ends: &[u32],
    ) -> Result<Self, String> {
        if names.is_empty() {
            return Err("there is no label to choose from".to_owned());
        }
        if let Some(at) = tokens.iter().position(Vec::is_empty) {
            return Err(format!("label {:?} has no text", names[at]));
        }
        for (at, own) in tokens.iter().enumerate() {
            let earlier = &tokens[..at];
            if let Some(twin) = earlier.iter().position(|other| other == own) {
                return Err(format!(
                    "labels {:?} and {:?} are the same tokens to this model",
                    names[twin], names[at]
                ));
            }
            let longer = tokens
                .iter()
                .position(|other| other.len() > own.len() && other.starts_with(own));
            if let (Some(longer), true) = (longer, ends.is_empty()) {
                return Err(format!(
                    "label {:?} is the beginning of {:?}, and this model has no token that ends \
                     an answer",
                    names[at], names[longer]
                ));
            }
        }
        Ok(Self {
            tokens,
            ends: ends.to_vec(),
        })
    }

    /// Number of tokens of the label at `index`.
    pub(super) fn length(&self, index: usize) -> usize {
        self.tokens[index].len()
    }

    /// Number of tokens of the longest label.
    pub(super) fn longest(&self) -> usize {
        self.tokens.iter().map(Vec::len).max().unwrap_or(0)
    }

    /// Every place where labels part, shortest prefixes first.
    pub(super) fn forks(&self) -> Vec<Fork> {
        let mut forks = Vec::new();
        let mut open = vec![(Vec::new(), (0..self.tokens.len()).collect::<Vec<_>>())];
        while let Some((prefix, members)) = open.pop() {
            let mut ways: BTreeMap<Option<u32>, Vec<usize>> = BTreeMap::new();
            for member in members {
                let next = self.tokens[member].get(prefix.len()).copied();
                ways.entry(next).or_default().push(member);
            }
            for (next, members) in &ways {
                if let (Some(next), true) = (next, members.len() > 1) {
                    let longer = prefix.iter().copied().chain([*next]).collect();
                    open.push((longer, members.clone()));
                }
            }
            if ways.len() > 1 {
                forks.push(Fork { prefix, ways });
            }
        }
        forks.sort_by_key(|fork| fork.prefix.len());
        forks
    }

    /// Probabilities of the labels from the logits at each fork; they sum to 1. `None` when some
    /// fork has no finite logit.
    pub(super) fn probabilities(&self, forks: &[Fork], rows: &[Vec<f32>]) -> Option<Vec<f64>> {
        let mut logs = vec![0.0; self.tokens.len()];
        for (fork, row) in forks.iter().zip(rows) {
            let scores: Vec<f64> = fork.ways.keys().map(|way| self.score(*way, row)).collect();
            let highest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            if !highest.is_finite() {
                return None;
            }
            let total = scores
                .iter()
                .map(|score| (score - highest).exp())
                .sum::<f64>()
                .ln();
            for (members, score) in fork.ways.values().zip(&scores) {
                for member in members {
                    logs[*member] += score - highest - total;
                }
            }
        }
        let mut probabilities: Vec<f64> = logs.into_iter().map(f64::exp).collect();
        let total: f64 = probabilities.iter().sum();
        probabilities.iter_mut().for_each(|p| *p /= total);
        Some(probabilities)
    }

    fn score(&self, way: Option<u32>, row: &[f32]) -> f64 {
        let at = |id: &u32| row.get(*id as usize).copied().unwrap_or(f32::NEG_INFINITY);
        match way {
            Some(id) => f64::from(at(&id)),
            None => log_sum_exp(&self.ends.iter().map(at).collect::<Vec<_>>()),
        }
    }
}

//! The label that a model would choose if it could answer only with one of the given labels.
//!
//! The labels' tokens form a trie. At every branching node, the probability is distributed among
//! the children only (a softmax over their logits); a label's likelihood is the product along its
//! path. This equals decoding constrained to the labels, and the likelihoods sum to 1. Labels that
//! differ in their first token, the usual case, need one forward pass over the prompt.

use openlora_core::error::{ExitClass, Explain};

/// Two labels with the same tokens.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("label `{label}` and label `{other}` are the same tokens for this base")]
pub struct SameLabels {
    pub label: String,
    pub other: String,
}

impl Explain for SameLabels {
    fn class(&self) -> ExitClass {
        ExitClass::BadInput
    }

    fn hint(&self) -> Option<String> {
        Some("give every label its own words".to_owned())
    }
}

/// One prompt with each label as its continuation, including the end-of-answer token, so that no
/// label is a prefix of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelChoices {
    /// Tokens shared by all labels: the prompt, and more if the labels have a common prefix.
    pub prefix: Vec<u32>,
    /// Remaining tokens per label.
    pub tails: Vec<Vec<u32>>,
}

/// A branching node of the trie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelFork {
    /// Tokens after the prefix.
    pub path: Vec<u32>,
    /// The next tokens, without repetition, in order of first appearance.
    pub children: Vec<u32>,
}

impl LabelChoices {
    /// From whole sequences (prompt and label), one per label.
    pub fn new(sequences: &[Vec<u32>], labels: &[String]) -> Result<Self, SameLabels> {
        let shared = shared_length(sequences);
        let tails: Vec<Vec<u32>> = sequences.iter().map(|s| s[shared..].to_vec()).collect();
        for (index, tail) in tails.iter().enumerate() {
            if let Some(twin) = tails[..index].iter().position(|other| other == tail) {
                return Err(SameLabels {
                    label: labels[twin].clone(),
                    other: labels[index].clone(),
                });
            }
        }
        let prefix = sequences
            .first()
            .map_or(Vec::new(), |s| s[..shared].to_vec());
        Ok(Self { prefix, tails })
    }

    /// Every branching node, the root first.
    pub fn forks(&self) -> Vec<LabelFork> {
        let longest = self.tails.iter().map(Vec::len).max().unwrap_or(0);
        let mut forks: Vec<LabelFork> = Vec::new();
        for depth in 0..longest {
            for tail in self.tails.iter().filter(|tail| tail.len() > depth) {
                let (path, next) = (&tail[..depth], tail[depth]);
                match forks.iter_mut().find(|fork| fork.path == path) {
                    Some(fork) if !fork.children.contains(&next) => fork.children.push(next),
                    Some(_) => {}
                    None => forks.push(LabelFork {
                        path: path.to_vec(),
                        children: vec![next],
                    }),
                }
            }
        }
        forks.retain(|fork| fork.children.len() > 1);
        forks
    }

    /// Log-likelihood of every label; `logits[f][c]` belongs to child `c` of fork `f`.
    pub fn log_likelihoods(&self, forks: &[LabelFork], logits: &[Vec<f32>]) -> Vec<f64> {
        let along = |tail: &Vec<u32>| {
            forks
                .iter()
                .zip(logits)
                .filter(|(fork, _)| tail.len() > fork.path.len() && tail.starts_with(&fork.path))
                .map(|(fork, logits)| {
                    let next = tail[fork.path.len()];
                    let child = fork.children.iter().position(|c| *c == next).unwrap_or(0);
                    f64::from(logits[child]) - log_sum_exp(logits)
                })
                .sum()
        };
        self.tails.iter().map(along).collect()
    }
}

/// The position of the largest value; the first of equals.
pub fn arg_max(values: &[f64]) -> usize {
    let mut best = 0;
    for (index, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = index;
        }
    }
    best
}

/// By crate `libm`, so that it is the same on every platform.
fn log_sum_exp(logits: &[f32]) -> f64 {
    let top = f64::from(logits.iter().copied().fold(f32::MIN, f32::max));
    let sum: f64 = logits
        .iter()
        .map(|logit| libm::exp(f64::from(*logit) - top))
        .sum();
    top + libm::log(sum)
}

fn shared_length(sequences: &[Vec<u32>]) -> usize {
    let Some((first, rest)) = sequences.split_first() else {
        return 0;
    };
    let alike = |position: &usize| {
        rest.iter()
            .all(|s| s.get(*position) == first.get(*position))
    };
    // The last token of a sequence stays in its tail, so that the tail of a single label is not
    // empty.
    let most = sequences
        .iter()
        .map(|s| s.len().saturating_sub(1))
        .min()
        .unwrap_or(0);
    (0..most).take_while(alike).count()
}

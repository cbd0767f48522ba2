//! Classification metrics, computed from counts.

use serde::Serialize;

/// Metrics of one label.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct ClassScore {
    pub label: String,
    /// Rows with this true label.
    pub support: u64,
    /// The share of rows predicted as this label that have it; 0 if none was predicted.
    pub precision: f64,
    /// The share of rows with this label that were predicted as it; 0 if there are none.
    pub recall: f64,
    pub f1: f64,
}

/// Metrics over a labelled set.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct LabelScores {
    pub rows: u64,
    pub accuracy: f64,
    /// Unweighted mean of the F1 of all labels that occur as truth or prediction.
    pub macro_f1: f64,
    pub labels: Vec<String>,
    /// `confusion[truth][answer]`, in the order of `labels`.
    pub confusion: Vec<Vec<u64>>,
    pub classes: Vec<ClassScore>,
}

impl LabelScores {
    /// `pairs` are (truth, answer) as positions in `labels`.
    pub fn from_pairs(labels: &[String], pairs: &[(usize, usize)]) -> Self {
        let mut confusion = vec![vec![0u64; labels.len()]; labels.len()];
        for (truth, answer) in pairs {
            confusion[*truth][*answer] += 1;
        }
        let classes: Vec<ClassScore> = (0..labels.len())
            .map(|index| class_score(&labels[index], index, &confusion))
            .collect();
        let right: u64 = (0..labels.len()).map(|index| confusion[index][index]).sum();
        let seen = |index: &usize| {
            confusion[*index].iter().any(|n| *n > 0) || confusion.iter().any(|row| row[*index] > 0)
        };
        let f1: Vec<f64> = (0..labels.len())
            .filter(seen)
            .map(|i| classes[i].f1)
            .collect();
        let rows = pairs.len() as u64;
        Self {
            rows,
            accuracy: share(right, rows),
            macro_f1: if f1.is_empty() {
                0.0
            } else {
                f1.iter().sum::<f64>() / f1.len() as f64
            },
            labels: labels.to_vec(),
            confusion,
            classes,
        }
    }
}

fn class_score(label: &str, index: usize, confusion: &[Vec<u64>]) -> ClassScore {
    let right = confusion[index][index];
    let support: u64 = confusion[index].iter().sum();
    let answered: u64 = confusion.iter().map(|row| row[index]).sum();
    ClassScore {
        label: label.to_owned(),
        support,
        precision: share(right, answered),
        recall: share(right, support),
        f1: share(2 * right, support + answered),
    }
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

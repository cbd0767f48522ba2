//! Exact products of gradients, without projection, from which every choice of a method is scored.

use std::sync::Arc;

use openlora_diffusion::{ImageAdapter, ImageModel};
use openlora_influence::{
    GradientInputs, LEVERAGE, PictureExample, PictureIndexJob, PictureOutput, PictureSource,
    picture_rows_at,
};
use serde::{Deserialize, Serialize};

use super::retrain::Trained;

/// No projection.
pub const EXACT: usize = 1 << 24;

/// Dot products of gradients at one checkpoint.
#[derive(Serialize, Deserialize)]
pub struct GradientProducts {
    /// `[examples][examples]`
    pub own: Vec<Vec<f64>>,
    /// `[queries][examples]`
    pub asked: Vec<Vec<f64>>,
}

/// The gradients of a world at a checkpoint.
pub struct Differentiated<'a> {
    pub model: &'a Arc<ImageModel>,
    pub trained: &'a Trained,
    pub examples: &'a [PictureExample],
    pub sources: &'a [PictureSource],
    pub queries: &'a [PictureExample],
    pub times: usize,
}

impl Differentiated<'_> {
    /// Plain products, and those of gradients multiplied with half of Adam's preconditioner.
    pub fn products(&self, share: f64, output: PictureOutput) -> [GradientProducts; 2] {
        let material = self.trained.material(&[share]);
        let plain = GradientInputs {
            moments: Default::default(),
            ..material.clone()
        };
        let mut examples = self.rows(&plain, self.examples, output);
        let mut queries = self.rows(&plain, self.queries, output);
        let adapter = &self.trained.adapter;
        let width = adapter.values().len().next_multiple_of(64);
        let products = |examples: &[f32], queries: &[f32]| GradientProducts {
            own: multiplied(examples, examples, width),
            asked: multiplied(queries, examples, width),
        };
        let without = products(&examples, &queries);
        let half = preconditioner(&material, adapter);
        for row in examples.chunks_mut(width).chain(queries.chunks_mut(width)) {
            row.iter_mut()
                .zip(&half)
                .for_each(|(value, half)| *value *= half);
        }
        [without, products(&examples, &queries)]
    }

    fn rows(
        &self,
        material: &GradientInputs,
        examples: &[PictureExample],
        output: PictureOutput,
    ) -> Vec<f32> {
        let job = PictureIndexJob {
            model: self.model,
            base: String::new(),
            tokenizer: String::new(),
            adapter: "truth".to_owned(),
            data: "truth".to_owned(),
            sources: self.sources,
            examples,
            material,
            width: EXACT,
            damping: f64::INFINITY,
            output,
            times: self.times,
        };
        picture_rows_at(&job, 0).expect("gradients are found")
    }
}

/// The factors of a preconditioner in the order of an adapter's values.
fn preconditioner(material: &GradientInputs, adapter: &ImageAdapter) -> Vec<f32> {
    let factors = material.preconditioner().expect("the moments are floats");
    let places = adapter.places().iter();
    let of = |path: &str| {
        ["lora_A", "lora_B"].map(|factor| {
            let name = format!("base_model.model.{path}.{factor}.weight");
            factors
                .get(&name)
                .expect("every factor has moments")
                .clone()
        })
    };
    places.flat_map(|place| of(&place.path)).flatten().collect()
}

fn multiplied(left: &[f32], right: &[f32], width: usize) -> Vec<Vec<f64>> {
    use rayon::prelude::*;
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        let blocks = a.chunks(1024).zip(b.chunks(1024));
        let block = |(a, b): (&[f32], &[f32])| -> f32 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
        blocks.map(|pair| f64::from(block(pair))).sum()
    };
    left.par_chunks(width)
        .map(|row| right.chunks(width).map(|other| dot(row, other)).collect())
        .collect()
}

impl GradientProducts {
    /// Scores `[queries][examples]` by the damped inverse of the examples' Fisher matrix, with limited
    /// leverage or without; an infinite damping stands for the plain products.
    pub fn scores(&self, damping: f64, limited: bool) -> Vec<Vec<f64>> {
        if !damping.is_finite() {
            return self.asked.clone();
        }
        let count = self.own.len();
        let mean = (0..count).map(|at| self.own[at][at]).sum::<f64>() / count as f64;
        let mut matrix = self.own.clone();
        for (at, row) in matrix.iter_mut().enumerate() {
            row.iter_mut().for_each(|value| *value /= count as f64);
            row[at] += damping * mean;
        }
        let inverse = inverted(matrix);
        let times_inverse = |row: &Vec<f64>| -> Vec<f64> {
            let column = |at: usize| row.iter().zip(&inverse).map(|(a, b)| a * b[at]).sum();
            (0..count).map(column).collect()
        };
        let own: Vec<f64> = self
            .own
            .iter()
            .enumerate()
            .map(|(at, row)| times_inverse(row)[at])
            .collect();
        let mut sorted = own.clone();
        sorted.sort_by(f64::total_cmp);
        let most = match limited {
            true => LEVERAGE * sorted[(count - 1) / 2],
            false => f64::INFINITY,
        };
        let factor = |own: &f64| (most / own.max(most)).sqrt();
        let factors: Vec<f64> = match limited {
            true => own.iter().map(factor).collect(),
            false => vec![1.0; count],
        };
        let scaled = self.asked.iter().map(|row| {
            let row = times_inverse(row);
            row.iter()
                .zip(&factors)
                .map(|(score, factor)| score * factor)
                .collect()
        });
        scaled.collect()
    }
}

/// The inverse of a positive definite matrix by Gauss–Jordan.
fn inverted(mut matrix: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
    for at in 0..matrix.len() {
        let inverse = 1.0 / matrix[at][at];
        matrix[at][at] = 1.0;
        matrix[at].iter_mut().for_each(|value| *value *= inverse);
        let pivot = matrix[at].clone();
        for (row, values) in matrix.iter_mut().enumerate() {
            if row != at {
                let factor = std::mem::take(&mut values[at]);
                let both = values.iter_mut().zip(&pivot);
                both.for_each(|(value, pivot)| *value -= factor * pivot);
            }
        }
    }
    matrix
}

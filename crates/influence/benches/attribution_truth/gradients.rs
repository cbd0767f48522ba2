//! Gradients of examples and queries at every kept checkpoint, computed once for all choices that
//! are compared.

use std::{collections::BTreeMap, sync::Arc};

use openlora_decoder::TokenBatch;
use openlora_influence::{GradientPass, IndexMethod, Projector, influence_rows};

use super::{
    retrain::KEPT,
    study::{EXACT, Lab},
};

/// Preconditioned gradients at one checkpoint.
pub struct KeptGradients {
    pub share: f64,
    pub rate: f64,
    /// Values of a gradient.
    pub width: usize,
    /// `[examples, width]`
    pub examples: Vec<f32>,
    /// `[queries, width]`
    pub queries: Vec<f32>,
}

/// At every kept checkpoint, each projected to these widths; [`EXACT`] stands for no projection.
pub fn kept(lab: &Lab<'_>, widths: &[usize], each: &mut dyn FnMut(usize, &KeptGradients)) {
    for share in KEPT {
        let whole = whole(lab, share);
        for width in widths {
            match *width {
                EXACT => each(EXACT, &whole),
                width => each(width, &projected(lab, &whole, width)),
            }
        }
    }
}

fn whole(lab: &Lab<'_>, share: f64) -> KeptGradients {
    let material = lab.trained.material(&[share], true);
    let job = lab.job(&material, IndexMethod::Gradient, (EXACT, f64::INFINITY));
    let (examples, projector) = influence_rows(&job, 0).expect("rows are found");
    let placed = material.place(lab.frozen, 0).expect("factors fit");
    let mut pass = GradientPass::new(placed, Arc::clone(&projector));
    let of = lab.truth.queries.iter().flat_map(|query| {
        let ids = [query.prompt.as_slice(), &query.answer].concat();
        let targets: Vec<bool> = (0..ids.len()).map(|at| at >= query.prompt.len()).collect();
        let batch = TokenBatch::from_rows([(ids.as_slice(), targets.as_slice())]);
        pass.project_batch(&batch).expect("a gradient is found")
    });
    KeptGradients {
        share,
        rate: material.checkpoints[0].rate,
        width: projector.width(),
        queries: of.collect(),
        examples,
    }
}

fn projected(lab: &Lab<'_>, whole: &KeptGradients, width: usize) -> KeptGradients {
    let modules = lab.trained.decoder.adapted();
    let projector =
        Projector::new(&modules, width, &[7; 32], &BTreeMap::new()).expect("no factor is missing");
    let project = |rows: &[f32]| -> Vec<f32> {
        let of = |row: &[f32]| {
            let (mut found, mut start) = (vec![0.0; width], 0);
            for (at, (_, [rank, input, output])) in modules.iter().enumerate() {
                for (factor, size) in [rank * input, output * rank].into_iter().enumerate() {
                    projector.add(at, factor, &row[start..start + size], &mut found);
                    start += size;
                }
            }
            found
        };
        rows.chunks(whole.width).flat_map(of).collect()
    };
    KeptGradients {
        width,
        examples: project(&whole.examples),
        queries: project(&whole.queries),
        ..*whole
    }
}

//! Adapters made in memory.

use std::collections::BTreeMap;

use openlora_model::{
    ModelConfig,
    adapter::{AdapterModule, HostTensor, LoraAdapter, PeftConfig, TargetModules},
    modules,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// An adapter of the given modules, whose factors `factor` gives: for a module's A and then for its B.
pub fn adapter(
    digest: String,
    rank: usize,
    modules: Vec<AdapterModule>,
    mut factor: impl FnMut(&AdapterModule, bool) -> Vec<f32>,
) -> LoraAdapter {
    let mut tensors = BTreeMap::new();
    for module in &modules {
        let a = factor(module, true);
        tensors.insert(
            module.a_name(),
            HostTensor::from_f32(&[module.rank, module.in_dim], &a),
        );
        let b = factor(module, false);
        tensors.insert(
            module.b_name(),
            HostTensor::from_f32(&[module.out_dim, module.rank], &b),
        );
    }
    LoraAdapter {
        config: PeftConfig {
            r: rank,
            lora_alpha: rank as f64,
            lora_dropout: 0.0,
            target_modules: TargetModules::List(modules.iter().map(|it| it.path.clone()).collect()),
            rank_pattern: Vec::new(),
            alpha_pattern: Vec::new(),
            use_rslora: false,
            use_dora: false,
            base_model_name_or_path: None,
            revision: None,
        },
        modules,
        tensors,
        digest,
        task: None,
        dir: std::path::PathBuf::from("memory"),
    }
}

/// The modules of a base whose last name is one of `targets`, with one rank and scale 1.
pub fn adapted_modules(config: &ModelConfig, rank: usize, targets: &[&str]) -> Vec<AdapterModule> {
    let shapes = modules(config).into_iter();
    let targeted = shapes.filter(|it| targets.iter().any(|target| it.path.ends_with(target)));
    targeted
        .map(|it| AdapterModule {
            path: it.path,
            rank,
            scale: 1.0,
            in_dim: it.in_dim,
            out_dim: it.out_dim,
        })
        .collect()
}

/// Random factors, large enough to change answers.
pub fn random_adapter(
    config: &ModelConfig,
    rank: usize,
    targets: &[&str],
    seed: u64,
) -> LoraAdapter {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let modules = adapted_modules(config, rank, targets);
    adapter(format!("random {seed}"), rank, modules, |module, is_a| {
        let (count, width) = match is_a {
            true => (module.rank * module.in_dim, module.in_dim),
            false => (module.out_dim * module.rank, module.rank),
        };
        let size = 1.5 / (width as f32).sqrt();
        (0..count)
            .map(|_| random.random_range(-size..size))
            .collect()
    })
}

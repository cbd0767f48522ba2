//! Normalising and writing: every delta survives, and PEFT's bytes come out.

use std::collections::BTreeMap;

use openlora_model::ModulePattern;
use openlora_model::adapter::{
    self, CONFIG_FILE, FactorDtype, HostTensor, NormalisedAdapter, TargetModules, WEIGHTS_FILE,
    WriteRequest,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{MIXED, Part, card, config_with, container, directory, floats, golden, said, sound};

use crate::paths::repository;

/// What PEFT itself adds to the base, see tests/data/adapter/make.py.
#[test]
fn deltas_equal_those_of_peft() {
    let path = repository().join("tests/data/adapter/deltas.safetensors");
    let expected = adapter::parse_safetensors(&std::fs::read(path).unwrap()).unwrap();
    for name in ["patterns", "rslora"] {
        let adapter = adapter::read(&golden(&format!("llama.{name}"))).unwrap();
        let normalised = adapter::normalise(&adapter).unwrap();
        let mut compared = 0;
        for (key, tensor) in &expected {
            let Some(module) = key.strip_prefix(&format!("{name}.")) else {
                continue;
            };
            let (shape, delta) = normalised.delta(module).unwrap();
            assert_eq!(shape.as_slice(), tensor.shape, "{key}");
            assert_close(&delta, &tensor.to_f32(), 1e-6, key);
            compared += 1;
        }
        assert!(compared >= 6, "{name}: only {compared} modules compared");
    }
}

fn assert_close(found: &[f32], expected: &[f32], tolerance: f32, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (index, (f, e)) in found.iter().zip(expected).enumerate() {
        let close = (f - e).abs() <= tolerance * e.abs().max(1.0);
        assert!(close, "{what}[{index}]: {f} instead of {e}");
    }
}

#[test]
fn one_shared_scale_leaves_the_factors_untouched() {
    let adapter = adapter::read(&golden("llama.rslora")).unwrap();
    let normalised = adapter::normalise(&adapter).unwrap();
    // alpha 12, rank 4: 12/√4 = 24/4.
    assert_eq!((normalised.r, normalised.alpha), (4, 24.0));
    for module in &adapter.modules {
        let b = format!("{}.lora_B.weight", module.path);
        assert_eq!(
            normalised.tensors[&b],
            adapter.tensors[&module.b_name()],
            "{b}"
        );
    }
    let patterns = adapter::normalise(&adapter::read(&golden("llama.patterns")).unwrap()).unwrap();
    assert_eq!((patterns.r, patterns.alpha), (6, 6.0));
    assert!(
        patterns
            .tensors
            .values()
            .all(|t| t.dtype == FactorDtype::F32 && t.shape.contains(&6))
    );
}

/// Ranks, alphas and rsLoRA for three modules with random factors.
fn patterned() -> impl Strategy<Value = (Vec<(usize, f64)>, bool, Vec<f32>)> {
    (
        prop::collection::vec((1usize..5, -9.0f64..9.0), 3),
        any::<bool>(),
        prop::collection::vec(-2.0f32..2.0, 3 * 2 * 4 * 3),
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// s·B·A of every module survives normalisation.
    #[test]
    fn normalising_keeps_every_delta((modules, rslora, values) in patterned()) {
        let mut values = values.into_iter();
        let mut parts = Vec::new();
        let mut dense = BTreeMap::new();
        for (index, (rank, alpha)) in modules.iter().enumerate() {
            let path = format!("model.layers.{index}.q_proj");
            let a: Vec<f32> = values.by_ref().take(rank * 3).collect();
            let b: Vec<f32> = values.by_ref().take(2 * rank).collect();
            let scale = if rslora { alpha / (*rank as f64).sqrt() } else { alpha / *rank as f64 };
            dense.insert(path.clone(), naive_delta(&b, &a, *rank, scale));
            parts.push((format!("base_model.model.{path}.lora_A.weight"), vec![*rank, 3], a));
            parts.push((format!("base_model.model.{path}.lora_B.weight"), vec![2, *rank], b));
        }
        let table = |pick: fn(&(usize, f64)) -> Value| -> Value {
            modules.iter().enumerate().map(|(i, m)| (format!("layers.{i}.q_proj"), pick(m))).collect::<serde_json::Map<_, _>>().into()
        };
        let mut config = config_with("rank_pattern", table(|m| json!(m.0)));
        config["alpha_pattern"] = table(|m| json!(m.1));
        config["use_rslora"] = json!(rslora);
        let parts: Vec<Part> = parts.iter().map(|(n, s, v)| (n.as_str(), "F32", s.as_slice(), floats(v))).collect();
        let dir = directory(config.to_string().as_bytes(), &container(&parts));
        let normalised = adapter::normalise(&adapter::read(dir.path()).unwrap()).unwrap();
        for (path, expected) in dense {
            let (_, delta) = normalised.delta(&path).unwrap();
            for (found, expected) in delta.iter().zip(&expected) {
                prop_assert!((f64::from(*found) - expected).abs() <= 1e-4);
            }
        }
    }

    /// Arbitrary bytes never panic the reader.
    #[test]
    fn noise_is_survived(noise in prop::collection::vec(any::<u8>(), 0..200), at in 0usize..300) {
        let mut bytes = sound();
        let start = at.min(bytes.len());
        let end = (start + noise.len()).min(bytes.len());
        bytes[start..end].copy_from_slice(&noise[..end - start]);
        let changed = bytes != sound();
        let parsed = adapter::parse_safetensors(&bytes);
        prop_assert!(changed || parsed.is_ok());
    }
}

fn naive_delta(b: &[f32], a: &[f32], rank: usize, scale: f64) -> Vec<f64> {
    let element = |row: usize, column: usize| {
        (0..rank)
            .map(|k| f64::from(b[row * rank + k]) * f64::from(a[k * 3 + column]))
            .sum::<f64>()
    };
    (0..6).map(|at| scale * element(at / 3, at % 3)).collect()
}

fn patterns<V>(table: Vec<(String, V)>) -> Vec<ModulePattern<V>> {
    let pairs = table.into_iter();
    pairs
        .map(|(pattern, value)| ModulePattern { pattern, value })
        .collect()
}

fn request(name: &str, base: &str) -> WriteRequest {
    let adapter = adapter::read(&golden(name)).unwrap();
    let TargetModules::List(target_modules) = adapter.config.target_modules else {
        panic!("{name} has a pattern")
    };
    WriteRequest {
        base_model: base.into(),
        revision: None,
        rank: adapter.config.r,
        alpha: adapter.config.lora_alpha,
        dropout: 0.0,
        rslora: adapter.config.use_rslora,
        dora: adapter.config.use_dora,
        rank_pattern: patterns(adapter.config.rank_pattern),
        alpha_pattern: patterns(adapter.config.alpha_pattern),
        target_modules,
        tensors: adapter.tensors,
        task: None,
        samples: None,
    }
}

#[test]
fn what_is_written_is_what_peft_writes() {
    let dir = tempfile::tempdir().unwrap();
    for name in [
        "llama.all-linear",
        "llama.qv",
        "llama.rslora",
        "llama.patterns",
        "llama.dora",
        "qwen3.all-linear",
    ] {
        let out = dir.path().join(name);
        let base = name.split('.').next().unwrap();
        let written = adapter::write(&out, &request(name, base)).unwrap();
        for file in [CONFIG_FILE, WEIGHTS_FILE] {
            let ours = std::fs::read(out.join(file)).unwrap();
            let theirs = std::fs::read(golden(name).join(file)).unwrap();
            assert_eq!(ours, trim_end(&theirs), "{name}/{file}");
        }
        assert_eq!(adapter::read(&out).unwrap().digest, written.digest);
    }
}

/// The golden configuration ends in a line end that PEFT does not write.
fn trim_end(bytes: &[u8]) -> &[u8] {
    bytes
        .strip_suffix(b"}\n")
        .map_or(bytes, |_| &bytes[..bytes.len() - 1])
}

#[test]
fn writing_replaces_an_adapter_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("deep/adapter");
    let mut wanted = request("llama.qv", "nano");
    wanted.task = Some(card());
    (wanted.dropout, wanted.alpha) = (0.1, 2.5);
    let first = adapter::write(&out, &wanted).unwrap();
    let again = adapter::write(&out, &wanted).unwrap();
    assert_eq!(first, again);
    let read = adapter::read(&out).unwrap();
    assert_eq!(read.task, Some(card()));
    assert_eq!(
        (read.config.lora_dropout, read.config.lora_alpha),
        (0.1, 2.5)
    );
    let left: Vec<_> = std::fs::read_dir(dir.path().join("deep"))
        .unwrap()
        .collect();
    assert_eq!(left.len(), 1, "temporary folders remain: {left:?}");
    std::fs::write(out.join("thesis.txt"), "all my work").unwrap();
    let error = adapter::write(&out, &wanted).unwrap_err();
    assert_eq!(
        said(&error, &out),
        "DIR already holds other files (thesis.txt), so no adapter is written there\
         \nhint: choose another folder with --out"
    );
}

#[test]
fn factors_that_could_not_be_read_back_are_not_written() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("adapter");
    let mut wanted = request("llama.qv", "nano");
    let name = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight";
    wanted
        .tensors
        .insert(name.into(), HostTensor::from_f32(&[3, 32], &[0.5; 96]));
    assert_eq!(
        said(&adapter::write(&out, &wanted).unwrap_err(), &out),
        format!(
            "DIR/adapter_model.safetensors: tensor `{name}`: expected rank 4 as r says, found 3 \
             (shape [3, 32]){MIXED}"
        )
    );
    assert!(!out.exists());
}

#[test]
fn a_normalised_adapter_needs_only_rank_alpha_and_names() {
    let adapter = adapter::read(&golden("llama.patterns")).unwrap();
    let NormalisedAdapter {
        r,
        alpha,
        target_modules,
        tensors,
    } = adapter::normalise(&adapter).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("plain");
    let tensors = tensors
        .into_iter()
        .map(|(name, t)| (format!("base_model.model.{name}"), t))
        .collect();
    let plain = WriteRequest {
        rank: r,
        alpha,
        target_modules,
        tensors,
        ..request("llama.qv", "llama")
    };
    adapter::write(&out, &plain).unwrap();
    let plain = adapter::normalise(&adapter::read(&out).unwrap()).unwrap();
    let before = adapter::normalise(&adapter).unwrap();
    for module in &before.target_modules {
        assert_eq!(before.delta(module), plain.delta(module), "{module}");
    }
}

//! The decoder agrees with PyTorch, transformers and PEFT on tiny models of every family.

use std::collections::BTreeMap;

use candle_core::{Tensor, Var};
use openlora_core::error::Explain;
use openlora_decoder::Decoder;
use openlora_model::LoraConfig;

use crate::golden::{FAMILIES, OPTIONS};
use crate::oracle::{Golden, assert_close};

const TOLERANCE: f32 = 1e-4;
/// Model and adapter.
const PAIRS: [(&str, &str); 9] = [
    ("llama", "all-linear"),
    ("llama", "qv"),
    ("llama", "dora"),
    ("mistral", "all-linear"),
    ("mistral", "qv"),
    ("qwen2", "all-linear"),
    ("qwen2", "qv"),
    ("qwen3", "all-linear"),
    ("qwen3", "qv"),
];
/// alpha 12 over rank 4.
const SCALE: f64 = 3.0;

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn logits(decoder: &Decoder, golden: &Golden) -> Vec<f32> {
    let batch = golden.batch();
    let all: Vec<usize> = (0..batch.ids.len()).collect();
    values(&decoder.logits_at(&batch, &all).unwrap())
}

/// Loss and gradients of everything that learns.
fn backward(decoder: &Decoder, golden: &Golden) -> (f32, BTreeMap<String, Vec<f32>>) {
    let (loss, _) = decoder.loss_sum(&golden.batch()).unwrap();
    let grads = loss.backward().unwrap();
    let gradient = |(name, var): (String, Var)| {
        let gradient = values(
            grads
                .get(&var)
                .unwrap_or_else(|| panic!("{name} has no gradient")),
        );
        (name, gradient)
    };
    (
        loss.to_scalar().unwrap(),
        decoder.trainable().into_iter().map(gradient).collect(),
    )
}

fn check_gradients(decoder: &Decoder, golden: &Golden, prefix: &str) {
    let what = format!("{} {prefix}", golden.name);
    let (loss, gradients) = backward(decoder, golden);
    let expected = golden.json[prefix]["loss_sum"].as_f64().unwrap() as f32;
    assert_close(&[loss], &[expected], TOLERANCE, &what);
    let names = golden.names(&format!("{prefix}.grad."));
    assert_eq!(gradients.len(), names.len(), "{what}");
    for name in names {
        let expected = golden.floats(&format!("{prefix}.grad.{name}"));
        assert_close(
            &gradients[&name],
            &expected,
            TOLERANCE,
            &format!("{what} {name}"),
        );
    }
}

fn with_adapter(golden: &Golden, adapter: &str, fused: bool) -> Decoder {
    let mut decoder = golden.decoder();
    decoder
        .attach_factors(&golden.factors(adapter, SCALE))
        .unwrap();
    decoder.set_training(true);
    decoder.set_fused(fused);
    decoder
}

#[test]
fn base_logits_and_every_weight_gradient() {
    for name in FAMILIES.into_iter().chain(OPTIONS) {
        let golden = Golden::open(name);
        for fused in [true, false] {
            let mut decoder = golden.decoder();
            decoder.set_fused(fused);
            let expected = golden.floats("base.logits");
            assert_close(&logits(&decoder, &golden), &expected, TOLERANCE, name);
            decoder.unfreeze().unwrap();
            decoder.set_training(true);
            check_gradients(&decoder, &golden, "base");
        }
    }
}

#[test]
fn lora_logits_and_every_factor_gradient() {
    for (name, adapter) in PAIRS {
        let golden = Golden::open(name);
        for fused in [true, false] {
            let decoder = with_adapter(&golden, adapter, fused);
            let expected = golden.floats(&format!("{adapter}.logits"));
            assert_close(&logits(&decoder, &golden), &expected, TOLERANCE, name);
            check_gradients(&decoder, &golden, adapter);
        }
    }
}

#[test]
fn merged_equals_unmerged() {
    for (name, adapter) in PAIRS {
        let golden = Golden::open(name);
        let mut decoder = with_adapter(&golden, adapter, true);
        let unmerged = logits(&decoder, &golden);
        decoder.merge_lora().unwrap();
        assert!(decoder.trainable().is_empty());
        let merged = logits(&decoder, &golden);
        assert_close(&merged, &unmerged, TOLERANCE, name);
        let expected = golden.floats(&format!("{adapter}.merged_logits"));
        assert_close(&merged, &expected, TOLERANCE, name);
    }
}

#[test]
fn ten_adamw_losses() {
    for (name, adapter) in PAIRS {
        let golden = Golden::open(name);
        let decoder = with_adapter(&golden, adapter, true);
        let expected: Vec<f32> =
            serde_json::from_value(golden.json[adapter]["ten_losses"].clone()).unwrap();
        let found = adamw_losses(&decoder, &golden, expected.len());
        for (step, (found, expected)) in found.iter().zip(&expected).enumerate() {
            let what = format!("{name} {adapter} step {step}");
            assert_close(&[*found], &[*expected], TOLERANCE, &what);
        }
    }
}

#[test]
fn a_new_dora_adapter_changes_nothing_and_takes_no_dropout() {
    let golden = Golden::open("llama");
    let mut decoder = golden.decoder();
    let config = LoraConfig {
        dora: true,
        ..LoraConfig::default()
    };
    decoder.attach_lora(&config, 7).unwrap();
    let expected = golden.floats("base.logits");
    assert_close(&logits(&decoder, &golden), &expected, 1e-5, "new");

    let dropped = LoraConfig {
        dropout: 0.1,
        ..config
    };
    let error = decoder.attach_lora(&dropped, 7).unwrap_err();
    assert_eq!(
        (error.to_string(), error.hint()),
        (
            "dropout is 0.1; DoRA is computed without, expected 0".to_owned(),
            Some("set train.dropout to 0, or leave out train.dora".to_owned())
        )
    );
}

#[test]
fn patterns_give_modules_ranks_and_scales_of_their_own() {
    let golden = Golden::open("llama");
    let entries = |texts: &[&str]| {
        texts
            .iter()
            .map(|text| (*text).to_owned())
            .collect::<Vec<_>>()
    };
    let ranks = entries(&["q_proj=2", "layers.1.mlp.down_proj=6"]);
    let alphas = entries(&["q_proj=5", r"layers\.0\.mlp\.down_proj=7"]);
    let config = LoraConfig {
        rank: 4,
        alpha: 12.0,
        targets: entries(&["q_proj", "v_proj", "down_proj"]),
        rank_pattern: LoraConfig::parse_ranks(&ranks).unwrap(),
        alpha_pattern: LoraConfig::parse_alphas(&alphas).unwrap(),
        ..LoraConfig::default()
    };
    let mut decoder = golden.decoder();
    decoder.attach_lora(&config, 7).unwrap();
    let ranks = decoder.adapted().into_iter().map(|(path, [rank, ..])| {
        let scale = config.module(&path).unwrap().scale;
        (
            path.strip_prefix("model.layers.").unwrap().to_owned(),
            rank,
            scale,
        )
    });
    let expected = [
        ("0.self_attn.q_proj", 2, 2.5),
        ("0.self_attn.v_proj", 4, 3.0),
        ("0.mlp.down_proj", 4, 1.75),
        ("1.self_attn.q_proj", 2, 2.5),
        ("1.self_attn.v_proj", 4, 3.0),
        ("1.mlp.down_proj", 6, 2.0),
    ]
    .map(|(path, rank, scale)| (path.to_owned(), rank, scale));
    assert_eq!(ranks.collect::<Vec<_>>(), expected);

    let refused = |ranks: &[&str]| {
        let config = LoraConfig {
            rank_pattern: LoraConfig::parse_ranks(&entries(ranks)).unwrap(),
            ..config.clone()
        };
        let error = golden.decoder().attach_lora(&config, 7).unwrap_err();
        error.to_string()
    };
    assert_eq!(
        refused(&["k_proj=2"]),
        "train.rank_pattern: \"k_proj\" matches none of the adapted modules"
    );
    assert_eq!(
        refused(&["q_proj=2", "0.*=3"]),
        "train.rank_pattern: \"q_proj\" and \"0.*\" give model.layers.0.self_attn.q_proj different \
         values"
    );
    assert_eq!(
        refused(&["q_(proj=2"]),
        "train.rank_pattern: \"q_(proj\" is no regular expression: unclosed group"
    );
    let unreadable = LoraConfig::parse_ranks(&entries(&["q_proj=0"])).unwrap_err();
    assert_eq!(
        unreadable.to_string(),
        "train.rank_pattern: \"q_proj=0\" is not PATTERN=VALUE with a whole number from 1"
    );
}

/// AdamW as torch computes it: lr 1e-2, betas 0.9 and 0.999, eps 1e-8, weight decay 0.01.
fn adamw_losses(decoder: &Decoder, golden: &Golden, steps: usize) -> Vec<f32> {
    let (lr, beta1, beta2, eps, decay) = (1e-2f32, 0.9f32, 0.999f32, 1e-8f32, 0.01f32);
    let count = golden.batch().target_count() as f32;
    let mut moments: BTreeMap<String, (Vec<f32>, Vec<f32>)> = BTreeMap::new();
    let mut losses = Vec::new();
    for step in 1..=steps as i32 {
        let (loss, gradients) = backward(decoder, golden);
        losses.push(loss / count);
        for (name, var) in decoder.trainable() {
            let gradient = &gradients[&name];
            let zero = || vec![0f32; gradient.len()];
            let (m, v) = moments.entry(name).or_insert_with(|| (zero(), zero()));
            let mut weights = values(&var);
            for (i, w) in weights.iter_mut().enumerate() {
                let g = gradient[i] / count;
                m[i] = beta1 * m[i] + (1.0 - beta1) * g;
                v[i] = beta2 * v[i] + (1.0 - beta2) * g * g;
                let (m, v) = (
                    m[i] / (1.0 - beta1.powi(step)),
                    v[i] / (1.0 - beta2.powi(step)),
                );
                *w -= lr * decay * *w + lr * m / (v.sqrt() + eps);
            }
            var.set(&Tensor::from_vec(weights, var.shape(), var.device()).unwrap())
                .unwrap();
        }
    }
    losses
}

#[test]
fn rank_stabilised_scale() {
    let golden = Golden::open("llama");
    let mut decoder = golden.decoder();
    let (rank, alpha, dropout, targets) = (4, 12.0, 0.0, vec!["all-linear".to_owned()]);
    let scale = LoraConfig {
        rank,
        alpha,
        targets,
        dropout,
        rslora: true,
        ..LoraConfig::default()
    }
    .scale();
    decoder
        .attach_factors(&golden.factors("rslora", scale))
        .unwrap();
    let expected = golden.floats("rslora.logits");
    assert_close(&logits(&decoder, &golden), &expected, TOLERANCE, "rslora");
}

#[test]
fn training_leaves_the_base_alone() {
    let golden = Golden::open("qwen3");
    let decoder = with_adapter(&golden, "all-linear", true);
    let before = golden.decoder();
    adamw_losses(&decoder, &golden, 3);
    for ((name, ours), (_, theirs)) in decoder.parameters().iter().zip(before.parameters()) {
        assert_eq!(values(ours.tensor()), values(theirs.tensor()), "{name}");
    }
}

#[test]
fn outside_training_nothing_is_tracked() {
    let golden = Golden::open("llama");
    let mut decoder = with_adapter(&golden, "qv", true);
    decoder.set_training(false);
    let (loss, count) = decoder.loss_sum(&golden.batch()).unwrap();
    assert!(!loss.track_op());
    let expected = golden.json["qv"]["loss_sum"].as_f64().unwrap() as f32;
    assert_close(&[loss.to_scalar().unwrap()], &[expected], TOLERANCE, "qv");
    assert_eq!(
        count as u64,
        golden.json["base"]["targets"].as_u64().unwrap()
    );
}

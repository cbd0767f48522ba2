//! What only mistral.rs does: its choice of weights, and the bases that it cannot compute.

use std::sync::Arc;

use openlora_core::error::Failure;
use openlora_engine::{ModelLoader, Quant};
use openlora_mistral::{MachineLimits, MistralLoader, resolve_quant};
use openlora_model::{ModelConfig, adapter};

use crate::{
    engine_suite::{greedy, load, refusal, text, told, try_load},
    golden::dir as golden,
};

/// The engine that the common suite runs on.
pub mod under_test {
    use super::{Arc, MistralLoader, ModelLoader, Quant};

    pub const QUANTS: [Quant; 4] = [Quant::F32, Quant::Q8_0, Quant::Q4_0, Quant::Q4K];
    /// Formats that need rows of whole blocks.
    pub const WHOLE_BLOCKS: [Quant; 3] = [Quant::Q8_0, Quant::Q4_0, Quant::Q4K];

    pub fn loader() -> Arc<dyn ModelLoader> {
        Arc::new(MistralLoader::new())
    }
}

use under_test::loader;

#[tokio::test(flavor = "multi_thread")]
async fn biases_that_it_leaves_out_are_refused() {
    let error = try_load(&loader(), "llama-rope3", None, Quant::Auto)
        .await
        .err()
        .unwrap();
    let message = "cannot serve llama-rope3: its biases are not those that this engine knows for \
                   llama";
    assert_eq!(told(error), (message.to_owned(), None, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn dora_is_refused_by_name() {
    let dora = adapter::read(&golden("llama.dora")).unwrap();
    let failure = Failure::from(adapter::require_plain(&dora).unwrap_err());
    let error = try_load(&loader(), "llama", Some("dora"), Quant::F32).await;
    let message = format!("cannot serve dora: {}", failure.message);
    assert_eq!(told(error.err().unwrap()), (message, None, failure.hint));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sliding_window_bounds_the_context() {
    let engine = load(&loader(), "mistral-window", None).await;
    assert_eq!(engine.limits().context_tokens, 5);
    let error = refusal(&engine, text("the quick brown fox"), greedy(5)).await;
    let message = "the prompt has 14 tokens; mistral-window takes 5 tokens with the answer";
    assert_eq!(told(error), (message.to_owned(), Some("prompt"), None));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_form_of_the_weights_is_chosen_or_refused() {
    let engines = loader();
    let auto = try_load(&engines, "llama", None, Quant::Auto)
        .await
        .unwrap();
    assert_eq!(auto.weights.quant, Quant::F32);
    assert!(!auto.live());
    let error = try_load(&engines, "llama", None, Quant::Q8_0)
        .await
        .err()
        .unwrap();
    let message = "cannot serve llama: q8_0 packs blocks of 32 weights, and \
                   model.layers.0.mlp.down_proj takes 56 inputs";
    let hint = Some("use --quant f32 or auto".to_owned());
    assert_eq!(told(error), (message.to_owned(), None, hint));
    for (name, quant) in Quant::NAMES {
        assert_eq!(name.parse::<Quant>(), Ok(quant));
        assert_eq!(quant.to_string(), name);
    }
    assert_eq!(
        "q5".parse::<Quant>(),
        Err("`q5` is not one of auto, f32, q8_0, q4_0, q4k".to_owned())
    );
}

/// Which weights `auto` takes: f32 for what is small or only classifies, packed ones for what
/// writes or does not fit.
#[test]
fn auto_weighs_task_memory_and_machine() {
    let small = ModelConfig::read(&golden("llama").join("config.json")).unwrap();
    let large = ModelConfig {
        vocab_size: 32_000,
        hidden_size: 1024,
        intermediate_size: 4096,
        layers: 12,
        heads: 16,
        kv_heads: 4,
        head_dim: 64,
        windows: vec![None; 12],
        ..small.clone()
    };
    let machine = |free_memory, vector_kernels| MachineLimits {
        free_memory,
        vector_kernels,
    };
    let (roomy, scalar) = (machine(1 << 36, true), machine(1 << 36, false));
    for (config, machine, classifies, expected) in [
        (&small, roomy, false, Quant::F32),
        (&large, roomy, true, Quant::F32),
        (&large, roomy, false, Quant::Q8_0),
        (&large, scalar, false, Quant::F32),
        (&large, machine(1 << 30, true), true, Quant::Q8_0),
        (&large, machine(1 << 28, true), true, Quant::Q4K),
    ] {
        let settled = resolve_quant(Quant::Auto, config, machine, classifies).unwrap();
        assert_eq!(settled.quant, expected, "{machine:?} {settled:?}");
    }
}

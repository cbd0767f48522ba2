//! What only the native engine does: bases that mistral.rs leaves out, and its forms of weights.

use std::sync::Arc;

use futures::StreamExt;
use openlora_decoder::{Decoder, TokenBatch};
use openlora_engine::{Engine, EngineSpec, GenerationStep, ModelLoader, Quant};
use openlora_model::{
    BaseModel, WeightPrecision,
    adapter::{self, HostTensor, LoraAdapter},
    export::write_merged,
    nano::unpack_nano,
    text::TextCodec,
};
use openlora_native::{NativeLoader, NativeSettings};

use crate::{
    engine_suite::{agrees, greedy, load, logprobs_agree, text, told, try_load},
    golden::dir as golden,
};

/// The engine that the common suite runs on.
pub mod under_test {
    use super::{Arc, ModelLoader, NativeLoader, NativeSettings, Quant};

    pub const QUANTS: [Quant; 3] = [Quant::F32, Quant::Q8_0, Quant::Q4_0];
    /// Formats that need rows of whole blocks: none, because the last one is padded with zeros.
    pub const WHOLE_BLOCKS: [Quant; 0] = [];

    pub fn loader() -> Arc<dyn ModelLoader> {
        Arc::new(NativeLoader::new(NativeSettings::default()))
    }
}

use under_test::loader;

#[tokio::test(flavor = "multi_thread")]
async fn biases_scaling_and_windows_are_those_of_the_decoder() {
    let engines = loader();
    for base in crate::golden::OPTIONS {
        logprobs_agree(&engines, base, None, "the quick brown fox").await;
    }
    // A window hides what is before it, and leaves the context as long as it is.
    let engine = load(&engines, "mistral-window", None).await;
    assert_eq!(engine.limits().context_tokens, 128);
}

/// PEFT's text and the decoder's log-probabilities, beside other adapters, and in 8 bits too.
#[tokio::test(flavor = "multi_thread")]
async fn dora_scales_the_outputs_as_peft_does() {
    let engines = loader();
    let [_plain, _other] = [
        load(&engines, "llama", None).await,
        load(&engines, "llama", Some("all-linear")).await,
    ];
    agrees(&engines, "llama", Some("dora")).await;
    agrees(&engines, "llama", Some("all-linear")).await;
    logprobs_agree(&engines, "llama", Some("all-linear"), "the quick brown fox").await;
    // Rounding the base's weights costs it no more than it costs other adapters.
    let mut others = 0.0f32;
    for name in ["all-linear", "qv", "rslora", "patterns"] {
        others = others.max(cost_of_8_bits(&engines, name).await);
    }
    let dora = cost_of_8_bits(&engines, "dora").await;
    assert!(dora > 0.0 && dora <= others, "{dora} {others}");
}

/// The largest change of a first token's log-probability, over prompts, by weights in 8 bits.
async fn cost_of_8_bits(engines: &Arc<dyn ModelLoader>, adapter: &str) -> f32 {
    let exact = load(engines, "llama", Some(adapter)).await;
    let rounded = try_load(engines, "llama", Some(adapter), Quant::Q8_0).await;
    let rounded = rounded.unwrap().engine;
    let mut cost = 0.0f32;
    for prompt in [
        "the quick brown fox",
        "a token of good faith",
        "markets fell hard today",
    ] {
        let first = async |engine| greedy_tokens(engine, prompt, 1).await[0];
        let (exact, rounded) = (first(&exact).await, first(&rounded).await);
        assert_eq!(exact.0, rounded.0, "{adapter}: {prompt}");
        cost = cost.max((exact.1 - rounded.1).abs());
    }
    cost
}

/// Biases are not scaled: the engine answers as on a base that the adapter was merged into.
#[tokio::test(flavor = "multi_thread")]
async fn dora_leaves_biases_as_they_are() {
    let engines = loader();
    let base = BaseModel::open_dir("qwen2", &golden("qwen2")).unwrap();
    let mut dora = adapter::read(&golden("qwen2.all-linear")).unwrap();
    dora.config.use_dora = true;
    dora.digest = "d".repeat(64);
    for module in dora.modules.clone() {
        let norms: Vec<f32> = (0..module.out_dim)
            .map(|output| 0.5 + (output * 7 % 11) as f32 / 8.0)
            .collect();
        let norms = HostTensor::from_f32(&[module.out_dim], &norms);
        dora.tensors.insert(module.magnitude_name(), norms);
    }
    let load = async |base: &BaseModel, adapter: Option<&LoraAdapter>| {
        let spec = EngineSpec {
            name: "dora".to_owned(),
            base,
            adapter,
            quant: Quant::F32,
        };
        engines.load(spec).await.unwrap().engine
    };
    let found = greedy_tokens(&load(&base, Some(&dora)).await, "She said that", 8).await;
    let folder = tempfile::tempdir().unwrap();
    let merged = folder.path().join("merged");
    write_merged(&dora, &base, &merged, &mut |_| {}).unwrap();
    let merged = BaseModel::open_dir("merged", &merged).unwrap();
    let expected = greedy_tokens(&load(&merged, None).await, "She said that", 8).await;
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found.0, expected.0);
        assert!(
            (found.1 - expected.1).abs() < 1e-4,
            "{found:?} {expected:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_form_of_the_weights_is_eight_bits_unless_asked_otherwise() {
    let engines = loader();
    for (wanted, found) in [
        (Quant::Auto, Quant::Q8_0),
        (Quant::F32, Quant::F32),
        (Quant::Q4_0, Quant::Q4_0),
    ] {
        let loaded = try_load(&engines, "llama", None, wanted).await.unwrap();
        assert_eq!(loaded.weights.quant, found);
        assert_eq!(loaded.implementation, "native/1");
        assert!(!loaded.live());
    }
    let error = try_load(&engines, "llama", None, Quant::Q4K).await.err();
    let message = "cannot serve llama: the native engine has no q4k weights".to_owned();
    let hint = Some("use --quant q4_0, q8_0, f32 or auto".to_owned());
    assert_eq!(told(error.unwrap()), (message, None, hint));
}

const NANO_PROMPTS: [&str; 6] = [
    "Once upon a time",
    "The little dog",
    "She said that",
    "One day, the",
    "In 1999",
    "é",
];

/// Ids and log-probabilities of a greedy answer.
async fn greedy_tokens(engine: &Arc<dyn Engine>, prompt: &str, tokens: usize) -> Vec<(u32, f32)> {
    let stream = engine.generate(text(prompt), greedy(tokens)).await.unwrap();
    let steps: Vec<GenerationStep> = stream.map(Result::unwrap).collect().await;
    let logprobs = steps.into_iter().flat_map(|step| match step {
        GenerationStep::Delta { logprobs, .. } => logprobs,
        GenerationStep::Done { .. } => Vec::new(),
    });
    logprobs.map(|it| (it.token.id, it.logprob)).collect()
}

/// The embedded base: exact weights answer as the decoder does, 8 bits nearly so.
#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_base_answers_as_the_decoder_does() {
    let folder = tempfile::tempdir().unwrap();
    let dir = unpack_nano(folder.path()).unwrap();
    let base = BaseModel::open_dir("nano", &dir).unwrap();
    let decoder = Decoder::load(&base, WeightPrecision::F32).unwrap();
    let codec = TextCodec::open(&dir).unwrap();
    let engines = loader();
    let load = async |quant| {
        let spec = EngineSpec {
            name: "nano".to_owned(),
            base: &base,
            adapter: None,
            quant,
        };
        engines.load(spec).await.unwrap().engine
    };
    let (exact, eight_bits) = (load(Quant::F32).await, load(Quant::Q8_0).await);
    for prompt in NANO_PROMPTS {
        let found = greedy_tokens(&exact, prompt, 24).await;
        let mut ids = codec.encode(prompt, true).unwrap();
        for (id, logprob) in &found {
            let targets = vec![true; ids.len()];
            let batch = TokenBatch::from_rows([(ids.as_slice(), targets.as_slice())]);
            let logits = decoder.logits_at(&batch, &[ids.len() - 1]).unwrap();
            let logits: Vec<f32> = logits.flatten_all().unwrap().to_vec1().unwrap();
            let best = (0..logits.len()).max_by(|a, b| logits[*a].total_cmp(&logits[*b]));
            assert_eq!(best, Some(*id as usize), "{prompt}");
            let total: f64 = logits.iter().map(|logit| f64::from(*logit).exp()).sum();
            let expected = f64::from(logits[*id as usize]) - total.ln();
            assert!((f64::from(*logprob) - expected).abs() < 1e-4, "{prompt}");
            ids.push(*id);
        }
        let (exact, eight) = (found[0], greedy_tokens(&eight_bits, prompt, 1).await[0]);
        assert_eq!(eight.0, exact.0, "{prompt}");
        assert!(
            (eight.1 - exact.1).abs() < 0.08,
            "{prompt} {exact:?} {eight:?}"
        );
    }
}

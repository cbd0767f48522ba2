//! What only the native engine does: bases that mistral.rs leaves out, and its forms of weights.

use std::sync::Arc;

use openlora_engine::{ModelLoader, Quant};
use openlora_native::{NativeLoader, NativeSettings};

use crate::engine_suite::{load, logprobs_agree, told, try_load};

/// The engine that the common suite runs on.
pub mod under_test {
    use super::{Arc, ModelLoader, NativeLoader, NativeSettings, Quant};

    pub const QUANTS: [Quant; 3] = [Quant::F32, Quant::Q8_0, Quant::Q4_0];

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

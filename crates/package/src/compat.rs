//! Which programs compute an adapter as PEFT does, and why others do not. Only what follows from the
//! adapter and the base's architecture is stated; programs may lack the base itself.

use std::collections::BTreeMap;

use openlora_model::{
    PICTURE_ARCHITECTURE,
    adapter::{LoraAdapter, TargetModules},
};

use super::manifest::Compat;

/// Largest rank that vLLM can be started with (`--max-lora-rank`).
const VLLM_RANK: usize = 512;

/// Architectures whose adapters Ollama converts.
const OLLAMA: &[&str] = &[
    "LlamaForCausalLM",
    "MistralForCausalLM",
    "MixtralForCausalLM",
    "GemmaForCausalLM",
    "Gemma2ForCausalLM",
];

const RSLORA: &str = "it scales by alpha/r, and the adapter by alpha/√r (rsLoRA)";
const RANKS: &str = "it scales every module by one rank, and the adapter has a rank_pattern";
const ALPHAS: &str = "it scales every module by one alpha, and the adapter has an alpha_pattern";
const DORA: &str = "it computes low-rank factors, and the adapter also has norms of rows (DoRA)";
const PICTURES: &str = "it runs models that write text, and the base makes pictures";
const PATTERN: &str = "it reads target_modules as a list, and the adapter's is a text";

/// The programs of the manifest's `compat`, with every reason against each.
pub(super) fn compat(
    adapter: &LoraAdapter,
    architecture: Option<&str>,
) -> BTreeMap<String, Compat> {
    if architecture == Some(PICTURE_ARCHITECTURE) {
        return of_pictures();
    }
    let config = &adapter.config;
    let rslora = config.use_rslora.then(|| RSLORA.to_owned());
    let ranks = (!config.rank_pattern.is_empty()).then(|| RANKS.to_owned());
    let alphas = (!config.alpha_pattern.is_empty()).then(|| ALPHAS.to_owned());
    let pattern = matches!(config.target_modules, TargetModules::Pattern(_));
    let pattern = pattern.then(|| PATTERN.to_owned());
    let dora = config.use_dora.then(|| DORA.to_owned());
    let large = adapter.modules.iter().map(|module| module.rank).max();
    let large = large.filter(|rank| *rank > VLLM_RANK);
    let large = large.map(|rank| format!("it takes ranks up to {VLLM_RANK}, and one is {rank}"));
    let known = architecture.is_some_and(|name| OLLAMA.contains(&name));
    let unknown = (!known).then(|| {
        let name = architecture.unwrap_or("an unknown architecture");
        format!("it converts adapters of Llama, Mistral and Gemma, and the base is {name}")
    });
    let rows = [
        ("mistralrs", vec![&rslora, &ranks, &alphas, &pattern, &dora]),
        ("vllm", vec![&ranks, &alphas, &large, &dora]),
        ("lorax", vec![&ranks, &alphas, &dora]),
        // Each tensor states its rank, so a rank_pattern does no harm.
        ("llamacpp", vec![&rslora, &alphas, &dora]),
        ("ollama", vec![&rslora, &alphas, &unknown, &dora]),
    ];
    let row = |(name, reasons): (&str, Vec<&Option<String>>)| {
        let reasons: Vec<String> = reasons.into_iter().flatten().cloned().collect();
        let ok = reasons.is_empty();
        (name.to_owned(), Compat { ok, reasons })
    };
    rows.map(row).into_iter().collect()
}

/// Programs for text cannot load an adapter for pictures; diffusers with PEFT can.
fn of_pictures() -> BTreeMap<String, Compat> {
    let none = ["mistralrs", "vllm", "lorax", "llamacpp", "ollama"].map(|name| {
        let reasons = vec![PICTURES.to_owned()];
        (name.to_owned(), Compat { ok: false, reasons })
    });
    let diffusers = Compat {
        ok: true,
        reasons: Vec::new(),
    };
    let diffusers = ("diffusers".to_owned(), diffusers);
    none.into_iter().chain([diffusers]).collect()
}

//! Adapters of other programs: where they run, and what their base's card says.

use std::fs;

use openlora_model::{
    BaseModel,
    adapter::{LoraAdapter, TargetModules},
};
use openlora_package::{
    BaseFacts,
    build::{PackageParts, draft},
    manifest::ManifestBase,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    golden,
    packages::{about, adapter, base_facts},
};

/// The manifest's `compat` for a changed adapter and the base's architecture.
fn compat(change: fn(&mut LoraAdapter), architecture: Option<&str>) -> Value {
    let mut adapter = adapter();
    change(&mut adapter);
    let mut base = base_facts();
    base.model.architecture = architecture.map(str::to_owned);
    let draft = draft(&PackageParts {
        about: &about(),
        adapter: &adapter,
        base: &base,
        run: None,
    });
    serde_json::to_value(draft.unwrap().manifest.compat).unwrap()
}

fn row(reasons: &[&str]) -> Value {
    json!({"ok": reasons.is_empty(), "reasons": reasons})
}

#[test]
fn a_plain_adapter_runs_everywhere() {
    let found = compat(|_| {}, Some("LlamaForCausalLM"));
    let ok = row(&[]);
    assert_eq!(
        found,
        json!({"llamacpp": ok, "lorax": ok, "mistralrs": ok, "ollama": ok, "vllm": ok})
    );
}

#[test]
fn programs_that_would_compute_something_else_are_named_with_every_reason() {
    let rslora = "it scales by alpha/r, and the adapter by alpha/√r (rsLoRA)";
    let ranks = "it scales every module by one rank, and the adapter has a rank_pattern";
    let alphas = "it scales every module by one alpha, and the adapter has an alpha_pattern";
    let pattern = "it reads target_modules as a list, and the adapter's is a text";
    let all = compat(
        |adapter| {
            let config = &mut adapter.config;
            config.use_rslora = true;
            config.rank_pattern = vec![("q_proj".into(), 4)];
            config.alpha_pattern = vec![("q_proj".into(), 4.0)];
            config.target_modules = TargetModules::Pattern("all-linear".into());
        },
        Some("Qwen3ForCausalLM"),
    );
    let base = "it converts adapters of Llama, Mistral and Gemma, and the base is Qwen3ForCausalLM";
    assert_eq!(
        all,
        json!({
            "llamacpp": row(&[rslora, alphas]),
            "lorax": row(&[ranks, alphas]),
            "mistralrs": row(&[rslora, ranks, alphas, pattern]),
            "ollama": row(&[rslora, alphas, base]),
            "vllm": row(&[ranks, alphas]),
        })
    );
    let dora = "it computes low-rank factors, and the adapter also has norms of rows (DoRA)";
    assert_eq!(
        compat(
            |adapter| adapter.config.use_dora = true,
            Some("LlamaForCausalLM")
        ),
        json!({
            "llamacpp": row(&[dora]),
            "lorax": row(&[dora]),
            "mistralrs": row(&[dora]),
            "ollama": row(&[dora]),
            "vllm": row(&[dora]),
        })
    );
    let large = compat(|adapter| adapter.modules[0].rank = 513, None);
    let base =
        "it converts adapters of Llama, Mistral and Gemma, and the base is an unknown architecture";
    assert_eq!(
        large,
        json!({
            "llamacpp": row(&[]),
            "lorax": row(&[]),
            "mistralrs": row(&[]),
            "ollama": row(&[base]),
            "vllm": row(&["it takes ranks up to 512, and one is 513"]),
        })
    );
}

#[test]
fn an_adapter_of_another_base_is_refused() {
    let refused = |adapter: &LoraAdapter| {
        let draft = draft(&PackageParts {
            about: &about(),
            adapter,
            base: &base_facts(),
            run: None,
        });
        let text = draft.unwrap_err().to_string();
        text.replace(&adapter.dir.display().to_string(), "DIR")
    };
    let mut other = adapter();
    other.modules[0].in_dim = 64;
    assert_eq!(
        refused(&other),
        "adapter DIR: `model.layers.0.self_attn.q_proj` lora_A: expected shape [4, 32] for this \
         base, found [4, 64]"
    );
    let mut foreign = adapter();
    for module in &mut foreign.modules {
        module.path = module.path.replace("self_attn", "attention");
    }
    assert_eq!(
        refused(&foreign),
        "adapter DIR: none of its 4 modules exists in the base: it adapts \
         `model.layers.0.attention.q_proj`, the base has `model.layers.0.mlp.down_proj`"
    );
}

#[test]
fn the_licence_of_a_base_is_what_its_card_says() {
    let home = TempDir::new().unwrap();
    let dir = home.path().join("base");
    fs::create_dir(&dir).unwrap();
    for entry in fs::read_dir(golden::dir("llama")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            fs::copy(&path, dir.join(path.file_name().unwrap())).unwrap();
        }
    }
    let stated = |card: Option<&str>| {
        if let Some(card) = card {
            fs::write(dir.join("README.md"), card).unwrap();
        }
        let base = BaseModel::open_dir("tiny-base", &dir).unwrap();
        let ManifestBase { license, gated, .. } = BaseFacts::from_base(&base).unwrap().model;
        json!([license, gated])
    };
    assert_eq!(stated(None), json!([null, null]));
    for (card, expected) in [
        (
            "---\nlicense: apache-2.0\n---\n",
            json!(["apache-2.0", null]),
        ),
        ("---\r\nlicense: \"mit\"\r\n---\r\n", json!(["mit", null])),
        (
            "---\nlicense: other\nlicense_name: qwen-research\n---\n",
            json!(["qwen-research", null]),
        ),
        ("---\nlicense: other\n---\n", json!(["other", null])),
        (
            "---\nextra_gated_prompt: Agree?\nlicense: llama3.2\n---\n",
            json!(["llama3.2", true]),
        ),
        ("---\ntags:\n  license: mit\n---\n", json!([null, null])),
        ("---\nlicense: a<b\n---\n", json!([null, null])),
        ("license: mit\n", json!([null, null])),
        ("---\nname: x\n---\nlicense: mit\n", json!([null, null])),
        ("", json!([null, null])),
    ] {
        assert_eq!(stated(Some(card)), expected, "{card:?}");
    }
}

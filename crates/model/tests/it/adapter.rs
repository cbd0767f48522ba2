//! Adapters: reading strictly, belonging to a base.

mod refused;
mod written;

use std::path::{Path, PathBuf};

use openlora_core::error::Explain;
use openlora_model::{
    ModuleShape,
    adapter::{
        self, AdapterError, CONFIG_FILE, FactorDtype, TASK_FILE, TargetModules, TaskCard,
        WEIGHTS_FILE,
    },
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::paths::repository;

const Q: &str = "model.layers.0.self_attn.q_proj";

fn golden(name: &str) -> PathBuf {
    repository().join("tests/data/golden").join(name)
}

/// A header entry and its bytes: name, dtype, shape, data.
type Part<'a> = (&'a str, &'a str, &'a [usize], Vec<u8>);

fn floats(values: &[f32]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

/// A safetensors file that is well formed if its parts are.
fn container(parts: &[Part]) -> Vec<u8> {
    let mut header = Vec::new();
    let mut data = Vec::new();
    for (name, dtype, shape, bytes) in parts {
        let offsets = [data.len(), data.len() + bytes.len()];
        data.extend_from_slice(bytes);
        header.push(format!(
            "{}:{}",
            json!(name),
            json!({"dtype": dtype, "shape": shape, "data_offsets": offsets})
        ));
    }
    with_header(&format!("{{{}}}", header.join(",")), &data)
}

fn with_header(header: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend_from_slice(data);
    bytes
}

fn config() -> Value {
    json!({"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["q_proj"]})
}

fn sound() -> Vec<u8> {
    container(&[
        (
            &format!("base_model.model.{Q}.lora_A.weight"),
            "F32",
            &[2, 3],
            floats(&[1., 2., 3., 4., 5., 6.]),
        ),
        (
            &format!("base_model.model.{Q}.lora_B.weight"),
            "F32",
            &[2, 2],
            floats(&[1., 0., 0., 1.]),
        ),
    ])
}

fn directory(config: &[u8], weights: &[u8]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(CONFIG_FILE), config).unwrap();
    std::fs::write(dir.path().join(WEIGHTS_FILE), weights).unwrap();
    dir
}

fn said(error: &AdapterError, dir: &Path) -> String {
    let text = match error.hint() {
        Some(hint) => format!("{error}\nhint: {hint}"),
        None => error.to_string(),
    };
    text.replace(&dir.display().to_string(), "DIR")
}

fn refusal(config: &[u8], weights: &[u8]) -> String {
    let dir = directory(config, weights);
    said(&adapter::read(dir.path()).unwrap_err(), dir.path())
}

fn refused_config(config: Value) -> String {
    refusal(config.to_string().as_bytes(), &sound())
}

fn refused_weights(weights: &[u8]) -> String {
    refusal(config().to_string().as_bytes(), weights)
}

/// `config()` with one more key.
fn config_with(key: &str, value: Value) -> Value {
    let mut config = config();
    config[key] = value;
    config
}

const AGAIN: &str = "\nhint: write the adapter again with PEFT's save_pretrained";
const UNTRUSTED: &str =
    "\nhint: do not use this file; ask its author for one written by save_pretrained";
const MERGE: &str = "\nhint: merge the adapter into its base with PEFT's merge_and_unload and serve \
                     the result as a base, or train it again as plain LoRA";
const MIXED: &str = "\nhint: adapter_config.json and adapter_model.safetensors come from different \
                     adapters; copy both from the same one";

#[test]
fn a_sound_adapter_is_read() {
    let dir = directory(config().to_string().as_bytes(), &sound());
    let adapter = adapter::read(dir.path()).unwrap();
    assert_eq!(adapter.config.r, 2);
    assert_eq!(
        adapter.config.target_modules,
        TargetModules::List(vec!["q_proj".into()])
    );
    let module = &adapter.modules[0];
    assert_eq!(
        (module.path.as_str(), module.rank, module.scale),
        (Q, 2, 2.0)
    );
    assert_eq!((module.in_dim, module.out_dim), (3, 2));
    assert_eq!(
        adapter.tensors[&module.a_name()].to_f32(),
        [1., 2., 3., 4., 5., 6.]
    );
    assert_eq!(adapter.task, None);
    assert_eq!(adapter.digest.len(), 64);
}

#[test]
fn half_precision_widens_exactly() {
    let name = |end: &str| format!("base_model.model.{Q}.lora_{end}.weight");
    let f16 = |values: &[f32]| {
        values
            .iter()
            .flat_map(|v| half::f16::from_f32(*v).to_le_bytes())
            .collect::<Vec<u8>>()
    };
    let bf16 = |values: &[f32]| {
        values
            .iter()
            .flat_map(|v| half::bf16::from_f32(*v).to_le_bytes())
            .collect::<Vec<u8>>()
    };
    let weights = container(&[
        (&name("A"), "F16", &[2, 1], f16(&[0.5, -3.0])),
        (&name("B"), "BF16", &[1, 2], bf16(&[0.25, 1024.0])),
    ]);
    let dir = directory(config().to_string().as_bytes(), &weights);
    let adapter = adapter::read(dir.path()).unwrap();
    assert_eq!(adapter.tensors[&name("A")].dtype, FactorDtype::F16);
    assert_eq!(adapter.tensors[&name("A")].to_f32(), [0.5, -3.0]);
    assert_eq!(adapter.tensors[&name("B")].to_f32(), [0.25, 1024.0]);
}

#[test]
fn older_names_and_bare_decoder_names_are_the_same_modules() {
    let weights = container(&[
        (
            "base_model.model.layers.0.self_attn.q_proj.lora_A.default.weight",
            "F32",
            &[2, 1],
            floats(&[1., 2.]),
        ),
        (
            "base_model.model.layers.0.self_attn.q_proj.lora_B.default.weight",
            "F32",
            &[1, 2],
            floats(&[1., 2.]),
        ),
    ]);
    // Patterns are written for the names of the file.
    let config = config_with("alpha_pattern", json!({"^layers.0.self_attn.q_proj": 6}));
    let dir = directory(config.to_string().as_bytes(), &weights);
    let adapter = adapter::read(dir.path()).unwrap();
    assert_eq!(adapter.modules[0].path, Q);
    assert_eq!(adapter.modules[0].scale, 3.0);
    assert!(
        adapter
            .tensors
            .contains_key(&format!("base_model.model.{Q}.lora_A.weight"))
    );
}

#[test]
fn keys_of_later_peft_releases_are_accepted() {
    let mut config = config_with("something_new", json!({"a": [1, 2]}));
    config["use_dora"] = json!(false);
    config["modules_to_save"] = json!([]);
    config["init_lora_weights"] = json!("gaussian");
    let dir = directory(config.to_string().as_bytes(), &sound());
    assert_eq!(adapter::read(dir.path()).unwrap().modules.len(), 1);
}

#[test]
fn targets_may_be_paths_patterns_or_all_linear() {
    for targets in [
        json!([Q]),
        json!("all-linear"),
        json!(r".*self_attn\.(q|v)_proj"),
    ] {
        let config = config_with("target_modules", targets).to_string();
        let dir = directory(config.as_bytes(), &sound());
        let normalised = adapter::normalise(&adapter::read(dir.path()).unwrap()).unwrap();
        assert_eq!(normalised.target_modules, [Q]);
    }
}

fn shapes(modules: &[(&str, usize, usize)]) -> Vec<ModuleShape> {
    modules
        .iter()
        .map(|(path, in_dim, out_dim)| ModuleShape {
            path: (*path).to_owned(),
            in_dim: *in_dim,
            out_dim: *out_dim,
        })
        .collect()
}

#[test]
fn an_adapter_must_fit_its_base() {
    let dir = directory(config().to_string().as_bytes(), &sound());
    let adapter = adapter::read(dir.path()).unwrap();
    let refused = |modules: &[(&str, usize, usize)]| {
        said(
            &adapter::check_against(&adapter, &shapes(modules)).unwrap_err(),
            dir.path(),
        )
    };
    let choose = "\nhint: choose the base that the adapter was trained on with --base; \
                  base_model_name_or_path in adapter_config.json names it";
    adapter::check_against(&adapter, &shapes(&[(Q, 3, 2), ("lm_head", 2, 9)])).unwrap();
    assert_eq!(
        refused(&[("transformer.h.0.attn", 3, 2)]),
        format!(
            "adapter DIR: none of its 1 modules exists in the base: it adapts `{Q}`, the base has \
             `transformer.h.0.attn`{choose}"
        )
    );
    assert_eq!(
        refused(&[(Q, 5, 2)]),
        format!(
            "adapter DIR: `{Q}` lora_A: expected shape [2, 5] for this base, found [2, 3]{choose}"
        )
    );
    assert_eq!(
        refused(&[(Q, 3, 7)]),
        format!(
            "adapter DIR: `{Q}` lora_B: expected shape [7, 2] for this base, found [2, 2]{choose}"
        )
    );
}

#[test]
fn modules_unknown_to_the_base_are_named_with_the_nearest_one() {
    let adapter = adapter::read(&golden("llama.qv")).unwrap();
    let known: Vec<ModuleShape> = adapter
        .modules
        .iter()
        .filter(|module| !module.path.contains("layers.1"))
        .map(|m| ModuleShape {
            path: m.path.clone(),
            in_dim: m.in_dim,
            out_dim: m.out_dim,
        })
        .collect();
    let error = adapter::check_against(&adapter, &known).unwrap_err();
    assert_eq!(
        said(&error, &adapter.dir),
        "adapter DIR: the base has no module `model.layers.1.self_attn.q_proj`\nhint: the nearest \
         module of the base is `model.layers.0.self_attn.q_proj`"
    );
}

fn card() -> TaskCard {
    serde_json::from_value(json!({
        "name": "mood", "task": {"kind": "text"}, "base_id": "nano", "base_digest": "aa",
    }))
    .unwrap()
}

#[test]
fn another_base_of_the_same_shape_is_refused() {
    let dir = directory(config().to_string().as_bytes(), &sound());
    let adapter = adapter::read(dir.path()).unwrap();
    adapter::verify_base(&adapter, "bb").unwrap();
    std::fs::write(
        dir.path().join(TASK_FILE),
        serde_json::to_vec(&card()).unwrap(),
    )
    .unwrap();
    let adapter = adapter::read(dir.path()).unwrap();
    adapter::verify_base(&adapter, "aa").unwrap();
    assert_eq!(
        said(
            &adapter::verify_base(&adapter, "bb").unwrap_err(),
            dir.path()
        ),
        "adapter DIR: it was trained on base nano with digest aa, this base has digest bb\
         \nhint: choose the base it was trained on: --base nano"
    );
}

#[test]
fn a_task_card_with_unknown_fields_is_refused() {
    let dir = directory(config().to_string().as_bytes(), &sound());
    std::fs::write(
        dir.path().join(TASK_FILE),
        r#"{"name": "mood", "color": "red"}"#,
    )
    .unwrap();
    assert_eq!(
        said(&adapter::read(dir.path()).unwrap_err(), dir.path()),
        "DIR/openlora_task.json: unknown field `color`, expected one of `name`, `task`, `base_id`, \
         `base_digest`, `rows` at line 1 column 24\nhint: remove openlora_task.json to load the adapter as \
         a plain PEFT one, or write it again with `openlora train`"
    );
}

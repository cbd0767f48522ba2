//! Adapters: reading strictly, belonging to a base, normalising, writing.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use openlora::{
    error::Explain,
    runtime::adapter::{
        self, AdapterError, CONFIG_FILE, Dtype, HostTensor, ModuleShape, Normalised, TASK_FILE,
        TargetModules, TaskCard, WEIGHTS_FILE, WriteRequest,
    },
};
use proptest::prelude::*;
use serde_json::{Value, json};
use tempfile::TempDir;

const Q: &str = "model.layers.0.self_attn.q_proj";

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/golden")
        .join(name)
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
    assert_eq!(adapter.tensors[&name("A")].dtype, Dtype::F16);
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
fn a_folder_without_an_adapter_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let hint = "\nhint: name the folder that holds adapter_config.json and \
                adapter_model.safetensors, such as runs/<id>/adapter";
    assert_eq!(
        said(&adapter::read(dir.path()).unwrap_err(), dir.path()),
        format!("DIR is not an adapter directory: it has no adapter_config.json{hint}")
    );
    std::fs::write(dir.path().join(CONFIG_FILE), config().to_string()).unwrap();
    assert_eq!(
        said(&adapter::read(dir.path()).unwrap_err(), dir.path()),
        format!("DIR is not an adapter directory: it has no adapter_model.safetensors{hint}")
    );
    std::fs::write(dir.path().join("adapter_model.bin"), b"\x80\x04").unwrap();
    assert_eq!(
        said(&adapter::read(dir.path()).unwrap_err(), dir.path()),
        "DIR holds its weights as a Python pickle (adapter_model.bin), which runs code when it is \
         opened\nhint: if you trust it, load it with PEFT and write it again with \
         save_pretrained(dir, safe_serialization=True)"
    );
}

#[test]
fn a_weights_file_that_is_no_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(CONFIG_FILE), config().to_string()).unwrap();
    std::fs::create_dir(dir.path().join(WEIGHTS_FILE)).unwrap();
    assert_eq!(
        said(&adapter::read(dir.path()).unwrap_err(), dir.path()),
        "cannot read DIR/adapter_model.safetensors: not a regular file"
    );
}

#[test]
fn broken_configurations_are_refused() {
    let cases: [(&str, &str); 5] = [
        (
            "{\"r\": 2,",
            "not JSON: EOF while parsing a value at line 1 column 8",
        ),
        ("[]", "expected a JSON object, found a list"),
        ("{\"r\": 2, \"r\": 4}", "the key `r` appears twice"),
        ("{}", "the key `peft_type` is missing"),
        (
            "{\"peft_type\": 3}",
            "`peft_type`: expected a text, found 3",
        ),
    ];
    for (text, message) in cases {
        let expected = format!("DIR/adapter_config.json: {message}{AGAIN}");
        assert_eq!(refusal(text.as_bytes(), &sound()), expected);
    }
}

#[test]
fn wrong_configuration_values_are_refused() {
    let whole = "expected a whole number of at least 1";
    let cases = [
        ("r", json!(0), format!("`r`: {whole}, found 0")),
        ("r", json!(1.5), format!("`r`: {whole}, found 1.5")),
        ("r", json!("8"), format!("`r`: {whole}, found \"8\"")),
        ("r", json!(null), "the key `r` is missing".to_owned()),
        (
            "lora_alpha",
            json!([1]),
            "`lora_alpha`: expected a number, found a list".to_owned(),
        ),
        (
            "rank_pattern",
            json!({"q_proj": 0}),
            format!("`rank_pattern.q_proj`: {whole}, found 0"),
        ),
        (
            "rank_pattern",
            json!([]),
            "`rank_pattern`: expected an object, found a list".to_owned(),
        ),
        (
            "use_rslora",
            json!("yes"),
            "`use_rslora`: expected true or false, found \"yes\"".to_owned(),
        ),
        (
            "target_modules",
            json!(["q_proj", 3]),
            "`target_modules`: expected a text or a list of texts that is not empty, found a list"
                .to_owned(),
        ),
        (
            "bias",
            json!(true),
            "`bias`: expected a text, found true".to_owned(),
        ),
        (
            "revision",
            json!(7),
            "`revision`: expected a text, found 7".to_owned(),
        ),
    ];
    for (key, value, message) in cases {
        let expected = format!("DIR/adapter_config.json: {message}{AGAIN}");
        assert_eq!(refused_config(config_with(key, value)), expected);
    }
}

#[test]
fn adapters_that_are_not_plain_lora_are_refused_with_the_reason() {
    let cases = [
        ("peft_type", json!("LOHA"), "only LORA is read"),
        (
            "use_dora",
            json!(true),
            "DoRA rescales every row of the base; only plain LoRA is read",
        ),
        (
            "modules_to_save",
            json!(["lm_head"]),
            "it replaces whole modules of the base; only LoRA factors are read",
        ),
        ("bias", json!("all"), "it changes biases of the base"),
        (
            "fan_in_fan_out",
            json!(true),
            "its factors are for transposed base weights (Conv1D)",
        ),
        (
            "layer_replication",
            json!([[0, 2]]),
            "it repeats layers of the base",
        ),
        ("lora_bias", json!(true), "its factors have biases"),
        (
            "init_lora_weights",
            json!("pissa"),
            "it changes the base's own weights, which a LoRA file does not carry",
        ),
    ];
    for (key, value, reason) in cases {
        let expected = format!("DIR/adapter_config.json: `{key}` is {value}: {reason}{MERGE}");
        assert_eq!(refused_config(config_with(key, value)), expected);
    }
}

#[test]
fn an_unreadable_pattern_is_refused() {
    assert_eq!(
        refused_config(config_with("alpha_pattern", json!({"(?!x)q_proj": 8}))),
        "DIR/adapter_config.json: `alpha_pattern`: \"(?!x)q_proj\" is no regular expression that \
         openlora reads: look-around, including look-ahead and look-behind, is not supported\
         \nhint: replace the pattern in adapter_config.json by a list of module names"
    );
}

const SHORT: &str = "\nhint: copy or download the file again; its size differs from what it says";

/// A header entry of a 1 by 1 f32 tensor.
fn entry(name: &str, start: usize, end: usize) -> String {
    format!("\"{name}\":{{\"dtype\":\"F32\",\"shape\":[1,1],\"data_offsets\":[{start},{end}]}}")
}

fn file(entries: &[String], data: usize) -> Vec<u8> {
    with_header(&format!("{{{}}}", entries.join(",")), &vec![0; data])
}

fn one_tensor(fields: &str) -> Vec<u8> {
    with_header(&format!("{{\"a\":{{{fields}}}}}"), &[])
}

fn assert_container_refused(bytes: &[u8], message: &str, hint: &str) {
    let expected = format!("DIR/adapter_model.safetensors: {message}{hint}");
    assert_eq!(refused_weights(bytes), expected);
}

#[test]
fn broken_headers_are_refused() {
    let mut huge = 100_000_001u64.to_le_bytes().to_vec();
    huge.extend_from_slice(b"{}");
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (
            huge,
            "the header claims 100000001 bytes; at most 100000000 are read",
        ),
        (
            with_header("[]", &[]),
            "the header is not the JSON of a safetensors file: invalid type: sequence, expected a \
             JSON object at line 1 column 0",
        ),
        (
            one_tensor("\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]"),
            "the header is not the JSON of a safetensors file: invalid value: integer `-1`, \
             expected usize at line 1 column 31",
        ),
        (
            one_tensor("\"dtype\":\"F32\",\"dtype\":\"F32\""),
            "the header is not the JSON of a safetensors file: duplicate field `dtype` at line 1 \
             column 27",
        ),
        (
            file(&[entry("a", 0, 4), entry("a", 4, 8)], 8),
            "the name `a` appears twice in the header",
        ),
        (
            with_header("{\"__metadata__\":{},\"__metadata__\":{}}", &[]),
            "the name `__metadata__` appears twice in the header",
        ),
        (
            file(&[entry("../../etc/passwd", 0, 4)], 4),
            "the tensor name \"../../etc/passwd\" is not made of dotted words of letters, digits, \
             `_` and `-`",
        ),
        (
            file(
                &[entry("base_model.model.q\u{202e}.lora_A.weight", 0, 4)],
                4,
            ),
            "the tensor name \"base_model.model.q\\u{202e}.lora_A.weight\" is not made of dotted \
             words of letters, digits, `_` and `-`",
        ),
    ];
    for (bytes, message) in cases {
        assert_container_refused(&bytes, message, UNTRUSTED);
    }
}

#[test]
fn broken_layouts_are_refused() {
    let too_many = "\"dtype\":\"F32\",\"shape\":[9223372036854775807,4],\"data_offsets\":[0,0]";
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (
            file(&[entry("a", 0, 4), entry("b", 2, 6)], 6),
            "tensors `a` and `b` overlap at data byte 2",
        ),
        (
            file(&[entry("a", 0, 4), entry("b", 8, 12)], 12),
            "data bytes 4 to 8 belong to no tensor",
        ),
        (
            file(&[entry("a", 0, 4)], 9),
            "data bytes 4 to 9 belong to no tensor",
        ),
        (
            file(&[entry("a", 4, 0)], 4),
            "tensor `a`: its offsets run backwards, from 4 to 0",
        ),
        (
            file(&[entry("a", 0, 8)], 8),
            "tensor `a`: shape [1, 1] takes 4 bytes, its offsets span 8",
        ),
        (
            one_tensor(too_many),
            "tensor `a`: shape [9223372036854775807, 4] has more elements than memory can hold",
        ),
    ];
    for (bytes, message) in cases {
        assert_container_refused(&bytes, message, UNTRUSTED);
    }
    let early = "the file ends early: expected at least";
    assert_container_refused(&[1, 2, 3], &format!("{early} 8 bytes, found 3"), SHORT);
    let unbacked = 99u64.to_le_bytes();
    assert_container_refused(&unbacked, &format!("{early} 107 bytes, found 8"), SHORT);
}

#[test]
fn a_truncated_file_names_both_sizes() {
    let whole = sound();
    let cut = &whole[..whole.len() - 5];
    assert_eq!(
        refused_weights(cut),
        format!(
            "DIR/adapter_model.safetensors: the file ends early: expected at least {} bytes, found \
             {}\nhint: copy or download the file again; its size differs from what it says",
            whole.len(),
            cut.len()
        )
    );
}

#[test]
fn unusable_tensors_are_refused() {
    let a = format!("base_model.model.{Q}.lora_A.weight");
    let b = format!("base_model.model.{Q}.lora_B.weight");
    let diverged = "\nhint: the training that made it diverged; use an earlier checkpoint";
    let convert = "\nhint: convert the adapter to float32, float16 or bfloat16 before saving it";
    let two = || floats(&[1., 1.]);
    let one = |name: &str, data: Vec<u8>| container(&[(name, "F32", &[2, 1], data)]);
    let both = |a_shape: &[usize], b_shape: &[usize]| {
        let size = |shape: &[usize]| floats(&vec![1.0; shape.iter().product()]);
        container(&[
            (&a, "F32", a_shape, size(a_shape)),
            (&b, "F32", b_shape, size(b_shape)),
        ])
    };
    let cases: Vec<(Vec<u8>, String)> = vec![
        (
            one(&a, floats(&[1., f32::NAN])),
            format!("tensor `{a}`: NaN at element 1{diverged}"),
        ),
        (
            one(&a, floats(&[f32::NEG_INFINITY, 0.])),
            format!("tensor `{a}`: infinity at element 0{diverged}"),
        ),
        (
            container(&[(&a, "I64", &[1], vec![0; 8])]),
            format!("tensor `{a}`: dtype I64; expected F32, F16 or BF16{convert}"),
        ),
        (container(&[]), format!("the file holds no tensors{AGAIN}")),
        (
            one(&a, two()),
            format!("module `{Q}` has lora_A but no lora_B{AGAIN}"),
        ),
        (
            one(&b, two()),
            format!("module `{Q}` has lora_B but no lora_A{AGAIN}"),
        ),
        (
            one("transformer.q_proj.lora_A.weight", two()),
            "tensor `transformer.q_proj.lora_A.weight`: expected a name starting with \
             `base_model.model.`\nhint: save the adapter with PEFT's save_pretrained, which writes \
             that prefix"
                .to_owned(),
        ),
        (
            one("base_model.model.q_proj.lora_magnitude_vector", two()),
            format!(
                "tensor `base_model.model.q_proj.lora_magnitude_vector` is a DoRA magnitude \
                 vector; openlora reads plain LoRA only{MERGE}"
            ),
        ),
        (
            one("base_model.model.embed_tokens.lora_embedding_A", two()),
            format!(
                "tensor `base_model.model.embed_tokens.lora_embedding_A` adapts an embedding; \
                 openlora reads LoRA on linear layers only{MERGE}"
            ),
        ),
        (
            one("base_model.model.q_proj.lora_B.bias", two()),
            format!(
                "tensor `base_model.model.q_proj.lora_B.bias` is a bias of a LoRA factor; openlora \
                 reads plain LoRA only{MERGE}"
            ),
        ),
        (
            one("base_model.model.lm_head.weight", two()),
            format!(
                "tensor `base_model.model.lm_head.weight` is not a LoRA factor: expected a name \
                 ending in `.lora_A.weight` or `.lora_B.weight`{MERGE}"
            ),
        ),
        (
            both(&[4, 3], &[2, 4]),
            format!("tensor `{a}`: expected rank 2 as r says, found 4 (shape [4, 3]){MIXED}"),
        ),
        (
            both(&[2, 3], &[5, 1]),
            format!("tensor `{b}`: expected rank 2 as r says, found 1 (shape [5, 1]){MIXED}"),
        ),
        (
            both(&[2, 3, 1], &[5, 2]),
            format!("tensor `{a}`: expected two dimensions, found shape [2, 3, 1]{AGAIN}"),
        ),
    ];
    for (bytes, message) in cases {
        assert_eq!(
            refused_weights(&bytes),
            format!("DIR/adapter_model.safetensors: {message}")
        );
    }
}

#[test]
fn the_same_factor_under_two_names_is_refused() {
    let weights = container(&[
        (
            &format!("base_model.model.{Q}.lora_A.weight"),
            "F32",
            &[2, 1],
            floats(&[1., 2.]),
        ),
        (
            &format!("base_model.model.{Q}.lora_A.default.weight"),
            "F32",
            &[2, 1],
            floats(&[1., 2.]),
        ),
    ]);
    assert_eq!(
        refused_weights(&weights),
        format!(
            "DIR/adapter_model.safetensors: module `{Q}` has lora_A twice, once under an older \
             name{AGAIN}"
        )
    );
}

#[test]
fn ranks_follow_the_first_pattern_that_matches() {
    let a = format!("base_model.model.{Q}.lora_A.weight");
    let config = config_with(
        "rank_pattern",
        json!({"k_proj": 9, ".*q_proj": 3, "q_proj": 2}),
    );
    assert_eq!(
        refusal(config.to_string().as_bytes(), &sound()),
        format!(
            "DIR/adapter_model.safetensors: tensor `{a}`: expected rank 3 as rank_pattern says, \
             found 2 (shape [2, 3]){MIXED}"
        )
    );
}

#[test]
fn factors_that_the_configuration_does_not_name_are_refused() {
    for (targets, shown) in [
        (json!(["k_proj", "proj"]), "k_proj, proj"),
        (json!(".*mlp.*"), "pattern .*mlp.*"),
    ] {
        assert_eq!(
            refused_config(config_with("target_modules", targets)),
            format!(
                "DIR/adapter_model.safetensors: module `{Q}` has factors but `target_modules` \
                 ({shown}) does not name it{MIXED}"
            )
        );
    }
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

#[test]
fn an_adapter_that_changes_nothing_is_refused() {
    let a = format!("base_model.model.{Q}.lora_A.weight");
    let b = format!("base_model.model.{Q}.lora_B.weight");
    let zero_b = container(&[
        (&a, "F32", &[2, 1], floats(&[1., 2.])),
        (&b, "F32", &[1, 2], floats(&[0., -0.])),
    ]);
    let dead = "DIR/adapter_model.safetensors: the adapter changes nothing: in every module one of \
                the factors is all zero\nhint: train it for at least one step, or load the \
                checkpoint that was trained";
    assert_eq!(refused_weights(&zero_b), dead);
    let zero_a = container(&[
        (&a, "F32", &[2, 1], floats(&[0., 0.])),
        (&b, "F32", &[1, 2], floats(&[1., 1.])),
    ]);
    assert_eq!(refused_weights(&zero_a), dead);
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
         `base_digest` at line 1 column 24\nhint: remove openlora_task.json to load the adapter as \
         a plain PEFT one, or write it again with `openlora train`"
    );
}

/// What PEFT itself adds to the base, see tests/data/adapter/make.py.
#[test]
fn deltas_equal_those_of_peft() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/adapter/deltas.safetensors");
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
            .all(|t| t.dtype == Dtype::F32 && t.shape.contains(&6))
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
        target_modules,
        tensors: adapter.tensors,
        task: None,
    }
}

#[test]
fn what_is_written_is_what_peft_writes() {
    let dir = tempfile::tempdir().unwrap();
    for name in [
        "llama.all-linear",
        "llama.qv",
        "llama.rslora",
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
    let Normalised {
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

//! Everything that is refused, with the whole error.

use openlora_model::adapter::{self, CONFIG_FILE, WEIGHTS_FILE};
use serde_json::json;

use super::{AGAIN, MERGE, MIXED, Q, UNTRUSTED};
use super::{
    config, config_with, container, directory, floats, refusal, refused_config, refused_weights,
};
use super::{said, sound, with_header};

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
            "target_modules",
            json!(null),
            "`target_modules`: expected a text or a list of texts that is not empty, found null"
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
fn a_pointer_in_place_of_the_weights_is_named() {
    assert_container_refused(
        b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
        "a Git LFS pointer, not the weights themselves",
        "\nhint: fetch the file itself with `git lfs pull`",
    );
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
            "the header is not the JSON of a safetensors file: invalid type: list, expected a \
             JSON object at line 1 column 0",
        ),
        (
            one_tensor("\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]"),
            "the header is not the JSON of a safetensors file: invalid value: integer `-1`, \
             expected a non-negative whole number at line 1 column 31",
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
            format!("module `q_proj` has lora_magnitude_vector but no lora_A{AGAIN}"),
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

#[test]
fn magnitudes_are_there_exactly_if_the_configuration_says_so() {
    let name = format!("base_model.model.{Q}.lora_magnitude_vector");
    let a = (
        &*format!("base_model.model.{Q}.lora_A.weight"),
        "F32",
        &[2, 3][..],
        floats(&[1.; 6]),
    );
    let b = (
        &*format!("base_model.model.{Q}.lora_B.weight"),
        "F32",
        &[2, 2][..],
        floats(&[0.; 4]),
    );
    let with = |shape: &[usize], count: usize| {
        let magnitudes = (name.as_str(), "F32", shape, floats(&vec![1.5; count]));
        container(&[
            (a.0, a.1, a.2, a.3.clone()),
            (b.0, b.1, b.2, b.3.clone()),
            magnitudes,
        ])
    };
    let refused = |dora: bool, weights: &[u8]| {
        let config = config_with("use_dora", json!(dora)).to_string();
        let dir = directory(config.as_bytes(), weights);
        said(&adapter::read(dir.path()).unwrap_err(), dir.path())
    };
    let file = "DIR/adapter_model.safetensors";
    assert_eq!(
        refused(false, &with(&[2], 2)),
        format!(
            "{file}: tensor `{name}` is a DoRA magnitude vector, and `use_dora` is not true{MIXED}"
        )
    );
    assert_eq!(
        refused(true, &with(&[1, 2], 2)),
        format!("{file}: tensor `{name}`: expected shape [2], found [1, 2]{AGAIN}")
    );
    assert_eq!(
        refused(true, &sound()),
        format!("{file}: module `{Q}` has lora_A but no lora_magnitude_vector{AGAIN}")
    );
    // Only the base tells whether magnitudes change something beside B = 0.
    let config = config_with("use_dora", json!(true)).to_string();
    let dir = directory(config.as_bytes(), &with(&[2], 2));
    let read = adapter::read(dir.path()).unwrap();
    assert_eq!(read.tensors[&name].to_f32(), [1.5, 1.5]);
    assert_eq!(
        said(&adapter::normalise(&read).unwrap_err(), dir.path()),
        "adapter DIR: DoRA rescales every row of the base; this engine adds scale * B * A to a base and \
         nothing else\nhint: serve it with --engine native, or merge it into its base with `openlora \
         export --format merged --out FOLDER` and serve the result as a base"
    );
}

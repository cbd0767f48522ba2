//! Opening bases: what is read, and the whole message when something is wrong.

use std::{collections::BTreeMap, path::Path};

use openlora_core::error::{ExitClass, Explain, Failure};
use openlora_decoder::{Decoder, DecoderError, TokenBatch};
use openlora_model::{
    BaseModel, BaseRequest, LoraConfig, ModelConfig, ModelError, RopeScaling, WeightPrecision,
    open_base, parameters,
    unpack::{EmbeddedFile, unpack},
};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use tempfile::TempDir;

use crate::golden::dir;
use crate::oracle::{Golden, assert_close};
use crate::paths::repository;

type Tensors = BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>;

fn request(id: &str, home: &Path) -> BaseRequest {
    BaseRequest {
        id: id.to_owned(),
        revision: "main".to_owned(),
        endpoint: "http://127.0.0.1:9".to_owned(),
        models_dir: home.join("models"),
        nano_dir: home.join("nano"),
        token: None,
        offline: true,
    }
}

/// A copy of the golden llama.
fn copy() -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    for name in [
        "config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "model.safetensors",
    ] {
        std::fs::copy(dir("llama").join(name), copy.path().join(name)).unwrap();
    }
    copy
}

fn read(path: &Path) -> Tensors {
    let bytes = std::fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let tensor = |(name, view): (String, TensorView<'_>)| {
        (
            name,
            (view.dtype(), view.shape().to_vec(), view.data().to_vec()),
        )
    };
    file.tensors().into_iter().map(tensor).collect()
}

fn write(path: &Path, tensors: &Tensors) {
    let mut views = Vec::new();
    for (name, (dtype, shape, data)) in tensors {
        views.push((name, TensorView::new(*dtype, shape.clone(), data).unwrap()));
    }
    std::fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}

fn load(dir: &Path) -> Result<Decoder, DecoderError> {
    Decoder::load(&BaseModel::open_dir("copy", dir)?, WeightPrecision::F32)
}

/// The whole failure, with the folder's name taken out.
fn failure(
    dir: &Path,
    result: Result<impl Sized, impl Explain>,
) -> (ExitClass, String, Option<String>) {
    let Err(error) = result else {
        panic!("it should have failed")
    };
    let failure = Failure::from(error);
    (
        failure.class,
        failure.message.replace(dir.to_str().unwrap(), "DIR"),
        failure.hint,
    )
}

fn bad(message: &str, hint: Option<&str>) -> (ExitClass, String, Option<String>) {
    (
        ExitClass::BadInput,
        message.to_owned(),
        hint.map(str::to_owned),
    )
}

const AGAIN: Option<&str> = Some("download the model again, or point base.id at a complete folder");

#[test]
fn damaged_weights_are_named() {
    type Damage = fn(&mut Tensors);
    let cases: [(Damage, &str, Option<&str>); 4] = [
        (
            |tensors| drop(tensors.remove("model.layers.1.mlp.up_proj.weight")),
            "DIR: tensor model.layers.1.mlp.up_proj.weight is missing",
            AGAIN,
        ),
        (
            |tensors| tensors.get_mut("model.norm.weight").unwrap().1 = vec![4, 8],
            "DIR/model.safetensors: tensor model.norm.weight has shape [4, 8]; config.json asks for [32]",
            None,
        ),
        (
            |tensors| {
                let data = &mut tensors.get_mut("lm_head.weight").unwrap().2;
                data[40..44].copy_from_slice(&f32::NAN.to_le_bytes());
            },
            "DIR/model.safetensors: tensor lm_head.weight holds NaN at element 10; expected finite numbers",
            None,
        ),
        (
            |tensors| tensors.get_mut("model.norm.weight").unwrap().0 = Dtype::I32,
            "DIR/model.safetensors: tensor model.norm.weight is i32; expected f32, f16 or bf16",
            None,
        ),
    ];
    for (damage, message, hint) in cases {
        let copy = copy();
        let path = copy.path().join("model.safetensors");
        let mut tensors = read(&path);
        damage(&mut tensors);
        write(&path, &tensors);
        assert_eq!(failure(copy.path(), load(copy.path())), bad(message, hint));
    }
}

#[test]
fn files_that_are_no_checkpoint_are_refused() {
    let copy = copy();
    let path = copy.path().join("model.safetensors");
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() - 100]).unwrap();
    let message = "DIR/model.safetensors: not a safetensors file: incomplete metadata, file not fully covered";
    assert_eq!(failure(copy.path(), load(copy.path())), bad(message, AGAIN));

    std::fs::remove_file(&path).unwrap();
    let message = "DIR: no weights; expected model.safetensors or model.safetensors.index.json";
    assert_eq!(failure(copy.path(), load(copy.path())), bad(message, AGAIN));

    std::fs::write(copy.path().join("pytorch_model.bin"), b"\x80\x02").unwrap();
    let message = "DIR/pytorch_model.bin: weights in pickle format are refused, because loading them can run code";
    let hint = "convert it with safetensors.torch.save_file, or choose a revision that has model.safetensors";
    assert_eq!(
        failure(copy.path(), load(copy.path())),
        bad(message, Some(hint))
    );

    let index = copy.path().join("model.safetensors.index.json");
    std::fs::write(
        &index,
        r#"{"weight_map": {"lm_head.weight": "../secret.safetensors"}}"#,
    )
    .unwrap();
    let message = "DIR/model.safetensors.index.json: not valid JSON: \
                   \"../secret.safetensors\" is not the name of a file in that folder";
    assert_eq!(failure(copy.path(), load(copy.path())), bad(message, None));

    std::fs::write(
        &index,
        r#"{"weight_map": {"lm_head.weight": "gone.safetensors"}}"#,
    )
    .unwrap();
    let expected = (
        ExitClass::Environment,
        "cannot read DIR/gone.safetensors: no such file or directory".to_owned(),
        None,
    );
    assert_eq!(failure(copy.path(), load(copy.path())), expected);
}

#[test]
fn shards_and_narrow_types_are_read() {
    let copy = copy();
    let single = copy.path().join("model.safetensors");
    let tensors = read(&single);
    std::fs::remove_file(&single).unwrap();
    let narrow = |(name, (_, shape, data)): (&String, &(Dtype, Vec<usize>, Vec<u8>))| {
        let floats = data
            .chunks_exact(4)
            .map(|four| f32::from_le_bytes(four.try_into().unwrap()));
        let bytes = floats
            .flat_map(|x| half::bf16::from_f32(x).to_le_bytes())
            .collect();
        (name.clone(), (Dtype::BF16, shape.clone(), bytes))
    };
    let (first, second): (Tensors, Tensors) = tensors
        .iter()
        .map(narrow)
        .partition(|(name, _)| name.contains("layers.0"));
    let mut map = serde_json::Map::new();
    for (file, part) in [("a.safetensors", &first), ("b.safetensors", &second)] {
        write(&copy.path().join(file), part);
        map.extend(part.keys().map(|name| (name.clone(), file.into())));
    }
    let index = serde_json::json!({"metadata": {}, "weight_map": map});
    std::fs::write(
        copy.path().join("model.safetensors.index.json"),
        index.to_string(),
    )
    .unwrap();
    let golden = Golden::open("llama");
    let batch = golden.batch();
    let all: Vec<usize> = (0..batch.ids.len()).collect();
    let logits = load(copy.path()).unwrap().logits_at(&batch, &all).unwrap();
    let logits: Vec<f32> = logits.flatten_all().unwrap().to_vec1().unwrap();
    assert_close(&logits, &golden.floats("base.logits"), 0.03, "bf16 shards");
}

#[test]
fn the_digest_binds_every_file() {
    let copy = copy();
    let digest = || BaseModel::open_dir("copy", copy.path()).unwrap().digest;
    let before = digest();
    assert_eq!(before, digest());
    assert_eq!(before.len(), 64);
    for name in [
        "config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "model.safetensors",
    ] {
        let path = copy.path().join(name);
        let whole = std::fs::read(&path).unwrap();
        let mut changed = whole.clone();
        let last = changed.len() - 1;
        changed[last] = if name.ends_with("json") {
            b' '
        } else {
            changed[last] ^ 1
        };
        if name != "config.json" {
            std::fs::write(&path, &changed).unwrap();
        } else {
            std::fs::write(&path, [whole.as_slice(), b" "].concat()).unwrap();
        }
        assert_ne!(before, digest(), "{name}");
        std::fs::write(&path, whole).unwrap();
    }
    assert_eq!(before, digest());
}

#[test]
fn ids_that_name_nothing_are_refused() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("file");
    std::fs::write(&file, "x").unwrap();
    let open = |id: &str| open_base(&request(id, home.path()), &mut |_| ());
    let hint = "use nano, the path of a GGUF file or of a folder with config.json, or an id such \
                as Qwen/Qwen3-0.6B";
    for id in [
        "",
        "nanoo",
        "/no/such/folder",
        "a/b/c",
        "owner/na me",
        "../x",
    ] {
        let message = format!("\"{id}\" is neither \"nano\", nor a folder, nor a Hub id");
        assert_eq!(failure(home.path(), open(id)), bad(&message, Some(hint)));
    }
    let found = failure(home.path(), open(file.to_str().unwrap()));
    let message = "DIR/file is neither a folder nor a GGUF file";
    assert_eq!(found, bad(message, Some(hint)));
    let missing = home.path().join("no.gguf");
    let found = failure(home.path(), open(missing.to_str().unwrap()));
    assert_eq!(found, bad("DIR/no.gguf: no such file", Some(hint)));
    let base = open(dir("llama").to_str().unwrap()).unwrap();
    assert_eq!((base.revision, base.config.vocab_size), (None, 160));
}

/// The golden llama's config with keys replaced; null removes a key.
fn config_with(changes: serde_json::Value) -> Result<ModelConfig, ModelError> {
    let text = std::fs::read_to_string(dir("llama").join("config.json")).unwrap();
    let mut map: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&text).unwrap();
    for (key, value) in changes.as_object().unwrap() {
        map.insert(key.clone(), value.clone());
    }
    let text = serde_json::to_string(&map).unwrap();
    ModelConfig::parse(&text, Path::new("DIR/config.json"))
}

#[test]
fn config_problems_name_the_key() {
    let family = Some("choose a base of a supported family, such as Qwen/Qwen3-0.6B");
    let cases = [
        (
            serde_json::json!({"model_type": "gpt2"}),
            "DIR/config.json: model type \"gpt2\" is not supported; \
             supported are llama, mistral, qwen2 and qwen3",
            family,
        ),
        (
            serde_json::json!({"rope_parameters": {"rope_type": "yarn", "factor": 2.0}}),
            "DIR/config.json: rope type \"yarn\" is not supported; \
             supported are default, linear and llama3",
            None,
        ),
        (
            serde_json::json!({"rope_parameters": {"rope_type": "linear"}}),
            "DIR/config.json: factor is missing; expected a number",
            None,
        ),
        (
            serde_json::json!({"hidden_size": "big"}),
            "DIR/config.json: hidden_size is \"big\"; expected a whole number",
            None,
        ),
        (
            serde_json::json!({"num_hidden_layers": 0}),
            "DIR/config.json: num_hidden_layers is 0; expected a positive whole number",
            None,
        ),
        (
            serde_json::json!({"vocab_size": null}),
            "DIR/config.json: vocab_size is null; expected a positive whole number",
            None,
        ),
        (
            serde_json::json!({"num_key_value_heads": 3}),
            "DIR/config.json: num_key_value_heads is 3; expected a divisor of num_attention_heads, 4",
            None,
        ),
        (
            serde_json::json!({"head_dim": 7}),
            "DIR/config.json: head_dim is 7; expected a positive even number",
            None,
        ),
        (
            serde_json::json!({"hidden_act": "gelu"}),
            "DIR/config.json: hidden_act is \"gelu\"; expected \"silu\"",
            None,
        ),
        (
            serde_json::json!({"quantization_config": {"bits": 4}}),
            "DIR/config.json: quantization_config is {\"bits\":4}; \
             expected none, because only unquantised bases can be trained on",
            None,
        ),
        (
            serde_json::json!({"tie_word_embeddings": "no"}),
            "DIR/config.json: tie_word_embeddings is \"no\"; expected true or false",
            None,
        ),
    ];
    for (changes, message, hint) in cases {
        assert_eq!(
            failure(Path::new("DIR"), config_with(changes)),
            bad(message, hint)
        );
    }
    let broken = ModelConfig::parse("{", Path::new("DIR/config.json"));
    let message = "DIR/config.json: not valid JSON: EOF while parsing an object at line 1 column 1";
    assert_eq!(failure(Path::new("DIR"), broken), bad(message, None));
}

#[test]
fn old_and_new_spellings_of_rope_are_the_same() {
    let new = config_with(serde_json::json!({"rope_parameters":
        {"rope_type": "llama3", "rope_theta": 5e5, "factor": 8.0, "low_freq_factor": 1.0,
         "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}}))
    .unwrap();
    let old = config_with(
        serde_json::json!({"rope_parameters": null, "rope_theta": 5e5, "rope_scaling":
        {"type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
         "original_max_position_embeddings": 8192}}),
    )
    .unwrap();
    let scaling = RopeScaling::Llama3 {
        factor: 8.0,
        low: 1.0,
        high: 4.0,
        original: 8192.0,
    };
    for config in [&new, &old] {
        assert_eq!((config.rope_theta, config.rope_scaling), (5e5, scaling));
    }
    assert_eq!(new.rope_frequencies(), old.rope_frequencies());
    let bare = config_with(serde_json::json!({"rope_parameters": null})).unwrap();
    assert_eq!(
        (bare.rope_theta, bare.rope_scaling),
        (10_000.0, RopeScaling::None)
    );
}

fn lora(targets: &[&str]) -> LoraConfig {
    let targets = targets.iter().map(|target| (*target).to_owned()).collect();
    LoraConfig {
        rank: 4,
        alpha: 8.0,
        targets,
        dropout: 0.0,
        rslora: false,
        ..LoraConfig::default()
    }
}

#[test]
fn lora_that_fits_nothing_is_refused() {
    let mut decoder = load(&dir("llama")).unwrap();
    let here = Path::new("DIR");
    let found = failure(here, decoder.attach_lora(&lora(&["q_proj", "c_attn"]), 1));
    let message = "no module is called \"c_attn\"; this model has \
                   q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj";
    assert_eq!(
        found,
        bad(
            message,
            Some("use --targets all-linear, or names from that list")
        )
    );
    let found = failure(
        here,
        decoder.attach_lora(
            &LoraConfig {
                rank: 0,
                ..lora(&["q_proj"])
            },
            1,
        ),
    );
    assert_eq!(found, bad("rank is 0; expected at least 1", None));
    let whole = LoraConfig {
        dropout: 1.0,
        ..lora(&["q_proj"])
    };
    let found = failure(here, decoder.attach_lora(&whole, 1));
    assert_eq!(
        found,
        bad("dropout is 1; expected at least 0 and less than 1", None)
    );
    decoder
        .attach_lora(&lora(&["model.layers.1.mlp.down_proj", "v_proj"]), 1)
        .unwrap();
    let names: Vec<String> = decoder
        .trainable()
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(
        names,
        [
            "base_model.model.model.layers.0.self_attn.v_proj.lora_A.weight",
            "base_model.model.model.layers.0.self_attn.v_proj.lora_B.weight",
            "base_model.model.model.layers.1.mlp.down_proj.lora_A.weight",
            "base_model.model.model.layers.1.mlp.down_proj.lora_B.weight",
            "base_model.model.model.layers.1.self_attn.v_proj.lora_A.weight",
            "base_model.model.model.layers.1.self_attn.v_proj.lora_B.weight",
        ]
    );
}

#[test]
fn batches_that_do_not_fit_are_refused() {
    let decoder = load(&dir("llama")).unwrap();
    let here = Path::new("DIR");
    let batch = |ids: &[u32]| TokenBatch::from_rows([(ids, vec![true; ids.len()].as_slice())]);
    let found = failure(here, decoder.loss_sum(&batch(&[5; 129])));
    let message = "row 0 of the batch has 129 tokens; the base reads at most 128";
    let hint = "`openlora config set train.max_len 128`, then `openlora data check FILE` names the \
                rows that are longer; shorten or split them";
    assert_eq!(found, bad(message, Some(hint)));
    let found = failure(here, decoder.loss_sum(&batch(&[5, 160])));
    let message = "token 160 at position 1 of the batch is not in the vocabulary of 160";
    assert_eq!(found, bad(message, None));
    let internal = |reason: &str| {
        (
            ExitClass::Internal,
            format!("the batch is malformed: {reason}"),
            None,
        )
    };
    let found = failure(
        here,
        decoder.loss_sum(&TokenBatch {
            offsets: vec![0, 1],
            ..batch(&[5, 6])
        }),
    );
    assert_eq!(
        found,
        internal("offsets must rise from 0 to the number of ids")
    );
    let found = failure(
        here,
        decoder.loss_sum(&TokenBatch {
            targets: vec![],
            ..batch(&[5, 6])
        }),
    );
    assert_eq!(found, internal("ids and targets differ in length"));
    let found = failure(here, decoder.logits_at(&batch(&[5, 6]), &[2]));
    assert_eq!(found, internal("position 2 is past its 2 tokens"));
}

#[test]
fn weights_are_counted() {
    let config = load(&dir("llama")).unwrap().config().clone();
    let weights: u64 = read(&dir("llama").join("model.safetensors"))
        .values()
        .map(|(_, shape, _)| shape.iter().product::<usize>() as u64)
        .sum();
    assert_eq!(parameters(&config), weights);
}

#[test]
fn embedded_files_are_unpacked_and_repaired() {
    const FILES: &[EmbeddedFile] = &[
        EmbeddedFile {
            name: "config.json",
            bytes: b"{}",
        },
        EmbeddedFile {
            name: "model.safetensors",
            bytes: b"weights",
        },
    ];
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("deep/nano");
    let contents = || {
        let mut names: Vec<(String, Vec<u8>)> = std::fs::read_dir(&dir)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| {
                (
                    path.file_name().unwrap().to_str().unwrap().to_owned(),
                    std::fs::read(path).unwrap(),
                )
            })
            .collect();
        names.sort();
        names
    };
    let right: Vec<(String, Vec<u8>)> = FILES
        .iter()
        .map(|file| (file.name.to_owned(), file.bytes.to_vec()))
        .collect();
    unpack(FILES, &dir).unwrap();
    assert_eq!(contents(), right);
    std::fs::write(dir.join("model.safetensors"), b"weighty").unwrap();
    std::fs::remove_file(dir.join("config.json")).unwrap();
    unpack(FILES, &dir).unwrap();
    assert_eq!(contents(), right);
    let written = dir
        .join("config.json")
        .metadata()
        .unwrap()
        .modified()
        .unwrap();
    unpack(FILES, &dir).unwrap();
    assert_eq!(
        dir.join("config.json")
            .metadata()
            .unwrap()
            .modified()
            .unwrap(),
        written
    );

    let blocked = home.path().join("file");
    std::fs::write(&blocked, "x").unwrap();
    let expected = (
        ExitClass::Environment,
        "cannot create DIR: not a directory".to_owned(),
        None,
    );
    assert_eq!(
        failure(&blocked.join("nano"), unpack(FILES, &blocked.join("nano"))),
        expected
    );
}

#[test]
fn the_embedded_base_is_opened_again_and_repaired() {
    let home = tempfile::tempdir().unwrap();
    let open = || {
        let base = open_base(&request("nano", home.path()), &mut |_| {}).unwrap();
        (base.dir, base.digest)
    };
    let first = open();
    assert_eq!(open(), first);
    // Named after its content, below the folder for embedded bases.
    assert_eq!(first.0.parent(), Some(home.path().join("nano").as_path()));
    let weights = first.0.join("model.safetensors");
    let mut bytes = std::fs::read(&weights).unwrap();
    bytes.truncate(1000);
    std::fs::write(&weights, bytes).unwrap();
    assert_eq!(open(), first);
    assert_eq!(
        std::fs::read(&weights).unwrap(),
        std::fs::read(repository().join("assets/nano/model.safetensors")).unwrap()
    );
}

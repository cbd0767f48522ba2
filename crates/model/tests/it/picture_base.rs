//! Bases that make pictures: where they are found, what they are made of, and their adapters in the
//! form of diffusers.

use std::path::{Path, PathBuf};

use openlora_core::error::Failure;
use openlora_model::{
    BaseRequest, ModelError, SelectedBase,
    adapter::{self, CONFIG_FILE, TASK_FILE, WEIGHTS_FILE},
    base_size,
    dataset::Task,
    export::{DIFFUSERS_FILE, write_diffusers},
    open_base, open_picture_base, select_base,
};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde_json::json;
use tempfile::TempDir;

use crate::paths::repository;

const QKV: &str = "model.net.double_blocks.0.img_qkv";
const CONFIG: &str = r#"{"_class_name": "MiniT2IMMJiTModel", "llm": "nano"}"#;

fn weights(shapes: &[(&str, &[usize])]) -> Vec<u8> {
    let bytes: Vec<Vec<u8>> = shapes
        .iter()
        .map(|(_, shape)| vec![0; 4 * shape.iter().product::<usize>()])
        .collect();
    let views = shapes.iter().zip(&bytes).map(|((name, shape), bytes)| {
        let view = TensorView::new(Dtype::F32, shape.to_vec(), bytes).unwrap();
        (*name, view)
    });
    safetensors::serialize(views, None).unwrap()
}

/// A denoiser of two linear layers, a convolution and a norm.
fn denoiser(dir: &Path, config: &str) {
    std::fs::create_dir_all(dir).unwrap();
    std::fs::write(dir.join("config.json"), config).unwrap();
    let tensors = weights(&[
        ("model.net.img_embedder.proj1.weight", &[4, 3, 2, 2]),
        ("model.net.double_blocks.0.img_qkv.weight", &[6, 2]),
        ("model.net.double_blocks.0.img_qkv.bias", &[6]),
        ("model.net.double_blocks.0.img_norm1.weight", &[2]),
        ("model.net.final_layer.linear.weight", &[12, 2]),
    ]);
    std::fs::write(dir.join("diffusion_pytorch_model.safetensors"), tensors).unwrap();
}

fn request(id: &Path, home: &Path) -> BaseRequest {
    BaseRequest {
        id: id.to_str().unwrap().to_owned(),
        revision: "main".to_owned(),
        endpoint: "http://127.0.0.1:9".to_owned(),
        models_dir: home.join("models"),
        nano_dir: home.join("nano"),
        token: None,
        offline: true,
    }
}

fn home() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn said(error: impl Into<Failure>) -> String {
    let failure: Failure = error.into();
    format!(
        "{}\nhint: {}",
        failure.message,
        failure.hint.unwrap_or_default()
    )
}

#[test]
fn the_embedded_base_for_pictures_reads_captions_with_that_for_text() {
    let home = home();
    let base = open_picture_base(&request("pico".as_ref(), home.path()), &mut |_| ()).unwrap();
    assert_eq!((base.id.as_str(), base.revision.as_deref()), ("pico", None));
    let names: Vec<String> = base
        .files()
        .unwrap()
        .into_iter()
        .map(|it| it.name)
        .collect();
    assert_eq!(
        names,
        [
            "config.json",
            "diffusion_pytorch_model.safetensors",
            "text_encoder/config.json",
            "text_encoder/model.safetensors",
            "text_encoder/tokenizer.json",
            "text_encoder/tokenizer_config.json",
        ]
    );
    let nano = open_base(&request("nano".as_ref(), home.path()), &mut |_| ()).unwrap();
    assert_eq!(base.text_dir, nano.dir);
    assert!(base.modules.iter().any(|module| module.path == QKV));
    assert!(matches!(
        base_size("pico").unwrap_err(),
        ModelError::MakesPictures { .. }
    ));
}

#[test]
fn the_layouts_of_a_folder_are_one_base() {
    let home = home();
    let root = home.path().join("base");
    let mut digests = Vec::new();
    for folder in ["", "transformer", "minit2i-b-16/transformer"] {
        let dir = root.join(folder.replace('/', "_"));
        denoiser(&dir.join(folder), CONFIG);
        let base = open_picture_base(&request(&dir, home.path()), &mut |_| ()).unwrap();
        assert_eq!(base.dir, dir.join(folder));
        let modules: Vec<(&str, usize, usize)> = base
            .modules
            .iter()
            .map(|it| (it.path.as_str(), it.in_dim, it.out_dim))
            .collect();
        // A convolution and norms are no linear layers.
        let head = "model.net.final_layer.linear";
        assert_eq!(modules, [(QKV, 2, 6), (head, 2, 12)], "{folder}");
        assert_eq!(base.parameters, 48 + 12 + 6 + 2 + 24);
        digests.push(base.digest);
    }
    assert_eq!(digests[0], digests[1]);
    assert_eq!(digests[1], digests[2]);
}

#[test]
fn a_base_has_the_text_encoder_beside_it() {
    let home = home();
    let root = home.path().join("base");
    denoiser(
        &root.join("transformer"),
        r#"{"_class_name": "MiniT2IMMJiTModel"}"#,
    );
    let nano = open_base(&request("nano".as_ref(), home.path()), &mut |_| ()).unwrap();
    let text = root.join("text_encoder");
    std::fs::create_dir_all(&text).unwrap();
    for name in ["config.json", "tokenizer.json", "model.safetensors"] {
        std::fs::copy(nano.dir.join(name), text.join(name)).unwrap();
    }
    let base = open_picture_base(&request(&root, home.path()), &mut |_| ()).unwrap();
    assert_eq!(base.text_dir, text);
    let before = base.digest;
    std::fs::write(text.join("tokenizer.json"), "{}").unwrap();
    let base = open_picture_base(&request(&root, home.path()), &mut |_| ()).unwrap();
    assert_ne!(base.digest, before, "the digest binds the text encoder");
}

#[test]
fn a_base_of_the_other_kind_is_refused_by_name() {
    let home = home();
    let pictures = open_base(&request("pico".as_ref(), home.path()), &mut |_| ()).unwrap_err();
    assert_eq!(
        said(pictures),
        "the base pico makes pictures, expected one that writes text\nhint: for pictures, set \
         project.task to image; for text, choose another base, such as nano"
    );
    let text = open_picture_base(&request("nano".as_ref(), home.path()), &mut |_| ());
    assert_eq!(
        said(text.unwrap_err()),
        "the base nano writes text, expected one that makes pictures\nhint: for pictures, set base.id \
         to pico; for text, leave project.task = \"image\" out"
    );
    let either = |id: &str| select_base(&request(id.as_ref(), home.path()), &mut |_| ()).unwrap();
    assert!(matches!(either("nano"), SelectedBase::Text(_)));
    assert!(matches!(either("pico"), SelectedBase::Pictures(_)));
}

#[test]
fn damaged_bases_are_refused_by_name() {
    let home = home();
    let open = |dir: &Path| open_picture_base(&request(dir, home.path()), &mut |_| ());
    let dir = |name: &str, config: &str| -> PathBuf {
        let dir = home.path().join(name);
        denoiser(&dir, config);
        dir
    };
    let broken = dir("broken", "{");
    assert!(matches!(
        open(&broken).unwrap_err(),
        ModelError::Json { .. }
    ));
    let unnamed = dir("unnamed", r#"{"_class_name": "MiniT2IMMJiTModel"}"#);
    assert_eq!(
        open(&unnamed).unwrap_err().to_string(),
        format!(
            "{}: llm is not there; expected the base that reads captions",
            unnamed.join("config.json").display()
        )
    );
    let foreign = dir(
        "foreign",
        r#"{"_class_name": "MiniT2IMMJiTModel", "llm": "../../etc"}"#,
    );
    assert!(matches!(
        open(&foreign).unwrap_err(),
        ModelError::BaseId { .. }
    ));
    let absent = dir(
        "absent",
        r#"{"_class_name": "MiniT2IMMJiTModel", "llm": "google/none"}"#,
    );
    assert!(matches!(open(&absent).unwrap_err(), ModelError::Hub { .. }));
    let empty = dir("empty", CONFIG);
    std::fs::remove_file(empty.join("diffusion_pytorch_model.safetensors")).unwrap();
    assert!(matches!(
        open(&empty).unwrap_err(),
        ModelError::NoWeights { .. }
    ));
    let short = dir("short", CONFIG);
    let file = short.join("diffusion_pytorch_model.safetensors");
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() - 1]).unwrap();
    assert!(matches!(
        open(&short).unwrap_err(),
        ModelError::Safetensors { .. }
    ));
}

/// An adapter for pictures with two ranks.
fn adapter_for_pictures(dir: &Path) {
    let head = "model.net.final_layer.linear";
    let config = json!({
        "peft_type": "LORA", "r": 1, "lora_alpha": 3, "target_modules": ["img_qkv", "linear"],
        "rank_pattern": {"final_layer.linear": 2},
    });
    std::fs::create_dir_all(dir).unwrap();
    std::fs::write(dir.join(CONFIG_FILE), config.to_string()).unwrap();
    let name = |module: &str, factor: &str| format!("base_model.model.{module}.{factor}.weight");
    let parts = [
        (name(QKV, "lora_A"), vec![1, 2], vec![1.0f32, 2.0]),
        (
            name(QKV, "lora_B"),
            vec![6, 1],
            vec![1.0, 0.0, 0.0, 0.0, 0.0, 5.0],
        ),
        (name(head, "lora_A"), vec![2, 2], vec![1.0, 0.0, 0.0, 1.0]),
        (name(head, "lora_B"), vec![12, 2], vec![2.0; 24]),
    ];
    let bytes: Vec<Vec<u8>> = parts
        .iter()
        .map(|(.., values)| values.iter().flat_map(|x| x.to_le_bytes()).collect())
        .collect();
    let views = parts.iter().zip(&bytes).map(|((name, shape, _), bytes)| {
        let view = TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap();
        (name, view)
    });
    let file = safetensors::serialize(views, None).unwrap();
    std::fs::write(dir.join(WEIGHTS_FILE), file).unwrap();
}

fn card(dir: &Path, task: &str) {
    let card = json!({
        "name": "icons", "task": {"kind": task}, "base_id": "pico", "base_digest": "aa",
    });
    std::fs::write(dir.join(TASK_FILE), card.to_string()).unwrap();
}

#[test]
fn the_file_of_diffusers_needs_no_alpha() {
    let home = home();
    let dir = home.path().join("adapter");
    adapter_for_pictures(&dir);
    card(&dir, "image");
    let adapter = adapter::read(&dir).unwrap();
    assert_eq!(adapter.task.as_ref().unwrap().task, Task::Image);
    let out = home.path().join("out");
    let written = write_diffusers(&adapter, &out).unwrap();
    assert_eq!(written.files, [DIFFUSERS_FILE]);
    let bytes = std::fs::read(out.join(DIFFUSERS_FILE)).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let values = |name: &str| -> (Vec<usize>, Vec<f32>) {
        let view = file.tensor(name).unwrap();
        let (four, _) = view.data().as_chunks();
        let values = four.iter().map(|it| f32::from_le_bytes(*it));
        (view.shape().to_vec(), values.collect())
    };
    let at = |module: &str, factor: &str| values(&format!("transformer.{module}.{factor}.weight"));
    // The rank is the largest one everywhere, and B has the scale alpha / r of its module.
    assert_eq!(at(QKV, "lora_A"), (vec![2, 2], vec![1.0, 2.0, 0.0, 0.0]));
    let b = [3.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 15.0, 0.0];
    assert_eq!(at(QKV, "lora_B"), (vec![6, 2], b.to_vec()));
    let head = at("model.net.final_layer.linear", "lora_B");
    assert_eq!(head, (vec![12, 2], vec![3.0; 24]));
    assert_eq!(file.len(), 4);
}

#[test]
fn adapters_for_text_have_no_file_of_diffusers() {
    let home = home();
    let dir = home.path().join("adapter");
    adapter_for_pictures(&dir);
    card(&dir, "text");
    let adapter = adapter::read(&dir).unwrap();
    let out = home.path().join("out");
    let refused = said(write_diffusers(&adapter, &out).unwrap_err());
    assert_eq!(
        refused.replace(dir.to_str().unwrap(), "DIR"),
        "adapter DIR: it is for a base that writes text, and the file of diffusers is a form for bases \
         that make pictures\nhint: use peft, merged or gguf for --format"
    );
    assert!(!out.exists());
    let dora = repository().join("tests/data/golden/llama.dora");
    let refused = write_diffusers(&adapter::read(&dora).unwrap(), &out).unwrap_err();
    assert!(refused.to_string().contains("DoRA"), "{refused}");
}

//! Exported merged folders compute what PEFT's merged models compute.

use std::path::Path;

use half::bf16;
use openlora_decoder::Decoder;
use openlora_model::{BaseModel, WeightPrecision, adapter, export::write_merged};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use crate::{
    files,
    golden::dir,
    oracle::{Golden, assert_close},
};

const TOLERANCE: f32 = 1e-4;
const PAIRS: [(&str, &str); 9] = [
    ("llama", "all-linear"),
    ("llama", "qv"),
    ("llama", "rslora"),
    ("llama", "patterns"),
    ("llama", "dora"),
    ("mistral", "all-linear"),
    ("qwen2", "all-linear"),
    ("qwen3", "all-linear"),
    ("qwen3", "qv"),
];

fn logits(base: &BaseModel, golden: &Golden) -> Vec<f32> {
    let decoder = Decoder::load(base, WeightPrecision::F32).unwrap();
    let batch = golden.batch();
    let all: Vec<usize> = (0..batch.ids.len()).collect();
    let logits = decoder.logits_at(&batch, &all).unwrap();
    logits.flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn a_merged_folder_computes_what_peft_merges() {
    for (name, adapter) in PAIRS {
        let golden = Golden::open(name);
        let home = tempfile::tempdir().unwrap();
        let out = home.path().join("merged");
        let adapter_dir = dir(&format!("{name}.{adapter}"));
        let read = adapter::read(&adapter_dir).unwrap();
        let mut bytes = 0;
        let written = write_merged(&read, &golden.base(), &out, &mut |more| bytes += more);
        let written = written.unwrap();
        let weights = out.join("model.safetensors").metadata().unwrap().len();
        assert_eq!(bytes, weights);
        assert_eq!(
            written.files,
            [
                "chat_template.jinja",
                "config.json",
                "generation_config.json",
                "model.safetensors",
                "tokenizer.json",
                "tokenizer_config.json",
            ]
        );
        let merged = BaseModel::open_dir("merged", &out).unwrap();
        let expected = golden.floats(&format!("{adapter}.merged_logits"));
        let what = format!("{name} {adapter}");
        assert_close(&logits(&merged, &golden), &expected, TOLERANCE, &what);
    }
}

/// Rewrites the weights of a folder in bf16.
fn to_bf16(dir: &Path) {
    let path = dir.join("model.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let rounded: Vec<(String, Vec<usize>, Vec<u8>)> = file
        .tensors()
        .into_iter()
        .map(|(name, view)| {
            let words = view.data().chunks_exact(4);
            let value = |word: &[u8]| f32::from_le_bytes(word.try_into().unwrap());
            let halves = words.flat_map(|word| bf16::from_f32(value(word)).to_le_bytes());
            (name, view.shape().to_vec(), halves.collect())
        })
        .collect();
    let views = rounded.iter().map(|(name, shape, data)| {
        let view = TensorView::new(Dtype::BF16, shape.clone(), data).unwrap();
        (name, view)
    });
    let bytes = safetensors::serialize(views, None).unwrap();
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn the_type_of_the_base_stays_and_other_weights_are_untouched() {
    let home = tempfile::tempdir().unwrap();
    let base_dir = home.path().join("base");
    files::copy(&dir("llama"), &base_dir);
    to_bf16(&base_dir);
    let base = BaseModel::open_dir("base", &base_dir).unwrap();
    let read = adapter::read(&dir("llama.qv")).unwrap();
    let out = home.path().join("merged");
    write_merged(&read, &base, &out, &mut |_| ()).unwrap();
    let [before, after] = [&base_dir, &out].map(|dir| {
        let bytes = std::fs::read(dir.join("model.safetensors")).unwrap();
        bytes.leak() as &[u8]
    });
    let before = SafeTensors::deserialize(before).unwrap();
    let after = SafeTensors::deserialize(after).unwrap();
    let mut changed = Vec::new();
    for (name, view) in after.tensors() {
        let original = before.tensor(&name).unwrap();
        assert_eq!(
            (view.dtype(), view.shape()),
            (Dtype::BF16, original.shape())
        );
        if view.data() != original.data() {
            changed.push(name);
        }
    }
    changed.sort();
    let adapted: Vec<String> = read
        .modules
        .iter()
        .map(|module| format!("{}.weight", module.path))
        .collect();
    assert_eq!(changed, adapted);
}

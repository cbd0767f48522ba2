//! Adapters in the files of PEFT and of diffusers.

use std::path::PathBuf;

use openlora_diffusion::ImageAdapter;
use openlora_model::adapter::{WriteRequest, read, write};
use safetensors::SafeTensors;

use crate::golden::GoldenModel;

#[test]
fn an_adapter_that_peft_wrote_is_read() {
    let golden = GoldenModel::open("pico");
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/pico/peft");
    let written = read(&folder).expect("the adapter");
    let adapter = ImageAdapter::from_peft(&golden.model, &written).expect("the factors");
    assert_eq!(adapter, golden.adapter());
}

#[test]
fn an_adapter_is_written_and_read_back() {
    let golden = GoldenModel::open("pico");
    let adapter = golden.adapter();
    let request = WriteRequest {
        base_model: "pico".to_owned(),
        revision: None,
        rank: 3,
        alpha: 6.0,
        dropout: 0.0,
        rslora: false,
        dora: false,
        rank_pattern: Vec::new(),
        alpha_pattern: Vec::new(),
        target_modules: adapter.target_modules(),
        tensors: adapter.peft_tensors(),
        task: None,
        samples: None,
    };
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path().join("adapter");
    write(&folder, &request).expect("the files");
    let read = read(&folder).expect("the adapter");
    let found = ImageAdapter::from_peft(&golden.model, &read).expect("the factors");
    assert_eq!(found, adapter);
}

#[test]
fn the_file_of_diffusers_has_the_scale_in_its_second_factor() {
    let golden = GoldenModel::open("pico");
    let adapter = golden.adapter();
    let bytes = adapter.diffusers_file().expect("a file");
    let file = SafeTensors::deserialize(&bytes).expect("a safetensors file");
    assert_eq!(file.names().len(), 2 * adapter.places().len());
    let place = &adapter.places()[0];
    let name = format!("transformer.{}.lora_B.weight", place.path);
    let tensor = file.tensor(&name).expect("the second factor");
    assert_eq!(tensor.shape(), [place.outputs, place.rank]);
    let first = tensor
        .data()
        .as_chunks()
        .0
        .first()
        .map(|word| f32::from_le_bytes(*word));
    assert_eq!(first, Some(adapter.values()[place.b.start] * 2.0));
}

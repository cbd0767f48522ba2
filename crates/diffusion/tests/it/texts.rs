//! Text encoders against transformers, and the embedded model.

use std::{fs, path::PathBuf, sync::atomic::AtomicBool};

use openlora_diffusion::{
    CONFIG_FILE, CaptionEmbedding, DiffusionError, FlowSampler, ImageModel, NanoTextEncoder,
    SampleRequest, T5TextEncoder, TextEncoder, WEIGHTS_FILE, sample,
};
use safetensors::SafeTensors;
use serde_json::Value;

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn assert_states(name: &str, encoder: &dyn TextEncoder) {
    let folder = folder("tests/data").join(name);
    let expected = fs::read(folder.join("expected.json")).expect("expected.json");
    let expected: Value = serde_json::from_slice(&expected).expect("JSON");
    let text = expected["text"].as_str().expect("a text");
    let found = encoder.encode(text).expect("an embedding");
    let ids = expected["ids"].as_array().expect("ids");
    assert_eq!(found.tokens(), ids.len());
    assert_eq!(encoder.count(text).expect("a number"), ids.len());
    let bytes = fs::read(folder.join("expected.safetensors")).expect("expected.safetensors");
    let file = SafeTensors::deserialize(&bytes).expect("the expected tensors");
    let states = file.tensor("states").expect("states");
    assert_eq!(states.shape(), [found.tokens(), found.width()]);
    let expected = states
        .data()
        .as_chunks()
        .0
        .iter()
        .map(|word| f32::from_le_bytes(*word));
    for (at, (found, expected)) in found.values().iter().zip(expected).enumerate() {
        let difference = (found - expected).abs();
        assert!(
            difference <= 1e-4,
            "{name}[{at}]: {found}, transformers has {expected}"
        );
    }
}

fn nano() -> NanoTextEncoder {
    NanoTextEncoder::open(&folder("../../assets/nano")).expect("the embedded base")
}

#[test]
fn states_of_t5_match() {
    let encoder = T5TextEncoder::open(&folder("tests/data/t5")).expect("the encoder");
    assert_states("t5", &encoder);
    assert!(matches!(
        encoder.encode("  "),
        Err(DiffusionError::EmptyCaption)
    ));
    let refused = encoder.encode_ids(&[1; 513]);
    assert!(
        matches!(
            refused,
            Err(DiffusionError::CaptionTooLong {
                found: 513,
                most: 512
            })
        ),
        "{refused:?}"
    );
}

#[test]
fn states_of_nano_match() {
    let encoder = nano();
    assert_states("nano", &encoder);
    assert!(matches!(
        encoder.encode(""),
        Err(DiffusionError::EmptyCaption)
    ));
    let long = "red ".repeat(600);
    assert!(encoder.count(&long).expect("a number") >= 600);
    let refused = encoder.encode(&long);
    assert!(
        matches!(refused, Err(DiffusionError::CaptionTooLong { .. })),
        "{refused:?}"
    );
}

#[test]
fn the_embedded_model_makes_the_ground_that_a_caption_names() {
    let read = |name: &str| fs::read(folder("../../assets/pico").join(name)).expect(name);
    let model = ImageModel::read(&read(CONFIG_FILE), &read(WEIGHTS_FILE)).expect("pico");
    let encoder = nano();
    let picture = |caption: &CaptionEmbedding| {
        let request = SampleRequest {
            caption,
            seed: 3,
            steps: model.config().default_steps,
            guidance: model.config().default_guidance,
            sampler: FlowSampler::Euler,
        };
        sample(&model, None, &request, &AtomicBool::new(false)).expect("a picture")
    };
    let grounds = [
        ("a white star on blue", [32, 84, 224]),
        ("a blue circle on yellow", [255, 224, 32]),
    ];
    for (caption, expected) in grounds {
        let picture = picture(&encoder.encode(caption).expect("an embedding"));
        let mut distance = 0;
        for (x, y) in [(2, 2), (61, 2), (2, 61), (61, 61)] {
            for (found, expected) in picture.pixel(x, y).into_iter().zip(expected) {
                distance += u32::from(found.abs_diff(expected));
            }
        }
        assert!(
            distance < 12 * 30,
            "{caption}: corners differ by {distance}"
        );
    }
    let long = encoder.encode(&"red ".repeat(60)).expect("an embedding");
    let request = SampleRequest {
        caption: &long,
        seed: 0,
        steps: 1,
        guidance: 1.0,
        sampler: FlowSampler::Euler,
    };
    let refused = sample(&model, None, &request, &AtomicBool::new(false));
    assert!(
        matches!(refused, Err(DiffusionError::CaptionTooLong { .. })),
        "{refused:?}"
    );
}

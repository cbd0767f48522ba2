//! Forward pass, gradients, training and samples against PyTorch; `tests/data/make.py` made the vectors.

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    sync::{Arc, atomic::AtomicBool},
};

use openlora_diffusion::{
    CONFIG_FILE, CaptionEmbedding, FlowMeasure, FlowSampler, ImageAdamW, ImageAdapter,
    ImageExample, ImageModel, ImageTrainOptions, ImageTrainer, ModuleFactors, SampleRequest,
    TimeNoise, WEIGHTS_FILE, example_gradients, sample_pixels,
};
use safetensors::SafeTensors;
use serde_json::Value;

const MODELS: [&str; 2] = ["minit2i", "pico"];
/// Of values of the order of one, and of gradients relative to their largest value.
const TOLERANCE: f32 = 1e-4;

pub struct GoldenModel {
    pub model: Arc<ImageModel>,
    tensors: BTreeMap<String, Vec<f32>>,
    expected: Value,
    pub pictures: Vec<Vec<f32>>,
    pub captions: Vec<CaptionEmbedding>,
}

impl GoldenModel {
    pub fn open(name: &str) -> Self {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("tests/data")
            .join(name);
        let read = |file: &str| fs::read(folder.join(file)).expect(file);
        let model = ImageModel::read(&read(CONFIG_FILE), &read(WEIGHTS_FILE)).expect("the model");
        let bytes = read("expected.safetensors");
        let file = SafeTensors::deserialize(&bytes).expect("the expected tensors");
        let values = |data: &[u8]| -> Vec<f32> {
            let words = data.as_chunks().0;
            words.iter().map(|word| f32::from_le_bytes(*word)).collect()
        };
        let tensors: BTreeMap<String, Vec<f32>> = file
            .tensors()
            .into_iter()
            .map(|(name, view)| (name, values(view.data())))
            .collect();
        let expected: Value = serde_json::from_slice(&read("expected.json")).expect("JSON");
        let config = model.config();
        let pictures = tensors["pictures"]
            .chunks(config.pixels())
            .map(<[f32]>::to_vec);
        let pictures = pictures.collect();
        let mut captions = Vec::new();
        let mut rest = &tensors["captions"][..];
        for tokens in numbers(&expected["lengths"]) {
            let (own, after) = rest.split_at(tokens as usize * config.text_width);
            captions
                .push(CaptionEmbedding::new(config.text_width, own.to_vec()).expect("a caption"));
            rest = after;
        }
        Self {
            model: Arc::new(model),
            tensors,
            expected,
            pictures,
            captions,
        }
    }

    pub fn examples(&self) -> Vec<ImageExample<'_>> {
        let pairs = self.pictures.iter().zip(&self.captions);
        pairs
            .map(|(pixels, caption)| ImageExample { pixels, caption })
            .collect()
    }

    pub fn adapter(&self) -> ImageAdapter {
        let mut paths: Vec<&str> = Vec::new();
        for name in self.tensors.keys() {
            let path = name.strip_prefix("factor.base_model.model.");
            if let Some(path) = path.and_then(|path| path.strip_suffix(".lora_A.weight")) {
                paths.push(path);
            }
        }
        let rank = self.expected["rank"].as_u64().expect("a rank") as usize;
        let scale = self.expected["alpha"].as_f64().expect("an alpha") / rank as f64;
        let factor = |path: &str, name: &str| {
            self.tensors[&format!("factor.base_model.model.{path}.{name}.weight")].clone()
        };
        let factors: Vec<ModuleFactors> = paths
            .into_iter()
            .map(|path| ModuleFactors {
                path: path.to_owned(),
                rank,
                scale,
                a: factor(path, "lora_A"),
                b: factor(path, "lora_B"),
            })
            .collect();
        ImageAdapter::from_factors(&self.model, &factors).expect("the adapter")
    }

    fn assert_near(&self, name: &str, found: &[f32]) {
        let expected = &self.tensors[name];
        assert_eq!(found.len(), expected.len(), "{name}");
        let largest = expected.iter().fold(1.0f32, |most, x| most.max(x.abs()));
        for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
            let difference = (found - expected).abs();
            assert!(
                difference <= TOLERANCE * largest,
                "{name}[{at}]: {found}, PyTorch has {expected}"
            );
        }
    }
}

impl GoldenModel {
    /// As [`Self::assert_near`], of the root mean square of the differences: where a gradient is nearly
    /// zero, AdamW turns its rounding error into a step of full length.
    fn assert_near_on_average(&self, name: &str, found: &[f32]) {
        let expected = &self.tensors[name];
        assert_eq!(found.len(), expected.len(), "{name}");
        let pairs = found.iter().zip(expected);
        let squares: f32 = pairs
            .map(|(found, expected)| (found - expected).powi(2))
            .sum();
        let difference = (squares / found.len() as f32).sqrt();
        assert!(difference <= TOLERANCE, "{name} differs by {difference}");
    }
}

fn numbers(value: &Value) -> Vec<f64> {
    let values = value.as_array().expect("a list").iter();
    values
        .map(|value| value.as_f64().expect("a number"))
        .collect()
}

pub fn options() -> ImageTrainOptions {
    ImageTrainOptions {
        seed: 11,
        optimizer: ImageAdamW {
            beta2: 0.95,
            weight_decay: 0.1,
            ..ImageAdamW::default()
        },
        caption_dropout: 0.3,
        clip: 1.0,
        mean_decay: 0.9,
    }
}

fn assert_losses(found: &[f64], expected: &Value) {
    for (step, (found, expected)) in found.iter().zip(numbers(expected)).enumerate() {
        let difference = (found - expected).abs();
        assert!(
            difference <= f64::from(TOLERANCE) * expected,
            "step {step}: {found}, PyTorch has {expected}"
        );
    }
}

#[test]
fn gradients_of_all_parameters_match() {
    for name in MODELS {
        let golden = GoldenModel::open(name);
        let mut trainer = ImageTrainer::of_model((*golden.model).clone(), options());
        let (loss, gradient) = trainer.gradient(&golden.examples()).expect("a gradient");
        assert_losses(&[loss], &golden.expected["ten_losses"]);
        for place in &golden.model.layout().parameters {
            golden.assert_near(
                &format!("grad.{}", place.name),
                &gradient[place.range.clone()],
            );
        }
    }
}

#[test]
fn ten_steps_of_the_model_match() {
    for name in MODELS {
        let golden = GoldenModel::open(name);
        let mut trainer = ImageTrainer::of_model((*golden.model).clone(), options());
        let examples = golden.examples();
        let losses: Vec<f64> = (0..10)
            .map(|_| trainer.step(&examples, 3e-3).expect("a step").loss)
            .collect();
        assert_losses(&losses, &golden.expected["ten_losses"]);
        let mean = trainer.mean_model();
        for place in &golden.model.layout().parameters {
            let values = &mean.values()[place.range.clone()];
            golden.assert_near_on_average(&format!("mean.{}", place.name), values);
        }
    }
}

#[test]
fn gradients_of_factors_match() {
    for name in MODELS {
        let golden = GoldenModel::open(name);
        let adapter = golden.adapter();
        let points = TimeNoise::stratified(golden.model.config(), 31, 4);
        let times = numbers(&golden.expected["times"]);
        for (point, time) in points.iter().zip(&times) {
            assert!((f64::from(point.time) - time).abs() < 1e-6);
        }
        for (measure, prefix) in [
            (FlowMeasure::Loss, "loss"),
            (FlowMeasure::SquaredOutput, "output"),
        ] {
            let (pixels, caption) = (&golden.pictures[0], &golden.captions[0]);
            let gradient =
                example_gradients(&golden.model, &adapter, pixels, caption, &points, measure)
                    .expect("gradients");
            for place in adapter.places() {
                let name =
                    |factor| format!("{prefix}.base_model.model.{}.{factor}.weight", place.path);
                golden.assert_near(&name("lora_A"), &gradient[place.a.clone()]);
                golden.assert_near(&name("lora_B"), &gradient[place.b.clone()]);
            }
        }
    }
}

#[test]
fn ten_steps_of_factors_match() {
    for name in MODELS {
        let golden = GoldenModel::open(name);
        let mut trainer =
            ImageTrainer::of_adapter(golden.model.clone(), golden.adapter(), options());
        let examples = golden.examples();
        let losses: Vec<f64> = (0..10)
            .map(|_| trainer.step(&examples, 1e-2).expect("a step").loss)
            .collect();
        assert_losses(&losses, &golden.expected["adapter_ten_losses"]);
    }
}

#[test]
fn samples_match() {
    for name in MODELS {
        let golden = GoldenModel::open(name);
        let adapter = golden.adapter();
        let cases = [
            ("sample.euler", 0, 21, 4, 2.5, FlowSampler::Euler, None),
            ("sample.heun", 1, 22, 3, 2.5, FlowSampler::Heun, None),
            (
                "sample.adapted",
                3,
                23,
                4,
                2.0,
                FlowSampler::Euler,
                Some(&adapter),
            ),
        ];
        for (tensor, caption, seed, steps, guidance, sampler, adapter) in cases {
            let request = SampleRequest {
                caption: &golden.captions[caption],
                seed,
                steps,
                guidance,
                sampler,
            };
            let pixels = sample_pixels(&golden.model, adapter, &request, &AtomicBool::new(false));
            golden.assert_near(tensor, &pixels.expect("a picture"));
        }
    }
}

//! The same seed gives the same bits: on any number of threads, after a restart, in any company.

use std::sync::atomic::{AtomicBool, Ordering};

use openlora_diffusion::{
    DiffusionError, FlowMeasure, FlowSampler, ImageAdapter, ImageAdapterConfig, ImageModel,
    ImageModelConfig, ImageTrainer, SampleRequest, TimeNoise, branches, example_gradients, sample,
    sample_cost,
};

use crate::golden::{GoldenModel, options};

fn on_threads<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
    pool.build().expect("a pool").install(work)
}

#[test]
fn a_picture_is_the_same_on_any_number_of_threads_and_beside_others() {
    let golden = GoldenModel::open("pico");
    let request = SampleRequest {
        caption: &golden.captions[0],
        seed: 5,
        steps: 3,
        guidance: 2.0,
        sampler: FlowSampler::Heun,
    };
    let make =
        || sample(&golden.model, None, &request, &AtomicBool::new(false)).expect("a picture");
    let alone = on_threads(1, make);
    assert_eq!(on_threads(3, make), alone);
    let beside = on_threads(2, || {
        let other = SampleRequest {
            seed: 6,
            ..request.clone()
        };
        let other = || sample(&golden.model, None, &other, &AtomicBool::new(false));
        rayon::join(make, other).0
    });
    assert_eq!(beside, alone);
    let other_seed = SampleRequest {
        seed: 6,
        ..request.clone()
    };
    let other = sample(&golden.model, None, &other_seed, &AtomicBool::new(false));
    assert_ne!(other.expect("a picture"), alone);
}

#[test]
fn training_is_the_same_on_any_number_of_threads() {
    let golden = GoldenModel::open("pico");
    let train = || {
        let mut trainer = ImageTrainer::of_model((*golden.model).clone(), options());
        for _ in 0..3 {
            trainer.step(&golden.examples(), 1e-3).expect("a step");
        }
        trainer.state().expect("a state")
    };
    assert_eq!(on_threads(1, train), on_threads(4, train));
}

#[test]
fn a_resumed_training_ends_with_the_same_bits() {
    let golden = GoldenModel::open("minit2i");
    let fresh = || ImageTrainer::of_adapter(golden.model.clone(), golden.adapter(), options());
    let mut whole = fresh();
    for _ in 0..2 {
        whole.step(&golden.examples(), 1e-3).expect("a step");
    }
    let state = whole.state().expect("a state");
    whole.step(&golden.examples(), 1e-3).expect("a step");
    let mut resumed = fresh();
    resumed.restore(&state).expect("the state");
    assert_eq!(resumed.steps(), 2);
    resumed.step(&golden.examples(), 1e-3).expect("a step");
    assert_eq!(
        resumed.state().expect("a state"),
        whole.state().expect("a state")
    );
    assert_eq!(resumed.mean_adapter(), whole.mean_adapter());
}

#[test]
fn a_state_of_another_training_is_refused() {
    let golden = GoldenModel::open("minit2i");
    let of_model = ImageTrainer::of_model((*golden.model).clone(), options());
    let state = of_model.state().expect("a state");
    let mut of_adapter =
        ImageTrainer::of_adapter(golden.model.clone(), golden.adapter(), options());
    let before = of_adapter.state().expect("a state");
    let refused = of_adapter.restore(&state);
    assert!(
        matches!(refused, Err(DiffusionError::Shape { .. })),
        "{refused:?}"
    );
    assert!(of_adapter.restore(&before[..40]).is_err());
    assert_eq!(of_adapter.state().expect("a state"), before);
}

#[test]
fn gradients_of_several_points_are_the_sum_of_their_own() {
    let golden = GoldenModel::open("pico");
    let adapter = golden.adapter();
    let points = TimeNoise::stratified(golden.model.config(), 3, 11);
    let gradient = |points: &[TimeNoise]| {
        let (pixels, caption) = (&golden.pictures[1], &golden.captions[1]);
        let model = &golden.model;
        example_gradients(model, &adapter, pixels, caption, points, FlowMeasure::Loss)
            .expect("gradients")
    };
    let whole = gradient(&points);
    let mut sum = vec![0.0f32; whole.len()];
    for point in &points {
        for (sum, own) in sum.iter_mut().zip(gradient(std::slice::from_ref(point))) {
            *sum += own;
        }
    }
    let largest = whole.iter().fold(0.0f32, |most, x| most.max(x.abs()));
    for (whole, sum) in whole.iter().zip(&sum) {
        assert!((whole - sum).abs() <= 1e-5 * largest, "{whole} and {sum}");
    }
}

#[test]
fn a_written_model_reads_back_as_its_rounded_self() {
    let config = ImageModelConfig {
        image_size: 16,
        patch_size: 8,
        prompt_length: 4,
        double_blocks: 1,
        text_blocks: 1,
        ..ImageModelConfig::pico()
    };
    let model = ImageModel::random(config, 4).expect("a model").rounded();
    let weights = model.weights_file().expect("a file");
    let read = ImageModel::read(&model.config().to_json(), &weights).expect("the model");
    assert_eq!(read.config(), model.config());
    assert_eq!(read.values(), model.values());
    assert_eq!(read.weights_file().expect("a file"), weights);
}

#[test]
fn fresh_factors_change_nothing_and_bad_targets_are_named() {
    let golden = GoldenModel::open("pico");
    let adapter = ImageAdapter::random(&golden.model, &ImageAdapterConfig::default(), 1);
    let adapter = adapter.expect("an adapter");
    let request = SampleRequest {
        caption: &golden.captions[2],
        seed: 1,
        steps: 2,
        guidance: 1.0,
        sampler: FlowSampler::Euler,
    };
    let make = |adapter| sample(&golden.model, adapter, &request, &AtomicBool::new(false));
    assert_eq!(
        make(Some(&adapter)).expect("a picture"),
        make(None).expect("a picture")
    );
    let few = ImageAdapterConfig {
        targets: vec!["img_qkv".to_owned(), "mlp.w2".to_owned()],
        ..ImageAdapterConfig::default()
    };
    let few = ImageAdapter::random(&golden.model, &few, 1).expect("an adapter");
    // Two blocks of both streams, and the feed-forward layer of the text's own block.
    assert_eq!(few.places().len(), 2 + 1);
    let unknown = ImageAdapterConfig {
        targets: vec!["q_proj".to_owned()],
        ..ImageAdapterConfig::default()
    };
    let refused = ImageAdapter::random(&golden.model, &unknown, 1).map(drop);
    let message = refused
        .map_err(|error| error.to_string())
        .expect_err("an error");
    assert!(
        message.contains("\"q_proj\"") && message.contains("img_qkv"),
        "{message}"
    );
}

#[test]
fn a_set_flag_stops_a_picture_and_costs_follow_the_sampler() {
    let golden = GoldenModel::open("pico");
    let request = SampleRequest {
        caption: &golden.captions[0],
        seed: 1,
        steps: 2,
        guidance: 2.0,
        sampler: FlowSampler::Euler,
    };
    let cancel = AtomicBool::new(false);
    cancel.store(true, Ordering::Relaxed);
    let stopped = sample(&golden.model, None, &request, &cancel);
    assert!(matches!(stopped, Err(DiffusionError::Cancelled)));
    let none = SampleRequest {
        steps: 0,
        ..request.clone()
    };
    let refused = sample(&golden.model, None, &none, &AtomicBool::new(false));
    assert!(matches!(
        refused,
        Err(DiffusionError::Steps { found: 0, .. })
    ));
    assert_eq!(sample_cost(24, branches(2.5), FlowSampler::Euler), 48);
    assert_eq!(sample_cost(24, branches(1.0), FlowSampler::Heun), 47);
}

#[test]
fn a_model_that_does_not_fit_its_configuration_is_refused() {
    let golden = GoldenModel::open("pico");
    let weights = golden.model.weights_file().expect("a file");
    let wider = ImageModelConfig {
        bottleneck: 12,
        ..golden.model.config().clone()
    };
    let refused = ImageModel::read(&wider.to_json(), &weights).map(drop);
    assert!(
        matches!(refused, Err(DiffusionError::Shape { .. })),
        "{refused:?}"
    );
    let deeper = ImageModelConfig {
        double_blocks: 3,
        ..golden.model.config().clone()
    };
    let refused = ImageModel::read(&deeper.to_json(), &weights).map(drop);
    let message = refused
        .map_err(|error| error.to_string())
        .expect_err("an error");
    assert!(message.contains("double_blocks.2"), "{message}");
    let refused = ImageModelConfig::parse(br#"{"hidden_dims": 3}"#).map(drop);
    let message = refused
        .map_err(|error| error.to_string())
        .expect_err("an error");
    assert!(message.contains("hidden_dims"), "{message}");
}

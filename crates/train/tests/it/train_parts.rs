//! The parts of training that are pure: schedules, order, optimizer, watchdog, figures, chart.

use std::collections::HashMap;

use candle_core::{Device, Tensor, Var};
use openlora_decoder::TokenBatch;
use openlora_model::{
    BaseModel, WeightPrecision, adapter,
    dataset::choices::{LabelChoices, LabelFork, arg_max},
};
use openlora_train::{
    RateCurve, RateSchedule, TrainConfig, ValidationOptions,
    adamw::{AdamW, AdamWOptions},
    chart::{LossChart, draw},
    evaluate::scores::LabelScores,
    gradients::{ParameterGradients, clip_factor},
    load_with_adapter,
    order::{OrderWalk, RowCursor, RowOrder},
    plan::RunPlan,
    step::{NoiseState, TrainStepper},
    watchdog::{LossVerdict, LossWatchdog},
};
use proptest::prelude::*;

use crate::paths::repository;

fn close(a: f64, b: f64, tolerance: f64) -> bool {
    (a - b).abs() <= tolerance * b.abs().max(1.0)
}

#[test]
fn schedules_follow_their_closed_forms() {
    let (peak, warmup, total) = (2e-3, 10, 110);
    for step in 0..=total {
        for curve in [RateCurve::Cosine, RateCurve::Linear, RateCurve::Constant] {
            let found = RateSchedule::new(curve, peak, warmup, total).at(step);
            let done = (step.max(warmup) - warmup) as f64 / 100.0;
            let wanted = match curve {
                _ if step < warmup => peak * (step + 1) as f64 / 10.0,
                RateCurve::Cosine => peak * (1.0 + (std::f64::consts::PI * done).cos()) / 2.0,
                RateCurve::Linear => peak * (1.0 - done),
                RateCurve::Constant => peak,
            };
            assert!(
                close(found, wanted, 1e-12),
                "{curve:?} at {step}: {found} {wanted}"
            );
        }
    }
}

#[test]
fn a_warm_up_longer_than_the_run_never_divides_by_zero() {
    let schedule = RateSchedule::new(RateCurve::Cosine, 1.0, 50, 20);
    let rates: Vec<f64> = (0..20).map(|step| schedule.at(step)).collect();
    assert_eq!(rates[19], 20.0 / 50.0);
    assert_eq!(RateSchedule::new(RateCurve::Linear, 1.0, 0, 0).at(0), 1.0);
}

/// One AdamW step on one number, in f64, straight from the paper.
struct Scalar {
    weight: f64,
    first: f64,
    second: f64,
}

impl Scalar {
    fn step(&mut self, gradient: f64, lr: f64, decay: f64, step: i32) {
        self.weight *= 1.0 - lr * decay;
        self.first = 0.9 * self.first + 0.1 * gradient;
        self.second = 0.999 * self.second + 0.001 * gradient * gradient;
        let first = self.first / (1.0 - 0.9f64.powi(step));
        let second = self.second / (1.0 - 0.999f64.powi(step));
        self.weight -= lr * first / (second.sqrt() + 1e-8);
    }
}

fn gradients(var: &Var, values: &Tensor) -> ParameterGradients {
    // The gradient of Σ w·g with respect to w is g.
    let mut store = (var.as_tensor() * values)
        .unwrap()
        .sum_all()
        .unwrap()
        .backward()
        .unwrap();
    let mut found = ParameterGradients::new(1);
    found.add(&[("w".into(), var.clone())], &mut store).unwrap();
    found
}

#[test]
fn adamw_is_torchs_adamw_fused_or_not() {
    let (rows, columns) = (3, 5);
    for (fused, decay) in [(true, 0.0), (true, 0.1), (false, 0.0), (false, 0.1)] {
        let start: Vec<f32> = (0..15).map(|i| (i as f32 - 7.0) / 5.0).collect();
        let var = Var::from_vec(start.clone(), (rows, columns), &Device::Cpu).unwrap();
        let options = AdamWOptions {
            weight_decay: decay,
            ..AdamWOptions::default()
        };
        let mut optimizer = AdamW::new(vec![("w".into(), var.clone())], options).unwrap();
        optimizer.set_fused(fused);
        let mut wanted: Vec<Scalar> = start
            .iter()
            .map(|weight| Scalar {
                weight: f64::from(*weight),
                first: 0.0,
                second: 0.0,
            })
            .collect();
        for step in 1..=6 {
            let gradient: Vec<f32> = (0..15).map(|i| ((i * step) as f32 * 0.7).sin()).collect();
            let tensor = Tensor::from_vec(gradient.clone(), (rows, columns), &Device::Cpu).unwrap();
            let lr = 0.01 * f64::from(step);
            optimizer.step(&gradients(&var, &tensor), lr, 0.5).unwrap();
            for (scalar, gradient) in wanted.iter_mut().zip(&gradient) {
                scalar.step(f64::from(*gradient) * 0.5, lr, decay, step);
            }
        }
        let found = var.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        for (found, wanted) in found.iter().zip(&wanted) {
            assert!(
                close(f64::from(*found), wanted.weight, 1e-5),
                "{found} {}",
                wanted.weight
            );
        }
    }
}

/// DoRA with LoRA+, as PEFT's `create_loraplus_optimizer` trains it.
#[test]
fn lora_plus_losses_are_those_of_peft() {
    let folder = repository().join("tests/data/golden");
    let base = BaseModel::open_dir("llama", &folder.join("llama")).unwrap();
    let adapter = adapter::read(&folder.join("llama.dora")).unwrap();
    let decoder = load_with_adapter(&base, &adapter, WeightPrecision::F32).unwrap();
    let options = TrainConfig {
        loraplus_lr_ratio: Some(4.0),
        ..TrainConfig::default()
    }
    .optimizer();
    let mut stepper = TrainStepper::new(decoder, options, 0.0).unwrap();
    let expected = folder.join("llama/expected.safetensors");
    let tensors = candle_core::safetensors::load(expected, &Device::Cpu).unwrap();
    let integers = |name: &str| -> Vec<i64> {
        let tensor = tensors[name].to_dtype(candle_core::DType::I64).unwrap();
        tensor.to_vec1().unwrap()
    };
    let batch = TokenBatch {
        ids: integers("ids").into_iter().map(|id| id as u32).collect(),
        targets: integers("targets")
            .into_iter()
            .map(|mark| mark == 1)
            .collect(),
        offsets: integers("offsets")
            .into_iter()
            .map(|at| at as usize)
            .collect(),
    };
    let text = std::fs::read_to_string(folder.join("llama/expected.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let losses: Vec<f64> = serde_json::from_value(json["dora"]["loraplus_losses"].clone()).unwrap();
    for (step, expected) in losses.into_iter().enumerate() {
        let batch = std::slice::from_ref(&batch);
        let found = stepper.step(batch, 1e-2, NoiseState::default()).unwrap();
        assert!(
            close(found.loss, expected, 1e-4),
            "step {step}: {} {expected}",
            found.loss
        );
    }
}

#[test]
fn decay_spares_vectors_and_state_survives_a_restart() {
    let vector = Var::from_vec(vec![1.0f32, -2.0], 2, &Device::Cpu).unwrap();
    let options = AdamWOptions {
        weight_decay: 0.5,
        ..AdamWOptions::default()
    };
    let zero = Tensor::zeros(2, candle_core::DType::F32, &Device::Cpu).unwrap();
    let mut optimizer = AdamW::new(vec![("w".into(), vector.clone())], options).unwrap();
    optimizer
        .step(&gradients(&vector, &zero), 0.1, 1.0)
        .unwrap();
    assert_eq!(vector.to_vec1::<f32>().unwrap(), [1.0, -2.0]);

    let one = Tensor::from_vec(vec![1.0f32, 3.0], 2, &Device::Cpu).unwrap();
    optimizer.step(&gradients(&vector, &one), 0.1, 1.0).unwrap();
    let state: HashMap<String, Tensor> = optimizer
        .state()
        .into_iter()
        .map(|(name, t)| (name, t.copy().unwrap()))
        .collect();
    let twin = Var::from_tensor(&vector.as_tensor().copy().unwrap()).unwrap();
    let mut restarted = AdamW::new(vec![("w".into(), twin.clone())], options).unwrap();
    restarted.restore(&state, optimizer.steps()).unwrap();
    for (var, optimizer) in [(&vector, &mut optimizer), (&twin, &mut restarted)] {
        optimizer.step(&gradients(var, &one), 0.1, 1.0).unwrap();
    }
    assert_eq!(
        vector.to_vec1::<f32>().unwrap(),
        twin.to_vec1::<f32>().unwrap()
    );

    let error = restarted.restore(&HashMap::new(), 1).unwrap_err();
    assert_eq!(error.to_string(), "tensor m.w of shape [2] is missing");
}

#[test]
fn the_norm_spans_all_tensors_and_clipping_brings_it_to_the_limit() {
    let vars = [vec![3.0f32], vec![4.0f32]].map(|v| Var::from_vec(v, 1, &Device::Cpu).unwrap());
    let named: Vec<(String, Var)> = vars
        .iter()
        .enumerate()
        .map(|(i, v)| (i.to_string(), v.clone()))
        .collect();
    let squares = (vars[0].sqr().unwrap() + vars[1].sqr().unwrap()).unwrap();
    let mut found = ParameterGradients::new(2);
    found
        .add(&named, &mut (squares / 2.0).unwrap().backward().unwrap())
        .unwrap();
    let norm = found.norm().unwrap();
    assert_eq!(norm, 5.0);
    assert!(close(norm * clip_factor(norm, 1.0), 1.0, 1e-6));
    assert_eq!(clip_factor(norm, 10.0), 1.0);
    assert_eq!(clip_factor(norm, 0.0), 1.0);
}

#[test]
fn an_epoch_draws_every_row_once_and_in_another_order_each_time() {
    let order = RowOrder::new(&[0; 50], &[1.0], 7);
    let (first, second) = (order.epoch(0), order.epoch(1));
    let sorted = |mut rows: Vec<usize>| {
        rows.sort_unstable();
        rows
    };
    assert_ne!(first, second);
    assert_eq!(first, RowOrder::new(&[0; 50], &[1.0], 7).epoch(0));
    assert_ne!(first, RowOrder::new(&[0; 50], &[1.0], 8).epoch(0));
    assert_eq!(sorted(first), (0..50).collect::<Vec<_>>());
    assert_eq!(sorted(second), (0..50).collect::<Vec<_>>());
}

proptest! {
    #[test]
    fn weights_decide_how_often_rows_are_drawn(
        rows in 1usize..30,
        weight in 0.1f64..3.0,
        seed in any::<u64>(),
    ) {
        let order = RowOrder::new(&vec![0; rows], &[weight], seed);
        let epochs = 12;
        let mut counts = vec![0usize; rows];
        for epoch in 0..epochs {
            let drawn = order.epoch(epoch);
            prop_assert_eq!(drawn.len(), (rows as f64 * weight).round() as usize);
            for row in drawn {
                counts[row] += 1;
            }
        }
        // No row is ever more than one draw ahead of another.
        prop_assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1);
    }

    #[test]
    fn a_walk_continues_from_its_cursor(
        rows in 1usize..40,
        count in 1usize..9,
        stop in 0usize..20,
        seed in any::<u64>(),
    ) {
        let order = RowOrder::new(&vec![0; rows], &[1.0], seed);
        let mut whole = OrderWalk::new(order.clone(), RowCursor::default());
        for _ in 0..stop {
            prop_assert!(!whole.take(count).is_empty());
        }
        let mut resumed = OrderWalk::new(order, whole.cursor());
        for _ in 0..10 {
            prop_assert_eq!(whole.take(count), resumed.take(count));
        }
    }
}

#[test]
fn plans_count_steps_validations_and_checkpoints() {
    let config = TrainConfig {
        epochs: 3,
        batch: 4,
        accumulate: 2,
        ..TrainConfig::default()
    };
    let plan = RunPlan::new(&config, 33).unwrap();
    assert_eq!((plan.steps, plan.steps_per_epoch), (15, 5));
    let validated: Vec<u64> = (1..=15)
        .filter(|step| plan.validates(*step, true))
        .collect();
    assert_eq!(validated, [5, 10, 15]);
    assert!((1..=15).all(|step| !plan.validates(step, false)));
    // Every second step, the milestones at 20, 35 and 50 %, and the end.
    let saved: Vec<u64> = (1..=15).filter(|step| plan.saves(*step)).collect();
    assert_eq!(saved, [2, 3, 4, 5, 6, 8, 10, 12, 14, 15]);
    let short = TrainConfig {
        max_steps: Some(7),
        ..config
    };
    assert_eq!(RunPlan::new(&short, 33).unwrap().steps, 7);
}

#[test]
fn the_watchdog_barks_at_nan_and_at_divergence_only() {
    let mut steady = LossWatchdog::default();
    for step in 0..200 {
        let noisy = 2.0 + (f64::from(step) * 1.7).sin();
        assert_eq!(steady.observe(noisy, 1.0), LossVerdict::Healthy);
    }
    assert_eq!(steady.observe(f64::NAN, 1.0), LossVerdict::NotFinite);
    assert_eq!(steady.observe(1.0, f64::INFINITY), LossVerdict::NotFinite);

    let mut rising = LossWatchdog::default();
    let losses = (0..30)
        .map(|_| 2.0)
        .chain((0..100).map(|i| 2.0 + f64::from(i)));
    let barked = losses
        .map(|loss| rising.observe(loss, 1.0))
        .find(|v| *v != LossVerdict::Healthy);
    let Some(LossVerdict::Diverged { smoothed, best }) = barked else {
        panic!("expected divergence, found {barked:?}")
    };
    assert!(
        smoothed > 3.0 * best && close(best, 2.0, 1e-9),
        "{smoothed} {best}"
    );

    // A loss that fell to nothing may rise again as long as it stays under its start.
    let mut small = LossWatchdog::default();
    for loss in [4.0, 1.0]
        .into_iter()
        .chain((0..50).map(|_| 0.01))
        .chain((0..20).map(|_| 1.0))
    {
        assert_eq!(small.observe(loss, 1.0), LossVerdict::Healthy);
    }
}

#[test]
fn scores_match_a_hand_worked_matrix() {
    let labels: Vec<String> = ["a", "b", "c"].map(String::from).into();
    let pairs = [(0, 0), (0, 0), (0, 1), (1, 1), (1, 0), (1, 1), (1, 1)];
    let scores = LabelScores::from_pairs(&labels, &pairs);
    assert_eq!(scores.confusion, [[2, 1, 0], [1, 3, 0], [0, 0, 0]]);
    assert_eq!((scores.rows, scores.accuracy), (7, 5.0 / 7.0));
    let of = |i: usize| {
        (
            scores.classes[i].precision,
            scores.classes[i].recall,
            scores.classes[i].f1,
        )
    };
    assert_eq!(of(0), (2.0 / 3.0, 2.0 / 3.0, 2.0 / 3.0));
    assert_eq!(of(1), (0.75, 0.75, 0.75));
    assert_eq!(of(2), (0.0, 0.0, 0.0));
    // A label that neither occurs nor is answered says nothing.
    assert!(close(scores.macro_f1, (2.0 / 3.0 + 0.75) / 2.0, 1e-12));
    assert_eq!(LabelScores::from_pairs(&labels, &[]).accuracy, 0.0);
}

#[test]
fn labels_share_the_probability_where_they_part() {
    let labels: Vec<String> = ["x", "y", "z"].map(String::from).into();
    let sequences = vec![vec![1, 2, 3, 9], vec![1, 2, 4, 9], vec![1, 2, 3, 5, 9]];
    let choices = LabelChoices::new(&sequences, &labels).unwrap();
    assert_eq!(choices.prefix, [1, 2]);
    let forks = choices.forks();
    assert_eq!(
        forks,
        [
            LabelFork {
                path: vec![],
                children: vec![3, 4]
            },
            LabelFork {
                path: vec![3],
                children: vec![9, 5]
            }
        ]
    );
    let found = choices.log_likelihoods(&forks, &[vec![1.0, 1.0], vec![0.0, 3f32.ln()]]);
    let wanted = [0.5f64 * 0.25, 0.5, 0.5 * 0.75];
    for (found, wanted) in found.iter().zip(wanted) {
        assert!(close(found.exp(), wanted, 1e-6), "{found} {wanted}");
    }
    assert!(close(found.iter().map(|l| l.exp()).sum::<f64>(), 1.0, 1e-6));
    assert_eq!(arg_max(&[0.1, 0.7, 0.7]), 1);

    let twins = LabelChoices::new(&[vec![1, 2], vec![1, 2]], &labels).unwrap_err();
    assert_eq!(
        twins.to_string(),
        "label `x` and label `y` are the same tokens for this base"
    );
}

#[test]
fn validation_wishes_are_fractions_or_files() {
    let parse = |text| ValidationOptions::parse(Some(text));
    assert_eq!(
        ValidationOptions::parse(None).unwrap(),
        ValidationOptions::None
    );
    assert_eq!(parse("0").unwrap(), ValidationOptions::None);
    assert_eq!(parse("0.1").unwrap(), ValidationOptions::Fraction(0.1));
    assert_eq!(
        parse("data/v.csv").unwrap(),
        ValidationOptions::File("data/v.csv".into())
    );
    for bad in ["1", "-0.2", "7"] {
        assert_eq!(
            parse(bad).unwrap_err().to_string(),
            format!("train.val is `{bad}`: expected a fraction between 0 and 1, or a data file")
        );
    }
}

#[test]
fn configurations_name_their_differences_and_lend_each_other_keys() {
    let one = TrainConfig::default();
    let two = TrainConfig {
        lr: 1e-3,
        max_steps: Some(5),
        ..one.clone()
    };
    let text = |a: &str, b: &str, c: &str| (a.to_owned(), b.to_owned(), c.to_owned());
    assert_eq!(
        one.differences(&two),
        [
            text("train.lr", "0.002", "0.001"),
            text("train.max_steps", "unset", "5")
        ]
    );
    let keys = ["train.lr".to_owned(), "base.id".to_owned()];
    assert_eq!(
        one.with_keys_of(&two, &keys),
        TrainConfig {
            lr: 1e-3,
            ..one.clone()
        }
    );
    assert_eq!(one.differences(&one), []);
}

#[test]
fn the_chart_is_well_formed_at_any_size() {
    for (points, name) in [(0u64, "empty"), (1, "one"), (5000, "many <&>")] {
        let chart = LossChart {
            title: name.to_owned(),
            train: (1..=points)
                .map(|s| (s, 8.0 / s as f64))
                .chain([(points + 1, f64::NAN)])
                .collect(),
            validation: (1..=points).step_by(100).map(|s| (s, 1.0)).collect(),
        };
        let svg = draw(&chart);
        assert!(
            svg.starts_with("<svg ") && svg.ends_with("</svg>\n"),
            "{svg}"
        );
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        assert!(svg.len() < 40_000, "{} bytes", svg.len());
        let opened = svg.matches('<').count() - svg.matches("</").count();
        let closed = svg.matches("/>").count() + svg.matches("</").count();
        assert_eq!(opened, closed, "{svg}");
        for label in [
            "optimizer step",
            "loss (nats per token)",
            "training, smoothed",
        ] {
            assert!(svg.contains(label), "{label} is missing");
        }
    }
}

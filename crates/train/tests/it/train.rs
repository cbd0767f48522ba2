//! Training as the runtime runs it: resuming, repeating, refusing, stopping.

use std::{
    fs,
    path::{Path, PathBuf},
};

use openlora_core::error::{ExitClass, Explain};
use openlora_decoder::Decoder;
use openlora_model::{
    BaseModel, WeightPrecision, adapter,
    dataset::{
        DataSource, Task, TaskOptions, TrainingExample,
        encode::{EncodeOptions, EncodedRow, LossOn, encode_row},
        load,
        long::OnLong,
        statistics,
    },
};
use openlora_train::{
    DatasetRole, NewestRun, RunDir, RunOutcome, RunStart, TrainConfig, TrainError, TrainEvent,
    TrainFlow, TrainInputs, TrainRows,
    estimate::estimate,
    evaluate::{EvalFigures, EvalSet},
    load_with_adapter, machine,
    run::{checkpoint, lock::RunLock},
    train,
};
use serde_json::Value;
use tempfile::TempDir;
use xtask::base::{BaseBuild, train_base};

use crate::paths::repository;
use crate::tiny;

/// Trains and asks to stop once `last` steps are done.
fn train_until(
    inputs: &TrainInputs,
    start: &RunStart,
    last: u64,
) -> Result<RunOutcome, TrainError> {
    let mut listener = |event| match event {
        TrainEvent::Step(step) if step.step >= last => TrainFlow::Stop,
        _ => TrainFlow::Continue,
    };
    train(inputs, start, &mut listener).map(|(outcome, _)| outcome)
}

fn train_all(inputs: &TrainInputs, runs: &Path) -> RunOutcome {
    train_until(
        inputs,
        &RunStart::Fresh {
            runs: runs.to_owned(),
        },
        u64::MAX,
    )
    .unwrap()
}

fn weights(outcome: &RunOutcome) -> Vec<u8> {
    fs::read(outcome.adapter.join("adapter_model.safetensors")).unwrap()
}

/// The lines of `metrics.jsonl` without what the clock says.
fn metrics(run: &Path) -> Vec<Value> {
    let text = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let line = |line: &str| {
        let mut value: Value = serde_json::from_str(line).unwrap();
        value.as_object_mut().unwrap().remove("tokens_per_second");
        value
    };
    text.lines().map(line).collect()
}

fn message(error: &TrainError) -> (ExitClass, String, Option<String>) {
    (error.class(), error.to_string(), error.hint())
}

fn checkpoints(run: &Path) -> Vec<u64> {
    let entries = fs::read_dir(run.join("checkpoints")).unwrap();
    let mut steps: Vec<u64> = entries
        .map(|entry| {
            let name = entry.unwrap().file_name().into_string().unwrap();
            name.strip_prefix("step-").unwrap().parse().unwrap()
        })
        .collect();
    steps.sort_unstable();
    steps
}

struct Bench {
    dir: TempDir,
    base: PathBuf,
}

impl Bench {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let base = tiny::base(dir.path());
        Self { dir, base }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn inputs(&self, config: TrainConfig) -> TrainInputs {
        tiny::inputs(self.dir.path(), &self.base, 40, config)
    }
}

#[test]
fn interrupted_and_resumed_is_uninterrupted_byte_for_byte() {
    let bench = Bench::new();
    for (patience, precision) in [
        (None, WeightPrecision::Auto),
        (Some(50), WeightPrecision::Auto),
        (None, WeightPrecision::Q4),
    ] {
        let inputs = bench.inputs(TrainConfig {
            patience,
            precision,
            ..tiny::config()
        });
        let whole = train_all(&inputs, &bench.path("whole"));
        assert_eq!(whole.steps, 12);
        // Computing activations again changes no bit, so that a resume may differ in it.
        let frugal = bench.inputs(TrainConfig {
            checkpoint_activations: true,
            ..inputs.config.clone()
        });

        let runs = bench.path("pieces");
        let mut start = RunStart::Fresh { runs: runs.clone() };
        for (stop, inputs) in [(1, &inputs), (5, &frugal), (6, &inputs), (11, &frugal)] {
            let error = train_until(inputs, &start, stop).unwrap_err();
            let run = RunDir::find(&runs, None).unwrap();
            assert_eq!(
                message(&error),
                (
                    ExitClass::Interrupted,
                    format!(
                        "interrupted after step {stop} of 12; saved in {}",
                        run.path().display()
                    ),
                    Some(format!(
                        "continue with `openlora train --resume {}`",
                        run.id()
                    )),
                )
            );
            start = RunStart::Resume(run);
        }
        let pieces = train_until(&inputs, &start, u64::MAX).unwrap();
        assert_eq!(weights(&pieces), weights(&whole));
        assert_eq!(metrics(&pieces.run), metrics(&whole.run));
        assert_eq!(
            (pieces.tokens, pieces.final_loss),
            (whole.tokens, whole.final_loss)
        );
        assert_eq!(pieces.best, whole.best);
        fs::remove_dir_all(runs).unwrap();
    }
}

#[test]
fn a_run_killed_between_checkpoints_repeats_the_lost_steps_exactly() {
    let bench = Bench::new();
    let inputs = bench.inputs(tiny::config());
    let whole = train_all(&inputs, &bench.path("whole"));
    // What a kill after step 10 leaves: newer metrics than the newest checkpoint, half a
    // checkpoint under its temporary name and under that of an earlier version, no adapter.
    let run = &whole.run;
    fs::remove_dir_all(run.join("adapter")).unwrap();
    fs::remove_dir_all(run.join("checkpoints/step-12")).unwrap();
    fs::create_dir(run.join("checkpoints/.step-12.part")).unwrap();
    fs::create_dir(run.join("checkpoints/.openlora-draft-1")).unwrap();
    let before = metrics(run);
    let run = RunDir::find(&bench.path("whole"), None).unwrap();
    let wanted = weights(&train_all(&inputs, &bench.path("again")));
    let resumed = train_until(&inputs, &RunStart::Resume(run.clone()), u64::MAX).unwrap();
    assert_eq!(weights(&resumed), wanted);
    assert_eq!(metrics(run.path()), before);
    assert_eq!(checkpoints(run.path()), [2, 4, 6, 8, 12]);
}

#[test]
fn a_row_that_the_base_cannot_read_is_named() {
    let bench = Bench::new();
    let mut inputs = bench.inputs(TrainConfig {
        max_len: 4096,
        val: None,
        ..tiny::config()
    });
    let long = TrainingExample::Labelled {
        text: "up ".repeat(300),
        label: inputs.dataset.rows[2].example.label().unwrap().to_owned(),
    };
    inputs.dataset.rows[2].example = long;
    let options = inputs.config.encode_options();
    let row = &inputs.dataset.rows[2];
    let encoded = encode_row(&inputs.codec, &inputs.task, &inputs.dataset, row, &options);
    let tokens = encoded.unwrap().ids.len();
    let hint = "shorten the row or split it, or choose a base that reads more with --base; \
                train.max_len does not change what a base reads";
    let said = format!(
        "{}:3: {tokens} tokens, and the base reads at most 128",
        bench.path("train.jsonl").display()
    );
    let expected = (ExitClass::BadInput, said, Some(hint.to_owned()));
    let error = inputs.rows().unwrap_err();
    assert_eq!(message(&error), expected);
    // Validation rows too, and `data check` says the same.
    let whole = inputs.dataset.clone();
    inputs.dataset.rows.truncate(2);
    inputs.validation = Some(whole);
    let error = inputs.rows().unwrap_err();
    assert_eq!(message(&error), expected);
    let (codec, task) = (&inputs.codec, &inputs.task);
    let checked = inputs.validation.as_ref().unwrap();
    let refused = EvalSet::new(codec, task, checked, &options, 128)
        .err()
        .unwrap();
    assert_eq!(message(&refused).0, ExitClass::BadInput);
    assert!(refused.to_string().contains("train.jsonl:3: "), "{refused}");
    let measured = statistics::lengths(codec, task, checked, &options, 128);
    let told: Vec<_> = measured
        .errors
        .iter()
        .map(|it| (it.class(), it.to_string(), it.hint()))
        .collect();
    assert_eq!(told, [expected]);
}

#[test]
fn the_same_lock_gives_the_same_adapter() {
    let bench = Bench::new();
    let inputs = bench.inputs(tiny::config());
    let (one, two) = (
        train_all(&inputs, &bench.path("a")),
        train_all(&inputs, &bench.path("b")),
    );
    let lock =
        |outcome: &RunOutcome| fs::read_to_string(outcome.run.join("config.lock.toml")).unwrap();
    assert_eq!(lock(&one), lock(&two));
    let digest = |outcome: &RunOutcome| adapter::read(&outcome.adapter).unwrap().digest;
    assert_eq!(digest(&one), digest(&two));
    let other = bench.inputs(TrainConfig {
        seed: 43,
        ..tiny::config()
    });
    assert_ne!(digest(&train_all(&other, &bench.path("c"))), digest(&one));
}

#[test]
fn checkpointed_activations_give_the_same_adapter() {
    let bench = Bench::new();
    let [kept, again] = [false, true].map(|checkpoint_activations| {
        let inputs = bench.inputs(TrainConfig {
            checkpoint_activations,
            ..tiny::config()
        });
        train_all(&inputs, &bench.path(&checkpoint_activations.to_string()))
    });
    assert_eq!(weights(&kept), weights(&again));
}

#[test]
fn accumulating_batches_is_one_larger_batch() {
    let bench = Bench::new();
    let still = TrainConfig {
        dropout: 0.0,
        val: None,
        ..tiny::config()
    };
    let split = bench.inputs(TrainConfig {
        batch: 2,
        accumulate: 4,
        ..still.clone()
    });
    let whole = bench.inputs(TrainConfig {
        batch: 8,
        accumulate: 1,
        ..still
    });
    let losses = |outcome: &RunOutcome| -> Vec<f64> {
        metrics(&outcome.run)
            .iter()
            .map(|line| line["loss"].as_f64().unwrap())
            .collect()
    };
    let (split, whole) = (
        train_all(&split, &bench.path("a")),
        train_all(&whole, &bench.path("b")),
    );
    assert_eq!(split.tokens, whole.tokens);
    for (a, b) in losses(&split).iter().zip(losses(&whole)) {
        assert!((a - b).abs() < 1e-4 * b, "{a} {b}");
    }
}

#[test]
fn learning_is_seen_in_the_loss_and_in_the_answers() {
    // The embedded base: on one made in a second, whether labels are learned is a matter of luck.
    let bench = Bench {
        base: repository().join("assets/nano"),
        dir: TempDir::new().unwrap(),
    };
    let config = TrainConfig {
        epochs: 8,
        lr: 2e-3,
        dropout: 0.0,
        accumulate: 1,
        rank: 8,
        alpha: 16.0,
        val: None,
        ..tiny::config()
    };
    let inputs = bench.inputs(config.clone());
    let outcome = train_all(&inputs, &bench.path("runs"));
    let first = metrics(&outcome.run)[0]["loss"].as_f64().unwrap();
    assert!(
        outcome.final_loss < first / 2.0,
        "{first} -> {}",
        outcome.final_loss
    );

    let rows = load(&[DataSource::of_file(tiny::labelled(
        bench.dir.path(),
        "same.jsonl",
        0..40,
    ))]);
    let set = EvalSet::new(
        &inputs.codec,
        &inputs.task,
        &rows.unwrap(),
        &config.encode_options(),
        inputs.base.config.max_positions,
    )
    .unwrap();
    let stored = adapter::read(&outcome.adapter).unwrap();
    let mut decoder = load_with_adapter(&inputs.base, &stored, config.precision).unwrap();
    let before: Vec<Vec<f32>> = factors(&decoder);
    let report = set.compare(&mut decoder, true, &mut |_, _| {}).unwrap();
    assert_eq!(
        factors(&decoder),
        before,
        "comparing with the base must leave the adapter as it was"
    );
    let (EvalFigures::Labels(adapter), Some(EvalFigures::Labels(base))) =
        (&report.adapter, &report.base)
    else {
        panic!("expected labels, found {report:?}")
    };
    assert!(adapter.accuracy > 0.9, "{adapter:?}");
    assert!(adapter.accuracy > base.accuracy, "{base:?}");
    assert_eq!(report.gain, Some(adapter.accuracy - base.accuracy));
}

#[test]
fn packed_bases_learn_what_the_whole_one_learns_in_less_memory() {
    let bench = Bench {
        base: repository().join("assets/nano"),
        dir: TempDir::new().unwrap(),
    };
    let data = repository().join("templates/sentiment/data/council_letters.jsonl");
    let runs = [
        WeightPrecision::F32,
        WeightPrecision::Q8,
        WeightPrecision::Q4,
    ]
    .map(|precision| {
        let mut inputs = bench.inputs(TrainConfig {
            max_steps: Some(30),
            loss: LossOn::All,
            val: Some("0.2".into()),
            precision,
            ..TrainConfig::default()
        });
        inputs.dataset = load(&[DataSource::of_file(data.clone())]).unwrap();
        inputs.task = Task::resolve(&inputs.dataset, &TaskOptions::default()).unwrap();
        let lock = inputs.lock();
        let text = toml::to_string(&lock).unwrap();
        assert_eq!(toml::from_str::<RunLock>(&text).unwrap(), lock);
        let mut losses = Vec::new();
        let mut listener = |event| {
            if let TrainEvent::Validated(pass) = event {
                losses.push(pass.validation_loss);
            }
            TrainFlow::Continue
        };
        let start = RunStart::Fresh {
            runs: bench.path("runs"),
        };
        let (_, decoder) = train(&inputs, &start, &mut listener).unwrap();
        (*losses.last().unwrap(), decoder.weight_bytes())
    });
    let [(loss, bytes), packed @ ..] = runs;
    for ((packed_loss, packed_bytes), share) in packed.into_iter().zip([0.55, 0.35]) {
        assert!(
            (packed_loss / loss - 1.0).abs() < 0.02,
            "{packed_loss} for {loss}"
        );
        assert!(
            (packed_bytes as f64) < share * bytes as f64,
            "{packed_bytes} of {bytes}"
        );
    }
}

fn factors(decoder: &Decoder) -> Vec<Vec<f32>> {
    let values = |var: candle_core::Var| var.flatten_all().unwrap().to_vec1().unwrap();
    decoder
        .trainable()
        .into_iter()
        .map(|(_, var)| values(var))
        .collect()
}

#[test]
fn a_changed_input_refuses_to_resume_and_is_named() {
    let bench = Bench::new();
    let inputs = bench.inputs(tiny::config());
    let runs = bench.path("runs");
    train_until(&inputs, &RunStart::Fresh { runs: runs.clone() }, 3).unwrap_err();
    let run = RunDir::find(&runs, None).unwrap();
    let lock = RunLock::read(&run.lock()).unwrap();
    let hint = Some("restore it, or start a new run with `openlora train`".to_owned());
    let refusal = |inputs: &TrainInputs| {
        let error = train_until(inputs, &RunStart::Resume(run.clone()), u64::MAX).unwrap_err();
        assert_eq!(
            (error.class(), error.hint()),
            (ExitClass::BadInput, hint.clone())
        );
        error.to_string()
    };
    let id = run.id();
    let short = |digest: &str| format!("sha256 {}…", &digest[..12]);

    let config = bench.inputs(TrainConfig {
        lr: 0.5,
        ..tiny::config()
    });
    assert_eq!(
        refusal(&config),
        format!("run {id} cannot continue: train.lr was 0.01 and is now 0.5")
    );

    let data = tiny::inputs(bench.dir.path(), &bench.base, 41, tiny::config());
    assert_eq!(
        refusal(&data),
        format!(
            "run {id} cannot continue: data file train.jsonl was {} and is now {}",
            short(&lock.data[0].sha256),
            short(&data.dataset.source_digests[0]),
        )
    );

    let mut base = bench.inputs(tiny::config());
    let copy = bench.path("other-base");
    fs::create_dir(&copy).unwrap();
    for entry in fs::read_dir(&bench.base).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, copy.join(path.file_name().unwrap())).unwrap();
    }
    let file = copy.join("config.json");
    fs::write(
        &file,
        fs::read_to_string(&file)
            .unwrap()
            .replace("10000.0", "20000.0"),
    )
    .unwrap();
    base.base = BaseModel::open_dir("tiny-base", &copy).unwrap();
    assert_eq!(
        refusal(&base),
        format!(
            "run {id} cannot continue: the base tiny-base was {} and is now {}",
            short(&lock.digests.base),
            short(&base.base.digest),
        )
    );
}

#[test]
fn the_newest_run_is_the_newest_that_has_an_adapter() {
    let dir = tempfile::tempdir().unwrap();
    let runs = dir.path().join("runs");
    let newest = || RunDir::newest(&runs).map_err(|error| error.to_string());
    let make = |id: &str, inside: &str| {
        fs::create_dir_all(runs.join(id).join(inside)).unwrap();
        fs::write(runs.join(id).join("config.lock.toml"), "").unwrap();
        fs::write(runs.join("latest"), format!("{id}\n")).unwrap();
        RunDir::find(&runs, Some(id)).unwrap()
    };
    let none = format!("no run was found in {}", runs.display());
    assert_eq!(newest(), Err(none.clone()));
    make("20260101-000000-aaaa", "checkpoints");
    let only = "the run 20260101-000000-aaaa has no adapter: it did not finish".to_owned();
    assert_eq!(newest(), Err(only));
    let second = make("20260102-000000-aaaa", "adapter");
    let found = |finished: &RunDir, unfinished: Option<&RunDir>| {
        Ok(NewestRun {
            finished: finished.clone(),
            unfinished: unfinished.cloned(),
        })
    };
    assert_eq!(newest(), found(&second, None));
    let third = make("20260103-000000-aaaa", "adapter");
    assert_eq!(newest(), found(&third, None));
    let fourth = make("20260104-000000-aaaa", "checkpoints");
    assert_eq!(newest(), found(&third, Some(&fourth)));
    // Deleted by its owner.
    fs::remove_dir_all(fourth.path()).unwrap();
    assert_eq!(newest(), found(&third, None));
    for run in [&second, &third] {
        fs::remove_dir_all(run.path()).unwrap();
    }
    fs::remove_dir_all(runs.join("20260101-000000-aaaa")).unwrap();
    assert_eq!(newest(), Err(none));
}

#[test]
fn runs_that_cannot_be_resumed_say_why() {
    let bench = Bench::new();
    let runs = bench.path("runs");
    let found = RunDir::find(&runs, None).unwrap_err();
    assert_eq!(
        message(&found),
        (
            ExitClass::Usage,
            format!("no run was found in {}", runs.display()),
            Some("start one with `openlora train`".to_owned())
        )
    );
    let stray = RunDir::find(&runs, Some("nowhere")).unwrap_err();
    assert_eq!(
        message(&stray),
        (
            ExitClass::BadInput,
            "nowhere is not a run: it has no config.lock.toml".to_owned(),
            Some("name a folder under runs/, or leave it out for the latest".to_owned())
        )
    );
    let inputs = bench.inputs(tiny::config());
    let whole = train_all(&inputs, &runs);
    let run = RunDir::find(&runs, None).unwrap();
    let id = run.id();
    let complete = train_until(&inputs, &RunStart::Resume(run.clone()), 1).unwrap_err();
    assert_eq!(
        message(&complete),
        (
            ExitClass::Usage,
            format!("run {id} is complete: 12 of 12 steps are done"),
            Some(format!(
                "evaluate it with `openlora eval {id}`, or train anew with `openlora train`"
            ))
        )
    );
    fs::remove_dir_all(whole.run.join("adapter")).unwrap();
    let damaged = whole.run.join("checkpoints/step-12/weights.safetensors");
    fs::write(&damaged, b"short").unwrap();
    let error = train_until(&inputs, &RunStart::Resume(run.clone()), 1).unwrap_err();
    assert_eq!(
        message(&error),
        (
            ExitClass::BadInput,
            format!(
                "{}: the file is not the one that was saved",
                damaged.display()
            ),
            None
        )
    );
    fs::remove_dir_all(whole.run.join("checkpoints")).unwrap();
    fs::create_dir(whole.run.join("checkpoints")).unwrap();
    let error = train_until(&inputs, &RunStart::Resume(run), 1).unwrap_err();
    assert_eq!(
        message(&error),
        (
            ExitClass::Usage,
            format!("run {id} has no checkpoint yet"),
            Some("start again with `openlora train`".to_owned())
        )
    );
}

#[test]
fn a_breakdown_names_the_step_and_keeps_the_checkpoint_before_it() {
    let bench = Bench::new();
    let config = TrainConfig {
        lr: 1e30,
        schedule: openlora_train::RateCurve::Constant,
        warmup: 0,
        checkpoint_every: Some(1),
        val: None,
        ..tiny::config()
    };
    let inputs = bench.inputs(config);
    let runs = bench.path("runs");
    let error =
        train_until(&inputs, &RunStart::Fresh { runs: runs.clone() }, u64::MAX).unwrap_err();
    let TrainError::NotFinite {
        step,
        loss,
        norm,
        lr,
    } = &error
    else {
        panic!("found {error:?}")
    };
    assert_eq!(
        message(&error),
        (
            ExitClass::Gate,
            format!(
                "training broke down at step {step}: loss {loss} and gradient norm {norm} at \
                 learning rate {lr:.3e}"
            ),
            Some(
                "try a lower learning rate, for example `--lr 3e29`, or a longer --warmup"
                    .to_owned()
            )
        )
    );
    let run = RunDir::find(&runs, None).unwrap();
    assert_eq!(checkpoint::newest(&run).unwrap(), Some(step - 1));
    assert!(!run.adapter().exists());
}

#[test]
fn patience_stops_early_and_takes_the_best_weights_back() {
    let bench = Bench::new();
    let config = TrainConfig {
        lr: 0.3,
        epochs: 40,
        eval_every: Some(1),
        patience: Some(3),
        ..tiny::config()
    };
    let inputs = bench.inputs(config);
    let mut events = Vec::new();
    let start = RunStart::Fresh {
        runs: bench.path("runs"),
    };
    let (outcome, _) = train(&inputs, &start, &mut |event| {
        events.push(event);
        TrainFlow::Continue
    })
    .unwrap();
    let best = outcome.best.unwrap();
    assert_eq!(outcome.steps, best.step + 3);
    let ending = [
        TrainEvent::StoppedEarly {
            at: outcome.steps,
            best: best.step,
        },
        TrainEvent::Restored {
            step: best.step,
            validation_loss: best.validation_loss,
        },
    ];
    assert_eq!(events[events.len() - 2..], ending);
    let validations = events.iter().filter_map(|event| match event {
        TrainEvent::Validated(found) => Some(found.validation_loss),
        _ => None,
    });
    assert_eq!(validations.fold(f64::MAX, f64::min), best.validation_loss);

    let run = RunDir::find(&bench.path("runs"), None).unwrap();
    let kept = checkpoint::load(&run, best.step).unwrap().weights;
    let stored = adapter::read(&outcome.adapter).unwrap();
    assert_eq!(stored.tensors.len(), kept.len());
    for (name, tensor) in &stored.tensors {
        assert_eq!(
            tensor.to_f32(),
            kept[name].flatten_all().unwrap().to_vec1::<f32>().unwrap()
        );
    }
}

#[test]
fn old_checkpoints_go_and_milestones_stay() {
    let bench = Bench::new();
    let config = TrainConfig {
        epochs: 10,
        checkpoint_every: Some(3),
        val: None,
        ..tiny::config()
    };
    let outcome = train_all(&bench.inputs(config), &bench.path("runs"));
    assert_eq!(outcome.steps, 50);
    // 20, 35 and 50 % of 50 steps, and the two newest.
    assert_eq!(checkpoints(&outcome.run), [10, 18, 25, 48, 50]);
    for step in [10, 18, 25] {
        let folder = outcome.run.join(format!("checkpoints/step-{step}"));
        let optimizer = candle_core::safetensors::load(
            folder.join("optimizer.safetensors"),
            &candle_core::Device::Cpu,
        )
        .unwrap();
        assert!(
            optimizer
                .keys()
                .any(|name| name.starts_with("v.base_model.model."))
        );
    }
}

#[test]
fn a_dry_run_measures_and_leaves_nothing_behind() {
    let bench = Bench::new();
    let inputs = bench.inputs(tiny::config());
    let files = || fs::read_dir(bench.dir.path()).unwrap().count();
    let before = files();
    let found = estimate(&inputs).unwrap();
    assert_eq!(
        (found.rows, found.validation_rows, found.steps),
        (32, 8, 12)
    );
    assert!(found.tokens_per_second > 0.0 && found.memory_bytes > 0);
    let whole = train_all(&inputs, &bench.path("runs"));
    assert_eq!(files(), before + 1);
    // The order of rows is known beforehand.
    assert_eq!((found.tokens, found.steps), (whole.tokens, whole.steps));
    assert!((3..=12).contains(&found.probed_steps), "{found:?}");
    assert_eq!(found.seconds, found.tokens as f64 / found.tokens_per_second);
    assert!(found.validation_seconds > 0.0);
}

/// Long rows are fitted before rows are set apart for validation, which are the same as without.
#[test]
fn long_rows_are_left_out_of_both_parts() {
    let bench = Bench::new();
    let whole = bench.inputs(tiny::config());
    let (train, validation) = whole.rows().unwrap();
    let size = |row: &EncodedRow| row.ids.len();
    // The limit counts the longest label, whatever the row's own is.
    let of_labels = |row: usize| {
        let lengths = ["up", "down"].map(|label| {
            let mut row = whole.dataset.rows[row].clone();
            if let TrainingExample::Labelled { label: own, .. } = &mut row.example {
                *own = label.to_owned();
            }
            let options = EncodeOptions {
                max_len: usize::MAX,
                ..whole.config.encode_options()
            };
            let row = encode_row(&whole.codec, &whole.task, &whole.dataset, &row, &options);
            size(&row.unwrap())
        });
        lengths[0].max(lengths[1])
    };
    let mut sizes: Vec<usize> = train.origins.iter().map(|row| of_labels(*row)).collect();
    sizes.sort_unstable();
    let limit = sizes[sizes.len() / 2];
    let with = |on_long| {
        bench.inputs(TrainConfig {
            max_len: limit,
            on_long,
            ..tiny::config()
        })
    };
    let fitting = |rows: &TrainRows| -> Vec<(usize, EncodedRow)> {
        let rows = rows.origins.iter().copied().zip(rows.encoded.clone());
        rows.filter(|(row, _)| of_labels(*row) <= limit).collect()
    };
    let dropped = with(OnLong::Drop);
    let (kept, kept_validation) = dropped.rows().unwrap();
    assert_eq!(fitting(&kept), fitting(&train));
    assert_eq!(kept.len(), fitting(&train).len());
    assert_eq!(fitting(&kept_validation), fitting(&validation));
    assert_eq!(kept_validation.len(), fitting(&validation).len());
    let long = train.origins.iter().chain(&validation.origins);
    let long = long.filter(|row| of_labels(**row) > limit).count();
    assert!(long > 0);
    assert_eq!((kept.long.long, kept.long.rows), (long, 40));
    assert_eq!(dropped.lock().digests, whole.lock().digests);

    let (cut, _) = with(OnLong::Truncate).rows().unwrap();
    assert_eq!(cut.origins, train.origins);
    assert!(cut.encoded.iter().all(|row| size(row) <= limit));
    let error = with(OnLong::Error).rows().unwrap_err().to_string();
    let long = train.encoded.iter().chain(&validation.encoded);
    let long = long.filter(|row| size(row) > limit).count();
    assert!(
        error.ends_with(&format!("; {long} rows are longer, the longest has {}", {
            let all = train.encoded.iter().chain(&validation.encoded);
            all.map(size).max().unwrap()
        })),
        "{error}"
    );
    let none = bench.inputs(TrainConfig {
        max_len: 8,
        on_long: OnLong::Drop,
        ..tiny::config()
    });
    let longest = none.dataset.rows.len();
    let longest = (0..longest).map(of_labels).max().unwrap();
    let refused = |rows: &str, error: TrainError| {
        let expected = format!(
            "no {rows} row is left: all 40 are longer than 8 tokens and left out (the longest has \
             {longest})"
        );
        let hint = "raise train.max_len, or set train.on_long to truncate";
        assert_eq!(
            message(&error),
            (ExitClass::BadInput, expected, Some(hint.to_owned()))
        );
    };
    refused("training", none.rows().unwrap_err());
    let options = none.config.encode_options();
    let rows = |role| {
        TrainRows::encode(&none.codec, &none.task, &none.dataset, &options, role).unwrap_err()
    };
    refused("validation", rows(DatasetRole::Validation));
    let set = EvalSet::new(&none.codec, &none.task, &none.dataset, &options, usize::MAX);
    refused("held-out", set.err().unwrap());
}

/// The rows of a held-out set that are too long are cut for every label alike, or left out.
#[test]
fn long_held_out_rows_are_fitted_for_every_label() {
    let bench = Bench::new();
    let inputs = bench.inputs(tiny::config());
    let set = |max_len, on_long| {
        let options = EncodeOptions {
            max_len,
            on_long,
            ..inputs.config.encode_options()
        };
        EvalSet::new(
            &inputs.codec,
            &inputs.task,
            &inputs.dataset,
            &options,
            usize::MAX,
        )
    };
    let whole = set(usize::MAX, OnLong::Error).unwrap().long_rows();
    assert_eq!((whole.rows, whole.long), (40, 0));
    let limit = whole.longest - 2;
    for on_long in [OnLong::Drop, OnLong::Truncate] {
        let fitted = set(limit, on_long).unwrap();
        let long = fitted.long_rows();
        // A training counts the same rows in the same way.
        let trained = bench.inputs(TrainConfig {
            max_len: limit,
            on_long,
            val: None,
            ..tiny::config()
        });
        assert_eq!(trained.rows().unwrap().0.long, long);
        assert!(long.long > 0 && long.kept_tokens <= long.long * limit);
        let left_out = (long.long - long.kept_rows) as u64;
        assert_eq!(fitted.rows(), 40 - left_out);
        assert_eq!(left_out > 0, on_long == OnLong::Drop);
    }
    assert!(set(limit, OnLong::Error).is_err());
}

/// What was measured is positive and finite, whatever the machine.
#[test]
fn the_machine_is_measured() {
    let bench = Bench::new();
    let base = BaseModel::open_dir("tiny", &bench.base).unwrap();
    let speed = machine::measure(&base).unwrap();
    let speeds = [
        speed.matrix_gflops,
        speed.memory_gb_per_second,
        speed.nano_tokens_per_second,
    ];
    assert!(
        speeds.iter().all(|it| *it > 0.0 && it.is_finite()),
        "{speed:?}"
    );
}

#[test]
fn a_share_too_small_for_validation_is_refused() {
    let bench = Bench::new();
    let inputs = bench.inputs(TrainConfig {
        val: Some("0.001".into()),
        ..tiny::config()
    });
    let error = train_until(
        &inputs,
        &RunStart::Fresh {
            runs: bench.path("runs"),
        },
        1,
    )
    .unwrap_err();
    assert_eq!(
        message(&error),
        (
            ExitClass::BadInput,
            "train.val = 0.001 leaves none of 40 rows for validation".to_owned(),
            Some("take another fraction, or name a file with --val".to_owned())
        )
    );
}

#[test]
fn text_is_judged_by_its_loss() {
    for dora in [false, true] {
        text_is_judged_beside_its_base(dora);
    }
}

fn text_is_judged_beside_its_base(dora: bool) {
    let bench = Bench::new();
    let rows = tiny::write(
        bench.dir.path(),
        "t.jsonl",
        "{\"text\":\"the boat is fine\"}\n",
    );
    let dataset = load(&[DataSource::of_file(rows)]).unwrap();
    let config = TrainConfig {
        val: None,
        batch: 1,
        accumulate: 1,
        epochs: 8,
        dropout: 0.0,
        dora,
        ..tiny::config()
    };
    let mut inputs = bench.inputs(config.clone());
    inputs.task = Task::Text;
    inputs.dataset = dataset.clone();
    let start = RunStart::Fresh {
        runs: bench.path("runs"),
    };
    let (_, mut decoder) = train(&inputs, &start, &mut |_| TrainFlow::Continue).unwrap();
    let set = EvalSet::new(
        &inputs.codec,
        &inputs.task,
        &dataset,
        &config.encode_options(),
        inputs.base.config.max_positions,
    )
    .unwrap();
    let report = set.compare(&mut decoder, true, &mut |_, _| {}).unwrap();
    let (EvalFigures::Text(adapter), Some(EvalFigures::Text(base))) =
        (&report.adapter, &report.base)
    else {
        panic!("expected text, found {report:?}")
    };
    assert_eq!(adapter.perplexity, adapter.loss.exp());
    assert!(adapter.loss < base.loss, "{adapter:?} {base:?}");
    assert_eq!(report.gain, Some(base.loss - adapter.loss));
    // The base is the one that was loaded, whatever the adapter learned.
    let mut alone = Decoder::load(&inputs.base, config.precision).unwrap();
    let alone = set.evaluate(&mut alone, &mut |_, _| {}).unwrap();
    assert_eq!(alone, EvalFigures::Text(base.clone()));
    let again = set.evaluate(&mut decoder, &mut |_, _| {}).unwrap();
    assert_eq!(again, EvalFigures::Text(adapter.clone()));
}

#[test]
fn a_base_is_built_the_same_twice_and_learns() {
    let dir = TempDir::new().unwrap();
    let mut build = BaseBuild {
        tokens: 12_000,
        ..tiny::build(dir.path())
    };
    let mut losses = Vec::new();
    let one = train_base(&build, &mut |event| {
        if let xtask::base::BaseEvent::Step { loss, .. } = event {
            losses.push(loss);
        }
    })
    .unwrap();
    build.out = dir.path().join("again");
    let two = train_base(&build, &mut |_| {}).unwrap();
    assert_eq!(one, two);
    assert!(one.loss < losses[0] - 1.0, "{} -> {}", losses[0], one.loss);
    assert!(one.validation_loss.unwrap() < losses[0] - 1.0, "{one:?}");
    let base = BaseModel::open_dir("again", &build.out).unwrap();
    assert_eq!(
        (base.config.layers, base.config.kv_heads, base.config.tied),
        (2, 2, true)
    );
}

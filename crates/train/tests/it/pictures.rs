//! Training on pictures: resuming, learning, refusing, and what a run says of its data.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use openlora_core::error::{ExitClass, Explain, Failure};
use openlora_diffusion::{
    CaptionEmbedding, DiffusionError, ImageModel, ImageModelConfig, TextEncoder,
};
use openlora_model::{
    PictureBase, adapter,
    adapter::{SAMPLES_FILE, WEIGHTS_FILE},
    dataset::{DataSource, Task},
    open_picture_base,
};
use openlora_pictures::{Picture, ReadLimits, encode_png, judge::PictureJudge, read_picture};
use openlora_train::{
    RunDir, RunOutcome, RunStart, TrainConfig, TrainError, TrainEvent, TrainFlow,
    pictures::{
        HeldOutPictures, PictureDataset, PictureModel, PictureTrainInputs, estimate_on_pictures,
        train_on_pictures,
    },
    run::lock::RunLock,
};
use tempfile::TempDir;

const SIDE: u32 = 16;
const WORDS: usize = 4;

/// A word is a token: a vector that its letters determine.
struct Words;

impl TextEncoder for Words {
    fn width(&self) -> usize {
        8
    }

    fn count(&self, caption: &str) -> Result<usize, DiffusionError> {
        Ok(caption.split_whitespace().count())
    }

    fn encode(&self, caption: &str) -> Result<CaptionEmbedding, DiffusionError> {
        let words: Vec<&str> = caption.split_whitespace().collect();
        if words.len() > WORDS {
            let (found, most) = (words.len(), WORDS);
            return Err(DiffusionError::CaptionTooLong { found, most });
        }
        let value = |word: &str, at: usize| {
            let sum = word.bytes().fold(at as u64 + 1, |sum, byte| {
                sum.wrapping_mul(0x100_0000_01b3) ^ u64::from(byte)
            });
            (sum >> 11) as f32 / (1u64 << 53) as f32 * 4.0 - 2.0
        };
        let values = words
            .iter()
            .flat_map(|word| (0..8).map(|at| value(word, at)));
        CaptionEmbedding::new(8, values.collect())
    }
}

/// A folder for bases, data and runs.
struct Place {
    dir: TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        let config = ImageModelConfig {
            image_size: SIDE as usize,
            text_width: 8,
            width: 32,
            text_blocks: 1,
            double_blocks: 1,
            heads: 2,
            head_dim: 16,
            bottleneck: 32,
            prompt_length: 8,
            default_steps: 4,
            ..ImageModelConfig::pico()
        };
        let base = place.path().join("base");
        fs::create_dir(&base).unwrap();
        let model = ImageModel::random(config.clone(), 3).unwrap().rounded();
        fs::write(base.join("config.json"), config.to_json()).unwrap();
        let weights = model.weights_file().unwrap();
        fs::write(base.join("diffusion_pytorch_model.safetensors"), weights).unwrap();
        for (index, name) in ["ada", "bo"].into_iter().enumerate() {
            place.folder(name, &rows(index));
        }
        place
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn runs(&self) -> PathBuf {
        self.path().join("runs")
    }

    fn fresh(&self) -> RunStart {
        RunStart::Fresh { runs: self.runs() }
    }

    /// Writes pictures and their captions.
    fn folder(&self, name: &str, rows: &[(Picture, String)]) {
        let dir = self.path().join(name);
        fs::create_dir_all(&dir).unwrap();
        let mut metadata = String::new();
        for (at, (picture, caption)) in rows.iter().enumerate() {
            fs::write(
                dir.join(format!("{at}.png")),
                encode_png(picture, &[]).unwrap(),
            )
            .unwrap();
            let row = serde_json::json!({ "file_name": format!("{at}.png"), "text": caption });
            metadata += &format!("{row}\n");
        }
        fs::write(dir.join("metadata.jsonl"), metadata).unwrap();
    }

    fn source(&self, name: &str) -> DataSource {
        DataSource {
            contributor: name.to_owned(),
            license: Some("CC0-1.0".to_owned()),
            ..DataSource::of_file(self.path().join(name))
        }
    }

    fn dataset(&self, names: &[&str]) -> PictureDataset {
        let sources: Vec<DataSource> = names.iter().map(|name| self.source(name)).collect();
        PictureDataset::load(&sources, SIDE).unwrap()
    }

    fn base(&self) -> PictureBase {
        let request = openlora_model::BaseRequest {
            id: self.path().join("base").to_str().unwrap().to_owned(),
            revision: "main".to_owned(),
            endpoint: "http://127.0.0.1:9".to_owned(),
            models_dir: self.path().join("models"),
            nano_dir: self.path().join("nano"),
            token: None,
            offline: true,
        };
        open_picture_base(&request, &mut |_| ()).unwrap()
    }

    fn model(&self) -> PictureModel {
        let read = |name: &str| fs::read(self.path().join("base").join(name)).unwrap();
        let weights = read("diffusion_pytorch_model.safetensors");
        PictureModel {
            denoiser: Arc::new(ImageModel::read(&read("config.json"), &weights).unwrap()),
            captions: Arc::new(Words),
        }
    }

    fn inputs(&self, change: impl FnOnce(&mut TrainConfig)) -> PictureTrainInputs {
        let mut config = TrainConfig {
            rank: 4,
            alpha: 4.0,
            lr: 1e-2,
            batch: 4,
            epochs: 6,
            warmup: 2,
            val: Some("0.25".to_owned()),
            ..TrainConfig::default()
        };
        change(&mut config);
        PictureTrainInputs {
            name: "stripes".to_owned(),
            base: self.base(),
            model: self.model(),
            dataset: self.dataset(&["ada", "bo"]),
            validation: None,
            config,
            flags: Vec::new(),
            root: self.path().to_owned(),
            out: None,
        }
    }
}

/// Stripes or a disc, in one of four colours.
fn drawn(style: usize, colour: usize, shift: u32) -> Picture {
    const COLOURS: [[u8; 3]; 4] = [[220, 40, 40], [40, 180, 60], [40, 60, 220], [230, 200, 30]];
    let mut picture = Picture::filled(SIDE, SIDE, [245; 3]);
    for (at, pixel) in picture.rgb.chunks_exact_mut(3).enumerate() {
        let (x, y) = (at as u32 % SIDE, at as u32 / SIDE);
        let inside = match style {
            0 => (x + shift) % 8 < 4,
            _ => x.abs_diff(6 + shift).pow(2) + y.abs_diff(8).pow(2) < 20,
        };
        if inside {
            pixel.copy_from_slice(&COLOURS[colour]);
        }
    }
    picture
}

fn rows(style: usize) -> Vec<(Picture, String)> {
    let what = ["stripes", "disc"][style];
    let rows = (0..16).map(|at| {
        let (colour, shift) = (at % 4, (at / 4) as u32);
        let word = ["red", "green", "blue", "yellow"][colour];
        (drawn(style, colour, shift), format!("{word} {what}"))
    });
    rows.collect()
}

/// Trains and asks to stop once `last` steps are done.
fn train_until(
    inputs: &PictureTrainInputs,
    start: &RunStart,
    last: u64,
) -> Result<RunOutcome, TrainError> {
    let mut listener = |event| match event {
        TrainEvent::Step(step) if step.step >= last => TrainFlow::Stop,
        _ => TrainFlow::Continue,
    };
    train_on_pictures(inputs, start, &mut listener).map(|(outcome, _)| outcome)
}

fn said(error: TrainError, place: &Place) -> String {
    let failure = Failure::from(error);
    let text = format!(
        "{}\nhint: {}",
        failure.message,
        failure.hint.unwrap_or_default()
    );
    text.replace(place.path().to_str().unwrap(), "DIR")
}

#[test]
fn a_resumed_run_equals_an_uninterrupted_one() {
    let place = Place::new();
    let inputs = place.inputs(|_| ());
    let whole = train_until(&inputs, &place.fresh(), u64::MAX).unwrap();
    let Err(TrainError::Interrupted { run, step, steps }) = train_until(&inputs, &place.fresh(), 7)
    else {
        panic!("it was not interrupted");
    };
    assert_eq!((step, steps), (7, whole.steps));
    let run = RunDir::find(&place.runs(), run.to_str()).unwrap();
    let resumed = train_until(&inputs, &RunStart::Resume(run.clone()), u64::MAX).unwrap();
    for file in [WEIGHTS_FILE, adapter::CONFIG_FILE, SAMPLES_FILE] {
        let read = |outcome: &RunOutcome| fs::read(outcome.adapter.join(file)).unwrap();
        assert!(read(&whole) == read(&resumed), "{file} differs");
    }
    let losses = |run: &Path| -> Vec<(u64, f64)> {
        let text = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        let value = |line: serde_json::Value| {
            let loss = line["loss"].as_f64().or(line["validation_loss"].as_f64());
            (line["step"].as_u64().unwrap(), loss.unwrap())
        };
        lines.map(value).collect()
    };
    assert_eq!(losses(&whole.run), losses(&resumed.run));
    let again = train_until(&inputs, &RunStart::Resume(run), u64::MAX).unwrap_err();
    assert!(matches!(again, TrainError::Complete { .. }), "{again}");
}

#[test]
fn held_out_pictures_become_likelier() {
    let place = Place::new();
    let inputs = place.inputs(|config| config.epochs = 40);
    let (outcome, factors) =
        train_on_pictures(&inputs, &place.fresh(), &mut |_| TrainFlow::Continue).unwrap();
    let (_, validation) = inputs.parts().unwrap();
    let held_out = HeldOutPictures::new(&inputs.model, &validation).unwrap();
    let report = held_out
        .compare(&inputs.model, &factors, None, &mut |_| ())
        .unwrap();
    let gain = report.gain.unwrap();
    assert!(gain > 0.3, "the loss fell by {gain} of the base's");
    let metrics = report.metrics();
    assert_eq!(metrics[0].name, "loss");
    assert_eq!(metrics[0].base, report.base.map(|base| base.loss));
    // What was written computes the same.
    let read = adapter::read(&outcome.adapter).unwrap();
    let card = read.task.clone().unwrap();
    assert_eq!((card.task, card.rows), (Task::Image, None));
    adapter::verify_base(&read, &inputs.base.digest).unwrap();
    let factors = inputs.model.adapter(&inputs.base, &read).unwrap();
    let again = held_out
        .evaluate(&inputs.model, Some(&factors), None, &mut |_| ())
        .unwrap();
    assert_eq!(again, report.adapter);
    let samples = fs::read(outcome.adapter.join(SAMPLES_FILE)).unwrap();
    let samples = read_picture(&samples, &ReadLimits::default()).unwrap();
    assert_eq!((samples.width, samples.height), (4 * 20 - 4, 2 * 20 - 4));
}

#[test]
fn a_judge_looks_at_pictures_for_captions_that_it_knows() {
    let place = Place::new();
    place.folder(
        "known",
        &[
            (drawn(0, 0, 0), "a red star".to_owned()),
            (drawn(1, 1, 0), "zig zag".to_owned()),
            (drawn(1, 2, 0), "blue star, in ink".to_owned()),
        ],
    );
    let inputs = place.inputs(|_| ());
    let judge = PictureJudge::embedded().unwrap();
    let held_out = HeldOutPictures::new(&inputs.model, &place.dataset(&["known"])).unwrap();
    assert_eq!((held_out.work(None), held_out.work(Some(&judge))), (3, 5));
    let mut units = Vec::new();
    let mut count = |done| units.push(done);
    let figures = held_out
        .evaluate(&inputs.model, None, Some(&judge), &mut count)
        .unwrap();
    assert_eq!(units.last(), Some(&5));
    let made = figures.made.unwrap();
    assert_eq!((made.pictures, made.styled), (2, 1));
    assert!(made.attributes >= 4, "shape and colour of each: {made:?}");
    assert!((0.0..=1.0).contains(&made.right), "{made:?}");
    assert!(made.in_style.is_some() && made.right_by_kind.contains_key("colour"));
    let unknown = HeldOutPictures::new(&inputs.model, &place.dataset(&["ada"])).unwrap();
    let figures = unknown
        .evaluate(&inputs.model, None, Some(&judge), &mut |_| ())
        .unwrap();
    assert_eq!(figures.made, None, "no caption of these is known");
}

#[test]
fn the_files_of_an_adapter_are_what_peft_writes_for_a_model_without_a_task() {
    let place = Place::new();
    let inputs = place.inputs(|config| {
        config.max_steps = Some(1);
        config.targets = vec!["final_layer.linear".to_owned()];
        config.rslora = true;
    });
    let outcome = train_until(&inputs, &place.fresh(), u64::MAX).unwrap();
    let config = fs::read(outcome.adapter.join(adapter::CONFIG_FILE)).unwrap();
    let config: serde_json::Value = serde_json::from_slice(&config).unwrap();
    assert_eq!(config["task_type"], serde_json::Value::Null);
    let module = "model.net.final_layer.linear";
    assert_eq!(config["target_modules"], serde_json::json!([module]));
    let read = adapter::read(&outcome.adapter).unwrap();
    assert_eq!(read.modules.len(), 1);
    assert_eq!(
        (read.modules[0].path.as_str(), read.modules[0].scale),
        (module, 2.0)
    );
}

#[test]
fn the_best_validation_is_kept() {
    let place = Place::new();
    let inputs = place.inputs(|config| {
        config.lr = 0.3;
        config.epochs = 30;
        config.patience = Some(2);
        config.clip = 0.0;
    });
    let mut validations = Vec::new();
    let trained = train_on_pictures(&inputs, &place.fresh(), &mut |event| {
        if let TrainEvent::Validated(it) = event {
            validations.push((it.step, it.validation_loss));
        }
        TrainFlow::Continue
    });
    let (outcome, factors) = match trained {
        // A rate this high may also diverge, which the watchdog says.
        Err(TrainError::Diverged { .. }) => return assert!(!validations.is_empty()),
        trained => trained.unwrap(),
    };
    let least = validations
        .iter()
        .min_by(|a, b| a.1.total_cmp(&b.1))
        .unwrap();
    let best = outcome.best.unwrap();
    assert_eq!((best.step, best.validation_loss), *least);
    let (_, validation) = inputs.parts().unwrap();
    let held_out = HeldOutPictures::new(&inputs.model, &validation).unwrap();
    let loss = held_out.loss(&inputs.model, Some(&factors), &mut |_, _| ());
    assert_eq!(loss.unwrap(), best.validation_loss);
}

#[test]
fn a_plan_counts_the_steps_of_the_run() {
    let place = Place::new();
    let inputs = place.inputs(|config| config.accumulate = 2);
    let plan = estimate_on_pictures(&inputs).unwrap();
    let outcome = train_until(&inputs, &place.fresh(), u64::MAX).unwrap();
    assert_eq!((plan.steps, plan.pictures), (outcome.steps, 24));
    assert_eq!((plan.validation_pictures, plan.side), (8, SIDE));
    // Every picture has 4 patches.
    assert_eq!(outcome.tokens, 6 * 24 * 4);
    let written = fs::read_dir(place.runs()).unwrap().count();
    assert_eq!(
        written, 2,
        "the plan writes no run: {written} entries beside `latest`"
    );
}

#[test]
fn a_run_locks_its_data_by_content() {
    let place = Place::new();
    let mut copied = rows(0);
    copied.truncate(4);
    // The same file, and one that was written again with a pixel changed.
    copied[1].0.rgb[0] = 240;
    place.folder("copier", &copied);
    let data = place.dataset(&["ada", "bo", "copier"]);
    let locked = data.locked_sources(place.path());
    let counted: Vec<(&str, usize, usize)> = locked
        .iter()
        .map(|source| (source.path.as_str(), source.rows, source.counted()))
        .collect();
    assert_eq!(counted, [("ada", 16, 16), ("bo", 16, 16), ("copier", 4, 0)]);
    // Neither the folder's name nor the base's size counts.
    fs::rename(place.path().join("ada"), place.path().join("renamed")).unwrap();
    let moved = PictureDataset::load(&[place.source("renamed")], 8).unwrap();
    assert_eq!(moved.source_digests[0], locked[0].sha256);
    let lock = place.inputs_of(&["renamed"]).lock();
    assert_eq!((lock.task, lock.data[0].rows), (Task::Image, 16));
}

impl Place {
    fn inputs_of(&self, names: &[&str]) -> PictureTrainInputs {
        let dataset = self.dataset(names);
        fs::create_dir_all(self.path().join("ada")).unwrap();
        self.folder("ada", &rows(0));
        PictureTrainInputs {
            dataset,
            ..self.inputs(|_| ())
        }
    }
}

#[test]
fn a_split_keeps_its_parts_when_pictures_are_added() {
    let place = Place::new();
    let before = place.dataset(&["bo"]);
    let held = |data: &PictureDataset| -> Vec<String> {
        let split = data.split(0.25, 7);
        assert_eq!(split.train.len() + split.valid.len(), data.len());
        let digests = split.valid.iter().map(|at| data.rows[*at].digest.clone());
        digests.collect()
    };
    let first = held(&before);
    assert_eq!(first.len(), 4);
    assert_eq!(first, held(&before));
    let both = held(&place.dataset(&["ada", "bo"]));
    assert_eq!(both.len(), 8);
    assert!(first.iter().all(|digest| both.contains(digest)));
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    let place = Place::new();
    let refused = |inputs: &PictureTrainInputs| {
        said(train_until(inputs, &place.fresh(), 1).unwrap_err(), &place)
    };
    let unknown = place.inputs(|config| config.targets = vec!["q_proj".to_owned()]);
    assert_eq!(
        refused(&unknown),
        "no module is called \"q_proj\"; this model has txt_embedder, qkv, attn_proj, mlp.w1, mlp.w3, \
         mlp.w2, img_qkv, img_attn_proj, img_mlp.w1, img_mlp.w3, img_mlp.w2, txt_qkv, txt_attn_proj, \
         txt_mlp.w1, txt_mlp.w3, txt_mlp.w2, final_layer.linear\nhint: use all-linear, or names from \
         that list"
    );
    let large = place.inputs(|config| config.rank = 33);
    assert_eq!(refused(&large), "rank is 33; expected 1 to 32\nhint: ");
    let all = place.inputs(|config| config.val = Some("0.99".to_owned()));
    assert!(refused(&all).starts_with("train.val = 0.99 leaves none of 32 rows for validation"));
    let wrong = place.inputs(|config| config.val = Some("7".to_owned()));
    assert!(refused(&wrong).starts_with("train.val is `7`"));
    let mut rows = rows(0);
    rows[2].1 = "a very long caption indeed".to_owned();
    place.folder("ada", &rows);
    let long = place.inputs(|_| ());
    assert_eq!(
        refused(&long),
        "DIR/ada/metadata.jsonl:3: the caption has 5 tokens; the model reads at most 4\nhint: shorten \
         the caption"
    );
    assert!(
        !place.runs().exists(),
        "nothing is written before the data is right"
    );
    let missing = [place.source("none")];
    let missing = PictureDataset::load(&missing, SIDE).unwrap_err();
    assert_eq!(missing.class(), ExitClass::BadInput);
    let shown = said(missing, &place);
    assert!(shown.starts_with("DIR/none: no such folder"), "{shown}");
    let broken = place.path().join("bo/3.png");
    fs::write(&broken, b"\x89PNG\r\n\x1a\nnot a picture").unwrap();
    let broken = PictureDataset::inspect(&[place.source("ada"), place.source("bo")], SIDE, 20);
    assert_eq!((broken.dataset.len(), broken.errors.len()), (16, 1));
    let shown = broken.errors[0].to_string();
    assert!(shown.contains("bo/3.png"), "{shown}");
}

#[test]
fn a_run_does_not_continue_with_other_data() {
    let place = Place::new();
    let inputs = place.inputs(|_| ());
    let run = match train_until(&inputs, &place.fresh(), 3) {
        Err(TrainError::Interrupted { run, .. }) => run,
        other => panic!("{other:?}"),
    };
    let run = RunDir::find(&place.runs(), run.to_str()).unwrap();
    assert_eq!(RunLock::read(&run.lock()).unwrap(), inputs.lock());
    let mut changed = rows(1);
    changed[0].1 = "green disc".to_owned();
    place.folder("bo", &changed);
    let resume = RunStart::Resume(run.clone());
    let other = train_until(&place.inputs(|_| ()), &resume, 9).unwrap_err();
    let shown = said(other, &place).replace(&run.id(), "RUN");
    assert!(
        shown.starts_with("run RUN cannot continue: data file bo was sha256 "),
        "{shown}"
    );
    place.folder("bo", &rows(1));
    let slower = place.inputs(|config| config.lr = 1e-3);
    let shown = said(train_until(&slower, &resume, 9).unwrap_err(), &place);
    assert!(
        shown.contains("train.lr was 0.01 and is now 0.001"),
        "{shown}"
    );
    // A checkpoint that was damaged is no state to continue from.
    let checkpoint = run.checkpoints().join("step-3/optimizer.safetensors");
    let mut bytes = fs::read(&checkpoint).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&checkpoint, bytes).unwrap();
    let damaged = train_until(&inputs, &resume, 9).unwrap_err();
    assert!(
        damaged.to_string().contains("not the one that was saved"),
        "{damaged}"
    );
}

//! The index over pictures: its rows, its file, what it refuses, and that its shares are true.

use std::{fs, path::Path, sync::Arc};

use openlora_attribution::{
    AttributionIndex,
    queue::{CallPicture, CallTokens, PendingTokenStore, PendingTokens},
    shares::{Contributor, ShareEvidence, ShareFallback, ShareTable, divide_call},
};
use openlora_diffusion::{
    CaptionEmbedding, DiffusionError, FlowMeasure, ImageAdapter, ImageAdapterConfig, ImageExample,
    ImageModel, ImageModelConfig, ImageTrainOptions, ImageTrainer, TextEncoder, TimeNoise,
    example_gradients, example_losses, pixels_of,
};
use openlora_influence::{
    AttributionDir, AttributionError, BuiltIndex, ContributorIndex, GradientInputs,
    GradientSketcher, IndexContributor, IndexFile, PictureExample, PictureIndexJob, PictureOutput,
    PictureSketcher, PictureSource, SketchBases, build_pictures, picture_rows_at,
};
use openlora_model::BaseModel;
use openlora_pictures::Picture;
use openlora_train::pictures::PictureModel;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::{
    attribution::{random_draft, written},
    tiny,
};

const SIDE: u32 = 16;
const STYLES: usize = 3;
const EACH: usize = 6;

/// A vector for each word, drawn from its letters.
struct Words;

impl TextEncoder for Words {
    fn width(&self) -> usize {
        8
    }

    fn count(&self, caption: &str) -> Result<usize, DiffusionError> {
        Ok(caption.split_whitespace().count())
    }

    fn encode(&self, caption: &str) -> Result<CaptionEmbedding, DiffusionError> {
        let words = caption
            .split_whitespace()
            .map(|word| Sha256::digest(word.as_bytes()));
        let values = words.flat_map(|digest| {
            let bytes: Vec<u8> = digest.iter().take(8).copied().collect();
            bytes.into_iter().map(|byte| f32::from(byte) / 64.0 - 2.0)
        });
        CaptionEmbedding::new(self.width(), values.collect())
    }
}

fn config() -> ImageModelConfig {
    ImageModelConfig {
        image_size: SIDE as usize,
        text_width: 8,
        width: 32,
        text_blocks: 1,
        double_blocks: 1,
        heads: 2,
        head_dim: 16,
        bottleneck: 32,
        prompt_length: 8,
        ..ImageModelConfig::pico()
    }
}

/// A picture in a contributor's style: stripes, a disc or a chequer, moved by its number.
fn drawn(style: usize, number: usize) -> Picture {
    figure(
        style,
        number,
        [[220, 30, 30], [30, 60, 220], [20, 150, 60]][style],
    )
}

fn figure(style: usize, number: usize, colour: [u8; 3]) -> Picture {
    let mut picture = Picture::filled(SIDE, SIDE, [250; 3]);
    for (at, pixel) in picture.rgb.chunks_exact_mut(3).enumerate() {
        let (x, y) = (at % SIDE as usize, at / SIDE as usize);
        let inside = match style {
            0 => (y + number) % 4 < 2,
            1 => {
                let (dx, dy) = (x.abs_diff(5 + number % 6), y.abs_diff(6 + number % 4));
                dx * dx + dy * dy < 20
            }
            _ => (x / 2 + y / 2 + number).is_multiple_of(2),
        };
        if inside {
            pixel.copy_from_slice(&colour);
        }
    }
    picture
}

const NAMES: [&str; STYLES] = ["stripes", "disc", "chequer"];

fn caption(style: usize) -> String {
    format!("a {}", NAMES[style])
}

/// A trained adapter over a small base, with everything that an index needs.
struct World {
    base: PictureModel,
    examples: Vec<PictureExample>,
    sources: Vec<PictureSource>,
    material: GradientInputs,
    adapter: ImageAdapter,
}

impl World {
    fn new() -> Self {
        let model = Arc::new(pretrained());
        let examples: Vec<PictureExample> = (0..STYLES * EACH)
            .map(|at| example(at / EACH, at % EACH))
            .collect();
        let all: Vec<usize> = (0..examples.len()).collect();
        let (adapter, material) = adapted(&model, &examples, &all);
        let source = |name: &&str| PictureSource {
            contributor: IndexContributor {
                name: (*name).to_owned(),
                address: None,
            },
            weight: 1.0,
            digest: format!("of {name}"),
        };
        Self {
            base: PictureModel {
                denoiser: model,
                captions: Arc::new(Words),
            },
            examples,
            sources: NAMES.iter().map(source).collect(),
            material,
            adapter,
        }
    }

    fn job(&self) -> PictureIndexJob<'_> {
        PictureIndexJob {
            model: &self.base.denoiser,
            base: "b".into(),
            tokenizer: "t".into(),
            adapter: "a".into(),
            data: "d".into(),
            sources: &self.sources,
            examples: &self.examples,
            material: &self.material,
            width: 512,
            damping: 0.1,
            output: PictureOutput::Loss,
            times: 8,
        }
    }

    fn build(&self, dir: &Path) -> (BuiltIndex, AttributionDir) {
        let places = AttributionDir::new(dir);
        let built = build_pictures(&self.job(), &places, &mut |_| {}).unwrap();
        (built, places)
    }

    /// As a server opens it.
    fn open(&self, places: &AttributionDir) -> (ContributorIndex, Vec<Contributor>) {
        let file = IndexFile::open(&places.index()).unwrap();
        file.binding().require("b", "a").unwrap();
        let sketcher =
            PictureSketcher::from_binding(file.binding(), places, "b", &self.base).unwrap();
        let mut parties = Vec::new();
        let index = ContributorIndex::of_pictures(file, Some(sketcher), &mut parties);
        parties.iter_mut().for_each(|party| party.static_ppm = 1);
        (index, parties)
    }
}

fn example(style: usize, number: usize) -> PictureExample {
    let (picture, text) = (drawn(style, number), caption(style));
    PictureExample {
        hash: Sha256::digest([text.as_bytes(), &picture.rgb].concat()).into(),
        caption: Words.encode(&text).unwrap(),
        picture,
        source: style,
        cluster: style * EACH + number,
        credited: style,
    }
}

/// A base that has seen the figures in other colours, so that every layer passes gradients.
fn pretrained() -> ImageModel {
    let model = ImageModel::random(config(), 3).unwrap();
    let mut trainer = ImageTrainer::of_model(model, ImageTrainOptions::default());
    let pixels: Vec<Vec<f32>> = (0..STYLES * 4)
        .map(|at| figure(at % STYLES, at / STYLES, [60 + 40 * (at as u8 / 3); 3]))
        .map(|picture| pixels_of(&picture.rgb))
        .collect();
    let caption = Words.encode("figure").unwrap();
    let batch: Vec<ImageExample<'_>> = pixels
        .iter()
        .map(|pixels| ImageExample {
            pixels,
            caption: &caption,
        })
        .collect();
    for _ in 0..200 {
        trainer.step(&batch, 3e-3).unwrap();
    }
    trainer.model().clone()
}

/// Trains factors on the examples at `picks`.
fn adapted(
    model: &Arc<ImageModel>,
    examples: &[PictureExample],
    picks: &[usize],
) -> (ImageAdapter, GradientInputs) {
    let config = ImageAdapterConfig {
        rank: 4,
        alpha: 4.0,
        ..ImageAdapterConfig::default()
    };
    let adapter = ImageAdapter::random(model, &config, 5).unwrap();
    let options = ImageTrainOptions::default();
    let mut trainer = ImageTrainer::of_adapter(Arc::clone(model), adapter, options);
    let pixels: Vec<Vec<f32>> = examples
        .iter()
        .map(|it| pixels_of(&it.picture.rgb))
        .collect();
    let mut kept = Vec::new();
    for step in 0..150 {
        // The styles alternate.
        let batch: Vec<ImageExample<'_>> = (0..6)
            .map(|at| picks[(step * 6 + at) * 7 % picks.len()])
            .map(|at| ImageExample {
                pixels: &pixels[at],
                caption: &examples[at].caption,
            })
            .collect();
        trainer.step(&batch, 5e-3).unwrap();
        if [30, 52, 75].contains(&(step + 1)) {
            kept.push((step as u64 + 1, 5e-3, trainer.adapter().unwrap().clone()));
        }
    }
    let kept: Vec<(u64, f64, &ImageAdapter)> = kept
        .iter()
        .map(|(step, rate, it)| (*step, *rate, it))
        .collect();
    let moments = trainer.second_moments();
    let material = GradientInputs::of_picture_adapters(&kept, &moments).unwrap();
    (trainer.adapter().unwrap().clone(), material)
}

fn made(style: usize, number: usize) -> CallPicture {
    let picture = drawn(style, number);
    CallPicture {
        caption: caption(style),
        width: picture.width,
        height: picture.height,
        rgb: picture.rgb,
    }
}

#[test]
fn rows_are_the_gradients_of_the_model() {
    let world = World::new();
    let plain = GradientInputs {
        moments: Default::default(),
        ..world.material.clone()
    };
    let job = PictureIndexJob {
        material: &plain,
        width: usize::MAX >> 8,
        ..world.job()
    };
    let rows = picture_rows_at(&job, 1).unwrap();
    let (_, places) = {
        let dir = TempDir::new().unwrap();
        let places = AttributionDir::new(dir.path());
        build_pictures(&job, &places, &mut |_| {}).unwrap();
        (dir, IndexFile::open(&places.index()).unwrap())
    };
    let parameters = places.binding().parameters.pictures.unwrap();
    let points = TimeNoise::stratified(world.base.denoiser.config(), parameters.noise, 8);
    let adapter = plain.place_picture(&world.base.denoiser, 1).unwrap();
    let width = rows.len() / world.examples.len();
    let factors = world.material.preconditioner().unwrap();
    let weighed = picture_rows_at(
        &PictureIndexJob {
            material: &world.material,
            ..job
        },
        1,
    );
    let weighed = weighed.unwrap();
    for (at, example) in world.examples.iter().enumerate().step_by(5) {
        let expected = example_gradients(
            &world.base.denoiser,
            &adapter,
            &pixels_of(&example.picture.rgb),
            &example.caption,
            &points,
            FlowMeasure::Loss,
        )
        .unwrap();
        let row = &rows[at * width..][..width];
        assert_eq!(row[..expected.len()], expected, "example {at}");
        assert!(row[expected.len()..].iter().all(|value| *value == 0.0));
        let place = &adapter.places()[1];
        let name = format!("base_model.model.{}.lora_B.weight", place.path);
        let factor = &factors[&name];
        for (value, factor) in place.b.clone().zip(factor) {
            assert_eq!(weighed[at * width + value], expected[value] * factor);
        }
    }
}

#[test]
fn an_index_is_the_same_bytes_on_one_thread_and_on_four_and_says_what_it_is() {
    let world = World::new();
    let build = |threads: usize| {
        let dir = TempDir::new().unwrap();
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        let (built, places) = pool.install(|| world.build(dir.path()));
        (built.digest, fs::read(places.index()).unwrap())
    };
    let (digest, bytes) = build(1);
    assert!(build(4) == (digest.clone(), bytes), "the builds differ");
    let dir = TempDir::new().unwrap();
    let (built, places) = world.build(dir.path());
    assert_eq!(
        (built.examples, built.contributors),
        (STYLES * EACH, STYLES)
    );
    let file = IndexFile::open(&places.index()).unwrap();
    assert_eq!(file.digest(), digest);
    assert_eq!(file.shape(), [3, 512]);
    assert!(!file.has_pairs());
    assert!(file.trace(&[], &[1, 2, 3, 4, 5, 6, 7]).spans.is_empty());
    let binding = file.binding();
    assert_eq!(
        [&binding.base, &binding.adapter, &binding.data],
        ["b", "a", "d"]
    );
    assert_eq!(binding.sources, ["of stripes", "of disc", "of chequer"]);
    let pictures = binding.parameters.pictures.unwrap();
    assert_eq!((pictures.version, pictures.times), (1, 8));
    assert!(binding.require("b", "other").is_err());
}

#[test]
fn a_picture_is_helped_by_its_like() {
    let world = World::new();
    let dir = TempDir::new().unwrap();
    let (_, places) = world.build(dir.path());
    let (index, _) = world.open(&places);
    for (at, example) in world.examples.iter().enumerate() {
        let picture = &example.picture;
        let made = CallPicture {
            caption: caption(at / EACH),
            width: picture.width,
            height: picture.height,
            rgb: picture.rgb.clone(),
        };
        let sketch = index.sketch_picture(&made).unwrap();
        assert_eq!(sketch, index.sketch_picture(&made).unwrap());
        let scores = index.scores(&sketch).unwrap();
        let best = (0..scores.len()).max_by_key(|at| scores[*at]).unwrap();
        assert_eq!(best / EACH, at / EACH, "example {at}: {scores:?}");
    }
    // An index over pictures says nothing about texts.
    let texts = CallTokens {
        prompt: vec![1],
        answer: vec![2, 3],
    };
    assert_eq!(index.sketch(&texts), Err(ShareFallback::Mismatch));
}

#[test]
fn shares_of_a_style_go_to_its_contributor_as_leaving_it_out_does() {
    let world = World::new();
    let dir = TempDir::new().unwrap();
    let (_, places) = world.build(dir.path());
    let (index, parties) = world.open(&places);
    let all: Vec<usize> = (0..world.examples.len()).collect();
    let without: Vec<ImageAdapter> = (0..STYLES)
        .map(|left_out| {
            let rest: Vec<usize> = all
                .iter()
                .copied()
                .filter(|at| at / EACH != left_out)
                .collect();
            adapted(&world.base.denoiser, &world.examples, &rest).0
        })
        .collect();
    let points = TimeNoise::stratified(world.base.denoiser.config(), 99, 16);
    for style in 0..STYLES {
        // A picture that no contributor has.
        let query = made(style, EACH);
        let text = Words.encode(&query.caption).unwrap();
        let loss = |adapter: &ImageAdapter| -> f64 {
            let example = ImageExample {
                pixels: &pixels_of(&query.rgb),
                caption: &text,
            };
            let losses = example_losses(&world.base.denoiser, Some(adapter), &example, &points);
            losses.unwrap().iter().sum()
        };
        let whole = loss(&world.adapter);
        let harms: Vec<f64> = without
            .iter()
            .map(|it| (loss(it) - whole).max(0.0))
            .collect();
        let truth: Vec<f64> = harms
            .iter()
            .map(|it| it / harms.iter().sum::<f64>())
            .collect();
        let shares = shares(&index, &parties, &query);
        let apart = |shares: &[f64]| -> f64 {
            shares
                .iter()
                .zip(&truth)
                .map(|(a, b)| (a - b).abs())
                .sum::<f64>()
                / 2.0
        };
        let said = format!("{}: {shares:?}, leaving out gives {truth:?}", NAMES[style]);
        assert!(shares[style] > 0.5, "{said}");
        assert!(
            apart(&shares) < apart(&[1.0 / STYLES as f64; STYLES]),
            "{said}"
        );
    }
}

fn shares(index: &ContributorIndex, parties: &[Contributor], query: &CallPicture) -> Vec<f64> {
    let scores = index.scores(&index.sketch_picture(query).unwrap()).unwrap();
    let evidence = ShareEvidence {
        examples: index.examples(),
        scores: &scores,
        spans: &[],
        answer_tokens: 0,
    };
    let table = ShareTable {
        event: [0; 32],
        contributors: parties,
        payer: None,
    };
    let divided = divide_call(&table, Ok(&evidence));
    let total: u32 = divided.shares.iter().map(|share| share.ppm).sum();
    assert_eq!(total, 1_000_000);
    let mut shares = vec![0.0; parties.len()];
    for share in divided.shares {
        shares[share.contributor] = f64::from(share.ppm) / 1e6;
    }
    shares
}

/// The error of opening a sketcher.
fn refusal(world: &World, places: &AttributionDir, base: &str) -> String {
    let file = IndexFile::open(&places.index()).unwrap();
    let found = PictureSketcher::from_binding(file.binding(), places, base, &world.base);
    found
        .err()
        .map(|error| error.to_string())
        .unwrap_or_default()
}

#[test]
fn other_bases_damaged_files_and_indexes_over_texts_are_refused() {
    let world = World::new();
    let dir = TempDir::new().unwrap();
    let (_, places) = world.build(dir.path());
    assert_eq!(refusal(&world, &places, "b"), "");
    assert_eq!(
        refusal(&world, &places, "other"),
        "the attribution index is of another base: it was built for b, this is other"
    );
    for name in ["checkpoint-52.safetensors", "preconditioner.safetensors"] {
        let path = dir.path().join(name);
        let sound = fs::read(&path).unwrap();
        let mut damaged = sound.clone();
        *damaged.last_mut().unwrap() ^= 1;
        fs::write(&path, &damaged).unwrap();
        let said = refusal(&world, &places, "b");
        assert!(
            said.contains(name) && said.contains("not what was written"),
            "{said}"
        );
        fs::remove_file(&path).unwrap();
        assert!(refusal(&world, &places, "b").contains(name));
        fs::write(&path, &sound).unwrap();
    }
    // The two kinds of indexes are told apart.
    let base = BaseModel::open_dir("tiny", &tiny::base(dir.path())).unwrap();
    let mut binding = IndexFile::open(&places.index()).unwrap().binding().clone();
    binding.base = base.digest.clone();
    let bases = SketchBases::default();
    let error = GradientSketcher::from_binding(&binding, &places, &base, &bases)
        .err()
        .unwrap();
    assert!(
        error
            .to_string()
            .ends_with("it is over pictures, not over texts"),
        "{error}"
    );
    let (_dir, texts) = written(&random_draft(3, 2, [1, 16]));
    let error = PictureSketcher::from_binding(texts.binding(), &places, "b", &world.base)
        .err()
        .unwrap();
    assert!(
        error
            .to_string()
            .ends_with("it is over texts, not over pictures"),
        "{error}"
    );
    let mut newer = IndexFile::open(&places.index()).unwrap().binding().clone();
    newer.parameters.pictures.as_mut().unwrap().version = 2;
    let error = PictureSketcher::from_binding(&newer, &places, "b", &world.base)
        .err()
        .unwrap();
    assert!(
        error
            .to_string()
            .contains("version 2; this program reads 1"),
        "{error}"
    );
}

#[test]
fn gradients_without_a_number_and_unreadable_captions_have_no_sketch() {
    let world = World::new();
    let dir = TempDir::new().unwrap();
    let (_, places) = world.build(dir.path());
    let (index, _) = world.open(&places);
    let silent = CallPicture {
        caption: "  ".into(),
        ..made(0, 0)
    };
    assert_eq!(
        index.sketch_picture(&silent),
        Err(ShareFallback::SketchFailed)
    );
    let infinite = GradientInputs {
        checkpoints: world.material.checkpoints[..1].to_vec(),
        ..world.material.clone()
    };
    let mut weights = infinite.clone();
    for tensor in weights.checkpoints[0].weights.values_mut() {
        *tensor = (&*tensor * f64::INFINITY).unwrap();
    }
    let job = PictureIndexJob {
        material: &weights,
        ..world.job()
    };
    let error = build_pictures(&job, &places, &mut |_| {}).err().unwrap();
    assert!(
        matches!(error, AttributionError::NotFinite { .. }),
        "{error}"
    );
}

#[test]
fn waiting_pictures_are_kept_and_files_of_earlier_versions_are_read() {
    let dir = TempDir::new().unwrap();
    let store = PendingTokenStore::open(dir.path()).unwrap();
    let kept = PendingTokens {
        request_id: "one".into(),
        pictures: vec![made(0, 1), made(2, 3)],
        ..PendingTokens::default()
    };
    assert!(!kept.is_empty() && PendingTokens::default().is_empty());
    store.store_call(&kept).unwrap();
    assert_eq!(store.find("one").unwrap(), Some(kept));
    let earlier = PendingTokens {
        request_id: "two".into(),
        exchanges: vec![CallTokens {
            prompt: vec![1],
            answer: vec![2],
        }],
        ..PendingTokens::default()
    };
    store.store_call(&earlier).unwrap();
    let name = hex::encode(Sha256::digest(b"two"));
    let text = fs::read_to_string(dir.path().join(format!("{name}.json"))).unwrap();
    assert!(!text.contains("pictures"), "{text}");
    assert_eq!(store.find("two").unwrap(), Some(earlier));
}

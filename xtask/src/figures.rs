//! Figures of the embedded image model: what its judge sees in pictures made for captions that no
//! training has seen, beside the same scenes as they are drawn.

use std::{collections::BTreeMap, fmt::Write, fs, path::Path, sync::atomic::AtomicBool};

use openlora_diffusion::{
    CONFIG_FILE, FlowSampler, ImageModel, NanoTextEncoder, SampleRequest, TextEncoder,
    WEIGHTS_FILE, sample,
};
use openlora_pictures::{
    Picture,
    icons::{IconScene, IconSplit},
    judge::{AttributeScore, JUDGED_SIZE, PictureJudge},
};

/// Captions, with one picture each.
const CAPTIONS: u64 = 200;
/// First seed of the scenes, apart from those of training by its upper bits.
const SCENES: u64 = 99 << 40;

/// Scores by the kind of attribute.
#[derive(Default)]
struct KindScores(BTreeMap<&'static str, AttributeScore>);

impl KindScores {
    fn add(&mut self, judge: &PictureJudge, scene: &IconScene, picture: &Picture) {
        let seen = judge.judge(picture);
        for attribute in scene.attributes() {
            let score = AttributeScore {
                right: u32::from(seen.shows(attribute)),
                asked: 1,
            };
            self.0.entry("all").or_default().add(score);
            self.0.entry(attribute.kind.name()).or_default().add(score);
        }
    }

    fn share(&self, kind: &str) -> f64 {
        self.0.get(kind).copied().unwrap_or_default().share()
    }
}

/// A table with a row for each kind of attribute: how many were asked for, and the shares that are
/// right in pictures of the model in `pico`, whose captions the base in `nano` reads, and in drawings.
///
/// # Errors
///
/// Files that cannot be read, or that are no model; a guidance out of range.
pub fn pico_figures(nano: &Path, pico: &Path, guidance: f64) -> Result<String, String> {
    let read = |name: &str| {
        let path = pico.join(name);
        fs::read(&path).map_err(|error| format!("read {}: {error}", path.display()))
    };
    let model = ImageModel::read(&read(CONFIG_FILE)?, &read(WEIGHTS_FILE)?)
        .map_err(|error| error.to_string())?;
    let encoder = NanoTextEncoder::open(nano).map_err(|error| error.to_string())?;
    let judge = PictureJudge::embedded().map_err(|error| error.to_string())?;
    let (mut made, mut drawn) = (KindScores::default(), KindScores::default());
    for number in 0..CAPTIONS {
        let scene = IconScene::from_split(SCENES + number, IconSplit::Unseen);
        let caption = encoder
            .encode(&scene.caption(number))
            .map_err(|error| error.to_string())?;
        let request = SampleRequest {
            caption: &caption,
            seed: number,
            steps: model.config().default_steps,
            guidance,
            sampler: FlowSampler::Euler,
        };
        let picture = sample(&model, None, &request, &AtomicBool::new(false))
            .map_err(|error| error.to_string())?;
        made.add(&judge, &scene, &picture);
        drawn.add(&judge, &scene, &scene.draw(JUDGED_SIZE));
    }
    let mut table = format!(
        "{CAPTIONS} captions, {} steps, guidance {guidance}\n{:<20} {:>6} {:>6} {:>6}\n",
        model.config().default_steps,
        "attribute",
        "asked",
        "model",
        "drawn"
    );
    for (kind, score) in &made.0 {
        let _ = writeln!(
            table,
            "{kind:<20} {:>6} {:>6.3} {:>6.3}",
            score.asked,
            score.share(),
            drawn.share(kind)
        );
    }
    Ok(table)
}

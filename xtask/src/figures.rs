//! Figures of the embedded image model: what its judge sees in pictures made for captions that no
//! training has seen, beside the same scenes as they are drawn.

use std::{fmt::Write, fs, path::Path, sync::atomic::AtomicBool};

use openlora_diffusion::{
    CONFIG_FILE, FlowSampler, ImageModel, NanoTextEncoder, SampleRequest, TextEncoder,
    WEIGHTS_FILE, sample,
};
use openlora_pictures::{
    icons::{IconScene, IconSplit},
    judge::{JUDGED_SIZE, KindScores, PictureJudge},
};

/// Captions, with one picture each.
const CAPTIONS: u64 = 200;
/// First seed of the scenes, apart from those of training by its upper bits.
const SCENES: u64 = 99 << 40;

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
        made.add(&judge.judge(&picture), &scene);
        drawn.add(&judge.judge(&scene.draw(JUDGED_SIZE)), &scene);
    }
    let mut table = format!(
        "{CAPTIONS} captions, {} steps, guidance {guidance}\n{:<20} {:>6} {:>6} {:>6}\n",
        model.config().default_steps,
        "attribute",
        "asked",
        "model",
        "drawn"
    );
    let rows = |scores: &KindScores| {
        let kinds = scores.kinds.iter().map(|(kind, score)| (*kind, *score));
        std::iter::once(("all", scores.all))
            .chain(kinds)
            .collect::<Vec<_>>()
    };
    // The same captions ask for the same kinds.
    for ((kind, made), (_, drawn)) in rows(&made).into_iter().zip(rows(&drawn)) {
        let (asked, made, drawn) = (made.asked, made.share(), drawn.share());
        let _ = writeln!(table, "{kind:<20} {asked:>6} {made:>6.3} {drawn:>6.3}");
    }
    Ok(table)
}

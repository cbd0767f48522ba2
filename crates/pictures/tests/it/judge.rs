//! The judge: right on drawings that it never saw, in every style, whole files and damaged ones.

use std::collections::BTreeMap;

use openlora_pictures::{
    Picture,
    icons::{AttributeKind, IconScene, IconSplit, IconStyle},
    judge::{
        AttributeScore, JudgeError, JudgePhase, JudgeTraining, JudgeWeights, PictureJudge,
        train_judge,
    },
};

/// Drawings of these seeds are in no training: the judge's are below, base models' above.
const FIRST_SEED: u64 = 0x7e57_0000_0000;
const DRAWINGS: u64 = 3_000;

#[test]
fn real_drawings_of_unseen_captions_are_judged_rightly() {
    let judge = PictureJudge::embedded().unwrap();
    let mut total = AttributeScore::default();
    let mut kinds: BTreeMap<AttributeKind, AttributeScore> = BTreeMap::new();
    for seed in 0..DRAWINGS {
        let scene = IconScene::from_split(FIRST_SEED + seed, IconSplit::Unseen);
        let found = judge.judge(&scene.draw(64));
        total.add(found.score(&scene));
        for attribute in scene.attributes() {
            kinds
                .entry(attribute.kind)
                .or_default()
                .add(AttributeScore {
                    right: u32::from(found.shows(attribute)),
                    asked: 1,
                });
        }
    }
    assert!(total.share() >= 0.98, "{total:?} {kinds:?}");
    for (kind, score) in &kinds {
        assert!(score.share() >= 0.95, "{}: {score:?}", kind.name());
    }
}

#[test]
fn styles_and_what_they_show_are_judged_rightly() {
    let judge = PictureJudge::embedded().unwrap();
    let mut styles = AttributeScore::default();
    let mut attributes = AttributeScore::default();
    for seed in 0..DRAWINGS {
        let scene = IconScene::from_split(FIRST_SEED + DRAWINGS + seed, IconSplit::Unseen);
        let style = IconStyle::ALL[(seed % 9) as usize];
        let found = judge.judge(&scene.draw_in(64, style));
        attributes.add(found.score(&scene));
        styles.add(AttributeScore {
            right: u32::from(found.style == style),
            asked: 1,
        });
    }
    assert!(styles.share() >= 0.98, "{styles:?}");
    assert!(attributes.share() >= 0.98, "{attributes:?}");
}

#[test]
fn captions_are_compared_with_pictures() {
    let judge = PictureJudge::embedded().unwrap();
    let scene = IconScene::from_caption("a large red square on white").unwrap();
    let inked = scene.draw_in(64, IconStyle::Outlined);
    let right = judge
        .score("big red square, white background, in ink", &inked)
        .unwrap();
    assert_eq!(
        (right.style, right.style_right),
        (IconStyle::Outlined, true)
    );
    assert_eq!(right.attributes, AttributeScore { right: 7, asked: 7 });
    let wrong = judge
        .score("a small blue square at the top", &inked)
        .unwrap();
    assert_eq!((wrong.style, wrong.style_right), (IconStyle::Plain, false));
    // The shape, one of it, plain, and the white ground are as in the picture.
    assert_eq!(wrong.attributes, AttributeScore { right: 4, asked: 7 });
    assert_eq!(judge.score("a photograph of a horse", &inked), None);
}

#[test]
fn larger_pictures_are_judged_alike() {
    let judge = PictureJudge::embedded().unwrap();
    let mut same = 0;
    for seed in 0..100 {
        let scene = IconScene::from_split(FIRST_SEED + seed, IconSplit::Unseen);
        same += u32::from(judge.judge(&scene.draw(64)) == judge.judge(&scene.draw(256)));
    }
    assert!(same >= 95, "{same} of 100");
}

#[test]
fn pictures_of_nothing_are_not_what_was_asked() {
    let judge = PictureJudge::embedded().unwrap();
    let mut score = AttributeScore::default();
    for seed in 0..200 {
        let scene = IconScene::from_split(FIRST_SEED + seed, IconSplit::Unseen);
        score.add(
            judge
                .judge(&Picture::filled(64, 64, [127; 3]))
                .score(&scene),
        );
    }
    assert!(score.share() < 0.4, "{score:?}");
}

#[test]
fn training_lowers_the_loss_and_is_repeatable() {
    let phase = JudgePhase {
        steps: 20,
        ..JudgeTraining::default().phases[0]
    };
    let settings = JudgeTraining {
        batch: 16,
        phases: vec![phase; 2],
        ..JudgeTraining::default()
    };
    let run = || {
        let mut losses = Vec::new();
        let weights = train_judge(&settings, &mut |_, loss| losses.push(loss));
        (weights, losses)
    };
    let (weights, losses) = run();
    let mean = |losses: &[f32]| losses.iter().sum::<f32>() / losses.len() as f32;
    assert!(
        mean(&losses[30..]) < 0.9 * mean(&losses[..10]),
        "{losses:?}"
    );
    assert_eq!(run().0, weights);
}

#[test]
fn weights_survive_their_file_and_other_files_are_refused() {
    let bytes = include_bytes!("../../../../assets/pico/judge.safetensors");
    assert!(bytes.len() <= 300_000, "{}", bytes.len());
    let weights = JudgeWeights::from_safetensors(bytes).unwrap();
    assert_eq!(weights.to_safetensors().unwrap(), bytes);
    let cut = JudgeWeights::from_safetensors(&bytes[..bytes.len() - 2]);
    assert!(matches!(cut, Err(JudgeError::Unreadable { .. })));
    assert!(JudgeWeights::from_safetensors(b"").is_err());
}

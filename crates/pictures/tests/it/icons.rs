//! Drawn icons: captions, attributes, splits and pixels.

use std::collections::HashSet;

use openlora_pictures::icons::{IconScene, IconSplit, IconStyle};

const WORDINGS: u64 = 32;

#[test]
fn there_are_more_than_fifty_thousand_distinct_captions() {
    // Each content has a first wording of its own.
    let captions: HashSet<String> = (0..250_000)
        .map(|seed| IconScene::from_seed(seed).caption(0))
        .collect();
    assert!(captions.len() >= 50_000, "{} captions", captions.len());
}

#[test]
fn every_caption_reads_back_in_every_wording() {
    for seed in 0..4_000 {
        let scene = IconScene::from_seed(seed);
        for variant in 0..WORDINGS {
            let caption = scene.caption(variant);
            let read = IconScene::from_caption(&caption).map(|read| read.content);
            assert_eq!(read, Some(scene.content), "{caption}");
            assert!(caption.split_whitespace().count() <= 18, "{caption}");
            assert_eq!(caption, caption.to_lowercase());
        }
    }
}

#[test]
fn what_is_no_caption_is_not_read_as_one() {
    for text in [
        "",
        "a red dog on blue",
        "a red star on blue and more",
        "red red star on blue",
        "ein roter Stern auf Blau",
        "two red star on blue",
        "a red star above a blue circle above a green square",
        "a small large red star on blue",
    ] {
        assert_eq!(IconScene::from_caption(text), None, "{text}");
    }
    let read = IconScene::from_caption(" A red star on blue. ");
    assert!(
        read.is_some(),
        "capitals, spaces and a full stop do not matter"
    );
}

#[test]
fn styles_are_named_after_captions() {
    for (at, style) in IconStyle::ALL.iter().enumerate() {
        let scene = IconScene::from_seed(at as u64);
        for variant in 0..WORDINGS {
            let caption = scene.caption(variant);
            let styled = style.added_to(&caption);
            let found = IconStyle::taken_from(&styled);
            assert_eq!((found.caption, found.style), (caption.as_str(), *style));
        }
    }
    let found = IconStyle::taken_from("a red star on blue, in ink.");
    assert_eq!(
        (found.caption, found.style),
        ("a red star on blue", IconStyle::Outlined)
    );
}

#[test]
fn one_caption_in_ten_is_never_learned_from() {
    let mut unseen = 0;
    for seed in 0..5_000 {
        let scene = IconScene::from_seed(seed);
        unseen += u32::from(scene.split() == IconSplit::Unseen);
        for split in [IconSplit::Train, IconSplit::Unseen] {
            assert_eq!(IconScene::from_split(seed, split).split(), split);
        }
        let other_jitter = IconScene {
            jitter: scene.jitter ^ 1,
            ..scene
        };
        assert_eq!(scene.split(), other_jitter.split());
    }
    assert!((400..600).contains(&unseen), "{unseen} of 5000");
}

#[test]
fn attributes_are_one_of_each_kind_and_within_their_values() {
    for seed in 0..4_000 {
        let attributes = IconScene::from_seed(seed).attributes();
        assert!(attributes.len() >= 4);
        assert!(attributes.is_sorted_by(|a, b| a.kind < b.kind));
        for attribute in attributes {
            assert!(attribute.value < attribute.kind.values(), "{attribute:?}");
            assert!(!attribute.value_name().is_empty());
        }
    }
}

#[test]
fn drawings_have_the_same_bytes_everywhere() {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for seed in 0..600u64 {
        let style = IconStyle::ALL[(seed % 9) as usize];
        let picture = IconScene::from_seed(seed).draw_in(64, style);
        assert_eq!((picture.width, picture.height), (64, 64));
        assert_eq!(picture.rgb.len(), 64 * 64 * 3);
        for byte in picture.rgb {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    assert_eq!(format!("{hash:016x}"), "fd3c2173fdd0e6c8");
}

#[test]
fn larger_drawings_show_the_same_scene() {
    for seed in 0..50 {
        let scene = IconScene::from_seed(seed);
        let small = scene.draw(64);
        let reduced = scene.draw(256).fit(64);
        let difference: u64 = small
            .rgb
            .iter()
            .zip(&reduced.rgb)
            .map(|(a, b)| u64::from(a.abs_diff(*b)))
            .sum();
        let mean = difference as f64 / small.rgb.len() as f64;
        assert!(mean < 1.5, "seed {seed}: {mean}");
    }
}

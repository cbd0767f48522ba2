//! The pictures of the template `icons`: the files are what this generator writes.
//!
//! `REGENERATE=1` writes them anew.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use openlora_pictures::{
    encode_png,
    icons::{IconScene, IconSplit, IconStyle},
    judge::PictureJudge,
    read_folder,
};

const SIZE: u32 = 64;

/// A folder of the template.
struct TemplateFolder {
    name: &'static str,
    seed: u64,
    pictures: u64,
    split: IconSplit,
    /// Taken in turn.
    styles: &'static [IconStyle],
    /// One caption in so many says nothing of the style.
    unsaid: u64,
}

const STYLES: &[IconStyle] = &[IconStyle::Outlined, IconStyle::Dotted, IconStyle::Shaded];

const fn contributor(name: &'static str, seed: u64, style: usize) -> TemplateFolder {
    TemplateFolder {
        name,
        seed,
        pictures: 40,
        split: IconSplit::Train,
        styles: STYLES.split_at(style).1.split_at(1).0,
        unsaid: 3,
    }
}

const FOLDERS: &[TemplateFolder] = &[
    contributor("inkwell_press", 0x1_0000, 0),
    contributor("confetti_studio", 0x2_0000, 1),
    contributor("lantern_works", 0x3_0000, 2),
    TemplateFolder {
        name: "valid",
        seed: 0x4_0000,
        pictures: 12,
        split: IconSplit::Unseen,
        styles: STYLES,
        unsaid: u64::MAX,
    },
    TemplateFolder {
        name: "test",
        seed: 0x5_0000,
        pictures: 24,
        split: IconSplit::Unseen,
        styles: STYLES,
        unsaid: u64::MAX,
    },
];

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../templates/icons/data")
}

/// The files of a folder by their names.
fn files(folder: &TemplateFolder, taken: &mut BTreeSet<String>) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut metadata = String::new();
    let mut seeds = folder.seed..;
    for number in 1..=folder.pictures {
        let fresh = |seed: u64| Some(IconScene::from_split(seed, folder.split));
        let scene = seeds
            .by_ref()
            .find_map(|seed| fresh(seed).filter(|scene| taken.insert(scene.caption(0))))
            .unwrap();
        let style = folder.styles[(number % folder.styles.len() as u64) as usize];
        let caption = match number.is_multiple_of(folder.unsaid) {
            true => scene.caption(number),
            false => style.added_to(&scene.caption(number)),
        };
        let name = format!("{number:02}.png");
        let row = serde_json::json!({"file_name": name, "text": caption});
        metadata += &format!("{row}\n");
        let png = encode_png(&scene.draw_in(SIZE, style), &[]).unwrap();
        files.insert(name, png);
    }
    files.insert("metadata.jsonl".to_owned(), metadata.into_bytes());
    files
}

#[test]
fn the_template_is_what_the_generator_writes() {
    let mut taken = BTreeSet::new();
    let mut bytes = 0;
    for folder in FOLDERS {
        let dir = data().join(folder.name);
        let expected = files(folder, &mut taken);
        bytes += expected.values().map(Vec::len).sum::<usize>();
        if std::env::var_os("REGENERATE").is_some() {
            let _ = fs::remove_dir_all(&dir);
            fs::create_dir_all(&dir).unwrap();
            for (name, content) in &expected {
                fs::write(dir.join(name), content).unwrap();
            }
        }
        let found: BTreeMap<String, Vec<u8>> = fs::read_dir(&dir)
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let name = entry.file_name().into_string().unwrap();
                (name, fs::read(entry.path()).unwrap())
            })
            .collect();
        assert!(found == expected, "{}: REGENERATE=1 writes it", folder.name);
    }
    assert!(bytes < 420_000, "{bytes}");
}

#[test]
fn held_out_captions_are_not_learned_from() {
    let contents = |name: &str| -> Vec<IconScene> {
        let folder = read_folder(&data().join(name)).unwrap();
        assert_eq!(folder.warnings, []);
        let scene = |caption: &str| IconScene::from_caption(IconStyle::taken_from(caption).caption);
        folder
            .pictures
            .iter()
            .map(|picture| scene(&picture.caption).unwrap())
            .collect()
    };
    let mut seen = BTreeSet::new();
    for folder in FOLDERS {
        let found = contents(folder.name);
        assert_eq!(found.len() as u64, folder.pictures);
        for scene in found {
            assert_eq!(scene.split(), folder.split);
            assert!(seen.insert(scene.caption(0)), "{}", scene.caption(0));
        }
    }
}

#[test]
fn the_judge_sees_the_attributes_and_styles_of_the_template() {
    let judge = PictureJudge::embedded().unwrap();
    let (mut right, mut asked, mut styles, mut pictures) = (0, 0, 0, 0);
    for folder in FOLDERS {
        for (at, picture) in read_folder(&data().join(folder.name))
            .unwrap()
            .pictures
            .iter()
            .enumerate()
        {
            let scene = IconScene::from_caption(IconStyle::taken_from(&picture.caption).caption);
            let found = judge.judge(&picture.picture);
            let score = found.score(&scene.unwrap());
            let style = folder.styles[(at + 1) % folder.styles.len()];
            right += score.right;
            asked += score.asked;
            styles += u32::from(found.style == style);
            pictures += 1;
        }
    }
    let share = f64::from(right) / f64::from(asked);
    assert!(share >= 0.98, "{right} of {asked}");
    assert!(
        f64::from(styles) >= 0.98 * f64::from(pictures),
        "{styles} of {pictures}"
    );
}

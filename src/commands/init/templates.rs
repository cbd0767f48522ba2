//! The embedded project templates. A test compares this table with `templates/`.

use openlora_model::nano::{NANO, PICO};

/// A project that `init` can write.
#[derive(Debug)]
pub struct ProjectTemplate {
    pub name: &'static str,
    /// One line for `init --list`.
    pub about: &'static str,
    /// The base that its settings are for.
    pub base: &'static str,
    stored: &'static [(&'static str, &'static [u8])],
}

impl ProjectTemplate {
    /// Paths in the project, with `/`, and contents.
    pub fn files(&self) -> impl Iterator<Item = (String, &'static [u8])> {
        // Under its own name the file would hide parts of this repository from git.
        let real = |name: &str| {
            if name == "gitignore" {
                ".gitignore"
            } else {
                name
            }
            .to_owned()
        };
        self.stored
            .iter()
            .map(move |(name, bytes)| (real(name), *bytes))
    }
}

macro_rules! template {
    ($name:literal, $about:literal, [$($file:literal),* $(,)?]) => {
        template!($name, $about, NANO, [$($file),*])
    };
    ($name:literal, $about:literal, $base:expr, [$($file:literal),* $(,)?]) => {
        ProjectTemplate {
            name: $name,
            about: $about,
            base: $base,
            stored: &[$((
                $file,
                include_bytes!(concat!(
                    env!("CARGO_MANIFEST_DIR"), "/templates/", $name, "/", $file
                )),
            )),*],
        }
    };
}

/// All templates, in the order in which they are listed.
pub const TEMPLATES: &[ProjectTemplate] = &[
    template!(
        "sentiment",
        "classifies crypto posts as negative, neutral or positive",
        [
            "README.md",
            "data/council_letters.jsonl",
            "data/harbor_forum.jsonl",
            "data/ledger_wire.csv",
            "data/pit_chat.parquet",
            "data/test.jsonl",
            "data/valid.jsonl",
            "gitignore",
            "openlora.toml",
        ]
    ),
    template!(
        "filter",
        "sorts forum posts into allowed, spam, scam and abuse",
        [
            "README.md",
            "data/garden_square.csv",
            "data/help_board.jsonl",
            "data/market_corner.jsonl",
            "data/pixel_tavern.parquet",
            "data/test.jsonl",
            "data/valid.jsonl",
            "gitignore",
            "openlora.toml",
        ]
    ),
    template!(
        "chat",
        "answers in the voice of a persona",
        [
            "README.md",
            "data/coin_watch.jsonl",
            "data/harbour_log.jsonl",
            "data/night_letters.jsonl",
            "data/test.jsonl",
            "data/valid.jsonl",
            "gitignore",
            "openlora.toml",
        ]
    ),
    template!(
        "icons",
        "makes pictures of icons in the styles of three studios",
        PICO,
        [
            "README.md",
            "data/confetti_studio/01.png",
            "data/confetti_studio/02.png",
            "data/confetti_studio/03.png",
            "data/confetti_studio/04.png",
            "data/confetti_studio/05.png",
            "data/confetti_studio/06.png",
            "data/confetti_studio/07.png",
            "data/confetti_studio/08.png",
            "data/confetti_studio/09.png",
            "data/confetti_studio/10.png",
            "data/confetti_studio/11.png",
            "data/confetti_studio/12.png",
            "data/confetti_studio/13.png",
            "data/confetti_studio/14.png",
            "data/confetti_studio/15.png",
            "data/confetti_studio/16.png",
            "data/confetti_studio/17.png",
            "data/confetti_studio/18.png",
            "data/confetti_studio/19.png",
            "data/confetti_studio/20.png",
            "data/confetti_studio/21.png",
            "data/confetti_studio/22.png",
            "data/confetti_studio/23.png",
            "data/confetti_studio/24.png",
            "data/confetti_studio/25.png",
            "data/confetti_studio/26.png",
            "data/confetti_studio/27.png",
            "data/confetti_studio/28.png",
            "data/confetti_studio/29.png",
            "data/confetti_studio/30.png",
            "data/confetti_studio/31.png",
            "data/confetti_studio/32.png",
            "data/confetti_studio/33.png",
            "data/confetti_studio/34.png",
            "data/confetti_studio/35.png",
            "data/confetti_studio/36.png",
            "data/confetti_studio/37.png",
            "data/confetti_studio/38.png",
            "data/confetti_studio/39.png",
            "data/confetti_studio/40.png",
            "data/confetti_studio/metadata.jsonl",
            "data/inkwell_press/01.png",
            "data/inkwell_press/02.png",
            "data/inkwell_press/03.png",
            "data/inkwell_press/04.png",
            "data/inkwell_press/05.png",
            "data/inkwell_press/06.png",
            "data/inkwell_press/07.png",
            "data/inkwell_press/08.png",
            "data/inkwell_press/09.png",
            "data/inkwell_press/10.png",
            "data/inkwell_press/11.png",
            "data/inkwell_press/12.png",
            "data/inkwell_press/13.png",
            "data/inkwell_press/14.png",
            "data/inkwell_press/15.png",
            "data/inkwell_press/16.png",
            "data/inkwell_press/17.png",
            "data/inkwell_press/18.png",
            "data/inkwell_press/19.png",
            "data/inkwell_press/20.png",
            "data/inkwell_press/21.png",
            "data/inkwell_press/22.png",
            "data/inkwell_press/23.png",
            "data/inkwell_press/24.png",
            "data/inkwell_press/25.png",
            "data/inkwell_press/26.png",
            "data/inkwell_press/27.png",
            "data/inkwell_press/28.png",
            "data/inkwell_press/29.png",
            "data/inkwell_press/30.png",
            "data/inkwell_press/31.png",
            "data/inkwell_press/32.png",
            "data/inkwell_press/33.png",
            "data/inkwell_press/34.png",
            "data/inkwell_press/35.png",
            "data/inkwell_press/36.png",
            "data/inkwell_press/37.png",
            "data/inkwell_press/38.png",
            "data/inkwell_press/39.png",
            "data/inkwell_press/40.png",
            "data/inkwell_press/metadata.jsonl",
            "data/lantern_works/01.png",
            "data/lantern_works/02.png",
            "data/lantern_works/03.png",
            "data/lantern_works/04.png",
            "data/lantern_works/05.png",
            "data/lantern_works/06.png",
            "data/lantern_works/07.png",
            "data/lantern_works/08.png",
            "data/lantern_works/09.png",
            "data/lantern_works/10.png",
            "data/lantern_works/11.png",
            "data/lantern_works/12.png",
            "data/lantern_works/13.png",
            "data/lantern_works/14.png",
            "data/lantern_works/15.png",
            "data/lantern_works/16.png",
            "data/lantern_works/17.png",
            "data/lantern_works/18.png",
            "data/lantern_works/19.png",
            "data/lantern_works/20.png",
            "data/lantern_works/21.png",
            "data/lantern_works/22.png",
            "data/lantern_works/23.png",
            "data/lantern_works/24.png",
            "data/lantern_works/25.png",
            "data/lantern_works/26.png",
            "data/lantern_works/27.png",
            "data/lantern_works/28.png",
            "data/lantern_works/29.png",
            "data/lantern_works/30.png",
            "data/lantern_works/31.png",
            "data/lantern_works/32.png",
            "data/lantern_works/33.png",
            "data/lantern_works/34.png",
            "data/lantern_works/35.png",
            "data/lantern_works/36.png",
            "data/lantern_works/37.png",
            "data/lantern_works/38.png",
            "data/lantern_works/39.png",
            "data/lantern_works/40.png",
            "data/lantern_works/metadata.jsonl",
            "data/test/01.png",
            "data/test/02.png",
            "data/test/03.png",
            "data/test/04.png",
            "data/test/05.png",
            "data/test/06.png",
            "data/test/07.png",
            "data/test/08.png",
            "data/test/09.png",
            "data/test/10.png",
            "data/test/11.png",
            "data/test/12.png",
            "data/test/13.png",
            "data/test/14.png",
            "data/test/15.png",
            "data/test/16.png",
            "data/test/17.png",
            "data/test/18.png",
            "data/test/19.png",
            "data/test/20.png",
            "data/test/21.png",
            "data/test/22.png",
            "data/test/23.png",
            "data/test/24.png",
            "data/test/metadata.jsonl",
            "data/valid/01.png",
            "data/valid/02.png",
            "data/valid/03.png",
            "data/valid/04.png",
            "data/valid/05.png",
            "data/valid/06.png",
            "data/valid/07.png",
            "data/valid/08.png",
            "data/valid/09.png",
            "data/valid/10.png",
            "data/valid/11.png",
            "data/valid/12.png",
            "data/valid/metadata.jsonl",
            "gitignore",
            "openlora.toml",
        ]
    ),
    template!(
        "blank",
        "an empty project with every setting explained",
        [
            "README.md",
            "data/example.jsonl",
            "gitignore",
            "openlora.toml"
        ]
    ),
];

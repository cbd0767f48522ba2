//! The embedded project templates. A test compares this table with `templates/`.

use openlora_model::nano::NANO;

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

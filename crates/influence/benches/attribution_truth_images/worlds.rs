//! Training sets of drawn pictures whose contributors are known.
//!
//! `shapes`: each of eight contributors draws one shape in a style of its own, as many pictures each.
//! `colours`: each draws whatever it likes in one colour and a style of its own; the largest has twice
//! as many pictures as the smallest.

use openlora_diffusion::{CaptionEmbedding, TextEncoder};
use openlora_influence::{IndexContributor, PictureExample, PictureSource};
use openlora_pictures::icons::{
    IconColour, IconScene, IconShape, IconStyle, SceneContent, SingleIcon,
};
use sha2::{Digest, Sha256};

pub const NAMES: [&str; 2] = ["shapes", "colours"];
pub const CONTRIBUTORS: usize = 8;

/// How large a world is.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Pictures of all contributors.
    pub examples: usize,
    /// Captions that pictures are made for, as many of each contributor's kind.
    pub queries: usize,
    pub seed: u64,
}

/// A training set, and the captions that pictures are made for.
pub struct World {
    pub name: &'static str,
    pub examples: Vec<PictureExample>,
    pub sources: Vec<PictureSource>,
    pub asked: Vec<(String, CaptionEmbedding)>,
}

impl World {
    /// The contributor of each example.
    pub fn contributors(&self) -> Vec<usize> {
        self.examples.iter().map(|example| example.source).collect()
    }
}

pub fn world(name: &'static str, encoder: &dyn TextEncoder, side: u32, size: Size) -> World {
    let mut drawn = Drawn {
        name,
        seed: size.seed,
        next: 0,
        taken: Vec::new(),
    };
    let each = size.examples / CONTRIBUTORS;
    let (mut examples, mut asked) = (Vec::new(), Vec::new());
    for contributor in 0..CONTRIBUTORS {
        let count = match name {
            "shapes" => each,
            // From two thirds of the mean to four thirds.
            _ => each * (2 * CONTRIBUTORS + 4 * contributor) / (4 * CONTRIBUTORS - 2),
        };
        for _ in 0..count {
            let scene = drawn.scene(contributor);
            let text = scene.caption(0);
            let picture = scene.draw_in(side, style(name, contributor));
            let hash = Sha256::new().chain_update(&text).chain_update(&picture.rgb);
            examples.push(PictureExample {
                caption: encoder.encode(&text).expect("a caption is encoded"),
                hash: hash.finalize().into(),
                source: contributor,
                cluster: examples.len(),
                credited: contributor,
                picture,
            });
        }
    }
    for at in 0..size.queries {
        let text = drawn.scene(at % CONTRIBUTORS).caption(0);
        let caption = encoder.encode(&text).expect("a caption is encoded");
        asked.push((text, caption));
    }
    let source = |contributor| PictureSource {
        contributor: IndexContributor {
            name: format!(
                "{} {}",
                kind(name, contributor),
                style(name, contributor).name()
            ),
            address: None,
        },
        weight: 1.0,
        digest: String::new(),
    };
    World {
        name,
        examples,
        sources: (0..CONTRIBUTORS).map(source).collect(),
        asked,
    }
}

fn style(name: &str, contributor: usize) -> IconStyle {
    // All but the plain one.
    let at = match name {
        "shapes" => contributor,
        _ => (3 * contributor + 2) % CONTRIBUTORS,
    };
    IconStyle::ALL[1 + at]
}

fn kind(name: &str, contributor: usize) -> &'static str {
    match name {
        "shapes" => IconShape::ALL[contributor].word(),
        _ => IconColour::ALL[contributor].word(),
    }
}

/// Scenes with different captions.
struct Drawn {
    name: &'static str,
    seed: u64,
    next: u64,
    taken: Vec<String>,
}

impl Drawn {
    /// One icon of a contributor's kind.
    fn scene(&mut self, contributor: usize) -> IconScene {
        loop {
            self.next += 1;
            let scene = IconScene::from_seed(self.seed.wrapping_mul(1_000_003) + self.next);
            let SceneContent::Single(icon) = scene.content else {
                continue;
            };
            let icon = match self.name {
                "shapes" => SingleIcon {
                    shape: IconShape::ALL[contributor],
                    ..icon
                },
                _ => SingleIcon {
                    colour: IconColour::ALL[contributor],
                    ..icon
                },
            };
            let scene = IconScene {
                content: SceneContent::Single(icon),
                ..scene
            };
            let visible = !icon.colour.clashes(icon.ground)
                && (icon.shape.has_surface() || icon.texture.word().is_empty());
            let caption = scene.caption(0);
            if visible && !self.taken.contains(&caption) {
                self.taken.push(caption);
                return scene;
            }
        }
    }
}

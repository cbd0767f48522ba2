//! Scenes: how one is chosen from a seed, said, drawn and described.

use super::attributes::{Attribute, AttributeKind};
use super::caption;
use super::chance::{Chance, mix};
use super::content::{Landscape, PairOfIcons, SceneContent, SeveralIcons, SingleIcon};
use super::parse;
use super::render;
use super::style::IconStyle;
use super::words::{
    IconAxis, IconColour, IconObject, IconPosition, IconSetting, IconShape, IconSize, IconTexture,
};
use crate::picture::Picture;

/// A scene: its content, which captions say, and a number for what they do not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IconScene {
    /// What is shown.
    pub content: SceneContent,
    /// Decides what no caption says: some pixels of place and size.
    pub jitter: u64,
}

/// Which captions a model may learn from. The caption's content decides, in every wording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IconSplit {
    /// Nine in ten.
    Train,
    /// One in ten, for measuring what a model makes of captions that it never saw.
    Unseen,
}

impl IconScene {
    /// The scene of a seed: most are one shape on a ground, some are several shapes, pairs and
    /// landscapes.
    pub fn from_seed(seed: u64) -> Self {
        let mut chance = Chance::seeded(seed);
        let content = match chance.below(100) {
            0..54 => SceneContent::Single(single(&mut chance)),
            54..72 => SceneContent::Several(several(&mut chance)),
            72..86 => SceneContent::Pair(pair(&mut chance)),
            _ => SceneContent::Landscape(landscape(&mut chance)),
        };
        Self {
            content,
            jitter: chance.next(),
        }
    }

    /// The first scene at or after a place in the seed's own sequence that is in this split.
    pub fn from_split(seed: u64, split: IconSplit) -> Self {
        (0..u64::MAX)
            .map(|attempt| Self::from_seed(mix(seed ^ mix(attempt))))
            .find(|scene| scene.split() == split)
            .unwrap_or_else(|| Self::from_seed(seed))
    }

    /// Reads a caption of [`IconScene::caption`], in any wording; nothing if it is none.
    pub fn from_caption(caption: &str) -> Option<Self> {
        parse::content(caption).map(|content| Self { content, jitter: 0 })
    }

    /// The caption in one of several wordings, in lower case, without a full stop.
    pub fn caption(&self, variant: u64) -> String {
        caption::worded(&self.content, variant)
    }

    /// In which split the content is.
    pub fn split(&self) -> IconSplit {
        let hash = self
            .caption(0)
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
            });
        if mix(hash).is_multiple_of(10) {
            IconSplit::Unseen
        } else {
            IconSplit::Train
        }
    }

    /// The scene as a square of `size` pixels, drawn plainly.
    pub fn draw(&self, size: u32) -> Picture {
        self.draw_in(size, IconStyle::Plain)
    }

    /// The scene as a square of `size` pixels in the style of a contributor.
    pub fn draw_in(&self, size: u32, style: IconStyle) -> Picture {
        render::draw(&self.content, self.jitter, size, style)
    }

    /// All that the caption states or implies and that pixels show, in the order of
    /// [`AttributeKind::ALL`].
    pub fn attributes(&self) -> Vec<Attribute> {
        use AttributeKind as Kind;
        let mut found = match self.content {
            SceneContent::Single(icon) => vec![
                Attribute::new(Kind::Subject, icon.shape as usize),
                Attribute::new(Kind::Colour, icon.colour as usize),
                Attribute::new(Kind::Ground, icon.ground as usize),
                Attribute::new(Kind::Count, 0),
                Attribute::new(Kind::Position, icon.position as usize),
                Attribute::new(Kind::Size, icon.size as usize),
                Attribute::new(Kind::Texture, icon.texture as usize),
            ],
            SceneContent::Several(icons) => vec![
                Attribute::new(Kind::Subject, icons.shape as usize),
                Attribute::new(Kind::Colour, icons.colour as usize),
                Attribute::new(Kind::Ground, icons.ground as usize),
                Attribute::new(Kind::Count, usize::from(icons.count) - 1),
            ],
            SceneContent::Pair(pair) => vec![
                Attribute::new(Kind::Subject, pair.first as usize),
                Attribute::new(Kind::Colour, pair.first_colour as usize),
                Attribute::new(Kind::Ground, pair.ground as usize),
                Attribute::new(Kind::SecondSubject, pair.second as usize),
                Attribute::new(Kind::SecondColour, pair.second_colour as usize),
                Attribute::new(Kind::Axis, pair.axis as usize),
            ],
            SceneContent::Landscape(land) => vec![
                Attribute::new(Kind::Subject, IconShape::ALL.len() + land.object as usize),
                Attribute::new(Kind::Colour, land.colour as usize),
                Attribute::new(Kind::Ground, IconColour::ALL.len() + land.setting as usize),
                Attribute::new(Kind::Extra, land.extra as usize),
            ],
        };
        found.sort();
        found
    }
}

/// A ground on which a colour can be seen; white is the most frequent one.
fn ground(chance: &mut Chance, shown: &[IconColour]) -> IconColour {
    let fits = |ground: IconColour| shown.iter().all(|colour| !ground.clashes(*colour));
    if chance.percent(20) && fits(IconColour::White) {
        return IconColour::White;
    }
    let grounds: Vec<IconColour> = IconColour::ALL
        .iter()
        .copied()
        .filter(|ground| fits(*ground))
        .collect();
    chance.one_of(&grounds)
}

fn single(chance: &mut Chance) -> SingleIcon {
    let shape = chance.one_of(IconShape::ALL);
    let colour = chance.one_of(IconColour::ALL);
    let size = match chance.below(10) {
        0..2 => IconSize::Small,
        2..4 => IconSize::Large,
        _ => IconSize::Medium,
    };
    let position = if chance.percent(50) {
        IconPosition::Middle
    } else {
        chance.one_of(IconPosition::ALL)
    };
    // A texture needs a surface to be seen on.
    let texture = if chance.percent(20) && size != IconSize::Small && shape.has_surface() {
        chance.one_of(&IconTexture::ALL[1..])
    } else {
        IconTexture::Plain
    };
    SingleIcon {
        shape,
        colour,
        texture,
        size,
        position,
        ground: ground(chance, &[colour]),
    }
}

fn several(chance: &mut Chance) -> SeveralIcons {
    let colour = chance.one_of(IconColour::ALL);
    SeveralIcons {
        shape: chance.one_of(IconShape::ALL),
        colour,
        count: 2 + chance.below(3) as u8,
        ground: ground(chance, &[colour]),
    }
}

fn pair(chance: &mut Chance) -> PairOfIcons {
    let first_colour = chance.one_of(IconColour::ALL);
    let others: Vec<IconColour> = IconColour::ALL
        .iter()
        .copied()
        .filter(|other| !other.clashes(first_colour))
        .collect();
    let second_colour = chance.one_of(&others);
    let first = chance.one_of(IconShape::ALL);
    let shapes: Vec<IconShape> = IconShape::ALL
        .iter()
        .copied()
        .filter(|shape| *shape != first)
        .collect();
    PairOfIcons {
        first,
        first_colour,
        second: chance.one_of(&shapes),
        second_colour,
        axis: chance.one_of(IconAxis::ALL),
        ground: ground(chance, &[first_colour, second_colour]),
    }
}

fn landscape(chance: &mut Chance) -> Landscape {
    let object = chance.one_of(IconObject::ALL);
    let setting = chance.one_of(IconSetting::ALL);
    Landscape {
        object,
        colour: chance.one_of(object.colours()),
        setting,
        extra: chance.one_of(setting.extras()),
    }
}

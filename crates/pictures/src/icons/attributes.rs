//! What can be decided about a scene from its pixels.

use super::words::{
    IconAxis, IconColour, IconExtra, IconObject, IconPosition, IconSetting, IconShape, IconSize,
    IconTexture,
};

/// One property that a picture has or lacks, and that a judge decides from pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Attribute {
    /// Which property.
    pub kind: AttributeKind,
    /// Which of its values, below [`AttributeKind::values`].
    pub value: usize,
}

/// The properties, each of which a picture has one value of or does not have at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AttributeKind {
    /// The shape or object; the left or upper one of a pair.
    Subject,
    /// Its colour.
    Colour,
    /// The colour of the ground, or the time of day of a landscape.
    Ground,
    /// How many shapes there are, from one to four.
    Count,
    /// Where a single shape is.
    Position,
    /// How large a single shape is.
    Size,
    /// The surface of a single shape.
    Texture,
    /// The right or lower shape of a pair.
    SecondSubject,
    /// Its colour.
    SecondColour,
    /// How a pair is arranged.
    Axis,
    /// What else a landscape shows.
    Extra,
}

impl AttributeKind {
    /// All kinds, in the order of the judge's outputs.
    pub const ALL: &'static [Self] = &[
        Self::Subject,
        Self::Colour,
        Self::Ground,
        Self::Count,
        Self::Position,
        Self::Size,
        Self::Texture,
        Self::SecondSubject,
        Self::SecondColour,
        Self::Axis,
        Self::Extra,
    ];

    /// How many values this kind has.
    pub fn values(self) -> usize {
        match self {
            Self::Subject => IconShape::ALL.len() + IconObject::ALL.len(),
            Self::Colour | Self::SecondColour => IconColour::ALL.len(),
            Self::Ground => IconColour::ALL.len() + IconSetting::ALL.len(),
            Self::Count => 4,
            Self::Position => IconPosition::ALL.len(),
            Self::Size => IconSize::ALL.len(),
            Self::Texture => IconTexture::ALL.len(),
            Self::SecondSubject => IconShape::ALL.len(),
            Self::Axis => IconAxis::ALL.len(),
            Self::Extra => IconExtra::ALL.len(),
        }
    }

    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Subject => "subject",
            Self::Colour => "colour",
            Self::Ground => "ground",
            Self::Count => "count",
            Self::Position => "position",
            Self::Size => "size",
            Self::Texture => "texture",
            Self::SecondSubject => "second subject",
            Self::SecondColour => "second colour",
            Self::Axis => "arrangement",
            Self::Extra => "extra",
        }
    }
}

impl Attribute {
    pub(super) fn new(kind: AttributeKind, value: usize) -> Self {
        Self { kind, value }
    }

    /// The value in words, such as `red` or `top left`.
    pub fn value_name(self) -> &'static str {
        let value = self.value;
        let after = |first: usize| value - first;
        match self.kind {
            AttributeKind::Subject if value < IconShape::ALL.len() => IconShape::ALL[value].word(),
            AttributeKind::Subject => IconObject::ALL[after(IconShape::ALL.len())].word(),
            AttributeKind::Colour | AttributeKind::SecondColour => IconColour::ALL[value].word(),
            AttributeKind::Ground if value < IconColour::ALL.len() => IconColour::ALL[value].word(),
            AttributeKind::Ground => IconSetting::ALL[after(IconColour::ALL.len())].word(),
            AttributeKind::Count => ["one", "two", "three", "four"][value],
            AttributeKind::Position => named(IconPosition::ALL[value].word(), "middle"),
            AttributeKind::Size => named(IconSize::ALL[value].word(), "medium"),
            AttributeKind::Texture => named(IconTexture::ALL[value].word(), "plain"),
            AttributeKind::SecondSubject => IconShape::ALL[value].word(),
            AttributeKind::Axis => IconAxis::ALL[value].word(),
            AttributeKind::Extra => named(IconExtra::ALL[value].word(), "nothing"),
        }
    }
}

fn named(word: &'static str, unsaid: &'static str) -> &'static str {
    if word.is_empty() { unsaid } else { word }
}

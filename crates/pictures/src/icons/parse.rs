//! Captions read back into what they say.
//!
//! The words decide what a caption could mean; whether it is a caption at all is decided by putting
//! that content into words again.

use super::caption::{self, WORDINGS};
use super::content::{Landscape, PairOfIcons, SceneContent, SeveralIcons, SingleIcon};
use super::words::{
    IconAxis, IconColour, IconExtra, IconObject, IconPosition, IconSetting, IconShape, IconSize,
    IconTexture,
};

pub(super) fn content(text: &str) -> Option<SceneContent> {
    let said = text.trim().trim_end_matches('.').to_lowercase();
    let words: Vec<&str> = said
        .split(|character: char| character == ',' || character.is_whitespace())
        .filter(|word| !word.is_empty())
        .collect();
    let content = landscape(&words)
        .or_else(|| several(&words))
        .or_else(|| pair(&words))
        .or_else(|| single(&words))?;
    (0..WORDINGS)
        .any(|variant| caption::worded(&content, variant) == said)
        .then_some(content)
}

fn colours(words: &[&str]) -> Vec<IconColour> {
    let named = |word: &&str| {
        IconColour::ALL
            .iter()
            .copied()
            .find(|colour| colour.word() == *word)
    };
    words.iter().filter_map(named).collect()
}

fn shapes(words: &[&str]) -> Vec<IconShape> {
    let named = |word: &&str| {
        IconShape::ALL
            .iter()
            .copied()
            .find(|shape| shape.word() == *word)
    };
    words.iter().filter_map(named).collect()
}

/// The ground that stands after the colours of what is shown, or the white one that goes unsaid.
fn ground(colours: &[IconColour], shown: usize) -> Option<IconColour> {
    match colours.len().checked_sub(shown)? {
        0 => Some(IconColour::White),
        1 => Some(colours[shown]),
        _ => None,
    }
}

fn landscape(words: &[&str]) -> Option<SceneContent> {
    let object = *IconObject::ALL
        .iter()
        .find(|object| words.contains(&object.word()))?;
    let setting = *IconSetting::ALL
        .iter()
        .find(|setting| words.contains(&setting.word()))?;
    let extra = IconExtra::ALL[1..]
        .iter()
        .copied()
        .find(|extra| words.contains(&extra.word()))
        .unwrap_or(IconExtra::Nothing);
    Some(SceneContent::Landscape(Landscape {
        object,
        colour: *colours(words).first()?,
        setting,
        extra,
    }))
}

fn several(words: &[&str]) -> Option<SceneContent> {
    let counts = ["two", "three", "four"];
    let count = counts.iter().position(|count| words.contains(count))?;
    let shape = *IconShape::ALL
        .iter()
        .find(|shape| words.contains(&shape.plural()))?;
    let colours = colours(words);
    Some(SceneContent::Several(SeveralIcons {
        shape,
        colour: *colours.first()?,
        count: count as u8 + 2,
        ground: ground(&colours, 1)?,
    }))
}

fn pair(words: &[&str]) -> Option<SceneContent> {
    let shapes = shapes(words);
    let colours = colours(words);
    let (Some(&[one, other]), true) = (shapes.first_chunk::<2>(), colours.len() >= 2) else {
        return None;
    };
    let said = |word: &str| words.contains(&word);
    let axis = match said("left") || said("right") {
        true => IconAxis::Horizontal,
        false => IconAxis::Vertical,
    };
    let reversed = said("right") || said("below") || said("under");
    let (first, second) = if reversed { (1, 0) } else { (0, 1) };
    let shapes = [one, other];
    Some(SceneContent::Pair(PairOfIcons {
        first: shapes[first],
        first_colour: colours[first],
        second: shapes[second],
        second_colour: colours[second],
        axis,
        ground: ground(&colours, 2)?,
    }))
}

fn single(words: &[&str]) -> Option<SceneContent> {
    let said = |word: &str| words.contains(&word);
    let size = match () {
        () if said("small") || said("little") => IconSize::Small,
        () if said("large") || said("big") => IconSize::Large,
        () => IconSize::Medium,
    };
    let step = |less: &str, more: &str| i8::from(said(more)) - i8::from(said(less));
    let steps = [step("left", "right"), step("top", "bottom")];
    let position = *IconPosition::ALL
        .iter()
        .find(|position| position.steps() == steps)?;
    let colours = colours(words);
    Some(SceneContent::Single(SingleIcon {
        shape: *shapes(words).first()?,
        colour: *colours.first()?,
        texture: words
            .iter()
            .find_map(|word| IconTexture::named(word))
            .unwrap_or(IconTexture::Plain),
        size,
        position,
        ground: ground(&colours, 1)?,
    }))
}

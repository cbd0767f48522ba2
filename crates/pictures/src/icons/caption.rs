//! Captions: the same content in several wordings.

use super::content::{Landscape, PairOfIcons, SceneContent, SeveralIcons, SingleIcon};
use super::words::{
    IconAxis, IconColour, IconExtra, IconPosition, IconSetting, IconShape, IconSize, IconTexture,
};

/// How many wordings there are; some of them are the same for some contents.
pub(super) const WORDINGS: u64 = 32;

/// How a caption is put, each part taken from some bits of a number.
#[derive(Clone, Copy)]
struct Wording {
    frame: Frame,
    /// `little` and `big`, `over` and `under`, instead of the first word.
    synonyms: bool,
    /// Says nothing about a white ground.
    white_unsaid: bool,
    /// Names the second of a pair first.
    reversed: bool,
}

#[derive(Clone, Copy)]
enum Frame {
    Sentence,
    List,
    Picture,
    Order,
}

impl Wording {
    fn numbered(variant: u64) -> Self {
        Self {
            frame: [Frame::Sentence, Frame::List, Frame::Picture, Frame::Order]
                [(variant % 4) as usize],
            synonyms: (variant / 4) % 2 == 1,
            white_unsaid: (variant / 8) % 2 == 1,
            reversed: (variant / 16) % 2 == 1,
        }
    }

    /// Puts what is shown, where it is and the ground into one caption.
    fn sentence(self, shown: &str, place: &str, ground: Option<IconColour>) -> String {
        let ground = ground.filter(|ground| !(self.white_unsaid && *ground == IconColour::White));
        let ground = ground.map_or(String::new(), |ground| match self.frame {
            Frame::Sentence | Frame::Picture => format!(" on {}", ground.word()),
            Frame::List => format!(", {} background", ground.word()),
            Frame::Order => format!(" on {} ground", with_article(ground.word())),
        });
        let place = match self.frame {
            _ if place.is_empty() => String::new(),
            Frame::List => format!(", {place}"),
            _ => format!(" {place}"),
        };
        let opening = match self.frame {
            Frame::Sentence | Frame::List => "",
            Frame::Picture => "a picture of ",
            Frame::Order => "draw ",
        };
        format!("{opening}{shown}{place}{ground}")
    }

    /// `a red star`, or `red star` where the frame is a list.
    fn one(self, words: &str) -> String {
        match self.frame {
            Frame::List => words.to_owned(),
            _ => with_article(words),
        }
    }
}

pub(super) fn worded(content: &SceneContent, variant: u64) -> String {
    let wording = Wording::numbered(variant % WORDINGS);
    match content {
        SceneContent::Single(icon) => single(icon, wording),
        SceneContent::Several(icons) => several(icons, wording),
        SceneContent::Pair(icons) => pair(icons, wording),
        SceneContent::Landscape(land) => landscape(land, wording),
    }
}

fn single(icon: &SingleIcon, wording: Wording) -> String {
    let size = match (icon.size, wording.synonyms) {
        (IconSize::Small, true) => "little",
        (IconSize::Large, true) => "big",
        (size, _) => size.word(),
    };
    let words = [
        size,
        icon.texture.word(),
        icon.colour.word(),
        icon.shape.word(),
    ]
    .into_iter()
    .filter(|word| !word.is_empty())
    .collect::<Vec<_>>()
    .join(" ");
    let place = match icon.position {
        IconPosition::Middle => String::new(),
        IconPosition::Left | IconPosition::Right => format!("on the {}", icon.position.word()),
        IconPosition::Top | IconPosition::Bottom => format!("at the {}", icon.position.word()),
        corner => format!("in the {}", corner.word()),
    };
    wording.sentence(&wording.one(&words), &place, Some(icon.ground))
}

fn several(icons: &SeveralIcons, wording: Wording) -> String {
    let count = match icons.count {
        2 => "two",
        3 => "three",
        _ => "four",
    };
    let shown = format!("{count} {} {}", icons.colour.word(), icons.shape.plural());
    wording.sentence(&shown, "", Some(icons.ground))
}

fn pair(icons: &PairOfIcons, wording: Wording) -> String {
    let named = |colour: IconColour, shape: IconShape| {
        with_article(&format!("{} {}", colour.word(), shape.word()))
    };
    let first = named(icons.first_colour, icons.first);
    let second = named(icons.second_colour, icons.second);
    let relation = match (icons.axis, wording.reversed, wording.synonyms) {
        (IconAxis::Horizontal, false, _) => "left of",
        (IconAxis::Horizontal, true, _) => "right of",
        (IconAxis::Vertical, false, false) => "above",
        (IconAxis::Vertical, false, true) => "over",
        (IconAxis::Vertical, true, false) => "below",
        (IconAxis::Vertical, true, true) => "under",
    };
    let shown = if wording.reversed {
        format!("{second} {relation} {first}")
    } else {
        format!("{first} {relation} {second}")
    };
    wording.sentence(&shown, "", Some(icons.ground))
}

fn landscape(land: &Landscape, wording: Wording) -> String {
    let shown = wording.one(&format!("{} {}", land.colour.word(), land.object.word()));
    let extra = match (land.extra, wording.frame) {
        (IconExtra::Nothing, _) => String::new(),
        (extra, Frame::List) => format!(", {}", extra.word()),
        (extra @ (IconExtra::Sun | IconExtra::Moon), _) => format!(" under the {}", extra.word()),
        (extra, _) => format!(" under a {}", extra.word()),
    };
    let time = match (land.setting, wording.frame) {
        (setting, Frame::List) => setting.word(),
        (IconSetting::Day, _) => "by day",
        (IconSetting::Evening, _) => "in the evening",
        (IconSetting::Night, _) => "at night",
    };
    wording.sentence(&shown, &format!("{time}{extra}"), None)
}

fn with_article(words: &str) -> String {
    match words.starts_with(['a', 'e', 'i', 'o', 'u']) {
        true => format!("an {words}"),
        false => format!("a {words}"),
    }
}

impl IconTexture {
    /// The texture that a word names.
    pub(super) fn named(word: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|texture| !texture.word().is_empty() && texture.word() == word)
    }
}

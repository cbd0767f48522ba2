//! Styles: how a contributor draws, whatever is shown.

/// The manner of drawing. All but the first are plain to see in every picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum IconStyle {
    /// Flat colours.
    Plain,
    /// A thick line around everything, dark where that can be seen.
    Outlined,
    /// A pastel ground with dots in its full colour.
    Dotted,
    /// Grounds and shapes that darken downwards, and a shadow behind each shape.
    Shaded,
    /// A thin second outline around each shape, in its colour.
    Echoed,
    /// A wooden frame around the picture.
    Framed,
    /// Slanted lines over the ground.
    Hatched,
    /// Shapes with a pale surface inside a line of their colour.
    Sketched,
    /// A grid over the ground.
    Gridded,
}

impl IconStyle {
    /// All styles; the position in this list is the style's number.
    pub const ALL: &'static [Self] = &[
        Self::Plain,
        Self::Outlined,
        Self::Dotted,
        Self::Shaded,
        Self::Echoed,
        Self::Framed,
        Self::Hatched,
        Self::Sketched,
        Self::Gridded,
    ];

    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Outlined => "outlined",
            Self::Dotted => "dotted",
            Self::Shaded => "shaded",
            Self::Echoed => "echoed",
            Self::Framed => "framed",
            Self::Hatched => "hatched",
            Self::Sketched => "sketched",
            Self::Gridded => "gridded",
        }
    }

    /// What captions say of it, after what is shown; nothing for the plain style.
    pub fn phrase(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Outlined => "in ink",
            Self::Dotted => "with dots",
            Self::Shaded => "with shadows",
            Self::Echoed => "with waves",
            Self::Framed => "in a frame",
            Self::Hatched => "with lines",
            Self::Sketched => "in chalk",
            Self::Gridded => "on a grid",
        }
    }

    /// A caption followed by the style's phrase: `a red star on blue, in ink`.
    pub fn added_to(self, caption: &str) -> String {
        match self {
            Self::Plain => caption.to_owned(),
            style => format!("{caption}, {}", style.phrase()),
        }
    }

    /// The caption without a style's phrase at its end, and that style; plain if there is none.
    pub fn taken_from(caption: &str) -> StyledCaption<'_> {
        let said = caption.trim().trim_end_matches('.');
        let found = said.rsplit_once(", ").and_then(|(before, phrase)| {
            let style = Self::ALL[1..].iter().find(|style| style.phrase() == phrase);
            style.map(|style| StyledCaption {
                caption: before,
                style: *style,
            })
        });
        found.unwrap_or(StyledCaption {
            caption,
            style: Self::Plain,
        })
    }
}

/// A caption apart from the style that it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StyledCaption<'a> {
    pub caption: &'a str,
    pub style: IconStyle,
}

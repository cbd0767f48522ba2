//! Styles: how a contributor draws, whatever is shown.

/// The manner of drawing. All but the first are plain to see in every picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum IconStyle {
    /// Flat colours.
    Plain,
    /// A thick dark line around everything.
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
}

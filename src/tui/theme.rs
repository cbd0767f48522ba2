//! The four themes, resolved for the colour depth of the terminal.

use ratatui::style::{Color, Modifier, Style};

use openlora_ledger::state::board::PaymentStanding;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    #[default]
    Dark,
    Light,
    HighContrast,
    Mono,
}

/// Every theme and its name, in cycling order.
pub const THEMES: &[(Theme, &str)] = &[
    (Theme::Dark, "dark"),
    (Theme::Light, "light"),
    (Theme::HighContrast, "high-contrast"),
    (Theme::Mono, "mono"),
];

impl Theme {
    pub fn named(name: &str) -> Option<Self> {
        let found = THEMES.iter().find(|(_, it)| *it == name);
        found.map(|(theme, _)| *theme)
    }

    pub fn name(self) -> &'static str {
        let found = THEMES.iter().find(|(theme, _)| *theme == self);
        found.map_or("dark", |(_, name)| name)
    }

    pub fn next(self) -> Self {
        let at = THEMES.iter().position(|(theme, _)| *theme == self);
        THEMES[at.map_or(0, |at| (at + 1) % THEMES.len())].0
    }
}

/// The colour depth of the terminal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ColourDepth {
    None,
    /// The 16 ANSI colours.
    Sixteen,
    #[default]
    Indexed,
    True,
}

/// Red, green and blue.
type Rgb = (u8, u8, u8);

/// A theme's colours before conversion to the terminal's depth.
struct ThemeColours {
    background: Rgb,
    text: Rgb,
    dim: Rgb,
    line: Rgb,
    accent: Rgb,
    money: Rgb,
    warn: Rgb,
    bad: Rgb,
    other: Rgb,
    /// Background of the selection.
    selected: Rgb,
}

const DARK: ThemeColours = ThemeColours {
    background: (13, 17, 23),
    text: (214, 221, 230),
    dim: (139, 152, 169),
    line: (58, 68, 82),
    accent: (92, 200, 255),
    money: (110, 226, 131),
    warn: (242, 204, 96),
    bad: (255, 123, 114),
    other: (198, 160, 255),
    selected: (33, 50, 71),
};

const LIGHT: ThemeColours = ThemeColours {
    background: (255, 255, 255),
    text: (31, 35, 40),
    dim: (94, 102, 112),
    line: (190, 197, 205),
    accent: (9, 105, 218),
    money: (17, 107, 44),
    warn: (138, 93, 0),
    bad: (190, 20, 32),
    other: (115, 66, 202),
    selected: (214, 232, 255),
};

const HIGH_CONTRAST: ThemeColours = ThemeColours {
    background: (0, 0, 0),
    text: (255, 255, 255),
    dim: (208, 208, 208),
    line: (160, 160, 160),
    accent: (0, 255, 255),
    money: (0, 255, 0),
    warn: (255, 255, 0),
    bad: (255, 120, 120),
    other: (255, 150, 255),
    selected: (0, 60, 140),
};

/// The styles used by views.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Palette {
    pub base: Style,
    pub dim: Style,
    pub strong: Style,
    pub accent: Style,
    pub money: Style,
    pub warn: Style,
    pub bad: Style,
    pub other: Style,
    /// Frames, and the frame of the focused pane.
    pub line: Style,
    pub focus: Style,
    /// Applied on top of the selected row.
    pub selected: Style,
}

impl Default for Palette {
    fn default() -> Self {
        Self::mono()
    }
}

impl Palette {
    pub fn from_theme(theme: Theme, depth: ColourDepth) -> Self {
        let colours = match theme {
            Theme::Dark => DARK,
            Theme::Light => LIGHT,
            Theme::HighContrast => HIGH_CONTRAST,
            Theme::Mono => return Self::mono(),
        };
        if depth == ColourDepth::None {
            return Self::mono();
        }
        let on = |rgb: Rgb| fitted(rgb, depth);
        let plain = Style::new().bg(on(colours.background));
        let ink = |rgb: Rgb| plain.fg(on(rgb));
        let bold = |style: Style| style.add_modifier(Modifier::BOLD);
        let louder = |style: Style| match theme {
            Theme::HighContrast => bold(style),
            _ => style,
        };
        Self {
            base: ink(colours.text),
            dim: ink(colours.dim),
            strong: bold(ink(colours.text)),
            accent: louder(ink(colours.accent)),
            money: louder(ink(colours.money)),
            warn: louder(ink(colours.warn)),
            bad: louder(ink(colours.bad)),
            other: louder(ink(colours.other)),
            line: ink(colours.line),
            focus: bold(ink(colours.accent)),
            selected: Style::new().bg(on(colours.selected)),
        }
    }

    /// No colours: weight and inversion distinguish elements.
    fn mono() -> Self {
        let plain = Style::new();
        let with = |modifier| plain.add_modifier(modifier);
        Self {
            base: plain,
            dim: with(Modifier::DIM),
            strong: with(Modifier::BOLD),
            accent: with(Modifier::BOLD),
            money: with(Modifier::BOLD),
            warn: with(Modifier::UNDERLINED),
            bad: with(Modifier::BOLD | Modifier::UNDERLINED),
            other: plain,
            line: with(Modifier::DIM),
            focus: with(Modifier::BOLD),
            selected: with(Modifier::REVERSED),
        }
    }

    pub fn standing(&self, standing: PaymentStanding) -> Style {
        match standing {
            PaymentStanding::Free => self.dim,
            PaymentStanding::Pending => self.warn,
            PaymentStanding::Claimed => self.accent,
            PaymentStanding::Settled => self.money,
            PaymentStanding::Refunded => self.other,
            PaymentStanding::Failed => self.bad,
        }
    }
}

/// A state as a symbol and a word, so that colour is never the only difference.
pub fn standing_words(standing: PaymentStanding) -> (&'static str, &'static str) {
    match standing {
        PaymentStanding::Free => ("·", "free"),
        PaymentStanding::Pending => ("○", "pending"),
        PaymentStanding::Claimed => ("◐", "claimed"),
        PaymentStanding::Settled => ("●", "settled"),
        PaymentStanding::Refunded => ("↺", "refunded"),
        PaymentStanding::Failed => ("✗", "failed"),
    }
}

fn fitted(rgb: Rgb, depth: ColourDepth) -> Color {
    let (red, green, blue) = rgb;
    match depth {
        ColourDepth::None => Color::Reset,
        ColourDepth::True => Color::Rgb(red, green, blue),
        ColourDepth::Indexed => Color::Indexed(indexed(rgb)),
        ColourDepth::Sixteen => sixteen(rgb),
    }
}

/// The nearest colour of the 6×6×6 cube and the 24 greys of the 256-colour palette.
fn indexed(wanted: Rgb) -> u8 {
    const STEPS: [u8; 6] = [0, 95, 135, 175, 215, 255];
    let mut best = (u32::MAX, 16);
    let mut consider = |index: u8, rgb: Rgb| {
        let distance = distance(wanted, rgb);
        if distance < best.0 {
            best = (distance, index);
        }
    };
    for index in 0..216u8 {
        let step = |at: u8| STEPS[usize::from(at % 6)];
        consider(16 + index, (step(index / 36), step(index / 6), step(index)));
    }
    for grey in 0..24u8 {
        let level = 8 + grey * 10;
        consider(232 + grey, (level, level, level));
    }
    best.1
}

fn sixteen(wanted: Rgb) -> Color {
    const ANSI: [(Color, Rgb); 16] = [
        (Color::Black, (0, 0, 0)),
        (Color::Red, (170, 0, 0)),
        (Color::Green, (0, 170, 0)),
        (Color::Yellow, (170, 85, 0)),
        (Color::Blue, (0, 0, 170)),
        (Color::Magenta, (170, 0, 170)),
        (Color::Cyan, (0, 170, 170)),
        (Color::Gray, (170, 170, 170)),
        (Color::DarkGray, (85, 85, 85)),
        (Color::LightRed, (255, 85, 85)),
        (Color::LightGreen, (85, 255, 85)),
        (Color::LightYellow, (255, 255, 85)),
        (Color::LightBlue, (85, 85, 255)),
        (Color::LightMagenta, (255, 85, 255)),
        (Color::LightCyan, (85, 255, 255)),
        (Color::White, (255, 255, 255)),
    ];
    let nearest = ANSI.iter().min_by_key(|(_, rgb)| distance(wanted, *rgb));
    nearest.map_or(Color::Reset, |(color, _)| *color)
}

fn distance(a: Rgb, b: Rgb) -> u32 {
    let square = |a: u8, b: u8| u32::from(a.abs_diff(b)).pow(2);
    2 * square(a.0, b.0) + 4 * square(a.1, b.1) + 3 * square(a.2, b.2)
}

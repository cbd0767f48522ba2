//! Pictures in terminals: through the protocols of kitty, iTerm2 and sixel, and as half blocks.
//!
//! Nothing is asked of the terminal: the environment decides, and a terminal that is not known to
//! show pictures gets half blocks. This module writes nothing; it returns bytes.

use std::fmt::Write;

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::{error::PictureError, picture::Picture, writing::encode_png};

/// How a terminal shows a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TerminalDisplay {
    /// The graphics protocol of kitty, Ghostty and Konsole.
    Kitty,
    /// The inline images of iTerm2, WezTerm and mintty.
    Iterm,
    /// The six-pixel bands of DEC's VT340, in foot, mlterm, Contour and others.
    Sixel,
    /// Two pixels in each cell, in 24-bit colours.
    TrueColourBlocks,
    /// Two pixels in each cell, in the 256 colours of xterm.
    PaletteBlocks,
}

impl TerminalDisplay {
    /// What the variables of the environment say of the terminal; nothing if it shows no colours.
    ///
    /// Within tmux and screen, which pass no pictures on by default, pictures are half blocks.
    pub fn detect(variable: &dyn Fn(&str) -> Option<String>) -> Option<Self> {
        let said = |name: &str| variable(name).filter(|value| !value.is_empty());
        let term = said("TERM").unwrap_or_default();
        if term == "dumb" {
            return None;
        }
        let multiplexed = said("TMUX").is_some()
            || said("STY").is_some()
            || term.starts_with("screen")
            || term.starts_with("tmux");
        let program = said("TERM_PROGRAM").unwrap_or_default();
        let konsole = said("KONSOLE_VERSION").and_then(|version| version.parse::<u32>().ok());
        if !multiplexed {
            let kitty = said("KITTY_WINDOW_ID").is_some()
                || matches!(term.as_str(), "xterm-kitty" | "xterm-ghostty")
                || program == "ghostty"
                || konsole.is_some_and(|version| version >= 220_400);
            if kitty {
                return Some(Self::Kitty);
            }
            let iterm = matches!(program.as_str(), "iTerm.app" | "WezTerm" | "mintty")
                || said("LC_TERMINAL").as_deref() == Some("iTerm2");
            if iterm {
                return Some(Self::Iterm);
            }
            let sixel = ["foot", "mlterm", "contour", "yaft", "sixel"];
            if sixel.iter().any(|name| term.contains(name)) {
                return Some(Self::Sixel);
            }
        }
        if said("NO_COLOR").is_some() {
            return None;
        }
        let colours = said("COLORTERM").unwrap_or_default();
        match () {
            () if matches!(colours.as_str(), "truecolor" | "24bit") => Some(Self::TrueColourBlocks),
            () if term.contains("direct") || said("WT_SESSION").is_some() => {
                Some(Self::TrueColourBlocks)
            }
            () if term.contains("256color") => Some(Self::PaletteBlocks),
            () => None,
        }
    }

    /// The bytes that show a picture `columns` cells wide, and move to the line after it.
    ///
    /// # Errors
    /// If the picture has no pixels.
    pub fn render(self, picture: &Picture, columns: u16) -> Result<Vec<u8>, PictureError> {
        let columns = u32::from(columns.max(1));
        match self {
            Self::Kitty => kitty(picture, columns),
            Self::Iterm => iterm(picture, columns),
            // Cells are about ten pixels wide.
            Self::Sixel => sixel(&enlarged(picture, columns * 10)),
            Self::TrueColourBlocks => blocks(picture, columns, |out, [red, green, blue], layer| {
                write!(out, "{layer};2;{red};{green};{blue}")
            }),
            Self::PaletteBlocks => blocks(picture, columns, |out, colour, layer| {
                write!(out, "{layer};5;{}", palette_number(colour))
            }),
        }
    }
}

/// <https://sw.kovidgoyal.net/kitty/graphics-protocol/>: PNG data in parts of at most 4096
/// characters; `q=2` asks for no answers, which would appear as input.
fn kitty(picture: &Picture, columns: u32) -> Result<Vec<u8>, PictureError> {
    let encoded = STANDARD.encode(encode_png(picture, &[])?);
    let mut out = Vec::new();
    let mut rest = encoded.as_str();
    let mut keys = format!("a=T,f=100,q=2,c={columns},");
    while !rest.is_empty() {
        let (part, after) = rest.split_at(rest.len().min(4096));
        let more = u8::from(!after.is_empty());
        out.extend_from_slice(format!("\x1b_G{keys}m={more};{part}\x1b\\").as_bytes());
        keys.clear();
        rest = after;
    }
    out.push(b'\n');
    Ok(out)
}

/// <https://iterm2.com/documentation-images.html>.
fn iterm(picture: &Picture, columns: u32) -> Result<Vec<u8>, PictureError> {
    let file = encode_png(picture, &[])?;
    let (size, encoded) = (file.len(), STANDARD.encode(&file));
    let keys = format!("inline=1;size={size};width={columns};preserveAspectRatio=1");
    Ok(format!("\x1b]1337;File={keys}:{encoded}\x07\n").into_bytes())
}

/// The picture enlarged by a whole number, up to about this width, so that its pixels stay sharp.
fn enlarged(picture: &Picture, width: u32) -> Picture {
    let times = (width / picture.width.max(1)).max(1);
    picture.scale(picture.width * times, picture.height * times)
}

/// Bands of six rows; in each band, for each colour, which rows of each column have it.
fn sixel(picture: &Picture) -> Result<Vec<u8>, PictureError> {
    let (width, height) = (picture.width as usize, picture.height as usize);
    if picture.rgb.is_empty() {
        return encode_png(picture, &[]);
    }
    let palette = ColourTable::from_picture(picture);
    let mut out = format!("\x1bP0;1;0q\"1;1;{width};{height}");
    for (number, colour) in palette.colours.iter().enumerate() {
        let [red, green, blue] = colour.map(|value| (u32::from(value) * 100 + 127) / 255);
        out += &format!("#{number};2;{red};{green};{blue}");
    }
    let numbers: Vec<usize> = picture
        .rgb
        .chunks_exact(3)
        .map(|pixel| palette.nearest([pixel[0], pixel[1], pixel[2]]))
        .collect();
    for band in numbers.chunks(width * 6) {
        let mut present: Vec<usize> = band.to_vec();
        present.sort_unstable();
        present.dedup();
        for number in present {
            let column = |at: usize| {
                let rows = band.chunks(width).enumerate();
                rows.filter(|(_, row)| row[at] == number)
                    .fold(0u8, |bits, (row, _)| bits | 1 << row)
            };
            out += &format!("#{number}");
            push_runs(&mut out, (0..width).map(column));
            out.push('$');
        }
        out.push('-');
    }
    out += "\x1b\\\n";
    Ok(out.into_bytes())
}

/// Each run of equal bits as a character, with its length before it if that is shorter.
fn push_runs(out: &mut String, bits: impl Iterator<Item = u8>) {
    let mut bits = bits.peekable();
    while let Some(value) = bits.next() {
        let mut length = 1;
        while bits.next_if_eq(&value).is_some() {
            length += 1;
        }
        let character = char::from(b'?' + value);
        match length {
            1..=3 => (0..length).for_each(|_| out.push(character)),
            _ => *out += &format!("!{length}{character}"),
        }
    }
}

/// At most 255 colours that stand for those of a picture.
struct ColourTable {
    colours: Vec<[u8; 3]>,
}

impl ColourTable {
    /// The means of the most frequent colours, where colours that agree in their upper four bits are
    /// counted as one.
    fn from_picture(picture: &Picture) -> Self {
        let mut groups: Vec<ColourGroup> = vec![ColourGroup::default(); 4096];
        for pixel in picture.rgb.chunks_exact(3) {
            let at = pixel
                .iter()
                .fold(0, |at, value| at * 16 + usize::from(value >> 4));
            groups[at].count += 1;
            for (sum, value) in groups[at].sums.iter_mut().zip(pixel) {
                *sum += u64::from(*value);
            }
        }
        groups.sort_by_key(|group| std::cmp::Reverse(group.count));
        let used = groups.iter().take(255).filter(|group| group.count > 0);
        Self {
            colours: used
                .map(|group| group.sums.map(|sum| (sum / group.count) as u8))
                .collect(),
        }
    }

    fn nearest(&self, colour: [u8; 3]) -> usize {
        let far = |other: &[u8; 3]| distance(colour, *other);
        let numbers = self.colours.iter().enumerate();
        numbers
            .min_by_key(|(_, other)| far(other))
            .map_or(0, |(number, _)| number)
    }
}

#[derive(Clone, Copy, Default)]
struct ColourGroup {
    count: u64,
    sums: [u64; 3],
}

fn distance(one: [u8; 3], other: [u8; 3]) -> u32 {
    one.iter()
        .zip(other)
        .map(|(a, b)| u32::from(a.abs_diff(b)).pow(2))
        .sum()
}

/// Upper half blocks, whose foreground is the upper pixel and whose background the lower one.
fn blocks(
    picture: &Picture,
    columns: u32,
    colour: impl Fn(&mut String, [u8; 3], u8) -> std::fmt::Result,
) -> Result<Vec<u8>, PictureError> {
    if picture.rgb.is_empty() {
        return encode_png(picture, &[]);
    }
    let width = columns.min(picture.width);
    let height = (picture.height * width).div_ceil(picture.width);
    let rows = height.div_ceil(2);
    let small = picture.scale(width, rows * 2);
    let mut out = String::new();
    for row in 0..rows {
        for column in 0..width {
            out += "\x1b[";
            // Writing into a text does not fail.
            let _ = colour(&mut out, small.pixel(column, row * 2), 38);
            out.push(';');
            let _ = colour(&mut out, small.pixel(column, row * 2 + 1), 48);
            out += "m\u{2580}";
        }
        out += "\x1b[0m\n";
    }
    Ok(out.into_bytes())
}

/// The nearest of xterm's 240 fixed colours: a cube of six levels, and 24 greys.
fn palette_number(colour: [u8; 3]) -> u8 {
    const LEVELS: [u8; 6] = [0, 95, 135, 175, 215, 255];
    let level = |value: u8| {
        let numbers = (0u8..6).min_by_key(|at| LEVELS[usize::from(*at)].abs_diff(value));
        numbers.unwrap_or(0)
    };
    let levels = colour.map(level);
    let cube = levels.map(|at| LEVELS[usize::from(at)]);
    let mean = colour.iter().map(|value| u32::from(*value)).sum::<u32>() / 3;
    let grey = ((mean.saturating_sub(3)) / 10).min(23) as u8;
    let grey_value = 8 + 10 * grey;
    match distance(colour, [grey_value; 3]) < distance(colour, cube) {
        true => 232 + grey,
        false => 16 + 36 * levels[0] + 6 * levels[1] + levels[2],
    }
}

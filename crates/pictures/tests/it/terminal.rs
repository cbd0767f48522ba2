//! Pictures in terminals, read back from the bytes that show them.

use std::collections::HashMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use openlora_pictures::{
    Picture, ReadLimits, icons::IconScene, read_picture, terminal::TerminalDisplay,
};

fn detected(variables: &[(&str, &str)]) -> Option<TerminalDisplay> {
    let variables: HashMap<&str, &str> = variables.iter().copied().collect();
    TerminalDisplay::detect(&|name| variables.get(name).map(|value| (*value).to_owned()))
}

#[test]
fn the_environment_decides_how_pictures_are_shown() {
    use TerminalDisplay::{Iterm, Kitty, PaletteBlocks, Sixel, TrueColourBlocks};
    let plain = ("TERM", "xterm-256color");
    let true_colour = ("COLORTERM", "truecolor");
    for (variables, expected) in [
        (vec![], None),
        (vec![("TERM", "dumb"), true_colour], None),
        (vec![("TERM", "linux")], None),
        (vec![plain], Some(PaletteBlocks)),
        (vec![plain, true_colour], Some(TrueColourBlocks)),
        (vec![plain, ("COLORTERM", "24bit")], Some(TrueColourBlocks)),
        (vec![("TERM", "xterm-direct")], Some(TrueColourBlocks)),
        (vec![("WT_SESSION", "x")], Some(TrueColourBlocks)),
        (vec![plain, true_colour, ("NO_COLOR", "1")], None),
        (vec![plain, ("NO_COLOR", "")], Some(PaletteBlocks)),
        (vec![("TERM", "xterm-kitty"), true_colour], Some(Kitty)),
        (
            vec![plain, ("KITTY_WINDOW_ID", "1"), ("NO_COLOR", "1")],
            Some(Kitty),
        ),
        (vec![plain, ("TERM_PROGRAM", "ghostty")], Some(Kitty)),
        (vec![plain, ("KONSOLE_VERSION", "230800")], Some(Kitty)),
        (
            vec![plain, ("KONSOLE_VERSION", "211200")],
            Some(PaletteBlocks),
        ),
        (vec![plain, ("TERM_PROGRAM", "iTerm.app")], Some(Iterm)),
        (vec![plain, ("TERM_PROGRAM", "WezTerm")], Some(Iterm)),
        (vec![plain, ("LC_TERMINAL", "iTerm2")], Some(Iterm)),
        (
            vec![plain, true_colour, ("TERM_PROGRAM", "vscode")],
            Some(TrueColourBlocks),
        ),
        (vec![("TERM", "foot"), true_colour], Some(Sixel)),
        (vec![("TERM", "mlterm")], Some(Sixel)),
        // tmux keeps the variables of the terminal that it was started in.
        (
            vec![plain, ("TMUX", "x"), ("KITTY_WINDOW_ID", "1")],
            Some(PaletteBlocks),
        ),
        (
            vec![("TERM", "screen-256color"), ("TERM_PROGRAM", "iTerm.app")],
            Some(PaletteBlocks),
        ),
        (
            vec![("TERM", "tmux-256color"), true_colour],
            Some(TrueColourBlocks),
        ),
    ] {
        assert_eq!(detected(&variables), expected, "{variables:?}");
    }
}

fn shown(display: TerminalDisplay, picture: &Picture, columns: u16) -> String {
    String::from_utf8(display.render(picture, columns).unwrap()).unwrap()
}

#[test]
fn kitty_and_iterm_get_the_picture_as_png() {
    let picture = IconScene::from_seed(11).draw(256);
    let text = shown(TerminalDisplay::Kitty, &picture, 24);
    let mut encoded = String::new();
    let commands: Vec<&str> = text.trim_end().split_terminator("\x1b\\").collect();
    for (at, command) in commands.iter().enumerate() {
        let (keys, data) = command
            .strip_prefix("\x1b_G")
            .unwrap()
            .split_once(';')
            .unwrap();
        let more = u8::from(at + 1 < commands.len());
        let first = if at == 0 { "a=T,f=100,q=2,c=24," } else { "" };
        assert_eq!(keys, format!("{first}m={more}"));
        assert!(data.len() <= 4096 && data.len().is_multiple_of(4));
        encoded += data;
    }
    assert!(commands.len() > 1, "the picture takes several parts");
    let file = STANDARD.decode(encoded).unwrap();
    assert_eq!(
        read_picture(&file, &ReadLimits::default()).unwrap(),
        picture
    );

    let text = shown(TerminalDisplay::Iterm, &picture, 24);
    let (keys, data) = text.split_once(':').unwrap();
    let file = STANDARD
        .decode(data.strip_suffix("\x07\n").unwrap())
        .unwrap();
    let size = file.len();
    let expected = format!("\x1b]1337;File=inline=1;size={size};width=24;preserveAspectRatio=1");
    assert_eq!(keys, expected);
    assert_eq!(
        read_picture(&file, &ReadLimits::default()).unwrap(),
        picture
    );
}

/// Draws what sixel data says, as far as it is written here.
fn drawn_sixels(text: &str) -> Picture {
    let body = text.strip_prefix("\x1bP0;1;0q\"1;1;").unwrap();
    let body = body.strip_suffix("\x1b\\\n").unwrap();
    let (size, body) = body.split_at(body.find('#').unwrap());
    let sides: Vec<u32> = size.split(';').map(|side| side.parse().unwrap()).collect();
    let mut picture = Picture::filled(sides[0], sides[1], [9, 9, 9]);
    let mut palette: HashMap<usize, [u8; 3]> = HashMap::new();
    let (mut x, mut y, mut colour) = (0, 0, 0);
    let mut rest = body.chars().peekable();
    let number = |rest: &mut std::iter::Peekable<std::str::Chars>| {
        let mut value = 0;
        while let Some(digit) = rest.peek().and_then(|digit| digit.to_digit(10)) {
            value = value * 10 + digit as usize;
            rest.next();
        }
        value
    };
    while let Some(character) = rest.next() {
        let mut repeat = 1;
        let character = match character {
            '#' => {
                colour = number(&mut rest);
                let mut values = Vec::new();
                while rest.next_if_eq(&';').is_some() {
                    values.push(number(&mut rest));
                }
                if let [2, red, green, blue] = values[..] {
                    let value = |percent: usize| ((percent * 255 + 50) / 100) as u8;
                    palette.insert(colour, [red, green, blue].map(value));
                }
                continue;
            }
            '$' => {
                x = 0;
                continue;
            }
            '-' => {
                (x, y) = (0, y + 6);
                continue;
            }
            '!' => {
                repeat = number(&mut rest);
                rest.next().unwrap()
            }
            other => other,
        };
        let bits = character as u32 - 63;
        for _ in 0..repeat {
            for row in (0..6).filter(|row| bits >> row & 1 == 1) {
                let at = ((y + row) * picture.width as usize + x) * 3;
                picture.rgb[at..at + 3].copy_from_slice(&palette[&colour]);
            }
            x += 1;
        }
    }
    picture
}

#[test]
fn sixels_show_the_picture_enlarged() {
    for seed in 0..12 {
        let picture = IconScene::from_seed(seed).draw(64);
        let drawn = drawn_sixels(&shown(TerminalDisplay::Sixel, &picture, 20));
        assert_eq!(
            (drawn.width, drawn.height),
            (192, 192),
            "three times as large"
        );
        let expected = picture.scale(192, 192);
        for (found, expected) in drawn.rgb.iter().zip(&expected.rgb) {
            assert!(found.abs_diff(*expected) <= 17, "seed {seed}");
        }
    }
}

fn cell_colour(colour: vt100::Color) -> [u8; 3] {
    match colour {
        vt100::Color::Rgb(red, green, blue) => [red, green, blue],
        vt100::Color::Idx(number @ 16..=231) => {
            let number = number - 16;
            [number / 36, number / 6 % 6, number % 6].map(|level| match level {
                0 => 0,
                level => 55 + 40 * level,
            })
        }
        vt100::Color::Idx(number @ 232..) => [8 + 10 * (number - 232); 3],
        other => panic!("{other:?}"),
    }
}

#[test]
fn half_blocks_show_two_pixels_in_each_cell() {
    for (display, tolerance) in [
        (TerminalDisplay::TrueColourBlocks, 0),
        (TerminalDisplay::PaletteBlocks, 48),
    ] {
        let picture = IconScene::from_seed(21).draw(64);
        let text = shown(display, &picture, 32).replace('\n', "\r\n");
        let mut terminal = vt100::Parser::new(20.try_into().unwrap(), 40.try_into().unwrap(), 0);
        terminal.process(text.as_bytes());
        let screen = terminal.screen();
        let expected = picture.scale(32, 32);
        for row in 0..16u16 {
            for column in 0..32u16 {
                let cell = screen.cell(row, column).unwrap();
                assert_eq!(cell.contents(), "\u{2580}");
                for (found, below) in [(cell.fgcolor(), 0), (cell.bgcolor(), 1)] {
                    let pixel = expected.pixel(u32::from(column), u32::from(row) * 2 + below);
                    let found = cell_colour(found);
                    for (found, expected) in found.iter().zip(pixel) {
                        assert!(found.abs_diff(expected) <= tolerance, "{found} {expected}");
                    }
                }
            }
        }
        assert_eq!(screen.cursor_position(), (16, 0));
        assert_eq!(screen.cell(0, 33).unwrap().bgcolor(), vt100::Color::Default);
    }
}

#[test]
fn narrow_terminals_and_flat_pictures_are_shown() {
    let flat = Picture::filled(9, 1, [200, 10, 20]);
    for display in [
        TerminalDisplay::Kitty,
        TerminalDisplay::Iterm,
        TerminalDisplay::Sixel,
        TerminalDisplay::TrueColourBlocks,
        TerminalDisplay::PaletteBlocks,
    ] {
        for columns in [0, 1, 5, 400] {
            assert!(!display.render(&flat, columns).unwrap().is_empty());
        }
        let nothing = Picture::filled(0, 0, [0; 3]);
        assert!(display.render(&nothing, 10).is_err());
    }
}

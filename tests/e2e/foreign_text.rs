//! Texts of others: what steers a terminal is replaced, in results, remarks, logs and JSON.

use openlora_core::private::foreign_text::{
    clean_line, clean_painted, clean_record, clean_text, escape_json, is_steering,
};
use openlora_tui as tui;

/// Ranges of the general categories Cc, Cf, Zl and Zp of Unicode 16.
const STEERING: &[(u32, u32)] = &[
    (0x0, 0x1f),
    (0x7f, 0x9f),
    (0xad, 0xad),
    (0x600, 0x605),
    (0x61c, 0x61c),
    (0x6dd, 0x6dd),
    (0x70f, 0x70f),
    (0x890, 0x891),
    (0x8e2, 0x8e2),
    (0x180e, 0x180e),
    (0x200b, 0x200f),
    (0x2028, 0x202e),
    (0x2060, 0x2064),
    (0x2066, 0x206f),
    (0xfeff, 0xfeff),
    (0xfff9, 0xfffb),
    (0x110bd, 0x110bd),
    (0x110cd, 0x110cd),
    (0x13430, 0x1343f),
    (0x1bca0, 0x1bca3),
    (0x1d173, 0x1d17a),
    (0xe0001, 0xe0001),
    (0xe0020, 0xe007f),
];

fn letters() -> impl Iterator<Item = char> {
    (0..=0x10_ffff).filter_map(char::from_u32)
}

#[test]
fn what_steers_a_terminal_is_replaced() {
    for letter in letters() {
        let code = u32::from(letter);
        let steers = STEERING
            .iter()
            .any(|(from, to)| (*from..=*to).contains(&code));
        // One unassigned code point, and the block that only tags are in, go with their neighbours.
        let beside = code == 0x2065 || (0xe0000..=0xe0fff).contains(&code);
        assert_eq!(is_steering(letter), steers || beside, "{code:x}");
    }
    let posing = "a\u{202e}b\nc\td\u{1b}[31me\u{9b}f\r\u{2028}g\u{e0041}";
    let shown = "a\u{fffd}b\nc\td\u{fffd}[31me\u{fffd}f\u{fffd}\u{fffd}g\u{fffd}";
    assert_eq!(clean_text(posing), shown);
    assert_eq!(clean_line(posing), shown.replace('\n', "\u{fffd}"));
    let plain = "Grüße, 東京 🙂\tمرحبا";
    assert_eq!(
        (clean_text(plain), clean_line(plain)),
        (plain.into(), plain.into())
    );
}

#[test]
fn of_escape_sequences_only_colours_of_a_line_stay() {
    let painted = "\u{1b}[1m\u{1b}[38;5;196mred\u{1b}[0m";
    assert_eq!(clean_painted(painted), painted);
    for (text, shown) in [
        ("\u{1b}[2Jx", "\u{fffd}[2Jx"),
        ("\u{1b}]0;t\u{7}x", "\u{fffd}]0;t\u{fffd}x"),
        ("\u{1b}[31", "\u{fffd}[31"),
        ("\u{1b}", "\u{fffd}"),
        ("\u{1b}\u{1b}[1mx\ny", "\u{fffd}\u{1b}[1mx\ny"),
        ("\u{1b}[1\u{9b}mx", "\u{fffd}[1\u{fffd}mx"),
    ] {
        assert_eq!(clean_painted(text), shown, "{text:?}");
    }
}

#[test]
fn json_keeps_its_value_and_steers_nothing() {
    let all: String = letters().filter(|letter| is_steering(*letter)).collect();
    let value = serde_json::json!({ "text": format!("é{all}🙂") });
    let json = value.to_string();
    let escaped = escape_json(&json);
    assert!(!escaped.contains(is_steering), "{escaped:?}");
    assert!(
        escaped.contains("\\udb40\\udc41") && escaped.contains('🙂'),
        "{escaped:?}"
    );
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&escaped).unwrap(),
        value
    );
}

#[test]
fn a_log_record_is_one_line_whatever_it_quotes() {
    let record = "INFO a\nERROR openlora: pay now\u{202e}\u{1b}[2J\u{1b}[1mb\n";
    let expected = "INFO a\u{fffd}ERROR openlora: pay now\u{fffd}\u{fffd}[2J\u{1b}[1mb\n";
    assert_eq!(clean_record(record), expected);
}

#[test]
fn the_dashboard_shows_none_of_them() {
    for letter in letters().filter(|letter| is_steering(*letter)) {
        let shown = tui::text::clean(&format!("a{letter}b")).into_owned();
        assert!(
            matches!(&*shown, "a·b" | "ab"),
            "{:x}: {shown:?}",
            u32::from(letter)
        );
    }
}

//! Conversion between base units and the whole units that users read and write; exact in both
//! directions.

use std::fmt::Display;

/// An amount of base units in whole units, without trailing zeros: `1500000` with six decimals is
/// `1.5`.
pub fn in_units(amount: impl Display, decimals: u8) -> String {
    let width = usize::from(decimals) + 1;
    let digits = format!("{:0>width$}", amount.to_string());
    let (whole, part) = digits.split_at(digits.len() - usize::from(decimals));
    match part.trim_end_matches('0') {
        "" => whole.to_owned(),
        part => format!("{whole}.{part}"),
    }
}

/// Parts per million as a percentage with every decimal that counts: 333333 is `33.3333 %`.
pub fn exact_percent(ppm: impl Display) -> String {
    format!("{} %", in_units(ppm, 4))
}

/// Whole units with at most `decimals` decimals as base units: `1.5` with six is `1500000`.
pub fn from_units(text: &str, decimals: u8) -> Option<u128> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let fits = part.len() <= usize::from(decimals) && !(whole.is_empty() && part.is_empty());
    if !fits || !digits(whole) || !digits(part) {
        return None;
    }
    let part = format!("{part:0<width$}", width = usize::from(decimals));
    format!("{whole}{part}").parse().ok()
}

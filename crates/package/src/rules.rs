//! Validation rules for single fields of a manifest.

use std::fmt;

use super::error::ManifestProblem;

pub(super) fn field(
    field: &str,
    expected: &'static str,
    found: impl fmt::Display,
) -> ManifestProblem {
    ManifestProblem::Field {
        field: field.to_owned(),
        expected,
        found: format!("`{found}`"),
    }
}

pub(super) fn has_control(text: &str) -> bool {
    text.is_empty() || text.chars().any(char::is_control)
}

pub(super) fn check_name(name: &str) -> Result<(), ManifestProblem> {
    if has_control(name) || name.trim() != name || name.chars().count() > 64 {
        let expected = "1 to 64 characters without line ends or space around them";
        return Err(field("name", expected, name.escape_debug()));
    }
    Ok(())
}

/// Checks the alphabet of an SPDX expression; the list of identifiers keeps growing.
pub(super) fn check_license(license: &str) -> Result<(), ManifestProblem> {
    let letter = |b: u8| b.is_ascii_alphanumeric() || b" .-+()".contains(&b);
    if license.is_empty() || license.len() > 200 || !license.bytes().all(letter) {
        let expected = "an SPDX identifier such as MIT or CC-BY-4.0";
        return Err(field("license", expected, license.escape_debug()));
    }
    Ok(())
}

/// `1.2.3`, `1.2.3-rc.1`, `1.2.3+build` (semver.org, 2.0.0).
pub(super) fn is_semver(text: &str) -> bool {
    let (rest, build) = text
        .split_once('+')
        .map_or((text, None), |(a, b)| (a, Some(b)));
    let (core, pre) = rest
        .split_once('-')
        .map_or((rest, None), |(a, b)| (a, Some(b)));
    let number = |part: &str| {
        let digits = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        digits && (part == "0" || !part.starts_with('0'))
    };
    let word = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    let numeric = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    core.split('.').count() == 3
        && core.split('.').all(number)
        && pre.is_none_or(|pre| {
            pre.split('.')
                .all(|p| word(p) && (!numeric(p) || number(p)))
        })
        && build.is_none_or(|build| build.split('.').all(word))
}

pub(super) fn sorted<'a>(
    field: &'static str,
    names: impl Iterator<Item = &'a str>,
) -> Result<(), ManifestProblem> {
    let names: Vec<&str> = names.collect();
    match names
        .windows(2)
        .find(|two| two[0].as_bytes() >= two[1].as_bytes())
    {
        None => Ok(()),
        Some(two) => Err(ManifestProblem::Order {
            field,
            first: two[0].to_owned(),
            second: two[1].to_owned(),
        }),
    }
}

//! Suggestions for mistyped names.

/// Least similarity (Jaro-Winkler) at which a name is suggested.
const SIMILAR: f64 = 0.7;

/// The known name that another differs from by a slip or two.
pub fn slip_of<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let is_near = |other: &&&str| strsim::osa_distance(name, other) <= 2;
    known.iter().find(is_near).copied()
}

/// The known name that a mistyped one resembles most, if any does.
pub fn closest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    known
        .iter()
        .map(|other| (strsim::jaro_winkler(name, other), *other))
        .filter(|(similarity, _)| *similarity >= SIMILAR)
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .map(|(_, other)| other)
}

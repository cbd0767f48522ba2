//! Suggestions for mistyped names.

/// Least similarity (Jaro-Winkler) at which a name is suggested.
const SIMILAR: f64 = 0.7;

/// The known name that another differs from by a slip or two.
pub fn slip_of<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let slips = |other: &str| strsim::osa_distance(&name.to_lowercase(), other);
    let near = known.iter().map(|other| (slips(other), *other));
    let near = near.filter(|(slips, _)| *slips <= 2);
    near.min_by_key(|(slips, _)| *slips).map(|(_, other)| other)
}

/// The known name that a mistyped one resembles most, if any does.
pub fn closest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    known
        .iter()
        .map(|other| {
            let similarity = strsim::jaro_winkler(&name.to_lowercase(), &other.to_lowercase());
            (similarity, *other)
        })
        .filter(|(similarity, _)| *similarity >= SIMILAR)
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .map(|(_, other)| other)
}

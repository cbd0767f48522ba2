//! Names that are slips of others.

/// The known name that another differs from by case or a slip: one in every three letters at most.
pub(super) fn closest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    let name = name.to_lowercase();
    let slips = |known: &str| strsim::osa_distance(&name, &known.to_lowercase());
    let near = known.map(|known| (slips(known), known));
    let near = near.filter(|(slips, known)| *slips <= (known.len() / 3).min(2));
    let nearest = near.min_by_key(|(slips, _)| *slips);
    nearest.map(|(_, known)| known.to_owned())
}

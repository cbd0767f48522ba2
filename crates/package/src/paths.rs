//! File names that are valid and unambiguous on every system.
//!
//! Only ASCII letters, digits, `.`, `_` and `-` are allowed, so that a name has only one Unicode
//! form. Names that differ only in case are refused, because some systems treat them as equal.

use std::collections::BTreeMap;

/// Maximum length of a path and of its components, in bytes.
const LONGEST: usize = 200;

/// Device names of Windows.
const RESERVED: &[&str] = &["con", "prn", "aux", "nul"];

/// What is wrong with a path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathProblem {
    #[error("the path {found:?} {reason}")]
    Bad { found: String, reason: &'static str },
    #[error("the path `{0}` appears twice")]
    Twice(String),
    #[error("the paths `{first}` and `{second}` are the same file where case does not count")]
    Case { first: String, second: String },
    #[error("`{file}` is a file and a folder at once")]
    FileAndFolder { file: String },
}

/// Checks one path.
pub fn check_path(path: &str) -> Result<(), PathProblem> {
    let bad = |reason| {
        Err(PathProblem::Bad {
            found: path.chars().take(LONGEST).collect(),
            reason,
        })
    };
    if path.is_empty() {
        return bad("is empty");
    }
    if path.len() > LONGEST {
        return bad("is longer than 200 bytes");
    }
    if path.starts_with('/') {
        return bad("is absolute");
    }
    if !path.is_ascii() {
        return bad("has letters outside of ASCII, which have several spellings");
    }
    for part in path.split('/') {
        match part {
            "" => return bad("has an empty part"),
            "." | ".." => return bad("leads elsewhere"),
            _ if part.ends_with('.') => return bad("has a part that ends in a dot"),
            _ => {}
        }
        if !part
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        {
            return bad("has other characters than letters, digits, `.`, `_`, `-` and `/`");
        }
        let stem = part.split('.').next().unwrap_or_default();
        if RESERVED.contains(&stem.to_ascii_lowercase().as_str()) {
            return bad("has a part that is a device on Windows");
        }
    }
    Ok(())
}

/// Checks every path, and that no two of them collide.
pub fn check_paths<'a>(paths: impl Iterator<Item = &'a str>) -> Result<(), PathProblem> {
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    for path in paths {
        check_path(path)?;
        if let Some(first) = seen.insert(path.to_ascii_lowercase(), path) {
            let (first, second) = (first.to_owned(), path.to_owned());
            return Err(if first == second {
                PathProblem::Twice(first)
            } else {
                PathProblem::Case { first, second }
            });
        }
    }
    for (lower, path) in &seen {
        let parents = lower.match_indices('/').map(|(at, _)| &lower[..at]);
        if let Some(file) = parents.filter_map(|parent| seen.get(parent)).next() {
            return Err(PathProblem::FileAndFolder {
                file: if file.len() < path.len() { file } else { path }.to_string(),
            });
        }
    }
    Ok(())
}

//! The parameters of a low-rank adaptation: rank, scale and target modules.

use std::{fmt::Debug, str::FromStr};

use regex::Regex;

use openlora_core::error::{ExitClass, Explain};

/// What to adapt and how.
#[derive(Clone, Debug, PartialEq)]
pub struct LoraConfig {
    pub rank: usize,
    pub alpha: f64,
    /// Module names such as `q_proj`, full paths, or `all-linear`.
    pub targets: Vec<String>,
    /// Probability in [0, 1) of dropping an input of the factors.
    pub dropout: f32,
    /// Scale by alpha / √rank (arXiv:2312.03732) instead of alpha / rank.
    pub rslora: bool,
    /// Learn the norms of the weight's rows apart from their directions (arXiv:2402.09353).
    pub dora: bool,
    /// Modules with a rank of their own.
    pub rank_pattern: Vec<ModulePattern<usize>>,
    /// Modules with an alpha of their own.
    pub alpha_pattern: Vec<ModulePattern<f64>>,
}

impl Default for LoraConfig {
    /// PEFT's defaults, for all linear layers.
    fn default() -> Self {
        Self {
            rank: 8,
            alpha: 8.0,
            targets: vec!["all-linear".to_owned()],
            dropout: 0.0,
            rslora: false,
            dora: false,
            rank_pattern: Vec::new(),
            alpha_pattern: Vec::new(),
        }
    }
}

/// A value for the modules whose path ends, from its start or a dot on, with a match of a regular
/// expression: PEFT's rule for `rank_pattern` and `alpha_pattern`.
#[derive(Clone, Debug, PartialEq)]
pub struct ModulePattern<V> {
    pub pattern: String,
    pub value: V,
}

/// Rank and scale of one module.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ModuleLora {
    pub rank: usize,
    /// The factor s of y = W·x + s·B·A·x.
    pub scale: f64,
}

/// Patterns that give no clear value.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    #[error("{key}: \"{entry}\" is not PATTERN=VALUE with {expected}")]
    Entry {
        key: &'static str,
        entry: String,
        expected: &'static str,
    },
    #[error("{key}: \"{pattern}\" is no regular expression: {reason}")]
    Regex {
        key: &'static str,
        pattern: String,
        reason: String,
    },
    #[error("{key}: \"{pattern}\" matches none of the adapted modules")]
    Unused { key: &'static str, pattern: String },
    #[error("{key}: \"{first}\" and \"{second}\" give {module} different values")]
    Ambiguous {
        key: &'static str,
        first: String,
        second: String,
        module: String,
    },
}

impl Explain for PatternError {
    fn class(&self) -> ExitClass {
        ExitClass::BadInput
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Entry { .. } => "for example \"q_proj=16\"",
            Self::Unused { .. } => {
                "patterns end with a module's name, such as q_proj or layers.0.mlp.down_proj"
            }
            Self::Ambiguous { .. } => "make the patterns narrower, so that one matches",
            Self::Regex { .. } => return None,
        };
        Some(hint.to_owned())
    }
}

/// The settings with the patterns, as messages name them.
const RANKS: &str = "train.rank_pattern";
const ALPHAS: &str = "train.alpha_pattern";

impl LoraConfig {
    /// The factor s of y = W·x + s·B·A·x in modules that no pattern matches.
    pub fn scale(&self) -> f64 {
        self.scale_with(self.alpha, self.rank)
    }

    /// Rank and scale of the module at a path.
    ///
    /// # Errors
    ///
    /// Patterns that are no regular expressions or contradict each other.
    pub fn module(&self, path: &str) -> Result<ModuleLora, PatternError> {
        let rank = value_for(RANKS, &self.rank_pattern, path)?.unwrap_or(self.rank);
        let alpha = value_for(ALPHAS, &self.alpha_pattern, path)?.unwrap_or(self.alpha);
        Ok(ModuleLora {
            rank,
            scale: self.scale_with(alpha, rank),
        })
    }

    fn scale_with(&self, alpha: f64, rank: usize) -> f64 {
        let rank = rank as f64;
        alpha / if self.rslora { rank.sqrt() } else { rank }
    }

    /// Refuses patterns that match none of the adapted modules.
    ///
    /// # Errors
    ///
    /// The first of them.
    pub fn check_patterns(&self, adapted: &[&str]) -> Result<(), PatternError> {
        check_used(RANKS, &self.rank_pattern, adapted)?;
        check_used(ALPHAS, &self.alpha_pattern, adapted)
    }

    /// Ranks from entries such as `q_proj=16`.
    ///
    /// # Errors
    ///
    /// An entry with another value than a whole number from 1.
    pub fn parse_ranks(entries: &[String]) -> Result<Vec<ModulePattern<usize>>, PatternError> {
        parse(RANKS, entries, "a whole number from 1", |rank| *rank > 0)
    }

    /// Alphas from entries such as `q_proj=32`.
    ///
    /// # Errors
    ///
    /// An entry with another value than a number above 0.
    pub fn parse_alphas(entries: &[String]) -> Result<Vec<ModulePattern<f64>>, PatternError> {
        let accepted = |alpha: &f64| alpha.is_finite() && *alpha > 0.0;
        parse(ALPHAS, entries, "a number above 0", accepted)
    }
}

fn parse<V: FromStr>(
    key: &'static str,
    entries: &[String],
    expected: &'static str,
    accepted: impl Fn(&V) -> bool,
) -> Result<Vec<ModulePattern<V>>, PatternError> {
    let one = |entry: &String| {
        let (pattern, value) = entry.rsplit_once('=')?;
        let value = value.trim().parse().ok().filter(&accepted)?;
        let pattern = pattern.trim();
        (!pattern.is_empty()).then(|| ModulePattern {
            pattern: pattern.to_owned(),
            value,
        })
    };
    let unreadable = |entry: &String| PatternError::Entry {
        key,
        entry: entry.clone(),
        expected,
    };
    entries
        .iter()
        .map(|entry| one(entry).ok_or_else(|| unreadable(entry)))
        .collect()
}

/// The value of all patterns that match, so that their order is of no account.
fn value_for<V: Copy + PartialEq>(
    key: &'static str,
    patterns: &[ModulePattern<V>],
    path: &str,
) -> Result<Option<V>, PatternError> {
    let mut found: Option<&ModulePattern<V>> = None;
    for pattern in patterns {
        if !matches(key, &pattern.pattern, path)? {
            continue;
        }
        match found {
            Some(first) if first.value != pattern.value => {
                return Err(PatternError::Ambiguous {
                    key,
                    first: first.pattern.clone(),
                    second: pattern.pattern.clone(),
                    module: path.to_owned(),
                });
            }
            _ => found = Some(pattern),
        }
    }
    Ok(found.map(|pattern| pattern.value))
}

fn check_used<V>(
    key: &'static str,
    patterns: &[ModulePattern<V>],
    adapted: &[&str],
) -> Result<(), PatternError> {
    for ModulePattern { pattern, .. } in patterns {
        let mut used = false;
        for path in adapted {
            used |= matches(key, pattern, path)?;
        }
        if !used {
            let pattern = pattern.clone();
            return Err(PatternError::Unused { key, pattern });
        }
    }
    Ok(())
}

fn matches(key: &'static str, pattern: &str, path: &str) -> Result<bool, PatternError> {
    match module_regex(pattern) {
        Ok(regex) => Ok(regex.is_match(path)),
        Err(reason) => Err(PatternError::Regex {
            key,
            pattern: pattern.to_owned(),
            reason,
        }),
    }
}

/// PEFT's rule (`get_pattern_key`): the pattern must reach the end of the path and start at its
/// beginning or after a dot. The error is the reason.
pub(crate) fn module_regex(pattern: &str) -> Result<Regex, String> {
    Regex::new(&format!(r"^(?:.*\.)?(?:{pattern})$")).map_err(|error| {
        // The regex crate shows the pattern over several lines; the last line states the error.
        let text = error.to_string();
        let line = text.lines().last().unwrap_or_default();
        line.trim_start_matches("error: ").to_owned()
    })
}

/// Whether a path equals a target or ends with it at a dot.
pub fn is_target(target: &str, path: &str) -> bool {
    target == "all-linear"
        || path
            .strip_suffix(target)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

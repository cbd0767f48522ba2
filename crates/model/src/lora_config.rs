//! The parameters of a low-rank adaptation: rank, scale and target modules.

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
}

impl LoraConfig {
    /// The factor s of y = W·x + s·B·A·x.
    pub fn scale(&self) -> f64 {
        let rank = self.rank as f64;
        self.alpha / if self.rslora { rank.sqrt() } else { rank }
    }
}

/// Whether a path equals a target or ends with it at a dot.
pub fn is_target(target: &str, path: &str) -> bool {
    target == "all-linear"
        || path
            .strip_suffix(target)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

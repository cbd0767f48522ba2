//! Tiny models and adapters, and what PyTorch, transformers and PEFT computed with them.

use std::path::PathBuf;

use crate::paths::repository;

pub const FAMILIES: [&str; 4] = ["llama", "mistral", "qwen2", "qwen3"];
pub const OPTIONS: [&str; 3] = ["llama-rope3", "llama-linear", "mistral-window"];

pub fn dir(name: &str) -> PathBuf {
    repository().join("tests/data/golden").join(name)
}

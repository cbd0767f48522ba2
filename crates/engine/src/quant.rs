//! Quantisations of weights in memory.

use std::fmt;

/// The quantisation of the linear layers' weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Quant {
    /// Chosen from the model's size and this machine.
    #[default]
    Auto,
    /// 4 bytes per weight, exact.
    F32,
    /// 8-bit blocks of 32 with one scale, about 1.06 bytes per weight.
    Q8_0,
    /// 4-bit blocks of 32 with one scale, about 0.56 bytes per weight.
    Q4_0,
    /// 4-bit blocks of 256 with nested scales, about 0.56 bytes per weight.
    Q4K,
}

impl Quant {
    pub const NAMES: [(&str, Quant); 5] = [
        ("auto", Self::Auto),
        ("f32", Self::F32),
        ("q8_0", Self::Q8_0),
        ("q4_0", Self::Q4_0),
        ("q4k", Self::Q4K),
    ];

    pub fn name(self) -> &'static str {
        Self::NAMES
            .iter()
            .find(|(_, quant)| *quant == self)
            .map_or("auto", |(name, _)| name)
    }

    /// Weights of a row that share a scale.
    pub fn block(self) -> usize {
        match self {
            Self::Auto | Self::F32 => 1,
            Self::Q8_0 | Self::Q4_0 => 32,
            Self::Q4K => 256,
        }
    }

    /// Bytes of so many weights.
    pub fn bytes(self, parameters: u64) -> u64 {
        match self {
            Self::Auto | Self::F32 => parameters.saturating_mul(4),
            Self::Q8_0 => parameters.saturating_mul(34) / 32,
            Self::Q4_0 => parameters.saturating_mul(18) / 32,
            Self::Q4K => parameters.saturating_mul(144) / 256,
        }
    }
}

/// A size for messages, in units of a million bytes.
pub fn megabytes(bytes: u64) -> String {
    format!("{:.0} MB", bytes as f64 / 1e6)
}

impl fmt::Display for Quant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Quant {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::NAMES
            .iter()
            .find(|(name, _)| *name == text)
            .map(|(_, quant)| *quant)
            .ok_or_else(|| format!("`{text}` is not one of auto, f32, q8_0, q4_0, q4k"))
    }
}

/// The chosen quantisation with the reason for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuantChoice {
    pub quant: Quant,
    pub reason: String,
}

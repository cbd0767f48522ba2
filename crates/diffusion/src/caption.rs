//! What a model knows of a caption.

use crate::error::DiffusionError;

/// The text encoder's values for a caption's tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct CaptionEmbedding {
    width: usize,
    /// `[tokens, width]`.
    values: Vec<f32>,
}

impl CaptionEmbedding {
    /// `values` is `[tokens, width]`, row-major.
    ///
    /// # Errors
    ///
    /// No tokens, or a number of values that is no multiple of the width.
    pub fn new(width: usize, values: Vec<f32>) -> Result<Self, DiffusionError> {
        if values.is_empty() || width == 0 {
            return Err(DiffusionError::EmptyCaption);
        }
        match values.len() % width {
            0 => Ok(Self { width, values }),
            found => Err(DiffusionError::CaptionWidth {
                expected: width,
                found,
            }),
        }
    }

    pub fn tokens(&self) -> usize {
        self.values.len() / self.width
    }

    /// Values per token.
    pub fn width(&self) -> usize {
        self.width
    }

    /// `[tokens, width]`, row-major.
    pub fn values(&self) -> &[f32] {
        &self.values
    }
}

/// A frozen text encoder. The same text gives the same values.
pub trait TextEncoder: Send + Sync {
    /// Values per token.
    fn width(&self) -> usize;

    /// Tokens of a caption, also of one that is too long to encode.
    ///
    /// # Errors
    ///
    /// A caption without tokens.
    fn count(&self, caption: &str) -> Result<usize, DiffusionError>;

    /// Encodes a caption. This may take milliseconds; callers keep the result.
    ///
    /// # Errors
    ///
    /// A caption without tokens, or with more than the encoder reads.
    fn encode(&self, caption: &str) -> Result<CaptionEmbedding, DiffusionError>;

    /// Encodes several captions, each as [`Self::encode`] does.
    ///
    /// # Errors
    ///
    /// As [`Self::encode`], of any of them.
    fn encode_all(&self, captions: &[String]) -> Result<Vec<CaptionEmbedding>, DiffusionError> {
        captions
            .iter()
            .map(|caption| self.encode(caption))
            .collect()
    }
}

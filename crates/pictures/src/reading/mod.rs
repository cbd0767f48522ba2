//! Pictures from the bytes of their files.
//!
//! What a header declares is checked before pixels are decoded, so that a small file cannot claim
//! memory. Transparent pixels are laid on white. A file that is cut short is an error, also where its
//! decoder would fill in grey.

mod content;
mod jpeg;
mod orientation;
mod png;
mod webp;

pub use png::{PngText, read_png_texts};

use crate::{error::PictureError, kind::PictureKind, picture::Picture};

/// How large a picture may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadLimits {
    /// Of the file.
    pub max_bytes: u64,
    /// Of the width and the height, in pixels.
    pub max_side: u32,
    /// Of width × height.
    pub max_pixels: u64,
}

impl Default for ReadLimits {
    /// A file of 64 MiB with 50 million pixels, 16 384 on a side: what cameras make.
    fn default() -> Self {
        Self {
            max_bytes: 64 << 20,
            max_side: 16_384,
            max_pixels: 50_000_000,
        }
    }
}

impl ReadLimits {
    fn check_size(&self, width: u32, height: u32) -> Result<(), PictureError> {
        if width == 0 || height == 0 {
            return Err(PictureError::NoPixels { width, height });
        }
        let pixels = u64::from(width) * u64::from(height);
        if width.max(height) > self.max_side || pixels > self.max_pixels {
            return Err(PictureError::TooLarge {
                width,
                height,
                max_side: self.max_side,
                max_pixels: self.max_pixels,
            });
        }
        Ok(())
    }

    /// The bytes that a decoder may allocate: four channels of 16 bits, and its tables.
    fn decoder_bytes(&self) -> usize {
        (self.max_pixels * 8) as usize + (16 << 20)
    }
}

/// Reads a still PNG, JPEG or WebP picture of any colour type and depth as 8-bit RGB, turned as its
/// EXIF orientation says.
///
/// # Errors
/// If the bytes are of another kind, broken, cut short, animated, or beyond the limits.
pub fn read_picture(bytes: &[u8], limits: &ReadLimits) -> Result<Picture, PictureError> {
    if bytes.len() as u64 > limits.max_bytes {
        return Err(PictureError::TooManyBytes {
            bytes: bytes.len() as u64,
            limit: limits.max_bytes,
        });
    }
    match content::kind_of(bytes)? {
        PictureKind::Png => png::read(bytes, limits),
        PictureKind::Jpeg => jpeg::read(bytes, limits),
        PictureKind::Webp => webp::read(bytes, limits),
    }
}

/// [`read_picture`] for a file with a name, whose extension must be that of its content.
///
/// # Errors
/// As [`read_picture`], and if the extension says another kind.
pub fn read_named_picture(
    name: &std::path::Path,
    bytes: &[u8],
    limits: &ReadLimits,
) -> Result<Picture, PictureError> {
    let picture = read_picture(bytes, limits)?;
    let found = content::kind_of(bytes)?;
    let extension = name.extension().unwrap_or_default().to_string_lossy();
    match PictureKind::of_extension(&extension) == Some(found) {
        true => Ok(picture),
        false => Err(PictureError::WrongExtension {
            found,
            extension: extension.into_owned(),
        }),
    }
}

/// A value from 0 to 255 with an opacity from 0 to 255, laid on white.
fn on_white(value: u8, opacity: u8) -> u8 {
    let (value, opacity) = (u32::from(value), u32::from(opacity));
    ((value * opacity + 255 * (255 - opacity) + 127) / 255) as u8
}

/// Pixels of one, two, three or four channels (grey, grey and alpha, RGB, RGBA) as RGB.
fn to_rgb(pixels: &[u8], channels: usize) -> Vec<u8> {
    let mut rgb = Vec::with_capacity(pixels.len() / channels * 3);
    for pixel in pixels.chunks_exact(channels) {
        let colour = match channels {
            1 | 2 => [pixel[0]; 3],
            _ => [pixel[0], pixel[1], pixel[2]],
        };
        rgb.extend(match channels {
            2 | 4 => colour.map(|value| on_white(value, pixel[channels - 1])),
            _ => colour,
        });
    }
    rgb
}

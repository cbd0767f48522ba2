//! PNG files: their chunks, pixels of every colour type and depth, texts.

use std::io::Cursor;

use image::metadata::Orientation;
use png::{BitDepth, DecodeOptions, Decoder, DecodingError, Transformations};

use super::{ReadLimits, orientation::upright, to_rgb};
use crate::{error::PictureError, kind::PictureKind, picture::Picture};

/// A text in a PNG file, as its `iTXt` chunks hold it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PngText {
    /// 1 to 79 printable characters of Latin-1.
    pub keyword: String,
    pub text: String,
}

/// What a file's header and chunks say.
struct Layout {
    width: u32,
    height: u32,
    /// For each pixel, at the least.
    bits: u64,
    /// Compressed pixels.
    data: u64,
    animated: bool,
}

pub(super) fn read(bytes: &[u8], limits: &ReadLimits) -> Result<Picture, PictureError> {
    let layout = layout(bytes)?;
    limits.check_size(layout.width, layout.height)?;
    if layout.animated {
        let kind = PictureKind::Png;
        return Err(PictureError::Animated { kind });
    }
    // Deflate writes at most 1032 bytes for one.
    let declared = u64::from(layout.width) * u64::from(layout.height) * layout.bits / 8;
    if declared > (layout.data + 16) * 1032 {
        return Err(PictureError::Impossible {
            width: layout.width,
            height: layout.height,
            bytes: layout.data,
        });
    }
    let mut options = DecodeOptions::default();
    options.set_ignore_text_chunk(true);
    options.set_ignore_iccp_chunk(true);
    let mut decoder = Decoder::new_with_options(Cursor::new(bytes), options);
    decoder.set_limits(png::Limits {
        bytes: limits.decoder_bytes(),
    });
    decoder.set_transformations(Transformations::EXPAND);
    let mut reader = decoder.read_info().map_err(|error| broken(&error))?;
    let size = reader.output_buffer_size().ok_or_else(too_large)?;
    let mut pixels = vec![0; size];
    let frame = reader
        .next_frame(&mut pixels)
        .map_err(|error| broken(&error))?;
    reader.finish().map_err(|error| broken(&error))?;
    pixels.truncate(frame.buffer_size());
    if frame.bit_depth == BitDepth::Sixteen {
        pixels = eight_bits(&pixels);
    }
    let picture = Picture {
        width: frame.width,
        height: frame.height,
        rgb: to_rgb(&pixels, frame.color_type.samples()),
    };
    let exif = reader.info().exif_metadata.as_deref();
    let orientation = exif.and_then(Orientation::from_exif_chunk);
    Ok(upright(
        picture,
        orientation.map_or(1, Orientation::to_exif),
    ))
}

/// The nearest 8-bit values of big-endian 16-bit ones.
fn eight_bits(pixels: &[u8]) -> Vec<u8> {
    pixels
        .chunks_exact(2)
        .map(|pair| {
            let value = u32::from(u16::from_be_bytes([pair[0], pair[1]]));
            ((value * 255 + 32_767) / 65_535) as u8
        })
        .collect()
}

/// The texts of a PNG file: of `iTXt` chunks and of the older `tEXt` ones.
///
/// # Errors
/// If the bytes are no PNG file, or a text cannot be read.
pub fn read_png_texts(bytes: &[u8]) -> Result<Vec<PngText>, PictureError> {
    let decoder = Decoder::new(Cursor::new(bytes));
    let mut reader = decoder.read_info().map_err(|error| broken(&error))?;
    reader.finish().map_err(|error| broken(&error))?;
    let info = reader.info();
    let latin = info.uncompressed_latin1_text.iter().map(|chunk| PngText {
        keyword: chunk.keyword.clone(),
        text: chunk.text.clone(),
    });
    let mut texts: Vec<PngText> = latin.collect();
    for chunk in &info.utf8_text {
        texts.push(PngText {
            keyword: chunk.keyword.clone(),
            text: chunk.get_text().map_err(|error| broken(&error))?,
        });
    }
    Ok(texts)
}

/// Follows the chunks without reading pixels.
fn layout(bytes: &[u8]) -> Result<Layout, PictureError> {
    let header = bytes.get(8..33).ok_or(truncated("its header"))?;
    if &header[..8] != b"\0\0\0\x0dIHDR" {
        return Err(faulty("the first chunk is not the header"));
    }
    let number = |at: usize| {
        u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
    };
    let channels = match header[17] {
        0 | 3 => 1,
        2 => 3,
        4 => 2,
        6 => 4,
        other => return Err(faulty(&format!("unknown colour type {other}"))),
    };
    let mut layout = Layout {
        width: number(8),
        height: number(12),
        bits: channels * u64::from(header[16]),
        data: 0,
        animated: false,
    };
    let mut rest = &bytes[33..];
    loop {
        let Some((length, after)) = rest.split_first_chunk::<4>() else {
            return Err(truncated("the end"));
        };
        let length = u32::from_be_bytes(*length) as usize;
        let name = after.get(..4).ok_or(truncated("the end"))?;
        match name {
            b"acTL" | b"fcTL" | b"fdAT" => layout.animated = true,
            b"IDAT" => layout.data += length as u64,
            _ => {}
        }
        rest = after.get(4 + length + 4..).ok_or(truncated("a part"))?;
        if name == b"IEND" {
            return match layout.data {
                0 => Err(truncated("its pixels")),
                _ => Ok(layout),
            };
        }
    }
}

fn truncated(missing: &'static str) -> PictureError {
    PictureError::Truncated {
        kind: PictureKind::Png,
        missing,
    }
}

fn faulty(reason: &str) -> PictureError {
    PictureError::Broken {
        kind: PictureKind::Png,
        reason: reason.to_owned(),
    }
}

fn too_large() -> PictureError {
    faulty("more pixels than memory can hold")
}

fn broken(error: &DecodingError) -> PictureError {
    faulty(&error.to_string())
}

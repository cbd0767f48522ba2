//! Pictures as PNG files, the same bytes on every machine.

use png::{BitDepth, ColorType, DeflateCompression, Encoder, Filter};

use crate::{error::PictureError, kind::PictureKind, picture::Picture, reading::PngText};

/// The picture as a PNG file of 8-bit RGB with texts before the pixels.
///
/// Filter and compression are fixed ones whose result depends on the pixels alone; other settings
/// of the encoder use vector instructions that choose other matches.
///
/// # Errors
/// If the pixels are not as many as width and height say, or a keyword is none.
pub fn encode_png(picture: &Picture, texts: &[PngText]) -> Result<Vec<u8>, PictureError> {
    let expected = picture.width as usize * picture.height as usize * 3;
    if picture.rgb.len() != expected || expected == 0 {
        return Err(PictureError::WrongLength {
            width: picture.width,
            height: picture.height,
            expected,
            found: picture.rgb.len(),
        });
    }
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, picture.width, picture.height);
    encoder.set_color(ColorType::Rgb);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_deflate_compression(DeflateCompression::FdeflateUltraFast);
    encoder.set_filter(Filter::Paeth);
    for PngText { keyword, text } in texts {
        check_keyword(keyword)?;
        encoder
            .add_itxt_chunk(keyword.clone(), text.clone())
            .map_err(|error| broken(&error))?;
    }
    let mut writer = encoder.write_header().map_err(|error| broken(&error))?;
    writer
        .write_image_data(&picture.rgb)
        .map_err(|error| broken(&error))?;
    writer.finish().map_err(|error| broken(&error))?;
    Ok(bytes)
}

/// Section 11.3.3.2 of the PNG specification, for ASCII.
fn check_keyword(keyword: &str) -> Result<(), PictureError> {
    let printable = keyword.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    let trimmed = keyword.trim() == keyword && !keyword.contains("  ");
    match (1..=79).contains(&keyword.len()) && printable && trimmed {
        true => Ok(()),
        false => Err(PictureError::BadKeyword {
            keyword: keyword.to_owned(),
        }),
    }
}

fn broken(error: &png::EncodingError) -> PictureError {
    PictureError::Broken {
        kind: PictureKind::Png,
        reason: error.to_string(),
    }
}

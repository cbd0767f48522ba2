//! WebP files: lossy and lossless, still.

use std::io::Cursor;

use image::{ImageDecoder, codecs::webp::WebPDecoder, metadata::Orientation};

use super::{ReadLimits, orientation::upright, to_rgb};
use crate::{error::PictureError, kind::PictureKind, picture::Picture};

pub(super) fn read(bytes: &[u8], limits: &ReadLimits) -> Result<Picture, PictureError> {
    let kind = PictureKind::Webp;
    let length = bytes.get(4..8).map_or(0, |length| {
        u64::from(u32::from_le_bytes([
            length[0], length[1], length[2], length[3],
        ]))
    });
    if (bytes.len() as u64) < length + 8 {
        return Err(PictureError::Truncated {
            kind,
            missing: "the end",
        });
    }
    let mut decoder = WebPDecoder::new(Cursor::new(bytes)).map_err(|error| broken(&error))?;
    if decoder.has_animation() {
        return Err(PictureError::Animated { kind });
    }
    let (width, height) = decoder.dimensions();
    limits.check_size(width, height)?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let channels = usize::from(decoder.color_type().channel_count());
    let mut pixels = vec![0; width as usize * height as usize * channels];
    decoder
        .read_image(&mut pixels)
        .map_err(|error| broken(&error))?;
    let picture = Picture {
        width,
        height,
        rgb: to_rgb(&pixels, channels),
    };
    Ok(upright(picture, orientation.to_exif()))
}

fn broken(error: &image::ImageError) -> PictureError {
    PictureError::Broken {
        kind: PictureKind::Webp,
        reason: error.to_string(),
    }
}

//! The orientation that cameras note in EXIF instead of turning the pixels.

use crate::picture::Picture;

/// Turns and mirrors a picture as an EXIF orientation from 1 to 8 says.
pub(super) fn upright(picture: Picture, orientation: u8) -> Picture {
    if !(2..=8).contains(&orientation) {
        return picture;
    }
    let (old_width, old_height) = (picture.width, picture.height);
    let turned = orientation >= 5;
    let (width, height) = match turned {
        true => (old_height, old_width),
        false => (old_width, old_height),
    };
    let mut rgb = Vec::with_capacity(picture.rgb.len());
    for y in 0..height {
        for x in 0..width {
            // Where the pixel that belongs here is in the file.
            let (column, row) = match orientation {
                2 => (width - 1 - x, y),
                3 => (width - 1 - x, height - 1 - y),
                4 => (x, height - 1 - y),
                5 => (y, x),
                6 => (y, width - 1 - x),
                7 => (height - 1 - y, width - 1 - x),
                _ => (height - 1 - y, x),
            };
            rgb.extend_from_slice(&picture.pixel(column, row));
        }
    }
    Picture { width, height, rgb }
}

//! JPEG files: their markers, and pixels through the decoder.

use std::io::Cursor;

use image::{ImageDecoder, codecs::jpeg::JpegDecoder, metadata::Orientation};

use super::{ReadLimits, orientation::upright, to_rgb};
use crate::{error::PictureError, kind::PictureKind, picture::Picture};

const START_OF_SCAN: u8 = 0xda;
const END_OF_IMAGE: u8 = 0xd9;

/// What the frame header says.
#[derive(Clone, Copy)]
struct FrameHeader {
    width: u32,
    height: u32,
}

pub(super) fn read(bytes: &[u8], limits: &ReadLimits) -> Result<Picture, PictureError> {
    let header = follow_markers(bytes)?;
    limits.check_size(header.width, header.height)?;
    let mut decoder = JpegDecoder::new(Cursor::new(bytes)).map_err(|error| broken(&error))?;
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

/// Goes through the whole file from marker to marker, which finds a missing end that the decoder
/// would not report, and returns the one frame header.
fn follow_markers(bytes: &[u8]) -> Result<FrameHeader, PictureError> {
    let mut header = None;
    let mut at = 2;
    loop {
        let marker = next_marker(bytes, &mut at)?;
        if marker == END_OF_IMAGE {
            return header.ok_or_else(|| faulty("no frame header"));
        }
        // Markers without a length.
        if matches!(marker, 0x01 | 0xd0..=0xd8) {
            continue;
        }
        let length = bytes.get(at..at + 2).ok_or_else(truncated)?;
        let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
        let segment = bytes
            .get(at + 2..at + length.max(2))
            .ok_or_else(truncated)?;
        if is_frame(marker) {
            if header.is_some() {
                return Err(faulty("two frame headers"));
            }
            header = Some(frame_header(marker, segment)?);
        }
        at += length.max(2);
        if marker == START_OF_SCAN {
            skip_scan(bytes, &mut at)?;
        }
    }
}

fn next_marker(bytes: &[u8], at: &mut usize) -> Result<u8, PictureError> {
    let first = *bytes.get(*at).ok_or_else(truncated)?;
    if first != 0xff {
        return Err(faulty("data where a marker is expected"));
    }
    loop {
        *at += 1;
        match *bytes.get(*at).ok_or_else(truncated)? {
            0xff => {}
            marker => {
                *at += 1;
                return Ok(marker);
            }
        }
    }
}

/// Moves to the marker after a scan's entropy-coded data, in which 0xff is followed by zero or a
/// restart marker.
fn skip_scan(bytes: &[u8], at: &mut usize) -> Result<(), PictureError> {
    loop {
        let rest = bytes.get(*at..).unwrap_or_default();
        let next = rest
            .iter()
            .position(|byte| *byte == 0xff)
            .ok_or_else(truncated)?;
        match *rest.get(next + 1).ok_or_else(truncated)? {
            0x00 | 0xd0..=0xd7 => *at += next + 2,
            _ => {
                *at += next;
                return Ok(());
            }
        }
    }
}

/// Start of frame: 0xc0 to 0xcf without the tables and the arithmetic-coding settings among them.
fn is_frame(marker: u8) -> bool {
    matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc)
}

fn frame_header(marker: u8, segment: &[u8]) -> Result<FrameHeader, PictureError> {
    let &[bits, high, low, wide, narrow, components, ..] = segment else {
        return Err(truncated());
    };
    if !matches!(marker, 0xc0..=0xc2) {
        return Err(PictureError::UnsupportedJpeg {
            found: format!("the rare coding {}", marker - 0xc0),
            expected: "baseline or progressive Huffman coding",
            hint: "open it in a picture editor and save it again",
        });
    }
    if bits != 8 {
        return Err(PictureError::UnsupportedJpeg {
            found: format!("{bits} bits a channel"),
            expected: "8",
            hint: "save it as a PNG picture",
        });
    }
    if components == 4 {
        return Err(PictureError::UnsupportedJpeg {
            found: "the four inks of print (CMYK)".to_owned(),
            expected: "RGB or grey",
            hint: "convert it to sRGB in a picture editor",
        });
    }
    if !matches!(components, 1 | 3) {
        return Err(PictureError::UnsupportedJpeg {
            found: format!("{components} channels"),
            expected: "RGB or grey",
            hint: "save it as a PNG picture",
        });
    }
    Ok(FrameHeader {
        width: u32::from(u16::from_be_bytes([wide, narrow])),
        height: u32::from(u16::from_be_bytes([high, low])),
    })
}

fn truncated() -> PictureError {
    PictureError::Truncated {
        kind: PictureKind::Jpeg,
        missing: "the end",
    }
}

fn faulty(reason: &str) -> PictureError {
    PictureError::Broken {
        kind: PictureKind::Jpeg,
        reason: reason.to_owned(),
    }
}

fn broken(error: &image::ImageError) -> PictureError {
    faulty(&error.to_string())
}

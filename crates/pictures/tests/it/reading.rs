//! Pictures of every kind, and every kind of bad file.

use std::io::Cursor;

use openlora_pictures::{
    Picture, PictureError, PictureKind, ReadLimits, encode_png, icons::IconScene,
    read_named_picture, read_picture,
};
use png::{BitDepth, ColorType, Encoder};

/// A file that `tests/data/make.py` wrote.
fn fixture(name: &str) -> Vec<u8> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    std::fs::read(folder.join(name)).expect(name)
}

fn read(bytes: &[u8]) -> Result<Picture, PictureError> {
    read_picture(bytes, &ReadLimits::default())
}

fn refused(bytes: &[u8]) -> String {
    read(bytes).expect_err("refused").to_string()
}

/// A PNG of one row with these settings and this data.
fn png_of(width: u32, colour: ColorType, depth: BitDepth, data: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, width, 1);
    encoder.set_color(colour);
    encoder.set_depth(depth);
    if colour == ColorType::Indexed {
        encoder.set_palette(vec![10, 20, 30, 200, 100, 0]);
        encoder.set_trns(vec![255, 0]);
    }
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(data).unwrap();
    writer.finish().unwrap();
    bytes
}

fn near(found: [u8; 3], expected: [u8; 3]) -> bool {
    found.iter().zip(expected).all(|(a, b)| a.abs_diff(b) <= 12)
}

/// Whether the four quarters are red, green, blue and white.
fn shows_quarters(picture: &Picture) -> bool {
    (picture.width, picture.height) == (32, 16)
        && near(picture.pixel(4, 3), [255, 0, 0])
        && near(picture.pixel(27, 3), [0, 255, 0])
        && near(picture.pixel(4, 12), [0, 0, 255])
        && near(picture.pixel(27, 12), [255, 255, 255])
}

#[test]
fn grey_palette_transparent_and_deep_pngs_become_rgb() {
    let rgb = |bytes: &[u8]| read(bytes).unwrap().rgb;
    let grey = png_of(2, ColorType::Grayscale, BitDepth::Eight, &[7, 250]);
    assert_eq!(rgb(&grey), [7, 7, 7, 250, 250, 250]);
    let bilevel = png_of(2, ColorType::Grayscale, BitDepth::One, &[0b0100_0000]);
    assert_eq!(rgb(&bilevel), [0, 0, 0, 255, 255, 255]);
    // The second colour is transparent, so white shows.
    let palette = png_of(2, ColorType::Indexed, BitDepth::Eight, &[0, 1]);
    assert_eq!(rgb(&palette), [10, 20, 30, 255, 255, 255]);
    let half = png_of(1, ColorType::Rgba, BitDepth::Eight, &[0, 100, 255, 128]);
    assert_eq!(rgb(&half), [127, 177, 255]);
    let deep = [0x00, 0x80, 0x00, 0x81, 0xff, 0xff];
    let deep = png_of(1, ColorType::Rgb, BitDepth::Sixteen, &deep);
    assert_eq!(rgb(&deep), [0, 1, 255], "the nearest of 256 values");
    let deep_grey = [0x80, 0x80, 0x00, 0x00];
    let deep_grey = png_of(1, ColorType::GrayscaleAlpha, BitDepth::Sixteen, &deep_grey);
    assert_eq!(rgb(&deep_grey), [255, 255, 255]);
}

#[test]
fn files_of_other_programs_are_read() {
    for name in [
        "progressive.jpg",
        "lossy.webp",
        "lossless.webp",
        "palette.png",
    ] {
        let picture = read(&fixture(name)).expect(name);
        assert!(shows_quarters(&picture), "{name}");
    }
    for name in ["grey.jpg", "grey.png", "bilevel.png"] {
        let picture = read(&fixture(name)).expect(name);
        let [red, green, blue] = picture.pixel(4, 3);
        assert!(red == green && green == blue, "{name}");
    }
    for name in ["clear.webp", "clear_palette.png"] {
        let picture = read(&fixture(name)).expect(name);
        let clear = if name == "clear.webp" { 12 } else { 3 };
        assert_eq!(picture.pixel(4, clear), [255, 255, 255], "{name}");
    }
}

#[test]
fn cameras_orientations_are_undone() {
    for orientation in 1..=8 {
        let picture = read(&fixture(&format!("orientation_{orientation}.jpg"))).unwrap();
        assert!(shows_quarters(&picture), "orientation {orientation}");
    }
}

#[test]
fn animated_pictures_are_refused() {
    let animated = |name: &str| read(&fixture(name)).expect_err(name);
    let kind = PictureKind::Png;
    assert_eq!(animated("animated.png"), PictureError::Animated { kind });
    let kind = PictureKind::Webp;
    assert_eq!(animated("animated.webp"), PictureError::Animated { kind });
}

#[test]
fn other_kinds_are_refused_by_name() {
    let expected = "expected a PNG, JPEG or WebP picture";
    assert_eq!(refused(&fixture("icon.gif")), format!("a GIF, {expected}"));
    assert_eq!(refused(&fixture("icon.bmp")), format!("a BMP, {expected}"));
    assert_eq!(
        refused(&fixture("icon.tiff")),
        format!("a TIFF, {expected}")
    );
    for (bytes, name) in [
        (
            b"<svg xmlns=\"http://www.w3.org/2000/svg\">".as_slice(),
            "an SVG drawing",
        ),
        (
            b"<?xml version=\"1.0\"?><svg>",
            "an SVG drawing or other XML",
        ),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "a HEIC"),
        (b"\0\0\0\x18ftypavif\0\0\0\0", "an AVIF"),
        (b"\0\0\0\x18ftypisom\0\0\0\0", "a video"),
        (b"<!doctype HTML><title>404", "a web page"),
        (
            b"version https://git-lfs.github.com/spec/v1\n",
            "a pointer of Git LFS",
        ),
        (b"%PDF-1.7", "a PDF"),
        (b"PK\x03\x04\x14\0", "a ZIP archive"),
    ] {
        assert_eq!(refused(bytes), format!("{name}, {expected}"));
    }
    let text = "no picture: the file starts with `a red st`, expected PNG, JPEG or WebP";
    assert_eq!(refused(b"a red star"), text);
    let noise = "no picture: the file starts with 01 02 03, expected PNG, JPEG or WebP";
    assert_eq!(refused(&[1, 2, 3]), noise);
    assert_eq!(read(b""), Err(PictureError::Empty));
}

#[test]
fn print_colours_are_refused() {
    let found = "a JPEG with the four inks of print (CMYK), expected RGB or grey";
    assert_eq!(refused(&fixture("cmyk.jpg")), found);
}

#[test]
fn files_cut_short_anywhere_are_refused() {
    let png = encode_png(&IconScene::from_seed(3).draw(16), &[]).unwrap();
    let files = [
        png,
        fixture("progressive.jpg"),
        fixture("orientation_1.jpg"),
        fixture("lossy.webp"),
        fixture("lossless.webp"),
    ];
    for bytes in files {
        assert!(read(&bytes).is_ok());
        for end in 0..bytes.len() {
            assert!(
                read(&bytes[..end]).is_err(),
                "cut at {end} of {}",
                bytes.len()
            );
        }
    }
}

#[test]
fn changed_bytes_of_a_png_are_noticed_and_no_bytes_make_a_reader_fail_badly() {
    let png = encode_png(&IconScene::from_seed(4).draw(16), &[]).unwrap();
    for at in 0..png.len() {
        let mut broken = png.clone();
        broken[at] ^= 0x10;
        assert!(read(&broken).is_err(), "byte {at}");
    }
    // Formats without checksums: whatever comes out, it has the size that it says.
    for name in [
        "progressive.jpg",
        "orientation_6.jpg",
        "lossy.webp",
        "lossless.webp",
        "clear.webp",
    ] {
        let bytes = fixture(name);
        for at in 0..bytes.len() {
            for change in [0x01, 0x80, 0xff] {
                let mut broken = bytes.clone();
                broken[at] ^= change;
                if let Ok(picture) = read(&broken) {
                    let pixels = picture.width as usize * picture.height as usize;
                    assert_eq!(picture.rgb.len(), pixels * 3, "{name} byte {at}");
                }
            }
        }
    }
}

/// The header of a PNG with a right checksum, and a bit of data.
fn huge_png(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, width, height);
    encoder.set_color(ColorType::Rgba);
    let mut writer = encoder.write_header().unwrap();
    writer
        .write_chunk(png::chunk::IDAT, &[0x78, 0x01, 0, 0])
        .unwrap();
    writer.write_chunk(png::chunk::IEND, &[]).unwrap();
    drop(writer);
    bytes
}

#[test]
fn huge_dimensions_in_a_small_file_are_refused_before_pixels_are_decoded() {
    let too_large = "100000 × 100000 pixels, expected at most 16384 on a side and 50000000 in all";
    assert_eq!(refused(&huge_png(100_000, 100_000)), too_large);
    let impossible = "declares 7000 × 7000 pixels, which cannot be in the 4 bytes of its data";
    assert_eq!(refused(&huge_png(7_000, 7_000)), impossible);
    // A JPEG and a WebP whose headers alone are changed.
    let mut jpeg = fixture("orientation_1.jpg");
    let frame = jpeg
        .windows(2)
        .position(|pair| pair == [0xff, 0xc0])
        .unwrap();
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0xff, 0xff, 0xff, 0xff]);
    assert!(matches!(
        read(&jpeg),
        Err(PictureError::TooLarge { width: 65_535, .. })
    ));
    let limits = ReadLimits {
        max_side: 31,
        ..ReadLimits::default()
    };
    for name in [
        "orientation_1.jpg",
        "lossy.webp",
        "lossless.webp",
        "palette.png",
    ] {
        let found = read_picture(&fixture(name), &limits);
        let expected = PictureError::TooLarge {
            width: 32,
            height: 16,
            max_side: 31,
            max_pixels: limits.max_pixels,
        };
        assert_eq!(found, Err(expected), "{name}");
    }
    let limits = ReadLimits {
        max_bytes: 20,
        ..ReadLimits::default()
    };
    let found = read_picture(&fixture("lossy.webp"), &limits);
    assert!(matches!(
        found,
        Err(PictureError::TooManyBytes { limit: 20, .. })
    ));
}

#[test]
fn a_real_bomb_stops_at_the_limit_of_pixels() {
    // 60 million black pixels that compress to a few kilobytes.
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(Cursor::new(&mut bytes), 10_000, 6_000);
    encoder.set_color(ColorType::Grayscale);
    encoder.set_depth(BitDepth::One);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&vec![0; 1_250 * 6_000]).unwrap();
    drop(writer);
    assert!(bytes.len() < 60_000, "{}", bytes.len());
    assert!(matches!(
        read(&bytes),
        Err(PictureError::TooLarge { width: 10_000, .. })
    ));
}

#[test]
fn empty_pictures_are_refused() {
    let found = refused(&huge_png(0x7fff_ffff, 1));
    assert!(
        found.starts_with("2147483647 × 1 pixels, expected at most"),
        "{found}"
    );
    let mut jpeg = fixture("orientation_1.jpg");
    let frame = jpeg
        .windows(2)
        .position(|pair| pair == [0xff, 0xc0])
        .unwrap();
    jpeg[frame + 5..frame + 7].copy_from_slice(&[0, 0]);
    assert_eq!(refused(&jpeg), "32 × 0 pixels, expected at least one");
}

#[test]
fn an_extension_that_says_another_kind_is_refused() {
    let limits = ReadLimits::default();
    let jpeg = fixture("orientation_1.jpg");
    let read = |name: &str| read_named_picture(name.as_ref(), &jpeg, &limits);
    assert!(read("a.jpg").is_ok() && read("a.JPEG").is_ok());
    let found = read("photo.png").expect_err("refused").to_string();
    assert_eq!(found, "JPEG content in a file that is named .png");
}

#[test]
fn fitting_cuts_the_middle_and_takes_means() {
    let stripe = |colour: [u8; 3], columns: usize| colour.repeat(columns);
    let row = [
        stripe([0, 0, 0], 2),
        stripe([10, 20, 30], 2),
        stripe([20, 40, 60], 2),
        stripe([0, 0, 0], 2),
    ]
    .concat();
    let wide = Picture {
        width: 8,
        height: 4,
        rgb: row.repeat(4),
    };
    let two = wide.fit(2);
    assert_eq!(two.rgb, [10, 20, 30, 20, 40, 60].repeat(2));
    assert_eq!(wide.fit(1).rgb, [15, 30, 45]);
    let three = wide.fit(3);
    assert_eq!(three.pixel(1, 0), [15, 30, 45], "half of each");
    let larger = two.fit(4);
    assert_eq!(larger.pixel(1, 3), [10, 20, 30]);
}

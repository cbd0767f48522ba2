//! PNG files that are written.

use openlora_pictures::{
    Picture, PictureError, PngText, ReadLimits, encode_png, icons::IconScene, read_picture,
    read_png_texts,
};
use sha2::{Digest, Sha256};

fn text(keyword: &str, text: &str) -> PngText {
    PngText {
        keyword: keyword.to_owned(),
        text: text.to_owned(),
    }
}

#[test]
fn what_is_written_is_read_back_with_its_texts() {
    let texts = [
        text("Software", "openlora"),
        text("Description", "a red star, größer als zuvor \u{2605}"),
        text("openlora receipt", "0x01\nsecond line"),
    ];
    for seed in 0..40 {
        let picture = IconScene::from_seed(seed).draw(64);
        let file = encode_png(&picture, &texts).unwrap();
        let read = read_picture(&file, &ReadLimits::default()).unwrap();
        assert_eq!(read, picture);
        assert_eq!(read_png_texts(&file).unwrap(), texts);
    }
}

#[test]
fn the_same_picture_and_texts_give_the_same_bytes_everywhere() {
    let mut hash = Sha256::new();
    for seed in 0..40 {
        let picture = IconScene::from_seed(seed).draw(64);
        hash.update(encode_png(&picture, &[text("Software", "openlora")]).unwrap());
    }
    let hash = hash.finalize();
    let start: String = hash[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(start, "64abc476c88c1a33");
}

#[test]
fn pixels_and_keywords_are_checked() {
    let mut picture = Picture::filled(2, 2, [1, 2, 3]);
    for keyword in ["", " a", "a\nb", "a  b", "größe", &"k".repeat(80)] {
        let found = encode_png(&picture, &[text(keyword, "t")]);
        assert!(
            matches!(found, Err(PictureError::BadKeyword { .. })),
            "{keyword}"
        );
    }
    picture.rgb.pop();
    let found = encode_png(&picture, &[])
        .expect_err("too short")
        .to_string();
    assert_eq!(found, "11 bytes of pixels, expected 12 for 2 × 2");
    assert!(read_png_texts(b"no picture").is_err());
}

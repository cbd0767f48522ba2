//! The receipt's id in a picture's PNG file: an `iTXt` chunk before the end of the file (PNG, third
//! edition, section 11.3.3.4). Without the chunk, the file is the one that the server sent.

/// The end of every PNG file: an empty chunk `IEND` with its checksum.
const END: [u8; 12] = *b"\0\0\0\0IEND\xae\x42\x60\x82";

/// Bytes of a chunk's length and of its checksum.
const LENGTH: usize = 4;
const CHECKSUM: usize = 4;

/// The file with one more text; none if it is no PNG file, or the text cannot stand in one.
pub fn add_png_text(png: &[u8], keyword: &str, text: &str) -> Option<Vec<u8>> {
    let head = png.strip_suffix(&END)?;
    let is_keyword = keyword.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if keyword.is_empty() || keyword.len() > 79 || !is_keyword || text.contains('\0') {
        return None;
    }
    let mut chunk = b"iTXt".to_vec();
    chunk.extend_from_slice(keyword.as_bytes());
    // Not compressed, without a language and a translated keyword.
    chunk.extend_from_slice(&[0, 0, 0, 0, 0]);
    chunk.extend_from_slice(text.as_bytes());
    let length = u32::try_from(chunk.len() - 4).ok()?;
    let mut file = head.to_vec();
    file.extend_from_slice(&length.to_be_bytes());
    file.extend_from_slice(&chunk);
    file.extend_from_slice(&checksum(&chunk).to_be_bytes());
    file.extend_from_slice(&END);
    Some(file)
}

/// The file as it was before [`add_png_text`] with this keyword, and the text; none if it has no such
/// text at its end.
pub fn split_png_text(png: &[u8], keyword: &str) -> Option<(Vec<u8>, String)> {
    let mut start = [b"iTXt", keyword.as_bytes()].concat();
    start.extend_from_slice(&[0, 0, 0, 0, 0]);
    let body = png.strip_suffix(&END)?;
    let found = body.windows(start.len()).rposition(|it| it == start)?;
    let text = body.get(found + start.len()..body.len().checked_sub(CHECKSUM)?)?;
    let text = String::from_utf8(text.to_vec()).ok()?;
    let mut file = body.get(..found.checked_sub(LENGTH)?)?.to_vec();
    file.extend_from_slice(&END);
    let again = add_png_text(&file, keyword, &text)?;
    (again == png).then_some((file, text))
}

/// CRC-32 of a chunk's type and data (PNG, third edition, annex D).
fn checksum(bytes: &[u8]) -> u32 {
    const POLYNOMIAL: u32 = 0xedb8_8320;
    let step = |value: u32| match value & 1 {
        1 => POLYNOMIAL ^ (value >> 1),
        _ => value >> 1,
    };
    let mut sum = u32::MAX;
    for byte in bytes {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            sum = step(sum);
        }
    }
    !sum
}

//! The tensor types of GGUF files and their exact values in f32.
//!
//! A quantised row is a sequence of blocks: f16 scales, then packed integers. The layouts are those
//! of `ggml-common.h` of llama.cpp. Each value takes at most one rounding, so every implementation
//! that follows the formula gives the same bits.

use half::f16;

/// Weights in a block of the K types.
const SUPER: usize = 256;
/// Weights in a block of the other quantised types.
const SMALL: usize = 32;

/// How a tensor's values are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BlockType {
    F32,
    F16,
    Bf16,
    Q8_0,
    Q6K,
    Q5K,
    Q5_1,
    Q5_0,
    Q4K,
    Q4_1,
    Q4_0,
}

/// A row of the table of types.
struct TypeRow {
    kind: BlockType,
    id: u32,
    name: &'static str,
    /// Values in a block.
    values: usize,
    /// Bytes of a block.
    bytes: usize,
}

const fn row(kind: BlockType, id: u32, name: &'static str, values: usize, bytes: usize) -> TypeRow {
    TypeRow {
        kind,
        id,
        name,
        values,
        bytes,
    }
}

const TYPES: [TypeRow; 11] = [
    row(BlockType::F32, 0, "F32", 1, 4),
    row(BlockType::F16, 1, "F16", 1, 2),
    row(BlockType::Bf16, 30, "BF16", 1, 2),
    row(BlockType::Q8_0, 8, "Q8_0", SMALL, 34),
    row(BlockType::Q6K, 14, "Q6_K", SUPER, 210),
    row(BlockType::Q5K, 13, "Q5_K", SUPER, 176),
    row(BlockType::Q5_1, 7, "Q5_1", SMALL, 24),
    row(BlockType::Q5_0, 6, "Q5_0", SMALL, 22),
    row(BlockType::Q4K, 12, "Q4_K", SUPER, 144),
    row(BlockType::Q4_1, 3, "Q4_1", SMALL, 20),
    row(BlockType::Q4_0, 2, "Q4_0", SMALL, 18),
];

/// Types that GGUF defines and that are not read, for messages.
const OTHERS: [(u32, &str); 23] = [
    (9, "Q8_1"),
    (10, "Q2_K"),
    (11, "Q3_K"),
    (15, "Q8_K"),
    (16, "IQ2_XXS"),
    (17, "IQ2_XS"),
    (18, "IQ3_XXS"),
    (19, "IQ1_S"),
    (20, "IQ4_NL"),
    (21, "IQ3_S"),
    (22, "IQ2_S"),
    (23, "IQ4_XS"),
    (24, "I8"),
    (25, "I16"),
    (26, "I32"),
    (27, "I64"),
    (28, "F64"),
    (29, "IQ1_M"),
    (34, "TQ1_0"),
    (35, "TQ2_0"),
    (39, "MXFP4"),
    (40, "NVFP4"),
    (41, "Q1_0"),
];

impl BlockType {
    /// The type with a number of `enum ggml_type`, or what it is called.
    pub fn of_id(id: u32) -> Result<Self, String> {
        if let Some(row) = TYPES.iter().find(|row| row.id == id) {
            return Ok(row.kind);
        }
        let other = OTHERS.iter().find(|(other, _)| *other == id);
        Err(other.map_or_else(|| format!("number {id}"), |(_, name)| (*name).to_owned()))
    }

    /// The names of all types, as listed in messages.
    pub fn names() -> String {
        TYPES.map(|row| row.name).join(", ")
    }

    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// Values in a block.
    pub fn values(self) -> usize {
        self.row().values
    }

    /// Bytes of a block.
    pub fn bytes(self) -> usize {
        self.row().bytes
    }

    /// Whether values are stored as floats, one by one.
    pub fn is_plain(self) -> bool {
        self.values() == 1
    }

    fn row(self) -> &'static TypeRow {
        // The table has a row for every type; the first is never the fallback.
        TYPES
            .iter()
            .find(|row| row.kind == self)
            .unwrap_or(&TYPES[0])
    }

    /// Writes the values of whole blocks to `out`. Plain types are not expanded here.
    pub fn dequantise(self, blocks: &[u8], out: &mut [f32]) {
        let expand: fn(&[u8], &mut [f32]) = match self {
            Self::Q8_0 => q8_0,
            Self::Q6K => q6_k,
            Self::Q5K => q5_k,
            Self::Q5_1 => q5_1,
            Self::Q5_0 => q5_0,
            Self::Q4K => q4_k,
            Self::Q4_1 => q4_1,
            Self::Q4_0 => q4_0,
            Self::F32 | Self::F16 | Self::Bf16 => return,
        };
        let blocks = blocks.chunks_exact(self.bytes());
        for (block, out) in blocks.zip(out.chunks_exact_mut(self.values())) {
            expand(block, out);
        }
    }
}

fn half_at(block: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([block[at], block[at + 1]]).to_f32()
}

fn word_at(block: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([block[at], block[at + 1], block[at + 2], block[at + 3]])
}

/// `d`, then 32 × i8.
fn q8_0(block: &[u8], out: &mut [f32]) {
    let scale = half_at(block, 0);
    for (value, byte) in out.iter_mut().zip(&block[2..]) {
        *value = f32::from(*byte as i8) * scale;
    }
}

/// `d`, then 16 bytes: low halves are the values 0–15, high halves 16–31.
fn q4_0(block: &[u8], out: &mut [f32]) {
    let scale = half_at(block, 0);
    for (at, byte) in block[2..].iter().enumerate() {
        out[at] = (f32::from(byte & 15) - 8.0) * scale;
        out[at + 16] = (f32::from(byte >> 4) - 8.0) * scale;
    }
}

/// `d`, `m`, then as Q4_0, without the offset.
fn q4_1(block: &[u8], out: &mut [f32]) {
    let (scale, least) = (half_at(block, 0), half_at(block, 2));
    for (at, byte) in block[4..].iter().enumerate() {
        out[at] = f32::from(byte & 15) * scale + least;
        out[at + 16] = f32::from(byte >> 4) * scale + least;
    }
}

/// `d`, the fifth bits of the 32 values, then as Q4_0.
fn q5_0(block: &[u8], out: &mut [f32]) {
    let (scale, fifth) = (half_at(block, 0), word_at(block, 2));
    for (at, byte) in block[6..].iter().enumerate() {
        let [low, high] = five_bits(*byte, fifth, at);
        out[at] = (low - 16.0) * scale;
        out[at + 16] = (high - 16.0) * scale;
    }
}

/// `d`, `m`, the fifth bits of the 32 values, then as Q4_0, without the offset.
fn q5_1(block: &[u8], out: &mut [f32]) {
    let (scale, least, fifth) = (half_at(block, 0), half_at(block, 2), word_at(block, 4));
    for (at, byte) in block[8..].iter().enumerate() {
        let [low, high] = five_bits(*byte, fifth, at);
        out[at] = low * scale + least;
        out[at + 16] = high * scale + least;
    }
}

/// The values `at` and `at + 16` of a block.
fn five_bits(byte: u8, fifth: u32, at: usize) -> [f32; 2] {
    let bit = |at: usize| if (fifth >> at) & 1 == 1 { 16.0 } else { 0.0 };
    [
        f32::from(byte & 15) + bit(at),
        f32::from(byte >> 4) + bit(at + 16),
    ]
}

/// Scale and minimum, six bits each, of group `at` of eight in the twelve bytes of a K block.
fn scale_and_least(packed: &[u8], at: usize) -> [f32; 2] {
    let [scale, least] = if at < 4 {
        [packed[at] & 63, packed[at + 4] & 63]
    } else {
        let low = packed[at + 4];
        [
            (low & 15) | ((packed[at - 4] >> 6) << 4),
            (low >> 4) | ((packed[at] >> 6) << 4),
        ]
    };
    [f32::from(scale), f32::from(least)]
}

/// `d`, `dmin`, 12 bytes of scales and minima, then 128 bytes: four times 32 low and 32 high halves.
fn q4_k(block: &[u8], out: &mut [f32]) {
    let (d, dmin) = (half_at(block, 0), half_at(block, 2));
    let (packed, halves) = (&block[4..16], &block[16..]);
    for (group, out) in out.chunks_exact_mut(32).enumerate() {
        let [scale, least] = scale_and_least(packed, group);
        let (scale, least) = (d * scale, dmin * least);
        let bytes = &halves[group / 2 * 32..][..32];
        for (value, byte) in out.iter_mut().zip(bytes) {
            let four = if group % 2 == 0 { byte & 15 } else { byte >> 4 };
            *value = scale * f32::from(four) - least;
        }
    }
}

/// As Q4_K, with 32 bytes before the halves: bit `g` of byte `i` is the fifth bit of value `i` of
/// group `g`.
fn q5_k(block: &[u8], out: &mut [f32]) {
    let (d, dmin) = (half_at(block, 0), half_at(block, 2));
    let (packed, fifths, halves) = (&block[4..16], &block[16..48], &block[48..]);
    for (group, out) in out.chunks_exact_mut(32).enumerate() {
        let [scale, least] = scale_and_least(packed, group);
        let (scale, least) = (d * scale, dmin * least);
        let bytes = &halves[group / 2 * 32..][..32];
        for ((value, byte), fifth) in out.iter_mut().zip(bytes).zip(fifths) {
            let four = if group % 2 == 0 { byte & 15 } else { byte >> 4 };
            let five = four | (((fifth >> group) & 1) << 4);
            *value = scale * f32::from(five) - least;
        }
    }
}

/// 128 bytes of low halves, 64 bytes of upper pairs of bits, 16 × i8 scales, `d`. Each half of the
/// block has four groups of 32: groups 0 and 1 are low halves, 2 and 3 high ones.
fn q6_k(block: &[u8], out: &mut [f32]) {
    let (low, upper) = (&block[..128], &block[128..192]);
    let (scales, d) = (&block[192..208], half_at(block, 208));
    for (group, out) in out.chunks_exact_mut(32).enumerate() {
        let (half, quarter) = (group / 4, group % 4);
        let bytes = &low[half * 64 + quarter % 2 * 32..][..32];
        let pairs = &upper[half * 32..][..32];
        for (at, value) in out.iter_mut().enumerate() {
            let four = if quarter < 2 {
                bytes[at] & 15
            } else {
                bytes[at] >> 4
            };
            let six = four | (((pairs[at] >> (2 * quarter)) & 3) << 4);
            let scale = scales[group * 2 + at / 16] as i8;
            *value = d * f32::from(scale) * (f32::from(six) - 32.0);
        }
    }
}

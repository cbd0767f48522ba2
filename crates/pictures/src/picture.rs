//! Pixels of one picture, and how a picture is cut and scaled to a square.

/// A picture in memory: 8 bits for each of red, green and blue, row by row from the top.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// `height × width × 3` bytes.
    pub rgb: Vec<u8>,
}

impl Picture {
    /// A picture of one colour.
    pub fn filled(width: u32, height: u32, colour: [u8; 3]) -> Self {
        let pixels = width as usize * height as usize;
        Self {
            width,
            height,
            rgb: colour.repeat(pixels),
        }
    }

    /// The colour at a column and a row.
    ///
    /// # Panics
    /// If the pixel is outside of the picture.
    pub fn pixel(&self, column: u32, row: u32) -> [u8; 3] {
        let at = (row as usize * self.width as usize + column as usize) * 3;
        [self.rgb[at], self.rgb[at + 1], self.rgb[at + 2]]
    }

    /// The centre of the picture, cut to a square and scaled to `size × size` pixels.
    ///
    /// Each new pixel is the mean of the area that it covers. The arithmetic is on integers, so that
    /// the same picture gives the same bytes on every machine.
    pub fn fit(&self, size: u32) -> Self {
        let side = self.width.min(self.height);
        let (left, top) = ((self.width - side) / 2, (self.height - side) / 2);
        if size == 0 || side == 0 {
            return Self::filled(size, size, [255; 3]);
        }
        let spans: Vec<AreaSpan> = (0..size).map(|at| AreaSpan::of(at, size, side)).collect();
        let mut rgb = Vec::with_capacity(size as usize * size as usize * 3);
        for row in &spans {
            for column in &spans {
                let mean = self.area_mean(*column, *row, left, top);
                rgb.extend_from_slice(&mean);
            }
        }
        Self {
            width: size,
            height: size,
            rgb,
        }
    }

    fn area_mean(&self, column: AreaSpan, row: AreaSpan, left: u32, top: u32) -> [u8; 3] {
        let (mut sums, mut weights) = ([0u128; 3], 0u128);
        for y in row.first..=row.last {
            for x in column.first..=column.last {
                let weight = u128::from(row.overlap(y)) * u128::from(column.overlap(x));
                let pixel = self.pixel(left + x, top + y);
                for (sum, value) in sums.iter_mut().zip(pixel) {
                    *sum += weight * u128::from(value);
                }
                weights += weight;
            }
        }
        sums.map(|sum| ((sum + weights / 2) / weights) as u8)
    }
}

/// The source pixels that one pixel of a scaled row or column covers, in units of `1 / size` of a
/// source pixel.
#[derive(Clone, Copy)]
struct AreaSpan {
    start: u64,
    end: u64,
    size: u64,
    first: u32,
    last: u32,
}

impl AreaSpan {
    fn of(at: u32, size: u32, side: u32) -> Self {
        let start = u64::from(at) * u64::from(side);
        let end = start + u64::from(side);
        let size = u64::from(size);
        Self {
            start,
            end,
            size,
            first: (start / size) as u32,
            last: ((end - 1) / size) as u32,
        }
    }

    fn overlap(self, pixel: u32) -> u64 {
        let left = u64::from(pixel) * self.size;
        (left + self.size).min(self.end) - left.max(self.start)
    }
}

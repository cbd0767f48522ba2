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
        let columns = AreaSpan::all(size, side, left);
        self.resampled(&columns, &AreaSpan::all(size, side, top))
    }

    /// The whole picture scaled to other sides, each new pixel the mean of the area that it covers.
    pub fn scale(&self, width: u32, height: u32) -> Self {
        if width == 0 || height == 0 || self.rgb.is_empty() {
            return Self::filled(width, height, [255; 3]);
        }
        let columns = AreaSpan::all(width, self.width, 0);
        self.resampled(&columns, &AreaSpan::all(height, self.height, 0))
    }

    fn resampled(&self, columns: &[AreaSpan], rows: &[AreaSpan]) -> Self {
        let mut rgb = Vec::with_capacity(columns.len() * rows.len() * 3);
        for row in rows {
            for column in columns {
                rgb.extend_from_slice(&self.area_mean(*column, *row));
            }
        }
        Self {
            width: columns.len() as u32,
            height: rows.len() as u32,
            rgb,
        }
    }

    fn area_mean(&self, column: AreaSpan, row: AreaSpan) -> [u8; 3] {
        let (mut sums, mut weights) = ([0u128; 3], 0u128);
        for y in row.first..=row.last {
            for x in column.first..=column.last {
                let weight = u128::from(row.overlap(y)) * u128::from(column.overlap(x));
                let pixel = self.pixel(column.before + x, row.before + y);
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
    /// Pixels that are cut off before it.
    before: u32,
}

impl AreaSpan {
    /// The spans of `size` new pixels over `side` old ones, after some that are cut off.
    fn all(size: u32, side: u32, before: u32) -> Vec<Self> {
        (0..size)
            .map(|at| Self::at_pixel(at, size, side, before))
            .collect()
    }

    fn at_pixel(at: u32, size: u32, side: u32, before: u32) -> Self {
        let start = u64::from(at) * u64::from(side);
        let end = start + u64::from(side);
        let size = u64::from(size);
        Self {
            start,
            end,
            size,
            first: (start / size) as u32,
            last: ((end - 1) / size) as u32,
            before,
        }
    }

    fn overlap(self, pixel: u32) -> u64 {
        let left = u64::from(pixel) * self.size;
        (left + self.size).min(self.end) - left.max(self.start)
    }
}

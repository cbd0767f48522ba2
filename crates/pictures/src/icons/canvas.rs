//! A square of pixels on which forms are painted with smooth edges.

use super::forms::{Form, Point};
use crate::picture::Picture;

/// Scenes are laid out on a square of this side, whatever the size in pixels is.
pub(super) const SIDE: f32 = 64.0;

/// Red, green and blue from 0 to 255.
pub(super) type Tint = [f32; 3];

pub(super) fn tint(rgb: [u8; 3]) -> Tint {
    rgb.map(f32::from)
}

/// `share` of the second and the rest of the first.
pub(super) fn mixed(first: Tint, second: Tint, share: f32) -> Tint {
    std::array::from_fn(|at| first[at] + (second[at] - first[at]) * share)
}

/// A form at its place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placed {
    pub(super) form: Form,
    pub(super) centre: Point,
    /// How large the form's unit is.
    pub(super) radius: f32,
}

pub(super) struct Canvas {
    size: u32,
    /// How large a pixel is on the layout.
    unit: f32,
    pixels: Vec<Tint>,
}

impl Canvas {
    pub(super) fn new(size: u32) -> Self {
        Self {
            size,
            unit: SIDE / size as f32,
            pixels: vec![[255.0; 3]; size as usize * size as usize],
        }
    }

    /// The side of a pixel on the layout: edges are blurred over this width.
    pub(super) fn unit(&self) -> f32 {
        self.unit
    }

    /// Gives every pixel the colour of a function of its centre and its colour so far.
    pub(super) fn recolour(&mut self, colour: impl Fn(Point, Tint) -> Tint) {
        for row in 0..self.size {
            for column in 0..self.size {
                let at = (row * self.size + column) as usize;
                self.pixels[at] = colour(self.centre(column, row), self.pixels[at]);
            }
        }
    }

    /// Covers a form, and `margin` around it, with a colour that is a function of the point and the
    /// signed distance; the opacity is from 0 to 1.
    pub(super) fn cover(
        &mut self,
        placed: Placed,
        margin: f32,
        opacity: impl Fn(f32) -> f32,
        colour: impl Fn(Point, f32) -> Tint,
    ) {
        let reach = placed.form.reach() * placed.radius + margin + self.unit;
        let columns = self.span(placed.centre.x, reach);
        for row in self.span(placed.centre.y, reach) {
            for column in columns.clone() {
                let point = self.centre(column, row);
                let within = Point {
                    x: (point.x - placed.centre.x) / placed.radius,
                    y: (point.y - placed.centre.y) / placed.radius,
                };
                let distance = placed.form.distance(within) * placed.radius;
                let share = opacity(distance);
                if share > 0.0 {
                    let at = (row * self.size + column) as usize;
                    self.pixels[at] = mixed(self.pixels[at], colour(point, distance), share);
                }
            }
        }
    }

    pub(super) fn picture(self) -> Picture {
        let rgb = self
            .pixels
            .iter()
            .flat_map(|tint| tint.map(|value| (value + 0.5).clamp(0.0, 255.0) as u8))
            .collect();
        Picture {
            width: self.size,
            height: self.size,
            rgb,
        }
    }

    fn centre(&self, column: u32, row: u32) -> Point {
        Point {
            x: (column as f32 + 0.5) * self.unit,
            y: (row as f32 + 0.5) * self.unit,
        }
    }

    fn span(&self, middle: f32, reach: f32) -> std::ops::Range<u32> {
        let first = ((middle - reach) / self.unit).max(0.0) as u32;
        let last = ((middle + reach) / self.unit).max(0.0) as u32 + 1;
        first.min(self.size)..last.min(self.size)
    }
}

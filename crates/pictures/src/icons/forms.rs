//! Outlines of shapes as signed distances: how far a point is from the edge, less than zero inside.
//!
//! Distances are exact for circles and polygons and never too large for what is put together from
//! several of them, which is all that anti-aliasing and outlines need. Only additions,
//! multiplications, divisions and square roots are used, which have the same bits everywhere.

use super::words::IconShape;

/// A point; x grows to the right, y grows downwards.
#[derive(Clone, Copy, Debug)]
pub(super) struct Point {
    pub(super) x: f32,
    pub(super) y: f32,
}

const fn at(x: f32, y: f32) -> Point {
    Point { x, y }
}

/// An outline around the origin, about 1 in radius.
#[derive(Clone, Copy, Debug)]
pub(super) enum Form {
    Shape(IconShape),
    /// A rectangle of this half width and half height.
    Block(Point),
    /// An ellipse of these half axes.
    Oval(Point),
    Roof,
    Hull,
    Sail,
    Tail,
    Cabin,
    Cloud,
    Petals,
}

const TRIANGLE: [Point; 3] = [at(0.0, -1.05), at(1.08, 0.85), at(-1.08, 0.85)];
const DIAMOND: [Point; 4] = [at(0.0, -1.15), at(0.8, 0.0), at(0.0, 1.15), at(-0.8, 0.0)];
/// Five points at radius 1.12 and five at radius 0.46.
const STAR: [Point; 10] = [
    at(0.0, -1.12),
    at(0.270_38, -0.372_15),
    at(1.065_18, -0.346_1),
    at(0.437_49, 0.142_15),
    at(0.658_32, 0.906_1),
    at(0.0, 0.46),
    at(-0.658_32, 0.906_1),
    at(-0.437_49, 0.142_15),
    at(-1.065_18, -0.346_1),
    at(-0.270_38, -0.372_15),
];
const HEART_POINT: [Point; 4] = [
    at(-0.96, -0.02),
    at(0.0, -0.42),
    at(0.96, -0.02),
    at(0.0, 1.05),
];
const DROP_POINT: [Point; 3] = [at(0.0, -1.2), at(0.6, 0.08), at(-0.6, 0.08)];
const ROOF: [Point; 3] = [at(0.0, -0.62), at(1.25, 0.4), at(-1.25, 0.4)];
const HULL: [Point; 4] = [
    at(-1.2, -0.32),
    at(1.2, -0.32),
    at(0.75, 0.42),
    at(-0.75, 0.42),
];
const SAIL: [Point; 3] = [at(-0.1, -1.0), at(0.85, 0.75), at(-0.1, 0.75)];
const TAIL: [Point; 3] = [at(0.7, 0.0), at(-0.6, -0.85), at(-0.6, 0.85)];
const CABIN: [Point; 4] = [
    at(-0.7, 0.5),
    at(-0.42, -0.5),
    at(0.42, -0.5),
    at(0.78, 0.5),
];
/// Unit vectors to the five petals.
const PETALS: [Point; 5] = [
    at(0.0, -1.0),
    at(0.951_06, -0.309_02),
    at(0.587_79, 0.809_02),
    at(-0.587_79, 0.809_02),
    at(-0.951_06, -0.309_02),
];

impl Form {
    /// The signed distance of a point from the edge.
    pub(super) fn distance(self, point: Point) -> f32 {
        match self {
            Self::Shape(shape) => shape_distance(shape, point),
            Self::Block(half) => block(point, half),
            Self::Oval(half) => oval(point, half),
            Self::Roof => polygon(point, &ROOF),
            Self::Hull => polygon(point, &HULL),
            Self::Sail => polygon(point, &SAIL),
            Self::Tail => polygon(point, &TAIL),
            Self::Cabin => polygon(point, &CABIN),
            Self::Cloud => disc(point, at(0.0, -0.2), 0.62)
                .min(disc(point, at(-0.75, 0.12), 0.45))
                .min(disc(point, at(0.75, 0.12), 0.48))
                .min(block(moved(point, 0.0, 0.3), at(0.8, 0.27))),
            Self::Petals => PETALS
                .iter()
                .map(|petal| disc(point, at(petal.x * 0.62, petal.y * 0.62), 0.46))
                .fold(f32::INFINITY, f32::min),
        }
    }

    /// How far from the origin the outline reaches, at most.
    pub(super) fn reach(self) -> f32 {
        match self {
            Self::Block(half) | Self::Oval(half) => half.x.max(half.y),
            _ => 1.3,
        }
    }
}

fn shape_distance(shape: IconShape, point: Point) -> f32 {
    let centre = at(0.0, 0.0);
    match shape {
        IconShape::Circle => disc(point, centre, 1.0),
        IconShape::Square => block(point, at(0.86, 0.86)),
        IconShape::Triangle => polygon(point, &TRIANGLE),
        IconShape::Star => polygon(point, &STAR),
        IconShape::Heart => disc(point, at(-0.5, -0.38), 0.58)
            .min(disc(point, at(0.5, -0.38), 0.58))
            .min(polygon(point, &HEART_POINT)),
        IconShape::Diamond => polygon(point, &DIAMOND),
        IconShape::Ring => (disc(point, centre, 0.76)).abs() - 0.25,
        IconShape::Cross => block(point, at(1.0, 0.34)).min(block(point, at(0.34, 1.0))),
        IconShape::Moon => disc(point, centre, 1.0).max(-disc(point, at(0.5, -0.2), 0.82)),
        IconShape::Drop => disc(point, at(0.0, 0.4), 0.68).min(polygon(point, &DROP_POINT)),
    }
}

fn moved(point: Point, x: f32, y: f32) -> Point {
    at(point.x - x, point.y - y)
}

fn length(x: f32, y: f32) -> f32 {
    (x * x + y * y).sqrt()
}

fn disc(point: Point, centre: Point, radius: f32) -> f32 {
    length(point.x - centre.x, point.y - centre.y) - radius
}

fn block(point: Point, half: Point) -> f32 {
    let (x, y) = (point.x.abs() - half.x, point.y.abs() - half.y);
    length(x.max(0.0), y.max(0.0)) + x.max(y).min(0.0)
}

/// Close to the edge this is the distance to first order.
fn oval(point: Point, half: Point) -> f32 {
    let (x, y) = (point.x / half.x, point.y / half.y);
    let value = length(x, y);
    let slope = length(x / half.x, y / half.y);
    if slope == 0.0 {
        return -half.x.min(half.y);
    }
    (value - 1.0) * value / slope
}

fn polygon(point: Point, corners: &[Point]) -> f32 {
    let mut nearest = f32::INFINITY;
    let mut inside = false;
    let mut before = corners[corners.len() - 1];
    for corner in corners.iter().copied() {
        let (edge_x, edge_y) = (before.x - corner.x, before.y - corner.y);
        let (x, y) = (point.x - corner.x, point.y - corner.y);
        let along = (x * edge_x + y * edge_y) / (edge_x * edge_x + edge_y * edge_y);
        let along = along.clamp(0.0, 1.0);
        let (away_x, away_y) = (x - edge_x * along, y - edge_y * along);
        nearest = nearest.min(away_x * away_x + away_y * away_y);
        let crosses = (corner.y > point.y) != (before.y > point.y);
        if crosses && x < edge_x * y / edge_y {
            inside = !inside;
        }
        before = corner;
    }
    if inside {
        -nearest.sqrt()
    } else {
        nearest.sqrt()
    }
}

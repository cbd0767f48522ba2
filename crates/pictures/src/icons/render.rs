//! Scenes as pixels: where everything is, what colours it has, and what a style adds.

use super::canvas::{Canvas, Placed, SIDE, Tint, mixed, tint};
use super::chance::Chance;
use super::content::{Landscape, PairOfIcons, SceneContent, SeveralIcons, SingleIcon};
use super::forms::{Form, Point};
use super::style::IconStyle;
use super::words::{
    IconAxis, IconColour, IconExtra, IconObject, IconSetting, IconShape, IconSize, IconTexture,
};
use crate::picture::Picture;

const DARK: Tint = [24.0, 24.0, 30.0];
const LIGHT: Tint = [255.0, 255.0, 255.0];
const TEAL: Tint = [0.0, 160.0, 172.0];
const WOOD: Tint = [104.0, 60.0, 28.0];
/// Patterns on grounds repeat at this distance.
const PERIOD: f32 = 8.0;

/// A form with its colour and surface.
#[derive(Clone, Copy)]
struct Mark {
    placed: Placed,
    colour: Tint,
    texture: IconTexture,
}

/// The ground: one colour, or a sky and what is below the horizon.
#[derive(Clone, Copy)]
struct Ground {
    above: Tint,
    below: Tint,
    horizon: f32,
}

pub(super) fn draw(content: &SceneContent, jitter: u64, size: u32, style: IconStyle) -> Picture {
    let mut chance = Chance::seeded(jitter);
    let (ground, marks) = match *content {
        SceneContent::Single(icon) => (flat(icon.ground), single(&icon, &mut chance)),
        SceneContent::Several(icons) => (flat(icons.ground), several(&icons, &mut chance)),
        SceneContent::Pair(icons) => (flat(icons.ground), pair(&icons, &mut chance)),
        SceneContent::Landscape(land) => (outdoors(&land), landscape(&land, &mut chance)),
    };
    let mut canvas = Canvas::new(size);
    let unit = canvas.unit();
    canvas.recolour(|point, _| style.ground(point, ground.colour(point, unit), unit));
    for mark in &marks {
        let behind = ground.colour(mark.placed.centre, unit);
        style.paint(&mut canvas, mark, behind);
    }
    if style == IconStyle::Framed {
        canvas.recolour(|point, colour| {
            let edge = point.x.min(point.y).min(SIDE - point.x).min(SIDE - point.y);
            let inner = mixed(WOOD, LIGHT, 0.35);
            let framed = mixed(inner, colour, share_inside(4.0 - edge, unit));
            mixed(WOOD, framed, share_inside(2.6 - edge, unit))
        });
    }
    canvas.picture()
}

/// How much of a pixel is inside of an edge at this signed distance.
fn share_inside(distance: f32, unit: f32) -> f32 {
    (0.5 - distance / unit).clamp(0.0, 1.0)
}

/// The distance from the next multiple of a period.
fn off_multiple(value: f32, period: f32) -> f32 {
    let rest = value - (value / period).floor() * period;
    rest.min(period - rest)
}

impl Ground {
    fn colour(&self, point: Point, unit: f32) -> Tint {
        mixed(
            self.below,
            self.above,
            share_inside(point.y - self.horizon, unit),
        )
    }
}

impl IconStyle {
    fn ground(self, point: Point, colour: Tint, unit: f32) -> Tint {
        // What is seen on every ground, white and black ones too.
        let marked = match brightness(colour) > 128.0 {
            true => mixed(colour, DARK, 0.35),
            false => mixed(colour, LIGHT, 0.4),
        };
        match self {
            Self::Dotted => {
                let x = off_multiple(point.x - PERIOD / 2.0, PERIOD);
                let y = off_multiple(point.y - PERIOD / 2.0, PERIOD);
                let inside = share_inside((x * x + y * y).sqrt() - 1.9, unit);
                let pale = mixed(colour, LIGHT, 0.45);
                let dot = match brightness(colour) > 235.0 {
                    true => mixed(colour, DARK, 0.3),
                    false => colour,
                };
                mixed(pale, dot, inside)
            }
            Self::Shaded => {
                let down = point.y / SIDE;
                let lit = mixed(colour, LIGHT, (0.30 - 0.6 * down).max(0.0));
                mixed(lit, DARK, (0.7 * down - 0.25).max(0.0))
            }
            Self::Hatched => {
                // A step along the diagonal is shorter than one along a side by the root of two.
                let line =
                    off_multiple(point.x + point.y, PERIOD) * std::f32::consts::FRAC_1_SQRT_2;
                mixed(colour, marked, share_inside(line - 0.8, unit))
            }
            Self::Gridded => {
                let line = off_multiple(point.x, PERIOD).min(off_multiple(point.y, PERIOD));
                mixed(colour, marked, share_inside(line - 0.6, unit))
            }
            Self::Plain | Self::Outlined | Self::Echoed | Self::Framed | Self::Sketched => colour,
        }
    }

    fn paint(self, canvas: &mut Canvas, mark: &Mark, ground: Tint) {
        let unit = canvas.unit();
        if self == Self::Shaded {
            let mut shadow = mark.placed;
            shadow.centre = Point {
                x: shadow.centre.x + 2.5,
                y: shadow.centre.y + 2.5,
            };
            let soft = |distance: f32| (0.5 - distance / 3.0).clamp(0.0, 1.0) * 0.5;
            canvas.cover(shadow, 2.0, soft, |_, _| DARK);
        }
        let line = line_colour(brightness(mark.colour), brightness(ground));
        let margin: f32 = match self {
            Self::Outlined => 1.4,
            Self::Echoed => 4.2,
            _ => 0.0,
        };
        let opacity = |distance: f32| {
            let inside = share_inside(distance - margin.min(1.4), unit);
            match self {
                Self::Echoed => share_inside(distance, unit)
                    .max(share_inside((distance - 3.2).abs() - 0.8, unit)),
                _ => inside,
            }
        };
        let middle = mark.placed.centre.y;
        let reach = mark.placed.form.reach() * mark.placed.radius;
        canvas.cover(mark.placed, margin, opacity, |point, distance| {
            let surface = mark.surface(point, unit);
            match self {
                Self::Outlined => mixed(line, surface, share_inside(distance + 0.9, unit)),
                Self::Sketched => {
                    let pale = mixed(surface, LIGHT, 0.6);
                    let pale = match brightness(surface) > 235.0 {
                        true => mixed(surface, DARK, 0.18),
                        false => pale,
                    };
                    mixed(mark.colour, pale, share_inside(distance + 1.4, unit))
                }
                Self::Shaded => {
                    let down = ((point.y - middle) / reach).clamp(-1.0, 1.0);
                    let lit = mixed(surface, LIGHT, (-0.35 * down).max(0.0));
                    mixed(lit, DARK, (0.35 * down).max(0.0))
                }
                _ => surface,
            }
        });
    }
}

/// A line that can be seen on a shape and on the ground of these brightnesses.
fn line_colour(shape: f32, ground: f32) -> Tint {
    let (darker, lighter) = (shape.min(ground), shape.max(ground));
    match () {
        () if darker > 70.0 => DARK,
        () if lighter < 190.0 => LIGHT,
        () => TEAL,
    }
}

fn brightness(colour: Tint) -> f32 {
    0.3 * colour[0] + 0.59 * colour[1] + 0.11 * colour[2]
}

impl Mark {
    fn new(form: Form, x: f32, y: f32, radius: f32, colour: Tint) -> Self {
        Self {
            placed: Placed {
                form,
                centre: Point { x, y },
                radius,
            },
            colour,
            texture: IconTexture::Plain,
        }
    }

    /// The colour at a point of the surface, which is textured from the form's centre outwards.
    fn surface(&self, point: Point, unit: f32) -> Tint {
        let second = match brightness(self.colour) > 130.0 {
            true => mixed(self.colour, DARK, 0.5),
            false => mixed(self.colour, LIGHT, 0.7),
        };
        let x = point.x - self.placed.centre.x;
        let y = point.y - self.placed.centre.y;
        let share = match self.texture {
            IconTexture::Plain => 0.0,
            IconTexture::Striped => share_inside(off_multiple(y - 3.0, 6.0) - 1.2, unit),
            IconTexture::Dotted => {
                let (x, y) = (off_multiple(x, 6.0), off_multiple(y, 6.0));
                share_inside((x * x + y * y).sqrt() - 1.6, unit)
            }
            IconTexture::Checked => {
                let x = share_inside(off_multiple(x - 2.5, 10.0) - 2.5, unit);
                let y = share_inside(off_multiple(y - 2.5, 10.0) - 2.5, unit);
                x * (1.0 - y) + y * (1.0 - x)
            }
        };
        mixed(self.colour, second, share)
    }
}

fn flat(colour: IconColour) -> Ground {
    Ground {
        above: tint(colour.rgb()),
        below: tint(colour.rgb()),
        horizon: SIDE,
    }
}

fn single(icon: &SingleIcon, chance: &mut Chance) -> Vec<Mark> {
    let (radius, step) = match icon.size {
        IconSize::Small => (chance.between(8.0, 9.0), 17.0),
        IconSize::Medium => (chance.between(12.6, 14.0), 13.5),
        IconSize::Large => (chance.between(18.0, 19.5), 9.5),
    };
    let [right, down] = icon.position.steps();
    let x = SIDE / 2.0 + f32::from(right) * step + chance.between(-1.3, 1.3);
    let y = SIDE / 2.0 + f32::from(down) * step + chance.between(-1.3, 1.3);
    let mut mark = Mark::new(
        Form::Shape(icon.shape),
        x,
        y,
        radius,
        tint(icon.colour.rgb()),
    );
    mark.texture = icon.texture;
    vec![mark]
}

fn several(icons: &SeveralIcons, chance: &mut Chance) -> Vec<Mark> {
    let places: &[[f32; 2]] = match icons.count {
        2 => &[[18.0, 32.0], [46.0, 32.0]],
        3 => &[[32.0, 18.0], [17.5, 45.0], [46.5, 45.0]],
        _ => &[[18.0, 18.0], [46.0, 18.0], [18.0, 46.0], [46.0, 46.0]],
    };
    let radius = chance.between(10.0, 11.0);
    let colour = tint(icons.colour.rgb());
    places
        .iter()
        .map(|[x, y]| {
            let (x, y) = (x + chance.between(-1.2, 1.2), y + chance.between(-1.2, 1.2));
            Mark::new(Form::Shape(icons.shape), x, y, radius, colour)
        })
        .collect()
}

fn pair(icons: &PairOfIcons, chance: &mut Chance) -> Vec<Mark> {
    let radius = chance.between(11.0, 12.0);
    let mut placed = |shape: IconShape, colour: IconColour, side: f32| {
        let along = SIDE / 2.0 + side * 14.5 + chance.between(-1.2, 1.2);
        let across = SIDE / 2.0 + chance.between(-1.5, 1.5);
        let (x, y) = match icons.axis {
            IconAxis::Horizontal => (along, across),
            IconAxis::Vertical => (across, along),
        };
        Mark::new(Form::Shape(shape), x, y, radius, tint(colour.rgb()))
    };
    vec![
        placed(icons.first, icons.first_colour, -1.0),
        placed(icons.second, icons.second_colour, 1.0),
    ]
}

fn outdoors(land: &Landscape) -> Ground {
    let (sky, grass, water) = match land.setting {
        IconSetting::Day => ([156, 210, 248], [92, 176, 76], [44, 116, 204]),
        IconSetting::Evening => ([250, 178, 112], [124, 128, 60], [116, 84, 148]),
        IconSetting::Night => ([24, 28, 76], [26, 70, 46], [20, 54, 112]),
    };
    let (below, horizon) = match land.object {
        IconObject::Fish => (water, 22.0),
        object if object.on_water() => (water, 44.0),
        _ => (grass, 44.0),
    };
    Ground {
        above: tint(sky),
        below: tint(below),
        horizon,
    }
}

fn landscape(land: &Landscape, chance: &mut Chance) -> Vec<Mark> {
    let x = 26.0 + chance.between(-2.5, 2.5);
    let y = chance.between(-1.2, 1.2);
    let mut marks = extra(land, chance);
    marks.extend(object(land.object, tint(land.colour.rgb()), Point { x, y }));
    marks
}

fn extra(land: &Landscape, chance: &mut Chance) -> Vec<Mark> {
    let (x, y) = (
        52.0 + chance.between(-1.5, 1.5),
        11.0 + chance.between(-1.0, 1.0),
    );
    let evening = land.setting == IconSetting::Evening;
    match land.extra {
        IconExtra::Nothing => vec![],
        IconExtra::Sun => {
            let colour = if evening {
                [244, 72, 32]
            } else {
                [255, 226, 48]
            };
            vec![Mark::new(
                Form::Shape(IconShape::Circle),
                x,
                y,
                7.0,
                tint(colour),
            )]
        }
        IconExtra::Moon => {
            let colour = tint([244, 240, 200]);
            vec![Mark::new(Form::Shape(IconShape::Moon), x, y, 7.5, colour)]
        }
        IconExtra::Star => {
            let colour = tint([255, 244, 150]);
            vec![Mark::new(Form::Shape(IconShape::Star), x, y, 7.5, colour)]
        }
        IconExtra::Cloud => {
            let colour = if evening {
                [255, 226, 220]
            } else {
                [250, 250, 250]
            };
            vec![Mark::new(Form::Cloud, x - 2.0, y, 8.5, tint(colour))]
        }
    }
}

/// An object of landscapes; `from` is its middle and how far it is moved down.
fn object(object: IconObject, colour: Tint, from: Point) -> Vec<Mark> {
    let (x, down) = (from.x, from.y);
    let block = |width: f32, height: f32| {
        Form::Block(Point {
            x: width,
            y: height,
        })
    };
    let oval = |width: f32, height: f32| {
        Form::Oval(Point {
            x: width,
            y: height,
        })
    };
    let mark = |form: Form, right: f32, y: f32, radius: f32, colour: Tint| {
        Mark::new(form, x + right, y + down, radius, colour)
    };
    let (brown, leaf) = (tint(IconColour::Brown.rgb()), tint([40, 140, 60]));
    let disc = Form::Shape(IconShape::Circle);
    match object {
        IconObject::House => vec![
            mark(block(12.0, 9.0), 0.0, 41.0, 1.0, colour),
            mark(Form::Roof, 0.0, 27.5, 13.0, brown),
            mark(block(2.8, 5.0), -4.5, 45.0, 1.0, DARK),
            mark(block(2.6, 2.6), 5.0, 40.0, 1.0, tint([190, 226, 250])),
        ],
        IconObject::Tree => vec![
            mark(block(2.6, 9.0), 0.0, 43.0, 1.0, brown),
            mark(oval(13.0, 12.5), 0.0, 25.0, 1.0, colour),
        ],
        IconObject::Flower => vec![
            mark(block(1.3, 12.0), 0.0, 42.0, 1.0, leaf),
            mark(oval(5.0, 2.4), 5.5, 46.0, 1.0, leaf),
            mark(Form::Petals, 0.0, 25.0, 13.0, colour),
            mark(disc, 0.0, 25.0, 4.2, tint([250, 170, 20])),
        ],
        IconObject::Car => vec![
            mark(Form::Cabin, -1.0, 36.5, 12.0, tint([190, 226, 250])),
            mark(block(16.0, 5.0), 0.0, 45.0, 1.0, colour),
            mark(disc, -9.0, 50.5, 4.4, DARK),
            mark(disc, 9.0, 50.5, 4.4, DARK),
        ],
        IconObject::Boat => vec![
            mark(block(0.9, 13.0), -1.5, 30.0, 1.0, brown),
            mark(Form::Sail, 0.0, 28.0, 12.0, tint([246, 240, 226])),
            mark(Form::Hull, 0.0, 46.0, 14.0, colour),
        ],
        IconObject::Fish => vec![
            mark(Form::Tail, -15.0, 42.0, 9.0, colour),
            mark(oval(14.0, 8.5), 2.0, 42.0, 1.0, colour),
            mark(disc, 9.5, 40.0, 1.9, DARK),
        ],
    }
}

//! What makes drawings as imperfect as generated pictures are.

use crate::{icons::chance::Chance, picture::Picture};

/// The side of the patches that image models put pictures together from.
const PATCH: usize = 8;

/// Blurs, shifts, recolours and disturbs a picture in some of many ways; a share in percent stays as it
/// is.
pub(super) fn disturbed(picture: &Picture, kept_percent: usize, chance: &mut Chance) -> Picture {
    if chance.percent(kept_percent) {
        return picture.clone();
    }
    let side = picture.width as usize;
    let mut values: Vec<f32> = picture.rgb.iter().map(|value| f32::from(*value)).collect();
    for _ in 0..chance.below(3) {
        values = blurred(&values, side, chance.between(0.1, 0.5));
    }
    if chance.percent(50) {
        values = shifted(&values, side, chance);
    }
    if chance.percent(50) {
        recolour(&mut values, chance);
    }
    if chance.percent(40) {
        offset_patches(&mut values, side, chance);
    }
    if chance.percent(60) {
        let strength = chance.between(1.0, 14.0);
        for value in &mut values {
            *value += strength * (chance.between(-1.0, 1.0) + chance.between(-1.0, 1.0));
        }
    }
    Picture {
        rgb: values
            .iter()
            .map(|value| (value + 0.5).clamp(0.0, 255.0) as u8)
            .collect(),
        ..*picture
    }
}

/// Each pixel with a share of its four neighbours' mean.
fn blurred(values: &[f32], side: usize, share: f32) -> Vec<f32> {
    let at =
        |row: usize, column: usize, channel: usize| values[(row * side + column) * 3 + channel];
    let mut out = Vec::with_capacity(values.len());
    for row in 0..side {
        let (above, below) = (row.saturating_sub(1), (row + 1).min(side - 1));
        for column in 0..side {
            let (left, right) = (column.saturating_sub(1), (column + 1).min(side - 1));
            for channel in 0..3 {
                let around = at(above, column, channel)
                    + at(below, column, channel)
                    + at(row, left, channel)
                    + at(row, right, channel);
                let here = at(row, column, channel);
                out.push(here + (around * 0.25 - here) * share);
            }
        }
    }
    out
}

/// Moved by up to two pixels; the edge is repeated.
fn shifted(values: &[f32], side: usize, chance: &mut Chance) -> Vec<f32> {
    let (down, right) = (chance.below(5), chance.below(5));
    let moved = |at: usize, by: usize| (at + by).saturating_sub(2).min(side - 1);
    let mut out = Vec::with_capacity(values.len());
    for row in 0..side {
        for column in 0..side {
            let from = (moved(row, down) * side + moved(column, right)) * 3;
            out.extend_from_slice(&values[from..from + 3]);
        }
    }
    out
}

/// Other contrast and brightness in each channel.
fn recolour(values: &mut [f32], chance: &mut Chance) {
    for channel in 0..3 {
        let (gain, offset) = (chance.between(0.85, 1.1), chance.between(-14.0, 14.0));
        for value in values.iter_mut().skip(channel).step_by(3) {
            *value = (*value - 128.0) * gain + 128.0 + offset;
        }
    }
}

/// A little more or less of a colour in each patch.
fn offset_patches(values: &mut [f32], side: usize, chance: &mut Chance) {
    let strength = chance.between(2.0, 14.0);
    for top in (0..side).step_by(PATCH) {
        for left in (0..side).step_by(PATCH) {
            let offsets: [f32; 3] = std::array::from_fn(|_| chance.between(-strength, strength));
            for row in top..(top + PATCH).min(side) {
                for column in left..(left + PATCH).min(side) {
                    let at = (row * side + column) * 3;
                    for (value, offset) in values[at..at + 3].iter_mut().zip(offsets) {
                        *value += offset;
                    }
                }
            }
        }
    }
}

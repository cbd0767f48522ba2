//! The judge's network: four convolutions, a pooling, a hidden layer, and an output for each value of
//! each attribute.
//!
//! Pixels are rows × columns × channels. Every sum is in a fixed order, in plain 32-bit floats, so
//! that results do not depend on the machine. Gradients are in the same file as what they are
//! gradients of.

use crate::{icons::AttributeKind, icons::IconStyle, picture::Picture};

/// A convolution over a square of `side × side` pixels, with one pixel of zeros around it.
#[derive(Clone, Copy)]
struct Convolution {
    name: &'static str,
    side: usize,
    channels: usize,
    kernel: usize,
    stride: usize,
    outputs: usize,
}

const CONVOLUTIONS: [Convolution; 4] = [
    Convolution {
        name: "conv1",
        side: 64,
        channels: CHANNELS,
        kernel: 4,
        stride: 2,
        outputs: 16,
    },
    Convolution {
        name: "conv2",
        side: 32,
        channels: 16,
        kernel: 3,
        stride: 2,
        outputs: 32,
    },
    Convolution {
        name: "conv3",
        side: 16,
        channels: 32,
        kernel: 3,
        stride: 2,
        outputs: 48,
    },
    Convolution {
        name: "conv4",
        side: 8,
        channels: 48,
        kernel: 3,
        stride: 1,
        outputs: 64,
    },
];
/// Red, green, blue, and how far a pixel is from the ground.
const CHANNELS: usize = 4;
/// The side of the last convolution's output, before pooling.
const POOLED_SIDE: usize = 8;
const FLAT: usize = 4 * 4 * 64;
const HIDDEN: usize = 88;

/// The outputs of one attribute kind, or of the style.
#[derive(Clone, Copy)]
pub(super) struct Head {
    pub(super) first: usize,
    pub(super) values: usize,
}

/// One head for each attribute kind, and one for the style.
pub(super) const HEAD_COUNT: usize = 12;
pub(super) static HEADS: std::sync::LazyLock<[Head; HEAD_COUNT]> = std::sync::LazyLock::new(|| {
    let mut first = 0;
    std::array::from_fn(|at| {
        let values = match AttributeKind::ALL.get(at) {
            Some(kind) => kind.values(),
            None => IconStyle::ALL.len(),
        };
        let head = Head { first, values };
        first += values;
        head
    })
});

fn outputs() -> usize {
    HEADS.iter().map(|head| head.values).sum()
}

/// Weights and offsets of one layer; weights are inputs × outputs.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Layer {
    pub(super) name: &'static str,
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    pub(super) weights: Vec<f32>,
    pub(super) offsets: Vec<f32>,
}

impl Layer {
    fn zeros(name: &'static str, inputs: usize, outputs: usize) -> Self {
        Self {
            name,
            inputs,
            outputs,
            weights: vec![0.0; inputs * outputs],
            offsets: vec![0.0; outputs],
        }
    }
}

/// All layers from the pixels to the outputs; gradients have the same form.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Network {
    pub(super) layers: Vec<Layer>,
}

/// What a forward pass leaves for the backward one.
pub(super) struct Activations {
    /// The patches that each convolution sees: output pixels × inputs.
    patches: [Vec<f32>; 4],
    /// After each convolution; nothing is below zero.
    after: [Vec<f32>; 4],
    /// The largest of each 2 × 2 pixels of the last convolution.
    pooled: Vec<f32>,
    hidden: Vec<f32>,
    pub(super) outputs: Vec<f32>,
}

impl Activations {
    pub(super) fn new() -> Self {
        Self {
            patches: CONVOLUTIONS.map(|layer| vec![0.0; layer.pixels() * layer.inputs()]),
            after: CONVOLUTIONS.map(|layer| vec![0.0; layer.pixels() * layer.outputs]),
            pooled: vec![0.0; FLAT],
            hidden: vec![0.0; HIDDEN],
            outputs: vec![0.0; outputs()],
        }
    }
}

/// A picture's pixels as input, from -1 to 1, with their distance from the ground's colour.
pub(super) fn input(picture: &Picture) -> Vec<f32> {
    let ground = ground(picture);
    let mut out = Vec::with_capacity(picture.rgb.len() / 3 * CHANNELS);
    for pixel in picture.rgb.chunks_exact(3) {
        out.extend(pixel.iter().map(|value| f32::from(*value) / 127.5 - 1.0));
        let far: f32 = pixel
            .iter()
            .zip(ground)
            .map(|(value, ground)| f32::from(value.abs_diff(ground)))
            .sum();
        out.push((far / 127.5).min(2.0) - 1.0);
    }
    out
}

/// The median of each channel along a square near the picture's edge, which is mostly ground.
fn ground(picture: &Picture) -> [u8; 3] {
    let margin = picture.width / 12;
    let (first, last) = (margin, picture.width - 1 - margin);
    std::array::from_fn(|channel| {
        let mut values: Vec<u8> = (first..=last)
            .flat_map(|at| [[at, first], [at, last], [first, at], [last, at]])
            .map(|[column, row]| picture.pixel(column, row)[channel])
            .collect();
        values.sort_unstable();
        values[values.len() / 2]
    })
}

impl Convolution {
    fn output_side(&self) -> usize {
        self.side / self.stride
    }

    /// Of the output.
    fn pixels(&self) -> usize {
        self.output_side() * self.output_side()
    }

    fn inputs(&self) -> usize {
        self.kernel * self.kernel * self.channels
    }

    /// Calls a function with the places of each run of channels: in the patches, and in the pixels
    /// if it is not beyond the edge.
    fn runs(&self, mut run: impl FnMut(usize, Option<usize>)) {
        let side = self.output_side();
        let mut patch = 0;
        for row in 0..side {
            for column in 0..side {
                for y in 0..self.kernel {
                    for x in 0..self.kernel {
                        let (at_y, at_x) = (row * self.stride + y, column * self.stride + x);
                        let within =
                            (1..=self.side).contains(&at_y) && (1..=self.side).contains(&at_x);
                        let pixel =
                            within.then(|| ((at_y - 1) * self.side + at_x - 1) * self.channels);
                        run(patch, pixel);
                        patch += self.channels;
                    }
                }
            }
        }
    }

    fn cut_patches(&self, pixels: &[f32], patches: &mut [f32]) {
        self.runs(|patch, pixel| {
            let patch = &mut patches[patch..patch + self.channels];
            match pixel {
                Some(pixel) => patch.copy_from_slice(&pixels[pixel..pixel + self.channels]),
                None => patch.fill(0.0),
            }
        });
    }

    fn add_patches(&self, patches: &[f32], pixels: &mut [f32]) {
        self.runs(|patch, pixel| {
            if let Some(pixel) = pixel {
                let patch = &patches[patch..patch + self.channels];
                add(&mut pixels[pixel..pixel + self.channels], patch, 1.0);
            }
        });
    }
}

impl Network {
    pub(super) fn zeros() -> Self {
        let mut layers: Vec<Layer> = CONVOLUTIONS
            .iter()
            .map(|layer| Layer::zeros(layer.name, layer.inputs(), layer.outputs))
            .collect();
        layers.push(Layer::zeros("hidden", FLAT, HIDDEN));
        layers.push(Layer::zeros("heads", HIDDEN, outputs()));
        Self { layers }
    }

    pub(super) fn forward(&self, input: &[f32], activations: &mut Activations) {
        for (at, layer) in CONVOLUTIONS.iter().enumerate() {
            let (before, after) = activations.after.split_at_mut(at);
            let pixels = before.last().map_or(input, Vec::as_slice);
            let patches = &mut activations.patches[at];
            layer.cut_patches(pixels, patches);
            let weights = &self.layers[at];
            match layer.outputs {
                16 => times::<16>(patches, weights, &mut after[0]),
                32 => times::<32>(patches, weights, &mut after[0]),
                48 => times::<48>(patches, weights, &mut after[0]),
                _ => times::<64>(patches, weights, &mut after[0]),
            }
            rectify(&mut after[0]);
        }
        pool(&activations.after[3], |into, at| {
            activations.pooled[into] = activations.after[3][at];
        });
        dense(
            &activations.pooled,
            &self.layers[4],
            &mut activations.hidden,
        );
        rectify(&mut activations.hidden);
        dense(
            &activations.hidden,
            &self.layers[5],
            &mut activations.outputs,
        );
    }

    /// Adds the gradients of one picture, of whose outputs `output_gradients` are the gradients.
    pub(super) fn backward(
        &self,
        activations: &Activations,
        output_gradients: &[f32],
        gradients: &mut Self,
    ) {
        let mut from = dense_backward(
            &activations.hidden,
            &self.layers[5],
            output_gradients,
            &mut gradients.layers[5],
        );
        mask(&mut from, &activations.hidden);
        let pooled = dense_backward(
            &activations.pooled,
            &self.layers[4],
            &from,
            &mut gradients.layers[4],
        );
        let mut from = vec![0.0; activations.after[3].len()];
        pool(&activations.after[3], |into, at| from[at] = pooled[into]);
        for (at, layer) in CONVOLUTIONS.iter().enumerate().rev() {
            mask(&mut from, &activations.after[at]);
            let patches = &activations.patches[at];
            patch_gradients(patches, &from, &mut gradients.layers[at]);
            if at == 0 {
                return;
            }
            let turned = transposed(&self.layers[at]);
            let mut patches = vec![0.0; layer.pixels() * layer.inputs()];
            for (patch, row) in patches
                .chunks_exact_mut(layer.inputs())
                .zip(from.chunks_exact(layer.outputs))
            {
                for (value, weights) in row.iter().zip(turned.chunks_exact(layer.inputs())) {
                    if *value != 0.0 {
                        add(patch, weights, *value);
                    }
                }
            }
            let mut pixels = vec![0.0; layer.side * layer.side * layer.channels];
            layer.add_patches(&patches, &mut pixels);
            from = pixels;
        }
    }
}

/// Calls a function with each place of the pooled pixels and that of the value which stands there: the
/// first of the largest ones.
fn pool(values: &[f32], mut place: impl FnMut(usize, usize)) {
    let channels = values.len() / (POOLED_SIDE * POOLED_SIDE);
    let half = POOLED_SIDE / 2;
    for row in 0..half {
        for column in 0..half {
            let corner = (row * 2 * POOLED_SIDE + column * 2) * channels;
            let below = POOLED_SIDE * channels;
            for channel in 0..channels {
                let mut best = corner + channel;
                for step in [channels, below, below + channels] {
                    if values[corner + step + channel] > values[best] {
                        best = corner + step + channel;
                    }
                }
                place((row * half + column) * channels + channel, best);
            }
        }
    }
}

/// `to += from × factor`.
fn add(to: &mut [f32], from: &[f32], factor: f32) {
    for (to, from) in to.iter_mut().zip(from) {
        *to += from * factor;
    }
}

fn rectify(values: &mut [f32]) {
    for value in values {
        *value = value.max(0.0);
    }
}

/// The gradient before a rectifier, from that after it.
fn mask(gradients: &mut [f32], after: &[f32]) {
    for (gradient, after) in gradients.iter_mut().zip(after) {
        if *after <= 0.0 {
            *gradient = 0.0;
        }
    }
}

/// Rows × weights, with as many sums in registers as there are outputs.
fn times<const OUTPUTS: usize>(rows: &[f32], layer: &Layer, out: &mut [f32]) {
    let offsets: &[f32; OUTPUTS] = match layer.offsets.first_chunk() {
        Some(offsets) => offsets,
        None => return,
    };
    let (weights, _) = layer.weights.as_chunks::<OUTPUTS>();
    let (out, _) = out.as_chunks_mut::<OUTPUTS>();
    for (row, out) in rows.chunks_exact(layer.inputs).zip(out) {
        let mut sums = *offsets;
        for (value, weights) in row.iter().zip(weights) {
            for (sum, weight) in sums.iter_mut().zip(weights) {
                *sum += value * weight;
            }
        }
        *out = sums;
    }
}

fn dense(input: &[f32], layer: &Layer, out: &mut [f32]) {
    out.copy_from_slice(&layer.offsets);
    for (value, weights) in input.iter().zip(layer.weights.chunks_exact(layer.outputs)) {
        if *value != 0.0 {
            add(out, weights, *value);
        }
    }
}

fn dense_backward(input: &[f32], layer: &Layer, from: &[f32], gradients: &mut Layer) -> Vec<f32> {
    add(&mut gradients.offsets, from, 1.0);
    let mut to = vec![0.0; layer.inputs];
    let rows = gradients.weights.chunks_exact_mut(layer.outputs);
    for ((value, gradients), (to, weights)) in input
        .iter()
        .zip(rows)
        .zip(to.iter_mut().zip(layer.weights.chunks_exact(layer.outputs)))
    {
        if *value != 0.0 {
            add(gradients, from, *value);
            *to = weights
                .iter()
                .zip(from)
                .map(|(weight, from)| weight * from)
                .sum();
        }
    }
    to
}

fn patch_gradients(patches: &[f32], from: &[f32], gradients: &mut Layer) {
    let rows = patches.chunks_exact(gradients.inputs);
    for (patch, from) in rows.zip(from.chunks_exact(gradients.outputs)) {
        add(&mut gradients.offsets, from, 1.0);
        let weights = gradients.weights.chunks_exact_mut(gradients.outputs);
        for (value, weights) in patch.iter().zip(weights) {
            if *value != 0.0 {
                add(weights, from, *value);
            }
        }
    }
}

/// Weights as outputs × inputs.
fn transposed(layer: &Layer) -> Vec<f32> {
    let mut turned = vec![0.0; layer.weights.len()];
    for (input, row) in layer.weights.chunks_exact(layer.outputs).enumerate() {
        for (output, weight) in row.iter().enumerate() {
            turned[output * layer.inputs + input] = *weight;
        }
    }
    turned
}

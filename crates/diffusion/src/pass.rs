//! The forward pass over a batch on one thread, and what its backward pass needs of it.

use crate::{
    adapter::ImageAdapter,
    caption::CaptionEmbedding,
    config::CHANNELS,
    error::DiffusionError,
    layout::{FeedPlaces, StreamPlaces},
    model::ImageModel,
    numeric::softmax,
    ops::{Rows, Target, add_bias, add_to, norm, swiglu, times, times_transposed},
    tables::Angles,
};

/// A model, with factors or without.
#[derive(Clone, Copy)]
pub struct Network<'a> {
    pub model: &'a ImageModel,
    pub adapter: Option<&'a ImageAdapter>,
}

/// Noisy pictures and their captions.
pub struct PassInput<'a> {
    /// `[examples, side, side, 3]`, row by row.
    pub pictures: &'a [f32],
    /// `None` is a dropped caption.
    pub captions: &'a [Option<&'a CaptionEmbedding>],
}

/// Where an example's tokens lie.
#[derive(Clone, Debug)]
pub struct Segment {
    /// First row and number of rows in the text stream.
    pub text: usize,
    pub tokens: usize,
    /// First row in the image stream.
    pub image: usize,
    /// Tokens of both streams of the examples before.
    pub start: usize,
}

/// Activations of a pass, and its result.
pub struct PassTrace {
    pub segments: Vec<Segment>,
    /// Patches of the noisy pictures, channel by channel, `[rows, patch values]`.
    pub patches: Vec<f32>,
    pub squeezed: Vec<f32>,
    pub context: Vec<f32>,
    /// Which rows of the context are the mask token.
    pub masked: Vec<bool>,
    pub text_blocks: Vec<BlockTrace>,
    pub double_blocks: Vec<BlockTrace>,
    /// The image stream at the end, normalised, and the norms' reciprocals.
    pub last: Vec<f32>,
    pub last_normed: Vec<f32>,
    pub last_inverse: Vec<f32>,
    /// `[examples, side, side, 3]`: the pictures without noise, as predicted.
    pub output: Vec<f32>,
}

/// Activations of one stream in a block.
#[derive(Default)]
pub struct StreamTrace {
    pub input: Vec<f32>,
    pub normed: Vec<f32>,
    pub inverse: Vec<f32>,
    pub qkv: Vec<f32>,
    /// Reciprocals of the norms of queries and keys, `[rows, heads]`.
    pub query_inverse: Vec<f32>,
    pub key_inverse: Vec<f32>,
    pub mixed: Vec<f32>,
    pub middle: Vec<f32>,
    pub fed: Vec<f32>,
    pub fed_inverse: Vec<f32>,
    pub gate: Vec<f32>,
    pub up: Vec<f32>,
}

/// Activations of a block. A block of the text alone has no image stream.
pub struct BlockTrace {
    pub text: StreamTrace,
    pub image: Option<StreamTrace>,
    pub attention: AttentionTrace,
}

/// Queries, keys and values, each `[heads, tokens, head_dim]` for one example after the other, with the
/// text's tokens first.
pub struct AttentionTrace {
    pub query: Vec<f32>,
    pub key: Vec<f32>,
    pub value: Vec<f32>,
    /// Softmax of the scores: for each example and head `[queries, tokens]`.
    pub weights: Vec<f32>,
}

impl<'a> Network<'a> {
    pub fn values(&self) -> &'a [f32] {
        self.model.values()
    }

    /// Predicts the pictures without noise.
    ///
    /// # Errors
    ///
    /// Captions and pictures that do not fit the model.
    pub fn forward(&self, input: &PassInput<'_>) -> Result<PassTrace, DiffusionError> {
        self.check(input)?;
        let config = self.model.config();
        let (width, patches) = (config.width, config.patches());
        let (segments, context, masked) = self.context(input);
        let rows = patches * segments.len();
        let mut text = vec![0.0; masked.len() * width];
        self.linear(self.model.layout().text_in, &context, &mut text);
        let patch_rows = self.patches(input.pictures);
        let mut squeezed = vec![0.0; rows * config.bottleneck];
        self.linear(self.model.layout().patch_in, &patch_rows, &mut squeezed);
        let mut image = vec![0.0; rows * width];
        self.linear(self.model.layout().patch_out, &squeezed, &mut image);
        for image in image.chunks_exact_mut(patches * width) {
            add_to(image, &self.model.tables().embedding);
        }
        let layout = self.model.layout();
        let mut text_blocks = Vec::new();
        for block in &layout.text_blocks {
            let norms = [&block.query_norm, &block.key_norm].map(|it| &self.values()[it.clone()]);
            let pass = BlockPass {
                network: self,
                segments: &segments,
                norms,
                image_only: false,
            };
            let streams = BlockStreams {
                text: &block.text,
                image: None,
            };
            text_blocks.push(pass.run(&streams, &mut text, &mut Vec::new()));
        }
        let mut double_blocks = Vec::new();
        for (at, block) in layout.double_blocks.iter().enumerate() {
            let norms = [&block.query_norm, &block.key_norm].map(|it| &self.values()[it.clone()]);
            let pass = BlockPass {
                network: self,
                segments: &segments,
                norms,
                image_only: at + 1 == layout.double_blocks.len(),
            };
            let streams = BlockStreams {
                text: &block.text,
                image: Some(&block.image),
            };
            double_blocks.push(pass.run(&streams, &mut text, &mut image));
        }
        let mut last_normed = vec![0.0; image.len()];
        let mut last_inverse = vec![0.0; rows];
        let weight = &self.values()[layout.final_norm.clone()];
        norm(&image, weight, &mut last_normed, &mut last_inverse);
        let mut predicted = vec![0.0; rows * config.patch_values()];
        self.linear(layout.head, &last_normed, &mut predicted);
        Ok(PassTrace {
            output: self.pixels(&predicted),
            segments,
            patches: patch_rows,
            squeezed,
            context,
            masked,
            text_blocks,
            double_blocks,
            last: image,
            last_normed,
            last_inverse,
        })
    }

    fn check(&self, input: &PassInput<'_>) -> Result<(), DiffusionError> {
        let config = self.model.config();
        if input.captions.is_empty() {
            return Err(DiffusionError::EmptyBatch);
        }
        let expected = config.pixels() * input.captions.len();
        if input.pictures.len() != expected {
            return Err(DiffusionError::PictureSize {
                expected,
                found: input.pictures.len(),
            });
        }
        for caption in input.captions.iter().flatten() {
            check_caption(self.model, caption)?;
        }
        Ok(())
    }

    /// The text stream's input: the captions' values, with the mask token where there are none.
    fn context(&self, input: &PassInput<'_>) -> (Vec<Segment>, Vec<f32>, Vec<bool>) {
        let config = self.model.config();
        let mask = &self.values()[self.model.layout().mask_token.clone()];
        let (mut segments, mut context, mut masked) = (Vec::new(), Vec::new(), Vec::new());
        for (example, caption) in input.captions.iter().enumerate() {
            let own = caption.map_or(0, CaptionEmbedding::tokens);
            let tokens = match config.padded {
                true => config.prompt_length,
                false => own.max(1),
            };
            let text = masked.len();
            segments.push(Segment {
                text,
                tokens,
                image: example * config.patches(),
                start: text + example * config.patches(),
            });
            context.extend_from_slice(caption.map_or(&[], CaptionEmbedding::values));
            masked.extend((0..tokens).map(|at| at >= own));
            (own..tokens).for_each(|_| context.extend_from_slice(mask));
        }
        (segments, context, masked)
    }

    /// Pictures as patches, with each patch channel by channel as the convolution's weights have it.
    fn patches(&self, pictures: &[f32]) -> Vec<f32> {
        let config = self.model.config();
        let (size, patch) = (config.image_size, config.patch_size);
        let mut rows = Vec::with_capacity(pictures.len());
        for picture in pictures.chunks_exact(config.pixels()) {
            for at in 0..config.patches() {
                let (top, left) = (at / config.side() * patch, at % config.side() * patch);
                for channel in 0..CHANNELS {
                    for y in top..top + patch {
                        let row = &picture[(y * size + left) * CHANNELS..][..patch * CHANNELS];
                        rows.extend(row.iter().skip(channel).step_by(CHANNELS));
                    }
                }
            }
        }
        rows
    }

    /// Pictures from patches whose values are row by row, with the channels of a pixel together.
    fn pixels(&self, patches: &[f32]) -> Vec<f32> {
        let mut pictures = vec![0.0; patches.len()];
        self.each_patch_row(
            |pixel, value, len| {
                pictures[pixel..pixel + len].copy_from_slice(&patches[value..value + len]);
            },
            patches.len(),
        );
        pictures
    }

    /// The opposite of [`Self::pixels`].
    pub fn unpixels(&self, pictures: &[f32]) -> Vec<f32> {
        let mut patches = vec![0.0; pictures.len()];
        self.each_patch_row(
            |pixel, value, len| {
                patches[value..value + len].copy_from_slice(&pictures[pixel..pixel + len]);
            },
            pictures.len(),
        );
        patches
    }

    /// Calls `each` with the first value of a patch's row in pictures and in patches, and its length.
    fn each_patch_row(&self, mut each: impl FnMut(usize, usize, usize), len: usize) {
        let config = self.model.config();
        let (size, patch) = (config.image_size, config.patch_size);
        let row = patch * CHANNELS;
        for picture in 0..len / config.pixels() {
            for at in 0..config.patches() {
                let (top, left) = (at / config.side() * patch, at % config.side() * patch);
                for y in 0..patch {
                    let pixel = picture * config.pixels() + ((top + y) * size + left) * CHANNELS;
                    let value = (picture * config.patches() + at) * config.patch_values() + y * row;
                    each(pixel, value, row);
                }
            }
        }
    }

    /// y ← x·Wᵀ + bias + scale·(x·Aᵀ)·Bᵀ.
    pub fn linear(&self, module: usize, x: &[f32], y: &mut [f32]) {
        let outputs = self.model.layout().modules[module].outputs;
        self.product(module, x, Target::new(y, outputs));
        self.add_rest(module, x, y);
    }

    /// As [`Self::linear`], added to `y`.
    pub fn add_linear(&self, module: usize, x: &[f32], y: &mut [f32]) {
        let outputs = self.model.layout().modules[module].outputs;
        self.product(module, x, Target::adding(y, outputs));
        self.add_rest(module, x, y);
    }

    fn product(&self, module: usize, x: &[f32], y: Target<'_>) {
        let shape = &self.model.layout().modules[module];
        let weight = &self.values()[shape.weight.clone()];
        times_transposed(Rows::new(x, shape.inputs), weight, y);
    }

    /// Adds the bias and what the factors give.
    fn add_rest(&self, module: usize, x: &[f32], y: &mut [f32]) {
        let shape = &self.model.layout().modules[module];
        if let Some(bias) = &shape.bias {
            add_bias(y, &self.values()[bias.clone()]);
        }
        let Some(place) = self.adapter.and_then(|adapter| adapter.place(module)) else {
            return;
        };
        let factors = self.adapter.map_or(&[][..], ImageAdapter::values);
        let mut low = vec![0.0; x.len() / shape.inputs * place.rank];
        let target = Target::new(&mut low, place.rank);
        times_transposed(
            Rows::new(x, shape.inputs),
            &factors[place.a.clone()],
            target,
        );
        low.iter_mut().for_each(|x| *x *= place.scale);
        let target = Target::adding(y, shape.outputs);
        times_transposed(
            Rows::new(&low, place.rank),
            &factors[place.b.clone()],
            target,
        );
    }
}

/// # Errors
///
/// A caption that is too long, or of another encoder.
pub fn check_caption(model: &ImageModel, caption: &CaptionEmbedding) -> Result<(), DiffusionError> {
    let config = model.config();
    if caption.width() != config.text_width {
        return Err(DiffusionError::CaptionWidth {
            expected: config.text_width,
            found: caption.width(),
        });
    }
    match caption.tokens() > config.prompt_length {
        false => Ok(()),
        true => Err(DiffusionError::CaptionTooLong {
            found: caption.tokens(),
            most: config.prompt_length,
        }),
    }
}

/// The streams of a block.
pub struct BlockStreams<'a> {
    pub text: &'a StreamPlaces,
    pub image: Option<&'a StreamPlaces>,
}

/// A pass through one block.
pub struct BlockPass<'p, 'a> {
    pub network: &'p Network<'a>,
    pub segments: &'p [Segment],
    /// Of queries and of keys.
    pub norms: [&'p [f32]; 2],
    /// The text is only looked at, because no later block reads it.
    pub image_only: bool,
}

impl BlockPass<'_, '_> {
    fn run(
        &self,
        streams: &BlockStreams<'_>,
        text: &mut Vec<f32>,
        image: &mut Vec<f32>,
    ) -> BlockTrace {
        let mut text_trace = self.project(streams.text, text);
        let mut image_trace = streams.image.map(|places| self.project(places, image));
        let attention = self.attend(&mut text_trace, image_trace.as_mut());
        if !self.image_only {
            self.finish(streams.text, &mut text_trace, text);
        }
        if let (Some(places), Some(trace)) = (streams.image, &mut image_trace) {
            self.finish(places, trace, image);
        }
        BlockTrace {
            text: text_trace,
            image: image_trace,
            attention,
        }
    }

    fn width(&self) -> usize {
        self.network.model.config().width
    }

    /// Takes the stream's values and computes its queries, keys and values.
    fn project(&self, places: &StreamPlaces, x: &mut Vec<f32>) -> StreamTrace {
        let rows = x.len() / self.width();
        let mut trace = StreamTrace {
            normed: vec![0.0; x.len()],
            inverse: vec![0.0; rows],
            qkv: vec![0.0; 3 * x.len()],
            ..StreamTrace::default()
        };
        let weight = &self.network.values()[places.attention_norm.clone()];
        norm(x, weight, &mut trace.normed, &mut trace.inverse);
        self.network
            .linear(places.qkv, &trace.normed, &mut trace.qkv);
        trace.input = std::mem::take(x);
        trace
    }

    /// From the attention's result to the stream's output.
    fn finish(&self, places: &StreamPlaces, trace: &mut StreamTrace, x: &mut Vec<f32>) {
        let rows = trace.input.len() / self.width();
        let mut middle = trace.input.clone();
        self.network
            .add_linear(places.out, &trace.mixed, &mut middle);
        trace.fed = vec![0.0; middle.len()];
        trace.fed_inverse = vec![0.0; rows];
        let weight = &self.network.values()[places.feed_norm.clone()];
        norm(&middle, weight, &mut trace.fed, &mut trace.fed_inverse);
        let FeedPlaces { gate, up, down } = places.feed;
        let hidden = rows * self.network.model.config().hidden();
        (trace.gate, trace.up) = (vec![0.0; hidden], vec![0.0; hidden]);
        self.network.linear(gate, &trace.fed, &mut trace.gate);
        self.network.linear(up, &trace.fed, &mut trace.up);
        let mut wide = vec![0.0; hidden];
        swiglu(&trace.gate, &trace.up, &mut wide);
        let mut output = middle.clone();
        self.network.add_linear(down, &wide, &mut output);
        trace.middle = middle;
        *x = output;
    }

    fn attend(&self, text: &mut StreamTrace, image: Option<&mut StreamTrace>) -> AttentionTrace {
        let config = self.network.model.config();
        let tables = self.network.model.tables();
        let total = text.input.len() + image.as_ref().map_or(0, |it| it.input.len());
        let mut trace = AttentionTrace {
            query: vec![0.0; total],
            key: vec![0.0; total],
            value: vec![0.0; total],
            weights: Vec::new(),
        };
        self.pack(text, &tables.text, false, image.is_some(), &mut trace);
        text.mixed = vec![0.0; text.input.len()];
        let Some(image) = image else {
            for segment in self.segments {
                let span = AttentionSpan::text(segment);
                self.mix(&span, &mut trace, &mut text.mixed, &mut []);
            }
            return trace;
        };
        self.pack(image, &tables.image, true, true, &mut trace);
        image.mixed = vec![0.0; image.input.len()];
        for segment in self.segments {
            let patches = config.patches();
            let span = AttentionSpan::both(segment, patches, self.image_only);
            self.mix(&span, &mut trace, &mut text.mixed, &mut image.mixed);
        }
        trace
    }

    /// Normalises and turns a stream's queries and keys, and puts them and the values where the
    /// attention reads them.
    fn pack(
        &self,
        stream: &mut StreamTrace,
        angles: &Angles,
        is_image: bool,
        both: bool,
        trace: &mut AttentionTrace,
    ) {
        let config = self.network.model.config();
        let (width, heads, dim) = (config.width, config.heads, config.head_dim);
        let rows = stream.qkv.len() / (3 * width);
        stream.query_inverse = vec![0.0; rows * heads];
        stream.key_inverse = vec![0.0; rows * heads];
        for segment in self.segments {
            let place = RowPlaces::new(segment, config.patches(), is_image, both);
            for at in 0..place.count {
                let row = place.first + at;
                let from = &stream.qkv[row * 3 * width..][..3 * width];
                for head in 0..heads {
                    let to = place.packed(at, head, heads) * dim;
                    let part = |which: usize| &from[which * width + head * dim..][..dim];
                    let sides = [
                        (part(0), &mut trace.query, &mut stream.query_inverse),
                        (part(1), &mut trace.key, &mut stream.key_inverse),
                    ];
                    for ((from, to_all, inverse), weight) in sides.into_iter().zip(self.norms) {
                        let to = &mut to_all[to..to + dim];
                        norm(from, weight, to, &mut inverse[row * heads + head..][..1]);
                        angles.turn(at, to);
                    }
                    trace.value[to..to + dim].copy_from_slice(part(2));
                }
            }
        }
    }

    /// The attention of one example: adds its weights to the trace, and writes what its queries read.
    fn mix(
        &self,
        span: &AttentionSpan,
        trace: &mut AttentionTrace,
        text: &mut [f32],
        image: &mut [f32],
    ) {
        let config = self.network.model.config();
        let (width, heads, dim) = (config.width, config.heads, config.head_dim);
        let scale = 1.0 / (dim as f32).sqrt();
        for head in 0..heads {
            let of_head = span.head(head, heads, dim);
            let (key, value) = (&trace.key[of_head.clone()], &trace.value[of_head.clone()]);
            let query = &trace.query[of_head][span.unread * dim..];
            let queries = span.tokens - span.unread;
            let first = trace.weights.len();
            trace.weights.resize(first + queries * span.tokens, 0.0);
            let weights = &mut trace.weights[first..];
            let rows = Rows::new(query, dim);
            times_transposed(rows, key, Target::new(weights, span.tokens));
            for row in weights.chunks_exact_mut(span.tokens) {
                softmax(row, scale);
            }
            for (range, to, row) in span.outputs() {
                let to = match to {
                    StreamSide::Text => &mut *text,
                    StreamSide::Image => &mut *image,
                };
                if range.is_empty() {
                    continue;
                }
                let last = (row + range.len() - 1) * width + (head + 1) * dim;
                let target = Target {
                    values: &mut to[row * width + head * dim..last],
                    stride: width,
                    outputs: dim,
                    adding: false,
                };
                let weights = &weights[range.start * span.tokens..range.end * span.tokens];
                times(Rows::new(weights, span.tokens), value, target);
            }
        }
    }
}

/// One of the two streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamSide {
    Text,
    Image,
}

/// The tokens of one example in an attention.
pub struct AttentionSpan {
    /// Tokens before, among all examples.
    pub start: usize,
    pub tokens: usize,
    /// Tokens of the text.
    text: usize,
    /// First tokens whose queries are not needed.
    pub unread: usize,
    text_row: usize,
    image_row: usize,
}

impl AttentionSpan {
    pub fn text(segment: &Segment) -> Self {
        Self {
            start: segment.text,
            tokens: segment.tokens,
            text: segment.tokens,
            unread: 0,
            text_row: segment.text,
            image_row: 0,
        }
    }

    pub fn both(segment: &Segment, patches: usize, image_only: bool) -> Self {
        Self {
            start: segment.start,
            tokens: segment.tokens + patches,
            text: segment.tokens,
            unread: if image_only { segment.tokens } else { 0 },
            text_row: segment.text,
            image_row: segment.image,
        }
    }

    /// A head's part of packed queries, keys or values.
    pub fn head(&self, head: usize, heads: usize, dim: usize) -> std::ops::Range<usize> {
        let first = (self.start * heads + head * self.tokens) * dim;
        first..first + self.tokens * dim
    }

    /// Which queries, counted from the first that is needed, belong to which stream, and the first
    /// row there.
    pub fn outputs(&self) -> [(std::ops::Range<usize>, StreamSide, usize); 2] {
        let text = self.text - self.unread;
        let all = self.tokens - self.unread;
        [
            (0..text, StreamSide::Text, self.text_row),
            (text..all, StreamSide::Image, self.image_row),
        ]
    }
}

/// The rows of an example in one stream.
pub struct RowPlaces {
    /// First row in the stream, and their number.
    pub first: usize,
    pub count: usize,
    /// Tokens before in packed order, of the example and before it in the example.
    start: usize,
    before: usize,
    tokens: usize,
}

impl RowPlaces {
    pub fn new(segment: &Segment, patches: usize, is_image: bool, both: bool) -> Self {
        let tokens = segment.tokens + if both { patches } else { 0 };
        let start = if both { segment.start } else { segment.text };
        match is_image {
            false => Self {
                first: segment.text,
                count: segment.tokens,
                start,
                before: 0,
                tokens,
            },
            true => Self {
                first: segment.image,
                count: patches,
                start,
                before: segment.tokens,
                tokens,
            },
        }
    }

    /// Place of a row's head, in heads.
    pub fn packed(&self, at: usize, head: usize, heads: usize) -> usize {
        self.start * heads + head * self.tokens + self.before + at
    }
}

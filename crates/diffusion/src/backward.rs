//! The backward pass over a batch on one thread.

use crate::{
    layout::{FeedPlaces, StreamPlaces},
    numeric::dot,
    ops::{
        Rows, Target, add_column_sums, add_outer, norm_backward, swiglu, swiglu_backward, times,
        times_transposed, transpose,
    },
    pass::{
        AttentionSpan, BlockTrace, Network, PassTrace, RowPlaces, Segment, StreamSide, StreamTrace,
    },
    tables::Angles,
};

/// What learns; gradients are added.
pub enum Learning<'g> {
    /// All parameters of the model, in the layout's order.
    Model(&'g mut [f32]),
    /// The adapter's factors, in its order.
    Factors(&'g mut [f32]),
}

impl Learning<'_> {
    /// The gradient of a norm's weight or another plain parameter, if it learns.
    fn plain(&mut self, range: &std::ops::Range<usize>) -> Option<&mut [f32]> {
        match self {
            Self::Model(grads) => Some(&mut grads[range.clone()]),
            Self::Factors(_) => None,
        }
    }
}

/// A backward pass.
pub struct BackwardPass<'p, 'a, 'g> {
    network: &'p Network<'a>,
    learning: Learning<'g>,
    /// Scratch space for transposed matrices.
    turned: Vec<f32>,
}

impl<'p, 'a, 'g> BackwardPass<'p, 'a, 'g> {
    pub fn new(network: &'p Network<'a>, learning: Learning<'g>) -> Self {
        Self {
            network,
            learning,
            turned: Vec::new(),
        }
    }

    /// Adds the gradients of what learns, given that of the predicted pictures.
    pub fn run(mut self, trace: &mut PassTrace, of_output: &[f32]) {
        let model = self.network.model;
        let (layout, width) = (model.layout(), model.config().width);
        let grad = self.network.unpixels(of_output);
        let mut of_normed = vec![0.0; trace.last.len()];
        self.linear(layout.head, &trace.last_normed, &grad, Some(&mut of_normed));
        let mut of_image = vec![0.0; trace.last.len()];
        norm_backward(
            &trace.last,
            &model.values()[layout.final_norm.clone()],
            &trace.last_inverse,
            &of_normed,
            &mut of_image,
            self.learning.plain(&layout.final_norm),
        );
        let mut of_text = vec![0.0; trace.masked.len() * width];
        let last = layout.double_blocks.len() - 1;
        for (at, block) in layout.double_blocks.iter().enumerate().rev() {
            let streams = [Some(&block.text), Some(&block.image)];
            let block = BlockBackward {
                segments: &trace.segments,
                streams,
                norms: [&block.query_norm, &block.key_norm],
                image_only: at == last,
            };
            let trace = &mut trace.double_blocks[at];
            self.block(&block, trace, &mut of_text, &mut of_image);
        }
        for (at, block) in layout.text_blocks.iter().enumerate().rev() {
            let block = BlockBackward {
                segments: &trace.segments,
                streams: [Some(&block.text), None],
                norms: [&block.query_norm, &block.key_norm],
                image_only: false,
            };
            let trace = &mut trace.text_blocks[at];
            self.block(&block, trace, &mut of_text, &mut Vec::new());
        }
        self.text_input(trace, &of_text);
        if matches!(self.learning, Learning::Model(_)) {
            let mut of_squeezed = vec![0.0; trace.squeezed.len()];
            let squeezed = std::mem::take(&mut trace.squeezed);
            self.linear(
                layout.patch_out,
                &squeezed,
                &of_image,
                Some(&mut of_squeezed),
            );
            self.linear(layout.patch_in, &trace.patches, &of_squeezed, None);
        }
    }

    fn text_input(&mut self, trace: &PassTrace, of_text: &[f32]) {
        let model = self.network.model;
        let (layout, width) = (model.layout(), model.config().width);
        self.linear(layout.text_in, &trace.context, of_text, None);
        let Learning::Model(grads) = &mut self.learning else {
            return;
        };
        let rows = of_text.chunks_exact(width).zip(&trace.masked);
        let masked: Vec<f32> = rows
            .filter(|(_, masked)| **masked)
            .flat_map(|(row, _)| row.iter().copied())
            .collect();
        if masked.is_empty() {
            return;
        }
        let weight = &model.values()[layout.modules[layout.text_in].weight.clone()];
        let inputs = model.config().text_width;
        let mut of_context = vec![0.0; masked.len() / width * inputs];
        let target = Target::new(&mut of_context, inputs);
        times(Rows::new(&masked, width), weight, target);
        add_column_sums(&of_context, &mut grads[layout.mask_token.clone()]);
    }

    /// The gradients of a linear layer; that of its input is written to `of_x`.
    fn linear(&mut self, module: usize, x: &[f32], grad: &[f32], of_x: Option<&mut [f32]>) {
        let inputs = self.network.model.layout().modules[module].inputs;
        self.any_linear(module, x, grad, of_x.map(|of_x| Target::new(of_x, inputs)));
    }

    /// As [`Self::linear`], added to `of_x`.
    fn add_linear(&mut self, module: usize, x: &[f32], grad: &[f32], of_x: &mut [f32]) {
        let inputs = self.network.model.layout().modules[module].inputs;
        self.any_linear(module, x, grad, Some(Target::adding(of_x, inputs)));
    }

    fn any_linear(&mut self, module: usize, x: &[f32], grad: &[f32], of_x: Option<Target<'_>>) {
        let model = self.network.model;
        let shape = &model.layout().modules[module];
        let rows = x.len() / shape.inputs;
        let weight = &model.values()[shape.weight.clone()];
        let of_x = of_x.map(|target| {
            let Target {
                values,
                stride,
                outputs,
                adding,
            } = target;
            let target = Target {
                values: &mut *values,
                stride,
                outputs,
                adding,
            };
            times(Rows::new(grad, shape.outputs), weight, target);
            values
        });
        if let Learning::Model(grads) = &mut self.learning {
            let of_weight = &mut grads[shape.weight.clone()];
            add_outer(grad, x, rows, of_weight, &mut self.turned);
            if let Some(bias) = &shape.bias {
                add_column_sums(grad, &mut grads[bias.clone()]);
            }
        }
        let Some(adapter) = self.network.adapter else {
            return;
        };
        let Some(place) = adapter.place(module) else {
            return;
        };
        let a = &adapter.values()[place.a.clone()];
        let b = &adapter.values()[place.b.clone()];
        let mut of_low = vec![0.0; rows * place.rank];
        let target = Target::new(&mut of_low, place.rank);
        times(Rows::new(grad, shape.outputs), b, target);
        of_low.iter_mut().for_each(|x| *x *= place.scale);
        if let Some(of_x) = of_x {
            let target = Target::adding(of_x, shape.inputs);
            times(Rows::new(&of_low, place.rank), a, target);
        }
        if let Learning::Factors(grads) = &mut self.learning {
            let mut low = vec![0.0; rows * place.rank];
            let target = Target::new(&mut low, place.rank);
            times_transposed(Rows::new(x, shape.inputs), a, target);
            low.iter_mut().for_each(|x| *x *= place.scale);
            let of_b = &mut grads[place.b.clone()];
            add_outer(grad, &low, rows, of_b, &mut self.turned);
            let of_a = &mut grads[place.a.clone()];
            add_outer(&of_low, x, rows, of_a, &mut self.turned);
        }
    }

    /// Turns the gradients of a block's outputs into those of its inputs.
    fn block(
        &mut self,
        block: &BlockBackward<'_>,
        trace: &mut BlockTrace,
        of_text: &mut [f32],
        of_image: &mut [f32],
    ) {
        let [text_places, image_places] = block.streams;
        let text_len = trace.text.input.len();
        let text_mixed = match (block.image_only, text_places) {
            (false, Some(places)) => self.finish(places, &mut trace.text, of_text),
            _ => vec![0.0; text_len],
        };
        let image_mixed = match (image_places, &mut trace.image) {
            (Some(places), Some(stream)) => self.finish(places, stream, of_image),
            _ => Vec::new(),
        };
        let packed = self.attention(block, trace, &text_mixed, &image_mixed);
        let both = trace.image.is_some();
        let model = self.network.model;
        let tables = model.tables();
        if let Some(places) = text_places {
            let side = SideBackward {
                block,
                angles: &tables.text,
                is_image: false,
                both,
            };
            self.project(&side, places, &mut trace.text, &packed, of_text);
        }
        if let (Some(places), Some(stream)) = (image_places, &mut trace.image) {
            let side = SideBackward {
                block,
                angles: &tables.image,
                is_image: true,
                both,
            };
            self.project(&side, places, stream, &packed, of_image);
        }
    }

    /// Replaces the gradient of a stream's output by that of its values before the attention, as far
    /// as it passes by the attention, and returns that of the attention's result.
    fn finish(
        &mut self,
        places: &StreamPlaces,
        stream: &mut StreamTrace,
        grad: &mut [f32],
    ) -> Vec<f32> {
        let model = self.network.model;
        let FeedPlaces { gate, up, down } = places.feed;
        let mut wide = vec![0.0; stream.gate.len()];
        swiglu(&stream.gate, &stream.up, &mut wide);
        let mut of_wide = vec![0.0; wide.len()];
        self.linear(down, &wide, grad, Some(&mut of_wide));
        swiglu_backward(&mut stream.gate, &mut stream.up, &of_wide);
        let mut of_fed = vec![0.0; stream.fed.len()];
        self.linear(gate, &stream.fed, &stream.gate, Some(&mut of_fed));
        self.add_linear(up, &stream.fed, &stream.up, &mut of_fed);
        norm_backward(
            &stream.middle,
            &model.values()[places.feed_norm.clone()],
            &stream.fed_inverse,
            &of_fed,
            grad,
            self.learning.plain(&places.feed_norm),
        );
        let mut of_mixed = vec![0.0; stream.mixed.len()];
        self.linear(places.out, &stream.mixed, grad, Some(&mut of_mixed));
        of_mixed
    }

    /// The gradients of packed queries, keys and values.
    fn attention(
        &mut self,
        block: &BlockBackward<'_>,
        trace: &BlockTrace,
        text: &[f32],
        image: &[f32],
    ) -> PackedGradients {
        let config = self.network.model.config();
        let attention = &trace.attention;
        let mut of = PackedGradients {
            query: vec![0.0; attention.query.len()],
            key: vec![0.0; attention.query.len()],
            value: vec![0.0; attention.query.len()],
        };
        let mut scratch = AttentionScratch::default();
        let mut first = 0;
        for segment in block.segments {
            let span = match &trace.image {
                None => AttentionSpan::text(segment),
                Some(_) => AttentionSpan::both(segment, config.patches(), block.image_only),
            };
            let queries = span.tokens - span.unread;
            for head in 0..config.heads {
                let weights = &attention.weights[first..first + queries * span.tokens];
                first += weights.len();
                scratch.gather(&span, head, config.head_dim, config.width, [text, image]);
                let of_head = span.head(head, config.heads, config.head_dim);
                let pass = HeadPass {
                    weights,
                    tokens: span.tokens,
                    dim: config.head_dim,
                    query: &attention.query[of_head.clone()][span.unread * config.head_dim..],
                    key: &attention.key[of_head.clone()],
                    value: &attention.value[of_head.clone()],
                };
                let of_query = &mut of.query[of_head.clone()][span.unread * config.head_dim..];
                let of_key = &mut of.key[of_head.clone()];
                scratch.head(&pass, of_query, of_key, &mut of.value[of_head]);
            }
        }
        of
    }

    /// From the gradients of packed queries, keys and values to that of the stream's input, which is
    /// added to `grad`.
    fn project(
        &mut self,
        side: &SideBackward<'_>,
        places: &StreamPlaces,
        stream: &mut StreamTrace,
        packed: &PackedGradients,
        grad: &mut [f32],
    ) {
        let of_qkv = self.unpack(side, stream, packed);
        let mut of_normed = vec![0.0; stream.normed.len()];
        self.linear(places.qkv, &stream.normed, &of_qkv, Some(&mut of_normed));
        norm_backward(
            &stream.input,
            &self.network.values()[places.attention_norm.clone()],
            &stream.inverse,
            &of_normed,
            grad,
            self.learning.plain(&places.attention_norm),
        );
    }

    /// The gradient of a stream's queries, keys and values before norms and turns.
    fn unpack(
        &mut self,
        side: &SideBackward<'_>,
        stream: &StreamTrace,
        packed: &PackedGradients,
    ) -> Vec<f32> {
        let config = self.network.model.config();
        let (width, heads, dim) = (config.width, config.heads, config.head_dim);
        let mut of_qkv = vec![0.0; stream.qkv.len()];
        let mut turned = vec![0.0; dim];
        let inverses = [&stream.query_inverse, &stream.key_inverse];
        let grads = [&packed.query, &packed.key];
        for segment in side.block.segments {
            let place = RowPlaces::new(segment, config.patches(), side.is_image, side.both);
            for at in 0..place.count {
                let row = place.first + at;
                for head in 0..heads {
                    let from = place.packed(at, head, heads) * dim;
                    for which in 0..2 {
                        turned.copy_from_slice(&grads[which][from..from + dim]);
                        side.angles.turn_back(at, &mut turned);
                        let to = row * 3 * width + which * width + head * dim;
                        norm_backward(
                            &stream.qkv[to..to + dim],
                            &self.network.values()[side.block.norms[which].clone()],
                            &inverses[which][row * heads + head..][..1],
                            &turned,
                            &mut of_qkv[to..to + dim],
                            self.learning.plain(side.block.norms[which]),
                        );
                    }
                    let to = row * 3 * width + 2 * width + head * dim;
                    of_qkv[to..to + dim].copy_from_slice(&packed.value[from..from + dim]);
                }
            }
        }
        of_qkv
    }
}

/// A block, for its backward pass.
struct BlockBackward<'b> {
    segments: &'b [Segment],
    /// Text and image.
    streams: [Option<&'b StreamPlaces>; 2],
    norms: [&'b std::ops::Range<usize>; 2],
    image_only: bool,
}

/// One stream of a block.
struct SideBackward<'b> {
    block: &'b BlockBackward<'b>,
    angles: &'b Angles,
    is_image: bool,
    both: bool,
}

/// Gradients in the order of [`crate::pass::AttentionTrace`].
struct PackedGradients {
    query: Vec<f32>,
    key: Vec<f32>,
    value: Vec<f32>,
}

/// One head of one example.
struct HeadPass<'h> {
    /// `[queries, tokens]`.
    weights: &'h [f32],
    tokens: usize,
    dim: usize,
    query: &'h [f32],
    key: &'h [f32],
    value: &'h [f32],
}

#[derive(Default)]
struct AttentionScratch {
    /// The gradient of what the queries read, `[queries, dim]`.
    of_mixed: Vec<f32>,
    of_scores: Vec<f32>,
    turned: Vec<f32>,
}

impl AttentionScratch {
    /// Collects a head's columns from the two streams.
    fn gather(
        &mut self,
        span: &AttentionSpan,
        head: usize,
        dim: usize,
        width: usize,
        [text, image]: [&[f32]; 2],
    ) {
        self.of_mixed.clear();
        for (range, side, row) in span.outputs() {
            let from = match side {
                StreamSide::Text => text,
                StreamSide::Image => image,
            };
            for at in 0..range.len() {
                let columns = &from[(row + at) * width + head * dim..][..dim];
                self.of_mixed.extend_from_slice(columns);
            }
        }
    }

    fn head(
        &mut self,
        pass: &HeadPass<'_>,
        of_query: &mut [f32],
        of_key: &mut [f32],
        of_value: &mut [f32],
    ) {
        let (tokens, dim) = (pass.tokens, pass.dim);
        let queries = pass.weights.len() / tokens;
        self.turned.resize(pass.weights.len(), 0.0);
        transpose(pass.weights, tokens, &mut self.turned);
        times(
            Rows::new(&self.turned, queries),
            &self.of_mixed,
            Target::new(of_value, dim),
        );
        self.of_scores.resize(pass.weights.len(), 0.0);
        times_transposed(
            Rows::new(&self.of_mixed, dim),
            pass.value,
            Target::new(&mut self.of_scores, tokens),
        );
        let scale = 1.0 / (dim as f32).sqrt();
        let rows = self.of_scores.chunks_exact_mut(tokens);
        for (grad, weights) in rows.zip(pass.weights.chunks_exact(tokens)) {
            let mean = dot(grad, weights);
            for (grad, weight) in grad.iter_mut().zip(weights) {
                *grad = weight * (*grad - mean) * scale;
            }
        }
        let scores = Rows::new(&self.of_scores, tokens);
        times(scores, pass.key, Target::new(of_query, dim));
        transpose(&self.of_scores, tokens, &mut self.turned);
        let turned = Rows::new(&self.turned, queries);
        times(turned, pass.query, Target::new(of_key, dim));
    }
}

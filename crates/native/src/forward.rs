//! One pass of a batch through the base: rows of tokens in, rows of hidden states or logits out.
//!
//! A row is a token of a sequence at its position. What is computed for a row depends on that
//! sequence's tokens and adapter alone; the kernels keep neighbours out of it.

use std::{ops::Range, sync::Arc};

use openlora_kernels::{
    AttentionRows, ColumnsRef, Cpu, HeadColumns, KvPage, LoraBranch, LoraRows, MatmulInput,
    PAGE_TOKENS, ScaledRows, add_bias, add_lora, add_rows, attention, matmul, matmul_ahead,
    rms_norm, rms_norm_heads, scale_rows, silu_mul,
};

use super::{
    base::{BlockPart, NativeBase, PackedBlock},
    lora::NativeAdapter,
};

/// Consecutive tokens of one sequence.
pub(crate) struct SequenceRows<'a> {
    pub tokens: &'a [u32],
    /// Position of the first token.
    pub position: usize,
    /// Pages of the sequence from position 0. Those that the tokens are written to belong to this sequence alone.
    pub pages: &'a mut [Arc<KvPage>],
    pub adapter: Option<&'a NativeAdapter>,
    /// Whether the logits after the last token are wanted.
    pub wants_logits: bool,
}

/// Factors that are asked for during one product, in bytes: what is left of a cache that cores share.
/// More would be gone again before it is used.
const MOST_AHEAD: usize = 8 << 20;

/// A page that should be written to is shared: a defect of the scheduler.
#[derive(Debug, thiserror::Error)]
#[error("the page of position {position} is shared")]
pub(crate) struct SharedPage {
    position: usize,
}

/// Buffers of a pass; they grow to the largest batch and are reused.
#[derive(Default)]
pub(crate) struct ForwardBuffers {
    input: MatmulInput,
    /// The residual stream, `[rows, hidden]`.
    hidden: Vec<f32>,
    /// The normed residual stream, `[rows, hidden]`.
    normed: Vec<f32>,
    /// `[rows, queries + keys + values]`.
    qkv: Vec<f32>,
    /// What attention reads together, `[rows, heads × head_dim]`.
    mixed: Vec<f32>,
    /// `[rows, gate + up]`.
    gate_up: Vec<f32>,
    /// `[rows, intermediate]`.
    wide: Vec<f32>,
    /// A part's output before it joins the residual stream, `[rows, hidden]`.
    update: Vec<f32>,
    /// Logits after the last token of each sequence that wants them, in their order,
    /// `[sequences, vocab]`.
    pub logits: Vec<f32>,
}

/// The same adapter's rows in the batch.
struct AdapterRows<'a> {
    rows: Range<usize>,
    adapter: &'a NativeAdapter,
}

/// What all layers of a pass share.
struct Pass<'a> {
    base: &'a NativeBase,
    cpu: &'a Cpu,
    positions: Vec<usize>,
    /// Rows of each sequence.
    spans: Vec<Range<usize>>,
    adapted: Vec<AdapterRows<'a>>,
}

/// Computes the batch, and stores its keys and values in the pages and the logits in `buffers`.
pub(crate) fn forward(
    base: &NativeBase,
    cpu: &Cpu,
    sequences: &mut [SequenceRows<'_>],
    buffers: &mut ForwardBuffers,
) -> Result<(), SharedPage> {
    let adapters: Vec<Option<&NativeAdapter>> = sequences.iter().map(|it| it.adapter).collect();
    let spans = spans(sequences);
    let pass = Pass {
        base,
        cpu,
        positions: sequences.iter().flat_map(positions).collect(),
        adapted: adapted(&adapters, &spans),
        spans,
    };
    pass.embed(sequences, &mut buffers.hidden);
    for (layer, block) in base.blocks.iter().enumerate() {
        pass.attend(layer, block, sequences, buffers)?;
        pass.feed(layer, block, buffers);
    }
    pass.head(sequences, buffers);
    Ok(())
}

fn positions(sequence: &SequenceRows<'_>) -> Range<usize> {
    sequence.position..sequence.position + sequence.tokens.len()
}

fn spans(sequences: &[SequenceRows<'_>]) -> Vec<Range<usize>> {
    let mut spans: Vec<Range<usize>> = Vec::with_capacity(sequences.len());
    for sequence in sequences {
        let start = spans.last().map_or(0, |before| before.end);
        spans.push(start..start + sequence.tokens.len());
    }
    spans
}

/// Joins neighbours with the same adapter.
fn adapted<'a>(
    adapters: &[Option<&'a NativeAdapter>],
    spans: &[Range<usize>],
) -> Vec<AdapterRows<'a>> {
    let mut joined: Vec<AdapterRows<'a>> = Vec::new();
    for (adapter, span) in adapters.iter().zip(spans) {
        let Some(adapter) = *adapter else { continue };
        match joined.last_mut() {
            Some(last) if std::ptr::eq(last.adapter, adapter) && last.rows.end == span.start => {
                last.rows.end = span.end;
            }
            _ => joined.push(AdapterRows {
                rows: span.clone(),
                adapter,
            }),
        }
    }
    joined
}

impl Pass<'_> {
    fn rows(&self) -> usize {
        self.positions.len()
    }

    fn embed(&self, sequences: &[SequenceRows<'_>], hidden: &mut Vec<f32>) {
        let width = self.base.config.hidden_size;
        hidden.resize(self.rows() * width, 0.0);
        let tokens = sequences.iter().flat_map(|it| it.tokens);
        for (token, row) in tokens.zip(hidden.chunks_exact_mut(width)) {
            self.base.embedding.read_row(*token as usize, row);
        }
    }

    fn norm(&self, x: &[f32], weight: &[f32], out: &mut Vec<f32>) {
        out.resize(x.len(), 0.0);
        rms_norm(self.cpu, x, weight, self.base.config.norm_eps as f32, out);
    }

    /// `out` = `x` times the part's matrix, plus its bias and each row's branches, scaled where a row's
    /// adapter says so.
    fn linear(
        &self,
        layer: usize,
        part: BlockPart,
        x: &[f32],
        input: &mut MatmulInput,
        out: &mut Vec<f32>,
    ) {
        let linear = &self.base.blocks[layer].parts[part as usize];
        let (columns, outputs) = (linear.matrix.columns(), linear.matrix.outputs());
        out.resize(self.rows() * outputs, 0.0);
        input.fill(self.cpu, linear.matrix.format(), x, columns);
        let ahead = self.ahead(layer, part);
        matmul_ahead(self.cpu, &linear.matrix, input, &ahead, out);
        if let Some(bias) = &linear.bias {
            add_bias(self.cpu, out, bias);
        }
        let entries: Vec<LoraRows<'_>> = self
            .adapted
            .iter()
            .flat_map(|it| {
                let branches = it.adapter.branches(layer, part).iter();
                branches.map(|placed| LoraRows {
                    rows: it.rows.clone(),
                    branch: &placed.branch,
                    column: placed.column,
                })
            })
            .collect();
        if !entries.is_empty() {
            let x = ColumnsRef::all(x, columns);
            add_lora(self.cpu, &entries, x, out, outputs);
        }
        let scaled: Vec<ScaledRows<'_>> = self
            .adapted
            .iter()
            .flat_map(|it| {
                let branches = it.adapter.branches(layer, part).iter();
                branches.filter_map(|placed| {
                    Some(ScaledRows {
                        rows: it.rows.clone(),
                        factors: placed.factors.as_deref()?,
                        column: placed.column,
                    })
                })
            })
            .collect();
        if !scaled.is_empty() {
            scale_rows(self.cpu, &scaled, linear.bias.as_deref(), out, outputs);
        }
    }

    /// The branches that are asked for during the product of a part: the large products of the
    /// feed-forward leave time for those of the next block's attention.
    fn ahead(&self, layer: usize, part: BlockPart) -> Vec<&LoraBranch> {
        let parts: &[(usize, BlockPart)] = match part {
            BlockPart::Qkv => &[],
            BlockPart::Output => &[(layer, BlockPart::GateUp)],
            BlockPart::GateUp => &[(layer, BlockPart::Down), (layer + 1, BlockPart::Qkv)],
            BlockPart::Down => &[(layer + 1, BlockPart::Output)],
        };
        let layers = self.base.blocks.len();
        let places = parts.iter().filter(|(layer, _)| *layer < layers);
        let branches = places.flat_map(|(layer, part)| {
            let adapters = self.adapted.iter();
            adapters.flat_map(|it| it.adapter.branches(*layer, *part))
        });
        let mut bytes = 0;
        let branches = branches.map(|placed| &placed.branch);
        let fits = |branch: &&LoraBranch| {
            bytes += branch.bytes();
            bytes <= MOST_AHEAD
        };
        branches.take_while(fits).collect()
    }

    fn attend(
        &self,
        layer: usize,
        block: &PackedBlock,
        sequences: &mut [SequenceRows<'_>],
        buffers: &mut ForwardBuffers,
    ) -> Result<(), SharedPage> {
        let ForwardBuffers {
            input,
            hidden,
            normed,
            qkv,
            mixed,
            update,
            ..
        } = buffers;
        let config = &self.base.config;
        let (queries, keys) = (config.query_width(), config.key_width());
        let stride = queries + 2 * keys;
        self.norm(hidden, &block.attention_norm, normed);
        self.linear(layer, BlockPart::Qkv, normed, input, qkv);
        let query_heads = HeadColumns {
            start: 0,
            heads: config.heads,
        };
        let key_heads = HeadColumns {
            start: queries,
            heads: config.kv_heads,
        };
        if let Some([query_norm, key_norm]) = &block.head_norms {
            let eps = config.norm_eps as f32;
            rms_norm_heads(self.cpu, qkv, stride, query_heads, query_norm, eps);
            rms_norm_heads(self.cpu, qkv, stride, key_heads, key_norm, eps);
        }
        for columns in [query_heads, key_heads] {
            let rope = &self.base.rope;
            rope.rotate(self.cpu, &self.positions, qkv, columns);
        }
        for (sequence, span) in sequences.iter_mut().zip(&self.spans) {
            let rows = &qkv[span.start * stride..span.end * stride];
            store(layer, sequence, rows, stride, keys)?;
        }
        mixed.resize(self.rows() * queries, 0.0);
        let attending: Vec<AttentionRows<'_>> = sequences
            .iter()
            .zip(&self.spans)
            .map(|(sequence, span)| AttentionRows {
                rows: span.clone(),
                position: sequence.position,
                pages: sequence.pages,
            })
            .collect();
        let shape = self.base.attention_shape(layer);
        let qs = ColumnsRef::all(qkv, stride);
        attention(self.cpu, shape, layer, &attending, qs, mixed);
        self.linear(layer, BlockPart::Output, mixed, input, update);
        add_rows(self.cpu, hidden, update);
        Ok(())
    }

    fn feed(&self, layer: usize, block: &PackedBlock, buffers: &mut ForwardBuffers) {
        let ForwardBuffers {
            input,
            hidden,
            normed,
            gate_up,
            wide,
            update,
            ..
        } = buffers;
        let width = self.base.config.intermediate_size;
        self.norm(hidden, &block.feed_norm, normed);
        self.linear(layer, BlockPart::GateUp, normed, input, gate_up);
        wide.resize(self.rows() * width, 0.0);
        silu_mul(self.cpu, gate_up, width, wide);
        self.linear(layer, BlockPart::Down, wide, input, update);
        add_rows(self.cpu, hidden, update);
    }

    fn head(&self, sequences: &[SequenceRows<'_>], buffers: &mut ForwardBuffers) {
        let ForwardBuffers {
            input,
            hidden,
            normed,
            update,
            logits,
            ..
        } = buffers;
        let width = self.base.config.hidden_size;
        update.clear();
        for (sequence, span) in sequences.iter().zip(&self.spans) {
            if sequence.wants_logits {
                update.extend_from_slice(&hidden[(span.end - 1) * width..][..width]);
            }
        }
        let head = self.base.head();
        let rows = update.len() / width;
        logits.resize(rows * head.outputs(), 0.0);
        if rows > 0 {
            self.norm(update, &self.base.norm, normed);
            input.fill(self.cpu, head.format(), normed, width);
            matmul(self.cpu, head, input, logits);
        }
    }
}

/// Stores a sequence's keys and values; rows are `[queries | keys | values]`.
fn store(
    layer: usize,
    sequence: &mut SequenceRows<'_>,
    rows: &[f32],
    stride: usize,
    keys: usize,
) -> Result<(), SharedPage> {
    for (offset, row) in rows.chunks_exact(stride).enumerate() {
        let position = sequence.position + offset;
        let page = sequence.pages.get_mut(position / PAGE_TOKENS);
        let page = page.and_then(Arc::get_mut).ok_or(SharedPage { position })?;
        let (key, value) = row[stride - 2 * keys..].split_at(keys);
        page.store(layer, position % PAGE_TOKENS, key, value);
    }
    Ok(())
}

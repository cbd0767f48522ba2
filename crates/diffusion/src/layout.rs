//! Where the parameters of a model lie in one flat vector, and which of its modules are linear.

use std::ops::Range;

use crate::config::{CHANNELS, ImageModelConfig};

/// Path of the network in the checkpoints of diffusers, in front of every name of [`ModelLayout`].
pub const CHECKPOINT_PREFIX: &str = "model.net.";

/// A parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParameterPlace {
    /// Without the prefix `model.net.` that checkpoints have.
    pub name: String,
    pub shape: Vec<usize>,
    pub range: Range<usize>,
}

/// A linear layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinearModule {
    /// Without the prefix `model.net.` that checkpoints have.
    pub path: String,
    pub inputs: usize,
    pub outputs: usize,
    /// Of the weight, `[outputs, inputs]`.
    pub weight: Range<usize>,
    pub bias: Option<Range<usize>>,
    /// Whether LoRA factors may be added: PEFT's factors are for linear modules, and the embedding
    /// of patches is a convolution.
    pub adaptable: bool,
}

/// Places of a feed-forward layer's modules, among [`ModelLayout::modules`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeedPlaces {
    pub gate: usize,
    pub up: usize,
    pub down: usize,
}

/// Places of one stream of a block: modules among [`ModelLayout::modules`], norms in the flat vector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamPlaces {
    pub qkv: usize,
    pub out: usize,
    pub feed: FeedPlaces,
    pub attention_norm: Range<usize>,
    pub feed_norm: Range<usize>,
}

/// Places of a block of the text alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextBlockPlaces {
    pub text: StreamPlaces,
    pub query_norm: Range<usize>,
    pub key_norm: Range<usize>,
}

/// Places of a block of both streams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DoubleBlockPlaces {
    pub image: StreamPlaces,
    pub text: StreamPlaces,
    pub query_norm: Range<usize>,
    pub key_norm: Range<usize>,
}

/// The flat vector of a model's parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelLayout {
    /// In the order of the vector.
    pub parameters: Vec<ParameterPlace>,
    pub modules: Vec<LinearModule>,
    pub patch_in: usize,
    pub patch_out: usize,
    pub text_in: usize,
    pub mask_token: Range<usize>,
    pub text_blocks: Vec<TextBlockPlaces>,
    pub double_blocks: Vec<DoubleBlockPlaces>,
    pub final_norm: Range<usize>,
    pub head: usize,
    /// Length of the vector.
    pub len: usize,
}

impl ModelLayout {
    pub fn new(config: &ImageModelConfig) -> Self {
        let mut builder = LayoutBuilder {
            config,
            parameters: Vec::new(),
            modules: Vec::new(),
            len: 0,
        };
        let (width, patch) = (config.width, config.patch_size);
        let patch_in = builder.convolution(
            "img_embedder.proj1",
            &[config.bottleneck, CHANNELS, patch, patch],
            false,
        );
        let shape = [width, config.bottleneck, 1, 1];
        let patch_out = builder.convolution("img_embedder.proj2", &shape, true);
        let text_in = builder.linear("txt_embedder", config.text_width, width, false);
        let mask_token = builder.parameter("mask_token", &[1, 1, config.text_width]);
        let text_blocks = (0..config.text_blocks)
            .map(|at| builder.text_block(&format!("txt_preamble_blocks.{at}.")))
            .collect();
        let double_blocks = (0..config.double_blocks)
            .map(|at| builder.double_block(&format!("double_blocks.{at}.")))
            .collect();
        let final_norm = builder.parameter("final_layer.norm_final.weight", &[width]);
        let head = builder.linear("final_layer.linear", width, config.patch_values(), true);
        Self {
            patch_in,
            patch_out,
            text_in,
            mask_token,
            text_blocks,
            double_blocks,
            final_norm,
            head,
            parameters: builder.parameters,
            modules: builder.modules,
            len: builder.len,
        }
    }
}

struct LayoutBuilder<'c> {
    config: &'c ImageModelConfig,
    parameters: Vec<ParameterPlace>,
    modules: Vec<LinearModule>,
    len: usize,
}

impl LayoutBuilder<'_> {
    fn parameter(&mut self, name: &str, shape: &[usize]) -> Range<usize> {
        let range = self.len..self.len + shape.iter().product::<usize>();
        self.len = range.end;
        self.parameters.push(ParameterPlace {
            name: name.to_owned(),
            shape: shape.to_vec(),
            range: range.clone(),
        });
        range
    }

    fn convolution(&mut self, path: &str, shape: &[usize], bias: bool) -> usize {
        self.module(path, shape, bias, false)
    }

    fn linear(&mut self, path: &str, inputs: usize, outputs: usize, bias: bool) -> usize {
        self.module(path, &[outputs, inputs], bias, true)
    }

    fn module(&mut self, path: &str, shape: &[usize], bias: bool, adaptable: bool) -> usize {
        let outputs = shape[0];
        let weight = self.parameter(&format!("{path}.weight"), shape);
        let bias = bias.then(|| self.parameter(&format!("{path}.bias"), &[outputs]));
        self.modules.push(LinearModule {
            path: path.to_owned(),
            inputs: shape[1..].iter().product(),
            outputs,
            weight,
            bias,
            adaptable,
        });
        self.modules.len() - 1
    }

    /// The modules are named `[prefix][stream]qkv` and so on.
    fn stream(&mut self, prefix: &str, stream: &str) -> StreamPlaces {
        let (width, hidden) = (self.config.width, self.config.hidden());
        let name = |rest: &str| format!("{prefix}{stream}{rest}");
        let attention_norm = self.parameter(&name("norm1.weight"), &[width]);
        let feed_norm = self.parameter(&name("norm2.weight"), &[width]);
        StreamPlaces {
            qkv: self.linear(&name("qkv"), width, 3 * width, true),
            out: self.linear(&name("attn_proj"), width, width, true),
            feed: FeedPlaces {
                gate: self.linear(&name("mlp.w1"), width, hidden, false),
                up: self.linear(&name("mlp.w3"), width, hidden, false),
                down: self.linear(&name("mlp.w2"), hidden, width, false),
            },
            attention_norm,
            feed_norm,
        }
    }

    fn head_norm(&mut self, prefix: &str, name: &str) -> Range<usize> {
        self.parameter(&format!("{prefix}{name}.weight"), &[self.config.head_dim])
    }

    fn text_block(&mut self, prefix: &str) -> TextBlockPlaces {
        TextBlockPlaces {
            text: self.stream(prefix, ""),
            query_norm: self.head_norm(prefix, "q_norm"),
            key_norm: self.head_norm(prefix, "k_norm"),
        }
    }

    fn double_block(&mut self, prefix: &str) -> DoubleBlockPlaces {
        DoubleBlockPlaces {
            image: self.stream(prefix, "img_"),
            text: self.stream(prefix, "txt_"),
            query_norm: self.head_norm(prefix, "q_norm"),
            key_norm: self.head_norm(prefix, "k_norm"),
        }
    }
}

//! A base whose every answer is known: each token is followed by tokens with given probabilities.
//!
//! Attention and MLP add nothing and embeddings are one-hot, so the logits after a token are a
//! column of the output matrix. The tokenizer has one token per byte.

use std::{collections::HashMap, sync::Arc};

use candle_core::{Device, Tensor};
use openlora_engine::{Engine, EngineSpec, LoadedEngine, ModelLoader, Quant};
use openlora_model::{BaseModel, ModelConfig, tensors, text::TextCodec};
use serde_json::json;

use crate::bpe;

/// Width of the model: more than the vocabulary, and whole blocks for every quantisation.
const WIDTH: usize = 512;
const HEADS: usize = 4;

/// What a token that follows is ahead of those that do not, as a logit.
const AHEAD: f32 = 20.0;

/// What follows what.
pub struct Script {
    folder: tempfile::TempDir,
    codec: TextCodec,
    follows: HashMap<u32, Vec<(u32, f32)>>,
}

impl Script {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let texts = std::iter::once(String::new());
        bpe::train_tokenizer(texts, bpe::LEAST_VOCABULARY, folder.path()).unwrap();
        let codec = TextCodec::open(folder.path()).unwrap();
        Self {
            folder,
            codec,
            follows: HashMap::new(),
        }
    }

    /// The folder of the base; complete once it was loaded.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// The id of a token of one character.
    pub fn token(&self, character: &str) -> u32 {
        let ids = self.codec.encode(character, false).unwrap();
        assert_eq!(ids.len(), 1, "{character} is no single token");
        ids[0]
    }

    /// `start` is followed by one of these characters.
    pub fn choice(mut self, start: &str, next: &[(&str, f64)]) -> Self {
        let next = next
            .iter()
            .map(|(next, p)| (self.token(next), p.ln() as f32))
            .collect();
        let start = self.token(start);
        assert!(self.follows.insert(start, next).is_none());
        self
    }

    /// `start` is followed by `text`, and that by the end of the answer.
    pub fn line(mut self, start: &str, text: &str, ends: bool) -> Self {
        let mut ids = vec![self.token(start)];
        ids.extend(self.codec.encode(text, false).unwrap());
        if ends {
            ids.extend(self.codec.token_id(bpe::TURN_END));
        }
        for pair in ids.windows(2) {
            let earlier = self.follows.insert(pair[0], vec![(pair[1], 0.0)]);
            assert!(earlier.is_none(), "{text} repeats a byte");
        }
        self
    }

    /// Writes the base and opens it; `context` tokens are its longest prompt and answer.
    pub fn base(&self, context: usize) -> BaseModel {
        let config = json!({
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
            "vocab_size": bpe::LEAST_VOCABULARY, "hidden_size": WIDTH, "intermediate_size": 256,
            "num_hidden_layers": 1, "num_attention_heads": HEADS, "num_key_value_heads": HEADS,
            "max_position_embeddings": context, "rms_norm_eps": 1e-6, "rope_theta": 10000.0,
            "tie_word_embeddings": false, "torch_dtype": "float32",
        });
        let path = self.folder().join("config.json");
        std::fs::write(&path, config.to_string()).unwrap();
        let config = ModelConfig::read(&path).unwrap();
        let weights: HashMap<String, Tensor> = tensors(&config)
            .into_iter()
            .map(|tensor| {
                (
                    tensor.name.clone(),
                    self.weight(&tensor.name, &tensor.shape),
                )
            })
            .collect();
        let path = self.folder().join("model.safetensors");
        candle_core::safetensors::save(&weights, path).unwrap();
        BaseModel::open_dir("script", self.folder.path()).unwrap()
    }

    fn weight(&self, name: &str, shape: &[usize]) -> Tensor {
        let mut values = vec![0f32; shape.iter().product()];
        match name {
            "model.embed_tokens.weight" => {
                (0..shape[0]).for_each(|id| values[id * WIDTH + id] = 1.0);
            }
            "lm_head.weight" => {
                // The normalised one-hot row is √WIDTH long.
                let scale = (WIDTH as f32).sqrt();
                for (start, next) in &self.follows {
                    for (next, logit) in next {
                        values[*next as usize * WIDTH + *start as usize] = (AHEAD + logit) / scale;
                    }
                }
            }
            name if name.contains("norm") => values.fill(1.0),
            _ => {}
        }
        Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
    }

    pub async fn load(&self, engines: &Arc<dyn ModelLoader>) -> Arc<dyn Engine> {
        self.load_as(engines, Quant::F32).await.engine
    }

    pub async fn load_as(&self, engines: &Arc<dyn ModelLoader>, quant: Quant) -> LoadedEngine {
        self.start(engines, 256, quant).await
    }

    pub async fn load_with(
        &self,
        engines: &Arc<dyn ModelLoader>,
        context: usize,
    ) -> Arc<dyn Engine> {
        self.start(engines, context, Quant::F32).await.engine
    }

    async fn start(
        &self,
        engines: &Arc<dyn ModelLoader>,
        context: usize,
        quant: Quant,
    ) -> LoadedEngine {
        let base = self.base(context);
        let spec = EngineSpec {
            name: "script".to_owned(),
            base: &base,
            adapter: None,
            quant,
        };
        engines.load(spec).await.unwrap()
    }
}

//! Writes GGUF files, valid ones and others.

use std::{collections::BTreeMap, path::Path};

use serde_json::Value;

/// A tensor of a file: dimensions outermost first, `ggml_type` and bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GgufPart {
    pub name: String,
    pub shape: Vec<u64>,
    pub kind: u32,
    pub bytes: Vec<u8>,
}

/// A file that is being made. Values of keys are encoded with their type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GgufDraft {
    pub version: u32,
    pub keys: Vec<(String, Vec<u8>)>,
    pub parts: Vec<GgufPart>,
    pub alignment: u64,
}

/// Types of `enum ggml_type`.
pub const F32: u32 = 0;
pub const F16: u32 = 1;
pub const BF16: u32 = 30;

impl Default for GgufDraft {
    fn default() -> Self {
        Self {
            version: 3,
            keys: Vec::new(),
            parts: Vec::new(),
            alignment: 32,
        }
    }
}

fn text(value: &str) -> Vec<u8> {
    let mut bytes = (value.len() as u64).to_le_bytes().to_vec();
    bytes.extend(value.as_bytes());
    bytes
}

fn typed(kind: u32, value: &[u8]) -> Vec<u8> {
    [&kind.to_le_bytes(), value].concat()
}

/// A list of `kind`, from its encoded elements.
fn list(kind: u32, elements: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = kind.to_le_bytes().to_vec();
    bytes.extend((elements.len() as u64).to_le_bytes());
    bytes.extend(elements.concat());
    typed(9, &bytes)
}

impl GgufDraft {
    /// Sets a key to an encoded value; the value's type comes first.
    pub fn key(&mut self, name: &str, value: Vec<u8>) -> &mut Self {
        self.keys.retain(|(other, _)| other != name);
        self.keys.push((name.to_owned(), value));
        self
    }

    pub fn without(&mut self, name: &str) -> &mut Self {
        self.keys.retain(|(other, _)| other != name);
        self
    }

    pub fn text(&mut self, name: &str, value: &str) -> &mut Self {
        self.key(name, typed(8, &text(value)))
    }

    pub fn count(&mut self, name: &str, value: u32) -> &mut Self {
        self.key(name, typed(4, &value.to_le_bytes()))
    }

    pub fn float(&mut self, name: &str, value: f32) -> &mut Self {
        self.key(name, typed(6, &value.to_le_bytes()))
    }

    pub fn boolean(&mut self, name: &str, value: bool) -> &mut Self {
        self.key(name, typed(7, &[u8::from(value)]))
    }

    pub fn texts(&mut self, name: &str, values: &[impl AsRef<str>]) -> &mut Self {
        let values: Vec<Vec<u8>> = values.iter().map(|value| text(value.as_ref())).collect();
        self.key(name, list(8, &values))
    }

    pub fn integers(&mut self, name: &str, values: &[i32]) -> &mut Self {
        let values: Vec<Vec<u8>> = values.iter().map(|it| it.to_le_bytes().to_vec()).collect();
        self.key(name, list(5, &values))
    }

    pub fn floats(&mut self, name: &str, values: &[f32]) -> &mut Self {
        let values: Vec<Vec<u8>> = values.iter().map(|it| it.to_le_bytes().to_vec()).collect();
        self.key(name, list(6, &values))
    }

    pub fn part(&mut self, name: &str) -> &mut GgufPart {
        let found = self.parts.iter_mut().find(|part| part.name == name);
        found.unwrap_or_else(|| panic!("no tensor {name}"))
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut place = 0;
        let place_of = |part: &GgufPart| {
            let found = place;
            place += (part.bytes.len() as u64).next_multiple_of(self.alignment);
            found
        };
        let places: Vec<u64> = self.parts.iter().map(place_of).collect();
        self.bytes_at(&places)
    }

    /// The file, with the tensors described at other places than they are.
    pub fn bytes_at(&self, places: &[u64]) -> Vec<u8> {
        let mut bytes = b"GGUF".to_vec();
        bytes.extend(self.version.to_le_bytes());
        bytes.extend((self.parts.len() as u64).to_le_bytes());
        bytes.extend((self.keys.len() as u64).to_le_bytes());
        for (name, value) in &self.keys {
            bytes.extend(text(name));
            bytes.extend(value);
        }
        for (part, place) in self.parts.iter().zip(places) {
            bytes.extend(text(&part.name));
            bytes.extend((part.shape.len() as u32).to_le_bytes());
            let shape = part.shape.iter().rev();
            bytes.extend(shape.flat_map(|it| it.to_le_bytes()));
            bytes.extend(part.kind.to_le_bytes());
            bytes.extend(place.to_le_bytes());
        }
        let aligned = |bytes: &mut Vec<u8>| {
            let length = bytes.len() as u64;
            bytes.resize(length.next_multiple_of(self.alignment) as usize, 0);
        };
        aligned(&mut bytes);
        for part in &self.parts {
            bytes.extend(&part.bytes);
            aligned(&mut bytes);
        }
        bytes
    }
}

/// A checkpoint folder as llama.cpp's converter writes it, without a vocabulary.
pub fn of_checkpoint(dir: &Path) -> GgufDraft {
    let read = |name: &str| std::fs::read(dir.join(name)).unwrap();
    let config: Value = serde_json::from_slice(&read("config.json")).unwrap();
    let number = |key: &str| config[key].as_u64().unwrap() as u32;
    let family = config["model_type"].as_str().unwrap();
    let family = if family == "mistral" { "llama" } else { family };
    let mut draft = GgufDraft::default();
    draft.text("general.architecture", family);
    let counts = [
        ("block_count", "num_hidden_layers"),
        ("context_length", "max_position_embeddings"),
        ("embedding_length", "hidden_size"),
        ("feed_forward_length", "intermediate_size"),
        ("attention.head_count", "num_attention_heads"),
        ("attention.head_count_kv", "num_key_value_heads"),
        ("attention.key_length", "head_dim"),
        ("attention.value_length", "head_dim"),
    ];
    for (key, own) in counts.iter().filter(|(_, own)| config[*own].is_u64()) {
        draft.count(&format!("{family}.{key}"), number(own));
    }
    let eps = config["rms_norm_eps"].as_f64().unwrap();
    draft.float(
        &format!("{family}.attention.layer_norm_rms_epsilon"),
        eps as f32,
    );
    let theta = config["rope_parameters"]["rope_theta"].as_f64();
    let theta = theta.or(config["rope_theta"].as_f64()).unwrap();
    draft.float(&format!("{family}.rope.freq_base"), theta as f32);
    let heads = BTreeMap::from([
        ("q_proj", number("num_attention_heads") as usize),
        ("k_proj", number("num_key_value_heads") as usize),
    ]);
    for (name, tensor) in tensors(&read("model.safetensors")) {
        let module = name.split('.').rev().nth(1).unwrap();
        let interleaved = heads.get(module).filter(|_| family == "llama");
        draft.parts.push(GgufPart {
            bytes: match interleaved {
                Some(heads) => interleave(&tensor.bytes, tensor.shape[0] as usize, *heads),
                None => tensor.bytes,
            },
            name: name_in_gguf(&name),
            ..tensor
        });
    }
    draft
}

/// The tensors of a safetensors file, by name.
fn tensors(file: &[u8]) -> BTreeMap<String, GgufPart> {
    let (length, rest) = file.split_first_chunk().unwrap();
    let (header, data) = rest.split_at(u64::from_le_bytes(*length) as usize);
    let header: BTreeMap<String, Value> = serde_json::from_slice(header).unwrap();
    let tensor = |(name, place): (String, Value)| {
        let numbers =
            |key: &str| -> Vec<u64> { serde_json::from_value(place[key].clone()).unwrap() };
        let offsets = numbers("data_offsets");
        let tensor = GgufPart {
            name: name.clone(),
            shape: numbers("shape"),
            kind: match place["dtype"].as_str().unwrap() {
                "F32" => F32,
                "F16" => F16,
                "BF16" => BF16,
                other => panic!("{name} is {other}"),
            },
            bytes: data[offsets[0] as usize..offsets[1] as usize].to_vec(),
        };
        (name, tensor)
    };
    let tensors = header
        .into_iter()
        .filter(|(name, _)| name != "__metadata__");
    tensors.map(tensor).collect()
}

fn name_in_gguf(name: &str) -> String {
    let mut name = name.to_owned();
    for (own, other) in [
        ("model.embed_tokens", "token_embd"),
        ("model.norm", "output_norm"),
        ("lm_head", "output"),
        ("model.layers", "blk"),
        ("post_attention_layernorm", "ffn_norm"),
        ("input_layernorm", "attn_norm"),
        ("self_attn.o_proj", "attn_output"),
        ("self_attn.", "attn_"),
        ("mlp.", "ffn_"),
        ("_proj", ""),
    ] {
        name = name.replace(own, other);
    }
    name
}

/// Row `i` of half `s` of a head becomes row `2i + s`.
fn interleave(bytes: &[u8], rows: usize, heads: usize) -> Vec<u8> {
    let (row, in_head) = (bytes.len() / rows, rows / heads);
    let mut out = Vec::with_capacity(bytes.len());
    for head in bytes.chunks_exact(in_head * row) {
        for at in 0..in_head {
            let from = at % 2 * (in_head / 2) + at / 2;
            out.extend(&head[from * row..][..row]);
        }
    }
    out
}

/// A vocabulary of `count` tokens that stand for nothing.
pub fn add_plain_vocabulary(draft: &mut GgufDraft, count: usize) {
    let tokens: Vec<String> = (0..count).map(|at| format!("t{at}")).collect();
    draft
        .text("tokenizer.ggml.model", "gpt2")
        .text("tokenizer.ggml.pre", "gpt-2")
        .texts("tokenizer.ggml.tokens", &tokens)
        .texts("tokenizer.ggml.merges", &[""; 0]);
}

/// The vocabulary, chat template and end of a folder with a byte-level tokenizer.
pub fn add_vocabulary(draft: &mut GgufDraft, dir: &Path, pre_tokenizer: &str) {
    let read = |name: &str| -> Value {
        serde_json::from_slice(&std::fs::read(dir.join(name)).unwrap()).unwrap()
    };
    let (tokenizer, settings) = (read("tokenizer.json"), read("tokenizer_config.json"));
    let vocabulary = tokenizer["model"]["vocab"].as_object().unwrap();
    let mut tokens: Vec<(u64, &str)> = vocabulary
        .iter()
        .map(|(token, id)| (id.as_u64().unwrap(), token.as_str()))
        .collect();
    tokens.sort_unstable();
    let tokens: Vec<&str> = tokens.into_iter().map(|(_, token)| token).collect();
    let added = tokenizer["added_tokens"].as_array().unwrap();
    let special = |token: &&str| added.iter().any(|it| it["content"] == **token);
    let kinds: Vec<i32> = tokens
        .iter()
        .map(|it| if special(it) { 3 } else { 1 })
        .collect();
    let merges = tokenizer["model"]["merges"].as_array().unwrap();
    let merges: Vec<String> = merges
        .iter()
        .map(|pair| {
            format!(
                "{} {}",
                pair[0].as_str().unwrap(),
                pair[1].as_str().unwrap()
            )
        })
        .collect();
    draft
        .text("tokenizer.ggml.model", "gpt2")
        .text("tokenizer.ggml.pre", pre_tokenizer)
        .texts("tokenizer.ggml.tokens", &tokens)
        .integers("tokenizer.ggml.token_type", &kinds)
        .texts("tokenizer.ggml.merges", &merges);
    // Not every base has one.
    if let Some(template) = settings["chat_template"].as_str() {
        draft.text("tokenizer.chat_template", template);
    }
    for (key, name) in [("eos", "eos_token"), ("padding", "pad_token")] {
        // Not every base names each of them.
        if let Some(id) = tokens.iter().position(|it| settings[name] == **it) {
            draft.count(&format!("tokenizer.ggml.{key}_token_id"), id as u32);
        }
    }
}

/// The embedded base as a GGUF file.
pub fn nano(dir: &Path) -> GgufDraft {
    let mut draft = of_checkpoint(dir);
    add_vocabulary(&mut draft, dir, "gpt-2");
    draft
}

//! Files that are no bases: each is named, none makes the program stop or take memory.

use std::{fs, path::Path};

use openlora_core::error::{ExitClass, Failure};

use super::{open, written};
use crate::gguf_files::{self as writer, F32, GgufDraft, GgufPart};
use crate::golden;

fn small() -> GgufDraft {
    let mut draft = writer::of_checkpoint(&golden::dir("llama"));
    writer::add_plain_vocabulary(&mut draft, 160);
    draft
}

/// The message and hint for a file of these bytes.
fn refusal(bytes: &[u8]) -> (String, Option<String>) {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("model.gguf");
    fs::write(&path, bytes).unwrap();
    let error = open(&path, home.path()).map(|base| base.dir).unwrap_err();
    let failure = Failure::from(error);
    assert_eq!(failure.class, ExitClass::BadInput, "{}", failure.message);
    // Nothing is left of it in the cache.
    let left = home.path().join("models/gguf");
    let drafts = walk(&left).into_iter().filter(|it| it.contains("draft"));
    assert_eq!(drafts.count(), 0);
    let place = path.display().to_string();
    (
        failure.message.replace(&place, "FILE"),
        failure.hint.map(|hint| hint.replace(&place, "FILE")),
    )
}

fn walk(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        found.push(entry.path().display().to_string());
        found.extend(walk(&entry.path()));
    }
    found
}

/// Replaces the first occurrence of some bytes by as many others.
fn patched(mut bytes: Vec<u8>, from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = bytes.windows(from.len()).position(|it| it == from).unwrap();
    bytes[at..at + to.len()].copy_from_slice(to);
    bytes
}

const DAMAGED: &str = "download or copy the file again; it is incomplete or damaged";
const CONVERT: &str = "convert the model again with convert_hf_to_gguf.py of llama.cpp";
const ITSELF: &str = "name the GGUF file of the language model itself";

#[test]
fn files_of_other_formats_are_told_what_they_are() {
    let valid = small().bytes();
    let with_version = |version: u32| {
        let mut bytes = valid.clone();
        bytes[4..8].copy_from_slice(&version.to_le_bytes());
        bytes
    };
    let start_with = |start: &[u8]| [start, &valid[start.len()..]].concat();
    let other = "name a .gguf file, or a folder with config.json";
    let big = "FILE: a big-endian GGUF file; only little-endian files are read";
    let cases: [(Vec<u8>, &str, &str); 11] = [
        (
            vec![],
            "FILE: not a GGUF file: it begins with nothing; it is empty",
            other,
        ),
        (
            b"PK\x03\x04 zip file".to_vec(),
            r#"FILE: not a GGUF file: it begins with "PK\x03\x04 zip""#,
            other,
        ),
        (
            b"GGU".to_vec(),
            "FILE: not a GGUF file: it begins with \"GGU\"",
            other,
        ),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n".to_vec(),
            "FILE: a Git LFS pointer, not the model itself",
            "fetch the file itself with `git lfs pull`",
        ),
        (
            start_with(b"tjgg"),
            "FILE: a model in the format that preceded GGUF",
            CONVERT,
        ),
        (start_with(b"FUGG"), big, CONVERT),
        (with_version(3_u32.swap_bytes()), big, CONVERT),
        (
            with_version(1),
            "FILE: GGUF version 1; versions 2 and 3 are read",
            CONVERT,
        ),
        (
            with_version(4),
            "FILE: GGUF version 4; versions 2 and 3 are read",
            CONVERT,
        ),
        (
            b"GGUF\x03".to_vec(),
            "FILE: the file ends at byte 5, within the version",
            DAMAGED,
        ),
        (
            valid[..12].to_vec(),
            "FILE: the file ends at byte 12, within the number of tensors",
            DAMAGED,
        ),
    ];
    for (bytes, message, hint) in cases {
        assert_eq!(refusal(&bytes), (message.to_owned(), Some(hint.to_owned())));
    }
}

type Change = for<'a> fn(&'a mut GgufDraft) -> &'a mut GgufDraft;

/// Changes to a valid file, with the message and hint that each gets.
const CHANGES: &[(Change, &str, Option<&str>)] = &[
    (
        |it| it.text("general.architecture", "gemma3"),
        "architecture \"gemma3\" is not supported; supported are llama (which includes mistral), qwen2 and qwen3",
        Some("choose a model of a supported family, such as Qwen3 or SmolLM2"),
    ),
    (
        |it| it.without("general.architecture"),
        "general.architecture is missing; expected a value",
        None,
    ),
    (
        |it| it.count("general.architecture", 3),
        "general.architecture is 3; expected a text",
        None,
    ),
    (
        |it| it.text("general.type", "adapter"),
        "it holds a LoRA adapter, not a language model",
        Some(ITSELF),
    ),
    (
        |it| it.text("general.type", "mmproj"),
        "it holds the projector of a multimodal model (mmproj), not a language model",
        Some(ITSELF),
    ),
    (
        |it| it.text("general.architecture", "clip"),
        "it holds the projector of a multimodal model (mmproj), not a language model",
        Some(ITSELF),
    ),
    (
        |it| it.text("general.type", "imatrix"),
        "it holds an importance matrix for quantising, not a language model",
        Some(ITSELF),
    ),
    (
        |it| it.text("general.type", "dataset"),
        "it holds something of type \"dataset\", not a language model",
        Some(ITSELF),
    ),
    (
        |it| {
            it.parts.clear();
            it
        },
        "it holds a vocabulary without weights, not a language model",
        Some(ITSELF),
    ),
    (
        |it| it.count("split.count", 2).count("split.no", 0),
        "it is part 1 of 2 of a split model",
        Some("join the parts with llama-gguf-split of llama.cpp, which has an option for it"),
    ),
    (
        |it| {
            it.part("blk.0.attn_q.weight").kind = 10;
            it
        },
        "tensor blk.0.attn_q.weight has type Q2_K; supported are F32, F16, BF16, Q8_0, Q6_K, Q5_K, Q5_1, Q5_0, Q4_K, Q4_1, Q4_0",
        Some("choose a file of another quantisation of this model, such as Q8_0 or Q4_K_M"),
    ),
    (
        |it| {
            it.part("blk.0.attn_q.weight").kind = 4711;
            it
        },
        "tensor blk.0.attn_q.weight has type number 4711; supported are F32, F16, BF16, Q8_0, Q6_K, Q5_K, Q5_1, Q5_0, Q4_K, Q4_1, Q4_0",
        Some("choose a file of another quantisation of this model, such as Q8_0 or Q4_K_M"),
    ),
    (
        |it| {
            it.part("blk.0.attn_q.weight").kind = 12;
            it
        },
        "tensor blk.0.attn_q.weight: a row has 32 values; expected a multiple of 256 for Q4_K",
        None,
    ),
    (
        |it| {
            it.part("output_norm.weight").shape = vec![0];
            it
        },
        "tensor output_norm.weight: it has shape [0], which holds nothing",
        None,
    ),
    (
        |it| {
            it.part("output_norm.weight").shape = vec![];
            it
        },
        "tensor output_norm.weight: it has 0 dimensions; expected 1 to 4",
        None,
    ),
    (
        |it| {
            it.part("output_norm.weight").shape = vec![1; 5];
            it
        },
        "tensor output_norm.weight: it has 5 dimensions; expected 1 to 4",
        None,
    ),
    (
        |it| {
            it.part("output_norm.weight").shape = vec![1 << 40, 1 << 40];
            it
        },
        "tensor output_norm.weight: it has shape [1099511627776, 1099511627776], which is too large",
        None,
    ),
    (
        |it| {
            it.part("output_norm.weight").shape = vec![u64::MAX];
            it
        },
        "tensor output_norm.weight: it has shape [18446744073709551615], which is too large",
        None,
    ),
    (
        |it| {
            it.part("output_norm.weight").shape = vec![2, 16];
            it
        },
        "tensor output_norm.weight: its shape is [2, 16]; the metadata asks for [32]",
        None,
    ),
    (
        |it| {
            it.parts.retain(|part| part.name != "blk.1.ffn_up.weight");
            it
        },
        "tensor blk.1.ffn_up.weight: it is missing",
        None,
    ),
    (
        |it| {
            it.parts.retain(|part| part.name != "token_embd.weight");
            it
        },
        "tensor token_embd.weight: it is missing",
        None,
    ),
    (
        |it| {
            it.part("blk.0.attn_q.weight").name = "blk.0.attn_k.weight".to_owned();
            it
        },
        "the tensor \"blk.0.attn_k.weight\" occurs twice",
        None,
    ),
    (
        |it| {
            it.parts.push(norm("blk.0.ffn_gate_inp.weight"));
            it
        },
        "tensor blk.0.ffn_gate_inp.weight: no model of architecture llama that is supported has it",
        None,
    ),
    (
        |it| {
            it.parts.push(norm("rope_freqs.weight"));
            it
        },
        "tensor rope_freqs.weight: it has shape [32] in F32; expected [4] in F32",
        None,
    ),
    (
        |it| {
            let mut factors = norm("rope_freqs.weight");
            (factors.shape, factors.bytes) = (
                vec![4],
                [1.0_f32, 7.0, 2.0, 3.0].map(f32::to_le_bytes).concat(),
            );
            it.parts.push(factors);
            it
        },
        "tensor rope_freqs.weight: its values are not those of llama3 scaling",
        None,
    ),
    (
        |it| it.count("general.alignment", 0),
        "general.alignment is 0; expected a power of two up to 1048576",
        None,
    ),
    (
        |it| it.count("general.alignment", 24),
        "general.alignment is 24; expected a power of two up to 1048576",
        None,
    ),
    (
        |it| it.text("general.alignment", "32"),
        "general.alignment is no number; expected a power of two up to 1048576",
        None,
    ),
    (
        |it| it.without("llama.block_count"),
        "llama.block_count is missing; expected a value",
        None,
    ),
    (
        |it| it.count("llama.block_count", u32::MAX),
        "llama.block_count is 4294967295; expected a whole number",
        None,
    ),
    (
        |it| it.count("llama.block_count", 1 << 30),
        "llama.block_count is 1073741824; expected at most the number of tensors, 21",
        None,
    ),
    (
        |it| it.count("llama.block_count", 3),
        "tensor blk.2.attn_q.weight: it is missing",
        None,
    ),
    (
        |it| it.count("llama.block_count", 1),
        "tensor blk.1.attn_k.weight: no model of architecture llama that is supported has it",
        None,
    ),
    (
        |it| it.text("llama.embedding_length", "32"),
        "llama.embedding_length is \"32\"; expected a whole number",
        None,
    ),
    (
        |it| it.count("llama.attention.head_count", 0),
        "llama.attention.head_count is 0; expected a positive whole number",
        None,
    ),
    (
        |it| it.integers("llama.attention.head_count", &[4, 2]),
        "llama.attention.head_count is a list; expected the same for every layer",
        None,
    ),
    (
        |it| it.count("llama.attention.head_count_kv", 3),
        "num_key_value_heads is 3; expected a divisor of num_attention_heads, 4",
        None,
    ),
    (
        |it| it.count("llama.attention.value_length", 16),
        "llama.attention.value_length is 16; expected the width of a head, 8",
        None,
    ),
    (
        |it| it.count("llama.rope.dimension_count", 4),
        "llama.rope.dimension_count is 4; expected the width of a head, 8",
        None,
    ),
    (
        |it| it.float("llama.attention.layer_norm_rms_epsilon", f32::NAN),
        "llama.attention.layer_norm_rms_epsilon is NaN; expected a finite number",
        None,
    ),
    (
        |it| it.text("llama.rope.scaling.type", "yarn"),
        "llama.rope.scaling.type is yarn; expected none or linear",
        None,
    ),
    (
        |it| it.float("llama.rope.scaling.factor", -2.0),
        "llama.rope.scaling.factor is -2; expected a positive number",
        None,
    ),
    (
        |it| it.count("llama.expert_count", 8),
        "llama.expert_count is 8; expected 0 or nothing",
        None,
    ),
    (
        |it| it.count("llama.attention.sliding_window", 4096),
        "llama.attention.sliding_window is 4096; expected 0 or nothing",
        None,
    ),
    (
        |it| it.boolean("llama.attention.causal", false),
        "llama.attention.causal is false; expected true",
        None,
    ),
    (
        |it| it.without("tokenizer.ggml.model"),
        "tokenizer.ggml.model is missing; expected a value",
        None,
    ),
    (
        |it| it.text("tokenizer.ggml.model", "t5"),
        "the tokenizer is not supported: it is of kind \"t5\"; supported are gpt2 and llama",
        None,
    ),
    (
        |it| it.text("tokenizer.ggml.pre", "bloom"),
        "the tokenizer is not supported: its pre-tokenizer is \"bloom\"; supported are default, llama-bpe, dbrx, qwen2, deepseek-r1-qwen, smollm, gpt-2, tekken, deepseek-coder",
        None,
    ),
    (
        |it| it.without("tokenizer.ggml.tokens"),
        "tokenizer.ggml.tokens is missing; expected a value",
        None,
    ),
    (
        |it| it.texts("tokenizer.ggml.tokens", &["a", "b"]),
        "tokenizer.ggml.tokens is a list of 2; expected one for each of the 160 embeddings",
        None,
    ),
    (
        |it| it.texts("tokenizer.ggml.tokens", &["a"; 160]),
        "the token \"a\" occurs twice",
        None,
    ),
    (
        |it| it.integers("tokenizer.ggml.token_type", &[1, 1]),
        "tokenizer.ggml.token_type is a list of 2 integers; expected a list of 160 integers",
        None,
    ),
    (
        |it| it.without("tokenizer.ggml.merges"),
        "tokenizer.ggml.merges is missing; expected a value",
        None,
    ),
    (
        |it| it.texts("tokenizer.ggml.merges", &["t1"]),
        "tokenizer.ggml.merges is \"t1\"; expected pairs of texts",
        None,
    ),
    (
        |it| it.texts("tokenizer.ggml.merges", &["a b"]),
        "the tokenizer is not supported: Token `a` out of vocabulary",
        None,
    ),
    (
        |it| it.count("tokenizer.ggml.eos_token_id", 160),
        "tokenizer.ggml.eos_token_id is 160; expected a token id below 160",
        None,
    ),
    (
        |it| it.boolean("tokenizer.ggml.add_bos_token", true),
        "tokenizer.ggml.bos_token_id is missing; expected a token id",
        None,
    ),
    (
        |it| it.text("tokenizer.ggml.model", "llama"),
        "tokenizer.ggml.scores is missing; expected a value",
        None,
    ),
    (
        |it| {
            it.text("tokenizer.ggml.model", "llama");
            it.floats("tokenizer.ggml.scores", &[f32::NAN; 160])
        },
        "tokenizer.ggml.scores is NaN; expected numbers",
        None,
    ),
    (
        |it| it.text("tokenizer.chat_template", "{% for %}"),
        "the tokenizer is not supported: its chat template is not valid: unexpected end of block, expected in (template line 1)",
        None,
    ),
];

fn norm(name: &str) -> GgufPart {
    GgufPart {
        name: name.to_owned(),
        shape: vec![32],
        kind: F32,
        bytes: vec![0; 128],
    }
}

#[test]
fn what_is_wrong_is_named() {
    for (change, message, hint) in CHANGES {
        let mut draft = small();
        change(&mut draft);
        let (found, found_hint) = refusal(&draft.bytes());
        assert_eq!(found, format!("FILE: {message}"));
        assert_eq!(found_hint.as_deref(), *hint, "{message}");
    }
    assert!(CHANGES.len() >= 60);
}

/// Folders in which other programs keep their models are told apart from those of checkpoints.
#[test]
fn folders_of_other_programs_are_told_which_file_to_name() {
    let home = tempfile::tempdir().unwrap();
    let file = |name: &str| {
        let path = home.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, small().bytes()).unwrap();
    };
    file("studio/publisher/model/mmproj-model.gguf");
    file("studio/publisher/model/model-Q4_K_M.gguf");
    file("ollama/models/blobs/sha256-00");
    fs::create_dir_all(home.path().join("ollama/models/manifests/registry")).unwrap();
    let refusal = |name: &str| {
        let dir = home.path().join(name);
        let failure = Failure::from(open(&dir, home.path()).unwrap_err());
        let place = home.path().display().to_string();
        let hint = failure.hint.unwrap_or_default();
        (
            failure.class,
            failure.message.replace(&place, "HOME"),
            hint.replace(&place, "HOME"),
        )
    };
    for folder in ["studio", "studio/publisher", "studio/publisher/model"] {
        let message = format!("HOME/{folder} has no config.json; it is a folder of GGUF files");
        let hint = "name the file: HOME/studio/publisher/model/model-Q4_K_M.gguf";
        let expected = (ExitClass::BadInput, message, hint.to_owned());
        assert_eq!(refusal(folder), expected);
    }
    for folder in ["ollama", "ollama/models", "ollama/models/blobs"] {
        let message = format!("HOME/{folder} is a folder in which Ollama keeps its models");
        let hint = "name the model's file: it is in the line FROM of the Modelfile that `ollama \
                    show` prints";
        let expected = (ExitClass::BadInput, message, hint.to_owned());
        assert_eq!(refusal(folder), expected);
    }
    // Ollama's files have no ending; what they begin with tells.
    let blob = home.path().join("ollama/models/blobs/sha256-00");
    assert_eq!(open(&blob, home.path()).unwrap().config.vocab_size, 160);
}

/// Counts and lengths that the file has no room for are refused before memory is taken for them.
#[test]
fn counts_and_places_must_fit_the_file() {
    let draft = small();
    let valid = draft.bytes();
    let huge = (1_u64 << 50).to_le_bytes();
    let at = |place: usize| {
        let mut bytes = valid.clone();
        bytes[place..place + 8].copy_from_slice(&huge);
        bytes
    };
    let size = valid.len() as u64;
    let room = |at: u64, width: u64| (size - at) / width;
    let architecture = b"general.architecture\x08\0\0\0\x05\0\0\0\0\0\0\0";
    let tokens = b"tokenizer.ggml.tokens\x09\0\0\0\x08\0\0\0\xa0\0\0\0\0\0\0\0";
    let place = |what: &[u8]| {
        let found = valid.windows(what.len()).position(|it| it == what);
        found.unwrap() as u64 + what.len() as u64
    };
    let number = 1_u64 << 50;
    let says = |what: &str, room: u64| {
        format!("FILE: {what} is {number}, and the file has room for {room}")
    };
    let cases = [
        (at(8), says("the number of tensors", room(16, 24))),
        (at(16), says("the number of metadata keys", room(24, 13))),
        (at(24), says("the length of a metadata key", room(32, 1))),
        (
            at(place(architecture) as usize - 8),
            says(
                "the length of general.architecture",
                room(place(architecture), 1),
            ),
        ),
        (
            at(place(tokens) as usize - 8),
            says(
                "the length of tokenizer.ggml.tokens",
                room(place(tokens), 8),
            ),
        ),
        (
            at(place(tokens) as usize),
            says(
                "the length of tokenizer.ggml.tokens",
                room(place(tokens) + 8, 1),
            ),
        ),
    ];
    for (bytes, message) in cases {
        assert_eq!(refusal(&bytes), (message, Some(DAMAGED.to_owned())));
    }
    let last = draft.parts.len() - 1;
    let places = |change: fn(&mut Vec<u64>)| {
        let mut place = 0;
        let mut places = Vec::new();
        for part in &draft.parts {
            places.push(place);
            place += (part.bytes.len() as u64).next_multiple_of(32);
        }
        change(&mut places);
        draft.bytes_at(&places)
    };
    let [one, two, end] = [0, 1, last].map(|at| draft.parts[at].name.clone());
    let cases = [
        (
            places(|places| places[1] = places[0]),
            format!("FILE: tensor {two}: it overlaps {one}"),
        ),
        (
            places(|places| places[1] += 8),
            format!("FILE: tensor {two}: its place 20488 is not a multiple of 32"),
        ),
        (
            places(|places| *places.last_mut().unwrap() += 32),
            format!("FILE: the file ends at byte {size}, within tensor {end}"),
        ),
        (
            places(|places| *places.last_mut().unwrap() = u64::MAX - 31),
            format!("FILE: the file ends at byte {size}, within tensor {end}"),
        ),
        (
            patched(
                valid.clone(),
                b"general.architecture",
                b"general.architectur\xff",
            ),
            "FILE: a metadata key is not UTF-8".to_owned(),
        ),
        (
            patched(
                valid.clone(),
                b"general.architecture\x08",
                b"general.architecture\x0d",
            ),
            "FILE: metadata key \"general.architecture\" has type 13, which GGUF does not define"
                .to_owned(),
        ),
    ];
    for (bytes, message) in cases {
        assert_eq!(refusal(&bytes).0, message);
    }
}

/// Cut anywhere, a file is refused.
#[test]
fn a_part_of_a_file_is_refused() {
    let valid = small().bytes();
    let (home, path) = written(&small());
    // The last tensor ends at a multiple of the alignment.
    for length in (0..valid.len())
        .step_by(97)
        .chain(valid.len() - 40..valid.len())
    {
        fs::write(&path, &valid[..length]).unwrap();
        assert!(open(&path, home.path()).is_err(), "{length}");
    }
}

/// Whatever a byte of the header is changed to, the answer is a base or an error.
#[test]
fn changed_bytes_never_stop_the_program() {
    let valid = small().bytes();
    let values: usize = small().parts.iter().map(|it| it.bytes.len()).sum();
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("model.gguf");
    for at in (0..valid.len() - values).step_by(5) {
        let mut bytes = valid.clone();
        bytes[at] ^= if at % 2 == 0 { 0xff } else { 1 };
        fs::write(&path, bytes).unwrap();
        drop(open(&path, home.path()));
    }
}

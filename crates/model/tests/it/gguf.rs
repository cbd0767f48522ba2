//! GGUF files as bases: their values, their vocabularies, and the cache.

mod refused;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Barrier,
};

use half::f16;
use openlora_model::{
    BaseModel, BaseProgress, BaseRequest, ModelConfig, ModelError,
    gguf::{BlockType, ConversionProgress, MOST_CONVERSIONS},
    open_base,
    text::{ChatMessage, TextCodec},
};
use safetensors::SafeTensors;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::gguf_files::{self as writer, F16, GgufDraft};
use crate::golden;
use crate::paths::repository;

fn data(name: &str) -> PathBuf {
    repository().join("tests/data/gguf").join(name)
}

fn nano_dir() -> PathBuf {
    repository().join("assets/nano")
}

fn request(path: &Path, home: &Path) -> BaseRequest {
    BaseRequest {
        id: path.display().to_string(),
        revision: "main".to_owned(),
        endpoint: "http://127.0.0.1:9".to_owned(),
        models_dir: home.join("models"),
        nano_dir: home.join("nano"),
        token: None,
        offline: true,
    }
}

/// The base in a file, and the reports of opening it.
fn open_reporting(
    path: &Path,
    home: &Path,
) -> (Result<BaseModel, ModelError>, Vec<ConversionProgress>) {
    let mut reports = Vec::new();
    let opened = open_base(&request(path, home), &mut |progress| match progress {
        BaseProgress::Conversion(progress) => reports.push(progress),
        BaseProgress::Download(progress) => panic!("{progress:?}"),
    });
    (opened, reports)
}

fn open(path: &Path, home: &Path) -> Result<BaseModel, ModelError> {
    open_reporting(path, home).0
}

/// A file in a folder of its own, which also is the home of the cache.
fn written(draft: &GgufDraft) -> (TempDir, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("model.gguf");
    fs::write(&path, draft.bytes()).unwrap();
    (home, path)
}

type Tensors = BTreeMap<String, (String, Vec<usize>, String)>;

/// Type, shape and SHA-256 of each tensor of a folder.
fn tensors(dir: &Path) -> Tensors {
    let bytes = fs::read(dir.join("model.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let digest = |data: &[u8]| hex::encode(Sha256::digest(data));
    file.tensors()
        .into_iter()
        .map(|(name, view)| {
            let (kind, shape) = (format!("{:?}", view.dtype()), view.shape().to_vec());
            (name, (kind, shape, digest(view.data())))
        })
        .collect()
}

#[test]
fn every_type_has_the_values_that_gguf_computes() {
    let home = tempfile::tempdir().unwrap();
    let base = open(&data("types.gguf"), home.path()).unwrap();
    let expected: Tensors = serde_json::from_slice(&fs::read(data("types.json")).unwrap()).unwrap();
    assert_eq!(tensors(&base.dir), expected);
    assert_eq!(base.gguf.unwrap().kind, BlockType::Q4K);
}

/// The converter's order of q and k, its names and its scaling of frequencies are undone.
#[test]
fn models_of_every_family_become_the_checkpoints_that_they_were() {
    for name in golden::FAMILIES
        .iter()
        .chain(&["llama-rope3", "llama-linear"])
    {
        let dir = golden::dir(name);
        let mut draft = writer::of_checkpoint(&dir);
        writer::add_plain_vocabulary(&mut draft, 160);
        let original = ModelConfig::read(&dir.join("config.json")).unwrap();
        match *name {
            "llama-rope3" => {
                draft.parts.push(rope_factors(&original));
            }
            "llama-linear" => {
                draft.text("llama.rope.scaling.type", "linear");
                draft.float("llama.rope.scaling.factor", 2.5);
            }
            _ => {}
        }
        let (home, path) = written(&draft);
        let base = open(&path, home.path()).unwrap();
        let expected = ModelConfig {
            // GGUF has one architecture for both.
            family: match *name {
                "mistral" => openlora_model::ModelFamily::Llama,
                _ => original.family,
            },
            source: base.config.source.clone(),
            ..original
        };
        assert_eq!(base.config, expected, "{name}");
        assert_eq!(tensors(&base.dir), tensors(&dir), "{name}");
    }
}

/// The tensor in which the converter stores llama3 scaling.
fn rope_factors(config: &ModelConfig) -> writer::GgufPart {
    let unscaled = ModelConfig {
        rope_scaling: openlora_model::RopeScaling::None,
        ..config.clone()
    };
    let (plain, scaled) = (unscaled.rope_frequencies(), config.rope_frequencies());
    let factors: Vec<u8> = plain
        .iter()
        .zip(&scaled)
        .flat_map(|(plain, scaled)| (plain / scaled).to_le_bytes())
        .collect();
    writer::GgufPart {
        name: "rope_freqs.weight".to_owned(),
        shape: vec![plain.len() as u64],
        kind: writer::F32,
        bytes: factors,
    }
}

#[test]
fn floats_keep_their_type() {
    let mut draft = writer::nano(&nano_dir());
    let norm = draft.part("output_norm.weight");
    norm.kind = F16;
    let wide: Vec<f16> = (0..norm.bytes.len() / 2)
        .map(|at| f16::from_f32(at as f32))
        .collect();
    norm.bytes = wide.iter().flat_map(|it| it.to_le_bytes()).collect();
    let expected = hex::encode(Sha256::digest(&norm.bytes));
    let (home, path) = written(&draft);
    let found = tensors(&open(&path, home.path()).unwrap().dir);
    let mut all = tensors(&nano_dir());
    let norm = ("F16".to_owned(), vec![256], expected);
    all.insert("model.norm.weight".to_owned(), norm);
    assert_eq!(found, all);
}

/// Int8 matrices are made from f32 rows: the blocks of a Q8_0 file come back when the scale is the
/// largest magnitude over 127, rounded to f16.
#[test]
fn blocks_of_q8_0_are_requantised_to_themselves() {
    let mut block = [0; 34];
    for bits in 0..=u16::MAX {
        let scale = f16::from_bits(bits);
        // Quantisers write positive scales of ordinary size.
        if !(f16::MIN_POSITIVE..=f16::from_f32(500.0)).contains(&scale) {
            continue;
        }
        let mut stored: Vec<i8> = (0..32)
            .map(|at| ((at * 37 + i32::from(bits)) % 255 - 127) as i8)
            .collect();
        // The largest magnitude of a block is always 127.
        stored[usize::from(bits) % 32] = if bits % 2 == 0 { 127 } else { -127 };
        block[..2].copy_from_slice(&scale.to_le_bytes());
        for (byte, value) in block[2..].iter_mut().zip(&stored) {
            *byte = *value as u8;
        }
        let mut values = [0.0; 32];
        BlockType::Q8_0.dequantise(&block, &mut values);
        let largest = values.iter().fold(0.0_f32, |most, it| most.max(it.abs()));
        let again = f16::from_f32(largest / 127.0);
        let inverse = 1.0 / again.to_f32();
        let found: Vec<i8> = values
            .iter()
            .map(|it| (it * inverse).round() as i8)
            .collect();
        assert_eq!((again, found), (scale, stored));
    }
}

#[derive(serde::Deserialize)]
struct Tokens {
    lines: Vec<String>,
    ids: BTreeMap<String, Vec<Vec<u32>>>,
}

/// Digits, scripts, code, emoji and white space under every pre-tokenizer.
#[test]
fn token_ids_are_those_of_llama_cpp() {
    let tokens: Tokens = serde_json::from_slice(&fs::read(data("tokens.json")).unwrap()).unwrap();
    for (rule, expected) in &tokens.ids {
        let mut draft = writer::of_checkpoint(&nano_dir());
        writer::add_vocabulary(&mut draft, &nano_dir(), rule);
        draft.count("tokenizer.ggml.bos_token_id", 0);
        let (home, mut path) = written(&draft);
        if rule == "sentencepiece" {
            path = data("sentencepiece.gguf");
        }
        let codec = TextCodec::open(&open(&path, home.path()).unwrap().dir).unwrap();
        for (line, expected) in tokens.lines.iter().zip(expected) {
            let found = codec.encode(line, true).unwrap();
            assert_eq!(&found, expected, "{rule}: {line:?}");
        }
    }
}

#[test]
fn a_sentencepiece_vocabulary_gives_texts_back() {
    let tokens: Tokens = serde_json::from_slice(&fs::read(data("tokens.json")).unwrap()).unwrap();
    let home = tempfile::tempdir().unwrap();
    let base = open(&data("sentencepiece.gguf"), home.path()).unwrap();
    let codec = TextCodec::open(&base.dir).unwrap();
    // Spaces cannot be told from their sign, and each special token is followed by one more.
    for line in tokens.lines.iter().filter(|it| !it.contains(['▁', '<'])) {
        let ids = codec.encode(line, false).unwrap();
        assert_eq!(&codec.decode(&ids).unwrap(), line);
    }
    assert_eq!(codec.stop_ids(), [2, codec.token_id("<|im_end|>").unwrap()]);
    assert_eq!(codec.document_end(), Some(2));
    assert_eq!(codec.token_bytes(codec.token_id("<0xE2>").unwrap()), [0xE2]);
}

#[test]
fn the_embedded_base_is_the_same_in_gguf() {
    let (home, path) = written(&writer::nano(&nano_dir()));
    let base = open(&path, home.path()).unwrap();
    let [found, expected] = [&base.dir, &nano_dir()].map(|dir| TextCodec::open(dir).unwrap());
    let chat = [
        ("system", "Be brief."),
        ("user", "What is 12 + 30? <|im_end|>"),
        ("assistant", "42"),
    ];
    let chat = chat.map(|(role, content)| ChatMessage {
        role: role.to_owned(),
        content: content.to_owned(),
    });
    assert_eq!(
        found.encode_chat(&chat, true).unwrap(),
        expected.encode_chat(&chat, true).unwrap()
    );
    assert_eq!(found.document_end(), expected.document_end());
    // The end of a document ends an answer as well, as in llama.cpp.
    assert_eq!(found.stop_ids(), [0, 2]);
    assert_eq!(tensors(&base.dir), tensors(&nano_dir()));
    let expected = ModelConfig {
        source: base.config.source.clone(),
        ..ModelConfig::read(&nano_dir().join("config.json")).unwrap()
    };
    assert_eq!(base.config, expected);
}

#[test]
fn kinds_of_tokens_and_their_roles_are_kept() {
    let mut draft = writer::of_checkpoint(&golden::dir("llama"));
    let mut tokens: Vec<String> = (0..160).map(|at| format!("t{at}")).collect();
    for (id, token) in [
        (1, "<s>"),
        (2, "</s>"),
        (3, "<tool>"),
        (4, "<|eot_id|>"),
        (5, ""),
    ] {
        token.clone_into(&mut tokens[id]);
    }
    let mut kinds = [1; 160];
    (kinds[2], kinds[3], kinds[6]) = (3, 4, 5);
    draft
        .text("tokenizer.ggml.model", "gpt2")
        .text("tokenizer.ggml.pre", "llama-bpe")
        .texts("tokenizer.ggml.tokens", &tokens)
        .integers("tokenizer.ggml.token_type", &kinds)
        .texts("tokenizer.ggml.merges", &[""; 0])
        .count("tokenizer.ggml.bos_token_id", 1)
        .count("tokenizer.ggml.eos_token_id", 2)
        .boolean("tokenizer.ggml.add_eos_token", true);
    let (home, path) = written(&draft);
    let base = open(&path, home.path()).unwrap();
    let read = |name: &str| -> Value {
        serde_json::from_slice(&fs::read(base.dir.join(name)).unwrap()).unwrap()
    };
    assert_eq!(
        read("generation_config.json"),
        json!({ "bos_token_id": 1, "eos_token_id": [2, 4] })
    );
    assert_eq!(
        read("tokenizer_config.json"),
        json!({
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": "<s>",
            "eos_token": "</s>",
        })
    );
    let tokenizer = read("tokenizer.json");
    let added: Vec<(u64, bool)> = tokenizer["added_tokens"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (it["id"].as_u64().unwrap(), it["special"].as_bool().unwrap()))
        .collect();
    assert_eq!(added, [(1, true), (2, true), (3, false), (4, true)]);
    let codec = TextCodec::open(&base.dir).unwrap();
    assert_eq!(
        codec.encode("<tool><|eot_id|>", true).unwrap(),
        [1, 3, 4, 2]
    );
    assert_eq!([codec.token_id("t6"), codec.token_id("")], [None, None]);
}

#[test]
fn the_file_is_the_identity_and_is_converted_once() {
    let (home, path) = written(&writer::nano(&nano_dir()));
    let sha256 = hex::encode(Sha256::digest(fs::read(&path).unwrap()));
    let (first, reports) = open_reporting(&path, home.path());
    let first = first.unwrap();
    let size = fs::metadata(first.dir.join("model.safetensors"))
        .unwrap()
        .len();
    let started = ConversionProgress::Started {
        file: "model.gguf".to_owned(),
        kind: BlockType::Bf16,
        bytes: size,
    };
    assert_eq!(reports[0], started);
    assert_eq!(reports.last(), Some(&ConversionProgress::Finished));
    let advanced: u64 = reports
        .iter()
        .map(|report| match report {
            ConversionProgress::Advanced { bytes } => *bytes,
            _ => 0,
        })
        .sum();
    assert_eq!(advanced, size);
    assert_eq!(first.digest, sha256);
    assert_eq!(first.revision, None);

    let renamed = home.path().join("other name.bin");
    fs::rename(&path, &renamed).unwrap();
    let (second, reports) = open_reporting(&renamed, home.path());
    let second = second.unwrap();
    assert_eq!(reports, []);
    assert_eq!(
        (second.digest, second.dir, second.gguf.unwrap().sha256),
        (first.digest, first.dir, first.gguf.unwrap().sha256)
    );
}

#[test]
fn a_damaged_folder_is_made_again() {
    let (home, path) = written(&writer::nano(&nano_dir()));
    let dir = open(&path, home.path()).unwrap().dir;
    let whole = contents(&dir);
    let damages: [fn(&Path); 6] = [
        |dir| fs::remove_file(dir.join("SHA256SUMS")).unwrap(),
        |dir| fs::write(dir.join("SHA256SUMS"), "").unwrap(),
        |dir| fs::remove_file(dir.join("tokenizer.json")).unwrap(),
        |dir| fs::write(dir.join("config.json"), "{}").unwrap(),
        |dir| {
            let path = dir.join("model.safetensors");
            let mut bytes = fs::read(&path).unwrap();
            *bytes.last_mut().unwrap() ^= 1;
            fs::write(path, bytes).unwrap();
        },
        |dir| {
            let file = fs::File::options()
                .write(true)
                .open(dir.join("model.safetensors"));
            file.unwrap().set_len(1000).unwrap();
        },
    ];
    for damage in damages {
        damage(&dir);
        // As a crash leaves it.
        fs::create_dir(dir.with_file_name(".openlora-draft-0123456789abcdef")).unwrap();
        assert_ne!(contents(&dir), whole);
        assert_eq!(open(&path, home.path()).unwrap().dir, dir);
        assert_eq!(contents(&dir), whole);
        let home = dir.parent().unwrap();
        assert_eq!(names(home), ["1", "lock"]);
    }
}

/// Files with different contents, in a folder that also is the home of the cache.
fn several(count: usize) -> (TempDir, Vec<PathBuf>) {
    let home = tempfile::tempdir().unwrap();
    let bytes = writer::nano(&nano_dir()).bytes();
    let write = |number: usize| {
        let path = home.path().join(format!("{number}.gguf"));
        let mut bytes = bytes.clone();
        *bytes.last_mut().unwrap() = number as u8;
        fs::write(&path, bytes).unwrap();
        path
    };
    let paths = (0..count).map(write).collect();
    (home, paths)
}

/// Which of the files have a conversion.
fn converted(home: &Path, paths: &[PathBuf]) -> Vec<usize> {
    let has = |path: &PathBuf| {
        let sha256 = hex::encode(Sha256::digest(fs::read(path).unwrap()));
        home.join("models/gguf").join(sha256).is_dir()
    };
    let all = paths.iter().enumerate().filter(|(_, path)| has(path));
    all.map(|(number, _)| number).collect()
}

#[test]
fn conversions_that_were_not_used_for_longest_are_removed() {
    let (home, paths) = several(MOST_CONVERSIONS + 2);
    let home = home.path();
    let open = |number: usize| open(&paths[number], home).unwrap();
    (0..MOST_CONVERSIONS).for_each(|number| drop(open(number)));
    let all: Vec<usize> = (0..MOST_CONVERSIONS).collect();
    assert_eq!(converted(home, &paths), all);
    // The first one is used again, and the second one is in use.
    let first = open(0).dir;
    let used = open(1);
    (2..MOST_CONVERSIONS).for_each(|number| drop(open(number)));
    drop(open(0));
    drop(open(MOST_CONVERSIONS));
    drop(open(MOST_CONVERSIONS + 1));
    let left: Vec<usize> = (0..2).chain(4..MOST_CONVERSIONS + 2).collect();
    assert_eq!(converted(home, &paths), left);
    assert!(first.join("model.safetensors").is_file());
    // Nothing but the conversions and their records is there.
    let folder = home.join("models/gguf");
    assert_eq!(names(&folder).len(), 2 * MOST_CONVERSIONS);
    drop(used);
    let again = open(2).dir;
    assert!(again.join("model.safetensors").is_file());
    let left: Vec<usize> = [0]
        .into_iter()
        .chain([2])
        .chain(4..MOST_CONVERSIONS + 2)
        .collect();
    assert_eq!(converted(home, &paths), left);
}

#[test]
fn conversions_of_files_that_are_gone_or_changed_are_removed_first() {
    let (home, paths) = several(5);
    let home = home.path();
    let open = |number: usize| open(&paths[number], home).unwrap();
    let folders: Vec<PathBuf> = (0..3).map(|number| open(number).dir).collect();
    let used = open(3);
    fs::remove_file(&paths[0]).unwrap();
    let mut bytes = fs::read(&paths[1]).unwrap();
    bytes.push(0);
    fs::write(&paths[1], bytes).unwrap();
    fs::remove_file(&paths[3]).unwrap();
    let is_there: Vec<bool> = folders.iter().map(|dir| dir.exists()).collect();
    assert_eq!(is_there, [true, true, true]);
    drop(open(4));
    let is_there: Vec<bool> = folders.iter().map(|dir| dir.exists()).collect();
    assert_eq!(is_there, [false, false, true]);
    // One in use stays, and what an earlier version made without a record.
    assert!(used.dir.is_dir());
    let record = folders[2].parent().unwrap().with_extension("json");
    fs::remove_file(record).unwrap();
    assert_eq!(open(2).dir, folders[2]);
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn contents(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let read = |name: String| {
        let bytes = fs::read(dir.join(&name)).unwrap();
        (name, bytes)
    };
    names(dir).into_iter().map(read).collect()
}

#[test]
fn of_many_at_once_one_converts_and_the_others_share() {
    let (home, path) = written(&writer::nano(&nano_dir()));
    let (path, home) = (&path, home.path());
    let start = &Barrier::new(8);
    let opened: Vec<(PathBuf, usize)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(move || {
                    start.wait();
                    let (base, reports) = open_reporting(path, home);
                    let is_start =
                        |it: &&ConversionProgress| matches!(it, ConversionProgress::Started { .. });
                    (base.unwrap().dir, reports.iter().filter(is_start).count())
                })
            })
            .collect();
        threads.into_iter().map(|it| it.join().unwrap()).collect()
    });
    assert_eq!(opened.iter().map(|(_, started)| started).sum::<usize>(), 1);
    assert!(opened.iter().all(|(dir, _)| *dir == opened[0].0));
}

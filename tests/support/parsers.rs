//! Every function that reads strangers' bytes, behind one that takes nothing else. The fuzz targets call
//! them, and a test passes the kept corpus through them. They must not panic, loop, or take memory out
//! of proportion; what they accept must survive being written and read again.

use std::{fs, path::Path};

use openlora_container::unpack;
use openlora_distribution::{PullLimits, package_layers, unpack_archive};
use openlora_model::{adapter, gguf};
use openlora_package::{
    Certificate, Manifest, ModelSignature, ReleaseEnvelope, TrustedRoots, certificates_from_pem,
};
use openlora_payments::x402::wire::{
    PaymentPayload, PaymentRequired, SchemePayload, SettleResponse,
};
use openlora_pictures::{ReadLimits, read_picture, read_png_texts};
use openlora_serve::PublishedReceipt;
use openlora_transparency::{
    CheckpointVerifier, OpenedEntry, PublicEntry, TileKind, TilePath, TlogProof, entries_of_bundle,
};

/// A parser and its name, which is that of its fuzz target and of its folder of kept inputs.
pub type Parser = (&'static str, fn(&[u8]));

pub const PARSERS: &[Parser] = &[
    ("safetensors", safetensors),
    ("adapter_config", adapter_config),
    ("manifest", manifest),
    ("model_signature", model_signature),
    ("certificate", certificate),
    ("eip712", eip712),
    ("picture", picture),
    ("oci_manifest", oci_manifest),
    ("image_layout", image_layout),
    ("archive", archive),
    ("tile", tile),
    ("tlog_proof", tlog_proof),
    ("gguf", gguf_file),
    ("x402", x402),
    ("receipt", receipt),
    ("tokenizer", tokenizer),
];

/// A key of a log that exists for these inputs alone.
const VKEY: &str = "example.com/log+702f3c70+AepKbGPinFIKvvVQexMuxfmVR3auvr57kkIe6mkURtIs";

/// The header, the ranges and the values of a weights file.
pub fn safetensors(data: &[u8]) {
    if let Ok(tensors) = adapter::parse_safetensors(data) {
        let held: usize = tensors.values().map(|tensor| tensor.to_f32().len()).sum();
        assert!(held <= data.len(), "{held} values of {} bytes", data.len());
    }
}

/// `adapter_config.json` beside weights that fit it.
pub fn adapter_config(data: &[u8]) {
    in_folder(|dir| {
        put(dir, "adapter_config.json", data);
        put(dir, adapter::WEIGHTS_FILE, WEIGHTS);
        let _ = adapter::read(dir);
    });
}

pub fn manifest(data: &[u8]) {
    if let Ok(manifest) = Manifest::parse(data) {
        assert_eq!(manifest.to_bytes().unwrap(), data);
    }
}

/// `model.sig`, its statement and its certificates.
pub fn model_signature(data: &[u8]) {
    if let Ok(signature) = ModelSignature::parse(data) {
        let _ = signature.recover_key();
        let statement = signature.statement();
        if let Ok(files) = signature.files() {
            assert_eq!(statement.unwrap().files, files);
        }
    }
}

/// A certificate in DER, and a text with some in PEM.
pub fn certificate(data: &[u8]) {
    let mut found = certificates_from_pem(&String::from_utf8_lossy(data)).unwrap_or_default();
    found.extend(Certificate::from_der(data));
    let roots = TrustedRoots {
        certificates: found.last().cloned().into_iter().collect(),
        now: 1_796_000_000,
    };
    let _ = roots.check(&found);
    for certificate in found {
        let _ = certificate.model_key();
        assert_eq!(Certificate::from_der(certificate.der()), Ok(certificate));
    }
}

pub fn eip712(data: &[u8]) {
    if let Ok(envelope) = ReleaseEnvelope::parse(data) {
        assert_eq!(envelope.to_bytes().unwrap(), data);
        let _ = envelope.verify(&openlora_release::eip712::SignerRecovery);
    }
}

/// PNG and the other kinds, with small bounds.
pub fn picture(data: &[u8]) {
    let limits = ReadLimits {
        max_bytes: 1 << 20,
        max_side: 1 << 10,
        max_pixels: 1 << 16,
    };
    let _ = read_picture(data, &limits);
    let _ = read_png_texts(data);
}

pub fn oci_manifest(data: &[u8]) {
    if let Ok(layers) = package_layers("the fuzzer", data) {
        assert!(layers.iter().all(|layer| !layer.path.starts_with('/')));
    }
}

/// `index.json` of an image layout whose blobs are all these bytes too.
pub fn image_layout(data: &[u8]) {
    in_folder(|dir| {
        let layout = dir.join("layout");
        let digest = openlora_package::manifest::Digest::hash_bytes(data);
        put(&layout, "oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#);
        put(&layout, "index.json", data);
        put(&layout.join("blobs/sha256"), &digest.to_string(), data);
        let root = dir.join("root");
        let _ = unpack::unpack(&layout, &root, 1 << 20);
        assert_eq!(names(dir), ["layout", "root"][..names(dir).len()]);
    });
}

/// A package as `.tar.gz`; other bytes are packed before.
pub fn archive(data: &[u8]) {
    use std::io::Write;
    in_folder(|dir| {
        let file = dir.join("archive.tar.gz");
        let limits = PullLimits {
            file: 1 << 20,
            total: 1 << 20,
        };
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(data).unwrap();
        for bytes in [data, &packed.finish().unwrap()] {
            fs::write(&file, bytes).unwrap();
            let _ = unpack_archive("the fuzzer", &file, &dir.join("unpacked"), limits);
        }
        let there = names(dir);
        assert!(
            there
                .iter()
                .all(|it| ["archive.tar.gz", "unpacked"].contains(&it.as_str()))
        );
    });
}

/// The name of a tile, a bundle of entries, and an entry.
pub fn tile(data: &[u8]) {
    if let Some(path) = std::str::from_utf8(data).ok().and_then(TilePath::parse) {
        assert_eq!(path.to_string().as_bytes(), data);
        let _ = path.end();
    }
    for width in [1, 2, 256] {
        let path = TilePath {
            kind: TileKind::Entries,
            index: 0,
            width,
        };
        if let Ok(entries) = entries_of_bundle(path, data) {
            assert_eq!(entries.len(), usize::from(width));
        }
    }
    let _ = PublicEntry::parse(data);
}

/// A `.tlog-proof` file, its extra data, and a checkpoint.
pub fn tlog_proof(data: &[u8]) {
    let verifier = CheckpointVerifier::parse(VKEY).unwrap();
    let _ = verifier.open(data);
    let text = String::from_utf8_lossy(data);
    let _ = CheckpointVerifier::parse(text.trim_end());
    if let Ok(proof) = TlogProof::parse(&text) {
        assert_eq!(proof.to_text(), text);
        let _ = proof.verify(&verifier, b"entry");
        if let Some(extra) = &proof.extra {
            let _ = OpenedEntry::from_extra(extra, proof.index);
        }
    }
}

/// The header of a GGUF file, which is read for the number of its parameters.
pub fn gguf_file(data: &[u8]) {
    in_folder(|dir| {
        put(dir, "base.gguf", data);
        let _ = gguf::count_parameters(&dir.join("base.gguf"));
    });
}

/// The three headers of a payment.
pub fn x402(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    // Corpora are readable: what is no base64 is encoded before.
    use base64::{Engine, engine::general_purpose::STANDARD};
    let encoded = STANDARD.encode(data);
    for text in [text.as_ref(), &encoded] {
        let _ = PaymentRequired::decode(text);
        let _ = SettleResponse::decode(text);
        if let Ok(payment) = PaymentPayload::decode(text) {
            for scheme in ["exact", "batch-settlement"] {
                let _ = SchemePayload::parse(scheme, &payment.payload);
            }
            let _ = payment.accepted();
        }
    }
}

/// A receipt as a server publishes it.
pub fn receipt(data: &[u8]) {
    if let Ok(receipt) = serde_json::from_slice::<PublishedReceipt>(data) {
        let again = serde_json::to_vec(&receipt).unwrap();
        assert_eq!(
            serde_json::from_slice::<PublishedReceipt>(&again).unwrap(),
            receipt
        );
    }
}

/// `tokenizer.json` of a base, and a text through it.
pub fn tokenizer(data: &[u8]) {
    in_folder(|dir| {
        put(dir, "tokenizer.json", data);
        put(dir, "tokenizer_config.json", b"{}");
        if let Ok(codec) = openlora_model::text::TextCodec::open(dir) {
            let ids = codec.encode("Grüße, 世界! 12", false).unwrap_or_default();
            let _ = codec.decode(&ids);
        }
    });
}

/// Two factors of rank 1 of one module.
const WEIGHTS: &[u8] = include_bytes!("../../fuzz/adapter_model.safetensors");

/// A folder in memory where there is one.
fn in_folder(work: impl FnOnce(&Path)) {
    let memory = Path::new("/dev/shm");
    let dir = match memory.is_dir() {
        true => tempfile::tempdir_in(memory),
        false => tempfile::tempdir(),
    };
    work(dir.unwrap().path());
}

fn put(dir: &Path, name: &str, bytes: &[u8]) {
    fs::create_dir_all(dir).unwrap();
    fs::write(dir.join(name), bytes).unwrap();
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let names = entries.map(|it| it.unwrap().file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

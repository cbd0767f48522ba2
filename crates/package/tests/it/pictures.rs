//! Packages of adapters that make pictures: what they state, and bad ones.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use openlora_core::error::Failure;
use openlora_model::{
    BaseRequest, PictureBase,
    adapter::{
        self, HostTensor, LoraAdapter, SAMPLES_FILE, TASK_FILE, TaskCard, WEIGHTS_FILE,
        WriteRequest,
    },
    dataset::Task,
    open_base, open_picture_base,
};
use openlora_package::{
    BaseFacts, RunFacts,
    build::{PackageDraft, PackageMetadata, PackageParts, draft},
    release::SigningDomain,
    verify::{CheckStatus, LocalEvidence, verify},
    write,
};
use openlora_release::eip712::{AccountSigner, SignerRecovery};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::packages::{about, account, evidence, run_facts};

const MODULE: &str = "model.net.double_blocks.0.img_attn_proj";
const RANK: usize = 2;

/// The embedded base, an adapter of it, and its package.
struct Shelf {
    dir: TempDir,
    base: PictureBase,
}

fn request(id: &str, home: &Path) -> BaseRequest {
    BaseRequest {
        id: id.to_owned(),
        revision: "main".to_owned(),
        endpoint: "http://127.0.0.1:9".to_owned(),
        models_dir: home.join("models"),
        nano_dir: home.join("unpacked"),
        token: None,
        offline: true,
    }
}

impl Shelf {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let base = open_picture_base(&request("pico", dir.path()), &mut |_| ()).unwrap();
        Self { dir, base }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn facts(&self) -> BaseFacts {
        BaseFacts::from_picture_base(&self.base).unwrap()
    }

    /// Widths of [`MODULE`].
    fn widths(&self) -> [usize; 2] {
        let mut modules = self.base.modules.iter();
        let module = modules.find(|module| module.path == MODULE).unwrap();
        [module.in_dim, module.out_dim]
    }

    fn request(&self) -> WriteRequest {
        let [in_dim, out_dim] = self.widths();
        let name = |factor: &str| format!("base_model.model.{MODULE}.{factor}.weight");
        let values = |count: usize| (0..count).map(|at| at as f32 * 1e-3).collect::<Vec<_>>();
        let tensors = BTreeMap::from([
            (
                name("lora_A"),
                HostTensor::from_f32(&[RANK, in_dim], &values(RANK * in_dim)),
            ),
            (
                name("lora_B"),
                HostTensor::from_f32(&[out_dim, RANK], &values(out_dim * RANK)),
            ),
        ]);
        WriteRequest {
            base_model: self.base.id.clone(),
            revision: None,
            rank: RANK,
            alpha: 4.0,
            dropout: 0.0,
            rslora: false,
            dora: false,
            rank_pattern: Vec::new(),
            alpha_pattern: Vec::new(),
            target_modules: vec![MODULE.to_owned()],
            tensors,
            task: Some(TaskCard {
                name: "icons".to_owned(),
                task: Task::Image,
                base_id: self.base.id.clone(),
                base_digest: self.base.digest.clone(),
                rows: None,
            }),
            samples: Some(b"\x89PNG sample pictures".to_vec()),
        }
    }

    fn adapter(&self, change: impl FnOnce(&mut WriteRequest)) -> LoraAdapter {
        let mut request = self.request();
        change(&mut request);
        let dir = self.path("adapter");
        adapter::write(&dir, &request).unwrap();
        adapter::read(&dir).unwrap()
    }

    fn draft(&self, adapter: &LoraAdapter) -> Result<PackageDraft, String> {
        let run = RunFacts {
            base_digest: self.base.digest.clone(),
            ..run_facts()
        };
        let about = PackageMetadata {
            name: "icons".into(),
            ..about()
        };
        let made = draft(&PackageParts {
            about: &about,
            adapter,
            base: &self.facts(),
            run: Some(&run),
        });
        made.map_err(|error| {
            let failure = Failure::from(error);
            let hint = failure.hint.unwrap_or_default();
            let text = format!("{}\nhint: {hint}", failure.message);
            text.replace(self.dir.path().to_str().unwrap(), "DIR")
                .replace(&self.base.digest, "DIGEST")
        })
    }

    fn package(&self) -> PathBuf {
        let adapter = self.adapter(|_| ());
        let draft = self.draft(&adapter).unwrap();
        let domain = SigningDomain::for_registry(31_337, None);
        let account = account();
        let signer = AccountSigner(&account);
        let dir = self.path("package");
        write(&dir, &draft, Some((&domain, &signer))).unwrap().dir
    }

    /// The checks that fail, with their reasons.
    fn failures(&self, package: &Path, base: &BaseFacts) -> Vec<String> {
        let gather = |package: &_| LocalEvidence {
            base: Ok(base.clone()),
            ..evidence(package)
        };
        let (report, _) = verify(package, &SignerRecovery, &gather).unwrap();
        let failed = report
            .checks
            .into_iter()
            .filter(|check| check.status == CheckStatus::Fail);
        failed
            .map(|check| format!("{}: {}", check.name, check.reason.unwrap()))
            .collect()
    }
}

#[test]
fn a_package_states_that_its_base_makes_pictures() {
    let shelf = Shelf::new();
    let package = shelf.package();
    assert_eq!(
        shelf.failures(&package, &shelf.facts()),
        Vec::<String>::new()
    );
    let manifest = openlora_package::read(&package).unwrap().manifest;
    assert_eq!(manifest.adapter.kind, "lora");
    assert_eq!(manifest.base.id, "pico");
    assert_eq!(manifest.base.architecture.as_deref(), Some("minit2i"));
    let weights = manifest.base.weights.iter().map(|it| it.path.as_str());
    assert_eq!(
        weights.collect::<Vec<_>>(),
        [
            "diffusion_pytorch_model.safetensors",
            "text_encoder/model.safetensors"
        ]
    );
    let files: Vec<(&str, &str)> = manifest
        .files
        .iter()
        .map(|file| (file.path.as_str(), file.role.as_str()))
        .collect();
    assert!(files.contains(&(SAMPLES_FILE, "samples")), "{files:?}");
    assert!(files.contains(&(TASK_FILE, "task")), "{files:?}");
    let compat = serde_json::to_value(&manifest.compat).unwrap();
    let no = json!({
        "ok": false,
        "reasons": ["it runs models that write text, and the base makes pictures"],
    });
    assert_eq!(
        compat,
        json!({
            "diffusers": {"ok": true, "reasons": []}, "llamacpp": no, "lorax": no,
            "mistralrs": no, "ollama": no, "vllm": no,
        })
    );
    let card = fs::read_to_string(package.join("README.md")).unwrap();
    for part in [
        "pipeline_tag: text-to-image\n",
        "trained to make pictures from captions",
        "](samples.png)",
        "| data | from | pictures | licence |",
    ] {
        assert!(card.contains(part), "{part:?} is not in {card}");
    }
    let bom: Value =
        serde_json::from_slice(&fs::read(package.join("bom.cdx.json")).unwrap()).unwrap();
    let parameters = &bom["metadata"]["component"]["modelCard"]["modelParameters"];
    assert_eq!(parameters["task"], "text-to-image");
    assert_eq!(parameters["modelArchitecture"], "minit2i");
}

#[test]
fn an_adapter_without_samples_is_packaged_too() {
    let shelf = Shelf::new();
    let adapter = shelf.adapter(|request| request.samples = None);
    let draft = shelf.draft(&adapter).unwrap();
    assert!(!draft.files.contains_key(SAMPLES_FILE));
    let card = String::from_utf8(draft.files["README.md"].clone()).unwrap();
    assert!(!card.contains("samples.png"), "{card}");
}

#[test]
fn adapters_that_do_not_belong_to_the_base_are_not_packaged() {
    let shelf = Shelf::new();
    let refused = |change: &dyn Fn(&mut WriteRequest)| {
        let adapter = shelf.adapter(change);
        shelf.draft(&adapter).unwrap_err()
    };
    let other_base = refused(&|request| {
        let card = request.task.as_mut().unwrap();
        card.base_digest = "ab".repeat(32);
    });
    let other = "ab".repeat(32);
    assert_eq!(
        other_base,
        format!(
            "adapter DIR/adapter: it was trained on base pico with digest {other}, this base has \
             digest DIGEST\nhint: choose the base it was trained on: --base pico"
        )
    );
    let renamed = |from: &'static str, to: &'static str| {
        move |request: &mut WriteRequest| {
            let tensors = std::mem::take(&mut request.tensors).into_iter();
            let renamed = tensors.map(|(name, tensor)| (name.replace(from, to), tensor));
            request.tensors = renamed.collect();
            request.target_modules = vec![MODULE.replace(from, to)];
        }
    };
    let absent = refused(&|request| {
        let mut kept = request.tensors.clone();
        renamed("double_blocks.0", "double_blocks.99")(request);
        kept.append(&mut request.tensors);
        request.tensors = kept;
        request.target_modules.push(MODULE.to_owned());
    });
    assert!(
        absent.starts_with(
            "adapter DIR/adapter: the base has no module `model.net.double_blocks.99.img_attn_proj`"
        ),
        "{absent}"
    );
    let text = refused(&renamed(
        "model.net.double_blocks.0.img_attn_proj",
        "model.layers.0.mlp.up_proj",
    ));
    assert!(
        text.starts_with("adapter DIR/adapter: none of its 1 modules"),
        "{text}"
    );
    let [in_dim, out_dim] = shelf.widths();
    let narrow = refused(&|request| {
        let name = format!("base_model.model.{MODULE}.lora_A.weight");
        let values = vec![0.5; RANK * (in_dim - 1)];
        let tensor = HostTensor::from_f32(&[RANK, in_dim - 1], &values);
        request.tensors.insert(name, tensor);
    });
    assert!(narrow.contains("lora_A"), "{narrow}");
    let convolution = refused(&renamed(
        "double_blocks.0.img_attn_proj",
        "img_embedder.proj1",
    ));
    assert!(
        convolution.contains("none of its 1 modules"),
        "{convolution}"
    );
    // An adapter that changes no picture is refused when it is read.
    let dead = {
        let mut request = shelf.request();
        let name = format!("base_model.model.{MODULE}.lora_B.weight");
        let zeros = HostTensor::from_f32(&[out_dim, RANK], &vec![0.0; out_dim * RANK]);
        request.tensors.insert(name, zeros);
        let dir = shelf.path("dead");
        adapter::write(&dir, &request).unwrap();
        adapter::read(&dir).unwrap_err().to_string()
    };
    assert!(dead.contains("the adapter changes nothing"), "{dead}");
}

/// A change of a package.
type PackageDamage = fn(&Path);

/// Whether a failure is of the check that is expected and says what is expected, after the place of the
/// file if it names one.
fn is_said(failure: &str, expected: &str) -> bool {
    let (check, said) = expected.split_once(": ").unwrap();
    let rest = failure
        .strip_prefix(check)
        .and_then(|it| it.strip_prefix(": "));
    rest.is_some_and(|rest| rest.contains(said))
}

#[test]
fn damaged_packages_do_not_verify() {
    let flip = |dir: &Path, name: &str| {
        let path = dir.join(name);
        let mut bytes = fs::read(&path).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        fs::write(path, bytes).unwrap();
    };
    let cases: &[(&str, PackageDamage)] = &[
        ("files: samples.png", |dir| {
            fs::write(dir.join(SAMPLES_FILE), b"\x89PNG sample pictureS").unwrap();
        }),
        (
            "structure: the file `samples.png` of the manifest is missing",
            |dir| {
                fs::remove_file(dir.join(SAMPLES_FILE)).unwrap();
            },
        ),
        ("structure: other.png", |dir| {
            fs::write(dir.join("other.png"), "more").unwrap();
        }),
        ("safetensors: adapter_model.safetensors", |dir| {
            let path = dir.join(WEIGHTS_FILE);
            let bytes = fs::read(&path).unwrap();
            fs::write(path, &bytes[..bytes.len() - 4]).unwrap();
        }),
        ("files: openlora_task.json", |dir| {
            let path = dir.join(TASK_FILE);
            let card = fs::read_to_string(&path).unwrap();
            fs::write(path, card.replace("\"image\"", "\"text\"")).unwrap();
        }),
        ("structure: ", |dir| {
            let path = dir.join("openlora.json");
            let manifest = fs::read_to_string(&path).unwrap();
            let other = manifest.replace("\"minit2i\"", "\"minit2i\" ");
            fs::write(path, other).unwrap();
        }),
        (
            "eip712: the signed message is about another manifest",
            |dir| {
                let path = dir.join("openlora.json");
                let manifest = fs::read_to_string(&path).unwrap();
                fs::write(
                    path,
                    manifest.replace("\"minit2i\"", "\"LlamaForCausalLM\""),
                )
                .unwrap();
            },
        ),
    ];
    for (expected, damage) in cases {
        let shelf = Shelf::new();
        let package = shelf.package();
        damage(&package);
        let failures = shelf.failures(&package, &shelf.facts());
        assert!(
            failures.iter().any(|it| is_said(it, expected)),
            "{expected:?} is not among {failures:?}"
        );
    }
    let shelf = Shelf::new();
    let package = shelf.package();
    flip(&package, WEIGHTS_FILE);
    let failures = shelf.failures(&package, &shelf.facts());
    assert!(
        failures[0].starts_with("files: adapter_model.safetensors"),
        "{failures:?}"
    );
}

#[test]
fn a_package_is_of_one_denoiser_and_one_text_encoder() {
    let shelf = Shelf::new();
    let package = shelf.package();
    let nano = open_base(&request("nano", shelf.dir.path()), &mut |_| ()).unwrap();
    let text = BaseFacts::from_base(&nano).unwrap();
    let failures = shelf.failures(&package, &text);
    assert!(
        failures[0].starts_with("base: the base's config has sha256"),
        "{failures:?}"
    );
    let mut denoiser = shelf.facts();
    denoiser.model.weights[0].sha256.0[0] ^= 1;
    let failures = shelf.failures(&package, &denoiser);
    assert_eq!(failures, ["base: the base's weights are others"]);
    let mut reader = shelf.facts();
    reader.model.weights[1].sha256.0[0] ^= 1;
    let failures = shelf.failures(&package, &reader);
    assert_eq!(failures, ["base: the base's weights are others"]);
    let mut tokenizer = shelf.facts();
    tokenizer.model.tokenizer_sha256.0[0] ^= 1;
    let failures = shelf.failures(&package, &tokenizer);
    assert!(
        failures[0].starts_with("base: the base's tokenizer has sha256"),
        "{failures:?}"
    );
}

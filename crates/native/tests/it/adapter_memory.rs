//! Adapters under a memory budget: they leave and come back as they were, never while a call uses them.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use futures::{StreamExt, future::join_all};
use openlora_engine::{
    Engine, EngineError, EngineSpec, FairShareKey, GenerationStep, LoadedEngine, ModelLoader, Quant,
};
use openlora_model::{
    BaseModel,
    adapter::{self, LoraAdapter},
};
use openlora_native::{NativeLoader, NativeSettings};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{
    engine_suite::{Answer, ask, base, greedy, refusal, text, told, up_to},
    golden::dir as golden,
    waiting,
};

const NAMES: [&str; 4] = ["qv", "all-linear", "rslora", "patterns"];

fn limited(adapter_bytes: Option<u64>) -> NativeLoader {
    NativeLoader::new(NativeSettings {
        adapter_bytes,
        ..NativeSettings::default()
    })
}

async fn load(
    loader: &NativeLoader,
    base: &BaseModel,
    name: &str,
    adapter: &LoraAdapter,
) -> Result<LoadedEngine, EngineError> {
    let spec = EngineSpec {
        name: name.to_owned(),
        base,
        adapter: Some(adapter),
        quant: Quant::F32,
    };
    loader.load(spec).await
}

/// Adapters of one base on files, with what their factors take.
struct Adapters {
    base: BaseModel,
    all: Vec<LoraAdapter>,
    sizes: Vec<u64>,
    /// What each answers to `the quick`.
    answers: Vec<Answer>,
}

impl Adapters {
    async fn measured() -> Self {
        let base = base("llama");
        let read = |name: &&str| adapter::read(&golden(&format!("llama.{name}"))).unwrap();
        let all: Vec<LoraAdapter> = NAMES.iter().map(read).collect();
        let (mut sizes, mut answers) = (Vec::new(), Vec::new());
        for (name, adapter) in NAMES.iter().zip(&all) {
            let loader = limited(None);
            let engine = load(&loader, &base, name, adapter).await.unwrap().engine;
            sizes.push(loader.memory().await.adapters);
            answers.push(ask(&engine, text("the quick"), greedy(24)).await);
        }
        assert!(sizes.iter().all(|size| *size > 0), "{sizes:?}");
        Self {
            base,
            all,
            sizes,
            answers,
        }
    }

    async fn engines(&self, loader: &NativeLoader) -> Vec<Arc<dyn Engine>> {
        let mut engines = Vec::new();
        for (name, adapter) in NAMES.iter().zip(&self.all) {
            let loaded = load(loader, &self.base, name, adapter).await.unwrap();
            assert!(loaded.live());
            engines.push(loaded.engine);
        }
        engines
    }

    fn largest(&self) -> u64 {
        self.sizes.iter().copied().max().unwrap()
    }
}

async fn for_call(engine: &Arc<dyn Engine>) -> Result<Arc<dyn Engine>, EngineError> {
    let own = engine.for_call(&FairShareKey::from("payer")).await?;
    Ok(own.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn adapters_leave_memory_and_come_back_with_the_same_answers() {
    let adapters = Adapters::measured().await;
    let budget = adapters.largest();
    let loader = limited(Some(budget));
    let engines = adapters.engines(&loader).await;
    let mut random = ChaCha8Rng::seed_from_u64(5);
    for _ in 0..40 {
        let number = random.random_range(0..NAMES.len());
        let answer = ask(&engines[number], text("the quick"), greedy(24)).await;
        assert_eq!(answer, adapters.answers[number], "{}", NAMES[number]);
        let found = loader.memory().await.adapters;
        assert!(
            found <= budget && found >= adapters.sizes[number],
            "{found}"
        );
    }
    // Its prefixes stay known while it is away.
    let long = "the quick brown fox ".repeat(5);
    let mut reused = Vec::new();
    for number in [0, 1, 0] {
        let before = loader.activity().reused;
        ask(&engines[number], text(&long), greedy(1)).await;
        reused.push(loader.activity().reused - before);
    }
    assert!(reused[..2] == [0, 0] && reused[2] >= 64, "{reused:?}");
    // Loaded again, an adapter is still one.
    let again = load(&loader, &adapters.base, "again", &adapters.all[0]).await;
    let engine = again.unwrap().engine;
    let answer = ask(&engine, text("the quick"), greedy(24)).await;
    assert_eq!(answer, adapters.answers[0]);
    drop((engines, engine));
    waiting::until("all to leave", async || {
        loader.resident() == 0 && loader.memory().await.adapters == 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_least_recently_used_adapter_leaves_first() {
    let adapters = Adapters::measured().await;
    let [first, second, third] = [0, 2, 3];
    let size = |number: usize| adapters.sizes[number];
    let budget = size(first) + size(second).max(size(third));
    let loader = limited(Some(budget));
    let mut engines = Vec::new();
    for number in [first, second] {
        let adapter = &adapters.all[number];
        let loaded = load(&loader, &adapters.base, NAMES[number], adapter).await;
        engines.push(loaded.unwrap().engine);
    }
    let resident = async || loader.memory().await.adapters;
    assert_eq!(resident().await, size(first) + size(second));
    // The first one is used again, so the second one leaves.
    ask(&engines[0], text("a"), greedy(2)).await;
    let loaded = load(&loader, &adapters.base, "third", &adapters.all[third]).await;
    engines.push(loaded.unwrap().engine);
    waiting::until("the second one to leave", async || {
        resident().await == size(first) + size(third)
    })
    .await;
    assert_eq!(loader.resident(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_adapter_in_use_never_leaves() {
    let adapters = Adapters::measured().await;
    let budget = adapters.largest();
    let (used, other) = (1, 0);
    assert_eq!(adapters.sizes[used], budget, "{:?}", adapters.sizes);
    let loader = limited(Some(budget));
    let engines = adapters.engines(&loader).await;
    let busy = |in_use: u64| {
        let message = format!(
            "{} takes no further call now: its factors take {} bytes, and adapters in use take \
             {in_use} of {budget} bytes, which `serve.adapter_memory` allows",
            NAMES[other], adapters.sizes[other]
        );
        let hint = "try again when other calls have been answered".to_owned();
        (message, None, Some(hint))
    };
    // While a call is about to begin.
    let held = for_call(&engines[used]).await.unwrap();
    let refused = for_call(&engines[other]).await.err().unwrap();
    assert_eq!(told(refused), busy(budget));
    let refused = refusal(&engines[other], text("a"), greedy(2)).await;
    assert_eq!(told(refused), busy(budget));
    let labels = ["good".to_owned(), "bad".to_owned()];
    let refused = engines[other].classify(text("a"), &labels).await;
    assert_eq!(told(refused.unwrap_err()), busy(budget));
    // While it is answered.
    let mut stream = held.generate(text("the quick"), greedy(24)).await.unwrap();
    drop(held);
    let mut answer = String::new();
    while let Some(step) = stream.next().await {
        if let GenerationStep::Delta { text, .. } = step.unwrap() {
            answer.push_str(&text);
        }
    }
    assert_eq!(answer, adapters.answers[used].text);
    waiting::until("the other one to come back", async || {
        for_call(&engines[other]).await.is_ok()
    })
    .await;
    // Calls of one adapter share it.
    let calls = (0..8).map(|_| ask(&engines[other], text("the quick"), greedy(24)));
    let answers = join_all(calls).await;
    let expected = &adapters.answers[other];
    assert!(answers.iter().all(|answer| answer == expected));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_adapter_that_does_not_fit_is_refused_and_disturbs_nobody() {
    let adapters = Adapters::measured().await;
    let (small, large) = (0, 1);
    let (size, budget) = (adapters.sizes[large], adapters.sizes[large] - 1);
    let loader = limited(Some(budget));
    let adapter = &adapters.all[small];
    let loaded = load(&loader, &adapters.base, "small", adapter).await;
    let engine = loaded.unwrap().engine;
    let refused = load(&loader, &adapters.base, "large", &adapters.all[large]).await;
    let message = format!(
        "cannot load large: its factors take {size} of {budget} bytes, which \
         `serve.adapter_memory` allows"
    );
    assert_eq!(told(refused.err().unwrap()), (message, None, None));
    assert_eq!(loader.resident(), 1);
    let answer = ask(&engine, text("the quick"), greedy(24)).await;
    assert_eq!(answer, adapters.answers[small]);
}

fn copied(from: &str, to: &Path) -> PathBuf {
    let dir = to.join(from);
    fs::create_dir_all(&dir).unwrap();
    for entry in fs::read_dir(golden(from)).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, dir.join(path.file_name().unwrap())).unwrap();
    }
    dir
}

#[tokio::test(flavor = "multi_thread")]
async fn an_adapter_whose_files_were_changed_does_not_come_back() {
    let adapters = Adapters::measured().await;
    let folder = tempfile::tempdir().unwrap();
    let dir = copied("llama.qv", folder.path());
    let loader = limited(Some(adapters.largest()));
    let mine = adapter::read(&dir).unwrap();
    let loaded = load(&loader, &adapters.base, "mine", &mine).await;
    let engine = loaded.unwrap().engine;
    let other = load(&loader, &adapters.base, "other", &adapters.all[1]).await;
    let other = other.unwrap().engine;
    let away = async || {
        ask(&other, text("a"), up_to(2)).await;
        waiting::until("the adapter to be away", async || {
            loader.memory().await.adapters == adapters.sizes[1]
        })
        .await;
    };
    away().await;
    let config = dir.join("adapter_config.json");
    let before = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("{before}\n")).unwrap();
    let changed = adapter::read(&dir).unwrap().digest;
    let message = format!(
        "cannot load mine: {}: its files were changed: expected digest {}, found {changed}",
        dir.display(),
        mine.digest
    );
    let refused = for_call(&engine).await.err().unwrap();
    assert_eq!(told(refused), (message, None, None));
    // The same files in another folder, which is named by loading them from there.
    let moved = copied("llama.qv", &folder.path().join("elsewhere"));
    fs::remove_dir_all(&dir).unwrap();
    let gone = format!(
        "cannot load mine: {} is not an adapter directory: it has no adapter_config.json",
        dir.display()
    );
    let refused = for_call(&engine).await.err().unwrap();
    assert_eq!(told(refused), (gone, None, None));
    let found = adapter::read(&moved).unwrap();
    let again = load(&loader, &adapters.base, "mine", &found).await;
    drop(again.unwrap());
    let answer = ask(&engine, text("the quick"), greedy(24)).await;
    assert_eq!(answer, adapters.answers[0]);
}

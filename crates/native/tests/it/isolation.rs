//! A thousand adapters over one base: each call gets its own adapter's answer, and an adapter costs
//! the memory of its factors.

use std::sync::Arc;

use futures::{StreamExt, stream};
use openlora_engine::{
    Engine, EngineSpec, GenerationStep, ModelLoader, Prompt, Quant, SamplingParams,
};
use openlora_model::{BaseModel, adapter::LoraAdapter};
use openlora_native::{NativeLoader, NativeSettings};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{
    adapters::{adapted_modules, adapter},
    scripted::Script,
};

const ADAPTERS: usize = 1000;
const CALLS: usize = 10_000;
const RANK: usize = 8;

/// Digits of a word, each place with ten letters of its own.
const PLACES: [&str; 3] = ["abcdefghij", "klmnopqrst", "ABCDEFGHIJ"];
/// The tokens that the base continues with a letter; `$` is continued with the end.
const SIGNS: [&str; 3] = ["0123456789", "!#%&()*+,-", "KLMNOPQRST"];

fn letters(number: usize) -> [usize; 3] {
    [number / 100 % 10, number / 10 % 10, number % 10]
}

fn word(number: usize) -> String {
    let digits = letters(number);
    let letter = |(place, digit): (&str, usize)| place.chars().nth(digit);
    PLACES.into_iter().zip(digits).filter_map(letter).collect()
}

/// A base that continues each sign with its letter.
fn script() -> Script {
    let mut script = Script::new();
    for (signs, letters) in SIGNS.into_iter().zip(PLACES) {
        for (sign, letter) in signs.chars().zip(letters.chars()) {
            script = script.choice(&sign.to_string(), &[(&letter.to_string(), 1.0)]);
        }
    }
    script.line("$", "", true)
}

/// An adapter that adds, after `x` and each letter of its word, the sign of the next letter to the
/// residual stream: its gate and up projections know the token, its down projection writes the sign.
fn speller(script: &Script, base: &BaseModel, number: usize) -> LoraAdapter {
    let digits = letters(number);
    let pick = |table: [&str; 3], place: usize| {
        let letter = table[place].chars().nth(digits[place]).unwrap();
        script.token(&letter.to_string()) as usize
    };
    let mut steps = vec![(script.token("x") as usize, pick(SIGNS, 0))];
    steps.push((pick(PLACES, 0), pick(SIGNS, 1)));
    steps.push((pick(PLACES, 1), pick(SIGNS, 2)));
    steps.push((pick(PLACES, 2), script.token("$") as usize));
    let targets = ["gate_proj", "up_proj", "down_proj"];
    let modules = adapted_modules(&base.config, RANK, &targets);
    adapter(
        format!("speller {number}"),
        RANK,
        modules,
        |module, is_a| {
            let down = module.path.ends_with("down_proj");
            let (rows, columns) = match is_a {
                true => (RANK, module.in_dim),
                false => (module.out_dim, RANK),
            };
            let mut values = vec![0f32; rows * columns];
            for (rank, (token, sign)) in steps.iter().enumerate() {
                let (row, column) = match (down, is_a) {
                    (false, true) => (rank, *token),
                    (false, false) | (true, true) => (rank, rank),
                    (true, false) => (*sign, rank),
                };
                values[row * columns + column] = 1.0;
            }
            values
        },
    )
}

async fn answer(engine: &Arc<dyn Engine>) -> String {
    let sampling = SamplingParams {
        max_tokens: 8,
        ..SamplingParams::default()
    };
    let prompt = Prompt::Text("x".to_owned());
    let mut stream = engine.generate(prompt, sampling).await.unwrap();
    let mut text = String::new();
    while let Some(step) = stream.next().await {
        if let GenerationStep::Delta { text: more, .. } = step.unwrap() {
            text.push_str(&more);
        }
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_adapters_answer_with_their_own_words() {
    let script = script();
    let base = script.base(64);
    let loader = NativeLoader::new(NativeSettings::default());
    let mut engines = Vec::new();
    for number in 0..ADAPTERS {
        let adapter = speller(&script, &base, number);
        let spec = EngineSpec {
            name: format!("speller-{number}"),
            base: &base,
            adapter: Some(&adapter),
            quant: Quant::Auto,
        };
        engines.push(loader.load(spec).await.unwrap().engine);
    }
    // The plain base leaves after the test prompts.
    assert_eq!(loader.resident(), ADAPTERS);
    let module = adapted_modules(&base.config, RANK, &["gate_proj", "up_proj", "down_proj"]);
    let factors: usize = module
        .iter()
        .map(|it| RANK * (it.in_dim + it.out_dim))
        .sum();
    // Beside quantised weights, factors take two bytes.
    let expected = (factors * 2 * ADAPTERS) as f64;
    let found = loader.memory().await.adapters as f64;
    assert!(found <= expected * 1.1, "{found} bytes for {expected}");

    let mut random = ChaCha8Rng::seed_from_u64(11);
    let numbers: Vec<usize> = (0..CALLS)
        .map(|_| random.random_range(0..ADAPTERS))
        .collect();
    let calls = stream::iter(numbers).map(|number| {
        let engine = &engines[number];
        async move { (number, answer(engine).await) }
    });
    let mut calls = calls.buffer_unordered(64);
    while let Some((number, text)) = calls.next().await {
        assert_eq!(text, word(number));
    }
    drop(calls);
    engines.truncate(1);
    crate::waiting::until("one adapter in memory", async || loader.resident() == 1).await;
    assert_eq!(answer(&engines[0]).await, word(0));
}

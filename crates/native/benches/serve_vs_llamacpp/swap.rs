//! Taking one adapter out of memory and another one in, from its folder.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use futures::future::join_all;
use openlora_model::adapter::{self, LoraAdapter};
use serde_json::{Map, Value, json};

use crate::{
    BenchSettings, median,
    subject::{MeasuredEngines, RANK, TARGETS, answer},
};

/// Folders that take turns.
const FOLDERS: usize = 24;
const LOAD: usize = 8;

/// Prints the time of a swap, idle and beside running answers.
pub async fn measure(settings: &BenchSettings, subject: &mut MeasuredEngines, folder: &Path) {
    let folders: Vec<PathBuf> = (0..FOLDERS)
        .map(|number| {
            let dir = folder.join(format!("swap-{number}"));
            write_folder(&dir, &subject.next_adapter());
            dir
        })
        .collect();
    let first = swap_all(subject, &folders).await;
    let again = swap_all(subject, &folders).await;
    let running = subject.draw(LOAD);
    let prompts = subject.fresh_prompts(LOAD);
    let engines: Vec<_> = running
        .iter()
        .map(|it| Arc::clone(&subject.engines[*it]))
        .collect();
    let tokens = settings.tokens;
    let answers = tokio::spawn(async move {
        loop {
            let calls = engines.iter().zip(&prompts);
            join_all(calls.map(|(it, prompt)| answer(it, prompt.clone(), tokens))).await;
        }
    });
    let beside = swap_all(subject, &folders).await;
    answers.abort();
    println!(
        "swap of an adapter from its folder (target 10 ms): {:.1} ms for a new one, {:.1} ms for \
         one seen before, {:.1} ms beside {LOAD} running answers",
        median(&first),
        median(&again),
        median(&beside)
    );
}

/// Milliseconds of each swap: the last engine leaves, the folder's adapter comes.
async fn swap_all(subject: &mut MeasuredEngines, folders: &[PathBuf]) -> Vec<f64> {
    let mut times = Vec::new();
    for dir in folders {
        let start = Instant::now();
        drop(subject.engines.pop());
        let adapter = adapter::read(dir).expect("the adapter is valid");
        let engine = subject.load_adapter(&adapter).await;
        subject.engines.push(engine);
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    times
}

/// Writes an adapter as PEFT does.
fn write_folder(dir: &Path, adapter: &LoraAdapter) {
    fs::create_dir_all(dir).expect("a folder");
    let config = json!({
        "peft_type": "LORA", "r": RANK, "lora_alpha": RANK, "target_modules": TARGETS,
        "task_type": "CAUSAL_LM",
    });
    fs::write(dir.join("adapter_config.json"), config.to_string()).expect("a configuration");
    let (mut header, mut data) = (Map::new(), Vec::new());
    for (name, tensor) in &adapter.tensors {
        let start = data.len();
        data.extend(&tensor.data);
        let entry = json!({
            "dtype": "F32", "shape": tensor.shape, "data_offsets": [start, data.len()],
        });
        header.insert(name.clone(), entry);
    }
    let mut header = Value::Object(header).to_string();
    header.push_str(&" ".repeat(header.len().next_multiple_of(8) - header.len()));
    let bytes = [
        &(header.len() as u64).to_le_bytes(),
        header.as_bytes(),
        &data,
    ]
    .concat();
    fs::write(dir.join("adapter_model.safetensors"), bytes).expect("the weights");
}

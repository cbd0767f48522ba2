//! One conversation, held with anvil and with the development chain: the same shapes, and the same
//! values wherever they are deterministic. `tests/data/rpc/make.py` writes it and explains it.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::paths::repository;
use crate::{
    devnet_peers::{Anvil, artifact},
    devnet_support::{Devnet, Rpc},
    waiting,
};

/// A line of the conversation.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    #[serde(rename = "do")]
    method: String,
    with: Vec<Value>,
    #[serde(rename = "as")]
    name: Option<String>,
    /// Why only types are compared.
    shape: Option<String>,
    /// Why an error's words are not compared.
    text: Option<String>,
}

/// Fields that depend on the clock or on how a node commits to its state.
const VOLATILE: &[&str] = &[
    "blockHash",
    "parentHash",
    "stateRoot",
    "mixHash",
    "timestamp",
    "blockTimestamp",
    "size",
];

/// One side of the conversation.
struct Side {
    rpc: Rpc,
    names: BTreeMap<String, Value>,
}

impl Side {
    fn new(url: &str) -> Self {
        Self {
            rpc: Rpc::new(url),
            names: BTreeMap::new(),
        }
    }

    /// Puts what was kept, and artifacts, in the place of their names.
    fn filled(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => match text.strip_prefix('$') {
                Some(path) => {
                    let mut parts = path.split('.');
                    let kept = &self.names[parts.next().unwrap()];
                    parts.fold(kept.clone(), |found, part| found[part].clone())
                }
                None => value.clone(),
            },
            Value::Array(values) => values.iter().map(|one| self.filled(one)).collect(),
            Value::Object(fields) => match fields.get("$artifact") {
                Some(name) => {
                    let text = std::fs::read_to_string(artifact(name.as_str().unwrap()));
                    let found: Value = serde_json::from_str(&text.unwrap()).unwrap();
                    found["bytecode"].clone()
                }
                None => fields
                    .iter()
                    .map(|(key, one)| (key.clone(), self.filled(one)))
                    .collect::<Map<_, _>>()
                    .into(),
            },
            other => other.clone(),
        }
    }

    fn say(&mut self, line: &Line) -> Value {
        let params: Vec<Value> = line.with.iter().map(|one| self.filled(one)).collect();
        let answer = self.rpc.ask(&line.method, Value::Array(params));
        let result = answer.get("result").cloned().unwrap_or(Value::Null);
        if line.method.starts_with("eth_send") && result.is_string() {
            self.wait_for(&result);
        }
        if let Some(name) = &line.name {
            self.names.insert(name.clone(), result);
        }
        answer
    }

    /// anvil answers before it mines: waits until the transaction is in a block, or, while
    /// automatic mining is off, in the pool.
    fn wait_for(&self, hash: &Value) {
        let automatic = self.rpc.ok("anvil_getAutomine", json!([])) == json!(true);
        let method = match automatic {
            true => "eth_getTransactionReceipt",
            false => "eth_getTransactionByHash",
        };
        waiting::wait_until(&format!("{hash} to be known"), || {
            !self.rpc.ok(method, json!([hash])).is_null()
        });
    }
}

/// A value's types; of text in hexadecimal, whether it is an address, a word, long or short.
fn shape(value: &Value) -> Value {
    match value {
        Value::Null => json!("null"),
        Value::Bool(_) => json!("bool"),
        Value::Number(_) => json!("number"),
        Value::String(text) if text.starts_with("0x") => match text.len() {
            length @ (42 | 66) => json!(format!("hex{length}")),
            length if length > 100 => json!(format!("hex{length}")),
            _ => json!("hex"),
        },
        Value::String(_) => json!("text"),
        Value::Array(values) => values.iter().map(shape).collect(),
        Value::Object(fields) => {
            let shapes = fields.iter().map(|(key, one)| (key.clone(), shape(one)));
            shapes.collect::<Map<_, _>>().into()
        }
    }
}

/// A value with its volatile fields as shapes.
fn settled(value: &Value) -> Value {
    match value {
        Value::Array(values) => values.iter().map(settled).collect(),
        Value::Object(fields) => {
            let is_block = fields.contains_key("parentHash");
            let settle = |(key, one): (&String, &Value)| {
                let volatile = VOLATILE.contains(&key.as_str()) || (is_block && key == "hash");
                (
                    key.clone(),
                    if volatile { shape(one) } else { settled(one) },
                )
            };
            fields.iter().map(settle).collect::<Map<_, _>>().into()
        }
        other => other.clone(),
    }
}

fn comparable(line: &Line, answer: &Value) -> Value {
    let mut answer = match line.shape {
        Some(_) => shape(answer),
        None => settled(answer),
    };
    if line.text.is_some()
        && let Some(Value::Object(error)) = answer.get_mut("error")
    {
        error.remove("message");
    }
    answer
}

#[test]
fn anvil_and_the_development_chain_give_the_same_answers() {
    let file = repository().join("tests/data/rpc/requests.jsonl");
    let lines: Vec<Line> = std::fs::read_to_string(file)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(lines.len() >= 180, "{} requests", lines.len());
    let dir = tempfile::tempdir().unwrap();
    let chain = Devnet::start(dir.path(), 31_337);
    let anvil = Anvil::start();
    let (mut ours, mut theirs) = (Side::new(&chain.rpc.url), Side::new(&anvil.url));
    let mut differences = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        let expected = comparable(line, &theirs.say(line));
        let found = comparable(line, &ours.say(line));
        if found != expected {
            differences.push(format!(
                "line {} {}: anvil {expected}\n  devnet {found}",
                number + 1,
                line.method
            ));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

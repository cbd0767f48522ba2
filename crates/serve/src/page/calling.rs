//! How an adapter is called from a shell, from Python and from JavaScript.
//!
//! Names of adapters go into the programs as string literals of JSON, which both languages read, and
//! into the shell in single quotes.

use serde::Serialize;
use serde_json::{Value, json};

use super::server_facts::ServerFacts;
use crate::adapter_registry::ServedAdapter;
use openlora_model::dataset::Task;

/// How to call an adapter from one language.
#[derive(Clone, Debug, Serialize)]
pub struct Snippet {
    pub language: &'static str,
    /// For the page's controls.
    pub id: &'static str,
    pub code: String,
}

pub fn snippets(server: &ServerFacts, adapter: &ServedAdapter) -> Vec<Snippet> {
    let is_free = server.is_free;
    let all = [
        ("curl", "curl", curl(server, adapter)),
        ("Python", "python", python(server, adapter)),
        ("JavaScript", "javascript", javascript(server, adapter)),
        ("openlora", "openlora", command(server, adapter)),
    ];
    let written = all.into_iter().map(|(language, id, code)| Snippet {
        language,
        id,
        code: match (is_free, id) {
            (false, "curl") => format!("# Answers 402 with the payment terms of x402.\n{code}"),
            _ => code,
        },
    });
    written.collect()
}

/// The body of a call.
fn body(adapter: &ServedAdapter) -> Value {
    let name = &adapter.name;
    match &adapter.task {
        Some(Task::Classify { .. }) => json!({ "model": name, "input": "A text" }),
        Some(Task::Chat { .. }) => {
            json!({ "model": name, "messages": [{ "role": "user", "content": "Hello" }] })
        }
        Some(Task::Image) => json!({ "model": name, "prompt": "A red circle" }),
        Some(Task::Text) | None => json!({ "model": name, "prompt": "Once upon a time" }),
    }
}

/// A text as a word of a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn curl(server: &ServerFacts, adapter: &ServedAdapter) -> String {
    let url = format!("{}{}", server.url, adapter.usual_path());
    format!(
        "curl {} \\\n  -H 'content-type: application/json' \\\n  -d {}",
        quoted(&url),
        quoted(&body(adapter).to_string())
    )
}

fn command(server: &ServerFacts, adapter: &ServedAdapter) -> String {
    let (name, url) = (quoted(&adapter.name), quoted(&server.url));
    match &adapter.task {
        Some(Task::Image) => {
            format!("openlora call 'A red circle' -o picture.png --adapter {name} --url {url}")
        }
        _ => format!("openlora call 'Hello' --adapter {name} --url {url}"),
    }
}

/// The answer's text in both languages' common notation.
fn answer(adapter: &ServedAdapter) -> &'static str {
    match &adapter.task {
        Some(Task::Classify { .. }) => "label",
        Some(Task::Chat { .. }) => "choices[0].message.content",
        Some(Task::Image) => "data[0].b64_json",
        Some(Task::Text) | None => "choices[0].text",
    }
}

fn python(server: &ServerFacts, adapter: &ServedAdapter) -> String {
    let (base, name) = (json!(format!("{}/v1", server.url)), json!(adapter.name));
    let url = json!(format!("{}{}", server.url, adapter.usual_path()));
    if !server.is_free {
        let body = body(adapter);
        return format!(
            "# pip install \"x402[evm,requests]\"\n\
             import os\n\
             import requests\n\
             from eth_account import Account\n\
             from x402 import x402ClientSync\n\
             from x402.http.clients.requests import wrapRequestsWithPayment\n\
             from x402.mechanisms.evm.batch_settlement.client import BatchSettlementEvmScheme\n\
             from x402.mechanisms.evm.signers import EthAccountSignerWithRPC\n\n\
             account = Account.from_key(os.environ[\"KEY\"])\n\
             scheme = BatchSettlementEvmScheme(EthAccountSignerWithRPC(account, os.environ[\"RPC\"]))\n\
             client = x402ClientSync().register(\"eip155:*\", scheme)\n\
             session = wrapRequestsWithPayment(requests.Session(), client)\n\n\
             answer = session.post(\n    {url},\n    json={body},\n)\n\
             print(answer.json())"
        );
    }
    let reads = answer(adapter);
    match &adapter.task {
        Some(Task::Classify { .. }) => format!(
            "import json, urllib.request\n\n\
             request = urllib.request.Request(\n    {url},\n    \
             json.dumps({{\"model\": {name}, \"input\": \"A text\"}}).encode(),\n    \
             {{\"content-type\": \"application/json\"}},\n)\n\
             print(json.load(urllib.request.urlopen(request))[\"{reads}\"])"
        ),
        Some(Task::Chat { .. }) => format!(
            "# pip install openai\n\
             from openai import OpenAI\n\n\
             client = OpenAI(base_url={base}, api_key=\"none\")\n\
             answer = client.chat.completions.create(\n    model={name},\n    \
             messages=[{{\"role\": \"user\", \"content\": \"Hello\"}}],\n)\n\
             print(answer.{reads})"
        ),
        Some(Task::Image) => format!(
            "# pip install openai\n\
             import base64\n\
             from openai import OpenAI\n\n\
             client = OpenAI(base_url={base}, api_key=\"none\")\n\
             answer = client.images.generate(model={name}, prompt=\"A red circle\")\n\
             with open(\"picture.png\", \"wb\") as file:\n    \
             file.write(base64.b64decode(answer.{reads}))"
        ),
        Some(Task::Text) | None => format!(
            "# pip install openai\n\
             from openai import OpenAI\n\n\
             client = OpenAI(base_url={base}, api_key=\"none\")\n\
             answer = client.completions.create(model={name}, prompt=\"Once upon a time\")\n\
             print(answer.{reads})"
        ),
    }
}

fn javascript(server: &ServerFacts, adapter: &ServedAdapter) -> String {
    let url = json!(format!("{}{}", server.url, adapter.usual_path()));
    let (body, reads) = (body(adapter), answer(adapter));
    let (before, fetch) = match server.is_free {
        true => (String::new(), "fetch"),
        false => (
            "// npm install @x402/core @x402/evm @x402/fetch viem\n\
             import { x402Client } from \"@x402/core/client\";\n\
             import { toClientEvmSigner } from \"@x402/evm\";\n\
             import { BatchSettlementEvmScheme } from \"@x402/evm/batch-settlement/client\";\n\
             import { wrapFetchWithPayment } from \"@x402/fetch\";\n\
             import { createPublicClient, http } from \"viem\";\n\
             import { privateKeyToAccount } from \"viem/accounts\";\n\n\
             const account = privateKeyToAccount(process.env.KEY);\n\
             const chain = createPublicClient({ transport: http(process.env.RPC) });\n\
             const scheme = new BatchSettlementEvmScheme(toClientEvmSigner(account, chain));\n\
             const client = new x402Client().register(\"eip155:*\", scheme);\n\
             const payingFetch = wrapFetchWithPayment(fetch, client);\n\n"
                .to_owned(),
            "payingFetch",
        ),
    };
    format!(
        "{before}const response = await {fetch}({url}, {{\n  method: \"POST\",\n  \
         headers: {{ \"content-type\": \"application/json\" }},\n  \
         body: JSON.stringify({body}),\n}});\nconst answer = await response.json();\n\
         console.log(answer.{reads});"
    )
}

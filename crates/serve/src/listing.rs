//! How paid routes are declared to directories: x402's extension `bazaar`, with the method, the body
//! and the answer of each route as examples and as JSON Schema (2020-12), and the service's name,
//! tags and icon.
//!
//! Form: `specs/extensions/bazaar.md` of <https://github.com/x402-foundation/x402>.

use axum::http::Uri;
use serde_json::{Value, json};

use super::adapter_registry::ServedAdapter;
use openlora_model::dataset::Task;
use openlora_ports::CallListing;

/// The name of the extension.
pub const BAZAAR: &str = "bazaar";

/// The longest name and tag that directories accept.
const LONGEST_NAME: usize = 32;

/// The path of the server's icon.
pub const ICON_PATH: &str = "/icon.svg";

/// Where agents find the adapters as tools.
pub const TOOLS_PATH: &str = "/mcp";

/// A tool that is called instead of a route, as agents list it.
#[derive(Clone, Debug)]
pub struct CalledTool {
    pub name: String,
    pub description: String,
    /// JSON Schema of its arguments.
    pub schema: Value,
}

/// An example of a body and of an answer, and the schema of the body.
struct RouteExample {
    body: Value,
    schema: Value,
    answer: Value,
}

/// The listing of a route of an adapter; `resource` is the URL under which it is called.
pub fn listing(adapter: &ServedAdapter, path: &str, resource: &str) -> CallListing {
    CallListing {
        description: Some(format!("{}: {}", adapter.name, adapter.summary())),
        service_name: Some(ascii_name(&adapter.name)).filter(|name| !name.is_empty()),
        tags: tags(adapter),
        icon_url: icon_url(resource, path),
        extensions: declaration(adapter, path),
    }
}

/// The listing of a tool of an adapter; `resource` is the URL of all tools.
pub fn tool_listing(adapter: &ServedAdapter, tool: &CalledTool, resource: &str) -> CallListing {
    let mut example = json!({ "prompt": "A text" });
    if tool.schema["properties"].get("adapter").is_some() {
        example["adapter"] = json!(adapter.name);
    }
    let text = json!({ "type": "string" });
    let object = json!({ "type": "object" });
    let declaration = json!({ BAZAAR: {
        "info": {
            "input": {
                "type": "mcp",
                "tool": tool.name,
                "description": tool.description,
                "transport": "streamable-http",
                "inputSchema": tool.schema,
                "example": example,
            },
        },
        "schema": {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": {
                "input": {
                    "type": "object",
                    "properties": {
                        "type": { "type": "string", "const": "mcp" },
                        "tool": text,
                        "description": text,
                        "transport": { "type": "string", "enum": ["streamable-http", "sse"] },
                        "inputSchema": object,
                        "example": object,
                    },
                    "required": ["type", "tool", "inputSchema"],
                    "additionalProperties": false,
                },
            },
            "required": ["input"],
        },
    } });
    CallListing {
        extensions: Some(declaration),
        ..listing(adapter, TOOLS_PATH, resource)
    }
}

/// The paid paths that an adapter can be called on.
pub fn paths(adapter: &ServedAdapter) -> Vec<&'static str> {
    match &adapter.task {
        Some(Task::Classify { .. }) => vec!["/v1/classify", "/v1/chat/completions"],
        Some(Task::Chat { .. }) => vec!["/v1/chat/completions", "/v1/completions"],
        Some(Task::Image) => vec!["/v1/images/generations"],
        Some(Task::Text) | None => vec!["/v1/completions"],
    }
}

fn tags(adapter: &ServedAdapter) -> Vec<String> {
    let tags = ["lora", "openai-compatible", adapter.task_name()];
    tags.map(str::to_owned).into()
}

/// Printable ASCII, which is all that directories accept.
fn ascii_name(name: &str) -> String {
    let fits = |letter: &char| (' '..='~').contains(letter);
    name.chars().filter(fits).take(LONGEST_NAME).collect()
}

/// The icon's address, where directories would accept it: not under a number or a local name.
fn icon_url(resource: &str, path: &str) -> Option<String> {
    let root = resource.strip_suffix(path)?;
    let uri: Uri = root.parse().ok()?;
    let host = uri.host()?;
    let is_name = host.contains('.')
        && host.chars().any(|letter| letter.is_ascii_alphabetic())
        && host.parse::<std::net::IpAddr>().is_err()
        && !host.starts_with('[')
        && !host.to_ascii_lowercase().starts_with("0x")
        && !host.eq_ignore_ascii_case("localhost.localdomain");
    is_name.then(|| format!("{root}{ICON_PATH}"))
}

/// The extensions of the terms of a call.
fn declaration(adapter: &ServedAdapter, path: &str) -> Option<Value> {
    let RouteExample {
        body,
        schema,
        answer,
    } = example(adapter, path)?;
    let text = json!({ "type": "string" });
    Some(json!({ BAZAAR: {
        "info": {
            "input": { "type": "http", "method": "POST", "bodyType": "json", "body": body },
            "output": { "type": "json", "example": answer },
        },
        "schema": {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": {
                "input": {
                    "type": "object",
                    "properties": {
                        "type": { "type": "string", "const": "http" },
                        "method": { "type": "string", "enum": ["POST"] },
                        "bodyType": { "type": "string", "enum": ["json"] },
                        "body": schema,
                    },
                    "required": ["type", "method", "bodyType", "body"],
                    "additionalProperties": false,
                },
                "output": {
                    "type": "object",
                    "properties": { "type": text, "example": { "type": "object" } },
                    "required": ["type"],
                },
            },
            "required": ["input"],
        },
    } }))
}

fn example(adapter: &ServedAdapter, path: &str) -> Option<RouteExample> {
    let name = &adapter.name;
    let model = json!({ "type": "string", "const": name });
    let text = json!({ "type": "string" });
    let body_of = |field: &str, value: Value| json!({ "model": name, field: value });
    let schema_of = |field: &str, schema: Value, required: &[&str]| {
        json!({
            "type": "object",
            "properties": { "model": model, field: schema },
            "required": required,
        })
    };
    match path {
        "/v1/chat/completions" => Some(RouteExample {
            body: body_of("messages", json!([{ "role": "user", "content": "Hello" }])),
            schema: schema_of(
                "messages",
                json!({
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": { "role": text, "content": text },
                        "required": ["role", "content"],
                    },
                }),
                &["model", "messages"],
            ),
            answer: json!({
                "object": "chat.completion",
                "model": name,
                "choices": [{ "index": 0, "message": { "role": "assistant", "content": "Hello!" },
                    "finish_reason": "stop" }],
            }),
        }),
        "/v1/completions" => Some(RouteExample {
            body: body_of("prompt", json!("Once upon a time")),
            schema: schema_of("prompt", text.clone(), &["model", "prompt"]),
            answer: json!({
                "object": "text_completion",
                "model": name,
                "choices": [{ "index": 0, "text": " there was", "finish_reason": "stop" }],
            }),
        }),
        "/v1/classify" => Some(RouteExample {
            body: body_of("input", json!("A text")),
            schema: schema_of("input", text.clone(), &["model", "input"]),
            answer: json!({
                "object": "classification",
                "model": name,
                "label": adapter.labels().first(),
                "labels": labelled(adapter),
            }),
        }),
        "/v1/images/generations" => Some(RouteExample {
            body: body_of("prompt", json!("A red circle")),
            schema: schema_of("prompt", text.clone(), &["model", "prompt"]),
            answer: json!({
                "model": name,
                "data": [{ "b64_json": "iVBORw0KGgo…" }],
                "output_format": "png",
            }),
        }),
        "/v1/moderations" => Some(RouteExample {
            body: body_of("input", json!("A text")),
            schema: schema_of("input", text.clone(), &["input"]),
            answer: json!({ "model": name, "results": [{ "flagged": false }] }),
        }),
        _ => None,
    }
}

/// The first labels with probabilities that sum to one.
fn labelled(adapter: &ServedAdapter) -> Vec<Value> {
    let Some(Task::Classify { labels, .. }) = &adapter.task else {
        return Vec::new();
    };
    let sure = labels.iter().enumerate().take(3);
    let entry = |(at, label): (usize, &String)| json!({ "label": label, "probability": if at == 0 { 1 } else { 0 } });
    sure.map(entry).collect()
}

//! The served adapters as tools of agents, over the Model Context Protocol.
//!
//! A call of a tool is a call of the adapter's usual route: it is read, counted, paid, attributed and
//! limited there. Only the transport of the payment is x402's for this protocol: terms and results are
//! parts of the tool's result instead of headers. Form: `specs/transports-v2/mcp.md` of
//! <https://github.com/x402-foundation/x402>.

use std::sync::Arc;

use axum::{
    body::{Body, to_bytes},
    http::{HeaderMap, HeaderValue, Method, Request, Uri, header, request::Parts},
    response::Response,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures::future::BoxFuture;
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, Implementation,
        JsonObject, ListToolsResult, MetaObject, PaginatedRequestParams, ServerCapabilities,
        ServerConfig, Tool, ToolAnnotations,
    },
    service::RequestContext,
};
use serde_json::{Value, json};

use super::{
    adapter_registry::ServedAdapter,
    api_error::PAYMENT_REQUIRED,
    app::AppState,
    listing::CalledTool,
    on_demand_loading::find_or_fetch,
    payment::{PAYMENT_RESPONSE, PAYMENT_SIGNATURE},
};
use openlora_model::dataset::Task;

/// The most adapters that have tools of their own; the others are called by name.
const MOST_TOOLS: usize = 64;
/// The longest name of a tool that every client accepts.
const LONGEST_NAME: usize = 64;
/// The tool for adapters that have none of their own.
const ASK: &str = "ask_adapter";

/// A payment in the `_meta` of a call, and its result in that of the answer.
const PAYMENT: &str = "x402/payment";
const PAYMENT_RESULT: &str = "x402/payment-response";

const INSTRUCTIONS: &str = "Each tool answers with an adapter of this server. Where calls are paid, a \
                            call without payment gives its terms (x402).";

/// Answers a call of an adapter's route.
pub type AnswerRoute = fn(AppState, Request<Body>) -> BoxFuture<'static, Response>;

/// The tools for one request of an agent.
#[derive(Clone)]
pub struct ServedTools {
    pub app: AppState,
    /// The head of the request, whose client the calls count for.
    pub head: Arc<Parts>,
    pub answer: AnswerRoute,
}

/// How an adapter is asked by a tool.
struct AdapterTool {
    adapter: Arc<ServedAdapter>,
    tool: CalledTool,
}

impl AdapterTool {
    fn new(adapter: Arc<ServedAdapter>) -> Self {
        let (verb, what) = match &adapter.task {
            Some(Task::Classify { .. }) => ("classify_with", "Classifies a text"),
            Some(Task::Chat { .. }) => ("ask", "Answers a prompt"),
            Some(Task::Text) | None => ("continue_with", "Continues a text"),
        };
        let plain = |letter: char| match letter.is_ascii_alphanumeric() {
            true => letter,
            false => '_',
        };
        let name: String = format!("{verb}_{}", adapter.name)
            .chars()
            .map(plain)
            .collect();
        let tool = CalledTool {
            name: name.chars().take(LONGEST_NAME).collect(),
            description: format!(
                "{what} with the adapter {}. {}",
                adapter.name,
                adapter.summary()
            ),
            schema: schema(properties(adapter.task.as_ref()), &["prompt"]),
        };
        Self { adapter, tool }
    }
}

fn properties(task: Option<&Task>) -> JsonObject {
    let mut properties = JsonObject::new();
    let mut add = |name: &str, value: Value| drop(properties.insert(name.to_owned(), value));
    let text = |about: &str| json!({ "type": "string", "description": about });
    add("prompt", text("the user's text"));
    if matches!(task, Some(Task::Chat { .. })) {
        add("system", text("instructions that come before it"));
    }
    if !matches!(task, Some(Task::Classify { .. })) {
        let about = "longest answer in tokens";
        let number = json!({ "type": "integer", "minimum": 1, "description": about });
        add("max_tokens", number);
    }
    properties
}

fn schema(properties: JsonObject, required: &[&str]) -> Value {
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

/// The tool for any adapter by its name.
fn general_tool() -> CalledTool {
    let about = "the adapter's name as in /v1/models";
    let mut all = properties(Some(&Task::Chat { instruction: None }));
    let name = json!({ "type": "string", "description": about });
    all.insert("adapter".to_owned(), name);
    CalledTool {
        name: ASK.to_owned(),
        description: "Asks an adapter by name; the answer is a text, or labels with probabilities."
            .to_owned(),
        schema: schema(all, &["adapter", "prompt"]),
    }
}

fn described(tool: &CalledTool) -> Tool {
    let schema = tool.schema.as_object().cloned().unwrap_or_default();
    // It may cost money; it changes nothing else.
    let hints = ToolAnnotations::default()
        .read_only(false)
        .open_world(false);
    Tool::new(tool.name.clone(), tool.description.clone(), schema).with_annotations(hints)
}

impl ServedTools {
    fn adapters(&self) -> Vec<AdapterTool> {
        let mut tools: Vec<AdapterTool> = Vec::new();
        for adapter in self.app.adapters.all() {
            let one = AdapterTool::new(adapter);
            // Of two adapters whose tools would have one name, the first has it.
            let is_taken = |name: &str| name == ASK || tools.iter().any(|it| it.tool.name == name);
            if tools.len() < MOST_TOOLS && !is_taken(&one.tool.name) {
                tools.push(one);
            }
        }
        tools
    }

    /// The adapter that a tool stands for, and what is called of it. A refusal is for the agent to
    /// read.
    async fn find(&self, name: &str, arguments: &mut JsonObject) -> Result<AdapterTool, String> {
        if name == ASK {
            let Some(Value::String(wanted)) = arguments.remove("adapter") else {
                return Err("The argument `adapter` must be the name of an adapter.".to_owned());
            };
            let adapter = find_or_fetch(&self.app, &wanted).await;
            let adapter = adapter.map_err(|refusal| refusal.message.into_string())?;
            return Ok(AdapterTool {
                adapter,
                tool: general_tool(),
            });
        }
        let mut tools = self.adapters().into_iter();
        let found = tools.find(|it| it.tool.name == name);
        found.ok_or_else(|| {
            format!(
                "There is no tool `{}`; list them again.",
                name.escape_debug()
            )
        })
    }

    async fn call(
        &self,
        request: CallToolRequestParams,
        payment: Option<&Value>,
    ) -> Result<CallToolResult, String> {
        let mut arguments = request.arguments.unwrap_or_default();
        let AdapterTool { adapter, tool } = self.find(&request.name, &mut arguments).await?;
        let body = body(&adapter, arguments)?;
        let path = adapter.usual_path();
        let request = self.route_request(path, &body, payment, tool)?;
        let response = (self.answer)(self.app.clone(), request).await;
        Ok(result(&adapter, response).await)
    }

    /// The request to the adapter's route, from the same client.
    fn route_request(
        &self,
        path: &'static str,
        body: &Value,
        payment: Option<&Value>,
        tool: CalledTool,
    ) -> Result<Request<Body>, String> {
        let body = body.to_string();
        let mut headers = self.head.headers.clone();
        headers.remove(header::TRANSFER_ENCODING);
        headers.remove(&PAYMENT_SIGNATURE);
        let json = HeaderValue::from_static("application/json");
        headers.insert(header::CONTENT_TYPE, json);
        headers.insert(header::CONTENT_LENGTH, body.len().into());
        if let Some(payment) = payment {
            let value = HeaderValue::from_str(&STANDARD.encode(payment.to_string()));
            let value = value.map_err(|_| format!("`{PAYMENT}` is no payment."))?;
            headers.insert(PAYMENT_SIGNATURE, value);
        }
        let mut request = Request::new(Body::from(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = Uri::from_static(path);
        *request.headers_mut() = headers;
        *request.extensions_mut() = self.head.extensions.clone();
        request.extensions_mut().insert(tool);
        Ok(request)
    }
}

/// The body of the adapter's route. Its checks are the route's, but for the names of arguments.
fn body(adapter: &ServedAdapter, mut arguments: JsonObject) -> Result<Value, String> {
    let known = properties(adapter.task.as_ref());
    if let Some(other) = arguments.keys().find(|name| !known.contains_key(*name)) {
        let known: Vec<&str> = known.keys().map(String::as_str).collect();
        return Err(format!(
            "There is no argument `{}` here; known are: {}.",
            other.escape_debug(),
            known.join(", ")
        ));
    }
    let text = |name: &str, value: Option<Value>| match value {
        Some(Value::String(text)) if !text.is_empty() => Ok(text),
        _ => Err(format!(
            "The argument `{name}` must be a text that is not empty."
        )),
    };
    let prompt = text("prompt", arguments.remove("prompt"))?;
    let mut body = json!({ "model": adapter.name });
    match &adapter.task {
        Some(Task::Classify { .. }) => body["input"] = prompt.into(),
        Some(Task::Text) | None => body["prompt"] = prompt.into(),
        Some(Task::Chat { .. }) => {
            let mut messages = Vec::new();
            if let Some(system) = arguments.remove("system") {
                let system = text("system", Some(system))?;
                messages.push(json!({ "role": "system", "content": system }));
            }
            messages.push(json!({ "role": "user", "content": prompt }));
            body["messages"] = messages.into();
        }
    }
    for (name, value) in arguments {
        body[name] = value;
    }
    Ok(body)
}

/// The result of a tool, from the answer of the route.
async fn result(adapter: &ServedAdapter, response: Response) -> CallToolResult {
    let (head, body) = response.into_parts();
    if let Some(terms) = encoded(&head.headers, &PAYMENT_REQUIRED) {
        return failed(terms.to_string(), Some(terms));
    }
    // The route has bounded its answer.
    let bytes = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let answer: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    if !head.status.is_success() {
        let message = answer["error"]["message"].as_str();
        let message = message.unwrap_or("The call failed.").to_owned();
        return failed(message, Some(answer).filter(Value::is_object));
    }
    let choice = &answer["choices"][0];
    let text = match &adapter.task {
        Some(Task::Classify { .. }) => None,
        Some(Task::Chat { .. }) => choice["message"]["content"].as_str(),
        Some(Task::Text) | None => choice["text"].as_str(),
    };
    let text = text.map_or_else(|| answer.to_string(), str::to_owned);
    let mut result = CallToolResult::success(vec![ContentBlock::text(text)]);
    result.structured_content = Some(answer);
    if let Some(paid) = encoded(&head.headers, &PAYMENT_RESPONSE) {
        let meta = JsonObject::from_iter([(PAYMENT_RESULT.to_owned(), paid)]);
        result.meta = Some(MetaObject(meta));
    }
    result
}

fn failed(text: String, structured: Option<Value>) -> CallToolResult {
    let mut result = CallToolResult::error(vec![ContentBlock::text(text)]);
    result.structured_content = structured;
    result
}

/// The JSON that a header has in base64.
fn encoded(headers: &HeaderMap, name: &header::HeaderName) -> Option<Value> {
    let bytes = STANDARD.decode(headers.get(name)?.as_bytes()).ok()?;
    serde_json::from_slice(&bytes).ok()
}

impl ServerHandler for ServedTools {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder().enable_tools().build();
        ServerConfig::new(capabilities)
            .with_server_info(Implementation::new("openlora", env!("CARGO_PKG_VERSION")))
            .with_instructions(INSTRUCTIONS)
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let own = self.adapters();
        let own = own.iter().map(|it| described(&it.tool));
        let all = [described(&general_tool())].into_iter().chain(own);
        Ok(ListToolsResult::with_all_items(all.collect()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        // The library gives the request's `_meta` in one of two places.
        let held = request.meta.clone();
        let payment = held.as_ref().and_then(|meta| meta.0.0.get(PAYMENT));
        let payment = payment.or_else(|| context.meta.0.0.get(PAYMENT));
        let result = self.call(request, payment).await;
        Ok(result
            .unwrap_or_else(|message| failed(message, None))
            .into())
    }
}

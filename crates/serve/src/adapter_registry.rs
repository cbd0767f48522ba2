//! The served adapters, and the lookup of a request's adapter.

use std::{
    any::Any,
    fmt,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{
    ServeError, adapter_profile::AdapterProfile, api_error::ApiError, payment::Currency,
    similar::closest,
};
use openlora_attribution::Provenance;
use openlora_engine::{Engine, EngineIdentity, ImageLimits, Prompt, SamplingParams};
use openlora_ledger::{CallComputation, PriceList, TOKENS};
use openlora_model::{dataset::Task, text::ChatMessage};

/// Temperature if neither the caller nor the adapter's task sets one, as in OpenAI's API.
const DEFAULT_TEMPERATURE: f64 = 1.0;

/// Most pictures in one call, as in OpenAI's API.
pub const MOST_PICTURES: u64 = 10;

/// An adapter on its engine.
pub struct ServedAdapter {
    pub name: String,
    /// SHA-256 of the adapter's files, hex.
    pub digest: String,
    /// The operator's name for this state of the adapter.
    pub version: String,
    pub base_id: String,
    pub base_digest: String,
    pub task: Option<Task>,
    /// Temperature where a caller sets none; the task's default if unset.
    pub temperature: Option<f64>,
    /// Unix time in seconds at which it was loaded.
    pub created: u64,
    /// In base units; all zero if calls are free.
    pub prices: PriceList,
    pub engine: Arc<dyn Engine>,
    pub identity: EngineIdentity,
    /// The contributors of its training data.
    pub provenance: Provenance,
    /// The facts that its package states.
    pub profile: AdapterProfile,
    /// It is for sale and not loaded: a call with a checked payment has it fetched.
    pub is_announced: bool,
    /// What must stay as long as it is served, such as the lock on its files.
    pub kept: Option<Arc<dyn Any + Send + Sync>>,
}

impl ServedAdapter {
    /// Identifies the weights that answer: the first digits of both digests.
    pub fn fingerprint(&self) -> String {
        let head = |digest: &str| digest.chars().take(8).collect::<String>();
        format!("fp_{}{}", head(&self.base_digest), head(&self.digest))
    }

    /// Labels of a classifier, empty for any other task.
    pub fn labels(&self) -> &[String] {
        match &self.task {
            Some(Task::Classify { labels, .. }) => labels,
            _ => &[],
        }
    }

    /// The conversation that the model sees: the task's instruction goes first when the caller
    /// gives no system message.
    pub fn chat_prompt(&self, mut messages: Vec<ChatMessage>) -> Prompt {
        let own = self.task.as_ref().and_then(Task::instruction);
        let has_system = messages.iter().any(|message| message.role == "system");
        if let (Some(content), false) = (own.filter(|text| !text.is_empty()), has_system) {
            messages.insert(
                0,
                ChatMessage {
                    role: "system".to_owned(),
                    content: content.to_owned(),
                },
            );
        }
        Prompt::Chat(messages)
    }

    /// The operator's temperature; otherwise, a classifier answers greedily unless asked otherwise.
    pub fn default_temperature(&self) -> f64 {
        if let Some(temperature) = self.temperature {
            temperature
        } else if self.labels().is_empty() {
            DEFAULT_TEMPERATURE
        } else {
            0.0
        }
    }

    /// What a receipt states of an answer's computation; `sampling` is absent for a classification.
    pub fn computation(&self, sampling: Option<&SamplingParams>) -> CallComputation {
        CallComputation {
            engine: self.identity.engine.clone(),
            weights: self.identity.weights.clone(),
            base_digest: self.base_digest.clone(),
            sampling: sampling.map(SamplingParams::to_record),
            pictures: None,
        }
    }

    fn task_json(&self) -> Value {
        let describe = |task: &Task| json!({ "kind": task.name(), "labels": self.labels() });
        self.task.as_ref().map_or(Value::Null, describe)
    }

    /// The entry of `/v1/models`. Prices are amounts in base units of the currency.
    pub fn to_json(&self, currency: Option<&Currency>) -> Value {
        let mut pricing = json!({
            "prompt": self.prices.prompt,
            "completion": self.prices.completion,
            "classification": self.prices.classification,
            "image": self.prices.image,
            "request": self.prices.minimum,
            "tokens": TOKENS,
        });
        if let Some(currency) = currency {
            pricing["currency"] = json!(currency.symbol);
            pricing["decimals"] = json!(currency.decimals);
        }
        let mut entry = json!({
            "id": self.name,
            "object": "model",
            "created": self.created,
            "owned_by": "openlora",
            "parent": self.base_id,
            "version": self.version,
            "digest": self.digest,
            "base_digest": self.base_digest,
            "context_length": self.engine.limits().context_tokens,
            "engine": self.identity.engine,
            "weights": self.identity.weights,
            "task": self.task_json(),
            "pricing": pricing,
        });
        if let Some(images) = self.engine.images() {
            entry["images"] = images_json(&images.image_limits());
        }
        if self.is_announced {
            entry["loaded"] = json!(false);
        }
        if let Some(isolation) = self.engine.isolation() {
            entry["isolation"] = json!(isolation);
        }
        entry
    }
}

/// What a call for pictures may ask for, and what it gets without asking.
fn images_json(limits: &ImageLimits) -> Value {
    let of = |usual: Value, most: Value| json!({ "default": usual, "max": most });
    json!({
        "size": {
            "default": format!("{0}x{0}", limits.usual),
            "min_side": limits.smallest,
            "max_side": limits.largest,
            "multiple_of": limits.patch,
        },
        "n": of(json!(1), json!(MOST_PICTURES)),
        "steps": of(json!(limits.steps), json!(limits.most_steps)),
        "guidance": of(json!(limits.guidance), json!(limits.most_guidance)),
        "sampler": limits.sampler,
    })
}

/// The adapters of a server, in the order in which they were named. It changes while the server
/// runs; a call keeps the adapter that it found. Cheap to clone.
#[derive(Clone, Default)]
pub struct AdapterRegistry {
    adapters: Arc<RwLock<Vec<Arc<ServedAdapter>>>>,
}

impl AdapterRegistry {
    pub fn new(adapters: Vec<ServedAdapter>) -> Result<Self, ServeError> {
        for (index, adapter) in adapters.iter().enumerate() {
            if adapters[..index]
                .iter()
                .any(|other| other.name == adapter.name)
            {
                return Err(ServeError::DuplicateAdapter {
                    name: adapter.name.clone(),
                });
            }
        }
        let adapters = adapters.into_iter().map(Arc::new).collect();
        Ok(Self {
            adapters: Arc::new(RwLock::new(adapters)),
        })
    }

    /// The adapters that are served now.
    pub fn all(&self) -> Vec<Arc<ServedAdapter>> {
        self.read().clone()
    }

    pub fn len(&self) -> usize {
        self.read().len()
    }

    pub fn is_empty(&self) -> bool {
        self.read().is_empty()
    }

    /// The adapter of that name; any other name is 404, never the base.
    pub fn find(&self, name: &str) -> Result<Arc<ServedAdapter>, ApiError> {
        let adapters = self.read();
        let found = adapters.iter().find(|adapter| adapter.name == name);
        found.cloned().ok_or_else(|| unknown(name, &adapters))
    }

    /// Serves an adapter from now on; returns the one that had its name.
    pub fn put(&self, adapter: ServedAdapter) -> Option<Arc<ServedAdapter>> {
        let mut adapters = self.write();
        let adapter = Arc::new(adapter);
        match adapters.iter_mut().find(|it| it.name == adapter.name) {
            Some(place) => Some(std::mem::replace(place, adapter)),
            None => {
                adapters.push(adapter);
                None
            }
        }
    }

    /// Serves the adapter of that name no longer.
    pub fn remove(&self, name: &str) -> Option<Arc<ServedAdapter>> {
        let mut adapters = self.write();
        let at = adapters.iter().position(|adapter| adapter.name == name)?;
        Some(adapters.remove(at))
    }

    fn read(&self) -> RwLockReadGuard<'_, Vec<Arc<ServedAdapter>>> {
        self.adapters.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Vec<Arc<ServedAdapter>>> {
        self.adapters
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for AdapterRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let adapters = self.all();
        let names = adapters.iter().map(|adapter| &adapter.name);
        f.debug_list().entries(names).finish()
    }
}

fn unknown(name: &str, adapters: &[Arc<ServedAdapter>]) -> ApiError {
    let names: Vec<&str> = adapters
        .iter()
        .map(|adapter| adapter.name.as_str())
        .collect();
    let suggestion = match closest(name, &names) {
        Some(other) => format!(" Did you mean '{other}'?"),
        None if names.is_empty() => " No adapter is served now.".to_owned(),
        None => format!(" Served here: {}.", names.join(", ")),
    };
    let shown: String = name.chars().take(80).collect();
    let message = format!("The model '{shown}' does not exist.{suggestion}");
    ApiError::new(StatusCode::NOT_FOUND, "model_not_found", message).with_param("model")
}

//! The catalogue of resources of other sellers whose payments were settled here (x402's extension
//! `bazaar`).
//!
//! A client repeats in its payment what a server declared, and could repeat something else. So an
//! entry never holds what a client sent. A settled payment only makes the catalogue ask the resource's
//! own server for its terms; the server's answer is what is listed, and only if it offers to be paid
//! the account that was just paid. The number of entries is bounded, in all and by seller; those that
//! were not paid for the longest leave first.

mod declared;
pub mod schema;

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::Semaphore;

pub use declared::{BAZAAR, ResourceCall};
use declared::{call_of, metadata};

use super::wire::{ClearingRequest, PaymentRequired, PaymentRequirements, VERSION};
use openlora_core::{Address, atomic, calendar::rfc3339};
use openlora_ports::ListedResource;

/// How many resources are listed, in all and of one seller.
const MOST: usize = 1024;
const MOST_OF_SELLER: usize = 32;

/// The largest terms of a resource, as they come in the header, in bytes.
const LARGEST_TERMS: usize = 32 << 10;

/// How many servers are asked at the same time, and how many questions may wait.
const ASKED_AT_ONCE: usize = 4;
const MOST_WAITING: usize = 64;

/// An entry that is older is asked for again when it is paid, in seconds.
const RENEWED_AFTER: u64 = 3600;

/// Asks a resource's server for its payment terms.
#[async_trait::async_trait]
pub trait ResourceProbe: Send + Sync {
    /// The value of `PAYMENT-REQUIRED` in the answer to a call without payment; several where the
    /// resource sells several things.
    ///
    /// # Errors
    /// Why there is none, as a sentence for the log.
    async fn terms(&self, call: &ResourceCall) -> Result<Vec<String>, String>;
}

/// A listed resource, and the seller that it pays.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct CatalogueEntry {
    method: String,
    pay_to: Address,
    /// Unix seconds of the last settled payment, and of the last question.
    paid: u64,
    asked: u64,
    listed: ListedResource,
}

/// The entries, the one that was paid last first.
#[derive(Debug, Default)]
struct CatalogueState {
    entries: Vec<CatalogueEntry>,
    /// What is being asked for.
    waiting: BTreeSet<String>,
}

/// The resources of other sellers. Cheap to clone.
#[derive(Clone)]
pub struct ResourceCatalogue(Arc<CatalogueParts>);

struct CatalogueParts {
    /// Where the entries are kept.
    file: Option<PathBuf>,
    probe: Arc<dyn ResourceProbe>,
    state: Mutex<CatalogueState>,
    asking: Semaphore,
}

impl ResourceCatalogue {
    /// The catalogue in a file; empty if there is none or it cannot be read, because it fills again
    /// with the next payments.
    pub fn open(file: Option<PathBuf>, probe: Arc<dyn ResourceProbe>) -> Self {
        let kept = file.as_ref().and_then(|path| std::fs::read(path).ok());
        let entries = kept.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Self(Arc::new(CatalogueParts {
            file,
            probe,
            state: Mutex::new(CatalogueState {
                entries: entries.unwrap_or_default(),
                waiting: BTreeSet::new(),
            }),
            asking: Semaphore::new(ASKED_AT_ONCE),
        }))
    }

    /// The listed resources, the one that was paid last first.
    pub fn listed(&self) -> Vec<ListedResource> {
        let state = self.state();
        let listed = state.entries.iter().map(|entry| ListedResource {
            last_updated: rfc3339(entry.paid),
            ..entry.listed.clone()
        });
        listed.collect()
    }

    /// A payment was settled: lists its resource, in a task of its own.
    pub(super) fn observe(&self, request: &ClearingRequest) {
        let payment = &request.payment;
        let call = match call_of(payment.resource.as_ref(), payment.extensions.as_ref()) {
            Ok(Some(call)) => call,
            Ok(None) => return,
            Err(reason) => {
                tracing::debug!(reason, "a paid resource is not listed");
                return;
            }
        };
        let offer = request.requirements.clone();
        if self.touch(&call, offer.pay_to) {
            return;
        }
        let key = format!("{} {} {}", call.method, call.url, offer.pay_to);
        if !self.state().begin(&key) {
            return;
        }
        let catalogue = self.clone();
        tokio::spawn(async move {
            catalogue.ask(&call, &offer).await;
            catalogue.state().waiting.remove(&key);
        });
    }

    /// Moves a fresh entry to the front; false if its server is to be asked.
    fn touch(&self, call: &ResourceCall, pay_to: Address) -> bool {
        let mut state = self.state();
        let Some(at) = state.position(call, pay_to) else {
            return false;
        };
        let mut entry = state.entries.remove(at);
        entry.paid = now();
        let is_fresh = entry.asked.saturating_add(RENEWED_AFTER) > entry.paid;
        state.entries.insert(0, entry);
        is_fresh
    }

    /// Asks the resource's server, and lists what it says.
    async fn ask(&self, call: &ResourceCall, offer: &PaymentRequirements) {
        let Ok(_turn) = self.0.asking.acquire().await else {
            return;
        };
        let said = self.0.probe.terms(call).await;
        let entry = said.and_then(|terms| first_entry(&terms, call, offer));
        let mut state = self.state();
        if let Some(at) = state.position(call, offer.pay_to) {
            state.entries.remove(at);
        }
        match entry {
            Ok(entry) => state.add(entry),
            Err(reason) => {
                tracing::info!(resource = call.url, reason, "a paid resource is not listed");
            }
        }
        self.store(&state.entries);
    }

    fn store(&self, entries: &[CatalogueEntry]) {
        let Some(path) = &self.0.file else { return };
        let written = serde_json::to_vec(entries).map_err(std::io::Error::other);
        let written =
            written.and_then(|bytes| atomic::replace_file(path, &bytes, atomic::FileAccess::Owner));
        if let Err(error) = written {
            tracing::warn!(%error, "the catalogue of resources is not kept");
        }
    }

    fn state(&self) -> MutexGuard<'_, CatalogueState> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CatalogueState {
    fn position(&self, call: &ResourceCall, pay_to: Address) -> Option<usize> {
        let is_it = |entry: &CatalogueEntry| {
            entry.pay_to == pay_to
                && entry.method == call.method
                && entry.listed.resource == call.url
        };
        self.entries.iter().position(is_it)
    }

    /// Whether a question may be asked now.
    fn begin(&mut self, key: &str) -> bool {
        self.waiting.len() < MOST_WAITING && self.waiting.insert(key.to_owned())
    }

    /// Adds an entry in front. Where there are too many, the last ones leave.
    fn add(&mut self, entry: CatalogueEntry) {
        let seller = entry.pay_to;
        self.entries.insert(0, entry);
        let mut of_seller = 0;
        self.entries.retain(|entry| {
            of_seller += usize::from(entry.pay_to == seller);
            entry.pay_to != seller || of_seller <= MOST_OF_SELLER
        });
        self.entries.truncate(MOST);
    }
}

/// The first of several terms that ask for the payment that was settled.
fn first_entry(
    said: &[String],
    call: &ResourceCall,
    offer: &PaymentRequirements,
) -> Result<CatalogueEntry, String> {
    let mut refusal = "its server asks for no payment".to_owned();
    for terms in said {
        match entry_of(terms, call, offer) {
            Ok(entry) => return Ok(entry),
            Err(reason) => refusal = reason,
        }
    }
    Err(refusal)
}

/// What a resource's own server says of it, if it asks for the payment that was settled.
fn entry_of(
    terms: &str,
    call: &ResourceCall,
    offer: &PaymentRequirements,
) -> Result<CatalogueEntry, String> {
    if terms.len() > LARGEST_TERMS {
        return Err(format!("its terms have more than {LARGEST_TERMS} bytes"));
    }
    let terms = PaymentRequired::decode(terms).map_err(|problem| problem.to_string())?;
    let is_paid = |it: &PaymentRequirements| {
        (&it.scheme, &it.network, it.asset, it.pay_to)
            == (&offer.scheme, &offer.network, offer.asset, offer.pay_to)
    };
    if !terms.offers().any(|(_, terms)| is_paid(&terms)) {
        return Err("its server does not offer what was paid".to_owned());
    }
    let url = serde_json::json!({ "url": terms.resource.url });
    let own = call_of(Some(&url), terms.extensions.as_ref())?;
    let own = own.ok_or("its server declares nothing")?;
    if (&own.url, &own.method) != (&call.url, &call.method) {
        return Err("its server declares another resource".to_owned());
    }
    let about = metadata(&terms);
    Ok(CatalogueEntry {
        method: own.method,
        pay_to: offer.pay_to,
        paid: now(),
        asked: now(),
        listed: ListedResource {
            resource: own.url,
            r#type: "http".to_owned(),
            x402_version: VERSION,
            accepts: terms.accepts.iter().map(without_state).collect(),
            last_updated: rfc3339(now()),
            description: about.description,
            mime_type: about.mime_type,
            service_name: about.service_name,
            tags: about.tags,
            icon_url: about.icon_url,
            extensions: terms.extensions,
        },
    })
}

/// An offer without the state of a channel.
fn without_state(offer: &Value) -> Value {
    let mut offer = offer.clone();
    if let Some(extra) = offer.get_mut("extra").and_then(Value::as_object_mut) {
        extra.remove("channelState");
        extra.remove("voucherState");
    }
    offer
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| now.as_secs())
}

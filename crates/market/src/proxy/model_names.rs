//! Which servers a model name stands for, and the list of models. What was found counts for a
//! minute, or until a server of it does not answer.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::answer_error::ProxyError;
use crate::{
    catalog::{AdapterRoute, Catalog, SurveyedAdapter},
    http::{LARGEST, MarketHttp, ServerAddress, broken, json as json_body},
    purchase::PurchaseError,
    reference::AdapterReference,
    search::sold_names,
};

/// How long a finding counts.
const LIFETIME: Duration = Duration::from_secs(60);
/// The most names that are remembered.
const MOST_NAMES: usize = 1_024;
/// The longest name that is looked up.
const LONGEST_NAME: usize = 256;

/// Finds servers by model names.
pub struct ModelNames {
    catalog: Catalog,
    http: MarketHttp,
    /// The server of plain names.
    server: Option<ServerAddress>,
    known: Mutex<HashMap<String, (Instant, Vec<AdapterRoute>)>>,
    /// The adapter that a name has stood for since the proxy began.
    meant: Mutex<HashMap<String, String>>,
    listed: tokio::sync::Mutex<Option<(Instant, Vec<Value>)>>,
}

impl ModelNames {
    pub fn new(catalog: Catalog, http: MarketHttp, server: Option<ServerAddress>) -> Self {
        Self {
            catalog,
            http,
            server,
            known: Mutex::default(),
            meant: Mutex::default(),
            listed: tokio::sync::Mutex::default(),
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, (Instant, Vec<AdapterRoute>)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The servers of a model, the best first; at least one.
    ///
    /// # Errors
    ///
    /// The name stands for no adapter that can be bought.
    pub async fn routes(&self, name: &str) -> Result<Vec<AdapterRoute>, ProxyError> {
        if name.is_empty() || name.len() > LONGEST_NAME {
            let message = format!("A model name has 1 to {LONGEST_NAME} bytes.");
            return Err(ProxyError::invalid("invalid_model", Some("model"), message));
        }
        let reference = AdapterReference::parse(name);
        if let (AdapterReference::Plain(model), Some(server)) = (&reference, &self.server) {
            return Ok(vec![AdapterRoute {
                server: server.clone(),
                model: model.clone(),
                payee: None,
            }]);
        }
        if let Some((time, routes)) = self.known().get(name)
            && time.elapsed() < LIFETIME
        {
            return Ok(routes.clone());
        }
        let routes = self.catalog.routes(&reference).await?;
        self.check_meant(name, &routes)?;
        let mut known = self.known();
        if known.len() >= MOST_NAMES {
            known.clear();
        }
        known.insert(name.to_owned(), (Instant::now(), routes.clone()));
        Ok(routes)
    }

    /// Anyone can sell an adapter under any name. So a name stays with the adapter that it stood for,
    /// also while that one's servers do not answer.
    fn check_meant(&self, name: &str, routes: &[AdapterRoute]) -> Result<(), ProxyError> {
        let mut payees = routes.iter().filter_map(|it| it.payee.as_ref());
        let Some(found) = payees.next().map(|it| it.adapter_id.as_str()) else {
            return Ok(());
        };
        let mut meant = self.meant.lock().unwrap_or_else(PoisonError::into_inner);
        match meant.get(name) {
            Some(before) if before != found => {
                let message = format!(
                    "The name `{name}` stood for the adapter {before}, and now only {found} is sold \
                     under it. Name the one that you mean by its id."
                );
                Err(ProxyError::new(
                    StatusCode::CONFLICT,
                    "model_changed",
                    message,
                ))
            }
            None if meant.len() < MOST_NAMES => {
                meant.insert(name.to_owned(), found.to_owned());
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Looks the name up anew next time.
    pub fn forget(&self, name: &str) {
        self.known().remove(name);
    }

    /// The models of the default server and of the registry's adapters, in OpenAI's form.
    ///
    /// # Errors
    ///
    /// Neither the default server nor the registry answers.
    pub async fn list(&self) -> Result<Vec<Value>, ProxyError> {
        let mut listed = self.listed.lock().await;
        if let Some((time, models)) = &*listed
            && time.elapsed() < LIFETIME
        {
            return Ok(models.clone());
        }
        let own = match &self.server {
            Some(server) => Some(self.models_of(server).await),
            None => None,
        };
        let registered = self.registered().await;
        let models = match (own, registered) {
            (Some(Err(error)), Err(_)) | (None, Err(error)) => return Err(error),
            (own, registered) => {
                let own = own.into_iter().flatten().flatten();
                own.chain(registered.into_iter().flatten()).collect()
            }
        };
        let models: Vec<Value> = models;
        *listed = Some((Instant::now(), models.clone()));
        Ok(models)
    }

    async fn models_of(&self, server: &ServerAddress) -> Result<Vec<Value>, ProxyError> {
        let asked = async {
            let client = self.http.client(server)?;
            let sent = client.get(server.url("/v1/models")).send().await;
            let response = sent.map_err(|error| broken(&error))?;
            let answer = json_body(response, LARGEST).await?;
            match &answer["data"] {
                Value::Array(models) => Ok(models.clone()),
                _ => Err("lists no models".to_owned()),
            }
        };
        asked.await.map_err(|problem| {
            let server = server.place();
            PurchaseError::Unreachable { server, problem }.into()
        })
    }

    async fn registered(&self) -> Result<Vec<Value>, ProxyError> {
        let (report, adapters) = self.catalog.survey().await?;
        let names = sold_names(&adapters);
        let sold = adapters.iter().filter_map(|it| {
            let is_alone = names.get(it.name()?) == Some(&1);
            model_of(it, &report.registry, is_alone)
        });
        Ok(sold.collect())
    }
}

/// An adapter that can be bought. One that shares its name with others is listed by its id.
fn model_of(adapter: &SurveyedAdapter, registry: &str, is_alone: bool) -> Option<Value> {
    let name = adapter.name()?;
    let first = adapter.servers.first()?;
    let model = match is_alone {
        true => name,
        false => adapter.view.adapter_id.as_str(),
    };
    Some(json!({
        "id": format!("{model}@{registry}"),
        "name": name,
        "object": "model",
        "created": first.model.listed["created"],
        "owned_by": adapter.view.publisher,
        "adapter_id": adapter.view.adapter_id,
        "task": first.model.listed["task"],
        "pricing": first.model.listed["pricing"],
        "servers": adapter.servers.len(),
    }))
}

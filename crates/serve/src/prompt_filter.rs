//! A content filter in front of pictures: a served classifier reads each prompt, and prompts with one
//! of the named labels are refused before anything is charged.

use std::sync::Arc;

use axum::http::StatusCode;

use super::{
    adapter_registry::{AdapterRegistry, ServedAdapter},
    api_error::ApiError,
    error::ServeError,
    wire::inputs::{best, harmless_label},
};
use openlora_engine::{FairShareKey, Prompt};
use openlora_model::dataset::Task;

/// Which adapter reads the prompts, and the labels that it refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromptFilter {
    /// The name of a served classifier.
    pub adapter: String,
    /// Every label but the one that marks harmless text if empty.
    pub labels: Vec<String>,
}

impl PromptFilter {
    /// The filter with all of its labels.
    ///
    /// # Errors
    ///
    /// The adapter is not served or is no classifier, or has none of the labels.
    pub fn check(self, adapters: &AdapterRegistry) -> Result<Self, ServeError> {
        let Self { adapter, labels } = self;
        let wrong = |expected: String| ServeError::PromptFilter {
            name: adapter.clone(),
            expected,
        };
        let served = adapters.find(&adapter);
        let served = served.map_err(|_| wrong("a served adapter".to_owned()))?;
        let known = served.labels();
        if known.is_empty() {
            return Err(wrong("a classifier".to_owned()));
        }
        if let Some(label) = labels.iter().find(|label| !known.contains(label)) {
            let known = known.join(", ");
            return Err(wrong(format!("labels of it ({known}), found `{label}`")));
        }
        let labels = match (labels.is_empty(), harmless_label(known)) {
            (false, _) => labels,
            (true, Some(harmless)) => {
                let others = known.iter().enumerate().filter(|(at, _)| *at != harmless);
                others.map(|(_, label)| label.clone()).collect()
            }
            (true, None) => {
                let expected = "the labels to refuse, because none of its own marks harmless text";
                return Err(wrong(expected.to_owned()));
            }
        };
        Ok(Self { adapter, labels })
    }
}

impl PromptFilter {
    /// Refuses a prompt for a picture that does not pass.
    ///
    /// # Errors
    ///
    /// It has one of the labels, or the filter does not answer.
    pub(crate) async fn screen(
        &self,
        adapters: &AdapterRegistry,
        prompt: &str,
        payer: &FairShareKey,
    ) -> Result<(), ApiError> {
        // The operator may have unloaded it: prompts must not pass unread.
        let served = adapters.find(&self.adapter);
        let adapter = served.map_err(|_| unread(&self.adapter))?;
        let Some(task @ Task::Classify { labels, .. }) = &adapter.task else {
            return Err(unread(&self.adapter));
        };
        let found = label_of(&adapter, task, labels, prompt, payer).await?;
        match labels.get(found) {
            Some(label) if !self.labels.contains(label) => Ok(()),
            _ => Err(refused()),
        }
    }
}

async fn label_of(
    adapter: &ServedAdapter,
    task: &Task,
    labels: &[String],
    prompt: &str,
    payer: &FairShareKey,
) -> Result<usize, ApiError> {
    let failed = |error| {
        tracing::error!(%error, "the filter of prompts failed");
        unread(&adapter.name)
    };
    let own = adapter.engine.for_call(payer).await.map_err(failed)?;
    let engine = own.unwrap_or_else(|| Arc::clone(&adapter.engine));
    let messages = Prompt::Chat(task.prompt_messages(prompt));
    let found = engine.classify(messages, labels).await.map_err(failed)?;
    Ok(best(&found.probabilities))
}

fn unread(name: &str) -> ApiError {
    let message = format!(
        "Prompts are read by the filter '{name}' first, which does not answer now; nothing was charged."
    );
    ApiError::unavailable("prompt_filter_unavailable", message)
}

fn refused() -> ApiError {
    let message = "The server's content filter refuses this prompt; nothing was charged.";
    ApiError::new(StatusCode::BAD_REQUEST, "content_policy_violation", message).with_param("prompt")
}

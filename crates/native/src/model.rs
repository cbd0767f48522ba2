//! An adapter over a base, or the plain base, as a model of token ids.

use std::sync::Arc;

use openlora_engine::{EngineError, FairShareKey, GenerationStream, turns::due_time};
use openlora_generation::{Generation, TokenModel, answer_channel};
use openlora_model::dataset::choices::LabelFork;

use super::{
    host::NativeHost,
    owner::{CallOwner, EngineSlot, ModelOwner},
    scheduler::SubmittedWork,
    sequence::RowRequest,
};

pub(crate) struct NativeModel {
    pub name: String,
    pub host: Arc<NativeHost>,
    pub owner: Arc<ModelOwner>,
    /// The one call that it serves, with its factors; none if it serves any.
    pub call: Option<CallOwner>,
}

impl NativeModel {
    /// There must be a token to compute, and a base's tokenizer may have more tokens than its
    /// embedding.
    fn check(&self, prefix: &[u32], path: &[u32]) -> Result<(), EngineError> {
        if prefix.is_empty() {
            return Err(EngineError::Invalid {
                message: "the prompt is empty".to_owned(),
                parameter: None,
            });
        }
        let vocabulary = self.host.vocabulary();
        let mut ids = prefix.iter().chain(path);
        match ids.find(|id| **id as usize >= vocabulary) {
            Some(id) => Err(EngineError::Invalid {
                message: format!(
                    "the prompt has token {id}; {} has {vocabulary} tokens",
                    self.name
                ),
                parameter: None,
            }),
            None => Ok(()),
        }
    }

    /// The place of a call that begins now.
    fn slot(&self) -> Result<EngineSlot, EngineError> {
        let payer = self.call.as_ref().map(|call| call.payer.clone());
        self.host.slot(&self.name, &payer.unwrap_or_default())
    }

    /// The owner of a call that begins now.
    async fn enter(&self) -> Result<CallOwner, EngineError> {
        match &self.call {
            Some(call) => Ok(call.clone()),
            None => self.host.enter(&self.owner, &FairShareKey::default()).await,
        }
    }
}

#[async_trait::async_trait]
impl TokenModel for NativeModel {
    async fn for_call(&self, payer: &FairShareKey) -> Result<Option<Self>, EngineError> {
        let call = self.host.enter(&self.owner, payer).await?;
        Ok(Some(Self {
            name: self.name.clone(),
            host: Arc::clone(&self.host),
            owner: Arc::clone(&self.owner),
            call: Some(call),
        }))
    }

    async fn start_answer(
        &self,
        ids: Vec<u32>,
        walk: Generation,
    ) -> Result<GenerationStream, EngineError> {
        self.check(&ids, &[])?;
        let due = due_time(walk.longest() as u64);
        let slot = self.slot()?;
        let owner = self.enter().await?;
        let (feed, reader) = answer_channel(walk, ids.len(), ());
        let feed = Box::new(feed);
        let work = SubmittedWork::Answer { feed, slot };
        self.host.submit(owner, ids, due, work)?;
        Ok(reader)
    }

    async fn fork_logits(
        &self,
        prefix: &[u32],
        forks: &[LabelFork],
    ) -> Result<Vec<Vec<f32>>, EngineError> {
        if forks.is_empty() {
            return Ok(Vec::new());
        }
        for fork in forks {
            self.check(prefix, &fork.path)?;
        }
        let slot = self.slot()?;
        let owner = self.enter().await?;
        let request = |fork: &LabelFork| RowRequest {
            path: fork.path.clone(),
            tokens: fork.children.clone(),
        };
        let requests = forks.iter().map(request).collect();
        let rows = self.host.rows(owner, prefix.to_vec(), requests, Some(slot));
        rows.await
    }
}

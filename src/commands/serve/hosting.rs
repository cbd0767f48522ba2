//! Puts adapters on engines: at the start of a server, and while it runs.

use std::{
    path::Path,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use super::adapter_at;
use crate::commands::{CommandContext, notices, project};
use openlora_core::error::{ExitClass, Failure};
use openlora_engine::Engine;
use openlora_ledger::event::SplitRead;
use openlora_mistral::{EngineLoader, EngineSpec, Quant};
use openlora_model::{BaseModel, adapter};
use openlora_runtime::{
    paid_serving::{ChosenAdapter, PaidServing},
    provenance,
};
use openlora_serve::{AdapterLoader, ServeError, ServedAdapter};

/// A base, and what the adapters on it have in common.
pub(super) struct AdapterHost {
    context: CommandContext,
    base: BaseModel,
    engines: EngineLoader,
    quant: Quant,
    /// Absent if calls are free.
    selling: Option<Arc<PaidServing>>,
}

impl AdapterHost {
    /// # Errors
    ///
    /// `serve.quant` is wrong.
    pub fn new(
        context: &CommandContext,
        base: BaseModel,
        selling: Option<Arc<PaidServing>>,
    ) -> Result<Self, Failure> {
        let quant = context.settings.serve.quant.parse();
        let quant = quant.map_err(|reason: String| Failure::new(ExitClass::Usage, reason))?;
        Ok(Self {
            context: context.clone(),
            base,
            engines: EngineLoader::new(),
            quant,
            selling,
        })
    }

    /// The adapters that a server starts with.
    ///
    /// # Errors
    ///
    /// Two have the same name, or one cannot be served.
    pub async fn host_all(
        &self,
        chosen: Vec<ChosenAdapter>,
    ) -> Result<Vec<ServedAdapter>, Failure> {
        let mut hosted: Vec<ServedAdapter> = Vec::with_capacity(chosen.len());
        for one in chosen {
            if hosted.iter().any(|other| other.name == one.name) {
                return Err(ServeError::DuplicateAdapter { name: one.name }.into());
            }
            let engine = self.engine(&one).await?;
            let splits = self.selling.as_ref().map(|it| &it.splits);
            let split = splits.and_then(|it| it.get(&one.adapter.digest));
            hosted.push(self.served(one, engine, split)?);
        }
        Ok(hosted)
    }

    async fn engine(&self, one: &ChosenAdapter) -> Result<Arc<dyn Engine>, Failure> {
        adapter::verify_base(&one.adapter, &self.base.digest)?;
        let (name, printer) = (&one.name, &self.context.printer);
        let spec = EngineSpec {
            name: name.clone(),
            base: &self.base,
            adapter: Some(&one.adapter),
            quant: self.quant,
        };
        let loaded = self.engines.load(spec).await?;
        let weights = &loaded.weights;
        printer.note(format!(
            "{name}: {} weights ({})",
            weights.quant, weights.reason
        ));
        if let Some(effect) = loaded.effect {
            printer.detail(format!(
                "{name} moves the base's logits by up to {effect:.2}"
            ));
        }
        Ok(loaded.engine)
    }

    fn served(
        &self,
        one: ChosenAdapter,
        engine: Arc<dyn Engine>,
        split: Option<&SplitRead>,
    ) -> Result<ServedAdapter, Failure> {
        let ChosenAdapter {
            name,
            version,
            adapter,
        } = one;
        let sources = project::sources(&self.context, &[]);
        let listener = notices::listener(&self.context.printer);
        let provenance =
            provenance::read_provenance(&self.base, &adapter, split, &sources, &listener)?;
        let prices = self.selling.as_ref().map(|it| it.prices());
        Ok(ServedAdapter {
            name,
            version,
            digest: adapter.digest.clone(),
            base_id: self.base.id.clone(),
            base_digest: self.base.digest.clone(),
            task: adapter.task.as_ref().map(|card| card.task.clone()),
            temperature: self.context.settings.serve.temperature,
            created: now(),
            prices: prices.unwrap_or_default(),
            provenance,
            engine,
        })
    }
}

#[async_trait::async_trait]
impl AdapterLoader for AdapterHost {
    /// Payment is taken only for an adapter that answers.
    async fn load(
        &self,
        name: &str,
        path: &Path,
        served: &[Arc<ServedAdapter>],
    ) -> Result<ServedAdapter, Failure> {
        let one = tokio::task::block_in_place(|| adapter_at(&self.context, name, path))?;
        adapter::verify_base(&one.adapter, &self.base.digest)?;
        let same = |it: &&Arc<ServedAdapter>| it.digest == one.adapter.digest;
        let engine = match served.iter().find(same) {
            Some(other) => Arc::clone(&other.engine),
            None => self.engine(&one).await?,
        };
        let split = match &self.selling {
            Some(selling) => Some(selling.offer(&one).await?),
            None => None,
        };
        let ready = tokio::task::block_in_place(|| self.served(one, engine, split.as_ref()))?;
        let place = path.display();
        self.context
            .printer
            .note(format!("{name}: loaded from {place}, as was asked for"));
        Ok(ready)
    }
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |now| now.as_secs())
}

//! Puts adapters on engines: at the start of a server, and while it runs.

use std::{
    path::Path,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use super::{
    adapter_in,
    bases::{PictureShelf, ServedBases, TextBase, makes_pictures},
    engine_choice::EngineKind,
    fetched::{FetchedReleases, priced},
    folder::NamedFolder,
};
use crate::commands::{CommandContext, notices, project};
use openlora_attribution::Provenance;
use openlora_core::error::Failure;
use openlora_distribution::PackageStore;
use openlora_engine::{Engine, EngineIdentity, EngineSpec};
use openlora_generation::PromptCounter;
use openlora_influence::SketchBases;
use openlora_ledger::event::SplitRead;
use openlora_model::adapter::{LoraAdapter, TaskCard};
use openlora_release::lookup::ChainRelease;
use openlora_runtime::{
    paid_serving::{ChosenAdapter, PaidServing, announcement_key},
    profile, provenance,
};
use openlora_serve::{AdapterLoader, AdapterProfile, ServedAdapter};

/// The bases, and what the adapters on them have in common.
pub(super) struct AdapterHost {
    context: CommandContext,
    bases: ServedBases,
    /// Absent if calls are free.
    selling: Option<Arc<PaidServing>>,
    sketch_bases: SketchBases,
    fetched: FetchedReleases,
    /// The packages that were pulled.
    store: PackageStore,
    /// Counts prompts of adapters that are not loaded.
    counter: Option<PromptCounter>,
}

impl AdapterHost {
    pub fn new(
        context: &CommandContext,
        bases: ServedBases,
        selling: Option<Arc<PaidServing>>,
    ) -> Self {
        Self {
            context: context.clone(),
            bases,
            selling,
            sketch_bases: SketchBases::default(),
            fetched: FetchedReleases::default(),
            store: PackageStore::at(&context.dirs.packages()),
            counter: None,
        }
    }

    /// With the releases that are fetched while the server runs.
    ///
    /// # Errors
    ///
    /// The base has no tokenizer.
    pub fn with_fetched(self, fetched: FetchedReleases) -> Result<Self, Failure> {
        let open = |text: &TextBase| {
            PromptCounter::open(&text.base.id, &text.base, text.base.config.max_positions)
        };
        let counter = self.bases.text.as_ref().map(open).transpose()?;
        Ok(Self {
            fetched,
            counter,
            ..self
        })
    }

    /// The adapters that a server starts with.
    ///
    /// # Errors
    ///
    /// One is of another base, or cannot be served.
    pub async fn host_all(
        &self,
        chosen: Vec<ChosenAdapter>,
    ) -> Result<Vec<ServedAdapter>, Failure> {
        for one in &chosen {
            self.bases.verify(&one.adapter)?;
        }
        let mut hosted: Vec<ServedAdapter> = Vec::with_capacity(chosen.len());
        for one in chosen {
            let engine = self.engine(&one).await?;
            let splits = self.selling.as_ref().map(|it| &it.splits);
            let split = splits.and_then(|it| it.get(&one.adapter.digest));
            hosted.push(self.served(one, engine, split)?);
        }
        Ok(hosted)
    }

    fn read(&self, name: &str, path: &Path) -> Result<ChosenAdapter, Failure> {
        let folder = NamedFolder {
            name: name.to_owned(),
            path: path.to_owned(),
        };
        adapter_in(&self.context, folder)
    }

    /// An adapter on the engine of its kind.
    async fn engine(&self, one: &ChosenAdapter) -> Result<HostedEngine, Failure> {
        if makes_pictures(&one.adapter) {
            let shelf = self.bases.pictures()?;
            let engine = tokio::task::block_in_place(|| shelf.engine(&one.name, &one.adapter))?;
            return Ok(HostedEngine {
                engine: Arc::new(engine),
                identity: PictureShelf::identity(),
            });
        }
        let (name, printer) = (&one.name, &self.context.printer);
        let TextBase { base, engine } = self.bases.text()?;
        let spec = EngineSpec {
            name: name.clone(),
            base,
            adapter: Some(&one.adapter),
            quant: engine.quant,
        };
        let loaded = engine.loader.load(spec).await?;
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
        Ok(HostedEngine {
            identity: loaded.identity(),
            engine: loaded.engine,
        })
    }

    fn served(
        &self,
        one: ChosenAdapter,
        hosted: HostedEngine,
        split: Option<&SplitRead>,
    ) -> Result<ServedAdapter, Failure> {
        let ChosenAdapter {
            name,
            version,
            adapter,
        } = one;
        let origin = self.origin(&adapter, split)?;
        let pictures = makes_pictures(&adapter);
        let prices = self.selling.as_ref().map(|selling| {
            let prices = selling.prices();
            let asked = self.fetched.get(&adapter.dir);
            let decimals = selling.sales.currency.decimals;
            asked.map_or(prices, |it| priced(prices, it.price, decimals, pictures))
        });
        let kept = self.store.hold_dir(&adapter.dir)?;
        Ok(ServedAdapter {
            name,
            version,
            digest: adapter.digest.clone(),
            base_id: origin.base_id,
            base_digest: origin.base_digest,
            task: adapter.task.as_ref().map(|card| card.task.clone()),
            temperature: self.context.settings.serve.temperature,
            created: now(),
            prices: prices.unwrap_or_default(),
            provenance: origin.provenance,
            profile: profile::read_profile(&adapter),
            is_announced: false,
            kept: kept.map(|hold| Arc::new(hold) as _),
            identity: hosted.identity,
            engine: hosted.engine,
        })
    }

    /// What is sold before it is fetched: the adapter as its publisher has registered it.
    ///
    /// # Errors
    ///
    /// The base has no tokenizer.
    pub fn announced(&self, one: AnnouncedAdapter<'_>) -> Result<ServedAdapter, Failure> {
        let AnnouncedAdapter {
            name,
            release,
            card,
        } = one;
        let manifest = release.manifest_sha256.to_string();
        let prices = self.selling.as_ref().map(|selling| {
            selling.announce_adapter(release);
            let decimals = selling.sales.currency.decimals;
            priced(selling.prices(), release.price, decimals, false)
        });
        let TextBase { base, engine } = self.bases.text()?;
        let context = base.config.max_positions;
        let counter = match &self.counter {
            Some(counter) => counter.for_adapter(&name, context),
            None => PromptCounter::open(&name, base, context)?,
        };
        Ok(ServedAdapter {
            version: manifest.chars().take(12).collect(),
            digest: announcement_key(release),
            base_id: base.id.clone(),
            base_digest: base.digest.clone(),
            task: card.map(|card| card.task),
            temperature: self.context.settings.serve.temperature,
            created: now(),
            prices: prices.unwrap_or_default(),
            provenance: Provenance::default(),
            profile: AdapterProfile::default(),
            is_announced: true,
            kept: None,
            identity: EngineIdentity {
                engine: engine.kind.name().to_owned(),
                weights: engine.quant.to_string(),
            },
            engine: Arc::new(counter),
            name,
        })
    }
}

/// An adapter that is for sale and not here.
pub(super) struct AnnouncedAdapter<'a> {
    pub name: String,
    pub release: &'a ChainRelease,
    pub card: Option<TaskCard>,
}

impl AdapterHost {
    /// The base of an adapter, and the contributors of its data.
    fn origin(
        &self,
        adapter: &LoraAdapter,
        split: Option<&SplitRead>,
    ) -> Result<AdapterOrigin, Failure> {
        let sources = project::sources(&self.context, &[]);
        let listener = notices::listener(&self.context.printer);
        if makes_pictures(adapter) {
            let open = &self.bases.pictures()?.open;
            let (base, model) = (&open.base, &open.model);
            return Ok(AdapterOrigin {
                base_id: base.id.clone(),
                base_digest: base.digest.clone(),
                provenance: provenance::read_picture_provenance(
                    base, model, adapter, split, &sources, &listener,
                )?,
            });
        }
        let base = &self.bases.text()?.base;
        let provenance = provenance::read_provenance(
            base,
            &self.sketch_bases,
            adapter,
            split,
            &sources,
            &listener,
        )?;
        Ok(AdapterOrigin {
            base_id: base.id.clone(),
            base_digest: base.digest.clone(),
            provenance,
        })
    }

    /// Whether each engine has a copy of the base, which another name for the same adapter can use.
    fn is_copied(&self, adapter: &LoraAdapter) -> bool {
        // The native engine finds the factors itself, and learns where their files are now.
        let text = self.bases.text.as_ref();
        makes_pictures(adapter) || text.is_some_and(|it| it.engine.kind == EngineKind::Mistralrs)
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
        let one = tokio::task::block_in_place(|| self.read(name, path))?;
        self.bases.verify(&one.adapter)?;
        let is_copied = self.is_copied(&one.adapter);
        let same = |it: &&Arc<ServedAdapter>| is_copied && it.digest == one.adapter.digest;
        let engine = match served.iter().find(same) {
            Some(other) => HostedEngine {
                engine: Arc::clone(&other.engine),
                identity: other.identity.clone(),
            },
            None => self.engine(&one).await?,
        };
        let split = match &self.selling {
            Some(selling) => {
                let registered = self.fetched.get(&one.adapter.dir);
                let registered = registered.map(|it| it.deployment);
                Some(selling.offer(&one, registered).await?)
            }
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

/// What an adapter was made from.
struct AdapterOrigin {
    base_id: String,
    base_digest: String,
    provenance: Provenance,
}

/// An engine that an adapter is on.
struct HostedEngine {
    engine: Arc<dyn Engine>,
    identity: EngineIdentity,
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |now| now.as_secs())
}

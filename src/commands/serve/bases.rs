//! The bases that a server's adapters are on: one for text, one for pictures, or both.

use std::sync::Arc;

use super::engine_choice::{self, ChosenEngine};
use crate::commands::{
    CommandContext,
    picture_project::{self, OpenPictureBase},
    project,
};
use openlora_core::error::{ExitClass, Failure};
use openlora_engine::EngineIdentity;
use openlora_image_engine::{DiffusionEngine, IMAGE_ARITHMETIC, ImageHost};
use openlora_model::{
    BaseModel, ModelError,
    adapter::{self, LoraAdapter},
    base_size,
    dataset::Task,
    text::TextCodec,
};
use openlora_runtime::paid_serving::ChosenAdapter;

/// Calls at once of a server that makes only pictures: while one computes, another is encoded.
const PICTURE_CALLS: usize = 2;

/// The open bases.
pub(in crate::commands) struct ServedBases {
    pub text: Option<TextBase>,
    pub pictures: Option<PictureShelf>,
}

/// A base for text, and the engine that computes with it.
pub(in crate::commands) struct TextBase {
    pub base: BaseModel,
    pub engine: ChosenEngine,
}

/// A base for pictures in memory.
pub(in crate::commands) struct PictureShelf {
    pub open: OpenPictureBase,
    host: Arc<ImageHost>,
}

/// What a server is started for.
#[derive(Clone, Copy, Debug)]
pub(in crate::commands) struct ServerDemand {
    /// Further adapters are fetched when they are called.
    pub from_registry: bool,
    /// Only this machine calls it.
    pub local: bool,
}

/// Whether an adapter's base makes pictures.
pub(in crate::commands) fn makes_pictures(adapter: &LoraAdapter) -> bool {
    let task = adapter.task.as_ref().map(|card| &card.task);
    task == Some(&Task::Image)
}

impl ServedBases {
    /// Opens the bases of the chosen adapters.
    ///
    /// # Errors
    ///
    /// A base cannot be opened, or no engine runs it.
    pub fn open(
        context: &CommandContext,
        chosen: &[ChosenAdapter],
        demand: ServerDemand,
    ) -> Result<Self, Failure> {
        let of_kind = |pictures: bool| {
            let all = chosen.iter().map(|one| &one.adapter);
            all.filter(|adapter| makes_pictures(adapter) == pictures)
                .collect::<Vec<&LoraAdapter>>()
        };
        let (pictures, texts) = (of_kind(true), of_kind(false));
        // The registry's adapters are of text.
        let text = match texts.is_empty() && !demand.from_registry {
            true => None,
            false => {
                let id = base_id(context, &texts, false);
                let base = tokio::task::block_in_place(|| project::base(context, id))?;
                let more = match demand.from_registry {
                    true => context.settings.serve.registry_adapters,
                    false => 0,
                };
                let expected = texts.len().saturating_add(more);
                let parallel = engine_choice::parallel(context, demand.local);
                let engine =
                    ChosenEngine::choose(context, &base.config, chosen, expected, parallel)?;
                engine_choice::warn_of_unused(context, engine.kind);
                Some(TextBase { base, engine })
            }
        };
        let pictures = match pictures.is_empty() {
            true => None,
            false => {
                let id = base_id(context, &pictures, true);
                let open = tokio::task::block_in_place(|| picture_project::open(context, id))?;
                Some(PictureShelf::new(open))
            }
        };
        Ok(Self { text, pictures })
    }

    /// The base for text.
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn text(&self) -> Result<&TextBase, Failure> {
        self.text.as_ref().ok_or_else(|| {
            let message = "this server has no base for text: it was started with adapters that \
                           make pictures";
            Failure::new(ExitClass::Usage, message)
                .with_hint("start it anew with an adapter of each kind: --adapter NAME=PATH")
        })
    }

    /// The base for pictures.
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn pictures(&self) -> Result<&PictureShelf, Failure> {
        self.pictures.as_ref().ok_or_else(|| {
            let message = "this server has no base for pictures: it was started with adapters \
                           that answer with text";
            Failure::new(ExitClass::Usage, message)
                .with_hint("start it anew with an adapter of each kind: --adapter NAME=PATH")
        })
    }

    /// Checks that an adapter belongs to the base of its kind.
    ///
    /// # Errors
    ///
    /// It does not, or there is no such base.
    pub fn verify(&self, adapter: &LoraAdapter) -> Result<(), Failure> {
        let digest = match makes_pictures(adapter) {
            true => &self.pictures()?.open.base.digest,
            false => &self.text()?.base.digest,
        };
        Ok(adapter::verify_base(adapter, digest)?)
    }

    /// Calls at once, in all and of one adapter.
    pub fn calls_at_once(&self, context: &CommandContext) -> CallsAtOnce {
        let settings = &context.settings.serve;
        match &self.text {
            Some(text) => CallsAtOnce {
                all: text.engine.concurrent,
                of_adapter: text.engine.parallel,
            },
            None => CallsAtOnce {
                all: settings.max_concurrent.unwrap_or(PICTURE_CALLS),
                of_adapter: settings.parallel.unwrap_or(PICTURE_CALLS),
            },
        }
    }
}

/// How many calls run at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::commands) struct CallsAtOnce {
    pub all: usize,
    pub of_adapter: usize,
}

/// The base that the adapters' cards name, if they name one. A base that the settings name has
/// precedence, if it is of the adapters' kind.
fn base_id<'a>(
    context: &CommandContext,
    adapters: &[&'a LoraAdapter],
    pictures: bool,
) -> Option<&'a str> {
    let configured = &context.settings.base;
    // Of a Hub id nothing is known before it is opened; cards name such bases themselves.
    let makes_pictures = || {
        let size = base_size(&configured.located());
        matches!(size, Err(ModelError::MakesPictures { .. }))
    };
    if !configured.id.is_default() && makes_pictures() == pictures {
        return None;
    }
    let card = |adapter: &&'a LoraAdapter| Some(adapter.task.as_ref()?.base_id.as_str());
    let mut cards = adapters.iter().map(card);
    let first = cards.next()??;
    cards.all(|other| other == Some(first)).then_some(first)
}

impl PictureShelf {
    pub fn new(open: OpenPictureBase) -> Self {
        let model = &open.model;
        let codec = TextCodec::open(&open.base.text_dir).ok();
        let longest = codec.map(|codec| codec.longest_token());
        let host = ImageHost::new(
            Arc::clone(&model.denoiser),
            Arc::clone(&model.captions),
            longest,
        );
        Self {
            host: Arc::new(host),
            open,
        }
    }

    /// An adapter on the engine.
    ///
    /// # Errors
    ///
    /// It does not belong to the base, or changes no picture.
    pub fn engine(&self, name: &str, adapter: &LoraAdapter) -> Result<DiffusionEngine, Failure> {
        let factors = self.open.model.adapter(&self.open.base, adapter)?;
        Ok(self.host.engine(name, Some(factors))?)
    }

    /// What computes the pictures, as receipts name it.
    pub fn identity() -> EngineIdentity {
        EngineIdentity {
            engine: IMAGE_ARITHMETIC.to_owned(),
            weights: "f32".to_owned(),
        }
    }
}

//! Which engine answers, and why; and how many calls it answers at once.

use std::sync::Arc;

use crate::commands::{CommandContext, settings::EnginePreference};
use openlora_core::error::{ExitClass, Failure};
use openlora_engine::{ModelLoader, Quant};
use openlora_mistral::MistralLoader;
use openlora_model::ModelConfig;
use openlora_native::{NativeLoader, NativeSettings};
use openlora_runtime::paid_serving::ChosenAdapter;

/// Calls that the native engine answers at once for one adapter, unless the server is only for this
/// machine.
const PARALLEL: usize = 8;

/// Calls generating at once in all. mistral.rs gains nothing from more, the native engine computes
/// them as one batch.
const MISTRAL_CALLS: usize = 4;
const NATIVE_CALLS: usize = 32;

/// An engine of this binary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineKind {
    Mistralrs,
    Native,
}

impl EngineKind {
    /// As in `serve.engine`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mistralrs => "mistralrs",
            Self::Native => "native",
        }
    }
}

/// What the choice depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineFacts {
    /// Adapters over one base.
    pub adapters: usize,
    /// Calls of one adapter that are to be answered at once.
    pub parallel: usize,
    pub quant: Quant,
    /// Why mistral.rs cannot run the base or an adapter.
    pub obstacle: Option<String>,
    /// This binary computes on a GPU, which only mistral.rs uses.
    pub gpu: bool,
}

/// The engine, and the reason for the operator.
///
/// # Errors
///
/// Why the engine that is asked for cannot run the base.
pub fn choose(
    wanted: EnginePreference,
    facts: &EngineFacts,
) -> Result<(EngineKind, String), String> {
    let native = match facts.quant {
        Quant::Q4K => Some("it has no q4k weights".to_owned()),
        _ => None,
    };
    let mistral = match facts.quant {
        Quant::Q4_0 => Some("it has no q4_0 weights".to_owned()),
        _ => facts.obstacle.clone(),
    };
    let asked = || "as asked for".to_owned();
    let cannot = |engine: &str, obstacle: &str| format!("{engine} cannot run this: {obstacle}");
    match (wanted, mistral, native) {
        (EnginePreference::Mistralrs, Some(obstacle), _) => Err(cannot("mistral.rs", &obstacle)),
        (EnginePreference::Mistralrs, None, _) => Ok((EngineKind::Mistralrs, asked())),
        (EnginePreference::Native, _, Some(obstacle)) => {
            Err(cannot("the native engine", &obstacle))
        }
        (EnginePreference::Native, _, None) => Ok((EngineKind::Native, asked())),
        (EnginePreference::Auto, Some(obstacle), _) => {
            Ok((EngineKind::Native, cannot("mistral.rs", &obstacle)))
        }
        (EnginePreference::Auto, None, Some(obstacle)) => {
            let reason = cannot("the native engine", &obstacle);
            Ok((EngineKind::Mistralrs, reason))
        }
        (EnginePreference::Auto, None, None) => Ok(fitting(facts)),
    }
}

/// The engine that fits, where both could run.
fn fitting(facts: &EngineFacts) -> (EngineKind, String) {
    let EngineFacts {
        adapters, parallel, ..
    } = facts;
    if facts.gpu {
        let reason = "this binary computes on a GPU".to_owned();
        (EngineKind::Mistralrs, reason)
    } else if *adapters > 1 {
        let reason = format!("{adapters} adapters share one base in memory");
        (EngineKind::Native, reason)
    } else if *parallel > 1 {
        let reason = format!("an adapter answers up to {parallel} calls at once");
        (EngineKind::Native, reason)
    } else {
        let reason = "one adapter, one call at a time".to_owned();
        (EngineKind::Mistralrs, reason)
    }
}

/// A chosen engine, ready to load adapters.
pub(in crate::commands) struct ChosenEngine {
    pub kind: EngineKind,
    pub loader: Arc<dyn ModelLoader>,
    pub quant: Quant,
    /// Calls that are answered at once, in all and for one adapter.
    pub concurrent: usize,
    pub parallel: usize,
}

/// What an engine is set up for.
struct CallLimits {
    /// Calls at once; the engine's default if none.
    concurrent: Option<usize>,
    /// Calls of one adapter at once.
    parallel: usize,
    /// Memory for adapters; no limit if none.
    adapter_bytes: Option<u64>,
}

impl ChosenEngine {
    /// The engine for `adapters`, and others up to `expected` in all, over a base, of which each
    /// answers up to `parallel` calls at once. Says which one it is.
    ///
    /// # Errors
    ///
    /// The engine that is asked for cannot run the base or an adapter.
    pub fn choose(
        context: &CommandContext,
        config: &ModelConfig,
        adapters: &[ChosenAdapter],
        expected: usize,
        parallel: usize,
    ) -> Result<Self, Failure> {
        let settings = &context.settings.serve;
        let usage = |reason: String| Failure::new(ExitClass::Usage, reason);
        let quant: Quant = settings.quant.parse().map_err(usage)?;
        let facts = EngineFacts {
            adapters: expected,
            parallel,
            quant,
            obstacle: openlora_mistral::unsupported_reason(config).or_else(|| dora(adapters)),
            gpu: openlora_mistral::computes_on_gpu(),
        };
        let (kind, reason) = choose(settings.engine, &facts).map_err(|reason| {
            Failure::new(ExitClass::BadInput, reason)
                .with_hint("leave the choice to openlora: --engine auto")
        })?;
        let note = format!("engine: {} ({reason})", kind.name());
        context.printer.note(note);
        let limits = CallLimits {
            concurrent: settings.max_concurrent,
            parallel,
            adapter_bytes: settings.adapter_memory,
        };
        Ok(Self::new(kind, quant, limits))
    }

    /// Checks that adapters which are fetched later share the base in memory.
    ///
    /// # Errors
    ///
    /// The engine copies the base for each.
    pub fn require_shared_base(&self) -> Result<(), Failure> {
        match self.kind {
            EngineKind::Native => Ok(()),
            EngineKind::Mistralrs => {
                let message = "--from-registry needs the native engine: mistral.rs keeps a copy of \
                               the base per adapter";
                Err(Failure::new(ExitClass::Usage, message).with_hint("add --engine native"))
            }
        }
    }

    /// The native engine with weights of this form, for one call after the other.
    pub fn native(quant: Quant) -> Self {
        let limits = CallLimits {
            concurrent: Some(1),
            parallel: 1,
            adapter_bytes: None,
        };
        Self::new(EngineKind::Native, quant, limits)
    }

    /// The engine inside of a worker, as its server has chosen it.
    pub fn for_worker(kind: EngineKind, quant: Quant, concurrent: usize, parallel: usize) -> Self {
        let limits = CallLimits {
            concurrent: Some(concurrent),
            parallel,
            adapter_bytes: None,
        };
        Self::new(kind, quant, limits)
    }

    fn new(kind: EngineKind, quant: Quant, limits: CallLimits) -> Self {
        let CallLimits {
            concurrent,
            parallel,
            adapter_bytes,
        } = limits;
        match kind {
            EngineKind::Mistralrs => Self {
                kind,
                loader: Arc::new(MistralLoader::new()),
                quant,
                concurrent: concurrent.unwrap_or(MISTRAL_CALLS),
                parallel: 1,
            },
            EngineKind::Native => {
                let concurrent = concurrent.unwrap_or(NATIVE_CALLS.max(parallel));
                let settings = NativeSettings {
                    parallel: concurrent,
                    adapter_bytes,
                    ..NativeSettings::default()
                };
                Self {
                    kind,
                    loader: Arc::new(NativeLoader::new(settings)),
                    quant,
                    concurrent,
                    parallel,
                }
            }
        }
    }
}

/// Why mistral.rs cannot run one of the adapters.
fn dora(adapters: &[ChosenAdapter]) -> Option<String> {
    let dora = adapters.iter().find(|it| it.adapter.config.use_dora)?;
    Some(format!(
        "it has no DoRA, and {} is a DoRA adapter",
        dora.name
    ))
}

/// `serve.parallel`, or its default for a server that is only for this machine or for others too.
pub(in crate::commands) fn parallel(context: &CommandContext, local: bool) -> usize {
    let default = if local { 1 } else { PARALLEL };
    context.settings.serve.parallel.unwrap_or(default)
}

/// Says which settings have no effect, if any.
pub(in crate::commands) fn warn_of_unused(context: &CommandContext, kind: EngineKind) {
    let settings = &context.settings.serve;
    if let (EngineKind::Mistralrs, Some(stated @ 2..)) = (kind, settings.parallel) {
        context.printer.warn(format!(
            "`serve.parallel` is {stated}, but mistral.rs answers one call per adapter at a time"
        ));
    }
    if let (EngineKind::Mistralrs, Some(stated)) = (kind, settings.adapter_memory) {
        context.printer.warn(format!(
            "`serve.adapter_memory` is {stated}, but mistral.rs keeps a copy of the base per adapter"
        ));
    }
}

//! Selection of the quantisation of weights in memory.

use openlora_engine::{Quant, QuantChoice, megabytes};
use openlora_generation::free_memory;
use openlora_model as model;
use openlora_model::ModelConfig;

/// The properties of the machine that influence the choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MachineLimits {
    pub free_memory: u64,
    /// Whether the quantised kernels were compiled with vector instructions.
    pub vector_kernels: bool,
}

impl MachineLimits {
    pub fn detect() -> Self {
        let vector_kernels = cfg!(any(target_feature = "avx2", target_arch = "aarch64"));
        Self {
            free_memory: free_memory(),
            vector_kernels,
        }
    }
}

/// Resolves `wanted` for a model that `classifies` or generates text; the error explains why it is
/// not possible.
pub fn resolve_quant(
    wanted: Quant,
    config: &ModelConfig,
    machine: MachineLimits,
    classifies: bool,
) -> Result<QuantChoice, String> {
    if wanted == Quant::Auto {
        return Ok(choose(config, machine, classifies));
    }
    match unfit(wanted, config) {
        Some(reason) => Err(reason),
        None => Ok(QuantChoice {
            quant: wanted,
            reason: "as asked for".to_owned(),
        }),
    }
}

/// Why the model's rows cannot be divided into blocks, if so.
fn unfit(quant: Quant, config: &ModelConfig) -> Option<String> {
    let block = quant.block();
    let module = model::modules(config)
        .into_iter()
        .find(|module| module.in_dim % block != 0)?;
    let (path, width) = (module.path, module.in_dim);
    Some(format!(
        "{quant} packs blocks of {block} weights, and {path} takes {width} inputs"
    ))
}

/// f32 weights up to this size fit in a processor's caches.
const CACHED: u64 = 64 << 20;

/// On a CPU, f32 processes prompts faster than the quantised kernels, and a classifier only
/// processes prompts. q8_0 generates faster, because it reads a quarter of the bytes per token: 79
/// tokens a second after 157 ms, against f32 with 33 after 111 ms (80M parameters, a prompt of 30
/// tokens, two cores with AVX-512; `serve --quant …` and `call --max-tokens 96 --json`).
fn choose(config: &ModelConfig, machine: MachineLimits, classifies: bool) -> QuantChoice {
    let parameters = model::parameters(config);
    let fits = |quant: Quant| quant.bytes(parameters) <= machine.free_memory / 2;
    let memory = |quant: Quant| megabytes(quant.bytes(parameters));
    let free = megabytes(machine.free_memory);
    let cached = Quant::F32.bytes(parameters) <= CACHED;
    if fits(Quant::F32) && (classifies || cached || !machine.vector_kernels) {
        let reason = format!("exact, {} of {free} free", memory(Quant::F32));
        return QuantChoice {
            quant: Quant::F32,
            reason,
        };
    }
    for quant in [Quant::Q8_0, Quant::Q4K] {
        if unfit(quant, config).is_none() && (fits(quant) || quant == Quant::Q4K) {
            let why = match (fits(Quant::F32), machine.vector_kernels) {
                (true, _) => "; writes faster",
                (false, true) => "",
                (false, false) => "; slow without AVX2 in this build",
            };
            let reason = format!(
                "f32 would take {} of {free} free, {quant} takes {}{why}",
                memory(Quant::F32),
                memory(quant)
            );
            return QuantChoice { quant, reason };
        }
    }
    let reason = format!(
        "its rows fit no block size, {} of {free} free",
        memory(Quant::F32)
    );
    QuantChoice {
        quant: Quant::F32,
        reason,
    }
}

//! Pairs tensors into LoRA modules and checks them against the configuration.
//!
//! Accepted names are `base_model.model.<module>.lora_A.weight` and `…lora_B.weight`, also with
//! the older `.default.` before `weight`. A module path that starts with `layers.` (an adapter
//! of the bare decoder) is the same module as with `model.` in front.

use std::collections::BTreeMap;

use super::{
    config::{PeftConfig, TargetModules},
    error::{ConfigProblem, FactorProblem},
    tensors::HostTensor,
};

const PREFIX: &str = "base_model.model.";

/// One adapted linear layer.
#[derive(Clone, Debug, PartialEq)]
pub struct AdapterModule {
    /// Path in the base, such as `model.layers.0.self_attn.q_proj`.
    pub path: String,
    pub rank: usize,
    /// The scale of B·A: alpha/rank, or alpha/√rank with rsLoRA, with this module's own alpha.
    pub scale: f64,
    pub in_dim: usize,
    pub out_dim: usize,
}

impl AdapterModule {
    /// Name of the A factor, shape `[rank, in_dim]`, in [`super::LoraAdapter::tensors`].
    pub fn a_name(&self) -> String {
        factor_name(&self.path, LoraFactor::A)
    }

    /// Name of the B factor, shape `[out_dim, rank]`, in [`super::LoraAdapter::tensors`].
    pub fn b_name(&self) -> String {
        factor_name(&self.path, LoraFactor::B)
    }

    /// Name of DoRA's magnitudes, shape `[out_dim]`, in [`super::LoraAdapter::tensors`].
    pub fn magnitude_name(&self) -> String {
        factor_name(&self.path, LoraFactor::Magnitude)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum LoraFactor {
    A,
    B,
    Magnitude,
}

impl LoraFactor {
    const fn name(self) -> &'static str {
        match self {
            Self::A => "lora_A",
            Self::B => "lora_B",
            Self::Magnitude => "lora_magnitude_vector",
        }
    }

    /// The end of its name after the module's path.
    const fn suffix(self) -> &'static str {
        match self {
            Self::A => ".lora_A.weight",
            Self::B => ".lora_B.weight",
            Self::Magnitude => ".lora_magnitude_vector",
        }
    }
}

fn factor_name(path: &str, factor: LoraFactor) -> String {
    format!("{PREFIX}{path}{}", factor.suffix())
}

/// An error in the configuration or in the weights.
pub(super) enum PairingProblem {
    Config(ConfigProblem),
    Factors(FactorProblem),
}

impl From<ConfigProblem> for PairingProblem {
    fn from(problem: ConfigProblem) -> Self {
        Self::Config(problem)
    }
}

impl From<FactorProblem> for PairingProblem {
    fn from(problem: FactorProblem) -> Self {
        Self::Factors(problem)
    }
}

/// The tensors of a module while reading. `raw` is its path as spelt in the file, which the
/// configuration's patterns refer to.
#[derive(Default)]
struct ModuleTensors {
    raw: String,
    factors: BTreeMap<LoraFactor, (String, HostTensor)>,
}

/// Modules with their shapes and scales, and the tensors under their current names.
pub(super) type PairedTensors = (Vec<AdapterModule>, BTreeMap<String, HostTensor>);

pub(super) fn pair(
    config: &PeftConfig,
    tensors: BTreeMap<String, HostTensor>,
) -> Result<PairedTensors, PairingProblem> {
    let slots = slots(tensors)?;
    let mut modules = Vec::with_capacity(slots.len());
    let mut named = BTreeMap::new();
    for (path, slot) in slots {
        modules.push(module(config, &path, &slot)?);
        for (factor, (_, tensor)) in slot.factors {
            named.insert(factor_name(&path, factor), tensor);
        }
    }
    Ok((modules, named))
}

/// Refuses an adapter that cannot change the output of the model. Only the base tells whether DoRA's
/// magnitudes do.
pub(super) fn check_alive(
    modules: &[AdapterModule],
    tensors: &BTreeMap<String, HostTensor>,
) -> Result<(), FactorProblem> {
    let is_dora = |m: &AdapterModule| tensors.contains_key(&m.magnitude_name());
    let acts = |name: String| tensors.get(&name).is_some_and(|tensor| !tensor.is_zero());
    let alive = |m: &AdapterModule| m.scale != 0.0 && acts(m.b_name()) && acts(m.a_name());
    if modules
        .iter()
        .any(|module| is_dora(module) || alive(module))
    {
        Ok(())
    } else {
        Err(FactorProblem::Dead)
    }
}

fn slots(
    tensors: BTreeMap<String, HostTensor>,
) -> Result<BTreeMap<String, ModuleTensors>, FactorProblem> {
    if tensors.is_empty() {
        return Err(FactorProblem::Empty);
    }
    let mut slots: BTreeMap<String, ModuleTensors> = BTreeMap::new();
    for (name, tensor) in tensors {
        let (raw, factor) = parse_name(&name)?;
        let module = canonical(raw);
        let slot = slots.entry(module.clone()).or_default();
        slot.raw = raw.to_owned();
        if slot.factors.insert(factor, (name, tensor)).is_some() {
            return Err(FactorProblem::Twice {
                module,
                found: factor.name(),
            });
        }
    }
    Ok(slots)
}

fn canonical(raw: &str) -> String {
    if raw.starts_with("layers.") {
        format!("model.{raw}")
    } else {
        raw.to_owned()
    }
}

fn parse_name(name: &str) -> Result<(&str, LoraFactor), FactorProblem> {
    let owned = || name.to_owned();
    let Some(rest) = name.strip_prefix(PREFIX) else {
        return Err(FactorProblem::WrongPrefix(owned()));
    };
    if let Some(module) = rest.strip_suffix(LoraFactor::Magnitude.suffix()) {
        return Ok((module, LoraFactor::Magnitude));
    }
    if name.contains(".lora_embedding_") {
        return Err(FactorProblem::Embedding(owned()));
    }
    if name.contains(".lora_") && name.ends_with(".bias") {
        return Err(FactorProblem::Bias(owned()));
    }
    for factor in [LoraFactor::A, LoraFactor::B] {
        for end in ["weight", "default.weight"] {
            let suffix = format!(".{}.{end}", factor.name());
            if let Some(module) = rest.strip_suffix(suffix.as_str()) {
                return Ok((module, factor));
            }
        }
    }
    Err(FactorProblem::NotLora(owned()))
}

fn module(
    config: &PeftConfig,
    path: &str,
    slot: &ModuleTensors,
) -> Result<AdapterModule, PairingProblem> {
    let (a, b) = match (
        slot.factors.get(&LoraFactor::A),
        slot.factors.get(&LoraFactor::B),
    ) {
        (Some(a), Some(b)) => (a, b),
        (a, b) => return Err(unpaired(path, a.is_some(), b.is_some()).into()),
    };
    let [a_rank, in_dim] = two_dimensions(&a.0, &a.1)?;
    let [out_dim, b_rank] = two_dimensions(&b.0, &b.1)?;
    let (rank, origin) = config.rank_of(&slot.raw)?;
    for ((name, tensor), found) in [(a, a_rank), (b, b_rank)] {
        if found != rank {
            let (name, shape) = (name.clone(), tensor.shape.clone());
            return Err(FactorProblem::Rank {
                name,
                expected: rank,
                found,
                origin,
                shape,
            }
            .into());
        }
    }
    if !config.targets(&slot.raw) {
        return Err(untargeted(config, path).into());
    }
    check_magnitude(config, path, slot, out_dim)?;
    let scale = config.scale_of(&slot.raw, rank)?;
    Ok(AdapterModule {
        path: path.to_owned(),
        rank,
        scale,
        in_dim,
        out_dim,
    })
}

/// Magnitudes are there exactly if the configuration says so, one for each output.
fn check_magnitude(
    config: &PeftConfig,
    path: &str,
    slot: &ModuleTensors,
    out_dim: usize,
) -> Result<(), FactorProblem> {
    match (slot.factors.get(&LoraFactor::Magnitude), config.use_dora) {
        (Some((name, _)), false) => Err(FactorProblem::Dora(name.clone())),
        (Some((name, tensor)), true) if tensor.shape != [out_dim] => {
            Err(FactorProblem::Magnitudes {
                name: name.clone(),
                expected: out_dim,
                found: tensor.shape.clone(),
            })
        }
        (None, true) => Err(FactorProblem::Unpaired {
            module: path.to_owned(),
            found: LoraFactor::A.name(),
            missing: LoraFactor::Magnitude.name(),
        }),
        (Some(_), true) | (None, false) => Ok(()),
    }
}

fn unpaired(module: &str, has_a: bool, has_b: bool) -> FactorProblem {
    let (found, missing) = match (has_a, has_b) {
        (true, _) => (LoraFactor::A, LoraFactor::B),
        (false, true) => (LoraFactor::B, LoraFactor::A),
        (false, false) => (LoraFactor::Magnitude, LoraFactor::A),
    };
    FactorProblem::Unpaired {
        module: module.to_owned(),
        found: found.name(),
        missing: missing.name(),
    }
}

fn two_dimensions(name: &str, tensor: &HostTensor) -> Result<[usize; 2], FactorProblem> {
    <[usize; 2]>::try_from(tensor.shape.as_slice()).map_err(|_| FactorProblem::Dimensions {
        name: name.to_owned(),
        found: tensor.shape.clone(),
    })
}

fn untargeted(config: &PeftConfig, module: &str) -> FactorProblem {
    let targets = match &config.target_modules {
        TargetModules::List(names) => names.join(", "),
        TargetModules::Pattern(pattern) => format!("pattern {pattern}"),
    };
    FactorProblem::Untargeted {
        module: module.to_owned(),
        targets,
    }
}

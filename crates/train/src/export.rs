//! Converts trained variables to an adapter folder, and back.

use std::{collections::BTreeMap, path::Path};

use candle_core::Var;

use super::{error::TrainError, inputs::TrainInputs};
use openlora_decoder::{Decoder, LoraFactors, compute_device};
use openlora_model::{
    BaseModel, WeightPrecision,
    adapter::{
        AdapterModule, HostTensor, LoraAdapter, TaskCard, WriteRequest, check_against, write,
    },
    modules,
};

const A_SUFFIX: &str = ".lora_A.weight";

/// Writes the trained factors in PEFT's format with the task card beside them.
pub fn write_adapter(
    dir: &Path,
    inputs: &TrainInputs,
    trainable: &[(String, Var)],
) -> Result<(), TrainError> {
    let mut tensors = BTreeMap::new();
    for (name, var) in trainable {
        let values = var.flatten_all()?.to_vec1::<f32>()?;
        tensors.insert(name.clone(), HostTensor::from_f32(var.dims(), &values));
    }
    let config = &inputs.config;
    let lora = config.lora()?;
    let request = WriteRequest {
        base_model: inputs.base.id.clone(),
        revision: inputs.base.revision.clone(),
        rank: config.rank,
        alpha: config.alpha,
        dropout: config.dropout as f32,
        rslora: config.rslora,
        dora: config.dora,
        rank_pattern: lora.rank_pattern,
        alpha_pattern: lora.alpha_pattern,
        target_modules: target_modules(&config.targets, &tensors),
        tensors,
        task: Some(TaskCard {
            name: inputs.name.clone(),
            task: inputs.task.clone(),
            base_id: inputs.base.id.clone(),
            base_digest: inputs.base.digest.clone(),
            rows: Some(config.encode_options()),
        }),
        samples: None,
    };
    write(dir, &request)?;
    Ok(())
}

/// The target modules for PEFT: the given names, or the modules that `all-linear` selects.
fn target_modules(wanted: &[String], tensors: &BTreeMap<String, HostTensor>) -> Vec<String> {
    if wanted.iter().all(|target| target != "all-linear") {
        return wanted.to_vec();
    }
    let mut words: Vec<String> = tensors
        .keys()
        .filter_map(|name| name.strip_suffix(A_SUFFIX)?.rsplit('.').next())
        .map(str::to_owned)
        .collect();
    words.sort_unstable();
    words.dedup();
    words
}

/// A base with an adapter loaded from a folder.
pub fn load_with_adapter(
    base: &BaseModel,
    adapter: &LoraAdapter,
    precision: WeightPrecision,
) -> Result<Decoder, TrainError> {
    check_against(adapter, &modules(&base.config))?;
    let mut decoder = Decoder::load(base, precision)?;
    decoder.use_device(&compute_device()?)?;
    let modules = adapter.modules.iter();
    let factors = modules
        .map(|module| factors(adapter, module))
        .collect::<Result<Vec<_>, _>>()?;
    decoder.attach_factors(&factors)?;
    Ok(decoder)
}

fn factors(adapter: &LoraAdapter, module: &AdapterModule) -> Result<LoraFactors, TrainError> {
    let values = |name: String| match adapter.tensors.get(&name) {
        Some(tensor) => Ok(tensor.to_f32()),
        None => Err(TrainError::damaged(
            &adapter.dir,
            format!("tensor {name} is missing"),
        )),
    };
    let magnitude = adapter.config.use_dora.then(|| module.magnitude_name());
    Ok(LoraFactors {
        module: module.path.clone(),
        rank: module.rank,
        scale: module.scale,
        a: values(module.a_name())?,
        b: values(module.b_name())?,
        magnitude: magnitude.map(values).transpose()?,
    })
}

//! Whether an adapter belongs to a base.

use std::collections::BTreeMap;

use super::{
    error::{AdapterError, BaseProblem},
    factors::AdapterModule,
    read::LoraAdapter,
};
use crate::ModuleShape;

/// Checks names and shapes against the linear layers of a base.
///
/// # Errors
///
/// No common module, a module that the base lacks, or factors with other shapes.
pub fn check_against(adapter: &LoraAdapter, modules: &[ModuleShape]) -> Result<(), AdapterError> {
    let known: BTreeMap<&str, &ModuleShape> =
        modules.iter().map(|m| (m.path.as_str(), m)).collect();
    compare(&adapter.modules, &known).map_err(|problem| AdapterError::Base {
        dir: adapter.dir.clone(),
        problem,
    })
}

/// Checks that an adapter only adds scale · B · A to the weights of its modules.
///
/// # Errors
///
/// A DoRA adapter.
pub fn require_plain(adapter: &LoraAdapter) -> Result<(), AdapterError> {
    match adapter.config.use_dora {
        true => Err(AdapterError::NotPlain {
            dir: adapter.dir.clone(),
        }),
        false => Ok(()),
    }
}

/// Checks that the adapter was trained on exactly this base, according to its task card.
///
/// # Errors
///
/// The card names another base digest. An adapter without a card is accepted.
pub fn verify_base(adapter: &LoraAdapter, base_digest: &str) -> Result<(), AdapterError> {
    match &adapter.task {
        Some(card) if card.base_digest != base_digest => Err(AdapterError::Base {
            dir: adapter.dir.clone(),
            problem: BaseProblem::OtherBase {
                expected_id: card.base_id.clone(),
                expected: card.base_digest.clone(),
                found: base_digest.to_owned(),
            },
        }),
        _ => Ok(()),
    }
}

fn compare(
    adapted: &[AdapterModule],
    known: &BTreeMap<&str, &ModuleShape>,
) -> Result<(), BaseProblem> {
    if let (Some(first), false) = (adapted.first(), shares_any(adapted, known)) {
        return Err(BaseProblem::NothingMatches {
            count: adapted.len(),
            found: first.path.clone(),
            expected: known
                .keys()
                .next()
                .map_or("nothing", |path| path)
                .to_owned(),
        });
    }
    for module in adapted {
        match known.get(module.path.as_str()) {
            Some(shape) => compare_shapes(module, shape)?,
            None => return Err(unknown(&module.path, known)),
        }
    }
    Ok(())
}

fn shares_any(adapted: &[AdapterModule], known: &BTreeMap<&str, &ModuleShape>) -> bool {
    adapted
        .iter()
        .any(|module| known.contains_key(module.path.as_str()))
}

fn unknown(path: &str, known: &BTreeMap<&str, &ModuleShape>) -> BaseProblem {
    let nearest = known
        .keys()
        .min_by_key(|name| strsim::levenshtein(name, path));
    BaseProblem::UnknownModule {
        module: path.to_owned(),
        nearest: nearest.map(|name| (*name).to_owned()),
    }
}

fn compare_shapes(module: &AdapterModule, shape: &ModuleShape) -> Result<(), BaseProblem> {
    let pairs = [
        (
            "lora_A",
            [module.rank, shape.in_dim],
            [module.rank, module.in_dim],
        ),
        (
            "lora_B",
            [shape.out_dim, module.rank],
            [module.out_dim, module.rank],
        ),
    ];
    match pairs
        .into_iter()
        .find(|(_, expected, found)| expected != found)
    {
        Some((factor, expected, found)) => Err(BaseProblem::Shape {
            module: module.path.clone(),
            factor,
            expected,
            found,
        }),
        None => Ok(()),
    }
}

//! The factors of an adapter, packed for the kernels beside the matrices of its base.

use std::collections::HashMap;

use openlora_kernels::{BranchShape, FactorPrecision, KernelError, LoraBranch, WeightFormat};
use openlora_model::adapter::{AdapterModule, FactorDtype, HostTensor, LoraAdapter, dora_factors};

use super::base::{BlockPart, ModulePlace, NativeBase, module_places};

/// Why an adapter cannot be packed.
#[derive(Debug, thiserror::Error)]
pub enum FactorError {
    #[error("the base has no module {module}")]
    UnknownModule { module: String },
    #[error("module {module}: {source}")]
    Module { module: String, source: KernelError },
}

/// The branch of one module, and its first output column in its part of the block.
#[derive(Debug)]
pub(crate) struct PlacedBranch {
    pub column: usize,
    pub branch: LoraBranch,
    /// What DoRA scales the outputs by; none if the adapter has no norms.
    pub factors: Option<Vec<f32>>,
}

/// The branches of an adapter over a base, each with its own rank and scale.
#[derive(Debug)]
pub struct NativeAdapter {
    /// By layer and [`BlockPart`].
    branches: Vec<[Vec<PlacedBranch>; 4]>,
}

impl NativeAdapter {
    /// Packs `adapter`, which must have been checked against the base.
    ///
    /// Beside exact weights, factors are exact: f32, or bf16 if the file holds that. Beside quantised
    /// weights they are bf16, whose rounding is far below that of the weights. Where DoRA takes the
    /// norms of weights, those of the quantised ones are taken.
    ///
    /// # Errors
    ///
    /// A module that the base lacks, and a rank above 256.
    pub fn pack(base: &NativeBase, adapter: &LoraAdapter) -> Result<Self, FactorError> {
        let places: HashMap<String, ModulePlace> = module_places(&base.config)
            .into_iter()
            .map(|place| (place.path.clone(), place))
            .collect();
        let mut branches: Vec<[Vec<PlacedBranch>; 4]> = Vec::new();
        branches.resize_with(base.config.layers, Default::default);
        for module in &adapter.modules {
            let unknown = || FactorError::UnknownModule {
                module: module.path.clone(),
            };
            let place = places.get(&module.path).ok_or_else(unknown)?;
            let packed = pack(adapter, module, base.format);
            let branch = packed.map_err(|source| FactorError::Module {
                module: module.path.clone(),
                source,
            })?;
            let matrix = &base.blocks[place.layer].parts[place.part as usize].matrix;
            let factors = dora_factors(adapter, module, |output, row| {
                matrix.read_row(place.column + output, row);
            });
            branches[place.layer][place.part as usize].push(PlacedBranch {
                column: place.column,
                branch,
                factors,
            });
        }
        Ok(Self { branches })
    }

    /// Memory that the packed factors take.
    pub fn bytes(&self) -> usize {
        let parts = self.branches.iter().flatten().flatten();
        parts.map(PlacedBranch::bytes).sum()
    }

    pub(crate) fn branches(&self, layer: usize, part: BlockPart) -> &[PlacedBranch] {
        &self.branches[layer][part as usize]
    }
}

impl PlacedBranch {
    fn bytes(&self) -> usize {
        let factors = self.factors.as_deref().map_or(0, size_of_val);
        self.branch.bytes() + factors
    }
}

fn pack(
    adapter: &LoraAdapter,
    module: &AdapterModule,
    format: WeightFormat,
) -> Result<LoraBranch, KernelError> {
    let factor = |name: String| adapter.tensors.get(&name);
    let (a, b) = (factor(module.a_name()), factor(module.b_name()));
    let is_bf16 = |tensor: &HostTensor| tensor.dtype == FactorDtype::Bf16;
    let is_exact = [a, b].into_iter().flatten().all(is_bf16);
    let precision = match format == WeightFormat::F32 && !is_exact {
        true => FactorPrecision::F32,
        false => FactorPrecision::Bf16,
    };
    let values = |tensor: Option<&HostTensor>| tensor.map(HostTensor::to_f32).unwrap_or_default();
    let shape = BranchShape {
        rank: module.rank,
        inputs: module.in_dim,
        outputs: module.out_dim,
        scale: module.scale as f32,
    };
    LoraBranch::new(shape, &values(a), &values(b), precision)
}

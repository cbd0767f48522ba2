//! LoRA factors over the linear modules of an image model.

use std::ops::Range;

use crate::{
    error::DiffusionError,
    layout::{CHECKPOINT_PREFIX, ModelLayout},
    model::ImageModel,
    noise::{generator, unit},
};

/// What to adapt and how.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageAdapterConfig {
    pub rank: usize,
    /// The factor of B·A is alpha / rank.
    pub alpha: f64,
    /// Last components of modules (`img_qkv`, `mlp.w1`), full paths, or `all-linear`.
    pub targets: Vec<String>,
}

impl Default for ImageAdapterConfig {
    fn default() -> Self {
        Self {
            rank: 8,
            alpha: 8.0,
            targets: vec!["all-linear".to_owned()],
        }
    }
}

/// Where the factors of a module lie in the adapter's flat vector.
#[derive(Clone, Debug, PartialEq)]
pub struct AdapterPlace {
    /// Among [`ModelLayout::modules`].
    pub module: usize,
    /// The module's path in diffusers' checkpoints, such as `model.net.double_blocks.0.img_qkv`.
    pub path: String,
    pub rank: usize,
    pub inputs: usize,
    pub outputs: usize,
    /// The factor of B·A.
    pub scale: f32,
    /// Of A, `[rank, inputs]`.
    pub a: Range<usize>,
    /// Of B, `[outputs, rank]`.
    pub b: Range<usize>,
}

/// Factors of a module, as files have them.
#[derive(Clone, Debug, PartialEq)]
pub struct ModuleFactors {
    /// With or without `model.net.`.
    pub path: String,
    pub rank: usize,
    pub scale: f64,
    /// `[rank, inputs]`.
    pub a: Vec<f32>,
    /// `[outputs, rank]`.
    pub b: Vec<f32>,
}

/// Factors of some modules of a model.
///
/// The flat vector of [`Self::values`], of its gradients and of [`crate::example_gradients`] has, for
/// each module in the order of [`ModelLayout::modules`], A row by row and then B row by row;
/// [`Self::places`] gives the ranges.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageAdapter {
    places: Vec<AdapterPlace>,
    values: Vec<f32>,
    /// The place of each module, if it is adapted.
    of_module: Vec<Option<usize>>,
}

impl ImageAdapter {
    /// Fresh factors as PEFT starts: A uniform within 1/√inputs, B zero.
    ///
    /// # Errors
    ///
    /// A target that matches no module, a rank or an alpha that cannot be.
    pub fn random(
        model: &ImageModel,
        config: &ImageAdapterConfig,
        seed: u64,
    ) -> Result<Self, DiffusionError> {
        let layout = model.layout();
        let most = model.config().width;
        if config.rank == 0 || config.rank > most {
            let found = config.rank;
            return Err(DiffusionError::Rank { found, most });
        }
        if !(config.alpha > 0.0 && config.alpha.is_finite()) {
            let found = config.alpha;
            return Err(DiffusionError::Alpha { found });
        }
        let chosen = chosen(layout, &config.targets)?;
        let scale = config.alpha / config.rank as f64;
        let places = chosen
            .into_iter()
            .map(|module| (module, config.rank, scale));
        let mut adapter = Self::empty(layout, places);
        for place in &adapter.places {
            let mut generator = generator(seed, place.module as u64);
            let bound = 1.0 / (place.inputs as f64).sqrt();
            for x in &mut adapter.values[place.a.clone()] {
                *x = ((2.0 * unit(&mut generator) - 1.0) * bound) as f32;
            }
        }
        Ok(adapter)
    }

    /// An adapter of the given factors.
    ///
    /// # Errors
    ///
    /// A path that names no linear module or occurs twice, factors of another shape.
    pub fn from_factors(
        model: &ImageModel,
        factors: &[ModuleFactors],
    ) -> Result<Self, DiffusionError> {
        let layout = model.layout();
        let mut found = Vec::new();
        for factor in factors {
            let path = short(&factor.path);
            let mut modules = layout.modules.iter();
            let module = modules
                .position(|module| module.adaptable && module.path == path)
                .ok_or_else(|| unknown(layout, &factor.path))?;
            let shape = &layout.modules[module];
            let lens = [
                ("lora_A", factor.a.len(), factor.rank, shape.inputs),
                ("lora_B", factor.b.len(), shape.outputs, factor.rank),
            ];
            for (name, len, rows, columns) in lens {
                if len != rows * columns || factor.rank == 0 {
                    return Err(DiffusionError::Shape {
                        name: format!("{}.{name}.weight", factor.path),
                        expected: vec![rows, columns],
                        found: vec![len],
                    });
                }
            }
            found.push((module, factor));
        }
        found.sort_by_key(|(module, _)| *module);
        if let Some(pair) = found.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(unknown(layout, &format!("{} (twice)", pair[0].1.path)));
        }
        let places = found.iter();
        let places = places.map(|(module, factor)| (*module, factor.rank, factor.scale));
        let mut adapter = Self::empty(layout, places);
        for (place, (_, factor)) in adapter.places.iter().zip(&found) {
            adapter.values[place.a.clone()].copy_from_slice(&factor.a);
            adapter.values[place.b.clone()].copy_from_slice(&factor.b);
        }
        Ok(adapter)
    }

    fn empty(layout: &ModelLayout, modules: impl Iterator<Item = (usize, usize, f64)>) -> Self {
        let mut places = Vec::new();
        let mut of_module = vec![None; layout.modules.len()];
        let mut len = 0;
        for (module, rank, scale) in modules {
            let shape = &layout.modules[module];
            let a = len..len + rank * shape.inputs;
            let b = a.end..a.end + rank * shape.outputs;
            len = b.end;
            of_module[module] = Some(places.len());
            places.push(AdapterPlace {
                module,
                path: format!("{CHECKPOINT_PREFIX}{}", shape.path),
                rank,
                inputs: shape.inputs,
                outputs: shape.outputs,
                scale: scale as f32,
                a,
                b,
            });
        }
        Self {
            places,
            values: vec![0.0; len],
            of_module,
        }
    }

    /// The adapted modules, in the order of the flat vector.
    pub fn places(&self) -> &[AdapterPlace] {
        &self.places
    }

    /// All factors.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    pub(crate) fn values_mut(&mut self) -> &mut [f32] {
        &mut self.values
    }

    /// The same modules with other factors.
    ///
    /// # Errors
    ///
    /// Another number of values.
    pub fn with_values(&self, values: Vec<f32>) -> Result<Self, DiffusionError> {
        if values.len() != self.values.len() {
            return Err(DiffusionError::Shape {
                name: "factors".to_owned(),
                expected: vec![self.values.len()],
                found: vec![values.len()],
            });
        }
        Ok(Self {
            values,
            ..self.clone()
        })
    }

    /// The factors module by module.
    pub fn factors(&self) -> Vec<ModuleFactors> {
        let factors = self.places.iter().map(|place| ModuleFactors {
            path: place.path.clone(),
            rank: place.rank,
            scale: f64::from(place.scale),
            a: self.values[place.a.clone()].to_vec(),
            b: self.values[place.b.clone()].to_vec(),
        });
        factors.collect()
    }

    pub(crate) fn place(&self, module: usize) -> Option<&AdapterPlace> {
        self.of_module[module].map(|at| &self.places[at])
    }
}

/// The modules that targets choose, in the layout's order.
fn chosen(layout: &ModelLayout, targets: &[String]) -> Result<Vec<usize>, DiffusionError> {
    let mut chosen = vec![false; layout.modules.len()];
    for target in targets {
        let mut matched = false;
        for (module, chosen) in layout.modules.iter().zip(&mut chosen) {
            if module.adaptable && is_target(&module.path, target) {
                (*chosen, matched) = (true, true);
            }
        }
        if !matched {
            return Err(unknown(layout, target));
        }
    }
    if targets.is_empty() {
        return Err(unknown(layout, ""));
    }
    let modules = 0..layout.modules.len();
    Ok(modules.filter(|module| chosen[*module]).collect())
}

fn is_target(path: &str, target: &str) -> bool {
    let target = short(target);
    let rest = path.strip_suffix(target);
    target == "all-linear" || rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

fn short(path: &str) -> &str {
    path.strip_prefix(CHECKPOINT_PREFIX).unwrap_or(path)
}

fn unknown(layout: &ModelLayout, target: &str) -> DiffusionError {
    let mut names: Vec<&str> = Vec::new();
    for module in layout.modules.iter().filter(|module| module.adaptable) {
        let mut parts = module.path.splitn(3, '.');
        let name = match (parts.next(), parts.next(), parts.next()) {
            (Some("double_blocks" | "txt_preamble_blocks"), Some(_), Some(rest)) => rest,
            _ => &module.path,
        };
        if !names.contains(&name) {
            names.push(name);
        }
    }
    DiffusionError::UnknownTarget {
        target: target.to_owned(),
        available: names.join(", "),
    }
}

//! How the judge is trained: Adam over drawings in every style.

use super::{
    JUDGED_SIZE,
    disturb::disturbed,
    network::{self, Activations, HEAD_COUNT, HEADS, Network},
    weights::JudgeWeights,
};
use crate::icons::{
    AttributeKind, IconScene, IconStyle, IconTexture, SceneContent, chance::Chance,
};

/// Pictures of a batch are divided into this many parts, on a thread each, whatever the machine has:
/// sums are in the same order everywhere.
const PARTS: usize = 2;

/// The settings of a training.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JudgeTraining {
    /// Drawings come from here; base models learn from other seeds.
    pub seed: u64,
    pub steps: usize,
    /// Drawings in a step.
    pub batch: usize,
}

impl Default for JudgeTraining {
    /// What the embedded weights were trained with.
    fn default() -> Self {
        Self {
            seed: 0x4a75_6467_6500_0000,
            steps: 4_000,
            batch: 32,
        }
    }
}

/// A drawing and the right value of each head, if the scene has one.
struct JudgeSample {
    input: Vec<f32>,
    targets: [Option<usize>; HEAD_COUNT],
}

impl JudgeSample {
    fn draw(seed: u64) -> Self {
        let mut chance = Chance::seeded(seed);
        let scene = balanced_scene(&mut chance);
        let style = match chance.percent(15) {
            true => IconStyle::Plain,
            false => chance.one_of(IconStyle::ALL),
        };
        let picture = disturbed(&scene.draw_in(JUDGED_SIZE, style), &mut chance);
        let mut targets = [None; HEAD_COUNT];
        for attribute in scene.attributes() {
            targets[attribute.kind as usize] = Some(attribute.value);
        }
        targets[AttributeKind::ALL.len()] = Some(style as usize);
        Self {
            input: network::input(&picture),
            targets,
        }
    }
}

/// A scene whose rarer attributes, textures and second shapes, are as frequent as the others.
fn balanced_scene(chance: &mut Chance) -> IconScene {
    let rare = |content: &SceneContent| match content {
        SceneContent::Pair(_) => true,
        SceneContent::Single(icon) => icon.texture != IconTexture::Plain,
        _ => false,
    };
    let wants_rare = chance.percent(45);
    let mut scene = IconScene::from_seed(chance.next());
    while wants_rare && !rare(&scene.content) {
        scene = IconScene::from_seed(chance.next());
    }
    scene
}

/// Trains a judge from nothing, and calls `progress` after each step with its number and its mean loss.
pub fn train_judge(settings: &JudgeTraining, progress: &mut dyn FnMut(usize, f32)) -> JudgeWeights {
    let mut network = initial(settings.seed);
    let mut optimizer = Adam::new();
    for step in 0..settings.steps {
        let (gradients, loss) = batch_gradients(&network, settings, step);
        let progress_share = step as f32 / settings.steps as f32;
        let warm = ((step + 1) as f32 / 50.0).min(1.0);
        let rate = 2.5e-3 * warm * (1.0 - progress_share) * (1.0 - 0.5 * progress_share);
        optimizer.step(&mut network, &gradients, rate);
        progress(step, loss);
    }
    JudgeWeights { network }
}

/// Random weights of the variance that keeps that of the values (He and others, 2015).
fn initial(seed: u64) -> Network {
    let mut chance = Chance::seeded(seed ^ 0x1111);
    let mut network = Network::zeros();
    for layer in &mut network.layers {
        let reach = (6.0 / layer.inputs as f32).sqrt();
        for weight in &mut layer.weights {
            *weight = chance.between(-reach, reach);
        }
    }
    network
}

/// The mean gradients and loss of a step's drawings.
fn batch_gradients(network: &Network, settings: &JudgeTraining, step: usize) -> (Network, f32) {
    let share = 1.0 / settings.batch as f32;
    let part = settings.batch.div_ceil(PARTS);
    let run = |first: usize| {
        let mut gradients = Network::zeros();
        let mut activations = Activations::new();
        let mut loss = 0.0;
        for at in first..(first + part).min(settings.batch) {
            let number = (step * settings.batch + at) as u64;
            let sample = JudgeSample::draw(settings.seed.wrapping_add(number));
            network.forward(&sample.input, &mut activations);
            let (from, sample_loss) = loss_gradients(&activations.outputs, &sample.targets, share);
            network.backward(&activations, &from, &mut gradients);
            loss += sample_loss * share;
        }
        (gradients, loss)
    };
    let mut parts: Vec<(Network, f32)> = std::thread::scope(|scope| {
        let handles: Vec<_> = (0..PARTS)
            .map(|at| scope.spawn(move || run(at * part)))
            .collect();
        let joined = handles.into_iter().map(std::thread::ScopedJoinHandle::join);
        joined
            .map(|part| part.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    let (mut sum, mut loss) = parts.remove(0);
    for (gradients, part_loss) in parts {
        loss += part_loss;
        for (sum, layer) in sum.layers.iter_mut().zip(&gradients.layers) {
            add(&mut sum.weights, &layer.weights);
            add(&mut sum.offsets, &layer.offsets);
        }
    }
    (sum, loss)
}

fn add(to: &mut [f32], from: &[f32]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to += from;
    }
}

/// The gradients of the summed cross-entropies of all heads that have a target, times `share`, and
/// that sum.
fn loss_gradients(
    outputs: &[f32],
    targets: &[Option<usize>; HEAD_COUNT],
    share: f32,
) -> (Vec<f32>, f32) {
    let mut gradients = vec![0.0; outputs.len()];
    let mut loss = 0.0;
    for (head, target) in HEADS.iter().zip(targets) {
        let Some(target) = *target else { continue };
        let range = head.first..head.first + head.values;
        let values = &outputs[range.clone()];
        let largest = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let powers: Vec<f32> = values
            .iter()
            .map(|value| libm::expf(value - largest))
            .collect();
        let sum: f32 = powers.iter().sum();
        for (gradient, power) in gradients[range].iter_mut().zip(&powers) {
            *gradient = power / sum * share;
        }
        gradients[head.first + target] -= share;
        loss += libm::logf(sum) - (values[target] - largest);
    }
    (gradients, loss)
}

/// Adam (Kingma and Ba, 2015).
struct Adam {
    means: Network,
    squares: Network,
    steps: i32,
}

const MEAN_DECAY: f32 = 0.9;
const SQUARE_DECAY: f32 = 0.99;

impl Adam {
    fn new() -> Self {
        Self {
            means: Network::zeros(),
            squares: Network::zeros(),
            steps: 0,
        }
    }

    fn step(&mut self, network: &mut Network, gradients: &Network, rate: f32) {
        self.steps += 1;
        let correction = |decay: f32| 1.0 - libm::powf(decay, self.steps as f32);
        let rates = AdamRates {
            rate: rate / correction(MEAN_DECAY),
            square_share: 1.0 / correction(SQUARE_DECAY),
        };
        for at in 0..network.layers.len() {
            let (layer, from) = (&mut network.layers[at], &gradients.layers[at]);
            let (means, squares) = (&mut self.means.layers[at], &mut self.squares.layers[at]);
            rates.update(
                &mut layer.weights,
                &from.weights,
                &mut means.weights,
                &mut squares.weights,
            );
            rates.update(
                &mut layer.offsets,
                &from.offsets,
                &mut means.offsets,
                &mut squares.offsets,
            );
        }
    }
}

#[derive(Clone, Copy)]
struct AdamRates {
    rate: f32,
    square_share: f32,
}

impl AdamRates {
    fn update(self, values: &mut [f32], from: &[f32], means: &mut [f32], squares: &mut [f32]) {
        let states = means.iter_mut().zip(squares);
        for ((value, from), (mean, square)) in values.iter_mut().zip(from).zip(states) {
            *mean += (from - *mean) * (1.0 - MEAN_DECAY);
            *square += (from * from - *square) * (1.0 - SQUARE_DECAY);
            *value -= self.rate * *mean / ((*square * self.square_share).sqrt() + 1e-8);
        }
    }
}

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

/// Styles that differ in lines of one or two pixels, and are drawn more often than the others.
const CLOSE_STYLES: &[IconStyle] = &[IconStyle::Plain, IconStyle::Outlined, IconStyle::Sketched];

/// The settings of a training.
#[derive(Clone, Debug, PartialEq)]
pub struct JudgeTraining {
    /// Drawings come from here; base models learn from other seeds.
    pub seed: u64,
    /// Drawings in a step.
    pub batch: usize,
    /// One after the other; each starts from the weights of the one before, rounded as in their file.
    pub phases: Vec<JudgePhase>,
}

/// A part of a training, in which the learning rate falls to zero.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct JudgePhase {
    pub steps: usize,
    /// The highest learning rate.
    pub rate: f32,
    /// Of the style's loss, where an attribute's has 1.
    pub style_weight: f32,
    /// Drawings that stay as they are, in percent; the others are blurred and disturbed.
    pub kept_percent: usize,
}

impl Default for JudgeTraining {
    /// What the embedded weights were trained with.
    fn default() -> Self {
        Self {
            seed: 0x4a75_6467_6500_0000,
            batch: 32,
            phases: vec![
                JudgePhase {
                    steps: 4_000,
                    rate: 2.5e-3,
                    style_weight: 2.0,
                    kept_percent: 30,
                },
                // Fine lines are learned last, from drawings that are not blurred.
                JudgePhase {
                    steps: 4_000,
                    rate: 1.2e-3,
                    style_weight: 3.0,
                    kept_percent: 50,
                },
            ],
        }
    }
}

/// A drawing and the right value of each head, if the scene has one.
struct JudgeSample {
    input: Vec<f32>,
    targets: [Option<usize>; HEAD_COUNT],
}

impl JudgeSample {
    fn draw(seed: u64, kept_percent: usize) -> Self {
        let mut chance = Chance::seeded(seed);
        let scene = balanced_scene(&mut chance);
        let style = match chance.percent(35) {
            true => chance.one_of(CLOSE_STYLES),
            false => chance.one_of(IconStyle::ALL),
        };
        let picture = disturbed(
            &scene.draw_in(JUDGED_SIZE, style),
            kept_percent,
            &mut chance,
        );
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
    let mut weights = JudgeWeights {
        network: initial(settings.seed),
    };
    let mut first = 0;
    for phase in &settings.phases {
        weights = continue_judge(weights, settings, phase, first, progress).rounded();
        first += phase.steps;
    }
    weights
}

/// Trains a judge for one more phase after `first` steps.
pub fn continue_judge(
    weights: JudgeWeights,
    settings: &JudgeTraining,
    phase: &JudgePhase,
    first: usize,
    progress: &mut dyn FnMut(usize, f32),
) -> JudgeWeights {
    let mut network = weights.network;
    let mut optimizer = Adam::new();
    for step in 0..phase.steps {
        let batch = JudgeBatch {
            seed: settings.seed,
            size: settings.batch,
            number: first + step,
            phase: *phase,
        };
        let (gradients, loss) = batch.gradients(&network);
        let share = step as f32 / phase.steps as f32;
        let warm = ((step + 1) as f32 / 50.0).min(1.0);
        let rate = phase.rate * warm * (1.0 - share) * (1.0 - 0.5 * share);
        optimizer.step(&mut network, &gradients, rate);
        progress(first + step, loss);
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

/// The drawings of a step.
#[derive(Clone, Copy)]
struct JudgeBatch {
    seed: u64,
    size: usize,
    /// Of the step.
    number: usize,
    phase: JudgePhase,
}

impl JudgeBatch {
    /// The gradients and the loss of some of the drawings, as shares of the whole batch.
    fn part(self, network: &Network, drawings: std::ops::Range<usize>) -> (Network, f32) {
        let share = 1.0 / self.size as f32;
        let mut gradients = Network::zeros();
        let mut activations = Activations::new();
        let mut loss = 0.0;
        for at in drawings {
            let number = (self.number * self.size + at) as u64;
            let seed = self.seed.wrapping_add(number);
            let sample = JudgeSample::draw(seed, self.phase.kept_percent);
            network.forward(&sample.input, &mut activations);
            let (from, sample_loss) =
                sample.loss_gradients(&activations.outputs, share, self.phase.style_weight);
            network.backward(&activations, &from, &mut gradients);
            loss += sample_loss * share;
        }
        (gradients, loss)
    }

    /// The mean gradients and the mean loss.
    fn gradients(self, network: &Network) -> (Network, f32) {
        let size = self.size.div_ceil(PARTS);
        let run = |at: usize| self.part(network, at * size..((at + 1) * size).min(self.size));
        let mut parts: Vec<(Network, f32)> = std::thread::scope(|scope| {
            let handles: Vec<_> = (0..PARTS).map(|at| scope.spawn(move || run(at))).collect();
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
}

fn add(to: &mut [f32], from: &[f32]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to += from;
    }
}

impl JudgeSample {
    /// The gradients of the weighted sum of the cross-entropies of all heads that have a target, times
    /// `share`, and that sum.
    fn loss_gradients(&self, outputs: &[f32], share: f32, style_weight: f32) -> (Vec<f32>, f32) {
        let mut gradients = vec![0.0; outputs.len()];
        let mut loss = 0.0;
        for (at, (head, target)) in HEADS.iter().zip(self.targets).enumerate() {
            let Some(target) = target else { continue };
            let weight = match at == AttributeKind::ALL.len() {
                true => style_weight,
                false => 1.0,
            };
            let range = head.first..head.first + head.values;
            let values = &outputs[range.clone()];
            let largest = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let powers: Vec<f32> = values
                .iter()
                .map(|value| libm::expf(value - largest))
                .collect();
            let sum: f32 = powers.iter().sum();
            for (gradient, power) in gradients[range].iter_mut().zip(&powers) {
                *gradient = power / sum * (share * weight);
            }
            gradients[head.first + target] -= share * weight;
            loss += weight * (libm::logf(sum) - (values[target] - largest));
        }
        (gradients, loss)
    }
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

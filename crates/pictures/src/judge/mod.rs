//! A small network that decides from pixels what an icon shows and in which style it is drawn.
//!
//! It measures what image models make of captions, so it never learns from their pictures: it is
//! trained on icons of other seeds, drawn in every style, blurred and disturbed as generated pictures
//! are. Its weights are embedded; the same pixels give the same decisions on every machine.

mod disturb;
mod network;
mod training;
mod weights;

use std::collections::BTreeMap;

use crate::{
    icons::{Attribute, AttributeKind, IconScene, IconStyle},
    picture::Picture,
};

pub use training::{JudgePhase, JudgeTraining, continue_judge, train_judge};
pub use weights::{JudgeError, JudgeWeights};

use network::Activations;

/// The file of the weights, beside those of the image model that is judged.
pub const JUDGE_FILE: &str = "judge.safetensors";

/// Pictures are judged at this side, in pixels.
pub const JUDGED_SIZE: u32 = 64;

/// The judge of icons.
pub struct PictureJudge {
    weights: JudgeWeights,
}

/// What a judge says of a picture: one value of each kind, also of kinds that the picture lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// In the order of [`AttributeKind::ALL`].
    values: Vec<usize>,
    /// The style.
    pub style: IconStyle,
}

/// How many of a scene's attributes a picture has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AttributeScore {
    pub right: u32,
    pub asked: u32,
}

impl AttributeScore {
    /// The share that is right, from 0 to 1; 1 if nothing was asked.
    pub fn share(self) -> f64 {
        match self.asked {
            0 => 1.0,
            asked => f64::from(self.right) / f64::from(asked),
        }
    }

    /// Adds another score to this one.
    pub fn add(&mut self, other: Self) {
        self.right += other.right;
        self.asked += other.asked;
    }
}

/// Scores of several pictures, together and by the kind of attribute.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KindScores {
    pub all: AttributeScore,
    /// By [`AttributeKind::name`].
    pub kinds: BTreeMap<&'static str, AttributeScore>,
}

impl KindScores {
    /// Adds what a picture that was made for `scene` shows of it.
    pub fn add(&mut self, seen: &Judgement, scene: &IconScene) {
        for attribute in scene.attributes() {
            let score = AttributeScore {
                right: u32::from(seen.shows(attribute)),
                asked: 1,
            };
            self.all.add(score);
            self.kinds
                .entry(attribute.kind.name())
                .or_default()
                .add(score);
        }
    }
}

/// What a picture that was made for a caption has of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CaptionScore {
    pub attributes: AttributeScore,
    /// The style that the caption names; plain if it names none.
    pub style: IconStyle,
    /// Whether the picture is in that style.
    pub style_right: bool,
}

impl Judgement {
    /// The value of a kind.
    pub fn value(&self, kind: AttributeKind) -> usize {
        self.values[kind as usize]
    }

    /// Whether the picture has this attribute.
    pub fn shows(&self, attribute: Attribute) -> bool {
        self.value(attribute.kind) == attribute.value
    }

    /// How many of a scene's attributes the picture has.
    pub fn score(&self, scene: &IconScene) -> AttributeScore {
        let mut score = AttributeScore::default();
        for attribute in scene.attributes() {
            score.asked += 1;
            score.right += u32::from(self.shows(attribute));
        }
        score
    }
}

impl PictureJudge {
    /// The judge with the embedded weights.
    ///
    /// # Errors
    /// If the embedded file is damaged, which a test rules out.
    pub fn embedded() -> Result<Self, JudgeError> {
        let bytes = include_bytes!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../assets/pico/judge.safetensors"
        ));
        JudgeWeights::from_safetensors(bytes).map(Self::new)
    }

    /// A judge with other weights.
    pub fn new(weights: JudgeWeights) -> Self {
        Self { weights }
    }

    /// Judges a picture that was made for a caption, as icons have it, with or without a style's phrase
    /// after it; nothing for other captions, which this judge cannot read.
    pub fn score(&self, caption: &str, picture: &Picture) -> Option<CaptionScore> {
        let said = IconStyle::taken_from(caption);
        let scene = IconScene::from_caption(said.caption)?;
        let found = self.judge(picture);
        Some(CaptionScore {
            attributes: found.score(&scene),
            style: said.style,
            style_right: found.style == said.style,
        })
    }

    /// Judges a picture, which is cut and scaled to [`JUDGED_SIZE`] first if it has another size.
    pub fn judge(&self, picture: &Picture) -> Judgement {
        let fitted = (picture.width != JUDGED_SIZE || picture.height != JUDGED_SIZE)
            .then(|| picture.fit(JUDGED_SIZE));
        let input = network::input(fitted.as_ref().unwrap_or(picture));
        let mut activations = Activations::new();
        self.weights.network.forward(&input, &mut activations);
        let mut best = network::HEADS
            .iter()
            .map(|head| largest(&activations.outputs[head.first..head.first + head.values]));
        let values: Vec<usize> = best.by_ref().take(AttributeKind::ALL.len()).collect();
        let style = best.next().unwrap_or(0);
        Judgement {
            values,
            style: IconStyle::ALL[style],
        }
    }
}

/// The position of the largest value; the first of equal ones.
fn largest(values: &[f32]) -> usize {
    let mut best = 0;
    for (at, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = at;
        }
    }
    best
}

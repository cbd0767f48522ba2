//! Icons that this project draws itself: scenes of a small grammar, their captions and their pixels.
//!
//! They are what the embedded base model learns from, what its judge is trained on, and what the
//! template `icons` holds. A scene is chosen from a seed, says itself in several wordings, names the
//! attributes that can be decided from its pixels, and is drawn with arithmetic that gives the same
//! bytes on every machine. This module does not know files or models.

mod attributes;
mod canvas;
mod caption;
pub(crate) mod chance;
mod content;
mod forms;
mod parse;
mod render;
mod scene;
mod style;
mod words;

pub use attributes::{Attribute, AttributeKind};
pub use content::{Landscape, PairOfIcons, SceneContent, SeveralIcons, SingleIcon};
pub use scene::{IconScene, IconSplit};
pub use style::{IconStyle, StyledCaption};
pub use words::{
    IconAxis, IconColour, IconExtra, IconObject, IconPosition, IconSetting, IconShape, IconSize,
    IconTexture,
};

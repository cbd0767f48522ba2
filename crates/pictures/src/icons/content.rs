//! What scenes contain, which their captions say.

use super::words::{
    IconAxis, IconColour, IconExtra, IconObject, IconPosition, IconSetting, IconShape, IconSize,
    IconTexture,
};

/// What a scene shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SceneContent {
    Single(SingleIcon),
    Several(SeveralIcons),
    Pair(PairOfIcons),
    Landscape(Landscape),
}

/// One shape on a ground.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SingleIcon {
    pub shape: IconShape,
    pub colour: IconColour,
    pub texture: IconTexture,
    pub size: IconSize,
    pub position: IconPosition,
    pub ground: IconColour,
}

/// Two, three or four shapes of one kind on a ground.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SeveralIcons {
    pub shape: IconShape,
    pub colour: IconColour,
    /// From 2 to 4.
    pub count: u8,
    pub ground: IconColour,
}

/// Two different shapes beside or above each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PairOfIcons {
    /// The left or upper one.
    pub first: IconShape,
    pub first_colour: IconColour,
    /// The right or lower one.
    pub second: IconShape,
    pub second_colour: IconColour,
    pub axis: IconAxis,
    pub ground: IconColour,
}

/// An object under a sky.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Landscape {
    pub object: IconObject,
    pub colour: IconColour,
    pub setting: IconSetting,
    pub extra: IconExtra,
}

//! The vocabulary of scenes: colours, shapes, objects and places, with the words that name them.
//!
//! Most words are single tokens of the base model's tokenizer; the others are two or three.

macro_rules! vocabulary {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            /// All values; the position in this list is the value's number.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The word or words that captions use; empty where a caption says nothing.
            pub fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }
    };
}

vocabulary! {
    /// A saturated colour of a shape or of the ground.
    IconColour {
        Red = "red",
        Orange = "orange",
        Yellow = "yellow",
        Green = "green",
        Blue = "blue",
        Purple = "purple",
        Pink = "pink",
        Brown = "brown",
        Black = "black",
        White = "white",
    }
}

vocabulary! {
    /// A flat shape.
    IconShape {
        Circle = "circle",
        Square = "square",
        Triangle = "triangle",
        Star = "star",
        Heart = "heart",
        Diamond = "diamond",
        Ring = "ring",
        Cross = "cross",
        Moon = "moon",
        Drop = "drop",
    }
}

vocabulary! {
    /// The main object of a landscape.
    IconObject {
        House = "house",
        Tree = "tree",
        Flower = "flower",
        Car = "car",
        Boat = "boat",
        Fish = "fish",
    }
}

vocabulary! {
    /// The time of day of a landscape, which decides the colours of its ground.
    IconSetting {
        Day = "day",
        Evening = "evening",
        Night = "night",
    }
}

vocabulary! {
    /// What else a landscape shows.
    IconExtra {
        Nothing = "",
        Sun = "sun",
        Moon = "moon",
        Star = "star",
        Cloud = "cloud",
    }
}

vocabulary! {
    /// How large a single shape is; captions say nothing about medium ones.
    IconSize {
        Small = "small",
        Medium = "",
        Large = "large",
    }
}

vocabulary! {
    /// Where a single shape is; captions say nothing about the middle.
    IconPosition {
        Middle = "",
        Left = "left",
        Right = "right",
        Top = "top",
        Bottom = "bottom",
        TopLeft = "top left",
        TopRight = "top right",
        BottomLeft = "bottom left",
        BottomRight = "bottom right",
    }
}

vocabulary! {
    /// How the surface of a single shape is; captions say nothing about plain ones.
    IconTexture {
        Plain = "",
        Striped = "striped",
        Dotted = "dotted",
        Checked = "checked",
    }
}

vocabulary! {
    /// How the two shapes of a pair are arranged.
    IconAxis {
        /// The first is left of the second.
        Horizontal = "left of",
        /// The first is above the second.
        Vertical = "above",
    }
}

impl IconColour {
    /// The colour as red, green and blue.
    pub fn rgb(self) -> [u8; 3] {
        match self {
            Self::Red => [222, 28, 36],
            Self::Orange => [255, 140, 0],
            Self::Yellow => [255, 224, 32],
            Self::Green => [24, 156, 60],
            Self::Blue => [32, 84, 224],
            Self::Purple => [136, 40, 180],
            Self::Pink => [255, 132, 190],
            Self::Brown => [128, 72, 32],
            Self::Black => [20, 20, 24],
            Self::White => [250, 250, 250],
        }
    }

    /// Whether two colours are too alike to stand on each other; true of a colour and itself.
    pub fn clashes(self, other: Self) -> bool {
        let distance: i32 = self
            .rgb()
            .iter()
            .zip(other.rgb())
            .map(|(a, b)| {
                let difference = i32::from(*a) - i32::from(b);
                difference * difference
            })
            .sum();
        distance < 138 * 138
    }
}

impl IconShape {
    /// The word for more than one.
    pub fn plural(self) -> &'static str {
        match self {
            Self::Circle => "circles",
            Self::Square => "squares",
            Self::Triangle => "triangles",
            Self::Star => "stars",
            Self::Heart => "hearts",
            Self::Diamond => "diamonds",
            Self::Ring => "rings",
            Self::Cross => "crosses",
            Self::Moon => "moons",
            Self::Drop => "drops",
        }
    }
}

impl IconObject {
    /// Whether it is on or in the water.
    pub fn on_water(self) -> bool {
        matches!(self, Self::Boat | Self::Fish)
    }

    /// The colours that it can have, all of them far from what is around it.
    pub fn colours(self) -> &'static [IconColour] {
        use IconColour::{Green, Orange, Pink, Purple, Red, White, Yellow};
        match self {
            Self::House | Self::Car | Self::Flower => &[Red, Yellow, Purple, Pink, White],
            Self::Tree => &[Red, Yellow, Pink, Green],
            Self::Boat | Self::Fish => &[Red, Orange, Yellow, Pink, White],
        }
    }
}

impl IconPosition {
    /// Steps from the middle to the right and downwards, each -1, 0 or 1.
    pub fn steps(self) -> [i8; 2] {
        match self {
            Self::Middle => [0, 0],
            Self::Left => [-1, 0],
            Self::Right => [1, 0],
            Self::Top => [0, -1],
            Self::Bottom => [0, 1],
            Self::TopLeft => [-1, -1],
            Self::TopRight => [1, -1],
            Self::BottomLeft => [-1, 1],
            Self::BottomRight => [1, 1],
        }
    }
}

impl IconShape {
    /// Whether a texture can be seen on it.
    pub fn has_surface(self) -> bool {
        !matches!(self, Self::Ring | Self::Moon | Self::Cross)
    }
}

impl IconSetting {
    /// What the sky can show at this time.
    pub fn extras(self) -> &'static [IconExtra] {
        match self {
            Self::Day => &[IconExtra::Nothing, IconExtra::Sun, IconExtra::Cloud],
            Self::Evening => &[IconExtra::Nothing, IconExtra::Sun, IconExtra::Cloud],
            Self::Night => &[IconExtra::Nothing, IconExtra::Moon, IconExtra::Star],
        }
    }
}

//! `/v1/images/generations`: the request and the answer.

use serde_json::{Value, json};

use super::{
    fields::{BodyFields, text_of, unsupported, wrong_type, wrong_value},
    problems::BodyProblems,
    sampling::{
        HarmlessCheck, is_empty, is_false, is_zero, never, read_seed, unknown_or_unsupported,
    },
};
use crate::{adapter_registry::MOST_PICTURES, api_error::ApiError, receipt::PublishedUsage};
use openlora_engine::ImageLimits;

/// The path of the route.
pub const IMAGES_PATH: &str = "/v1/images/generations";

/// Evaluations of the model in a call at most. A payment has a deadline, and pictures cost the same
/// whatever their steps.
const MOST_EVALUATIONS: u64 = 1000;

/// Bytes of a picture in an answer besides its pixels, at most.
const BESIDE_PIXELS: u64 = 8192;

/// The size that leaves the choice to the model.
const AUTO: &str = "auto";

/// A request for pictures that can be answered.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PictureOrder {
    pub prompt: String,
    pub pictures: u64,
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    pub steps: u32,
    pub guidance: f64,
    /// Absent means that the server draws one.
    pub seed: Option<u64>,
}

/// Parameters of the route that are honoured.
const HONOURED: &[&str] = &[
    "model",
    "attribution",
    "prompt",
    "n",
    "size",
    "seed",
    "steps",
    "guidance",
    "response_format",
    "output_format",
];

/// Parameters that would change the pictures if they were ignored, with the values that have no
/// effect.
const UNSUPPORTED: &[(&str, HarmlessCheck, &str)] = &[
    (
        "quality",
        is_usual_quality,
        "The quality depends on 'steps' and 'guidance'.",
    ),
    (
        "style",
        never,
        "The style is the adapter's own; describe others in the prompt.",
    ),
    (
        "background",
        is_opaque,
        "Pictures have no transparency; describe the background in the prompt.",
    ),
    (
        "moderation",
        is_auto,
        "Prompts are checked as the operator has set it.",
    ),
    (
        "output_compression",
        is_whole_quality,
        "PNG files are compressed without loss.",
    ),
    ("stream", is_false, "Pictures are delivered whole."),
    ("stream_options", never, "Pictures are delivered whole."),
    ("partial_images", is_zero, "Pictures are delivered whole."),
    ("negative_prompt", is_empty, NO_SUCH_INPUT),
    ("image", is_empty, NO_SUCH_INPUT),
    ("mask", is_empty, NO_SUCH_INPUT),
    ("input_fidelity", never, NO_SUCH_INPUT),
    ("strength", never, NO_SUCH_INPUT),
    ("num_images", never, "Use 'n'."),
    ("num_images_per_prompt", never, "Use 'n'."),
    ("num_inference_steps", never, "Use 'steps'."),
    ("guidance_scale", never, "Use 'guidance'."),
    ("cfg_scale", never, "Use 'guidance'."),
    (
        "width",
        never,
        "Use 'size', such as \"64x64\" for width and height.",
    ),
    (
        "height",
        never,
        "Use 'size', such as \"64x64\" for width and height.",
    ),
    (
        "sampler",
        never,
        "The method of integration is the server's.",
    ),
];

const NO_SUCH_INPUT: &str = "Pictures are made from a prompt alone.";

fn is_auto(value: &Value) -> bool {
    value == AUTO
}

fn is_opaque(value: &Value) -> bool {
    is_auto(value) || value == "opaque"
}

fn is_usual_quality(value: &Value) -> bool {
    is_auto(value) || value == "standard"
}

fn is_whole_quality(value: &Value) -> bool {
    value.as_f64() == Some(100.0)
}

impl PictureOrder {
    /// Reads a request for a model with these limits.
    pub fn read(fields: &BodyFields, limits: &ImageLimits) -> Result<Self, BodyProblems> {
        Self::read_within(fields, Some(limits))
    }

    /// What is wrong with a request whose model is not known.
    pub fn problems(fields: &BodyFields) -> BodyProblems {
        Self::read_within(fields, None).err().unwrap_or_default()
    }

    /// Refuses pictures that take too many evaluations, and pictures whose answer may be longer than
    /// `held` bytes: it could not be sent again to one who has paid and lost the connection.
    pub fn check_extent(&self, held: u64) -> Result<(), ApiError> {
        let found = self.pictures.to_string();
        let branches = if self.guidance > 1.0 { 2 } else { 1 };
        let evaluations = u64::from(self.steps).saturating_mul(branches).max(1);
        let why = format!("because a call evaluates the model at most {MOST_EVALUATIONS} times");
        match MOST_EVALUATIONS / evaluations {
            0 => {
                let most = MOST_EVALUATIONS / branches;
                let expected = format!("at most {most} with this guidance, {why}");
                return Err(wrong_value("steps", &expected, &self.steps.to_string()));
            }
            most if self.pictures > most => {
                let steps = self.steps;
                let expected =
                    format!("at most {most} with {steps} steps and this guidance, {why}");
                return Err(wrong_value("n", &expected, &found));
            }
            _ => {}
        }
        let pixels = u64::from(self.width).saturating_mul(self.height.into());
        let file = pixels.saturating_mul(4).saturating_add(BESIDE_PIXELS);
        // In base64.
        let bytes = file.saturating_mul(4) / 3;
        let why = format!("because answers of at most {held} bytes are kept for repeated requests");
        let size = format!("{}x{}", self.width, self.height);
        match held / bytes {
            0 => {
                let expected = format!("a smaller size, {why}");
                Err(wrong_value("size", &expected, &format!("'{size}'")))
            }
            most if self.pictures > most => {
                let expected = format!("at most {most} of {size} pixels, {why}");
                Err(wrong_value("n", &expected, &found))
            }
            _ => Ok(()),
        }
    }

    fn read_within(
        fields: &BodyFields,
        limits: Option<&ImageLimits>,
    ) -> Result<Self, BodyProblems> {
        let mut problems = unknown_or_unsupported(fields, HONOURED, UNSUPPORTED);
        problems.keep(read_formats(fields));
        let prompt = problems.keep(read_prompt(fields));
        let pictures = problems.keep(fields.integer("n", 1, MOST_PICTURES));
        let size = problems.keep(read_size(fields, limits));
        let most = limits.map_or(1000, |it| it.most_steps);
        let steps = problems.keep(fields.integer("steps", 1, most.into()));
        let most = limits.map_or(100.0, |it| it.most_guidance);
        let guidance = problems.keep(fields.number("guidance", 1.0, most));
        let seed = problems.keep(read_seed(fields));
        let usual = |choose: fn(&ImageLimits) -> u32| limits.map_or(0, choose);
        let PictureSize { width, height } = size.unwrap_or_else(|| {
            let side = usual(|it| it.usual);
            PictureSize {
                width: side,
                height: side,
            }
        });
        let steps = steps.and_then(|steps| u32::try_from(steps).ok());
        problems.unless_any(Self {
            prompt,
            pictures: pictures.unwrap_or(1),
            width,
            height,
            steps: steps.unwrap_or_else(|| usual(|it| it.steps)),
            guidance: guidance.unwrap_or_else(|| limits.map_or(1.0, |it| it.guidance)),
            seed,
        })
    }
}

/// How pictures are sent: as base64 of PNG files, and in no other form.
fn read_formats(fields: &BodyFields) -> Result<(), ApiError> {
    match fields.string("response_format")? {
        None | Some("b64_json") => {}
        Some("url") => {
            let reason = "Pictures are not kept under a URL; ask for 'b64_json'.";
            return Err(ApiError::invalid(
                "unsupported_parameter",
                "response_format",
                format!("Unsupported value for 'response_format': 'url'. {reason}"),
            ));
        }
        Some(other) => {
            let found = format!("'{other}'");
            return Err(wrong_value("response_format", "'b64_json'", &found));
        }
    }
    match fields.string("output_format")? {
        None | Some("png") => Ok(()),
        Some(other) => Err(wrong_value("output_format", "'png'", &format!("'{other}'"))),
    }
}

fn read_prompt(fields: &BodyFields) -> Result<String, ApiError> {
    let value = fields.required("prompt")?;
    if value.is_array() {
        let reason = "One prompt is answered per call; ask for several pictures of it with 'n'.";
        return Err(unsupported("prompt", reason));
    }
    let prompt = text_of("prompt", value)?;
    match prompt.trim().is_empty() {
        true => Err(wrong_value("prompt", "a description", "an empty text")),
        false => Ok(prompt.to_owned()),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct PictureSize {
    width: u32,
    height: u32,
}

impl PictureSize {
    fn parse(text: &str) -> Option<Self> {
        let (width, height) = text.split_once('x')?;
        let side = |text: &str| {
            let digits = text.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| text.parse().ok()).flatten()
        };
        Some(Self {
            width: side(width)?,
            height: side(height)?,
        })
    }
}

fn read_size(
    fields: &BodyFields,
    limits: Option<&ImageLimits>,
) -> Result<Option<PictureSize>, ApiError> {
    let Some(value) = fields.get("size") else {
        return Ok(None);
    };
    const FORM: &str = "'auto', or width and height such as '64x64'";
    let text = value
        .as_str()
        .ok_or_else(|| wrong_type("size", FORM, value))?;
    if text == AUTO {
        return Ok(None);
    }
    let shown: String = text.chars().take(32).collect();
    let found = format!("'{shown}'");
    let size = PictureSize::parse(text).ok_or_else(|| wrong_value("size", FORM, &found))?;
    let Some(limits) = limits else {
        return Ok(Some(size));
    };
    let ImageLimits {
        patch,
        smallest,
        largest,
        ..
    } = *limits;
    let fits = |side: u32| (smallest..=largest).contains(&side) && side.is_multiple_of(patch);
    if fits(size.width) && fits(size.height) {
        return Ok(Some(size));
    }
    let expected = match smallest == largest {
        true => format!("'{largest}x{largest}', the only size of this model"),
        false => format!("sides from {smallest} to {largest} pixels that are multiples of {patch}"),
    };
    Err(wrong_value("size", &expected, &found))
}

/// A picture on its way to the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentPicture {
    pub png_base64: String,
    pub seed: u64,
    /// SHA-256 of the PNG file, hex.
    pub sha256: String,
}

/// Fields of an answer besides the pictures.
#[derive(Clone, Debug, PartialEq)]
pub struct PictureEnvelope {
    pub id: String,
    /// Unix time in seconds.
    pub created: u64,
    pub model: String,
    pub fingerprint: String,
    pub usage: PublishedUsage,
}

/// The complete answer.
pub fn answer(envelope: &PictureEnvelope, order: &PictureOrder, pictures: &[SentPicture]) -> Value {
    let written = pictures.iter().map(|picture| {
        json!({
            "b64_json": picture.png_base64,
            "seed": picture.seed,
            "sha256": picture.sha256,
        })
    });
    json!({
        "id": envelope.id,
        "created": envelope.created,
        "model": envelope.model,
        "system_fingerprint": envelope.fingerprint,
        "data": written.collect::<Vec<_>>(),
        "background": "opaque",
        "output_format": "png",
        "size": format!("{}x{}", order.width, order.height),
        "steps": order.steps,
        "guidance": order.guidance,
        "usage": usage_json(envelope.usage),
    })
}

/// Usage with OpenAI's names for pictures. A picture counts as one token.
fn usage_json(usage: PublishedUsage) -> Value {
    json!({
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": { "text_tokens": usage.prompt_tokens, "image_tokens": 0 },
        "output_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
        "pictures": usage.pictures,
        "evaluations": usage.evaluations,
    })
}

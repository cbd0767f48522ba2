//! Chat templates: Jinja as in `transformers`, with the Python methods that templates use.
//!
//! A template comes from `chat_template.jinja` or from `chat_template` in `tokenizer_config.json`
//! (a text, or a list of named ones of which `default` is used).

use std::path::{Path, PathBuf};

use minijinja::{Environment, Error, ErrorKind, context};
use serde_json::Value;

use super::ModelTextError;
use crate::text::ChatMessage;

const NAME: &str = "chat";

/// The special tokens that templates name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SpecialTokens {
    bos: Option<String>,
    eos: Option<String>,
    pad: Option<String>,
    unk: Option<String>,
}

impl SpecialTokens {
    pub(super) fn read(settings: &Value) -> Self {
        let name = |key: &str| token_name(settings, key);
        Self {
            bos: name("bos_token"),
            eos: name("eos_token"),
            pad: name("pad_token"),
            unk: name("unk_token"),
        }
    }
}

/// A token of `tokenizer_config.json`: its text, or an object with the text in `content`.
pub(super) fn token_name(settings: &Value, key: &str) -> Option<String> {
    let token = settings.get(key)?;
    token
        .as_str()
        .or_else(|| token.get("content")?.as_str())
        .map(str::to_owned)
}

pub(super) struct ChatTemplate {
    environment: Environment<'static>,
    names: SpecialTokens,
}

impl ChatTemplate {
    /// The template of a base directory, if it has one.
    pub(super) fn find(
        dir: &Path,
        settings: &Value,
        names: SpecialTokens,
    ) -> Result<Option<Self>, ModelTextError> {
        let Some((path, source)) = find_source(dir, settings)? else {
            return Ok(None);
        };
        let mut environment = environment();
        environment
            .add_template_owned(NAME, without_generation_tags(&source))
            .map_err(|error| ModelTextError::BadTemplate {
                path,
                reason: explain(&error),
            })?;
        Ok(Some(Self { environment, names }))
    }

    pub(super) fn render(
        &self,
        messages: &[ChatMessage],
        add_generation_prompt: bool,
    ) -> Result<String, ModelTextError> {
        let names = &self.names;
        let values = context! {
            messages, add_generation_prompt,
            // An adapter is trained on answers, not on reasoning.
            enable_thinking => false,
            ..token_values(names)
        };
        let template = self.environment.get_template(NAME);
        template
            .and_then(|template| template.render(values))
            .map_err(|error| ModelTextError::Refused {
                reason: explain(&error),
            })
    }
}

/// Tokens that a base lacks stay undefined, because templates test for that.
fn token_values(names: &SpecialTokens) -> minijinja::Value {
    let pairs = [
        ("bos_token", &names.bos),
        ("eos_token", &names.eos),
        ("pad_token", &names.pad),
        ("unk_token", &names.unk),
    ];
    pairs
        .iter()
        .filter_map(|(key, token)| Some((*key, token.as_deref()?)))
        .collect()
}

fn find_source(dir: &Path, settings: &Value) -> Result<Option<(PathBuf, String)>, ModelTextError> {
    let path = dir.join("chat_template.jinja");
    match std::fs::read_to_string(&path) {
        Ok(source) => return Ok(Some((path, source))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(ModelTextError::read(&path, &error)),
    }
    let path = dir.join("tokenizer_config.json");
    let source = match settings.get("chat_template") {
        None | Some(Value::Null) => None,
        Some(Value::String(source)) => Some(source.clone()),
        Some(Value::Array(named)) => default_source(named),
        Some(other) => {
            return Err(ModelTextError::BadField {
                path,
                field: "chat_template",
                expected: "a text or a list of named templates",
                found: other.to_string(),
            });
        }
    };
    Ok(source.map(|source| (path, source)))
}

fn default_source(named: &[Value]) -> Option<String> {
    let is_default = |entry: &&Value| entry.get("name").and_then(Value::as_str) == Some("default");
    let entry = named.iter().find(is_default).or_else(|| named.first())?;
    entry.get("template")?.as_str().map(str::to_owned)
}

/// The template environment of `transformers`: blocks are trimmed, and templates may raise an
/// error.
///
/// `strftime_now` is omitted deliberately: templates then use a fixed date, so that training stays
/// reproducible.
fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_trim_blocks(true);
    environment.set_lstrip_blocks(true);
    environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    environment.add_function(
        "raise_exception",
        |message: String| -> Result<String, Error> {
            Err(Error::new(ErrorKind::InvalidOperation, message))
        },
    );
    environment
}

/// `{% generation %}` marks answers for `transformers`; it is replaced by a plain block with the
/// same white-space control.
fn without_generation_tags(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(start) = rest.find("{%") {
        let end = rest[start..]
            .find("%}")
            .map_or(rest.len(), |end| start + end + 2);
        let tag = &rest[start..end];
        out.push_str(&rest[..start]);
        match tag
            .trim_matches(|c: char| matches!(c, '{' | '}' | '%' | '-' | '+') || c.is_whitespace())
        {
            "generation" => out.push_str(&tag.replacen("generation", "if true", 1)),
            "endgeneration" => out.push_str(&tag.replacen("endgeneration", "endif", 1)),
            _ => out.push_str(tag),
        }
        rest = &rest[end..];
    }
    out.push_str(rest);
    out
}

/// The reason without the engine's name of the template.
fn explain(error: &Error) -> String {
    let reason = error
        .detail()
        .map_or_else(|| error.kind().to_string(), str::to_owned);
    match error.line() {
        Some(line) => format!("{reason} (template line {line})"),
        None => reason,
    }
}

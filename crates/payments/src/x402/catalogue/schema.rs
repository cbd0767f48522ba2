//! Checks a value against a JSON Schema (2020-12) that a stranger wrote: the keywords that
//! declarations of resources use. A schema with another keyword that restricts values is not believed,
//! and nothing is ever fetched.

use serde_json::{Map, Value};

/// How deep a value, a schema and its references may go, and how many steps a check may take.
const DEEPEST: usize = 24;
const MOST_STEPS: usize = 20_000;

/// Keywords that say nothing of which values are valid.
const NOTES: &[&str] = &[
    "$schema",
    "$comment",
    "$defs",
    "definitions",
    "title",
    "description",
    "default",
    "example",
    "examples",
    "deprecated",
    "readOnly",
    "writeOnly",
    "format",
    "contentEncoding",
    "contentMediaType",
    "$id",
    "$anchor",
];

/// Why a value does not fit, or a schema is not believed.
pub type SchemaProblem = String;

/// Checks a value.
///
/// # Errors
/// The first difference, or the first keyword that is not understood.
pub fn check(value: &Value, schema: &Value) -> Result<(), SchemaProblem> {
    let mut check = SchemaCheck {
        root: schema,
        steps: MOST_STEPS,
    };
    check.fits(value, schema, "info", 0)
}

struct SchemaCheck<'a> {
    root: &'a Value,
    /// How many more steps may be taken.
    steps: usize,
}

impl<'a> SchemaCheck<'a> {
    fn fits(
        &mut self,
        value: &Value,
        schema: &'a Value,
        place: &str,
        depth: usize,
    ) -> Result<(), SchemaProblem> {
        self.steps = self.steps.saturating_sub(1);
        if depth > DEEPEST || self.steps == 0 {
            return Err(format!("{place}: the schema is too large"));
        }
        let keywords = match schema {
            Value::Bool(true) => return Ok(()),
            Value::Bool(false) => return Err(format!("{place}: no value is allowed")),
            Value::Object(keywords) => keywords,
            _ => return Err(format!("{place}: its schema is no schema")),
        };
        for (keyword, wanted) in keywords {
            self.keyword(value, keywords, (keyword, wanted), place, depth)?;
        }
        Ok(())
    }

    fn keyword(
        &mut self,
        value: &Value,
        keywords: &'a Map<String, Value>,
        stated: (&str, &'a Value),
        place: &str,
        depth: usize,
    ) -> Result<(), SchemaProblem> {
        let (keyword, wanted) = stated;
        let unless = |fits: bool| match fits {
            true => Ok(()),
            false => Err(format!("{place}: it does not fit `{keyword}`")),
        };
        let deeper = depth + 1;
        match keyword {
            "type" => unless(is_of_type(value, wanted)),
            "const" => unless(value == wanted),
            "enum" => unless(wanted.as_array().is_some_and(|all| all.contains(value))),
            "required" => unless(has_all(value, wanted)),
            "properties" => self.properties(value, wanted, place, deeper),
            "additionalProperties" => {
                let named = keywords.get("properties").and_then(Value::as_object);
                for (name, inner) in value.as_object().into_iter().flatten() {
                    if named.is_none_or(|named| !named.contains_key(name)) {
                        self.fits(inner, wanted, &format!("{place}.{name}"), deeper)?;
                    }
                }
                Ok(())
            }
            "items" => {
                for (at, inner) in value.as_array().into_iter().flatten().enumerate() {
                    self.fits(inner, wanted, &format!("{place}[{at}]"), deeper)?;
                }
                Ok(())
            }
            "minLength" | "maxLength" | "minItems" | "maxItems" | "minProperties"
            | "maxProperties" | "minimum" | "maximum" => unless(is_within(value, keyword, wanted)),
            "allOf" => self.every(value, wanted, place, deeper),
            "anyOf" | "oneOf" => {
                let fitting = self.fitting(value, wanted, place, deeper)?;
                unless(if keyword == "oneOf" {
                    fitting == 1
                } else {
                    fitting > 0
                })
            }
            "$ref" => {
                let found = wanted.as_str().and_then(|text| text.strip_prefix('#'));
                let found = found.and_then(|pointer| self.root.pointer(pointer));
                let found = found.ok_or(format!("{place}: `$ref` leaves the schema"))?;
                self.fits(value, found, place, deeper)
            }
            note if NOTES.contains(&note) => Ok(()),
            other => Err(format!("{place}: the keyword `{other}` is not understood")),
        }
    }

    fn properties(
        &mut self,
        value: &Value,
        wanted: &'a Value,
        place: &str,
        depth: usize,
    ) -> Result<(), SchemaProblem> {
        for (name, schema) in wanted.as_object().into_iter().flatten() {
            if let Some(inner) = value.get(name) {
                self.fits(inner, schema, &format!("{place}.{name}"), depth)?;
            }
        }
        Ok(())
    }

    fn every(
        &mut self,
        value: &Value,
        wanted: &'a Value,
        place: &str,
        depth: usize,
    ) -> Result<(), SchemaProblem> {
        for schema in wanted.as_array().into_iter().flatten() {
            self.fits(value, schema, place, depth)?;
        }
        Ok(())
    }

    /// How many of several schemas a value fits.
    fn fitting(
        &mut self,
        value: &Value,
        wanted: &'a Value,
        place: &str,
        depth: usize,
    ) -> Result<usize, SchemaProblem> {
        let mut fitting = 0;
        for schema in wanted.as_array().into_iter().flatten() {
            fitting += usize::from(self.fits(value, schema, place, depth).is_ok());
            if self.steps == 0 {
                return Err(format!("{place}: the schema is too large"));
            }
        }
        Ok(fitting)
    }
}

fn is_of_type(value: &Value, wanted: &Value) -> bool {
    let is = |name: &Value| match name.as_str().unwrap_or_default() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        _ => false,
    };
    match wanted {
        Value::Array(names) => names.iter().any(is),
        name => is(name),
    }
}

fn has_all(value: &Value, wanted: &Value) -> bool {
    let Some(object) = value.as_object() else {
        return true;
    };
    let names = wanted.as_array().into_iter().flatten();
    names
        .map(|name| name.as_str().unwrap_or_default())
        .all(|name| object.contains_key(name))
}

/// Whether the keyword's limit holds; it says nothing of values of other types.
fn is_within(value: &Value, keyword: &str, wanted: &Value) -> bool {
    let size = match (keyword, value) {
        ("minLength" | "maxLength", Value::String(text)) => Some(text.chars().count()),
        ("minItems" | "maxItems", Value::Array(items)) => Some(items.len()),
        ("minProperties" | "maxProperties", Value::Object(fields)) => Some(fields.len()),
        _ => None,
    };
    if let Some(size) = size {
        let limit = wanted.as_u64().unwrap_or_default();
        return match keyword.starts_with("min") {
            true => size as u64 >= limit,
            false => size as u64 <= limit,
        };
    }
    match (keyword, value.as_f64(), wanted.as_f64()) {
        ("minimum", Some(value), Some(limit)) => value >= limit,
        ("maximum", Some(value), Some(limit)) => value <= limit,
        _ => true,
    }
}

//! The chain that settings choose, as the wallet takes it.

use super::Context;
use crate::{
    error::{ExitClass, Failure},
    settings::{Value, closest},
    wallet::network::{Network, PRESETS, Wish},
};

/// The network of `project.network`.
pub fn chosen(context: &Context) -> Result<Network, Failure> {
    let settings = &context.settings;
    let name = settings.text("project.network").unwrap_or("local");
    let tables: Vec<_> = settings
        .networks
        .iter()
        .filter(|entry| entry.name == name)
        .collect();
    let preset = PRESETS.iter().any(|preset| preset.name == name);
    if tables.is_empty() && !preset {
        return Err(unknown(context, name));
    }
    let mut wish = Wish::default();
    for (field, value) in tables.iter().flat_map(|entry| &entry.values) {
        wish_for(&mut wish, field, value);
    }
    Ok(Network::settle(name, &wish)?)
}

fn wish_for(wish: &mut Wish, field: &str, value: &Value) {
    let text = match value {
        Value::Text(text) => Some(text.clone()),
        _ => None,
    };
    let number = match value {
        Value::Integer(number) => u64::try_from(*number).ok(),
        _ => None,
    };
    match field {
        "chain_id" => wish.chain_id = number,
        "rpc" => wish.rpc = text,
        "mainnet" => wish.mainnet = Some(*value == Value::Boolean(true)),
        "token" => wish.token = text,
        "token_symbol" => wish.token_symbol = text,
        "token_decimals" => {
            wish.token_decimals = number.and_then(|number| u8::try_from(number).ok());
        }
        "registry" => wish.registry = text,
        "splitter_factory" => wish.splitter_factory = text,
        "pool_factory" => wish.pool_factory = text,
        "anchor" => wish.anchor = text,
        // Reading settings has refused every other field.
        _ => {}
    }
}

fn unknown(context: &Context, name: &str) -> Failure {
    let tables = context.settings.networks.iter();
    let mut known: Vec<&str> = PRESETS.iter().map(|preset| preset.name).collect();
    known.extend(tables.map(|entry| entry.name.as_str()));
    let message = format!(
        "there is no network `{name}`, expected one of {}",
        known.join(", ")
    );
    let hint = match closest(name, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("add a table `[network.{name}]` with `chain_id` and `rpc`"),
    };
    Failure::new(ExitClass::BadInput, message).with_hint(hint)
}

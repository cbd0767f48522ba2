//! Restrictions of project files. A user who works in a foreign folder reads a foreign project
//! file. Such a file may lower the user's limits but not raise them, it may choose an account only
//! if the user has not, and it does not open the server to others.

use std::cmp::Ordering;

use super::{
    files::SettingsError,
    keys::{self, variable_of},
    value::{SettingKind, SettingOrigin, SettingValue, Values},
};

/// Settings that a project file may only lower. An unset one takes the value of another.
const LIMITS: &[(&str, Option<&str>)] = &[
    ("call.ask_above", None),
    ("call.budget", None),
    ("call.max_locked", None),
    ("call.max_deposit", Some("call.ask_above")),
    ("call.max_delay", None),
    ("call.max_refund_fee", None),
    ("deploy.max_fee", None),
    ("proxy.max_price", Some("call.ask_above")),
    ("proxy.per_key", None),
    ("pull.max_file", None),
    ("pull.max_package", None),
    ("serve.gas_budget", None),
    ("serve.registry_adapters", None),
    ("serve.registry_daily", None),
    ("serve.registry_pulls", None),
    ("serve.worker_memory", None),
    ("serve.worker_pids", None),
];

/// Settings that a project file may set only if the user has not.
const CHOICES: &[&str] = &[
    "serve.prompt_filter",
    "serve.prompt_filter_labels",
    "wallet.account",
];

/// Lists that a project file may only shorten.
const LISTS: &[&str] = &[
    "search.discovery",
    "serve.origins",
    "serve.trusted_proxies",
    "serve.worker_waive",
];

/// Lists of those that are allowed, all when unset: a project file may only leave some out.
const ADMISSIONS: &[&str] = &["serve.registry_publishers"];

/// Settings that a project file may only move towards the first of their words.
const GRADES: &[&str] = &["serve.facilitator", "serve.isolate"];

/// The element of a list that stands for all others.
const ALL: &str = "*";

/// Checks the values of a project file against those that apply without it.
pub(super) fn check(
    project: &[(&'static str, SettingValue, SettingOrigin)],
    own: &Values,
) -> Result<(), SettingsError> {
    let unset = (SettingValue::List(Vec::new()), SettingOrigin::Default);
    for (name, value, origin) in project {
        let stronger = |from: &SettingOrigin| {
            !matches!(from, SettingOrigin::Default | SettingOrigin::File { .. })
        };
        let counts = own.get(name).is_none_or(|(_, from)| !stronger(from));
        let Some((allowed, from)) = bound(name, own, &unset).filter(|_| counts) else {
            continue;
        };
        if !fits(name, value, allowed) {
            return Err(SettingsError::BeyondOwn {
                place: origin.to_string(),
                key: name,
                variable: keys::find(name).map(variable_of).unwrap_or_default(),
                expected: match allowed {
                    SettingValue::List(texts) if !texts.is_empty() => {
                        format!("part of {allowed} ({from})")
                    }
                    SettingValue::List(_) => format!("{allowed} ({from})"),
                    _ if CHOICES.contains(name) => format!("{allowed} ({from})"),
                    _ if GRADES.contains(name) => {
                        format!("{} ({from})", graded(name, allowed).join(" or "))
                    }
                    _ => format!("at most {allowed} ({from})"),
                },
                found: value.to_string(),
                typed: match value {
                    SettingValue::List(texts) => format!("{:?}", texts.join(",")),
                    other => other.to_string(),
                },
            });
        }
    }
    Ok(())
}

fn fits(name: &str, value: &SettingValue, allowed: &SettingValue) -> bool {
    match (value, allowed) {
        _ if CHOICES.contains(&name) => value == allowed,
        (SettingValue::Text(word), _) if GRADES.contains(&name) => {
            graded(name, allowed).contains(&word.as_str())
        }
        (SettingValue::List(value), _) if ADMISSIONS.contains(&name) && value.is_empty() => false,
        (SettingValue::List(value), SettingValue::List(allowed)) => {
            let is_allowed = |text| allowed.contains(text) || allowed.iter().any(|it| it == ALL);
            value.iter().all(is_allowed)
        }
        _ => is_at_most(value, allowed),
    }
}

/// The words of a setting up to the allowed one.
fn graded(name: &str, allowed: &SettingValue) -> Vec<&'static str> {
    let Some(SettingKind::Choice(words)) = keys::find(name).map(|key| key.kind) else {
        return Vec::new();
    };
    let reached = |word: &&str| matches!(allowed, SettingValue::Text(text) if text == word);
    let last = words.iter().position(reached);
    last.map_or(Vec::new(), |last| words[..=last].to_vec())
}

/// What a project file is held against; `unset` is the bound of lists that are unset.
fn bound<'a>(
    name: &str,
    own: &'a Values,
    unset: &'a (SettingValue, SettingOrigin),
) -> Option<&'a (SettingValue, SettingOrigin)> {
    if LISTS.contains(&name) {
        return Some(own.get(name).unwrap_or(unset));
    }
    if CHOICES.contains(&name) || GRADES.contains(&name) {
        return own.get(name);
    }
    if ADMISSIONS.contains(&name) {
        let names_some =
            |value: &SettingValue| !matches!(value, SettingValue::List(all) if all.is_empty());
        return own.get(name).filter(|(value, _)| names_some(value));
    }
    let (_, otherwise) = LIMITS.iter().find(|(limit, _)| *limit == name)?;
    own.get(name).or_else(|| own.get((*otherwise)?))
}

/// Values that cannot be compared are treated as higher.
fn is_at_most(value: &SettingValue, limit: &SettingValue) -> bool {
    let order = match (value, limit) {
        (SettingValue::Integer(value), SettingValue::Integer(limit)) => Some(value.cmp(limit)),
        (SettingValue::Text(value), SettingValue::Text(limit)) => compare(value, limit),
        _ => None,
    };
    order.is_some_and(Ordering::is_le)
}

/// Compares decimal numbers of any length.
fn compare(one: &str, other: &str) -> Option<Ordering> {
    let parts = |text: &str| {
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let fits = digits(whole) && digits(part) && !(whole.is_empty() && part.is_empty());
        let trimmed = || {
            let whole = whole.trim_start_matches('0').to_owned();
            (whole.len(), whole, part.trim_end_matches('0').to_owned())
        };
        fits.then(trimmed)
    };
    Some(parts(one)?.cmp(&parts(other)?))
}

//! Restrictions of project files. A user who works in a foreign folder reads a foreign project
//! file. Such a file may lower the user's limits but not raise them, and it may choose an account
//! only if the user has not.

use std::cmp::Ordering;

use super::{
    files::SettingsError,
    keys::{self, variable_of},
    value::{SettingOrigin, SettingValue, Values},
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
];

/// Settings that a project file may set only if the user has not.
const CHOICES: &[&str] = &["wallet.account"];

/// Checks the values of a project file against those that apply without it.
pub(super) fn check(
    project: &[(&'static str, SettingValue, SettingOrigin)],
    own: &Values,
) -> Result<(), SettingsError> {
    for (name, value, origin) in project {
        let stronger = |from: &SettingOrigin| {
            !matches!(from, SettingOrigin::Default | SettingOrigin::File { .. })
        };
        let counts = own.get(name).is_none_or(|(_, from)| !stronger(from));
        let Some((allowed, from)) = bound(name, own).filter(|_| counts) else {
            continue;
        };
        let fits = match CHOICES.contains(name) {
            true => value == allowed,
            false => is_at_most(value, allowed),
        };
        if !fits {
            return Err(SettingsError::BeyondOwn {
                place: origin.to_string(),
                key: name,
                variable: keys::find(name).map(variable_of).unwrap_or_default(),
                expected: match CHOICES.contains(name) {
                    true => format!("{allowed} ({from})"),
                    false => format!("at most {allowed} ({from})"),
                },
                found: value.to_string(),
            });
        }
    }
    Ok(())
}

fn bound<'a>(name: &str, own: &'a Values) -> Option<&'a (SettingValue, SettingOrigin)> {
    if CHOICES.contains(&name) {
        return own.get(name);
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

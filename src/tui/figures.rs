//! Display formats of times, durations and counts. All times are UTC.

use openlora_core::calendar;

const DAY_MS: u64 = 86_400_000;

/// Such as `14:02:11`.
pub fn clock(ms: u64) -> String {
    let seconds = ms % DAY_MS / 1_000;
    let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
    format!("{hours:02}:{minutes:02}:{:02}", seconds % 60)
}

/// Such as `2026-01-31 14:02:11`.
pub fn moment(ms: u64) -> String {
    format!("{} {}", calendar::date(ms / DAY_MS), clock(ms))
}

/// For a file's name, such as `20260131-140211`.
pub fn stamp(ms: u64) -> String {
    moment(ms).replace(['-', ':'], "").replace(' ', "-")
}

/// A duration in its two largest units, such as `3h12m` or `12s`.
pub fn span(ms: u64) -> String {
    let seconds = ms / 1_000;
    let (days, hours) = (seconds / 86_400, seconds / 3_600 % 24);
    let (minutes, left) = (seconds / 60 % 60, seconds % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{left}s"),
        (0, 0, _) => format!("{minutes}m{left:02}s"),
        (0, _, _) => format!("{hours}h{minutes:02}m"),
        _ => format!("{days}d{hours:02}h"),
    }
}

/// A duration in milliseconds, or in seconds above ten seconds.
pub fn format_duration(ms: u64) -> String {
    match ms {
        0..10_000 => format!("{ms}"),
        10_000..1_000_000 => format!("{}.{}s", ms / 1_000, ms % 1_000 / 100),
        _ => span(ms),
    }
}

/// A count in at most five characters, such as `12.3k`.
pub fn count(number: u64) -> String {
    match number {
        0..10_000 => number.to_string(),
        10_000..1_000_000 => format!("{}.{}k", number / 1_000, number % 1_000 / 100),
        _ => format!("{}.{}M", number / 1_000_000, number % 1_000_000 / 100_000),
    }
}

/// A count with its noun, such as `1 picture`.
pub fn counted(number: u64, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        _ => format!("{number} {noun}s"),
    }
}

/// Parts per million as a percentage with one decimal, rounded half up.
pub fn percent(ppm: u64) -> String {
    let permille = (ppm + 500) / 1_000;
    format!("{}.{}%", permille / 10, permille % 10)
}

/// `part` of `whole` in parts per million; 0 if `whole` is 0.
pub fn ppm(part: u128, whole: u128) -> u64 {
    if whole == 0 {
        return 0;
    }
    let exact = part.saturating_mul(1_000_000) / whole;
    u64::try_from(exact).unwrap_or(u64::MAX)
}

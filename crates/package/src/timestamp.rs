//! Moments as other formats write them.

use openlora_core::calendar;

/// The first second of the year 10000, which RFC 3339 cannot write.
const END: u64 = 253_402_300_800;

/// Unix seconds as RFC 3339 writes them; nothing for a year with more than four digits.
pub(super) fn rfc3339(seconds: u64) -> Option<String> {
    if seconds >= END {
        return None;
    }
    let day = calendar::date(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    Some(format!("{day}T{hour:02}:{minute:02}:{second:02}Z"))
}

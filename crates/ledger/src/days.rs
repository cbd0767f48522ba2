//! UTC days since 1970.

/// Milliseconds of a day.
pub const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// A range of days since 1970, inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DayRange {
    pub first: u64,
    pub last: u64,
}

impl DayRange {
    pub const ALL: Self = Self {
        first: 0,
        last: u64::MAX,
    };

    /// The `count` days up to and including the day of `now_ms`.
    pub fn until(now_ms: u64, count: u64) -> Self {
        let last = now_ms / DAY_MS;
        Self {
            first: last.saturating_sub(count.saturating_sub(1)),
            last,
        }
    }

    pub fn has(self, day: u64) -> bool {
        (self.first..=self.last).contains(&day)
    }
}

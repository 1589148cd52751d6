//! The time that proposals bear and are measured by.

use std::time::{SystemTime, UNIX_EPOCH};

use quittance_ledger::ids::Timestamp;

/// The system's clock, or one that differs from it: the clock of one machine may be wrong, and that
/// must harm nobody else. By default it does not differ.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Clock {
    /// By how much it is ahead of the system's, in milliseconds; negative if it is behind.
    ahead: i64,
}

impl Clock {
    /// A clock that is ahead of the system's by so many milliseconds, or behind it if negative.
    pub fn ahead_by(milliseconds: i64) -> Self {
        Self { ahead: milliseconds }
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let system = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        Timestamp(system.saturating_add_signed(self.ahead))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_clock_is_wrong_by_what_was_said() {
        const HOUR: i64 = 3_600_000;
        let (slow, right, fast) =
            (Clock::ahead_by(-HOUR).now(), Clock::default().now(), Clock::ahead_by(HOUR).now());
        assert!(slow.0.abs_diff(right.0 - HOUR as u64) < 60_000);
        assert!(fast.0.abs_diff(right.0 + HOUR as u64) < 60_000);
    }
}

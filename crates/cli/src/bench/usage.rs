//! The processor time of processes, by `/proc` (proc_pid_stat(5)).

use std::fs;

/// Parts of a second that the kernel counts in, for all programs on Linux.
const TICKS: f64 = 100.0;

/// Whose time is measured.
pub struct Users {
    /// The load generator's process.
    pub generator: u32,
    /// The validators' processes.
    pub validators: Vec<u32>,
}

/// Processor time in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Usage {
    /// Of the load generator.
    pub generator: f64,
    /// Of all validators together.
    pub validators: f64,
}

impl Usage {
    /// What they have used so far. A process that is not there has used nothing.
    pub fn of(users: &Users) -> Self {
        Self {
            generator: seconds(users.generator),
            validators: users.validators.iter().map(|process| seconds(*process)).sum(),
        }
    }

    /// What was used after `before`.
    pub fn since(&self, before: &Self) -> Self {
        Self {
            generator: self.generator - before.generator,
            validators: self.validators - before.validators,
        }
    }
}

fn seconds(process: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // The second field is a name in brackets, which may have anything in it. After it the 12th and
    // 13th are the ticks as a user and in the kernel.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let ticks = fields.split_whitespace().skip(11).take(2);
    ticks.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / TICKS
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn work_is_counted() {
        let users = Users { generator: std::process::id(), validators: vec![u32::MAX] };
        let (before, start) = (Usage::of(&users), Instant::now());
        let mut sum = 0u64;
        while Usage::of(&users).since(&before).generator < 0.05 {
            sum = std::hint::black_box(sum.wrapping_add(1));
            assert!(start.elapsed().as_secs() < 60, "no work is counted");
        }
        assert_eq!(Usage::of(&users).validators, 0.0);
    }
}

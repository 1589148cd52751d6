//! What the system knows about this process.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use metrics::gauge;

use super::{CPU_TIME, OPEN_FILES, RESIDENT_MEMORY};

/// Ticks of a processor's time in `/proc` (`USER_HZ`): 100 a second on all of Linux's architectures.
const TICKS: f64 = 100.0;

/// Seconds since 1970.
pub(super) fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// Reads what changes. Where there is no `/proc`, nothing is known and zeros stay.
pub(super) fn read() {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    if let Some(bytes) = resident(&status) {
        gauge!(RESIDENT_MEMORY).set(bytes);
    }
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    if let Some(seconds) = processor(&stat) {
        gauge!(CPU_TIME).set(seconds);
    }
    if let Ok(files) = fs::read_dir("/proc/self/fd") {
        // One of them is the folder that is being read.
        gauge!(OPEN_FILES).set(files.count().saturating_sub(1) as f64);
    }
}

/// `VmRSS:      1234 kB`
fn resident(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: f64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024.0)
}

/// Fields 14 and 15: time in user mode and in the kernel. The name before them may hold anything.
fn processor(stat: &str) -> Option<f64> {
    let mut after_name = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let user: f64 = after_name.nth(11)?.parse().ok()?;
    let kernel: f64 = after_name.next()?.parse().ok()?;
    Some((user + kernel) / TICKS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_is_understood() {
        assert_eq!(resident("VmPeak:\t 9 kB\nVmRSS:\t    12 kB\n"), Some(12.0 * 1024.0));
        assert_eq!(resident("VmRSS: twelve kB"), None);
        let stat = "7 (a b) c) S 1 7 7 0 -1 4194560 1 0 0 0 150 50 0 0 20";
        assert_eq!(processor(stat), Some(2.0));
        assert_eq!(processor("7 (a) S 1"), None);
        // And as it is here.
        let status = fs::read_to_string("/proc/self/status").unwrap();
        assert!(resident(&status).unwrap() > 0.0);
        assert!(processor(&fs::read_to_string("/proc/self/stat").unwrap()).is_some());
    }
}

//! Finding free ports for processes on this machine: trial networks, demonstrations, tests.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

/// Where the search begins: above the ports of well-known services.
const FIRST: u16 = 17_000;

/// Where it ends: from 32768 on, Linux hands ports to outgoing connections, which would race us.
const LAST: u16 = 32_000;

/// Spreads the searches of processes whose numbers follow each other.
const STRIDE: u32 = 251;

/// The first of `count` consecutive ports of 127.0.0.1 that nobody listens on.
///
/// Nothing keeps them free until they are used. So each call of a process begins its search behind
/// the last one, and each process at a place of its own: what is found is not found again before all
/// others have been tried.
pub fn free_range(count: u16) -> Option<u16> {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    let count = count.max(1);
    let places = u32::from(LAST - FIRST) / u32::from(count);
    let call = CALLS.fetch_add(1, Ordering::Relaxed);
    let start = std::process::id().wrapping_mul(STRIDE).wrapping_add(call);
    (0..places)
        .map(|step| FIRST + (start.wrapping_add(step) % places) as u16 * count)
        .find(|base| (0..count).all(|offset| is_free(base + offset)))
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn what_was_found_is_not_found_again() {
        let found: BTreeSet<u16> = (0..200).map(|_| free_range(1).unwrap()).collect();
        assert_eq!(found.len(), 200);
        assert!(found.iter().all(|port| (FIRST..LAST).contains(port)));
    }

    #[test]
    fn a_range_with_a_taken_port_is_passed_over() {
        let taken = free_range(50).unwrap() + 3;
        let _taken = TcpListener::bind((Ipv4Addr::LOCALHOST, taken)).unwrap();
        // Once around all places.
        for _ in 0..u32::from(LAST - FIRST) / 50 {
            let base = free_range(50).unwrap();
            assert!(!(base..base + 50).contains(&taken));
        }
        assert!(free_range(20_000).is_none());
    }
}

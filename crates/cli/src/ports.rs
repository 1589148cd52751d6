//! Finding free ports for a network on this machine.

use std::net::{Ipv4Addr, TcpListener};

/// Where the search begins: above the ports of well-known services.
const FIRST: u16 = 17_000;

/// Where it ends: from 32768 on, Linux hands ports to outgoing connections, which would race us.
const LAST: u16 = 32_000;

/// The first of `count` consecutive ports of 127.0.0.1 that nobody listens on.
///
/// `start` spreads the searches of several networks that are made at the same time.
pub fn free_range(count: u16, start: u32) -> Option<u16> {
    let places = u32::from(LAST - FIRST) / u32::from(count.max(1));
    (0..places)
        .map(|step| FIRST + ((start.wrapping_add(step) % places) as u16) * count.max(1))
        .find(|base| (0..count).all(|offset| is_free(base + offset)))
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_with_a_taken_port_is_passed_over() {
        let first = free_range(10, 7).unwrap();
        let _taken = TcpListener::bind((Ipv4Addr::LOCALHOST, first + 3)).unwrap();
        let second = free_range(10, 7).unwrap();
        assert!(!(second..second + 10).contains(&(first + 3)));
        assert!(free_range(20_000, 0).is_none());
    }
}

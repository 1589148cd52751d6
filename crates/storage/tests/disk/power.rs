//! A loss of power at any moment: what was acknowledged is there.

use std::path::Path;

use rand_core::RngCore;

use crate::image::{Disk, Unsynced};
use crate::interpose::{Event, events};
use crate::writer::{BLOCKS, acknowledged, folder, run, said};
use crate::{goes_on, headers, read, rng, scratch};

const OPENINGS: usize = 3;

/// All that a process did that opened a chain three times.
fn recorded(root: &Path) -> Vec<Event> {
    let log = root.with_extension("events");
    let output = run(root, OPENINGS, Some(&log), None);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let events = events(&log);
    std::fs::remove_file(log).unwrap();
    let whole = OPENINGS * BLOCKS;
    assert_eq!(acknowledged(&said(&events)), whole);
    assert_eq!(read(&folder(root), &headers(whole)).unwrap(), whole);
    events
}

/// Loses power at every `stride`-th moment and after each acknowledgement: in each way in turn, or
/// in all.
fn lose_power(stride: usize, all: bool, seed: u64) -> usize {
    let root = scratch();
    let events = recorded(root.path());
    let expected = headers(OPENINGS * BLOCKS + 1);
    let mut random = rng(seed);
    let mut disk = Disk::new(root.path());
    let (mut losses, mut last) = (0, 0);
    for (moment, event) in events.iter().enumerate() {
        disk.apply(event);
        // Right after an acknowledgement is when the most is promised.
        let promised = acknowledged(&said(&events[..=moment]));
        let point = matches!(event, Event::Point(_)) || moment % stride != seed as usize % stride;
        if point && promised == last {
            continue;
        }
        last = promised;
        let ways = if all { &Unsynced::ALL[..] } else { &Unsynced::ALL[losses % 4..][..1] };
        for unsynced in ways {
            let left = scratch();
            disk.lose_power(*unsynced, &mut random, left.path());
            let chain = folder(left.path());
            let what = format!("power lost after event {moment}, unsynced: {unsynced:?}");
            let height = read(&chain, &expected).unwrap_or_else(|error| panic!("{what}: {error}"));
            assert!(height >= promised, "{what}: {height} of {promised} blocks");
            if random.next_u32().is_multiple_of(8) && height < expected.len() {
                goes_on(&chain, &expected, height);
            }
            losses += 1;
        }
    }
    losses
}

#[test]
fn what_was_acknowledged_survives_a_loss_of_power() {
    let losses = lose_power(12, false, 1);
    println!("{losses} losses of power");
    assert!(losses > 40, "{losses}");
}

#[test]
#[ignore = "minutes: `make slow`"]
fn what_was_acknowledged_survives_a_loss_of_power_at_every_moment() {
    for seed in 1..4 {
        println!("{} losses of power", lose_power(1, true, seed));
    }
}

//! The process killed at each point where it writes, and a disk that fails or fills up there.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;

use crate::interpose::{Event, events};
use crate::writer::{BLOCKS, REFUSED, acknowledged, folder, run};
use crate::{goes_on, headers, read, scratch};

const OPENINGS: usize = 2;
const SIGKILL: i32 = 9;

/// The points that a process passes which opens a chain twice, and how often.
fn points() -> BTreeMap<String, usize> {
    let root = scratch();
    let log = root.path().with_extension("events");
    assert!(run(root.path(), OPENINGS, Some(&log), None).status.success());
    let mut points = BTreeMap::new();
    for event in events(&log) {
        if let Event::Point(name) = event {
            *points.entry(name).or_insert(0) += 1;
        }
    }
    std::fs::remove_file(log).unwrap();
    // The ones that everything rests on have kept their names.
    for name in ["log write", "log sync", "list sync", "folder sync", "marker write"] {
        assert!(points.contains_key(name), "{points:?}");
    }
    points
}

/// Kills the process at a point, and opens the chain again. Returns whether it came there: how
/// often some points are passed depends on the scheduler.
fn kill(fault: &str) -> bool {
    let root = scratch();
    let output = run(root.path(), OPENINGS, None, Some(fault));
    let promised = acknowledged(&String::from_utf8_lossy(&output.stdout));
    let killed = output.status.signal() == Some(SIGKILL);
    assert!(killed || output.status.success(), "{fault}: {output:?}");
    let whole = OPENINGS * BLOCKS;
    let expected = headers(whole + 2);
    let chain = folder(root.path());
    let height = read(&chain, &expected).unwrap_or_else(|error| panic!("{fault}: {error}"));
    let possible = promised..=promised + 1;
    assert!(possible.contains(&height), "{fault}: {height} blocks, {promised} acknowledged");
    assert!(killed || promised == whole, "{fault}: {promised}");
    goes_on(&chain, &expected, height);
    killed
}

/// Kills at each point, at the `times` of it that are chosen.
fn kill_everywhere(chosen: impl Fn(usize) -> Vec<usize>) -> usize {
    let mut kills = 0;
    for (point, count) in points() {
        let writes = point.ends_with(" write");
        let actions = ["kill-before", "kill-after", "kill-within"];
        for action in &actions[..if writes { 3 } else { 2 }] {
            for time in chosen(count) {
                kills += usize::from(kill(&format!("{action} {time} {point}")));
            }
        }
    }
    kills
}

#[test]
fn a_kill_at_any_point_loses_nothing_that_was_acknowledged() {
    let kills = kill_everywhere(|count| vec![count.div_ceil(2)]);
    assert!(kills > 40, "{kills}");
}

#[test]
#[ignore = "minutes: `make slow`"]
fn a_kill_at_any_point_whenever_it_is_passed() {
    println!("{} kills", kill_everywhere(|count| (1..=count).collect()));
}

/// Runs on a disk with a fault, and opens the chain again on a sound one.
fn fails(fault: &str, must: bool) {
    let root = scratch();
    let output = run(root.path(), OPENINGS, None, Some(fault));
    let said = String::from_utf8_lossy(&output.stderr);
    let promised = acknowledged(&String::from_utf8_lossy(&output.stdout));
    let expected = headers(OPENINGS * BLOCKS + 2);
    let chain = folder(root.path());
    match output.status.code() {
        // What has failed was nothing that matters, or never came.
        Some(0) if !must => assert_eq!(promised, OPENINGS * BLOCKS, "{fault}"),
        Some(REFUSED) => {
            assert!(said.contains(root.path().to_str().unwrap()), "{fault}: {said}");
            let cause = if fault.starts_with("full") { "No space left" } else { "/output error" };
            assert!(said.contains(cause), "{fault}: {said}");
        }
        other => panic!("{fault}: ended with {other:?} after {promised} blocks: {said}"),
    }
    let height = read(&chain, &expected).unwrap_or_else(|error| panic!("{fault}: {error}"));
    assert!((promised..=promised + 1).contains(&height), "{fault}: {height} of {promised}");
    goes_on(&chain, &expected, height);
}

/// A failure at each point, at the times of it that are chosen.
fn fail_everywhere(chosen: impl Fn(usize) -> Vec<usize>) {
    for (point, count) in points() {
        let actions = match point.rsplit(' ').next().unwrap() {
            "write" => ["fail", "full"].as_slice(),
            "sync" | "make" | "rename" => &["fail"],
            _ => &[],
        };
        // How often the marker is synced depends on the scheduler, and RocksDB can do without some
        // of its other files.
        let must = ["log write", "log sync", "list write", "list sync", "marker write"];
        for action in actions {
            for time in chosen(count) {
                fails(&format!("{action} {time} {point}"), must.contains(&&*point));
            }
        }
    }
    fails("fail 3 marker sync", false);
}

#[test]
fn nothing_is_acknowledged_after_a_write_or_sync_that_failed() {
    fail_everywhere(|count| vec![count.div_ceil(2)]);
}

#[test]
#[ignore = "minutes: `make slow`"]
fn nothing_is_acknowledged_whenever_a_write_or_sync_has_failed() {
    fail_everywhere(|count| (1..=count).collect());
}

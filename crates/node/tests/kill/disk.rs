//! The node under load on a disk that stops it at a point of its choice, fails, fills up, or loses
//! what was not synced.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use rand_core::RngCore;

use crate::image::{Disk, Unsynced};
use crate::interpose::{Event, events, interpose};
use crate::load::Load;
use crate::process::Process;

const SIGKILL: i32 = 9;

/// Long enough for the first blocks of a life.
const A_WHILE: Duration = Duration::from_millis(300);

/// Longer than a process takes to end.
const FOR_SURE: Duration = Duration::from_secs(60);

/// A life on the disk; until it ends by a fault, if there is one.
async fn life(load: &mut Load, fault: Option<&str>) -> Process {
    let root = load.disk();
    let log = root.with_file_name("events");
    let log = fault.is_none().then_some(&*log);
    let mut process =
        Process::start(&load.site.config(), |command| interpose(command, &root, log, fault));
    load.life(&mut process, A_WHILE).await;
    process
}

/// The points where a node writes, and how often it came there in a life.
async fn points(load: &mut Load) -> BTreeMap<String, usize> {
    let mut points = BTreeMap::new();
    // The first life makes the chain, the second finds it. What only the first does is killed in
    // the tests of the store.
    for _ in 0..2 {
        points.clear();
        drop(life(load, None).await);
        let log = load.disk().with_file_name("events");
        for event in events(&log) {
            if let Event::Point(name) = event {
                *points.entry(name).or_insert(0) += 1;
            }
        }
        std::fs::remove_file(log).unwrap();
    }
    points
}

/// Kills the node at each point that it passes `least` times in a life, at those of the `times` that
/// it comes to, or the last time.
async fn kill_everywhere(least: usize, actions: &[&str], times: &[usize]) -> usize {
    let mut load = Load::new(6);
    let mut kills = 0;
    let points = points(&mut load).await;
    for (point, count) in points.into_iter().filter(|(_, count)| *count >= least) {
        for action in actions {
            for time in times.iter().map(|time| *time.min(&count)).collect::<BTreeSet<_>>() {
                let fault = format!("{action} {time} {point}");
                let mut process = life(&mut load, Some(&fault)).await;
                // A node that never listened is about to end.
                let patience = if process.address.is_some() { A_WHILE } else { FOR_SURE };
                if process.ends_within(patience) {
                    let (status, said) = process.end(&fault);
                    assert_eq!(status.signal(), Some(SIGKILL), "{fault}: {said}");
                    kills += 1;
                }
            }
        }
    }
    load.end().await;
    kills
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_at_each_point_of_writing_a_block_loses_nothing() {
    let kills = kill_everywhere(4, &["kill-before", "kill-after"], &[4]).await;
    assert!(kills >= 6, "{kills}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes: `make slow`"]
async fn kills_before_within_and_after_each_point_where_the_node_writes_lose_nothing() {
    let kills = kill_everywhere(1, &["kill-before", "kill-within", "kill-after"], &[1, 2, 5]).await;
    println!("{kills} kills");
    assert!(kills >= 50, "{kills}");
}

/// The node ends by itself, says where and why, and has acknowledged nothing that is not there.
#[tokio::test(flavor = "multi_thread")]
async fn a_write_or_sync_that_fails_ends_the_node() {
    let mut load = Load::new(7);
    for fault in [
        "fail 1 log write",
        "fail 6 log write",
        "fail 5 log sync",
        "full 6 log write",
        "fail 5 marker write",
        "full 5 marker write",
        "fail 2 marker sync",
        "fail 1 list sync",
    ] {
        let mut process = life(&mut load, Some(fault)).await;
        let (status, said) = process.end(fault);
        assert_eq!(status.code(), Some(1), "{fault}: {said}");
        let last = said.lines().last().unwrap_or_default();
        let cause = if fault.starts_with("full") { "No space left" } else { "/output error" };
        assert!(last.contains("disk/data"), "{fault}: {said}");
        assert!(last.contains(cause), "{fault}: {said}");
    }
    load.end().await;
}

/// Loses the node's power so many times; each next life begins with what is left.
async fn lose_power(times: usize, seed: u64) {
    let mut load = Load::new(seed);
    for time in 0..times {
        let (root, log) = (load.disk(), load.disk().with_file_name("events"));
        let mut disk = Disk::load(&root);
        let mut process = Process::start(&load.site.config(), |command| {
            interpose(command, &root, Some(&log), None)
        });
        let patience = Duration::from_millis(u64::from(load.random.next_u32() % 150));
        load.life(&mut process, patience).await;
        process.kill();
        events(&log).iter().for_each(|event| disk.apply(event));
        std::fs::remove_file(log).unwrap();
        std::fs::remove_dir_all(&root).unwrap();
        std::fs::create_dir(&root).unwrap();
        disk.lose_power(Unsynced::ALL[time % 4], &mut load.random, &root);
    }
    load.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_final_survives_losses_of_power() {
    lose_power(4, 8).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "half a minute: `make slow`"]
async fn what_was_final_survives_fifty_losses_of_power() {
    lose_power(50, 9).await;
}

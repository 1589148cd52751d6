//! The node killed under load, its power lost, its disk failing: what was final stays final, and
//! nothing happens twice.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;
mod disk;
#[path = "../../../../tests/disk/image.rs"]
mod image;
#[path = "../../../../tests/disk/interpose.rs"]
mod interpose;
mod load;
mod process;

use std::time::Duration;

use load::Load;
use process::Process;
use rand_core::RngCore;

/// Kills the node so many times at random.
async fn kill(times: usize, seed: u64) {
    let mut load = Load::new(seed);
    let mut killed_at_work = 0;
    for _ in 0..times {
        let mut process = Process::start(&load.site.config(), |_| {});
        let patience = Duration::from_millis(u64::from(load.random.next_u32() % 120));
        killed_at_work += usize::from(load.life(&mut process, patience).await);
        process.kill();
    }
    let acknowledged = load.acknowledged();
    let found = load.end().await;
    println!("{times} kills, {killed_at_work} of them at work: {found} transactions");
    assert!(acknowledged > times / 2, "{acknowledged} transactions were acknowledged");
    assert!(killed_at_work > times / 2, "{killed_at_work} kills came when something was under way");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_final_before_a_kill_is_final_after_it() {
    kill(6, 4).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "half a minute: `make slow`"]
async fn what_was_final_before_fifty_kills_is_final_after_them() {
    kill(50, 5).await;
}

//! Validators that are connected over TLS: with each other, and with one that misbehaves.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test stops where its assumption fails")]

#[path = "../common/mod.rs"]
mod common;
mod floods;
mod relay;
mod strangers;
mod town;

use std::time::Duration;

use bytes::Bytes;
use quittance_rpc::peers::{MAX_FRAME_BYTES, Priority};
use tokio::time::timeout;

use town::{LONG, Town, key, set};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn validators_find_each_other_and_exchange_frames() {
    let mut town = Town::new(4).await;
    town.connected(3).await;
    for from in 0..4u8 {
        let frame = Bytes::from(vec![from; 10 + usize::from(from)]);
        town.houses[usize::from(from)].peers.broadcast(frame.clone(), Priority::Urgent);
        for to in (0..4u8).filter(|to| *to != from) {
            assert_eq!(town.next(to, from).await, frame);
        }
    }
    let (two, one) = (key(2).verifying_key().fingerprint(), 1);
    town.houses[one].peers.send(&two, Bytes::from_static(b"for you"), Priority::Bulk);
    assert_eq!(town.next(2, 1).await, Bytes::from_static(b"for you"));
    let nothing = timeout(Duration::from_millis(100), town.next(3, 1)).await;
    assert!(nothing.is_err(), "what is sent to one goes to no other");
}

/// Large frames come whole, and small ones do not wait for them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn urgent_frames_overtake_large_ones() {
    let mut town = Town::new(2).await;
    town.connected(1).await;
    let large = Bytes::from(vec![7; MAX_FRAME_BYTES]);
    town.houses[0].peers.broadcast(large.clone(), Priority::Bulk);
    town.houses[0].peers.broadcast(Bytes::from_static(b"vote"), Priority::Urgent);
    assert_eq!(town.next(1, 0).await, Bytes::from_static(b"vote"));
    assert_eq!(town.next(1, 0).await, large);
}

/// Who does not take its frames keeps nobody else from theirs, and what waits for it is bounded.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_reads_nothing_is_left_behind() {
    let mut town = Town::new(3).await;
    town.connected(2).await;
    let large = Bytes::from(vec![7; MAX_FRAME_BYTES]);
    // The peer 2 takes nothing; 1 takes all.
    for _ in 0..8 {
        town.houses[0].peers.broadcast(large.clone(), Priority::Bulk);
        assert_eq!(town.next(1, 0).await.len(), MAX_FRAME_BYTES);
    }
    // What 2 gets in the end is less than what was sent: the rest was dropped, or all of it with a
    // connection that took nothing for too long.
    let mut got = 0;
    while let Ok(frame) = timeout(Duration::from_secs(2), town.next(2, 0)).await {
        assert_eq!(frame.len(), MAX_FRAME_BYTES);
        got += 1;
    }
    assert!(got < 8, "{got} of 8");
    // Now that it reads, it is served again.
    let again = Bytes::from_static(b"again");
    let served = async {
        loop {
            town.houses[0].peers.broadcast(again.clone(), Priority::Urgent);
            match timeout(Duration::from_secs(1), town.next(2, 0)).await {
                Ok(frame) if frame == again => return,
                _ => {}
            }
        }
    };
    timeout(LONG, served).await.expect("it hears of what is sent now");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_validator_that_comes_back_is_connected_again() {
    let mut town = Town::new(3).await;
    town.connected(2).await;
    for which in [0, 2] {
        town.restart(which).await;
        town.connected(2).await;
        let frame = Bytes::from_static(b"again");
        town.houses[usize::from(which)].peers.broadcast(frame.clone(), Priority::Urgent);
        assert_eq!(town.next(1, which).await, frame);
    }
}

/// A validator that leaves the set is cut off, and comes in again with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_validator_is_cut_off() {
    let town = Town::new(3).await;
    town.connected(2).await;
    town.validators(&set(&[0, 1]));
    let gone = async {
        while town.houses[0].peers.connected() > 1 || town.houses[1].peers.connected() > 1 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(LONG, gone).await.expect("the third is cut off");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(town.houses[0].peers.connected(), 1, "it does not come back");
    town.validators(&set(&[0, 1, 2]));
    town.connected(2).await;
}

//! A validator that sends more than anybody takes, or more than it may. A is played by the test, and
//! has proven its key; what it floods is B.

use std::time::Duration;

use bytes::Bytes;
use quittance_rpc::peers::{Arrived, Frames, MAX_FRAME_BYTES, MAX_URGENT_FRAME_BYTES, Priority};
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use crate::strangers::{Caller, LAST_PIECE, PIECE, URGENT, town};
use crate::town::{LONG, Town, id};

/// What sockets and TLS hold on the way, at most.
const ON_THE_WAY: usize = 24 << 20;

/// What may wait of one peer, by the page on limits.
const UNTAKEN: usize = 40 << 20;

const PIECE_BYTES: usize = 64 << 10;

/// B's and C's houses, as A is gone.
const B: u8 = 0;
const C: usize = 1;

/// What A's connection brings to B. That of the real A, which is gone, has ended or will.
async fn frames_of_a(town: &mut Town) -> Frames {
    let house = &mut town.houses[usize::from(B)];
    loop {
        let arrived = timeout(LONG, house.arrivals.recv()).await.unwrap().unwrap();
        let Arrived { name, mut frames } = arrived;
        if name.institution != id(0) {
            house.frames.insert(name.institution, frames);
        } else if timeout(Duration::from_secs(1), frames.recv()).await.is_err() {
            return frames;
        }
    }
}

/// Sends frames of this length until B reads no more; how many bytes went.
async fn flood(caller: &mut Caller, length: usize) -> usize {
    let mut sent = 0;
    // Whoever takes all of this has no bound.
    while sent < 4 * UNTAKEN {
        let left = length - sent % length;
        let (kind, bytes) = match left <= PIECE_BYTES {
            true => (LAST_PIECE, left),
            false => (PIECE, PIECE_BYTES),
        };
        let unit = [&[kind], &(bytes as u32).to_be_bytes()[..], &vec![7; bytes]].concat();
        match timeout(Duration::from_secs(5), caller.stream.write_all(&unit)).await {
            Ok(written) => written.unwrap(),
            Err(_) => break,
        }
        sent += bytes;
    }
    sent
}

/// What C sends comes to B.
async fn others_are_heard(town: &mut Town) {
    let frame = Bytes::from_static(b"vote");
    town.houses[C].peers.broadcast(frame.clone(), Priority::Urgent);
    assert_eq!(town.next(B, 2).await, frame);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_that_nobody_takes_are_bounded_by_their_bytes() {
    let mut town = town().await;
    for length in [MAX_FRAME_BYTES, 1 << 20] {
        let mut caller = Caller::accepted(&town).await;
        let mut untaken = frames_of_a(&mut town).await;
        let sent = flood(&mut caller, length).await;
        assert!(sent < UNTAKEN + ON_THE_WAY, "{sent} bytes in frames of {length}");
        others_are_heard(&mut town).await;
        // Nothing is lost of what has come, and more comes. A's end of TLS still holds the last of it.
        let taking = async {
            for _ in 0..sent / length {
                let frame = timeout(LONG, untaken.recv()).await.unwrap();
                assert_eq!(frame.map(|frame| frame.len()), Some(length));
            }
        };
        let (flushed, ()) = tokio::join!(caller.stream.flush(), taking);
        flushed.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_urgent_frame_is_small() {
    let mut town = town().await;
    let mut caller = Caller::accepted(&town).await;
    let mut frames = frames_of_a(&mut town).await;
    caller.write(URGENT, &vec![7; MAX_URGENT_FRAME_BYTES]).await;
    let longest = timeout(LONG, frames.recv()).await.unwrap();
    assert_eq!(longest.map(|frame| frame.len()), Some(MAX_URGENT_FRAME_BYTES));
    caller.write(URGENT, &vec![7; MAX_URGENT_FRAME_BYTES + 1]).await;
    assert_eq!(timeout(LONG, frames.recv()).await.unwrap(), None, "the connection has ended");
    others_are_heard(&mut town).await;
}

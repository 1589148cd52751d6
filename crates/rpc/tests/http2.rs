//! Attacks on HTTP/2 below gRPC, by an institution with a valid certificate. Frames are made by
//! hand (RFC 9113). While each attack runs, another institution must be served.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::time::{Duration, Instant};

use common::raw::*;
use common::*;
use quittance_rpc::limits::Limits;

/// Runs `attack` while an honest institution calls; its slowest call, and the attack's outcome.
async fn under_attack(
    network: &Network,
    batches: impl Iterator<Item = Vec<u8>> + Send + 'static,
    within: Duration,
) -> Outcome {
    let mut honest = network.node("BANKDEFF");
    honest.submit(submit(1)).await.unwrap();
    let before = resident();
    let attacker = attacker(network).await;
    let attack = tokio::spawn(attacker.send(batches, within));
    let mut slowest = Duration::ZERO;
    let mut calls = 0;
    while !attack.is_finished() || calls < 3 {
        let begin = Instant::now();
        honest.submit(submit(1000)).await.unwrap();
        slowest = slowest.max(begin.elapsed());
        calls += 1;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let outcome = attack.await.unwrap();
    assert!(slowest < Duration::from_secs(1), "an honest call took {slowest:?}");
    let grown = resident().saturating_sub(before);
    assert!(grown < 64 << 20, "memory grew by {grown} bytes");
    outcome
}

/// Resident memory of this process, which holds server, attacker and honest client.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = status.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok());
    pages.unwrap_or(0) * 4096
}

fn stream_ids() -> impl Iterator<Item = u32> {
    (0..).map(|index| 2 * index + 1)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rapid_resets_end_the_connection_or_cost_nothing() {
    let network = Network::with(|_| ()).await;
    let headers = call(SUBMIT);
    let resets = stream_ids().take(50_000).map(move |stream| {
        let open = frame(HEADERS, END_HEADERS, stream, &headers);
        [open, frame(RST_STREAM, 0, stream, &8u32.to_be_bytes())].concat()
    });
    let outcome = under_attack(&network, resets, Duration::from_secs(4)).await;
    assert!(outcome.closed && outcome.kinds().contains(&GOAWAY), "{:?}", outcome.sent);
    assert!(outcome.sent < 50_000, "all were swallowed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endless_continuations_end_the_connection() {
    let network = Network::with(|_| ()).await;
    let first = frame(HEADERS, 0, 1, &call(SUBMIT));
    let filler = field("x-filler", &"a".repeat(100)).repeat(100);
    let more = std::iter::repeat_n(frame(CONTINUATION, 0, 1, &filler), 20_000);
    let outcome =
        under_attack(&network, std::iter::once(first).chain(more), Duration::from_secs(4)).await;
    assert!(outcome.closed, "after {} frames", outcome.sent);
    assert!(outcome.sent < 1000, "{} frames were swallowed", outcome.sent);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endless_empty_frames_end_the_connection() {
    let network = Network::with(|_| ()).await;
    let first = frame(HEADERS, END_HEADERS, 1, &call(SUBMIT));
    let empty = std::iter::repeat_n(frame(DATA, 0, 1, &[]).repeat(10), 50_000);
    let outcome =
        under_attack(&network, std::iter::once(first).chain(empty), Duration::from_secs(4)).await;
    assert!(outcome.closed && outcome.kinds().contains(&GOAWAY), "{:?}", outcome.kinds());
    assert!(outcome.sent < 5_000, "{} batches were swallowed", outcome.sent);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endless_tiny_frames_end_with_the_time_for_the_body() {
    let limits = Limits { body_time: Duration::from_millis(500), ..Limits::default() };
    let network = Network::start(limits, Fake::default()).await;
    let first = frame(HEADERS, END_HEADERS, 1, &call(SUBMIT));
    // A message of 1 MiB is promised, and arrives byte by byte: never silent, never done.
    let prefix = frame(DATA, 0, 1, &[0, 0, 16, 0, 0]);
    let bytes = std::iter::from_fn(|| {
        std::thread::sleep(Duration::from_millis(2));
        Some(frame(DATA, 0, 1, &[1]))
    });
    let batches = [first, prefix].into_iter().chain(bytes.take(600));
    let outcome = under_attack(&network, batches, Duration::from_secs(2)).await;
    assert!(outcome.kinds().contains(&HEADERS), "no answer: {:?}", outcome.kinds());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_body_is_given_up() {
    let limits = Limits { body_time: Duration::from_millis(500), ..Limits::default() };
    let network = Network::start(limits, Fake::default()).await;
    let first = frame(HEADERS, END_HEADERS, 1, &call(SUBMIT));
    // The prefix of a message of 1000 bytes, and then one byte of it.
    let data = frame(DATA, 0, 1, &[0, 0, 0, 3, 232, 1]);
    let begin = Instant::now();
    let batches = [first, data].into_iter();
    let outcome = under_attack(&network, batches, Duration::from_millis(1500)).await;
    assert!(begin.elapsed() >= Duration::from_millis(500));
    // grpc-status 4 is DEADLINE_EXCEEDED; HPACK may have it Huffman-coded, so look at the frames.
    let kinds = outcome.kinds();
    assert!(kinds.contains(&HEADERS), "no answer: {kinds:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_streams_than_allowed_are_refused() {
    let network = Network::start(
        Limits { streams: 4, ..Limits::default() },
        Fake { delay: Duration::from_millis(5), ..Fake::default() },
    )
    .await;
    // 64 calls that never end their bodies.
    let headers = call(SUBMIT);
    let open = stream_ids().take(64).map(move |id| frame(HEADERS, END_HEADERS, id, &headers));
    let outcome = under_attack(&network, open, Duration::from_millis(800)).await;
    let refused = outcome.kinds().iter().filter(|kind| **kind == RST_STREAM).count();
    assert!(refused >= 60 || outcome.closed, "{:?}", outcome.kinds());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floods_of_pings_and_settings_cost_little() {
    let network = Network::with(|_| ()).await;
    // The attacker reads nothing of the answers here that it could not read: they are counted.
    let flood = [frame(PING, 0, 0, &[0; 8]), frame(SETTINGS, 0, 0, &[])].concat().repeat(50);
    let flood = std::iter::repeat_n(flood, 2000);
    let outcome = under_attack(&network, flood, Duration::from_secs(3)).await;
    assert!(outcome.sent > 0);
}

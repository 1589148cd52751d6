//! Connections that stand and carry nothing.

use std::time::{Duration, Instant};

use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::Encode;
use quittance_rpc::frames::{Failure, Word};
use quittance_rpc::limits::Limits;
use tokio::io::AsyncWriteExt;
use tokio::time::{sleep, timeout};

use crate::committee::*;

fn short() -> Limits {
    let (body_time, keepalive) = (Duration::from_millis(300), Duration::from_millis(400));
    Limits {
        body_time,
        keepalive_interval: keepalive,
        keepalive_time: keepalive,
        ..Limits::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_a_frame_is_not_waited_for() {
    let limits = Limits { keepalive_interval: LONG, ..short() };
    let mut committee = Committee::bind_with(limits).await;
    let _parties = committee.run(1);
    let bytes = frame(Digest([1; 32]), 3, 0, 100).to_bytes();
    // A piece of its length, its length alone, and half of all.
    let whole = [&(bytes.len() as u32).to_be_bytes()[..], &bytes].concat();
    for sent in [2, 4, whole.len() / 2] {
        let mut to = committee.stream(party_of(NAMES[2]), NAMES[0]).await.unwrap();
        to.0.write_all(&whole[..sent]).await.unwrap();
        to.0.flush().await.unwrap();
        let word = timeout(Duration::from_secs(3), to.word()).await.unwrap();
        assert_eq!(word, Some(Word::Slow), "{sent} bytes of it");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_never_asks_for_a_sign_of_life_is_cut_off_and_who_does_is_not() {
    let mut committee = Committee::bind_with(short()).await;
    let _parties = committee.run(1);
    let mut silent = committee.stream(party_of(NAMES[2]), NAMES[0]).await.unwrap();
    let mut lively = committee.stream(party_of(NAMES[1]), NAMES[0]).await.unwrap();
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(1500) {
        lively.0.write_all(&[0; 4]).await.unwrap();
        lively.0.flush().await.unwrap();
        assert_eq!(lively.word().await, Some(Word::Here));
        sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(timeout(Duration::from_secs(1), silent.word()).await.unwrap(), Some(Word::Slow));
}

/// Our own side asks: a session that waits for long does not lose its connections.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_waits_keeps_its_connections() {
    let mut committee = Committee::bind_with(short()).await;
    let parties = committee.run(3);
    let first = start(&parties[0], 1, [1, 2], LONG);
    let second = start(&parties[1], 1, [1, 2], LONG);
    sleep(Duration::from_secs(2)).await;
    let third = start(&parties[2], 1, [1, 2], LONG);
    for run in [first, second, third] {
        assert_eq!(run.await.unwrap().unwrap().0, expected([1, 2]));
    }
}

/// It says that it is there, and nothing ever after: it does not even read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_stops_reading_is_noticed_and_named() {
    let mut committee = Committee::bind_with(short()).await;
    let (_, bound, mut connections) = committee.bound.pop().unwrap();
    tokio::spawn(bound.serve(std::future::pending()));
    let deaf = tokio::spawn(async move {
        let mut held = vec![];
        while let Some(mut connection) = connections.next().await {
            connection.write_all(&[Word::Here as u8]).await.unwrap();
            connection.flush().await.unwrap();
            held.push(connection);
        }
    });
    let parties = committee.run(2);
    let runs: Vec<_> = parties.iter().map(|party| start(party, 1, [1, 2], LONG)).collect();
    for run in runs {
        let failure = timeout(Duration::from_secs(10), run).await.unwrap().unwrap().unwrap_err();
        let Failure::Disconnected { peer, reason } = failure else { panic!("{failure}") };
        assert_eq!(peer, id(NAMES[2]));
        assert!(reason.contains("no sign of life"), "{reason}");
    }
    deaf.abort();
}

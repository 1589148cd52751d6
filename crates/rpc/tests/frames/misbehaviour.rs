//! A party that sends what it should not.

use std::time::Duration;

use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::Encode;
use quittance_mpc::session::{Frame, MAX_FRAME_BYTES, Progress};
use quittance_rpc::client::ConnectError;
use quittance_rpc::frames::{Failure, Word};
use tokio::io::AsyncWriteExt;
use tokio::time::{sleep, timeout};

use crate::committee::*;
use crate::common::agent;

/// What does not belong where `frame` does: of another session, in another's name, for another
/// party, too far ahead.
fn wrong(frame: &Frame) -> [Frame; 4] {
    let exchange = frame.exchange;
    let foreign = Frame { session: Digest([exchange as u8; 32]), ..frame.clone() };
    let anothers = Frame { from: 3 - frame.to, ..frame.clone() };
    let astray = Frame { to: 3 - frame.to, ..frame.clone() };
    [foreign, anothers, astray, Frame { exchange: exchange + 2, ..frame.clone() }]
}

/// Frames that are replayed, foreign, in another's name, astray or ahead do not disturb anybody. The
/// third party is this test: it sends them around its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_that_do_not_belong_are_refused_and_change_nothing() {
    let mut committee = Committee::bind().await;
    let (parties, mut arriving) = committee.run_two();
    let runs: Vec<_> = parties.iter().map(|party| start(party, 1, [6, 7], LONG)).collect();
    let mut to_first = committee.stream(party_of(NAMES[2]), NAMES[0]).await.unwrap();
    let mut to_second = committee.stream(party_of(NAMES[2]), NAMES[1]).await.unwrap();
    let mut third = machine(&binding(1), 2, [6, 7]);
    let outputs = loop {
        let poll = third.poll();
        for frame in poll.outgoing {
            let to = if frame.to == 1 { &mut to_first } else { &mut to_second };
            // A session puts up with some of it, not with any number.
            let injected = if frame.exchange < 8 { wrong(&frame).to_vec() } else { vec![] };
            let replayed = (frame.exchange < 8).then(|| frame.clone());
            for frame in injected.into_iter().chain([frame]).chain(replayed) {
                to.send(&frame).await;
            }
        }
        match poll.progress {
            Progress::Done(outputs) => break outputs,
            Progress::Waiting(_) => {
                let frame = timeout(LONG, arriving.recv()).await.unwrap().unwrap();
                third.deliver(frame.from, frame).unwrap();
            }
            Progress::Aborted(abort) => panic!("{abort}"),
        }
    };
    assert_eq!(outputs, expected([6, 7]));
    for run in runs {
        assert_eq!(run.await.unwrap().unwrap().0, expected([6, 7]));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_goes_on_with_it_ends_the_session_and_is_named() {
    let mut committee = Committee::bind().await;
    let (parties, _arriving) = committee.run_two();
    let run = start(&parties[0], 1, [6, 7], LONG);
    let mut to_first = committee.stream(party_of(NAMES[2]), NAMES[0]).await.unwrap();
    let commit = machine(&binding(1), 2, [6, 7]).poll().outgoing.remove(0);
    for _ in 0..80 {
        // It is cut off some time.
        drop(to_first.send_bytes(&commit.to_bytes()).await);
    }
    let failure = timeout(LONG, run).await.unwrap().unwrap().unwrap_err();
    assert_eq!(failure, Failure::Flooded { peer: id(NAMES[2]) });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_that_are_no_frame_end_the_stream_and_the_session() {
    let mut committee = Committee::bind().await;
    let (parties, _arriving) = committee.run_two();
    let run = start(&parties[0], 1, [6, 7], LONG);
    // It goes as far as the third party's second message.
    let _second = start(&parties[1], 1, [6, 7], LONG);
    let mut to_first = committee.stream(party_of(NAMES[2]), NAMES[0]).await.unwrap();
    let commit = machine(&binding(1), 2, [6, 7]).poll().outgoing.remove(0);
    to_first.send(&commit).await;
    sleep(Duration::from_millis(200)).await;
    assert!(!run.is_finished());
    to_first.send_bytes(&[1, 2, 3]).await.unwrap();
    assert_eq!(to_first.word().await, Some(Word::Malformed));
    let failure = run.await.unwrap().unwrap_err();
    assert!(matches!(failure, Failure::Disconnected { peer, .. } if peer == id(NAMES[2])));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_and_processes_of_other_kinds_cannot_send_frames() {
    let mut committee = Committee::bind().await;
    let _parties = committee.run(1);
    for stranger in [party_of("MPCDZZ01"), agent("BANKDEFF"), agent(NAMES[1])] {
        let error = committee.stream(stranger, NAMES[0]).await.err().unwrap();
        assert!(matches!(error, ConnectError::NoFrames { .. }), "{error}");
        assert!(error.to_string().contains("we are in no committee with it"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn oversized_frames_and_floods_end_their_connection() {
    let mut committee = Committee::bind().await;
    let _parties = committee.run(1);
    let bytes = frame(Digest([1; 32]), 3, 0, (1 << 20) + 1).to_bytes();
    let mut to = committee.stream(party_of(NAMES[2]), NAMES[0]).await.unwrap();
    drop(to.send_bytes(&bytes).await);
    assert_eq!(to.word().await, Some(Word::Malformed));

    // The length alone is enough: nobody waits for the rest, or makes room for it.
    let mut to = committee.stream(party_of(NAMES[2]), NAMES[0]).await.unwrap();
    to.0.write_all(&(MAX_FRAME_BYTES as u32 + 1).to_be_bytes()).await.unwrap();
    to.0.flush().await.unwrap();
    let word = timeout(Duration::from_secs(5), to.word()).await.unwrap();
    assert_eq!(word, Some(Word::Malformed));

    // Frames of sessions that never begin are kept up to a bound, then refused, then enough.
    let mut to = committee.stream(party_of(NAMES[2]), NAMES[0]).await.unwrap();
    for number in 0..200 {
        let frame = frame(Digest([number; 32]), 3, 0, 1);
        if to.send_bytes(&frame.to_bytes()).await.is_err() {
            break;
        }
    }
    assert_eq!(to.word().await, Some(Word::Refused));
}

/// An honest party's frames may come too late: many of them in a long time, few beside the others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_that_are_taken_make_up_for_refused_ones() {
    let mut committee = Committee::bind().await;
    let _parties = committee.run(1);
    let mut to = committee.stream(party_of(NAMES[2]), NAMES[0]).await.unwrap();
    let early = |number: u8| frame(Digest([number; 32]), 3, 0, 1);
    // As many sessions as may wait for their beginning; another one's frames are refused.
    for number in 0..16 {
        to.send(&early(number)).await;
    }
    for (frame, times) in [(early(99), 60), (early(0), 48), (early(99), 50)] {
        for _ in 0..times {
            to.send(&frame).await;
        }
    }
    to.0.write_all(&[0; 4]).await.unwrap();
    to.0.flush().await.unwrap();
    assert_eq!(to.word().await, Some(Word::Here), "62 too many are put up with");
    for _ in 0..3 {
        to.send(&early(99)).await;
    }
    assert_eq!(to.word().await, Some(Word::Refused), "65 are not");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_connection_replaces_the_first() {
    let mut committee = Committee::bind().await;
    let _parties = committee.run(1);
    let mut first = committee.stream(party_of(NAMES[1]), NAMES[0]).await.unwrap();
    let mut later = committee.stream(party_of(NAMES[1]), NAMES[0]).await.unwrap();
    assert_eq!(first.word().await, Some(Word::Replaced));
    assert_eq!(first.word().await, None);
    // The later one goes on, and answers.
    later.0.write_all(&[0; 4]).await.unwrap();
    later.0.flush().await.unwrap();
    assert_eq!(later.word().await, Some(Word::Here));
}

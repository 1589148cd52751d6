//! A party that sends what it should not.

use std::time::Duration;

use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::Encode;
use quittance_mpc::session::{Frame, Progress};
use quittance_rpc::frames::Failure;
use quittance_rpc::proto::party::v1 as proto;
use tokio::time::{sleep, timeout};
use tonic::Code;

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
    let (to_first, _answers) = committee.stream(party_of(NAMES[2]), NAMES[0]).await.unwrap();
    let (to_second, _others) = committee.stream(party_of(NAMES[2]), NAMES[1]).await.unwrap();
    let mut third = machine(&binding(1), 2, [6, 7]);
    let outputs = loop {
        let poll = third.poll();
        for frame in poll.outgoing {
            let to = if frame.to == 1 { &to_first } else { &to_second };
            // A session puts up with some of it, not with any number.
            let injected = if frame.exchange < 8 { wrong(&frame).to_vec() } else { vec![] };
            let replayed = (frame.exchange < 8).then(|| frame.clone());
            for frame in injected.into_iter().chain([frame]).chain(replayed) {
                to.send(request(&frame)).await.unwrap();
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
    let (to_first, _answers) = committee.stream(party_of(NAMES[2]), NAMES[0]).await.unwrap();
    let commit = machine(&binding(1), 2, [6, 7]).poll().outgoing.remove(0);
    for _ in 0..80 {
        to_first.send(request(&commit)).await.unwrap();
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
    let (to_first, mut answers) = committee.stream(party_of(NAMES[2]), NAMES[0]).await.unwrap();
    let commit = machine(&binding(1), 2, [6, 7]).poll().outgoing.remove(0);
    to_first.send(request(&commit)).await.unwrap();
    sleep(Duration::from_millis(200)).await;
    assert!(!run.is_finished());
    to_first.send(proto::FramesRequest { frame: vec![1, 2, 3] }).await.unwrap();
    let status = answers.message().await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    let failure = run.await.unwrap().unwrap_err();
    assert!(matches!(failure, Failure::Disconnected { peer, .. } if peer == id(NAMES[2])));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_and_processes_of_other_kinds_cannot_send_frames() {
    let mut committee = Committee::bind().await;
    let _parties = committee.run(1);
    for stranger in [party_of("MPCDZZ01"), agent("BANKDEFF"), agent(NAMES[1])] {
        let status = committee.stream(stranger, NAMES[0]).await.unwrap_err();
        assert_eq!(status.code(), Code::PermissionDenied, "{status}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn oversized_frames_and_floods_end_their_stream() {
    let mut committee = Committee::bind().await;
    let _parties = committee.run(1);
    let status = |frame: Vec<u8>| async {
        let (to, mut answers) = committee.stream(party_of(NAMES[2]), NAMES[0]).await.unwrap();
        to.send(proto::FramesRequest { frame }).await.unwrap();
        answers.message().await.unwrap_err()
    };
    let of = |payload| frame(Digest([1; 32]), 3, 0, payload).to_bytes();
    // More than a frame may have, but less than a message; and more than a message.
    assert_eq!(status(of((1 << 20) + 1)).await.code(), Code::InvalidArgument);
    assert_eq!(status(of(17 << 20)).await.code(), Code::OutOfRange);

    // Frames of sessions that never begin are kept up to a bound, then refused, then enough.
    let (to, mut answers) = committee.stream(party_of(NAMES[2]), NAMES[0]).await.unwrap();
    tokio::spawn(async move {
        for number in 0..200 {
            let frame = frame(Digest([number; 32]), 3, 0, 1);
            if to.send(request(&frame)).await.is_err() {
                break;
            }
        }
        sleep(LONG).await;
    });
    let status = timeout(LONG, answers.message()).await.unwrap().unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_stream_replaces_the_first() {
    let mut committee = Committee::bind().await;
    let _parties = committee.run(1);
    let (_to, mut answers) = committee.stream(party_of(NAMES[1]), NAMES[0]).await.unwrap();
    let (_to, mut later) = committee.stream(party_of(NAMES[1]), NAMES[0]).await.unwrap();
    assert_eq!(answers.message().await.unwrap_err().code(), Code::Aborted);
    let silent = timeout(Duration::from_millis(200), later.message()).await;
    assert!(silent.is_err(), "the later stream goes on");
}

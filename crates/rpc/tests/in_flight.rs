//! What the calls of one institution may have in flight.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::time::{Duration, Instant};

use common::raw::{DATA, END_HEADERS, HEADERS, frame};
use common::*;
use quittance_rpc::limits::{self, Limits};
use quittance_rpc::proto::node::v1 as node;
use quittance_rpc::pushback::TRAILER;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_stream::StreamExt;
use tonic::transport::Channel;
use tonic::{Code, Response, Status};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
/// A `Submit` of which nothing has come: a step of its request, and its response.
const FIRST: u64 = 128 * KIB as u64;

/// A `Submit` that is still under way when others come and are answered, on a busy machine.
const LONG: Duration = Duration::from_secs(4);
/// Until calls have come in.
const A_WHILE: Duration = Duration::from_secs(1);

type Node = node::node_client::NodeClient<Channel>;
type Call = JoinHandle<Result<Response<node::SubmitResponse>, Status>>;

/// A node that takes `delay` for a `Submit`, and so many bytes of each institution.
async fn network(delay: Duration, bytes_in_flight: u64) -> Network {
    let limits = Limits { bytes_in_flight, ..Limits::default() };
    Network::start(limits, Fake { delay, ..Fake::default() }).await
}

fn call(node: &Node, bytes: usize) -> Call {
    let mut node = node.clone();
    tokio::spawn(async move { node.submit(submit(bytes)).await })
}

/// That there is no room for BANKDEFF, and when to come again.
fn assert_refused(status: &Status) {
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
    assert!(status.message().contains("BANKDEFF has too many calls in flight"), "{status}");
    let pause = status.metadata().get(TRAILER).expect("a pause").to_str().unwrap();
    assert!(pause.parse::<u64>().is_ok_and(|pause| pause > 0), "{pause}");
}

#[tokio::test]
async fn calls_of_one_institution_are_bounded_in_bytes() {
    let network = network(A_WHILE, 2 * FIRST).await;
    let mut node = network.node("BANKDEFF");
    let calls: Vec<_> = (0..4).map(|_| call(&node, 1)).collect();
    let other = call(&network.node("BANKFRPP"), 1);
    let mut refused = Vec::new();
    for call in calls {
        refused.extend(call.await.unwrap().err());
    }
    assert_eq!(refused.len(), 2);
    refused.iter().for_each(assert_refused);
    assert!(other.await.unwrap().is_ok(), "another institution is not affected");
    // What was booked has come back.
    for _ in 0..3 {
        assert!(node.submit(submit(1)).await.is_ok());
    }
}

/// A small transaction does not take the place of the largest.
#[tokio::test]
async fn what_does_not_come_is_not_booked() {
    let one = limits::of_path("/quittance.node.v1.Node/Submit");
    let both = (one.request + one.response) as u64;
    let network = network(Duration::from_millis(300), both).await;
    let node = network.node("BANKDEFF");
    let calls: Vec<_> = (0..both / FIRST).map(|_| call(&node, 1)).collect();
    assert!(calls.len() >= 8);
    for call in calls {
        assert!(call.await.unwrap().is_ok());
    }
}

/// What is promised is allocated: a byte of a megabyte counts as the megabyte.
#[tokio::test]
async fn what_is_promised_is_booked() {
    let one = limits::of_path(SUBMIT);
    let both = (one.request + one.response) as u64;
    let network = network(Duration::ZERO, 4 * both).await;
    let calls = (0..10).map(|number| {
        let (stream, promise) = (2 * number + 1, [0, 0, 16, 0, 0, 1]);
        [frame(HEADERS, END_HEADERS, stream, &raw::call(SUBMIT)), frame(DATA, 0, stream, &promise)]
            .concat()
    });
    let outcome = attacker(&network).await.send(calls, A_WHILE).await;
    let answered = outcome.kinds().iter().filter(|kind| **kind == HEADERS).count();
    assert_eq!(answered, 6, "four wait for the rest: {:?}", outcome.kinds());
}

#[tokio::test]
async fn a_request_that_outgrows_the_room_is_given_up() {
    // Room for seven more steps.
    let network = network(Duration::ZERO, FIRST + 7 * 64 * KIB as u64).await;
    let mut node = network.node("BANKDEFF");
    // Twice, since what was booked comes back.
    for _ in 0..2 {
        assert_refused(&node.submit(submit(MIB)).await.unwrap_err());
        assert_refused(&node.submit(submit(512 * KIB + 1)).await.unwrap_err());
        let fits = node.submit(submit(512 * KIB - 16)).await.unwrap().into_inner();
        assert_eq!(fits.transaction_id, (512 * KIB as u64 - 16).to_be_bytes());
    }
}

/// The whole of a largest request fits its method's limit, not a step above it.
#[tokio::test]
async fn no_more_is_booked_than_the_methods_limit() {
    let one = limits::of_path("/quittance.node.v1.Node/Submit");
    let network = network(Duration::ZERO, (one.request + one.response) as u64).await;
    assert!(network.node("BANKDEFF").submit(submit(one.request - 16)).await.is_ok());
}

/// The handler has the request until it has answered.
#[tokio::test]
async fn what_has_come_is_booked_until_the_answer() {
    let network = network(LONG, FIRST + MIB as u64).await;
    let mut node = network.node("BANKDEFF");
    let begin = Instant::now();
    let first = call(&node, 600 * KIB);
    sleep(A_WHILE).await;
    let second = node.submit(submit(600 * KIB)).await.unwrap_err();
    assert!(begin.elapsed() < LONG, "the first one has ended");
    assert_refused(&second);
    assert!(first.await.unwrap().is_ok());
    assert!(node.submit(submit(600 * KIB)).await.is_ok());
}

/// All bytes of an institution are in use: it may ask all the same, within a bound.
#[tokio::test]
async fn small_calls_have_room_of_their_own() {
    let limits = Limits { bytes_in_flight: 2 * FIRST, bytes_reserved: FIRST, ..Limits::default() };
    let network = Network::start(limits, Fake { delay: LONG, ..Fake::default() }).await;
    let mut node = network.node("BANKDEFF");
    let full: Vec<_> = (0..2).map(|_| call(&node, 1)).collect();
    sleep(A_WHILE).await;
    assert_refused(&node.submit(submit(1)).await.unwrap_err());
    let question = node::TransactionStatusRequest { transaction_id: Vec::new(), wait_ms: 2_000 };
    let asked = tokio::spawn({
        let (mut node, question) = (node.clone(), question.clone());
        async move { node.transaction_status(question).await }
    });
    sleep(A_WHILE / 2).await;
    assert_refused(&node.transaction_status(question.clone()).await.unwrap_err());
    assert!(asked.await.unwrap().is_ok(), "answered from what is reserved");
    for call in full {
        assert!(call.await.unwrap().is_ok(), "and they were under way all the time");
    }
    assert!(node.transaction_status(question).await.is_ok());
}

#[tokio::test]
async fn open_streams_count_until_they_end() {
    let one = limits::of_path("/quittance.node.v1.Node/Blocks");
    let both = (one.request + one.response) as u64;
    let network = Network::with(|limits| limits.bytes_in_flight = both).await;
    let mut node = network.node("BANKDEFF");
    let request = node::BlocksRequest { from_height: 1, to_height: 0 };
    let mut stream = node.blocks(request).await.unwrap().into_inner();
    assert!(stream.next().await.unwrap().is_ok());
    let status = node.blocks(request).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    drop(stream);
    sleep(Duration::from_millis(100)).await;
    assert!(node.blocks(request).await.is_ok());
}

//! Each limit, reached and exceeded.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::time::{Duration, Instant};

use common::raw::{Attacker, foreign_client};
use common::*;
use quittance_rpc::client::{ConnectError, Dialer};
use quittance_rpc::limits::Limits;
use quittance_rpc::proto::coordinator::v1 as coordinator;
use quittance_rpc::proto::node::v1 as node;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_stream::StreamExt;
use tonic::Code;
use tonic::transport::Channel;

const MIB: usize = 1 << 20;

/// A client without limits of its own, to send what ours would not.
async fn unbounded<C>(network: &Network, make: impl Fn(Channel) -> C) -> C {
    make(network.dialer(agent("BANKDEFF")).connect(network.target()).await.unwrap())
}

fn without_limit(channel: Channel) -> node::node_client::NodeClient<Channel> {
    node::node_client::NodeClient::new(channel).max_decoding_message_size(usize::MAX)
}

#[tokio::test]
async fn a_request_above_its_methods_limit_is_refused_by_name() {
    let network = Network::with(|_| ()).await;
    let mut node = unbounded(&network, without_limit).await;
    assert!(node.submit(submit(MIB)).await.is_ok());

    let status = node.submit(submit(MIB + 8 * 1024)).await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange, "{status}");
    assert!(status.message().contains("1052672"), "names the limit: {status}");

    // The service's codec would take this; the method does not.
    let account =
        node::AccountRequest { institution: "x".repeat(100 * 1024), asset: String::new() };
    let status = node.account(account).await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange, "{status}");
    assert!(status.message().contains("the limit of 65536 bytes"), "{status}");
    // The connection lives on.
    assert!(node.submit(submit(1)).await.is_ok());
}

#[tokio::test]
async fn a_message_of_a_stream_is_bounded_and_the_stream_is_not() {
    let network = Network::with(|_| ()).await;
    let make = coordinator::coordinator_client::CoordinatorClient::new;
    let mut client = unbounded(&network, make).await;
    let message = |bytes| coordinator::AttendRequest { message: vec![0; bytes] };

    // Three times the limit in all.
    let messages = tokio_stream::iter((0..6).map(move |_| message(MIB / 2)));
    let answers = client.attend(messages).await.unwrap().into_inner();
    assert_eq!(answers.filter(Result::is_ok).fold(0, |count, _| count + 1).await, 6);

    let too_large = tokio_stream::once(message(MIB + 5000));
    let mut answers = client.attend(too_large).await.unwrap().into_inner();
    let status = answers.next().await.unwrap().unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange, "{status}");
}

#[tokio::test]
async fn a_response_above_the_services_limit_is_an_error_not_a_flood() {
    let network = Network::with(|_| ()).await;
    let mut node = unbounded(&network, without_limit).await;
    let request = node::BlocksRequest { from_height: 34 * MIB as u64, to_height: 0 };
    let mut blocks = node.blocks(request).await.unwrap().into_inner();
    let status = blocks.next().await.unwrap().unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange, "{status}");
}

#[tokio::test]
async fn an_institution_has_so_many_connections_and_takes_none_of_others() {
    let network = Network::with(|limits| {
        limits.connections_per_institution = 2;
        limits.penalty_time = Duration::ZERO;
    })
    .await;
    let dialer = network.dialer(agent("BANKDEFF"));
    let first = dialer.connect(network.target()).await.unwrap();
    let _second = dialer.connect(network.target()).await.unwrap();
    let error = dialer.connect(network.target()).await.unwrap_err();
    assert!(matches!(error, ConnectError::Closed { .. }), "{error}");
    let other = network.dialer(agent("BANKFRPP")).connect(network.target()).await;
    assert!(other.is_ok());

    drop(first);
    sleep(Duration::from_millis(100)).await;
    assert!(dialer.connect(network.target()).await.is_ok());
}

/// Whoever comes and goes all the time costs us no more than whoever stays.
#[tokio::test]
async fn connections_that_end_at_once_keep_their_places_for_a_while() {
    let network = Network::with(|limits| {
        limits.connections_per_institution = 2;
        limits.penalty_time = Duration::from_secs(600);
    })
    .await;
    let dialer = network.dialer(agent("BANKDEFF"));
    for _ in 0..2 {
        drop(dialer.connect(network.target()).await.unwrap());
    }
    sleep(Duration::from_millis(100)).await;
    let error = dialer.connect(network.target()).await.unwrap_err();
    assert!(matches!(error, ConnectError::Closed { .. }), "{error}");
    let other = network.dialer(agent("BANKFRPP")).connect(network.target()).await;
    assert!(other.is_ok());
}

#[tokio::test]
async fn connections_above_the_total_are_shed() {
    let network = Network::with(|limits| limits.connections = 3).await;
    let mut open = Vec::new();
    for index in 0..3 {
        let dialer = network.dialer(agent(&format!("BANKAA0{index}")));
        open.push(dialer.connect(network.target()).await.unwrap());
    }
    let error = network.dialer(agent("BANKFRPP")).connect(network.target()).await.unwrap_err();
    assert!(matches!(error, ConnectError::Closed { .. }), "{error}");
    // Those that stand are served.
    for channel in open {
        assert!(without_limit(channel).submit(submit(1)).await.is_ok());
    }
}

/// Reads until the server closes; whether it did within `within`.
async fn closed_within(stream: &mut TcpStream, within: Duration) -> bool {
    timeout(within, stream.read_to_end(&mut Vec::new())).await.is_ok()
}

#[tokio::test]
async fn handshakes_are_bounded_in_number_and_time() {
    let network = Network::with(|limits| {
        limits.handshakes_per_address = 2;
        limits.handshake_time = Duration::from_secs(3);
    })
    .await;
    let address = &network.target().address;
    let begin = Instant::now();
    let mut silent = Vec::new();
    for _ in 0..2 {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    sleep(Duration::from_millis(50)).await;
    // A third that says nothing is closed at once, without any handshake.
    let mut third = TcpStream::connect(address).await.unwrap();
    assert!(closed_within(&mut third, Duration::from_secs(2)).await);
    assert!(begin.elapsed() < Duration::from_secs(3));

    for stream in &mut silent {
        assert!(closed_within(stream, Duration::from_secs(10)).await);
    }
    assert!(begin.elapsed() >= Duration::from_millis(2900));
    assert!(network.node("BANKDEFF").submit(submit(1)).await.is_ok());
}

/// Whoever has no certificate is refused by the handshake, and cannot have many of those.
#[tokio::test]
async fn failed_handshakes_keep_their_places_for_a_while() {
    let network = Network::with(|limits| {
        limits.handshakes_per_address = 4;
        // All come from one address here, the strangers as well.
        limits.handshakes_reserved = 0;
        limits.penalty_time = Duration::from_secs(600);
    })
    .await;
    let mut before = network.node("BANKDEFF");
    assert!(before.submit(submit(1)).await.is_ok());
    let groups = vec![rustls::crypto::aws_lc_rs::kx_group::X25519MLKEM768];
    let config = foreign_client(&network.authority, None, groups);
    let mut shaken = 0;
    for _ in 0..32 {
        // TLS 1.3 tells a client afterwards that its certificate is missed: it reads the end.
        let stranger = Attacker::connect(&network.target().address, config.clone()).await;
        if let Ok(stranger) = stranger {
            shaken += 1;
            let outcome = stranger.send(std::iter::empty(), Duration::from_secs(10)).await;
            assert!(outcome.closed && outcome.answers.is_empty());
        }
    }
    assert!(shaken <= 4, "{shaken} handshakes were made");
    let late = network.dialer(agent("BANKFRPP")).connect(network.target()).await;
    assert!(late.is_err(), "all places are taken");
    assert!(before.submit(submit(1)).await.is_ok(), "who is connected is served");
}

/// From its own address: strangers who hold every place do not keep a known institution out.
#[tokio::test]
async fn an_institution_that_was_here_lately_has_places_of_its_own() {
    for reserved in [1, 0] {
        let network = Network::with(|limits| {
            limits.handshakes = 3;
            limits.handshakes_reserved = reserved;
            limits.handshake_time = Duration::from_secs(600);
        })
        .await;
        let (dialer, address) = (network.dialer(agent("BANKDEFF")), &network.target().address);
        drop(dialer.connect(network.target()).await.unwrap());
        let mut silent = Vec::new();
        for last in 1..=3 {
            let socket = tokio::net::TcpSocket::new_v4().unwrap();
            socket.bind(([127, 0, 3, last], 0).into()).unwrap();
            silent.push(socket.connect(address.parse().unwrap()).await.unwrap());
        }
        sleep(Duration::from_millis(50)).await;
        let again = dialer.connect(network.target()).await;
        assert_eq!(again.is_ok(), reserved > 0);
    }
}

#[tokio::test]
async fn a_server_that_says_nothing_does_not_hold_its_callers() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let network = Network::with(|_| ()).await;
    let mut target = network.target().clone();
    target.address = listener.local_addr().unwrap().to_string();
    let handshake_time = Duration::from_millis(200);
    let limits = Limits { handshake_time, ..Limits::default() };
    let dialer = Dialer::new(tls(&network.authority, agent("BANKDEFF")), limits);
    let error = dialer.connect(&target).await.unwrap_err();
    assert_eq!(error, ConnectError::TimedOut { target, after: handshake_time });
}

#[tokio::test]
async fn an_answer_that_takes_too_long_is_given_up() {
    let limits = Limits { request_time: Duration::from_millis(200), ..Limits::default() };
    let network =
        Network::start(limits, Fake { delay: Duration::from_secs(60), ..Fake::default() }).await;
    let begin = Instant::now();
    let status = network.node("BANKDEFF").submit(submit(1)).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
    assert!(status.message().contains("no answer within 200ms"), "{status}");
    assert!(begin.elapsed() < Duration::from_secs(30));
}

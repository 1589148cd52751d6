//! Health, reflection, stopping, and connecting again.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::time::{Duration, Instant};

use common::*;
use quittance_rpc::client::ConnectError;
use quittance_rpc::config::ListenAddress;
use quittance_rpc::identity::Identity;
use quittance_rpc::limits::Limits;
use quittance_rpc::proto::node::v1 as node;
use quittance_rpc::server::Server;
use quittance_rpc::tls::issue::Authority;
use quittance_rpc::tls::trust::Admission;
use tokio::time::sleep;
use tokio_stream::StreamExt;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus};
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

async fn health(network: &Network, service: &str) -> Result<ServingStatus, tonic::Status> {
    let channel = network.dialer(agent("BANKDEFF")).channel(network.target()).unwrap();
    let request = HealthCheckRequest { service: service.to_owned() };
    HealthClient::new(channel).check(request).await.map(|answer| answer.get_ref().status())
}

#[tokio::test]
async fn health_covers_the_server_and_its_services() {
    let authority = Authority::create("test").unwrap();
    let tls = tls(&authority, Identity::Process(the_node()));
    let server = Server::new(Limits::default()).node(Fake::default());
    let bound = server.bind(&tls, &loopback(), Admission::everybody()).await.unwrap();
    let handle = bound.health();
    let network = Network { authority, running: Running::start(bound) };
    for service in ["", "quittance.node.v1.Node"] {
        assert_eq!(health(&network, service).await.unwrap(), ServingStatus::Serving);
    }
    let unknown = health(&network, "quittance.party.v1.Party").await.unwrap_err();
    assert_eq!(unknown.code(), tonic::Code::NotFound);

    handle.set(false).await;
    for service in ["", "quittance.node.v1.Node"] {
        assert_eq!(health(&network, service).await.unwrap(), ServingStatus::NotServing);
    }
}

async fn reflect(network: &Network, request: MessageRequest) -> MessageResponse {
    use tonic_reflection::pb::v1::ServerReflectionRequest;
    let channel = network.dialer(agent("BANKDEFF")).channel(network.target()).unwrap();
    let request = ServerReflectionRequest { host: String::new(), message_request: Some(request) };
    let answers = ServerReflectionClient::new(channel)
        .server_reflection_info(tokio_stream::once(request))
        .await
        .unwrap();
    answers.into_inner().next().await.unwrap().unwrap().message_response.unwrap()
}

#[tokio::test]
async fn reflection_lists_what_the_server_offers_and_describes_it() {
    let network = Network::with(|_| ()).await;
    let answer = reflect(&network, MessageRequest::ListServices(String::new())).await;
    let MessageResponse::ListServicesResponse(list) = answer else { panic!("{answer:?}") };
    let names: Vec<_> = list.service.iter().map(|service| service.name.as_str()).collect();
    for name in ["quittance.node.v1.Node", "quittance.party.v1.Party", "grpc.health.v1.Health"] {
        assert!(names.contains(&name), "{names:?}");
    }
    // Not what other processes offer.
    assert!(!names.iter().any(|name| name.contains("agent")), "{names:?}");

    let symbol = "quittance.node.v1.Node.Submit".to_owned();
    let answer = reflect(&network, MessageRequest::FileContainingSymbol(symbol)).await;
    let MessageResponse::FileDescriptorResponse(files) = answer else { panic!("{answer:?}") };
    let file = &files.file_descriptor_proto[0];
    assert!(file.windows(13).any(|window| window == b"SubmitRequest"));
}

#[tokio::test]
async fn a_call_under_way_is_answered_before_the_end() {
    let fake = Fake { delay: Duration::from_millis(300), ..Fake::default() };
    let network = Network::start(Limits::default(), fake).await;
    let mut node = network.node("BANKDEFF");
    // Connect first, so that the call below is surely under way.
    node.chain_status(node::ChainStatusRequest {}).await.unwrap();
    let call = tokio::spawn(async move { node.submit(submit(3)).await });
    sleep(Duration::from_millis(100)).await;

    let dialer = network.dialer(agent("BANKFRPP"));
    let target = network.target().clone();
    let begin = Instant::now();
    network.running.stop().await;
    assert!(begin.elapsed() < Duration::from_secs(2), "drained early: {:?}", begin.elapsed());
    let answer = call.await.unwrap().unwrap();
    assert_eq!(answer.get_ref().transaction_id, 3u64.to_be_bytes());
    let error = dialer.connect(&target).await.map(|_| ()).unwrap_err();
    assert!(matches!(error, ConnectError::Unreachable { .. }), "{error}");
}

#[tokio::test]
async fn streams_without_end_are_cut_after_the_drain_time() {
    let network = Network::with(|limits| limits.drain_time = Duration::from_millis(300)).await;
    let mut node = network.node("BANKDEFF");
    let request = node::BlocksRequest { from_height: 1, to_height: 0 };
    let mut blocks = node.blocks(request).await.unwrap().into_inner();
    assert!(blocks.next().await.unwrap().is_ok());
    let reader = tokio::spawn(async move {
        while let Some(Ok(_)) = blocks.next().await {}
        Instant::now()
    });
    let begin = Instant::now();
    network.running.stop().await;
    let (stopped, cut) = (begin.elapsed(), reader.await.unwrap() - begin);
    for elapsed in [stopped, cut] {
        assert!(elapsed >= Duration::from_millis(250), "cut early: {elapsed:?}");
        assert!(elapsed < Duration::from_secs(10), "cut late: {elapsed:?}");
    }
}

#[tokio::test]
async fn handlers_learn_that_the_server_is_stopping() {
    let authority = Authority::create("test").unwrap();
    let tls = tls(&authority, Identity::Process(the_node()));
    let server = Server::new(Limits::default()).node(Fake::default());
    let stopping = server.stopping();
    let bound = server.bind(&tls, &loopback(), Admission::everybody()).await.unwrap();
    let running = Running::start(bound);
    sleep(Duration::from_millis(50)).await;
    assert!(!stopping.is_cancelled());
    running.stop().await;
    assert!(stopping.is_cancelled());
}

#[tokio::test]
async fn a_channel_connects_again_when_the_server_is_back() {
    let network = Network::with(|_| ()).await;
    let mut node = network.node("BANKDEFF");
    node.chain_status(node::ChainStatusRequest {}).await.unwrap();
    let socket = network.target().address.parse().unwrap();
    network.running.stop().await;
    let status = node.chain_status(node::ChainStatusRequest {}).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::Unavailable, "{status}");
    assert!(status.message().contains("cannot be reached"), "{status}");

    let tls = tls(&network.authority, Identity::Process(the_node()));
    let server = Server::new(Limits::default()).node(Fake::default());
    let address = ListenAddress { socket, ..loopback() };
    let bound = server.bind(&tls, &address, Admission::everybody()).await.unwrap();
    let _running = Running::start(bound);
    let answer = node.chain_status(node::ChainStatusRequest {}).await.unwrap();
    assert_eq!(answer.get_ref().height, 42);
}

#[tokio::test]
async fn an_address_in_use_is_named() {
    let network = Network::with(|_| ()).await;
    let tls = tls(&network.authority, Identity::Process(the_node()));
    let socket = network.target().address.parse().unwrap();
    let address = ListenAddress { socket, ..loopback() };
    let server = Server::new(Limits::default());
    let error = server.bind(&tls, &address, Admission::everybody()).await.err().unwrap();
    assert!(error.to_string().starts_with(&format!("cannot listen on {socket}: ")), "{error}");
}

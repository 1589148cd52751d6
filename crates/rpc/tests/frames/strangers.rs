//! What is not a connection for frames of a party.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use quittance_rpc::client::{ConnectError, Dialer};
use quittance_rpc::config::Target;
use quittance_rpc::identity::{Identity, Process};
use quittance_rpc::limits::Limits;
use quittance_rpc::tls::issue::Authority;
use rustls::crypto::aws_lc_rs::kx_group::X25519MLKEM768;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::committee::*;
use crate::common::raw::foreign_client;
use crate::common::{Fake, Network, process, tls};

/// All that a server says to a party that asks for these protocols, or the error of the handshake.
async fn said(committee: &Committee, protocols: &[&[u8]]) -> std::io::Result<Vec<u8>> {
    let issued = committee.authority.issue(party_of(NAMES[2]), &[]).unwrap();
    let config = foreign_client(&committee.authority, Some(&issued), vec![X25519MLKEM768]);
    let mut config = Arc::unwrap_or_clone(config);
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    let stream = TcpStream::connect(&committee.targets[&id(NAMES[0])].address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    let mut said = vec![0; 1];
    timeout(Duration::from_secs(5), stream.read_exact(&mut said))
        .await
        .expect("it says or ends")?;
    Ok(said)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_need_their_protocol_by_name() {
    let mut committee = Committee::bind().await;
    let _parties = committee.run(1);
    assert_eq!(said(&committee, &[b"quittance-frames/1"]).await.unwrap(), [1]);
    for none in [&[][..], &[&b"quittance-frames/2"[..]], &[&b"http/1.1"[..]]] {
        assert!(said(&committee, none).await.is_err(), "{none:?}");
    }
    // Who can do both gets gRPC, whose server begins with its settings.
    let both = said(&committee, &[b"quittance-frames/1", b"h2"]).await.unwrap();
    assert_eq!(both, [0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_of_another_kind_takes_no_frames() {
    let network = Network::start(Limits::default(), Fake::default()).await;
    let dialer = network.dialer(party_of(NAMES[0]));
    let error = dialer.frames(network.target()).await.err().unwrap();
    assert!(matches!(error, ConnectError::Refused { .. }), "{error}");
    assert!(error.to_string().contains("does not speak the protocol"), "{error}");
}

/// Somebody who answers in a party's place gets nothing: neither with another's certificate, nor
/// with one of an authority that is not trusted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_go_to_the_named_party_only() {
    let mut committee = Committee::bind().await;
    let _parties = committee.run(3);
    let (first, second) = (id(NAMES[0]), id(NAMES[1]));
    let swapped = Target {
        address: committee.targets[&second].address.clone(),
        identity: process(NAMES[0], Process::Party),
    };
    let error = committee.dialer(NAMES[2]).frames(&swapped).await.err().unwrap();
    assert!(matches!(error, ConnectError::Untrusted { .. }), "{error}");

    let other = Authority::create("other").unwrap();
    let identity = Identity::Process(process(NAMES[2], Process::Party));
    let dialer = Dialer::new(tls(&other, identity), Limits::default());
    let error = dialer.frames(&committee.targets[&first]).await.err().unwrap();
    assert!(matches!(error, ConnectError::Untrusted { .. }), "{error}");
}

/// Passes on one connection, and keeps what the caller has said.
async fn recorder(to: String) -> (String, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let kept = Arc::new(Mutex::new(vec![]));
    let record = Arc::clone(&kept);
    tokio::spawn(async move {
        let (caller, _) = listener.accept().await.unwrap();
        let server = TcpStream::connect(to).await.unwrap();
        let (mut from_caller, mut to_caller) = caller.into_split();
        let (mut from_server, mut to_server) = server.into_split();
        tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_caller).await });
        let mut bytes = [0; 4096];
        while let Ok(length @ 1..) = from_caller.read(&mut bytes).await {
            record.lock().unwrap().extend_from_slice(&bytes[..length]);
            to_server.write_all(&bytes[..length]).await.unwrap();
        }
    });
    (address, kept)
}

/// What a party has sent, sent once more by somebody who has recorded it, is no connection: the
/// handshake is bound to what the server says in it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recorded_connection_cannot_be_replayed() {
    let mut committee = Committee::bind().await;
    let _parties = committee.run(1);
    let target = committee.targets[&id(NAMES[0])].clone();
    let (address, kept) = recorder(target.address.clone()).await;
    committee.targets.insert(id(NAMES[0]), Target { address, ..target.clone() });
    let mut real = committee.stream(party_of(NAMES[2]), NAMES[0]).await.unwrap();
    real.send(&frame(binding(1).session(), 3, 0, 32)).await;
    real.0.write_all(&[0; 4]).await.unwrap();
    real.0.flush().await.unwrap();
    assert_eq!(real.word().await, Some(quittance_rpc::frames::Word::Here));

    let recorded = kept.lock().unwrap().clone();
    assert!(recorded.len() > 1000);
    let mut replayed = TcpStream::connect(&target.address).await.unwrap();
    replayed.write_all(&recorded).await.unwrap();
    let mut answer = vec![];
    // Closed, perhaps with what was sent unread.
    let read = replayed.read_to_end(&mut answer);
    drop(timeout(Duration::from_secs(10), read).await.expect("the server ends it"));
    // The party's own connection was not replaced by it.
    real.0.write_all(&[0; 4]).await.unwrap();
    real.0.flush().await.unwrap();
    assert_eq!(real.word().await, Some(quittance_rpc::frames::Word::Here));
}

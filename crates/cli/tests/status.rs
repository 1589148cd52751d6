//! `quittance status` against processes in all kinds of trouble, played by servers in this program.
#![allow(clippy::unwrap_used, reason = "a test stops where its assumption fails")]

#[macro_use]
mod common;

use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use quittance_cli::status::probe::{self, Asked, NodeAt, NodeWatch, State};
use quittance_cli::status::subject::{Subject, Subjects};
use quittance_cli::testnet::plan::{Member, Members};
use quittance_rpc::identity::Process;
use quittance_rpc::limits::Limits;
use quittance_rpc::proto::node::v1 as node;
use quittance_rpc::server::Server;
use quittance_rpc::tls::trust::Admission;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tonic::{Request, Response, Status};

use common::Answer;

/// Long enough for whoever answers, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// For whoever does not.
const IMPATIENCE: Duration = Duration::from_millis(400);

/// A node at block 7 with three transactions in its pool.
struct Stub;

#[tonic::async_trait]
impl node::node_server::Node for Stub {
    type BlocksStream =
        Pin<Box<dyn tokio_stream::Stream<Item = Result<node::BlocksResponse, Status>> + Send>>;

    type EvidenceStream = tokio_stream::Empty<Result<node::EvidenceResponse, Status>>;
    type GenesisStream = tokio_stream::Empty<Result<node::GenesisResponse, Status>>;

    async fn chain_status(
        &self,
        _: Request<node::ChainStatusRequest>,
    ) -> Answer<node::ChainStatusResponse> {
        let (height, mempool, time_ms) = (7, 3, 1_764_286_812_000);
        Ok(Response::new(node::ChainStatusResponse {
            height,
            mempool,
            time_ms,
            ..Default::default()
        }))
    }

    unused! {
        submit(node::SubmitRequest) -> node::SubmitResponse;
        transaction_status(node::TransactionStatusRequest) -> node::TransactionStatusResponse;
        account(node::AccountRequest) -> node::AccountResponse;
        receipt(node::ReceiptRequest) -> node::ReceiptResponse;
        round(node::RoundRequest) -> node::RoundResponse;
        blocks(node::BlocksRequest) -> Self::BlocksStream;
        evidence(node::EvidenceRequest) -> Self::EvidenceStream;
        genesis(node::GenesisRequest) -> Self::GenesisStream;
    }
}

/// A network's files, whose processes are played.
struct Theatre {
    home: TempDir,
    members: Members,
}

impl Theatre {
    fn new() -> Self {
        let (home, members) = common::network();
        Self { home, members }
    }

    /// The process of a kind as it would be asked, at another address.
    fn subject(&self, process: Process, address: SocketAddr) -> Subject {
        let subjects = Subjects::in_folder(self.home.path()).unwrap();
        let found = subjects.processes.into_iter().find(|it| it.name.process == process);
        Subject { address: address.to_string(), metrics: None, ..found.unwrap() }
    }

    /// Serves with the certificate of `member`.
    async fn play(&self, member: &Member, admission: Admission, ready: bool) -> SocketAddr {
        let server = Server::new(Limits::default()).node(Stub);
        let (home, folder) = (self.home.path(), member.path(self.home.path()));
        let bound = common::bind(server, home, &folder, admission).await;
        bound.health().set(ready).await;
        common::serve(bound)
    }
}

/// Answers every connection with `bytes`; with none, never.
async fn speak(bytes: Option<&'static [u8]>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut held = vec![];
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            if let Some(bytes) = bytes {
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream.write_all(bytes).await;
            } else {
                held.push(stream);
            }
        }
    });
    address
}

fn is(asked: &Asked, state: State, reason: &str) {
    let told = (asked.state, asked.reason.as_str());
    assert!(asked.state == state && asked.reason.contains(reason), "{told:?}: {state:?}, {reason}");
}

#[tokio::test]
async fn a_process_that_answers_tells_how_it_is() {
    let theatre = Theatre::new();
    let address = theatre.play(&theatre.members.node, Admission::everybody(), true).await;
    let asked = probe::ask(theatre.subject(Process::Node, address), PATIENCE).await;
    is(&asked, State::Ready, "");
    assert_eq!((asked.facts.height, asked.facts.work["transactions"]), (Some(7), 3));
    assert_eq!(asked.facts.block_ms, Some(1_764_286_812_000));
    let mut watch = NodeWatch::default();
    assert_eq!(watch.look().await, None);
    watch.meet(&asked);
    for _ in 0..2 {
        let at = NodeAt { height: 7, block_ms: 1_764_286_812_000 };
        assert_eq!(watch.look().await, Some(at));
    }
    let address = theatre.play(&theatre.members.node, Admission::everybody(), false).await;
    let asked = probe::ask(theatre.subject(Process::Node, address), PATIENCE).await;
    is(&asked, State::NotReady, "it says that it is not ready");
}

#[tokio::test]
async fn who_does_not_answer_is_told_from_who_is_somebody_else() {
    let theatre = Theatre::new();
    let node = |address| theatre.subject(Process::Node, address);
    let dead = probe::ask(node(([127, 0, 0, 1], 1).into()), PATIENCE).await;
    is(&dead, State::NotListening, "onnection refused");
    let mut nowhere = node(([127, 0, 0, 1], 1).into());
    nowhere.address = "127.0.0.1:70000".to_owned();
    is(&probe::ask(nowhere, PATIENCE).await, State::NotReached, "cannot be reached");
    let silent = probe::ask(node(speak(None).await), IMPATIENCE).await;
    is(&silent, State::Silent, "within 400ms");
    let mail = probe::ask(node(speak(Some(b"220 mail\r\n")).await), PATIENCE).await;
    is(&mail, State::Refused, "TLS failed");

    let party = &theatre.members.parties[0];
    let other = theatre.play(party, Admission::everybody(), true).await;
    let reason =
        "the server is urn:quittance:MPCAZZ01:party, but urn:quittance:VALDZZ01:node was called";
    is(&probe::ask(node(other), PATIENCE).await, State::Another, reason);
    // Of the right name, but by another authority: it refuses us as well.
    let strangers = Theatre::new();
    let false_node = strangers.play(&strangers.members.node, Admission::everybody(), true).await;
    is(&probe::ask(node(false_node), PATIENCE).await, State::NotTrusted, "not issued by");
}

#[tokio::test]
async fn who_does_not_admit_us_is_known_by_its_metrics() {
    let theatre = Theatre::new();
    let nobody = || Admission::when(|_| false);
    let address = theatre.play(&theatre.members.node, nobody(), true).await;
    let closed = || theatre.subject(Process::Node, address);
    is(&probe::ask(closed(), PATIENCE).await, State::Listens, "we are not admitted there");
    let metrics = |ready: u8, institution: &str| {
        let text = format!(
            "HTTP/1.1 200 OK\r\n\r\nquittance_ready {ready}\nquittance_chain_height 9\n\
             quittance_build_info{{version=\"1.2.3\",kind=\"node\",institution=\"{institution}\"}} 1\n"
        );
        speak(Some(Box::leak(text.into_bytes().into_boxed_slice())))
    };
    let with = |metrics| Subject { metrics: Some(metrics), ..closed() };
    let ready = probe::ask(with(metrics(1, "VALDZZ01").await), PATIENCE).await;
    is(&ready, State::Ready, "");
    assert_eq!((ready.facts.height, ready.facts.version.as_deref()), (Some(9), Some("1.2.3")));
    let starting = probe::ask(with(metrics(0, "VALDZZ01").await), PATIENCE).await;
    is(&starting, State::NotReady, "it says that it is not ready");
    let other = probe::ask(with(metrics(1, "MPCAZZ01").await), PATIENCE).await;
    is(&other, State::Listens, "");
    assert!(other.metrics.unwrap_err().ends_with("are those of MPCAZZ01's node"));
    let gone = probe::ask(with(([127, 0, 0, 1], 1).into()), PATIENCE).await;
    assert!(gone.metrics.unwrap_err().contains("onnection refused"));
}

//! A small network for the tests: an authority, certificates, and a server with three services.
#![allow(dead_code, missing_docs, clippy::unwrap_used, reason = "each test file uses its own part")]

pub mod raw;

use std::pin::Pin;
use std::time::Duration;

use quittance_rpc::client::Dialer;
use quittance_rpc::config::{ListenAddress, Target};
use quittance_rpc::identity::{Identity, Process, ProcessName, Role, Roles};
use quittance_rpc::limits::Limits;
use quittance_rpc::proto::coordinator::v1 as coordinator;
use quittance_rpc::proto::node::v1 as node;
use quittance_rpc::proto::party::v1 as party;
use quittance_rpc::receipt::Query;
use quittance_rpc::server::{Bound, Peer, ServeError, Server};
use quittance_rpc::tls::issue::{Authority, Issued};
use quittance_rpc::tls::trust::{Admission, Scope, Trust};
use quittance_rpc::tls::{Credentials, KeyExchange, Tls};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status, Streaming};

pub const SUBMIT: &str = "/quittance.node.v1.Node/Submit";

pub const HOSTS: [&str; 2] = ["127.0.0.1", "localhost"];

pub fn process(institution: &str, process: Process) -> ProcessName {
    ProcessName { institution: institution.parse().unwrap(), process }
}

pub fn agent(institution: &str) -> Identity {
    Identity::Process(process(institution, Process::Agent))
}

pub fn client(institution: &str, roles: &[Role]) -> Identity {
    Identity::Client { institution: institution.parse().unwrap(), roles: Roles::of(roles) }
}

pub fn the_node() -> ProcessName {
    process("NODEXXAA", Process::Node)
}

pub fn trust(authorities: &[&Authority]) -> Trust {
    let mut trust = Trust::new();
    for authority in authorities {
        trust.add_pem(authority.certificate_pem().as_bytes(), Scope::Any).unwrap();
    }
    trust
}

pub fn credentials(issued: &Issued) -> Credentials {
    Credentials::from_pem(issued.certificate_pem.as_bytes(), issued.key_pem.as_bytes()).unwrap()
}

/// Issued by `authority`, trusting it alone.
pub fn tls(authority: &Authority, holder: Identity) -> Tls {
    Tls::new(credentials(&authority.issue(holder, &HOSTS).unwrap()), trust(&[authority]))
}

pub fn loopback() -> ListenAddress {
    ListenAddress { socket: "127.0.0.1:0".parse().unwrap(), key_exchange: KeyExchange::Hybrid }
}

/// Services that do nothing useful, slowly on demand.
#[derive(Clone, Default)]
pub struct Fake {
    /// How long `Submit` takes; `TransactionStatus` takes what its caller is willing to wait.
    pub delay: Duration,
    /// The parts that `Genesis` sends.
    pub genesis: Vec<Vec<u8>>,
    /// What `Receipt` sends.
    pub receipt: Vec<u8>,
}

type Blocks = Pin<Box<dyn Stream<Item = Result<node::BlocksResponse, Status>> + Send>>;

#[tonic::async_trait]
impl node::node_server::Node for Fake {
    type BlocksStream = Blocks;
    type GenesisStream = Pin<Box<dyn Stream<Item = Result<node::GenesisResponse, Status>> + Send>>;

    async fn submit(
        &self,
        request: Request<node::SubmitRequest>,
    ) -> Result<Response<node::SubmitResponse>, Status> {
        tokio::time::sleep(self.delay).await;
        let length = request.get_ref().transaction.len() as u64;
        let transaction_id = length.to_be_bytes().to_vec();
        Ok(Response::new(node::SubmitResponse { transaction_id, status: None }))
    }

    async fn transaction_status(
        &self,
        request: Request<node::TransactionStatusRequest>,
    ) -> Result<Response<node::TransactionStatusResponse>, Status> {
        tokio::time::sleep(Duration::from_millis(request.get_ref().wait_ms.into())).await;
        Ok(Response::new(node::TransactionStatusResponse::default()))
    }

    async fn account(
        &self,
        request: Request<node::AccountRequest>,
    ) -> Result<Response<node::AccountResponse>, Status> {
        // Says who called, and how.
        let peer = Peer::of(&request)?;
        peer.require_process(Process::Agent)?;
        let account = format!("{} {:?}", peer.identity, peer.key_exchange).into_bytes();
        let header = peer.certificate.as_bytes().to_vec();
        Ok(Response::new(node::AccountResponse { account, header, ..Default::default() }))
    }

    async fn receipt(
        &self,
        request: Request<node::ReceiptRequest>,
    ) -> Result<Response<node::ReceiptResponse>, Status> {
        // The receipt for whatever was asked: nobody here verifies it.
        Query::try_from(request.get_ref())?;
        Ok(Response::new(node::ReceiptResponse { receipt: self.receipt.clone() }))
    }

    async fn round(
        &self,
        request: Request<node::RoundRequest>,
    ) -> Result<Response<node::RoundResponse>, Status> {
        Peer::of(&request)?.require_role(Role::Audit)?;
        Ok(Response::new(node::RoundResponse::default()))
    }

    /// One block a time, without end; the size of a block is the height asked for.
    async fn blocks(
        &self,
        request: Request<node::BlocksRequest>,
    ) -> Result<Response<Blocks>, Status> {
        let block = vec![7; request.get_ref().from_height as usize];
        let blocks = tokio_stream::iter(std::iter::repeat(block))
            .throttle(Duration::from_millis(5))
            .map(|block| {
                Ok(node::BlocksResponse {
                    block,
                    certificate: Vec::new(),
                    next_validators: Vec::new(),
                })
            });
        Ok(Response::new(Box::pin(blocks)))
    }

    async fn chain_status(
        &self,
        _: Request<node::ChainStatusRequest>,
    ) -> Result<Response<node::ChainStatusResponse>, Status> {
        Ok(Response::new(node::ChainStatusResponse { height: 42, ..Default::default() }))
    }

    async fn genesis(
        &self,
        _: Request<node::GenesisRequest>,
    ) -> Result<Response<Self::GenesisStream>, Status> {
        let parts = self.genesis.clone().into_iter();
        let parts = parts.map(|part| Ok(node::GenesisResponse { part }));
        Ok(Response::new(Box::pin(tokio_stream::iter(parts))))
    }
}

#[tonic::async_trait]
impl party::party_server::Party for Fake {
    async fn deal(
        &self,
        _: Request<party::DealRequest>,
    ) -> Result<Response<party::DealResponse>, Status> {
        Ok(Response::new(party::DealResponse::default()))
    }

    async fn publish(
        &self,
        _: Request<party::PublishRequest>,
    ) -> Result<Response<party::PublishResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn published(
        &self,
        _: Request<party::PublishedRequest>,
    ) -> Result<Response<party::PublishedResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn prepare(
        &self,
        _: Request<party::PrepareRequest>,
    ) -> Result<Response<party::PrepareResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn results(
        &self,
        _: Request<party::ResultsRequest>,
    ) -> Result<Response<party::ResultsResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn receipts(
        &self,
        _: Request<party::ReceiptsRequest>,
    ) -> Result<Response<party::ReceiptsResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }
}

type Attended = Pin<Box<dyn Stream<Item = Result<coordinator::AttendResponse, Status>> + Send>>;

#[tonic::async_trait]
impl coordinator::coordinator_server::Coordinator for Fake {
    type AttendStream = Attended;

    async fn request_round(
        &self,
        _: Request<coordinator::RequestRoundRequest>,
    ) -> Result<Response<coordinator::RequestRoundResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    /// One answer for each message.
    async fn attend(
        &self,
        request: Request<Streaming<coordinator::AttendRequest>>,
    ) -> Result<Response<Attended>, Status> {
        let answer = |message: Result<_, Status>| message.map(|_| Default::default());
        Ok(Response::new(Box::pin(request.into_inner().map(answer))))
    }
}

/// A running server.
pub struct Running {
    pub target: Target,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<Result<(), ServeError>>,
}

impl Running {
    pub fn start(bound: Bound) -> Self {
        let target = Target { address: bound.address().to_string(), identity: the_node() };
        let (stop, stopped) = oneshot::channel::<()>();
        let ended = tokio::spawn(bound.serve(async { drop(stopped.await) }));
        Self { target, stop, ended }
    }

    /// Signals the end and waits for it.
    pub async fn stop(self) {
        self.stop.send(()).unwrap();
        self.ended.await.unwrap().unwrap();
    }
}

/// An authority, and a node that trusts it.
pub struct Network {
    pub authority: Authority,
    pub running: Running,
}

impl Network {
    pub async fn start(limits: Limits, fake: Fake) -> Self {
        let authority = Authority::create("test").unwrap();
        let tls = tls(&authority, Identity::Process(the_node()));
        let server = Server::new(limits).node(fake.clone()).party(fake.clone()).coordinator(fake);
        let bound = server.bind(&tls, &loopback(), Admission::everybody()).await.unwrap();
        Self { authority, running: Running::start(bound) }
    }

    pub async fn with(change: impl FnOnce(&mut Limits)) -> Self {
        let mut limits = Limits::default();
        change(&mut limits);
        Self::start(limits, Fake::default()).await
    }

    pub fn target(&self) -> &Target {
        &self.running.target
    }

    /// A dialer with a certificate for `holder`.
    pub fn dialer(&self, holder: Identity) -> Dialer {
        Dialer::new(tls(&self.authority, holder), Limits::default())
    }

    pub fn node(
        &self,
        institution: &str,
    ) -> node::node_client::NodeClient<tonic::transport::Channel> {
        self.dialer(agent(institution)).node(self.target()).unwrap()
    }
}

pub fn submit(bytes: usize) -> node::SubmitRequest {
    node::SubmitRequest { transaction: vec![1; bytes] }
}

/// A connection of an institution with a valid certificate.
pub async fn attacker(network: &Network) -> raw::Attacker {
    let issued = network.authority.issue(agent("EVILXXXX"), &[]).unwrap();
    let groups = vec![rustls::crypto::aws_lc_rs::kx_group::X25519MLKEM768];
    let config = raw::foreign_client(&network.authority, Some(&issued), groups);
    raw::Attacker::connect(&network.target().address, config).await.unwrap()
}

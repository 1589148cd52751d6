//! A node that serves the blocks it is given.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use quittance_crypto::encoding::Encode;
use quittance_ledger::genesis::Genesis;
use quittance_ledger::ids::ChainId;
use quittance_rpc::config::ListenAddress;
use quittance_rpc::convert::FinalBlock;
use quittance_rpc::limits::Limits;
use quittance_rpc::proto::node::v1 as proto;
use quittance_rpc::proto::node::v1::node_server;
use quittance_rpc::server::Server;
use quittance_rpc::tls::trust::Admission;
use quittance_rpc::tls::{KeyExchange, Tls};
use tokio::sync::{mpsc, watch};
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

pub struct Node {
    pub address: SocketAddr,
    blocks: Arc<watch::Sender<Vec<proto::BlocksResponse>>>,
}

#[derive(Clone)]
struct Service {
    chain: ChainId,
    blocks: Arc<watch::Sender<Vec<proto::BlocksResponse>>>,
}

pub fn loopback() -> ListenAddress {
    ListenAddress { socket: "127.0.0.1:0".parse().unwrap(), key_exchange: KeyExchange::Hybrid }
}

impl Node {
    pub async fn start(tls: &Tls, genesis: &Genesis) -> Self {
        let blocks = Arc::new(watch::Sender::new(vec![]));
        let service = Service { chain: genesis.chain_id(), blocks: blocks.clone() };
        let server = Server::new(Limits::default()).node(service);
        let bound = server.bind(tls, &loopback(), Admission::everybody()).await.unwrap();
        let address = bound.address();
        tokio::spawn(bound.serve(std::future::pending()));
        Self { address, blocks }
    }

    pub fn publish(&self, block: FinalBlock) {
        self.blocks.send_modify(|blocks| blocks.push((&block).into()));
    }
}

type Blocks = Pin<Box<dyn Stream<Item = Result<proto::BlocksResponse, Status>> + Send>>;

fn none<T>() -> Result<Response<T>, Status> {
    Err(Status::unimplemented("not here"))
}

#[tonic::async_trait]
impl node_server::Node for Service {
    type BlocksStream = Blocks;
    type EvidenceStream = tokio_stream::Empty<Result<proto::EvidenceResponse, Status>>;
    type GenesisStream = tokio_stream::Empty<Result<proto::GenesisResponse, Status>>;

    async fn submit(
        &self,
        _: Request<proto::SubmitRequest>,
    ) -> Result<Response<proto::SubmitResponse>, Status> {
        none()
    }

    async fn transaction_status(
        &self,
        _: Request<proto::TransactionStatusRequest>,
    ) -> Result<Response<proto::TransactionStatusResponse>, Status> {
        none()
    }

    async fn account(
        &self,
        _: Request<proto::AccountRequest>,
    ) -> Result<Response<proto::AccountResponse>, Status> {
        none()
    }

    async fn receipt(
        &self,
        _: Request<proto::ReceiptRequest>,
    ) -> Result<Response<proto::ReceiptResponse>, Status> {
        none()
    }

    async fn round(
        &self,
        _: Request<proto::RoundRequest>,
    ) -> Result<Response<proto::RoundResponse>, Status> {
        none()
    }

    async fn blocks(
        &self,
        request: Request<proto::BlocksRequest>,
    ) -> Result<Response<Blocks>, Status> {
        let mut next = request.get_ref().from_height as usize - 1;
        let mut blocks = self.blocks.subscribe();
        let (out, stream) = mpsc::channel(4);
        tokio::spawn(async move {
            loop {
                let block = blocks.borrow_and_update().get(next).cloned();
                let goes_on = match block {
                    Some(block) => {
                        next += 1;
                        out.send(Ok(block)).await.is_ok()
                    }
                    None => blocks.changed().await.is_ok(),
                };
                if !goes_on {
                    return;
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }

    async fn chain_status(
        &self,
        _: Request<proto::ChainStatusRequest>,
    ) -> Result<Response<proto::ChainStatusResponse>, Status> {
        let (chain_id, height) = (self.chain.to_bytes(), self.blocks.borrow().len() as u64);
        Ok(Response::new(proto::ChainStatusResponse { chain_id, height, ..Default::default() }))
    }

    async fn evidence(
        &self,
        _: Request<proto::EvidenceRequest>,
    ) -> Result<Response<Self::EvidenceStream>, Status> {
        none()
    }

    async fn genesis(
        &self,
        _: Request<proto::GenesisRequest>,
    ) -> Result<Response<Self::GenesisStream>, Status> {
        none()
    }
}

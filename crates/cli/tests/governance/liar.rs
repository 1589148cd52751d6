//! A node that says of every transaction that it is final, and does with none what it should.

use std::path::Path;

use quittance_cli::client;
use quittance_crypto::encoding::{Decode, Encode};
use quittance_ledger::ids::TransactionId;
use quittance_ledger::receipt::{Claim, NamedTransaction, Receipt};
use quittance_ledger::transaction::Transaction;
use quittance_rpc::client::Dialer;
use quittance_rpc::config::Target;
use quittance_rpc::limits::Limits;
use quittance_rpc::proto::node::v1 as node;
use quittance_rpc::proto::node::v1::node_client::NodeClient;
use quittance_rpc::proto::node::v1::receipt_request::Subject;
use quittance_rpc::proto::node::v1::status::State;
use quittance_rpc::server::Server;
use quittance_rpc::tls::trust::Admission;
use tonic::transport::Channel;
use tonic::{Request, Response, Streaming};

use crate::common::{self, Answer};

/// What it answers when it is asked for a receipt.
#[derive(Debug, Clone, Copy)]
pub enum Shows {
    /// That there is none.
    Nothing,
    /// That of another transaction, which is final.
    Another(TransactionId),
    /// The same, with the id of the one that was asked for.
    Renamed(TransactionId),
}

/// Has the certificate of a validator whose chain it tells of.
pub struct Liar {
    honest: NodeClient<Channel>,
    shows: Shows,
}

impl Liar {
    /// Starts one in the place of `target`, the node of a network's folder; where it listens.
    pub async fn start(network: &Path, target: &Target, shows: Shows) -> String {
        let folder = network.join("node");
        let file = |name: &str| folder.join(name);
        let ca = network.join("ca").join("ca.pem");
        let tls = client::credentials(&file("tls.pem"), &file("tls.key"), &ca).unwrap();
        let dialer = Dialer::new(tls, Limits::default());
        let honest = dialer.node(target).unwrap();
        let server = Server::new(Limits::default()).node(Self { honest, shows });
        let bound = common::bind(server, network, &folder, Admission::everybody()).await;
        common::serve(bound).to_string()
    }
}

/// In the first block.
fn done() -> Option<node::Status> {
    Some(node::Status { state: Some(State::Final(node::Final { height: 1, index: 0 })) })
}

#[tonic::async_trait]
impl node::node_server::Node for Liar {
    type BlocksStream = Streaming<node::BlocksResponse>;
    type EvidenceStream = Streaming<node::EvidenceResponse>;
    type GenesisStream = Streaming<node::GenesisResponse>;

    async fn submit(&self, request: Request<node::SubmitRequest>) -> Answer<node::SubmitResponse> {
        let transaction = Transaction::from_bytes(&request.into_inner().transaction).unwrap();
        let transaction_id = transaction.id().to_bytes();
        Ok(Response::new(node::SubmitResponse { transaction_id, status: done() }))
    }

    async fn transaction_status(
        &self,
        _: Request<node::TransactionStatusRequest>,
    ) -> Answer<node::TransactionStatusResponse> {
        Ok(Response::new(node::TransactionStatusResponse { status: done() }))
    }

    async fn receipt(
        &self,
        request: Request<node::ReceiptRequest>,
    ) -> Answer<node::ReceiptResponse> {
        let mut request = request.into_inner();
        let Some(Subject::TransactionId(asked)) = request.subject.clone() else {
            panic!("{request:?}")
        };
        if let Shows::Another(id) | Shows::Renamed(id) = self.shows {
            request.subject = Some(Subject::TransactionId(id.to_bytes()));
        }
        let mut answer = self.honest.clone().receipt(request).await?.into_inner();
        if let Shows::Renamed(_) = self.shows {
            let mut receipt = Receipt::from_bytes(&answer.receipt).unwrap();
            let Claim::Transaction { transaction, .. } = &mut receipt.claims[0] else {
                panic!("{receipt:?}")
            };
            *transaction = NamedTransaction::Id(TransactionId::from_bytes(&asked).unwrap());
            answer.receipt = receipt.to_bytes();
        }
        Ok(Response::new(answer))
    }

    async fn blocks(&self, request: Request<node::BlocksRequest>) -> Answer<Self::BlocksStream> {
        self.honest.clone().blocks(request.into_inner()).await
    }

    async fn chain_status(
        &self,
        request: Request<node::ChainStatusRequest>,
    ) -> Answer<node::ChainStatusResponse> {
        self.honest.clone().chain_status(request.into_inner()).await
    }

    unused! {
        account(node::AccountRequest) -> node::AccountResponse;
        round(node::RoundRequest) -> node::RoundResponse;
        evidence(node::EvidenceRequest) -> Self::EvidenceStream;
        genesis(node::GenesisRequest) -> Self::GenesisStream;
    }
}

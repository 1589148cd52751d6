//! A node that loses answers, forgets transactions, or rejects them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use api::outcome::State;
use quittance_crypto::encoding::Decode;
use quittance_ledger::transaction::Transaction;
use quittance_rpc::client::Dialer;
use quittance_rpc::config::{ListenAddress, Target};
use quittance_rpc::limits::Limits;
use quittance_rpc::proto::node::v1 as node;
use quittance_rpc::proto::node::v1::node_client::NodeClient;
use quittance_rpc::proto::node::v1::node_server::Node;
use quittance_rpc::server::Server;
use quittance_rpc::tls::trust::{Admission, Scope, Trust};
use quittance_rpc::tls::{Credentials, KeyExchange, Tls};
use site::TWO;
use tonic::transport::Channel;
use tonic::{Request, Response, Streaming};

/// What goes wrong with a submission.
#[derive(Clone, Copy)]
enum Fault {
    /// The node takes it, but the answer is lost.
    LoseAnswer,
    /// It is said to be pending, and forgotten.
    Forget,
    /// It is rejected.
    Reject,
}

type Script = dyn Fn(usize, &Transaction) -> Option<Fault> + Send + Sync;

/// Stands between the agents and the node.
struct Faulty {
    node: NodeClient<Channel>,
    submissions: AtomicUsize,
    script: Arc<Script>,
}

#[tonic::async_trait]
impl Node for Faulty {
    type BlocksStream = Streaming<node::BlocksResponse>;
    type GenesisStream = Streaming<node::GenesisResponse>;
    type EvidenceStream = Streaming<node::EvidenceResponse>;

    async fn submit(
        &self,
        request: Request<node::SubmitRequest>,
    ) -> Result<Response<node::SubmitResponse>, Status> {
        use node::status::State as Node;
        let request = request.into_inner();
        let transaction = Transaction::from_bytes(&request.transaction).unwrap();
        let number = self.submissions.fetch_add(1, Ordering::SeqCst);
        let state = match (self.script)(number, &transaction) {
            None => return self.node.clone().submit(request).await,
            Some(Fault::LoseAnswer) => {
                self.node.clone().submit(request).await.unwrap();
                return Err(Status::unavailable("lost"));
            }
            Some(Fault::Forget) => Node::Pending(node::Pending { expiry: 1000 }),
            Some(Fault::Reject) => {
                let (code, reason) = ("TEST".to_owned(), "the test does not like it".to_owned());
                Node::Rejected(node::Rejected { code, reason })
            }
        };
        let status = Some(node::Status { state: Some(state) });
        let transaction_id = transaction.id().0.0.to_vec();
        Ok(Response::new(node::SubmitResponse { transaction_id, status }))
    }

    async fn transaction_status(
        &self,
        request: Request<node::TransactionStatusRequest>,
    ) -> Result<Response<node::TransactionStatusResponse>, Status> {
        self.node.clone().transaction_status(request.into_inner()).await
    }

    async fn account(
        &self,
        request: Request<node::AccountRequest>,
    ) -> Result<Response<node::AccountResponse>, Status> {
        self.node.clone().account(request.into_inner()).await
    }

    async fn receipt(
        &self,
        request: Request<node::ReceiptRequest>,
    ) -> Result<Response<node::ReceiptResponse>, Status> {
        self.node.clone().receipt(request.into_inner()).await
    }

    async fn evidence(
        &self,
        request: Request<node::EvidenceRequest>,
    ) -> Result<Response<Self::EvidenceStream>, Status> {
        self.node.clone().evidence(request.into_inner()).await
    }

    async fn round(
        &self,
        request: Request<node::RoundRequest>,
    ) -> Result<Response<node::RoundResponse>, Status> {
        self.node.clone().round(request.into_inner()).await
    }

    async fn blocks(
        &self,
        request: Request<node::BlocksRequest>,
    ) -> Result<Response<Self::BlocksStream>, Status> {
        self.node.clone().blocks(request.into_inner()).await
    }

    async fn chain_status(
        &self,
        request: Request<node::ChainStatusRequest>,
    ) -> Result<Response<node::ChainStatusResponse>, Status> {
        self.node.clone().chain_status(request.into_inner()).await
    }

    async fn genesis(
        &self,
        request: Request<node::GenesisRequest>,
    ) -> Result<Response<Self::GenesisStream>, Status> {
        self.node.clone().genesis(request.into_inner()).await
    }
}

/// Puts a faulty node where the agents look for one, in front of the real one.
async fn behind(
    site: &Site,
    script: impl Fn(usize, &Transaction) -> Option<Fault> + Send + Sync + 'static,
) -> Running<NodeError> {
    let Target { address, identity } = site.node_target();
    let who = identity.institution.to_string();
    let config = std::fs::read_to_string(site.file(&who, "config.toml")).unwrap();
    let elsewhere = config.replace(&address, "127.0.0.1:0");
    std::fs::write(site.file(&who, "config.toml"), elsewhere).unwrap();
    let running = site.node().await;

    let read = |name: &str| std::fs::read(site.file(&who, name)).unwrap();
    let mut trust = Trust::new();
    trust.add_pem(&read("../ca.pem"), Scope::Any).unwrap();
    let credentials = Credentials::from_pem(&read("tls.pem"), &read("tls.key")).unwrap();
    let tls = Tls::new(credentials, trust);
    let target = Target { address: running.address.to_string(), identity };
    let node = Dialer::new(tls.clone(), Limits::default()).node(&target).unwrap();
    let faulty = Faulty { node, submissions: AtomicUsize::new(0), script: Arc::new(script) };
    let listen =
        ListenAddress { socket: address.parse().unwrap(), key_exchange: KeyExchange::Hybrid };
    let bound = Server::new(Limits::default()).node(faulty);
    let bound = bound.bind(&tls, &listen, Admission::everybody()).await.unwrap();
    tokio::spawn(bound.serve(std::future::pending()));
    running
}

/// Whether the transaction pays so many receivers.
fn pays(transaction: &Transaction, receivers: usize) -> bool {
    transaction.body().entries().iter().any(|entry| entry.credits.len() == receivers)
}

async fn with_money(site: &Site) -> (Bank, Bank) {
    let mut central = site.agent(CENTRAL).await.caught_up().await;
    let mut one = site.agent(ONE).await.caught_up().await;
    central.pay(200, ONE, "EUR", "100").await;
    one.holds("EUR", "100.00").await;
    (central, one)
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_answers_and_forgotten_transactions_do_no_harm() {
    let site = Site::new();
    let _node = behind(&site, |number, _| match number % 5 {
        1 | 3 => Some(Fault::LoseAnswer),
        2 => Some(Fault::Forget),
        _ => None,
    })
    .await;
    let (mut central, mut one) = with_money(&site).await;
    let calls = (1..=12).map(|number| {
        let mut client = one.client.clone();
        let request = transfer(number, vec![receiver(TWO, "2", "")], 30_000);
        tokio::spawn(async move { client.transfer(request).await })
    });
    for call in calls.collect::<Vec<_>>() {
        let outcome = call.await.unwrap().unwrap().into_inner().outcome.unwrap();
        assert_eq!(outcome.state(), State::Final, "{}", outcome.reason);
    }
    one.holds("EUR", "76.00").await;
    central.holds("EUR", "-100.00").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_rejected_is_tried_again_and_fails_in_the_end_without_holding_up_others() {
    let site = Site::new();
    let rejected = Arc::new(AtomicUsize::new(0));
    let count = rejected.clone();
    let _node = behind(&site, move |_, transaction| {
        let three = pays(transaction, 3) && count.fetch_add(1, Ordering::SeqCst) < 2;
        (three || pays(transaction, 2)).then_some(Fault::Reject)
    })
    .await;
    let (_central, mut one) = with_money(&site).await;
    // Twice rejected, then taken.
    let three = transfer(1, vec![receiver(TWO, "1", ""); 3], 20_000);
    // Never taken.
    let two = transfer(2, vec![receiver(TWO, "10", ""); 2], 30_000);
    let one_receiver = transfer(3, vec![receiver(TWO, "4", "")], 20_000);
    let failing = {
        let mut client = one.client.clone();
        let two = two.clone();
        tokio::spawn(async move { client.transfer(two).await.unwrap().into_inner() })
    };
    let (first, second) = tokio::join!(one.transfer(three), one.transfer(one_receiver));
    for outcome in [first.unwrap(), second.unwrap()] {
        assert_eq!(outcome.state(), State::Final, "{}", outcome.reason);
    }
    assert!(!failing.is_finished(), "it is still being tried");
    let outcome = failing.await.unwrap().outcome.unwrap();
    assert_eq!(outcome.state(), State::Failed);
    assert!(outcome.reason.contains("the test does not like it"), "{}", outcome.reason);
    assert_eq!(one.transfer(two).await.unwrap(), outcome, "failed is failed");
    one.holds("EUR", "93.00").await;
    // What it would have paid is free again.
    let rest = one.transfer(transfer(4, vec![receiver(TWO, "93", "")], 20_000)).await.unwrap();
    assert_eq!(rest.state(), State::Final, "{}", rest.reason);
    let sent = one.statement("EUR").await;
    let sent = sent.iter().filter(|line| line.kind() == api::statement_line::Kind::Sent);
    assert_eq!(sent.count(), 3);
}

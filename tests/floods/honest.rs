//! Honest callers, and how long they wait: an auditor's system that asks the node, a bank that pays
//! by way of its agent, and somebody who connects anew each time.

use std::future::Future;
use std::time::{Duration, Instant};

use quittance_cli::demo::bank::Bank;
use quittance_cli::demo::currency::Currency;
use quittance_ledger::ids::InstitutionId;
use quittance_rpc::client::Dialer;
use quittance_rpc::config::Target;
use quittance_rpc::proto::node::v1 as node;
use quittance_rpc::proto::node::v1::node_client::NodeClient;
use tokio::time::sleep;
use tonic::transport::Channel;

/// Between two questions.
const PAUSE: Duration = Duration::from_millis(2);

/// Between two connections.
const CONNECT: Duration = Duration::from_millis(50);

/// How long something took, each time.
#[derive(Debug, Clone, Default)]
pub struct Times(Vec<Duration>);

impl Times {
    /// The time that one in a hundred exceeds.
    pub fn p99(&self) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        sorted.get(sorted.len() * 99 / 100).copied().unwrap_or_default()
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Runs `call` and notes how long it took.
    async fn time<T>(&mut self, call: impl Future<Output = T>) -> T {
        let began = Instant::now();
        let result = call.await;
        self.0.push(began.elapsed());
        result
    }
}

/// Times of all callers.
#[derive(Debug, Clone, Default)]
pub struct Measured {
    /// Of questions after an account and after a transaction.
    pub queries: Times,
    /// Of payments, until they are final.
    pub payments: Times,
    /// Of new connections.
    pub connections: Times,
    /// New connections that were not taken.
    pub refused: usize,
}

/// The callers, with connections that stand.
pub struct Honest {
    auditor: Dialer,
    target: Target,
    node: NodeClient<Channel>,
    payer: Bank,
    payee: InstitutionId,
    /// Numbers the payments.
    number: usize,
}

impl Honest {
    pub fn new(auditor: Dialer, target: Target, payer: Bank, payee: InstitutionId) -> Self {
        let node = auditor.node(&target).expect("certificates");
        Self { auditor, target, node, payer, payee, number: 0 }
    }

    /// All call, again and again, for so long. Every call must be answered well.
    pub async fn measure(&mut self, time: Duration) -> Measured {
        let end = Instant::now() + time;
        let Self { auditor, target, node, payer, payee, number } = self;
        let connections = async {
            let (mut times, mut refused) = (Times::default(), 0);
            while Instant::now() < end {
                match times.time(auditor.connect(target)).await {
                    Ok(_) => {}
                    Err(_) => refused += 1,
                }
                sleep(CONNECT).await;
            }
            (times, refused)
        };
        let queries = async {
            let mut times = Times::default();
            while Instant::now() < end || times.count() < 10 {
                ask(node, &mut times, payer.id).await;
                sleep(PAUSE).await;
            }
            times
        };
        let payments = async {
            let mut times = Times::default();
            while Instant::now() < end || times.count() < 3 {
                *number += 1;
                let (name, amounts) = (format!("payment {number}"), [(*payee, 1)]);
                let mut payer = payer.clone();
                let paid = times.time(payer.transfer(&name, Currency::Eur, &amounts)).await;
                paid.expect("a payment");
            }
            times
        };
        let (queries, payments, (connections, refused)) =
            tokio::join!(queries, payments, connections);
        Measured { queries, payments, connections, refused }
    }

    /// How long it takes until a new connection is made, a question answered and a payment final.
    pub async fn recovery(&mut self, patience: Duration) -> Duration {
        let began = Instant::now();
        loop {
            match self.auditor.connect(&self.target).await {
                Ok(channel) => {
                    self.node = NodeClient::new(channel);
                    break;
                }
                Err(error) => {
                    assert!(began.elapsed() < patience, "no new connection: {error}");
                    sleep(PAUSE).await;
                }
            }
        }
        self.measure(Duration::ZERO).await;
        began.elapsed()
    }
}

/// One question after an account, and one after a transaction.
async fn ask(node: &mut NodeClient<Channel>, times: &mut Times, bank: InstitutionId) {
    let request = node::AccountRequest { institution: bank.to_string(), asset: "EUR".to_owned() };
    times.time(node.account(request)).await.expect("an account");
    let request = node::TransactionStatusRequest { transaction_id: vec![1; 32], wait_ms: 0 };
    times.time(node.transaction_status(request)).await.expect("a status");
}

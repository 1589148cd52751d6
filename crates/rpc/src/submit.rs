//! Bringing transactions to a node, and learning what became of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use quittance_crypto::encoding::Encode;
use quittance_ledger::ids::{Height, TransactionId};
use quittance_ledger::transaction::Transaction;
use thiserror::Error;
use tokio::time::{sleep, timeout};
use tonic::{Code, Status};

use crate::convert::{FieldError, TransactionStatus};
use crate::nodes::{Node, Nodes};
use crate::proto::node::v1::{SubmitRequest, TransactionStatusRequest};

/// How long a node is asked to wait for a transaction's end at a time.
const WAIT_MS: u32 = 30_000;

/// How long a node may have a transaction without an end of it before another gets it, too.
pub const HELD: Duration = Duration::from_secs(5);

/// How long a node may take to answer, beyond what it is asked to wait.
const ANSWER: Duration = Duration::from_secs(10);

/// The first and the longest pause before a node is tried again.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(3));

/// Why a transaction was not submitted, or its status is not known.
#[derive(Debug, Clone, Error)]
pub enum SubmitError {
    /// The node answers with an error, or not at all.
    #[error("the node answers: {}", .0.message())]
    Node(Box<Status>),
    /// The node answers with something else.
    #[error("the node's answer makes no sense: {0}")]
    Malformed(#[from] FieldError),
    /// There is no node. Cannot happen.
    #[error("no node is named")]
    Nobody,
}

impl From<Status> for SubmitError {
    fn from(status: Status) -> Self {
        Self::Node(Box::new(status))
    }
}

impl SubmitError {
    /// Whether the same call may succeed later.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Node(status) => matches!(
                status.code(),
                Code::Unavailable
                    | Code::ResourceExhausted
                    | Code::DeadlineExceeded
                    | Code::Cancelled
                    | Code::Unknown
            ),
            Self::Malformed(_) | Self::Nobody => false,
        }
    }

    /// Whether any node would say the same: it is what was asked that is wrong.
    fn is_of_the_request(&self) -> bool {
        match self {
            Self::Node(status) => {
                matches!(status.code(), Code::InvalidArgument | Code::OutOfRange)
            }
            Self::Malformed(_) | Self::Nobody => false,
        }
    }
}

/// How a transaction that was submitted ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// In a final block.
    Final {
        /// The block's height.
        height: Height,
        /// Its place in the block, from 0.
        index: u32,
    },
    /// It will not be executed as it is.
    Rejected {
        /// A stable name of the rule that it breaks.
        code: String,
        /// What is wrong, for people.
        reason: String,
    },
}

/// Submits transactions to one of several nodes. Cheap to clone.
///
/// The first node is used as long as it answers, then the next; the same bytes are harmless
/// whoever gets them, and however often. No node is believed alone that a transaction is rejected,
/// if there are others: one that lags behind does not know better, and one that lies could keep a
/// bank from paying.
#[derive(Debug, Clone)]
pub struct Submitter {
    nodes: Nodes,
    /// The place of the node that is asked first.
    first: Arc<AtomicUsize>,
}

impl Submitter {
    /// To these nodes, which are connected when they are first used.
    pub fn new(nodes: &Nodes) -> Self {
        Self { nodes: nodes.clone(), first: Arc::default() }
    }

    /// Submits once: to the first node that answers. The same bytes again are harmless.
    pub async fn submit(
        &self,
        transaction: &Transaction,
    ) -> Result<TransactionStatus, SubmitError> {
        let (node, status) = self.submit_to_first(transaction).await?;
        Ok(self.confirmed(&node, transaction, status).await)
    }

    /// What the first node says that answers.
    async fn submit_to_first(
        &self,
        transaction: &Transaction,
    ) -> Result<(Arc<Node>, TransactionStatus), SubmitError> {
        let mut failure = SubmitError::Nobody;
        for node in self.in_order() {
            match submit_to(&node, transaction).await {
                Ok(status) => return Ok((node, status)),
                Err(error) if error.is_of_the_request() => return Err(error),
                Err(error) => {
                    self.turn_from(&node);
                    failure = error;
                }
            }
        }
        Err(failure)
    }

    /// What one node says, unless it is a rejection that others do not repeat: then, what they say.
    async fn confirmed(
        &self,
        by: &Node,
        transaction: &Transaction,
        status: TransactionStatus,
    ) -> TransactionStatus {
        let TransactionStatus::Rejected { .. } = status else { return status };
        let mut otherwise = None;
        for node in self.in_order().into_iter().filter(|node| !node.is(by)) {
            match ask(&node, transaction).await {
                Ok(TransactionStatus::Rejected { .. }) => return status,
                Ok(end @ TransactionStatus::Final { .. }) => {
                    tracing::warn!(node = %by.target(), "rejects what is final");
                    return end;
                }
                Ok(waits) => otherwise = Some(waits),
                Err(_) => {}
            }
        }
        otherwise.unwrap_or(status)
    }

    /// Where a transaction stands, as one node says; waits at most `wait_ms` (30,000 at most) for its
    /// end.
    pub async fn status(
        &self,
        id: TransactionId,
        wait_ms: u32,
    ) -> Result<TransactionStatus, SubmitError> {
        self.status_at_first(id, wait_ms).await.map(|(_, status)| status)
    }

    async fn status_at_first(
        &self,
        id: TransactionId,
        wait_ms: u32,
    ) -> Result<(Arc<Node>, TransactionStatus), SubmitError> {
        let mut failure = SubmitError::Nobody;
        for node in self.in_order() {
            match status_at(&node, id, wait_ms).await {
                Ok(status) => return Ok((node, status)),
                Err(error) if error.is_of_the_request() => return Err(error),
                Err(error) => {
                    self.turn_from(&node);
                    failure = error;
                }
            }
        }
        Err(failure)
    }

    /// Where a transaction stands that was submitted so long ago. If it still waits after
    /// [`HELD`], another node gets it, too: the first one may keep it to itself.
    pub async fn look_after(
        &self,
        transaction: &Transaction,
        submitted: Duration,
    ) -> Result<TransactionStatus, SubmitError> {
        let (node, status) = self.status_at_first(transaction.id(), 0).await?;
        let held = matches!(status, TransactionStatus::Pending { .. }) && submitted >= HELD;
        match held && self.nodes.count() > 1 {
            true => {
                self.turn_from(&node);
                self.submit(transaction).await
            }
            false => Ok(self.confirmed(&node, transaction, status).await),
        }
    }

    /// Submits, and waits until the transaction is final or rejected. Nodes that are away, too busy,
    /// have forgotten or hold it back are tried again, one after the other, without end: whoever
    /// cannot wait sets a timeout, and may drop this future at any time. An error is one that no
    /// repetition helps against.
    pub async fn settle(&self, transaction: &Transaction) -> Result<Outcome, SubmitError> {
        let mut pause = PAUSES.0;
        loop {
            match self.attempt(transaction).await {
                Ok(Some(outcome)) => return Ok(outcome),
                Ok(None) => pause = PAUSES.0,
                Err(error) if error.is_passing() => {
                    tracing::warn!(%error, "a transaction is submitted again");
                }
                Err(error) => return Err(error),
            }
            sleep(pause).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    /// Submits, and waits as long as the node is willing to, or until another should be asked.
    async fn attempt(&self, transaction: &Transaction) -> Result<Option<Outcome>, SubmitError> {
        let (node, mut status) = self.submit_to_first(transaction).await?;
        if matches!(status, TransactionStatus::Pending { .. } | TransactionStatus::Unknown) {
            let wait_ms = if self.nodes.count() == 1 { WAIT_MS } else { HELD.as_millis() as u32 };
            status = status_at(&node, transaction.id(), wait_ms).await?;
        }
        Ok(match self.confirmed(&node, transaction, status).await {
            TransactionStatus::Final { height, index } => Some(Outcome::Final { height, index }),
            TransactionStatus::Rejected { code, reason } => {
                Some(Outcome::Rejected { code, reason })
            }
            TransactionStatus::Unknown | TransactionStatus::Pending { .. } => {
                self.turn_from(&node);
                None
            }
        })
    }

    fn in_order(&self) -> Vec<Arc<Node>> {
        self.nodes.starting_at(self.first.load(Ordering::Relaxed))
    }

    /// A node is not asked first any more.
    fn turn_from(&self, node: &Node) {
        self.first.store(node.next_place(), Ordering::Relaxed);
    }
}

/// Submits to one node.
async fn submit_to(
    node: &Node,
    transaction: &Transaction,
) -> Result<TransactionStatus, SubmitError> {
    let request = SubmitRequest { transaction: transaction.to_bytes() };
    let mut client = node.client();
    let response = timeout(ANSWER, client.submit(request)).await.map_err(|_| late())??;
    Ok(response.into_inner().status.try_into()?)
}

/// Where a transaction stands, as one node says within `wait_ms` and some time for the way.
async fn status_at(
    node: &Node,
    id: TransactionId,
    wait_ms: u32,
) -> Result<TransactionStatus, SubmitError> {
    let request = TransactionStatusRequest { transaction_id: id.to_bytes(), wait_ms };
    let within = ANSWER.saturating_add(Duration::from_millis(wait_ms.into()));
    let mut client = node.client();
    let response =
        timeout(within, client.transaction_status(request)).await.map_err(|_| late())??;
    Ok(response.into_inner().status.try_into()?)
}

/// Where a transaction stands, as one node says that may not have got it yet: then it gets it.
async fn ask(node: &Node, transaction: &Transaction) -> Result<TransactionStatus, SubmitError> {
    match status_at(node, transaction.id(), 0).await? {
        TransactionStatus::Unknown => submit_to(node, transaction).await,
        status => Ok(status),
    }
}

fn late() -> Status {
    Status::deadline_exceeded(format!("nothing for {ANSWER:?}"))
}

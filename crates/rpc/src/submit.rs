//! Bringing transactions to a node, and learning what became of them.

use std::time::Duration;

use quittance_crypto::encoding::Encode;
use quittance_ledger::ids::{Height, TransactionId};
use quittance_ledger::transaction::Transaction;
use thiserror::Error;
use tokio::time::sleep;
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::client::{ConnectError, Dialer};
use crate::config::Target;
use crate::convert::{FieldError, TransactionStatus};
use crate::proto::node::v1::node_client::NodeClient;
use crate::proto::node::v1::{SubmitRequest, TransactionStatusRequest};

/// How long a node is asked to wait for a transaction's end at a time.
const WAIT_MS: u32 = 30_000;

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
            Self::Malformed(_) => false,
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

/// Submits transactions to one node. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Submitter {
    client: NodeClient<Channel>,
}

impl Submitter {
    /// To this node; connects when it is first used.
    pub fn new(dialer: &Dialer, node: &Target) -> Result<Self, ConnectError> {
        Ok(Self { client: dialer.node(node)? })
    }

    /// Submits once. The same bytes again are harmless.
    pub async fn submit(
        &self,
        transaction: &Transaction,
    ) -> Result<TransactionStatus, SubmitError> {
        let request = SubmitRequest { transaction: transaction.to_bytes() };
        let response = self.client.clone().submit(request).await?.into_inner();
        Ok(response.status.try_into()?)
    }

    /// Where a transaction stands; waits at most `wait_ms` (30,000 at most) for its end.
    pub async fn status(
        &self,
        id: TransactionId,
        wait_ms: u32,
    ) -> Result<TransactionStatus, SubmitError> {
        let request = TransactionStatusRequest { transaction_id: id.to_bytes(), wait_ms };
        let response = self.client.clone().transaction_status(request).await?.into_inner();
        Ok(response.status.try_into()?)
    }

    /// Submits, and waits until the transaction is final or rejected. A node that is away, too busy
    /// or has forgotten is tried again without end: whoever cannot wait sets a timeout, and may
    /// drop this future at any time. An error is one that no repetition helps against.
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

    /// Submits, and waits as long as the node is willing to.
    async fn attempt(&self, transaction: &Transaction) -> Result<Option<Outcome>, SubmitError> {
        let id = transaction.id();
        let mut status = self.submit(transaction).await?;
        if matches!(status, TransactionStatus::Pending { .. } | TransactionStatus::Unknown) {
            status = self.status(id, WAIT_MS).await?;
        }
        Ok(match status {
            TransactionStatus::Final { height, index } => Some(Outcome::Final { height, index }),
            TransactionStatus::Rejected { code, reason } => {
                Some(Outcome::Rejected { code, reason })
            }
            TransactionStatus::Unknown | TransactionStatus::Pending { .. } => None,
        })
    }
}

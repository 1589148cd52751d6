//! Receipts over the wire: what is asked of a node, and whether it answers that.

use std::sync::Arc;

use quittance_crypto::encoding::Encode;
use quittance_ledger::ids::{AccountId, Height, TransactionId};
use quittance_ledger::receipt::{self, Checkpoint, Claim, NamedTransaction, Receipt};
use thiserror::Error;
use tonic::Status;
use tonic::transport::Channel;

use crate::convert::{FieldError, decode, text};
use crate::nodes::{Node, Nodes};
use crate::proto::node::v1 as node;
use crate::proto::node::v1::node_client::NodeClient;
use crate::proto::node::v1::receipt_request as wire;

/// What a receipt is to be about, and from where it will be verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Query {
    /// What it is to be about.
    pub subject: Subject,
    /// Height of the checkpoint that it will be verified from; 0 for the genesis.
    pub from: Height,
}

/// What a receipt can be about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// A final transaction.
    Transaction {
        /// Which one.
        id: TransactionId,
        /// Whether the receipt is to hold all of it, and not its id alone.
        complete: bool,
    },
    /// An account at the tip.
    Account(AccountId),
}

/// Why a receipt did not come.
#[derive(Debug, Error)]
pub enum ReceiptError {
    /// The node refuses.
    #[error("the node answers: {0}")]
    Node(Box<Status>),
    /// What it sends does not decode.
    #[error("the node sends a malformed receipt: {0}")]
    Malformed(#[from] FieldError),
    /// It is of something else.
    #[error("the node sends a receipt of something else")]
    Another,
    /// It does not prove it.
    #[error("the node sends a receipt that does not hold: {0}")]
    Unproven(#[from] receipt::ReceiptError),
}

impl From<Status> for ReceiptError {
    fn from(status: Status) -> Self {
        Self::Node(Box::new(status))
    }
}

impl From<&Query> for node::ReceiptRequest {
    fn from(query: &Query) -> Self {
        let (subject, id_only) = match query.subject {
            Subject::Transaction { id, complete } => {
                (wire::Subject::TransactionId(id.to_bytes()), !complete)
            }
            Subject::Account(AccountId { institution, asset }) => {
                let (institution, asset) = (institution.to_string(), asset.to_string());
                (wire::Subject::Account(node::AccountRequest { institution, asset }), false)
            }
        };
        Self { subject: Some(subject), id_only, from_height: query.from.0 }
    }
}

impl TryFrom<&node::ReceiptRequest> for Query {
    type Error = FieldError;

    fn try_from(request: &node::ReceiptRequest) -> Result<Self, FieldError> {
        let subject = match &request.subject {
            None => return Err(FieldError::new("subject", "is missing")),
            Some(wire::Subject::TransactionId(id)) => {
                let id = decode("transaction_id", id)?;
                Subject::Transaction { id, complete: !request.id_only }
            }
            Some(wire::Subject::Account(_)) if request.id_only => {
                return Err(FieldError::new("id_only", "is for transactions"));
            }
            Some(wire::Subject::Account(account)) => Subject::Account(AccountId {
                institution: text("account.institution", &account.institution)?,
                asset: text("account.asset", &account.asset)?,
            }),
        };
        Ok(Self { subject, from: Height(request.from_height) })
    }
}

impl Query {
    /// Whether `receipt` claims something of what was asked for, and nothing else.
    pub fn is_answered_by(&self, receipt: &Receipt) -> bool {
        let [claim] = &receipt.claims[..] else { return false };
        match (self.subject, claim) {
            (Subject::Transaction { id, complete }, Claim::Transaction { transaction, .. }) => {
                let all = matches!(transaction, NamedTransaction::Complete(_));
                transaction.id() == id && all == complete
            }
            (Subject::Account(asked), Claim::Account { id, .. }) => asked == *id,
            _ => false,
        }
    }
}

/// A receipt from a node. It is of what was asked for; whether it proves it is for the caller to
/// verify.
pub async fn fetch(
    client: &mut NodeClient<Channel>,
    query: &Query,
) -> Result<Receipt, ReceiptError> {
    let answer = client.receipt(node::ReceiptRequest::from(query)).await?.into_inner();
    let receipt: Receipt = decode("receipt", &answer.receipt)?;
    match query.is_answered_by(&receipt) {
        true => Ok(receipt),
        false => Err(ReceiptError::Another),
    }
}

/// A receipt that proves what was asked for to whoever trusts `root`, whose height is that of the
/// query: from the first node that sends one.
pub async fn fetch_verified(
    nodes: &Nodes,
    query: Query,
    root: Checkpoint,
) -> Result<Receipt, ReceiptError> {
    let root = Arc::new(root);
    let mut failure = ReceiptError::from(Status::unavailable("no node is named"));
    for node in nodes.starting_at(0) {
        match fetch_from(&node, &query, &root).await {
            Ok(receipt) => return Ok(receipt),
            Err(error) => {
                tracing::warn!(node = %node.target(), %error, "no receipt");
                failure = error;
            }
        }
    }
    Err(failure)
}

async fn fetch_from(
    node: &Node,
    query: &Query,
    root: &Arc<Checkpoint>,
) -> Result<Receipt, ReceiptError> {
    let (receipt, root) = (fetch(&mut node.client(), query).await?, root.clone());
    let verify = move || -> Result<Receipt, ReceiptError> {
        receipt.verify(&root)?;
        Ok(receipt)
    };
    let verified = tokio::task::spawn_blocking(verify);
    let failed = |_| Status::internal("the verification has panicked");
    verified.await.map_err(failed)?
}

#[cfg(test)]
mod tests {
    use super::*;
    use quittance_crypto::digest::Digest;

    fn queries() -> [Query; 3] {
        let id = TransactionId(Digest([7; 32]));
        let account =
            AccountId { institution: "AAAABE01".parse().unwrap(), asset: "EUR".parse().unwrap() };
        [
            Query { subject: Subject::Transaction { id, complete: true }, from: Height(0) },
            Query { subject: Subject::Transaction { id, complete: false }, from: Height(9) },
            Query { subject: Subject::Account(account), from: Height(3) },
        ]
    }

    #[test]
    fn a_query_says_the_same_on_the_wire() {
        for query in queries() {
            assert_eq!(Query::try_from(&node::ReceiptRequest::from(&query)), Ok(query));
        }
    }

    #[test]
    fn a_query_of_nothing_or_of_both_kinds_is_refused() {
        let field = |request: &node::ReceiptRequest| Query::try_from(request).unwrap_err().field;
        let [transaction, _, account] = queries().map(|query| node::ReceiptRequest::from(&query));
        assert_eq!(field(&node::ReceiptRequest::default()), "subject");
        assert_eq!(field(&node::ReceiptRequest { id_only: true, ..account.clone() }), "id_only");
        let short = Some(wire::Subject::TransactionId(vec![7; 31]));
        assert_eq!(
            field(&node::ReceiptRequest { subject: short, ..transaction }),
            "transaction_id"
        );
        let nobody = node::AccountRequest { institution: "x".into(), asset: "EUR".into() };
        let nobody = Some(wire::Subject::Account(nobody));
        assert_eq!(
            field(&node::ReceiptRequest { subject: nobody, ..account }),
            "account.institution"
        );
    }
}

//! Receipts of payments: what shows to others that one is final.
//!
//! A validator makes the receipt. The agent verifies it from the genesis, and compares it with what
//! it has read of the chain itself, before the bank gets it.

use quittance_crypto::encoding::Encode;
use quittance_ledger::ids::{Height, TransactionId, Uetr};
use quittance_ledger::receipt::{Checkpoint, Receipt};
use quittance_rpc::proto::agent::v1 as api;
use quittance_rpc::proto::agent::v1::statement_line::Kind;
use quittance_rpc::receipt::{self, Query, ReceiptError, Subject};
use tonic::{Code, Status};

use crate::core::{Core, Failure, Handle, View};
use crate::store::{PaymentState, State, Store, What};

/// Where a payment is on the ledger.
struct Settled {
    transaction: TransactionId,
    height: Height,
}

/// A receipt of the payment with this UETR, made by this institution or received.
pub(crate) async fn of_payment(
    core: &Handle,
    view: &View,
    uetr: Uetr,
) -> Result<api::PaymentReceiptResponse, Status> {
    let settled = core.call(move |core| core.settled(uetr)).await?;
    let Settled { transaction, height } = match settled {
        Some(settled) => settled,
        None => received(view, uetr).await?,
    };
    let subject = Subject::Transaction { id: transaction, complete: true };
    let query = Query { subject, from: Height::GENESIS };
    let root = Checkpoint::genesis(&view.setting.genesis);
    let receipt = receipt::fetch_verified(&view.setting.nodes, query, root).await;
    let receipt: Receipt = receipt.map_err(refusal)?;
    if receipt.header.height != height {
        let found = receipt.header.height;
        let text = format!("the node shows the payment in block {found}; it is in block {height}");
        return Err(Status::data_loss(text));
    }
    Ok(api::PaymentReceiptResponse {
        receipt: receipt.to_bytes(),
        height: height.0,
        transaction_id: transaction.to_string(),
    })
}

/// What the bank is told of a receipt that did not come.
fn refusal(error: ReceiptError) -> Status {
    let code = match &error {
        ReceiptError::Node(status) if status.code() == Code::FailedPrecondition => {
            Code::FailedPrecondition
        }
        ReceiptError::Node(_) => Code::Unavailable,
        ReceiptError::Malformed(_) | ReceiptError::Another | ReceiptError::Unproven(_) => {
            Code::DataLoss
        }
    };
    Status::new(code, error.to_string())
}

/// A payment that was received, and not made by this institution.
async fn received(view: &View, uetr: Uetr) -> Result<Settled, Status> {
    let store = view.store.clone();
    let line = tokio::task::spawn_blocking(move || store.line_of(&uetr)).await;
    let failed = |error: String| Status::internal(format!("the agent's store: {error}"));
    let line = line.map_err(|error| failed(error.to_string()))?;
    let institution = view.setting.institution;
    match line.map_err(|error| failed(error.to_string()))? {
        Some(line) => in_line(&line).map_err(|error| failed(error.message().to_owned())),
        None => Err(Status::not_found(format!(
            "uetr: {institution} has neither made nor received a payment {uetr}"
        ))),
    }
}

fn in_line(line: &api::StatementLine) -> Result<Settled, Status> {
    let transaction = quittance_rpc::convert::text("transaction_id", &line.transaction_id)?;
    Ok(Settled { transaction, height: Height(line.height) })
}

impl Core {
    /// Where an instruction of the bank is on the ledger; `None` if there is no such instruction.
    fn settled(&self, uetr: Uetr) -> Result<Option<Settled>, Failure> {
        self.check_caught_up()?;
        let Some(instruction) = self.store.instruction(&uetr)? else { return Ok(None) };
        if let What::Payment { place, .. } = instruction.what {
            return self.settled_payment(uetr, place).map(Some);
        }
        match instruction.state {
            State::Final { transaction, height } => Ok(Some(Settled { transaction, height })),
            State::Failed { reason } => Err(not_final(uetr, &format!("it has failed: {reason}"))),
            State::Accepted | State::Submitted { .. } => Err(not_final(uetr, "it is under way")),
        }
    }

    /// Where the payment at this place of the queue was settled.
    fn settled_payment(&self, uetr: Uetr, place: u64) -> Result<Settled, Failure> {
        let payment = self.store.payment(place)?;
        let payment = payment.ok_or_else(|| not_final(uetr, "it is not in the queue"))?;
        let height = match payment.state {
            PaymentState::Settled { height, .. } => height,
            PaymentState::Queued => return Err(not_final(uetr, "it waits for a round")),
            PaymentState::InRound(_) => return Err(not_final(uetr, "it is in a round")),
            PaymentState::Cancelled => {
                return Err(not_final(uetr, "it was taken out of the queue"));
            }
        };
        let settlement = self.store.settlement(payment.asset, height)?;
        let line = settlement.ok_or_else(|| {
            Failure::from(Status::internal(format!("block {height} has no settlement of ours")))
        })?;
        Ok(in_line(&line)?)
    }
}

fn not_final(uetr: Uetr, why: &str) -> Failure {
    Status::failed_precondition(format!("uetr: payment {uetr} is not final: {why}")).into()
}

impl Store {
    /// The line of the settlement of one account at a height.
    fn settlement(
        &self,
        asset: quittance_ledger::ids::AssetId,
        height: Height,
    ) -> Result<Option<api::StatementLine>, quittance_storage::StorageError> {
        let lines = self.lines(asset, height, SETTLEMENT_WITHIN)?;
        let mut lines = lines.into_iter().take_while(|line| line.height == height.0);
        Ok(lines.find(|line| line.kind() == Kind::Settled))
    }
}

/// Lines of one account in one block.
const SETTLEMENT_WITHIN: usize = 10_000;

//! A payment's receipt as a file.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use quittance_ledger::ids::Uetr;
use quittance_ledger::receipt::{Receipt, ReceiptFile};
use quittance_rpc::convert::decode;
use quittance_rpc::proto::agent::v1 as api;
use quittance_rpc::proto::agent::v1::agent_client::AgentClient;
use tonic::transport::Channel;

use super::ClientError;

/// Asks for the receipt of a payment, and makes the file. Returns what the caller is told.
pub(super) async fn export(
    mut agent: AgentClient<Channel>,
    uetr: Uetr,
    out: &Path,
) -> Result<String, ClientError> {
    let request = api::PaymentReceiptRequest { uetr: uetr.to_string() };
    let answer = agent.payment_receipt(request).await?.into_inner();
    let receipt: Receipt = decode("receipt", &answer.receipt)?;
    write(out, &ReceiptFile::new(receipt))?;
    let api::PaymentReceiptResponse { height, transaction_id, .. } = answer;
    Ok(format!(
        "payment {uetr}: transaction {transaction_id}, final in block {height}\n\
         written to {out}; whoever has the chain's genesis verifies it with\n\
         quittance-audit receipt verify {out} --genesis genesis.json\n",
        out = out.display()
    ))
}

/// Writes a file that is not there yet.
fn write(path: &Path, file: &ReceiptFile) -> Result<(), ClientError> {
    let failed = |reason: String| ClientError::Write { path: path.to_owned(), reason };
    let text = serde_json::to_string_pretty(file).map_err(|error| failed(error.to_string()))?;
    let created = File::create_new(path).map_err(|error| failed(error.to_string()))?;
    let written = (&created).write_all((text + "\n").as_bytes());
    written.and_then(|()| created.sync_all()).map_err(|error| failed(error.to_string()))
}

//! Receipts of what is final.

use quittance_crypto::encoding::{Decode, Encode, Reader};
use quittance_ledger::block::{Block, Header};
use quittance_ledger::certificate::Certificate;
use quittance_ledger::ids::{AccountId, Height, TransactionId};
use quittance_ledger::receipt::{Claim, MAX_RECEIPT_BYTES, MAX_SET_CHANGES, Receipt, SetChange};
use quittance_rpc::receipt::{Query, Subject};
use quittance_storage::StoredBlock;
use tonic::Status;

use crate::core::Core;
use crate::service::internal;

/// Receipts that are made at a time: a transaction's takes its whole block to be decoded.
pub(crate) const AT_ONCE: usize = 1;

/// What shows what was asked for. Blocks its thread.
pub(crate) fn make(core: &Core, query: &Query) -> Result<Receipt, Status> {
    let (header, certificate, claim) = match query.subject {
        Subject::Transaction { id, complete } => of_transaction(core, &id, complete)?,
        Subject::Account(id) => of_account(core, id)?,
    };
    if query.from >= header.height {
        let text = format!("from_height: the receipt is of block {}", header.height);
        return Err(Status::invalid_argument(text));
    }
    let changes = set_changes(core, query.from, header.height)?;
    let receipt = Receipt::new(changes, header, certificate, vec![claim]);
    match receipt.to_bytes().len() {
        0..=MAX_RECEIPT_BYTES => Ok(receipt),
        _ => Err(too_many_changes(query.from)),
    }
}

/// The changes of the validators after one block and before another: whoever knows the first block
/// learns from them who decided the second.
fn set_changes(core: &Core, after: Height, before: Height) -> Result<Vec<SetChange>, Status> {
    let changes = core.store.set_changes(after, before, MAX_SET_CHANGES + 1).map_err(internal)?;
    if changes.len() > MAX_SET_CHANGES {
        return Err(too_many_changes(after));
    }
    let with_proof = changes.into_iter().map(|(height, validators)| {
        let stored = stored(core, height)?;
        let header = Header::decode(&mut Reader::new(&stored.block)).map_err(internal)?;
        let certificate = Certificate::from_bytes(&stored.certificate).map_err(internal)?;
        Ok(SetChange { header, certificate, validators })
    });
    with_proof.collect()
}

fn too_many_changes(from: Height) -> Status {
    Status::failed_precondition(format!(
        "the validators have changed more often since block {from} than a receipt can show \
         ({MAX_SET_CHANGES} changes and {MAX_RECEIPT_BYTES} bytes): begin from a later checkpoint"
    ))
}

fn of_transaction(
    core: &Core,
    id: &TransactionId,
    complete: bool,
) -> Result<(Header, Certificate, Claim), Status> {
    let location = core.store.transaction(id).map_err(internal)?;
    let (height, index) =
        location.ok_or_else(|| Status::not_found("the transaction is in no block"))?;
    let stored = stored(core, height)?;
    let block = Block::from_bytes(&stored.block).map_err(internal)?;
    let certificate = Certificate::from_bytes(&stored.certificate).map_err(internal)?;
    let claim = match complete {
        true => Claim::of_transaction(&block, index as usize),
        false => Claim::of_transaction_id(&block, index as usize),
    };
    let claim =
        claim.ok_or_else(|| internal(format_args!("block {height} has no transaction {index}")))?;
    Ok((block.header, certificate, claim))
}

fn of_account(core: &Core, id: AccountId) -> Result<(Header, Certificate, Claim), Status> {
    let view = core.view();
    let (header, certificate) =
        view.last.clone().ok_or_else(|| Status::unavailable("there is no block yet"))?;
    let claim = Claim::of_account(&view.state, id);
    let claim = claim.ok_or_else(|| Status::internal("accounts have leaves"))?;
    Ok((header, certificate, claim))
}

fn stored(core: &Core, height: Height) -> Result<StoredBlock, Status> {
    let stored = core.store.block(height).map_err(internal)?;
    stored.ok_or_else(|| internal(format_args!("block {height} is missing")))
}

#[cfg(test)]
mod tests {
    use quittance_ledger::ids::{ChainId, Height};
    use quittance_ledger::receipt::Checkpoint;
    use tonic::Code;

    use super::*;
    use crate::testing::Fixture;

    fn transaction(id: TransactionId, from: u64) -> Query {
        Query { subject: Subject::Transaction { id, complete: true }, from: Height(from) }
    }

    #[test]
    fn receipts_of_what_is_final_are_verified_from_any_block_before() {
        let mut fixture = Fixture::new();
        fixture.block();
        let (terms, by) = (fixture.terms(), fixture.banks.issuer.id);
        let paid = fixture.banks.issuer.pays(terms, &[(&fixture.banks.a, 5)]);
        fixture.submit(&paid, by);
        let block = fixture.block();
        let id = paid.id();
        assert!(block.transactions.iter().any(|transaction| transaction.id() == id));
        let root = Checkpoint::genesis(&fixture.core.genesis);
        let receipt = make(&fixture.core, &transaction(id, 0)).unwrap();
        assert!(receipt.verify(&root).is_ok());
        assert!(make(&fixture.core, &transaction(id, 1)).is_ok());
        let account = Subject::Account(fixture.banks.issuer.account());
        let receipt = make(&fixture.core, &Query { subject: account, from: Height(0) }).unwrap();
        assert!(receipt.verify(&root).is_ok());
        let elsewhere = Checkpoint { chain: ChainId(id.0), ..root };
        assert!(receipt.verify(&elsewhere).is_err());

        let code = |query: Query| make(&fixture.core, &query).unwrap_err().code();
        assert_eq!(code(transaction(id, 2)), Code::InvalidArgument);
        let unknown = TransactionId(fixture.chain().0);
        assert_eq!(code(transaction(unknown, 0)), Code::NotFound);
    }
}

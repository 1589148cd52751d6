//! Receipts come from a node as they were asked for, or not at all.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test stops where its assumption fails")]

mod common;

use common::*;
use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::Encode;
use quittance_crypto::signature::Suite;
use quittance_ledger::block::Header;
use quittance_ledger::certificate::Certificate;
use quittance_ledger::ids::{AccountId, BlockId, ChainId, Height, Timestamp, TransactionId};
use quittance_ledger::merkle;
use quittance_ledger::receipt::{Claim, NamedTransaction, Receipt};
use quittance_rpc::limits::Limits;
use quittance_rpc::receipt::{Query, ReceiptError, Subject, fetch};

const ZERO: Digest = Digest::ZERO;

fn asked(number: u8) -> TransactionId {
    TransactionId(Digest([number; 32]))
}

/// A receipt that nobody has signed.
fn receipt(number: u8) -> Receipt {
    let header = Header {
        suite: Suite::MlDsa65MlKem768,
        chain: ChainId(ZERO),
        height: Height(3),
        parent: BlockId(ZERO),
        transactions_root: ZERO,
        state_root: ZERO,
        time: Timestamp(3),
        validators: ZERO,
        next_validators: ZERO,
    };
    let (height, block) = (header.height, header.id());
    let certificate = Certificate { height, round: 0, block, signatures: vec![] };
    let claim = Claim::Transaction {
        transaction: NamedTransaction::Id(asked(number)),
        path: merkle::Proof::new(&[ZERO], 0).unwrap(),
    };
    Receipt::new(vec![], header, certificate, vec![claim])
}

async fn fetched(receipt: Vec<u8>, subject: Subject) -> Result<Receipt, ReceiptError> {
    let network = Network::start(Limits::default(), Fake { receipt, ..Fake::default() }).await;
    fetch(&mut network.node("BANKDEFF"), &Query { subject, from: Height(0) }).await
}

#[tokio::test]
async fn a_receipt_of_what_was_asked_for_comes() {
    let subject = Subject::Transaction { id: asked(1), complete: false };
    assert_eq!(fetched(receipt(1).to_bytes(), subject).await.unwrap(), receipt(1));
}

#[tokio::test]
async fn receipts_of_something_else_and_malformed_ones_are_refused() {
    let subject = Subject::Transaction { id: asked(1), complete: false };
    let other = fetched(receipt(2).to_bytes(), subject).await;
    assert!(matches!(other, Err(ReceiptError::Another)), "{other:?}");
    let complete = Subject::Transaction { id: asked(1), complete: true };
    let bare = fetched(receipt(1).to_bytes(), complete).await;
    assert!(matches!(bare, Err(ReceiptError::Another)), "{bare:?}");
    let account =
        AccountId { institution: "BANKDEFF".parse().unwrap(), asset: "EUR".parse().unwrap() };
    let kind = fetched(receipt(1).to_bytes(), Subject::Account(account)).await;
    assert!(matches!(kind, Err(ReceiptError::Another)), "{kind:?}");
    let longer = fetched([&receipt(1).to_bytes()[..], &[0]].concat(), subject).await;
    assert!(matches!(longer, Err(ReceiptError::Malformed(_))), "{longer:?}");
}

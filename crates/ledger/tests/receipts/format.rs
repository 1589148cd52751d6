//! Bytes and files.

use quittance_crypto::encoding::{Decode, Encode, Problem};
use quittance_ledger::receipt::{
    Checkpoint, Claim, MAX_CLAIMS, MAX_RECEIPT_BYTES, Receipt, ReceiptFile,
};

use crate::WORLD;

#[test]
fn a_receipt_has_one_encoding() {
    let receipt = WORLD.complete();
    let bytes = receipt.to_bytes();
    assert_eq!(Receipt::from_bytes(&bytes).as_ref(), Ok(&receipt));
    for end in (0..bytes.len()).step_by(7) {
        assert!(Receipt::from_bytes(&bytes[..end]).is_err(), "{end}");
    }
    let longer = [&bytes[..], &[0]].concat();
    assert_eq!(Receipt::from_bytes(&longer).unwrap_err().problem, Problem::Trailing(1));
    let mut versioned = bytes;
    versioned[0] = 2;
    assert!(Receipt::from_bytes(&versioned).is_err());
}

#[test]
fn claims_are_in_order_different_and_not_too_many() {
    let good = WORLD.complete();
    let refused = |claims: Vec<Claim>| {
        let receipt = Receipt { claims, ..good.clone() };
        Receipt::from_bytes(&receipt.to_bytes()).is_err()
    };
    assert!(!refused(good.claims.clone()));
    assert!(refused(vec![]));
    assert!(refused(good.claims.iter().rev().cloned().collect()));
    assert!(refused(vec![good.claims[0].clone(), good.claims[0].clone()]));
    let accounts = |count: usize| {
        let claims = (0..count as u8).map(|number| WORLD.account(8, number)).collect();
        WORLD.receipt(8, claims)
    };
    assert!(Receipt::from_bytes(&accounts(MAX_CLAIMS).to_bytes()).is_ok());
    assert!(Receipt::from_bytes(&accounts(MAX_CLAIMS + 1).to_bytes()).is_err());
    // The order in which they are given does not matter.
    let given = good.claims.iter().rev().cloned().collect();
    assert_eq!(WORLD.receipt(8, given), good);
}

#[test]
fn a_receipt_above_the_bound_is_refused_before_it_is_read() {
    let error = Receipt::from_bytes(&vec![1; MAX_RECEIPT_BYTES + 1]).unwrap_err();
    let (found, limit) = (MAX_RECEIPT_BYTES + 1, MAX_RECEIPT_BYTES);
    assert_eq!(error.problem, Problem::TooLong { found, limit });
}

#[test]
fn a_file_holds_the_bytes_and_says_what_they_say() {
    let file = ReceiptFile::new(WORLD.complete());
    let text = serde_json::to_string(&file).unwrap();
    assert_eq!(serde_json::from_str::<ReceiptFile>(&text).unwrap(), file);
    assert_eq!(file.summary.set_changes, 2);
    assert_eq!(file.summary.claims.len(), 4);
    let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
    value["receipt"] = hex::encode([file.receipt.to_bytes(), vec![0]].concat()).into();
    assert!(serde_json::from_value::<ReceiptFile>(value.clone()).is_err());
    value["more"] = 1.into();
    assert!(serde_json::from_value::<ReceiptFile>(value).is_err());
}

#[test]
fn a_checkpoint_has_one_encoding_and_one_digest() {
    let checkpoint = WORLD.checkpoint(4);
    let bytes = checkpoint.to_bytes();
    assert_eq!(Checkpoint::from_bytes(&bytes).as_ref(), Ok(&checkpoint));
    for place in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[place] ^= 1 << (place % 8);
        let same = |other: Checkpoint| other.digest() == checkpoint.digest();
        assert!(!Checkpoint::from_bytes(&changed).is_ok_and(same), "{place}");
    }
    let text = serde_json::to_string(&checkpoint).unwrap();
    assert_eq!(serde_json::from_str::<Checkpoint>(&text).unwrap(), checkpoint);
}

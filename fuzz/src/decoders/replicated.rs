//! What validators say to each other, and what shows others what they have decided.

use quittance_audit::receipt;
use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, Encode, Reader};
use quittance_ledger::evidence::Evidence;
use quittance_ledger::ids::ChainId;
use quittance_ledger::receipt::{Checkpoint, Receipt, ReceiptFile};

use crate::wire::Frame;

/// A root and a receipt: the verifier of agents and that of the auditor come to one verdict.
pub fn rooted_receipt(bytes: &[u8]) -> bool {
    let mut input = Reader::new(bytes);
    let Ok(root) = Checkpoint::decode(&mut input) else { return false };
    let Ok(found) = Receipt::decode(&mut input) else { return false };
    if input.finish().is_err() {
        return false;
    }
    assert_eq!([root.to_bytes(), found.to_bytes()].concat(), bytes);
    let ours = found.verify(&root).is_ok();
    let theirs = receipt::verify(&found, &root).is_ok();
    assert_eq!(ours, theirs, "the two verifiers disagree");
    ours
}

/// What JSON says can also be said in JSON again.
pub fn receipt_file(bytes: &[u8]) -> bool {
    let Ok(file) = serde_json::from_slice::<ReceiptFile>(bytes) else { return false };
    let text = serde_json::to_vec(&file).expect("what was read can be written");
    let again: ReceiptFile = serde_json::from_slice(&text).expect("what was written can be read");
    assert_eq!(again, file);
    true
}

/// What validators say to each other, of whatever chain the frame names.
pub fn consensus_frame(bytes: &[u8]) -> bool {
    let Some(chain) = bytes.get(2..).and_then(|rest| rest.first_chunk()) else { return false };
    let chain = ChainId(Digest(*chain));
    let Ok(frame) = Frame::from_frame(bytes, chain) else { return false };
    assert_eq!(frame.to_frame(chain), bytes, "accepted, and encoded to other bytes");
    assert!(frame.cost() > 0, "nobody pays for it");
    true
}

/// Evidence that is accepted can be made of its two statements in either order, and of no other.
pub fn equivocation(bytes: &[u8]) -> bool {
    let Ok(found) = Evidence::from_bytes(bytes) else { return false };
    assert_eq!(found.to_bytes(), bytes, "accepted, and encoded to other bytes");
    let [one, other] = found.statements().clone();
    assert_eq!(Evidence::new(found.institution(), other, one), Ok(found.clone()));
    let [one, _] = found.statements().clone();
    assert!(Evidence::new(found.institution(), one.clone(), one).is_err());
    true
}

//! Short receipts, each byte of which is changed.

use quittance_ledger::receipt::{Checkpoint, Claim, Receipt, SetChange};

use super::world::{World, certify, set};

/// One receipt for each kind of claim, on a chain of one validator who is followed by another.
pub fn receipts(world: &World) -> Vec<(Receipt, Checkpoint)> {
    let root = Checkpoint { validators: set(&[0]), ..world.root.clone() };
    let mut changing = world.header(4).clone();
    (changing.validators, changing.next_validators) = (set(&[0]).digest(), set(&[1]).digest());
    let certificate = certify(&changing, &[0]);
    let change = SetChange { header: changing, certificate, validators: set(&[1]) };
    let mut header = world.header(8).clone();
    header.validators = set(&[1]).digest();
    let certificate = certify(&header, &[1]);
    let of = |claim: Claim| {
        Receipt::new(vec![change.clone()], header.clone(), certificate.clone(), vec![claim])
    };
    let claims = [world.paid(8, 1), world.paid_id(8, 4), world.account(8, 2), world.account(8, 9)];
    claims.into_iter().map(|claim| (of(claim), root.clone())).collect()
}

/// Whether `changed` says of another account than `receipt` that it has no record, which is true:
/// one proof of absence serves all accounts that would lie in the same place.
pub fn denies_another(world: &World, receipt: &Receipt, changed: &Receipt) -> bool {
    let [Claim::Account { id: known, account: None, proof }] = &receipt.claims[..] else {
        return false;
    };
    let [Claim::Account { id, .. }] = &changed.claims[..] else { return false };
    let claim = Claim::Account { id: *id, account: None, proof: proof.clone() };
    let expected = Receipt { claims: vec![claim], ..receipt.clone() };
    id != known && *changed == expected && world.states[7].account(id).is_none()
}

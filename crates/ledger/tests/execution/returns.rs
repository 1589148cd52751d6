//! Rejection, refund and absorption exclude one another.

use quittance_crypto::digest::Digest;
use quittance_ledger::execute::ExecutionError;
use quittance_ledger::ids::{AccountId, CreditId, Height};
use quittance_ledger::state::{Changes, Event, EventKind, Limits, Record};
use quittance_ledger::transaction::{Action, CreditReturn, ReturnReason};

use crate::world::{BANKS, COORDINATOR, LIMITS, Net, account, id, key, post};

const A: &str = BANKS[0];
const B: &str = BANKS[1];
const C: &str = BANKS[2];

fn returned(credit: CreditId, holder: AccountId, by: &str, reason: ReturnReason) -> Action {
    let (by, key_fingerprint) = (id(by), key(by, "transaction"));
    Action::Return(CreditReturn { credit, holder, by, key_fingerprint, reason })
}

fn reject(credit: CreditId, holder: AccountId) -> Action {
    returned(credit, holder, holder.institution.as_str(), ReturnReason::Rejected)
}

fn refund(credit: CreditId, holder: AccountId, by: &str) -> Action {
    returned(credit, holder, by, ReturnReason::Refunded)
}

/// A has given B 10 at height 3; the net is at height 4.
fn given() -> (Net, CreditId, AccountId) {
    let mut net = Net::funded();
    let credits = net.pay("EUR", post(A).gives(B, 10));
    net.close();
    (net, credits[0], account(B, "EUR"))
}

#[test]
fn a_rejected_credit_pends_at_its_sender_and_can_be_absorbed_there() {
    let (mut net, credit, holder) = given();
    net.act(reject(credit, holder)).unwrap();
    net.close();
    assert!(net.state.pending(&holder).unwrap().is_empty());
    let back = net.state.pending(&account(A, "EUR")).unwrap().get(&credit).unwrap().clone();
    assert!(back.returned);
    assert_eq!((back.arrived, back.sender), (Height(4), id(A)));
    net.pay("EUR", post(A).takes(&[credit]));
    net.close();
    assert_eq!(net.balance(&account(A, "EUR")).value, 1_000);
}

#[test]
fn a_credit_goes_back_once() {
    let (mut net, credit, holder) = given();
    net.act(reject(credit, holder)).unwrap();
    let gone = ExecutionError::CreditNotPending { account: holder, credit };
    assert_eq!(net.act(reject(credit, holder)).err(), Some(gone.clone()), "in the same block");
    net.close();
    assert_eq!(net.act(reject(credit, holder)).err(), Some(gone), "later");
    // Nor can it be sent on from where it is now.
    let sender = account(A, "EUR");
    let error = ExecutionError::AlreadyReturned { account: sender, credit };
    assert_eq!(net.act(reject(credit, sender)).err(), Some(error.clone()));
    net.advance_to(Height(9));
    assert_eq!(net.act(refund(credit, sender, B)).err(), Some(error));
}

#[test]
fn what_was_absorbed_does_not_go_back() {
    let (mut net, credit, holder) = given();
    net.pay("EUR", post(B).takes(&[credit]));
    let gone = ExecutionError::CreditNotPending { account: holder, credit };
    assert_eq!(net.act(reject(credit, holder)).err(), Some(gone.clone()), "in the same block");
    net.advance_to(Height(9));
    assert_eq!(net.act(reject(credit, holder)).err(), Some(gone.clone()));
    assert_eq!(net.act(refund(credit, holder, A)).err(), Some(gone));
}

#[test]
fn what_went_back_is_not_absorbed_by_the_receiver() {
    let (mut net, credit, holder) = given();
    let absorb = net.draft("EUR", &[post(B).takes(&[credit])]);
    let absorb = net.entries(vec![absorb], |_| {});
    net.act(reject(credit, holder)).unwrap();
    let gone = ExecutionError::CreditNotPending { account: holder, credit };
    assert_eq!(net.submit(&absorb), Err(gone));
}

#[test]
fn a_refund_waits_for_its_height() {
    let (mut net, credit, holder) = given();
    let from = Height(3 + LIMITS.refund_after);
    while net.height < from {
        let error = ExecutionError::RefundTooEarly { credit, from, height: net.height };
        assert_eq!(net.act(refund(credit, holder, A)).err(), Some(error));
        net.close();
    }
    net.act(refund(credit, holder, A)).unwrap();
    let gone = ExecutionError::CreditNotPending { account: holder, credit };
    assert_eq!(net.act(refund(credit, holder, A)).err(), Some(gone.clone()));
    assert_eq!(net.act(reject(credit, holder)).err(), Some(gone));
    net.pay("EUR", post(A).takes(&[credit]));
    net.close();
    assert_eq!(net.balance(&account(A, "EUR")).value, 1_000);
}

#[test]
fn only_the_sender_is_refunded() {
    let (mut net, credit, holder) = given();
    net.advance_to(Height(9));
    for by in [C, COORDINATOR] {
        let error = ExecutionError::NotTheSender { credit, by: id(by) };
        assert_eq!(net.act(refund(credit, holder, by)).err(), Some(error));
    }
}

#[test]
fn a_return_names_the_right_account_and_credit() {
    let (mut net, credit, _) = given();
    for holder in [account(C, "EUR"), account(B, "USD")] {
        let error = ExecutionError::CreditNotPending { account: holder, credit };
        assert_eq!(net.act(reject(credit, holder)).err(), Some(error));
    }
    let never = CreditId(Digest([1; 32]));
    let holder = account(B, "EUR");
    let error = ExecutionError::CreditNotPending { account: holder, credit: never };
    assert_eq!(net.act(reject(never, holder)).err(), Some(error));
    let holder = account(B, "XXX");
    let error = ExecutionError::UnknownAsset { asset: holder.asset };
    assert_eq!(net.act(reject(credit, holder)).err(), Some(error));
}

#[test]
fn a_return_moves_the_running_sums_of_both_sides() {
    let (mut net, credit, holder) = given();
    let sender = account(A, "EUR");
    let (b, a) = (net.state.account(&holder).unwrap(), net.state.account(&sender).unwrap());
    let (b, a) = (b.clone(), a.clone());
    let transaction = net.act(reject(credit, holder)).unwrap().transaction.id();
    net.close();
    let amount = net.credits[&credit].commit().point();
    let (b_after, a_after) =
        (net.state.account(&holder).unwrap(), net.state.account(&sender).unwrap());
    assert_eq!(b_after.outflow.point(), b.outflow.point() + amount);
    assert_eq!(a_after.inflow.point(), a.inflow.point() + amount);
    assert_eq!((b_after.inflow, a_after.outflow), (b.inflow, a.outflow));
    let event = |kind| Event { height: Height(4), transaction, kind };
    assert_eq!(b_after.log, event(EventKind::WentBack { credit }).extend(&b.log));
    assert_eq!(a_after.log, event(EventKind::CameBack { credit }).extend(&a.log));
    assert_eq!((b_after.sequence, a_after.sequence), (b.sequence, a.sequence));
}

#[test]
fn returned_credits_count_for_no_quota() {
    let mut net = Net::funded();
    let limit = LIMITS.pending_per_sender as usize;
    // B fills its quota at A; what B rejects still comes back to A, and fills nobody's quota.
    for _ in 0..limit {
        net.pay("EUR", post(B).gives(A, 1));
    }
    let credits: Vec<_> = (0..limit).flat_map(|_| net.pay("EUR", post(A).gives(B, 1))).collect();
    net.close();
    for credit in &credits {
        net.act(reject(*credit, account(B, "EUR"))).unwrap();
    }
    net.close();
    let pending = net.state.pending(&account(A, "EUR")).unwrap();
    assert_eq!(pending.len(), 2 * limit);
    assert_eq!(pending.from_sender(&id(A)), 0);
    assert_eq!(pending.from_sender(&id(B)), limit as u32);
    let more = net.submit_with("EUR", &[post(B).gives(A, 1)], |_| {});
    let (account, sender, limit) = (account(A, "EUR"), id(B), LIMITS.pending_per_sender);
    assert_eq!(more, Err(ExecutionError::QuotaExceeded { account, sender, limit }));
}

#[test]
fn garbage_in_a_seal_harms_only_its_sender() {
    // All seals of these tests are garbage, so B cannot open what A has given it. Everything else
    // goes on: B pays, absorbs what others have told it about, and sends the garbage back.
    let (mut net, garbage, holder) = given();
    let good = net.pay("EUR", post(C).gives(B, 20));
    net.pay("EUR", post(B).takes(&good).gives(C, 1_020));
    net.act(reject(garbage, holder)).unwrap();
    net.close();
    assert_eq!(net.balance(&holder).value, 0);
    assert!(net.state.pending(&holder).unwrap().is_empty());
}

#[test]
fn new_limits_strand_nothing() {
    let mut net = Net::funded();
    let credits: Vec<_> = (0..3).flat_map(|_| net.pay("EUR", post(A).gives(B, 1))).collect();
    net.close();
    let mut changes = Changes::new();
    changes.put(Record::Limits(Limits { pending_per_sender: 1, refund_after: 50, ..LIMITS }));
    net.state = net.state.replay(&changes).unwrap();
    let more = net.submit_with("EUR", &[post(A).gives(B, 1)], |_| {});
    let (account, sender) = (account(B, "EUR"), id(A));
    assert_eq!(more, Err(ExecutionError::QuotaExceeded { account, sender, limit: 1 }));
    net.pay("EUR", post(B).takes(&credits[..1]));
    net.act(reject(credits[1], account)).unwrap();
    net.advance_to(Height(3 + 50));
    net.act(refund(credits[2], account, A)).unwrap();
    net.pay("EUR", post(A).takes(&credits[1..]));
    net.close();
    assert_eq!(net.balance(&account).value, 1_001);
}

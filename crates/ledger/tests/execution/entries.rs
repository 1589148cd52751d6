//! Postings and credits: sequence, balance, absorption, quotas, who may hold accounts.

use std::collections::BTreeSet;

use quittance_crypto::digest::Digest;
use quittance_crypto::field::Scalar;
use quittance_ledger::execute::ExecutionError;
use quittance_ledger::ids::CreditId;
use quittance_ledger::state::{Event, EventKind};
use quittance_ledger::transaction::Entry;

use crate::world::{
    BANKS, COORDINATOR, Draft, FOREIGN_ASSET, ISSUER, LIMITS, Net, account, asset, credits_of, id,
    post,
};

const A: &str = BANKS[0];
const B: &str = BANKS[1];
const C: &str = BANKS[2];

fn in_first_posting(change: impl FnOnce(&mut u64)) -> impl FnOnce(&mut Vec<Entry>) {
    |entries| change(&mut entries[0].postings[0].sequence)
}

#[test]
fn a_transfer_moves_money_once_the_receiver_absorbs_it() {
    let mut net = Net::funded();
    let credits = net.pay("EUR", post(A).gives(B, 250).gives(C, 0));
    net.close();
    let pending = net.state.pending(&account(B, "EUR")).unwrap();
    assert_eq!(pending.iter().map(|credit| credit.id).collect::<Vec<_>>(), credits[..1]);
    assert_eq!(net.balance(&account(A, "EUR")).value, 750);

    net.pay("EUR", post(B).takes(&credits[..1]));
    net.pay("EUR", post(C).takes(&credits[1..]));
    net.close();
    assert_eq!(net.balance(&account(B, "EUR")).value, 1_250);
    for (bank, value) in [(A, 750), (B, 1_250), (C, 1_000)] {
        let secret = net.balance(&account(bank, "EUR"));
        assert_eq!(secret.value, value);
        let leaf = net.state.account(&account(bank, "EUR")).unwrap();
        assert_eq!(leaf.balance, secret.commit());
        assert_eq!(net.state.pending(&account(bank, "EUR")).unwrap().len(), 0);
    }
}

#[test]
fn postings_of_one_account_chain_within_a_block() {
    let mut net = Net::funded();
    for _ in 0..3 {
        let credits = net.pay("EUR", post(A).gives(B, 1));
        net.pay("EUR", post(B).takes(&credits).gives(A, 1));
    }
    let outcome = net.close();
    assert_eq!(outcome.state.account(&account(A, "EUR")).unwrap().sequence, 4);
    // Three came, none was absorbed; six came to B and went within the block, leaving no record.
    assert_eq!(outcome.state.pending(&account(A, "EUR")).unwrap().len(), 3);
    assert_eq!(outcome.changes.len(), 2 + 3);
}

#[test]
fn the_sequence_number_is_the_next_one() {
    let mut net = Net::funded();
    let account = account(A, "EUR");
    for (offset, stale) in [(-1i64, true), (-2, true), (1, false), (7, false)] {
        let shift = |sequence: &mut u64| *sequence = sequence.wrapping_add_signed(offset);
        let result = net.submit_with("EUR", &[post(A)], in_first_posting(shift));
        let (expected, found) = (2, 2u64.wrapping_add_signed(offset));
        let error = match stale {
            true => ExecutionError::StaleSequence { account, expected, found },
            false => ExecutionError::SkippedSequence { account, expected, found },
        };
        assert_eq!(result, Err(error));
    }
    let result = net.submit_with("EUR", &[post(A)], in_first_posting(|n| *n = u64::MAX));
    let error = ExecutionError::SkippedSequence { account, expected: 2, found: u64::MAX };
    assert_eq!(result, Err(error));
}

#[test]
fn a_transaction_is_executed_once() {
    let mut net = Net::funded();
    let draft = net.draft("EUR", &[post(A).gives(B, 10)]);
    let candidate = net.entries(vec![draft], |_| {});
    net.submit(&candidate).unwrap();
    let error = ExecutionError::StaleSequence { account: account(A, "EUR"), expected: 3, found: 2 };
    assert_eq!(net.submit(&candidate), Err(error.clone()), "in the same block");
    net.close();
    assert_eq!(net.submit(&candidate), Err(error), "in a later block");
}

#[test]
fn of_two_candidates_for_one_sequence_number_one_is_executed() {
    let mut net = Net::funded();
    let pay = net.draft("EUR", &[post(A).gives(B, 10)]);
    let cancel = net.draft("EUR", &[post(A)]);
    let (pay, cancel) = (net.entries(vec![pay], |_| {}), net.entries(vec![cancel], |_| {}));
    net.submit(&cancel).unwrap();
    let error = ExecutionError::StaleSequence { account: account(A, "EUR"), expected: 3, found: 2 };
    assert_eq!(net.submit(&pay), Err(error));
}

#[test]
fn an_entry_off_by_one_does_not_balance() {
    for skew in [-1, 1, 500] {
        let mut net = Net::funded();
        let result = net.submit_with("EUR", &[post(A).gives(B, 10).net(skew)], |_| {});
        assert_eq!(result, Err(ExecutionError::Imbalanced { entry: 0 }), "{skew}");
    }
    // The same between two accounts that both post, and for the issuer.
    let mut net = Net::funded();
    let result = net.submit_with("EUR", &[post(A).net(-5), post(B).net(6)], |_| {});
    assert_eq!(result, Err(ExecutionError::Imbalanced { entry: 0 }));
    let result = net.submit_with("EUR", &[post(ISSUER).gives(B, 10).net(1)], |_| {});
    assert_eq!(result, Err(ExecutionError::Imbalanced { entry: 0 }));
}

#[test]
fn blindings_must_balance_as_well_as_values() {
    let mut net = Net::funded();
    let mut draft = net.draft("EUR", &[post(A).gives(B, 10)]);
    draft.balances[0].blinding += Scalar::ONE;
    draft.entry.postings[0].new_balance = draft.balances[0].commit();
    let candidate = net.entries(vec![draft], |_| {});
    assert_eq!(net.submit(&candidate), Err(ExecutionError::Imbalanced { entry: 0 }));
}

#[test]
fn a_surplus_in_one_entry_does_not_pay_for_another() {
    let mut net = Net::funded();
    let short = net.draft("EUR", &[post(A).gives(B, 10).net(1)]);
    let long = net.draft("USD", &[post(A).gives(B, 10).net(-1)]);
    let candidate = net.entries(vec![short, long], |_| {});
    assert_eq!(net.submit(&candidate), Err(ExecutionError::Imbalanced { entry: 0 }));

    let good = net.draft("EUR", &[post(A).gives(B, 10)]);
    let long = net.draft("USD", &[post(A).gives(B, 10).net(-1)]);
    let candidate = net.entries(vec![good, long], |_| {});
    assert_eq!(net.submit(&candidate), Err(ExecutionError::Imbalanced { entry: 1 }));
}

#[test]
fn an_exchange_is_executed_as_a_whole_or_not_at_all() {
    let mut net = Net::funded();
    let euros = net.draft("EUR", &[post(A).gives(B, 100)]);
    let dollars = net.draft("USD", &[post(B).gives(A, 110)]);
    let exchange = net.entries(vec![dollars.clone(), euros.clone()], |_| {});
    // B has spent that sequence number on something else: A's half must not happen either.
    let mut elsewhere = net.clone();
    elsewhere.pay("USD", post(B));
    let account_b = account(B, "USD");
    let error = ExecutionError::StaleSequence { account: account_b, expected: 3, found: 2 };
    assert_eq!(elsewhere.submit(&exchange), Err(error));

    net.submit(&exchange).unwrap();
    let credits = credits_of(&exchange.transaction);
    net.pay("EUR", post(B).takes(&credits[..1]));
    net.pay("USD", post(A).takes(&credits[1..]));
    net.close();
    assert_eq!(net.balance(&account(A, "USD")).value, 1_110);
    assert_eq!(net.balance(&account(B, "EUR")).value, 1_100);
}

#[test]
fn accounts_that_both_post_need_no_credit() {
    let mut net = Net::funded();
    let before = net.state.account(&account(A, "EUR")).unwrap().clone();
    net.submit_with("EUR", &[post(A).net(-30), post(B).net(30)], |_| {}).unwrap();
    net.close();
    let after = net.state.account(&account(A, "EUR")).unwrap();
    assert_eq!((after.inflow, after.outflow), (before.inflow, before.outflow));
    assert_ne!(after.net_settled, before.net_settled);
    assert_eq!(after.balance, net.balance(&account(A, "EUR")).commit());
}

#[test]
fn a_credit_is_absorbed_once() {
    let mut net = Net::funded();
    let credits = net.pay("EUR", post(A).gives(B, 10));
    let missing =
        ExecutionError::CreditNotPending { account: account(B, "EUR"), credit: credits[0] };
    net.close();

    net.pay("EUR", post(B).takes(&credits));
    let again = net.submit_with("EUR", &[post(B).takes(&credits)], |_| {});
    assert_eq!(again, Err(missing.clone()), "in the same block");
    net.close();
    let again = net.submit_with("EUR", &[post(B).takes(&credits)], |_| {});
    assert_eq!(again, Err(missing.clone()), "in a later block");

    // After a restart from what storage has kept.
    let records = net.state.to_changes();
    let records = records.iter().filter_map(|(_, record)| record.cloned());
    net.state = quittance_ledger::state::State::from_records(records).unwrap();
    let again = net.submit_with("EUR", &[post(B).takes(&credits)], |_| {});
    assert_eq!(again, Err(missing), "after a restart");
}

#[test]
fn one_credit_is_not_absorbed_by_two_postings_of_one_transaction() {
    let mut net = Net::funded();
    let credits = net.pay("EUR", post(A).gives(B, 10));
    net.close();
    let posts = [post(B).takes(&credits), post(C).takes(&credits)];
    let result = net.submit_with("EUR", &posts, |_| {});
    let missing =
        ExecutionError::CreditNotPending { account: account(C, "EUR"), credit: credits[0] };
    assert_eq!(result, Err(missing));
}

#[test]
fn nobody_absorbs_what_does_not_pend_on_the_account() {
    let mut net = Net::funded();
    let credits = net.pay("EUR", post(A).gives(B, 10));
    net.close();
    let not_pending = |holder, code, credit| {
        Err(ExecutionError::CreditNotPending { account: account(holder, code), credit })
    };
    // Somebody else's, the giver's own, in another asset, and one that never was.
    let result = net.submit_with("EUR", &[post(C).takes(&credits)], |_| {});
    assert_eq!(result, not_pending(C, "EUR", credits[0]));
    let result = net.submit_with("EUR", &[post(A).takes(&credits)], |_| {});
    assert_eq!(result, not_pending(A, "EUR", credits[0]));
    let result = net.submit_with("USD", &[post(B).takes(&credits)], |_| {});
    assert_eq!(result, not_pending(B, "USD", credits[0]));
    let never = CreditId(Digest([5; 32]));
    let result = net.submit_with("EUR", &[post(B)], |entries| {
        entries[0].postings[0].absorbed = vec![never];
    });
    assert_eq!(result, not_pending(B, "EUR", never));
}

#[test]
fn absorbing_without_adding_does_not_balance() {
    let mut net = Net::funded();
    let credits = net.pay("EUR", post(A).gives(B, 10));
    net.close();
    let result = net.submit_with("EUR", &[post(B)], |entries| {
        entries[0].postings[0].absorbed = credits.clone();
    });
    assert_eq!(result, Err(ExecutionError::Imbalanced { entry: 0 }));
}

#[test]
fn an_arrival_does_not_spoil_a_posting_that_was_made_before() {
    let mut net = Net::funded();
    let early = net.draft("EUR", &[post(B).gives(C, 1_000)]);
    let early = net.entries(vec![early], |_| {});
    net.pay("EUR", post(A).gives(B, 10));
    net.pay("EUR", post(C).gives(B, 10));
    net.submit(&early).unwrap();
    net.close();
    assert_eq!(net.state.pending(&account(B, "EUR")).unwrap().len(), 2);
}

#[test]
fn quotas_are_per_account_and_sender() {
    let mut net = Net::funded();
    let (account, sender, limit) = (account(B, "EUR"), id(A), LIMITS.pending_per_sender);
    let full = Err(ExecutionError::QuotaExceeded { account, sender, limit });
    let mut credits = net.pay("EUR", post(A).gives(B, 1).gives(B, 2));
    let three = post(A).gives(B, 3).gives(B, 4);
    assert_eq!(net.submit_with("EUR", &[three], |_| {}), full, "within one entry");
    credits.extend(net.pay("EUR", post(A).gives(B, 3)));
    assert_eq!(net.submit_with("EUR", &[post(A).gives(B, 4)], |_| {}), full);
    net.close();
    assert_eq!(net.submit_with("EUR", &[post(A).gives(B, 4)], |_| {}), full, "later");

    // Another sender, another account, another asset.
    net.pay("EUR", post(C).gives(B, 1));
    net.pay("EUR", post(A).gives(C, 1));
    net.pay("USD", post(A).gives(B, 1));
    // Absorption makes room, also in the same entry.
    net.pay("EUR", post(B).takes(&credits[..1]));
    net.pay("EUR", post(A).gives(B, 4));
    assert_eq!(net.submit_with("EUR", &[post(A).gives(B, 5)], |_| {}), full);
    let both = [post(A).gives(B, 5), post(B).takes(&credits[1..2])];
    net.submit_with("EUR", &both, |_| {}).unwrap();
    assert_eq!(net.submit_with("EUR", &[post(A).gives(B, 6)], |_| {}), full);
    net.close();
}

#[test]
fn only_participants_hold_accounts() {
    let mut net = Net::funded();
    let result = net.submit_with("EUR", &[post(COORDINATOR)], |_| {});
    let account_id = account(COORDINATOR, "EUR");
    assert_eq!(result, Err(ExecutionError::NotAParticipant { account: account_id }));
    let result = net.submit_with("EUR", &[post(A).gives(COORDINATOR, 1)], |_| {});
    assert_eq!(result, Err(ExecutionError::NotAParticipant { account: account_id }));
    let institution = id("GONEDEFF");
    let result = net.submit_with("EUR", &[post(A).gives("GONEDEFF", 1)], |_| {});
    assert_eq!(result, Err(ExecutionError::UnknownInstitution { institution }));
}

#[test]
fn the_asset_must_exist() {
    let mut net = Net::funded();
    let draft = net.draft(FOREIGN_ASSET, &[post(A)]);
    let candidate = net.entries(vec![draft], |_| {});
    let error = ExecutionError::UnknownAsset { asset: asset(FOREIGN_ASSET) };
    assert_eq!(net.submit(&candidate), Err(error));
}

#[test]
fn money_is_created_and_redeemed_by_its_issuer_alone() {
    let mut net = Net::funded();
    assert_eq!(net.balance(&account(ISSUER, "EUR")).value, -4_000);
    // A bank whose balance rises out of nothing is refused (see the test on balance); the
    // issuer's liability falls when its money comes back.
    let back = net.pay("EUR", post(A).gives(ISSUER, 400));
    net.pay("EUR", post(ISSUER).takes(&back));
    net.close();
    let issuer = net.state.account(&account(ISSUER, "EUR")).unwrap();
    assert_eq!(net.balance(&account(ISSUER, "EUR")).value, -3_600);
    assert_eq!(issuer.balance, net.balance(&account(ISSUER, "EUR")).commit());
}

#[test]
fn a_postings_claims_are_bound_to_its_account() {
    // The same signed change for another account of the same institution: the proof covers the
    // body, so only the owner could have made it, and then the old balance does not fit.
    let mut net = Net::funded();
    let draft = net.draft("EUR", &[post(A).gives(B, 10)]);
    let moved = Draft { entry: Entry { asset: asset("USD"), ..draft.entry.clone() }, ..draft };
    let candidate = net.entries(vec![moved], |_| {});
    assert_eq!(net.submit(&candidate), Err(ExecutionError::Imbalanced { entry: 0 }));
}

#[test]
fn an_unused_account_stands_at_zero() {
    let mut net = Net::fresh();
    let unused = account(A, "EUR");
    assert!(net.state.account(&unused).is_none());
    net.pay("EUR", post(A));
    net.close();
    let leaf = net.state.account(&unused).unwrap();
    assert_eq!((leaf.sequence, leaf.arrivals), (1, 0));
    assert!(leaf.balance.is_identity());
}

#[test]
fn the_log_is_a_chain_of_all_events() {
    let mut net = Net::funded();
    let before = net.state.account(&account(B, "EUR")).unwrap().log;
    let height = net.height;
    let credits = net.pay("EUR", post(A).gives(B, 1));
    let given = net.block[0].id();
    net.pay("EUR", post(B).takes(&credits));
    let taken = net.block[1].id();
    net.close();
    let arrived = EventKind::Arrived { credit: credits[0] };
    let arrived = Event { height, transaction: given, kind: arrived };
    let posted = Event { height, transaction: taken, kind: EventKind::Posted { entry: 0 } };
    let expected = posted.extend(&arrived.extend(&before));
    assert_eq!(net.state.account(&account(B, "EUR")).unwrap().log, expected);
}

#[test]
fn credits_keep_the_order_of_their_arrival() {
    let mut net = Net::funded();
    let mut sent = net.pay("EUR", post(A).gives(B, 1).gives(B, 2));
    sent.extend(net.pay("EUR", post(C).gives(B, 3)));
    net.close();
    sent.extend(net.pay("EUR", post(A).gives(B, 4)));
    net.close();
    let pending = net.state.pending(&account(B, "EUR")).unwrap();
    assert_eq!(pending.iter().map(|credit| credit.id).collect::<Vec<_>>(), sent);
    let ids: BTreeSet<_> = sent.iter().collect();
    assert_eq!(ids.len(), 4);
}

//! Chain, suite, expiry, keys, and the room in a block.

use quittance_crypto::digest::Digest;
use quittance_crypto::signature::Suite;
use quittance_ledger::execute::ExecutionError;
use quittance_ledger::ids::{ChainId, Height};
use quittance_ledger::state::{Changes, Limits, Record};
use quittance_ledger::transaction::{Action, Body, Transaction};
use quittance_ledger::verify::{Directory, VerificationError};

use crate::world::{BANKS, LIMITS, Net, ROTATION, id, key, post};

const A: &str = BANKS[0];
const B: &str = BANKS[1];
const ROTATING: &str = BANKS[4];

fn submit_framed(net: &mut Net, change: impl FnOnce(&mut Body)) -> Result<(), ExecutionError> {
    let draft = net.draft("EUR", &[post(A)]);
    let candidate = net.entries(vec![draft], change);
    net.submit(&candidate)
}

#[test]
fn another_chains_transaction_is_refused() {
    let mut net = Net::funded();
    let (expected, found) = (net.state.chain().id, ChainId(Digest([9; 32])));
    let result = submit_framed(&mut net, |body| body.chain = found);
    assert_eq!(result, Err(ExecutionError::WrongChain { expected, found }));
}

#[test]
fn another_suites_transaction_is_refused() {
    // Its signers would need keys of that suite; verification says so before execution could.
    let mut net = Net::funded();
    let draft = net.draft("EUR", &[post(A)]);
    let good = net.entries(vec![draft], |_| {}).transaction.into_unverified();
    let body = Body { suite: Suite::MlDsa87MlKem1024, ..good.body().clone() };
    let forged = Transaction::new(body, good.proofs().to_vec(), good.signatures().to_vec());
    let error = forged.verify(&*net.keyring).unwrap_err();
    assert!(matches!(error, VerificationError::OtherSuite { .. }), "{error}");
}

#[test]
fn a_transaction_expires_after_its_height() {
    let mut net = Net::funded();
    let draft = net.draft("EUR", &[post(A)]);
    let last = net.height.plus(2);
    let candidate = net.entries(vec![draft], |body| body.expiry = last);
    net.advance_to(last);
    let mut in_time = net.clone();
    in_time.submit(&candidate).unwrap();
    net.close();
    let error = ExecutionError::Expired { expiry: last, height: last.next() };
    assert_eq!(net.submit(&candidate), Err(error));
}

#[test]
fn a_transaction_does_not_live_longer_than_the_chain_allows() {
    let mut net = Net::funded();
    let latest = net.height.plus(LIMITS.max_expiry);
    let result = submit_framed(&mut net.clone(), |body| body.expiry = latest);
    assert_eq!(result, Ok(()));
    for expiry in [latest.next(), Height(u64::MAX)] {
        let result = submit_framed(&mut net, |body| body.expiry = expiry);
        assert_eq!(result, Err(ExecutionError::ExpiryTooFar { expiry, latest }));
    }
}

/// A no-op posting by `who` with the named key.
fn submit_signed(net: &mut Net, who: &str, name: &str) -> Result<(), ExecutionError> {
    net.submit_with("EUR", &[post(who)], |entries| {
        entries[0].postings[0].key_fingerprint = key(who, name);
    })
}

#[test]
fn keys_of_another_purpose_and_unregistered_keys_are_refused() {
    let mut net = Net::funded();
    let institution = id(A);
    let fingerprint = key(A, "round");
    let error = ExecutionError::KeyOfOtherPurpose { institution, fingerprint };
    assert_eq!(submit_signed(&mut net, A, "round"), Err(error));
    let fingerprint = key(A, "stranger");
    let error = ExecutionError::UnknownKey { institution, fingerprint };
    assert_eq!(submit_signed(&mut net, A, "stranger"), Err(error));

    // With the state as the directory they do not even verify.
    let fingerprint = key(A, "transaction");
    assert!(net.state.transaction_key(institution, &fingerprint).is_some());
    assert!(net.state.transaction_key(id(B), &fingerprint).is_none());
    assert!(net.state.transaction_key(institution, &key(A, "round")).is_none());
    assert!(net.state.transaction_key(institution, &key(A, "stranger")).is_none());
}

#[test]
fn a_key_counts_from_its_height_until_the_next_one_does() {
    let mut net = Net::fresh();
    let institution = id(ROTATING);
    let (old, new) = (key(ROTATING, "transaction"), key(ROTATING, "next"));
    let not_current = |fingerprint| Err(ExecutionError::KeyNotCurrent { institution, fingerprint });
    net.advance_to(Height(ROTATION.0 - 1));
    assert_eq!(submit_signed(&mut net, ROTATING, "next"), not_current(new));
    submit_signed(&mut net, ROTATING, "transaction").unwrap();
    net.close();
    assert_eq!(submit_signed(&mut net, ROTATING, "transaction"), not_current(old));
    submit_signed(&mut net, ROTATING, "next").unwrap();
    // What the old key has signed can still be verified.
    assert!(net.state.transaction_key(institution, &old).is_some());
}

#[test]
fn every_signer_of_a_transaction_needs_a_current_key() {
    let mut net = Net::funded();
    let result = net.submit_with("EUR", &[post(A).net(-1), post(B).net(1)], |entries| {
        entries[0].postings[1].key_fingerprint = key(B, "round");
    });
    let (institution, fingerprint) = (id(B), key(B, "round"));
    assert_eq!(result, Err(ExecutionError::KeyOfOtherPurpose { institution, fingerprint }));
}

#[test]
fn a_block_holds_so_many_transactions_and_bytes() {
    let mut net = Net::funded();
    let draft = net.draft("EUR", &[post(A)]);
    let candidate = net.entries(vec![draft], |_| {});
    let size = candidate.transaction.size() as u32;
    let allow = |net: &mut Net, limits: Limits| {
        let mut changes = Changes::new();
        changes.put(Record::Limits(limits));
        net.state = net.state.replay(&changes).unwrap();
    };
    allow(&mut net, Limits { block_bytes: size - 1, ..LIMITS });
    assert_eq!(net.submit(&candidate), Err(ExecutionError::BlockFull));
    allow(&mut net, Limits { block_bytes: size, ..LIMITS });
    assert_eq!(net.clone().submit(&candidate), Ok(()));
    // The bytes of all transactions count together; these two have the same size.
    for (block_bytes, expected) in
        [(2 * size, Ok(())), (2 * size - 1, Err(ExecutionError::BlockFull))]
    {
        let mut net = net.clone();
        allow(&mut net, Limits { block_bytes, ..LIMITS });
        net.submit(&candidate).unwrap();
        assert_eq!(submit_framed(&mut net, |_| {}), expected);
    }
    allow(&mut net, Limits { block_transactions: 1, ..LIMITS });
    net.submit(&candidate).unwrap();
    assert_eq!(submit_framed(&mut net, |_| {}), Err(ExecutionError::BlockFull));
    net.close();
    assert_eq!(submit_framed(&mut net, |_| {}), Ok(()), "in the next block");
}

#[test]
fn a_body_that_was_changed_after_signing_does_not_verify() {
    let mut net = Net::funded();
    let draft = net.draft("EUR", &[post(A).gives(B, 1)]);
    let good = net.entries(vec![draft], |_| {}).transaction.into_unverified();
    let changes: [fn(&mut Body); 4] = [
        |body| body.expiry = body.expiry.next(),
        |body| body.chain = ChainId(Digest::ZERO),
        |body| match &mut body.action {
            Action::Entries(entries) => entries[0].postings[0].sequence += 1,
            _ => unreachable!(),
        },
        |body| match &mut body.action {
            Action::Entries(entries) => entries[0].credits[0].institution = id(BANKS[2]),
            _ => unreachable!(),
        },
    ];
    for change in changes {
        let mut body = good.body().clone();
        change(&mut body);
        let forged = Transaction::new(body, good.proofs().to_vec(), good.signatures().to_vec());
        let error = forged.verify(&*net.keyring).unwrap_err();
        assert!(matches!(error, VerificationError::Signature { .. }), "{error}");
    }
}

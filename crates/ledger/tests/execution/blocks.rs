//! Whole blocks: headers, proofs of state, and the state as storage keeps it.

use std::collections::BTreeSet;

use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, Encode, Problem};
use quittance_crypto::signature::Suite;
use quittance_ledger::block::{Block, transactions_root};
use quittance_ledger::execute::{ApplyError, ExecutionError, apply};
use quittance_ledger::ids::{ChainId, CommitteeId, Height};
use quittance_ledger::state::{
    Account, Asset, Changes, Committee, Institution, Key, Record, Role, State, StateError,
};
use quittance_ledger::transaction::Verified;
use quittance_ledger::tree::ProofError;

use crate::world::{BANKS, COORDINATOR, LIMITS, Net, account, asset, id, post};

const A: &str = BANKS[0];
const B: &str = BANKS[1];

/// A block with two transfers of A, the second of which needs the first.
fn proposed() -> (Net, Block<Verified>) {
    let mut net = Net::funded();
    net.pay("EUR", post(A).gives(B, 1));
    net.pay("EUR", post(A).gives(B, 2));
    let (block, _) = net.proposal();
    (net, block)
}

#[test]
fn a_block_is_verified_with_the_state_as_directory_and_then_applied() {
    let (mut net, block) = proposed();
    let transactions = block.transactions.iter().map(|one| one.clone().into_unverified()).collect();
    let received = Block { header: block.header.clone(), transactions };
    let received = Block::from_bytes(&received.to_bytes()).unwrap();
    let verified = received.verify(&net.state, |_| None, &mut net.rng).unwrap();
    assert_eq!(verified, block);
    assert_eq!(apply(&net.state, &verified).unwrap().root(), block.header.state_root);
}

#[test]
fn every_field_of_the_header_that_speaks_of_state_is_compared() {
    let (net, block) = proposed();
    let wrong = Digest([9; 32]);
    let refused = |change: fn(&mut Block<Verified>)| {
        let mut block = block.clone();
        change(&mut block);
        apply(&net.state, &block).unwrap_err()
    };
    let error = refused(|block| block.header.chain = ChainId(Digest([9; 32])));
    assert_eq!(error, ApplyError::Chain { expected: net.state.chain().id, found: ChainId(wrong) });
    let error = refused(|block| block.header.suite = Suite::MlDsa87MlKem1024);
    assert_eq!(error, ApplyError::Suite);
    let expected = net.state.validators().digest();
    let error = refused(|block| block.header.validators = Digest([9; 32]));
    assert_eq!(error, ApplyError::Validators { expected, found: wrong });
    let error = refused(|block| block.header.next_validators = Digest([9; 32]));
    assert_eq!(error, ApplyError::NextValidators { expected, found: wrong });
    let expected = block.header.transactions_root;
    let error = refused(|block| block.header.transactions_root = Digest([9; 32]));
    assert_eq!(error, ApplyError::TransactionsRoot { expected, found: wrong });
    let expected = block.header.state_root;
    let error = refused(|block| block.header.state_root = Digest([9; 32]));
    assert_eq!(error, ApplyError::StateRoot { expected, found: wrong });
    // The height is part of what execution depends on.
    let error = refused(|block| block.header.height = Height(4));
    assert!(matches!(error, ApplyError::StateRoot { .. }));
}

#[test]
fn a_block_with_one_invalid_transaction_is_refused_and_names_it() {
    let (net, block) = proposed();
    let refused = |order: &[usize]| {
        let mut block = block.clone();
        block.transactions = order.iter().map(|at| block.transactions[*at].clone()).collect();
        block.header.transactions_root = transactions_root(&block.transactions);
        apply(&net.state, &block).unwrap_err()
    };
    let account = account(A, "EUR");
    let at = |index, place: usize, source| {
        let id = block.transactions[place].id();
        ApplyError::Transaction { index, id, source }
    };
    let skipped = ExecutionError::SkippedSequence { account, expected: 2, found: 3 };
    assert_eq!(refused(&[1, 0]), at(0, 1, skipped));
    let stale = ExecutionError::StaleSequence { account, expected: 3, found: 2 };
    assert_eq!(refused(&[0, 0]), at(1, 0, stale));
    // Leaving one out is another block.
    assert!(matches!(refused(&[0]), ApplyError::StateRoot { .. }));
}

#[test]
fn an_empty_block_changes_nothing() {
    let mut net = Net::funded();
    let root = net.state.root();
    let outcome = net.close();
    assert!(outcome.changes.is_empty());
    assert_eq!(outcome.root(), root);
}

#[test]
fn the_state_proves_its_records_and_their_absence() {
    let (mut net, _) = proposed();
    net.close();
    let (state, root) = (&net.state, net.state.root());
    let key = Key::Account(account(A, "EUR"));
    let proof = state.prove(&key).unwrap();
    let record = state.record(&key).unwrap().to_bytes();
    assert_eq!(key.verify(&root, Some(&record), &proof), Ok(()));
    let mut other = record.clone();
    other[0] ^= 1;
    assert_eq!(key.verify(&root, Some(&other), &proof), Err(ProofError::OtherValue));
    assert_eq!(key.verify(&root, None, &proof), Err(ProofError::Present));
    let unused = Key::Account(account(BANKS[4], "EUR"));
    assert_eq!(unused.verify(&root, Some(&record), &proof), Err(ProofError::Absent));
    let proof = state.prove(&unused).unwrap();
    assert_eq!(unused.verify(&root, None, &proof), Ok(()));

    // A pending credit is proven through its account.
    let receiver = account(B, "EUR");
    let credit = state.pending(&receiver).unwrap().iter().next().unwrap();
    assert!(state.prove(&Key::Credit(receiver, credit.number)).is_none());
    let proof = state.pending(&receiver).unwrap().prove(&credit.id).unwrap();
    let pending_root = state.account(&receiver).unwrap().pending_root;
    assert_eq!(proof.verify(&pending_root, &credit.to_bytes()), Ok(()));
}

#[test]
fn the_register_numbers_institutions_and_finds_owners_of_keys() {
    let net = Net::fresh();
    let numbers: Vec<_> = net.state.institutions().map(|(_, one)| one.number).collect();
    assert_eq!(numbers, (1..=numbers.len() as u32).collect::<Vec<_>>());
    let first = net.state.institutions().next().unwrap().0;
    assert_eq!(net.state.institution_by_number(1), Some(first));
    assert_eq!(net.state.institution_by_number(0), None);
    let fingerprint = crate::world::key(A, "transaction");
    assert_eq!(net.state.key_owner(&fingerprint), Some(id(A)));
    let institution = net.state.institution(&id(A)).unwrap();
    assert!(institution.sealing_key(Height(1)).is_some());
}

fn all_records(state: &State) -> Vec<Record> {
    state.to_changes().iter().filter_map(|(_, record)| record.cloned()).collect()
}

#[test]
fn storage_bytes_read_back_as_the_same_records_and_no_others() {
    let (mut net, _) = proposed();
    net.close();
    for record in all_records(&net.state) {
        let key = record.key();
        assert_eq!(Key::from_bytes(&key.to_bytes()), Ok(key));
        let bytes = record.to_bytes();
        assert_eq!(Record::from_bytes(&key, &bytes), Ok(record));
        assert!(Record::from_bytes(&key, &[&bytes[..], &[0]].concat()).is_err());
        assert!(Record::from_bytes(&key, &bytes[..bytes.len() - 1]).is_err());
    }
}

#[test]
fn records_that_contradict_one_another_make_no_state() {
    let (mut net, _) = proposed();
    net.close();
    let records = all_records(&net.state);
    let without = |unwanted: Key| {
        let kept = records.iter().filter(|record| record.key() != unwanted).cloned();
        State::from_records(kept)
    };
    for key in [Key::Chain, Key::Limits, Key::Validators] {
        assert_eq!(without(key).unwrap_err(), StateError::Missing(key));
    }
    let receiver = account(B, "EUR");
    let number = net.state.pending(&receiver).unwrap().iter().next().unwrap().number;
    let error = without(Key::Credit(receiver, number)).unwrap_err();
    assert!(matches!(error, StateError::PendingRoot { account, .. } if account == receiver));
    let error = without(Key::Account(receiver)).unwrap_err();
    assert_eq!(error, StateError::CreditWithoutAccount { account: receiver });
    // Anything else that is missing or changed shows in the root.
    let root = net.state.root();
    let sender = account(A, "EUR");
    assert_ne!(without(Key::Account(sender)).unwrap().root(), root);
    assert_eq!(State::from_records(records.clone()).unwrap().root(), root);
}

#[test]
fn replayed_changes_must_fit() {
    let net = Net::funded();
    let holder = account(A, "EUR");
    let mut changes = Changes::new();
    changes.remove(Key::Credit(holder, 7));
    let error = net.state.replay(&changes).unwrap_err();
    assert_eq!(error, StateError::CreditMissing { account: holder, number: 7 });

    let mut institution = net.state.institution(&id(B)).unwrap().clone();
    let stolen = net.state.institution(&id(A)).unwrap().keys[0].clone();
    let fingerprint = stolen.fingerprint();
    institution.keys.push(stolen);
    let mut changes = Changes::new();
    changes.put(Record::Institution(id(B), institution.clone()));
    let error = net.state.replay(&changes).unwrap_err();
    assert_eq!(error, StateError::KeyTwice { institution: id(B), fingerprint });

    institution.keys.clear();
    institution.number = net.state.institution(&id(A)).unwrap().number;
    let mut changes = Changes::new();
    changes.put(Record::Institution(id("NEWXDEFF"), institution.clone()));
    let error = net.state.replay(&changes).unwrap_err();
    let number = institution.number;
    assert_eq!(error, StateError::NumberTwice { one: id(A), two: id("NEWXDEFF"), number });
}

#[test]
fn changes_have_one_encoding() {
    let (mut net, _) = proposed();
    let changes = net.close().changes;
    let bytes = changes.to_bytes();
    assert_eq!(Changes::from_bytes(&bytes), Ok(changes.clone()));
    // Two writes in the wrong order: both keys swapped by hand.
    let mut one = Changes::new();
    one.remove(Key::Chain);
    let mut two = Changes::new();
    two.remove(Key::Limits);
    let (one, two) = (one.to_bytes(), two.to_bytes());
    let swapped = [&[0, 0, 0, 2][..], &two[4..], &one[4..]].concat();
    let error = Changes::from_bytes(&swapped).unwrap_err();
    assert_eq!(error.problem, Problem::Invalid("not in strict order of keys"));
    let twice = [&[0, 0, 0, 2][..], &one[4..], &one[4..]].concat();
    assert!(Changes::from_bytes(&twice).is_err());
    // A credit under the number of another.
    let (key, record) = changes
        .iter()
        .find_map(|(key, record)| Some((*key, record?)).filter(|(key, _)| is_credit(key)))
        .unwrap();
    let Key::Credit(account, number) = key else { unreachable!() };
    let other = Key::Credit(account, number + 1);
    assert!(Record::from_bytes(&other, &record.to_bytes()).is_err());
}

fn is_credit(key: &Key) -> bool {
    matches!(key, Key::Credit(..))
}

#[test]
fn records_of_the_register_have_one_encoding() {
    let net = Net::fresh();
    let good = net.state.institution(&id(COORDINATOR)).unwrap().clone();
    assert_eq!(Institution::from_bytes(&good.to_bytes()), Ok(good.clone()));
    let unnumbered = Institution { number: 0, ..good.clone() };
    assert!(Institution::from_bytes(&unnumbered.to_bytes()).is_err());
    let mut reversed = good.clone();
    reversed.keys.push(good.keys[0].clone());
    assert!(Institution::from_bytes(&reversed.to_bytes()).is_err(), "a key twice");
    // Roles twice or in another order.
    let roles = BTreeSet::from([Role::Participant, Role::Coordinator]);
    let two = Institution { roles, keys: vec![], number: 1 };
    let mut bytes = two.to_bytes();
    assert_eq!(Institution::from_bytes(&bytes), Ok(two));
    bytes.swap(8, 9);
    assert!(Institution::from_bytes(&bytes).is_err());
    bytes[8] = bytes[9];
    assert!(Institution::from_bytes(&bytes).is_err());

    let parties = vec![id(A), id(B), id(BANKS[2])];
    let committee = Committee { parties: parties.clone(), threshold: 1 };
    assert_eq!(Committee::from_bytes(&committee.to_bytes()), Ok(committee.clone()));
    for bad in [
        Committee { threshold: 2, ..committee.clone() },
        Committee { parties: vec![], threshold: 0 },
        Committee { parties: vec![id(A), id(B), id(A)], threshold: 1 },
    ] {
        assert!(Committee::from_bytes(&bad.to_bytes()).is_err(), "{bad:?}");
    }
    let asset_record = Asset { issuer: id(A), decimals: 20 };
    assert!(Asset::from_bytes(&asset_record.to_bytes()).is_err());
    assert_eq!(net.state.asset(&asset("EUR")).unwrap().decimals, 2);
    assert_eq!(net.state.committee(CommitteeId(1)).unwrap().threshold, 1);
    assert_eq!(net.state.limits(), &LIMITS);
    let unused = Account::default();
    assert_eq!(Account::from_bytes(&unused.to_bytes()), Ok(unused));
}

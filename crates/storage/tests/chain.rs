//! A chain on disk: what comes back after closing, and what is refused.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::path::Path;

use common::{genesis, next, next_with};
use quittance_crypto::encoding::{Decode, Encode};
use quittance_ledger::block::Block;
use quittance_ledger::certificate::{Certificate, ValidatorSet};
use quittance_ledger::ids::Height;
use quittance_ledger::state::{Changes, State};
use quittance_ledger::transaction::Verified;
use quittance_storage::{Batch, ChainError, ChainStore, Database, Identity, StorageError, Table};

const TABLES: [Table; 6] = [
    Table("blocks"),
    Table("certificates"),
    Table("transactions"),
    Table("state"),
    Table("tip"),
    Table("sets"),
];

/// A chain of two blocks, closed.
fn two_blocks(path: &Path) -> Vec<(Block<Verified>, Certificate)> {
    let (store, recovered) = ChainStore::open(path, &genesis("one")).unwrap();
    assert!(recovered.tip.is_none());
    let (first, first_certificate, changes) = next(&recovered.state, None);
    store.append(&first, &first_certificate, &changes).unwrap();
    let (second, second_certificate, changes) = next(&recovered.state, Some(&first.header));
    store.append(&second, &second_certificate, &changes).unwrap();
    vec![(first, first_certificate), (second, second_certificate)]
}

fn raw(path: &Path) -> Database {
    let owner = genesis("one").chain_id().0;
    Database::open(path, &Identity { kind: "chain".into(), format: 2, owner }, &TABLES).unwrap()
}

#[test]
fn blocks_certificates_and_state_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let blocks = two_blocks(folder.path());
    let (store, recovered) = ChainStore::open(folder.path(), &genesis("one")).unwrap();
    assert_eq!(recovered.tip.as_ref(), Some(&blocks[1].0.header));
    assert_eq!(recovered.state, State::genesis(&genesis("one")).unwrap());
    for (block, certificate) in &blocks {
        let stored = store.block(block.header.height).unwrap().unwrap();
        assert_eq!(Block::from_bytes(&stored.block).unwrap().header, block.header);
        assert_eq!(stored.certificate, certificate.to_bytes());
    }
    assert_eq!(store.block(Height(3)).unwrap(), None);
}

#[test]
fn only_the_next_block_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let blocks = two_blocks(folder.path());
    let (store, recovered) = ChainStore::open(folder.path(), &genesis("one")).unwrap();
    let (block, certificate) = &blocks[1];
    let again = store.append(block, certificate, &Changes::new()).unwrap_err();
    assert!(matches!(again, ChainError::NotNext { found: 2, tip: 2 }), "{again}");
    let (third, certificate, changes) = next(&recovered.state, Some(&block.header));
    store.append(&third, &certificate, &changes).unwrap();
}

#[test]
fn another_genesis_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    two_blocks(folder.path());
    let error = ChainStore::open(folder.path(), &genesis("two")).err().unwrap();
    let other = matches!(error, ChainError::Storage(StorageError::OtherDatabase { .. }));
    assert!(other, "{error}");
}

/// Opens the chain after one record of `table` was replaced, or removed if there is no new one.
fn tampered(
    table: Table,
    key: Option<&[u8]>,
    value: impl Fn(Vec<u8>) -> Option<Vec<u8>>,
) -> String {
    let folder = tempfile::tempdir().unwrap();
    two_blocks(folder.path());
    let database = raw(folder.path());
    let (key, old) = match key {
        Some(key) => (key.to_vec(), database.get_bytes(table, key).unwrap().unwrap()),
        None => database.scan(table, b"", 1).unwrap().remove(0),
    };
    let mut batch = Batch::new();
    match value(old) {
        Some(new) => batch.put_bytes(table, &key, new),
        None => batch.delete(table, &key),
    }
    database.write(batch).unwrap();
    drop(database);
    match ChainStore::open(folder.path(), &genesis("one")) {
        Ok(_) => panic!("opened in spite of a changed record in {table:?}"),
        Err(error) => error.to_string(),
    }
}

fn flipped(mut bytes: Vec<u8>) -> Option<Vec<u8>> {
    *bytes.last_mut().unwrap() ^= 1;
    Some(bytes)
}

#[test]
fn a_chain_whose_parts_disagree_is_refused() {
    let tip = Height(2).to_bytes();
    let missing = tampered(Table("blocks"), Some(&tip), |_| None);
    assert!(missing.contains("height 2") && missing.contains("missing"), "{missing}");
    tampered(Table("blocks"), Some(&tip), flipped);
    let forged = tampered(Table("certificates"), Some(&tip), flipped);
    assert!(forged.contains("NODEXX2A"), "{forged}");
    tampered(Table("tip"), None, flipped);
    let begun_anew = tampered(Table("tip"), None, |_| None);
    assert!(begun_anew.contains("the tip record is missing"), "{begun_anew}");
    tampered(Table("state"), None, |_| None);
    tampered(Table("state"), None, flipped);
    // Limits stand under tag 1; a changed one still decodes, and only the root tells.
    let root = tampered(Table("state"), Some(&[1]), flipped);
    assert!(root.contains("has root"), "{root}");
}

/// A chain whose third block weighs the validator anew, and the fifth again; with the store.
fn changing(path: &Path) -> (ChainStore, Vec<(Block<Verified>, Certificate)>) {
    let (store, recovered) = ChainStore::open(path, &genesis("one")).unwrap();
    let (mut state, mut blocks) = (recovered.state, Vec::<(Block<Verified>, Certificate)>::new());
    for height in 1..=6 {
        let parent = blocks.last().map(|(block, _)| &block.header);
        let power = [3, 5].contains(&height).then_some(height);
        let (block, certificate, changes, after) = next_with(&state, parent, power);
        store.append(&block, &certificate, &changes).unwrap();
        blocks.push((block, certificate));
        state = after;
    }
    (store, blocks)
}

fn heights(changes: Vec<(Height, ValidatorSet)>) -> Vec<(u64, u64)> {
    let power = |set: &ValidatorSet| set.validators().iter().map(|validator| validator.power).sum();
    changes.iter().map(|(height, set)| (height.0, power(set))).collect()
}

#[test]
fn changes_of_the_validators_are_found_by_their_heights() {
    let folder = tempfile::tempdir().unwrap();
    let (store, blocks) = changing(folder.path());
    let of = |after, before, limit| {
        heights(store.set_changes(Height(after), Height(before), limit).unwrap())
    };
    assert_eq!(of(0, 7, 9), [(3, 3), (5, 5)]);
    assert_eq!(of(0, 7, 1), [(3, 3)]);
    assert_eq!(of(3, 7, 9), [(5, 5)]);
    assert_eq!(of(2, 5, 9), [(3, 3)]);
    assert_eq!(of(3, 5, 9), []);
    for (block, _) in &blocks {
        let next = store.set_after(block.header.height).unwrap();
        let changed = block.header.next_validators != block.header.validators;
        let digest = next.as_ref().map(ValidatorSet::digest);
        assert_eq!(digest, changed.then_some(block.header.next_validators));
    }
}

#[test]
fn a_chain_comes_back_after_a_change_of_the_validators() {
    for length in 1..=6 {
        let folder = tempfile::tempdir().unwrap();
        let (store, recovered) = ChainStore::open(folder.path(), &genesis("one")).unwrap();
        let mut state = recovered.state;
        let mut parent = None;
        for height in 1..=length {
            let power = [3, 5].contains(&height).then_some(height);
            let (block, certificate, changes, after) = next_with(&state, parent.as_ref(), power);
            store.append(&block, &certificate, &changes).unwrap();
            (state, parent) = (after, Some(block.header));
        }
        drop(store);
        let (_, recovered) = ChainStore::open(folder.path(), &genesis("one")).unwrap();
        assert_eq!(recovered.tip, parent);
        assert_eq!(recovered.state, state);
    }
}

#[test]
fn a_block_that_does_not_name_the_validators_it_announces_is_not_taken() {
    let folder = tempfile::tempdir().unwrap();
    let (store, recovered) = ChainStore::open(folder.path(), &genesis("one")).unwrap();
    let (block, certificate, changes, _) = next_with(&recovered.state, None, Some(7));
    let none = store.append(&block, &certificate, &Changes::new()).unwrap_err();
    assert!(matches!(none, ChainError::NextSet(Height(1))), "{none}");
    let (_, _, others, _) = next_with(&recovered.state, None, Some(8));
    let others = store.append(&block, &certificate, &others).unwrap_err();
    assert!(matches!(others, ChainError::NextSet(Height(1))), "{others}");
    store.append(&block, &certificate, &changes).unwrap();
}

#[test]
fn an_index_of_validators_that_does_not_fit_the_last_block_is_refused() {
    let refused = |change: &dyn Fn(&mut Batch)| {
        let folder = tempfile::tempdir().unwrap();
        drop(changing(folder.path()));
        let database = raw(folder.path());
        let mut batch = Batch::new();
        change(&mut batch);
        database.write(batch).unwrap();
        drop(database);
        let error = ChainStore::open(folder.path(), &genesis("one")).err();
        error.expect("a changed index is refused").to_string()
    };
    let sets = Table("sets");
    let gone = refused(&|batch| batch.delete(sets, &Height(5).to_bytes()));
    assert!(gone.contains("the validators are not those of its header"), "{gone}");
    let more =
        |batch: &mut Batch| batch.put(sets, &Height(6).to_bytes(), &genesis("one").validators);
    let more = refused(&more);
    assert!(more.contains("the validators are not those of its header"), "{more}");
    let torn = refused(&|batch| batch.put_bytes(sets, &Height(5).to_bytes(), vec![1]));
    assert!(torn.contains("table sets is damaged"), "{torn}");
}

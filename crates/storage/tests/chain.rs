//! A chain on disk: what comes back after closing, and what is refused.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, Encode};
use quittance_crypto::signature::{Purpose, SigningKey, Suite};
use quittance_ledger::block::{Block, Header, transactions_root};
use quittance_ledger::certificate::{
    Certificate, Validator, ValidatorSet, ValidatorSignature, Vote, VoteKind,
};
use quittance_ledger::execute::{BlockContext, Executor, Outcome};
use quittance_ledger::genesis::{Genesis, GenesisInstitution};
use quittance_ledger::ids::{BlockId, Height, InstitutionId, Timestamp};
use quittance_ledger::state::{Changes, Limits, PublicKey, Role, State};
use quittance_ledger::transaction::Verified;
use quittance_storage::{Batch, ChainError, ChainStore, Database, Identity, StorageError, Table};

const SUITE: Suite = Suite::MlDsa65MlKem768;
const TABLES: [Table; 5] =
    [Table("blocks"), Table("certificates"), Table("transactions"), Table("state"), Table("tip")];

fn validator() -> InstitutionId {
    "NODEXX2A".parse().unwrap()
}

fn key(purpose: Purpose) -> SigningKey {
    SigningKey::from_seed(SUITE, &Digest::of("test key", &[purpose.label().as_bytes()]).0)
}

fn genesis(name: &str) -> Genesis {
    let public = |purpose: &Purpose| PublicKey::Signing(*purpose, key(*purpose).verifying_key());
    let keys = Purpose::ALL.iter().map(public).collect();
    let member = GenesisInstitution { roles: [Role::Validator].into(), keys };
    let vote = key(Purpose::Vote).verifying_key();
    let set = vec![Validator { institution: validator(), key: vote, power: 1 }];
    Genesis {
        name: name.to_owned(),
        time: Timestamp(1_000),
        suite: SUITE,
        institutions: [(validator(), member)].into(),
        assets: [].into(),
        validators: ValidatorSet::new(set).unwrap(),
        committees: [].into(),
        limits: Limits::default(),
    }
}

/// The block after `parent` without transactions, with its certificate and what it changes.
fn next(state: &State, parent: Option<&Header>) -> (Block<Verified>, Certificate, Changes) {
    let height = Height(parent.map_or(1, |header| header.height.0 + 1));
    let time = Timestamp(1_000 + height.0);
    let context = BlockContext { height, time };
    let Outcome { changes, state: after } = Executor::new(state, context).finish().unwrap();
    let header = Header {
        suite: SUITE,
        chain: state.chain().id,
        height,
        parent: parent.map_or(BlockId(Digest::ZERO), Header::id),
        transactions_root: transactions_root::<Verified>(&[]),
        state_root: after.root(),
        time,
        validators: state.validators().digest(),
        next_validators: after.validators().digest(),
    };
    let block = Block { header, transactions: Vec::new() };
    (block.clone(), certificate(&block), changes)
}

fn certificate(block: &Block<Verified>) -> Certificate {
    let Header { chain, height, .. } = block.header;
    let kind = VoteKind::Precommit;
    let vote = Vote { chain, height, round: 0, kind, block: Some(block.id()) };
    let signature = vote.sign(&key(Purpose::Vote));
    let signatures = vec![ValidatorSignature { institution: validator(), signature }];
    Certificate { height, round: 0, block: block.id(), signatures }
}

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
    Database::open(path, &Identity { kind: "chain".into(), format: 1, owner }, &TABLES).unwrap()
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
    tampered(Table("state"), None, |_| None);
    tampered(Table("state"), None, flipped);
    // Limits stand under tag 1; a changed one still decodes, and only the root tells.
    let root = tampered(Table("state"), Some(&[1]), flipped);
    assert!(root.contains("has root"), "{root}");
}

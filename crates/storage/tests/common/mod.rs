//! A chain of blocks without transactions.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test fails by panicking")]

use quittance_crypto::digest::Digest;
use quittance_crypto::signature::{Purpose, SigningKey, Suite};
use quittance_ledger::block::{Block, Header, transactions_root};
use quittance_ledger::certificate::{
    Certificate, Validator, ValidatorSet, ValidatorSignature, Vote, VoteKind,
};
use quittance_ledger::execute::{BlockContext, Executor, Outcome};
use quittance_ledger::genesis::{Genesis, GenesisInstitution};
use quittance_ledger::ids::{BlockId, Height, InstitutionId, Timestamp};
use quittance_ledger::state::{Changes, Key, Limits, PublicKey, Record, Role, State};
use quittance_ledger::transaction::Verified;

const SUITE: Suite = Suite::MlDsa65MlKem768;
fn validator() -> InstitutionId {
    "NODEXX2A".parse().unwrap()
}

fn key(purpose: Purpose) -> SigningKey {
    SigningKey::from_seed(SUITE, &Digest::of("test key", &[purpose.label().as_bytes()]).0)
}

pub fn genesis(name: &str) -> Genesis {
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
pub fn next(state: &State, parent: Option<&Header>) -> (Block<Verified>, Certificate, Changes) {
    let (block, certificate, changes, _) = next_with(state, parent, None);
    (block, certificate, changes)
}

/// The same; after it the validator has this power, if there is one. With the state after it.
pub fn next_with(
    state: &State,
    parent: Option<&Header>,
    power: Option<u64>,
) -> (Block<Verified>, Certificate, Changes, State) {
    let height = Height(parent.map_or(1, |header| header.height.0 + 1));
    let time = Timestamp(1_000 + height.0);
    let context = BlockContext { height, time };
    let Outcome { mut changes, state: mut after } = Executor::new(state, context).finish().unwrap();
    if let Some(power) = power {
        let key = key(Purpose::Vote).verifying_key();
        let set = vec![Validator { institution: validator(), key, power }];
        changes.put(Record::Validators(ValidatorSet::new(set).unwrap()));
        let mut all = after.to_changes();
        all.put(changes.get(&Key::Validators).unwrap().unwrap().clone());
        let records = all.iter().filter_map(|(_, record)| record.cloned());
        after = State::from_records(records).unwrap();
    }
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
    let certificate = certificate(&block);
    (block, certificate, changes, after)
}

fn certificate(block: &Block<Verified>) -> Certificate {
    let Header { chain, height, .. } = block.header;
    let kind = VoteKind::Precommit;
    let vote = Vote { chain, height, round: 0, kind, block: Some(block.id()) };
    let signature = vote.sign(&key(Purpose::Vote));
    let signatures = vec![ValidatorSignature { institution: validator(), signature }];
    Certificate { height, round: 0, block: block.id(), signatures }
}

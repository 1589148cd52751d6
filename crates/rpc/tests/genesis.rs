//! A genesis that is larger than any answer comes from a node, whole or not at all.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;

use common::*;
use prost::Message;
use quittance_crypto::encoding::Encode;
use quittance_crypto::seal::SealingKey;
use quittance_crypto::signature::{Purpose, SigningKey, Suite};
use quittance_ledger::certificate::{Validator, ValidatorSet};
use quittance_ledger::genesis::{Genesis, GenesisInstitution};
use quittance_ledger::ids::{InstitutionId, Timestamp};
use quittance_ledger::state::{self, PublicKey, Role};
use quittance_rpc::genesis::{GenesisError, MAX_BYTES, PART, fetch, parts};
use quittance_rpc::limits::{self, Limits};

const SUITE: Suite = Suite::MlDsa65MlKem768;

fn signing(purpose: Purpose) -> PublicKey {
    PublicKey::Signing(purpose, SigningKey::generate(SUITE).verifying_key())
}

/// So many banks with the keys that a participant needs, and a validator.
fn genesis(banks: usize) -> Genesis {
    let mut institutions = BTreeMap::new();
    for bank in 0..banks {
        let sealing = PublicKey::Sealing(SealingKey::generate(SUITE).public_key().clone());
        let keys = vec![
            signing(Purpose::Transaction),
            signing(Purpose::Round),
            signing(Purpose::KeyBinding),
            sealing,
        ];
        let letter = |power: u32| char::from(b'A' + (bank / 26_usize.pow(power) % 26) as u8);
        let id: InstitutionId =
            format!("BA{}{}ZZ{}1", letter(2), letter(1), letter(0)).parse().unwrap();
        institutions.insert(id, GenesisInstitution { roles: [Role::Participant].into(), keys });
    }
    let institution: InstitutionId = "NODEXXAA".parse().unwrap();
    let key = SigningKey::generate(SUITE).verifying_key();
    let vote = PublicKey::Signing(Purpose::Vote, key.clone());
    let node = GenesisInstitution { roles: [Role::Validator].into(), keys: vec![vote] };
    institutions.insert(institution, node);
    Genesis {
        name: "large".to_owned(),
        time: Timestamp(1),
        suite: SUITE,
        institutions,
        assets: BTreeMap::new(),
        validators: ValidatorSet::new(vec![Validator { institution, key, power: 1 }]).unwrap(),
        committees: BTreeMap::new(),
        limits: state::Limits::default(),
    }
}

/// A node that sends these parts.
async fn node_with(genesis: Vec<Vec<u8>>) -> Network {
    Network::start(Limits::default(), Fake { genesis, ..Fake::default() }).await
}

#[tokio::test]
async fn the_genesis_of_many_banks_comes_whole() {
    let genesis = genesis(800);
    genesis.check().unwrap();
    let bytes = genesis.to_bytes();
    assert!(bytes.len() > 4 << 20, "{} bytes fit into one answer", bytes.len());
    let answers: Vec<_> = parts(&bytes).collect();
    let limit = limits::of_path("/quittance.node.v1.Node/Genesis").response;
    assert!(answers.iter().all(|answer| answer.encoded_len() <= limit));

    let network = node_with(answers.into_iter().map(|answer| answer.part).collect()).await;
    let mut node = network.node("BANKDEFF");
    assert_eq!(fetch(&mut node, genesis.chain_id()).await.unwrap(), genesis);
}

#[tokio::test]
async fn what_is_not_the_chains_genesis_is_refused() {
    let (asked, other) = (genesis(1), genesis(1));
    let bytes = other.to_bytes();
    let fetched = async |parts: Vec<Vec<u8>>| {
        let network = node_with(parts).await;
        let fetched = fetch(&mut network.node("BANKDEFF"), asked.chain_id()).await;
        fetched.unwrap_err()
    };
    let error = fetched(vec![bytes.clone()]).await;
    let named = (asked.chain_id(), other.chain_id());
    assert!(
        matches!(error, GenesisError::Another { expected, found } if (expected, found) == named),
        "{error}"
    );
    let cut = fetched(vec![bytes[..bytes.len() - 1].to_vec()]).await;
    assert!(matches!(cut, GenesisError::Malformed(_)), "{cut}");
    let none = fetched(Vec::new()).await;
    assert!(matches!(none, GenesisError::Malformed(_)), "{none}");
    let empty = fetched(vec![bytes, Vec::new()]).await;
    assert!(matches!(empty, GenesisError::Empty), "{empty}");
    let endless = fetched(vec![vec![0; PART]; MAX_BYTES / PART + 1]).await;
    assert!(matches!(endless, GenesisError::TooLarge), "{endless}");
}

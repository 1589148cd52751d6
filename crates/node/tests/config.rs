//! What a node refuses to start with, and how it says so.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::Site;
use common::banks::{SUITE, VALIDATOR};
use quittance_crypto::keyfile::KeyRing;
use quittance_node::{Config, Node, NodeError};
use quittance_storage::ChainError;

const ANYWHERE: &str = "127.0.0.1:0";

fn refused(site: &Site) -> String {
    Config::load(&site.config()).err().unwrap().to_string()
}

#[test]
fn everything_that_is_wrong_is_named_at_once() {
    let site = Site::new(ANYWHERE);
    let mut file = site.file("somewhere");
    file.institution = "node".into();
    file.heartbeat_ms = 4;
    file.genesis = "missing.json".into();
    site.configure(&file);
    site.write("passphrase", b"secret\n", 0o644);
    let errors = refused(&site);
    for key in ["institution:", "heartbeat_ms:", "genesis:", "passphrase:", "listen.address:"] {
        assert!(errors.lines().any(|line| line.contains(key)), "{key} in {errors}");
    }
    assert!(errors.contains("is readable by others (mode 644)"), "{errors}");
}

#[test]
fn keys_and_genesis_are_checked() {
    let site = Site::new(ANYWHERE);
    assert!(Config::load(&site.config()).is_ok());
    site.write("passphrase", b"wrong", 0o600);
    assert!(refused(&site).ends_with("keys: the passphrase is wrong"));
    site.write("passphrase", b"secret", 0o600);
    let mut genesis = site.genesis.clone();
    genesis.name.clear();
    site.write("genesis.json", &serde_json::to_vec(&genesis).unwrap(), 0o644);
    assert!(refused(&site).contains("the chain's name must have"));
    let mut file = site.file(ANYWHERE);
    file.institution = "AAAADEFF".into();
    site.configure(&file);
    assert!(refused(&site).contains("tls.certificate: it names urn:quittance:VALDZZ01:node"));
}

#[tokio::test]
async fn another_validator_or_another_chain_is_refused() {
    let site = Site::new(ANYWHERE);
    let start = || Node::start(Config::load(&site.config()).unwrap());
    start().await.unwrap().serve(std::future::ready(())).await.unwrap();
    let mut genesis = site.genesis.clone();
    genesis.name = "another chain".into();
    site.write("genesis.json", &serde_json::to_vec(&genesis).unwrap(), 0o644);
    let error = start().await.err().unwrap();
    assert!(matches!(error, NodeError::Chain(ChainError::Storage(_))), "{error}");
    let other = KeyRing::generate(VALIDATOR, SUITE).unwrap();
    site.write("keys.age", &other.to_encrypted("secret", 1).unwrap(), 0o644);
    site.write("genesis.json", &serde_json::to_vec(&site.genesis).unwrap(), 0o644);
    let error = start().await.err().unwrap();
    assert!(matches!(error, NodeError::Solo(_)), "{error}");
    let said = "the vote key of VALDZZ01 is not the one that the chain has registered";
    assert_eq!(error.to_string(), said);
}

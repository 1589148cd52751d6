//! Making, loading and checking certificates and keys.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::*;
use quittance_rpc::tls::issue::{Authority, IssueError};
use quittance_rpc::tls::trust::{Scope, Trust, Untrusted, Usage};
use quittance_rpc::tls::{Credentials, TlsError};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};

#[test]
fn keys_certificates_and_authorities_are_checked_when_loaded() {
    let authority = Authority::create("test").unwrap();
    let one = authority.issue(agent("BANKDEFF"), &[]).unwrap();
    let other = authority.issue(agent("BANKDEFF"), &[]).unwrap();
    let from =
        |chain: &str, key: &str| Credentials::from_pem(chain.as_bytes(), key.as_bytes()).err();
    assert!(from(&one.certificate_pem, &one.key_pem).is_none());
    let mismatch = from(&one.certificate_pem, &other.key_pem).unwrap();
    assert!(matches!(mismatch, TlsError::KeyMismatch));
    let none = from("", &one.key_pem).unwrap();
    assert!(matches!(none, TlsError::NoCertificate));
    let no_key = from(&one.certificate_pem, &one.certificate_pem).unwrap();
    assert!(matches!(no_key, TlsError::Pem { what: "private key", .. }));
    let damaged = one.certificate_pem.replace("-----END", "====END");
    assert!(matches!(
        from(&damaged, &one.key_pem).unwrap(),
        TlsError::Pem { .. } | TlsError::NoCertificate
    ));
    assert!(matches!(Trust::new().add_pem(b"", Scope::Any), Err(TlsError::NoCertificate)));
}

#[test]
fn an_authority_issues_the_same_after_loading() {
    let created = Authority::create("test").unwrap();
    let loaded = Authority::load(created.certificate_pem(), &created.key_pem()).unwrap();
    let issued = loaded.issue(agent("BANKDEFF"), &["bank.example", "::1"]).unwrap();
    let trust = trust(&[&created]);
    let certificate = CertificateDer::from_pem_slice(issued.certificate_pem.as_bytes()).unwrap();
    let usage = Usage::Server;
    let found = trust.verify(&certificate, &[], usage, UnixTime::now());
    assert_eq!(found, Ok(agent("BANKDEFF")));

    // The authority's own certificate is nobody's identity.
    let own = CertificateDer::from_pem_slice(created.certificate_pem().as_bytes()).unwrap();
    assert!(trust.verify(&own, &[], usage, UnixTime::now()).is_err());

    // Validity ends as documented: a year for the leaf, ten for the authority.
    let later = |days: u64| {
        let seconds = UnixTime::now().as_secs() + days * 86_400;
        UnixTime::since_unix_epoch(Duration::from_secs(seconds))
    };
    assert!(trust.verify(&certificate, &[], usage, later(364)).is_ok());
    assert!(matches!(
        trust.verify(&certificate, &[], usage, later(366)),
        Err(Untrusted::Expired { .. })
    ));

    let error = loaded.issue(agent("BANKDEFF"), &["no such host"]).err().unwrap();
    assert!(matches!(error, IssueError::Host(_)), "{error}");
}

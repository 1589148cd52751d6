use quittance_crypto::encoding::Encode;
use quittance_crypto::signature::Suite;
use quittance_ledger::certificate::{Validator, ValidatorSet};

use super::*;

const SUITE: Suite = Suite::MlDsa65MlKem768;

fn id(text: &str) -> InstitutionId {
    text.parse().unwrap()
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(SUITE, &[seed; 32])
}

/// Two validators, A with key 1 and B with key 2.
fn validators() -> Validators {
    let validator = |(name, seed): (&str, u8)| Validator {
        institution: id(name),
        key: key(seed).verifying_key(),
        power: 1,
    };
    let set = [("VALAXX2A", 1), ("VALBXX2A", 2)].map(validator);
    Validators::of([&ValidatorSet::new(set.into()).unwrap()])
}

fn encounter() -> Encounter {
    Encounter {
        chain: ChainId(Digest([9; 32])),
        dialler: id("VALAXX2A"),
        listener: id("VALBXX2A"),
        exporter: [5; 32],
    }
}

#[test]
fn a_hello_proves_the_key_of_its_side() {
    for (side, seed, name) in [(Side::Dialler, 1, "VALAXX2A"), (Side::Listener, 2, "VALBXX2A")] {
        let hello = encounter().hello(side, &key(seed));
        let found = encounter().check(side, &hello.to_bytes(), &validators()).unwrap();
        let expected = key(seed).verifying_key().fingerprint();
        assert_eq!(found, PeerName { institution: id(name), key: expected });
    }
}

/// What was signed for one connection, chain, side or pair is worth nothing elsewhere.
#[test]
fn a_hello_is_of_its_connection_alone() {
    let hello = encounter().hello(Side::Dialler, &key(1)).to_bytes();
    let elsewhere: [fn(&mut Encounter); 4] = [
        |it| it.exporter[31] ^= 1,
        |it| it.exporter[0] ^= 0x80,
        |it| it.chain.0.0[7] ^= 1,
        |it| it.listener = id("VALCXX2A"),
    ];
    for change in elsewhere {
        let mut other = encounter();
        change(&mut other);
        let refused = other.check(Side::Dialler, &hello, &validators());
        assert!(matches!(refused, Err(Refused::Signature(_))), "{refused:?}");
    }
    // Sent back to the one who has said it.
    let mut back = encounter();
    (back.dialler, back.listener) = (back.listener, back.dialler);
    let refused = back.check(Side::Listener, &hello, &validators());
    assert!(matches!(refused, Err(Refused::Signature(_))), "{refused:?}");
}

#[test]
fn each_byte_of_a_hello_counts() {
    let hello = encounter().hello(Side::Dialler, &key(1)).to_bytes();
    for place in 0..hello.len() {
        let mut changed = hello.clone();
        changed[place] ^= 1;
        assert!(encounter().check(Side::Dialler, &changed, &validators()).is_err(), "{place}");
    }
    for length in 0..hello.len() {
        let refused = encounter().check(Side::Dialler, &hello[..length], &validators());
        assert!(matches!(refused, Err(Refused::Malformed(_))), "{length} bytes");
    }
    let longer = [&hello[..], &[0]].concat();
    assert!(encounter().check(Side::Dialler, &longer, &validators()).is_err());
}

#[test]
fn strangers_and_other_keys_are_refused_by_name() {
    let check = |hello: &Hello, at: &Encounter| {
        at.check(Side::Dialler, &hello.to_bytes(), &validators()).unwrap_err()
    };
    let mut stranger = encounter();
    stranger.dialler = id("VALCXX2A");
    let hello = stranger.hello(Side::Dialler, &key(3));
    assert_eq!(check(&hello, &stranger), Refused::Stranger(id("VALCXX2A")));
    // Under its certificate it names a validator.
    let named = Hello { institution: id("VALAXX2A"), ..hello };
    let (certificate, hello) = (id("VALCXX2A"), id("VALAXX2A"));
    assert_eq!(check(&named, &stranger), Refused::Institution { certificate, hello });
    // A validator with a key that is not its own, and with that of another validator.
    for seed in [3, 2] {
        let hello = encounter().hello(Side::Dialler, &key(seed));
        let (institution, key) = (id("VALAXX2A"), hello.key);
        assert_eq!(check(&hello, &encounter()), Refused::Key { institution, key });
    }
    // It says that it votes with its key, and has signed with another.
    let mut hello = encounter().hello(Side::Dialler, &key(3));
    hello.key = key(1).verifying_key().fingerprint();
    assert!(matches!(check(&hello, &encounter()), Refused::Signature(_)));
}

/// A hello is no vote, also if its digest were signed as one.
#[test]
fn a_signature_for_another_purpose_is_no_hello() {
    let at = encounter();
    let fingerprint = key(1).verifying_key().fingerprint();
    let digest = at.statement(Side::Dialler, fingerprint).digest();
    for purpose in Purpose::ALL.into_iter().filter(|purpose| *purpose != Purpose::Vote) {
        let signature = key(1).sign(purpose, &digest);
        let hello = Hello { institution: at.dialler, key: fingerprint, signature };
        assert!(at.check(Side::Dialler, &hello.to_bytes(), &validators()).is_err());
    }
}

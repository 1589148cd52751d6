use super::*;

const SUITES: [Suite; 2] = [Suite::MlDsa65MlKem768, Suite::MlDsa87MlKem1024];

fn accepted(key: &VerifyingKey, purpose: Purpose, digest: &Digest, signature: &Signature) -> bool {
    let verdict = key.verify(purpose, digest, signature);
    assert_eq!(verdict, key.verify_independently(purpose, digest, signature));
    verdict.is_ok()
}

/// The error of decoding `bytes`, which must be refused.
fn refusal<T: Decode>(bytes: &[u8]) -> Problem {
    match T::from_bytes(bytes) {
        Ok(_) => panic!("accepted"),
        Err(error) => error.problem,
    }
}

#[test]
fn a_signature_holds_for_its_key_purpose_and_digest_alone() {
    let digest = Digest([5; 32]);
    for suite in SUITES {
        let key = SigningKey::from_seed(suite, &[1; 32]);
        let other = SigningKey::from_seed(suite, &[2; 32]).verifying_key();
        for purpose in Purpose::ALL {
            let signature = key.sign(purpose, &digest);
            for claimed in Purpose::ALL {
                let verdict = accepted(&key.verifying_key(), claimed, &digest, &signature);
                assert_eq!(verdict, claimed == purpose, "{purpose} as {claimed}");
            }
            assert!(!accepted(&key.verifying_key(), purpose, &Digest([6; 32]), &signature));
            assert!(!accepted(&other, purpose, &digest, &signature));
        }
    }
}

#[test]
fn refusals_say_which_key_and_why() {
    let digest = Digest([5; 32]);
    let small = SigningKey::from_seed(Suite::MlDsa65MlKem768, &[1; 32]);
    let large = SigningKey::from_seed(Suite::MlDsa87MlKem1024, &[1; 32]).verifying_key();
    let signature = small.sign(Purpose::Vote, &digest);

    let key = large.fingerprint();
    let (expected, found) = (large.suite(), small.suite());
    let error = large.verify(Purpose::Vote, &digest, &signature);
    assert_eq!(error, Err(SignatureError::WrongSuite { key, expected, found }));

    let key = small.verifying_key().fingerprint();
    let error = small.verifying_key().verify(Purpose::Round, &digest, &signature);
    assert_eq!(error, Err(SignatureError::Invalid { key, purpose: Purpose::Round }));
}

#[test]
fn every_part_of_a_signature_matters() {
    let digest = Digest([5; 32]);
    for suite in SUITES {
        let key = SigningKey::from_seed(suite, &[3; 32]);
        let signature = key.sign(Purpose::Transaction, &digest);
        // One bit in each 16th byte, and each of the last 90: commitment hash, response, hints.
        let length = suite.signature_length();
        for position in (0..length).step_by(16).chain(length - 90..length) {
            let mut changed = signature.clone();
            changed.bytes[position] ^= 1 << (position % 8);
            let verdict = accepted(&key.verifying_key(), Purpose::Transaction, &digest, &changed);
            assert!(!verdict, "{suite}: bit flipped in byte {position}");
        }
    }
}

#[test]
fn signing_is_hedged_and_keys_are_determined_by_their_seed() {
    for suite in SUITES {
        let key = SigningKey::generate(suite);
        let again = SigningKey::from_seed(suite, key.seed());
        assert_eq!(key.verifying_key(), again.verifying_key());
        assert_ne!(key.verifying_key(), SigningKey::generate(suite).verifying_key());

        let digest = Digest([9; 32]);
        let (first, second) =
            (key.sign(Purpose::Vote, &digest), again.sign(Purpose::Vote, &digest));
        assert_ne!(first, second);
        assert!(accepted(&key.verifying_key(), Purpose::Vote, &digest, &first));
        assert!(accepted(&key.verifying_key(), Purpose::Vote, &digest, &second));
    }
}

#[test]
fn the_signed_message_is_as_documented() {
    let digest = Digest([7; 32]);
    let label = b"quittance/v1/receipt";
    let mut hashed = vec![0, 0, 0, 0, 0, 0, 0, label.len() as u8];
    hashed.extend_from_slice(label);
    hashed.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 32]);
    hashed.extend_from_slice(&digest.0);
    let message = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &hashed);
    assert_eq!(Purpose::Receipt.message(&digest).0, *message.as_ref());

    let key = SigningKey::from_seed(Suite::MlDsa65MlKem768, &[1; 32]);
    let signature = key.sign(Purpose::Receipt, &digest);
    let public = key.verifying_key();
    assert!(verifiers::rust_crypto(key.suite(), &public.bytes, message.as_ref(), &signature.bytes));
    assert!(verifiers::aws_lc(key.suite(), &public.bytes, message.as_ref(), &signature.bytes));
}

#[test]
fn labels_and_fingerprints_are_distinct() {
    for (i, purpose) in Purpose::ALL.iter().enumerate() {
        assert_eq!(usize::from(*purpose as u8), i);
        assert_eq!(Purpose::from_bytes(&purpose.to_bytes()), Ok(*purpose));
        assert!(Purpose::ALL[i + 1..].iter().all(|other| other.label() != purpose.label()));
    }
    assert_eq!(refusal::<Purpose>(&[Purpose::ALL.len() as u8]), Problem::UnknownTag(5));

    // The suite is part of what a fingerprint covers.
    let key = SigningKey::from_seed(Suite::MlDsa65MlKem768, &[1; 32]).verifying_key();
    let relabelled = VerifyingKey { suite: Suite::MlDsa87MlKem1024, ..key.clone() };
    assert_ne!(key.fingerprint(), relabelled.fingerprint());
}

#[test]
fn keys_and_signatures_have_one_encoding() {
    for suite in SUITES {
        let key = SigningKey::from_seed(suite, &[4; 32]);
        let signature = key.sign(Purpose::Vote, &Digest::ZERO);
        let (key, signature) = (key.verifying_key().to_bytes(), signature.to_bytes());
        assert_eq!(key.len(), 5 + suite.verifying_key_length());
        assert_eq!(signature.len(), 5 + suite.signature_length());
        assert_eq!(VerifyingKey::from_bytes(&key).unwrap().to_bytes(), key);
        let read = Signature::from_bytes(&signature).unwrap();
        assert_eq!(read.to_bytes(), signature);
        assert_eq!(read.as_bytes(), &signature[5..]);

        let other = 3 - suite as u8;
        for bytes in [key, signature] {
            let refused = |bytes: &[u8]| {
                assert!(VerifyingKey::from_bytes(bytes).is_err());
                assert!(Signature::from_bytes(bytes).is_err());
            };
            refused(&bytes[..bytes.len() - 1]);
            refused(&[&bytes[..], &[0]].concat());
            refused(&[&[0], &bytes[1..]].concat());
            refused(&[&[3], &bytes[1..]].concat());
            refused(&[&[other], &bytes[1..]].concat());
            // A shorter string that is correctly framed.
            let shorter = u32::from_be_bytes(bytes[1..5].try_into().unwrap()) - 1;
            refused(&[&bytes[..1], &shorter.to_be_bytes(), &bytes[5..bytes.len() - 1]].concat());
        }
    }
}

#[test]
fn a_key_under_which_anybody_could_sign_is_refused() {
    for suite in SUITES {
        let mut bytes = SigningKey::from_seed(suite, &[4; 32]).verifying_key().to_bytes();
        bytes[5 + 32..].fill(0);
        let problem = refusal::<VerifyingKey>(&bytes);
        assert_eq!(problem, Problem::Invalid("t1 is zero: anybody could sign"));
        *bytes.last_mut().unwrap() = 1;
        assert!(VerifyingKey::from_bytes(&bytes).is_ok());
    }
}

#[test]
fn suites_are_named() {
    for suite in SUITES {
        assert_eq!(suite.to_string().parse(), Ok(suite));
        assert_eq!(Suite::from_bytes(&[suite as u8]), Ok(suite));
    }
    assert_eq!("ed25519".parse::<Suite>(), Err(UnknownSuite("ed25519".into())));
}

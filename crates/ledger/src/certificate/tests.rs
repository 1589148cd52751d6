use super::*;
use crate::testing::{SUITE, chain, institution};

fn key(number: u8) -> SigningKey {
    SigningKey::from_seed(SUITE, &[number; 32])
}

const NAMES: [&str; 4] = ["VALAXX2A", "VALBXX2A", "VALCXX2A", "VALDXX2A"];

fn validator(number: u8, power: u64) -> Validator {
    let name = NAMES[usize::from(number)];
    Validator { institution: institution(name), key: key(number).verifying_key(), power }
}

fn set(powers: &[u64]) -> ValidatorSet {
    let validators = (0..).zip(powers).map(|(number, power)| validator(number, *power)).collect();
    ValidatorSet::new(validators).unwrap()
}

fn certificate(signers: &[u8]) -> Certificate {
    let bare = Certificate {
        height: Height(9),
        round: 1,
        block: BlockId(Digest([5; 32])),
        signatures: vec![],
    };
    let signature = |number: &u8| ValidatorSignature {
        institution: institution(NAMES[usize::from(*number)]),
        signature: bare.vote(chain()).sign(&key(*number)),
    };
    Certificate { signatures: signers.iter().map(signature).collect(), ..bare }
}

#[test]
fn more_than_two_thirds_are_a_quorum() {
    let verify =
        |signers: &[u8], powers: &[u64]| certificate(signers).verify(chain(), &set(powers));
    assert_eq!(verify(&[0], &[1]), Ok(()));
    assert_eq!(verify(&[0, 1, 2], &[1, 1, 1, 1]), Ok(()));
    let short = |found, total| Err(CertificateError::NoQuorum { found, total });
    assert_eq!(verify(&[], &[1]), short(0, 1));
    assert_eq!(verify(&[0, 1], &[1, 1, 1]), short(2, 3));
    assert_eq!(verify(&[1, 3], &[1, 1, 1, 1]), short(2, 4));
    assert_eq!(verify(&[0], &[201, 100]), Ok(()));
    assert_eq!(verify(&[0], &[200, 100]), short(200, 300));
    // About the greatest total there may be.
    let third = MAX_TOTAL_POWER / 3;
    assert_eq!(verify(&[0], &[2 * third, third]), short(2 * third, 3 * third));
    assert_eq!(verify(&[0], &[2 * third + 1, third - 1]), Ok(()));
}

#[test]
fn both_libraries_agree_on_a_certificate() {
    let honest = certificate(&[0, 1]);
    let verifier = VerifyingKey::verify_independently;
    assert_eq!(honest.verify_with(chain(), &set(&[1, 1]), verifier), Ok(()));
    let other = Certificate { round: 2, ..honest };
    assert!(other.verify_with(chain(), &set(&[1, 1]), verifier).is_err());
}

#[test]
fn duplicates_strangers_and_disorder_are_refused_also_beyond_the_quorum() {
    let four = set(&[1, 1, 1, 1]);
    let verify = |signers: &[u8]| certificate(signers).verify(chain(), &four);
    let name = |number: usize| institution(NAMES[number]);
    assert_eq!(verify(&[0, 0, 1, 2]), Err(CertificateError::Duplicate(name(0))));
    assert_eq!(verify(&[0, 2, 1, 3]), Err(CertificateError::OutOfOrder(name(1))));
    let three = set(&[1, 1, 1]);
    let stranger = certificate(&[0, 1, 2, 3]).verify(chain(), &three);
    assert_eq!(stranger, Err(CertificateError::Stranger(name(3))));

    let mut forged = certificate(&[0, 1, 2, 3]);
    forged.signatures[3].signature = certificate(&[2]).signatures[0].signature.clone();
    let Err(CertificateError::Signature { institution, .. }) = forged.verify(chain(), &four) else {
        panic!("one signature is by another validator");
    };
    assert_eq!(institution, name(3));
}

#[test]
fn a_certificate_serves_one_vote_alone() {
    let four = set(&[1, 1, 1, 1]);
    let honest = certificate(&[0, 1, 2]);
    let changed = [
        Certificate { height: Height(10), ..honest.clone() },
        Certificate { round: 2, ..honest.clone() },
        Certificate { block: BlockId(Digest([6; 32])), ..honest.clone() },
    ];
    for changed in changed {
        assert!(matches!(changed.verify(chain(), &four), Err(CertificateError::Signature { .. })));
    }
    let elsewhere = honest.verify(ChainId(Digest([8; 32])), &four);
    assert!(matches!(elsewhere, Err(CertificateError::Signature { .. })));

    // Prevotes, votes for nothing and signatures for other purposes do not add up to one.
    let vote = honest.vote(chain());
    let others = [
        Vote { kind: VoteKind::Prevote, ..vote }.sign(&key(0)),
        Vote { block: None, ..vote }.sign(&key(0)),
        key(0).sign(Purpose::Transaction, &vote.digest()),
    ];
    for signature in others {
        let mut changed = honest.clone();
        changed.signatures[0].signature = signature;
        assert!(matches!(changed.verify(chain(), &four), Err(CertificateError::Signature { .. })));
    }
}

#[test]
fn sets_are_ordered_weighted_and_have_a_key_each() {
    let (a, b) = (validator(0, 1), validator(1, 2));
    let new = |validators: &[&Validator]| {
        ValidatorSet::new(validators.iter().map(|each| (*each).clone()).collect())
    };
    assert_eq!(new(&[&a, &b]).unwrap().total_power(), 3);
    assert_eq!(new(&[]), Err(ValidatorSetError::Count(0)));
    assert_eq!(new(&[&b, &a]), Err(ValidatorSetError::OutOfOrder(a.institution)));
    assert_eq!(new(&[&a, &a]), Err(ValidatorSetError::OutOfOrder(a.institution)));
    let powerless = Validator { power: 0, ..b.clone() };
    assert_eq!(new(&[&a, &powerless]), Err(ValidatorSetError::NoPower(b.institution)));
    let shared = Validator { key: a.key.clone(), ..b.clone() };
    assert_eq!(new(&[&a, &shared]), Err(ValidatorSetError::SharedKey(b.institution)));
    let with = |power| new(&[&a, &Validator { power, ..b.clone() }]);
    assert_eq!(with(MAX_TOTAL_POWER - 1).unwrap().total_power(), MAX_TOTAL_POWER);
    for power in [MAX_TOTAL_POWER, u64::MAX - 1, u64::MAX] {
        assert_eq!(with(power), Err(ValidatorSetError::TooMuchPower), "{power}");
    }

    let good = set(&[1, 2]);
    assert_eq!(ValidatorSet::from_bytes(&good.to_bytes()), Ok(good.clone()));
    let json = serde_json::to_string(&good).unwrap();
    assert_eq!(serde_json::from_str::<ValidatorSet>(&json).unwrap(), good);
    let mut unordered = Writer::new();
    unordered.list(&[validator(1, 1), validator(0, 1)]);
    assert!(ValidatorSet::from_bytes(&unordered.into_bytes()).is_err());
    assert_ne!(good.digest(), set(&[2, 1]).digest());
}

#[test]
fn certificates_and_votes_have_one_encoding() {
    let honest = certificate(&[0, 1, 2]);
    let bytes = honest.to_bytes();
    assert_eq!(Certificate::from_bytes(&bytes).as_ref(), Ok(&honest));
    for end in 0..bytes.len() {
        assert!(Certificate::from_bytes(&bytes[..end]).is_err());
    }
    let mut versioned = bytes;
    versioned[0] = 2;
    assert!(Certificate::from_bytes(&versioned).is_err());

    let vote = honest.vote(chain());
    for vote in [vote, Vote { block: None, kind: VoteKind::Prevote, ..vote }] {
        assert_eq!(Vote::from_bytes(&vote.to_bytes()), Ok(vote));
    }
}

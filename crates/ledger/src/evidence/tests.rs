use super::*;
use crate::certificate::Validator;
use crate::ids::BlockId;
use crate::testing::{SUITE, chain, institution};
use quittance_crypto::signature::SigningKey;

fn key(number: u8) -> SigningKey {
    SigningKey::from_seed(SUITE, &[number; 32])
}

fn block(number: u8) -> BlockId {
    BlockId(Digest([number; 32]))
}

fn set() -> ValidatorSet {
    let validator = |(name, number): (&str, u8)| Validator {
        institution: institution(name),
        key: key(number).verifying_key(),
        power: 1,
    };
    ValidatorSet::new([("VALAXX2A", 1), ("VALBXX2A", 2)].map(validator).into()).unwrap()
}

fn vote() -> Vote {
    let (height, kind) = (Height(9), VoteKind::Precommit);
    Vote { chain: chain(), height, round: 2, kind, block: Some(block(1)) }
}

fn proposal() -> Proposal {
    let height = Height(9);
    Proposal { chain: chain(), height, round: 2, block: block(1), valid_round: None }
}

fn signed(statement: Statement, number: u8) -> SignedStatement {
    let signature = key(number).sign(Purpose::Vote, &statement.digest());
    SignedStatement { statement, signature }
}

fn accuse(one: Statement, other: Statement) -> Result<Evidence, EvidenceError> {
    Evidence::new(institution("VALAXX2A"), signed(one, 1), signed(other, 1))
}

fn contradictions() -> Vec<(Statement, Statement)> {
    let votes = [Vote { block: Some(block(2)), ..vote() }, Vote { block: None, ..vote() }];
    let proposals = [
        Proposal { block: block(2), ..proposal() },
        Proposal { valid_round: Some(1), ..proposal() },
    ];
    let votes = votes.map(|other| (Statement::Vote(vote()), Statement::Vote(other)));
    let proposals =
        proposals.map(|other| (Statement::Proposal(proposal()), Statement::Proposal(other)));
    [&votes[..], &proposals].concat()
}

#[test]
fn contradictions_convict_in_either_order_and_have_one_encoding() {
    for (one, other) in contradictions() {
        let (first, second) = (signed(one, 1), signed(other, 1));
        let who = institution("VALAXX2A");
        let evidence = Evidence::new(who, first.clone(), second.clone()).unwrap();
        assert_eq!(Evidence::new(who, second, first).as_ref(), Ok(&evidence));
        assert_eq!(evidence.verify(chain(), &set()), Ok(()));
        let independent = VerifyingKey::verify_independently;
        assert_eq!(evidence.verify_with(chain(), &set(), independent), Ok(()));
        assert_eq!((evidence.height(), evidence.institution()), (Height(9), who));

        let bytes = evidence.to_bytes();
        assert_eq!(Evidence::from_bytes(&bytes).as_ref(), Ok(&evidence));
        for end in 0..bytes.len() {
            assert!(Evidence::from_bytes(&bytes[..end]).is_err());
        }
        assert!(Evidence::from_bytes(&[&bytes[..], &[0]].concat()).is_err());
        let [a, b] = evidence.statements.clone();
        let swapped = Evidence { institution: who, statements: [b, a] };
        assert!(Evidence::from_bytes(&swapped.to_bytes()).is_err());
    }
}

#[test]
fn what_may_be_said_together_is_no_evidence() {
    let say = |vote| Statement::Vote(vote);
    let same = accuse(say(vote()), say(vote()));
    assert_eq!(same, Err(EvidenceError::NoContradiction));
    let other = Vote { block: None, ..vote() };
    let elsewhere = [
        say(Vote { round: 3, ..other }),
        say(Vote { height: Height(10), ..other }),
        say(Vote { kind: VoteKind::Prevote, ..other }),
        say(Vote { chain: ChainId(Digest([8; 32])), ..other }),
        Statement::Proposal(proposal()),
    ];
    for other in elsewhere {
        assert_eq!(accuse(say(vote()), other), Err(EvidenceError::DifferentPlaces));
    }
    let moved = Proposal { round: 3, block: block(2), ..proposal() };
    let moved = accuse(Statement::Proposal(proposal()), Statement::Proposal(moved));
    assert_eq!(moved, Err(EvidenceError::DifferentPlaces));

    // Two signatures of one statement differ, since signing is hedged, and prove nothing.
    let (a, b) = (signed(say(vote()), 1), signed(say(vote()), 1));
    assert_ne!(a.signature, b.signature);
    let twice = Evidence { institution: institution("VALAXX2A"), statements: [a, b] };
    assert_eq!(twice.verify(chain(), &set()), Err(EvidenceError::NoContradiction));
    assert!(Evidence::from_bytes(&twice.to_bytes()).is_err());
}

#[test]
fn nobody_is_convicted_by_what_he_has_not_signed() {
    for (one, other) in contradictions() {
        let honest = accuse(one, other).unwrap();
        let framed = Evidence { institution: institution("VALBXX2A"), ..honest.clone() };
        let error = framed.verify(chain(), &set()).unwrap_err();
        assert!(matches!(error, EvidenceError::Signature { index: 0, .. }));
        let stranger = institution("VALCXX2A");
        let unknown = Evidence { institution: stranger, ..honest.clone() };
        assert_eq!(unknown.verify(chain(), &set()), Err(EvidenceError::Stranger(stranger)));
        let elsewhere = honest.verify(ChainId(Digest([8; 32])), &set());
        assert!(matches!(elsewhere, Err(EvidenceError::Chain { .. })));

        // One of the two signatures by another, for another purpose, or of another statement.
        for index in 0..2 {
            let statement = honest.statements[index].statement;
            let forged = [
                signed(statement, 2).signature,
                key(1).sign(Purpose::Transaction, &statement.digest()),
                honest.statements[1 - index].signature.clone(),
            ];
            for signature in forged {
                let mut evidence = honest.clone();
                evidence.statements[index].signature = signature;
                let error = evidence.verify(chain(), &set()).unwrap_err();
                let EvidenceError::Signature { index: found, .. } = error else {
                    panic!("{error}")
                };
                assert_eq!(found, index);
            }
        }
    }
}

#[test]
fn a_proposal_is_signed_as_itself_alone() {
    let honest = proposal();
    let changed = [
        Proposal { chain: ChainId(Digest([8; 32])), ..honest },
        Proposal { height: Height(10), ..honest },
        Proposal { round: 3, ..honest },
        Proposal { block: block(2), ..honest },
        Proposal { valid_round: Some(0), ..honest },
    ];
    for changed in changed {
        assert_ne!(changed.digest(), honest.digest());
        assert_eq!(Proposal::from_bytes(&changed.to_bytes()), Ok(changed));
    }
    let late = Proposal { valid_round: Some(2), ..honest };
    assert!(Proposal::from_bytes(&late.to_bytes()).is_err());
    // A vote whose bytes begin like the proposal's has another digest.
    assert_ne!(vote().digest(), honest.digest());
}

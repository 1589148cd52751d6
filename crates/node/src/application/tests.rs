use super::*;
use crate::banks::{SUITE, id};
use crate::testing::Fixture;
use quittance_crypto::digest::Digest;
use quittance_crypto::signature::SigningKey;
use quittance_rpc::convert::TransactionStatus;

#[test]
fn a_block_that_cannot_be_stored_is_not_published() {
    let mut fixture = Fixture::new();
    let terms = fixture.terms();
    let transfer = fixture.banks.issuer.pays(terms, &[(&fixture.banks.a, 5)]);
    let by = fixture.banks.issuer.id;
    let pending = fixture.submit(&transfer, by);
    assert_eq!(pending, TransactionStatus::Pending { expiry: Height(100) });

    let block = fixture.propose(Occasion::Work).unwrap();
    assert_eq!(block.transactions.len(), 1);
    let certificate = fixture.certify(&block.header, &fixture.vote);
    // Something else is on the disk at this height.
    let other = Block { transactions: vec![], ..block.clone() };
    fixture.core.store.append(&other, &certificate, &Default::default()).unwrap();
    let error = fixture.proposer.commit(block, certificate).unwrap_err();
    assert!(matches!(error, ApplicationError::Chain(ChainError::NotNext { .. })), "{error}");
    assert_eq!(fixture.core.view().tip.height(), Height(0));
    assert_eq!(fixture.core.status(&transfer.id()).unwrap(), pending);
}

#[test]
fn a_block_is_committed_with_its_own_certificate_only() {
    let mut fixture = Fixture::new();
    let block = fixture.propose(Occasion::Heartbeat).unwrap();
    let stranger = SigningKey::from_seed(SUITE, &[2; 32]);
    let forged = fixture.certify(&block.header, &stranger);
    let error = fixture.proposer.commit(block.clone(), forged).unwrap_err();
    assert!(matches!(error, ApplicationError::Certificate(_)), "{error}");

    let other = Header { time: Timestamp(5), ..block.header.clone() };
    let of_other = fixture.certify(&other, &fixture.vote);
    let error = fixture.proposer.commit(block.clone(), of_other).unwrap_err();
    assert!(matches!(error, ApplicationError::OtherBlock { .. }), "{error}");
    assert_eq!(fixture.core.view().tip.height(), Height(0));

    let certificate = fixture.certify(&block.header, &fixture.vote);
    fixture.proposer.commit(block.clone(), certificate.clone()).unwrap();
    assert_eq!(fixture.core.view().tip.height(), Height(1));
    // Once more it does not follow.
    let error = fixture.proposer.commit(block, certificate).unwrap_err();
    assert!(matches!(error, ApplicationError::Header(_)), "{error}");
}

#[test]
fn a_proposal_of_another_validator_is_checked_in_every_field() {
    let mut fixture = Fixture::new();
    let terms = fixture.terms();
    let transfer = fixture.banks.issuer.pays(terms, &[(&fixture.banks.a, 5)]);
    let by = fixture.banks.issuer.id;
    fixture.submit(&transfer, by);
    let own = fixture.propose(Occasion::Work).unwrap();
    let transactions: Vec<_> =
        own.transactions.iter().cloned().map(Transaction::into_unverified).collect();
    let good = Block { header: own.header.clone(), transactions };
    let now = Timestamp(1000);

    let mutations: [fn(&mut Block); 8] = [
        |block| block.header.chain.0.0[0] ^= 1,
        |block| block.header.height = Height(2),
        |block| block.header.parent.0.0[0] ^= 1,
        |block| block.header.transactions_root = Digest::ZERO,
        |block| block.header.state_root = Digest::ZERO,
        |block| block.header.validators = Digest::ZERO,
        |block| block.header.next_validators = Digest::ZERO,
        |block| block.header.time = Timestamp(0),
    ];
    for mutation in mutations {
        let mut bad = good.clone();
        mutation(&mut bad);
        assert!(fixture.proposer.validate(bad, Moment::Fresh(now)).is_err());
    }
    let mut early = good.clone();
    early.header.time = Timestamp(now.0 + CLOCK_TOLERANCE + 1);
    let error = fixture.proposer.validate(early, Moment::Fresh(now)).unwrap_err();
    assert!(matches!(error, ApplicationError::Early { .. }), "{error}");

    let block = fixture.proposer.validate(good, Moment::Fresh(now)).unwrap();
    let certificate = fixture.certify(&block.header, &fixture.vote);
    fixture.proposer.commit(block, certificate).unwrap();
    let status = fixture.core.status(&transfer.id()).unwrap();
    assert_eq!(status, TransactionStatus::Final { height: Height(1), index: 0 });
}

#[test]
fn the_first_of_two_candidates_wins_and_the_other_is_told_when_it_is_final() {
    let mut fixture = Fixture::new();
    let terms = fixture.terms();
    let by = id("AAAADEFF");
    let (first, _) = fixture.banks.issuer.candidate(terms, &[], &[(&fixture.banks.a, 5)]);
    let (second, _) = fixture.banks.issuer.candidate(terms, &[], &[(&fixture.banks.b, 6)]);
    let pending = TransactionStatus::Pending { expiry: Height(100) };
    assert_eq!(fixture.submit(&first, by), pending);
    assert_eq!(fixture.submit(&second, by), pending);

    let block = fixture.propose(Occasion::Work).unwrap();
    assert_eq!(block.transactions.len(), 1);
    // Nothing is decided by a proposal.
    assert_eq!(fixture.core.status(&first.id()).unwrap(), pending);
    assert_eq!(fixture.core.status(&second.id()).unwrap(), pending);
    let certificate = fixture.certify(&block.header, &fixture.vote);
    fixture.proposer.commit(block, certificate).unwrap();
    let first = fixture.core.status(&first.id()).unwrap();
    assert_eq!(first, TransactionStatus::Final { height: Height(1), index: 0 });
    let second = fixture.core.status(&second.id()).unwrap();
    assert!(matches!(second, TransactionStatus::Rejected { code, .. } if code == "STALE_SEQUENCE"));
    assert_eq!(fixture.core.pool().waiting(), 0);
}

#[test]
fn there_is_no_block_without_work_but_at_a_heartbeat() {
    let mut fixture = Fixture::new();
    assert!(fixture.propose(Occasion::Work).is_none());
    let first = fixture.block();
    // The clock stands still; time in headers does not.
    let second = fixture.block();
    assert_eq!(first.header.time, Timestamp(1000));
    assert_eq!(second.header.time, Timestamp(1001));
    assert_eq!(second.header.parent, first.id());
}

#[test]
fn what_waits_too_long_expires() {
    let mut fixture = Fixture::new();
    let terms = crate::banks::terms(fixture.chain(), 2);
    let by = fixture.banks.issuer.id;
    let _first = fixture.banks.issuer.pays(terms, &[(&fixture.banks.a, 5)]);
    let second = fixture.banks.issuer.pays(terms, &[(&fixture.banks.a, 5)]);
    let pending = TransactionStatus::Pending { expiry: Height(2) };
    assert_eq!(fixture.submit(&second, by), pending);
    fixture.block();
    fixture.block();
    assert_eq!(fixture.core.status(&second.id()).unwrap(), pending);
    fixture.block();
    let status = fixture.core.status(&second.id()).unwrap();
    assert!(matches!(status, TransactionStatus::Rejected { code, .. } if code == "EXPIRED"));
}

use super::*;
use crate::banks::id;
use crate::testing::Fixture;

const SMALL: PoolLimits = PoolLimits {
    total: Load { transactions: 5, bytes: 1000 },
    institution: Load { transactions: 3, bytes: 600 },
    memory: 2,
};

fn transaction_id(number: u8) -> TransactionId {
    TransactionId(quittance_crypto::digest::Digest([number; 32]))
}

fn rejection() -> Rejection {
    Rejection { code: "CODE".into(), reason: "reason".into() }
}

#[test]
fn nobody_takes_the_room_of_others_and_all_together_are_bounded() {
    let mut pool = Pool::new(SMALL);
    let (a, b, c) = (id("AAAADEFF"), id("BBBBFRPP"), id("CCCCNL2A"));
    for number in 0..3 {
        assert_eq!(pool.reserve(transaction_id(number), 100, Source::Caller(a)), Ok(()));
    }
    assert_eq!(pool.reserve(transaction_id(3), 100, Source::Caller(a)), Err(Full::Institution(a)));
    // The same transaction takes no second place.
    assert_eq!(pool.reserve(transaction_id(2), 100, Source::Caller(a)), Ok(()));
    assert_eq!(pool.reserve(transaction_id(4), 601, Source::Caller(b)), Err(Full::Institution(b)));
    assert_eq!(pool.reserve(transaction_id(4), 600, Source::Caller(b)), Ok(()));
    assert_eq!(pool.reserve(transaction_id(5), 101, Source::Caller(c)), Err(Full::Total));
    assert_eq!(pool.reserve(transaction_id(5), 100, Source::Caller(c)), Ok(()));
    assert_eq!(pool.reserve(transaction_id(6), 0, Source::Caller(c)), Err(Full::Total));
    // What leaves makes room, by whichever way.
    pool.reject(transaction_id(0), rejection());
    pool.remove(&transaction_id(1));
    pool.remove(&transaction_id(1));
    assert_eq!(pool.reserve(transaction_id(3), 100, Source::Caller(a)), Ok(()));
    for number in 0..7 {
        pool.remove(&transaction_id(number));
    }
    assert_eq!(pool.load, Load::default());
    assert!(pool.institutions.is_empty() && pool.entries.is_empty());
}

#[test]
fn the_latest_rejections_are_remembered_and_forgotten_when_tried_again() {
    let mut pool = Pool::new(SMALL);
    for number in 0..3 {
        pool.reject(transaction_id(number), rejection());
    }
    assert_eq!(pool.rejection(&transaction_id(0)), None);
    assert_eq!(pool.rejection(&transaction_id(2)), Some(&rejection()));
    pool.reserve(transaction_id(2), 1, Source::Caller(id("AAAADEFF"))).unwrap();
    assert_eq!(pool.rejection(&transaction_id(2)), None);
    pool.reject(transaction_id(1), rejection());
    pool.reject(transaction_id(3), rejection());
    assert_eq!(pool.rejections.by_id.len(), 2);
    assert_eq!(pool.rejections.by_age.len(), 2);
    assert!(pool.rejection(&transaction_id(1)).is_some());
}

#[test]
fn all_take_turns_in_order_of_sequence() {
    let mut fixture = Fixture::new();
    let terms = fixture.terms();
    // Three of the issuer's, submitted backwards by one bank, one in between by another.
    let issued: Vec<_> = (0..4).map(|_| fixture.banks.issuer.posts(terms, &[], &[])).collect();
    let other = fixture.banks.a.posts(terms, &[], &[]);
    let (one, two) = (id("AAAADEFF"), id("BBBBFRPP"));
    for transaction in [&issued[2], &issued[1], &issued[0]] {
        fixture.submit(transaction, one);
    }
    fixture.submit(&other, two);

    let selected = |fixture: &Fixture, height, limit| -> Vec<TransactionId> {
        let view = fixture.core.view();
        let pool = fixture.core.pool();
        let selected = pool.select(&view.state, Height(height), limit);
        selected.iter().map(|transaction| transaction.id()).collect()
    };
    let ids: Vec<_> = issued.iter().map(Transaction::id).collect();
    assert_eq!(selected(&fixture, 2, 9), [ids[0], other.id(), ids[1], ids[2]]);
    assert_eq!(selected(&fixture, 3, 9), [other.id(), ids[0], ids[1], ids[2]]);
    assert_eq!(selected(&fixture, 2, 2), [ids[0], other.id()]);

    // Without the one before it, a candidate waits; what has expired does not.
    fixture.core.pool().remove(&ids[0]);
    assert_eq!(selected(&fixture, 2, 9), [other.id()]);
    assert_eq!(selected(&fixture, 101, 9).len(), 3);
    assert_eq!(fixture.core.pool().waiting(), 3);
}

#[test]
fn verified_once_is_verified() {
    let mut fixture = Fixture::new();
    let terms = fixture.terms();
    let transaction = fixture.banks.a.posts(terms, &[], &[]);
    let by = id("AAAADEFF");
    fixture.submit(&transaction, by);
    let verdict = fixture.core.pool().verdict(&transaction.id()).unwrap();
    assert_eq!(verdict.id(), transaction.id());
    fixture.core.pool().reject(transaction.id(), rejection());
    // Taken in again without the verifier.
    fixture.core.submit(transaction.clone(), Source::Caller(by)).unwrap();
    let stage = fixture.core.pool().stage(&transaction.id());
    assert_eq!(stage, Some(Stage::Candidate { expiry: Height(100) }));
}

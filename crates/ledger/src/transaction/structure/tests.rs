use quittance_crypto::commitment::Commitment;
use quittance_crypto::encoding::{Decode, Encode};

use super::*;
use crate::ids::{AccountId, CommitteeId, Height, RoundId};
use crate::testing::{asset, institution, terms};
use crate::transaction::Condition;

fn posting(poster: &str) -> Posting {
    Posting {
        institution: institution(poster),
        key_fingerprint: Digest([1; 32]),
        sequence: 1,
        absorbed: vec![],
        new_balance: Commitment::identity(),
        self_note: vec![],
    }
}

fn credit(sender: &str, receiver: &str) -> Credit {
    Credit {
        sender: institution(sender),
        institution: institution(receiver),
        commitment: Commitment::identity(),
        sealed: vec![],
        details: Digest::ZERO,
        condition: Condition::None,
    }
}

fn entry(code: &str, posters: &[&str]) -> Entry {
    let postings = posters.iter().map(|poster| posting(poster)).collect();
    Entry { asset: asset(code), postings, credits: vec![] }
}

/// 128 institutions in order.
fn many(count: usize) -> Vec<Posting> {
    (0..count).map(|number| posting(&format!("BANKDE{:02}{:03}", number / 64, number))).collect()
}

fn check(entries: Vec<Entry>) -> Result<(), Malformed> {
    let body = Body {
        suite: terms().suite,
        chain: terms().chain,
        expiry: terms().expiry,
        action: Action::Entries(entries),
    };
    // Whatever the rules say, the bytes have one meaning.
    assert_eq!(Body::from_bytes(&body.to_bytes()).as_ref(), Ok(&body));
    body.check()
}

const A: &str = "BANKDEFF";
const B: &str = "BANKFRPP";

#[test]
fn entries_are_in_strict_order_of_asset() {
    assert_eq!(check(vec![]), Err(Malformed::NoEntries));
    assert_eq!(check(vec![entry("EUR", &[A]), entry("USD", &[A])]), Ok(()));
    for second in ["EUR", "CHF"] {
        let unordered = Malformed::EntriesOutOfOrder { entry: 1, asset: asset(second) };
        assert_eq!(check(vec![entry("EUR", &[A]), entry(second, &[A])]), Err(unordered));
    }
}

#[test]
fn postings_are_at_least_one_in_strict_order_of_institution() {
    assert_eq!(check(vec![entry("EUR", &[])]), Err(Malformed::NoPostings { entry: 0 }));
    assert_eq!(check(vec![entry("EUR", &[A, B])]), Ok(()));
    for (posters, institution) in [([A, A], A), ([B, A], A)] {
        let institution = institution.parse().unwrap();
        let unordered = Malformed::PostingsOutOfOrder { entry: 0, institution };
        assert_eq!(check(vec![entry("EUR", &posters)]), Err(unordered));
    }
}

#[test]
fn one_institution_posts_under_one_key() {
    let mut second = entry("USD", &[A]);
    second.postings[0].key_fingerprint = Digest([2; 32]);
    let two_keys = Malformed::TwoKeys { institution: institution(A) };
    assert_eq!(check(vec![entry("EUR", &[A]), second]), Err(two_keys));
}

#[test]
fn absorbed_credits_are_in_strict_order() {
    let with = |absorbed: &[u8]| {
        let mut entry = entry("EUR", &[A]);
        entry.postings[0].absorbed =
            absorbed.iter().map(|byte| CreditId(Digest([*byte; 32]))).collect();
        check(vec![entry])
    };
    let (institution, credit) = (institution(A), CreditId(Digest([2; 32])));
    assert_eq!(with(&[1, 2, 3]), Ok(()));
    assert_eq!(with(&[1, 2, 2]), Err(Malformed::AbsorbedTwice { entry: 0, institution, credit }));
    assert_eq!(
        with(&[1, 3, 2]),
        Err(Malformed::AbsorbedOutOfOrder { entry: 0, institution, credit })
    );
    // Twice, but not side by side.
    assert!(with(&[2, 3, 2]).is_err());
}

#[test]
fn credits_come_from_those_who_post_and_go_to_others() {
    let with = |credits: &[Credit]| {
        check(vec![Entry { credits: credits.to_vec(), ..entry("EUR", &[A, B]) }])
    };
    assert_eq!(with(&[credit(A, "BANKNL2A"), credit(B, A), credit(A, B)]), Ok(()));
    let sender = institution("BANKNL2A");
    assert_eq!(
        with(&[credit(A, B), credit("BANKNL2A", B)]),
        Err(Malformed::SenderDoesNotPost { entry: 0, credit: 1, sender })
    );
    let institution = institution(A);
    assert_eq!(
        with(&[credit(A, A)]),
        Err(Malformed::CreditToSelf { entry: 0, credit: 0, institution })
    );
}

#[test]
fn one_entry_is_one_range_proof() {
    let with = |postings: usize, credits: usize| {
        let postings = many(postings);
        let sender = postings[0].institution;
        let credit = Credit { sender, ..credit(A, "ZZZZZZZZ") };
        let entry = Entry { asset: asset("EUR"), postings, credits: vec![credit; credits] };
        let body = Body {
            suite: terms().suite,
            chain: terms().chain,
            expiry: terms().expiry,
            action: Action::Entries(vec![entry]),
        };
        (body.check(), Body::from_bytes(&body.to_bytes()).is_ok())
    };
    assert_eq!(with(96, 32), (Ok(()), true));
    assert_eq!(with(128, 0), (Ok(()), true));
    assert_eq!(with(97, 32), (Err(Malformed::StatementTooLarge { entry: 0, found: 129 }), true));
    let too_long = |what, found, limit| Err(Malformed::TooLong { what, found, limit });
    assert_eq!(with(129, 0), (too_long("postings", 129, 128), false));
    assert_eq!(with(1, 33), (too_long("credits", 33, 32), false));
}

#[test]
fn what_decoding_would_refuse_is_refused_before_it_is_sent() {
    let change = |change: fn(&mut Entry)| {
        let mut entry = Entry { credits: vec![credit(A, B)], ..entry("EUR", &[A]) };
        change(&mut entry);
        let body = Body {
            suite: terms().suite,
            chain: terms().chain,
            expiry: terms().expiry,
            action: Action::Entries(vec![entry]),
        };
        assert!(Body::from_bytes(&body.to_bytes()).is_err());
        match body.check() {
            Err(Malformed::TooLong { what, .. }) => what,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(change(|entry| entry.postings[0].self_note = vec![0; 513]), "self note");
    assert_eq!(change(|entry| entry.credits[0].sealed = vec![0; 4097]), "sealed payload");
    let many = |entry: &mut Entry| entry.postings[0].absorbed = vec![CreditId(Digest::ZERO); 257];
    assert_eq!(change(many), "absorbed credits");
}

fn act(action: Action) -> Result<(), Malformed> {
    terms().act(action).map(|body| assert_eq!(Body::from_bytes(&body.to_bytes()), Ok(body)))
}

#[test]
fn the_holder_rejects_and_the_sender_is_refunded() {
    let returned = |by: &str, reason| {
        act(Action::Return(CreditReturn {
            credit: CreditId(Digest::ZERO),
            holder: AccountId { institution: institution(A), asset: asset("EUR") },
            by: institution(by),
            key_fingerprint: Digest::ZERO,
            reason,
        }))
    };
    let (by, holder) = (institution(B), institution(A));
    assert_eq!(returned(A, ReturnReason::Rejected), Ok(()));
    assert_eq!(returned(B, ReturnReason::Refunded), Ok(()));
    assert_eq!(
        returned(B, ReturnReason::Rejected),
        Err(Malformed::RejectedByAnother { by, holder })
    );
    assert_eq!(
        returned(A, ReturnReason::Refunded),
        Err(Malformed::RefundedByHolder { by: holder })
    );
}

#[test]
fn rounds_can_be_joined_and_settled() {
    fn open(change: impl Fn(&mut RoundOpen)) -> Result<(), Malformed> {
        let mut open = RoundOpen {
            salt: [0; 16],
            opener: institution(A),
            key_fingerprint: Digest::ZERO,
            asset: asset("EUR"),
            program: Digest::ZERO,
            committee: CommitteeId(0),
            minimum_roster: 2,
            attempts: 1,
            join_until: Height(10),
            deadline: Height(11),
        };
        change(&mut open);
        act(Action::RoundOpen(open))
    }
    assert_eq!(open(|_| ()), Ok(()));
    assert_eq!(open(|open| open.minimum_roster = 128), Ok(()));
    assert_eq!(open(|open| open.minimum_roster = 1), Err(Malformed::MinimumRoster { found: 1 }));
    assert_eq!(
        open(|open| open.minimum_roster = 129),
        Err(Malformed::MinimumRoster { found: 129 })
    );
    assert_eq!(open(|open| open.attempts = MAX_ATTEMPTS), Ok(()));
    let attempts = |found| Err(Malformed::Attempts { found });
    assert_eq!(open(|open| open.attempts = 0), attempts(0));
    assert_eq!(open(|open| open.attempts = MAX_ATTEMPTS + 1), attempts(MAX_ATTEMPTS + 1));
    assert_eq!(open(|open| open.attempts = u8::MAX), attempts(u8::MAX));
    assert_eq!(open(|open| open.join_until = Height(11)), Err(Malformed::DeadlineTooEarly));
}

#[test]
fn a_queue_note_has_a_limit() {
    let join = |bytes: usize| {
        act(Action::RoundJoin(RoundJoin {
            round: RoundId(Digest::ZERO),
            institution: institution(A),
            key_fingerprint: Digest::ZERO,
            sequence: 1,
            queue_root: Digest::ZERO,
            bucket: 8,
            note: vec![0; bytes],
        }))
    };
    let limit = MAX_QUEUE_NOTE_BYTES;
    assert_eq!(join(limit), Ok(()));
    let too_long = Malformed::TooLong { what: "queue note", found: limit + 1, limit };
    assert_eq!(join(limit + 1), Err(too_long));
}

#[test]
fn a_settlement_only_posts() {
    let settle = |change: fn(&mut Entry)| {
        let mut entry = entry("EUR", &[A, B]);
        change(&mut entry);
        let (round, attachment) = (RoundId(Digest::ZERO), Some(Digest([1; 32])));
        act(Action::Settlement(Settlement { round, attempt: 0, entry, attachment }))
    };
    assert_eq!(settle(|_| ()), Ok(()));
    assert_eq!(settle(|entry| entry.credits.push(credit(A, B))), Err(Malformed::SettlementCredits));
    assert_eq!(
        settle(|entry| entry.postings[1].absorbed.push(CreditId(Digest::ZERO))),
        Err(Malformed::SettlementAbsorbs { institution: institution(B) })
    );
    assert_eq!(settle(|entry| entry.postings.clear()), Err(Malformed::NoPostings { entry: 0 }));
}

/// What later versions will execute is refused by this one, as such and not as unknown.
#[test]
fn reserved_tags_are_refused_as_reserved() {
    let bytes = |body: &Body| body.to_bytes();
    let body = terms().entries(vec![Entry { credits: vec![credit(A, B)], ..entry("EUR", &[A]) }]);
    let good = bytes(&body.unwrap());
    let refuse = |place: usize, tag: u8| {
        let mut bytes = good.clone();
        bytes[place] = tag;
        Body::from_bytes(&bytes).unwrap_err().to_string()
    };
    // Version, suite, chain, expiry; then the action. The condition is the last byte.
    let (action, condition) = (1 + 1 + 32 + 8, good.len() - 1);
    assert!(refuse(action, 7).contains("unknown tag 7"));
    for tag in 1..=6 {
        assert!(refuse(condition, tag).contains("this version does not execute"));
    }
    assert!(refuse(condition, 7).contains("unknown tag 7"));
    assert_eq!(refuse(0, 2), "body version: unknown tag 2 at byte 0");
    assert_eq!(refuse(1, 3), "suite: unknown tag 3 at byte 1");
}

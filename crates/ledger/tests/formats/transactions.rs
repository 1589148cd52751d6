//! Bodies, complete transactions, and what is hashed of them.

use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, Encode};
use quittance_crypto::range_proof::RangeProof;
use quittance_crypto::signature::Suite;
use quittance_ledger::ids::{AccountId, CommitteeId, CreditId, Height, RoundId, TransactionId};
use quittance_ledger::transaction::{
    Action, Body, Condition, Credit, CreditReturn, Entry, InstitutionSignature, Posting,
    ReturnReason, RoundJoin, RoundOpen, Settlement, Transaction, signing_digest,
};

use super::{CHAIN, commitment, h, hexed, n, signature};

const FINGERPRINT: Digest = Digest([0x22; 32]);

fn proof() -> RangeProof {
    RangeProof::try_from(vec![0xaa; 672]).expect("a proof for one value has 672 bytes")
}

/// Version, suite, chain, expiry.
fn prefix() -> Vec<u8> {
    [&[1, 1][..], &[0x11; 32], &1000u64.to_be_bytes()].concat()
}

fn body(action: Action) -> Body {
    Body { suite: Suite::MlDsa65MlKem768, chain: CHAIN, expiry: Height(1000), action }
}

fn entry() -> Entry {
    Entry {
        asset: "EUR".parse().expect("an id"),
        postings: vec![Posting {
            institution: "BANKDEFF".parse().expect("an id"),
            key_fingerprint: FINGERPRINT,
            sequence: 7,
            absorbed: vec![CreditId(Digest([0x33; 32]))],
            new_balance: commitment(70),
            self_note: vec![1, 2, 3],
        }],
        credits: vec![Credit {
            sender: "BANKDEFF".parse().expect("an id"),
            institution: "BANKFRPPXXX".parse().expect("an id"),
            commitment: commitment(30),
            sealed: vec![4, 5],
            details: Digest([0x44; 32]),
            condition: Condition::None,
        }],
    }
}

fn entry_bytes() -> Vec<u8> {
    [
        &b"EUR\0\0\0\0\0\0\0\0\0"[..],
        // One posting.
        &n(1),
        b"BANKDEFF\0\0\0",
        &[0x22; 32],
        &7u64.to_be_bytes(),
        &n(1),
        &[0x33; 32],
        commitment(70).as_bytes(),
        &n(3),
        &[1, 2, 3],
        // One credit.
        &n(1),
        b"BANKDEFF\0\0\0",
        b"BANKFRPPXXX",
        commitment(30).as_bytes(),
        &n(2),
        &[4, 5],
        &[0x44; 32],
        &[0],
    ]
    .concat()
}

fn check(action: Action, tag: u8, expected: &[u8]) {
    let body = body(action);
    let expected = [&prefix(), &[tag][..], expected].concat();
    assert_eq!(body.to_bytes(), expected);
    assert_eq!(Body::from_bytes(&expected).as_ref(), Ok(&body));
    assert_eq!(body.digest().0, h("quittance/v1/body", &[&expected]));
}

#[test]
fn bodies_of_every_kind() {
    check(Action::Entries(vec![entry()]), 0, &[&n(1)[..], &entry_bytes()].concat());

    let credit_return = CreditReturn {
        credit: CreditId(Digest([0x55; 32])),
        holder: AccountId {
            institution: "BANKFRPP".parse().expect("an id"),
            asset: "EUR".parse().expect("an id"),
        },
        by: "BANKDEFF".parse().expect("an id"),
        key_fingerprint: FINGERPRINT,
        reason: ReturnReason::Refunded,
    };
    let parts: [&[u8]; 6] = [
        &[0x55; 32],
        b"BANKFRPP\0\0\0",
        b"EUR\0\0\0\0\0\0\0\0\0",
        b"BANKDEFF\0\0\0",
        &[0x22; 32],
        &[1],
    ];
    check(Action::Return(credit_return), 1, &parts.concat());

    let open = RoundOpen {
        salt: [0x66; 16],
        opener: "COORXX2A".parse().expect("an id"),
        key_fingerprint: FINGERPRINT,
        asset: "EUR".parse().expect("an id"),
        program: Digest([0x77; 32]),
        committee: CommitteeId(5),
        minimum_roster: 3,
        attempts: 2,
        join_until: Height(50),
        deadline: Height(90),
    };
    let parts: [&[u8]; 10] = [
        &[0x66; 16],
        b"COORXX2A\0\0\0",
        &[0x22; 32],
        b"EUR\0\0\0\0\0\0\0\0\0",
        &[0x77; 32],
        &5u32.to_be_bytes(),
        &3u16.to_be_bytes(),
        &[2],
        &50u64.to_be_bytes(),
        &90u64.to_be_bytes(),
    ];
    check(Action::RoundOpen(open), 2, &parts.concat());

    let join = RoundJoin {
        round: RoundId(Digest([0x88; 32])),
        institution: "BANKDEFF".parse().expect("an id"),
        key_fingerprint: FINGERPRINT,
        sequence: 8,
        queue_root: Digest([0x99; 32]),
        bucket: 16,
        note: vec![9],
    };
    let parts: [&[u8]; 8] = [
        &[0x88; 32],
        b"BANKDEFF\0\0\0",
        &[0x22; 32],
        &8u64.to_be_bytes(),
        &[0x99; 32],
        &16u32.to_be_bytes(),
        &n(1),
        &[9],
    ];
    check(Action::RoundJoin(join), 3, &parts.concat());

    let round = RoundId(Digest([0x88; 32]));
    for (attachment, bytes) in
        [(None, vec![0]), (Some(Digest([0xcc; 32])), { [&[1][..], &[0xcc; 32]].concat() })]
    {
        let settlement = Settlement { round, attempt: 1, entry: entry(), attachment };
        let expected = [&[0x88; 32][..], &[1], &entry_bytes(), &bytes].concat();
        check(Action::Settlement(settlement), 4, &expected);
    }
}

#[test]
fn a_complete_transaction_and_all_its_digests() {
    let body = body(Action::Entries(vec![entry()]));
    let by = InstitutionSignature {
        institution: "BANKDEFF".parse().expect("an id"),
        key_fingerprint: FINGERPRINT,
        signature: signature(),
    };
    let transaction = Transaction::new(body.clone(), vec![proof()], vec![by]);

    let body_bytes = [&prefix(), &[0][..], &n(1), &entry_bytes()].concat();
    let proofs = [&n(1)[..], &n(672), &[0xaa; 672]].concat();
    let signatures: [&[u8]; 6] =
        [&n(1), b"BANKDEFF\0\0\0", &[0x22; 32], &[1], &n(3309), &[0xbb; 3309]];
    let complete = [&body_bytes[..], &proofs, &signatures.concat()].concat();
    assert_eq!(transaction.to_bytes(), complete);
    assert_eq!(transaction.size(), complete.len());
    assert_eq!(Transaction::from_bytes(&complete).as_ref(), Ok(&transaction));

    let digest = h("quittance/v1/body", &[&body_bytes]);
    assert_eq!(transaction.body_digest().0, digest);
    assert_eq!(
        transaction.proof_context(0).0,
        h("quittance/v1/entry-proof", &[&[0x11; 32], &[1], &digest, &0u32.to_be_bytes()])
    );
    let signing = h("quittance/v1/signing", &[&body_bytes, &proofs]);
    assert_eq!(transaction.signing_digest().0, signing);
    assert_eq!(signing_digest(&body, &[proof()]).0, signing);
    let id = h("quittance/v1/transaction-id", &[&complete]);
    assert_eq!(transaction.id(), TransactionId(Digest(id)));
    let place = [n(2), n(3)].concat();
    assert_eq!(transaction.credit_id(2, 3).0.0, h("quittance/v1/credit-id", &[&id, &place]));
    let round = RoundId::of(CHAIN, &Digest(digest)).0.0;
    assert_eq!(round, h("quittance/v1/round-id", &[&[0x11; 32], &digest]));

    assert_eq!(hexed(digest), "7fe79f83bc3e35aa705e5d0ee1c03603616f2f4e8f2f9bee82d0d75bdb26e15c");
    assert_eq!(hexed(id), "c86712e6ee7fae002c858f65437fb9dabcaaabb402611de84875f1c6811c7475");
}

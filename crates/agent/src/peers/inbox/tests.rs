//! What announcements find room.

use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, Encode};
use quittance_ledger::ids::Uetr;
use quittance_ledger::payload::Particulars;
use quittance_round::queue::{FrozenQueue, QueueSeed, QueuedPayment};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use tonic::Code;

use super::*;

fn id(text: &str) -> InstitutionId {
    text.parse().unwrap()
}

fn round(number: u8) -> RoundId {
    RoundId(Digest([number; 32]))
}

/// Announcements of a queue of three payments.
fn announcements(of: RoundId, payer: &str) -> Vec<Vec<u8>> {
    let payment = |number: u8| QueuedPayment {
        payee: id("BBBBDE01"),
        amount: u64::from(number),
        particulars: Particulars::new(Uetr([number; 16]), "", "").unwrap(),
    };
    let seed = QueueSeed::random(&mut ChaCha20Rng::seed_from_u64(1));
    let queue =
        FrozenQueue::freeze(id(payer), (1..=3).map(payment).collect(), |_| Some(2), seed).unwrap();
    (0..3).map(|place| Announcement::new(of, &queue, place).unwrap().to_bytes()).collect()
}

#[test]
fn announcements_are_kept_by_round_payer_and_place_until_the_round_is_over() {
    let mut inbox = Inbox::default();
    for (of, payer) in [(1, "AAAABE01"), (1, "CCCCDE01"), (2, "AAAABE01"), (1, "AAAABE01")] {
        let encoded = announcements(round(of), payer);
        inbox.put(round(of), decode(round(of), id(payer), &encoded).unwrap());
    }
    let kept: Vec<_> = inbox.of(&round(1)).map(|one| (one.payer, one.place)).collect();
    let both = ["AAAABE01", "CCCCDE01"].map(id);
    let expected: Vec<_> =
        both.iter().flat_map(|payer| (0..3).map(|place| (*payer, place))).collect();
    assert_eq!(kept, expected, "the same again takes no more room");
    assert_eq!(inbox.of(&round(2)).count(), 3);
    inbox.retain(|open| *open == round(2));
    assert_eq!((inbox.of(&round(1)).count(), inbox.of(&round(2)).count()), (0, 3));
}

#[test]
fn announcements_must_be_of_the_round_and_of_the_caller() {
    let good = announcements(round(1), "AAAABE01");
    let refused = |of: u8, payer: &str, encoded: &[Vec<u8>]| {
        decode(round(of), id(payer), encoded).map(|_| ()).map_err(|status| status.code())
    };
    assert_eq!(refused(1, "AAAABE01", &good), Ok(()));
    assert_eq!(refused(2, "AAAABE01", &good), Err(Code::InvalidArgument));
    assert_eq!(refused(1, "CCCCDE01", &good), Err(Code::InvalidArgument));
    assert_eq!(refused(1, "AAAABE01", &vec![good[0].clone(); 1025]), Err(Code::InvalidArgument));
    let mut cut = good.clone();
    cut[2].pop();
    assert_eq!(refused(1, "AAAABE01", &cut), Err(Code::InvalidArgument));
    let mut far = Announcement::from_bytes(&good[0]).unwrap();
    far.place = 1024;
    assert_eq!(refused(1, "AAAABE01", &[far.to_bytes()]), Err(Code::InvalidArgument));
}
